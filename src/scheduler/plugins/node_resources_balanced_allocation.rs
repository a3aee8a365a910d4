//! NodeResourcesBalancedAllocation: prefers nodes whose resources the pod makes more evenly used.
//!
//! In 1.36 the score compares the node with and without the pod: about 75 where nothing changes, towards 100 where the balance
//! improves, towards 50 where it suffers.

use crate::model::ids::{NodeId, PodId};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;
use crate::scheduler::plugins::node_resources_fit::{Amounts, ResourceWeight, amounts, default_resources};

/// Kubernetes' name.
pub const NAME: PluginName = "NodeResourcesBalancedAllocation";

/// The plugin.
#[derive(Clone, Debug)]
pub struct NodeResourcesBalancedAllocation {
    resources: Vec<ResourceWeight>,
}

impl NodeResourcesBalancedAllocation {
    /// Over these resources (their weights play no part).
    pub fn new(resources: Vec<ResourceWeight>) -> Self {
        NodeResourcesBalancedAllocation { resources }
    }
}

impl Default for NodeResourcesBalancedAllocation {
    fn default() -> Self {
        NodeResourcesBalancedAllocation { resources: default_resources() }
    }
}

/// What is known for the pod at hand: its requests in the order of the plugin's resources.
#[derive(Clone, Debug, Default)]
pub struct NodeResourcesBalancedAllocationState {
    requests: Vec<i64>,
}

/// One minus the standard deviation of the used shares, times 100, truncated. The order of the float operations is Go's.
fn balance(fractions: impl Iterator<Item = (i64, i64)> + Clone) -> i64 {
    let shares = fractions.map(|(used, allocatable)| (used as f64 / allocatable as f64).min(1.0));
    let count = shares.clone().count();
    let std = if count == 2 {
        let mut pair = shares;
        let (a, b) = (pair.next().unwrap_or(0.0), pair.next().unwrap_or(0.0));
        ((a - b) / 2.0).abs()
    } else if count > 2 {
        let mean = shares.clone().fold(0.0, |sum, f| sum + f) / count as f64;
        let sum = shares.fold(0.0, |sum, f| sum + (f - mean) * (f - mean));
        (sum / count as f64).sqrt()
    } else {
        0.0
    };
    ((1.0 - std) * MAX_NODE_SCORE as f64) as i64
}

/// The score from the amounts of every resource.
fn balanced_score(resources: &[Amounts]) -> i64 {
    let present = resources.iter().filter(|a| a.allocatable != 0);
    let with_pod = balance(present.clone().map(|a| (a.requested, a.allocatable)));
    let without_pod = balance(present.map(|a| (a.allocated, a.allocatable)));
    MAX_NODE_SCORE / 2 + (MAX_NODE_SCORE / 2 + with_pod - without_pod) / 2
}

impl Plugin for NodeResourcesBalancedAllocation {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl ScorePlugin for NodeResourcesBalancedAllocation {
    fn pre_score(&self, view: View<'_>, pod: PodId, state: &mut CycleState, _nodes: &[NodeId]) -> PreScore {
        let requests = &view.cluster.spec_of(pod).requests;
        let state = &mut state.node_resources_balanced_allocation.requests;
        state.clear();
        state.extend(self.resources.iter().map(|r| requests.get(r.name)));
        // A pod that asks for none of them would be drawn to one node: it is not scored.
        if state.iter().all(|request| *request == 0) { PreScore::Skip } else { PreScore::Continue }
    }
    fn score(&self, view: View<'_>, _pod: PodId, state: &CycleState, node: NodeId) -> i64 {
        let node = view.cluster.node(node);
        let requests = self.resources.iter().zip(&state.node_resources_balanced_allocation.requests);
        let each = requests.map(|(r, request)| amounts(r.name, *request, node, false));
        if let [_, _] = self.resources[..] {
            // The usual two resources need no allocation.
            let mut pair = [Amounts { requested: 0, allocated: 0, allocatable: 0 }; 2];
            pair.iter_mut().zip(each).for_each(|(slot, a)| *slot = a);
            return balanced_score(&pair);
        }
        balanced_score(&each.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balance_with_and_without_the_pod() {
        let of = |allocated: i64, request: i64, allocatable: i64| Amounts {
            requested: allocated + request,
            allocated,
            allocatable,
        };
        for (resources, want, why) in [
            (&[of(0, 0, 10), of(0, 0, 10)][..], 75, "no change"),
            (&[of(0, 3000, 4000), of(0, 5000, 10000)], 68, "shares 0.75 and 0.5: 87 against 100"),
            (&[of(0, 3000, 6000), of(0, 5000, 10000)], 75, "stays even"),
            (&[of(5, 0, 10), of(0, 5, 10)], 87, "from 75 to 100"),
            (&[of(0, 10, 10), of(0, 0, 10)], 50, "from 100 to 50"),
            (&[of(20, 1, 10), of(0, 0, 10)], 75, "overcommitted counts as full"),
            (&[of(1, 1, 10)], 75, "one resource is always balanced"),
            (&[of(0, 0, 0), of(1, 1, 10)], 75, "a resource without capacity drops out"),
            // shares 1/2, 1/2, 0 with the pod: mean 1/3, variance 1/18, std 0.2357, 76; 50 + (50 + 76 - 100) / 2
            (&[of(0, 5, 10), of(0, 5, 10), of(0, 0, 10)], 63, "three resources"),
        ] {
            assert_eq!(balanced_score(resources), want, "{why}");
        }
    }
}
