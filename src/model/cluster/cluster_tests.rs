//! Indexes and counters follow the objects. Caches rest on them: a change that is not counted is a wrong decision later.

use super::*;
use crate::conformance::replay::load_object;
use crate::model::fixture::Fixture;
use crate::model::ids::Uid;
use crate::model::quantity::Quantity;
use crate::model::workload::Job;
use crate::scheduler::testing::{cluster, node, pod, running};
use serde_json::json;

fn find(cluster: &Cluster, name: &str) -> PodId {
    let name = cluster.names.get_name(name).expect("name");
    cluster.pod_by_name(sym::DEFAULT, name).expect("a pod")
}

#[test]
fn every_new_object_counts_up_what_decisions_rest_on() {
    let objects = [
        (json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}), true),
        (
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"}, "spec": {"selector": {"a": "b"}}}),
            true,
        ),
        (
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "default"},
                   "spec": {"selector": {}, "minAvailable": 1}, "status": {"disruptionsAllowed": 1, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}}),
            true,
        ),
        (
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": "n"}, "spec": {"drivers": []}}),
            true,
        ),
        (
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "d"}, "spec": {}}),
            true,
        ),
        (
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "c"},
                   "provisioner": "d", "volumeBindingMode": "Immediate"}),
            true,
        ),
        (
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity", "metadata": {"name": "k", "namespace": "default"},
                   "storageClassName": "c", "capacity": "1Gi"}),
            false,
        ),
    ];
    let mut cluster = Cluster::default();
    for (object, is_config) in &objects {
        // A second time it replaces the first, which is as much a change.
        for round in 0..2 {
            let before = (cluster.generation(), cluster.config_generation());
            load_object(&mut cluster, object, 0).expect("a good object");
            assert!(cluster.generation() > before.0, "{} {round}", object["kind"]);
            assert_eq!(cluster.config_generation() > before.1, *is_config, "{} {round}", object["kind"]);
        }
    }
    assert_eq!((cluster.csi_nodes(), cluster.csi_drivers().count(), cluster.classes().count()), (1, 1, 1));
    assert_eq!((cluster.budgets().len(), cluster.capacities().all().len()), (1, 1), "by name");
    let before = cluster.generation();
    cluster.set_disruptions_allowed(7, 3);
    assert_eq!(cluster.generation(), before, "there is no such budget");
    cluster.set_disruptions_allowed(0, 3);
    assert_eq!((cluster.generation() > before, cluster.budgets()[0].disruptions_allowed), (true, 3));
    // What was asked and put back is known again, and what comes then is not mistaken for what was in between.
    let (old, mut seen) = (cluster.config_generation(), Vec::new());
    for _ in 0..2 {
        load_object(&mut cluster, &objects[0].0, 0).expect("a good object");
        seen.push(cluster.config_generation());
        cluster.config_restored(old);
        assert_eq!(cluster.config_generation(), old);
    }
    assert!(old < seen[0] && seen[0] < seen[1]);
}

