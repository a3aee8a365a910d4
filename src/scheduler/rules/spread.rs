//! PodTopologySpread.

use crate::scheduler::testing::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NO: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

fn zoned(name: &str, zone: &str) -> Value {
    labelled(name, json!({"zone": zone}))
}

fn on(name: &str, node: &str) -> Value {
    running(name, node, 0, json!({"metadata": {"labels": {"app": "x"}}}))
}

fn constraint(more: Value) -> Value {
    with(
        json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
               "labelSelector": {"matchLabels": {"app": "x"}}}),
        more,
    )
}

fn spread(constraints: Value) -> Value {
    pod(
        "p",
        json!({"metadata": {"labels": {"app": "x"}}, "spec": {"topologySpreadConstraints": constraints}}),
    )
}

/// Zones a (nodes a1, a2) and b (b1) with 2, 1 and 1 matching pods.
fn cluster(pod: Value) -> Vec<Value> {
    vec![
        zoned("a1", "a"),
        zoned("a2", "a"),
        zoned("b1", "b"),
        on("r1", "a1"),
        on("r2", "a1"),
        on("r3", "a2"),
        on("r4", "b1"),
        pod,
    ]
}

fn check(objects: Vec<Value>, want: &[(&str, &str)]) {
    let expect = decide_one(objects);
    let want: BTreeMap<&str, String> = want.iter().map(|(node, said)| (*node, (*said).to_owned())).collect();
    assert_eq!(verdicts(&expect), want);
}

#[test]
fn skew_over_zones_and_hosts() {
    // Zone a has 3, b has 1: one more in a makes 4 - 1 = 3.
    check(cluster(spread(json!([constraint(json!({}))]))), &[("a1", NO), ("a2", NO), ("b1", "ok")]);
    let three = spread(json!([constraint(json!({"maxSkew": 3}))]));
    check(cluster(three), &[("a1", "ok"), ("a2", "ok"), ("b1", "ok")]);
    let hosts = spread(json!([constraint(json!({"topologyKey": "kubernetes.io/hostname"}))]));
    check(cluster(hosts), &[("a1", NO), ("a2", "ok"), ("b1", "ok")]);
    let both =
        spread(json!([constraint(json!({})), constraint(json!({"topologyKey": "kubernetes.io/hostname"}))]));
    check(cluster(both), &[("a1", NO), ("a2", NO), ("b1", "ok")]);
}

#[test]
fn a_pod_that_does_not_match_itself_adds_nothing() {
    let stranger = with(
        spread(json!([constraint(json!({"maxSkew": 2}))])),
        json!({"metadata": {"labels": {"app": "y"}}}),
    );
    check(cluster(stranger), &[("a1", "ok"), ("a2", "ok"), ("b1", "ok")]); // 3 - 1
    check(
        cluster(spread(json!([constraint(json!({"maxSkew": 2}))]))),
        &[("a1", NO), ("a2", NO), ("b1", "ok")],
    );
}

#[test]
fn selectors_nil_and_empty() {
    // nil matches nothing, the pod itself neither.
    let nil = spread(json!([constraint(json!({"labelSelector": null}))]));
    check(cluster(nil), &[("a1", "ok"), ("a2", "ok"), ("b1", "ok")]);
    // Empty matches everything, but running pods are not counted for an empty selector: only the pod itself adds 1.
    let empty = with(spread(json!([constraint(json!({}))])), json!({}));
    let mut empty = empty;
    empty["spec"]["topologySpreadConstraints"][0]["labelSelector"] = json!({});
    check(cluster(empty), &[("a1", "ok"), ("a2", "ok"), ("b1", "ok")]);
}

#[test]
fn terminating_and_foreign_pods_do_not_count() {
    let gone = json!({"metadata": {"deletionTimestamp": "2025-01-01T00:00:00Z"}});
    let foreign = json!({"metadata": {"namespace": "other"}});
    for more in [gone, foreign] {
        let objects = vec![
            zoned("a1", "a"),
            zoned("b1", "b"),
            with(on("r1", "a1"), more.clone()),
            with(on("r2", "a1"), more),
            spread(json!([constraint(json!({}))])),
        ];
        check(objects, &[("a1", "ok"), ("b1", "ok")]);
    }
}

#[test]
fn nodes_without_the_label() {
    let mut objects = cluster(spread(json!([constraint(json!({}))])));
    objects.insert(0, node("c1", json!({})));
    check(objects, &[("a1", NO), ("a2", NO), ("b1", "ok"), ("c1", NO_LABEL)]);
    // An empty value is a domain, here one with no pods.
    let mut objects = cluster(spread(json!([constraint(json!({"maxSkew": 2}))])));
    objects.insert(0, zoned("c1", ""));
    check(objects, &[("a1", NO), ("a2", NO), ("b1", "ok"), ("c1", "ok")]);
}

#[test]
fn too_few_domains_count_as_none() {
    let of = |min: i32| cluster(spread(json!([constraint(json!({"minDomains": min, "maxSkew": 3}))])));
    check(of(2), &[("a1", "ok"), ("a2", "ok"), ("b1", "ok")]);
    check(of(3), &[("a1", NO), ("a2", NO), ("b1", "ok")]); // 3 + 1 - 0 > 3
}

