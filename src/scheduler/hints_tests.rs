//! Which events bring a pod back, by the plugin that rejected it: the rules of `EventsToRegister` and the hint functions of each plugin.

use super::*;
use crate::scheduler::testing::{cluster, labelled, node, pod, requests, with};
use serde_json::{Value, json};

type P = PluginSet;

/// A cluster whose nodes the queue has heard of, and a pod `p` that waits.
struct Bench {
    cluster: Cluster,
    seen: SeenNodes,
}

fn bench(objects: &[Value]) -> Bench {
    let cluster = cluster(objects);
    let mut seen = SeenNodes::default();
    for id in cluster.nodes().ids() {
        seen.note(&cluster, ClusterEvent::NodeAdded(id));
    }
    Bench { cluster, seen }
}

impl Bench {
    fn pod(&self, namespace: &str, name: &str) -> PodId {
        let names = &self.cluster.names;
        let (namespace, name) =
            (names.get(namespace).expect("namespace"), names.get_name(name).expect("name"));
        self.cluster.pod_by_name(namespace, name).expect("a pod")
    }
    fn node(&self, name: &str) -> NodeId {
        let name = self.cluster.names.get(name).expect("name");
        self.cluster.node_by_name(name).expect("a node")
    }
    fn claim(&self, namespace: &str, name: &str) -> ClaimId {
        let names = &self.cluster.names;
        let (namespace, name) =
            (names.get(namespace).expect("namespace"), names.get_name(name).expect("name"));
        self.cluster.claim_by_name(namespace, name).expect("a claim")
    }
    /// Is `p`, rejected by this plugin, tried again after the event?
    fn comes_back(&self, plugin: PluginSet, event: ClusterEvent) -> bool {
        let pod = self.pod("default", "p");
        plugin.intersects(event.interested())
            && is_worth_requeuing(&self.cluster, &self.seen, pod, plugin, event)
    }
    /// The pod of this name is gone.
    fn gone(&self, namespace: &str, name: &str) -> ClusterEvent {
        let row = self.cluster.pod(self.pod(namespace, name));
        ClusterEvent::PodRemoved { name: row.name, spec: row.spec }
    }
}

/// Does `p` come back when node `before` becomes as `after`?
fn after_change(plugin: PluginSet, p: &Value, before: &Value, after: &Value, delta: NodeDelta) -> bool {
    let (old, new) = (with(node("n", json!({})), before.clone()), with(node("m", json!({})), after.clone()));
    let mut bench = bench(&[old, new, p.clone()]);
    let (n, m) = (bench.node("n"), bench.node("m"));
    let row = bench.cluster.node(m).clone();
    bench.cluster.set_node_labels(n, row.labels);
    bench.cluster.set_node_taints(n, row.taints.clone());
    bench.cluster.set_node_unschedulable(n, row.unschedulable);
    bench.cluster.set_node_allocatable(n, row.allocatable.clone(), row.allocatable_pods);
    bench.comes_back(plugin, ClusterEvent::NodeUpdated(n, delta))
}

/// Does `p` come back when this node is new?
fn after_new(plugin: PluginSet, p: &Value, new: &Value) -> bool {
    let bench =
        Bench { seen: SeenNodes::default(), ..bench(&[with(node("n", json!({})), new.clone()), p.clone()]) };
    bench.comes_back(plugin, ClusterEvent::NodeAdded(bench.node("n")))
}

fn allocatable(resources: Value) -> Value {
    json!({"status": {"allocatable": resources}})
}

fn labels(labels: Value) -> Value {
    json!({"metadata": {"labels": labels}})
}

fn taints(effects: &[(&str, &str)]) -> Value {
    let taints: Vec<Value> =
        effects.iter().map(|(key, effect)| json!({"key": key, "effect": effect})).collect();
    json!({"spec": {"taints": taints}})
}

