//! Where the bytes of PersistentVolumes are, kept up to date volume by volume.
//!
//! Every volume contributes to exactly one of the kinds that add up to the capacity (requested and over-size share a bound one),
//! and possibly to the "of these" kinds: held by stuck pods, orphaned, unusable. Only volumes about which something changed are
//! looked at again.

use super::causes;
use super::integral::Integral;
use super::replicas::Replicas;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, Id, NodeId, PodId, StatefulSetId, VolumeGroupId, VolumeId};
use crate::model::names::{Sym, sym};
use crate::model::quantity::Quantity;
use crate::model::volume::{AccessModes, Volume, VolumeMode, VolumePhase, VolumeShape};
use crate::results::summary::StorageBytes;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

/// The kind that a volume's capacity belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Bound to a claim.
    Bound,
    /// Released, Failed or being wiped.
    Released,
    /// Available on a Ready node.
    Free,
    /// Available elsewhere.
    #[default]
    Unreachable,
}

/// What one volume contributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Capacity in bytes.
    pub capacity: u128,
    /// Which kind.
    pub kind: Kind,
    /// Of a bound one: what its claim asks for, at most the capacity.
    pub requested: u128,
    /// Bound, and a stuck pod uses the claim.
    pub held_by_stuck: bool,
    /// Bound, and no pod and no living set replica uses the claim.
    pub orphaned: bool,
    /// Free, and no claim of the templates fits.
    pub unusable: bool,
    /// The node that it is on, if it is on exactly one that exists.
    pub node: Option<NodeId>,
}

impl Share {
    /// Capacity, if it is bound.
    pub fn bound_bytes(&self) -> Option<u128> {
        (self.kind == Kind::Bound).then_some(self.capacity)
    }
}

/// The smallest claims that the workload's templates ask for, by class, volume mode and access modes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants(pub Vec<Want>);

/// Claims of one class and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Class.
    pub class: Sym,
    /// Volume mode.
    pub mode: VolumeMode,
    /// Access modes.
    pub modes: AccessModes,
    /// The smallest request.
    pub smallest: Quantity,
}

impl Wants {
    fn fit(&self, volume: &VolumeKind) -> bool {
        self.0.iter().any(|w| {
            w.class == volume.class
                && w.mode == volume.mode
                && volume.modes.contains(w.modes)
                && w.smallest <= volume.capacity
        })
    }
}

/// What claims can tell free volumes apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct VolumeKind {
    class: Sym,
    mode: VolumeMode,
    modes: AccessModes,
    capacity: Quantity,
}

impl VolumeKind {
    fn of(volume: &Volume) -> VolumeKind {
        let VolumeShape { class, mode, modes, capacity, .. } = *volume.shape;
        VolumeKind { class, mode, modes, capacity }
    }
}

/// The kinds that any free volume ever was of, and whether some template's claim fits. Nodes have few kinds of disks, and what templates
/// ask for changes often without making a difference to any.
#[derive(Debug, Default)]
struct VolumeKinds {
    list: Vec<(VolumeKind, bool)>,
    index: FxHashMap<VolumeKind, u32>,
}

impl VolumeKinds {
    /// Does some claim fit?
    fn fit(&mut self, wants: &Wants, volume: &Volume) -> bool {
        let kind = VolumeKind::of(volume);
        let list = &mut self.list;
        let number = *self.index.entry(kind).or_insert_with(|| {
            list.push((kind, wants.fit(&kind)));
            (list.len() - 1) as u32
        });
        self.list[number as usize].1
    }
    /// Other claims are asked for. True if that makes a difference to any kind.
    fn ask_again(&mut self, wants: &Wants) -> bool {
        let mut changed = false;
        for (kind, fits) in &mut self.list {
            let now = wants.fit(kind);
            changed |= std::mem::replace(fits, now) != now;
        }
        changed
    }
}

/// How often and when a volume of this name was bound.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// How often.
    pub bindings: u64,
    /// For the last time.
    pub bound_at: Option<SimTime>,
    /// It is bound now.
    bound: bool,
    /// What it was like when it was last seen.
    pub last: Option<LastSeen>,
}

/// What a volume was like.
#[derive(Clone, Debug)]
pub struct LastSeen {
    /// Class, capacity and the like.
    pub shape: Arc<VolumeShape>,
    /// Node that it was on.
    pub node: Option<NodeId>,
}

impl LastSeen {
    /// Capacity in bytes.
    pub fn capacity(&self) -> u128 {
        whole_bytes(self.shape.capacity)
    }
}

