//! The life of one pod, as it is told by whoever listened to the whole run.

use crate::engine::time::SimTime;
use crate::model::cluster::{Cluster, NodeDelta};
use crate::model::ids::{ClaimId, ClaimSpecId, NodeId, PodId, SpecId, Uid};
use crate::model::pod::PodPhase;
use crate::model::volume::{BindingMode, ClaimPhase};
use crate::observe::causes::{claims_by_name, claims_of};
use crate::observe::{AttemptResult, Observation, Observer, Subject};
use crate::report::human;
use crate::scheduler::cycle::{Attempt, Diagnosis, Outcome};
use crate::scheduler::framework::Rejection;
use crate::scheduler::message;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most chapters that are kept; a pod that was evicted a thousand times says nothing new after that.
const MOST_CHAPTERS: usize = 400;
/// Nodes of the best scores that are named.
const MOST_RANKED: usize = 5;

/// Nodes that turned a pod down for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Turned {
    /// The plugin that said no.
    pub plugin: String,
    /// Its words.
    pub reason: String,
    /// The nodes, by name.
    pub nodes: Vec<String>,
}

/// Something that happened to the pod, its claims or its node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chapter {
    /// When, in seconds of simulated time.
    pub seconds: f64,
    /// What, in words.
    pub what: String,
    /// The message of Kubernetes, if it says something.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How often the same happened, one after the other.
    pub times: u64,
    /// When it happened for the last time.
    pub last_seconds: f64,
    /// Who turned the pod down in this attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turned_down: Vec<Turned>,
    /// Nodes of the highest total scores, if several were feasible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranked: Vec<(String, i64)>,
    /// Nodes that passed every filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feasible: Option<usize>,
}

/// Listens for one pod.
#[derive(Debug)]
pub struct Listener {
    /// `namespace/name`.
    key: String,
    /// Its claims, as `namespace/name`.
    claims: BTreeSet<String>,
    pod: Option<(PodId, Uid)>,
    node: Option<NodeId>,
    status: Option<(PodPhase, bool)>,
    phases: BTreeMap<String, ClaimPhase>,
    attempt: Option<Chapter>,
    /// What happened, in order.
    pub chapters: Vec<Chapter>,
    /// How many chapters were left out.
    pub left_out: u64,
}

impl Listener {
    /// For the pod `namespace/name`; `claims` are those that it is known to use.
    pub fn new(key: &str, claims: impl IntoIterator<Item = String>) -> Listener {
        Listener {
            key: key.to_owned(),
            claims: claims.into_iter().collect(),
            pod: None,
            node: None,
            status: None,
            phases: BTreeMap::new(),
            attempt: None,
            chapters: Vec::new(),
            left_out: 0,
        }
    }

    fn is(&self, pod: PodId) -> bool {
        self.pod.is_some_and(|(row, _)| row == pod)
    }

    fn tell(&mut self, at: SimTime, what: impl Into<String>) {
        self.put(at, Chapter { what: what.into(), ..Chapter::default() });
    }

    fn put(&mut self, at: SimTime, chapter: Chapter) {
        let seconds = at.as_secs_f64();
        if let Some(last) = self.chapters.last_mut()
            && last.what == chapter.what
            && last.message == chapter.message
        {
            last.times += 1;
            last.last_seconds = seconds;
            // Who said no may differ although the counts do not: the latest is the truth.
            last.turned_down = chapter.turned_down;
            return;
        }
        if self.chapters.len() >= MOST_CHAPTERS {
            self.left_out += 1;
            return;
        }
        self.chapters.push(Chapter { seconds, last_seconds: seconds, times: 1, ..chapter });
    }

    fn is_my_claim(&self, cluster: &Cluster, claim: ClaimId) -> Option<String> {
        let key = cluster.claim_key(claim);
        self.claims.contains(&key).then_some(key)
    }

