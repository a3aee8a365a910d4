//! Adding replications to a point until its intervals are narrow.
//!
//! The rule looks at nothing but the finished runs of the point, all replications up to a number that is itself decided by
//! the rule; so it gives the same answer on any number of threads and machines.

use crate::report::statistics::{Moments, Quantiles};
use serde::{Deserialize, Serialize};

/// When is a point known well enough?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UntilCi {
    /// Half the width of the 95 % interval of the mean, over the mean: 0.02 for `2%`.
    pub relative: f64,
    /// The metrics that must be known that well, for every variant.
    pub metrics: Vec<String>,
    /// Replications after which a point is left as it is.
    pub max_replications: u32,
}

/// The confidence of the intervals.
pub const CONFIDENCE: f64 = 0.95;

/// Counts of pods or sets whose interval is narrower than this are known well enough, however small they are.
const HALF_A_POD: f64 = 0.5;

/// The least replications on which an interval is judged: three or four equal numbers by chance are no proof of certainty.
pub const LEAST_REPLICATIONS: u32 = 5;

impl UntilCi {
    /// What is watched unless the user says otherwise.
    pub const DEFAULT_METRICS: [&'static str; 1] = ["pods.stuck"];
    /// Where it ends unless the user says otherwise.
    pub const DEFAULT_MAX_REPLICATIONS: u32 = 1000;

    /// Is the mean of one metric of one variant known well enough? `values` are those of the successful runs.
    ///
    /// Nothing measured at all (`values` empty) cannot become narrower by more runs and counts as narrow.
    pub fn is_narrow(&self, metric: &str, values: &[f64]) -> bool {
        let Some(moments) = Moments::of(values) else { return true };
        let Some(half) = moments.half_width(CONFIDENCE, &mut Quantiles::default()) else { return false };
        let counts = metric.starts_with("pods.") || metric.starts_with("sets.");
        let floor = if counts && !metric.ends_with("Seconds") { HALF_A_POD } else { 0.0 };
        half <= (self.relative * moments.mean.abs()).max(floor)
    }

    /// How many replications to have next, after `done` of them did not suffice; `None` at the end.
    ///
    /// Half as many again: few rounds, and at most a third of the runs more than needed.
    pub fn next(&self, done: u32) -> Option<u32> {
        let next = done.saturating_add((done / 2).max(1)).min(self.max_replications);
        (next > done).then_some(next)
    }
}

/// Reads `2%` or `0.02`.
///
/// # Errors
/// What was expected.
pub fn parse_relative(text: &str) -> Result<f64, String> {
    let trimmed = text.trim();
    let value = match trimmed.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
        None => trimmed.parse::<f64>(),
    };
    match value {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err(format!("`{text}` is not a share such as 2% or 0.02, above 0 and below 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(relative: f64) -> UntilCi {
        UntilCi { relative, metrics: vec!["x".into()], max_replications: 100 }
    }

    #[test]
    fn narrow_means_half_the_interval_over_the_mean() {
        // 95 and 105, five times each: mean 100, deviation 5.27, half width 2.262 * 5.27 / sqrt(10) = 3.77.
        let values: Vec<f64> = (0..10).map(|i| if i % 2 == 0 { 95.0 } else { 105.0 }).collect();
        assert!(rule(0.04).is_narrow("storage.freeBytes", &values));
        assert!(!rule(0.03).is_narrow("storage.freeBytes", &values));
        // A tenth of it: +-0.377 pods is below half a pod.
        let small: Vec<f64> = values.iter().map(|v| v / 10.0).collect();
        assert!(rule(0.03).is_narrow("pods.stuck", &small));
        assert!(!rule(0.03).is_narrow("pods.stuckSeconds", &small));
        assert!(rule(0.01).is_narrow("x", &[]));
        assert!(rule(0.01).is_narrow("x", &[0.0, 0.0]));
        assert!(!rule(0.01).is_narrow("x", &[3.0]));
    }

    #[test]
    fn rounds_grow_to_the_limit() {
        let rule = rule(0.01);
        let mut at = 5;
        let mut rounds = vec![at];
        while let Some(next) = rule.next(at) {
            at = next;
            rounds.push(at);
        }
        assert_eq!(rounds, [5, 7, 10, 15, 22, 33, 49, 73, 100]);
        assert_eq!(rule.next(1), Some(2));
    }

    #[test]
    fn shares() {
        assert_eq!(parse_relative("2%"), Ok(0.02));
        assert_eq!(parse_relative(" 0.5 "), Ok(0.5));
        for bad in ["", "0", "-1%", "100%", "x", "NaN", "inf"] {
            assert!(parse_relative(bad).is_err(), "{bad}");
        }
    }
}
