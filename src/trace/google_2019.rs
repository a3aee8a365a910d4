//! Google Borg 2019 (clusterdata-2019): JSON lines as published, or flattened CSV as exported from BigQuery.

use super::error::{RowError, SkipReason};
use super::google_2011::{AFTER_END, BorgTime, borg_time};
use super::record::{NodeChange, NodeEvent, PodEvent, PodRequest, PodVerb, TraceId, TraceNode};
use super::row::{Row, limits};
use super::table::{Context, Parsed, Recognized, Sample, Table};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// What the files look like, for messages.
pub const EXPECTED: &str = "lines of JSON objects of instance_events, collection_events or machine_events, or CSV with their flattened names as header";

/// Recognizes the tables by the names of their fields.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    if sample.bytes.first() == Some(&b'{') {
        let line = sample.bytes.split(|&b| b == b'\n').find(|line| !line.is_empty())?;
        let keys: BTreeMap<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
        let has = |name: &str| keys.contains_key(name);
        if !has("time") || !has("type") {
            return None;
        }
        let kind = if has("instance_index") {
            Kind::Instances
        } else if has("collection_id") {
            Kind::Collections
        } else if has("machine_id") {
            Kind::Machines
        } else {
            return None;
        };
        return Recognized::positional(Json { kind, missing: BTreeMap::new() }, false);
    }
    let columns = sample.header().to_vec();
    let time = sample.locate(["time", "type"])?;
    let column = |name| sample.locate_optional(name);
    let kind = if sample.locate(["collection_id", "instance_index"]).is_some() {
        Kind::Instances
    } else if sample.locate(["collection_id", "collection_type"]).is_some() {
        Kind::Collections
    } else {
        sample.locate(["machine_id", "capacity.cpus", "capacity.memory"])?;
        Kind::Machines
    };
    let prefix = if kind == Kind::Machines { "capacity" } else { "resource_request" };
    let at = Columns {
        time: time[0],
        kind: time[1],
        collection: column("collection_id"),
        index: column("instance_index"),
        machine: column("machine_id"),
        alloc: column("alloc_collection_id"),
        priority: column("priority"),
        per_machine: column("max_per_machine"),
        switch: column("switch_id"),
        cpus: column(&format!("{prefix}.cpus")),
        memory: column(&format!("{prefix}.memory")),
    };
    Recognized::with_header(Csv { kind, at, columns })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Machines,
    Collections,
    Instances,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Machines => "machine_events",
            Kind::Collections => "collection_events",
            Kind::Instances => "instance_events",
        }
    }
    /// Machines first, then what instances are joined with.
    const fn rank(self) -> u8 {
        match self {
            Kind::Machines | Kind::Collections => 0,
            Kind::Instances => 1,
        }
    }
}

/// One record of any of the tables, as text: numbers, strings and enum names are accepted alike.
#[derive(Default)]
struct Record<'a> {
    time: Cow<'a, str>,
    kind: Cow<'a, str>,
    collection: Cow<'a, str>,
    index: Cow<'a, str>,
    machine: Cow<'a, str>,
    alloc: Cow<'a, str>,
    priority: Cow<'a, str>,
    per_machine: Cow<'a, str>,
    switch: Cow<'a, str>,
    cpus: Cow<'a, str>,
    memory: Cow<'a, str>,
    /// Index of each value's column, for messages.
    fields: [usize; 11],
}

const NAMES: [&str; 11] = [
    "time",
    "type",
    "collection_id",
    "instance_index",
    "machine_id",
    "alloc_collection_id",
    "priority",
    "max_per_machine",
    "switch_id",
    "cpus",
    "memory",
];

/// Index of a value in [`NAMES`].
#[derive(Clone, Copy)]
enum Name {
    Time,
    Type,
    Collection,
    Index,
    Machine,
    Alloc,
    Priority,
    PerMachine,
    Cpus = 9,
    Memory,
}

