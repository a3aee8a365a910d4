//! All files of a trace as one stream of items, in the files' order.

use super::ahead::{Ahead, helpers};
use super::error::{SkipReason, TraceError, TraceResult};
use super::figures::Figures;
use super::format::Format;
use super::input::TraceInput;
use super::lines::{LineSpan, Lines};
use super::record::{TraceId, TraceItem};
use super::row::Fields;
use super::row_file::{RowFile, line_error};
use super::table::{Context, Recognized, RecordFile, Sample, TraceOptions};
use crate::limits::Limit;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;

/// Largest document (SimKube JSON, a database on standard input) that is held in memory.
pub fn max_document_bytes() -> u64 {
    Limit::TraceDocumentBytes.get()
}

/// What was read from one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileReport {
    /// The file as given.
    pub file: String,
    /// The table that it holds.
    pub table: String,
    /// Rows without header and blank lines, bad ones included.
    pub rows: u64,
    /// Rows with nothing in a column, by column; columns that always have a value are absent.
    pub missing: BTreeMap<String, u64>,
    /// Figures under the names that the format's documentation uses.
    pub figures: Figures,
}

/// Reads the files of a trace, one after the other: tables that others refer to first, shards by the time of their first row.
pub struct TraceReader {
    format: Format,
    waiting: std::vec::IntoIter<Pending>,
    current: Option<Current>,
    cx: Context,
    seen: Seen,
    reports: Vec<FileReport>,
    names: Vec<String>,
}

/// The file that is being read.
enum Current {
    Rows(Box<Ahead>),
    /// And its present item.
    Records(Box<dyn RecordFile>, Option<TraceItem>),
}

impl Current {
    fn advance(&mut self, cx: &mut Context) -> TraceResult<bool> {
        match self {
            Current::Rows(rows) => rows.advance(cx),
            Current::Records(records, item) => {
                *item = records.next_item(cx)?;
                Ok(item.is_some())
            }
        }
    }
    fn item(&mut self) -> Option<&mut TraceItem> {
        match self {
            Current::Rows(rows) => rows.item(),
            Current::Records(_, item) => item.as_mut(),
        }
    }
    fn report(&self) -> FileReport {
        match self {
            Current::Rows(rows) => rows.report(),
            Current::Records(records, _) => records.report(),
        }
    }
}

/// Whom to name, and where to count, what is wrong with an event.
pub struct Blame<'a> {
    names: &'a [String],
    /// What was skipped so far.
    pub tally: &'a mut super::Tally,
    /// How many bad rows may be.
    pub skip: Option<u64>,
}

impl Blame<'_> {
    #[cfg(test)]
    pub(super) fn of_nobody(tally: &mut super::Tally) -> Blame<'_> {
        Blame { names: &[], tally, skip: None }
    }
    /// Name of a file by the index in [`super::PodEvent::origin`].
    pub fn file(&self, index: u32) -> &str {
        self.names.get(index as usize).map_or("", String::as_str)
    }
}

/// Pods and machines seen so far.
#[derive(Default)]
struct Seen {
    /// Fingerprints of their names.
    names: FxHashSet<u128>,
    /// Names of the current file's pods are unique in it only.
    ids_per_file: bool,
    /// The current file lists each machine once.
    lists_machines: bool,
}

struct Pending {
    input: TraceInput,
    /// Standard input cannot be opened twice, so its lines are kept from recognizing to reading.
    opened: Option<Lines>,
    table: Recognized,
}

impl TraceReader {
    /// Opens files of a format; `None` recognizes it.
    ///
    /// # Errors
    /// Unreadable files, files of another format, missing scales.
    pub fn open(
        format: Option<Format>,
        inputs: &[TraceInput],
        options: TraceOptions,
    ) -> TraceResult<TraceReader> {
        if inputs.is_empty() {
            return Err(TraceError::option("no trace files were given"));
        }
        let mut cx = Context { options, ..Context::default() };
        let heads =
            inputs.iter().map(|input| Head::read(input, &cx.options)).collect::<TraceResult<Vec<Head>>>()?;
        let (format, tables) = recognize(format, &heads)?;
        require_scales(format, &cx.options)?;
        let mut pending = Vec::with_capacity(inputs.len());
        for (head, table) in heads.into_iter().zip(tables) {
            cx.tables.push(table.name());
            let first_time = first_time(format, &head.sample(), &cx.options);
            let order = (table.rank(), first_time, head.input.name());
            pending.push((order, Pending { input: head.input, opened: head.opened, table }));
        }
        if cx.options.machines_only {
            pending.retain(|(_, pending)| pending.table.has_machines());
        }
        pending.sort_by(|a, b| a.0.cmp(&b.0));
        let pending: Vec<Pending> = pending.into_iter().map(|(_, pending)| pending).collect();
        let names = pending.iter().map(|p| p.input.name()).collect();
        Ok(TraceReader {
            format,
            waiting: pending.into_iter(),
            current: None,
            cx,
            seen: Seen::default(),
            reports: Vec::new(),
            names,
        })
    }

