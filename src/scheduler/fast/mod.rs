//! The fast path: the decisions of the plain scan at a cost that does not grow with the cluster.
//!
//! A pod is taken here only if its fate on a node depends on that node alone: no pod affinity anywhere, no spread constraints,
//! nobody nominated, claims that all wait for a static local volume (or no claims). Everything else is left to the plain scan in
//! [`cycle`](super::cycle), which is the specification: both must agree on every decision.

mod class;
mod nodes;
mod ranking;
#[cfg(test)]
mod tests;

pub use class::FastStats;

use self::class::{Class, Eyes, Failure};
use self::nodes::NodeTable;
use super::cycle::{Unschedulable, nodes_to_find};
use super::cycle_state::CycleState;
use super::framework::*;
use super::node_order::NodeOrder;
use super::profile::{NodesToScore, PreFiltered, Profile};
use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId};
use crate::model::names::sym;
use crate::model::pod::PodOwner;
use crate::model::spec::PodVolume;
use crate::model::volume::{AccessModes, BindingMode, Claim, ClaimPhase};
use rustc_hash::FxHashMap;

/// What the fast path says about a pod.
pub(super) enum Decision {
    /// Not a pod for the fast path.
    Ask,
    /// This node. VolumeBinding's state holds the node's volumes.
    Node(NodeId),
    /// No node is feasible; nodes and codes are in the given buffer.
    None(FitError, Vec<PluginName>),
    /// No node is feasible, and nothing has changed since that was said before.
    Again(Unschedulable, Vec<PluginName>),
}

/// Classes and nodes as the fast path knows them.
#[derive(Debug, Default)]
pub(super) struct FastPath {
    table: NodeTable,
    index: FxHashMap<Box<[u32]>, Option<u32>>,
    classes: Vec<Class>,
    key: Vec<u32>,
    wide: Option<(u64, bool)>,
    pub stats: FastStats,
}

/// Classes beyond which all are forgotten: a bound on memory, not on pods.
const MAX_CACHED_VERDICTS: usize = 40_000_000;

impl FastPath {
    /// Decides about a pod, or leaves it to the plain scan. `rejected` receives the status codes if no node is feasible.
    pub fn decide(
        &mut self,
        profile: &Profile,
        number: usize,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        order: &mut NodeOrder,
        rejected: &mut Vec<(NodeId, Code)>,
    ) -> Decision {
        let decision = self.try_decide(profile, number, view, pod, state, order, rejected);
        match &decision {
            Decision::Ask => self.stats.plain += 1,
            Decision::Again(..) => self.stats.remembered += 1,
            _ => {}
        }
        self.stats.decided += u64::from(!matches!(decision, Decision::Ask));
        decision
    }

    fn try_decide(
        &mut self,
        profile: &Profile,
        number: usize,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        order: &mut NodeOrder,
        rejected: &mut Vec<(NodeId, Code)>,
    ) -> Decision {
        let cluster = view.cluster;
        if !concerns_nodes_alone(cluster, pod) || !self.classify(cluster, number, pod) {
            return Decision::Ask;
        }
        if self.table.sync(cluster) {
            self.index.clear();
            self.classes.clear();
        }
        if self.table.has_soft_taints() {
            return Decision::Ask;
        }
        let eyes = Eyes { profile, view, pod, table: &self.table };
        let class = match self.index.get(&*self.key) {
            Some(None) => return Decision::Ask,
            Some(Some(class)) => *class as usize,
            None => {
                let made = match profile.pre_filter(view, pod, state) {
                    PreFiltered::AllNodes => Class::new(&eyes, state),
                    _ => None,
                };
                if (self.classes.len() + 1).saturating_mul(self.table.len()) > MAX_CACHED_VERDICTS {
                    self.index.clear();
                    self.classes.clear();
                }
                let slot = made.as_ref().map(|_| self.classes.len() as u32);
                self.index.insert(self.key.as_slice().into(), slot);
                let Some(made) = made else { return Decision::Ask };
                self.classes.push(made);
                self.classes.len() - 1
            }
        };
        let class = &mut self.classes[class];
        if let Some((position, failure)) = &class.failed {
            if *position == self.table.end() {
                return Decision::Again(failure.result.clone(), failure.rejectors.clone());
            }
        }
        prepare(profile, view, pod, state);
        if let NodesToScore::Percentage(percentage) = profile.percentage {
            let enough = nodes_to_find(percentage, cluster.node_count());
            if enough < cluster.node_count() {
                return sample(class, &eyes, state, order, enough, &mut self.stats, rejected);
            }
        }
        if !class.sync(&eyes, state, &mut self.stats) {
            return Decision::Ask;
        }
        choose(class, &eyes, state, rejected)
    }

