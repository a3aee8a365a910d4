//! Panels of lines: one line per variant, labelled at its end.

use super::axis::{Axis, Measure, shown};
use super::canvas::{Anchor, Canvas, Frame, HEADING, LABEL, Type};
use super::{hover, measure};
use crate::report::palette::{self, FRAME, GREY, GRID, INK};

/// One line.
#[derive(Clone, Debug)]
pub struct Series {
    /// The variant's name.
    pub name: String,
    /// The variant's position, which decides the colour.
    pub index: usize,
    /// Points in the order of x.
    pub points: Vec<(f64, f64)>,
    /// A band around the line: (x, low, high).
    pub band: Vec<(f64, f64, f64)>,
}

/// How the points of a line are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// A value holds until the next point.
    Steps,
    /// Straight from point to point.
    Straight,
}

/// What stands at the ends of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Name and last value.
    Both,
    /// The last value; names are in a key.
    Values,
}

/// What a panel shows.
#[derive(Clone, Debug)]
pub struct Panel<'a> {
    /// Heading, e.g. `Pods running`.
    pub heading: &'a str,
    /// Where the plot itself is; labels of lines are right of it, ticks left and below.
    pub plot: Frame,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What x is, below the ticks; empty for none.
    pub x_name: &'a str,
    /// How points are joined.
    pub join: Join,
    /// The lines.
    pub series: &'a [Series],
    /// How wide labels at the ends of lines may be; 0 for none.
    pub label_room: f64,
    /// What the labels say.
    pub labels: Labels,
}

/// Room left of a plot for the ticks of `axis`.
pub fn tick_room(axis: &Axis) -> f64 {
    let widest = axis.ticks.iter().map(|t| measure::width(&axis.label(*t), LABEL, false)).fold(0.0, f64::max);
    widest + 16.0
}

/// A time axis whose labels fit side by side on `room` units.
pub fn time_axis(low: f64, high: f64, room: f64) -> Axis {
    fitting(Measure::Seconds, low, high, room)
}

/// An axis from `low` to `high` with as many ticks as have labels that fit side by side on `room` units, at most 10.
pub fn fitting(measure: Measure, low: f64, high: f64, room: f64) -> Axis {
    let mut most = 10;
    loop {
        let axis = Axis::between(measure, low, high, most);
        let widths: f64 =
            axis.ticks.iter().map(|t| measure::width(&axis.label(*t), LABEL, false) + LABEL * 1.5).sum();
        let widest =
            axis.ticks.iter().map(|t| measure::width(&axis.label(*t), LABEL, false)).fold(0.0, f64::max);
        let apart = match axis.ticks[..] {
            [a, b, ..] => (b - a) / (axis.high - axis.low) * room,
            _ => f64::INFINITY,
        };
        if most == 1 || (widths <= room && widest + LABEL * 1.5 <= apart) {
            return axis;
        }
        most -= 1;
    }
}

/// The grid, ticks and names of both axes.
pub fn axes(canvas: &mut Canvas<'_>, panel: &Panel<'_>) {
    let p = panel.plot;
    let tick = Type::plain(LABEL, GREY);
    for t in &panel.y.ticks {
        let y = panel.y.place(*t, p.bottom, p.top);
        canvas.line(&[(p.left, y), (p.right, y)], GRID, 2);
        canvas.text(&panel.y.label(*t), (p.left - 10.0, y), Anchor::End, tick);
    }
    horizontal_axis(canvas, &panel.x, p, panel.x_name);
    if !panel.heading.is_empty() {
        let heading = measure::fitted(panel.heading, HEADING, true, p.width() + panel.label_room);
        canvas.text(&heading, (p.left, p.top - HEADING * 1.0), Anchor::Start, Type::bold(HEADING, INK));
    }
}

/// The horizontal axis below a plot: line, ticks, labels, name.
pub fn horizontal_axis(canvas: &mut Canvas<'_>, axis: &Axis, plot: Frame, name: &str) {
    canvas.line(&[(plot.left, plot.bottom), (plot.right, plot.bottom)], FRAME, 2);
    for t in &axis.ticks {
        let x = axis.place(*t, plot.left, plot.right);
        canvas.line(&[(x, plot.bottom), (x, plot.bottom + 8.0)], FRAME, 2);
        canvas.text(
            &axis.label(*t),
            (x, plot.bottom + 15.0 + LABEL * 0.7),
            Anchor::Middle,
            Type::plain(LABEL, GREY),
        );
    }
    if !name.is_empty() {
        let middle = (plot.left + plot.right) / 2.0;
        canvas.text(
            name,
            (middle, plot.bottom + 15.0 + LABEL * 2.1),
            Anchor::Middle,
            Type::plain(LABEL, GREY),
        );
    }
}

