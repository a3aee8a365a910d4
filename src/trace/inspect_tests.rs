//! Figures of whole traces: hand-computed ones, and those of real files where `STOWPLAN_TRACES` names their folder.

use super::*;
use crate::trace::{Format, SkipReason, TraceInput};
use std::path::{Path, PathBuf};

/// The folder of third-party traces, if this machine has it.
pub fn real_traces() -> Option<PathBuf> {
    let folder = std::env::var_os("STOWPLAN_TRACES").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: STOWPLAN_TRACES is not set");
    }
    folder
}

fn inspect_file(format: Option<Format>, path: &Path) -> Value {
    let input = TraceInput::Path(path.to_owned());
    match inspect(&TraceRequest::new(format, vec![input])) {
        Ok(inspection) => inspection.to_json(),
        Err(error) => panic!("{error}"),
    }
}

fn memory(name: &str, text: &str) -> TraceInput {
    TraceInput::Bytes(name.into(), text.as_bytes().into())
}

const PODS: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n";

/// `path` relative to the folder, and its key in expected.json.
const EXPECTED: [(&str, &str); 7] = [
    ("openb/openb_node_list_all_node.csv", "openb/all_node"),
    ("openb/openb_node_list_gpu_node.csv", "openb/gpu_node"),
    ("openb/openb_pod_list_default.csv", "openb/openb_pod_list_default.csv"),
    ("openb/openb_pod_list_cpu250.csv.gz", "openb/openb_pod_list_cpu250.csv.gz"),
    ("openb/openb_pod_list_gpuspec33.csv.gz", "openb/openb_pod_list_gpuspec33.csv.gz"),
    ("openb/openb_pod_list_multigpu20.csv.gz", "openb/openb_pod_list_multigpu20.csv.gz"),
    ("alibaba-gpu-v2025/disaggregated_DLRM_trace.csv.gz", "alibaba-gpu-v2025"),
];

#[test]
fn every_expected_figure_is_printed_under_its_name() {
    let Some(folder) = real_traces() else { return };
    let text = std::fs::read_to_string(folder.join("expected.json")).expect("expected.json");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    for (path, key) in EXPECTED {
        let found = inspect_file(None, &folder.join(path));
        for (name, want) in expected[key].as_object().expect("an object") {
            assert_eq!(&found[name], want, "{key}: {name}");
        }
    }
}

/// The lines of a file, unpacked, cut into shards that each have its header; the last shard first.
fn shards(path: &Path, count: usize) -> Vec<TraceInput> {
    let text = std::io::read_to_string(TraceInput::Path(path.to_owned()).open().expect("a file"));
    let text = text.expect("text");
    let (header, rows) = text.split_once('\n').expect("a header");
    let rows: Vec<&str> = rows.lines().collect();
    let parts = rows.chunks(rows.len().div_ceil(count)).enumerate();
    let shard = |(i, part): (usize, &[&str])| {
        memory(&format!("part-{i}.csv"), &format!("{header}\n{}\n", part.join("\n")))
    };
    let mut shards: Vec<TraceInput> = parts.map(shard).collect();
    shards.reverse();
    shards
}

#[test]
fn shards_in_any_order_have_the_figures_of_the_whole() {
    let Some(folder) = real_traces() else { return };
    let text = std::fs::read_to_string(folder.join("expected.json")).expect("expected.json");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    for (path, key) in EXPECTED {
        let request = TraceRequest::new(None, shards(&folder.join(path), 7));
        let found = inspect(&request).unwrap_or_else(|error| panic!("{error}")).to_json();
        for (name, want) in expected[key].as_object().expect("an object") {
            assert_eq!(&found[name], want, "{key}: {name}");
        }
    }
}

