//! The folder that a sweep leaves behind, and the journal beside it while it is under way.
//!
//! ```text
//! <out>.journal        while it runs: every finished run (removed when the folder is in place)
//! <out>/sweep.csv      one row per run             <out>/sweep.json   what the runs belong to
//! <out>/sweep.parquet  the same with types
//! <out>/summary.csv    means and intervals         <out>/provenance.json
//! <out>/runs.jsonl     of a shard only: its runs, to be merged
//! ```

use super::execute::{ExecuteError, Outcome, Progress, execute};
use super::job::{Evaluate, JobKey};
use super::journal::{Contents, Journal, JournalError};
use super::record::{Columns, Line};
use super::rounds::{Shape, Watch};
use super::runs::Runs;
use super::shard::Shard;
use super::study::{Study, StudyFile};
use super::table::{write_summary_csv, write_sweep_csv};
use crate::limits::{self, Limit};
use crate::results::disk::Disk;
use crate::results::write::{Provenance, ResultsError, Staging};
use std::fs;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// One row per run.
pub const SWEEP_TABLE: &str = "sweep.csv";
/// The same with types; only in builds with the feature `parquet`, which is a default.
pub const SWEEP_PARQUET: &str = "sweep.parquet";
/// Means and intervals.
pub const SUMMARY_TABLE: &str = "summary.csv";
/// What the runs belong to.
pub const STUDY_FILE: &str = "sweep.json";
/// A shard's runs.
pub const RUNS_FILE: &str = "runs.jsonl";

/// Why a sweep or a merge came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The results folder.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The runs.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// What stands in the way, and what to do.
    #[error("{path}: {why}")]
    Refused {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// Shards that are not one whole sweep.
    #[error("{0}")]
    Merge(String),
}

impl SweepError {
    /// The program's exit code: 2 for what the user must change, 3 for what could not be read or written, 130 for a stop.
    pub fn exit_code(&self) -> u8 {
        match self {
            SweepError::Results(e) => e.exit_code(),
            SweepError::Journal(JournalError::Io { .. } | JournalError::Busy { .. }) => 3,
            SweepError::Execute(ExecuteError::Journal(_)) => 3,
            SweepError::Execute(ExecuteError::Stopped) => 130,
            SweepError::Journal(_) | SweepError::Refused { .. } | SweepError::Merge(_) => 2,
        }
    }

    fn refused(path: &Path, why: impl Into<String>) -> SweepError {
        SweepError::Refused { path: path.to_owned(), why: why.into() }
    }

    fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> SweepError {
        let make = ResultsError::io(path, action);
        move |e| SweepError::Results(make(e))
    }
}

/// How a sweep is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The results folder.
    pub out: &'a Path,
    /// Which part of the sweep.
    pub shard: Shard,
    /// Go on with what is there.
    pub resume: bool,
    /// The command line as provenance keeps it: without what cannot change the results (threads, shard, folder).
    pub command: &'a [String],
}

/// The journal of a results folder.
pub fn journal_path(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".journal");
    out.with_file_name(name)
}

/// Runs (its part of) a sweep and puts the results in place.
///
/// # Errors
/// [`SweepError`]. What was finished is in the journal then, and `resume` goes on with it.
pub fn run_sweep(
    study: &Study,
    options: Options<'_>,
    evaluate: &dyn Evaluate,
    disk: &dyn Disk,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Outcome, SweepError> {
    let shard = (options.shard.count > 1).then_some(options.shard);
    let header = study.file(shard);
    if let Some(outcome) = check_target(options, &header)? {
        return Ok(outcome);
    }
    let path = journal_path(options.out);
    if !options.resume && path.symlink_metadata().is_ok_and(|m| m.len() > 0) {
        // Who removes the journal of a sweep that is under way loses it.
        if Journal::is_busy(&path) {
            return Err(JournalError::Busy { path }.into());
        }
        let why = "the journal of an unfinished sweep; continue it with --resume, or remove it to begin anew";
        return Err(SweepError::refused(&path, why));
    }
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(SweepError::io(folder, "create the folder"))?;
    }
    if fs::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
        return Err(SweepError::refused(&path, "is no regular file, and the journal would be one"));
    }
    let mut watch = Watch::new(study.until_ci.as_ref());
    let mut journal = Journal::open(&path, &header, &mut |record, names| watch.found(record, names))?;
    let outcome = execute(study, options.shard, evaluate, &mut journal, &mut watch, progress, stop)?;
    let mut runs = Runs::default();
    runs.add(&path, journal.contents()).map_err(SweepError::io(&path, "read"))?;
    write_folder(options.out, &header, &mut runs, options.command, disk)?;
    // The folder is in place; should this fail, --resume finds every run done and writes the same folder again.
    let _ = fs::remove_file(&path);
    Ok(outcome)
}

