//! Faults around the process: signals, limits of the operating system, closed and full outputs, two processes on one folder. Results
//! are whole or absent, what was begun can be continued, and nothing ends with a panic.

use super::cli::{program, sweep_in_two_shards, text, tree};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const SCENARIO: &str = "
version: 1
name: faults
cluster:
  storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]
  nodes: [{name: n, count: 10, cpu: 8, memory: 32Gi, disks: [{class: local, count: 2, size: 100Gi, split: 2}]}]
workload:
  generate:
    - {name: db, sets: 8, replicas: 3, cpu: 2, memory: 4Gi, claims: [{name: data, class: local, size: {uniform: [20Gi, 50Gi]}}]}
sweep:
  replications: 4
  axes: [{path: 'cluster.nodes[n].count', values: [6, 8, 10]}]
plan:
  require: {stuck: '<= 1%'}
  vary: [{path: 'cluster.nodes[n].count', range: {from: 3, to: 12}}]
  minimize: nodes
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("s.yaml"), SCENARIO).expect("written");
    folder
}

/// The program behind a shell that sets limits or redirects.
fn shell(folder: &Path, line: &str) -> Output {
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("STOWPLAN", assert_cmd::cargo::cargo_bin!("stowplan"))
        .env("RUST_BACKTRACE", "0")
        .env("RAYON_NUM_THREADS", "2")
        .output()
        .expect("sh")
}

fn no_panic(answer: &Output, what: &str) {
    let said = text(&answer.stderr);
    assert!(!said.contains("panicked"), "{what}: {said}");
}

/// Every subcommand that prints, on inputs of which there is enough.
const PRINTING: &[&str] = &[
    "run s.yaml --no-plots -o out",
    "run s.yaml --no-plots --json -o out",
    "check s.yaml",
    "sweep s.yaml --no-plots -o swept2",
    "plan s.yaml --no-plots -o planned",
    "plan s.yaml --no-plots --json -o planned",
    "merge part rest -o merged",
    "plot --list ran",
    "plot ran --kind stuck -o -",
    "explain ran db-0-0",
    "explain ran db-0-0 --json",
    "export manifests s.yaml --variant immediate",
    "new mine",
    "schema",
    "completions bash",
    "man",
    "catalog",
    "catalog limits",
    "trace inspect trace.csv",
    "conformance cases.jsonl.gz",
    "--help",
    "help run",
    "--version",
];

fn prepared() -> tempfile::TempDir {
    let folder = folder();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let trace = root.join("tests/data/traces/alibaba-spot-gpu-v2026/job_info_df.sample.csv");
    fs::copy(trace, folder.path().join("trace.csv")).expect("copied");
    fs::copy(root.join("tests/conformance/L3.jsonl.gz"), folder.path().join("cases.jsonl.gz"))
        .expect("copied");
    program(folder.path()).args(["run", "s.yaml", "-q", "--no-plots", "-o", "ran"]).assert().success();
    sweep_in_two_shards(folder.path());
    folder
}

#[test]
fn a_closed_standard_output_is_no_error() {
    let folder = prepared();
    for line in PRINTING {
        // The reader goes away at once; who writes gets SIGPIPE's error.
        let answer =
            shell(folder.path(), &format!("{{ \"$STOWPLAN\" {line}; echo $? > code; }} | true; cat code"));
        no_panic(&answer, line);
        assert_eq!(text(&answer.stdout).trim(), "0", "{line}: {}", text(&answer.stderr));
        let answer = shell(
            folder.path(),
            &format!("{{ \"$STOWPLAN\" {line}; echo $? > code; }} | head -1 > first; cat code"),
        );
        no_panic(&answer, line);
        assert_eq!(text(&answer.stdout).trim(), "0", "{line}: {}", text(&answer.stderr));
    }
}

#[test]
fn a_full_standard_output_or_error_ends_with_3_or_goes_on() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let folder = prepared();
    for line in PRINTING {
        let answer = shell(folder.path(), &format!("\"$STOWPLAN\" {line} > /dev/full"));
        no_panic(&answer, line);
        // clap prints help by itself; what it does then is its own business.
        if !line.contains("-help") && !line.starts_with("help") && !line.contains("--version") {
            let said = text(&answer.stderr);
            assert_eq!(answer.status.code(), Some(3), "{line}: {said}");
            assert!(said.contains("error[E0603]"), "{line}: {said}");
        }
    }
    // Who cannot even complain still ends with the right code.
    for (line, code) in [
        ("run nowhere.yaml", 2),
        ("conformance nowhere", 2),
        ("trace inspect nowhere", 2),
        ("check s.yaml", 0),
    ] {
        let answer = shell(folder.path(), &format!("\"$STOWPLAN\" {line} 2> /dev/full"));
        assert_eq!(answer.status.code(), Some(code), "{line}");
    }
    let answer = shell(folder.path(), "\"$STOWPLAN\" run s.yaml -q --no-plots -o closed >&- 2>&-");
    assert!(matches!(answer.status.code(), Some(0 | 3)), "{answer:?}");
}

