//! Doing the runs of a sweep: in parallel, each durable as soon as it is finished.

use super::job::{Evaluate, JobKey, Metrics};
use super::journal::Journal;
use super::rounds::{Shape, Watch};
use super::shard::Shard;
use super::study::Study;
use rayon::prelude::*;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Told about every run; for progress bars.
pub trait Progress: Sync {
    /// So many runs are known to be needed, so many of them are done. Grows if replications are added.
    fn planned(&self, total: u64, done: u64) {
        let _ = (total, done);
    }
    /// A run has begun.
    fn started(&self, key: JobKey) {
        let _ = key;
    }
    /// A run is finished and durable.
    fn finished(&self, key: JobKey, failed: bool) {
        let _ = (key, failed);
    }
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;
impl Progress for Silent {}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Runs of this part of the sweep, those found in the journal included.
    pub runs: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Points that had not become narrow when the replications ended, see [`super::until_ci::UntilCi`].
    pub wide_points: u64,
}

/// Why it did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// A finished run could not be made durable.
    #[error(
        "cannot write the journal: {0}; what was written before is kept: make room and continue with --resume"
    )]
    Journal(#[source] io::Error),
    /// It was asked to stop. Everything finished is in the journal.
    #[error("stopped; continue with --resume")]
    Stopped,
}

/// Does every run of this part of the sweep that the journal does not hold, on the threads of the current rayon pool.
///
/// `watch` must have seen what the journal holds. When `stop` becomes true no further run is begun.
///
/// # Errors
/// [`ExecuteError`]. A run that fails is no error: it becomes a row.
pub fn execute(
    study: &Study,
    shard: Shard,
    evaluate: &dyn Evaluate,
    journal: &mut Journal,
    watch: &mut Watch,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Outcome, ExecuteError> {
    let shape = Shape::of_study(study);
    let mut outcome = Outcome::default();
    let mut round = shape.first_round(shard);
    while !round.is_empty() {
        let keys = shape.keys(&round);
        outcome.runs += keys.len() as u64;
        let missing: Vec<JobKey> = keys.into_iter().filter(|key| !journal.has(*key)).collect();
        progress.planned(outcome.runs, outcome.runs - missing.len() as u64);
        run_all(study, &missing, evaluate, journal, watch, progress, stop)?;
        let wide;
        (round, wide) = shape.next_round(watch, &round);
        outcome.wide_points += wide;
    }
    outcome.failed = watch.failed();
    Ok(outcome)
}

type Finished = (JobKey, Result<Metrics, String>);

fn run_all(
    study: &Study,
    keys: &[JobKey],
    evaluate: &dyn Evaluate,
    journal: &mut Journal,
    watch: &mut Watch,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<(), ExecuteError> {
    let broken = AtomicBool::new(false);
    let (sender, receiver) = sync_channel::<Finished>(256);
    let journal_again = &mut *journal;
    let written = std::thread::scope(|scope| {
        let broken = &broken;
        let writer = scope.spawn(move || write_all(&receiver, journal_again, watch, progress, broken));
        keys.par_iter().with_max_len(1).for_each_with(sender, |sender, key| {
            if !stop.load(Ordering::Relaxed) && !broken.load(Ordering::Relaxed) {
                run_one(study, *key, evaluate, progress, sender);
            }
        });
        writer.join()
    });
    match written {
        Ok(Ok(())) => {}
        Ok(Err(e)) => return Err(ExecuteError::Journal(e)),
        Err(_) => return Err(ExecuteError::Journal(io::Error::other("the writer of the journal died"))),
    }
    if stop.load(Ordering::Relaxed) && keys.iter().any(|key| !journal.has(*key)) {
        return Err(ExecuteError::Stopped);
    }
    Ok(())
}

fn run_one(
    study: &Study,
    key: JobKey,
    evaluate: &dyn Evaluate,
    progress: &dyn Progress,
    sender: &SyncSender<Finished>,
) {
    let Some(job) = study.job(key) else { return };
    progress.started(key);
    let caught = catch_unwind(AssertUnwindSafe(|| evaluate.run(&job)));
    let outcome = caught.unwrap_or_else(|cause| Err(format!("the program failed: {}", panic_text(&*cause))));
    // Only a writer that has already failed hangs up.
    let _ = sender.send((key, outcome));
}

/// What a panic said.
pub(crate) fn panic_text(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}

/// Takes finished runs as they come; those that wait together are synced together.
fn write_all(
    receiver: &Receiver<Finished>,
    journal: &mut Journal,
    watch: &mut Watch,
    progress: &dyn Progress,
    broken: &AtomicBool,
) -> io::Result<()> {
    while let Ok(first) = receiver.recv() {
        let mut batch = vec![first];
        batch.extend(receiver.try_iter().take(255));
        if let Err(e) = journal.append(batch.iter().map(|(key, outcome)| (*key, outcome))) {
            broken.store(true, Ordering::Relaxed);
            // The others must not wait for a queue that nobody empties.
            receiver.iter().for_each(drop);
            return Err(e);
        }
        for (key, outcome) in &batch {
            watch.finished(*key, outcome);
            progress.finished(*key, outcome.is_err());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
