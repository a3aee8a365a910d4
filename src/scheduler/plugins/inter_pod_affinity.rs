//! InterPodAffinity: pod affinity and anti-affinity, required and preferred, of the incoming pod and of those that run.

use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId};
use crate::model::labels::{LabelSelector, LabelSet};
use crate::model::names::Sym;
use crate::model::spec::{Affinity, PodAffinityTerm, PodSpec};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;
use rustc_hash::FxHashMap;

/// Kubernetes' name.
pub const NAME: PluginName = "InterPodAffinity";

/// A node where a required affinity term of the pod finds nobody.
pub(in crate::scheduler) const AFFINITY: &str = "node(s) didn't match pod affinity rules";
/// A node in whose domain a required anti-affinity term of the pod finds somebody.
pub(in crate::scheduler) const ANTI_AFFINITY: &str = "node(s) didn't match pod anti-affinity rules";
/// A node in whose domain somebody runs whose required anti-affinity matches the pod.
pub(in crate::scheduler) const EXISTING: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// `InterPodAffinityArgs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterPodAffinityArgs {
    /// Score weight of the required affinity of running pods, 0..=100.
    pub hard_pod_affinity_weight: i32,
    /// Preferences of running pods count only if the incoming pod has preferences itself.
    pub ignore_preferred_terms_of_existing_pods: bool,
}

impl Default for InterPodAffinityArgs {
    fn default() -> Self {
        InterPodAffinityArgs { hard_pod_affinity_weight: 1, ignore_preferred_terms_of_existing_pods: false }
    }
}

/// The plugin.
#[derive(Clone, Debug, Default)]
pub struct InterPodAffinity {
    args: InterPodAffinityArgs,
}

/// Numbers per topology domain: (label key, value). A domain whose number is 0 is not there.
#[derive(Clone, Debug, Default)]
struct Domains(FxHashMap<(Sym, Sym), i64>);

impl Domains {
    fn add(&mut self, labels: &LabelSet, key: Sym, amount: i64) {
        let Some(value) = labels.get(key) else { return };
        let count = self.0.entry((key, value)).or_insert(0);
        *count += amount;
        if *count == 0 {
            self.0.remove(&(key, value));
        }
    }
    fn get(&self, key: Sym, value: Sym) -> i64 {
        self.0.get(&(key, value)).copied().unwrap_or(0)
    }
}

/// What is known for the pod at hand.
#[derive(Clone, Debug, Default)]
pub struct InterPodAffinityState {
    /// Running pods whose required anti-affinity matches the pod.
    existing_anti: Domains,
    /// Running pods that match all required affinity terms of the pod.
    affinity: Domains,
    /// Running pods that match a required anti-affinity term of the pod.
    anti: Domains,
    /// Preferences, summed.
    scores: FxHashMap<(Sym, Sym), i64>,
    /// Keys that occur in `scores`.
    score_keys: Vec<Sym>,
}

/// The incoming pod, as terms look at it.
#[derive(Clone, Copy)]
pub(in crate::scheduler) struct Incoming<'a> {
    spec: &'a PodSpec,
    labels: &'a LabelSet,
    namespace_labels: Option<&'a LabelSet>,
}

impl<'a> Incoming<'a> {
    fn new(cluster: &'a Cluster, pod: PodId) -> Self {
        Incoming::of(cluster, cluster.spec_of(pod))
    }
    /// A pod of this spec.
    pub(in crate::scheduler) fn of(cluster: &'a Cluster, spec: &'a PodSpec) -> Self {
        Incoming {
            spec,
            labels: cluster.label_set(spec.labels),
            namespace_labels: cluster.namespace_labels(spec.namespace),
        }
    }
    fn affinity(&self) -> Option<&'a Affinity> {
        self.spec.affinity.as_deref()
    }
    /// Does a term of a running pod match the incoming one?
    pub(in crate::scheduler) fn is_matched_by(&self, term: &PodAffinityTerm) -> bool {
        let nothing = LabelSet::default();
        let in_namespace = term.namespaces.contains(&self.spec.namespace)
            || term.namespace_selector.matches(self.namespace_labels.unwrap_or(&nothing));
        in_namespace && term.selector.matches(self.labels)
    }
}

/// Does a term of the incoming pod match a running one? Kubernetes looks up the namespaces of the selector beforehand and then
/// asks the selector once more with no labels at all: one that matches nothing-at-all matches every namespace.
pub(in crate::scheduler) fn term_matches(
    term: &PodAffinityTerm,
    cluster: &Cluster,
    existing: &PodSpec,
) -> bool {
    let in_namespace = term.namespaces.contains(&existing.namespace)
        || match &term.namespace_selector {
            LabelSelector::Nothing => false,
            selector => {
                selector.matches(&LabelSet::default())
                    || cluster.namespace_labels(existing.namespace).is_some_and(|l| selector.matches(l))
            }
        };
    in_namespace && term.selector.matches(cluster.label_set(existing.labels))
}

