//! Taints, cordons, node affinity, host ports, images.

use crate::scheduler::testing::*;
use serde_json::{Value, json};

/// The verdict on one node `n` made with `more`, for a pod with this spec.
fn verdict(more: Value, spec: Value) -> String {
    let expect = decide_one(vec![node("n", more), pod("p", json!({"spec": spec}))]);
    verdicts(&expect).remove("n").unwrap_or_else(|| expect.message.unwrap_or_default())
}

#[test]
fn taints_and_tolerations() {
    const NO: &str = "node(s) had untolerated taint(s)";
    let taint = |effect: &str| json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": effect}]}});
    for (effect, toleration, want) in [
        ("NoSchedule", json!([]), NO),
        ("NoExecute", json!([]), NO),
        ("PreferNoSchedule", json!([]), "ok"),
        (
            "NoSchedule",
            json!([{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}]),
            "ok",
        ),
        ("NoSchedule", json!([{"key": "k", "value": "v"}]), "ok"),
        ("NoSchedule", json!([{"key": "k", "value": "w"}]), NO),
        ("NoSchedule", json!([{"key": "k", "operator": "Exists"}]), "ok"),
        ("NoSchedule", json!([{"operator": "Exists"}]), "ok"),
        ("NoSchedule", json!([{"key": "k", "operator": "Exists", "effect": "NoExecute"}]), NO),
        ("NoExecute", json!([{"key": "k", "operator": "Exists", "tolerationSeconds": 1}]), "ok"),
    ] {
        assert_eq!(
            verdict(taint(effect), json!({"tolerations": toleration.clone()})),
            want,
            "{effect} {toleration}"
        );
    }
}

#[test]
fn cordoned_nodes() {
    const NO: &str = "node(s) were unschedulable";
    for (toleration, want) in [
        (json!([]), NO),
        (json!([{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]), "ok"),
        (
            json!([{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}]),
            "ok",
        ),
        (
            json!([{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoExecute"}]),
            NO,
        ),
        (json!([{"key": "node.kubernetes.io/unschedulable", "operator": "Equal", "value": "x"}]), NO),
    ] {
        let cordoned = json!({"spec": {"unschedulable": true}});
        assert_eq!(verdict(cordoned, json!({"tolerations": toleration.clone()})), want, "{toleration}");
    }
}

#[test]
fn soft_taints_cost_score_in_integers() {
    let soft = |name: &str, count: usize| {
        let taints: Vec<Value> =
            (0..count).map(|i| json!({"key": format!("k{i}"), "effect": "PreferNoSchedule"})).collect();
        node(name, json!({"spec": {"taints": taints}}))
    };
    let cluster = |tolerations: Value| {
        vec![
            soft("a", 0),
            soft("b", 1),
            soft("c", 2),
            soft("d", 3),
            pod("p", json!({"spec": {"tolerations": tolerations}})),
        ]
    };
    // 100 - 100 * n / 3, times the weight of 3.
    assert_eq!(scores(&decide_one(cluster(json!([]))), "TaintToleration"), [300, 201, 102, 0]);
    // A toleration with the effect NoSchedule does not tolerate a PreferNoSchedule taint.
    let hard = json!([{"key": "k0", "operator": "Exists", "effect": "NoSchedule"}]);
    assert_eq!(scores(&decide_one(cluster(hard)), "TaintToleration"), [300, 201, 102, 0]);
    let any = json!([{"key": "k0", "operator": "Exists"}]);
    assert_eq!(scores(&decide_one(cluster(any)), "TaintToleration"), [300, 300, 150, 0]);
}

#[test]
fn required_node_affinity() {
    const NO: &str = "node(s) didn't match Pod's node affinity/selector";
    const OUTSIDE: &str = "node(s) didn't satisfy plugin(s) [NodeAffinity]";
    let labels = json!({"metadata": {"labels": {"gen": "7", "empty": "", "wide": "9223372036854775808"}}});
    let expression = |key: &str, operator: &str, values: &[&str]| json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]);
    let field = |operator: &str, value: &str| json!({"matchFields": [{"key": "metadata.name", "operator": operator, "values": [value]}]});
    for (terms, want) in [
        (expression("gen", "In", &["6", "7"]), "ok"),
        (expression("gen", "NotIn", &["7"]), NO),
        (expression("none", "NotIn", &["7"]), "ok"),
        (expression("none", "DoesNotExist", &[]), "ok"),
        (expression("empty", "Exists", &[]), "ok"),
        (expression("empty", "In", &[""]), "ok"),
        (expression("none", "In", &[""]), NO),
        (expression("gen", "Gt", &["6"]), "ok"),
        (expression("gen", "Lt", &["007"]), NO),
        (expression("gen", "Gt", &["6.5"]), NO),
        (expression("wide", "Gt", &["1"]), NO),
        (expression("empty", "Lt", &["1"]), NO),
        (json!([{}]), NO),
        (json!([]), NO),
        (json!([{}, {"matchExpressions": [{"key": "gen", "operator": "Exists"}]}]), "ok"),
        (json!([field("In", "n")]), "ok"),
        (json!([field("NotIn", "n")]), NO),
        (json!([field("In", "other")]), OUTSIDE),
        (json!([field("In", "other"), {"matchExpressions": [{"key": "none", "operator": "Exists"}]}]), NO),
        (
            json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]},
                                   {"key": "metadata.name", "operator": "In", "values": ["m"]}]}]),
            "0/1 nodes are available: pod affinity terms conflict. not found",
        ),
    ] {
        let required =
            json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
        let spec = json!({"affinity": {"nodeAffinity": required}});
        assert_eq!(verdict(labels.clone(), spec), want, "{terms}");
    }
    assert_eq!(verdict(labels.clone(), json!({"nodeSelector": {"gen": "7", "empty": ""}})), "ok");
    assert_eq!(verdict(labels, json!({"nodeSelector": {"gen": "7", "none": ""}})), NO);
}

