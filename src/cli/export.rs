//! `stowplan export manifests`: the objects of a scenario at a time, for a real control plane.

use super::run::Request;
use super::{Answer, Cli, Command, Failure, output};
use crate::diagnostic::{Code, Diagnostic};
use crate::engine::time::SimDuration;
use crate::limits::{self, Limit};
use crate::results::disk::RealDisk;
use crate::results::write::{PROVENANCE_FILE, Provenance, ResultsError, put_file};
use crate::simulate::{self, inputs};
use clap::Parser;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stowplan export manifests scenarios/mysql-local-pv.yaml --at 2d -o state.yaml"
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write all Kubernetes objects as YAML that kubectl accepts; nodes carry KWOK's annotation.
    Manifests(ManifestsArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stowplan export manifests scenarios/mysql-local-pv.yaml --at 2d -o state.yaml\n  \
    stowplan export manifests results/mysql-local-pv --variant immediate | kubectl apply -f -\n  \
    stowplan run -f state.yaml"
)]
struct ManifestsArgs {
    /// Scenario file, or the folder of a run's results: that run is done again as it was.
    #[arg(
        value_name = "SCENARIO|RESULTS",
        required_unless_present = "manifests",
        conflicts_with = "manifests"
    )]
    source: Option<PathBuf>,
    /// Kubernetes manifests instead of a scenario.
    #[arg(short = 'f', long = "filename", value_name = "MANIFESTS", num_args = 1..)]
    manifests: Vec<String>,
    /// At which time, such as 2d6h; default: at the end of the run. 0s: the objects of the start, once the control plane has settled.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<SimDuration>,
    /// The variant; default: the scenario as written (results: their only variant).
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Seed of every random choice.
    #[arg(long)]
    seed: Option<u64>,
    /// Change a value of the scenario, such as cluster.nodes[db].count=40; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Write the pods that have ended, too, with their status. `kubectl apply` alone would start them anew.
    #[arg(long)]
    ended: bool,
    /// File; `-` is standard output.
    #[arg(short = 'o', long = "output", value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

fn time(text: &str) -> Result<SimDuration, String> {
    SimDuration::parse(text).map_err(|_| "expected a duration such as 90s, 5m, 4h, 30d or 2d6h".to_owned())
}

/// Exports.
///
/// # Errors
/// Bad input, or a file that cannot be written.
pub fn run(args: &Args) -> Answer {
    let What::Manifests(args) = &args.what;
    let words = words(args)?;
    let cli = Cli::try_parse_from(&words)
        .map_err(|error| Failure::from(Diagnostic::error(Code::Other, error.to_string())))?;
    let Command::Run(run) = cli.command else {
        let message = "the results are not those of stowplan run";
        return Err(Diagnostic::error(Code::Conflict, message).into());
    };
    let request = match args.source.as_deref().filter(|source| source.is_dir()) {
        // What the run has read is kept with its results.
        Some(folder) if folder.join(inputs::INPUTS_FOLDER).is_dir() => {
            Request::recorded(&run, inputs::load(folder)?.0)?
        }
        _ => Request::new(&run)?,
    };
    let (variant, mut prepared) = request.single()?;
    if let Some(at) = args.at {
        prepared.plan.duration = Some(at);
    }
    let (at, exported) = simulate::state(&prepared.plan, args.ended)
        .map_err(|error| Failure::coded(Code::Other, error.to_string()))?;
    let source =
        args.source.as_deref().map_or_else(|| args.manifests.join(" "), |path| path.display().to_string());
    let title = format!("{source}, variant {variant}, at {at}; written by stowplan export manifests");
    let text = exported.yaml(&title);
    if args.output == Path::new("-") {
        output::say(&text)?;
    } else {
        put_file(&args.output, text.as_bytes(), &RealDisk)?;
    }
    Ok(0)
}

/// The command line of the run whose state is asked for.
fn words(args: &ManifestsArgs) -> Result<Vec<String>, Failure> {
    let mut words: Vec<String> = match &args.source {
        Some(folder) if folder.is_dir() => recorded(folder)?,
        Some(scenario) => vec!["stowplan".into(), "run".into(), scenario.display().to_string()],
        None => {
            let mut words = vec!["stowplan".into(), "run".into(), "-f".into()];
            words.extend(args.manifests.iter().cloned());
            words
        }
    };
    match &args.variant {
        Some(variant) => words.extend(["--variant".into(), variant.clone()]),
        None if args.source.as_ref().is_some_and(|source| source.is_dir()) => {}
        None => words.extend(["--mode".into(), "as-is".into()]),
    }
    words.extend(args.seed.into_iter().flat_map(|seed| ["--seed".into(), seed.to_string()]));
    for set in &args.sets {
        words.extend(["--set".into(), set.clone()]);
    }
    Ok(words)
}

/// What made a results folder. Its scenario must be where it was.
fn recorded(folder: &Path) -> Result<Vec<String>, Failure> {
    let path = folder.join(PROVENANCE_FILE);
    let text = limits::read_text(&path, Limit::ResultsBytes).map_err(ResultsError::io(&path, "read"))?;
    let provenance: Provenance = serde_json::from_str(&text).map_err(|error| {
        let message = format!("{}: not results of stowplan: {error}", path.display());
        Failure::from(Diagnostic::error(Code::Conflict, message))
    })?;
    if provenance.kind != "run" {
        let message = format!("{} holds results of `{}`, not of `run`", folder.display(), provenance.kind);
        return Err(Diagnostic::error(Code::Conflict, message).into());
    }
    Ok(provenance.command)
}
