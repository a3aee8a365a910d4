//! A snapshot of every code: an input that raises it, and the words, as people see them. Regenerate codes.txt with
//! STOWPLAN_REGENERATE=1 and read the difference.

use super::cli::{program, text};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use stowplan::diagnostic::CODES;

const NODES: &str = "cluster: {nodes: [{name: n, cpu: 4, memory: 8Gi}]}\n";

/// A code, the text of the file `input`, and the command line that reads it. `@` in a text is [`NODES`].
const CASES: &[(&str, &str, &str)] = &[
    ("E0001", "", "run nowhere.yaml"),
    ("E0002", "", "run unreadable.yaml"),
    ("E0003", "name: \u{0}", "run latin1.yaml"),
    ("E0004", "version: 1\nname: x\n@", "run input --limit scenario-bytes=20"),
    ("E0005", "version: 1\nname: [x\n", "run input"),
    ("E0006", "version: 1\nname: x\nname: y\n@", "run input"),
    ("E0007", "", "run folder"),
    ("E0008", "version: 1\nname: x\n@workload: {manifests: [circle]}\n", "run input"),
    ("E0101", "version: 1\nname: x\ncluster: {nodes: 5}\n", "run input"),
    ("E0102", "version: 1\nname: x\nsede: 4\n@", "run input"),
    ("E0103", "version: 1\nname: x\ncluster: {nodes: [{name: n, cpu: 4}]}\n", "run input"),
    ("E0104", "version: 1\nname: x\ncluster: {nodes: [{name: n, cpu: 4, memory: 8 GB}]}\n", "run input"),
    ("E0105", "version: 1\nname: x\nduration: soon\n@", "run input"),
    (
        "E0106",
        "version: 1\nname: x\n@recovery: {policy: immediate, catchUp: {writeRate: fast, replayRate: 4MB/s}}\n",
        "run input",
    ),
    (
        "E0107",
        "version: 1\nname: x\nduration: 1d\n@failures: {node: {mtbf: 3y, repair: 4h, permanent: half}}\n",
        "run input",
    ),
    ("E0108", "version: 1\nname: x\nseed: many\n@", "run input"),
    (
        "E0109",
        "version: 1\nname: x\ncluster: {nodes: [{name: n, count: 1e12, cpu: 4, memory: 8Gi}]}\n",
        "run input",
    ),
    ("E0110", "version: 1\nname: x\nscheduler: {tieBreak: last}\n@", "run input"),
    ("E0111", "version: 1\nname: ../../x\n@", "run input"),
    (
        "E0112",
        "version: 1\nname: x\nsweep: {axes: [{path: seed, range: {from: 1, to: 9, step: 2, count: 3}}]}\n@",
        "sweep input",
    ),
    (
        "E0113",
        "version: 1\nname: x\n@workload: {generate: [{name: g, cpu: 1, memory: 1Gi, lifetime: {uniform: [5m, 1m]}}]}\n",
        "run input",
    ),
    ("E0114", "version: 7\nname: x\n@", "run input"),
    (
        "E0201",
        "version: 1\nname: x\n@variants: [{name: a, bindingMode: Immediate}, {name: a}]\n",
        "run input",
    ),
    (
        "E0202",
        "version: 1\nname: x\n@workload: {generate: [{name: g, cpu: 1, memory: 1Gi, claims: [{name: d, class: lokal, size: 1Gi}]}]}\n",
        "run input",
    ),
    ("E0203", "version: 1\nname: x\ncluster: {nodes: [{name: n, shape: i4i.5xlarge}]}\n", "run input"),
    (
        "E0204",
        "version: 1\nname: x\n@workload: {generate: [{name: g, preset: mysql-gr-midium}]}\n",
        "run input",
    ),
    ("E0205", "version: 1\nname: x\n@", "run input --set cluster.nodes[m].count=4"),
    ("E0206", "version: 1\nname: x\n@", "run input --set version=2"),
    ("E0207", "version: 1\nname: x\n@", "run input --set cluster..nodes=2"),
    ("E0208", "version: 1\nname: x\ncluster: {nodes: []}\n", "run input"),
    (
        "E0209",
        "version: 1\nname: x\ncluster:\n  storageClasses: [{name: l, provisioner: kubernetes.io/no-provisioner}]\n  \
         nodes: [{name: n, cpu: 4, memory: 8Gi, disks: [{class: l, count: 1, size: 1Gi, sizes: [600Mi, 600Mi]}]}]\n",
        "run input",
    ),
    ("E0210", "version: 1\nname: x\n@workload: {manifests: ['*.none']}\n", "run input"),
    ("E0211", "version: 1\nname: x\n@timeline: [{at: 1h, nodeDown: m-0}]\n", "run input"),
    ("E0212", "version: 1\nname: x\n@failures: {node: {mtbf: 3y, repair: 4h}}\n", "run input"),
    (
        "E0213",
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nextenders: [{urlPrefix: 'http://x'}]\n",
        "run configured.yaml",
    ),
    (
        "E0214",
        "version: 1\nname: x\n@workload: {manifests: ['${STOWPLAN_UNSET_HERE}/a.yaml']}\n",
        "run input",
    ),
    ("E0215", "version: 1\nname: x\n@", "run input --variant imediate"),
    ("E0301", "kind: Node\nmetadata: {name: n}\n", "run -f input"),
    (
        "E0302",
        "apiVersion: v1\nkind: Node\nmetadata: {name: one}\nstatus: {allocatable: [4]}\n",
        "run -f input",
    ),
    (
        "E0303",
        "apiVersion: v1\nkind: Node\nmetadata: {name: one}\nspec: {taint: []}\nstatus: {allocatable: {cpu: 4, memory: 8Gi, pods: 9}}\n",
        "run -f input --no-plots",
    ),
    (
        "E0304",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: ''}]}\n",
        "run -f input",
    ),
    (
        "E0305",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: Upper_Case}\nspec: {containers: [{name: c, image: i}]}\n",
        "run -f input",
    ),
    (
        "E0306",
        "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n",
        "run -f input",
    ),
    (
        "E0307",
        "{apiVersion: apps/v1beta1, kind: StatefulSet, metadata: {name: s}, spec: {serviceName: s, selector: {matchLabels: {a: b}},\n \
         template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}\n---\n\
         {apiVersion: v1, kind: Node, metadata: {name: one}, status: {allocatable: {cpu: 4, memory: 8Gi, pods: 9}}}\n",
        "run -f input --no-plots",
    ),
    (
        "E0308",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n---\n\
         {apiVersion: v1, kind: Node, metadata: {name: one}, status: {allocatable: {cpu: 4, memory: 8Gi, pods: 9}}}\n",
        "run -f input --no-plots",
    ),
    ("E0309", UNUSUAL, "run -f input --no-plots"),
    ("E0310", NOT_MODELLED, "run -f input --strict"),
    (
        "E0401",
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\na,b\n",
        "trace inspect --format openb input",
    ),
    ("E0403", OPENB, "trace inspect --format openb input"),
    ("E0404", "neither,one,nor,other\n1,2,3,4\n", "trace inspect input"),
    ("E0406", "{\"id\": 5}\n", "conformance input"),
    (
        "E0501",
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles: [{plugins: {filter: {enabled: [{name: Nope}]}}}]\n",
        "run configured.yaml",
    ),
    ("E0601", "version: 1\nname: x\n@", "man no-such-command"),
    ("E0602", "version: 1\nname: x\n@", "run input -o folder"),
    ("E0603", "version: 1\nname: x\n@", "run input -o unreadable.yaml/below"),
    ("E0604", "", "merge nothing-of-ours -o out"),
    ("E0605", "", "plot nothing-of-ours"),
];

