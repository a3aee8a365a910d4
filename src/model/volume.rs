//! PersistentVolumes, claims, classes and what CSI publishes.

use super::ids::{LabelSetId, NodeSelectorId, QuantityId, Terminating, Uid};
use super::labels::LabelSelector;
use super::names::{Name, Sym};
use super::quantity::Quantity;
use crate::engine::time::SimTime;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A set of access modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessModes(u8);

impl AccessModes {
    /// ReadWriteOnce.
    pub const RWO: AccessModes = AccessModes(1);
    /// ReadOnlyMany.
    pub const ROX: AccessModes = AccessModes(2);
    /// ReadWriteMany.
    pub const RWX: AccessModes = AccessModes(4);
    /// ReadWriteOncePod.
    pub const RWOP: AccessModes = AccessModes(8);

    /// Both sets together.
    pub const fn union(self, other: AccessModes) -> AccessModes {
        AccessModes(self.0 | other.0)
    }
    /// All of `other` are in `self`.
    pub const fn contains(self, other: AccessModes) -> bool {
        self.0 & other.0 == other.0
    }
    /// How many modes.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
    /// Kubernetes' canonical string: `RWO`, `ROX`, `RWX`, `RWOP` in this order, joined by commas.
    pub fn canonical(self) -> String {
        let all = [(Self::RWO, "RWO"), (Self::ROX, "ROX"), (Self::RWX, "RWX"), (Self::RWOP, "RWOP")];
        let names: Vec<&str> = all.iter().filter(|(m, _)| self.contains(*m)).map(|(_, n)| *n).collect();
        names.join(",")
    }
}

/// `volumeMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VolumeMode {
    /// A file system.
    #[default]
    Filesystem,
    /// A raw device.
    Block,
}

/// `persistentVolumeReclaimPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReclaimPolicy {
    /// An administrator decides.
    #[default]
    Retain,
    /// The volume goes with its claim.
    Delete,
    /// Scrubbed and made Available again (deprecated).
    Recycle,
}

impl ReclaimPolicy {
    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            ReclaimPolicy::Retain => "Retain",
            ReclaimPolicy::Delete => "Delete",
            ReclaimPolicy::Recycle => "Recycle",
        }
    }
}

/// `status.phase` of a PersistentVolume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VolumePhase {
    /// Just created.
    #[default]
    Pending,
    /// Free.
    Available,
    /// Bound to a claim.
    Bound,
    /// Its claim is gone.
    Released,
    /// Reclaiming failed.
    Failed,
}

impl VolumePhase {
    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            VolumePhase::Pending => "Pending",
            VolumePhase::Available => "Available",
            VolumePhase::Bound => "Bound",
            VolumePhase::Released => "Released",
            VolumePhase::Failed => "Failed",
        }
    }
}

/// `status.phase` of a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClaimPhase {
    /// Waits for a volume.
    #[default]
    Pending,
    /// Has a volume.
    Bound,
    /// Had a volume that is gone.
    Lost,
}

impl ClaimPhase {
    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            ClaimPhase::Pending => "Pending",
            ClaimPhase::Bound => "Bound",
            ClaimPhase::Lost => "Lost",
        }
    }
}

/// What a PersistentVolume is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VolumeSource {
    /// A local disk or partition.
    Local,
    /// A CSI volume.
    Csi {
        /// Driver.
        driver: Sym,
        /// `volumeHandle`: attachments are counted by it. `None`: the volume's name, as drivers have it that make volumes themselves.
        handle: Option<Sym>,
    },
    /// hostPath, NFS and all others.
    Other,
}

/// `spec.claimRef`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimRef {
    /// Namespace of the claim.
    pub namespace: Sym,
    /// Name of the claim.
    pub name: Name,
    /// `None`: pre-bound by a person, for whatever claim has this name.
    pub uid: Option<Uid>,
}

