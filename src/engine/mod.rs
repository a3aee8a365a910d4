//! The discrete-event kernel. Knows time, order and randomness; knows no Kubernetes.

pub mod rng;
pub mod samplers;
pub mod time;
