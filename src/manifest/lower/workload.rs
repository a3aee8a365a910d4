//! Objects that want or select pods.

use super::labels::{equalities, label_selector};
use super::pod::pod_spec;
use super::storage::claim_spec_id;
use super::{LowerError, Lowered, label_set, name, namespace, uid};
use crate::engine::time::SimDuration;
use crate::manifest::export::RUN_TIME;
use crate::model::cluster::Cluster;
use crate::model::ids::{JobId, ReplicaSetId, SpecId, StatefulSetId};
use crate::model::labels::LabelSelector;
use crate::model::spec::{OwnerKind, PodVolume};
use crate::model::workload::*;
use k8s_openapi::api::{apps::v1 as apps, batch::v1 as batch, core::v1 as core};
use k8s_openapi::api::{policy::v1 as policy, scheduling::v1 as scheduling};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Compiles a pod template in its owner's namespace.
fn template(
    cluster: &mut Cluster,
    owner: &ObjectMeta,
    template: &core::PodTemplateSpec,
    kind: OwnerKind,
    claims: &[ClaimTemplate],
    claim_names: &[&str],
) -> Lowered<SpecId> {
    let metadata =
        ObjectMeta { namespace: owner.namespace.clone(), ..template.metadata.clone().unwrap_or_default() };
    let mut spec = template.spec.clone().ok_or(LowerError::Missing { path: "spec.template.spec" })?;
    // A claim template replaces the volume of its name.
    if let Some(volumes) = &mut spec.volumes {
        volumes.retain(|v| !claim_names.contains(&v.name.as_str()));
    }
    let mut compiled = pod_spec(cluster, &metadata, &spec, None)?;
    compiled.owner = kind;
    let own = claims.iter().map(|c| PodVolume::ClaimTemplate { prefix: c.prefix });
    compiled.volumes = own.chain(std::mem::take(&mut compiled.volumes)).collect();
    Ok(cluster.intern_spec(compiled))
}

fn count(replicas: Option<i32>) -> u32 {
    u32::try_from(replicas.unwrap_or(1)).unwrap_or(0)
}

/// Adds a StatefulSet.
///
/// # Errors
/// [`LowerError`] for what the API would refuse.
pub fn add_stateful_set(cluster: &mut Cluster, set: &apps::StatefulSet) -> Lowered<StatefulSetId> {
    let spec = set.spec.as_ref().ok_or(LowerError::Missing { path: "spec" })?;
    let mut claims = Vec::new();
    let mut claim_names = Vec::new();
    for claim in spec.volume_claim_templates.iter().flatten() {
        let claim_name = name(&claim.metadata)?;
        claim_names.push(claim_name);
        claims.push(ClaimTemplate {
            prefix: cluster.names.intern(claim_name),
            spec: claim_spec_id(cluster, claim)?,
        });
    }
    let management = match spec.pod_management_policy.as_deref() {
        None | Some("" | "OrderedReady") => PodManagement::OrderedReady,
        Some("Parallel") => PodManagement::Parallel,
        Some(other) => {
            return Err(LowerError::UnknownValue {
                path: "spec.podManagementPolicy",
                value: other.to_owned(),
                expected: "OrderedReady, Parallel",
            });
        }
    };
    let retention = spec.persistent_volume_claim_retention_policy.as_ref();
    let deletes = |policy: Option<&String>| policy.is_some_and(|p| p == "Delete");
    let row = StatefulSet {
        uid: uid(cluster, &set.metadata),
        namespace: cluster.names.intern(namespace(&set.metadata)),
        name: cluster.names.name(name(&set.metadata)?),
        replicas: count(spec.replicas),
        first_ordinal: spec
            .ordinals
            .as_ref()
            .and_then(|o| o.start)
            .map_or(0, |s| u32::try_from(s).unwrap_or(0)),
        spec: template(
            cluster,
            &set.metadata,
            &spec.template,
            OwnerKind::StatefulSet,
            &claims,
            &claim_names,
        )?,
        claims,
        management,
        retention: ClaimRetention {
            delete_when_deleted: deletes(retention.and_then(|r| r.when_deleted.as_ref())),
            delete_when_scaled: deletes(retention.and_then(|r| r.when_scaled.as_ref())),
        },
        selector: label_selector(cluster, Some(&spec.selector))?,
        exists: true,
        deletion: set.metadata.deletion_timestamp.is_some(),
        group: false,
    };
    Ok(cluster.add_stateful_set(row))
}

