//! The scheduling cycle: PreFilter, Filter, Score, Reserve for one pod, or PostFilter if no node is feasible; and the steps of the
//! binding cycle.
//!
//! This is the plain scan: every node is looked at. It is the specification of `--engine plain`.

use super::cycle_state::CycleState;
use super::dormant::{Condition, Doze, Known, Oracle};
pub use super::fast::DEFAULT_CACHE_BYTES;
use super::fast::{Decision, FastPath, FastStats};
use super::framework::*;
use super::message;
use super::node_order::NodeOrder;
use super::plugins::{default_binder, volume_binding};
use super::profile::{NodesToScore, PreFiltered, Profile};
use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, NodeId, PodId, VolumeId};
use crate::model::names::Names;
use crate::model::volume::AccessModes;
use std::sync::Arc;

/// How much to remember of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The outcome: what a simulation needs.
    #[default]
    Brief,
    /// Everything: what `explain` and the comparison with recordings need.
    Full,
}

/// How attempts are executed. Both make the same decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// What is known of nodes that have not changed is not computed again.
    #[default]
    Fast,
    /// Every plugin looks at every node: the specification.
    Plain,
}

/// Work that attempts took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// By the fast path.
    pub fast: FastStats,
    /// Volumes at which the fast path looked.
    pub volumes: u64,
    /// Attempts by the plain scan.
    pub plain: u64,
    /// Calls of a Filter or Score plugin for one node, but for the dry runs of preemption.
    pub evaluations: u64,
}

/// One attempt to be made.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The pod. It is neither bound nor assumed, not being deleted, and uses no unmodelled feature.
    pub pod: PodId,
    /// Now.
    pub now: SimTime,
    /// Number of the attempt at this pod: random choices differ from attempt to attempt.
    pub attempt: u64,
    /// How much to remember.
    pub detail: Detail,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A node was chosen; the pod is assumed there and its volumes are reserved. The binding cycle follows.
    Reserved(Binding),
    /// No node can take the pod.
    Unschedulable(Unschedulable),
    /// The cycle failed: reason `SchedulerError`.
    Error(String),
}

/// Why no node can take a pod, and what was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unschedulable {
    /// Counted reasons.
    pub error: FitError,
    /// Messages of the PostFilter plugins.
    pub post_filter: Vec<PostFilterMessage>,
    /// Preemption found a node; the pod is nominated to it. Whoever drives the cycle deletes the victims.
    pub nomination: Option<Nomination>,
}

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub outcome: Outcome,
    /// Plugins that rejected the pod on some node, or as a whole: what its queueing hints listen for. In order of first appearance.
    pub rejectors: Vec<PluginName>,
    /// With [`Detail::Full`]: everything.
    pub diagnosis: Option<Box<Diagnosis>>,
}

impl Attempt {
    /// The message of the pod's PodScheduled condition, if the attempt failed.
    pub fn message(&self, names: &Names) -> Option<String> {
        match &self.outcome {
            Outcome::Reserved(_) => None,
            Outcome::Error(message) => Some(message.clone()),
            Outcome::Unschedulable(u) => Some(message::fit_error(&u.error, &u.post_filter, names)),
        }
    }
}

/// All that an attempt found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// Nodes that passed every filter.
    pub feasible: Vec<NodeId>,
    /// Nodes that a filter rejected.
    pub rejected: Vec<(NodeId, Rejection)>,
    /// Nodes outside the set that PreFilter returned, with the status that stands for them.
    pub outside: Option<(Vec<NodeId>, Rejection)>,
    /// Nodes that nobody looked at: the pod's nominated node was feasible, or enough others were.
    pub not_evaluated: Vec<NodeId>,
    /// PreFilter rejected the pod.
    pub pre_filter: Option<Rejection>,
    /// Scores, if two or more nodes were feasible: per plugin one number per node of `feasible`, normalized and weighted.
    pub scores: Vec<(PluginName, Vec<i64>)>,
    /// Sums of `scores`.
    pub totals: Vec<i64>,
    /// Nodes of the highest total, by name.
    pub top: Vec<NodeId>,
    /// What VolumeBinding found for the claims that are still unbound, per feasible node.
    pub volumes: Vec<(NodeId, FoundVolumes)>,
}

