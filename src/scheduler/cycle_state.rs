//! What plugins computed for the pod at hand: one typed field per plugin, reused between pods.

/// State of one scheduling cycle. Every plugin that needs one adds a field of its own type here; nobody reads another's.
#[derive(Clone, Debug, Default)]
pub struct CycleState {
    /// NodeVolumeLimits.
    pub node_volume_limits: super::plugins::node_volume_limits::NodeVolumeLimitsState,
    /// VolumeBinding.
    pub volume_binding: super::plugins::volume_binding::VolumeBindingState,
    /// VolumeRestrictions.
    pub volume_restrictions: super::plugins::volume_restrictions::VolumeRestrictionsState,
    /// VolumeZone.
    pub volume_zone: super::plugins::volume_zone::VolumeZoneState,
}
