//! Alibaba cluster-trace-v2026-spot-gpu: GPU nodes without memory, jobs of workers, high priority and spot.

use super::alibaba_gpu_v2020::gpus;
use super::record::{NodeChange, NodeEvent, TraceId, TraceNode, TracePod};
use super::row::{Row, limits};
use super::table::{Context, Parsed, Recognized, Sample, Table};
use crate::engine::time::{SimDuration, SimTime};

/// What the files look like, for messages.
pub const EXPECTED: &str = "a header with gpu_model,gpu_capacity_num,cpu_num,node_name (nodes) or job_name,organization,gpu_model,cpu_request,gpu_request,worker_num,submit_time,duration,job_type (jobs)";

/// Recognizes the tables by their headers, in any order of columns.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    let columns = sample.header().to_vec();
    if let Some(at) = sample.locate(["node_name", "gpu_model", "gpu_capacity_num", "cpu_num"]) {
        return Recognized::with_header(Nodes { at, columns });
    }
    let at = sample.locate([
        "job_name",
        "gpu_model",
        "cpu_request",
        "gpu_request",
        "worker_num",
        "submit_time",
        "duration",
        "job_type",
        "organization",
    ])?;
    Recognized::with_header(Jobs { at, columns })
}

struct Nodes {
    at: [usize; 4],
    columns: Vec<String>,
}

impl Table for Nodes {
    fn name(&self) -> &'static str {
        "nodes"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn rank(&self) -> u8 {
        0
    }
    fn lists_machines(&self) -> bool {
        true
    }

    fn parse(&mut self, row: &Row<'_>, _cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        let [name, model, gpus, cpu] = self.at;
        let node = TraceId::from(row.required(name)?);
        let machine = TraceNode {
            name: node.clone(),
            cpu_milli: row.scaled(cpu, 1000, limits::CPU_MILLI)?,
            gpus: row.integer(gpus, 1024)? as u32,
            gpu_model: row.optional(model)?,
            ..TraceNode::default()
        };
        Ok(Some(NodeEvent { at: None, node, change: NodeChange::Appears(machine) }.into()))
    }
}

struct Jobs {
    at: [usize; 9],
    columns: Vec<String>,
}

impl Table for Jobs {
    fn name(&self) -> &'static str {
        "jobs"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        let [job, model, cpu, gpu, workers, submit, duration, kind, _] = self.at;
        let name = TraceId::from(row.required(job)?);
        let millis = |field| row.scaled(field, 1000, limits::SECONDS * 1000);
        let arrival = SimTime::from_nanos(millis(submit)? * 1_000_000);
        let end = arrival + SimDuration::from_millis(millis(duration)?);
        let priority = match row.get(kind) {
            b"HP" => 1000,
            b"Spot" => 0,
            _ => return Err(row.unknown(kind, "HP or Spot")),
        };
        let (gpu_count, gpu_milli) = gpus(row.scaled_or_zero(gpu, 1000, 1_024_000)?);
        let copies = row.integer(workers, 10_000_000)? as u32;
        let cpu_milli = row.scaled_or_zero(cpu, 1000, limits::CPU_MILLI)?;
        if copies == 0 {
            return cx.left_out("job without workers");
        }
        Ok(Some(
            TracePod {
                group: Some(name.clone()),
                name,
                copies,
                arrival: Some(arrival),
                end: Some(end),
                cpu_milli,
                gpu_count,
                gpu_milli,
                gpu_models: row.optional_text(model)?.into_iter().collect(),
                role: row.optional_text(kind)?,
                priority: Some(priority),
                ..TracePod::default()
            }
            .into(),
        ))
    }
}
