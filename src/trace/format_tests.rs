//! Every format on its made-up sample files, with figures worked out by hand from the rows.

use super::*;
use crate::trace::{Inspection, SkipReason, TraceInput, TraceRequest, TraceSource, inspect};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn sample(path: &str) -> TraceInput {
    TraceInput::Path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces").join(path))
}

fn request(format: Option<Format>, paths: &[&str]) -> TraceRequest {
    let mut request = TraceRequest::new(format, paths.iter().map(|p| sample(p)).collect());
    request.options.max_cpu_milli = Some(64_000);
    request.options.max_memory_bytes = Some(1_000_000);
    request.options.max_disk_bytes = Some(1_000_000_000);
    request
}

/// Inspects with the format recognized.
fn look(paths: &[&str]) -> Inspection {
    inspect(&request(None, paths)).unwrap_or_else(|error| panic!("{paths:?}: {error}"))
}

/// cpu_milli, memory, disk (`None` where no pod has any), GPUs: sums.
fn sums(found: &Inspection) -> (u128, u128, Option<u128>, u128) {
    let sum = |slot: usize| found.pod_resources[slot].sum;
    (sum(1), sum(2), (found.pod_resources[3].count > 0).then(|| sum(3)), sum(4))
}

fn left_out(found: &Inspection) -> Vec<(&'static str, u64)> {
    found.left_out.iter().map(|(rule, n)| (*rule, *n)).collect()
}

/// (name, arrival, end) in milliseconds.
fn lives(paths: &[&str]) -> Vec<(String, Option<u64>, Option<u64>)> {
    let source = TraceSource::open(&request(None, paths)).unwrap_or_else(|error| panic!("{error}"));
    let millis = |t: Option<crate::engine::time::SimTime>| t.map(|t| t.as_nanos() / 1_000_000);
    source
        .map(|pod| pod.expect("a good row"))
        .map(|p| (p.name.to_string(), millis(p.arrival), millis(p.end)))
        .collect()
}

fn life(name: &str, arrival: Option<u64>, end: Option<u64>) -> (String, Option<u64>, Option<u64>) {
    (name.to_owned(), arrival, end)
}

#[test]
fn auto_recognizes_every_sample() {
    for (path, format) in [
        ("alibaba-v2017/server_event.sample.csv", "alibaba-v2017"),
        ("alibaba-v2017/container_event.sample.csv", "alibaba-v2017"),
        ("alibaba-v2017/batch_task.sample.csv", "alibaba-v2017"),
        ("alibaba-v2017/batch_instance.sample.csv", "alibaba-v2017"),
        ("alibaba-v2018/machine_meta.sample.csv", "alibaba-v2018"),
        ("alibaba-v2018/container_meta.sample.csv", "alibaba-v2018"),
        ("alibaba-v2018/batch_task.sample.csv", "alibaba-v2018"),
        ("alibaba-v2018/batch_instance.sample.csv", "alibaba-v2018"),
        ("alibaba-gpu-v2020/pai_job_table.sample.csv", "alibaba-gpu-v2020"),
        ("alibaba-gpu-v2020/pai_task_table.sample.csv", "alibaba-gpu-v2020"),
        ("alibaba-gpu-v2020/pai_instance_table.sample.csv", "alibaba-gpu-v2020"),
        ("alibaba-spot-gpu-v2026/job_info_df.sample.csv", "alibaba-spot-gpu-v2026"),
        ("google-2011/machine_events.sample.csv", "google-2011"),
        ("google-2011/machine_attributes.sample.csv", "google-2011"),
        ("google-2011/job_events.sample.csv", "google-2011"),
        ("google-2011/task_events.sample.csv", "google-2011"),
        ("google-2011/task_constraints.sample.csv", "google-2011"),
        ("google-2019/instance_events.sample.json", "google-2019"),
        ("google-2019/instance_events.flattened.sample.csv", "google-2019"),
        ("google-2019/collection_events.sample.json", "google-2019"),
        ("google-2019/machine_events.sample.json", "google-2019"),
        ("azure-packing-2020/vmType.sample.csv", "azure-packing-2020"),
        ("azure-packing-2020/packing_trace_zone_a_v1.sample.sqlite", "azure-packing-2020"),
        ("azure-v2/vmtable.sample.csv", "azure-v2"),
        ("azure-v2/vmtable_v1.sample.csv", "azure-v1"),
        ("azure-v2/deployments.sample.csv", "azure-v1"),
        ("huawei-east-1/Huawei-East-1.sample.csv", "huawei-east-1"),
    ] {
        assert_eq!(look(&[path]).format, format, "{path}");
    }
}

