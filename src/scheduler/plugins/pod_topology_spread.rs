//! PodTopologySpread: keeps the pods that a constraint selects evenly spread over the domains of a node label.

use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId};
use crate::model::labels::{LabelRequirement, LabelSelector, LabelSet};
use crate::model::names::{Names, Sym, sym};
use crate::model::node::{Node, NodeInfo};
use crate::model::pod::PodOwner;
use crate::model::spec::{PodSpec, SpreadConstraint, WhenUnsatisfiable};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;
use crate::scheduler::plugins::taint_toleration::has_untolerated_taint;
use rustc_hash::FxHashMap;

/// Kubernetes' name.
pub const NAME: PluginName = "PodTopologySpread";

/// A node without the label of a required constraint.
pub(in crate::scheduler) const MISSING_LABEL: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";
/// A node where one more pod would break a required constraint.
pub(in crate::scheduler) const SKEWED: &str = "node(s) didn't match pod topology spread constraints";

/// `PodTopologySpreadArgs`: constraints of pods that have none of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DefaultConstraints {
    /// Hostname with maxSkew 3 and zone with maxSkew 5, both ScheduleAnyway.
    #[default]
    System,
    /// These; their selectors are replaced by what the pod's services and owner select.
    List(Vec<SpreadConstraint>),
}

/// The plugin.
#[derive(Clone, Debug)]
pub struct PodTopologySpread {
    system_defaulted: bool,
    defaults: Vec<SpreadConstraint>,
}

impl Default for PodTopologySpread {
    fn default() -> Self {
        PodTopologySpread::new(DefaultConstraints::System)
    }
}

/// Matching pods per domain of one constraint.
#[derive(Clone, Debug, Default)]
struct Domains {
    index: FxHashMap<Sym, u32>,
    counts: Vec<(Sym, i64)>,
}

impl Domains {
    fn clear(&mut self) {
        self.index.clear();
        self.counts.clear();
    }
    fn slot(&mut self, value: Sym) -> &mut i64 {
        let next = self.counts.len() as u32;
        let at = *self.index.entry(value).or_insert(next) as usize;
        if at == self.counts.len() {
            self.counts.push((value, 0));
        }
        &mut self.counts[at].1
    }
    fn get(&self, value: Sym) -> Option<i64> {
        self.index.get(&value).map(|at| self.counts[*at as usize].1)
    }
    fn get_mut(&mut self, value: Sym) -> Option<&mut i64> {
        self.index.get(&value).map(|at| &mut self.counts[*at as usize].1)
    }
}

/// The domain with the fewest pods and another one: enough to know the minimum while pods come and go in one domain.
#[derive(Clone, Copy, Debug)]
struct CriticalPaths([(Option<Sym>, i64); 2]);

impl CriticalPaths {
    const EMPTY: CriticalPaths = CriticalPaths([(None, i32::MAX as i64); 2]);

    fn update(&mut self, value: Sym, count: i64) {
        let paths = &mut self.0;
        match paths.iter().position(|(v, _)| *v == Some(value)) {
            Some(at) => {
                paths[at].1 = count;
                if paths[0].1 > paths[1].1 {
                    paths.swap(0, 1);
                }
            }
            None if count < paths[0].1 => *paths = [(Some(value), count), paths[0]],
            None if count < paths[1].1 => paths[1] = (Some(value), count),
            None => {}
        }
    }
    fn min(&self) -> i64 {
        self.0[0].1
    }
}

/// A constraint of the pod at hand: its own, or one of the defaults with the selector deduced for the pod.
#[derive(Clone, Copy, Debug, Default)]
struct Which {
    index: usize,
    /// Does the pod itself match the selector?
    self_match: bool,
}

