//! The cluster: the only truth, and the only place that changes it.
//!
//! Every mutator keeps the indexes in step and records a [`Change`], which is what a watch would deliver. Controllers and the
//! scheduler read through the accessors and write through the mutators.

use super::ids::*;
use super::labels::{LabelSet, NodeOperator, NodeSelector};
use super::names::{Name, Names, Sym, sym};
use super::node::{CsiNode, Node};
use super::pod::{Pod, PodPhase};
use super::resources::Resources;
use super::spec::{PodSpec, PodVolume, Taint};
use super::volume::*;
use super::volume_index::VolumeIndex;
use super::workload::*;
use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::hash::Hash;

/// What changed about a node; the scheduler's queueing hints tell these apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeDelta {
    /// Allocatable resources.
    Allocatable,
    /// Labels.
    Labels,
    /// Taints, or `spec.unschedulable`.
    Taints,
    /// The Ready condition.
    Condition,
    /// Images or the like: nobody waits for it.
    Other,
}

/// What changed about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodDelta {
    /// `spec.nodeName` was set: the pod is bound.
    Assigned,
    /// Phase or Ready.
    Status,
    /// deletionTimestamp was set.
    Terminating,
    /// `status.nominatedNodeName`.
    Nominated,
    /// A condition changed (PodScheduled's message).
    Condition,
    /// Scheduling gates or labels.
    Spec,
}

/// One change of one object, in the order in which the API server would store them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node came.
    NodeAdded(NodeId),
    /// A node changed.
    NodeUpdated(NodeId, NodeDelta),
    /// A node went.
    NodeRemoved(NodeId),
    /// A pod came.
    PodAdded(PodId),
    /// A pod changed.
    PodUpdated(PodId, PodDelta),
    /// A pod is gone; the row may be reused.
    PodRemoved {
        /// Its former row.
        pod: PodId,
        /// Its uid.
        uid: Uid,
        /// Where it was.
        node: Option<NodeId>,
        /// What it asked for.
        spec: SpecId,
    },
    /// A volume came.
    VolumeAdded(VolumeId),
    /// A volume changed.
    VolumeUpdated(VolumeId),
    /// A volume is gone.
    VolumeRemoved {
        /// Its former row.
        volume: VolumeId,
        /// Its name.
        name: Sym,
        /// The claim that its claimRef named.
        claim: Option<(Sym, Name)>,
    },
    /// A claim came.
    ClaimAdded(ClaimId),
    /// A claim changed.
    ClaimUpdated(ClaimId),
    /// A claim is gone.
    ClaimRemoved {
        /// Its former row.
        claim: ClaimId,
        /// Its uid.
        uid: Uid,
        /// Its namespace.
        namespace: Sym,
        /// Its name.
        name: Name,
        /// Volume it named.
        volume: Option<Sym>,
    },
    /// A class came or changed.
    ClassChanged(Sym),
    /// CSIStorageCapacity objects of a class came or changed.
    CapacityChanged(Sym),
    /// A CSINode came or changed.
    CsiNodeChanged(Sym),
    /// A CSIDriver came or changed.
    CsiDriverChanged(Sym),
    /// A StatefulSet came, changed or was marked for deletion.
    StatefulSetChanged(StatefulSetId),
    /// A ReplicaSet or Deployment came or changed.
    ReplicaSetChanged(ReplicaSetId),
    /// A Job came or changed.
    JobChanged(JobId),
}

/// Interned values: equal ones share an id.
#[derive(Clone, Debug)]
struct Interned<I, T> {
    rows: Col<I, T>,
    index: FxHashMap<T, I>,
}

impl<I: Id, T: Clone + Eq + Hash> Interned<I, T> {
    fn intern(&mut self, value: T) -> I {
        if let Some(&id) = self.index.get(&value) {
            return id;
        }
        let id = self.rows.push(value.clone());
        self.index.insert(value, id);
        id
    }
}
impl<I, T> Default for Interned<I, T> {
    fn default() -> Self {
        Interned { rows: Col::default(), index: FxHashMap::default() }
    }
}

fn set_version<I: Id>(versions: &mut Vec<u64>, id: I, version: u64) {
    if versions.len() <= id.index() {
        versions.resize(id.index() + 1, 0);
    }
    versions[id.index()] = version;
}

