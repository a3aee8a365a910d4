//! DefaultPreemption and nominated pods.

use crate::conformance::case::Expect;
use crate::scheduler::testing::*;
use serde_json::{Value, json};

fn priority(value: i32) -> Value {
    json!({"spec": {"priority": value}})
}

/// A running pod of this priority with one CPU.
fn victim(name: &str, node: &str, start: u32, value: i32) -> Value {
    running(name, node, start, with(requests(json!({"cpu": "1"})), priority(value)))
}

/// A pod `p` of priority 10 with so many CPUs.
fn preemptor(cpu: &str) -> Value {
    pod("p", with(requests(json!({"cpu": cpu})), priority(10)))
}

fn small(name: &str, cpu: &str) -> Value {
    node(name, json!({"status": {"allocatable": {"cpu": cpu}}}))
}

fn outcome(expect: &Expect) -> (String, Vec<String>) {
    let p = expect.preemption.clone().unwrap_or_default();
    (p.nominated_node, p.victims)
}

fn chosen(objects: Vec<Value>) -> (String, Vec<String>) {
    outcome(&decide_one(objects))
}

fn wanted(node: &str, victims: &[&str]) -> (String, Vec<String>) {
    (node.into(), victims.iter().map(|v| format!("default/{v}")).collect())
}

#[test]
fn only_what_is_needed_is_taken_and_the_least_important_first() {
    // One CPU is missing: of three pods of equal priority the youngest goes.
    let objects = vec![
        small("n", "3"),
        victim("a", "n", 1, 0),
        victim("b", "n", 3, 0),
        victim("c", "n", 2, 0),
        preemptor("1"),
    ];
    assert_eq!(chosen(objects), wanted("n", &["b"]));
    let objects = vec![
        small("n", "3"),
        victim("a", "n", 1, 0),
        victim("b", "n", 3, 5),
        victim("c", "n", 2, 0),
        preemptor("2"),
    ];
    assert_eq!(chosen(objects), wanted("n", &["a", "c"]));
    // Equal priority is never preempted.
    let objects = vec![small("n", "1"), victim("a", "n", 1, 10), preemptor("1")];
    let expect = decide_one(objects);
    assert_eq!(outcome(&expect), wanted("", &[]));
    assert_eq!(
        expect.message.as_deref(),
        Some(
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
        )
    );
}

#[test]
fn default_priority_preempts_negative_ones() {
    let objects = vec![small("n", "1"), victim("a", "n", 1, -1), pod("p", requests(json!({"cpu": "1"})))];
    assert_eq!(chosen(objects), wanted("n", &["a"]));
}

#[test]
fn five_criteria_and_the_first_name() {
    // The lowest highest priority.
    let objects = vec![
        small("m", "1"),
        small("n", "1"),
        victim("a", "m", 1, 5),
        victim("b", "n", 1, 4),
        preemptor("1"),
    ];
    assert_eq!(chosen(objects), wanted("n", &["b"]));
    // The lowest sum.
    let objects = vec![
        small("m", "2"),
        small("n", "2"),
        victim("a", "m", 1, 5),
        victim("b", "m", 1, 4),
        victim("c", "n", 1, 5),
        victim("d", "n", 1, 3),
        preemptor("2"),
    ];
    assert_eq!(chosen(objects), wanted("n", &["c", "d"]));
    // The fewest pods: sums count every pod with 2^31 more, so one pod beats two whatever their priorities.
    let objects = vec![
        small("m", "2"),
        small("n", "2"),
        victim("a", "m", 1, 5),
        victim("b", "m", 1, -9),
        running("c", "n", 1, with(requests(json!({"cpu": "2"})), priority(5))),
        preemptor("2"),
    ];
    assert_eq!(chosen(objects), wanted("n", &["c"]));
    // The latest start of the most important victims.
    let objects = vec![
        small("m", "1"),
        small("n", "1"),
        victim("a", "m", 1, 5),
        victim("b", "n", 2, 5),
        preemptor("1"),
    ];
    assert_eq!(chosen(objects), wanted("n", &["b"]));
    // The first name.
    let objects = vec![
        small("n", "1"),
        small("m", "1"),
        victim("a", "m", 1, 5),
        victim("b", "n", 1, 5),
        preemptor("1"),
    ];
    assert_eq!(chosen(objects), wanted("m", &["a"]));
}

