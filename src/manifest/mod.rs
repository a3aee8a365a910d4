//! Kubernetes objects in: read, converted, defaulted, validated, lowered to the model.

pub mod lower;
