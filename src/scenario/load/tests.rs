use std::fs;

use super::*;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::quantity::Quantity;
use crate::scenario::types::*;

/// The documented example, with every part of the format.
const EXAMPLE: &str = include_str!("example.yaml");

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for name in ["cluster", "workload"] {
        fs::create_dir(dir.path().join(name)).expect("a folder");
    }
    for name in [
        "cluster/b.yaml",
        "cluster/a.json",
        "cluster/notes.txt",
        "extra.yaml",
        "workload/w.yml",
        "more.yaml",
        "openb_pod_list_default.csv",
        "openb_node_list_all_node.csv",
    ] {
        fs::write(dir.path().join(name), "").expect("a file");
    }
    let config = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";
    fs::write(dir.path().join("kube-scheduler.yaml"), config).expect("a file");
    fs::write(dir.path().join("sizes.csv"), "1Gi\n2147483648\n\n3Gi\n").expect("a file");
    dir
}

fn load_in(dir: &Path, text: &str, sets: &[&str]) -> Result<Loaded, Diagnostics> {
    let mut file = ScenarioFile::from_text("s.yaml", text.to_owned(), dir, &LoadOptions::default())?;
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    let sets = file.parse_sets(&sets)?;
    file.resolve(&sets)
}

fn load(text: &str, sets: &[&str]) -> Result<Loaded, Diagnostics> {
    load_in(Path::new(""), text, sets)
}

fn ok(result: Result<Loaded, Diagnostics>) -> Loaded {
    result.unwrap_or_else(|e| panic!("{e}"))
}

/// The rendered errors with folder names of this run cut out.
fn errors(text: &str, sets: &[&str]) -> String {
    let dir = folder();
    match load_in(dir.path(), text, sets) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(e) => {
            assert_eq!(e.exit_code(), 2);
            e.to_string().replace(&*dir.path().to_string_lossy(), "DIR")
        }
    }
}

const SMALL: &str = "version: 1\nname: small\ncluster:\n  storageClasses: [{name: local}, {name: slow}]\n  nodes:\n  - {name: db, cpu: 8, memory: 32Gi, count: 2, disks: [{class: local, size: 1Ti, split: 4}]}\nworkload:\n  generate:\n  - {name: shop, cpu: 2, sets: 3, replicas: 3, claims: [{name: data, class: local, size: 100Gi}]}\n";

#[test]
fn the_documented_example_is_read_whole() {
    let dir = folder();
    let loaded = ok(load_in(dir.path(), EXAMPLE, &[]));
    let s = &loaded.scenario;
    assert_eq!(
        (s.name.as_str(), s.seed, s.duration),
        ("mysql-local-pv", 42, Some(SimDuration::from_secs(30 * 86_400)))
    );
    let files: Vec<String> = s
        .cluster
        .manifests
        .iter()
        .map(|m| m.path.strip_prefix(dir.path()).unwrap_or(&m.path).to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        files,
        ["cluster/a.json", "cluster/b.yaml", "extra.yaml"],
        "folders sorted, other endings left out"
    );
    let group = &s.cluster.nodes[0];
    assert_eq!(
        (group.count, group.cpu, group.memory),
        (20, Quantity::from_int(16), Quantity::from_int(128 << 30))
    );
    assert_eq!(
        group.taints[0],
        TaintSpec { key: "dedicated".into(), value: "db".into(), effect: "NoSchedule".into() }
    );
    let disk = &group.disks[0];
    assert_eq!((disk.count, disk.size_bytes), (1, 3_750_000_000_000));
    // 937.5e9 bytes = 894069 MiB and a bit.
    assert_eq!(disk.carve, Carve::Static(vec![894_069 << 20; 4]));
    assert_eq!(disk.static_provisioner, Some(StaticProvisioner { wipe: Wipe::BytesPerSecond(200e6) }));
    let shop = &s.workload.generate[0];
    assert_eq!((shop.sets, shop.replicas, shop.cpu), (60, 3, Some(Quantity::from_int(4))));
    assert_eq!(shop.claims[0].size, Distribution::Lognormal { median: 300 << 30, p95: 900 << 30 });
    assert_eq!(shop.lifetime, Some(Distribution::Exponential { mean: SimDuration::from_secs(90 * 86_400) }));
    let trace = s.workload.trace.as_ref().expect("a trace");
    assert_eq!((trace.mode, trace.claims.as_ref().map(|c| c.share)), (TraceMode::Fill, Some(0.6)));
    assert_eq!(trace.nodes.as_ref().map(|n| n.disks[0].count), Some(4));
    assert_eq!(s.timeline.len(), 6);
    assert_eq!(s.timeline[1].at, SimTime::from_secs(54 * 3600));
    assert!(
        matches!(&s.timeline[2].action.value, Action::Scale { kind, replicas: 5, .. } if kind == "StatefulSet")
    );
    let node_failures = s.failures.node.as_ref().expect("node failures");
    assert_eq!(
        node_failures.mtbf,
        Distribution::Exponential { mean: SimDuration::from_secs(3 * 365 * 86_400) }
    );
    assert_eq!(
        s.recovery.as_ref().map(|r| r.policy),
        Some(RecoveryPolicy::After(SimDuration::from_secs(1800)))
    );
    let names: Vec<&str> = s.variants.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["immediate", "wait-for-first-consumer", "tightest-fit", "lvm"]);
    assert_eq!(
        (s.sweep.replications, s.sweep.axes[0].values.len(), s.sweep.axes[1].values.len()),
        (20, 9, 4)
    );
    assert_eq!(s.plan.as_ref().map(|p| p.require.len()), Some(4));
    assert_eq!(s.report.stuck_after, SimDuration::from_secs(300));
}

