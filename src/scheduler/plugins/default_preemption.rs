//! DefaultPreemption: finds a node where removing less important pods makes room.
//!
//! Every node whose rejection might be cured is tried in a dry run: all pods of lower priority are taken away; if the pod fits
//! then, they are put back one by one, the most important first, and those that do not fit any more are the victims. Of the
//! candidates the one with the least harm wins.

use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId};
use crate::model::node::NodeInfo;
use crate::model::pod::StartOrder;
use crate::model::spec::PodSpec;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;
use crate::scheduler::go_sort::sort_slice;
use crate::scheduler::profile::Profile;
use std::cmp::Reverse;

/// Kubernetes' name.
pub const NAME: PluginName = "DefaultPreemption";

/// `DefaultPreemptionArgs`: how many candidates are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultPreemptionArgs {
    /// In percent of the nodes to try.
    pub min_candidate_nodes_percentage: u32,
    /// At least so many.
    pub min_candidate_nodes_absolute: u32,
}

impl Default for DefaultPreemptionArgs {
    fn default() -> Self {
        DefaultPreemptionArgs { min_candidate_nodes_percentage: 10, min_candidate_nodes_absolute: 100 }
    }
}

/// The plugin.
#[derive(Clone, Debug, Default)]
pub struct DefaultPreemption {
    args: DefaultPreemptionArgs,
}

/// A node that preemption could free.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    node: NodeId,
    /// The most important first.
    victims: Vec<PodId>,
    violations: u32,
}

/// Why a node is no candidate.
enum NoCandidate {
    Rejected(Rejection),
    /// The pod would fit without any victim: the filters contradict each other.
    NoVictims,
}

const NEVER: &str = "preemption: not eligible due to preemptionPolicy=Never.";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// Does a pod of lower priority run on the node? Asked before anything is copied for the dry run.
fn has_victims(cluster: &Cluster, pod: PodId, node: NodeId) -> bool {
    let priority = cluster.spec_of(pod).priority;
    cluster.node(node).info.pods.iter().any(|other| cluster.spec_of(*other).priority < priority)
}

const NOT_STARTED: StartOrder = StartOrder::NOT_STARTED;

/// `MoreImportantPod`: higher priority first, then the one that started earlier. Of two pods without a start time the one that is
/// asked first started earlier.
fn more_important(cluster: &Cluster, a: PodId, b: PodId) -> bool {
    let (a, b) = (cluster.pod(a), cluster.pod(b));
    let (first, second) = (cluster.spec(a.spec).priority, cluster.spec(b.spec).priority);
    if first != second {
        return first > second;
    }
    a.start_order < b.start_order || (a.start_order == NOT_STARTED && b.start_order == NOT_STARTED)
}

/// Splits pods into those whose eviction violates a PodDisruptionBudget and the others, in order.
fn split_by_budget(cluster: &Cluster, pods: &[PodId]) -> (Vec<PodId>, Vec<PodId>) {
    let mut allowed: Vec<i32> = cluster.budgets().iter().map(|b| b.disruptions_allowed).collect();
    pods.iter().partition(|pod| {
        let spec = cluster.spec_of(**pod);
        let labels = cluster.label_set(spec.labels);
        let mut violated = false;
        if labels.iter().next().is_none() {
            return false;
        }
        for (budget, left) in cluster.budgets().iter().zip(&mut allowed) {
            let selects = budget.namespace == spec.namespace
                && !budget.selector.is_everything()
                && budget.selector.matches(labels);
            if selects && !budget.disrupted_pods.contains(&cluster.pod(**pod).name) {
                *left -= 1;
                violated |= *left < 0;
            }
        }
        violated
    })
}

/// The dry run on one node.
struct DryRun<'a> {
    profile: &'a Profile,
    view: View<'a>,
    pod: PodId,
    node: NodeId,
    info: NodeInfo,
    state: CycleState,
}

