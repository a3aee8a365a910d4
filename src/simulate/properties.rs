//! Properties of whole runs, on random scenarios. A counterexample is shrunk and written as a scenario file that can be run.

use super::*;
use crate::results::tables::Text;
use crate::scenario::recorded::Recorded;
use crate::scenario::{LoadOptions, ScenarioFile};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One node.
#[derive(Clone, Debug)]
struct RandomNode {
    cpu: u32,
    memory_gib: u32,
    /// Sizes of its disks in GiB, and into how many volumes each is split.
    disks: Vec<(u32, u32)>,
}

/// A generator of sets.
#[derive(Clone, Debug)]
struct RandomSets {
    stateful: bool,
    sets: u32,
    replicas: u32,
    cpu_milli: u32,
    memory_gib: u32,
    /// Sizes of the claims in GiB.
    claims: Vec<u32>,
    parallel: bool,
    anti_affinity: bool,
}

/// What somebody does, at a minute.
#[derive(Clone, Debug)]
enum RandomAction {
    Cordon(usize),
    Uncordon(usize),
    Down(usize),
    Up(usize),
    Drain(usize),
    Scale(usize, u32),
    DeletePod(usize, u32),
}

/// A scenario.
#[derive(Clone, Debug)]
struct Random {
    nodes: Vec<RandomNode>,
    generators: Vec<RandomSets>,
    actions: Vec<(u32, RandomAction)>,
    ideal: bool,
    first: bool,
    seed: u32,
}

fn node() -> impl Strategy<Value = RandomNode> {
    let disks = prop::collection::vec((10u32..200, 1u32..4), 0..3);
    (1u32..17, 1u32..65, disks).prop_map(|(cpu, memory_gib, disks)| RandomNode { cpu, memory_gib, disks })
}

fn sets() -> impl Strategy<Value = RandomSets> {
    let claims = prop::collection::vec(1u32..120, 0..3);
    let numbers = (1u32..4, 1u32..5, 100u32..6000, 1u32..20);
    (any::<bool>(), numbers, claims, any::<bool>(), prop::bool::weighted(0.3)).prop_map(
        |(stateful, (sets, replicas, cpu_milli, memory_gib), claims, parallel, anti_affinity)| RandomSets {
            stateful,
            sets,
            replicas,
            cpu_milli,
            memory_gib,
            claims,
            parallel,
            anti_affinity,
        },
    )
}

fn action() -> impl Strategy<Value = RandomAction> {
    prop_oneof![
        (0usize..8).prop_map(RandomAction::Cordon),
        (0usize..8).prop_map(RandomAction::Uncordon),
        (0usize..8).prop_map(RandomAction::Down),
        (0usize..8).prop_map(RandomAction::Up),
        (0usize..8).prop_map(RandomAction::Drain),
        ((0usize..4), (0u32..6)).prop_map(|(set, replicas)| RandomAction::Scale(set, replicas)),
        ((0usize..4), (0u32..3)).prop_map(|(set, ordinal)| RandomAction::DeletePod(set, ordinal)),
    ]
}

fn random(actions: usize) -> impl Strategy<Value = Random> {
    (
        prop::collection::vec(node(), 1..8),
        prop::collection::vec(sets(), 1..4),
        prop::collection::vec((1u32..240, action()), 0..=actions),
        any::<bool>(),
        any::<bool>(),
        any::<u32>(),
    )
        .prop_map(|(nodes, generators, actions, ideal, first, seed)| Random {
            nodes,
            generators,
            actions,
            ideal,
            first,
            seed,
        })
}