fn whole_bytes(quantity: Quantity) -> u128 {
    u128::try_from(quantity.ceil()).unwrap_or(0)
}

/// Histories by the name of the volume.
#[derive(Debug, Default)]
struct Histories {
    /// In order of appearance.
    rows: Vec<(Sym, History)>,
    index: HashTable<u32>,
}

impl Histories {
    fn get(&self, name: Sym) -> Option<usize> {
        let row = self.index.find(FxBuildHasher.hash_one(name), |row| self.rows[*row as usize].0 == name)?;
        Some(*row as usize)
    }
    fn entry(&mut self, name: Sym) -> &mut History {
        let row = self.get(name).unwrap_or_else(|| {
            self.rows.push((name, History::default()));
            let (rows, row) = (&self.rows, self.rows.len() - 1);
            let hash = |row: &u32| FxBuildHasher.hash_one(rows[*row as usize].0);
            self.index.insert_unique(FxBuildHasher.hash_one(name), row as u32, hash);
            row
        });
        &mut self.rows[row].1
    }
}

/// All volumes.
#[derive(Debug, Default)]
pub struct Storage {
    shares: Vec<Option<Share>>,
    /// The free bytes of volume groups, each as if it were one free volume.
    groups: Vec<Option<Share>>,
    dirty_groups: Vec<VolumeGroupId>,
    /// Nodes whose groups are to be looked at again.
    dirty_nodes: Vec<NodeId>,
    histories: Histories,
    totals: StorageBytes,
    integrals: [Integral; 10],
    dirty: Vec<VolumeId>,
    wants: Wants,
    kinds: VolumeKinds,
    /// Which existing node carries a hostname label.
    hosts: FxHashMap<Sym, NodeId>,
    free_on: Vec<u128>,
}

impl Storage {
    /// Nothing yet; `uncarved_bytes` lie in no volume.
    pub fn new(uncarved_bytes: u128) -> Storage {
        let totals = StorageBytes { uncarved_bytes, ..StorageBytes::default() };
        Storage { totals, ..Storage::default() }
    }
    /// The kinds, right now. Exact after [`Storage::settle`].
    pub fn totals(&self) -> &StorageBytes {
        &self.totals
    }
    /// What a volume contributes.
    pub fn share(&self, volume: VolumeId) -> Option<&Share> {
        self.shares.get(volume.index())?.as_ref()
    }
    /// How often a volume of this name was bound.
    pub fn history(&self, name: Sym) -> Option<&History> {
        self.histories.get(name).map(|row| &self.histories.rows[row].1)
    }
    /// Every name that a volume ever had, with its history, in bytewise order.
    pub fn histories(&self, cluster: &Cluster) -> Vec<(Sym, &History)> {
        let mut list: Vec<(Sym, &History)> = self.histories.rows.iter().map(|(n, h)| (*n, h)).collect();
        list.sort_by(|a, b| cluster.names.compare(a.0, b.0));
        list
    }
    /// Bytes of Available volumes that lie on this node alone.
    pub fn free_on(&self, node: NodeId) -> u128 {
        self.free_on.get(node.index()).copied().unwrap_or_default()
    }
    /// Bytes of bound volumes.
    pub fn bound_bytes(&self) -> u128 {
        self.totals.requested_bytes + self.totals.over_size_bytes
    }
    /// The totals hold for `span`.
    pub fn advance(&mut self, span: SimDuration) {
        for (integral, amount) in self.integrals.iter_mut().zip(amounts(&self.totals)) {
            integral.add(amount, span);
        }
    }
    /// Time-weighted means over `whole`.
    pub fn means(&self, whole: SimDuration) -> StorageBytes {
        let now = amounts(&self.totals);
        let mean = |i: usize| self.integrals[i].mean_rounded(whole, now[i]);
        StorageBytes {
            capacity_bytes: mean(0),
            requested_bytes: mean(1),
            over_size_bytes: mean(2),
            released_bytes: mean(3),
            free_bytes: mean(4),
            unreachable_bytes: mean(5),
            held_by_stuck_bytes: mean(6),
            orphaned_bytes: mean(7),
            unusable_free_bytes: mean(8),
            uncarved_bytes: mean(9),
        }
    }
    /// Time-weighted bound over capacity; `None` without capacity.
    pub fn utilization(&self) -> Option<f64> {
        let bound = self.integrals[1].plus(self.integrals[2]);
        bound.share_of(self.integrals[0])
    }

