//! Kubernetes objects into a cluster, in the order in which an API server would have got them.

use crate::diagnostic::{Code, Diagnostic, Span, escape};
use crate::engine::time::SimTime;
use crate::manifest::export::JOB_NAME;
use crate::manifest::lower::{self, LowerError};
use crate::manifest::{Located, Object};
use crate::manifest::{local_storage, volume_groups};
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, NodeId, PodId, VolumeId};
use crate::model::names::{Name, Sym};
use crate::model::workload::ReplicaSetKind;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use std::collections::BTreeMap;

/// Puts `objects` into the cluster: what others refer to first, of one kind by creation time (`kubectl get` sorts by name), then
/// as listed. An object that is there already is changed as far as the API lets a running one be changed.
///
/// # Errors
/// The first object that the API server would refuse, at its place.
pub fn populate(cluster: &mut Cluster, objects: &[Located<Object>], at: SimTime) -> Result<(), Diagnostic> {
    let mut ordered: Vec<&Located<Object>> = objects.iter().collect();
    ordered.sort_by_key(|o| (rank(&o.value), created(metadata(&o.value))));
    let deployments = Deployments::of(objects);
    for object in ordered {
        add(cluster, &object.value, &deployments, at)
            .map_err(|error| refused(&object.value, object.span, &error))?;
    }
    local_storage::add(cluster, objects);
    volume_groups::add(cluster, objects).map_err(|(index, why)| {
        let object = &objects[index];
        let name = escape(object.value.name()).to_string();
        Diagnostic::error(Code::InvalidValue, format!("Node `{name}`: {why}")).at(object.span)
    })
}

fn refused(object: &Object, span: Span, error: &LowerError) -> Diagnostic {
    let name = escape(object.name()).to_string();
    Diagnostic::error(Code::InvalidValue, format!("{} `{name}`: {error}", object.kind())).at(span)
}

/// Referred to by later ones.
fn rank(object: &Object) -> u8 {
    match object {
        Object::Namespace(_) => 0,
        Object::PriorityClass(_) => 1,
        Object::StorageClass(_) | Object::CSIDriver(_) => 2,
        Object::Node(_) => 3,
        Object::CSINode(_) | Object::CSIStorageCapacity(_) => 4,
        Object::Service(_) | Object::PodDisruptionBudget(_) => 5,
        Object::PersistentVolume(_) => 6,
        Object::PersistentVolumeClaim(_) => 7,
        Object::StatefulSet(_)
        | Object::Deployment(_)
        | Object::ReplicaSet(_)
        | Object::ReplicationController(_)
        | Object::Job(_) => 8,
        Object::Pod(_) => 9,
    }
}

fn metadata(object: &Object) -> &ObjectMeta {
    match object {
        Object::Node(o) => &o.metadata,
        Object::PersistentVolume(o) => &o.metadata,
        Object::PersistentVolumeClaim(o) => &o.metadata,
        Object::StorageClass(o) => &o.metadata,
        Object::Pod(o) => &o.metadata,
        Object::StatefulSet(o) => &o.metadata,
        Object::Deployment(o) => &o.metadata,
        Object::ReplicaSet(o) => &o.metadata,
        Object::ReplicationController(o) => &o.metadata,
        Object::Service(o) => &o.metadata,
        Object::Namespace(o) => &o.metadata,
        Object::PriorityClass(o) => &o.metadata,
        Object::PodDisruptionBudget(o) => &o.metadata,
        Object::CSIStorageCapacity(o) => &o.metadata,
        Object::CSINode(o) => &o.metadata,
        Object::CSIDriver(o) => &o.metadata,
        Object::Job(o) => &o.metadata,
    }
}

/// Seconds since the epoch; objects that do not say come last.
fn created(metadata: &ObjectMeta) -> i64 {
    metadata.creation_timestamp.as_ref().map_or(i64::MAX, |t| t.0.as_second())
}

/// Which ReplicaSet belongs to which Deployment, by namespace: a Deployment is modelled as its one ReplicaSet.
#[derive(Debug, Default)]
struct Deployments {
    names: Vec<(String, String)>,
    of_replica_set: BTreeMap<(String, String), String>,
}

