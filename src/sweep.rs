//! Many runs out of one scenario: which runs, in which order, kept durably, on one machine or many.
//!
//! A sweep is a list of points (values of the axes), and at every point each variant is run with the same seeds, so that
//! variants are compared in pairs. Everything here is written against [`Evaluate`]: what a run *is* belongs to the
//! simulator. Only this module and [`crate::plan`] know threads.

pub mod job;

pub use job::{Evaluate, Job, JobKey, Metrics, Point, Setting, replication_seed};
