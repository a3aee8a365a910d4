//! CPU, memory and disk over time: used, stranded, free; a column per variant, a row per resource.

use super::axis::{Axis, Measure};
use super::canvas::{self, Anchor, Canvas, Frame, HEADING, LABEL, MARGIN, PlotError, Type};
use super::hover::Picture;
use super::lines::{KeyEntry, Panel, axes, axis_room, key, key_height, tick_room, time_axis};
use super::{WIDTH, hover, measure};
use crate::report::palette::{self, FREE, INK, meaning};
use crate::report::plot::PlotInput;
use crate::report::{findings, human};
use crate::results::VariantOutput;
use crate::results::tables::SampleRow;

const COLUMNS: usize = 4;
const GAP: f64 = 40.0;

/// One resource: its name, its colour, and from a sample the shares (used, wasted, stranded) of what there is.
struct Resource {
    name: &'static str,
    colour: palette::Colour,
    shares: fn(&SampleRow) -> [f64; 3],
}

const RESOURCES: [Resource; 3] = [
    Resource { name: "CPU", colour: meaning::CPU, shares: cpu },
    Resource { name: "Memory", colour: meaning::MEMORY, shares: memory },
    Resource { name: "Disk", colour: meaning::DISK, shares: disk },
];

fn over(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn cpu(r: &SampleRow) -> [f64; 3] {
    let all = r.cpu_allocatable_milli as f64;
    [over(r.cpu_requested_milli as f64, all), 0.0, over(r.cpu_stranded_milli, all)]
}

fn memory(r: &SampleRow) -> [f64; 3] {
    let all = r.memory_allocatable_bytes as f64;
    [over(r.memory_requested_bytes as f64, all), 0.0, over(r.memory_stranded_bytes as f64, all)]
}

fn disk(r: &SampleRow) -> [f64; 3] {
    let all = r.capacity_bytes as f64;
    let wasted = r.over_size_bytes + r.released_bytes + r.unreachable_bytes;
    [over(r.requested_bytes as f64, all), over(wasted as f64, all), over(r.disk_stranded_bytes as f64, all)]
}

/// Draws it.
///
/// # Errors
/// [`PlotError`] if the backend fails.
pub fn svg(input: &PlotInput<'_>) -> Result<Picture, PlotError> {
    let count = input.variants.len().max(1);
    let columns = count.min(COLUMNS);
    let bands = count.div_ceil(COLUMNS);
    let plot_height = if count == 1 { 230.0 } else { 170.0 };
    let title = title(input);
    let note = "Shares of what the existing nodes and volumes have. Stranded CPU and memory wait for disk, stranded disk waits \
                for CPU or memory.";
    let entries = key_entries();
    let key_top = canvas::title_height(&title, note, WIDTH);
    let first = key_top + key_height(&entries, WIDTH - 2.0 * MARGIN) + 16.0;
    let names = if count > 1 { HEADING * 1.7 } else { 0.0 };
    let row = plot_height + HEADING * 1.9;
    let band = names + 3.0 * row + axis_room("t") + 24.0;
    let height = first + bands as f64 * band + MARGIN;
    let description =
        format!("{title}. Stacked areas over simulated time for CPU, memory and disk of each variant.");
    canvas::draw((WIDTH as u32, height as u32), &title, &description, |c| {
        c.title(&title, note, WIDTH);
        key(c, &entries, (MARGIN, key_top), WIDTH - MARGIN);
        let width = (WIDTH - 2.0 * MARGIN - GAP * (columns as f64 - 1.0)) / columns as f64;
        for (i, variant) in input.variants.iter().enumerate() {
            let left = MARGIN + (i % COLUMNS) as f64 * (width + GAP);
            let top = first + (i / COLUMNS) as f64 * band;
            if count > 1 {
                let name = measure::fitted(&variant.summary.name, HEADING, true, width);
                let look = Type::bold(HEADING, palette::variant(i));
                c.text(&name, (left, top + HEADING * 0.7), Anchor::Start, look);
            }
            let slot = Frame { left, top: top + names, right: left + width, bottom: top + names + 3.0 * row };
            column(c, input, variant, slot, row, count);
        }
    })
}

fn title(input: &PlotInput<'_>) -> String {
    let summaries = input.summaries();
    let cpu = |i: usize| summaries[i].utilization.at_end.cpu.unwrap_or(0.0);
    let disk = |i: usize| summaries[i].utilization.at_end.storage.unwrap_or(0.0);
    match summaries.len() {
        0 => "Nothing was run".into(),
        1 => format!(
            "At the end {} of the CPU and {} of the disk are taken",
            human::percent(cpu(0)),
            human::percent(disk(0))
        ),
        n => {
            let best = (0..n).max_by(|&a, &b| cpu(a).total_cmp(&cpu(b)).then(b.cmp(&a))).unwrap_or(0);
            let worst = (0..n).min_by(|&a, &b| cpu(a).total_cmp(&cpu(b)).then(a.cmp(&b))).unwrap_or(0);
            if human::percent(cpu(best)) == human::percent(cpu(worst)) {
                return format!(
                    "{} of the CPU is in use at the end, whatever the variant",
                    human::percent(cpu(best))
                );
            }
            format!(
                "{} of the CPU is in use at the end with {}, {} with {}",
                human::percent(cpu(best)),
                summaries[best].name,
                human::percent(cpu(worst)),
                summaries[worst].name
            )
        }
    }
}

fn key_entries() -> Vec<KeyEntry> {
    vec![
        (meaning::CPU, false, "CPU requested".into()),
        (meaning::MEMORY, false, "memory requested".into()),
        (meaning::DISK, false, "disk asked for".into()),
        (meaning::WASTED, false, "disk bound beyond the request, released or unreachable".into()),
        (meaning::STRANDED, false, "stranded".into()),
        (FREE, false, "free".into()),
    ]
}

fn column(
    c: &mut Canvas<'_>,
    input: &PlotInput<'_>,
    variant: &VariantOutput,
    slot: Frame,
    row: f64,
    count: usize,
) {
    let y = Axis { measure: Measure::Share, low: 0.0, high: 1.0, ticks: vec![0.0, 0.5, 1.0] };
    let left = slot.left + tick_room(&y);
    let right = slot.right - 26.0;
    let x = time_axis(0.0, input.end_seconds(), right - left);
    for (i, resource) in RESOURCES.iter().enumerate() {
        let top = slot.top + i as f64 * row + HEADING * 1.6;
        let plot = Frame { left, top, right, bottom: slot.top + (i + 1) as f64 * row - HEADING * 0.3 };
        let last = i == RESOURCES.len() - 1;
        let mut panel = Panel {
            heading: "",
            plot,
            x: x.clone(),
            y: y.clone(),
            x_name: if last { "simulated time" } else { "" },
            join: super::lines::Join::Straight,
            series: &[],
            label_room: 0.0,
            labels: super::lines::Labels::Values,
        };
        if !last {
            panel.x.ticks.clear();
        }
        c.rect(plot, FREE);
        areas(c, variant, resource, &panel, if count > COLUMNS { 4.0 } else { 2.0 });
        axes(c, &panel);
        let used = |r: &SampleRow| (resource.shares)(r)[..2].iter().sum::<f64>();
        let stranded = |r: &SampleRow| (resource.shares)(r)[2];
        let points = |of: &dyn Fn(&SampleRow) -> f64| {
            variant.timeseries.iter().map(|r| (r.seconds, of(r))).collect::<Vec<_>>()
        };
        let lines = vec![
            hover::line("taken", palette::variable(resource.colour), &points(&used)),
            hover::line("stranded", palette::variable(meaning::STRANDED), &points(&stranded)),
        ];
        let name = format!("{}, {}", variant.summary.name, resource.name);
        c.panels.push(hover::panel(&panel, &name, lines));
        let heading = measure::fitted(&heading(resource, variant), LABEL, true, slot.right - left);
        c.text(&heading, (left, top - LABEL * 0.85), Anchor::Start, Type::bold(LABEL, INK));
    }
}

/// `CPU: 62 % of 320 cores`.
fn heading(resource: &Resource, variant: &VariantOutput) -> String {
    let Some(last) = variant.timeseries.last() else { return resource.name.into() };
    let [used, wasted, _] = (resource.shares)(last);
    let all = match resource.name {
        "CPU" => findings::cores_text(last.cpu_allocatable_milli as f64),
        "Memory" => human::bytes(last.memory_allocatable_bytes),
        _ => human::bytes(last.capacity_bytes),
    };
    format!("{}: {} of {all}", resource.name, human::percent(used + wasted))
}

fn areas(c: &mut Canvas<'_>, variant: &VariantOutput, resource: &Resource, panel: &Panel<'_>, units: f64) {
    let p = panel.plot;
    let samples = averaged(variant, resource, panel, units);
    let x = |s: &(f64, [f64; 3])| panel.x.place(s.0, p.left, p.right);
    let y = |share: f64| panel.y.place(share, p.bottom, p.top);
    // From the top layer down, each drawn to the bottom, so that no gap shows between them.
    let layers = [(3, meaning::STRANDED), (2, meaning::WASTED), (1, resource.colour)];
    for (parts, colour) in layers {
        let height = |s: &(f64, [f64; 3])| s.1[..parts].iter().sum::<f64>().min(1.0);
        if parts > 1 && samples.iter().all(|s| s.1[parts - 1] == 0.0) {
            continue;
        }
        let mut outline: Vec<(f64, f64)> = samples.iter().map(|s| (x(s), y(height(s)))).collect();
        if let (Some(first), Some(last)) = (samples.first(), samples.last()) {
            outline.push((x(last), p.bottom));
            outline.push((x(first), p.bottom));
        }
        c.area(&outline, colour);
    }
}

/// The mean of the samples that fall on each `units` of width, at the time of the first of them; the last sample as it is.
fn averaged(
    variant: &VariantOutput,
    resource: &Resource,
    panel: &Panel<'_>,
    units: f64,
) -> Vec<(f64, [f64; 3])> {
    let p = panel.plot;
    let column = |r: &SampleRow| libm::floor(panel.x.place(r.seconds, p.left, p.right) / units) as i64;
    let mut out: Vec<(f64, [f64; 3])> = Vec::new();
    for bucket in variant.timeseries.chunk_by(|a, b| column(a) == column(b)) {
        let mut sum = [0.0; 3];
        for r in bucket {
            for (total, part) in sum.iter_mut().zip((resource.shares)(r)) {
                *total += part;
            }
        }
        out.push((bucket[0].seconds, sum.map(|s| s / bucket.len() as f64)));
    }
    if let Some(last) = variant.timeseries.last() {
        out.push((last.seconds, (resource.shares)(last)));
    }
    out
}