    /// Remembers that no node was feasible for the pod decided last.
    pub fn remember_failure(&mut self, result: &Unschedulable, rejectors: &[PluginName]) {
        if let Some(Some(class)) = self.index.get(&*self.key) {
            let class = &mut self.classes[*class as usize];
            let failure = Failure { result: result.clone(), rejectors: rejectors.to_vec() };
            class.failed = Some((class.position(), failure));
        }
    }

    /// Writes the key of the pod's class, or says that it has none here.
    fn classify(&mut self, cluster: &Cluster, profile: usize, pod: PodId) -> bool {
        let row = cluster.pod(pod);
        self.key.clear();
        self.key.extend([profile as u32, row.spec.0]);
        let spec = cluster.spec(row.spec);
        for volume in &spec.volumes {
            if !matches!(volume, PodVolume::Claim { .. } | PodVolume::ClaimTemplate { .. }) {
                return false;
            }
        }
        for name in cluster.claim_names_of(pod) {
            let claim = name.and_then(|name| cluster.claim_by_name(spec.namespace, name));
            let Some(claim) = claim.map(|id| cluster.claim(id)) else { return false };
            if !waits_for_local_volume(cluster, claim) {
                return false;
            }
            self.key.push(claim.spec.0);
        }
        spec.volumes.is_empty() || !self.has_free_wide_volumes(cluster)
    }

    /// Volumes that several nodes can reach make the choice on one node depend on the others.
    fn has_free_wide_volumes(&mut self, cluster: &Cluster) -> bool {
        let generation = cluster.wide_generation();
        match self.wide {
            Some((at, answer)) if at == generation => answer,
            _ => {
                let free = |id| {
                    let volume = cluster.volume(id);
                    volume.claim_ref.is_none() && volume.assumed_for.is_none()
                };
                let answer = cluster.wide_volumes().iter().any(|id| free(*id));
                self.wide = Some((generation, answer));
                answer
            }
        }
    }
}

/// Nothing that the pod or others ask for relates it to other pods.
fn concerns_nodes_alone(cluster: &Cluster, pod: PodId) -> bool {
    let row = cluster.pod(pod);
    let spec = cluster.spec(row.spec);
    row.nominated.is_none()
        && !cluster.has_nominated_pods()
        && !cluster.has_pod_affinity()
        && !cluster.has_required_anti_affinity()
        && matches!(row.owner, PodOwner::None | PodOwner::Job(_))
        && spec.spread.is_empty()
        && spec.affinity.as_ref().is_none_or(|a| !a.concerns_pods())
        && cluster.services().is_empty()
}

/// A claim that any fitting free local volume can serve, and that nothing has been done about yet.
fn waits_for_local_volume(cluster: &Cluster, claim: &Claim) -> bool {
    let spec = cluster.claim_spec(claim.spec);
    let class = cluster.class(spec.class_or_empty());
    let index = cluster.volume_index();
    claim.phase == ClaimPhase::Pending
        && claim.deletion.is_none()
        && claim.volume_name.is_none()
        && !claim.bind_completed
        && claim.selected_node.is_none()
        && claim.assumed_node.is_none()
        && !spec.modes.contains(AccessModes::RWOP)
        && class.is_some_and(|c| {
            c.binding_mode == BindingMode::WaitForFirstConsumer && c.provisioner == sym::NO_PROVISIONER
        })
        && index.claimed_by(claim.namespace, claim.name).is_empty()
        && index.assumed_for(claim.uid).is_empty()
}