/// What VolumeBinding found for a pod's unbound claims on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundVolumes {
    /// Claims with the volumes they would get.
    pub bind: Vec<(ClaimId, VolumeId)>,
    /// Claims for which a volume would be made.
    pub provision: Vec<ClaimId>,
}

/// Buffers that are used again for every pod.
#[derive(Debug, Default)]
struct Scratch {
    nodes: Vec<NodeId>,
    feasible: Vec<NodeId>,
    rejected: Vec<(NodeId, Code)>,
    totals: Vec<i64>,
    column: Vec<i64>,
}

/// The scheduler: profiles and what it keeps between pods.
#[derive(Debug)]
pub struct Scheduler {
    profiles: Vec<Profile>,
    ties: TieBreak,
    state: CycleState,
    scratch: Scratch,
    order: NodeOrder,
    engine: Engine,
    fast: FastPath,
    doze: Option<Doze>,
    /// Attempts by the plain scan.
    plain: u64,
}

/// What the search for feasible nodes found.
enum Search {
    Feasible,
    /// None is feasible. `others` is the status of nodes without one of their own.
    None {
        error: FitError,
        others: Code,
    },
    Error(String),
}

impl Scheduler {
    /// With one or more profiles.
    pub fn new(profiles: Vec<Profile>, ties: TieBreak) -> Scheduler {
        Scheduler {
            profiles,
            ties,
            state: CycleState::default(),
            scratch: Scratch::default(),
            order: NodeOrder::default(),
            engine: Engine::default(),
            fast: FastPath::default(),
            doze: None,
            plain: 0,
        }
    }
    /// The same with another engine.
    pub fn with_engine(mut self, engine: Engine) -> Scheduler {
        self.engine = engine;
        self
    }
    /// The same with so many bytes for what is remembered of nodes (256 MiB otherwise). Beyond them nodes are looked at for every pod:
    /// decisions stay the same.
    pub fn with_cache_budget(mut self, bytes: usize) -> Scheduler {
        self.fast.set_budget(bytes);
        self
    }
    /// Work done so far.
    pub fn work(&self) -> Work {
        let (fast, volumes) = (self.fast.stats, self.fast.volumes());
        Work { fast, volumes, plain: self.plain, evaluations: self.state.evaluations }
    }
    /// The profiles.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }
    /// The profile that schedules a pod; `None`: another scheduler's pod, which is left alone.
    pub fn profile_of(&self, cluster: &Cluster, pod: PodId) -> Option<&Profile> {
        let name = cluster.spec_of(pod).scheduler_name;
        self.profiles.iter().find(|profile| profile.scheduler_name == name)
    }

    /// Tries to find a node for a pod. `None` if no profile is responsible for it.
    ///
    /// Changes the cluster only as the scheduler's memory does: the pod is assumed and its volumes are reserved, or its
    /// nomination is set or cleared.
    pub fn attempt(&mut self, cluster: &mut Cluster, request: Request) -> Option<Attempt> {
        let name = cluster.spec_of(request.pod).scheduler_name;
        let profile = self.profiles.iter().position(|profile| profile.scheduler_name == name)?;
        self.order.sync(cluster);
        let mut cycle = Cycle {
            profile: &self.profiles[profile],
            ties: &self.ties,
            state: &mut self.state,
            scratch: &mut self.scratch,
            order: &mut self.order,
            request,
            rejectors: Vec::new(),
            diagnosis: (request.detail == Detail::Full).then(Box::default),
        };
        self.doze = None;
        let fast = self.engine == Engine::Fast && request.detail == Detail::Brief;
        let outcome =
            fast.then(|| cycle.run_fast(cluster, &mut self.fast, profile)).flatten().unwrap_or_else(|| {
                self.plain += 1;
                cycle.run(cluster)
            });
        let (rejectors, diagnosis) = (cycle.rejectors, cycle.diagnosis);
        if fast {
            self.doze = self.doze_after(cluster, request.pod, profile, &outcome, &rejectors);
        }
        Some(Attempt { outcome, rejectors, diagnosis })
    }

