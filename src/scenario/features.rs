//! Defaults that depend on what this version simulates.

use super::types::*;

/// The control plane of a scenario that names none: its word, its value and what is said about it.
pub fn default_control_plane() -> (&'static str, ControlPlane, &'static str) {
    (
        "kubernetes",
        ControlPlane::KUBERNETES,
        "the default timers and client limits of Kubernetes v1.36; a scheduling attempt takes no time (attempt: zero)",
    )
}

/// `percentageOfNodesToScore` of a scenario that names none: its value and what is said about it.
pub fn default_percentage_of_nodes() -> (u32, &'static str) {
    (0, "adaptive, as in Kubernetes: all nodes up to 100, a share of more")
}