impl Deployments {
    fn of(objects: &[Located<Object>]) -> Deployments {
        let mut found = Deployments::default();
        for object in objects {
            if let Object::Deployment(_) = &object.value {
                let key = (object.value.namespace().to_owned(), object.value.name().to_owned());
                found.names.push(key);
            }
        }
        found.names.sort();
        for object in objects {
            let Object::ReplicaSet(set) = &object.value else { continue };
            let owner = controller(&set.metadata).filter(|o| o.kind == "Deployment");
            let namespace = object.value.namespace().to_owned();
            if let Some(owner) = owner.filter(|o| found.has(&namespace, &o.name)) {
                let key = (namespace, object.value.name().to_owned());
                found.of_replica_set.insert(key, owner.name.clone());
            }
        }
        found
    }
    fn has(&self, namespace: &str, name: &str) -> bool {
        self.names.binary_search_by(|(ns, n)| (ns.as_str(), n.as_str()).cmp(&(namespace, name))).is_ok()
    }
    /// The Deployment of a ReplicaSet, also if that was not listed: it is named `<deployment>-<pod-template-hash>`.
    fn owner_of(&self, namespace: &str, replica_set: &str, hash: Option<&str>) -> Option<String> {
        let key = (namespace.to_owned(), replica_set.to_owned());
        if let Some(deployment) = self.of_replica_set.get(&key) {
            return Some(deployment.clone());
        }
        let deployment = replica_set.strip_suffix(hash?)?.strip_suffix('-')?;
        self.has(namespace, deployment).then(|| deployment.to_owned())
    }
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|o| o.controller == Some(true))
}

fn add(
    cluster: &mut Cluster,
    object: &Object,
    deployments: &Deployments,
    at: SimTime,
) -> Result<(), LowerError> {
    if update(cluster, object)? {
        return Ok(());
    }
    match object {
        Object::Namespace(o) => lower::add_namespace(cluster, o),
        Object::PriorityClass(o) => lower::add_priority_class(cluster, o),
        Object::StorageClass(o) => lower::add_class(cluster, o),
        Object::CSIDriver(o) => lower::add_csi_driver(cluster, o),
        Object::CSINode(o) => lower::add_csi_node(cluster, o),
        Object::CSIStorageCapacity(o) => lower::add_capacity(cluster, o),
        Object::Service(o) => lower::add_service(cluster, o),
        Object::PodDisruptionBudget(o) => lower::add_budget(cluster, o),
        Object::Node(o) => {
            let mut node = (**o).clone();
            if at > SimTime::ZERO {
                registers(&mut node);
            }
            lower::add_node(cluster, &node).map(|_: NodeId| ())
        }
        Object::PersistentVolume(o) => {
            let mut volume = (**o).clone();
            protect(&mut volume.metadata, "kubernetes.io/pv-protection");
            lower::add_volume(cluster, &volume).map(|id: VolumeId| cluster.set_volume_created(id, at))
        }
        Object::PersistentVolumeClaim(o) => {
            let mut claim = (**o).clone();
            protect(&mut claim.metadata, "kubernetes.io/pvc-protection");
            lower::add_claim(cluster, &claim).map(|id: ClaimId| cluster.set_claim_created(id, at))
        }
        Object::StatefulSet(o) => lower::add_stateful_set(cluster, o).map(|_| ()),
        Object::Deployment(o) => lower::add_deployment(cluster, o).map(|_| ()),
        Object::ReplicaSet(o) => {
            if deployments.owner_of(object.namespace(), object.name(), None).is_some() {
                return Ok(());
            }
            lower::add_replica_set(cluster, o).map(|_| ())
        }
        Object::ReplicationController(o) => lower::add_replication_controller(cluster, o).map(|_| ()),
        Object::Job(o) => lower::add_job(cluster, o).map(|_| ()),
        Object::Pod(o) => {
            let hash = o.metadata.labels.as_ref().and_then(|l| l.get("pod-template-hash"));
            let owner = controller(&o.metadata)
                .filter(|c| c.kind == "ReplicaSet")
                .and_then(|c| deployments.owner_of(object.namespace(), &c.name, hash.map(String::as_str)));
            let adopted = if controller(&o.metadata).is_none() { adopter(cluster, o) } else { None };
            let added: PodId = match (owner, adopted) {
                (None, None) => lower::add_pod(cluster, o)?,
                (None, Some((kind, name))) => {
                    let mut adopted = (**o).clone();
                    let owners = adopted.metadata.owner_references.get_or_insert_default();
                    let (kind, controller) = (kind.to_owned(), Some(true));
                    owners.push(OwnerReference { kind, name, controller, ..OwnerReference::default() });
                    lower::add_pod(cluster, &adopted)?
                }
                (Some(deployment), _) => {
                    let mut adopted = (**o).clone();
                    for reference in adopted.metadata.owner_references.iter_mut().flatten() {
                        if reference.controller == Some(true) {
                            reference.kind = "Deployment".to_owned();
                            reference.name.clone_from(&deployment);
                        }
                    }
                    lower::add_pod(cluster, &adopted)?
                }
            };
            cluster.set_pod_created(added, at);
            Ok(())
        }
    }
}

