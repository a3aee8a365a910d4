//! Plugins of one's own, preemption and owners that go, on both engines.

use super::work::{Bench, bound_claim, user};
use crate::control::api::new_pod;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::model::pod::PodOwner;
use crate::scheduler::cycle::Outcome;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{
    Binding, Code, Plugin, PluginName, PostFilter, PostFilterMessage, PostFilterPlugin, Rejection,
    Rejections, ReservePlugin, Verdict, View,
};
use crate::scheduler::plugins::default_preemption::DefaultPreemptionArgs;
use crate::scheduler::plugins::inter_pod_affinity::InterPodAffinityArgs;
use crate::scheduler::profile::{PluginPoints, Profile, ProfileConfig};
use crate::scheduler::testing::{labelled, node, pod, requests, running, with};
use serde_json::{Value, json};
use std::sync::Arc;

/// Refuses whatever is to be reserved, and has something to say where no node is left.
#[derive(Debug)]
struct Vault;

const NAME: PluginName = "Vault";

impl Plugin for Vault {
    fn name(&self) -> PluginName {
        NAME
    }
}
impl ReservePlugin for Vault {
    fn reserve(&self, _: &mut Cluster, _: &CycleState, _: &mut Binding) -> Verdict {
        Err(Rejection::text(NAME, Code::Unschedulable, "the vault is locked"))
    }
    fn unreserve(&self, _: &mut Cluster, _: &Binding) {}
}
impl PostFilterPlugin for Vault {
    fn post_filter(
        &self,
        _: &Profile,
        _: View<'_>,
        _: PodId,
        _: &mut CycleState,
        _: Rejections<'_>,
    ) -> PostFilter {
        let message = PostFilterMessage::Text("the vault does not help");
        PostFilter::Unschedulable { message, clear_nomination: false }
    }
}

fn own(objects: &[Value], points: PluginPoints) -> Bench {
    let profile =
        || Profile::with_plugins(&ProfileConfig::default(), &[(points.clone(), 0)]).expect("profile");
    Bench::with_profile(objects, &profile)
}

/// `assumeAndReserve`: the error is about the chosen node alone, and the pod is nowhere afterwards.
#[test]
fn a_pod_that_cannot_be_reserved_for_is_unschedulable() {
    let objects = [node("a", json!({})), node("b", json!({})), pod("p", json!({}))];
    let mut bench = own(&objects, PluginPoints::new(NAME).reserve(Arc::new(Vault)));
    for _ in 0..2 {
        let attempt = bench.attempt("p");
        assert_eq!(
            attempt.message(&bench.cluster.names).as_deref(),
            Some("0/1 nodes are available: 1 the vault is locked.")
        );
        assert_eq!(attempt.rejectors, [NAME]);
        let p = bench.pod("p");
        assert_eq!(bench.cluster.pod(p).placed(), None);
    }
}

