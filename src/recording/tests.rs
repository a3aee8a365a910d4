use super::*;

/// A recording of one node, one volume, and what else the entries tell.
fn watch(manifests: &str, timeline: &str, more: &str) -> String {
    format!(
        r#"{{"scenario": "t", "durationSeconds": 60, {more} "manifests": [
        {{"apiVersion": "v1", "kind": "Node", "metadata": {{"name": "n1"}}}},
        {{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {{"name": "pv1"}},
          "spec": {{"storageClassName": "local"}}}} {manifests}],
        "timeline": [
        {{"t": 0.1, "kind": "Node", "name": "n1", "ev": "ADDED", "taints": [], "cpu": "4"}},
        {{"t": 0.2, "kind": "PersistentVolume", "name": "pv1", "ev": "ADDED", "phase": "Available"}} {timeline}]}}"#
    )
}

const POD: &str =
    r#", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}, "spec": {}}"#;
const SET: &str = r#", {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s", "namespace": "ns"},
    "spec": {"replicas": 2}}"#;

/// The timeline of the scenario that a recording becomes.
fn timeline(text: String) -> Vec<String> {
    let made = import("t.json", text, "t/").unwrap_or_else(|errors| panic!("{errors}"));
    let (_, timeline) = made.scenario.split_once("timeline:\n").unwrap_or_default();
    timeline.lines().map(|line| line.trim().trim_start_matches("- ").to_owned()).collect()
}

#[test]
fn what_controllers_explain_is_not_done_again() {
    let pod = r#", {"t": 1, "kind": "Pod", "name": "p", "ev": "ADDED", "phase": "Pending", "node": null},
        {"t": 2, "kind": "Pod", "name": "p", "ev": "MODIFIED", "changed": {"node": "n1"}}"#;
    let marked = r#", {"t": 9, "kind": "Pod", "name": "p", "ev": "MODIFIED",
        "changed": {"deletionTimestamp": "x", "graceSeconds": 30}}"#;
    let zero = r#", {"t": 9.5, "kind": "Pod", "name": "p", "ev": "MODIFIED", "changed": {"graceSeconds": 0}},
        {"t": 9.6, "kind": "Pod", "name": "p", "ev": "DELETED"}"#;
    let target = |reason: &str| {
        format!(
            r#", {{"t": 8.9, "kind": "Pod", "name": "p", "ev": "MODIFIED",
            "changed": {{"DisruptionTarget": {{"status": "True", "reason": "{reason}"}}}}}}"#
        )
    };
    let finished = r#""kubeletSim": [{"kind": "pod", "msg": "kubelet on n1 finished deletion", "obj": "ns/p", "t": 9.5}],"#;
    let silent = r#""kubeletSim": [{"kind": "node", "msg": "silent", "obj": "n1", "t": 5}],"#;
    let created = "{at: 1s, apply: t/0001-pod-p.yaml}".to_owned();
    let cases: &[(&str, String, &str, &[&str])] = &[
        ("a person deletes it", format!("{pod}{marked}{zero}"), finished, &["{at: 9s, deletePod: ns/p}"]),
        ("taint eviction", format!("{pod}{}{marked}", target("DeletionByTaintManager")), "", &[]),
        ("preemption", format!("{pod}{}{marked}{zero}", target("PreemptionByScheduler")), finished, &[]),
        (
            "by force after eviction, the kubelet being silent",
            format!("{pod}{}{marked}{zero}", target("DeletionByTaintManager")),
            silent,
            &["{at: 5s, nodeDown: n1}", "{at: 9.5s, deletePod: {name: ns/p, force: true}}"],
        ),
        (
            "by force at once",
            format!("{pod}{zero}"),
            silent,
            &["{at: 5s, nodeDown: n1}", "{at: 9.5s, deletePod: {name: ns/p, force: true}}"],
        ),
    ];
    for (what, entries, more, expected) in cases {
        let mut wanted = vec![created.clone()];
        wanted.extend(expected.iter().map(|line| (*line).to_owned()));
        let found = timeline(watch(POD, entries, more));
        assert_eq!(found, wanted, "{what}");
    }
}

