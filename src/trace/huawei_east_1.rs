//! Huawei-East-1: creations and deletions of virtual machines over 30 days.

use super::record::{PodEvent, PodRequest, PodVerb, TraceId};
use super::row::{Row, limits};
use super::table::{Context, Parsed, Recognized, Sample, Table};
use crate::engine::time::SimTime;

const GIB: u64 = 1 << 30;

/// What the file looks like, for messages.
pub const EXPECTED: &str = "the header vmid,cpu,memory,time,type";

/// Recognizes the table by its header.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    let at = sample.locate(["vmid", "cpu", "memory", "time", "type"])?;
    Recognized::with_header(Events { at, columns: sample.header().to_vec() })
}

struct Events {
    at: [usize; 5],
    columns: Vec<String>,
}

impl Table for Events {
    fn name(&self) -> &'static str {
        "vm_events"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        let [vm, cpu, memory, time, kind] = self.at;
        let millis = row.scaled(time, 1000, limits::SECONDS * 1000)?;
        let verb = match row.get(kind) {
            b"0" => PodVerb::Submit,
            b"1" => PodVerb::End,
            _ => return Err(row.unknown(kind, "0 (create) or 1 (delete)")),
        };
        let request = PodRequest {
            cpu_milli: row.scaled(cpu, 1000, limits::CPU_MILLI)?,
            memory_bytes: row.scaled(memory, GIB, limits::BYTES)?,
            disk_bytes: None,
        };
        let name = TraceId::Number(row.integer(vm, limits::COUNT)?);
        let at = Some(SimTime::from_nanos(millis * 1_000_000));
        Ok(Some(PodEvent { strict: true, ..PodEvent::new(at, name, verb, request, cx.origin()) }.into()))
    }
}