#[test]
fn disruption_budgets_come_first() {
    let budget = |allowed: i32, more: Value| {
        with(
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "default"},
                   "spec": {"selector": {"matchLabels": {"app": "x"}}}, "status": {"disruptionsAllowed": allowed}}),
            more,
        )
    };
    let labelled = |name: &str, node: &str, value: i32| {
        with(victim(name, node, 1, value), json!({"metadata": {"labels": {"app": "x"}}}))
    };
    let cluster = |budget: Value| {
        vec![
            small("m", "1"),
            small("n", "1"),
            budget,
            labelled("a", "m", 1),
            victim("b", "n", 1, 9),
            preemptor("1"),
        ]
    };
    assert_eq!(chosen(cluster(budget(0, json!({})))), wanted("n", &["b"]));
    assert_eq!(chosen(cluster(budget(1, json!({})))), wanted("m", &["a"]));
    // A pod whose disruption is being processed does not count again.
    let processed = json!({"status": {"disruptedPods": {"a": "2025-01-01T00:00:00Z"}}});
    assert_eq!(chosen(cluster(budget(0, processed))), wanted("m", &["a"]));
    // An empty selector selects nobody here.
    let mut empty = budget(0, json!({}));
    empty["spec"]["selector"] = json!({});
    assert_eq!(chosen(cluster(empty)), wanted("m", &["a"]));
    // On one node protected pods are put back first: the unprotected one goes although it is more important.
    let objects = vec![
        small("n", "2"),
        budget(0, json!({})),
        labelled("a", "n", 1),
        victim("b", "n", 1, 9),
        preemptor("1"),
    ];
    assert_eq!(chosen(objects), wanted("n", &["b"]));
}

#[test]
fn what_preemption_cannot_cure_is_not_tried() {
    let objects = vec![
        small("m", "1"),
        node("n", json!({"spec": {"unschedulable": true}})),
        victim("a", "m", 1, 0),
        victim("b", "n", 1, 0),
        preemptor("2"),
    ];
    let expect = decide_one(objects);
    assert_eq!(
        expect.message.as_deref(),
        Some(
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )
    );
    // preemptionPolicy: Never.
    let never = with(preemptor("1"), json!({"spec": {"preemptionPolicy": "Never"}}));
    let expect = decide_one(vec![small("m", "1"), victim("a", "m", 1, 0), never]);
    assert_eq!(
        expect.message.as_deref(),
        Some(
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never."
        )
    );
}

#[test]
fn a_nominated_pod_counts_for_equal_and_lower_priorities() {
    let cluster = |value: i32| {
        vec![
            small("n", "2"),
            victim("a", "n", 1, 0),
            victim("b", "n", 1, 0),
            preemptor("2"),
            pod("q", with(requests(json!({"cpu": "1"})), priority(value))),
        ]
    };
    // Both victims go at once; the node is free but for the nomination.
    for (value, want) in [(5, "unschedulable"), (10, "unschedulable"), (11, "bound")] {
        let steps = decide(cluster(value), &["p", "q", "p"]);
        assert_eq!(steps[0].preemption.as_ref().map(|p| p.nominated_node.as_str()), Some("n"));
        assert_eq!(steps[1].result, want, "{value}");
        assert_eq!(steps[2].nominated_node_before.as_deref(), Some("n"));
        // Where the other one took a CPU the nominated pod preempts nobody: it is less important.
        assert_eq!(steps[2].result, if value == 11 { "unschedulable" } else { "bound" }, "{value}");
    }
}

#[test]
fn a_preemption_withdraws_lower_nominations_on_its_node() {
    let steps = decide(
        vec![
            small("n", "2"),
            victim("a", "n", 1, 0),
            victim("b", "n", 2, 0),
            pod("p", with(requests(json!({"cpu": "1"})), priority(5))),
            pod("q", with(requests(json!({"cpu": "2"})), priority(10))),
        ],
        &["p", "q", "p"],
    );
    assert_eq!(outcome(&steps[0]), wanted("n", &["b"]));
    assert_eq!(outcome(&steps[1]), wanted("n", &["a"]));
    assert_eq!(steps[2].nominated_node_before, None);
}