#[test]
fn every_change_of_a_node_touches_it_and_changes_of_nothing_do_not() {
    let mut fixture = Fixture::new();
    let (n, other) = (fixture.node("n", &[]), fixture.node("o", &[]));
    let hdd = fixture.node("model", &[("disk", "hdd")]);
    let labels = fixture.cluster.node(hdd).labels;
    let mut cluster = fixture.cluster;
    let room = Resources { cpu_milli: 4000, ..Resources::default() };
    let taint =
        Taint { key: sym::RACK, value: sym::EMPTY, effect: crate::model::spec::TaintEffect::NoSchedule };
    let (room, taint) = (&room, &taint);
    type Step<'a> = Box<dyn Fn(&mut Cluster) + 'a>;
    let steps: Vec<(&str, Step<'_>, NodeDelta, bool)> = vec![
        ("labels", Box::new(move |c| c.set_node_labels(n, labels)), NodeDelta::Labels, true),
        ("taints", Box::new(move |c| c.set_node_taints(n, vec![*taint])), NodeDelta::Taints, false),
        ("cordon", Box::new(move |c| c.set_node_unschedulable(n, true)), NodeDelta::Taints, false),
        ("ready", Box::new(move |c| c.set_node_ready(n, false)), NodeDelta::Condition, false),
        (
            "room",
            Box::new(move |c| c.set_node_allocatable(n, room.clone(), 110)),
            NodeDelta::Allocatable,
            false,
        ),
        (
            "pods",
            Box::new(move |c| c.set_node_allocatable(n, room.clone(), 9)),
            NodeDelta::Allocatable,
            false,
        ),
    ];
    for (what, step, delta, is_config) in steps {
        let (position, generation, config) =
            (cluster.touch_position(), cluster.generation(), cluster.config_generation());
        cluster.take_changes(&mut Vec::new());
        step(&mut cluster);
        assert!(cluster.changes().iter().eq([Change::NodeUpdated(n, delta)]), "{what}");
        assert_eq!(cluster.touched_since(position), Some(&[n][..]), "{what}");
        assert!(
            cluster.generation() > generation && cluster.node(n).generation == cluster.generation(),
            "{what}"
        );
        assert!(cluster.node(other).generation <= generation, "{what}");
        assert_eq!(cluster.config_generation() > config, is_config, "{what}");
        // Once more: it is so already.
        let generation = cluster.generation();
        step(&mut cluster);
        assert_eq!((cluster.generation(), cluster.changes().iter().count()), (generation, 1), "{what} again");
    }
}

#[test]
fn nodes_come_go_and_come_back() {
    let image = json!({"status": {"images": [{"names": ["i"], "sizeBytes": 5}]}});
    let mut cluster = cluster(&[node("a", image), node("b", json!({}))]);
    let of =
        |cluster: &Cluster, name: &str| cluster.names.get(name).and_then(|name| cluster.node_by_name(name));
    let a = of(&cluster, "a").expect("a");
    let host = cluster.names.get("a").expect("a");
    assert_eq!(
        (cluster.node_count(), cluster.has_images(), cluster.nodes_of_host(host)),
        (2, true, &[a][..])
    );
    let row = cluster.node(a).clone();
    assert_eq!(cluster.add_node(row.clone()), Err(AlreadyExists));
    let config = cluster.config_generation();
    cluster.remove_node(a);
    assert_eq!((cluster.node_count(), cluster.has_images(), of(&cluster, "a")), (1, false, None));
    assert!(cluster.nodes_of_host(host).is_empty() && cluster.config_generation() > config);
    cluster.take_changes(&mut Vec::new());
    cluster.remove_node(a);
    assert_eq!((cluster.node_count(), cluster.changes().iter().count()), (1, 0), "it is gone already");
    assert_eq!(cluster.node_or_ghost(row.name), a);
    assert_eq!(cluster.add_node(row), Ok(a));
    assert_eq!(
        (cluster.node_count(), cluster.has_images(), cluster.nodes_of_host(host)),
        (2, true, &[a][..])
    );
    let ghost = cluster.names.intern("never-seen");
    let ghost_id = cluster.node_or_ghost(ghost);
    assert_eq!((cluster.node_or_ghost(ghost), cluster.node_by_name(ghost)), (ghost_id, None));
    assert_eq!(cluster.node_count(), 2, "a ghost is no node");
    // Another label moves it to another host.
    let labels = LabelSet::new(vec![(sym::HOSTNAME, ghost)]);
    let labels = cluster.intern_labels(labels);
    cluster.set_node_labels(a, labels);
    assert!(cluster.nodes_of_host(host).is_empty());
    assert_eq!(cluster.nodes_of_host(ghost), [a]);
}

fn terms(kind: &str, strength: &str) -> serde_json::Value {
    let term = json!({"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": "zone"});
    let term =
        if strength.starts_with("preferred") { json!({"weight": 1, "podAffinityTerm": term}) } else { term };
    json!({"spec": {"affinity": {kind: {format!("{strength}DuringSchedulingIgnoredDuringExecution"): [term]}}}})
}

