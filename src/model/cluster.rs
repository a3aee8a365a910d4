//! The cluster: the only truth, and the only place that changes it.
//!
//! Every mutator keeps the indexes in step and records a [`Change`], which is what a watch would deliver. Controllers and the
//! scheduler read through the accessors and write through the mutators.

mod change;
mod invariants;
mod nodes;
mod other;
mod pods;
mod read;
mod storage;

pub use change::{Change, Changes, NodeDelta, PodDelta};
pub use invariants::Exemptions;

use super::capacities::{Capacities, single_label};
use super::few::Few;
use super::id_lists::IdLists;
use super::ids::*;
use super::labels::{LabelSelector, LabelSet, NodeOperator, NodeSelector};
use super::names::{Name, Names, Sym, sym};
use super::node::{CsiNode, Node, NodeShape};
use super::pinned::PinnedVolumes;
use super::pod::{Pod, PodPhase, StartOrder};
use super::quantity::Quantity;
use super::resources::Resources;
use super::spec::{PodSpec, PodVolume, Taint};
use super::volume::*;
use super::volume_group::VolumeGroup;
use super::volume_index::VolumeIndex;
use super::workload::*;
use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// Interned values: equal ones share an id. Each is stored once; the index holds ids by the hash of their value.
#[derive(Clone, Debug)]
struct Interned<I, T> {
    rows: Col<I, T>,
    index: HashTable<I>,
}

impl<I: Id, T: Eq + Hash> Interned<I, T> {
    fn intern(&mut self, value: T) -> I {
        let hash = hash_of(&value);
        if let Some(&id) = self.index.find(hash, |id| self.rows[*id] == value) {
            return id;
        }
        let id = self.rows.push(value);
        let rows = &self.rows;
        self.index.insert_unique(hash, id, |id| hash_of(&rows[*id]));
        id
    }
}
impl<I, T> Default for Interned<I, T> {
    fn default() -> Self {
        Interned { rows: Col::default(), index: HashTable::new() }
    }
}

/// A node selector as it is kept: a local volume's says no more than its host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum KeptSelector {
    /// That of [`NodeSelector::of_host`].
    Host(Sym),
    Other(Box<NodeSelector>),
}

/// What a node selector says about hosts.
#[derive(Clone, Copy, Debug)]
enum Hosts {
    /// Exactly the nodes of this host, by the hostname label.
    Only(Sym),
    /// Nodes of this host, and more is required.
    Within(Sym),
    /// It names no single host.
    Any,
}

impl Hosts {
    fn of(selector: &NodeSelector, names: &Names) -> Hosts {
        let [term] = &*selector.terms else { return Hosts::Any };
        let host = term.expressions.iter().find_map(|r| match (r.key, r.operator, &*r.values) {
            (sym::HOSTNAME, NodeOperator::In, [host]) => Some(*host),
            _ => None,
        });
        match host {
            None => Hosts::Any,
            Some(host) => {
                let alone = term.expressions.len() == 1 && term.fields.is_empty();
                if alone && term.is_well_formed(names) { Hosts::Only(host) } else { Hosts::Within(host) }
            }
        }
    }
}

fn hash_of<T: Hash>(value: &T) -> u64 {
    FxBuildHasher.hash_one(value)
}

/// Objects of one kind come one after the other: they share what they have in common.
fn share<T: PartialEq>(latest: &mut Vec<Arc<T>>, shape: &mut Arc<T>) {
    const LATEST: usize = 8;
    match latest.iter().find(|latest| Arc::ptr_eq(latest, shape) || ***latest == **shape) {
        Some(latest) => *shape = Arc::clone(latest),
        None => {
            if latest.len() == LATEST {
                latest.remove(0);
            }
            latest.push(Arc::clone(shape));
        }
    }
}

/// A row was written: rows that are used again go on counting, so that no write of a former object is taken for a present one.
fn count_write<I: Id>(versions: &mut Vec<u32>, id: I) {
    if versions.len() <= id.index() {
        versions.resize(id.index() + 1, 0);
    }
    versions[id.index()] = versions[id.index()].wrapping_add(1);
}

