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
    explain_nodes(text, recorded, replayed);
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
fn verdicts(expect: &Expect) -> BTreeMap<&str, String> {
    let mut all = BTreeMap::new();
    for node in &expect.feasible {
        let volumes = expect.volumes.get(node).map_or_else(String::new, |v| {
            let bind = v.bind.iter().map(|(claim, volume)| format!(" {claim}={volume}"));
            bind.chain(v.provision.iter().map(|claim| format!(" {claim}=new"))).collect()
        });
        all.insert(node.as_str(), format!("feasible{volumes}"));
    }
    for node in &expect.not_evaluated {
        all.insert(node.as_str(), "not evaluated".into());
    }
    for group in &expect.rejected {
        let plugin = if group.plugin.is_empty() { "(PreFilter)" } else { &group.plugin };
        let said = format!("{plugin} {}: {}", group.code, group.reasons.join(", "));
        all.extend(group.nodes.iter().map(|node| (node.as_str(), said.clone())));
    }
    all
}

/// One line per node where both sides agree, two where they do not; one column per Score plugin, then the total, then what the
/// filters said with the volumes found.
fn explain_nodes(text: &mut String, recorded: &Expect, replayed: &Expect) {
    let (left, right) = (verdicts(recorded), verdicts(replayed));
    let nodes: BTreeSet<&str> = left.keys().chain(right.keys()).copied().collect();
    if nodes.is_empty() {
        return;
    }
    let mut plugins: Vec<&str> = Vec::new();
    for name in [recorded, replayed].into_iter().filter_map(|e| e.scores.as_ref()).flat_map(|s| &s.plugins) {
        if !plugins.contains(&name.as_str()) {
            plugins.push(name);
        }
    }
    let mut header = vec!["node".to_owned(), "side".to_owned()];
    header.extend(plugins.iter().map(|p| (*p).to_owned()));
    if !plugins.is_empty() {
        header.push("total".to_owned());
    }
    header.push("filters and volumes".to_owned());
    let mut rows: Vec<(bool, Vec<String>)> = vec![(true, header)];
    for node in nodes {
        let side = |expect: &Expect, verdicts: &BTreeMap<&str, String>| -> Vec<String> {
            let mut cells = scores(expect, &plugins, node);
            cells.push(verdicts.get(node).cloned().unwrap_or_else(|| "-".to_owned()));
            cells
        };
        let (ours, theirs) = (side(replayed, &right), side(recorded, &left));
        let row = |name: &str, side: &str, cells: Vec<String>| {
            [name.to_owned(), side.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
        };
        if ours == theirs {
            rows.push((true, row(node, "both", ours)));
        } else {
            rows.push((false, row(node, "recorded", theirs)));
            rows.push((false, row("", "replayed", ours)));
        }
    }
    table(text, &rows);
}

/// The node's number per plugin and the total; `-` where a side has none.
fn scores(expect: &Expect, plugins: &[&str], node: &str) -> Vec<String> {
    if plugins.is_empty() {
        return Vec::new();
    }
    let found = expect.scores.as_ref();
    let cell = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |v| v.to_string());
    let of_plugin = |plugin: &&str| {
        let scores = found?;
        let column = scores.plugins.iter().position(|p| p == plugin)?;
        scores.nodes.get(node)?.get(column).copied()
    };
    let total = found.and_then(|s| s.total.get(node).copied());
    plugins.iter().map(of_plugin).chain([total]).map(cell).collect()
}

/// Columns as wide as their widest cell; numbers to the right. Lines that differ begin with `!`.
fn table(text: &mut String, rows: &[(bool, Vec<String>)]) {
    let columns = rows.first().map_or(0, |(_, header)| header.len());
    let width = |c: usize| rows.iter().map(|(_, row)| row[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (agrees, row) in rows {
        text.push(if *agrees { ' ' } else { '!' });
        for (c, cell) in row.iter().enumerate() {
            let _ = match c {
                0 | 1 => write!(text, " {cell:<0$}", widths[c]),
                _ if c + 1 == columns => write!(text, "  {cell}"),
                _ => write!(text, "  {cell:>0$}", widths[c]),
            };
        }
        text.push('\n');
    }
}

/// Both sides of a whole case as JSON.
///
/// # Errors
/// [`ReplayError`] for a case that cannot be replayed.
pub fn explain_json(case: &Case) -> Result<serde_json::Value, ReplayError> {
    let replayed = replay(case, Engine::Plain)?;
    let steps = case.steps.iter().zip(&replayed.steps).enumerate().map(|(index, (step, actual))| {
        serde_json::json!({"step": index, "pod": step.pod, "recorded": step.expect, "replayed": actual})
    });
    Ok(serde_json::json!({
        "case": case.id,
        "immediateBindings": {"recorded": case.immediate_bindings, "replayed": replayed.immediate_bindings},
        "steps": steps.collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::case::{Rejected, Scores};

    fn expect(score: i64) -> Expect {
        Expect {
            result: "bound".into(),
            feasible: vec!["n1".into(), "n2".into()],
            rejected: vec![Rejected {
                nodes: vec!["n3".into()],
                plugin: "NodeResourcesFit".into(),
                code: "Unschedulable".into(),
                reasons: vec!["Insufficient cpu".into()],
            }],
            scores: Some(Scores {
                plugins: vec!["TaintToleration".into(), "ImageLocality".into()],
                nodes: [("n1".to_owned(), vec![300, 0]), ("n2".to_owned(), vec![score, 5])].into(),
                total: [("n1".to_owned(), 300), ("n2".to_owned(), score + 5)].into(),
            }),
            ..Expect::default()
        }
    }

    #[test]
    fn a_table_per_node_and_plugin() {
        let mut text = String::new();
        explain_nodes(&mut text, &expect(200), &expect(100));
        let want = "  \
  node side      TaintToleration  ImageLocality  total  filters and volumes
  n1   both                  300              0    300  feasible
! n2   recorded              200              5    205  feasible
!      replayed              100              5    105  feasible
  n3   both                    -              -      -  NodeResourcesFit Unschedulable: Insufficient cpu
";
        assert_eq!(text.trim_end(), want.trim_end());
    }
}
