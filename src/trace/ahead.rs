//! The rows of a file as a stream of items. Rows of large files are read in other threads while what was read is used: side by side
//! where the table allows it ([`super::beside`]), else in one thread, in order. What comes out, and in which order, is the same as
//! without threads; faults stay in their places between the items.

use super::beside::Beside;
use super::error::{SkipReason, Tally, TraceError, TraceResult};
use super::reader::FileReport;
use super::record::TraceItem;
use super::row_file::{Entry, RowFile};
use super::table::Context;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

/// Entries that are handed over at once.
const BATCH: usize = 512;
/// Entries that are read at once where nothing is handed over: few, so that the memory of used ones is soon taken again.
const FEW: usize = 6;
/// Batches or blocks that may wait to be used.
const WAITING: usize = 8;
/// Entries after which a file is worth a thread. Starting one, and the memory that passes between threads, cost as much as reading
/// some megabytes.
const WORTH_ENTRIES: usize = 32 << 10;
/// Bytes of a block of unpacked data.
const BLOCK_BYTES: usize = 256 << 10;
/// Unpacked bytes after which a file is worth a thread.
const WORTH_BYTES: usize = 4 << 20;
/// More threads than these would wait for the one that uses what they read.
const MOST_WORKERS: usize = 3;

/// The items of a file of rows.
pub struct Ahead {
    state: State,
    name: String,
    /// What was read and is not used yet, from `next` on; before it stands what is used.
    entries: Vec<Entry>,
    next: usize,
    /// Threads besides the one that uses the items.
    workers: usize,
}

enum State {
    /// Read by whoever asks, and for how many entries more this will do.
    Here(Box<RowFile>, usize),
    InOrder(Box<Running>),
    Beside(Box<Beside>),
    Done(FileReport),
}

struct Running {
    batches: Receiver<Batch>,
    /// Batches that are used go back.
    spare: SyncSender<Vec<Entry>>,
    end: Option<(FileReport, Context)>,
}

/// What the thread hands over.
struct Batch {
    entries: Vec<Entry>,
    tally: Tally,
    /// The file's end.
    end: Option<(FileReport, Context)>,
}

/// Threads that can help on this machine.
pub fn helpers() -> usize {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    (threads - 1).min(MOST_WORKERS)
}

impl Ahead {
    /// Reads a file, with so many threads once it turns out to be large.
    pub fn new(file: RowFile, workers: usize) -> Ahead {
        let name = file.name().to_owned();
        let state = State::Here(Box::new(file), WORTH_ENTRIES);
        Ahead { state, name, entries: Vec::new(), next: 0, workers }
    }

    /// Goes to the next item; false: there is none.
    ///
    /// # Errors
    /// The first bad row in strict reading; otherwise what cannot be skipped.
    #[inline]
    pub fn advance(&mut self, cx: &mut Context) -> TraceResult<bool> {
        loop {
            let Some(entry) = self.entries.get_mut(self.next) else {
                if self.refill(cx)? {
                    continue;
                }
                return Ok(false);
            };
            self.next += 1;
            if let Entry::Item { line, .. } = entry {
                cx.line = *line;
                return Ok(true);
            }
            if let Entry::Fault(fault) = std::mem::replace(entry, Entry::Taken) {
                cx.tally.skip(fault, cx.options.skip_bad_rows)?;
            }
        }
    }

    /// The item that [`Ahead::advance`] went to.
    #[inline]
    pub fn item(&mut self) -> Option<&mut TraceItem> {
        match self.entries.get_mut(self.next.checked_sub(1)?)? {
            Entry::Item { item, .. } => Some(item),
            Entry::Fault(_) | Entry::Taken => None,
        }
    }

    /// Takes that item.
    #[inline]
    pub fn take(&mut self) -> Option<TraceItem> {
        let entry = self.entries.get_mut(self.next.checked_sub(1)?)?;
        match std::mem::replace(entry, Entry::Taken) {
            Entry::Item { item, .. } => Some(item),
            Entry::Fault(_) | Entry::Taken => None,
        }
    }

