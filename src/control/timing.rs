//! How long things take, and the token buckets of the controllers' clients.

use crate::engine::time::{NANOS_PER_SECOND, SimDuration, SimTime};
pub use crate::scenario::{AttemptTime, ControlPlane as Timing, CsiTimers, NodeTimers, RateLimit};

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
        assert!(Limiter::new(Timing::IDEAL.kcm).is_unlimited());
    }
}
