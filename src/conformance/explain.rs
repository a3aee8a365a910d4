//! Both sides of a case as tables: how a disagreement is looked into.

use super::case::{Case, Expect};
use super::replay::{ReplayError, replay};
use crate::scheduler::cycle::Engine;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Tables of a whole case, step by step. Lines that differ are marked with `!`.
///
/// # Errors
/// [`ReplayError`] for a case that cannot be replayed.
pub fn explain(case: &Case) -> Result<String, ReplayError> {
    let replayed = replay(case, Engine::Plain)?;
    let mut text = format!("{}\n", case.id);
    for (expected, actual) in case.immediate_bindings.iter().zip(&replayed.immediate_bindings) {
        let words =
            |b: &super::case::ImmediateBinding| format!("{} {}", b.phase, b.pv.as_deref().unwrap_or("-"));
        line(&mut text, &format!("claim {}", expected.pvc), &words(expected), &words(actual));
    }
    for (index, (step, actual)) in case.steps.iter().zip(&replayed.steps).enumerate() {
        let _ = writeln!(text, "\nstep {index}: {}", step.pod);
        explain_step(&mut text, &step.expect, actual);
    }
    Ok(text)
}

fn line(text: &mut String, what: &str, recorded: &str, replayed: &str) {
    if recorded.is_empty() && replayed.is_empty() {
        return;
    }
    let mark = if recorded == replayed { ' ' } else { '!' };
    if recorded == replayed {
        let _ = writeln!(text, "{mark} {what:<28} {recorded}");
    } else {
        let _ = writeln!(text, "{mark} {what:<28} recorded {recorded}");
        let _ = writeln!(text, "{mark} {:<28} replayed {replayed}", "");
    }
}

fn explain_step(text: &mut String, recorded: &Expect, replayed: &Expect) {
    let option = |o: &Option<String>| o.clone().unwrap_or_default();
    line(text, "result", &recorded.result, &replayed.result);
    line(text, "node", &option(&recorded.node), &option(&replayed.node));
    line(text, "attempted node", &option(&recorded.attempted_node), &option(&replayed.attempted_node));
    let before = (option(&recorded.nominated_node_before), option(&replayed.nominated_node_before));
    line(text, "nominated before", &before.0, &before.1);
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let status =
        |e: &Expect| e.pre_filter.as_ref().map_or_else(String::new, |s| json(serde_json::to_string(s)));
    line(text, "PreFilter", &status(recorded), &status(replayed));
    let (left, right) = (verdicts(recorded), verdicts(replayed));
    for node in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
        let side = |map: &BTreeMap<String, String>| map.get(node).cloned().unwrap_or_default();
        line(text, node, &side(&left), &side(&right));
    }
    explain_scores(text, recorded, replayed);
    line(text, "top", &recorded.top.join(" "), &replayed.top.join(" "));
    let bindings = |e: &Expect| {
        let mut all: Vec<String> = e.bindings.iter().map(|b| format!("{}={}", b.pvc, b.pv)).collect();
        all.sort();
        all.join(" ")
    };
    line(text, "bindings", &bindings(recorded), &bindings(replayed));
    let provisions = |e: &Expect| {
        let mut all: Vec<String> =
            e.provisions.iter().map(|p| format!("{}={} on {}", p.pvc, p.pv, p.node)).collect();
        all.sort();
        all.join(" ")
    };
    line(text, "provisions", &provisions(recorded), &provisions(replayed));
    let preemption =
        |e: &Expect| e.preemption.as_ref().map_or_else(String::new, |p| json(serde_json::to_string(p)));
    line(text, "preemption", &preemption(recorded), &preemption(replayed));
    line(text, "message", &option(&recorded.message), &option(&replayed.message));
    let number = |n: Option<usize>| n.map_or_else(String::new, |n| n.to_string());
    line(text, "feasible nodes", &number(recorded.num_feasible), &number(replayed.num_feasible));
    let score = |n: Option<i64>| n.map_or_else(String::new, |n| n.to_string());
    line(text, "top score", &score(recorded.top_score), &score(replayed.top_score));
}

/// What each node was told.
fn verdicts(expect: &Expect) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for node in &expect.feasible {
        let volumes = expect.volumes.get(node).map_or_else(String::new, |v| {
            let bind = v.bind.iter().map(|(claim, volume)| format!(" {claim}={volume}"));
            bind.chain(v.provision.iter().map(|claim| format!(" {claim}=new"))).collect()
        });
        all.insert(node.clone(), format!("feasible{volumes}"));
    }
    for node in &expect.not_evaluated {
        all.insert(node.clone(), "not evaluated".into());
    }
    for group in &expect.rejected {
        let said = format!("{} {}: {}", group.plugin, group.code, group.reasons.join(", "));
        all.extend(group.nodes.iter().map(|node| (node.clone(), said.clone())));
    }
    all
}

/// Scores per node, with plugin names.
fn explain_scores(text: &mut String, recorded: &Expect, replayed: &Expect) {
    let rows = |e: &Expect| -> BTreeMap<String, String> {
        let Some(scores) = &e.scores else { return BTreeMap::new() };
        let row = |(node, values): (&String, &Vec<i64>)| {
            let columns =
                scores.plugins.iter().zip(values).map(|(plugin, value)| format!("{plugin} {value}"));
            let total = scores.total.get(node).copied().unwrap_or_default();
            (node.clone(), format!("{total} = {}", columns.collect::<Vec<_>>().join(", ")))
        };
        scores.nodes.iter().map(row).collect()
    };
    let (left, right) = (rows(recorded), rows(replayed));
    for node in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
        let side = |map: &BTreeMap<String, String>| map.get(node).cloned().unwrap_or_default();
        line(text, &format!("score {node}"), &side(&left), &side(&right));
    }
}
