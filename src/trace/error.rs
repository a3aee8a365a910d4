//! What can be wrong with a trace, and the tally of what was skipped.

use crate::diagnostic::{Code, Diagnostic};
use std::collections::BTreeMap;
use std::fmt;

/// Why a row was refused (strict reading) or skipped and counted (`--skip-bad-rows`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// More or fewer columns than the format has.
    WrongColumns,
    /// The last line stops in the middle: no line end and columns missing.
    TornLine,
    /// A line longer than [`crate::limits::Limit::TraceLineBytes`].
    LineTooLong,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A field that should be a number is not.
    NotANumber,
    /// A negative number where none can be.
    Negative,
    /// A number that no cluster reaches (limits in `docs/TRACES.md`).
    Absurd,
    /// A required field is empty.
    MissingValue,
    /// A word that the format does not know, such as an unknown event.
    UnknownValue,
    /// An id that was seen before.
    DuplicateId,
    /// The end is before the start.
    EndsBeforeStart,
    /// An end of something that never began.
    EndWithoutStart,
    /// A record that is not JSON, MessagePack or of the expected structure.
    Malformed,
    /// A compressed stream that ends too early or is damaged; the rest of its file is lost.
    TruncatedFile,
    /// There is no such file. Never skipped.
    FileMissing,
    /// A folder, a FIFO or a device. Never skipped.
    NotAFile,
    /// It is larger than the limits allow. Never skipped.
    TooLarge,
    /// The file cannot be read at all. Never skipped.
    Unreadable,
    /// The header or the first rows do not belong to the format. Never skipped.
    WrongFormat,
    /// An option is missing or impossible (a scale, say). Never skipped.
    Options,
    /// More rows were bad than `--skip-bad-rows` allows. Never skipped.
    TooManyBadRows,
}