    /// The format, recognized or given.
    pub fn format(&self) -> Format {
        self.format
    }
    /// What was skipped or left out so far.
    pub fn tally(&self) -> &super::Tally {
        &self.cx.tally
    }
    /// The tally, for stages behind the reader.
    pub fn tally_mut(&mut self) -> &mut super::Tally {
        &mut self.cx.tally
    }
    /// Reports of the files that were read to their end.
    pub fn reports(&self) -> &[FileReport] {
        &self.reports
    }
    /// For the stage that pairs events.
    pub fn blame(&mut self) -> Blame<'_> {
        Blame { names: &self.names, tally: &mut self.cx.tally, skip: self.cx.options.skip_bad_rows }
    }

    /// The next item, `None` at the end.
    ///
    /// # Errors
    /// The first bad row in strict reading; otherwise what cannot be skipped.
    pub fn next_item(&mut self) -> TraceResult<Option<TraceItem>> {
        Ok(if self.advance()? { self.take() } else { None })
    }

    /// Takes the present item.
    pub fn take(&mut self) -> Option<TraceItem> {
        match self.current.as_mut()? {
            Current::Rows(rows) => rows.take(),
            Current::Records(_, item) => item.take(),
        }
    }

    /// The item that [`TraceReader::advance`] went to, where it lies: items are many and large. Its parts may be taken.
    #[inline]
    pub fn item(&mut self) -> Option<(&mut TraceItem, Blame<'_>)> {
        let item = self.current.as_mut()?.item()?;
        let skip = self.cx.options.skip_bad_rows;
        Some((item, Blame { names: &self.names, tally: &mut self.cx.tally, skip }))
    }

    /// Goes to the next item; false: there is none.
    ///
    /// # Errors
    /// As [`TraceReader::next_item`].
    pub fn advance(&mut self) -> TraceResult<bool> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(pending) = self.waiting.next() else {
                    return Ok(false);
                };
                self.cx.file = self.reports.len() as u32;
                self.current = Some(self.open_file(pending)?);
                continue;
            };
            if !current.advance(&mut self.cx)? {
                let report = current.report();
                self.reports.push(report);
                self.current = None;
            } else if let Some(item) = current.item() {
                let Some(message) = self.seen.repeated(item, self.cx.file) else { return Ok(true) };
                let file = self.names.get(self.cx.file as usize).map_or("", String::as_str);
                let mut error = TraceError::of_file(file, SkipReason::DuplicateId, message);
                error.line = self.cx.line;
                error.column = u64::from(self.cx.line > 0);
                self.cx.tally.skip(error, self.cx.options.skip_bad_rows)?;
            }
        }
    }

    fn open_file(&mut self, pending: Pending) -> TraceResult<Current> {
        match pending.table {
            Recognized::Rows { table, header } => {
                self.seen.ids_per_file = table.ids_per_file();
                self.seen.lists_machines = table.lists_machines();
                let lines = match pending.opened {
                    Some(lines) => lines,
                    None => Lines::new(pending.input.open_for(&self.cx.options)?),
                };
                let file = RowFile::new(lines, table, header, pending.input.name(), &self.cx.options);
                let workers = if self.cx.options.read_ahead { helpers() } else { 0 };
                Ok(Current::Rows(Box::new(Ahead::new(file, workers))))
            }
            Recognized::Records { open, .. } => {
                self.seen.ids_per_file = false;
                self.seen.lists_machines = false;
                let input = match pending.opened {
                    Some(lines) => {
                        let name = pending.input.name();
                        let bytes = lines.into_rest(max_document_bytes()).map_err(|error| {
                            TraceError::of_file(
                                &name,
                                SkipReason::Unreadable,
                                format!("cannot read: {error}"),
                            )
                        })?;
                        TraceInput::Bytes(name, bytes.into())
                    }
                    None => pending.input,
                };
                Ok(Current::Records(open(&input, &mut self.cx)?, None))
            }
        }
    }
}

impl Seen {
    /// What is wrong with an id that was seen before. Events repeat ids; their lives are checked when they are paired.
    #[inline]
    fn repeated(&mut self, item: &TraceItem, file: u32) -> Option<String> {
        let (kind, name, salt) = match item {
            TraceItem::Pod(pod) => ("pod", &pod.name, 0),
            TraceItem::Node(event) if self.lists_machines => ("machine", &event.node, 1 << 127),
            TraceItem::Node(_) | TraceItem::PodEvent(_) => return None,
        };
        let is_new = self.is_new(name, salt, file);
        (!is_new).then(|| format!("{kind} \"{name}\" was seen before"))
    }

    fn is_new(&mut self, name: &TraceId, kind: u128, file: u32) -> bool {
        let salt = if self.ids_per_file {
            u128::from(file).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        } else {
            0
        };
        self.names.insert(name.fingerprint() ^ salt ^ kind)
    }
}