#[test]
fn room_brings_back_who_would_fit_an_empty_node() {
    let asks = |what: Value| with(pod("p", json!({})), requests(what));
    let both = || json!({"cpu": "2", "memory": "2Gi"});
    let rows = [
        ("just enough CPU", both(), json!({"cpu": "1"}), json!({"cpu": "2"}), true),
        ("CPU grew, but not enough", both(), json!({"cpu": "1"}), json!({"cpu": "1999m"}), false),
        ("CPU shrank", both(), json!({"cpu": "5"}), json!({"cpu": "4"}), false),
        ("nothing changed", both(), json!({}), json!({}), false),
        ("memory grew", both(), json!({"memory": "8Gi"}), json!({"memory": "9Gi"}), true),
        ("just enough memory", both(), json!({"memory": "1Gi"}), json!({"memory": "2Gi"}), true),
        (
            "memory is short by a byte",
            both(),
            json!({"memory": "1Gi"}),
            json!({"memory": "2147483647"}),
            false,
        ),
        ("memory shrank", both(), json!({"memory": "9Gi"}), json!({"memory": "8Gi"}), false),
        (
            "memory grew, CPU is short",
            both(),
            json!({"cpu": "1"}),
            json!({"cpu": "1", "memory": "9Gi"}),
            false,
        ),
        (
            "CPU grew, memory is short",
            both(),
            json!({"memory": "1Gi"}),
            json!({"memory": "1Gi", "cpu": "9"}),
            false,
        ),
        ("more pods", both(), json!({"pods": "10"}), json!({"pods": "11"}), true),
        ("fewer pods", both(), json!({"pods": "11"}), json!({"pods": "10"}), false),
        ("one pod at last", both(), json!({"pods": "0"}), json!({"pods": "1"}), true),
        ("no pod at all", both(), json!({}), json!({"pods": "0", "cpu": "9"}), false),
        ("not asked for", json!({"memory": "2Gi"}), json!({"cpu": "1"}), json!({"cpu": "2"}), false),
        (
            "not asked for, and absent",
            json!({"memory": "2Gi"}),
            json!({}),
            json!({"cpu": "0", "memory": "9Gi"}),
            true,
        ),
        ("memory is not asked for", json!({"cpu": "2"}), json!({}), json!({"memory": "9Gi"}), false),
        ("no memory is needed", json!({"cpu": "2"}), json!({}), json!({"memory": "0", "cpu": "9"}), true),
        (
            "scratch space grew",
            json!({"ephemeral-storage": "1Gi"}),
            json!({"ephemeral-storage": "1023Mi"}),
            json!({"ephemeral-storage": "1Gi"}),
            true,
        ),
        (
            "scratch space is short",
            json!({"ephemeral-storage": "1Gi"}),
            json!({"ephemeral-storage": "1Mi"}),
            json!({"ephemeral-storage": "1023Mi"}),
            false,
        ),
        (
            "scratch space shrank",
            json!({"ephemeral-storage": "1Gi"}),
            json!({"ephemeral-storage": "3Gi"}),
            json!({"ephemeral-storage": "2Gi"}),
            false,
        ),
        (
            "scratch space stays",
            json!({"ephemeral-storage": "1Gi"}),
            json!({"ephemeral-storage": "2Gi"}),
            json!({"ephemeral-storage": "2Gi", "cpu": "9"}),
            false,
        ),
        ("scratch space is not asked for", both(), json!({}), json!({"ephemeral-storage": "1Gi"}), false),
        ("a device came", json!({"a.b/gpu": "1"}), json!({}), json!({"a.b/gpu": "1"}), true),
        ("too few devices", json!({"a.b/gpu": "3"}), json!({"a.b/gpu": "1"}), json!({"a.b/gpu": "2"}), false),
        ("devices went", json!({"a.b/gpu": "1"}), json!({"a.b/gpu": "3"}), json!({"a.b/gpu": "2"}), false),
        (
            "other devices",
            json!({"a.b/gpu": "1"}),
            json!({"a.b/gpu": "1"}),
            json!({"a.b/gpu": "1", "a.b/nic": "1"}),
            false,
        ),
        ("none are wanted", json!({"a.b/gpu": "0", "cpu": "1"}), json!({}), json!({"a.b/gpu": "1"}), false),
        (
            "none are wanted nor there",
            json!({"a.b/gpu": "0", "cpu": "1"}),
            json!({}),
            json!({"cpu": "9"}),
            true,
        ),
    ];
    for (what, ask, before, after, want) in rows {
        let (before, after) = (allocatable(before), allocatable(after));
        let got = after_change(P::NODE_RESOURCES_FIT, &asks(ask), &before, &after, NodeDelta::Allocatable);
        assert_eq!(got, want, "{what}");
    }
    let fits = |what: Value| after_new(P::NODE_RESOURCES_FIT, &asks(both()), &allocatable(what));
    assert!(fits(json!({"cpu": "2", "memory": "2Gi", "pods": "1"})), "a new node that is just large enough");
    assert!(!fits(json!({"cpu": "1"})), "a new node that is too small");
    // Labels do not make room.
    let grown = allocatable(json!({"cpu": "9"}));
    assert!(!after_change(P::NODE_RESOURCES_FIT, &asks(both()), &json!({}), &grown, NodeDelta::Labels));
}

