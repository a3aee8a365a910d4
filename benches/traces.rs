//! How fast traces are read: `inspect` against the time that the csv crate alone needs to walk the same bytes (and flate2 to
//! unpack them), in one run, turn by turn. The aim is at most 1.5 times as long.
//!
//! `STOWPLAN_BENCH_BYTES` is the size of the generated Google 2011 task events (1 GB unless set), `STOWPLAN_BENCH_ROUNDS` how often
//! each is done (3 times; the fastest counts, in CPU time where the system tells it, so that a busy machine matters little).

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;
use stowplan::trace::{Format, TraceInput, TraceRequest, inspect};

/// Borg 2011 task events in time order: submitted, placed, ended, some evicted and submitted again.
fn task_events(bytes: usize) -> String {
    const USER: &str = "c2FtcGxlVXNlckhhc2gxMTExMTExMTExMTExMTExMTE=";
    let mut text = String::with_capacity(bytes + 400);
    let (mut time, mut job, mut state) = (600_000_000u64, 6_000_000_000u64, 42u64);
    let mut alive: std::collections::VecDeque<(u64, u64)> = std::collections::VecDeque::new();
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        time += (state >> 40) % 3000;
        job += u64::from(state.is_multiple_of(7));
        let index = state >> 33 & 0xfff;
        let (cpu, memory, disk) = ("0.0625", "0.01553", "3.815e-05");
        let row = |at: u64, id: (u64, u64), machine: &str, event: u8| {
            format!("{at},,{},{},{machine},{event},{USER},2,4,{cpu},{memory},{disk},0\n", id.0, id.1)
        };
        let id = (job, index * 1_000_000 + (text.len() as u64 & 0xffff));
        text.push_str(&row(time, id, "", 0));
        text.push_str(&row(time + 1, id, "4820285492", 1));
        alive.push_back(id);
        if alive.len() > 20_000
            && let Some(old) = alive.pop_front()
        {
            text.push_str(&row(time + 2, old, "4820285492", 4));
        }
        time += 3;
    }
    text
}

fn walk(bytes: impl Read) -> u64 {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let (mut record, mut fields) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        fields += record.len() as u64;
    }
    fields
}

/// CPU time of this thread in nanoseconds, where the system tells it.
fn cpu_nanos() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Seconds that something takes on this thread.
fn seconds(work: impl FnOnce() -> u64) -> f64 {
    let (wall, cpu) = (Instant::now(), cpu_nanos());
    std::hint::black_box(work());
    match (cpu, cpu_nanos()) {
        (Some(before), Some(after)) if after > before => (after - before) as f64 / 1e9,
        _ => wall.elapsed().as_secs_f64(),
    }
}

/// Prints what both take, and how many times as long reading takes.
fn compare(name: &str, format: Format, bytes: &Arc<[u8]>, packed: bool, rounds: u32) {
    let input = TraceInput::Bytes("trace".to_owned(), Arc::clone(bytes));
    let request = TraceRequest::new(Some(format), vec![input]);
    let (mut csv, mut ours, mut pods) = (f64::MAX, f64::MAX, 0);
    for _ in 0..rounds {
        csv = csv.min(seconds(|| {
            if packed { walk(flate2::read::MultiGzDecoder::new(&bytes[..])) } else { walk(&bytes[..]) }
        }));
        ours = ours.min(seconds(|| {
            pods = inspect(&request).map_or(0, |found| found.pods);
            pods
        }));
    }
    println!("{name:<44} csv {csv:8.3} s, inspect {ours:8.3} s, ratio {:.2} ({pods} pods)", ours / csv);
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("VmHWM: unknown").to_owned()
}

fn main() -> std::io::Result<()> {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let size = number("STOWPLAN_BENCH_BYTES", 1_000_000_000) as usize;
    let rounds = number("STOWPLAN_BENCH_ROUNDS", 3) as u32;
    let text: Arc<[u8]> = task_events(size).into_bytes().into();
    let before = peak_memory();
    compare("google-2011 task_events", Format::Google2011, &text, false, rounds);
    println!("peak memory with the text in it: before {before}, after {}", peak_memory());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &text)?;
    let packed: Arc<[u8]> = gzip.finish()?.into();
    compare("google-2011 task_events, gzip", Format::Google2011, &packed, true, rounds);
    let Some(folder) = std::env::var_os("STOWPLAN_TRACES") else {
        println!("skipped: alibaba-gpu-v2025, STOWPLAN_TRACES is not set");
        return Ok(());
    };
    let path = std::path::Path::new(&folder).join("alibaba-gpu-v2025/disaggregated_DLRM_trace.csv.gz");
    let packed: Arc<[u8]> = std::fs::read(path)?.into();
    compare("alibaba-gpu-v2025, gzip", Format::AlibabaGpuV2025, &packed, true, rounds * 20);
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut plain)?;
    compare("alibaba-gpu-v2025, plain", Format::AlibabaGpuV2025, &plain.into(), false, rounds * 20);
    Ok(())
}
