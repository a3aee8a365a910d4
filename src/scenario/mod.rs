//! Scenario files: read with positions, checked, resolved against the catalogues.
//!
//! ```text
//! text -> yaml / json -> tree -> overrides (paths) -> read -> Scenario
//! ```
//! [`ScenarioFile`] is the text's tree; [`ScenarioFile::resolve`] applies overrides to it and reads it, so a variant, a point of a
//! sweep and `--set` go through the same checks as the file itself.

pub mod axes;
pub mod catalog;
pub mod de;
pub mod features;
pub mod files;
pub mod json;
mod load;
pub mod new;
pub mod paths;
mod read;
mod reader;
pub mod recorded;
pub mod schema;
pub mod tree;
pub mod types;
pub mod yaml;

pub use load::{LoadOptions, Loaded, ScenarioFile, read_text};
pub use read::{FEATURE_GATES, VERBS};
pub use reader::{Assumption, parse_share, quantity_hint};
pub use types::*;