/// What is known for the pod at hand.
#[derive(Clone, Debug, Default)]
pub struct PodTopologySpreadState {
    /// The selector deduced from services and owner, if the defaults apply.
    default_selector: Option<LabelSelector>,
    hard: Vec<Which>,
    hard_domains: Vec<Domains>,
    hard_paths: Vec<CriticalPaths>,
    soft: Vec<Which>,
    soft_domains: Vec<Domains>,
    soft_weights: Vec<f64>,
    /// Per node to be scored: it lacks a label and is left out.
    ignored: Vec<bool>,
}

impl PodTopologySpreadState {
    /// A copy for a dry run: what scoring needs is left out.
    pub fn fork(&self) -> PodTopologySpreadState {
        PodTopologySpreadState {
            default_selector: self.default_selector.clone(),
            hard: self.hard.clone(),
            hard_domains: self.hard_domains[..self.hard.len()].to_vec(),
            hard_paths: self.hard_paths.clone(),
            ..PodTopologySpreadState::default()
        }
    }
}

/// The constraints in force, with their selectors.
#[derive(Clone, Copy)]
struct Constraints<'a> {
    list: &'a [SpreadConstraint],
    selector: Option<&'a LabelSelector>,
}

impl<'a> Constraints<'a> {
    fn get(&self, which: Which) -> (&'a SpreadConstraint, &'a LabelSelector) {
        let constraint = &self.list[which.index];
        (constraint, self.selector.unwrap_or(&constraint.selector))
    }
    fn keys_present(&self, of: &[Which], labels: &LabelSet) -> bool {
        of.iter().all(|which| labels.get(self.list[which.index].topology_key).is_some())
    }
}

/// Does the node count for the constraint (`nodeAffinityPolicy`, `nodeTaintsPolicy`)?
fn node_counts(c: &SpreadConstraint, pod: &PodSpec, node: &Node, labels: &LabelSet, names: &Names) -> bool {
    (!c.honor_node_affinity || pod.allows_node(node.name, labels, names))
        && (!c.honor_node_taints || !has_untolerated_taint(&node.taints, &pod.tolerations))
}

/// Pods of the namespace on a node that the selector matches. Terminating ones do not count; neither does an empty selector.
fn count_matching(cluster: &Cluster, info: &NodeInfo, selector: &LabelSelector, namespace: Sym) -> i64 {
    if selector.is_everything() {
        return 0;
    }
    let matches = |pod: &&PodId| {
        let row = cluster.pod(**pod);
        let spec = cluster.spec(row.spec);
        row.deletion.is_none()
            && spec.namespace == namespace
            && selector.matches(cluster.label_set(spec.labels))
    };
    info.pods.iter().filter(matches).count() as i64
}

/// `helper.DefaultSelector`: what the services that select the pod and its controller select, all together. `None` if nothing.
pub(in crate::scheduler) fn default_selector(cluster: &Cluster, pod: PodId) -> Option<LabelSelector> {
    let (row, spec) = (cluster.pod(pod), cluster.spec_of(pod));
    let labels = cluster.label_set(spec.labels);
    let mut all: Vec<LabelRequirement> = Vec::new();
    let mut add = |selector: &LabelSelector| {
        if let LabelSelector::Requirements(requirements) = selector {
            all.extend(requirements.iter().filter(|r| !all.contains(r)).cloned().collect::<Vec<_>>());
        }
    };
    for service in cluster.services().iter().filter(|s| s.namespace == spec.namespace) {
        if service.selector.matches(labels) {
            add(&service.selector);
        }
    }
    match row.owner {
        PodOwner::StatefulSet(id) if cluster.stateful_sets()[id].exists => {
            add(&cluster.stateful_sets()[id].selector);
        }
        PodOwner::ReplicaSet(id) if cluster.replica_sets()[id].exists => {
            add(&cluster.replica_sets()[id].selector);
        }
        _ => {}
    }
    (!all.is_empty()).then(|| LabelSelector::Requirements(all.into()))
}

