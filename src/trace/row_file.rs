//! A file of rows: its lines, split and read by the parser of its table.

use super::error::{RowError, SkipReason, TraceError, TraceResult};
use super::figures::Figures;
use super::lines::{LineError, Lines};
use super::reader::FileReport;
use super::record::TraceItem;
use super::row::Fields;
use super::table::{Context, RecordFile, Table, TraceOptions};
use crate::limits::Limit;

/// A file of rows.
pub struct RowFile {
    lines: Lines,
    fields: Fields,
    table: Box<dyn Table>,
    columns: usize,
    missing: Vec<u64>,
    figures: bool,
    json: bool,
    rows: u64,
    header: bool,
    name: String,
}

/// What the next rows gave.
pub enum Entry {
    /// Something that the trace says.
    Item {
        /// What.
        item: TraceItem,
        /// Its line.
        line: u64,
    },
    /// A bad row, or a file that ends early.
    Fault(Box<TraceError>),
}

impl RowFile {
    /// The rows of a table.
    pub fn new(
        lines: Lines,
        table: Box<dyn Table>,
        header: bool,
        name: String,
        options: &TraceOptions,
    ) -> RowFile {
        let columns = table.columns().len();
        RowFile {
            lines,
            fields: Fields::default(),
            columns,
            missing: if options.figures && !table.is_json() { vec![0; columns] } else { Vec::new() },
            figures: options.figures,
            json: table.is_json(),
            rows: 0,
            header,
            table,
            name,
        }
    }

    /// Name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads on to the next item or fault; `None` at the end.
    pub fn next_entry(&mut self, cx: &mut Context) -> Option<Entry> {
        loop {
            let span = match self.lines.advance() {
                Ok(Some(span)) => span,
                Ok(None) => return None,
                Err(error) => {
                    self.rows += u64::from(matches!(error, LineError::TooLong(_)));
                    return Some(Entry::Fault(line_error(&self.name, error)));
                }
            };
            if std::mem::take(&mut self.header) {
                continue;
            }
            let bytes = self.lines.bytes(span);
            let row = if self.json { self.fields.whole(bytes, span) } else { self.fields.split(bytes, span) };
            if row.is_blank() {
                continue;
            }
            self.rows += 1;
            cx.line = span.line;
            match self.table.parse(&row, cx) {
                Ok(item) => {
                    row.count_missing(&mut self.missing);
                    if let Some(item) = item {
                        return Some(Entry::Item { item, line: span.line });
                    }
                }
                Err(fault) => {
                    let column = fault.field.map_or(0, |field| row.column(field));
                    let text = row.clipped(column);
                    return Some(Entry::Fault(self.placed(*fault, span.line, column, text)));
                }
            }
        }
    }

    #[cold]
    fn placed(&self, fault: RowError, line: u64, column: u64, row: String) -> Box<TraceError> {
        let message = match fault.field.and_then(|field| self.table.columns().get(field).cloned()) {
            Some(name) => format!("column {name}: {}", fault.message),
            None => fault.message,
        };
        let hint = fault
            .reason
            .can_be_skipped()
            .then(|| "--skip-bad-rows counts such rows instead of stopping".to_owned());
        let column = if fault.field.is_none() && line > 0 { 1 } else { column };
        Box::new(TraceError {
            file: self.name.clone(),
            line,
            column,
            message,
            hint,
            reason: fault.reason,
            row,
        })
    }
}

impl RecordFile for RowFile {
    fn next_item(&mut self, cx: &mut Context) -> TraceResult<Option<TraceItem>> {
        loop {
            match self.next_entry(cx) {
                Some(Entry::Item { item, .. }) => return Ok(Some(item)),
                Some(Entry::Fault(fault)) => cx.tally.skip(fault, cx.options.skip_bad_rows)?,
                None => return Ok(None),
            }
        }
    }

    fn report(&self) -> FileReport {
        let figures = if self.figures { self.table.figures() } else { Figures::new() };
        let missing = if self.missing.is_empty() {
            self.table.own_missing()
        } else {
            let columns = self.table.columns().into_iter().take(self.columns);
            columns.zip(self.missing.iter().copied()).filter(|(_, count)| *count > 0).collect()
        };
        FileReport {
            file: self.name.clone(),
            table: self.table.name().to_owned(),
            rows: self.rows,
            missing,
            figures,
        }
    }
}

/// A line that could not be had, as a fault of its file.
pub fn line_error(file: &str, error: LineError) -> Box<TraceError> {
    match error {
        LineError::TooLong(line) => {
            let message = format!("the line is longer than {} bytes", Limit::TraceLineBytes.get());
            let mut error = TraceError::of_file(file, SkipReason::LineTooLong, message);
            error.line = line;
            error.with_hint(Limit::TraceLineBytes.hint())
        }
        LineError::Io(_, error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            TraceError::of_file(file, SkipReason::TooLarge, format!("cannot read: {error}"))
        }
        LineError::Io(line, error) => {
            let torn = matches!(
                error.kind(),
                std::io::ErrorKind::UnexpectedEof
                    | std::io::ErrorKind::InvalidData
                    | std::io::ErrorKind::InvalidInput
                    | std::io::ErrorKind::Other
            );
            let reason = if torn { SkipReason::TruncatedFile } else { SkipReason::Unreadable };
            let message = format!("the file ends early or is damaged after line {line}: {error}");
            let mut fault = TraceError::of_file(file, reason, message);
            fault.line = line + 1;
            fault.column = 1;
            fault
        }
    }
}
