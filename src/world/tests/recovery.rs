//! What a database operator does about lost members, with times that can be told by a calculator; and drains that budgets slow down.

use super::{Log, plan, within};
use crate::model::labels::{LabelOperator, LabelRequirement, LabelSelector};
use crate::model::names::sym;
use crate::model::workload::{BudgetRule, DisruptionBudget};
use crate::scenario::BindingMode;
use crate::world::plan::Plan;

/// Four nodes with a disk of 100Gi each, one group of three with 50Gi each.
fn group(recovery: &str, timeline: &str) -> Plan {
    let text = format!(
        "
version: 1
name: recovery
duration: 12h
cluster:
  storageClasses:
    - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}
  nodes:
    - {{name: n, count: 4, cpu: 4, memory: 16Gi, disks: [{{class: local, count: 1, size: 100Gi, split: whole, staticProvisioner: {{wipe: 1Gi/s}}}}]}}
workload:
  generate:
    - {{name: db, kind: StatefulSet, sets: 1, replicas: 3, cpu: 1, antiAffinity: required, podManagementPolicy: Parallel, group: true,
       claims: [{{name: data, class: local, size: 50Gi}}]}}
recovery: {{{recovery}}}
timeline:
{timeline}"
    );
    plan(&text, BindingMode::WaitForFirstConsumer, 1)
}

/// A group after the node of its first member did this at 9000 s.
fn log(recovery: &str, timeline: &str) -> Log {
    let (quiet, _) = Log::of(&group(recovery, "  []\n"));
    let line = quiet.lines.iter().find(|(_, line)| line.starts_with("assigned default/db-0-0 "));
    let node = line.and_then(|(_, line)| line.rsplit(' ').next()).unwrap_or("");
    Log::of(&group(recovery, &timeline.replace("NODE", node))).0
}

const RATES: &str =
    "backup: {every: 1h, bandwidth: 50Mi/s, parallel: 1}, catchUp: {writeRate: 5MB/s, replayRate: 40MB/s}";

#[test]
fn a_member_is_given_up_rebuilt_and_caught_up() {
    let log = log(&format!("policy: {{after: 10m}}, {RATES}"), "  - {at: 9000s, nodeDown: NODE}\n");
    let found = log.at("ready=false n-");
    within("found out", found - 9000.0, 40.0..=55.1);
    within("given up", log.at("gone") - found, 599.9..=600.1);
    let begun = log.at("copying default/db-0-0");
    within("copying", begun - found - 600.0, 1.0..=1.2);
    let copied = log.at("rebuilt default/db-0-0");
    within("50Gi at 50Mi/s", copied - begun, 1023.9..=1024.1);
    // The newest backup is of 7200 s; what was written since then at 5 MB/s is replayed at 40 - 5.
    let ready = log.after(copied, "Running ready=true default/db-0-0");
    within("caught up", ready - copied, (copied - 7200.0) / 7.0 - 1.0..=(copied - 7200.0) / 7.0 + 1.0);
    assert_eq!(log.times("rebuilt").len(), 1);
    assert_eq!(log.times("lost").len(), 0);
}

#[test]
fn a_peer_has_the_present_data() {
    let recovery = format!("policy: immediate, rebuild: peer, {RATES}");
    let log = log(&recovery, "  - {at: 9000s, nodeDown: NODE}\n");
    let copied = log.at("rebuilt default/db-0-0");
    let ready = log.after(copied, "Running ready=true default/db-0-0");
    within("only what was written during the copy", ready - copied, 1024.0 / 7.0 - 0.5..=1024.0 / 7.0 + 0.5);
}

#[test]
fn a_member_that_comes_back_in_time_only_catches_up() {
    let recovery = format!("policy: {{after: 30m}}, {RATES}");
    let log = log(&recovery, "  - {at: 9000s, nodeDown: NODE}\n  - {at: 9700s, nodeUp: NODE}\n");
    assert!(log.times("rebuilt").is_empty() && log.times("copying").is_empty());
    let ready = log.after(9700.0, "Running ready=true default/db-0-0");
    // The node is Ready when its kubelet posts its status, with the next renewal of its lease; 10 s later at the latest.
    within("700 s of writes", ready - 9700.0, 100.0..=113.0);
}

