//! A scheduler profile: which plugins run at which extension point, in which order, with which weight.

use super::cycle_state::CycleState;
use super::framework::*;
use super::plugins::{default_preemption, dynamic_resources};
use super::registry;
use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::model::names::Sym;
use crate::model::spec::PodSpec;
use std::sync::Arc;

pub use super::profile_config::*;

/// A plugin with the extension points it implements. Library users make their own and pass them to [`Profile::with_plugins`].
#[derive(Clone, Debug)]
pub struct PluginPoints {
    /// The plugin's name.
    pub name: PluginName,
    /// PreFilter.
    pub pre_filter: Option<Arc<dyn PreFilterPlugin>>,
    /// Filter.
    pub filter: Option<Arc<dyn FilterPlugin>>,
    /// PostFilter.
    pub post_filter: Option<Arc<dyn PostFilterPlugin>>,
    /// PreScore and Score.
    pub score: Option<Arc<dyn ScorePlugin>>,
    /// Reserve.
    pub reserve: Option<Arc<dyn ReservePlugin>>,
}

impl PluginPoints {
    /// A plugin without any extension point.
    pub fn new(name: PluginName) -> PluginPoints {
        PluginPoints { name, pre_filter: None, filter: None, post_filter: None, score: None, reserve: None }
    }
    /// With PreFilter.
    pub fn pre_filter(mut self, plugin: Arc<dyn PreFilterPlugin>) -> Self {
        self.pre_filter = Some(plugin);
        self
    }
    /// With Filter.
    pub fn filter(mut self, plugin: Arc<dyn FilterPlugin>) -> Self {
        self.filter = Some(plugin);
        self
    }
    /// With PostFilter.
    pub fn post_filter(mut self, plugin: Arc<dyn PostFilterPlugin>) -> Self {
        self.post_filter = Some(plugin);
        self
    }
    /// With Score.
    pub fn score(mut self, plugin: Arc<dyn ScorePlugin>) -> Self {
        self.score = Some(plugin);
        self
    }
    /// With Reserve.
    pub fn reserve(mut self, plugin: Arc<dyn ReservePlugin>) -> Self {
        self.reserve = Some(plugin);
        self
    }
}

/// A Filter plugin and the place of its PreFilter, whose Skip silences it.
#[derive(Clone, Debug)]
pub(super) struct FilterEntry {
    plugin: Arc<dyn FilterPlugin>,
    pre_filter: Option<usize>,
}

/// A Score plugin with its weight.
#[derive(Clone, Debug)]
pub(super) struct ScoreEntry {
    pub(super) plugin: Arc<dyn ScorePlugin>,
    pub(super) weight: i64,
}

/// The plugins of one profile, by extension point.
#[derive(Clone, Debug)]
pub struct Profile {
    /// `schedulerName`: the pods that it schedules.
    pub scheduler_name: Sym,
    /// `percentageOfNodesToScore`.
    pub percentage: NodesToScore,
    pub(super) pre_filter: Vec<Arc<dyn PreFilterPlugin>>,
    pub(super) filter: Vec<FilterEntry>,
    pub(super) post_filter: Vec<Arc<dyn PostFilterPlugin>>,
    pub(super) score: Vec<ScoreEntry>,
    pub(super) reserve: Vec<Arc<dyn ReservePlugin>>,
    default_arithmetic: bool,
    default_relations: bool,
    usual_post_filter: bool,
}

/// What PreFilter of all plugins together says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreFiltered {
    /// Look at every node.
    AllNodes,
    /// Look at these nodes; the others did not satisfy these plugins (sorted).
    Nodes(Vec<Sym>, Vec<PluginName>),
    /// No node can take the pod. The plugin is empty where several narrowed the nodes to none; they are listed.
    Rejected(Rejection, Vec<PluginName>),
    /// The cycle fails.
    Error(String),
}

impl Profile {
    /// The profile that a configuration describes.
    ///
    /// # Errors
    /// [`ConfigError`] for unknown plugins and arguments out of range.
    pub fn new(config: &ProfileConfig) -> Result<Profile, ConfigError> {
        Profile::with_plugins(config, &[])
    }

