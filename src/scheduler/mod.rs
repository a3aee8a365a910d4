//! kube-scheduler v1.36: framework, plugins, scheduling cycle, preemption, queue.

pub mod cycle;
pub mod cycle_state;
pub mod dormant;
mod entries;
mod fast;
pub mod framework;
pub mod glance;
mod go_sort;
pub mod hints;
pub mod message;
#[cfg(test)]
mod monotone_tests;
mod node_order;
pub mod plugins;
pub mod profile;
mod profile_config;
pub mod queue;
mod registry;
#[cfg(test)]
mod rules;
#[cfg(test)]
pub(crate) mod testing;
