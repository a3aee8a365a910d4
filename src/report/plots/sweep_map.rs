//! A sweep over two parameters as a map: one cell per pair of values, the mean of a metric in it, a panel per variant.

use super::axis::shown;
use super::canvas::{self, Anchor, Canvas, Frame, HEADING, LABEL, MARGIN, PlotError, Type};
use super::hover::Picture;
use super::sweep::{Lines, Places, heading, measure_of, places};
use super::{WIDTH, measure};
use crate::report::palette::{self, Colour, GREY, INK, meaning};
use crate::report::statistics::mean;
use crate::results::sweep::SweepTable;
use std::collections::BTreeMap;

const GAP: f64 = 60.0;
/// The pale end of the scale: nothing.
const PALE: Colour = Colour(0xf4, 0xf1, 0xec);
/// Texts in cells. They are a hair off ink and paper, so that a page's dark theme leaves them as they are: so it does the cells.
const TEXTS: [Colour; 2] = [Colour(0x1f, 0x23, 0x29), Colour(0xfe, 0xfe, 0xfe)];

/// The axes that have more than one value, by position.
pub fn varying(table: &SweepTable) -> Vec<usize> {
    let varies =
        |i: &usize| table.rows.windows(2).any(|w| w[0].axis_values.get(*i) != w[1].axis_values.get(*i));
    (0..table.axes.len()).filter(varies).collect()
}

/// Draws `metric` over the axes at positions `across` and `down` of `table.axes`; any other axis is averaged.
///
/// # Errors
/// [`PlotError`] if the backend fails.
pub fn svg(table: &SweepTable, across: usize, down: usize, metric: &str) -> Result<Picture, PlotError> {
    let (xs, ys) = (places(table, across), places(table, down));
    let variants = Lines::variants(table);
    let maps: Vec<BTreeMap<(usize, usize), f64>> =
        variants.iter().map(|v| cells(table, v, metric, (across, &xs), (down, &ys))).collect();
    let most = maps.iter().flat_map(|m| m.values()).copied().fold(0.0, f64::max);
    let title = title(table, metric, &variants, &maps, (across, &xs), (down, &ys));
    let note = "Means over the replications at each pair of values; the darker the more.".to_owned();
    let columns = variants.len().clamp(1, 3);
    let rows = variants.len().div_ceil(columns);
    let gutter =
        ys.values.iter().map(|v| measure::width(&v.0, LABEL, false)).fold(0.0, f64::max).min(220.0) + 16.0;
    let cell = (420.0 / ys.values.len().max(1) as f64).clamp(28.0, 64.0);
    let panel = cell * ys.values.len() as f64;
    let head = HEADING * 1.6 + LABEL * 1.5;
    let band = head + panel + LABEL * 3.4 + 24.0;
    let top = canvas::title_height(&title, &note, WIDTH);
    let height = top + band * rows as f64 + MARGIN;
    canvas::draw((WIDTH as u32, height as u32), &title, &note, |c| {
        c.title(&title, &note, WIDTH);
        let width = (WIDTH - 2.0 * MARGIN - GAP * (columns as f64 - 1.0)) / columns as f64;
        for (i, (name, map)) in variants.iter().zip(&maps).enumerate() {
            let left = MARGIN + (i % columns) as f64 * (width + GAP);
            let top = top + (i / columns) as f64 * band;
            let look = Type::bold(HEADING, palette::variant(i));
            let name = measure::fitted(name, HEADING, true, width);
            c.text(&name, (left, top + HEADING * 0.7), Anchor::Start, look);
            let down_name = measure::fitted(&format!("{} down", table.axes[down]), LABEL, false, width);
            c.text(
                &down_name,
                (left, top + HEADING * 1.5 + LABEL * 0.7),
                Anchor::Start,
                Type::plain(LABEL, GREY),
            );
            let plot = Frame {
                left: left + gutter,
                top: top + head,
                right: left + width,
                bottom: top + head + panel,
            };
            grid(c, map, (&xs, &ys), plot, metric, most);
            let across_name = measure::fitted(&format!("{} across", table.axes[across]), LABEL, false, width);
            let at = ((plot.left + plot.right) / 2.0, plot.bottom + LABEL * 2.5);
            c.text(&across_name, at, Anchor::Middle, Type::plain(LABEL, GREY));
        }
    })
}

fn cells(
    table: &SweepTable,
    variant: &str,
    metric: &str,
    (across, xs): (usize, &Places),
    (down, ys): (usize, &Places),
) -> BTreeMap<(usize, usize), f64> {
    let mut all: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for row in table.rows.iter().filter(|r| r.variant == variant && !r.metrics.is_empty()) {
        let value = row.metrics.get(metric).map_or(Some(0.0), |leaf| leaf.as_f64());
        let x = row.axis_values.get(across).and_then(|v| xs.index(v));
        let y = row.axis_values.get(down).and_then(|v| ys.index(v));
        if let (Some(value), Some(x), Some(y)) = (value, x, y) {
            all.entry((x, y)).or_default().push(value);
        }
    }
    all.into_iter().filter_map(|(at, values)| Some((at, mean(&values)?))).collect()
}

