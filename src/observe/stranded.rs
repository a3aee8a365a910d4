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

/// Only storage keeps a fresh pod off: b(n,m).
fn b(fit: Fit) -> bool {
    fit.lacks_only_storage()
}
/// Storage is there, but resources are not: c(n,m).
fn c(fit: Fit) -> bool {
    fit.volumes && !fit.resources
}

/// How many templates of M find a node so.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Everything fits.
    all: u8,
    /// b.
    b: u8,
    /// Resources suffice.
    resources: u8,
}

impl Tally {
    fn add(&mut self, fit: Fit) {
        self.all += u8::from(fit.all());
        self.b += u8::from(b(fit));
        self.resources += u8::from(fit.resources);
    }
    fn sub(&mut self, fit: Fit) {
        self.all -= u8::from(fit.all());
        self.b -= u8::from(b(fit));
        self.resources -= u8::from(fit.resources);
    }
}

/// What one template finds everywhere.
#[derive(Debug, Default)]
struct Cache {
    fits: Vec<Fit>,
    cpu_milli: u128,
    memory_bytes: u128,
    disk_bytes: u128,
}

impl Cache {
    /// The template finds `fit` on a node where so much room is, as there was when the node was judged before.
    fn put(&mut self, node: NodeId, fit: Fit, room: &Room, tally: &mut Tally) {
        let old = std::mem::replace(&mut self.fits[node.index()], fit);
        if old == fit {
            return;
        }
        tally.sub(old);
        tally.add(fit);
        if b(old) {
            self.cpu_milli -= u128::from(room.cpu_milli);
            self.memory_bytes -= u128::from(room.memory_bytes);
        }
        if c(old) {
            self.disk_bytes -= room.disk_bytes;
        }
        if b(fit) {
            self.cpu_milli += u128::from(room.cpu_milli);
            self.memory_bytes += u128::from(room.memory_bytes);
        }
        if c(fit) {
            self.disk_bytes += room.disk_bytes;
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
    /// Per node: how many templates of M find it how, and the room when they last looked.
    tallies: Vec<Tally>,
    rooms: Vec<Room>,
    /// Nothing that is known holds any more.
    void: bool,
    /// Nodes that changed since the last measurement.
    changed: Vec<NodeId>,
    /// All nodes, in order.
    all: Vec<NodeId>,
    judged: Vec<NodeId>,
    open: Vec<NodeId>,
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
            tallies: Vec::new(),
            rooms: Vec::new(),
            void: false,
            changed: Vec::new(),
            all: Vec::new(),
            judged: Vec::new(),
            open: Vec::new(),
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
        self.void = true;
    }
    /// What every node has run out of, by node id.
    pub fn states(&self) -> &[NodeState] {
        &self.states
    }

    /// What is stranded now.
    pub fn measure(&mut self, at: SimTime, cluster: &mut Cluster, storage: &Storage) -> Stranded {
        let void = std::mem::take(&mut self.void);
        for grown in self.templates.take_grown() {
            self.drop_cache(grown);
        }
        let top = self.templates.top().to_vec();
        let same_top = !void && self.top == top;
        for old in std::mem::take(&mut self.top) {
            if void || !top.contains(&old) {
                self.drop_cache(old);
            }
        }
        self.top = top;
        let known = self.states.len();
        self.all.extend((self.all.len()..cluster.nodes().len()).map(NodeId::new));
        let all = std::mem::take(&mut self.all);
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        self.look_at_rooms(cluster, storage, &changed, all.len());
        let mut changes = std::mem::take(&mut self.changes);
        with_delayed_binding(cluster, &mut changes, |cluster| {
            for index in 0..self.top.len() {
                self.refresh(at, cluster, self.top[index], &changed, &all);
            }
        });
        self.changes = changes;
        let around = self.top.iter().any(|t| self.templates.get(*t).looks_around);
        let whole = around || !same_top || known != all.len();
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

    /// What templates found on nodes that have changed is void; from here on the room there is what it is now.
    fn look_at_rooms(&mut self, cluster: &Cluster, storage: &Storage, changed: &[NodeId], nodes: usize) {
        self.tallies.resize(nodes, Tally::default());
        for &template in &self.top {
            let Some(cache) = self.caches.get_mut(template).and_then(Option::as_mut) else { continue };
            cache.fits.resize(nodes, Fit::default());
            for &node in changed.iter().filter(|node| node.index() < self.rooms.len()) {
                let i = node.index();
                cache.put(node, Fit::default(), &self.rooms[i], &mut self.tallies[i]);
            }
        }
        let known = self.rooms.len();
        self.rooms.extend((known..nodes).map(|node| room(cluster, storage, NodeId::new(node))));
        for &node in changed {
            self.rooms[node.index()] = room(cluster, storage, node);
        }
    }

    /// Brings what is known about a template up to date.
    fn refresh(
        &mut self,
        at: SimTime,
        cluster: &mut Cluster,
        index: usize,
        changed: &[NodeId],
        all: &[NodeId],
    ) {
        if self.caches.len() <= index {
            self.caches.resize_with(index + 1, || None);
        }
        let template = self.templates.get(index);
        let known = self.caches[index].take();
        let list = if known.is_some() && !template.looks_around { changed } else { all };
        let mut cache = known.unwrap_or_default();
        cache.fits.resize(all.len(), Fit::default());
        let mut open = std::mem::take(&mut self.open);
        open.clear();
        for &id in list {
            let node = cluster.node(id);
            if node.exists && node.ready && !node.unschedulable {
                open.push(id);
            } else {
                let i = id.index();
                cache.put(id, Fit::default(), &self.rooms[i], &mut self.tallies[i]);
            }
        }
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
                let i = node.index();
                cache.put(*node, *fit, &self.rooms[i], &mut self.tallies[i]);
            }
            self.fits = fits;
        }
        self.open = open;
        self.caches[index] = Some(cache);
    }