#[test]
fn every_variant_and_point_of_the_example_resolves() {
    let dir = folder();
    let file = ScenarioFile::from_text("s.yaml", EXAMPLE.to_owned(), dir.path(), &LoadOptions::default())
        .unwrap_or_else(|e| panic!("{e}"));
    let base = ok(file.resolve(&[]));
    let axes = &base.scenario.sweep.axes;
    assert_eq!(crate::scenario::axes::grid_size(axes).ok(), Some(36));
    let point = crate::scenario::axes::grid_point(axes, 35).expect("the last point");
    for variant in &base.scenario.variants {
        let loaded = ok(file.resolve_point(variant, &point.set, &[]));
        assert_eq!(loaded.scenario.workload.generate[0].sets, 100);
        // The axis sets `split` after the variant set `lvm`; one replaces the other.
        let carve = &loaded.scenario.cluster.nodes[0].disks[0].carve;
        assert!(matches!(carve, Carve::Static(parts) if parts.len() == 8), "{carve:?}");
    }
    let lvm = ok(file.resolve_point(&base.scenario.variants[3], &[], &[]));
    let carve = &lvm.scenario.cluster.nodes[0].disks[0].carve;
    assert_eq!(*carve, Carve::Lvm { extent_bytes: 4 << 20, overcommit: 1.0 });
}

#[test]
fn later_overrides_win_and_are_checked_like_the_file() {
    let loaded = ok(load(SMALL, &["cluster.nodes[db].count=5", "cluster.nodes[0].count=7", "seed=9"]));
    assert_eq!((loaded.scenario.cluster.nodes[0].count, loaded.scenario.seed), (7, 9));
    let loaded = ok(load(SMALL, &["cluster.nodes[db].disks[0].sizes=[500Gi, 100Gi]"]));
    assert_eq!(loaded.scenario.cluster.nodes[0].disks[0].carve, Carve::Static(vec![500 << 30, 100 << 30]));
    for (set, want) in [
        ("cluster.nodes[dv].count=5", "did you mean `db`"),
        ("cluster.nodes.count=5", "pick an element"),
        ("cluster.nodes[3].count=5", "has 1 elements"),
        ("cluster.nodes[db].cuont=5", "did you mean `count`"),
        ("cluster.nodes[db].count=many", "--set:1:25"),
        ("cluster.nodes[db].count=[1", "--set:1:"),
        ("name=other", "may not be overridden"),
        ("sweep.replications=3", "may not be overridden"),
        ("cluster..nodes=1", "an empty key"),
        ("cluster.nodes[db=1", "`[` without `]`"),
        ("seed", "PATH=VALUE"),
        ("=5", "is not a path"),
    ] {
        let shown = errors(SMALL, &[set]);
        assert!(shown.contains(want), "{set}: {shown}");
    }
}

#[test]
fn defaults_are_recorded() {
    let loaded = ok(load(SMALL, &[]));
    let has = |path: &str, value: &str| {
        assert!(loaded.assumptions.iter().any(|a| a.path == path && a.value == value), "{path} = {value}");
    };
    has("seed", "0");
    has("report.stuckAfter", "5m");
    has("report.sample", "1m");
    has("cluster.nodes[db].pods", "110");
    has("cluster.nodes[db].reserved", "none");
    has("controlPlane", "kubernetes");
    has("workload.generate[shop].antiAffinity", "none");
    has("variants", "immediate, wait-for-first-consumer");
    assert_eq!(loaded.scenario.variants.len(), 2);
    assert_eq!(loaded.scenario.variants[0].binding_mode, Some(BindingMode::Immediate));
}

