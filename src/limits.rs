//! What is accepted of untrusted input: limits by name, with defaults, that the command line may change (`--limit NAME=VALUE`).
//!
//! A limit says what is refused, or how much memory is used; no result depends on it. That is why the values are the process's and not a parameter of
//! everything that reads: they are set once, before anything is read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A limit. [`LIMITS`] has its name, default and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described in LIMITS")]
pub enum Limit {
    ScenarioBytes,
    ManifestBytes,
    Nesting,
    AliasBytes,
    ManifestAliasBytes,
    LineBytes,
    Objects,
    Files,
    Nodes,
    Volumes,
    Sets,
    Replicas,
    Pods,
    TimelineEntries,
    Variants,
    AxisValues,
    SweepPoints,
    Replications,
    EmpiricalBytes,
    TraceLineBytes,
    TraceDocumentBytes,
    TraceRatio,
    CaseBytes,
    ResultsBytes,
    InputsBytes,
    CacheBytes,
}

/// Name, default and meaning of a limit.
#[derive(Debug)]
pub struct LimitInfo {
    /// The limit.
    pub limit: Limit,
    /// Its name on the command line.
    pub name: &'static str,
    /// The default.
    pub default: u64,
    /// Values above it cannot be had: counts are kept in 32 bits, places in texts too.
    pub most: u64,
    /// The unit: `bytes`, `levels`, or what is counted.
    pub unit: &'static str,
    /// What it limits.
    pub meaning: &'static str,
}

const fn row(
    limit: Limit,
    name: &'static str,
    (default, most): (u64, u64),
    unit: &'static str,
    meaning: &'static str,
) -> LimitInfo {
    LimitInfo { limit, name, default, most, unit, meaning }
}

/// Counts that are kept in 32 bits, with room above.
const COUNT: u64 = u32::MAX as u64 - 1;
/// Places in a text are kept in 32 bits.
const TEXT: u64 = u32::MAX as u64 - 1;
/// What never ends in practice.
const FREE: u64 = i64::MAX as u64;
/// Deeper trees would use up a thread's stack.
const DEEPEST: u64 = 1_000;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// All limits, in the order of the enumeration.
pub const LIMITS: &[LimitInfo] = &[
    row(
        Limit::ScenarioBytes,
        "scenario-bytes",
        (64 * MIB, TEXT),
        "bytes",
        "a scenario, configuration or recording",
    ),
    row(Limit::ManifestBytes, "manifest-bytes", (3 * GIB, TEXT), "bytes", "a file of Kubernetes objects"),
    row(Limit::Nesting, "nesting", (128, DEEPEST), "levels", "lists and mappings inside each other"),
    row(
        Limit::AliasBytes,
        "alias-bytes",
        (16 * MIB, FREE),
        "bytes",
        "what the aliases of a scenario expand to",
    ),
    row(
        Limit::ManifestAliasBytes,
        "manifest-alias-bytes",
        (64 * MIB, FREE),
        "bytes",
        "what the aliases of a file of objects expand to",
    ),
    row(Limit::LineBytes, "line-bytes", (64 * MIB, TEXT), "bytes", "a line of YAML (JSON may be one line)"),
    row(Limit::Objects, "objects", (20_000_000, COUNT), "objects", "Kubernetes objects in all"),
    row(Limit::Files, "files", (100_000, COUNT), "files", "files that a folder or a pattern stands for"),
    row(Limit::Nodes, "nodes", (1_000_000, COUNT), "nodes", "a group's nodes"),
    row(Limit::Volumes, "volumes", (50_000_000, COUNT), "volumes", "volumes of all generated nodes"),
    row(Limit::Sets, "sets", (10_000_000, COUNT), "sets", "a generator's sets"),
    row(Limit::Replicas, "replicas", (1_000_000, COUNT), "pods", "a set's replicas"),
    row(Limit::Pods, "pods", (100_000_000, COUNT), "pods", "pods of all generators without end of time"),
    row(
        Limit::TimelineEntries,
        "timeline-entries",
        (10_000_000, COUNT),
        "entries",
        "entries of the timeline",
    ),
    row(Limit::Variants, "variants", (1_000, COUNT), "variants", "variants of a scenario"),
    row(Limit::AxisValues, "axis-values", (1_000_000, COUNT), "values", "values of an axis of a sweep"),
    row(Limit::SweepPoints, "sweep-points", (100_000_000, FREE), "points", "points of a sweep"),
    row(Limit::Replications, "replications", (10_000_000, COUNT), "runs", "replications of a point"),
    row(
        Limit::EmpiricalBytes,
        "empirical-bytes",
        (256 * MIB, FREE),
        "bytes",
        "a file of numbers to draw from",
    ),
    row(Limit::TraceLineBytes, "trace-line-bytes", (4 * MIB, TEXT), "bytes", "a line of a trace"),
    row(
        Limit::TraceDocumentBytes,
        "trace-document-bytes",
        (2 * GIB, FREE),
        "bytes",
        "a trace that is one document: JSON, a database or Parquet that is compressed or on standard input",
    ),
    row(
        Limit::TraceRatio,
        "trace-ratio",
        (250, FREE),
        "times",
        "how many times its compressed bytes a trace may expand to, beyond the first GiB",
    ),
    row(Limit::CaseBytes, "case-bytes", (256 * MIB, FREE), "bytes", "a line of a file of recorded decisions"),
    row(
        Limit::ResultsBytes,
        "results-bytes",
        (2 * GIB, FREE),
        "bytes",
        "a file of a results folder that is read",
    ),
    row(Limit::InputsBytes, "inputs-bytes", (4 * GIB, FREE), "bytes", "the inputs kept in results, unpacked"),
    row(
        Limit::CacheBytes,
        "cache-bytes",
        (256 * MIB, FREE),
        "bytes",
        "what a run's scheduler remembers of nodes; with less it looks at nodes again and decides the same, slower",
    ),
];