#[test]
fn which_nodes_count() {
    let tainted =
        || with(zoned("c1", "c"), json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}));
    let with_zone_c = |more: Value| {
        let mut objects = cluster(spread(json!([constraint(with(json!({"maxSkew": 2}), more))])));
        objects.insert(0, tainted());
        objects
    };
    let taint = "node(s) had untolerated taint(s)";
    // A tainted empty zone blocks by default.
    check(with_zone_c(json!({})), &[("a1", NO), ("a2", NO), ("b1", "ok"), ("c1", taint)]);
    // 1 + 1 - 1 fits in b, 3 + 1 - 1 does not in a.
    check(
        with_zone_c(json!({"nodeTaintsPolicy": "Honor"})),
        &[("a1", NO), ("a2", NO), ("b1", "ok"), ("c1", taint)],
    );
    let honor = with_zone_c(json!({"nodeTaintsPolicy": "Honor", "maxSkew": 3}));
    check(honor, &[("a1", "ok"), ("a2", "ok"), ("b1", "ok"), ("c1", taint)]);
    let ignore = with_zone_c(json!({"maxSkew": 3}));
    check(ignore, &[("a1", NO), ("a2", NO), ("b1", "ok"), ("c1", taint)]);

    // Zones that the pod's node selector excludes do not count, unless the policy says so.
    let selected = |policy: &str, skew: i32| {
        let constraint = constraint(json!({"nodeAffinityPolicy": policy, "maxSkew": skew}));
        let pod = with(spread(json!([constraint])), json!({"spec": {"nodeSelector": {"zone": "a"}}}));
        let affinity = "node(s) didn't match Pod's node affinity/selector";
        let want = if policy == "Honor" { "ok" } else { NO };
        check(cluster(pod), &[("a1", want), ("a2", want), ("b1", affinity)]);
    };
    selected("Honor", 1); // only zone a counts: 3 + 1 - 3
    selected("Ignore", 1); // 3 + 1 - 1
}

#[test]
fn soft_constraints_score() {
    let soft =
        |more: Value| spread(json!([constraint(with(json!({"whenUnsatisfiable": "ScheduleAnyway"}), more))]));
    // Two domains: weight ln 4 = 1.386. Zone a 3 pods: round(4.16) = 4, b 1 pod: round(1.39) = 1.
    // Normalized 100 * (4 + 1 - s) / 4: a 25, b 100; weight 2.
    assert_eq!(scores(&decide_one(cluster(soft(json!({})))), "PodTopologySpread"), [50, 50, 200]);
    // Hosts: ln 5 = 1.609; 2, 1, 1 pods: 3, 2, 2; 100 * (3 + 2 - s) / 3.
    let hosts = soft(json!({"topologyKey": "kubernetes.io/hostname"}));
    assert_eq!(scores(&decide_one(cluster(hosts)), "PodTopologySpread"), [132, 200, 200]);
    // maxSkew - 1 is added to every domain's score: 3 * 1.386 + 4 = 8, 1.386 + 4 = 5.
    assert_eq!(
        scores(&decide_one(cluster(soft(json!({"maxSkew": 5})))), "PodTopologySpread"),
        [124, 124, 200]
    );
    // A node without the label is left out and gets 0.
    let mut objects = cluster(soft(json!({})));
    objects.insert(0, node("c1", json!({})));
    assert_eq!(scores(&decide_one(objects), "PodTopologySpread"), [50, 50, 200, 0]);
}

#[test]
fn defaults_apply_to_pods_that_something_selects() {
    let zone = |name: &str, zone: Option<&str>| match zone {
        Some(zone) => labelled(name, json!({"topology.kubernetes.io/zone": zone})),
        None => node(name, json!({})),
    };
    let service = |selector: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"}, "spec": {"selector": selector}});
    let cluster = |service: Option<Value>| {
        let mut objects = vec![zone("a1", Some("a")), zone("b1", Some("b")), zone("c1", None)];
        objects.extend(service);
        objects.extend([
            on("r1", "a1"),
            on("r2", "a1"),
            on("r3", "b1"),
            on("r4", "c1"),
            on("r5", "c1"),
            on("r6", "c1"),
        ]);
        objects.push(pod(
            "p",
            json!({"metadata": {"labels": {"app": "x"}}, "spec": {"topologySpreadConstraints": []}}),
        ));
        decide_one(objects)
    };
    assert!(scores(&cluster(None), "PodTopologySpread").is_empty());
    assert!(scores(&cluster(Some(service(json!({"app": "y"})))), "PodTopologySpread").is_empty());
    // Hosts: ln 5 with maxSkew 3, zones (the missing one is a domain too): ln 5 with maxSkew 5.
    // a1: 2 * 1.609 + 2 + 2 * 1.609 + 4 = 12.4; b1: 1.609 + 2 + 1.609 + 4 = 9.2; c1: 3 * 1.609 + 2 = 6.8.
    // Normalized over 12: 100 * (12 + 7 - s) / 12.
    assert_eq!(scores(&cluster(Some(service(json!({"app": "x"})))), "PodTopologySpread"), [116, 166, 200]);
}
