//! Reading files, folders and standard input into objects.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::storage::v1::StorageClass;
use rustc_hash::FxHashMap;

use super::convert::{self, Converted, Found};
use super::field::{Check, Field};
use super::objects::{Kind, Located, Object};
use super::{defaulting, local_storage, validate};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place, Severity, SourceId, Sources, Span, escape};
use crate::limits::Limit;
use crate::scenario::recorded::{self, Recorded};
use crate::scenario::tree::{Kind as TreeKind, Limits, Value};
use crate::scenario::{Assumption, ManifestFile, json, yaml};

/// How objects are loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Limits of every text.
    pub limits: Limits,
    /// Check what the API checks. Default true.
    pub validate: bool,
    /// Fill in what the API fills in. Default true.
    pub defaults: bool,
    /// Objects in all. Default 20 million.
    pub max_objects: usize,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions {
            limits: Limits::manifests(),
            validate: true,
            defaults: true,
            max_objects: Limit::Objects.size(),
        }
    }
}

/// Objects of a kind that is not simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// `ConfigMap`, or `example.com/v1 Widget`.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// Everything that was loaded.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// The objects in the order of the files, with the API's defaults.
    pub objects: Vec<Located<Object>>,
    /// Kinds that are not simulated, by name.
    pub skipped: Vec<Skipped>,
    /// What was odd, converted or skipped.
    pub warnings: Vec<Diagnostic>,
    /// What was converted or filled in with consequences.
    pub assumptions: Vec<Assumption>,
    /// The texts that spans point into.
    pub sources: Sources,
}

