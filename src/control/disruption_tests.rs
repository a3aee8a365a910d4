//! How many pods a budget lets go, and which evictions are refused.

use super::*;
use crate::control::api::new_pod;
use crate::model::names::sym;
use crate::scheduler::testing::{cluster, pod, with};
use serde_json::{Value, json};

#[test]
fn percentages_round_up() {
    for (percent, of, want) in
        [(50, 3, 2), (33, 3, 1), (34, 3, 2), (100, 5, 5), (0, 5, 0), (1, 100, 1), (1, 101, 2)]
    {
        assert_eq!(share(percent, of), want, "{percent} % of {of}");
    }
}

fn budget(name: &str, spec: Value) -> Value {
    let base = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "db"}}},
    });
    with(base, json!({"spec": spec}))
}

fn member(name: &str, more: Value) -> Value {
    with(pod(name, json!({"metadata": {"labels": {"app": "db"}}})), more)
}

fn find(cluster: &Cluster, name: &str) -> PodId {
    let name = cluster.names.get_name(name).expect("name");
    cluster.pod_by_name(sym::DEFAULT, name).expect("a pod")
}

/// A cluster of bare pods `p0`, `p1` ... and budgets. The first `ready` pods run and are ready.
fn bare(pods: usize, ready: usize, budgets: &[Value]) -> (Cluster, Vec<PodId>) {
    let mut objects: Vec<Value> = (0..pods).map(|index| member(&format!("p{index}"), json!({}))).collect();
    objects.extend_from_slice(budgets);
    let mut cluster = cluster(&objects);
    let ids: Vec<PodId> = (0..pods).map(|index| find(&cluster, &format!("p{index}"))).collect();
    for (index, id) in ids.iter().enumerate() {
        cluster.set_pod_status(*id, PodPhase::Running, index < ready);
    }
    (cluster, ids)
}

/// `replicas` as the StatefulSet says, and so many pods of it that are there, all ready.
fn set(replicas: u32, there: u32, spec: Value) -> (Cluster, Vec<PodId>) {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"},
        "spec": {"replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
                 "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "c"}]}}},
    });
    let mut cluster = cluster(&[owner, member("model", json!({})), budget("b", spec)]);
    let model = find(&cluster, "model");
    let spec = cluster.pod(model).spec;
    cluster.remove_pod(model);
    let (id, _) = cluster.stateful_sets().iter().next().expect("the set");
    let pods = (0..there).map(|ordinal| {
        let name = cluster.names.name(&format!("db-{ordinal}"));
        let row =
            new_pod(&mut cluster, name, spec, PodOwner::StatefulSet(id), crate::engine::time::SimTime::ZERO);
        let pod = cluster.add_pod(row).expect("new");
        cluster.set_pod_status(pod, PodPhase::Running, true);
        pod
    });
    let pods = pods.collect();
    (cluster, pods)
}

fn allows(cluster: &mut Cluster) -> i32 {
    Disruptions::default().sync(cluster);
    cluster.budgets()[0].disruptions_allowed
}

