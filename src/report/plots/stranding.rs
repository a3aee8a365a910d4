//! What full disks strand: CPU, memory, running and stuck pods against the share of local disk bound.

use super::WIDTH;
use super::axis::{Axis, Measure};
use super::canvas::{self, Frame, HEADING, MARGIN, PlotError};
use super::hover::Picture;
use super::lines::{
    Join, Labels, Panel, Series, axis_room, draw, fitting, key, key_height, label_room, tick_room,
    variant_key,
};
use crate::report::findings;
use crate::report::plot::PlotInput;
use crate::results::tables::StrandingRow;

const GAP: f64 = 60.0;
const PLOT_HEIGHT: f64 = 330.0;

type Quantity = (&'static str, Measure, fn(&StrandingRow) -> f64);

const PANELS: [Quantity; 4] = [
    ("Stranded CPU, of allocatable", Measure::Share, |r| r.cpu_stranded_share),
    ("Stranded memory, of allocatable", Measure::Share, |r| r.memory_stranded_share),
    ("Pods running", Measure::Count, |r| r.running as f64),
    ("Pods stuck", Measure::Count, |r| r.stuck as f64),
];

/// Draws it.
///
/// # Errors
/// [`PlotError`] if the backend fails.
pub fn svg(input: &PlotInput<'_>) -> Result<Picture, PlotError> {
    let title = findings::stranding(&input.filled());
    let note = "When each percent of volume bytes was first bound. Stranded: free, but storage keeps the workload's pods off it.";
    let half = (WIDTH - 2.0 * MARGIN - GAP) / 2.0;
    let lines = PANELS.map(|(_, _, of)| lines_of(input, of));
    let room = |labels, most| {
        let of = |(panel, series): (&Quantity, &Vec<Series>)| label_room(series, panel.1, labels, most);
        PANELS.iter().zip(&lines).map(of).fold(30.0, f64::max)
    };
    // Names stand at the lines where they are short; else a key names the lines and their ends say the value.
    let labels = if room(Labels::Both, f64::INFINITY) <= half * 0.3 { Labels::Both } else { Labels::Values };
    let label_room = room(labels, half * 0.3);
    let keys = if labels == Labels::Both { Vec::new() } else { variant_key(&input.names()) };
    let most = |series: &Vec<Series>| series.iter().flat_map(|s| &s.points).map(|p| p.1).fold(0.0, f64::max);
    let scales: Vec<Axis> =
        PANELS.iter().zip(&lines).map(|(p, series)| Axis::upto(p.1, most(series), 4)).collect();
    let ticks = scales.iter().map(tick_room).fold(0.0, f64::max);
    let key_top = canvas::title_height(&title, note, WIDTH);
    let first_top = key_top + key_height(&keys, WIDTH - 2.0 * MARGIN) + HEADING * 2.2;
    let x_name = "local disk bound";
    let step = PLOT_HEIGHT + axis_room(x_name) + HEADING * 2.4;
    let height = first_top + 2.0 * step - HEADING * 2.4 + MARGIN;
    let description = format!(
        "{title}. Four panels: stranded CPU, stranded memory, pods running, pods stuck; each against the share of disk bound."
    );
    canvas::draw((WIDTH as u32, height as u32), &title, &description, |c| {
        c.title(&title, note, WIDTH);
        key(c, &keys, (MARGIN, key_top), WIDTH - MARGIN);
        for (i, ((heading, _, _), y)) in PANELS.iter().zip(scales).enumerate() {
            let left = MARGIN + (i % 2) as f64 * (half + GAP);
            let top = first_top + (i / 2) as f64 * step;
            let plot =
                Frame { left: left + ticks, top, right: left + half - label_room, bottom: top + PLOT_HEIGHT };
            let x = fitting(Measure::Share, 0.0, 1.0, plot.width());
            let join = Join::Straight;
            draw(c, &Panel { heading, plot, x, y, x_name, join, series: &lines[i], label_room, labels });
        }
    })
}

fn lines_of(input: &PlotInput<'_>, of: fn(&StrandingRow) -> f64) -> Vec<Series> {
    let line = |(index, v): (usize, &crate::results::VariantOutput)| Series {
        name: v.summary.name.clone(),
        index,
        points: v.stranding.iter().map(|r| (f64::from(r.bound_percent) / 100.0, of(r))).collect(),
        band: Vec::new(),
    };
    input.variants.iter().enumerate().map(line).collect()
}
