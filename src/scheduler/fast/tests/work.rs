//! Which pods the fast path takes, at how many nodes it looks for them, and when a failure is known to hold.

use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use crate::manifest::lower;
use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId};
use crate::model::names::sym;
use crate::scheduler::cycle::{Attempt, Detail, Engine, Outcome, Request, Scheduler, Work};
use crate::scheduler::dormant::{Doze, Oracle};
use crate::scheduler::profile::{NodesToScore, Profile, ProfileConfig};
use crate::scheduler::testing::{cluster, node, pod, requests, running, with};
use serde_json::{Value, json};

/// A cluster and both engines.
pub(super) struct Bench {
    pub cluster: Cluster,
    fast: Scheduler,
    plain: Scheduler,
    attempts: u64,
}

impl Bench {
    pub fn new(objects: &[Value]) -> Bench {
        Bench::of(objects, NodesToScore::All)
    }
    pub fn of(objects: &[Value], nodes_to_score: NodesToScore) -> Bench {
        let config = ProfileConfig { nodes_to_score, ..ProfileConfig::default() };
        Bench::with_profile(objects, &|| Profile::new(&config).expect("profile"))
    }
    pub fn with_profile(objects: &[Value], profile: &dyn Fn() -> Profile) -> Bench {
        let scheduler = |engine| Scheduler::new(vec![profile()], TieBreak::First).with_engine(engine);
        let (fast, plain) = (scheduler(Engine::Fast), scheduler(Engine::Plain));
        Bench { cluster: cluster(objects), fast, plain, attempts: 0 }
    }
    pub fn pod(&self, name: &str) -> PodId {
        let name = self.cluster.names.get_name(name).expect("name");
        self.cluster.pod_by_name(sym::DEFAULT, name).expect("a pod")
    }
    pub fn node(&self, name: &str) -> NodeId {
        self.cluster.node_by_name(self.cluster.names.get(name).expect("name")).expect("a node")
    }
    /// What both engines say about a pod: the same.
    pub fn attempt(&mut self, name: &str) -> Attempt {
        let pod = self.pod(name);
        self.attempts += 1;
        let request = Request { pod, now: SimTime::ZERO, attempt: self.attempts, detail: Detail::Brief };
        let mut copy = self.cluster.clone();
        let fast = self.fast.attempt(&mut self.cluster, request).expect("a profile");
        let plain = self.plain.attempt(&mut copy, request).expect("a profile");
        let names = &self.cluster.names;
        assert_eq!(fast.message(names), plain.message(&copy.names), "{name}");
        match (&fast.outcome, &plain.outcome) {
            (Outcome::Unschedulable(a), Outcome::Unschedulable(b)) => {
                assert_eq!(a.nomination, b.nomination, "{name}");
                let sorted = |mut list: Vec<&'static str>| {
                    list.sort_unstable();
                    list
                };
                assert_eq!(sorted(fast.rejectors.clone()), sorted(plain.rejectors.clone()), "{name}");
            }
            (a, b) => assert_eq!(a, b, "{name}"),
        }
        fast
    }
    /// What the attempt cost: work of the fast engine.
    pub fn cost(&mut self, name: &str) -> (Attempt, Work) {
        let before = self.fast.work();
        let attempt = self.attempt(name);
        let after = self.fast.work();
        let mut work = after;
        work.fast.decided -= before.fast.decided;
        work.fast.remembered -= before.fast.remembered;
        work.fast.native -= before.fast.native;
        work.fast.generic -= before.fast.generic;
        work.fast.cached -= before.fast.cached;
        work.plain -= before.plain;
        work.evaluations -= before.evaluations;
        work.volumes -= before.volumes;
        (attempt, work)
    }
    pub fn take_doze(&mut self) -> Option<Doze> {
        self.fast.take_doze()
    }
    pub fn still_fails(&mut self, doze: &Doze) -> bool {
        self.fast.still_fails(&self.cluster, &doze.condition, &doze.known).is_some()
    }
    pub fn add_pod(&mut self, pod: Value) {
        lower::add_pod(&mut self.cluster, &object(pod)).expect("a pod");
    }
    /// Gives back what was reserved.
    pub fn give_back(&mut self, attempt: &Attempt) {
        let Outcome::Reserved(binding) = &attempt.outcome else { panic!("{attempt:?}") };
        self.fast.unreserve(&mut self.cluster, binding);
    }
    /// Binds the pod that was reserved.
    pub fn bind(&mut self, attempt: &Attempt) {
        let Outcome::Reserved(binding) = &attempt.outcome else { panic!("{attempt:?}") };
        self.fast.bind(&mut self.cluster, binding);
    }
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("object")
}