    /// The same with plugins of one's own. Each runs at the extension points it implements, after the configured ones unless the
    /// configuration names it.
    ///
    /// # Errors
    /// [`ConfigError`] for unknown plugins and arguments out of range.
    pub fn with_plugins(config: &ProfileConfig, own: &[(PluginPoints, i64)]) -> Result<Profile, ConfigError> {
        let resolved = config.resolve(own)?;
        let make = |name: &str| {
            let found = own.iter().find(|(points, _)| points.name == name).map(|(points, _)| points.clone());
            found.map_or_else(|| registry::make(name, config), Ok)
        };
        let points = |names: &[String]| names.iter().map(|name| make(name)).collect::<Result<Vec<_>, _>>();
        let pre_filter: Vec<_> =
            points(&resolved.pre_filter)?.into_iter().filter_map(|p| p.pre_filter).collect();
        let place = |name: PluginName| pre_filter.iter().position(|p| p.name() == name);
        let filter = points(&resolved.filter)?.into_iter().filter_map(|p| p.filter);
        let filter = filter.map(|plugin| FilterEntry { pre_filter: place(plugin.name()), plugin }).collect();
        let mut score = Vec::new();
        for (name, weight) in &resolved.score {
            if let Some(plugin) = make(name)?.score {
                score.push(ScoreEntry { plugin, weight: *weight });
            }
        }
        let default = ProfileConfig::default();
        let usual = default.resolve(&[])?;
        let known = [dynamic_resources::NAME, default_preemption::NAME];
        let usual_post_filter = own.is_empty()
            && resolved.pre_filter == usual.pre_filter
            && resolved.post_filter.iter().all(|name| known.contains(&name.as_str()));
        let default_arithmetic = (&resolved.pre_filter, &resolved.filter)
            == (&usual.pre_filter, &usual.filter)
            && config.node_affinity == default.node_affinity
            && config.node_resources_fit == default.node_resources_fit
            && config.balanced_resources == default.balanced_resources;
        Ok(Profile {
            usual_post_filter,
            default_arithmetic,
            default_relations: default_arithmetic
                && config.pod_topology_spread == default.pod_topology_spread
                && config.inter_pod_affinity == default.inter_pod_affinity,
            scheduler_name: config.scheduler_name,
            percentage: config.nodes_to_score,
            filter,
            score,
            post_filter: points(&resolved.post_filter)?.into_iter().filter_map(|p| p.post_filter).collect(),
            reserve: points(&resolved.reserve)?.into_iter().filter_map(|p| p.reserve).collect(),
            pre_filter,
        })
    }

    /// Filters as in the default profile, and the default arguments of NodeAffinity, NodeResourcesFit and
    /// NodeResourcesBalancedAllocation: then the fast path may compute what they would say.
    pub(super) fn has_default_arithmetic(&self) -> bool {
        self.default_arithmetic
    }
    /// The default arguments of PodTopologySpread and InterPodAffinity too: the fast path may keep count of what they count.
    pub(super) fn has_default_relations(&self) -> bool {
        self.default_relations
    }
    /// The built-in PostFilter plugins only: what they say where nobody can be preempted needs no look at nodes.
    pub(super) fn has_usual_post_filter(&self) -> bool {
        self.usual_post_filter
    }
    /// What they say then about a pod that no PreFilter rejected; `curable`: how many of the nodes rejected it with a status that
    /// another pod's removal might cure.
    pub(super) fn post_filter_says(
        &self,
        spec: &PodSpec,
        nodes: u32,
        curable: u32,
    ) -> Option<Vec<PostFilterMessage>> {
        let words = |plugin: &Arc<dyn PostFilterPlugin>| match plugin.name() {
            dynamic_resources::NAME => Some(PostFilterMessage::Text(dynamic_resources::NO_CLAIMS)),
            default_preemption::NAME => Some(default_preemption::nobody_to_preempt(spec, nodes, curable)),
            _ => None,
        };
        self.post_filter.iter().map(words).collect::<Option<_>>().filter(|_| self.usual_post_filter)
    }
    /// Names of the Score plugins with their weights, in order.
    pub fn score_plugins(&self) -> impl Iterator<Item = (PluginName, i64)> {
        self.score.iter().map(|entry| (entry.plugin.name(), entry.weight))
    }
    /// Names of the Filter plugins in order.
    pub fn filter_plugins(&self) -> impl Iterator<Item = PluginName> {
        self.filter.iter().map(|entry| entry.plugin.name())
    }