/// Refuses a folder that is not of this sweep. `Some` if the sweep is there already, complete, and may be kept.
fn check_target(options: Options<'_>, header: &StudyFile) -> Result<Option<Outcome>, SweepError> {
    let out = options.out;
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none()) || out.symlink_metadata().is_err()
    {
        return Ok(None);
    }
    let path = out.join(STUDY_FILE);
    if path.symlink_metadata().is_err() {
        let why = "is not the results folder of a sweep and is left alone; choose another place with -o";
        return Err(SweepError::refused(out, why));
    }
    let found = read_study(out)?;
    if let Some(why) = found.differs_from(header) {
        let why =
            format!("holds runs {why}; nothing is mixed: move it away, or choose another place with -o");
        return Err(SweepError::refused(out, why));
    }
    if found.shard != header.shard {
        let why = "holds another part of the same sweep; choose another place with -o";
        return Err(SweepError::refused(out, why));
    }
    if !options.resume || journal_path(out).symlink_metadata().is_ok() {
        return Ok(None);
    }
    complete_outcome(out, header).map(Some)
}

/// Counts what a complete folder holds, from `sweep.csv` or a shard's runs.
fn complete_outcome(out: &Path, header: &StudyFile) -> Result<Outcome, SweepError> {
    let mut outcome = Outcome::default();
    if header.shard.is_some() {
        let mut watch = Watch::new(header.until_ci.as_ref());
        let contents = read_lines(&out.join(RUNS_FILE), &mut watch)?;
        return Ok(Outcome { runs: contents.runs.len() as u64, failed: watch.failed(), wide_points: 0 });
    }
    let path = out.join(SWEEP_TABLE);
    let malformed = |e: csv::Error| ResultsError::Malformed { path: path.clone(), why: e.to_string() };
    let file = limits::open(&path).map_err(SweepError::io(&path, "read"))?;
    let mut reader = csv::Reader::from_reader(limits::ShortLines::new(file));
    let error = reader.headers().map_err(malformed)?.iter().position(|name| name == "error");
    for row in reader.records() {
        let row = row.map_err(malformed)?;
        outcome.runs += 1;
        outcome.failed += u64::from(error.and_then(|at| row.get(at)).is_some_and(|text| !text.is_empty()));
    }
    Ok(outcome)
}

fn write_folder(
    out: &Path,
    header: &StudyFile,
    runs: &mut Runs,
    command: &[String],
    disk: &dyn Disk,
) -> Result<(), SweepError> {
    let mut staging = Staging::begin(out, disk)?;
    staging.json(STUDY_FILE, header)?;
    if header.shard.is_some() {
        staging.file(RUNS_FILE, |w| write_runs(header, runs, w))?;
    } else {
        staging.file(SWEEP_TABLE, |w| write_sweep_csv(header, runs, w))?;
        #[cfg(feature = "parquet")]
        staging.file(SWEEP_PARQUET, |w| super::columns::write_sweep_parquet(header, runs, w))?;
        staging.file(SUMMARY_TABLE, |w| write_summary_csv(header, runs, w))?;
    }
    let kind = if header.shard.is_some() { "shard" } else { "sweep" };
    let provenance =
        Provenance::new(kind, &header.scenario, &header.scenario_digest, header.seed, command.to_vec());
    staging.commit(provenance)?;
    Ok(())
}

/// A shard's runs in their order, with one list of columns each, so that equal runs make equal bytes.
fn write_runs(header: &StudyFile, runs: &mut Runs, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&Line::Header(Box::new(header.clone())).encode())?;
    let mut written: Vec<Vec<String>> = Vec::new();
    let keys: Vec<JobKey> = runs.keys().collect();
    for key in keys {
        let (mut record, names) = runs.read(key)?;
        if record.error.is_none() {
            let known = written.iter().position(|columns| columns == names);
            let id = known.unwrap_or(written.len());
            if known.is_none() {
                written.push(names.to_vec());
                out.write_all(&Line::Columns(Columns { id: id as u32, names: names.to_vec() }).encode())?;
            }
            record.columns = id as u32;
        }
        out.write_all(&Line::Run(record).encode())?;
    }
    Ok(())
}

/// Reads `sweep.json`.
///
/// # Errors
/// [`ResultsError`]: it is missing, or not what we write.
pub fn read_study(folder: &Path) -> Result<StudyFile, ResultsError> {
    let path = folder.join(STUDY_FILE);
    let text = limits::read_text(&path, Limit::ResultsBytes).map_err(ResultsError::io(&path, "read"))?;
    let malformed = |why: String| ResultsError::Malformed { path: path.clone(), why };
    let file: StudyFile =
        serde_json::from_str(&text).map_err(|e| malformed(format!("not written by stowplan sweep: {e}")))?;
    if file.compute_digest() != file.sweep_digest {
        return Err(malformed("was changed after it was written: its digest does not fit".to_owned()));
    }
    Ok(file)
}

fn read_lines(path: &Path, watch: &mut Watch) -> Result<Contents, SweepError> {
    let file = limits::open(path).map_err(SweepError::io(path, "read"))?;
    let see = &mut |record: &super::record::Record, names: &[String]| watch.found(record, names);
    Contents::read(&mut BufReader::new(file), see).map_err(SweepError::io(path, "read"))
}

