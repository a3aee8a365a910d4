//! What the fast path needs of every node, in one row each, brought up to date from the cluster's log of touched nodes.

use super::native::balance;
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId};
use crate::model::names::{Sym, sym};
use crate::model::spec::TaintEffect;
use crate::model::volume::{AccessModes, ClaimSpec, StorageClass, Volume, VolumeMode};
use crate::scheduler::plugins::volume_binding::find::topology_allows;
use rustc_hash::FxHashMap;

/// What volumes must share to be alternatives for one claim; labels do not count (claims with a selector are matched in full).
type Pool = (Sym, VolumeMode, AccessModes, Sym);

/// What the arithmetic reads of a node for every pod, in one cache line. CPU comes first, then memory, then ephemeral storage.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct Facts {
    pub allocatable: [i64; 2],
    /// Allocatable less requested.
    pub free: [i64; 3],
    pub nonzero: [i64; 2],
    /// How evenly cpu and memory are used, for NodeResourcesBalancedAllocation: 0..=100.
    pub balance: i8,
    pub exists: bool,
    /// No taints, not cordoned: what filters such nodes out has nothing to look at.
    pub plain: bool,
    /// No room for another pod, whatever it asks for.
    pub full: bool,
    /// All amounts of CPU and memory are in [`EASY`]: no operation on them can overflow.
    pub easy: bool,
    /// The table's pools did not suffice for this node's volumes: match in full.
    pub overflow: bool,
    /// It is there, plain, and has room for whatever any pod asks for that arithmetic was asked about.
    pub roomy: bool,
}

/// Amounts a hundred of which are far from the end of the range.
pub(super) const EASY: std::ops::Range<i64> = 0..1 << 50;

/// What else is known of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeRow {
    pub has_soft_taint: bool,
    pub has_hard_taint: bool,
    pub allocatable: [i64; 3],
    pub requested: [i64; 3],
    /// Extended resources: name, allocatable, requested.
    scalars: Vec<(Sym, i64, i64)>,
}

impl NodeRow {
    /// Allocatable and requested amount of an extended resource. One that the node does not have is used up.
    pub fn scalar(&self, name: Sym) -> (i64, i64) {
        let found = self.scalars.iter().find(|(n, ..)| *n == name);
        found.map_or((0, 0), |(_, allocatable, requested)| (*allocatable, *requested))
    }
}

/// What a provisioner can make on each node for a class: bytes of the largest volume, or one of the numbers below.
#[derive(Clone, Debug)]
struct Room {
    class: Sym,
    largest: Vec<i64>,
    /// One past the last position in the log at which it became another on any node.
    changed_until: u64,
}

/// The class does not allow the node.
pub(super) const NOWHERE: i64 = -2;
/// Nobody has said that there is any room.
const UNKNOWN: i64 = -1;

/// Pools that fit into a claim's mask of pools.
const MAX_POOLS: usize = 64;

/// The rows, and in which order nodes were touched.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeTable {
    facts: Vec<Facts>,
    rows: Vec<NodeRow>,
    /// Place of each node in the order of names, and back.
    rank: Vec<u32>,
    by_rank: Vec<NodeId>,
    pools: FxHashMap<Pool, u8>,
    /// By pool and node: capacity of the largest free volume pinned there, in 10^-9 bytes; -1 if there is none.
    largest: Vec<Vec<i128>>,
    /// Where volumes are made for claims: by class.
    rooms: Vec<Room>,
    /// All capacities that some free pinned volume had, sorted.
    capacities: Vec<i128>,
    /// Counts up, by node, when it is touched.
    versions: Vec<u32>,
    soft_taints: usize,
    hard_taints: usize,
    /// Nodes in the order in which they were touched, each with its stamp; repetitions at once are folded.
    log: Vec<NodeId>,
    log_start: u64,
    /// Position in `log` of each node's last touch.
    stamp: Vec<u64>,
    /// The most that any pod asks for that arithmetic was asked about: CPU, memory, ephemeral storage.
    most: [i64; 3],
    /// One past the last position in `log` at which a node was touched that was not roomy before or is not since; and, by pool, at which
    /// the largest free volume of a node became another.
    tight_until: u64,
    changed_until: Vec<u64>,
    /// Of the node that is being read; memory used again.
    largest_before: Vec<i128>,
    /// How far the cluster's own log has been read.
    position: u64,
    config: Option<u64>,
    /// Volumes looked at so far.
    pub volumes: u64,
}

/// Length at which the log forgets its older half.
const LOG_CAPACITY: usize = 1 << 16;

