//! Node failure, drain and pod garbage collection against what the real v1.36.2 control plane did.

use super::{Log, plan, within};
use crate::scenario::BindingMode;

/// `count` nodes with two disks of 10Gi each and one StatefulSet of two, every pod on a node of its own.
fn cluster(count: u32, timeline: &str) -> String {
    format!(
        "
version: 1
name: nodes
duration: 20m
controlPlane: {{preset: kubernetes, kubelet: {{start: 300ms, stop: 500ms}}}}
cluster:
  storageClasses:
    - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}
  nodes:
    - {{name: n, count: {count}, cpu: 4, memory: 16Gi, disks: [{{class: local, count: 2, size: 10Gi, split: whole, reclaim: Retain}}]}}
workload:
  generate:
    - {{name: db, kind: StatefulSet, sets: 1, replicas: 2, cpu: 1, claims: [{{name: data, class: local, size: 5Gi}}]}}
timeline:
{timeline}"
    )
}

/// The node that the first pod of the set is assigned to, with the tie-break of this seed.
fn node_of_first(count: u32, seed: u64) -> String {
    let (log, _) = Log::of(&plan(&cluster(count, "  []\n"), BindingMode::WaitForFirstConsumer, seed));
    let line = log.lines.iter().find(|(_, line)| line.starts_with("assigned default/db-0-0 "));
    line.and_then(|(_, line)| line.rsplit(' ').next()).unwrap_or("").to_owned()
}

fn log(count: u32, timeline: &str) -> Log {
    let node = node_of_first(count, 1);
    let timeline = timeline.replace("NODE", &node);
    Log::of(&plan(&cluster(count, &timeline), BindingMode::WaitForFirstConsumer, 1)).0
}

#[test]
fn a_silent_node_is_tainted_and_its_pods_wait_for_ever() {
    let log = log(4, "  - {at: 60s, nodeDown: NODE}\n");
    let unknown = log.at("ready=false n-");
    within("found out", unknown - 60.0, 40.0..=55.1);
    within("on the tick", (unknown / 5.0).fract().min(1.0 - (unknown / 5.0).fract()), 0.0..=0.01);
    within("NoSchedule", log.at("taints n-") - unknown, 0.0..=0.05);
    let evict = log.lines.iter().find(|(_, l)| l.contains("NoExecute")).map_or(0.0, |(at, _)| *at);
    within("NoExecute", evict - unknown, 0.0..=0.1);
    within("pod not ready", log.at("Running ready=false default/db-0-0") - unknown, 0.0..=0.05);
    within("evicted", log.at("terminating default/db-0-0") - evict, 299.99..=300.02);
    assert!(log.times("gone").is_empty(), "Terminating without end");
    assert_eq!(log.times("created default/db-0-0").len(), 1, "no replacement");
}

#[test]
fn forced_deletion_and_a_deleted_claim_move_the_pod() {
    let log = log(
        4,
        "  - {at: 60s, nodeDown: NODE}\n  - {at: 480s, deletePod: {name: default/db-0-0, force: true}}\n  - {at: 500s, deletePvc: default/data-db-0-0}\n",
    );
    let created = log.after(480.0, "created default/db-0-0");
    within("new pod", created - 480.0, 0.005..=0.03);
    // It waits for its old disk: one node has it, and is tainted.
    let message =
        log.lines.iter().rev().find(|(at, l)| *at < 499.0 && l.starts_with("event FailedScheduling"));
    assert_eq!(
        message.map(|(_, l)| l.as_str()),
        Some(
            "event FailedScheduling: 0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 node(s) didn't match PersistentVolume's node affinity. no new claims to deallocate, preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling."
        )
    );
    // The finalizer goes because the only user is not scheduled; the pod's changed condition wakes the StatefulSet.
    within("claim gone", log.after(500.0, "claim gone") - 500.0, 0.005..=0.03);
    within("claim again", log.after(500.0, "claim default/data-db-0-0") - 500.0, 0.01..=0.06);
    within("assigned elsewhere", log.after(500.0, "assigned default/db-0-0") - 500.0, 1.0..=1.2);
    assert_eq!(log.times("created default/db-0-0").len(), 2, "the pod stays the same");
}