    /// PreFilter of all plugins.
    pub fn pre_filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState) -> PreFiltered {
        self.pre_filter_except(view, pod, state, &[])
    }
    /// The same as if the plugins `without` had said Skip: their filters must not be asked then.
    pub fn pre_filter_except(
        &self,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        without: &[PluginName],
    ) -> PreFiltered {
        state.dynamic_resources_seen = false;
        state.skip_filter.clear();
        state.skip_filter.resize(self.pre_filter.len(), false);
        let mut nodes: Option<Vec<Sym>> = None;
        let mut narrowing: Vec<PluginName> = Vec::new();
        let mut rejection = None;
        for (i, plugin) in self.pre_filter.iter().enumerate() {
            if !without.is_empty() && without.contains(&plugin.name()) {
                state.skip_filter[i] = true;
                continue;
            }
            match plugin.pre_filter(view, pod, state) {
                PreFilter::Continue => {}
                PreFilter::Skip => state.skip_filter[i] = true,
                PreFilter::Nodes(more) => {
                    narrowing.push(plugin.name());
                    nodes = Some(match nodes {
                        None => more,
                        Some(before) => before.into_iter().filter(|name| more.contains(name)).collect(),
                    });
                }
                PreFilter::Reject(rejected) => match rejected.code {
                    // Preemption may help: the other plugins have to prepare for its dry runs.
                    Code::Unschedulable => rejection = Some(rejected),
                    Code::UnschedulableAndUnresolvable => return PreFiltered::Rejected(rejected, Vec::new()),
                    Code::Pending | Code::Error => {
                        let said = super::message::status_text(&rejected.reasons, &view.cluster.names);
                        let name = plugin.name();
                        return PreFiltered::Error(format!("running PreFilter plugin {name:?}: {said}"));
                    }
                },
            }
            if nodes.as_ref().is_some_and(Vec::is_empty) {
                narrowing.sort_unstable();
                return PreFiltered::Rejected(no_common_node(&narrowing), narrowing);
            }
        }
        narrowing.sort_unstable();
        match (rejection, nodes) {
            (Some(rejected), _) => PreFiltered::Rejected(rejected, narrowing),
            (None, Some(nodes)) => PreFiltered::Nodes(nodes, narrowing),
            (None, None) => PreFiltered::AllNodes,
        }
    }

    /// Reserve of all plugins, for hypothetical pods: the pod is assumed on the node already.
    ///
    /// # Errors
    /// The first rejection; what was reserved before it stays reserved.
    pub fn reserve(&self, cluster: &mut Cluster, state: &CycleState, binding: &mut Binding) -> Verdict {
        self.reserve.iter().try_for_each(|plugin| plugin.reserve(cluster, state, binding))
    }

    /// Another pod comes to a node, hypothetically.
    pub fn add_pod(
        &self,
        view: View<'_>,
        pod: PodId,
        added: PodId,
        node: NodeView<'_>,
        state: &mut CycleState,
    ) {
        for (i, plugin) in self.pre_filter.iter().enumerate() {
            if !state.skip_filter[i] {
                plugin.add_pod(view, pod, added, node, state);
            }
        }
    }
    /// Another pod leaves a node, hypothetically.
    pub fn remove_pod(
        &self,
        view: View<'_>,
        pod: PodId,
        removed: PodId,
        node: NodeView<'_>,
        state: &mut CycleState,
    ) {
        for (i, plugin) in self.pre_filter.iter().enumerate() {
            if !state.skip_filter[i] {
                plugin.remove_pod(view, pod, removed, node, state);
            }
        }
    }

    /// Filter of all plugins on one node, up to the first that says no.
    ///
    /// # Errors
    /// The first rejection.
    pub fn filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        self.filter_except(view, pod, state, node, &[])
    }

    /// The same without some plugins: for questions such as "what if volumes did not matter".
    ///
    /// # Errors
    /// The first rejection.
    pub fn filter_except(
        &self,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        node: NodeView<'_>,
        without: &[PluginName],
    ) -> Verdict {
        for entry in &self.filter {
            let skipped = entry.pre_filter.is_some_and(|i| state.skip_filter[i]);
            if !skipped && (without.is_empty() || !without.contains(&entry.plugin.name())) {
                state.evaluations += 1;
                entry.plugin.filter(view, pod, state, node)?;
            }
        }
        Ok(())
    }

    /// Filter with the pods nominated to the node counted as running, and again without them: the pod has to pass both.
    /// Nominated pods of lower priority do not count.
    ///
    /// # Errors
    /// The first rejection.
    pub fn filter_with_nominated(
        &self,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        node: NodeView<'_>,
    ) -> Verdict {
        let nominated = view.cluster.nominated_pods(node.id);
        let priority = || view.cluster.spec_of(pod).priority;
        let counts = |other: &PodId| *other != pod && view.cluster.spec_of(*other).priority >= priority();
        if !nominated.is_empty() && nominated.iter().any(counts) {
            let (mut info, mut fork) = (node.info.clone(), state.fork());
            for &other in nominated.iter().filter(|other| counts(other)) {
                info.add_pod(other, view.cluster.spec_of(other));
                self.add_pod(view, pod, other, NodeView { info: &info, ..node }, &mut fork);
            }
            self.filter(view, pod, &mut fork, NodeView { info: &info, ..node })?;
        }
        self.filter(view, pod, state, node)
    }
}

/// The rejection when PreFilter plugins narrowed the nodes to none.
fn no_common_node(plugins: &[PluginName]) -> Rejection {
    Rejection::new("", Code::UnschedulableAndUnresolvable, Reason::NoCommonNode(PluginNames::new(plugins)))
}
