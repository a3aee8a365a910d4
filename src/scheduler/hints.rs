//! Queueing hints: which events may help a pod, by the plugins that rejected it (`EventsToRegister` of kube-scheduler v1.36's
//! plugins with their hint functions).

use super::plugins::node_ports::conflicts;
use super::queue::PluginSet;
use crate::model::cluster::{Cluster, NodeDelta};
use crate::model::ids::{ClaimId, Id, LabelSetId, NodeId, PodId, SpecId};
use crate::model::labels::LabelSet;
use crate::model::names::{Name, Sym};
use crate::model::node::{Node, NodeShape};
use crate::model::spec::{
    PodAffinityTerm, PodSpec, PodVolume, SpreadConstraint, Taint, TaintEffect, WhenUnsatisfiable,
};
use std::sync::Arc;

/// What the scheduler hears about the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// A node came.
    NodeAdded(NodeId),
    /// A node changed.
    NodeUpdated(NodeId, NodeDelta),
    /// A node went.
    NodeRemoved(NodeId),
    /// A pod was assigned.
    PodAssigned(PodId),
    /// An assigned pod is gone, or an assumed one was forgotten.
    PodRemoved {
        /// Its name.
        name: Name,
        /// What it asked for.
        spec: SpecId,
    },
    /// A volume came.
    VolumeAdded,
    /// A volume changed: any change of any volume.
    VolumeUpdated,
    /// A claim came.
    ClaimAdded(ClaimId),
    /// A claim changed.
    ClaimUpdated(ClaimId),
    /// A class came or changed.
    ClassChanged,
    /// A CSINode came.
    CsiNodeChanged,
    /// A CSIStorageCapacity came or grew.
    CapacityChanged,
}

/// Plugins that register for new nodes, but not for changed taints: the scheduler registers them for those as well, without a hint
/// (`buildQueueingHintMap`), so that every change of a taint brings back all pods that they rejected.
const REQUEUED_BY_TAINTS: PluginSet = PluginSet::NODE_NAME
    .union(PluginSet::NODE_AFFINITY)
    .union(PluginSet::NODE_PORTS)
    .union(PluginSet::NODE_RESOURCES_FIT)
    .union(PluginSet::VOLUME_RESTRICTIONS)
    .union(PluginSet::VOLUME_BINDING)
    .union(PluginSet::VOLUME_ZONE)
    .union(PluginSet::INTER_POD_AFFINITY)
    .union(PluginSet::DYNAMIC_RESOURCES)
    .union(PluginSet::NODE_DECLARED_FEATURES);

impl ClusterEvent {
    /// Plugins that registered for the event.
    pub fn interested(self) -> PluginSet {
        type P = PluginSet;
        let plugins: &[PluginSet] = match self {
            ClusterEvent::NodeAdded(_) => &[
                P::NODE_UNSCHEDULABLE,
                P::NODE_NAME,
                P::TAINT_TOLERATION,
                P::NODE_AFFINITY,
                P::NODE_PORTS,
                P::NODE_RESOURCES_FIT,
                P::VOLUME_RESTRICTIONS,
                P::VOLUME_BINDING,
                P::VOLUME_ZONE,
                P::POD_TOPOLOGY_SPREAD,
                P::INTER_POD_AFFINITY,
                P::DYNAMIC_RESOURCES,
                P::NODE_DECLARED_FEATURES,
            ],
            ClusterEvent::NodeUpdated(_, NodeDelta::Allocatable) => &[P::NODE_RESOURCES_FIT],
            ClusterEvent::NodeUpdated(_, NodeDelta::Labels) => &[
                P::NODE_AFFINITY,
                P::VOLUME_BINDING,
                P::VOLUME_ZONE,
                P::POD_TOPOLOGY_SPREAD,
                P::INTER_POD_AFFINITY,
            ],
            ClusterEvent::NodeUpdated(_, NodeDelta::Taints) => {
                let own = &[P::NODE_UNSCHEDULABLE, P::TAINT_TOLERATION, P::POD_TOPOLOGY_SPREAD];
                let all = own.iter().fold(P::UNKNOWN, |all, plugin| all.union(*plugin));
                return all.union(REQUEUED_BY_TAINTS);
            }
            ClusterEvent::NodeUpdated(_, NodeDelta::Condition | NodeDelta::Other) => &[],
            ClusterEvent::NodeRemoved(_) => &[P::POD_TOPOLOGY_SPREAD],
            ClusterEvent::PodAssigned(_) => &[P::INTER_POD_AFFINITY, P::POD_TOPOLOGY_SPREAD],
            ClusterEvent::PodRemoved { .. } => &[
                P::NODE_RESOURCES_FIT,
                P::NODE_PORTS,
                P::VOLUME_RESTRICTIONS,
                P::NODE_VOLUME_LIMITS,
                P::INTER_POD_AFFINITY,
                P::POD_TOPOLOGY_SPREAD,
            ],
            ClusterEvent::VolumeAdded => &[P::VOLUME_BINDING, P::VOLUME_ZONE],
            ClusterEvent::VolumeUpdated => &[P::VOLUME_BINDING],
            ClusterEvent::ClaimAdded(_) => {
                &[P::VOLUME_BINDING, P::VOLUME_ZONE, P::VOLUME_RESTRICTIONS, P::NODE_VOLUME_LIMITS]
            }
            ClusterEvent::ClaimUpdated(_) => &[P::VOLUME_BINDING, P::VOLUME_ZONE],
            ClusterEvent::ClassChanged => &[P::VOLUME_BINDING, P::VOLUME_ZONE],
            ClusterEvent::CsiNodeChanged => &[P::VOLUME_BINDING, P::NODE_VOLUME_LIMITS],
            ClusterEvent::CapacityChanged => &[P::VOLUME_BINDING],
        };
        plugins.iter().fold(P::UNKNOWN, |all, plugin| all.union(*plugin))
    }
}

