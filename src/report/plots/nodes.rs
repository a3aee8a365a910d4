//! The heat map of nodes: what each ran out of, and when; a panel per variant, grouped by what ran out for good.

use super::axis::Axis;
use super::canvas::{self, Anchor, Canvas, Frame, HEADING, LABEL, MARGIN, PlotError, Type};
use super::hover::Picture;
use super::lines::{KeyEntry, axis_room, horizontal_axis, key, key_height, time_axis};
use super::{WIDTH, measure};
use crate::report::human;
use crate::report::palette::{self, Colour, FREE, GREY, INK, meaning};
use crate::report::plot::PlotInput;
use crate::results::VariantOutput;
use crate::results::tables::NodeState;
use std::collections::BTreeMap;

const GAP: f64 = 44.0;
/// A row with a name of its own.
const NAMED_ROW: f64 = 27.0;

/// The colour of a state.
pub fn colour(state: NodeState) -> Colour {
    match state {
        NodeState::Room => FREE,
        NodeState::Disk => meaning::DISK,
        NodeState::Cpu => meaning::CPU,
        NodeState::Memory => meaning::MEMORY,
        NodeState::Pods => meaning::PODS,
        NodeState::Other => meaning::OTHER,
        NodeState::Down => meaning::DOWN,
    }
}

/// What a state means, in words.
pub fn meaning_of(state: NodeState) -> &'static str {
    match state {
        NodeState::Room => "room for one more pod",
        NodeState::Disk => "out of disk",
        NodeState::Cpu => "out of CPU",
        NodeState::Memory => "out of memory",
        NodeState::Pods => "at its pod limit",
        NodeState::Other => "several obstacles",
        NodeState::Down => "down or cordoned",
    }
}

/// What a node went through: its name and (from when, state), the first at 0.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The node.
    pub node: String,
    /// Changes in the order of time.
    pub states: Vec<(f64, NodeState)>,
}

impl History {
    /// What it ran out of for good, and when: the beginning of the time without room that lasts to the end of the run.
    ///
    /// What passes does not count: until the first pods of a workload are known, one template that fits few volumes makes
    /// most of an empty cluster look full.
    pub fn exhausted(&self) -> Option<(f64, NodeState)> {
        self.states.iter().rev().copied().take_while(|s| s.1 != NodeState::Room).last()
    }
}

/// The histories of all nodes: grouped by what they ran out of for good, in each group the first to do so on top; nodes with
/// room at the end come last. Nodes that are equal in this stay in the order of the table.
pub fn histories(variant: &VariantOutput) -> Vec<History> {
    let mut all: Vec<History> = variant
        .nodes
        .iter()
        .map(|n| History { node: n.name.to_string(), states: vec![(0.0, NodeState::Room)] })
        .collect();
    let index: BTreeMap<&str, usize> =
        variant.nodes.iter().enumerate().map(|(i, n)| (n.name.as_str(), i)).collect();
    for row in &variant.node_heat {
        if let Some(&i) = index.get(row.node.as_str()) {
            all[i].states.push((row.seconds, row.state));
        }
    }
    let key = |h: &History| h.exhausted().map_or((u8::MAX, f64::INFINITY), |f| (f.1 as u8, f.0));
    all.sort_by(|a, b| key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)));
    all
}

/// Draws it.
///
/// # Errors
/// [`PlotError`] if the backend fails.
pub fn svg(input: &PlotInput<'_>) -> Result<Picture, PlotError> {
    let count = input.variants.len().max(1);
    let columns = count.min(3);
    let rows = count.div_ceil(columns);
    let most_nodes = input.variants.iter().map(|v| v.nodes.len()).max().unwrap_or(0);
    let named = most_nodes <= 30 && count <= 3;
    let panel_height = match count {
        _ if named => (most_nodes as f64 * NAMED_ROW).max(120.0),
        1 => 620.0,
        2 | 3 => 520.0,
        _ => 260.0,
    };
    let title = title(input);
    let note = "What keeps one more pod of the workload off a node. Grouped by what it ran out of for good; the first to do so on top.";
    let entries = key_entries(input);
    let key_top = canvas::title_height(&title, note, WIDTH);
    let first = key_top + key_height(&entries, WIDTH - 2.0 * MARGIN) + 14.0;
    let head = HEADING * 1.4 + LABEL * 1.7;
    let band = head + panel_height + axis_room("t") + 26.0;
    let height = first + rows as f64 * band + MARGIN;
    let description = format!("{title}. A map of nodes by time for each variant.");
    canvas::draw((WIDTH as u32, height as u32), &title, &description, |c| {
        c.title(&title, note, WIDTH);
        key(c, &entries, (MARGIN, key_top), WIDTH - MARGIN);
        let width = (WIDTH - 2.0 * MARGIN - GAP * (columns as f64 - 1.0)) / columns as f64;
        for (i, variant) in input.variants.iter().enumerate() {
            let left = MARGIN + (i % columns) as f64 * (width + GAP);
            let top = first + (i / columns) as f64 * band;
            let name = measure::fitted(&variant.summary.name, HEADING, true, width);
            let look = Type::bold(HEADING, palette::variant(i));
            c.text(&name, (left, top + HEADING * 0.7), Anchor::Start, look);
            let counts = measure::fitted(&counts(variant), LABEL, false, width);
            c.text(
                &counts,
                (left, top + HEADING * 1.4 + LABEL * 0.6),
                Anchor::Start,
                Type::plain(LABEL, GREY),
            );
            let slot =
                Frame { left, top: top + head, right: left + width, bottom: top + head + panel_height };
            panel(c, input, variant, slot, named);
        }
    })
}