impl Random {
    /// The scenario as a file would hold it.
    fn yaml(&self) -> String {
        let mut text = format!(
            "version: 1\nname: property\nseed: {}\nduration: 8h\ncontrolPlane: {}\nscheduler: {{tieBreak: {}}}\ncluster:\n  \
             storageClasses: [{{name: local, provisioner: kubernetes.io/no-provisioner}}]\n  nodes:\n",
            self.seed,
            if self.ideal { "ideal" } else { "kubernetes" },
            if self.first { "first" } else { "seeded" },
        );
        for (n, node) in self.nodes.iter().enumerate() {
            let disks = node
                .disks
                .iter()
                .map(|(size, split)| format!("{{class: local, count: 1, size: {size}Gi, split: {split}}}"));
            let disks: Vec<String> = disks.collect();
            let _ = writeln!(
                text,
                "    - {{name: n{n}, count: 1, cpu: {}, memory: {}Gi, disks: [{}]}}",
                node.cpu,
                node.memory_gib,
                disks.join(", ")
            );
        }
        text.push_str("workload:\n  generate:\n");
        for (g, sets) in self.generators.iter().enumerate() {
            let claims = sets.claims.iter().enumerate();
            let claims: Vec<String> =
                claims.map(|(c, size)| format!("{{name: c{c}, class: local, size: {size}Gi}}")).collect();
            let management = if sets.parallel { "Parallel" } else { "OrderedReady" };
            let (kind, management) = match sets.stateful {
                true => ("StatefulSet", format!(", podManagementPolicy: {management}")),
                false => ("Pod", String::new()),
            };
            let _ = writeln!(
                text,
                "    - {{name: g{g}, kind: {kind}, sets: {}, replicas: {}, cpu: {}m, memory: {}Gi, claims: [{}]{management}, antiAffinity: {}}}",
                sets.sets,
                sets.replicas,
                sets.cpu_milli,
                sets.memory_gib,
                claims.join(", "),
                if sets.anti_affinity { "required" } else { "none" },
            );
        }
        let actions: Vec<String> =
            self.actions.iter().filter_map(|(at, action)| self.action(*at, action)).collect();
        if !actions.is_empty() {
            let _ = writeln!(text, "timeline:\n{}", actions.join("\n"));
        }
        text
    }
    /// Its nodes and their volumes as Kubernetes objects.
    fn objects(&self) -> Vec<String> {
        let mut objects = Vec::new();
        for (n, node) in self.nodes.iter().enumerate() {
            objects.push(format!(
                "{{apiVersion: v1, kind: Node, metadata: {{name: n{n}, labels: {{kubernetes.io/hostname: n{n}}}}}, \
                 status: {{allocatable: {{cpu: {}, memory: {}Gi, pods: 110}}}}}}",
                node.cpu, node.memory_gib
            ));
            for (d, (size, split)) in node.disks.iter().enumerate() {
                objects.extend((0..*split).map(|part| {
                    format!(
                        "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: n{n}-d{d}-p{part}}}, spec: {{capacity: {{storage: {}Mi}}, \
                         accessModes: [ReadWriteOnce], storageClassName: local, local: {{path: /mnt/d{d}p{part}}}, \
                         persistentVolumeReclaimPolicy: Retain, nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: \
                         [{{key: kubernetes.io/hostname, operator: In, values: [n{n}]}}]}}]}}}}}}}}",
                        size * 1024 / split
                    )
                }));
            }
        }
        objects
    }
    /// An entry of the timeline; nothing for an action on what is not there.
    fn action(&self, at: u32, action: &RandomAction) -> Option<String> {
        let node = |n: usize| format!("n{}-0", n % self.nodes.len());
        let verb = match action {
            RandomAction::Cordon(n) => format!("cordon: {}", node(*n)),
            RandomAction::Uncordon(n) => format!("uncordon: {}", node(*n)),
            RandomAction::Down(n) => format!("nodeDown: {}", node(*n)),
            RandomAction::Up(n) => format!("nodeUp: {}", node(*n)),
            RandomAction::Drain(n) => format!("drain: {}", node(*n)),
            RandomAction::Scale(g, replicas) => {
                self.generators.get(*g).filter(|sets| sets.stateful)?;
                format!("scale: {{statefulset: default/g{g}-0, replicas: {replicas}}}")
            }
            RandomAction::DeletePod(g, ordinal) => {
                self.generators.get(*g).filter(|sets| *ordinal < sets.replicas)?;
                format!("deletePod: {{name: default/g{g}-0-{ordinal}}}")
            }
        };
        Some(format!("  - {{at: {at}m, {verb}}}"))
    }
}

