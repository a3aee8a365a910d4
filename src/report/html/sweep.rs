//! The page of a sweep: maps, curves with intervals, and a table of every estimate.

use super::{Origin, assembled, data, figure, shell, themed};
use crate::report::estimates::{EstimateRow, estimates};
use crate::report::human;
use crate::report::plots::canvas::{PlotError, escaped};
use crate::report::plots::sweep::{CONFIDENCE, DEFAULT_METRICS, Lines, heading, svg};
use crate::report::plots::sweep_map;
use crate::results::TOOL;
use crate::results::sweep::SweepTable;
use crate::results::write::Provenance;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Estimates on a page; beyond that only the metrics of the pictures.
const MOST_ESTIMATES: usize = 12_000;
/// Failed runs that are listed.
const MOST_FAILED: usize = 200;

/// The page of a sweep; `about` says where it comes from.
///
/// # Errors
/// [`PlotError`] if a picture cannot be drawn.
pub fn sweep_page(table: &SweepTable, about: &Provenance, origin: &Origin) -> Result<String, PlotError> {
    let known = table.metrics();
    let metrics: Vec<&str> = DEFAULT_METRICS.into_iter().filter(|m| known.iter().any(|k| k == m)).collect();
    let varying = sweep_map::varying(table);
    let mut figures = BTreeMap::new();
    let mut curves = String::new();
    for axis in &varying {
        let drawn = svg(table, *axis, &metrics)?;
        let name = format!("sweep-{axis}");
        curves.push_str(&figure(&name, &themed(&drawn.svg)));
        figures.insert(name, drawn.panels);
    }
    let mut maps = String::new();
    if let [across, down, ..] = varying[..] {
        for metric in &metrics {
            maps.push_str(&figure("", &themed(&sweep_map::svg(table, across, down, metric)?.svg)));
        }
    }
    let (shown, note) = shown_estimates(table, &metrics);
    let points = table.rows.iter().map(|r| r.point).max().map_or(0, |p| p + 1);
    let subtitle = format!(
        "Sweep of {} over {}, seed {}",
        human::plural(points, "point"),
        if table.axes.is_empty() { "nothing".to_owned() } else { table.axes.join(", ") },
        about.seed
    );
    let sections = [
        ("maps", "Maps", "Over two parameters", maps),
        ("curves", "Curves", "Against each parameter", curves),
        ("estimates", "Estimates", "Every mean and difference", note),
        ("failed", "Failed", "Runs that failed", failed(table)),
        ("provenance", "Origin", "Where this comes from", provenance(about, origin)),
    ];
    let rows: Vec<Value> = shown.iter().map(estimate).collect();
    let names = Lines::variants(table);
    let json = json!({"variants": names, "figures": figures, "estimates": rows});
    Ok(assembled(&about.scenario, &subtitle, &sections, &data::harmless(&json)))
}

/// The estimates that fit, and the table's introduction.
fn shown_estimates(table: &SweepTable, metrics: &[&str]) -> (Vec<EstimateRow>, String) {
    let mut all = estimates(table, CONFIDENCE);
    let mut note = String::from(
        "<p>Intervals hold the true mean with 95 % confidence. Differences are to the first variant, paired by replication.</p>\n",
    );
    if all.len() > MOST_ESTIMATES {
        all.retain(|r| metrics.contains(&r.metric.as_str()));
        all.truncate(MOST_ESTIMATES);
        note.push_str("<p class=\"soft\">Only the metrics of the pictures; all are in summary.csv.</p>\n");
    }
    if all.is_empty() {
        return (all, String::new());
    }
    note.push_str("<div id=\"estimate-table\"></div>\n<noscript><p>The table needs scripts; it is in summary.csv too.</p></noscript>\n");
    (all, note)
}

/// `[axes, variant, metric, name, mean, half width, difference, its half width]`.
fn estimate(row: &EstimateRow) -> Value {
    let half = |high: Option<f64>, middle: f64| high.map(|h| h - middle);
    json!([
        row.axes,
        row.variant,
        row.metric,
        heading(&row.metric),
        row.mean,
        half(row.mean_high, row.mean),
        row.difference,
        half(row.difference_high, row.difference.unwrap_or(0.0))
    ])
}

fn failed(table: &SweepTable) -> String {
    let failed: Vec<_> = table.rows.iter().filter(|r| !r.error.is_empty()).collect();
    if failed.is_empty() {
        return String::new();
    }
    let mut html = format!(
        "<p>{} failed; the others are not affected.</p>\n<ul>\n",
        human::plural(failed.len() as u64, "run")
    );
    for row in failed.iter().take(MOST_FAILED) {
        let at = table
            .axes
            .iter()
            .zip(&row.axis_values)
            .map(|(a, v)| format!("{a}={v}"))
            .collect::<Vec<_>>()
            .join(" ");
        let _ = writeln!(
            html,
            "<li><code>{}</code>, {}, replication {}: {}</li>",
            escaped(&at),
            escaped(&row.variant),
            row.replication,
            escaped(&row.error)
        );
    }
    html.push_str("</ul>\n");
    html
}

fn provenance(about: &Provenance, origin: &Origin) -> String {
    let mut html = String::from("<div class=\"scroll\"><table><tbody>\n");
    let command = shell(if origin.command.is_empty() { &about.command } else { &origin.command });
    let seed = about.seed.to_string();
    let rows = [
        ("Version", TOOL),
        ("Scenario", &about.scenario),
        ("Digest of the scenario", &about.scenario_digest),
        ("Seed", &seed),
        ("To make it again", &command),
    ];
    for (name, value) in rows {
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{name}</th><td class=\"path\">{}</td></tr>",
            escaped(value)
        );
    }
    html.push_str("</tbody></table></div>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plots::sweep::tests::made_up;

    #[test]
    fn a_sweep_has_a_page() {
        let mut table = made_up(&["20", "40", "60"], &["1", "2"], 2);
        table.rows[1].error = "<b>out of memory</b>".into();
        table.rows[1].metrics.clear();
        let about =
            Provenance::new("sweep", "my <sweep>", "blake3:0", 42, vec!["stowplan".into(), "sweep".into()]);
        let html = sweep_page(&table, &about, &Origin::default()).expect("draws");
        for part in [
            "my &lt;sweep&gt;",
            "6 points",
            "1 run failed",
            "&lt;b&gt;out of memory",
            "stowplan sweep",
            "estimate-table",
        ] {
            assert!(html.contains(part), "{part}");
        }
        // Two curves of two axes, and a map for each of the four metrics.
        assert_eq!(html.matches("<figure").count(), 6);
        assert!(!html.contains("<b>out") && html.len() < 2_000_000);
        if let Some(folder) = std::env::var_os("STOWPLAN_LOOK") {
            std::fs::write(std::path::Path::new(&folder).join("sweep.html"), &html).expect("writes");
        }
        sweep_page(&SweepTable::default(), &about, &Origin::default()).expect("draws nothing");
    }

    #[test]
    fn a_large_sweep_keeps_to_the_metrics_of_its_pictures() {
        let values: Vec<String> = (0..60).map(|i| i.to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let mut table = made_up(&values, &["1", "2", "3", "4", "5", "6", "7", "8"], 2);
        for row in &mut table.rows {
            for i in 0..20 {
                row.metrics.insert(format!("other.{i}"), crate::results::leaves::Leaf::Integer(i));
            }
        }
        let (rows, note) = shown_estimates(&table, &["pods.stuck"]);
        assert_eq!(rows.len(), 60 * 8 * 2);
        assert!(note.contains("summary.csv"));
    }
}
