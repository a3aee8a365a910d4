//! Traces as workload, from the command line: every format runs, every rule does what the reports say. The figures are counted by
//! hand in the small traces here and in `tests/data/traces`.

use assert_cmd::Command;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const CLASSES: &str =
    "[{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}]";
const NODES: &str = "[{name: n, cpu: 64, memory: 512Gi, count: 4, disks: [{class: local, size: 4Ti, count: 1, lvm: {extent: 4Mi}}]}]";

fn sample(path: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces").join(path).display().to_string()
}

struct Run {
    code: Option<i32>,
    json: Value,
    stderr: String,
    folder: tempfile::TempDir,
}

impl Run {
    fn variant(&self, name: &str) -> &Value {
        let variants = self.json["variants"].as_array().map_or(&[][..], Vec::as_slice);
        variants.iter().find(|v| v["name"] == name).unwrap_or_else(|| panic!("{name}: {}", self.stderr))
    }
    /// (node, status) by pod.
    fn pods(&self, variant: &str) -> BTreeMap<String, (String, String)> {
        let path = self.folder.path().join("out").join(variant).join("pods.csv");
        let mut reader = csv::Reader::from_path(path).expect("pods.csv");
        let header = reader.headers().expect("a header").clone();
        let column = |name: &str| header.iter().position(|h| h == name).expect("a column");
        let (name, node, status) = (column("name"), column("node"), column("status"));
        let rows = reader.records().map(|row| row.expect("a row"));
        rows.map(|r| (r[name].to_owned(), (r[node].to_owned(), r[status].to_owned()))).collect()
    }
    fn said(&self, path: &str) -> Vec<String> {
        let all = self.json["assumptions"].as_array().map_or(&[][..], Vec::as_slice);
        let of_path = all.iter().filter(|a| a["path"] == path);
        of_path
            .map(|a| format!("{}: {}", a["value"].as_str().unwrap_or(""), a["note"].as_str().unwrap_or("")))
            .collect()
    }
}

fn stowplan() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stowplan"));
    command.env("NO_COLOR", "1");
    command
}

fn run(files: &[(&str, &str)], scenario: &str, args: &[&str]) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    fs::write(folder.path().join("s.yaml"), scenario).expect("a file");
    let mut command = stowplan();
    command
        .current_dir(folder.path())
        .args(["run", "s.yaml", "--json", "--no-plots", "-o", "out"])
        .args(args);
    let output = command.output().expect("it runs");
    Run {
        code: output.status.code(),
        json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        folder,
    }
}

fn scenario(nodes: &str, trace: &str) -> String {
    format!(
        "version: 1\nname: t\ncluster:\n  storageClasses: {CLASSES}\n  nodes: {nodes}\nworkload:\n  trace:\n    {trace}\n"
    )
}

#[test]
fn every_sample_runs() {
    let maxima = "maxCpu: 64, maxMemory: 512Gi, maxDisk: 4Ti";
    // Format, files, keys, pods created.
    let cases: &[(&str, &[&str], &str, u64)] = &[
        ("alibaba-v2017", &["server_event", "container_event", "batch_task"], maxima, 392),
        ("alibaba-v2018", &["machine_meta", "container_meta", "batch_task"], maxima, 1390),
        ("alibaba-gpu-v2020", &["pai_job_table", "pai_task_table"], "gpu: ignore", 17),
        ("alibaba-spot-gpu-v2026", &["job_info_df"], "gpu: ignore", 124),
        ("google-2011", &["machine_events", "task_events"], maxima, 7),
        ("azure-packing-2020", &["vm", "vmType"], maxima, 13),
        ("huawei-east-1", &["Huawei-East-1"], "gpu: ignore", 7),
    ];
    for (format, tables, keys, pods) in cases {
        let files: Vec<String> = tables.iter().map(|t| sample(&format!("{format}/{t}.sample.csv"))).collect();
        let trace = format!("{{format: {format}, files: [{}], {keys}}}", files.join(", "));
        for trace in [trace.clone(), trace.replace(&format!("format: {format}"), "format: auto")] {
            let done = run(&[], &scenario(NODES, &trace), &["--mode", "as-is"]);
            let created = done.variant("as-is")["pods"]["created"].as_u64().unwrap_or(0);
            // A pod that loses its machine comes again under another name.
            let again = done.said("workload.trace.files").iter().any(|s| s.contains("resubmitted"));
            assert!(created == *pods || (again && created > *pods), "{format}: {created}\n{}", done.stderr);
            assert!(done.said("workload.trace.format").iter().any(|s| s.contains(format)), "{format}");
        }
    }
}