impl NodeTable {
    /// Reads what changed. True if everything derived from the table is void.
    pub fn sync(&mut self, cluster: &Cluster) -> bool {
        if self.config != Some(cluster.config_generation()) {
            self.rebuild(cluster);
            return true;
        }
        if self.position != cluster.touch_position() {
            match cluster.touched_since(self.position) {
                None => {
                    for id in cluster.nodes().ids() {
                        self.touch(cluster, id);
                    }
                }
                Some(touched) => {
                    for (i, &id) in touched.iter().enumerate() {
                        // Most touches come in runs on one node: only the last of a run counts.
                        if touched.get(i + 1) != Some(&id) {
                            self.touch(cluster, id);
                        }
                    }
                }
            }
            self.position = cluster.touch_position();
        }
        false
    }

    fn rebuild(&mut self, cluster: &Cluster) {
        let count = cluster.nodes().len();
        self.by_rank = cluster.nodes().ids().collect();
        self.by_rank.sort_by(|a, b| cluster.names.compare(cluster.node(*a).name, cluster.node(*b).name));
        self.rank = vec![0; count];
        for (rank, id) in self.by_rank.iter().enumerate() {
            self.rank[id.index()] = rank as u32;
        }
        self.rows = vec![NodeRow::default(); count];
        self.facts = vec![Facts::default(); count];
        self.stamp = vec![0; count];
        (self.soft_taints, self.hard_taints) = (0, 0);
        self.pools.clear();
        self.largest.clear();
        self.changed_until.clear();
        for room in &mut self.rooms {
            room.largest = vec![NOWHERE; count];
        }
        self.most = [0; 3];
        self.capacities.clear();
        self.versions.resize(count, 0);
        for id in cluster.nodes().ids() {
            self.touch(cluster, id);
        }
        self.position = cluster.touch_position();
        self.config = Some(cluster.config_generation());
    }

    fn touch(&mut self, cluster: &Cluster, id: NodeId) {
        let i = id.index();
        if i >= self.rows.len() {
            return; // a row for a node that does not exist
        }
        self.soft_taints -= usize::from(self.rows[i].has_soft_taint);
        self.hard_taints -= usize::from(self.rows[i].has_hard_taint);
        let mut row = std::mem::take(&mut self.rows[i]);
        let before = self.facts[i];
        self.read(cluster, id, &mut row);
        self.soft_taints += usize::from(row.has_soft_taint);
        self.hard_taints += usize::from(row.has_hard_taint);
        self.rows[i] = row;
        if self.log.len() >= LOG_CAPACITY {
            self.log.drain(..LOG_CAPACITY / 2);
            self.log_start += LOG_CAPACITY as u64 / 2;
        }
        self.stamp[i] = self.end();
        self.versions[i] = self.versions[i].wrapping_add(1);
        self.log.push(id);
        let after = &self.facts[i];
        if !(before.roomy && after.roomy) || before.overflow || after.overflow {
            self.tight_until = self.end();
        }
    }

    fn read(&mut self, cluster: &Cluster, id: NodeId, row: &mut NodeRow) {
        let node = cluster.node(id);
        let (allocatable, requested) = (&node.allocatable, &node.info.requested);
        row.has_soft_taint =
            node.exists && node.taints.iter().any(|t| t.effect == TaintEffect::PreferNoSchedule);
        row.has_hard_taint =
            node.exists && node.taints.iter().any(|t| t.effect != TaintEffect::PreferNoSchedule);
        row.allocatable = [allocatable.cpu_milli, allocatable.memory_bytes, allocatable.ephemeral_bytes];
        row.requested = [requested.cpu_milli, requested.memory_bytes, requested.ephemeral_bytes];
        row.scalars.clear();
        let scalars = allocatable.scalars.iter();
        row.scalars.extend(scalars.map(|(name, amount)| (*name, *amount, requested.scalar(*name))));
        let nonzero = [node.info.nonzero_cpu_milli, node.info.nonzero_memory_bytes];
        let easy = |i: usize| {
            let (have, used) = (row.allocatable[i], row.requested[i]);
            have > 0 && [have, used, nonzero[i]].iter().all(|amount| EASY.contains(amount))
        };
        let free = [0, 1, 2].map(|i| row.allocatable[i].wrapping_sub(row.requested[i]));
        let overflow = !self.read_volumes(cluster, id);
        self.read_rooms(cluster, id);
        let plain = node.taints.is_empty() && !node.unschedulable;
        let full = node.allocatable_pods - (node.info.pods.len() as i64) < 1;
        let enough = free.iter().zip(&self.most).all(|(free, most)| free >= most);
        self.facts[id.index()] = Facts {
            roomy: node.exists && plain && !full && enough,
            allocatable: [row.allocatable[0], row.allocatable[1]],
            free,
            nonzero,
            balance: balance([0, 1].map(|i| (row.allocatable[i], row.requested[i]))) as i8,
            exists: node.exists,
            plain,
            full,
            easy: easy(0) && easy(1),
            overflow,
        };
    }

