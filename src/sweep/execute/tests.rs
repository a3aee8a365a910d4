use super::*;
use crate::sweep::testing::{Hashed, study};
use crate::sweep::until_ci::UntilCi;
use std::path::Path;
use std::sync::atomic::AtomicU64;

fn run(
    study: &Study,
    shard: Shard,
    path: &Path,
    evaluate: &dyn Evaluate,
    threads: usize,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> (Result<Outcome, ExecuteError>, Vec<JobKey>) {
    let mut watch = Watch::new(study.until_ci.as_ref());
    let header = study.file((shard.count > 1).then_some(shard));
    let mut journal = Journal::open(path, &header, &mut |r, n| watch.found(r, n)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let done = pool.install(|| execute(study, shard, evaluate, &mut journal, &mut watch, progress, stop));
    (done, journal.contents().runs.keys().copied().collect())
}

#[test]
fn a_failing_point_is_a_row_and_the_others_finish() {
    let folder = tempfile::tempdir().unwrap();
    let evaluate = Hashed { failing: vec![1], panicking: vec![3], ..Hashed::default() };
    let path = folder.path().join("j");
    let never = AtomicBool::new(false);
    let (outcome, keys) = run(&study(5, 2), Shard::WHOLE, &path, &evaluate, 2, &Silent, &never);
    assert_eq!(outcome.unwrap(), Outcome { runs: 20, failed: 8, wide_points: 0 });
    assert_eq!(keys.len(), 20);
    // Done once, done for good: failures too, since the same job fails always.
    let again = Hashed::default();
    let (outcome, _) = run(&study(5, 2), Shard::WHOLE, &path, &again, 2, &Silent, &never);
    assert_eq!(outcome.unwrap(), Outcome { runs: 20, failed: 8, wide_points: 0 });
    assert_eq!(again.runs.load(Ordering::Relaxed), 0);
}

/// Asks to stop after so many runs were begun.
struct StopAfter<'a>(AtomicU64, u64, &'a AtomicBool);
impl Progress for StopAfter<'_> {
    fn started(&self, _: JobKey) {
        if self.0.fetch_add(1, Ordering::Relaxed) + 1 >= self.1 {
            self.2.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn stopped_and_continued_it_does_no_run_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let study = study(20, 2);
    let evaluate = Hashed::default();
    let mut interruptions = 0;
    loop {
        let stop = AtomicBool::new(false);
        let progress = StopAfter(AtomicU64::new(0), 9, &stop);
        let (outcome, _) = run(&study, Shard::WHOLE, &path, &evaluate, 2, &progress, &stop);
        match outcome {
            Err(ExecuteError::Stopped) => interruptions += 1,
            Ok(outcome) => {
                assert_eq!(outcome.runs, 80);
                break;
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert!(interruptions >= 1);
    // Runs that were under way when the stop came are kept as well.
    assert_eq!(evaluate.runs.load(Ordering::Relaxed), 80);
}

#[test]
fn replications_are_added_where_the_interval_is_wide_and_alike_on_any_split() {
    let mut study = study(12, 2);
    study.until_ci =
        Some(UntilCi { relative: 0.12, metrics: vec!["pods.stuck".into()], max_replications: 60 });
    let never = AtomicBool::new(false);
    let folder = tempfile::tempdir().unwrap();
    let mut all: Vec<Vec<JobKey>> = Vec::new();
    for (split, threads) in [(1, 1), (1, 3), (3, 2), (5, 1)] {
        let mut keys = Vec::new();
        for index in 1..=split {
            let path = folder.path().join(format!("{split}-{threads}-{index}"));
            let shard = Shard { index, count: split };
            let (outcome, mine) = run(&study, shard, &path, &Hashed::default(), threads, &Silent, &never);
            assert_eq!(outcome.unwrap().runs as usize, mine.len());
            keys.extend(mine);
        }
        keys.sort();
        all.push(keys);
    }
    assert!(all.iter().all(|keys| *keys == all[0]));
    // Points differ in what they need; bytes 0..256 around 227.5 have a deviation of 74, so 12 % of it needs about 32 runs.
    let of = |p| all[0].iter().filter(|k| k.point == p && k.variant == 0).count();
    let counts: Vec<usize> = (0..12).map(of).collect();
    assert!(counts.iter().all(|n| (5..=60).contains(n)), "{counts:?}");
    assert!(counts.iter().any(|n| *n != counts[0]), "{counts:?}");
}

#[test]
fn an_interrupted_adaptive_sweep_decides_alike() {
    let mut study = study(6, 5);
    study.until_ci =
        Some(UntilCi { relative: 0.1, metrics: vec!["utilization.cpu".into()], max_replications: 80 });
    let folder = tempfile::tempdir().unwrap();
    let never = AtomicBool::new(false);
    let (_, whole) =
        run(&study, Shard::WHOLE, &folder.path().join("whole"), &Hashed::default(), 2, &Silent, &never);
    let path = folder.path().join("cut");
    for after in [3, 20, 50, 90, 200] {
        let stop = AtomicBool::new(false);
        let progress = StopAfter(AtomicU64::new(0), after, &stop);
        let _ = run(&study, Shard::WHOLE, &path, &Hashed::default(), 1, &progress, &stop);
    }
    let (outcome, keys) = run(&study, Shard::WHOLE, &path, &Hashed::default(), 2, &Silent, &never);
    assert!(outcome.is_ok());
    assert_eq!(keys, whole);
}
