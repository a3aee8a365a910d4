//! The fast path against the plain scan, decision by decision, on random clusters that change.

mod homes;
mod made;
mod own;
mod pairs;
mod related;
mod work;

use crate::control::pv::run_to_fixpoint;
use crate::engine::rng::{EntityKey, Streams, TieBreak};
use crate::engine::time::SimTime;
use crate::manifest::lower;
use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::scheduler::cycle::{Detail, Engine, Outcome, Request, Scheduler};
use crate::scheduler::profile::{NodesToScore, Profile, ProfileConfig};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Numbers from a seed: the shape of a random case.
pub(super) struct Draw(Streams, u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        self.0.index("case", EntityKey(self.1), n)
    }
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

pub(super) fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("object")
}

fn build(draw: &mut Draw, nodes: usize) -> Cluster {
    let mut cluster = Cluster::default();
    for (name, mode) in
        [("local", "WaitForFirstConsumer"), ("other", "WaitForFirstConsumer"), ("now", "Immediate")]
    {
        lower::add_class(
            &mut cluster,
            &object(json!({"metadata": {"name": name}, "provisioner": "kubernetes.io/no-provisioner",
                "volumeBindingMode": mode})),
        )
        .expect("class");
    }
    made::add_classes(&mut cluster);
    for n in 0..nodes {
        let name = format!("n{n}");
        let mut taints = vec![];
        if draw.below(8) == 0 {
            taints.push(
                json!({"key": "dedicated", "value": "db", "effect": draw.pick(&["NoSchedule", "NoExecute"])}),
            );
        }
        lower::add_node(
            &mut cluster,
            &object(json!({"metadata": {"name": name, "labels": related::labels(draw, &name)},
                "spec": {"taints": taints, "unschedulable": draw.below(15) == 0},
                "status": {"allocatable": {"cpu": draw.pick(&["2", "3900m", "8"]), "memory": draw.pick(&["4Gi", "15Gi"]),
                    "pods": draw.pick(&["3", "110"])}}})),
        )
        .expect("node");
        for v in 0..draw.below(5) {
            volume(&mut cluster, draw, &format!("pv-{n}-{v}"), &name);
        }
        made::add_node(&mut cluster, draw, &name);
    }
    cluster
}

fn volume(cluster: &mut Cluster, draw: &mut Draw, name: &str, node: &str) {
    let labels = if draw.below(3) == 0 { json!({"tier": "gold"}) } else { json!({}) };
    lower::add_volume(
        cluster,
        &object(json!({"metadata": {"name": name, "labels": labels},
            "spec": {"capacity": {"storage": draw.pick(&["10Gi", "20G", "20Gi", "100Gi"])}, "accessModes": ["ReadWriteOnce"],
                "storageClassName": draw.pick(&["local", "local", "local", "other", "now", "made"]), "local": {"path": "/d"},
                "volumeMode": draw.pick(&["Filesystem", "Filesystem", "Block"]),
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]}}},
            "status": {"phase": "Available"}})),
    )
    .expect("volume");
}

fn pod(cluster: &mut Cluster, draw: &mut Draw, name: &str) -> PodId {
    pod_that(cluster, draw, name, true)
}

/// `relates`: it may have constraints and terms about other pods.
fn pod_that(cluster: &mut Cluster, draw: &mut Draw, name: &str, relates: bool) -> PodId {
    // Two of three are like others, as replicas are: what is known about their kind is used again.
    let kind = if draw.below(3) > 0 { draw.below(4) as u64 } else { 100 + draw.1 };
    let draw = &mut Draw(draw.0.clone(), (kind + 1) << 32);
    let mut volumes = vec![];
    for c in 0..draw.below(3) {
        let claim = format!("{name}-c{c}");
        let mut spec = json!({"accessModes": ["ReadWriteOnce"], "volumeMode": draw.pick(&["Filesystem", "Filesystem", "Block"]),
            "storageClassName": draw.pick(made::CLASSES),
            "resources": {"requests": {"storage": draw.pick(&["5Gi", "10Gi", "20Gi", "50Gi"])}}});
        if draw.below(6) == 0 {
            spec["selector"] = json!({"matchLabels": {"tier": "gold"}});
        }
        let claim_object = json!({"metadata": {"name": claim, "namespace": "default"}, "spec": spec});
        lower::add_claim(cluster, &object(claim_object)).expect("claim");
        volumes.push(json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}}));
    }
    let mut spec = json!({"volumes": volumes, "containers": [{"name": "c", "resources": {"requests":
        {"cpu": draw.pick(&["100m", "500m", "1", "3"]), "memory": draw.pick(&["100Mi", "1Gi", "5Gi"])}}}]});
    match draw.below(12) {
        0 => spec["nodeSelector"] = json!({"disk": "ssd"}),
        1 => spec["tolerations"] = json!([{"key": "dedicated", "operator": "Exists"}]),
        2 => spec["priority"] = json!(10),
        3 => spec["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 80}]),
        _ => {}
    }
    let mut metadata = json!({"name": name, "namespace": "default"});
    if relates {
        related::relate(draw, &mut spec);
        metadata = related::metadata(draw, name);
    }
    let pod = json!({"metadata": metadata, "spec": spec});
    lower::add_pod(cluster, &object(pod)).expect("pod")
}