    /// Notes the largest free volume of each pool on a node. False if there are too many pools.
    fn read_volumes(&mut self, cluster: &Cluster, id: NodeId) -> bool {
        let mut before = std::mem::take(&mut self.largest_before);
        before.clear();
        for largest in &mut self.largest {
            before.push(std::mem::replace(&mut largest[id.index()], -1));
        }
        let complete = match cluster.node_labels(id).get(sym::HOSTNAME) {
            Some(host) => self.read_pinned(cluster, id, host),
            None => true,
        };
        let end = self.end() + 1;
        for (pool, largest) in self.largest.iter().enumerate() {
            if before.get(pool).copied().unwrap_or(-1) != largest[id.index()] {
                self.changed_until[pool] = end;
            }
        }
        self.largest_before = before;
        complete
    }
    fn read_pinned(&mut self, cluster: &Cluster, id: NodeId, host: Sym) -> bool {
        let mut complete = true;
        let mut last = -1;
        let mut last_pool = None;
        for &volume in cluster.free_pinned_volumes(host) {
            self.volumes += 1;
            let volume = cluster.volume(volume);
            let capacity = volume.capacity.nanos();
            if capacity != last {
                last = capacity;
                if let Err(place) = self.capacities.binary_search(&capacity) {
                    self.capacities.insert(place, capacity);
                }
            }
            if !cluster.pinned_volume_allows(volume, host, id) {
                continue;
            }
            let pool = pool_of(volume);
            let number = match last_pool {
                Some((last, number)) if last == pool => number,
                _ => self.pool(pool),
            };
            last_pool = Some((pool, number));
            match number {
                Some(number) => {
                    let largest = &mut self.largest[usize::from(number)][id.index()];
                    *largest = capacity.max(*largest);
                }
                None => complete = false,
            }
        }
        complete
    }

    fn read_rooms(&mut self, cluster: &Cluster, id: NodeId) {
        let end = self.end() + 1;
        for room in &mut self.rooms {
            let largest = largest_made(cluster, room.class, id);
            if std::mem::replace(&mut room.largest[id.index()], largest) != largest {
                room.changed_until = end;
            }
        }
    }
    /// Keeps book from now on of the room for a class, if its volumes are made for claims. False if nobody makes volumes of the class.
    pub fn know_room(&mut self, cluster: &Cluster, class: Sym) -> bool {
        if self.room(class).is_some() {
            return true;
        }
        let makes = |c: &StorageClass| c.provisioner != sym::NO_PROVISIONER && c.provisioner != sym::EMPTY;
        if !cluster.class(class).is_some_and(makes) {
            return false;
        }
        let ids = (0..self.rows.len()).map(NodeId::new);
        let largest = ids.map(|id| largest_made(cluster, class, id)).collect();
        self.rooms.push(Room { class, largest, changed_until: self.end() });
        true
    }
    /// The room that is known for a class.
    pub fn room(&self, class: Sym) -> Option<usize> {
        self.rooms.iter().position(|room| room.class == class)
    }
    /// The largest volume that can be made on a node: bytes, or a negative number.
    #[inline]
    pub fn largest_made(&self, room: usize, id: NodeId) -> i64 {
        self.rooms[room].largest[id.index()]
    }

    fn pool(&mut self, pool: Pool) -> Option<u8> {
        if let Some(&index) = self.pools.get(&pool) {
            return Some(index);
        }
        let index = self.pools.len();
        if index >= MAX_POOLS {
            return None;
        }
        self.pools.insert(pool, index as u8);
        self.largest.push(vec![-1; self.rows.len()]);
        self.changed_until.push(0);
        Some(index as u8)
    }

    /// The pools whose volumes could serve a claim without selector, and how many pools were known then: pools that came later are not
    /// among them.
    pub fn pools_for(&self, spec: &ClaimSpec) -> (Vec<u8>, usize) {
        let attributes = spec.attributes_class.unwrap_or(sym::EMPTY);
        let serves = |(class, mode, modes, attr): &Pool| {
            *class == spec.class_or_empty()
                && *mode == spec.mode
                && modes.contains(spec.modes)
                && *attr == attributes
        };
        // In the order of numbers, whatever the map's.
        let mut pools: Vec<u8> = self.pools.iter().filter(|(p, _)| serves(p)).map(|(_, i)| *i).collect();
        pools.sort_unstable();
        (pools, self.pools.len())
    }
    /// The largest free volume of a pool on a node.
    #[inline]
    pub fn largest_free(&self, pool: u8, id: NodeId) -> i128 {
        self.largest[usize::from(pool)][id.index()]
    }
    /// The least capacity of any volume that is enough for a request: requests between the same two capacities meet the same volumes.
    pub fn enough(&self, request: i128) -> i128 {
        let place = self.capacities.partition_point(|capacity| *capacity < request);
        self.capacities.get(place).copied().unwrap_or(i128::MAX)
    }
    /// Changes whenever the node does.
    #[inline]
    pub fn version(&self, id: NodeId) -> u32 {
        self.versions[id.index()]
    }

