//! SimKube traces: applied and deleted Kubernetes objects over time, as MessagePack (`.sktrace`) or JSON.

use super::error::{SkipReason, TraceError, TraceResult};
use super::figures::{Figure, Figures};
use super::input::TraceInput;
use super::reader::{FileReport, max_document_bytes};
use super::record::{TraceClaim, TraceId, TraceItem, TracePod};
use super::table::{Context, Recognized, RecordFile, Sample};
use crate::engine::time::SimTime;
use crate::model::quantity::Quantity;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;

/// What the files look like, for messages.
pub const EXPECTED: &str = "a SimKube trace, MessagePack or JSON: {version: 2, config, events: [{ts, applied_objs, deleted_objs}], ...}";

/// Most replicas of one object.
const MAX_REPLICAS: u64 = 10_000_000;

/// Recognizes the document by its first keys.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    let start = &sample.bytes[..sample.bytes.len().min(4096)];
    let has = |word: &str| memchr::memmem::find(start, word.as_bytes()).is_some();
    // A MessagePack map of up to 15 entries starts with 0x80 + n.
    let msgpack = start.first().is_some_and(|b| (0x83..=0x8f).contains(b)) && has("version") && has("config");
    let json = start.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
        && has("\"version\"")
        && (has("\"trackedObjects\"") || has("\"applied_objs\""));
    (msgpack || json).then_some(Recognized::Records { name: "events", open })
}

#[derive(Deserialize)]
struct Event {
    ts: i64,
    #[serde(default)]
    applied_objs: Vec<Value>,
    #[serde(default)]
    deleted_objs: Vec<Value>,
}

/// How long a recorded pod ran, Unix seconds.
#[derive(Deserialize, Clone, Copy)]
enum Lifecycle {
    Empty,
    Running(i64),
    Finished(i64, i64),
}

/// Lifecycles by owner and by hash of the pod's spec.
type Lifecycles = BTreeMap<(String, String), BTreeMap<u64, Vec<Lifecycle>>>;

#[derive(Deserialize)]
struct Document {
    version: u64,
    #[serde(default)]
    config: Value,
    events: Vec<Event>,
    #[serde(default)]
    pod_lifecycles: Lifecycles,
}

/// JSON cannot hold the lifecycles: their keys are pairs.
#[derive(Deserialize)]
struct JsonDocument {
    version: u64,
    #[serde(default)]
    config: Value,
    events: Vec<Event>,
    #[serde(default, rename = "pod_lifecycles")]
    _pod_lifecycles: IgnoredAny,
}

fn open(input: &TraceInput, cx: &mut Context) -> TraceResult<Box<dyn RecordFile>> {
    let name = input.name();
    let mut bytes = Vec::new();
    let damaged = |message: String, reason| TraceError::of_file(&name, reason, message);
    input
        .open()?
        .take(max_document_bytes())
        .read_to_end(&mut bytes)
        .map_err(|e| damaged(format!("cannot read: {e}"), SkipReason::Unreadable))?;
    let json = bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    let document = if json {
        let json: JsonDocument = serde_json::from_slice(&bytes).map_err(|error| {
            let mut fault = damaged(format!("expected {EXPECTED}: {error}"), SkipReason::WrongFormat);
            fault.line = error.line() as u64;
            fault.column = error.column() as u64;
            fault
        })?;
        Document {
            version: json.version,
            config: json.config,
            events: json.events,
            pod_lifecycles: Lifecycles::new(),
        }
    } else {
        rmp_serde::from_slice(&bytes)
            .map_err(|error| damaged(format!("expected {EXPECTED}: {error}"), SkipReason::WrongFormat))?
    };
    if document.version != 2 {
        let message = format!("expected version 2, found version {}", document.version);
        return Err(damaged(message, SkipReason::WrongFormat));
    }
    Ok(Box::new(Replay::new(name, document, cx)?.run(cx)?))
}

/// Pods of one object that began together.
struct Batch {
    serial: u64,
    count: u64,
    pod: TracePod,
}

/// What an object wants now.
struct Owner {
    batches: Vec<Batch>,
}