    fn created(&mut self, at: SimTime, cluster: &Cluster, pod: PodId) {
        if cluster.pod_key(pod) != self.key {
            return;
        }
        let again = self.pod.is_some();
        self.pod = Some((pod, cluster.pod(pod).uid));
        self.status = None;
        self.claims.extend(claims_of(cluster, pod).flatten().map(|claim| cluster.claim_key(claim)));
        let asks = request_text(cluster, cluster.pod(pod).spec);
        let word = if again { "created again" } else { "created" };
        let row = cluster.pod(pod);
        self.tell(at, format!("the pod is {word}: it asks for {asks}"));
        if let Some(node) = row.node {
            self.node = Some(node);
            let name = cluster.names.text(cluster.node(node).name).to_owned();
            let by_hand = if row.preset_node && row.phase == PodPhase::Pending {
                "; spec.nodeName was set by its creator, so the scheduler never sees it"
            } else {
                ""
            };
            self.tell(at, format!("it is on node {name} from the start{by_hand}"));
        }
    }

    fn claim(&mut self, at: SimTime, cluster: &Cluster, claim: ClaimId, new: bool) {
        let Some(key) = self.is_my_claim(cluster, claim) else { return };
        let row = cluster.claim(claim);
        if new {
            let spec = cluster.claim_spec(row.spec);
            let class = spec.class_or_empty();
            let mode = match cluster.class(class).map(|c| c.binding_mode) {
                Some(BindingMode::Immediate) => {
                    "Immediate: the PV controller binds it without asking the scheduler"
                }
                Some(BindingMode::WaitForFirstConsumer) => "WaitForFirstConsumer: it waits for the scheduler",
                None => "there is no such class",
            };
            let class = cluster.names.text(class);
            let class =
                if class.is_empty() { "no class".to_owned() } else { format!("class {class} ({mode})") };
            let size = human::bytes(spec.request.ceil().max(0) as u128);
            self.tell(at, format!("claim {key} is created: {size} of {class}"));
        }
        let before = self.phases.insert(key.clone(), row.phase).unwrap_or_default();
        if before == row.phase {
            return;
        }
        match row.phase {
            ClaimPhase::Bound => {
                let text = bound_text(cluster, claim);
                self.tell(at, format!("claim {key} is bound to {text}"));
            }
            ClaimPhase::Lost => self.tell(at, format!("claim {key} is Lost: its volume is gone")),
            ClaimPhase::Pending => self.tell(at, format!("claim {key} is Pending again")),
        }
    }

    fn status(&mut self, at: SimTime, phase: PodPhase, ready: bool) {
        let before = self.status.replace((phase, ready));
        if before == Some((phase, ready)) {
            return;
        }
        let what = match (phase, ready, before) {
            (PodPhase::Running, true, _) => "it is Running and Ready",
            (PodPhase::Running, false, Some((PodPhase::Running, true))) => "it is not Ready any more",
            (PodPhase::Running, false, _) => "it is Running, not Ready yet",
            (PodPhase::Succeeded, ..) => "it has done its work (Succeeded)",
            (PodPhase::Failed, ..) => "it has Failed",
            (PodPhase::Unknown, ..) => "its node does not tell how it is",
            (PodPhase::Pending, ..) => return,
        };
        self.tell(at, what);
    }