    /// Something about the volume changed.
    pub fn touch(&mut self, volume: VolumeId) {
        self.dirty.push(volume);
    }
    /// Something about the claim, or who uses it, changed.
    pub fn touch_claim(&mut self, cluster: &Cluster, claim: ClaimId) {
        let row = cluster.claim(claim);
        if let Some(volume) = row.volume_name.and_then(|name| cluster.volume_by_name(name)) {
            self.dirty.push(volume);
        }
    }
    /// A StatefulSet wants other ordinals than before: claims of the others may be orphans now, or no longer.
    pub fn touch_claims_of_set(&mut self, cluster: &Cluster, set: StatefulSetId, ordinals: &[Range<u64>]) {
        let row = &cluster.stateful_sets()[set];
        let count: u64 = ordinals.iter().map(|r| r.end - r.start).sum();
        if count > cluster.claims().len() as u64 {
            cluster.claims().ids().for_each(|claim| self.touch_claim(cluster, claim));
            return;
        }
        let pods = ordinals.iter().cloned().flatten().filter_map(|o| {
            let text = format!("{}-{o}", cluster.names.show(row.name));
            cluster.names.get_name(&text)
        });
        for pod in pods {
            for template in &row.claims {
                let name = cluster.names.get_prefixed_name(template.prefix, pod);
                if let Some(claim) = name.and_then(|n| cluster.claim_by_name(row.namespace, n)) {
                    self.touch_claim(cluster, claim);
                }
            }
        }
    }
    /// A volume is gone.
    pub fn gone(&mut self, volume: VolumeId, name: Sym) {
        if let Some(share) = self.shares.get_mut(volume.index()).and_then(Option::take) {
            self.count(&share, false);
            // It may have been made of a volume group there, which has room again.
            self.dirty_nodes.extend(share.node);
        }
        if let Some(row) = self.histories.get(name) {
            self.histories.rows[row].1.bound = false;
        }
    }
    /// A node came, went, or changed its labels or readiness: volumes on it may have become reachable or not.
    pub fn node_changed(&mut self, cluster: &Cluster, node: NodeId) {
        let row = cluster.node(node);
        if let Some(host) = cluster.node_labels(node).get(sym::HOSTNAME) {
            if row.exists {
                self.hosts.insert(host, node);
            }
            self.dirty.extend_from_slice(cluster.pinned_volumes(host));
        }
        self.dirty_nodes.push(node);
        self.dirty.extend_from_slice(cluster.wide_volumes());
    }
    /// The templates ask for other claims than before.
    pub fn set_wants(&mut self, cluster: &Cluster, wants: Wants) {
        if self.wants != wants {
            self.wants = wants;
            if self.kinds.ask_again(&self.wants) {
                self.dirty.extend(cluster.volumes().ids());
            }
            self.dirty_groups.extend(cluster.volume_groups().ids());
        }
    }

    /// Looks again at the volumes that changed. Nodes whose volumes did are appended to `nodes`.
    pub fn settle(&mut self, at: SimTime, cluster: &Cluster, replicas: &Replicas, nodes: &mut Vec<NodeId>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for &id in &dirty {
            let Some(volume) = cluster.volumes().get(id) else { continue };
            let share = self.assess(cluster, replicas, volume);
            if self.shares.len() <= id.index() {
                self.shares.resize(id.index() + 1, None);
            }
            let old = self.shares[id.index()].replace(share);
            // Other volumes of the node may have changed only by reservation, which no sum shows: filters see it.
            nodes.extend(share.node);
            self.dirty_nodes.extend(share.node);
            let history = self.histories.entry(volume.name);
            let bound = share.kind == Kind::Bound;
            if bound && !std::mem::replace(&mut history.bound, bound) {
                history.bindings += 1;
                history.bound_at = Some(at);
            }
            history.bound = bound;
            match &mut history.last {
                Some(last) if Arc::ptr_eq(&last.shape, &volume.shape) => last.node = share.node,
                last => *last = Some(LastSeen { shape: Arc::clone(&volume.shape), node: share.node }),
            }
            if let Some(old) = old {
                self.count(&old, false);
            }
            self.count(&share, true);
        }
        dirty.clear();
        self.dirty = dirty;
        self.settle_groups(cluster, nodes);
    }
    fn settle_groups(&mut self, cluster: &Cluster, nodes: &mut Vec<NodeId>) {
        let mut dirty = std::mem::take(&mut self.dirty_groups);
        for node in self.dirty_nodes.drain(..) {
            dirty.extend_from_slice(cluster.volume_groups_on(cluster.node(node).name));
        }
        dirty.sort_unstable();
        dirty.dedup();
        for id in dirty.drain(..) {
            let share = self.assess_group(cluster, id);
            if self.groups.len() <= id.index() {
                self.groups.resize(id.index() + 1, None);
            }
            if self.groups[id.index()] == Some(share) {
                continue;
            }
            nodes.extend(share.node);
            if let Some(old) = self.groups[id.index()].replace(share) {
                self.count(&old, false);
            }
            self.count(&share, true);
        }
        self.dirty_groups = dirty;
    }
    /// What a volume group could still give.
    fn assess_group(&self, cluster: &Cluster, id: VolumeGroupId) -> Share {
        let group = &cluster.volume_groups()[id];
        let node = cluster.node_by_name(group.node);
        let up = group.healthy && node.is_some_and(|node| causes::node_is_up(cluster, node));
        let fits = |want: &Want| {
            let bytes = u64::try_from(want.smallest.ceil().max(0)).unwrap_or(u64::MAX);
            group.classes.contains(&want.class) && group.fit(bytes).is_some()
        };
        let mut share = Share { capacity: u128::from(group.free_bytes()), node, ..Share::default() };
        share.kind = if up { Kind::Free } else { Kind::Unreachable };
        share.unusable = up && !self.wants.0.iter().any(fits);
        share
    }

