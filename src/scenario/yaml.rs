//! YAML texts into spanned trees. The only file that names the YAML crate.

use rustc_hash::FxHashMap;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::json;
use super::tree::{Entry, Kind, Limits, Scalar, Value, duplicate_key, span, too_deep};
use crate::diagnostic::{Code, Diagnostic, SourceId, Sources, Span};
use crate::limits::Limit;

/// Reads every document of a text, YAML or JSON. Empty documents are left out.
///
/// # Errors
/// The first syntax error, duplicate key or exceeded limit.
pub fn parse_all(sources: &Sources, source: SourceId, limits: &Limits) -> Result<Vec<Value>, Diagnostic> {
    let Some(text) = sources.get(source) else { return Ok(Vec::new()) };
    let text = text.text.strip_prefix('\u{feff}').unwrap_or(&text.text);
    if text.trim_start().starts_with(['{', '[']) {
        match json::parse_stream(sources, source, limits) {
            Ok(values) => return Ok(values),
            // `{a: 1}` is YAML; what looks like JSON keeps JSON's message.
            Err(error) if error.code != Code::Syntax || looks_like_json(text) => return Err(error),
            Err(_) => {}
        }
    }
    let mut values = Vec::new();
    let mut documents = Documents::new(sources, source, limits);
    while let Some(value) = documents.next_document()? {
        values.push(value);
    }
    Ok(values)
}

/// The first token behind the bracket tells JSON from YAML's flow style.
fn looks_like_json(text: &str) -> bool {
    let inner = text.trim_start().trim_start_matches(['{', '[']).trim_start();
    inner.starts_with(['"', '{', '['])
}

/// Reads a YAML text document by document.
pub struct Documents<'a> {
    parser: Parser<'a, StrInput<'a>>,
    sources: &'a Sources,
    source: SourceId,
    offsets: Offsets<'a>,
    limits: &'a Limits,
    /// Anchors of the current document.
    anchors: FxHashMap<usize, Anchored>,
    /// What aliases may still add.
    budget: usize,
    lines_checked: bool,
    finished: bool,
}

/// saphyr counts characters, spans count bytes.
struct Offsets<'a> {
    text: &'a str,
    /// Bytes of the byte order mark in front of `text`.
    skipped: usize,
    /// The byte offset of every 1024th character; empty if the text is ASCII.
    checkpoints: Vec<usize>,
}

impl<'a> Offsets<'a> {
    const STEP: usize = 1024;

    fn new(text: &'a str, skipped: usize) -> Offsets<'a> {
        let checkpoints = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(Self::STEP).map(|(i, _)| i).collect()
        };
        Offsets { text, skipped, checkpoints }
    }
    fn byte(&self, index: usize) -> usize {
        if self.checkpoints.is_empty() {
            return self.skipped + index.min(self.text.len());
        }
        let Some(start) = self.checkpoints.get(index / Self::STEP) else {
            return self.skipped + self.text.len();
        };
        let rest = self.text[*start..].char_indices().nth(index % Self::STEP);
        self.skipped + rest.map_or(self.text.len(), |(i, _)| start + i)
    }
}

/// What an alias stands for.
struct Anchored {
    value: Value,
    weight: usize,
    depth: usize,
}

/// A list or mapping that is still open.
struct Open {
    span: Span,
    anchor: usize,
    items: Items,
}

enum Items {
    Seq(Vec<Value>),
    Map { entries: Vec<Entry>, index: FxHashMap<Box<str>, usize>, key: Option<(Box<str>, Span)> },
}

