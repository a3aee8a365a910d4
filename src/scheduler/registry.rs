//! Built-in plugins by name.

use super::plugins::volume_binding::scorer::Shape;
use super::plugins::*;
use super::profile::{ConfigError, PluginPoints, ProfileConfig};
use std::sync::Arc;

/// Makes the built-in plugin of this name with its arguments from the configuration.
///
/// # Errors
/// [`ConfigError::UnknownPlugin`].
pub fn make(name: &str, config: &ProfileConfig) -> Result<PluginPoints, ConfigError> {
    Ok(match name {
        // These act outside the scheduling cycle: before the queue, in the queue and at the end of the binding cycle.
        scheduling_gates::NAME => PluginPoints::new(scheduling_gates::NAME),
        priority_sort::NAME => PluginPoints::new(priority_sort::NAME),
        default_binder::NAME => PluginPoints::new(default_binder::NAME),
        node_unschedulable::NAME => PluginPoints::new(node_unschedulable::NAME)
            .filter(Arc::new(node_unschedulable::NodeUnschedulable)),
        node_name::NAME => PluginPoints::new(node_name::NAME).filter(Arc::new(node_name::NodeName)),
        taint_toleration::NAME => {
            let plugin = Arc::new(taint_toleration::TaintToleration);
            PluginPoints::new(taint_toleration::NAME).filter(plugin.clone()).score(plugin)
        }
        node_affinity::NAME => {
            let plugin = Arc::new(node_affinity::NodeAffinity::new(config.node_affinity.clone()));
            PluginPoints::new(node_affinity::NAME)
                .pre_filter(plugin.clone())
                .filter(plugin.clone())
                .score(plugin)
        }
        node_ports::NAME => {
            let plugin = Arc::new(node_ports::NodePorts);
            PluginPoints::new(node_ports::NAME).pre_filter(plugin.clone()).filter(plugin)
        }
        node_resources_fit::NAME => {
            let args = config.node_resources_fit.clone();
            let plugin = Arc::new(node_resources_fit::NodeResourcesFit::new(args));
            PluginPoints::new(node_resources_fit::NAME)
                .pre_filter(plugin.clone())
                .filter(plugin.clone())
                .score(plugin)
        }
        node_resources_balanced_allocation::NAME => {
            let resources = config.balanced_resources.clone();
            let plugin = node_resources_balanced_allocation::NodeResourcesBalancedAllocation::new(resources);
            PluginPoints::new(node_resources_balanced_allocation::NAME).score(Arc::new(plugin))
        }
        pod_topology_spread::NAME => {
            let defaults = config.pod_topology_spread.clone();
            let plugin = Arc::new(pod_topology_spread::PodTopologySpread::new(defaults));
            PluginPoints::new(pod_topology_spread::NAME)
                .pre_filter(plugin.clone())
                .filter(plugin.clone())
                .score(plugin)
        }
        inter_pod_affinity::NAME => {
            let plugin = Arc::new(inter_pod_affinity::InterPodAffinity::new(config.inter_pod_affinity));
            PluginPoints::new(inter_pod_affinity::NAME)
                .pre_filter(plugin.clone())
                .filter(plugin.clone())
                .score(plugin)
        }
        dynamic_resources::NAME => {
            let plugin = Arc::new(dynamic_resources::DynamicResources);
            PluginPoints::new(dynamic_resources::NAME)
                .pre_filter(plugin.clone())
                .filter(plugin.clone())
                .post_filter(plugin.clone())
                .score(plugin)
        }
        default_preemption::NAME => {
            let plugin = default_preemption::DefaultPreemption::new(config.default_preemption);
            PluginPoints::new(default_preemption::NAME).post_filter(Arc::new(plugin))
        }
        image_locality::NAME => {
            PluginPoints::new(image_locality::NAME).score(Arc::new(image_locality::ImageLocality))
        }
        node_declared_features::NAME => {
            let plugin = Arc::new(node_declared_features::NodeDeclaredFeatures);
            PluginPoints::new(node_declared_features::NAME).pre_filter(plugin.clone()).filter(plugin)
        }
        _ => return volume(name, config),
    })
}

