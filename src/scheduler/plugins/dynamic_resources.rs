//! DynamicResources: as it behaves for pods without ResourceClaims, the only ones that are modelled.
//!
//! It scores 0 everywhere and adds its words to messages. Its PostFilter needs what its own PreFilter wrote: where an earlier
//! plugin rejected the pod in PreFilter it fails with `not found`, and preemption is not asked.

use crate::model::ids::{NodeId, PodId};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;
use crate::scheduler::profile::Profile;

/// Kubernetes' name.
pub const NAME: PluginName = "DynamicResources";
/// What its PostFilter says about a pod without ResourceClaims.
pub const NO_CLAIMS: &str = "no new claims to deallocate";

/// The plugin.
#[derive(Debug, Default)]
pub struct DynamicResources;

impl Plugin for DynamicResources {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for DynamicResources {
    fn pre_filter(&self, _view: View<'_>, _pod: PodId, state: &mut CycleState) -> PreFilter {
        state.dynamic_resources_seen = true;
        PreFilter::Skip
    }
}

impl FilterPlugin for DynamicResources {
    fn filter(&self, _view: View<'_>, _pod: PodId, _state: &mut CycleState, _node: NodeView<'_>) -> Verdict {
        Ok(())
    }
}

impl ScorePlugin for DynamicResources {
    fn score(&self, _view: View<'_>, _pod: PodId, _state: &CycleState, _node: NodeId) -> i64 {
        0
    }
}

impl PostFilterPlugin for DynamicResources {
    fn post_filter(
        &self,
        _profile: &Profile,
        _view: View<'_>,
        _pod: PodId,
        state: &mut CycleState,
        _rejections: Rejections<'_>,
    ) -> PostFilter {
        if !state.dynamic_resources_seen {
            return PostFilter::Error(PostFilterMessage::Text("not found"));
        }
        PostFilter::Unschedulable { message: PostFilterMessage::Text(NO_CLAIMS), clear_nomination: false }
    }
}