impl DryRun<'_> {
    fn node(&self) -> NodeView<'_> {
        NodeView { id: self.node, node: self.view.cluster.node(self.node), info: &self.info }
    }
    fn remove(&mut self, pod: PodId) {
        self.info.remove_pod(pod, self.view.cluster.spec_of(pod));
        let node = NodeView { id: self.node, node: self.view.cluster.node(self.node), info: &self.info };
        self.profile.remove_pod(self.view, self.pod, pod, node, &mut self.state);
    }
    fn add(&mut self, pod: PodId) {
        self.info.add_pod(pod, self.view.cluster.spec_of(pod));
        let node = NodeView { id: self.node, node: self.view.cluster.node(self.node), info: &self.info };
        self.profile.add_pod(self.view, self.pod, pod, node, &mut self.state);
    }
    fn fits(&mut self) -> Verdict {
        let node = NodeView { id: self.node, node: self.view.cluster.node(self.node), info: &self.info };
        self.profile.filter_with_nominated(self.view, self.pod, &mut self.state, node)
    }

    /// `SelectVictimsOnNode`.
    fn candidate(&mut self) -> Result<Candidate, NoCandidate> {
        let cluster = self.view.cluster;
        let priority = cluster.spec_of(self.pod).priority;
        let lower = |pod: &PodId| cluster.spec_of(*pod).priority < priority;
        let mut potential: Vec<PodId> = self.node().info.pods.iter().copied().filter(lower).collect();
        for &pod in &potential {
            self.remove(pod);
        }
        self.fits().map_err(NoCandidate::Rejected)?;
        sort_slice(&mut potential, |a, b| more_important(cluster, *a, *b));
        let (violating, others) = split_by_budget(cluster, &potential);
        let mut victims = Vec::new();
        for &pod in &violating {
            self.reprieve(pod, &mut victims);
        }
        let violations = victims.len() as u32;
        for &pod in &others {
            self.reprieve(pod, &mut victims);
        }
        if !violating.is_empty() && !others.is_empty() {
            sort_slice(&mut victims, |a, b| more_important(cluster, *a, *b));
        }
        if victims.is_empty() {
            return Err(NoCandidate::NoVictims);
        }
        Ok(Candidate { node: self.node, victims, violations })
    }
    fn reprieve(&mut self, pod: PodId, victims: &mut Vec<PodId>) {
        self.add(pod);
        if self.fits().is_err() {
            self.remove(pod);
            victims.push(pod);
        }
    }
}

impl DefaultPreemption {
    /// With arguments.
    pub fn new(args: DefaultPreemptionArgs) -> Self {
        DefaultPreemption { args }
    }

    fn wanted_candidates(&self, nodes: usize) -> usize {
        let share = nodes as u64 * u64::from(self.args.min_candidate_nodes_percentage) / 100;
        (share as usize).max(self.args.min_candidate_nodes_absolute as usize).min(nodes)
    }
}

/// `PodEligibleToPreemptOthers`; the reason if it may not.
fn not_eligible(cluster: &Cluster, pod: PodId, rejections: Rejections<'_>) -> Option<&'static str> {
    let spec = cluster.spec_of(pod);
    if spec.never_preempts {
        return Some(NEVER);
    }
    let nominated = cluster.nomination(pod).filter(|node| cluster.node(*node).exists)?;
    if rejections.code(nominated) == Code::UnschedulableAndUnresolvable {
        return None;
    }
    let waits_for = |other: &PodId| {
        let victim = cluster.pod(*other);
        victim.deletion.is_some() && victim.preempted && cluster.spec(victim.spec).priority < spec.priority
    };
    cluster
        .node(nominated)
        .info
        .pods
        .iter()
        .any(waits_for)
        .then_some("preemption: not eligible due to a terminating pod on the nominated node.")
}

/// Nodes whose rejection another pod's removal might cure, by name.
fn potential_nodes(cluster: &Cluster, rejections: Rejections<'_>) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = if rejections.others == Code::Unschedulable {
        let exists = |id: &NodeId| cluster.node(*id).exists;
        let curable = |id: &NodeId| rejections.code(*id) == Code::Unschedulable;
        cluster.nodes().ids().filter(exists).filter(curable).collect()
    } else {
        let curable = rejections.nodes.iter().filter(|(_, code)| *code == Code::Unschedulable);
        curable.map(|(node, _)| *node).collect()
    };
    nodes.sort_by(|a, b| cluster.names.compare(cluster.node(*a).name, cluster.node(*b).name));
    nodes
}

