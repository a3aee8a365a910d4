//! The journal of a sweep under way: every finished run is on disk before anything else happens with it.
//!
//! Lines are appended and synced ([`super::record`]). After a crash, a power failure or a full disk the last line may be
//! torn: it is cut off, and its run is done again. A line that is damaged in the middle is passed over, likewise. Runs are
//! pure functions of their job, so what is done again comes out the same.

use super::job::{JobKey, Metrics};
use super::record::{Columns, Line, Record};
use super::study::StudyFile;
use crate::results::disk::Sink;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Longest line that is believed to be one of ours.
const LONGEST_LINE: u64 = 1 << 30;

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system said no.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What we were about to do.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// It holds runs of another sweep.
    #[error(
        "{path}: holds runs {why}; nothing is mixed: finish that sweep, move the file away, or choose another place with -o"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// It is not a journal, or its head is lost.
    #[error(
        "{path}: is not the journal of a sweep, or its first line is damaged; move it away, or choose another place with -o"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it.
    #[error("{path}: another stowplan is writing it; wait for it, or choose another place with -o")]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

impl JournalError {
    fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> JournalError {
        let path = path.to_owned();
        move |source| JournalError::Io { path, action, source }
    }
}

/// Where a run's line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Byte offset of the line.
    pub offset: u64,
    /// Its length with the newline.
    pub length: u32,
}

/// What a file of lines holds: the runs by key, and the names of their metrics.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The first line.
    pub header: Option<StudyFile>,
    /// Names of metrics by id.
    pub columns: BTreeMap<u32, Vec<String>>,
    /// Where each run is; of two lines for one run, the last.
    pub runs: BTreeMap<JobKey, Place>,
    /// Lines that were damaged, a torn last one not counted.
    pub damaged: u64,
    /// Bytes up to the end of the last line that ends with a newline.
    pub whole_bytes: u64,
}

impl Contents {
    /// Reads lines to the end; `see` is shown every run that counts.
    ///
    /// # Errors
    /// Those of the reader. Damage is no error.
    pub fn read(reader: &mut dyn BufRead, see: &mut dyn FnMut(&Record, &[String])) -> io::Result<Contents> {
        let mut contents = Contents::default();
        let mut line = Vec::new();
        let mut first = true;
        loop {
            line.clear();
            let read = (&mut *reader).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                // The end, or a line that was never finished.
                return Ok(contents);
            }
            let place = Place { offset: contents.whole_bytes, length: read as u32 };
            contents.whole_bytes += read as u64;
            match (Line::decode(&line), first) {
                (Some(Line::Header(header)), true) => contents.header = Some(*header),
                (Some(Line::Columns(columns)), false) => {
                    contents.columns.insert(columns.id, columns.names);
                }
                (Some(Line::Run(record)), false) => contents.take(&record, place, see),
                _ => contents.damaged += 1,
            }
            first = false;
        }
    }

    fn take(&mut self, record: &Record, place: Place, see: &mut dyn FnMut(&Record, &[String])) {
        let none = Vec::new();
        let names = if record.error.is_some() { Some(&none) } else { self.columns.get(&record.columns) };
        match names {
            // The line with the names was damaged: the run cannot be understood and is done again.
            None => self.damaged += 1,
            Some(names) => {
                see(record, names);
                self.runs.insert(record.key(), place);
            }
        }
    }
}

/// A journal that runs are appended to.
pub struct Journal {
    path: PathBuf,
    sink: Box<dyn Sink + Send>,
    contents: Contents,
    columns: FxHashMap<Vec<String>, u32>,
    // Keeps the lock; the system releases it when the process ends, however it ends.
    _lock: Option<File>,
}

impl Journal {
    /// Opens the journal at `path` for this part of a sweep, making it if it is not there; `see` is shown every run it holds.
    ///
    /// # Errors
    /// [`JournalError`]. A file that is not the journal of the same part of the same sweep is left as it is.
    pub fn open(
        path: &Path,
        header: &StudyFile,
        see: &mut dyn FnMut(&Record, &[String]),
    ) -> Result<Journal, JournalError> {
        let file = File::options().read(true).append(true).create(true).open(path);
        let mut file = file.map_err(JournalError::io(path, "open"))?;
        match file.try_lock() {
            // Some network file systems know no locks; one user at a time is then up to the user.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Busy { path: path.to_owned() }),
        }
        let lock = file.try_clone().map_err(JournalError::io(path, "open"))?;
        let contents =
            Contents::read(&mut BufReader::new(&mut file), see).map_err(JournalError::io(path, "read"))?;
        let length = file.metadata().map_err(JournalError::io(path, "read"))?.len();
        match &contents.header {
            Some(found) => check_same(path, found, header)?,
            // Nothing but (part of) a first line was ever written: the crash came before any run was finished.
            None if contents.whole_bytes == 0 && is_torn_header(&mut file, length) => {}
            None => return Err(JournalError::Malformed { path: path.to_owned() }),
        }
        if length > contents.whole_bytes {
            file.set_len(contents.whole_bytes).map_err(JournalError::io(path, "cut the torn end off"))?;
        }
        let mut journal = Journal::on(path, Box::new(Append(file)), contents);
        journal._lock = Some(lock);
        if journal.contents.header.is_none() {
            journal
                .write(&Line::Header(Box::new(header.clone())))
                .map_err(JournalError::io(path, "write"))?;
            journal.contents.header = Some(header.clone());
            journal.sink.sync().map_err(JournalError::io(path, "sync"))?;
            sync_folder_of(path);
        }
        Ok(journal)
    }

