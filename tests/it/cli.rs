//! The program as people run it: output, exit codes, what is written and what is not.

use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};
use stowplan::results::{Summary, run::load_summary};
use tempfile::TempDir;

pub const SMALL: &str = "
version: 1
name: small
cluster:
  storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]
  nodes: [{name: n, count: 3, cpu: 8, memory: 32Gi, disks: [{class: local, count: 2, size: 100Gi, split: 2}]}]
workload:
  generate:
    - {name: db, kind: StatefulSet, sets: 3, replicas: 3, cpu: 2, memory: 4Gi, antiAffinity: required,
       arrivals: {every: {exponential: {mean: 10m}}},
       claims: [{name: data, class: local, size: {uniform: [20Gi, 50Gi]}}]}
sweep:
  replications: 2
  axes: [{path: 'cluster.nodes[n].count', values: [2, 3]}]
";

pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("stowplan"));
    command.current_dir(folder).env_remove("STOWPLAN_TRACES").env("NO_COLOR", "1");
    command
}

pub fn folder_with(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    (folder, path)
}

/// Sweeps `s.yaml` of the folder in two shards, into `part` and `rest`.
pub fn sweep_in_two_shards(folder: &Path) {
    for (part, name) in [("1/2", "part"), ("2/2", "rest")] {
        program(folder).args(["sweep", "s.yaml", "-q", "-o", name, "--shard", part]).assert().success();
    }
}

pub fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every file below `folder` with its bytes.
pub fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).expect("a folder").flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                let bytes = fs::read(entry.path()).expect("a file");
                found.push((entry.path().strip_prefix(folder).expect("below").to_owned(), bytes));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_article_is_stuck_by_binding_for_every_seed() {
    let folder = tempfile::tempdir().expect("a folder");
    for seed in 0..20 {
        let out = program(folder.path())
            .arg("run")
            .arg(scenarios().join("article.yaml"))
            .args(["--json", "--no-plots", "-o", "out", "--seed", &seed.to_string()])
            .assert()
            .success();
        let summary: Summary =
            serde_json::from_slice(&out.get_output().stdout).expect("a summary and nothing else");
        let stuck: Vec<(u64, u64)> =
            summary.variants.iter().map(|v| (v.pods.stuck_by_binding, v.pods.running)).collect();
        assert_eq!(stuck, [(1, 0), (0, 1)], "seed {seed}");
        assert_eq!(summary.seed, seed);
    }
}

