//! Hostile input, as a table: every kind of input with every kind of attack. Each ends with a coded diagnostic in bounded time and
//! memory, without a panic, without control characters on the terminal, and with nothing written beside the output.

use super::cli::{program, sweep_in_two_shards, text};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Kilobytes of address space that a program may have while it reads something hostile.
const MEMORY_KB: u64 = 4 << 20;
/// No answer may take longer, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether there is an answer.
const TICK: Duration = Duration::from_millis(5);

const CLUSTER: &str = "cluster:
  storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]
  nodes: [{name: n, count: 2, cpu: 4, memory: 8Gi, disks: [{class: local, count: 1, size: 100Gi, split: 4}]}]
";
const WORKLOAD: &str = "workload:
  generate: [{name: g, sets: 2, replicas: 1, cpu: 1, memory: 1Gi, claims: [{name: d, class: local, size: 10Gi}]}]
";
const SWEEP: &str = "sweep: {replications: 2, axes: [{path: 'cluster.nodes[n].count', values: [1, 2]}]}\n";

fn scenario(more: &str) -> String {
    format!("version: 1\nname: x\n{CLUSTER}{WORKLOAD}{more}")
}

/// Runs the program within time and memory; `None` if it did not end.
fn run(folder: &Path, arguments: &[&str]) -> Option<Output> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY_KB}; exec \"$@\""), "sh"])
        .arg(assert_cmd::cargo::cargo_bin!("stowplan"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("STOWPLAN_TRACES")
        .env("RUST_BACKTRACE", "0")
        .env("RAYON_NUM_THREADS", "2")
        .stdin(Stdio::null())
        .stdout(fs::File::create(folder.join(".stdout")).expect("a file"))
        .stderr(fs::File::create(folder.join(".stderr")).expect("a file"))
        .spawn()
        .expect("starts");
    let mut waited = Duration::ZERO;
    let status = loop {
        if let Some(status) = child.try_wait().expect("waits") {
            break status;
        }
        if waited > PATIENCE {
            child.kill().expect("killed");
            child.wait().expect("ends");
            return None;
        }
        std::thread::sleep(TICK);
        waited += TICK;
    };
    let read = |name: &str| {
        let path = folder.join(name);
        let bytes = fs::read(&path).expect("said");
        fs::remove_file(&path).expect("removed");
        bytes
    };
    Some(Output { status, stdout: read(".stdout"), stderr: read(".stderr") })
}

fn has_code(said: &str) -> bool {
    said.contains("error[E0")
}

/// What is wrong with an answer; nothing if it is as it should be. `fine`: that it went well is right too.
fn complaint(answer: Option<Output>, fine: bool) -> Option<String> {
    let Some(answer) = answer else { return Some(format!("no answer within {PATIENCE:?}")) };
    let (out, said) = (text(&answer.stdout), text(&answer.stderr));
    let control =
        |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}');
    let start: String = said.chars().take(300).collect();
    match answer.status.code() {
        _ if said.contains("panicked") => Some(format!("a panic: {start}")),
        _ if out.chars().chain(said.chars()).any(control) => Some(format!("control characters: {start:?}")),
        Some(0 | 1) if fine => None,
        Some(2 | 3) if has_code(&said) => None,
        Some(2 | 3) => Some(format!("no code: {start}")),
        code => Some(format!("exit code {code:?}: {start}")),
    }
}

/// Names of everything below a folder.
fn everything(folder: &Path) -> BTreeSet<PathBuf> {
    let mut open = vec![folder.to_owned()];
    let mut found = BTreeSet::new();
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                open.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}

