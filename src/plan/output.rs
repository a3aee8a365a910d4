//! `plan.json`: every answer with its evidence.

use super::fit::Growth;
use super::level::Level;
use super::model::Size;
use super::search::{Answer, Searched, State, cost};
use super::solve::{Fit, Forecasted, NOBODY_STUCK, Plan, Planning};
use super::trial::{Bench, Measured, Trial, Verdict};
use crate::results::number;
use crate::results::{SCHEMA_VERSION, TOOL};
use crate::scenario::axes::cell;
use crate::scenario::types::{Minimize, Override, Requirement};
use serde::Serialize;
use std::collections::BTreeMap;

/// The file's name.
pub const PLAN_FILE: &str = "plan.json";

/// The whole of `plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanFile {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name and version of the program.
    pub tool: String,
    /// The scenario's name.
    pub scenario: String,
    /// Of the scenario.
    pub scenario_digest: String,
    /// The scenario's seed.
    pub seed: u64,
    /// Of the one-sided bounds.
    pub confidence: f64,
    /// Paired replications on which a level is judged.
    pub replications: u32,
    /// `price` or `nodes`.
    pub minimize: &'static str,
    /// What was required.
    pub require: Vec<LevelLimit>,
    /// The path along which clusters grow.
    pub count_axis: Option<String>,
    /// Runs done for the clusters.
    pub runs: u64,
    /// Runs that trying every cluster in full would have taken.
    pub exhaustive_runs: u64,
    /// Index into `configurations` of the best one that meets every level; `null`: none does.
    pub answer: Option<usize>,
    /// Best first.
    pub configurations: Vec<Configuration>,
    /// Clusters that no other beats in both cost and share of pods stuck, cheapest first.
    pub pareto: Vec<ParetoPoint>,
    /// How many more fit.
    pub fit: Vec<FitAnswer>,
    /// When growth breaks.
    pub forecast: Vec<ForecastAnswer>,
}

/// A level and its limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelLimit {
    /// The key in `plan.require`.
    pub level: &'static str,
    /// A share, seconds, or pods lost.
    pub limit: f64,
    /// Of `survive`: nodes lost at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// Of `survive`: the time until all runs again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_seconds: Option<f64>,
}

impl LevelLimit {
    fn of(level: &Level) -> LevelLimit {
        let (nodes, within_seconds) = match level.requirement {
            Requirement::Survive { nodes, within } => (Some(nodes), Some(within.as_secs_f64())),
            _ => (None, None),
        };
        LevelLimit { level: level.name(), limit: level.limit(), nodes, within_seconds }
    }
}

/// What the runs say about a level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelResult {
    /// The key in `plan.require`.
    pub level: &'static str,
    /// A share, seconds, or pods lost.
    pub limit: f64,
    /// Mean over the runs; `null` = infinite.
    #[serde(serialize_with = "number::serialize")]
    pub mean: f64,
    /// One-sided upper bound of the mean, or the best it could still become; `null` = infinite.
    #[serde(serialize_with = "number::serialize")]
    pub bound: f64,
    /// Is the bound within the limit?
    pub met: bool,
}

/// A configuration and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The variant.
    pub variant: String,
    /// Everything but the number of nodes.
    pub settings: BTreeMap<String, String>,
    /// `met`, `unmet`, `dominated` (whatever meets the levels costs more than the answer) or `failed`.
    pub state: &'static str,
    /// The smallest cluster that meets the levels.
    pub cluster: Option<Cluster>,
    /// What binds: the largest smaller cluster that does not meet them, and why.
    pub binding: Option<Binding>,
    /// Why it could not be run.
    pub error: Option<String>,
    /// Every cluster that was tried, smallest first.
    pub trials: Vec<TrialResult>,
}

/// A cluster and how it fares.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// The value of the path along which clusters grow, if there is one.
    pub count: Option<String>,
    /// Nodes in all.
    pub nodes: u64,
    /// Price of all nodes per hour.
    #[serde(serialize_with = "number::option::serialize")]
    pub price_per_hour: Option<f64>,
    /// The levels.
    pub levels: Vec<LevelResult>,
    /// Means over the runs.
    pub means: Means,
}

