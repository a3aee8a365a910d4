//! `syncVolume`: what to do about one volume.

use super::event::{PvEvent, PvEventKind};
use super::write::{PvWrite, WriteKind};
use super::{PvKey, PvOutput, Step};
use crate::model::cluster::Cluster;
use crate::model::ids::{PodId, VolumeId};
use crate::model::volume::{ReclaimPolicy, VolumePhase, VolumeSource};

/// Looks at a volume.
pub fn sync_volume(cluster: &Cluster, id: VolumeId, out: &mut PvOutput) -> Step {
    let volume = cluster.volume(id);
    let Some(claim_ref) = volume.claim_ref else {
        // Unused.
        return set_phase(cluster, id, VolumePhase::Available);
    };
    let Some(uid) = claim_ref.uid else {
        // Reserved by a person for a claim of this name, which has not come or not taken it yet.
        return set_phase(cluster, id, VolumePhase::Available);
    };
    // The claim is looked up by name; one with another uid is another claim.
    let claim = cluster
        .claim_by_name(claim_ref.namespace, claim_ref.name)
        .filter(|claim| cluster.claim(*claim).uid == uid);
    let Some(claim_id) = claim else {
        return release(cluster, id, out);
    };
    let claim = cluster.claim(claim_id);
    match claim.volume_name {
        None if cluster.claim_spec(claim.spec).mode != volume.mode => {
            // The claim's own sync will not take this volume.
            out.events.push(PvEvent::volume(id, PvEventKind::ModeMismatchOfVolume(claim_id)));
            out.events.push(PvEvent::claim(claim_id, PvEventKind::ModeMismatchOfClaim(volume.name)));
            Step::Done
        }
        None => {
            // Half a binding, or one that lost its other half: the claim's sync completes it.
            out.enqueue.push(PvKey::Claim(claim_id));
            Step::Done
        }
        Some(name) if name == volume.name => set_phase(cluster, id, VolumePhase::Bound),
        Some(_) if volume.provisioned_by.is_some() && volume.reclaim == ReclaimPolicy::Delete => {
            // Made for this claim, which got another one meanwhile: it is not needed.
            release(cluster, id, out)
        }
        Some(_) => {
            // The claim has another volume. If the controller bound this one to it, it is free again; if a person did, it
            // stays reserved for a claim of this name.
            let write = PvWrite::volume(cluster, id, WriteKind::Unbind);
            Step::Write { write, then: PvKey::Volume(id) }
        }
    }
}

/// The volume's claim is gone (or has another volume): phase Released once, then the reclaim policy.
fn release(cluster: &Cluster, id: VolumeId, out: &mut PvOutput) -> Step {
    let volume = cluster.volume(id);
    if !matches!(volume.phase, VolumePhase::Released | VolumePhase::Failed) {
        return set_phase(cluster, id, VolumePhase::Released);
    }
    match volume.reclaim {
        ReclaimPolicy::Retain => Step::Done,
        ReclaimPolicy::Recycle => recycle(cluster, id, out),
        ReclaimPolicy::Delete => delete(cluster, id, out),
    }
}

/// Policy Recycle: for a volume that the controller can scrub. The scrubbing pod's run time is not modelled.
fn recycle(cluster: &Cluster, id: VolumeId, out: &mut PvOutput) -> Step {
    let volume = cluster.volume(id);
    let claim_exists = volume.claim_ref.is_some_and(|r| cluster.claim_by_name(r.namespace, r.name).is_some());
    if !claim_exists && users(cluster, id).next().is_some() {
        out.events.push(PvEvent::volume(id, PvEventKind::RecycleInUse));
        return Step::Done;
    }
    match volume.source {
        VolumeSource::Local | VolumeSource::Csi { .. } => {
            set_failed(cluster, id, PvEventKind::FailedRecycle, out)
        }
        VolumeSource::Other => {
            out.events.push(PvEvent::volume(id, PvEventKind::Recycled));
            let write = PvWrite::volume(cluster, id, WriteKind::Unbind);
            Step::Write { write, then: PvKey::Volume(id) }
        }
    }
}

/// Policy Delete: left to an external provisioner if there is one, else Failed, because no plugin deletes local volumes. That is
/// tried again at every resync and never succeeds.
fn delete(cluster: &Cluster, id: VolumeId, out: &mut PvOutput) -> Step {
    let volume = cluster.volume(id);
    match (volume.provisioned_by, volume.source) {
        (Some(by), _) if cluster.names.text(by).starts_with("kubernetes.io/") => {
            set_failed(cluster, id, PvEventKind::FailedDeleteByName(by), out)
        }
        (Some(by), _) if !cluster.names.text(by).is_empty() => Step::Done,
        (_, VolumeSource::Csi { .. }) => Step::Done,
        _ => set_failed(cluster, id, PvEventKind::FailedDelete, out),
    }
}

fn set_failed(cluster: &Cluster, id: VolumeId, kind: PvEventKind, out: &mut PvOutput) -> Step {
    let step = set_phase(cluster, id, VolumePhase::Failed);
    if step != Step::Done {
        out.events.push(PvEvent::volume(id, kind));
    }
    step
}

fn set_phase(cluster: &Cluster, id: VolumeId, phase: VolumePhase) -> Step {
    if cluster.volume(id).phase == phase {
        return Step::Done;
    }
    let write = PvWrite::volume(cluster, id, WriteKind::VolumePhase(phase));
    Step::Write { write, then: PvKey::Volume(id) }
}

/// Pods that mention the claim that the volume names, and have not finished.
pub(super) fn users(cluster: &Cluster, id: VolumeId) -> impl Iterator<Item = PodId> + '_ {
    let claim = cluster.volume(id).claim_ref;
    let users = claim.map_or(&[][..], |r| cluster.claim_users(r.namespace, r.name));
    users.iter().copied().filter(|pod| !cluster.pod(*pod).is_finished())
}