    /// False: there will be nothing more.
    fn refill(&mut self, cx: &mut Context) -> TraceResult<bool> {
        self.next = 0;
        loop {
            match &mut self.state {
                State::Here(_, 0) if self.workers > 0 => self.start(cx)?,
                State::Here(file, left) => {
                    self.entries.clear();
                    file.read(cx, &mut self.entries, FEW);
                    *left = left.saturating_sub(self.entries.len());
                    if !self.entries.is_empty() {
                        return Ok(true);
                    }
                    self.state = State::Done(file.report());
                }
                State::InOrder(running) => {
                    if let Some((report, context)) = running.end.take() {
                        cx.take_back(context);
                        self.state = State::Done(report);
                    } else if running.refill(&mut self.entries, &mut cx.tally) {
                        return Ok(true);
                    } else {
                        return Err(self.stopped());
                    }
                }
                State::Beside(beside) => match beside.refill(&mut self.entries, cx) {
                    Ok(None) => return Ok(true),
                    // What is left has to be read in order.
                    Ok(Some(rest)) => self.state = State::Here(Box::new(rest), usize::MAX),
                    Err(_) => return Err(self.stopped()),
                },
                State::Done(_) => {
                    self.entries.clear();
                    return Ok(false);
                }
            }
        }
    }

    fn start(&mut self, cx: &mut Context) -> TraceResult<()> {
        let done = State::Done(FileReport::default());
        let State::Here(file, _) = std::mem::replace(&mut self.state, done) else { return Ok(()) };
        if let Some(parser) = file.fork() {
            let beside = Beside::start(*file, parser, cx, self.workers).map_err(|_| self.stopped())?;
            self.state = State::Beside(Box::new(beside));
            return Ok(());
        }
        let (sender, batches) = sync_channel(WAITING);
        let (spare, used) = sync_channel(WAITING);
        let context = cx.hand_over();
        let work = move || read_all(*file, context, &sender, &used);
        thread::Builder::new().name("trace".to_owned()).spawn(work).map_err(|_| self.stopped())?;
        self.state = State::InOrder(Box::new(Running { batches, spare, end: None }));
        Ok(())
    }

    #[cold]
    fn stopped(&self) -> Box<TraceError> {
        TraceError::of_file(&self.name, SkipReason::Unreadable, "the thread that reads it cannot go on")
    }

    /// What was read, once the end was reached.
    pub fn report(&self) -> FileReport {
        match &self.state {
            State::Here(file, _) => file.report(),
            State::InOrder(_) | State::Beside(_) => {
                FileReport { file: self.name.clone(), ..FileReport::default() }
            }
            State::Done(report) => report.clone(),
        }
    }
}

impl Running {
    /// False: there will be nothing more.
    fn refill(&mut self, entries: &mut Vec<Entry>, tally: &mut Tally) -> bool {
        let Ok(batch) = self.batches.recv() else { return false };
        tally.merge(&batch.tally);
        let used = std::mem::replace(entries, batch.entries);
        // A full queue is no loss.
        let _ = self.spare.try_send(used);
        self.end = batch.end;
        true
    }
}

/// The thread: reads the file to its end, or until nobody wants it any more.
fn read_all(file: RowFile, cx: Context, batches: &SyncSender<Batch>, spare: &Receiver<Vec<Entry>>) {
    let (mut file, mut cx) = (file, cx);
    loop {
        let mut entries = spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
        entries.clear();
        file.read(&mut cx, &mut entries, BATCH);
        let tally = std::mem::take(&mut cx.tally);
        if entries.len() < BATCH {
            let end = Some((file.report(), cx));
            // Whoever is gone needs no end.
            let _ = batches.send(Batch { entries, tally, end });
            return;
        }
        if batches.send(Batch { entries, tally, end: None }).is_err() {
            return;
        }
    }
}

/// Bytes that are unpacked ahead.
pub struct BlocksAhead {
    source: Source,
    block: Vec<u8>,
    at: usize,
}

enum Source {
    /// The start of the file, so many bytes of it.
    Here(Box<dyn Read + Send>, usize),
    Running(Receiver<io::Result<Vec<u8>>>, SyncSender<Vec<u8>>),
    Done,
}

