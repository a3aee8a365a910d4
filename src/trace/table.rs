//! What the readers of all formats share: options, the sample by which a table is recognized, and the row parser's contract.

use super::error::{RowError, Tally};
use super::lines::{Fields, LineSpan, Row};
use super::record::TraceItem;
use crate::engine::time::SimTime;
use rustc_hash::FxHashMap;

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
    /// The machine generation (`machineId`) of azure-packing-2020 that nodes are; default: the one most VMs can run on.
    pub azure_machine: Option<u64>,
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
    /// Start of each job of PAI's job table, seconds, by fingerprint of the job's name.
    pub job_starts: FxHashMap<u128, u64>,
    /// Index of the current file.
    pub file: u32,
    /// Tables that were recognized, so that one table can leave its rows to another.
    pub tables: Vec<&'static str>,
}

impl Context {
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
    /// Whether a table of this name is among the inputs.
    pub fn has_table(&self, name: &str) -> bool {
        self.tables.contains(&name)
    }
}

/// Outcome of a good row.
pub type Parsed = Result<Option<TraceItem>, Box<RowError>>;

/// A value of the figures that only one format has.
pub type Figures = serde_json::Map<String, serde_json::Value>;

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
    fn figures(&self, _into: &mut Figures) {}
    /// Tables with lower ranks are read first, because others refer to them.
    fn rank(&self) -> u8 {
        1
    }
    /// Ids are unique in one file only (openb renumbers its pods in every list).
    fn ids_per_file(&self) -> bool {
        false
    }
}

/// A table that a format recognized in a file.
pub struct Recognized {
    /// Its parser.
    pub table: Box<dyn Table>,
    /// The first line is a header.
    pub header: bool,
}

impl Recognized {
    /// A table whose file starts with a header.
    pub fn with_header(table: impl Table + 'static) -> Option<Recognized> {
        Some(Recognized { table: Box::new(table), header: true })
    }
    /// A table without a header.
    pub fn headerless(table: impl Table + 'static) -> Option<Recognized> {
        Some(Recognized { table: Box::new(table), header: false })
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

    /// Whether most sampled rows have `columns` columns and satisfy the test (a few may be damaged).
    pub fn mostly(&self, columns: usize, test: impl Fn(&[String]) -> bool) -> bool {
        let good = self.rows.iter().filter(|row| row.len() == columns && test(row)).count();
        !self.rows.is_empty() && good * 2 > self.rows.len()
    }

    /// A field that holds a whole number, perhaps written as a float, perhaps negative.
    pub fn is_integer(text: &str) -> bool {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let digits = digits.strip_suffix(".0").unwrap_or(digits);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    }
    /// A field that holds a number.
    pub fn is_number(text: &str) -> bool {
        super::lines::parse_number(text.as_bytes()).is_some()
    }
}

/// Seconds in a field: an integer or a float, rounded to whole seconds if `round`, else to milliseconds. Negative means before
/// the trace began and becomes `None`.
///
/// # Errors
/// As [`Row::scaled`].
pub fn seconds(row: &Row<'_>, field: usize) -> Result<Option<SimTime>, Box<RowError>> {
    use super::lines::limits;
    if row.get(field).first() == Some(&b'-') {
        let number = row.number(field)?;
        if number < -(limits::SECONDS as f64) {
            return Err(row.absurd(field));
        }
        return Ok(None);
    }
    let millis = row.scaled(field, 1000, limits::SECONDS * 1000)?;
    Ok(Some(SimTime::from_nanos(millis * 1_000_000)))
}

/// Float seconds with noise (`475.00000000000006`), rounded to whole seconds; empty is `None`.
///
/// # Errors
/// As [`Row::scaled`].
pub fn whole_seconds(row: &Row<'_>, field: usize) -> Result<Option<u64>, Box<RowError>> {
    if row.is_missing(field) {
        return Ok(None);
    }
    row.scaled(field, 1, super::lines::limits::SECONDS).map(Some)
}