    /// Number of pools known so far.
    pub fn pool_count(&self) -> usize {
        self.pools.len()
    }
    /// Does any node have a PreferNoSchedule taint?
    pub fn has_soft_taints(&self) -> bool {
        self.soft_taints > 0
    }
    /// Does any node have another taint?
    pub fn has_hard_taints(&self) -> bool {
        self.hard_taints > 0
    }
    /// What the arithmetic reads of a node.
    #[inline]
    pub fn facts(&self, id: NodeId) -> &Facts {
        &self.facts[id.index()]
    }
    /// A node's row.
    #[inline]
    pub fn row(&self, id: NodeId) -> &NodeRow {
        &self.rows[id.index()]
    }
    /// Place of a node in the order of names.
    #[inline]
    pub fn rank(&self, id: NodeId) -> NodeId {
        NodeId::at(self.rank[id.index()])
    }
    /// The node at a place in the order of names.
    #[inline]
    pub fn at_rank(&self, rank: NodeId) -> NodeId {
        self.by_rank[rank.index()]
    }
    /// All nodes, existing or not.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// One past the last position of the log.
    pub fn end(&self) -> u64 {
        self.log_start + self.log.len() as u64
    }
    /// Arithmetic is asked about pods with such requests from now on.
    pub fn note_requests(&mut self, requests: [i64; 3]) {
        let most = [0, 1, 2].map(|i| self.most[i].max(requests[i]));
        if most != self.most {
            self.most = most;
            for facts in &mut self.facts {
                facts.roomy &= facts.free.iter().zip(&most).all(|(free, most)| free >= most);
            }
            self.tight_until = self.end();
        }
    }
    /// Since `position`, nothing but the volumes of other pools than these, and the room of other classes, has changed on any node that
    /// makes a difference to who lacks volumes of these pools, or that room, alone.
    pub fn is_quiet(&self, position: u64, pools: &[u8], room: Option<usize>) -> bool {
        self.tight_until <= position
            && room.is_none_or(|room| self.rooms[room].changed_until <= position)
            && pools.iter().all(|pool| self.changed_until[usize::from(*pool)] <= position)
    }
    /// How many capacities were met so far.
    pub fn capacity_count(&self) -> usize {
        self.capacities.len()
    }
    /// At most so many nodes were touched since `position`.
    pub fn touched_since(&self, position: u64) -> usize {
        usize::try_from(self.end() - position).unwrap_or(usize::MAX).min(self.rows.len())
    }
    /// Calls `visit` once for every node touched since `position`.
    #[inline]
    pub fn visit_touched(&self, position: u64, mut visit: impl FnMut(NodeId)) {
        let skip = position.checked_sub(self.log_start).map(|s| s as usize);
        match skip.and_then(|s| self.log.get(s..)).filter(|log| log.len() < self.rows.len()) {
            Some(log) => {
                for (i, &id) in log.iter().enumerate() {
                    if self.stamp[id.index()] == position + i as u64 {
                        visit(id);
                    }
                }
            }
            None => {
                for (i, _) in self.stamp.iter().enumerate().filter(|(_, stamp)| **stamp >= position) {
                    visit(NodeId::new(i));
                }
            }
        }
    }
}

/// As VolumeBinding sees it: `checkVolumeProvisions`.
fn largest_made(cluster: &Cluster, class: Sym, id: NodeId) -> i64 {
    let labels = cluster.node_labels(id);
    let Some(row) = cluster.class(class).filter(|row| topology_allows(&row.allowed_topologies, labels))
    else {
        return NOWHERE;
    };
    if row.provisioner == sym::NO_PROVISIONER || row.provisioner == sym::EMPTY {
        return NOWHERE;
    }
    if !cluster.csi_driver(row.provisioner).is_some_and(|driver| driver.storage_capacity) {
        return i64::MAX;
    }
    cluster.capacities().of_node(class, labels).filter_map(|c| c.limit()).max().unwrap_or(UNKNOWN)
}

fn pool_of(volume: &Volume) -> Pool {
    (volume.class, volume.mode, volume.modes, volume.attributes_class.unwrap_or(sym::EMPTY))
}