/// Room below a plot for [`horizontal_axis`].
pub fn axis_room(name: &str) -> f64 {
    if name.is_empty() { 15.0 + LABEL * 1.4 } else { 15.0 + LABEL * 2.8 }
}

/// Draws a whole panel.
pub fn draw(canvas: &mut Canvas<'_>, panel: &Panel<'_>) {
    axes(canvas, panel);
    for series in panel.series {
        band(canvas, panel, series);
    }
    for (i, series) in panel.series.iter().enumerate() {
        // Earlier lines are wider, so that they show below later ones that run the same way.
        let width = if panel.series.len() <= 3 { 9 - 2 * i as u32 } else { 5 };
        line(canvas, panel, series, width.max(4));
    }
    if panel.label_room > 0.0 {
        end_labels(canvas, panel);
    }
    let line = |s: &Series| hover::line(&s.name, palette::variable(palette::variant(s.index)), &s.points);
    canvas.panels.push(hover::panel(panel, panel.heading, panel.series.iter().map(line).collect()));
}

fn band(canvas: &mut Canvas<'_>, panel: &Panel<'_>, series: &Series) {
    let p = panel.plot;
    let place = |x: f64, y: f64| (panel.x.place(x, p.left, p.right), panel.y.place(y, p.bottom, p.top));
    let mut outline: Vec<(f64, f64)> = series.band.iter().map(|&(x, _, high)| place(x, high)).collect();
    outline.extend(series.band.iter().rev().map(|&(x, low, _)| place(x, low)));
    canvas.area(&outline, palette::blend(palette::PAPER, palette::variant(series.index), palette::BAND));
}

fn line(canvas: &mut Canvas<'_>, panel: &Panel<'_>, series: &Series, width: u32) {
    let p = panel.plot;
    let colour = palette::variant(series.index);
    let placed: Vec<(f64, f64)> = series
        .points
        .iter()
        .map(|&(x, y)| (panel.x.place(x, p.left, p.right), panel.y.place(y, p.bottom, p.top)))
        .collect();
    let path = match panel.join {
        Join::Straight => thinned(&placed),
        Join::Steps => thinned(&stepped(&placed)),
    };
    canvas.line(&path, colour, width);
    if palette::marked(series.index) {
        marks(canvas, &path, f64::from(width), colour);
    }
    if let Some(&end) = path.last() {
        let alone = panel.series.len() <= 6 || path.len() < 2;
        canvas.dot(end, if alone { f64::from(width) * 0.9 } else { f64::from(width) * 0.7 }, colour);
    }
}

/// Dots along a line, about every 60 units.
fn marks(canvas: &mut Canvas<'_>, path: &[(f64, f64)], width: f64, colour: palette::Colour) {
    let mut next = 30.0;
    let mut gone = 0.0;
    for pair in path.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let length = libm::hypot(b.0 - a.0, b.1 - a.1);
        while length > 0.0 && next <= gone + length {
            let share = (next - gone) / length;
            canvas.dot((a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share), width * 1.2, colour);
            next += 60.0;
        }
        gone += length;
    }
}

/// Each value held until the next point.
fn stepped(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut path = Vec::with_capacity(points.len() * 2);
    for (i, &(x, y)) in points.iter().enumerate() {
        if i > 0 {
            path.push((x, points[i - 1].1));
        }
        path.push((x, y));
    }
    path
}

/// At most four points per two units of width: first, lowest, highest and last of what falls there.
pub fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let column = |x: f64| libm::floor(x / 2.0) as i64;
    let mut kept: Vec<(f64, f64)> = Vec::new();
    let mut rest = points;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|p| column(p.0) == column(first.0)).count().max(1);
        let (bucket, later) = rest.split_at(count);
        rest = later;
        if bucket.len() <= 4 {
            kept.extend_from_slice(bucket);
            continue;
        }
        let by_y = |a: &(usize, &(f64, f64)), b: &(usize, &(f64, f64))| a.1.1.total_cmp(&b.1.1);
        let low = bucket.iter().enumerate().min_by(by_y).map_or(0, |(i, _)| i);
        let high = bucket.iter().enumerate().max_by(by_y).map_or(0, |(i, _)| i);
        let mut picks = [0, low, high, bucket.len() - 1];
        picks.sort_unstable();
        let mut last = usize::MAX;
        for pick in picks {
            if pick != last {
                kept.push(bucket[pick]);
            }
            last = pick;
        }
    }
    kept
}

