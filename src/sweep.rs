//! Many runs out of one scenario: which runs, in which order, kept durably, on one machine or many.
//!
//! A sweep is a list of points (values of the axes), and at every point each variant is run with the same seeds, so that
//! variants are compared in pairs. Everything here is written against [`Evaluate`]: what a run *is* belongs to the
//! simulator. Only this module and [`crate::plan`] know threads.
//!
//! ```text
//! Study (points x replications x variants) -> Shard -> execute, every finished run into the Journal
//!       -> Runs (one or many files) -> sweep.csv, summary.csv
//! ```

#[cfg(feature = "parquet")]
pub mod columns;
pub mod design;
pub mod execute;
pub mod filter;
pub mod folder;
pub mod job;
pub mod journal;
pub mod record;
pub mod rounds;
pub mod runs;
pub mod shard;
pub mod sobol;
pub mod study;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod until_ci;

pub use job::{Evaluate, Job, JobKey, Metrics, Point, replication_seed};
pub use shard::Shard;
pub use study::{Study, StudyFile};
pub use until_ci::UntilCi;
