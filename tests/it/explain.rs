//! `stowplan explain`, and the smaller commands, as people run them.

use crate::cli::{folder_with, program, scenarios, text};
use serde_json::Value;
use std::fs;
use std::process::{Command as Process, Stdio};

/// Manifests in a folder, named by a scenario, with a list of sizes: everything that a run may read.
fn with_files() -> tempfile::TempDir {
    let scenario = "
version: 1
name: files
cluster: {manifests: [cluster/], storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]}
workload:
  generate:
    - {name: db, kind: StatefulSet, sets: 2, replicas: 1, cpu: 3, memory: 1Gi,
       claims: [{name: data, class: local, size: {empirical: sizes.csv}}]}
";
    let (folder, _) = folder_with("s.yaml", scenario);
    fs::create_dir(folder.path().join("cluster")).expect("a folder");
    let node = "
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {kubernetes.io/hostname: n1}}
status: {allocatable: {cpu: '4', memory: 8Gi, pods: '110'}, conditions: [{type: Ready, status: 'True'}]}
";
    let volume = |name: &str| {
        format!(
            "
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: 10Gi}}
  accessModes: [ReadWriteOnce]
  storageClassName: local
  local: {{path: /mnt/{name}}}
  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [n1]}}]}}]}}}}
"
        )
    };
    let text = format!("{node}{}{}", volume("v1"), volume("v2"));
    fs::write(folder.path().join("cluster/all.yaml"), text).expect("a file");
    fs::write(folder.path().join("sizes.csv"), "5Gi\n").expect("a file");
    folder
}

#[test]
fn a_run_can_be_explained_when_its_inputs_are_gone() {
    let folder = with_files();
    program(folder.path()).args(["run", "s.yaml", "--no-plots", "-o", "out"]).assert().success();
    for gone in ["s.yaml", "cluster/all.yaml", "sizes.csv"] {
        fs::remove_file(folder.path().join(gone)).expect("removes");
    }
    let out = program(folder.path()).args(["explain", "out", "db-1-0", "--json"]).assert().success();
    let story: Value = serde_json::from_slice(&out.get_output().stdout).expect("JSON and nothing else");
    assert_eq!(story["stuckCause"], "unschedulable");
    // Two pods of 3 CPU on 4: the second lacks 2.
    let grown =
        story["whatIf"].as_array().expect("a list").iter().find(|a| {
            a["question"].as_str().is_some_and(|q| q.contains("the CPU of node n1 grew by 2 (2000m)"))
        });
    assert_eq!(grown.map(|a| &a["runs"]), Some(&Value::Bool(true)), "{story:#}");
    let out = program(folder.path()).args(["explain", "out", "--node", "n1"]).assert().success();
    let said = text(&out.get_output().stdout);
    assert!(said.contains("CPU 3 of 4 requested"), "{said}");
    assert!(said.contains("default/db-0-0: 3 CPU"), "{said}");
}

#[test]
fn manifests_from_standard_input_can_be_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut objects = fs::read_to_string(scenarios().join("article/cluster.yaml")).expect("a file");
    objects.push_str("\n---\n");
    objects.push_str(&fs::read_to_string(scenarios().join("article/mysql.yaml")).expect("a file"));
    program(folder.path())
        .args(["run", "-f", "-", "-q", "-o", "out"])
        .write_stdin(objects)
        .assert()
        .success()
        .stdout("")
        .stderr("");
    let out = program(folder.path()).args(["explain", "out", "mysql-5.7-0"]).assert().success();
    let said = text(&out.get_output().stdout);
    assert!(said.contains("stuck by binding"), "{said}");
    assert!(said.contains("0/2 nodes are available: 1 Insufficient cpu"), "{said}");
    assert!(said.contains("if the CPU of node k8s-node1-product grew by 1.3 (1300m)?"), "{said}");
    // A pod and a node that there are not.
    let bad = program(folder.path()).args(["explain", "out", "mysql-5.7-1"]).assert().code(2);
    assert!(text(&bad.get_output().stderr).contains("did you mean `mysql-5.7-0`?"));
    program(folder.path()).args(["explain", "out", "--node", "nix"]).assert().code(2);
}

