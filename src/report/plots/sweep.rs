//! A metric of a sweep against a parameter: the mean of the replications as a line, its t-interval as a band.

use super::WIDTH;
use super::axis::{Axis, Measure, shown};
use super::canvas::{self, Anchor, Canvas, Frame, HEADING, LABEL, MARGIN, PlotError, Type};
use super::hover::Picture;
use super::lines::{
    Join, Labels, Panel, Series, axis_room, draw, fitting, key, key_height, label_room, tick_room,
    variant_key,
};
use super::measure;
use crate::engine::time::SimDuration;
use crate::model::quantity::Quantity;
use crate::report::human;
use crate::report::palette::GREY;
use crate::report::statistics::{Estimate, Quantiles, estimate};
use crate::results::sweep::{SweepRow, SweepTable};
use std::collections::BTreeMap;

/// The metrics that a sweep's picture shows unless told otherwise.
pub const DEFAULT_METRICS: [&str; 4] =
    ["pods.stuck", "pods.stuckByBinding", "stranded.timeWeighted.cpuMilli", "storage.overSizeBytes"];
/// The confidence of the bands.
pub const CONFIDENCE: f64 = 0.95;

const GAP: f64 = 60.0;
const PLOT_HEIGHT: f64 = 330.0;
/// More lines than this would not be told apart; the values of the other axes are then averaged.
const MOST_LINES: usize = 12;

/// The places of an axis' values: numbers where they are, else one after another.
pub struct Places {
    /// What they measure; `None` if they are names.
    pub measure: Option<Measure>,
    /// Value as written, and where it is, in the order of the places.
    pub values: Vec<(String, f64)>,
}

impl Places {
    /// Which place a value as written has.
    pub fn index(&self, value: &str) -> Option<usize> {
        self.values.iter().position(|v| v.0 == value)
    }
}

/// Draws `metrics` (dotted paths, at most four are wise) against the axis at position `axis` of `table.axes`.
///
/// # Errors
/// [`PlotError`] if the backend fails.
pub fn svg(table: &SweepTable, axis: usize, metrics: &[&str]) -> Result<Picture, PlotError> {
    let places = places(table, axis);
    let runs = Lines::of(table, axis);
    let lines: Vec<Vec<Series>> = metrics.iter().map(|m| series(table, axis, m, &places, &runs)).collect();
    let title = title(table, axis, metrics, &lines, &places);
    let note = note(table, &runs);
    let columns = if metrics.len() > 1 { 2 } else { 1 };
    let half = (WIDTH - 2.0 * MARGIN - GAP * (columns as f64 - 1.0)) / columns as f64;
    let share = if columns == 1 { 0.26 } else { 0.3 };
    let kinds: Vec<Measure> = metrics.iter().map(|m| measure_of(m)).collect();
    let room = |labels, most| {
        let of = |(kind, s): (&Measure, &Vec<Series>)| label_room(s, *kind, labels, most);
        kinds.iter().zip(&lines).map(of).fold(40.0, f64::max)
    };
    let labels =
        if room(Labels::Both, f64::INFINITY) <= half * share { Labels::Both } else { Labels::Values };
    let label_room = room(labels, half * share);
    let keys = match labels {
        Labels::Both => Vec::new(),
        Labels::Values => variant_key(&runs.names.iter().map(String::as_str).collect::<Vec<_>>()),
    };
    let top_of = |s: &Vec<Series>| {
        let points = s.iter().flat_map(|s| s.points.iter().map(|p| p.1));
        points.chain(s.iter().flat_map(|s| s.band.iter().map(|b| b.2))).fold(0.0, f64::max)
    };
    let scales: Vec<Axis> = kinds.iter().zip(&lines).map(|(k, s)| Axis::upto(*k, top_of(s), 4)).collect();
    let ticks = scales.iter().map(tick_room).fold(0.0, f64::max);
    let key_top = canvas::title_height(&title, &note, WIDTH);
    let first = key_top + key_height(&keys, WIDTH - 2.0 * MARGIN) + HEADING * 2.2;
    let x_name = table.axes.get(axis).map_or("", String::as_str);
    let plot_height = if metrics.len() == 1 { 560.0 } else { PLOT_HEIGHT };
    let step = plot_height + axis_room(x_name) + HEADING * 2.4;
    let height = first + step * metrics.len().div_ceil(columns).max(1) as f64 - HEADING * 2.4 + MARGIN;
    let description = format!("{title}. {note}");
    canvas::draw((WIDTH as u32, height as u32), &title, &description, |c| {
        c.title(&title, &note, WIDTH);
        key(c, &keys, (MARGIN, key_top), WIDTH - MARGIN);
        for (i, (metric, y)) in metrics.iter().zip(scales).enumerate() {
            let left = MARGIN + (i % columns) as f64 * (half + GAP) + ticks;
            let top = first + (i / columns) as f64 * step;
            let right = MARGIN + (i % columns) as f64 * (half + GAP) + half - label_room;
            let plot = Frame { left, top, right, bottom: top + plot_height };
            let panel = Panel {
                heading: &heading(metric),
                plot,
                x: x_axis(&places, plot.width()),
                y,
                x_name: if places.measure.is_some() { x_name } else { "" },
                join: Join::Straight,
                series: &lines[i],
                label_room,
                labels,
            };
            draw(c, &panel);
            if places.measure.is_none() {
                named_places(c, &places, &panel, x_name);
            }
        }
    })
}

