//! The objects of a cluster as Kubernetes objects that `kubectl` accepts, so that a state can be tried on a real control plane.
//!
//! Nodes carry the annotation by which KWOK takes them for its own, and pods keep their `nodeName`, so that nothing is decided
//! again. What cannot be written by a client is left out and named: pods that are being deleted, uids, owners, and, unless they are
//! asked for, pods that have ended, which an API server would start anew. Without uids the control plane finds things by name, as it
//! does in a restored cluster: volumes by their `claimRef`, pods of sets and Jobs by adoption.

mod pod;
mod storage;
mod workload;
mod yaml;

use crate::model::cluster::Cluster;
use crate::model::ids::{LabelSetId, Uid};
use crate::model::labels::{
    LabelOperator, LabelSelector, LabelSet, NodeOperator, NodeRequirement, NodeSelector, NodeSelectorTerm,
};
use crate::model::names::{Name, Sym, sym};
use crate::model::node::Node;
use crate::model::resources::Resources;
use crate::model::spec::{PodSpec, Taint, TaintEffect};
use crate::model::volume_group::{GroupKind, VolumeGroup};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Node annotation by which KWOK manages a node.
pub const KWOK_NODE: &str = "kwok.x-k8s.io/node";
/// Node annotation that carries volume groups, which are no Kubernetes objects: read back by `run -f`.
pub const VOLUME_GROUPS: &str = "stowplan.io/volume-groups";

/// Label by which a Job knows its pods.
pub const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// Pod annotation with the time after which KWOK completes a pod, such as `600s`: how long a Job's pods run.
pub const RUN_TIME: &str = "pod-complete.stage.kwok.x-k8s.io/delay";

/// What was exported.
#[derive(Clone, Debug, Default)]
pub struct Exported {
    /// The objects in the order in which they have to be created.
    pub objects: Vec<Value>,
    /// What is not among them, or not as it was, by reason.
    pub notes: BTreeMap<&'static str, u64>,
}

impl Exported {
    /// All of it as YAML documents, the notes as comments at the top.
    pub fn yaml(&self, title: &str) -> String {
        let mut text = String::new();
        for line in title.lines() {
            text.push_str(&format!("# {line}\n"));
        }
        for (note, count) in &self.notes {
            text.push_str(&format!("# {count} {note}\n"));
        }
        for object in &self.objects {
            text.push_str("---\n");
            yaml::write(object, &mut text);
        }
        text
    }

    fn note(&mut self, what: &'static str) {
        *self.notes.entry(what).or_insert(0) += 1;
    }
}

/// All objects of a cluster; `ended`: also the pods that have ended.
pub fn objects(cluster: &Cluster, ended: bool) -> Exported {
    let mut out = Exported::default();
    let priorities = Priorities::of(cluster);
    namespaces(cluster, &mut out);
    out.objects.extend(priorities.classes());
    storage::classes(cluster, &mut out);
    storage::drivers(cluster, &mut out);
    for node in sorted(cluster, cluster.nodes().iter().filter(|(_, n)| n.exists).map(|(_, n)| n), |n| n.name)
    {
        out.objects.push(node_object(cluster, node));
    }
    storage::csi_nodes(cluster, &mut out);
    storage::capacities(cluster, &mut out);
    workload::services_and_budgets(cluster, &mut out);
    storage::volumes(cluster, &mut out);
    storage::claims(cluster, &mut out);
    workload::sets(cluster, &priorities, ended, &mut out);
    pod::pods(cluster, &priorities, ended, &mut out);
    out
}

fn sorted<'a, T: 'a>(
    cluster: &Cluster,
    rows: impl Iterator<Item = &'a T>,
    name: impl Fn(&T) -> Sym,
) -> Vec<&'a T> {
    let mut rows: Vec<&T> = rows.collect();
    rows.sort_by(|a, b| cluster.names.compare(name(a), name(b)));
    rows
}

fn shown(cluster: &Cluster, name: Name) -> String {
    cluster.names.show(name).to_string()
}

/// A mapping without what is null or empty.
fn object(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let kept = pairs.into_iter().filter(|(_, value)| !empty(value));
    Value::Object(kept.map(|(key, value)| (key.to_owned(), value)).collect())
}

fn labels(cluster: &Cluster, set: LabelSetId) -> Value {
    label_map(cluster, cluster.label_set(set))
}

fn label_map(cluster: &Cluster, set: &LabelSet) -> Value {
    let mut map = Map::new();
    for (key, value) in set.iter() {
        map.insert(cluster.names.text(key).to_owned(), cluster.names.text(value).into());
    }
    Value::Object(map)
}

fn texts(cluster: &Cluster, symbols: &[Sym]) -> Value {
    symbols.iter().map(|s| Value::from(cluster.names.text(*s))).collect()
}

/// A uid that no object has: what held a claim that is gone.
fn gone_uid(uid: Uid) -> String {
    format!("00000000-0000-4000-8000-{:012x}", uid.number() & 0xffff_ffff_ffff)
}

