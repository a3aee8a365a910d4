//! The API server: what a write does to the objects, with its rules of deletion (grace periods, finalizers).

use super::node_lifecycle::condition_taints;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{
    ClaimId, ClaimSpecId, JobId, NodeId, PodId, ReplicaSetId, StatefulSetId, Terminating, Uid, VolumeId,
};
use crate::model::names::{Name, Sym};
use crate::model::pod::{AssumedNode, Pod, PodOwner, PodPhase, StartOrder};
use crate::model::spec::PodVolume;
use crate::model::volume::{Claim, ClaimOwner, ClaimPhase};
use crate::model::workload::ClaimTemplate;

/// One write of a controller. Objects are named by row and uid: a write that comes too late does nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Write {
    /// Creates the claim of a StatefulSet's pod from a template.
    CreateSetClaim {
        /// The set.
        set: StatefulSetId,
        /// Ordinal of the pod.
        ordinal: u32,
        /// Which template.
        template: u32,
    },
    /// Creates the claim of a pod's generic ephemeral volume.
    CreateEphemeralClaim {
        /// The pod.
        pod: PodId,
        /// Its uid.
        uid: Uid,
        /// Which of its volumes.
        volume: u32,
    },
    /// Creates a StatefulSet's pod.
    CreateSetPod {
        /// The set.
        set: StatefulSetId,
        /// Ordinal of the pod.
        ordinal: u32,
    },
    /// Creates the next pod of a ReplicaSet.
    CreateReplica(ReplicaSetId),
    /// Creates the next pod of a Job.
    CreateJobPod(JobId),
    /// Sets a claim's owner.
    SetClaimOwner {
        /// The claim.
        claim: ClaimId,
        /// Its uid.
        uid: Uid,
        /// The owner.
        owner: ClaimOwner,
    },
    /// Deletes a pod.
    DeletePod {
        /// The pod.
        pod: PodId,
        /// Its uid.
        uid: Uid,
        /// How gracefully.
        grace: Grace,
    },
    /// The kubelet has stopped the pod: it is gone.
    RemovePod {
        /// The pod.
        pod: PodId,
        /// Its uid.
        uid: Uid,
    },
    /// Sets a pod's phase and readiness.
    SetPodStatus {
        /// The pod.
        pod: PodId,
        /// Its uid.
        uid: Uid,
        /// Phase.
        phase: PodPhase,
        /// The Ready condition.
        ready: bool,
    },
    /// Binds a pod.
    BindPod {
        /// The pod.
        pod: PodId,
        /// Its uid.
        uid: Uid,
        /// Where.
        node: NodeId,
    },
    /// Deletes a claim.
    DeleteClaim {
        /// The claim.
        claim: ClaimId,
        /// Its uid.
        uid: Uid,
    },
    /// Removes the finalizer of a claim that nobody uses.
    UnprotectClaim {
        /// The claim.
        claim: ClaimId,
        /// Its uid.
        uid: Uid,
    },
    /// Deletes a volume.
    DeleteVolume {
        /// The volume.
        volume: VolumeId,
        /// Its uid.
        uid: Uid,
    },
    /// Brings a node's NoSchedule taints in line with its condition.
    SetNodeTaints {
        /// The node.
        node: NodeId,
        /// Ready is Unknown, not False.
        unknown: bool,
    },
    /// Removes the finalizer of a volume that is not bound.
    UnprotectVolume {
        /// The volume.
        volume: VolumeId,
        /// Its uid.
        uid: Uid,
    },
}

/// How a pod is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// With the pod's own grace period.
    Default,
    /// `--grace-period=0 --force`: the object is gone at once, whatever its kubelet says.
    Force,
}

/// Why a write was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An object of that name is there.
    AlreadyExists,
    /// The object is gone (or another one).
    NotFound,
}

