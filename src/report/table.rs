//! The comparison that `stowplan run` prints: one column per variant, and the difference to the first.

use super::findings::{capital, cores_text, verdict};
use super::human::{self, one_line, shortened};
use crate::results::RunOutput;
use crate::results::summary::{AssumptionSource, StuckCause, VariantSummary};
use std::path::Path;

/// How a terminal wants it.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Columns of the terminal; 40 or more.
    pub width: usize,
    /// Bold headings, red and green numbers (ANSI).
    pub colour: bool,
}

impl Default for Look {
    fn default() -> Look {
        Look { width: 100, colour: false }
    }
}

/// What is in the results folder, for the lines at the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Next<'a> {
    /// The folder, if one was written.
    pub folder: Option<&'a Path>,
    /// `plots/` is there.
    pub plots: bool,
    /// `report.html` is there.
    pub report: bool,
    /// `stowplan explain` works on it.
    pub explain: bool,
}

/// How a number is shown.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    Bytes,
    Cores,
    Seconds,
    Share,
}

/// Is more of it better, worse, or neither?
#[derive(Clone, Copy, PartialEq)]
enum Wish {
    More,
    Less,
    Neither,
}

struct Line {
    label: String,
    indent: usize,
    unit: Unit,
    wish: Wish,
    values: Vec<Option<f64>>,
}

/// The whole text, ending in a newline.
pub fn render(run: &RunOutput, next: &Next<'_>, look: &Look) -> String {
    let variants = &run.summary.variants;
    let paint = Paint { on: look.colour };
    let width = look.width.clamp(40, 240);
    let mut out = String::new();
    heading(&mut out, run, &paint, width);
    let room = LABEL + 2 * (20 + GAP);
    if variants.len() > SIDE_BY_SIDE || (variants.len() > 2 && width < room) {
        overview(&mut out, variants, &paint, width);
    } else {
        for shown in blocks(variants, width) {
            comparison(&mut out, variants, &shown, &paint, width);
        }
    }
    reasons(&mut out, variants, &paint, width);
    trace_rules(&mut out, run, &paint, width);
    look_next(&mut out, run, next, &paint);
    out
}

/// What was made of a trace, rule by rule: its objects are only as good as these.
fn trace_rules(out: &mut String, run: &RunOutput, paint: &Paint, width: usize) {
    let all = &run.summary.assumptions;
    let rules: Vec<_> = all.iter().filter(|a| a.source == AssumptionSource::TraceRule).collect();
    if rules.is_empty() {
        return;
    }
    push(out, "");
    push(out, &paint.bold("What was made of the trace"));
    for rule in rules {
        let key = rule.path.strip_prefix("workload.trace.").unwrap_or(&rule.path);
        let text = format!("{}: {}", one_line(&rule.value), one_line(&rule.note));
        for (i, line) in wrapped(&text, width.saturating_sub(18).max(20)).iter().enumerate() {
            let head = if i == 0 { shortened(key, 14) } else { String::new() };
            push(out, &format!("  {head:<14}  {line}"));
        }
    }
}

fn heading(out: &mut String, run: &RunOutput, paint: &Paint, width: usize) {
    let summary = &run.summary;
    let simulated = summary.variants.iter().map(|v| v.simulated_seconds).fold(0.0, f64::max);
    let name = one_line(&summary.scenario);
    let about = format!("{} simulated, seed {}", human::span(simulated), summary.seed);
    if name.chars().count() + 3 + about.chars().count() <= width {
        push(out, &format!("{}   {about}", paint.bold(&name)));
    } else {
        wrapped(&name, width).iter().for_each(|line| push(out, &paint.bold(line)));
        wrapped(&about, width).iter().for_each(|line| push(out, line));
    }
    let names = summary.variants.iter().map(|v| one_line(&v.name)).collect::<Vec<_>>();
    let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0).min(30);
    for (variant, name) in summary.variants.iter().zip(&names) {
        let text = capital(&verdict(variant));
        let bad = variant.pods.stuck > 0;
        let painted = |line: &str| if bad { paint.red(line) } else { paint.green(line) };
        if width < longest + 34 {
            push(out, &format!("  {}", paint.bold(&shortened(name, width - 2))));
            wrapped(&text, width - 4).iter().for_each(|line| push(out, &format!("    {}", painted(line))));
            continue;
        }
        let name = format!("{:<longest$}", shortened(name, longest));
        let lines = wrapped(&text, width.saturating_sub(longest + 4).max(20));
        for (i, line) in lines.iter().enumerate() {
            let head = if i == 0 { paint.bold(&name) } else { " ".repeat(longest) };
            push(out, &format!("  {head}  {}", painted(line)));
        }
    }
}