#[test]
fn labels_bring_back_who_asks_for_them() {
    let selector = pod("p", json!({"spec": {"nodeSelector": {"disk": "ssd"}}}));
    let expression = json!({"key": "rack", "operator": "In", "values": ["r1", "r2"]});
    let required = json!({"nodeSelectorTerms": [{"matchExpressions": [expression]}]});
    let affinity = json!({"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}});
    let affine = pod("p", affinity.clone());
    let both = with(selector.clone(), affinity);
    let rows = [
        ("it comes", &selector, json!({}), json!({"disk": "ssd"}), true),
        ("it goes", &selector, json!({"disk": "ssd"}), json!({}), false),
        ("it changes to what is asked", &selector, json!({"disk": "hdd"}), json!({"disk": "ssd"}), true),
        ("it changes to something else", &selector, json!({"disk": "nvme"}), json!({"disk": "hdd"}), false),
        ("it matched before", &selector, json!({"disk": "ssd"}), json!({"disk": "ssd", "x": "y"}), false),
        ("affinity matches now", &affine, json!({}), json!({"rack": "r1"}), true),
        ("affinity matched before", &affine, json!({"rack": "r1"}), json!({"rack": "r2"}), false),
        ("affinity does not match", &affine, json!({}), json!({"rack": "r3"}), false),
        ("only the selector", &both, json!({}), json!({"disk": "ssd"}), false),
        ("only the affinity", &both, json!({}), json!({"rack": "r1"}), false),
        ("both", &both, json!({"disk": "ssd"}), json!({"disk": "ssd", "rack": "r2"}), true),
    ];
    for (what, p, before, after, want) in rows {
        let got = after_change(P::NODE_AFFINITY, p, &labels(before), &labels(after), NodeDelta::Labels);
        assert_eq!(got, want, "{what}");
    }
    assert!(after_new(P::NODE_AFFINITY, &selector, &labels(json!({"disk": "ssd"}))));
    assert!(!after_new(P::NODE_AFFINITY, &selector, &labels(json!({"disk": "hdd"}))));
    let ssd = labels(json!({"disk": "ssd"}));
    assert!(
        !after_change(P::NODE_AFFINITY, &selector, &json!({}), &ssd, NodeDelta::Allocatable),
        "not its event"
    );
}

#[test]
fn taints_and_cordons_bring_back_whom_they_kept_away() {
    let plain = pod("p", json!({}));
    let tolerant = pod("p", json!({"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}));
    let rows = [
        ("the taint goes", &plain, taints(&[("a", "NoSchedule")]), taints(&[]), true),
        ("an evicting taint goes", &plain, taints(&[("a", "NoExecute")]), taints(&[]), true),
        ("a soft taint goes", &plain, taints(&[("a", "PreferNoSchedule")]), taints(&[]), false),
        ("a taint comes", &plain, taints(&[]), taints(&[("a", "NoSchedule")]), false),
        (
            "one of two goes",
            &plain,
            taints(&[("a", "NoSchedule"), ("b", "NoSchedule")]),
            taints(&[("b", "NoSchedule")]),
            false,
        ),
        ("it was tolerated", &tolerant, taints(&[("a", "NoSchedule")]), taints(&[]), false),
        (
            "another is tolerated",
            &tolerant,
            taints(&[("b", "NoSchedule")]),
            taints(&[("a", "NoSchedule")]),
            true,
        ),
        (
            "it becomes soft",
            &plain,
            taints(&[("a", "NoSchedule")]),
            taints(&[("a", "PreferNoSchedule")]),
            true,
        ),
    ];
    for (what, p, before, after, want) in rows {
        assert_eq!(after_change(P::TAINT_TOLERATION, p, &before, &after, NodeDelta::Taints), want, "{what}");
    }
    assert!(after_new(P::TAINT_TOLERATION, &plain, &json!({})));
    assert!(after_new(P::TAINT_TOLERATION, &tolerant, &taints(&[("a", "NoSchedule")])));
    assert!(!after_new(P::TAINT_TOLERATION, &plain, &taints(&[("a", "NoSchedule")])));

    let cordoned = |yes: bool| json!({"spec": {"unschedulable": yes}});
    for (before, after, want) in
        [(true, false, true), (false, true, false), (true, true, false), (false, false, false)]
    {
        let got = after_change(
            P::NODE_UNSCHEDULABLE,
            &plain,
            &cordoned(before),
            &cordoned(after),
            NodeDelta::Taints,
        );
        assert_eq!(got, want, "cordoned {before} -> {after}");
    }
    assert!(after_new(P::NODE_UNSCHEDULABLE, &plain, &cordoned(false)));
    assert!(!after_new(P::NODE_UNSCHEDULABLE, &plain, &cordoned(true)));
}

const ALL: [(&str, PluginSet); 16] = [
    ("SchedulingGates", P::SCHEDULING_GATES),
    ("NodeUnschedulable", P::NODE_UNSCHEDULABLE),
    ("NodeName", P::NODE_NAME),
    ("TaintToleration", P::TAINT_TOLERATION),
    ("NodeAffinity", P::NODE_AFFINITY),
    ("NodePorts", P::NODE_PORTS),
    ("NodeResourcesFit", P::NODE_RESOURCES_FIT),
    ("VolumeRestrictions", P::VOLUME_RESTRICTIONS),
    ("NodeVolumeLimits", P::NODE_VOLUME_LIMITS),
    ("VolumeBinding", P::VOLUME_BINDING),
    ("VolumeZone", P::VOLUME_ZONE),
    ("PodTopologySpread", P::POD_TOPOLOGY_SPREAD),
    ("InterPodAffinity", P::INTER_POD_AFFINITY),
    ("DefaultPreemption", P::DEFAULT_PREEMPTION),
    ("DynamicResources", P::DYNAMIC_RESOURCES),
    ("NodeDeclaredFeatures", P::NODE_DECLARED_FEATURES),
];

#[test]
fn sets_of_plugins_by_name() {
    for (index, (name, plugin)) in ALL.iter().enumerate() {
        assert_eq!(PluginSet::of(name), *plugin);
        assert!(!plugin.is_empty() && *plugin != P::UNKNOWN && plugin.intersects(*plugin), "{name}");
        for (other, another) in &ALL[index + 1..] {
            assert!(!plugin.intersects(*another), "{name} and {other}");
            let both = plugin.union(*another);
            assert!(
                both.intersects(*plugin) && both.intersects(*another) && both != *plugin && both != *another
            );
        }
    }
    assert_eq!(PluginSet::of("SomebodyElses"), P::UNKNOWN);
    assert!(P::NONE.is_empty() && !P::NONE.intersects(P::NODE_NAME.union(P::NODE_PORTS)));
    assert_eq!(PluginSet::of_all(&[]), P::NONE);
}

/// Those of all plugins that bring the pod back.
fn who(bench: &Bench, event: ClusterEvent) -> Vec<&'static str> {
    assert!(bench.comes_back(P::UNKNOWN, event), "a plugin that registers for nothing hears of everything");
    ALL.iter().filter(|(_, plugin)| bench.comes_back(*plugin, event)).map(|(name, _)| *name).collect()
}

#[test]
fn each_event_concerns_its_plugins() {
    let claim = |name: &str, namespace: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
               "metadata": {"name": name, "namespace": namespace, "uid": format!("u-{namespace}-{name}")},
               "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "local", "volumeMode": "Filesystem",
                        "resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Pending"}})
    };
    let p =
        pod("p", json!({"spec": {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]}}));
    let objects =
        [node("n", json!({})), p, claim("c", "default"), claim("other", "default"), claim("c", "elsewhere")];
    let bench = bench(&objects);
    let n = bench.node("n");
    let requeued =
        ["NodeName", "NodeAffinity", "NodePorts", "NodeResourcesFit", "VolumeRestrictions", "VolumeBinding"];
    let requeued =
        [&requeued[..], &["VolumeZone", "InterPodAffinity", "DynamicResources", "NodeDeclaredFeatures"]]
            .concat();
    let mut taints = requeued;
    // Nothing in the cluster has changed: those that compare before and after see that.
    taints.push("PodTopologySpread");
    taints.sort_unstable();
    let mut found = who(&bench, ClusterEvent::NodeUpdated(n, NodeDelta::Taints));
    found.sort_unstable();
    assert_eq!(found, taints);
    let rows: &[(ClusterEvent, &[&str])] = &[
        (ClusterEvent::NodeUpdated(n, NodeDelta::Allocatable), &[]),
        (ClusterEvent::NodeUpdated(n, NodeDelta::Labels), &["VolumeBinding", "VolumeZone"]),
        (ClusterEvent::NodeUpdated(n, NodeDelta::Condition), &[]),
        (ClusterEvent::NodeUpdated(n, NodeDelta::Other), &[]),
        (ClusterEvent::NodeRemoved(n), &["PodTopologySpread"]),
        (ClusterEvent::VolumeAdded, &["VolumeBinding", "VolumeZone"]),
        (ClusterEvent::VolumeUpdated, &["VolumeBinding"]),
        (
            ClusterEvent::ClaimAdded(bench.claim("default", "c")),
            &["VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone"],
        ),
        (ClusterEvent::ClaimUpdated(bench.claim("default", "c")), &["VolumeBinding", "VolumeZone"]),
        (ClusterEvent::ClaimUpdated(bench.claim("default", "other")), &[]),
        (ClusterEvent::ClaimUpdated(bench.claim("elsewhere", "c")), &[]),
        (ClusterEvent::ClassChanged, &["VolumeBinding", "VolumeZone"]),
        (ClusterEvent::CsiNodeChanged, &["NodeVolumeLimits", "VolumeBinding"]),
        (ClusterEvent::CapacityChanged, &["VolumeBinding"]),
    ];
    for (event, want) in rows {
        assert_eq!(who(&bench, *event), *want, "{event:?}");
    }
    // All register for new nodes but those whose limits are the node's own, the gates and preemption.
    let fresh = Bench { seen: SeenNodes::default(), ..bench };
    let added = who(&fresh, ClusterEvent::NodeAdded(n));
    let not: Vec<&str> = ALL.iter().map(|(name, _)| *name).filter(|name| !added.contains(name)).collect();
    // A pod without terms is not kept away by pod affinity.
    assert_eq!(not, ["SchedulingGates", "NodeVolumeLimits", "InterPodAffinity", "DefaultPreemption"]);
}