#[test]
fn pods_of_sets_go_with_their_sets() {
    let base = r#", {"t": 1, "kind": "StatefulSet", "name": "s", "ev": "ADDED", "spec.replicas": 2},
        {"t": 1.1, "kind": "Pod", "name": "s-0", "ev": "ADDED", "node": "n1"},
        {"t": 1.2, "kind": "Pod", "name": "s-1", "ev": "ADDED", "node": "n1"}"#;
    let scaled = r#", {"t": 5, "kind": "StatefulSet", "name": "s", "ev": "MODIFIED", "changed": {"spec.replicas": 1}},
        {"t": 5.01, "kind": "Pod", "name": "s-1", "ev": "MODIFIED", "changed": {"deletionTimestamp": "x", "graceSeconds": 30}},
        {"t": 7, "kind": "Pod", "name": "s-0", "ev": "MODIFIED", "changed": {"deletionTimestamp": "x", "graceSeconds": 30}},
        {"t": 20, "kind": "StatefulSet", "name": "s", "ev": "DELETED"}"#;
    assert_eq!(
        timeline(watch(SET, &format!("{base}{scaled}"), "")),
        [
            "{at: 1s, apply: t/0001-statefulset-s.yaml}",
            "{at: 5s, scale: {statefulset: ns/s, replicas: 1}}",
            "{at: 7s, deletePod: ns/s-0}",
            "{at: 20s, delete: {kind: StatefulSet, name: ns/s}}",
        ]
    );
}

#[test]
fn volumes_and_nodes_tell_what_people_did_to_them() {
    let pod = r#", {"t": 1, "kind": "Pod", "name": "p", "ev": "ADDED"}"#;
    let cases: &[(&str, &[&str])] = &[
        (
            r#"{"t": 2, "kind": "Node", "name": "n1", "ev": "MODIFIED", "changed": {"taints": ["node.kubernetes.io/unreachable=:NoSchedule"]}}"#,
            &[],
        ),
        (
            r#"{"t": 2, "kind": "Node", "name": "n1", "ev": "MODIFIED", "changed": {"taints": ["node.kubernetes.io/out-of-service=x:NoExecute"]}}"#,
            &[
                r#"{at: 2s, taint: {node: n1, taint: "node.kubernetes.io/out-of-service=x:NoExecute", remove: false}}"#,
            ],
        ),
        (
            r#"{"t": 2, "kind": "Node", "name": "n1", "ev": "MODIFIED", "changed": {"unschedulable": true}},
               {"t": 2.1, "kind": "Node", "name": "n1", "ev": "MODIFIED", "changed": {"taints": ["node.kubernetes.io/unschedulable=:NoSchedule"]}},
               {"t": 3, "kind": "Node", "name": "n1", "ev": "MODIFIED", "changed": {"unschedulable": null}},
               {"t": 3.1, "kind": "Node", "name": "n1", "ev": "MODIFIED", "changed": {"taints": []}}"#,
            &["{at: 2s, cordon: n1}", "{at: 3s, uncordon: n1}"],
        ),
        (
            r#"{"t": 2, "kind": "Node", "name": "n1", "ev": "MODIFIED", "changed": {"cpu": "500m"}},
               {"t": 3, "kind": "Node", "name": "n1", "ev": "DELETED"}"#,
            &[r#"{at: 2s, setAllocatable: {node: n1, cpu: "500m"}}"#, "{at: 3s, nodeDelete: n1}"],
        ),
        (
            r#"{"t": 2, "kind": "PersistentVolume", "name": "pv1", "ev": "MODIFIED", "changed": {"claim": "ns/c uid=1", "annotations": {}}},
               {"t": 3, "kind": "PersistentVolume", "name": "pv1", "ev": "MODIFIED", "changed": {"claim": null}},
               {"t": 4, "kind": "PersistentVolume", "name": "pv1", "ev": "MODIFIED", "changed": {"deletionTimestamp": "x"}},
               {"t": 4.1, "kind": "PersistentVolume", "name": "pv1", "ev": "DELETED"}"#,
            &["{at: 3s, clearClaimRef: pv1}", "{at: 4s, deletePv: pv1}"],
        ),
        (
            // Protection would have kept it.
            r#"{"t": 2, "kind": "PersistentVolume", "name": "pv1", "ev": "MODIFIED", "changed": {"phase": "Bound"}},
               {"t": 4, "kind": "PersistentVolume", "name": "pv1", "ev": "MODIFIED", "changed": {"deletionTimestamp": "x"}},
               {"t": 4.1, "kind": "PersistentVolume", "name": "pv1", "ev": "DELETED"}"#,
            &["{at: 4s, deletePv: {name: pv1, force: true}}"],
        ),
        (
            r#"{"t": 2, "kind": "ACTION", "what": "stop kube-controller-manager (SIGSTOP)"},
               {"t": 30, "kind": "ACTION", "what": "kcm continues: started again"}"#,
            &["{at: 2s, controllerManagerDown: 28s}"],
        ),
        (r#"{"t": 2, "kind": "ACTION", "what": "silence n1"}"#, &["{at: 2s, nodeDown: n1}"]),
    ];
    for (entries, expected) in cases {
        let found = timeline(watch(POD, &format!("{pod}, {entries}"), ""));
        assert_eq!(found[1..], **expected, "{entries}");
    }
}

#[test]
fn an_operation_list_keeps_its_verbs() {
    let text = r#"{"scenario": "c", "settings": {"durationSeconds": 360, "kcmStart": -8.5,
        "kubeControllerManagerArgs": "--kube-api-qps=1000 --kube-api-burst=1000",
        "staticProvisioner": "left so for 5.0 s (the wipe)"},
        "cluster": {"nodes": [{"kind": "Node", "metadata": {"name": "n1"}}]},
        "operations": [
        {"t": 0.5, "verb": "create", "kind": "StatefulSet", "name": "s",
         "manifest": {"kind": "StatefulSet", "metadata": {"name": "s", "namespace": "churn"}}},
        {"t": 2, "verb": "scale", "kind": "StatefulSet", "name": "s", "replicas": 3},
        {"t": 150, "verb": "silence", "kind": "Node", "name": "n1"},
        {"t": 240, "verb": "unsilence", "kind": "Node", "name": "n1"},
        {"t": 250, "verb": "delete", "kind": "StatefulSet", "name": "s"},
        {"t": 260, "verb": "deleteClaims", "kind": "PersistentVolumeClaim", "name": "s", "claims": ["data-s-0"]}]}"#;
    let made = import("c.json", text.to_owned(), "c/").unwrap_or_else(|errors| panic!("{errors}"));
    for part in [
        "duration: 360s\n",
        "kcm: {qps: 1000, burst: 1000, upFor: 8.5s}",
        "staticProvisioner: {wipe: 5s}",
        "{at: 0.5s, apply: c/0001-statefulset-s.yaml}",
        "{at: 2s, scale: {statefulset: churn/s, replicas: 3}}",
        "{at: 150s, nodeDown: n1}",
        "{at: 240s, nodeUp: n1}",
        "{at: 250s, delete: {kind: StatefulSet, name: churn/s}}",
        "{at: 260s, deletePvc: churn/data-s-0}",
    ] {
        assert!(made.scenario.contains(part), "{part} in\n{}", made.scenario);
    }
}

