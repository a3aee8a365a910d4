//! The modelled cluster: Kubernetes objects as columns behind typed ids.

pub mod quantity;