#[test]
fn preferred_node_affinity() {
    let preferred = |terms: Value| {
        let spec =
            json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}});
        let nodes = [("a", json!({"x": "1"})), ("b", json!({"y": "1"})), ("c", json!({"x": "1", "y": "1"}))];
        let mut objects: Vec<Value> =
            nodes.into_iter().map(|(name, labels)| labelled(name, labels)).collect();
        objects.push(pod("p", json!({"spec": spec})));
        decide_one(objects)
    };
    let term = |weight: i32, key: &str| json!({"weight": weight, "preference": {"matchExpressions": [{"key": key, "operator": "Exists"}]}});
    // Sums 2, 1, 3; scaled to 100 by the largest; weight 2.
    assert_eq!(scores(&preferred(json!([term(2, "x"), term(1, "y")])), "NodeAffinity"), [132, 66, 200]);
    // The same term twice adds up: 4, 1, 5.
    assert_eq!(
        scores(&preferred(json!([term(2, "x"), term(1, "y"), term(2, "x")])), "NodeAffinity"),
        [160, 40, 200]
    );
    // An empty preference is ignored, so nothing is preferred; the plugin has a column of zeros.
    assert_eq!(scores(&preferred(json!([{"weight": 5, "preference": {}}])), "NodeAffinity"), [0, 0, 0]);
    assert_eq!(
        scores(&preferred(json!([])), "NodeAffinity"),
        Vec::<i64>::new(),
        "without preferences it skips"
    );
    let bad = json!([{"weight": 5, "preference": {"matchExpressions": [{"key": "x", "operator": "Lt", "values": ["1e3"]}]}}]);
    let failed = preferred(bad.clone());
    assert_eq!(failed.result, "error");
    assert_eq!(
        failed.message.as_deref(),
        Some(
            "running PreScore plugin \"NodeAffinity\": [0].matchExpressions[0].values[0]: Invalid value: \"1e3\": for 'Gt', 'Lt' operators, the value must be an integer"
        )
    );
    // One feasible node is not scored, so nothing fails.
    let spec =
        json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": bad}}});
    assert_eq!(decide_one(vec![node("n", json!({})), pod("p", json!({"spec": spec}))]).result, "bound");
}

