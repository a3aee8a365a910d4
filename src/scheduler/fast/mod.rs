//! The fast path: the decisions of the plain scan at a cost that does not grow with the cluster.
//!
//! A pod is taken here only if its fate on a node depends on that node alone: no pod affinity anywhere, no spread constraints,
//! nobody nominated, claims that all wait for a static local volume (or no claims). Everything else is left to the plain scan in
//! [`cycle`](super::cycle), which is the specification: both must agree on every decision.

mod class;
mod native;
mod nodes;
mod ranking;
#[cfg(test)]
mod tests;

pub use class::FastStats;

use self::class::{Class, Eyes, says_the_usual, sum_up};
use self::nodes::NodeTable;
use super::cycle::{Unschedulable, nodes_to_find};
use super::cycle_state::CycleState;
use super::dormant::{Condition, Doze, Known};
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
use std::sync::Arc;

/// What the fast path says about a pod.
pub(super) enum Decision {
    /// Not a pod for the fast path.
    Ask,
    /// This node. VolumeBinding's state holds the node's volumes.
    Node(NodeId),
    /// No node is feasible; nodes and codes are in the given buffer.
    None(FitError, Vec<PluginName>),
    /// No node is feasible, and what is said then is known.
    Known(Arc<Known>),
}

/// What the fast path makes of a pod's claims.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claims {
    /// None.
    None,
    /// All wait for a local volume.
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
    /// Number of `classes[0]`: numbers are never used again.
    first: u64,
    key: Vec<u32>,
    /// Nodes that the bound volumes of the pod at hand allow.
    homes: Vec<NodeId>,
    /// No other pod uses the claims of the pod at hand.
    alone: bool,
    wide: Option<(u64, bool)>,
    /// The pod decided last failed, and will fail again as long as this holds.
    doze: Option<Doze>,
    pub stats: FastStats,
}