/// What a metric measures, by its name.
pub fn measure_of(metric: &str) -> Measure {
    if metric.ends_with("Bytes") {
        Measure::Bytes
    } else if metric.ends_with("cpuMilli") {
        Measure::Cores
    } else if metric.to_ascii_lowercase().contains("seconds") {
        Measure::Seconds
    } else if metric.starts_with("utilization.") || metric.ends_with("onset") {
        Measure::Share
    } else {
        Measure::Count
    }
}

/// A metric in words; one without words of its own is spelled from its path.
pub fn heading(metric: &str) -> String {
    const NAMES: [(&str, &str); 12] = [
        ("pods.running", "Pods running"),
        ("pods.stuck", "Pods stuck"),
        ("pods.stuckByBinding", "Pods stuck by binding"),
        ("pods.stuckEver", "Pods ever stuck"),
        ("sets.stuck", "Sets stuck"),
        ("pendingSeconds.p99", "Time to schedule, p99"),
        ("storage.overSizeBytes", "Disk bound beyond the request"),
        ("storage.heldByStuckBytes", "Disk held by stuck pods"),
        ("stranded.end.cpuMilli", "Stranded CPU at the end, cores"),
        ("stranded.peak.cpuMilli", "Stranded CPU at its peak, cores"),
        ("stranded.timeWeighted.cpuMilli", "Stranded CPU on average, cores"),
        ("utilization.cpu", "CPU requested, of allocatable"),
    ];
    if let Some((_, name)) = NAMES.iter().find(|n| n.0 == metric) {
        return (*name).to_owned();
    }
    let mut words = String::new();
    for c in metric.chars() {
        match c {
            '.' => words.push_str(": "),
            c if c.is_ascii_uppercase() => {
                words.push(' ');
                words.push(c.to_ascii_lowercase());
            }
            c => words.push(c),
        }
    }
    let words = words.replace("cpu milli", "CPU (cores)").replace(" bytes", "").replace("cpu", "CPU");
    crate::report::findings::capital(&words)
}

/// `4`, `500Gi`, `30m` as numbers, with what they measure; `None` if it is no number.
fn number(value: &str) -> Option<(f64, Measure)> {
    if let Ok(x) = value.parse::<f64>()
        && x.is_finite()
    {
        return Some((x, Measure::Number));
    }
    if let Some(share) = value.strip_suffix('%') {
        return share.trim().parse::<f64>().ok().map(|p| (p / 100.0, Measure::Share));
    }
    // `30m` is a time span as a duration and 0.03 as a quantity: in scenarios, sizes have unit prefixes of bytes.
    if let Ok(span) = SimDuration::parse(value) {
        return Some((span.as_secs_f64(), Measure::Seconds));
    }
    Quantity::parse(value).ok().map(|q| (q.ceil() as f64, Measure::Bytes))
}

