//! Small clusters whose counterfactuals are worked out by hand.

use super::*;
use crate::scenario::{LoadOptions, ScenarioFile};
use crate::simulate::{self, Options};
use std::path::Path;

/// Runs the variant of a scenario and tells the story of a pod.
fn story(text: &str, variant: usize, pod: &str, asked: &[WhatIf]) -> PodStory {
    let file = ScenarioFile::from_text("t.yaml", text.to_owned(), Path::new(""), &LoadOptions::default())
        .expect("reads");
    let base = file.resolve(&[]).expect("resolves");
    let variant = &base.scenario.variants[variant];
    let loaded = file.resolve_point(variant, &[], &[]).expect("resolves");
    let prepared = simulate::prepare(&loaded, variant.binding_mode, Options::default()).expect("prepares");
    let output = simulate::run(&prepared.plan, &variant.name.value, prepared.sample, Options::default())
        .expect("runs");
    let row = output.pods.iter().find(|p| p.name == pod).expect("the pod is listed").clone();
    super::pod(&prepared.plan, &output, &row, asked).expect("is explained")
}

/// A small node with the small volume, a large one with the large volume, and a pod that needs the large node's CPU.
fn article(cpu: &str, size: &str) -> String {
    format!(
        "version: 1
name: t
controlPlane: ideal
cluster:
  storageClasses: [{{name: local, provisioner: kubernetes.io/no-provisioner}}]
  nodes:
    - {{name: small, count: 1, cpu: 4, memory: 16Gi, disks: [{{class: local, count: 1, size: 10Gi, split: whole}}]}}
    - {{name: large, count: 1, cpu: 8, memory: 16Gi, disks: [{{class: local, count: 1, size: 20Gi, split: whole}}]}}
workload:
  generate:
    - {{name: db, kind: StatefulSet, sets: 1, replicas: 1, cpu: {cpu}, memory: 5Gi,
       claims: [{{name: data, class: local, size: {size}}}]}}
"
    )
}

fn answer<'s>(story: &'s PodStory, part: &str) -> &'s Answer {
    story
        .what_if
        .iter()
        .find(|a| a.question.contains(part))
        .unwrap_or_else(|| panic!("{part}: {:?}", story.what_if))
}

#[test]
fn the_pod_whose_volume_lies_where_the_cpu_is_missing() {
    // Immediate binds the 10 GiB volume on `small`, which has 4 CPU; the pod asks for 5.3.
    let story = story(&article("5300m", "10Gi"), 0, "db-0-0", &[]);
    assert_eq!(story.stuck_cause, "unschedulable");
    assert!(story.verdict.contains("stuck by binding"), "{}", story.verdict);
    let failed = story.chapters.iter().find(|c| !c.message.is_empty()).expect("a message");
    assert!(failed.message.starts_with(
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match PersistentVolume's node affinity."
    ));
    let by: Vec<(&str, &[String])> =
        failed.turned_down.iter().map(|t| (t.plugin.as_str(), t.nodes.as_slice())).collect();
    assert!(by.contains(&("NodeResourcesFit", &["small-0".to_owned()])), "{by:?}");
    assert!(by.contains(&("VolumeBinding", &["large-0".to_owned()])), "{by:?}");

    let unbound = answer(&story, "unbound");
    assert_eq!((unbound.runs, unbound.nodes.as_slice()), (Some(true), &["large-0".to_owned()][..]));
    assert_eq!(answer(&story, "one more PV").runs, None);
    // 5.3 of 4 CPU: 1.3 are missing.
    let cpu = answer(&story, "CPU of node small-0 grew by 1.3");
    assert_eq!(cpu.runs, Some(true), "{cpu:?}");
    let class = answer(&story, "class local had been WaitForFirstConsumer");
    assert_eq!((class.runs, class.nodes.as_slice()), (Some(true), &["large-0".to_owned()][..]));
}

#[test]
fn questions_of_ones_own() {
    let asked = [
        WhatIf::Cpu("small-0".into(), 1299),
        WhatIf::Cpu("small-0".into(), 1300),
        WhatIf::Cpu("large-0".into(), 8000),
        WhatIf::Volume("large-0".into(), 20 << 30),
        WhatIf::Unbound,
    ];
    let story = story(&article("5300m", "10Gi"), 0, "db-0-0", &asked);
    let last = &story.what_if[story.what_if.len() - asked.len()..];
    assert_eq!(
        last.iter().map(|a| a.runs).collect::<Vec<_>>(),
        [Some(false), Some(true), Some(false), None, Some(true)]
    );
}

#[test]
fn the_pod_without_a_volume_that_is_large_enough() {
    // 30 GiB fit on neither node; both have the CPU, so one volume of 30 GiB on either would do.
    for variant in [0, 1] {
        let asked = [WhatIf::Volume("large-0".into(), 30 << 30), WhatIf::Volume("large-0".into(), 29 << 30)];
        let story = story(&article("2", "30Gi"), variant, "db-0-0", &asked);
        let volume = answer(&story, "one PV of 30 GiB appeared on node");
        assert_eq!((volume.runs, volume.node_count), (Some(true), 2), "{volume:?}");
        assert_eq!(answer(&story, "unbound").runs, None);
        let last = &story.what_if[story.what_if.len() - 2..];
        assert_eq!([last[0].runs, last[1].runs], [Some(true), Some(false)], "{last:?}");
    }
    // With 5 CPU only the large node will do.
    let story = story(&article("5", "30Gi"), 1, "db-0-0", &[]);
    let volume = answer(&story, "one PV of 30 GiB appeared on node large-0");
    assert_eq!(volume.nodes, ["large-0"]);
}

