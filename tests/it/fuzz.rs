//! Whatever the bytes are, a reader says what is wrong or reads on: it never panics and always ends. The targets are those of the
//! coverage-guided fuzzing (`.ci/fuzz`); here they see their corpora, damaged copies of them, and damaged samples of traces.

#[path = "../fuzz/targets.rs"]
mod targets;

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use stowplan::trace::{Format, table::Sample};
use targets::trace as read;

/// Every sample file of the repository.
fn samples() -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces");
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("sample folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((file_name(&path), std::fs::read(&path).expect("sample")));
            }
        }
    }
    found.sort();
    let openb = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n\
                 a,1000,2,1,500,T4|A10,LS,Running,0,10,0\nb,1000,2,0,0,,BE,Pending,5,10,\n";
    let own =
        "name,copies,arrival_seconds,end_seconds,cpu,memory,disk,claims\na,2,0.5,7,500m,1Gi,10G,data=1:x\n";
    let simkube = r#"{"version":2,"config":{"trackedObjects":{}},"events":[{"ts":1,"applied_objs":[{"kind":"Deployment",
        "apiVersion":"apps/v1","metadata":{"name":"a","namespace":"b"},"spec":{"replicas":3,"template":{"spec":{"containers":[{"resources":
        {"requests":{"cpu":"1"}}}]}}}}],"deleted_objs":[]}]}"#;
    let openb_nodes = "sn,cpu_milli,memory_mib,gpu,model\nn-0,96000,393216,8,G2\nn-1,32000,262144,0,\n";
    let dlrm = "instance_sn,role,app_name,cpu_request,cpu_limit,gpu_request,gpu_limit,rdma_request,rdma_limit,memory_request,memory_limit,disk_request,disk_limit,max_instance_per_node,creation_time,scheduled_time,deletion_time\n\
                i_0,CN,app_0,12,12,0,0,25,25,120.0,120.0,255.0,300.0,-1,,,2000.0\ni_1,HN,app_0,8,8,1,1,50,50,60.0,60.0,80.0,100.0,2,475.00000000000006,480.0,\n";
    let machines =
        "node,at_seconds,change,cpu_milli,memory_bytes\nm,,,4000,17179869184\nm,9.5,disappears,0,0\n";
    for (name, text) in [
        ("openb.csv", openb),
        ("openb_nodes.csv", openb_nodes),
        ("dlrm.csv", dlrm),
        ("own.csv", own),
        ("machines.csv", machines),
        ("t.json", simkube),
    ] {
        found.push((name.to_owned(), text.as_bytes().to_vec()));
    }
    let value: serde_json::Value = serde_json::from_str(simkube).expect("JSON");
    found.push(("t.sktrace".to_owned(), rmp_serde::to_vec_named(&value).expect("memory")));
    found
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// How a good file is damaged.
#[derive(Clone, Debug)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Drop(usize, usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let tokens: Vec<&'static [u8]> = vec![
        b",",
        b"\n",
        b"\"",
        b"-1",
        b"nan",
        b"1e308",
        b"99999999999999999999",
        b"9223372036854775807",
        b"\r\n",
        b"\xff",
        b"\0",
        b"0",
        b"{",
        b"null",
        b"NULL",
        b"1.5",
    ];
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, b)| Damage::Flip(at, b)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 1..40usize).prop_map(|(at, n)| Damage::Drop(at, n)),
        (any::<usize>(), 1..400usize).prop_map(|(at, n)| Damage::Repeat(at, n)),
        (any::<usize>(), prop::sample::select(tokens)).prop_map(|(at, t)| Damage::Insert(at, t.to_vec())),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    let len = bytes.len().max(1);
    match damage {
        Damage::Flip(at, byte) => {
            if let Some(b) = bytes.get_mut(at % len) {
                *b ^= byte;
            }
        }
        Damage::Cut(at) => bytes.truncate(at % len),
        Damage::Drop(at, n) => {
            let start = (at % len).min(bytes.len());
            bytes.drain(start..(start + n).min(bytes.len()));
        }
        Damage::Repeat(at, n) => {
            let start = (at % len).min(bytes.len());
            let part = bytes[start..(start + n).min(bytes.len())].to_vec();
            bytes.splice(start..start, part);
        }
        Damage::Insert(at, token) => {
            let start = (at % len).min(bytes.len());
            bytes.splice(start..start, token.iter().copied());
        }
    }
}

