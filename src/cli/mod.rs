//! The command line: one file per subcommand.

pub mod conformance;
pub mod trace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Simulates Kubernetes clusters whose pods live on local PersistentVolumes.
#[derive(Debug, Parser)]
#[command(name = "stowplan", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Replay recorded decisions of the real scheduler and PV controller and compare everything.
    Conformance(conformance::Args),
    /// Look into traces and convert them.
    Trace(trace::TraceArgs),
}

/// Exit codes: 0 done, 1 the answer is no, 2 bad input, 3 could not read, write or stay within limits.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Conformance(args) => conformance::run(&args),
        Command::Trace(args) => trace::run(&args),
    }
}
