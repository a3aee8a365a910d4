//! What a run tells about itself, and who listens.
//!
//! The world emits an [`Observation`] for every transition, in the order in which the API server would store them. Observers
//! only listen: nothing that they do may change a decision, and a run with other observers is the same run.

pub mod causes;
pub mod counterfactual;
pub mod digest;
pub mod durations;
pub mod event_log;
pub mod filters;
pub mod integral;
pub mod metrics;
pub mod probe;
pub mod replicas;
pub mod storage;
pub mod stranded;
pub mod templates;

use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::{Cluster, NodeDelta};
use crate::model::ids::{ClaimId, JobId, NodeId, PodId, ReplicaSetId, SpecId, StatefulSetId, Uid, VolumeId};
use crate::model::names::{Name, Sym};
use crate::model::pod::PodPhase;
use crate::model::volume::{ClaimPhase, VolumePhase};
use crate::scheduler::cycle::Attempt;

/// How a scheduling attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// A node was found; with claims to bind first, [`Observation::PodAssigned`] follows when they are.
    Scheduled(NodeId),
    /// No node: condition PodScheduled is False with reason Unschedulable.
    Unschedulable,
    /// The cycle or the binding failed: condition reason SchedulerError.
    Error,
    /// Held back by scheduling gates: reason SchedulingGated. Not an attempt that Kubernetes counts.
    Gated,
}

/// Which controller a wipe, an eviction or the like is about; reasons of Kubernetes events (`FailedScheduling` ...).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A pod.
    Pod(PodId),
    /// A claim.
    Claim(ClaimId),
    /// A volume.
    Volume(VolumeId),
    /// A node.
    Node(NodeId),
    /// A StatefulSet.
    StatefulSet(StatefulSetId),
}

/// One transition. Rows named by an id can be read from the cluster when it is delivered, except after `...Gone`, whose row
/// may be reused by the next object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A bare pod is wanted from now on (its [`Observation::PodCreated`] follows at once).
    PodWanted(PodId),
    /// A pod object was created.
    PodCreated(PodId),
    /// The scheduler popped the pod from its queue and tried: one of `decisions`, except [`AttemptResult::Gated`].
    Attempt {
        /// Which pod.
        pod: PodId,
        /// How it ended.
        result: AttemptResult,
    },
    /// Attempts that Kubernetes would make with the same result as the pod's last one, accounted for but not executed.
    Repeated {
        /// Which pod.
        pod: PodId,
        /// How many.
        attempts: u64,
    },
    /// `spec.nodeName` was written.
    PodAssigned {
        /// Which pod.
        pod: PodId,
        /// Where.
        node: NodeId,
    },
    /// Phase or readiness changed.
    PodStatus {
        /// Which pod.
        pod: PodId,
        /// Phase.
        phase: PodPhase,
        /// The Ready condition.
        ready: bool,
    },
    /// deletionTimestamp was set.
    PodTerminating(PodId),
    /// The pod object is gone.
    PodGone {
        /// Its former row.
        pod: PodId,
        /// Its uid.
        uid: Uid,
        /// Where it was.
        node: Option<NodeId>,
        /// What it asked for.
        spec: SpecId,
    },
    /// The operator begins to copy a backup for a member of a database group; until then the pod is Pending on its node.
    RebuildStarted {
        /// The member's pod.
        pod: PodId,
        /// Bytes to copy.
        bytes: u64,
    },
    /// The copy is there; the member runs, and is Ready when it has caught up.
    Rebuilt {
        /// The member's pod.
        pod: PodId,
        /// Bytes copied.
        bytes: u64,
    },
    /// A member has caught up with its group and follows it.
    CaughtUp {
        /// The member's pod.
        pod: PodId,
        /// Bytes that it was sent for that.
        bytes: u64,
    },
    /// The number of members that hold everything that a database group has written changed.
    GroupData {
        /// The group.
        set: StatefulSetId,
        /// How many.
        complete: u32,
    },
    /// What a group wrote in this much time is on no disk any more, and in no backup that is used.
    WritesLost {
        /// The group.
        set: StatefulSetId,
        /// Time of writing.
        span: SimDuration,
    },
    /// A claim was created.
    ClaimCreated(ClaimId),
    /// A claim's phase changed.
    ClaimPhase {
        /// Which claim.
        claim: ClaimId,
        /// To what.
        phase: ClaimPhase,
    },
    /// A claim changed otherwise (volumeName, annotations, deletionTimestamp, owner).
    ClaimChanged(ClaimId),
    /// A claim is gone.
    ClaimGone {
        /// Its former row.
        claim: ClaimId,
        /// Its uid.
        uid: Uid,
        /// Its namespace.
        namespace: Sym,
        /// Its name.
        name: Name,
        /// Volume that it named.
        volume: Option<Sym>,
    },
    /// A volume was created.
    VolumeCreated(VolumeId),
    /// A volume's phase changed.
    VolumePhase {
        /// Which volume.
        volume: VolumeId,
        /// To what.
        phase: VolumePhase,
    },
    /// A volume changed otherwise (claimRef, deletionTimestamp).
    VolumeChanged(VolumeId),
    /// A volume is gone.
    VolumeGone {
        /// Its former row.
        volume: VolumeId,
        /// Its name.
        name: Sym,
    },
    /// A node was created.
    NodeCreated(NodeId),
    /// A node changed.
    NodeChanged(NodeId, NodeDelta),
    /// A node object is gone. Its row stays readable.
    NodeGone(NodeId),
    /// A StatefulSet came, changed (replicas) or went; the row tells.
    StatefulSet(StatefulSetId),
    /// A ReplicaSet or Deployment came, changed or went.
    ReplicaSet(ReplicaSetId),
    /// A Job came, changed or went.
    Job(JobId),
    /// A Kubernetes event. Only emitted to observers that want events.
    Event {
        /// What it is about.
        about: Subject,
        /// `FailedScheduling`, `ProvisioningFailed` ...
        reason: &'static str,
        /// Its message, interned in the cluster's names.
        message: Sym,
    },
}