fn term(key: &str, topology: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {key: "yes"}}, "topologyKey": topology})
}

fn affinity(kind: &str, terms: &[Value]) -> Value {
    json!({"spec": {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}})
}

#[test]
fn topology_labels_bring_back_who_has_terms() {
    let near = pod("p", affinity("podAffinity", &[term("a", "zone")]));
    let apart = pod("p", affinity("podAntiAffinity", &[term("a", "zone")]));
    let plain = pod("p", json!({}));
    let (none, a, b) = (json!({}), json!({"zone": "a"}), json!({"zone": "b"}));
    let also = json!({"zone": "a", "other": "x"});
    // From no label to a, from a to no label, from a to b, another label of a node in a.
    let rows =
        [(&near, [true, false, true, false]), (&apart, [false, true, true, false]), (&plain, [false; 4])];
    for (p, want) in rows {
        let changes = [(&none, &a), (&a, &none), (&a, &b), (&a, &also)];
        let got = changes.map(|(before, after)| {
            let (before, after) = (labels(before.clone()), labels(after.clone()));
            after_change(P::INTER_POD_AFFINITY, p, &before, &after, NodeDelta::Labels)
        });
        assert_eq!(got, want);
    }
    let new = |p: &Value| [&a, &none].map(|l| after_new(P::INTER_POD_AFFINITY, p, &labels(l.clone())));
    assert_eq!(new(&near), [true, false]);
    assert_eq!(new(&apart), [true, true], "a node without the label takes any pod");
    assert_eq!(new(&plain), [false, false]);
}

