//! Watches: what was done to the cluster, told from what a client saw of its objects.
//!
//! Controllers leave traces: a StatefulSet says `SuccessfulDelete`, taint eviction and preemption set `DisruptionTarget`, pod GC
//! sets the phase Failed, the binder sets claimRef and annotations together. What has no such trace was done by somebody.

use super::input::{Input, Manifest, list, map, number, set, shown};
use super::settings;
use super::{Operation, Recording, What};
use crate::diagnostic::Span;
use crate::scenario::tree::Value;
use clues::Clues;
use std::collections::{BTreeMap, BTreeSet};

mod clues;
mod nodes;
mod pods;

/// Kinds whose objects the recorder did not watch: they are created when the one before them in the list is.
const NEVER_WATCHED_FIRST: &[&str] = &["StorageClass", "PriorityClass", "Namespace", "CSIDriver", "CSINode"];
/// Kinds that make up a cluster before anything wants to run on it.
const CLUSTER_KINDS: &[&str] = &["Node", "PersistentVolume"];

/// Reads a recording with `manifests` and `timeline`.
pub(super) fn read(input: &mut Input, tree: &Value, stem: &str) -> Option<Recording> {
    let name = tree.get("scenario").and_then(Value::as_text).unwrap_or(stem).to_owned();
    let description = tree.get("description").and_then(Value::as_text).unwrap_or_default().to_owned();
    let mut settings = settings::read(input, tree);
    let manifests = manifests(input, tree)?;
    let entries = entries(input, tree)?;
    let last = entries.last().map_or(0.0, |e| e.at);
    let duration = match tree.get("durationSeconds") {
        Some(_) => input.seconds(tree, "durationSeconds", "the recording")?,
        None => last,
    };
    let clues = Clues::gather(tree, &entries, &manifests);
    settings.kcm_up_for = settings.kcm_up_for.or(clues.kcm_up_for);
    settings.scheduler_up_for = settings.scheduler_up_for.or(clues.scheduler_up_for);
    let mut watch = Watch::new(input, &manifests, &clues);
    for entry in &entries {
        watch.see(entry);
    }
    watch.add_unwatched();
    let mut operations = watch.operations;
    operations.extend(clues.outside(duration));
    // Stable: what happened at the same time keeps its order.
    operations.sort_by(|a, b| a.at.total_cmp(&b.at));
    let (start, operations) = split(operations);
    Some(Recording { name, description, duration: duration.max(last), start, operations, settings })
}

/// The nodes and volumes that were there before the first claim, pod or workload are the cluster at the start.
fn split(operations: Vec<Operation>) -> (Vec<Value>, Vec<Operation>) {
    let kind = |what: &What| match what {
        What::Apply(object) => object.get("kind").and_then(Value::as_text).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let of_cluster = |o: &Operation| {
        let kind = kind(&o.what);
        CLUSTER_KINDS.contains(&kind.as_str()) || NEVER_WATCHED_FIRST.contains(&kind.as_str())
    };
    let end = operations.iter().position(|o| !of_cluster(o)).unwrap_or(operations.len());
    let mut rest = operations;
    let later = rest.split_off(end);
    let start = rest.into_iter().filter_map(|o| match o.what {
        What::Apply(object) => Some(*object),
        _ => None,
    });
    (start.collect(), later)
}

/// The objects that were created, in order.
fn manifests<'v>(input: &mut Input, tree: &'v Value) -> Option<Vec<Manifest<'v>>> {
    let list = input.list(tree, "manifests", "the recording")?;
    Some(list.iter().filter_map(|value| input.object(value)).collect())
}

/// An entry of the timeline.
#[derive(Clone, Copy, Debug)]
struct Entry<'v> {
    at: f64,
    kind: &'v str,
    value: &'v Value,
}