/// Runs a scenario's text.
fn simulate(text: &str, mode: BindingMode, options: Options) -> Result<VariantOutput, String> {
    simulate_with(text, "", mode, options)
}

/// The same with the objects of a file that the scenario calls `objects.yaml`.
fn simulate_with(
    text: &str,
    objects: &str,
    mode: BindingMode,
    options: Options,
) -> Result<VariantOutput, String> {
    let name = "objects.yaml".to_owned();
    let recorded = Recorded {
        texts: [(name.clone(), Arc::from(objects))].into(),
        reads: [(name.clone(), vec![name.into()])].into(),
    };
    let files = LoadOptions { recorded: Some(Arc::new(recorded)), ..LoadOptions::default() };
    let file = ScenarioFile::from_text("property.yaml", text.to_owned(), Path::new("."), &files);
    let loaded = file.and_then(|f| f.resolve(&[])).map_err(|e| e.to_string())?;
    let prepared = prepare(&loaded, Some(mode), options).map_err(|e| e.to_string())?;
    run(&prepared.plan, "test", prepared.sample, options).map_err(|e| e.to_string())
}

/// Holds a property to a scenario. If it fails, the scenario is left as a file: the last one written is the smallest.
fn hold(
    name: &str,
    scenario: &Random,
    property: impl Fn(&str) -> Result<(), String>,
) -> Result<(), TestCaseError> {
    let text = scenario.yaml();
    property(&text).map_err(|why| {
        let path: PathBuf = std::env::temp_dir().join(format!("stowplan-property-{name}.yaml"));
        let written = std::fs::write(&path, &text);
        let hint = written
            .map_or_else(|e| e.to_string(), |()| format!("stowplan run {} --paranoid", path.display()));
        TestCaseError::fail(format!("{why}\n{hint}\n{text}"))
    })
}

fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

const MODES: [BindingMode; 2] = [BindingMode::Immediate, BindingMode::WaitForFirstConsumer];

