//! Recordings of a real control plane, made into scenarios that can be run.
//!
//! A recording is a JSON text (plain or gzip) of one of two kinds:
//!
//! - a *watch*: `manifests` (the objects that were created, in order) and `timeline` (what a client saw of them, second by second).
//!   What somebody did to the cluster is told from what controllers and kubelets did by the traces that each leaves.
//! - an *operation list*: `cluster` (nodes, volumes, class), `operations` (time, verb, object) and `settings`.
//!
//! ```text
//! text -> json -> operations (watch.rs, operations.rs) and settings (settings.rs) -> scenario.yaml and manifests (write.rs)
//! ```
//! Nothing that the control plane decided goes into the scenario: where pods landed, what was bound and when is what a run is
//! compared with.

mod input;
mod operations;
pub mod replay;
mod settings;
mod watch;
mod write;

#[cfg(test)]
mod tests;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources};
use crate::scenario::files;
use crate::scenario::json;
use crate::scenario::tree::{Limits, Value, not_utf8, too_long};
use flate2::read::MultiGzDecoder;
use input::Input;
use settings::Settings;
use std::io::Read;
use std::path::Path;

/// A scenario made of a recording: its texts by path relative to its folder.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The recording's name.
    pub name: String,
    /// The scenario's text. It names the manifests by their paths below.
    pub scenario: String,
    /// Path and text of every manifest.
    pub manifests: Vec<(String, String)>,
    /// How many operations the timeline has.
    pub operations: usize,
    /// What could not be taken over.
    pub warnings: Diagnostics,
}

/// What somebody did.
#[derive(Clone, Debug)]
struct Operation {
    /// Seconds since the start, as written.
    at: f64,
    what: What,
}

/// Verbs of the scenario's timeline.
#[derive(Clone, Debug)]
enum What {
    Apply(Box<Value>),
    DeletePod {
        pod: String,
        force: bool,
    },
    DeletePvc(String),
    DeletePv {
        name: String,
        force: bool,
    },
    ClearClaimRef(String),
    Delete {
        kind: String,
        name: String,
    },
    Scale {
        kind: String,
        name: String,
        replicas: u64,
    },
    SetAllocatable {
        node: String,
        cpu: String,
    },
    Taint {
        node: String,
        taint: String,
        remove: bool,
    },
    NodeDown(String),
    NodeUp(String),
    NodeDelete(String),
    Cordon(String),
    Uncordon(String),
    Drain(String),
    /// Seconds.
    ControllerManagerDown(f64),
}

/// A recording, understood.
#[derive(Clone, Debug)]
struct Recording {
    name: String,
    description: String,
    /// Seconds.
    duration: f64,
    /// Objects that are there before anything happens.
    start: Vec<Value>,
    /// In the order of time.
    operations: Vec<Operation>,
    settings: Settings,
}

/// Reads a recording's file, plain or gzip, and makes a scenario of it. `folder`: where the scenario will name its manifests.
///
/// # Errors
/// Files that cannot be read, texts that are no recording, with the place of what is wrong.
pub fn import_file(path: &Path, folder: &str) -> Result<Imported, Diagnostics> {
    let text = read(path, &Limits::manifests())?;
    import(&path.to_string_lossy(), text, folder)
}

/// Makes a scenario of a recording's text; `name` is what messages call it.
///
/// # Errors
/// As [`import_file`].
pub fn import(name: &str, text: String, folder: &str) -> Result<Imported, Diagnostics> {
    let (tree, sources) = parse(name, text)?;
    let mut input = Input::default();
    let found = recording(&mut input, &tree, &stem(name));
    let Some(recording) = found.filter(|_| input.errors.is_empty()) else {
        return Err(Diagnostics::new(input.errors, sources));
    };
    let warnings = Diagnostics::new(input.warnings, sources);
    Ok(write::scenario(&recording, folder, warnings))
}

/// The tree of a recording, to compare a run with.
///
/// # Errors
/// As [`import_file`].
pub fn parse_file(path: &Path) -> Result<serde_json::Value, Diagnostics> {
    let text = read(path, &Limits::manifests())?;
    serde_json::from_str(&text).map_err(|error| {
        Diagnostic::error(Code::Syntax, error.to_string())
            .at_row(&path.to_string_lossy(), error.line() as u64, error.column() as u64, "")
            .into()
    })
}

fn parse(name: &str, text: String) -> Result<(Value, Sources), Diagnostics> {
    let mut sources = Sources::new();
    let source = sources.add(name, text);
    let fail = |error: Diagnostic, sources: &Sources| Diagnostics::new(vec![error], sources.clone());
    let limits = Limits::manifests();
    let mut reader = json::Reader::new(&sources, source, &limits);
    let tree = reader.value(0).map_err(|error| fail(error.help(NOT_JSON), &sources))?;
    if !reader.at_end() {
        let error = Diagnostic::error(Code::Syntax, "more text behind the recording").at(tree.span);
        return Err(fail(error, &sources));
    }
    Ok((tree, sources))
}

const NOT_JSON: &str = "a recording is one JSON object, plain or compressed with gzip";

/// The file's name without what it was compressed with.
fn stem(name: &str) -> String {
    let file = Path::new(name).file_name().map_or(name.into(), |n| n.to_string_lossy());
    let file = file.strip_suffix(".gz").unwrap_or(&file);
    file.strip_suffix(".json").unwrap_or(file).to_owned()
}

fn recording(input: &mut Input, tree: &Value, stem: &str) -> Option<Recording> {
    if tree.as_map().is_none() {
        input.wrong(
            tree,
            "the recording",
            "an object with manifests and timeline, or cluster and operations",
        );
        return None;
    }
    if tree.get("operations").is_some() {
        return operations::read(input, tree, stem);
    }
    if tree.get("timeline").is_some() && tree.get("manifests").is_some() {
        return watch::read(input, tree, stem);
    }
    let missing = if tree.get("timeline").is_some() { "manifests" } else { "timeline" };
    input.errors.push(
        Diagnostic::error(Code::MissingKey, format!("this is no recording: it has no `{missing}`"))
            .at(tree.span)
            .label("expected manifests and timeline, or cluster and operations"),
    );
    None
}

/// A whole file, decompressed if it begins as gzip does, never more than the limit.
fn read(path: &Path, limits: &Limits) -> Result<String, Diagnostics> {
    let name = path.to_string_lossy().into_owned();
    let cap = limits.bytes as u64 + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        let mut stdin = std::io::stdin().lock().take(cap);
        stdin.read_to_end(&mut bytes).map_err(|e| files::cannot_read(path, &e))?;
    } else {
        let meta = std::fs::metadata(path).map_err(|e| files::cannot_read(path, &e))?;
        if !meta.is_file() {
            return Err(files::not_a_file(path).into());
        }
        let file = std::fs::File::open(path).map_err(|e| files::cannot_read(path, &e))?;
        file.take(cap).read_to_end(&mut bytes).map_err(|e| files::cannot_read(path, &e))?;
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(&bytes[..]).take(cap).read_to_end(&mut plain).map_err(|error| {
            Diagnostic::error(Code::Syntax, format!("{name}: not gzip after all, or cut off: {error}"))
                .help(NOT_JSON)
        })?;
        bytes = plain;
    }
    if bytes.len() as u64 >= cap {
        return Err(too_long(&name, bytes.len() as u64, limits.bytes).into());
    }
    String::from_utf8(bytes).map_err(|e| {
        let error = e.utf8_error();
        not_utf8(&name, e.as_bytes(), error).into()
    })
}
