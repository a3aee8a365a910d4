use super::*;
use crate::results::disk::RealDisk;
use crate::sweep::execute::Silent;
use crate::sweep::testing::{Hashed, study};
use crate::sweep::until_ci::UntilCi;
use std::collections::BTreeMap;

fn options(out: &Path, shard: Shard, resume: bool) -> Options<'_> {
    Options { out, shard, resume, command: &[] }
}

fn sweep(study: &Study, out: &Path, shard: Shard, resume: bool) -> Result<Outcome, SweepError> {
    let evaluate = Hashed { failing: vec![2], ..Hashed::default() };
    run_sweep(study, options(out, shard, resume), &evaluate, &RealDisk, &Silent, &AtomicBool::new(false))
}

/// Every file of a folder.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

fn adaptive(points: u64) -> Study {
    let rule = UntilCi { relative: 0.1, metrics: vec!["pods.stuck".into()], max_replications: 40 };
    Study { until_ci: Some(rule), ..study(points, 2) }
}

#[test]
fn shards_in_any_order_make_the_bytes_of_one_machine() {
    let folder = tempfile::tempdir().unwrap();
    for (name, study) in [("fixed", study(5, 3)), ("adaptive", adaptive(5))] {
        let whole = folder.path().join(format!("{name}-whole"));
        let outcome = sweep(&study, &whole, Shard::WHOLE, false).unwrap();
        let mut parts: Vec<PathBuf> = Vec::new();
        for index in 1..=4 {
            let part = folder.path().join(format!("{name}-{index}"));
            sweep(&study, &part, Shard { index, count: 4 }, false).unwrap();
            parts.push(part);
        }
        for order in [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]] {
            let merged = folder.path().join(format!("{name}-merged"));
            let mut shuffled: Vec<PathBuf> = order.iter().map(|i| parts[*i].clone()).collect();
            // Twice the same: a job that was run twice.
            shuffled.push(parts[1].clone());
            let result = merge(&shuffled, &merged, &RealDisk).unwrap();
            assert_eq!((result.runs, result.failed, result.shards), (outcome.runs, outcome.failed, 4));
            assert_eq!(bytes(&merged), bytes(&whole));
        }
    }
}

#[test]
fn a_merge_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let out = at("out");
    for index in 1..=3 {
        sweep(&study(4, 2), &at(&format!("s{index}")), Shard { index, count: 3 }, false).unwrap();
    }
    sweep(&study(4, 2), &at("half"), Shard { index: 2, count: 2 }, false).unwrap();
    sweep(&Study { seed: 7, ..study(4, 2) }, &at("seed"), Shard { index: 3, count: 3 }, false).unwrap();
    sweep(&study(4, 2), &at("whole"), Shard::WHOLE, false).unwrap();
    let attempt = |names: &[&str]| {
        let folders: Vec<PathBuf> = names.iter().map(|n| at(n)).collect();
        merge(&folders, &out, &RealDisk).unwrap_err()
    };
    for (names, want) in [
        (&["s1", "s3"][..], "missing shards: 2/3"),
        (&[], "name the folders"),
        (&["s1", "half"], "split differently"),
        (&["s1", "s2", "seed"], "not shards of one sweep"),
        (&["whole", "s1"], "nothing to merge"),
        (&["s1", "nowhere"], "nowhere"),
    ] {
        let error = attempt(names);
        assert!(error.to_string().contains(want), "{error}");
        assert!(!out.exists());
    }
    // A line of a shard is lost.
    let runs = at("s2").join(RUNS_FILE);
    let whole = fs::read(&runs).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    fs::write(&runs, &whole[..last]).unwrap();
    let error = attempt(&["s1", "s2", "s3"]).to_string();
    assert!(error.contains("1 of the sweep's runs are missing"), "{error}");
    let mut damaged = whole;
    damaged[last + 30] ^= 1;
    fs::write(&runs, &damaged).unwrap();
    assert!(attempt(&["s1", "s2", "s3"]).to_string().contains("1 lines are damaged"));
}

#[test]
fn cut_short_anywhere_and_resumed_the_bytes_are_those_of_an_undisturbed_sweep() {
    let folder = tempfile::tempdir().unwrap();
    for (name, study) in [("fixed", study(4, 2)), ("adaptive", adaptive(3))] {
        let whole = folder.path().join(format!("{name}-whole"));
        sweep(&study, &whole, Shard::WHOLE, false).unwrap();
        // The journal of the whole sweep, cut at many places: what a crash leaves.
        let out = folder.path().join(format!("{name}-cut"));
        let path = journal_path(&out);
        let mut watch = Watch::new(study.until_ci.as_ref());
        let header = study.file(None);
        let mut journal = Journal::open(&path, &header, &mut |_, _| {}).unwrap();
        let evaluate = Hashed { failing: vec![2], ..Hashed::default() };
        let never = AtomicBool::new(false);
        execute(&study, Shard::WHOLE, &evaluate, &mut journal, &mut watch, &Silent, &never).unwrap();
        drop(journal);
        let lines = fs::read(&path).unwrap();
        for cut in (0..lines.len()).step_by(lines.len() / 15) {
            fs::write(&path, &lines[..cut]).unwrap();
            if cut > 0 {
                let refused = sweep(&study, &out, Shard::WHOLE, false).unwrap_err().to_string();
                assert!(refused.contains("--resume"), "{refused}");
            }
            sweep(&study, &out, Shard::WHOLE, true).unwrap();
            assert_eq!(bytes(&out), bytes(&whole), "{name} cut at {cut}");
            assert!(!path.exists());
            fs::remove_dir_all(&out).unwrap();
        }
    }
}

#[test]
fn a_folder_that_is_not_of_this_sweep_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mine = study(3, 1);
    let first = sweep(&mine, &out, Shard::WHOLE, false).unwrap();
    let before = bytes(&out);
    // Complete: resuming does nothing, and says the same.
    let idle = Hashed::default();
    let again = run_sweep(
        &mine,
        options(&out, Shard::WHOLE, true),
        &idle,
        &RealDisk,
        &Silent,
        &AtomicBool::new(false),
    );
    assert_eq!(again.unwrap(), first);
    assert_eq!(idle.runs.load(std::sync::atomic::Ordering::Relaxed), 0);
    for resume in [false, true] {
        let other = Study { scenario_digest: "blake3:33".into(), ..study(3, 1) };
        let error = sweep(&other, &out, Shard::WHOLE, resume).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("nothing is mixed"), "{error}");
        let error = sweep(&mine, &out, Shard { index: 1, count: 2 }, resume).unwrap_err();
        assert!(error.to_string().contains("another part"), "{error}");
        assert_eq!(bytes(&out), before);
    }
    let diary = folder.path().join("diary");
    fs::create_dir(&diary).unwrap();
    fs::write(diary.join("monday.txt"), "rain").unwrap();
    assert!(sweep(&mine, &diary, Shard::WHOLE, true).unwrap_err().to_string().contains("left alone"));
    assert_eq!(bytes(&diary).len(), 1);
}
