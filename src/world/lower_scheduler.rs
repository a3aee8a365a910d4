//! From `scheduler` and its KubeSchedulerConfiguration to profiles. What the scenario says itself beats the file.

use super::lower::PlanError;
use crate::engine::time::SimDuration;
use crate::manifest::lower;
use crate::model::cluster::Cluster;
use crate::model::labels::{LabelSelector, NodeSelectorTerm};
use crate::model::names::{Names, sym};
use crate::model::spec::{SpreadConstraint, WhenUnsatisfiable};
use crate::scenario as written;
use crate::scheduler::plugins::default_preemption::DefaultPreemptionArgs;
use crate::scheduler::plugins::inter_pod_affinity::InterPodAffinityArgs;
use crate::scheduler::plugins::node_affinity::NodeAffinityArgs;
use crate::scheduler::plugins::node_resources_fit::{NodeResourcesFitArgs, ResourceWeight, ScoringStrategy};
use crate::scheduler::plugins::pod_topology_spread::DefaultConstraints;
use crate::scheduler::plugins::score::ShapePoint;
use crate::scheduler::profile::{EnabledPlugin, NodesToScore, PluginSet, Plugins, ProfileConfig};
use k8s_openapi::api::core::v1 as core;
use std::collections::BTreeMap;

/// `bindTimeoutSeconds` of Kubernetes: a control plane with another one was told so.
const USUAL_BIND_TIMEOUT: SimDuration = SimDuration::from_secs(600);

/// The profiles of a scenario; at least one.
///
/// # Errors
/// A selector in the configuration that the API would refuse.
pub fn profiles(
    cluster: &mut Cluster,
    from: &written::SchedulerSettings,
    bind_timeout: SimDuration,
) -> Result<Vec<ProfileConfig>, PlanError> {
    let none = written::SchedulerConfig { profiles: vec![Default::default()], ..Default::default() };
    let config = from.config.as_ref().map_or(&none, |config| &config.value);
    let mut all = Vec::new();
    for profile in &config.profiles {
        let mut lowered = with_args(cluster, &profile.args)?;
        lowered.scheduler_name = if profile.name.is_empty() {
            sym::DEFAULT_SCHEDULER
        } else {
            cluster.names.intern(&profile.name)
        };
        lowered.plugins = plugins(&profile.plugins);
        weigh(&mut lowered.plugins.score, &from.weights);
        let asked = from
            .percentage_of_nodes_to_score
            .or(profile.percentage_of_nodes_to_score)
            .or(config.percentage_of_nodes_to_score);
        lowered.nodes_to_score = match asked {
            Some(100) => NodesToScore::All,
            // Nothing said means Kubernetes' default, which is adaptive.
            other => NodesToScore::Percentage(other.unwrap_or(0)),
        };
        if bind_timeout != USUAL_BIND_TIMEOUT || profile.args.bind_timeout.is_none() {
            lowered.volume_binding.bind_timeout = bind_timeout;
        }
        lowered.volume_binding.storage_capacity_scoring =
            from.feature_gates.get("StorageCapacityScoring").copied().unwrap_or(false);
        if let Some(points) = &from.volume_binding_shape {
            lowered.volume_binding.shape = shape(points);
        }
        all.push(lowered);
    }
    Ok(all)
}

fn shape(points: &[(u32, u32)]) -> Vec<ShapePoint> {
    let point = |&(utilization, score): &(u32, u32)| ShapePoint {
        utilization: i64::from(utilization),
        score: i64::from(score),
    };
    points.iter().map(point).collect()
}

fn plugins(from: &written::PluginLists) -> Plugins {
    let set = |list: &written::PluginList| PluginSet {
        enabled: list
            .enabled
            .iter()
            .map(|(name, weight)| EnabledPlugin { name: name.clone(), weight: *weight })
            .collect(),
        disabled: list.disabled.clone(),
    };
    Plugins {
        multi_point: set(&from.multi_point),
        pre_filter: set(&from.pre_filter),
        filter: set(&from.filter),
        post_filter: set(&from.post_filter),
        score: set(&from.score),
        reserve: set(&from.reserve),
    }
}

/// The scenario's own weights beat those of the file.
fn weigh(score: &mut PluginSet, weights: &BTreeMap<String, u32>) {
    for (name, &weight) in weights {
        score.enabled.retain(|plugin| weight > 0 || plugin.name != *name);
        if weight == 0 {
            score.disabled.push(name.clone());
            continue;
        }
        let weight = Some(i64::from(weight));
        match score.enabled.iter_mut().find(|plugin| plugin.name == *name) {
            Some(plugin) => plugin.weight = weight,
            None => score.enabled.push(EnabledPlugin { name: name.clone(), weight }),
        }
    }
}