impl BlocksAhead {
    /// Reads ahead once there is much to read.
    pub fn new(source: Box<dyn Read + Send>) -> BlocksAhead {
        BlocksAhead { source: Source::Here(source, WORTH_BYTES), block: Vec::new(), at: 0 }
    }

    fn start(&mut self) -> io::Result<()> {
        let Source::Here(source, _) = std::mem::replace(&mut self.source, Source::Done) else {
            return Ok(());
        };
        let (sender, blocks) = sync_channel(WAITING);
        let (spare, used) = sync_channel(WAITING);
        let work = move || unpack_all(source, &sender, &used);
        thread::Builder::new().name("unpack".to_owned()).spawn(work)?;
        self.source = Source::Running(blocks, spare);
        Ok(())
    }
}

/// The thread: reads to the end or the first fault, or until nobody wants it any more.
fn unpack_all(
    mut source: Box<dyn Read + Send>,
    blocks: &SyncSender<io::Result<Vec<u8>>>,
    spare: &Receiver<Vec<u8>>,
) {
    loop {
        let mut block = match spare.try_recv() {
            Ok(block) => block,
            Err(TryRecvError::Empty) => vec![0; BLOCK_BYTES],
            Err(TryRecvError::Disconnected) => return,
        };
        block.resize(BLOCK_BYTES, 0);
        let (filled, failure) = fill(&mut *source, &mut block);
        block.truncate(filled);
        let last = filled < BLOCK_BYTES;
        if filled > 0 && blocks.send(Ok(block)).is_err() {
            return;
        }
        if let Some(error) = failure {
            // Nobody to tell is no fault.
            let _ = blocks.send(Err(error));
            return;
        }
        if last {
            return;
        }
    }
}

