//! NodeResourcesFit: requests must fit into what is allocatable and not requested yet; three strategies to score.

use crate::model::ids::{NodeId, PodId};
use crate::model::names::{Names, Sym, sym};
use crate::model::node::Node;
use crate::model::resources::Resources;
use crate::model::spec::PodSpec;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;
use crate::scheduler::plugins::score::{ShapePoint, broken_linear};

/// Kubernetes' name.
pub const NAME: PluginName = "NodeResourcesFit";
/// The node's pod count is exhausted.
pub const TOO_MANY_PODS: &str = "Too many pods";

/// A resource with its weight in a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceWeight {
    /// Name of the resource.
    pub name: Sym,
    /// 1..=100.
    pub weight: i64,
}

/// `scoringStrategy.type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ScoringStrategy {
    /// Prefers empty nodes.
    #[default]
    LeastAllocated,
    /// Prefers full nodes.
    MostAllocated,
    /// Utilization through a shape; its scores are on the scale 0..=10 as in the configuration.
    RequestedToCapacityRatio(Vec<ShapePoint>),
}

/// `NodeResourcesFitArgs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeResourcesFitArgs {
    /// Extended resources that are not checked.
    pub ignored_resources: Vec<Sym>,
    /// Groups (what stands before the slash) of extended resources that are not checked.
    pub ignored_resource_groups: Vec<String>,
    /// How nodes are scored.
    pub strategy: ScoringStrategy,
    /// What is scored; cpu and memory with weight 1 by default.
    pub resources: Vec<ResourceWeight>,
}

impl Default for NodeResourcesFitArgs {
    fn default() -> Self {
        NodeResourcesFitArgs {
            ignored_resources: Vec::new(),
            ignored_resource_groups: Vec::new(),
            strategy: ScoringStrategy::default(),
            resources: default_resources(),
        }
    }
}

/// cpu and memory, weight 1.
pub fn default_resources() -> Vec<ResourceWeight> {
    [sym::CPU, sym::MEMORY].map(|name| ResourceWeight { name, weight: 1 }).into()
}

/// One resource of one node as a scorer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// With the pod.
    pub requested: i64,
    /// Without the pod.
    pub allocated: i64,
    /// What the node has; 0 takes the resource out of the score.
    pub allocatable: i64,
}

/// `calculateNodeAllocatableRequest` for one resource: nothing for a resource that the node lacks, or for an extended one
/// that the pod does not ask for.
pub fn amounts(resource: Sym, pod_request: i64, node: &Node, nonzero: bool) -> Amounts {
    const NOTHING: Amounts = Amounts { requested: 0, allocated: 0, allocatable: 0 };
    let native = matches!(resource, sym::CPU | sym::MEMORY | sym::EPHEMERAL_STORAGE);
    let allocatable = node.allocatable.get(resource);
    if allocatable == 0 || (pod_request == 0 && !native) {
        return NOTHING;
    }
    let allocated = match resource {
        sym::CPU if nonzero => node.info.nonzero_cpu_milli,
        sym::MEMORY if nonzero => node.info.nonzero_memory_bytes,
        other => node.info.requested.get(other),
    };
    Amounts { requested: allocated.wrapping_add(pod_request), allocated, allocatable }
}

/// The plugin.
#[derive(Clone, Debug, Default)]
pub struct NodeResourcesFit {
    args: NodeResourcesFitArgs,
}

/// What is known for the pod at hand.
#[derive(Clone, Debug, Default)]
pub struct NodeResourcesFitState {
    /// Requests that are checked: those above 0, without the ignored ones.
    scalars: Vec<(Sym, i64)>,
    /// Scoring requests in the order of `args.resources`.
    scoring: Vec<i64>,
}

impl NodeResourcesFit {
    /// With arguments.
    pub fn new(args: NodeResourcesFitArgs) -> Self {
        NodeResourcesFit { args }
    }

    fn ignores(&self, resource: Sym, names: &Names) -> bool {
        if self.args.ignored_resources.is_empty() && self.args.ignored_resource_groups.is_empty() {
            return false;
        }
        let text = names.text(resource);
        is_extended(text)
            && (self.args.ignored_resources.contains(&resource)
                || text
                    .split('/')
                    .next()
                    .is_some_and(|g| self.args.ignored_resource_groups.iter().any(|i| i == g)))
    }
}

/// `v1helper.IsExtendedResourceName`: a domain of its own, not one of Kubernetes'.
pub fn is_extended(name: &str) -> bool {
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    !native && !name.starts_with("requests.")
}

fn least_allocated(a: Amounts) -> i64 {
    if a.requested > a.allocatable {
        return 0;
    }
    a.allocatable.wrapping_sub(a.requested).wrapping_mul(MAX_NODE_SCORE).wrapping_div(a.allocatable)
}

fn most_allocated(a: Amounts) -> i64 {
    a.requested.min(a.allocatable).wrapping_mul(MAX_NODE_SCORE).wrapping_div(a.allocatable)
}