impl<'v> Entry<'v> {
    fn text(&self, key: &str) -> Option<&'v str> {
        self.value.get(key).and_then(Value::as_text)
    }
    fn name(&self) -> &'v str {
        self.text("name").unwrap_or_default()
    }
    /// A field of an object that was added, or that changed.
    fn field(&self, key: &str) -> Option<&'v Value> {
        let holder = self.value.get("changed").unwrap_or(self.value);
        holder.get(key)
    }
}

fn entries<'v>(input: &mut Input, tree: &'v Value) -> Option<Vec<Entry<'v>>> {
    let list = input.list(tree, "timeline", "the recording")?;
    let mut entries = Vec::with_capacity(list.len());
    for value in list {
        let Some(at) = input.seconds(value, "t", "the entry") else { continue };
        let Some(kind) = input.text(value, "kind", "the entry") else { continue };
        entries.push(Entry { at, kind, value });
    }
    entries.sort_by(|a, b| a.at.total_cmp(&b.at));
    Some(entries)
}

/// What is known of an object while the timeline is read.
#[derive(Clone, Debug, Default)]
struct Seen {
    phase: String,
    node: Option<String>,
    deleting: bool,
    /// The kubelet or somebody finishes the deletion: seen already.
    finishing: bool,
    /// `status.conditions[DisruptionTarget].reason`.
    disruption: String,
    /// PersistentVolume: `namespace/name` of its claimRef.
    claim: Option<String>,
    /// Claim: owners, such as `StatefulSet/web`.
    owners: Vec<String>,
    taints: BTreeSet<String>,
    cordoned: bool,
    cpu: String,
    /// Where its deletion stands among the operations.
    deletion: Option<usize>,
}

struct Watch<'a, 'v> {
    input: &'a mut Input,
    manifests: &'a [Manifest<'v>],
    by_name: BTreeMap<(&'v str, &'v str), Vec<&'a Manifest<'v>>>,
    clues: &'a Clues<'v>,
    seen: BTreeMap<(&'v str, &'v str), Seen>,
    added: BTreeMap<(&'v str, &'v str), usize>,
    operations: Vec<Operation>,
    /// When each manifest was created, by its place.
    created: Vec<Option<f64>>,
    /// Claims as they were last applied.
    claims: BTreeMap<&'v str, Value>,
}