/// A claim that is bound by hand to a volume that is not there.
const UNUSUAL: &str = "
{apiVersion: v1, kind: Node, metadata: {name: one}, status: {allocatable: {cpu: 4, memory: 8Gi, pods: 9}}}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: v}, spec: {capacity: {storage: 10m}, accessModes: [ReadWriteOnce],
 storageClassName: l, hostPath: {path: /d}}}
";

/// A pending pod with something that the simulation does not know.
const NOT_MODELLED: &str = "
{apiVersion: v1, kind: Node, metadata: {name: one}, status: {allocatable: {cpu: 4, memory: 8Gi, pods: 9}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {resourceClaims: [{name: gpu, resourceClaimName: gpu}],
 containers: [{name: c, image: i}]}}
";

const OPENB: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
openb-pod-0000,many,16384,0,0,,LS,Running,0,12537496,0
";

/// Codes that no input raises: they tell about the machine, or stand for what has no code of its own.
const WITHOUT_INPUT: &[&str] = &["E0606", "E0901"];

fn prepare(folder: &Path, code: &str, input: &str) {
    let at = |name: &str| folder.join(name);
    fs::write(at("input"), input.replace('@', NODES)).expect("written");
    fs::write(at("latin1.yaml"), b"version: 1\nname: caf\xe9\n").expect("written");
    fs::write(at("configured.yaml"), format!("version: 1\nname: x\nscheduler: {{config: input}}\n{NODES}"))
        .expect("written");
    fs::create_dir(at("folder")).expect("a folder");
    fs::write(at("folder/thesis.txt"), "years").expect("written");
    fs::create_dir(at("nothing-of-ours")).expect("a folder");
    fs::write(at("nothing-of-ours/summary.json"), "{}").expect("written");
    fs::create_dir(at("circle")).expect("a folder");
    fs::write(at("unreadable.yaml"), "").expect("written");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../circle", at("circle/again")).expect("a link");
        if code == "E0002" {
            fs::remove_file(at("unreadable.yaml")).expect("removed");
            // Nobody can read this one, not even root.
            std::os::unix::fs::symlink("/proc/self/mem", at("unreadable.yaml")).expect("a link");
        }
    }
    if code == "E0604" {
        let part = format!("version: 1\nname: x\n{NODES}sweep: {{replications: 2}}\n");
        fs::write(at("sweep.yaml"), part).expect("written");
        fs::remove_dir_all(at("nothing-of-ours")).expect("removed");
        let sweep = ["sweep", "sweep.yaml", "-q", "-o", "nothing-of-ours", "--shard", "1/3"];
        program(folder).args(sweep).assert().success();
    }
}

