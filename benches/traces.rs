//! How fast traces are read: `inspect` against the time that the csv crate alone needs to walk the same bytes (and flate2 to
//! unpack them). The aim is at most 1.5 times as long.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::io::Read;
use std::sync::Arc;
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

fn importing(c: &mut Criterion) {
    let text: Arc<[u8]> = task_events(64 << 20).into_bytes().into();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let packed: Arc<[u8]> = match std::io::Write::write_all(&mut gzip, &text).and_then(|()| gzip.finish()) {
        Ok(packed) => packed.into(),
        Err(error) => panic!("memory: {error}"),
    };
    let mut group = c.benchmark_group("google-2011 task_events");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
    group.bench_function("csv crate alone", |b| b.iter(|| walk(&text[..])));
    group.bench_function("inspect", |b| {
        let request = request(Format::Google2011, &text);
        b.iter_batched(|| request.clone(), |r| inspect(&r).map(|found| found.pods), BatchSize::PerIteration);
    });
    group.bench_function("flate2 and csv crates alone", |b| {
        b.iter(|| walk(flate2::read::MultiGzDecoder::new(&packed[..])));
    });
    group.bench_function("inspect, gzip", |b| {
        let request = request(Format::Google2011, &packed);
        b.iter_batched(|| request.clone(), |r| inspect(&r).map(|found| found.pods), BatchSize::PerIteration);
    });
    group.finish();

    let Some(folder) = std::env::var_os("STOWPLAN_TRACES") else {
        println!("skipped: alibaba-gpu-v2025, STOWPLAN_TRACES is not set");
        return;
    };
    let path = std::path::Path::new(&folder).join("alibaba-gpu-v2025/disaggregated_DLRM_trace.csv.gz");
    let Ok(packed) = std::fs::read(path) else { return };
    let packed: Arc<[u8]> = packed.into();
    let mut group = c.benchmark_group("alibaba-gpu-v2025");
    group.bench_function("flate2 and csv crates alone", |b| {
        b.iter(|| walk(flate2::read::MultiGzDecoder::new(&packed[..])));
    });
    group.bench_function("inspect", |b| {
        let request = request(Format::AlibabaGpuV2025, &packed);
        b.iter(|| inspect(&request).map(|found| found.pods));
    });
    group.finish();
}

fn request(format: Format, bytes: &Arc<[u8]>) -> TraceRequest {
    let input = TraceInput::Bytes("trace".to_owned(), Arc::clone(bytes));
    TraceRequest::new(Some(format), vec![input])
}

criterion_group!(benches, importing);
criterion_main!(benches);
