//! The manifests in deploy/ are what the Kubernetes API takes, and agree with each other.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim};
use std::path::Path;
use stowplan::diagnostic::Sources;
use stowplan::scenario::de::from_value;
use stowplan::scenario::tree::{Limits, Value};
use stowplan::scenario::yaml::parse_all;

fn documents(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes").join(file);
    let mut sources = Sources::new();
    let source = sources.add(file, std::fs::read_to_string(path).expect("reads"));
    parse_all(&sources, source, &Limits::scenario()).expect("is YAML")
}

/// Of the kind, with no field that the kind does not know.
fn object<T: serde::de::DeserializeOwned>(value: &Value, kind: &str) -> T {
    assert_eq!(value.get("kind").and_then(Value::as_text), Some(kind));
    let mut unknown = Vec::new();
    let object = from_value(value, &mut unknown).expect("is of its kind");
    assert!(unknown.is_empty(), "{unknown:?}");
    object
}

fn container(job: &Job) -> &Container {
    let pod = job.spec.as_ref().and_then(|s| s.template.spec.as_ref()).expect("has a pod");
    assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
    let container = pod.containers.first().expect("has a container");
    let volumes: Vec<&str> = pod.volumes.iter().flatten().map(|v| v.name.as_str()).collect();
    let mounts = container.volume_mounts.iter().flatten();
    assert!(mounts.clone().all(|m| volumes.contains(&m.name.as_str())));
    container
}

#[test]
fn the_indexed_job_does_all_shards_and_the_merge_takes_them() {
    let found = documents("job.yaml");
    assert_eq!(found.len(), 2);
    let claim: PersistentVolumeClaim = object(&found[0], "PersistentVolumeClaim");
    let job: Job = object(&found[1], "Job");
    let spec = job.spec.as_ref().expect("has a spec");
    assert_eq!(spec.completion_mode.as_deref(), Some("Indexed"));
    let count = spec.completions.expect("has completions");
    let args = container(&job).args.clone().expect("has arguments");
    assert_eq!(args[0], "sweep");
    assert!(args.contains(&"--resume".to_owned()));
    assert!(args.contains(&format!("--shard=$(JOB_COMPLETION_INDEX)/{count}")));

    let merge: Job = object(&documents("merge.yaml")[0], "Job");
    let merged = container(&merge).args.clone().expect("has arguments");
    assert_eq!(merged[0], "merge");
    let mut wanted: Vec<String> = (0..count).map(|i| format!("/results/shards/{i}")).collect();
    wanted.push("--output=/results/sweep".to_owned());
    assert_eq!(merged[1..], wanted);
    assert_eq!(container(&merge).image, container(&job).image);
    for job in [&job, &merge] {
        let pod = job.spec.as_ref().and_then(|s| s.template.spec.as_ref()).expect("has a pod");
        let claims = pod.volumes.iter().flatten().filter_map(|v| v.persistent_volume_claim.as_ref());
        let names: Vec<Option<&str>> = claims.map(|c| Some(c.claim_name.as_str())).collect();
        assert_eq!(names, [claim.metadata.name.as_deref()]);
    }
}