/// Reads texts one after the other, then [`Loader::finish`].
pub struct Loader {
    options: LoadOptions,
    objects: Vec<Located<Object>>,
    errors: Vec<Diagnostic>,
    warnings: Vec<(Diagnostic, u64)>,
    /// Index into `warnings` of those that are counted instead of repeated.
    counted: FxHashMap<String, usize>,
    conversions: BTreeMap<String, (&'static str, u64)>,
    skipped: BTreeMap<String, u64>,
    /// Pods that the workloads so far ask for.
    replicas: u64,
    seen: FxHashMap<(&'static str, String, String), Span>,
    /// Descriptions of nodes' local storage beside their files, by path without extension.
    sidecars: BTreeMap<String, String>,
    sources: Sources,
    recorded: Option<Arc<Recorded>>,
}

/// Errors that are kept; more are of no use to anybody.
const MAX_ERRORS: usize = 200;
/// Kinds of warnings that are kept.
const MAX_WARNINGS: usize = 1_000;
/// Lists inside lists.
const MAX_LIST_DEPTH: usize = 8;
/// Names of skipped kinds that are kept apart.
const MAX_SKIPPED_KINDS: usize = 500;

impl Loader {
    /// A loader whose texts join `sources`, so that spans of a scenario and of its manifests live together.
    pub fn new(options: LoadOptions, sources: Sources) -> Loader {
        Loader {
            options,
            objects: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            counted: FxHashMap::default(),
            conversions: BTreeMap::new(),
            skipped: BTreeMap::new(),
            replicas: 0,
            seen: FxHashMap::default(),
            sidecars: BTreeMap::new(),
            sources,
            recorded: None,
        }
    }

    /// The same, reading what a former run has read instead of files.
    #[must_use]
    pub fn with_recorded(mut self, recorded: Option<Arc<Recorded>>) -> Loader {
        self.recorded = recorded;
        self
    }

    /// Loads files in order.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(
        files: &[ManifestFile],
        sources: Sources,
        options: LoadOptions,
    ) -> Result<Manifests, Diagnostics> {
        let mut loader = Loader::new(options, sources);
        for file in files {
            loader.file(&file.path, Some(file.span));
        }
        loader.finish()
    }

    /// Objects taken over so far.
    pub fn count(&self) -> usize {
        self.objects.len()
    }

    /// Reads one file; `-` is standard input. `named` is where the scenario names it.
    pub fn file(&mut self, path: &Path, named: Option<Span>) {
        match recorded::read_text(self.recorded.as_deref(), path, &self.options.limits) {
            Ok(text) => self.text(&recorded::shown(path), text),
            Err(errors) => {
                for mut error in errors.list {
                    if let (Place::None, Some(span)) = (&error.place, named) {
                        error = error.at(span);
                    }
                    self.error(error);
                }
            }
        }
    }

    /// Reads one text: YAML documents, or JSON values.
    pub fn text(&mut self, name: &str, text: String) {
        let is_json =
            name.ends_with(".json") || text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
        if let Some(stem) = name.strip_suffix(".json").filter(|_| local_storage::is_sidecar(&text)) {
            self.sidecars.insert(stem.to_owned(), text);
            return;
        }
        let source = self.sources.add(name, text);
        if is_json {
            match self.json(source) {
                Ok(()) => return,
                Err(error) if error.code != Code::Syntax || name.ends_with(".json") => {
                    return self.error(error);
                }
                Err(_) => {}
            }
        }
        let sources = self.sources.clone();
        let limits = self.options.limits;
        if is_json {
            // YAML in flow style, or JSON with a mistake: the general reader finds out which.
            match yaml::parse_all(&sources, source, &limits) {
                Ok(values) => values.into_iter().for_each(|v| self.document(v, 0)),
                Err(error) => self.error(error),
            }
            return;
        }
        let mut documents = yaml::Documents::new(&sources, source, &limits);
        loop {
            match documents.next_document() {
                Ok(Some(value)) => self.document(value, 0),
                Ok(None) => return,
                Err(error) => return self.error(error),
            }
        }
    }

    /// JSON, the elements of a list one by one: a snapshot's tree need not be in memory at once. Objects are only taken over
    /// once the whole text has been read.
    fn json(&mut self, source: SourceId) -> Result<(), Diagnostic> {
        let sources = self.sources.clone();
        let limits = self.options.limits;
        let mut reader = json::Reader::new(&sources, source, &limits).dropping("managedFields");
        let (objects, errors, warnings) = (self.objects.len(), self.errors.len(), self.warnings.len());
        while !reader.at_end() {
            let mut without_kind = Vec::new();
            let whole = reader.object_with_items(&mut |item| match item.get("kind") {
                Some(_) => self.document(item, 1),
                None => without_kind.push(item),
            });
            match whole {
                // A list that has given its elements away has none left; other objects come whole.
                Ok(mut value) => {
                    put_back(&mut value, without_kind);
                    self.document(value, 0);
                }
                Err(error) => {
                    if error.code == Code::Syntax {
                        self.objects.truncate(objects);
                        self.errors.truncate(errors);
                        self.warnings.truncate(warnings);
                        self.seen.retain(|_, span| span.source != source);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn error(&mut self, error: Diagnostic) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    /// A warning; those with the same key are counted.
    fn warn(&mut self, key: String, warning: Diagnostic) {
        if let Some(entry) = self.counted.get(&key).and_then(|i| self.warnings.get_mut(*i)) {
            entry.1 += 1;
        } else if self.warnings.len() < MAX_WARNINGS {
            self.counted.insert(key, self.warnings.len());
            self.warnings.push((warning, 1));
        }
    }

    /// An object or a list of objects.
    fn document(&mut self, mut tree: Value, depth: usize) {
        if let TreeKind::Seq(_) = &tree.kind {
            return self.error(
                Diagnostic::error(Code::NotAnObject, "not a Kubernetes object: a list")
                    .at(tree.span)
                    .label("expected a mapping with apiVersion, kind and metadata, or kind: List with items"),
            );
        }
        let list = tree.get("kind").and_then(Value::as_text).is_some_and(|k| k.ends_with("List"));
        if list && depth < MAX_LIST_DEPTH {
            let element = tree.get("kind").and_then(Value::as_text).and_then(|k| k.strip_suffix("List"));
            let (element, version) = (element.unwrap_or("").to_owned(), tree.get("apiVersion").cloned());
            let TreeKind::Map(entries) = &mut tree.kind else { return };
            let items = entries.iter_mut().find(|e| &*e.key == "items").map(|e| &mut e.value.kind);
            if let Some(TreeKind::Seq(items)) = items {
                for mut item in std::mem::take(items) {
                    inherit(&mut item, &element, version.as_ref());
                    self.document(item, depth + 1);
                }
            }
            return;
        }
        if self.objects.len() >= self.options.max_objects {
            let message = format!("more than {} objects", self.options.max_objects);
            let error = Diagnostic::error(Code::TooLarge, message).at(tree.span);
            return self.error(error.help(Limit::Objects.hint()));
        }
        self.object(tree);
    }

    fn object(&mut self, mut tree: Value) {
        let mut converted = Vec::new();
        let kind = match convert::identify(&mut tree, &mut converted) {
            Ok(Found::Known(kind)) => kind,
            Ok(Found::Other(name)) => {
                let full = self.skipped.len() >= MAX_SKIPPED_KINDS && !self.skipped.contains_key(&name);
                let name = if full { "other kinds".to_owned() } else { name };
                *self.skipped.entry(name).or_insert(0) += 1;
                return;
            }
            Err(error) => return self.error(error),
        };
        drop_server_side(&mut tree);
        let mut unknown = Vec::new();
        let read = (kind.read)(&tree, &mut unknown);
        let what = format!("{} \"{}\"", kind.name, escape(name_of(&tree)));
        for warning in unknown {
            self.warn(format!("{} {}", kind.name, warning.message), warning);
        }
        let object = match read {
            Ok(object) => object,
            Err(mut error) => {
                error.message = format!("{what}: {}", error.message);
                return self.error(error);
            }
        };
        if let Some(object) = self.checked(object, kind, &tree, what.clone(), &mut converted) {
            if let Err(error) = self.count_replicas(&object, &what, tree.span) {
                return self.error(error);
            }
            self.objects.push(Located { value: object, span: tree.span });
        }
        for c in converted {
            self.conversions.entry(c.form.clone()).or_insert((c.now, 0)).1 += 1;
            let message = format!("{} is an old form; converted to {}", c.form, c.now);
            self.warn(c.form, Diagnostic::warning(Code::OldForm, message).at(tree.span));
        }
    }

    /// A workload asks for pods without writing them down: 2^31 of them cost one line.
    fn count_replicas(&mut self, object: &Object, what: &str, span: Span) -> Result<(), Diagnostic> {
        let wanted = match object {
            Object::StatefulSet(o) => o.spec.as_ref().and_then(|s| s.replicas),
            Object::Deployment(o) => o.spec.as_ref().and_then(|s| s.replicas),
            Object::ReplicaSet(o) => o.spec.as_ref().and_then(|s| s.replicas),
            Object::ReplicationController(o) => o.spec.as_ref().and_then(|s| s.replicas),
            Object::Job(o) => o.spec.as_ref().and_then(|s| s.parallelism.max(s.completions)),
            _ => return Ok(()),
        };
        let wanted = u64::try_from(wanted.unwrap_or(1)).unwrap_or(0);
        self.replicas += wanted;
        for (limit, asked) in [(Limit::Replicas, wanted), (Limit::Pods, self.replicas)] {
            if asked > limit.get() {
                let message = match limit {
                    Limit::Replicas => format!("{what}: {asked} replicas are more than {}", limit.get()),
                    _ => {
                        format!("up to {what} the workloads ask for {asked} pods, more than {}", limit.get())
                    }
                };
                return Err(Diagnostic::error(Code::TooLarge, message).at(span).help(limit.hint()));
            }
        }
        Ok(())
    }

    fn checked(
        &mut self,
        mut object: Object,
        kind: &'static Kind,
        tree: &Value,
        what: String,
        converted: &mut Vec<Converted>,
    ) -> Option<Object> {
        let metadata = object.metadata_mut();
        let absent = metadata.namespace.as_ref().is_none_or(String::is_empty);
        if kind.namespaced && absent {
            metadata.namespace = Some("default".to_owned());
        } else if !kind.namespaced {
            metadata.namespace = None;
        }
        let mut check = Check { tree, what, found: Vec::new() };
        convert::annotations(&mut object, &mut check, converted);
        if self.options.defaults {
            defaulting::object(&mut object);
        }
        if self.options.validate {
            validate::object(&mut check, &object);
        }
        let name_field = Field::top("metadata");
        let place = check.span(&name_field.key("name"));
        let key = (kind.name, object.namespace().to_owned(), object.name().to_owned());
        let found = std::mem::take(&mut check.found);
        let what = check.what;
        let refused = found.iter().any(|d| d.severity == Severity::Error);
        for diagnostic in found {
            match diagnostic.severity {
                Severity::Error => self.error(diagnostic),
                Severity::Warning => {
                    let rest = diagnostic.message.strip_prefix(&what).unwrap_or("").to_owned();
                    self.warn(format!("{}{rest}", kind.name), diagnostic);
                }
            }
        }
        if object.name().is_empty() {
            return None;
        }
        if let Some(first) = self.seen.get(&key) {
            let first = self.sources.locate(*first);
            self.error(
                Diagnostic::error(Code::DuplicateObject, format!("{what} is there twice"))
                    .at(place)
                    .label(format!("first at {first}")),
            );
            return None;
        }
        self.seen.insert(key, place);
        super::slim::slim(&mut object);
        (!refused).then_some(object)
    }

    /// What depends on other objects, then the result.
    ///
    /// # Errors
    /// Everything that is wrong with the texts read so far.
    pub fn finish(mut self) -> Result<Manifests, Diagnostics> {
        if !self.errors.is_empty() {
            let mut all = self.errors;
            all.extend(self.warnings.into_iter().map(|(w, _)| w));
            return Err(Diagnostics::new(all, self.sources));
        }
        self.local_storage();
        let mut assumptions: Vec<Assumption> = Vec::new();
        for (form, (now, count)) in &self.conversions {
            assumptions.push(Assumption {
                path: form.clone(),
                value: (*now).to_owned(),
                source: "conversion",
                note: format!("{count} objects"),
            });
        }
        if self.options.defaults {
            self.default_class(&mut assumptions);
            self.priorities();
            if !self.errors.is_empty() {
                return Err(Diagnostics::new(self.errors, self.sources));
            }
        }
        let skipped: Vec<Skipped> =
            self.skipped.iter().map(|(kind, count)| Skipped { kind: kind.clone(), count: *count }).collect();
        let mut warnings: Vec<Diagnostic> = Vec::new();
        for (mut warning, count) in self.warnings {
            if count > 1 {
                warning.message.push_str(&format!(" (and {} more like it)", count - 1));
            }
            warnings.push(warning);
        }
        if !skipped.is_empty() {
            let list: Vec<String> =
                skipped.iter().take(12).map(|s| format!("{} {}", s.count, escape(&s.kind))).collect();
            let total: u64 = skipped.iter().map(|s| s.count).sum();
            let message =
                format!("skipped {total} objects of kinds that are not simulated: {}", list.join(", "));
            warnings.push(Diagnostic::warning(Code::SkippedKind, message));
        }
        Ok(Manifests { objects: self.objects, skipped, warnings, assumptions, sources: self.sources })
    }

    /// Nodes get the descriptions of their storage that lie beside their files; those that cannot be read are warned about.
    fn local_storage(&mut self) {
        let mut sidecars = std::mem::take(&mut self.sidecars);
        let mut unreadable = Vec::new();
        for object in &mut self.objects {
            let span = object.span;
            let Object::Node(node) = &mut object.value else { continue };
            let file = self.sources.get(span.source).map(|source| source.name.clone()).unwrap_or_default();
            let stem = file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml"));
            if let Some(text) = stem.and_then(|stem| sidecars.remove(stem)) {
                let annotations = node.metadata.annotations.get_or_insert_default();
                annotations.entry(local_storage::ANNOTATION.to_owned()).or_insert(text);
            }
            let annotations = node.metadata.annotations.as_ref();
            let Some(text) = annotations.and_then(|all| all.get(local_storage::ANNOTATION)) else { continue };
            match local_storage::NodeStorage::parse(text) {
                Ok(_) => {
                    let form = format!("Node annotation {}", local_storage::ANNOTATION);
                    self.conversions.entry(form).or_insert(("volume groups and devices", 0)).1 += 1;
                }
                Err(why) => unreadable.push((span, escape(&why).to_string())),
            }
        }
        for (span, why) in unreadable {
            let message = format!("annotation `{}` is left out: {why}", local_storage::ANNOTATION);
            self.warn(message.clone(), Diagnostic::warning(Code::Unusual, message).at(span));
        }
        for stem in sidecars.into_keys() {
            let message = format!("`{}.json` describes the storage of no node", escape(&stem));
            self.warn(message.clone(), Diagnostic::warning(Code::Unusual, message));
        }
    }

    /// Admission plugin DefaultStorageClass: claims that name no class get the newest default class.
    fn default_class(&mut self, assumptions: &mut Vec<Assumption>) {
        let mut best: Option<&StorageClass> = None;
        for object in &self.objects {
            let Object::StorageClass(class) = &object.value else { continue };
            if !is_default_class(class) {
                continue;
            }
            let newer = |b: &StorageClass| {
                let key = |c: &StorageClass| c.metadata.creation_timestamp.as_ref().map(|t| t.0);
                match key(class).cmp(&key(b)) {
                    std::cmp::Ordering::Equal => class.metadata.name < b.metadata.name,
                    order => order.is_gt(),
                }
            };
            if best.is_none_or(newer) {
                best = Some(class);
            }
        }
        let Some(name) = best.and_then(|c| c.metadata.name.clone()) else { return };
        let mut count = 0u64;
        for object in &mut self.objects {
            match &mut object.value {
                Object::PersistentVolumeClaim(claim) => {
                    let spec = claim.spec.get_or_insert_default();
                    // A claim that is bound already keeps what it has.
                    let bound = spec.volume_name.as_ref().is_some_and(|v| !v.is_empty());
                    if spec.storage_class_name.is_none() && !bound {
                        spec.storage_class_name = Some(name.clone());
                        count += 1;
                    }
                }
                Object::StatefulSet(set) => {
                    let templates =
                        set.spec.iter_mut().flat_map(|s| s.volume_claim_templates.iter_mut().flatten());
                    for spec in templates.filter_map(|t| t.spec.as_mut()) {
                        if spec.storage_class_name.is_none() {
                            spec.storage_class_name = Some(name.clone());
                            count += 1;
                        }
                    }
                }
                _ => {}
            }
        }
        if count > 0 {
            assumptions.push(Assumption {
                path: "PersistentVolumeClaim spec.storageClassName".to_owned(),
                value: name,
                source: "default",
                note: format!("{count} claims that name no class get the default class"),
            });
        }
    }

    /// Admission plugin Priority: priorities from classes.
    fn priorities(&mut self) {
        let mut classes: BTreeMap<String, (i32, Option<String>)> = BTreeMap::new();
        for (name, value) in
            [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)]
        {
            classes.insert(name.to_owned(), (value, Some("PreemptLowerPriority".to_owned())));
        }
        let mut default: Option<(String, i32)> = None;
        for object in &self.objects {
            let Object::PriorityClass(class) = &object.value else { continue };
            let (name, value) = (class.metadata.name.clone().unwrap_or_default(), class.value.unwrap_or(0));
            // Of several default classes the lowest counts.
            if class.global_default == Some(true) && default.as_ref().is_none_or(|(_, v)| value < *v) {
                default = Some((name.clone(), value));
            }
            classes.insert(name, (value, class.preemption_policy.clone()));
        }
        let mut unknown: Vec<(String, String, Span, bool)> = Vec::new();
        for object in &mut self.objects {
            let what = format!("{} \"{}\"", object.value.kind(), escape(object.value.name()));
            let is_pod = matches!(object.value, Object::Pod(_));
            let Some(spec) = pod_spec_mut(&mut object.value) else { continue };
            if spec.priority_class_name.as_ref().is_none_or(String::is_empty)
                && spec.priority.is_none()
                && let Some((name, _)) = &default
            {
                spec.priority_class_name = Some(name.clone());
            }
            match spec.priority_class_name.as_ref().filter(|n| !n.is_empty()) {
                None => {
                    spec.priority.get_or_insert(0);
                }
                Some(name) => match classes.get(name) {
                    Some((value, policy)) => {
                        spec.priority.get_or_insert(*value);
                        if spec.preemption_policy.is_none() {
                            spec.preemption_policy.clone_from(policy);
                        }
                    }
                    None if spec.priority.is_some() => {}
                    None => {
                        unknown.push((what, name.clone(), object.span, is_pod));
                        spec.priority = Some(0);
                    }
                },
            }
        }
        for (what, name, span, is_pod) in unknown {
            let message = format!("{what}: there is no PriorityClass `{}`", escape(&name));
            if is_pod {
                let error = Diagnostic::error(Code::InvalidValue, message).at(span);
                self.error(
                    error.label("the Kubernetes API refuses such a pod").help("add the PriorityClass"),
                );
            } else {
                let message = format!("{message}; priority 0 is used");
                let warning = Diagnostic::warning(Code::Unusual, message).at(span);
                self.warn(format!("priority class {name}"), warning.help("add the PriorityClass"));
            }
        }
    }
}

/// Is it marked as the class of claims that name none?
fn is_default_class(class: &StorageClass) -> bool {
    let keys =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    let annotations = class.metadata.annotations.as_ref();
    annotations.is_some_and(|a| keys.iter().any(|k| a.get(*k).is_some_and(|v| v == "true")))
}

/// The pod spec of a pod or a template.
fn pod_spec_mut(object: &mut Object) -> Option<&mut k8s_openapi::api::core::v1::PodSpec> {
    match object {
        Object::Pod(o) => o.spec.as_mut(),
        Object::StatefulSet(o) => o.spec.as_mut().and_then(|s| s.template.spec.as_mut()),
        Object::Deployment(o) => o.spec.as_mut().and_then(|s| s.template.spec.as_mut()),
        Object::Job(o) => o.spec.as_mut().and_then(|s| s.template.spec.as_mut()),
        Object::ReplicaSet(o) => {
            o.spec.as_mut().and_then(|s| s.template.as_mut()).and_then(|t| t.spec.as_mut())
        }
        Object::ReplicationController(o) => {
            o.spec.as_mut().and_then(|s| s.template.as_mut()).and_then(|t| t.spec.as_mut())
        }
        _ => None,
    }
}

/// Gives a list its elements back.
fn put_back(list: &mut Value, elements: Vec<Value>) {
    let TreeKind::Map(entries) = &mut list.kind else { return };
    if let Some(TreeKind::Seq(items)) =
        entries.iter_mut().find(|e| &*e.key == "items").map(|e| &mut e.value.kind)
        && items.is_empty()
    {
        *items = elements;
    }
}

/// Elements of a typed list (`PodList`) carry no kind of their own.
fn inherit(item: &mut Value, element: &str, version: Option<&Value>) {
    if element.is_empty() {
        return;
    }
    let span = item.span;
    let TreeKind::Map(entries) = &mut item.kind else { return };
    let mut add = |key: &str, value: Value| {
        if !entries.iter().any(|e| &*e.key == key) {
            entries.push(crate::scenario::tree::Entry { key: key.into(), key_span: span, value });
        }
    };
    add("kind", Value::string(span, element));
    if let Some(version) = version {
        add("apiVersion", version.clone());
    }
}

fn name_of(tree: &Value) -> &str {
    tree.get("metadata").and_then(|m| m.get("name")).and_then(Value::as_text).unwrap_or("")
}

/// Drops what the server keeps for itself and what is large: nothing that a decision depends on.
fn drop_server_side(tree: &mut Value) {
    let TreeKind::Map(entries) = &mut tree.kind else { return };
    for entry in entries {
        if &*entry.key == "metadata"
            && let TreeKind::Map(metadata) = &mut entry.value.kind
        {
            metadata.retain(|e| &*e.key != "managedFields");
            for inner in metadata {
                if &*inner.key == "annotations"
                    && let TreeKind::Map(annotations) = &mut inner.value.kind
                {
                    annotations.retain(|e| &*e.key != "kubectl.kubernetes.io/last-applied-configuration");
                }
            }
        }
    }
}
