//! `stowplan import recording FILE -o SCENARIO`: a scenario made of a recording of a real control plane.

use super::output;
use super::{Answer, Failure};
use crate::diagnostic::{Code, Diagnostic};
use crate::recording::{self, Imported};
use crate::results::disk::RealDisk;
use crate::results::write::put_file;
use std::fs;
use std::path::{Path, PathBuf};

/// Examples under `--help`.
const EXAMPLES: &str = "Examples:\n  stowplan import recording recording.json.gz -o recorded.yaml\n  \
    stowplan run recorded.yaml";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArgs {
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ImportCommand {
    /// Make a scenario of a recording: its objects, and what was done to the cluster when.
    Recording(RecordingArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct RecordingArgs {
    /// The recording: JSON, plain or gzip; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the scenario goes: a file ending in .yaml, with its manifests in a folder of that name beside it, or a folder for
    /// both; default: NAME.yaml.
    #[arg(short = 'o', long = "output", value_name = "SCENARIO")]
    output: Option<PathBuf>,
    /// Replace what is there already.
    #[arg(long)]
    force: bool,
    /// Print what was made as JSON on standard output, and nothing else.
    #[arg(long)]
    json: bool,
}

/// Imports.
///
/// # Errors
/// Recordings that make no sense, folders that cannot be written.
pub fn run(args: &ImportArgs) -> Answer {
    let ImportCommand::Recording(args) = &args.command;
    let target = Target::of(args);
    let made = recording::import_file(&args.file, &target.prefix)?;
    output::complain(&made.warnings.render(output::colour_on_stderr()));
    target.write(&made, args.force)?;
    if args.json {
        output::say_json(&serde_json::json!({
            "scenario": target.scenario.to_string_lossy(),
            "objects": made.manifests.len(),
            "operations": made.operations,
            "findings": made.warnings.json(),
        }))?;
        return Ok(0);
    }
    output::say(&format!(
        "wrote {}: {} objects, {} operations; run it with: stowplan run {}\n",
        target.scenario.display(),
        made.manifests.len(),
        made.operations,
        target.scenario.display(),
    ))?;
    Ok(0)
}

/// Where the files go.
struct Target {
    scenario: PathBuf,
    /// Folder of the scenario.
    base: PathBuf,
    /// What stands before the manifests' names in the scenario, with its slash.
    prefix: String,
}

impl Target {
    fn of(args: &RecordingArgs) -> Target {
        let default = || {
            let name = args.file.file_name().map_or("recording".into(), |n| n.to_string_lossy());
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            let stem = name.strip_suffix(".json").unwrap_or(name);
            PathBuf::from(format!("{}.yaml", if stem == "-" { "recording" } else { stem }))
        };
        let output = args.output.clone().unwrap_or_else(default);
        let ending = output.extension().and_then(|e| e.to_str());
        if matches!(ending, Some("yaml" | "yml")) && !output.is_dir() {
            let stem = output.file_stem().map_or("recording".into(), |s| s.to_string_lossy()).into_owned();
            let base = output.parent().map_or(PathBuf::new(), Path::to_path_buf);
            return Target { scenario: output, base, prefix: format!("{stem}/") };
        }
        Target { scenario: output.join("scenario.yaml"), base: output, prefix: "manifests/".to_owned() }
    }

    fn write(&self, made: &Imported, force: bool) -> Result<(), Failure> {
        let folder = self.base.join(&self.prefix);
        if !force {
            for path in [&self.scenario, &folder] {
                if fs::symlink_metadata(path).is_ok() {
                    let message = format!("{} is there already", path.display());
                    let error = Diagnostic::error(Code::OutputFolder, message);
                    return Err(error.help("give another -o, or --force to replace it").into());
                }
            }
        }
        let failed = |path: &Path, error: &std::io::Error| {
            Failure::from(Diagnostic::error(
                Code::OutputWrite,
                format!("cannot write {}: {error}", path.display()),
            ))
        };
        fs::create_dir_all(&folder).map_err(|e| failed(&folder, &e))?;
        for (path, text) in &made.manifests {
            let path = self.base.join(path);
            put_file(&path, text.as_bytes(), &RealDisk)?;
        }
        // The scenario comes last and at once: where it is, its manifests are.
        Ok(put_file(&self.scenario, made.scenario.as_bytes(), &RealDisk)?)
    }
}
