//! Objects that ask for something that is not modelled: named where they were written and counted, or with `--strict` refused.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::manifest::{Object, ScenarioObjects, lower};
use crate::results::summary::{Assumption, AssumptionSource};
use crate::scenario::Scenario;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One object with such a field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    /// Such as `spec.resourceClaims`.
    field: String,
    /// Such as `StatefulSet "db"`.
    what: String,
    span: Span,
    /// Pods that would have to be scheduled.
    waiting: u64,
    /// Pods that run already and count with their requests.
    running: u64,
}

/// What was found, as diagnostics (errors if `strict`) and as assumptions with the number of pods.
pub fn find(
    scenario: &Scenario,
    objects: &ScenarioObjects,
    strict: bool,
) -> (Vec<Diagnostic>, Vec<Assumption>) {
    let uses = uses(scenario, objects);
    let mut fields: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for found in &uses {
        let (waiting, running) = fields.entry(&found.field).or_default();
        *waiting += found.waiting;
        *running += found.running;
    }
    let assumptions = fields.into_iter().map(|(field, (waiting, running))| Assumption {
        path: field.to_owned(),
        value: format!("not modelled: {waiting} pending pods, {running} running pods"),
        source: AssumptionSource::Conversion,
        note: "a pending pod that uses it stays Pending with the cause notModelled, a running one counts with its requests".into(),
    });
    let diagnostics = uses.iter().filter(|found| found.waiting > 0).map(|found| {
        let message = format!("{} uses {}, which is not modelled", found.what, found.field);
        let help = "without --strict such pods stay Pending, with the cause notModelled";
        match strict {
            true => Diagnostic::error(Code::NotModelled, message).at(found.span).help(help),
            false => Diagnostic::warning(Code::NotModelled, message)
                .at(found.span)
                .help("its pods stay Pending, with the cause notModelled; --strict refuses them"),
        }
    });
    (diagnostics.collect(), assumptions.collect())
}

fn uses(scenario: &Scenario, objects: &ScenarioObjects) -> Vec<Use> {
    let schedulers: Vec<&str> = match &scenario.scheduler.config {
        None => vec!["default-scheduler"],
        Some(config) => config.profiles.iter().map(|p| p.name.as_str()).collect(),
    };
    let field = |metadata: &ObjectMeta, spec: &PodSpec| {
        lower::not_modelled(metadata, spec).or_else(|| {
            let scheduler = spec.scheduler_name.as_deref().unwrap_or("default-scheduler");
            (!schedulers.contains(&scheduler)).then(|| "spec.schedulerName".to_owned())
        })
    };
    let mut found = Vec::new();
    for object in objects.every() {
        let Some((metadata, spec, pods)) = pods_of(&object.value) else { continue };
        let Some(field) = field(metadata, spec) else { continue };
        let (mut waiting, mut running) = (pods, 0);
        if let Object::Pod(pod) = &object.value {
            let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
            if matches!(phase, Some("Succeeded" | "Failed")) {
                continue;
            }
            if spec.node_name.as_deref().is_some_and(|n| !n.is_empty()) {
                (waiting, running) = (0, 1);
            }
        } else {
            // Pods of it that were listed themselves are counted as such.
            waiting = waiting.saturating_sub(listed_pods(objects, &object.value));
        }
        let what = format!("{} {:?}", object.value.kind(), object.value.name());
        found.push(Use { field, what, span: object.span, waiting, running });
    }
    found
}

/// The metadata and spec of an object's pods, and how many it wants.
fn pods_of(object: &Object) -> Option<(&ObjectMeta, &PodSpec, u64)> {
    let count = |n: Option<i32>| u64::try_from(n.unwrap_or(1)).unwrap_or(0);
    let (metadata, spec, pods) = match object {
        Object::Pod(pod) => (Some(&pod.metadata), pod.spec.as_ref(), 1),
        Object::StatefulSet(set) => {
            let spec = set.spec.as_ref()?;
            (spec.template.metadata.as_ref(), spec.template.spec.as_ref(), count(spec.replicas))
        }
        Object::Deployment(deployment) => {
            let spec = deployment.spec.as_ref()?;
            (spec.template.metadata.as_ref(), spec.template.spec.as_ref(), count(spec.replicas))
        }
        // Those of a Deployment are its own.
        Object::ReplicaSet(set) if set.metadata.owner_references.is_none() => {
            let spec = set.spec.as_ref()?;
            let template = spec.template.as_ref()?;
            (template.metadata.as_ref(), template.spec.as_ref(), count(spec.replicas))
        }
        Object::ReplicationController(controller) => {
            let spec = controller.spec.as_ref()?;
            let template = spec.template.as_ref()?;
            (template.metadata.as_ref(), template.spec.as_ref(), count(spec.replicas))
        }
        Object::Job(job) => {
            let spec = job.spec.as_ref()?;
            let pods = count(spec.completions.or(spec.parallelism));
            (spec.template.metadata.as_ref(), spec.template.spec.as_ref(), pods)
        }
        _ => return None,
    };
    static NONE: LazyLock<ObjectMeta> = LazyLock::new(ObjectMeta::default);
    Some((metadata.unwrap_or(&NONE), spec?, pods))
}