impl<'a> Documents<'a> {
    /// A reader of the text `source`.
    pub fn new(sources: &'a Sources, source: SourceId, limits: &'a Limits) -> Documents<'a> {
        let whole = sources.get(source).map_or("", |s| &s.text);
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        Documents {
            parser: Parser::new_from_str(text),
            sources,
            source,
            offsets: Offsets::new(text, whole.len() - text.len()),
            limits,
            anchors: FxHashMap::default(),
            budget: limits.alias_bytes,
            lines_checked: false,
            finished: false,
        }
    }

    /// No line may be longer than the limit: the parser looks at plain text character by character, several times.
    fn check_lines(&self) -> Result<(), Diagnostic> {
        let text = self.sources.get(self.source).map_or("", |s| &s.text);
        if text.len() <= self.limits.line_bytes {
            return Ok(());
        }
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]) {
            if end - start > self.limits.line_bytes {
                let message =
                    format!("a line has {} bytes, more than {}", end - start, self.limits.line_bytes);
                return Err(Diagnostic::error(Code::TooLarge, message)
                    .at(span(self.source, start, start + 1))
                    .help(Limit::LineBytes.hint()));
            }
            start = end + 1;
        }
        Ok(())
    }

    /// The next document that is not empty; `None` at the end.
    ///
    /// # Errors
    /// A syntax error, a duplicate key, or a limit that is exceeded. Nothing more can be read afterwards.
    pub fn next_document(&mut self) -> Result<Option<Value>, Diagnostic> {
        loop {
            if self.finished {
                return Ok(None);
            }
            if !std::mem::replace(&mut self.lines_checked, true) {
                self.check_lines()?;
            }
            match self.event() {
                Ok((Event::StreamEnd, _)) => self.finished = true,
                Ok((Event::DocumentStart(_), _)) => {
                    self.anchors.clear();
                    let result = self.document();
                    self.finished |= result.is_err();
                    let value = result?;
                    if !value.is_null() {
                        return Ok(Some(value));
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    self.finished = true;
                    return Err(error);
                }
            }
        }
    }

    fn event(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, span(self.source, 0, 0))),
            Some(Ok((event, at))) => {
                let start = self.offsets.byte(at.start.index());
                let end = self.offsets.byte(at.end.index()).max(start);
                Ok((event, span(self.source, start, end)))
            }
            Some(Err(error)) => Err(self.syntax(&error)),
        }
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = self.offsets.byte(error.marker().index());
        let diagnostic = Diagnostic::error(Code::Syntax, format!("not valid YAML: {}", error.info()))
            .at(span(self.source, at, at));
        let line = self.sources.get(self.source).map_or("", |s| s.line(s.line_column(at as u32).0).0);
        if line.trim_start_matches(' ').starts_with('\t') {
            diagnostic.help("indent with spaces; YAML does not allow tabs there")
        } else {
            diagnostic
        }
    }

    /// The node of one document, up to its end.
    fn document(&mut self) -> Result<Value, Diagnostic> {
        let mut open: Vec<Open> = Vec::new();
        let mut root = None;
        loop {
            let (event, at) = self.event()?;
            let (value, anchor) = match event {
                Event::Scalar(text, style, anchor, tag) => {
                    (scalar(&text, style, tag.as_deref(), at)?, anchor)
                }
                Event::Alias(id) => (self.alias(id, open.len(), at)?, 0),
                Event::SequenceStart(anchor, tag) => {
                    check_tag(tag.as_deref(), "seq", at)?;
                    self.open(&mut open, Open { span: at, anchor, items: Items::Seq(Vec::new()) })?;
                    continue;
                }
                Event::MappingStart(anchor, tag) => {
                    check_tag(tag.as_deref(), "map", at)?;
                    let items = Items::Map { entries: Vec::new(), index: FxHashMap::default(), key: None };
                    self.open(&mut open, Open { span: at, anchor, items })?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                    Some(closed) => (close(closed.items, closed.span, at), closed.anchor),
                    None => continue,
                },
                Event::DocumentEnd | Event::StreamEnd => {
                    self.finished |= event == Event::StreamEnd;
                    return Ok(root.unwrap_or_else(|| Value::null(at)));
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
            };
            if anchor != 0 {
                let weight = value.weight();
                self.charge(weight, value.span)?;
                let depth = value.depth();
                self.anchors.insert(anchor, Anchored { value: value.clone(), weight, depth });
            }
            match open.last_mut() {
                None => root = Some(value),
                Some(parent) => attach(parent, value, self.sources)?,
            }
        }
    }

    fn open(&self, open: &mut Vec<Open>, new: Open) -> Result<(), Diagnostic> {
        if open.len() >= self.limits.depth {
            return Err(too_deep(new.span, self.limits));
        }
        if let Some(Open { items: Items::Map { key: None, .. }, .. }) = open.last() {
            return Err(key_error(new.span));
        }
        open.push(new);
        Ok(())
    }

    fn alias(&mut self, id: usize, outside: usize, at: Span) -> Result<Value, Diagnostic> {
        let unknown =
            || Diagnostic::error(Code::Syntax, "alias of an anchor that is still open or unknown").at(at);
        let (weight, depth) = self.anchors.get(&id).map(|a| (a.weight, a.depth)).ok_or_else(unknown)?;
        if outside + depth > self.limits.depth {
            return Err(too_deep(at, self.limits));
        }
        self.charge(weight, at)?;
        self.anchors.get(&id).map(|a| a.value.clone()).ok_or_else(unknown)
    }

    fn charge(&mut self, weight: usize, at: Span) -> Result<(), Diagnostic> {
        match self.budget.checked_sub(weight) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => Err(Diagnostic::error(
                Code::TooLarge,
                format!("aliases expand to more than {} bytes", self.limits.alias_bytes),
            )
            .at(at)
            .help(
                "write the values out, or allow it: --limit alias-bytes=SIZE or manifest-alias-bytes=SIZE",
            )),
        }
    }
}

