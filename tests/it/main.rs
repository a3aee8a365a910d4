//! Integration tests: one binary, so that it links once.

mod cli;
mod conformance;
mod golden;
mod layers;
mod trace;