#[test]
fn alibaba_v2017_machines_have_disks_and_errors() {
    let found = look(&["alibaba-v2017/server_event.sample.csv"]);
    assert_eq!(found.nodes, 6);
    assert_eq!(found.node_events, BTreeMap::from([("appears", 6), ("cordoned", 4)]));
    let [_, cpu, memory, disk, ..] = found.node_resources;
    assert_eq!((cpu.sum, memory.count, disk.count), (6 * 64_000, 5, 5));
    // 0.6899697150104833 twice, 0.6900007765381927 twice, 1; each rounded to a byte of a million.
    assert_eq!(memory.sum, 2 * 689_970 + 2 * 690_001 + 1_000_000);
    assert_eq!(disk.min, 95_724_603);
    assert_eq!(
        found.files[0].missing,
        BTreeMap::from([("event_detail".to_owned(), 6), ("memory".to_owned(), 1), ("disk".to_owned(), 1)])
    );
}

#[test]
fn alibaba_v2017_containers_are_pods_with_disks() {
    let found = look(&["alibaba-v2017/container_event.sample.csv"]);
    assert_eq!((found.pods, found.already_there, found.alive_at_end), (9, 6, 7));
    // Shares in ten-thousandths: memory 6361, disk 8712.
    assert_eq!(sums(&found), (60_000, 636_100, Some(871_200_000), 0));
    let [pods, cpu, _, disk, ..] = found.peaks;
    assert_eq!((pods.value, pods.at_nanos), (8, 3_661_000_000_000));
    assert_eq!((cpu.value, disk.value), (56_000, 834_900_000));
}

#[test]
fn alibaba_v2017_tasks_are_pods_and_instances_only_without_them() {
    let found = look(&["alibaba-v2017/batch_task.sample.csv"]);
    assert_eq!((found.pods, found.pod_resources[1].sum), (383, 189_400));
    assert_eq!(left_out(&found), [("ended before the trace began", 1), ("never started", 3)]);

    let found = look(&["alibaba-v2017/batch_instance.sample.csv"]);
    assert_eq!((found.pods, found.pod_resources[1].sum), (6, 4450));
    let rules = [("end is unknown", 2), ("instance without job or task", 1), ("never started", 1)];
    assert_eq!(left_out(&found), rules);

    let both = look(&["alibaba-v2017/batch_instance.sample.csv", "alibaba-v2017/batch_task.sample.csv"]);
    assert_eq!((both.pods, both.left_out["instance of a task that batch_task has"]), (383, 10));
}

#[test]
fn alibaba_v2018() {
    let found = look(&["alibaba-v2018/machine_meta.sample.csv"]);
    assert_eq!((found.nodes, found.node_resources[1].sum), (8, 768_000));
    assert_eq!(left_out(&found), [("machine seen again, unchanged", 1)]);
    // m_5 is being installed at 22313 and in use from 30313.
    assert_eq!(found.node_events, BTreeMap::from([("appears", 8), ("capacity", 1)]));
    let json = found.to_json();
    let figures =
        ["machines", "machines_at_start", "failure_domain_1", "failure_domain_2", "import_installing"];
    assert_eq!(figures.map(|key| json[key].as_u64()), [Some(8), Some(6), Some(4), Some(4), Some(1)]);

    let found = look(&["alibaba-v2018/container_meta.sample.csv"]);
    assert_eq!((found.pods, found.alive_at_end, sums(&found)), (8, 8, (49_000, 175_800, None, 0)));
    assert_eq!(
        found.files[0].missing,
        BTreeMap::from([("cpu_limit".to_owned(), 1), ("mem_size".to_owned(), 1)])
    );

    let found = look(&["alibaba-v2018/batch_task.sample.csv"]);
    assert_eq!(
        (found.pods, found.pod_resources[1].sum, found.left_out["never started"]),
        (1382, 1_387_500, 2)
    );
    assert_eq!(look(&["alibaba-v2018/batch_instance.sample.csv"]).pod_resources[1].sum, 5550);
}

