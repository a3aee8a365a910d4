use super::*;
use crate::results::RunOutput;
use crate::results::disk::RealDisk;
use crate::results::run::{Extras, load, write_run};
use crate::results::summary::{Summary, VariantSummary};
use crate::results::tables::{PodRow, VariantOutput};
use std::cell::Cell;
use std::rc::Rc;

fn run(name: &str, pods: usize) -> RunOutput {
    let variant = |variant: &str| VariantOutput {
        summary: VariantSummary { name: variant.into(), ..VariantSummary::default() },
        pods: (0..pods)
            .map(|i| PodRow {
                name: format!("db-{i}").into(),
                created_seconds: Some(0.5),
                ..PodRow::default()
            })
            .collect(),
        ..VariantOutput::default()
    };
    let summary = Summary { scenario: name.into(), seed: 42, ..Summary::default() };
    RunOutput::new(summary, vec![variant("immediate"), variant("../../wait")])
}

fn extras() -> Extras {
    Extras { plots: vec![("stuck.svg".into(), b"<svg/>".to_vec())], ..Extras::default() }
}

/// Every file below `folder` with its content, hidden ones included.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| (name.clone(), fs::read(folder.join(name)).unwrap_or_default());
    files_below(folder).expect("lists").into_iter().map(read).collect()
}

/// A disk that fails at its n-th operation, writes of bytes included: it is full, broken or read-only in turn.
struct Failing {
    left: Rc<Cell<i64>>,
    error: i32,
}

impl Failing {
    fn at(nth: i64) -> Failing {
        const ENOSPC_EIO_EROFS: [i32; 3] = [28, 5, 30];
        Failing { left: Rc::new(Cell::new(nth)), error: ENOSPC_EIO_EROFS[nth as usize % 3] }
    }
    fn spend(&self) -> io::Result<()> {
        spend(&self.left, self.error)
    }
}

struct FailingSink {
    left: Rc<Cell<i64>>,
    error: i32,
    inner: Box<dyn Sink>,
}

fn spend(left: &Cell<i64>, error: i32) -> io::Result<()> {
    left.set(left.get() - 1);
    if left.get() == 0 { Err(io::Error::from_raw_os_error(error)) } else { Ok(()) }
}

impl Write for FailingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Half of it arrives, then nothing.
        if let Err(e) = spend(&self.left, self.error) {
            self.inner.write_all(&bytes[..bytes.len() / 2])?;
            return Err(e);
        }
        self.inner.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Sink for FailingSink {
    fn sync(&mut self) -> io::Result<()> {
        spend(&self.left, self.error)?;
        self.inner.sync()
    }
}

