//! `controlPlane`: every latency, period and client limit of the control plane.

use crate::engine::time::SimDuration;

/// `controlPlane`: how long things take. A rate of 0 means unlimited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlPlane {
    /// The preset `ideal`: no latency, no client limits, no backoff of unschedulable pods, no retry timers.
    pub ideal: bool,
    /// Client limit of each controller of kube-controller-manager, requests per second and burst.
    pub kcm: RateLimit,
    /// The scheduler's client limit.
    pub scheduler: RateLimit,
    /// How long kube-controller-manager had been up when the run begins: its loops tick at multiples of their periods since then.
    pub kcm_up_for: SimDuration,
    /// The same of the scheduler.
    pub scheduler_up_for: SimDuration,
    /// Period at which the scheduler looks whether its volumes are bound; 0: at once.
    pub bind_poll: SimDuration,
    /// After this long the scheduler gives up waiting for volumes.
    pub bind_timeout: SimDuration,
    /// What one scheduling attempt takes.
    pub attempt: AttemptTime,
    /// Time of one API request.
    pub api_latency: SimDuration,
    /// Time until a watch delivers a change.
    pub watch_latency: SimDuration,
    /// Probability that a write conflicts, 0..1.
    pub conflict: f64,
    /// Probability that a write fails, 0..1.
    pub fail: f64,
    /// Period of the PV controller's resync; 0: a volume that becomes Available is offered to pending claims at once.
    pub pv_resync: SimDuration,
    /// First backoff of a pod that could not be scheduled.
    pub backoff_initial: SimDuration,
    /// Longest backoff.
    pub backoff_max: SimDuration,
    /// Longest stay in the unschedulable pool without an event.
    pub unschedulable_flush: SimDuration,
    /// Pods are taken from the backoff queue while the active one is empty.
    pub pop_from_backoff: bool,
    /// Node lease and eviction timers.
    pub node: NodeTimers,
    /// Period of the pod garbage collector.
    pub pod_gc: SimDuration,
    /// Binding to Running.
    pub kubelet_start: SimDuration,
    /// Deletion to gone.
    pub kubelet_stop: SimDuration,
    /// The driver of volume groups.
    pub csi: CsiTimers,
}

/// `controlPlane.csi`: the driver of volume groups (TopoLVM, open-local and the like).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsiTimers {
    /// From the scheduler's choice of a node to the volume.
    pub provision: SimDuration,
    /// From a volume's release to its end.
    pub delete: SimDuration,
    /// From a change of a volume group to its published CSIStorageCapacity.
    pub publish: SimDuration,
    /// Volumes are taken from the emptiest group of a node instead of the fullest that has room.
    pub spread: bool,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Tokens per second; 0 = unlimited.
    pub qps: f64,
    /// Bucket size.
    pub burst: u32,
}

/// What one scheduling attempt takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptTime {
    /// Nothing.
    Zero,
    /// By the model fitted to the real scheduler.
    Measured,
    /// Always the same.
    Constant(SimDuration),
}

/// `controlPlane.node`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeTimers {
    /// Period of lease renewals.
    pub lease: SimDuration,
    /// Period of the node lifecycle controller's look.
    pub monitor: SimDuration,
    /// Silence after which a node is NotReady.
    pub grace: SimDuration,
    /// Nodes tainted NoExecute per second.
    pub eviction_rate: f64,
    /// How long pods tolerate not-ready and unreachable unless they say otherwise (`tolerationSeconds`).
    pub toleration: SimDuration,
}

impl ControlPlane {
    /// The default timers of Kubernetes.
    pub const KUBERNETES: ControlPlane = ControlPlane {
        ideal: false,
        kcm: RateLimit { qps: 20.0, burst: 30 },
        scheduler: RateLimit { qps: 50.0, burst: 100 },
        kcm_up_for: SimDuration::ZERO,
        scheduler_up_for: SimDuration::ZERO,
        bind_poll: SimDuration::from_secs(1),
        bind_timeout: SimDuration::from_secs(600),
        attempt: AttemptTime::Zero,
        api_latency: SimDuration::from_millis(5),
        watch_latency: SimDuration::from_millis(3),
        conflict: 0.0,
        fail: 0.0,
        pv_resync: SimDuration::from_secs(15),
        backoff_initial: SimDuration::from_secs(1),
        backoff_max: SimDuration::from_secs(10),
        unschedulable_flush: SimDuration::from_secs(300),
        pop_from_backoff: true,
        node: NodeTimers {
            lease: SimDuration::from_secs(10),
            monitor: SimDuration::from_secs(5),
            grace: SimDuration::from_secs(50),
            eviction_rate: 0.1,
            toleration: SimDuration::from_secs(300),
        },
        pod_gc: SimDuration::from_secs(20),
        kubelet_start: SimDuration::ZERO,
        kubelet_stop: SimDuration::ZERO,
        // A healthy driver; not measured.
        csi: CsiTimers {
            provision: SimDuration::from_secs(1),
            delete: SimDuration::from_secs(1),
            publish: SimDuration::from_secs(1),
            spread: false,
        },
    };
    /// No latency and no client limits; the timers that are policy (grace periods, tolerations) stay.
    pub const IDEAL: ControlPlane = ControlPlane {
        ideal: true,
        kcm: RateLimit { qps: 0.0, burst: 0 },
        scheduler: RateLimit { qps: 0.0, burst: 0 },
        bind_poll: SimDuration::ZERO,
        api_latency: SimDuration::ZERO,
        watch_latency: SimDuration::ZERO,
        pv_resync: SimDuration::ZERO,
        csi: CsiTimers {
            provision: SimDuration::ZERO,
            delete: SimDuration::ZERO,
            publish: SimDuration::ZERO,
            spread: false,
        },
        ..ControlPlane::KUBERNETES
    };
}