#[test]
fn alibaba_gpu_v2020_tasks_start_with_their_job() {
    let paths = ["alibaba-gpu-v2020/pai_task_table.sample.csv", "alibaba-gpu-v2020/pai_job_table.sample.csv"];
    let found = look(&paths);
    assert_eq!(sums(&found), (106_000, 468 << 30 | 3 << 28, None, 43));
    assert_eq!((found.pods, found.pod_resources[5].sum, found.alive_at_end), (17, 42_500, 4));
    let first = lives(&paths).into_iter().next();
    // Submitted 4550879, ran from 4550890 to 4551416.
    let name = "sample0000000000000job01-tensorflow";
    assert_eq!(first, Some(life(name, Some(4_550_879_000), Some(4_551_405_000))));
}

#[test]
fn alibaba_spot_gpu_v2026_workers_are_pods() {
    let found = look(&["alibaba-spot-gpu-v2026/job_info_df.sample.csv"]);
    assert_eq!((found.pods, sums(&found)), (124, (3_202_000, 0, None, 180)));
    let text = "gpu_model,gpu_capacity_num,cpu_num,node_name\nA10,1,128,7\nH800,8,192,9\n";
    let nodes = TraceInput::Bytes("node_info_df.csv".into(), text.as_bytes().into());
    let found = inspect(&TraceRequest::new(None, vec![nodes])).expect("good rows");
    assert_eq!((found.nodes, found.node_resources[1].sum, found.node_resources[4].sum), (2, 320_000, 9));
    assert_eq!(found.node_resources[2].count, 0, "the trace has no memory");
}

#[test]
fn google_2011_tasks() {
    let found = look(&["google-2011/task_events.sample.csv"]);
    assert_eq!((found.pods, found.already_there, found.alive_at_end), (7, 3, 2));
    assert_eq!(sums(&found), (60_000, 495_510, Some(900_963_250), 0));
    assert_eq!(found.pod_resources[3].count, 6, "one task has no request");
    let [pods, cpu, ..] = found.peaks;
    assert_eq!((pods.value, pods.at_nanos), (5, 650_000_000_000));
    assert_eq!((cpu.value, cpu.at_nanos), (48_000, 1_000_000_000_000));
    let rules = [("event after the end of the trace", 1), ("request changed during life", 2)];
    assert_eq!(left_out(&found), rules);
    let back = lives(&["google-2011/task_events.sample.csv"]);
    assert!(back.contains(&life("6001-1", Some(650_000), Some(820_000))), "{back:?}");
    assert!(back.contains(&life("6001-1-r1", Some(820_000), Some(990_000))), "{back:?}");
    assert!(back.contains(&life("7001-0", Some(1_000_000), Some(2_500_000))), "evicted once: {back:?}");
}

#[test]
fn google_2011_machines_come_and_go() {
    let found = look(&["google-2011/machine_events.sample.csv"]);
    assert_eq!(found.nodes, 9);
    let events = BTreeMap::from([("appears", 11), ("disappears", 2), ("capacity", 1)]);
    assert_eq!(found.node_events, events);
    // Shares of CPU at first sight: four halves, two whole, a quarter, nothing, a half.
    assert_eq!(found.node_resources[1].sum, (5 * 32_000) + (2 * 64_000) + 16_000);
}

#[test]
fn google_2011_without_scales_is_refused_and_inspected_in_shares() {
    let request = TraceRequest::new(None, vec![sample("google-2011/task_events.sample.csv")]);
    let error = TraceSource::open(&request).err().expect("no scale");
    assert!(error.message.contains("maxCpu"), "{error}");
    let found = inspect(&request).expect("figures need no scale").to_json();
    assert_eq!(found["pod_resources"]["cpu_share"]["sum"], json!(0.9375));
    assert_eq!(found["peaks"]["cpu_share"], json!({"value": 0.75, "at_s": 1000.0}));
}

