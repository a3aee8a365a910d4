//! stowplan simulates Kubernetes clusters whose pods live on local PersistentVolumes.

#[cfg(feature = "cli")]
pub mod cli;
pub mod conformance;
pub mod control;
pub mod diagnostic;
pub mod engine;
pub mod manifest;
pub mod model;
pub mod observe;
pub mod plan;
pub mod report;
pub mod results;
pub mod scenario;
pub mod scheduler;
pub mod simulate;
pub mod sweep;
pub mod trace;
pub mod world;