    fn assess(&mut self, cluster: &Cluster, replicas: &Replicas, volume: &Volume) -> Share {
        let capacity = whole_bytes(volume.capacity);
        let node = self.node_of(cluster, volume);
        let mut share = Share { capacity, node, ..Share::default() };
        match volume.phase {
            VolumePhase::Bound => match claim_of(cluster, volume) {
                Some(claim) => {
                    let request = cluster.claim_spec_of(claim).request.ceil();
                    share.kind = Kind::Bound;
                    share.requested = u128::try_from(request).unwrap_or(0).min(capacity);
                    let users = claim_users(cluster, claim);
                    share.held_by_stuck =
                        users.iter().any(|p| replicas.track(*p).is_some_and(|t| t.clock.stuck && t.wanted));
                    share.orphaned = users.is_empty() && !replica_will_use(cluster, claim);
                }
                None => share.kind = Kind::Released,
            },
            VolumePhase::Released | VolumePhase::Failed => share.kind = Kind::Released,
            VolumePhase::Pending | VolumePhase::Available => {
                share.kind = if reachable(cluster, volume, node) { Kind::Free } else { Kind::Unreachable };
                share.unusable = share.kind == Kind::Free && !self.kinds.fit(&self.wants, volume);
            }
        }
        share
    }

    /// The existing node that the volume's affinity names, if it names one by its hostname.
    pub fn node_of(&self, cluster: &Cluster, volume: &Volume) -> Option<NodeId> {
        let host = cluster.pinned_host(volume.node_affinity)?;
        self.hosts.get(&host).copied()
    }

    fn count(&mut self, share: &Share, add: bool) {
        let step = |total: &mut u128, bytes: u128| {
            *total = if add { *total + bytes } else { *total - bytes };
        };
        let t = &mut self.totals;
        step(&mut t.capacity_bytes, share.capacity);
        match share.kind {
            Kind::Bound => {
                step(&mut t.requested_bytes, share.requested);
                step(&mut t.over_size_bytes, share.capacity - share.requested);
            }
            Kind::Released => step(&mut t.released_bytes, share.capacity),
            Kind::Free => step(&mut t.free_bytes, share.capacity),
            Kind::Unreachable => step(&mut t.unreachable_bytes, share.capacity),
        }
        for (part, total) in [
            (share.held_by_stuck, &mut t.held_by_stuck_bytes),
            (share.orphaned, &mut t.orphaned_bytes),
            (share.unusable, &mut t.unusable_free_bytes),
        ] {
            step(total, if part { share.capacity } else { 0 });
        }
        if let Some(node) = share.node.filter(|_| matches!(share.kind, Kind::Free | Kind::Unreachable)) {
            if self.free_on.len() <= node.index() {
                self.free_on.resize(node.index() + 1, 0);
            }
            step(&mut self.free_on[node.index()], share.capacity);
        }
    }
}

/// The claim that a bound volume belongs to.
pub fn claim_of(cluster: &Cluster, volume: &Volume) -> Option<ClaimId> {
    let reference = volume.claim_ref?;
    let id = cluster.claim_by_name(reference.namespace, reference.name)?;
    reference.uid.is_none_or(|uid| uid == cluster.claim(id).uid).then_some(id)
}

/// Pods that use the claim: finished ones use nothing any more.
fn claim_users(cluster: &Cluster, claim: ClaimId) -> Vec<PodId> {
    let row = cluster.claim(claim);
    let users = cluster.claim_users(row.namespace, row.name).iter().copied();
    users.filter(|p| !cluster.pod(*p).is_finished()).collect()
}

