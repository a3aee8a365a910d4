//! Alibaba cluster-trace-v2018: machines with failure domains, containers of applications, batch tasks.

use super::error::RowError;
use super::figures::{Figure, Figures};
use super::record::{
    NodeChange, NodeEvent, PodDetails, PodEvent, PodRequest, PodVerb, TraceId, TraceNode, TracePod,
};
use super::row::{Row, limits};
use super::table::{
    BatchLife, Context, Moment, Parsed, Recognized, Sample, Table, ends_after, moment, owned,
    refuse_negative_end,
};

use compact_str::CompactString;
use std::collections::BTreeSet;

const MACHINE: [&str; 7] =
    ["machine_id", "time_stamp", "failure_domain_1", "failure_domain_2", "cpu_num", "mem_size", "status"];
const CONTAINER: [&str; 8] =
    ["container_id", "machine_id", "time_stamp", "app_du", "status", "cpu_request", "cpu_limit", "mem_size"];
const TASK: [&str; 9] = [
    "task_name",
    "instance_num",
    "job_name",
    "task_type",
    "status",
    "start_time",
    "end_time",
    "plan_cpu",
    "plan_mem",
];
const INSTANCE: [&str; 14] = [
    "instance_name",
    "task_name",
    "job_name",
    "task_type",
    "status",
    "start_time",
    "end_time",
    "machine_id",
    "seq_no",
    "total_seq_no",
    "cpu_avg",
    "cpu_max",
    "mem_avg",
    "mem_max",
];
const STATES: [&str; 6] = ["Terminated", "Failed", "Waiting", "Running", "Interrupted", "Cancelled"];

/// What the files look like, for messages.
pub const EXPECTED: &str = "rows of machine_meta (7 columns), container_meta (8), batch_task (9) or batch_instance (14), without a header";

/// Recognizes the tables by their number of columns and their words.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    let integer = Sample::is_integer;
    if let Some(header) =
        sample.positional(&MACHINE, |r| r[0].starts_with("m_") && integer(&r[1]) && integer(&r[4]))
    {
        return Recognized::positional(Machines::default(), header);
    }
    if let Some(header) = sample.positional(&CONTAINER, |r| r[0].starts_with("c_") && integer(&r[2])) {
        return Recognized::positional(Containers, header);
    }
    let is_state = |text: &String| STATES.contains(&text.as_str());
    if let Some(header) = sample.positional(&TASK, |r| integer(&r[1]) && is_state(&r[4])) {
        return Recognized::positional(Tasks, header);
    }
    let header = sample.positional(&INSTANCE, |r| integer(&r[5]) && is_state(&r[4]))?;
    Recognized::positional(Instances, header)
}

/// A share of 100, where -1 and 101 stand for "invalid": counted, and taken as nothing.
fn share(row: &Row<'_>, field: usize, cx: &mut Context) -> Result<Option<u64>, Box<RowError>> {
    if matches!(row.get(field), b"-1" | b"101" | b"-1.0" | b"101.0") {
        cx.tally.leave_out("memory of -1 or 101 (invalid), taken as nothing", 1);
        return Ok(None);
    }
    row.optional_share(field, cx.memory_scale(), 100)
}

#[derive(Default)]
struct Machines {
    installing: u64,
    machines: BTreeSet<CompactString>,
    present_at_start: BTreeSet<CompactString>,
    domains: [BTreeSet<CompactString>; 2],
}

impl Table for Machines {
    fn name(&self) -> &'static str {
        "machine_meta"
    }
    fn columns(&self) -> Vec<String> {
        owned(&MACHINE)
    }
    fn rank(&self) -> u8 {
        0
    }

    /// Each row is a sighting; the first one of a machine is its arrival and later ones may change it. A machine that is being
    /// installed is there and takes no pods.
    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(MACHINE.len())?;
        let node = TraceId::from(row.required(0)?);
        let at = moment(row, 1)?.arrival();
        let machine = TraceNode {
            name: node.clone(),
            cpu_milli: row.scaled(4, 1000, limits::CPU_MILLI)?,
            memory_bytes: share(row, 5, cx)?,
            zone: row.optional(2)?,
            rack: row.optional(3)?,
            cordoned: row.required(6)? != "USING",
            ..TraceNode::default()
        };
        if cx.options.figures {
            self.count(row, at.is_none(), machine.cordoned);
        }
        Ok(Some(NodeEvent { at, node, change: NodeChange::Appears(machine) }.into()))
    }

    fn figures(&self) -> Figures {
        let [first, second] = &self.domains;
        Figures::from([
            ("machines", Figure::distinct(&self.machines)),
            ("machines_at_start", Figure::distinct(&self.present_at_start)),
            ("failure_domain_1", Figure::distinct(first)),
            ("failure_domain_2", Figure::distinct(second)),
            ("import_installing", Figure::Sum(self.installing)),
        ])
    }
}

impl Machines {
    fn count(&mut self, row: &Row<'_>, at_start: bool, installing: bool) {
        let text = |field| CompactString::from_utf8_lossy(row.get(field));
        self.installing += u64::from(installing);
        if at_start {
            self.present_at_start.insert(text(0));
        }
        self.machines.insert(text(0));
        for (domain, field) in self.domains.iter_mut().zip([2, 3]) {
            if !row.get(field).is_empty() {
                domain.insert(text(field));
            }
        }
    }
}