/// Applies a write.
///
/// # Errors
/// [`Refused`]; nothing has changed then.
pub fn apply(cluster: &mut Cluster, write: Write, now: SimTime) -> Result<(), Refused> {
    match write {
        Write::CreateSetClaim { set, ordinal, template } => {
            create_set_claim(cluster, set, ordinal, template, now)
        }
        Write::CreateEphemeralClaim { pod, uid, volume } => {
            create_ephemeral_claim(cluster, pod, uid, volume, now)
        }
        Write::CreateSetPod { set, ordinal } => create_set_pod(cluster, set, ordinal, now),
        Write::CreateReplica(set) => create_replica(cluster, set, now),
        Write::CreateJobPod(job) => create_job_pod(cluster, job, now),
        Write::SetClaimOwner { claim, uid, owner } => {
            live_claim(cluster, claim, uid)?;
            cluster.update_claim(claim, |c| c.owner = owner);
            Ok(())
        }
        Write::DeletePod { pod, uid, grace } => {
            live_pod(cluster, pod, uid)?;
            delete_pod(cluster, pod, grace);
            Ok(())
        }
        Write::RemovePod { pod, uid } => {
            live_pod(cluster, pod, uid)?;
            cluster.remove_pod(pod);
            Ok(())
        }
        Write::SetPodStatus { pod, uid, phase, ready } => {
            live_pod(cluster, pod, uid)?;
            cluster.set_pod_status(pod, phase, ready);
            Ok(())
        }
        Write::BindPod { pod, uid, node } => {
            live_pod(cluster, pod, uid)?;
            cluster.bind_pod(pod, node);
            Ok(())
        }
        Write::DeleteClaim { claim, uid } => {
            live_claim(cluster, claim, uid)?;
            delete_claim(cluster, claim);
            Ok(())
        }
        Write::UnprotectClaim { claim, uid } => {
            live_claim(cluster, claim, uid)?;
            if cluster.claim(claim).deletion.is_some() {
                cluster.remove_claim(claim);
            } else {
                cluster.update_claim(claim, |c| c.protected = false);
            }
            Ok(())
        }
        Write::SetNodeTaints { node, unknown } => {
            let taints = condition_taints(cluster, node, unknown);
            cluster.set_node_taints(node, taints);
            Ok(())
        }
        Write::DeleteVolume { volume, uid } => {
            live_volume(cluster, volume, uid)?;
            delete_volume(cluster, volume);
            Ok(())
        }
        Write::UnprotectVolume { volume, uid } => {
            live_volume(cluster, volume, uid)?;
            if cluster.volume(volume).deletion.is_some() {
                cluster.remove_volume(volume);
            } else {
                cluster.update_volume(volume, |v| v.protected = false);
            }
            Ok(())
        }
    }
}

fn live_pod(cluster: &Cluster, pod: PodId, uid: Uid) -> Result<(), Refused> {
    cluster.pods().get(pod).filter(|p| p.uid == uid).map(|_| ()).ok_or(Refused::NotFound)
}
fn live_claim(cluster: &Cluster, claim: ClaimId, uid: Uid) -> Result<(), Refused> {
    cluster.claims().get(claim).filter(|c| c.uid == uid).map(|_| ()).ok_or(Refused::NotFound)
}
fn live_volume(cluster: &Cluster, volume: VolumeId, uid: Uid) -> Result<(), Refused> {
    cluster.volumes().get(volume).filter(|v| v.uid == uid).map(|_| ()).ok_or(Refused::NotFound)
}

/// Deletes a pod: at once if it runs nowhere, has ended, or is forced; else it is Terminating until its kubelet has stopped it.
pub fn delete_pod(cluster: &mut Cluster, pod: PodId, grace: Grace) {
    let row = cluster.pod(pod);
    let period = cluster.spec(row.spec).termination_grace;
    if row.node.is_none() || row.is_finished() || grace == Grace::Force || period.is_zero() {
        cluster.remove_pod(pod);
    } else if row.deletion.is_none() {
        cluster.mark_pod_deleted(pod);
    }
}

/// Deletes a claim: it is Terminating while its finalizer stands.
pub fn delete_claim(cluster: &mut Cluster, claim: ClaimId) {
    let row = cluster.claim(claim);
    if !row.protected {
        cluster.remove_claim(claim);
    } else if row.deletion.is_none() {
        cluster.update_claim(claim, |c| c.deletion = Some(Terminating));
    }
}

/// Deletes a volume: it is Terminating while its finalizer stands.
pub fn delete_volume(cluster: &mut Cluster, volume: VolumeId) {
    let row = cluster.volume(volume);
    if !row.protected {
        cluster.remove_volume(volume);
    } else if row.deletion.is_none() {
        cluster.update_volume(volume, |v| v.deletion = Some(Terminating));
    }
}

/// Creates the claim `<template>-<pod>` as API server and admission would store it.
///
/// # Errors
/// [`Refused::AlreadyExists`].
pub fn create_claim(
    cluster: &mut Cluster,
    namespace: Sym,
    pod: Name,
    template: ClaimTemplate,
    owner: ClaimOwner,
    now: SimTime,
) -> Result<ClaimId, Refused> {
    let name = cluster.names.prefixed_name(template.prefix, pod);
    create_named_claim(cluster, namespace, name, template.spec, owner, now)
}

