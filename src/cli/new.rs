//! `stowplan new`: a commented scenario to begin with. `stowplan schema`: its JSON Schema.

use super::{Answer, Failure, output};
use crate::diagnostic::{Code, Diagnostic, escape};
use crate::scenario::catalog::{find_machine, find_preset};
use crate::scenario::new::NewScenario;
use crate::scenario::schema::json_schema;
use std::io::Write as _;
use std::path::PathBuf;

/// Arguments of `new`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stowplan new > mine.yaml\n  stowplan new --ask -o mine.yaml\n  stowplan new kafka --workload kafka-jbod --shape i3en.6xlarge --nodes 12 --sets 4 -o kafka.yaml"
)]
pub struct NewArgs {
    /// Name of the scenario.
    #[arg(default_value = "mine")]
    name: String,
    /// Workload preset (`stowplan catalog workloads`).
    #[arg(long, default_value = "mysql-gr-medium")]
    workload: String,
    /// Machine shape (`stowplan catalog machines`).
    #[arg(long, default_value = "i4i.4xlarge")]
    shape: String,
    /// Number of nodes.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    nodes: u32,
    /// Number of sets.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sets: u32,
    /// Volumes per disk.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    split: u32,
    /// Ask for everything that follows; an empty answer takes what stands in brackets.
    #[arg(long)]
    ask: bool,
    /// Write to this file, which must not exist yet; standard output without it.
    #[arg(short, long)]
    output: Option<PathBuf>,
}

/// Writes a new scenario.
///
/// # Errors
/// Unknown presets and shapes, a bad name, a file that exists already.
pub fn run(args: &NewArgs) -> Answer {
    let asked = if args.ask { Some(ask(args)?) } else { None };
    let args = asked.as_ref().unwrap_or(args);
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins_well = args.name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins_well || !args.name.chars().all(ok) || args.name.len() > 100 {
        let message = format!("`{}` cannot be a scenario's name", escape(&args.name));
        return Err(Diagnostic::error(Code::BadName, message).help("letters, digits, `.`, `_`, `-`").into());
    }
    let unknown = |code, what: &str, name: &str, hint: String| {
        let message = format!("the {what} `{}` is not in the catalogue", escape(name));
        Failure::from(Diagnostic::error(code, message).help(hint))
    };
    let machine = find_machine(&args.shape)
        .map_err(|hint| unknown(Code::UnknownShape, "machine shape", &args.shape, hint))?;
    let preset = find_preset(&args.workload)
        .map_err(|hint| unknown(Code::UnknownPreset, "workload preset", &args.workload, hint))?;
    let new = NewScenario {
        name: &args.name,
        machine,
        nodes: args.nodes,
        split: args.split,
        preset,
        sets: args.sets,
    };
    let text = new.text();
    let Some(path) = &args.output else {
        output::say(&text)?;
        return Ok(0);
    };
    let shown = escape(&path.to_string_lossy());
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::from(Diagnostic::error(Code::OutputFolder, format!("{shown} is there already")))
        }
        _ => Failure::from(Diagnostic::error(Code::OutputWrite, format!("cannot write {shown}: {error}"))),
    })?;
    let written = file.write_all(text.as_bytes());
    written.map_err(|e| Diagnostic::error(Code::OutputWrite, format!("cannot write {shown}: {e}")))?;
    output::complain(&format!("wrote {shown}; try: stowplan run {shown}\n"));
    Ok(0)
}

/// A few questions on standard error, the answers from standard input.
fn ask(args: &NewArgs) -> Result<NewArgs, Failure> {
    let mut lines = std::io::stdin().lines();
    let mut question = |what: &str, default: String| -> Result<String, Failure> {
        output::complain(&format!("{what} [{default}]: "));
        let line = lines.next().transpose()?.unwrap_or_default();
        Ok(if line.trim().is_empty() { default } else { line.trim().to_owned() })
    };
    let number = |text: String, most: u32| -> Result<u32, Failure> {
        let found = text.parse().ok().filter(|n| (1..=most).contains(n));
        let message = format!("`{}` is not a number from 1 to {most}", escape(&text));
        found.ok_or_else(|| Diagnostic::error(Code::BadNumber, message).into())
    };
    Ok(NewArgs {
        name: question("Name of the scenario", args.name.clone())?,
        workload: question("Workload (stowplan catalog workloads lists them)", args.workload.clone())?,
        sets: number(question("How many sets of it", args.sets.to_string())?, 1_000_000)?,
        shape: question("Machine (stowplan catalog machines lists them)", args.shape.clone())?,
        nodes: number(question("How many machines", args.nodes.to_string())?, 1_000_000)?,
        split: number(question("Volumes per disk", args.split.to_string())?, 1000)?,
        ask: false,
        output: args.output.clone(),
    })
}

/// Prints the JSON Schema of a scenario.
///
/// # Errors
/// Standard output cannot be written.
pub fn schema() -> Answer {
    let text = serde_json::to_string_pretty(&json_schema()).unwrap_or_default();
    output::say(&format!("{text}\n"))?;
    Ok(0)
}
