//! Sizes of bound volumes against what their claims ask for: on the diagonal nothing is wasted, above it the rest of the volume.

use super::axis::{Axis, Measure};
use super::canvas::{self, Anchor, Canvas, Frame, HEADING, LABEL, MARGIN, PlotError, Type};
use super::hover::Picture;
use super::lines::{Join, Labels, Panel, axes, axis_room, fitting, tick_room};
use super::{WIDTH, measure};
use crate::report::palette::{self, FRAME, GREY};
use crate::report::plot::PlotInput;
use crate::report::statistics::nearest_rank;
use crate::report::{findings, human};
use crate::results::VariantOutput;
use std::collections::BTreeMap;

const GAP: f64 = 44.0;

/// Draws it.
///
/// # Errors
/// [`PlotError`] if the backend fails.
pub fn svg(input: &PlotInput<'_>) -> Result<Picture, PlotError> {
    let count = input.variants.len().max(1);
    let columns = count.min(if count > 4 { 4 } else { 3 });
    let rows = count.div_ceil(columns);
    let panel_height = if count == 1 { 460.0 } else { 340.0 };
    let title = title(input);
    let note = "Each dot is a bound volume, larger dots are many. On the line the volume is as large as the claim asks; above it the \
                rest is lost.";
    let all: Vec<(f64, f64)> = input.variants.iter().flat_map(pairs).collect();
    let (low, high) = range(&all);
    let head = if count > 1 { HEADING * 1.8 + LABEL * 1.6 } else { LABEL * 1.8 };
    let top = canvas::title_height(&title, note, WIDTH);
    let band = head + panel_height + axis_room("x") + 24.0;
    let description = format!(
        "{title}. A scatter of volume sizes by requests for each variant, both on logarithmic scales."
    );
    let height = top + band * rows as f64 + MARGIN;
    canvas::draw((WIDTH as u32, height as u32), &title, &description, |c| {
        c.title(&title, note, WIDTH);
        let width = (WIDTH - 2.0 * MARGIN - GAP * (columns as f64 - 1.0)) / columns as f64;
        for (i, variant) in input.variants.iter().enumerate() {
            let left = MARGIN + (i % columns) as f64 * (width + GAP);
            let top = top + (i / columns) as f64 * band;
            if count > 1 {
                let name = measure::fitted(&variant.summary.name, HEADING, true, width);
                let look = Type::bold(HEADING, palette::variant(i));
                c.text(&name, (left, top + HEADING * 0.7), Anchor::Start, look);
            }
            let y = Axis::between(Measure::LogBytes, low, high, 5);
            let plot = Frame {
                left: left + tick_room(&y),
                top: top + head,
                right: left + width - 44.0,
                bottom: top + head + panel_height,
            };
            let x = fitting(Measure::LogBytes, low, high, plot.width());
            let panel = Panel {
                heading: "",
                plot,
                x,
                y,
                x_name: "asked for",
                join: Join::Straight,
                series: &[],
                label_room: 0.0,
                labels: Labels::Values,
            };
            axes(c, &panel);
            let above = (plot.left, plot.top - LABEL * 1.1);
            c.text("volume size", above, Anchor::Start, Type::plain(LABEL, GREY));
            let corner =
                |v: f64| (panel.x.place(v, plot.left, plot.right), panel.y.place(v, plot.bottom, plot.top));
            c.line(&[corner(low), corner(high)], FRAME, 3);
            dots(c, variant, i, &panel);
        }
    })
}

/// Request and capacity of every bound volume, as binary logarithms.
fn pairs(variant: &VariantOutput) -> Vec<(f64, f64)> {
    let bound = variant.volumes.iter().filter(|v| v.phase == "Bound" && v.capacity_bytes > 0);
    let log = |n: u128| libm::log2(n as f64);
    bound
        .filter_map(|v| v.request_bytes.filter(|r| *r > 0).map(|r| (log(r), log(v.capacity_bytes))))
        .collect()
}

/// Whole powers of two around all values.
fn range(all: &[(f64, f64)]) -> (f64, f64) {
    let values = || all.iter().flat_map(|p| [p.0, p.1]);
    let low = libm::floor(values().fold(f64::INFINITY, f64::min) + 1e-9);
    let most = values().fold(f64::NEG_INFINITY, f64::max);
    // Dots at the very top would touch the name of the axis.
    let high = libm::ceil(most - 1e-9) + if libm::ceil(most) - most < 0.2 { 0.5 } else { 0.0 };
    match (low.is_finite(), high > low) {
        (false, _) => (30.0, 40.0),
        (true, true) => (low, high),
        (true, false) => (low - 1.0, low + 1.0),
    }
}

fn dots(c: &mut Canvas<'_>, variant: &VariantOutput, index: usize, panel: &Panel<'_>) {
    const CELL: f64 = 14.0;
    let p = panel.plot;
    let mut cells: BTreeMap<(i64, i64), (f64, f64, f64)> = BTreeMap::new();
    for (request, capacity) in pairs(variant) {
        let (x, y) = (panel.x.place(request, p.left, p.right), panel.y.place(capacity, p.bottom, p.top));
        let cell = cells.entry((libm::floor(x / CELL) as i64, libm::floor(y / CELL) as i64)).or_default();
        *cell = (cell.0 + x, cell.1 + y, cell.2 + 1.0);
    }
    let most = cells.values().map(|c| c.2).fold(1.0, f64::max);
    let colour = palette::variant(index);
    for (x, y, n) in cells.values() {
        // Areas are in proportion, but one volume among thousands stays visible.
        let radius = (16.0 * libm::sqrt(n / most)).max(4.0).min(4.0 + n);
        c.dot((x / n, y / n), radius, colour);
    }
}

fn title(input: &PlotInput<'_>) -> String {
    let median = |v: &VariantOutput| {
        let mut ratios: Vec<f64> = pairs(v).iter().map(|p| libm::exp2(p.1 - p.0)).collect();
        ratios.sort_by(f64::total_cmp);
        nearest_rank(&ratios, 50.0)
    };
    let times = |x: f64| human::mean(libm::round(x * 100.0) / 100.0);
    let known: Vec<(&str, f64)> =
        input.variants.iter().filter_map(|v| Some((v.summary.name.as_str(), median(v)?))).collect();
    let worst = known.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1));
    let best = known.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let (Some(worst), Some(best)) = (worst, best) else { return "No volume is bound".into() };
    let head = if times(worst.1) == "1" {
        return "The median volume is as large as its claim asks".into();
    } else {
        format!("The median volume is {} times as large as its claim asks", times(worst.1))
    };
    if times(worst.1) == times(best.1) {
        return head;
    }
    findings::capital(&format!("{head} with {}, {} times with {}", worst.0, times(best.1), best.0))
}