impl<'a, 'v> Watch<'a, 'v> {
    fn new(input: &'a mut Input, manifests: &'a [Manifest<'v>], clues: &'a Clues<'v>) -> Watch<'a, 'v> {
        let mut by_name: BTreeMap<_, Vec<&Manifest<'_>>> = BTreeMap::new();
        for manifest in manifests {
            by_name.entry((manifest.kind, manifest.name)).or_default().push(manifest);
        }
        Watch {
            input,
            manifests,
            by_name,
            clues,
            seen: BTreeMap::new(),
            added: BTreeMap::new(),
            operations: Vec::new(),
            created: vec![None; manifests.len()],
            claims: BTreeMap::new(),
        }
    }

    fn push(&mut self, at: f64, what: What) -> usize {
        self.operations.push(Operation { at, what });
        self.operations.len() - 1
    }
    fn warn(&mut self, span: Span, message: String) {
        self.input.warn(span, format!("left out: {message}"));
    }
    /// `namespace/name` of an object: entries name objects without their namespace.
    fn full_name(&self, kind: &str, name: &str) -> String {
        let own = self.by_name.get(&(kind, name)).and_then(|all| all.first()).and_then(|m| m.namespace);
        let any = || self.manifests.iter().find_map(|m| m.namespace);
        format!("{}/{name}", own.or_else(any).unwrap_or("default"))
    }

    fn see(&mut self, entry: &Entry<'v>) {
        match (entry.kind, entry.text("ev")) {
            ("ACTION" | "Event", _) => {}
            (_, Some("ADDED")) => self.added(entry),
            (_, Some("MODIFIED")) => self.modified(entry),
            (_, Some("DELETED")) => self.deleted(entry),
            (_, Some(other)) => {
                let span = entry.value.get("ev").map_or(entry.value.span, |v| v.span);
                self.warn(span, format!("an entry with ev `{}`", shown(other)));
            }
            (_, None) => {}
        }
    }

    fn added(&mut self, entry: &Entry<'v>) {
        let key = (entry.kind, entry.name());
        let count = self.added.entry(key).or_insert(0);
        let nth = *count;
        *count += 1;
        self.seen.insert(key, Seen::default());
        self.note(entry);
        let found = self.by_name.get(&key).map(|all| all[nth.min(all.len() - 1)]);
        let object = match found {
            Some(manifest) => {
                let place = self.manifests.iter().position(|m| std::ptr::eq(m.value, manifest.value));
                if let Some(slot) = place.and_then(|p| self.created.get_mut(p)) {
                    *slot = Some(entry.at);
                }
                manifest.value.clone()
            }
            None if entry.kind == "PersistentVolume" => self.volume_of(entry),
            // Pods, claims and ReplicaSets of controllers.
            None if matches!(entry.kind, "Pod" | "PersistentVolumeClaim" | "ReplicaSet") => return,
            None => {
                let what =
                    format!("{} `{}` was created, but has no manifest", entry.kind, shown(entry.name()));
                return self.warn(entry.value.span, what);
            }
        };
        if entry.kind == "PersistentVolumeClaim" {
            self.claims.insert(entry.name(), object.clone());
        }
        self.push(entry.at, What::Apply(Box::new(object)));
    }

    /// A volume that a loop of the test made: everything that matters of it is in the entry, its class is that of the others.
    fn volume_of(&mut self, entry: &Entry<'v>) -> Value {
        let span = entry.value.span;
        let text = |t: &str| Value::string(span, t);
        let class = self.manifests.iter().rev().filter(|m| m.kind == "PersistentVolume");
        let class = class.filter_map(|m| m.value.get("spec")?.get("storageClassName")?.as_text()).next();
        let any = self.manifests.iter().find(|m| m.kind == "StorageClass").map(|m| m.name);
        let node = entry.text("node").unwrap_or_default();
        let values = list(span, vec![text(node)]);
        let expression = map(
            span,
            vec![("key", text("kubernetes.io/hostname")), ("operator", text("In")), ("values", values)],
        );
        let term = map(span, vec![("matchExpressions", list(span, vec![expression]))]);
        let affinity = map(span, vec![("nodeSelectorTerms", list(span, vec![term]))]);
        let spec = map(
            span,
            vec![
                ("capacity", map(span, vec![("storage", text(entry.text("capacity").unwrap_or("1Gi")))])),
                ("accessModes", list(span, vec![text("ReadWriteOnce")])),
                ("persistentVolumeReclaimPolicy", text(entry.text("policy").unwrap_or("Retain"))),
                ("storageClassName", text(class.or(any).unwrap_or_default())),
                ("local", map(span, vec![("path", text("/mnt/disk"))])),
                ("nodeAffinity", map(span, vec![("required", affinity)])),
            ],
        );
        map(
            span,
            vec![
                ("apiVersion", text("v1")),
                ("kind", text("PersistentVolume")),
                ("metadata", map(span, vec![("name", text(entry.name()))])),
                ("spec", spec),
            ],
        )
    }

    /// Takes over what the entry says of the object's state.
    fn note(&mut self, entry: &Entry<'v>) {
        let Some(seen) = self.seen.get_mut(&(entry.kind, entry.name())) else { return };
        if let Some(phase) = entry.field("phase").and_then(Value::as_text) {
            phase.clone_into(&mut seen.phase);
        }
        if let Some(node) = entry.field("node").filter(|_| entry.kind == "Pod") {
            seen.node = node.as_text().map(str::to_owned);
        }
        if let Some(target) = entry.field("DisruptionTarget") {
            let reason = target.get("reason").and_then(Value::as_text).unwrap_or_default();
            reason.clone_into(&mut seen.disruption);
        }
        if let Some(owners) = entry.field("owners") {
            let owners = owners.as_seq().unwrap_or_default().iter();
            seen.owners = owners.filter_map(Value::as_text).map(str::to_owned).collect();
        }
        if let Some(claim) = entry.field("claim") {
            seen.claim = claim.as_text().and_then(|c| c.split(' ').next()).map(str::to_owned);
        }
        if let Some(cpu) = entry.field("cpu").and_then(Value::as_text) {
            cpu.clone_into(&mut seen.cpu);
        }
    }

    fn modified(&mut self, entry: &Entry<'v>) {
        let key = (entry.kind, entry.name());
        self.seen.entry(key).or_default();
        match entry.kind {
            "Node" => self.node_modified(entry),
            "Pod" => self.pod_modified(entry),
            "PersistentVolume" => self.volume_modified(entry),
            "PersistentVolumeClaim" => self.claim_modified(entry),
            _ => {}
        }
        let replicas = entry.field("spec.replicas").and_then(number);
        if let Some(replicas) = replicas.filter(|_| entry.kind != "ReplicaSet") {
            let name = self.full_name(entry.kind, entry.name());
            let replicas = replicas.max(0.0) as u64;
            self.push(entry.at, What::Scale { kind: entry.kind.to_owned(), name, replicas });
        }
        self.note(entry);
    }

    fn deleted(&mut self, entry: &Entry<'v>) {
        let name = entry.name().to_owned();
        match entry.kind {
            "Pod" => self.pod_deleted(entry),
            "Node" => {
                self.push(entry.at, What::NodeDelete(name));
            }
            "PersistentVolume" => self.volume_deleted(entry),
            "PersistentVolumeClaim" => self.claim_deletion(entry),
            "ReplicaSet" => {}
            kind => {
                let name = self.full_name(kind, &name);
                self.push(entry.at, What::Delete { kind: kind.to_owned(), name });
            }
        }
        self.seen.remove(&(entry.kind, entry.name()));
    }

    fn volume_modified(&mut self, entry: &Entry<'v>) {
        let name = entry.name().to_owned();
        let seen = self.seen.get(&(entry.kind, entry.name())).cloned().unwrap_or_default();
        if entry.field("deletionTimestamp").is_some_and(|v| !v.is_null()) && !seen.deleting {
            let index = self.push(entry.at, What::DeletePv { name: name.clone(), force: false });
            if let Some(seen) = self.seen.get_mut(&(entry.kind, entry.name())) {
                (seen.deleting, seen.deletion) = (true, Some(index));
            }
        }
        // The binder takes its annotation off with its claimRef; people only clear the claimRef.
        let cleared = entry.field("claim").is_some_and(Value::is_null) && seen.claim.is_some();
        if cleared && entry.field("annotations").is_none() {
            self.push(entry.at, What::ClearClaimRef(name));
        }
        for key in ["capacity", "policy"] {
            if let Some(value) = entry.field(key) {
                self.warn(
                    value.span,
                    format!("PersistentVolume `{}` changed its {key}", shown(entry.name())),
                );
            }
        }
    }
    fn volume_deleted(&mut self, entry: &Entry<'v>) {
        let seen = self.seen.get(&(entry.kind, entry.name())).cloned().unwrap_or_default();
        // Protection would have kept a Bound volume: its finalizers were taken off.
        let force = seen.phase == "Bound";
        match seen.deletion {
            Some(index) => {
                if let What::DeletePv { force: forced, .. } = &mut self.operations[index].what {
                    *forced |= force;
                }
            }
            None => {
                self.push(entry.at, What::DeletePv { name: entry.name().to_owned(), force });
            }
        }
    }

    fn claim_modified(&mut self, entry: &Entry<'v>) {
        if entry.field("deletionTimestamp").is_some_and(|v| !v.is_null()) {
            self.claim_deletion(entry);
        }
        let annotations = entry.field("annotations");
        let full = self.full_name(entry.kind, entry.name());
        if let Some(volume) = entry.field("volume").and_then(Value::as_text) {
            let completed = annotations.is_some_and(|a| a.get("pv.kubernetes.io/bind-completed").is_some());
            let bound = self.seen.get(&("PersistentVolume", volume)).and_then(|v| v.claim.as_ref());
            if !completed && bound != Some(&full) {
                self.edit_claim(entry, &["spec", "volumeName"], volume);
            }
        }
        let selected = annotations.and_then(|a| a.get(SELECTED_NODE)).and_then(Value::as_text);
        if let Some(node) = selected.filter(|_| !self.is_provisioned(entry.name())) {
            self.edit_claim(entry, &["metadata", "annotations", SELECTED_NODE], node);
        }
        if let Some(request) = entry.field("request").and_then(Value::as_text) {
            self.edit_claim(entry, &["spec", "resources", "requests", "storage"], request);
        }
    }
    /// Somebody changed a claim by hand: it is applied again as it is then.
    fn edit_claim(&mut self, entry: &Entry<'v>, path: &[&str], text: &str) {
        let Some(claim) = self.claims.get_mut(entry.name()) else {
            let what = format!("claim `{}` was changed by hand, but has no manifest", shown(entry.name()));
            return self.warn(entry.value.span, what);
        };
        set(claim, path, text, entry.value.span);
        let object = claim.clone();
        self.push(entry.at, What::Apply(Box::new(object)));
    }
    /// Does the claim's class have a provisioner, for which the scheduler writes the selected node?
    fn is_provisioned(&self, claim: &str) -> bool {
        let manifest = self.claims.get(claim);
        let class = manifest.and_then(|c| c.get("spec")?.get("storageClassName")?.as_text());
        let class = class.and_then(|c| self.by_name.get(&("StorageClass", c))).and_then(|all| all.first());
        let provisioner = class.and_then(|c| c.value.get("provisioner")?.as_text());
        provisioner.is_some_and(|p| p != "kubernetes.io/no-provisioner")
    }
    fn claim_deletion(&mut self, entry: &Entry<'v>) {
        let key = (entry.kind, entry.name());
        let seen = self.seen.entry(key).or_default();
        if std::mem::replace(&mut seen.deleting, true) {
            return;
        }
        // The garbage collector deletes claims whose owner is gone.
        let owners = seen.owners.clone();
        if owners.iter().any(|owner| self.clues.is_gone(owner, entry.at)) {
            return;
        }
        let name = self.full_name(entry.kind, entry.name());
        self.push(entry.at, What::DeletePvc(name));
    }

    /// Objects of kinds that the recorder did not watch.
    fn add_unwatched(&mut self) {
        let mut at = 0.0;
        let watched: BTreeSet<&str> = self.added.keys().map(|(kind, _)| *kind).collect();
        for index in 0..self.manifests.len() {
            let manifest = self.manifests[index];
            if let Some(created) = self.created[index] {
                at = created;
            } else if !watched.contains(manifest.kind) {
                // A class that comes before anything asks for it is part of the cluster.
                let wanted = self.manifests[..index]
                    .iter()
                    .any(|m| !CLUSTER_KINDS.contains(&m.kind) && !NEVER_WATCHED_FIRST.contains(&m.kind));
                let first = NEVER_WATCHED_FIRST.contains(&manifest.kind) && !wanted;
                let at = if first { 0.0 } else { at };
                self.push(at, What::Apply(Box::new(manifest.value.clone())));
            } else if !self.added.contains_key(&(manifest.kind, manifest.name)) {
                let what = format!("{} `{}` never appeared", manifest.kind, shown(manifest.name));
                self.warn(manifest.value.span, what);
            }
        }
    }
}

/// The annotation that asks a provisioner for a volume on a node.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