#[test]
fn without_inputs_there_is_no_explanation() {
    let (folder, _) = folder_with("s.yaml", crate::cli::SMALL);
    program(folder.path())
        .args(["run", "s.yaml", "--no-plots", "--no-inputs", "-o", "out"])
        .assert()
        .success();
    let bad = program(folder.path()).args(["explain", "out", "db-0-0"]).assert().code(2);
    assert!(text(&bad.get_output().stderr).contains("hold no inputs"));
    program(folder.path()).args(["sweep", "s.yaml", "-q", "--no-plots", "-o", "sweep"]).assert().success();
    let bad = program(folder.path()).args(["explain", "sweep", "db-0-0"]).assert().code(2);
    assert!(text(&bad.get_output().stderr).contains("holds a sweep"));
}

#[test]
fn new_writes_what_run_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    program(folder.path()).args(["new", "mine", "-o", "mine.yaml"]).assert().success();
    program(folder.path()).args(["new", "mine", "-o", "mine.yaml"]).assert().failure();
    program(folder.path()).args(["check", "mine.yaml"]).assert().success();
    program(folder.path()).args(["run", "mine.yaml", "--no-plots", "-q"]).assert().success();
    assert!(folder.path().join("results/mine/summary.json").exists());
    let out = program(folder.path()).args(["new", "--workload", "kafka-jbod"]).assert().success();
    program(folder.path())
        .args(["check", "-"])
        .write_stdin(out.get_output().stdout.clone())
        .assert()
        .success();
    let asked = program(folder.path())
        .args(["new", "--ask", "-o", "asked.yaml"])
        .write_stdin("fleet\nkafka-cloud\n\n\n7\n")
        .assert()
        .success();
    assert!(text(&asked.get_output().stderr).contains("How many machines [12]"));
    let written = fs::read_to_string(folder.path().join("asked.yaml")).expect("a file");
    assert!(
        written.contains("name: fleet") && written.contains("count: 7") && written.contains("kafka-cloud")
    );
    program(folder.path()).args(["new", "--ask"]).write_stdin("a\n\nmany\n").assert().code(2);
    let out = program(folder.path()).arg("schema").assert().success();
    let schema: Value = serde_json::from_slice(&out.get_output().stdout).expect("JSON");
    assert!(schema["properties"]["cluster"].is_object(), "{schema}");
}

#[test]
fn every_command_has_help_with_examples_completions_and_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = program(folder.path()).arg("--help").assert().success();
    let help = text(&out.get_output().stdout);
    let commands = help.split("Commands:\n").nth(1).and_then(|c| c.split("\n\n").next()).expect("a list");
    let names: Vec<&str> = commands
        .lines()
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|n| *n != "help")
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    for name in &names {
        let out = program(folder.path()).args([name, "--help"]).assert().success();
        let help = text(&out.get_output().stdout);
        assert!(help.contains("Examples:") || help.contains("Commands:"), "{name}:\n{help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let out = program(folder.path()).args(["completions", shell]).assert().success();
        assert!(text(&out.get_output().stdout).contains("explain"), "{shell}");
    }
    program(folder.path()).args(["man", "--all", "-o", "man"]).assert().success();
    for name in names {
        let page = fs::read_to_string(folder.path().join(format!("man/stowplan-{name}.1"))).expect("a page");
        assert!(page.contains(".TH"), "{name}");
    }
    let bad = program(folder.path()).args(["man", "rnu"]).assert().code(2);
    assert!(text(&bad.get_output().stderr).contains("did you mean `run`?"));
}

#[test]
fn nobody_has_to_read_to_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    for args in [&["schema"][..], &["catalog"], &["completions", "bash"], &["man", "run"]] {
        let mut child = Process::new(assert_cmd::cargo::cargo_bin!("stowplan"))
            .args(args)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        drop(child.stdout.take());
        let out = child.wait_with_output().expect("ends");
        assert!(out.status.success() && out.stderr.is_empty(), "{args:?}: {}", text(&out.stderr));
    }
}
