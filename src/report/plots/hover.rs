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

/// A line with at most `MOST` of its points, values as they are: first and last, and where the line changes. If these are too many,
/// the lowest and the highest of each stretch, so that no spike is lost.
pub fn line(name: &str, colour: String, points: &[(f64, f64)]) -> HoverLine {
    let last = points.len().saturating_sub(1);
    let turns = |i: &usize| {
        *i == 0 || *i == last || points[*i].1 != points[*i - 1].1 || points[*i].1 != points[*i + 1].1
    };
    let mut kept: Vec<usize> = (0..points.len()).collect();
    if kept.len() > MOST {
        kept.retain(turns);
    }
    if kept.len() > MOST {
        kept = extremes(points, &kept);
    }
    // Six digits are more than a pointer can tell apart, and keep the page small.
    let short = |x: f64| format!("{x:.5e}").parse().unwrap_or(x);
    let whole = |x: f64| if x.fract() == 0.0 { x } else { short(x) };
    let (x, y) = kept.into_iter().map(|i| points[i]).map(|(x, y)| (whole(x), whole(y))).unzip();
    HoverLine { name: name.to_owned(), colour, x, y }
}

/// First and last, and the lowest and the highest of each of equally many points between them.
fn extremes(points: &[(f64, f64)], kept: &[usize]) -> Vec<usize> {
    let inner = &kept[1..kept.len() - 1];
    let mut chosen = vec![kept[0]];
    for stretch in inner.chunks(inner.len().div_ceil((MOST - 2) / 2)) {
        let by = |a: &&usize, b: &&usize| points[**a].1.total_cmp(&points[**b].1);
        let (low, high) = (stretch.iter().min_by(by), stretch.iter().max_by(by));
        chosen.extend([low, high].into_iter().flatten());
    }
    chosen.push(kept[kept.len() - 1]);
    chosen.sort_unstable();
    chosen.dedup();
    chosen
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
        assert!(thin.x.len() <= MOST && thin.x.len() > MOST / 2);
        assert_eq!((thin.x[0], thin.x.last(), thin.y.last()), (0.0, Some(&999.0), Some(&1998.0)));
        assert!(thin.x.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(line("a", String::new(), &points[..1]).x, [0.0]);
        assert!(line("a", String::new(), &[]).x.is_empty());
    }

    #[test]
    fn what_does_not_change_is_left_out_and_spikes_stay() {
        let flat: Vec<(f64, f64)> =
            (0..1000).map(|i| (f64::from(i), f64::from(u8::from(i == 500)))).collect();
        let thin = line("a", String::new(), &flat);
        assert_eq!((thin.x, thin.y), (vec![0.0, 499.0, 500.0, 501.0, 999.0], vec![0.0, 0.0, 1.0, 0.0, 0.0]));
        let noisy: Vec<(f64, f64)> =
            (0..5000).map(|i| (f64::from(i), if i == 3333 { 99.0 } else { f64::from(i % 7) })).collect();
        let thin = line("a", String::new(), &noisy);
        assert!(thin.x.len() <= MOST && thin.y.contains(&99.0), "{}", thin.x.len());
    }
}