impl Record<'_> {
    fn value(&self, name: Name) -> &str {
        match name {
            Name::Time => &self.time,
            Name::Type => &self.kind,
            Name::Collection => &self.collection,
            Name::Index => &self.index,
            Name::Machine => &self.machine,
            Name::Alloc => &self.alloc,
            Name::Priority => &self.priority,
            Name::PerMachine => &self.per_machine,
            Name::Cpus => &self.cpus,
            Name::Memory => &self.memory,
        }
    }

    #[cold]
    fn fault(&self, name: Name, reason: SkipReason, expected: &str) -> Box<RowError> {
        let found = self.value(name);
        let found = if found.is_empty() { "nothing".to_owned() } else { format!("{found:?}") };
        let message = format!("{}: expected {expected}, found {found}", NAMES[name as usize]);
        let field = self.fields[name as usize];
        if field == usize::MAX {
            return RowError::row(reason, message);
        }
        RowError::field(field, reason, message)
    }

    fn integer(&self, name: Name, limit: u64) -> Result<u64, Box<RowError>> {
        let text = self.value(name);
        if text.is_empty() {
            return Err(self.fault(name, SkipReason::MissingValue, "a whole number"));
        }
        let value: u64 = match super::number::parse_digits(text.as_bytes()) {
            Some(value) => value,
            None => match super::number::parse_number(text.as_bytes()) {
                Some(number) if number < 0.0 => {
                    return Err(self.fault(name, SkipReason::Negative, "0 or more"));
                }
                Some(number) if libm::floor(number) == number && number <= limit as f64 => number as u64,
                _ => return Err(self.fault(name, SkipReason::NotANumber, "a whole number")),
            },
        };
        if value > limit { Err(self.fault(name, SkipReason::Absurd, "a smaller number")) } else { Ok(value) }
    }

    fn share(&self, name: Name, scale: u64) -> Result<Option<u64>, Box<RowError>> {
        let text = self.value(name);
        if super::number::is_missing(text.as_bytes()) {
            return Ok(None);
        }
        let share = super::number::parse_number(text.as_bytes())
            .ok_or_else(|| self.fault(name, SkipReason::NotANumber, "a number"))?;
        if share < 0.0 {
            return Err(self.fault(name, SkipReason::Negative, "0 or more"));
        }
        if share > 10.0 {
            return Err(self.fault(name, SkipReason::Absurd, "a share of the largest machine"));
        }
        Ok(Some(super::number::nearest(share * scale as f64)))
    }

    fn time(&self) -> Result<BorgTime, Box<RowError>> {
        borg_time(self.integer(Name::Time, AFTER_END)?)
            .ok_or_else(|| self.fault(Name::Time, SkipReason::Absurd, "microseconds of the trace"))
    }

    fn item(&self, kind: Kind, cx: &mut Context) -> Parsed {
        let BorgTime::At(at) = self.time()? else {
            return cx.left_out("event after the end of the trace");
        };
        match kind {
            Kind::Machines => self.machine_event(at, cx),
            Kind::Collections => {
                let limited = !self.value(Name::PerMachine).is_empty();
                let most = if limited { self.integer(Name::PerMachine, limits::COUNT)? as u32 } else { 0 };
                if most == 0 {
                    return cx
                        .left_out("collection event without a limit per machine (instances say the rest)");
                }
                cx.max_per_machine.insert(self.integer(Name::Collection, AFTER_END)?, most);
                Ok(None)
            }
            Kind::Instances => self.instance_event(at, cx),
        }
    }

    fn machine_event(&self, at: Option<crate::engine::time::SimTime>, cx: &mut Context) -> Parsed {
        let node = TraceId::Number(self.integer(Name::Machine, AFTER_END)?);
        let machine = TraceNode {
            name: node.clone(),
            cpu_milli: self.share(Name::Cpus, cx.cpu_scale())?.unwrap_or(0),
            memory_bytes: self.share(Name::Memory, cx.memory_scale())?,
            rack: Some(&*self.switch).filter(|s| !s.is_empty()).map(Box::from),
            ..TraceNode::default()
        };
        let change = match self.value(Name::Type) {
            "1" | "ADD" => NodeChange::Appears(machine),
            "2" | "REMOVE" => NodeChange::Disappears,
            "3" | "UPDATE" => NodeChange::Capacity(machine),
            _ => {
                return Err(self.fault(
                    Name::Type,
                    SkipReason::UnknownValue,
                    "1 (ADD), 2 (REMOVE) or 3 (UPDATE)",
                ));
            }
        };
        Ok(Some(NodeEvent { at, node, change }.into()))
    }

    fn instance_event(&self, at: Option<crate::engine::time::SimTime>, cx: &mut Context) -> Parsed {
        let verb = match self.value(Name::Type) {
            "0" | "SUBMIT" => PodVerb::Submit,
            "1" | "QUEUE" | "2" | "ENABLE" => return cx.left_out("queue and enable events"),
            "3" | "SCHEDULE" => PodVerb::Schedule,
            "4" | "EVICT" => PodVerb::Evict,
            "5" | "FAIL" | "6" | "FINISH" | "7" | "KILL" | "8" | "LOST" => PodVerb::End,
            "9" | "UPDATE_PENDING" | "10" | "UPDATE_RUNNING" => PodVerb::Update,
            _ => {
                return Err(self.fault(Name::Type, SkipReason::UnknownValue, "an event of 0 (SUBMIT) to 10"));
            }
        };
        let collection = self.integer(Name::Collection, AFTER_END)?;
        let index =
            if self.value(Name::Index).is_empty() { 0 } else { self.integer(Name::Index, limits::COUNT)? };
        let cpu = self.share(Name::Cpus, cx.cpu_scale())?;
        let memory = self.share(Name::Memory, cx.memory_scale())?;
        let priority = match self.value(Name::Priority) {
            "" => None,
            _ => Some(self.integer(Name::Priority, 1000)? as i16),
        };
        let inside = !matches!(self.value(Name::Alloc), "" | "0");
        if inside && !cx.options.inner_tasks {
            return cx.left_out("task inside an alloc set (the set is counted)");
        }
        // 0 is "none", -1 a dedicated machine.
        let placement = match self.value(Name::Machine) {
            "" | "0" | "-1" => None,
            _ => Some(TraceId::Number(self.integer(Name::Machine, AFTER_END)?)),
        };
        let request =
            PodRequest { cpu_milli: cpu.unwrap_or(0), memory_bytes: memory.unwrap_or(0), disk_bytes: None };
        let max_per_node = cx.max_per_machine.get(&collection).copied().and_then(NonZeroU32::new);
        let event = PodEvent::new(at, TraceId::Task(collection, index), verb, request, cx.origin());
        Ok(Some(PodEvent { priority, max_per_node, placement, ..event }.into()))
    }
}

