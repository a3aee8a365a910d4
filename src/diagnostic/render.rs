//! Rendering with carets, safe for terminals.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Place, Severity, Sources};

/// Lines up to this many bytes are shown whole.
const WHOLE_LINE: usize = 200;
/// Characters of a longer line shown on either side of the place.
const CONTEXT_CHARS: usize = 70;
/// Longest highlighted range in characters; a longer one (or one over several lines) is cut.
const MAX_CARET_CHARS: usize = 60;
/// Longest message, label or help in characters.
const MAX_TEXT_CHARS: usize = 600;

/// Makes control characters, terminal escapes and direction marks visible, so that untrusted names can be printed.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unsafe(c) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Control characters, and those that reorder, hide or join text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// As [`escape`], clipped, with line breaks kept.
fn safe(text: &str) -> String {
    let mut out = String::new();
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        out.push_str(&escape(line));
    }
    if out.chars().count() > MAX_TEXT_CHARS {
        out = out.chars().take(MAX_TEXT_CHARS).collect::<String>() + " ...";
    }
    out
}

/// A line made printable, and where the caret goes in it (bytes).
struct Window {
    text: String,
    /// The line's beginning was cut off, so columns of `text` are not columns of the line.
    clipped: bool,
    caret: std::ops::Range<usize>,
}

/// Cuts the neighbourhood of `range` (bytes of `line`) out of a line.
fn window(line: &str, range: std::ops::Range<usize>) -> Window {
    let floor = |mut i: usize| {
        i = i.min(line.len());
        while !line.is_char_boundary(i) {
            i -= 1;
        }
        i
    };
    let (start, end) = (floor(range.start), floor(range.end.max(range.start)));
    // Only a bounded number of characters is looked at, however long the line is.
    let whole = line.len() <= WHOLE_LINE;
    let (before, caret_most, behind) = if whole {
        (WHOLE_LINE, WHOLE_LINE, WHOLE_LINE)
    } else {
        (CONTEXT_CHARS, MAX_CARET_CHARS, CONTEXT_CHARS)
    };
    let from = line[..start].char_indices().rev().take(before).last().map_or(start, |(i, _)| i);
    let mut text = String::new();
    if from > 0 {
        text.push_str("... ");
    }
    let push = |text: &mut String, c: char| match c {
        '\t' => text.push(' '),
        c if is_unsafe(c) => text.push('\u{fffd}'),
        c => text.push(c),
    };
    line[from..start].chars().for_each(|c| push(&mut text, c));
    let caret_start = text.len();
    line[start..end].chars().take(caret_most).for_each(|c| push(&mut text, c));
    let caret_end = text.len();
    if line[start..end].chars().nth(caret_most).is_none() {
        let rest = &line[end..];
        rest.chars().take(behind).for_each(|c| push(&mut text, c));
        if rest.chars().nth(behind).is_some() {
            text.push_str(" ...");
        }
    } else {
        text.push_str(" ...");
    }
    // A point at the end of a line still needs something to point at.
    if caret_start == caret_end && caret_end == text.len() {
        text.push(' ');
    }
    let point = text[caret_start..].chars().next().map_or(1, char::len_utf8);
    Window { text, clipped: from > 0, caret: caret_start..caret_end.max(caret_start + point) }
}

struct Shown {
    file: String,
    line: usize,
    column: usize,
    window: Window,
}

fn shown(place: &Place, sources: &Sources) -> Option<Shown> {
    match place {
        Place::None => None,
        Place::Span(span) => {
            let source = sources.get(span.source)?;
            let (line, column) = source.line_column(span.start);
            let (text, first) = source.line(line);
            let start = (span.start as usize).saturating_sub(first);
            let end = (span.end as usize).saturating_sub(first).min(text.len());
            Some(Shown { file: escape(&source.name), line, column, window: window(text, start..end) })
        }
        Place::Row(row) => {
            let super::Row { file, line, column, text } = &**row;
            let text = text.trim_end_matches(['\n', '\r']);
            let range = match *column {
                0 => 0..text.len(),
                n => {
                    let start = text.char_indices().nth(n as usize - 1).map_or(text.len(), |(i, _)| i);
                    start..start
                }
            };
            let (line, column) = (*line as usize, (*column).max(1) as usize);
            Some(Shown { file: escape(file), line, column, window: window(text, range) })
        }
    }
}

pub(super) fn render(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(safe(&diagnostic.message)).id(diagnostic.code.info().number);
    let mut group = Group::with_title(title);
    if let Some(shown) = shown(&diagnostic.place, sources) {
        let mut caret = AnnotationKind::Primary.span(shown.window.caret);
        if let Some(label) = &diagnostic.label {
            caret = caret.label(safe(label));
        }
        let clipped = shown.window.clipped;
        let mut snippet = Snippet::source(shown.window.text).line_start(shown.line).annotation(caret);
        if clipped {
            group = group.element(Origin::path(shown.file).line(shown.line).char_column(shown.column));
        } else {
            snippet = snippet.path(shown.file);
        }
        group = group.element(snippet);
    } else if let Some(label) = &diagnostic.label {
        group = group.element(Level::NOTE.message(safe(label)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(safe(help)));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}
