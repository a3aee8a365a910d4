//! Pods.

use super::ids::{JobId, NodeId, ReplicaSetId, SpecId, StatefulSetId, Terminating, Uid};
use super::names::Name;
use crate::engine::time::SimTime;

/// `status.phase`, and how far scheduling has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodPhase {
    /// Not running yet.
    #[default]
    Pending,
    /// Runs.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly, or its node is gone.
    Failed,
    /// The node does not tell.
    Unknown,
}

/// Who wants the pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PodOwner {
    /// Nobody: a bare pod.
    #[default]
    None,
    /// A modelled StatefulSet; the ordinal is the name's.
    StatefulSet(StatefulSetId),
    /// A modelled ReplicaSet.
    ReplicaSet(ReplicaSetId),
    /// A modelled Job.
    Job(JobId),
}

/// One pod.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Identity of this incarnation.
    pub uid: Uid,
    /// Name; the namespace is the spec's.
    pub name: Name,
    /// What it asks for.
    pub spec: SpecId,
    /// `spec.nodeName` as stored in the API.
    pub node: Option<NodeId>,
    /// The scheduler has chosen this node and reserved its resources, but the binding is not written yet.
    pub assumed: Option<NodeId>,
    /// `status.nominatedNodeName`.
    pub nominated: Option<NodeId>,
    /// Phase.
    pub phase: PodPhase,
    /// The Ready condition.
    pub ready: bool,
    /// deletionTimestamp: when the grace period ends.
    pub deletion: Option<Terminating>,
    /// It has the DisruptionTarget condition with reason PreemptionByScheduler.
    pub preempted: bool,
    /// When it was created; for imported pods possibly before the start (then 0 and ordered by uid).
    pub created: SimTime,
    /// `status.startTime` in seconds on an arbitrary scale, for preemption's order.
    pub start_order: i64,
    /// Its controller.
    pub owner: PodOwner,
    /// nodeName was set by its creator, not by the scheduler: the scheduler never sees it.
    pub preset_node: bool,
}

impl Pod {
    /// Succeeded or Failed.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, PodPhase::Succeeded | PodPhase::Failed)
    }
    /// Where it counts for the scheduler: assigned or assumed.
    pub fn placed(&self) -> Option<NodeId> {
        self.node.or(self.assumed)
    }
}