    /// Under which condition the pod attempted last will fail again, if that is known. With the plain engine it never is.
    pub fn take_doze(&mut self) -> Option<Doze> {
        self.doze.take()
    }
    fn doze_after(
        &mut self,
        cluster: &Cluster,
        pod: PodId,
        profile: usize,
        outcome: &Outcome,
        rejectors: &[PluginName],
    ) -> Option<Doze> {
        let doze = self.fast.take_doze();
        let Outcome::Unschedulable(result) = outcome else { return None };
        if doze.is_some() || !waits_for_controller(cluster, pod, result) {
            return doze;
        }
        let config = cluster.config_generation();
        let known = Arc::new(Known { result: result.clone(), rejectors: rejectors.to_vec() });
        let condition = Condition::Claims { config, profile, spec: cluster.pod(pod).spec };
        Some(Doze { condition, homes: Vec::new(), known })
    }

    /// Binds the pod: the end of the binding cycle.
    pub fn bind(&self, cluster: &mut Cluster, binding: &Binding) {
        default_binder::bind(cluster, binding);
    }
    /// The binding cycle failed: everything reserved is given back and the pod is forgotten.
    pub fn unreserve(&self, cluster: &mut Cluster, binding: &Binding) {
        if let Some(profile) = self.profile_of(cluster, binding.pod) {
            for plugin in profile.reserve.iter().rev() {
                plugin.unreserve(cluster, binding);
            }
        }
        cluster.forget_pod(binding.pod);
        cluster.set_nominated(binding.pod, None);
    }
}

impl Oracle for Scheduler {
    fn still_fails(
        &mut self,
        cluster: &Cluster,
        condition: &Condition,
        former: &Arc<Known>,
    ) -> Option<Arc<Known>> {
        match *condition {
            Condition::Claims { config, .. } => {
                (config == cluster.config_generation()).then(|| Arc::clone(former))
            }
            Condition::Class { profile, .. } => {
                self.fast.still_fails(cluster, &self.profiles[profile], condition)
            }
        }
    }
    fn may_take(&self, condition: &Condition, home: NodeId) -> bool {
        self.fast.may_take(condition, home)
    }
}

/// The pod was rejected only because the PV controller has not bound its claims: whatever happens to nodes and other pods, it is
/// rejected again until its claims change.
fn waits_for_controller(cluster: &Cluster, pod: PodId, result: &Unschedulable) -> bool {
    let waits = matches!(&result.error.pre_filter, Some(Reasons::One(reason))
        if *reason == Reason::Text(volume_binding::UNBOUND_IMMEDIATE));
    let namespace = cluster.spec_of(pod).namespace;
    waits
        && cluster.nomination(pod).is_none()
        && cluster.claim_names_of(pod).all(|name| {
            let claim = name.and_then(|name| cluster.claim_by_name(namespace, name));
            claim.is_some_and(|id| !cluster.claim_spec_of(id).modes.contains(AccessModes::RWOP))
        })
}

/// The message of a binding cycle that failed in PreBind.
pub fn pre_bind_error(plugin: PluginName, said: &str) -> String {
    format!("running PreBind plugin {plugin:?}: {said}")
}

/// One scheduling cycle.
struct Cycle<'a> {
    profile: &'a Profile,
    ties: &'a TieBreak,
    state: &'a mut CycleState,
    scratch: &'a mut Scratch,
    order: &'a mut NodeOrder,
    request: Request,
    rejectors: Vec<PluginName>,
    diagnosis: Option<Box<Diagnosis>>,
}

