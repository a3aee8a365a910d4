//! Pods and pod templates.

use super::labels::{label_selector, merge_label_keys, node_selector, node_selector_term};
use super::node::taint_effect;
use super::requests::pod_requests;
use super::storage::claim_spec;
use super::{LowerError, Lowered, annotation, exists, label_set, name, namespace, uid};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::ids::{PodId, SpecId, Terminating};
use crate::model::labels::{LabelOperator, LabelSelector};
use crate::model::names::{Name, Sym};
use crate::model::pod::{AssumedNode, Pod, PodOwner, PodPhase, StartOrder};
use crate::model::spec::*;
use crate::model::workload::ReplicaSetKind;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use std::collections::BTreeMap;

/// Adds a pod. Its node need not exist.
///
/// # Errors
/// [`LowerError`] for what the API would refuse, or a duplicate.
pub fn add_pod(cluster: &mut Cluster, pod: &core::Pod) -> Lowered<PodId> {
    let spec = pod.spec.as_ref().ok_or(LowerError::Missing { path: "spec" })?;
    let compiled = pod_spec(cluster, &pod.metadata, spec, pod.status.as_ref())?;
    let spec_id = cluster.intern_spec(compiled);
    add_pod_from_spec(cluster, pod, spec_id)
}

/// Adds a pod whose spec was compiled before.
///
/// # Errors
/// A missing name, an unknown phase, or a duplicate.
pub fn add_pod_from_spec(cluster: &mut Cluster, pod: &core::Pod, spec_id: SpecId) -> Lowered<PodId> {
    let status = pod.status.as_ref();
    let node_name = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).filter(|n| !n.is_empty());
    let node = node_name.map(|n| cluster.names.intern(n)).map(|n| cluster.node_or_ghost(n));
    let nominated = status.and_then(|s| s.nominated_node_name.as_deref()).filter(|n| !n.is_empty());
    // An assigned pod's nomination does not count any more.
    let nominated = nominated.filter(|_| node.is_none());
    let nominated = nominated.and_then(|n| cluster.names.get(n)).and_then(|n| cluster.node_by_name(n));
    let phase = phase(status, node.is_some())?;
    let scheduled = condition(status, "PodScheduled").is_some_and(|c| c == "True");
    let row = Pod {
        uid: uid(cluster, &pod.metadata),
        name: cluster.names.name(name(&pod.metadata)?),
        spec: spec_id,
        node,
        assumed: AssumedNode::NONE,
        phase,
        ready: condition(status, "Ready").map_or(phase == PodPhase::Running, |c| c == "True"),
        preempted: status.and_then(|s| s.conditions.as_ref()).is_some_and(|all| {
            let by_scheduler = |c: &core::PodCondition| {
                c.status == "True" && c.reason.as_deref() == Some("PreemptionByScheduler")
            };
            all.iter().find(|c| c.type_ == "DisruptionTarget").is_some_and(by_scheduler)
        }),
        deletion: pod.metadata.deletion_timestamp.as_ref().map(|_| Terminating),
        created: SimTime::ZERO,
        start_order: status
            .and_then(|s| s.start_time.as_ref())
            .map_or(StartOrder::NOT_STARTED, |t| StartOrder::imported(t.0.as_second())),
        owner: owner(cluster, &pod.metadata),
        preset_node: node.is_some() && phase == PodPhase::Pending && !scheduled,
    };
    let id = cluster.add_pod(row).map_err(exists("Pod", &pod.metadata))?;
    if let Some(node) = nominated {
        cluster.imported_nomination(id, node);
    }
    Ok(id)
}

fn condition<'a>(status: Option<&'a core::PodStatus>, kind: &str) -> Option<&'a str> {
    let conditions = status?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == kind).map(|c| c.status.as_str())
}

