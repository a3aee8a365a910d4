//! InterPodAffinity.

use crate::scheduler::testing::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NO_AFFINITY: &str = "node(s) didn't match pod affinity rules";
const NO_ANTI: &str = "node(s) didn't match pod anti-affinity rules";
const NO_EXISTING: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

fn zones() -> Vec<Value> {
    [("a1", "a"), ("a2", "a"), ("b1", "b")].map(|(name, zone)| labelled(name, json!({"zone": zone}))).to_vec()
}

fn term(app: &str, more: Value) -> Value {
    with(json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": app}}}), more)
}

fn required(kind: &str, term: Value) -> Value {
    json!({"spec": {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}})
}

fn preferred(kind: &str, weight: i32, term: Value) -> Value {
    let list = json!([{"weight": weight, "podAffinityTerm": term}]);
    json!({"spec": {"affinity": {kind: {"preferredDuringSchedulingIgnoredDuringExecution": list}}}})
}

fn app(name: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}}})
}

fn check(more: Vec<Value>, want: [&str; 3]) {
    let mut objects = zones();
    objects.extend(more);
    let expect = decide_one(objects);
    let want: BTreeMap<&str, String> = ["a1", "a2", "b1"].into_iter().zip(want.map(str::to_owned)).collect();
    assert_eq!(verdicts(&expect), want);
}

#[test]
fn required_affinity_and_its_first_pod() {
    let near =
        |own: &str, wanted: &str| pod("p", with(app(own), required("podAffinity", term(wanted, json!({})))));
    let db = || running("db", "a1", 0, app("db"));
    check(vec![db(), near("web", "db")], ["ok", "ok", NO_AFFINITY]);
    check(vec![near("web", "db")], [NO_AFFINITY; 3]);
    // The first of a series that wants itself may go anywhere, but only if nobody matches yet.
    check(vec![near("web", "web")], ["ok"; 3]);
    check(vec![running("w", "b1", 0, app("web")), near("web", "web")], [NO_AFFINITY, NO_AFFINITY, "ok"]);
    // All nodes need the label.
    let mut objects = zones();
    objects.insert(0, node("c1", json!({})));
    objects.push(near("web", "web"));
    assert_eq!(verdicts(&decide_one(objects))["c1"], NO_AFFINITY);
}

#[test]
fn anti_affinity_in_both_directions() {
    let apart = |own: &str, from: &str| with(app(own), required("podAntiAffinity", term(from, json!({}))));
    check(vec![running("db", "a1", 0, app("db")), pod("p", apart("web", "db"))], [NO_ANTI, NO_ANTI, "ok"]);
    let existing = running("db", "a1", 0, apart("db", "web"));
    check(vec![existing.clone(), pod("p", app("web"))], [NO_EXISTING, NO_EXISTING, "ok"]);
    check(vec![existing, pod("p", app("other"))], ["ok"; 3]);
    // A terminating pod counts.
    let going = with(
        running("db", "a1", 0, app("db")),
        json!({"metadata": {"deletionTimestamp": "2025-01-01T00:00:00Z"}}),
    );
    check(vec![going, pod("p", apart("web", "db"))], [NO_ANTI, NO_ANTI, "ok"]);
}

#[test]
fn one_pod_must_match_all_terms() {
    let two = |extra: &str| {
        let list = json!([term("db", json!({})), {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"tier": extra}}}]);
        json!({"spec": {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list}}}})
    };
    let db = running("db", "a1", 0, json!({"metadata": {"labels": {"app": "db", "tier": "1"}}}));
    let other = running("o", "a2", 0, json!({"metadata": {"labels": {"tier": "2"}}}));
    check(vec![db.clone(), other.clone(), pod("p", two("1"))], ["ok", NO_AFFINITY, NO_AFFINITY]);
    check(vec![db, other, pod("p", two("2"))], [NO_AFFINITY; 3]);
}

