//! Alibaba cluster-trace-v2017: machines with disks and errors, containers with disk requests, batch tasks.

use super::error::RowError;
use super::record::{
    NodeChange, NodeEvent, PodDetails, PodEvent, PodRequest, PodVerb, TraceId, TraceNode, TracePod,
};
use super::row::{Row, limits};
use super::table::{
    BatchLife, Context, Moment, Parsed, Recognized, Sample, Table, ends_after, moment, owned,
    refuse_negative_end,
};

const SERVER: [&str; 7] = ["timestamp", "machine_id", "event_type", "event_detail", "cpus", "memory", "disk"];
const CONTAINER: [&str; 8] =
    ["timestamp", "event_type", "instance_id", "machine_id", "plan_cpu", "plan_mem", "plan_disk", "cpuset"];
const TASK: [&str; 8] =
    ["create_time", "end_time", "job_id", "task_id", "instances", "status", "plan_cpu", "plan_mem"];
const INSTANCE: [&str; 12] = [
    "start_time",
    "end_time",
    "job_id",
    "task_id",
    "machine_id",
    "status",
    "seq_no",
    "total_seq_no",
    "cpu_max",
    "cpu_avg",
    "mem_max",
    "mem_avg",
];
const STATES: [&str; 8] =
    ["Ready", "Waiting", "Running", "Terminated", "Failed", "Cancelled", "Interupted", "Interrupted"];

/// What the files look like, for messages.
pub const EXPECTED: &str = "rows of server_event (7 columns), container_event (8), batch_task (8) or batch_instance (12), without a header";

/// Recognizes the tables by their number of columns and their words.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    let integer = Sample::is_integer;
    if let Some(header) = sample
        .positional(&SERVER, |r| integer(&r[0]) && matches!(r[2].as_str(), "add" | "softerror" | "harderror"))
    {
        return Recognized::positional(Servers, header);
    }
    if let Some(header) =
        sample.positional(&CONTAINER, |r| integer(&r[0]) && matches!(r[1].as_str(), "Create" | "Remove"))
    {
        return Recognized::positional(Containers, header);
    }
    let is_state = |text: &String| STATES.contains(&text.as_str());
    if let Some(header) = sample.positional(&TASK, |r| integer(&r[0]) && is_state(&r[5])) {
        return Recognized::positional(Tasks, header);
    }
    let header = sample.positional(&INSTANCE, |r| integer(&r[0]) && is_state(&r[5]))?;
    Recognized::positional(Instances { rows: 0 }, header)
}

struct Servers;

impl Table for Servers {
    fn name(&self) -> &'static str {
        "server_event"
    }
    fn columns(&self) -> Vec<String> {
        owned(&SERVER)
    }
    fn rank(&self) -> u8 {
        0
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(SERVER.len())?;
        let at = moment(row, 0)?.arrival();
        let node = TraceId::Number(row.integer(1, limits::COUNT)?);
        let change = match row.get(2) {
            b"add" => NodeChange::Appears(TraceNode {
                name: node.clone(),
                cpu_milli: row.scaled_or_zero(4, 1000, limits::CPU_MILLI)?,
                memory_bytes: row.optional_share(5, cx.memory_scale(), 1)?,
                disk_bytes: row.optional_share(6, cx.disk_scale(), 1)?,
                ..TraceNode::default()
            }),
            b"softerror" | b"harderror" => {
                let cause = format!("{} {}", row.text(2)?, row.text(3)?);
                NodeChange::Cordoned { cause: cause.trim_end().into() }
            }
            _ => return Err(row.unknown(2, "add, softerror or harderror")),
        };
        Ok(Some(NodeEvent { at, node, change }.into()))
    }
}

struct Containers;

impl Table for Containers {
    fn name(&self) -> &'static str {
        "container_event"
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
        let at = moment(row, 0)?.arrival();
        let verb = match row.get(1) {
            b"Create" => PodVerb::Submit,
            b"Remove" => PodVerb::End,
            _ => return Err(row.unknown(1, "Create or Remove")),
        };
        let name = TraceId::Number(row.integer(2, limits::COUNT)?);
        let request = PodRequest {
            cpu_milli: row.scaled_or_zero(4, 1000, limits::CPU_MILLI)?,
            memory_bytes: row.optional_share(5, cx.memory_scale(), 1)?.unwrap_or(0),
            disk_bytes: row.optional_share(6, cx.disk_scale(), 1)?,
        };
        let details = PodDetails { group: None, role: Some("container".into()) };
        Ok(Some(
            PodEvent {
                placement: Some(TraceId::Number(row.integer(3, limits::COUNT)?)),
                details: Some(Box::new(details)),
                strict: true,
                ..PodEvent::new(at, name, verb, request, cx.origin())
            }
            .into(),
        ))
    }
}