/// `pickOneNodeForPreemption`: the fewest violated budgets, the lowest highest priority, the lowest sum of priorities, the fewest
/// victims, the latest start of the most important ones; what is still equal is a tie.
fn pick(view: View<'_>, pod: PodId, candidates: &[Candidate]) -> Option<usize> {
    let cluster = view.cluster;
    let harm = |(i, c): (usize, &Candidate)| {
        let priorities = || c.victims.iter().map(|v| cluster.spec_of(*v).priority);
        let first = priorities().next().unwrap_or(i32::MIN);
        let sum: i64 = priorities().map(|p| i64::from(p) + i64::from(i32::MAX) + 1).sum();
        let highest = priorities().max().unwrap_or(i32::MIN);
        let most_important = c.victims.iter().filter(|v| cluster.spec_of(**v).priority == highest);
        let earliest = most_important.map(|v| cluster.pod(*v).start_order).min();
        // Started now: the later a node is asked, the later its pods started.
        let asked = if earliest == Some(NOT_STARTED) { i } else { 0 };
        (c.violations, first, sum, c.victims.len(), Reverse((earliest, asked)))
    };
    let least = candidates.iter().enumerate().map(harm).min()?;
    let equal: Vec<usize> = (0..candidates.len()).filter(|i| harm((*i, &candidates[*i])) == least).collect();
    equal.get(view.choose("preemption-node", pod, 0, equal.len())).copied()
}

