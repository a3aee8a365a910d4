//! Google Borg 2011 (clusterdata-2011-2): machine and task events of 29 days, resources as shares of the largest machine.

use super::error::RowError;
use super::number::parse_digits;
use super::record::{NodeChange, NodeEvent, PodEvent, PodRequest, PodVerb, TraceId, TraceNode};
use super::row::{Row, ShareMemo, limits};
use super::table::{Context, Parsed, Recognized, Sample, Table, owned};
use crate::engine::time::SimTime;
use std::num::NonZeroU32;

const MACHINES: [&str; 6] = ["time", "machine_id", "event_type", "platform_id", "cpus", "memory"];
const ATTRIBUTES: [&str; 5] =
    ["time", "machine_id", "attribute_name", "attribute_value", "attribute_deleted"];
const JOBS: [&str; 8] = [
    "time",
    "missing_info",
    "job_id",
    "event_type",
    "user",
    "scheduling_class",
    "job_name",
    "logical_job_name",
];
const TASKS: [&str; 13] = [
    "time",
    "missing_info",
    "job_id",
    "task_index",
    "machine_id",
    "event_type",
    "user",
    "scheduling_class",
    "priority",
    "cpu_request",
    "memory_request",
    "disk_space_request",
    "different_machines_restriction",
];
const CONSTRAINTS: [&str; 6] =
    ["time", "job_id", "task_index", "comparison_operator", "attribute_name", "attribute_value"];

/// What the files look like, for messages.
pub const EXPECTED: &str = "rows of machine_events (6 columns), machine_attributes (5), job_events (8), task_events (13) or task_constraints (6), without a header";

/// "After the end of the trace".
pub const AFTER_END: u64 = i64::MAX as u64;

/// Recognizes the tables by their number of columns and what stands in them.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    let digits = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let small = |text: &String| digits(text) && text.len() == 1;
    let optional = |text: &String| text.is_empty() || Sample::is_number(text);
    if let Some(header) =
        sample.positional(&TASKS, |r| digits(&r[0]) && digits(&r[2]) && digits(&r[3]) && small(&r[5]))
    {
        return Recognized::positional(Tasks::default(), header);
    }
    // An operator stands where machine events have their platform, whose hash is long.
    if let Some(header) =
        sample.positional(&CONSTRAINTS, |r| digits(&r[0]) && digits(&r[1]) && digits(&r[2]) && small(&r[3]))
    {
        return Recognized::positional(Unused { name: "task_constraints", columns: &CONSTRAINTS }, header);
    }
    if let Some(header) = sample.positional(&MACHINES, |r| {
        digits(&r[0]) && digits(&r[1]) && small(&r[2]) && optional(&r[4]) && optional(&r[5])
    }) {
        return Recognized::positional(Machines, header);
    }
    if let Some(header) =
        sample.positional(&JOBS, |r| digits(&r[0]) && digits(&r[2]) && small(&r[3]) && small(&r[5]))
    {
        return Recognized::positional(Unused { name: "job_events", columns: &JOBS }, header);
    }
    let header = sample
        .positional(&ATTRIBUTES, |r| digits(&r[0]) && digits(&r[1]) && matches!(r[4].as_str(), "0" | "1"))?;
    Recognized::positional(Unused { name: "machine_attributes", columns: &ATTRIBUTES }, header)
}

/// A time in microseconds.
pub enum BorgTime {
    /// Before the trace began, or at a time.
    At(Option<SimTime>),
    /// After its end.
    AfterEnd,
}

/// 0 is before the start, 2^63-1 after the end, everything else microseconds.
pub fn borg_time(micros: u64) -> Option<BorgTime> {
    match micros {
        0 => Some(BorgTime::At(None)),
        AFTER_END => Some(BorgTime::AfterEnd),
        micros if micros <= limits::SECONDS * 1_000_000 => {
            Some(BorgTime::At(Some(SimTime::from_nanos(micros * 1000))))
        }
        _ => None,
    }
}

fn time(row: &Row<'_>) -> Result<BorgTime, Box<RowError>> {
    let micros = match parse_digits(row.get(0)) {
        Some(micros) => micros,
        None => row.integer(0, AFTER_END)?,
    };
    borg_time(micros).ok_or_else(|| row.absurd(0))
}

const AFTER_END_RULE: &str = "event after the end of the trace";

