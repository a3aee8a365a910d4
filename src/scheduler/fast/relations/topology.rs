//! Domains of node labels, as numbers.

use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId};
use crate::model::names::{Sym, sym};
use crate::model::spec::PodSpec;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A node that has no such label, or does not exist.
pub const NOWHERE: u32 = u32::MAX;

/// The key whose domains are single nodes, whatever their labels.
pub const NODE: u16 = 0;

/// Domains up to which a label divides the nodes into parts.
const COARSE: usize = 16;

/// Parts up to which the division is worth it.
const MAX_PARTS: usize = 16;

/// A node label.
#[derive(Debug)]
pub struct Key {
    /// The label; empty for [`NODE`].
    pub label: Sym,
    /// Domain of each node.
    pub of_node: Vec<u32>,
    /// Number of domains that some node is in.
    pub domains: usize,
    /// The domain whose value is the empty string, which stands for nodes without the label where these take part; one past the last
    /// domain if no node has that value.
    pub empty: u32,
    /// Nodes by domain: `members[starts[d]..starts[d + 1]]`.
    starts: Vec<u32>,
    members: Vec<NodeId>,
}

impl Key {
    fn new(cluster: &Cluster, label: Sym, value: impl Fn(NodeId) -> Option<Sym>) -> Key {
        let mut index: FxHashMap<Sym, u32> = FxHashMap::default();
        let mut of_node = vec![NOWHERE; cluster.nodes().len()];
        for (id, _) in cluster.nodes().iter().filter(|(_, node)| node.exists) {
            if let Some(value) = value(id) {
                let next = index.len() as u32;
                of_node[id.index()] = *index.entry(value).or_insert(next);
            }
        }
        let domains = index.len();
        let empty = index.get(&sym::EMPTY).copied().unwrap_or(domains as u32);
        Key::grouped(label, of_node, domains, empty)
    }
    fn grouped(label: Sym, of_node: Vec<u32>, domains: usize, empty: u32) -> Key {
        let mut starts = vec![0u32; domains + 2];
        for domain in of_node.iter().filter(|d| **d != NOWHERE) {
            starts[*domain as usize + 2] += 1;
        }
        for i in 2..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut members = vec![NodeId::at(0); starts[domains + 1] as usize];
        for (node, domain) in of_node.iter().enumerate().filter(|(_, d)| **d != NOWHERE) {
            let next = &mut starts[*domain as usize + 1];
            members[*next as usize] = NodeId::new(node);
            *next += 1;
        }
        Key { label, of_node, domains, empty, starts, members }
    }
    /// It divides the nodes into a few parts only.
    pub fn is_coarse(&self) -> bool {
        self.domains <= COARSE && self.label != sym::EMPTY
    }
    /// Number of nodes that have the label.
    pub fn labelled(&self) -> usize {
        self.members.len()
    }
    /// Domain of a node.
    pub fn domain(&self, node: NodeId) -> u32 {
        self.of_node.get(node.index()).copied().unwrap_or(NOWHERE)
    }
    /// Nodes of a domain.
    pub fn members(&self, domain: u32) -> &[NodeId] {
        let at = domain as usize;
        &self.members[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// Which nodes a kind of pod may run on, as far as labels say, and which of them have all of some labels.
type EligibleKey = (Vec<u16>, Vec<(Sym, Sym)>, Option<crate::model::spec::Affinity>);

/// The labels that matter to relations between pods.
#[derive(Debug, Default)]
pub struct Topology {
    pub keys: Vec<Key>,
    index: FxHashMap<Sym, u16>,
    eligible: FxHashMap<EligibleKey, Arc<[bool]>>,
}

impl Topology {
    /// For the nodes as they are.
    pub fn new(cluster: &Cluster) -> Topology {
        let exists = |(id, node): (NodeId, &crate::model::node::Node)| {
            if node.exists { id.index() as u32 } else { NOWHERE }
        };
        let of_node: Vec<u32> = cluster.nodes().iter().map(exists).collect();
        let domains = of_node.len();
        let node = Key::grouped(sym::EMPTY, of_node, domains, domains as u32);
        Topology { keys: vec![node], ..Topology::default() }
    }
    /// Does the node exist?
    pub fn has(&self, node: NodeId) -> bool {
        self.keys[usize::from(NODE)].domain(node) != NOWHERE
    }
    /// The number of a label.
    pub fn key(&mut self, cluster: &Cluster, label: Sym) -> u16 {
        if let Some(key) = self.index.get(&label) {
            return *key;
        }
        let key = self.keys.len() as u16;
        self.keys.push(Key::new(cluster, label, |id| cluster.node_labels(id).get(label)));
        self.index.insert(label, key);
        key
    }
    /// The part of each node, and some node of each part, where nodes of one part are alike in all labels with few values. `None`: there
    /// are too many parts, or none of the labels has few values.
    pub fn parts(&self) -> Option<(Vec<u8>, Vec<NodeId>)> {
        let coarse: Vec<&Key> = self.keys.iter().filter(|key| key.is_coarse()).collect();
        let mut of = vec![0; self.keys[usize::from(NODE)].of_node.len()];
        let mut some: Vec<NodeId> = Vec::new();
        let mut alike: FxHashMap<Vec<u32>, u8> = FxHashMap::default();
        for &node in &self.keys[usize::from(NODE)].members {
            let next = some.len();
            let part =
                *alike.entry(coarse.iter().map(|key| key.domain(node)).collect()).or_insert(next as u8);
            if usize::from(part) == next {
                some.push(node);
            }
            if some.len() > MAX_PARTS {
                return None;
            }
            of[node.index()] = part;
        }
        Some((of, some)).filter(|(_, some)| !some.is_empty())
    }
    /// By node: has all these labels and, if `spec` is given, is allowed by its node selector and required node affinity. `None`: every
    /// node is.
    pub fn eligible(
        &mut self,
        cluster: &Cluster,
        keys: &[u16],
        spec: Option<&PodSpec>,
    ) -> Option<Arc<[bool]>> {
        let required = spec.and_then(|s| s.affinity.as_ref()?.node_required.clone());
        let selector = spec.map_or(Vec::new(), |s| s.node_selector.clone());
        if keys.is_empty() && required.is_none() && selector.is_empty() {
            return None;
        }
        let affinity = required.map(|required| crate::model::spec::Affinity {
            node_required: Some(required),
            ..Default::default()
        });
        let key = (keys.to_vec(), selector, affinity);
        if let Some(known) = self.eligible.get(&key) {
            return Some(Arc::clone(known));
        }
        let has_labels = |id: NodeId| keys.iter().all(|k| self.keys[usize::from(*k)].domain(id) != NOWHERE);
        let allows = |id: NodeId, spec: &PodSpec| {
            let node = cluster.node(id);
            spec.allows_node(node.name, cluster.label_set(node.labels), &cluster.names)
        };
        let all = cluster.nodes().ids().map(|id| has_labels(id) && spec.is_none_or(|s| allows(id, s)));
        let made: Arc<[bool]> = all.collect();
        self.eligible.insert(key, Arc::clone(&made));
        Some(made)
    }
}