/// Verdicts beyond which all classes are forgotten: a bound on memory, not on pods.
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
        self.doze = None;
        let decision = self.try_decide(profile, number, view, pod, state, order, rejected);
        self.stats.remembered += u64::from(matches!(decision, Decision::Known(_)));
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
        if cluster.node_count() == 0 || !concerns_nodes_alone(cluster, pod) {
            return Decision::Ask;
        }
        let claims = self.classify(cluster, number, pod);
        if claims == Claims::Other {
            return Decision::Ask;
        }
        self.sync_table(cluster);
        if self.table.has_soft_taints() {
            return Decision::Ask;
        }
        let Some(index) = self.class_of(profile, view, pod, state, claims == Claims::Bound) else {
            return Decision::Ask;
        };
        let enough = match profile.percentage {
            NodesToScore::Percentage(percentage) => nodes_to_find(percentage, cluster.node_count()),
            NodesToScore::All => usize::MAX,
        };
        let sampled = claims != Claims::Bound && enough < cluster.node_count();
        if let Some(known) = self.known_failure(cluster, profile, number, index, claims, sampled) {
            return Decision::Known(known);
        }
        let eyes = Eyes { profile, view, pod, table: &self.table };
        let class = &mut self.classes[index];
        prepare(profile, view, pod, state);
        if profile.score.is_empty() && claims != Claims::Bound {
            return Decision::Ask; // the first feasible node will do, whatever the ranking says
        }
        if sampled {
            let decision = sample(class, &eyes, state, order, enough, &mut self.stats, rejected);
            let failed = matches!(decision, Decision::Known(_));
            let known = failed.then(|| self.known_failure(cluster, profile, number, index, claims, true));
            return known.flatten().map_or(decision, Decision::Known);
        }
        if !class.sync(&eyes, state, &mut self.stats) {
            return Decision::Ask;
        }
        let decision = match claims {
            Claims::Bound => stay(class, &eyes, state, &self.homes, rejected),
            _ => choose(class, &eyes, state, rejected),
        };
        if matches!(decision, Decision::None(..))
            && let Some(known) = self.known_failure(cluster, profile, number, index, claims, false)
        {
            return Decision::Known(known);
        }
        decision
    }

    fn sync_table(&mut self, cluster: &Cluster) {
        if self.table.sync(cluster) {
            self.forget();
        }
    }
    fn forget(&mut self) {
        self.first += self.classes.len() as u64;
        self.index.clear();
        self.classes.clear();
    }

    /// The class that the key just written stands for, made if it is new.
    fn class_of(
        &mut self,
        profile: &Profile,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        pinned: bool,
    ) -> Option<usize> {
        if let Some(known) = self.index.get(&*self.key) {
            return known.map(|index| index as usize);
        }
        if (self.classes.len() + 1).saturating_mul(self.table.len()) > MAX_CACHED_VERDICTS {
            self.forget();
        }
        let eyes = Eyes { profile, view, pod, table: &self.table };
        let made = match profile.pre_filter(view, pod, state) {
            PreFiltered::AllNodes => Class::new(&eyes, state, pinned),
            _ => None,
        };
        let slot = made.as_ref().map(|_| self.classes.len() as u32);
        self.index.insert(self.key.as_slice().into(), slot);
        self.classes.push(made?);
        slot.map(|slot| slot as usize)
    }

    /// The failure of a pod of the class, if it can be told without asking a plugin. Notes under which condition it will fail again.
    fn known_failure(
        &mut self,
        cluster: &Cluster,
        profile: &Profile,
        number: usize,
        index: usize,
        claims: Claims,
        sampled: bool,
    ) -> Option<Arc<Known>> {
        let class = &mut self.classes[index];
        let before = class.failed(self.table.end()).filter(|_| claims != Claims::Bound).cloned();
        if (sampled && before.is_none()) || !class.sync_natively(cluster, &self.table, &mut self.stats) {
            return before;
        }
        let fails = match claims {
            Claims::Bound => self.homes.iter().all(|home| class.rejection(*home).is_some()),
            _ => class.ranking().best().is_none(),
        };
        let Some(known) = class.known(cluster, profile).filter(|_| fails) else { return before };
        if self.alone {
            let homes = if claims == Claims::Bound { self.homes.clone() } else { Vec::new() };
            let with_claims = claims == Claims::Waiting;
            let class = self.first + index as u64;
            let condition = Condition::Class { profile: number, class, with_claims };
            self.doze = Some(Doze { condition, homes, known: Arc::clone(&known) });
        }
        Some(known)
    }

    /// Volumes looked at so far.
    pub fn volumes(&self) -> u64 {
        self.table.volumes
    }
    /// Under which condition the pod decided last fails again, if that is known.
    pub fn take_doze(&mut self) -> Option<Doze> {
        self.doze.take()
    }

    /// How pods fail that once did under this condition; `None` if they may not fail any more.
    pub fn still_fails(
        &mut self,
        cluster: &Cluster,
        profile: &Profile,
        condition: &Condition,
    ) -> Option<Arc<Known>> {
        let &Condition::Class { class, with_claims, .. } = condition else { return None };
        if cluster.node_count() == 0
            || !no_pod_concerns_others(cluster)
            || (with_claims && self.has_free_wide_volumes(cluster))
        {
            return None;
        }
        self.sync_table(cluster);
        if self.table.has_soft_taints() {
            return None;
        }
        let class = self.classes.get_mut(class.checked_sub(self.first)? as usize)?;
        if !class.sync_natively(cluster, &self.table, &mut self.stats) {
            return None;
        }
        let fails = class.without_volumes || class.ranking().best().is_none();
        class.known(cluster, profile).filter(|_| fails)
    }
    /// Might a pod with bound volumes now run on this node of its own? To be asked after [`FastPath::still_fails`].
    pub fn may_take(&self, condition: &Condition, home: NodeId) -> bool {
        let &Condition::Class { class, .. } = condition else { return true };
        let class = class.checked_sub(self.first).and_then(|index| self.classes.get(index as usize));
        class.is_none_or(|class| class.rejection(home).is_none())
    }

    /// Remembers that no node was feasible for the pod decided last.
    pub fn remember_failure(&mut self, known: Known) {
        if let Some(Some(class)) = self.index.get(&*self.key) {
            let position = self.table.end();
            self.classes[*class as usize].remember(position, Arc::new(known));
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
        self.alone = true;
        for name in cluster.claim_names_of(pod) {
            let claim = name.and_then(|name| cluster.claim_by_name(spec.namespace, name));
            let Some(claim) = claim.map(|id| cluster.claim(id)) else { return Claims::Other };
            self.alone &= cluster.claim_users(claim.namespace, claim.name).len() < 2;
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
            (0, 0) => Claims::None,
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
        && no_pod_concerns_others(cluster)
        && matches!(row.owner, PodOwner::None | PodOwner::Job(_))
        && spec.spread.is_empty()
        && spec.affinity.as_ref().is_none_or(|a| !a.concerns_pods())
        && cluster.services().is_empty()
}

/// Nothing that running or nominated pods ask for relates them to others.
fn no_pod_concerns_others(cluster: &Cluster) -> bool {
    !cluster.has_nominated_pods() && !cluster.has_pod_affinity() && !cluster.has_required_anti_affinity()
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
        if says_the_usual(eyes.view.cluster, eyes.profile, eyes.view.cluster.pod(eyes.pod).spec) {
            let kinds = found.rejected.iter().map(|(_, kind)| (class.kind_of(*kind), 1));
            let nodes = eyes.view.cluster.node_count() as u32;
            let (error, rejectors, curable) = sum_up(nodes, kinds);
            let spec = eyes.view.cluster.spec_of(eyes.pod);
            if let Some(post_filter) = eyes.profile.post_filter_says(spec, nodes, curable) {
                let result = Unschedulable { error, post_filter, nomination: None };
                let known = Arc::new(Known { result, rejectors });
                class.remember(eyes.table.end(), Arc::clone(&known));
                return Decision::Known(known);
            }
        }
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
    let (error, rejectors, _) = sum_up(cluster.node_count() as u32, rejections);
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