/// All objects of one simulated cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The string table.
    pub names: Names,
    specs: Interned<SpecId, PodSpec>,
    claim_specs: Interned<ClaimSpecId, ClaimSpec>,
    labels: Interned<LabelSetId, LabelSet>,
    node_selectors: Interned<NodeSelectorId, NodeSelector>,

    nodes: Col<NodeId, Node>,
    pods: Slab<PodId, Pod>,
    claims: Slab<ClaimId, Claim>,
    volumes: Slab<VolumeId, Volume>,
    stateful_sets: Col<StatefulSetId, StatefulSet>,
    replica_sets: Col<ReplicaSetId, ReplicaSet>,
    jobs: Col<JobId, Job>,
    classes: BTreeMap<Sym, StorageClass>,
    services: Vec<Service>,
    budgets: Vec<DisruptionBudget>,
    namespaces: BTreeMap<Sym, Namespace>,
    priority_classes: BTreeMap<Sym, PriorityClass>,
    capacities: Vec<StorageCapacity>,
    csi_nodes: BTreeMap<Sym, CsiNode>,
    csi_drivers: BTreeMap<Sym, CsiDriver>,

    node_names: FxHashMap<Sym, NodeId>,
    /// Rows of removed nodes, and of nodes that pods name but that never came.
    ghost_nodes: FxHashMap<Sym, NodeId>,
    stateful_set_names: FxHashMap<(Sym, Name), StatefulSetId>,
    replica_set_names: FxHashMap<(Sym, Name, ReplicaSetKind), ReplicaSetId>,
    job_names: FxHashMap<(Sym, Name), JobId>,
    pod_names: FxHashMap<(Sym, Name), PodId>,
    claim_names: FxHashMap<(Sym, Name), ClaimId>,
    volume_names: FxHashMap<Sym, VolumeId>,
    claim_users: FxHashMap<(Sym, Name), Vec<PodId>>,
    pinned_volumes: FxHashMap<Sym, Vec<VolumeId>>,
    wide_volumes: Vec<VolumeId>,
    nominated: BTreeMap<NodeId, Vec<PodId>>,
    volume_index: VolumeIndex,
    /// Resource versions: the generation of the last change, per row.
    volume_versions: Vec<u64>,
    claim_versions: Vec<u64>,

    /// Nodes by the value of their hostname label: where pinned volumes are.
    host_nodes: FxHashMap<Sym, Vec<NodeId>>,

    changes: Vec<Change>,
    touched: TouchLog,
    next_uid: u64,
    generation: u64,
    wide_generation: u64,
}

/// Which nodes changed, in order: caches built on nodes follow it instead of looking at every node. It forgets its oldest half
/// when it grows long; who fell behind that far looks at every node once.
#[derive(Clone, Debug, Default)]
struct TouchLog {
    nodes: Vec<NodeId>,
    first: u64,
}

impl TouchLog {
    const CAPACITY: usize = 1 << 17;

    fn push(&mut self, node: NodeId) {
        if self.nodes.len() >= Self::CAPACITY {
            self.nodes.drain(..Self::CAPACITY / 2);
            self.first += Self::CAPACITY as u64 / 2;
        }
        self.nodes.push(node);
    }
}

/// The object of this kind and name is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("already exists")]
pub struct AlreadyExists;

// ---- interning ----
impl Cluster {
    /// The id of a pod spec.
    pub fn intern_spec(&mut self, spec: PodSpec) -> SpecId {
        self.specs.intern(spec)
    }
    /// The id of a claim spec.
    pub fn intern_claim_spec(&mut self, spec: ClaimSpec) -> ClaimSpecId {
        self.claim_specs.intern(spec)
    }
    /// The id of a label set.
    pub fn intern_labels(&mut self, labels: LabelSet) -> LabelSetId {
        self.labels.intern(labels)
    }
    /// The id of a node selector.
    pub fn intern_node_selector(&mut self, selector: NodeSelector) -> NodeSelectorId {
        self.node_selectors.intern(selector)
    }
    /// A uid that no object has.
    pub fn new_uid(&mut self) -> Uid {
        self.next_uid += 1;
        Uid(self.next_uid)
    }
}

