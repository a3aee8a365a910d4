//! Runs files of cases in parallel, keeping their order, and sums up the agreement.

use super::case::{Case, read_lines};
use super::compare::{Agreement, Compared, Mismatch, compare};
use crate::scheduler::cycle::Engine;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead};
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
    let mut lines = read_lines(file).map_err(failed)?.lines().enumerate();
    loop {
        let mut batch: Vec<(usize, String)> = Vec::with_capacity(BATCH);
        for (index, line) in lines.by_ref().take(BATCH) {
            batch.push((index + 1, line.map_err(failed)?));
        }
        if batch.is_empty() {
            return Ok(());
        }
        batch.retain(|(_, line)| !line.trim().is_empty());
        each(&batch)?;
    }
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
        let (agree, total) =
            self.checks.values().fold((0, 0), |(agree, total), a| (agree + a.agree, total + a.total));
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
