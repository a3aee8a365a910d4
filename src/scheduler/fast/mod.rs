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
use super::plugins::volume_binding;
use super::profile::{NodesToScore, PreFiltered, Profile};
use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId};
use crate::model::names::sym;
use crate::model::pod::PodOwner;
use crate::model::spec::PodVolume;
use crate::model::volume::{AccessModes, BindingMode, Claim, ClaimPhase, Volume, VolumeSource};
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

/// What the fast path makes of a pod's claims.
enum Claims {
    /// None, or all wait for a local volume.
    Waiting,
    /// All are bound to local volumes.
    Bound,
    /// Anything else.
    Other,
}

/// Classes and nodes as the fast path knows them.
#[derive(Debug, Default)]
pub(super) struct FastPath {
    table: NodeTable,
    index: FxHashMap<Box<[u32]>, Option<u32>>,
    classes: Vec<Class>,
    key: Vec<u32>,
    /// Nodes that the bound volumes of the pod at hand allow.
    homes: Vec<NodeId>,
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
        if !concerns_nodes_alone(cluster, pod) {
            return Decision::Ask;
        }
        let pinned = match self.classify(cluster, number, pod) {
            Claims::Waiting => false,
            Claims::Bound => true,
            Claims::Other => return Decision::Ask,
        };
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
                    PreFiltered::AllNodes => Class::new(&eyes, state, pinned),
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
        if let Some((position, failure)) = class.failed.as_ref().filter(|_| !pinned)
            && *position == self.table.end()
        {
            return Decision::Again(failure.result.clone(), failure.rejectors.clone());
        }
        prepare(profile, view, pod, state);
        if pinned {
            if !class.sync(&eyes, state, &mut self.stats) {
                return Decision::Ask;
            }
            return stay(class, &eyes, state, &self.homes, rejected);
        }
        if profile.score.is_empty() {
            return Decision::Ask; // the first feasible node will do, whatever the ranking says
        }
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

    /// Writes the key of the pod's class, and where its volumes are if they are bound.
    fn classify(&mut self, cluster: &Cluster, profile: usize, pod: PodId) -> Claims {
        let row = cluster.pod(pod);
        self.key.clear();
        self.key.extend([profile as u32, row.spec.0]);
        let spec = cluster.spec(row.spec);
        for volume in &spec.volumes {
            if !matches!(volume, PodVolume::Claim { .. } | PodVolume::ClaimTemplate { .. }) {
                return Claims::Other;
            }
        }
        let (mut waiting, mut bound) = (0, 0);
        self.homes.clear();
        for name in cluster.claim_names_of(pod) {
            let claim = name.and_then(|name| cluster.claim_by_name(spec.namespace, name));
            let Some(claim) = claim.map(|id| cluster.claim(id)) else { return Claims::Other };
            if waits_for_local_volume(cluster, claim) {
                waiting += 1;
                self.key.push(claim.spec.0);
            } else if let Some(volume) = bound_local_volume(cluster, claim) {
                note_home(cluster, volume, bound == 0, &mut self.homes);
                bound += 1;
            } else {
                return Claims::Other;
            }
        }
        match (waiting, bound) {
            (0, 0) => Claims::Waiting,
            (_, 0) if !self.has_free_wide_volumes(cluster) => Claims::Waiting,
            (0, _) => {
                self.key.push(u32::MAX);
                Claims::Bound
            }
            _ => Claims::Other,
        }
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

/// The volume of a bound claim, if it is a local one, pinned to a host, that says nothing about zones.
fn bound_local_volume<'c>(cluster: &'c Cluster, claim: &Claim) -> Option<&'c Volume> {
    let usable = claim.phase == ClaimPhase::Bound
        && claim.bind_completed
        && claim.deletion.is_none()
        && !cluster.claim_spec(claim.spec).modes.contains(AccessModes::RWOP);
    let volume = cluster.volume(cluster.volume_by_name(claim.volume_name.filter(|_| usable)?)?);
    let labels = cluster.label_set(volume.labels);
    let zoned = [sym::ZONE, sym::REGION, sym::ZONE_BETA, sym::REGION_BETA];
    let plain = volume.source == VolumeSource::Local
        && cluster.pinned_host(volume.node_affinity).is_some()
        && zoned.iter().all(|key| labels.get(*key).is_none());
    plain.then_some(volume)
}

/// Narrows the nodes that all volumes of a pod allow. The volumes of the fast path are pinned to one host.
fn note_home(cluster: &Cluster, volume: &Volume, first: bool, homes: &mut Vec<NodeId>) {
    if first {
        let host = cluster.pinned_host(volume.node_affinity);
        homes.extend(host.map_or(&[][..], |host| cluster.nodes_of_host(host)));
    }
    homes.retain(|node| cluster.volume_allows_node(volume, *node));
}

/// The choice for a pod whose volumes are bound: the node where they are, or none.
fn stay(
    class: &mut Class,
    eyes: &Eyes<'_>,
    state: &mut CycleState,
    homes: &[NodeId],
    rejected: &mut Vec<(NodeId, Code)>,
) -> Decision {
    let cluster = eyes.view.cluster;
    let mut verdicts: Vec<(NodeId, Rejection)> = Vec::new();
    let mut feasible = None;
    for &home in homes {
        match eyes.profile.filter(eyes.view, eyes.pod, state, eyes.view.node(home)) {
            Ok(()) if feasible.is_some() => return Decision::Ask, // two homes: they are to be scored
            Ok(()) => feasible = Some(home),
            Err(rejection) => verdicts.push((home, rejection)),
        }
    }
    if let Some(node) = feasible {
        return Decision::Node(node);
    }
    let elsewhere = Rejection::text(
        volume_binding::NAME,
        Code::UnschedulableAndUnresolvable,
        volume_binding::NODE_CONFLICT,
    );
    let mut counts: Vec<(&Rejection, u32)> = class.rejections().collect();
    let met: u32 = counts.iter().map(|(_, count)| count).sum();
    let mut passing = cluster.node_count() as u32 - met;
    for (home, verdict) in &verdicts {
        match class.rejection(*home) {
            Some(general) => {
                if let Some((_, count)) = counts.iter_mut().find(|(r, _)| *r == general) {
                    *count -= 1;
                }
            }
            None => passing -= 1,
        }
        counts.push((verdict, 1));
    }
    counts.push((&elsewhere, passing));
    rejected.clear();
    // PostFilter asks only for nodes where preemption might help: codes of the others are the default.
    let curable = cluster.nodes().ids().filter_map(|id| {
        let own = verdicts.iter().find(|(home, _)| *home == id).map(|(_, r)| r);
        let code = own.or_else(|| class.rejection(id)).map(|r| r.code)?;
        (code != Code::UnschedulableAndUnresolvable).then_some((id, code))
    });
    rejected.extend(curable);
    none_feasible(cluster, counts.into_iter().filter(|(_, count)| *count > 0))
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
    let nodes = order.list();
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
