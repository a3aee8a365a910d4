//! Means with intervals, and paired differences to the baseline, per point of a sweep, for its page: as in `summary.csv`.

use super::statistics::{estimate, paired};
use crate::results::leaves::Leaf;
use crate::results::sweep::{SweepRow, SweepTable};
use std::collections::BTreeMap;

/// One metric of one variant at one point, over its replications.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EstimateRow {
    /// The point.
    pub point: u64,
    /// The axes' values there, as `path=value` separated by blanks.
    pub axes: String,
    /// The variant.
    pub variant: String,
    /// Dotted path of the metric.
    pub metric: String,
    /// Replications that have a value.
    pub replications: u64,
    /// Their mean.
    pub mean: f64,
    /// Lower end of the t-interval; empty with one replication.
    pub mean_low: Option<f64>,
    /// Upper end of the t-interval.
    pub mean_high: Option<f64>,
    /// Mean of the paired differences to the first variant; empty for the first variant itself.
    pub difference: Option<f64>,
    /// Lower end of its t-interval.
    pub difference_low: Option<f64>,
    /// Upper end of its t-interval.
    pub difference_high: Option<f64>,
}

/// Means, intervals and paired differences of every metric, by point, then variant as in the table, then metric.
///
/// `confidence` is between 0 and 1. Replications in which either side failed or has no value are left out of a difference.
pub fn estimates(table: &SweepTable, confidence: f64) -> Vec<EstimateRow> {
    let metrics = table.metrics();
    let mut rows = Vec::new();
    for at_point in table.rows.chunk_by(|a, b| a.point == b.point) {
        let mut variants: Vec<&str> = Vec::new();
        for row in at_point {
            if !variants.contains(&row.variant.as_str()) {
                variants.push(&row.variant);
            }
        }
        let axes: Vec<String> =
            table.axes.iter().zip(&at_point[0].axis_values).map(|(a, v)| format!("{a}={v}")).collect();
        for variant in &variants {
            for metric in &metrics {
                let mine = replications(at_point, variant, metric);
                let values: Vec<f64> = mine.values().copied().collect();
                let Some(e) = estimate(&values, confidence) else { continue };
                let difference = if *variant == variants[0] {
                    None
                } else {
                    let base = replications(at_point, variants[0], metric);
                    let pairs: Vec<(f64, f64)> =
                        mine.iter().filter_map(|(r, v)| Some((*v, *base.get(r)?))).collect();
                    let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
                    paired(&a, &b, confidence)
                };
                rows.push(EstimateRow {
                    point: at_point[0].point,
                    axes: axes.join(" "),
                    variant: (*variant).to_owned(),
                    metric: metric.clone(),
                    replications: e.count as u64,
                    mean: e.mean,
                    mean_low: e.half_width.map(|_| e.low()),
                    mean_high: e.half_width.map(|_| e.high()),
                    difference: difference.map(|d| d.mean),
                    difference_low: difference.and_then(|d| d.half_width.map(|_| d.low())),
                    difference_high: difference.and_then(|d| d.half_width.map(|_| d.high())),
                });
            }
        }
    }
    rows
}

/// The values of a metric by replication.
fn replications(rows: &[SweepRow], variant: &str, metric: &str) -> BTreeMap<u64, f64> {
    let of = |r: &SweepRow| {
        let absent = (!r.metrics.is_empty()).then_some(Leaf::Integer(0));
        let value = r.metrics.get(metric).copied().or(absent)?.as_f64()?;
        Some((r.replication, value))
    };
    rows.iter().filter(|r| r.variant == variant).filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::summary::{StuckCause, VariantSummary};

    fn row(point: u64, replication: u64, variant: &str, stuck: u64) -> SweepRow {
        let mut summary =
            VariantSummary { name: variant.into(), digest: "blake3:1".into(), ..VariantSummary::default() };
        summary.pods.stuck = stuck;
        if stuck > 0 {
            summary.pods.stuck_by = [(StuckCause::NotCreated, stuck)].into();
        }
        let axis_values = vec![(20 + 10 * point).to_string(), "=cmd".into()];
        let mut row =
            SweepRow { point, replication, seed: 7 + replication, axis_values, ..SweepRow::default() };
        row.fill(&summary);
        row
    }

    fn table() -> SweepTable {
        let mut rows = Vec::new();
        for point in 0..2 {
            for replication in 0..3 {
                // immediate: 2, 4, 6 stuck (+10 per point); wait: one fewer each time.
                let stuck = 2 + 2 * replication + 10 * point;
                rows.push(row(point, replication, "immediate", stuck));
                rows.push(row(point, replication, "wait", stuck - 1));
            }
        }
        SweepTable { axes: vec!["workload.generate[shop].sets".into(), "name of, axis".into()], rows }
    }

    #[test]
    fn differences_are_paired_by_replication() {
        let mut table = table();
        // A failed run of the baseline takes its pair out of the difference, not the variant's own value out of its mean.
        table.rows[6].metrics.clear();
        let rows = estimates(&table, 0.95);
        let find = |point, variant: &str| {
            rows.iter()
                .find(|r| r.point == point && r.variant == variant && r.metric == "pods.stuck")
                .expect("a row")
        };
        let base = find(0, "immediate");
        assert_eq!((base.replications, base.mean, base.difference), (3, 4.0, None));
        assert!((base.mean_high.expect("three values") - 8.968_275_6).abs() < 1e-6);
        let wait = find(0, "wait");
        assert_eq!(
            (wait.mean, wait.difference, wait.difference_low, wait.difference_high),
            (3.0, Some(-1.0), Some(-1.0), Some(-1.0))
        );
        let later = find(1, "wait");
        assert_eq!((later.replications, later.mean, later.difference), (3, 13.0, Some(-1.0)));
        assert_eq!(find(1, "immediate").replications, 2);
        assert_eq!(find(0, "immediate").axes, "workload.generate[shop].sets=20 name of, axis==cmd");
        // A cause that did not occur counts as 0, a percentile without pods is left out.
        let cause = rows
            .iter()
            .find(|r| r.metric == "pods.stuckBy.notCreated" && r.variant == "wait")
            .expect("a row");
        assert_eq!(cause.replications, 3);
        assert!(rows.iter().all(|r| r.metric != "pendingSeconds.p50"));
    }
}
