//! Paths such as `cluster.nodes[db].disks[0].split`, and overrides by path: edits of the tree before it is checked.

use super::tree::{Entry, Kind, Limits, Value, clip};
use super::types::Override;
use super::yaml;
use crate::diagnostic::{Code, Diagnostic, Place, SourceId, Sources, Span, did_you_mean};

/// Parts of the scenario that overrides may not touch.
pub const FORBIDDEN: &[&str] = &["version", "name", "variants", "sweep", "plan", "report"];
/// Steps of one path.
const MAX_STEPS: usize = 64;
/// Keys of which a mapping may have only one: setting one removes the others.
const EXCLUSIVE: &[&[&str]] = &[&["split", "sizes", "lvm"]];

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `.key`
    Key(String),
    /// `[name]`: the list's element with that `name`.
    Name(String),
    /// `[0]`
    Index(usize),
}

/// Splits a path into steps.
///
/// # Errors
/// What is malformed.
pub fn parse(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path;
    let mut expect_key = true;
    while !rest.is_empty() {
        if steps.len() >= MAX_STEPS {
            return Err(format!("longer than {MAX_STEPS} steps"));
        }
        if let Some(inside) = rest.strip_prefix('[') {
            if steps.is_empty() {
                return Err("a path begins with a key".to_owned());
            }
            let Some(end) = inside.find(']') else { return Err("`[` without `]`".to_owned()) };
            let name = &inside[..end];
            if name.is_empty() {
                return Err("`[]` names no element".to_owned());
            }
            steps.push(match name.parse::<usize>() {
                Ok(index) if name.bytes().all(|b| b.is_ascii_digit()) => Step::Index(index),
                _ => Step::Name(name.to_owned()),
            });
            rest = &inside[end + 1..];
            expect_key = false;
            continue;
        }
        if !expect_key {
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None => return Err("expected `.` or `[` behind an element".to_owned()),
            }
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        if end == 0 {
            return Err("an empty key".to_owned());
        }
        steps.push(Step::Key(rest[..end].to_owned()));
        rest = &rest[end..];
        expect_key = false;
    }
    if steps.is_empty() || path.ends_with('.') {
        return Err("an empty key".to_owned());
    }
    Ok(steps)
}

/// Checks that an override's path is well formed and may be touched.
///
/// # Errors
/// The reason, at the path.
pub fn check(change: &Override) -> Result<(), Diagnostic> {
    let steps = parse(&change.path).map_err(|reason| bad_path(change, &reason))?;
    if let Some(Step::Key(first)) = steps.first()
        && FORBIDDEN.contains(&first.as_str())
    {
        return Err(Diagnostic::error(
            Code::ForbiddenPath,
            format!("`{}` may not be overridden", clip(&change.path)),
        )
        .at(change.path_span)
        .help(format!("overrides may touch anything but {}", FORBIDDEN.join(", "))));
    }
    Ok(())
}

fn bad_path(change: &Override, reason: &str) -> Diagnostic {
    Diagnostic::error(Code::BadPath, format!("`{}` is not a path: {reason}", clip(&change.path)))
        .at(change.path_span)
        .help("for example cluster.nodes[db].disks[0].split")
}

/// Reads `PATH=VALUE` from the command line; the value is YAML.
///
/// # Errors
/// A malformed path or value.
pub fn parse_set(sources: &mut Sources, text: &str) -> Result<Override, Diagnostic> {
    let source = sources.add("--set", text);
    let whole = Span { source, start: 0, end: text.len() as u32 };
    let Some((path, written)) = text.split_once('=') else {
        return Err(Diagnostic::error(Code::BadPath, "expected PATH=VALUE")
            .at(whole)
            .help("for example --set cluster.nodes[db].count=40"));
    };
    // The value is parsed in place, behind blanks as long as the path, so that its positions are those of the argument.
    let mut padded = Sources::new();
    let inner = padded.add("--set", format!("{}{written}", " ".repeat(path.len() + 1)));
    let mut values = yaml::parse_all(&padded, inner, &Limits::scenario()).map_err(|mut error| {
        if let Place::Span(span) = &mut error.place {
            span.source = source;
        }
        error
    })?;
    let value_span = Span { start: (path.len() as u32).saturating_add(1), ..whole };
    let mut value = match values.len() {
        0 => Value::null(value_span),
        1 => values.remove(0),
        _ => return Err(Diagnostic::error(Code::Syntax, "expected one value").at(value_span)),
    };
    move_to(&mut value, source);
    let path_span = Span { end: path.len() as u32, ..whole };
    let change = Override { path: path.trim().to_owned(), value, path_span };
    check(&change)?;
    Ok(change)
}

