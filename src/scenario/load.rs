//! Loading: the file's tree, overrides on it, and the scenario that comes out.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::files;
use super::read::{self, Env};
use super::reader::{Assumption, Ctx};
use super::recorded::{self, Recorded};
use super::tree::{Entry, Kind, Limits, Value, not_utf8, too_long};
use super::types::{Override, Scenario, Variant};
use super::{paths, yaml};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, SourceId, Sources, Span};

/// How a scenario is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Limits of the scenario's own text.
    pub limits: Limits,
    /// Trace files must exist. Default true.
    pub check_trace_files: bool,
    /// Read what a former run has read, instead of files. Default none.
    pub recorded: Option<Arc<Recorded>>,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions { limits: Limits::scenario(), check_trace_files: true, recorded: None }
    }
}

/// A scenario's text as a tree, before overrides and checks.
#[derive(Clone, Debug)]
pub struct ScenarioFile {
    tree: Value,
    /// The texts read so far.
    pub sources: Sources,
    /// Folder that relative paths start from.
    pub base: PathBuf,
    options: LoadOptions,
}

/// A checked scenario.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The scenario.
    pub scenario: Scenario,
    /// What was odd but allowed.
    pub warnings: Vec<Diagnostic>,
    /// Every default and catalogue value that was used, in the order of the format.
    pub assumptions: Vec<Assumption>,
    /// The texts that spans point into.
    pub sources: Sources,
    /// Canonical text of the tree with its overrides, without `description`: what the scenario's digest is taken over.
    pub canonical: String,
    /// Paths that were resolved, in order.
    pub reads: Vec<recorded::Read>,
    /// What a former run has read, if this is that run made again.
    pub recorded: Option<Arc<Recorded>>,
}

impl ScenarioFile {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, is not UTF-8, or is not YAML or JSON.
    pub fn read(path: &Path, options: &LoadOptions) -> Result<ScenarioFile, Diagnostics> {
        let stdin = path == Path::new("-");
        let name = if stdin { "<stdin>".to_owned() } else { path.to_string_lossy().into_owned() };
        let base = if stdin { PathBuf::new() } else { path.parent().map(Path::to_owned).unwrap_or_default() };
        let text = recorded::read_text(options.recorded.as_deref(), path, &options.limits)?;
        ScenarioFile::from_text(&name, text, &base, options)
    }

    /// Reads a text. `base` is the folder that its relative paths start from.
    ///
    /// # Errors
    /// A text that is not one YAML or JSON document.
    pub fn from_text(
        name: &str,
        text: String,
        base: &Path,
        options: &LoadOptions,
    ) -> Result<ScenarioFile, Diagnostics> {
        if text.len() > options.limits.bytes {
            return Err(too_long(name, text.len() as u64, options.limits.bytes).into());
        }
        let mut sources = Sources::new();
        let source = sources.add(name, text);
        let one =
            yaml::parse_all(&sources, source, &options.limits).and_then(|values| single(values, source));
        match one {
            Ok(tree) => Ok(ScenarioFile { tree, sources, base: base.to_owned(), options: options.clone() }),
            Err(error) => Err(Diagnostics::new(vec![error], sources)),
        }
    }

    /// A scenario made of manifests alone, named `manifests`: `stowplan run -f FILES`.
    pub fn from_manifests(manifests: &[String], options: &LoadOptions) -> ScenarioFile {
        let mut sources = Sources::new();
        let mut text = String::from("-f");
        let mut spans = Vec::new();
        for manifest in manifests {
            text.push(' ');
            spans.push((text.len(), text.len() + manifest.len()));
            text.push_str(manifest);
        }
        let source = sources.add("<command line>", text);
        let at = |start: usize, end: usize| Span { source, start: start as u32, end: end as u32 };
        let whole = at(0, 2);
        let list: Vec<Value> = manifests
            .iter()
            .zip(&spans)
            .map(|(m, (start, end))| Value::string(at(*start, *end), m))
            .collect();
        let entry = |key: &str, value| Entry { key: key.into(), key_span: whole, value };
        let cluster = Value {
            span: whole,
            kind: Kind::Map(vec![entry("manifests", Value { span: whole, kind: Kind::Seq(list) })]),
        };
        let tree = Value {
            span: whole,
            kind: Kind::Map(vec![
                entry("version", Value::plain(whole, "1")),
                entry("name", Value::plain(whole, "manifests")),
                entry("cluster", cluster),
            ]),
        };
        ScenarioFile { tree, sources, base: PathBuf::new(), options: options.clone() }
    }

    /// The tree as read.
    pub fn tree(&self) -> &Value {
        &self.tree
    }

    /// Reads `PATH=VALUE` arguments; their texts join the sources.
    ///
    /// # Errors
    /// Malformed or forbidden paths, malformed values.
    pub fn parse_sets(&mut self, arguments: &[String]) -> Result<Vec<Override>, Diagnostics> {
        let mut sets = Vec::new();
        for argument in arguments {
            match paths::parse_set(&mut self.sources, argument) {
                Ok(set) => sets.push(set),
                Err(error) => return Err(Diagnostics::new(vec![error], self.sources.clone())),
            }
        }
        Ok(sets)
    }

