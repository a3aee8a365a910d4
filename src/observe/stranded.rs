//! Stranded CPU, memory and disk, by the definition: for every node n and template m of M, b(n,m) = 1 if only storage keeps a
//! fresh pod of m off n, c(n,m) = 1 if storage is there but NodeResourcesFit fails.
//!
//! A sample asks the scheduler's filters only about nodes that changed since the last one, per template. Templates that look at
//! other nodes (affinity or spread over zones) are asked about all nodes.

use super::probe::{Filters, Fit, Probe, with_delayed_binding};
use super::storage::Storage;
use super::templates::Templates;
use crate::engine::time::SimTime;
use crate::model::cluster::{Change, Cluster};
use crate::model::ids::{Id, NodeId};
use crate::model::names::{Name, sym};
use crate::results::summary::Stranded;
use crate::results::tables::NodeState;

/// Free CPU and memory of a node, and free bytes of the volumes on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Room {
    cpu_milli: u64,
    memory_bytes: u64,
    disk_bytes: u128,
}

/// What one template's pods find on one node.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    fit: Fit,
    room: Room,
}

impl Cell {
    fn b(&self) -> bool {
        self.fit.lacks_only_storage()
    }
    fn c(&self) -> bool {
        self.fit.volumes && !self.fit.resources
    }
}

/// What one template finds everywhere.
#[derive(Debug, Default)]
struct Cache {
    cells: Vec<Cell>,
    cpu_milli: u128,
    memory_bytes: u128,
    disk_bytes: u128,
    /// Valid but for the nodes that changed since the last measurement.
    valid: bool,
}

impl Cache {
    fn put(&mut self, node: NodeId, cell: Cell) {
        let old = std::mem::replace(&mut self.cells[node.index()], cell);
        if old.b() {
            self.cpu_milli -= u128::from(old.room.cpu_milli);
            self.memory_bytes -= u128::from(old.room.memory_bytes);
        }
        if old.c() {
            self.disk_bytes -= old.room.disk_bytes;
        }
        if cell.b() {
            self.cpu_milli += u128::from(cell.room.cpu_milli);
            self.memory_bytes += u128::from(cell.room.memory_bytes);
        }
        if cell.c() {
            self.disk_bytes += cell.room.disk_bytes;
        }
    }
}

/// Stranded resources of one node, weighted over M.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeStranded {
    /// CPU.
    pub cpu_milli: f64,
    /// Memory, rounded to bytes.
    pub memory_bytes: u128,
    /// Disk, rounded to bytes.
    pub disk_bytes: u128,
}

/// Answers what is stranded now.
pub struct Stranding {
    /// The templates, counted as pods are created.
    pub templates: Templates,
    filters: Box<dyn Filters>,
    /// By template; only those of M have one.
    caches: Vec<Option<Cache>>,
    /// Nodes that changed since the last measurement.
    changed: Vec<NodeId>,
    /// All nodes, in order.
    all: Vec<NodeId>,
    judged: Vec<NodeId>,
    /// M at the last measurement.
    top: Vec<usize>,
    states: Vec<NodeState>,
    /// b = 1 for every template of M.
    hopeless: Vec<bool>,
    hopeless_count: u64,
    name: Option<Name>,
    changes: Vec<Change>,
    fits: Vec<Fit>,
}

impl Stranding {
    /// Nothing known yet.
    pub fn new(filters: Box<dyn Filters>) -> Stranding {
        Stranding {
            templates: Templates::default(),
            filters,
            caches: Vec::new(),
            changed: Vec::new(),
            all: Vec::new(),
            judged: Vec::new(),
            top: Vec::new(),
            states: Vec::new(),
            hopeless: Vec::new(),
            hopeless_count: 0,
            name: None,
            changes: Vec::new(),
            fits: Vec::new(),
        }
    }
    /// The scheduler's filters, for other questions.
    pub fn filters(&mut self) -> &mut dyn Filters {
        &mut *self.filters
    }
    /// The node, what runs there or the volumes on it changed.
    pub fn touch(&mut self, node: NodeId) {
        self.changed.push(node);
    }
    /// Something changed that may concern every node: classes, CSI capacities, volumes that several nodes reach.
    pub fn touch_all(&mut self) {
        for cache in self.caches.iter_mut().flatten() {
            cache.valid = false;
        }
        self.top.clear();
    }
    /// What every node has run out of, by node id.
    pub fn states(&self) -> &[NodeState] {
        &self.states
    }

