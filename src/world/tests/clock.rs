//! The clock of the control loops against what the real v1.36.2 control plane did.

use super::{Log, plan, within};
use crate::scenario::BindingMode;

/// Three nodes with a disk each; the kubelets as slow as the recordings' simulated ones.
const THREE: &str = "
version: 1
name: three
controlPlane: {preset: kubernetes, kubelet: {start: 300ms, stop: 500ms}}
cluster:
  storageClasses:
    - {name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: n, count: 3, cpu: 4, memory: 16Gi, disks: [{class: local, count: 1, size: 10Gi, split: whole, reclaim: Retain}]}
";

fn three(workload: &str) -> String {
    format!("{THREE}workload:\n  generate:\n{workload}")
}

#[test]
fn a_late_binding_takes_one_second() {
    let text = three(
        "    - {name: web, kind: StatefulSet, sets: 1, replicas: 3, cpu: 1, claims: [{name: data, class: local, size: 5Gi}],\n       arrivals: {every: 1h, start: 30s}}",
    );
    let (log, _) = Log::of(&plan(&text, BindingMode::WaitForFirstConsumer, 1));
    let scheduled = log.at("scheduled default/web-0-0");
    let assigned = log.at("assigned default/web-0-0");
    // 1.00 .. 1.01 s between the claimRef's write and the assignment, and a few requests of 5 ms before and after.
    within("scheduled to assigned", assigned - scheduled, 1.0..=1.05);
    within("created to scheduled", scheduled - log.at("created default/web-0-0"), 0.0..=0.02);
    // The claim itself is bound long before.
    within("claim bound", log.at("claim Bound default/data-web-0-0") - scheduled, 0.01..=0.06);
    // One after the other: the next pod 4 .. 8 ms after the one before is Ready (its claim first).
    let ready = log.at("Running ready=true default/web-0-0");
    within("kubelet", ready - assigned, 0.3..=0.31);
    within("next claim", log.at("claim default/data-web-0-1") - ready, 0.003..=0.015);
    within("next pod", log.at("created default/web-0-1") - ready, 0.004..=0.02);
}

#[test]
fn an_immediate_claim_is_bound_in_four_writes_before_its_pod_is_scheduled() {
    let text = three(
        "    - {name: web, kind: StatefulSet, sets: 1, replicas: 1, cpu: 1, claims: [{name: data, class: local, size: 5Gi}],\n       arrivals: {every: 1h, start: 30s}}",
    );
    let (log, _) = Log::of(&plan(&text, BindingMode::Immediate, 1));
    let claim = log.at("claim default/data-web-0-0");
    within("bound", log.at("claim Bound default/data-web-0-0") - claim, 0.02..=0.06);
    // The pod comes a few ms after its claim and meets it unbound.
    within("pod", log.at("created default/web-0-0") - claim, 0.003..=0.015);
    within("first attempt fails", log.at("unschedulable default/web-0-0") - claim, 0.003..=0.02);
    let bound = log.at("claim Bound default/data-web-0-0");
    within("assigned", log.at("assigned default/web-0-0") - bound, 0.0..=0.03);
    let message = log.lines.iter().find(|(_, line)| line.starts_with("event FailedScheduling"));
    assert_eq!(
        message.map(|(_, line)| line.as_str()),
        Some(
            "event FailedScheduling: 0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
        )
    );
}

#[test]
fn an_unschedulable_pod_is_tried_again_after_five_minutes() {
    let text = three(
        "    - {name: big, kind: Pod, sets: 1, replicas: 1, cpu: 64, arrivals: {every: 1h, start: 3607ms}}",
    )
    .replace("version: 1\n", "version: 1\nduration: 15m\n");
    let (log, end) = Log::of(&plan(&text, BindingMode::WaitForFirstConsumer, 1));
    let times = log.times("unschedulable default/big-0-0");
    // Recorded: 3.607, 308.866, 608.900: pool age above 5 min, looked for every 30 s.
    assert_eq!(times.len(), 3, "{times:?}");
    within("first", times[0], 3.607..=3.62);
    within("second", times[1], 303.607..=334.0);
    within("third", times[2] - times[1], 300.0..=331.0);
    assert_eq!(end.decisions, 3);
}

#[test]
fn a_deleted_pod_makes_room_when_it_is_gone() {
    let text = three(
        "    - {name: a, kind: Pod, sets: 1, replicas: 3, cpu: 4}\n    - {name: b, kind: Pod, sets: 1, replicas: 1, cpu: 4, arrivals: {every: 1h, start: 10s}}",
    ) + "\ntimeline:\n  - {at: 20s, deletePod: {name: default/a-0-1}}\n";
    let (log, _) = Log::of(&plan(&text, BindingMode::WaitForFirstConsumer, 1));
    // Nothing happens at the delete call; at the end the waiting pod is tried within 2 ms (the watch) and assigned within 8.
    let gone = log.at("gone");
    within("gone", gone, 20.5..=20.51);
    assert_eq!(log.times("unschedulable default/b-0-0").len(), 1);
    within("tried", log.at("scheduled default/b-0-0") - gone, 0.0..=0.004);
    within("assigned", log.at("assigned default/b-0-0") - gone, 0.0..=0.01);
}

#[test]
fn client_limits_spread_a_burst_of_claims() {
    // 60 Immediate claims at 20 requests a second and 4 writes each take about 12 s (recorded: 11.8 s).
    let text = "
version: 1
name: burst
controlPlane: kubernetes
cluster:
  storageClasses:
    - {name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: Immediate}
  nodes:
    - {name: n, count: 20, cpu: 16, memory: 64Gi, disks: [{class: local, count: 4, size: 100Gi, split: whole}]}
workload:
  generate:
    - {name: s, kind: StatefulSet, sets: 12, replicas: 5, cpu: 1, podManagementPolicy: Parallel,
       claims: [{name: data, class: local, size: 20Gi}], arrivals: {every: 1us, start: 60s}}
";
    let (log, _) = Log::of(&plan(text, BindingMode::Immediate, 1));
    let bound = log.times("claim Bound");
    assert_eq!(bound.len(), 60);
    let first = log.at("claim default");
    within("all bound", bound.last().copied().unwrap_or(0.0) - first, 9.5..=14.0);
}
