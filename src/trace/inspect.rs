//! `trace inspect`: what is in a trace, exactly.

use super::error::{TraceError, TraceResult};
use super::figures::{self, Figures, fraction};
use super::lives::{Life, Lives, Outcome};
use super::reader::{Blame, FileReport};
use super::record::{NodeChange, NodeEvent, PodEvent, PodRequest, TraceItem, TraceNode, TracePod};
use super::sort::Sorter;
use super::source::{TraceRequest, settle_nodes};
use super::table::{NOMINAL_SCALE, Normalized};
use crate::engine::time::SimTime;
use rustc_hash::FxHashSet;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Shapes of machines that are listed.
const SHAPES_SHOWN: usize = 50;
/// Resources of which sums, extremes and peaks are kept.
const RESOURCES: usize = 6;
/// Their order: pods, CPU, memory, disk, whole GPUs, GPU shares.
type Amounts = [u64; RESOURCES];

/// Sum and extremes of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many had a value.
    pub count: u64,
    /// Sum of all values.
    pub sum: u128,
    /// Least value; 0 if there is none.
    pub min: u64,
    /// Greatest value.
    pub max: u64,
}

impl Default for Summary {
    fn default() -> Summary {
        Summary { count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Summary {
    fn add(&mut self, value: u64, copies: u64) {
        self.count += copies;
        self.sum += u128::from(value) * u128::from(copies);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

/// A peak and when it was first reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// The value.
    pub value: u128,
    /// Nanoseconds from the start of the trace.
    pub at_nanos: u64,
}

/// What machines of one kind have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeShape {
    /// CPU, memory, disk, GPUs; memory and disk only where the trace says.
    pub amounts: (u64, Option<u64>, Option<u64>, u32),
    /// Model of the GPUs.
    pub gpu_model: Option<Box<str>>,
}

impl NodeShape {
    fn of(node: &TraceNode) -> NodeShape {
        NodeShape {
            amounts: (node.cpu_milli, node.memory_bytes, node.disk_bytes, node.gpus),
            gpu_model: node.gpu_model.clone(),
        }
    }
}

/// Everything that `trace inspect` prints.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// The format's name.
    pub format: String,
    /// Per file: rows, missing values, the format's own figures.
    pub files: Vec<FileReport>,
    /// Pods.
    pub pods: u64,
    /// CPU, memory, disk, GPUs, GPU shares of pods.
    pub pod_resources: [Summary; RESOURCES],
    /// Pods that were there when the trace began.
    pub already_there: u64,
    /// Pods that were alive when it ended.
    pub alive_at_end: u64,
    /// First and last arrival, last event in nanoseconds.
    pub first_arrival: Option<u64>,
    /// Last arrival.
    pub last_arrival: Option<u64>,
    /// Last arrival or end of a pod.
    pub last_event: Option<u64>,
    /// Pods came in the order of their arrival.
    pub sorted: bool,
    /// Highest concurrent demand per resource; at equal times ends come before arrivals.
    pub peaks: [Peak; RESOURCES],
    /// Machines by name.
    pub nodes: u64,
    /// Capacity of machines when they first appear.
    pub node_resources: [Summary; RESOURCES],
    /// Machine events by kind.
    pub node_events: BTreeMap<&'static str, u64>,
    /// Machines by shape when they first appear.
    pub node_shapes: BTreeMap<NodeShape, u64>,
    /// What the trace says about why machines took no more pods, with how often.
    pub cordon_causes: BTreeMap<Box<str>, u64>,
    /// Bad rows skipped by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Good rows that the mapping does not use, by rule.
    pub left_out: BTreeMap<&'static str, u64>,
    /// The first bad rows.
    pub examples: Vec<TraceError>,
    /// Resources that are shares of the largest machine because no scale was given.
    pub shares: Normalized,
}

/// Inspects a trace.
///
/// # Errors
/// As [`super::TraceReader::next_item`].
pub fn inspect(request: &TraceRequest) -> TraceResult<Inspection> {
    let mut request = request.clone();
    request.options.figures = true;
    request.options.nominal_scales = true;
    let rereadable = request.inputs.iter().all(super::TraceInput::is_rereadable);
    if rereadable && let Some(inspection) = Inspector::default().run(&request, false)? {
        return Ok(inspection);
    }
    Inspector::default()
        .run(&request, true)?
        .ok_or_else(|| TraceError::option("the events of a pod contradict each other"))
}

#[derive(Default)]
struct Inspector {
    result: Inspection,
    lives: Lives,
    intervals: Intervals,
    sweep: Sweep,
    nodes: Vec<NodeEvent>,
    names: FxHashSet<u128>,
    last_arrival: u64,
    /// All pods of the format come as events, so that peaks need no intervals.
    streams: bool,
}

impl Inspector {
    /// `None`: events are out of order and must be sorted.
    fn run(mut self, request: &TraceRequest, sort_events: bool) -> TraceResult<Option<Inspection>> {
        let mut reader = request.reader()?;
        let format = reader.format();
        self.result.format = format.name().to_owned();
        self.result.shares = unscaled(format.normalized(), request);
        self.result.sorted = true;
        self.streams = format.is_all_events();
        let mut events = Sorter::new(request.sort_memory);
        let mut order = 0u64;
        while reader.advance()? {
            match reader.item() {
                Some((TraceItem::PodEvent(event), blame)) if !sort_events => {
                    if !self.event(event, blame)? {
                        return Ok(None);
                    }
                }
                Some((TraceItem::Pod(pod), _)) => self.whole_pod(pod),
                _ => match reader.take() {
                    Some(TraceItem::Node(event)) => self.nodes.push(*event),
                    Some(TraceItem::PodEvent(event)) => {
                        let key = (event.at_nanos, order);
                        order += 1;
                        events.push(key, event).map_err(|e| TraceError::option(e.to_string()))?;
                    }
                    Some(TraceItem::Pod(_)) | None => {}
                },
            }
        }
        self.result.sorted &= events.is_sorted();
        for event in events.finish().map_err(|e| TraceError::option(e.to_string()))? {
            let (_, mut event) = event.map_err(|e| TraceError::option(e.to_string()))?;
            if !self.event(&mut event, reader.blame())? {
                return Ok(None);
            }
        }
        for life in self.lives.remaining() {
            self.lived(&life);
        }
        self.sweep.settle();
        for event in settle_nodes(std::mem::take(&mut self.nodes), reader.tally_mut()) {
            self.node(&event);
        }
        Ok(Some(self.finish(&reader)))
    }

    fn node(&mut self, event: &NodeEvent) {
        let (kind, capacity) = match &event.change {
            NodeChange::Appears(node) => ("appears", Some(node)),
            NodeChange::Disappears => ("disappears", None),
            NodeChange::Capacity(_) => ("capacity", None),
            NodeChange::Cordoned { cause } => {
                *self.result.cordon_causes.entry(cause.clone()).or_default() += 1;
                ("cordoned", None)
            }
        };
        *self.result.node_events.entry(kind).or_default() += 1;
        if let Some(node) = capacity
            && self.names.insert(node.name.fingerprint())
        {
            self.result.nodes += 1;
            *self.result.node_shapes.entry(NodeShape::of(node)).or_default() += 1;
            let resources = &mut self.result.node_resources;
            resources[1].add(node.cpu_milli, 1);
            for (slot, value) in [(2, node.memory_bytes), (3, node.disk_bytes)] {
                if let Some(value) = value {
                    resources[slot].add(value, 1);
                }
            }
            resources[4].add(u64::from(node.gpus), 1);
        }
    }

    fn whole_pod(&mut self, pod: &TracePod) {
        let start = pod.arrival_or_start().as_nanos();
        self.result.sorted &= start >= self.last_arrival;
        self.last_arrival = start;
        self.finished(&Shown {
            values: amounts(pod),
            copies: u64::from(pod.copies),
            has_disk: pod.disk_bytes.is_some() || !pod.claims.is_empty(),
            arrival: pod.arrival,
            end: pod.end,
        });
    }

    /// False: out of order.
    fn event(&mut self, event: &mut PodEvent, blame: Blame<'_>) -> TraceResult<bool> {
        let at = event.at_nanos;
        match self.lives.apply(event, blame)? {
            Outcome::OutOfOrder => return Ok(false),
            Outcome::Began(request) => self.sweep.add(at, &request_amounts(&request), true),
            // What it asks for counts from now on.
            Outcome::Known { was, now } => {
                self.sweep.add(at, &request_amounts(&was), false);
                self.sweep.add(at, &request_amounts(&now), true);
            }
            Outcome::Ended(life) => {
                self.sweep.add(at, &request_amounts(&life.request()), false);
                self.lived(&life);
            }
            Outcome::Nothing => {}
        }
        Ok(true)
    }

    /// A pod whose life was put together from events.
    fn lived(&mut self, life: &Life) {
        let request = life.request();
        let shown = Shown {
            values: request_amounts(&request),
            copies: 1,
            has_disk: request.disk_bytes.is_some(),
            arrival: life.arrival(),
            end: life.end(),
        };
        self.finished(&shown);
    }

    fn finished(&mut self, pod: &Shown) {
        let (result, copies) = (&mut self.result, pod.copies);
        result.pods += copies;
        if !self.streams {
            let start = pod.arrival.map_or(0, SimTime::as_nanos);
            let end = pod.end.map_or(u64::MAX, SimTime::as_nanos);
            let all = if copies == 1 { pod.values } else { pod.values.map(|v| v.saturating_mul(copies)) };
            self.intervals.push(start, end, all);
        }
        for (slot, value) in pod.values.into_iter().enumerate() {
            if slot != 3 || pod.has_disk {
                result.pod_resources[slot].add(value, copies);
            }
        }
        match pod.arrival {
            None => result.already_there += copies,
            Some(at) => {
                let at = at.as_nanos();
                result.first_arrival = Some(result.first_arrival.map_or(at, |t| t.min(at)));
                result.last_arrival = result.last_arrival.max(Some(at));
            }
        }
        if pod.end.is_none() {
            result.alive_at_end += copies;
        }
        let last = pod.arrival.max(pod.end).map(SimTime::as_nanos);
        result.last_event = result.last_event.max(last);
    }

    fn finish(mut self, reader: &super::TraceReader) -> Inspection {
        self.result.peaks = if self.streams { self.sweep.peaks } else { self.intervals.peaks() };
        self.result.files = reader.reports().to_vec();
        let tally = reader.tally();
        self.result.skipped = tally.skipped.iter().map(|(reason, n)| (reason.name(), *n)).collect();
        self.result.left_out = tally.left_out.clone();
        self.result.examples = tally.examples.clone();
        self.result
    }
}

fn unscaled(normalized: Normalized, request: &TraceRequest) -> Normalized {
    Normalized {
        cpu: normalized.cpu && request.options.max_cpu_milli.is_none(),
        memory: normalized.memory && request.options.max_memory_bytes.is_none(),
        disk: normalized.disk && request.options.max_disk_bytes.is_none(),
    }
}

/// What is counted of a pod.
struct Shown {
    values: Amounts,
    copies: u64,
    has_disk: bool,
    arrival: Option<SimTime>,
    end: Option<SimTime>,
}

fn request_amounts(request: &PodRequest) -> Amounts {
    [1, request.cpu_milli, request.memory_bytes, request.disk_bytes.unwrap_or(0), 0, 0]
}

fn amounts(pod: &TracePod) -> Amounts {
    let claims: u64 = pod.claims.iter().map(|c| c.bytes).sum();
    [
        1,
        pod.cpu_milli,
        pod.memory_bytes,
        pod.disk_bytes.unwrap_or(0).saturating_add(claims),
        u64::from(pod.gpu_count),
        pod.gpu_milli_total(),
    ]
}

/// Concurrent demand over time, fed in order.
#[derive(Default)]
struct Sweep {
    now: [u128; RESOURCES],
    pending_at: u64,
    peaks: [Peak; RESOURCES],
}

impl Sweep {
    /// Changes of one instant are summed before a peak is taken: the state between ends and arrivals of the same instant is
    /// never above both neighbours.
    fn add(&mut self, at: u64, amounts: &Amounts, arrives: bool) {
        if at != self.pending_at {
            self.settle();
            self.pending_at = at;
        }
        for (now, amount) in self.now.iter_mut().zip(amounts) {
            let change = u128::from(*amount);
            *now = if arrives { now.wrapping_add(change) } else { now.wrapping_sub(change) };
        }
    }

    fn settle(&mut self) {
        for (peak, now) in self.peaks.iter_mut().zip(self.now) {
            if now > peak.value {
                *peak = Peak { value: now, at_nanos: self.pending_at };
            }
        }
    }
}

/// Lives as intervals, for traces whose rows (all or some) are lives.
#[derive(Default)]
struct Intervals {
    amounts: Vec<Amounts>,
    /// Instants with the index of the life, in the order of the rows until they are sorted.
    starts: Vec<(u64, u32)>,
    ends: Vec<(u64, u32)>,
}

impl Intervals {
    fn push(&mut self, start: u64, end: u64, amounts: Amounts) {
        let index = self.amounts.len() as u32;
        self.amounts.push(amounts);
        self.starts.push((start, index));
        if end < u64::MAX {
            self.ends.push((end, index));
        }
    }

    fn peaks(mut self) -> [Peak; RESOURCES] {
        let mut sweep = Sweep::default();
        self.starts.sort_unstable();
        self.ends.sort_unstable();
        let mut ends = self.ends.into_iter().peekable();
        for (start, index) in self.starts {
            while let Some((end, index)) = ends.next_if(|&(end, _)| end <= start) {
                sweep.add(end, &self.amounts[index as usize], false);
            }
            sweep.add(start, &self.amounts[index as usize], true);
        }
        sweep.settle();
        sweep.peaks
    }
}

impl Inspection {
    /// Rows of all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|f| f.rows).sum()
    }

    /// Names of the resources by slot; shares of the largest machine are named so.
    fn resource_names(&self) -> [&'static str; RESOURCES] {
        let pick = |share: bool, normal, shared| if share { shared } else { normal };
        [
            "pods",
            pick(self.shares.cpu, "cpu_milli", "cpu_share"),
            pick(self.shares.memory, "memory_bytes", "memory_share"),
            pick(self.shares.disk, "disk_bytes", "disk_share"),
            "gpus",
            "gpu_milli",
        ]
    }

    fn is_share(&self, slot: usize) -> bool {
        match slot {
            1 => self.shares.cpu,
            2 => self.shares.memory,
            3 => self.shares.disk,
            _ => false,
        }
    }

    /// A value in the unit that its name says.
    fn value(&self, slot: usize, value: u128) -> Value {
        if self.is_share(slot) {
            return json!(value as f64 / NOMINAL_SCALE as f64);
        }
        u64::try_from(value).map_or_else(|_| json!(value as f64), |v| json!(v))
    }

    fn resources(&self, of: &[Summary; RESOURCES]) -> Value {
        let names = self.resource_names();
        let mut shown = Map::new();
        for slot in 1..RESOURCES {
            let summary = of[slot];
            if summary.count == 0 {
                continue;
            }
            let value = |v: u128| self.value(slot, v);
            shown.insert(
                names[slot].into(),
                json!({
                    "count": summary.count,
                    "sum": value(summary.sum),
                    "min": value(u128::from(summary.min)),
                    "max": value(u128::from(summary.max)),
                }),
            );
        }
        Value::Object(shown)
    }

    /// The most frequent shapes of machines, at most [`SHAPES_SHOWN`].
    fn shapes(&self) -> Vec<Value> {
        let names = self.resource_names();
        let mut shapes: Vec<_> = self.node_shapes.iter().collect();
        shapes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown = |(shape, count): (&NodeShape, &u64)| {
            let (cpu, memory, disk, gpus) = shape.amounts;
            let mut fields = Map::from_iter([("nodes".to_owned(), json!(count))]);
            for (slot, amount) in [(1, Some(cpu)), (2, memory), (3, disk), (4, Some(u64::from(gpus)))] {
                if let Some(amount) = amount {
                    fields.insert(names[slot].to_owned(), self.value(slot, u128::from(amount)));
                }
            }
            if let Some(model) = &shape.gpu_model {
                fields.insert("gpu_model".to_owned(), json!(model));
            }
            Value::Object(fields)
        };
        shapes.into_iter().take(SHAPES_SHOWN).map(shown).collect()
    }

    /// The figures as JSON: the general ones, and at the same level those under the format's own names, summed over shards.
    pub fn to_json(&self) -> Value {
        let seconds = |nanos: Option<u64>| nanos.map(|n| n as f64 / 1e9);
        let names = self.resource_names();
        let peaks: Map<String, Value> = (0..RESOURCES)
            .map(|slot| {
                let peak = self.peaks[slot];
                let shown =
                    json!({"value": self.value(slot, peak.value), "at_s": peak.at_nanos as f64 / 1e9});
                (names[slot].to_owned(), shown)
            })
            .collect();
        let mut out = json!({
            "format": self.format,
            "rows": self.rows(),
            "pods": self.pods,
            "nodes": self.nodes,
            "unique_names": self.pods,
            "pod_resources": self.resources(&self.pod_resources),
            "node_resources": self.resources(&self.node_resources),
            "node_events": self.node_events,
            "shapes": self.node_shapes.len(),
            "node_shapes": self.shapes(),
            "cordon_causes": self.cordon_causes,
            "already_there": self.already_there,
            "alive_at_end": self.alive_at_end,
            "first_arrival_s": seconds(self.first_arrival),
            "last_arrival_s": seconds(self.last_arrival),
            "last_event_s": seconds(self.last_event),
            "sorted_by_arrival": self.sorted,
            "peaks": peaks,
            "skipped": self.skipped,
            "skipped_examples": self.examples.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "left_out": self.left_out,
            "duplicates": self.skipped.get("duplicate_id").copied().unwrap_or(0),
            "files": self.files.iter().map(file_json).collect::<Vec<_>>(),
        });
        let shares = self.shares;
        if let Value::Object(top) = &mut out {
            if !(shares.cpu || shares.memory || shares.disk) {
                let [pods, cpu, memory, disk, gpus, _] = self.peaks.map(|peak| peak.value);
                let gib = |bytes| fraction(bytes, 1 << 30);
                let peak = json!([pods as u64, cpu as f64 / 1000.0, gib(memory), gib(disk), gpus as f64]);
                top.insert("peak_pods_vcpu_memgib_diskgib_gpu".into(), peak);
            }
            self.insert_own_figures(top);
        }
        out
    }

    /// Shards of a table are summed. Machines come first, so that pods' figures win where both have a name; the machines' are
    /// kept under `node_list` then.
    fn insert_own_figures(&self, top: &mut Map<String, Value>) {
        let mut tables: Vec<(&str, Figures)> = Vec::new();
        for file in &self.files {
            match tables.iter_mut().find(|(table, _)| *table == file.table) {
                Some((_, figures)) => figures::merge(figures, &file.figures),
                None => tables.push((&file.table, file.figures.clone())),
            }
        }
        let several = tables.len() > 1;
        for (table, figures) in tables {
            let shown = figures_json(&figures);
            if several && table == "nodes" && !shown.is_empty() {
                top.insert("node_list".into(), Value::Object(shown.clone()));
            }
            top.extend(shown);
        }
    }
}

fn figures_json(figures: &Figures) -> Map<String, Value> {
    figures.iter().map(|(name, figure)| ((*name).to_owned(), figure.to_json())).collect()
}

fn file_json(file: &FileReport) -> Value {
    let mut shown = Map::new();
    shown.insert("file".into(), json!(file.file));
    shown.insert("table".into(), json!(file.table));
    shown.insert("rows".into(), json!(file.rows));
    shown.insert("missing".into(), json!(file.missing));
    shown.extend(figures_json(&file.figures));
    Value::Object(shown)
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