/// Means over runs; `null` where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Means {
    /// Pods ever stuck over pods wanted.
    #[serde(serialize_with = "number::option::serialize")]
    pub stuck_share: Option<f64>,
    /// Bytes over-size, released or unusable over bytes of volumes.
    #[serde(serialize_with = "number::option::serialize")]
    pub waste_share: Option<f64>,
    /// Stranded CPU at the end, thousandths of a core.
    #[serde(serialize_with = "number::option::serialize")]
    pub stranded_cpu_milli: Option<f64>,
    /// Stranded memory at the end.
    #[serde(serialize_with = "number::option::serialize")]
    pub stranded_memory_bytes: Option<f64>,
    /// Requested over allocatable CPU at the end.
    #[serde(serialize_with = "number::option::serialize")]
    pub cpu: Option<f64>,
    /// Requested over allocatable memory at the end.
    #[serde(serialize_with = "number::option::serialize")]
    pub memory: Option<f64>,
    /// Bound over capacity of volumes at the end.
    #[serde(serialize_with = "number::option::serialize")]
    pub storage: Option<f64>,
}

/// Why a smaller cluster does not do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The value of the path along which clusters grow (or the step of growth).
    pub count: Option<String>,
    /// Nodes of that cluster.
    pub nodes: u64,
    /// The levels it does not meet.
    pub unmet: Vec<LevelResult>,
    /// The fullest of `cpu`, `memory` and `storage`, and how full it is.
    pub fullest: Option<Fullest>,
    /// Why most pods are stuck, in the words of the scheduler.
    pub reason: Option<String>,
    /// Wanted pods that do not run again after the worst loss of nodes.
    pub pods_lost: Option<u64>,
    /// Why it could not be run.
    pub error: Option<String>,
}

/// The resource that fills first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fullest {
    /// `cpu`, `memory` or `storage`.
    pub resource: &'static str,
    /// How full, at the end of the run.
    #[serde(serialize_with = "number::serialize")]
    pub share: f64,
}

/// A cluster that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrialResult {
    /// The value of the path along which clusters grow (or the step of growth).
    pub count: Option<String>,
    /// Nodes in all.
    pub nodes: u64,
    /// Price of all nodes per hour.
    #[serde(serialize_with = "number::option::serialize")]
    pub price_per_hour: Option<f64>,
    /// `met`, `unmet`, `failed`, or `open`: promising, but another answer made it superfluous.
    pub verdict: &'static str,
    /// Runs done.
    pub runs: u64,
    /// The levels.
    pub levels: Vec<LevelResult>,
    /// Means over the runs.
    pub means: Means,
}

/// A cluster that no other beats in both respects.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParetoPoint {
    /// Index into `configurations`.
    pub configuration: usize,
    /// Nodes in all.
    pub nodes: u64,
    /// What is made small: price per hour or nodes.
    #[serde(serialize_with = "number::serialize")]
    pub cost: f64,
    /// Pods ever stuck over pods wanted.
    #[serde(serialize_with = "number::serialize")]
    pub stuck_share: f64,
    /// Bytes over-size, released or unusable over bytes of volumes.
    #[serde(serialize_with = "number::option::serialize")]
    pub waste_share: Option<f64>,
}

/// How many more of some workloads fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FitAnswer {
    /// The variant.
    pub variant: String,
    /// The workloads, growing by one set each.
    pub workloads: Vec<String>,
    /// Their sets now.
    pub now: Vec<u64>,
    /// How many more of each fit in every replication; `null`: what there is does not fit.
    pub more: Option<u64>,
    /// More than was looked at.
    pub unbounded: bool,
    /// What fills first.
    pub binding: Option<Binding>,
    /// The cluster with that many more.
    pub means: Means,
    /// Runs done.
    pub runs: u64,
}

/// When growth breaks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastAnswer {
    /// The variant.
    pub variant: String,
    /// The workload.
    pub workload: String,
    /// Its sets now.
    pub now: u64,
    /// Until then it holds; `null`: it does not hold now.
    pub holds_until_seconds: Option<f64>,
    /// Then it breaks; `null`: not before the horizon.
    pub breaks_at_seconds: Option<f64>,
    /// Sets at the last time it holds.
    pub sets: Option<u64>,
    /// What fills first.
    pub binding: Option<Binding>,
    /// How full and how stranded the cluster is at the last time it holds.
    pub means: Means,
    /// Every time that was tried.
    pub times: Vec<TrialResult>,
}

