//! The order in which Kubernetes looks at nodes: round robin over the zones, from where the last cycle ended.
//!
//! It matters only where not all nodes are looked at.

use crate::model::cluster::Cluster;
use crate::model::ids::NodeId;
use crate::model::names::{Sym, sym};
use rustc_hash::FxHashMap;

/// `nodeTree` and `nextStartNodeIndex`.
#[derive(Debug, Default)]
pub struct NodeOrder {
    /// Where the next cycle begins.
    pub start: usize,
    nodes: Vec<NodeId>,
    /// The cluster's configuration when the list was made: it counts nodes that come, go or change their labels.
    made_at: Option<u64>,
}

/// `GetZoneKey`: region and zone, of the stable labels or else of the beta ones.
fn zone_key(cluster: &Cluster, node: NodeId) -> [Sym; 2] {
    let labels = cluster.node_labels(node);
    let of = |stable, beta| labels.get(stable).or_else(|| labels.get(beta)).unwrap_or(sym::EMPTY);
    [of(sym::REGION, sym::REGION_BETA), of(sym::ZONE, sym::ZONE_BETA)]
}

impl NodeOrder {
    /// All nodes, in order. Zones come in the order of their first node, nodes of a zone in the order of their creation (a node whose
    /// zone label changes keeps the place of its creation, while Kubernetes moves it to the end).
    pub fn list(&mut self, cluster: &Cluster) -> &[NodeId] {
        if self.made_at != Some(cluster.config_generation()) {
            let existing = cluster.nodes().iter().filter(|(_, node)| node.exists).map(|(id, _)| id);
            let zones: Vec<(NodeId, [Sym; 2])> = existing.map(|id| (id, zone_key(cluster, id))).collect();
            self.nodes = round_robin(&zones);
            self.made_at = Some(cluster.config_generation());
        }
        &self.nodes
    }
    /// So many nodes were looked at.
    pub fn advance(&mut self, looked_at: usize, nodes: usize) {
        self.start = if nodes == 0 { 0 } else { (self.start + looked_at) % nodes };
    }
}

fn round_robin(nodes: &[(NodeId, [Sym; 2])]) -> Vec<NodeId> {
    let mut place: FxHashMap<[Sym; 2], usize> = FxHashMap::default();
    let mut zones: Vec<Vec<NodeId>> = Vec::new();
    for (node, zone) in nodes {
        let at = *place.entry(*zone).or_insert(zones.len());
        if at == zones.len() {
            zones.push(Vec::new());
        }
        zones[at].push(*node);
    }
    let longest = zones.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|i| zones.iter().filter_map(move |zone| zone.get(i).copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_take_turns() {
        let zone = |n| [sym::EMPTY, Sym(n)];
        let nodes: Vec<(NodeId, [Sym; 2])> =
            [1, 1, 1, 2, 3, 2].iter().enumerate().map(|(i, z)| (NodeId(i as u32), zone(*z))).collect();
        let order: Vec<u32> = round_robin(&nodes).into_iter().map(|n| n.0).collect();
        assert_eq!(order, [0, 3, 4, 1, 5, 2]);
    }
}