/// How wide the labels at line ends want to be, at most `most`.
pub fn label_room(series: &[Series], measure: Measure, labels: Labels, most: f64) -> f64 {
    let width = |s: &Series| {
        let (name, value) = end_label(s, measure, labels);
        measure::width(&format!("{name}{value}"), LABEL, true)
    };
    (series.iter().map(width).fold(0.0, f64::max) + LABEL_LEFT + 10.0).min(most)
}

/// Space between a plot and its labels.
const LABEL_LEFT: f64 = 34.0;

/// Name and value as they stand at the end of a line.
fn end_label(series: &Series, measure: Measure, labels: Labels) -> (String, String) {
    let value = series.points.last().map(|p| shown(measure, p.1)).unwrap_or_default();
    match labels {
        Labels::Both => (format!("{}  ", series.name), value),
        Labels::Values => (String::new(), value),
    }
}

fn end_labels(canvas: &mut Canvas<'_>, panel: &Panel<'_>) {
    let p = panel.plot;
    let gap = LABEL * 1.28;
    let ends: Vec<(usize, f64, f64)> = panel
        .series
        .iter()
        .enumerate()
        .filter_map(|(i, s)| {
            let (x, y) = *s.points.last()?;
            Some((i, panel.x.place(x, p.left, p.right), panel.y.place(y, p.bottom, p.top)))
        })
        .collect();
    let wished: Vec<f64> = ends.iter().map(|e| e.2).collect();
    let placed = spread(&wished, gap, p.top - gap * 0.2, p.bottom - gap * 0.25);
    for ((i, x, y), at) in ends.into_iter().zip(placed) {
        let series = &panel.series[i];
        let colour = palette::variant(series.index);
        let left = p.right + LABEL_LEFT;
        // A thin line leads from the end of the line to its label where that is not beside it.
        if (at - y).abs() > 2.0 || p.right - x > 12.0 {
            let pale = palette::blend(palette::PAPER, colour, palette::LEADER);
            canvas.line(&[(x, y), (p.right + 6.0, y), (left - 6.0, at)], pale, 2);
            canvas.dot((x, y), 5.0, colour);
        }
        let (name, value) = end_label(series, panel.y.measure, panel.labels);
        let room = panel.label_room - LABEL_LEFT - measure::width(&value, LABEL, true) - LABEL * 0.5;
        let cut = if name.is_empty() { name } else { measure::fitted(&name, LABEL, true, room) };
        let name = if cut.is_empty() { cut } else { format!("{cut}  ") };
        canvas.text(&format!("{name}{value}"), (left, at), Anchor::Start, Type::bold(LABEL, colour));
    }
}

/// Moves places apart until neighbours are `gap` apart, staying between `low` and `high` as long as they fit.
pub fn spread(wished: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wished.len()).collect();
    order.sort_by(|&a, &b| wished[a].total_cmp(&wished[b]).then(a.cmp(&b)));
    // Groups of labels that touch share the mean of their wishes; merging goes on until no two groups touch.
    let mut groups: Vec<(Vec<usize>, f64)> = Vec::new();
    let extent = |n: usize| (n as f64 - 1.0) * gap;
    let clamp = |middle: f64, n: usize| {
        let half = extent(n) / 2.0;
        if low + half > high - half { (low + high) / 2.0 } else { middle.clamp(low + half, high - half) }
    };
    for i in order {
        groups.push((vec![i], clamp(wished[i], 1)));
        while let [.., (a, am), (b, bm)] = &groups[..] {
            let touch = am + extent(a.len()) / 2.0 + gap > bm - extent(b.len()) / 2.0 + 1e-9;
            if !touch {
                break;
            }
            let members: Vec<usize> = a.iter().chain(b).copied().collect();
            let mean = members.iter().map(|&m| wished[m]).sum::<f64>() / members.len() as f64;
            let middle = clamp(mean, members.len());
            groups.truncate(groups.len() - 2);
            groups.push((members, middle));
        }
    }
    let mut placed = vec![0.0; wished.len()];
    for (members, middle) in groups {
        let first = middle - extent(members.len()) / 2.0;
        for (k, m) in members.into_iter().enumerate() {
            placed[m] = first + k as f64 * gap;
        }
    }
    placed
}