fn class(name: &str, mode: &str, provisioner: &str) -> Value {
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": provisioner, "volumeBindingMode": mode})
}

fn classes() -> Vec<Value> {
    vec![
        class("local", "WaitForFirstConsumer", "kubernetes.io/no-provisioner"),
        class("now", "Immediate", "kubernetes.io/no-provisioner"),
        class("made", "WaitForFirstConsumer", "csi.example"),
    ]
}

fn hosts(hosts: &[&str]) -> Value {
    json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": hosts}]}]}})
}

/// A volume of class `local` with so many Gi.
fn volume(name: &str, gi: u32, nodes: &[&str]) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {"capacity": {"storage": format!("{gi}Gi")}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
            "local": {"path": "/d"}, "volumeMode": "Filesystem", "nodeAffinity": hosts(nodes)},
        "status": {"phase": "Available"}})
}

fn claim(name: &str, class: &str, more: Value) -> Value {
    with(
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "default", "uid": format!("u-{name}")},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class, "volumeMode": "Filesystem",
                "resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": "Pending"}}),
        more,
    )
}

/// A claim that is bound to a volume of its own on a node.
pub(super) fn bound_claim(name: &str, node: &str) -> [Value; 2] {
    let annotations = json!({"pv.kubernetes.io/bind-completed": "yes"});
    let more = json!({"metadata": {"annotations": annotations}, "spec": {"volumeName": format!("v-{name}")},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}});
    let reference = json!({"kind": "PersistentVolumeClaim", "namespace": "default", "name": name, "uid": format!("u-{name}")});
    let bound = json!({"spec": {"claimRef": reference}, "status": {"phase": "Bound"}});
    [claim(name, "local", more), with(volume(&format!("v-{name}"), 1, &[node]), bound)]
}

/// A pod with these claims.
pub(super) fn user(name: &str, claims: &[&str]) -> Value {
    let volumes: Vec<Value> =
        claims.iter().map(|c| json!({"name": c, "persistentVolumeClaim": {"claimName": c}})).collect();
    pod(name, with(requests(json!({"cpu": "1", "memory": "1Gi"})), json!({"spec": {"volumes": volumes}})))
}

fn two_nodes() -> Vec<Value> {
    let mut objects = classes();
    objects.extend([node("a", json!({})), node("b", json!({}))]);
    objects
}

