//! The rules of the plugins, each on a cluster small enough to check by hand.

mod affinity;
mod nodes;
mod preemption;
mod resources;
mod spread;
