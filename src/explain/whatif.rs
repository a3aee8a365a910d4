//! Counterfactuals: what would have to be different for a pod to run? Each is computed by the scheduler's own filters on a copy
//! of the cluster at the end of the run, everything else untouched and nobody preempted.

use super::story::{Groups, Turned, only_node};
use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, NodeId, PodId, Uid};
use crate::model::labels::NodeSelector;
use crate::model::names::sym;
use crate::model::quantity::Quantity;
use crate::model::volume::*;
use crate::observe::causes;
use crate::observe::counterfactual::{make_anew, make_available};
use crate::report::human;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{Code, FitError, PluginNames, Reason, Rejection, View};
use crate::scheduler::message;
use crate::scheduler::plugins::node_resources_fit;
use crate::scheduler::profile::{PreFiltered, Profile};
use serde::Serialize;
use std::sync::Arc;

/// Nodes that an answer names.
const MOST_NAMED: usize = 5;
/// Name of hypothetical volumes.
const HYPOTHETICAL: &str = "stowplan.hypothetical";

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// `if its own claims were unbound`.
    pub question: String,
    /// Would it run? `None`: the question does not arise.
    pub runs: Option<bool>,
    /// In words: where, or why not.
    pub answer: String,
    /// Nodes that would take it, by name; at most twenty.
    pub nodes: Vec<String>,
    /// How many nodes would take it.
    pub node_count: usize,
}

/// A change to be tried, as a person asks for it.
#[derive(Clone, Debug, PartialEq)]
pub enum WhatIf {
    /// Its own claims are unbound, and wait for it.
    Unbound,
    /// One more PersistentVolume of this many bytes on this node.
    Volume(String, u128),
    /// More CPU (thousandths) on this node.
    Cpu(String, i64),
    /// More memory (bytes) on this node.
    Memory(String, i64),
    /// The class has this mode.
    Class(String, BindingMode),
}

/// What every node says to a pod.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// Nodes that take it.
    pub feasible: Vec<NodeId>,
    /// The others, by reason.
    pub turned_down: Vec<Turned>,
    error: FitError,
}

impl Verdicts {
    /// Kubernetes' message, without what preemption adds to it; empty if some node takes the pod.
    pub fn message(&self, cluster: &Cluster) -> String {
        if self.feasible.is_empty() {
            message::fit_error(&self.error, &[], &cluster.names)
        } else {
            String::new()
        }
    }
}

/// Asks a profile's filters about a pod.
pub struct Asker<'p> {
    /// The profile that schedules the pod.
    pub profile: &'p Profile,
    /// When.
    pub at: SimTime,
    /// The pod.
    pub pod: PodId,
}

