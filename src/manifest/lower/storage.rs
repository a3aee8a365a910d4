//! PersistentVolumes, claims, classes, CSI.

use super::labels::{label_selector, node_selector};
use super::{
    LowerError, Lowered, annotation, exists, has_finalizer, label_set, name, namespace, quantity, uid,
};
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, ClaimSpecId, Terminating, Uid, VolumeId};
use crate::model::volume::*;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::sync::Arc;

const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Adds a volume.
///
/// # Errors
/// [`LowerError`] for what the API would refuse, or a duplicate.
pub fn add_volume(cluster: &mut Cluster, volume: &core::PersistentVolume) -> Lowered<VolumeId> {
    let metadata = &volume.metadata;
    let spec = volume.spec.as_ref().ok_or(LowerError::Missing { path: "spec" })?;
    let capacity = spec.capacity.as_ref().and_then(|c| c.get("storage"));
    let capacity = capacity.ok_or(LowerError::Missing { path: "spec.capacity.storage" })?;
    let class = annotation(metadata, BETA_CLASS).or(spec.storage_class_name.as_deref()).unwrap_or("");
    let affinity = spec.node_affinity.as_ref().and_then(|a| a.required.as_ref());
    let affinity = affinity.map(|a| node_selector(cluster, a)).transpose()?;
    let labels = label_set(cluster, metadata.labels.as_ref());
    let source = match (&spec.csi, &spec.local) {
        (Some(csi), _) => VolumeSource::Csi {
            driver: cluster.names.intern(&csi.driver),
            handle: (Some(csi.volume_handle.as_str()) != metadata.name.as_deref())
                .then(|| cluster.names.intern(&csi.volume_handle)),
        },
        (None, Some(_)) => VolumeSource::Local,
        (None, None) => VolumeSource::Other,
    };
    let row = Volume {
        name: cluster.names.intern(name(metadata)?),
        uid: uid(cluster, metadata),
        shape: Arc::new(VolumeShape {
            capacity: quantity("spec.capacity.storage", capacity)?,
            modes: access_modes(spec.access_modes.as_ref())?,
            class: cluster.names.intern(class),
            mode: volume_mode(spec.volume_mode.as_deref())?,
            attributes_class: intern(cluster, spec.volume_attributes_class_name.as_deref()),
            labels: cluster.intern_labels(labels),
            reclaim: reclaim_policy(spec.persistent_volume_reclaim_policy.as_deref(), ReclaimPolicy::Retain)?,
            source,
            provisioned_by: intern(cluster, annotation(metadata, "pv.kubernetes.io/provisioned-by")),
        }),
        node_affinity: affinity.map(|a| cluster.intern_node_selector(a)),
        claim_ref: spec.claim_ref.as_ref().map(|r| claim_ref(cluster, r)),
        bound_by_controller: annotation(metadata, "pv.kubernetes.io/bound-by-controller").is_some(),
        phase: volume_phase(volume.status.as_ref().and_then(|s| s.phase.as_deref()))?,
        deletion: metadata.deletion_timestamp.as_ref().map(|_| Terminating),
        protected: has_finalizer(metadata, "kubernetes.io/pv-protection"),
        created: SimTime::ZERO,
        assumed_for: None,
    };
    cluster.add_volume(row).map_err(exists("PersistentVolume", metadata))
}

fn intern(cluster: &mut Cluster, text: Option<&str>) -> Option<crate::model::names::Sym> {
    text.filter(|t| !t.is_empty()).map(|t| cluster.names.intern(t))
}

fn claim_ref(cluster: &mut Cluster, reference: &core::ObjectReference) -> ClaimRef {
    let uid = intern(cluster, reference.uid.as_deref());
    ClaimRef {
        namespace: cluster.names.intern(reference.namespace.as_deref().unwrap_or("")),
        name: cluster.names.name(reference.name.as_deref().unwrap_or("")),
        uid: uid.map(Uid::from_text),
    }
}

fn access_modes(modes: Option<&Vec<String>>) -> Lowered<AccessModes> {
    modes.into_iter().flatten().try_fold(AccessModes::default(), |all, mode| {
        let mode = match mode.as_str() {
            "ReadWriteOnce" => AccessModes::RWO,
            "ReadOnlyMany" => AccessModes::ROX,
            "ReadWriteMany" => AccessModes::RWX,
            "ReadWriteOncePod" => AccessModes::RWOP,
            other => {
                return Err(LowerError::UnknownValue {
                    path: "spec.accessModes",
                    value: other.to_owned(),
                    expected: "ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod",
                });
            }
        };
        Ok(all.union(mode))
    })
}

