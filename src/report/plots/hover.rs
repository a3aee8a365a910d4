//! What a page shows when the pointer moves over a picture: the values behind each panel, thinned to what can be told apart.

use super::axis::{Axis, Measure};
use super::canvas::Frame;
use super::lines::{Join, Panel};
use serde::Serialize;

/// A picture and the values behind it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The picture itself.
    pub svg: String,
    /// Its panels.
    pub panels: Vec<HoverPanel>,
}

/// The values behind one panel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HoverPanel {
    /// Heading.
    pub name: String,
    /// Left, top, right, bottom in units of the picture.
    pub frame: [f64; 4],
    /// What x is, its beginning and its end.
    pub x: HoverAxis,
    /// What y is, its beginning and its end.
    pub y: HoverAxis,
    /// Values hold until the next point.
    pub steps: bool,
    /// The lines.
    pub lines: Vec<HoverLine>,
}

/// An axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HoverAxis {
    /// How values are written: `count`, `number`, `share`, `bytes`, `cores`, `seconds`.
    pub kind: &'static str,
    /// Value at its beginning.
    pub low: f64,
    /// Value at its end.
    pub high: f64,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HoverLine {
    /// What it is of.
    pub name: String,
    /// Its colour in CSS.
    pub colour: String,
    /// Ascending.
    pub x: Vec<f64>,
    /// As many as `x`.
    pub y: Vec<f64>,
}

/// Points kept per line.
const MOST: usize = 240;

fn axis(axis: &Axis) -> HoverAxis {
    let kind = match axis.measure {
        Measure::Count => "count",
        Measure::Number => "number",
        Measure::Share => "share",
        Measure::Bytes | Measure::LogBytes => "bytes",
        Measure::Cores => "cores",
        Measure::Seconds => "seconds",
    };
    HoverAxis { kind, low: axis.low, high: axis.high }
}

/// A line with at most `MOST` of its points: evenly chosen, first and last among them, values as they are.
pub fn line(name: &str, colour: String, points: &[(f64, f64)]) -> HoverLine {
    let kept = points.len().min(MOST);
    let pick = |i: usize| if kept < 2 { points[i] } else { points[i * (points.len() - 1) / (kept - 1)] };
    // Six digits are more than a pointer can tell apart, and keep the page small.
    let short = |x: f64| format!("{x:.5e}").parse().unwrap_or(x);
    let whole = |x: f64| if x.fract() == 0.0 { x } else { short(x) };
    let (x, y) = (0..kept).map(pick).map(|(x, y)| (whole(x), whole(y))).unzip();
    HoverLine { name: name.to_owned(), colour, x, y }
}

/// The values of a panel.
pub fn panel(panel: &Panel<'_>, name: &str, lines: Vec<HoverLine>) -> HoverPanel {
    let Frame { left, top, right, bottom } = panel.plot;
    HoverPanel {
        name: name.to_owned(),
        frame: [left, top, right, bottom].map(libm::round),
        x: axis(&panel.x),
        y: axis(&panel.y),
        steps: panel.join == Join::Steps,
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_points_stay() {
        let points: Vec<(f64, f64)> = (0..1000).map(|i| (f64::from(i), f64::from(i) * 2.0)).collect();
        let thin = line("a", "#000000".into(), &points);
        assert_eq!((thin.x.len(), thin.x[0], thin.x[239], thin.y[239]), (MOST, 0.0, 999.0, 1998.0));
        assert_eq!(line("a", String::new(), &points[..1]).x, [0.0]);
        assert!(line("a", String::new(), &[]).x.is_empty());
    }
}