fn constraint(key: &str, when: &str) -> Value {
    json!({"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": {"matchLabels": {"a": "yes"}}})
}

fn spread(constraints: &[Value]) -> Value {
    pod(
        "p",
        json!({"metadata": {"labels": {"a": "yes"}}, "spec": {"topologySpreadConstraints": constraints}}),
    )
}

#[test]
fn domains_that_come_and_go_bring_back_who_is_spread() {
    let hard = spread(&[constraint("zone", "DoNotSchedule")]);
    let two = spread(&[constraint("zone", "DoNotSchedule"), constraint("rack", "DoNotSchedule")]);
    let mixed = spread(&[constraint("zone", "DoNotSchedule"), constraint("rack", "ScheduleAnyway")]);
    let l = |text: &str| {
        let mut all = json!({});
        for pair in text.split_terminator(',') {
            let (key, value) = pair.split_once('=').expect("key=value");
            all[key] = json!(value);
        }
        labels(all)
    };
    let rows = [
        ("comes", &hard, "", "zone=a", true),
        ("goes", &hard, "zone=a", "", true),
        ("changes", &hard, "zone=a", "zone=b", true),
        ("stays", &hard, "zone=a", "zone=a,x=y", false),
        ("never was", &hard, "", "x=y", false),
        ("one of two comes", &two, "", "zone=a", false),
        ("the second of two comes", &two, "zone=a", "zone=a,rack=r", true),
        ("one of two changes", &two, "zone=a,rack=r", "zone=a,rack=s", true),
        ("one of two goes", &two, "zone=a,rack=r", "zone=a", true),
        ("what only scores comes", &mixed, "zone=a", "zone=a,rack=r", false),
        ("what only scores changes", &mixed, "zone=a,rack=r", "zone=a,rack=s", false),
        ("what filters comes without what scores", &mixed, "", "zone=a", true),
    ];
    for (what, p, before, after, want) in rows {
        assert_eq!(
            after_change(P::POD_TOPOLOGY_SPREAD, p, &l(before), &l(after), NodeDelta::Labels),
            want,
            "{what}"
        );
    }
    // Taints matter on nodes that have the labels.
    let tainted = |zone: &str| with(l(zone), taints(&[("a", "NoSchedule")]));
    let taint =
        |p, zone| after_change(P::POD_TOPOLOGY_SPREAD, p, &l(zone), &tainted(zone), NodeDelta::Taints);
    assert!(taint(&hard, "zone=a") && !taint(&hard, "") && taint(&mixed, "zone=a") && !taint(&two, "zone=a"));
    let new = |p, text| after_new(P::POD_TOPOLOGY_SPREAD, p, &l(text));
    assert!(new(&hard, "zone=a") && !new(&hard, "rack=r") && new(&mixed, "zone=a") && !new(&two, "zone=a"));
    for (zone, want) in [("zone=a", true), ("", false)] {
        let bench = bench(&[with(node("n", json!({})), l(zone)), hard.clone()]);
        assert_eq!(
            bench.comes_back(P::POD_TOPOLOGY_SPREAD, ClusterEvent::NodeRemoved(bench.node("n"))),
            want
        );
    }
}