// ---- reading ----
impl Cluster {
    /// A pod spec.
    pub fn spec(&self, id: SpecId) -> &PodSpec {
        &self.specs.rows[id]
    }
    /// All pod specs.
    pub fn specs(&self) -> &Col<SpecId, PodSpec> {
        &self.specs.rows
    }
    /// The spec of a pod.
    pub fn spec_of(&self, pod: PodId) -> &PodSpec {
        self.spec(self.pods[pod].spec)
    }
    /// A claim spec.
    pub fn claim_spec(&self, id: ClaimSpecId) -> &ClaimSpec {
        &self.claim_specs.rows[id]
    }
    /// What a claim asks for.
    pub fn claim_spec_of(&self, claim: ClaimId) -> &ClaimSpec {
        self.claim_spec(self.claims[claim].spec)
    }
    /// A label set.
    pub fn label_set(&self, id: LabelSetId) -> &LabelSet {
        &self.labels.rows[id]
    }
    /// A node selector.
    pub fn node_selector(&self, id: NodeSelectorId) -> &NodeSelector {
        &self.node_selectors.rows[id]
    }
    /// All nodes, also removed ones (`exists` false), in order of creation.
    pub fn nodes(&self) -> &Col<NodeId, Node> {
        &self.nodes
    }
    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
    /// The existing node of this name.
    pub fn node_by_name(&self, name: Sym) -> Option<NodeId> {
        self.node_names.get(&name).copied()
    }
    /// Labels of a node.
    pub fn node_labels(&self, id: NodeId) -> &LabelSet {
        self.label_set(self.nodes[id].labels)
    }
    /// All pods.
    pub fn pods(&self) -> &Slab<PodId, Pod> {
        &self.pods
    }
    /// A pod.
    pub fn pod(&self, id: PodId) -> &Pod {
        &self.pods[id]
    }
    /// The pod of this name.
    pub fn pod_by_name(&self, namespace: Sym, name: Name) -> Option<PodId> {
        self.pod_names.get(&(namespace, name)).copied()
    }
    /// `namespace/name` of a pod.
    pub fn pod_key(&self, id: PodId) -> String {
        let pod = &self.pods[id];
        format!("{}/{}", self.names.text(self.spec(pod.spec).namespace), self.names.show(pod.name))
    }
    /// All claims.
    pub fn claims(&self) -> &Slab<ClaimId, Claim> {
        &self.claims
    }
    /// A claim.
    pub fn claim(&self, id: ClaimId) -> &Claim {
        &self.claims[id]
    }
    /// The claim of this name.
    pub fn claim_by_name(&self, namespace: Sym, name: Name) -> Option<ClaimId> {
        self.claim_names.get(&(namespace, name)).copied()
    }
    /// `namespace/name` of a claim.
    pub fn claim_key(&self, id: ClaimId) -> String {
        let claim = &self.claims[id];
        format!("{}/{}", self.names.text(claim.namespace), self.names.show(claim.name))
    }
    /// All volumes.
    pub fn volumes(&self) -> &Slab<VolumeId, Volume> {
        &self.volumes
    }
    /// A volume.
    pub fn volume(&self, id: VolumeId) -> &Volume {
        &self.volumes[id]
    }
    /// The volume of this name.
    pub fn volume_by_name(&self, name: Sym) -> Option<VolumeId> {
        self.volume_names.get(&name).copied()
    }
    /// Volumes whose node affinity names exactly one host, by the value of the hostname label. The affinity may require more.
    pub fn pinned_volumes(&self, hostname: Sym) -> &[VolumeId] {
        self.pinned_volumes.get(&hostname).map_or(&[], Vec::as_slice)
    }
    /// All other volumes.
    pub fn wide_volumes(&self) -> &[VolumeId] {
        &self.wide_volumes
    }
    /// Does the volume's node affinity allow the node? As Kubernetes asks it: by the node's labels only.
    pub fn volume_allows_node(&self, volume: &Volume, node: NodeId) -> bool {
        volume.node_affinity.is_none_or(|selector| {
            self.node_selector(selector).matches_labels(self.node_labels(node), &self.names)
        })
    }
    /// Which volumes are free, reserved or name a claim, and the order among equal ones.
    pub fn volume_index(&self) -> &VolumeIndex {
        &self.volume_index
    }
    /// Chooses how ties among equal volumes are broken; by name unless set.
    pub fn set_volume_tie_break(&mut self, tie: TieBreak) {
        self.volume_index = VolumeIndex::new(tie);
        for (id, volume) in self.volumes.iter() {
            self.volume_index.insert(&self.names, id, volume);
        }
    }
    /// `resourceVersion` of a volume: changes at every write, not when the scheduler reserves it.
    pub fn volume_version(&self, id: VolumeId) -> u64 {
        self.volume_versions.get(id.index()).copied().unwrap_or_default()
    }
    /// `resourceVersion` of a claim.
    pub fn claim_version(&self, id: ClaimId) -> u64 {
        self.claim_versions.get(id.index()).copied().unwrap_or_default()
    }
    /// Claim names of a pod in the order of its volumes, with `None` where no such claim can exist (its name was never used).
    pub fn claim_names_of(&self, pod: PodId) -> impl Iterator<Item = Option<Name>> + '_ {
        let row = &self.pods[pod];
        self.spec(row.spec).volumes.iter().filter_map(move |volume| match volume {
            PodVolume::Claim { name, .. } => Some(Some(*name)),
            PodVolume::ClaimTemplate { prefix } => Some(self.names.get_prefixed_name(*prefix, row.name)),
            PodVolume::Ephemeral { suffix } => Some(self.ephemeral_name(row.name, *suffix)),
            PodVolume::Exclusive { .. } => None,
        })
    }
    fn ephemeral_name(&self, pod: Name, suffix: Sym) -> Option<Name> {
        self.names.get_name(&format!("{}-{}", self.names.show(pod), self.names.text(suffix)))
    }
    /// Pods that mention the claim, finished ones too.
    pub fn claim_users(&self, namespace: Sym, name: Name) -> &[PodId] {
        self.claim_users.get(&(namespace, name)).map_or(&[], Vec::as_slice)
    }
    /// Pods nominated to run on a node.
    pub fn nominated_pods(&self, node: NodeId) -> &[PodId] {
        self.nominated.get(&node).map_or(&[], Vec::as_slice)
    }
    /// Is any pod nominated anywhere?
    pub fn has_nominated_pods(&self) -> bool {
        !self.nominated.is_empty()
    }
    /// All StatefulSets, also deleted ones.
    pub fn stateful_sets(&self) -> &Col<StatefulSetId, StatefulSet> {
        &self.stateful_sets
    }
    /// The existing StatefulSet of this name.
    pub fn stateful_set_by_name(&self, namespace: Sym, name: Name) -> Option<StatefulSetId> {
        self.stateful_set_names.get(&(namespace, name)).copied().filter(|id| self.stateful_sets[*id].exists)
    }
    /// The existing set of this kind (`ReplicaSet`, `Deployment`, `ReplicationController`) and name.
    pub fn replica_set_by_name(&self, namespace: Sym, name: Name, kind: &str) -> Option<ReplicaSetId> {
        let kind = match kind {
            "ReplicaSet" => ReplicaSetKind::ReplicaSet,
            "Deployment" => ReplicaSetKind::Deployment,
            _ => ReplicaSetKind::ReplicationController,
        };
        self.replica_set_names
            .get(&(namespace, name, kind))
            .copied()
            .filter(|id| self.replica_sets[*id].exists)
    }
    /// The existing Job of this name.
    pub fn job_by_name(&self, namespace: Sym, name: Name) -> Option<JobId> {
        self.job_names.get(&(namespace, name)).copied().filter(|id| self.jobs[*id].exists)
    }
    /// All ReplicaSets, also deleted ones.
    pub fn replica_sets(&self) -> &Col<ReplicaSetId, ReplicaSet> {
        &self.replica_sets
    }
    /// All Jobs, also deleted ones.
    pub fn jobs(&self) -> &Col<JobId, Job> {
        &self.jobs
    }
    /// A StorageClass.
    pub fn class(&self, name: Sym) -> Option<&StorageClass> {
        self.classes.get(&name)
    }
    /// All StorageClasses.
    pub fn classes(&self) -> impl Iterator<Item = &StorageClass> {
        self.classes.values()
    }
    /// All Services.
    pub fn services(&self) -> &[Service] {
        &self.services
    }
    /// All PodDisruptionBudgets.
    pub fn budgets(&self) -> &[DisruptionBudget] {
        &self.budgets
    }
    /// Labels of a namespace; an unknown one has none.
    pub fn namespace_labels(&self, name: Sym) -> Option<&LabelSet> {
        self.namespaces.get(&name).map(|n| self.label_set(n.labels))
    }
    /// A PriorityClass.
    pub fn priority_class(&self, name: Sym) -> Option<&PriorityClass> {
        self.priority_classes.get(&name)
    }
    /// All PriorityClasses.
    pub fn priority_classes(&self) -> impl Iterator<Item = &PriorityClass> {
        self.priority_classes.values()
    }
    /// All CSIStorageCapacity objects.
    pub fn capacities(&self) -> &[StorageCapacity] {
        &self.capacities
    }
    /// The CSINode of a node.
    pub fn csi_node(&self, node: Sym) -> Option<&CsiNode> {
        self.csi_nodes.get(&node)
    }
    /// A CSIDriver.
    pub fn csi_driver(&self, name: Sym) -> Option<&CsiDriver> {
        self.csi_drivers.get(&name)
    }
    /// Changes not taken yet, oldest first.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
    /// Takes the recorded changes, oldest first, into `buffer` (whose memory is reused).
    pub fn take_changes(&mut self, buffer: &mut Vec<Change>) {
        buffer.clear();
        std::mem::swap(buffer, &mut self.changes);
    }
    /// Position in the log of touched nodes, for [`Cluster::touched_since`].
    pub fn touch_position(&self) -> u64 {
        self.touched.first + self.touched.nodes.len() as u64
    }
    /// Nodes that changed since `position`, or whose pods or pinned volumes did, with repetitions; `None` if the log does not
    /// reach back that far. Changes of volumes that are not pinned to a host show only in [`Cluster::wide_generation`].
    pub fn touched_since(&self, position: u64) -> Option<&[NodeId]> {
        let skip = position.checked_sub(self.touched.first)?;
        self.touched.nodes.get(usize::try_from(skip).ok()?..)
    }
    /// Counts up at every change of a volume that is not pinned to a host.
    pub fn wide_generation(&self) -> u64 {
        self.wide_generation
    }
    /// Nodes whose hostname label has this value.
    pub fn nodes_of_host(&self, hostname: Sym) -> &[NodeId] {
        self.host_nodes.get(&hostname).map_or(&[], Vec::as_slice)
    }
    /// Counts up at every change that a scheduling decision could depend on.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