#[test]
fn presets_give_what_the_generator_does_not_say() {
    let text = SMALL.replace(
        "{name: shop, cpu: 2, sets: 3, replicas: 3, claims: [{name: data, class: local, size: 100Gi}]}",
        "{name: pg, preset: cnpg-medium, class: local, cpu: 2}",
    );
    let loaded = ok(load(&text, &[]));
    let pg = &loaded.scenario.workload.generate[0];
    assert_eq!(
        (pg.replicas, pg.cpu, pg.memory),
        (3, Some(Quantity::from_int(2)), Some(Quantity::from_int(16 << 30)))
    );
    let claims: Vec<(&str, &str, Option<&u64>)> =
        pg.claims.iter().map(|c| (&*c.name, c.class.as_str(), c.size.constant())).collect();
    assert_eq!(claims, [("data-0", "local", Some(&(200 << 30))), ("data-1", "local", Some(&(20 << 30)))]);
    assert_eq!(pg.anti_affinity, AntiAffinity::Preferred);
    assert!(loaded.assumptions.iter().any(|a| a.source == "catalogue" && a.path.ends_with("[pg].preset")));
}

#[test]
fn disks_of_a_shape_are_taken_in_turn() {
    let text = "version: 1\nname: d\ncluster:\n  nodes:\n  - name: n\n    shape: i3.8xlarge\n    disks:\n    - {class: a, count: 1, split: whole}\n    - {class: b, size: 10Gi, count: 2, sizes: [3Gi, 4Gi]}\n    - {class: c, count: 2, split: 3}\n";
    let loaded = ok(load(text, &[]));
    let group = &loaded.scenario.cluster.nodes[0];
    let disks: Vec<(u32, u64)> = group.disks.iter().map(|d| (d.count, d.size_bytes)).collect();
    assert_eq!(disks, [(1, 1_900_000_000_000), (2, 10 << 30), (2, 1_900_000_000_000)]);
    assert_eq!(group.disks[0].carve, Carve::Static(vec![1_900_000_000_000]));
    assert_eq!(group.unused_disks, [1_900_000_000_000]);
}

#[test]
fn mistakes_in_a_scenario() {
    let dir = folder();
    let mut shown = String::new();
    for (name, from, to) in MISTAKES {
        assert!(SMALL.contains(from), "{name}: {from}");
        let text = SMALL.replacen(from, to, 1);
        let result = load_in(dir.path(), &text, &[]);
        let message = match result {
            Ok(_) => panic!("{name}: accepted\n{text}"),
            Err(e) => e.to_string().replace(&*dir.path().to_string_lossy(), "DIR"),
        };
        assert!(message.contains("s.yaml:"), "{name}: no place\n{message}");
        shown.push_str(&format!("## {name}\n{message}\n\n"));
    }
    insta::assert_snapshot!(shown);
}