/// How many nodes ran out of what for good.
fn outcomes(variant: &VariantOutput) -> BTreeMap<NodeState, u64> {
    let mut outcomes = BTreeMap::new();
    for history in histories(variant) {
        *outcomes.entry(history.exhausted().map_or(NodeState::Room, |f| f.1)).or_insert(0) += 1;
    }
    outcomes
}

/// `12 out of disk, 3 out of CPU, 5 with room`.
fn counts(variant: &VariantOutput) -> String {
    let outcomes = outcomes(variant);
    let mut parts: Vec<(u64, String)> = Vec::new();
    for (state, n) in &outcomes {
        if *state != NodeState::Room {
            parts.push((*n, format!("{} {}", human::count(*n), meaning_of(*state))));
        }
    }
    parts.sort_by_key(|p| std::cmp::Reverse(p.0));
    if let Some(n) = outcomes.get(&NodeState::Room) {
        parts.push((*n, format!("{} with room", human::count(*n))));
    }
    let parts: Vec<String> = parts.into_iter().map(|p| p.1).collect();
    if parts.is_empty() { "no nodes".into() } else { format!("At the end {}", parts.join(", ")) }
}

fn title(input: &PlotInput<'_>) -> String {
    let all: Vec<BTreeMap<NodeState, u64>> = input.variants.iter().map(outcomes).collect();
    // The state that closes the most nodes of any variant is the one to talk about.
    let most = |s: &NodeState| all.iter().filter_map(|o| o.get(s)).max().copied().unwrap_or(0);
    let states = NodeState::ALL.into_iter().filter(|s| *s != NodeState::Room);
    let Some(state) = states.rev().max_by_key(most).filter(|s| most(s) > 0) else {
        return match all.len() {
            0 => "Nothing was run".into(),
            _ => "Every node has room for one more pod at the end".into(),
        };
    };
    let of = |i: usize| all[i].get(&state).copied().unwrap_or(0);
    let worst = (0..all.len()).rev().max_by_key(|i| of(*i)).unwrap_or(0);
    let best = (0..all.len()).min_by_key(|i| of(*i)).unwrap_or(0);
    let nodes = human::plural(input.variants[worst].nodes.len() as u64, "node");
    let verb = if of(worst) == 1 { "is" } else { "are" };
    let head = format!("{} of {nodes} {verb} {} at the end", human::count(of(worst)), meaning_of(state));
    if all.len() == 1 {
        head
    } else if of(worst) == of(best) {
        format!("{head}, whatever the variant")
    } else {
        let name = |i: usize| &input.variants[i].summary.name;
        let other = crate::report::findings::none_or(of(best));
        format!("{head} with {}, {other} with {}", name(worst), name(best))
    }
}

fn key_entries(input: &PlotInput<'_>) -> Vec<KeyEntry> {
    let seen = |s: &NodeState| {
        *s == NodeState::Room || input.variants.iter().any(|v| v.node_heat.iter().any(|row| row.state == *s))
    };
    NodeState::ALL.into_iter().filter(seen).map(|s| (colour(s), false, meaning_of(s).to_owned())).collect()
}

