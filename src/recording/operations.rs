//! Operation lists: an open loop of verbs at fixed times on a cluster that is there at the start.

use super::input::{Input, Manifest, shown};
use super::settings;
use super::{Operation, Recording, What};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::scenario::tree::Value;
use std::collections::BTreeMap;

/// Verbs of operation lists.
const VERBS: &[&str] = &[
    "create",
    "apply",
    "scale",
    "delete",
    "deleteClaims",
    "deletePod",
    "silence",
    "unsilence",
    "cordon",
    "uncordon",
    "drain",
    "taint",
    "untaint",
];

/// Reads a recording with `cluster` and `operations`.
pub(super) fn read(input: &mut Input, tree: &Value, stem: &str) -> Option<Recording> {
    let name = tree.get("scenario").and_then(Value::as_text).unwrap_or(stem).to_owned();
    let settings = settings::read(input, tree);
    let start = start(input, tree);
    let list = input.list(tree, "operations", "the recording")?;
    let mut namespaces = Namespaces::default();
    let mut operations = Vec::new();
    for item in list {
        read_one(input, item, &mut namespaces, &mut operations);
    }
    operations.sort_by(|a: &Operation, b| a.at.total_cmp(&b.at));
    let last = operations.last().map_or(0.0, |o| o.at);
    let inner = tree.get("settings").filter(|s| s.get("durationSeconds").is_some());
    let holder = inner.or_else(|| tree.get("durationSeconds").map(|_| tree));
    let duration = match holder {
        Some(map) => input.seconds(map, "durationSeconds", "the recording")?,
        None => last + 60.0,
    };
    let described = tree.get("description").and_then(Value::as_text).unwrap_or_default().to_owned();
    Some(Recording { name, description: described, duration, start: start?, operations, settings })
}

/// The cluster as it is before the first operation.
fn start(input: &mut Input, tree: &Value) -> Option<Vec<Value>> {
    let Some(cluster) = tree.get("cluster") else {
        let message = "the recording has `operations` but no `cluster`";
        input.error(Diagnostic::error(Code::MissingKey, message).at(tree.span));
        return None;
    };
    let mut objects = Vec::new();
    for entry in cluster.as_map().unwrap_or_default() {
        let one = std::slice::from_ref(&entry.value);
        for object in entry.value.as_seq().unwrap_or(one) {
            if input.object(object).is_some() {
                objects.push(object.clone());
            }
        }
    }
    if objects.is_empty() && input.errors.is_empty() {
        input.wrong(cluster, "`cluster`", "an object with nodes, pvs and storageClass");
    }
    Some(objects)
}

/// In which namespace an object of this name was created.
#[derive(Default)]
struct Namespaces {
    by_object: BTreeMap<(String, String), String>,
    last: Option<String>,
}

impl Namespaces {
    fn created(&mut self, manifest: Manifest<'_>) {
        if let Some(namespace) = manifest.namespace {
            let key = (manifest.kind.to_owned(), manifest.name.to_owned());
            self.by_object.insert(key, namespace.to_owned());
            self.last = Some(namespace.to_owned());
        }
    }
    /// `namespace/name`; names that already have one keep it.
    fn full(&self, kind: &str, name: &str) -> String {
        if name.contains('/') {
            return name.to_owned();
        }
        let known = self.by_object.get(&(kind.to_owned(), name.to_owned())).or(self.last.as_ref());
        format!("{}/{name}", known.map_or("default", String::as_str))
    }
}

fn read_one(input: &mut Input, item: &Value, namespaces: &mut Namespaces, out: &mut Vec<Operation>) {
    let Some(at) = input.seconds(item, "t", "the operation") else { return };
    let Some(verb) = input.text(item, "verb", "the operation") else { return };
    let mut push = |what| out.push(Operation { at, what });
    if verb == "create" || verb == "apply" {
        let Some(object) = item.get("manifest") else {
            input.error(Diagnostic::error(Code::MissingKey, "the operation has no `manifest`").at(item.span));
            return;
        };
        if let Some(manifest) = input.object(object) {
            namespaces.created(manifest);
            push(What::Apply(Box::new(object.clone())));
        }
        return;
    }
    let Some(name) = input.text(item, "name", "the operation") else { return };
    let node = || name.to_owned();
    match verb {
        "scale" => {
            let Some(kind) = input.text(item, "kind", "the operation") else { return };
            let Some(replicas) = replicas(input, item) else { return };
            push(What::Scale { kind: kind.to_owned(), name: namespaces.full(kind, name), replicas });
        }
        "delete" => {
            let Some(kind) = input.text(item, "kind", "the operation") else { return };
            push(match kind {
                "Node" => What::NodeDelete(node()),
                "PersistentVolume" => What::DeletePv { name: node(), force: false },
                "PersistentVolumeClaim" => What::DeletePvc(namespaces.full(kind, name)),
                "Pod" => What::DeletePod { pod: namespaces.full(kind, name), force: false },
                _ => What::Delete { kind: kind.to_owned(), name: namespaces.full(kind, name) },
            });
        }
        "deletePod" => push(What::DeletePod { pod: namespaces.full("Pod", name), force: false }),
        "deleteClaims" => {
            let Some(claims) = input.list(item, "claims", "the operation") else { return };
            for claim in claims {
                match claim.as_text() {
                    Some(claim) => {
                        // Claims live in the namespace of the set that made them.
                        let set = namespaces.full("StatefulSet", name);
                        let namespace = set.split('/').next().unwrap_or("default");
                        push(What::DeletePvc(format!("{namespace}/{claim}")));
                    }
                    None => input.wrong(claim, "the claim", "its name"),
                }
            }
        }
        "silence" => push(What::NodeDown(node())),
        "unsilence" => push(What::NodeUp(node())),
        "cordon" => push(What::Cordon(node())),
        "uncordon" => push(What::Uncordon(node())),
        "drain" => push(What::Drain(node())),
        "taint" | "untaint" => {
            let Some(taint) = input.text(item, "taint", "the operation") else { return };
            push(What::Taint { node: node(), taint: taint.to_owned(), remove: verb == "untaint" });
        }
        _ => {
            let place = item.get("verb").map_or(item.span, |v| v.span);
            input.error(
                Diagnostic::error(Code::UnknownChoice, format!("unknown verb `{}`", shown(verb)))
                    .at(place)
                    .label(format!("expected one of {}", VERBS.join(", ")))
                    .maybe_help(did_you_mean(verb, VERBS.iter().copied())),
            );
        }
    }
}

fn replicas(input: &mut Input, item: &Value) -> Option<u64> {
    let value = item.get("replicas").unwrap_or(item);
    let number = value.as_text().and_then(|t| t.parse::<u64>().ok()).filter(|n| *n <= 1_000_000);
    if number.is_none() {
        input.wrong(value, "`replicas`", "a number from 0 to 1000000");
    }
    number
}
