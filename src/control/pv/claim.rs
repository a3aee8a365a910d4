//! `syncClaim`: what to do about one claim.

use super::event::{Misfit, PvEvent, PvEventKind};
use super::find::{find_best_match, is_bound_to, same_attributes};
use super::write::{PvWrite, WriteKind};
use super::{PvKey, PvOutput, Step};
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, PodId, VolumeId};
use crate::model::names::{Sym, sym};
use crate::model::volume::{BindingMode, Claim, ClaimPhase, ClaimRef, ClaimSpec, Volume, VolumePhase};

/// Looks at a claim.
pub fn sync_claim(cluster: &Cluster, id: ClaimId, out: &mut PvOutput) -> Step {
    if cluster.claim(id).bind_completed {
        sync_bound_claim(cluster, id, out)
    } else {
        sync_unbound_claim(cluster, id, out)
    }
}

/// A claim whose binding is not complete.
fn sync_unbound_claim(cluster: &Cluster, id: ClaimId, out: &mut PvOutput) -> Step {
    let claim = cluster.claim(id);
    match claim.volume_name {
        None => sync_undecided_claim(cluster, id, out),
        Some(name) => match cluster.volume_by_name(name) {
            // A volume is asked for that does not exist (yet).
            None => set_pending(cluster, id),
            Some(volume) => sync_claim_with_volume(cluster, id, volume, out),
        },
    }
}

/// The claim leaves the choice of volume to the controller.
fn sync_undecided_claim(cluster: &Cluster, id: ClaimId, out: &mut PvOutput) -> Step {
    let claim = cluster.claim(id);
    let spec = cluster.claim_spec(claim.spec);
    let delay_binding = is_delay_binding(cluster, spec);
    if let Some(volume) = find_best_match(cluster, id, delay_binding) {
        return bind(cluster, id, volume);
    }
    // No volume. A claim that left its class open gets the default one, if there is any, and is looked at again.
    if let (None, Some(class)) = (spec.class, default_class(cluster)) {
        let write = PvWrite::claim(cluster, id, WriteKind::Class(class));
        return Step::Write { write, then: PvKey::Claim(id) };
    }
    if delay_binding && claim.selected_node.is_none() {
        return set_pending_and_tell(cluster, id, waiting_event(cluster, id), out);
    }
    if spec.class_or_empty() != sym::EMPTY {
        return provision(cluster, id, spec.class_or_empty(), out);
    }
    set_pending_and_tell(cluster, id, PvEventKind::NoVolumeNoClass, out)
}

/// The claim names a volume that exists.
fn sync_claim_with_volume(cluster: &Cluster, id: ClaimId, volume: VolumeId, out: &mut PvOutput) -> Step {
    let claim = cluster.claim(id);
    let row = cluster.volume(volume);
    if row.claim_ref.is_none() {
        // Nobody has it.
        return match misfit(cluster, row, claim) {
            Some(misfit) => set_pending_and_tell(cluster, id, PvEventKind::Mismatch(row.name, misfit), out),
            None => bind(cluster, id, volume),
        };
    }
    if is_bound_to(row, claim) {
        // It is the claim's: the binding is completed. Nothing else is checked.
        return bind(cluster, id, volume);
    }
    if !claim.bound_by_controller {
        // A person asked for a volume that another claim has.
        return set_pending_and_tell(cluster, id, PvEventKind::AlreadyBound(row.name), out);
    }
    // Somebody has removed `bind-completed`: an error in Kubernetes, tried again and again.
    out.events.push(PvEvent::claim(id, PvEventKind::AlreadyBound(row.name)));
    Step::Done
}

/// A claim that has been bound.
fn sync_bound_claim(cluster: &Cluster, id: ClaimId, out: &mut PvOutput) -> Step {
    let claim = cluster.claim(id);
    let Some(name) = claim.volume_name else {
        return set_lost(cluster, id, PvEventKind::ClaimLostReference, out);
    };
    let Some(volume) = cluster.volume_by_name(name) else {
        return set_lost(cluster, id, PvEventKind::ClaimLostVolume, out);
    };
    match cluster.volume(volume).claim_ref {
        // The volume has come unbound: it is bound again.
        None => bind(cluster, id, volume),
        // All is well; whatever is missing of the binding is completed.
        Some(r) if r.uid == Some(claim.uid) => bind(cluster, id, volume),
        // The volume is another claim's.
        Some(_) => set_lost(cluster, id, PvEventKind::ClaimMisbound, out),
    }
}

/// The next write of a binding: volume first, then its phase, then the claim, then its status. Nothing if all is set.
pub(super) fn bind(cluster: &Cluster, id: ClaimId, volume_id: VolumeId) -> Step {
    let (claim, volume) = (cluster.claim(id), cluster.volume(volume_id));
    let then = PvKey::Bind { claim: id, claim_uid: claim.uid, volume: volume_id, volume_uid: volume.uid };
    let claim_ref = ClaimRef { namespace: claim.namespace, name: claim.name, uid: Some(claim.uid) };
    let by_controller = !is_bound_to(volume, claim);
    if volume.claim_ref != Some(claim_ref) || (by_controller && !volume.bound_by_controller) {
        let kind = WriteKind::ClaimRef { claim: claim_ref, by_controller };
        return Step::Write { write: PvWrite::volume(cluster, volume_id, kind), then };
    }
    if volume.phase != VolumePhase::Bound {
        let kind = WriteKind::VolumePhase(VolumePhase::Bound);
        return Step::Write { write: PvWrite::volume(cluster, volume_id, kind), then };
    }
    if claim.volume_name != Some(volume.name) || !claim.bind_completed {
        let kind = WriteKind::VolumeName(volume.name);
        return Step::Write { write: PvWrite::claim(cluster, id, kind), then };
    }
    if claim.phase != ClaimPhase::Bound {
        // The claim gets what the volume has, not what it asked for.
        let kind = WriteKind::ClaimPhase { phase: ClaimPhase::Bound, capacity: Some(volume.capacity) };
        return Step::Write { write: PvWrite::claim(cluster, id, kind), then };
    }
    Step::Done
}

