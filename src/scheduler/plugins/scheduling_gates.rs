//! SchedulingGates (PreEnqueue): a pod with gates does not enter the queue.

use crate::model::names::Names;
use crate::model::spec::PodSpec;

/// Kubernetes' name.
pub const NAME: &str = "SchedulingGates";

/// May the pod enter the queue?
pub fn admits(spec: &PodSpec) -> bool {
    spec.scheduling_gates.is_empty()
}

/// The message of a gated pod's PodScheduled condition.
pub fn message(spec: &PodSpec, names: &Names) -> String {
    let gates: Vec<&str> = spec.scheduling_gates.iter().map(|gate| names.text(*gate)).collect();
    format!("waiting for scheduling gates: [{}]", gates.join(" "))
}
