//! What a `KubeSchedulerConfiguration` says about one profile, as plain data.

use super::plugins::default_preemption::DefaultPreemptionArgs;
use super::plugins::inter_pod_affinity::InterPodAffinityArgs;
use super::plugins::node_affinity::NodeAffinityArgs;
use super::plugins::node_resources_fit::{NodeResourcesFitArgs, ResourceWeight, default_resources};
use super::plugins::pod_topology_spread::DefaultConstraints;
use super::plugins::score::ShapePoint;
use super::plugins::*;
use super::profile::PluginPoints;
use super::registry;
use crate::engine::time::SimDuration;
use crate::model::names::{Sym, sym};

/// `percentageOfNodesToScore`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodesToScore {
    /// All nodes are filtered, in no particular order.
    #[default]
    All,
    /// Kubernetes' node order and rotating start; stop when so many percent of the nodes are feasible. 0: adaptive, from 50 % down
    /// to 5 % in large clusters. Never fewer than 100 nodes.
    Percentage(u32),
}

/// A plugin in an `enabled` list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnabledPlugin {
    /// Name.
    pub name: String,
    /// Weight of its score; `None` or 0: 1.
    pub weight: Option<i64>,
}

/// `enabled` and `disabled` of one extension point. `*` in `disabled` is all defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginSet {
    /// Plugins to run.
    pub enabled: Vec<EnabledPlugin>,
    /// Default plugins not to run.
    pub disabled: Vec<String>,
}

/// `profiles[].plugins`, as written: merged with the defaults by [`ProfileConfig`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugins {
    /// All extension points a plugin implements.
    pub multi_point: PluginSet,
    /// PreFilter.
    pub pre_filter: PluginSet,
    /// Filter.
    pub filter: PluginSet,
    /// PostFilter.
    pub post_filter: PluginSet,
    /// Score (PreScore goes with it).
    pub score: PluginSet,
    /// Reserve (PreBind goes with it).
    pub reserve: PluginSet,
}

/// `VolumeBindingArgs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeBindingArgs {
    /// `bindTimeoutSeconds`, 600 s by default.
    pub bind_timeout: SimDuration,
    /// `shape`, scores on the scale 0..=10. Empty: not given.
    pub shape: Vec<ShapePoint>,
    /// The feature gate StorageCapacityScoring (off by default): VolumeBinding scores.
    pub storage_capacity_scoring: bool,
}

impl Default for VolumeBindingArgs {
    fn default() -> Self {
        VolumeBindingArgs {
            bind_timeout: SimDuration::from_secs(600),
            shape: Vec::new(),
            storage_capacity_scoring: false,
        }
    }
}

/// One profile. The symbols in it are those of the cluster it will schedule for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileConfig {
    /// `schedulerName`.
    pub scheduler_name: Sym,
    /// `percentageOfNodesToScore`.
    pub nodes_to_score: NodesToScore,
    /// Plugins on and off.
    pub plugins: Plugins,
    /// NodeAffinity.
    pub node_affinity: NodeAffinityArgs,
    /// NodeResourcesFit.
    pub node_resources_fit: NodeResourcesFitArgs,
    /// NodeResourcesBalancedAllocation.
    pub balanced_resources: Vec<ResourceWeight>,
    /// PodTopologySpread.
    pub pod_topology_spread: DefaultConstraints,
    /// InterPodAffinity.
    pub inter_pod_affinity: InterPodAffinityArgs,
    /// DefaultPreemption.
    pub default_preemption: DefaultPreemptionArgs,
    /// VolumeBinding.
    pub volume_binding: VolumeBindingArgs,
}

impl Default for ProfileConfig {
    fn default() -> Self {
        ProfileConfig {
            scheduler_name: sym::DEFAULT_SCHEDULER,
            nodes_to_score: NodesToScore::All,
            plugins: Plugins::default(),
            node_affinity: NodeAffinityArgs::default(),
            node_resources_fit: NodeResourcesFitArgs::default(),
            balanced_resources: default_resources(),
            pod_topology_spread: DefaultConstraints::default(),
            inter_pod_affinity: InterPodAffinityArgs::default(),
            default_preemption: DefaultPreemptionArgs::default(),
            volume_binding: VolumeBindingArgs::default(),
        }
    }
}

/// Why a profile cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such plugin.
    #[error("unknown scheduler plugin {0:?}")]
    UnknownPlugin(String),
    /// The same plugin twice in one `enabled` list.
    #[error("plugin {0:?} is enabled twice")]
    Twice(String),
    /// The plugin does not implement the extension point.
    #[error("plugin {0:?} does not implement {1}")]
    WrongPoint(String, &'static str),
    /// An argument is out of range.
    #[error("{0}")]
    Argument(String),
}

