//! The page of a plan: the answer, what binds, cost against pods stuck and bytes wasted, and every cluster that was tried.

use super::output::{Configuration, LevelResult, PlanFile, TrialResult};
use super::picture::{self, name};
use super::table;
use crate::report::html::{Row, page_of, picture_on_page, rows_table};
use crate::report::human;
use crate::report::plots::canvas::{PlotError, escaped};
use crate::results::TOOL;
use std::fmt::Write;

/// Clusters of a configuration that are listed; plan.json has them all.
const MOST_TRIALS: usize = 200;

/// The page.
///
/// # Errors
/// [`PlotError`] if the picture cannot be drawn.
pub fn page(plan: &PlanFile, command: &str) -> Result<String, PlotError> {
    let picture = picture::svg(plan)?.map_or(String::new(), |svg| picture_on_page(&svg));
    let subtitle = format!(
        "Plan by {}, {} confidence, {} paired runs, seed {}",
        plan.minimize,
        human::percent(plan.confidence),
        plan.replications,
        plan.seed
    );
    let seed = plan.seed.to_string();
    let origin = [
        ("Version", TOOL),
        ("Scenario", &plan.scenario),
        ("Digest of the scenario", &plan.scenario_digest),
        ("Seed", &seed),
        ("To make it again", command),
    ];
    let origin: Vec<Row> = origin
        .iter()
        .map(|(name, value)| Row { head: (*name).to_owned(), cells: vec![(*value).to_owned()] })
        .collect();
    let sections = [
        ("answer", "Answer", "The answer", answer(plan)),
        ("pareto", "Cost", "Cost against pods stuck and bytes wasted", picture + &pareto(plan)),
        ("configurations", "Configurations", "Every configuration", configurations(plan)),
        ("tried", "Tried", "Every cluster that was tried", tried(plan)),
        ("provenance", "Origin", "Where this comes from", rows_table(&[], &origin)),
    ];
    Ok(page_of(&plan.scenario, &subtitle, &sections))
}

fn answer(plan: &PlanFile) -> String {
    let mut html = String::new();
    for paragraph in table::verdicts(plan) {
        let _ = writeln!(html, "<p>{}</p>", escaped(&paragraph));
    }
    let best = plan.answer.and_then(|i| plan.configurations.get(i));
    if let Some(cluster) = best.and_then(|c| c.cluster.as_ref()) {
        let rows: Vec<Row> = cluster.levels.iter().map(level_row).collect();
        html.push_str(&rows_table(&["level", "mean", "bound", "limit"], &rows));
    }
    html
}

fn level_row(level: &LevelResult) -> Row {
    let text = |x: f64| table::value_text(level.level, x);
    Row { head: level.level.to_owned(), cells: vec![text(level.mean), text(level.bound), text(level.limit)] }
}

fn pareto(plan: &PlanFile) -> String {
    let by = if plan.minimize == "price" { "price per hour" } else { "nodes in all" };
    let rows: Vec<Row> = plan
        .pareto
        .iter()
        .map(|point| Row {
            head: plan.configurations.get(point.configuration).map(name).unwrap_or_default(),
            cells: vec![
                point.nodes.to_string(),
                human::mean(point.cost),
                human::percent(point.stuck_share),
                share(point.waste_share),
            ],
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let note =
        "<p class=\"soft\">Clusters that no other beats in both cost and share of pods ever stuck.</p>\n";
    format!("{note}{}", rows_table(&["configuration", "nodes", by, "pods ever stuck", "bytes wasted"], &rows))
}

fn configurations(plan: &PlanFile) -> String {
    let row = |c: &Configuration| {
        let cluster = c.cluster.as_ref();
        let price = cluster.and_then(|c| c.price_per_hour).map_or("-".to_owned(), |p| format!("{p:.2}"));
        let binds = c.binding.as_ref().map(|b| table::binding_text(plan, b));
        Row {
            head: name(c),
            cells: vec![
                c.state.to_owned(),
                cluster.map_or("-".to_owned(), |c| c.nodes.to_string()),
                price,
                c.error.clone().or(binds).unwrap_or_default(),
            ],
        }
    };
    let rows: Vec<Row> = plan.configurations.iter().map(row).collect();
    rows_table(&["configuration", "state", "nodes", "price per hour", "what binds"], &rows)
}

fn tried(plan: &PlanFile) -> String {
    let levels: Vec<&str> = plan.require.iter().map(|l| l.level).collect();
    let mut head = vec!["nodes", "verdict", "runs"];
    head.extend(&levels);
    head.extend(["CPU", "memory", "storage", "bytes wasted"]);
    let row = |t: &TrialResult| {
        let level = |name: &&str| {
            let found = t.levels.iter().find(|l| l.level == *name);
            found.map_or("-".to_owned(), |l| {
                format!(
                    "{} (bound {})",
                    table::value_text(l.level, l.mean),
                    table::value_text(l.level, l.bound)
                )
            })
        };
        let mut cells = vec![t.verdict.to_owned(), t.runs.to_string()];
        cells.extend(levels.iter().map(level));
        cells.extend([t.means.cpu, t.means.memory, t.means.storage, t.means.waste_share].map(share));
        Row { head: t.nodes.to_string(), cells }
    };
    let mut html = String::new();
    for configuration in plan.configurations.iter().filter(|c| !c.trials.is_empty()) {
        let rows: Vec<Row> = configuration.trials.iter().take(MOST_TRIALS).map(row).collect();
        let _ = write!(
            html,
            "<details><summary>{} ({})</summary>\n{}</details>\n",
            escaped(&name(configuration)),
            human::plural(configuration.trials.len() as u64, "cluster"),
            rows_table(&head, &rows)
        );
    }
    html
}

fn share(x: Option<f64>) -> String {
    x.map_or("-".to_owned(), human::percent)
}
