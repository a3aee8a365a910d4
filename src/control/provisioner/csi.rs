//! The volume that a CSI provisioner makes for a claim.

use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, NodeId, NodeSelectorId, Uid, VolumeId};
use crate::model::labels::{LabelSet, NodeOperator, NodeRequirement, NodeSelector, NodeSelectorTerm};
use crate::model::names::{Names, Sym, sym};
use crate::model::quantity::Quantity;
use crate::model::volume::{
    ClaimRef, StorageCapacity, StorageClass, Volume, VolumePhase, VolumeShape, VolumeSource,
};
use std::sync::Arc;

/// `pvc-<uid of the claim>`: the name of the volume made for a claim.
pub fn volume_name(names: &mut Names, claim: Uid) -> Sym {
    let text = match claim.text_symbol() {
        Some(text) => format!("pvc-{}", names.text(text)),
        // Generated uids look like uids.
        None => format!("pvc-00000000-0000-4000-8000-{:012x}", claim.number()),
    };
    names.intern(&text)
}

/// Is a volume to be made for the claim now? It must have no volume, a class with a provisioner that makes volumes, and a selected
/// node: then this is the class and the node.
pub fn wanted(cluster: &Cluster, claim: ClaimId) -> Option<(&StorageClass, NodeId)> {
    let row = cluster.claims().get(claim)?;
    if row.volume_name.is_some() || row.bind_completed {
        return None;
    }
    let class = cluster.class(cluster.claim_spec(row.spec).class_or_empty())?;
    if class.provisioner == sym::NO_PROVISIONER || class.provisioner == sym::EMPTY {
        return None;
    }
    Some((class, cluster.node_by_name(row.selected_node?)?))
}

/// Makes the volume for a claim on a node: so large, with the claim's modes, bound to it, reachable where the node's
/// topology keys for the driver have the node's values (everywhere if the driver has none there).
///
/// `None` if the claim or its class is gone, or the volume exists already.
pub fn create_volume(
    cluster: &mut Cluster,
    claim: ClaimId,
    node: NodeId,
    capacity: Quantity,
    now: SimTime,
) -> Option<VolumeId> {
    let row = cluster.claims().get(claim)?.clone();
    let spec = cluster.claim_spec(row.spec).clone();
    let class = cluster.class(spec.class_or_empty())?;
    let (driver, reclaim) = (class.provisioner, class.reclaim);
    let name = volume_name(&mut cluster.names, row.uid);
    let labels = cluster.intern_labels(LabelSet::default());
    let node_affinity = topology(cluster, node, driver);
    let volume = Volume {
        name,
        uid: cluster.new_uid(),
        shape: Arc::new(VolumeShape {
            capacity,
            modes: spec.modes,
            class: spec.class_or_empty(),
            mode: spec.mode,
            attributes_class: spec.attributes_class,
            labels,
            reclaim,
            source: VolumeSource::Csi { driver, handle: None },
            provisioned_by: Some(driver),
        }),
        node_affinity,
        claim_ref: Some(ClaimRef { namespace: row.namespace, name: row.name, uid: Some(row.uid) }),
        bound_by_controller: false,
        phase: VolumePhase::Pending,
        deletion: None,
        protected: true,
        created: now,
        assumed_for: None,
    };
    cluster.add_volume(volume).ok()
}

/// One `In` requirement per topology key of the driver on the node.
fn topology(cluster: &mut Cluster, node: NodeId, driver: Sym) -> Option<NodeSelectorId> {
    let csi = cluster.csi_node(cluster.node(node).name)?;
    let keys = csi.drivers.iter().find(|d| d.name == driver)?.topology_keys.clone();
    let labels = cluster.node_labels(node);
    let requirement = |key: Sym| {
        let values: Box<[Sym]> = Box::new([labels.get(key)?]);
        Some(NodeRequirement { key, operator: NodeOperator::In, values })
    };
    let expressions: Box<[NodeRequirement]> = keys.into_iter().filter_map(requirement).collect();
    if expressions.is_empty() {
        return None;
    }
    let term = NodeSelectorTerm { expressions, fields: Box::default() };
    Some(cluster.intern_node_selector(NodeSelector { terms: Box::new([term]) }))
}

/// The provisioner of the conformance recordings: it never fails and answers at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordingProvisioner {
    /// Take what is used off the CSIStorageCapacity objects.
    pub capacity_tracking: bool,
}

impl RecordingProvisioner {
    /// Makes the volumes of all claims with a selected node, in order; returns those claims with node and volume.
    pub fn run(&self, cluster: &mut Cluster, now: SimTime) -> Vec<(ClaimId, NodeId, VolumeId)> {
        let claims: Vec<ClaimId> = cluster.claims().ids().collect();
        let mut made = Vec::new();
        for claim in claims {
            let Some((_, node)) = wanted(cluster, claim) else { continue };
            let request = cluster.claim_spec_of(claim).request;
            let Some(volume) = create_volume(cluster, claim, node, request, now) else { continue };
            made.push((claim, node, volume));
            if self.capacity_tracking {
                subtract(cluster, claim, node);
            }
        }
        made
    }
}

/// Takes the claim's request off all capacity objects of its class that the node has access to.
fn subtract(cluster: &mut Cluster, claim: ClaimId, node: NodeId) {
    let spec = cluster.claim_spec_of(claim);
    let (class, request) = (spec.class_or_empty(), spec.request);
    let labels = cluster.node_labels(node);
    let concerned: Vec<StorageCapacity> = cluster.capacities().of_node(class, labels).cloned().collect();
    for mut object in concerned {
        let left = |amount: Quantity| {
            let left = amount.saturating_sub(request);
            if left.is_negative() { Quantity::ZERO } else { left }
        };
        object.capacity = object.capacity.map(left);
        if let (Some(maximum), Some(capacity)) = (object.maximum_volume_size, object.capacity) {
            object.maximum_volume_size = Some(maximum.min(capacity));
        }
        cluster.set_capacity(object);
    }
}
