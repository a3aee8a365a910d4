//! Means with intervals, and paired differences to the baseline, per point of a sweep, for its page: as in `summary.csv`.

use super::statistics::{Quantiles, compare};
use crate::results::sweep::{SweepRow, SweepTable};
use std::collections::{BTreeMap, BTreeSet};

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
    let mut quantiles = Quantiles::default();
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
                let base = (*variant != variants[0]).then(|| replications(at_point, variants[0], metric));
                let (own, difference) = compare(&mine, base.as_deref(), confidence, &mut quantiles);
                let Some(own) = own else { continue };
                let ends = |e: Option<super::statistics::Estimate>| e.and_then(|e| e.ends());
                rows.push(EstimateRow {
                    point: at_point[0].point,
                    axes: axes.join(" "),
                    variant: (*variant).to_owned(),
                    metric: metric.clone(),
                    replications: own.count as u64,
                    mean: own.mean,
                    mean_low: ends(Some(own)).map(|e| e.0),
                    mean_high: ends(Some(own)).map(|e| e.1),
                    difference: difference.map(|d| d.mean),
                    difference_low: ends(difference).map(|e| e.0),
                    difference_high: ends(difference).map(|e| e.1),
                });
            }
        }
    }
    rows
}

/// The values of a metric, in the order of the replications that the point has; a file may number them as it likes.
fn replications(rows: &[SweepRow], variant: &str, metric: &str) -> Vec<Option<f64>> {
    let order: BTreeSet<u64> = rows.iter().map(|r| r.replication).collect();
    let of: BTreeMap<u64, Option<f64>> = rows
        .iter()
        .filter(|r| r.variant == variant)
        .map(|r| (r.replication, r.metrics.get(metric).and_then(|leaf| leaf.as_f64())))
        .collect();
    order.iter().map(|r| of.get(r).copied().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_paired_by_replication() {
        // immediate: 2, 4, 6 stuck (+10 per point); wait: one fewer each time. At point 1, a run of the baseline failed: it
        // takes its pair out of the difference, not the variant's own value out of its mean.
        let csv = "\
point,replication,variant,seed,sets,\"name of, axis\",digest,error,pendingSeconds.p50,pods.stuck
0,0,immediate,7,20,'=cmd,blake3:1,,,2
0,0,wait,7,20,'=cmd,blake3:1,,,1
0,1,immediate,8,20,'=cmd,blake3:1,,,4
0,1,wait,8,20,'=cmd,blake3:1,,,3
0,2,immediate,9,20,'=cmd,blake3:1,,,6
0,2,wait,9,20,'=cmd,blake3:1,,,5
1,0,immediate,7,30,'=cmd,,no disk,,
1,0,wait,7,30,'=cmd,blake3:1,,,11
1,1,immediate,8,30,'=cmd,blake3:1,,,14
1,1,wait,8,30,'=cmd,blake3:1,,,13
1,2,immediate,9,30,'=cmd,blake3:1,,,16
1,2,wait,9,30,'=cmd,blake3:1,,,15
";
        let table = SweepTable::read(csv.as_bytes()).expect("reads");
        let rows = estimates(&table, 0.95);
        let find = |point, variant: &str| {
            rows.iter().find(|r| r.point == point && r.variant == variant).expect("a row")
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
        assert_eq!(find(0, "immediate").axes, "sets=20 name of, axis==cmd");
        // A percentile without pods is left out.
        assert!(rows.iter().all(|r| r.metric == "pods.stuck"));
    }
}