#[test]
fn a_run_says_where_its_results_are() {
    let (folder, path) = folder_with("small.yaml", SMALL);
    let out = program(folder.path()).arg("run").arg(&path).assert().success();
    let said = text(&out.get_output().stdout);
    for part in ["Pods stuck", "immediate", "wait-for-first-consumer", "results/small", "Where to look next"]
    {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let results = folder.path().join("results/small");
    for file in [
        "summary.json",
        "provenance.json",
        "plots/stranding.svg",
        "plots/stuck.svg",
        "immediate/pods.csv",
        "immediate/stranding.csv",
        "wait-for-first-consumer/timeseries.csv",
    ] {
        assert!(results.join(file).is_file(), "{file}");
    }
    let summary = load_summary(&results).expect("reads back");
    assert!(summary.assumptions.iter().any(|a| a.path == "report.stuckAfter" && a.value == "5m"));
    for v in &summary.variants {
        let p = &v.pods;
        assert_eq!(p.created, p.running + p.pending + p.terminating + p.completed + p.failed + p.deleted);
        let s = &v.storage;
        let kinds =
            s.requested_bytes + s.over_size_bytes + s.released_bytes + s.free_bytes + s.unreachable_bytes;
        assert_eq!(s.capacity_bytes, kinds);
    }
}

#[test]
fn equal_runs_write_equal_bytes() {
    let (folder, path) = folder_with("small.yaml", SMALL);
    for (out, threads, engine) in [("a", "1", "fast"), ("b", "4", "fast"), ("c", "2", "plain")] {
        program(folder.path())
            .env("RAYON_NUM_THREADS", threads)
            .arg("run")
            .arg(&path)
            .args(["-o", out, "--engine", engine])
            .assert()
            .success();
    }
    let a = tree(&folder.path().join("a"));
    assert!(a.len() > 10);
    assert_eq!(a, tree(&folder.path().join("b")));
    assert_eq!(a, tree(&folder.path().join("c")), "both engines make the same decisions");
}

#[test]
fn a_sweep_is_the_same_on_any_number_of_threads() {
    let (folder, path) = folder_with("small.yaml", SMALL);
    for threads in ["1", "2", "3"] {
        let out = program(folder.path())
            .arg("sweep")
            .arg(&path)
            .args(["-j", threads, "-o", threads, "--quiet"])
            .assert()
            .success();
        assert!(text(&out.get_output().stdout).starts_with("8 runs\n"));
    }
    let one = tree(&folder.path().join("1"));
    let csv = one.iter().find(|(name, _)| name == Path::new("sweep.csv")).expect("sweep.csv");
    assert_eq!(text(&csv.1).lines().count(), 1 + 2 * 2 * 2, "points x replications x variants");
    assert!(one.iter().any(|(name, _)| name.starts_with("plots")));
    assert_eq!(one, tree(&folder.path().join("2")));
    assert_eq!(one, tree(&folder.path().join("3")));
}

#[test]
fn a_failing_point_is_a_row_with_its_error() {
    let text = SMALL.replace("values: [2, 3]", "values: [2, 0]");
    let (folder, path) = folder_with("small.yaml", &text);
    let out = program(folder.path()).arg("sweep").arg(&path).args(["-o", "out", "-q"]).assert().code(1);
    assert!(super::cli::text(&out.get_output().stdout).contains("failed"));
    let csv = fs::read_to_string(folder.path().join("out/sweep.csv")).expect("sweep.csv");
    assert!(csv.contains("the cluster has no node"), "{csv}");
}

#[test]
fn shards_put_together_are_the_whole() {
    let (folder, path) = folder_with("small.yaml", SMALL);
    let sweep = |arguments: &[&str]| {
        program(folder.path()).arg("sweep").arg(&path).arg("-q").args(arguments).assert().success();
    };
    sweep(&["-o", "whole"]);
    sweep(&["-o", "one", "--shard", "1/2"]);
    sweep(&["-o", "two", "--shard", "2/2"]);
    program(folder.path()).args(["merge", "two", "one", "-o", "merged"]).assert().success();
    let rows = |folder: &Path| fs::read(folder.join("sweep.csv")).expect("sweep.csv");
    assert_eq!(rows(&folder.path().join("whole")), rows(&folder.path().join("merged")));
}

#[test]
fn bad_input_ends_with_2_and_a_position_and_writes_nothing() {
    let cases: &[(&str, &str)] = &[
        (
            "version: 1\nname: x\ncluster: {nodes: [{name: a, cpu: 4, memory: 8Gi, cout: 3}]}\n",
            "did you mean `count`",
        ),
        ("version: 1\nname: x\ncluster: {nodes: [{name: a, cpu: 4, memory: 10Gb}]}\n", "10Gb"),
        ("version: 1\nname: x\ncluster: [\n", "bad.yaml:"),
        ("version: 1\nname: x\ncluster: {nodes: []}\n", "no node"),
        ("version: 2\nname: x\n", "version"),
        ("{\"version\": 1, \"name\": \"x\",, }", "bad.yaml:1:"),
        ("\u{0}\u{1}\u{2}", "bad.yaml:1:1"),
        ("", "empty"),
    ];
    for (scenario, expected) in cases {
        let (folder, path) = folder_with("bad.yaml", scenario);
        for command in ["run", "check"] {
            let out = program(folder.path()).arg(command).arg(&path).assert().code(2);
            let said = text(&out.get_output().stderr);
            assert!(said.contains(expected) && said.contains("bad.yaml:"), "{expected} in\n{said}");
            assert!(out.get_output().stdout.is_empty());
        }
        let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").flatten().collect();
        assert_eq!(left.len(), 1, "nothing but the scenario: {left:?}");
    }
}

#[test]
fn the_command_line_is_checked_too() {
    let (folder, path) = folder_with("small.yaml", SMALL);
    for arguments in [
        &["--set", "cluster.nodes[nn].count=4"][..],
        &["--set", "nonsense"],
        &["--set", "version=2"],
        &["--variant", "imediate"],
        &["--mode", "sometimes"],
        &["--seed", "-1"],
        &["-f", "x"],
    ] {
        let out = program(folder.path()).arg("run").arg(&path).args(arguments).assert().code(2);
        assert!(!out.get_output().stderr.is_empty(), "{arguments:?}");
    }
    let missing = program(folder.path()).args(["run", "nowhere.yaml"]).assert().code(2);
    assert!(text(&missing.get_output().stderr).contains("nowhere.yaml"));
}

#[test]
fn a_folder_that_is_not_ours_is_left_alone() {
    let (folder, path) = folder_with("small.yaml", SMALL);
    let precious = folder.path().join("precious");
    fs::create_dir(&precious).expect("a folder");
    fs::write(precious.join("thesis.txt"), "years").expect("a file");
    program(folder.path()).arg("run").arg(&path).args(["-o", "precious"]).assert().code(3);
    assert_eq!(tree(&precious).len(), 1);
    // Ours is replaced as a whole.
    program(folder.path()).arg("run").arg(&path).args(["-o", "ours", "--events"]).assert().success();
    assert!(folder.path().join("ours/immediate/events.jsonl").is_file());
    program(folder.path())
        .arg("run")
        .arg(&path)
        .args(["-o", "ours", "--mode", "as-is", "--no-plots"])
        .assert()
        .success();
    assert!(!folder.path().join("ours/immediate").exists() && folder.path().join("ours/as-is").is_dir());
}

/// One node with a volume, one pod and one claim, everything bound as a live cluster shows it.
const SNAPSHOT: &str = r#"
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: small, labels: {kubernetes.io/hostname: small}},
   status: {allocatable: {cpu: "4", memory: 16Gi, pods: "110"}, conditions: [{type: Ready, status: "True"}]}}
