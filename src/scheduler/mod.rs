//! kube-scheduler v1.36: framework, plugins, scheduling cycle, preemption, queue.

pub mod cycle_state;
pub mod framework;
pub mod hints;
pub mod plugins;
pub mod queue;
