//! What this version does not simulate yet: one table, so that nothing is ignored silently.

use super::types::*;
use crate::diagnostic::{Code, Diagnostic, Span};

/// A part of the format and whether a scenario uses it.
struct Feature {
    /// The path in the message.
    path: &'static str,
    /// Where it is used, if it is.
    used: fn(&Scenario) -> Option<Span>,
}

/// Rows go as the parts come.
const NOT_YET: &[Feature] = &[
    Feature {
        path: "workload.trace.group",
        used: |s| trace(s, |t| (t.group.value != TraceGroup::Pods).then_some(t.group.span)),
    },
    Feature {
        path: "workload.trace.placement",
        used: |s| trace(s, |t| (t.placement.value != TracePlacement::Scheduler).then_some(t.placement.span)),
    },
];

/// One error for every part that is used and not simulated yet.
pub fn not_implemented(scenario: &Scenario) -> Vec<Diagnostic> {
    let used = NOT_YET.iter().filter_map(|f| (f.used)(scenario).map(|span| (f.path, span)));
    used.map(|(path, span)| {
        Diagnostic::error(Code::NotImplemented, format!("not implemented yet: {path}")).at(span)
    })
    .collect()
}

fn trace(scenario: &Scenario, used: fn(&TraceSpec) -> Option<Span>) -> Option<Span> {
    scenario.workload.trace.as_ref().and_then(used)
}

/// The control plane of a scenario that names none: its word, its value and what is said about it.
pub fn default_control_plane() -> (&'static str, ControlPlane, &'static str) {
    (
        "kubernetes",
        ControlPlane::KUBERNETES,
        "the default timers and client limits of Kubernetes v1.36; a scheduling attempt takes no time (attempt: zero)",
    )
}

/// `percentageOfNodesToScore` of a scenario that names none: its value and what is said about it.
pub fn default_percentage_of_nodes() -> (u32, &'static str) {
    (0, "adaptive, as in Kubernetes: all nodes up to 100, a share of more")
}
