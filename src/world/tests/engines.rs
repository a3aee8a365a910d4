//! The fast engine against the plain one over whole runs: same observations, same attempts counted, same words at the end.

use super::{lower, plan, run};
use crate::engine::rng::{EntityKey, Streams};
use crate::manifest;
use crate::model::cluster::Cluster;
use crate::model::pod::PodPhase;
use crate::observe::digest::Digest;
use crate::scenario::{BindingMode, LoadOptions, ScenarioFile};
use crate::scheduler::cycle::Engine;
use crate::world::plan::Plan;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

/// Numbers from a seed: the shape of a random case.
struct Draw(Streams, u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        self.0.index("engines", EntityKey(self.1), n)
    }
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// A crowded cluster: more is wanted than fits, things come and go, some of it fails.
fn scenario(draw: &mut Draw) -> String {
    let control = draw.pick(&[
        "ideal",
        "ideal",
        "kubernetes",
        "{preset: ideal, backoff: {initial: 1s, max: 10s}}",
        "{preset: kubernetes, popFromBackoff: false}",
        "{preset: kubernetes, backoff: {initial: 1s, max: 2s}, unschedulableFlush: 1m}",
        "{preset: kubernetes, api: {conflict: 5%, fail: 1%}, kubelet: {start: 2s, stop: 1s}}",
    ]);
    let percentage = draw.pick(&["0", "100", "100", "60"]);
    let tie = draw.pick(&["seeded", "first"]);
    let mut text = format!(
        "version: 1\nname: random\nduration: 3h\ncontrolPlane: {control}\nscheduler: {{percentageOfNodesToScore: {percentage}, tieBreak: {tie}}}\n\
         cluster:\n  storageClasses:\n    - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}\n    - {{name: made, \
         provisioner: local.csi.openebs.io, volumeBindingMode: WaitForFirstConsumer}}\n  nodes:\n"
    );
    let makes = draw.below(3) == 0;
    let nodes = if draw.below(6) == 0 { 130 } else { 4 + draw.below(12) };
    for (group, share) in [("a", 2), ("b", 3)] {
        let split = draw.pick(&["{split: 2", "{sizes: [100Gi, 250Gi]", "{split: 4"]).replace('{', "");
        let wipe = draw.pick(&[
            "staticProvisioner: {wipe: 200MB/s}",
            "reclaim: Delete, staticProvisioner: {wipe: 2GB/s}",
            "staticProvisioner: false",
        ]);
        let taints = if draw.below(5) == 0 {
            draw.pick(&[
                ", taints: [\"dedicated=db:NoSchedule\"]",
                ", taints: [\"dedicated=db:PreferNoSchedule\"]",
            ])
        } else {
            ""
        };
        let room = if makes && draw.below(3) > 0 {
            ", {class: made, count: 1, size: 300Gi, lvm: {extent: 4Mi}}"
        } else {
            ""
        };
        text += &format!(
            "    - {{name: {group}, count: {}, cpu: {}, memory: 32Gi, zones: [x, y], labels: {{tier: {group}}}{taints}, \
             disks: [{{class: local, count: 1, size: 400Gi, {split}, {wipe}}}{room}]}}\n",
            nodes / share,
            draw.pick(&["4", "8", "16"])
        );
    }
    text += "workload:\n  generate:\n";
    for number in 0..2 + draw.below(4) {
        let kind = draw.pick(&["Pod", "Pod", "Pod", "StatefulSet", "Job", "Deployment"]);
        let claims = match (kind, draw.below(4)) {
            ("Deployment", _) | (_, 0) => String::new(),
            (_, 1) => ", claims: [{name: data, class: local, size: {choice: [{value: 20Gi, weight: 1}, {value: 90Gi, weight: 2}, {value: 150Gi, weight: 1}]}}]".into(),
            (_, 2) => ", claims: [{name: data, class: local, size: 50Gi}, {name: wal, class: local, size: 10Gi}]".into(),
            _ if makes => draw.pick(&[
                ", claims: [{name: data, class: made, size: {uniform: [10Gi, 240Gi]}}]",
                ", claims: [{name: data, class: made, size: 50Gi}]",
                ", claims: [{name: data, class: local, size: 50Gi}, {name: wal, class: made, size: 10Gi}]",
            ]).into(),
            _ => ", claims: [{name: data, class: local, size: {uniform: [10Gi, 240Gi]}}]".into(),
        };
        let owned = if kind == "StatefulSet" {
            format!(
                ", replicas: {}, podManagementPolicy: {}, antiAffinity: {}, claimRetention: {{whenDeleted: {}}}",
                1 + draw.below(4),
                draw.pick(&["OrderedReady", "Parallel"]),
                draw.pick(&["none", "none", "required", "preferred"]),
                draw.pick(&["Retain", "Delete"]),
            )
        } else if kind == "Deployment" {
            format!(", replicas: {}", 1 + draw.below(4))
        } else {
            String::new()
        };
        let owned = owned + draw.pick(&["", "", ", priority: 5", ", priority: 10"]);
        let lifetime = format!(", lifetime: {{exponential: {{mean: {}}}}}", draw.pick(&["10m", "40m", "5h"]));
        text += &format!(
            "    - {{name: g{number}, kind: {kind}, sets: {}, cpu: {}, memory: {}{claims}{owned}, \
             arrivals: {{every: {{exponential: {{mean: {}}}}}}}{lifetime}}}\n",
            10 + draw.below(60),
            draw.pick(&["200m", "1", "2500m", "7"]),
            draw.pick(&["1Gi", "6Gi"]),
            draw.pick(&["5s", "1m", "3m"]),
        );
    }
    if draw.below(3) == 0 {
        text += "failures:\n  node: {mtbf: 20h, repair: {exponential: {mean: 20m}}, permanent: 20%}\n";
    }
    if draw.below(2) == 0 {
        text += "timeline:\n  - {at: 20m, cordon: a-0}\n  - {at: 40m, uncordon: a-0}\n  - {at: 50m, setAllocatable: {node: b-0, cpu: 2}}\n";
        text += "  - {at: 65m, nodeDelete: b-0}\n  - {at: 70m, drain: a-0}\n";
    }
    if draw.below(3) == 0 {
        let policy = draw.pick(&["wait", "immediate", "{after: 10m}"]);
        text += &format!("recovery: {{policy: {policy}, rebuild: {}}}\n", draw.pick(&["backup", "peer"]));
    }
    text
}