/// Pods in the manifests that the workload object controls, directly or through a ReplicaSet named after it.
fn listed_pods(objects: &ScenarioObjects, owner: &Object) -> u64 {
    let (namespace, name) = (owner.namespace(), owner.name());
    let owned = |pod: &&Object| {
        let Object::Pod(pod) = pod else { return false };
        let controllers =
            pod.metadata.owner_references.iter().flatten().filter(|o| o.controller == Some(true));
        let mut names = controllers.map(|o| o.name.as_str());
        names.any(|n| n == name || n.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')))
    };
    let same_namespace = objects.every().map(|o| &o.value).filter(|o| o.namespace() == namespace);
    same_namespace.filter(owned).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;
    use crate::scenario::{LoadOptions, ScenarioFile};

    fn found(manifest: &str, strict: bool) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().expect("a folder");
        let nodes = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nstatus: {allocatable: {cpu: '4', pods: '10'}}\n---\n";
        std::fs::write(dir.path().join("m.yaml"), format!("{nodes}{manifest}")).expect("a file");
        let text = "version: 1\nname: s\ncluster: {manifests: [m.yaml]}\n".to_owned();
        let file =
            ScenarioFile::from_text("s.yaml", text, dir.path(), &LoadOptions::default()).expect("a scenario");
        let loaded = file.resolve(&[]).expect("a scenario");
        let objects = manifest::for_scenario(&loaded, manifest::LoadOptions::default()).expect("manifests");
        let (diagnostics, assumptions) = find(&loaded.scenario, &objects, strict);
        let severity = |d: &Diagnostic| format!("{:?} {}", d.severity, d.message);
        let words = |a: &Assumption| format!("{}: {}", a.path, a.value);
        (diagnostics.iter().map(severity).collect(), assumptions.iter().map(words).collect())
    }

    #[test]
    fn waiting_pods_are_named_and_running_ones_only_counted() {
        let pods = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {nodeName: n1, resourceClaims: [{name: gpu}], containers: [{name: c, image: i}]}\nstatus: {phase: Running}\n---\n\
            apiVersion: v1\nkind: Pod\nmetadata: {name: b}\nspec: {resourceClaims: [{name: gpu}], containers: [{name: c, image: i}]}\n---\n\
            apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec: {replicas: 3, serviceName: s, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {schedulerName: volcano, containers: [{name: c, image: i}]}}}\n";
        let (diagnostics, assumptions) = found(pods, false);
        assert_eq!(
            diagnostics,
            [
                "Warning Pod \"b\" uses spec.resourceClaims, which is not modelled",
                "Warning StatefulSet \"s\" uses spec.schedulerName, which is not modelled"
            ]
        );
        assert_eq!(
            assumptions,
            [
                "spec.resourceClaims: not modelled: 1 pending pods, 1 running pods",
                "spec.schedulerName: not modelled: 3 pending pods, 0 running pods"
            ]
        );
        let (strict, _) = found(pods, true);
        assert!(strict.iter().all(|d| d.starts_with("Error")), "{strict:?}");
    }

    #[test]
    fn shares_of_gpus_and_declared_features() {
        let pod = |metadata: &str, spec: &str| {
            format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, {metadata}}}\nspec: {{{spec}, containers: [{{name: c, image: i}}]}}\n"
            )
        };
        let one = |metadata: &str, spec: &str| found(&pod(metadata, spec), false).1;
        let share = one("annotations: {alibabacloud.com/gpu-mem: '1024'}", "restartPolicy: Always");
        assert_eq!(
            share,
            ["metadata.annotations[alibabacloud.com/gpu-mem]: not modelled: 1 pending pods, 0 running pods"]
        );
        let users = one("labels: {a: b}", "hostNetwork: true, hostUsers: false");
        assert_eq!(users, ["spec.hostUsers: not modelled: 1 pending pods, 0 running pods"]);
        assert!(one("labels: {a: b}", "hostUsers: false").is_empty());
        assert!(one("labels: {a: b}", "schedulingGates: [{name: g}]").is_empty(), "gates are modelled");
    }
}