    /// What is stranded now.
    pub fn measure(&mut self, at: SimTime, cluster: &mut Cluster, storage: &Storage) -> Stranded {
        for grown in self.templates.take_grown() {
            if let Some(cache) = self.caches.get_mut(grown) {
                *cache = None;
            }
        }
        self.all.extend((self.all.len()..cluster.nodes().len()).map(NodeId::new));
        let all = std::mem::take(&mut self.all);
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let top = self.templates.top().to_vec();
        let mut changes = std::mem::take(&mut self.changes);
        with_delayed_binding(cluster, &mut changes, |cluster| {
            for &template in &top {
                self.refresh(at, cluster, storage, template, &changed, &all);
            }
        });
        self.changes = changes;
        let around = top.iter().any(|t| self.templates.get(*t).looks_around);
        let whole = around || self.top != top || self.states.len() != all.len();
        self.drop_caches_outside(&top);
        self.top = top;
        self.judged.clear();
        self.judged.extend_from_slice(if whole { &all } else { &changed });
        self.judge(cluster);
        changed.clear();
        self.changed = changed;
        self.all = all;
        self.sum()
    }
    /// The nodes that the last measurement looked at, in order.
    pub fn judged(&self) -> &[NodeId] {
        &self.judged
    }

    /// Brings what is known about a template up to date.
    fn refresh(
        &mut self,
        at: SimTime,
        cluster: &mut Cluster,
        storage: &Storage,
        index: usize,
        changed: &[NodeId],
        all: &[NodeId],
    ) {
        if self.caches.len() <= index {
            self.caches.resize_with(index + 1, || None);
        }
        let mut cache = self.caches[index].take().unwrap_or_default();
        let template = self.templates.get(index);
        let list = if cache.valid && !template.looks_around { changed } else { all };
        cache.cells.resize(all.len(), Cell::default());
        cache.valid = true;
        let open = |n: &NodeId| {
            let node = cluster.node(*n);
            node.exists && node.ready && !node.unschedulable
        };
        let (open, closed): (Vec<NodeId>, Vec<NodeId>) = list.iter().copied().partition(open);
        closed.into_iter().for_each(|node| cache.put(node, Cell::default()));
        if !open.is_empty() {
            let mut fits = std::mem::take(&mut self.fits);
            fits.clear();
            let fresh = (template.spec, template.claims.as_slice());
            if !self.filters.fits_fresh(cluster, fresh, &open, &mut fits) {
                let name = *self.name.get_or_insert_with(|| cluster.names.name("stowplan.fresh"));
                if let Some(probe) = Probe::insert(cluster, name, template.spec, &template.claims) {
                    self.filters.fits(at, cluster, probe.pod, &open, &mut fits);
                    probe.remove(cluster);
                }
            }
            for (node, fit) in open.iter().zip(&fits) {
                cache.put(*node, Cell { fit: *fit, room: room(cluster, storage, *node) });
            }
            self.fits = fits;
        }
        self.caches[index] = Some(cache);
    }

    fn drop_caches_outside(&mut self, top: &[usize]) {
        for &old in self.top.iter().filter(|t| !top.contains(t)) {
            self.caches[old] = None;
        }
    }