#[test]
fn a_node_that_comes_back_in_time_keeps_its_pods() {
    let log = log(4, "  - {at: 60s, nodeDown: NODE}\n  - {at: 150s, nodeUp: NODE}\n");
    assert!(log.times("terminating").is_empty());
    assert!(log.times("gone").is_empty());
    let ready = log.at("ready=true");
    // Its status is posted in the rhythm of its leases.
    within("ready", ready - 150.0, 0.0..=10.05);
    within("NoSchedule off", log.after(149.0, "taints") - ready, 0.0..=0.02);
    let clean = log.lines.iter().rev().find(|(_, l)| l.starts_with("taints") && l.ends_with("[]"));
    within("NoExecute off at the next tick", clean.map_or(0.0, |(at, _)| *at) - ready, 0.0..=5.02);
}

#[test]
fn a_node_that_comes_back_later_gets_its_pod_again() {
    let log = log(4, "  - {at: 60s, nodeDown: NODE}\n  - {at: 500s, nodeUp: NODE}\n");
    let gone = log.at("gone");
    within("stopped by its kubelet", gone - 500.0, 0.5..=0.52);
    within("new pod", log.after(gone, "created default/db-0-0") - gone, 0.005..=0.03);
    let nodes: Vec<&str> = log
        .lines
        .iter()
        .filter(|(_, l)| l.starts_with("assigned default/db-0-0"))
        .filter_map(|(_, l)| l.rsplit(' ').next())
        .collect();
    assert_eq!(nodes.len(), 2);
    assert_eq!(nodes[0], nodes[1], "the same node: the claim has stayed");
}

#[test]
fn pods_of_a_deleted_node_are_collected() {
    let log = log(4, "  - {at: 125s, nodeDown: NODE}\n  - {at: 127s, nodeDelete: NODE}\n");
    // Missing since the tick at 140 s, quarantined for 40 s.
    let gone = log.at("gone");
    within("collected", gone, 180.0..=180.1);
    within("failed first", log.at("Failed ready=false default/db-0-0"), 180.0..=180.1);
    within("new pod", log.after(gone, "created default/db-0-0") - gone, 0.005..=0.03);
}

#[test]
fn out_of_service_nodes_lose_their_terminating_pods() {
    let log = log(
        4,
        "  - {at: 60s, nodeDown: NODE}\n  - {at: 485s, taint: {node: NODE, taint: \"node.kubernetes.io/out-of-service=nodeshutdown:NoExecute\"}}\n",
    );
    // The pod does not tolerate the taint, so it is Terminating at once at the latest; pod GC's next tick is at 500 s.
    within("collected", log.at("gone"), 500.0..=500.1);
}

#[test]
fn most_of_a_zone_gone_stops_evictions() {
    let down: String = (0..6).map(|i| format!("  - {{at: 60s, nodeDown: n-{i}}}\n")).collect();
    let log = Log::of(&plan(&cluster(10, &down), BindingMode::WaitForFirstConsumer, 1)).0;
    let tainted = |effect: &str| {
        let mut nodes: Vec<&str> = log
            .lines
            .iter()
            .filter(|(_, l)| l.starts_with("taints") && l.contains(effect))
            .filter_map(|(_, l)| l.split(' ').nth(1))
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.len()
    };
    assert_eq!(tainted("unreachable:NoSchedule"), 6);
    // Found out at two ticks: the first gets a token, the others wait until the zone counts as disrupted.
    assert_eq!(tainted("NoExecute"), 1);
}

#[test]
fn all_nodes_gone_evicts_nobody() {
    let down: String = (0..4).map(|i| format!("  - {{at: 60s, nodeDown: n-{i}}}\n")).collect();
    let log = Log::of(&plan(&cluster(4, &down), BindingMode::WaitForFirstConsumer, 1)).0;
    assert!(log.times("terminating").is_empty());
    assert_eq!(log.times("ready=false n-").len(), 4);
}

/// A timeline entry for a zone is the entries for its nodes.
#[test]
fn zones_and_racks_fail_as_a_whole() {
    let run = |timeline: &str| {
        let text = cluster(6, timeline).replace("count: 6", "count: 6, zones: [a, b], racks: 3");
        Log::of(&plan(&text, BindingMode::WaitForFirstConsumer, 1)).0.lines
    };
    let of_zone_b = |verb: &str, at: u32| -> String {
        [1, 3, 5].iter().map(|i| format!("  - {{at: {at}s, {verb}: n-{i}}}\n")).collect()
    };
    let one_by_one = run(&(of_zone_b("nodeDown", 60) + &of_zone_b("nodeUp", 400)));
    let whole = run("  - {at: 60s, zoneDown: b}\n  - {at: 400s, zoneUp: b}\n");
    assert!(one_by_one.iter().any(|(_, line)| line == "ready=false n-5"));
    assert_eq!(whole, one_by_one);
    // Nodes of a zone take turns on its racks: n-2 is the second of zone a.
    let rack = run("  - {at: 60s, rackDown: a-r1}\n");
    let silent: Vec<&str> = rack
        .iter()
        .filter_map(|(_, l)| l.strip_prefix("ready=false "))
        .filter(|n| n.starts_with('n'))
        .collect();
    assert_eq!(silent, ["n-2"]);
}