pub(in crate::scheduler) fn matches_all(
    terms: &[PodAffinityTerm],
    cluster: &Cluster,
    existing: &PodSpec,
) -> bool {
    !terms.is_empty() && terms.iter().all(|term| term_matches(term, cluster, existing))
}

impl InterPodAffinityState {
    /// A copy for a dry run: what scoring needs is left out.
    pub fn fork(&self) -> InterPodAffinityState {
        InterPodAffinityState {
            existing_anti: self.existing_anti.clone(),
            affinity: self.affinity.clone(),
            anti: self.anti.clone(),
            ..InterPodAffinityState::default()
        }
    }
    /// A running pod comes (1) or goes (-1).
    fn update(
        &mut self,
        cluster: &Cluster,
        pod: Incoming<'_>,
        other: &PodSpec,
        labels: &LabelSet,
        amount: i64,
    ) {
        for term in other.affinity.iter().flat_map(|a| &a.anti_required) {
            if pod.is_matched_by(term) {
                self.existing_anti.add(labels, term.topology_key, amount);
            }
        }
        self.update_own(cluster, pod, other, labels, amount);
    }
    fn update_own(
        &mut self,
        cluster: &Cluster,
        pod: Incoming<'_>,
        other: &PodSpec,
        labels: &LabelSet,
        amount: i64,
    ) {
        let Some(own) = pod.affinity() else { return };
        if matches_all(&own.pod_required, cluster, other) {
            for term in &own.pod_required {
                self.affinity.add(labels, term.topology_key, amount);
            }
        }
        for term in &own.anti_required {
            if term_matches(term, cluster, other) {
                self.anti.add(labels, term.topology_key, amount);
            }
        }
    }
    fn prefer(&mut self, labels: &LabelSet, key: Sym, weight: i32) {
        let Some(value) = labels.get(key) else { return };
        if !self.score_keys.contains(&key) {
            self.score_keys.push(key);
        }
        let score = self.scores.entry((key, value)).or_insert(0);
        *score = score.wrapping_add(i64::from(weight));
    }
}

impl InterPodAffinity {
    /// With arguments.
    pub fn new(args: InterPodAffinityArgs) -> Self {
        InterPodAffinity { args }
    }

    /// Preferences between the incoming pod and one that runs, in both directions.
    fn prefer_by(
        &self,
        state: &mut InterPodAffinityState,
        cluster: &Cluster,
        pod: Incoming<'_>,
        other: &PodSpec,
        labels: &LabelSet,
    ) {
        if let Some(own) = pod.affinity() {
            for (weight, term) in own.pod_preferred.iter().filter(|(_, t)| term_matches(t, cluster, other)) {
                state.prefer(labels, term.topology_key, *weight);
            }
            for (weight, term) in own.anti_preferred.iter().filter(|(_, t)| term_matches(t, cluster, other)) {
                state.prefer(labels, term.topology_key, weight.wrapping_neg());
            }
        }
        let Some(theirs) = other.affinity.as_deref() else { return };
        if self.args.hard_pod_affinity_weight > 0 {
            for term in theirs.pod_required.iter().filter(|t| pod.is_matched_by(t)) {
                state.prefer(labels, term.topology_key, self.args.hard_pod_affinity_weight);
            }
        }
        for (weight, term) in theirs.pod_preferred.iter().filter(|(_, t)| pod.is_matched_by(t)) {
            state.prefer(labels, term.topology_key, *weight);
        }
        for (weight, term) in theirs.anti_preferred.iter().filter(|(_, t)| pod.is_matched_by(t)) {
            state.prefer(labels, term.topology_key, weight.wrapping_neg());
        }
    }
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for InterPodAffinity {
    fn pre_filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState) -> PreFilter {
        let cluster = view.cluster;
        let state = &mut state.inter_pod_affinity;
        for domains in [&mut state.existing_anti, &mut state.affinity, &mut state.anti] {
            domains.0.clear();
        }
        let incoming = Incoming::new(cluster, pod);
        let has_own =
            incoming.affinity().is_some_and(|a| !(a.pod_required.is_empty() && a.anti_required.is_empty()));
        if !has_own && !cluster.has_required_anti_affinity() {
            return PreFilter::Skip;
        }
        for (_, node) in cluster.nodes().iter().filter(|(_, node)| node.exists) {
            let labels = cluster.label_set(node.labels);
            for &other in node.info.with_required_anti_affinity.iter() {
                for term in cluster.spec_of(other).affinity.iter().flat_map(|a| &a.anti_required) {
                    if incoming.is_matched_by(term) {
                        state.existing_anti.add(labels, term.topology_key, 1);
                    }
                }
            }
            if has_own {
                for &other in &node.info.pods {
                    state.update_own(cluster, incoming, cluster.spec_of(other), labels, 1);
                }
            }
        }
        if !has_own && state.existing_anti.0.is_empty() { PreFilter::Skip } else { PreFilter::Continue }
    }
    fn add_pod(&self, view: View<'_>, pod: PodId, added: PodId, node: NodeView<'_>, state: &mut CycleState) {
        let (incoming, labels) = (Incoming::new(view.cluster, pod), view.cluster.label_set(node.node.labels));
        state.inter_pod_affinity.update(view.cluster, incoming, view.cluster.spec_of(added), labels, 1);
    }
    fn remove_pod(
        &self,
        view: View<'_>,
        pod: PodId,
        removed: PodId,
        node: NodeView<'_>,
        state: &mut CycleState,
    ) {
        let (incoming, labels) = (Incoming::new(view.cluster, pod), view.cluster.label_set(node.node.labels));
        state.inter_pod_affinity.update(view.cluster, incoming, view.cluster.spec_of(removed), labels, -1);
    }
}

