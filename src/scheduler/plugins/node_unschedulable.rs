//! NodeUnschedulable: cordoned nodes take only pods that tolerate the taint of that name.

use crate::model::ids::PodId;
use crate::model::names::sym;
use crate::model::spec::{Taint, TaintEffect};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;

/// Kubernetes' name.
pub const NAME: PluginName = "NodeUnschedulable";

/// The plugin.
#[derive(Debug, Default)]
pub struct NodeUnschedulable;

impl Plugin for NodeUnschedulable {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl FilterPlugin for NodeUnschedulable {
    fn filter(&self, view: View<'_>, pod: PodId, _state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        const CORDONED: Taint =
            Taint { key: sym::TAINT_UNSCHEDULABLE, value: sym::EMPTY, effect: TaintEffect::NoSchedule };
        let tolerated = || view.cluster.spec_of(pod).tolerations.iter().any(|t| t.tolerates(&CORDONED));
        if !node.node.unschedulable || tolerated() {
            return Ok(());
        }
        Err(Rejection::text(NAME, Code::UnschedulableAndUnresolvable, "node(s) were unschedulable"))
    }
}
