//! The spanned tree that YAML and JSON texts are read into.
//!
//! Scalars keep the text they were written with, so `1.10`, `0x10`, `on` and `1e3` can be read as whatever the place asks for.

use crate::diagnostic::{Code, Diagnostic, SourceId, Span};
use crate::limits::Limit;

/// What a reader accepts before it gives up. Every limit can be raised by the caller.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one text. Default 64 MiB for scenarios; manifests use [`Limits::manifests`].
    pub bytes: usize,
    /// Nesting of lists and mappings. Default 128.
    pub depth: usize,
    /// Bytes that expanded aliases and merge keys may add, counting [`NODE_BYTES`] per node. Default 16 MiB.
    pub alias_bytes: usize,
    /// Bytes of a line of YAML: a plain scalar is looked at character by character. Default 64 MiB.
    pub line_bytes: usize,
}

/// What a node counts against [`Limits::alias_bytes`], besides its text.
pub const NODE_BYTES: usize = 64;

impl Limits {
    /// For scenarios and configuration files, as the command line has it.
    pub fn scenario() -> Limits {
        Limits {
            bytes: Limit::ScenarioBytes.size(),
            depth: Limit::Nesting.size(),
            alias_bytes: Limit::AliasBytes.size(),
            line_bytes: Limit::LineBytes.size(),
        }
    }
    /// For Kubernetes objects: a whole cluster's snapshot. Spans are 32 bit wide, so 4 GiB is the end in any case.
    pub fn manifests() -> Limits {
        Limits {
            bytes: Limit::ManifestBytes.size(),
            alias_bytes: Limit::ManifestAliasBytes.size(),
            ..Limits::scenario()
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::scenario()
    }
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct Value {
    /// Where it was written.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Null, boolean, number or string.
    Scalar(Scalar),
    /// A list.
    Seq(Vec<Value>),
    /// A mapping in the order written; keys are unique.
    Map(Vec<Entry>),
}

/// A scalar as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text, unescaped if it was quoted.
    pub text: Box<str>,
    /// Quoted, a block scalar or tagged `!!str`: a string whatever it looks like.
    pub quoted: bool,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key's text.
    pub key: Box<str>,
    /// Where the key was written.
    pub key_span: Span,
    /// The value.
    pub value: Value,
}

/// A scalar's type by the rules that `kubectl` uses (YAML 1.1 as read by sigs.k8s.io/yaml).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resolved<'a> {
    /// `null`, `~` or nothing.
    Null,
    /// `true`, `yes`, `on` ...
    Bool(bool),
    /// A whole number that fits.
    Int(i64),
    /// A whole number above `i64::MAX`.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// Everything else.
    Str(&'a str),
}

impl Scalar {
    /// The type that a plain scalar has for Kubernetes.
    pub fn resolve(&self) -> Resolved<'_> {
        let text = &*self.text;
        if self.quoted {
            return Resolved::Str(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
            "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                return Resolved::Bool(true);
            }
            "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
                return Resolved::Bool(false);
            }
            _ => {}
        }
        number(text).unwrap_or(Resolved::Str(text))
    }
    /// Is it null?
    pub fn is_null(&self) -> bool {
        !self.quoted && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

/// Numbers as go-yaml reads them: decimal, `0x`, `0o`, `0b`, leading 0 = octal, `_` ignored, floats with a digit.
fn number(text: &str) -> Option<Resolved<'static>> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(Resolved::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Some(Resolved::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return Some(Resolved::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let cleaned: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, digits) = match cleaned.as_bytes().first()? {
        b'-' => (true, &cleaned[1..]),
        b'+' => (false, &cleaned[1..]),
        _ => (false, &cleaned[..]),
    };
    let (radix, body) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'0'..=b'7', ..] if digits.bytes().all(|b| b.is_ascii_digit()) => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !body.is_empty()
        && !body.starts_with(['+', '-'])
        && let Ok(magnitude) = u64::from_str_radix(body, radix)
    {
        return if negative {
            0i64.checked_sub_unsigned(magnitude).map(Resolved::Int)
        } else if let Ok(value) = i64::try_from(magnitude) {
            Some(Resolved::Int(value))
        } else {
            Some(Resolved::Uint(magnitude))
        };
    }
    let float = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && digits.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'.')
        && digits.bytes().any(|b| b.is_ascii_digit());
    let value: f64 = if float { digits.parse().ok()? } else { return None };
    Some(Resolved::Float(if negative { -value } else { value }))
}