/// What `plan.json` says about a scenario, for [`plan_file`].
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// Its digest.
    pub scenario_digest: &'a str,
}

/// Writes down what was found out.
pub fn plan_file(subject: Subject<'_>, planning: &Planning<'_>, plan: &Plan) -> PlanFile {
    let spec = planning.spec;
    let bench = Bench::new(planning.model, &plan.levels, spec.confidence, spec.replications, planning.seed);
    let first_stuck =
        Bench::new(planning.model, &NOBODY_STUCK, spec.confidence, spec.replications, planning.seed);
    let writer = Writer { bench: &bench, count_axis: plan.count_axis.as_deref(), minimize: spec.minimize };
    let configurations: Vec<Configuration> =
        plan.clusters.iter().flat_map(|a| &a.ranked).map(|s| writer.configuration(s)).collect();
    PlanFile {
        schema_version: SCHEMA_VERSION,
        tool: TOOL.to_owned(),
        scenario: subject.scenario.to_owned(),
        scenario_digest: subject.scenario_digest.to_owned(),
        seed: planning.seed,
        confidence: spec.confidence,
        replications: bench.replications(),
        minimize: match spec.minimize {
            Minimize::Price => "price",
            Minimize::Nodes => "nodes",
        },
        require: plan.levels.iter().map(LevelLimit::of).collect(),
        count_axis: plan.count_axis.clone(),
        runs: plan.clusters.as_ref().map_or(0, |a| a.runs),
        exhaustive_runs: plan.clusters.as_ref().map_or(0, |a| a.exhaustive_runs),
        answer: configurations.first().filter(|c| c.state == "met").map(|_| 0),
        pareto: plan.clusters.as_ref().map(|a| writer.pareto(a)).unwrap_or_default(),
        configurations,
        fit: plan.fits.iter().map(|f| Writer { bench: &first_stuck, ..writer }.fit(f)).collect(),
        forecast: plan.forecasts.iter().map(|f| writer.forecast(f)).collect(),
    }
}

#[derive(Clone, Copy)]
struct Writer<'a> {
    bench: &'a Bench<'a>,
    count_axis: Option<&'a str>,
    minimize: Minimize,
}