/// A pod is taken if nobody is nominated and its claims all wait for a static local volume, or are bound to some, or there are none.
#[test]
fn which_pods_are_taken() {
    let soft = json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "PreferNoSchedule"}]}});
    let hard = json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}});
    let spread = |policy: &str| {
        json!({"spec": {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule", "nodeTaintsPolicy": policy, "labelSelector": {"matchLabels": {"app": "x"}}}]},
            "metadata": {"labels": {"app": "x"}}})
    };
    let scratch = json!({"name": "s", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"],
        "storageClassName": "local", "resources": {"requests": {"storage": "1Gi"}}}}}});
    let local = |name: &str| claim(name, "local", json!({}));
    let [bound, its] = bound_claim("old", "a");
    let rows: Vec<(&str, Vec<Value>, bool)> = vec![
        ("no claims", vec![user("p", &[])], true),
        ("a waiting claim", vec![local("c"), volume("v", 1, &["a"]), user("p", &["c"])], true),
        ("no volume for it", vec![local("c"), user("p", &["c"])], true),
        (
            "two waiting claims",
            vec![
                local("c"),
                local("d"),
                volume("v", 1, &["a"]),
                volume("w", 1, &["a"]),
                user("p", &["c", "d"]),
            ],
            true,
        ),
        ("a bound claim", vec![bound.clone(), its.clone(), user("p", &["old"])], true),
        (
            "one bound and one waiting",
            vec![bound.clone(), its.clone(), local("c"), volume("v", 1, &["a"]), user("p", &["old", "c"])],
            false,
        ),
        ("a claim that is not there", vec![user("p", &["c"])], false),
        ("an ephemeral volume", vec![pod("p", json!({"spec": {"volumes": [scratch]}}))], false),
        ("a volume is to be made", vec![claim("c", "made", json!({})), user("p", &["c"])], true),
        (
            "a node was selected",
            vec![
                claim(
                    "c",
                    "local",
                    json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "a"}}}),
                ),
                volume("v", 1, &["a"]),
                user("p", &["c"]),
            ],
            false,
        ),
        (
            "a volume names the claim",
            vec![
                local("c"),
                with(
                    volume("v", 1, &["a"]),
                    json!({"spec": {"claimRef": {"namespace": "default", "name": "c"}}}),
                ),
                user("p", &["c"]),
            ],
            false,
        ),
        (
            "for one pod alone",
            vec![
                claim("c", "local", json!({"spec": {"accessModes": ["ReadWriteOncePod"]}})),
                with(volume("v", 1, &["a"]), json!({"spec": {"accessModes": ["ReadWriteOncePod"]}})),
                user("p", &["c"]),
            ],
            false,
        ),
        (
            "a free volume of two nodes",
            vec![local("c"), volume("v", 1, &["a", "b"]), user("p", &["c"])],
            false,
        ),
        ("a free volume of two nodes, and no claim", vec![volume("v", 1, &["a", "b"]), user("p", &[])], true),
        ("a soft taint", vec![node("s", soft), user("p", &[])], false),
        ("a hard taint", vec![node("s", hard.clone()), user("p", &[])], true),
        (
            "a hard taint that spreading heeds",
            vec![node("s", hard.clone()), pod("p", spread("Honor"))],
            false,
        ),
        ("a hard taint that spreading ignores", vec![node("s", hard), pod("p", spread("Ignore"))], true),
        ("spreading that heeds taints, and none", vec![pod("p", spread("Honor"))], true),
        (
            "somebody is nominated",
            vec![user("p", &[]), pod("q", json!({"status": {"nominatedNodeName": "a"}}))],
            false,
        ),
        (
            "a port",
            vec![with(
                user("p", &[]),
                json!({"spec": {"containers": [{"name": "c", "image": "c",
            "ports": [{"containerPort": 80, "hostPort": 80}]}]}}),
            )],
            true,
        ),
    ];
    for (what, more, taken) in rows {
        let mut objects = two_nodes();
        objects.extend(more);
        let mut bench = Bench::new(&objects);
        let (_, work) = bench.cost("p");
        assert_eq!((work.fast.decided, work.plain), (u64::from(taken), u64::from(!taken)), "{what}");
    }
}