#[test]
fn what_budgets_allow() {
    // Pods, those of them that are ready, the rule.
    let rows = [
        ("two of three must stay", 3, 3, json!({"minAvailable": 2}), 1),
        ("all must stay", 3, 3, json!({"minAvailable": 3}), 0),
        ("more than there are", 3, 3, json!({"minAvailable": 5}), 0),
        ("one is not ready", 3, 2, json!({"minAvailable": 2}), 0),
        ("two are not ready", 5, 3, json!({"minAvailable": 2}), 1),
        ("none must stay", 3, 3, json!({"minAvailable": 0}), 3),
        ("there are none", 0, 0, json!({"minAvailable": 0}), 0),
        ("nobody says how many there are to be: a half of nothing", 4, 4, json!({"minAvailable": "50%"}), 0),
        ("nobody says how many there are to be: one of nothing", 4, 4, json!({"maxUnavailable": 1}), 0),
    ];
    for (what, pods, ready, rule, want) in rows {
        assert_eq!(allows(&mut bare(pods, ready, &[budget("b", rule)]).0), want, "{what}");
    }
    // Replicas wanted, pods there, the rule.
    let rows = [
        ("half of five, rounded up, is three", 5, 5, json!({"minAvailable": "50%"}), 2),
        ("of what is wanted, not of what is there", 5, 4, json!({"minAvailable": "50%"}), 1),
        ("one may be away", 3, 3, json!({"maxUnavailable": 1}), 1),
        ("one is away", 3, 2, json!({"maxUnavailable": 1}), 0),
        ("more than there are", 3, 3, json!({"maxUnavailable": 7}), 3),
        ("none may be away", 3, 3, json!({"maxUnavailable": 0}), 0),
        ("a third of five, rounded up, is two", 5, 5, json!({"maxUnavailable": "34%"}), 2),
        ("all may be away", 5, 5, json!({"maxUnavailable": "100%"}), 5),
        ("scaled down, one left", 0, 1, json!({"maxUnavailable": 1}), 0),
    ];
    for (what, replicas, there, rule, want) in rows {
        assert_eq!(allows(&mut set(replicas, there, rule).0), want, "{what}");
    }
}

/// `getExpectedScale` leaves out pods without a controller, though they are healthy; and a Job has no scale.
#[test]
fn whose_scale_is_asked_for() {
    let (mut cluster, pods) = set(3, 3, json!({"maxUnavailable": 1}));
    assert_eq!(allows(&mut cluster), 1);
    let spec = cluster.pod(pods[0]).spec;
    let mut add = |name: &str, owner: PodOwner| {
        let name = cluster.names.name(name);
        let row = new_pod(&mut cluster, name, spec, owner, crate::engine::time::SimTime::ZERO);
        let pod = cluster.add_pod(row).expect("new");
        cluster.set_pod_status(pod, PodPhase::Running, true);
        allows(&mut cluster)
    };
    assert_eq!(add("alone", PodOwner::None), 2, "four are healthy of whom two must stay");
    assert_eq!(
        add("work", PodOwner::Job(crate::model::ids::JobId::at(0))),
        0,
        "found no controllers for pod"
    );
}

#[test]
fn who_ends_or_terminates_is_not_healthy() {
    let (mut cluster, pods) = bare(4, 4, &[budget("b", json!({"minAvailable": 1}))]);
    assert_eq!(allows(&mut cluster), 3);
    cluster.mark_pod_deleted(pods[0]);
    assert_eq!(allows(&mut cluster), 2);
    cluster.set_pod_status(pods[1], PodPhase::Failed, false);
    assert_eq!(allows(&mut cluster), 1);
}

