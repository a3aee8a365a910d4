//! The digest of a scenario as it was run: what it says, with all its files and overrides, but not where they lie.

use crate::diagnostic::Sources;
use crate::scenario::Loaded;
use serde_json::Value;
use std::io;

/// `blake3:<hex>` over the scenario's meaning, the texts of its manifests, the bytes of its traces, and what the command line
/// chose. `texts` are those that were read for any variant.
///
/// # Errors
/// A trace file that cannot be read any more.
pub fn scenario(
    base: &Loaded,
    texts: Option<&Sources>,
    variants: &[&str],
    replay: bool,
) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new_derive_key("stowplan scenario v1");
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(without_paths(&base.canonical).as_bytes());
    variants.iter().for_each(|name| part(name.as_bytes()));
    part(&[u8::from(replay)]);
    // The scenario's own text and those of the command line come first and are in `canonical`.
    let own = base.sources.texts().len();
    let read = texts.map(Sources::texts).unwrap_or_default();
    read.iter().skip(own).for_each(|text| part(text.text.as_bytes()));
    if let Some(trace) = &base.scenario.workload.trace {
        let nodes = trace.nodes.iter().flat_map(|n| &n.files);
        for file in trace.files.iter().chain(nodes) {
            hasher.update_reader(crate::limits::open(&file.value)?)?;
        }
    }
    Ok(format!("blake3:{}", hasher.finalize().to_hex()))
}

/// The scenario without the names of files, whose content is hashed instead.
fn without_paths(canonical: &str) -> String {
    let Ok(mut tree) = serde_json::from_str::<Value>(canonical) else { return canonical.to_owned() };
    for pointer in ["/cluster", "/workload", "/workload/trace", "/workload/trace/nodes"] {
        if let Some(Value::Object(map)) = tree.pointer_mut(pointer) {
            map.retain(|key, _| key != "manifests" && key != "files");
        }
    }
    tree.to_string()
}