/// Adds a Deployment, modelled as its current ReplicaSet.
///
/// # Errors
/// [`LowerError`] for what the API would refuse.
pub fn add_deployment(cluster: &mut Cluster, deployment: &apps::Deployment) -> Lowered<ReplicaSetId> {
    let spec = deployment.spec.as_ref().ok_or(LowerError::Missing { path: "spec" })?;
    let selector = label_selector(cluster, Some(&spec.selector))?;
    let kind = ReplicaSetKind::Deployment;
    add_set(cluster, &deployment.metadata, kind, spec.replicas, Some(&spec.template), selector)
}

/// Adds a ReplicaSet.
///
/// # Errors
/// [`LowerError`] for what the API would refuse.
pub fn add_replica_set(cluster: &mut Cluster, set: &apps::ReplicaSet) -> Lowered<ReplicaSetId> {
    let spec = set.spec.as_ref().ok_or(LowerError::Missing { path: "spec" })?;
    let selector = label_selector(cluster, Some(&spec.selector))?;
    let kind = ReplicaSetKind::ReplicaSet;
    add_set(cluster, &set.metadata, kind, spec.replicas, spec.template.as_ref(), selector)
}

/// Adds a ReplicationController.
///
/// # Errors
/// [`LowerError`] for what the API would refuse.
pub fn add_replication_controller(
    cluster: &mut Cluster,
    set: &core::ReplicationController,
) -> Lowered<ReplicaSetId> {
    let spec = set.spec.as_ref().ok_or(LowerError::Missing { path: "spec" })?;
    let labels = spec
        .selector
        .as_ref()
        .or_else(|| spec.template.as_ref().and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.as_ref()));
    let selector = LabelSelector::Requirements(equalities(cluster, labels).into());
    let kind = ReplicaSetKind::ReplicationController;
    add_set(cluster, &set.metadata, kind, spec.replicas, spec.template.as_ref(), selector)
}

fn add_set(
    cluster: &mut Cluster,
    metadata: &ObjectMeta,
    kind: ReplicaSetKind,
    replicas: Option<i32>,
    pod: Option<&core::PodTemplateSpec>,
    selector: LabelSelector,
) -> Lowered<ReplicaSetId> {
    let empty = core::PodTemplateSpec { metadata: None, spec: Some(core::PodSpec::default()) };
    let spec = template(cluster, metadata, pod.unwrap_or(&empty), OwnerKind::ReplicaSet, &[], &[])?;
    let row = ReplicaSet {
        uid: uid(cluster, metadata),
        namespace: cluster.names.intern(namespace(metadata)),
        name: cluster.names.name(name(metadata)?),
        kind,
        replicas: count(replicas),
        spec,
        selector,
        exists: true,
        next_pod: 0,
    };
    Ok(cluster.add_replica_set(row))
}

/// How long the pods of a template run, where KWOK's annotation says so.
fn run_time(template: &core::PodTemplateSpec) -> Option<SimDuration> {
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    SimDuration::parse(annotations.get(RUN_TIME)?).ok()
}

/// Adds a Job. Its pods run for ever unless KWOK's annotation, or something else, says how long.
///
/// # Errors
/// [`LowerError`] for what the API would refuse.
pub fn add_job(cluster: &mut Cluster, job: &batch::Job) -> Lowered<JobId> {
    let spec = job.spec.as_ref().ok_or(LowerError::Missing { path: "spec" })?;
    let pod = template(cluster, &job.metadata, &spec.template, OwnerKind::Job, &[], &[])?;
    let row = Job {
        uid: uid(cluster, &job.metadata),
        namespace: cluster.names.intern(namespace(&job.metadata)),
        name: cluster.names.name(name(&job.metadata)?),
        completions: count(spec.completions),
        parallelism: if spec.suspend == Some(true) { 0 } else { count(spec.parallelism) },
        spec: pod,
        duration: run_time(&spec.template),
        succeeded: job.status.as_ref().and_then(|s| s.succeeded).map_or(0, |n| u32::try_from(n).unwrap_or(0)),
        next_pod: 0,
        exists: true,
    };
    Ok(cluster.add_job(row))
}

