//! The discrete-event kernel. Knows time, order and randomness; knows no Kubernetes.

pub mod agenda;
pub mod rng;
pub mod samplers;
pub mod simulation;
pub mod time;
