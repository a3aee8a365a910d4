//! What a run leaves behind: the schema of `summary.json`, the rows of the CSV tables, and writing and reading them.
//!
//! The simulator fills a [`RunOutput`]; [`crate::report`] only reads it. Nothing here computes a metric, except the
//! `comparison`, which is the difference of two finished summaries.

mod csv_lines;
pub mod disk;
pub mod leaves;
pub mod number;
pub mod run;
pub mod summary;
pub mod sweep;
pub mod tables;
pub mod write;

pub use run::{Extras, load, write_run};
pub use summary::{Summary, VariantSummary};
pub use tables::VariantOutput;

/// The version of every file in a results folder. It grows when a reader of the old files would misread the new ones.
pub const SCHEMA_VERSION: u32 = 1;

/// The name and version that results carry, and by which a results folder is known as ours.
pub const TOOL: &str = concat!("stowplan ", env!("CARGO_PKG_VERSION"));

/// A finished run: its summary, and one table set per variant in the order of `summary.variants`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunOutput {
    /// The content of `summary.json`, but for each variant's summary until [`RunOutput::new`] has moved it there.
    pub summary: Summary,
    /// The tables of each variant, in the order of `summary.variants`.
    pub variants: Vec<VariantOutput>,
}

impl RunOutput {
    /// Joins finished variants to a run: fills `summary.variants` from them and computes `summary.comparison`.
    ///
    /// The first variant is the baseline.
    pub fn new(mut summary: Summary, variants: Vec<VariantOutput>) -> RunOutput {
        summary.variants = variants.iter().map(|v| v.summary.clone()).collect();
        summary.comparison = summary::compare(&summary.variants);
        RunOutput { summary, variants }
    }
}