#[test]
fn machines_are_counted_by_shape_and_their_troubles_by_cause() {
    let rows = "0,1,add,,64,0.69,1\n0,2,add,,64,0.69,1\n0,3,add,,64,1,1\n9,2,softerror,disk_full,0,0,0\n\
                5,2,softerror,agent_check,0,0,0\n7,3,softerror,agent_check,0,0,0\n";
    let request = TraceRequest::new(Some(Format::AlibabaV2017), vec![memory("server_event.csv", rows)]);
    let found = inspect(&request).expect("a good trace").to_json();
    assert_eq!(found["cordon_causes"], json!({"softerror agent_check": 2, "softerror disk_full": 1}));
    assert_eq!(found["shapes"], 2);
    let shape = |nodes: u64, memory: f64| json!({"nodes": nodes, "cpu_milli": 64_000, "memory_share": memory, "disk_share": 1.0, "gpus": 0});
    assert_eq!(found["node_shapes"], json!([shape(2, 0.69), shape(1, 1.0)]));
}

#[test]
fn openb_peaks_of_the_default_list() {
    // The figures of the format's description: computed there from the file with a plain script.
    let Some(folder) = real_traces() else { return };
    let found = inspect_file(Some(Format::Openb), &folder.join("openb/openb_pod_list_default.csv"));
    assert_eq!(found["peaks"]["pods"], json!({"value": 56, "at_s": 11_821_598.0}));
    assert_eq!(found["peaks"]["cpu_milli"]["value"], 778_516);
    assert_eq!(found["peaks"]["memory_bytes"]["value"], 2_509_012u64 << 20);
    assert_eq!(found["peaks"]["gpu_milli"]["value"], 65_590);
    assert_eq!(found["qos"], json!({"LS": 4647, "BE": 3398, "Burstable": 100, "Guaranteed": 7}));
}

#[test]
fn departures_come_before_arrivals_at_the_same_instant() {
    // a lives 0..10, b 10..20, c 10..10 (no time at all), d 15..20.
    let rows = "a,1000,1,0,0,,LS,Running,0,10,0\nb,2000,1,0,0,,LS,Running,10,20,10\n\
                c,64000,1,0,0,,LS,Running,10,10,10\nd,500,1,0,0,,LS,Pending,15,20,\n";
    let input = memory("pods.csv", &format!("{PODS}{rows}"));
    let found = inspect(&TraceRequest::new(None, vec![input])).expect("a good trace").to_json();
    assert_eq!(found["peaks"]["pods"], json!({"value": 2, "at_s": 15.0}));
    assert_eq!(found["peaks"]["cpu_milli"], json!({"value": 2500, "at_s": 15.0}));
    assert_eq!(
        found["pod_resources"]["cpu_milli"],
        json!({"count": 4, "sum": 67_500, "min": 500, "max": 64_000})
    );
    assert_eq!((found["scheduled_missing"].as_u64(), found["span_s"].as_u64()), (Some(1), Some(20)));
    assert_eq!(found["files"][0]["missing"], json!({"gpu_spec": 4, "scheduled_time": 1}));
}

#[test]
fn bad_rows_stop_with_a_position_or_are_counted_by_reason() {
    let rows = "a,1000,1,0,0,,LS,Running,0,10,0\n\
                b,-5,1,0,0,,LS,Running,10,20,10\n\
                c,1000,1,0\n\
                a,1000,1,0,0,,LS,Running,0,10,0\n\
                d,1000,x,0,0,,LS,Running,0,10,0\n\
                e,1000,1,0,0,,LS,Running,20,10,20\n\
                f,9999999999999,1,0,0,,LS,Running,0,10,0\n\
                g,1000,1,0,0,,LS,Runn";
    let input = memory("pods.csv", &format!("{PODS}{rows}"));
    let mut request = TraceRequest::new(None, vec![input]);
    let error = inspect(&request).expect_err("strict");
    assert_eq!((error.line, error.column, error.reason), (3, 3, SkipReason::Negative), "{error}");
    assert!(error.message.contains("cpu_milli"), "{error}");

    request.options.skip_bad_rows = Some(u64::MAX);
    let found = inspect(&request).expect("skipping");
    let reasons: Vec<(&str, u64)> = found.skipped.into_iter().collect();
    let want = [
        ("absurd", 1),
        ("duplicate_id", 1),
        ("ends_before_start", 1),
        ("negative", 1),
        ("not_a_number", 1),
        ("torn_line", 1),
        ("wrong_columns", 1),
    ];
    assert_eq!(reasons, want);
    assert_eq!((found.pods, found.files[0].rows), (1, 8));

    request.options.skip_bad_rows = Some(2);
    let error = inspect(&request).expect_err("three are too many");
    assert_eq!((error.line, error.reason), (5, SkipReason::TooManyBadRows));
}