// ---- nodes ----
impl Cluster {
    /// Adds a node.
    ///
    /// # Errors
    /// [`AlreadyExists`].
    pub fn add_node(&mut self, node: Node) -> Result<NodeId, AlreadyExists> {
        if self.node_names.contains_key(&node.name) {
            return Err(AlreadyExists);
        }
        let name = node.name;
        let id = match self.ghost_nodes.remove(&name) {
            // Pods may still be counted on the node that comes (back).
            Some(id) => {
                let info = std::mem::take(&mut self.nodes[id].info);
                self.nodes[id] = Node { info, ..node };
                id
            }
            None => self.nodes.push(node),
        };
        self.node_names.insert(name, id);
        self.index_host(id, true);
        self.touch_node(id);
        self.changes.push(Change::NodeAdded(id));
        Ok(id)
    }
    /// Removes a node object. Its pods stay until pod GC finds them.
    pub fn remove_node(&mut self, id: NodeId) {
        if std::mem::replace(&mut self.nodes[id].exists, false) {
            self.index_host(id, false);
            self.node_names.remove(&self.nodes[id].name);
            self.ghost_nodes.insert(self.nodes[id].name, id);
            self.touch_node(id);
            self.changes.push(Change::NodeRemoved(id));
        }
    }
    /// The node of this name, or a row for one that does not exist: a pod's `nodeName` may name anything.
    pub fn node_or_ghost(&mut self, name: Sym) -> NodeId {
        if let Some(&id) = self.node_names.get(&name).or_else(|| self.ghost_nodes.get(&name)) {
            return id;
        }
        let labels = self.intern_labels(LabelSet::default());
        let id = self.nodes.push(Node::ghost(name, labels));
        self.ghost_nodes.insert(name, id);
        id
    }
    /// Sets labels.
    pub fn set_node_labels(&mut self, id: NodeId, labels: LabelSetId) {
        if self.nodes[id].labels != labels {
            self.index_host(id, false);
            self.nodes[id].labels = labels;
            self.index_host(id, true);
            self.node_updated(id, NodeDelta::Labels);
        }
    }
    /// Sets taints.
    pub fn set_node_taints(&mut self, id: NodeId, taints: Vec<Taint>) {
        if self.nodes[id].taints != taints {
            self.nodes[id].taints = taints;
            self.node_updated(id, NodeDelta::Taints);
        }
    }
    /// Cordons or uncordons.
    pub fn set_node_unschedulable(&mut self, id: NodeId, unschedulable: bool) {
        if self.nodes[id].unschedulable != unschedulable {
            self.nodes[id].unschedulable = unschedulable;
            self.node_updated(id, NodeDelta::Taints);
        }
    }
    /// Sets the Ready condition.
    pub fn set_node_ready(&mut self, id: NodeId, ready: bool) {
        if self.nodes[id].ready != ready {
            self.nodes[id].ready = ready;
            self.node_updated(id, NodeDelta::Condition);
        }
    }
    /// Sets allocatable resources and pods.
    pub fn set_node_allocatable(&mut self, id: NodeId, allocatable: Resources, pods: i64) {
        let node = &mut self.nodes[id];
        if node.allocatable != allocatable || node.allocatable_pods != pods {
            node.allocatable = allocatable;
            node.allocatable_pods = pods;
            self.node_updated(id, NodeDelta::Allocatable);
        }
    }
    fn node_updated(&mut self, id: NodeId, delta: NodeDelta) {
        self.touch_node(id);
        self.changes.push(Change::NodeUpdated(id, delta));
    }
    fn touch_node(&mut self, id: NodeId) {
        self.generation += 1;
        self.nodes[id].generation = self.generation;
        self.touched.push(id);
    }
    fn index_host(&mut self, id: NodeId, add: bool) {
        let Some(host) = self.label_set(self.nodes[id].labels).get(sym::HOSTNAME) else { return };
        let nodes = self.host_nodes.entry(host).or_default();
        if add {
            nodes.push(id);
        } else {
            nodes.retain(|n| *n != id);
        }
    }
    /// A volume came, changed or went: the nodes that it is pinned to see another world.
    fn touch_volume(&mut self, node_affinity: Option<NodeSelectorId>) {
        self.generation += 1;
        match self.pinned_host(node_affinity) {
            None => self.wide_generation += 1,
            Some(host) => {
                for index in 0..self.nodes_of_host(host).len() {
                    let node = self.nodes_of_host(host)[index];
                    self.touch_node(node);
                }
            }
        }
    }
}

