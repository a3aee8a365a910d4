//! Metrics of small clusters, worked out by hand from the definitions of the scenario contract.

use super::*;
use crate::results::summary::{Stranded, StuckCause};
use crate::results::tables::StrandingRow;
use crate::scenario::{LoadOptions, ScenarioFile};
use std::path::Path;

const GIB: u128 = 1 << 30;

fn variant(text: &str, mode: BindingMode, options: Options) -> VariantOutput {
    let file = ScenarioFile::from_text("test.yaml", text.to_owned(), Path::new("."), &LoadOptions::default());
    let loaded = file.and_then(|f| f.resolve(&[])).unwrap_or_else(|e| panic!("{e}"));
    let prepared = prepare(&loaded, Some(mode), options).unwrap_or_else(|e| panic!("{e}"));
    run(&prepared.plan, "test", prepared.sample, options).unwrap_or_else(|e| panic!("{e}"))
}

fn simulated(text: &str, mode: BindingMode) -> VariantOutput {
    variant(text, mode, Options::default())
}

/// One pod of 5.3 CPU and 5Gi with a claim of 10Gi. Node small-0: 4 CPU, volume of 10Gi; node large-0: 8 CPU, volume of 20Gi.
const ARTICLE: &str = "
version: 1
name: article
controlPlane: ideal
cluster:
  storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]
  nodes:
    - {name: small, count: 1, cpu: 4, memory: 16Gi, disks: [{class: local, count: 1, size: 10Gi, split: whole}]}
    - {name: large, count: 1, cpu: 8, memory: 16Gi, disks: [{class: local, count: 1, size: 20Gi, split: whole}]}
workload:
  generate:
    - {name: mysql, kind: StatefulSet, sets: 1, replicas: 1, cpu: 5300m, memory: 5Gi,
       claims: [{name: data, class: local, size: 10Gi}]}
";

/// Immediate takes the smallest volume that fits: the one on small-0, where the CPU is missing. The pod waits from 0 s on and
/// the run ends stuckAfter = 300 s after the last change, which makes it stuck at the very end: 0 stuck seconds.
#[test]
fn the_article_with_immediate() {
    let out = simulated(ARTICLE, BindingMode::Immediate);
    let s = &out.summary;
    assert_eq!(s.simulated_seconds, 300.0);
    let p = &s.pods;
    assert_eq!((p.wanted, p.created, p.running, p.pending, p.stuck, p.stuck_by_binding), (1, 1, 0, 1, 1, 1));
    assert_eq!(p.stuck_by.iter().collect::<Vec<_>>(), [(&StuckCause::Unschedulable, &1)]);
    assert_eq!((p.stuck_ever, p.stuck_seconds, p.never_scheduled), (1, 0.0, 1));
    // Unschedulable for all of the 300 s.
    assert_eq!(p.unschedulable_average, 1.0);
    assert_eq!((s.sets.wanted, s.sets.whole, s.sets.stuck, s.sets.stuck_by_binding), (1, 0, 1, 1));
    // Nobody was scheduled; with the unscheduled, the one pod waited 300 s.
    assert_eq!((s.pending_seconds.p50, s.pending_seconds.max), (None, None));
    assert_eq!(s.pending_seconds_with_unscheduled.p50, Some(300.0));
    // 30Gi = 10Gi asked for + 20Gi free; the bound 10Gi are held by the stuck pod, but for none of the 300 s.
    let b = &s.storage;
    assert_eq!((b.capacity_bytes, b.requested_bytes, b.over_size_bytes), (30 * GIB, 10 * GIB, 0));
    assert_eq!((b.free_bytes, b.held_by_stuck_bytes, b.unusable_free_bytes), (20 * GIB, 10 * GIB, 0));
    assert_eq!((b.time_weighted.held_by_stuck_bytes, b.time_weighted.free_bytes), (0, 20 * GIB));
    // small-0 fails NodeResourcesFit and has no free volume: b = c = 0. large-0 would take a fresh pod: b = c = 0.
    assert_eq!(s.stranded.end, Stranded::default());
    assert_eq!(s.stranded.onset, None);
    assert_eq!((s.utilization.cpu, s.utilization.at_end.storage), (Some(0.0), Some(10.0 / 30.0)));
}