/// The places of the values of the axis at that position.
pub fn places(table: &SweepTable, axis: usize) -> Places {
    let mut seen: Vec<&String> = Vec::new();
    for row in &table.rows {
        if let Some(value) = row.axis_values.get(axis)
            && !seen.contains(&value)
        {
            seen.push(value);
        }
    }
    let numbers: Option<Vec<(f64, Measure)>> = seen.iter().map(|v| number(v)).collect();
    let same = |n: &Vec<(f64, Measure)>| n.len() > 1 && n.iter().all(|x| x.1 == n[0].1);
    match numbers.filter(same) {
        Some(numbers) => {
            let mut values: Vec<(String, f64)> =
                seen.into_iter().cloned().zip(numbers.iter().map(|n| n.0)).collect();
            values.sort_by(|a, b| a.1.total_cmp(&b.1));
            Places { measure: Some(numbers[0].1), values }
        }
        None => {
            let place = |(i, v): (usize, &String)| (v.clone(), i as f64);
            Places {
                measure: None,
                values: seen.into_iter().enumerate().map(|(i, v)| place((i, v))).collect(),
            }
        }
    }
}

fn x_axis(places: &Places, room: f64) -> Axis {
    let low = places.values.first().map_or(0.0, |v| v.1);
    let high = places.values.last().map_or(1.0, |v| v.1);
    match places.measure {
        Some(measure) => fitting(measure, low, high, room),
        None => Axis {
            measure: Measure::Number,
            low: -0.5,
            high: places.values.len() as f64 - 0.5,
            ticks: Vec::new(),
        },
    }
}

/// Labels of an axis whose values are names: as many as fit, cut to their place.
fn named_places(c: &mut Canvas<'_>, places: &Places, panel: &Panel<'_>, x_name: &str) {
    let p = panel.plot;
    let each = p.width() / places.values.len().max(1) as f64;
    let every = libm::ceil(LABEL * 2.5 / each).max(1.0) as usize;
    for (value, at) in places.values.iter().step_by(every) {
        let text = measure::fitted(value, LABEL, false, each * every as f64 - LABEL);
        let x = panel.x.place(*at, p.left, p.right);
        c.text(&text, (x, p.bottom + 15.0 + LABEL * 0.7), Anchor::Middle, Type::plain(LABEL, GREY));
    }
    let middle = (p.left + p.right) / 2.0;
    c.text(x_name, (middle, p.bottom + 15.0 + LABEL * 2.1), Anchor::Middle, Type::plain(LABEL, GREY));
}

/// Which runs make a line.
pub struct Lines {
    /// The names of the lines in the order in which they appear.
    names: Vec<String>,
    /// The other axes whose values set lines apart.
    apart: Vec<usize>,
    /// The other axes over which lines are means.
    averaged: Vec<usize>,
}

impl Lines {
    fn of(table: &SweepTable, axis: usize) -> Lines {
        let varies =
            |i: &usize| table.rows.windows(2).any(|w| w[0].axis_values.get(*i) != w[1].axis_values.get(*i));
        let others: Vec<usize> = (0..table.axes.len()).filter(|i| *i != axis).filter(varies).collect();
        let apart = Lines { names: Vec::new(), apart: others.clone(), averaged: Vec::new() };
        let averaged = Lines { names: Vec::new(), apart: Vec::new(), averaged: others };
        for mut lines in [apart, averaged] {
            for row in &table.rows {
                let name = lines.name(row);
                if !lines.names.contains(&name) {
                    lines.names.push(name);
                }
                if lines.names.len() > MOST_LINES && !lines.apart.is_empty() {
                    break;
                }
            }
            if lines.names.len() <= MOST_LINES || lines.apart.is_empty() {
                return lines;
            }
        }
        Lines { names: Vec::new(), apart: Vec::new(), averaged: Vec::new() }
    }