fn phase(status: Option<&core::PodStatus>, assigned: bool) -> Lowered<PodPhase> {
    match status.and_then(|s| s.phase.as_deref()) {
        // A manifest without status that names a node stands for a running pod in recordings, for a pending one in templates.
        None | Some("" | "Pending") => Ok(PodPhase::Pending),
        Some("Running") => Ok(PodPhase::Running),
        Some("Succeeded") => Ok(PodPhase::Succeeded),
        Some("Failed") => Ok(PodPhase::Failed),
        Some("Unknown") => Ok(if assigned { PodPhase::Unknown } else { PodPhase::Pending }),
        Some(other) => Err(LowerError::UnknownValue {
            path: "status.phase",
            value: other.to_owned(),
            expected: "Pending, Running, Succeeded, Failed, Unknown",
        }),
    }
}

fn controller(metadata: &meta::ObjectMeta) -> Option<&meta::OwnerReference> {
    metadata.owner_references.iter().flatten().find(|o| o.controller == Some(true))
}

fn owner(cluster: &Cluster, metadata: &meta::ObjectMeta) -> PodOwner {
    let Some(owner) = controller(metadata) else { return PodOwner::None };
    let found = cluster.names.get(namespace(metadata)).zip(cluster.names.get_name(&owner.name));
    let Some((namespace, name)) = found else { return PodOwner::None };
    match owner.kind.as_str() {
        "StatefulSet" => {
            let set = cluster.stateful_set_by_name(namespace, name);
            set.map_or(PodOwner::None, PodOwner::StatefulSet)
        }
        "Job" => cluster.job_by_name(namespace, name).map_or(PodOwner::None, PodOwner::Job),
        other => ReplicaSetKind::named(other)
            .and_then(|kind| cluster.replica_set_by_name(namespace, name, kind))
            .map_or(PodOwner::None, PodOwner::ReplicaSet),
    }
}

fn owner_kind(metadata: &meta::ObjectMeta) -> OwnerKind {
    if annotation(metadata, "kubernetes.io/config.mirror").is_some() {
        return OwnerKind::Mirror;
    }
    match controller(metadata).map(|o| o.kind.as_str()) {
        None => OwnerKind::None,
        Some("StatefulSet") => OwnerKind::StatefulSet,
        Some("ReplicaSet" | "ReplicationController" | "Deployment") => OwnerKind::ReplicaSet,
        Some("Job") => OwnerKind::Job,
        Some("DaemonSet") => OwnerKind::DaemonSet,
        Some("Node") => OwnerKind::Mirror,
        Some(_) => OwnerKind::Other,
    }
}

/// Compiles a pod's spec. `metadata` gives namespace, labels and owner: the pod's own, or the template's with the owner's namespace.
///
/// # Errors
/// [`LowerError`] for what the API would refuse.
pub fn pod_spec(
    cluster: &mut Cluster,
    metadata: &meta::ObjectMeta,
    spec: &core::PodSpec,
    status: Option<&core::PodStatus>,
) -> Lowered<PodSpec> {
    let own_namespace = cluster.names.intern(namespace(metadata));
    let requests = pod_requests(cluster, spec, status)?;
    let labels = label_set(cluster, metadata.labels.as_ref());
    let class = spec.priority_class_name.as_deref().and_then(|n| cluster.names.get(n));
    let class = class.and_then(|n| cluster.priority_class(n)).copied();
    let containers = || spec.init_containers.iter().flatten().chain(&spec.containers);
    let of_volumes = spec.volumes.iter().flatten().filter_map(|v| v.image.as_ref()?.reference.as_deref());
    let images = containers().filter_map(|c| c.image.as_deref()).chain(of_volumes).map(normalized_image);
    let images = images.collect::<Vec<_>>();
    let never = spec.preemption_policy.as_deref().map(|p| p == "Never");
    Ok(PodSpec {
        namespace: own_namespace,
        labels: cluster.intern_labels(labels),
        scheduler_name: cluster.names.intern(spec.scheduler_name.as_deref().unwrap_or("default-scheduler")),
        priority: spec.priority.or(class.map(|c| c.value)).unwrap_or(0),
        never_preempts: never.or(class.map(|c| c.never_preempts)).unwrap_or(false),
        requests: requests.fit,
        scoring_requests: requests.scoring,
        nonzero_requests: requests.nonzero,
        host_ports: host_ports(cluster, spec),
        images: images.iter().map(|i| cluster.names.intern(i)).collect(),
        container_count: containers().count() as u32,
        node_selector: pairs(cluster, spec.node_selector.as_ref()),
        affinity: affinity(cluster, metadata, own_namespace, spec.affinity.as_ref())?,
        tolerations: tolerations(cluster, spec)?,
        spread: spread_constraints(cluster, metadata, spec)?,
        volumes: volumes(cluster, spec)?,
        scheduling_gates: spec
            .scheduling_gates
            .iter()
            .flatten()
            .map(|g| cluster.names.intern(&g.name))
            .collect(),
        termination_grace: SimDuration::from_secs(
            u64::try_from(spec.termination_grace_period_seconds.unwrap_or(30)).unwrap_or(0),
        ),
        not_modelled: not_modelled(metadata, spec).map(|field| cluster.names.intern(&field)),
        owner: owner_kind(metadata),
    })
}