impl Disk for Failing {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.spend()?;
        RealDisk.create_dir_all(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        self.spend()?;
        Ok(Box::new(FailingSink {
            left: self.left.clone(),
            error: self.error,
            inner: RealDisk.create(path)?,
        }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.spend()?;
        RealDisk.rename(from, to)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.spend()?;
        RealDisk.sync_dir(path)
    }
}

#[test]
fn a_run_is_written_and_read_back() {
    let home = tempfile::tempdir().expect("temporary folder");
    let target = home.path().join("deep/er/mysql");
    let run = run("mysql", 3);
    assert_eq!(write_run(&target, &run, &extras(), &RealDisk).expect("writes"), target);
    assert_eq!(load(&target).expect("reads"), run);
    let files: Vec<String> = content(&target).into_iter().map(|(name, _)| name).collect();
    assert!(
        files.contains(&"immediate/pods.csv".to_owned()) && files.contains(&"plots/stuck.svg".to_owned())
    );
    assert!(files.iter().all(|f| !f.contains("..")), "{files:?}");
    // Nothing beside it, and the same bytes again.
    assert_eq!(fs::read_dir(target.parent().expect("a parent")).expect("lists").count(), 1);
    let before = content(&target);
    write_run(&target, &run, &extras(), &RealDisk).expect("replaces its own");
    assert_eq!(content(&target), before);
    assert_eq!(fs::read_dir(target.parent().expect("a parent")).expect("lists").count(), 1);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let home = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| home.path().join(name);
    fs::write(at("file"), "mine").expect("writes");
    fs::create_dir(at("folder")).expect("makes");
    fs::write(at("folder/thesis.tex"), "mine").expect("writes");
    fs::create_dir(at("foreign")).expect("makes");
    fs::write(at("foreign/summary.json"), r#"{"schemaVersion":1,"tool":"other 1"}"#).expect("writes");
    write_run(&at("ours"), &run("x", 1), &extras(), &RealDisk).expect("writes");
    fs::write(at("ours/notes.txt"), "mine").expect("writes");
    fs::create_dir(at("empty")).expect("makes");
    #[cfg(unix)]
    std::os::unix::fs::symlink(at("empty"), at("link")).expect("links");
    for (name, part) in [
        ("file", "is a file"),
        ("folder", "not a results folder"),
        ("foreign", "not a results folder"),
        ("ours", "notes.txt"),
        #[cfg(unix)]
        ("link", "symbolic link"),
    ] {
        let before = content(home.path());
        let error = write_run(&at(name), &run("x", 1), &extras(), &RealDisk).expect_err(name);
        assert!(matches!(error, ResultsError::Refused { .. }) && error.exit_code() == 3, "{name}: {error}");
        assert!(error.to_string().contains(part), "{name}: {error}");
        assert_eq!(content(home.path()), before, "{name}");
    }
    write_run(&at("empty"), &run("x", 1), &extras(), &RealDisk).expect("an empty folder is nobody's");
    for path in ["/", "..", "."] {
        let error = write_run(Path::new(path), &run("x", 1), &extras(), &RealDisk).expect_err(path);
        assert!(matches!(error, ResultsError::Refused { .. }), "{path}: {error}");
    }
}

#[test]
fn pictures_added_later_are_ours() {
    let home = tempfile::tempdir().expect("temporary folder");
    let target = home.path().join("r");
    write_run(&target, &run("x", 1), &extras(), &RealDisk).expect("writes");
    fs::write(target.join("plots/stuck.png"), "png").expect("writes");
    fs::write(target.join("report.html"), "html").expect("writes");
    write_run(&target, &run("x", 2), &Extras::default(), &RealDisk).expect("replaces");
    assert!(!target.join("report.html").exists() && !target.join("plots").exists());
}

#[test]
fn every_failure_leaves_all_or_nothing() {
    let mut failures = 0;
    for replacing in [false, true] {
        for nth in 1.. {
            let home = tempfile::tempdir().expect("temporary folder");
            let target = home.path().join("r");
            if replacing {
                write_run(&target, &run("old", 2), &extras(), &RealDisk).expect("writes");
            }
            let before = content(home.path());
            let disk = Failing::at(nth);
            let result = write_run(&target, &run("new", 400), &extras(), &disk);
            match result {
                Err(error) => {
                    failures += 1;
                    assert!(matches!(error, ResultsError::Io { .. }), "{error}");
                    assert_eq!(content(home.path()), before, "operation {nth}: {error}");
                }
                Ok(_) => assert_eq!(load(&target).expect("reads"), run("new", 400), "operation {nth}"),
            }
            // No file was left for the last operations to fail at: the disk never ran out.
            if disk.left.get() > 0 {
                break;
            }
        }
    }
    assert!(failures > 100, "{failures}");
}

#[test]
fn a_single_file_is_replaced_whole() {
    let home = tempfile::tempdir().expect("temporary folder");
    let (file, other) = (home.path().join("plots/a.svg"), home.path().join("other"));
    put_file(&file, b"one", &RealDisk).expect("writes");
    put_file(&file, b"two", &RealDisk).expect("replaces");
    let before = content(home.path());
    for nth in 1..=5 {
        let disk = Failing::at(nth);
        put_file(&file, b"three", &disk).expect_err("the disk is full");
        assert_eq!(content(home.path()), before, "operation {nth}");
    }
    #[cfg(unix)]
    {
        fs::write(&other, "mine").expect("writes");
        std::os::unix::fs::symlink(&other, home.path().join("link")).expect("links");
        put_file(&home.path().join("link"), b"ours", &RealDisk).expect("replaces the link");
        assert_eq!(fs::read(&other).expect("reads"), b"mine");
    }
}

#[test]
fn two_processes_do_not_write_the_same_folder() {
    let home = tempfile::tempdir().expect("temporary folder");
    let target = home.path().join("r");
    let first = Staging::begin(&target, &RealDisk).expect("begins");
    let error = Staging::begin(&target, &RealDisk).err().expect("is refused");
    assert!(error.to_string().contains("another stowplan"), "{error}");
    drop(first);
    drop(Staging::begin(&target, &RealDisk).expect("the lock is free again"));
    assert_eq!(fs::read_dir(home.path()).expect("lists").count(), 0);
}

#[test]
fn remains_of_a_killed_process_are_cleared() {
    let home = tempfile::tempdir().expect("temporary folder");
    let target = home.path().join("r");
    write_run(&target, &run("old", 2), &extras(), &RealDisk).expect("writes");
    // Killed between the two renames: the former folder is aside, the new one not yet in place.
    fs::rename(&target, home.path().join(".r.old-77")).expect("renames");
    fs::create_dir(home.path().join(".r.tmp-77")).expect("makes");
    fs::write(home.path().join(".r.lock"), "").expect("writes");
    fs::create_dir(home.path().join(".r.tmp-notes")).expect("makes");
    drop(Staging::begin(&target, &RealDisk).expect("begins"));
    assert_eq!(load(&target).expect("is back"), run("old", 2));
    assert!(!home.path().join(".r.tmp-77").exists() && home.path().join(".r.tmp-notes").exists());
}

#[test]
fn what_a_killed_process_left_of_a_file_is_cleared() {
    let home = tempfile::tempdir().expect("temporary folder");
    // No process has the largest number.
    for name in [".a.svg.tmp-4294967295", ".a.svg.tmp-notes", ".b.svg.tmp-4294967295"] {
        fs::write(home.path().join(name), "half").expect("writes");
    }
    put_file(&home.path().join("a.svg"), b"whole", &RealDisk).expect("writes");
    let mut names: Vec<_> =
        fs::read_dir(home.path()).expect("lists").map(|e| e.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, [".a.svg.tmp-notes", ".b.svg.tmp-4294967295", "a.svg"]);
}

#[test]
fn files_stay_inside_the_folder() {
    let home = tempfile::tempdir().expect("temporary folder");
    let mut staging = Staging::begin(&home.path().join("r"), &RealDisk).expect("begins");
    for path in ["../x", "/etc/x", "a/../../x", "", "a/./../x"] {
        assert!(matches!(staging.bytes(path, b""), Err(ResultsError::Refused { .. })), "{path}");
    }
}

#[test]
fn names_are_made_safe_and_stay_apart() {
    for name in ["immediate", "wait-for-first-consumer", "a.b_c-1"] {
        assert_eq!(safe_name(name), name);
    }
    let odd = [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc",
        ".hidden",
        "-o",
        "a b",
        "a/b",
        "a\\b",
        "ü",
        "plots",
        "a\0b",
    ];
    let long = "x".repeat(300);
    let mut seen = BTreeSet::new();
    for name in odd.iter().copied().chain([long.as_str()]) {
        let safe = safe_name(name);
        let plain = safe.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        assert!(
            plain && !safe.starts_with(['.', '-']) && safe.len() <= 80 && !safe.is_empty(),
            "{name:?} {safe}"
        );
        assert!(seen.insert(safe), "{name:?}");
    }
}

#[test]
fn another_schema_is_refused_when_reading() {
    let home = tempfile::tempdir().expect("temporary folder");
    let target = home.path().join("r");
    write_run(&target, &run("x", 1), &extras(), &RealDisk).expect("writes");
    let path = target.join(SUMMARY_FILE);
    let text = fs::read_to_string(&path).expect("reads");
    for (changed, part) in [
        (text.replace("\"schemaVersion\": 1", "\"schemaVersion\": 2"), "schema version 2"),
        (text[..text.len() / 2].to_owned(), "EOF"),
        ("[]".to_owned(), "not a summary"),
    ] {
        fs::write(&path, changed).expect("writes");
        let error = load(&target).expect_err("is refused");
        assert!(error.to_string().contains(part) && error.exit_code() == 2, "{error}");
    }
    fs::remove_file(&path).expect("removes");
    // A folder that was named and does not hold what it should is bad input, as a missing scenario is.
    assert_eq!(load(&target).expect_err("is missing").exit_code(), 2);
}