/// The start of a file, read to recognize it.
struct Head {
    input: TraceInput,
    opened: Option<Lines>,
    bytes: Vec<u8>,
    /// Why there are no more bytes, if reading failed.
    fault: Option<Box<TraceError>>,
}

impl Head {
    /// Enough for every format; shards are many.
    const BYTES: usize = 31 << 10;

    fn read(input: &TraceInput, options: &TraceOptions) -> TraceResult<Head> {
        let mut lines = Lines::new(input.open_for(options)?);
        let mut bytes = lines.peek(Self::BYTES + 1);
        if bytes.len() > Self::BYTES {
            // The last line would be cut.
            bytes = &bytes[..Self::BYTES];
            bytes = memchr::memrchr(b'\n', bytes).map_or(bytes, |at| &bytes[..=at]);
        }
        let bytes = bytes.to_vec();
        let fault = if bytes.is_empty() {
            lines.advance().err().map(|fault| line_error(&input.name(), fault))
        } else {
            None
        };
        // Standard input cannot be opened twice.
        let opened = (!input.is_rereadable()).then_some(lines);
        Ok(Head { input: input.clone(), opened, bytes, fault })
    }

    fn sample(&self) -> Sample<'_> {
        Sample::new(self.input.stem(), &self.bytes)
    }
}

/// The format that knows all files, and the table of each.
fn recognize(format: Option<Format>, heads: &[Head]) -> TraceResult<(Format, Vec<Recognized>)> {
    let samples: Vec<Sample<'_>> = heads.iter().map(Head::sample).collect();
    let candidates = match format {
        Some(format) => vec![format],
        None => Format::ALL.to_vec(),
    };
    // The first file that the best candidate does not know is the one to complain about.
    let mut best = (0, None);
    for candidate in candidates {
        let found: Vec<Recognized> = samples
            .iter()
            .map_while(|sample| match format {
                Some(_) => candidate.recognize(sample),
                None => candidate.recognize_alone(sample),
            })
            .collect();
        if found.len() == samples.len() {
            return Ok((candidate, found));
        }
        if found.len() > best.0 || best.1.is_none() {
            best = (found.len(), Some(candidate));
        }
    }
    let (known, candidate) = best;
    let wrong = &heads[known];
    if let Some(fault) = &wrong.fault {
        return Err(fault.clone());
    }
    let format = if known > 0 { candidate } else { format };
    Err(unrecognized(format, &wrong.input, &samples[known]))
}

fn unrecognized(format: Option<Format>, input: &TraceInput, sample: &Sample<'_>) -> Box<TraceError> {
    let wrong = |message: String| TraceError::of_file(input.name(), SkipReason::WrongFormat, message);
    if sample.rows.is_empty() {
        return wrong("the file is empty".to_owned());
    }
    let Some(format) = format else {
        return wrong("the format was not recognized".to_owned())
            .with_hint("name it with --format, for example --format openb");
    };
    let mut error = wrong(format!("not a table of {format}: expected {}", format.expected()));
    error.line = 1;
    error.column = 1;
    let other = Format::ALL.into_iter().find(|other| other.recognize_alone(sample).is_some());
    match other {
        Some(other) => error.with_hint(format!("it looks like {other}; try --format {other}")),
        None => error,
    }
}

fn first_time(format: Format, sample: &Sample<'_>, options: &TraceOptions) -> u64 {
    let Some(Recognized::Rows { mut table, header }) = format.recognize(sample) else {
        return 0;
    };
    let mut cx = Context {
        options: TraceOptions { figures: false, nominal_scales: true, ..options.clone() },
        ..Context::default()
    };
    let mut fields = Fields::default();
    let skipped = usize::from(header);
    let lines = sample.bytes.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    for line in lines.skip(skipped).take(Sample::LINES) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let span = LineSpan::nowhere();
        let row = if table.is_json() { fields.whole(line, span) } else { fields.split(line, span) };
        if let Ok(Some(item)) = table.parse(&row, &mut cx) {
            return item.at().as_nanos();
        }
    }
    0
}

fn require_scales(format: Format, options: &TraceOptions) -> TraceResult<()> {
    let normalized = format.normalized();
    if options.nominal_scales {
        return Ok(());
    }
    for (needed, have, name, unit) in [
        (normalized.cpu, options.max_cpu_milli.is_some(), "maxCpu", "maxCpu: 64"),
        (normalized.memory, options.max_memory_bytes.is_some(), "maxMemory", "maxMemory: 512Gi"),
        (normalized.disk, options.max_disk_bytes.is_some(), "maxDisk", "maxDisk: 4Ti"),
    ] {
        if needed && !have {
            let message = format!("{format} gives shares of the largest machine: {name} is needed");
            return Err(
                TraceError::option(message).with_hint(format!("say what 1.0 stands for, for example {unit}"))
            );
        }
    }
    Ok(())
}
