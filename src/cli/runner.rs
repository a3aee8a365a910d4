//! Runs variants on all cores, shows how far they have come, and stops waiting for them when a signal comes.

use super::{Failure, output, signals};
use crate::diagnostic::{Code, Diagnostic};
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::observe::{Observation, Observer};
use crate::report::human;
use crate::results::VariantOutput;
use crate::simulate::{self, Options, Prepared};
use crate::world::SimError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often signals are looked at and the progress is drawn.
const TICK: Duration = Duration::from_millis(100);
/// Runs shorter than this have no progress bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A run to be made.
pub struct Job {
    /// The variant's name.
    pub name: String,
    /// Its plan, without the cluster.
    pub prepared: Prepared,
    /// The cluster that it starts with, until the run takes it.
    start: Mutex<Option<Cluster>>,
}

impl Job {
    /// Of a plan.
    pub fn new(name: String, mut prepared: Prepared) -> Job {
        let start = Mutex::new(Some(std::mem::take(&mut prepared.plan.cluster)));
        Job { name, prepared, start }
    }
    fn take_start(&self) -> Cluster {
        self.start.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

/// Tells how far a run has come.
struct Clock(Arc<AtomicU64>);

impl Observer for Clock {
    fn observe(&mut self, _: SimTime, _: &Cluster, _: &Observation) {}
    fn settled(&mut self, from: SimTime, _: SimTime, _: &mut Cluster) {
        self.0.store(from.as_nanos(), Ordering::Relaxed);
    }
}

/// Runs every job. The answer holds what was finished, in the order of the jobs; `None` where a signal came first.
///
/// # Errors
/// The first run that failed.
pub fn run_all(jobs: &Arc<Vec<Job>>, options: Options) -> Result<Vec<Option<VariantOutput>>, Failure> {
    let clocks: Vec<Arc<AtomicU64>> = jobs.iter().map(|_| Arc::new(AtomicU64::new(0))).collect();
    let next = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = mpsc::channel::<(usize, Result<VariantOutput, SimError>)>();
    // Threads that a signal leaves behind end with the process: a run cannot be stopped half-way.
    for _ in 0..rayon::current_num_threads().min(jobs.len()) {
        let (jobs, next, sender, clocks) = (jobs.clone(), next.clone(), sender.clone(), clocks.clone());
        let started = std::thread::Builder::new().spawn(move || {
            while let Some(job) = {
                let index = next.fetch_add(1, Ordering::SeqCst);
                jobs.get(index).map(|job| (index, job))
            } {
                let (index, job) = job;
                let clock = Clock(clocks[index].clone());
                let (start, prepared) = (job.take_start(), &job.prepared);
                let run =
                    simulate::run_from(&prepared.plan, start, &job.name, prepared.sample, options, clock);
                if sender.send((index, run)).is_err() {
                    return;
                }
            }
        });
        started.map_err(|error| Failure::coded(Code::Resources, format!("cannot start threads: {error}")))?;
    }
    drop(sender);
    let mut finished: Vec<Option<VariantOutput>> = jobs.iter().map(|_| None).collect();
    let mut left = jobs.len();
    let mut bar = Bar::new();
    while left > 0 && !signals::STOP.load(Ordering::SeqCst) {
        match receiver.recv_timeout(TICK) {
            Ok((index, Ok(output))) => {
                finished[index] = Some(output);
                left -= 1;
            }
            Ok((_, Err(SimError::Trace(error)))) => return Err(Diagnostic::from(&*error).into()),
            Ok((index, Err(error))) => {
                return Err(Failure::coded(Code::Other, format!("variant {}: {error}", jobs[index].name)));
            }
            Err(RecvTimeoutError::Timeout) => bar.draw(jobs, &clocks, &finished),
            Err(RecvTimeoutError::Disconnected) => {
                let message = "a run ended without an answer: too little memory, or a bug in stowplan";
                return Err(Failure::coded(Code::Resources, message));
            }
        }
    }
    bar.finish();
    Ok(finished)
}

/// A line on standard error, if that is a terminal and the runs take their time.
struct Bar {
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Bar {
    fn new() -> Bar {
        Bar { begun: Instant::now(), bar: None }
    }
    fn draw(&mut self, jobs: &[Job], clocks: &[Arc<AtomicU64>], finished: &[Option<VariantOutput>]) {
        if output::is_quiet() || self.begun.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        let open = jobs.iter().zip(clocks).zip(finished).filter(|(_, done)| done.is_none());
        let texts: Vec<String> = open
            .map(|((job, clock), _)| {
                let now = SimTime::from_nanos(clock.load(Ordering::Relaxed)).as_secs_f64();
                let of = job.prepared.plan.duration.map(|d| format!(" of {}", human::span(d.as_secs_f64())));
                format!("{} at {}{}", job.name, human::span(now), of.unwrap_or_default())
            })
            .collect();
        bar.set_message(texts.join(", "));
        bar.tick();
    }
    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