#[test]
fn a_node_that_comes_back_is_new() {
    let p = with(pod("p", json!({})), requests(json!({"cpu": "2"})));
    let mut bench = bench(&[node("n", json!({})), p]);
    let n = bench.node("n");
    let event = ClusterEvent::NodeUpdated(n, NodeDelta::Allocatable);
    assert!(!bench.comes_back(P::NODE_RESOURCES_FIT, event), "as large as before");
    bench.seen.note(&bench.cluster, ClusterEvent::NodeRemoved(n));
    assert!(bench.comes_back(P::NODE_RESOURCES_FIT, event), "nothing is known from before");
    bench.seen.note(&bench.cluster, ClusterEvent::VolumeAdded);
    assert!(bench.comes_back(P::NODE_RESOURCES_FIT, event));
    bench.seen.note(&bench.cluster, event);
    assert!(!bench.comes_back(P::NODE_RESOURCES_FIT, event));
}

/// A pod `o` in a namespace, on node `n`.
fn other(namespace: &str, more: Value) -> Value {
    let mut other = pod("o", json!({"spec": {"nodeName": "n"}}));
    other["metadata"]["namespace"] = json!(namespace);
    with(other, more)
}

#[test]
fn pods_that_come_bring_back_who_wants_them_near() {
    let in_namespaces = with(term("a", "zone"), json!({"namespaces": ["elsewhere"]}));
    let in_all = with(term("a", "zone"), json!({"namespaceSelector": {}}));
    let team = with(term("a", "zone"), json!({"namespaceSelector": {"matchLabels": {"team": "x"}}}));
    let near = |terms: &[Value]| pod("p", affinity("podAffinity", terms));
    let yes = |key: &str| labels(json!({key: "yes"}));
    let ab = || labels(json!({"a": "yes", "b": "yes"}));
    let rows = [
        ("it matches", near(&[term("a", "zone")]), other("default", yes("a")), true),
        ("it does not", near(&[term("a", "zone")]), other("default", yes("b")), false),
        ("another namespace", near(&[term("a", "zone")]), other("elsewhere", yes("a")), false),
        ("a named namespace", near(std::slice::from_ref(&in_namespaces)), other("elsewhere", yes("a")), true),
        ("not the named namespace", near(&[in_namespaces]), other("default", yes("a")), false),
        ("any namespace", near(std::slice::from_ref(&in_all)), other("elsewhere", yes("a")), true),
        ("any namespace, other labels", near(&[in_all]), other("elsewhere", yes("b")), false),
        ("a namespace by its labels", near(std::slice::from_ref(&team)), other("team", yes("a")), true),
        ("a namespace without the labels", near(&[team]), other("elsewhere", yes("a")), false),
        (
            "one of two terms",
            near(&[term("a", "zone"), term("b", "zone")]),
            other("default", yes("a")),
            false,
        ),
        ("both terms", near(&[term("a", "zone"), term("b", "zone")]), other("default", ab()), true),
        (
            "anti-affinity only",
            pod("p", affinity("podAntiAffinity", &[term("a", "zone")])),
            other("default", yes("a")),
            false,
        ),
        ("no terms", pod("p", json!({})), other("default", yes("a")), false),
    ];
    let space = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    for (what, p, o, want) in rows {
        let namespace = o["metadata"]["namespace"].as_str().expect("text").to_owned();
        let spaces =
            [space("default", json!({})), space("elsewhere", json!({})), space("team", json!({"team": "x"}))];
        let bench = bench(&[&[node("n", json!({}))][..], &spaces, &[p, o]].concat());
        let event = ClusterEvent::PodAssigned(bench.pod(&namespace, "o"));
        assert_eq!(bench.comes_back(P::INTER_POD_AFFINITY, event), want, "{what}");
        assert!(!bench.comes_back(P::NODE_RESOURCES_FIT, event), "{what}: it takes room, and makes none");
    }
}