/// What the command line has set; 0: nothing. Loading is not ordered with anything: it is set before threads begin.
static CHOSEN: [AtomicU64; LIMITS.len()] = [const { AtomicU64::new(0) }; LIMITS.len()];

impl Limit {
    /// Name, default and meaning.
    pub const fn info(self) -> &'static LimitInfo {
        &LIMITS[self as usize]
    }
    /// The value that holds.
    pub fn get(self) -> u64 {
        match CHOSEN[self as usize].load(Ordering::Relaxed) {
            0 => self.info().default,
            chosen => chosen,
        }
    }
    /// The value, for lengths.
    pub fn size(self) -> usize {
        usize::try_from(self.get()).unwrap_or(usize::MAX)
    }
    /// The value, for counts that are kept in 32 bits.
    pub fn count(self) -> u32 {
        u32::try_from(self.get()).unwrap_or(u32::MAX - 1)
    }
    /// Changes the value for the whole process. Tests of this crate must not: they share it.
    pub fn set(self, value: u64) {
        CHOSEN[self as usize].store(value.clamp(1, self.info().most), Ordering::Relaxed);
    }
    /// `raise it with --limit nodes=VALUE`.
    pub fn hint(self) -> String {
        format!("if that is what you mean, allow it: --limit {}=VALUE (now {})", self.info().name, self.get())
    }
    /// A limit by its name.
    pub fn named(name: &str) -> Option<Limit> {
        LIMITS.iter().find(|info| info.name == name).map(|info| info.limit)
    }
}

/// The table of all limits as Markdown, for the documentation.
pub fn markdown_table() -> String {
    let mut out = String::from("| name | default | at most | what |\n|---|---|---|---|\n");
    for info in LIMITS {
        let LimitInfo { name, unit, meaning, .. } = info;
        let most = if info.most == FREE { "any".to_owned() } else { shown(info.most, unit) };
        out.push_str(&format!("| `{name}` | {} {unit} | {most} | {meaning} |\n", shown(info.default, unit)));
    }
    out
}

