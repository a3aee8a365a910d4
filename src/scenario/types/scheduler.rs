//! `scheduler.config`: a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1), as written and checked.

use k8s_openapi::api::core::v1::{NodeAffinity, TopologySpreadConstraint};

use super::RateLimit;
use crate::engine::time::SimDuration;

/// What the file says; `None` = Kubernetes' default.
#[derive(Clone, Debug, Default)]
pub struct SchedulerConfig {
    /// Profiles; never empty.
    pub profiles: Vec<SchedulerProfile>,
    /// `percentageOfNodesToScore` of all profiles: 0 = adaptive, 1..=100.
    pub percentage_of_nodes_to_score: Option<u32>,
    /// `podInitialBackoffSeconds`.
    pub backoff_initial: Option<SimDuration>,
    /// `podMaxBackoffSeconds`.
    pub backoff_max: Option<SimDuration>,
    /// `clientConnection`.
    pub client: Option<RateLimit>,
}

/// `profiles[]`.
#[derive(Clone, Debug, Default)]
pub struct SchedulerProfile {
    /// `schedulerName`; unique.
    pub name: String,
    /// This profile's own `percentageOfNodesToScore`.
    pub percentage_of_nodes_to_score: Option<u32>,
    /// Plugins on and off.
    pub plugins: PluginLists,
    /// Arguments.
    pub args: PluginArgs,
}

/// `profiles[].plugins`; the extension points that a simulation has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginLists {
    /// Every extension point that a plugin implements.
    pub multi_point: PluginList,
    /// PreFilter.
    pub pre_filter: PluginList,
    /// Filter.
    pub filter: PluginList,
    /// PostFilter.
    pub post_filter: PluginList,
    /// Score.
    pub score: PluginList,
    /// Reserve.
    pub reserve: PluginList,
}

/// Plugins enabled and disabled at an extension point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginList {
    /// Names and weights.
    pub enabled: Vec<(String, Option<i64>)>,
    /// Names; `*` = all defaults.
    pub disabled: Vec<String>,
}

/// `profiles[].pluginConfig`; `None` = the plugin's defaults.
#[derive(Clone, Debug, Default)]
pub struct PluginArgs {
    /// `minCandidateNodesPercentage` (0..=100) and `minCandidateNodesAbsolute` of DefaultPreemption.
    pub default_preemption: Option<(u32, u32)>,
    /// `hardPodAffinityWeight` (0..=100) and `ignorePreferredTermsOfExistingPods` of InterPodAffinity.
    pub inter_pod_affinity: Option<(u32, bool)>,
    /// `addedAffinity` of NodeAffinity.
    pub node_affinity: Option<NodeAffinity>,
    /// NodeResourcesFit.
    pub node_resources_fit: Option<FitArgs>,
    /// `resources` of NodeResourcesBalancedAllocation with their weights.
    pub balanced_allocation: Option<Vec<(String, u32)>>,
    /// PodTopologySpread: `None` inside = the system's default constraints.
    pub pod_topology_spread: Option<Option<Vec<TopologySpreadConstraint>>>,
    /// `bindTimeoutSeconds` of VolumeBinding.
    pub bind_timeout: Option<SimDuration>,
    /// `shape` of VolumeBinding: (utilization 0..=100, score 0..=10).
    pub volume_binding_shape: Option<Vec<(u32, u32)>>,
}

/// `NodeResourcesFitArgs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FitArgs {
    /// `ignoredResources`.
    pub ignored_resources: Vec<String>,
    /// `ignoredResourceGroups`.
    pub ignored_resource_groups: Vec<String>,
    /// `scoringStrategy.type`.
    pub strategy: FitStrategy,
    /// `scoringStrategy.resources` with their weights, 1..=100.
    pub resources: Vec<(String, u32)>,
}

/// `scoringStrategy.type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FitStrategy {
    /// Prefers empty nodes.
    LeastAllocated,
    /// Prefers full nodes.
    MostAllocated,
    /// By a shape: (utilization 0..=100, score 0..=10).
    RequestedToCapacityRatio(Vec<(u32, u32)>),
}
