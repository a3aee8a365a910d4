//! What a watch would deliver.

use crate::model::ids::*;
use crate::model::names::{Name, Sym};
use crate::model::pod::PodOwner;

/// What changed about a node; the scheduler's queueing hints tell these apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeDelta {
    /// Allocatable resources.
    Allocatable,
    /// Labels.
    Labels,
    /// Taints, or `spec.unschedulable`.
    Taints,
    /// The Ready condition.
    Condition,
    /// Images or the like: nobody waits for it.
    Other,
}

/// What changed about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodDelta {
    /// `spec.nodeName` was set: the pod is bound.
    Assigned,
    /// Phase or Ready.
    Status,
    /// deletionTimestamp was set.
    Terminating,
    /// `status.nominatedNodeName`.
    Nominated,
    /// A condition changed (PodScheduled's message).
    Condition,
    /// Scheduling gates or labels.
    Spec,
}

/// One change of one object, in the order in which the API server would store them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node came.
    NodeAdded(NodeId),
    /// A node changed.
    NodeUpdated(NodeId, NodeDelta),
    /// A node went.
    NodeRemoved(NodeId),
    /// A pod came.
    PodAdded(PodId),
    /// A pod changed.
    PodUpdated(PodId, PodDelta),
    /// A pod is gone; the row may be reused.
    PodRemoved {
        /// Its former row.
        pod: PodId,
        /// Its uid.
        uid: Uid,
        /// Its name.
        name: Name,
        /// Where it was.
        node: Option<NodeId>,
        /// Who wanted it.
        owner: PodOwner,
        /// What it asked for.
        spec: SpecId,
    },
    /// A volume came.
    VolumeAdded(VolumeId),
    /// A volume changed.
    VolumeUpdated(VolumeId),
    /// A volume is gone.
    VolumeRemoved {
        /// Its former row.
        volume: VolumeId,
        /// Its name.
        name: Sym,
        /// The claim that its claimRef named.
        claim: Option<(Sym, Name)>,
    },
    /// A claim came.
    ClaimAdded(ClaimId),
    /// A claim changed.
    ClaimUpdated(ClaimId),
    /// A claim is gone.
    ClaimRemoved {
        /// Its former row.
        claim: ClaimId,
        /// Its uid.
        uid: Uid,
        /// Its namespace.
        namespace: Sym,
        /// Its name.
        name: Name,
        /// Volume it named.
        volume: Option<Sym>,
    },
    /// A class came or changed.
    ClassChanged(Sym),
    /// CSIStorageCapacity objects of a class came or changed.
    CapacityChanged(Sym),
    /// A CSINode came or changed.
    CsiNodeChanged(Sym),
    /// A CSIDriver came or changed.
    CsiDriverChanged(Sym),
    /// A StatefulSet came, changed or was marked for deletion.
    StatefulSetChanged(StatefulSetId),
    /// A ReplicaSet or Deployment came or changed.
    ReplicaSetChanged(ReplicaSetId),
    /// A Job came or changed.
    JobChanged(JobId),
}