- {apiVersion: v1, kind: Node, metadata: {name: large, labels: {kubernetes.io/hostname: large}},
   status: {allocatable: {cpu: "8", memory: 16Gi, pods: "110"}, conditions: [{type: Ready, status: "True"}]}}
- {apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: local}, provisioner: kubernetes.io/no-provisioner,
   volumeBindingMode: WaitForFirstConsumer}
- apiVersion: v1
  kind: PersistentVolume
  metadata: {name: pv-small}
  spec: {capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce], storageClassName: local, local: {path: /d},
         nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [small]}]}]}}}
  status: {phase: Available}
- apiVersion: v1
  kind: PersistentVolume
  metadata: {name: pv-large, annotations: {pv.kubernetes.io/bound-by-controller: "yes"}}
  spec: {capacity: {storage: 20Gi}, accessModes: [ReadWriteOnce], storageClassName: local, local: {path: /d},
         claimRef: {kind: PersistentVolumeClaim, namespace: default, name: data, uid: c1},
         nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [large]}]}]}}}
  status: {phase: Bound}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: {name: data, namespace: default, uid: c1,
             annotations: {pv.kubernetes.io/bind-completed: "yes", pv.kubernetes.io/bound-by-controller: "yes",
                           volume.kubernetes.io/selected-node: large}}
  spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}, storageClassName: local, volumeName: pv-large}
  status: {phase: Bound, capacity: {storage: 20Gi}, accessModes: [ReadWriteOnce]}
- apiVersion: v1
  kind: Pod
  metadata: {name: db, namespace: default, uid: p1}
  spec: {nodeName: large, containers: [{name: db, image: db, resources: {requests: {cpu: 5300m, memory: 5Gi}}}],
         volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]}
  status: {phase: Running, conditions: [{type: PodScheduled, status: "True"}, {type: Ready, status: "True"}]}
"#;

#[test]
fn a_snapshot_can_be_replayed() {
    let (folder, path) = folder_with("snapshot.yaml", SNAPSHOT);
    let run = |arguments: &[&str]| {
        let mut command = program(folder.path());
        command.args(["run", "--json", "--no-plots"]).args(arguments).arg("-f").arg(&path);
        let out = command.assert().success().get_output().clone();
        let summary: Summary = serde_json::from_slice(&out.stdout).expect("a summary");
        let running =
            summary.variants.iter().map(|v| (v.pods.running, v.pods.stuck_by_binding)).collect::<Vec<_>>();
        (running, text(&out.stderr))
    };
    // As it is: bound and running, whatever the mode; the program says how to see a difference.
    let (running, said) = run(&[]);
    assert_eq!(running, [(1, 0), (1, 0)]);
    assert!(said.contains("--replay"), "{said}");
    assert!(folder.path().join("results/manifests/summary.json").is_file());
    // Arriving again, Immediate takes the smaller volume, where the CPU is missing.
    let (running, said) = run(&["--replay"]);
    assert_eq!(running, [(0, 1), (1, 0)]);
    assert!(!said.contains("--replay"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_no_results() {
    use std::io::Read;
    use std::process::{Command, Stdio};
    // Long enough to be interrupted: a fleet for a year.
    let text = SMALL.replace("sets: 3", "sets: 3000").replace("count: 3", "count: 300");
    let (folder, path) = folder_with("small.yaml", &text);
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("stowplan"))
            .current_dir(folder.path())
            .args(["run", "--paranoid", "--engine", "plain", "-o", "out"])
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        std::thread::sleep(std::time::Duration::from_millis(700));
        let pid = child.id().to_string();
        Command::new("kill").args([signal, &pid]).status().expect("kill");
        let status = child.wait().expect("ends");
        let mut said = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(!folder.path().join("out").exists());
    }
}
