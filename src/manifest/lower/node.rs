//! Nodes and CSINodes.

use super::{LowerError, Lowered, exists, label_set, name, quantity, uid};
use crate::model::cluster::Cluster;
use crate::model::ids::NodeId;
use crate::model::names::sym;
use crate::model::node::{CsiNode, CsiNodeDriver, Node, NodeInfo, NodeShape};
use crate::model::quantity::Quantity;
use crate::model::resources::Resources;
use crate::model::spec::{Taint, TaintEffect};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Adds a node; allocatable defaults to capacity.
///
/// # Errors
/// [`LowerError`] for quantities and effects that the API would refuse, or a duplicate.
pub fn add_node(cluster: &mut Cluster, node: &core::Node) -> Lowered<NodeId> {
    let status = node.status.as_ref();
    let spec = node.spec.as_ref();
    let empty = BTreeMap::new();
    let allocatable = status
        .and_then(|s| s.allocatable.as_ref().filter(|a| !a.is_empty()).or(s.capacity.as_ref()))
        .unwrap_or(&empty);
    let (resources, pods) = resources(cluster, "status.allocatable", allocatable)?;
    let labels = label_set(cluster, node.metadata.labels.as_ref());
    let mut images = Vec::new();
    for image in status.and_then(|s| s.images.as_ref()).into_iter().flatten() {
        for name in image.names.iter().flatten() {
            images.push((cluster.names.intern(name), image.size_bytes.unwrap_or(0)));
        }
    }
    images.sort_unstable();
    let taints = spec.and_then(|s| s.taints.as_ref()).into_iter().flatten();
    let taints = taints.map(|t| taint(cluster, t)).collect::<Lowered<_>>()?;
    let node_row = Node {
        name: cluster.names.intern(name(&node.metadata)?),
        uid: uid(cluster, &node.metadata),
        exists: true,
        labels: cluster.intern_labels(labels),
        unschedulable: spec.and_then(|s| s.unschedulable).unwrap_or(false),
        ready: is_ready(status),
        shape: Arc::new(NodeShape {
            taints,
            allocatable: resources,
            allocatable_has_cpu: allocatable.contains_key("cpu"),
            allocatable_has_memory: allocatable.contains_key("memory"),
            allocatable_pods: pods,
            images,
        }),
        info: NodeInfo::default(),
        generation: 0,
    };
    cluster.add_node(node_row).map_err(exists("Node", &node.metadata))
}

/// A node without a Ready condition counts as ready: manifests written by hand rarely have a status.
fn is_ready(status: Option<&core::NodeStatus>) -> bool {
    let conditions = status.and_then(|s| s.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|c| c.type_ == "Ready");
    ready.is_none_or(|c| c.status == "True")
}

fn taint(cluster: &mut Cluster, taint: &core::Taint) -> Lowered<Taint> {
    Ok(Taint {
        key: cluster.names.intern(&taint.key),
        value: cluster.names.intern(taint.value.as_deref().unwrap_or("")),
        effect: taint_effect(&taint.effect)?,
    })
}

pub(super) fn taint_effect(text: &str) -> Lowered<TaintEffect> {
    match text {
        "NoSchedule" => Ok(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Ok(TaintEffect::PreferNoSchedule),
        "NoExecute" => Ok(TaintEffect::NoExecute),
        other => Err(LowerError::UnknownValue {
            path: "taints.effect",
            value: other.to_owned(),
            expected: "NoSchedule, PreferNoSchedule, NoExecute",
        }),
    }
}

/// A resource list as the scheduler's `Resource`, and its `pods`. Quantities are rounded up to 10^-3 first, as API defaulting does.
///
/// # Errors
/// A quantity that is none.
pub fn resources(
    cluster: &mut Cluster,
    path: &str,
    list: &BTreeMap<String, ApiQuantity>,
) -> Lowered<(Resources, i64)> {
    let mut amounts = BTreeMap::new();
    for (name, text) in list {
        amounts.insert(name.as_str(), quantity(path, text)?.rounded_up_to_milli());
    }
    Ok(from_quantities(cluster, &amounts))
}

/// `Resource.Add` of an exact resource list.
pub(super) fn from_quantities(cluster: &mut Cluster, list: &BTreeMap<&str, Quantity>) -> (Resources, i64) {
    let mut out = Resources::default();
    let mut pods = 0;
    for (&name, &amount) in list {
        match cluster.names.intern(name) {
            sym::CPU => out.cpu_milli = amount.milli_value(),
            sym::MEMORY => out.memory_bytes = amount.value(),
            sym::EPHEMERAL_STORAGE => out.ephemeral_bytes = amount.value(),
            sym::PODS => pods = amount.value(),
            other if is_scalar(name) => out.set_scalar(other, amount.value()),
            _ => {}
        }
    }
    (out, pods)
}

/// `IsScalarResourceName`: extended, hugepages, prefixed native and attachable-volumes resources. Other names do not count.
fn is_scalar(name: &str) -> bool {
    (name.contains('/') && (name.contains("kubernetes.io/") || !name.starts_with("requests.")))
        || name.starts_with("hugepages-")
        || name.starts_with("attachable-volumes-")
}

/// Adds a CSINode.
///
/// # Errors
/// A missing name.
pub fn add_csi_node(cluster: &mut Cluster, csi: &storage::CSINode) -> Lowered<()> {
    let drivers = csi.spec.drivers.iter().map(|driver| CsiNodeDriver {
        name: cluster.names.intern(&driver.name),
        limit: driver.allocatable.as_ref().and_then(|a| a.count),
        topology_keys: driver.topology_keys.iter().flatten().map(|k| cluster.names.intern(k)).collect(),
    });
    let drivers = drivers.collect();
    let name = cluster.names.intern(name(&csi.metadata)?);
    cluster.set_csi_node(name, CsiNode { drivers });
    Ok(())
}