/// Also where nobody could be preempted, of which the built-in plugins need not be asked.
#[test]
fn a_post_filter_of_ones_own_is_asked() {
    let objects = [node("a", json!({})), pod("p", requests(json!({"cpu": "5"})))];
    let mut bench = own(&objects, PluginPoints::new(NAME).post_filter(Arc::new(Vault)));
    for _ in 0..3 {
        let message = bench.attempt("p").message(&bench.cluster.names).expect("a message");
        assert!(message.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{message}");
        assert!(message.ends_with("the vault does not help"), "{message}");
    }
}

fn victim(name: &str, node: &str, priority: i32, labels: Value) -> Value {
    let cpu = requests(json!({"cpu": "4"}));
    running(name, node, 0, with(cpu, json!({"metadata": {"labels": labels}, "spec": {"priority": priority}})))
}

/// The search for victims ends with enough candidates of which one violates no budget (`dryRunPreemption`).
#[test]
fn victims_are_looked_for_on_so_many_nodes() {
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}}, "status": {"disruptionsAllowed": 0}});
    // Who runs on a, b and c: protected or not, and the priority; nodes looked at until one is found, who is nominated.
    let rows = [
        ([(true, 1), (false, 5), (false, 1)], 1, "b"),
        ([(false, 5), (false, 1), (false, 1)], 1, "a"),
        ([(false, 5), (false, 1), (false, 0)], 2, "b"),
        ([(false, 5), (false, 1), (false, 0)], 3, "c"),
        ([(true, 5), (true, 1), (false, 7)], 2, "c"),
        ([(true, 5), (true, 1), (true, 0)], 1, "a"),
        ([(true, 5), (true, 1), (true, 0)], 2, "b"),
    ];
    for (nodes, wanted, want) in rows {
        let mut objects = vec![budget.clone()];
        for (name, (protected, priority)) in ["a", "b", "c"].iter().zip(nodes) {
            let labels = if protected { json!({"app": "x"}) } else { json!({}) };
            objects.push(node(name, json!({})));
            objects.push(victim(&format!("v-{name}"), name, priority, labels));
        }
        objects.push(pod("p", with(requests(json!({"cpu": "1"})), json!({"spec": {"priority": 10}}))));
        let args =
            DefaultPreemptionArgs { min_candidate_nodes_percentage: 0, min_candidate_nodes_absolute: wanted };
        let config = ProfileConfig { default_preemption: args, ..ProfileConfig::default() };
        let mut bench = Bench::with_profile(&objects, &|| Profile::new(&config).expect("profile"));
        let Outcome::Unschedulable(said) = bench.attempt("p").outcome else { panic!("{nodes:?}") };
        let nominated = said.nomination.map(|n| bench.cluster.node(n.node).name);
        assert_eq!(nominated.map(|n| bench.cluster.names.text(n)), Some(want), "{nodes:?} {wanted}");
    }
}

/// A node whose driver takes one volume more once the other pod is gone.
#[test]
fn victims_make_room_for_volumes() {
    let mut objects = vec![
        node("a", json!({})),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": "a"},
            "spec": {"drivers": [{"name": "few.csi", "nodeID": "a", "topologyKeys": [], "allocatable": {"count": 1}}]}}),
    ];
    for claim in ["c", "d"] {
        let [bound, volume] = bound_claim(claim, "a");
        let mut volume = with(
            volume,
            json!({"spec": {"csi": {"driver": "few.csi", "volumeHandle": format!("h-{claim}")}}}),
        );
        volume["spec"].as_object_mut().expect("a map").remove("local");
        objects.extend([volume, bound]);
    }
    let uses = |claim: &str| user("u", &[claim])["spec"]["volumes"].clone();
    objects.push(running("v", "a", 0, json!({"spec": {"volumes": uses("c"), "priority": 0}})));
    objects.push(running("bystander", "a", 0, json!({"spec": {"priority": 0}})));
    objects.push(pod("p", json!({"spec": {"volumes": uses("d"), "priority": 10}})));
    let mut bench = Bench::new(&objects);
    let attempt = bench.attempt("p");
    let message = attempt.message(&bench.cluster.names).expect("a message");
    assert!(message.starts_with("0/1 nodes are available: 1 node(s) exceed max volume count."), "{message}");
    let Outcome::Unschedulable(said) = attempt.outcome else { panic!("{message}") };
    let nomination = said.nomination.expect("a nomination");
    assert_eq!((nomination.node, nomination.victims), (bench.node("a"), vec![bench.pod("v")]));
}