struct Containers;

impl Table for Containers {
    fn name(&self) -> &'static str {
        "container_meta"
    }
    fn columns(&self) -> Vec<String> {
        owned(&CONTAINER)
    }
    fn has_machines(&self) -> bool {
        false
    }
    fn fork(&self) -> Option<Box<dyn Table>> {
        Some(Box::new(Containers))
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(CONTAINER.len())?;
        let name = TraceId::from(row.required(0)?);
        let at = moment(row, 2)?.arrival();
        let verb = match row.get(4) {
            b"started" | b"allocated" | b"unknown" => PodVerb::Seen,
            b"stopped" => PodVerb::End,
            _ => return Err(row.unknown(4, "started, allocated, unknown or stopped")),
        };
        let request = PodRequest {
            cpu_milli: row.scaled_or_zero(5, 10, limits::CPU_MILLI)?,
            memory_bytes: share(row, 7, cx)?.unwrap_or(0),
            disk_bytes: None,
        };
        row.scaled_or_zero(6, 10, limits::CPU_MILLI)?;
        let group = row.optional_text(3)?.map(TraceId::Text);
        let details = PodDetails { group, role: Some("container".into()) };
        Ok(Some(
            PodEvent {
                placement: row.optional_text(1)?.map(TraceId::Text),
                details: Some(Box::new(details)),
                ..PodEvent::new(at, name, verb, request, cx.origin())
            }
            .into(),
        ))
    }
}

/// Start and end in columns 5 and 6; a rule's name if the record cannot be a pod.
fn life(row: &Row<'_>) -> Result<BatchLife, Box<RowError>> {
    let (start, end) = (moment(row, 5)?, moment(row, 6)?);
    refuse_negative_end(row, 6, start.arrival())?;
    let ended = match row.get(4) {
        b"Terminated" | b"Failed" | b"Interrupted" => true,
        b"Running" => false,
        b"Waiting" | b"Cancelled" => return Ok(Err("never started")),
        _ => return Err(row.unknown(4, "Terminated, Failed, Waiting, Running or Interrupted")),
    };
    Ok(match (ended, end) {
        (false, _) => Ok((start.arrival(), None)),
        (true, Moment::Before | Moment::Missing) => Err("end is unknown"),
        (true, Moment::At(end)) => {
            ends_after(6, start.arrival(), Some(end))?;
            Ok((start.arrival(), Some(end)))
        }
    })
}

struct Tasks;

impl Table for Tasks {
    fn name(&self) -> &'static str {
        "batch_task"
    }
    fn columns(&self) -> Vec<String> {
        owned(&TASK)
    }
    fn has_machines(&self) -> bool {
        false
    }
    fn fork(&self) -> Option<Box<dyn Table>> {
        Some(Box::new(Tasks))
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(TASK.len())?;
        let (task, job) = (row.required(0)?, row.required(2)?);
        let copies = row.integer(1, 10_000_000)? as u32;
        let cpu_milli = row.scaled_or_zero(7, 10, limits::CPU_MILLI)?;
        let memory_bytes = share(row, 8, cx)?.unwrap_or(0);
        let (arrival, end) = match life(row)? {
            Ok(times) => times,
            Err(rule) => return cx.left_out(rule),
        };
        if copies == 0 {
            return cx.left_out("task without instances");
        }
        Ok(Some(
            TracePod {
                name: TraceId::Text(format!("{job}-{task}").into()),
                copies,
                arrival,
                end,
                cpu_milli,
                memory_bytes,
                group: Some(TraceId::from(job)),
                role: Some("batch".into()),
                phase: row.optional_text(4)?,
                ..TracePod::default()
            }
            .into(),
        ))
    }
}

struct Instances;

impl Table for Instances {
    fn name(&self) -> &'static str {
        "batch_instance"
    }
    fn columns(&self) -> Vec<String> {
        owned(&INSTANCE)
    }
    fn rank(&self) -> u8 {
        2
    }
    fn has_machines(&self) -> bool {
        false
    }
    fn fork(&self) -> Option<Box<dyn Table>> {
        Some(Box::new(Instances))
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(INSTANCE.len())?;
        let (instance, task, job) = (row.required(0)?, row.required(1)?, row.required(2)?);
        let attempt = row.text(8)?;
        let cpu_milli = row.scaled_or_zero(11, 10, limits::CPU_MILLI)?;
        let memory_bytes = row.optional_share(13, cx.memory_scale(), 100)?.unwrap_or(0);
        let times = life(row)?;
        if cx.has_table("batch_task") {
            return cx.left_out("instance of a task that batch_task has");
        }
        let (arrival, end) = match times {
            Ok(times) => times,
            Err(rule) => return cx.left_out(rule),
        };
        Ok(Some(
            TracePod {
                name: TraceId::Text(format!("{job}-{task}-{instance}-{attempt}").into()),
                arrival,
                end,
                scheduled: arrival,
                cpu_milli,
                memory_bytes,
                group: Some(TraceId::from(job)),
                role: Some("batch".into()),
                phase: row.optional_text(4)?,
                placement: row.optional_text(7)?.map(TraceId::Text),
                ..TracePod::default()
            }
            .into(),
        ))
    }
}
