//! What plugins computed for the pod at hand: one typed field per plugin, reused between pods.

use super::plugins::image_locality::ImageLocalityState;
use super::plugins::inter_pod_affinity::InterPodAffinityState;
use super::plugins::node_resources_balanced_allocation::NodeResourcesBalancedAllocationState;
use super::plugins::node_resources_fit::NodeResourcesFitState;
use super::plugins::node_volume_limits::NodeVolumeLimitsState;
use super::plugins::pod_topology_spread::PodTopologySpreadState;
use super::plugins::volume_binding::VolumeBindingState;
use super::plugins::volume_restrictions::VolumeRestrictionsState;
use super::plugins::volume_zone::VolumeZoneState;

/// State of one scheduling cycle. Every plugin that needs one adds a field of its own type here; nobody reads another's.
///
/// The fields keep their memory from pod to pod: a plugin resets its own in PreFilter or PreScore.
#[derive(Clone, Debug, Default)]
pub struct CycleState {
    /// Per PreFilter plugin of the profile, in order: it said Skip, so its Filter and its AddPod and RemovePod are not called.
    pub(super) skip_filter: Vec<bool>,
    /// DynamicResources came to look at the pod in PreFilter.
    pub dynamic_resources_seen: bool,
    /// Calls of a Filter or Score plugin for one node so far.
    pub evaluations: u64,
    /// NodeResourcesFit.
    pub node_resources_fit: NodeResourcesFitState,
    /// NodeResourcesBalancedAllocation.
    pub node_resources_balanced_allocation: NodeResourcesBalancedAllocationState,
    /// ImageLocality.
    pub image_locality: ImageLocalityState,
    /// InterPodAffinity.
    pub inter_pod_affinity: InterPodAffinityState,
    /// PodTopologySpread.
    pub pod_topology_spread: PodTopologySpreadState,
    /// NodeVolumeLimits.
    pub node_volume_limits: NodeVolumeLimitsState,
    /// VolumeBinding.
    pub volume_binding: VolumeBindingState,
    /// VolumeRestrictions.
    pub volume_restrictions: VolumeRestrictionsState,
    /// VolumeZone.
    pub volume_zone: VolumeZoneState,
}

impl CycleState {
    /// A copy for a dry run on one node (preemption, nominated pods): what Filter reads and AddPod and RemovePod change.
    pub fn fork(&self) -> CycleState {
        CycleState {
            skip_filter: self.skip_filter.clone(),
            dynamic_resources_seen: self.dynamic_resources_seen,
            node_resources_fit: self.node_resources_fit.clone(),
            inter_pod_affinity: self.inter_pod_affinity.fork(),
            pod_topology_spread: self.pod_topology_spread.fork(),
            node_volume_limits: self.node_volume_limits.clone(),
            volume_binding: self.volume_binding.fork(),
            volume_restrictions: self.volume_restrictions.clone(),
            volume_zone: self.volume_zone.clone(),
            ..CycleState::default()
        }
    }
}
