//! Objects that want or select pods.

use super::pod::pod_spec;
use super::{Exported, JOB_NAME, Priorities, RUN_TIME, labels, object, selector, shown, sorted};
use crate::engine::time::SimDuration;
use crate::model::cluster::Cluster;
use crate::model::ids::SpecId;
use crate::model::labels::LabelSelector;
use crate::model::names::{Name, Sym};
use crate::model::workload::{Job, PodManagement, ReplicaSet, ReplicaSetKind, StatefulSet};
use serde_json::{Value, json};

fn metadata(cluster: &Cluster, namespace: Sym, name: Name) -> Value {
    json!({ "name": shown(cluster, name), "namespace": cluster.names.text(namespace) })
}

/// Services and PodDisruptionBudgets.
pub fn services_and_budgets(cluster: &Cluster, out: &mut Exported) {
    for service in sorted(cluster, cluster.services().iter(), |s| s.name) {
        let equal = selector(cluster, &service.selector);
        let equal = equal.get("matchLabels").cloned().unwrap_or(Value::Null);
        let (name, namespace) = (cluster.names.text(service.name), cluster.names.text(service.namespace));
        out.objects.push(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name, "namespace": namespace },
            "spec": object([("clusterIP", "None".into()), ("selector", equal)]),
        }));
    }
    for budget in sorted(cluster, cluster.budgets().iter(), |b| b.name) {
        let (name, namespace) = (cluster.names.text(budget.name), cluster.names.text(budget.namespace));
        let mut spec = serde_json::Map::new();
        if budget.selector != LabelSelector::Nothing {
            spec.insert("selector".to_owned(), selector(cluster, &budget.selector));
        }
        // Only what may be disrupted now is known.
        spec.insert("maxUnavailable".to_owned(), budget.disruptions_allowed.max(0).into());
        out.objects.push(json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": { "name": name, "namespace": namespace },
            "spec": spec,
            "status": {
                "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0,
                "disruptionsAllowed": budget.disruptions_allowed,
            },
        }));
    }
}

/// StatefulSets, ReplicaSets, ReplicationControllers and Jobs that exist.
pub fn sets(cluster: &Cluster, priorities: &Priorities, ended: bool, out: &mut Exported) {
    let mut objects: Vec<(String, Value)> = Vec::new();
    let mut add = |namespace: Sym, name: Name, object: Value| {
        objects.push((format!("{}/{}", cluster.names.text(namespace), cluster.names.show(name)), object));
    };
    for (_, set) in cluster.stateful_sets().iter().filter(|(_, s)| s.exists && !s.deletion) {
        add(set.namespace, set.name, stateful_set(cluster, priorities, set));
    }
    for (_, set) in cluster.replica_sets().iter().filter(|(_, s)| s.exists) {
        if set.kind == ReplicaSetKind::Deployment {
            out.note("Deployments are written as ReplicaSets, so that their pods are adopted as they are");
        }
        add(set.namespace, set.name, replica_set(cluster, priorities, set));
    }
    for (_, job) in cluster.jobs().iter().filter(|(_, j)| j.exists && (ended || j.succeeded < j.completions))
    {
        if !ended && job.succeeded > 0 {
            out.note("Jobs want what they have not completed yet");
        }
        add(job.namespace, job.name, job_object(cluster, priorities, job, ended));
    }
    objects.sort_by(|a, b| a.0.cmp(&b.0));
    out.objects.extend(objects.into_iter().map(|(_, object)| object));
}

fn template(
    cluster: &Cluster,
    priorities: &Priorities,
    spec: SpecId,
    claims: &[Sym],
    restart: Option<&str>,
) -> Value {
    let row = cluster.spec(spec);
    let mut spec = pod_spec(cluster, priorities, row, None, claims);
    if let (Some(restart), Value::Object(map)) = (restart, &mut spec) {
        map.insert("restartPolicy".to_owned(), restart.into());
    }
    json!({ "metadata": object([("labels", labels(cluster, row.labels))]), "spec": spec })
}