#[test]
fn pods_that_count_bring_back_who_is_spread() {
    let hard = || spread(&[constraint("zone", "DoNotSchedule")]);
    let soft = || spread(&[constraint("zone", "ScheduleAnyway")]);
    let rows = [
        ("it counts", hard(), other("default", labels(json!({"a": "yes"}))), true),
        ("other labels", hard(), other("default", labels(json!({"a": "no"}))), false),
        ("another namespace", hard(), other("elsewhere", labels(json!({"a": "yes"}))), false),
        ("it only scores", soft(), other("default", labels(json!({"a": "yes"}))), false),
    ];
    for (what, p, o, want) in rows {
        let namespace = o["metadata"]["namespace"].as_str().expect("text").to_owned();
        let bench = bench(&[node("n", json!({})), p, o]);
        let came = ClusterEvent::PodAssigned(bench.pod(&namespace, "o"));
        assert_eq!(bench.comes_back(P::POD_TOPOLOGY_SPREAD, came), want, "{what}: comes");
        assert_eq!(
            bench.comes_back(P::POD_TOPOLOGY_SPREAD, bench.gone(&namespace, "o")),
            want,
            "{what}: goes"
        );
    }
}

#[test]
fn pods_that_go_bring_back_who_shared_something() {
    let port = |number: u16, protocol: &str, ip: &str| {
        json!({"spec": {"containers": [{"name": "c", "image": "c",
            "ports": [{"containerPort": 80, "hostPort": number, "protocol": protocol, "hostIP": ip}]}]}})
    };
    let uses = |claim: &str| json!({"spec": {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": claim}}]}});
    let ephemeral = || {
        json!({"spec": {"volumes": [{"name": "d", "ephemeral": {"volumeClaimTemplate": {"spec":
            {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}]}})
    };
    let disk = |image: &str| json!({"spec": {"volumes": [{"name": "d", "rbd": {"monitors": ["m"], "image": image, "pool": "p"}}]}});
    let yes = |key: &str| labels(json!({key: "yes"}));
    let hates = |key: &str| affinity("podAntiAffinity", &[term(key, "zone")]);
    let p = |more: Value| pod("p", more);
    let here = |more: Value| other("default", more);
    let rows = [
        ("room", P::NODE_RESOURCES_FIT, p(json!({})), here(json!({})), true),
        ("the same port", P::NODE_PORTS, p(port(80, "TCP", "")), here(port(80, "TCP", "")), true),
        ("another port", P::NODE_PORTS, p(port(80, "TCP", "")), here(port(81, "TCP", "")), false),
        ("another protocol", P::NODE_PORTS, p(port(80, "TCP", "")), here(port(80, "UDP", "")), false),
        (
            "another address",
            P::NODE_PORTS,
            p(port(80, "TCP", "10.0.0.1")),
            here(port(80, "TCP", "10.0.0.2")),
            false,
        ),
        (
            "any address",
            P::NODE_PORTS,
            p(port(80, "TCP", "10.0.0.1")),
            here(port(80, "TCP", "0.0.0.0")),
            true,
        ),
        ("a pod with a claim", P::NODE_VOLUME_LIMITS, p(uses("c")), here(uses("d")), true),
        ("a pod with an ephemeral volume", P::NODE_VOLUME_LIMITS, p(uses("c")), here(ephemeral()), true),
        ("a pod without volumes", P::NODE_VOLUME_LIMITS, p(uses("c")), here(json!({})), false),
        ("the same claim", P::VOLUME_RESTRICTIONS, p(uses("c")), here(uses("c")), true),
        ("another claim", P::VOLUME_RESTRICTIONS, p(uses("c")), here(uses("d")), false),
        (
            "the same claim elsewhere",
            P::VOLUME_RESTRICTIONS,
            p(uses("c")),
            other("elsewhere", uses("c")),
            false,
        ),
        ("the same disk", P::VOLUME_RESTRICTIONS, p(disk("i")), here(disk("i")), true),
        ("another disk", P::VOLUME_RESTRICTIONS, p(disk("i")), here(disk("j")), false),
        ("no volumes", P::VOLUME_RESTRICTIONS, p(json!({})), here(uses("c")), false),
        ("it was hated", P::INTER_POD_AFFINITY, p(hates("a")), here(yes("a")), true),
        ("it was not", P::INTER_POD_AFFINITY, p(hates("a")), here(yes("b")), false),
        ("it hated", P::INTER_POD_AFFINITY, p(yes("a")), here(hates("a")), true),
        ("it hated others", P::INTER_POD_AFFINITY, p(yes("b")), here(hates("a")), false),
        (
            "it was wanted near",
            P::INTER_POD_AFFINITY,
            p(affinity("podAffinity", &[term("a", "zone")])),
            here(yes("a")),
            false,
        ),
        ("labels only", P::NODE_AFFINITY, p(json!({})), here(json!({})), false),
    ];
    for (what, plugin, p, o, want) in rows {
        let namespace = o["metadata"]["namespace"].as_str().expect("text").to_owned();
        let bench = bench(&[labelled("n", json!({})), p, o]);
        assert_eq!(bench.comes_back(plugin, bench.gone(&namespace, "o")), want, "{what}");
    }
}

#[test]
fn who_is_gone_cannot_be_helped() {
    let mut bench = bench(&[node("n", json!({})), pod("p", json!({}))]);
    let p = bench.pod("default", "p");
    assert!(is_worth_requeuing(&bench.cluster, &bench.seen, p, P::UNKNOWN, ClusterEvent::VolumeAdded));
    bench.cluster.remove_pod(p);
    assert!(!is_worth_requeuing(&bench.cluster, &bench.seen, p, P::UNKNOWN, ClusterEvent::VolumeAdded));
}
