//! The discrete-event kernel. Knows time, order and randomness; knows no Kubernetes.

pub mod time;
