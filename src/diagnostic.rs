//! What is wrong with an input, where, and what to do about it.
//!
//! Every reader of untrusted input returns [`Diagnostics`]: a list of coded [`Diagnostic`]s, each with a place in a source text
//! where there is one. They are rendered with file, line, column and a caret; control characters and terminal escapes of the
//! input are made visible, never sent to the terminal. Warnings are diagnostics too.

mod code;
mod render;

use std::fmt;
use std::sync::{Arc, OnceLock};

pub use code::{CODES, Code, CodeInfo};
pub use render::escape;

/// A text that diagnostics point into: a file, standard input or an override from the command line.
#[derive(Debug)]
pub struct SourceText {
    /// The name as the user gave it (a path, `<stdin>`, `--set`).
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Byte offset of the first byte of every line, once somebody asks: a snapshot has tens of millions of them.
    lines: OnceLock<Vec<u32>>,
}

impl SourceText {
    fn new(name: String, text: String) -> SourceText {
        SourceText { name, text, lines: OnceLock::new() }
    }

    fn lines(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let ends = memchr::memchr_iter(b'\n', self.text.as_bytes());
            std::iter::once(0).chain(ends.map(|end| end as u32 + 1)).collect()
        })
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn line_column(&self, byte: u32) -> (usize, usize) {
        let lines = self.lines();
        let line = lines.partition_point(|start| *start <= byte).max(1);
        let start = lines[line - 1] as usize;
        let end = (byte as usize).min(self.text.len());
        let column = self.text.get(start..end).map_or(0, |t| t.chars().count());
        (line, column + 1)
    }

    /// The text of line `line` (from 1) without its end, and its first byte; empty behind the last line.
    pub fn line(&self, line: usize) -> (&str, usize) {
        let Some(start) = line.checked_sub(1).and_then(|l| self.lines().get(l)) else { return ("", 0) };
        let start = *start as usize;
        let end = self.lines().get(line).map_or(self.text.len(), |next| *next as usize);
        (self.text[start..end].trim_end_matches(['\n', '\r']), start)
    }
}

/// Which text of a [`Sources`] a [`Span`] lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A range of bytes in a source text. Sources are below 4 GiB (the readers' limits are far lower).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// Behind the last byte; equal to `start` for a point.
    pub end: u32,
}

/// The texts read so far. Cheap to clone; clones share the texts.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    texts: Vec<Arc<SourceText>>,
}

impl Sources {
    /// No text yet.
    pub fn new() -> Sources {
        Sources::default()
    }
    /// Adds a text.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.texts.push(Arc::new(SourceText::new(name.into(), text.into())));
        SourceId(self.texts.len() as u32 - 1)
    }
    /// All texts, in the order in which they were added.
    pub fn texts(&self) -> &[Arc<SourceText>] {
        &self.texts
    }
    /// The text of an id that this arena (or the one it was cloned from) gave out.
    pub fn get(&self, id: SourceId) -> Option<&Arc<SourceText>> {
        self.texts.get(id.0 as usize)
    }
    /// `file:line:column` of a span, for one-line messages and the list of assumptions.
    pub fn locate(&self, span: Span) -> String {
        match self.get(span.source) {
            Some(source) => {
                let (line, column) = source.line_column(span.start);
                format!("{}:{line}:{column}", escape(&source.name))
            }
            None => String::new(),
        }
    }
}

/// Does it stop the run?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The run goes on and says so.
    Warning,
    /// Nothing is run and nothing is written.
    Error,
}

/// Where the trouble is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// No place: the command line, a missing file.
    None,
    /// A range of a text that is kept in [`Sources`].
    Span(Span),
    /// A place in a file that is streamed and not kept, such as a trace.
    Row(Box<Row>),
}