fn selector(cluster: &Cluster, selector: &LabelSelector) -> Value {
    let LabelSelector::Requirements(requirements) = selector else { return Value::Null };
    let mut equal = Map::new();
    let mut other = Vec::new();
    for r in requirements {
        let key = cluster.names.text(r.key);
        let operator = match r.operator {
            LabelOperator::In if r.values.len() == 1 && !equal.contains_key(key) => {
                equal.insert(key.to_owned(), cluster.names.text(r.values[0]).into());
                continue;
            }
            LabelOperator::In => "In",
            LabelOperator::NotIn => "NotIn",
            LabelOperator::Exists => "Exists",
            LabelOperator::DoesNotExist => "DoesNotExist",
        };
        other.push(object([
            ("key", key.into()),
            ("operator", operator.into()),
            ("values", texts(cluster, &r.values)),
        ]));
    }
    // An empty selector selects everything and must be written.
    let mut map = Map::new();
    if !equal.is_empty() {
        map.insert("matchLabels".to_owned(), Value::Object(equal));
    }
    if !other.is_empty() {
        map.insert("matchExpressions".to_owned(), Value::Array(other));
    }
    Value::Object(map)
}

fn node_selector(cluster: &Cluster, selector: &NodeSelector) -> Value {
    let terms: Vec<Value> = selector.terms.iter().map(|term| node_selector_term(cluster, term)).collect();
    json!({ "nodeSelectorTerms": terms })
}

fn node_selector_term(cluster: &Cluster, term: &NodeSelectorTerm) -> Value {
    let all = |list: &[NodeRequirement]| list.iter().map(|r| requirement(cluster, r)).collect();
    object([("matchExpressions", all(&term.expressions)), ("matchFields", all(&term.fields))])
}

fn requirement(cluster: &Cluster, r: &NodeRequirement) -> Value {
    let operator = match r.operator {
        NodeOperator::In => "In",
        NodeOperator::NotIn => "NotIn",
        NodeOperator::Exists => "Exists",
        NodeOperator::DoesNotExist => "DoesNotExist",
        NodeOperator::Gt => "Gt",
        NodeOperator::Lt => "Lt",
    };
    let key = cluster.names.text(r.key);
    object([("key", key.into()), ("operator", operator.into()), ("values", texts(cluster, &r.values))])
}

fn effect(effect: TaintEffect) -> &'static str {
    match effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    }
}

fn milli(amount: i64) -> String {
    if amount % 1000 == 0 { (amount / 1000).to_string() } else { format!("{amount}m") }
}

fn resource_list(cluster: &Cluster, amounts: &Resources) -> Map<String, Value> {
    let mut list = Map::new();
    list.insert("cpu".to_owned(), milli(amounts.cpu_milli).into());
    list.insert("memory".to_owned(), amounts.memory_bytes.to_string().into());
    if amounts.ephemeral_bytes != 0 {
        list.insert("ephemeral-storage".to_owned(), amounts.ephemeral_bytes.to_string().into());
    }
    for &(name, amount) in &amounts.scalars {
        list.insert(cluster.names.text(name).to_owned(), amount.to_string().into());
    }
    list
}

fn namespaces(cluster: &Cluster, out: &mut Exported) {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    names.extend(cluster.pods().iter().map(|(_, p)| cluster.names.text(cluster.spec(p.spec).namespace)));
    names.extend(cluster.claims().iter().map(|(_, c)| cluster.names.text(c.namespace)));
    names.extend(cluster.stateful_sets().iter().map(|(_, s)| cluster.names.text(s.namespace)));
    names.extend(cluster.replica_sets().iter().map(|(_, s)| cluster.names.text(s.namespace)));
    for name in names.into_iter().filter(|name| !matches!(*name, "default" | "" | "kube-system")) {
        let known = cluster.names.get(name).and_then(|name| cluster.namespace_labels(name));
        let mut labels = known.map_or(Value::Null, |set| label_map(cluster, set));
        if let Value::Object(map) = &mut labels {
            // Every namespace gets it from the API server.
            map.remove("kubernetes.io/metadata.name");
        }
        let metadata = object([("labels", labels), ("name", name.into())]);
        out.objects.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }));
    }
}