#[test]
fn terminating_victims_are_nominated_for_but_not_deleted_again() {
    let going =
        with(victim("a", "n", 1, 0), json!({"metadata": {"deletionTimestamp": "2025-01-01T00:00:00Z"}}));
    let expect = decide_one(vec![small("n", "1"), going, preemptor("1")]);
    assert_eq!(outcome(&expect), wanted("n", &[]));
    assert_eq!(expect.preemption.map(|p| p.candidates["n"].clone()), Some(vec!["default/a".to_owned()]));
}

#[test]
fn pods_without_a_start_time_start_when_they_are_asked() {
    let fresh = |name: &str, node: &str| {
        let mut pod = victim(name, node, 0, 0);
        pod["status"] = json!({"phase": "Pending"});
        pod
    };
    // The sort turns them round, so the first of them goes.
    let objects = vec![small("n", "3"), fresh("a", "n"), fresh("b", "n"), fresh("c", "n"), preemptor("1")];
    assert_eq!(chosen(objects), wanted("n", &["a"]));
    // The node that is asked last has the latest start.
    let objects = vec![small("m", "1"), small("n", "1"), fresh("a", "m"), fresh("b", "n"), preemptor("1")];
    assert_eq!(chosen(objects), wanted("n", &["b"]));
}

/// A pod waits for the victims of its last preemption, which are those of lower priority that the scheduler itself is taking away.
#[test]
fn who_waits_for_victims_takes_no_others() {
    const WAITS: &str = "preemption: not eligible due to a terminating pod on the nominated node.";
    let deleting = json!({"metadata": {"deletionTimestamp": "2025-01-01T00:00:00Z"}});
    let by_scheduler = json!({"status": {"conditions": [
        {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}});
    let going = |value: i32, more: &[&Value]| {
        more.iter().fold(victim("a", "n", 1, value), |pod, more| with(pod, (*more).clone()))
    };
    let nominated = |node: &str| with(preemptor("1"), json!({"status": {"nominatedNodeName": node}}));
    let waits = |a: Value, p: Value| {
        let expect = decide_one(vec![small("n", "1"), small("m", "1"), a, victim("b", "m", 1, 0), p]);
        expect.message.is_some_and(|message| message.contains(WAITS))
    };
    assert!(waits(going(0, &[&deleting, &by_scheduler]), nominated("n")));
    assert!(waits(going(9, &[&deleting, &by_scheduler]), nominated("n")));
    assert!(!waits(going(10, &[&deleting, &by_scheduler]), nominated("n")), "it is as important");
    assert!(!waits(going(11, &[&deleting, &by_scheduler]), nominated("n")), "it is more important");
    assert!(!waits(going(0, &[&deleting]), nominated("n")), "somebody else deletes it");
    assert!(!waits(going(0, &[&by_scheduler]), nominated("n")), "it stays");
    assert!(!waits(going(0, &[&deleting, &by_scheduler]), nominated("m")), "another node");
    assert!(!waits(going(0, &[&deleting, &by_scheduler]), preemptor("1")), "no node");
    let never = with(nominated("n"), json!({"spec": {"preemptionPolicy": "Never"}}));
    let expect = decide_one(vec![small("n", "1"), victim("a", "n", 1, 0), never]);
    assert_eq!(outcome(&expect), (String::new(), vec![]));
}

/// The node for which a volume is being made already is the only one, whoever is easier to take away elsewhere.
#[test]
fn claims_of_a_selected_node_are_not_forgotten_when_victims_are_looked_for() {
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "made"},
        "provisioner": "csi.example", "volumeBindingMode": "WaitForFirstConsumer"});
    let claim = |annotations: Value| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "c", "namespace": "default", "uid": "u-c", "annotations": annotations},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "made", "volumeMode": "Filesystem",
                     "resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": "Pending"}})
    };
    let uses = json!({"spec": {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]}});
    let selected = json!({"volume.kubernetes.io/selected-node": "m"});
    for (annotations, want) in [(json!({}), wanted("n", &["b"])), (selected, wanted("m", &["a"]))] {
        let objects = vec![
            class.clone(),
            claim(annotations),
            small("m", "1"),
            small("n", "1"),
            victim("a", "m", 1, 5),
            victim("b", "n", 1, 0),
            with(preemptor("1"), uses.clone()),
        ];
        assert_eq!(chosen(objects), want);
    }
}