#[test]
fn google_2019_events_are_sorted_and_allocs_counted_once() {
    let found = look(&["google-2019/instance_events.sample.json"]);
    assert_eq!((found.pods, found.alive_at_end, found.sorted), (4, 1, false));
    // 0.0625 and twice 0.020660400390625 of 64 cores.
    assert_eq!(found.pod_resources[1].sum, 4000 + 2 * 1322);
    assert_eq!((found.peaks[0].value, found.peaks[0].at_nanos), (3, 702_000_000_000));
    let rules = [
        ("event after the end of the trace", 1),
        ("queue and enable events", 2),
        ("request changed during life", 1),
        ("task inside an alloc set (the set is counted)", 2),
    ];
    assert_eq!(left_out(&found), rules);
    assert_eq!(found.files[0].missing, BTreeMap::from([("cpus".to_owned(), 2), ("memory".to_owned(), 2)]));
    let flat = look(&["google-2019/instance_events.flattened.sample.csv"]);
    assert_eq!((flat.pods, flat.alive_at_end), (2, 0));

    let found = look(&["google-2019/machine_events.sample.json"]);
    let events = BTreeMap::from([("appears", 5), ("disappears", 1), ("capacity", 1)]);
    assert_eq!((found.nodes, found.node_events), (4, events));
}

#[test]
fn google_2019_inner_tasks_take_the_collections_spread() {
    let paths = ["google-2019/instance_events.sample.json", "google-2019/collection_events.sample.json"];
    let mut request = request(None, &paths);
    request.options.inner_tasks = true;
    let pods: Vec<_> = TraceSource::open(&request).expect("good").map(|p| p.expect("good")).collect();
    let inner = pods.iter().find(|p| p.name.to_string() == "302-0").expect("inside an alloc set");
    assert_eq!((inner.max_per_node, pods.len()), (Some(1), 5));
    // Two of the eleven events have a limit.
    let alone = look(&["google-2019/collection_events.sample.json"]);
    let rule = "collection event without a limit per machine (instances say the rest)";
    assert_eq!(left_out(&alone), [(rule, 9)]);
}

#[test]
fn azure_packing_from_csv_and_from_the_database() {
    let csv = ["azure-packing-2020/vm.sample.csv", "azure-packing-2020/vmType.sample.csv"];
    let found = look(&csv);
    // Machine 0 runs types 5 (1 VM), 12 (4), 20 (5) and 41 (3): 1.15625 of its cores, 1.0 of its SSD and 0.05 of its HDD. Memory in
    // bytes of a million: 500000 + 4 x 125000 + 5 x 7813 (7812.5 rounded) + 3 x 62500.
    assert_eq!(sums(&found), (74_000, 1_226_565, Some(1_050_000_000), 0));
    assert_eq!((found.pods, found.already_there, found.alive_at_end), (13, 4, 4));
    assert_eq!(left_out(&found), [("VM type that cannot run on the chosen machine", 3)]);
    let missing = BTreeMap::from([("endtime".to_owned(), 4)]);
    assert_eq!(found.files[1].missing, missing);

    let sqlite = ["azure-packing-2020/packing_trace_zone_a_v1.sample.sqlite"];
    let base = look(&sqlite);
    assert_eq!((sums(&base), base.pods, base.peaks), (sums(&found), 13, found.peaks));
    assert_eq!(base.files[0].missing, missing);
    assert_eq!(lives(&csv), lives(&sqlite));
    let mut other = request(None, &csv);
    other.options.azure_machine = Some(2);
    let found = inspect(&other).expect("good");
    assert_eq!(found.pods, 8, "types 12, 40, 41");
    assert!(inspect(&request(None, &["azure-packing-2020/vm.sample.csv"])).is_err(), "types are needed");
}

#[test]
fn azure_vm_tables() {
    let found = look(&["azure-v2/vmtable.sample.csv"]);
    assert_eq!((found.pods, found.already_there, found.alive_at_end), (12, 4, 4));
    assert_eq!(sums(&found), (102_000, 300 << 30, None, 0));
    let json = found.to_json();
    assert_eq!(json["vm_hours"], json!(8_233_200.0 / 3600.0));
    assert_eq!(json["core_hours"], json!(90_755_400.0 / 3600.0));
    for files in [
        ["azure-v2/deployments.sample.csv", "azure-v2/vmtable.sample.csv"],
        ["azure-v2/vmtable.sample.csv", "azure-v2/deployments.sample.csv"],
    ] {
        assert_eq!(look(&files).format, "azure-v2", "the format that knows all files");
    }
    let found = look(&["azure-v2/vmtable_v1.sample.csv"]);
    assert_eq!((found.pods, sums(&found)), (6, (32_000, 181 << 30, None, 0)));
}

