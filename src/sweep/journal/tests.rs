use super::*;
use crate::sweep::job::Evaluate;
use crate::sweep::testing::{Hashed, study};
use std::sync::{Arc, Mutex};

fn jobs() -> Vec<(JobKey, Result<Metrics, String>)> {
    let study = study(3, 2);
    let evaluate = Hashed { failing: vec![1], ..Hashed::default() };
    let mut all = Vec::new();
    for point in 0..3 {
        for replication in 0..2 {
            for variant in 0..2 {
                let key = JobKey { point, replication, variant };
                all.push((key, evaluate.run(&study.job(key).unwrap())));
            }
        }
    }
    all
}

fn ignore() -> impl FnMut(&Record, &[String]) {
    |_: &Record, _: &[String]| {}
}

fn open(path: &Path) -> Result<Journal, JournalError> {
    Journal::open(path, &study(3, 2).file(None), &mut ignore())
}

fn write_all(path: &Path) -> Vec<u8> {
    let jobs = jobs();
    let mut journal = open(path).unwrap();
    for chunk in jobs.chunks(5) {
        journal.append(chunk.iter().map(|(k, o)| (*k, o))).unwrap();
    }
    drop(journal);
    std::fs::read(path).unwrap()
}

#[test]
fn what_was_appended_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.journal");
    write_all(&path);
    let mut seen = Vec::new();
    let header = study(3, 2).file(None);
    let journal = Journal::open(&path, &header, &mut |r, names| seen.push((r.clone(), names.len()))).unwrap();
    assert_eq!(journal.contents().runs.len(), 12);
    assert_eq!(seen.len(), 12);
    for ((key, outcome), (record, names)) in jobs().iter().zip(&seen) {
        assert_eq!(*record, Record::new(*key, outcome, record.columns));
        assert_eq!(*names, if outcome.is_ok() { 3 } else { 0 });
    }
}

