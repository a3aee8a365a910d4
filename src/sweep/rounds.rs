//! Which runs a part of a sweep needs: first those of every point, then those that narrow its intervals.

use super::job::{JobKey, Metrics};
use super::record::Record;
use super::shard::Shard;
use super::study::{Study, StudyFile};
use super::until_ci::{LEAST_REPLICATIONS, UntilCi};
use crate::results::leaves::Leaf;
use crate::results::number::rounded;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A point and the replications to be run there.
pub type Batch = (u64, Range<u32>);

/// As much of a sweep as decides which runs it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Number of points.
    pub points: u64,
    /// Number of variants.
    pub variants: u32,
    /// Replications per point, at least 1.
    pub replications: u32,
    /// The rule by which replications are added.
    pub until_ci: Option<UntilCi>,
}

impl Shape {
    /// Of a sweep to be run.
    pub fn of_study(study: &Study) -> Shape {
        Shape {
            points: study.points.len() as u64,
            variants: study.variants.len() as u32,
            replications: study.replications.max(1),
            until_ci: study.until_ci.clone(),
        }
    }

    /// Of a sweep that was run.
    pub fn of_file(file: &StudyFile) -> Shape {
        Shape {
            points: file.points.len() as u64,
            variants: file.variants.len() as u32,
            replications: file.replications.max(1),
            until_ci: file.until_ci.clone(),
        }
    }

    /// What a part of the sweep runs in any case.
    pub fn first_round(&self, shard: Shard) -> Vec<Batch> {
        let replications = self.replications;
        if let Some(rule) = &self.until_ci {
            // A point decides on its own replications, so it stays on one machine.
            let first = replications.max(LEAST_REPLICATIONS).min(rule.max_replications.max(1));
            return shard.units(self.points).into_iter().map(|point| (point, 0..first)).collect();
        }
        let batch = |unit: u64| {
            let replication = (unit % u64::from(replications)) as u32;
            (unit / u64::from(replications), replication..replication + 1)
        };
        shard.units(self.points * u64::from(replications)).into_iter().map(batch).collect()
    }

    /// What it runs after a round whose runs `watch` has seen, and how many points stay wide.
    pub fn next_round(&self, watch: &Watch, round: &[Batch]) -> (Vec<Batch>, u64) {
        let Some(rule) = &self.until_ci else { return (Vec::new(), 0) };
        let mut next = Vec::new();
        let mut wide = 0;
        for (point, of) in round {
            if watch.is_narrow(rule, *point, self.variants, of.end) {
                continue;
            }
            match rule.next(of.end) {
                Some(end) => next.push((*point, of.end..end)),
                None => wide += 1,
            }
        }
        (next, wide)
    }

    /// The runs of a round.
    pub fn keys(&self, round: &[Batch]) -> Vec<JobKey> {
        let variants = self.variants;
        let of_replication =
            |point, replication| (0..variants).map(move |variant| JobKey { point, replication, variant });
        round.iter().flat_map(|(point, of)| of.clone().flat_map(move |r| of_replication(*point, r))).collect()
    }

    /// The runs of a part of the sweep that are not there, as far as can be told from those that are.
    pub fn missing(&self, shard: Shard, watch: &Watch, has: &dyn Fn(JobKey) -> bool) -> Vec<JobKey> {
        let mut missing = Vec::new();
        let mut round = self.first_round(shard);
        while !round.is_empty() {
            let lacks = |batch: &Batch| -> Vec<JobKey> {
                self.keys(std::slice::from_ref(batch)).into_iter().filter(|key| !has(*key)).collect()
            };
            // A point that lacks runs cannot say whether it needs more.
            round.retain(|batch| {
                let lacking = lacks(batch);
                let whole = lacking.is_empty();
                missing.extend(lacking);
                whole
            });
            round = self.next_round(watch, &round).0;
        }
        missing
    }
}

/// The values that decide about more replications, and what failed.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    metrics: Vec<String>,
    /// (point, variant, metric) -> replication -> value.
    values: BTreeMap<(u64, u32, usize), BTreeMap<u32, f64>>,
    failed: BTreeSet<JobKey>,
}

impl Watch {
    /// Watches what a rule asks for; without one, only what failed.
    pub fn new(rule: Option<&UntilCi>) -> Watch {
        Watch { metrics: rule.map(|rule| rule.metrics.clone()).unwrap_or_default(), ..Watch::default() }
    }

    /// A run that was found on disk; `names` are those of its values.
    pub fn found(&mut self, record: &Record, names: &[String]) {
        self.note(record.key(), record.error.is_some());
        if self.metrics.is_empty() {
            return;
        }
        let cells: Vec<&str> = record.cells().collect();
        for m in 0..self.metrics.len() {
            let at = names.binary_search(&self.metrics[m]).ok();
            let value = at.and_then(|at| cells.get(at)).and_then(|cell| cell.parse().ok());
            self.set(record.key(), m, value);
        }
    }

    /// A run that has just finished.
    pub fn finished(&mut self, key: JobKey, outcome: &Result<Metrics, String>) {
        self.note(key, outcome.is_err());
        for m in 0..self.metrics.len() {
            let leaf = outcome.as_ref().ok().and_then(|metrics| metrics.values.get(&self.metrics[m]));
            // What disk would say, so that a resumed sweep decides alike.
            let value = leaf.and_then(|leaf| match leaf {
                Leaf::Float(x) => rounded(*x),
                other => other.as_f64(),
            });
            self.set(key, m, value);
        }
    }

    /// Runs that failed.
    pub fn failed(&self) -> u64 {
        self.failed.len() as u64
    }

    fn note(&mut self, key: JobKey, failed: bool) {
        if failed {
            self.failed.insert(key);
        } else {
            self.failed.remove(&key);
        }
    }

    fn set(&mut self, key: JobKey, metric: usize, value: Option<f64>) {
        let of = self.values.entry((key.point, key.variant, metric)).or_default();
        match value {
            Some(value) => of.insert(key.replication, value),
            None => of.remove(&key.replication),
        };
    }

    /// Are all watched means of a point narrow, judged on the first `replications` runs?
    fn is_narrow(&self, rule: &UntilCi, point: u64, variants: u32, replications: u32) -> bool {
        (0..variants).all(|variant| {
            rule.metrics.iter().enumerate().all(|(m, metric)| {
                let of = self.values.get(&(point, variant, m));
                let values: Vec<f64> =
                    of.map(|of| of.range(..replications).map(|(_, v)| *v).collect()).unwrap_or_default();
                rule.is_narrow(metric, &values)
            })
        })
    }
}
