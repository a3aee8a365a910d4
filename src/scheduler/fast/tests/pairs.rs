//! Every two of many constraints and terms together, on a small cluster that fills: by both engines.

use super::work::Bench;
use crate::scheduler::cycle::Outcome;
use crate::scheduler::testing::{node, pod, requests, running, with};
use serde_json::{Value, json};

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// What a pod asks of others: a field of its spec and an entry of the list there.
type Relation = (&'static str, Value);

fn spread(key: &str, when: &str, skew: u32, more: Value) -> Relation {
    let constraint = json!({"topologyKey": key, "whenUnsatisfiable": when, "maxSkew": skew,
        "labelSelector": {"matchLabels": {"app": "a"}}});
    ("spread", with(constraint, more))
}

fn term(key: &str, app: &str, more: Value) -> Value {
    with(json!({"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}), more)
}

fn preferred(weight: u32, term: Value) -> Value {
    json!({"weight": weight, "podAffinityTerm": term})
}

fn relations() -> Vec<Relation> {
    let (hard, soft) = ("DoNotSchedule", "ScheduleAnyway");
    let none = || json!({});
    vec![
        spread(HOST, hard, 1, none()),
        spread(HOST, soft, 1, none()),
        spread(ZONE, hard, 1, none()),
        spread(ZONE, hard, 2, none()),
        spread(ZONE, soft, 2, none()),
        spread("rack", hard, 1, none()),
        spread("rack", soft, 1, none()),
        spread(ZONE, hard, 1, json!({"minDomains": 3})),
        spread(ZONE, hard, 1, json!({"nodeTaintsPolicy": "Honor"})),
        spread(HOST, soft, 1, json!({"nodeAffinityPolicy": "Ignore"})),
        spread(
            HOST,
            hard,
            1,
            json!({"labelSelector": {"matchLabels": null, "matchExpressions":
            [{"key": "app", "operator": "In", "values": ["a", "b"]}]}}),
        ),
        spread(ZONE, hard, 1, json!({"labelSelector": {"matchLabels": {"app": "b"}}})),
        ("podAffinity required", term(ZONE, "a", none())),
        ("podAffinity required", term(HOST, "b", none())),
        ("podAffinity required", term("rack", "a", json!({"namespaceSelector": {}}))),
        ("podAffinity preferred", preferred(1, term(ZONE, "a", none()))),
        ("podAffinity preferred", preferred(100, term(HOST, "b", none()))),
        ("podAntiAffinity required", term(HOST, "a", none())),
        ("podAntiAffinity required", term(ZONE, "b", none())),
        ("podAntiAffinity required", term("rack", "a", json!({"namespaces": ["other"]}))),
        ("podAntiAffinity preferred", preferred(50, term(HOST, "a", none()))),
        ("podAntiAffinity preferred", preferred(7, term("rack", "b", none()))),
    ]
}

/// A pod of an app with these relations.
fn related(name: &str, app: &str, relations: &[&Relation]) -> Value {
    let mut spec = json!({});
    for (field, entry) in relations {
        let list = match field.split_once(' ') {
            None => &mut spec["topologySpreadConstraints"],
            Some((kind, rule)) => {
                &mut spec["affinity"][kind][format!("{rule}DuringSchedulingIgnoredDuringExecution")]
            }
        };
        match list {
            Value::Array(list) => list.push((*entry).clone()),
            other => *other = json!([entry]),
        }
    }
    let more = json!({"metadata": {"labels": {"app": app}}, "spec": spec});
    pod(name, with(requests(json!({"cpu": "1", "memory": "1Gi"})), more))
}

/// Six nodes of all sorts, and so many more in zones `x` and `y`.
fn nodes(more: usize) -> Vec<Value> {
    let place = |name: &str, zone: &str, rack: &str| {
        let mut labels = json!({HOST: name});
        for (key, value) in [(ZONE, zone), ("rack", rack)] {
            if !value.is_empty() {
                labels[key] = json!(value);
            }
        }
        node(name, json!({"metadata": {"labels": labels}, "status": {"allocatable": {"cpu": "3"}}}))
    };
    let app = |name: &str, node: &str, app: &str| {
        running(
            name,
            node,
            1,
            with(requests(json!({"cpu": "500m"})), json!({"metadata": {"labels": {"app": app}}})),
        )
    };
    let mut objects = vec![
        place("n0", "x", "r0"),
        place("n1", "x", "r1"),
        place("n2", "y", "r1"),
        place("n3", "y", ""),
        place("n4", "z", "r2"),
        place("n5", "", "r0"),
        app("ra", "n0", "a"),
        app("rb", "n2", "b"),
    ];
    objects.extend((0..more).map(|n| {
        let (zone, rack) = (["x", "y"][n % 2], ["r0", "r1", "r2"][n % 3]);
        place(&format!("m{n}"), zone, rack)
    }));
    objects
}

#[test]
fn every_two_relations_together() {
    let relations = relations();
    for (index, one) in relations.iter().enumerate() {
        for (place, other) in relations.iter().enumerate().skip(index) {
            // Two constraints on one key that do the same are not valid.
            let same = |r: &Relation| {
                (r.0 == "spread").then(|| (r.1["topologyKey"].clone(), r.1["whenUnsatisfiable"].clone()))
            };
            let both: &[&Relation] =
                if same(one).is_some() && same(one) == same(other) { &[one] } else { &[one, other] };
            // Hosts beyond some number are no parts of their own.
            let mut objects = nodes(if (index + place).is_multiple_of(4) { 40 } else { 0 });
            let pods = [
                related("p0", "a", &[one]),
                related("p1", "b", &[other]),
                related("p2", "a", both),
                related("p3", "b", &[]),
                related("p4", "a", both),
                related("p5", "b", both),
                related("p6", "a", &[one]),
            ];
            objects.extend(pods);
            let mut bench = Bench::new(&objects);
            for (step, name) in ["p0", "p1", "p2", "p3", "p4", "p5", "p6"].into_iter().enumerate() {
                let attempt = bench.attempt(name);
                if matches!(attempt.outcome, Outcome::Reserved(_)) {
                    bench.bind(&attempt);
                }
                // Who counts goes, or is going; a node becomes another zone's.
                match step {
                    2 => bench.cluster.remove_pod(bench.pod("ra")),
                    3 => bench.cluster.mark_pod_deleted(bench.pod("rb")),
                    4 => {
                        let (n3, n4) = (bench.node("n3"), bench.node("n4"));
                        let labels = bench.cluster.node(n4).labels;
                        bench.cluster.set_node_labels(n3, labels);
                    }
                    _ => {}
                }
            }
        }
    }
}