#[test]
fn cut_at_every_byte_it_goes_on_and_ends_with_every_run() {
    let folder = tempfile::tempdir().unwrap();
    let whole = write_all(&folder.path().join("whole.journal"));
    let newlines = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
    // Whole lines but for the header and the names of the metrics.
    let left = |bytes: &[u8]| newlines(bytes).saturating_sub(2);
    for cut in 0..whole.len() {
        let contents = Contents::read(&mut &whole[..cut], &mut ignore()).unwrap();
        assert_eq!((contents.runs.len(), contents.damaged), (left(&whole[..cut]), 0), "cut at {cut}");
        // Syncing takes its time: the files around the ends of lines, and some others.
        if cut % 97 != 0 && !whole[cut.saturating_sub(1)..(cut + 2).min(whole.len())].contains(&b'\n') {
            continue;
        }
        let path = folder.path().join("cut.journal");
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut journal = open(&path).unwrap();
        assert_eq!(journal.contents().runs.len(), left(&whole[..cut]), "cut at {cut}");
        let missing: Vec<_> = jobs().into_iter().filter(|(key, _)| !journal.has(*key)).collect();
        journal.append(missing.iter().map(|(k, o)| (*k, o))).unwrap();
        drop(journal);
        assert_eq!(open(&path).unwrap().contents().runs.len(), 12, "cut at {cut}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn damage_costs_the_damaged_run_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.journal");
    let whole = write_all(&path);
    let lines: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i).collect();
    // The middle of the fifth run's line.
    let mut damaged = whole.clone();
    damaged[(lines[5] + lines[6]) / 2] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let journal = open(&path).unwrap();
    assert_eq!((journal.contents().runs.len(), journal.contents().damaged), (11, 1));
    drop(journal);
    // Zeros at the end, as a power failure may leave them.
    let mut zeros = whole.clone();
    zeros.extend([0; 4096]);
    std::fs::write(&path, &zeros).unwrap();
    drop(open(&path).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    // The names of the metrics: the runs that need them are done again, the failed ones are kept.
    let mut damaged = whole;
    damaged[lines[0] + 20] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    assert_eq!(open(&path).unwrap().contents().runs.len(), 4);
}

#[test]
fn another_sweep_or_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.journal");
    let whole = write_all(&path);
    let mut others: Vec<(StudyFile, &str)> = Vec::new();
    let with = |change: &dyn Fn(&mut crate::sweep::Study)| {
        let mut other = study(3, 2);
        change(&mut other);
        other.file(None)
    };
    others.push((with(&|s| s.scenario = "other".into()), "scenario `made-up`, not `other`"));
    others.push((with(&|s| s.scenario_digest = "blake3:22".into()), "another content"));
    others.push((with(&|s| s.seed = 7), "seed `42`, not `7`"));
    others.push((with(&|s| s.replications = 3), "number of replications"));
    others.push((with(&|s| s.points.truncate(2)), "other axes or points"));
    others.push((with(&|s| s.variants[0] = "z".into()), "variants `a, b`, not `z, b`"));
    let mut version = study(3, 2).file(None);
    version.tool = "stowplan 0.0.0".into();
    version.sweep_digest = version.compute_digest();
    others.push((version, "not `stowplan 0.0.0`"));
    others.push((study(3, 2).file(Some(crate::sweep::Shard { index: 1, count: 2 })), "not shard 1/2"));
    for (other, want) in others {
        let error = Journal::open(&path, &other, &mut ignore()).err().unwrap().to_string();
        assert!(error.contains(want), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
    for foreign in ["a diary\n", "a diary", "0123456789abcdef and more", "\n"] {
        std::fs::write(&path, foreign).unwrap();
        assert!(matches!(open(&path), Err(JournalError::Malformed { .. })), "{foreign}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
    }
}

#[test]
fn two_processes_do_not_share_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.journal");
    let first = open(&path).unwrap();
    assert!(matches!(open(&path), Err(JournalError::Busy { .. })));
    drop(first);
    assert!(open(&path).is_ok());
}

/// Takes so many bytes, then the disk is full. What a torn write left stays.
#[derive(Clone)]
struct Full {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
    sync_fails: bool,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.bytes.lock().unwrap();
        let fits = bytes.len().min(self.room - held.len());
        if fits == 0 && !bytes.is_empty() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        held.extend(&bytes[..fits]);
        Ok(fits)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Full {
    fn sync(&mut self) -> io::Result<()> {
        if self.sync_fails { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

#[test]
fn a_disk_that_fills_at_any_byte_loses_nothing_that_was_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.journal");
    let whole = write_all(&path);
    let head = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
    for room in (0..whole.len() - head).step_by(41) {
        let sink = Full { bytes: Arc::default(), room, sync_fails: false };
        let contents = Contents { whole_bytes: head as u64, ..Contents::default() };
        let mut journal = Journal::on(&path, Box::new(sink.clone()), contents);
        let mut confirmed = Vec::new();
        for (key, outcome) in &jobs() {
            match journal.append([(*key, outcome)]) {
                Ok(()) => confirmed.push(*key),
                Err(e) => {
                    assert_eq!(e.kind(), io::ErrorKind::StorageFull);
                    break;
                }
            }
        }
        assert!(confirmed.len() < 12);
        let mut bytes = whole[..head].to_vec();
        bytes.extend(&*sink.bytes.lock().unwrap());
        std::fs::write(&path, bytes).unwrap();
        let journal = open(&path).unwrap();
        assert!(confirmed.iter().all(|key| journal.has(*key)), "room {room}");
    }
}

#[test]
fn a_run_counts_only_when_it_is_synced() {
    let sink = Full { bytes: Arc::default(), room: 1 << 20, sync_fails: true };
    let mut journal = Journal::on(Path::new("x"), Box::new(sink), Contents::default());
    let jobs = jobs();
    assert!(journal.append([(jobs[0].0, &jobs[0].1)]).is_err());
    assert!(!journal.has(jobs[0].0));
}
