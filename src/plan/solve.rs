//! From `plan` in the scenario to answers.

use super::fit::{Growth, grow};
use super::level::Level;
use super::model::Model;
use super::search::{Answer, Choice, Question, search};
use super::trial::Bench;
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::scenario::tree::Value;
use crate::scenario::types::{Axis, Forecast, Override, PlanSpec, Requirement, Spanned};

/// Most configurations that race.
pub const MAX_CONFIGURATIONS: u64 = 10_000;
/// Most sets that a workload is grown by, to see how many more fit.
pub const MOST_MORE: u64 = 1_000_000;

/// The level of how many more fit, and of growth without a level.
pub const NOBODY_STUCK: [Level; 1] = [Level { requirement: Requirement::Stuck(0.0) }];

/// A plan to be made.
pub struct Planning<'a> {
    /// What is asked.
    pub spec: &'a PlanSpec,
    /// The variants' names.
    pub variants: &'a [String],
    /// The scenario's seed.
    pub seed: u64,
    /// The simulator.
    pub model: &'a dyn Model,
    /// Search dominated configurations as well.
    pub all: bool,
}

/// What was found out.
#[derive(Debug)]
pub struct Plan {
    /// The levels.
    pub levels: Vec<Level>,
    /// The axis along which clusters grow, if there is one.
    pub count_axis: Option<String>,
    /// The configurations, best first; `None` if nothing may be varied and no level is required.
    pub clusters: Option<Answer>,
    /// How many more fit, per variant.
    pub fits: Vec<Fit>,
    /// When growth breaks, per variant.
    pub forecasts: Vec<Forecasted>,
}

/// How many more of some workloads fit.
#[derive(Debug)]
pub struct Fit {
    /// The workloads that grow by one set each per step.
    pub workloads: Vec<String>,
    /// Their sets in the scenario.
    pub now: Vec<u64>,
    /// Of the variant.
    pub variant: String,
    /// The answer; a step is one set more of each.
    pub growth: Growth,
}

/// When growth breaks.
#[derive(Debug)]
pub struct Forecasted {
    /// What was asked.
    pub forecast: Forecast,
    /// Sets now.
    pub now: u64,
    /// Of the variant.
    pub variant: String,
    /// The answer; a step is a period.
    pub growth: Growth,
}

/// Told how far it is.
pub trait Progress {
    /// So many runs are done, so many configurations are still searched.
    fn clusters(&mut self, runs: u64, open: usize) {
        let _ = (runs, open);
    }
    /// Something else begins.
    fn begin(&mut self, what: &str) {
        let _ = what;
    }
}

/// Says nothing.
pub struct Silent;
impl Progress for Silent {}

/// Answers everything that the scenario's `plan` asks.
///
/// # Errors
/// A question that makes no sense: too many configurations, a workload that is not there. Clusters that cannot be or do not
/// do are no errors.
pub fn solve(planning: &Planning<'_>, progress: &mut dyn Progress) -> Result<Plan, Diagnostic> {
    let spec = planning.spec;
    let levels: Vec<Level> = spec.require.iter().map(|r| Level { requirement: r.value }).collect();
    let bench =
        |levels| Bench::new(planning.model, levels, spec.confidence, spec.replications, planning.seed);
    let count = count_axis(&spec.vary);
    let mut plan = Plan {
        count_axis: count.map(|i| spec.vary[i].path.value.clone()),
        clusters: None,
        fits: Vec::new(),
        forecasts: Vec::new(),
        levels,
    };
    // Checked before hours are spent on something else.
    let names = spec.fit.iter().flatten().chain(spec.forecast.iter().map(|f| &f.workload));
    names.clone().try_for_each(|name| sets(planning, name).map(|_| ()))?;
    if !plan.levels.is_empty() {
        let question = Question {
            configurations: configurations(planning, count)?,
            counts: counts(&spec.vary, count),
            minimize: spec.minimize,
            bench: bench(&plan.levels),
            all: planning.all,
        };
        plan.clusters = Some(search(&question, &mut |runs, open| progress.clusters(runs, open)));
    }
    // How many more fit: until the first pod is stuck. Growth is followed until a level breaks; without a level, likewise.
    let limits = if plan.levels.is_empty() { &NOBODY_STUCK[..] } else { &plan.levels };
    for variant in (0u32..).zip(planning.variants.iter().cloned()) {
        for workloads in &spec.fit {
            progress.begin(&format!("how many more of {} fit, {}", joined(workloads), variant.1));
            plan.fits.push(fit(planning, &bench(&NOBODY_STUCK), &variant, workloads)?);
        }
        for forecast in &spec.forecast {
            progress.begin(&format!("growth of {}, {}", forecast.workload.value, variant.1));
            plan.forecasts.push(forecasted(planning, &bench(limits), &variant, forecast)?);
        }
    }
    if plan.levels.is_empty() {
        plan.levels = NOBODY_STUCK.to_vec();
    }
    Ok(plan)
}

fn joined(names: &[Spanned<String>]) -> String {
    names.iter().map(|n| n.value.as_str()).collect::<Vec<_>>().join(" and ")
}

