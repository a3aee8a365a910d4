//! What relates pods to each other: spread constraints, affinity and anti-affinity, in numbers that follow the pods.
//!
//! The plain plugins count all pods on all nodes for every attempt. Here a [`Group`](group::Group) stands for the pods of one spec; it
//! holds numbers per domain of the labels that its constraints and terms name. When a pod comes or goes, only the groups change that
//! its spec has to do with, which is found out once per pair of specs. Whatever nodes and namespaces decide (domains, eligible nodes)
//! is made anew when the cluster's configuration changes.

mod anchors;
mod group;
mod overlay;
mod topology;

pub use overlay::{At, Candidate, Overlay, RelationWeights, Scratch};

use self::anchors::Anchors;
use self::group::{Constraints, Group, Share, term_selectors};
use self::topology::Topology;
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId, PodId, SpecId};
use crate::model::pod::PodOwner;
use crate::scheduler::plugins::pod_topology_spread::{PodTopologySpread, default_selector};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// The placed pods of one spec.
#[derive(Debug, Default)]
struct Placed {
    /// Per node: pods, and those of them that are not being deleted.
    nodes: BTreeMap<NodeId, (i64, i64)>,
    /// Groups that they concern, and how.
    watchers: Vec<(u32, Box<[Share]>)>,
}

/// Groups and counted pods; see the module's text.
#[derive(Debug, Default)]
pub struct Relations {
    /// Configuration of the cluster that everything here rests on.
    made_at: Option<u64>,
    /// How far the cluster's log of placements has been read.
    position: u64,
    topology: Topology,
    spread: PodTopologySpread,
    groups: Vec<Group>,
    by_owner: FxHashMap<(SpecId, PodOwner), (bool, u32)>,
    specs: Vec<Option<Box<Placed>>>,
    /// Specs with placed pods, in order of appearance.
    known: Vec<SpecId>,
    /// Places in `known` by label, and by what their terms select.
    specs_by_label: Anchors,
    specs_by_term: Anchors,
    /// Groups by their pods' labels, and by what their own selectors select.
    groups_by_label: Anchors,
    groups_by_selector: Anchors,
}

/// Groups beyond which all are forgotten: a bound on memory.
const MAX_GROUPS: usize = 100_000;

impl Relations {
    /// The group of a pod, up to date; `None` if nothing relates it to other pods.
    pub fn group_of(&mut self, cluster: &Cluster, pod: PodId) -> Option<u32> {
        let row = cluster.pod(pod);
        let spec = cluster.spec(row.spec);
        let owned = matches!(row.owner, PodOwner::StatefulSet(_) | PodOwner::ReplicaSet(_));
        let spreads = !spec.spread.is_empty() || owned || !cluster.services().is_empty();
        let own = spec.affinity.as_ref().is_some_and(|a| a.concerns_pods());
        if !spreads && !own && !cluster.has_pod_affinity() {
            return None;
        }
        self.sync(cluster);
        let exists = match row.owner {
            PodOwner::StatefulSet(id) => cluster.stateful_sets()[id].exists,
            PodOwner::ReplicaSet(id) => cluster.replica_sets()[id].exists,
            PodOwner::None | PodOwner::Job(_) => true,
        };
        let owner = if owned { row.owner } else { PodOwner::None };
        match self.by_owner.get(&(row.spec, owner)) {
            Some((then, group)) if *then == exists => Some(*group),
            _ => {
                let group = self.make_group(cluster, pod);
                self.by_owner.insert((row.spec, owner), (exists, group));
                Some(group)
            }
        }
    }