/// Nodes as the queue saw them last: hints compare before and after.
#[derive(Clone, Debug, Default)]
pub struct SeenNodes {
    nodes: Vec<Option<SeenNode>>,
}

#[derive(Clone, Debug)]
struct SeenNode {
    labels: LabelSetId,
    unschedulable: bool,
    shape: Arc<NodeShape>,
}

impl SeenNodes {
    /// Does the event tell anything that is remembered?
    #[inline]
    pub fn concerns(event: ClusterEvent) -> bool {
        matches!(
            event,
            ClusterEvent::NodeAdded(_) | ClusterEvent::NodeUpdated(..) | ClusterEvent::NodeRemoved(_)
        )
    }
    /// Remembers what the event told.
    pub fn note(&mut self, cluster: &Cluster, event: ClusterEvent) {
        match event {
            ClusterEvent::NodeAdded(id) | ClusterEvent::NodeUpdated(id, _) => {
                if self.nodes.len() <= id.index() {
                    self.nodes.resize(id.index() + 1, None);
                }
                let node = cluster.node(id);
                self.nodes[id.index()] = Some(SeenNode {
                    labels: node.labels,
                    unschedulable: node.unschedulable,
                    shape: Arc::clone(&node.shape),
                });
            }
            ClusterEvent::NodeRemoved(id) => {
                if let Some(seen) = self.nodes.get_mut(id.index()) {
                    *seen = None;
                }
            }
            _ => {}
        }
    }
    fn get(&self, id: NodeId) -> Option<&SeenNode> {
        self.nodes.get(id.index())?.as_ref()
    }
}

/// May the event help the pod, in the eyes of a plugin that rejected it?
pub fn is_worth_requeuing(
    cluster: &Cluster,
    seen: &SeenNodes,
    pod: PodId,
    rejectors: PluginSet,
    event: ClusterEvent,
) -> bool {
    // A pod that is gone already, which the queue has not heard of yet, cannot be helped.
    let Some(row) = cluster.pods().get(pod) else { return false };
    let spec = cluster.spec(row.spec);
    let by = |plugin: PluginSet| rejectors.intersects(plugin);
    if by(PluginSet::UNKNOWN) {
        return true;
    }
    match event {
        ClusterEvent::NodeAdded(id) | ClusterEvent::NodeUpdated(id, _) => {
            node_helps(cluster, seen.get(id), cluster.node(id), spec, rejectors, event)
        }
        ClusterEvent::NodeRemoved(id) => {
            by(PluginSet::POD_TOPOLOGY_SPREAD)
                && seen.get(id).is_none_or(|node| has_spread_keys(spec, cluster.label_set(node.labels)))
        }
        ClusterEvent::PodAssigned(other) => {
            let other = cluster.spec_of(other);
            (by(PluginSet::INTER_POD_AFFINITY) && matches_all(cluster, spec, Terms::Affinity, other))
                || (by(PluginSet::POD_TOPOLOGY_SPREAD) && counts_for_spread(cluster, spec, other))
        }
        ClusterEvent::PodRemoved { name, spec: gone } => {
            pod_removal_helps(cluster, pod, rejectors, name, cluster.spec(gone))
        }
        ClusterEvent::VolumeAdded => by(PluginSet::VOLUME_BINDING.union(PluginSet::VOLUME_ZONE)),
        ClusterEvent::VolumeUpdated => by(PluginSet::VOLUME_BINDING),
        ClusterEvent::ClaimAdded(claim) | ClusterEvent::ClaimUpdated(claim) => {
            uses_claim(cluster, pod, claim)
        }
        ClusterEvent::ClassChanged | ClusterEvent::CsiNodeChanged | ClusterEvent::CapacityChanged => true,
    }
}

