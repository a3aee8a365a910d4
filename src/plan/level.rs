//! Service levels as numbers: what one run says about each, and the bound over runs that decides.

use crate::report::statistics::Moments;
use crate::scenario::types::Requirement;
use crate::sweep::Metrics;

/// The time to which `quorumLoss` is scaled.
const THIRTY_DAYS_SECONDS: f64 = 30.0 * 86_400.0;

/// A service level: its measure must not exceed its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// What the scenario says.
    pub requirement: Requirement,
}

impl Level {
    /// The key in `plan.require`.
    pub fn name(&self) -> &'static str {
        match self.requirement {
            Requirement::Stuck(_) => "stuck",
            Requirement::StuckSets(_) => "stuckSets",
            Requirement::PendingP99(_) => "pendingP99",
            Requirement::Survive { .. } => "survive",
            Requirement::QuorumLoss(_) => "quorumLoss",
        }
    }

    /// The largest value that meets it: a share, seconds, or pods lost (0).
    pub fn limit(&self) -> f64 {
        match self.requirement {
            Requirement::Stuck(share) | Requirement::StuckSets(share) => share,
            Requirement::PendingP99(time) | Requirement::QuorumLoss(time) => time.as_secs_f64(),
            Requirement::Survive { .. } => 0.0,
        }
    }

    /// What one run says; infinite if it never ends. Never negative. `None` for `survive`, which needs more than a run.
    pub fn value(&self, metrics: &Metrics) -> Option<f64> {
        let get = |path| metrics.get(path).unwrap_or(0.0).max(0.0);
        let share = |part: f64, whole: f64| match (part, whole) {
            (0.0, _) => 0.0,
            (_, 0.0) => f64::INFINITY,
            (part, whole) => part / whole,
        };
        match self.requirement {
            Requirement::Stuck(_) => Some(share(get("pods.stuckEver"), get("pods.wanted"))),
            Requirement::StuckSets(_) => Some(share(metrics.sets_stuck_ever as f64, get("sets.wanted"))),
            Requirement::PendingP99(_) => Some(metrics.pending_p99_seconds.unwrap_or(f64::INFINITY)),
            Requirement::QuorumLoss(_) => {
                let per_group = share(get("recovery.quorumLostSeconds"), get("recovery.groups"));
                Some(share(per_group * THIRTY_DAYS_SECONDS, get("simulatedSeconds")))
            }
            Requirement::Survive { .. } => None,
        }
    }
}

/// The smallest upper bound that `total` runs can still have after these, the others being as good as it gets.
///
/// Values are at least 0. The bound is convex and symmetric in the values to come, so the best they can be is all equal;
/// the best of those is found by ternary search. What it says is exact: a candidate that it rules out would be ruled out
/// by all of its runs as well. `t` is Student's quantile for `total` runs.
pub fn best_bound(values: &[f64], total: usize, t: f64) -> f64 {
    if values.iter().any(|v| v.is_infinite()) {
        return f64::INFINITY;
    }
    let missing = total.saturating_sub(values.len());
    let mut all = values.to_vec();
    all.resize(values.len() + missing, 0.0);
    let mut bound = |rest: f64| {
        all[values.len()..].fill(rest);
        Moments::of(&all).map_or(f64::INFINITY, |m| m.upper_bound(t))
    };
    if missing == 0 {
        return bound(0.0);
    }
    let (mut low, mut high) = (0.0, values.iter().copied().fold(0.0, f64::max));
    for _ in 0..100 {
        let third = (high - low) / 3.0;
        if bound(low + third) < bound(high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    bound(low).min(bound(high)).min(bound(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SimDuration;
    use crate::report::statistics::t_quantile;
    use crate::results::leaves::Leaf;

    fn metrics(values: &[(&str, f64)]) -> Metrics {
        let leaf = |(path, x): &(&str, f64)| ((*path).to_owned(), Leaf::Float(*x));
        Metrics { values: values.iter().map(leaf).collect(), ..Metrics::default() }
    }

    #[test]
    fn what_a_run_says() {
        let minute = SimDuration::from_secs(60);
        for (requirement, values, want) in [
            (Requirement::Stuck(0.01), &[("pods.stuckEver", 3.0), ("pods.wanted", 60.0)][..], 0.05),
            (Requirement::Stuck(0.01), &[("pods.stuckEver", 0.0), ("pods.wanted", 0.0)], 0.0),
            (Requirement::Stuck(0.01), &[("pods.stuckEver", 1.0), ("pods.wanted", 0.0)], f64::INFINITY),
            // 6 groups without quorum for 720 s together in 60 days: 60 s per group and 30 days.
            (
                Requirement::QuorumLoss(minute),
                &[
                    ("recovery.quorumLostSeconds", 720.0),
                    ("recovery.groups", 6.0),
                    ("simulatedSeconds", 60.0 * 86_400.0),
                ],
                60.0,
            ),
            (Requirement::QuorumLoss(minute), &[("simulatedSeconds", 1.0)], 0.0),
        ] {
            let level = Level { requirement };
            assert_eq!(level.value(&metrics(values)), Some(want), "{requirement:?} {values:?}");
        }
        let ever = Metrics {
            sets_stuck_ever: 2,
            pending_p99_seconds: Some(7.0),
            ..metrics(&[("sets.wanted", 4.0)])
        };
        assert_eq!(Level { requirement: Requirement::StuckSets(0.0) }.value(&ever), Some(0.5));
        assert_eq!(Level { requirement: Requirement::PendingP99(minute) }.value(&ever), Some(7.0));
        let never = Metrics { pending_p99_seconds: None, ..ever };
        assert_eq!(Level { requirement: Requirement::PendingP99(minute) }.value(&never), Some(f64::INFINITY));
    }

    #[test]
    fn the_best_bound_is_the_least_over_what_may_come() {
        let t = t_quantile(0.95, 9.0);
        for seen in [&[0.3][..], &[0.0, 0.5], &[0.01, 0.02, 0.4, 0.1], &[2.0; 5]] {
            let best = best_bound(seen, 10, t);
            let mut least = f64::INFINITY;
            for step in 0..=2000 {
                let mut all = seen.to_vec();
                all.resize(10, f64::from(step) / 1000.0 * seen.iter().copied().fold(0.0, f64::max));
                least = least.min(Moments::of(&all).unwrap().upper_bound(t));
            }
            assert!(best <= least + 1e-12 && best >= least - 1e-3, "{seen:?}: {best} {least}");
            // Unequal values to come are never better.
            let mut uneven = seen.to_vec();
            uneven.resize(10, 0.0);
            uneven[9] = 0.05;
            assert!(Moments::of(&uneven).unwrap().upper_bound(t) >= best);
        }
        assert_eq!(best_bound(&[0.0, f64::INFINITY], 10, t), f64::INFINITY);
        assert_eq!(best_bound(&[0.0; 4], 10, t), 0.0);
        let values: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(best_bound(&values, 10, t), Moments::of(&values).unwrap().upper_bound(t));
    }
}