/// What, what is replaced in SMALL, by what.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("unknown key at the top", "workload:", "worklaod:"),
    ("unknown key of a node group", "memory: 32Gi", "memroy: 32Gi"),
    ("unknown key without a near one", "cpu: 8,", "cpu: 8, colour: red,"),
    ("missing key", "cpu: 8,", ""),
    ("quantity with a foreign unit", "size: 100Gi", "size: 10Gb"),
    ("negative quantity", "size: 100Gi", "size: -1"),
    ("NaN", "size: 100Gi", "size: NaN"),
    ("nothing where a size belongs", "size: 100Gi", "size: 0"),
    ("a list where a number belongs", "count: 2", "count: [2]"),
    ("a huge count", "count: 2", "count: 1e12"),
    ("a fractional count", "count: 2", "count: 1.5"),
    ("version of the future", "version: 1", "version: 2"),
    ("no version", "version: 1\n", ""),
    ("a name that leads elsewhere", "name: small", "name: ../../x"),
    ("duplicate node groups", "  - {name: db,", "  - {name: db, cpu: 1, memory: 1Gi}\n  - {name: db,"),
    ("duplicate generators", "  - {name: shop,", "  - {name: shop, cpu: 1}\n  - {name: shop,"),
    ("unknown shape", "cpu: 8, memory: 32Gi,", "shape: i4i.4xlrage,"),
    ("unknown preset", "cpu: 2,", "preset: mysql-gr-medum,"),
    ("two ways to carve", "split: 4", "split: 4, sizes: [1Gi]"),
    ("no way to carve", ", split: 4", ""),
    ("volumes above the disk", "split: 4", "sizes: [800Gi, 300Gi]"),
    ("a disk in too many parts", "size: 1Ti, split: 4", "size: 2Mi, split: 4"),
    ("no disk size", "size: 1Ti, ", ""),
    ("unknown kind", "sets: 3,", "sets: 3, kind: Statefulset,"),
    ("claims of a Deployment", "sets: 3,", "sets: 3, kind: Deployment,"),
    ("a Job without an end", "sets: 3,", "sets: 3, kind: Job,"),
    ("an unknown distribution", "size: 100Gi", "size: {lognormall: {median: 1Gi, p95: 2Gi}}"),
    ("p95 below the median", "size: 100Gi", "size: {lognormal: {median: 3Gi, p95: 2Gi}}"),
    ("uniform the wrong way round", "size: 100Gi", "size: {uniform: [3Gi, 2Gi]}"),
    ("a distribution without its parameter", "size: 100Gi", "size: {exponential: {}}"),
    ("a choice of nothing", "size: 100Gi", "size: {choice: []}"),
    ("an empirical file that is absent", "size: 100Gi", "size: {empirical: nowhere.csv}"),
    ("a duration without a unit", "workload:", "duration: 30\nworkload:"),
    ("a duration of zero", "workload:", "duration: 0s\nworkload:"),
    ("a negative duration", "workload:", "report: {stuckAfter: -5m}\nworkload:"),
    ("a manifest that is absent", "cluster:\n", "cluster:\n  manifests: [nowhere.yaml]\n"),
    ("a pattern without a match", "cluster:\n", "cluster:\n  manifests: ['*.nothing']\n"),
    ("a taint without effect", "count: 2,", "count: 2, taints: ['a=b:NoShedule'],"),
    ("reserved above capacity", "count: 2,", "count: 2, reserved: {cpu: 9},"),
    ("an unknown verb", "workload:", "timeline: [{at: 1d, nodeDwon: db-0}]\nworkload:"),
    ("two verbs", "workload:", "timeline: [{at: 1d, cordon: db-0, drain: db-0}]\nworkload:"),
    ("scale without replicas", "workload:", "timeline: [{at: 1d, scale: {statefulset: shop-0}}]\nworkload:"),
    ("an unknown trace format", "workload:\n", "workload:\n  trace: {format: opneb, files: [extra.yaml]}\n"),
    (
        "a share above 100 %",
        "workload:\n",
        "workload:\n  trace: {format: openb, files: [extra.yaml], claims: {share: 60, class: local, size: 1Gi}}\n",
    ),
    (
        "until outside of fill",
        "workload:\n",
        "workload:\n  trace: {format: openb, mode: clock, files: [extra.yaml], until: {cpu: 130%}}\n",
    ),
    (
        "an unset variable",
        "workload:\n",
        "workload:\n  trace: {format: openb, files: ['${STOWPLAN_SURELY_NOT_SET}/x.csv']}\n",
    ),
    ("an axis that is forbidden", "workload:", "sweep: {axes: [{path: name, values: [a]}]}\nworkload:"),
    ("an axis without values", "workload:", "sweep: {axes: [{path: seed}]}\nworkload:"),
    (
        "a range that never ends",
        "workload:",
        "sweep: {axes: [{path: seed, range: {from: 0, to: 1000000000000000000, step: 1}}]}\nworkload:",
    ),
    (
        "a range with two units",
        "workload:",
        "sweep: {axes: [{path: seed, range: {from: 1Gi, to: 10Ti}}]}\nworkload:",
    ),
    (
        "an unknown binding mode",
        "workload:",
        "variants: [{name: a, bindingMode: WaitForFirstCustomer}]\nworkload:",
    ),
    ("duplicate variants", "workload:", "variants: [{name: a}, {name: a}]\nworkload:"),
    ("a variant that touches the name", "workload:", "variants: [{name: a, set: {name: b}}]\nworkload:"),
    (
        "an unknown feature gate",
        "workload:",
        "scheduler: {featureGates: {StorageCapacityScorin: true}}\nworkload:",
    ),
    (
        "a shape that does not rise",
        "workload:",
        "scheduler: {volumeBindingShape: [{utilization: 5, score: 1}, {utilization: 5, score: 2}]}\nworkload:",
    ),
    ("no single class to take", "[{name: data, class: local, size", "[{name: data, size"),
    ("arrivals without end", "sets: 3,", "arrivals: {every: 1h},"),
    ("failures without end", "workload:", "failures: {node: {mtbf: 3y}}\nworkload:"),
    ("a duplicate key", "name: small\n", "name: small\nname: large\n"),
    ("a second document", "workload:", "---\nworkload:"),
];

