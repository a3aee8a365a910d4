//! What the readers of all formats share: options, the sample by which a table is recognized, and the row parser's contract.

use super::azure_packing::VmTypes;
use super::error::{RowError, Tally, TraceResult};
use super::figures::Figures;
use super::input::TraceInput;
use super::lines::LineSpan;
use super::number::parse_digits;
use super::reader::FileReport;
use super::record::TraceItem;
use super::row::{Fields, Row};
use crate::engine::time::SimTime;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What 1.0 stands for in a normalized trace when figures are only inspected: shares are kept to nine decimals.
pub const NOMINAL_SCALE: u64 = 1_000_000_000;

/// How a trace is read.
#[derive(Clone, Debug, Default)]
pub struct TraceOptions {
    /// Millicores of the largest machine, for traces whose CPU is a share of it.
    pub max_cpu_milli: Option<u64>,
    /// Memory of the largest machine in bytes, likewise.
    pub max_memory_bytes: Option<u64>,
    /// Disk of the largest machine in bytes, likewise.
    pub max_disk_bytes: Option<u64>,
    /// Skip at most so many bad rows; `None`: the first bad row is an error.
    pub skip_bad_rows: Option<u64>,
    /// Normalized values without a scale are kept as billionths instead of being refused (for `trace inspect`).
    pub nominal_scales: bool,
    /// Count missing values per column and the format's own figures (for `trace inspect`).
    pub figures: bool,
    /// The machine generation (`machineId`) of azure-packing-2020 that nodes are; default: the one most VM types can run on.
    pub azure_machine: Option<u64>,
    /// Only tables that have machines are read.
    pub machines_only: bool,
    /// Google 2019: pods are the tasks, also those inside alloc sets, and not the alloc sets themselves.
    pub inner_tasks: bool,
    /// Unpack and parse large files in threads of their own. What is read is the same.
    pub read_ahead: bool,
}

/// Which resources of a format are shares of the largest machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Normalized {
    /// CPU needs `maxCpu`.
    pub cpu: bool,
    /// Memory needs `maxMemory`.
    pub memory: bool,
    /// Disk needs `maxDisk`.
    pub disk: bool,
}

/// State that the readers of one trace share.
#[derive(Debug, Default)]
pub struct Context {
    /// Options.
    pub options: TraceOptions,
    /// What was skipped or left out.
    pub tally: Tally,
    /// PAI: start of each job in seconds, by fingerprint of its name.
    pub job_starts: FxHashMap<u128, u64>,
    /// Google 2019: most instances of a collection on one machine.
    pub max_per_machine: FxHashMap<u64, u32>,
    /// Azure packing: what each VM type takes.
    pub vm_types: VmTypes,
    /// Index of the current file.
    pub file: u32,
    /// Tables that were recognized, so that one table can leave its rows to another.
    pub tables: Vec<&'static str>,
    /// Line of the current row.
    pub line: u64,
}

impl Context {
    /// A context for reading the current file elsewhere; what tables say to each other goes with it.
    pub fn hand_over(&mut self) -> Context {
        Context {
            options: self.options.clone(),
            tally: Tally::default(),
            job_starts: std::mem::take(&mut self.job_starts),
            max_per_machine: std::mem::take(&mut self.max_per_machine),
            vm_types: std::mem::take(&mut self.vm_types),
            file: self.file,
            tables: self.tables.clone(),
            line: self.line,
        }
    }
    /// A context for rows that are read side by side, of a table that can [`Table::fork`].
    pub fn beside(&self) -> Context {
        Context {
            options: self.options.clone(),
            file: self.file,
            tables: self.tables.clone(),
            ..Context::default()
        }
    }
    /// Takes back what [`Context::hand_over`] gave away.
    pub fn take_back(&mut self, from: Context) {
        self.job_starts = from.job_starts;
        self.max_per_machine = from.max_per_machine;
        self.vm_types = from.vm_types;
    }
    /// Millicores of a normalized 1.0.
    pub fn cpu_scale(&self) -> u64 {
        self.options.max_cpu_milli.unwrap_or(NOMINAL_SCALE)
    }
    /// Bytes of a normalized 1.0 of memory.
    pub fn memory_scale(&self) -> u64 {
        self.options.max_memory_bytes.unwrap_or(NOMINAL_SCALE)
    }
    /// Bytes of a normalized 1.0 of disk.
    pub fn disk_scale(&self) -> u64 {
        self.options.max_disk_bytes.unwrap_or(NOMINAL_SCALE)
    }
    /// Counts a good row that the mapping does not use.
    ///
    /// # Errors
    /// None; the type is that of [`Table::parse`].
    pub fn left_out(&mut self, rule: &'static str) -> Parsed {
        self.tally.leave_out(rule, 1);
        Ok(None)
    }
    /// Where the current row is, for events.
    pub fn origin(&self) -> (u32, u32) {
        (self.file, u32::try_from(self.line).unwrap_or(u32::MAX))
    }
    /// Whether a table of this name is among the inputs.
    pub fn has_table(&self, name: &str) -> bool {
        self.tables.contains(&name)
    }
}

