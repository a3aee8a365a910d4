//! The modelled cluster: Kubernetes objects as columns behind typed ids.
//!
//! Invariant: nothing outside [`cluster::Cluster`]'s mutators changes an object.

pub mod capacities;
pub mod cluster;
pub mod few;
#[cfg(test)]
pub(crate) mod fixture;
pub mod id_lists;
pub mod ids;
pub mod labels;
pub mod names;
pub mod node;
pub mod pinned;
pub mod pod;
pub mod quantity;
pub mod resources;
pub mod spec;
pub mod volume;
pub mod volume_group;
pub mod volume_index;
pub mod workload;