#[test]
fn a_normalized_trace_needs_scales() {
    let trace = |keys: &str| {
        let files =
            [sample("google-2011/machine_events.sample.csv"), sample("google-2011/task_events.sample.csv")];
        scenario("[]", &format!("{{format: google-2011, files: [{}]{keys}}}", files.join(", ")))
    };
    for (keys, missing) in
        [("", "maxCpu"), (", maxCpu: 64", "maxMemory"), (", maxCpu: 64, maxMemory: 512Gi", "maxDisk")]
    {
        let refused = run(&[], &trace(keys), &[]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(&format!("{missing} is needed")), "{}", refused.stderr);
        assert!(refused.stderr.contains("say what 1.0 stands for"), "{}", refused.stderr);
        let checked =
            stowplan().arg("check").arg(refused.folder.path().join("s.yaml")).output().expect("it runs");
        assert_eq!(checked.status.code(), Some(2), "check finds it too");
    }
}

const PODS: &str = "name,arrival_seconds,cpu,memory,disk,group,max_per_node,placement
db-0,,4,16Gi,300Gi,db,1,n-2
db-1,60,4,16Gi,300Gi,db,1,n-0
db-2,60,4,16Gi,300Gi,db,1,n-0
w-0,70,2,16Gi,,web,2,n-3
w-1,70,2,16Gi,,web,2,n-3
w-2,70,2,16Gi,,web,2,n-3
free,80,1,1Gi,,,,
";