/// What became of a batch task or instance.
enum Fate {
    Ended,
    Running,
    NeverStarted,
}

fn fate(row: &Row<'_>, field: usize) -> Result<Fate, Box<RowError>> {
    Ok(match row.get(field) {
        b"Terminated" | b"Failed" | b"Interupted" | b"Interrupted" => Fate::Ended,
        b"Running" => Fate::Running,
        b"Ready" | b"Waiting" | b"Cancelled" => Fate::NeverStarted,
        _ => return Err(row.unknown(field, "Ready, Waiting, Running, Terminated, Failed or Cancelled")),
    })
}

/// Start and end of a batch record in columns 0 and 1; a rule's name if it cannot be a pod.
fn life(row: &Row<'_>, status: usize) -> Result<BatchLife, Box<RowError>> {
    let (start, end) = (moment(row, 0)?, moment(row, 1)?);
    refuse_negative_end(row, 1, start.arrival())?;
    Ok(match fate(row, status)? {
        Fate::NeverStarted => Err("never started"),
        Fate::Running => Ok((start.arrival(), None)),
        Fate::Ended => match (start, end) {
            (Moment::Before | Moment::Missing, Moment::Before) if row.get(1) != b"0" => {
                Err("ended before the trace began")
            }
            // An end of 0 beside a later start stands for "unknown".
            (_, Moment::Before | Moment::Missing) => Err("end is unknown"),
            (start, Moment::At(end)) => {
                ends_after(1, start.arrival(), Some(end))?;
                Ok((start.arrival(), Some(end)))
            }
        },
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
        let job = row.integer(2, limits::COUNT)?;
        let task = row.integer(3, limits::COUNT)?;
        let copies = row.integer(4, 10_000_000)? as u32;
        // Hundredths of a core, although the schema says "number of cpus" (docs/TRACES.md).
        let cpu_milli = row.scaled_or_zero(6, 10, limits::CPU_MILLI)?;
        let memory_bytes = row.optional_share(7, cx.memory_scale(), 1)?.unwrap_or(0);
        let (arrival, end) = match life(row, 5)? {
            Ok(times) => times,
            Err(rule) => return cx.left_out(rule),
        };
        if copies == 0 {
            return cx.left_out("task without instances");
        }
        Ok(Some(
            TracePod {
                name: TraceId::Task(job, task),
                copies,
                arrival,
                end,
                cpu_milli,
                memory_bytes,
                group: Some(TraceId::Number(job)),
                role: Some("batch".into()),
                phase: row.optional_text(5)?,
                ..TracePod::default()
            }
            .into(),
        ))
    }
}

struct Instances {
    rows: u64,
}

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

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(INSTANCE.len())?;
        self.rows += 1;
        let cpu_milli = row.scaled_or_zero(8, 1000, limits::CPU_MILLI)?;
        let memory_bytes = row.optional_share(10, cx.memory_scale(), 1)?.unwrap_or(0);
        let times = life(row, 5)?;
        if cx.has_table("batch_task") {
            return cx.left_out("instance of a task that batch_task has");
        }
        let (arrival, end) = match times {
            Ok(times) => times,
            Err(rule) => return cx.left_out(rule),
        };
        if row.is_missing(2) || row.is_missing(3) {
            return cx.left_out("instance without job or task");
        }
        let (job, task) = (row.integer(2, limits::COUNT)?, row.integer(3, limits::COUNT)?);
        let placement =
            if row.is_missing(4) { None } else { Some(TraceId::Number(row.integer(4, limits::COUNT)?)) };
        Ok(Some(
            TracePod {
                name: TraceId::Text(format!("{job}-{task}-{}", self.rows).into()),
                arrival,
                end,
                scheduled: arrival,
                cpu_milli,
                memory_bytes,
                group: Some(TraceId::Number(job)),
                role: Some("batch".into()),
                phase: row.optional_text(5)?,
                placement,
                ..TracePod::default()
            }
            .into(),
        ))
    }
}