fn ratio(shape: &[ShapePoint], a: Amounts) -> i64 {
    let utilization = if a.requested > a.allocatable {
        100
    } else {
        a.requested.wrapping_mul(100).wrapping_div(a.allocatable)
    };
    // The configuration's scale ends at 10, the scheduler's at 100.
    let scaled: Vec<ShapePoint> =
        shape.iter().map(|p| ShapePoint { score: p.score * (MAX_NODE_SCORE / 10), ..*p }).collect();
    broken_linear(&scaled, utilization)
}

/// The strategy's score over several resources.
pub fn strategy_score(strategy: &ScoringStrategy, resources: impl Iterator<Item = (i64, Amounts)>) -> i64 {
    let (mut sum, mut weights) = (0i64, 0i64);
    for (weight, amounts) in resources.filter(|(_, a)| a.allocatable != 0) {
        let score = match strategy {
            ScoringStrategy::LeastAllocated => least_allocated(amounts),
            ScoringStrategy::MostAllocated => most_allocated(amounts),
            ScoringStrategy::RequestedToCapacityRatio(shape) => {
                let score = ratio(shape, amounts);
                if score <= 0 {
                    continue; // neither counts nor weighs
                }
                score
            }
        };
        sum = sum.wrapping_add(score.wrapping_mul(weight));
        weights += weight;
    }
    if weights == 0 {
        return 0;
    }
    match strategy {
        ScoringStrategy::RequestedToCapacityRatio(_) => (sum as f64 / weights as f64).round() as i64,
        _ => sum.wrapping_div(weights),
    }
}

/// What of the request does not fit: `fitsRequest`.
fn insufficient(
    spec: &PodSpec,
    scalars: &[(Sym, i64)],
    node: NodeView<'_>,
    mut found: impl FnMut(Reason, bool),
) {
    let (request, allocatable, requested) = (&spec.requests, &node.node.allocatable, &node.info.requested);
    if node.info.pods.len() as i64 + 1 > node.node.allocatable_pods {
        found(Reason::Text(TOO_MANY_PODS), false);
    }
    let mut check = |resource: Sym, want: i64, have: i64, used: i64| {
        if want > 0 && want > have.wrapping_sub(used) {
            found(Reason::Insufficient(resource), want > have);
        }
    };
    check(sym::CPU, request.cpu_milli, allocatable.cpu_milli, requested.cpu_milli);
    check(sym::MEMORY, request.memory_bytes, allocatable.memory_bytes, requested.memory_bytes);
    check(
        sym::EPHEMERAL_STORAGE,
        request.ephemeral_bytes,
        allocatable.ephemeral_bytes,
        requested.ephemeral_bytes,
    );
    for &(resource, want) in scalars {
        check(resource, want, allocatable.scalar(resource), requested.scalar(resource));
    }
}

impl Plugin for NodeResourcesFit {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for NodeResourcesFit {
    fn pre_filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState) -> PreFilter {
        let requests: &Resources = &view.cluster.spec_of(pod).requests;
        let state = &mut state.node_resources_fit;
        state.scalars.clear();
        for &(resource, amount) in requests.scalars.iter().filter(|(_, amount)| *amount > 0) {
            if !self.ignores(resource, &view.cluster.names) {
                state.scalars.push((resource, amount));
            }
        }
        PreFilter::Continue
    }
}

impl FilterPlugin for NodeResourcesFit {
    fn filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let mut reasons: Option<Reasons> = None;
        let mut code = Code::Unschedulable;
        insufficient(
            view.cluster.spec_of(pod),
            &state.node_resources_fit.scalars,
            node,
            |reason, unresolvable| {
                if unresolvable {
                    code = Code::UnschedulableAndUnresolvable;
                }
                reasons = Some(match reasons.take() {
                    None => Reasons::One(reason),
                    Some(Reasons::One(first)) => Reasons::Many(vec![first, reason]),
                    Some(Reasons::Many(mut all)) => {
                        all.push(reason);
                        Reasons::Many(all)
                    }
                });
            },
        );
        match reasons {
            None => Ok(()),
            Some(reasons) => Err(Rejection { plugin: NAME, code, reasons }),
        }
    }
}

impl ScorePlugin for NodeResourcesFit {
    fn pre_score(&self, view: View<'_>, pod: PodId, state: &mut CycleState, _nodes: &[NodeId]) -> PreScore {
        let spec = view.cluster.spec_of(pod);
        let scoring = &mut state.node_resources_fit.scoring;
        scoring.clear();
        scoring.extend(self.args.resources.iter().map(|r| spec.scoring_requests.get(r.name)));
        PreScore::Continue
    }
    fn score(&self, view: View<'_>, _pod: PodId, state: &CycleState, node: NodeId) -> i64 {
        let node = view.cluster.node(node);
        let requests = self.args.resources.iter().zip(&state.node_resources_fit.scoring);
        strategy_score(
            &self.args.strategy,
            requests.map(|(r, request)| (r.weight, amounts(r.name, *request, node, true))),
        )
    }
}

#[cfg(test)]
#[path = "node_resources_fit_tests.rs"]
mod tests;