#[test]
fn the_traces_own_placement_is_replayed_and_compared() {
    let text = scenario(NODES, "{format: stowplan, files: [p.csv], placement: trace}");
    let done = run(&[("p.csv", PODS)], &text, &[]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let pods = done.pods("wait-for-first-consumer");
    let node = |name: &str| pods[name].0.as_str();
    assert_eq!((node("db-0"), node("db-1")), ("n-2", "n-0"));
    // n-0 has a pod of the group already, and n-3 takes two of the other: the trace broke its own rules.
    assert_eq!((node("db-2"), node("w-0"), node("w-1"), node("w-2")), ("", "n-3", "n-3", ""), "{pods:?}");
    assert_eq!(done.variant("wait-for-first-consumer")["pods"]["stuck"], 2);
    let own = done.pods("own-scheduler");
    assert!(own.values().all(|(node, _)| !node.is_empty()), "{own:?}");
    assert_ne!(own["db-1"].0, own["db-2"].0, "at most one of the group on a node");
    let on = |node: &str| own.iter().filter(|(name, at)| name.starts_with("w-") && at.0 == node).count();
    assert!(["n-0", "n-1", "n-2", "n-3"].iter().all(|node| on(node) <= 2), "{own:?}");
    let compared = done.json["comparison"].as_array().expect("a comparison");
    let row = compared.iter().find(|c| c["variant"] == "own-scheduler").expect("compared");
    assert!(row["pods.running"].is_number(), "{row}");
    assert!(
        done.said("workload.trace.placement").iter().any(|s| s.starts_with("1 pods")),
        "free has no machine"
    );

    // The data goes where the pods were, also where a class would bind at once; and that is said.
    assert_eq!(done.pods("immediate"), pods);
    let immediate = text.replace("WaitForFirstConsumer", "Immediate");
    let as_is = run(&[("p.csv", PODS)], &immediate, &["--mode", "as-is"]);
    assert_eq!(as_is.pods("as-is"), pods, "{}", as_is.stderr);
    let said = as_is.said("workload.trace.placement");
    assert!(said.iter().any(|s| s.starts_with("local: StorageClass that says Immediate")), "{said:?}");

    let sets = text.replace("placement: trace", "placement: trace, group: sets");
    let refused = run(&[("p.csv", PODS)], &sets, &[]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("group: sets"), "{}", refused.stderr);
    let huawei = sample("huawei-east-1/Huawei-East-1.sample.csv");
    let nowhere = scenario(NODES, &format!("{{format: auto, files: [{huawei}], placement: trace}}"));
    let refused = run(&[], &nowhere, &[]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("does not say where its pods were"), "{}", refused.stderr);
}

#[test]
fn groups_become_sets() {
    let text = scenario(NODES, "{format: stowplan, files: [p.csv], group: sets}");
    let done = run(&[("p.csv", PODS)], &text, &["--mode", "as-is"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let variant = done.variant("as-is");
    assert_eq!(variant["sets"]["wanted"], 2);
    assert_eq!(variant["pods"]["running"], 7);
    let pods = done.pods("as-is");
    let names: Vec<&str> = pods.keys().map(String::as_str).collect();
    assert_eq!(names, ["db-0", "db-1", "db-2", "free", "web-0", "web-1", "web-2"]);
    assert_eq!(variant["claims"]["bound"], 3);
    assert!(done.said("workload.trace.group").iter().any(|s| s.starts_with("2 sets")));
}

#[test]
fn machines_come_go_change_and_are_cordoned() {
    const GIB16: u64 = 16 << 30;
    let nodes = format!(
        "node,at_seconds,change,cpu_milli,memory_bytes\nm0,,,4000,{GIB16}\nm1,100,appears,8000,{GIB16}\nm0,200,disappears,0,0\n\
         m1,300,capacity,2000,{GIB16}\nm2,400,appears,4000,{GIB16}\nm2,500,cordoned,0,0\n"
    );
    let pods = "name,arrival_seconds,end_seconds,cpu,memory\na,,,3,1Gi\nb,150,250,3,1Gi\nc,350,,1,1Gi\nd,600,,1,1Gi\n";
    let text = scenario("[]", "{format: stowplan, files: [p.csv], nodes: [m.csv]}");
    let done = run(&[("p.csv", pods), ("m.csv", &nodes)], &text, &["--mode", "as-is"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let pods = done.pods("as-is");
    let at = |name: &str| pods.get(name).map_or(("", ""), |(node, status)| (node.as_str(), status.as_str()));
    // m0 takes a with it, which comes again on m1; b had to go to m1; c waits for m2; d finds m1 too small and m2 cordoned.
    assert_eq!((at("a"), at("a-e1")), (("m0", "Deleted"), ("m1", "Running")), "{pods:?}");
    assert_eq!((at("b"), at("c")), (("m1", "Deleted"), ("m2", "Running")), "{pods:?}");
    assert_eq!(at("d").0, "", "{pods:?}");
    assert!(
        done.said("workload.trace.nodes").iter().any(|s| s.starts_with("1 at the start, 5 events later"))
    );

    // The same in one list of files, compressed tenfold; and filling, where all machines are there and nobody leaves.
    let text = scenario("[]", "{format: stowplan, files: [m.csv, p.csv], mode: {compress: 10}}");
    let pods = "name,arrival_seconds,end_seconds,cpu,memory\na,,,3,1Gi\nb,150,250,3,1Gi\nc,350,,1,1Gi\nd,600,,1,1Gi\n";
    let done = run(&[("p.csv", pods), ("m.csv", &nodes)], &text, &["--mode", "as-is"]);
    assert_eq!(done.variant("as-is")["pods"]["running"], 2, "{}", done.stderr);
    let text = text.replace("mode: {compress: 10}", "mode: fill");
    let done = run(&[("p.csv", pods), ("m.csv", &nodes)], &text, &["--mode", "as-is"]);
    assert_eq!(done.variant("as-is")["pods"]["running"], 4, "{}", done.stderr);
}

#[test]
fn invented_claims_are_synthetic_in_every_report() {
    let text = scenario(
        NODES,
        "{format: stowplan, files: [p.csv], thin: 1, window: [10s, 1h], claims: {share: 50%, class: local, size: 10Gi}}",
    );
    let done = run(&[("p.csv", PODS)], &text, &["--mode", "as-is"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let marked = done.said("workload.trace.claims");
    assert!(marked.iter().any(|s| s.contains("synthetic claims")), "{marked:?}");
    assert!(done.said("workload.trace.claims.share")[0].contains("synthetic"));
    assert!(done.said("workload.trace.window")[0].starts_with("10 s to 3600 s"));
    // Without --json, with pictures: the page and the table have them too.
    let mut command = stowplan();
    command.current_dir(done.folder.path()).args(["run", "s.yaml", "--mode", "as-is", "-o", "out"]);
    let table = String::from_utf8_lossy(&command.output().expect("it runs").stdout).into_owned();
    let page = fs::read_to_string(done.folder.path().join("out/report.html")).expect("a page");
    assert!(page.contains("synthetic") && table.contains("synthetic"), "{table}");
}

#[test]
fn bad_rows_of_a_run_are_counted_or_stop_it() {
    let pods = format!("{PODS}bad,90,-4,1Gi,,,,\n");
    let strict = scenario(NODES, "{format: stowplan, files: [p.csv]}");
    let refused = run(&[("p.csv", &pods)], &strict, &[]);
    assert_eq!(refused.code, Some(2));
    for part in ["p.csv:9:8", "cpu", "^"] {
        assert!(refused.stderr.contains(part), "{part} in {}", refused.stderr);
    }
    assert!(!refused.folder.path().join("out").exists(), "no results");
    let counted = strict.replace("p.csv]}", "p.csv], skipBadRows: 3}");
    let done = run(&[("p.csv", &pods)], &counted, &["--mode", "as-is"]);
    assert_eq!(done.variant("as-is")["pods"]["created"], 7, "{}", done.stderr);
    assert!(done.said("workload.trace.skipBadRows").iter().any(|s| s.starts_with("1 rows: negative")));
}

fn export(folder: &Path, args: &[&str]) -> String {
    let output =
        stowplan().current_dir(folder).args(["export", "manifests"]).args(args).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_exported_state_runs_on_as_it_was() {
    let text = format!(
        "version: 1\nname: t\ncluster:\n  storageClasses: {CLASSES}\n  nodes:\n    - {{name: l, cpu: 16, memory: 64Gi, count: 2, disks: [{{class: local, size: 1Ti, count: 1, lvm: {{extent: 4Mi}}}}]}}\n    - {{name: s, cpu: 16, memory: 64Gi, count: 2, taints: ['a=b:NoSchedule'], disks: [{{class: disks, size: 1Ti, count: 2, split: 2}}]}}\n\
         workload:\n  generate:\n    - {{name: db, kind: StatefulSet, sets: 2, replicas: 2, cpu: 2, memory: 4Gi, antiAffinity: required, claims: [{{name: data, class: local, size: 100Gi}}]}}\n    - {{name: q, kind: StatefulSet, sets: 1, replicas: 3, cpu: 2, memory: 4Gi, tolerations: [{{key: a, value: b}}], claims: [{{name: data, class: disks, size: 100Gi}}]}}\n    - {{name: big, kind: Deployment, sets: 1, replicas: 2, cpu: 15, memory: 4Gi}}\n    - {{name: lone, kind: Pod, sets: 3, replicas: 1, cpu: 1, memory: 1Gi}}\n"
    );
    let text = text.replace("}]\n  nodes", "}, {name: disks, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}]\n  nodes");
    let done = run(&[], &text, &["--mode", "as-is"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let folder = done.folder.path();
    let yaml = export(folder, &["s.yaml"]);
    assert!(yaml.contains("kwok.x-k8s.io/node: fake"), "{yaml}");
    let body = |text: &str| text.split_once('\n').map(|(_, rest)| rest.to_owned());
    assert!(body(&yaml) == body(&export(folder, &["out"])), "the results know what made them");
    fs::write(folder.join("state.yaml"), &yaml).expect("a file");
    let mut again = stowplan();
    again.current_dir(folder).args([
        "run",
        "-f",
        "state.yaml",
        "--mode",
        "as-is",
        "--json",
        "--no-plots",
        "-o",
        "again",
    ]);
    let output = again.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let second: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (first, second) = (done.variant("as-is"), &second["variants"][0]);
    for path in ["running", "pending", "stuck"] {
        assert_eq!(first["pods"][path], second["pods"][path], "pods.{path}\n{yaml}");
    }
    assert_eq!(first["claims"]["bound"], second["claims"]["bound"]);
    for path in ["capacityBytes", "requestedBytes", "overSizeBytes", "freeBytes", "releasedBytes"] {
        assert_eq!(first["storage"][path], second["storage"][path], "storage.{path}\n{yaml}");
    }
    let places = |folder: &str| {
        let text =
            fs::read_to_string(done.folder.path().join(folder).join("as-is/pods.csv")).expect("pods.csv");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows = reader.records().map(|r| r.expect("a row"));
        rows.map(|r| (r[1].to_owned(), r[5].to_owned())).collect::<BTreeMap<String, String>>()
    };
    assert_eq!(places("out"), places("again"));
    // At the start, before anything has arrived that comes later, and as a file.
    let early = export(folder, &["s.yaml", "--at", "0s", "-o", "early.yaml"]);
    assert!(early.is_empty() && folder.join("early.yaml").exists());
    let bad = stowplan()
        .current_dir(folder)
        .args(["export", "manifests", "s.yaml", "--at", "soon"])
        .output()
        .expect("it runs");
    assert_eq!(bad.status.code(), Some(2));
    let missing = stowplan()
        .current_dir(folder)
        .args(["export", "manifests", "nowhere.yaml"])
        .output()
        .expect("it runs");
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn jobs_and_their_pods_are_exported_and_go_on() {
    // Three pods of 100 s each on room for two: at 150 s two have ended and the third runs.
    let text = format!(
        "version: 1\nname: t\ncluster:\n  storageClasses: {CLASSES}\n  nodes: [{{name: n, cpu: 4, memory: 64Gi, count: 1}}]\n\
         workload:\n  generate:\n    - {{name: job, kind: Job, sets: 1, replicas: 3, cpu: 2, memory: 1Gi, lifetime: 100s}}\n"
    );
    let done = run(&[], &text, &["--mode", "as-is"]);
    assert_eq!(done.variant("as-is")["pods"]["completed"], 3, "{}", done.stderr);
    let folder = done.folder.path();
    for (ended, created, completed) in [(false, 1, 1), (true, 3, 3)] {
        let mut args = vec!["s.yaml", "--at", "150s", "-o", "state.yaml"];
        args.extend(ended.then_some("--ended"));
        export(folder, &args);
        let yaml = fs::read_to_string(folder.join("state.yaml")).expect("a file");
        for wanted in [
            "kind: Job",
            "manualSelector: true",
            "batch.kubernetes.io/job-name: job-0",
            "restartPolicy: Never",
        ] {
            assert!(yaml.contains(wanted), "{wanted} is missing in\n{yaml}");
        }
        assert_eq!(yaml.matches("kind: Pod\n").count(), created, "{yaml}");
        let again = stowplan()
            .current_dir(folder)
            .args(["run", "-f", "state.yaml", "--mode", "as-is", "--json", "--no-plots", "-o"])
            .arg(if ended { "all" } else { "rest" })
            .output()
            .expect("it runs");
        let json: Value = serde_json::from_slice(&again.stdout).expect("JSON");
        let pods = &json["variants"][0]["pods"];
        assert_eq!((&pods["created"], &pods["completed"]), (&created.into(), &completed.into()), "{yaml}");
    }
}