impl Asker<'_> {
    fn view<'c>(&self, cluster: &'c Cluster) -> View<'c> {
        View { cluster, now: self.at, ties: &TieBreak::First, attempt: 0 }
    }

    /// What every node says. `without` names filters that are not asked.
    pub fn ask(&self, cluster: &Cluster, without: &[&'static str]) -> Verdicts {
        let mut state = CycleState::default();
        let view = self.view(cluster);
        let mut found = Verdicts::default();
        found.error.nodes = cluster.node_count() as u32;
        let mut groups = Groups::default();
        let existing: Vec<NodeId> =
            cluster.nodes().iter().filter(|(_, n)| n.exists).map(|(id, _)| id).collect();
        let allowed = match self.profile.pre_filter(view, self.pod, &mut state) {
            PreFiltered::AllNodes => None,
            PreFiltered::Nodes(names, plugins) => Some((names, plugins)),
            PreFiltered::Rejected(rejection, _) => {
                groups.add(cluster, &rejection, existing);
                found.error.pre_filter = Some(rejection.reasons);
                found.turned_down = groups.finish();
                return found;
            }
            PreFiltered::Error(_) => return found,
        };
        for node in existing {
            let name = cluster.node(node).name;
            if let Some((_, plugins)) = allowed.as_ref().filter(|(names, _)| !names.contains(&name)) {
                let reason = Reason::OutsideNodeSet(PluginNames::new(plugins));
                found.error.count_nodes(reason, 1);
                groups.add(cluster, &Rejection::new("", Code::UnschedulableAndUnresolvable, reason), [node]);
                continue;
            }
            match self.profile.filter_except(view, self.pod, &mut state, view.node(node), without) {
                Ok(()) => found.feasible.push(node),
                Err(rejection) => {
                    found.error.count(&rejection.reasons);
                    groups.add(cluster, &rejection, [node]);
                }
            }
        }
        found.turned_down = groups.finish();
        found
    }

    fn own_claims(&self, cluster: &Cluster) -> Vec<ClaimId> {
        let mine = |claim: &ClaimId| {
            let row = cluster.claim(*claim);
            cluster.claim_users(row.namespace, row.name) == [self.pod]
        };
        causes::claims_of(cluster, self.pod).flatten().filter(mine).collect()
    }

    fn answer(&self, question: String, cluster: &Cluster, verdicts: &Verdicts, yes: &str) -> Answer {
        let names = names_of(cluster, &verdicts.feasible);
        let runs = !names.is_empty();
        let text = if runs {
            format!("yes{yes}: on {}", some_of(&names))
        } else {
            format!("no: {}", verdicts.message(cluster))
        };
        Answer { question, runs: Some(runs), answer: text, node_count: names.len(), nodes: first(names) }
    }

    /// Why the scheduler does not even look at the pod.
    pub fn held(&self, cluster: &Cluster) -> Option<Answer> {
        let spec = cluster.spec_of(self.pod);
        let names: Vec<&str> = spec.scheduling_gates.iter().map(|gate| cluster.names.text(*gate)).collect();
        let why = match spec.not_modelled {
            Some(field) => {
                format!("no: it asks for {}, which is not modelled, so it is held", cluster.names.text(field))
            }
            None if names.is_empty() => return None,
            None => format!(
                "no: the scheduler does not look at a pod before its scheduling gates are gone: {}",
                names.join(", ")
            ),
        };
        let mut answer = not_asked("if anything changed about nodes, volumes or claims".to_owned(), &why);
        answer.runs = Some(false);
        Some(answer)
    }

    /// Its claims in words, for questions about claims that it does not have; `None`: it has claims, and all of them exist.
    fn lacks_claims(&self, cluster: &Cluster) -> Option<&'static str> {
        let claims: Vec<Option<ClaimId>> = causes::claims_of(cluster, self.pod).collect();
        if claims.is_empty() {
            return Some("it has no claims");
        }
        claims.iter().any(Option::is_none).then_some("a claim that it names does not exist")
    }

    /// All questions of the tool's own.
    pub fn usual(&self, cluster: &Cluster) -> Vec<Answer> {
        if let Some(held) = self.held(cluster) {
            return vec![held];
        }
        let mut answers = vec![self.unbound(cluster)];
        answers.push(self.one_more_volume(cluster));
        answers.extend(self.more_of_a_resource(cluster));
        answers
    }

    /// One question that a person asks.
    ///
    /// # Errors
    /// A node or class that there is not.
    pub fn one(&self, cluster: &Cluster, what: &WhatIf) -> Result<Answer, String> {
        if let Some(held) = self.held(cluster) {
            return Ok(held);
        }
        let mut changed = cluster.clone();
        let node = |name: &str| {
            let found = cluster.names.get(name).and_then(|n| cluster.node_by_name(n));
            found.ok_or_else(|| format!("there is no node `{name}` at the end of the run"))
        };
        let question = match what {
            WhatIf::Unbound => return Ok(self.unbound(cluster)),
            WhatIf::Volume(name, bytes) => {
                let node = node(name)?;
                let Some(claim) = self.unbound_claims(cluster).first().copied() else {
                    return Ok(not_asked(
                        format!("if a PV of {} appeared on {name}", human::bytes(*bytes)),
                        self.lacks_claims(cluster)
                            .unwrap_or("every claim of the pod is bound already, so it would not be used"),
                    ));
                };
                let fits = Quantity::from_bytes(*bytes) >= cluster.claim_spec_of(claim).request;
                if fits {
                    self.bind_to_hypothetical(&mut changed, claim, Some(node), *bytes);
                }
                format!("if a PV of {} appeared on {name}", human::bytes(*bytes))
            }
            WhatIf::Cpu(name, milli) => {
                grow(&mut changed, node(name)?, *milli, 0);
                format!("if the CPU of {name} grew by {}", human::cores(*milli as f64))
            }
            WhatIf::Memory(name, bytes) => {
                grow(&mut changed, node(name)?, 0, *bytes);
                format!("if the memory of {name} grew by {}", human::bytes((*bytes).max(0) as u128))
            }
            WhatIf::Class(name, mode) => {
                let class = cluster.names.get(name).and_then(|n| cluster.class(n)).cloned();
                let class = class.ok_or_else(|| format!("there is no class `{name}`"))?;
                changed.set_class(StorageClass { binding_mode: *mode, ..class });
                format!("if class {name} were {mode:?} from now on, bound claims staying bound")
            }
        };
        Ok(self.answer(question, &changed, &self.ask(&changed, &[]), ""))
    }

    /// If its own claims were unbound and waited for the scheduler.
    fn unbound(&self, cluster: &Cluster) -> Answer {
        let question = "if its own claims were unbound and waited for it".to_owned();
        let own: Vec<ClaimId> =
            self.own_claims(cluster).into_iter().filter(|c| causes::is_bound(cluster.claim(*c))).collect();
        if own.is_empty() {
            let why =
                self.lacks_claims(cluster).unwrap_or("none of its claims is bound, so none holds it back");
            return not_asked(question, why);
        }
        let mut changed = cluster.clone();
        let classes: Vec<StorageClass> = changed.classes().cloned().collect();
        for class in classes {
            changed.set_class(StorageClass { binding_mode: BindingMode::WaitForFirstConsumer, ..class });
        }
        for claim in own {
            if let Some(volume) = changed.claim(claim).volume_name.and_then(|v| changed.volume_by_name(v)) {
                changed.update_volume(volume, make_available);
            }
            changed.update_claim(claim, make_anew);
        }
        self.answer(question, &changed, &self.ask(&changed, &[]), "")
    }

    /// Its claims without a volume, the largest request first.
    fn unbound_claims(&self, cluster: &Cluster) -> Vec<ClaimId> {
        let mut claims: Vec<ClaimId> = causes::claims_of(cluster, self.pod)
            .flatten()
            .filter(|c| !causes::is_bound(cluster.claim(*c)))
            .collect();
        claims.sort_by_key(|c| std::cmp::Reverse(cluster.claim_spec_of(*c).request.ceil()));
        claims
    }

    /// If one PV of size s appeared on node n: the smallest s that helps is what the claim asks for, and every n is looked at.
    fn one_more_volume(&self, cluster: &Cluster) -> Answer {
        let claims = self.unbound_claims(cluster);
        let plain = "if one more PV appeared on some node".to_owned();
        let Some(largest) = claims.first().copied() else {
            let bound = "its claims are bound already; another volume would not be used";
            return not_asked(plain, self.lacks_claims(cluster).unwrap_or(bound));
        };
        let size = |claim: ClaimId| cluster.claim_spec_of(claim).request.ceil().max(0) as u128;
        for &claim in &claims {
            // A volume that every node reaches and that is bound to the claim: a node that passes now would pass with that volume.
            let mut wide = cluster.clone();
            self.bind_to_hypothetical(&mut wide, claim, None, size(claim));
            let verdicts = self.ask(&wide, &[]);
            let Some(node) = verdicts.feasible.first().copied() else { continue };
            let mut pinned = cluster.clone();
            self.bind_to_hypothetical(&mut pinned, claim, Some(node), size(claim));
            let node_name = cluster.names.text(cluster.node(node).name);
            let question = format!("if one PV of {} appeared on node {node_name}", human::bytes(size(claim)));
            if self.ask(&pinned, &[]).feasible != [node] {
                continue;
            }
            let names = names_of(cluster, &verdicts.feasible);
            let text = match names.len() {
                1 => "yes, and on no other node".to_owned(),
                n => format!("yes; the same volume would help on {n} nodes: {}", some_of(&names)),
            };
            return Answer {
                question,
                runs: Some(true),
                answer: text,
                node_count: names.len(),
                nodes: first(names),
            };
        }
        let question = format!("if one PV of {} appeared on some node", human::bytes(size(largest)));
        let mut wide = cluster.clone();
        claims.iter().for_each(|claim| self.bind_to_hypothetical(&mut wide, *claim, None, size(*claim)));
        let all = self.ask(&wide, &[]);
        let mut answer = self.answer(question, &wide, &all, "");
        if claims.len() > 1 && !all.feasible.is_empty() {
            let names = names_of(cluster, &all.feasible);
            answer.runs = Some(false);
            answer.answer = format!(
                "no, one is not enough; with one for each of its {} claims it would run on {}",
                claims.len(),
                some_of(&names)
            );
        }
        answer
    }

    /// If CPU (or memory) of a node grew: the node where the least is missing, and how much.
    fn more_of_a_resource(&self, cluster: &Cluster) -> Vec<Answer> {
        let without = self.ask(cluster, &[node_resources_fit::NAME]);
        let requests = &cluster.spec_of(self.pod).requests;
        let mut short: Vec<(NodeId, i64, i64)> = Vec::new();
        for &node in &without.feasible {
            let row = cluster.node(node);
            let lack = |wanted: i64, has: i64, used: i64| {
                if wanted > 0 { wanted.saturating_sub(has.saturating_sub(used)).max(0) } else { 0 }
            };
            let cpu = lack(requests.cpu_milli, row.allocatable.cpu_milli, row.info.requested.cpu_milli);
            let memory =
                lack(requests.memory_bytes, row.allocatable.memory_bytes, row.info.requested.memory_bytes);
            if cpu > 0 || memory > 0 {
                short.push((node, cpu, memory));
            }
        }
        let question = "if the CPU or memory of a node grew".to_owned();
        if short.is_empty() {
            let why = if without.feasible.is_empty() {
                format!("no: more CPU or memory alone helps nowhere; {}", without.message(cluster))
            } else {
                "no: neither CPU nor memory is what it lacks".to_owned()
            };
            return vec![Answer {
                question,
                runs: Some(false),
                answer: why,
                nodes: Vec::new(),
                node_count: 0,
            }];
        }
        let cpu = short.iter().filter(|s| s.2 == 0).min_by_key(|s| s.1);
        let memory = short.iter().filter(|s| s.1 == 0).min_by_key(|s| s.2);
        let both = short.iter().min_by_key(|s| (s.1, s.2)).filter(|_| cpu.is_none() && memory.is_none());
        [cpu, memory, both].into_iter().flatten().filter_map(|s| self.grown(cluster, *s)).collect()
    }

    /// That growth, tried.
    fn grown(&self, cluster: &Cluster, (node, cpu, memory): (NodeId, i64, i64)) -> Option<Answer> {
        let mut changed = cluster.clone();
        grow(&mut changed, node, cpu, memory);
        let name = cluster.names.text(cluster.node(node).name);
        let mut parts = Vec::new();
        if cpu > 0 {
            parts.push(format!("the CPU of node {name} grew by {} ({cpu}m)", human::cores(cpu as f64)));
        }
        if memory > 0 {
            parts.push(format!("the memory of node {name} grew by {}", human::bytes(memory as u128)));
        }
        let question = format!("if {}", parts.join(" and "));
        let verdicts = self.ask(&changed, &[]);
        let others = "; no node lacks less";
        Some(self.answer(
            question,
            &changed,
            &verdicts,
            if verdicts.feasible.is_empty() { "" } else { others },
        ))
    }

    /// The claim gets a volume of its own: on one node, or one that every node reaches.
    fn bind_to_hypothetical(&self, cluster: &mut Cluster, claim: ClaimId, node: Option<NodeId>, bytes: u128) {
        let name = cluster.names.intern(&format!("{HYPOTHETICAL}-{}", claim.row()));
        let spec = cluster.claim_spec_of(claim).clone();
        let row = cluster.claim(claim).clone();
        let host = node.and_then(|node| cluster.node_labels(node).get(sym::HOSTNAME));
        let node_affinity = host.map(|host| cluster.intern_node_selector(NodeSelector::of_host(host)));
        let labels = cluster.intern_labels(crate::model::labels::LabelSet::default());
        let uid: Uid = cluster.new_uid();
        let volume = Volume {
            name,
            uid,
            shape: Arc::new(VolumeShape {
                capacity: Quantity::from_bytes(bytes),
                modes: spec.modes,
                class: spec.class_or_empty(),
                mode: spec.mode,
                attributes_class: spec.attributes_class,
                labels,
                reclaim: ReclaimPolicy::Retain,
                source: VolumeSource::Local,
                provisioned_by: None,
            }),
            node_affinity,
            claim_ref: Some(ClaimRef { namespace: row.namespace, name: row.name, uid: Some(row.uid) }),
            bound_by_controller: true,
            phase: VolumePhase::Bound,
            deletion: None,
            protected: true,
            created: self.at,
            assumed_for: None,
        };
        let capacity = cluster.intern_quantity(volume.capacity);
        if cluster.add_volume(volume).is_ok() {
            cluster.update_claim(claim, |c| {
                c.volume_name = Some(name);
                c.bind_completed = true;
                c.bound_by_controller = true;
                c.phase = ClaimPhase::Bound;
                c.capacity = Some(capacity);
            });
        }
    }

    /// The nodes that its bound volumes tie it to, in words, with what is in the way there.
    pub fn tied_to(&self, cluster: &Cluster) -> Vec<String> {
        let mut found = Vec::new();
        for claim in causes::claims_of(cluster, self.pod).flatten() {
            let row = cluster.claim(claim);
            let volume = row.volume_name.and_then(|v| cluster.volume_by_name(v));
            let Some(volume) = volume.map(|v| cluster.volume(v)) else { continue };
            let Some(node) = only_node(cluster, volume) else { continue };
            let node_name = cluster.names.text(cluster.node(node).name);
            let mut state = CycleState::default();
            let view = self.view(cluster);
            let why = match self.profile.pre_filter(view, self.pod, &mut state) {
                PreFiltered::Rejected(..) | PreFiltered::Error(_) => String::new(),
                _ => match self.profile.filter(view, self.pod, &mut state, view.node(node)) {
                    Ok(()) => "nothing is in its way there".to_owned(),
                    Err(r) => format!("there: {}", message::status_text(&r.reasons, &cluster.names)),
                },
            };
            let room = self.room(cluster, node);
            let claim = cluster.claim_key(claim);
            let volume = cluster.names.text(volume.name);
            found.push(format!(
                "its claim {claim} lies on PV {volume}, which only node {node_name} has; {why}{room}"
            ));
        }
        found
    }

    /// ` (it asks for 4 CPU, 1.5 are free)`.
    fn room(&self, cluster: &Cluster, node: NodeId) -> String {
        let (row, requests) = (cluster.node(node), &cluster.spec_of(self.pod).requests);
        let free_cpu = row.allocatable.cpu_milli.saturating_sub(row.info.requested.cpu_milli);
        let free_memory = row.allocatable.memory_bytes.saturating_sub(row.info.requested.memory_bytes);
        let mut parts = Vec::new();
        if requests.cpu_milli > free_cpu {
            let (asks, free) = (human::cores(requests.cpu_milli as f64), human::cores(free_cpu as f64));
            parts.push(format!("it asks for {asks} CPU, {free} free"));
        }
        if requests.memory_bytes > free_memory {
            let asks = human::bytes(requests.memory_bytes.max(0) as u128);
            let free = human::bytes(free_memory.max(0) as u128);
            parts.push(format!("it asks for {asks} of memory, {free} free"));
        }
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
    }
}

/// A node's allocatable grows.
fn grow(cluster: &mut Cluster, node: NodeId, cpu_milli: i64, memory_bytes: i64) {
    let row = cluster.node(node);
    let mut amounts = row.allocatable.clone();
    amounts.cpu_milli = amounts.cpu_milli.saturating_add(cpu_milli);
    amounts.memory_bytes = amounts.memory_bytes.saturating_add(memory_bytes);
    let pods = row.allocatable_pods;
    cluster.set_node_allocatable(node, amounts, pods);
}

/// A question that does not arise.
pub fn not_asked(question: String, why: &str) -> Answer {
    Answer { question, runs: None, answer: why.to_owned(), nodes: Vec::new(), node_count: 0 }
}

fn names_of(cluster: &Cluster, nodes: &[NodeId]) -> Vec<String> {
    let mut names: Vec<String> =
        nodes.iter().map(|n| cluster.names.text(cluster.node(*n).name).to_owned()).collect();
    names.sort();
    names
}

fn first(mut names: Vec<String>) -> Vec<String> {
    names.truncate(20);
    names
}

/// `a, b, c and 17 more`.
pub fn some_of(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