/// A wanted replica of a living StatefulSet, though without a pod right now, has this claim.
fn replica_will_use(cluster: &Cluster, claim: ClaimId) -> bool {
    let row = cluster.claim(claim);
    let text = cluster.names.show(row.name).to_string();
    // `<template>-<set>-<ordinal>`, where template and set may contain dashes themselves.
    let Some((rest, ordinal)) = text.rsplit_once('-') else { return false };
    let Ok(ordinal) = ordinal.parse::<u32>() else { return false };
    rest.match_indices('-').any(|(dash, _)| {
        let (template, set) = (&rest[..dash], &rest[dash + 1..]);
        let set = cluster.names.get_name(set).and_then(|n| cluster.stateful_set_by_name(row.namespace, n));
        set.map(|id| &cluster.stateful_sets()[id]).is_some_and(|set| {
            let first = u64::from(set.first_ordinal);
            let wanted = first..first + u64::from(set.replicas);
            !set.deletion
                && wanted.contains(&u64::from(ordinal))
                && set.claims.iter().any(|t| cluster.names.text(t.prefix) == template)
        })
    })
}

fn reachable(cluster: &Cluster, volume: &Volume, node: Option<NodeId>) -> bool {
    let ready = |n: NodeId| causes::node_is_up(cluster, n) && cluster.volume_allows_node(volume, n);
    match node {
        Some(node) => ready(node),
        None => cluster.nodes().ids().any(ready),
    }
}

fn amounts(t: &StorageBytes) -> [u128; 10] {
    [
        t.capacity_bytes,
        t.requested_bytes,
        t.over_size_bytes,
        t.released_bytes,
        t.free_bytes,
        t.unreachable_bytes,
        t.held_by_stuck_bytes,
        t.orphaned_bytes,
        t.unusable_free_bytes,
        t.uncarved_bytes,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::Fixture;
    use crate::model::volume_group::{GroupKind, VolumeGroup};

    /// One group of 100 bytes in extents of 10 on one node. A volume of 30 bytes is made of it for a claim of 25, then goes.
    #[test]
    fn what_is_left_of_a_volume_group_is_free() {
        let mut fixture = Fixture::new();
        let node = fixture.node("n1", &[]);
        let names = ["n1-vg0", "n1", "imm"].map(|text| fixture.sym(text));
        let kind = GroupKind::Lvm { extent_bytes: 10, overcommit_permille: 1000 };
        let group = VolumeGroup::new(names[0], names[1], vec![names[2]], kind, 100);
        let group = fixture.cluster.add_volume_group(group);
        let (mut storage, replicas) = (Storage::new(0), Replicas::new(SimDuration::from_secs(300)));
        let settle = |storage: &mut Storage, cluster: &Cluster| {
            storage.settle(SimTime::ZERO, cluster, &replicas, &mut Vec::new());
            let t = storage.totals();
            [t.capacity_bytes, t.requested_bytes, t.over_size_bytes, t.free_bytes, t.unusable_free_bytes]
        };
        storage.node_changed(&fixture.cluster, node);
        assert_eq!(settle(&mut storage, &fixture.cluster), [100, 0, 0, 100, 100], "no template wants any");
        let smallest = Quantity::from_int(80);
        let want = Want { class: names[2], mode: VolumeMode::Filesystem, modes: AccessModes::RWO, smallest };
        storage.set_wants(&fixture.cluster, Wants(vec![want]));
        assert_eq!(settle(&mut storage, &fixture.cluster), [100, 0, 0, 100, 0]);

        fixture.claim("c1 25 RWO volume=pv1 completed Bound cap=30");
        let volume = fixture.volume("pv1 30 RWO host=n1 ref=c1! Bound");
        let name = fixture.sym("pv1");
        assert!(fixture.cluster.allocate(group, name, 30));
        storage.touch(volume);
        assert_eq!(settle(&mut storage, &fixture.cluster), [100, 25, 5, 70, 70], "80 bytes fit no longer");
        assert_eq!(storage.free_on(node), 70);

        fixture.cluster.remove_volume(volume);
        fixture.cluster.release(group, name);
        storage.gone(volume, name);
        assert_eq!(settle(&mut storage, &fixture.cluster), [100, 0, 0, 100, 0]);
        fixture.cluster.set_node_ready(node, false);
        storage.node_changed(&fixture.cluster, node);
        let unreachable = settle(&mut storage, &fixture.cluster);
        assert_eq!((unreachable[3], storage.totals().unreachable_bytes), (0, 100));
    }
}