    /// The variants, in the order in which they appear.
    pub fn variants(table: &SweepTable) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for row in &table.rows {
            if !names.contains(&row.variant) {
                names.push(row.variant.clone());
            }
        }
        names
    }

    /// The line that a run belongs to.
    fn name(&self, row: &SweepRow) -> String {
        let others = self.apart.iter().filter_map(|i| row.axis_values.get(*i).map(String::as_str));
        std::iter::once(row.variant.as_str()).chain(others).collect::<Vec<_>>().join(", ")
    }
}

fn series(table: &SweepTable, axis: usize, metric: &str, places: &Places, runs: &Lines) -> Vec<Series> {
    // Values by line and place; both are small numbers, so that the order is that of the picture.
    let mut values: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for row in table.rows.iter().filter(|r| !r.metrics.is_empty()) {
        let line = runs.names.iter().position(|n| *n == runs.name(row));
        let place = row.axis_values.get(axis).and_then(|v| places.index(v));
        let value = match row.metrics.get(metric) {
            Some(leaf) => leaf.as_f64(),
            None => Some(0.0),
        };
        if let (Some(line), Some(place), Some(value)) = (line, place, value) {
            values.entry((line, place)).or_default().push(value);
        }
    }
    let mut lines: Vec<Series> = runs
        .names
        .iter()
        .enumerate()
        .map(|(index, n)| Series { name: n.clone(), index, points: Vec::new(), band: Vec::new() })
        .collect();
    let mut quantiles = Quantiles::default();
    for ((line, place), values) in values {
        let Some(e): Option<Estimate> = estimate(&values, CONFIDENCE, &mut quantiles) else { continue };
        let x = places.values[place].1;
        lines[line].points.push((x, e.mean));
        lines[line].band.push((x, e.low().max(0.0), e.high()));
    }
    for line in &mut lines {
        if line.band.iter().all(|b| b.1 == b.2) {
            line.band.clear();
        }
    }
    lines
}

fn note(table: &SweepTable, runs: &Lines) -> String {
    let replications = table.rows.iter().map(|r| r.replication).max().map_or(0, |r| r + 1);
    let failed = table.rows.iter().filter(|r| !r.error.is_empty()).count() as u64;
    let mut parts = vec![match replications {
        0 | 1 => "One run per point and variant.".to_owned(),
        n => format!("Means of {n} runs; bands hold the true mean with 95 % confidence."),
    }];
    if !runs.averaged.is_empty() {
        let others: Vec<&str> = runs.averaged.iter().map(|i| table.axes[*i].as_str()).collect();
        parts.push(format!("Averaged over {}.", others.join(", ")));
    }
    if failed > 0 {
        parts.push(format!("{} failed and are left out.", human::plural(failed, "run")));
    }
    parts.join(" ")
}

