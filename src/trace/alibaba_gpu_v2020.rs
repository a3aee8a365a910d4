//! Alibaba cluster-trace-gpu-v2020 ("PAI"): machines, jobs, tasks, instances of a GPU cluster.

use super::error::RowError;
use super::record::{NodeChange, NodeEvent, TraceId, TraceNode, TracePod};
use super::row::{Row, limits};
use super::table::{
    BatchLife, Context, Moment, Parsed, Recognized, Sample, Table, ends_after, moment, owned,
    refuse_negative_end,
};
use crate::engine::time::SimTime;

const GIB: u64 = 1 << 30;
const MACHINE: [&str; 5] = ["machine", "gpu_type", "cap_cpu", "cap_mem", "cap_gpu"];
const JOB: [&str; 6] = ["job_name", "inst_id", "user", "status", "start_time", "end_time"];
const TASK: [&str; 10] = [
    "job_name",
    "task_name",
    "inst_num",
    "status",
    "start_time",
    "end_time",
    "plan_cpu",
    "plan_mem",
    "plan_gpu",
    "gpu_type",
];
const INSTANCE: [&str; 9] = [
    "job_name",
    "task_name",
    "inst_name",
    "worker_name",
    "inst_id",
    "status",
    "start_time",
    "end_time",
    "machine",
];
const STATES: [&str; 4] = ["Running", "Terminated", "Failed", "Waiting"];
const CARDS: [&str; 6] = ["T4", "P100", "V100", "V100M32", "MISC", "CPU"];

/// What the files look like, for messages.
pub const EXPECTED: &str = "rows of pai_machine_spec (5 columns), pai_job_table (6), pai_task_table (10) or pai_instance_table (9), without a header";

/// Recognizes the tables by their number of columns and their words.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    let is_state = |text: &String| STATES.contains(&text.as_str());
    let number = Sample::is_number;
    if let Some(header) = sample.positional(&MACHINE, |r| {
        (CARDS.contains(&r[1].as_str()) || sample.stem.contains("pai_machine_spec"))
            && number(&r[2])
            && number(&r[3])
            && number(&r[4])
    }) {
        return Recognized::positional(Machines, header);
    }
    if let Some(header) = sample.positional(&JOB, |r| is_state(&r[3])) {
        return Recognized::positional(Jobs, header);
    }
    if let Some(header) = sample.positional(&TASK, |r| is_state(&r[3]) && Sample::is_integer(&r[2])) {
        return Recognized::positional(Tasks, header);
    }
    let header = sample.positional(&INSTANCE, |r| is_state(&r[5]))?;
    Recognized::positional(Instances, header)
}

struct Machines;

impl Table for Machines {
    fn name(&self) -> &'static str {
        "pai_machine_spec"
    }
    fn columns(&self) -> Vec<String> {
        owned(&MACHINE)
    }
    fn rank(&self) -> u8 {
        0
    }
    fn lists_machines(&self) -> bool {
        true
    }

    fn parse(&mut self, row: &Row<'_>, _cx: &mut Context) -> Parsed {
        row.expect_columns(MACHINE.len())?;
        let node = TraceId::from(row.required(0)?);
        let machine = TraceNode {
            name: node.clone(),
            cpu_milli: row.scaled(2, 1000, limits::CPU_MILLI)?,
            memory_bytes: Some(row.scaled(3, GIB, limits::BYTES)?),
            gpus: row.integer(4, 1024)? as u32,
            gpu_model: row.optional(1)?.filter(|model| &**model != "CPU"),
            ..TraceNode::default()
        };
        Ok(Some(NodeEvent { at: None, node, change: NodeChange::Appears(machine) }.into()))
    }
}

/// Jobs are only joined: their start is the moment of submission.
struct Jobs;

impl Table for Jobs {
    fn name(&self) -> &'static str {
        "pai_job_table"
    }
    fn columns(&self) -> Vec<String> {
        owned(&JOB)
    }
    fn rank(&self) -> u8 {
        0
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(JOB.len())?;
        let name = TraceId::from(row.required(0)?);
        let (start, end) = (moment(row, 4)?.arrival(), moment(row, 5)?.arrival());
        refuse_negative_end(row, 5, start)?;
        ends_after(5, start, end)?;
        if let Some(start) = start {
            cx.job_starts.insert(name.fingerprint(), start.as_nanos());
        }
        Ok(None)
    }
}