fn volume_mode(mode: Option<&str>) -> Lowered<VolumeMode> {
    match mode {
        None | Some("" | "Filesystem") => Ok(VolumeMode::Filesystem),
        Some("Block") => Ok(VolumeMode::Block),
        Some(other) => Err(LowerError::UnknownValue {
            path: "spec.volumeMode",
            value: other.to_owned(),
            expected: "Filesystem, Block",
        }),
    }
}

fn reclaim_policy(policy: Option<&str>, default: ReclaimPolicy) -> Lowered<ReclaimPolicy> {
    match policy {
        None | Some("") => Ok(default),
        Some("Retain") => Ok(ReclaimPolicy::Retain),
        Some("Delete") => Ok(ReclaimPolicy::Delete),
        Some("Recycle") => Ok(ReclaimPolicy::Recycle),
        Some(other) => Err(LowerError::UnknownValue {
            path: "reclaimPolicy",
            value: other.to_owned(),
            expected: "Retain, Delete, Recycle",
        }),
    }
}

fn volume_phase(phase: Option<&str>) -> Lowered<VolumePhase> {
    match phase {
        None | Some("" | "Pending") => Ok(VolumePhase::Pending),
        Some("Available") => Ok(VolumePhase::Available),
        Some("Bound") => Ok(VolumePhase::Bound),
        Some("Released") => Ok(VolumePhase::Released),
        Some("Failed") => Ok(VolumePhase::Failed),
        Some(other) => Err(LowerError::UnknownValue {
            path: "status.phase",
            value: other.to_owned(),
            expected: "Pending, Available, Bound, Released, Failed",
        }),
    }
}

/// What a claim, or a volumeClaimTemplate, asks for.
///
/// # Errors
/// [`LowerError`] for what the API would refuse.
pub fn claim_spec(
    cluster: &mut Cluster,
    metadata: &ObjectMeta,
    spec: &core::PersistentVolumeClaimSpec,
) -> Lowered<ClaimSpec> {
    let request = spec.resources.as_ref().and_then(|r| r.requests.as_ref()).and_then(|r| r.get("storage"));
    let request = request.ok_or(LowerError::Missing { path: "spec.resources.requests.storage" })?;
    let class = annotation(metadata, BETA_CLASS).or(spec.storage_class_name.as_deref());
    let selector = spec.selector.as_ref().map(|s| label_selector(cluster, Some(s))).transpose()?;
    Ok(ClaimSpec {
        class: class.map(|c| cluster.names.intern(c)),
        modes: access_modes(spec.access_modes.as_ref())?,
        request: quantity("spec.resources.requests.storage", request)?,
        selector,
        mode: volume_mode(spec.volume_mode.as_deref())?,
        attributes_class: intern(cluster, spec.volume_attributes_class_name.as_deref()),
    })
}

/// [`claim_spec`], interned.
///
/// # Errors
/// As [`claim_spec`].
pub fn claim_spec_id(cluster: &mut Cluster, claim: &core::PersistentVolumeClaim) -> Lowered<ClaimSpecId> {
    let spec = claim.spec.as_ref().ok_or(LowerError::Missing { path: "spec" })?;
    let spec = claim_spec(cluster, &claim.metadata, spec)?;
    Ok(cluster.intern_claim_spec(spec))
}

/// Adds a claim.
///
/// # Errors
/// [`LowerError`] for what the API would refuse, or a duplicate.
pub fn add_claim(cluster: &mut Cluster, claim: &core::PersistentVolumeClaim) -> Lowered<ClaimId> {
    let metadata = &claim.metadata;
    let spec_id = claim_spec_id(cluster, claim)?;
    let status = claim.status.as_ref();
    let capacity = status.and_then(|s| s.capacity.as_ref()).and_then(|c| c.get("storage"));
    let phase = match status.and_then(|s| s.phase.as_deref()) {
        None | Some("" | "Pending") => ClaimPhase::Pending,
        Some("Bound") => ClaimPhase::Bound,
        Some("Lost") => ClaimPhase::Lost,
        Some(other) => {
            return Err(LowerError::UnknownValue {
                path: "status.phase",
                value: other.to_owned(),
                expected: "Pending, Bound, Lost",
            });
        }
    };
    let selected = annotation(metadata, "volume.kubernetes.io/selected-node");
    let provisioner = annotation(metadata, "volume.kubernetes.io/storage-provisioner");
    let owner = metadata.owner_references.iter().flatten().next().map(|o| o.uid.as_str());
    let capacity = capacity.map(|c| quantity("status.capacity.storage", c)).transpose()?;
    let row = Claim {
        uid: uid(cluster, metadata),
        namespace: cluster.names.intern(namespace(metadata)),
        name: cluster.names.name(name(metadata)?),
        spec: spec_id,
        volume_name: intern(cluster, claim.spec.as_ref().and_then(|s| s.volume_name.as_deref())),
        bind_completed: annotation(metadata, "pv.kubernetes.io/bind-completed").is_some(),
        bound_by_controller: annotation(metadata, "pv.kubernetes.io/bound-by-controller").is_some(),
        selected_node: intern(cluster, selected),
        storage_provisioner: intern(cluster, provisioner),
        assumed_node: None,
        phase,
        capacity: capacity.map(|capacity| cluster.intern_quantity(capacity)),
        deletion: metadata.deletion_timestamp.as_ref().map(|_| Terminating),
        protected: has_finalizer(metadata, "kubernetes.io/pvc-protection"),
        owner: intern(cluster, owner).map_or(ClaimOwner::None, |u| ClaimOwner::Object(Uid::from_text(u))),
        created: SimTime::ZERO,
    };
    cluster.add_claim(row).map_err(exists("PersistentVolumeClaim", metadata))
}

