//! How long things take: every latency, period and client limit of the control plane.

use crate::engine::time::{NANOS_PER_SECOND, SimDuration, SimTime};

/// A client's token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Requests per second; 0: unlimited.
    pub qps: f64,
    /// Requests at once.
    pub burst: u32,
}

impl RateLimit {
    /// No limit.
    pub const UNLIMITED: RateLimit = RateLimit { qps: 0.0, burst: 0 };
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

/// Timers of node life.
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
    /// How long pods tolerate not-ready and unreachable unless they say otherwise.
    pub toleration: SimDuration,
}

/// All of it. [`Timing::KUBERNETES`] has the defaults of v1.36, [`Timing::IDEAL`] no latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Each controller of kube-controller-manager has a client of its own with this limit.
    pub kcm: RateLimit,
    /// The scheduler's client.
    pub scheduler: RateLimit,
    /// Period at which the scheduler looks whether its volumes are bound; 0: at once.
    pub bind_poll: SimDuration,
    /// After this long the scheduler gives up waiting for volumes.
    pub bind_timeout: SimDuration,
    /// What one attempt takes.
    pub attempt: AttemptTime,
    /// One API request.
    pub api_latency: SimDuration,
    /// Until a watch delivers a change.
    pub watch_latency: SimDuration,
    /// Probability that a write conflicts.
    pub conflict: f64,
    /// Probability that a write fails.
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
    /// Node life.
    pub node: NodeTimers,
    /// Period of the pod garbage collector.
    pub pod_gc: SimDuration,
    /// Binding to Running.
    pub kubelet_start: SimDuration,
    /// Deletion to gone.
    pub kubelet_stop: SimDuration,
    /// The preset without latency: no backoff is felt either.
    pub ideal: bool,
}

impl Timing {
    /// The defaults of Kubernetes v1.36.
    pub const KUBERNETES: Timing = Timing {
        kcm: RateLimit { qps: 20.0, burst: 30 },
        scheduler: RateLimit { qps: 50.0, burst: 100 },
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
        ideal: false,
    };
    /// No latency, no client limits; timers that are policy (grace, tolerations, eviction rate) stay.
    pub const IDEAL: Timing = Timing {
        kcm: RateLimit::UNLIMITED,
        scheduler: RateLimit::UNLIMITED,
        bind_poll: SimDuration::ZERO,
        api_latency: SimDuration::ZERO,
        watch_latency: SimDuration::ZERO,
        pv_resync: SimDuration::ZERO,
        ideal: true,
        ..Timing::KUBERNETES
    };
}

/// The state of a client's token bucket, in exact integers: the time at which it would be full again.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    /// Nanoseconds per token; 0: unlimited.
    interval: u64,
    /// How far ahead of now the bucket may be: (burst - 1) tokens.
    slack: u64,
    full_at: SimTime,
}

impl Limiter {
    /// A full bucket.
    pub fn new(limit: RateLimit) -> Limiter {
        let interval =
            if limit.qps > 0.0 { libm::round(NANOS_PER_SECOND as f64 / limit.qps) as u64 } else { 0 };
        let slack = interval.saturating_mul(u64::from(limit.burst.saturating_sub(1)));
        Limiter { interval, slack, full_at: SimTime::ZERO }
    }
    /// Takes a token; returns when the request may be sent, `now` or later.
    pub fn take(&mut self, now: SimTime) -> SimTime {
        if self.interval == 0 {
            return now;
        }
        let base = self.full_at.max(now);
        self.full_at = base + SimDuration::from_nanos(self.interval);
        SimTime::from_nanos(base.as_nanos().saturating_sub(self.slack)).max(now)
    }
    /// Does [`Limiter::take`] never wait?
    pub fn is_unlimited(&self) -> bool {
        self.interval == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut limiter = Limiter::new(RateLimit { qps: 20.0, burst: 30 });
        let start = SimTime::from_secs(100);
        let grants: Vec<u64> = (0..33).map(|_| limiter.take(start).since(start).as_nanos()).collect();
        assert_eq!(grants[..30], [0; 30]);
        assert_eq!(grants[30..], [50_000_000, 100_000_000, 150_000_000]);
        // After a pause of 0.5 s it owes nothing for the last three and has 10 - 3 tokens.
        let later = start + SimDuration::from_millis(500);
        let grants: Vec<u64> = (0..9).map(|_| limiter.take(later).since(later).as_nanos()).collect();
        assert_eq!(grants[..7], [0; 7]);
        assert_eq!(grants[7..], [50_000_000, 100_000_000]);
        assert!(Limiter::new(RateLimit::UNLIMITED).is_unlimited());
    }
}
