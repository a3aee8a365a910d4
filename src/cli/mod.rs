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

use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean, escape};
use crate::limits::{self, Limit};
use crate::model::quantity::Quantity;
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
What is read stays within limits; --limit NAME=VALUE changes one (stowplan catalog limits).
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
    /// Change what is accepted of input, such as manifest-bytes=4Gi; may be repeated. `stowplan catalog limits` lists them.
    #[arg(long = "limit", global = true, value_name = "NAME=VALUE", value_parser = limit)]
    pub limits: Vec<(Limit, u64)>,
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
    /// Words without a code: a signal, or an answer that is no.
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
    /// Trouble without a place.
    fn coded(code: Code, message: impl Into<String>) -> Failure {
        Diagnostic::error(code, message).into()
    }
    /// Says what went wrong on standard error.
    fn report(&self) {
        match self {
            Failure::Input(diagnostics) => {
                output::complain(&diagnostics.render(output::colour_on_stderr()));
            }
            Failure::Results(error) => Failure::coded(results_code(error), error.to_string()).report(),
            Failure::Other(_, message) => output::complain(&format!("error: {}\n", escape(message))),
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
        Failure::coded(Code::OutputWrite, format!("cannot write: {error}"))
    }
}

/// What kind of trouble with a results folder it is.
fn results_code(error: &ResultsError) -> Code {
    use std::io::ErrorKind::{
        FileTooLarge, InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound,
    };
    match error {
        ResultsError::Refused { .. } => Code::OutputFolder,
        ResultsError::Malformed { .. } => Code::ResultsMalformed,
        ResultsError::Io { action: "read", source, .. } => match source.kind() {
            NotFound | NotADirectory => Code::FileMissing,
            InvalidInput | IsADirectory => Code::NotAFile,
            FileTooLarge => Code::TooLarge,
            InvalidData => Code::NotUtf8,
            _ if error.is_bad_input() => Code::ResultsMalformed,
            _ => Code::FileUnreadable,
        },
        ResultsError::Io { .. } => Code::OutputWrite,
    }
}

/// What a command that came to its end answers: 0 yes, 1 no.
pub type Answer = Result<u8, Failure>;

/// A limit and its new value.
fn limit(text: &str) -> Result<(Limit, u64), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let known = limits::LIMITS.iter().map(|info| info.name);
    let limit = Limit::named(name).ok_or_else(|| {
        let hint =
            did_you_mean(name, known).unwrap_or_else(|| "`stowplan catalog limits` names them".to_owned());
        format!("there is no limit `{}`; {hint}", escape(name))
    })?;
    let info = limit.info();
    let quantity: Quantity =
        Quantity::parse(value).map_err(|_| "expected a number or a size such as 4Gi".to_owned())?;
    match u64::try_from(quantity.ceil()) {
        Ok(value) if (1..=info.most).contains(&value) => Ok((limit, value)),
        _ => Err(format!("expected 1 to {} {}", info.most, info.unit)),
    }
}

/// Runs a command line.
pub fn main() -> ExitCode {
    // clap exits with 2 for a command line that makes no sense, as bad input does, and with 0 for --help and --version.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            let code = Code::CommandLine.info().number;
            let shown = match output::colour_on_stderr() {
                true => error.render().ansi().to_string(),
                false => error.render().to_string(),
            };
            output::complain(&shown.replacen("error:", &format!("error[{code}]:"), 1));
            return ExitCode::from(2);
        }
    };
    signals::install();
    run(cli)
}

/// Runs one command.
pub fn run(cli: Cli) -> ExitCode {
    output::set_level(cli.quiet, cli.verbose);
    cli.limits.iter().for_each(|(limit, value)| limit.set(*value));
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
    self::answer(answer)
}

/// Says what went wrong; the exit code.
fn answer(answer: Answer) -> ExitCode {
    match answer {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}
