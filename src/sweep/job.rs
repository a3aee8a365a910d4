//! One run of a sweep or a plan: what it is given and what it answers.

use crate::results::VariantSummary;
use crate::results::leaves::{Leaf, leaves};
use crate::results::summary::{StuckCause, StuckReason};
use crate::scenario::types::Override;
use std::collections::BTreeMap;

/// A point of a sweep: one value for each axis.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// From 0, in the order of the design.
    pub index: u64,
    /// One per axis, in the order of the axes.
    pub settings: Vec<Override>,
}

/// Which run it is. The order is that of the rows of `sweep.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    /// [`Point::index`].
    pub point: u64,
    /// From 0.
    pub replication: u32,
    /// Index of the variant in the order of the scenario.
    pub variant: u32,
}

/// A run to be done.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// Which one it is.
    pub key: JobKey,
    /// The values of the axes; they are applied after the variant's own changes.
    pub settings: &'a [Override],
    /// The variant's name.
    pub variant: &'a str,
    /// The seed of this replication: [`replication_seed`]. `run --seed` with it repeats the run.
    pub seed: u64,
}

/// What a run answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// `blake3:<hex>` over every observation of the run.
    pub digest: String,
    /// Every number by its dotted path. All runs of a sweep have the same paths.
    pub values: BTreeMap<String, Leaf>,
    /// For the planner, not kept by sweeps: why pods are stuck, in Kubernetes' words.
    pub reasons: Vec<StuckReason>,
    /// For the planner: see [`crate::results::VariantOutput::pending_p99_seconds`].
    pub pending_p99_seconds: Option<f64>,
    /// For the planner: see [`crate::results::VariantOutput::sets_stuck_ever`].
    pub sets_stuck_ever: u64,
}

impl Metrics {
    /// The numbers of a variant's summary. Causes that held no pod count as 0, so that every run has the same paths.
    pub fn of(summary: &VariantSummary) -> Metrics {
        let mut values = leaves(summary);
        for cause in StuckCause::ALL {
            values.entry(format!("pods.stuckBy.{}", cause.name())).or_insert(Leaf::Integer(0));
        }
        let reasons = summary.pods.stuck_reasons.clone();
        Metrics { digest: summary.digest.clone(), values, reasons, ..Metrics::default() }
    }

    /// A number as a float; `None` if there is no such metric or nothing was measured.
    pub fn get(&self, path: &str) -> Option<f64> {
        self.values.get(path).copied().and_then(Leaf::as_f64)
    }
}

/// The simulator, as far as sweeps and plans are concerned: a pure function of the job.
pub trait Evaluate: Sync {
    /// Runs one job.
    ///
    /// # Errors
    /// Why the run could not be done, in one line; it becomes the row's `error`. The same job fails always or never.
    fn run(&self, job: &Job<'_>) -> Result<Metrics, String>;
}

/// The seed of a replication: the scenario's own for the first, so that `run` shows what a sweep's replication 0 saw.
///
/// The others are drawn from it; below 2^53, so that every reader of JSON and CSV holds them exactly.
pub fn replication_seed(seed: u64, replication: u32) -> u64 {
    if replication == 0 {
        return seed;
    }
    let mut hasher = blake3::Hasher::new_derive_key("stowplan replication seed v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&replication.to_le_bytes());
    let hash = hasher.finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(bytes) >> 11
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn seeds_of_replications_differ_and_the_first_is_the_scenarios() {
        assert_eq!(replication_seed(42, 0), 42);
        assert_eq!(replication_seed(u64::MAX, 0), u64::MAX);
        let seeds: BTreeSet<u64> = (0..1000).map(|r| replication_seed(42, r)).collect();
        assert_eq!(seeds.len(), 1000);
        assert!(seeds.iter().all(|s| *s < 1 << 53));
        assert_ne!(replication_seed(42, 1), replication_seed(43, 1));
    }

    #[test]
    fn every_summary_has_the_same_paths() {
        let empty = Metrics::of(&VariantSummary::default());
        let mut summary = VariantSummary::default();
        summary.pods.stuck_by.insert(StuckCause::NodeGone, 3);
        let stuck = Metrics::of(&summary);
        assert!(empty.values.keys().eq(stuck.values.keys()));
        assert_eq!(stuck.get("pods.stuckBy.nodeGone"), Some(3.0));
        assert_eq!(empty.get("pods.stuckBy.nodeGone"), Some(0.0));
        assert_eq!(empty.get("pendingSeconds.p99"), None);
    }
}