/// More variants than this get a line each instead of a column each.
const SIDE_BY_SIDE: usize = 4;

/// Which variants stand side by side: the baseline opens every block, the others follow as far as they fit.
fn blocks(variants: &[VariantSummary], width: usize) -> Vec<Vec<usize>> {
    let columns = (width.saturating_sub(LABEL) / (cell_width(variants, width) + GAP)).max(2);
    let others: Vec<usize> = (1..variants.len()).collect();
    match others.len() {
        0 => (0..variants.len()).map(|i| vec![i]).collect(),
        // With two variants the difference has a column of its own, where there is room.
        1 if width < TWO_COLUMNS => vec![vec![0], vec![1]],
        1 => vec![vec![0, 1]],
        _ => others.chunks(columns - 1).map(|c| [&[0], c].concat()).collect(),
    }
}

/// One line per variant with the numbers that decide.
fn overview(out: &mut String, variants: &[VariantSummary], paint: &Paint, width: usize) {
    // Columns that do not fit are left out from the right; the numbers are in summary.json all the same.
    let cut = |line: String| -> String {
        line.chars()
            .take(24 + OVERVIEW_ENDS.iter().rev().find(|e| 24 + **e <= width).copied().unwrap_or(9))
            .collect()
    };
    let cells = |v: &VariantSummary| {
        [
            human::count(v.pods.running),
            human::count(v.pods.stuck),
            human::count(v.pods.stuck_by_binding),
            human::bytes(v.storage.over_size_bytes),
            human::cores(v.stranded.peak.cpu_milli),
            v.pending_seconds.p99.map_or("-".into(), human::span),
        ]
    };
    let line = |name: &str, cells: [String; 6]| {
        let [running, stuck, binding, over, cpu, p99] = cells;
        format!("{name:<24}{running:>9}{stuck:>8}{binding:>8}{over:>11}{cpu:>10}{p99:>10}")
    };
    out.push('\n');
    let head = ["", "", "by", "over-size", "CPU", "p99"].map(str::to_owned);
    push(out, &paint.bold(&cut(line("", head))));
    let head = ["running", "stuck", "binding", "wasted", "stranded", "pending"].map(str::to_owned);
    push(out, &paint.bold(&cut(line("", head))));
    for v in variants {
        push(out, &cut(line(&shortened(&v.name, 23), cells(v))));
    }
    // The column is cut off on a narrow terminal.
    let cpu = if width >= 70 { "CPU stranded is the peak, in cores. " } else { "" };
    for line in wrapped(&format!("{cpu}Every number is in summary.json."), width) {
        push(out, &line);
    }
}

const LABEL: usize = 26;
const GAP: usize = 2;
const DIFFERENCE: usize = 15;
/// Narrower terminals show two variants one below the other.
const TWO_COLUMNS: usize = LABEL + 2 * (9 + GAP);
/// Narrower terminals show two variants without their difference.
const WITH_DIFFERENCE: usize = LABEL + 2 * (11 + GAP) + DIFFERENCE;
/// Where the columns of the overview end, behind the name.
const OVERVIEW_ENDS: [usize; 6] = [9, 17, 25, 36, 46, 56];

/// As wide as the longest name, but so that two columns (and the difference of a pair) fit the terminal.
fn cell_width(variants: &[VariantSummary], width: usize) -> usize {
    let longest = variants.iter().map(|v| one_line(&v.name).chars().count()).max().unwrap_or(0);
    if variants.len() > 2 {
        // `1.75 TiB (+1.25 TiB)` has 20 characters.
        return longest.clamp(20, 24.min((width.saturating_sub(LABEL) / 2).saturating_sub(GAP)).max(20));
    }
    let difference = if width < WITH_DIFFERENCE { 0 } else { DIFFERENCE };
    let room = (width.saturating_sub(LABEL + difference) / 2).saturating_sub(GAP);
    longest.clamp(9, room.clamp(9, 24))
}

fn comparison(out: &mut String, variants: &[VariantSummary], shown: &[usize], paint: &Paint, width: usize) {
    let cell = cell_width(variants, width);
    let shown: Vec<&VariantSummary> = shown.iter().map(|&i| &variants[i]).collect();
    let pair = shown.len() == 2 && variants.len() == 2 && width >= WITH_DIFFERENCE;
    let beside = variants.len() > 2;
    let mut header = " ".repeat(LABEL);
    for v in &shown {
        header.push_str(&format!("{:>w$}", shortened(&v.name, cell), w = cell + GAP));
    }
    if pair {
        header.push_str(&format!("{:>DIFFERENCE$}", "difference"));
    }
    out.push('\n');
    push(out, &paint.bold(header.chars().take(width).collect::<String>().trim_end()));
    for line in rows(&shown) {
        push(out, &row(&line, cell, (pair, beside), paint));
    }
}