/// Every node is looked at once for a kind of pod, and later where something has changed.
#[test]
fn nodes_are_looked_at_when_they_have_changed() {
    let mut objects = classes();
    objects.extend((0..9).map(|n| node(&format!("n{n}"), json!({}))));
    objects.extend(["p0", "p1", "p2", "p3"].map(|name| user(name, &[])));
    let mut bench = Bench::new(&objects);
    let (first, work) = bench.cost("p0");
    assert_eq!((work.fast.native, work.fast.generic, work.fast.cached), (9, 0, 0));
    bench.bind(&first);
    // One node was touched.
    let (_, work) = bench.cost("p1");
    assert_eq!((work.fast.native, work.fast.generic, work.fast.cached), (1, 0, 8));
    // Nobody asks about the one that is gone, twice touched is touched once.
    for name in ["n3", "n3", "n4"] {
        let node = bench.node(name);
        bench.cluster.set_node_unschedulable(node, true);
    }
    let (_, work) = bench.cost("p2");
    // The pod that was assumed last has touched its node, too. Cordoned nodes are the plugins' to judge.
    assert_eq!((work.fast.generic, work.fast.cached), (2, 6));
}

/// Nodes of which arithmetic does not know everything are the plugins' to judge, one by one, and what they say is kept as well.
#[test]
fn plugins_are_asked_about_odd_nodes_alone() {
    let cordoned = json!({"spec": {"unschedulable": true}});
    let mut objects = vec![node("odd", cordoned)];
    objects.extend((0..5).map(|n| node(&format!("n{n}"), json!({}))));
    objects.extend(["p0", "p1", "p2"].map(|name| user(name, &[])));
    let mut bench = Bench::new(&objects);
    let (_, work) = bench.cost("p0");
    assert_eq!(work.fast.generic, 1);
    let (_, work) = bench.cost("p1");
    assert_eq!(work.fast.generic, 0, "what they said is remembered");
    assert_eq!(work.fast.native + work.fast.cached, 6);
    let odd = bench.node("odd");
    bench.cluster.set_node_unschedulable(odd, false);
    let attempt = bench.attempt("p2");
    assert!(matches!(attempt.outcome, Outcome::Reserved(_)));
}

/// A pod of which one is too many, on a node of two CPUs that another pod fills, and how it dozes.
fn dozing(more: Vec<Value>, p: Value) -> (Bench, Option<Doze>) {
    let mut objects = classes();
    objects.push(node("a", json!({"status": {"allocatable": {"cpu": "2"}}})));
    objects.push(running("r", "a", 1, requests(json!({"cpu": "2"}))));
    objects.extend(more);
    objects.push(p);
    let mut bench = Bench::new(&objects);
    let attempt = bench.attempt("p");
    assert!(matches!(attempt.outcome, Outcome::Unschedulable(_)), "{attempt:?}");
    let doze = bench.fast.take_doze();
    (bench, doze)
}

