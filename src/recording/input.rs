//! Reading values of a recording, and saying what is wrong where.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::scenario::tree::{Entry, Kind, Value, clip};

/// Findings are kept so far.
const MOST_FINDINGS: usize = 200;
/// A recording lasts no longer: ten years in seconds.
const LONGEST: f64 = 10.0 * 31_536_000.0;

/// What was found wrong while reading.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
}

impl Input {
    pub fn error(&mut self, error: Diagnostic) {
        if self.errors.len() < MOST_FINDINGS {
            self.errors.push(error);
        }
    }
    /// Something of the recording is left out.
    pub fn warn(&mut self, span: Span, message: String) {
        if self.warnings.len() < MOST_FINDINGS {
            self.warnings.push(Diagnostic::warning(Code::Unusual, message).at(span));
        }
    }
    pub fn wrong(&mut self, value: &Value, what: &str, expected: &str) {
        let message = format!("{what} is {}", value.describe());
        self.error(
            Diagnostic::error(Code::WrongType, message).at(value.span).label(format!("expected {expected}")),
        );
    }
    fn missing(&mut self, map: &Value, what: &str, key: &str) {
        let message = format!("{what} has no `{key}`");
        self.error(Diagnostic::error(Code::MissingKey, message).at(map.span));
    }

    /// A text that must be there.
    pub fn text<'v>(&mut self, map: &'v Value, key: &str, what: &str) -> Option<&'v str> {
        let Some(value) = map.get(key) else {
            self.missing(map, what, key);
            return None;
        };
        let text = value.as_text().filter(|t| !t.is_empty());
        if text.is_none() {
            self.wrong(value, &format!("`{key}`"), "a text");
        }
        text
    }
    /// Seconds that must be there: 0 or more.
    pub fn seconds(&mut self, map: &Value, key: &str, what: &str) -> Option<f64> {
        let Some(value) = map.get(key) else {
            self.missing(map, what, key);
            return None;
        };
        let number = number(value).filter(|n| (0.0..=LONGEST).contains(n));
        if number.is_none() {
            self.wrong(value, &format!("`{key}`"), "seconds since the start: 0 or more");
        }
        number
    }
    /// A list that must be there.
    pub fn list<'v>(&mut self, map: &'v Value, key: &str, what: &str) -> Option<&'v [Value]> {
        let Some(value) = map.get(key) else {
            self.missing(map, what, key);
            return None;
        };
        let list = value.as_seq();
        if list.is_none() {
            self.wrong(value, &format!("`{key}`"), "a list");
        }
        list
    }
    /// Kind, namespace and name of a Kubernetes object.
    pub fn object<'v>(&mut self, value: &'v Value) -> Option<Manifest<'v>> {
        if value.as_map().is_none() {
            self.wrong(value, "the manifest", "a Kubernetes object");
            return None;
        }
        let kind = self.text(value, "kind", "the manifest")?;
        let Some(metadata) = value.get("metadata") else {
            self.missing(value, "the manifest", "metadata");
            return None;
        };
        let name = self.text(metadata, "name", "the manifest's metadata")?;
        let namespace = metadata.get("namespace").and_then(Value::as_text);
        let namespaced = !CLUSTER_SCOPED.contains(&kind);
        Some(Manifest { value, kind, name, namespace: namespaced.then(|| namespace.unwrap_or("default")) })
    }
}

/// Kinds without a namespace.
const CLUSTER_SCOPED: &[&str] =
    &["Node", "PersistentVolume", "StorageClass", "PriorityClass", "Namespace", "CSIDriver", "CSINode"];

/// A manifest, identified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manifest<'v> {
    pub value: &'v Value,
    pub kind: &'v str,
    pub name: &'v str,
    pub namespace: Option<&'v str>,
}

/// A plain number.
pub(super) fn number(value: &Value) -> Option<f64> {
    match &value.kind {
        Kind::Scalar(s) if !s.quoted => s.text.parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}

/// The first number in a text, and what follows it.
pub(super) fn first_number(text: &str) -> Option<(f64, &str)> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let rest = &text[start..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let number = rest[..end].trim_end_matches('.');
    Some((number.parse().ok()?, &rest[number.len()..]))
}

/// Sets a value deep in an object; mappings on the way are made.
pub(super) fn set(value: &mut Value, path: &[&str], text: &str, span: Span) {
    let Some((key, rest)) = path.split_first() else {
        *value = Value::string(span, text);
        return;
    };
    if !matches!(value.kind, Kind::Map(_)) {
        value.kind = Kind::Map(Vec::new());
    }
    let Kind::Map(entries) = &mut value.kind else { return };
    let index = match entries.iter().position(|e| &*e.key == *key) {
        Some(index) => index,
        None => {
            entries.push(Entry { key: (*key).into(), key_span: span, value: Value::null(span) });
            entries.len() - 1
        }
    };
    set(&mut entries[index].value, rest, text, span);
}

/// An object made of texts, for what a recording mentions but has no manifest of.
pub(super) fn map(span: Span, entries: Vec<(&str, Value)>) -> Value {
    let entry = |(key, value): (&str, Value)| Entry { key: key.into(), key_span: span, value };
    Value { span, kind: Kind::Map(entries.into_iter().map(entry).collect()) }
}

/// A list.
pub(super) fn list(span: Span, items: Vec<Value>) -> Value {
    Value { span, kind: Kind::Seq(items) }
}

/// A text of the recording in a message.
pub(super) fn shown(text: &str) -> String {
    crate::diagnostic::escape(&clip(text)).to_string()
}