/// Outcome of a good row.
pub type Parsed = Result<Option<TraceItem>, Box<RowError>>;

/// Parser of the rows of one table.
pub trait Table: Send {
    /// Name of the table, such as `task_events`.
    fn name(&self) -> &'static str;
    /// Names of its columns in the file's order.
    fn columns(&self) -> Vec<String>;
    /// Reads a row. `Ok(None)`: the row is good and says nothing that is modelled (counted with [`Tally::leave_out`] if it is
    /// a pod or an event).
    ///
    /// # Errors
    /// What is wrong with the row.
    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed;
    /// The format's own figures after the last row, under the names its documentation uses.
    fn figures(&self) -> Figures {
        Figures::new()
    }
    /// Tables with lower ranks are read first, because others refer to them.
    fn rank(&self) -> u8 {
        1
    }
    /// The row is one text (a JSON object), not fields between commas.
    fn is_json(&self) -> bool {
        false
    }
    /// Missing values by column, for tables whose rows are not fields between commas.
    fn own_missing(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
    /// The table lists each machine once.
    fn lists_machines(&self) -> bool {
        false
    }
    /// The table may hold machines; a table of which it is known that it holds none need not be read for them.
    fn has_machines(&self) -> bool {
        true
    }
    /// Another parser of the same table, where a row says the same whatever rows were read before it and the table keeps no figures:
    /// then rows may be read side by side.
    fn fork(&self) -> Option<Box<dyn Table>> {
        None
    }
    /// Ids are unique in one file only (openb renumbers its pods in every list).
    fn ids_per_file(&self) -> bool {
        false
    }
}

/// A file whose records are not rows of text: SQLite, MessagePack, Parquet, one JSON document.
pub trait RecordFile: Send {
    /// The next item; its line or record number, from 1, is put into [`Context::line`].
    ///
    /// # Errors
    /// The first bad record in strict reading; otherwise what cannot be skipped.
    fn next_item(&mut self, cx: &mut Context) -> TraceResult<Option<TraceItem>>;
    /// What was read, once the end was reached.
    fn report(&self) -> FileReport;
}

/// Opens a [`RecordFile`].
pub type OpenRecords = fn(&TraceInput, &mut Context) -> TraceResult<Box<dyn RecordFile>>;

/// A table that a format recognized in a file.
pub enum Recognized {
    /// Rows of text.
    Rows {
        /// Parser of the rows.
        table: Box<dyn Table>,
        /// The first line is a header.
        header: bool,
    },
    /// Anything else.
    Records {
        /// Name of the table.
        name: &'static str,
        /// How to open it.
        open: OpenRecords,
    },
}

impl Recognized {
    /// A table whose file starts with a header.
    pub fn with_header(table: impl Table + 'static) -> Option<Recognized> {
        Some(Recognized::Rows { table: Box::new(table), header: true })
    }
    /// A table whose columns are known by position; a first line with their names is skipped.
    pub fn positional(table: impl Table + 'static, header: bool) -> Option<Recognized> {
        Some(Recognized::Rows { table: Box::new(table), header })
    }
    /// Name of the table.
    pub fn name(&self) -> &'static str {
        match self {
            Recognized::Rows { table, .. } => table.name(),
            Recognized::Records { name, .. } => name,
        }
    }
    /// See [`Table::has_machines`].
    pub fn has_machines(&self) -> bool {
        match self {
            Recognized::Rows { table, .. } => table.has_machines(),
            Recognized::Records { .. } => true,
        }
    }
    /// See [`Table::rank`].
    pub fn rank(&self) -> u8 {
        match self {
            Recognized::Rows { table, .. } => table.rank(),
            Recognized::Records { .. } => 1,
        }
    }
}