/// Positions of the flattened columns; `usize::MAX` where the file has none.
struct Columns {
    time: usize,
    kind: usize,
    collection: usize,
    index: usize,
    machine: usize,
    alloc: usize,
    priority: usize,
    per_machine: usize,
    switch: usize,
    cpus: usize,
    memory: usize,
}

struct Csv {
    kind: Kind,
    at: Columns,
    columns: Vec<String>,
}

impl Table for Csv {
    fn name(&self) -> &'static str {
        self.kind.name()
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn rank(&self) -> u8 {
        self.kind.rank()
    }
    fn has_machines(&self) -> bool {
        self.kind == Kind::Machines
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        let at = &self.at;
        let text = |field| row.text(field).map(Cow::Borrowed);
        let record = Record {
            time: text(at.time)?,
            kind: text(at.kind)?,
            collection: text(at.collection)?,
            index: text(at.index)?,
            machine: text(at.machine)?,
            alloc: text(at.alloc)?,
            priority: text(at.priority)?,
            per_machine: text(at.per_machine)?,
            switch: text(at.switch)?,
            cpus: text(at.cpus)?,
            memory: text(at.memory)?,
            fields: [
                at.time,
                at.kind,
                at.collection,
                at.index,
                at.machine,
                at.alloc,
                at.priority,
                at.per_machine,
                at.switch,
                at.cpus,
                at.memory,
            ],
        };
        record.item(self.kind, cx)
    }
}