/// Fills a block as far as there is something to fill it with.
pub(super) fn fill(source: &mut dyn Read, block: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while filled < block.len() {
        match source.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

impl Read for BlocksAhead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.at < self.block.len() {
                let n = (self.block.len() - self.at).min(into.len());
                into[..n].copy_from_slice(&self.block[self.at..self.at + n]);
                self.at += n;
                return Ok(n);
            }
            match &mut self.source {
                Source::Here(_, 0) => self.start()?,
                Source::Here(source, left) => {
                    let n = source.read(into)?;
                    *left = left.saturating_sub(n);
                    return Ok(n);
                }
                Source::Running(blocks, spare) => match blocks.recv() {
                    Ok(Ok(block)) => {
                        let used = std::mem::replace(&mut self.block, block);
                        let _ = spare.try_send(used);
                        self.at = 0;
                    }
                    Ok(Err(error)) => {
                        self.source = Source::Done;
                        return Err(error);
                    }
                    Err(_) => self.source = Source::Done,
                },
                Source::Done => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::lines::Lines;
    use crate::trace::table::Recognized;
    use crate::trace::{Format, TraceInput, TraceOptions, TraceReader, TraceRequest, inspect};

    /// Rows in time order, with a bad one here and there.
    fn rows(bad: bool) -> String {
        let mut text = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n".to_owned();
        for i in 0..3 * WORTH_ENTRIES {
            let cpu = if bad && i % 1777 == 5 { "many".to_owned() } else { (i % 64 * 1000).to_string() };
            text += &format!("p{i},{cpu},2,0,0,,LS,Running,{i},{},\n", i + 10);
        }
        text
    }
    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut encoder, text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    }
    fn request(bytes: &[u8], read_ahead: bool, skip: Option<u64>) -> TraceRequest {
        let input = TraceInput::Bytes("pods.csv".into(), bytes.into());
        let options = TraceOptions { read_ahead, skip_bad_rows: skip, ..TraceOptions::default() };
        TraceRequest { options, ..TraceRequest::new(Some(Format::Openb), vec![input]) }
    }

    #[test]
    fn reading_ahead_changes_nothing() {
        let text = rows(true);
        for bytes in [text.clone().into_bytes(), gzip(&text), gzip(&text)[..50_000].to_vec()] {
            for skip in [None, Some(3), Some(u64::MAX)] {
                let found = [false, true].map(|ahead| {
                    let found = inspect(&request(&bytes, ahead, skip));
                    found.map(|found| found.to_json().to_string()).map_err(|error| error.to_string())
                });
                assert_eq!(found[0], found[1], "{skip:?}");
                assert_eq!(found[0].is_ok(), skip == Some(u64::MAX));
            }
        }
    }

    /// Borg's task events; some rows are bad, two of them out of order, and one line is longer than a block.
    fn borg(bad: bool) -> Vec<u8> {
        let mut text = Vec::new();
        for i in 0..3 * WORTH_ENTRIES {
            let cpu = if bad && i % 7777 == 5 { "many" } else { "0.5" };
            let user =
                if bad && i == 2 * WORTH_ENTRIES { "u".repeat(700_000) } else { format!("user{}", i % 89) };
            let machine = if i % 3 == 0 { String::new() } else { (i % 50).to_string() };
            let row = format!("{},,{i},1,{machine},0,{user},2,,{cpu},,-,0\r\n", 600_000_000 + i);
            text.extend(row.into_bytes());
        }
        text.extend(b"18446744073709551615,,1,1");
        text
    }

    /// All that a file says, in order: items with their lines, faults, and what was counted.
    fn said(bytes: &[u8], format: Format, workers: usize) -> Vec<String> {
        let mut cx = Context::default();
        cx.options = TraceOptions { figures: true, skip_bad_rows: Some(u64::MAX), ..cx.options };
        let sample = crate::trace::table::Sample::new("trace.csv".into(), &bytes[..5000]);
        let Some(Recognized::Rows { table, header }) = format.recognize(&sample) else { panic!("rows") };
        let lines = Lines::new(Box::new(io::Cursor::new(bytes.to_vec())));
        let file = RowFile::new(lines, table, header, "trace.csv".into(), &cx.options);
        let (mut ahead, mut said) = (Ahead::new(file, workers), Vec::new());
        while ahead.advance(&mut cx).expect("all may be skipped") {
            said.push(format!("{} {:?}", cx.line, ahead.item()));
            // Every other one is taken from its place.
            if said.len() % 2 == 0 {
                assert!(ahead.take().is_some() && ahead.item().is_none());
            }
        }
        said.push(format!("{:?} {:?} {:?}", ahead.report(), cx.tally.skipped, cx.tally.left_out));
        said.extend(cx.tally.examples.iter().map(|fault| format!("{fault:?}")));
        said
    }

    #[test]
    fn any_number_of_threads_says_the_same() {
        for (bytes, format) in [
            (borg(true), Format::Google2011),
            (borg(false), Format::Google2011),
            (rows(true).into_bytes(), Format::Openb),
        ] {
            let alone = said(&bytes, format, 0);
            assert!(alone.len() > 2 * WORTH_ENTRIES);
            // Who comes to the end first is chance.
            for workers in [1, 1, 1, 1, 2, 2, 3, 5] {
                assert!(said(&bytes, format, workers) == alone, "{workers} threads say something else");
            }
        }
    }

    #[test]
    fn a_file_that_is_read_side_by_side_may_be_left_early() {
        for entries in [WORTH_ENTRIES, WORTH_ENTRIES + 10, 2 * WORTH_ENTRIES] {
            let (bytes, mut cx) = (borg(false), Context::default());
            let sample = crate::trace::table::Sample::new("trace.csv".into(), &bytes[..5000]);
            let Some(Recognized::Rows { table, header }) = Format::Google2011.recognize(&sample) else {
                panic!("rows")
            };
            let lines = Lines::new(Box::new(io::Cursor::new(bytes.clone())));
            let file = RowFile::new(lines, table, header, "trace.csv".into(), &cx.options);
            let mut ahead = Ahead::new(file, 2);
            for _ in 0..entries {
                assert!(ahead.advance(&mut cx).expect("a good row"));
            }
        }
    }

    #[test]
    fn a_reader_may_be_left_early() {
        let bytes = gzip(&rows(false));
        let mut reader = TraceReader::open(
            None,
            &[TraceInput::Bytes("pods.csv".into(), bytes.into())],
            TraceOptions { read_ahead: true, ..TraceOptions::default() },
        )
        .expect("a good trace");
        for _ in 0..WORTH_ENTRIES + 10 {
            assert!(reader.next_item().expect("a good row").is_some());
        }
    }
}