#[test]
fn every_code_is_raised_and_reads_as_before() {
    let mut shown = String::new();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (code, input, command) in CASES {
        let folder = tempfile::tempdir().expect("a folder");
        prepare(folder.path(), code, input);
        let output = program(folder.path()).args(command.split(' ')).output().expect("runs");
        let said = text(&output.stderr).replace(&*folder.path().to_string_lossy(), "FOLDER");
        let info = CODES.iter().find(|info| info.number == *code).expect("a code of the table");
        let warning = info.meaning.ends_with("(warning)");
        let first = if warning { format!("warning[{code}]") } else { format!("error[{code}]") };
        let exit = if warning { 0 } else { i32::from(info.exit_code) };
        if !said.contains(&first) || output.status.code() != Some(exit) {
            wrong.push(format!(
                "{code}: expected {first} and exit code {exit}, got {:?}:\n{said}",
                output.status.code()
            ));
        }
        seen.insert(*code);
        let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        let _ = write!(
            shown,
            "== {code}: {}\n$ stowplan {command}\n{}\n\n",
            info.meaning,
            lines.join("\n").trim_end()
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let without: Vec<&str> =
        CODES.iter().map(|i| i.number).filter(|n| !seen.contains(n) && !WITHOUT_INPUT.contains(n)).collect();
    assert!(without.is_empty(), "codes without an example: {without:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/codes.txt");
    if std::env::var_os("STOWPLAN_REGENERATE").is_some() {
        fs::write(&path, &shown).expect("written");
    }
    let before = fs::read_to_string(&path).expect("codes.txt");
    assert!(
        before == shown,
        "tests/it/codes.txt is not up to date: STOWPLAN_REGENERATE=1, and read the difference\n{shown}"
    );
}