    /// What the nodes of `judged` have run out of, and whether they are lost for every template.
    fn judge(&mut self, cluster: &Cluster) {
        let count = cluster.nodes().len();
        self.states.resize(count, NodeState::Room);
        self.hopeless.resize(count, false);
        for &node in &self.judged {
            let cells =
                || self.top.iter().filter_map(|t| self.caches[*t].as_ref()).map(|c| c.cells[node.index()]);
            let hopeless = !self.top.is_empty() && cells().all(|c| c.b());
            let row = cluster.node(node);
            let state = if !row.exists || !row.ready || row.unschedulable {
                NodeState::Down
            } else if self.top.is_empty() || cells().any(|c| c.fit.all()) {
                NodeState::Room
            } else if cells().any(|c| c.b()) {
                NodeState::Disk
            } else if cells().any(|c| c.fit.resources) {
                // Taints, selectors or anti-affinity keep them off: nothing has run out.
                NodeState::Room
            } else {
                self.short_of(cluster, node)
            };
            self.states[node.index()] = state;
            let before = std::mem::replace(&mut self.hopeless[node.index()], hopeless);
            self.hopeless_count += u64::from(hopeless);
            self.hopeless_count -= u64::from(before);
        }
    }

    /// Which resource the most frequent template lacks on a node where none fits.
    fn short_of(&self, cluster: &Cluster, node: NodeId) -> NodeState {
        let most = self.top.iter().max_by_key(|t| (self.templates.get(**t).count, std::cmp::Reverse(**t)));
        let Some(spec) = most.map(|t| cluster.spec(self.templates.get(*t).spec)) else {
            return NodeState::Room;
        };
        let row = cluster.node(node);
        let lacks = |name| {
            let wanted = spec.requests.get(name);
            wanted > 0 && wanted > row.allocatable.get(name).saturating_sub(row.info.requested.get(name))
        };
        let pods = row.info.pods.len() as i64 >= row.allocatable_pods;
        match (lacks(sym::CPU), lacks(sym::MEMORY), pods) {
            (true, false, false) => NodeState::Cpu,
            (false, true, false) => NodeState::Memory,
            (false, false, true) => NodeState::Pods,
            _ => NodeState::Other,
        }
    }

    fn sum(&self) -> Stranded {
        let (mut cpu, mut memory, mut disk, mut count) = (0u128, 0u128, 0u128, 0u128);
        for &template in &self.top {
            let Some(cache) = &self.caches[template] else { continue };
            let weight = u128::from(self.templates.get(template).count);
            count += weight;
            cpu = cpu.saturating_add(cache.cpu_milli.saturating_mul(weight));
            memory = memory.saturating_add(cache.memory_bytes.saturating_mul(weight));
            disk = disk.saturating_add(cache.disk_bytes.saturating_mul(weight));
        }
        if count == 0 {
            return Stranded::default();
        }
        Stranded {
            cpu_milli: cpu as f64 / count as f64,
            memory_bytes: rounded(memory, count),
            disk_bytes: rounded(disk, count),
            nodes: self.hopeless_count as f64,
        }
    }

    /// What is stranded on one node, as of the last measurement.
    pub fn on_node(&self, node: NodeId) -> NodeStranded {
        let (mut cpu, mut memory, mut disk, mut count) = (0u128, 0u128, 0u128, 0u128);
        for &template in &self.top {
            let cell = self.caches[template].as_ref().and_then(|c| c.cells.get(node.index()));
            let Some(cell) = cell else { continue };
            let weight = u128::from(self.templates.get(template).count);
            count += weight;
            cpu += if cell.b() { weight * u128::from(cell.room.cpu_milli) } else { 0 };
            memory += if cell.b() { weight * u128::from(cell.room.memory_bytes) } else { 0 };
            disk += if cell.c() { weight * cell.room.disk_bytes } else { 0 };
        }
        if count == 0 {
            return NodeStranded::default();
        }
        NodeStranded {
            cpu_milli: cpu as f64 / count as f64,
            memory_bytes: rounded(memory, count),
            disk_bytes: rounded(disk, count),
        }
    }
}

fn rounded(sum: u128, count: u128) -> u128 {
    sum / count + u128::from(sum % count >= count.div_ceil(2))
}

fn room(cluster: &Cluster, storage: &Storage, node: NodeId) -> Room {
    let row = cluster.node(node);
    let free = |all: i64, used: i64| u64::try_from(all.saturating_sub(used)).unwrap_or(0);
    Room {
        cpu_milli: free(row.allocatable.cpu_milli, row.info.requested.cpu_milli),
        memory_bytes: free(row.allocatable.memory_bytes, row.info.requested.memory_bytes),
        disk_bytes: storage.free_on(node),
    }
}