/// What must hold at the end of every run, from the rows of its tables.
fn consistent(output: &VariantOutput) -> Result<(), String> {
    let mut per_node: BTreeMap<&str, (i64, i64, u64)> = BTreeMap::new();
    for pod in output.pods.iter().filter(|p| !p.node.is_empty() && p.deleted_seconds.is_none()) {
        let sums = per_node.entry(&pod.node).or_default();
        *sums = (sums.0 + pod.cpu_milli, sums.1 + pod.memory_bytes, sums.2 + 1);
    }
    for node in output.nodes.iter().filter(|n| n.exists) {
        let (cpu, memory, pods) = per_node.get(node.name.as_str()).copied().unwrap_or_default();
        if (cpu, memory, pods) != (node.cpu_requested_milli, node.memory_requested_bytes, node.pods) {
            return Err(format!(
                "{}: pods ask for {cpu} {memory} ({pods}), the node says {node:?}",
                node.name
            ));
        }
        if cpu > node.cpu_allocatable_milli || memory > node.memory_allocatable_bytes {
            return Err(format!("{} holds more than it has", node.name));
        }
    }
    let volumes: BTreeMap<&str, _> = output.volumes.iter().map(|v| (v.name.as_str(), v)).collect();
    let claims: BTreeMap<&str, _> =
        output.claims.iter().filter(|c| c.phase == "Bound").map(|c| (c.name.as_str(), c)).collect();
    for claim in claims.values() {
        let volume = volumes.get(claim.volume.as_str());
        if !volume.is_some_and(|v| {
            v.claim.ends_with(claim.name.as_str()) && v.capacity_bytes >= claim.request_bytes
        }) {
            return Err(format!("claim {} and its volume {:?} do not belong together", claim.name, volume));
        }
    }
    for pod in output.pods.iter().filter(|p| !p.node.is_empty() && p.deleted_seconds.is_none()) {
        for name in pod.claims.split_whitespace() {
            let node = claims.get(name).and_then(|c| volumes.get(c.volume.as_str())).map(|v| v.node.as_str());
            if node != Some(pod.node.as_str()) {
                return Err(format!(
                    "{} runs on {}, its volume for {name} is on {node:?}",
                    pod.name, pod.node
                ));
            }
        }
    }
    let storage = &output.summary.storage;
    let parts = storage.requested_bytes
        + storage.over_size_bytes
        + storage.released_bytes
        + storage.free_bytes
        + storage.unreachable_bytes;
    if parts != storage.capacity_bytes {
        return Err(format!("bytes are lost: {storage:?}"));
    }
    let p = &output.summary.pods;
    if p.created != p.running + p.pending + p.terminating + p.completed + p.failed + p.deleted {
        return Err(format!("pods are lost: {p:?}"));
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(24))]

    /// Bytes and resources are conserved, pointers agree, nobody runs where its volume is not; the invariants of the model hold after
    /// every event.
    #[test]
    fn nothing_is_lost(scenario in random(6)) {
        hold("nothing-is-lost", &scenario, |text| {
            for mode in MODES {
                consistent(&simulate(text, mode, Options { paranoid: true, ..Options::default() })?)?;
            }
            Ok(())
        })?;
    }

    /// Both engines make the same run.
    #[test]
    fn both_engines_make_the_same_run(scenario in random(6)) {
        hold("engines", &scenario, |text| {
            for mode in MODES {
                let fast = simulate(text, mode, Options::default())?.summary;
                let plain = simulate(text, mode, Options { plain: true, ..Options::default() })?.summary;
                if (&fast.digest, fast.events, fast.decisions) != (&plain.digest, plain.events, plain.decisions) {
                    return Err(format!("{} {} {} against {} {} {}", fast.digest, fast.events, fast.decisions, plain.digest, plain.events, plain.decisions));
                }
            }
            Ok(())
        })?;
    }

    /// Without API failures, pre-bound volumes and volumeName, a pod that was never scheduled has no bound claim under
    /// WaitForFirstConsumer.
    #[test]
    fn who_waits_for_a_node_holds_no_volume(scenario in random(0)) {
        hold("no-volume-without-node", &scenario, |text| {
            let output = simulate(text, BindingMode::WaitForFirstConsumer, Options::default())?;
            let bound: Vec<&str> = output.claims.iter().filter(|c| c.phase == "Bound").map(|c| c.name.as_str()).collect();
            for pod in output.pods.iter().filter(|p| p.scheduled_seconds.is_none()) {
                if let Some(claim) = pod.claims.split_whitespace().find(|claim| bound.contains(claim)) {
                    return Err(format!("{} was never scheduled and holds {claim}", pod.name));
                }
            }
            Ok(())
        })?;
    }

    /// The order of nodes in the input does not matter where ties go to the first name. With latencies it does: the PV controller looks at
    /// objects of one instant in the order in which they came.
    #[test]
    fn the_order_of_the_input_does_not_matter(scenario in random(0), turn in 0usize..8) {
        let scenario = Random { first: true, ideal: true, ..scenario };
        hold("order", &scenario, |text| {
            let marker = "    - {name: n";
            let (before, rest) = text.split_once("  nodes:\n").ok_or("nodes")?;
            let (nodes, after) = rest.split_once("workload:\n").ok_or("workload")?;
            let mut lines: Vec<&str> = nodes.lines().filter(|l| l.starts_with(marker)).collect();
            lines.reverse();
            let turn = turn % lines.len();
            lines.rotate_left(turn);
            let turned = format!("{before}  nodes:\n{}\nworkload:\n{after}", lines.join("\n"));
            for mode in MODES {
                let placed = |text: &str| -> Result<Vec<(Text, Text, bool)>, String> {
                    let output = simulate(text, mode, Options::default())?;
                    let mut rows: Vec<_> = output.pods.iter().map(|p| (p.name.clone(), p.node.clone(), p.stuck)).collect();
                    rows.extend(output.claims.iter().map(|c| (c.name.clone(), c.volume.clone(), false)));
                    rows.sort();
                    Ok(rows)
                };
                let (a, b) = (placed(text)?, placed(&turned)?);
                if let Some((x, y)) = a.iter().zip(&b).find(|(x, y)| x != y) {
                    return Err(format!("{x:?} against {y:?} when the nodes are written in another order"));
                }
            }
            Ok(())
        })?;
    }

    /// Nor does the order of Kubernetes objects, nodes and volumes among each other.
    #[test]
    fn the_order_of_objects_does_not_matter(scenario in random(0), order in any::<u64>()) {
        let scenario = Random { first: true, ideal: true, ..scenario };
        let objects = scenario.objects();
        let mut other: Vec<(u64, &String)> =
            objects.iter().enumerate().map(|(i, o)| ((i as u64 + 1).wrapping_mul(order | 1).rotate_left(23), o)).collect();
        other.sort();
        let other: Vec<&str> = other.into_iter().map(|(_, o)| o.as_str()).collect();
        hold("objects-order", &scenario, |text| {
            let (head, rest) = text.split_once("  nodes:\n").ok_or("nodes")?;
            let (_, workload) = rest.split_once("workload:\n").ok_or("workload")?;
            let text = format!("{head}  manifests: [objects.yaml]\nworkload:\n{workload}");
            for mode in MODES {
                let placed = |objects: &str| -> Result<Vec<(Text, Text, bool)>, String> {
                    let output = simulate_with(&text, objects, mode, Options::default())?;
                    let mut rows: Vec<_> = output.pods.iter().map(|p| (p.name.clone(), p.node.clone(), p.stuck)).collect();
                    rows.extend(output.claims.iter().map(|c| (c.name.clone(), c.volume.clone(), false)));
                    rows.sort();
                    Ok(rows)
                };
                let (a, b) = (placed(&objects.join("\n---\n"))?, placed(&other.join("\n---\n"))?);
                if let Some((x, y)) = a.iter().zip(&b).find(|(x, y)| x != y) {
                    return Err(format!("{x:?} against {y:?} when the objects are written as\n{}", other.join("\n---\n")));
                }
            }
            Ok(())
        })?;
    }

    /// New names in the same order change nothing where ties go to the first name.
    #[test]
    fn names_do_not_matter_but_for_their_order(scenario in random(6)) {
        let scenario = Random { first: true, ideal: true, ..scenario };
        hold("names", &scenario, |text| {
            let mut renamed = text.to_owned();
            // What carries a node's or a set's name: their groups, and what somebody does to them.
            for (old, new) in [("name: n", "name: node"), (": n", ": node"), ("name: g", "name: set"), ("default/g", "default/set")] {
                let marks: Vec<(String, String)> =
                    (0..10).map(|i| (format!("{old}{i}"), format!("{new}{i}"))).collect();
                for (a, b) in marks {
                    renamed = renamed.replace(&a, &b);
                }
            }
            for mode in MODES {
                let placed = |text: &str, back: bool| -> Result<Vec<(String, String, bool)>, String> {
                    let old = |name: &str| match back {
                        true => name.replace("node", "n").replace("set", "g"),
                        false => name.to_owned(),
                    };
                    let output = simulate(text, mode, Options::default())?;
                    let mut rows: Vec<_> = output.pods.iter().map(|p| (old(&p.name), old(&p.node), p.stuck)).collect();
                    rows.extend(output.claims.iter().map(|c| (old(&c.name), old(&c.volume), false)));
                    rows.sort();
                    Ok(rows)
                };
                let (a, b) = (placed(text, false)?, placed(&renamed, true)?);
                if a != b {
                    let first = a.iter().zip(&b).find(|(x, y)| x != y);
                    return Err(format!("{first:?} under other names\n{renamed}"));
                }
            }
            Ok(())
        })?;
    }

    /// The fluid limit: identical pods fill every node to what its scarcest resource allows.
    #[test]
    fn identical_pods_fill_nodes_to_the_closed_form(
        nodes in prop::collection::vec((1u32..17, 1u32..65, 0u32..9), 1..8),
        (cpu, memory, pods) in (200u32..4000, 1u32..9, 1u32..120),
        claims in any::<bool>(),
        seed in any::<u32>(),
    ) {
        let node = |&(cpu, memory_gib, split): &(u32, u32, u32)| RandomNode {
            cpu,
            memory_gib,
            disks: if split == 0 { Vec::new() } else { vec![(split * 10, split)] },
        };
        let sets = RandomSets {
            stateful: false, sets: 1, replicas: pods, cpu_milli: cpu, memory_gib: memory,
            claims: if claims { vec![10] } else { Vec::new() }, parallel: true, anti_affinity: false,
        };
        let scenario = Random { nodes: nodes.iter().map(node).collect(), generators: vec![sets], actions: Vec::new(), ideal: true, first: false, seed };
        let room: u32 = nodes.iter().map(|(c, m, volumes)| {
            let fit = (c * 1000 / cpu).min(m / memory).min(110);
            if claims { fit.min(*volumes) } else { fit }
        }).sum();
        hold("fluid-limit", &scenario, |text| {
            let output = simulate(text, BindingMode::WaitForFirstConsumer, Options::default())?;
            let want = u64::from(room.min(pods));
            if output.summary.pods.running != want {
                return Err(format!("{} pods run, there is room for {want}", output.summary.pods.running));
            }
            Ok(())
        })?;
    }

    /// Bin packing: where somebody without claims is stuck for want of room, every node is filled beyond its size less that pod's.
    #[test]
    fn who_is_stuck_fits_nowhere(scenario in random(0)) {
        let mut scenario = Random { ideal: true, ..scenario };
        scenario.generators.iter_mut().for_each(|g| {
            g.claims.clear();
            g.anti_affinity = false;
        });
        hold("bin-packing", &scenario, |text| {
            let output = simulate(text, BindingMode::WaitForFirstConsumer, Options::default())?;
            for pod in output.pods.iter().filter(|p| p.stuck && p.stuck_cause == "unschedulable") {
                let room = output.nodes.iter().find(|n| {
                    n.cpu_allocatable_milli - n.cpu_requested_milli >= pod.cpu_milli
                        && n.memory_allocatable_bytes - n.memory_requested_bytes >= pod.memory_bytes
                        && n.pods < n.pods_allocatable
                });
                if let Some(node) = room {
                    return Err(format!("{} is stuck although {} has room", pod.name, node.name));
                }
            }
            Ok(())
        })?;
    }
}