/// Annotations by which extended schedulers share GPUs: for them a pod waits that the default scheduler would just place.
const GPU_SHARING: &[&str] = &[
    "alibabacloud.com/gpu-milli",
    "alibabacloud.com/gpu-mem",
    "scheduling.k8s.io/gpu-memory",
    "aliyun.com/gpu-mem",
];

/// The field of a pod or template that asks for something that is not modelled: claims of devices, shares of GPUs, gangs, features that
/// a node has to declare. A pod that waits with one stays Pending; one that runs counts with its requests.
pub fn not_modelled(metadata: &meta::ObjectMeta, spec: &core::PodSpec) -> Option<String> {
    let annotated = |key: &&&str| metadata.annotations.iter().any(|all| all.contains_key(**key));
    let shared = GPU_SHARING.iter().find(annotated).map(|key| format!("metadata.annotations[{key}]"));
    let containers = || spec.init_containers.iter().flatten().chain(&spec.containers);
    let restarts_all = |c: &core::Container| {
        c.restart_policy_rules.iter().flatten().any(|rule| rule.action == "RestartAllContainers")
    };
    let field = if spec.resource_claims.as_ref().is_some_and(|c| !c.is_empty()) {
        "spec.resourceClaims"
    } else if spec.scheduling_group.is_some() {
        "spec.schedulingGroup"
    } else if spec.host_network == Some(true) && spec.host_users == Some(false) {
        "spec.hostUsers"
    } else if containers().any(restarts_all) {
        "spec.containers[].restartPolicyRules"
    } else {
        return shared;
    };
    Some(field.to_owned())
}

fn pairs(cluster: &mut Cluster, map: Option<&BTreeMap<String, String>>) -> Vec<(Sym, Sym)> {
    let pairs = map.into_iter().flatten();
    let mut pairs: Vec<_> = pairs.map(|(k, v)| (cluster.names.intern(k), cluster.names.intern(v))).collect();
    pairs.sort_unstable();
    pairs
}

/// `normalizedImageName`: an image without a tag has the tag `latest`.
fn normalized_image(image: &str) -> String {
    if image.rfind(':') <= image.rfind('/') { format!("{image}:latest") } else { image.to_owned() }
}

/// Host ports of containers and sidecars; those of ordinary init containers do not count.
fn host_ports(cluster: &mut Cluster, spec: &core::PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let mut ports = Vec::new();
    for port in sidecars.chain(&spec.containers).flat_map(|c| c.ports.iter().flatten()) {
        let on_host = if spec.host_network == Some(true) { Some(port.container_port) } else { None };
        let Some(number) = port.host_port.filter(|p| *p > 0).or(on_host) else { continue };
        let ip = port.host_ip.as_deref().filter(|ip| !ip.is_empty()).unwrap_or("0.0.0.0");
        let protocol = port.protocol.as_deref().filter(|p| !p.is_empty()).unwrap_or("TCP");
        ports.push(HostPort {
            ip: cluster.names.intern(ip),
            protocol: cluster.names.intern(protocol),
            port: number,
        });
    }
    ports
}