struct Json {
    kind: Kind,
    missing: BTreeMap<String, u64>,
}

/// A JSON record; whatever else it has is not read.
#[derive(Deserialize)]
struct JsonRecord<'a> {
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    collection_id: Option<&'a RawValue>,
    #[serde(borrow)]
    instance_index: Option<&'a RawValue>,
    #[serde(borrow)]
    machine_id: Option<&'a RawValue>,
    #[serde(borrow)]
    alloc_collection_id: Option<&'a RawValue>,
    #[serde(borrow)]
    priority: Option<&'a RawValue>,
    #[serde(borrow)]
    max_per_machine: Option<&'a RawValue>,
    #[serde(borrow)]
    switch_id: Option<&'a RawValue>,
    #[serde(borrow)]
    resource_request: Option<Resources<'a>>,
    #[serde(borrow)]
    capacity: Option<Resources<'a>>,
}

#[derive(Deserialize)]
struct Resources<'a> {
    #[serde(borrow)]
    cpus: Option<&'a RawValue>,
    #[serde(borrow)]
    memory: Option<&'a RawValue>,
}

/// The text of a number or of a string without escapes; numbers and enums are never escaped.
fn plain(value: Option<&RawValue>) -> Cow<'_, str> {
    let text = value.map_or("", RawValue::get);
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) if inner.contains('\\') => serde_json::from_str(text).unwrap_or(Cow::Borrowed(inner)),
        Some(inner) => Cow::Borrowed(inner),
        None if text == "null" => Cow::Borrowed(""),
        None => Cow::Borrowed(text),
    }
}

impl Table for Json {
    fn name(&self) -> &'static str {
        self.kind.name()
    }
    fn columns(&self) -> Vec<String> {
        vec!["object".to_owned()]
    }
    fn rank(&self) -> u8 {
        self.kind.rank()
    }
    fn has_machines(&self) -> bool {
        self.kind == Kind::Machines
    }
    fn is_json(&self) -> bool {
        true
    }
    fn own_missing(&self) -> BTreeMap<String, u64> {
        self.missing.clone()
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        let json: JsonRecord<'_> = serde_json::from_slice(row.get(0)).map_err(|error| {
            let torn = error.is_eof() && !row.span.terminated;
            let reason = if torn { SkipReason::TornLine } else { SkipReason::Malformed };
            RowError::row(reason, format!("expected a JSON object of {}: {error}", self.kind.name()))
        })?;
        let resources = json.resource_request.or(json.capacity);
        let (cpus, memory) = resources.map_or((None, None), |r| (r.cpus, r.memory));
        let record = Record {
            time: plain(json.time),
            kind: plain(json.kind),
            collection: plain(json.collection_id),
            index: plain(json.instance_index),
            machine: plain(json.machine_id),
            alloc: plain(json.alloc_collection_id),
            priority: plain(json.priority),
            per_machine: plain(json.max_per_machine),
            switch: plain(json.switch_id),
            cpus: plain(cpus),
            memory: plain(memory),
            fields: [usize::MAX; 11],
        };
        let item = record.item(self.kind, cx)?;
        if cx.options.figures && self.kind != Kind::Collections {
            for (name, value) in [("cpus", &record.cpus), ("memory", &record.memory)] {
                if value.is_empty() {
                    *self.missing.entry(name.to_owned()).or_default() += 1;
                }
            }
        }
        Ok(item)
    }
}
