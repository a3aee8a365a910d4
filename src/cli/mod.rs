//! The command line: one file per subcommand, arguments as typed -> arguments resolved -> run.
//!
//! Exit codes: 0 done, 1 the answer is no, 2 bad input, 3 could not read, write or stay within limits, 130 and 143 after a
//! signal. A closed standard output is no error.

#![allow(
    clippy::disallowed_methods,
    reason = "people are told how long it took; results hold no time of day"
)]

pub mod catalog;
pub mod check;
pub mod conformance;
pub mod explain;
pub mod export;
pub mod import;
pub mod new;
pub mod output;
pub mod plan;
pub mod plot;
pub mod run;
pub mod runner;
pub mod shell;
pub mod signals;
pub mod sweep;
pub mod trace;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::results::write::ResultsError;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Examples under `--help`.
const EXAMPLES: &str = "Examples:
  stowplan run scenarios/mysql-local-pv.yaml
  kubectl get nodes,pv,pvc,sc,sts,deploy,pods -A -o yaml | stowplan run -f - --replay
  stowplan explain results/mysql-local-pv shop-45-0
  stowplan new mine -o mine.yaml

Exit codes: 0 done, 1 the answer is no, 2 bad input, 3 could not read or write, 130 and 143 after a signal.
Colours only on a terminal and without NO_COLOR; tables are as wide as the terminal, or COLUMNS.";

/// Simulates Kubernetes clusters whose pods live on local PersistentVolumes: what gets stuck, wasted and stranded, before it
/// happens.
#[derive(Debug, Parser)]
#[command(name = "stowplan", version, about, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say less: no progress, no notes, no warnings, and no table after a run.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: everything that was taken for granted, and how long it took.
    #[arg(short, long, global = true)]
    pub verbose: bool,
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
    #[command(after_help = "Examples:\n  stowplan schema > scenario.schema.json\n  \
        # in the first line of a scenario: # yaml-language-server: $schema=scenario.schema.json")]
    Schema,
    /// Print completions for a shell.
    Completions(shell::CompletionsArgs),
    /// Print or write man pages.
    Man(shell::ManArgs),
    /// List the built-in machine shapes and workload presets.
    Catalog(catalog::Args),
    /// Tell the life of a pod, what would have to be different for it to run, or what fills a node.
    Explain(explain::Args),
    /// Replay recorded decisions of the real scheduler and PV controller and compare everything.
    Conformance(conformance::Args),
    /// Look into traces and convert them.
    Trace(trace::TraceArgs),
    /// Make scenarios of what others have recorded.
    Import(import::ImportArgs),
    /// Write the objects of a scenario at a time as Kubernetes manifests.
    Export(export::Args),
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
    output::set_level(cli.quiet, cli.verbose);
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
        Command::Explain(args) => explain::run(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
        Command::Conformance(args) => return conformance::run(&args),
        Command::Trace(args) => return trace::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
    };
    match answer {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}