/// What the first metric does along the axis, for the line on which it changes most.
fn title(
    table: &SweepTable,
    axis: usize,
    metrics: &[&str],
    lines: &[Vec<Series>],
    places: &Places,
) -> String {
    let name = table.axes.get(axis).map_or("", String::as_str);
    let (Some(metric), Some(series)) = (metrics.first(), lines.first()) else {
        return "Nothing was swept".into();
    };
    let change = |s: &Series| match (s.points.first(), s.points.last()) {
        (Some(a), Some(b)) => b.1 - a.1,
        _ => 0.0,
    };
    let most = series.iter().rev().max_by(|a, b| change(a).abs().total_cmp(&change(b).abs()));
    let Some(most) = most.filter(|s| !s.points.is_empty()) else {
        return "No run of the sweep succeeded".into();
    };
    let what = heading(metric);
    let value = |x: f64| shown(measure_of(metric), libm::round(x * 10.0) / 10.0);
    let (first, last) = (most.points[0].1, most.points[most.points.len() - 1].1);
    let (from, to) = match (places.values.first(), places.values.last()) {
        (Some(a), Some(b)) => (a.0.clone(), b.0.clone()),
        _ => return what,
    };
    if value(first) == value(last) {
        return format!("{what}: no change from {name} {from} to {to}");
    }
    format!(
        "{what}: from {} to {} with {} as {name} goes from {from} to {to}",
        value(first),
        value(last),
        most.name
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::results::leaves::Leaf;

    /// A made-up sweep: sets from 20 to 100 by two splits, `variants` variants, three replications.
    pub(crate) fn made_up(values: &[&str], splits: &[&str], variants: usize) -> SweepTable {
        let mut rows = Vec::new();
        let mut point = 0;
        for (i, x) in values.iter().enumerate() {
            for split in splits {
                for replication in 0..3u64 {
                    for v in 0..variants {
                        let stuck = (i * 7 / (v + 1)) as f64 + replication as f64 * 0.8;
                        let metrics = DEFAULT_METRICS
                            .iter()
                            .enumerate()
                            .map(|(m, name)| {
                                let scale = [1.0, 0.8, 1500.0, 3e11][m];
                                ((*name).to_owned(), Leaf::Float(stuck * scale))
                            })
                            .collect();
                        rows.push(SweepRow {
                            point,
                            replication,
                            variant: format!("variant-{v}"),
                            seed: replication,
                            axis_values: vec![(*x).to_owned(), (*split).to_owned()],
                            digest: "d".into(),
                            error: String::new(),
                            metrics,
                        });
                    }
                }
                point += 1;
            }
        }
        let axes = vec!["workload.generate[shop].sets".into(), "cluster.nodes[db].disks[0].split".into()];
        SweepTable { axes, rows }
    }

    #[test]
    fn values_of_axes_are_numbers_where_they_can_be() {
        for (values, measure) in [
            (["20", "100"], Some(Measure::Number)),
            (["500Gi", "1Ti"], Some(Measure::Bytes)),
            (["5m", "2h"], Some(Measure::Seconds)),
            (["10%", "20%"], Some(Measure::Share)),
            (["i3.2xlarge", "20"], None),
            (["5m", "500Gi"], None),
        ] {
            let places = places(&made_up(&values, &["1"], 1), 0);
            assert_eq!(places.measure, measure, "{values:?}");
        }
        // Numbers are in their own order, not in that of the file.
        let order: Vec<String> =
            places(&made_up(&["100", "20", "3"], &["1"], 1), 0).values.into_iter().map(|v| v.0).collect();
        assert_eq!(order, ["3", "20", "100"]);
    }

    #[test]
    fn lines_are_means_with_bands() {
        let table = made_up(&["20", "40"], &["1", "2"], 2);
        let places = places(&table, 0);
        let runs = Lines::of(&table, 0);
        assert_eq!(runs.names, ["variant-0, 1", "variant-1, 1", "variant-0, 2", "variant-1, 2"]);
        let lines = series(&table, 0, "pods.stuck", &places, &runs);
        // 7, 7.8, 8.6 stuck: mean 7.8, deviation 0.8, half width 4.3027 * 0.8 / sqrt(3) = 1.98731.
        let (x, mean) = lines[0].points[1];
        assert!((x, mean) == (40.0, 7.8) || (mean - 7.8).abs() < 1e-9, "{mean}");
        assert!((lines[0].band[1].2 - 9.787_31).abs() < 1e-4, "{:?}", lines[0].band);
        assert!(
            title(&table, 0, &["pods.stuck"], &[lines], &places)
                .starts_with("Pods stuck: from 0.8 to 7.8 with variant-0, 1")
        );
    }

    #[test]
    fn too_many_lines_are_averaged() {
        let splits: Vec<String> = (0..9).map(|i| i.to_string()).collect();
        let splits: Vec<&str> = splits.iter().map(String::as_str).collect();
        let runs = Lines::of(&made_up(&["1", "2"], &splits, 2), 0);
        assert_eq!((runs.names.len(), runs.averaged), (2, vec![1]));
        // An axis with one value tells no lines apart.
        assert_eq!(Lines::of(&made_up(&["1", "2"], &["4"], 2), 0).names, ["variant-0", "variant-1"]);
    }
}