/// The four plugins that look at volumes.
fn volume(name: &str, config: &ProfileConfig) -> Result<PluginPoints, ConfigError> {
    Ok(match name {
        volume_restrictions::NAME => {
            let plugin = Arc::new(volume_restrictions::VolumeRestrictions);
            PluginPoints::new(volume_restrictions::NAME).pre_filter(plugin.clone()).filter(plugin)
        }
        node_volume_limits::NAME => {
            let plugin = Arc::new(node_volume_limits::NodeVolumeLimits);
            PluginPoints::new(node_volume_limits::NAME).pre_filter(plugin.clone()).filter(plugin)
        }
        volume_binding::NAME => {
            let args = &config.volume_binding;
            let points: Vec<(i64, i64)> = args.shape.iter().map(|p| (p.utilization, p.score)).collect();
            let shape = if points.is_empty() { Shape::default() } else { Shape::new(&points) };
            let scoring = args.storage_capacity_scoring.then_some(shape);
            let plugin = Arc::new(volume_binding::VolumeBinding { scoring });
            PluginPoints::new(volume_binding::NAME)
                .pre_filter(plugin.clone())
                .filter(plugin.clone())
                .score(plugin.clone())
                .reserve(plugin)
        }
        volume_zone::NAME => {
            let plugin = Arc::new(volume_zone::VolumeZone);
            PluginPoints::new(volume_zone::NAME).pre_filter(plugin.clone()).filter(plugin)
        }
        // Scores of other projects, only if they are enabled by name.
        local_storage::TOPO_LVM => local_score(local_storage::Rule::TopoLvm),
        local_storage::OPEN_LOCAL_BINPACK => local_score(local_storage::Rule::OpenLocalBinpack),
        local_storage::OPEN_LOCAL_SPREAD => local_score(local_storage::Rule::OpenLocalSpread),
        _ => return Err(ConfigError::UnknownPlugin(name.into())),
    })
}

fn local_score(rule: local_storage::Rule) -> PluginPoints {
    let plugin = Arc::new(local_storage::LocalStorage(rule));
    PluginPoints::new(super::framework::Plugin::name(&*plugin)).score(plugin)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The extension points of the scheduling cycle that each plugin of kube-scheduler implements: F filter, P PreFilter, O PostFilter,
    /// S score, R reserve.
    const PLUGINS: [(&str, &str); 20] = [
        ("SchedulingGates", ""),
        ("PrioritySort", ""),
        ("DefaultBinder", ""),
        ("NodeUnschedulable", "F"),
        ("NodeName", "F"),
        ("TaintToleration", "FS"),
        ("NodeAffinity", "PFS"),
        ("NodePorts", "PF"),
        ("NodeResourcesFit", "PFS"),
        ("NodeResourcesBalancedAllocation", "S"),
        ("PodTopologySpread", "PFS"),
        ("InterPodAffinity", "PFS"),
        ("DynamicResources", "PFOS"),
        ("DefaultPreemption", "O"),
        ("ImageLocality", "S"),
        ("NodeDeclaredFeatures", "PF"),
        ("VolumeRestrictions", "PF"),
        ("NodeVolumeLimits", "PF"),
        ("VolumeBinding", "PFSR"),
        ("VolumeZone", "PF"),
    ];

    #[test]
    fn plugins_have_their_names_and_extension_points() {
        let config = ProfileConfig::default();
        for (name, points) in PLUGINS {
            let made = make(name, &config).expect(name);
            assert_eq!(made.name, name);
            let names = [
                ('P', made.pre_filter.as_ref().map(|plugin| plugin.name())),
                ('F', made.filter.as_ref().map(|plugin| plugin.name())),
                ('O', made.post_filter.as_ref().map(|plugin| plugin.name())),
                ('S', made.score.as_ref().map(|plugin| plugin.name())),
                ('R', made.reserve.as_ref().map(|plugin| plugin.name())),
            ];
            for (point, said) in names {
                assert_eq!(said, points.contains(point).then_some(name), "{name} {point}");
            }
        }
        assert!(
            matches!(make("NodeNames", &config), Err(ConfigError::UnknownPlugin(name)) if name == "NodeNames")
        );
    }
}