// ---- pods ----
impl Cluster {
    /// Adds a pod. One with a node counts there at once.
    ///
    /// # Errors
    /// [`AlreadyExists`].
    pub fn add_pod(&mut self, pod: Pod) -> Result<PodId, AlreadyExists> {
        let key = (self.spec(pod.spec).namespace, pod.name);
        if self.pod_names.contains_key(&key) {
            return Err(AlreadyExists);
        }
        self.name_claims(pod.spec, pod.name);
        let (nominated, finished, node) = (pod.nominated, pod.is_finished(), pod.placed());
        let id = self.pods.insert(pod);
        self.pod_names.insert(key, id);
        for name in self.claim_names_of(id).flatten().collect::<Vec<_>>() {
            self.claim_users.entry((key.0, name)).or_default().push(id);
        }
        if let Some(node) = node.filter(|_| !finished) {
            self.charge(id, node);
        }
        if let Some(node) = nominated {
            self.nominated.entry(node).or_default().push(id);
        }
        self.changes.push(Change::PodAdded(id));
        Ok(id)
    }
    /// Makes sure that the names of the pod's claims are interned, so that they can be looked up without writing.
    fn name_claims(&mut self, spec: SpecId, name: Name) {
        for index in 0..self.specs.rows[spec].volumes.len() {
            match self.specs.rows[spec].volumes[index] {
                PodVolume::ClaimTemplate { prefix } => {
                    self.names.prefixed_name(prefix, name);
                }
                PodVolume::Ephemeral { suffix } => {
                    let text = format!("{}-{}", self.names.show(name), self.names.text(suffix));
                    self.names.name(&text);
                }
                PodVolume::Claim { .. } | PodVolume::Exclusive { .. } => {}
            }
        }
    }
    /// Removes a pod for good.
    pub fn remove_pod(&mut self, id: PodId) {
        self.set_nominated(id, None);
        let (node, spec) = (self.pods[id].placed(), self.pods[id].spec);
        if let Some(node) = node.filter(|_| !self.pods[id].is_finished()) {
            self.discharge(id, node);
        }
        let namespace = self.spec(spec).namespace;
        for name in self.claim_names_of(id).flatten().collect::<Vec<_>>() {
            if let Some(users) = self.claim_users.get_mut(&(namespace, name)) {
                users.retain(|user| *user != id);
                if users.is_empty() {
                    self.claim_users.remove(&(namespace, name));
                }
            }
        }
        if let Some(pod) = self.pods.remove(id) {
            self.pod_names.remove(&(namespace, pod.name));
            self.changes.push(Change::PodRemoved { pod: id, uid: pod.uid, node: pod.node, spec });
        }
    }
    /// The scheduler reserves a node for the pod (no API write, hence no change recorded).
    pub fn assume_pod(&mut self, id: PodId, node: NodeId) {
        debug_assert!(self.pods[id].placed().is_none());
        self.pods[id].assumed = Some(node);
        self.charge(id, node);
    }
    /// The scheduler gives the reservation back.
    pub fn forget_pod(&mut self, id: PodId) {
        if let Some(node) = self.pods[id].assumed.take() {
            self.discharge(id, node);
        }
    }
    /// Binds the pod: `spec.nodeName` is set. An assumed pod must be bound to the node it was assumed on.
    pub fn bind_pod(&mut self, id: PodId, node: NodeId) {
        let assumed = self.pods[id].assumed.take();
        if assumed != Some(node) {
            if let Some(other) = assumed {
                self.discharge(id, other);
            }
            self.charge(id, node);
        }
        self.pods[id].node = Some(node);
        self.changes.push(Change::PodUpdated(id, PodDelta::Assigned));
    }
    /// Sets phase and readiness. A pod that ends stops counting on its node.
    pub fn set_pod_status(&mut self, id: PodId, phase: PodPhase, ready: bool) {
        let pod = &mut self.pods[id];
        if (pod.phase, pod.ready) == (phase, ready) {
            return;
        }
        let was_finished = pod.is_finished();
        (pod.phase, pod.ready) = (phase, ready);
        let (finished, placed) = (pod.is_finished(), pod.placed());
        if let Some(node) = placed.filter(|_| finished && !was_finished) {
            self.discharge(id, node);
        }
        self.changes.push(Change::PodUpdated(id, PodDelta::Status));
    }
    /// Sets or clears the nomination.
    pub fn set_nominated(&mut self, id: PodId, node: Option<NodeId>) {
        let before = std::mem::replace(&mut self.pods[id].nominated, node);
        if before == node {
            return;
        }
        if let Some(list) = before.and_then(|n| self.nominated.get_mut(&n)) {
            list.retain(|p| *p != id);
        }
        self.nominated.retain(|_, list| !list.is_empty());
        if let Some(node) = node {
            self.nominated.entry(node).or_default().push(id);
        }
        self.generation += 1;
        self.changes.push(Change::PodUpdated(id, PodDelta::Nominated));
    }
    /// Marks the pod for deletion; `at` is the end of its grace period.
    pub fn mark_pod_deleted(&mut self, id: PodId, at: SimTime) {
        let pod = &mut self.pods[id];
        if pod.deletion.is_none_or(|old| at < old) {
            pod.deletion = Some(at);
            self.generation += 1;
            self.changes.push(Change::PodUpdated(id, PodDelta::Terminating));
        }
    }
    /// Sets the key by which preemption orders pods of equal priority.
    pub fn set_pod_start_order(&mut self, id: PodId, order: i64) {
        self.pods[id].start_order = order;
    }
    /// Records that the pod's conditions changed (the scheduler wrote another message).
    pub fn pod_condition_changed(&mut self, id: PodId) {
        self.changes.push(Change::PodUpdated(id, PodDelta::Condition));
    }
    fn charge(&mut self, pod: PodId, node: NodeId) {
        let spec = &self.specs.rows[self.pods[pod].spec];
        self.nodes[node].info.add_pod(pod, spec);
        self.touch_node(node);
    }
    fn discharge(&mut self, pod: PodId, node: NodeId) {
        let spec = &self.specs.rows[self.pods[pod].spec];
        self.nodes[node].info.remove_pod(pod, spec);
        self.touch_node(node);
    }
}