#[test]
fn another_formats_file_is_named() {
    let input = memory("x.csv", "sn,cpu_milli,memory_mib,gpu,model\nn,1,1,0,\n");
    let error = inspect(&TraceRequest::new(Some(Format::AlibabaGpuV2025), vec![input])).expect_err("openb");
    assert_eq!(error.reason, SkipReason::WrongFormat);
    assert!(error.hint.as_deref().is_some_and(|h| h.contains("--format openb")), "{error:?}");
    for text in ["", "\n\n", "what,is,this\n1,2,3\n"] {
        assert!(inspect(&TraceRequest::new(None, vec![memory("x.csv", text)])).is_err(), "{text:?}");
    }
}

#[test]
fn a_truncated_gzip_is_a_fault() {
    use std::io::Write;
    let rows: String =
        (0..2000).map(|i| format!("p{i},1000,1,0,0,,LS,Running,{i},{},{i}\n", i * 7 + 1)).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(format!("{PODS}{rows}").as_bytes()).expect("memory");
    let mut bytes = encoder.finish().expect("memory");
    bytes.truncate(bytes.len() / 2);
    let mut request = TraceRequest::new(None, vec![TraceInput::Bytes("pods.csv.gz".into(), bytes.into())]);
    let error = inspect(&request).expect_err("truncated");
    assert_eq!(error.reason, SkipReason::TruncatedFile);
    assert!(error.line > 1, "{error}");
    request.options.skip_bad_rows = Some(5);
    let found = inspect(&request).expect("counted");
    assert_eq!(found.skipped, BTreeMap::from([("truncated_file", 1)]));
    assert!(found.pods > 100);
}

#[test]
fn a_request_that_becomes_known_counts_from_then_on() {
    // Task 0 is there with nothing known but its disk, and runs with half a core and its memory from 700 s on; task 1 overlaps it.
    let text = "0,2,7,0,,0,u,2,9,,,0.25,\n\
        650000000,,7,1,,0,u,2,9,0.125,0.5,,0\n\
        700000000,,7,0,3,8,u,2,9,0.5,0.25,0.125,0\n\
        800000000,,7,0,3,4,u,2,9,0.5,0.25,0.125,0\n\
        900000000,,7,2,3,0,u,2,9,0.25,0.25,0.125,0\n\
        950000000,,7,1,3,4,u,2,9,0.125,0.5,,0\n";
    let request = TraceRequest::new(Some(Format::Google2011), vec![memory("tasks.csv", text)]);
    let found = inspect(&request).expect("a good trace").to_json();
    let peak = |name: &str| (found["peaks"][name]["value"].clone(), found["peaks"][name]["at_s"].clone());
    assert_eq!(peak("pods"), (json!(2), json!(650.0)));
    assert_eq!(peak("cpu_share"), (json!(0.625), json!(700.0)));
    assert_eq!(peak("memory_share"), (json!(0.75), json!(700.0)));
    assert_eq!(peak("disk_share"), (json!(0.25), json!(0.0)));
    assert_eq!(found["pod_resources"]["cpu_share"]["sum"], json!(0.875));
}