impl PodTopologySpread {
    /// With arguments.
    pub fn new(defaults: DefaultConstraints) -> Self {
        let system = |topology_key, max_skew| SpreadConstraint {
            max_skew,
            topology_key,
            when_unsatisfiable: WhenUnsatisfiable::ScheduleAnyway,
            selector: LabelSelector::Nothing,
            min_domains: 1,
            honor_node_affinity: true,
            honor_node_taints: false,
        };
        match defaults {
            DefaultConstraints::System => PodTopologySpread {
                system_defaulted: true,
                defaults: vec![system(sym::HOSTNAME, 3), system(sym::ZONE, 5)],
            },
            DefaultConstraints::List(defaults) => PodTopologySpread { system_defaulted: false, defaults },
        }
    }

    /// The constraints of pods that have none of their own.
    pub(in crate::scheduler) fn defaults(&self) -> &[SpreadConstraint] {
        &self.defaults
    }

    fn constraints<'a>(&'a self, spec: &'a PodSpec, selector: &'a Option<LabelSelector>) -> Constraints<'a> {
        if spec.spread.is_empty() {
            Constraints { list: &self.defaults, selector: selector.as_ref() }
        } else {
            Constraints { list: &spec.spread, selector: None }
        }
    }

    /// The pod's constraints of one kind, into `found`; the default selector too if it is needed.
    fn select(
        &self,
        cluster: &Cluster,
        pod: PodId,
        kind: WhenUnsatisfiable,
        selector: &mut Option<LabelSelector>,
        found: &mut Vec<Which>,
    ) {
        found.clear();
        *selector = None;
        let spec = cluster.spec_of(pod);
        let own = !spec.spread.is_empty();
        let list = if own { &spec.spread } else { &self.defaults };
        let of_kind = list.iter().enumerate().filter(|(_, c)| c.when_unsatisfiable == kind);
        found.extend(of_kind.map(|(index, _)| Which { index, self_match: false }));
        if !own && !found.is_empty() {
            *selector = default_selector(cluster, pod);
            if selector.is_none() {
                found.clear();
            }
        }
        let constraints = self.constraints(spec, selector);
        let labels = cluster.label_set(spec.labels);
        for which in found {
            which.self_match = constraints.get(*which).1.matches(labels);
        }
    }

    fn update(
        &self,
        cluster: &Cluster,
        pod: PodId,
        other: PodId,
        node: &Node,
        state: &mut CycleState,
        delta: i64,
    ) {
        let state = &mut state.pod_topology_spread;
        let (spec, other) = (cluster.spec_of(pod), cluster.spec_of(other));
        let labels = cluster.label_set(node.labels);
        let constraints = self.constraints(spec, &state.default_selector);
        if other.namespace != spec.namespace || !constraints.keys_present(&state.hard, labels) {
            return;
        }
        for (i, &which) in state.hard.iter().enumerate() {
            let (constraint, selector) = constraints.get(which);
            let Some(value) = labels.get(constraint.topology_key) else { continue };
            if selector.matches(cluster.label_set(other.labels))
                && node_counts(constraint, spec, node, labels, &cluster.names)
            {
                let count = state.hard_domains[i].slot(value);
                *count += delta;
                let count = *count;
                state.hard_paths[i].update(value, count);
            }
        }
    }
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for PodTopologySpread {
    fn pre_filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState) -> PreFilter {
        let cluster = view.cluster;
        let state = &mut state.pod_topology_spread;
        let kind = WhenUnsatisfiable::DoNotSchedule;
        self.select(cluster, pod, kind, &mut state.default_selector, &mut state.hard);
        if state.hard.is_empty() {
            return PreFilter::Skip;
        }
        let spec = cluster.spec_of(pod);
        let constraints = self.constraints(spec, &state.default_selector);
        if state.hard_domains.len() < state.hard.len() {
            state.hard_domains.resize_with(state.hard.len(), Domains::default);
        }
        state.hard_domains.iter_mut().for_each(Domains::clear);
        for (_, node) in cluster.nodes().iter().filter(|(_, node)| node.exists) {
            let labels = cluster.label_set(node.labels);
            if !constraints.keys_present(&state.hard, labels) {
                continue;
            }
            for (i, &which) in state.hard.iter().enumerate() {
                let (constraint, selector) = constraints.get(which);
                let Some(value) = labels.get(constraint.topology_key) else { continue };
                if node_counts(constraint, spec, node, labels, &cluster.names) {
                    let count = count_matching(cluster, &node.info, selector, spec.namespace);
                    *state.hard_domains[i].slot(value) += count;
                }
            }
        }
        state.hard_paths.clear();
        for domains in &state.hard_domains[..state.hard.len()] {
            let mut paths = CriticalPaths::EMPTY;
            domains.counts.iter().for_each(|(value, count)| paths.update(*value, *count));
            state.hard_paths.push(paths);
        }
        PreFilter::Continue
    }
    fn add_pod(&self, view: View<'_>, pod: PodId, added: PodId, node: NodeView<'_>, state: &mut CycleState) {
        self.update(view.cluster, pod, added, node.node, state, 1);
    }
    fn remove_pod(
        &self,
        view: View<'_>,
        pod: PodId,
        removed: PodId,
        node: NodeView<'_>,
        state: &mut CycleState,
    ) {
        self.update(view.cluster, pod, removed, node.node, state, -1);
    }
}

