//! VolumeBinding: claims and nodes.
//!
//! PreFilter sorts the pod's claims into bound and waiting ones, Filter checks the former against a node and matches the latter
//! there ([`find`]), Reserve remembers the choice and PreBind writes it and waits ([`assume`]). Volume sizes play a part in the
//! choice of node only with the feature gate StorageCapacityScoring ([`scorer`]).

pub mod assume;
pub mod find;
pub mod scorer;
#[cfg(test)]
mod tests;

use self::find::{ProvisionRule, WaitingClaim};
use self::scorer::Shape;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, NodeId, PodId, VolumeId};
use crate::model::names::{Sym, sym};
use crate::model::spec::PodVolume;
use crate::model::volume::{BindingMode, Claim, ClaimOwner, ClaimPhase};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{
    Binding, Code, FilterPlugin, NodeView, Plugin, PluginName, PreFilter, PreFilterPlugin, PreScore, Reason,
    Reasons, Rejection, ReservePlugin, ScorePlugin, Verdict, View,
};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// The plugin's name.
pub const NAME: PluginName = "VolumeBinding";
/// No volume of the node fits a waiting claim, and none can be made there.
pub const BIND_CONFLICT: &str = "node(s) didn't find available persistent volumes to bind";
/// A bound claim's volume is elsewhere.
pub const NODE_CONFLICT: &str = "node(s) didn't match PersistentVolume's node affinity";
/// A volume could be made there, but the published capacity does not suffice.
pub const NOT_ENOUGH_SPACE: &str = "node(s) did not have enough free storage";
/// A bound claim's volume is gone.
pub const VOLUME_MISSING: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
/// An Immediate claim that the PV controller has not bound (yet).
pub const UNBOUND_IMMEDIATE: &str = "pod has unbound immediate PersistentVolumeClaims";

/// The VolumeBinding plugin and its arguments.
#[derive(Clone, Debug, Default)]
pub struct VolumeBinding {
    /// The scorer's shape if the feature gate StorageCapacityScoring is on (it is off by default in v1.36).
    pub scoring: Option<Shape>,
}

/// What Filter found on one node for the claims that are not bound yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeVolumes<'a> {
    /// Claims and the existing volumes that they would get, in order of matching.
    pub bindings: &'a [(ClaimId, VolumeId)],
    /// Claims for which a volume would be made.
    pub provisions: &'a [Provision],
}

/// A claim for which a volume would be made on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provision {
    /// The claim.
    pub claim: ClaimId,
    /// `capacity` of the CSIStorageCapacity that was found sufficient, if one was looked for.
    pub capacity: Option<i64>,
}

/// VolumeBinding's part of the cycle state.
#[derive(Clone, Debug, Default)]
pub struct VolumeBindingState {
    /// Volumes of the pod's bound claims, in order of the pod's volumes; `None`: gone.
    bound: Vec<Option<VolumeId>>,
    /// Waiting claims for which a node was selected earlier, and which one.
    selected: Vec<(WaitingClaim, Sym)>,
    /// Waiting claims to be matched, smallest request first.
    waiting: Vec<WaitingClaim>,
    /// How volumes of the waiting claims' classes are made.
    rules: Vec<ProvisionRule>,
    /// Volumes that name a waiting claim already.
    prebound: Vec<VolumeId>,
    /// Free volumes that fit a waiting claim and are not pinned to one host, smallest first.
    wide: Vec<VolumeId>,

    found: FxHashMap<NodeId, (Range<u32>, Range<u32>)>,
    bindings: Vec<(ClaimId, VolumeId)>,
    provisions: Vec<Provision>,
}

impl VolumeBindingState {
    fn clear(&mut self) {
        self.bound.clear();
        self.selected.clear();
        self.waiting.clear();
        self.rules.clear();
        self.prebound.clear();
        self.wide.clear();
        self.found.clear();
        self.bindings.clear();
        self.provisions.clear();
    }
    /// A copy for a dry run: what was found on nodes is left out.
    pub fn fork(&self) -> VolumeBindingState {
        VolumeBindingState {
            bound: self.bound.clone(),
            selected: self.selected.clone(),
            waiting: self.waiting.clone(),
            rules: self.rules.clone(),
            prebound: self.prebound.clone(),
            wide: self.wide.clone(),
            ..VolumeBindingState::default()
        }
    }
    /// What Filter found on the node; `None` if the node did not pass this plugin or the pod has no claims.
    pub fn volumes_on(&self, node: NodeId) -> Option<NodeVolumes<'_>> {
        let (bindings, provisions) = self.found.get(&node)?;
        let range = |r: &Range<u32>| r.start as usize..r.end as usize;
        Some(NodeVolumes {
            bindings: &self.bindings[range(bindings)],
            provisions: &self.provisions[range(provisions)],
        })
    }
    /// Does the pod have claims that this plugin has to match?
    pub fn has_waiting_claims(&self) -> bool {
        !self.waiting.is_empty() || !self.selected.is_empty()
    }
}

