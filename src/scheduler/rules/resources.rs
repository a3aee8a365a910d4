//! NodeResourcesFit and NodeResourcesBalancedAllocation on whole pods and nodes.

use crate::scheduler::testing::*;
use serde_json::{Value, json};

/// A node that has just this.
fn sized(name: &str, allocatable: Value) -> Value {
    let mut node = node(name, json!({}));
    node["status"]["allocatable"] = allocatable;
    node
}

/// Code and reasons of one node `n` with this allocatable for a pod with these requests beside a running one.
fn fit(have: Value, used: Value, wanted: Value) -> (String, String) {
    let expect =
        decide_one(vec![sized("n", have), running("r", "n", 0, requests(used)), pod("p", requests(wanted))]);
    match expect.rejected.first() {
        None => (String::new(), String::new()),
        Some(group) => (group.code.clone(), group.reasons.join(", ")),
    }
}

#[test]
fn what_fits() {
    const NO: &str = "Unschedulable";
    const NEVER: &str = "UnschedulableAndUnresolvable";
    let have = || json!({"cpu": "2", "memory": "100", "pods": "10", "example.com/gpu": "2", "ephemeral-storage": "10"});
    for (used, wanted, code, reasons) in [
        (json!({"cpu": "1"}), json!({"cpu": "1"}), "", ""),
        (json!({"cpu": "1001m"}), json!({"cpu": "1"}), NO, "Insufficient cpu"),
        (json!({}), json!({"cpu": "2001m"}), NEVER, "Insufficient cpu"),
        (
            json!({"memory": "50"}),
            json!({"memory": "51", "cpu": "3"}),
            NEVER,
            "Insufficient cpu, Insufficient memory",
        ),
        (json!({}), json!({"ephemeral-storage": "11"}), NEVER, "Insufficient ephemeral-storage"),
        (
            json!({"example.com/gpu": "1"}),
            json!({"example.com/gpu": "2"}),
            NO,
            "Insufficient example.com/gpu",
        ),
        (json!({}), json!({"example.com/fpga": "1"}), NEVER, "Insufficient example.com/fpga"),
        // A request of 0 never fails: not on an overcommitted node, not for an unknown resource.
        (
            json!({"cpu": "9", "memory": "900"}),
            json!({"cpu": "0", "memory": "0", "example.com/fpga": "0"}),
            "",
            "",
        ),
        (json!({}), json!({"hugepages-2Mi": "2Mi"}), NEVER, "Insufficient hugepages-2Mi"),
    ] {
        assert_eq!(
            fit(have(), used.clone(), wanted.clone()),
            (code.into(), reasons.into()),
            "{used} {wanted}"
        );
    }
    // The number of pods is never unresolvable; a node that says nothing about it takes none.
    let full = |pods: Value| fit(pods, json!({}), json!({}));
    assert_eq!(full(json!({"cpu": "1", "pods": "1"})), (NO.into(), "Too many pods".into()));
    assert_eq!(full(json!({"cpu": "1", "pods": "0"})), (NO.into(), "Too many pods".into()));
    assert_eq!(full(json!({"cpu": "1"})), (NO.into(), "Too many pods".into()));
}

#[test]
fn quantities_are_rounded_up_to_milli_per_container() {
    let two = json!({"spec": {"containers": [
        {"name": "a", "image": "a", "resources": {"requests": {"cpu": "1u", "memory": "1"}}},
        {"name": "b", "image": "b", "resources": {"requests": {"cpu": "1u", "memory": "1"}}}]}});
    let on = |cpu: &str, memory: &str| {
        let have = json!({"cpu": cpu, "memory": memory, "pods": "10"});
        decide_one(vec![sized("n", have), pod("p", two.clone())]).result
    };
    assert_eq!(on("2m", "2"), "bound");
    assert_eq!(on("1m", "2"), "unschedulable");
    assert_eq!(on("2m", "1500m"), "bound", "1.5 bytes of allocatable memory count as 2");
    assert_eq!(on("2m", "1"), "unschedulable");
}