/// The start of a file, by which its table is recognized.
pub struct Sample<'a> {
    /// File name without folder and compression.
    pub stem: String,
    /// The first bytes.
    pub bytes: &'a [u8],
    /// Fields of the first lines, at most [`Sample::LINES`].
    pub rows: Vec<Vec<String>>,
}

impl<'a> Sample<'a> {
    /// Lines looked at.
    pub const LINES: usize = 50;

    /// A sample of a file.
    pub fn new(stem: String, bytes: &'a [u8]) -> Sample<'a> {
        let mut fields = Fields::default();
        let span = LineSpan::nowhere();
        let rows = bytes
            .split(|&b| b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .take(Self::LINES)
            .map(|line| {
                let row = fields.split(line, span);
                (0..row.columns()).map(|i| String::from_utf8_lossy(row.get(i)).trim().to_owned()).collect()
            })
            .collect();
        Sample { stem, bytes, rows }
    }

    /// The first line's fields.
    pub fn header(&self) -> &[String] {
        self.rows.first().map_or(&[], Vec::as_slice)
    }

    /// Positions of the named columns in the header; `None` if one is missing.
    pub fn locate<const N: usize>(&self, names: [&str; N]) -> Option<[usize; N]> {
        let mut found = [0; N];
        for (slot, name) in found.iter_mut().zip(names) {
            *slot = self.header().iter().position(|h| h == name)?;
        }
        Some(found)
    }

    /// Position of a column that may be missing; the position beyond all columns reads as empty.
    pub fn locate_optional(&self, name: &str) -> usize {
        self.header().iter().position(|h| h == name).unwrap_or(usize::MAX)
    }

    /// For tables without a header: whether most rows have as many columns as there are names and satisfy the test. `Some(true)`:
    /// somebody put the names into the first line.
    pub fn positional(&self, names: &[&str], test: impl Fn(&[String]) -> bool) -> Option<bool> {
        let header = self.header().len() == names.len()
            && self.header().iter().zip(names).all(|(have, want)| have.eq_ignore_ascii_case(want));
        if header && self.rows.len() == 1 {
            return Some(true);
        }
        let rows = &self.rows[usize::from(header)..];
        let good = rows.iter().filter(|row| row.len() == names.len() && test(row)).count();
        (!rows.is_empty() && good * 2 > rows.len()).then_some(header)
    }

    /// A field that holds a whole number, perhaps written as a float, perhaps negative.
    pub fn is_integer(text: &str) -> bool {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let digits = digits.strip_suffix(".0").unwrap_or(digits);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    }
    /// A field that holds a number.
    pub fn is_number(text: &str) -> bool {
        super::number::parse_number(text.as_bytes()).is_some()
    }
}

/// A time in a trace that counts from its start and writes what was there before as 0 or below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing in the field.
    Missing,
    /// At or before the start.
    Before,
    /// After the start.
    At(SimTime),
}

impl Moment {
    /// The time of an arrival: `None` if it was already there.
    pub fn arrival(self) -> Option<SimTime> {
        match self {
            Moment::At(time) => Some(time),
            Moment::Before | Moment::Missing => None,
        }
    }
}

/// Seconds as an integer or a float, kept to the millisecond.
///
/// # Errors
/// [`SkipReason::NotANumber`](super::SkipReason), [`SkipReason::Absurd`](super::SkipReason).
pub fn moment(row: &Row<'_>, field: usize) -> Result<Moment, Box<RowError>> {
    use super::row::limits;
    if row.is_missing(field) {
        return Ok(Moment::Missing);
    }
    if row.get(field).first() == Some(&b'-') {
        let number = row.number(field)?;
        return if number < -(limits::SECONDS as f64) { Err(row.absurd(field)) } else { Ok(Moment::Before) };
    }
    let millis = row.scaled(field, 1000, limits::SECONDS * 1000)?;
    Ok(if millis == 0 { Moment::Before } else { Moment::At(SimTime::from_nanos(millis * 1_000_000)) })
}

/// Refuses an end before the start.
///
/// # Errors
/// [`SkipReason::EndsBeforeStart`](super::SkipReason) at the end's field.
pub fn ends_after(field: usize, start: Option<SimTime>, end: Option<SimTime>) -> Result<(), Box<RowError>> {
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        let (start, end) = (start.as_secs_f64(), end.as_secs_f64());
        let message = format!("the end at {end} s is before the start at {start} s");
        return Err(RowError::field(field, super::SkipReason::EndsBeforeStart, message));
    }
    Ok(())
}

