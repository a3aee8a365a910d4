//! Compares what was recorded with what the replay did, kind by kind.

use super::case::*;
use super::replay::{Replayed, replay};
use crate::scheduler::cycle::Engine;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Agreement of one kind of check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Checks that agree.
    pub agree: u64,
    /// All checks.
    pub total: u64,
}

/// A disagreement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mismatch {
    /// The case.
    pub case: String,
    /// The step, from 0; absent for what happened before the first one.
    pub step: Option<usize>,
    /// What was compared.
    pub kind: &'static str,
    /// As recorded.
    pub expected: Value,
    /// As replayed.
    pub actual: Value,
}

/// The result of one case.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Checks by kind.
    pub checks: BTreeMap<&'static str, Agreement>,
    /// Disagreements in order.
    pub mismatches: Vec<Mismatch>,
    decisions_only: bool,
}

/// Replays a case and compares. A case that cannot be replayed disagrees in everything it recorded. Of the fast engine only the
/// decisions are compared: it keeps no record of nodes and scores.
pub fn compare(case: &Case, engine: Engine) -> Compared {
    let mut compared = Compared { decisions_only: engine == Engine::Fast, ..Compared::default() };
    match replay(case, engine) {
        Ok(replayed) => compared.all(case, Some(&replayed)),
        Err(error) => {
            compared.all(case, None);
            compared.mismatches.clear();
            compared.mismatches.push(Mismatch {
                case: case.id.clone(),
                step: None,
                kind: "case",
                expected: json!("a replay"),
                actual: json!(error.to_string()),
            });
        }
    }
    compared
}

impl Compared {
    fn all(&mut self, case: &Case, replayed: Option<&Replayed>) {
        for (i, binding) in case.immediate_bindings.iter().enumerate() {
            let actual = replayed.map(|r| &r.immediate_bindings[i]);
            self.check(&case.id, None, "immediateBinding", Some(binding), actual);
        }
        for (i, step) in case.steps.iter().enumerate() {
            let nothing = Expect::default();
            let actual = replayed.map_or(&nothing, |r| &r.steps[i]);
            self.step(&case.id, i, &step.expect, actual);
        }
    }

    /// A kind is checked where it was recorded, or where the replay has something that was not recorded.
    fn check<T: PartialEq + Serialize>(
        &mut self,
        case: &str,
        step: Option<usize>,
        kind: &'static str,
        expected: Option<T>,
        actual: Option<T>,
    ) {
        if expected.is_none() && actual.is_none() {
            return;
        }
        let agreement = self.checks.entry(kind).or_default();
        agreement.total += 1;
        if expected == actual {
            agreement.agree += 1;
            return;
        }
        let value = |side: Option<T>| serde_json::to_value(side).unwrap_or(Value::Null);
        let mismatch =
            Mismatch { case: case.to_owned(), step, kind, expected: value(expected), actual: value(actual) };
        self.mismatches.push(mismatch);
    }

    fn step(&mut self, case: &str, step: usize, expected: &Expect, actual: &Expect) {
        let step = Some(step);
        self.check(case, step, "result", Some(&expected.result), Some(&actual.result));
        self.check(case, step, "node", expected.node.as_ref(), actual.node.as_ref());
        let attempted = (expected.attempted_node.as_ref(), actual.attempted_node.as_ref());
        self.check(case, step, "attemptedNode", attempted.0, attempted.1);
        self.check(case, step, "bindings", sorted(&expected.bindings), sorted(&actual.bindings));
        self.check(case, step, "provisions", sorted(&expected.provisions), sorted(&actual.provisions));
        self.check(case, step, "reason", expected.reason.as_ref(), actual.reason.as_ref());
        self.check(case, step, "message", expected.message.as_ref(), actual.message.as_ref());
        self.check(case, step, "preemption", expected.preemption.as_ref(), actual.preemption.as_ref());
        let before = (expected.nominated_node_before.as_ref(), actual.nominated_node_before.as_ref());
        self.check(case, step, "nominatedNodeBefore", before.0, before.1);
        if !self.decisions_only {
            self.details(case, step, expected, actual);
        }
    }

    fn details(&mut self, case: &str, step: Option<usize>, expected: &Expect, actual: &Expect) {
        self.check(case, step, "feasible", some(&expected.feasible), some(&actual.feasible));
        self.check(case, step, "rejected", sorted(&expected.rejected), sorted(&actual.rejected));
        self.check(case, step, "notEvaluated", some(&expected.not_evaluated), some(&actual.not_evaluated));
        self.check(case, step, "preFilter", expected.pre_filter.as_ref(), actual.pre_filter.as_ref());
        self.scores(case, step, expected.scores.as_ref(), actual.scores.as_ref());
        self.check(case, step, "top", some(&expected.top), some(&actual.top));
        self.check(case, step, "volumes", volumes(expected), volumes(actual));
        self.check(case, step, "numFeasible", expected.num_feasible, actual.num_feasible);
        self.check(case, step, "topScore", expected.top_score, actual.top_score);
    }

    fn scores(
        &mut self,
        case: &str,
        step: Option<usize>,
        expected: Option<&Scores>,
        actual: Option<&Scores>,
    ) {
        let columns = |s: Option<&Scores>| s.map(|s| (s.plugins.clone(), s.nodes.clone()));
        self.check(case, step, "scores", columns(expected), columns(actual));
        let totals = |s: Option<&Scores>| s.map(|s| s.total.clone());
        self.check(case, step, "totals", totals(expected), totals(actual));
    }
}

fn some<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

fn sorted<T: Clone + Ord>(list: &[T]) -> Option<Vec<T>> {
    let mut list = some(list)?.to_vec();
    list.sort();
    Some(list)
}

fn volumes(expect: &Expect) -> Option<BTreeMap<String, Volumes>> {
    let sorted = |v: &Volumes| {
        let mut v = v.clone();
        v.provision.sort();
        v
    };
    let map = &expect.volumes;
    (!map.is_empty()).then(|| map.iter().map(|(node, v)| (node.clone(), sorted(v))).collect())
}