fn cases() -> u32 {
    std::env::var("STOWPLAN_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600), skip in any::<bool>()) {
        read(None, "x", &bytes, skip.then_some(50));
        for format in Format::ALL {
            read(Some(format), "x", &bytes, skip.then_some(50));
        }
    }

    #[test]
    fn damaged_samples(damages in prop::collection::vec(damage(), 1..6), skip in any::<bool>()) {
        for (name, good) in samples() {
            let mut bytes = good;
            for damage in &damages {
                apply(&mut bytes, damage);
            }
            read(None, &name, &bytes, skip.then_some(1000));
        }
    }

    #[test]
    fn damaged_rows_of_a_known_table(which in any::<prop::sample::Index>(), damages in prop::collection::vec(damage(), 1..4)) {
        // The first half of the file is left alone, so that the table is recognized and the damage meets its parser.
        let all = samples();
        let (name, good) = which.get(&all);
        let half = good.len() / 2;
        let mut tail = good[half..].to_vec();
        for damage in &damages {
            apply(&mut tail, damage);
        }
        let bytes = [&good[..half], &tail].concat();
        for skip in [None, Some(10_000)] {
            read(None, name, &bytes, skip);
        }
    }
}

/// One reader's campaign: its samples, damaged anywhere or only behind their head (so that the table is recognized and the damage
/// meets its parser), read strictly or skipping. `STOWPLAN_FUZZ_CASES` says how often.
fn campaign(format: Format) {
    let known = |(name, bytes): &(String, Vec<u8>)| {
        let sample = Sample::new(name.clone(), bytes);
        format.recognize(&sample).is_some()
    };
    let samples: Vec<(String, Vec<u8>)> = samples().into_iter().filter(known).collect();
    assert!(!samples.is_empty(), "{format} has no sample");
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let strategy = (
        any::<prop::sample::Index>(),
        prop::collection::vec(damage(), 1..5),
        any::<bool>(),
        prop::option::of(0..2000u64),
    );
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&strategy, |(which, damages, whole, skip)| {
        let (name, good) = which.get(&samples);
        let head = if whole { 0 } else { good.len() / 2 };
        let mut tail = good[head..].to_vec();
        for damage in &damages {
            apply(&mut tail, damage);
        }
        let bytes = [&good[..head], &tail].concat();
        read(Some(format), name, &bytes, skip);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{format}: {error}");
    }
    println!("{format}: {} damaged files of {} samples", cases(), samples.len());
}

#[test]
fn openb() {
    campaign(Format::Openb);
}

#[test]
fn alibaba_gpu_v2025() {
    campaign(Format::AlibabaGpuV2025);
}

#[test]
fn alibaba_spot_gpu_v2026() {
    campaign(Format::AlibabaSpotGpuV2026);
}

#[test]
fn huawei_east_1() {
    campaign(Format::HuaweiEast1);
}

#[test]
fn google_2019() {
    campaign(Format::Google2019);
}

#[test]
fn azure_packing_2020() {
    campaign(Format::AzurePacking2020);
}

#[test]
fn simkube() {
    campaign(Format::Simkube);
}

#[test]
fn alibaba_v2017() {
    campaign(Format::AlibabaV2017);
}

#[test]
fn alibaba_v2018() {
    campaign(Format::AlibabaV2018);
}

#[test]
fn alibaba_gpu_v2020() {
    campaign(Format::AlibabaGpuV2020);
}

#[test]
fn google_2011() {
    campaign(Format::Google2011);
}

#[test]
fn azure_v1() {
    campaign(Format::AzureV1);
}

#[test]
fn azure_v2() {
    campaign(Format::AzureV2);
}

#[test]
fn stowplan() {
    campaign(Format::Stowplan);
}

/// What coverage-guided fuzzing has found worth keeping, as it is and damaged.
#[test]
fn every_target_lives_through_its_corpus() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for target in targets::all() {
        let folder = std::fs::read_dir(root.join(&target.name)).expect("a corpus").flatten();
        let mut inputs: Vec<PathBuf> = folder.map(|entry| entry.path()).collect();
        inputs.sort();
        let inputs: Vec<Vec<u8>> = inputs.iter().map(|path| std::fs::read(path).expect("an input")).collect();
        assert!(!inputs.is_empty(), "{}", target.name);
        for input in &inputs {
            (target.run)(input);
        }
        // Whole runs take a hundred times as long as reading.
        let cases = if target.name == "runs" { cases() / 20 } else { cases() };
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        let strategy = (any::<prop::sample::Index>(), prop::collection::vec(damage(), 1..5));
        let outcome = proptest::test_runner::TestRunner::new(config).run(&strategy, |(which, damages)| {
            let mut bytes = which.get(&inputs).clone();
            for damage in &damages {
                apply(&mut bytes, damage);
            }
            (target.run)(&bytes);
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{}: {error}", target.name);
        }
    }
}