/// Refuses an end below 0 behind a start. Beside a start 0 may stand for "unknown"; nothing does that is below it.
///
/// # Errors
/// [`SkipReason::EndsBeforeStart`](super::SkipReason) at the end's field.
pub fn refuse_negative_end(row: &Row<'_>, field: usize, start: Option<SimTime>) -> Result<(), Box<RowError>> {
    match start {
        Some(start) if row.get(field).first() == Some(&b'-') && !row.is_missing(field) => {
            let start = start.as_secs_f64();
            let message = format!("the end is before the trace began and the start, at {start} s, is not");
            Err(RowError::field(field, super::SkipReason::EndsBeforeStart, message))
        }
        _ => Ok(()),
    }
}

/// Start and end of a batch record; `Err`: the rule that leaves it out.
pub type BatchLife = Result<(Option<SimTime>, Option<SimTime>), &'static str>;

/// Float seconds with noise (`475.00000000000006`), rounded to whole seconds; empty is `None`.
///
/// # Errors
/// As [`Row::scaled`].
pub fn whole_seconds(row: &Row<'_>, field: usize) -> Result<Option<u64>, Box<RowError>> {
    if row.is_missing(field) {
        return Ok(None);
    }
    // The noise is in the last of many digits, and reading those exactly takes long: the first decimal decides.
    let bytes = row.get(field);
    if let [whole @ .., b'.', b'0'] = bytes
        && let Some(seconds) = parse_digits(whole).filter(|&s| s < super::row::limits::SECONDS)
    {
        return Ok(Some(seconds));
    }
    if let Some(point) = bytes.iter().position(|&byte| byte == b'.')
        && let (whole, [b'.', first, rest @ ..]) = bytes.split_at(point)
        && let Some(seconds) = parse_digits(whole).filter(|&s| s < super::row::limits::SECONDS)
        && first.is_ascii_digit()
        && rest.iter().all(u8::is_ascii_digit)
    {
        return Ok(Some(seconds + u64::from(*first >= b'5')));
    }
    row.scaled(field, 1, super::row::limits::SECONDS).map(Some)
}

/// Names of columns as owned texts.
pub fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::SkipReason;

    #[test]
    fn seconds_with_noise_are_whole() {
        for (text, want) in [
            ("475.00000000000006", Some(475)),
            ("2049297.0000000002", Some(2_049_297)),
            ("13", Some(13)),
            ("0.5", Some(1)),
            (".5", Some(1)),
            ("7.4999", Some(7)),
            ("5.", Some(5)),
            ("1e3", Some(1000)),
            ("", None),
            ("nan", None),
        ] {
            let found = whole_seconds(&Fields::default().split(text.as_bytes(), LineSpan::nowhere()), 0);
            assert_eq!(found.map_err(|e| e.message), Ok(want), "{text}");
        }
        for (text, reason) in [
            ("-3.0", SkipReason::Negative),
            ("3.0x", SkipReason::NotANumber),
            ("3.x", SkipReason::NotANumber),
            ("9999999999999.0", SkipReason::Absurd),
        ] {
            let mut fields = Fields::default();
            let found = whole_seconds(&fields.split(text.as_bytes(), LineSpan::nowhere()), 0);
            assert_eq!(found.map_err(|e| e.reason), Err(reason), "{text}");
        }
    }
}
