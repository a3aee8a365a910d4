//! Scenario files: read with positions, checked, resolved against the catalogues.

pub mod de;
pub mod json;
pub mod tree;
pub mod yaml;