/// Sets from manifests whose pods have constraints and terms of every kind.
fn related(draw: &mut Draw) -> Vec<Value> {
    let hosts = ["kubernetes.io/hostname", "kubernetes.io/hostname", "topology.kubernetes.io/zone", "tier"];
    let apps = ["a", "b", "c"];
    (0..draw.below(4))
        .map(|number| {
            let app = apps[draw.below(3)];
            let mut term = || {
                json!({"topologyKey": draw.pick(&hosts), "labelSelector": {"matchLabels": {"app": draw.pick(&apps)}}})
            };
            let (one, two, three) = (term(), term(), term());
            let mut affinity = json!({});
            let preferred = json!([{"weight": 1 + draw.below(100), "podAffinityTerm": one}]);
            affinity[draw.pick(&["podAffinity", "podAntiAffinity"])] =
                json!({"preferredDuringSchedulingIgnoredDuringExecution": preferred});
            if draw.below(3) == 0 {
                affinity[draw.pick(&["podAffinity", "podAntiAffinity", "podAntiAffinity"])] =
                    json!({"requiredDuringSchedulingIgnoredDuringExecution": [two]});
            }
            let mut spec = json!({"affinity": affinity, "priority": draw.below(3), "containers": [
                {"name": "c", "resources": {"requests": {"cpu": draw.pick(&["100m", "1"]), "memory": "1Gi"}}}]});
            if draw.below(2) == 0 {
                spec["topologySpreadConstraints"] = json!([{"maxSkew": 1 + draw.below(2), "topologyKey": three["topologyKey"],
                    "whenUnsatisfiable": draw.pick(&["DoNotSchedule", "ScheduleAnyway"]), "labelSelector": three["labelSelector"]}]);
            }
            match draw.below(6) {
                0 => spec["nodeSelector"] = json!({"tier": draw.pick(&["a", "b"])}),
                1 => spec["tolerations"] = json!([{"key": "dedicated", "operator": "Exists"}]),
                2 => {
                    let tier = json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a"]}]});
                    spec["affinity"]["nodeAffinity"] = json!({"preferredDuringSchedulingIgnoredDuringExecution":
                        [{"weight": 1 + draw.below(100), "preference": tier}]});
                }
                _ => {}
            }
            let mut set = json!({"metadata": {"name": format!("m{number}"), "namespace": "default"},
                "spec": {"replicas": 3 + draw.below(8), "serviceName": "s", "selector": {"matchLabels": {"app": app}},
                    "template": {"metadata": {"labels": {"app": app}}, "spec": spec}}});
            if draw.below(3) == 0 {
                set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                    "storageClassName": draw.pick(&["local", "made"]),
                    "resources": {"requests": {"storage": draw.pick(&["10Gi", "90Gi"])}}}}]);
            }
            set
        })
        .collect()
}

