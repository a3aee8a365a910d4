//! Integration tests: one binary, so that it links once.

mod api;
mod cli;
#[cfg(unix)]
mod codes;
mod conformance;
mod deploy;
mod docs;
mod explain;
#[cfg(unix)]
mod faults;
mod fuzz;
mod golden;
#[cfg(unix)]
mod hostile;
mod layers;
mod plan;
mod recordings;
mod snapshot;
mod trace;
mod trace_runs;