#[test]
fn a_pod_that_runs_has_a_life_too() {
    let story = story(&article("5300m", "10Gi"), 1, "db-0-0", &[]);
    let told: Vec<&str> = story.chapters.iter().map(|c| c.what.as_str()).collect();
    assert!(told.contains(&"the scheduler chooses node large-0"), "{told:?}");
    assert!(told.contains(&"it is Running and Ready"), "{told:?}");
    assert!(
        told.iter().any(|t| t.contains("20 GiB on node large-0, 10 GiB more than it asks for")),
        "{told:?}"
    );
    assert!(story.what_if.is_empty());
}

#[test]
fn what_a_node_would_still_take() {
    // 8 CPU, 4 volumes: two pods of 3 CPU run there; no third fits, although two volumes are free.
    let text = "version: 1
name: t
controlPlane: ideal
cluster:
  storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}]
  nodes: [{name: n, count: 1, cpu: 8, memory: 64Gi, disks: [{class: local, count: 1, size: 40Gi, split: 4}]}]
workload:
  generate:
    - {name: big, kind: StatefulSet, sets: 2, replicas: 1, cpu: 3, memory: 1Gi, claims: [{name: data, class: local, size: 5Gi}]}
    - {name: tiny, kind: StatefulSet, sets: 1, replicas: 1, cpu: 500m, memory: 1Gi, claims: [{name: data, class: local, size: 5Gi}]}
";
    let file = ScenarioFile::from_text("t.yaml", text.to_owned(), Path::new(""), &LoadOptions::default())
        .expect("reads");
    let loaded = file.resolve(&[]).expect("resolves");
    let prepared = simulate::prepare(&loaded, None, Options::default()).expect("prepares");
    let output = simulate::run(&prepared.plan, "x", prepared.sample, Options::default()).expect("runs");
    let story = node(&prepared.plan, &output, "n-0").expect("is told");
    assert_eq!(story.pods.len(), 3);
    assert_eq!(story.volumes.iter().filter(|v| v.used_here).count(), 3);
    // 1.5 CPU and one volume are left: no big one, and one tiny one, after which the volumes are gone.
    let takes: Vec<(&str, u32, &str)> =
        story.takes.iter().map(|t| (t.like.as_str(), t.more, t.then.as_str())).collect();
    assert_eq!(
        takes,
        [
            ("default/big-0-0", 0, "Insufficient cpu"),
            ("default/tiny-0-0", 1, "node(s) didn't find available persistent volumes to bind"),
        ]
    );
}

#[test]
fn another_run_is_not_explained_as_this_one() {
    let text = article("5300m", "10Gi");
    let file =
        ScenarioFile::from_text("t.yaml", text, Path::new(""), &LoadOptions::default()).expect("reads");
    let loaded = file.resolve(&[]).expect("resolves");
    let prepared = simulate::prepare(&loaded, None, Options::default()).expect("prepares");
    let mut output = simulate::run(&prepared.plan, "x", prepared.sample, Options::default()).expect("runs");
    output.summary.digest = "blake3:0".into();
    let row = output.pods[0].clone();
    let error = super::pod(&prepared.plan, &output, &row, &[]).expect_err("is refused");
    assert!(matches!(error, ExplainError::Digest { .. }));
}

#[test]
fn questions_that_do_not_arise_say_why() {
    let with = |pod: &str| {
        format!(
            "version: 1
name: t
controlPlane: ideal
duration: 1h
cluster:
  storageClasses: [{{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}]
  nodes:
    - {{name: a, count: 1, cpu: 4, memory: 16Gi, taints: [\"k=v:NoSchedule\"], disks: [{{class: local, count: 1, size: 10Gi, split: whole}}]}}
workload: {{manifests: [{pod}]}}
"
        )
    };
    let folder = tempfile::tempdir().expect("a folder");
    let story = |name: &str, spec: &str| {
        let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {spec}\n");
        let path = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&path, text).expect("a file");
        super::tests::story(&with(&path.display().to_string()), 1, name, &[WhatIf::Cpu("a-0".into(), 1000)])
    };
    let gated = story(
        "gated",
        "{schedulingGates: [{name: example.com/wait}], containers: [{name: c, resources: {requests: {cpu: 5}}}]}",
    );
    assert!(gated.what_if.iter().all(|a| a.runs == Some(false)), "{:?}", gated.what_if);
    assert!(gated.what_if[0].answer.ends_with("scheduling gates are gone: example.com/wait"));
    let plain = story("plain", "{containers: [{name: c, resources: {requests: {cpu: 1}}}]}");
    assert_eq!(answer(&plain, "unbound").answer, "it has no claims");
    assert_eq!(answer(&plain, "one more PV").answer, "it has no claims");
    let lost = story(
        "lost",
        "{containers: [{name: c}], volumes: [{name: d, persistentVolumeClaim: {claimName: none-such}}]}",
    );
    assert_eq!(answer(&lost, "one more PV").answer, "a claim that it names does not exist");
}