// ---- claims and volumes ----
impl Cluster {
    /// Adds a claim.
    ///
    /// # Errors
    /// [`AlreadyExists`].
    pub fn add_claim(&mut self, claim: Claim) -> Result<ClaimId, AlreadyExists> {
        let key = (claim.namespace, claim.name);
        if self.claim_names.contains_key(&key) {
            return Err(AlreadyExists);
        }
        let id = self.claims.insert(claim);
        self.claim_names.insert(key, id);
        self.generation += 1;
        set_version(&mut self.claim_versions, id, self.generation);
        self.changes.push(Change::ClaimAdded(id));
        Ok(id)
    }
    /// Changes a claim (never its name or namespace).
    pub fn update_claim(&mut self, id: ClaimId, change: impl FnOnce(&mut Claim)) {
        change(&mut self.claims[id]);
        self.generation += 1;
        set_version(&mut self.claim_versions, id, self.generation);
        self.changes.push(Change::ClaimUpdated(id));
    }
    /// The scheduler remembers the node for which it will ask provisioning (no API write).
    pub fn assume_claim_node(&mut self, id: ClaimId, node: Option<Sym>) {
        self.claims[id].assumed_node = node;
        self.generation += 1;
    }
    /// Removes a claim for good.
    pub fn remove_claim(&mut self, id: ClaimId) {
        if let Some(claim) = self.claims.remove(id) {
            self.claim_names.remove(&(claim.namespace, claim.name));
            self.generation += 1;
            self.changes.push(Change::ClaimRemoved {
                claim: id,
                uid: claim.uid,
                namespace: claim.namespace,
                name: claim.name,
                volume: claim.volume_name,
            });
        }
    }
    /// Adds a volume.
    ///
    /// # Errors
    /// [`AlreadyExists`].
    pub fn add_volume(&mut self, volume: Volume) -> Result<VolumeId, AlreadyExists> {
        if self.volume_names.contains_key(&volume.name) {
            return Err(AlreadyExists);
        }
        let (name, host) = (volume.name, self.pinned_host(volume.node_affinity));
        let id = self.volumes.insert(volume);
        self.volume_names.insert(name, id);
        self.volume_index.insert(&self.names, id, &self.volumes[id]);
        match host {
            Some(host) => self.pinned_volumes.entry(host).or_default().push(id),
            None => self.wide_volumes.push(id),
        }
        self.touch_volume(self.volumes[id].node_affinity);
        set_version(&mut self.volume_versions, id, self.generation);
        self.changes.push(Change::VolumeAdded(id));
        Ok(id)
    }
    /// Changes a volume (never its name, access modes or node affinity).
    pub fn update_volume(&mut self, id: VolumeId, change: impl FnOnce(&mut Volume)) {
        self.volume_index.unlink(&self.names, id, &self.volumes[id]);
        change(&mut self.volumes[id]);
        self.volume_index.link(&self.names, id, &self.volumes[id]);
        self.touch_volume(self.volumes[id].node_affinity);
        set_version(&mut self.volume_versions, id, self.generation);
        self.changes.push(Change::VolumeUpdated(id));
    }
    /// The scheduler reserves a volume for a claim, or gives it back (no API write).
    pub fn assume_volume(&mut self, id: VolumeId, claim: Option<Uid>) {
        self.volume_index.unlink(&self.names, id, &self.volumes[id]);
        self.volumes[id].assumed_for = claim;
        self.volume_index.link(&self.names, id, &self.volumes[id]);
        self.touch_volume(self.volumes[id].node_affinity);
    }
    /// Removes a volume for good.
    pub fn remove_volume(&mut self, id: VolumeId) {
        if let Some(volume) = self.volumes.remove(id) {
            self.volume_names.remove(&volume.name);
            self.volume_index.remove(&self.names, id, &volume);
            match self.pinned_host(volume.node_affinity) {
                Some(host) => {
                    if let Some(list) = self.pinned_volumes.get_mut(&host) {
                        list.retain(|v| *v != id);
                    }
                }
                None => self.wide_volumes.retain(|v| *v != id),
            }
            self.touch_volume(volume.node_affinity);
            let claim = volume.claim_ref.map(|r| (r.namespace, r.name));
            self.changes.push(Change::VolumeRemoved { volume: id, name: volume.name, claim });
        }
    }
    /// The one host that a node affinity can match: a single term with `kubernetes.io/hostname In [host]`.
    fn pinned_host(&self, selector: Option<NodeSelectorId>) -> Option<Sym> {
        let [term] = &*self.node_selectors.rows[selector?].terms else { return None };
        term.expressions.iter().find_map(|r| match (r.key, r.operator, &*r.values) {
            (sym::HOSTNAME, NodeOperator::In, [host]) => Some(*host),
            _ => None,
        })
    }
}