fn tolerations(cluster: &mut Cluster, spec: &core::PodSpec) -> Lowered<Vec<Toleration>> {
    let mut out = Vec::new();
    for toleration in spec.tolerations.iter().flatten() {
        let value = match toleration.operator.as_deref().unwrap_or("") {
            "Exists" => None,
            "" | "Equal" => Some(cluster.names.intern(toleration.value.as_deref().unwrap_or(""))),
            // Lt and Gt belong to the feature TaintTolerationComparisonOperators, which is off: they tolerate nothing.
            "Lt" | "Gt" => continue,
            other => {
                return Err(LowerError::UnknownValue {
                    path: "spec.tolerations.operator",
                    value: other.to_owned(),
                    expected: "Exists, Equal",
                });
            }
        };
        let key = toleration.key.as_deref().filter(|k| !k.is_empty());
        let effect = toleration.effect.as_deref().filter(|e| !e.is_empty());
        out.push(Toleration {
            key: key.map(|k| cluster.names.intern(k)),
            value,
            effect: effect.map(taint_effect).transpose()?,
            seconds: toleration
                .toleration_seconds
                .map(|s| SimDuration::from_secs(u64::try_from(s).unwrap_or(0))),
        });
    }
    Ok(out)
}

fn spread_constraints(
    cluster: &mut Cluster,
    metadata: &meta::ObjectMeta,
    spec: &core::PodSpec,
) -> Lowered<Vec<SpreadConstraint>> {
    let mut out = Vec::new();
    for constraint in spec.topology_spread_constraints.iter().flatten() {
        let selector = label_selector(cluster, constraint.label_selector.as_ref())?;
        let keys = constraint.match_label_keys.as_ref();
        let labels = metadata.labels.as_ref();
        let selector = merge_label_keys(cluster, selector, labels, keys, LabelOperator::In);
        let when_unsatisfiable = match constraint.when_unsatisfiable.as_str() {
            "DoNotSchedule" => WhenUnsatisfiable::DoNotSchedule,
            "ScheduleAnyway" => WhenUnsatisfiable::ScheduleAnyway,
            other => {
                return Err(LowerError::UnknownValue {
                    path: "spec.topologySpreadConstraints.whenUnsatisfiable",
                    value: other.to_owned(),
                    expected: "DoNotSchedule, ScheduleAnyway",
                });
            }
        };
        out.push(SpreadConstraint {
            max_skew: constraint.max_skew,
            topology_key: cluster.names.intern(&constraint.topology_key),
            when_unsatisfiable,
            selector,
            min_domains: constraint.min_domains.unwrap_or(1),
            honor_node_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_node_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        });
    }
    Ok(out)
}

fn affinity(
    cluster: &mut Cluster,
    metadata: &meta::ObjectMeta,
    own_namespace: Sym,
    affinity: Option<&core::Affinity>,
) -> Lowered<Option<Box<Affinity>>> {
    let Some(affinity) = affinity else { return Ok(None) };
    let mut out = Affinity::default();
    if let Some(node) = &affinity.node_affinity {
        let required = node.required_during_scheduling_ignored_during_execution.as_ref();
        out.node_required = required.map(|r| node_selector(cluster, r)).transpose()?;
        for term in node.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
            out.node_preferred.push((term.weight, node_selector_term(cluster, &term.preference)?));
        }
    }
    let mut lower = |term: &core::PodAffinityTerm| pod_affinity_term(cluster, metadata, own_namespace, term);
    if let Some(pods) = &affinity.pod_affinity {
        for term in pods.required_during_scheduling_ignored_during_execution.iter().flatten() {
            out.pod_required.push(lower(term)?);
        }
        for term in pods.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
            out.pod_preferred.push((term.weight, lower(&term.pod_affinity_term)?));
        }
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        for term in pods.required_during_scheduling_ignored_during_execution.iter().flatten() {
            out.anti_required.push(lower(term)?);
        }
        for term in pods.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
            out.anti_preferred.push((term.weight, lower(&term.pod_affinity_term)?));
        }
    }
    Ok((out != Affinity::default()).then(|| Box::new(out)))
}

