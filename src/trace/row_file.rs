//! A file of rows: its lines, split and read by the parser of its table.

use super::error::{RowError, SkipReason, TraceError};
use super::figures::Figures;
use super::lines::{LineError, LineSpan, Lines};
use super::reader::FileReport;
use super::record::TraceItem;
use super::row::Fields;
use super::table::{Context, Table, TraceOptions};
use crate::limits::Limit;

/// A file of rows.
pub struct RowFile {
    lines: Lines,
    header: bool,
    parser: RowParser,
}

/// Splits and reads the rows of a table, and counts them.
pub struct RowParser {
    fields: Fields,
    table: Box<dyn Table>,
    columns: usize,
    counts: Counts,
    figures: bool,
    json: bool,
    name: String,
}

/// Rows, and values missing by column (none where that is not counted).
#[derive(Default)]
pub struct Counts {
    rows: u64,
    missing: Vec<u64>,
}

impl Counts {
    /// Adds other rows.
    pub fn add(&mut self, other: &Counts) {
        self.rows += other.rows;
        if self.missing.len() < other.missing.len() {
            self.missing.resize(other.missing.len(), 0);
        }
        for (count, more) in self.missing.iter_mut().zip(&other.missing) {
            *count += more;
        }
    }
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
    /// It was taken.
    Taken,
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
        let parser = RowParser {
            fields: Fields::default(),
            columns: table.columns().len(),
            counts: Counts::default(),
            figures: options.figures,
            json: table.is_json(),
            table,
            name,
        };
        RowFile { lines, header, parser: parser.counting() }
    }

    /// Whole lines of a file, or the rest of one.
    pub fn of_lines(lines: Lines, parser: RowParser) -> RowFile {
        RowFile { lines, header: false, parser }
    }
    /// The lines and the parser of the rest of the file.
    pub fn into_parts(self) -> (Lines, RowParser) {
        (self.lines, self.parser)
    }
    /// Name of the file.
    pub fn name(&self) -> &str {
        &self.parser.name
    }
    /// See [`RowParser::fork`].
    pub fn fork(&self) -> Option<RowParser> {
        self.parser.fork()
    }

    /// Reads rows until there are so many entries; fewer: the file is at its end.
    pub fn read(&mut self, cx: &mut Context, entries: &mut Vec<Entry>, most: usize) {
        while entries.len() < most {
            match self.lines.advance() {
                Ok(Some(_)) if std::mem::take(&mut self.header) => {}
                Ok(Some(span)) => {
                    let (bytes, quotes) = (self.lines.bytes(span), self.lines.has_quotes());
                    self.parser.read(bytes, quotes, span, cx, entries);
                }
                Ok(None) => return,
                Err(error) => {
                    self.parser.counts.rows += u64::from(matches!(error, LineError::TooLong(_)));
                    entries.push(Entry::Fault(line_error(&self.parser.name, error)));
                }
            }
        }
    }

    /// What was read so far.
    pub fn report(&self) -> FileReport {
        self.parser.report()
    }
}

impl RowParser {
    fn counting(mut self) -> RowParser {
        if self.figures && !self.json {
            self.counts.missing = vec![0; self.columns];
        }
        self
    }

    /// A parser for other rows of the same file, where the table allows it; it counts from zero.
    pub fn fork(&self) -> Option<RowParser> {
        let parser = RowParser {
            fields: Fields::default(),
            table: self.table.fork()?,
            counts: Counts::default(),
            name: self.name.clone(),
            ..*self
        };
        Some(parser.counting())
    }

    /// What was counted since the last call.
    pub fn take_counts(&mut self) -> Counts {
        let none = Counts { rows: 0, missing: vec![0; self.counts.missing.len()] };
        std::mem::replace(&mut self.counts, none)
    }
    /// Adds what was counted elsewhere.
    pub fn add_counts(&mut self, counts: &Counts) {
        self.counts.add(counts);
    }

    #[inline]
    fn read(
        &mut self,
        bytes: &[u8],
        quotes: bool,
        span: LineSpan,
        cx: &mut Context,
        entries: &mut Vec<Entry>,
    ) {
        let row = match (self.json, quotes) {
            (true, _) => self.fields.whole(bytes, span),
            (false, true) => self.fields.split(bytes, span),
            (false, false) => self.fields.split_plain(bytes, span),
        };
        if row.is_blank() {
            return;
        }
        self.counts.rows += 1;
        cx.line = span.line;
        match self.table.parse(&row, cx) {
            Ok(item) => {
                row.count_missing(&mut self.counts.missing);
                if let Some(item) = item {
                    entries.push(Entry::Item { item, line: span.line });
                }
            }
            Err(fault) => {
                let column = fault.field.map_or(0, |field| row.column(field));
                let text = row.clipped(column);
                entries.push(Entry::Fault(self.placed(*fault, span.line, column, text)));
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

    fn report(&self) -> FileReport {
        let figures = if self.figures { self.table.figures() } else { Figures::new() };
        let missing = if self.counts.missing.is_empty() {
            self.table.own_missing()
        } else {
            let columns = self.table.columns().into_iter().take(self.columns);
            columns.zip(self.counts.missing.iter().copied()).filter(|(_, count)| *count > 0).collect()
        };
        FileReport {
            file: self.name.clone(),
            table: self.table.name().to_owned(),
            rows: self.counts.rows,
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