    fn node_changed(&mut self, at: SimTime, cluster: &Cluster, node: NodeId, delta: NodeDelta) {
        let of_claim = || {
            let key = self.pod.filter(|(pod, uid)| cluster.pods().get(*pod).is_some_and(|p| p.uid == *uid));
            let claims = key.into_iter().flat_map(|(pod, _)| claims_of(cluster, pod)).flatten();
            let mut volumes = claims.filter_map(|c| cluster.volume_by_name(cluster.claim(c).volume_name?));
            volumes.any(|v| {
                let row = cluster.volume(v);
                row.node_affinity.is_some() && cluster.volume_allows_node(row, node)
            })
        };
        if self.node != Some(node) && !of_claim() {
            return;
        }
        let row = cluster.node(node);
        let name = cluster.names.text(row.name);
        let what = match delta {
            NodeDelta::Condition if row.ready => format!("node {name} is Ready"),
            NodeDelta::Condition => format!("node {name} is not Ready: nothing can start or stop there"),
            NodeDelta::Taints if row.taints.is_empty() && !row.unschedulable => {
                format!("node {name} has no taint any more")
            }
            NodeDelta::Taints => {
                let taints: Vec<&str> = row.taints.iter().map(|t| cluster.names.text(t.key)).collect();
                let cordon = if row.unschedulable { " (cordoned)" } else { "" };
                format!("node {name} has the taints {}{cordon}", taints.join(", "))
            }
            NodeDelta::Allocatable => format!("the allocatable resources of node {name} change"),
            NodeDelta::Labels | NodeDelta::Other => return,
        };
        self.tell(at, what);
    }
}

/// `4 CPU, 16 GiB memory`.
pub fn request_text(cluster: &Cluster, spec: SpecId) -> String {
    let requests = &cluster.spec(spec).requests;
    let mut text = format!(
        "{} CPU, {} memory",
        human::cores(requests.cpu_milli as f64),
        human::bytes(requests.memory_bytes.max(0) as u128)
    );
    for (name, amount) in &requests.scalars {
        text.push_str(&format!(", {amount} {}", cluster.names.text(*name)));
    }
    text
}

/// `300 GiB of local-ssd`, joined.
pub fn claims_text(cluster: &Cluster, claims: &[ClaimSpecId]) -> String {
    let texts: Vec<String> = claims
        .iter()
        .map(|id| {
            let spec = cluster.claim_spec(*id);
            let size = human::bytes(spec.request.ceil().max(0) as u128);
            format!("{size} of {}", cluster.names.text(spec.class_or_empty()))
        })
        .collect();
    texts.join(" + ")
}

/// `PV db-3-d0-p1 (400 GiB on node db-3, 100 GiB more than it asked for)`.
pub fn bound_text(cluster: &Cluster, claim: ClaimId) -> String {
    let row = cluster.claim(claim);
    let Some(name) = row.volume_name else { return "nothing".to_owned() };
    let shown = cluster.names.text(name);
    let Some(volume) = cluster.volume_by_name(name) else {
        return format!("PV {shown}, which does not exist");
    };
    let volume = cluster.volume(volume);
    let capacity = volume.capacity.ceil().max(0);
    let over = capacity - cluster.claim_spec(row.spec).request.ceil();
    let mut inside = vec![human::bytes(capacity as u128)];
    if let Some(node) = only_node(cluster, volume) {
        inside[0].push_str(&format!(" on node {}", cluster.names.text(cluster.node(node).name)));
    }
    if over > 0 {
        inside.push(format!("{} more than it asks for", human::bytes(over as u128)));
    }
    format!("PV {shown} ({})", inside.join(", "))
}

/// The node that a volume's affinity pins it to, if it is one.
pub fn only_node(cluster: &Cluster, volume: &crate::model::volume::Volume) -> Option<NodeId> {
    volume.node_affinity?;
    let mut allowed =
        cluster.nodes().iter().filter(|(id, n)| n.exists && cluster.volume_allows_node(volume, *id));
    let first = allowed.next()?.0;
    allowed.next().is_none().then_some(first)
}

/// The nodes of a diagnosis, by reason; the most frequent first.
pub fn turned_down(cluster: &Cluster, diagnosis: &Diagnosis) -> Vec<Turned> {
    let mut groups = Groups::default();
    for (node, rejection) in &diagnosis.rejected {
        groups.add(cluster, rejection, [*node]);
    }
    if let Some((nodes, rejection)) = &diagnosis.outside {
        groups.add(cluster, rejection, nodes.iter().copied());
    }
    if let Some(rejection) = &diagnosis.pre_filter {
        let all = cluster.nodes().iter().filter(|(_, n)| n.exists).map(|(id, _)| id);
        groups.add(cluster, rejection, all);
    }
    groups.finish()
}