/// The plan of a scenario with sets of manifests.
fn plan_with(text: &str, mode: BindingMode, seed: u64, sets: &[Value]) -> Plan {
    let file = ScenarioFile::from_text("test.yaml", text.to_owned(), Path::new("."), &LoadOptions::default());
    let loaded = file.and_then(|file| file.resolve(&[])).unwrap_or_else(|e| panic!("{e:?}"));
    let workload = |cluster: &mut Cluster| {
        for set in sets {
            let set = serde_json::from_value(set.clone()).unwrap_or_else(|e| panic!("{e}"));
            manifest::lower::add_stateful_set(cluster, &set).unwrap_or_else(|e| panic!("{e}"));
        }
        Ok(())
    };
    let plan = lower::plan(&loaded.scenario, Some(mode), 0, |_: &mut Cluster| Ok(()), workload);
    Plan { seed, ..plan.unwrap_or_else(|e| panic!("{e}")) }
}

/// Everything that must not depend on the engine: digest, decisions, events, and attempts and message of each pod. And how many
/// decisions were counted without being made.
fn outcome(plan: &Plan, engine: Engine) -> ((String, u64, u64, Vec<(String, u32, Option<String>)>), u64) {
    let plan = Plan { engine, paranoid: false, ..plan.clone() };
    let mut digest = Digest::default();
    let end = run(&plan, &mut digest).unwrap_or_else(|e| panic!("{e}"));
    let pods = end.cluster.pods().ids();
    let pods = pods.map(|pod| (end.cluster.pod_key(pod), end.attempts(pod), end.message(pod).map(|m| m.0)));
    ((digest.finish(end.at), end.decisions, end.events, pods.collect()), end.counted)
}