/// A failure holds until something changes that it rests on; then it is not said to hold.
#[test]
fn failures_hold_as_long_as_what_they_rest_on() {
    type Change = fn(&mut Cluster);
    let nothing: Change = |_| {};
    let room: Change = |c| {
        let r = c.pods().ids().next().expect("r");
        c.remove_pod(r);
    };
    let smaller: Change = |c| {
        let node = c.nodes().ids().next().expect("a");
        let less = c.node(node).allocatable.clone();
        c.set_node_allocatable(node, less, 9);
    };
    let nominated: Change = |c| {
        let (pod, node) = (c.pods().ids().last().expect("p"), c.nodes().ids().next().expect("a"));
        c.set_nominated(pod, Some(node));
    };
    let gone: Change = |c| {
        let node = c.nodes().ids().next().expect("a");
        c.remove_node(node);
    };
    let soft: Change = |c| {
        let node = c.nodes().ids().next().expect("a");
        let key = c.names.intern("k");
        let taint = crate::model::spec::Taint {
            key,
            value: key,
            effect: crate::model::spec::TaintEffect::PreferNoSchedule,
        };
        c.set_node_taints(node, vec![taint]);
    };
    let wide: Change = |c| {
        lower::add_volume(c, &object(volume("w", 9, &["a", "b"]))).expect("a volume");
    };
    let local: Change = |c| {
        lower::add_volume(c, &object(volume("l", 9, &["a"]))).expect("a volume");
    };
    let config: Change = |c| {
        lower::add_node(c, &object(node("z", json!({"status": {"allocatable": {"cpu": "1"}}}))))
            .expect("a node");
    };
    let plain = user("p", &[]);
    let with_claim = user("p", &["c"]);
    let the_claim = || vec![claim("c", "local", json!({}))];
    let rows: Vec<(&str, Vec<Value>, &Value, Change, bool)> = vec![
        ("nothing", vec![], &plain, nothing, true),
        ("there is room", vec![], &plain, room, false),
        ("still no room", vec![], &plain, smaller, true),
        ("somebody is nominated", vec![], &plain, nominated, false),
        ("no node at all", vec![], &plain, gone, false),
        ("a soft taint", vec![], &plain, soft, false),
        ("a volume that several nodes reach", vec![], &plain, wide, true),
        ("a volume that one node reaches", vec![], &plain, local, true),
        ("another node, too small", vec![], &plain, config, false),
        ("a claim", the_claim(), &with_claim, nothing, true),
        ("a claim, still no room", the_claim(), &with_claim, smaller, true),
        ("a claim, and a volume that several nodes reach", the_claim(), &with_claim, wide, false),
        (
            "a claim, and one more volume where there is no room",
            vec![claim("c", "local", json!({})), volume("k", 9, &["a"])],
            &with_claim,
            local,
            true,
        ),
        (
            "a claim, a volume and room",
            the_claim(),
            &with_claim,
            |c| {
                lower::add_volume(c, &object(volume("l", 9, &["a"]))).expect("a volume");
                let r = c.pods().ids().next().expect("r");
                c.remove_pod(r);
            },
            false,
        ),
        ("a claim and room, but no volume", the_claim(), &with_claim, room, true),
    ];
    for (what, more, p, change, holds) in rows {
        let (mut bench, doze) = dozing(more, p.clone());
        let doze = doze.unwrap_or_else(|| panic!("{what}: the failure may be slept over"));
        change(&mut bench.cluster);
        let said = bench.fast.still_fails(&bench.cluster, &doze.condition, &doze.known);
        assert_eq!(said.is_some(), holds, "{what}");
        // What is said then is what an attempt would say.
        if let Some(known) = said {
            let attempt = bench.attempt("p");
            assert_eq!(attempt.outcome, Outcome::Unschedulable(known.result.clone()), "{what}");
            assert_eq!(attempt.rejectors, known.rejectors, "{what}");
        }
    }
}

/// The node of a bound volume is asked for alone.
#[test]
fn a_bound_pod_waits_for_its_own_node() {
    let [bound, its] = bound_claim("c", "a");
    let more = vec![bound, its, node("b", json!({})), node("z", json!({"spec": {"unschedulable": true}}))];
    let (mut bench, doze) = dozing(more, user("p", &["c"]));
    let doze = doze.expect("the failure may be slept over");
    let (a, b) = (bench.node("a"), bench.node("b"));
    assert_eq!(doze.homes, [a]);
    let still =
        |bench: &mut Bench| bench.fast.still_fails(&bench.cluster, &doze.condition, &doze.known).is_some();
    assert!(still(&mut bench) && !bench.fast.may_take(&doze.condition, a));
    assert!(bench.fast.may_take(&doze.condition, b), "but for the volume");
    bench.cluster.remove_pod(bench.pod("r"));
    still(&mut bench);
    assert!(bench.fast.may_take(&doze.condition, a), "there is room at home");
}