#[test]
fn budgets_follow_their_pods() {
    let other = json!({"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 0});
    let (mut cluster, pods) = bare(3, 2, &[budget("b", json!({"minAvailable": 1})), budget("other", other)]);
    let mut disruptions = Disruptions::default();
    assert!(disruptions.sync(&mut cluster), "more than nothing");
    let allowed = |cluster: &Cluster| [0, 1].map(|index| cluster.budgets()[index].disruptions_allowed);
    assert_eq!(allowed(&cluster), [1, 0], "the other protects nobody");
    assert!(!disruptions.sync(&mut cluster), "nothing has changed");
    cluster.set_pod_status(pods[2], PodPhase::Running, true);
    assert!(!disruptions.sync(&mut cluster), "nobody has told");
    disruptions.pod_changed(&cluster, pods[2]);
    assert!(disruptions.sync(&mut cluster));
    assert_eq!(allowed(&cluster), [2, 0]);
    cluster.set_pod_status(pods[2], PodPhase::Running, false);
    disruptions.pod_changed(&cluster, pods[2]);
    assert!(!disruptions.sync(&mut cluster), "that is less");
    assert_eq!(allowed(&cluster), [1, 0]);
    cluster.remove_pod(pods[0]);
    disruptions.pod_gone(pods[0]);
    disruptions.pod_gone(pods[0]);
    assert!(!disruptions.sync(&mut cluster));
    assert_eq!(allowed(&cluster), [0, 0]);
}

#[test]
fn budgets_follow_the_size_of_the_set() {
    let (mut cluster, _) = set(5, 5, json!({"maxUnavailable": 2}));
    let mut disruptions = Disruptions::default();
    disruptions.sync(&mut cluster);
    assert_eq!(cluster.budgets()[0].disruptions_allowed, 2);
    let (id, _) = cluster.stateful_sets().iter().next().expect("the set");
    cluster.update_stateful_set(id, |set| set.replicas = 6);
    disruptions.workload_changed();
    assert!(!disruptions.sync(&mut cluster));
    assert_eq!(cluster.budgets()[0].disruptions_allowed, 1, "one of six is away already");
}

#[test]
fn evictions_are_counted_against_the_budget() {
    let (mut cluster, pods) = bare(4, 4, &[budget("b", json!({"minAvailable": 2}))]);
    let mut disruptions = Disruptions::default();
    assert_eq!(disruptions.evict(&mut cluster, pods[0]), Eviction::Allowed);
    assert_eq!(disruptions.evict(&mut cluster, pods[1]), Eviction::Allowed);
    assert_eq!(cluster.budgets()[0].disruptions_allowed, 0);
    assert_eq!(disruptions.evict(&mut cluster, pods[2]), Eviction::Forbidden);
    // Whoever does not run any more, or not yet, or goes anyway, may go.
    cluster.mark_pod_deleted(pods[2]);
    assert_eq!(disruptions.evict(&mut cluster, pods[2]), Eviction::Allowed);
    cluster.set_pod_status(pods[3], PodPhase::Succeeded, false);
    assert_eq!(disruptions.evict(&mut cluster, pods[3]), Eviction::Allowed);
    cluster.set_pod_status(pods[1], PodPhase::Pending, false);
    assert_eq!(disruptions.evict(&mut cluster, pods[1]), Eviction::Allowed);
    assert_eq!(cluster.budgets()[0].disruptions_allowed, 0);
}

#[test]
fn unready_pods_go_while_the_budget_is_met() {
    let evict_last = |pods: usize, ready: usize, rule: Value| {
        let (mut cluster, ids) = bare(pods, ready, &[budget("b", rule)]);
        let said = Disruptions::default().evict(&mut cluster, ids[pods - 1]);
        (said, cluster.budgets()[0].disruptions_allowed)
    };
    assert_eq!(evict_last(3, 2, json!({"minAvailable": 2})), (Eviction::Allowed, 0), "two are ready");
    assert_eq!(evict_last(3, 1, json!({"minAvailable": 2})), (Eviction::Forbidden, 0), "one is ready");
    assert_eq!(evict_last(3, 2, json!({"minAvailable": 1})), (Eviction::Allowed, 1), "it does not count");
    let always = json!({"minAvailable": 2, "unhealthyPodEvictionPolicy": "AlwaysAllow"});
    assert_eq!(evict_last(3, 1, always), (Eviction::Allowed, 0));
    // A budget that asks for nothing is not met in this sense: the pod counts.
    assert_eq!(evict_last(3, 2, json!({"minAvailable": 0})), (Eviction::Allowed, 1));
}

#[test]
fn nobody_may_have_two_budgets() {
    let (mut cluster, pods) =
        bare(3, 3, &[budget("a", json!({"minAvailable": 0})), budget("b", json!({"minAvailable": 0}))]);
    assert_eq!(Disruptions::default().evict(&mut cluster, pods[0]), Eviction::Forbidden);
    let web = json!({"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 3});
    let (mut cluster, pods) = bare(3, 3, &[budget("a", web)]);
    assert_eq!(Disruptions::default().evict(&mut cluster, pods[0]), Eviction::Allowed, "nobody's");
}
