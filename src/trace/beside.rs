//! Blocks of rows that several threads parse side by side, given out in order.
//!
//! Whoever parses takes the next block of whole lines under a lock. The thread that uses the items takes batches in the blocks' order, and
//! parses a block itself while the one it needs is not ready: so nobody waits while there is work. The last part of the file, where
//! it ends or where a line is longer than a block, is left to be read in order.

use super::error::Tally;
use super::lines::{Block, Lines};
use super::row_file::{Counts, Entry, RowFile, RowParser};
use super::table::Context;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

/// Blocks that may be parsed, or be about to, before they are used.
const WAITING: u64 = 8;

/// A file whose rows are read side by side.
pub struct Beside {
    pool: Arc<Pool>,
    own: Worker,
    /// Of all blocks whose entries were used, and of the file before them.
    counts: Counts,
    /// The block whose entries come next.
    next: u64,
}

/// The threads cannot go on.
#[derive(Debug)]
pub struct Stopped;

struct Pool {
    feed: Mutex<Feed>,
    made: Mutex<Made>,
    /// A batch is ready, or none will be.
    ready: Condvar,
    /// There is room for a batch, or nobody wants one any more.
    room: Condvar,
}

/// Where blocks come from.
struct Feed {
    /// None: all blocks were taken.
    lines: Option<Lines>,
    next: u64,
}

/// What was parsed.
#[derive(Default)]
struct Made {
    batches: BTreeMap<u64, Batch>,
    /// Blocks that were taken or are about to be, and those whose entries were used.
    begun: u64,
    used: u64,
    /// What follows the last block, and its number.
    rest: Option<(u64, Lines)>,
    spare_blocks: Vec<Vec<u8>>,
    spare_entries: Vec<Vec<Entry>>,
    /// Nobody wants more.
    left: bool,
    /// A thread came to a bad end.
    stopped: bool,
}

/// The entries of a block, and what was counted with them.
struct Batch {
    entries: Vec<Entry>,
    tally: Tally,
    counts: Counts,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Beside {
    /// Starts so many threads on the rest of a file. `parser` is a fork of the file's own.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(file: RowFile, parser: RowParser, cx: &Context, workers: usize) -> io::Result<Beside> {
        let (lines, mut own) = file.into_parts();
        let counts = own.take_counts();
        let feed = Mutex::new(Feed { lines: Some(lines), next: 0 });
        let made = Mutex::new(Made::default());
        let pool = Arc::new(Pool { feed, made, ready: Condvar::new(), room: Condvar::new() });
        let beside = Beside {
            pool: Arc::clone(&pool),
            own: Worker { parser: Some(own), cx: cx.beside() },
            counts,
            next: 0,
        };
        let mut parsers = Vec::new();
        for _ in 1..workers {
            parsers.extend(parser.fork());
        }
        parsers.push(parser);
        for parser in parsers {
            let mut worker = Worker { parser: Some(parser), cx: cx.beside() };
            let pool = Arc::clone(&pool);
            thread::Builder::new().name("trace".to_owned()).spawn(move || worker.work(&pool))?;
        }
        Ok(beside)
    }

    /// The entries of the next block, in exchange for used ones; or the rest of the file, after the last one.
    ///
    /// # Errors
    /// A thread came to a bad end.
    pub fn refill(&mut self, entries: &mut Vec<Entry>, cx: &mut Context) -> Result<Option<RowFile>, Stopped> {
        let used = std::mem::take(entries);
        let mut made = lock(&self.pool.made);
        if used.capacity() > 0 {
            made.spare_entries.push(used);
        }
        loop {
            if let Some(batch) = made.batches.remove(&self.next) {
                made.used += 1;
                self.next += 1;
                drop(made);
                self.pool.room.notify_one();
                cx.tally.merge(&batch.tally);
                self.counts.add(&batch.counts);
                *entries = batch.entries;
                return Ok(None);
            }
            if made.rest.as_ref().is_some_and(|&(end, _)| end == self.next) {
                let rest = made.rest.take().zip(self.own.parser.take());
                let ((_, lines), mut parser) = rest.ok_or(Stopped)?;
                parser.add_counts(&self.counts);
                return Ok(Some(RowFile::of_lines(lines, parser)));
            }
            if made.stopped {
                return Err(Stopped);
            }
            let helps = made.rest.is_none() && made.begun <= made.used + WAITING;
            match helps.then(|| self.pool.feed.try_lock()) {
                Some(Ok(feed)) => {
                    made.begun += 1;
                    let spare = made.spare_blocks.pop().unwrap_or_default();
                    let empty = made.spare_entries.pop().unwrap_or_default();
                    drop(made);
                    let block = self.pool.take(feed, spare);
                    self.own.parse(&self.pool, block, empty);
                    made = lock(&self.pool.made);
                }
                Some(Err(TryLockError::Poisoned(_))) => return Err(Stopped),
                // Whoever holds it, or has begun the next block, will have something for us.
                Some(Err(TryLockError::WouldBlock)) | None => {
                    made = self.pool.ready.wait(made).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        lock(&self.pool.made).left = true;
        self.pool.room.notify_all();
    }
}

impl Pool {
    /// The next block with its number; at the end, what is left becomes the rest.
    fn take(&self, mut feed: MutexGuard<'_, Feed>, spare: Vec<u8>) -> Option<(u64, Block)> {
        let block = feed.lines.as_mut()?.take_block(spare);
        let number = feed.next;
        if let Some(block) = block {
            feed.next += 1;
            return Some((number, block));
        }
        let rest = feed.lines.take().map(|lines| (number, lines));
        drop(feed);
        lock(&self.made).rest = rest;
        self.ready.notify_all();
        None
    }
}

struct Worker {
    parser: Option<RowParser>,
    cx: Context,
}

impl Worker {
    /// The thread: parses blocks while there are any and somebody wants them.
    fn work(&mut self, pool: &Pool) {
        let watch = Watch(pool);
        loop {
            let mut made = lock(&pool.made);
            while made.begun >= made.used + WAITING && !made.left {
                made = pool.room.wait(made).unwrap_or_else(PoisonError::into_inner);
            }
            if made.left || made.rest.is_some() || made.stopped {
                break;
            }
            made.begun += 1;
            let spare = made.spare_blocks.pop().unwrap_or_default();
            let empty = made.spare_entries.pop().unwrap_or_default();
            drop(made);
            let block = pool.take(lock(&pool.feed), spare);
            if block.is_none() {
                break;
            }
            self.parse(pool, block, empty);
        }
        std::mem::forget(watch);
    }

    /// Parses a block and hands over its entries.
    fn parse(&mut self, pool: &Pool, block: Option<(u64, Block)>, mut entries: Vec<Entry>) {
        let Some((number, block)) = block else { return };
        let Some(parser) = self.parser.take() else { return };
        entries.clear();
        let mut file = RowFile::of_lines(Lines::of_block(block), parser);
        file.read(&mut self.cx, &mut entries, usize::MAX);
        let (lines, mut parser) = file.into_parts();
        let counts = parser.take_counts();
        self.parser = Some(parser);
        let tally = std::mem::take(&mut self.cx.tally);
        let mut made = lock(&pool.made);
        made.batches.insert(number, Batch { entries, tally, counts });
        made.spare_blocks.push(lines.into_buffer());
        drop(made);
        pool.ready.notify_all();
    }
}

/// Tells the others when a thread comes to a bad end.
struct Watch<'a>(&'a Pool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        lock(&self.0.made).stopped = true;
        self.0.ready.notify_all();
    }
}
