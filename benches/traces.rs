//! How fast traces are read: `inspect` against the time that the csv crate alone needs to walk the same bytes (and flate2 to
//! unpack them), in one run, turn by turn. The aim is at most 1.5 times as long.
//!
//! `STOWPLAN_BENCH_BYTES` is the size of the generated Google 2011 task events (1 GB unless set), `STOWPLAN_BENCH_ROUNDS` how often
//! each is done (3 times; the fastest counts). CPU time is that of one thread that does everything, so that a busy machine matters little.

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;
use stowplan::trace::{Format, TraceInput, TraceOptions, TraceRequest, inspect};

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

/// Seconds of this thread's CPU (of the clock where the system does not tell) and of the clock that something takes; done several
/// times, for the system counts CPU time coarsely.
fn seconds(times: u32, mut work: impl FnMut() -> u64) -> [f64; 2] {
    let (wall, cpu) = (Instant::now(), cpu_nanos());
    for _ in 0..times {
        std::hint::black_box(work());
    }
    let wall = wall.elapsed().as_secs_f64() / f64::from(times);
    match (cpu, cpu_nanos()) {
        (Some(before), Some(after)) if after > before => {
            [(after - before) as f64 / 1e9 / f64::from(times), wall]
        }
        _ => [wall, wall],
    }
}

/// Prints what both take, and how many times as long reading takes: in CPU time on one thread, and by the clock with the threads
/// that `trace inspect` uses.
fn compare(name: &str, format: Format, bytes: &Arc<[u8]>, packed: bool, rounds: u32) {
    let times = (100_000_000 / bytes.len().max(1)).clamp(1, 50) as u32;
    let input = TraceInput::Bytes("trace".to_owned(), Arc::clone(bytes));
    let request = |read_ahead| {
        let options = TraceOptions { read_ahead, ..TraceOptions::default() };
        TraceRequest { options, ..TraceRequest::new(Some(format), vec![input.clone()]) }
    };
    let (alone, ahead) = (request(false), request(true));
    let least = |best: [f64; 2], next: [f64; 2]| [best[0].min(next[0]), best[1].min(next[1])];
    let (mut csv, mut ours, mut threads, mut pods) = ([f64::MAX; 2], [f64::MAX; 2], [f64::MAX; 2], 0);
    for _ in 0..rounds {
        let walked = seconds(times, || {
            if packed { walk(flate2::read::MultiGzDecoder::new(&bytes[..])) } else { walk(&bytes[..]) }
        });
        csv = least(csv, walked);
        ours = least(ours, seconds(times, || inspect(&alone).map_or(0, |found| found.pods)));
        let inspected = seconds(times, || {
            pods = inspect(&ahead).map_or(0, |found| found.pods);
            pods
        });
        threads = least(threads, inspected);
    }
    println!(
        "{name:<30} CPU: csv {:.4} s, inspect {:.4} s, ratio {:.2}; clock: csv {:.4} s, inspect {:.4} s, ratio {:.2} ({pods} pods)",
        csv[0],
        ours[0],
        ours[0] / csv[0],
        csv[1],
        threads[1],
        threads[1] / csv[1]
    );
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
    compare("alibaba-gpu-v2025, gzip", Format::AlibabaGpuV2025, &packed, true, rounds);
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut plain)?;
    compare("alibaba-gpu-v2025, plain", Format::AlibabaGpuV2025, &plain.into(), false, rounds);
    Ok(())
}
