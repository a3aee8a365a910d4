//! `stowplan conformance`: replays recorded decisions and compares.

use super::output;
use crate::conformance::explain::{explain, explain_json};
use crate::conformance::replay::ReplayError;
use crate::conformance::report::{ReportError, find_case, run_files};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::scheduler::cycle::Engine;
use std::io;
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
        Ok((text, code)) => super::answer(output::say(&text).map(|()| code).map_err(Into::into)),
        Err(error) => {
            let findings = Diagnostics::from(*error);
            output::complain(&findings.render(output::colour_on_stderr()));
            ExitCode::from(findings.exit_code())
        }
    }
}

/// What kind of trouble with files of cases it is.
fn code_of(error: &ReportError) -> Code {
    use io::ErrorKind::{InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound, UnexpectedEof};
    match error {
        ReportError::Read { source, .. } => match source.kind() {
            NotFound | NotADirectory => Code::FileMissing,
            IsADirectory | InvalidInput => Code::NotAFile,
            InvalidData => Code::NotUtf8,
            UnexpectedEof => Code::RecordedCase,
            _ => Code::FileUnreadable,
        },
        ReportError::Long { .. } => Code::TooLarge,
        ReportError::Case { .. } | ReportError::Empty { .. } => Code::RecordedCase,
    }
}

fn answer(args: &Args) -> Result<(String, u8), Box<Diagnostic>> {
    let failed = |code: Code, message: String| Box::new(Diagnostic::error(code, message));
    let bad = |error: ReportError| failed(code_of(&error), error.to_string());
    if let Some(id) = &args.explain {
        let case = find_case(&args.files, id).map_err(bad)?;
        let case =
            case.ok_or_else(|| failed(Code::UnknownReference, format!("no case {id:?} in the given files")))?;
        let failed = |error: ReplayError| failed(Code::RecordedCase, format!("{id}: {error}"));
        let text = match args.json {
            true => format!("{}\n", explain_json(&case).map_err(failed)?),
            false => explain(&case).map_err(failed)?,
        };
        return Ok((text, 0));
    }
    let report = run_files(&args.files, Engine::Plain).map_err(bad)?;
    let code = u8::from(!report.agrees());
    if args.json {
        let text =
            serde_json::to_string(&report).map_err(|error| failed(Code::OutputWrite, error.to_string()))?;
        return Ok((text + "\n", code));
    }
    Ok((report.table(), code))
}