/// One entry of a key: colour, dots along it, text.
pub type KeyEntry = (palette::Colour, bool, String);

/// A key in rows of coloured bars and texts from `(left, top)` to `right`; returns where it ends.
pub fn key(canvas: &mut Canvas<'_>, entries: &[KeyEntry], (left, top): (f64, f64), right: f64) -> f64 {
    for (row, entries) in key_rows(entries, right - left).into_iter().enumerate() {
        let y = top + LABEL * (0.75 + 1.5 * row as f64);
        let mut x = left;
        for (colour, dots, text) in entries {
            let bar = Frame { left: x, top: y - 8.0, right: x + 30.0, bottom: y + 8.0 };
            if dots {
                canvas.rect(Frame { top: y - 3.0, bottom: y + 3.0, ..bar }, colour);
                canvas.dot((x + 15.0, y), 7.0, colour);
            } else {
                canvas.rect(bar, colour);
            }
            canvas.text(&text, (x + 40.0, y), Anchor::Start, Type::plain(LABEL, INK));
            x += 40.0 + measure::width(&text, LABEL, false) + KEY_GAP;
        }
    }
    top + key_height(entries, right - left)
}

const KEY_GAP: f64 = 36.0;

fn key_rows(entries: &[KeyEntry], room: f64) -> Vec<Vec<KeyEntry>> {
    let mut rows: Vec<Vec<KeyEntry>> = Vec::new();
    let mut used = f64::INFINITY;
    for (colour, dots, text) in entries {
        let text = measure::fitted(text, LABEL, false, (room - 40.0).min(700.0));
        let width = 40.0 + measure::width(&text, LABEL, false);
        if used + width > room {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += width + KEY_GAP;
        if let Some(row) = rows.last_mut() {
            row.push((*colour, *dots, text));
        }
    }
    rows
}

/// How high [`key`] is.
pub fn key_height(entries: &[KeyEntry], room: f64) -> f64 {
    key_rows(entries, room).len() as f64 * LABEL * 1.5
}

/// The key of variants.
pub fn variant_key(names: &[&str]) -> Vec<KeyEntry> {
    let entry = |(i, n): (usize, &&str)| (palette::variant(i), palette::marked(i), (*n).to_owned());
    names.iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_moved_apart_and_stay_inside() {
        assert_eq!(spread(&[10.0, 50.0], 20.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(spread(&[50.0, 50.0], 20.0, 0.0, 100.0), [40.0, 60.0]);
        assert_eq!(spread(&[98.0, 99.0, 5.0], 20.0, 0.0, 100.0), [80.0, 100.0, 5.0]);
        for n in [1, 5, 12] {
            let wished: Vec<f64> = (0..n).map(|i| f64::from(i * 37 % 11)).collect();
            let mut placed = spread(&wished, 20.0, 0.0, 300.0);
            placed.sort_by(f64::total_cmp);
            assert!(placed.windows(2).all(|p| p[1] - p[0] >= 20.0 - 1e-6), "{placed:?}");
            assert!(placed[0] >= -1e-6 && placed[n as usize - 1] <= 300.0 + 1e-6, "{placed:?}");
        }
    }

    #[test]
    fn thinning_keeps_peaks() {
        let points: Vec<(f64, f64)> =
            (0..10_000).map(|i| (f64::from(i) / 100.0, if i == 5003 { 9.0 } else { 0.0 })).collect();
        let thin = thinned(&points);
        assert!(thin.len() <= 4 * 51, "{}", thin.len());
        assert!(thin.iter().any(|p| p.1 == 9.0));
        assert!(thin.windows(2).all(|p| p[0].0 <= p[1].0));
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
    }

    #[test]
    fn steps_hold_their_value() {
        assert_eq!(stepped(&[(0.0, 1.0), (5.0, 2.0)]), [(0.0, 1.0), (5.0, 1.0), (5.0, 2.0)]);
    }
}