#[test]
fn who_waits_waits_for_ever_unless_the_disk_is_replaced() {
    let recovery = format!("policy: wait, {RATES}");
    let down = log(&recovery, "  - {at: 9000s, nodeDown: NODE}\n");
    assert!(down.times("copying").is_empty());
    let lost = "  - {at: 9000s, diskFail: {node: NODE, disk: 0}}\n  - {at: 12000s, diskRepair: {node: NODE, disk: 0}}\n";
    let log = log(&recovery, lost);
    within("not ready at once", log.at("Running ready=false default/db-0-0"), 9000.0..=9000.1);
    within("copying", log.at("copying default/db-0-0"), 12000.0..=12002.5);
    assert_eq!(log.times("copying").len(), 1);
}

#[test]
fn the_last_holder_takes_its_writes_along() {
    // Two members fall behind at 9000 s, the group stops; the third, which has everything, loses its disk.
    let recovery = format!("policy: immediate, {RATES}");
    let all = "  - {at: 9000s, diskFail: {node: n-0, disk: 0}}\n  - {at: 9000s, diskFail: {node: n-1, disk: 0}}\n  - {at: 9000s, diskFail: {node: n-2, disk: 0}}\n  - {at: 9000s, diskFail: {node: n-3, disk: 0}}\n";
    let log = log(&recovery, all);
    // The newest backup is of 7200 s.
    let lost: Vec<&str> =
        log.lines.iter().filter(|(_, l)| l.starts_with("lost")).map(|(_, l)| l.as_str()).collect();
    assert_eq!(lost, ["lost 1800 s"]);
}

/// Three members on three nodes; a budget allows one of them to be away.
fn budgeted(timeline: &str, unready_may_go: bool) -> Plan {
    let text = format!(
        "
version: 1
name: drains
duration: 5m
cluster:
  storageClasses:
    - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}
  nodes:
    - {{name: n, count: 3, cpu: 4, memory: 16Gi, disks: [{{class: local, count: 1, size: 10Gi, split: whole}}]}}
workload:
  generate:
    - {{name: db, kind: StatefulSet, sets: 1, replicas: 3, cpu: 1, antiAffinity: required, claims: [{{name: data, class: local, size: 5Gi}}]}}
timeline:
{timeline}"
    );
    let mut plan = plan(&text, BindingMode::WaitForFirstConsumer, 1);
    let cluster = &mut plan.cluster;
    let (key, value) = (cluster.names.intern("app"), cluster.names.intern("db-0"));
    let requirement = LabelRequirement { key, operator: LabelOperator::In, values: Box::new([value]) };
    let budget = DisruptionBudget {
        namespace: sym::DEFAULT,
        name: cluster.names.intern("two"),
        selector: LabelSelector::Requirements(Box::new([requirement])),
        rule: Some(BudgetRule::MaxUnavailable(1)),
        unready_may_go,
        disruptions_allowed: 0,
        disrupted_pods: Vec::new(),
    };
    cluster.add_budget(budget);
    plan
}

/// Two of three are not Ready: `IfHealthyBudget` protects them, for the budget is not met, `AlwaysAllow` does not.
#[test]
fn pods_that_are_not_ready_go_as_the_budget_says() {
    let timeline = "  - {at: 61s, nodeDown: n-0}\n  - {at: 61s, nodeDown: n-1}\n  - {at: 200s, drain: n-0}\n";
    for (always, evicted) in [(false, 0), (true, 1)] {
        let (log, _) = Log::of(&budgeted(timeline, always));
        assert_eq!(log.times("terminating").len(), evicted, "AlwaysAllow: {always}");
    }
}

#[test]
fn drains_ask_again_until_budgets_allow() {
    let timeline = "  - {at: 61s, drain: n-0}\n  - {at: 61s, drain: n-1}\n  - {at: 100s, uncordon: n-0}\n";
    let plan = budgeted(timeline, false);
    let (log, _) = Log::of(&plan);
    // The kubelet stops at once, so a pod is gone as it is evicted. The second has to wait until the first runs again, which it does
    // on its old node; then the drain asks at its next 5 s.
    let gone = log.times("gone");
    assert_eq!(gone.len(), 2, "{:#?}", log.lines);
    within("the first", gone[0], 61.0..=61.01);
    within("the second", gone[1], 101.0..=101.01);
}