#[test]
fn a_limit_of_file_sizes_leaves_results_whole_or_absent() {
    let folder = folder();
    program(folder.path()).args(["run", "s.yaml", "-q", "-o", "out"]).assert().success();
    let before = tree(&folder.path().join("out"));
    // In blocks of 512 bytes; the signal of the limit is ignored, so that writing fails instead.
    for blocks in [0, 1, 4, 16, 64] {
        for command in [
            "run s.yaml -q -o out --seed 7",
            "run s.yaml -q -o new",
            "sweep s.yaml -q -o swept",
            "plan s.yaml -q -o planned",
        ] {
            let answer =
                shell(folder.path(), &format!("trap '' XFSZ; ulimit -f {blocks}; \"$STOWPLAN\" {command}"));
            no_panic(&answer, command);
            let said = text(&answer.stderr);
            match answer.status.code() {
                // Small results fit.
                Some(0) => {}
                Some(3) => assert!(said.contains("error[E060"), "{command}: {said}"),
                code => panic!("{command} with {blocks} blocks: {code:?}: {said}"),
            }
            if answer.status.code() == Some(3) {
                assert_eq!(tree(&folder.path().join("out")), before, "{command} with {blocks} blocks");
                assert!(!folder.path().join("new").exists() && !folder.path().join("planned").exists());
                let resumed = program(folder.path())
                    .args(["sweep", "s.yaml", "-q", "-o", "swept", "--resume"])
                    .output();
                assert!(resumed.expect("runs").status.success());
                fs::remove_dir_all(folder.path().join("swept")).expect("removed");
            }
        }
    }
}

#[test]
fn too_little_memory_leaves_nothing_half_done() {
    let folder = folder();
    for megabytes in [20, 40, 60, 80, 120, 200] {
        for command in [
            "run s.yaml -q -o out",
            "sweep s.yaml -q -o swept",
            "plan s.yaml -q -o planned",
            "explain nowhere p",
        ] {
            let line = format!("ulimit -c 0; ulimit -v {}; \"$STOWPLAN\" {command}", megabytes << 10);
            let answer = shell(folder.path(), &line);
            no_panic(&answer, &format!("{command} with {megabytes} MB"));
            for name in ["out", "swept", "planned"] {
                let results = folder.path().join(name);
                assert!(
                    !results.exists() || results.join("provenance.json").is_file(),
                    "{command} with {megabytes} MB: half of {name}"
                );
            }
        }
    }
    // With enough of it everything goes on from there.
    program(folder.path()).args(["sweep", "s.yaml", "-q", "-o", "swept", "--resume"]).assert().success();
    program(folder.path()).args(["run", "s.yaml", "-q", "-o", "out"]).assert().success();
}

#[test]
fn a_read_only_folder_is_said_and_left_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).expect("a folder");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).expect("set");
    if fs::write(locked.join("probe"), "").is_ok() {
        fs::remove_file(locked.join("probe")).expect("removed");
        println!("skipped: root may write everywhere");
        return;
    }
    for command in [
        "run s.yaml -q -o locked/out",
        "sweep s.yaml -q -o locked/out",
        "plan s.yaml -q -o locked/out",
        "export manifests s.yaml --variant immediate -o locked/m.yaml",
    ] {
        let answer = shell(folder.path(), &format!("\"$STOWPLAN\" {command}"));
        no_panic(&answer, command);
        assert_eq!(answer.status.code(), Some(3), "{command}");
        assert!(text(&answer.stderr).contains("error[E060"), "{command}: {}", text(&answer.stderr));
    }
    assert_eq!(fs::read_dir(&locked).expect("a folder").count(), 0);
}

