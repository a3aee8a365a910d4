//! Small clusters for tests, written as Kubernetes objects, and what becomes of their pods.

use crate::conformance::case::{Case, Config, Expect, Step};
use crate::conformance::replay::{load_object, replay};
use crate::model::cluster::Cluster;
use crate::scheduler::cycle::Engine;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A node with 4 CPU, 8Gi and room for 10 pods, its hostname label, and whatever else is given.
pub fn node(name: &str, more: Value) -> Value {
    let mut node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}}
    });
    merge(&mut node, more);
    node
}

/// A node with labels.
pub fn labelled(name: &str, labels: Value) -> Value {
    node(name, json!({"metadata": {"labels": labels}}))
}

/// A pending pod with one container without requests, and whatever else is given (top level: metadata, spec, status).
pub fn pod(name: &str, more: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": format!("u-{name}")},
        "spec": {"containers": [{"name": "c", "image": "c"}]},
        "status": {}
    });
    merge(&mut pod, more);
    pod
}

/// A pod that runs on a node since `start` seconds.
pub fn running(name: &str, node: &str, start: u32, more: Value) -> Value {
    let mut pod = pod(
        name,
        json!({
            "spec": {"nodeName": node},
            "status": {"phase": "Running", "startTime": format!("2025-01-01T00:{:02}:{:02}Z", start / 60, start % 60)}
        }),
    );
    merge(&mut pod, more);
    pod
}

/// `spec` with requests for its one container.
pub fn requests(requests: Value) -> Value {
    json!({"spec": {"containers": [{"name": "c", "image": "c", "resources": {"requests": requests}}]}})
}

/// Lays `more` over `base`: mappings are merged, everything else is replaced.
pub fn merge(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more,
    }
}

/// Both together.
pub fn with(mut base: Value, more: Value) -> Value {
    merge(&mut base, more);
    base
}

/// A cluster of these objects.
pub fn cluster(objects: &[Value]) -> Cluster {
    let mut cluster = Cluster::default();
    for (index, object) in objects.iter().enumerate() {
        load_object(&mut cluster, object, index).unwrap_or_else(|error| panic!("{error}"));
    }
    cluster
}

/// What becomes of the pods (of namespace `default`), tried in this order in a cluster of these objects.
pub fn decide(objects: Vec<Value>, pods: &[&str]) -> Vec<Expect> {
    let step = |pod: &&str| Step { pod: format!("default/{pod}"), expect: Expect::default() };
    let case = Case {
        id: "test".into(),
        config: Config::default(),
        objects,
        immediate_bindings: Vec::new(),
        steps: pods.iter().map(step).collect(),
    };
    replay(&case, Engine::Plain).unwrap_or_else(|error| panic!("{error}")).steps
}

/// What becomes of one pod, called `p`.
pub fn decide_one(objects: Vec<Value>) -> Expect {
    decide(objects, &["p"]).remove(0)
}

/// Per node what the filters said: `ok`, or the reasons.
pub fn verdicts(expect: &Expect) -> BTreeMap<&str, String> {
    let mut all: BTreeMap<&str, String> =
        expect.feasible.iter().map(|node| (node.as_str(), "ok".to_owned())).collect();
    for group in &expect.rejected {
        all.extend(group.nodes.iter().map(|node| (node.as_str(), group.reasons.join(", "))));
    }
    all
}

/// A plugin's column of scores, by node.
pub fn column(expect: &Expect, plugin: &str) -> BTreeMap<String, i64> {
    let Some(scores) = &expect.scores else { return BTreeMap::new() };
    let Some(at) = scores.plugins.iter().position(|p| p == plugin) else { return BTreeMap::new() };
    scores.nodes.iter().map(|(node, row)| (node.clone(), row[at])).collect()
}

/// The same as a list in the order of the nodes' names.
pub fn scores(expect: &Expect, plugin: &str) -> Vec<i64> {
    column(expect, plugin).into_values().collect()
}
