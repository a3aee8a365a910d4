//! What the page's script works on, as JSON inside the page, cut to what a page can hold.

use crate::report::palette;
use crate::report::plot::PlotInput;
use crate::report::plots::hover::HoverPanel;
use crate::report::plots::nodes::{History, colour, histories, meaning_of};
use crate::results::number::rounded;
use crate::results::tables::{IncidentKind, IncidentRow, NodeRow, NodeState, PodRow};
use crate::results::{RunOutput, VariantOutput};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Stuck pods on a page, over all variants.
pub const MOST_PODS: usize = 3000;
/// Incidents on a page, over all variants.
pub const MOST_INCIDENTS: usize = 3000;
/// Nodes on a page, over all variants.
const MOST_NODES: usize = 12_000;
/// State changes per node; nodes that flap more often show the last ones.
const MOST_CHANGES: usize = 40;

#[derive(Serialize)]
struct State {
    text: &'static str,
    colour: String,
}

/// The CSS colour of a state.
pub fn state_colour(state: NodeState) -> String {
    palette::variable(colour(state))
}

/// The JSON, with nothing in it that could end the script element it stands in.
pub fn json(run: &RunOutput, figures: &BTreeMap<&'static str, Vec<HoverPanel>>) -> String {
    let states: Vec<State> =
        NodeState::ALL.into_iter().map(|s| State { text: meaning_of(s), colour: state_colour(s) }).collect();
    let each = nodes_per_variant(run);
    let nodes: Vec<Value> = run.variants.iter().map(|v| json!({ "rows": nodes(v, each) })).collect();
    let reasons = reasons(run);
    let names: Vec<&str> = run.summary.variants.iter().map(|v| v.name.as_str()).collect();
    let data = json!({
        "variants": names,
        "end": PlotInput::new(run).end_seconds().max(1e-9),
        "figures": figures,
        "states": states,
        "nodes": nodes,
        "reasons": reasons,
        "pods": pods(run, &reasons),
        "kinds": IncidentKind::ALL.map(IncidentKind::words),
        "incidents": incidents(run),
    });
    harmless(&data)
}

/// JSON for a script element: inside one only `<` could begin anything; the escapes are JSON's own.
pub fn harmless(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// The messages of stuck pods, in bytewise order.
pub fn reasons(run: &RunOutput) -> Vec<String> {
    let stuck = run.variants.iter().flat_map(|v| &v.pods).filter(|p| p.stuck);
    let mut all: Vec<&str> = stuck.map(|p| &*p.last_message).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(str::to_owned).collect()
}

/// How many nodes of each variant are on the page.
pub fn nodes_per_variant(run: &RunOutput) -> usize {
    let most = run.variants.iter().map(|v| v.nodes.len()).max().unwrap_or(0);
    most.min(MOST_NODES / run.variants.len().max(1))
}

fn short(x: f64) -> Value {
    // A tenth of a second is more than a page can show.
    let x = libm::round(x * 10.0) / 10.0;
    match rounded(x) {
        Some(x) if x.fract() == 0.0 && x.abs() < 9e15 => json!(x as i64),
        Some(x) => json!(x),
        None => Value::Null,
    }
}

/// `[name, zone, state that it ran out of for good, since when, stranded CPU, share of disk bound, [seconds, state, ...]]`, most stranded first.
fn nodes(variant: &VariantOutput, most: usize) -> Vec<Value> {
    let rows: BTreeMap<&str, &NodeRow> = variant.nodes.iter().map(|n| (n.name.as_str(), n)).collect();
    let mut all: Vec<(History, &NodeRow)> =
        histories(variant).into_iter().filter_map(|h| rows.get(h.node.as_str()).map(|r| (h, *r))).collect();
    if all.len() > most {
        // The sort is stable: equally stranded nodes stay in the order of the heat map.
        all.sort_by(|a, b| b.1.cpu_stranded_milli.total_cmp(&a.1.cpu_stranded_milli));
        all.truncate(most);
    }
    all.into_iter().map(|(history, row)| node(&history, row)).collect()
}

fn node(history: &History, row: &NodeRow) -> Value {
    let first = history.exhausted();
    let skip = history.states.len().saturating_sub(MOST_CHANGES);
    let mut changes: Vec<Value> = Vec::new();
    for (i, (at, state)) in history.states.iter().skip(skip).enumerate() {
        changes.push(if i == 0 { json!(0) } else { short(*at) });
        changes.push(json!(*state as u8));
    }
    let bound = (row.volumes_bytes > 0).then(|| row.volumes_bound_bytes as f64 / row.volumes_bytes as f64);
    let three = |x: f64| json!(libm::round(x * 1000.0) / 1000.0);
    json!([
        row.name,
        row.zone,
        first.map_or(0, |f| f.1 as u8),
        first.map_or(Value::Null, |f| short(f.0)),
        short(row.cpu_stranded_milli),
        bound.map_or(Value::Null, three),
        changes
    ])
}

/// `[variant, namespace/name, cause, by binding, seconds waited, message]`, an equal share of each variant.
fn pods(run: &RunOutput, reasons: &[String]) -> Vec<Value> {
    let stuck: Vec<(usize, Vec<&PodRow>)> = run
        .variants
        .iter()
        .enumerate()
        .map(|(i, v)| (i, v.pods.iter().filter(|p| p.stuck).collect()))
        .collect();
    let all: usize = stuck.iter().map(|s| s.1.len()).sum();
    let mut rows = Vec::new();
    for (i, pods) in stuck {
        let share = if all <= MOST_PODS { pods.len() } else { MOST_PODS * pods.len() / all };
        for pod in pods.into_iter().take(share) {
            let reason =
                reasons.binary_search_by(|reason| reason.as_str().cmp(&pod.last_message)).unwrap_or(0);
            rows.push(json!([
                i,
                format!("{}/{}", pod.namespace, pod.name),
                pod.stuck_cause,
                pod.stuck_by_binding,
                pod.pending_seconds.map_or(Value::Null, short),
                reason
            ]));
        }
    }
    rows
}

/// `[variant, when, until, kind, object, pods, bytes, seconds of writing lost]`, an equal share of each variant; if there are too many,
/// the worst kinds.
fn incidents(run: &RunOutput) -> Vec<Value> {
    let all: usize = run.variants.iter().map(|v| v.incidents.len()).sum();
    let mut rows = Vec::new();
    for (i, variant) in run.variants.iter().enumerate() {
        let mut chosen: Vec<&IncidentRow> = variant.incidents.iter().collect();
        if all > MOST_INCIDENTS {
            chosen.sort_by_key(|row| row.what);
            chosen.truncate(MOST_INCIDENTS * variant.incidents.len() / all);
            chosen.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        }
        rows.extend(chosen.into_iter().map(|row| {
            json!([
                i,
                short(row.seconds),
                row.until_seconds.map_or(Value::Null, short),
                row.what as u8,
                row.object,
                row.pods,
                row.bytes.map_or(Value::Null, |b| json!(b as f64)),
                row.lost_write_seconds.map_or(Value::Null, short)
            ])
        }));
    }
    rows
}