fn grid(
    c: &mut Canvas<'_>,
    map: &BTreeMap<(usize, usize), f64>,
    (xs, ys): (&Places, &Places),
    plot: Frame,
    metric: &str,
    most: f64,
) {
    let (width, height) = (plot.width() / xs.values.len() as f64, plot.height() / ys.values.len() as f64);
    for ((x, y), value) in map {
        let left = plot.left + *x as f64 * width;
        // The smallest value is at the bottom, as on any axis.
        let top = plot.bottom - (*y + 1) as f64 * height;
        let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
        let ground = palette::blend(PALE, meaning::STRANDED, share);
        c.rect(Frame { left, top, right: left + width - 3.0, bottom: top + height - 3.0 }, ground);
        let text = shown(measure_of(metric), libm::round(value * 10.0) / 10.0);
        if measure::width(&text, LABEL, false) + 8.0 < width {
            let [dark, light] = TEXTS;
            let colour = if palette::contrast(dark, ground) >= palette::contrast(light, ground) {
                dark
            } else {
                light
            };
            c.text(
                &text,
                (left + width / 2.0, top + height / 2.0),
                Anchor::Middle,
                Type::plain(LABEL, colour),
            );
        }
    }
    for (y, (value, _)) in ys.values.iter().enumerate() {
        let text = measure::fitted(value, LABEL, false, 220.0);
        let at = (plot.left - 10.0, plot.bottom - (y as f64 + 0.5) * height);
        c.text(&text, at, Anchor::End, Type::plain(LABEL, INK));
    }
    let widest = xs.values.iter().map(|v| measure::width(&v.0, LABEL, false)).fold(0.0, f64::max).min(160.0);
    let every = libm::ceil((widest + LABEL) / width).max(1.0) as usize;
    for (x, (value, _)) in xs.values.iter().enumerate().step_by(every) {
        let text = measure::fitted(value, LABEL, false, width * every as f64 - LABEL * 0.5);
        let at = (plot.left + (x as f64 + 0.5) * width, plot.bottom + LABEL);
        c.text(&text, at, Anchor::Middle, Type::plain(LABEL, INK));
    }
}

/// Where the metric is least and most.
fn title(
    table: &SweepTable,
    metric: &str,
    variants: &[String],
    maps: &[BTreeMap<(usize, usize), f64>],
    (across, xs): (usize, &Places),
    (down, ys): (usize, &Places),
) -> String {
    let all = || maps.iter().enumerate().flat_map(|(v, m)| m.iter().map(move |(at, value)| (v, *at, *value)));
    let least = all().min_by(|a, b| a.2.total_cmp(&b.2));
    let most = all().max_by(|a, b| a.2.total_cmp(&b.2));
    let (Some(least), Some(most)) = (least, most) else { return "No run of the sweep succeeded".into() };
    let value = |x: f64| shown(measure_of(metric), libm::round(x * 10.0) / 10.0);
    let place = |(x, y): (usize, usize)| {
        format!(
            "{} {} and {} {}",
            last(&table.axes[across]),
            xs.values[x].0,
            last(&table.axes[down]),
            ys.values[y].0
        )
    };
    let name = heading(metric);
    if value(least.2) == value(most.2) {
        return format!("{name}: {} everywhere", value(least.2));
    }
    format!(
        "{name}: {} with {} at {}, {} with {} at {}",
        value(least.2),
        variants[least.0],
        place(least.1),
        value(most.2),
        variants[most.0],
        place(most.1)
    )
}

/// The last part of a path.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plots::sweep::tests::made_up;

    #[test]
    fn cells_are_means_over_replications() {
        let table = made_up(&["20", "40"], &["2", "1"], 2);
        assert_eq!(varying(&table), [0, 1]);
        let (xs, ys) = (places(&table, 0), places(&table, 1));
        let map = cells(&table, "variant-0", "pods.stuck", (0, &xs), (1, &ys));
        // 0, 0.8, 1.6 at 20 sets; 7, 7.8, 8.6 at 40; both for each split.
        assert_eq!(map.len(), 4);
        assert!((map[&(0, 0)] - 0.8).abs() < 1e-9 && (map[&(1, 1)] - 7.8).abs() < 1e-9, "{map:?}");
        // Splits are in their own order.
        assert_eq!(ys.values[0].0, "1");
        let title = svg(&table, 0, 1, "pods.stuck").expect("draws").svg;
        assert!(
            title.contains(
                "Pods stuck: 0.8 with variant-0 at sets 20 and split 1, 7.8 with variant-0 at sets 40"
            ),
            "{title}"
        );
    }
}
