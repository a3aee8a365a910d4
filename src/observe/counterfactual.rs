//! Stuck by binding: would a stuck pod run, had its own claims not been bound before it was scheduled?
//!
//! For each stuck pod alone, with everything else untouched and nobody preempted: its own bound claims are made anew as unbound
//! WaitForFirstConsumer claims of the same spec, their volumes become Available, and the filters are asked about every node.

use super::causes;
use super::probe::{Filters, with_delayed_binding};
use super::storage;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, ClaimSpecId, NodeId, PodId, SpecId, Uid, VolumeId};
use crate::model::volume::{Claim, ClaimPhase, Volume, VolumePhase};
use rustc_hash::FxHashMap;

/// Uid of claims made anew: that of no object.
const ANEW: Uid = Uid::new((u64::MAX >> 1) - 1000);

/// A pod and the claims to be undone.
struct Case {
    pod: PodId,
    own: Vec<ClaimId>,
    /// Claims that it shares with other pods; they stay as they are.
    shares: bool,
}

/// Which of the stuck pods some node would take. `pods` exist and are not assigned.
pub fn stuck_by_binding(
    cluster: &mut Cluster,
    filters: &mut dyn Filters,
    at: SimTime,
    pods: &[PodId],
) -> Vec<PodId> {
    // Asked before classes are made to wait: an own claim that is unbound for lack of a volume stays so.
    let cases: Vec<Case> = pods.iter().filter_map(|pod| case(cluster, *pod)).collect();
    if cases.is_empty() {
        return Vec::new();
    }
    let nodes: Vec<NodeId> = cluster.nodes().iter().filter(|(_, n)| n.exists).map(|(id, _)| id).collect();
    let mut changes = Vec::new();
    cluster.take_changes(&mut changes);
    with_delayed_binding(cluster, &mut changes, |cluster| {
        let mut known = FxHashMap::default();
        let runs = |case: &&Case| would_run(cluster, filters, at, case, &nodes, &mut known);
        cases.iter().filter(runs).map(|case| case.pod).collect()
    })
}

fn case(cluster: &Cluster, pod: PodId) -> Option<Case> {
    let row = cluster.pod(pod);
    if row.placed().is_some() || row.deletion.is_some() {
        return None;
    }
    let (mut own, mut shares) = (Vec::new(), false);
    for claim in causes::claims_of(cluster, pod) {
        let id = claim?;
        let claim = cluster.claim(id);
        let mine = cluster.claim_users(claim.namespace, claim.name) == [pod];
        let bound = claim.phase == ClaimPhase::Bound && claim.volume_name.is_some();
        if !bound && !causes::is_delayed(cluster, claim) {
            return None;
        }
        if bound && mine {
            own.push(id);
        }
        shares |= bound && !mine;
    }
    (!own.is_empty()).then_some(Case { pod, own, shares })
}

/// By what pods ask for: does any node take one with fresh claims, its volumes still being held?
type Known = FxHashMap<(SpecId, Vec<ClaimSpecId>), bool>;

fn would_run(
    cluster: &mut Cluster,
    filters: &mut dyn Filters,
    at: SimTime,
    case: &Case,
    nodes: &[NodeId],
    known: &mut Known,
) -> bool {
    let claims: Vec<(ClaimId, Claim)> = case.own.iter().map(|c| (*c, cluster.claim(*c).clone())).collect();
    let volumes: Vec<(VolumeId, Volume)> = case
        .own
        .iter()
        .filter_map(|c| cluster.volume_by_name(cluster.claim(*c).volume_name?))
        .filter(|v| storage::claim_of(cluster, cluster.volume(*v)).is_some_and(|c| case.own.contains(&c)))
        .map(|v| (v, cluster.volume(v).clone()))
        .collect();
    for claim in &case.own {
        cluster.update_claim(*claim, make_anew);
    }
    let key = (cluster.pod(case.pod).spec, claims.iter().map(|(_, c)| c.spec).collect());
    let fits = |cluster: &Cluster, filters: &mut dyn Filters, nodes: &[NodeId]| {
        filters.first(at, cluster, case.pod, nodes).is_some()
    };
    let elsewhere = match known.get(&key).filter(|_| !case.shares) {
        Some(answer) => *answer,
        None => fits(cluster, filters, nodes),
    };
    if !case.shares {
        known.insert(key, elsewhere);
    }
    let mut runs = elsewhere;
    if !runs && !volumes.is_empty() {
        // Its freed volumes make a difference only where they can be used.
        for (volume, _) in &volumes {
            cluster.update_volume(*volume, make_available);
        }
        let near: Vec<NodeId> = nodes
            .iter()
            .copied()
            .filter(|n| volumes.iter().any(|(_, v)| cluster.volume_allows_node(v, *n)))
            .collect();
        runs = fits(cluster, filters, &near);
        for (id, volume) in volumes {
            cluster.update_volume(id, |v| *v = volume);
        }
    }
    for (id, claim) in claims {
        cluster.update_claim(id, |c| *c = claim);
    }
    runs
}

/// A claim of the same spec that nobody has bound yet.
pub fn make_anew(claim: &mut Claim) {
    claim.uid = ANEW;
    claim.volume_name = None;
    claim.bind_completed = false;
    claim.bound_by_controller = false;
    claim.storage_provisioner = None;
    claim.selected_node = None;
    claim.assumed_node = None;
    claim.phase = ClaimPhase::Pending;
    claim.capacity = None;
    claim.deletion = None;
}

/// The volume without its claim.
pub fn make_available(volume: &mut Volume) {
    volume.claim_ref = None;
    volume.bound_by_controller = false;
    volume.phase = VolumePhase::Available;
    volume.assumed_for = None;
}