#[test]
fn all_errors_are_reported_at_once() {
    let text = SMALL
        .replace("cpu: 8", "cpu: eight")
        .replace("sets: 3", "sets: -3")
        .replace("name: small", "name: a/b");
    let shown = errors(&text, &[]);
    assert_eq!(shown.matches("error[").count(), 3, "{shown}");
}

#[test]
fn files_of_values_are_read() {
    let dir = folder();
    let text = SMALL.replace("size: 100Gi", "size: {empirical: sizes.csv}");
    let loaded = ok(load_in(dir.path(), &text, &[]));
    let size = &loaded.scenario.workload.generate[0].claims[0].size;
    assert_eq!(*size, Distribution::Empirical([1 << 30, 2 << 30, 3 << 30].into()));
    fs::write(dir.path().join("sizes.csv"), "1Gi\nlarge\n").expect("a file");
    let error = load_in(dir.path(), &text, &[]).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("sizes.csv:2:1"), "{error}");
}

#[test]
fn the_digest_is_taken_over_the_meaning() {
    let canonical = |text: &str, sets: &[&str]| ok(load(text, sets)).canonical;
    let base = canonical(SMALL, &[]);
    assert_eq!(base, canonical(&SMALL.replace("version: 1", "# note\nversion: 1\ndescription: other"), &[]));
    assert_eq!(base, canonical(SMALL, &["cluster.nodes[db].count=2"]));
    assert_ne!(base, canonical(SMALL, &["cluster.nodes[db].count=3"]));
}

#[test]
fn unreadable_and_strange_files() {
    let dir = folder();
    let read = |name: &str| {
        let result = ScenarioFile::read(&dir.path().join(name), &LoadOptions::default());
        result.err().map(|e| (e.exit_code(), e.to_string())).unwrap_or_default()
    };
    fs::write(dir.path().join("latin.yaml"), b"version: 1\nname: gr\xf6n\n").expect("a file");
    fs::write(dir.path().join("empty.yaml"), "").expect("a file");
    for (name, want) in [
        ("latin.yaml", "latin.yaml:2:9"),
        ("empty.yaml", "the scenario is empty"),
        ("nowhere.yaml", "does not exist"),
        ("cluster", "is not a regular file"),
    ] {
        let (code, message) = read(name);
        assert!(code == 2 && message.contains(want), "{name}: {code} {message}");
    }
    let small = LoadOptions { limits: Limits { bytes: 10, ..Limits::scenario() }, ..LoadOptions::default() };
    fs::write(dir.path().join("long.yaml"), SMALL).expect("a file");
    let error = ScenarioFile::read(&dir.path().join("long.yaml"), &small).err().map(|e| e.to_string());
    assert!(error.unwrap_or_default().contains("more than the limit of 10"));
}

#[cfg(unix)]
#[test]
fn a_folder_that_contains_itself_is_refused() {
    let dir = folder();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("cluster/again")).expect("a link");
    let text = SMALL.replace("cluster:\n", "cluster:\n  manifests: [cluster/]\n");
    let error = load_in(dir.path(), &text, &[]).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("contains itself"), "{error}");
}

proptest::proptest! {
    /// Bytes of a good scenario changed at random: an answer, never a panic.
    #[test]
    fn no_damage_makes_it_panic(
        edits in proptest::collection::vec((0usize..1usize << 16, "[\\PC\\n]{0,6}", 0usize..12), 1..4),
        long in proptest::bool::ANY,
    ) {
        let mut text: Vec<char> = if long { EXAMPLE.chars().collect() } else { SMALL.chars().collect() };
        for (at, insert, remove) in edits {
            let at = at % text.len();
            let end = (at + remove).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let _ = load(&text.into_iter().collect::<String>(), &[]);
    }

    #[test]
    fn no_override_makes_it_panic(set in "[a-z.\\[\\]0-9=\\-{}:, ]{0,40}") {
        let _ = load(SMALL, &[&set]);
    }
}

#[test]
fn what_was_read_once_is_there_again() {
    for size in [0, 100, Kept::LARGE, Kept::LARGE + 1] {
        let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let kept = Kept::of(&bytes).expect("memory");
        assert_eq!(kept.packed, size > Kept::LARGE);
        assert!(!kept.packed || kept.bytes.len() < size / 10);
        assert!(kept.bytes().expect("memory") == bytes, "{size}");
    }
}