/// WaitForFirstConsumer runs it on large-0 with the volume of 20Gi. Then small-0 has a free volume but not the CPU: c = 1, and
/// its 10Gi are stranded; large-0 has neither CPU (2.7 free) nor a volume: b = c = 0.
#[test]
fn the_article_with_wait_for_first_consumer() {
    let out = simulated(ARTICLE, BindingMode::WaitForFirstConsumer);
    let s = &out.summary;
    assert_eq!((s.pods.running, s.pods.stuck, s.pods.stuck_ever), (1, 0, 0));
    assert_eq!(s.pending_seconds.max, Some(0.0));
    let b = &s.storage;
    assert_eq!((b.requested_bytes, b.over_size_bytes, b.free_bytes), (10 * GIB, 10 * GIB, 10 * GIB));
    let want = Stranded { disk_bytes: 10 * GIB, ..Stranded::default() };
    assert_eq!((&s.stranded.end, &s.stranded.peak, &s.stranded.time_weighted), (&want, &want, &want));
    assert_eq!(s.utilization.cpu, Some(5300.0 / 12000.0));
}

/// One node of 10 CPU and 20Gi with volumes of 50Gi and 100Gi; bare pods of 2 CPU and 4Gi with a claim of 40Gi come at 0 s,
/// 600 s and 1200 s. The run lasts 3000 s.
const FILLING: &str = "
version: 1
name: filling
controlPlane: ideal
duration: 3000s
cluster:
  storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]
  nodes: [{name: n, count: 1, cpu: 10, memory: 20Gi, disks: [{class: local, count: 1, size: 150Gi, sizes: [50Gi, 100Gi]}]}]
workload:
  generate:
    - {name: p, kind: Pod, sets: 3, cpu: 2, memory: 4Gi, arrivals: {every: 10m}, claims: [{name: data, class: local, size: 40Gi}]}
";

/// The first pod gets the smallest volume that fits (50Gi), the second the other (100Gi), the third none: it waits from 1200 s
/// on and is stuck from 1500 s on.
#[test]
fn a_node_whose_disk_fills_first() {
    let out = simulated(FILLING, BindingMode::WaitForFirstConsumer);
    let s = &out.summary;
    let p = &s.pods;
    assert_eq!((p.wanted, p.created, p.running, p.pending, p.stuck), (3, 3, 2, 1, 1));
    assert_eq!((p.stuck_by_binding, p.stuck_seconds), (0, 1500.0));
    assert_eq!(p.unschedulable_average, 1800.0 / 3000.0);
    assert_eq!((s.claims.created, s.claims.bound, s.claims.pending), (3, 2, 1));
    // Spans 0, 0 and 1800 s: rank ceil(1.5) = 2 and rank ceil(2.7) = 3.
    assert_eq!((s.pending_seconds.p50, s.pending_seconds.max), (Some(0.0), Some(0.0)));
    let all = &s.pending_seconds_with_unscheduled;
    assert_eq!((all.p50, all.p90), (Some(0.0), Some(1800.0)));
    // Requested: 40Gi for 600 s, 80Gi for 2400 s. Over-size: 10Gi, then 10Gi + 60Gi. Free: 100Gi, then none.
    let b = &s.storage.time_weighted;
    assert_eq!((b.requested_bytes, b.over_size_bytes), (72 * GIB, 58 * GIB));
    assert_eq!((b.free_bytes, b.capacity_bytes), (20 * GIB, 150 * GIB));
    assert_eq!(
        (s.storage.requested_bytes, s.storage.over_size_bytes, s.storage.free_bytes),
        (80 * GIB, 70 * GIB, 0)
    );
    // From 600 s on no volume is left: b = 1, and 10 - 2 x 2 = 6 CPU and 20 - 8 = 12Gi are stranded. The samples at 600 s and
    // later show it: 2400 of 3000 s.
    let end = Stranded { cpu_milli: 6000.0, memory_bytes: 12 * GIB, disk_bytes: 0, nodes: 1.0 };
    assert_eq!((&s.stranded.end, &s.stranded.peak), (&end, &end));
    let mean = &s.stranded.time_weighted;
    assert_eq!((mean.cpu_milli, mean.nodes), (4800.0, 0.8));
    assert_eq!(mean.memory_bytes, (12 * GIB * 2400 + 1500) / 3000, "9.6Gi to the nearest byte");
    // 60 % of the CPU are more than 5 %, first when all bytes are bound.
    assert_eq!(s.stranded.onset, Some(1.0));
    // CPU: 2 for 600 s, 4 for 2400 s, of 10.
    assert_eq!(s.utilization.cpu, Some((2.0 * 600.0 + 4.0 * 2400.0) / 30000.0));
    // 50 of 150Gi are 33 %, reached at 0 s; the rest at 600 s.
    let row = |percent: usize| -> &StrandingRow { &out.stranding[percent] };
    assert_eq!(out.stranding.len(), 101);
    assert_eq!(
        (row(0).seconds, row(33).seconds, row(34).seconds, row(100).seconds),
        (0.0, 0.0, 600.0, 600.0)
    );
    assert_eq!((row(33).running, row(33).cpu_stranded_share), (1, 0.0));
    assert_eq!((row(34).running, row(34).stuck, row(34).cpu_stranded_share), (2, 0, 0.6));
    // One row per minute from 0 to 3000 s. At 1500 s the pod has not waited for *longer* than 300 s.
    assert_eq!(out.timeseries.len(), 51);
    assert_eq!(
        (out.timeseries[25].seconds, out.timeseries[25].stuck, out.timeseries[26].stuck),
        (1500.0, 0, 1)
    );
    // With Immediate the first two claims are bound the same way, so nothing is stuck by binding either.
    let immediate = simulated(FILLING, BindingMode::Immediate);
    let p = &immediate.summary.pods;
    assert_eq!((p.running, p.stuck, p.stuck_by_binding), (2, 1, 0));
    assert_eq!(p.stuck_by.iter().collect::<Vec<_>>(), [(&StuckCause::UnboundClaim, &1)]);
}

