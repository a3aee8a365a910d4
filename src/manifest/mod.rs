//! Kubernetes objects in: files of YAML or JSON, as `kubectl get -o yaml` prints them or as people write them.
//!
//! ```text
//! text -> tree -> old forms converted -> typed object -> validated as the API does -> API defaults -> Located<Object>
//! ```
//! What the real API refuses is an error with a place; what it accepts is at most a warning. Kinds that are not simulated are
//! skipped and counted.

mod convert;
pub mod defaulting;
pub mod export;
mod field;
mod load;
pub mod local_storage;
pub mod lower;
mod objects;
mod of_scenario;
mod slim;
mod validate;
pub mod volume_groups;

pub use convert::{ALPHA_NODE_AFFINITY, BETA_STORAGE_CLASS};
pub use load::{LoadOptions, Loader, Manifests, Skipped};
pub use objects::{Located, Object};
pub use of_scenario::{ScenarioObjects, check_objects, for_scenario, read_objects};

#[cfg(test)]
mod tests;