/// Adds a class.
///
/// # Errors
/// [`LowerError`] for what the API would refuse.
pub fn add_class(cluster: &mut Cluster, class: &storage::StorageClass) -> Lowered<()> {
    let binding_mode = match class.volume_binding_mode.as_deref() {
        None | Some("" | "Immediate") => BindingMode::Immediate,
        Some("WaitForFirstConsumer") => BindingMode::WaitForFirstConsumer,
        Some(other) => {
            return Err(LowerError::UnknownValue {
                path: "volumeBindingMode",
                value: other.to_owned(),
                expected: "Immediate, WaitForFirstConsumer",
            });
        }
    };
    let mut allowed_topologies = Vec::new();
    for term in class.allowed_topologies.iter().flatten() {
        let mut expressions = Vec::new();
        for e in term.match_label_expressions.iter().flatten() {
            let values = e.values.iter().map(|v| cluster.names.intern(v)).collect();
            expressions.push((cluster.names.intern(&e.key), values));
        }
        allowed_topologies.push(TopologyTerm { expressions });
    }
    let default = |key| annotation(&class.metadata, key) == Some("true");
    let created = class.metadata.creation_timestamp.as_ref();
    let row = StorageClass {
        name: cluster.names.intern(name(&class.metadata)?),
        provisioner: cluster.names.intern(&class.provisioner),
        binding_mode,
        reclaim: reclaim_policy(class.reclaim_policy.as_deref(), ReclaimPolicy::Delete)?,
        allowed_topologies,
        is_default: default("storageclass.kubernetes.io/is-default-class")
            || default("storageclass.beta.kubernetes.io/is-default-class"),
        allow_expansion: class.allow_volume_expansion == Some(true),
        created: created
            .map_or(SimTime::ZERO, |t| SimTime::from_secs(u64::try_from(t.0.as_second()).unwrap_or(0))),
    };
    cluster.set_class(row);
    Ok(())
}

/// Adds a CSIStorageCapacity.
///
/// # Errors
/// A quantity that is none, or a missing name.
pub fn add_capacity(cluster: &mut Cluster, capacity: &storage::CSIStorageCapacity) -> Lowered<()> {
    let topology = capacity.node_topology.as_ref().map(|t| label_selector(cluster, Some(t))).transpose()?;
    let row = StorageCapacity {
        namespace: cluster.names.intern(namespace(&capacity.metadata)),
        name: cluster.names.intern(name(&capacity.metadata)?),
        class: cluster.names.intern(&capacity.storage_class_name),
        topology,
        capacity: capacity.capacity.as_ref().map(|q| quantity("capacity", q)).transpose()?,
        maximum_volume_size: capacity
            .maximum_volume_size
            .as_ref()
            .map(|q| quantity("maximumVolumeSize", q))
            .transpose()?,
    };
    cluster.set_capacity(row);
    Ok(())
}

/// Adds a CSIDriver.
///
/// # Errors
/// A missing name.
pub fn add_csi_driver(cluster: &mut Cluster, driver: &storage::CSIDriver) -> Lowered<()> {
    let row = CsiDriver {
        name: cluster.names.intern(name(&driver.metadata)?),
        storage_capacity: driver.spec.storage_capacity == Some(true),
        attach_required: driver.spec.attach_required != Some(false),
    };
    cluster.set_csi_driver(row);
    Ok(())
}
