//! Pods.

use super::ids::{JobId, NodeId, ReplicaSetId, SpecId, StatefulSetId, Terminating, Uid};
use super::names::Name;
use crate::engine::time::{NANOS_PER_SECOND, SimTime};

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

/// A node or none, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssumedNode(u32);

impl AssumedNode {
    /// No node.
    pub const NONE: AssumedNode = AssumedNode(u32::MAX);

    /// The node.
    pub fn get(self) -> Option<NodeId> {
        (self != AssumedNode::NONE).then(|| NodeId::at(self.0))
    }
    /// Takes the node out.
    pub fn take(&mut self) -> Option<NodeId> {
        std::mem::replace(self, AssumedNode::NONE).get()
    }
}

impl From<NodeId> for AssumedNode {
    fn from(node: NodeId) -> AssumedNode {
        AssumedNode(node.row())
    }
}

/// When a pod started, as far as preemption compares it: to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartOrder(u32);

impl StartOrder {
    /// Not yet: for Kubernetes such a pod starts now, whenever it is asked.
    pub const NOT_STARTED: StartOrder = StartOrder(u32::MAX);
    /// Where times of the run begin, later than all imported ones.
    const RUN: u32 = 1 << 31;
    /// The year 2004: earlier times are alike.
    const IMPORTED: i64 = 1 << 30;

    /// Of an imported pod: seconds since 1970, up to the year 2072.
    pub fn imported(seconds: i64) -> StartOrder {
        StartOrder((seconds - Self::IMPORTED).clamp(0, i64::from(Self::RUN) - 1) as u32)
    }
    /// At this time of the run, up to 68 years.
    pub fn at(now: SimTime) -> StartOrder {
        let seconds = (now.as_nanos() / NANOS_PER_SECOND).min(u64::from(Self::RUN) - 2);
        StartOrder(Self::RUN + seconds as u32)
    }
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
    pub assumed: AssumedNode,
    /// Phase.
    pub phase: PodPhase,
    /// The Ready condition.
    pub ready: bool,
    /// deletionTimestamp.
    pub deletion: Option<Terminating>,
    /// It has the DisruptionTarget condition with reason PreemptionByScheduler.
    pub preempted: bool,
    /// When it was created; for imported pods possibly before the start (then 0 and ordered by uid).
    pub created: SimTime,
    /// `status.startTime`, for preemption's order.
    pub start_order: StartOrder,
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
        self.node.or(self.assumed.get())
    }
}

const _: () = assert!(size_of::<Pod>() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_started_later_is_greater() {
        let at = |seconds| StartOrder::at(SimTime::from_secs(seconds));
        let orders = [
            StartOrder::imported(1_700_000_000),
            StartOrder::imported(1_700_000_001),
            at(0),
            at(1),
            at(86_400),
            at(u64::MAX / 1_000_000_000),
            StartOrder::NOT_STARTED,
        ];
        assert!(orders.is_sorted_by(|a, b| a < b), "{orders:?}");
        assert_eq!(StartOrder::imported(-5), StartOrder::imported(0));
    }
}