#[test]
fn signals_at_any_time_leave_results_whole_or_absent() {
    let folder = folder();
    let path = folder.path();
    program(path).args(["sweep", "s.yaml", "-q", "--no-plots", "-o", "whole"]).assert().success();
    let whole = tree(&path.join("whole"));
    let mut state = 20u64;
    for (round, (signal, code)) in
        [("-TERM", 143), ("-INT", 130), ("-KILL", -1), ("-HUP", 129)].iter().cycle().take(24).enumerate()
    {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("stowplan"))
            .current_dir(path)
            .args(["sweep", "s.yaml", "--no-plots", "-o", "killed", "--resume"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        std::thread::sleep(Duration::from_micros(state >> 45));
        Command::new("kill").args([*signal, &child.id().to_string()]).status().expect("kill");
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut said).expect("text");
        let status = child.wait().expect("ends");
        assert!(!said.contains("panicked"), "{said}");
        // Done before the signal came, or before anybody listened; or ended by it.
        let fine = status.code().is_none_or(|c| c == 0 || c == *code);
        assert!(fine, "round {round}, {signal}: {status:?} {said}");
        let results = path.join("killed");
        assert!(!results.exists() || tree(&results) == whole, "round {round}: half a folder");
    }
    program(path)
        .args(["sweep", "s.yaml", "-q", "--no-plots", "-o", "killed", "--resume"])
        .assert()
        .success();
    assert_eq!(tree(&path.join("killed")), whole);
    let left: Vec<String> = fs::read_dir(path)
        .expect("a folder")
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|n| n.contains("tmp-") || n.contains("journal"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn two_processes_on_one_folder_do_not_mix() {
    let folder = folder();
    let path = folder.path();
    let larger = SCENARIO.replace("replications: 4", "replications: 60");
    fs::write(path.join("s.yaml"), larger).expect("written");
    let start = |out: &str, command: &str| {
        Command::new(assert_cmd::cargo::cargo_bin!("stowplan"))
            .current_dir(path)
            .args([command, "s.yaml", "-q", "--no-plots", "-o", out])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts")
    };
    let both = [start("same", "sweep"), start("same", "sweep")];
    let ended: Vec<Output> = both.into_iter().map(|c| c.wait_with_output().expect("ends")).collect();
    let codes: Vec<Option<i32>> = ended.iter().map(|o| o.status.code()).collect();
    // The second waits for nothing: it says so, or comes when the first has finished and its folder is ours to replace.
    assert!(codes.contains(&Some(0)), "{codes:?}");
    for output in &ended {
        let said = text(&output.stderr);
        match output.status.code() {
            Some(0) => {}
            Some(3) => assert!(said.contains("another stowplan"), "{said}"),
            code => panic!("{code:?}: {said}"),
        }
    }
    program(path).args(["sweep", "s.yaml", "-q", "--no-plots", "-o", "alone"]).assert().success();
    assert_eq!(tree(&path.join("same")), tree(&path.join("alone")));
}

/// A disk of its own that is soon full: needs the right to mount one.
#[test]
fn a_full_disk_leaves_results_whole_or_absent() {
    let folder = folder();
    let on_disk = |kilobytes: u32, line: &str| {
        let mount = format!("mkdir -p disk && mount -t tmpfs -o size={kilobytes}k none disk");
        shell(folder.path(), &format!("unshare -m sh -c '{mount} && cd disk && {line}'"))
    };
    if !on_disk(64, "true").status.success() {
        println!("skipped: no file system can be mounted here");
        return;
    }
    for kilobytes in [4, 40, 80, 160, 400, 4000] {
        for command in ["run ../s.yaml -q -o out", "sweep ../s.yaml -q -o out", "plan ../s.yaml -q -o out"] {
            let again = if command.starts_with("sweep") { "--resume" } else { "" };
            let line = format!(
                "\"$STOWPLAN\" {command} >&2; echo $?; ls -A; [ ! -e out ] || [ -f out/provenance.json ] || echo half; \
                 mount -o remount,size=64m none . && \"$STOWPLAN\" {command} {again}"
            );
            let answer = on_disk(kilobytes, &line);
            no_panic(&answer, command);
            let (out, said) = (text(&answer.stdout), text(&answer.stderr));
            let first = out.lines().next().unwrap_or_default();
            assert!(first == "0" || first == "3", "{command} on {kilobytes} kB: {out}\n{said}");
            assert!(first == "0" || said.contains("error[E060"), "{command} on {kilobytes} kB: {said}");
            assert!(
                !out.lines().any(|l| l == "half" || l.contains("tmp-")),
                "{command} on {kilobytes} kB: {out}"
            );
            assert!(answer.status.success(), "{command} with room again: {out}\n{said}");
        }
    }
}
