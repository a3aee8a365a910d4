//! The plan for people: a ranked table, what binds, how much more fits, when growth breaks.

use super::output::{Binding, Configuration, FitAnswer, ForecastAnswer, LevelResult, PlanFile};
use super::picture::name;
use crate::report::human;
use std::fmt::Write as _;

/// Most configurations that are listed.
const MOST_ROWS: usize = 20;
/// Hours of a month of 30 days.
const MONTH_HOURS: f64 = 720.0;

/// Renders everything that was found out.
pub fn render(plan: &PlanFile) -> String {
    let mut out = String::new();
    if !plan.configurations.is_empty() {
        clusters(&mut out, plan);
    }
    for fit in &plan.fit {
        out.push_str(&fit_line(plan, fit));
    }
    for forecast in &plan.forecast {
        out.push_str(&forecast_line(plan, forecast));
    }
    out
}

/// The answers in sentences: the best cluster, how much more fits, when growth breaks.
pub fn verdicts(plan: &PlanFile) -> Vec<String> {
    let mut all = Vec::new();
    if !plan.configurations.is_empty() {
        all.push(match plan.answer.and_then(|i| plan.configurations.get(i)) {
            Some(best) => verdict(plan, best),
            None => "No cluster that was looked at meets every level.".to_owned(),
        });
    }
    all.extend(plan.fit.iter().map(|fit| fit_line(plan, fit)));
    all.extend(plan.forecast.iter().map(|forecast| forecast_line(plan, forecast)));
    all
}

fn clusters(out: &mut String, plan: &PlanFile) {
    let levels: Vec<String> = plan
        .require
        .iter()
        .map(|l| match l.nodes {
            Some(nodes) => format!("the loss of any {} survived", human::plural(u64::from(nodes), "node")),
            None => format!("{} <= {}", l.level, value_text(l.level, l.limit)),
        })
        .collect();
    let what = if plan.minimize == "price" { "Cheapest" } else { "Smallest" };
    let _ = writeln!(
        out,
        "{what} cluster for {} with {} ({} confidence, {} paired runs)\n",
        plan.scenario,
        levels.join(", "),
        human::percent(plan.confidence),
        plan.replications
    );
    let rows: Vec<[String; 6]> =
        plan.configurations.iter().take(MOST_ROWS).enumerate().map(|(i, c)| row(plan, i, c)).collect();
    let head = ["", "configuration", "nodes", "price/h", "price/month", "what binds"].map(str::to_owned);
    out.push_str(&aligned(&head, &rows));
    if plan.configurations.len() > MOST_ROWS {
        let _ = writeln!(out, "  ... and {} more in plan.json", plan.configurations.len() - MOST_ROWS);
    }
    out.push('\n');
    match plan.answer.and_then(|i| plan.configurations.get(i)) {
        Some(best) => out.push_str(&verdict(plan, best)),
        None => out.push_str("No cluster that was looked at meets every level.\n"),
    }
    let share = plan.runs as f64 / plan.exhaustive_runs.max(1) as f64;
    let _ = writeln!(
        out,
        "{} instead of {} for trying everything ({}).\n",
        human::plural(plan.runs, "run"),
        human::count(plan.exhaustive_runs),
        human::percent(share)
    );
}

fn row(plan: &PlanFile, index: usize, c: &Configuration) -> [String; 6] {
    let money = |x: Option<f64>, hours: f64| x.map_or(String::new(), |x| format!("{:.2}", x * hours));
    let rank = if c.state == "met" { format!("{}", index + 1) } else { "-".to_owned() };
    let (nodes, hour, month) = match &c.cluster {
        Some(cluster) => (
            cluster.nodes.to_string(),
            money(cluster.price_per_hour, 1.0),
            money(cluster.price_per_hour, MONTH_HOURS),
        ),
        None => (String::new(), String::new(), String::new()),
    };
    let why = match (c.state, &c.error, &c.binding) {
        ("failed", Some(error), _) => format!("cannot be run: {}", human::shortened(error, 100)),
        ("dominated", ..) => "would cost more than the best".to_owned(),
        ("met", _, None) => "the smallest that was asked about".to_owned(),
        (state, _, Some(binding)) => {
            let begin = if state == "unmet" { "cannot be met: " } else { "" };
            format!("{begin}{}", binding_text(plan, binding))
        }
        _ => String::new(),
    };
    [rank, name(c), nodes, hour, month, why]
}