/// The default plugins in the order of the default MultiPoint list, with their weights (0: does not score).
pub const DEFAULT_PLUGINS: &[(&str, i64)] = &[
    (scheduling_gates::NAME, 0),
    (priority_sort::NAME, 0),
    (node_unschedulable::NAME, 0),
    (node_name::NAME, 0),
    (taint_toleration::NAME, 3),
    (node_affinity::NAME, 2),
    (node_ports::NAME, 0),
    (node_resources_fit::NAME, 1),
    (volume_restrictions::NAME, 0),
    (node_volume_limits::NAME, 0),
    (volume_binding::NAME, 0),
    (volume_zone::NAME, 0),
    (pod_topology_spread::NAME, 2),
    (inter_pod_affinity::NAME, 2),
    (dynamic_resources::NAME, 2),
    (default_preemption::NAME, 0),
    (node_resources_balanced_allocation::NAME, 1),
    (image_locality::NAME, 1),
    (default_binder::NAME, 0),
    (node_declared_features::NAME, 0),
];

/// Names in order, per extension point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) pre_filter: Vec<String>,
    pub(super) filter: Vec<String>,
    pub(super) post_filter: Vec<String>,
    pub(super) score: Vec<(String, i64)>,
    pub(super) reserve: Vec<String>,
}

/// `mergePluginSet`: the defaults that are not disabled, in place replaced where enabled again, then the other enabled ones.
fn merge(defaults: Vec<EnabledPlugin>, custom: &PluginSet) -> Result<Vec<EnabledPlugin>, ConfigError> {
    for (i, plugin) in custom.enabled.iter().enumerate() {
        if custom.enabled[..i].iter().any(|p| p.name == plugin.name) {
            return Err(ConfigError::Twice(plugin.name.clone()));
        }
    }
    let disabled = |name: &str| custom.disabled.iter().any(|d| d == "*" || d == name);
    let enabled = |name: &str| custom.enabled.iter().find(|p| p.name == name);
    let mut replaced = Vec::new();
    let mut merged = Vec::new();
    for plugin in defaults.into_iter().filter(|p| !disabled(&p.name)) {
        match enabled(&plugin.name) {
            Some(again) => {
                replaced.push(again.name.clone());
                merged.push(again.clone());
            }
            None => merged.push(plugin),
        }
    }
    merged.extend(custom.enabled.iter().filter(|p| !replaced.contains(&p.name)).cloned());
    Ok(merged)
}

impl ProfileConfig {
    /// Who runs where: the extension point's own list comes first, then what MultiPoint adds.
    pub(super) fn resolve(&self, own: &[(PluginPoints, i64)]) -> Result<Resolved, ConfigError> {
        let default = |(name, weight): &(&str, i64)| EnabledPlugin {
            name: (*name).into(),
            weight: (*weight > 0).then_some(*weight),
        };
        let mut multi = merge(DEFAULT_PLUGINS.iter().map(default).collect(), &self.plugins.multi_point)?;
        for (points, weight) in own {
            if !multi.iter().any(|p| p.name == points.name) {
                multi.push(EnabledPlugin { name: points.name.into(), weight: Some(*weight) });
            }
        }
        let points = |name: &str| match own.iter().find(|(p, _)| p.name == name) {
            Some((points, _)) => Ok(points.clone()),
            None => registry::make(name, self),
        };
        let expand = |set: &PluginSet, point: &'static str, has: fn(&PluginPoints) -> bool| {
            expand_point(set, point, &multi, &|name| points(name).map(|p| has(&p)))
        };
        let names = |list: Vec<EnabledPlugin>| list.into_iter().map(|p| p.name).collect();
        Ok(Resolved {
            pre_filter: names(expand(&self.plugins.pre_filter, "PreFilter", |p| p.pre_filter.is_some())?),
            filter: names(expand(&self.plugins.filter, "Filter", |p| p.filter.is_some())?),
            post_filter: names(expand(&self.plugins.post_filter, "PostFilter", |p| p.post_filter.is_some())?),
            score: expand(&self.plugins.score, "Score", |p| p.score.is_some())?
                .into_iter()
                .map(|p| (p.name, p.weight.filter(|w| *w != 0).unwrap_or(1)))
                .collect(),
            reserve: names(expand(&self.plugins.reserve, "Reserve", |p| p.reserve.is_some())?),
        })
    }
}

/// `expandMultiPointPlugins` for one extension point: first what the point's own list overrides, in its order, then the rest of
/// MultiPoint, then the others of the own list. A plugin that the point disables and enables again is one of the others.
fn expand_point(
    set: &PluginSet,
    point: &'static str,
    multi: &[EnabledPlugin],
    implements: &dyn Fn(&str) -> Result<bool, ConfigError>,
) -> Result<Vec<EnabledPlugin>, ConfigError> {
    let own = merge(Vec::new(), set)?;
    for plugin in &own {
        if !implements(&plugin.name)? {
            return Err(ConfigError::WrongPoint(plugin.name.clone(), point));
        }
    }
    if set.disabled.iter().any(|d| d == "*") {
        return Ok(own);
    }
    let (mut overridden, mut from_multi) = (Vec::new(), Vec::new());
    for plugin in multi {
        if !implements(&plugin.name)? || set.disabled.contains(&plugin.name) {
            continue;
        }
        if own.iter().any(|p| p.name == plugin.name) {
            overridden.push(plugin.name.clone());
        } else {
            from_multi.push(plugin.clone());
        }
    }
    let (first, last): (Vec<_>, Vec<_>) = own.into_iter().partition(|p| overridden.contains(&p.name));
    Ok(first.into_iter().chain(from_multi).chain(last).collect())
}

#[cfg(test)]
#[path = "profile_config_tests.rs"]
mod tests;
