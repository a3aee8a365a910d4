//! Sums over simulated time of what is constant between events.

use crate::engine::time::{NANOS_PER_SECOND, SimDuration};

/// The integral over time of an amount: amount x nanoseconds, in 128 bits (an exabyte over a thousand years fits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Integral(u128);

impl Integral {
    /// `amount` was there for `span`.
    pub fn add(&mut self, amount: u128, span: SimDuration) {
        self.0 = self.0.saturating_add(amount.saturating_mul(u128::from(span.as_nanos())));
    }
    /// In amount x seconds.
    pub fn seconds(self) -> f64 {
        let nanos = u128::from(NANOS_PER_SECOND);
        (self.0 / nanos) as f64 + (self.0 % nanos) as f64 / NANOS_PER_SECOND as f64
    }
    /// The mean over `whole`; `now` if that is empty.
    pub fn mean(self, whole: SimDuration, now: u128) -> f64 {
        if whole.is_zero() { now as f64 } else { self.0 as f64 / whole.as_nanos() as f64 }
    }
    /// The mean over `whole` rounded to the nearest integer, half up; `now` if that is empty.
    pub fn mean_rounded(self, whole: SimDuration, now: u128) -> u128 {
        match u128::from(whole.as_nanos()) {
            0 => now,
            nanos => self.0 / nanos + u128::from(self.0 % nanos >= nanos.div_ceil(2)),
        }
    }
    /// The integral of the sum of both amounts.
    pub fn plus(self, other: Integral) -> Integral {
        Integral(self.0.saturating_add(other.0))
    }
    /// `self` over `other`; `None` if that is nothing.
    pub fn share_of(self, other: Integral) -> Option<f64> {
        (other.0 > 0).then(|| self.0 as f64 / other.0 as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_weighted_by_time() {
        let mut integral = Integral::default();
        integral.add(10, SimDuration::from_secs(1));
        integral.add(1, SimDuration::from_secs(3));
        let whole = SimDuration::from_secs(4);
        assert_eq!(integral.mean(whole, 0), 3.25);
        assert_eq!(integral.mean_rounded(whole, 0), 3);
        assert_eq!(integral.seconds(), 13.0);
        assert_eq!(Integral::default().mean_rounded(SimDuration::ZERO, 7), 7);
        let mut half = Integral::default();
        half.add(1, SimDuration::from_secs(2));
        assert_eq!(half.mean_rounded(whole, 0), 1, "0.5 rounds up");
    }
}