/// Lets every span of a tree point into another text with the same positions.
fn move_to(value: &mut Value, source: SourceId) {
    value.span.source = source;
    match &mut value.kind {
        Kind::Scalar(_) => {}
        Kind::Seq(items) => items.iter_mut().for_each(|v| move_to(v, source)),
        Kind::Map(entries) => {
            for entry in entries {
                entry.key_span.source = source;
                move_to(&mut entry.value, source);
            }
        }
    }
}

/// Applies an override to the scenario's tree. Missing mappings on the way are made; missing list elements are an error.
///
/// # Errors
/// A path that leads nowhere or may not be touched.
pub fn apply(tree: &mut Value, change: &Override) -> Result<(), Diagnostic> {
    check(change)?;
    let steps = parse(&change.path).map_err(|reason| bad_path(change, &reason))?;
    let mut at = tree;
    let mut walked = String::new();
    for (i, step) in steps.iter().enumerate() {
        let last = i + 1 == steps.len();
        at = match step {
            Step::Key(key) => child(at, key, change, last, &walked)?,
            Step::Name(name) => named(at, name, change, &walked)?,
            Step::Index(index) => indexed(at, *index, change, &walked)?,
        };
        match step {
            Step::Key(key) if walked.is_empty() => walked.push_str(key),
            Step::Key(key) => walked.push_str(&format!(".{key}")),
            Step::Name(name) => walked.push_str(&format!("[{name}]")),
            Step::Index(index) => walked.push_str(&format!("[{index}]")),
        }
    }
    *at = change.value.clone();
    Ok(())
}

fn unknown(change: &Override, message: String, hint: Option<String>) -> Diagnostic {
    Diagnostic::error(Code::UnknownPath, message).at(change.path_span).maybe_help(hint)
}

fn child<'t>(
    at: &'t mut Value,
    key: &str,
    change: &Override,
    last: bool,
    walked: &str,
) -> Result<&'t mut Value, Diagnostic> {
    if at.is_null() {
        at.kind = Kind::Map(Vec::new());
    }
    let list = matches!(at.kind, Kind::Seq(_));
    let Kind::Map(entries) = &mut at.kind else {
        let hint = list.then(|| format!("pick an element: {walked}[name] or {walked}[0]"));
        return Err(unknown(change, format!("`{walked}` is no mapping, so it has no `{}`", clip(key)), hint));
    };
    if last && let Some(group) = EXCLUSIVE.iter().find(|g| g.contains(&key)) {
        entries.retain(|e| &*e.key == key || !group.contains(&&*e.key));
    }
    let index = match entries.iter().position(|e| &*e.key == key) {
        Some(index) => index,
        None => {
            // Keys that the format does not know are refused, with this place, when the tree is read.
            let value = Value::null(change.path_span);
            entries.push(Entry { key: key.into(), key_span: change.path_span, value });
            entries.len() - 1
        }
    };
    Ok(&mut entries[index].value)
}

fn named<'t>(
    at: &'t mut Value,
    name: &str,
    change: &Override,
    walked: &str,
) -> Result<&'t mut Value, Diagnostic> {
    let Kind::Seq(items) = &mut at.kind else {
        return Err(unknown(
            change,
            format!("`{walked}` is no list, so it has no element `{}`", clip(name)),
            None,
        ));
    };
    let found = items.iter().position(|v| v.get("name").and_then(Value::as_text) == Some(name));
    match found {
        Some(index) => Ok(&mut items[index]),
        None => {
            let names: Vec<&str> =
                items.iter().filter_map(|v| v.get("name").and_then(Value::as_text)).collect();
            let hint = did_you_mean(name, names.iter().copied())
                .or_else(|| (!names.is_empty()).then(|| format!("there are {}", clip(&names.join(", ")))));
            Err(unknown(change, format!("`{walked}` has no element named `{}`", clip(name)), hint))
        }
    }
}

fn indexed<'t>(
    at: &'t mut Value,
    index: usize,
    change: &Override,
    walked: &str,
) -> Result<&'t mut Value, Diagnostic> {
    let Kind::Seq(items) = &mut at.kind else {
        return Err(unknown(change, format!("`{walked}` is no list, so it has no element {index}"), None));
    };
    let length = items.len();
    items.get_mut(index).ok_or_else(|| {
        unknown(change, format!("`{walked}` has {length} elements, so there is no [{index}]"), None)
    })
}

#[cfg(test)]
mod tests;