/// Two pods sleep that lack a volume, as if they asked for the same: no volume of a size between their requests was ever seen free. When
/// one comes, the older pod still fails, and the younger one must be asked.
#[test]
fn a_new_capacity_parts_those_who_slept_alike() {
    let text = "
version: 1
name: parted
duration: 1h
controlPlane: ideal
cluster:
  storageClasses:
    - {name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: s, count: 1, cpu: 8, memory: 32Gi, disks: [{class: local, count: 1, size: 100Gi, split: whole, reclaim: Delete, staticProvisioner: {wipe: 1s}}]}
    - {name: l, count: 1, cpu: 8, memory: 32Gi, disks: [{class: local, count: 1, size: 200Gi, split: whole}]}
    - {name: gone, count: 1, cpu: 1, memory: 1Gi}
workload:
  generate:
    - {name: first, kind: Pod, sets: 1, cpu: 1, memory: 1Gi, claims: [{name: data, class: local, size: 90Gi}], lifetime: 30m,
       claimRetention: {whenDeleted: Delete}}
    - {name: stay, kind: Pod, sets: 1, cpu: 1, memory: 1Gi, claims: [{name: data, class: local, size: 180Gi}]}
    - {name: more, kind: Pod, sets: 2, cpu: 1, memory: 1Gi, claims: [{name: data, class: local, size: 150Gi}], arrivals: {every: 12m}}
    - {name: less, kind: Pod, sets: 1, cpu: 1, memory: 1Gi, claims: [{name: data, class: local, size: 20Gi}], arrivals: {every: 14m}}
timeline:
  - {at: 10m, nodeDelete: gone-0}
";
    let plan = plan(text, BindingMode::WaitForFirstConsumer, 3);
    let ((fast, counted), (plain, _)) = (outcome(&plan, Engine::Fast), outcome(&plan, Engine::Plain));
    assert_eq!(fast, plain);
    assert!(counted > 0, "nobody slept");
    let waits = |name: &str| fast.3.iter().any(|(pod, _, message)| pod.contains(name) && message.is_some());
    assert_eq!((waits("more"), waits("less")), (true, false), "{:?}", fast.3);
}

