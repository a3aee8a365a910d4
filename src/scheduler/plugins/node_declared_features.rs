//! NodeDeclaredFeatures: pods that need a feature which nodes must declare.
//!
//! No modelled pod needs one, so the plugin always skips. It is here because it has its place in the order of plugins.

use crate::model::ids::PodId;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;

/// Kubernetes' name.
pub const NAME: PluginName = "NodeDeclaredFeatures";

/// The plugin.
#[derive(Debug, Default)]
pub struct NodeDeclaredFeatures;

impl Plugin for NodeDeclaredFeatures {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for NodeDeclaredFeatures {
    fn pre_filter(&self, _view: View<'_>, _pod: PodId, _state: &mut CycleState) -> PreFilter {
        PreFilter::Skip
    }
}

impl FilterPlugin for NodeDeclaredFeatures {
    fn filter(&self, _view: View<'_>, _pod: PodId, _state: &mut CycleState, _node: NodeView<'_>) -> Verdict {
        Ok(())
    }
}
