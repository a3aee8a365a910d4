//! Stories as text for a terminal.

use super::PodStory;
use super::node::{NodeStory, Takes};
use super::story::{Chapter, Turned};
use super::whatif::some_of;
use crate::report::human::{self, one_line};
use crate::report::table::{Look, wrapped};

/// Width of the times.
const TIME_COLUMN: usize = 13;
/// Pods and volumes of a node that are listed.
const MOST_LISTED: usize = 30;

struct Page {
    out: String,
    width: usize,
    colour: bool,
}

impl Page {
    fn new(look: &Look) -> Page {
        Page { out: String::new(), width: look.width.clamp(40, 120), colour: look.colour }
    }
    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
    fn heading(&mut self, text: &str) {
        let text = self.bold(text);
        self.out.push_str(&format!("\n{text}\n"));
    }
    /// A paragraph; every line behind the first is indented by `hang`.
    fn paragraph(&mut self, head: &str, text: &str, hang: usize) {
        let room = self.width.saturating_sub(hang).max(20);
        for (i, line) in wrapped(&one_line(text), room).iter().enumerate() {
            let lead = if i == 0 { format!("{head:<hang$}") } else { " ".repeat(hang) };
            self.out.push_str(format!("{lead}{line}").trim_end());
            self.out.push('\n');
        }
    }
}

/// The life of a pod; `all`: with every message.
pub fn pod(story: &PodStory, all: bool, look: &Look) -> String {
    let mut page = Page::new(look);
    let head = page.bold(&one_line(&story.pod));
    page.out.push_str(&format!("{head}   variant {}\n", one_line(&story.variant)));
    page.paragraph("", &format!("At the end of the run {}.", story.verdict), 0);
    page.heading("Its life");
    if story.chapters.is_empty() {
        page.paragraph("  ", "Nothing ever happened to it.", 2);
    }
    let mut skipped = 0;
    for (i, chapter) in story.chapters.iter().enumerate() {
        let again = |at: Option<usize>| {
            at.and_then(|at| story.chapters.get(at)).is_some_and(|other| other.what == chapter.what)
        };
        // Of many messages in a row the first and the last say most.
        if !all && !chapter.message.is_empty() && again(i.checked_sub(1)) && again(Some(i + 1)) {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            let text = format!("... {} in between; -v shows them", human::plural(skipped, "other message"));
            page.paragraph(&" ".repeat(TIME_COLUMN), &text, TIME_COLUMN);
            skipped = 0;
        }
        tell(&mut page, chapter);
    }
    if story.left_out > 0 {
        page.paragraph("  ", &format!("... and {} more chapters", human::count(story.left_out)), 2);
    }
    if !story.ties.is_empty() {
        page.heading("What ties it to nodes");
        story.ties.iter().for_each(|tie| page.paragraph("  - ", tie, 4));
    }
    if !story.turned_down.is_empty() || !story.feasible.is_empty() {
        page.heading("What every node says at the end");
        reasons(&mut page, &story.turned_down, 2);
        if !story.feasible.is_empty() {
            page.paragraph("  ", &format!("would take it: {}", some_of(&story.feasible)), 2);
        }
    }
    if !story.what_if.is_empty() {
        page.heading("Would it run ...");
        for answer in &story.what_if {
            page.paragraph("  ", &format!("... {}?", answer.question), 6);
            let word = if answer.runs.is_none() { "does not arise: " } else { "" };
            page.paragraph("      ", &format!("{word}{}", answer.answer), 6);
        }
    }
    if !story.elsewhere.is_empty() {
        page.heading("In the other variants");
        story.elsewhere.iter().for_each(|line| page.paragraph("  ", line, 4));
    }
    page.out
}

fn tell(page: &mut Page, chapter: &Chapter) {
    let when = format!("{:>w$}  ", human::span(chapter.seconds), w = TIME_COLUMN - 2);
    let often = match chapter.times {
        0 | 1 => String::new(),
        n => format!(" ({} times, the last at {})", human::count(n), human::span(chapter.last_seconds)),
    };
    page.paragraph(&when, &format!("{}{often}", chapter.what), TIME_COLUMN);
    if !chapter.message.is_empty() {
        page.paragraph("", &chapter.message, TIME_COLUMN);
    }
    if let Some(feasible) = chapter.feasible {
        let mut text = format!("{} feasible", human::plural(feasible as u64, "node"));
        if feasible > 1 {
            let ranked: Vec<String> =
                chapter.ranked.iter().map(|(n, score)| format!("{n} {score}")).collect();
            text.push_str(&format!("; highest scores: {}", ranked.join(", ")));
        }
        page.paragraph("", &text, TIME_COLUMN);
    }
    reasons(page, &chapter.turned_down, TIME_COLUMN);
}

fn reasons(page: &mut Page, groups: &[Turned], indent: usize) {
    let lead = format!("{}- ", " ".repeat(indent));
    for group in groups {
        let plugin = if group.plugin.is_empty() { String::new() } else { format!(" ({})", group.plugin) };
        let text = format!("{}{plugin}: {}", group.reason, some_of(&group.nodes));
        page.paragraph(&lead, &text, indent + 2);
    }
}