impl FilterPlugin for PodTopologySpread {
    fn filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let state = &state.pod_topology_spread;
        let labels = view.cluster.label_set(node.node.labels);
        let constraints = self.constraints(view.cluster.spec_of(pod), &state.default_selector);
        for (i, &which) in state.hard.iter().enumerate() {
            let (constraint, _) = constraints.get(which);
            let Some(value) = labels.get(constraint.topology_key) else {
                return Err(Rejection::text(NAME, Code::UnschedulableAndUnresolvable, MISSING_LABEL));
            };
            let domains = &state.hard_domains[i];
            // Fewer domains than wanted: the fewest pods anywhere count as none.
            let few = (domains.counts.len() as i64) < i64::from(constraint.min_domains);
            let fewest = if few { 0 } else { state.hard_paths[i].min() };
            let skew = domains.get(value).unwrap_or(0) + i64::from(which.self_match) - fewest;
            if skew > i64::from(constraint.max_skew) {
                return Err(Rejection::text(NAME, Code::Unschedulable, SKEWED));
            }
        }
        Ok(())
    }
}

impl ScorePlugin for PodTopologySpread {
    fn pre_score(&self, view: View<'_>, pod: PodId, state: &mut CycleState, nodes: &[NodeId]) -> PreScore {
        let cluster = view.cluster;
        let state = &mut state.pod_topology_spread;
        let kind = WhenUnsatisfiable::ScheduleAnyway;
        self.select(cluster, pod, kind, &mut state.default_selector, &mut state.soft);
        if state.soft.is_empty() {
            return PreScore::Skip;
        }
        let spec = cluster.spec_of(pod);
        let constraints = self.constraints(spec, &state.default_selector);
        // System defaults let nodes without a zone label take part.
        let require_all = !spec.spread.is_empty() || !self.system_defaulted;
        if state.soft_domains.len() < state.soft.len() {
            state.soft_domains.resize_with(state.soft.len(), Domains::default);
        }
        state.soft_domains.iter_mut().for_each(Domains::clear);
        state.ignored.clear();
        for &node in nodes {
            let labels = cluster.node_labels(node);
            let ignored = require_all && !constraints.keys_present(&state.soft, labels);
            state.ignored.push(ignored);
            if ignored {
                continue;
            }
            for (i, &which) in state.soft.iter().enumerate() {
                let key = constraints.get(which).0.topology_key;
                if key != sym::HOSTNAME {
                    state.soft_domains[i].slot(labels.get(key).unwrap_or(sym::EMPTY));
                }
            }
        }
        let scored = state.ignored.iter().filter(|ignored| !**ignored).count();
        state.soft_weights.clear();
        for (i, &which) in state.soft.iter().enumerate() {
            let by_host = constraints.get(which).0.topology_key == sym::HOSTNAME;
            let size = if by_host { scored } else { state.soft_domains[i].counts.len() };
            state.soft_weights.push(libm::log((size + 2) as f64));
        }
        count_soft(cluster, spec, constraints, require_all, &state.soft, &mut state.soft_domains);
        PreScore::Continue
    }
    fn score(&self, view: View<'_>, pod: PodId, state: &CycleState, node: NodeId) -> i64 {
        let state = &state.pod_topology_spread;
        let (cluster, spec) = (view.cluster, view.cluster.spec_of(pod));
        let labels = cluster.node_labels(node);
        let constraints = self.constraints(spec, &state.default_selector);
        let require_all = !spec.spread.is_empty() || !self.system_defaulted;
        if require_all && !constraints.keys_present(&state.soft, labels) {
            return 0;
        }
        let mut score = 0.0;
        for (i, &which) in state.soft.iter().enumerate() {
            let (constraint, selector) = constraints.get(which);
            let Some(value) = labels.get(constraint.topology_key) else { continue };
            let count = if constraint.topology_key == sym::HOSTNAME {
                count_matching(cluster, &cluster.node(node).info, selector, spec.namespace)
            } else {
                state.soft_domains[i].get(value).unwrap_or(0)
            };
            score += count as f64 * state.soft_weights[i] + f64::from(constraint.max_skew - 1);
        }
        score.round() as i64
    }
    fn normalize(&self, _view: View<'_>, _pod: PodId, state: &CycleState, scores: &mut [i64]) {
        let ignored = &state.pod_topology_spread.ignored;
        let (mut min, mut max) = (i64::MAX, 0);
        for (score, _) in scores.iter().zip(ignored).filter(|(_, ignored)| !**ignored) {
            min = min.min(*score);
            max = max.max(*score);
        }
        for (score, ignored) in scores.iter_mut().zip(ignored) {
            *score = match (*ignored, max) {
                (true, _) => 0,
                (false, 0) => MAX_NODE_SCORE,
                (false, max) => MAX_NODE_SCORE * (max + min - *score) / max,
            };
        }
    }
}