fn node_object(cluster: &Cluster, node: &Node) -> Value {
    let mut amounts = resource_list(cluster, &node.allocatable);
    if !node.allocatable_has_cpu {
        amounts.remove("cpu");
    }
    if !node.allocatable_has_memory {
        amounts.remove("memory");
    }
    amounts.insert("pods".to_owned(), node.allocatable_pods.to_string().into());
    let mut annotations = Map::new();
    annotations.insert(KWOK_NODE.to_owned(), "fake".into());
    annotations.insert("node.alpha.kubernetes.io/ttl".to_owned(), "0".into());
    if let Some(groups) = volume_groups(cluster, node.name) {
        annotations.insert(VOLUME_GROUPS.to_owned(), groups.into());
    }
    let taint = |t: &Taint| {
        object([
            ("effect", effect(t.effect).into()),
            ("key", cluster.names.text(t.key).into()),
            ("value", if t.value == sym::EMPTY { Value::Null } else { cluster.names.text(t.value).into() }),
        ])
    };
    let images = node
        .images
        .iter()
        .map(|(name, bytes)| json!({ "names": [cluster.names.text(*name)], "sizeBytes": bytes }));
    let ready = if node.ready { "True" } else { "Unknown" };
    let spec = object([
        ("taints", node.taints.iter().map(taint).collect()),
        ("unschedulable", if node.unschedulable { true.into() } else { Value::Null }),
    ]);
    let status = object([
        ("allocatable", Value::Object(amounts.clone())),
        ("capacity", Value::Object(amounts)),
        ("conditions", json!([{ "type": "Ready", "status": ready, "reason": "Exported" }])),
        ("images", images.collect()),
    ]);
    let metadata = object([
        ("annotations", Value::Object(annotations)),
        ("labels", labels(cluster, node.labels)),
        ("name", cluster.names.text(node.name).into()),
    ]);
    object([
        ("apiVersion", "v1".into()),
        ("kind", "Node".into()),
        ("metadata", metadata),
        ("spec", spec),
        ("status", status),
    ])
}

/// The volume groups of a node as the text of an annotation.
fn volume_groups(cluster: &Cluster, node: Sym) -> Option<String> {
    let groups = cluster.volume_groups_on(node);
    if groups.is_empty() {
        return None;
    }
    let one = |group: &VolumeGroup| {
        let kind = match group.kind {
            GroupKind::Lvm { extent_bytes, overcommit_permille } => {
                json!({ "extentBytes": extent_bytes, "overcommitPermille": overcommit_permille })
            }
            GroupKind::Device => Value::Null,
        };
        let taken: Map<String, Value> = group
            .allocations()
            .map(|(volume, bytes)| (cluster.names.text(volume).to_owned(), bytes.into()))
            .collect();
        object([
            ("allocations", Value::Object(taken)),
            ("classes", texts(cluster, &group.classes)),
            ("foreignBytes", group.foreign_bytes.into()),
            ("lvm", kind),
            ("name", cluster.names.text(group.name).into()),
            ("sizeBytes", group.size_bytes.into()),
        ])
    };
    let groups: Vec<Value> = groups.iter().map(|id| one(&cluster.volume_groups()[*id])).collect();
    Some(Value::Array(groups).to_string())
}

/// PriorityClasses: those of the cluster, and one for each priority that none of them has, since a client may not set a pod's
/// number.
struct Priorities {
    known: BTreeMap<(i32, bool), String>,
    made: BTreeSet<(i32, bool)>,
    own: Vec<(String, i32, bool, bool)>,
}

impl Priorities {
    const SYSTEM: [(i32, &'static str); 2] =
        [(2_000_000_000, "system-cluster-critical"), (2_000_001_000, "system-node-critical")];

    fn of(cluster: &Cluster) -> Priorities {
        let mut all = Priorities { known: BTreeMap::new(), made: BTreeSet::new(), own: Vec::new() };
        for (value, name) in Priorities::SYSTEM {
            all.known.insert((value, false), name.to_owned());
        }
        for class in cluster.priority_classes() {
            let name = cluster.names.text(class.name).to_owned();
            if !name.starts_with("system-") {
                all.own.push((name.clone(), class.value, class.never_preempts, class.global_default));
                all.known.entry((class.value, class.never_preempts)).or_insert(name);
            }
        }
        for (_, spec) in cluster.specs().iter() {
            let key = (spec.priority, spec.never_preempts);
            if key != (0, false) && !all.known.contains_key(&key) && spec.priority <= 1_000_000_000 {
                let sign = if spec.priority < 0 { "minus-" } else { "" };
                let never = if spec.never_preempts { "-never" } else { "" };
                let name = format!("stowplan-{sign}{}{never}", spec.priority.unsigned_abs());
                all.known.insert(key, name);
                all.made.insert(key);
            }
        }
        all
    }
    fn name(&self, spec: &PodSpec) -> Value {
        let key = (spec.priority, spec.never_preempts);
        if key == (0, false) {
            Value::Null
        } else {
            self.known.get(&key).map_or(Value::Null, |n| n.as_str().into())
        }
    }
    fn classes(&self) -> Vec<Value> {
        let made =
            self.made.iter().filter_map(|key| Some((self.known.get(key)?.clone(), key.0, key.1, false)));
        let one = |(name, value, never, default): (String, i32, bool, bool)| {
            object([
                ("apiVersion", "scheduling.k8s.io/v1".into()),
                ("globalDefault", if default { true.into() } else { Value::Null }),
                ("kind", "PriorityClass".into()),
                ("metadata", json!({ "name": name })),
                ("preemptionPolicy", if never { "Never".into() } else { Value::Null }),
                ("value", value.into()),
            ])
        };
        self.own.iter().cloned().chain(made).map(one).collect()
    }
}

#[cfg(test)]
mod tests;