#[test]
fn entries_of_the_timeline_that_do_nothing_are_told() {
    let timeline = "  - {at: 10s, deletePod: default/db-7-0}
  - {at: 20s, deletePvc: default/nosuch}
  - {at: 30s, clearClaimRef: pv}
  - {at: 40s, expand: {pvc: default/data-db-0-0, size: 6Gi}}
  - {at: 50s, nodeDelete: n-1}
  - {at: 60s, nodeUp: n-1}
  - {at: 70s, cordon: n-2}
  - {at: 80s, delete: {kind: Deployment, name: default/web}}
";
    let end = Log::of(&plan(&cluster(3, timeline), BindingMode::WaitForFirstConsumer, 1)).1;
    let told: Vec<(f64, &str)> = end.missed.iter().map(|m| (m.at.as_secs_f64(), &*m.action)).collect();
    let want = [
        (10.0, "deletePod default/db-7-0"),
        (20.0, "delete PersistentVolumeClaim default/nosuch"),
        (30.0, "clearClaimRef pv"),
        (40.0, "expand default/data-db-0-0"),
        (60.0, "nodeUp n-1"),
        (80.0, "delete Deployment default/web"),
    ];
    assert_eq!(told, want);
    assert!(end.missed[3].why.contains("allowVolumeExpansion"), "{:?}", end.missed[3]);
}

/// FACTS Q11: a pod of higher priority takes CPU from others, also with a local volume; no volume is freed by that.
#[test]
fn a_preemptor_runs_when_its_victim_is_gone() {
    let text = "
version: 1
name: preemption
controlPlane: {preset: kubernetes, kubelet: {start: 300ms, stop: 500ms}}
cluster:
  storageClasses:
    - {name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: n, count: 1, cpu: 4, memory: 16Gi, disks: [{class: local, count: 2, size: 10Gi, split: whole}]}
workload:
  generate:
    - {name: low, kind: StatefulSet, replicas: 1, cpu: 3, priority: 0, claims: [{name: data, class: local, size: 5Gi}]}
    - {name: high, kind: StatefulSet, replicas: 1, cpu: 3, priority: 100, arrivals: {every: 1d, start: 60s}, sets: 1,
       claims: [{name: data, class: local, size: 5Gi}]}
";
    let (log, end) = Log::of(&plan(text, BindingMode::WaitForFirstConsumer, 1));
    within("the victim is marked", log.after(60.0, "terminating default/low-0-0") - 60.0, 0.0..=0.1);
    let gone = log.after(60.0, "gone");
    within("one more second for a free volume", log.at("assigned default/high-0-0") - gone, 1.0..=1.06);
    let said = |text: &str| log.lines.iter().any(|(at, line)| *at >= 60.0 && line.contains(text));
    assert!(
        said("event FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu."),
        "no preemption suffix"
    );
    assert!(said("event Preempted: Preempted by pod"));
    let bound = end.cluster.volumes().iter().filter(|(_, v)| v.claim_ref.is_some()).count();
    assert_eq!(bound, 2, "the victim's claim keeps its volume");
}

/// FACTS N8: the Released volume of a dead node goes at once when it is deleted by hand.
#[test]
fn a_released_volume_of_a_dead_node_can_be_deleted() {
    let node = node_of_first(4, 1);
    let timeline = "  - {at: 60s, nodeDown: NODE}\n  - {at: 480s, deletePod: {name: default/db-0-0, force: true}}\n  - {at: 490s, deletePvc: default/data-db-0-0}\n".replace("NODE", &node);
    let run = |more: &str| {
        let text = cluster(4, &(timeline.clone() + more));
        Log::of(&plan(&text, BindingMode::WaitForFirstConsumer, 1)).0
    };
    let quiet = run("");
    let released = quiet.lines.iter().find_map(|(_, l)| l.strip_prefix("volume Released "));
    let released = released.unwrap_or_else(|| panic!("{:#?}", quiet.lines));
    let log = run(&format!("  - {{at: 500s, deletePv: {released}}}\n"));
    within("gone", log.at(&format!("volume gone {released}")) - 500.0, 0.0..=0.02);
}