/// Nodes gathered by plugin and reason.
#[derive(Debug, Default)]
pub struct Groups(BTreeMap<(String, String), Vec<String>>);

impl Groups {
    /// More nodes of a reason.
    pub fn add(&mut self, cluster: &Cluster, rejection: &Rejection, nodes: impl IntoIterator<Item = NodeId>) {
        let reason = message::status_text(&rejection.reasons, &cluster.names);
        let names = nodes.into_iter().map(|n| cluster.names.text(cluster.node(n).name).to_owned());
        self.0.entry((rejection.plugin.to_owned(), reason)).or_default().extend(names);
    }
    /// The most frequent first.
    pub fn finish(self) -> Vec<Turned> {
        let mut all: Vec<Turned> = self
            .0
            .into_iter()
            .map(|((plugin, reason), mut nodes)| {
                nodes.sort();
                Turned { plugin, reason, nodes }
            })
            .collect();
        all.sort_by_key(|t| std::cmp::Reverse(t.nodes.len()));
        all
    }
}

impl Observer for Listener {
    fn observe(&mut self, at: SimTime, cluster: &Cluster, what: &Observation) {
        match *what {
            Observation::PodCreated(pod) => self.created(at, cluster, pod),
            Observation::ClaimCreated(claim) => self.claim(at, cluster, claim, true),
            Observation::ClaimPhase { claim, .. } => self.claim(at, cluster, claim, false),
            Observation::ClaimGone { namespace, name, .. } => {
                let key = format!("{}/{}", cluster.names.text(namespace), cluster.names.show(name));
                if self.claims.contains(&key) {
                    self.phases.remove(&key);
                    self.tell(at, format!("claim {key} is gone"));
                }
            }
            Observation::Attempt { pod, result: AttemptResult::Scheduled(node) } if self.is(pod) => {
                let mut chapter = self.attempt.take().unwrap_or_default();
                let name = cluster.names.text(cluster.node(node).name);
                chapter.what = format!("the scheduler chooses node {name}");
                chapter.message.clear();
                self.put(at, chapter);
            }
            Observation::Attempt { pod, result: AttemptResult::Gated } if self.is(pod) => {
                self.tell(at, "it is held back by its scheduling gates");
            }
            Observation::Repeated { pod, attempts } if self.is(pod) => {
                if let Some(last) =
                    self.chapters.iter_mut().rev().find(|c| c.what.starts_with("the scheduler finds"))
                {
                    last.times += attempts;
                    last.last_seconds = at.as_secs_f64();
                }
            }
            Observation::PodAssigned { pod, node } if self.is(pod) => {
                self.node = Some(node);
                let name = cluster.names.text(cluster.node(node).name).to_owned();
                self.tell(at, format!("it is bound to node {name}"));
            }
            Observation::PodStatus { pod, phase, ready } if self.is(pod) => self.status(at, phase, ready),
            Observation::PodTerminating(pod) if self.is(pod) => {
                self.tell(at, "it is being deleted (Terminating)")
            }
            Observation::PodGone { pod, uid, .. } if self.pod == Some((pod, uid)) => {
                self.tell(at, "the pod object is gone");
                self.node = None;
                self.status = None;
                // Another pod may get the row; this one may come again under its name.
                self.pod = Some((PodId::at(u32::MAX), uid));
            }
            Observation::RebuildStarted { pod, bytes } if self.is(pod) => {
                let size = human::bytes(u128::from(bytes));
                self.tell(at, format!("its database is restored from backup: {size} to copy"));
            }
            Observation::Rebuilt { pod, .. } if self.is(pod) => {
                self.tell(at, "the backup is restored; it catches up with its group");
            }
            Observation::NodeChanged(node, delta) => self.node_changed(at, cluster, node, delta),
            Observation::NodeGone(node) if self.node == Some(node) => {
                let name = cluster.names.text(cluster.node(node).name).to_owned();
                self.tell(at, format!("node {name} is deleted"));
            }
            Observation::Event { about, reason, message } => self.event(at, cluster, about, reason, message),
            _ => {}
        }
    }