/// Launch and end in two columns; a rule's name if the record cannot be a pod.
fn life(row: &Row<'_>, status: usize, start: usize) -> Result<BatchLife, Box<RowError>> {
    let (launch, end) = (moment(row, start)?, moment(row, start + 1)?);
    refuse_negative_end(row, start + 1, launch.arrival())?;
    let ended = match row.get(status) {
        b"Terminated" | b"Failed" => true,
        b"Running" => false,
        b"Waiting" => return Ok(Err("never started")),
        _ => return Err(row.unknown(status, "Running, Terminated, Failed or Waiting")),
    };
    Ok(match (ended, launch, end) {
        (_, Moment::Missing, _) => Err("start is unknown"),
        (false, launch, _) => Ok((launch.arrival(), None)),
        (true, _, Moment::Missing | Moment::Before) => Err("end is unknown"),
        (true, launch, Moment::At(end)) => {
            ends_after(start + 1, launch.arrival(), Some(end))?;
            Ok((launch.arrival(), Some(end)))
        }
    })
}

struct Tasks;

impl Table for Tasks {
    fn name(&self) -> &'static str {
        "pai_task_table"
    }
    fn columns(&self) -> Vec<String> {
        owned(&TASK)
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(TASK.len())?;
        let (job, task) = (row.required(0)?, row.required(1)?);
        let copies = row.integer(2, 10_000_000)? as u32;
        let cpu_milli = row.scaled_or_zero(6, 10, limits::CPU_MILLI)?;
        let memory_bytes = row.scaled_or_zero(7, GIB, limits::BYTES)?;
        let (gpu_count, gpu_milli) = gpus(row.scaled_or_zero(8, 10, 1_024_000)?);
        let (launch, end) = match life(row, 3, 4)? {
            Ok(times) => times,
            Err(rule) => return cx.left_out(rule),
        };
        if copies == 0 {
            return cx.left_out("task without instances");
        }
        let group = TraceId::from(job);
        // Submitted with its job, then as long as it ran.
        let submitted = cx.job_starts.get(&group.fingerprint()).map(|&nanos| SimTime::from_nanos(nanos));
        let arrival = submitted.filter(|&s| launch.is_some_and(|l| s <= l)).or(launch);
        let end = match (arrival, launch, end) {
            (Some(arrival), Some(launch), Some(end)) => Some(arrival + end.since(launch)),
            _ => end,
        };
        Ok(Some(
            TracePod {
                name: TraceId::Text(format!("{job}-{task}").into()),
                copies,
                arrival,
                scheduled: launch,
                end,
                cpu_milli,
                memory_bytes,
                gpu_count,
                gpu_milli,
                gpu_models: row.optional_text(9)?.into_iter().collect(),
                group: Some(group),
                role: Some(task.into()),
                phase: row.optional_text(3)?,
                ..TracePod::default()
            }
            .into(),
        ))
    }
}

/// Thousandths of GPUs as a number of GPUs and an equal share of each.
pub fn gpus(total_milli: u64) -> (u32, u32) {
    let count = total_milli.div_ceil(1000);
    let each = total_milli.checked_div(count).unwrap_or(0);
    (count as u32, each as u32)
}

struct Instances;

impl Table for Instances {
    fn name(&self) -> &'static str {
        "pai_instance_table"
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

    /// The table has no requests: without the tasks its pods ask for nothing.
    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(INSTANCE.len())?;
        let (job, task, instance) = (row.required(0)?, row.required(1)?, row.required(2)?);
        let times = life(row, 5, 6)?;
        if cx.has_table("pai_task_table") {
            return cx.left_out("instance of a task that pai_task_table has");
        }
        let (launch, end) = match times {
            Ok(times) => times,
            Err(rule) => return cx.left_out(rule),
        };
        Ok(Some(
            TracePod {
                name: TraceId::from(instance),
                arrival: launch,
                scheduled: launch,
                end,
                group: Some(TraceId::from(job)),
                role: Some(task.into()),
                phase: row.optional_text(5)?,
                placement: row.optional_text(8)?.map(TraceId::Text),
                ..TracePod::default()
            }
            .into(),
        ))
    }
}