/// What admission (`StorageObjectInUseProtection`) does to objects that are created; those of a snapshot, which have a uid, have
/// been through it.
fn protect(metadata: &mut ObjectMeta, finalizer: &str) {
    if metadata.uid.is_none() && metadata.finalizers.iter().flatten().next().is_none() {
        metadata.finalizers = Some(vec![finalizer.to_owned()]);
    }
}

/// A node that joins and says nothing of its state comes with a taint by admission, which is taken off when a controller has
/// seen that it is Ready.
fn registers(node: &mut Node) {
    if node.status.as_ref().is_some_and(|s| s.conditions.iter().flatten().next().is_some()) {
        return;
    }
    let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
    let taint = Taint { key: NOT_READY.into(), effect: "NoSchedule".into(), ..Taint::default() };
    if !taints.contains(&taint) {
        taints.push(taint);
    }
}

/// The taint of nodes that are not Ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Sets adopt pods without a controller that their selectors match: StatefulSets those of their names, ReplicaSets any, Jobs those
/// that carry their name.
fn adopter(cluster: &mut Cluster, pod: &k8s_openapi::api::core::v1::Pod) -> Option<(&'static str, String)> {
    if cluster.stateful_sets().is_empty() && cluster.replica_sets().is_empty() && cluster.jobs().is_empty() {
        return None;
    }
    let metadata = &pod.metadata;
    metadata.labels.as_ref().filter(|labels| !labels.is_empty())?;
    let ended = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    if matches!(ended, Some("Succeeded" | "Failed")) || metadata.deletion_timestamp.is_some() {
        return None;
    }
    let labels = lower::label_set(cluster, metadata.labels.as_ref());
    let namespace = cluster.names.get(metadata.namespace.as_deref().unwrap_or("default"))?;
    // A Job takes the pods that its selector matches, and these are the ones that carry its name.
    let job = metadata.labels.as_ref().and_then(|labels| labels.get(JOB_NAME));
    if let Some(job) = job
        && cluster.names.get_name(job).is_some_and(|job| cluster.job_by_name(namespace, job).is_some())
    {
        return Some(("Job", job.clone()));
    }
    let parent = metadata.name.as_deref().and_then(|name| name.rsplit_once('-'));
    let parent = parent.filter(|(_, ordinal)| ordinal.bytes().all(|b| b.is_ascii_digit()));
    let set =
        parent.and_then(|(set, _)| cluster.stateful_set_by_name(namespace, cluster.names.get_name(set)?));
    if let (Some(set), Some((name, _))) = (set, parent)
        && cluster.stateful_sets()[set].selector.matches(&labels)
    {
        return Some(("StatefulSet", name.to_owned()));
    }
    let sets = cluster.replica_sets().iter().filter(|(_, set)| set.exists && set.namespace == namespace);
    let mut matching = sets.filter(|(_, set)| set.selector.matches(&labels));
    let (_, set) = matching.next()?;
    Some((set.kind.name(), cluster.names.show(set.name).to_string()))
}