/// Columns as wide as their widest cell, the last one free.
fn aligned(head: &[String; 6], rows: &[[String; 6]]) -> String {
    let all = || std::iter::once(head).chain(rows);
    // Columns without content (no prices) are left out.
    let used: Vec<usize> = (0..6).filter(|i| *i < 2 || rows.iter().any(|r| !r[*i].is_empty())).collect();
    let width = |i: usize| all().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for row in all() {
        let mut line = String::new();
        for i in &used {
            let pad = " ".repeat(width(*i).saturating_sub(row[*i].chars().count()));
            match i {
                2..=4 => line.push_str(&format!("  {pad}{}", row[*i])),
                5 => line.push_str(&format!("  {}", row[*i])),
                _ => line.push_str(&format!("  {}{pad}", row[*i])),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn verdict(plan: &PlanFile, best: &Configuration) -> String {
    let Some(cluster) = &best.cluster else { return String::new() };
    let count = match (&plan.count_axis, &cluster.count) {
        (Some(path), Some(count)) => format!("{path} = {count}, "),
        _ => String::new(),
    };
    let levels: Vec<String> = cluster
        .levels
        .iter()
        .map(|l| match l.level {
            "survive" => "every loss survived".to_owned(),
            _ => {
                let (mean, bound) = (value_text(l.level, l.mean), value_text(l.level, l.bound));
                format!("{} {mean} (bound {bound})", l.level)
            }
        })
        .collect();
    let mut text = format!("Best: {count}{}: {}", name(best), levels.join(", "));
    let fills: Vec<String> =
        [("storage", cluster.means.storage), ("CPU", cluster.means.cpu), ("memory", cluster.means.memory)]
            .iter()
            .filter_map(|(what, share)| Some(format!("{what} {}", human::percent((*share)?))))
            .collect();
    if !fills.is_empty() {
        let _ = write!(text, "; used at the end: {}", fills.join(", "));
    }
    text + ".\n"
}

/// A level's value in words.
pub fn value_text(level: &str, value: f64) -> String {
    if value.is_infinite() {
        return "for ever".to_owned();
    }
    match level {
        "stuck" | "stuckSets" => human::percent(value),
        "survive" => human::mean(value),
        _ => human::span(value),
    }
}

fn unmet_text(level: &LevelResult) -> String {
    if level.level == "survive" {
        return "a loss of nodes is not survived".to_owned();
    }
    let limit = value_text(level.level, level.limit);
    if level.mean > level.limit {
        return format!("{} {} > {limit}", level.level, value_text(level.level, level.mean));
    }
    match value_text(level.level, level.bound) {
        // Above it by less than is shown.
        bound if bound == limit => format!("{} may be slightly more than {limit}", level.level),
        bound => format!("{} may be up to {bound} > {limit}", level.level),
    }
}

/// What binds, in words.
pub fn binding_text(plan: &PlanFile, binding: &Binding) -> String {
    let mut parts = Vec::new();
    let unmet: Vec<String> = binding.unmet.iter().map(unmet_text).collect();
    if !unmet.is_empty() {
        parts.push(unmet.join(", "));
    }
    parts.extend(binding.pods_lost.map(|n| {
        let verb = if n == 1 { "does" } else { "do" };
        format!("{} {verb} not run again", human::plural(n, "pod"))
    }));
    parts
        .extend(binding.fullest.as_ref().map(|f| format!("{} {} used", f.resource, human::percent(f.share))));
    parts.extend(binding.reason.as_ref().map(|r| format!("\"{}\"", human::shortened(r, 90))));
    parts.extend(binding.error.as_ref().map(|e| human::shortened(e, 90)));
    let at = match (&plan.count_axis, &binding.count) {
        (Some(_), Some(count)) => format!("at {count}: "),
        _ => String::new(),
    };
    format!("{at}{}", parts.join("; "))
}

/// What fills first, after growth; `begin` leads to it.
fn filled(plan: &PlanFile, begin: &str, binding: Option<&Binding>) -> String {
    let bare = PlanFile { count_axis: None, ..plan.clone() };
    binding.map_or(String::new(), |b| format!("{begin}{}", binding_text(&bare, b)))
}

/// Before the reason why one more does not fit, and why not even what there is does.
const NEXT: &str = "; the next one breaks it: ";
const NOW: &str = ": ";

fn fit_line(plan: &PlanFile, fit: &FitAnswer) -> String {
    let what = fit.workloads.join(" and ");
    let now: Vec<String> = fit.now.iter().map(u64::to_string).collect();
    let now = now.join(" and ");
    match fit.more {
        None => format!(
            "{}: not even the {now} sets of {what} fit now{}.\n",
            fit.variant,
            filled(plan, NOW, fit.binding.as_ref())
        ),
        Some(more) => {
            let at_least = if fit.unbounded { "at least " } else { "" };
            format!(
                "{}: {at_least}{} of {what} fit (now {now}), in every one of {} runs{}.\n",
                fit.variant,
                human::plural(more, "more set"),
                plan.replications,
                filled(plan, NEXT, fit.binding.as_ref())
            )
        }
    }
}

fn forecast_line(plan: &PlanFile, f: &ForecastAnswer) -> String {
    let stranded = f.means.stranded_cpu_milli.filter(|c| *c > 0.0);
    let stranded = stranded.map_or(String::new(), |c| format!("; {} cores stranded then", human::cores(c)));
    let full =
        f.means.storage.map_or(String::new(), |s| format!("; storage {} used then", human::percent(s)));
    match (f.holds_until_seconds, f.breaks_at_seconds) {
        (None, _) => format!(
            "{}: {} does not fit even now{}.\n",
            f.variant,
            f.workload,
            filled(plan, NOW, f.binding.as_ref())
        ),
        (Some(until), None) => {
            format!(
                "{}: {} holds for all of {}{full}{stranded}.\n",
                f.variant,
                f.workload,
                human::span(until)
            )
        }
        (Some(until), Some(breaks)) => format!(
            "{}: {} grows from {} to {} sets until {}, and no longer fits at {}{full}{stranded}{}.\n",
            f.variant,
            f.workload,
            f.now,
            f.sets.unwrap_or(f.now),
            human::span(until),
            human::span(breaks),
            filled(plan, NEXT, f.binding.as_ref())
        ),
    }
}