    fn drop_cache(&mut self, template: usize) {
        let cache = self.caches.get_mut(template).and_then(Option::take);
        for (fit, tally) in cache.iter().flat_map(|cache| &cache.fits).zip(&mut self.tallies) {
            tally.sub(*fit);
        }
    }

    /// What the nodes of `judged` have run out of, and whether they are lost for every template.
    fn judge(&mut self, cluster: &Cluster) {
        let count = cluster.nodes().len();
        self.states.resize(count, NodeState::Room);
        self.hopeless.resize(count, false);
        for &node in &self.judged {
            let tally = self.tallies[node.index()];
            let hopeless = !self.top.is_empty() && usize::from(tally.b) == self.top.len();
            let row = cluster.node(node);
            let state = if !row.exists || !row.ready || row.unschedulable {
                NodeState::Down
            } else if self.top.is_empty() || tally.all > 0 {
                NodeState::Room
            } else if tally.b > 0 {
                NodeState::Disk
            } else if tally.resources > 0 {
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
            let fit = self.caches[template].as_ref().and_then(|c| c.fits.get(node.index()).copied());
            let (Some(fit), Some(room)) = (fit, self.rooms.get(node.index())) else { continue };
            let weight = u128::from(self.templates.get(template).count);
            count += weight;
            cpu += if b(fit) { weight * u128::from(room.cpu_milli) } else { 0 };
            memory += if b(fit) { weight * u128::from(room.memory_bytes) } else { 0 };
            disk += if c(fit) { weight * room.disk_bytes } else { 0 };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::rng::{EntityKey, Streams};
    use crate::engine::time::SimDuration;
    use crate::model::fixture::Fixture;
    use crate::model::ids::{ClaimSpecId, SpecId, Uid};
    use crate::model::resources::Resources;
    use crate::model::spec::{PodSpec, PodVolume};
    use crate::observe::filters::ProfileFilters;
    use crate::observe::replicas::Replicas;
    use crate::scheduler::profile::{Profile, ProfileConfig};

    fn nothing_known() -> Stranding {
        let profile = Profile::new(&ProfileConfig::default()).expect("the default profile");
        Stranding::new(Box::new(ProfileFilters::new(&[profile])))
    }

    /// Templates of 1 to 40 CPUs, more than M holds, with a claim of 1 to 40 GiB.
    fn templates(fixture: &mut Fixture) -> Vec<(SpecId, Vec<ClaimSpecId>)> {
        let prefix = fixture.sym("data");
        let mut made = Vec::new();
        for n in 1..=40i64 {
            let claim = fixture.claim(&format!("c{n} {n}Gi RWO class=wffc"));
            let model = fixture.pod(&format!("model-{n}"), &[]);
            let spec = PodSpec {
                requests: Resources { cpu_milli: 1000 * n, ..Resources::default() },
                volumes: vec![PodVolume::ClaimTemplate { prefix }],
                ..fixture.cluster.spec_of(model).clone()
            };
            made.push((fixture.cluster.intern_spec(spec), vec![fixture.cluster.claim(claim).spec]));
        }
        made
    }

    #[test]
    fn what_is_kept_up_to_date_is_what_a_first_look_finds() {
        let streams = Streams::new(5, 0);
        let mut turn = 0;
        let mut roll = |n: usize| {
            turn += 1;
            streams.index("dice", EntityKey(turn), n)
        };
        let mut fixture = Fixture::new();
        let kinds = templates(&mut fixture);
        let nodes: Vec<NodeId> = (0..4).map(|n| fixture.node(&format!("n{n}"), &[])).collect();
        let volumes: Vec<_> = (0..12)
            .map(|v| {
                fixture.volume(&format!("v{v} {}Gi RWO class=wffc host=n{} Available", 3 * v + 1, v % 4))
            })
            .collect();
        let (mut storage, replicas) = (Storage::new(0), Replicas::new(SimDuration::from_secs(300)));
        nodes.iter().for_each(|node| storage.node_changed(&fixture.cluster, *node));
        let mut kept = nothing_known();
        let mut pods = Vec::new();
        let mut stranding = 0;
        for step in 0..300 {
            let cluster = &mut fixture.cluster;
            let node = nodes[roll(4)];
            match roll(6) {
                0 => cluster.set_node_unschedulable(node, roll(2) == 0),
                1 => cluster.set_node_ready(node, roll(4) > 0),
                2 => {
                    let room = Resources { cpu_milli: 1000 * roll(45) as i64, ..Resources::default() };
                    cluster.set_node_allocatable(node, room, 2);
                }
                3 => {
                    let volume = volumes[roll(12)];
                    cluster.assume_volume(volume, (roll(2) == 0).then_some(Uid::new(7)));
                    kept.touch(nodes[volume.index() % 4]);
                }
                4 if roll(20) == 0 => kept.touch_all(),
                _ => {
                    let kind = kinds[roll(40)].clone();
                    kept.templates.add(cluster, kind.0, kind.1.clone());
                    pods.push(kind);
                }
            }
            kept.touch(node);
            let mut changes = Vec::new();
            cluster.take_changes(&mut changes);
            volumes.iter().for_each(|volume| storage.touch(*volume));
            storage.settle(SimTime::ZERO, cluster, &replicas, &mut Vec::new());
            let mut fresh = nothing_known();
            pods.iter().for_each(|(spec, claims)| fresh.templates.add(cluster, *spec, claims.clone()));
            let found = kept.measure(SimTime::ZERO, cluster, &storage);
            assert_eq!(found, fresh.measure(SimTime::ZERO, cluster, &storage), "step {step}");
            stranding += u32::from(found.cpu_milli > 0.0);
            assert_eq!(kept.states(), fresh.states(), "step {step}");
            for node in &nodes {
                assert_eq!(kept.on_node(*node), fresh.on_node(*node), "step {step}");
            }
        }
        // Otherwise nothing was compared.
        assert!((1..300).contains(&stranding), "{stranding} of 300 steps strand CPU");
        let kinds: std::collections::BTreeSet<SpecId> = pods.iter().map(|(spec, _)| *spec).collect();
        assert!(kinds.len() > 32, "{} templates, and M holds 32", kinds.len());
    }
}
