//! pvc-protection and pv-protection: deleted claims and volumes go when nobody uses them any more. And the part of the garbage
//! collector that deletes what an owner leaves behind.

use super::Step;
use super::api::{Grace, Write};
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, PodId, StatefulSetId, Uid, VolumeId};
use crate::model::volume::{ClaimOwner, VolumePhase};

/// The pvc-protection controller: only pods that are assigned count as users, those on dead nodes too.
pub fn claim_step(cluster: &Cluster, claim: ClaimId) -> Step {
    let Some(row) = cluster.claims().get(claim) else { return Step::Done };
    if row.deletion.is_none() || !row.protected {
        return Step::Done;
    }
    let used =
        cluster.claim_users(row.namespace, row.name).iter().any(|pod| cluster.pod(*pod).node.is_some());
    if used { Step::Done } else { Step::Write(Write::UnprotectClaim { claim, uid: row.uid }) }
}

/// The pv-protection controller: a Bound volume stays.
pub fn volume_step(cluster: &Cluster, volume: VolumeId) -> Step {
    let Some(row) = cluster.volumes().get(volume) else { return Step::Done };
    if row.deletion.is_none() || !row.protected || row.phase == VolumePhase::Bound {
        return Step::Done;
    }
    Step::Write(Write::UnprotectVolume { volume, uid: row.uid })
}

/// The garbage collector about a claim: deleted when its owner (a set or a pod) is gone; `is_orphaned` tells by the claim's uid.
pub fn orphan_step(cluster: &Cluster, claim: ClaimId, is_orphaned: impl Fn(Uid) -> bool) -> Step {
    let Some(row) = cluster.claims().get(claim) else { return Step::Done };
    if row.owner == ClaimOwner::None || row.deletion.is_some() || !is_orphaned(row.uid) {
        return Step::Done;
    }
    Step::Write(Write::DeleteClaim { claim, uid: row.uid })
}

/// The garbage collector about the pods of an owner that is gone.
pub fn orphaned_pods_step(cluster: &Cluster, pods: &[PodId]) -> Step {
    let next = pods.iter().find(|pod| cluster.pod(**pod).deletion.is_none());
    next.map_or(Step::Done, |pod| {
        Step::Write(Write::DeletePod { pod: *pod, uid: cluster.pod(*pod).uid, grace: Grace::Default })
    })
}

/// Claims of a StatefulSet's pods with ordinals below `ordinals`.
pub fn claims_of_set(cluster: &mut Cluster, set: StatefulSetId, ordinals: u32) -> Vec<ClaimId> {
    let row = &cluster.stateful_sets()[set];
    let (namespace, name, first) = (row.namespace, row.name, row.first_ordinal);
    let templates: Vec<_> = row.claims.iter().map(|t| t.prefix).collect();
    let mut claims = Vec::new();
    for ordinal in 0..ordinals.max(first) {
        let pod = cluster.names.child(name, ordinal);
        for prefix in &templates {
            let claim = cluster.names.get_prefixed_name(*prefix, pod);
            claims.extend(claim.and_then(|claim| cluster.claim_by_name(namespace, claim)));
        }
    }
    claims
}