impl InterPodAffinityState {
    fn allows_affinity(
        &self,
        cluster: &Cluster,
        pod: &PodSpec,
        terms: &[PodAffinityTerm],
        labels: &LabelSet,
    ) -> bool {
        let mut pods_exist = true;
        for term in terms {
            let Some(value) = labels.get(term.topology_key) else { return false };
            pods_exist &= self.affinity.get(term.topology_key, value) > 0;
        }
        // The first pod of a series with affinity to itself may go anywhere.
        pods_exist || (self.affinity.0.is_empty() && matches_all(terms, cluster, pod))
    }
    fn allows_anti_affinity(&self, terms: &[PodAffinityTerm], labels: &LabelSet) -> bool {
        self.anti.0.is_empty()
            || !terms.iter().any(|term| {
                labels.get(term.topology_key).is_some_and(|value| self.anti.get(term.topology_key, value) > 0)
            })
    }
    fn existing_allow(&self, labels: &LabelSet) -> bool {
        self.existing_anti.0.is_empty()
            || !labels.iter().any(|(key, value)| self.existing_anti.get(key, value) > 0)
    }
}

impl FilterPlugin for InterPodAffinity {
    fn filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let state = &state.inter_pod_affinity;
        let spec = view.cluster.spec_of(pod);
        let labels = view.cluster.label_set(node.node.labels);
        if let Some(own) = spec.affinity.as_deref() {
            if !state.allows_affinity(view.cluster, spec, &own.pod_required, labels) {
                return Err(Rejection::text(NAME, Code::UnschedulableAndUnresolvable, AFFINITY));
            }
            if !state.allows_anti_affinity(&own.anti_required, labels) {
                return Err(Rejection::text(NAME, Code::Unschedulable, ANTI_AFFINITY));
            }
        }
        if !state.existing_allow(labels) {
            return Err(Rejection::text(NAME, Code::Unschedulable, EXISTING));
        }
        Ok(())
    }
}

impl ScorePlugin for InterPodAffinity {
    fn pre_score(&self, view: View<'_>, pod: PodId, state: &mut CycleState, _nodes: &[NodeId]) -> PreScore {
        let cluster = view.cluster;
        let state = &mut state.inter_pod_affinity;
        state.scores.clear();
        state.score_keys.clear();
        let incoming = Incoming::new(cluster, pod);
        let has_own =
            incoming.affinity().is_some_and(|a| !(a.pod_preferred.is_empty() && a.anti_preferred.is_empty()));
        let ignore_theirs = self.args.ignore_preferred_terms_of_existing_pods;
        if !has_own && (ignore_theirs || !cluster.has_pod_affinity()) {
            return PreScore::Skip;
        }
        for (_, node) in cluster.nodes().iter().filter(|(_, node)| node.exists) {
            let labels = cluster.label_set(node.labels);
            // Without preferences of its own the pod concerns only pods with affinity.
            let others = if has_own { &*node.info.pods } else { &*node.info.with_affinity };
            for &other in others {
                self.prefer_by(state, cluster, incoming, cluster.spec_of(other), labels);
            }
        }
        if state.score_keys.is_empty() { PreScore::Skip } else { PreScore::Continue }
    }
    fn score(&self, view: View<'_>, _pod: PodId, state: &CycleState, node: NodeId) -> i64 {
        let state = &state.inter_pod_affinity;
        let labels = view.cluster.node_labels(node);
        let of_key = |key: &Sym| labels.get(*key).and_then(|value| state.scores.get(&(*key, value))).copied();
        state.score_keys.iter().filter_map(of_key).fold(0, i64::wrapping_add)
    }
    fn normalize(&self, _view: View<'_>, _pod: PodId, _state: &CycleState, scores: &mut [i64]) {
        let (min, max) = scores.iter().fold((i64::MAX, i64::MIN), |(lo, hi), s| (lo.min(*s), hi.max(*s)));
        let range = max.wrapping_sub(min);
        for score in scores {
            let share = if range > 0 { score.wrapping_sub(min) as f64 / range as f64 } else { 0.0 };
            *score = (MAX_NODE_SCORE as f64 * share) as i64;
        }
    }
}
