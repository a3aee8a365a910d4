//! Integration tests: one binary, so that it links once.

mod cli;
mod conformance;
mod explain;
mod golden;
mod layers;
mod trace;