fn node_helps(
    cluster: &Cluster,
    before: Option<&SeenNode>,
    node: &Node,
    spec: &PodSpec,
    rejectors: PluginSet,
    event: ClusterEvent,
) -> bool {
    type P = PluginSet;
    if matches!(event, ClusterEvent::NodeUpdated(_, NodeDelta::Taints))
        && rejectors.intersects(REQUEUED_BY_TAINTS)
    {
        return true;
    }
    let asked = |plugin: PluginSet| rejectors.intersects(plugin) && event.interested().intersects(plugin);
    let added = matches!(event, ClusterEvent::NodeAdded(_));
    let before = if added { None } else { before };
    if added && asked(P::NODE_NAME.union(P::NODE_PORTS).union(P::VOLUME_RESTRICTIONS))
        || asked(P::VOLUME_BINDING.union(P::VOLUME_ZONE).union(P::DYNAMIC_RESOURCES))
        || asked(P::NODE_DECLARED_FEATURES)
    {
        return true;
    }
    if asked(P::NODE_UNSCHEDULABLE) && !node.unschedulable && before.is_none_or(|b| b.unschedulable) {
        return true;
    }
    if asked(P::TAINT_TOLERATION) {
        let was_untolerated = before.is_none_or(|b| !tolerates_all(spec, &b.shape.taints));
        if was_untolerated && tolerates_all(spec, &node.taints) {
            return true;
        }
    }
    if asked(P::NODE_AFFINITY) {
        let now = matches_node_affinity(cluster, spec, node.name, cluster.label_set(node.labels));
        let was = before
            .is_some_and(|b| matches_node_affinity(cluster, spec, node.name, cluster.label_set(b.labels)));
        if now && !was {
            return true;
        }
    }
    if asked(P::NODE_RESOURCES_FIT) && fits_empty(spec, node) && before.is_none_or(|b| grew(spec, b, node)) {
        return true;
    }
    let labels = cluster.label_set(node.labels);
    let old_labels = before.map(|b| cluster.label_set(b.labels));
    if asked(P::INTER_POD_AFFINITY) && topology_change_helps(spec, old_labels, labels) {
        return true;
    }
    asked(P::POD_TOPOLOGY_SPREAD) && spread_domain_changed(spec, old_labels, labels, event)
}