/// The PV controller has to bind the claim first: whatever happens to nodes, the pod fails, until the configuration is another.
#[test]
fn unbound_claims_of_an_immediate_class_are_waited_for() {
    let objects = |modes: &str| {
        let mut objects = two_nodes();
        objects.push(claim("c", "now", json!({"spec": {"accessModes": [modes]}})));
        objects.push(user("p", &["c"]));
        objects
    };
    let mut bench = Bench::new(&objects("ReadWriteOnce"));
    let attempt = bench.attempt("p");
    assert_eq!(
        attempt
            .message(&bench.cluster.names)
            .as_deref()
            .map(|m| m.contains("pod has unbound immediate PersistentVolumeClaims")),
        Some(true)
    );
    let doze = bench.fast.take_doze().expect("it may sleep");
    let said = bench.fast.still_fails(&bench.cluster, &doze.condition, &doze.known);
    assert_eq!(said.as_deref(), Some(&*doze.known));
    let a = bench.node("a");
    bench.cluster.set_node_unschedulable(a, true);
    assert!(bench.fast.still_fails(&bench.cluster, &doze.condition, &doze.known).is_some());
    assert!(bench.fast.may_take(&doze.condition, a), "nobody can tell");
    let changed = class("another", "Immediate", "kubernetes.io/no-provisioner");
    lower::add_class(&mut bench.cluster, &object(changed)).expect("a class");
    assert!(bench.fast.still_fails(&bench.cluster, &doze.condition, &doze.known).is_none());
    // A claim for one pod alone may be somebody else's.
    let mut bench = Bench::new(&objects("ReadWriteOncePod"));
    bench.attempt("p");
    assert!(bench.fast.take_doze().is_none());
    // The plain engine never says so.
    assert!(bench.plain.take_doze().is_none());
}

/// Of 101 nodes 100 are looked at, from where the last search ended: the first of them whose score is out of range is told.
#[test]
fn the_search_goes_on_where_the_last_one_ended() {
    let huge = |n: usize| {
        // 2^58 * 100 wraps to -28 * 2^58, (5 * 2^56) * 100 to -2 times that.
        let memory = if n == 100 { "320Pi" } else { "256Pi" };
        let mut node = node(&format!("n{n:03}"), json!({}));
        node["status"]["allocatable"] = json!({"cpu": "0", "memory": memory, "pods": "9"});
        node
    };
    let mut objects: Vec<Value> = (0..101).map(huge).collect();
    objects.push(pod("p", requests(json!({"memory": "0"}))));
    let mut bench = Bench::of(&objects, NodesToScore::Percentage(0));
    // It begins at the first node, then at the last, then at the last but one.
    for score in [-28, -2, -28, -28] {
        let message = bench.attempt("p").message(&bench.cluster.names).expect("an error");
        assert!(message.contains(&format!("returns an invalid score {score}, it should")), "{message}");
    }
}

/// Nodes that have room for anybody and lack a volume of the claim's pool: nobody looks at them again until one comes that fits.
#[test]
fn volumes_that_come_and_go_are_seen() {
    let mut objects = classes();
    objects.extend(["a", "b", "c"].map(|name| node(name, json!({}))));
    objects.extend([claim("c", "local", json!({"spec": {"resources": {"requests": {"storage": "5Gi"}}}}))]);
    // All sizes are known from the beginning, from volumes that are no file systems.
    let block = json!({"spec": {"volumeMode": "Block"}});
    let sizes = [("big", 9), ("small", 1), ("exact", 5)];
    objects.extend(sizes.map(|(name, gi)| with(volume(name, gi, &["a"]), block.clone())));
    objects.push(user("p", &["c"]));
    let mut bench = Bench::new(&objects);
    let fails = |bench: &mut Bench, what: &str| {
        let (attempt, work) = bench.cost("p");
        assert!(matches!(attempt.outcome, Outcome::Unschedulable(_)), "{what}");
        work
    };
    let work = fails(&mut bench, "no volume at all");
    assert_eq!((work.fast.native, work.fast.remembered), (3, 1));
    let work = fails(&mut bench, "nothing has changed");
    assert_eq!((work.fast.native, work.volumes, work.fast.remembered), (0, 0, 1));
    let add = |bench: &mut Bench, object_: Value| {
        lower::add_volume(&mut bench.cluster, &object(object_)).expect("a volume");
    };
    add(&mut bench, with(volume("other", 9, &["a"]), json!({"spec": {"storageClassName": "now"}})));
    let work = fails(&mut bench, "one of another pool");
    assert_eq!(work.fast.native, 0, "another pool's volumes make no difference");
    add(&mut bench, volume("little", 1, &["b"]));
    let work = fails(&mut bench, "one that is too small");
    assert!(work.fast.native > 0, "the pool has changed");
    assert_eq!(work.volumes, 1, "b has one");
    add(
        &mut bench,
        with(
            volume("taken", 9, &["b"]),
            json!({"spec": {"claimRef": {"namespace": "default", "name": "x"}}}),
        ),
    );
    fails(&mut bench, "one that is somebody's");
    for (name, at) in [("first", "b"), ("second", "c"), ("third", "b"), ("fourth", "a")] {
        add(&mut bench, volume(name, 5, &[at]));
        let (attempt, _) = bench.cost("p");
        let Outcome::Reserved(binding) = &attempt.outcome else { panic!("{name}: {attempt:?}") };
        assert_eq!(binding.node, bench.node(at), "{name}");
        let plugins = &bench.fast;
        plugins.unreserve(&mut bench.cluster, binding);
        let id = bench.cluster.names.get(name).and_then(|name| bench.cluster.volume_by_name(name));
        bench.cluster.remove_volume(id.expect("the volume"));
        fails(&mut bench, "it is gone again");
    }
}