fn create_named_claim(
    cluster: &mut Cluster,
    namespace: Sym,
    name: Name,
    spec: ClaimSpecId,
    owner: ClaimOwner,
    now: SimTime,
) -> Result<ClaimId, Refused> {
    if cluster.claim_by_name(namespace, name).is_some() {
        return Err(Refused::AlreadyExists);
    }
    let claim = Claim {
        uid: cluster.new_uid(),
        namespace,
        name,
        spec,
        volume_name: None,
        bind_completed: false,
        bound_by_controller: false,
        selected_node: None,
        assumed_node: None,
        storage_provisioner: None,
        phase: ClaimPhase::Pending,
        capacity: None,
        deletion: None,
        protected: true,
        owner,
        created: now,
    };
    cluster.add_claim(claim).map_err(|_| Refused::AlreadyExists)
}

/// A new pod as the API server would store it.
pub fn new_pod(
    cluster: &mut Cluster,
    name: Name,
    spec: crate::model::ids::SpecId,
    owner: PodOwner,
    now: SimTime,
) -> Pod {
    Pod {
        uid: cluster.new_uid(),
        name,
        spec,
        node: None,
        assumed: AssumedNode::NONE,
        phase: PodPhase::Pending,
        ready: false,
        deletion: None,
        created: now,
        start_order: StartOrder::NOT_STARTED,
        owner,
        preset_node: false,
        preempted: false,
    }
}

fn create_set_claim(
    cluster: &mut Cluster,
    id: StatefulSetId,
    ordinal: u32,
    template: u32,
    now: SimTime,
) -> Result<(), Refused> {
    let set = &cluster.stateful_sets()[id];
    let (namespace, parent) = (set.namespace, set.name);
    let template = *set.claims.get(template as usize).ok_or(Refused::NotFound)?;
    let pod = cluster.names.child(parent, ordinal);
    create_claim(cluster, namespace, pod, template, ClaimOwner::None, now).map(|_| ())
}

fn create_ephemeral_claim(
    cluster: &mut Cluster,
    pod: PodId,
    uid: Uid,
    volume: u32,
    now: SimTime,
) -> Result<(), Refused> {
    let row = cluster.pods().get(pod).filter(|row| row.uid == uid).ok_or(Refused::NotFound)?;
    let spec = cluster.spec(row.spec);
    let Some(&PodVolume::Ephemeral { suffix, claim: Some(claim) }) = spec.volumes.get(volume as usize) else {
        return Err(Refused::NotFound);
    };
    let (namespace, name) = (spec.namespace, row.name);
    let text = format!("{}-{}", cluster.names.show(name), cluster.names.text(suffix));
    let name = cluster.names.name(&text);
    create_named_claim(cluster, namespace, name, claim, ClaimOwner::Object(uid), now).map(|_| ())
}

fn create_set_pod(
    cluster: &mut Cluster,
    id: StatefulSetId,
    ordinal: u32,
    now: SimTime,
) -> Result<(), Refused> {
    let (parent, spec) = (cluster.stateful_sets()[id].name, cluster.stateful_sets()[id].spec);
    let name = cluster.names.child(parent, ordinal);
    let pod = new_pod(cluster, name, spec, PodOwner::StatefulSet(id), now);
    cluster.add_pod(pod).map(|_| ()).map_err(|_| Refused::AlreadyExists)
}

fn create_replica(cluster: &mut Cluster, id: ReplicaSetId, now: SimTime) -> Result<(), Refused> {
    let set = &cluster.replica_sets()[id];
    let (parent, spec, number) = (set.name, set.spec, set.next_pod);
    cluster.update_replica_set(id, |s| s.next_pod = s.next_pod.saturating_add(1));
    let name = cluster.names.child(parent, number);
    let pod = new_pod(cluster, name, spec, PodOwner::ReplicaSet(id), now);
    cluster.add_pod(pod).map(|_| ()).map_err(|_| Refused::AlreadyExists)
}

fn create_job_pod(cluster: &mut Cluster, id: JobId, now: SimTime) -> Result<(), Refused> {
    let job = &cluster.jobs()[id];
    let (parent, spec, number) = (job.name, job.spec, job.next_pod);
    cluster.update_job(id, |j| j.next_pod = j.next_pod.saturating_add(1));
    let name = cluster.names.child(parent, number);
    let pod = new_pod(cluster, name, spec, PodOwner::Job(id), now);
    cluster.add_pod(pod).map(|_| ()).map_err(|_| Refused::AlreadyExists)
}
