//! The controller's API writes.

use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, VolumeId};
use crate::model::names::Sym;
use crate::model::quantity::Quantity;
use crate::model::volume::{ClaimPhase, ClaimRef, VolumePhase};

/// The object that a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A volume.
    Volume(VolumeId),
    /// A claim.
    Claim(ClaimId),
}

/// What a write sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// A volume's `spec.claimRef`.
    ClaimRef {
        /// The claim.
        claim: ClaimRef,
        /// With the annotation `bound-by-controller`.
        by_controller: bool,
    },
    /// Takes a volume back: clears the claimRef that the controller set, or only the uid of one that a person set.
    Unbind,
    /// A volume's phase.
    VolumePhase(VolumePhase),
    /// A claim's `spec.volumeName` and the annotation `bind-completed`.
    VolumeName(Sym),
    /// A claim's phase and `status.capacity`.
    ClaimPhase {
        /// The phase.
        phase: ClaimPhase,
        /// The capacity.
        capacity: Option<Quantity>,
    },
    /// A claim's class: the default one.
    Class(Sym),
    /// A claim's annotation `storage-provisioner`.
    StorageProvisioner(Sym),
}

/// One API write, made on the version of the object that the controller has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PvWrite {
    /// The object.
    pub target: Target,
    /// Its `resourceVersion` when the controller looked.
    pub version: u32,
    /// What is set.
    pub kind: WriteKind,
}

/// The API refuses a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The object is gone.
    #[error("not found")]
    NotFound,
    /// The object was changed since the controller looked.
    #[error("the object has been modified; please apply your changes to the latest version and try again")]
    Conflict,
}

impl PvWrite {
    pub(super) fn volume(cluster: &Cluster, id: VolumeId, kind: WriteKind) -> PvWrite {
        PvWrite { target: Target::Volume(id), version: cluster.volume_version(id), kind }
    }
    pub(super) fn claim(cluster: &Cluster, id: ClaimId, kind: WriteKind) -> PvWrite {
        PvWrite { target: Target::Claim(id), version: cluster.claim_version(id), kind }
    }
}

/// Makes a write.
///
/// # Errors
/// The API's refusal.
pub fn apply(cluster: &mut Cluster, write: &PvWrite) -> Result<(), WriteError> {
    match write.target {
        Target::Volume(id) => {
            cluster.volumes().get(id).ok_or(WriteError::NotFound)?;
            if cluster.volume_version(id) != write.version {
                return Err(WriteError::Conflict);
            }
            write_volume(cluster, id, write.kind);
        }
        Target::Claim(id) => {
            cluster.claims().get(id).ok_or(WriteError::NotFound)?;
            if cluster.claim_version(id) != write.version {
                return Err(WriteError::Conflict);
            }
            write_claim(cluster, id, write.kind);
        }
    }
    Ok(())
}

fn write_volume(cluster: &mut Cluster, id: VolumeId, kind: WriteKind) {
    cluster.update_volume(id, |volume| match kind {
        WriteKind::ClaimRef { claim, by_controller } => {
            volume.claim_ref = Some(claim);
            volume.bound_by_controller |= by_controller;
        }
        WriteKind::Unbind if volume.bound_by_controller => {
            volume.claim_ref = None;
            volume.bound_by_controller = false;
        }
        WriteKind::Unbind => {
            if let Some(claim) = &mut volume.claim_ref {
                claim.uid = None;
            }
        }
        WriteKind::VolumePhase(phase) => volume.phase = phase,
        WriteKind::VolumeName(_)
        | WriteKind::ClaimPhase { .. }
        | WriteKind::Class(_)
        | WriteKind::StorageProvisioner(_) => {}
    });
}

fn write_claim(cluster: &mut Cluster, id: ClaimId, kind: WriteKind) {
    let mut spec = cluster.claim(id).spec;
    if let WriteKind::Class(class) = kind {
        let mut changed = cluster.claim_spec(spec).clone();
        changed.class = Some(class);
        spec = cluster.intern_claim_spec(changed);
    }
    let capacity = match kind {
        WriteKind::ClaimPhase { capacity, .. } => capacity.map(|capacity| cluster.intern_quantity(capacity)),
        _ => None,
    };
    cluster.update_claim(id, |claim| match kind {
        WriteKind::VolumeName(volume) => {
            if claim.volume_name != Some(volume) {
                claim.volume_name = Some(volume);
                claim.bound_by_controller = true;
            }
            claim.bind_completed = true;
        }
        WriteKind::ClaimPhase { phase, .. } => (claim.phase, claim.capacity) = (phase, capacity),
        WriteKind::Class(_) => claim.spec = spec,
        WriteKind::StorageProvisioner(name) => claim.storage_provisioner = Some(name),
        WriteKind::ClaimRef { .. } | WriteKind::Unbind | WriteKind::VolumePhase(_) => {}
    });
}