/// `pair`: the difference has a column of its own; `beside`: it stands beside the value.
fn row(line: &Row, cell: usize, (pair, beside): (bool, bool), paint: &Paint) -> String {
    let label = format!("{}{}", "  ".repeat(line.indent), line.label);
    let mut text = format!("{label:<LABEL$}");
    for (value, change) in line.values.iter().zip(&line.differences) {
        let both = change.as_ref().filter(|_| beside).map(|change| format!("{value} ({})", change.text));
        // Without a gap two columns would read as one; the difference is in `summary.json` too.
        let fits = |text: &String| text.chars().count() < cell + GAP;
        let shown = both.filter(fits).unwrap_or_else(|| value.clone());
        text.push_str(&format!("{shown:>w$}", w = cell + GAP));
    }
    if pair {
        let change = line.differences[1].as_ref();
        let padded = format!("{:>DIFFERENCE$}", change.map_or(line.unchanged(), |c| c.text.as_str()));
        text.push_str(&match change.and_then(|c| c.good) {
            Some(true) => paint.green(&padded),
            Some(false) => paint.red(&padded),
            None => padded,
        });
    }
    text.trim_end().to_owned()
}

/// A line of the comparison, ready to be shown.
pub(super) struct Row {
    /// What it is.
    pub label: String,
    /// 0 for what stands for itself, 1 for a part of the line above.
    pub indent: usize,
    /// One per variant.
    pub values: Vec<String>,
    /// One per variant: the difference to the first, `None` where there is none.
    pub differences: Vec<Option<Change>>,
}

impl Row {
    /// What stands for the difference of the second variant where there is none: nothing if only one of the two has a value.
    pub fn unchanged(&self) -> &'static str {
        if self.values.first() == self.values.get(1) { "=" } else { "" }
    }
}

/// A difference to the first variant.
pub(super) struct Change {
    /// `+29`.
    pub text: String,
    /// Whether that is better; `None` if it is neither.
    pub good: Option<bool>,
}

impl Change {
    /// The class of it on pages.
    pub fn class(&self) -> &'static str {
        match self.good {
            Some(true) => "good",
            Some(false) => "bad",
            None => "",
        }
    }
}

/// The lines of the comparison; parts that are zero everywhere are left out.
pub(super) fn rows(shown: &[&VariantSummary]) -> Vec<Row> {
    let finish = |line: Line| {
        let baseline = line.values.first().copied().flatten();
        let change = |value: &Option<f64>| {
            let text = difference(baseline, *value, line.unit)?;
            let more = (*value)? > baseline?;
            let good = match line.wish {
                Wish::More => Some(more),
                Wish::Less => Some(!more),
                Wish::Neither => None,
            };
            Some(Change { text, good })
        };
        Row {
            differences: line.values.iter().map(change).collect(),
            values: line.values.iter().map(|v| v.map_or("-".into(), |x| format_unit(x, line.unit))).collect(),
            label: line.label,
            indent: line.indent,
        }
    };
    let counts = |l: &Line| l.indent == 0 || l.values.iter().any(|v| v.is_some_and(|x| x != 0.0));
    groups(shown).into_iter().flatten().filter(counts).map(finish).collect()
}

fn format_unit(x: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => human::mean(x),
        Unit::Bytes => human::bytes(x.max(0.0) as u128),
        Unit::Cores => human::cores(x),
        Unit::Seconds => human::span(x),
        Unit::Share => human::percent(x),
    }
}

/// `+29`, `-1.5 TiB`; `None` when nothing changed or one side has no value.
fn difference(baseline: Option<f64>, value: Option<f64>, unit: Unit) -> Option<String> {
    let change = value? - baseline?;
    if change == 0.0 {
        return None;
    }
    let size = match unit {
        Unit::Share => format!("{} points", human::mean(libm::round(change.abs() * 1000.0) / 10.0)),
        _ => format_unit(change.abs(), unit),
    };
    Some(format!("{}{size}", if change > 0.0 { "+" } else { "-" }))
}