impl Value {
    /// A null at `span`.
    pub fn null(span: Span) -> Value {
        Value { span, kind: Kind::Scalar(Scalar { text: "".into(), quoted: false }) }
    }
    /// A plain scalar.
    pub fn plain(span: Span, text: &str) -> Value {
        Value { span, kind: Kind::Scalar(Scalar { text: text.into(), quoted: false }) }
    }
    /// A string.
    pub fn string(span: Span, text: &str) -> Value {
        Value { span, kind: Kind::Scalar(Scalar { text: text.into(), quoted: true }) }
    }
    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|e| &*e.key == key).map(|e| &e.value),
            _ => None,
        }
    }
    /// The list's elements, if this is one.
    pub fn as_seq(&self) -> Option<&[Value]> {
        match &self.kind {
            Kind::Seq(items) => Some(items),
            _ => None,
        }
    }
    /// The mapping's entries, if this is one.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }
    /// The scalar's text, if this is a scalar and not null.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(s) if !s.is_null() => Some(&s.text),
            _ => None,
        }
    }
    /// Is it null (or nothing at all)?
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(s) if s.is_null())
    }
    /// What it is, for messages: `a list`, `the number 5`.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Seq(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
            Kind::Scalar(s) => match s.resolve() {
                Resolved::Null => "nothing".to_owned(),
                Resolved::Bool(_) => format!("the boolean `{}`", clip(&s.text)),
                Resolved::Int(_) | Resolved::Uint(_) | Resolved::Float(_) => {
                    format!("the number `{}`", clip(&s.text))
                }
                Resolved::Str(_) => format!("`{}`", clip(&s.text)),
            },
        }
    }
    /// What it would count as an alias: bytes of its texts and [`NODE_BYTES`] per node.
    pub fn weight(&self) -> usize {
        NODE_BYTES
            + match &self.kind {
                Kind::Scalar(s) => s.text.len(),
                Kind::Seq(items) => items.iter().map(Value::weight).sum(),
                Kind::Map(entries) => entries.iter().map(|e| e.key.len() + e.value.weight()).sum(),
            }
    }
    /// Containers nested in each other, this one included; 0 for a scalar.
    pub fn depth(&self) -> usize {
        match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::Seq(items) => 1 + items.iter().map(Value::depth).max().unwrap_or(0),
            Kind::Map(entries) => 1 + entries.iter().map(|e| e.value.depth()).max().unwrap_or(0),
        }
    }
    /// Canonical JSON: keys in bytewise order, no spaces, scalars by their type. Equal for texts that mean the same.
    pub fn write_canonical(&self, out: &mut String) {
        match &self.kind {
            Kind::Scalar(s) => match s.resolve() {
                Resolved::Null => out.push_str("null"),
                Resolved::Bool(b) => out.push_str(if b { "true" } else { "false" }),
                // Numbers keep their text: `4`, `1.5` and `0x10` are quantities as well as numbers.
                Resolved::Int(_) | Resolved::Uint(_) | Resolved::Float(_) => push_json_string(out, &s.text),
                Resolved::Str(text) => push_json_string(out, text),
            },
            Kind::Seq(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Kind::Map(entries) => {
                let mut ordered: Vec<&Entry> = entries.iter().collect();
                ordered.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
                out.push('{');
                for (i, entry) in ordered.into_iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    push_json_string(out, &entry.key);
                    out.push(':');
                    entry.value.write_canonical(out);
                }
                out.push('}');
            }
        }
    }
}

/// Appends a JSON string literal.
fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A text short enough for a message.
pub fn clip(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().nth(LONGEST).is_some() {
        text.chars().take(LONGEST).collect::<String>() + "..."
    } else {
        text.to_owned()
    }
}

/// The error for a second key of the same name.
pub(super) fn duplicate_key(
    key: &str,
    span: Span,
    first: Span,
    line_of: impl Fn(Span) -> usize,
) -> Diagnostic {
    Diagnostic::error(Code::DuplicateKey, format!("key `{}` appears twice in one mapping", clip(key)))
        .at(span)
        .label(format!("first on line {}", line_of(first)))
        .help("keep one of the two")
}

/// The error for nesting beyond the limit.
pub(super) fn too_deep(span: Span, limits: &Limits) -> Diagnostic {
    Diagnostic::error(Code::TooLarge, format!("nested deeper than {} levels", limits.depth))
        .at(span)
        .help(Limit::Nesting.hint())
}

/// The error for a text beyond the limit.
pub fn too_long(name: &str, bytes: u64, limit: usize) -> Diagnostic {
    Diagnostic::error(Code::TooLarge, format!("{name} has {bytes} bytes, more than the limit of {limit}"))
        .help("split it into several files, or allow it: --limit scenario-bytes=SIZE or manifest-bytes=SIZE")
}

/// The error for bytes that are not UTF-8: with line and column, and the text before.
pub fn not_utf8(name: &str, bytes: &[u8], error: std::str::Utf8Error) -> Diagnostic {
    let valid = &bytes[..error.valid_up_to()];
    let line = valid.iter().filter(|b| **b == b'\n').count() as u64 + 1;
    let start = valid.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let tail = &valid[start..];
    let column = String::from_utf8_lossy(tail).chars().count() as u64 + 1;
    let shown = &tail[tail.len().saturating_sub(400)..];
    let text = String::from_utf8_lossy(shown).trim_start_matches('\u{fffd}').to_owned() + "\u{fffd}";
    let shown_column = if shown.len() == tail.len() { column } else { text.chars().count() as u64 };
    Diagnostic::error(Code::NotUtf8, format!("{name} is not UTF-8 (line {line}, character {column})"))
        .at_row(name, line, shown_column, &text)
        .label(format!("byte 0x{:02x}", bytes.get(error.valid_up_to()).copied().unwrap_or(0)))
        .help("save the file as UTF-8")
}

/// A span of `source`.
pub(super) fn span(source: SourceId, start: usize, end: usize) -> Span {
    Span { source, start: start.min(u32::MAX as usize) as u32, end: end.min(u32::MAX as usize) as u32 }
}