/// Volumes of more pools than are told apart: the plugins are asked, and find them.
#[test]
fn more_pools_than_are_told_apart() {
    let name = |n: usize| format!("class{n}");
    let mut objects = vec![node("a", json!({})), node("b", json!({}))];
    for n in 0..70 {
        objects.push(class(&name(n), "WaitForFirstConsumer", "kubernetes.io/no-provisioner"));
        let of = json!({"spec": {"storageClassName": name(n)}});
        objects.push(with(volume(&format!("v{n:02}"), 9, &["b"]), of));
        objects.push(claim(&format!("c{n}"), &name(n), json!({})));
        objects.push(user(&format!("p{n}"), &[&format!("c{n}")]));
    }
    objects.push(class("none", "WaitForFirstConsumer", "kubernetes.io/no-provisioner"));
    objects.extend([claim("c", "none", json!({})), user("p", &["c"])]);
    let mut bench = Bench::new(&objects);
    assert!(matches!(bench.attempt("p").outcome, Outcome::Unschedulable(_)), "nobody has such a volume");
    // Four have no CPU left.
    for n in [0, 69, 63] {
        let attempt = bench.attempt(&format!("p{n}"));
        let Outcome::Reserved(binding) = &attempt.outcome else { panic!("{n}: {attempt:?}") };
        assert_eq!(binding.node, bench.node("b"), "{n}");
    }
}

/// Node changes far beyond what the logs of changes hold.
#[test]
fn long_logs_are_cut() {
    let mut objects = classes();
    objects.extend(["a", "b", "c"].map(|name| node(name, json!({}))));
    objects.extend(["p0", "p1", "p2", "p3", "p4"].map(|name| user(name, &[])));
    let mut bench = Bench::new(&objects);
    let nodes = ["a", "b"].map(|name| bench.node(name));
    for (round, touches) in [0usize, 30_000, 40_000, 70_000, 140_000].into_iter().enumerate() {
        for touch in 0..touches {
            bench.cluster.set_node_unschedulable(nodes[touch % 2], touch % 4 < 2);
        }
        // Which of them are cordoned when that is over differs from round to round.
        bench.cluster.set_node_unschedulable(nodes[0], !round.is_multiple_of(2));
        bench.cluster.set_node_unschedulable(nodes[1], round % 3 == 1);
        let attempt = bench.attempt(&format!("p{round}"));
        assert!(matches!(attempt.outcome, Outcome::Reserved(_)), "{round}");
        bench.bind(&attempt);
    }
}
