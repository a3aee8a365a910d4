//! The kubelets: they start pods whose volumes are there, and stop those that are deleted.

use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::model::pod::PodPhase;
use crate::model::volume::ClaimPhase;

/// What a kubelet has to do about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Nothing, or nothing it can.
    None,
    /// Start it.
    Start,
    /// Stop it and let the object go.
    Stop,
    /// It runs; say so again (its node was thought dead).
    Report,
}

/// What the pod's kubelet has to do now. `alive` says whether a node's kubelet works.
pub fn duty(cluster: &Cluster, pod: PodId, alive: bool) -> Duty {
    let Some(row) = cluster.pods().get(pod) else { return Duty::None };
    let Some(node) = row.node else { return Duty::None };
    if !alive || !cluster.node(node).exists {
        return Duty::None;
    }
    if row.deletion.is_some() {
        return Duty::Stop;
    }
    match row.phase {
        PodPhase::Pending if volumes_mount(cluster, pod) => Duty::Start,
        PodPhase::Running | PodPhase::Unknown if !row.ready && volumes_mount(cluster, pod) => Duty::Report,
        _ => Duty::None,
    }
}

/// Are all claims of the pod bound to volumes that its node can mount?
pub fn volumes_mount(cluster: &Cluster, pod: PodId) -> bool {
    let row = cluster.pod(pod);
    let Some(node) = row.node else { return false };
    let namespace = cluster.spec(row.spec).namespace;
    cluster.claim_names_of(pod).all(|name| {
        let claim = name.and_then(|name| cluster.claim_by_name(namespace, name)).map(|id| cluster.claim(id));
        let volume = claim
            .filter(|claim| claim.phase == ClaimPhase::Bound)
            .and_then(|claim| cluster.volume_by_name(claim.volume_name?));
        volume.is_some_and(|volume| cluster.volume_allows_node(cluster.volume(volume), node))
    })
}
