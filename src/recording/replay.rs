//! Runs of a scenario made of a recording, told in the recording's terms so that the two can be compared.

use super::import_file;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::results::VariantOutput;
use crate::scenario::{LoadOptions, ScenarioFile};
use crate::simulate::{self, Options};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A recording whose scenario can be run with any seed.
#[derive(Debug)]
pub struct Player {
    /// The recording as it was read.
    pub recording: Value,
    file: ScenarioFile,
    _folder: tempfile::TempDir,
}

/// One run.
#[derive(Debug)]
pub struct Replay {
    /// Its results.
    pub output: VariantOutput,
    /// The lines of `events.jsonl`.
    pub events: Vec<Value>,
}

/// What becomes of an object at the end: its phase, and where it is (a pod's node, a claim's volume), or why not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// Phase.
    pub phase: String,
    /// Node or volume; empty: none.
    pub place: String,
    /// The condition's message of a pod that waits.
    pub message: String,
}

fn other(error: impl std::fmt::Display) -> Diagnostics {
    Diagnostic::error(Code::Other, error.to_string()).into()
}

impl Player {
    /// Imports a recording.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path) -> Result<Player, Diagnostics> {
        let made = import_file(path, "manifests/")?;
        let folder = tempfile::tempdir().map_err(other)?;
        fs::create_dir_all(folder.path().join("manifests")).map_err(other)?;
        for (name, text) in &made.manifests {
            fs::write(folder.path().join(name), text).map_err(other)?;
        }
        let scenario = folder.path().join("scenario.yaml");
        fs::write(&scenario, &made.scenario).map_err(other)?;
        let file = ScenarioFile::read(&scenario, &LoadOptions::default())?;
        Ok(Player { recording: super::parse_file(path)?, file, _folder: folder })
    }

    /// Runs it.
    ///
    /// # Errors
    /// What is wrong with the scenario, or stops the run.
    pub fn run(&self, seed: u64) -> Result<Replay, Diagnostics> {
        let mut file = self.file.clone();
        let sets = file.parse_sets(&[format!("seed={seed}")])?;
        let base = file.resolve(&sets)?;
        let Some(variant) = base.scenario.variants.first() else { return Err(other("no variant")) };
        let loaded = file.resolve_point(variant, &[], &sets)?;
        let options = Options { events: true, ..Options::default() };
        let prepared = simulate::prepare(&loaded, variant.binding_mode, options)?;
        let mut output =
            simulate::run(&prepared.plan, &variant.name, prepared.sample, options).map_err(other)?;
        let lines = output.events_jsonl.take().unwrap_or_default();
        let events = lines.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        Ok(Replay { events: events.collect(), output })
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Replay {
    /// Pods at the end, by `namespace/name`.
    pub fn pods(&self) -> BTreeMap<String, End> {
        let alive = self.output.pods.iter().filter(|p| !p.phase.is_empty() && p.status != "Deleted");
        alive
            .map(|p| {
                let message = if p.node.is_empty() { p.last_message.to_string() } else { String::new() };
                let end = End { phase: p.phase.to_string(), place: p.node.to_string(), message };
                (format!("{}/{}", p.namespace, p.name), end)
            })
            .collect()
    }
    /// Claims at the end.
    pub fn claims(&self) -> BTreeMap<String, End> {
        let alive = self.output.claims.iter().filter(|c| c.phase != "Deleted");
        alive
            .map(|c| {
                let end =
                    End { phase: c.phase.to_string(), place: c.volume.to_string(), message: String::new() };
                (format!("{}/{}", c.namespace, c.name), end)
            })
            .collect()
    }
    /// Volumes at the end, and their phases.
    pub fn volumes(&self) -> BTreeMap<String, String> {
        let alive = self.output.volumes.iter().filter(|v| v.phase != "Deleted");
        alive.map(|v| (v.name.to_string(), v.phase.to_string())).collect()
    }
    /// Every message with which an attempt failed: pod, message, how often.
    pub fn failures(&self) -> BTreeMap<(String, String), u64> {
        let mut all = BTreeMap::new();
        for event in self.events.iter().filter(|e| text(e, "reason") == "FailedScheduling") {
            // An event is written when its message is new, and once more with its count when it was repeated.
            let count = match text(event, "what") {
                "EventRepeated" => event["count"].as_u64().map_or(0, |n| n.saturating_sub(1)),
                _ => 1,
            };
            *all.entry((text(event, "pod").to_owned(), text(event, "message").to_owned())).or_insert(0) +=
                count;
        }
        all
    }
    /// When something happened: `what` as in `events.jsonl`, about an object given by its field and name.
    pub fn times(&self, what: &str, field: &str, name: &str) -> Vec<f64> {
        let about = |e: &&Value| text(e, "what") == what && text(e, field) == name;
        self.events.iter().filter(about).filter_map(|e| e["seconds"].as_f64()).collect()
    }
}

/// Pods, claims and volumes at the end of a recorded watch.
pub fn recorded_end(recording: &Value, kind: &str) -> BTreeMap<String, End> {
    let objects = recording["final"][kind].as_object().into_iter().flatten();
    objects
        .map(|(name, object)| {
            let place = if kind == "Pod" { text(object, "node") } else { text(object, "volume") };
            let message = object["PodScheduled"]["message"].as_str().unwrap_or_default();
            let end = End {
                phase: text(object, "phase").to_owned(),
                place: place.to_owned(),
                message: message.to_owned(),
            };
            (name.clone(), end)
        })
        .collect()
}

/// Every message that the condition PodScheduled of a pod had in a recorded watch: pod (without namespace), message.
pub fn recorded_messages(recording: &Value) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for entry in recording["timeline"].as_array().into_iter().flatten() {
        if let Some(message) = entry["changed"]["PodScheduled"]["message"].as_str() {
            all.insert((text(entry, "name").to_owned(), message.to_owned()));
        }
    }
    all
}

/// When a recorded object changed: entries of its kind and name that `is` accepts.
pub fn recorded_times(recording: &Value, kind: &str, name: &str, is: impl Fn(&Value) -> bool) -> Vec<f64> {
    let entries = recording["timeline"].as_array().into_iter().flatten();
    let about = |e: &&Value| text(e, "kind") == kind && text(e, "name") == name && is(e);
    entries.filter(about).filter_map(|e| e["t"].as_f64()).collect()
}