/// Counts matching pods on all nodes of the domains that have a feasible node. Hosts are counted when they are scored.
fn count_soft(
    cluster: &Cluster,
    spec: &PodSpec,
    constraints: Constraints<'_>,
    require_all: bool,
    soft: &[Which],
    domains: &mut [Domains],
) {
    for (_, node) in cluster.nodes().iter().filter(|(_, node)| node.exists) {
        let labels = cluster.label_set(node.labels);
        if require_all && !constraints.keys_present(soft, labels) {
            continue;
        }
        for (i, &which) in soft.iter().enumerate() {
            let (constraint, selector) = constraints.get(which);
            let value = labels.get(constraint.topology_key).unwrap_or(sym::EMPTY);
            let Some(count) = domains[i].get_mut(value) else { continue };
            if node_counts(constraint, spec, node, labels, &cluster.names) {
                *count += count_matching(cluster, &node.info, selector, spec.namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::sym;

    /// The two domains with fewest pods, as far as they are known: of those that were pushed out nothing is remembered.
    #[test]
    fn critical_paths_keep_the_two_least() {
        let [a, b, c] = [sym::CPU, sym::MEMORY, sym::PODS];
        let mut paths = CriticalPaths::EMPTY;
        for (step, (domain, count, min)) in [
            (a, 3, 3),
            (b, 1, 1),
            (c, 2, 1),
            (b, 5, 2),
            (a, 4, 2),
            (c, 9, 4),
            (b, 4, 4),
            (b, 3, 3),
            (a, 1, 1),
        ]
        .into_iter()
        .enumerate()
        {
            paths.update(domain, count);
            assert_eq!(paths.min(), min, "step {step}");
        }
    }
}