/// What many PersistentVolumes have in common: the partitions of one kind of disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeShape {
    /// `spec.capacity.storage`.
    pub capacity: Quantity,
    /// Access modes.
    pub modes: AccessModes,
    /// Class name; empty: none. The beta annotation has been folded in.
    pub class: Sym,
    /// File system or block device.
    pub mode: VolumeMode,
    /// `volumeAttributesClassName`.
    pub attributes_class: Option<Sym>,
    /// Labels.
    pub labels: LabelSetId,
    /// Reclaim policy.
    pub reclaim: ReclaimPolicy,
    /// What they are made of.
    pub source: VolumeSource,
    /// Annotation `pv.kubernetes.io/provisioned-by`.
    pub provisioned_by: Option<Sym>,
}

/// One PersistentVolume. Fields of its shape are read and written as if they were its own; a shape that is written to is copied
/// first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Name.
    pub name: Sym,
    /// Identity of this incarnation.
    pub uid: Uid,
    /// Capacity, class and the like.
    pub shape: Arc<VolumeShape>,
    /// `spec.nodeAffinity.required`; `None`: every node.
    pub node_affinity: Option<NodeSelectorId>,
    /// Claim it is bound to, reserved for, or was bound to.
    pub claim_ref: Option<ClaimRef>,
    /// Annotation `pv.kubernetes.io/bound-by-controller`.
    pub bound_by_controller: bool,
    /// Phase.
    pub phase: VolumePhase,
    /// deletionTimestamp.
    pub deletion: Option<Terminating>,
    /// Finalizer `kubernetes.io/pv-protection`.
    pub protected: bool,
    /// When it was created.
    pub created: SimTime,
    /// The scheduler has chosen it for this claim (by uid) and not written that yet: its assume cache.
    pub assumed_for: Option<Uid>,
}

impl Volume {
    /// Free in the PV controller's eyes: Available, claimed by nobody, not going. It does not see what the scheduler has reserved.
    pub fn is_free(&self) -> bool {
        self.phase == VolumePhase::Available && self.claim_ref.is_none() && self.deletion.is_none()
    }
    /// Free in the scheduler's eyes.
    pub fn is_free_to_assume(&self) -> bool {
        self.is_free() && self.assumed_for.is_none()
    }
    /// Namespace and name of the claim that its claimRef names.
    pub fn claim(&self) -> Option<(Sym, Name)> {
        self.claim_ref.map(|r| (r.namespace, r.name))
    }
}

impl Deref for Volume {
    type Target = VolumeShape;
    fn deref(&self) -> &VolumeShape {
        &self.shape
    }
}
impl DerefMut for Volume {
    fn deref_mut(&mut self) -> &mut VolumeShape {
        Arc::make_mut(&mut self.shape)
    }
}

/// What a claim asks for; interned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimSpec {
    /// Class name: `None` nil (the default class may be filled in), empty: no class.
    pub class: Option<Sym>,
    /// Access modes.
    pub modes: AccessModes,
    /// Requested storage.
    pub request: Quantity,
    /// Selector over PersistentVolume labels; `None` nil.
    pub selector: Option<LabelSelector>,
    /// File system or block device.
    pub mode: VolumeMode,
    /// `volumeAttributesClassName`.
    pub attributes_class: Option<Sym>,
}

impl ClaimSpec {
    /// Class name with nil as the empty one: `GetPersistentVolumeClaimClass`.
    pub fn class_or_empty(&self) -> Sym {
        self.class.unwrap_or(super::names::sym::EMPTY)
    }
}

/// Who deletes a claim when they go (`ownerReferences`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClaimOwner {
    /// Nobody.
    #[default]
    None,
    /// The object with this uid (a StatefulSet, a pod, anything).
    Object(Uid),
}