/// Changes an object that is there already; `false`: there is none. Of workloads the number of replicas is taken over, of nodes
/// everything but their identity, of claims what binds them by hand; volumes and pods cannot be changed in ways that matter here.
fn update(cluster: &mut Cluster, object: &Object) -> Result<bool, LowerError> {
    let name = |cluster: &Cluster| cluster.names.get_name(object.name());
    let key = |cluster: &Cluster| -> Option<(Sym, Name)> {
        Some((cluster.names.get(object.namespace())?, name(cluster)?))
    };
    let replicas = |n: Option<i32>| u32::try_from(n.unwrap_or(1)).unwrap_or(0);
    match object {
        Object::Node(o) => {
            let Some(id) = cluster.names.get(object.name()).and_then(|n| cluster.node_by_name(n)) else {
                return Ok(false);
            };
            update_node(cluster, id, o)?;
        }
        Object::PersistentVolume(_) => {
            let sym = cluster.names.get(object.name());
            return Ok(sym.is_some_and(|n| cluster.volume_by_name(n).is_some()));
        }
        Object::PersistentVolumeClaim(o) => {
            let Some(id) = key(cluster).and_then(|(ns, n)| cluster.claim_by_name(ns, n)) else {
                return Ok(false);
            };
            let spec = lower::claim_spec_id(cluster, o)?;
            let request = cluster.claim_spec(spec).request;
            cluster.expand_claim(id, request);
            update_claim(cluster, id, o);
        }
        Object::Pod(_) => {
            return Ok(key(cluster).is_some_and(|(ns, n)| cluster.pod_by_name(ns, n).is_some()));
        }
        Object::Job(_) => {
            return Ok(key(cluster).is_some_and(|(ns, n)| cluster.job_by_name(ns, n).is_some()));
        }
        Object::StatefulSet(o) => {
            let found = key(cluster).and_then(|(ns, n)| cluster.stateful_set_by_name(ns, n));
            let Some(id) = found else { return Ok(false) };
            let wanted = replicas(o.spec.as_ref().and_then(|s| s.replicas));
            cluster.update_stateful_set(id, |set| set.replicas = wanted);
        }
        Object::Deployment(_) | Object::ReplicaSet(_) | Object::ReplicationController(_) => {
            let found = key(cluster)
                .zip(ReplicaSetKind::named(object.kind()))
                .and_then(|((ns, n), kind)| cluster.replica_set_by_name(ns, n, kind));
            let Some(id) = found else { return Ok(false) };
            let wanted = match object {
                Object::Deployment(o) => replicas(o.spec.as_ref().and_then(|s| s.replicas)),
                Object::ReplicaSet(o) => replicas(o.spec.as_ref().and_then(|s| s.replicas)),
                Object::ReplicationController(o) => replicas(o.spec.as_ref().and_then(|s| s.replicas)),
                _ => return Ok(false),
            };
            cluster.update_replica_set(id, |set| set.replicas = wanted);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// `spec.volumeName` of a claim that has none yet, and the annotation with the selected node.
fn update_claim(
    cluster: &mut Cluster,
    id: ClaimId,
    claim: &k8s_openapi::api::core::v1::PersistentVolumeClaim,
) {
    const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
    let named = claim.spec.as_ref().and_then(|s| s.volume_name.as_deref()).filter(|n| !n.is_empty());
    let selected = claim.metadata.annotations.as_ref().and_then(|a| a.get(SELECTED_NODE));
    let named = named.map(|n| cluster.names.intern(n));
    let selected = selected.map(|n| cluster.names.intern(n));
    let row = cluster.claim(id);
    let volume = row.volume_name.or(named);
    let node = selected.or(row.selected_node);
    if volume != row.volume_name || node != row.selected_node {
        cluster.update_claim(id, |claim| {
            claim.volume_name = volume;
            claim.selected_node = node;
        });
    }
}

/// Takes over what a node says now, by lowering it in a cluster of its own that shares the string table.
fn update_node(
    cluster: &mut Cluster,
    id: NodeId,
    node: &k8s_openapi::api::core::v1::Node,
) -> Result<(), LowerError> {
    let mut apart = Cluster::default();
    std::mem::swap(&mut apart.names, &mut cluster.names);
    let lowered = lower::add_node(&mut apart, node).map(|new| {
        let row = apart.node(new).clone();
        let labels = apart.node_labels(new).clone();
        (row, labels)
    });
    std::mem::swap(&mut apart.names, &mut cluster.names);
    let (row, labels) = lowered?;
    let labels = cluster.intern_labels(labels);
    cluster.set_node_labels(id, labels);
    cluster.set_node_taints(id, row.taints.clone());
    cluster.set_node_unschedulable(id, row.unschedulable);
    cluster.set_node_ready(id, row.ready);
    cluster.set_node_allocatable(id, row.allocatable.clone(), row.allocatable_pods);
    Ok(())
}