#[test]
fn pods_are_counted_where_they_are_placed() {
    let mut objects = vec![node("a", json!({})), node("b", json!({}))];
    objects.push(pod("near", terms("podAffinity", "preferred")));
    objects.push(pod("apart", terms("podAntiAffinity", "required")));
    objects.push(pod("low", json!({"spec": {"priority": -3}})));
    objects.push(pod("high", json!({"spec": {"priority": 7}})));
    let mut cluster = cluster(&objects);
    let [a, b] =
        ["a", "b"].map(|n| cluster.names.get(n).and_then(|n| cluster.node_by_name(n)).expect("a node"));
    let [near, apart, low, high] = ["near", "apart", "low", "high"].map(|name| find(&cluster, name));
    let sees =
        |c: &Cluster| (c.has_pod_affinity(), c.has_required_anti_affinity(), c.lowest_placed_priority());
    assert_eq!(sees(&cluster), (false, false, None), "nobody is placed");

    cluster.assume_pod(high, a);
    assert_eq!(sees(&cluster), (false, false, Some(7)));
    cluster.assume_pod(near, a);
    assert_eq!(sees(&cluster), (true, false, Some(0)));
    cluster.bind_pod(apart, b);
    assert_eq!(sees(&cluster), (true, true, Some(0)));
    cluster.bind_pod(low, b);
    assert_eq!(sees(&cluster), (true, true, Some(-3)));
    assert_eq!(cluster.node(a).info.pods, [high, near]);
    assert_eq!(cluster.node(b).info.pods, [apart, low]);

    // Bound where it was assumed, it is not counted twice; bound elsewhere, it moves.
    cluster.bind_pod(high, a);
    assert_eq!(cluster.node(a).info.pods, [high, near]);
    cluster.bind_pod(near, b);
    assert_eq!(
        (&cluster.node(a).info.pods[..], &cluster.node(b).info.pods[..]),
        (&[high][..], &[apart, low, near][..])
    );
    cluster.forget_pod(high);
    assert_eq!(cluster.node(a).info.pods, [high], "what is bound is not only assumed");

    cluster.set_pod_status(low, PodPhase::Running, true);
    assert_eq!(sees(&cluster), (true, true, Some(-3)));
    cluster.set_pod_status(low, PodPhase::Succeeded, false);
    assert_eq!(sees(&cluster), (true, true, Some(0)));
    assert_eq!(cluster.node(b).info.pods, [apart, near]);
    cluster.set_pod_status(low, PodPhase::Failed, false);
    cluster.remove_pod(low);
    assert_eq!(cluster.node(b).info.pods, [apart, near], "it has ended before");
    cluster.remove_pod(apart);
    assert_eq!(sees(&cluster), (true, false, Some(0)));
    cluster.remove_pod(near);
    assert_eq!(sees(&cluster), (false, false, Some(7)));
    cluster.remove_pod(high);
    assert_eq!(sees(&cluster), (false, false, None));
    assert_eq!(cluster.check_invariants(&Default::default()), Ok(Exemptions::default()));
}

