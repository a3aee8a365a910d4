//! `stowplan conformance`: replays recorded decisions and compares.

use crate::conformance::explain::{explain, explain_json};
use crate::conformance::replay::ReplayError;
use crate::conformance::report::{ReportError, find_case, run_files};
use crate::scheduler::cycle::Engine;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan conformance tests/conformance/*.jsonl.gz\n  \
    stowplan conformance cases.jsonl --json\n  \
    stowplan conformance cases.jsonl --explain CASE")]
pub struct Args {
    /// Files of recorded cases, one JSON object per line; compressed if the name ends in .gz.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the agreement as JSON.
    #[arg(long)]
    json: bool,
    /// Print both sides of one case, per node and plugin, as a table; with --json as JSON.
    #[arg(long, value_name = "CASE_ID")]
    explain: Option<String>,
}

/// 0 if everything agrees, 1 if not, 2 for files that are no recordings.
pub fn run(args: &Args) -> ExitCode {
    match answer(args) {
        Ok((text, code)) => match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(3),
            _ => ExitCode::from(code),
        },
        Err((message, code)) => {
            eprintln!("error: {message}");
            ExitCode::from(code)
        }
    }
}

fn answer(args: &Args) -> Result<(String, u8), (String, u8)> {
    let bad = |error: ReportError| {
        let code = if error.is_bad_input() { 2 } else { 3 };
        (error.to_string(), code)
    };
    if let Some(id) = &args.explain {
        let case = find_case(&args.files, id).map_err(bad)?;
        let case = case.ok_or_else(|| (format!("no case {id:?} in the given files"), 2))?;
        let failed = |error: ReplayError| (format!("{id}: {error}"), 2);
        let text = match args.json {
            true => format!("{}\n", explain_json(&case).map_err(failed)?),
            false => explain(&case).map_err(failed)?,
        };
        return Ok((text, 0));
    }
    let report = run_files(&args.files, Engine::Plain).map_err(bad)?;
    let code = u8::from(!report.agrees());
    if args.json {
        let text = serde_json::to_string(&report).map_err(|error| (error.to_string(), 3))?;
        return Ok((text + "\n", code));
    }
    Ok((report.table(), code))
}