/// A group of three, one after the other, with Immediate. Node a-0: 4 CPU, two volumes of 10Gi; node b-0: 8 CPU, two of 20Gi.
/// Pods of 3 CPU, claims of 10Gi. At 1200 s it is scaled to one.
const ORDERED: &str = "
version: 1
name: ordered
controlPlane: ideal
cluster:
  storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]
  nodes:
    - {name: a, count: 1, cpu: 4, memory: 16Gi, disks: [{class: local, count: 2, size: 10Gi, split: whole}]}
    - {name: b, count: 1, cpu: 8, memory: 16Gi, disks: [{class: local, count: 2, size: 20Gi, split: whole}]}
workload:
  generate:
    - {name: db, kind: StatefulSet, sets: 1, replicas: 3, cpu: 3, memory: 1Gi, antiAffinity: none, group: true,
       podManagementPolicy: OrderedReady, claims: [{name: data, class: local, size: 10Gi}]}
timeline:
  - {at: 20m, scale: {statefulset: default/db-0, replicas: 1}}
";

/// db-0-0 and db-0-1 both get a volume on a-0, where only one has enough CPU: db-0-1 is stuck by binding (b-0 would take it) and
/// db-0-2 is never created. Both are stuck from 300 s to 1200 s: 1800 pod-seconds. Then db-0-1 goes, its claim stays: orphaned
/// for the 300 s until the quiet end at 1500 s.
#[test]
fn an_ordered_set_that_is_scaled_down() {
    let out = simulated(ORDERED, BindingMode::Immediate);
    let s = &out.summary;
    assert_eq!(s.simulated_seconds, 1500.0);
    let p = &s.pods;
    assert_eq!((p.wanted, p.created, p.running, p.deleted, p.not_created), (1, 2, 1, 1, 0));
    assert_eq!((p.stuck, p.stuck_ever, p.stuck_seconds), (0, 2, 1800.0));
    let b = &s.storage;
    assert_eq!((b.orphaned_bytes, b.held_by_stuck_bytes), (10 * GIB, 0));
    // 10Gi held for 900 of 1500 s, orphaned for 300 of them.
    assert_eq!((b.time_weighted.held_by_stuck_bytes, b.time_weighted.orphaned_bytes), (6 * GIB, 2 * GIB));
    // One of three members, then one of one: 1200 s degraded, and without a quorum of two.
    let r = &s.recovery;
    assert_eq!(
        (r.groups, r.degraded_seconds, r.quorum_lost_seconds, r.never_recovered),
        (1, 1200.0, 1200.0, 0)
    );
    // At the last sample before the scaling: two stuck, one of them not created.
    let row = &out.timeseries[19];
    assert_eq!((row.seconds, row.wanted, row.stuck, row.stuck_not_created), (1140.0, 3, 2, 1));

    // Without the scaling, at the quiet end after 300 s.
    let text = ORDERED.split("timeline").next().unwrap_or_default();
    let s = simulated(text, BindingMode::Immediate).summary;
    let p = &s.pods;
    assert_eq!((p.wanted, p.created, p.running, p.not_created), (3, 2, 1, 1));
    assert_eq!((p.stuck, p.stuck_by_binding), (2, 1));
    let by: Vec<_> = p.stuck_by.iter().map(|(c, n)| (*c, *n)).collect();
    assert_eq!(by, [(StuckCause::Unschedulable, 1), (StuckCause::NotCreated, 1)]);
    assert_eq!((s.sets.wanted, s.sets.whole, s.sets.stuck, s.sets.stuck_by_binding), (1, 0, 1, 1));
}

