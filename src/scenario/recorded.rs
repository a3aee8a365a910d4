//! What a run has read, so that it can be run again when the files are gone: `stowplan explain` answers from it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::load;
use super::reader::COMMAND_LINE_SOURCES;
use super::tree::Limits;
use crate::diagnostic::{Diagnostics, Sources};

/// The texts that a run has read, and what its patterns and folders stood for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// By the name under which a text was read: a path as resolved, or `<stdin>`.
    pub texts: BTreeMap<String, Arc<str>>,
    /// What each path in a scenario yielded, by the path as written.
    pub reads: BTreeMap<String, Vec<PathBuf>>,
}

impl Recorded {
    /// A text by the path of its file; `-` is standard input.
    pub fn text(&self, path: &Path) -> Option<&Arc<str>> {
        self.texts.get(&shown(path))
    }
}

/// The name under which a file's text is kept.
pub fn shown(path: &Path) -> String {
    if path == Path::new("-") { "<stdin>".to_owned() } else { path.to_string_lossy().into_owned() }
}

/// Reads a file: from what was recorded, if that has it, else from disk.
///
/// # Errors
/// As [`load::read_text`].
pub fn read_text(recorded: Option<&Recorded>, path: &Path, limits: &Limits) -> Result<String, Diagnostics> {
    match recorded.and_then(|r| r.text(path)) {
        Some(text) => Ok(text.to_string()),
        None => load::read_text(path, limits),
    }
}

/// One path that a scenario names, and the files that it stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// As written.
    pub written: String,
    /// As resolved, in order.
    pub files: Vec<PathBuf>,
    /// Read row by row: a trace.
    pub streamed: bool,
}

/// As [`Recorded`], of texts that are in memory already: a snapshot is not copied.
#[derive(Debug, Default)]
pub struct Gathered<'a> {
    /// See [`Recorded::texts`].
    pub texts: BTreeMap<String, Cow<'a, str>>,
    /// See [`Recorded::reads`].
    pub reads: BTreeMap<String, Vec<PathBuf>>,
}

/// Everything that was read: `reads` of all variants and the texts that `sources` holds. Texts of files that are not among them
/// are the caller's business.
pub fn gather<'a>(reads: impl IntoIterator<Item = &'a Read>, sources: &[&'a Sources]) -> Gathered<'a> {
    let mut recorded = Gathered::default();
    for read in reads {
        recorded.reads.insert(read.written.clone(), read.files.clone());
    }
    for text in sources.iter().flat_map(|s| s.texts()) {
        let made_up = COMMAND_LINE_SOURCES.contains(&text.name.as_str());
        if !made_up && !recorded.texts.contains_key(&text.name) {
            recorded.texts.insert(text.name.clone(), Cow::Borrowed(text.text.as_str()));
        }
    }
    recorded
}