#[test]
fn huawei_events_are_lives() {
    let found = look(&["huawei-east-1/Huawei-East-1.sample.csv"]);
    assert_eq!((found.pods, found.alive_at_end, sums(&found)), (7, 3, (22_000, 71 << 30, None, 0)));
    let [pods, cpu, ..] = found.peaks;
    assert_eq!((pods.value, pods.at_nanos, cpu.value), (5, 1_000_000_000_000, 16_000));
}

#[test]
fn shards_in_any_order_are_one_trace() {
    let text = std::fs::read_to_string(
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/traces/google-2011/task_events.sample.csv"),
    )
    .expect("sample");
    let lines: Vec<&str> = text.lines().collect();
    let shard = |name: &str, lines: &[&str]| {
        TraceInput::Bytes(
            name.into(),
            lines.iter().map(|l| format!("{l}\n")).collect::<String>().into_bytes().into(),
        )
    };
    let (a, b, c) = (shard("a", &lines[..9]), shard("b", &lines[9..15]), shard("c", &lines[15..]));
    let whole = inspect(&request(None, &["google-2011/task_events.sample.csv"])).expect("good");
    for inputs in [vec![a.clone(), b.clone(), c.clone()], vec![c, a, b]] {
        let sharded = inspect(&TraceRequest { inputs, ..request(None, &[]) }).expect("good");
        assert_eq!((sharded.peaks, sharded.pods, sharded.sorted), (whole.peaks, whole.pods, true));
        assert_eq!(sharded.left_out, whole.left_out);
    }
}

