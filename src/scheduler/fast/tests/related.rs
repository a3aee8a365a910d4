//! What relates the pods of random cases to each other.

use super::{Draw, object};
use crate::manifest::lower;
use crate::model::cluster::Cluster;
use crate::model::ids::NodeId;
use crate::model::labels::LabelSet;
use serde_json::{Value, json};

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
const KEYS: &[&str] = &[HOST, HOST, ZONE, ZONE, "rack", "disk"];
const APPS: &[&str] = &["a", "b", "c"];

/// Labels of a node: some lack the zone or the rack.
pub fn labels(draw: &mut Draw, name: &str) -> Value {
    let mut labels = json!({HOST: name, "disk": draw.pick(&["ssd", "hdd"])});
    if draw.below(8) > 0 {
        labels[ZONE] = json!(draw.pick(&["x", "y", "z"]));
    }
    if draw.below(4) > 0 {
        labels["rack"] = json!(format!("r{}", draw.below(50)));
    }
    labels
}

/// A StatefulSet and a Deployment that own pods of app `a` and `b`.
pub fn owners(cluster: &mut Cluster) {
    let spec = |app: &str| {
        json!({"replicas": 0, "serviceName": "s", "selector": {"matchLabels": {"app": app}}, "template": {
            "metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c"}]}}})
    };
    let metadata = |name: &str| json!({"name": name, "namespace": "default"});
    let set = json!({"metadata": metadata("set"), "spec": spec("a")});
    lower::add_stateful_set(cluster, &object(set)).expect("set");
    let deployment = json!({"metadata": metadata("rs"), "spec": spec("b")});
    lower::add_replica_set(cluster, &object(deployment)).expect("set");
}

/// Name, labels and owner of a pod.
pub fn metadata(draw: &mut Draw, name: &str) -> Value {
    let mut metadata = json!({"name": name, "namespace": "default",
        "labels": {"app": draw.pick(APPS), "tier": draw.pick(&["t1", "t2"])}});
    let (kind, owner, app) =
        [("StatefulSet", "set", "a"), ("ReplicaSet", "rs", "b"), ("Job", "none", "c")][draw.below(3)];
    if draw.below(3) > 0 {
        let reference =
            json!({"apiVersion": "v1", "kind": kind, "name": owner, "uid": "u", "controller": true});
        metadata["ownerReferences"] = json!([reference]);
        metadata["labels"]["app"] = json!(app);
    }
    metadata
}

fn selector(draw: &mut Draw) -> Value {
    let app = draw.pick(APPS);
    match draw.below(7) {
        0 => json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [app]}]}),
        1 => json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", app]}]}),
        2 => json!({"matchLabels": {"app": app, "tier": draw.pick(&["t1", "t2"])}}),
        3 if draw.below(4) == 0 => json!({}),
        _ => json!({"matchLabels": {"app": app}}),
    }
}

fn term(draw: &mut Draw) -> Value {
    let mut term = json!({"topologyKey": draw.pick(KEYS), "labelSelector": selector(draw)});
    match draw.below(8) {
        0 => term["namespaces"] = json!(["default", "other"]),
        1 => term["namespaceSelector"] = json!({}),
        2 => term["namespaces"] = json!(["other"]),
        _ => {}
    }
    term
}

/// Constraints and terms of a pod, if any: half of the pods have none.
pub fn relate(draw: &mut Draw, spec: &mut Value) {
    let mut affinity = json!({});
    for kind in ["podAffinity", "podAntiAffinity"] {
        let mut rules = json!({});
        if draw.below(8) == 0 {
            let terms: Vec<Value> = (0..1 + draw.below(2)).map(|_| term(draw)).collect();
            rules["requiredDuringSchedulingIgnoredDuringExecution"] = json!(terms);
        }
        if draw.below(6) == 0 {
            let mut weighted = || json!({"weight": 1 + draw.below(100), "podAffinityTerm": term(draw)});
            let terms: Vec<Value> = (0..2).map(|_| weighted()).collect();
            rules["preferredDuringSchedulingIgnoredDuringExecution"] = json!(terms);
        }
        affinity[kind] = rules;
    }
    spec["affinity"] = affinity;
    if draw.below(3) == 0 {
        let mut constraint = || {
            json!({"maxSkew": 1 + draw.below(3), "topologyKey": draw.pick(KEYS), "labelSelector": selector(draw),
                "whenUnsatisfiable": draw.pick(&["DoNotSchedule", "ScheduleAnyway", "ScheduleAnyway"]),
                "nodeAffinityPolicy": draw.pick(&["Honor", "Honor", "Ignore"]),
                "nodeTaintsPolicy": draw.pick(&["Ignore", "Honor"])})
        };
        let mut all: Vec<Value> = (0..2).map(|_| constraint()).collect();
        if all[0]["whenUnsatisfiable"] == "DoNotSchedule" && draw.below(3) == 0 {
            all[0]["minDomains"] = json!(3);
        }
        all.truncate(1 + draw.below(2));
        spec["topologySpreadConstraints"] = json!(all);
        // Which nodes count for them may depend on where the pod may go.
        if draw.below(2) == 0 {
            let zones = json!({"key": ZONE, "operator": draw.pick(&["In", "In", "NotIn"]), "values": ["x", draw.pick(&["y", "z"])]});
            let terms = json!({"nodeSelectorTerms": [{"matchExpressions": [zones]}]});
            spec["affinity"]["nodeAffinity"] =
                json!({"requiredDuringSchedulingIgnoredDuringExecution": terms});
        }
        if draw.below(4) == 0 {
            spec["nodeSelector"] = json!({"disk": draw.pick(&["ssd", "hdd"])});
        }
    }
    if draw.below(4) == 0 {
        spec["priority"] = json!(draw.below(3));
    }
}

/// Something that changes what selectors or domains mean.
pub fn disturb(cluster: &mut Cluster, draw: &mut Draw, node: NodeId, step: usize) {
    match draw.below(4) {
        0 if cluster.node(node).exists => {
            let zone = cluster.names.intern(draw.pick(&["x", "y", "z", "w"]));
            let key = cluster.names.intern(ZONE);
            let labels: LabelSet = cluster.node_labels(node).with(key, zone);
            let labels = cluster.intern_labels(labels);
            cluster.set_node_labels(node, labels);
        }
        1 if step > 30 => {
            let service = json!({"metadata": {"name": format!("s{step}"), "namespace": "default"}, "spec": {"selector": {"app": draw.pick(APPS)}}});
            lower::add_service(cluster, &object(service)).expect("service");
        }
        _ => {}
    }
}