#[test]
fn host_ports() {
    let port = |port: Value| json!([{"name": "c", "image": "c", "ports": [port]}]);
    let tcp = |ip: &str| json!({"containerPort": 1, "hostPort": 80, "hostIP": ip, "protocol": "TCP"});
    let sidecar = |policy: Option<&str>| json!([{"name": "i", "image": "i", "restartPolicy": policy, "ports": [tcp("")]}]);
    for (have, want_ports, free) in [
        (json!({"containers": port(tcp(""))}), tcp("10.0.0.1"), false),
        (json!({"containers": port(tcp("127.0.0.1"))}), tcp("10.0.0.1"), true),
        (json!({"containers": port(tcp("::"))}), tcp("10.0.0.1"), true),
        (json!({"containers": port(tcp("::"))}), tcp("0.0.0.0"), false),
        (
            json!({"containers": port(json!({"containerPort": 1, "hostPort": 80, "protocol": "UDP"}))}),
            tcp(""),
            true,
        ),
        (json!({"containers": port(json!({"containerPort": 80, "protocol": "TCP"}))}), tcp(""), true),
        (json!({"initContainers": sidecar(Some("Always"))}), tcp(""), false),
        (json!({"initContainers": sidecar(None)}), tcp(""), true),
    ] {
        let expect = decide_one(vec![
            node("n", json!({})),
            running("r", "n", 0, json!({"spec": have.clone()})),
            pod("p", json!({"spec": {"containers": port(want_ports.clone())}})),
        ]);
        assert_eq!(expect.result == "bound", free, "{have} {want_ports}");
    }
}

#[test]
fn images_count_by_size_and_spread() {
    const MB: i64 = 1 << 20;
    let image = |names: Value, mb: i64| json!({"names": names, "sizeBytes": mb * MB});
    let images = |list: Value| json!({"status": {"images": list}});
    let cluster = |spec: Value| {
        vec![
            node("a", images(json!([image(json!(["x:latest", "x:1"]), 1000)]))),
            node("b", images(json!([image(json!(["x:1"]), 1000), image(json!(["y:1"]), 500)]))),
            node("c", json!({})),
            pod("p", json!({"spec": spec})),
        ]
    };
    let container = |image: &str| json!({"name": image.replace(':', "-"), "image": image});
    let of = |spec: Value| scores(&decide_one(cluster(spec)), "ImageLocality");
    // x:latest is on one of three nodes: 1000 MiB / 3 = 333, (333 - 23) of (1000 - 23).
    assert_eq!(of(json!({"containers": [container("x")]})), [31, 0, 0]);
    // x:1 is on two: 666 MiB.
    assert_eq!(of(json!({"containers": [container("x:1")]})), [65, 65, 0]);
    // Init containers count, and the threshold is per container: b has 666 + 166, (832 - 23) of (2000 - 23).
    let both = json!({"initContainers": [container("y:1")], "containers": [container("x:1")]});
    assert_eq!(of(both), [32, 40, 0]);
    // An image mounted as a volume counts, but is no container.
    let volume =
        json!({"containers": [container("y:1")], "volumes": [{"name": "v", "image": {"reference": "x:1"}}]});
    assert_eq!(of(volume), [65, 82, 0]);
}

#[test]
fn nodes_that_a_pod_is_pinned_away_from_are_counted() {
    let pinned = |node: &str, cpu: &str| {
        let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
        let required = json!({"nodeSelectorTerms": [{"matchFields": [field]}]});
        let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}});
        with(pod("p", json!({"spec": {"affinity": affinity}})), requests(json!({"cpu": cpu})))
    };
    let message = |objects: Vec<Value>| decide_one(objects).message.unwrap_or_default();
    let one = message(vec![node("a", json!({})), pinned("a", "9")]);
    assert!(one.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{one}");
    let three =
        message(vec![node("a", json!({})), node("b", json!({})), node("c", json!({})), pinned("a", "9")]);
    let want =
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].";
    assert!(three.starts_with(want), "{three}");
}