fn pod_affinity_term(
    cluster: &mut Cluster,
    metadata: &meta::ObjectMeta,
    own_namespace: Sym,
    term: &core::PodAffinityTerm,
) -> Lowered<PodAffinityTerm> {
    let labels = metadata.labels.as_ref();
    let selector = label_selector(cluster, term.label_selector.as_ref())?;
    let selector =
        merge_label_keys(cluster, selector, labels, term.match_label_keys.as_ref(), LabelOperator::In);
    let selector =
        merge_label_keys(cluster, selector, labels, term.mismatch_label_keys.as_ref(), LabelOperator::NotIn);
    let mut namespaces: Vec<Sym> =
        term.namespaces.iter().flatten().map(|n| cluster.names.intern(n)).collect();
    let namespace_selector = label_selector(cluster, term.namespace_selector.as_ref())?;
    if namespaces.is_empty() && namespace_selector == LabelSelector::Nothing {
        namespaces.push(own_namespace);
    }
    Ok(PodAffinityTerm {
        selector,
        namespaces,
        namespace_selector,
        topology_key: cluster.names.intern(&term.topology_key),
    })
}

fn volumes(cluster: &mut Cluster, spec: &core::PodSpec) -> Lowered<Vec<PodVolume>> {
    let mut out = Vec::new();
    for volume in spec.volumes.iter().flatten() {
        if let Some(claim) = &volume.persistent_volume_claim {
            let name: Name = cluster.names.name(&claim.claim_name);
            out.push(PodVolume::Claim { name, read_only: claim.read_only == Some(true) });
        } else if let Some(ephemeral) = &volume.ephemeral {
            let template = ephemeral.volume_claim_template.as_ref();
            let claim = template.map(|t| {
                let metadata = t.metadata.clone().unwrap_or_default();
                claim_spec(cluster, &metadata, &t.spec).map(|spec| cluster.intern_claim_spec(spec))
            });
            let claim = claim.transpose()?;
            out.push(PodVolume::Ephemeral { suffix: cluster.names.intern(&volume.name), claim });
        } else if let Some((disk, read_only)) = exclusive_disk(volume) {
            let monitors = volume.rbd.iter().flat_map(|rbd| &rbd.monitors);
            out.push(PodVolume::Exclusive {
                disk: cluster.names.intern(&disk),
                monitors: monitors.map(|m| cluster.names.intern(m)).collect(),
                read_only,
            });
        }
    }
    Ok(out)
}

/// Inline disks that VolumeRestrictions guards: what makes two of them the same, and whether this mount is read-only (an EBS volume conflicts
/// even then).
fn exclusive_disk(volume: &core::Volume) -> Option<(String, bool)> {
    if let Some(disk) = &volume.gce_persistent_disk {
        return Some((format!("gcePersistentDisk/{}", disk.pd_name), disk.read_only == Some(true)));
    }
    if let Some(disk) = &volume.aws_elastic_block_store {
        return Some((format!("awsElasticBlockStore/{}", disk.volume_id), false));
    }
    if let Some(disk) = &volume.iscsi {
        return Some((format!("iscsi/{}", disk.iqn), disk.read_only == Some(true)));
    }
    let disk = volume.rbd.as_ref()?;
    let pool = disk.pool.as_deref().unwrap_or("rbd");
    Some((format!("rbd/{pool}/{}", disk.image), disk.read_only == Some(true)))
}