    /// Applies overrides in order and reads the result.
    ///
    /// # Errors
    /// Everything that is wrong with it, not just the first.
    pub fn resolve(&self, overrides: &[Override]) -> Result<Loaded, Diagnostics> {
        let mut tree = self.tree.clone();
        let mut errors: Vec<Diagnostic> =
            overrides.iter().filter_map(|change| paths::apply(&mut tree, change).err()).collect();
        let mut ctx = Ctx::new(self.sources.clone());
        ctx.recorded.clone_from(&self.options.recorded);
        let env = Env { base: &self.base, check_trace_files: self.options.check_trace_files };
        let scenario = read::scenario(&mut ctx, &tree, &env);
        errors.append(&mut ctx.diags);
        let failed = errors.iter().any(|d| d.severity == Severity::Error);
        match scenario {
            Some(scenario) if !failed => Ok(Loaded {
                scenario,
                warnings: errors,
                assumptions: ctx.assumptions,
                sources: ctx.sources,
                canonical: canonical(&tree),
                reads: ctx.reads,
                recorded: ctx.recorded,
            }),
            _ => {
                if !failed {
                    errors
                        .push(Diagnostic::error(Code::Other, "the scenario could not be read").at(tree.span));
                }
                Err(Diagnostics::new(errors, ctx.sources))
            }
        }
    }

    /// The scenario of one variant at one point: the later wins of file, variant, axes, `--set`.
    ///
    /// # Errors
    /// As [`ScenarioFile::resolve`].
    pub fn resolve_point(
        &self,
        variant: &Variant,
        axes: &[Override],
        sets: &[Override],
    ) -> Result<Loaded, Diagnostics> {
        let all: Vec<Override> = variant.set.iter().chain(axes).chain(sets).cloned().collect();
        self.resolve(&all)
    }
}

impl Scenario {
    /// Reads and resolves a scenario file in one step.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path, overrides: &[Override], options: &LoadOptions) -> Result<Loaded, Diagnostics> {
        ScenarioFile::read(path, options)?.resolve(overrides)
    }
}

/// What the digest is taken over: the meaning, not the description.
fn canonical(tree: &Value) -> String {
    let mut out = String::new();
    match &tree.kind {
        Kind::Map(entries) => {
            let kept = entries.iter().filter(|e| &*e.key != "description").cloned().collect();
            Value { span: tree.span, kind: Kind::Map(kept) }.write_canonical(&mut out);
        }
        _ => tree.write_canonical(&mut out),
    }
    out
}

fn single(mut values: Vec<Value>, source: SourceId) -> Result<Value, Diagnostic> {
    if values.len() > 1 {
        let at = values[1].span;
        return Err(
            Diagnostic::error(Code::Syntax, "a scenario is one document, here begins a second").at(at)
        );
    }
    values.pop().ok_or_else(|| {
        Diagnostic::error(Code::Syntax, "the scenario is empty")
            .at(Span { source, start: 0, end: 0 })
            .help("begin with `version: 1` and `name: ...`; `stowplan new` writes an example")
    })
}

/// Standard input can be read once, but it may be asked for again. What is kept for that is packed when it is large: a snapshot of
/// a gigabyte is not to be in memory twice.
fn stdin_bytes(cap: u64) -> std::io::Result<Vec<u8>> {
    static READ: Mutex<Option<Kept>> = Mutex::new(None);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = &*read {
        return kept.bytes();
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(cap).read_to_end(&mut bytes)?;
    *read = Some(Kept::of(&bytes)?);
    Ok(bytes)
}

/// Bytes that may be wanted once more.
struct Kept {
    bytes: Vec<u8>,
    packed: bool,
}

impl Kept {
    /// Above this they are packed.
    const LARGE: usize = 16 << 20;
    /// zstd's fast levels are negative; this one keeps up with reading.
    const LEVEL: i32 = -3;

    fn of(bytes: &[u8]) -> std::io::Result<Kept> {
        let packed = bytes.len() > Kept::LARGE;
        let bytes = if packed { zstd::encode_all(bytes, Kept::LEVEL)? } else { bytes.to_vec() };
        Ok(Kept { bytes, packed })
    }
    fn bytes(&self) -> std::io::Result<Vec<u8>> {
        if self.packed { zstd::decode_all(&*self.bytes) } else { Ok(self.bytes.clone()) }
    }
}

/// Reads a whole file (`-` = standard input) as UTF-8, never more than the limit.
///
/// # Errors
/// A path that is absent, no regular file, unreadable, too large or not UTF-8.
pub fn read_text(path: &Path, limits: &Limits) -> Result<String, Diagnostics> {
    let cap = (limits.bytes as u64).saturating_add(1);
    let mut bytes = Vec::new();
    let stdin = path == Path::new("-");
    let name = if stdin { "<stdin>".to_owned() } else { path.to_string_lossy().into_owned() };
    if stdin {
        bytes = stdin_bytes(cap).map_err(|e| files::cannot_read(path, &e))?;
    } else {
        // Opening a FIFO would block until somebody writes.
        let meta = std::fs::metadata(path).map_err(|e| files::cannot_read(path, &e))?;
        if !meta.is_file() {
            return Err(files::not_a_file(path).into());
        }
        if meta.len() >= cap {
            return Err(too_long(&name, meta.len(), limits.bytes).into());
        }
        let file = std::fs::File::open(path).map_err(|e| files::cannot_read(path, &e))?;
        let room = bytes.try_reserve_exact(meta.len() as usize);
        room.map_err(|_| files::cannot_read(path, &std::io::ErrorKind::OutOfMemory.into()))?;
        file.take(cap).read_to_end(&mut bytes).map_err(|e| files::cannot_read(path, &e))?;
    }
    if bytes.len() as u64 >= cap {
        return Err(too_long(&name, bytes.len() as u64, limits.bytes).into());
    }
    String::from_utf8(bytes).map_err(|e| {
        let error = e.utf8_error();
        not_utf8(&name, e.as_bytes(), error).into()
    })
}

#[cfg(test)]
mod tests;