fn panel(c: &mut Canvas<'_>, input: &PlotInput<'_>, variant: &VariantOutput, slot: Frame, named: bool) {
    let all = histories(variant);
    let gutter = if named {
        let widest = all.iter().map(|h| measure::width(&h.node, LABEL, false)).fold(0.0, f64::max);
        (widest + 14.0).min(slot.width() * 0.35)
    } else {
        LABEL * 1.6
    };
    let plot = Frame { left: slot.left + gutter, right: slot.right - 30.0, ..slot };
    let x = time_axis(0.0, input.end_seconds(), plot.width());
    c.rect(plot, FREE);
    let shown = cells(&all, &x, plot, input.variants.len());
    let row_height = plot.height() / shown.len().max(1) as f64;
    for (i, row) in shown.iter().enumerate() {
        let top = plot.top + i as f64 * row_height;
        // A hair of paper between rows that are high enough; lower ones overlap, so that no seam shows on any screen.
        let last = i + 1 == shown.len();
        let bottom = top + row_height + if row_height >= 12.0 { -2.0 } else { 2.0 * f64::from(!last) };
        for (from, to, state) in row {
            if *state != NodeState::Room {
                c.rect(Frame { left: *from, top, right: *to, bottom }, colour(*state));
            }
        }
        if named && let Some(history) = all.get(i) {
            let name = measure::fitted(&history.node, LABEL, false, gutter - 12.0);
            let middle = (top + bottom) / 2.0;
            c.text(&name, (plot.left - 10.0, middle), Anchor::End, Type::plain(LABEL, INK));
        }
    }
    if !named {
        let text = human::plural(all.len() as u64, "node");
        let middle = (plot.top + plot.bottom) / 2.0;
        c.text_upwards(&text, (slot.left + LABEL * 0.6, middle), Anchor::Middle, Type::plain(LABEL, GREY));
    }
    horizontal_axis(c, &x, plot, "simulated time");
}

/// A row of the map: (left, right, state).
type Row = Vec<(f64, f64, NodeState)>;

/// The map in at most as many rows as can be seen: each shows the most frequent state of its nodes.
fn cells(all: &[History], x: &Axis, plot: Frame, variants: usize) -> Vec<Row> {
    let (smallest, column) = if variants > 3 { (5.0, 8.0) } else { (4.0, 5.0) };
    let most = libm::floor(plot.height() / smallest).max(1.0) as usize;
    let rows = all.len().min(most);
    let columns = libm::floor(plot.width() / column).max(1.0) as usize;
    let edge = |i: usize| plot.left + plot.width() * i as f64 / columns as f64;
    (0..rows)
        .map(|r| {
            let nodes = &all[r * all.len() / rows..(r + 1) * all.len() / rows];
            let mut next = vec![0usize; nodes.len()];
            let mut row: Row = Vec::new();
            for i in 0..columns {
                let middle = x.low + (i as f64 + 0.5) / columns as f64 * (x.high - x.low);
                let mut votes = [0usize; NodeState::ALL.len()];
                for (history, next) in nodes.iter().zip(&mut next) {
                    while history.states.get(*next + 1).is_some_and(|s| s.0 <= middle) {
                        *next += 1;
                    }
                    votes[history.states[*next].1 as usize] += 1;
                }
                let most = votes.iter().copied().max().unwrap_or(0);
                let winner = votes.iter().position(|v| *v == most).unwrap_or(0);
                let state = NodeState::ALL[winner];
                match row.last_mut() {
                    Some(last) if last.2 == state => last.1 = edge(i + 1),
                    _ => row.push((edge(i), edge(i + 1), state)),
                }
            }
            row
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tables::{NodeHeatRow, NodeRow};

    #[test]
    fn nodes_come_in_the_order_in_which_they_fill() {
        let node = |name: &str| NodeRow { name: name.into(), ..NodeRow::default() };
        let heat = |seconds: f64, node: &str, state| NodeHeatRow { seconds, node: node.into(), state };
        let variant = VariantOutput {
            nodes: vec![node("a"), node("b"), node("c"), node("d")],
            node_heat: vec![
                heat(5.0, "c", NodeState::Cpu),
                heat(6.0, "a", NodeState::Disk),
                heat(7.0, "c", NodeState::Room),
                heat(8.0, "d", NodeState::Disk),
            ],
            ..VariantOutput::default()
        };
        let order: Vec<String> = histories(&variant).into_iter().map(|h| h.node).collect();
        // c has room again at 7, so it counts with b, in the order of the table.
        assert_eq!(order, ["a", "d", "b", "c"]);
        assert_eq!(counts(&variant), "At the end 2 out of disk, 2 with room");
        // Two rows of two nodes on ten columns of a second, ties go to the earlier state (room before disk before CPU): a and
        // d tie from 6 to 8, then both are out of disk; b and c
        // agree on room most of the time.
        let plot = Frame { left: 0.0, top: 0.0, right: 50.0, bottom: 8.0 };
        let x = Axis { measure: super::super::axis::Measure::Seconds, low: 0.0, high: 10.0, ticks: vec![] };
        let rows = cells(&histories(&variant), &x, plot, 1);
        let (room, disk) = (NodeState::Room, NodeState::Disk);
        assert_eq!(rows[0], [(0.0, 40.0, room), (40.0, 50.0, disk)]);
        assert_eq!(rows[1], [(0.0, 50.0, room)]);
    }
}