/// Listens to a run.
pub trait Observer {
    /// Something happened. `cluster` is the state right after it.
    fn observe(&mut self, at: SimTime, cluster: &Cluster, what: &Observation);

    /// The clock is about to move: everything of instant `from` has happened, and the state will not change before `to`.
    ///
    /// The place to integrate over time and to take the samples with ticks in `from..to`: periodic samples are computed, not
    /// queued. The last call of a run has `to` at its end, plus one nanosecond so that a tick at the very end is included.
    ///
    /// An observer may put hypothetical objects into the cluster to ask "would this fit?", if it leaves it as it was and takes
    /// the changes that it caused.
    fn settled(&mut self, _from: SimTime, _to: SimTime, _cluster: &mut Cluster) {}

    /// Should [`Observation::Event`] be made? Their messages cost time.
    fn wants_events(&self) -> bool {
        false
    }

    /// Should attempts at this pod keep everything that they find out, for [`Observer::attempted`]? That costs time, and makes no
    /// other decision.
    fn wants_attempt(&self, _cluster: &Cluster, _pod: PodId) -> bool {
        false
    }

    /// An attempt at a pod for which [`Observer::wants_attempt`] said yes, before its [`Observation::Attempt`].
    fn attempted(&mut self, _at: SimTime, _cluster: &Cluster, _pod: PodId, _attempt: &Attempt) {}
}

/// Nobody listens.
impl Observer for () {
    fn observe(&mut self, _at: SimTime, _cluster: &Cluster, _what: &Observation) {}
}

impl<O: Observer> Observer for &mut O {
    fn observe(&mut self, at: SimTime, cluster: &Cluster, what: &Observation) {
        (**self).observe(at, cluster, what);
    }
    fn settled(&mut self, from: SimTime, to: SimTime, cluster: &mut Cluster) {
        (**self).settled(from, to, cluster);
    }
    fn wants_events(&self) -> bool {
        (**self).wants_events()
    }
    fn wants_attempt(&self, cluster: &Cluster, pod: PodId) -> bool {
        (**self).wants_attempt(cluster, pod)
    }
    fn attempted(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, attempt: &Attempt) {
        (**self).attempted(at, cluster, pod, attempt);
    }
}

impl<O: Observer> Observer for Option<O> {
    fn observe(&mut self, at: SimTime, cluster: &Cluster, what: &Observation) {
        if let Some(observer) = self {
            observer.observe(at, cluster, what);
        }
    }
    fn settled(&mut self, from: SimTime, to: SimTime, cluster: &mut Cluster) {
        if let Some(observer) = self {
            observer.settled(from, to, cluster);
        }
    }
    fn wants_events(&self) -> bool {
        self.as_ref().is_some_and(Observer::wants_events)
    }
    fn wants_attempt(&self, cluster: &Cluster, pod: PodId) -> bool {
        self.as_ref().is_some_and(|o| o.wants_attempt(cluster, pod))
    }
    fn attempted(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, attempt: &Attempt) {
        if let Some(observer) = self {
            observer.attempted(at, cluster, pod, attempt);
        }
    }
}

/// Both listen, the first one first.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&mut self, at: SimTime, cluster: &Cluster, what: &Observation) {
        self.0.observe(at, cluster, what);
        self.1.observe(at, cluster, what);
    }
    fn settled(&mut self, from: SimTime, to: SimTime, cluster: &mut Cluster) {
        self.0.settled(from, to, cluster);
        self.1.settled(from, to, cluster);
    }
    fn wants_events(&self) -> bool {
        self.0.wants_events() || self.1.wants_events()
    }
    fn wants_attempt(&self, cluster: &Cluster, pod: PodId) -> bool {
        self.0.wants_attempt(cluster, pod) || self.1.wants_attempt(cluster, pod)
    }
    fn attempted(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, attempt: &Attempt) {
        self.0.attempted(at, cluster, pod, attempt);
        self.1.attempted(at, cluster, pod, attempt);
    }
}
