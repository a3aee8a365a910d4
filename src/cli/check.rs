//! `stowplan check FILE...`: everything that is wrong with scenario files, without running them.

use super::output;
use super::{Answer, Failure};
use crate::diagnostic::{Diagnostic, Diagnostics, Sources};
use crate::manifest::{LoadOptions as ManifestOptions, Loader};
use crate::scenario::tree::Limits;
use crate::scenario::{LoadOptions, ScenarioFile, read_text};
use crate::simulate::{self, Options};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan check mine.yaml\n  \
    stowplan check scenarios/*.yaml cluster.yaml\n  \
    stowplan check mine.yaml --set seed=7\n  \
    stowplan check mine.yaml --json | jq '.[].findings[].message'")]
pub struct Args {
    /// Scenario files or files of Kubernetes objects; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change a value before checking, as in `run`.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Refuse pending pods that ask for something that is not modelled, as `run --strict` does.
    #[arg(long)]
    strict: bool,
    /// Print the findings as JSON on standard output, and nothing else.
    #[arg(long)]
    json: bool,
}

/// Checks every file and complains about all that are bad.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> Answer {
    let mut worst = 0;
    let mut all = Vec::new();
    for path in &args.files {
        if args.json {
            let (ok, found) = match check(path, &args.sets, args.strict) {
                Ok(warnings) => (true, warnings),
                Err(bad) => (false, bad),
            };
            worst = worst.max(if ok { 0 } else { found.exit_code() });
            all.push(json!({"file": path.to_string_lossy(), "ok": ok, "findings": found.json()}));
            continue;
        }
        match check(path, &args.sets, args.strict) {
            Ok(warnings) => {
                output::complain(&warnings.render(output::colour_on_stderr()));
                output::say(&format!("{}: ok\n", path.display()))?;
            }
            Err(bad) => {
                worst = worst.max(bad.exit_code());
                Failure::Input(bad).report();
            }
        }
    }
    if args.json {
        output::say_json(&Value::Array(all))?;
    }
    Ok(worst)
}

/// Does the file hold Kubernetes objects instead of a scenario? Several documents are no scenario in any case.
fn is_manifest(path: &Path, read: Option<&ScenarioFile>) -> bool {
    if path == Path::new("-") {
        return false;
    }
    match read {
        Some(file) => file.tree().get("apiVersion").is_some() || file.tree().get("kind").is_some(),
        None => read_text(path, &Limits::manifests()).is_ok_and(|text| {
            text.lines().any(|line| {
                line.starts_with("apiVersion:") || line.trim_start().starts_with("\"apiVersion\":")
            })
        }),
    }
}

/// The warnings of a good file.
fn check(path: &Path, sets: &[String], strict: bool) -> Result<Diagnostics, Diagnostics> {
    let options = LoadOptions::default();
    let read = ScenarioFile::read(path, &options);
    if is_manifest(path, read.as_ref().ok()) {
        let mut loader = Loader::new(ManifestOptions::default(), Sources::new());
        loader.file(path, None);
        let manifests = loader.finish()?;
        return Ok(Diagnostics::new(manifests.warnings, manifests.sources));
    }
    let mut file = read?;
    let sets = file.parse_sets(sets)?;
    let base = file.resolve(&sets)?;
    let mut warnings: Vec<Diagnostic> = base.warnings.clone();
    let mut sources = base.sources.clone();
    for variant in &base.scenario.variants {
        let loaded = file.resolve_point(variant, &[], &sets)?;
        // All that a run does before it begins: manifests are read, names are looked up.
        let prepared =
            simulate::prepare(&loaded, variant.binding_mode, Options { strict, ..Options::default() })?;
        let new: Vec<Diagnostic> = prepared.warnings.into_iter().filter(|w| !warnings.contains(w)).collect();
        warnings.extend(new);
        sources = prepared.sources;
    }
    Ok(Diagnostics::new(warnings, sources))
}