#[test]
fn simkube_documents() {
    let deployment = |replicas: u64| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a"},
               "spec": {"replicas": replicas, "template": {"spec": {"containers": [
                   {"name": "c", "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "1Gi"}}}]}}}})
    };
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "a"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": 2}}}]}},
                 "volumeClaimTemplates": [{"metadata": {"name": "data"},
                    "spec": {"storageClassName": "local", "resources": {"requests": {"storage": "10Gi"}}}}]}});
    let trace = json!({"version": 2, "config": {"trackedObjects": {}}, "index": {}, "pod_lifecycles": {}, "events": [
        {"ts": 1000, "applied_objs": [deployment(3)], "deleted_objs": []},
        {"ts": 1010, "applied_objs": [deployment(5), set], "deleted_objs": []},
        {"ts": 1020, "applied_objs": [deployment(1)], "deleted_objs": []},
        {"ts": 1030, "applied_objs": [], "deleted_objs": [deployment(1)]}]});
    let check = |bytes: Vec<u8>| {
        let input = TraceInput::Bytes("t".into(), bytes.into());
        let found = inspect(&TraceRequest::new(None, vec![input])).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((found.format.as_str(), found.pods, found.alive_at_end), ("simkube", 7, 2));
        assert_eq!(sums(&found), (5 * 250 + 2 * 2000, 5 << 30, Some(20 << 30), 0));
        assert_eq!((found.peaks[0].value, found.peaks[0].at_nanos), (7, 10_000_000_000));
        assert_eq!(found.last_event, Some(30_000_000_000));
    };
    check(serde_json::to_vec(&trace).expect("JSON"));
    check(rmp_serde::to_vec_named(&trace).expect("MessagePack"));
}

#[test]
fn real_simkube_traces() {
    let Some(folder) = std::env::var_os("STOWPLAN_TRACES").map(PathBuf::from) else {
        println!("skipped: STOWPLAN_TRACES is not set");
        return;
    };
    // Counts from the format's description: events, applied, deleted, lifecycles.
    for (file, counts, pods) in [
        ("bare-pods.sktrace", Some([4, 4, 0, 4]), 4),
        ("cronjob.sktrace", Some([3, 1, 1, 3]), 3),
        ("dsb-scaling.sktrace", Some([19, 46, 0, 0]), 27),
        ("trace.json", None, 1),
        ("large_trace.json.gz", Some([89, 250, 0, 0]), 27),
    ] {
        let input = TraceInput::Path(folder.join("simkube").join(file));
        let found = inspect(&TraceRequest::new(None, vec![input])).unwrap_or_else(|e| panic!("{file}: {e}"));
        let json = found.to_json();
        assert!(found.pods >= pods, "{file}: {}", found.pods);
        if let Some(counts) = counts {
            let names = ["events", "applied", "deleted", "lifecycles"];
            assert_eq!(names.map(|n| json[n].as_u64().unwrap_or(99)), counts, "{file}");
        }
        if file.starts_with("dsb") {
            // Each container asks for one core and one GiB.
            assert_eq!(found.pod_resources[1].sum, u128::from(found.pods) * 1000);
            assert_eq!(found.pod_resources[2].sum, u128::from(found.pods) << 30);
        }
    }
}

/// Rows of tables of which there are no samples here, as their descriptions have them, with the traps that they name.
#[test]
fn tables_described_but_not_shipped() {
    let bytes = |name: &str, text: &str| TraceInput::Bytes(name.into(), text.as_bytes().into());
    let look = |name: &str, text: &str| {
        let inputs = vec![bytes(name, text)];
        let request = TraceRequest { inputs, ..request(None, &[]) };
        inspect(&request).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    // PAI's machines, without a header: GB are GiB, cores are whole.
    let spec = "0a1b,P100,64,512,2\n1c2d,T4,96,512,2\n2e3f,MISC,96,512,8\n3a4b,V100M32,96,384,8\n4c5d,CPU,96,512,0\n";
    let found = look("pai_machine_spec.csv", spec);
    assert_eq!((found.format.as_str(), found.nodes), ("alibaba-gpu-v2020", 5));
    let [_, cpu, memory, _, gpus, _] = found.node_resources;
    assert_eq!((cpu.sum, memory.sum, gpus.sum), (448_000, 2432 << 30, 20));
    // openb's lists: five columns, and a model named twice; a byte-order mark and CRLF; columns in another order.
    let five = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\nopenb-pod-0000,12000,16384,1,1000\nopenb-pod-0001,6000,12288,8,1000\n";
    let found = look("openb_pod_list_multigpu99.csv", five);
    let json = found.to_json();
    assert_eq!(
        (json["num_gpu"].as_u64(), json["gpu_milli_total"].as_u64(), json["columns"].as_u64()),
        (Some(9), Some(9000), Some(5))
    );
    assert_eq!(json.get("creation_min"), None, "no times");
    let spec = "\u{feff}name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\r\n\
                openb-pod-1523,1000,0,1,500,V100M16|V100M32|V100M32,LS,Pending,0,12902960,\r\n";
    let json = look("openb_pod_list_gpuspec50.csv", spec).to_json();
    assert_eq!((json["gpu_spec_filled"].as_u64(), json["scheduled_missing"].as_u64()), (Some(1), Some(1)));
    // Spot nodes in the order of the file and in that of its description.
    for (header, row) in [
        ("gpu_model,gpu_capacity_num,cpu_num,node_name", "A10,1,128,0"),
        ("node_name,gpu_model,gpu_capacity_num,cpu_num", "0,A10,1,128"),
    ] {
        let found = look("node_info_df.csv", &format!("{header}\n{row}\n"));
        assert_eq!(
            (found.nodes, found.node_resources[1].sum, found.node_resources[2].count),
            (1, 128_000, 0)
        );
    }
    // Borg's first rows: all at 0, some without any request, disk requests with exponents.
    let tasks = "0,2,3418309,0,4155527081,0,70s3v5qRyCO/1PCdI6fVXnrW8FU/w+5CKRSa72xgcIo=,3,9,,,,\n\
                 0,,3418314,0,3938719206,0,70s3v5qRyCO/1PCdI6fVXnrW8FU/w+5CKRSa72xgcIo=,3,9,0.125,0.07446,0.0004244,0\n\
                 0,,3418314,1,351618647,0,70s3v5qRyCO/1PCdI6fVXnrW8FU/w+5CKRSa72xgcIo=,3,9,0.0625,0.01553,1.907e-06,1\n";
    let found = look("part-00000-of-00500.csv", tasks);
    assert_eq!(
        (found.format.as_str(), found.pods, found.already_there, found.alive_at_end),
        ("google-2011", 3, 3, 3)
    );
    let [_, cpu, memory, disk, ..] = found.pod_resources;
    assert_eq!((cpu.sum, memory.sum, disk.count), (12_000, 74_460 + 15_530, 2));
    assert_eq!((disk.min, disk.max), (1907, 424_400), "of a disk of 10^9 bytes");
    // v2017's servers: not in order, errors without capacities, a machine that reports again and again.
    let servers = "82706,372,softerror,agent_check,0,0,0\n0,1,add,,64,0.6899697150104833,1\n0,372,add,,64,0.9999585846297208,0.09572460286727773\n\
                   4000,372,softerror,agent_check,0,0,0\n";
    let found = look("server_event.csv", servers);
    assert_eq!((found.nodes, &found.node_events["cordoned"]), (2, &2));
    assert_eq!((found.node_resources[1].sum, found.node_resources[3].min), (128_000, 95_724_603));
    // v2018: -1 and 101 are no memory.
    let machines = "m_1,0,1,a,96,100,USING\nm_2,0,1,a,96,-1,USING\nm_3,0,2,,96,101,USING\n";
    let found = look("machine_meta.csv", machines);
    assert_eq!((found.nodes, found.node_resources[2].sum), (3, 1_000_000));
    assert_eq!(left_out(&found), [("memory of -1 or 101 (invalid), taken as nothing", 2)]);
}

#[test]
fn damaged_input_is_a_fault_with_its_place() {
    use crate::trace::SkipReason;
    let header = "vmid,cpu,memory,time,type\n";
    for (rows, reason, line, column) in [
        ("0,1,1,0,0\n1,2", SkipReason::TornLine, 3, 1),
        ("0,1,1,0,0\n1,2\n", SkipReason::WrongColumns, 3, 1),
        ("0,1,1,0,0,9\n", SkipReason::WrongColumns, 2, 1),
        ("0,-1,1,0,0\n", SkipReason::Negative, 2, 3),
        ("0,1e12,1,0,0\n", SkipReason::Absurd, 2, 3),
        ("0,x,1,0,0\n", SkipReason::NotANumber, 2, 3),
        ("0,,1,0,0\n", SkipReason::MissingValue, 2, 3),
        ("0,1,1,0,7\n", SkipReason::UnknownValue, 2, 9),
        ("0,1,1,0,0\n0,1,1,5,0\n", SkipReason::DuplicateId, 3, 1),
        ("0,1,1,5,1\n", SkipReason::EndWithoutStart, 2, 1),
    ] {
        let input = TraceInput::Bytes("h.csv".into(), format!("{header}{rows}").into_bytes().into());
        let strict = TraceRequest { inputs: vec![input], ..request(Some(Format::HuaweiEast1), &[]) };
        let error = inspect(&strict).expect_err(rows);
        assert_eq!((error.reason, error.line, error.column), (reason, line, column), "{rows}: {error}");
        assert_eq!(error.file, "h.csv");
        let mut counted = strict.clone();
        counted.options.skip_bad_rows = Some(1);
        let found = inspect(&counted).unwrap_or_else(|e| panic!("{rows}: {e}"));
        assert_eq!(found.skipped, BTreeMap::from([(reason.name(), 1)]), "{rows}");
        counted.options.skip_bad_rows = Some(0);
        assert_eq!(inspect(&counted).expect_err(rows).reason, SkipReason::TooManyBadRows);
    }
}

#[test]
fn an_end_below_zero_behind_a_start_is_a_fault() {
    for (format, row) in [
        (Format::AlibabaV2017, "30,-95,7,8,56,Terminated,70,0.0085\n"),
        (Format::AlibabaV2018, "M1,3.0,j_2,1,Failed,87100,-1,200.0,0.59\n"),
        (Format::AlibabaGpuV2020, "job,worker,10.0,Failed,4551010.0,-3.0,400.0,14.6,100.0,V100\n"),
        (Format::AlibabaGpuV2020, "job,id,user,Failed,4551010.0,-3.0\n"),
    ] {
        let input = TraceInput::Bytes("t.csv".into(), row.as_bytes().into());
        let error = inspect(&TraceRequest::new(Some(format), vec![input])).expect_err(row);
        assert_eq!(error.reason, SkipReason::EndsBeforeStart, "{row}");
        assert!(error.column > 1, "{error}");
    }
}
