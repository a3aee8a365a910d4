//! Stuck pods over time, one line per variant.

use super::WIDTH;
use super::axis::{Axis, Measure};
use super::canvas::{self, Frame, LABEL, MARGIN, PlotError};
use super::hover::Picture;
use super::lines::{Join, Labels, Panel, Series, axis_room, draw, label_room, tick_room, time_axis};
use crate::report::findings;
use crate::report::plot::PlotInput;

/// Draws it.
///
/// # Errors
/// [`PlotError`] if the backend fails.
pub fn svg(input: &PlotInput<'_>) -> Result<Picture, PlotError> {
    let series: Vec<Series> = input
        .variants
        .iter()
        .enumerate()
        .map(|(index, v)| Series {
            name: v.summary.name.clone(),
            index,
            points: v.timeseries.iter().map(|r| (r.seconds, r.stuck as f64)).collect(),
            band: Vec::new(),
        })
        .collect();
    let title = findings::stuck(&input.summaries());
    let note = "Pods that are wanted but have not been Running for longer than report.stuckAfter";
    let top = canvas::title_height(&title, note, WIDTH) + LABEL * 2.2;
    let room = label_room(&series, Measure::Count, Labels::Both, 470.0);
    let most = series.iter().flat_map(|s| &s.points).map(|p| p.1).fold(0.0, f64::max);
    let y = Axis::upto(Measure::Count, most, 5);
    let left = MARGIN + tick_room(&y);
    let plot = Frame { left, top, right: WIDTH - MARGIN - room, bottom: top + 560.0 };
    let x = time_axis(0.0, input.end_seconds(), plot.width());
    let height = plot.bottom + axis_room("time") + MARGIN;
    let description = format!("{title}. Lines over simulated time, one per variant.");
    canvas::draw((WIDTH as u32, height as u32), &title, &description, |c| {
        c.title(&title, note, WIDTH);
        let panel = Panel {
            heading: "Pods stuck",
            plot,
            x,
            y,
            x_name: "simulated time",
            join: Join::Steps,
            series: &series,
            label_room: room,
            labels: Labels::Both,
        };
        draw(c, &panel);
    })
}