/// M/M/c: Poisson arrivals of jobs of exponential length on c slots. The mean number that wait is Erlang's; 6,000 arrivals in
/// all are allowed 20 %.
#[test]
fn jobs_queue_as_erlang_says() {
    let (slots, load) = (4u32, 2.8f64);
    let below: f64 = (0..slots).map(|k| load.powi(k as i32) / (1..=k).map(f64::from).product::<f64>()).sum();
    let at = load.powi(slots as i32)
        / (1..=slots).map(f64::from).product::<f64>()
        / (1.0 - load / f64::from(slots));
    let waits = at / (below + at);
    let queue = waits * load / (f64::from(slots) - load);
    let mut found = 0.0;
    for seed in 1..=3 {
        let text = format!(
            "version: 1\nname: mmc\nseed: {seed}\nduration: 34h\ncontrolPlane: ideal\ncluster: {{nodes: [{{name: n, count: 1, cpu: {slots}, memory: 64Gi}}]}}\n\
             workload: {{generate: [{{name: j, kind: Job, sets: 2040, replicas: 1, cpu: 1, memory: 1Gi, \
             arrivals: {{every: {{exponential: {{mean: 60s}}}}}}, lifetime: {{exponential: {{mean: 168s}}}}}}]}}\n"
        );
        let output = simulate(&text, BindingMode::WaitForFirstConsumer, Options::default()).expect("a run");
        found += output.summary.pods.unschedulable_average / 3.0;
    }
    assert!((found / queue - 1.0).abs() < 0.2, "{found:.3} wait on average, Erlang says {queue:.3}");
}