/// A run that ends in the instant in which something wakes sleeping pods: the attempts that were counted at them are not lost.
#[test]
fn who_is_woken_by_the_last_event_is_counted() {
    let text = "
version: 1
name: last
duration: 30m
controlPlane: ideal
cluster:
  storageClasses:
    - {name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: n, count: 4, cpu: 8, memory: 32Gi, disks: [{class: local, count: 1, size: 400Gi, split: 4}]}
workload:
  generate:
    - {name: stuck, kind: Pod, sets: 5, cpu: 1, memory: 1Gi, claims: [{name: data, class: local, size: 900Gi}]}
    - {name: other, kind: Pod, sets: 20, cpu: 1, memory: 1Gi, claims: [{name: data, class: local, size: 10Gi}],
       claimRetention: {whenDeleted: Delete}, arrivals: {every: 1m}, lifetime: 5m}
timeline:
  - {at: 30m, setAllocatable: {node: n-0, cpu: 2}}
";
    for mode in [BindingMode::Immediate, BindingMode::WaitForFirstConsumer] {
        let plan = plan(text, mode, 3);
        let ((fast, counted), (plain, _)) = (outcome(&plan, Engine::Fast), outcome(&plan, Engine::Plain));
        assert_eq!(fast, plain, "{mode:?}");
        assert!(counted > 0, "{mode:?}: nobody slept");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn whole_runs_do_not_depend_on_the_engine(seed in any::<u64>()) {
        let mut draw = Draw(Streams::new(seed, 0), 0);
        let text = scenario(&mut draw);
        let mode = [BindingMode::Immediate, BindingMode::WaitForFirstConsumer][draw.below(2)];
        let sets = related(&mut draw);
        let plan = plan_with(&text, mode, seed, &sets);
        let ((fast, _), (plain, counted)) = (outcome(&plan, Engine::Fast), outcome(&plan, Engine::Plain));
        prop_assert_eq!(counted, 0);
        let differ = fast.3.iter().zip(&plain.3).find(|(a, b)| a != b);
        prop_assert!(differ.is_none(), "{differ:?} of {seed} {mode:?}\n{text}\n{sets:?}");
        prop_assert_eq!((&fast.0, fast.1, fast.2), (&plain.0, plain.1, plain.2), "{} {:?}\n{}", seed, mode, text);
    }
}

/// Forty pods want more CPU than there is where the volumes are, and find no volume on the one node that has it: VolumeBinding
/// rejects them too, so they are retried at every change of a volume, which is every time that one of the others comes or goes.
#[test]
fn stuck_pods_are_counted_not_tried() {
    let text = "
version: 1
name: backlog
duration: 12h
controlPlane: ideal
cluster:
  storageClasses:
    - {name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
    - {name: slow, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: n, count: 5, cpu: 8, memory: 32Gi, disks: [
        {class: local, count: 1, size: 400Gi, split: 4, staticProvisioner: {wipe: 2GB/s}}, {class: slow, count: 1, size: 400Gi, split: 8}]}
    - {name: large, count: 1, cpu: 64, memory: 32Gi}
workload:
  generate:
    - {name: stuck, kind: Pod, sets: 40, cpu: 9, memory: 100Mi, claims: [{name: data, class: slow, size: 10Gi}]}
    - {name: other, kind: Pod, sets: 200, cpu: 1, memory: 1Gi, claims: [{name: data, class: local, size: 10Gi}],
       claimRetention: {whenDeleted: Delete}, arrivals: {every: {exponential: {mean: 3m}}}, lifetime: {exponential: {mean: 30m}}}
";
    for mode in [BindingMode::Immediate, BindingMode::WaitForFirstConsumer] {
        let plan = plan(text, mode, 3);
        let ((fast, counted), (plain, _)) = (outcome(&plan, Engine::Fast), outcome(&plan, Engine::Plain));
        assert_eq!(fast, plain, "{mode:?}");
        // Each of the 200 others binds a volume, and most of them release it: all forty come up again, at least once each time.
        assert!(fast.1 > 40 * 200, "{mode:?}: {} decisions", fast.1);
        let made = fast.1 - counted;
        assert!(made < 2000, "{mode:?}: {made} of {} decisions were made", fast.1);
    }
}

/// What a decision costs does not grow with the cluster: work per decision on 40 and on 320 nodes, by counting it.
#[test]
fn work_per_decision_does_not_grow_with_the_cluster() {
    const TEMPLATES: u64 = 5;
    for nodes in [40u64, 320] {
        let mut text = format!(
            "version: 1\nname: fill\ncontrolPlane: ideal\nscheduler: {{percentageOfNodesToScore: 100}}\ncluster:\n  storageClasses:\n    \
             - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}\n  nodes:\n    \
             - {{name: n, count: {nodes}, cpu: 32, memory: 64Gi, disks: [{{class: local, count: 1, size: 1000Gi, split: 10}}]}}\n\
             workload:\n  generate:\n"
        );
        for t in 0..TEMPLATES {
            let (sets, size) = (nodes * 10 / TEMPLATES, 10 * (t + 1));
            text += &format!(
                "    - {{name: t{t}, kind: Pod, sets: {sets}, cpu: 1, memory: {}Gi, claims: [{{name: data, class: local, size: {size}Gi}}]}}\n",
                t + 1
            );
        }
        let plan = Plan { paranoid: false, ..plan(&text, BindingMode::WaitForFirstConsumer, 1) };
        let end = run(&plan, ()).unwrap_or_else(|e| panic!("{e}"));
        let work = end.scheduler.work();
        assert_eq!((end.decisions, work.fast.decided, work.plain), (nodes * 10, nodes * 10, 0));
        // Every class looks at every node once; afterwards at those that a binding touched since, one to three per decision.
        let computed = work.fast.native - TEMPLATES * nodes;
        assert!(computed <= end.decisions * 3 * TEMPLATES, "{nodes} nodes: {computed} nodes computed");
        // The chosen node is asked for real, by every filter; a class is made once.
        assert!(work.evaluations <= end.decisions * 20, "{nodes} nodes: {} evaluations", work.evaluations);
        // A touched node's ten volumes are looked at, a few times per binding.
        assert!(work.volumes <= nodes * 10 + end.decisions * 60, "{nodes} nodes: {} volumes", work.volumes);
    }
}

/// Pods of sets, with the system's spread constraints and anti-affinity of either kind, are decided by the fast path, and what a decision
/// costs does not grow with the cluster.
#[test]
fn related_pods_are_decided_without_the_plain_scan() {
    for nodes in [150u64, 600] {
        let sets = nodes / 2;
        let mut text = format!(
            "version: 1\nname: sets\ncontrolPlane: ideal\nscheduler: {{percentageOfNodesToScore: 100}}\ncluster:\n  storageClasses:\n    \
             - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}\n  nodes:\n    \
             - {{name: n, count: {nodes}, cpu: 32, memory: 64Gi, zones: [x, y, z], disks: [{{class: local, count: 1, size: 1000Gi, split: 10}}]}}\n\
             workload:\n  generate:\n"
        );
        for (name, kind) in [("r", "required"), ("p", "preferred"), ("n", "none")] {
            text += &format!(
                "    - {{name: {name}, kind: StatefulSet, sets: {sets}, replicas: 4, podManagementPolicy: Parallel, antiAffinity: {kind}, \
                 cpu: 1, memory: 1Gi, claims: [{{name: data, class: local, size: 10Gi}}]}}\n"
            );
        }
        let plan = Plan { paranoid: false, ..plan(&text, BindingMode::WaitForFirstConsumer, 1) };
        let end = run(&plan, ()).unwrap_or_else(|e| panic!("{e}"));
        let work = end.scheduler.work();
        let pods = sets * 4 * 3;
        assert_eq!((end.decisions, work.fast.decided, work.plain), (pods, pods, 0));
        // All three templates ask nodes for the same, so they share one kind of pod.
        assert!(work.fast.native <= nodes + pods * 3, "{nodes} nodes: {} nodes computed", work.fast.native);
        assert!(work.evaluations <= pods * 20, "{nodes} nodes: {} evaluations", work.evaluations);
    }
}

/// The same where volumes are made on the node: what is published of a node's room concerns that node only. Those for whom there is no room
/// are counted.
#[test]
fn pods_whose_volumes_are_made_are_decided_without_the_plain_scan() {
    for nodes in [30u64, 240] {
        let (fits, stuck) = (nodes * 4, 50);
        let text = format!(
            "version: 1\nname: made\ncontrolPlane: ideal\nduration: 1h\nscheduler: {{percentageOfNodesToScore: 100}}\ncluster:\n  \
             storageClasses:\n    - {{name: local, provisioner: local.csi.openebs.io, volumeBindingMode: WaitForFirstConsumer}}\n  \
             nodes:\n    - {{name: n, count: {nodes}, cpu: 32, memory: 64Gi, disks: [{{class: local, count: 1, size: 100Gi, \
             lvm: {{extent: 4Mi}}}}]}}\nworkload:\n  generate:\n    - {{name: p, kind: Pod, sets: {}, cpu: 1, memory: 1Gi, \
             claims: [{{name: data, class: local, size: 25Gi}}], arrivals: {{every: 1ms}}}}\n    - {{name: s, kind: Pod, sets: 20, cpu: 1, \
             memory: 1Gi, claims: [{{name: data, class: local, size: 30Gi}}], arrivals: {{every: 1m}}}}\n",
            fits + stuck
        );
        let plan = Plan { paranoid: false, ..plan(&text, BindingMode::WaitForFirstConsumer, 1) };
        let end = run(&plan, ()).unwrap_or_else(|e| panic!("{e}"));
        let work = end.scheduler.work();
        let running =
            end.cluster.pods().iter().filter(|(_, pod)| pod.phase == PodPhase::Running).count() as u64;
        assert!((nodes * 3..=fits).contains(&running), "{running} of {fits} run");
        assert_eq!(work.plain, 0);
        assert!(work.evaluations <= end.decisions * 20, "{nodes} nodes: {} evaluations", work.evaluations);
        assert!(
            work.fast.native <= 10 * nodes + end.decisions * 6,
            "{nodes}: {} nodes computed",
            work.fast.native
        );
    }
}
