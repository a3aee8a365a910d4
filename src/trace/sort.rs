//! A stable sort by time in bounded memory: runs in temporary files, merged when read.

use serde::{Serialize, de::DeserializeOwned};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, Write};

/// Memory of a sort unless the user says otherwise.
pub const DEFAULT_SORT_MEMORY: usize = 256 << 20;
/// Runs that are merged at once; more are first merged to one, so that few files are open.
const MAX_RUNS: usize = 64;

/// Position in the sorted order: nanoseconds, then the order of the input.
pub type SortKey = (u64, u64);

/// What can be sorted: it says how much memory it holds.
pub trait Sortable: Serialize + DeserializeOwned {
    /// Bytes held, roughly.
    fn weight(&self) -> usize;
}

/// Collects items and gives them back in order.
pub struct Sorter<T> {
    memory: usize,
    held: usize,
    buffer: Vec<(SortKey, T)>,
    runs: Vec<File>,
    last: SortKey,
    sorted: bool,
}

impl<T: Sortable> Sorter<T> {
    /// A sorter that holds about `memory` bytes.
    pub fn new(memory: usize) -> Sorter<T> {
        Sorter { memory, held: 0, buffer: Vec::new(), runs: Vec::new(), last: (0, 0), sorted: true }
    }

    /// Everything so far came in order.
    pub fn is_sorted(&self) -> bool {
        self.sorted
    }
    /// The next item would go beyond the memory.
    pub fn is_full(&self) -> bool {
        self.held >= self.memory
    }
    /// Nothing went to disk.
    pub fn is_in_memory(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds an item.
    ///
    /// # Errors
    /// The temporary folder is full or cannot be written.
    pub fn push(&mut self, key: SortKey, item: T) -> io::Result<()> {
        if self.is_full() {
            self.spill()?;
        }
        self.sorted &= key >= self.last;
        self.last = key;
        self.held += item.weight() + size_of::<SortKey>();
        self.buffer.push((key, item));
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut items = std::mem::take(&mut self.buffer);
        self.held = 0;
        items.sort_by_key(|(key, _)| *key);
        if self.runs.len() >= MAX_RUNS {
            let merged = write_run(Merge::<T>::new(std::mem::take(&mut self.runs))?)?;
            self.runs.push(merged);
        }
        self.runs.push(write_run(items.into_iter().map(Ok))?);
        Ok(())
    }

    /// The items in order.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub fn finish(mut self) -> io::Result<Sorted<T>> {
        if self.runs.is_empty() {
            if !self.sorted {
                self.buffer.sort_by_key(|(key, _)| *key);
            }
            return Ok(Sorted::Memory(self.buffer.into_iter()));
        }
        if !self.buffer.is_empty() {
            self.spill()?;
        }
        Ok(Sorted::Merge(Box::new(Merge::new(self.runs)?)))
    }
}

fn write_run<T: Sortable>(items: impl Iterator<Item = io::Result<(SortKey, T)>>) -> io::Result<File> {
    let mut writer = BufWriter::with_capacity(256 << 10, tempfile::tempfile()?);
    for item in items {
        let (key, item) = item?;
        let bytes = rmp_serde::to_vec(&item).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        writer.write_all(&key.0.to_le_bytes())?;
        writer.write_all(&key.1.to_le_bytes())?;
        writer.write_all(&length.to_le_bytes())?;
        writer.write_all(&bytes)?;
    }
    writer.into_inner().map_err(io::IntoInnerError::into_error)
}

/// Sorted items.
pub enum Sorted<T> {
    /// All were in memory.
    Memory(std::vec::IntoIter<(SortKey, T)>),
    /// Merged from files.
    Merge(Box<Merge<T>>),
}

impl<T: Sortable> Iterator for Sorted<T> {
    type Item = io::Result<(SortKey, T)>;
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Sorted::Memory(items) => items.next().map(Ok),
            Sorted::Merge(merge) => merge.next(),
        }
    }
}

/// Merges sorted runs.
pub struct Merge<T> {
    runs: Vec<BufReader<File>>,
    heads: Vec<Option<T>>,
    queue: BinaryHeap<Reverse<(SortKey, usize)>>,
}

impl<T: Sortable> Merge<T> {
    fn new(files: Vec<File>) -> io::Result<Merge<T>> {
        let mut merge = Merge { runs: Vec::new(), heads: Vec::new(), queue: BinaryHeap::new() };
        for mut file in files {
            file.rewind()?;
            merge.runs.push(BufReader::with_capacity(128 << 10, file));
            merge.heads.push(None);
            merge.refill(merge.runs.len() - 1)?;
        }
        Ok(merge)
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        let mut head = [0u8; 20];
        match self.runs[run].read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&head[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let length = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
        let mut bytes = vec![0; length as usize];
        self.runs[run].read_exact(&mut bytes)?;
        self.heads[run] = Some(rmp_serde::from_slice(&bytes).map_err(io::Error::other)?);
        self.queue.push(Reverse(((number(0), number(8)), run)));
        Ok(())
    }
}

impl<T: Sortable> Iterator for Merge<T> {
    type Item = io::Result<(SortKey, T)>;
    fn next(&mut self) -> Option<Self::Item> {
        // Runs are in input order and keys end in the input's order, so equal times stay in the order of the input.
        let Reverse((key, run)) = self.queue.pop()?;
        let item = self.heads[run].take()?;
        Some(self.refill(run).map(|()| (key, item)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
    struct Thing(u64, String);
    impl Sortable for Thing {
        fn weight(&self) -> usize {
            size_of::<Self>() + self.1.len()
        }
    }

    fn sorted(memory: usize, times: &[u64]) -> Vec<Thing> {
        let mut sorter = Sorter::new(memory);
        for (order, &time) in times.iter().enumerate() {
            sorter.push((time, order as u64), Thing(time, format!("thing {order}"))).expect("disk");
        }
        sorter.finish().expect("disk").map(|item| item.expect("disk").1).collect()
    }

    #[test]
    fn memory_and_disk_agree_and_ties_keep_their_order() {
        // A linear congruential sequence with many ties.
        let times: Vec<u64> = (0..5000u64).map(|i| (i * 7919 + 13) % 101).collect();
        let mut want: Vec<(u64, usize)> = times.iter().copied().zip(0..).collect();
        want.sort();
        let want: Vec<Thing> = want.into_iter().map(|(t, i)| Thing(t, format!("thing {i}"))).collect();
        assert_eq!(sorted(usize::MAX, &times), want);
        assert_eq!(sorted(10_000, &times), want, "a few runs");
        assert_eq!(sorted(1, &times), want, "a run for each item: runs are merged in between");
    }

    #[test]
    fn knows_whether_the_input_was_sorted() {
        let mut sorter = Sorter::new(1 << 20);
        for (order, time) in [1u64, 2, 2].into_iter().enumerate() {
            sorter.push((time, order as u64), Thing(time, String::new())).expect("memory");
        }
        assert!(sorter.is_sorted() && sorter.is_in_memory());
        sorter.push((1, 9), Thing(1, String::new())).expect("memory");
        assert!(!sorter.is_sorted());
    }
}