#[test]
fn least_allocated_and_balance() {
    // Shares with the pod: a 0.25 and 0.5, b 0.75 and 0.5.
    let cluster = vec![
        sized("a", json!({"cpu": "4", "memory": "1000", "pods": "9"})),
        sized("b", json!({"cpu": "4", "memory": "1000", "pods": "9"})),
        running("r", "b", 0, requests(json!({"cpu": "2", "memory": "0"}))),
        pod("p", requests(json!({"cpu": "1", "memory": "500"}))),
    ];
    let expect = decide_one(cluster);
    assert_eq!(scores(&expect, "NodeResourcesFit"), [62, 37]); // (75 + 50) / 2, (25 + 50) / 2
    // a: even before, std 0.125 after: 50 + (50 + 87 - 100) / 2. b: std 0.25 before, 0.125 after: 50 + (50 + 87 - 75) / 2.
    assert_eq!(scores(&expect, "NodeResourcesBalancedAllocation"), [68, 81]);
}

#[test]
fn a_resource_that_a_node_lacks_does_not_weigh() {
    let cluster = vec![
        sized("a", json!({"memory": "1000", "pods": "9"})),
        sized("b", json!({"cpu": "1", "memory": "1000", "pods": "9"})),
        pod("p", requests(json!({"cpu": "0", "memory": "200"}))),
    ];
    let expect = decide_one(cluster);
    // a: 80 alone; b: cpu 100 and memory 80.
    assert_eq!(scores(&expect, "NodeResourcesFit"), [80, 90]);
    assert_eq!(scores(&expect, "NodeResourcesBalancedAllocation"), [75, 70]); // b: std 0.1 after
}

#[test]
fn absent_requests_count_for_scores_only() {
    const MIB: i64 = 1 << 20;
    let cluster = |wanted: Value| {
        vec![
            sized("a", json!({"cpu": "1", "memory": (1000 * MIB).to_string(), "pods": "9"})),
            sized("b", json!({"cpu": "1", "memory": (1000 * MIB).to_string(), "pods": "9"})),
            running("r", "b", 0, json!({})),
            pod("p", requests(wanted)),
        ]
    };
    // 100m and 200MiB for the pod; once more on b for the one that runs there.
    assert_eq!(scores(&decide_one(cluster(json!({}))), "NodeResourcesFit"), [85, 70]);
    assert_eq!(
        scores(&decide_one(cluster(json!({"cpu": "0", "memory": "0"}))), "NodeResourcesFit"),
        [100, 85]
    );
    // A pod without requests is not scored for balance.
    assert!(scores(&decide_one(cluster(json!({}))), "NodeResourcesBalancedAllocation").is_empty());
}

#[test]
fn scores_beyond_int64_end_the_cycle() {
    // (2^58 - 0) * 100 wraps below zero.
    let huge = || json!({"cpu": "0", "memory": "256Pi", "pods": "9"});
    let cluster = vec![sized("a", huge()), sized("b", huge()), pod("p", requests(json!({"memory": "0"})))];
    let expect = decide_one(cluster);
    assert_eq!(expect.result, "error");
    assert_eq!(
        expect.message.as_deref(),
        Some(
            "applying score defaultWeights on Score plugins: plugin \"NodeResourcesFit\" returns an invalid score -28, it should in the range of [0, 100] after normalizing"
        )
    );
}

/// In the order of the search, in which zones take turns, n1 is followed by n3: its score is told, of those that are out of range.
#[test]
fn the_first_invalid_score_is_told() {
    // (5 * 2^56) * 100 wraps below zero, too: -2.
    let zoned = |name: &str, zone: &str, memory: &str| {
        let mut node = sized(name, json!({"cpu": "0", "memory": memory, "pods": "9"}));
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!(zone);
        node
    };
    let cluster = vec![
        zoned("n1", "a", "1Gi"),
        zoned("n2", "a", "256Pi"),
        zoned("n3", "b", "320Pi"),
        pod("p", requests(json!({"memory": "0"}))),
    ];
    assert!(decide_one(cluster).message.expect("an error").contains("an invalid score -2,"));
}