fn groups(shown: &[&VariantSummary]) -> Vec<Vec<Line>> {
    let line = |label: &str, indent, unit, wish, of: &dyn Fn(&VariantSummary) -> Option<f64>| Line {
        label: label.to_owned(),
        indent,
        unit,
        wish,
        values: shown.iter().map(|v| of(v)).collect(),
    };
    use Unit::{Bytes, Cores, Count, Seconds, Share};
    use Wish::{Less, More, Neither};
    let mut pods = vec![
        line("Pods wanted", 0, Count, Neither, &|v| Some(v.pods.wanted as f64)),
        line("Pods running", 0, Count, More, &|v| Some(v.pods.running as f64)),
        line("Pods stuck", 0, Count, Less, &|v| Some(v.pods.stuck as f64)),
        line("stuck by binding", 1, Count, Less, &|v| Some(v.pods.stuck_by_binding as f64)),
    ];
    for cause in causes(shown) {
        let of = move |v: &VariantSummary| Some(v.pods.stuck_by.get(&cause).copied().unwrap_or(0) as f64);
        pods.push(line(cause_label(cause), 1, Count, Less, &of));
    }
    pods.push(line("stuck at any time", 1, Count, Less, &|v| Some(v.pods.stuck_ever as f64)));
    let sets = vec![line("sets stuck", 1, Count, Less, &|v| Some(v.sets.stuck as f64))];
    let storage = vec![
        line("Disk in volumes", 0, Bytes, Neither, &|v| Some(v.storage.capacity_bytes as f64)),
        line("asked for", 1, Bytes, Neither, &|v| Some(v.storage.requested_bytes as f64)),
        line("wasted: over-size", 1, Bytes, Less, &|v| Some(v.storage.over_size_bytes as f64)),
        line("wasted: held by stuck", 1, Bytes, Less, &|v| Some(v.storage.held_by_stuck_bytes as f64)),
        line("wasted: orphaned", 1, Bytes, Less, &|v| Some(v.storage.orphaned_bytes as f64)),
        line("wasted: released", 1, Bytes, Less, &|v| Some(v.storage.released_bytes as f64)),
        line("wasted: fits no claim", 1, Bytes, Less, &|v| Some(v.storage.unusable_free_bytes as f64)),
        line("wasted: uncarved", 1, Bytes, Less, &|v| Some(v.storage.uncarved_bytes as f64)),
        line("unreachable", 1, Bytes, Less, &|v| Some(v.storage.unreachable_bytes as f64)),
        line("free", 1, Bytes, Neither, &|v| Some(v.storage.free_bytes as f64)),
    ];
    let stranded = vec![
        line("Stranded CPU (cores)", 0, Cores, Less, &|v| Some(v.stranded.end.cpu_milli)),
        line("at the peak", 1, Cores, Less, &|v| Some(v.stranded.peak.cpu_milli)),
        line("Stranded memory", 0, Bytes, Less, &|v| Some(v.stranded.end.memory_bytes as f64)),
        line("at the peak", 1, Bytes, Less, &|v| Some(v.stranded.peak.memory_bytes as f64)),
        line("Stranded disk", 0, Bytes, Less, &|v| Some(v.stranded.end.disk_bytes as f64)),
        line("CPU strands from disk at", 1, Share, More, &|v| v.stranded.onset),
    ];
    let times = vec![
        line("Time to schedule, p50", 0, Seconds, Less, &|v| v.pending_seconds.p50),
        line("Time to schedule, p99", 0, Seconds, Less, &|v| v.pending_seconds.p99),
    ];
    let recovery = match shown.iter().any(|v| v.recovery.groups > 0) {
        true => vec![
            line("Groups without quorum", 0, Seconds, Less, &|v| Some(v.recovery.quorum_lost_seconds)),
            line("Groups degraded", 0, Seconds, Less, &|v| Some(v.recovery.degraded_seconds)),
        ],
        false => Vec::new(),
    };
    vec![pods, sets, storage, stranded, times, recovery]
}

/// The causes that any of them has, most pods first.
fn causes(shown: &[&VariantSummary]) -> Vec<StuckCause> {
    let pods = |cause: StuckCause| shown.iter().filter_map(|v| v.pods.stuck_by.get(&cause)).sum::<u64>();
    let mut found: Vec<StuckCause> = StuckCause::ALL.into_iter().filter(|c| pods(*c) > 0).collect();
    found.sort_by_key(|c| std::cmp::Reverse(pods(*c)));
    found
}

fn cause_label(cause: StuckCause) -> &'static str {
    match cause {
        StuckCause::Unschedulable => "no node fits",
        StuckCause::UnboundClaim => "claim unbound",
        StuckCause::BindError => "binding failed",
        StuckCause::NodeName => "nodeName set by hand",
        StuckCause::NodeGone => "node gone",
        StuckCause::NotCreated => "predecessor stuck",
        StuckCause::Recovering => "recovering",
        StuckCause::NotModelled => "not modelled",
    }
}