impl Plugin for VolumeBinding {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for VolumeBinding {
    fn pre_filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState) -> PreFilter {
        let state = &mut state.volume_binding;
        state.clear();
        let reject =
            |reason| PreFilter::Reject(Rejection::new(NAME, Code::UnschedulableAndUnresolvable, reason));
        let claims = match claims_of(view.cluster, pod) {
            Ok(claims) if claims.is_empty() => return PreFilter::Skip,
            Ok(claims) => claims,
            Err(reason) => return reject(reason),
        };
        let mut unbound = Vec::new();
        let mut immediate = false;
        for id in claims {
            let claim = view.cluster.claim(id);
            match claim.volume_name {
                Some(volume) if claim.bind_completed => {
                    state.bound.push(view.cluster.volume_by_name(volume));
                }
                None if waits_for_consumer(view.cluster, claim) => unbound.push(id),
                _ => immediate = true,
            }
        }
        if immediate {
            return reject(Reason::Text(UNBOUND_IMMEDIATE));
        }
        find::prepare(view, &unbound, state);
        PreFilter::Continue
    }
}

impl FilterPlugin for VolumeBinding {
    fn filter(&self, view: View<'_>, _pod: PodId, state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let state = &mut state.volume_binding;
        let found = find::on_node(view, state, node.id);
        if found.satisfied() {
            state.found.insert(node.id, (found.bindings, found.provisions));
            return Ok(());
        }
        state.found.remove(&node.id);
        let mut reasons = [
            (!found.bound_match, NODE_CONFLICT),
            (!found.unbound_match, BIND_CONFLICT),
            (!found.enough_space, NOT_ENOUGH_SPACE),
            (!found.volumes_exist, VOLUME_MISSING),
        ]
        .into_iter()
        .filter(|(failed, _)| *failed)
        .map(|(_, text)| Reason::Text(text));
        let reasons = match (reasons.next(), reasons.next()) {
            (Some(first), None) => Reasons::One(first),
            (first, second) => Reasons::Many(first.into_iter().chain(second).chain(reasons).collect()),
        };
        Err(Rejection { plugin: NAME, code: Code::UnschedulableAndUnresolvable, reasons })
    }
}

impl ReservePlugin for VolumeBinding {
    fn reserve(&self, cluster: &mut Cluster, state: &CycleState, binding: &mut Binding) -> Verdict {
        binding.volumes = assume::reserve(cluster, &state.volume_binding, binding.pod, binding.node);
        Ok(())
    }
    fn unreserve(&self, cluster: &mut Cluster, binding: &Binding) {
        if let Some(task) = &binding.volumes {
            task.revert(cluster);
        }
    }
}

impl ScorePlugin for VolumeBinding {
    fn pre_score(&self, _: View<'_>, _: PodId, _: &mut CycleState, _: &[NodeId]) -> PreScore {
        if self.scoring.is_some() { PreScore::Continue } else { PreScore::Skip }
    }
    fn score(&self, view: View<'_>, _pod: PodId, state: &CycleState, node: NodeId) -> i64 {
        match (&self.scoring, state.volume_binding.volumes_on(node)) {
            (Some(shape), Some(volumes)) => scorer::score(view.cluster, shape, volumes),
            _ => 0,
        }
    }
}

/// For a pod with these claims, all of which wait for a volume: looks for volumes on a node and remembers them, as PreFilter and Filter
/// do. False if the node has none.
pub fn find_on(view: View<'_>, claims: &[ClaimId], state: &mut CycleState, node: NodeId) -> bool {
    let state = &mut state.volume_binding;
    state.clear();
    if claims.is_empty() {
        return true;
    }
    find::prepare(view, claims, state);
    let found = find::on_node(view, state, node);
    let satisfied = found.satisfied();
    if satisfied {
        state.found.insert(node, (found.bindings, found.provisions));
    }
    satisfied
}

/// The pod's claims in the order of its volumes, or why it cannot be scheduled whatever the nodes (`podHasPVCs`).
fn claims_of(cluster: &Cluster, pod: PodId) -> Result<Vec<ClaimId>, Reason> {
    let row = cluster.pod(pod);
    let spec = cluster.spec(row.spec);
    let mentions = spec.volumes.iter().filter(|v| !matches!(v, PodVolume::Exclusive { .. }));
    let mut claims = Vec::new();
    for (volume, name) in mentions.zip(cluster.claim_names_of(pod)) {
        let ephemeral = matches!(volume, PodVolume::Ephemeral { .. });
        // The names of a pod's claims are interned when the pod is added, so there is always one.
        let Some(name) = name else { continue };
        let missing =
            || if ephemeral { Reason::EphemeralClaimMissing(name) } else { Reason::ClaimNotFound(name) };
        let id = cluster.claim_by_name(spec.namespace, name).ok_or_else(missing)?;
        let claim = cluster.claim(id);
        if claim.phase == ClaimPhase::Lost {
            return Err(Reason::ClaimLost(name, claim.volume_name.unwrap_or(sym::EMPTY)));
        }
        if claim.deletion.is_some() {
            return Err(Reason::ClaimBeingDeleted(name));
        }
        if ephemeral && claim.owner != ClaimOwner::Object(row.uid) {
            return Err(Reason::EphemeralClaimForeign {
                namespace: spec.namespace,
                claim: name,
                pod: row.name,
            });
        }
        claims.push(id);
    }
    Ok(claims)
}

/// Is the claim's class one that waits for the first consumer? An unknown class, or none, is not.
pub fn waits_for_consumer(cluster: &Cluster, claim: &Claim) -> bool {
    let class = cluster.claim_spec(claim.spec).class_or_empty();
    cluster.class(class).is_some_and(|c| c.binding_mode == BindingMode::WaitForFirstConsumer)
}

/// `isPVCFullyBound`.
pub(super) fn fully_bound(claim: &Claim) -> bool {
    claim.volume_name.is_some() && claim.bind_completed
}
