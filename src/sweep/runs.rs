//! The finished runs of a sweep, read from the files that hold them one at a time: a million need not fit into memory.

use super::job::JobKey;
use super::journal::{Contents, Place};
use super::record::{Line, Record};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Runs in one or more files of lines.
#[derive(Debug, Default)]
pub struct Runs {
    files: Vec<Source>,
    index: BTreeMap<JobKey, (usize, Place)>,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    file: File,
    columns: BTreeMap<u32, Vec<String>>,
}

impl Runs {
    /// Adds what a file holds. A run that is already there stays as it was; its key is returned.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn add(&mut self, path: &Path, contents: &Contents) -> io::Result<Vec<JobKey>> {
        let source =
            Source { path: path.to_owned(), file: limits::open(path)?, columns: contents.columns.clone() };
        let at = self.files.len();
        self.files.push(source);
        let mut twice = Vec::new();
        for (key, place) in &contents.runs {
            if self.index.contains_key(key) {
                twice.push(*key);
            } else {
                self.index.insert(*key, (at, *place));
            }
        }
        Ok(twice)
    }

    /// The runs in order.
    pub fn keys(&self) -> impl Iterator<Item = JobKey> + '_ {
        self.index.keys().copied()
    }

    /// Is this run there?
    pub fn has(&self, key: JobKey) -> bool {
        self.index.contains_key(&key)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The names of all metrics, in bytewise order.
    pub fn metric_names(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.files.iter().flat_map(|f| f.columns.values().flatten()).collect();
        names.into_iter().cloned().collect()
    }

    /// Reads one run and the names of its values.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or is not what was there when the file was opened.
    pub fn read(&mut self, key: JobKey) -> io::Result<(Record, &[String])> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("the run {key:?} is not there"));
        let (at, place) = *self.index.get(&key).ok_or_else(missing)?;
        let source = self.files.get_mut(at).ok_or_else(missing)?;
        let record = read_line(&mut source.file, place)?;
        let changed = || {
            let why = format!("{} changed while it was read", source.path.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let record = record.filter(|record| record.key() == key).ok_or_else(changed)?;
        let names = source.columns.get(&record.columns).map_or(&[][..], Vec::as_slice);
        Ok((record, names))
    }
}

/// The run at a place; `None` if there is something else.
pub(super) fn read_line(file: &mut File, place: Place) -> io::Result<Option<Record>> {
    let mut bytes = vec![0; place.length as usize];
    file.seek(SeekFrom::Start(place.offset))?;
    file.read_exact(&mut bytes)?;
    match Line::decode(&bytes) {
        Some(Line::Run(record)) => Ok(Some(record)),
        _ => Ok(None),
    }
}
