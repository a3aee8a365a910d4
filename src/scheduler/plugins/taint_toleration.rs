//! TaintToleration: NoSchedule and NoExecute taints keep pods away unless tolerated, PreferNoSchedule taints cost score.

use crate::model::ids::{NodeId, PodId};
use crate::model::spec::{Taint, TaintEffect, Toleration};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;
use crate::scheduler::plugins::score::default_normalize;

/// Kubernetes' name.
pub const NAME: PluginName = "TaintToleration";

/// The plugin.
#[derive(Debug, Default)]
pub struct TaintToleration;

/// Is there a taint that forbids new pods and that none of the tolerations tolerates?
pub fn has_untolerated_taint(taints: &[Taint], tolerations: &[Toleration]) -> bool {
    taints
        .iter()
        .filter(|taint| taint.effect != TaintEffect::PreferNoSchedule)
        .any(|taint| !tolerations.iter().any(|t| t.tolerates(taint)))
}

impl Plugin for TaintToleration {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl FilterPlugin for TaintToleration {
    fn filter(&self, view: View<'_>, pod: PodId, _state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let taints = &node.node.taints;
        if taints.is_empty() || !has_untolerated_taint(taints, &view.cluster.spec_of(pod).tolerations) {
            return Ok(());
        }
        let text = "node(s) had untolerated taint(s)";
        Err(Rejection::text(NAME, Code::UnschedulableAndUnresolvable, text))
    }
}

impl ScorePlugin for TaintToleration {
    /// The number of untolerated PreferNoSchedule taints. A toleration of another effect cannot tolerate one.
    fn score(&self, view: View<'_>, pod: PodId, _state: &CycleState, node: NodeId) -> i64 {
        let tolerations = &view.cluster.spec_of(pod).tolerations;
        let taints = view.cluster.node(node).taints.iter();
        let soft = taints.filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
        soft.filter(|taint| !tolerations.iter().any(|t| t.tolerates(taint))).count() as i64
    }
    fn normalize(&self, _view: View<'_>, _pod: PodId, _state: &CycleState, scores: &mut [i64]) {
        default_normalize(scores, true);
    }
}
