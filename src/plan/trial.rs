//! A candidate on trial: paired replications of one cluster, as many as it takes to judge it.

use super::level::{Level, best_bound};
use super::model::{Loss, Model, Size};
use crate::report::statistics::Moments;
use crate::report::statistics::t_quantile;
use crate::results::summary::StuckReason;
use crate::scenario::types::{Override, Requirement};
use crate::sweep::execute::panic_text;
use crate::sweep::{Job, JobKey, Metrics, replication_seed};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Fewest replications on which a level is judged.
pub const LEAST_REPLICATIONS: u32 = 10;
/// Replications after which a candidate that may still do is believed for the time being.
pub const SCREEN: u32 = 3;
/// Replications run at once before it is looked whether the candidate can still do: 1, 2, 4, 8 ... of them. Fixed, so that
/// the number of runs does not depend on the number of threads.
const FIRST_BATCH: u32 = 1;

/// What all trials of a plan have in common.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The simulator.
    pub model: &'a dyn Model,
    /// The levels to be met.
    pub levels: &'a [Level],
    /// The scenario's seed.
    pub seed: u64,
    replications: u32,
    t: f64,
}

impl<'a> Bench<'a> {
    /// `confidence` is that of the one-sided bound; `replications` below [`LEAST_REPLICATIONS`] count as that many.
    pub fn new(
        model: &'a dyn Model,
        levels: &'a [Level],
        confidence: f64,
        replications: u32,
        seed: u64,
    ) -> Bench<'a> {
        let replications = replications.max(LEAST_REPLICATIONS);
        let t = t_quantile(confidence, f64::from(replications - 1));
        Bench { model, levels, seed, replications, t }
    }

    /// Runs of a full trial.
    pub fn replications(&self) -> u32 {
        self.replications
    }
}

/// What is known about a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not judged, or good so far.
    Open,
    /// Every level is met by all replications.
    Met,
    /// Some level is not met, or can no longer be.
    Unmet,
    /// The simulator could not run it.
    Failed,
}

/// What the runs say about a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The level.
    pub level: Level,
    /// Mean over the runs so far; infinite if any is.
    pub mean: f64,
    /// One-sided upper bound of the mean; if runs are missing, the best it can still become.
    pub bound: f64,
    /// Is (or can still be) within the limit.
    pub met: bool,
}

/// A cluster under trial.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its settings.
    pub settings: Vec<Override>,
    /// Its variant, by index and name.
    pub variant: (u32, String),
    /// How large it is.
    pub size: Size,
    /// What is known.
    pub verdict: Verdict,
    /// Runs done, those of `survive` included.
    pub runs: u64,
    /// Why it failed.
    pub error: Option<String>,
    metrics: Vec<Metrics>,
    losses: Vec<Loss>,
}

impl Trial {
    /// Not yet begun.
    pub fn new(settings: Vec<Override>, variant: (u32, String), size: Size) -> Trial {
        let (metrics, losses) = (Vec::new(), Vec::new());
        Trial { settings, variant, size, verdict: Verdict::Open, runs: 0, error: None, metrics, losses }
    }

    /// A cluster that cannot be.
    pub fn impossible(settings: Vec<Override>, variant: (u32, String), why: String) -> Trial {
        let mut trial = Trial::new(settings, variant, Size { nodes: 0, price_per_hour: None });
        trial.fail(why);
        trial
    }

    /// Runs replications until `depth` of them are done or the candidate is judged. At full depth, it is judged.
    ///
    /// Replications are run in order, and what follows them is decided by them alone, so the outcome and the number of
    /// runs are the same on any number of threads.
    pub fn advance(&mut self, bench: &Bench<'_>, depth: u32) {
        let full = bench.replications;
        let depth = depth.min(full);
        let mut batch = FIRST_BATCH;
        while self.verdict == Verdict::Open && (self.metrics.len() as u32) < depth {
            let from = self.metrics.len() as u32;
            let to = depth.min(from + batch);
            batch *= 2;
            self.run(bench, from..to);
            self.judge(bench);
        }
        if self.verdict == Verdict::Open && self.metrics.len() as u32 >= depth {
            // On the way, the losses of one replication: without them every candidate that lacks only spares looks as if it did.
            self.survive(bench, if depth < full { 1 } else { full });
        }
        if self.verdict == Verdict::Open && self.metrics.len() as u32 >= full {
            self.verdict = Verdict::Met;
        }
    }

