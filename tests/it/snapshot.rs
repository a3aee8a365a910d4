//! What `kubectl get ... -o json` prints of a real cluster, from standard input.

#[path = "../support/snapshot.rs"]
mod made;

use assert_cmd::Command;
use made::Size;
use serde_json::Value;
use std::fs;

const SIZE: Size = Size { nodes: 20, pods: 300, volumes: 50, managed_bytes: 500 };

fn run(args: &[&str], stdin: &[u8]) -> (Option<i32>, Value, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stowplan"));
    command.env("NO_COLOR", "1").current_dir(folder.path()).arg("run").args(args);
    command.args(["--json", "--no-plots", "-o"]).arg(&out).write_stdin(stdin);
    let output = command.output().expect("it runs");
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), json, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_snapshot_from_standard_input_is_as_it_was() {
    let mut text = Vec::new();
    let expected = made::write(SIZE, &mut text).expect("memory");
    // Two variants out of one standard input.
    let (code, json, stderr) = run(&["-f", "-"], &text);
    assert_eq!(code, Some(0), "{stderr}");
    let variants = json["variants"].as_array().expect("variants");
    assert_eq!(variants.len(), 2);
    for variant in variants {
        let pods = &variant["pods"];
        assert_eq!(pods["created"], SIZE.pods, "{stderr}");
        assert_eq!(pods["completed"], expected.completed);
        assert_eq!(pods["pending"], expected.foreign_pending, "pods of another scheduler wait for it");
        assert_eq!(
            variant["claims"]["bound"], SIZE.volumes,
            "what is bound stays bound, also by CSI drivers"
        );
        assert_eq!(variant["decisions"], 0, "nothing is decided");
    }
    for kind in ["20 ConfigMap", "20 Widget"] {
        assert!(stderr.contains(kind), "{kind} in {stderr}");
    }
    assert!(stderr.contains("--replay"), "nothing is pending: {stderr}");
}

#[test]
fn a_snapshot_arrives_again() {
    let mut text = Vec::new();
    made::write(SIZE, &mut text).expect("memory");
    let (code, json, stderr) = run(&["-f", "-", "--replay", "--mode", "WaitForFirstConsumer"], &text);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(json["variants"][0]["decisions"].as_u64().unwrap_or(0) >= 200, "{json}");
}

#[test]
fn what_if_there_were_more_nodes_and_more_replicas() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = Vec::new();
    let expected = made::write(SIZE, &mut text).expect("memory");
    let path = folder.path().join("snapshot.json");
    fs::write(&path, &text).expect("a file");
    let extra = "apiVersion: v1\nkind: Pod\nmetadata: {name: late, labels: {app: late}}\nspec: {containers: [{name: c, resources: {requests: {cpu: 40}}}]}\n";
    fs::write(folder.path().join("extra.yaml"), extra).expect("a file");
    let scenario = |nodes: u32| {
        format!(
            "version: 1\nname: what-if\ncluster:\n  manifests: [snapshot.json]\n  nodes: [{{name: new, count: {nodes}, cpu: 48, memory: 256Gi, disks: [{{class: local, count: 4, size: 1Ti, split: 1}}]}}]\n\
             workload:\n  manifests: [extra.yaml]\n  generate: [{{name: shop, kind: StatefulSet, sets: 1, replicas: 6, cpu: 1, memory: 1Gi, claims: [{{name: data, class: local, size: 500Gi}}]}}]\n"
        )
    };
    for (nodes, running) in [(0, 0), (3, 7)] {
        let file = folder.path().join("what-if.yaml");
        fs::write(&file, scenario(nodes)).expect("a file");
        let (code, json, stderr) = run(&[file.to_str().expect("text"), "--mode", "as-is"], b"");
        assert_eq!(code, Some(0), "{stderr}");
        let pods = &json["variants"][0]["pods"];
        let before = SIZE.pods - expected.completed - expected.foreign_pending;
        assert_eq!(pods["running"], before + running, "{nodes} nodes more: {pods}");
    }
}
