//! Runs files of cases in parallel, keeping their order, and sums up the agreement.

use super::case::{Case, read_lines};
use super::compare::{Agreement, Compared, Mismatch, compare};
use crate::limits::Limit;
use crate::scheduler::cycle::Engine;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

/// How many disagreements are told.
const MISMATCHES_TOLD: usize = 20;
/// How many lines are read ahead for the workers.
const BATCH: usize = 128;

/// Agreement over all files.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Cases replayed.
    pub cases: u64,
    /// Checks by kind.
    pub checks: BTreeMap<&'static str, Agreement>,
    /// The first disagreements, in the order of the files.
    pub mismatches: Vec<Mismatch>,
}

/// Why files of cases cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is not a case.
    #[error("{}:{line}: not a recorded case: {source}", file.display())]
    Case {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A line is longer than any case.
    #[error("{}:{line}: longer than {} bytes", file.display(), Limit::CaseBytes.get())]
    Long {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// There is no line in a file.
    #[error("{}: there is no recorded case in it", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

impl ReportError {
    /// The file itself is to blame (exit code 2), not the system that reads it (3).
    pub fn is_bad_input(&self) -> bool {
        use io::ErrorKind::{InvalidData, InvalidInput, IsADirectory, NotFound, UnexpectedEof};
        match self {
            ReportError::Read { source, .. } => {
                matches!(source.kind(), NotFound | InvalidData | InvalidInput | UnexpectedEof | IsADirectory)
            }
            _ => true,
        }
    }
}

/// Replays and compares all cases of some files, by the given engine.
///
/// # Errors
/// [`ReportError`] for files that cannot be read and lines that are no cases.
pub fn run_files(files: &[PathBuf], engine: Engine) -> Result<Report, ReportError> {
    let mut report = Report::default();
    for file in files {
        for_each_batch(file, |lines| {
            let compare_line = |(number, line): &(usize, String)| {
                let case = parse(line).map_err(|source| ReportError::Case {
                    file: file.clone(),
                    line: *number,
                    source,
                })?;
                Ok(compare(&case, engine))
            };
            let compared: Vec<Result<Compared, ReportError>> = lines.par_iter().map(compare_line).collect();
            for result in compared {
                report.add(result?);
            }
            Ok(())
        })?;
    }
    Ok(report)
}

/// Looks for one case in some files.
///
/// # Errors
/// [`ReportError`] for files that cannot be read and lines that are no cases.
pub fn find_case(files: &[PathBuf], id: &str) -> Result<Option<Case>, ReportError> {
    let wanted = format!("\"id\":{}", serde_json::Value::from(id));
    for file in files {
        let mut found = None;
        for_each_batch(file, |lines| {
            for (number, line) in lines.iter().filter(|(_, line)| line.contains(&wanted)) {
                let case = parse(line).map_err(|source| ReportError::Case {
                    file: file.clone(),
                    line: *number,
                    source,
                })?;
                if case.id == id {
                    found = Some(case);
                }
            }
            Ok(())
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn parse(line: &str) -> Result<Case, serde_json::Error> {
    serde_json::from_str(line)
}

/// Calls back with batches of lines with their numbers. Empty lines are passed over.
fn for_each_batch(
    file: &Path,
    mut each: impl FnMut(&[(usize, String)]) -> Result<(), ReportError>,
) -> Result<(), ReportError> {
    let failed = |source| ReportError::Read { file: file.to_owned(), source };
    let mut reader = read_lines(file).map_err(failed)?;
    let (mut number, mut cases, most) = (0, 0, Limit::CaseBytes.get());
    loop {
        let mut batch: Vec<(usize, String)> = Vec::with_capacity(BATCH);
        while batch.len() < BATCH {
            let mut line = String::new();
            let bytes = reader.by_ref().take(most + 1).read_line(&mut line).map_err(failed)?;
            if bytes == 0 {
                break;
            }
            number += 1;
            if bytes as u64 > most {
                return Err(ReportError::Long { file: file.to_owned(), line: number });
            }
            if !line.trim().is_empty() {
                batch.push((number, line));
            }
        }
        if batch.is_empty() {
            break;
        }
        cases += batch.len();
        each(&batch)?;
    }
    if cases == 0 { Err(ReportError::Empty { file: file.to_owned() }) } else { Ok(()) }
}

impl Report {
    /// Adds a case.
    pub fn add(&mut self, compared: Compared) {
        self.cases += 1;
        for (kind, agreement) in compared.checks {
            let sum = self.checks.entry(kind).or_default();
            sum.agree += agreement.agree;
            sum.total += agreement.total;
        }
        let room = MISMATCHES_TOLD.saturating_sub(self.mismatches.len());
        self.mismatches.extend(compared.mismatches.into_iter().take(room));
    }
    /// Adds the agreement of other files.
    pub fn merge(&mut self, other: &Report) {
        self.cases += other.cases;
        for (kind, agreement) in &other.checks {
            let sum = self.checks.entry(kind).or_default();
            sum.agree += agreement.agree;
            sum.total += agreement.total;
        }
        let room = MISMATCHES_TOLD.saturating_sub(self.mismatches.len());
        self.mismatches.extend(other.mismatches.iter().take(room).cloned());
    }
    /// Checks that agree, and all.
    pub fn sums(&self) -> (u64, u64) {
        self.checks.values().fold((0, 0), |(agree, total), a| (agree + a.agree, total + a.total))
    }
    /// The agreement as Markdown: a table by level (name of the file) and one by kind of check.
    pub fn markdown(levels: &[(String, Report)]) -> String {
        let mut all = Report::default();
        let mut text = String::from("| level | cases | attempts | checks | agree |\n|---|---|---|---|---|\n");
        for (level, report) in levels {
            all.merge(report);
            text.push_str(&report.markdown_row(level));
        }
        text.push_str(&all.markdown_row("all"));
        text.push_str("\n| check | of | agree |\n|---|---|---|\n");
        for (kind, a) in &all.checks {
            let _ = writeln!(text, "| {kind} | {} | {} |", a.total, a.agree);
        }
        text
    }
    fn markdown_row(&self, name: &str) -> String {
        let attempts = self.checks.get("result").map_or(0, |a| a.total);
        let (agree, total) = self.sums();
        format!("| {name} | {} | {attempts} | {total} | {agree} |\n", self.cases)
    }
    /// Does everything agree?
    pub fn agrees(&self) -> bool {
        self.mismatches.is_empty() && self.checks.values().all(|a| a.agree == a.total)
    }
    /// A table for people.
    pub fn table(&self) -> String {
        let mut text = format!("{:<22} {:>9} {:>9} {:>8}\n", "check", "agree", "total", "share");
        for (kind, a) in &self.checks {
            let share = 100.0 * a.agree as f64 / a.total.max(1) as f64;
            let _ = writeln!(text, "{kind:<22} {:>9} {:>9} {share:>7.2}%", a.agree, a.total);
        }
        let (agree, total) = self.sums();
        let _ = writeln!(text, "{} cases, {agree} of {total} checks agree", self.cases);
        for m in &self.mismatches {
            let step = m.step.map_or_else(|| "load".to_owned(), |s| format!("step {s}"));
            let _ = writeln!(text, "\n{} {step} {}", m.case, m.kind);
            let _ = writeln!(text, "  expected {}", m.expected);
            let _ = writeln!(text, "  actual   {}", m.actual);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn error(name: &str, bytes: &[u8]) -> ReportError {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).expect("a file");
        run_files(&[file], Engine::Plain).expect_err(name)
    }

    #[test]
    fn files_that_are_no_recordings_are_bad_input() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(&b"{\"id\": ".repeat(5000)).expect("compressed");
        let whole = gz.finish().expect("compressed");
        for (name, bytes) in [
            ("empty.jsonl", &b""[..]),
            ("blank.jsonl", b"\n \n"),
            ("text.jsonl", b"hello\n"),
            ("other.jsonl", b"{\"a\": 1}\n"),
            ("binary.jsonl", &[0xff, 0xfe, 0, 1]),
            ("garbage.jsonl.gz", b"not compressed"),
            ("torn.jsonl.gz", &whole[..whole.len() / 2]),
            ("deep.jsonl", "[".repeat(100_000).as_bytes()),
        ] {
            let error = error(name, bytes);
            assert!(error.is_bad_input(), "{name}: {error}");
        }
        let missing = run_files(&[PathBuf::from("/nonexistent/x.jsonl")], Engine::Plain);
        assert!(missing.is_err_and(|e| e.is_bad_input()));
    }

    #[test]
    fn a_case_that_cannot_be_replayed_disagrees_in_everything_it_recorded() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("x.jsonl");
        let case = r#"{"id": "x-1", "objects": [], "immediateBindings": [{"pvc": "a/b", "phase": "Pending"}], "steps": [{"pod": "default/none",
            "expect": {"result": "bound", "node": "n1", "feasible": ["n1"], "top": ["n1"]}}]}"#;
        std::fs::write(&file, case.replace('\n', " ")).expect("a file");
        let report = run_files(&[file], Engine::Plain).expect("a report");
        assert!(!report.agrees());
        let kinds: Vec<_> = report.checks.iter().map(|(kind, a)| (*kind, a.agree, a.total)).collect();
        assert_eq!(
            kinds,
            [("feasible", 0, 1), ("immediateBinding", 0, 1), ("node", 0, 1), ("result", 0, 1), ("top", 0, 1)]
        );
        assert_eq!(report.mismatches.len(), 1);
        assert_eq!(report.mismatches[0].kind, "case");
    }
}