/// Adds a Service. One without selector selects nothing.
///
/// # Errors
/// A missing name.
pub fn add_service(cluster: &mut Cluster, service: &core::Service) -> Lowered<()> {
    let labels = service.spec.as_ref().and_then(|s| s.selector.as_ref()).filter(|s| !s.is_empty());
    let selector = match labels {
        None => LabelSelector::Nothing,
        Some(labels) => LabelSelector::Requirements(equalities(cluster, Some(labels)).into()),
    };
    let row = Service {
        namespace: cluster.names.intern(namespace(&service.metadata)),
        name: cluster.names.intern(name(&service.metadata)?),
        selector,
    };
    cluster.add_service(row);
    Ok(())
}

/// Adds a PodDisruptionBudget. A nil selector selects nothing.
///
/// # Errors
/// [`LowerError`] for what the API would refuse.
pub fn add_budget(cluster: &mut Cluster, budget: &policy::PodDisruptionBudget) -> Lowered<()> {
    let selector = budget.spec.as_ref().and_then(|s| s.selector.as_ref());
    let status = budget.status.as_ref();
    let disrupted = status.and_then(|s| s.disrupted_pods.as_ref()).into_iter().flatten();
    let row = DisruptionBudget {
        namespace: cluster.names.intern(namespace(&budget.metadata)),
        name: cluster.names.intern(name(&budget.metadata)?),
        disrupted_pods: disrupted.map(|(pod, _)| cluster.names.name(pod)).collect(),
        selector: label_selector(cluster, selector)?,
        rule: budget.spec.as_ref().and_then(budget_rule),
        unready_may_go: budget
            .spec
            .as_ref()
            .is_some_and(|s| s.unhealthy_pod_eviction_policy.as_deref() == Some("AlwaysAllow")),
        disruptions_allowed: status.and_then(|s| s.disruptions_allowed).unwrap_or(0),
    };
    cluster.add_budget(row);
    Ok(())
}

fn budget_rule(spec: &policy::PodDisruptionBudgetSpec) -> Option<BudgetRule> {
    let percent = |text: &str| text.strip_suffix('%').and_then(|n| n.trim().parse::<i64>().ok());
    match (&spec.min_available, &spec.max_unavailable) {
        (Some(IntOrString::Int(count)), _) => Some(BudgetRule::MinAvailable((*count).into())),
        (Some(IntOrString::String(text)), _) => percent(text).map(BudgetRule::MinAvailablePercent),
        (None, Some(IntOrString::Int(count))) => Some(BudgetRule::MaxUnavailable((*count).into())),
        (None, Some(IntOrString::String(text))) => percent(text).map(BudgetRule::MaxUnavailablePercent),
        // The API's default.
        (None, None) => Some(BudgetRule::MinAvailable(1)),
    }
}

/// Adds a namespace with the labels it has (API defaulting adds `kubernetes.io/metadata.name`).
///
/// # Errors
/// A missing name.
pub fn add_namespace(cluster: &mut Cluster, namespace: &core::Namespace) -> Lowered<()> {
    let name = cluster.names.intern(name(&namespace.metadata)?);
    let labels = label_set(cluster, namespace.metadata.labels.as_ref());
    let labels = cluster.intern_labels(labels);
    cluster.set_namespace(Namespace { name, labels });
    Ok(())
}

/// Adds a PriorityClass.
///
/// # Errors
/// A missing name.
pub fn add_priority_class(cluster: &mut Cluster, class: &scheduling::PriorityClass) -> Lowered<()> {
    let row = PriorityClass {
        name: cluster.names.intern(name(&class.metadata)?),
        value: class.value.unwrap_or(0),
        global_default: class.global_default == Some(true),
        never_preempts: class.preemption_policy.as_deref() == Some("Never"),
    };
    cluster.set_priority_class(row);
    Ok(())
}