fn key_error(at: Span) -> Diagnostic {
    Diagnostic::error(Code::Syntax, "a mapping's key is a list or a mapping; expected text")
        .at(at)
        .help("quote the text if braces or brackets belong to it")
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Span) -> Result<Value, Diagnostic> {
    let mut quoted = style != ScalarStyle::Plain;
    if let Some(tag) = tag {
        let suffix = if tag.handle == "tag:yaml.org,2002:" || tag.handle == "!!" { &*tag.suffix } else { "" };
        match suffix {
            "str" => quoted = true,
            "int" | "float" | "bool" | "null" | "timestamp" => quoted = false,
            _ if tag.handle.is_empty() && tag.suffix == "!" => quoted = true,
            _ => return Err(tag_error(tag, at)),
        }
    }
    Ok(Value { span: at, kind: Kind::Scalar(Scalar { text: text.into(), quoted }) })
}

fn check_tag(tag: Option<&Tag>, expected: &str, at: Span) -> Result<(), Diagnostic> {
    match tag {
        Some(tag) if !(tag.handle == "tag:yaml.org,2002:" && tag.suffix == expected) => {
            Err(tag_error(tag, at))
        }
        _ => Ok(()),
    }
}

fn tag_error(tag: &Tag, at: Span) -> Diagnostic {
    Diagnostic::error(Code::Syntax, format!("the tag `{tag}` is not supported"))
        .at(at)
        .help("leave the tag out; quote the value to make it a string")
}

/// Puts a finished value into its parent.
fn attach(parent: &mut Open, value: Value, sources: &Sources) -> Result<(), Diagnostic> {
    match &mut parent.items {
        Items::Seq(items) => items.push(value),
        Items::Map { entries, index, key } => match key.take() {
            None => match value.kind {
                Kind::Scalar(s) => *key = Some((s.text, value.span)),
                _ => return Err(key_error(value.span)),
            },
            Some((text, key_span)) => {
                if let Some(first) = index.get(&text).and_then(|i| entries.get(*i)) {
                    let line = |s: Span| sources.get(s.source).map_or(0, |t| t.line_column(s.start).0);
                    return Err(duplicate_key(&text, key_span, first.key_span, line));
                }
                index.insert(text.clone(), entries.len());
                entries.push(Entry { key: text, key_span, value });
            }
        },
    }
    Ok(())
}

fn close(items: Items, start: Span, end: Span) -> Value {
    let kind = match items {
        Items::Seq(items) => Kind::Seq(items),
        Items::Map { entries, index, .. } => Kind::Map(merged(entries, index)),
    };
    let last = match &kind {
        Kind::Seq(items) => items.last().map(|v| v.span.end),
        Kind::Map(entries) => entries.last().map(|e| e.value.span.end.max(e.key_span.end)),
        Kind::Scalar(_) => None,
    };
    // A block's end event lies at the next token; what counts is where its last element ends.
    let end = if end.end > end.start { end.end } else { last.unwrap_or(end.end) };
    Value { span: Span { end: end.max(start.start), ..start }, kind }
}

/// Resolves `<<`: the mapping's own keys win, then earlier merged mappings.
fn merged(mut entries: Vec<Entry>, mut index: FxHashMap<Box<str>, usize>) -> Vec<Entry> {
    let Some(at) = index.get("<<").copied() else { return entries };
    let mergeable = |v: &Value| v.as_map().is_some();
    let list = |v: &Value| v.as_seq().is_some_and(|s| s.iter().all(mergeable));
    if !entries.get(at).is_some_and(|e| mergeable(&e.value) || list(&e.value)) {
        return entries;
    }
    let merge = entries.remove(at).value;
    let maps = match merge.kind {
        Kind::Map(map) => vec![map],
        Kind::Seq(items) => items
            .into_iter()
            .filter_map(|v| match v.kind {
                Kind::Map(map) => Some(map),
                _ => None,
            })
            .collect(),
        Kind::Scalar(_) => Vec::new(),
    };
    for entry in maps.into_iter().flatten() {
        if !index.contains_key(&entry.key) {
            index.insert(entry.key.clone(), entries.len());
            entries.push(entry);
        }
    }
    entries
}

#[cfg(test)]
mod tests;