/// One PersistentVolumeClaim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Identity of this incarnation.
    pub uid: Uid,
    /// Namespace.
    pub namespace: Sym,
    /// Name.
    pub name: Name,
    /// What it asks for.
    pub spec: super::ids::ClaimSpecId,
    /// `spec.volumeName`.
    pub volume_name: Option<Sym>,
    /// Annotation `pv.kubernetes.io/bind-completed`.
    pub bind_completed: bool,
    /// Annotation `pv.kubernetes.io/bound-by-controller`.
    pub bound_by_controller: bool,
    /// Annotation `volume.kubernetes.io/selected-node`.
    pub selected_node: Option<Sym>,
    /// Annotation `volume.kubernetes.io/storage-provisioner`: the external provisioner of this name may act.
    pub storage_provisioner: Option<Sym>,
    /// The scheduler has chosen a node for provisioning and not written that yet: its assume cache.
    pub assumed_node: Option<Sym>,
    /// Phase.
    pub phase: ClaimPhase,
    /// `status.capacity.storage`, interned.
    pub capacity: Option<QuantityId>,
    /// deletionTimestamp.
    pub deletion: Option<Terminating>,
    /// Finalizer `kubernetes.io/pvc-protection`.
    pub protected: bool,
    /// Who owns it.
    pub owner: ClaimOwner,
    /// When it was created.
    pub created: SimTime,
}

/// `volumeBindingMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BindingMode {
    /// The PV controller binds at once.
    #[default]
    Immediate,
    /// The scheduler binds when a pod comes.
    WaitForFirstConsumer,
}

/// A topology requirement of `allowedTopologies`: key and allowed values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopologyTerm {
    /// All must hold.
    pub expressions: Vec<(Sym, Vec<Sym>)>,
}

/// A StorageClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageClass {
    /// Name.
    pub name: Sym,
    /// Provisioner.
    pub provisioner: Sym,
    /// When claims are bound.
    pub binding_mode: BindingMode,
    /// Policy of provisioned volumes.
    pub reclaim: ReclaimPolicy,
    /// `allowedTopologies`; empty: everywhere.
    pub allowed_topologies: Vec<TopologyTerm>,
    /// Annotation `storageclass.kubernetes.io/is-default-class`.
    pub is_default: bool,
    /// `allowVolumeExpansion`.
    pub allow_expansion: bool,
    /// creationTimestamp rank: of several default classes the newest is taken.
    pub created: SimTime,
}

impl StorageClass {
    /// The scheduler binds its claims, and nobody makes volumes for them.
    pub fn is_static_and_delayed(&self) -> bool {
        self.binding_mode == BindingMode::WaitForFirstConsumer
            && self.provisioner == super::names::sym::NO_PROVISIONER
    }
}

/// A CSIStorageCapacity object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageCapacity {
    /// Namespace.
    pub namespace: Sym,
    /// Name.
    pub name: Sym,
    /// Class.
    pub class: Sym,
    /// `nodeTopology`; `None` nil: no node.
    pub topology: Option<LabelSelector>,
    /// `capacity`; `None` nil: no capacity.
    pub capacity: Option<Quantity>,
    /// `maximumVolumeSize`.
    pub maximum_volume_size: Option<Quantity>,
}

/// A CSIDriver object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiDriver {
    /// Name.
    pub name: Sym,
    /// `storageCapacity`: CSIStorageCapacity objects are checked.
    pub storage_capacity: bool,
    /// `attachRequired`.
    pub attach_required: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_modes_as_kubernetes_writes_them() {
        let all = [AccessModes::RWOP, AccessModes::RWX, AccessModes::ROX, AccessModes::RWO];
        let union =
            |modes: &[AccessModes]| modes.iter().fold(AccessModes::default(), |all, mode| all.union(*mode));
        for (modes, want) in [
            (&all[..0], ""),
            (&all[3..], "RWO"),
            (&all[2..], "RWO,ROX"),
            (&all[1..], "RWO,ROX,RWX"),
            (&all[..], "RWO,ROX,RWX,RWOP"),
            (&all[..1], "RWOP"),
        ] {
            let set = union(modes);
            assert_eq!((set.canonical().as_str(), set.count() as usize), (want, modes.len()));
            for mode in all {
                assert_eq!(set.contains(mode), modes.contains(&mode), "{want}");
            }
            assert!(set.contains(set) && union(&all).contains(set));
        }
    }
}