/// The axis along which clusters grow: of those that count nodes, the longest.
fn count_axis(vary: &[Axis]) -> Option<usize> {
    let counts = |axis: &Axis| {
        axis.path.value.starts_with("cluster.")
            && axis.path.value.ends_with(".count")
            && numbers(axis).is_some()
    };
    let candidates = vary.iter().enumerate().filter(|(_, axis)| counts(axis));
    // The first of equally long ones.
    candidates.rev().max_by_key(|(_, axis)| axis.values.len()).map(|(i, _)| i)
}

/// An axis' values as numbers, if all of them are.
fn numbers(axis: &Axis) -> Option<Vec<f64>> {
    axis.values.iter().map(|v| v.as_text()?.parse().ok()).collect()
}

fn override_of(axis: &Axis, value: &Value) -> Override {
    Override { path: axis.path.value.clone(), value: value.clone(), path_span: axis.path.span }
}

/// The candidates of each configuration, smallest first; one without settings if nothing counts nodes.
fn counts(vary: &[Axis], count: Option<usize>) -> Vec<Vec<Override>> {
    let Some(axis) = count.map(|i| &vary[i]) else { return vec![Vec::new()] };
    let mut order: Vec<(f64, &Value)> =
        numbers(axis).unwrap_or_default().into_iter().zip(&axis.values).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    order.dedup_by(|a, b| a.0 == b.0);
    order.into_iter().map(|(_, value)| vec![override_of(axis, value)]).collect()
}

/// Every combination of the other axes, for every variant; the last axis runs fastest, the variants slowest.
fn configurations(planning: &Planning<'_>, count: Option<usize>) -> Result<Vec<Choice>, Diagnostic> {
    let others: Vec<&Axis> = planning
        .spec
        .vary
        .iter()
        .enumerate()
        .filter(|(i, _)| Some(*i) != count)
        .map(|(_, axis)| axis)
        .collect();
    let size = others.iter().try_fold(planning.variants.len() as u64, |n, axis| {
        n.checked_mul(axis.values.len() as u64).filter(|n| *n <= MAX_CONFIGURATIONS)
    });
    if size.is_none() {
        let message = format!("`plan.vary` makes more than {MAX_CONFIGURATIONS} configurations");
        let place = others.first().map(|axis| axis.path.span);
        let error = Diagnostic::error(Code::TooLarge, message)
            .help("one axis whose path ends in `.count` is searched cleverly; give the others fewer values");
        return Err(match place {
            Some(span) => error.at(span),
            None => error,
        });
    }
    let mut choices: Vec<Choice> = (0u32..)
        .zip(planning.variants.iter().cloned())
        .map(|variant| Choice { settings: Vec::new(), variant })
        .collect();
    for axis in others {
        let with = |choice: &Choice, value: &Value| {
            let mut choice = choice.clone();
            choice.settings.push(override_of(axis, value));
            choice
        };
        choices =
            choices.iter().flat_map(|c| axis.values.iter().map(|v| with(c, v)).collect::<Vec<_>>()).collect();
    }
    Ok(choices)
}

fn sets(planning: &Planning<'_>, name: &Spanned<String>) -> Result<u64, Diagnostic> {
    planning.model.sets(&name.value).map_err(|why| {
        let known = planning.model.workloads();
        Diagnostic::error(Code::UnknownReference, why)
            .at(name.span)
            .label("expected the name of an entry of workload.generate")
            .maybe_help(did_you_mean(&name.value, known.iter().map(String::as_str)))
    })
}

/// The path of a workload's number of sets.
fn sets_path(workload: &str) -> String {
    format!("workload.generate[{workload}].sets")
}

fn set_sets(name: &Spanned<String>, sets: u64) -> Override {
    let value = Value::plain(name.span, &sets.to_string());
    Override { path: sets_path(&name.value), value, path_span: name.span }
}

fn fit(
    planning: &Planning<'_>,
    bench: &Bench<'_>,
    variant: &(u32, String),
    workloads: &[Spanned<String>],
) -> Result<Fit, Diagnostic> {
    let now: Vec<u64> = workloads.iter().map(|name| sets(planning, name)).collect::<Result<_, _>>()?;
    let settings =
        |step: u64| workloads.iter().zip(&now).map(|(name, now)| set_sets(name, now + step)).collect();
    let growth = grow(bench, variant, MOST_MORE, &settings);
    let names = workloads.iter().map(|name| name.value.clone()).collect();
    Ok(Fit { workloads: names, now, variant: variant.1.clone(), growth })
}

fn forecasted(
    planning: &Planning<'_>,
    bench: &Bench<'_>,
    variant: &(u32, String),
    forecast: &Forecast,
) -> Result<Forecasted, Diagnostic> {
    let now = sets(planning, &forecast.workload)?;
    let settings = |step: u64| vec![set_sets(&forecast.workload, forecast.sets_after(now, step))];
    let growth = grow(bench, variant, forecast.periods(), &settings);
    Ok(Forecasted { forecast: forecast.clone(), now, variant: variant.1.clone(), growth })
}

#[cfg(test)]
mod tests;