    fn run(&mut self, bench: &Bench<'_>, replications: std::ops::Range<u32>) {
        let outcomes: Vec<Result<Metrics, String>> =
            replications.into_par_iter().map(|r| guarded(|| bench.model.run(&self.job(bench, r)))).collect();
        self.runs += outcomes.len() as u64;
        for outcome in outcomes {
            match outcome {
                Ok(metrics) if self.error.is_none() => self.metrics.push(metrics),
                Ok(_) => {}
                Err(why) => self.fail(why),
            }
        }
    }

    fn fail(&mut self, why: String) {
        self.verdict = Verdict::Failed;
        self.error.get_or_insert(why);
    }

    fn job(&self, bench: &Bench<'_>, replication: u32) -> Job<'_> {
        Job {
            key: JobKey { point: 0, replication, variant: self.variant.0 },
            settings: &self.settings,
            variant: &self.variant.1,
            seed: replication_seed(bench.seed, replication),
        }
    }

    fn judge(&mut self, bench: &Bench<'_>) {
        if self.verdict != Verdict::Open {
            return;
        }
        let measured = self.measured(bench);
        if measured.iter().any(|m| !m.met) {
            self.verdict = Verdict::Unmet;
        }
    }

    /// The loss of nodes in the first `replications`, once everything else holds: it costs a run per set of nodes.
    fn survive(&mut self, bench: &Bench<'_>, replications: u32) {
        let wanted = bench.levels.iter().find_map(|level| match level.requirement {
            Requirement::Survive { nodes, within } => Some((nodes, within)),
            _ => None,
        });
        let Some((nodes, within)) = wanted else { return };
        for replication in self.losses.len() as u32..replications {
            match guarded(|| bench.model.lose(&self.job(bench, replication), nodes, within)) {
                Ok(loss) => {
                    self.runs += loss.runs;
                    self.losses.push(loss);
                }
                Err(why) => return self.fail(why),
            }
            // The mean of what is never negative is 0 only if all are.
            if self.losses.iter().any(|loss| loss.fatal > 0) {
                self.verdict = Verdict::Unmet;
                return;
            }
        }
    }

    /// What the runs so far say about each level, in the order of the levels.
    pub fn measured(&self, bench: &Bench<'_>) -> Vec<Measured> {
        let full = bench.replications as usize;
        let of = |level: &Level| {
            let lost = || self.losses.iter().map(|loss| loss.worst_pods as f64).collect();
            let values: Option<Vec<f64>> = self.metrics.iter().map(|m| level.value(m)).collect();
            let values: Vec<f64> = values.unwrap_or_else(lost);
            let bound = best_bound(&values, full, bench.t);
            let mean = Moments::of(&values).map_or(0.0, |m| m.mean);
            // What the search for the best bound leaves in the last digits decides nothing.
            let slack = if values.len() < full { 1e-9 * level.limit().max(1e-3) } else { 0.0 };
            Measured { level: *level, mean, bound, met: bound <= level.limit() + slack }
        };
        bench.levels.iter().map(of).collect()
    }

    /// Replications done.
    pub fn replications(&self) -> usize {
        self.metrics.len()
    }

    /// The mean of a metric over the runs that measured it.
    pub fn mean(&self, path: &str) -> Option<f64> {
        let values: Vec<f64> = self.metrics.iter().filter_map(|m| m.get(path)).collect();
        Moments::of(&values).map(|m| m.mean)
    }

    /// The runs' metrics in the order of the replications.
    pub fn metrics(&self) -> &[Metrics] {
        &self.metrics
    }

    /// The worst loss of nodes that was tried.
    pub fn worst_loss(&self) -> Option<Loss> {
        self.losses.iter().copied().max_by_key(|loss| (loss.worst_pods, loss.fatal))
    }

    /// Why pods were stuck, over all runs, most first.
    pub fn reasons(&self) -> Vec<StuckReason> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for reason in self.metrics.iter().flat_map(|m| &m.reasons) {
            *counts.entry(&reason.message).or_insert(0) += reason.pods;
        }
        let mut all: Vec<StuckReason> =
            counts.into_iter().map(|(m, pods)| StuckReason { message: m.to_owned(), pods }).collect();
        all.sort_by_key(|r| std::cmp::Reverse(r.pods));
        all
    }
}

/// A fault of the program in one run must not cost the answers of the others.
fn guarded<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|cause| Err(format!("the program failed: {}", panic_text(&*cause))))
}
