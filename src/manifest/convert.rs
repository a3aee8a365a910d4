//! Old forms that real clusters and real files still hold.

use k8s_openapi::api::core::v1::{NodeAffinity, PersistentVolumeClaim, VolumeNodeAffinity};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::field::{Check, Field};
use super::objects::{KINDS, Kind, Object};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::scenario::tree::{Entry, Kind as TreeKind, Value, clip};

/// Node affinity of a PV before Kubernetes 1.10.
pub const ALPHA_NODE_AFFINITY: &str = "volume.alpha.kubernetes.io/node-affinity";
/// Class of a PV or a claim before Kubernetes 1.6; still read, and stronger than the field.
pub const BETA_STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// What was converted: the form (for counting) and what it became.
pub struct Converted {
    /// The old form.
    pub form: String,
    /// What it is now.
    pub now: &'static str,
}

/// What a document's `apiVersion` and `kind` say.
pub enum Found {
    /// A kind that is simulated.
    Known(&'static Kind),
    /// Another kind.
    Other(String),
}

/// Finds the kind of an object and converts an old apiVersion in the tree.
///
/// # Errors
/// A document that is no object, or a version that never served the kind.
pub fn identify(tree: &mut Value, converted: &mut Vec<Converted>) -> Result<Found, Diagnostic> {
    let kind_name = text(tree, "kind")?;
    let version = text(tree, "apiVersion")?;
    let Some(kind) = KINDS.iter().find(|k| k.name == kind_name) else {
        return Ok(Found::Other(kind_name));
    };
    if kind.version == version {
        return Ok(Found::Known(kind));
    }
    let group = |v: &str| v.rsplit_once('/').map_or(String::new(), |(g, _)| g.to_owned());
    if !kind.old_versions.contains(&version.as_str()) {
        // Another group's kind of the same name is something else.
        if group(&version) != group(kind.version)
            && !kind.old_versions.iter().any(|v| group(v) == group(&version))
        {
            return Ok(Found::Other(format!("{version} {kind_name}")));
        }
        let place = tree.get("apiVersion").map_or(tree.span, |v| v.span);
        let known: Vec<&str> =
            std::iter::once(kind.version).chain(kind.old_versions.iter().copied()).collect();
        return Err(Diagnostic::error(
            Code::InvalidValue,
            format!("there is no kind {kind_name} in version `{}`", clip(&version)),
        )
        .at(place)
        .label(format!("expected {}", known.join(", ")))
        .maybe_help(did_you_mean(&version, known.iter().copied())));
    }
    replace(tree, "apiVersion", kind.version);
    old_defaults(tree, kind.name, &version);
    converted.push(Converted { form: format!("{version} {kind_name}"), now: kind.version });
    Ok(Found::Known(kind))
}

fn text(tree: &Value, key: &str) -> Result<String, Diagnostic> {
    let missing = |place| {
        Diagnostic::error(Code::NotAnObject, format!("not a Kubernetes object: `{key}` is missing"))
            .at(place)
            .label(format!("expected a mapping with apiVersion, kind and metadata, without `{key}` here"))
    };
    if tree.as_map().is_none() {
        return Err(Diagnostic::error(
            Code::NotAnObject,
            format!("not a Kubernetes object: {}", tree.describe()),
        )
        .at(tree.span)
        .label("expected a mapping with apiVersion, kind and metadata"));
    }
    match tree.get(key) {
        Some(value) => match value.as_text() {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(missing(value.span)),
        },
        None => Err(missing(tree.span)),
    }
}

fn replace(tree: &mut Value, key: &str, text: &str) {
    if let TreeKind::Map(entries) = &mut tree.kind
        && let Some(entry) = entries.iter_mut().find(|e| &*e.key == key)
    {
        entry.value = Value::string(entry.value.span, text);
    }
}

/// Adds `key: value` to a mapping that lacks it.
fn add(tree: &mut Value, key: &str, value: Value) {
    if let TreeKind::Map(entries) = &mut tree.kind {
        match entries.iter_mut().find(|e| &*e.key == key) {
            Some(entry) if entry.value.is_null() => entry.value = value,
            Some(_) => {}
            None => entries.push(Entry { key: key.into(), key_span: value.span, value }),
        }
    }
}

fn child_mut<'t>(tree: &'t mut Value, key: &str) -> Option<&'t mut Value> {
    match &mut tree.kind {
        TreeKind::Map(entries) => entries.iter_mut().find(|e| &*e.key == key).map(|e| &mut e.value),
        _ => None,
    }
}