/// A place in a file that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The file as the user named it.
    pub file: String,
    /// Line from 1.
    pub line: u64,
    /// Column in characters from 1; 0 = the whole line.
    pub column: u64,
    /// The line itself, clipped by the reader to a sensible length.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding.
    pub code: Code,
    /// Does it stop the run?
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    pub place: Place,
    /// A word or two beside the caret: what was expected.
    pub label: Option<Box<str>>,
    /// What to do about it.
    pub help: Option<Box<str>>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            place: Place::None,
            label: None,
            help: None,
        }
    }
    /// A warning without a place.
    pub fn warning(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }
    /// Points at a span.
    #[must_use]
    pub fn at(mut self, span: Span) -> Diagnostic {
        self.place = Place::Span(span);
        self
    }
    /// Points at a line of a streamed file; `column` 0 = the whole line.
    #[must_use]
    pub fn at_row(mut self, file: &str, line: u64, column: u64, text: &str) -> Diagnostic {
        self.place = Place::Row(Box::new(Row { file: file.to_owned(), line, column, text: text.to_owned() }));
        self
    }
    /// Adds the words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into().into_boxed_str());
        self
    }
    /// Adds a hint; the later of two wins.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into().into_boxed_str());
        self
    }
    /// Adds a hint if there is one.
    #[must_use]
    pub fn maybe_help(self, help: Option<String>) -> Diagnostic {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }
    /// Renders with caret; `color` adds ANSI colours.
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        render::render(self, sources, color)
    }
}

/// A reader's error: at least one finding, with the texts needed to show them.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// The findings in the order found, errors and warnings.
    pub list: Vec<Diagnostic>,
    /// The texts they point into.
    pub sources: Sources,
}

impl Diagnostics {
    /// Most findings that are rendered; the rest is counted.
    pub const MAX_RENDERED: usize = 50;

    /// Findings and the texts they point into.
    pub fn new(list: Vec<Diagnostic>, sources: Sources) -> Diagnostics {
        Diagnostics { list, sources }
    }
    /// Is there any error among them?
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }
    /// 3 if a file could not be read, 2 for every other bad input.
    pub fn exit_code(&self) -> u8 {
        let unreadable = |d: &Diagnostic| d.severity == Severity::Error && d.code.info().exit_code == 3;
        if self.list.iter().any(unreadable) { 3 } else { 2 }
    }
    /// All findings, rendered; errors before warnings.
    pub fn render(&self, color: bool) -> String {
        let mut ordered: Vec<&Diagnostic> = self.list.iter().collect();
        ordered.sort_by_key(|d| std::cmp::Reverse(d.severity));
        let mut out = String::new();
        for diagnostic in ordered.iter().take(Self::MAX_RENDERED) {
            out.push_str(&diagnostic.render(&self.sources, color));
            out.push('\n');
        }
        if ordered.len() > Self::MAX_RENDERED {
            out.push_str(&format!("... and {} more\n", ordered.len() - Self::MAX_RENDERED));
        }
        out
    }
}

impl Diagnostics {
    /// All findings for programs: `[{code, severity, message, file, line, column, label, help}]`; without a place the file is null.
    pub fn json(&self) -> serde_json::Value {
        let place = |d: &Diagnostic| match &d.place {
            Place::None => None,
            Place::Span(span) => self.sources.get(span.source).map(|source| {
                let (line, column) = source.line_column(span.start);
                (source.name.clone(), line as u64, column as u64)
            }),
            Place::Row(row) => Some((row.file.clone(), row.line, row.column)),
        };
        let one = |d: &Diagnostic| {
            let place = place(d);
            serde_json::json!({
                "code": d.code.info().number,
                "severity": if d.severity == Severity::Error { "error" } else { "warning" },
                "message": d.message,
                "file": place.as_ref().map(|p| &p.0),
                "line": place.as_ref().map(|p| p.1),
                "column": place.as_ref().map(|p| p.2),
                "label": d.label,
                "help": d.help,
            })
        };
        self.list.iter().map(one).collect()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        Diagnostics { list: vec![diagnostic], sources: Sources::new() }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

/// ``did you mean `x`?`` for the candidate nearest to `word`, if one is near enough.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|best| format!("did you mean `{}`?", escape(best)))
}

/// The candidate nearest to `word`, ignoring case, if it is near enough to be a slip.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer words are no slips, and comparing is quadratic.
    const LONGEST: usize = 80;
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter(|c| c.len() <= LONGEST)
        .map(|c| (strsim::osa_distance(&lower, &c.to_lowercase()), c))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests;
