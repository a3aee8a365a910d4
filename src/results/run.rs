//! The results folder of a run: which file holds what, written and read back.

use super::disk::Disk;
use super::tables::{read_csv, write_csv};
use super::write::{PLOTS_FOLDER, Provenance, ResultsError, SUMMARY_FILE, Staging, safe_name};
use super::{RunOutput, SCHEMA_VERSION, Summary, VariantOutput};
use crate::limits::{self, Limit};
use serde::{Deserialize, Serialize};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// What goes into a results folder beside the tables.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Pictures: file name inside `plots/` and content.
    pub plots: Vec<(String, Vec<u8>)>,
    /// Any other file: path inside the folder and content, e.g. `report.html`.
    pub files: Vec<(String, Vec<u8>)>,
    /// The command line that made the run, program name first.
    pub command: Vec<String>,
}

/// The folder of a variant's tables, inside the results folder.
pub fn variant_folder(name: &str) -> String {
    safe_name(name)
}

/// Writes a run to `target`, whole or not at all; returns the folder.
///
/// # Errors
/// [`ResultsError::Refused`] if something stands there that is not ours, [`ResultsError::Io`] if the disk says no. Nothing
/// is left behind then, and a former results folder is as it was.
pub fn write_run(
    target: &Path,
    run: &RunOutput,
    extras: &Extras,
    disk: &dyn Disk,
) -> Result<PathBuf, ResultsError> {
    let mut staging = Staging::begin(target, disk)?;
    staging.json(SUMMARY_FILE, &run.summary)?;
    for variant in &run.variants {
        write_variant(&mut staging, variant)?;
    }
    for (name, content) in &extras.plots {
        staging.bytes(&format!("{PLOTS_FOLDER}/{}", safe_name(name)), content)?;
    }
    for (path, content) in &extras.files {
        staging.bytes(path, content)?;
    }
    let s = &run.summary;
    staging.commit(Provenance::new("run", &s.scenario, &s.scenario_digest, s.seed, extras.command.clone()))
}

fn write_variant(staging: &mut Staging<'_>, variant: &VariantOutput) -> Result<(), ResultsError> {
    let folder = variant_folder(&variant.summary.name);
    table(staging, &folder, "pods", &variant.pods)?;
    table(staging, &folder, "claims", &variant.claims)?;
    table(staging, &folder, "nodes", &variant.nodes)?;
    table(staging, &folder, "volumes", &variant.volumes)?;
    table(staging, &folder, "timeseries", &variant.timeseries)?;
    table(staging, &folder, "stranding", &variant.stranding)?;
    table(staging, &folder, "node_states", &variant.node_heat)?;
    if !variant.groups.is_empty() {
        table(staging, &folder, "groups", &variant.groups)?;
    }
    if !variant.incidents.is_empty() {
        table(staging, &folder, "incidents", &variant.incidents)?;
    }
    match &variant.events_jsonl {
        Some(events) => staging.bytes(&format!("{folder}/events.jsonl"), events),
        None => Ok(()),
    }
}

fn table<T: Serialize + Default>(
    staging: &mut Staging<'_>,
    folder: &str,
    name: &str,
    rows: &[T],
) -> Result<(), ResultsError> {
    staging.file(&format!("{folder}/{name}.csv"), |w| write_csv(rows, w)?.flush())
}

/// Reads a folder that [`write_run`] made. `events.jsonl` is left on disk.
///
/// # Errors
/// [`ResultsError::Io`] if a file is missing, [`ResultsError::Malformed`] if it is not what we write or of another schema.
pub fn load(folder: &Path) -> Result<RunOutput, ResultsError> {
    let summary = load_summary(folder)?;
    let mut variants = Vec::with_capacity(summary.variants.len());
    for variant in &summary.variants {
        let folder = folder.join(variant_folder(&variant.name));
        variants.push(VariantOutput {
            summary: variant.clone(),
            pods: rows(&folder, "pods")?,
            claims: rows(&folder, "claims")?,
            nodes: rows(&folder, "nodes")?,
            volumes: rows(&folder, "volumes")?,
            timeseries: rows(&folder, "timeseries")?,
            stranding: rows(&folder, "stranding")?,
            groups: rows_if_any(&folder, "groups")?,
            incidents: rows_if_any(&folder, "incidents")?,
            node_heat: rows(&folder, "node_states")?,
            events_jsonl: None,
            ..VariantOutput::default()
        });
    }
    Ok(RunOutput { summary, variants })
}

/// Reads `summary.json` alone.
///
/// # Errors
/// As [`load`].
pub fn load_summary(folder: &Path) -> Result<Summary, ResultsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        schema_version: u32,
        tool: String,
    }
    let path = folder.join(SUMMARY_FILE);
    let text = limits::read_text(&path, Limit::ResultsBytes).map_err(ResultsError::io(&path, "read"))?;
    let malformed = |why: String| ResultsError::Malformed { path: path.clone(), why };
    let head: Head = serde_json::from_str(&text)
        .map_err(|e| malformed(format!("not a summary written by stowplan run: {e}")))?;
    if head.schema_version != SCHEMA_VERSION {
        return Err(malformed(format!(
            "written by {} in schema version {}; this program reads version {SCHEMA_VERSION}",
            head.tool, head.schema_version
        )));
    }
    serde_json::from_str(&text).map_err(|e| malformed(e.to_string()))
}

/// Tables that are written only if there is something in them.
fn rows_if_any<T: for<'de> Deserialize<'de>>(folder: &Path, name: &str) -> Result<Vec<T>, ResultsError> {
    if folder.join(format!("{name}.csv")).exists() { rows(folder, name) } else { Ok(Vec::new()) }
}

fn rows<T: for<'de> Deserialize<'de>>(folder: &Path, name: &str) -> Result<Vec<T>, ResultsError> {
    let path = folder.join(format!("{name}.csv"));
    let file = limits::open_within(&path, Limit::ResultsBytes).map_err(ResultsError::io(&path, "read"))?;
    read_csv(BufReader::new(file)).map_err(|e| ResultsError::Malformed { path, why: e.to_string() })
}