/// Runs PreFilter and PreScore: the plugins' state is the pod's own from here on.
fn prepare(profile: &Profile, view: View<'_>, pod: PodId, state: &mut CycleState) {
    profile.pre_filter(view, pod, state);
    for entry in &profile.score {
        entry.plugin.pre_score(view, pod, state, &[]);
    }
}

fn choose(
    class: &mut Class,
    eyes: &Eyes<'_>,
    state: &mut CycleState,
    rejected: &mut Vec<(NodeId, Code)>,
) -> Decision {
    let cluster = eyes.view.cluster;
    let Some((score, count)) = class.ranking().best() else {
        rejected.clear();
        let codes = cluster.nodes().ids().filter_map(|id| class.rejection(id).map(|r| (id, r.code)));
        rejected.extend(codes);
        return none_feasible(cluster, class.rejections());
    };
    let nth = eyes.view.choose("node", eyes.pod, 0, count);
    let Some(rank) = class.ranking().nth_best(score, nth) else { return Decision::Ask };
    take(eyes, state, eyes.table.at_rank(rank))
}

/// The choice where not all nodes are looked at.
fn sample(
    class: &mut Class,
    eyes: &Eyes<'_>,
    state: &mut CycleState,
    order: &mut NodeOrder,
    enough: usize,
    stats: &mut FastStats,
    rejected: &mut Vec<(NodeId, Code)>,
) -> Decision {
    let start = order.start;
    let nodes = order.list(eyes.view.cluster);
    let start = start % nodes.len().max(1); // nodes may have gone since
    let turn = nodes[start..].iter().chain(&nodes[..start]).copied();
    let Some(mut found) = class.sample(eyes, state, turn, enough, stats) else { return Decision::Ask };
    order.advance(found.looked_at, eyes.view.cluster.node_count());
    if found.feasible == 0 {
        rejected.clear();
        rejected.extend(found.rejected.iter().map(|(id, kind)| (*id, class.kind_of(*kind).code)));
        let kinds = found.rejected.iter().map(|(_, kind)| (class.kind_of(*kind), 1));
        return none_feasible(eyes.view.cluster, kinds);
    }
    found.top.sort_unstable_by_key(|id| eyes.table.rank(*id));
    let nth = eyes.view.choose("node", eyes.pod, 0, found.top.len());
    take(eyes, state, found.top[nth])
}

fn none_feasible<'a>(cluster: &Cluster, rejections: impl Iterator<Item = (&'a Rejection, u32)>) -> Decision {
    let mut error = FitError { nodes: cluster.node_count() as u32, ..FitError::default() };
    let mut rejectors: Vec<PluginName> = Vec::new();
    for (rejection, count) in rejections {
        for &reason in rejection.reasons.as_slice() {
            error.count_nodes(reason, count);
        }
        if !rejectors.contains(&rejection.plugin) {
            rejectors.push(rejection.plugin);
        }
    }
    Decision::None(error, rejectors)
}

fn take(eyes: &Eyes<'_>, state: &mut CycleState, node: NodeId) -> Decision {
    // VolumeBinding remembers in its state which volumes it found: ask the one node for real.
    match eyes.profile.filter(eyes.view, eyes.pod, state, eyes.view.node(node)) {
        Ok(()) => Decision::Node(node),
        Err(rejection) => {
            debug_assert!(false, "the fast path chose a node that {} rejects", rejection.plugin);
            Decision::Ask
        }
    }
}
