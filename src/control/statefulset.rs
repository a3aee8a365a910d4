//! The StatefulSet controller (`pkg/controller/statefulset` of v1.36): claims before pods, order, scaling, claim retention.
//!
//! One pass over a set looks at its replicas in order, then at surplus pods. [`step`] is that pass cut at every write.

use super::api::{Grace, Write};
use super::{Retry, Step};
use crate::engine::rng::TieBreak;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, PodId, StatefulSetId};
use crate::model::names::Name;
use crate::model::pod::{Pod, PodOwner, PodPhase};
use crate::model::volume::ClaimOwner;
use crate::model::workload::PodManagement;

/// How far a pass has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    stage: Stage,
    index: u32,
    /// A replica failed; the pass ends with the batch of replicas that are handled at the same time.
    failed: Option<Retry>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Replicas,
    SurplusClaims,
    SurplusPods,
}

/// What the pass does about one replica.
enum Next {
    Write(Write),
    /// Look at the next one.
    Continue,
    /// One after the other: wait for this one.
    Wait,
    Fail(Retry),
}

/// The next write of a pass over the set. `pods` are all pods that the set owns.
pub fn step(
    cluster: &mut Cluster,
    pods: &[PodId],
    id: StatefulSetId,
    pass: &mut Pass,
    tie: &TieBreak,
) -> Step {
    let set = &cluster.stateful_sets()[id];
    if !set.exists || set.deletion {
        return Step::Done;
    }
    let ordered = set.management == PodManagement::OrderedReady;
    let (first, replicas) = (set.first_ordinal, set.replicas);
    while pass.stage == Stage::Replicas {
        if pass.index >= replicas {
            if let Some(retry) = pass.failed {
                return Step::Retry(retry);
            }
            *pass = Pass { stage: Stage::SurplusClaims, index: 0, failed: None };
            break;
        }
        if let Some(retry) = pass.failed.filter(|_| pass.index > 0 && starts_batch(pass.index)) {
            return Step::Retry(retry);
        }
        let index = if ordered { pass.index } else { at_once(cluster, id, pass.index, replicas, tie) };
        match replica(cluster, id, first.saturating_add(index), ordered, tie) {
            Next::Write(write) => return Step::Write(write),
            Next::Wait => return Step::Done,
            Next::Fail(retry) if ordered => return Step::Retry(retry),
            Next::Fail(retry) => pass.failed = Some(retry),
            Next::Continue => {}
        }
        pass.index += 1;
    }
    surplus(cluster, pods, id, pass, ordered)
}

/// Replicas of a Parallel set are handled in batches of 1, 2, 4 ... at the same time; a failure ends the pass after its batch.
fn starts_batch(index: u32) -> bool {
    (index + 1).is_power_of_two()
}

/// Which replica comes at a place of the pass over a Parallel set: those of a batch run at the same time, so any order may come out.
fn at_once(cluster: &Cluster, id: StatefulSetId, index: u32, replicas: u32, tie: &TieBreak) -> u32 {
    /// Larger batches take their turns in order: who of so many is first does not matter, and asking costs time.
    const LARGEST: u32 = 64;
    let begin = (index + 1).next_power_of_two();
    let begin = if begin == index + 1 { index } else { begin / 2 - 1 };
    let size = (begin + 1).min(replicas - begin);
    if !(2..=LARGEST).contains(&size) {
        return index;
    }
    let key = cluster
        .names
        .entity(cluster.stateful_sets()[id].name)
        .with(u64::from(begin))
        .with(u64::from(replicas));
    let mut order: Vec<u32> = (begin..begin + size).collect();
    tie.shuffle("parallel-order", key, &mut order);
    order[(index - begin) as usize]
}

fn replica(cluster: &mut Cluster, id: StatefulSetId, ordinal: u32, ordered: bool, tie: &TieBreak) -> Next {
    let (namespace, set_name) = (cluster.stateful_sets()[id].namespace, cluster.stateful_sets()[id].name);
    let name = cluster.names.child(set_name, ordinal);
    let Some(pod) = cluster.pod_by_name(namespace, name) else {
        if is_stale(cluster, id, name) {
            return if ordered { Next::Wait } else { Next::Continue };
        }
        return match missing_claim(cluster, id, ordinal, name, tie) {
            Next::Continue => Next::Write(Write::CreateSetPod { set: id, ordinal }),
            other => other,
        };
    };
    let row = cluster.pod(pod);
    if row.owner != PodOwner::StatefulSet(id) {
        return Next::Fail(Retry::NameTaken);
    }
    if row.is_finished() {
        if row.deletion.is_none() {
            return Next::Write(Write::DeletePod { pod, uid: row.uid, grace: Grace::Default });
        }
        return if ordered { Next::Wait } else { Next::Continue };
    }
    if row.phase == PodPhase::Pending {
        match missing_claim(cluster, id, ordinal, name, tie) {
            Next::Continue => {}
            other => return other,
        }
        if let Some(write) = wrong_owner(cluster, id, pod, true) {
            return Next::Write(write);
        }
    }
    let row = cluster.pod(pod);
    if ordered && (row.deletion.is_some() || !is_healthy(row)) {
        return Next::Wait;
    }
    wrong_owner(cluster, id, pod, true).map_or(Next::Continue, Next::Write)
}