/// One node.
pub fn node(story: &NodeStory, look: &Look) -> String {
    let mut page = Page::new(look);
    let row = &story.row;
    let head = page.bold(&one_line(&story.node));
    page.out.push_str(&format!("{head}   variant {}\n", one_line(&story.variant)));
    page.paragraph("", &node_verdict(story), 0);
    page.heading("Full, free, stranded at the end");
    let line = |what: &str, full: String, all: String, stranded: String| {
        format!("{what:<8} {full:>10} of {all:>10} requested, {stranded} stranded")
    };
    let bytes = |b: i64| human::bytes(b.max(0) as u128);
    let cpu = line(
        "CPU",
        human::cores(row.cpu_requested_milli as f64),
        human::cores(row.cpu_allocatable_milli as f64),
        human::cores(row.cpu_stranded_milli),
    );
    let memory = line(
        "memory",
        bytes(row.memory_requested_bytes),
        bytes(row.memory_allocatable_bytes),
        human::bytes(row.memory_stranded_bytes),
    );
    page.paragraph("  ", &cpu, 4);
    page.paragraph("  ", &memory, 4);
    let disk = format!(
        "disk: {}, {} bound, {} free ({} of {} bound); {} of free disk stranded because CPU, memory or the pod limit \
         is used up",
        human::plural(row.volumes, "volume"),
        row.volumes_bound,
        row.volumes_free,
        human::bytes(row.volumes_bound_bytes),
        human::bytes(row.volumes_bytes),
        human::bytes(row.disk_stranded_bytes)
    );
    page.paragraph("  ", &disk, 4);
    if let Some(free) = story.groups_free_bytes {
        page.paragraph("  ", &format!("volume groups: {} free", human::bytes(free)), 4);
    }
    page.paragraph("  ", &format!("pods: {} of {}", row.pods, row.pods_allocatable), 4);
    node_history(&mut page, story);
    page.heading("What fills it");
    if story.pods.is_empty() {
        page.paragraph("  ", "No pod runs there.", 2);
    }
    for pod in story.pods.iter().take(MOST_LISTED) {
        let mut text =
            format!("{}: {} CPU, {}", pod.pod, human::cores(pod.cpu_milli as f64), bytes(pod.memory_bytes));
        if !pod.volumes.is_empty() {
            text.push_str(&format!(", {}", pod.volumes.join(", ")));
        }
        page.paragraph("  ", &text, 4);
    }
    more(&mut page, story.pods.len());
    held(&mut page, story);
    page.heading("What it would still take");
    if story.takes.is_empty() {
        page.paragraph("  ", "The run has no pods with claims, so there is nothing to ask for.", 2);
    }
    for (first, like, share) in by_answer(&story.takes) {
        let least = if first.at_least { "at least " } else { "" };
        let others = if like > 1 {
            format!(", and {} like it", human::plural(like as u64 - 1, "other template"))
        } else {
            String::new()
        };
        let text = format!(
            "{least}{} more like {} ({}{others}; {} of the pods). Then: {}",
            first.more,
            first.like,
            first.asks,
            human::percent(share),
            first.then
        );
        page.paragraph("  ", &text, 4);
    }
    page.out
}

/// Templates with the same answer together: the most frequent of them, how many, and their share.
fn by_answer(takes: &[Takes]) -> Vec<(&Takes, usize, f64)> {
    let mut groups: Vec<(&Takes, usize, f64)> = Vec::new();
    for one in takes {
        match groups.iter_mut().find(|(first, ..)| (first.more, &first.then) == (one.more, &one.then)) {
            Some((_, like, share)) => {
                *like += 1;
                *share += one.share;
            }
            None => groups.push((one, 1, one.share)),
        }
    }
    groups
}

fn node_verdict(story: &NodeStory) -> String {
    let row = &story.row;
    let mut parts = Vec::new();
    if !row.exists {
        parts.push("it does not exist any more at the end of the run".to_owned());
    } else if !row.ready {
        parts.push("it is not Ready".to_owned());
    } else if !row.schedulable {
        parts.push("it is cordoned".to_owned());
    }
    if !story.taints.is_empty() {
        parts.push(format!("it has the taints {}", story.taints.join(", ")));
    }
    match (row.first_exhausted.as_str(), row.first_exhausted_seconds) {
        ("", _) | (_, None) => parts.push("it never ran out of anything".to_owned()),
        (what, Some(at)) => parts.push(format!("it ran out of {what} first, at {}", human::span(at))),
    }
    let mut text = parts.join("; ");
    if let Some(first) = text.get(..1) {
        text = format!("{}{}", first.to_uppercase(), &text[1..]);
    }
    format!("{text}.")
}

fn node_history(page: &mut Page, story: &NodeStory) {
    if story.states.is_empty() {
        return;
    }
    page.heading("What was in the way of one more pod, over time");
    for state in story.states.iter().take(MOST_LISTED) {
        let when = format!("{:>w$}  ", human::span(state.seconds), w = TIME_COLUMN - 2);
        page.paragraph(&when, state.state.words(), TIME_COLUMN);
    }
    more(page, story.states.len());
}

/// Volumes that are held, but by no pod on this node.
fn held(page: &mut Page, story: &NodeStory) {
    let held: Vec<_> = story.volumes.iter().filter(|v| v.phase != "Available" && !v.used_here).collect();
    if held.is_empty() {
        return;
    }
    page.heading("Volumes that no pod here uses");
    for volume in held.iter().take(MOST_LISTED) {
        let claim =
            if volume.claim.is_empty() { String::new() } else { format!(", held by claim {}", volume.claim) };
        let text =
            format!("{}: {}, {}{claim}", volume.volume, human::bytes(volume.capacity_bytes), volume.phase);
        page.paragraph("  ", &text, 4);
    }
    more(page, held.len());
}

fn more(page: &mut Page, count: usize) {
    if count > MOST_LISTED {
        page.paragraph("  ", &format!("... and {} more", count - MOST_LISTED), 2);
    }
}
