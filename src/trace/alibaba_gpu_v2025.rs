//! Alibaba cluster-trace-gpu-v2025: instances of recommendation models with real disk requests over 31 days.

use super::error::{RowError, SkipReason};
use super::figures::{Figure, Figures};
use super::record::{TraceId, TracePod};
use super::row::{Row, limits};
use super::table::{Context, Parsed, Recognized, Sample, Table, whole_seconds};
use crate::engine::time::SimTime;
use rustc_hash::FxHashSet;

const GIB: u64 = 1 << 30;

const COLUMNS: [&str; 14] = [
    "instance_sn",
    "role",
    "app_name",
    "cpu_request",
    "gpu_request",
    "rdma_request",
    "memory_request",
    "disk_request",
    "disk_limit",
    "max_instance_per_node",
    "creation_time",
    "scheduled_time",
    "deletion_time",
    "memory_limit",
];

/// What the file looks like, for messages.
pub const EXPECTED: &str = "a header with instance_sn,role,app_name,cpu_request,...,disk_request,disk_limit,...,creation_time,scheduled_time,deletion_time";

/// Recognizes the table by its header.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    let at = sample.locate(COLUMNS)?;
    let columns = sample.header().to_vec();
    Recognized::with_header(Instances { at, columns, figures: InstanceFigures::default() })
}

struct Instances {
    at: [usize; 14],
    columns: Vec<String>,
    figures: InstanceFigures,
}

#[derive(Default)]
struct InstanceFigures {
    rows: u64,
    apps: FxHashSet<u128>,
    cn: u64,
    hn: u64,
    cpu_milli: u64,
    memory_bytes: u128,
    disk_bytes: u128,
    disk_limit_bytes: u128,
    gpu: u64,
    rdma: u64,
    alive_at_start: u64,
    start_disk_bytes: u128,
    creations: u64,
    creation_min: Option<u64>,
    deletions: u64,
    alive_at_end: u64,
    end_disk_bytes: u128,
    last_event: u64,
}

impl Instances {
    fn times(&self, row: &Row<'_>) -> Result<[Option<u64>; 3], Box<RowError>> {
        let [creation, scheduled, deletion] = [self.at[10], self.at[11], self.at[12]];
        let times =
            [whole_seconds(row, creation)?, whole_seconds(row, scheduled)?, whole_seconds(row, deletion)?];
        for (later, field) in [(times[1], scheduled), (times[2], deletion)] {
            if let (Some(created), Some(later)) = (times[0], later)
                && later < created
            {
                let message = format!("{later} is before the creation at {created}");
                return Err(RowError::field(field, SkipReason::EndsBeforeStart, message));
            }
        }
        Ok(times)
    }
}

impl Table for Instances {
    fn name(&self) -> &'static str {
        "instances"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        let [name, role, app, cpu, gpu, rdma, memory, disk, disk_limit, per_node, ..] = self.at;
        let times = self.times(row)?;
        let role_word = match row.get(role) {
            b"CN" => "CN",
            b"HN" => "HN",
            _ => return Err(row.required(role).err().unwrap_or_else(|| row.unknown(role, "CN or HN"))),
        };
        let max_per_node = match row.get(per_node) {
            b"-1" | b"-1.0" => None,
            _ => Some(row.integer(per_node, 1_000_000)? as u32).filter(|&k| k > 0),
        };
        let gpus = row.integer(gpu, 1024)? as u32;
        let pod = TracePod {
            name: TraceId::from(row.required(name)?),
            arrival: times[0].map(SimTime::from_secs),
            scheduled: times[1].map(SimTime::from_secs),
            end: times[2].map(SimTime::from_secs),
            cpu_milli: row.scaled(cpu, 1000, limits::CPU_MILLI)?,
            memory_bytes: row.scaled(memory, GIB, limits::BYTES)?,
            disk_bytes: Some(row.scaled(disk, GIB, limits::BYTES)?),
            disk_limit_bytes: Some(row.scaled(disk_limit, GIB, limits::BYTES)?),
            gpu_count: gpus,
            gpu_milli: if gpus > 0 { 1000 } else { 0 },
            rdma_percent: row.integer(rdma, 100_000)? as u32,
            group: Some(TraceId::from(row.required(app)?)),
            role: Some(role_word.into()),
            max_per_node,
            phase: None,
            qos: None,
            gpu_models: Vec::new(),
            priority: None,
            placement: None,
            copies: 1,
            claims: Vec::new(),
        };
        if cx.options.figures {
            self.figures.count(&pod, times);
        }
        Ok(Some(pod.into()))
    }

    fn figures(&self) -> Figures {
        let f = &self.figures;
        Figures::from([
            ("pods", Figure::Sum(f.rows)),
            ("apps", Figure::Distinct(f.apps.clone())),
            ("cn", Figure::Sum(f.cn)),
            ("hn", Figure::Sum(f.hn)),
            ("alive_at_start", Figure::Sum(f.alive_at_start)),
            ("creations", Figure::Sum(f.creations)),
            ("deletions", Figure::Sum(f.deletions)),
            ("alive_at_end", Figure::Sum(f.alive_at_end)),
            ("creation_min", Figure::Least(f.creation_min)),
            ("last_event", Figure::Most(Some(f.last_event))),
            ("vcpu", Figure::Amount { sum: f.cpu_milli.into(), per: 1000 }),
            ("memory_gib", Figure::gib(f.memory_bytes)),
            ("disk_request_gib", Figure::gib(f.disk_bytes)),
            ("disk_limit_gib", Figure::gib(f.disk_limit_bytes)),
            ("gpu", Figure::Amount { sum: f.gpu.into(), per: 1 }),
            ("rdma", Figure::Amount { sum: f.rdma.into(), per: 1 }),
            ("start_disk_gib", Figure::gib(f.start_disk_bytes)),
            ("end_disk_gib", Figure::gib(f.end_disk_bytes)),
        ])
    }
}

impl InstanceFigures {
    fn count(&mut self, pod: &TracePod, [creation, scheduled, deletion]: [Option<u64>; 3]) {
        let disk = u128::from(pod.disk_bytes.unwrap_or(0));
        self.rows += 1;
        if let Some(app) = &pod.group {
            self.apps.insert(app.fingerprint());
        }
        if pod.role.as_deref() == Some("CN") {
            self.cn += 1;
        } else {
            self.hn += 1;
        }
        self.cpu_milli += pod.cpu_milli;
        self.memory_bytes += u128::from(pod.memory_bytes);
        self.disk_bytes += disk;
        self.disk_limit_bytes += u128::from(pod.disk_limit_bytes.unwrap_or(0));
        self.gpu += u64::from(pod.gpu_count);
        self.rdma += u64::from(pod.rdma_percent);
        match creation {
            None => {
                self.alive_at_start += 1;
                self.start_disk_bytes += disk;
            }
            Some(at) => {
                self.creations += 1;
                self.creation_min = Some(self.creation_min.map_or(at, |least| least.min(at)));
            }
        }
        match deletion {
            None => {
                self.alive_at_end += 1;
                self.end_disk_bytes += disk;
            }
            Some(_) => self.deletions += 1,
        }
        for at in [creation, scheduled, deletion].into_iter().flatten() {
            self.last_event = self.last_event.max(at);
        }
    }
}
