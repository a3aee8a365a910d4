//! What a run says about its trace: the rules in force, and what they left out.

use crate::results::summary::{Assumption, AssumptionSource};
use crate::trace::assumptions::TraceAssumption;
use crate::world::plan::Plan;
use crate::world::trace::TraceOutcome;

/// The rules of a plan's trace.
pub fn rules(plan: &Plan) -> Vec<Assumption> {
    plan.trace.iter().flat_map(|trace| &trace.assumptions).cloned().map(assumption).collect()
}

fn assumption(from: TraceAssumption) -> Assumption {
    let TraceAssumption { path, value, note } = from;
    Assumption { path, value, source: AssumptionSource::TraceRule, note }
}

/// What the run of a trace skipped, left out and made up.
pub fn outcome(outcome: &TraceOutcome) -> Vec<Assumption> {
    let mut notes = Vec::new();
    let mut say = |key: &str, value: String, note: &str| {
        notes.push(assumption(TraceAssumption::new(key, value, note)));
    };
    say("files", format!("{} pods", outcome.pods), "pods that arrived under these rules");
    if outcome.sets > 0 {
        say("group", format!("{} sets", outcome.sets), "sets that were made of the trace's groups");
    }
    if outcome.synthetic_claims > 0 {
        let note = "synthetic: claims that the rule made, not the trace";
        say("claims", format!("{} synthetic claims", outcome.synthetic_claims), note);
    }
    if outcome.unplaced > 0 {
        let note = "pods for which the trace names no machine: the simulated scheduler placed them";
        say("placement", format!("{} pods", outcome.unplaced), note);
    }
    if outcome.resubmitted > 0 {
        let note = "pods that lost their node or were preempted before their time came again as <name>-e1, -e2 ..., with new claims";
        say("files", format!("{} resubmitted", outcome.resubmitted), note);
    }
    for (reason, rows) in &outcome.tally.skipped {
        let example = outcome.tally.examples.iter().find(|e| e.reason == *reason);
        let example = example.map_or(String::new(), |e| format!("; for example {e}"));
        say("skipBadRows", format!("{rows} rows: {reason}"), &format!("bad rows that were skipped{example}"));
    }
    for (rule, rows) in &outcome.tally.left_out {
        say("files", format!("{rows} records left out"), rule);
    }
    notes
}