/// Reasons shown per variant; the rest is in `summary.json`.
const REASONS: usize = 5;

fn reasons(out: &mut String, variants: &[VariantSummary], paint: &Paint, width: usize) {
    // Of many variants, the one with the most stuck pods speaks for all.
    let most = variants.iter().rev().max_by_key(|v| v.pods.stuck);
    let speaks = |v: &&VariantSummary| {
        !v.pods.stuck_reasons.is_empty() && (variants.len() <= SIDE_BY_SIDE || most == Some(*v))
    };
    for variant in variants.iter().filter(speaks) {
        out.push('\n');
        push(out, &paint.bold(&format!("Why pods are stuck with {}", shortened(&variant.name, width - 24))));
        for reason in variant.pods.stuck_reasons.iter().take(REASONS) {
            let message = one_line(&reason.message);
            let message = if message.is_empty() { "(no message)".to_owned() } else { message };
            for (i, part) in wrapped(&message, width - 11).iter().enumerate() {
                let head =
                    if i == 0 { format!("{:>8} x ", human::count(reason.pods)) } else { " ".repeat(11) };
                push(out, &format!("{head}{part}"));
            }
        }
        let rest = &variant.pods.stuck_reasons[variant.pods.stuck_reasons.len().min(REASONS)..];
        if !rest.is_empty() {
            let pods = rest.iter().map(|r| r.pods).sum();
            push(out, &format!("{:>8} x other messages, see summary.json", human::count(pods)));
        }
    }
}

fn look_next(out: &mut String, run: &RunOutput, next: &Next<'_>, paint: &Paint) {
    let Some(folder) = next.folder else { return };
    let folder = folder.display();
    out.push('\n');
    push(out, &paint.bold("Where to look next"));
    if next.report {
        push(out, &format!("  {folder}/report.html  everything on one page"));
    }
    if next.plots {
        push(out, &format!("  {folder}/plots/stranding.svg  what full disks strand, one line per variant"));
    }
    push(
        out,
        &format!("  {folder}/summary.json  every number; {folder}/*/*.csv  pods, claims, nodes, volumes"),
    );
    let stuck = run.variants.iter().find_map(|v| {
        let pod = v.pods.iter().find(|p| p.stuck && p.created_seconds.is_some())?;
        Some((one_line(&v.summary.name), pod))
    });
    if let Some((variant, pod)) = stuck {
        if next.explain {
            let name = format!("{}/{}", pod.namespace, pod.name);
            push(out, &format!("  stowplan explain {folder} {name}  why it is stuck, and what would help"));
        }
        push(out, &format!("  {folder}/{variant}/pods.csv  every pod and its last message"));
    }
    let stranded = run
        .summary
        .variants
        .iter()
        .max_by(|a, b| a.stranded.end.cpu_milli.total_cmp(&b.stranded.end.cpu_milli));
    if let Some(v) = stranded.filter(|v| v.stranded.end.cpu_milli > 0.0) {
        let nodes = run
            .variants
            .iter()
            .find(|o| o.summary.name == v.name)
            .map(|o| o.nodes.as_slice())
            .unwrap_or_default();
        let worst = nodes
            .iter()
            .max_by(|a, b| a.cpu_stranded_milli.total_cmp(&b.cpu_stranded_milli).then(b.name.cmp(&a.name)));
        if let Some(node) = worst.filter(|n| n.cpu_stranded_milli > 0.0) {
            let what = format!("node {} strands {}", node.name, cores_text(node.cpu_stranded_milli));
            push(out, &format!("  {folder}/{}/nodes.csv  {what}", one_line(&v.name)));
            if next.explain {
                push(out, &format!("  stowplan explain {folder} --node {}  what fills it", node.name));
            }
        }
    }
}

/// Breaks at blanks; a word longer than a line is cut.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let used = lines.last().map_or(0, |l| l.chars().count());
            let room = width.saturating_sub(if used == 0 { 0 } else { used + 1 });
            if word.len() <= room {
                break;
            }
            if used == 0 {
                let rest = word.split_off(room.max(1));
                lines.last_mut().map(|l| l.extend(word.iter())).unwrap_or_default();
                word = rest;
            }
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.extend(word);
        }
    }
    lines
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

struct Paint {
    on: bool,
}

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }
    fn red(&self, text: &str) -> String {
        self.with("31", text)
    }
    fn green(&self, text: &str) -> String {
        self.with("32", text)
    }
}

#[cfg(test)]
mod tests;
