use std::path::Path;

use super::*;
use crate::scenario::{LoadOptions as ScenarioOptions, ScenarioFile};

fn objects(text: &str, manifest: &str) -> Result<ScenarioObjects, Diagnostics> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("m.yaml"), manifest).expect("a file");
    let file = ScenarioFile::from_text("s.yaml", text.to_owned(), dir.path(), &ScenarioOptions::default())?;
    for_scenario(&file.resolve(&[])?, LoadOptions::default())
}

const BASE: &str = "version: 1\nname: s\ncluster:\n  storageClasses: [{name: local}]\n  nodes: [{name: db, cpu: 1, memory: 1Gi, count: 2, disks: [{class: local, size: 1Gi, split: 1}]}]\n";
const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata: {name: NAME, labels: {kubernetes.io/hostname: NAME}}\nstatus: {capacity: {cpu: 4, memory: 8Gi, pods: 110}}\n";

#[test]
fn what_the_scenario_names_must_exist() {
    let with = |from: &str, to: &str| BASE.replacen(from, to, 1);
    let node = |name: &str| NODE.replace("NAME", name);
    let manifests = "cluster:\n  manifests: [m.yaml]";
    for (text, manifest, want) in [
        (BASE.to_owned(), String::new(), Ok(())),
        (with("class: local", "class: locla"), String::new(), Err("did you mean `local`?")),
        (with("[{name: local}]", "[]"), String::new(), Err("cluster.storageClasses")),
        (with("count: 2", "count: 0"), String::new(), Err("the cluster has no node")),
        (with("count: 2", "count: 0").replace("cluster:", manifests), node("n1"), Ok(())),
        (with("cluster:", manifests), node("db-1"), Err("m.yaml:1:1")),
        (with("cluster:", manifests), node("db-2"), Ok(())),
        (with("cluster:", manifests), node("db-01"), Ok(())),
        (format!("{BASE}timeline: [{{at: 1d, cordon: db-1}}]\n"), String::new(), Ok(())),
        (
            format!("{BASE}timeline: [{{at: 1d, cordon: db-2}}]\n"),
            String::new(),
            Err("there is no node `db-2`"),
        ),
        (
            with("count: 2", "count: 2, zones: [a, b], racks: 1")
                + "timeline: [{at: 1d, zoneDown: b}, {at: 1d, rackDown: a-r0}, {at: 2d, rackUp: a-r0}]\n",
            String::new(),
            Ok(()),
        ),
        (
            with("count: 2", "count: 2, zones: [east, west]") + "timeline: [{at: 1d, zoneDown: eats}]\n",
            String::new(),
            Err("did you mean `east`?"),
        ),
        (
            format!("{BASE}timeline: [{{at: 1d, rackDown: r0}}]\n"),
            String::new(),
            Err("give the nodes racks: cluster.nodes[].racks"),
        ),
        (
            format!("{BASE}timeline: [{{at: 1d, diskFail: {{node: db-1, disk: 9}}}}]\n"),
            String::new(),
            Err("the node `db-1` has no disk 9"),
        ),
        (
            format!("{BASE}timeline: [{{at: 1d, delete: {{kind: Pot, name: x}}}}]\n"),
            String::new(),
            Err("did you mean `Pod`?"),
        ),
        (
            format!("{BASE}timeline: [{{at: 1d, scale: {{statefulset: default/x-0, replicas: 2}}}}]\n"),
            String::new(),
            Err("there is no StatefulSet `default/x-0`"),
        ),
        (
            format!("{BASE}timeline: [{{at: 1d, apply: m.yaml}}, {{at: 2d, cordon: n1}}]\n"),
            node("n1"),
            Ok(()),
        ),
    ] {
        match (objects(&text, &manifest), want) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{want}: {error}"),
            (Ok(_), Err(want)) => panic!("accepted, wanted {want}: {text}"),
            (Err(error), Ok(())) => panic!("{error}"),
        }
    }
}

#[test]
fn mistakes_in_manifests_point_into_them() {
    let text = BASE.replace("cluster:", "cluster:\n  manifests: [m.yaml]");
    let error = objects(&text, "kind: Node\n").err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("m.yaml:1:1") && error.contains("apiVersion"), "{error}");
}

#[test]
fn a_list_of_files_is_a_scenario_too() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("m.yaml");
    std::fs::write(&path, NODE.replace("NAME", "n1")).expect("a file");
    let named = |p: &Path| vec![p.to_string_lossy().into_owned()];
    let resolve = |files: &[String]| {
        let file = ScenarioFile::from_manifests(files, &ScenarioOptions::default());
        file.resolve(&[]).and_then(|loaded| for_scenario(&loaded, LoadOptions::default()))
    };
    assert_eq!(resolve(&named(&path)).map(|o| o.cluster.len()).ok(), Some(1));
    assert_eq!(resolve(&named(dir.path())).map(|o| o.cluster.len()).ok(), Some(1));
    let error =
        resolve(&named(&dir.path().join("nowhere.yaml"))).err().map(|e| (e.exit_code(), e.to_string()));
    let (code, message) = error.unwrap_or_default();
    assert!(
        code == 2 && message.contains("does not exist") && message.contains("<command line>"),
        "{message}"
    );
}