/// Creates what is missing of the pod's claims, in random order: the real controller walks a Go map.
fn missing_claim(cluster: &mut Cluster, id: StatefulSetId, ordinal: u32, pod: Name, tie: &TieBreak) -> Next {
    let templates = cluster.stateful_sets()[id].claims.len();
    let namespace = cluster.stateful_sets()[id].namespace;
    let mut missing = [0u32; 8];
    let (mut missing_count, mut deleted) = (0, None);
    for template in 0..templates {
        let prefix = cluster.stateful_sets()[id].claims[template].prefix;
        let name = cluster.names.prefixed_name(prefix, pod);
        match cluster.claim_by_name(namespace, name).map(|claim| cluster.claim(claim)) {
            None if missing_count < missing.len() => {
                missing[missing_count] = template as u32;
                missing_count += 1;
            }
            Some(claim) if claim.deletion.is_some() => deleted = Some(claim.name),
            _ => {}
        }
    }
    if missing_count > 0 {
        let key = cluster.names.entity(pod).with(missing_count as u64);
        let template = missing[tie.choose("claim-order", key, missing_count)];
        return Next::Write(Write::CreateSetClaim { set: id, ordinal, template });
    }
    deleted.map_or(Next::Continue, |name| Next::Fail(Retry::ClaimBeingDeleted(name)))
}

/// `PodClaimIsStale`: a claim of the missing pod still belongs to the pod of that name before it.
fn is_stale(cluster: &mut Cluster, id: StatefulSetId, pod: Name) -> bool {
    if !cluster.stateful_sets()[id].retention.delete_when_scaled {
        return false;
    }
    // A claim that was there from the beginning may be known by its text only.
    for template in 0..cluster.stateful_sets()[id].claims.len() {
        let prefix = cluster.stateful_sets()[id].claims[template].prefix;
        cluster.names.prefixed_name(prefix, pod);
    }
    let set = ClaimOwner::Object(cluster.stateful_sets()[id].uid);
    claims_of(cluster, id, pod).any(|claim| {
        let owner = cluster.claim(claim).owner;
        owner != ClaimOwner::None && owner != set
    })
}

/// A claim of the pod whose owner is not what the retention policy wants.
fn wrong_owner(cluster: &Cluster, id: StatefulSetId, pod: PodId, wanted: bool) -> Option<Write> {
    let set = &cluster.stateful_sets()[id];
    let (set_owner, pod_owner) = (ClaimOwner::Object(set.uid), ClaimOwner::Object(cluster.pod(pod).uid));
    let owner = match (set.retention.delete_when_scaled, set.retention.delete_when_deleted) {
        (true, _) if !wanted => pod_owner,
        (_, true) => set_owner,
        (_, false) => ClaimOwner::None,
    };
    claims_of(cluster, id, cluster.pod(pod).name).find_map(|claim| {
        let row = cluster.claim(claim);
        // An owner that is neither this set nor this pod was put there by somebody else: not touched.
        let ours = row.owner == ClaimOwner::None || row.owner == set_owner || row.owner == pod_owner;
        (ours && row.owner != owner).then_some(Write::SetClaimOwner { claim, uid: row.uid, owner })
    })
}

fn claims_of(cluster: &Cluster, id: StatefulSetId, pod: Name) -> impl Iterator<Item = ClaimId> + '_ {
    let set = &cluster.stateful_sets()[id];
    set.claims.iter().filter_map(move |template| {
        cluster.claim_by_name(set.namespace, cluster.names.get_prefixed_name(template.prefix, pod)?)
    })
}

/// Running and Ready (and available: minReadySeconds is 0).
fn is_healthy(pod: &Pod) -> bool {
    pod.phase == PodPhase::Running && pod.ready
}

/// Pods beyond the replicas, highest ordinal first.
fn surplus(cluster: &Cluster, pods: &[PodId], id: StatefulSetId, pass: &mut Pass, ordered: bool) -> Step {
    let set = &cluster.stateful_sets()[id];
    let wanted = set.first_ordinal..set.first_ordinal.saturating_add(set.replicas);
    let ordinal = |pod: PodId| cluster.pod(pod).name.ordinal();
    let mut surplus: Vec<(u32, PodId)> = pods
        .iter()
        .filter_map(|pod| ordinal(*pod).map(|n| (n, *pod)))
        .filter(|(n, _)| !wanted.contains(n))
        .collect();
    if surplus.is_empty() {
        return Step::Done;
    }
    surplus.sort_unstable_by(|a, b| b.cmp(a));
    if pass.stage == Stage::SurplusClaims {
        if let Some(write) = surplus.iter().find_map(|(_, pod)| wrong_owner(cluster, id, *pod, false)) {
            return Step::Write(write);
        }
        pass.stage = Stage::SurplusPods;
    }
    let is_unavailable = |pod: PodId| !is_healthy(cluster.pod(pod)) || cluster.pod(pod).deletion.is_some();
    let first_unhealthy = surplus.iter().rev().map(|(_, pod)| *pod).find(|pod| is_unavailable(*pod));
    for (_, pod) in surplus {
        let row = cluster.pod(pod);
        if row.deletion.is_some() {
            if ordered {
                return Step::Done;
            }
            continue;
        }
        if ordered && (pass.index > 0 || (!is_healthy(row) && first_unhealthy != Some(pod))) {
            return Step::Done;
        }
        pass.index += 1;
        return Step::Write(Write::DeletePod { pod, uid: row.uid, grace: Grace::Default });
    }
    Step::Done
}