struct Machines;

impl Table for Machines {
    fn name(&self) -> &'static str {
        "machine_events"
    }
    fn columns(&self) -> Vec<String> {
        owned(&MACHINES)
    }
    fn rank(&self) -> u8 {
        0
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(MACHINES.len())?;
        let BorgTime::At(at) = time(row)? else {
            return cx.left_out(AFTER_END_RULE);
        };
        let node = TraceId::Number(row.integer(1, AFTER_END)?);
        let cpu = row.optional_share(4, cx.cpu_scale(), 1)?;
        let memory_bytes = row.optional_share(5, cx.memory_scale(), 1)?;
        let machine = TraceNode {
            name: node.clone(),
            cpu_milli: cpu.unwrap_or(0),
            memory_bytes,
            ..TraceNode::default()
        };
        let change = match row.get(2) {
            b"0" => NodeChange::Appears(machine),
            b"1" => NodeChange::Disappears,
            b"2" => NodeChange::Capacity(machine),
            _ => return Err(row.unknown(2, "0 (add), 1 (remove) or 2 (update)")),
        };
        Ok(Some(NodeEvent { at, node, change }.into()))
    }
}

#[derive(Default)]
struct Tasks {
    /// CPU, memory and disk: a job's tasks ask for the same.
    memos: [ShareMemo; 3],
}

impl Table for Tasks {
    fn name(&self) -> &'static str {
        "task_events"
    }
    fn columns(&self) -> Vec<String> {
        owned(&TASKS)
    }
    fn has_machines(&self) -> bool {
        false
    }
    fn fork(&self) -> Option<Box<dyn Table>> {
        Some(Box::new(Tasks::default()))
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(TASKS.len())?;
        let at = time(row)?;
        let job = row.integer(2, AFTER_END)?;
        let index = row.integer(3, limits::COUNT)?;
        let verb = match row.get(5) {
            b"0" => PodVerb::Submit,
            b"1" => PodVerb::Schedule,
            b"2" => PodVerb::Evict,
            b"3" | b"4" | b"5" | b"6" => PodVerb::End,
            b"7" | b"8" => PodVerb::Update,
            _ => return Err(row.unknown(5, "an event of 0 (submit) to 8 (update running)")),
        };
        let [cpu, memory, disk] = &mut self.memos;
        let cpu = row.optional_share_again(9, cx.cpu_scale(), cpu)?;
        let memory = row.optional_share_again(10, cx.memory_scale(), memory)?;
        let disk_bytes = row.optional_share_again(11, cx.disk_scale(), disk)?;
        let spread = match row.get(12) {
            b"1" => Some(NonZeroU32::MIN),
            b"0" | b"" => None,
            _ => return Err(row.unknown(12, "0 or 1")),
        };
        let machine = row.get(4);
        let placement =
            if machine.is_empty() { None } else { Some(TraceId::Number(row.integer(4, AFTER_END)?)) };
        let priority = if row.get(8).is_empty() { None } else { Some(row.integer(8, 1000)? as i16) };
        let BorgTime::At(at) = at else {
            // The task was alive when the trace ended; that is what no end means.
            return cx.left_out(AFTER_END_RULE);
        };
        let request =
            PodRequest { cpu_milli: cpu.unwrap_or(0), memory_bytes: memory.unwrap_or(0), disk_bytes };
        let name = TraceId::Task(job, index);
        let event = PodEvent::new(at, name, verb, request, cx.origin());
        Ok(Some(PodEvent { priority, max_per_node: spread, placement, ..event }.into()))
    }
}

/// Tables that are read, checked for their shape and not modelled.
struct Unused {
    name: &'static str,
    columns: &'static [&'static str],
}

impl Table for Unused {
    fn name(&self) -> &'static str {
        self.name
    }
    fn columns(&self) -> Vec<String> {
        owned(self.columns)
    }
    fn rank(&self) -> u8 {
        3
    }
    fn has_machines(&self) -> bool {
        false
    }
    fn fork(&self) -> Option<Box<dyn Table>> {
        Some(Box::new(Unused { ..*self }))
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        time(row)?;
        cx.left_out(match self.name {
            "job_events" => "job event (task events say the same)",
            "task_constraints" => "task constraint on a hidden machine attribute",
            _ => "machine attribute",
        })
    }
}