impl SkipReason {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            SkipReason::WrongColumns => "wrong_columns",
            SkipReason::TornLine => "torn_line",
            SkipReason::LineTooLong => "line_too_long",
            SkipReason::NotUtf8 => "not_utf8",
            SkipReason::NotANumber => "not_a_number",
            SkipReason::Negative => "negative",
            SkipReason::Absurd => "absurd",
            SkipReason::MissingValue => "missing_value",
            SkipReason::UnknownValue => "unknown_value",
            SkipReason::DuplicateId => "duplicate_id",
            SkipReason::EndsBeforeStart => "ends_before_start",
            SkipReason::EndWithoutStart => "end_without_start",
            SkipReason::Malformed => "malformed",
            SkipReason::TruncatedFile => "truncated_file",
            SkipReason::FileMissing => "file_missing",
            SkipReason::NotAFile => "not_a_file",
            SkipReason::TooLarge => "too_large",
            SkipReason::Unreadable => "unreadable",
            SkipReason::WrongFormat => "wrong_format",
            SkipReason::Options => "options",
            SkipReason::TooManyBadRows => "too_many_bad_rows",
        }
    }

    /// Whether `--skip-bad-rows` may go on after it.
    pub const fn can_be_skipped(self) -> bool {
        !matches!(
            self,
            SkipReason::FileMissing
                | SkipReason::NotAFile
                | SkipReason::TooLarge
                | SkipReason::Unreadable
                | SkipReason::WrongFormat
                | SkipReason::Options
                | SkipReason::TooManyBadRows
        )
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong, and where. `line` and `column` count from 1; 0 means "the whole file" or "the whole line".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TraceError {
    /// The file as it was given, `-` for standard input.
    pub file: String,
    /// Line from 1, or 0.
    pub line: u64,
    /// Byte column from 1, or 0.
    pub column: u64,
    /// What is wrong and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The kind of fault.
    pub reason: SkipReason,
    /// The row itself, clipped; empty where there is none.
    pub row: String,
}

impl From<&TraceError> for Diagnostic {
    fn from(error: &TraceError) -> Diagnostic {
        let code = match error.reason {
            SkipReason::WrongColumns | SkipReason::TornLine | SkipReason::LineTooLong => Code::TraceRow,
            SkipReason::WrongFormat => Code::TraceFormat,
            SkipReason::FileMissing => Code::FileMissing,
            SkipReason::NotAFile => Code::NotAFile,
            SkipReason::TooLarge => Code::TooLarge,
            SkipReason::Unreadable => Code::FileUnreadable,
            SkipReason::NotUtf8 => Code::NotUtf8,
            SkipReason::Options => Code::Conflict,
            _ if error.column > 1 => Code::TraceCell,
            _ => Code::TraceRow,
        };
        let diagnostic = Diagnostic::error(code, error.message.clone()).maybe_help(error.hint.clone());
        if error.line == 0 {
            let message = format!("{}: {}", error.file, error.message);
            return Diagnostic { message, ..diagnostic };
        }
        diagnostic.at_row(&error.file, error.line, error.column, &error.row)
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl TraceError {
    /// A fault of a whole file.
    pub fn of_file(
        file: impl Into<String>,
        reason: SkipReason,
        message: impl Into<String>,
    ) -> Box<TraceError> {
        Box::new(TraceError {
            file: file.into(),
            line: 0,
            column: 0,
            message: message.into(),
            hint: None,
            reason,
            row: String::new(),
        })
    }

    /// An impossible or missing option.
    pub fn option(message: impl Into<String>) -> Box<TraceError> {
        Self::of_file("trace", SkipReason::Options, message)
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self: Box<Self>, hint: impl Into<String>) -> Box<TraceError> {
        self.hint = Some(hint.into());
        self
    }
}

/// Result of reading a trace; the error is boxed because it is rare and large.
pub type TraceResult<T> = Result<T, Box<TraceError>>;

/// What was wrong with one row, before file and line are known.
#[derive(Clone, Debug)]
pub struct RowError {
    /// Index of the field, or `None` for the whole line.
    pub field: Option<usize>,
    /// The kind of fault.
    pub reason: SkipReason,
    /// What is wrong and what was expected.
    pub message: String,
}

impl RowError {
    /// A fault of one field.
    pub fn field(field: usize, reason: SkipReason, message: impl Into<String>) -> Box<RowError> {
        Box::new(RowError { field: Some(field), reason, message: message.into() })
    }
    /// A fault of the whole row.
    pub fn row(reason: SkipReason, message: impl Into<String>) -> Box<RowError> {
        Box::new(RowError { field: None, reason, message: message.into() })
    }
}

/// Counts of rows that were skipped as bad, by reason, and of rows that a rule left out, by rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bad rows that `--skip-bad-rows` skipped.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Good rows that the mapping does not use, such as Borg's SCHEDULE events, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// The first few of the bad rows, so that a person can look at them.
    pub examples: Vec<TraceError>,
}

impl Tally {
    const EXAMPLES: usize = 5;

    /// Counts a bad row, or returns its error when bad rows are not (or no longer) allowed.
    ///
    /// # Errors
    /// The error itself when reading is strict or the fault cannot be skipped, or one that says that too many rows are bad.
    pub fn skip(&mut self, error: Box<TraceError>, allowed: Option<u64>) -> TraceResult<()> {
        let Some(max) = allowed.filter(|_| error.reason.can_be_skipped()) else {
            return Err(error);
        };
        if self.skipped_rows() >= max {
            let hint =
                format!("{max} bad rows were skipped before this one, as many as --skip-bad-rows allows");
            let error = TraceError { reason: SkipReason::TooManyBadRows, hint: Some(hint), ..*error };
            return Err(Box::new(error));
        }
        *self.skipped.entry(error.reason).or_default() += 1;
        if self.examples.len() < Self::EXAMPLES {
            self.examples.push(*error);
        }
        Ok(())
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Tally) {
        for (reason, rows) in &other.skipped {
            *self.skipped.entry(*reason).or_default() += rows;
        }
        for (rule, rows) in &other.left_out {
            self.leave_out(rule, *rows);
        }
        let room = Self::EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room).cloned());
    }

    /// All bad rows.
    pub fn skipped_rows(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Counts rows that a rule of the mapping leaves out.
    pub fn leave_out(&mut self, rule: &'static str, rows: u64) {
        *self.left_out.entry(rule).or_default() += rows;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad_row(reason: SkipReason) -> Box<TraceError> {
        TraceError::of_file("f.csv", reason, "bad")
    }

    #[test]
    fn strict_reading_returns_the_first_fault() {
        let error = Tally::default().skip(bad_row(SkipReason::Negative), None).expect_err("strict");
        assert_eq!(error.reason, SkipReason::Negative);
    }

    #[test]
    fn skipping_counts_by_reason_up_to_the_limit() {
        let mut tally = Tally::default();
        for reason in [SkipReason::Negative, SkipReason::TornLine, SkipReason::Negative] {
            assert!(tally.skip(bad_row(reason), Some(3)).is_ok());
        }
        assert_eq!(tally.skipped[&SkipReason::Negative], 2);
        assert_eq!(tally.skipped[&SkipReason::TornLine], 1);
        let error = tally.skip(bad_row(SkipReason::Absurd), Some(3)).expect_err("too many");
        assert_eq!(error.reason, SkipReason::TooManyBadRows);
    }

    #[test]
    fn some_faults_are_never_skipped() {
        assert!(Tally::default().skip(bad_row(SkipReason::WrongFormat), Some(u64::MAX)).is_err());
    }
}
