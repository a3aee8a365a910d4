//! Whole runs of small scenarios whose outcome can be told by thinking.

use super::plan::Plan;
use super::{RunEnd, lower, run};
use crate::model::cluster::Cluster;
use crate::model::pod::PodPhase;
use crate::scenario::{BindingMode, LoadOptions, ScenarioFile};
use std::path::Path;

/// The plan of a scenario text without manifests.
fn plan(text: &str, mode: BindingMode, seed: u64) -> Plan {
    let file = ScenarioFile::from_text("test.yaml", text.to_owned(), Path::new("."), &LoadOptions::default());
    let loaded = file.and_then(|file| file.resolve(&[]));
    let loaded = loaded.unwrap_or_else(|e| panic!("{e:?}"));
    let none = |_: &mut Cluster| Ok(());
    let plan = lower::plan(&loaded.scenario, Some(mode), 0, none, none);
    Plan { seed, paranoid: true, ..plan.unwrap_or_else(|e| panic!("{e}")) }
}

fn end(plan: &Plan) -> RunEnd {
    run(plan, ()).unwrap_or_else(|e| panic!("{e}"))
}

fn running(end: &RunEnd) -> usize {
    end.cluster.pods().iter().filter(|(_, pod)| pod.phase == PodPhase::Running).count()
}

/// The two disks of the article: 10Gi where there are 4 CPUs, 20Gi where there are 8; the pod wants 5300m and 10Gi.
const ARTICLE: &str = "
version: 1
name: article
cluster:
  storageClasses:
    - {name: local-storage, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: small, count: 1, cpu: 4, memory: 16Gi, disks: [{class: local-storage, count: 1, size: 10Gi, split: whole}]}
    - {name: large, count: 1, cpu: 8, memory: 16Gi, disks: [{class: local-storage, count: 1, size: 20Gi, split: whole}]}
workload:
  generate:
    - {name: mysql, kind: StatefulSet, sets: 1, replicas: 1, cpu: 5300m, memory: 5Gi,
       claims: [{name: data, class: local-storage, size: 10Gi}]}
";

#[test]
fn the_article_runs_only_with_late_binding() {
    for seed in 0..20 {
        let late = end(&plan(ARTICLE, BindingMode::WaitForFirstConsumer, seed));
        assert_eq!(running(&late), 1, "seed {seed}");
        let pod = late.cluster.pods().iter().next().map(|(_, pod)| pod.node).flatten();
        let node = pod.map(|node| late.cluster.names.text(late.cluster.node(node).name).to_owned());
        assert_eq!(node.as_deref(), Some("large-0"));

        let early = end(&plan(ARTICLE, BindingMode::Immediate, seed));
        assert_eq!(running(&early), 0, "seed {seed}");
        let pod = early.cluster.pods().ids().next();
        let message = pod.and_then(|pod| early.message(pod)).map(|(text, _)| text);
        assert_eq!(
            message.as_deref(),
            Some(
                "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match PersistentVolume's node affinity. \
                 no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
            )
        );
    }
}

#[test]
fn a_fleet_is_the_same_for_the_same_seed() {
    let text = "
version: 1
name: fleet
cluster:
  storageClasses:
    - {name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: n, count: 6, cpu: 8, memory: 32Gi, zones: [a, b], disks: [{class: local, count: 2, size: 400Gi, split: 2}]}
workload:
  generate:
    - {name: db, kind: StatefulSet, sets: 6, replicas: 3, cpu: 2, memory: 4Gi, antiAffinity: required,
       claims: [{name: data, class: local, size: {lognormal: {median: 100Gi, p95: 180Gi}}}],
       arrivals: {every: {exponential: {mean: 10m}}}, lifetime: {exponential: {mean: 2h}},
       claimRetention: {whenDeleted: Delete}}
";
    let shown = |end: &RunEnd| {
        let pods = end.cluster.pods().iter().map(|(id, pod)| (end.cluster.pod_key(id), pod.node, pod.phase));
        (end.at, end.decisions, end.events, pods.collect::<Vec<_>>())
    };
    for mode in [BindingMode::Immediate, BindingMode::WaitForFirstConsumer] {
        let (a, b) = (end(&plan(text, mode, 7)), end(&plan(text, mode, 7)));
        assert_eq!(shown(&a), shown(&b));
        assert_eq!(running(&a), 0, "all sets have gone");
        assert!(a.cluster.claims().is_empty(), "their claims with them");
    }
}

/// Two nodes with a volume group of 100Gi each; pods that want 60Gi.
fn volume_groups(control_plane: &str, sets: u32, first_cpu: u32) -> String {
    format!(
        "
version: 1
name: lvm
controlPlane: {control_plane}
cluster:
  storageClasses:
    - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}
  nodes:
    - {{name: a, count: 1, cpu: {first_cpu}, memory: 32Gi, disks: [{{class: local, count: 1, size: 100Gi, lvm: {{extent: 4Mi}}}}]}}
    - {{name: b, count: 1, cpu: 8, memory: 32Gi, disks: [{{class: local, count: 1, size: 100Gi, lvm: {{extent: 4Mi}}}}]}}
workload:
  generate:
    - {{name: db, kind: StatefulSet, sets: {sets}, replicas: 1, cpu: 1, memory: 1Gi,
       claims: [{{name: data, class: local, size: 60Gi}}]}}
"
    )
}

fn messages(end: &RunEnd) -> Vec<String> {
    let waiting = end.cluster.pods().iter().filter(|(_, pod)| pod.node.is_none());
    let mut messages: Vec<String> =
        waiting.filter_map(|(id, _)| end.message(id)).map(|(text, _)| text).collect();
    messages.dedup();
    messages
}

const NO_STORAGE: &str = "0/2 nodes are available: 2 node(s) did not have enough free storage. no new claims to deallocate, \
     preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";

#[test]
fn volume_groups_serve_what_fits() {
    let late = end(&plan(&volume_groups("ideal", 3, 8), BindingMode::WaitForFirstConsumer, 1));
    assert_eq!((running(&late), messages(&late)), (2, vec![NO_STORAGE.to_owned()]));
    let allocated: Vec<u64> = late.cluster.volume_groups().iter().map(|(_, g)| g.allocated_bytes()).collect();
    assert_eq!(allocated, [60 << 30, 60 << 30]);
    // Without asking the scheduler, the first claim goes where no CPU is.
    let early = end(&plan(&volume_groups("ideal", 1, 0), BindingMode::Immediate, 1));
    assert_eq!(running(&early), 0);
    assert_eq!(running(&end(&plan(&volume_groups("ideal", 1, 0), BindingMode::WaitForFirstConsumer, 1))), 1);
}

#[test]
fn a_burst_overbooks_and_is_scheduled_again() {
    let end = end(&plan(&volume_groups("kubernetes", 6, 8), BindingMode::WaitForFirstConsumer, 1));
    assert_eq!((running(&end), messages(&end)), (2, vec![NO_STORAGE.to_owned()]));
    let waiting = end.cluster.pods().iter().filter(|(_, pod)| pod.node.is_none());
    assert!(waiting.map(|(id, _)| end.attempts(id)).max() > Some(1), "all were sent to a node at first");
    let claims = end.cluster.claims().iter().filter(|(_, claim)| claim.volume_name.is_none());
    assert!(claims.into_iter().all(|(_, claim)| claim.selected_node.is_none()));
}
