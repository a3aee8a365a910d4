//! `--replay`: a snapshot of a healthy cluster as if its pods and claims came again.
//!
//! In a snapshot everything is bound, so both binding modes look alike. What the control plane has written is taken away:
//! `nodeName`, `volumeName`, `claimRef` and the controllers' annotations and status. Pods that do not go through the scheduler
//! (DaemonSets, static pods of a kubelet) stay where they are, and so do pods that have ended.

use crate::manifest::{Located, Object};
use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus, PersistentVolumeStatus, Pod,
    PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Annotations by which controllers remember what they have done.
const OF_CONTROLLERS: [&str; 5] = [
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
];

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stripped {
    /// Pods that arrive again.
    pub pods: u64,
    /// Claims that arrive again.
    pub claims: u64,
    /// Volumes that are free again.
    pub volumes: u64,
}

/// Takes away what the control plane has written.
pub fn strip(objects: &mut [Located<Object>]) -> Stripped {
    let mut stripped = Stripped::default();
    for object in objects {
        match &mut object.value {
            Object::Pod(pod) => stripped.pods += u64::from(strip_pod(pod)),
            Object::PersistentVolumeClaim(claim) => {
                strip_claim(claim);
                stripped.claims += 1;
            }
            Object::PersistentVolume(volume) => {
                strip_volume(volume);
                stripped.volumes += 1;
            }
            _ => {}
        }
    }
    stripped
}

fn strip_annotations(metadata: &mut ObjectMeta) {
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|key, _| !OF_CONTROLLERS.contains(&key.as_str()));
    }
}

/// `false`: it stays.
fn strip_pod(pod: &mut Pod) -> bool {
    let mirror =
        pod.metadata.annotations.as_ref().is_some_and(|a| a.contains_key("kubernetes.io/config.mirror"));
    let owners = pod.metadata.owner_references.iter().flatten();
    let bound_to_node =
        owners.filter(|o| o.controller == Some(true)).any(|o| o.kind == "DaemonSet" || o.kind == "Node");
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    if mirror || bound_to_node || matches!(phase, Some("Succeeded" | "Failed")) {
        return false;
    }
    if let Some(spec) = &mut pod.spec {
        spec.node_name = None;
    }
    pod.metadata.deletion_timestamp = None;
    pod.status = Some(PodStatus { phase: Some("Pending".to_owned()), ..PodStatus::default() });
    strip_annotations(&mut pod.metadata);
    true
}

fn strip_claim(claim: &mut PersistentVolumeClaim) {
    if let Some(spec) = &mut claim.spec {
        spec.volume_name = None;
    }
    claim.metadata.deletion_timestamp = None;
    claim.status =
        Some(PersistentVolumeClaimStatus { phase: Some("Pending".to_owned()), ..Default::default() });
    strip_annotations(&mut claim.metadata);
}

fn strip_volume(volume: &mut PersistentVolume) {
    if let Some(spec) = &mut volume.spec {
        spec.claim_ref = None;
    }
    volume.metadata.deletion_timestamp = None;
    volume.status =
        Some(PersistentVolumeStatus { phase: Some("Available".to_owned()), ..Default::default() });
    strip_annotations(&mut volume.metadata);
}
