//! The `stowplan` command.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    stowplan::cli::run(stowplan::cli::Cli::parse())
}