    /// Is another process writing it?
    pub fn is_busy(path: &Path) -> bool {
        let file = crate::limits::open(path);
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// On any sink, with what it holds already.
    fn on(path: &Path, sink: Box<dyn Sink + Send>, contents: Contents) -> Journal {
        let columns = contents.columns.iter().map(|(id, names)| (names.clone(), *id)).collect();
        Journal { path: path.to_owned(), sink, contents, columns, _lock: None }
    }

    /// Appends finished runs and makes them durable, all with one sync.
    ///
    /// # Errors
    /// Those of the operating system. The journal must not be written any more then: its end may be torn, and a line behind
    /// a torn one would be lost with it.
    pub fn append<'a>(
        &mut self,
        runs: impl IntoIterator<Item = (JobKey, &'a Result<Metrics, String>)>,
    ) -> io::Result<()> {
        let mut places = Vec::new();
        for (key, outcome) in runs {
            let columns = match outcome {
                Ok(metrics) => self.columns_of(metrics)?,
                Err(_) => 0,
            };
            places.push((key, self.write(&Line::Run(Record::new(key, outcome, columns)))?));
        }
        self.sink.flush()?;
        self.sink.sync()?;
        self.contents.runs.extend(places);
        Ok(())
    }

    fn columns_of(&mut self, metrics: &Metrics) -> io::Result<u32> {
        let names: Vec<String> = metrics.values.keys().cloned().collect();
        if let Some(id) = self.columns.get(&names) {
            return Ok(*id);
        }
        let id = self.contents.columns.last_key_value().map_or(0, |(id, _)| id + 1);
        self.write(&Line::Columns(Columns { id, names: names.clone() }))?;
        self.contents.columns.insert(id, names.clone());
        self.columns.insert(names, id);
        Ok(id)
    }

    fn write(&mut self, line: &Line) -> io::Result<Place> {
        let bytes = line.encode();
        let place = Place { offset: self.contents.whole_bytes, length: bytes.len() as u32 };
        self.sink.write_all(&bytes)?;
        self.contents.whole_bytes += bytes.len() as u64;
        Ok(place)
    }

    /// What it holds.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Is this run done?
    pub fn has(&self, key: JobKey) -> bool {
        self.contents.runs.contains_key(&key)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Only the part of the sweep that the journal was begun for may be added to it.
fn check_same(path: &Path, found: &StudyFile, wanted: &StudyFile) -> Result<(), JournalError> {
    let foreign = |why: String| Err(JournalError::Foreign { path: path.to_owned(), why });
    if let Some(why) = found.differs_from(wanted) {
        return foreign(why);
    }
    if found.shard != wanted.shard {
        let part = |s: Option<super::Shard>| s.map_or("the whole sweep".to_owned(), |s| format!("shard {s}"));
        return foreign(format!("of {}, not {}", part(found.shard), part(wanted.shard)));
    }
    Ok(())
}

/// Is the file empty, or nothing but the beginning of our first line (or zeros, as a power failure may leave them)?
fn is_torn_header(file: &mut File, length: u64) -> bool {
    const BEGINNING: &[u8] = b" {\"header\":{\"schemaVersion\":";
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(1 << 16).read_to_end(&mut bytes));
    if read.is_err() {
        return false;
    }
    if bytes.iter().all(|b| *b == 0) && bytes.len() as u64 == length {
        return true;
    }
    let (sum, content) = bytes.split_at(bytes.len().min(16));
    sum.iter().all(u8::is_ascii_hexdigit) && content.iter().zip(BEGINNING).all(|(a, b)| a == b)
}

/// Appends to a file.
struct Append(File);

impl Write for Append {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for Append {
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn sync_folder_of(path: &Path) {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Not every file system lets folders be synced; the journal's own bytes are durable in any case.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests;
