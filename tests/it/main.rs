//! Integration tests: one binary, so that it links once.

mod api;
mod cli;
mod conformance;
mod deploy;
mod docs;
mod explain;
mod golden;
mod layers;
mod plan;
mod recordings;
mod snapshot;
mod trace;
mod trace_runs;