// ---- everything else ----
impl Cluster {
    /// Adds or replaces a class.
    pub fn set_class(&mut self, class: StorageClass) {
        self.changes.push(Change::ClassChanged(class.name));
        self.generation += 1;
        self.classes.insert(class.name, class);
    }
    /// Adds or replaces a namespace.
    pub fn set_namespace(&mut self, namespace: Namespace) {
        self.namespaces.insert(namespace.name, namespace);
        self.generation += 1;
    }
    /// Adds or replaces a PriorityClass.
    pub fn set_priority_class(&mut self, class: PriorityClass) {
        self.priority_classes.insert(class.name, class);
    }
    /// Adds a Service.
    pub fn add_service(&mut self, service: Service) {
        self.services.push(service);
        self.generation += 1;
    }
    /// Adds a PodDisruptionBudget.
    pub fn add_budget(&mut self, budget: DisruptionBudget) {
        self.budgets.push(budget);
        self.generation += 1;
    }
    /// Adds or replaces (by namespace and name) a CSIStorageCapacity.
    pub fn set_capacity(&mut self, capacity: StorageCapacity) {
        self.changes.push(Change::CapacityChanged(capacity.class));
        self.generation += 1;
        let same = |c: &StorageCapacity| c.namespace == capacity.namespace && c.name == capacity.name;
        match self.capacities.iter().position(same) {
            Some(i) => self.capacities[i] = capacity,
            None => self.capacities.push(capacity),
        }
    }
    /// Adds or replaces a CSINode.
    pub fn set_csi_node(&mut self, node: Sym, csi: CsiNode) {
        self.changes.push(Change::CsiNodeChanged(node));
        self.generation += 1;
        self.csi_nodes.insert(node, csi);
    }
    /// Adds or replaces a CSIDriver.
    pub fn set_csi_driver(&mut self, driver: CsiDriver) {
        self.changes.push(Change::CsiDriverChanged(driver.name));
        self.generation += 1;
        self.csi_drivers.insert(driver.name, driver);
    }
    /// Adds a StatefulSet.
    pub fn add_stateful_set(&mut self, set: StatefulSet) -> StatefulSetId {
        let key = (set.namespace, set.name);
        let id = self.stateful_sets.push(set);
        self.stateful_set_names.insert(key, id);
        self.changes.push(Change::StatefulSetChanged(id));
        id
    }
    /// Changes a StatefulSet.
    pub fn update_stateful_set(&mut self, id: StatefulSetId, change: impl FnOnce(&mut StatefulSet)) {
        change(&mut self.stateful_sets[id]);
        self.generation += 1;
        self.changes.push(Change::StatefulSetChanged(id));
    }
    /// Adds a ReplicaSet or Deployment.
    pub fn add_replica_set(&mut self, set: ReplicaSet) -> ReplicaSetId {
        let key = (set.namespace, set.name, set.kind);
        let id = self.replica_sets.push(set);
        self.replica_set_names.insert(key, id);
        self.changes.push(Change::ReplicaSetChanged(id));
        id
    }
    /// Changes a ReplicaSet or Deployment.
    pub fn update_replica_set(&mut self, id: ReplicaSetId, change: impl FnOnce(&mut ReplicaSet)) {
        change(&mut self.replica_sets[id]);
        self.generation += 1;
        self.changes.push(Change::ReplicaSetChanged(id));
    }
    /// Adds a Job.
    pub fn add_job(&mut self, job: Job) -> JobId {
        let key = (job.namespace, job.name);
        let id = self.jobs.push(job);
        self.job_names.insert(key, id);
        self.changes.push(Change::JobChanged(id));
        id
    }
    /// Changes a Job.
    pub fn update_job(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        change(&mut self.jobs[id]);
        self.changes.push(Change::JobChanged(id));
    }