fn gzip(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..times {
        packed.write_all(bytes).expect("memory");
    }
    packed.finish().expect("memory")
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

/// A file of zeros that takes no room: a single line of so many bytes.
fn sparse(path: &Path, bytes: u64) {
    fs::File::create(path).expect("a file").set_len(bytes).expect("sparse");
}

type Make = fn(&Path);

/// Files that no reader may choke on.
const ATTACKS: &[(&str, Make)] = &[
    ("an alias bomb", |path| {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            let aliases = vec![format!("*a{}", i - 1); 9].join(",");
            text.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
        }
        fs::write(path, text).expect("written");
    }),
    ("10,000 lists in each other", |path| {
        fs::write(path, "[".repeat(10_000) + &"]".repeat(10_000)).expect("written");
    }),
    ("10,000 mappings in each other", |path| {
        let text: String = (0..10_000).map(|i| " ".repeat(i) + "a:\n").collect();
        fs::write(path, text).expect("written");
    }),
    ("10,000 objects in each other", |path| {
        fs::write(path, "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000)).expect("written");
    }),
    ("a line of 1 GiB", |path| sparse(path, 1 << 30)),
    ("a gzip bomb", |path| fs::write(path, gzip(&[b'{'; 1 << 20], 100)).expect("written")),
    ("a zstd bomb", |path| {
        let mut packed = zstd::Encoder::new(Vec::new(), 1).expect("memory");
        (0..100).for_each(|_| packed.write_all(&[b'1'; 1 << 20]).expect("memory"));
        fs::write(path, packed.finish().expect("memory")).expect("written");
    }),
    ("invalid UTF-8", |path| fs::write(path, b"version: 1\nname: \xff\xfe\n").expect("written")),
    ("zero bytes", |path| fs::write(path, [0; 10_000]).expect("written")),
    ("noise", |path| {
        let mut state = 1u64;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .take(100_000)
        .collect();
        fs::write(path, bytes).expect("written");
    }),
    ("a FIFO", fifo),
    ("a device without end", |path| std::os::unix::fs::symlink("/dev/zero", path).expect("a link")),
    ("a link to itself", |path| std::os::unix::fs::symlink("hostile", path).expect("a link")),
    ("a folder", |path| fs::create_dir(path).expect("a folder")),
    ("nothing", |_| {}),
];

const FORMATS: &[&str] = &[
    "auto",
    "openb",
    "alibaba-gpu-v2025",
    "alibaba-v2017",
    "alibaba-v2018",
    "alibaba-gpu-v2020",
    "alibaba-spot-gpu-v2026",
    "google-2011",
    "google-2019",
    "azure-packing-2020",
    "azure-v1",
    "azure-v2",
    "huawei-east-1",
    "simkube",
    "stowplan",
];

/// Command lines that read a file named `hostile`.
fn readers() -> Vec<Vec<String>> {
    let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    let mut all: Vec<Vec<String>> = [
        "run hostile -o out",
        "check hostile",
        "sweep hostile -o out",
        "plan hostile -o out",
        "run -f hostile -o out",
        "export manifests hostile",
        "export manifests -f hostile",
        "conformance hostile",
        "import recording hostile -o imported.yaml",
        "merge hostile -o out",
        "explain hostile g-0-0",
        "plot hostile",
        "run config.yaml -o out",
        "run empirical.yaml -o out",
        "run manifests.yaml -o out",
        "run trace.yaml -o out",
    ]
    .iter()
    .map(|line| words(line))
    .collect();
    for format in FORMATS {
        let scales = "--max-cpu 64 --max-memory 512Gi --max-disk 4Ti";
        all.push(words(&format!("trace inspect --format {format} {scales} hostile")));
    }
    all.push(words("trace convert --format openb -o converted hostile"));
    all
}

#[test]
fn every_reader_survives_every_file() {
    let mut wrong = Vec::new();
    for (name, make) in ATTACKS {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |file: &str| folder.path().join(file);
        fs::write(at("config.yaml"), scenario("scheduler: {config: hostile}\n")).expect("written");
        let empirical = scenario("").replace("size: 10Gi", "size: {empirical: hostile}");
        fs::write(at("empirical.yaml"), empirical).expect("written");
        let manifests = format!("version: 1\nname: x\n{CLUSTER}workload: {{manifests: [hostile]}}\n");
        fs::write(at("manifests.yaml"), manifests).expect("written");
        let trace = format!(
            "version: 1\nname: x\n{CLUSTER}workload: {{trace: {{format: openb, files: [hostile]}}}}\n"
        );
        fs::write(at("trace.yaml"), trace).expect("written");
        make(&at("hostile"));
        let before = everything(folder.path());
        for arguments in readers() {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            if let Some(why) = complaint(run(folder.path(), &arguments), false) {
                wrong.push(format!("{name}, {}: {why}", arguments.join(" ")));
            }
            let after = everything(folder.path());
            if after != before {
                wrong.push(format!("{name}, {}: left {:?}", arguments.join(" "), after.difference(&before)));
                let _ = fs::remove_dir_all(at("out"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// Results of a run and of a sweep, to be damaged.
fn results() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("s.yaml"), scenario(SWEEP)).expect("written");
    for arguments in [["run", "s.yaml", "-q", "-o", "ran"], ["sweep", "s.yaml", "-q", "-o", "swept"]] {
        program(folder.path()).args(arguments).assert().success();
    }
    sweep_in_two_shards(folder.path());
    folder
}

/// What may become of a file of a results folder: its bytes before, and what is made of them.
const DAMAGES: &[(&str, fn(&Path, &[u8]))] = &[
    ("a FIFO", |path, _| fifo(path)),
    ("a device", |path, _| std::os::unix::fs::symlink("/dev/zero", path).expect("a link")),
    ("3 GiB", |path, _| sparse(path, 3 << 30)),
    ("a folder", |path, _| fs::create_dir(path).expect("a folder")),
    ("nothing", |_, _| {}),
    ("no bytes", |path, _| fs::write(path, "").expect("written")),
    ("no text", |path, _| fs::write(path, b"\xff\xfe{").expect("written")),
    ("100,000 lists", |path, _| fs::write(path, "[".repeat(100_000)).expect("written")),
    ("half of it", |path, bytes| fs::write(path, &bytes[..bytes.len() / 2]).expect("written")),
    ("huge numbers", |path, bytes| {
        let digits = |c: char| c.is_ascii_digit();
        let long: String =
            text(bytes).chars().map(|c| if digits(c) { "99999999".to_owned() } else { c.into() }).collect();
        fs::write(path, long).expect("written");
    }),
    ("escapes", |path, bytes| {
        let text = text(bytes).replace("default", "\u{1b}]0;owned\u{7}").replace("g-0", "\\u001b[2J");
        fs::write(path, text).expect("written");
    }),
    ("paths that lead out", |path, bytes| {
        let text = text(bytes).replace("inputs/0", "../../0").replace("immediate", "../../immediate");
        fs::write(path, text).expect("written");
    }),
];

#[test]
fn damaged_results_are_refused() {
    let folder = results();
    let mut wrong = Vec::new();
    let run_files = ["summary.json", "provenance.json", "inputs/index.json", "immediate/pods.csv"];
    let sweep_files = ["sweep.json", "sweep.csv", "provenance.json"];
    let part_files = ["sweep.json", "runs.jsonl", "provenance.json"];
    let cases: [(&str, &[&str], &[&str]); 3] = [
        (
            "ran",
            &run_files,
            &["plot FOLDER", "explain FOLDER g-0-0", "export manifests FOLDER --variant immediate"],
        ),
        ("swept", &sweep_files, &["plot FOLDER", "sweep s.yaml --resume -o FOLDER"]),
        (
            "part",
            &part_files,
            &["merge rest FOLDER -o merged", "sweep s.yaml --resume --shard 1/2 -o FOLDER"],
        ),
    ];
    for (from, files, commands) in cases {
        for file in files {
            let original = folder.path().join(from).join(file);
            if !original.is_file() {
                wrong.push(format!("{from}/{file} is not written any more"));
                continue;
            }
            let bytes = fs::read(&original).expect("bytes");
            for (damage, make) in DAMAGES {
                fs::remove_file(&original).expect("removed");
                make(&original, &bytes);
                let before = everything(folder.path());
                for command in commands {
                    let words: Vec<&str> =
                        command.split(' ').map(|w| if w == "FOLDER" { from } else { w }).collect();
                    if let Some(why) = complaint(run(folder.path(), &words), true) {
                        wrong.push(format!("{from}/{file} is {damage}, {}: {why}", words.join(" ")));
                    }
                }
                let outside: Vec<PathBuf> = everything(folder.path())
                    .difference(&before)
                    .filter(|p| {
                        !["ran", "swept", "part", "merged"]
                            .iter()
                            .any(|f| p.starts_with(folder.path().join(f)))
                    })
                    .filter(|p| !p.to_string_lossy().contains(".lock"))
                    .cloned()
                    .collect();
                if !outside.is_empty() {
                    wrong.push(format!("{from}/{file} is {damage}: {outside:?} was written"));
                }
                let _ = fs::remove_dir_all(folder.path().join("merged"));
                let _ = fs::remove_dir_all(&original);
                let _ = fs::remove_file(&original);
                fs::create_dir_all(original.parent().expect("a folder")).expect("a folder");
                fs::write(&original, &bytes).expect("written");
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// Values that no place may trip over: they are refused, or the run goes well.
const VALUES: &[&str] = &[
    "1e12",
    "99999999999999999999999",
    ".nan",
    ".inf",
    "-1",
    "-0",
    "1e400",
    "9223372036854775807",
    "18446744073709551616",
    "-9223372036854775808",
    "1e-400",
    "'8E'",
    "100000E",
    "1.5",
    "''",
    "[]",
    "{}",
    "~",
    "true",
    "\"\\e[31m\"",
    "99999999999y",
    "1ns",
];

/// Places of a scenario: what stands there, and what is written instead, with the value for `@`.
const PLACES: &[(&str, &str)] = &[
    ("count: 2", "count: @"),
    ("cpu: 4", "cpu: @"),
    ("memory: 8Gi", "memory: @"),
    ("size: 100Gi", "size: @"),
    ("split: 4", "split: @"),
    ("sets: 2", "sets: @"),
    ("replicas: 1", "replicas: @"),
    ("cpu: 1,", "cpu: @,"),
    ("size: 10Gi", "size: @"),
    ("size: 10Gi", "size: {lognormal: {median: 1Gi, p95: @}}"),
    ("size: 10Gi", "size: {weibull: {shape: @, scale: 1Gi}}"),
    ("size: 10Gi", "size: {choice: [{value: 1Gi, weight: @}]}"),
    ("# more", "seed: @"),
    ("# more", "duration: @"),
    ("# more", "report: {stuckAfter: @}"),
    ("# more", "report: {sample: @}"),
    ("# more", "timeline: [{at: @, nodeDown: n-0}]"),
    ("# more", "timeline: [{at: 1m, scale: {statefulset: default/g-0, replicas: @}}]"),
    ("# more", "controlPlane: {kcm: {qps: @, burst: 1}}"),
    ("# more", "controlPlane: {api: {latency: @}}"),
    ("# more", "scheduler: {percentageOfNodesToScore: @}"),
    ("# more", "sweep: {replications: @}"),
    ("# more", "failures: {node: {mtbf: @}}"),
];

#[test]
fn hostile_values_are_refused_or_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = Vec::new();
    for (old, new) in PLACES {
        for value in VALUES {
            let line = new.replace('@', value);
            let duration = if new.starts_with("failures") { "duration: 1d\n" } else { "" };
            let text = scenario(&format!("{duration}# more\n")).replacen(old, &line, 1);
            fs::write(folder.path().join("s.yaml"), text).expect("written");
            let answer = run(folder.path(), &["run", "s.yaml", "-q", "--no-plots", "-o", "out"]);
            if let Some(why) = complaint(answer, true) {
                wrong.push(format!("{line}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// Objects of which one quantity is hostile.
const OBJECTS: &str = "
{apiVersion: v1, kind: Node, metadata: {name: one}, status: {allocatable: {cpu: NODE_CPU, memory: NODE_MEMORY, pods: NODE_PODS}}}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: v}, spec: {capacity: {storage: VOLUME}, accessModes: [ReadWriteOnce],
 storageClassName: l, hostPath: {path: /d}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c}, spec: {accessModes: [ReadWriteOnce], storageClassName: l,
 resources: {requests: {storage: CLAIM}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {priority: PRIORITY, containers: [
 {name: a, image: i, resources: {requests: {cpu: POD_CPU, memory: POD_MEMORY}}},
 {name: b, image: i, resources: {requests: {cpu: POD_CPU, memory: POD_MEMORY}}}]}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {serviceName: s, replicas: REPLICAS,
 selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}
";

#[test]
fn hostile_quantities_of_objects_are_refused_or_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let places = [
        ("NODE_CPU", "4"),
        ("NODE_MEMORY", "8Gi"),
        ("NODE_PODS", "110"),
        ("VOLUME", "10Gi"),
        ("CLAIM", "1Gi"),
        ("PRIORITY", "0"),
        ("POD_CPU", "1"),
        ("POD_MEMORY", "1Gi"),
        ("REPLICAS", "1"),
    ];
    let more = ["2147483647", "2147483648", "'9E'", "'9007199254740993'", "'0.5n'", "' 5'", "'1_000'"];
    let mut wrong = Vec::new();
    for (place, _) in places {
        for value in VALUES.iter().chain(&more) {
            let text = places.iter().fold(OBJECTS.to_owned(), |text, (other, usual)| {
                text.replace(other, if *other == place { value } else { usual })
            });
            fs::write(folder.path().join("objects.yaml"), text).expect("written");
            let answer = run(
                folder.path(),
                &["run", "-f", "objects.yaml", "-q", "--no-plots", "--mode", "as-is", "-o", "out"],
            );
            if let Some(why) = complaint(answer, true) {
                wrong.push(format!("{place} {value}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// Names, as YAML has them.
const NAMES: &[&str] = &[
    "../../escaped",
    "/tmp/escaped-by-stowplan",
    "..",
    ".",
    "a/b",
    "\"a\\0b\"",
    "\"\\e[2J\\e]0;owned\\a\\u202Ex\"",
    "\"<script>alert(1)</script>\"",
    "\"=HYPERLINK(1)\"",
    "\"-rf\"",
    "\"@SUM(1)\"",
    "\"+1\"",
    "''",
    "\"a\\nb\"",
    ".hidden",
    "é",
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
];

/// Cells that a spreadsheet would take for a formula, markup that a browser would run.
fn injected(folder: &Path) -> Option<String> {
    for path in everything(folder).iter().filter(|p| p.is_file()) {
        let content = text(&fs::read(path).expect("bytes"));
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let formula = |cell: &str| {
            cell.starts_with(['=', '@']) || (cell.starts_with(['+', '-']) && cell.parse::<f64>().is_err())
        };
        let bad = match ending {
            "csv" => content.lines().flat_map(|l| l.split(',')).any(|c| formula(c.trim_matches('"'))),
            "svg" | "html" => content.contains("<script>alert") || content.contains('\u{1b}'),
            _ => false,
        };
        if bad {
            return Some(format!("{} holds something that would be run", path.display()));
        }
    }
    None
}

#[test]
fn hostile_names_stay_names() {
    let mut wrong = Vec::new();
    for name in NAMES {
        let usual = scenario("");
        let texts = [
            ("scenario", usual.replacen("name: x", &format!("name: {name}"), 1)),
            ("description", format!("description: {name}\n{usual}")),
            ("nodes", usual.replacen("name: n,", &format!("name: {name},"), 1)),
            ("sets", usual.replacen("name: g,", &format!("name: {name},"), 1)),
            ("claims", usual.replacen("name: d,", &format!("name: {name},"), 1)),
            ("class", usual.replace("local", name)),
            ("zone", usual.replacen("cpu: 4", &format!("cpu: 4, zones: [{name}], labels: {{a: {name}}}"), 1)),
            ("variant", format!("{usual}variants: [{{name: {name}, bindingMode: Immediate}}]\n")),
        ];
        for (place, text) in texts {
            let folder = tempfile::tempdir().expect("a folder");
            let work = folder.path().join("a/b/c");
            fs::create_dir_all(&work).expect("folders");
            fs::write(work.join("s.yaml"), text).expect("written");
            let before = everything(folder.path());
            if let Some(why) = complaint(run(&work, &["run", "s.yaml"]), true) {
                wrong.push(format!("{place} {name}: {why}"));
            }
            let results = work.join("results");
            let outside = |p: &&PathBuf| !before.contains(*p) && !p.starts_with(&results);
            if let Some(path) = everything(folder.path()).iter().find(outside) {
                wrong.push(format!("{place} {name}: wrote {}", path.display()));
            }
            if let Some(why) = injected(&results) {
                wrong.push(format!("{place} {name}: {why}"));
            }
        }
    }
    assert!(!Path::new("/tmp/escaped-by-stowplan").exists());
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn hostile_places_for_output_are_left_alone() {
    let folder = results();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "mine").expect("written");
    fs::create_dir(at("mine")).expect("a folder");
    fs::write(at("mine/thesis"), "years").expect("written");
    std::os::unix::fs::symlink("file", at("link-to-file")).expect("a link");
    std::os::unix::fs::symlink("mine", at("link-to-folder")).expect("a link");
    std::os::unix::fs::symlink("/dev/null", at("link-to-device")).expect("a link");
    fifo(&at("fifo"));
    let is_fifo = |path: &Path| {
        use std::os::unix::fs::FileTypeExt as _;
        fs::symlink_metadata(path).expect("there").file_type().is_fifo()
    };
    let mut wrong = Vec::new();
    for target in [
        "file",
        "file/below",
        "mine",
        "link-to-file",
        "link-to-folder",
        "link-to-device",
        "fifo",
        "..",
        "",
        "a\u{1b}[2Jb/../..",
    ] {
        for command in ["run s.yaml -q --no-plots", "sweep s.yaml -q --no-plots", "plan s.yaml -q"] {
            let mut words: Vec<&str> = command.split(' ').collect();
            words.extend(["-o", target]);
            let answer = run(folder.path(), &words);
            let went_well = answer.as_ref().is_some_and(|a| a.status.success());
            if let Some(why) = complaint(answer, false) {
                wrong.push(format!("{command} -o {target:?} (well: {went_well}): {why}"));
            }
        }
        if target != "mine" && !target.contains("..") && !target.is_empty() && target != "link-to-folder" {
            for command in [
                "export manifests s.yaml --variant immediate -q",
                "plot ran --kind stuck -q",
                "run s.yaml -q --no-plots -o t --perfetto",
            ] {
                let mut words: Vec<&str> = command.split(' ').collect();
                if !command.ends_with("--perfetto") {
                    words.push("-o");
                }
                words.push(target);
                // A file is replaced, that is what `-o` asks for; so is a link. Nothing else is.
                if let Some(why) = complaint(run(folder.path(), &words), target.contains("file")) {
                    wrong.push(format!("{command} {target:?}: {why}"));
                }
                let _ = fs::remove_file(at("link-to-file"));
                std::os::unix::fs::symlink("file", at("link-to-file")).expect("a link");
                fs::write(at("file"), "mine").expect("written");
            }
        }
    }
    assert_eq!(fs::read_to_string(at("mine/thesis")).expect("kept"), "years");
    assert_eq!(fs::read_dir(at("mine")).expect("kept").count(), 1);
    assert!(is_fifo(&at("fifo")) && at("link-to-folder").is_symlink() && at("link-to-device").is_symlink());
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn limits_can_be_changed_and_are_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("s.yaml"), scenario("")).expect("written");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["run", "s.yaml", "--limit", "nodes=1", "-q", "--no-plots"], 2, "--limit nodes="),
        (&["run", "s.yaml", "--limit", "scenario-bytes=10"], 2, "E0004"),
        (&["run", "s.yaml", "--limit", "nesting=2"], 2, "--limit nesting="),
        (&["--limit", "volumes=7", "check", "s.yaml"], 2, "--limit volumes="),
        (&["check", "s.yaml", "--limit", "pods=1"], 2, "--limit pods="),
        (&["check", "s.yaml", "--limit", "nodes=2", "--limit", "scenario-bytes=1Mi"], 0, ""),
        (&["check", "s.yaml", "--limit", "nodse=2"], 2, "did you mean `nodes`"),
        (&["check", "s.yaml", "--limit", "nodes=0"], 2, "1 to"),
        (&["check", "s.yaml", "--limit", "nodes=-5"], 2, ""),
        (&["check", "s.yaml", "--limit", "nodes"], 2, "NAME=VALUE"),
        (&["catalog", "limits"], 0, ""),
    ];
    for (arguments, code, part) in cases {
        let answer = run(folder.path(), arguments).expect("an answer");
        let said = text(&answer.stderr);
        assert_eq!(answer.status.code(), Some(*code), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    let list = text(&run(folder.path(), &["catalog", "limits"]).expect("an answer").stdout);
    for info in stowplan::limits::LIMITS {
        assert!(list.contains(info.name), "{} in\n{list}", info.name);
    }
}
