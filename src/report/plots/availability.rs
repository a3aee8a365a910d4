//! Failures and recoveries on a time line: nodes that are down, database groups that lack members or a quorum.

use super::WIDTH;
use super::axis::{Axis, Measure};
use super::canvas::{self, Frame, HEADING, MARGIN, PlotError};
use super::hover::Picture;
use super::lines::{
    Join, Labels, Panel, Series, axis_room, draw, key, key_height, tick_room, time_axis, variant_key,
};
use crate::report::human;
use crate::report::plot::PlotInput;
use crate::results::tables::SampleRow;

type Quantity = (&'static str, fn(&SampleRow) -> f64);

const PANELS: [Quantity; 3] = [
    ("Nodes down", |r| r.nodes.saturating_sub(r.nodes_ready) as f64),
    ("Database groups with a member missing", |r| r.groups_degraded as f64),
    ("Database groups without a quorum", |r| r.groups_quorum_lost as f64),
];
const PLOT_HEIGHT: f64 = 190.0;

/// Draws it.
///
/// # Errors
/// [`PlotError`] if the backend fails.
pub fn svg(input: &PlotInput<'_>) -> Result<Picture, PlotError> {
    let title = title(input);
    let note = "Nodes that exist and are not Ready; groups by the members that are Running and caught up.";
    let groups = input.variants.iter().any(|v| v.summary.recovery.groups > 0);
    let shown = &PANELS[..if groups { 3 } else { 1 }];
    let keys = variant_key(&input.names());
    let key_top = canvas::title_height(&title, note, WIDTH);
    let first = key_top + key_height(&keys, WIDTH - 2.0 * MARGIN) + HEADING * 2.2;
    let step = PLOT_HEIGHT + HEADING * 2.4;
    let height = first + step * shown.len() as f64 - HEADING * 2.4 + axis_room("t") + MARGIN;
    let lines: Vec<Vec<Series>> = shown.iter().map(|p| series(input, p.1)).collect();
    let most = |s: &Vec<Series>| s.iter().flat_map(|s| &s.points).map(|p| p.1).fold(0.0, f64::max);
    let scales: Vec<Axis> = lines.iter().map(|s| Axis::upto(Measure::Count, most(s), 3)).collect();
    let ticks = scales.iter().map(tick_room).fold(0.0, f64::max);
    let description = format!("{title}. Lines over simulated time, one per variant.");
    canvas::draw((WIDTH as u32, height as u32), &title, &description, |c| {
        c.title(&title, note, WIDTH);
        key(c, &keys, (MARGIN, key_top), WIDTH - MARGIN);
        for (i, ((heading, _), y)) in shown.iter().zip(scales).enumerate() {
            let top = first + i as f64 * step;
            let plot =
                Frame { left: MARGIN + ticks, top, right: WIDTH - MARGIN - 40.0, bottom: top + PLOT_HEIGHT };
            let last = i + 1 == shown.len();
            let mut x = time_axis(0.0, input.end_seconds(), plot.width());
            if !last {
                x.ticks.clear();
            }
            let x_name = if last { "simulated time" } else { "" };
            let (join, labels) = (Join::Steps, Labels::Values);
            draw(c, &Panel { heading, plot, x, y, x_name, join, series: &lines[i], label_room: 0.0, labels });
        }
    })
}

fn series(input: &PlotInput<'_>, of: fn(&SampleRow) -> f64) -> Vec<Series> {
    let line = |(index, v): (usize, &crate::results::VariantOutput)| Series {
        name: v.summary.name.clone(),
        index,
        points: v.timeseries.iter().map(|r| (r.seconds, of(r))).collect(),
        band: Vec::new(),
    };
    input.variants.iter().enumerate().map(line).collect()
}

fn title(input: &PlotInput<'_>) -> String {
    let lost = |v: &crate::results::VariantOutput| v.summary.recovery.quorum_lost_seconds;
    let worst = input.variants.iter().rev().max_by(|a, b| lost(a).total_cmp(&lost(b)));
    let samples = input.variants.iter().flat_map(|v| &v.timeseries);
    let down = samples.map(|r| r.nodes.saturating_sub(r.nodes_ready)).max().unwrap_or(0);
    let nodes = match down {
        0 => "No node was down".to_owned(),
        n => format!("Up to {} down at once", human::plural(n, "node")),
    };
    match worst {
        Some(v) if lost(v) > 0.0 => {
            format!(
                "{nodes}; groups were without a quorum for {} in all with {}",
                human::span(lost(v)),
                v.summary.name
            )
        }
        Some(v) if v.summary.recovery.groups > 0 => format!("{nodes}; no group lost its quorum"),
        _ => nodes,
    }
}