    /// Checks what must hold in every state; the first violation in words.
    ///
    /// # Errors
    /// A description of what is broken: a bug, or an imported state that reality allows too.
    pub fn check_invariants(&self) -> Result<(), String> {
        for (id, node) in self.nodes.iter() {
            let mut requested = Resources::default();
            for &pod in &node.info.pods {
                let row = self.pods.get(pod).ok_or_else(|| format!("{id:?} counts a pod that is gone"))?;
                if row.placed() != Some(id) {
                    return Err(format!("{} is counted on {id:?} but placed elsewhere", self.pod_key(pod)));
                }
                requested.add(&self.spec(row.spec).requests);
            }
            let differs = |name: Sym| requested.get(name) != node.info.requested.get(name);
            let scalars = node.info.requested.scalars.iter().map(|(name, _)| *name);
            if [sym::CPU, sym::MEMORY, sym::EPHEMERAL_STORAGE].into_iter().chain(scalars).any(differs) {
                return Err(format!("sums of {} differ from its pods", self.names.text(node.name)));
            }
        }
        for (id, pod) in self.pods.iter() {
            if let Some(node) = pod.placed().filter(|_| !pod.is_finished()) {
                if !self.nodes[node].info.pods.contains(&id) {
                    return Err(format!("{} is placed but not counted on its node", self.pod_key(id)));
                }
            }
        }
        for (id, claim) in self.claims.iter() {
            if claim.phase != ClaimPhase::Bound {
                continue;
            }
            let volume =
                claim.volume_name.and_then(|name| self.volume_by_name(name)).map(|v| &self.volumes[v]);
            if let Some(volume) = volume.filter(|v| v.phase == VolumePhase::Bound) {
                let points_back = volume.claim_ref.is_some_and(|r| r.uid.is_none_or(|uid| uid == claim.uid));
                if !points_back {
                    return Err(format!(
                        "claim {} is bound to {} which is bound to another",
                        self.claim_key(id),
                        self.names.text(volume.name)
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_touch_log_forgets_its_oldest_half() {
        let mut cluster = Cluster::default();
        let labels = cluster.intern_labels(LabelSet::new(vec![(sym::HOSTNAME, sym::RACK)]));
        let node = Node { exists: true, ..Node::ghost(sym::RACK, labels) };
        let node = cluster.add_node(node).expect("new");
        let start = cluster.touch_position();
        assert_eq!(cluster.nodes_of_host(sym::RACK), [node]);
        cluster.set_node_unschedulable(node, true);
        assert_eq!(cluster.touched_since(start), Some(&[node][..]));
        for i in 0..TouchLog::CAPACITY {
            cluster.set_node_unschedulable(node, i % 2 == 1);
        }
        assert_eq!(cluster.touched_since(start), None);
        assert_eq!(cluster.touched_since(cluster.touch_position()), Some(&[][..]));
    }

    #[test]
    fn a_node_that_comes_back_finds_its_pods_counted() {
        let mut cluster = Cluster::default();
        let ghost = cluster.node_or_ghost(sym::RACK);
        assert_eq!(cluster.node_by_name(sym::RACK), None);
        let labels = cluster.intern_labels(LabelSet::default());
        let node = cluster.add_node(Node { exists: true, ..Node::ghost(sym::RACK, labels) }).expect("new");
        assert_eq!((node, cluster.node_by_name(sym::RACK)), (ghost, Some(ghost)));
        cluster.remove_node(node);
        assert_eq!(cluster.node_or_ghost(sym::RACK), node);
    }
}