struct Replay {
    name: String,
    start: i64,
    events: std::vec::IntoIter<Event>,
    paths: BTreeMap<String, Vec<String>>,
    lifecycles: Lifecycles,
    owners: BTreeMap<String, Owner>,
    /// PersistentVolumeClaims by namespace and name.
    claims: BTreeMap<String, TraceClaim>,
    serial: u64,
    records: u64,
    figures: Figures,
    done: Vec<(u64, TracePod)>,
}

impl Replay {
    fn new(name: String, document: Document, cx: &mut Context) -> TraceResult<Replay> {
        let mut events = document.events;
        if !events.is_sorted_by_key(|e| e.ts) {
            cx.tally.leave_out("events out of order (sorted)", 1);
            events.sort_by_key(|e| e.ts);
        }
        let count = |of: fn(&Event) -> usize| events.iter().map(of).sum::<usize>();
        let lifecycles = document.pod_lifecycles.values().flat_map(BTreeMap::values).map(Vec::len).sum();
        let figures = [
            ("events", events.len()),
            ("applied", count(|e| e.applied_objs.len())),
            ("deleted", count(|e| e.deleted_objs.len())),
            ("lifecycles", lifecycles),
        ];
        let mut paths = BTreeMap::new();
        if let Some(tracked) = document.config.get("trackedObjects").and_then(Value::as_object) {
            for (kind, settings) in tracked {
                let list = settings.get("podSpecTemplatePaths").and_then(Value::as_array);
                let list: Vec<String> =
                    list.into_iter().flatten().filter_map(|p| p.as_str().map(str::to_owned)).collect();
                paths.insert(kind.clone(), list);
            }
        }
        Ok(Replay {
            name,
            start: events.first().map_or(0, |e| e.ts),
            events: events.into_iter(),
            paths,
            lifecycles: document.pod_lifecycles,
            owners: BTreeMap::new(),
            claims: BTreeMap::new(),
            serial: 0,
            records: 0,
            figures: figures.map(|(name, n)| (name, Figure::count(n))).into(),
            done: Vec::new(),
        })
    }

    fn run(mut self, cx: &mut Context) -> TraceResult<Finished> {
        let mut index = 0u64;
        while let Some(event) = self.events.next() {
            index += 1;
            let at = self.time(event.ts);
            // Claims first, so that pods of the same instant find them.
            let is_claim = |o: &&Value| text(o, "/kind") == "PersistentVolumeClaim";
            for object in event.applied_objs.iter().filter(is_claim) {
                self.guarded(index, cx, |replay| replay.apply_claim(object))?;
            }
            for object in event.applied_objs.iter().filter(|o| !is_claim(o)) {
                let rule = self.guarded(index, cx, |replay| replay.apply(object, at))?;
                if let Some(rule) = rule.flatten() {
                    cx.tally.leave_out(rule, 1);
                }
            }
            for object in &event.deleted_objs {
                self.guarded(index, cx, |replay| replay.delete(object, at))?;
            }
        }
        let owners = std::mem::take(&mut self.owners);
        for batch in owners.into_values().flat_map(|owner| owner.batches) {
            self.finish(batch, None);
        }
        self.done.sort_by_key(|(serial, pod)| (pod.arrival_or_start(), *serial));
        let pods: Vec<TracePod> = self.done.into_iter().map(|(_, pod)| pod).collect();
        Ok(Finished { name: self.name, rows: self.records, figures: self.figures, pods: pods.into_iter() })
    }

    /// Runs a step; its fault is located at the event and counted or returned.
    fn guarded<T>(
        &mut self,
        event: u64,
        cx: &mut Context,
        step: impl FnOnce(&mut Replay) -> Result<T, (SkipReason, String)>,
    ) -> TraceResult<Option<T>> {
        self.records += 1;
        match step(self) {
            Ok(value) => Ok(Some(value)),
            Err((reason, message)) => {
                let error = TraceError::of_file(&self.name, reason, format!("event {event}: {message}"));
                cx.tally.skip(error, cx.options.skip_bad_rows)?;
                Ok(None)
            }
        }
    }

    /// Unix seconds as time since the first event.
    fn time(&self, ts: i64) -> SimTime {
        SimTime::from_secs(ts.saturating_sub(self.start).max(0) as u64)
    }