#[test]
fn engines_and_observers_change_nothing() {
    for text in [ARTICLE, FILLING, ORDERED] {
        for mode in [BindingMode::Immediate, BindingMode::WaitForFirstConsumer] {
            let fast = simulated(text, mode);
            let plain = variant(text, mode, Options { plain: true, events: true, ..Options::default() });
            assert_eq!(fast.summary, plain.summary);
            let lines = plain.events_jsonl.unwrap_or_default();
            assert!(lines.ends_with(b"}\n"));
        }
    }
}

/// A pod with a generic ephemeral volume: the controller makes its claim, which the scheduler binds and which goes with the pod.
#[test]
fn ephemeral_volumes_get_claims_that_go_with_their_pods() {
    let folder = tempfile::tempdir().expect("a folder");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: c, image: i, resources: {requests: {cpu: 1}}}]\n  \
        volumes:\n  - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: local, accessModes: [ReadWriteOnce], \
        resources: {requests: {storage: 5Gi}}}}}}\n";
    std::fs::write(folder.path().join("p.yaml"), pod).expect("a file");
    let text = "version: 1\nname: e\nseed: 3\ncluster:\n  storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]\n  \
        nodes: [{name: n, count: 1, cpu: 4, memory: 16Gi, disks: [{class: local, count: 1, size: 10Gi, split: whole}]}]\n\
        workload: {manifests: [p.yaml]}\ntimeline: [{at: 1h, deletePod: default/p}]\n";
    let file = ScenarioFile::from_text("test.yaml", text.to_owned(), folder.path(), &LoadOptions::default());
    let loaded = file.and_then(|f| f.resolve(&[])).unwrap_or_else(|e| panic!("{e}"));
    let prepared = prepare(&loaded, Some(BindingMode::WaitForFirstConsumer), Options::default());
    let prepared = prepared.unwrap_or_else(|e| panic!("{e}"));
    let output = run(&prepared.plan, "test", prepared.sample, Options::default());
    let output = output.unwrap_or_else(|e| panic!("{e}"));
    let row = output.claims.iter().find(|c| c.name == "p-scratch").expect("the claim was made");
    assert_eq!((row.bound_seconds.is_some(), row.pod.as_str()), (true, ""), "{row:?}");
    let summary = &output.summary;
    assert_eq!((summary.claims.created, summary.claims.bound, summary.pods.deleted), (1, 0, 1));
    assert_eq!(summary.storage.free_bytes, GIB * 10, "the volume was wiped and is free again");
}

/// Four nodes with a disk of 100Gi each, one group of three; what happens at 9000 s to the node of its first member.
fn incidents(timeline: &str) -> Vec<crate::results::tables::IncidentRow> {
    let text = |timeline: &str| {
        format!(
            "version: 1\nname: incidents\nduration: 12h\ncluster:\n  storageClasses:\n    - {{name: local, provisioner: kubernetes.io/no-provisioner, \
             volumeBindingMode: WaitForFirstConsumer}}\n  nodes:\n    - {{name: n, count: 4, cpu: 4, memory: 16Gi, disks: [{{class: local, count: 1, \
             size: 100Gi, split: whole, staticProvisioner: {{wipe: 1Gi/s}}}}]}}\nworkload:\n  generate:\n    - {{name: db, kind: StatefulSet, sets: 1, \
             replicas: 3, cpu: 1, antiAffinity: required, podManagementPolicy: Parallel, group: true, claims: [{{name: data, class: local, size: 50Gi}}]}}\n\
             recovery: {{policy: {{after: 30m}}, backup: {{every: 1h, bandwidth: 50Mi/s, parallel: 1}}, catchUp: {{writeRate: 5MB/s, replayRate: 40MB/s}}}}\n\
             timeline:\n{timeline}"
        )
    };
    let quiet = simulated(&text("  []\n"), BindingMode::WaitForFirstConsumer);
    assert_eq!(quiet.incidents, [], "that a group is formed is no incident");
    let node = &quiet.pods.iter().find(|p| p.name == "db-0-0").expect("the member").node;
    simulated(&text(&timeline.replace("NODE", node)), BindingMode::WaitForFirstConsumer).incidents
}