#[test]
fn the_log_of_placements_says_who_came_and_went() {
    let mut cluster =
        cluster(&[node("a", json!({})), node("b", json!({})), pod("p", json!({})), pod("q", json!({}))]);
    let [a, b] =
        ["a", "b"].map(|n| cluster.names.get(n).and_then(|n| cluster.node_by_name(n)).expect("a node"));
    let (p, q) = (find(&cluster, "p"), find(&cluster, "q"));
    let since = |cluster: &Cluster, position: u64| -> Vec<(NodeId, i8, i8)> {
        let rows = cluster.placements_since(position).expect("not that old");
        rows.iter().map(|row| (row.node, row.pods, row.living)).collect()
    };
    let start = cluster.placement_position();
    cluster.assume_pod(p, a);
    cluster.bind_pod(p, b);
    assert_eq!(since(&cluster, start), [(a, 1, 1), (a, -1, -1), (b, 1, 1)]);
    let start = cluster.placement_position();
    let generation = cluster.generation();
    cluster.mark_pod_deleted(p);
    assert_eq!(since(&cluster, start), [(b, 0, -1)]);
    assert!(cluster.generation() > generation);
    // It does not begin to terminate again.
    cluster.take_changes(&mut Vec::new());
    cluster.mark_pod_deleted(p);
    assert!(cluster.changes().is_empty());
    cluster.remove_pod(p);
    assert_eq!(since(&cluster, start), [(b, 0, -1), (b, -1, 0)]);
    // Who is placed nowhere, or has ended, leaves no node when it is deleted.
    let start = cluster.placement_position();
    cluster.mark_pod_deleted(q);
    assert_eq!(since(&cluster, start), []);
    cluster.bind_pod(q, a);
    assert_eq!(since(&cluster, start), [(a, 1, 0)], "it does not live");
    assert_eq!(cluster.placements_since(cluster.placement_position() + 1), None);
}

#[test]
fn ended_pods_that_come_do_not_count() {
    let done = json!({"status": {"phase": "Succeeded"}});
    let mut cluster =
        cluster(&[node("a", json!({})), running("done", "a", 1, done), running("runs", "a", 1, json!({}))]);
    let a = cluster.names.get("a").and_then(|n| cluster.node_by_name(n)).expect("a");
    let (done, runs) = (find(&cluster, "done"), find(&cluster, "runs"));
    assert_eq!(cluster.node(a).info.pods, [runs]);
    let position = cluster.placement_position();
    cluster.mark_pod_deleted(done);
    cluster.remove_pod(done);
    assert_eq!(cluster.placements_since(position).map(<[Placement]>::len), Some(0));
}

#[test]
fn nominations_are_listed_by_node() {
    let mut cluster =
        cluster(&[node("a", json!({})), node("b", json!({})), pod("p", json!({})), pod("q", json!({}))]);
    let [a, b] =
        ["a", "b"].map(|n| cluster.names.get(n).and_then(|n| cluster.node_by_name(n)).expect("a node"));
    let (p, q) = (find(&cluster, "p"), find(&cluster, "q"));
    let generation = cluster.generation();
    cluster.take_changes(&mut Vec::new());
    cluster.set_nominated(p, None);
    assert!(
        !cluster.has_nominated_pods() && cluster.changes().is_empty() && cluster.generation() == generation
    );
    cluster.set_nominated(p, Some(a));
    cluster.set_nominated(q, Some(a));
    assert!(cluster.has_nominated_pods() && cluster.generation() > generation);
    assert_eq!((cluster.nominated_pods(a), cluster.nominated_pods(b)), (&[p, q][..], &[][..]));
    cluster.set_nominated(p, Some(b));
    assert_eq!((cluster.nominated_pods(a), cluster.nominated_pods(b)), (&[q][..], &[p][..]));
    cluster.set_nominated(p, None);
    cluster.remove_pod(q);
    assert!(!cluster.has_nominated_pods() && cluster.nominated_pods(a).is_empty());
}