/// All objects of one simulated cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The string table.
    pub names: Names,
    specs: Interned<SpecId, PodSpec>,
    claim_specs: Interned<ClaimSpecId, ClaimSpec>,
    labels: Interned<LabelSetId, LabelSet>,
    node_selectors: Interned<NodeSelectorId, KeptSelector>,
    quantities: Interned<QuantityId, Quantity>,
    /// Per node selector: the host that it names.
    hosts_of_selectors: Vec<Hosts>,

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
    capacities: Capacities,
    csi_nodes: BTreeMap<Sym, CsiNode>,
    csi_drivers: BTreeMap<Sym, CsiDriver>,
    volume_groups: Col<VolumeGroupId, VolumeGroup>,
    groups_by_node: FxHashMap<Sym, Vec<VolumeGroupId>>,

    node_names: FxHashMap<Sym, NodeId>,
    /// Rows of removed nodes, and of nodes that pods name but that never came.
    ghost_nodes: FxHashMap<Sym, NodeId>,
    stateful_set_names: FxHashMap<(Sym, Name), StatefulSetId>,
    replica_set_names: FxHashMap<(Sym, Name, ReplicaSetKind), ReplicaSetId>,
    job_names: FxHashMap<(Sym, Name), JobId>,
    /// Pods and claims by the hash of namespace and name, which their rows hold.
    pod_names: HashTable<PodId>,
    claim_names: HashTable<ClaimId>,
    volume_names: HashTable<VolumeId>,
    /// Volumes by the claim that their claimRef names.
    claimed_volumes: IdLists<VolumeId>,
    /// Pods by the claims that they mention, where that cannot be told from the claim's name (see [`Cluster::claim_users`]).
    claim_users: FxHashMap<(Sym, Name), Few<PodId>>,
    pinned_volumes: FxHashMap<Sym, PinnedVolumes>,
    wide_volumes: Vec<VolumeId>,
    /// Shapes of the volumes that came last: the next one mostly has one of them.
    latest_shapes: Vec<Arc<VolumeShape>>,
    /// The same of nodes.
    latest_machines: Vec<Arc<NodeShape>>,
    nominated: BTreeMap<NodeId, Vec<PodId>>,
    /// The same by pod.
    nominations: FxHashMap<PodId, NodeId>,
    volume_index: VolumeIndex,
    /// Resource versions: how often each row was written.
    volume_versions: Vec<u32>,
    claim_versions: Vec<u32>,

    /// Nodes by the value of their hostname label: where pinned volumes are.
    host_nodes: FxHashMap<Sym, Few<NodeId>>,

    /// Counted pods with pod affinity of any kind, and those with required anti-affinity.
    affinity_pods: (usize, usize),
    /// Existing nodes, and those of them that report images.
    node_counts: (usize, usize),

    changes: Changes,
    /// Nodes that changed.
    touched: Log<NodeId>,
    placements: Log<Placement>,
    next_uid: u64,
    generation: u64,
    wide_generation: u64,
    config_generation: u64,
    /// The highest `config_generation` so far: a configuration that was taken back is never mistaken for a later one.
    configs: u64,
    /// How many placed pods have each priority.
    priorities: BTreeMap<i32, usize>,
}

/// What happened, in order: caches follow it instead of looking at everything. It forgets its oldest half when it grows long; who
/// fell behind that far looks at everything once.
#[derive(Clone, Debug)]
struct Log<T> {
    rows: Vec<T>,
    first: u64,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Log { rows: Vec::new(), first: 0 }
    }
}

impl<T> Log<T> {
    const CAPACITY: usize = 1 << 17;

    fn push(&mut self, row: T) {
        if self.rows.len() >= Self::CAPACITY {
            self.rows.drain(..Self::CAPACITY / 2);
            self.first += Self::CAPACITY as u64 / 2;
        }
        self.rows.push(row);
    }
    fn end(&self) -> u64 {
        self.first + self.rows.len() as u64
    }
    fn since(&self, position: u64) -> Option<&[T]> {
        let skip = position.checked_sub(self.first)?;
        self.rows.get(usize::try_from(skip).ok()?..)
    }
}

/// A pod came to a node, left it or began to terminate there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// What kind of pod.
    pub spec: SpecId,
    /// Where.
    pub node: NodeId,
    /// How many more pods count there: 1, 0 or -1.
    pub pods: i8,
    /// How many more of them are not being deleted.
    pub living: i8,
}

/// The object of this kind and name is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("already exists")]
pub struct AlreadyExists;

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
        let hosts = Hosts::of(&selector, &self.names);
        let kept = match hosts {
            Hosts::Only(host) | Hosts::Within(host) if selector == NodeSelector::of_host(host) => {
                KeptSelector::Host(host)
            }
            _ => KeptSelector::Other(Box::new(selector)),
        };
        let id = self.node_selectors.intern(kept);
        if id.index() == self.hosts_of_selectors.len() {
            self.hosts_of_selectors.push(hosts);
        }
        id
    }
    /// The id of a quantity.
    pub fn intern_quantity(&mut self, quantity: Quantity) -> QuantityId {
        self.quantities.intern(quantity)
    }
    /// A uid that no object has.
    pub fn new_uid(&mut self) -> Uid {
        self.next_uid += 1;
        Uid::new(self.next_uid)
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
        for i in 0..Log::<NodeId>::CAPACITY {
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

#[cfg(test)]
mod cluster_tests;