fn tolerates_all(spec: &PodSpec, taints: &[Taint]) -> bool {
    taints
        .iter()
        .filter(|taint| matches!(taint.effect, TaintEffect::NoSchedule | TaintEffect::NoExecute))
        .all(|taint| spec.tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}

fn matches_node_affinity(cluster: &Cluster, spec: &PodSpec, name: Sym, labels: &LabelSet) -> bool {
    spec.node_selector.iter().all(|(key, value)| labels.get(*key) == Some(*value))
        && spec
            .affinity
            .as_ref()
            .and_then(|a| a.node_required.as_ref())
            .is_none_or(|required| required.matches(name, labels, &cluster.names))
}

/// Would the pod fit if nothing else ran there?
fn fits_empty(spec: &PodSpec, node: &Node) -> bool {
    let (ask, have) = (&spec.requests, &node.allocatable);
    node.allocatable_pods >= 1
        && (ask.cpu_milli == 0 || ask.cpu_milli <= have.cpu_milli)
        && (ask.memory_bytes == 0 || ask.memory_bytes <= have.memory_bytes)
        && (ask.ephemeral_bytes == 0 || ask.ephemeral_bytes <= have.ephemeral_bytes)
        && ask.scalars.iter().all(|(name, amount)| *amount == 0 || *amount <= have.scalar(*name))
}

fn grew(spec: &PodSpec, before: &SeenNode, node: &Node) -> bool {
    let (ask, old, new) = (&spec.requests, &before.shape.allocatable, &node.allocatable);
    node.allocatable_pods > before.shape.allocatable_pods
        || (ask.cpu_milli > 0 && new.cpu_milli > old.cpu_milli)
        || (ask.memory_bytes > 0 && new.memory_bytes > old.memory_bytes)
        || (ask.ephemeral_bytes > 0 && new.ephemeral_bytes > old.ephemeral_bytes)
        || ask.scalars.iter().any(|(name, amount)| *amount != 0 && new.scalar(*name) > old.scalar(*name))
}

fn topology_change_helps(spec: &PodSpec, before: Option<&LabelSet>, now: &LabelSet) -> bool {
    let Some(affinity) = &spec.affinity else { return false };
    let Some(before) = before else {
        return !affinity.anti_required.is_empty()
            || affinity.pod_required.iter().any(|term| now.get(term.topology_key).is_some());
    };
    let changed = |term: &PodAffinityTerm| (before.get(term.topology_key), now.get(term.topology_key));
    affinity.pod_required.iter().any(|t| matches!(changed(t), (old, Some(new)) if old != Some(new)))
        || affinity.anti_required.iter().any(|t| matches!(changed(t), (Some(old), new) if new != Some(old)))
}

/// Default constraints of the system (by hostname and zone) never filter, so only the pod's own count.
fn spread_domain_changed(
    spec: &PodSpec,
    before: Option<&LabelSet>,
    now: &LabelSet,
    event: ClusterEvent,
) -> bool {
    let Some(before) = before else { return has_spread_keys(spec, now) };
    has_spread_keys(spec, before) != has_spread_keys(spec, now)
        || (has_spread_keys(spec, now)
            && (matches!(event, ClusterEvent::NodeUpdated(_, NodeDelta::Taints))
                || filtering(spec).any(|c| before.get(c.topology_key) != now.get(c.topology_key))))
}

/// The constraints that reject nodes; those that only score bring no pod back.
fn filtering(spec: &PodSpec) -> impl Iterator<Item = &SpreadConstraint> {
    spec.spread.iter().filter(|c| c.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule)
}

fn has_spread_keys(spec: &PodSpec, labels: &LabelSet) -> bool {
    filtering(spec).all(|c| labels.get(c.topology_key).is_some())
}

fn counts_for_spread(cluster: &Cluster, spec: &PodSpec, other: &PodSpec) -> bool {
    let labels = cluster.label_set(other.labels);
    other.namespace == spec.namespace && filtering(spec).any(|c| c.selector.matches(labels))
}

#[derive(Clone, Copy)]
enum Terms {
    Affinity,
    AntiAffinity,
}

/// Does `other` match all of the pod's required terms? True without terms, as `podMatchesAllAffinityTerms` is not: it is false.
fn matches_all(cluster: &Cluster, spec: &PodSpec, which: Terms, other: &PodSpec) -> bool {
    let Some(affinity) = &spec.affinity else { return false };
    let terms = match which {
        Terms::Affinity => &affinity.pod_required,
        Terms::AntiAffinity => &affinity.anti_required,
    };
    let labels = cluster.label_set(other.labels);
    !terms.is_empty()
        && terms.iter().all(|term| {
            let in_namespace = term.namespaces.contains(&other.namespace)
                || cluster
                    .namespace_labels(other.namespace)
                    .map_or(term.namespace_selector.is_everything(), |ns| {
                        term.namespace_selector.matches(ns)
                    });
            in_namespace && term.selector.matches(labels)
        })
}

fn pod_removal_helps(
    cluster: &Cluster,
    pod: PodId,
    rejectors: PluginSet,
    name: Name,
    gone: &PodSpec,
) -> bool {
    type P = PluginSet;
    let spec = cluster.spec_of(pod);
    let by = |plugin: PluginSet| rejectors.intersects(plugin);
    if by(P::NODE_RESOURCES_FIT) {
        return true;
    }
    if by(P::NODE_PORTS) && spec.host_ports.iter().any(|port| conflicts(port, &gone.host_ports)) {
        return true;
    }
    let claims_of_gone = || gone.volumes.iter().any(|v| !matches!(v, PodVolume::Exclusive { .. }));
    if by(P::NODE_VOLUME_LIMITS) && claims_of_gone() {
        return true;
    }
    if by(P::VOLUME_RESTRICTIONS) && spec.namespace == gone.namespace {
        let exclusive = |v: &PodVolume| matches!(v, PodVolume::Exclusive { .. });
        let disk = spec.volumes.iter().any(|v| exclusive(v) && gone.volumes.contains(v));
        let shared = gone.volumes.iter().any(|v| match v {
            PodVolume::Claim { name, .. } => cluster.claim_names_of(pod).any(|c| c == Some(*name)),
            PodVolume::ClaimTemplate { prefix } => {
                let claim = cluster.names.get_prefixed_name(*prefix, name);
                claim.is_some_and(|claim| cluster.claim_names_of(pod).any(|c| c == Some(claim)))
            }
            PodVolume::Ephemeral { .. } | PodVolume::Exclusive { .. } => false,
        });
        if disk || shared {
            return true;
        }
    }
    (by(P::INTER_POD_AFFINITY)
        && (matches_all(cluster, spec, Terms::AntiAffinity, gone)
            || matches_all(cluster, gone, Terms::AntiAffinity, spec)))
        || (by(P::POD_TOPOLOGY_SPREAD) && counts_for_spread(cluster, spec, gone))
}

fn uses_claim(cluster: &Cluster, pod: PodId, claim: ClaimId) -> bool {
    let Some(claim) = cluster.claims().get(claim) else { return false };
    cluster.spec_of(pod).namespace == claim.namespace
        && cluster.claim_names_of(pod).any(|name| name == Some(claim.name))
}

#[cfg(test)]
#[path = "hints_tests.rs"]
mod tests;
