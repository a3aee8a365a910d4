//! The ephemeral volume controller: a pod's generic ephemeral volumes get claims `<pod>-<volume>` that the pod owns.

use super::Step;
use super::api::Write;
use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::model::spec::PodVolume;

/// The next write for the pod. A claim of that name that belongs to somebody else stays, and the pod waits.
pub fn step(cluster: &Cluster, pod: PodId) -> Step {
    let Some(row) = cluster.pods().get(pod).filter(|row| row.deletion.is_none()) else { return Step::Done };
    let spec = cluster.spec(row.spec);
    let mentions = spec.volumes.iter().enumerate().filter(|(_, v)| !matches!(v, PodVolume::Exclusive { .. }));
    for ((volume, mention), name) in mentions.zip(cluster.claim_names_of(pod)) {
        let PodVolume::Ephemeral { claim: Some(_), .. } = mention else { continue };
        let exists = name.is_some_and(|name| cluster.claim_by_name(spec.namespace, name).is_some());
        if !exists {
            return Step::Write(Write::CreateEphemeralClaim { pod, uid: row.uid, volume: volume as u32 });
        }
    }
    Step::Done
}

/// Does the pod have a volume that this controller looks after?
pub fn concerns(cluster: &Cluster, pod: PodId) -> bool {
    cluster.spec_of(pod).volumes.iter().any(|v| matches!(v, PodVolume::Ephemeral { claim: Some(_), .. }))
}