impl Plugin for DefaultPreemption {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PostFilterPlugin for DefaultPreemption {
    fn post_filter(
        &self,
        profile: &Profile,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        rejections: Rejections<'_>,
    ) -> PostFilter {
        let cluster = view.cluster;
        if let Some(text) = not_eligible(cluster, pod, rejections) {
            return PostFilter::Unschedulable {
                message: PostFilterMessage::Text(text),
                clear_nomination: false,
            };
        }
        if cluster.lowest_placed_priority().is_none_or(|lowest| lowest >= cluster.spec_of(pod).priority) {
            return no_victims_anywhere(cluster, rejections);
        }
        let potential = potential_nodes(cluster, rejections);
        let wanted = self.wanted_candidates(potential.len());
        let offset = view.choose("preemption-offset", pod, 0, potential.len());
        let mut error = FitError { nodes: cluster.node_count() as u32, ..FitError::default() };
        let (mut without_violation, mut candidates, mut contradictions) =
            (0, Vec::<Candidate>::new(), Vec::new());
        for i in 0..potential.len() {
            let node = potential[(offset + i) % potential.len()];
            if !has_victims(cluster, pod, node) {
                error.count_nodes(Reason::Text(NO_VICTIMS), 1);
                continue;
            }
            let info = cluster.node(node).info.clone();
            let mut run = DryRun { profile, view, pod, node, info, state: state.fork() };
            match run.candidate() {
                Ok(candidate) => {
                    without_violation += usize::from(candidate.violations == 0);
                    // There is room for so many that violate a budget.
                    if candidate.violations == 0 || candidates.len() - without_violation < wanted {
                        candidates.push(candidate);
                    }
                    if without_violation > 0 && candidates.len() >= wanted {
                        break;
                    }
                }
                Err(NoCandidate::Rejected(rejection)) => error.count(&rejection.reasons),
                Err(NoCandidate::NoVictims) => contradictions.push(node),
            }
        }
        candidates.sort_by(|a, b| {
            let name = |c: &Candidate| cluster.node(c.node).name;
            cluster.names.compare(name(a), name(b))
        });
        let Some(best) = pick(view, pod, &candidates) else {
            return no_candidates(cluster, error, potential.len(), &contradictions);
        };
        let Candidate { node, victims, .. } = candidates[best].clone();
        let candidates = candidates.into_iter().map(|c| (c.node, c.victims, c.violations)).collect();
        PostFilter::Nominate(Nomination { node, victims, candidates })
    }
}

/// The usual case, without a look at any node: nobody is less important than the pod.
fn no_victims_anywhere(cluster: &Cluster, rejections: Rejections<'_>) -> PostFilter {
    let tried = if rejections.others == Code::Unschedulable {
        potential_nodes(cluster, rejections).len()
    } else {
        rejections.nodes.iter().filter(|(_, code)| *code == Code::Unschedulable).count()
    };
    let message = PostFilterMessage::Preemption(no_victims(cluster.node_count() as u32, tried as u32));
    PostFilter::Unschedulable { message, clear_nomination: true }
}

/// What PostFilter says about a pod that is nominated nowhere if nobody who runs is less important: of the nodes so many might have
/// been cured.
pub fn nobody_to_preempt(spec: &PodSpec, nodes: u32, curable: u32) -> PostFilterMessage {
    if spec.never_preempts {
        return PostFilterMessage::Text(NEVER);
    }
    PostFilterMessage::Preemption(no_victims(nodes, curable))
}

fn no_victims(nodes: u32, tried: u32) -> FitError {
    let mut error = FitError { nodes, ..FitError::default() };
    if tried > 0 {
        error.count_nodes(Reason::Text(NO_VICTIMS), tried);
    }
    note_untried(&mut error, tried);
    error
}

fn note_untried(error: &mut FitError, tried: u32) {
    let untried = error.nodes.saturating_sub(tried);
    if untried > 0 {
        error.count_nodes(Reason::Text("Preemption is not helpful for scheduling"), untried);
    }
}

/// What is said when no node can be freed.
fn no_candidates(
    cluster: &Cluster,
    mut error: FitError,
    tried: usize,
    contradictions: &[NodeId],
) -> PostFilter {
    if !contradictions.is_empty() {
        let words = |node: &NodeId| {
            let name = cluster.names.text(cluster.node(*node).name);
            format!("expected at least one victim pod on node {name:?}")
        };
        let all: Vec<String> = contradictions.iter().map(words).collect();
        let text = if let [one] = &all[..] { one.clone() } else { format!("[{}]", all.join(", ")) };
        return PostFilter::Error(PostFilterMessage::Owned(format!("preemption: {text}")));
    }
    note_untried(&mut error, tried as u32);
    PostFilter::Unschedulable { message: PostFilterMessage::Preemption(error), clear_nomination: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `calculateNumCandidates`: a share of the nodes, at least the absolute number, at most all of them.
    #[test]
    fn how_many_candidates_are_looked_for() {
        let usual = DefaultPreemption::new(DefaultPreemptionArgs::default());
        for (nodes, want) in [(1, 1), (99, 99), (100, 100), (101, 100), (1000, 100), (1010, 101), (5000, 500)]
        {
            assert_eq!(usual.wanted_candidates(nodes), want, "of {nodes}");
        }
        let none =
            DefaultPreemptionArgs { min_candidate_nodes_percentage: 0, min_candidate_nodes_absolute: 7 };
        assert_eq!(DefaultPreemption::new(none).wanted_candidates(5000), 7);
        let all =
            DefaultPreemptionArgs { min_candidate_nodes_percentage: 100, min_candidate_nodes_absolute: 0 };
        assert_eq!(DefaultPreemption::new(all).wanted_candidates(321), 321);
    }
}
