//! The inputs of a run inside its results folder, `inputs/`: what `stowplan explain` makes the run again from.
//!
//! Texts (the scenario, manifests, configurations, lists of numbers) are kept whole, large ones compressed. Traces are too large
//! for that: of them the name, the length and the digest are kept.

use super::Prepared;
use crate::limits::{self, Limit};
use crate::results::write::{ResultsError, safe_name};
use crate::scenario::Loaded;
use crate::scenario::recorded::{Recorded, gather, shown};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The folder.
pub const INPUTS_FOLDER: &str = "inputs";
/// What is in it.
const INDEX_FILE: &str = "inputs/index.json";
/// Texts above this are compressed.
const COMPRESSED_FROM: usize = 64 << 10;
/// Texts above this are compressed for speed, not for size.
const PACKED_FAST_FROM: usize = 16 << 20;

/// Content of `inputs/index.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    texts: Vec<Text>,
    reads: Vec<Read>,
    traces: Vec<Trace>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Text {
    /// Under which it was read: a path, or `<stdin>`.
    name: String,
    /// Where it is kept, inside the results folder.
    stored: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Read {
    /// A path as the scenario has it.
    written: String,
    /// The files that it stood for.
    files: Vec<String>,
}

/// A trace, of which only this is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Its path as resolved.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// `blake3:<hex>` of its bytes.
    pub digest: String,
}

/// The files of `inputs/`: path inside the results folder, and content.
///
/// # Errors
/// A file that cannot be read a second time.
pub fn files<'p>(
    base: &Loaded,
    prepared: impl IntoIterator<Item = &'p Prepared>,
) -> io::Result<Vec<(String, Vec<u8>)>> {
    let prepared: Vec<&Prepared> = prepared.into_iter().collect();
    let reads = || base.reads.iter().chain(prepared.iter().flat_map(|p| &p.reads));
    let mut sources = vec![&base.sources];
    sources.extend(prepared.iter().map(|p| &p.sources));
    let mut recorded = gather(reads(), &sources);
    let mut index = Index { schema_version: crate::results::SCHEMA_VERSION, ..Index::default() };
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    for read in reads() {
        for file in read.files.iter().filter(|f| f.as_path() != Path::new("-")) {
            if !seen.insert(file.clone()) || recorded.texts.contains_key(&shown(file)) {
                continue;
            }
            if read.streamed {
                index.traces.push(trace(file)?);
            } else {
                // Read, but not kept in memory: lists of numbers, descriptions beside manifests.
                recorded.texts.insert(shown(file), std::fs::read_to_string(file)?.into());
            }
        }
    }
    let mut files = Vec::new();
    for (number, (name, text)) in recorded.texts.iter().enumerate() {
        let short =
            Path::new(name).file_name().map_or_else(|| name.clone(), |n| n.to_string_lossy().into_owned());
        let mut stored = format!("{INPUTS_FOLDER}/{number}-{}", safe_name(&short));
        let content = if text.len() > COMPRESSED_FROM {
            // Large texts are packed fast: a snapshot may be a gigabyte.
            let level =
                if text.len() > PACKED_FAST_FROM { Compression::fast() } else { Compression::default() };
            stored.push_str(".gz");
            let mut packed = GzEncoder::new(Vec::new(), level);
            packed.write_all(text.as_bytes())?;
            packed.finish()?
        } else {
            text.as_bytes().to_vec()
        };
        index.texts.push(Text { name: name.clone(), stored: stored.clone() });
        files.push((stored, content));
    }
    for (written, found) in &recorded.reads {
        let found = found.iter().map(|f| f.to_string_lossy().into_owned()).collect();
        index.reads.push(Read { written: written.clone(), files: found });
    }
    let mut text = serde_json::to_vec_pretty(&index)?;
    text.push(b'\n');
    files.push((INDEX_FILE.to_owned(), text));
    Ok(files)
}

fn trace(file: &Path) -> io::Result<Trace> {
    let mut hasher = blake3::Hasher::new();
    let bytes = std::fs::metadata(file)?.len();
    hasher.update_reader(limits::open(file)?)?;
    Ok(Trace { file: shown(file), bytes, digest: format!("blake3:{}", hasher.finalize().to_hex()) })
}

/// Reads the inputs back; the traces are where they were.
///
/// # Errors
/// A folder without inputs, or with malformed ones.
pub fn load(folder: &Path) -> Result<(Recorded, Vec<Trace>), ResultsError> {
    let path = folder.join(INDEX_FILE);
    let malformed = |why: String| ResultsError::Malformed { path: path.clone(), why };
    let text = match limits::read_text(&path, Limit::ResultsBytes) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(malformed(
                "these results hold no inputs (made with --no-inputs, or by an older version); run the scenario again"
                    .to_owned(),
            ));
        }
        Err(error) => return Err(ResultsError::io(&path, "read")(error)),
    };
    let index: Index = serde_json::from_str(&text).map_err(|e| malformed(e.to_string()))?;
    let mut recorded = Recorded::default();
    let mut left = Limit::InputsBytes.get();
    for text in &index.texts {
        let stored = Path::new(&text.stored);
        let inside = stored.starts_with(INPUTS_FOLDER)
            && stored.components().all(|c| matches!(c, Component::Normal(_)));
        if !inside {
            return Err(malformed(format!("{:?} is not a path inside the folder", text.stored)));
        }
        let at = folder.join(stored);
        let content = unpacked(&at, left).map_err(ResultsError::io(&at, "read"))?;
        left = left.saturating_sub(content.len() as u64);
        recorded.texts.insert(text.name.clone(), Arc::from(content.as_str()));
    }
    for read in index.reads {
        recorded.reads.insert(read.written, read.files.into_iter().map(PathBuf::from).collect());
    }
    Ok((recorded, index.traces))
}

fn unpacked(path: &Path, most: u64) -> io::Result<String> {
    let file = limits::open(path)?;
    let mut text = String::new();
    let packed = path.extension().is_some_and(|e| e == "gz");
    let mut reader: Box<dyn io::Read> = if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let read = reader.by_ref().take(most + 1).read_to_string(&mut text)?;
    if read as u64 > most {
        let why = format!("the inputs are larger than any run's; {}", Limit::InputsBytes.hint());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}