    fn apply_claim(&mut self, object: &Value) -> Result<(), (SkipReason, String)> {
        let claim = claim_of("", object)?;
        self.claims.insert(key(object), claim);
        Ok(())
    }

    /// Returns the rule that leaves the object out, if one does.
    fn apply(&mut self, object: &Value, at: SimTime) -> Result<Option<&'static str>, (SkipReason, String)> {
        let (kind, id) = (text(object, "/kind").to_owned(), key(object));
        if kind.is_empty() || text(object, "/metadata/name").is_empty() {
            return Err((SkipReason::Malformed, "expected an object with kind and metadata.name".to_owned()));
        }
        let group_kind = group_kind(object);
        let template = self.template_path(&group_kind, &kind);
        let Some(template) = template else {
            return Ok(Some("object without a pod template"));
        };
        let lifecycles = self.lifecycles_of(&group_kind, object);
        let spec = object.pointer(&format!("{template}/spec")).unwrap_or(&Value::Null);
        let pod = self.pod(object, spec, &kind)?;
        if kind != "Pod" && !lifecycles.is_empty() {
            self.recorded_pods(&id, &pod, &lifecycles);
            return Ok(None);
        }
        if kind == "CronJob" {
            return Ok(Some("CronJob without recorded pods"));
        }
        let replicas = match kind.as_str() {
            "Pod" => 1,
            "Job" => count(object, "/spec/parallelism")?,
            _ => count(object, "/spec/replicas")?,
        };
        self.scale(&id, pod, replicas, at);
        if kind == "Pod" {
            self.end_by_lifecycle(&id, lifecycles.first().copied(), at);
        }
        Ok(None)
    }

    /// JSON pointer of the pod template; empty: the object is a pod.
    fn template_path(&self, group_kind: &str, kind: &str) -> Option<String> {
        if let Some(path) = self.paths.get(group_kind).and_then(|paths| paths.first()) {
            return Some(path.clone());
        }
        match kind {
            "Pod" => Some(String::new()),
            "Deployment" | "StatefulSet" | "ReplicaSet" | "Job" => Some("/spec/template".to_owned()),
            "CronJob" => Some("/spec/jobTemplate/spec/template".to_owned()),
            _ => None,
        }
    }

    fn lifecycles_of(&self, group_kind: &str, object: &Value) -> Vec<Lifecycle> {
        let name = format!("{}/{}", text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        let found = self.lifecycles.get(&(group_kind.to_owned(), name));
        found.into_iter().flat_map(|by_spec| by_spec.values().flatten().copied()).collect()
    }

    /// The pod that an object makes, without name and times.
    fn pod(&self, object: &Value, spec: &Value, kind: &str) -> Result<TracePod, (SkipReason, String)> {
        let (cpu_milli, memory_bytes) = requests(spec)?;
        let mut claims = Vec::new();
        let templates = object.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
        for template in templates.into_iter().flatten() {
            claims.push(claim_of(text(template, "/metadata/name"), template)?);
        }
        let volumes = spec.get("volumes").and_then(Value::as_array);
        for volume in volumes.into_iter().flatten() {
            let name = text(volume, "/name");
            if let Some(template) = volume.pointer("/ephemeral/volumeClaimTemplate") {
                claims.push(claim_of(name, template)?);
            }
            let claim = text(volume, "/persistentVolumeClaim/claimName");
            let known = self
                .claims
                .get(&format!("PersistentVolumeClaim {}/{claim}", text(object, "/metadata/namespace")));
            if let Some(known) = known {
                claims.push(TraceClaim { name: name.into(), ..known.clone() });
            }
        }
        Ok(TracePod {
            cpu_milli,
            memory_bytes,
            claims,
            group: Some(TraceId::Text(key(object).into())),
            role: Some(kind.into()),
            priority: spec.get("priority").and_then(Value::as_i64),
            ..TracePod::default()
        })
    }

    /// Pods as they were recorded: each with its own start and end.
    fn recorded_pods(&mut self, id: &str, pod: &TracePod, lifecycles: &[Lifecycle]) {
        if self.owners.contains_key(id) {
            return;
        }
        self.owners.insert(id.to_owned(), Owner { batches: Vec::new() });
        for lifecycle in lifecycles {
            let (start, end) = match *lifecycle {
                Lifecycle::Empty => continue,
                Lifecycle::Running(start) => (start, None),
                Lifecycle::Finished(start, end) => (start, Some(end.max(start))),
            };
            let arrival = Some(self.time(start));
            let end = end.map(|end| self.time(end));
            let serial = self.next_serial();
            let name = TraceId::Text(format!("{}-{serial}", short(id)).into());
            self.done.push((serial, TracePod { name, arrival, scheduled: arrival, end, ..pod.clone() }));
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Brings an object to so many pods of this shape at a time.
    fn scale(&mut self, id: &str, pod: TracePod, replicas: u64, at: SimTime) {
        let mut owner = self.owners.remove(id).unwrap_or(Owner { batches: Vec::new() });
        // Another shape: the old pods go and new ones come.
        if owner.batches.last().is_some_and(|batch| !same_shape(&batch.pod, &pod)) {
            for batch in std::mem::take(&mut owner.batches) {
                self.finish(batch, Some(at));
            }
        }
        let mut have: u64 = owner.batches.iter().map(|b| b.count).sum();
        while have > replicas {
            let Some(batch) = owner.batches.last_mut() else { break };
            let gone = batch.count.min(have - replicas);
            have -= gone;
            batch.count -= gone;
            let pod = batch.pod.clone();
            if batch.count == 0 {
                owner.batches.pop();
            }
            let serial = self.next_serial();
            self.finish(Batch { serial, count: gone, pod }, Some(at));
        }
        if replicas > have {
            let serial = self.next_serial();
            let pod = TracePod { name: TraceId::Text(short(id).into()), arrival: Some(at), ..pod };
            owner.batches.push(Batch { serial, count: replicas - have, pod });
        }
        self.owners.insert(id.to_owned(), owner);
    }

    fn end_by_lifecycle(&mut self, id: &str, lifecycle: Option<Lifecycle>, at: SimTime) {
        let (start, end) = match lifecycle {
            Some(Lifecycle::Finished(start, end)) => (start, Some(end)),
            Some(Lifecycle::Running(start)) => (start, None),
            Some(Lifecycle::Empty) | None => return,
        };
        let (start, end) = (self.time(start), end.map(|end| self.time(end)));
        let Some(owner) = self.owners.get_mut(id) else { return };
        for batch in &mut owner.batches {
            batch.pod.scheduled = Some(start.max(at));
            batch.pod.end = end.map(|end| end.max(at));
        }
    }

    fn delete(&mut self, object: &Value, at: SimTime) -> Result<(), (SkipReason, String)> {
        let id = key(object);
        self.claims.remove(&id);
        let Some(owner) = self.owners.remove(&id) else { return Ok(()) };
        for batch in owner.batches {
            self.finish(batch, Some(at));
        }
        Ok(())
    }

    fn finish(&mut self, batch: Batch, end: Option<SimTime>) {
        let Batch { serial, count, mut pod } = batch;
        // A recorded end comes before the deletion of the object.
        pod.end = pod.end.or(end);
        pod.copies = count as u32;
        pod.name = TraceId::Text(
            match pod.role.as_deref() {
                Some("Pod") => pod.name.to_string(),
                _ => format!("{}-{serial}", pod.name),
            }
            .into(),
        );
        self.done.push((serial, pod));
    }
}

fn same_shape(a: &TracePod, b: &TracePod) -> bool {
    (a.cpu_milli, a.memory_bytes, &a.claims, a.priority)
        == (b.cpu_milli, b.memory_bytes, &b.claims, b.priority)
}

/// `Kind namespace/name`.
fn key(object: &Value) -> String {
    format!(
        "{} {}/{}",
        text(object, "/kind"),
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name")
    )
}

/// Namespace and name of a key as one label.
fn short(key: &str) -> String {
    key.split_once(' ').map_or(key, |(_, name)| name).replace('/', "-")
}

/// `apps/v1.Deployment`, SimKube's name of a kind.
fn group_kind(object: &Value) -> String {
    format!("{}.{}", text(object, "/apiVersion"), text(object, "/kind"))
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

fn count(object: &Value, pointer: &str) -> Result<u64, (SkipReason, String)> {
    match object.pointer(pointer) {
        None | Some(Value::Null) => Ok(1),
        Some(value) => match value.as_u64() {
            Some(n) if n <= MAX_REPLICAS => Ok(n),
            Some(n) => Err((SkipReason::Absurd, format!("{n} replicas are beyond any cluster"))),
            None => Err((SkipReason::NotANumber, format!("{pointer}: expected a number, found {value}"))),
        },
    }
}

/// A claim's size and class.
fn claim_of(name: &str, claim: &Value) -> Result<TraceClaim, (SkipReason, String)> {
    let bytes = quantity(claim.pointer("/spec/resources/requests/storage"))?;
    let class = Some(text(claim, "/spec/storageClassName")).filter(|c| !c.is_empty());
    Ok(TraceClaim {
        name: name.into(),
        bytes: u64::try_from(bytes.ceil()).unwrap_or(0),
        class: class.map(Box::from),
    })
}

fn quantity(value: Option<&Value>) -> Result<Quantity, (SkipReason, String)> {
    let parsed = match value {
        None | Some(Value::Null) => return Ok(Quantity::ZERO),
        Some(Value::String(text)) => Quantity::parse(text),
        Some(other) => Quantity::parse(&other.to_string()),
    };
    match parsed {
        Ok(quantity) if quantity.is_negative() => {
            Err((SkipReason::Negative, format!("expected a quantity of 0 or more, found {quantity}")))
        }
        Ok(quantity) if quantity.ceil() > 1 << 60 => {
            Err((SkipReason::Absurd, format!("{quantity} is beyond any cluster")))
        }
        Ok(quantity) => Ok(quantity),
        Err(error) => Err((SkipReason::NotANumber, error.to_string())),
    }
}

/// CPU in millicores and memory in bytes that the scheduler counts for a pod: the sum over containers and sidecars, or what the
/// largest init container needs, plus overhead. A limit without a request is the request.
fn requests(spec: &Value) -> Result<(u64, u64), (SkipReason, String)> {
    let of = |container: &Value, name: &str| {
        let request = container.pointer(&format!("/resources/requests/{name}"));
        quantity(request.or_else(|| container.pointer(&format!("/resources/limits/{name}"))))
    };
    let list = |field: &str| spec.get(field).and_then(Value::as_array).into_iter().flatten();
    let mut totals = [Quantity::ZERO; 2];
    for (total, name) in totals.iter_mut().zip(["cpu", "memory"]) {
        let (mut sidecars, mut init) = (Quantity::ZERO, Quantity::ZERO);
        for container in list("initContainers") {
            let need = of(container, name)?;
            if text(container, "/restartPolicy") == "Always" {
                sidecars = sidecars.saturating_add(need);
                init = init.max(sidecars);
            } else {
                init = init.max(sidecars.saturating_add(need));
            }
        }
        let mut sum = sidecars;
        for container in list("containers") {
            sum = sum.saturating_add(of(container, name)?);
        }
        *total = sum.max(init).saturating_add(quantity(spec.pointer(&format!("/overhead/{name}")))?);
    }
    let cpu = u64::try_from(totals[0].milli_value()).unwrap_or(0);
    Ok((cpu, u64::try_from(totals[1].ceil()).unwrap_or(0)))
}

/// All pods of a file, by arrival.
struct Finished {
    name: String,
    rows: u64,
    figures: Figures,
    pods: std::vec::IntoIter<TracePod>,
}

impl RecordFile for Finished {
    fn next_item(&mut self, cx: &mut Context) -> TraceResult<Option<TraceItem>> {
        cx.line = 0;
        Ok(self.pods.next().map(TracePod::into))
    }

    fn report(&self) -> FileReport {
        FileReport {
            file: self.name.clone(),
            table: "events".to_owned(),
            rows: self.rows,
            missing: BTreeMap::new(),
            figures: self.figures.clone(),
        }
    }
}
