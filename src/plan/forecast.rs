//! At this growth, when does it break: growth rates as steps of time.

use crate::engine::time::SimDuration;

/// How a workload grows per period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// By a share of what there is: 0.1 for `10%`.
    Share(f64),
    /// By so many sets.
    Sets(f64),
}

/// A forecast to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The workload that grows.
    pub workload: String,
    /// How fast.
    pub rate: Rate,
    /// Per this time.
    pub period: SimDuration,
    /// How far ahead.
    pub horizon: SimDuration,
}

/// Most sets that a workload grows to.
const MOST_SETS: f64 = 10_000_000.0;

impl Forecast {
    /// Whole periods up to the horizon.
    pub fn periods(&self) -> u64 {
        let period = self.period.as_secs_f64().max(1e-9);
        libm::floor(self.horizon.as_secs_f64() / period + 1e-9) as u64
    }

    /// Sets after so many periods, from `now`; rounded to the nearest whole.
    pub fn sets_after(&self, now: u64, periods: u64) -> u64 {
        let (now, periods) = (now as f64, periods as f64);
        let sets = match self.rate {
            Rate::Share(share) => now * libm::pow(1.0 + share, periods),
            Rate::Sets(sets) => now + sets * periods,
        };
        libm::round(sets.clamp(0.0, MOST_SETS)) as u64
    }

    /// Time after so many periods.
    pub fn seconds_after(&self, periods: u64) -> f64 {
        self.period.as_secs_f64() * periods as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compound_and_linear_growth() {
        let day = 86_400;
        let forecast = |rate| Forecast {
            workload: "w".into(),
            rate,
            period: SimDuration::from_secs(30 * day),
            horizon: SimDuration::from_secs(360 * day),
        };
        let share = forecast(Rate::Share(0.1));
        assert_eq!(share.periods(), 12);
        // 60 x 1.1^12 = 188.3
        assert_eq!([0, 1, 12].map(|p| share.sets_after(60, p)), [60, 66, 188]);
        assert_eq!([0, 1, 12].map(|p| forecast(Rate::Sets(2.5)).sets_after(60, p)), [60, 63, 90]);
        assert_eq!(share.seconds_after(3), (90 * day) as f64);
        assert_eq!(forecast(Rate::Share(9.0)).sets_after(60, 12), 10_000_000);
    }
}