#[test]
fn who_mentions_a_claim() {
    let uses = |claim: &str| json!({"spec": {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": claim}}]}});
    let mut cluster = cluster(&[pod("p", uses("c")), pod("q", uses("c")), pod("r", uses("d"))]);
    let [p, q, r] = ["p", "q", "r"].map(|name| find(&cluster, name));
    let (c, d) = (cluster.names.name("c"), cluster.names.name("d"));
    assert_eq!(
        (cluster.claim_users(sym::DEFAULT, c), cluster.claim_users(sym::DEFAULT, d)),
        (&[p, q][..], &[r][..])
    );
    assert!(cluster.claim_users(sym::RACK, c).is_empty(), "another namespace");
    let row = cluster.pod(p).clone();
    assert_eq!(cluster.add_pod(row), Err(AlreadyExists));
    cluster.remove_pod(p);
    cluster.remove_pod(r);
    assert_eq!(
        (cluster.claim_users(sym::DEFAULT, c), cluster.claim_users(sym::DEFAULT, d)),
        (&[q][..], &[][..])
    );
    assert_eq!(cluster.pod_by_name(sym::DEFAULT, cluster.names.get_name("p").expect("p")), None);
}

#[test]
fn every_change_of_a_claim_or_volume_counts_up() {
    let mut fixture = Fixture::new();
    let n = fixture.node("n", &[]);
    let (wide, pinned) =
        (fixture.volume("wide 1Gi RWO Available"), fixture.volume("pinned 1Gi RWO host=n Available"));
    let claim = fixture.claim("c1 1Gi RWO");
    let mut cluster = fixture.cluster;
    let name = cluster.names.intern("n");
    assert_eq!((cluster.wide_volumes(), cluster.pinned_volumes(name)), (&[wide][..], &[pinned][..]));
    let state = |c: &Cluster| {
        (
            c.generation(),
            c.wide_generation(),
            c.volume_version(pinned),
            c.volume_version(wide),
            c.claim_version(claim),
        )
    };

    let (before, position) = (state(&cluster), cluster.touch_position());
    cluster.update_volume(pinned, |volume| volume.phase = VolumePhase::Released);
    let after = state(&cluster);
    assert!(after.0 > before.0 && after.1 == before.1 && after.2 > before.2 && after.3 == before.3);
    assert_eq!(cluster.touched_since(position), Some(&[n][..]));

    let (before, position) = (state(&cluster), cluster.touch_position());
    cluster.update_volume(wide, |volume| volume.phase = VolumePhase::Released);
    let after = state(&cluster);
    assert!(after.0 > before.0 && after.1 > before.1 && after.2 == before.2 && after.3 > before.3);
    assert_eq!(cluster.touched_since(position), Some(&[][..]));

    // What the scheduler only assumes is no new version, and ends with the next.
    let before = state(&cluster);
    cluster.assume_volume(wide, Some(Uid::new(5)));
    cluster.assume_claim_node(claim, Some(name));
    let after = state(&cluster);
    assert!(after.0 >= before.0 + 2 && (after.2, after.3, after.4) == (before.2, before.3, before.4));
    assert_eq!(
        (cluster.volume(wide).assumed_for, cluster.claim(claim).assumed_node),
        (Some(Uid::new(5)), Some(name))
    );
    cluster.update_volume(wide, |_| {});
    cluster.update_claim(claim, |_| {});
    assert_eq!((cluster.volume(wide).assumed_for, cluster.claim(claim).assumed_node), (None, None));
    let last = state(&cluster);
    assert!(last.0 >= after.0 + 2 && last.3 > after.3 && last.4 > after.4);

    let row = cluster.volume(wide).clone();
    assert_eq!(cluster.add_volume(row), Err(AlreadyExists));
    let row = cluster.claim(claim).clone();
    assert_eq!(cluster.add_claim(row), Err(AlreadyExists));
    let before = state(&cluster).0;
    cluster.remove_claim(claim);
    assert!(cluster.generation() > before);
    cluster.remove_volume(wide);
    cluster.remove_volume(pinned);
    assert!(cluster.wide_volumes().is_empty() && cluster.pinned_volumes(name).is_empty());
    cluster.take_changes(&mut Vec::new());
    cluster.remove_volume(wide);
    cluster.remove_claim(claim);
    assert!(cluster.changes().is_empty(), "they are gone already");
}

#[test]
fn claims_grow_only_where_their_class_allows_it() {
    let gi = |text: &str| Quantity::parse(text).expect("a quantity");
    let grow = |phase: &str, allowed: bool, to: &str| {
        let mut fixture = Fixture::new();
        fixture.change_class("imm", |class| class.allow_expansion = allowed);
        let id = fixture.claim(&format!("c1 2Gi RWO {phase}"));
        let grown = fixture.cluster.expand_claim(id, gi(to));
        let asks = fixture.cluster.claim_spec_of(id).request;
        assert_eq!(asks, if grown { gi(to) } else { gi("2Gi") });
        grown
    };
    assert!(grow("Bound", true, "3Gi"));
    assert!(!grow("Bound", true, "2Gi") && !grow("Bound", true, "1Gi"), "not smaller, and not the same");
    assert!(!grow("Bound", false, "3Gi") && !grow("Pending", true, "3Gi"));
}

#[test]
fn pods_on_a_node_that_is_not_there_yet_are_counted_when_it_comes() {
    let mut cluster = cluster(&[node("model", json!({})), running("p", "late", 1, json!({}))]);
    let late = cluster.names.intern("late");
    let ghost = cluster.node_or_ghost(late);
    let p = find(&cluster, "p");
    assert_eq!((cluster.node(ghost).info.pods.clone(), cluster.node(ghost).exists), (vec![p], false));
    let model = cluster.names.get("model").and_then(|name| cluster.node_by_name(name)).expect("a node");
    let row = Node { name: late, info: Default::default(), ..cluster.node(model).clone() };
    assert_eq!(cluster.add_node(row), Ok(ghost));
    assert_eq!((cluster.node(ghost).info.pods.clone(), cluster.node(ghost).exists), (vec![p], true));
    assert_eq!(cluster.check_invariants(&Default::default()), Ok(Exemptions::default()));
}

#[test]
fn sets_of_access_modes_are_in_order_of_size_and_name() {
    let mut fixture = Fixture::new();
    let sets = |fixture: &Fixture| -> Vec<String> {
        fixture.cluster.volume_index().mode_sets().into_iter().map(AccessModes::canonical).collect()
    };
    assert_eq!(sets(&fixture), [""; 0]);
    fixture.volume("a 1Gi RWO,RWX Available");
    fixture.volume("b 1Gi RWOP Available");
    fixture.volume("c 1Gi RWO Available");
    let (first, second) = (fixture.volume("d 1Gi ROX Available"), fixture.volume("e 1Gi ROX Available"));
    assert_eq!(sets(&fixture), ["ROX", "RWO", "RWOP", "RWO,RWX"]);
    fixture.cluster.remove_volume(first);
    assert_eq!(sets(&fixture).len(), 4, "one is left");
    fixture.cluster.remove_volume(second);
    assert_eq!(sets(&fixture), ["RWO", "RWOP", "RWO,RWX"]);
}

#[test]
fn specs_and_priority_classes_are_found() {
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 7});
    let more = json!({"spec": {"priority": 3}});
    let cluster = cluster(&[class, pod("a", json!({})), pod("b", json!({})), pod("c", more)]);
    let high = cluster.names.get("high").expect("a name");
    assert_eq!(cluster.priority_class(high).map(|class| class.value), Some(7));
    assert!(cluster.priority_class(sym::DEFAULT).is_none());
    let mut priorities: Vec<i32> = cluster.specs().iter().map(|(_, spec)| spec.priority).collect();
    priorities.sort_unstable();
    assert_eq!(priorities, [0, 3], "equal specs are one");
    let spec = |name| cluster.pod(find(&cluster, name)).spec;
    assert_eq!(cluster.specs()[spec("c")].priority, 3);
}

#[test]
fn jobs_are_found_by_name() {
    let mut cluster = cluster(&[pod("model", json!({}))]);
    let (spec, name) = (cluster.pod(find(&cluster, "model")).spec, cluster.names.name("j"));
    let job = Job {
        uid: Uid::new(5),
        namespace: sym::DEFAULT,
        name,
        completions: 3,
        parallelism: 2,
        spec,
        duration: None,
        succeeded: 0,
        next_pod: 0,
        exists: true,
    };
    let id = cluster.add_job(job);
    assert_eq!(cluster.job_by_name(sym::DEFAULT, name), Some(id));
    assert_eq!(cluster.job_by_name(sym::DEFAULT_SCHEDULER, name), None, "another namespace");
}