fn stateful_set(cluster: &Cluster, priorities: &Priorities, set: &StatefulSet) -> Value {
    let prefixes: Vec<Sym> = set.claims.iter().map(|claim| claim.prefix).collect();
    let claims = set.claims.iter().map(|claim| {
        let name = cluster.names.text(claim.prefix);
        let spec = super::storage::claim_spec(cluster, cluster.claim_spec(claim.spec), None);
        json!({ "metadata": { "name": name }, "spec": spec })
    });
    let policy = |delete: bool| if delete { "Delete" } else { "Retain" };
    let ordinals = if set.first_ordinal > 0 { json!({ "start": set.first_ordinal }) } else { Value::Null };
    let management = match set.management {
        PodManagement::OrderedReady => "OrderedReady",
        PodManagement::Parallel => "Parallel",
    };
    let spec = object([
        ("ordinals", ordinals),
        (
            "persistentVolumeClaimRetentionPolicy",
            json!({
                "whenDeleted": policy(set.retention.delete_when_deleted),
                "whenScaled": policy(set.retention.delete_when_scaled),
            }),
        ),
        ("podManagementPolicy", management.into()),
        ("replicas", set.replicas.into()),
        ("selector", selector(cluster, &set.selector)),
        ("serviceName", shown(cluster, set.name).into()),
        ("template", template(cluster, priorities, set.spec, &prefixes, None)),
        ("volumeClaimTemplates", claims.collect()),
    ]);
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(cluster, set.namespace, set.name),
        "spec": spec,
    })
}

fn replica_set(cluster: &Cluster, priorities: &Priorities, set: &ReplicaSet) -> Value {
    let (version, kind) = match set.kind {
        ReplicaSetKind::ReplicationController => ("v1", "ReplicationController"),
        ReplicaSetKind::ReplicaSet | ReplicaSetKind::Deployment => ("apps/v1", "ReplicaSet"),
    };
    let mut selects = selector(cluster, &set.selector);
    if set.kind == ReplicaSetKind::ReplicationController {
        selects = selects.get("matchLabels").cloned().unwrap_or(Value::Null);
    }
    let spec = object([
        ("replicas", set.replicas.into()),
        ("selector", selects),
        ("template", template(cluster, priorities, set.spec, &[], None)),
    ]);
    json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": metadata(cluster, set.namespace, set.name),
        "spec": spec,
    })
}

/// A Job whose pods, which are there already, it takes for its own by their label. Without the pods that have ended it wants only
/// the rest.
fn job_object(cluster: &Cluster, priorities: &Priorities, job: &Job, ended: bool) -> Value {
    let mut template = template(cluster, priorities, job.spec, &[], Some("Never"));
    let name = shown(cluster, job.name);
    template["metadata"]["labels"][JOB_NAME] = name.as_str().into();
    if let Some(duration) = job.duration {
        template["metadata"]["annotations"] = json!({ RUN_TIME: run_time(duration) });
    }
    let succeeded = if ended { 0 } else { job.succeeded };
    let spec = json!({
        "completions": job.completions - succeeded,
        "manualSelector": true,
        "parallelism": job.parallelism,
        "selector": { "matchLabels": { JOB_NAME: name } },
        "template": template,
    });
    let status = if ended && job.succeeded > 0 { json!({ "succeeded": job.succeeded }) } else { Value::Null };
    object([
        ("apiVersion", "batch/v1".into()),
        ("kind", "Job".into()),
        ("metadata", metadata(cluster, job.namespace, job.name)),
        ("spec", spec),
        ("status", status),
    ])
}

/// How long a pod runs, as a duration of Go.
pub fn run_time(duration: SimDuration) -> String {
    format!("{}ms", duration.as_nanos() / 1_000_000)
}