/// `64Mi`, `20000000`.
fn shown(value: u64, unit: &str) -> String {
    match value {
        v if unit != "bytes" => v.to_string(),
        v if v % GIB == 0 => format!("{}Gi", v / GIB),
        v if v % MIB == 0 => format!("{}Mi", v / MIB),
        v if v > COUNT - 2 && v <= COUNT => "4Gi".to_owned(),
        v => v.to_string(),
    }
}

/// Opens a file for reading if it is a regular one: opening a FIFO would wait for its writer, and a device may never end.
///
/// # Errors
/// Those of the operating system; [`io::ErrorKind::InvalidInput`] for what is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, expected a file"));
    }
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

/// Reads a regular file as text, within a limit.
///
/// # Errors
/// As [`open`]; [`io::ErrorKind::FileTooLarge`] for more bytes than the limit allows, `InvalidData` for text that is not UTF-8.
pub fn read_text(path: &Path, limit: Limit) -> io::Result<String> {
    let mut text = String::new();
    open_within(path, limit)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Opens a regular file that is not longer than a limit; should it grow, the rest is not read.
///
/// # Errors
/// As [`open`]; [`io::ErrorKind::FileTooLarge`] for more bytes than the limit allows.
pub fn open_within(path: &Path, limit: Limit) -> io::Result<io::Take<File>> {
    let file = open(path)?;
    let bytes = file.metadata()?.len();
    if bytes > limit.get() {
        let why = format!("it has {bytes} bytes; {}", limit.hint());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(file.take(limit.get()))
}

/// Passes bytes on until a stretch of them without a line feed is longer than [`Limit::LineBytes`]: readers of tables hold a whole
/// cell in memory.
#[derive(Debug)]
pub struct ShortLines<R> {
    inner: R,
    open: u64,
}

impl<R: Read> ShortLines<R> {
    /// Around a reader.
    pub fn new(inner: R) -> ShortLines<R> {
        ShortLines { inner, open: 0 }
    }
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match memchr::memrchr(b'\n', &buffer[..read]) {
            Some(last) => self.open = (read - last - 1) as u64,
            None => self.open += read as u64,
        }
        if self.open > Limit::LineBytes.get() {
            let why = format!("a line is longer than any that is written; {}", Limit::LineBytes.hint());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enumeration() {
        for (at, info) in LIMITS.iter().enumerate() {
            assert_eq!(info.limit as usize, at, "{}", info.name);
            assert_eq!(Limit::named(info.name), Some(info.limit));
            assert!(info.default >= 1 && info.default <= info.most, "{}", info.name);
        }
        assert_eq!(Limit::named("no-such-limit"), None);
    }

    #[test]
    fn the_documentation_has_the_present_limits() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SCENARIO.md");
        let written = std::fs::read_to_string(page).expect("docs/SCENARIO.md");
        assert!(
            written.contains(&markdown_table()),
            "docs/SCENARIO.md has other limits:\n{}",
            markdown_table()
        );
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut short = ShortLines::new(&b"a\nb"[..]);
        assert_eq!(io::read_to_string(&mut short).expect("short"), "a\nb");
        let endless = io::repeat(b'x').take(Limit::LineBytes.get() + (1 << 20));
        let found = io::copy(&mut ShortLines::new(endless), &mut io::sink()).map_err(|e| e.kind());
        assert_eq!(found, Err(io::ErrorKind::FileTooLarge));
    }

    #[test]
    fn only_regular_files_of_bounded_length_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let kind = |path: &Path| read_text(path, Limit::ResultsBytes).map_err(|e| e.kind());
        assert_eq!(kind(folder.path()), Err(io::ErrorKind::IsADirectory));
        assert_eq!(kind(&folder.path().join("none")), Err(io::ErrorKind::NotFound));
        if cfg!(unix) {
            assert_eq!(kind(Path::new("/dev/zero")), Err(io::ErrorKind::InvalidInput));
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "text").expect("written");
        assert_eq!(kind(&file).as_deref(), Ok("text"));
        let large = folder.path().join("large");
        let sparse = File::create(&large).expect("made");
        sparse.set_len(Limit::ResultsBytes.get() + 1).expect("sparse");
        assert_eq!(kind(&large), Err(io::ErrorKind::FileTooLarge));
    }
}