#[test]
fn namespaces() {
    let namespace = |name: &str, team: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": team}}});
    let foreign = |name: &str, of: &str| {
        running(name, "a1", 0, with(app("db"), json!({"metadata": {"namespace": of}})))
    };
    let anti = |more: Value| pod("p", required("podAntiAffinity", term("db", more)));
    let all = |pod: Value| vec![namespace("one", "x"), namespace("two", "y"), foreign("db1", "one"), pod];
    let blocked = [NO_ANTI, NO_ANTI, "ok"];
    check(all(anti(json!({}))), ["ok"; 3]); // its own namespace only
    check(all(anti(json!({"namespaces": ["one"]}))), blocked);
    check(all(anti(json!({"namespaceSelector": {}}))), blocked);
    check(all(anti(json!({"namespaceSelector": {"matchLabels": {"team": "x"}}}))), blocked);
    check(all(anti(json!({"namespaceSelector": {"matchLabels": {"team": "y"}}}))), ["ok"; 3]);
    check(
        all(anti(json!({"namespaces": ["one"], "namespaceSelector": {"matchLabels": {"team": "y"}}}))),
        blocked,
    );
    // A selector that matches a namespace without labels matches every namespace: after the lookup it is asked once more with none.
    let absent =
        json!({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}});
    check(all(anti(absent.clone())), blocked);
    check(vec![foreign("db1", "unknown"), anti(absent)], blocked);
    // Terms of running pods look at the incoming pod's real namespace.
    let theirs = |selector: Value| {
        let anti = required("podAntiAffinity", term("db", json!({"namespaceSelector": selector})));
        vec![namespace("default", "x"), running("r", "b1", 0, anti), pod("p", app("db"))]
    };
    check(theirs(json!({"matchLabels": {"team": "x"}})), ["ok", "ok", NO_EXISTING]);
    check(theirs(json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]})), ["ok"; 3]);
}

#[test]
fn preferences_sum_up_and_scale() {
    let of = |more: Vec<Value>| {
        let mut objects = zones();
        objects.extend(more);
        scores(&decide_one(objects), "InterPodAffinity")
    };
    let db = |name: &str, node: &str| running(name, node, 0, app("db"));
    let near = pod("p", preferred("podAffinity", 5, term("db", json!({}))));
    let far = pod("p", preferred("podAntiAffinity", 5, term("db", json!({}))));
    assert_eq!(of(vec![db("d1", "a1"), near.clone()]), [200, 200, 0]);
    // Zone a 10, zone b 5: nothing lies between, so they are 100 and 0.
    assert_eq!(of(vec![db("d1", "a1"), db("d2", "a2"), db("d3", "b1"), near]), [200, 200, 0]);
    assert_eq!(of(vec![db("d1", "a1"), far]), [0, 0, 200]);
    // By host 2, 1, 0 of the largest difference.
    let host = json!({"topologyKey": "kubernetes.io/hostname"});
    let hosts = pod("p", preferred("podAffinity", 1, term("db", host)));
    assert_eq!(of(vec![db("d1", "a1"), db("d2", "a1"), db("d3", "a2"), hosts]), [200, 100, 0]);
    // Preferences and required affinity of running pods pull the incoming one; the required with weight 1.
    let wants =
        |name: &str, node: &str| running(name, node, 0, required("podAffinity", term("web", json!({}))));
    let likes =
        |name: &str, node: &str| running(name, node, 0, preferred("podAffinity", 4, term("web", json!({}))));
    assert_eq!(of(vec![wants("r1", "a1"), likes("r2", "b1"), pod("p", app("web"))]), [0, 0, 200]);
    let avoids = running("r1", "a1", 0, preferred("podAntiAffinity", 9, term("web", json!({}))));
    assert_eq!(of(vec![avoids, pod("p", app("web"))]), [0, 0, 200]);
    // Nothing concerns the pod: no column at all.
    assert!(of(vec![likes("r2", "b1"), pod("p", app("other"))]).is_empty());
}