/// Defaults that the old versions had and the present one has not.
fn old_defaults(tree: &mut Value, kind: &str, version: &str) {
    let selector_defaulted = matches!(version, "apps/v1beta1" | "extensions/v1beta1");
    let Some(spec) = child_mut(tree, "spec") else { return };
    let at = spec.span;
    let map = |entries: Vec<(&str, Value)>| Value {
        span: at,
        kind: TreeKind::Map(
            entries.into_iter().map(|(k, value)| Entry { key: k.into(), key_span: at, value }).collect(),
        ),
    };
    if selector_defaulted && matches!(kind, "StatefulSet" | "Deployment" | "ReplicaSet") {
        let labels =
            spec.get("template").and_then(|t| t.get("metadata")).and_then(|m| m.get("labels")).cloned();
        if let Some(labels) = labels {
            add(spec, "selector", map(vec![("matchLabels", labels)]));
        }
    }
    if kind == "StatefulSet" && version == "apps/v1beta1" {
        add(spec, "updateStrategy", map(vec![("type", Value::string(at, "OnDelete"))]));
    }
    if kind == "Deployment" && version == "extensions/v1beta1" {
        let one = || Value::plain(at, "1");
        let rolling = map(vec![("maxSurge", one()), ("maxUnavailable", one())]);
        add(
            spec,
            "strategy",
            map(vec![("type", Value::string(at, "RollingUpdate")), ("rollingUpdate", rolling)]),
        );
    }
    if kind == "PodDisruptionBudget"
        && spec.get("selector").is_some_and(|s| s.as_map().is_some_and(<[_]>::is_empty))
    {
        // In policy/v1beta1 an empty selector selects nothing, in policy/v1 everything; no selector selects nothing.
        if let TreeKind::Map(entries) = &mut spec.kind {
            entries.retain(|e| &*e.key != "selector");
        }
    }
}

/// Converts annotations of old into fields.
pub fn annotations(object: &mut Object, check: &mut Check<'_>, converted: &mut Vec<Converted>) {
    match object {
        Object::PersistentVolume(pv) => {
            let class = pv.metadata.annotations.as_ref().and_then(|a| a.get(BETA_STORAGE_CLASS)).cloned();
            let spec = pv.spec.get_or_insert_default();
            if let Some(class) = class {
                spec.storage_class_name = Some(class);
                converted.push(Converted {
                    form: format!("PersistentVolume annotation {BETA_STORAGE_CLASS}"),
                    now: "spec.storageClassName",
                });
            }
            if let Some(written) = pv.metadata.annotations.as_ref().and_then(|a| a.get(ALPHA_NODE_AFFINITY)) {
                let form = format!("PersistentVolume annotation {ALPHA_NODE_AFFINITY}");
                if spec.node_affinity.is_some() {
                    converted.push(Converted { form, now: "ignored: spec.nodeAffinity is there and wins" });
                } else if let Some(affinity) = node_affinity(written, check) {
                    spec.node_affinity = Some(affinity);
                    converted.push(Converted { form, now: "spec.nodeAffinity" });
                }
            }
        }
        Object::PersistentVolumeClaim(claim) => claim_class(claim, converted),
        Object::StatefulSet(set) => {
            let templates = set.spec.as_mut().and_then(|s| s.volume_claim_templates.as_mut());
            for claim in templates.into_iter().flatten() {
                claim_class(claim, converted);
            }
        }
        _ => {}
    }
}

fn claim_class(claim: &mut PersistentVolumeClaim, converted: &mut Vec<Converted>) {
    let Some(class) = annotation(&claim.metadata, BETA_STORAGE_CLASS) else { return };
    claim.spec.get_or_insert_default().storage_class_name = Some(class);
    converted.push(Converted {
        form: format!("PersistentVolumeClaim annotation {BETA_STORAGE_CLASS}"),
        now: "spec.storageClassName",
    });
}

fn annotation(metadata: &ObjectMeta, key: &str) -> Option<String> {
    metadata.annotations.as_ref().and_then(|a| a.get(key)).cloned()
}

fn node_affinity(written: &str, check: &mut Check<'_>) -> Option<VolumeNodeAffinity> {
    let metadata = Field::top("metadata");
    let annotations = metadata.key("annotations");
    let field = annotations.key(ALPHA_NODE_AFFINITY);
    match serde_json::from_str::<NodeAffinity>(written) {
        Ok(NodeAffinity { required_during_scheduling_ignored_during_execution: Some(required), .. }) => {
            Some(VolumeNodeAffinity { required: Some(required) })
        }
        Ok(_) => {
            check.invalid(&field, written, "expected requiredDuringSchedulingIgnoredDuringExecution in it");
            None
        }
        Err(error) => {
            check.invalid(&field, written, &format!("expected a node affinity as JSON: {error}"));
            None
        }
    }
}
