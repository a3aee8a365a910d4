//! Reading ahead: large files are unpacked and parsed in threads of their own while others use what was read. What comes out, and
//! in which order, is the same as without; faults stay in their places between the items.

use super::error::{SkipReason, Tally, TraceError, TraceResult};
use super::reader::FileReport;
use super::record::TraceItem;
use super::row_file::{Entry, RowFile};
use super::table::{Context, RecordFile};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

/// Entries that are handed over at once.
const BATCH: usize = 512;
/// Batches or blocks that may wait to be used.
const WAITING: usize = 8;
/// Entries after which a file is worth a thread.
const WORTH_ENTRIES: usize = 4096;
/// Bytes of a block of unpacked data, and after which a file is worth a thread.
const BLOCK_BYTES: usize = 256 << 10;

/// A file of rows that is read ahead.
pub struct Ahead {
    state: State,
    name: String,
}

enum State {
    /// The start of the file, so many entries of it.
    Here(Box<RowFile>, usize),
    Running(Box<Running>),
    Done(FileReport),
}

struct Running {
    batches: Receiver<Batch>,
    /// Empty batches go back.
    spare: SyncSender<Vec<Entry>>,
    /// The last first.
    entries: Vec<Entry>,
    end: Option<(FileReport, Context)>,
}

/// What the thread hands over.
struct Batch {
    /// The last first.
    entries: Vec<Entry>,
    tally: Tally,
    /// The file's end.
    end: Option<(FileReport, Context)>,
}

impl Ahead {
    /// Reads a file ahead once it turns out to be large.
    pub fn new(file: RowFile) -> Ahead {
        let name = file.name().to_owned();
        Ahead { state: State::Here(Box::new(file), WORTH_ENTRIES), name }
    }

    fn next_entry(&mut self, cx: &mut Context) -> TraceResult<Option<Entry>> {
        loop {
            match &mut self.state {
                State::Here(file, left) => {
                    if let Some(entry) = file.next_entry(cx) {
                        *left -= 1;
                        if *left == 0 {
                            self.start(cx)?;
                        }
                        return Ok(Some(entry));
                    }
                    self.state = State::Done(file.report());
                }
                State::Running(running) => {
                    if let Some(entry) = running.entries.pop() {
                        return Ok(Some(entry));
                    }
                    if let Some((report, context)) = running.end.take() {
                        cx.take_back(context);
                        self.state = State::Done(report);
                    } else if !running.refill(&mut cx.tally) {
                        return Err(self.stopped());
                    }
                }
                State::Done(_) => return Ok(None),
            }
        }
    }

    fn start(&mut self, cx: &mut Context) -> TraceResult<()> {
        let done = State::Done(FileReport::default());
        let State::Here(file, _) = std::mem::replace(&mut self.state, done) else { return Ok(()) };
        let (sender, batches) = sync_channel(WAITING);
        let (spare, used) = sync_channel(WAITING);
        let context = cx.hand_over();
        let work = move || read_all(*file, context, &sender, &used);
        thread::Builder::new().name("trace".to_owned()).spawn(work).map_err(|_| self.stopped())?;
        self.state = State::Running(Box::new(Running { batches, spare, entries: Vec::new(), end: None }));
        Ok(())
    }

    #[cold]
    fn stopped(&self) -> Box<TraceError> {
        TraceError::of_file(&self.name, SkipReason::Unreadable, "the thread that reads it cannot go on")
    }
}

impl Running {
    /// False: there will be nothing more.
    fn refill(&mut self, tally: &mut Tally) -> bool {
        let Ok(batch) = self.batches.recv() else { return false };
        tally.merge(&batch.tally);
        let empty = std::mem::replace(&mut self.entries, batch.entries);
        // A full queue of empty batches is no loss.
        let _ = self.spare.try_send(empty);
        self.end = batch.end;
        true
    }
}

/// The thread: reads the file to its end, or until nobody wants it any more.
fn read_all(file: RowFile, cx: Context, batches: &SyncSender<Batch>, spare: &Receiver<Vec<Entry>>) {
    let (mut file, mut cx) = (file, cx);
    loop {
        let mut entries = spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
        while entries.len() < BATCH
            && let Some(entry) = file.next_entry(&mut cx)
        {
            entries.push(entry);
        }
        let at_end = entries.len() < BATCH;
        entries.reverse();
        let tally = std::mem::take(&mut cx.tally);
        if at_end {
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

impl RecordFile for Ahead {
    fn next_item(&mut self, cx: &mut Context) -> TraceResult<Option<TraceItem>> {
        loop {
            match self.next_entry(cx)? {
                Some(Entry::Item { item, line }) => {
                    cx.line = line;
                    return Ok(Some(item));
                }
                Some(Entry::Fault(fault)) => cx.tally.skip(fault, cx.options.skip_bad_rows)?,
                None => return Ok(None),
            }
        }
    }

    fn report(&self) -> FileReport {
        match &self.state {
            State::Here(file, _) => file.report(),
            State::Running(_) => FileReport { file: self.name.clone(), ..FileReport::default() },
            State::Done(report) => report.clone(),
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
        BlocksAhead { source: Source::Here(source, BLOCK_BYTES), block: Vec::new(), at: 0 }
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
