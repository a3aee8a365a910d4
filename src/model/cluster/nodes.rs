//! Changes of nodes.

use super::*;

impl Cluster {
    /// Adds a node.
    ///
    /// # Errors
    /// [`AlreadyExists`].
    pub fn add_node(&mut self, mut node: Node) -> Result<NodeId, AlreadyExists> {
        if self.node_names.contains_key(&node.name) {
            return Err(AlreadyExists);
        }
        let name = node.name;
        share(&mut self.latest_machines, &mut node.shape);
        self.node_counts.0 += 1;
        self.node_counts.1 += usize::from(!node.images.is_empty());
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
        self.new_config();
        self.touch_node(id);
        self.changes.push(Change::NodeAdded(id));
        Ok(id)
    }
    /// Removes a node object. Its pods stay until pod GC finds them.
    pub fn remove_node(&mut self, id: NodeId) {
        if std::mem::replace(&mut self.nodes[id].exists, false) {
            self.node_counts.0 -= 1;
            self.node_counts.1 -= usize::from(!self.nodes[id].images.is_empty());
            self.index_host(id, false);
            self.new_config();
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
            self.new_config();
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
    pub(super) fn touch_node(&mut self, id: NodeId) {
        self.generation += 1;
        self.nodes[id].generation = self.generation;
        self.touched.push(id);
    }
    fn index_host(&mut self, id: NodeId, add: bool) {
        let Some(host) = self.label_set(self.nodes[id].labels).get(sym::HOSTNAME) else { return };
        if add {
            self.host_nodes.entry(host).and_modify(|nodes| nodes.push(id)).or_insert(Few::One(id));
        } else if self.host_nodes.get_mut(&host).is_some_and(|nodes| nodes.forget(id)) {
            self.host_nodes.remove(&host);
        }
    }
    /// A volume came, changed or went: the nodes that it is pinned to see another world.
    pub(super) fn touch_volume(&mut self, node_affinity: Option<NodeSelectorId>) {
        self.generation += 1;
        match self.pinned_host(node_affinity) {
            None => self.wide_generation += 1,
            Some(host) => self.touch_host(host),
        }
    }
    pub(super) fn touch_host(&mut self, host: Sym) {
        for index in 0..self.nodes_of_host(host).len() {
            let node = self.nodes_of_host(host)[index];
            self.touch_node(node);
        }
    }
}
