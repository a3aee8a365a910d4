//! The plugins of the default profile, one file per plugin, under their Kubernetes names.

pub mod node_volume_limits;
pub mod volume_binding;
pub mod volume_restrictions;
pub mod volume_zone;