impl<'a> Cycle<'a> {
    fn view<'c>(&self, cluster: &'c Cluster) -> View<'c>
    where
        'a: 'c,
    {
        View { cluster, now: self.request.now, ties: self.ties, attempt: self.request.attempt }
    }

    fn run(&mut self, cluster: &mut Cluster) -> Outcome {
        let pod = self.request.pod;
        if cluster.node_count() == 0 {
            cluster.set_nominated(pod, None);
            return Outcome::Unschedulable(Unschedulable::default());
        }
        let chosen = match self.find_feasible(cluster) {
            Search::Feasible => self.select(cluster),
            Search::None { error, others } => return self.post_filter(cluster, error, others),
            Search::Error(said) => Err(said),
        };
        match chosen {
            Ok(node) => self.reserve(cluster, node),
            Err(said) => {
                cluster.set_nominated(pod, None);
                Outcome::Error(said)
            }
        }
    }

    /// The same by the fast path; `None` if it leaves the pod to the plain scan.
    fn run_fast(&mut self, cluster: &mut Cluster, fast: &mut FastPath, profile: usize) -> Option<Outcome> {
        let (view, pod) = (self.view(cluster), self.request.pod);
        let rejected = &mut self.scratch.rejected;
        match fast.decide(self.profile, profile, view, pod, self.state, self.order, rejected) {
            Decision::Ask => None,
            Decision::Node(node) => Some(self.reserve(cluster, node)),
            Decision::Known(known) => {
                self.rejectors.clone_from(&known.rejectors);
                Some(Outcome::Unschedulable(known.result.clone()))
            }
            Decision::None(error, rejectors) => {
                self.rejectors = rejectors;
                let outcome = self.post_filter(cluster, error, Code::UnschedulableAndUnresolvable);
                if let Outcome::Unschedulable(result) = &outcome
                    && result.nomination.is_none()
                {
                    let (result, rejectors) = (result.clone(), self.rejectors.clone());
                    fast.remember_failure(Known { result, rejectors });
                }
                Some(outcome)
            }
        }
    }

    fn rejected_by(&mut self, plugin: PluginName) {
        if !plugin.is_empty() && !self.rejectors.contains(&plugin) {
            self.rejectors.push(plugin);
        }
    }

    /// `findNodesThatFitPod`.
    fn find_feasible(&mut self, cluster: &Cluster) -> Search {
        let (pod, nodes) = (self.request.pod, cluster.node_count() as u32);
        self.scratch.feasible.clear();
        self.scratch.rejected.clear();
        let mut error = FitError { nodes, ..FitError::default() };
        let (allowed, narrowing) = match self.profile.pre_filter(self.view(cluster), pod, self.state) {
            PreFiltered::Error(said) => return Search::Error(said),
            PreFiltered::Rejected(rejection, narrowing) => {
                narrowing.into_iter().for_each(|plugin| self.rejected_by(plugin));
                self.rejected_by(rejection.plugin);
                let others = rejection.code;
                error.pre_filter = Some(rejection.reasons.clone());
                if let Some(d) = &mut self.diagnosis {
                    d.pre_filter = Some(rejection);
                }
                return Search::None { error, others };
            }
            PreFiltered::AllNodes => (None, Vec::new()),
            PreFiltered::Nodes(names, plugins) => (Some(names), plugins),
        };
        if let Some(nominated) = cluster.nomination(pod).filter(|node| cluster.node(*node).exists)
            && self.nominated_fits(cluster, nominated)
        {
            return Search::Feasible;
        }
        self.list_nodes(cluster, allowed.as_deref());
        if let Err(said) = self.filter_nodes(cluster, &mut error) {
            return Search::Error(said);
        }
        narrowing.iter().for_each(|plugin| self.rejected_by(plugin));
        self.note_outside(cluster, allowed.is_some(), &narrowing, &mut error);
        if self.scratch.feasible.is_empty() {
            Search::None { error, others: Code::UnschedulableAndUnresolvable }
        } else {
            Search::Feasible
        }
    }

    /// A pod with a nominated node takes it if it still fits; the other nodes are not looked at then.
    fn nominated_fits(&mut self, cluster: &Cluster, nominated: NodeId) -> bool {
        let view = self.view(cluster);
        let pod = self.request.pod;
        if let Err(rejection) =
            self.profile.filter_with_nominated(view, pod, self.state, view.node(nominated))
        {
            self.rejected_by(rejection.plugin);
            return false;
        }
        self.scratch.feasible.push(nominated);
        if let Some(d) = &mut self.diagnosis {
            d.feasible.push(nominated);
            let others = cluster.nodes().iter().filter(|(id, node)| node.exists && *id != nominated);
            d.not_evaluated = others.map(|(id, _)| id).collect();
        }
        true
    }

    /// The nodes to look at, into `scratch.nodes`.
    fn list_nodes(&mut self, cluster: &Cluster, allowed: Option<&[crate::model::names::Sym]>) {
        let nodes = &mut self.scratch.nodes;
        nodes.clear();
        match (allowed, self.profile.percentage) {
            (Some(names), _) => nodes.extend(names.iter().filter_map(|name| cluster.node_by_name(*name))),
            (None, NodesToScore::All) => {
                nodes.extend(cluster.nodes().iter().filter(|(_, node)| node.exists).map(|(id, _)| id));
            }
            (None, NodesToScore::Percentage(_)) => nodes.extend_from_slice(self.order.list()),
        }
    }

    /// `findNodesThatPassFilters` over `scratch.nodes`.
    fn filter_nodes(&mut self, cluster: &Cluster, error: &mut FitError) -> Result<(), String> {
        let pod = self.request.pod;
        let view = self.view(cluster);
        let count = self.scratch.nodes.len();
        let (start, enough) = match self.profile.percentage {
            NodesToScore::All => (0, count),
            NodesToScore::Percentage(p) => (self.order.start, nodes_to_find(p, count)),
        };
        // Without scores the first node will do.
        let enough = if self.profile.score.is_empty() { enough.min(1) } else { enough };
        let mut looked_at = 0;
        for i in 0..count {
            let node = self.scratch.nodes[(start + i) % count];
            match self.profile.filter_with_nominated(view, pod, self.state, view.node(node)) {
                // Kubernetes notices that it has enough when it finds one more; that one counts as not looked at.
                Ok(()) if self.scratch.feasible.len() >= enough => break,
                Ok(()) => self.scratch.feasible.push(node),
                Err(rejection) if rejection.code == Code::Error => {
                    let said = message::status_text(&rejection.reasons, &cluster.names);
                    return Err(format!("running {:?} filter plugin: {said}", rejection.plugin));
                }
                Err(rejection) => self.reject(node, rejection, error),
            }
            looked_at += 1;
        }
        self.order.advance(looked_at, cluster.node_count());
        if let Some(d) = &mut self.diagnosis {
            d.feasible.extend_from_slice(&self.scratch.feasible);
            let rest = (looked_at..count).map(|i| self.scratch.nodes[(start + i) % count]);
            d.not_evaluated.extend(rest);
        }
        Ok(())
    }

    fn reject(&mut self, node: NodeId, rejection: Rejection, error: &mut FitError) {
        self.rejected_by(rejection.plugin);
        self.scratch.rejected.push((node, rejection.code));
        error.count(&rejection.reasons);
        if let Some(d) = &mut self.diagnosis {
            d.rejected.push((node, rejection));
        }
    }

    /// Nodes that PreFilter left out get one status together.
    fn note_outside(
        &mut self,
        cluster: &Cluster,
        narrowed: bool,
        plugins: &[PluginName],
        error: &mut FitError,
    ) {
        let outside = cluster.node_count().saturating_sub(self.scratch.nodes.len());
        if !narrowed || outside == 0 {
            return;
        }
        let reason = Reason::OutsideNodeSet(PluginNames::new(plugins));
        error.count_nodes(reason, outside as u32);
        if let Some(d) = &mut self.diagnosis {
            let listed = |id: &NodeId| self.scratch.nodes.contains(id);
            let all = cluster.nodes().iter().filter(|(_, node)| node.exists).map(|(id, _)| id);
            let rejection = Rejection::new("", Code::UnschedulableAndUnresolvable, reason);
            d.outside = Some((all.filter(|id| !listed(id)).collect(), rejection));
        }
    }

    /// Scores the feasible nodes and takes one of the best.
    fn select(&mut self, cluster: &Cluster) -> Result<NodeId, String> {
        let view = self.view(cluster);
        if let Some(d) = &mut self.diagnosis {
            let state = &self.state.volume_binding;
            if state.has_waiting_claims() && self.profile.filter_plugins().any(|p| p == volume_binding::NAME)
            {
                let found = |node: &NodeId| {
                    let found = state.volumes_on(*node)?;
                    let provision = found.provisions.iter().map(|p| p.claim).collect();
                    Some((*node, FoundVolumes { bind: found.bindings.to_vec(), provision }))
                };
                d.volumes = d.feasible.iter().filter_map(found).collect();
            }
        }
        if let [only] = self.scratch.feasible[..] {
            return Ok(only);
        }
        self.score(view)?;
        let (nodes, totals) = (&self.scratch.feasible, &self.scratch.totals);
        let best = totals.iter().copied().max().unwrap_or(0);
        let top = &mut self.scratch.nodes;
        top.clear();
        top.extend(nodes.iter().zip(totals).filter(|(_, total)| **total == best).map(|(node, _)| *node));
        top.sort_by(|a, b| cluster.names.compare(cluster.node(*a).name, cluster.node(*b).name));
        if let Some(d) = &mut self.diagnosis {
            d.totals.clone_from(totals);
            d.top.clone_from(top);
        }
        Ok(top[view.choose("node", self.request.pod, 0, top.len())])
    }

    /// `RunPreScorePlugins` and `RunScorePlugins`: totals per feasible node.
    fn score(&mut self, view: View<'_>) -> Result<(), String> {
        let pod = self.request.pod;
        let Scratch { feasible, totals, column, .. } = &mut *self.scratch;
        let mut active = 0u64;
        for (i, entry) in self.profile.score.iter().enumerate() {
            match entry.plugin.pre_score(view, pod, self.state, feasible) {
                PreScore::Continue => active |= 1 << i,
                PreScore::Skip => {}
                PreScore::Error(said) => {
                    return Err(format!("running PreScore plugin {:?}: {said}", entry.plugin.name()));
                }
            }
        }
        totals.clear();
        totals.resize(feasible.len(), 0);
        let mut invalid: Vec<(NodeId, PluginName, i64)> = Vec::new();
        for (i, entry) in self.profile.score.iter().enumerate() {
            if active & 1 << i == 0 {
                continue;
            }
            self.state.evaluations += feasible.len() as u64;
            column.clear();
            column.extend(feasible.iter().map(|node| entry.plugin.score(view, pod, self.state, *node)));
            entry.plugin.normalize(view, pod, self.state, column);
            for (node, &score) in feasible.iter().zip(column.iter()) {
                if !(0..=MAX_NODE_SCORE).contains(&score) {
                    invalid.push((*node, entry.plugin.name(), score));
                }
            }
            for (score, total) in column.iter_mut().zip(totals.iter_mut()) {
                *score *= entry.weight;
                *total += *score;
            }
            if let Some(d) = &mut self.diagnosis {
                d.scores.push((entry.plugin.name(), column.clone()));
            }
        }
        if invalid.is_empty() { Ok(()) } else { Err(self.invalid_score(&invalid)) }
    }

    /// The cycle fails at the first node in Kubernetes' order that has an invalid score, and at its first plugin that gives one.
    fn invalid_score(&mut self, invalid: &[(NodeId, PluginName, i64)]) -> String {
        if let Some(d) = &mut self.diagnosis {
            d.scores.clear();
        }
        let start = self.order.start;
        let order = self.order.list();
        let place = |node: NodeId| {
            let at = order.iter().position(|n| *n == node).unwrap_or(0);
            (at + order.len() - start % order.len().max(1)) % order.len().max(1)
        };
        let first = invalid.iter().min_by_key(|(node, ..)| place(*node));
        let (plugin, score) = first.map_or(("", 0), |(_, plugin, score)| (*plugin, *score));
        format!(
            "applying score defaultWeights on Score plugins: plugin {plugin:?} returns an invalid score {score}, \
             it should in the range of [0, {MAX_NODE_SCORE}] after normalizing"
        )
    }

    /// Assumes the pod on the node and runs Reserve.
    fn reserve(&mut self, cluster: &mut Cluster, node: NodeId) -> Outcome {
        let pod = self.request.pod;
        cluster.assume_pod(pod, node);
        cluster.set_nominated(pod, None);
        let mut binding = Binding { pod, uid: cluster.pod(pod).uid, node, volumes: None };
        for plugin in &self.profile.reserve {
            let Err(rejection) = plugin.reserve(cluster, self.state, &mut binding) else { continue };
            for plugin in self.profile.reserve.iter().rev() {
                plugin.unreserve(cluster, &binding);
            }
            cluster.forget_pod(pod);
            if rejection.code == Code::Error {
                let said = message::status_text(&rejection.reasons, &cluster.names);
                return Outcome::Error(format!("running Reserve plugin {:?}: {said}", rejection.plugin));
            }
            self.rejected_by(rejection.plugin);
            let mut error = FitError { nodes: 1, ..FitError::default() };
            error.count(&rejection.reasons);
            return Outcome::Unschedulable(Unschedulable { error, ..Unschedulable::default() });
        }
        Outcome::Reserved(binding)
    }

    /// No node is feasible: PostFilter.
    fn post_filter(&mut self, cluster: &mut Cluster, error: FitError, others: Code) -> Outcome {
        let pod = self.request.pod;
        let mut result = Unschedulable { error, ..Unschedulable::default() };
        let mut clear = self.profile.post_filter.is_empty();
        for plugin in &self.profile.post_filter {
            let view =
                View { cluster, now: self.request.now, ties: self.ties, attempt: self.request.attempt };
            let rejections = Rejections { nodes: &self.scratch.rejected, others };
            match plugin.post_filter(self.profile, view, pod, self.state, rejections) {
                PostFilter::Nominate(nomination) => {
                    result.post_filter.clear();
                    clear_lower_nominations(cluster, pod, &nomination);
                    cluster.set_nominated(pod, Some(nomination.node));
                    result.nomination = Some(nomination);
                    return Outcome::Unschedulable(result);
                }
                PostFilter::Unschedulable { message, clear_nomination } => {
                    result.post_filter.push(message);
                    clear |= clear_nomination;
                }
                PostFilter::Error(message) => {
                    // Only what failed is said, and a former nomination stays.
                    result.post_filter = vec![message];
                    return Outcome::Unschedulable(result);
                }
            }
        }
        if clear {
            cluster.set_nominated(pod, None);
        }
        Outcome::Unschedulable(result)
    }
}