    fn wants_events(&self) -> bool {
        true
    }

    fn wants_attempt(&self, _: &Cluster, pod: PodId) -> bool {
        self.is(pod)
    }

    fn attempted(&mut self, _: SimTime, cluster: &Cluster, pod: PodId, attempt: &Attempt) {
        let Some(diagnosis) = attempt.diagnosis.as_ref().filter(|_| self.is(pod)) else { return };
        let mut chapter = Chapter { turned_down: turned_down(cluster, diagnosis), ..Chapter::default() };
        if matches!(attempt.outcome, Outcome::Reserved(_)) {
            chapter.feasible = Some(diagnosis.feasible.len());
            let name = |n: &NodeId| cluster.names.text(cluster.node(*n).name).to_owned();
            let mut ranked: Vec<(String, i64)> =
                diagnosis.feasible.iter().map(name).zip(diagnosis.totals.iter().copied()).collect();
            ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            ranked.truncate(MOST_RANKED);
            chapter.ranked = ranked;
        }
        self.attempt = Some(chapter);
    }
}

impl Listener {
    fn event(
        &mut self,
        at: SimTime,
        cluster: &Cluster,
        about: Subject,
        reason: &'static str,
        message: crate::model::names::Sym,
    ) {
        let message = cluster.names.text(message).to_owned();
        let (what, mut chapter) = match about {
            Subject::Pod(pod) if self.is(pod) && reason == "FailedScheduling" => {
                ("the scheduler finds no node".to_owned(), self.attempt.take().unwrap_or_default())
            }
            Subject::Pod(pod) if self.is(pod) => (format!("event {reason}"), Chapter::default()),
            Subject::Claim(claim) if cluster.claims().get(claim).is_some() => {
                let Some(key) = self.is_my_claim(cluster, claim) else { return };
                // Said again at every resync.
                let what = format!("claim {key}: {reason}");
                if self.chapters.iter().any(|c| c.what == what && c.message == message) {
                    return;
                }
                (what, Chapter::default())
            }
            _ => return,
        };
        chapter.what = what;
        chapter.message = message;
        self.put(at, chapter);
    }
}

/// A pod template of a run, with an example.
#[derive(Clone, Debug)]
pub struct SeenTemplate {
    /// Spec of its pods.
    pub spec: SpecId,
    /// What their claims ask for.
    pub claims: Vec<ClaimSpecId>,
    /// The first of them, as `namespace/name`.
    pub example: String,
    /// How many.
    pub count: u64,
}

/// Listens to which pod templates with claims a run has: the M of the definition of stranding.
#[derive(Debug, Default)]
pub struct TemplateListener {
    /// In order of first appearance.
    pub seen: Vec<SeenTemplate>,
    index: FxHashMap<(SpecId, Vec<ClaimSpecId>), usize>,
}

impl Observer for TemplateListener {
    fn observe(&mut self, _: SimTime, cluster: &Cluster, what: &Observation) {
        let Observation::PodCreated(pod) = *what else { return };
        let row = cluster.pod(pod);
        let claims: Vec<ClaimSpecId> =
            claims_by_name(cluster, row.spec, row.name).flatten().map(|c| cluster.claim(c).spec).collect();
        if claims.is_empty() {
            return;
        }
        let next = self.seen.len();
        let at = *self.index.entry((row.spec, claims.clone())).or_insert(next);
        if at == next {
            let example = cluster.pod_key(pod);
            self.seen.push(SeenTemplate { spec: row.spec, claims, example, count: 0 });
        }
        self.seen[at].count += 1;
    }
}
