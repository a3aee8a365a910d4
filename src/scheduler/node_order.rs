//! The order in which Kubernetes looks at nodes: round robin over the zones, from where the last cycle ended.
//!
//! It matters only where not all nodes are looked at.

use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId, Uid};
use crate::model::names::{Sym, sym};

/// `GetZoneKey`: region and zone, of the stable labels or else of the beta ones.
type ZoneKey = [Sym; 2];

/// `nodeTree` and `nextStartNodeIndex`.
#[derive(Debug, Default)]
pub struct NodeOrder {
    /// Where the next cycle begins.
    pub start: usize,
    nodes: Vec<NodeId>,
    tree: NodeTree,
    /// The cluster's configuration when the list was made: it counts nodes that come, go or change their labels.
    made_at: Option<u64>,
}

/// Zones in the order of their first node, and the nodes of each in the order in which they came.
#[derive(Debug, Default)]
struct NodeTree {
    zones: Vec<(ZoneKey, Vec<NodeId>)>,
    /// Incarnation and zone of every node in the tree, by id.
    known: Vec<Option<(Uid, ZoneKey)>>,
}

fn zone_key(cluster: &Cluster, node: NodeId) -> ZoneKey {
    let labels = cluster.node_labels(node);
    let of = |stable, beta| labels.get(stable).or_else(|| labels.get(beta)).unwrap_or(sym::EMPTY);
    [of(sym::REGION, sym::REGION_BETA), of(sym::ZONE, sym::ZONE_BETA)]
}

impl NodeOrder {
    /// Takes note of nodes that came, went or changed their zone. The nodes of the beginning come in the order of their names, as in
    /// the list that a scheduler gets when it starts; later ones in the order of their creation; a node that changes its zone comes
    /// last there. To be called before every attempt, so that both engines see the same history.
    pub fn sync(&mut self, cluster: &Cluster) {
        if self.made_at == Some(cluster.config_generation()) {
            return;
        }
        let first = self.made_at.is_none();
        self.made_at = Some(cluster.config_generation());
        if self.tree.update(cluster, first) {
            self.nodes = self.tree.list();
        }
    }
    /// All nodes, in order.
    pub fn list(&self) -> &[NodeId] {
        &self.nodes
    }
    /// So many nodes were looked at.
    pub fn advance(&mut self, looked_at: usize, nodes: usize) {
        self.start = if nodes == 0 { 0 } else { (self.start + looked_at) % nodes };
    }
}

impl NodeTree {
    /// True if anything changed.
    fn update(&mut self, cluster: &Cluster, first: bool) -> bool {
        self.known.resize(cluster.nodes().len(), None);
        let mut came: Vec<NodeId> = Vec::new();
        let mut changed = false;
        for (id, node) in cluster.nodes().iter() {
            let now = node.exists.then(|| (node.uid, zone_key(cluster, id)));
            let before = std::mem::replace(&mut self.known[id.index()], now);
            if before == now {
                continue;
            }
            changed = true;
            if let Some((_, zone)) = before {
                self.remove(id, zone);
            }
            if now.is_some() {
                came.push(id);
            }
        }
        if first {
            came.sort_by(|a, b| cluster.names.compare(cluster.node(*a).name, cluster.node(*b).name));
        }
        for id in came {
            self.add(id, zone_key(cluster, id));
        }
        changed
    }
    fn add(&mut self, id: NodeId, zone: ZoneKey) {
        match self.zones.iter_mut().find(|(key, _)| *key == zone) {
            Some((_, nodes)) => nodes.push(id),
            None => self.zones.push((zone, vec![id])),
        }
    }
    fn remove(&mut self, id: NodeId, zone: ZoneKey) {
        if let Some(at) = self.zones.iter().position(|(key, _)| *key == zone) {
            self.zones[at].1.retain(|node| *node != id);
            if self.zones[at].1.is_empty() {
                self.zones.remove(at);
            }
        }
    }
    /// The zones take turns.
    fn list(&self) -> Vec<NodeId> {
        let longest = self.zones.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
        (0..longest)
            .flat_map(|i| self.zones.iter().filter_map(move |(_, nodes)| nodes.get(i).copied()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::Fixture;

    fn names(fixture: &Fixture, order: &NodeOrder) -> Vec<String> {
        let name = |id: &NodeId| fixture.cluster.names.text(fixture.cluster.node(*id).name).to_owned();
        order.list().iter().map(name).collect()
    }

    #[test]
    fn zones_take_turns() {
        let mut fixture = Fixture::new();
        let zone = "topology.kubernetes.io/zone";
        for (name, of) in [("n5", "a"), ("n1", "a"), ("n2", "a"), ("n3", "b"), ("n4", "c"), ("n6", "b")] {
            fixture.node(name, &[(zone, of)]);
        }
        let mut order = NodeOrder::default();
        order.sync(&fixture.cluster);
        assert_eq!(names(&fixture, &order), ["n1", "n3", "n4", "n2", "n6", "n5"], "by name at the beginning");
        // A late node is the last of its zone, whatever its name; a zone that has lost its last node forgets its turn.
        fixture.node("n0", &[(zone, "b")]);
        let gone = fixture.cluster.node_or_ghost(fixture.cluster.names.get("n4").expect("known"));
        fixture.cluster.remove_node(gone);
        order.sync(&fixture.cluster);
        assert_eq!(names(&fixture, &order), ["n1", "n3", "n2", "n6", "n5", "n0"]);
        let moved = fixture.cluster.node_or_ghost(fixture.cluster.names.get("n1").expect("known"));
        let other = fixture.cluster.node_or_ghost(fixture.cluster.names.get("n3").expect("known"));
        let labels = fixture.cluster.node(other).labels;
        fixture.cluster.set_node_labels(moved, labels);
        order.sync(&fixture.cluster);
        assert_eq!(names(&fixture, &order), ["n2", "n3", "n5", "n6", "n0", "n1"], "last in its new zone");
    }

    #[test]
    fn the_next_cycle_begins_where_the_last_one_ended() {
        let mut order = NodeOrder::default();
        order.advance(70, 100);
        order.advance(50, 100);
        assert_eq!(order.start, 20);
        order.advance(3, 0);
        assert_eq!(order.start, 0);
    }
}