fn with_args(cluster: &mut Cluster, args: &written::PluginArgs) -> Result<ProfileConfig, PlanError> {
    let mut profile = ProfileConfig::default();
    if let Some((percentage, absolute)) = args.default_preemption {
        profile.default_preemption = DefaultPreemptionArgs {
            min_candidate_nodes_percentage: percentage,
            min_candidate_nodes_absolute: absolute,
        };
    }
    if let Some((weight, ignore)) = args.inter_pod_affinity {
        profile.inter_pod_affinity = InterPodAffinityArgs {
            hard_pod_affinity_weight: i32::try_from(weight).unwrap_or(i32::MAX),
            ignore_preferred_terms_of_existing_pods: ignore,
        };
    }
    if let Some(affinity) = &args.node_affinity {
        profile.node_affinity = added_affinity(cluster, affinity)?;
    }
    if let Some(fit) = &args.node_resources_fit {
        profile.node_resources_fit = NodeResourcesFitArgs {
            ignored_resources: fit.ignored_resources.iter().map(|name| cluster.names.intern(name)).collect(),
            ignored_resource_groups: fit.ignored_resource_groups.clone(),
            strategy: match &fit.strategy {
                written::FitStrategy::LeastAllocated => ScoringStrategy::LeastAllocated,
                written::FitStrategy::MostAllocated => ScoringStrategy::MostAllocated,
                written::FitStrategy::RequestedToCapacityRatio(points) => {
                    ScoringStrategy::RequestedToCapacityRatio(shape(points))
                }
            },
            resources: weights(cluster, &fit.resources),
        };
    }
    if let Some(resources) = args.balanced_allocation.as_ref().filter(|r| !r.is_empty()) {
        profile.balanced_resources = weights(cluster, resources);
    }
    if let Some(Some(constraints)) = &args.pod_topology_spread {
        let list = constraints.iter().map(|constraint| spread(cluster, constraint)).collect();
        profile.pod_topology_spread = DefaultConstraints::List(list);
    }
    if let Some(timeout) = args.bind_timeout {
        profile.volume_binding.bind_timeout = timeout;
    }
    if let Some(points) = &args.volume_binding_shape {
        profile.volume_binding.shape = shape(points);
    }
    Ok(profile)
}

fn weights(cluster: &mut Cluster, from: &[(String, u32)]) -> Vec<ResourceWeight> {
    let weight = |(name, weight): &(String, u32)| ResourceWeight {
        name: cluster.names.intern(name),
        weight: i64::from(*weight),
    };
    from.iter().map(weight).collect()
}

fn added_affinity(cluster: &mut Cluster, from: &core::NodeAffinity) -> Result<NodeAffinityArgs, PlanError> {
    let refused =
        |error: lower::LowerError| PlanError::Manifest(format!("scheduler.config: addedAffinity: {error}"));
    let malformed = |terms: &[NodeSelectorTerm], names: &Names| {
        let bad = terms.iter().any(|term| !term.is_well_formed(names));
        let text =
            "scheduler.config: addedAffinity: a requirement is malformed (number or form of its values)";
        if bad { Err(PlanError::Manifest(text.to_owned())) } else { Ok(()) }
    };
    let required = from.required_during_scheduling_ignored_during_execution.as_ref();
    let required =
        required.map(|selector| lower::node_selector(cluster, selector)).transpose().map_err(refused)?;
    let mut preferred = Vec::new();
    for term in from.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
        let selector = core::NodeSelector { node_selector_terms: vec![term.preference.clone()] };
        let lowered = lower::node_selector(cluster, &selector).map_err(refused)?;
        preferred.extend(lowered.terms.into_iter().map(|lowered| (term.weight, lowered)));
    }
    if let Some(selector) = &required {
        malformed(&selector.terms, &cluster.names)?;
    }
    let considered: Vec<NodeSelectorTerm> =
        preferred.iter().filter(|(weight, _)| *weight != 0).map(|(_, term)| term.clone()).collect();
    malformed(&considered, &cluster.names)?;
    Ok(NodeAffinityArgs { required, preferred })
}

/// A default constraint: its selector is deduced for each pod.
fn spread(cluster: &mut Cluster, from: &core::TopologySpreadConstraint) -> SpreadConstraint {
    SpreadConstraint {
        max_skew: from.max_skew,
        topology_key: cluster.names.intern(&from.topology_key),
        when_unsatisfiable: match from.when_unsatisfiable.as_str() {
            "DoNotSchedule" => WhenUnsatisfiable::DoNotSchedule,
            _ => WhenUnsatisfiable::ScheduleAnyway,
        },
        selector: LabelSelector::Nothing,
        min_domains: from.min_domains.unwrap_or(1),
        honor_node_affinity: from.node_affinity_policy.as_deref() != Some("Ignore"),
        honor_node_taints: from.node_taints_policy.as_deref() == Some("Honor"),
    }
}