#[test]
fn bad_recordings_are_refused_with_their_place() {
    let cases: &[(&str, &str)] = &[
        ("", "1:1"),
        ("[1]", "1:1"),
        ("{\"timeline\": []}", "has no `manifests`"),
        ("{\"manifests\": [], \"timeline\": 5}", "`timeline` is the number `5`"),
        ("{\"manifests\": [5], \"timeline\": []}", "the manifest is the number `5`"),
        ("{\"manifests\": [{\"kind\": \"Pod\"}], \"timeline\": []}", "has no `metadata`"),
        ("{\"manifests\": [], \"timeline\": [{\"t\": -1, \"kind\": \"Pod\"}]}", "0 or more"),
        ("{\"manifests\": [], \"timeline\": [{\"t\": 1e99, \"kind\": \"Pod\"}]}", "0 or more"),
        ("{\"operations\": []}", "no `cluster`"),
        (
            "{\"cluster\": {}, \"operations\": [{\"t\": 1, \"verb\": \"crate\", \"name\": \"x\"}]}",
            "did you mean `create`",
        ),
        (
            "{\"cluster\": {}, \"operations\": [{\"t\": 1, \"verb\": \"scale\", \"kind\": \"Job\", \"name\": \"x\", \"replicas\": -1}]}",
            "1000000",
        ),
        ("{\"manifests\": [], \"timeline\": []} x", "behind the recording"),
        ("{\"manifests\": [], \"timeline\": [", "end of the text"),
    ];
    for (text, expected) in cases {
        let errors = import("bad.json", (*text).to_owned(), "bad/").expect_err(text).to_string();
        assert!(errors.contains(expected), "{text}:\n{errors}");
    }
}

#[test]
fn objects_that_the_recorder_did_not_watch_come_with_their_neighbours() {
    let class =
        r#", {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"}}"#;
    let budget = r#", {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "ns"}}"#;
    let text = watch(
        &format!("{class}{POD}{budget}"),
        r#", {"t": 3, "kind": "Pod", "name": "p", "ev": "ADDED"}"#,
        "",
    );
    let made = import("t.json", text, "t/").unwrap_or_else(|errors| panic!("{errors}"));
    let start = &made.manifests.iter().find(|(path, _)| path == "t/start.yaml").expect("a start").1;
    assert!(start.contains("kind: StorageClass"), "{start}");
    assert!(
        made.scenario.contains("{at: 3s, apply: t/0002-poddisruptionbudget-b.yaml}"),
        "{}",
        made.scenario
    );
}