/// Has a volume made, or says why none can be.
fn provision(cluster: &Cluster, id: ClaimId, class: Sym, out: &mut PvOutput) -> Step {
    let Some(class) = cluster.class(class) else {
        out.events.push(PvEvent::claim(id, PvEventKind::ClassNotFound(class)));
        return Step::Done;
    };
    if cluster.names.text(class.provisioner).starts_with("kubernetes.io/") {
        // In-tree provisioners are gone, and this one never made volumes.
        out.events.push(PvEvent::claim(id, PvEventKind::NoPlugin(class.provisioner)));
        return Step::Done;
    }
    if cluster.claim(id).storage_provisioner != Some(class.provisioner) {
        let write = PvWrite::claim(cluster, id, WriteKind::StorageProvisioner(class.provisioner));
        return Step::Write { write, then: PvKey::Claim(id) };
    }
    out.events.push(PvEvent::claim(id, PvEventKind::ExternalProvisioning(class.provisioner)));
    Step::Done
}

/// Phase Pending without capacity, unless it is so already.
fn set_pending(cluster: &Cluster, id: ClaimId) -> Step {
    let claim = cluster.claim(id);
    if claim.phase == ClaimPhase::Pending && claim.capacity.is_none() {
        return Step::Done;
    }
    let kind = WriteKind::ClaimPhase { phase: ClaimPhase::Pending, capacity: None };
    Step::Write { write: PvWrite::claim(cluster, id, kind), then: PvKey::Claim(id) }
}

/// As [`set_pending`]; the event is emitted at every sync, also when nothing is to be written.
fn set_pending_and_tell(cluster: &Cluster, id: ClaimId, kind: PvEventKind, out: &mut PvOutput) -> Step {
    let step = set_pending(cluster, id);
    if step == Step::Done {
        out.events.push(PvEvent::claim(id, kind));
    }
    step
}

/// Phase Lost, with an event when it changes. It is never left again by itself.
fn set_lost(cluster: &Cluster, id: ClaimId, kind: PvEventKind, out: &mut PvOutput) -> Step {
    if cluster.claim(id).phase == ClaimPhase::Lost {
        return Step::Done;
    }
    out.events.push(PvEvent::claim(id, kind));
    let kind = WriteKind::ClaimPhase { phase: ClaimPhase::Lost, capacity: None };
    Step::Write { write: PvWrite::claim(cluster, id, kind), then: PvKey::Claim(id) }
}

fn waiting_event(cluster: &Cluster, id: ClaimId) -> PvEventKind {
    match unscheduled_users(cluster, id).next() {
        None => PvEventKind::WaitForFirstConsumer,
        Some(_) => PvEventKind::WaitForPodScheduled,
    }
}

/// Pods that mention the claim, have no node and have not finished.
pub(super) fn unscheduled_users(cluster: &Cluster, id: ClaimId) -> impl Iterator<Item = PodId> + '_ {
    let claim = cluster.claim(id);
    let users = cluster.claim_users(claim.namespace, claim.name).iter().copied();
    users.filter(|pod| {
        let pod = cluster.pod(*pod);
        pod.node.is_none() && !pod.is_finished() && pod.deletion.is_none()
    })
}

/// `IsDelayBindingMode`: an unknown class is Immediate.
fn is_delay_binding(cluster: &Cluster, spec: &ClaimSpec) -> bool {
    let class = cluster.class(spec.class_or_empty());
    class.is_some_and(|c| c.binding_mode == BindingMode::WaitForFirstConsumer)
}

/// Of several default classes the newest counts, then the first by name.
pub fn default_class(cluster: &Cluster) -> Option<Sym> {
    let defaults = cluster.classes().filter(|class| class.is_default);
    let newest =
        defaults.min_by(|a, b| b.created.cmp(&a.created).then_with(|| cluster.names.compare(a.name, b.name)));
    newest.map(|class| class.name)
}

/// `checkVolumeSatisfyClaim`: the first thing that is wrong. Sizes are compared as `int64` here.
fn misfit(cluster: &Cluster, volume: &Volume, claim: &Claim) -> Option<Misfit> {
    let spec = cluster.claim_spec(claim.spec);
    if volume.deletion.is_some() {
        return Some(Misfit::Deleted);
    }
    if volume.capacity.value() < spec.request.value() {
        return Some(Misfit::Size);
    }
    if volume.class != spec.class_or_empty() {
        return Some(Misfit::Class);
    }
    if !same_attributes(volume, spec) {
        return Some(Misfit::AttributesClass);
    }
    if volume.mode != spec.mode {
        return Some(Misfit::Mode);
    }
    if !volume.modes.contains(spec.modes) {
        return Some(Misfit::AccessModes);
    }
    None
}