    /// How many labels are known: what [`Relations::parts`] says changes only with it.
    pub fn labels(&self) -> (Option<u64>, usize) {
        (self.made_at, self.topology.keys.len())
    }
    /// The part of each node by id, and some node of each part. Nodes of one part that no pod of interest runs on are alike.
    pub fn parts(&self) -> Option<(Vec<u8>, Vec<NodeId>)> {
        self.topology.parts()
    }
    /// What the group says about nodes.
    pub fn overlay(&self, cluster: &Cluster, group: u32) -> Overlay<'_> {
        Overlay::new(cluster, &self.groups[group as usize], &self.topology)
    }
    /// Has the group nothing to say at all?
    pub fn says_nothing(&self, cluster: &Cluster, group: u32) -> bool {
        self.groups[group as usize].says_nothing(cluster)
    }
    /// Does the group look at taints?
    pub fn honors_taints(&self, group: u32) -> bool {
        self.groups[group as usize].honors_taints
    }

    fn sync(&mut self, cluster: &Cluster) {
        let fresh = self.made_at == Some(cluster.config_generation()) && self.groups.len() < MAX_GROUPS;
        match cluster.placements_since(self.position).filter(|_| fresh) {
            None => self.rebuild(cluster),
            Some(placements) => {
                for p in placements {
                    self.count(cluster, p.spec, p.node, i64::from(p.pods), i64::from(p.living));
                }
            }
        }
        self.position = cluster.placement_position();
    }

    fn rebuild(&mut self, cluster: &Cluster) {
        *self = Relations {
            made_at: Some(cluster.config_generation()),
            topology: Topology::new(cluster),
            ..Relations::default()
        };
        for (id, node) in cluster.nodes().iter().filter(|(_, node)| node.exists) {
            for &pod in &node.info.pods {
                let row = cluster.pod(pod);
                self.count(cluster, row.spec, id, 1, i64::from(row.deletion.is_none()));
            }
        }
    }

    fn count(&mut self, cluster: &Cluster, spec: SpecId, node: NodeId, pods: i64, living: i64) {
        if !self.topology.has(node) {
            return; // nobody looks at a node that does not exist
        }
        if self.specs.get(spec.index()).is_none_or(Option::is_none) {
            self.meet(cluster, spec);
        }
        let Some(Some(placed)) = self.specs.get_mut(spec.index()) else { return };
        let count = placed.nodes.entry(node).or_default();
        *count = (count.0 + pods, count.1 + living);
        if count.0 == 0 {
            placed.nodes.remove(&node);
        }
        for (group, shares) in &placed.watchers {
            self.groups[*group as usize].count(&self.topology, shares, node, pods, living);
        }
    }

    /// The first pod of a spec: which groups does it concern?
    fn meet(&mut self, cluster: &Cluster, id: SpecId) {
        let spec = cluster.spec(id);
        let labels = cluster.label_set(spec.labels);
        let mut found: Vec<u32> = Vec::new();
        self.groups_by_selector.selecting(labels, &mut found);
        for selector in term_selectors(spec) {
            self.groups_by_label.selected(selector, self.groups.len(), &mut found);
        }
        found.sort_unstable();
        found.dedup();
        let mut placed = Placed::default();
        for group in found {
            let shares = self.groups[group as usize].shares(cluster, &mut self.topology, spec);
            if !shares.is_empty() {
                placed.watchers.push((group, shares));
            }
        }
        let place = self.known.len() as u32;
        self.known.push(id);
        self.specs_by_label.add_labels(labels, place);
        for selector in term_selectors(spec) {
            self.specs_by_term.add_selector(selector, place);
        }
        if self.specs.len() <= id.index() {
            self.specs.resize_with(id.index() + 1, || None);
        }
        self.specs[id.index()] = Some(Box::new(placed));
    }

    /// The group of a pod whose owner was not met before.
    fn make_group(&mut self, cluster: &Cluster, pod: PodId) -> u32 {
        let id = cluster.pod(pod).spec;
        let spec = cluster.spec(id);
        let defaults = self.spread.defaults().to_vec();
        let selector = if spec.spread.is_empty() { default_selector(cluster, pod) } else { None };
        let constraints = match &selector {
            _ if !spec.spread.is_empty() => {
                Constraints { list: &spec.spread, selector: None, require_all: true }
            }
            // The system defaults let nodes without a zone label take part.
            Some(selector) => Constraints { list: &defaults, selector: Some(selector), require_all: false },
            None => Constraints { list: &[], selector: None, require_all: true },
        };
        let mut group = Group::new(cluster, &mut self.topology, id, &constraints);
        let labels = cluster.label_set(spec.labels);
        let mut found: Vec<u32> = Vec::new();
        self.specs_by_term.selecting(labels, &mut found);
        for selector in group.selectors(cluster) {
            self.specs_by_label.selected(selector, self.known.len(), &mut found);
        }
        found.sort_unstable();
        found.dedup();
        let number = self.groups.len() as u32;
        for place in found {
            let other = self.known[place as usize];
            let shares = group.shares(cluster, &mut self.topology, cluster.spec(other));
            let Some(Some(placed)) = self.specs.get_mut(other.index()).filter(|_| !shares.is_empty()) else {
                continue;
            };
            for (node, (pods, living)) in &placed.nodes {
                group.count(&self.topology, &shares, *node, *pods, *living);
            }
            placed.watchers.push((number, shares));
        }
        self.groups_by_label.add_labels(labels, number);
        for selector in group.selectors(cluster) {
            self.groups_by_selector.add_selector(selector, number);
        }
        self.groups.push(group);
        number
    }
}
