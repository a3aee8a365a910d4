//! NodeName: a pod with `spec.nodeName` fits that node only.
//!
//! A pod whose creator set nodeName never comes to the scheduler, so this filter says no only to callers who ask about such a
//! pod outside a scheduling cycle.

use crate::model::ids::PodId;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;

/// Kubernetes' name.
pub const NAME: PluginName = "NodeName";

/// The plugin.
#[derive(Debug, Default)]
pub struct NodeName;

impl Plugin for NodeName {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl FilterPlugin for NodeName {
    fn filter(&self, view: View<'_>, pod: PodId, _state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        if view.cluster.pod(pod).node.is_none_or(|n| n == node.id) {
            return Ok(());
        }
        let text = "node(s) didn't match the requested node name";
        Err(Rejection::text(NAME, Code::UnschedulableAndUnresolvable, text))
    }
}