/// What a merge was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Runs in all.
    pub runs: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Number of shards.
    pub shards: u32,
    /// The scenario's name, for the default folder.
    pub scenario: String,
}

/// Joins the shards of one sweep, given in any order, to the folder that one machine would have made.
///
/// A shard that is given twice, such as from a job that was run twice, counts once.
///
/// # Errors
/// [`SweepError::Merge`] if they are not of one sweep or something is missing, by name; [`SweepError::Results`] for what
/// cannot be read or written. Nothing is written then.
pub fn merge(folders: &[PathBuf], out: &Path, disk: &dyn Disk) -> Result<Merged, SweepError> {
    let (header, count) = check_shards(folders)?;
    let mut watch = Watch::new(header.until_ci.as_ref());
    let mut runs = Runs::default();
    for folder in folders {
        let path = folder.join(RUNS_FILE);
        let contents = read_lines(&path, &mut watch)?;
        if contents.damaged > 0 {
            let why = format!("{} lines are damaged; run this shard again", contents.damaged);
            return Err(ResultsError::Malformed { path, why }.into());
        }
        let twice = runs.add(&path, &contents).map_err(SweepError::io(&path, "read"))?;
        check_equal(&path, &contents, &twice, &mut runs)?;
    }
    let missing = Shape::of_file(&header).missing(Shard::WHOLE, &watch, &|key| runs.has(key));
    if let Some(first) = missing.first() {
        let why = format!(
            "{} of the sweep's runs are missing from the shards, the first at point {}, replication {}, variant {}; run the \
             shards again with --resume",
            missing.len(),
            first.point,
            first.replication,
            header.variants.get(first.variant as usize).map_or("?", String::as_str),
        );
        return Err(SweepError::Merge(why));
    }
    let command = read_command(&folders[0])?;
    write_folder(out, &header, &mut runs, &command, disk)?;
    let (runs, failed) = (runs.len() as u64, watch.failed());
    Ok(Merged { runs, failed, shards: count, scenario: header.scenario })
}

/// Are these all shards of one sweep? Returns what the whole is, and the number of shards.
fn check_shards(folders: &[PathBuf]) -> Result<(StudyFile, u32), SweepError> {
    let mut found: Vec<(&PathBuf, StudyFile, Shard)> = Vec::new();
    for folder in folders {
        let file = read_study(folder)?;
        let Some(shard) = file.shard else {
            let why = "is a whole sweep, not a shard: there is nothing to merge it with";
            return Err(SweepError::refused(folder, why));
        };
        found.push((folder, file, shard));
    }
    let Some((first, header, whole)) = found.first() else {
        return Err(SweepError::Merge("name the folders of the shards".to_owned()));
    };
    let count = whole.count;
    for (folder, file, shard) in &found {
        if let Some(why) = file.differs_from(header) {
            let why =
                format!("holds runs {why} (as in {}): these are not shards of one sweep", first.display());
            return Err(SweepError::refused(folder, why));
        }
        if shard.count != count {
            let why =
                format!("is shard {shard}, but {} is shard {whole}: split differently", first.display());
            return Err(SweepError::refused(folder, why));
        }
    }
    let missing: Vec<u32> = (1..=count).filter(|i| !found.iter().any(|(_, _, s)| s.index == *i)).collect();
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().take(20).map(|i| format!("{i}/{count}")).collect();
        let more =
            if missing.len() > 20 { format!(" and {} more", missing.len() - 20) } else { String::new() };
        return Err(SweepError::Merge(format!("missing shards: {}{more}", names.join(", "))));
    }
    Ok((StudyFile { shard: None, ..header.clone() }, count))
}

/// Runs that are there twice must be the same.
fn check_equal(
    path: &Path,
    contents: &Contents,
    twice: &[JobKey],
    runs: &mut Runs,
) -> Result<(), SweepError> {
    if twice.is_empty() {
        return Ok(());
    }
    let mut again = Runs::default();
    again.add(path, contents).map_err(SweepError::io(path, "read"))?;
    for key in twice {
        let (a, _) = again.read(*key).map_err(SweepError::io(path, "read"))?;
        let (b, _) = runs.read(*key).map_err(SweepError::io(path, "read"))?;
        if (&a.digest, &a.error, &a.values) != (&b.digest, &b.error, &b.values) {
            let why = format!(
                "holds another result for point {}, replication {} than another shard: runs must be repeatable; were they \
                 made by the same build?",
                key.point, key.replication
            );
            return Err(SweepError::refused(path, why));
        }
    }
    Ok(())
}

fn read_command(folder: &Path) -> Result<Vec<String>, SweepError> {
    let path = folder.join(crate::results::write::PROVENANCE_FILE);
    let text = limits::read_text(&path, Limit::ResultsBytes).map_err(SweepError::io(&path, "read"))?;
    let provenance: Provenance = serde_json::from_str(&text)
        .map_err(|e| ResultsError::Malformed { path: path.clone(), why: e.to_string() })?;
    Ok(provenance.command)
}

#[cfg(test)]
mod tests;