/// `DefaultSelector` asks for the pod's controller: without it, and without a service, nothing spreads the pod.
#[test]
fn a_set_that_is_gone_spreads_nobody() {
    let zone = |name: &str, zone: &str| labelled(name, json!({"topology.kubernetes.io/zone": zone}));
    let db = json!({"metadata": {"labels": {"app": "db"}}});
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"},
        "spec": {"replicas": 3, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
                 "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "c"}]}}},
    });
    // Two others on b: but for the set's pod on a, a is the emptier one.
    let mut objects =
        vec![zone("a", "x"), zone("b", "y"), set, pod("model", db.clone()), running("r", "a", 0, db)];
    objects.extend(["s", "t"].map(|name| running(name, "b", 0, json!({}))));
    let mut bench = Bench::new(&objects);
    let model = bench.pod("model");
    let spec = bench.cluster.pod(model).spec;
    bench.cluster.remove_pod(model);
    let (id, _) = bench.cluster.stateful_sets().iter().next().expect("the set");
    for (exists, want) in [(true, "b"), (false, "a"), (true, "b"), (false, "a")] {
        bench.cluster.update_stateful_set(id, |set| set.exists = exists);
        let name = bench.cluster.names.name("db-0");
        let row = new_pod(&mut bench.cluster, name, spec, PodOwner::StatefulSet(id), SimTime::ZERO);
        let pod = bench.cluster.add_pod(row).expect("new");
        let attempt = bench.attempt("db-0");
        let Outcome::Reserved(binding) = &attempt.outcome else { panic!("{attempt:?}") };
        assert_eq!(binding.node, bench.node(want), "{exists}");
        bench.give_back(&attempt);
        bench.cluster.remove_pod(pod);
    }
}

/// With other arguments of the plugins that relate pods to each other nothing is kept count of: the fast path takes pods only while nobody
/// asks about others.
#[test]
fn other_arguments_of_relations() {
    let app = json!({"metadata": {"labels": {"app": "x"}}});
    let affinity = |kind: &str, when: &str| {
        let term =
            json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "x"}}});
        let term =
            if when.starts_with("required") { term } else { json!({"weight": 5, "podAffinityTerm": term}) };
        with(app.clone(), json!({"spec": {"affinity": {kind: {when: [term]}}}}))
    };
    let (required, preferred) =
        ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution");
    let spread = json!({"spec": {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "x"}}}]}});
    let on_nodes = json!({"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]}]}}}}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
        "spec": {"selector": {"app": "y"}}});
    let other = |more: Value| vec![running("o", "a", 0, more)];
    let rows = [
        ("nobody", vec![], json!({}), true),
        ("somebody", other(app.clone()), json!({}), true),
        ("it asks about nodes", vec![], on_nodes, true),
        ("it prefers others", vec![], affinity("podAffinity", preferred), false),
        ("it requires others", vec![], affinity("podAffinity", required), false),
        ("it avoids others", vec![], affinity("podAntiAffinity", required), false),
        ("it spreads", vec![], with(app.clone(), spread), false),
        ("a service", vec![service], json!({}), false),
        ("somebody prefers others", other(affinity("podAffinity", preferred)), json!({}), false),
        ("somebody requires others", other(affinity("podAffinity", required)), json!({}), false),
        ("somebody avoids others", other(affinity("podAntiAffinity", required)), json!({}), false),
    ];
    let inter_pod_affinity =
        InterPodAffinityArgs { hard_pod_affinity_weight: 2, ..InterPodAffinityArgs::default() };
    let config = ProfileConfig { inter_pod_affinity, ..ProfileConfig::default() };
    for (what, more, p, taken) in rows {
        let mut objects = vec![node("a", json!({})), node("b", json!({}))];
        objects.extend(more);
        objects.push(pod("p", p));
        let mut bench = Bench::with_profile(&objects, &|| Profile::new(&config).expect("profile"));
        let (_, work) = bench.cost("p");
        assert_eq!((work.fast.decided, work.plain), (u64::from(taken), u64::from(!taken)), "{what}");
    }
    // A failure that is slept over holds no longer once somebody asks about others.
    let objects = [node("a", json!({})), pod("p", requests(json!({"cpu": "5"})))];
    let mut bench = Bench::with_profile(&objects, &|| Profile::new(&config).expect("profile"));
    bench.attempt("p");
    let doze = bench.take_doze().expect("the failure may be slept over");
    assert!(bench.still_fails(&doze), "nothing has changed");
    let hater = running("o", "a", 0, affinity("podAntiAffinity", required));
    bench.add_pod(hater);
    assert!(!bench.still_fails(&doze));
}