impl Writer<'_> {
    fn configuration(&self, searched: &Searched) -> Configuration {
        let settings = searched.choice.settings.iter().map(|s| (s.path.clone(), cell(&s.value))).collect();
        let cluster = |trial: &Trial| Cluster {
            count: self.count(trial),
            nodes: trial.size.nodes,
            price_per_hour: trial.size.price_per_hour,
            levels: self.levels(trial),
            means: means(trial),
        };
        Configuration {
            variant: searched.choice.variant.1.clone(),
            settings,
            state: match searched.state {
                State::Met(_) => "met",
                State::Unmet => "unmet",
                State::Dominated => "dominated",
                State::Failed => "failed",
            },
            cluster: searched.answer().map(cluster),
            binding: searched.nearest_miss().map(|(_, trial)| self.binding(trial, self.count(trial))),
            error: searched.error.clone().filter(|_| searched.state == State::Failed),
            trials: searched.trials.values().map(|t| self.trial(t, self.count(t))).collect(),
        }
    }

    fn count(&self, trial: &Trial) -> Option<String> {
        let of = |s: &&Override| Some(s.path.as_str()) == self.count_axis;
        trial.settings.iter().rev().find(of).map(|s| cell(&s.value))
    }

    fn levels(&self, trial: &Trial) -> Vec<LevelResult> {
        let result = |m: Measured| LevelResult {
            level: m.level.name(),
            limit: m.level.limit(),
            mean: m.mean,
            bound: m.bound,
            met: m.met,
        };
        trial.measured(self.bench).into_iter().map(result).collect()
    }

    fn trial(&self, trial: &Trial, count: Option<String>) -> TrialResult {
        TrialResult {
            count,
            nodes: trial.size.nodes,
            price_per_hour: trial.size.price_per_hour,
            verdict: match trial.verdict {
                Verdict::Open => "open",
                Verdict::Met => "met",
                Verdict::Unmet => "unmet",
                Verdict::Failed => "failed",
            },
            runs: trial.runs,
            levels: self.levels(trial),
            means: means(trial),
        }
    }

    fn binding(&self, trial: &Trial, count: Option<String>) -> Binding {
        Binding {
            count,
            nodes: trial.size.nodes,
            unmet: self.levels(trial).into_iter().filter(|l| !l.met).collect(),
            fullest: fullest(&means(trial)),
            reason: trial.reasons().into_iter().next().map(|r| r.message),
            pods_lost: trial.worst_loss().map(|l| l.worst_pods).filter(|n| *n > 0),
            error: trial.error.clone(),
        }
    }

    /// All clusters that were tried; those that another beats in cost and stuck share are left out.
    fn pareto(&self, answer: &Answer) -> Vec<ParetoPoint> {
        let mut points: Vec<ParetoPoint> = Vec::new();
        for (configuration, searched) in answer.ranked.iter().enumerate() {
            for trial in searched.trials.values().filter(|t| t.verdict != Verdict::Failed) {
                let means = means(trial);
                let Some(stuck_share) = means.stuck_share else { continue };
                let Size { nodes, .. } = trial.size;
                let cost = cost(trial.size, self.minimize);
                let waste_share = means.waste_share;
                points.push(ParetoPoint { configuration, nodes, cost, stuck_share, waste_share });
            }
        }
        points.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(a.stuck_share.total_cmp(&b.stuck_share)));
        let mut best = f64::INFINITY;
        points.retain(|p| {
            let better = p.stuck_share < best;
            best = best.min(p.stuck_share);
            better
        });
        points
    }

    fn fit(&self, fit: &Fit) -> FitAnswer {
        FitAnswer {
            variant: fit.variant.clone(),
            workloads: fit.workloads.clone(),
            now: fit.now.clone(),
            more: fit.growth.last,
            unbounded: fit.growth.unbroken,
            binding: self.break_of(&fit.growth, &|step| step.to_string()),
            means: fit.growth.last_trial().map(means).unwrap_or_default(),
            runs: fit.growth.runs(),
        }
    }

    fn break_of(&self, growth: &Growth, name: &dyn Fn(u64) -> String) -> Option<Binding> {
        growth.first_break().map(|(step, trial)| self.binding(trial, Some(name(step))))
    }

    fn forecast(&self, f: &Forecasted) -> ForecastAnswer {
        let at = |step: u64| f.forecast.seconds_after(step);
        let time = |(step, trial): (&u64, &Trial)| self.trial(trial, Some(step.to_string()));
        ForecastAnswer {
            variant: f.variant.clone(),
            workload: f.forecast.workload.value.clone(),
            now: f.now,
            holds_until_seconds: f.growth.last.map(at),
            breaks_at_seconds: f.growth.first_break().map(|(step, _)| at(step)),
            sets: f.growth.last.map(|step| f.forecast.sets_after(f.now, step)),
            binding: self.break_of(&f.growth, &|step| step.to_string()),
            means: f.growth.last_trial().map(means).unwrap_or_default(),
            times: f.growth.trials.iter().map(time).collect(),
        }
    }
}

/// Means over a trial's runs.
fn means(trial: &Trial) -> Means {
    let mean = |path: &str| trial.mean(path);
    let share = |part: Option<f64>, whole: Option<f64>| match (part?, whole?) {
        (part, whole) if whole > 0.0 => Some(part / whole),
        _ => None,
    };
    let wasted = ["storage.overSizeBytes", "storage.releasedBytes", "storage.unusableFreeBytes"];
    let wasted: Option<Vec<f64>> = wasted.iter().map(|path| mean(path)).collect();
    Means {
        stuck_share: share(mean("pods.stuckEver"), mean("pods.wanted")),
        waste_share: share(wasted.map(|parts| parts.iter().sum()), mean("storage.capacityBytes")),
        stranded_cpu_milli: mean("stranded.end.cpuMilli"),
        stranded_memory_bytes: mean("stranded.end.memoryBytes"),
        cpu: mean("utilization.atEnd.cpu"),
        memory: mean("utilization.atEnd.memory"),
        storage: mean("utilization.atEnd.storage"),
    }
}

fn fullest(means: &Means) -> Option<Fullest> {
    let all = [("storage", means.storage), ("cpu", means.cpu), ("memory", means.memory)];
    let known = all.into_iter().filter_map(|(resource, share)| Some(Fullest { resource, share: share? }));
    // The first of equally full ones.
    known.reduce(|best, next| if next.share > best.share { next } else { best })
}

#[cfg(test)]
mod tests;