#[test]
fn incidents_are_told_from_beginning_to_end() {
    use crate::results::tables::IncidentKind::*;
    let rows = incidents("  - {at: 9000s, nodeDown: NODE}\n  - {at: 9700s, nodeUp: NODE}\n");
    let [node, group] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((node.what, node.pods, group.what, group.pods), (NodeNotReady, 1, GroupDegraded, 1));
    // Its lease runs out after 50 s, and the kubelet renews it within 10 s of its return; 700 s of writes are replayed then.
    assert!((9040.0..=9055.1).contains(&node.seconds) && node.seconds == group.seconds, "{rows:?}");
    let (up, whole) = (node.until_seconds.expect("is over"), group.until_seconds.expect("is over"));
    assert!((9700.0..=9710.1).contains(&up), "{rows:?}");
    assert!((100.0..=103.0).contains(&(whole - up)), "{rows:?}");

    let rows = incidents("  - {at: 9000s, diskFail: {node: NODE, disk: 0}}\n");
    let whats: Vec<_> = rows.iter().map(|r| r.what).collect();
    assert_eq!(whats, [VolumeLost, GroupDegraded, Rebuild], "{rows:?}");
    assert_eq!(rows[0].bytes, Some(GIB * 100));
    assert_eq!((rows[0].seconds, rows[0].until_seconds), (9000.0, Some(9000.0)));
    let copied = rows[2].until_seconds.expect("is over") - rows[2].seconds;
    assert!(rows[2].bytes == Some(GIB * 50) && (1023.9..=1024.1).contains(&copied), "{rows:?}");

    // A volume that its claim lets go of is not lost, and two of three members are a quorum only together.
    let rows = incidents(
        "  - {at: 9000s, delete: {kind: StatefulSet, name: default/db-0}}\n  - {at: 2h, deletePvc: default/data-db-0-1}\n",
    );
    assert_eq!(rows, []);
    let rows = incidents(
        "  - {at: 9000s, nodeDelete: n-0}\n  - {at: 9000s, nodeDelete: n-1}\n  - {at: 9000s, nodeDelete: n-2}\n",
    );
    assert_eq!(rows.iter().filter(|r| r.what == NodeDeleted).count(), 3);
    let lost = rows.iter().find(|r| r.what == QuorumLost).expect("at most one member is left");
    assert!(lost.until_seconds.is_none() && lost.pods >= 2, "{rows:?}");
}

/// A claim whose class does not exist fails a volume filter everywhere, before any node is looked at; a node that other filters reject
/// strands nothing for it all the same.
#[test]
fn a_missing_class_strands_only_what_else_could_be_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {storageClassName: ghost, accessModes: [ReadWriteOnce], \
        resources: {requests: {storage: 1Gi}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: c, image: i, \
        resources: {requests: {cpu: 1}}}]\n  volumes: [{name: d, persistentVolumeClaim: {claimName: c}}]\n";
    std::fs::write(folder.path().join("p.yaml"), objects).expect("a file");
    let text = "version: 1\nname: e\nduration: 1h\ncluster:\n  storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]\n  nodes:\n    \
        - {name: free, count: 1, cpu: 4, memory: 16Gi}\n    - {name: kept, count: 1, cpu: 8, memory: 16Gi, taints: [\"k=v:NoSchedule\"]}\n    \
        - {name: small, count: 1, cpu: 500m, memory: 16Gi}\nworkload: {manifests: [p.yaml]}\n";
    let file = ScenarioFile::from_text("test.yaml", text.to_owned(), folder.path(), &LoadOptions::default());
    let loaded = file.and_then(|f| f.resolve(&[])).unwrap_or_else(|e| panic!("{e}"));
    let prepared = prepare(&loaded, None, Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let output = run(&prepared.plan, "test", prepared.sample, Options::default());
    let output = output.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(output.summary.stranded.end.cpu_milli, 4000.0, "{:?}", output.nodes);
}