fn scheduler(engine: Engine, ties: &TieBreak, nodes_to_score: NodesToScore) -> Scheduler {
    scheduler_with(engine, ties, nodes_to_score, ProfileConfig::default())
}

fn scheduler_with(
    engine: Engine,
    ties: &TieBreak,
    nodes_to_score: NodesToScore,
    config: ProfileConfig,
) -> Scheduler {
    let config = ProfileConfig { nodes_to_score, ..config };
    let profile = Profile::new(&config).expect("profile");
    Scheduler::new(vec![profile], ties.clone()).with_engine(engine)
}

/// Finishes a binding in no time.
fn bind(cluster: &mut Cluster, scheduler: &Scheduler, outcome: &Outcome) {
    let Outcome::Reserved(binding) = outcome else { return };
    let mut task = binding.volumes.clone();
    while task.as_ref().is_some_and(|t| t.next_write().is_some()) {
        if let Some(task) = &mut task {
            task.write_next(cluster).expect("no conflict");
        }
    }
    made::provision(cluster);
    run_to_fixpoint(cluster, &mut Vec::new());
    scheduler.bind(cluster, binding);
}

/// Something else that happens between attempts.
fn disturb(cluster: &mut Cluster, draw: &mut Draw, pods: &mut Vec<PodId>, step: usize) {
    let nodes: Vec<_> = cluster.nodes().ids().collect();
    let node = nodes[draw.below(nodes.len())];
    match draw.below(9) {
        0 if !pods.is_empty() => {
            let gone = pods.swap_remove(draw.below(pods.len()));
            cluster.remove_pod(gone);
        }
        1 => cluster.set_node_unschedulable(node, draw.below(2) == 0),
        2 => {
            let name = cluster.names.text(cluster.node(node).name).to_owned();
            volume(cluster, draw, &format!("late-{step}"), &name);
        }
        3 => {
            let mut more = cluster.node(node).allocatable.clone();
            more.cpu_milli += 500;
            let pods = cluster.node(node).allocatable_pods;
            cluster.set_node_allocatable(node, more, pods);
        }
        4 if draw.below(4) == 0 => cluster.remove_node(node),
        5 if !pods.is_empty() => {
            // Pods that are being deleted do not count for spread constraints any more.
            let going = pods[draw.below(pods.len())];
            cluster.mark_pod_deleted(going);
        }
        6 => related::disturb(cluster, draw, node, step),
        7 => made::disturb(cluster, draw, node),
        _ => {}
    }
    run_to_fixpoint(cluster, &mut Vec::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn both_engines_make_the_same_decisions(seed in any::<u64>(), nodes in prop_oneof![3 => 1usize..70, 1 => 100usize..160]) {
        let sampled = [NodesToScore::All, NodesToScore::Percentage(0)][(seed / 3 % 2) as usize];
        let ties = if seed % 3 == 0 { TieBreak::First } else { TieBreak::Seeded(Streams::new(seed, 1)) };
        let mut draw = Draw(Streams::new(seed, 0), 0);
        let mut a = build(&mut draw, nodes);
        related::owners(&mut a);
        run_to_fixpoint(&mut a, &mut Vec::new());
        // Other arguments about other pods: then only pods that nobody concerns are the fast path's.
        let mut config = ProfileConfig::default();
        let (odd, relates) = (seed % 5 == 0, seed % 10 != 0);
        if odd {
            config.inter_pod_affinity.hard_pod_affinity_weight += 4;
        }
        let make = |engine| scheduler_with(engine, &ties, sampled, config.clone());
        let (mut fast, mut plain) = (make(Engine::Fast), make(Engine::Plain));
        // A cache too small for anything, or for some kinds of pods, changes no decision.
        let budget = [0, nodes * 40, usize::MAX, usize::MAX][draw.below(4)];
        fast = fast.with_cache_budget(budget);
        let (mut running, mut waiting): (Vec<PodId>, Vec<PodId>) = (Vec::new(), Vec::new());
        for step in 0..60 {
            waiting.push(pod_that(&mut a, &mut draw, &format!("p{step}"), relates));
            run_to_fixpoint(&mut a, &mut Vec::new());
            let tried = if draw.below(3) == 0 { waiting[draw.below(waiting.len())] } else { waiting[waiting.len() - 1] };
            let request = Request { pod: tried, now: SimTime::ZERO, attempt: step, detail: Detail::Brief };
            let mut b = a.clone();
            let by_fast = fast.attempt(&mut a, request).expect("profile");
            let by_plain = plain.attempt(&mut b, request).expect("profile");
            prop_assert_eq!(by_fast.message(&a.names), by_plain.message(&b.names));
            match (&by_fast.outcome, &by_plain.outcome) {
                (Outcome::Unschedulable(x), Outcome::Unschedulable(y)) => {
                    prop_assert_eq!(&x.nomination, &y.nomination);
                    // Only a failed pod waits for its rejectors' events.
                    let mut rejectors = (by_fast.rejectors.clone(), by_plain.rejectors.clone());
                    rejectors.0.sort_unstable();
                    rejectors.1.sort_unstable();
                    prop_assert_eq!(rejectors.0, rejectors.1);
                }
                (x, y) => prop_assert_eq!(x, y),
            }
            if matches!(by_fast.outcome, Outcome::Reserved(_)) {
                waiting.retain(|p| *p != tried);
                running.push(tried);
            }
            bind(&mut a, &fast, &by_fast.outcome);
            if let Outcome::Unschedulable(u) = &by_fast.outcome
                && let Some(nomination) = &u.nomination
            {
                for victim in &nomination.victims {
                    a.remove_pod(*victim);
                    running.retain(|p| p != victim);
                }
                if draw.below(3) > 0 {
                    a.set_nominated(tried, None);
                }
            }
            disturb(&mut a, &mut draw, &mut running, step as usize);
        }
        let work = fast.work();
        prop_assert_eq!(work.fast.decided + work.plain, 60);
    }
}

/// What a reservation touches: sums and pods of nodes, volumes and claims spoken for, the pod.
fn reserved_state(cluster: &Cluster, pod: PodId) -> String {
    let nodes: Vec<_> = cluster.nodes().iter().map(|(id, node)| (id, &node.info)).collect();
    let volumes: Vec<_> =
        cluster.volumes().iter().map(|(id, v)| (id, v.claim_ref, v.assumed_for, v.phase)).collect();
    let claims: Vec<_> =
        cluster.claims().iter().map(|(id, c)| (id, c.assumed_node, c.selected_node, c.volume_name)).collect();
    let row = cluster.pod(pod);
    format!("{nodes:?} {volumes:?} {claims:?} {:?} {:?} {:?}", row.assumed, row.node, cluster.nomination(pod))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn reserve_then_unreserve_is_the_identity(seed in any::<u64>(), nodes in 1usize..40) {
        let mut draw = Draw(Streams::new(seed, 0), 0);
        let mut cluster = build(&mut draw, nodes);
        run_to_fixpoint(&mut cluster, &mut Vec::new());
        let ties = TieBreak::Seeded(Streams::new(seed, 1));
        for engine in [Engine::Fast, Engine::Plain] {
            let mut scheduler = scheduler(engine, &ties, NodesToScore::All);
            for step in 0..12 {
                let pod = pod(&mut cluster, &mut draw, &format!("{engine:?}-{step}").to_lowercase());
                run_to_fixpoint(&mut cluster, &mut Vec::new());
                let before = reserved_state(&cluster, pod);
                let request = Request { pod, now: SimTime::ZERO, attempt: step, detail: Detail::Brief };
                let attempt = scheduler.attempt(&mut cluster, request).expect("profile");
                if let Outcome::Reserved(binding) = &attempt.outcome {
                    scheduler.unreserve(&mut cluster, binding);
                    prop_assert_eq!(reserved_state(&cluster, pod), before);
                }
                // Some are bound after all, so that the next ones meet a used cluster.
                if step % 2 == 0 {
                    let attempt = scheduler.attempt(&mut cluster, request).expect("profile");
                    bind(&mut cluster, &scheduler, &attempt.outcome);
                }
            }
        }
    }

    #[test]
    fn one_more_node_takes_none_from_the_feasible_ones(seed in any::<u64>(), nodes in 1usize..30) {
        let mut draw = Draw(Streams::new(seed, 0), 0);
        let mut cluster = build(&mut draw, nodes);
        run_to_fixpoint(&mut cluster, &mut Vec::new());
        let mut scheduler = scheduler(Engine::Plain, &TieBreak::First, NodesToScore::All);
        for step in 0..10 {
            let pod = pod(&mut cluster, &mut draw, &format!("p{step}"));
            run_to_fixpoint(&mut cluster, &mut Vec::new());
            let request = Request { pod, now: SimTime::ZERO, attempt: 0, detail: Detail::Full };
            let mut larger = cluster.clone();
            let labels = json!({"kubernetes.io/hostname": "more"});
            let allocatable = json!({"cpu": "64", "memory": "256Gi", "pods": "110"});
            let more = json!({"metadata": {"name": "more", "labels": labels}, "status": {"allocatable": allocatable}});
            lower::add_node(&mut larger, &object(more)).expect("a node");
            let feasible = |attempt: crate::scheduler::cycle::Attempt| attempt.diagnosis.expect("full").feasible;
            let before = feasible(scheduler.attempt(&mut cluster.clone(), request).expect("profile"));
            let after = feasible(scheduler.attempt(&mut larger, request).expect("profile"));
            prop_assert!(before.iter().all(|node| after.contains(node)), "{:?} {:?}", before, after);
            let attempt = scheduler.attempt(&mut cluster, request).expect("profile");
            bind(&mut cluster, &scheduler, &attempt.outcome);
        }
    }
}