#[test]
fn a_cordoned_node_takes_its_pod_back_after_uncordon() {
    let log = log(
        3,
        "  - {at: 60s, cordon: NODE}\n  - {at: 61s, deletePod: {name: default/db-0-0}}\n  - {at: 90s, uncordon: NODE}\n",
    );
    let failed = log.lines.iter().find(|(at, l)| *at > 61.0 && l.starts_with("event FailedScheduling"));
    let text = failed.map_or("", |(_, l)| l.as_str());
    assert!(text.contains("2 node(s) didn't match PersistentVolume's node affinity"), "{text}");
    assert!(text.contains("1 node(s) were unschedulable"), "{text}");
    within("assigned", log.after(90.0, "assigned default/db-0-0") - 90.0, 0.0..=0.06);
}

/// Three database groups of three on five nodes with a spare disk each; one node is lost for good.
fn recovery(policy: &str, timeline: &str) -> Log {
    let text = format!(
        "
version: 1
name: recovery
duration: 12h
controlPlane: {{preset: kubernetes, kubelet: {{start: 300ms, stop: 500ms}}}}
cluster:
  storageClasses:
    - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}
  nodes:
    - {{name: n, count: 5, cpu: 8, memory: 16Gi, disks: [{{class: local, count: 3, size: 100Gi, split: whole, reclaim: Retain}}]}}
workload:
  generate:
    - {{name: db, kind: StatefulSet, sets: 3, replicas: 3, cpu: 1, antiAffinity: required, group: true,
       claims: [{{name: data, class: local, size: 100G}}]}}
timeline:
{timeline}
recovery:
  policy: {policy}
  backup: {{every: 1h, size: claim, bandwidth: 100MB/s, parallel: 1}}
  catchUp: {{writeRate: 5MB/s, replayRate: 40MB/s}}
  quorum: majority
"
    );
    Log::of(&plan(&text, BindingMode::WaitForFirstConsumer, 1)).0
}

#[test]
fn members_are_given_up_restored_one_after_the_other_and_caught_up() {
    let log = recovery("{after: 30m}", "  - {at: 5400s, nodeDown: n-0}");
    let unknown = log.at("ready=false n-0");
    let lost =
        log.times("Running ready=false default/db-").into_iter().filter(|at| *at < unknown + 1.0).count();
    assert!((1..=3).contains(&lost), "{lost}");
    // The claims are deleted half an hour later, the pods come elsewhere a little over a second after that.
    let given_up = log.at("claim gone default/data-db-");
    within("given up", given_up - unknown, 1800.0..=1801.0);
    let assigned: Vec<f64> = log.times("assigned").into_iter().filter(|at| *at > given_up).collect();
    assert_eq!(assigned.len(), lost);
    within("assigned", assigned[0] - given_up, 1.0..=2.0);
    // 100 GB at 100 MB/s: 1000 s each, one copy at a time.
    let rebuilt = log.times("rebuilt");
    assert_eq!(rebuilt.len(), lost);
    for (n, at) in rebuilt.iter().enumerate() {
        within(
            "rebuilt",
            at - assigned[0],
            1000.0 * (n as f64 + 1.0) - 1.0..=1000.0 * (n as f64 + 1.0) + 5.0,
        );
    }
    // The newest backup is of 7200 s; what was written since at 5 MB/s is replayed at 40 - 5.
    let ready: Vec<f64> = log.times("Running ready=true").into_iter().filter(|at| *at > given_up).collect();
    assert_eq!(ready.len(), lost);
    let lag = rebuilt[0] + 0.3 - 7200.0;
    within("caught up", ready[0] - rebuilt[0] - 0.3, lag / 7.0 - 0.5..=lag / 7.0 + 0.5);
}

#[test]
fn whoever_waits_catches_up_on_the_old_data() {
    let log = recovery("wait", "  - {at: 5400s, nodeDown: n-0}\n  - {at: 12400s, nodeUp: n-0}");
    assert!(log.times("rebuilt").is_empty());
    assert!(log.times("claim gone").is_empty());
    // Evicted 300 s after the taint, so the pods start anew when the node is Ready again, at most a lease period
    // after it is back; 7000 s of writes take 1000 s.
    let ready = log.after(12400.0, "Running ready=true default/db-");
    within("caught up", ready - 12400.0, 1000.0..=1012.5);
}
