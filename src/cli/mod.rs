//! The command line: one file per subcommand, arguments as typed -> arguments resolved -> run.
//!
//! Exit codes: 0 done, 1 the answer is no, 2 bad input, 3 could not read, write or stay within limits, 130 and 143 after a
//! signal. A closed standard output is no error.

pub mod catalog;
pub mod check;
pub mod conformance;
pub mod new;
pub mod output;
pub mod plan;
pub mod plot;
pub mod run;
pub mod signals;
pub mod sweep;
pub mod trace;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::results::write::ResultsError;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Simulates Kubernetes clusters whose pods live on local PersistentVolumes: what gets stuck, wasted and stranded, before it
/// happens.
#[derive(Debug, Parser)]
#[command(name = "stowplan", version, about, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a scenario, or Kubernetes manifests, and compare its variants.
    Run(run::Args),
    /// Check scenario files without running them.
    Check(check::Args),
    /// Run a scenario at every point of its sweep.
    Sweep(sweep::Args),
    /// Put the parts of a sweep together.
    Merge(sweep::MergeArgs),
    /// Find the smallest or cheapest cluster that meets the scenario's service levels.
    Plan(plan::Args),
    /// Draw the pictures and the page of results again, as SVG or PNG.
    Plot(plot::Args),
    /// Write a commented scenario to begin with.
    New(new::NewArgs),
    /// Print the JSON Schema of scenario files, for editors.
    Schema,
    /// List the built-in machine shapes and workload presets.
    Catalog(catalog::Args),
    /// Replay recorded decisions of the real scheduler and PV controller and compare everything.
    Conformance(conformance::Args),
    /// Look into traces and convert them.
    Trace(trace::TraceArgs),
}

/// Why a command stopped.
#[derive(Debug)]
pub enum Failure {
    /// Bad input, with its place.
    Input(Diagnostics),
    /// Results could not be written or read.
    Results(ResultsError),
    /// Anything else: exit code and words.
    Other(u8, String),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Input(diagnostics) => diagnostics.exit_code(),
            Failure::Results(error) => error.exit_code(),
            Failure::Other(code, _) => *code,
        }
    }
    /// Says what went wrong on standard error.
    fn report(&self) {
        match self {
            Failure::Input(diagnostics) => {
                output::complain(&diagnostics.render(output::colour_on_stderr()));
            }
            Failure::Results(error) => output::complain(&format!("error: {error}\n")),
            Failure::Other(_, message) => output::complain(&format!("error: {message}\n")),
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Failure {
        Failure::Input(diagnostics)
    }
}
impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Failure {
        Failure::Input(diagnostic.into())
    }
}
impl From<ResultsError> for Failure {
    fn from(error: ResultsError) -> Failure {
        Failure::Results(error)
    }
}
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Other(3, format!("cannot write: {error}"))
    }
}

/// What a command that came to its end answers: 0 yes, 1 no.
pub type Answer = Result<u8, Failure>;

/// Runs a command line.
pub fn main() -> ExitCode {
    // clap exits with 2 for a command line that makes no sense, as bad input does, and with 0 for --help and --version.
    let cli = Cli::parse();
    signals::install();
    run(cli)
}

/// Runs one command.
pub fn run(cli: Cli) -> ExitCode {
    let answer = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Merge(args) => sweep::merge(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Plot(args) => plot::run(&args),
        Command::New(args) => new::run(&args),
        Command::Schema => new::schema(),
        Command::Catalog(args) => catalog::run(&args),
        Command::Conformance(args) => return conformance::run(&args),
        Command::Trace(args) => return trace::run(&args),
    };
    match answer {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}