/// Pods of lower priority nominated to the node may not fit there any more: their nominations are withdrawn. Not if all victims are
/// terminating already: then nothing is prepared.
fn clear_lower_nominations(cluster: &mut Cluster, pod: PodId, nomination: &Nomination) {
    if nomination.victims.iter().all(|victim| cluster.pod(*victim).deletion.is_some()) {
        return;
    }
    let priority = cluster.spec_of(pod).priority;
    let nominated = cluster.nominated_pods(nomination.node).iter().copied();
    let lower: Vec<PodId> = nominated.filter(|other| cluster.spec_of(*other).priority < priority).collect();
    for other in lower {
        cluster.set_nominated(other, None);
    }
}

/// `numFeasibleNodesToFind`.
pub(super) fn nodes_to_find(percentage: u32, nodes: usize) -> usize {
    const AT_LEAST: usize = 100;
    if nodes < AT_LEAST {
        return nodes;
    }
    let percentage = match percentage {
        0 => 50usize.saturating_sub(nodes / 125).max(5),
        given => given as usize,
    };
    (nodes * percentage / 100).max(AT_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_nodes_to_find() {
        for (percentage, nodes, want) in [
            (0, 10, 10),
            (0, 99, 99),
            (0, 100, 100),
            (0, 1000, 420),
            (0, 5000, 500),
            (0, 6000, 300),
            (40, 1000, 400),
            (40, 10, 10),
            (5, 1000, 100),
            (100, 1000, 1000),
        ] {
            assert_eq!(nodes_to_find(percentage, nodes), want, "{percentage} {nodes}");
        }
    }
}
