//! At this growth, when does it break: growth rates as steps of time.

use crate::scenario::types::{Forecast, GrowthRate};

/// Most sets that a workload grows to.
const MOST_SETS: f64 = 10_000_000.0;

impl Forecast {
    /// Whole periods up to the horizon.
    pub fn periods(&self) -> u64 {
        let period = self.every.as_secs_f64().max(1e-9);
        libm::floor(self.horizon.as_secs_f64() / period + 1e-9) as u64
    }

    /// Sets after so many periods, from `now`; rounded to the nearest whole.
    pub fn sets_after(&self, now: u64, periods: u64) -> u64 {
        let (now, periods) = (now as f64, periods as f64);
        let sets = match self.growth {
            GrowthRate::Share(share) => now * libm::pow(1.0 + share, periods),
            GrowthRate::Sets(sets) => now + sets * periods,
        };
        libm::round(sets.clamp(0.0, MOST_SETS)) as u64
    }

    /// Time after so many periods.
    pub fn seconds_after(&self, periods: u64) -> f64 {
        self.every.as_secs_f64() * periods as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SimDuration;
    use crate::scenario::types::Spanned;

    #[test]
    fn compound_and_linear_growth() {
        let day = 86_400;
        let path_span = crate::sweep::testing::setting("w", 0).path_span;
        let forecast = |growth| Forecast {
            workload: Spanned { value: "w".into(), span: path_span },
            growth,
            every: SimDuration::from_secs(30 * day),
            horizon: SimDuration::from_secs(360 * day),
        };
        let share = forecast(GrowthRate::Share(0.1));
        assert_eq!(share.periods(), 12);
        // 60 x 1.1^12 = 188.3
        assert_eq!([0, 1, 12].map(|p| share.sets_after(60, p)), [60, 66, 188]);
        assert_eq!([0, 1, 12].map(|p| forecast(GrowthRate::Sets(2.5)).sets_after(60, p)), [60, 63, 90]);
        assert_eq!(share.seconds_after(3), (90 * day) as f64);
        assert_eq!(forecast(GrowthRate::Share(9.0)).sets_after(60, 12), 10_000_000);
    }
}
