//! The static provisioner of local disks: every disk (or part of one) that it manages is offered as a volume; a Released or Failed
//! volume of policy Delete is wiped, deleted and offered again under its name as a new volume.
//!
//! It runs on the volume's node: nothing is wiped or offered while that node is not Ready. How long wiping takes is capacity
//! over rate; what wiping has begun is begun anew after the node was away.

use crate::engine::time::{NANOS_PER_SECOND, SimDuration, SimTime};
use crate::model::cluster::{Change, Cluster};
use crate::model::ids::{NodeId, NodeSelectorId, Uid, VolumeId};
use crate::model::names::{Sym, sym};
use crate::model::volume::{ReclaimPolicy, Volume, VolumePhase};
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::collections::BTreeSet;
use std::hash::BuildHasher;

/// A write that is due.
#[derive(Clone, Debug)]
pub enum LocalWrite {
    /// Deletes a wiped volume. It goes when the protection controller has removed its finalizer.
    Delete {
        /// The volume.
        volume: VolumeId,
        /// Its uid.
        uid: Uid,
    },
    /// Offers a disk as a new volume; its uid is still to be given.
    Create(Box<Volume>),
}

/// How long wiping takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wipe {
    /// Capacity over rate, above 0.
    BytesPerSecond(u64),
    /// Always as long.
    Time(SimDuration),
}

/// What many disks have in common: the volume as it is created, without name, place, uid and time.
#[derive(Clone, Debug)]
struct Shape {
    volume: Volume,
    wipe: Wipe,
}

/// A managed disk.
#[derive(Clone, Debug)]
struct Disk {
    volume: Sym,
    node_affinity: Option<NodeSelectorId>,
    node: Sym,
    /// Index into the shapes.
    shape: u32,
    /// The next disk of the node, or `NIL`.
    next: u32,
    present: bool,
    /// Ends of wiping.
    wiping: Option<SimTime>,
}

/// No disk.
const NIL: u32 = u32::MAX;

fn hash(volume: Sym) -> u64 {
    FxBuildHasher.hash_one(volume)
}

/// Shapes that are looked at for one that a new disk shares: disks of one kind come one after the other.
const LATEST_SHAPES: usize = 32;

/// The static provisioners of all nodes.
#[derive(Clone, Debug, Default)]
pub struct LocalProvisioner {
    shapes: Vec<Shape>,
    disks: Vec<Disk>,
    /// Disks by the name of their volume.
    by_volume: HashTable<u32>,
    /// The first and the last disk of each node.
    by_node: FxHashMap<Sym, (u32, u32)>,
    /// When something is due, and about which disk.
    timers: BTreeSet<(SimTime, Sym)>,
    /// Disks whose volume is to be wiped, or is not there: nothing is ever to be done about the others.
    open: BTreeSet<u32>,
}

impl LocalProvisioner {
    /// Makes room for so many more disks.
    pub fn reserve(&mut self, disks: usize) {
        self.disks.reserve_exact(disks);
        let known = &self.disks;
        self.by_volume.reserve(disks, |disk| hash(known[*disk as usize].volume));
    }
    /// Manages the disk behind a volume.
    pub fn manage(&mut self, cluster: &Cluster, volume: VolumeId, node: NodeId, wipe: Wipe) {
        let (row, node) = (cluster.volume(volume), cluster.node(node).name);
        let (name, node_affinity, dirty) = (row.name, row.node_affinity, is_dirty(row));
        let volume = Volume {
            name: sym::EMPTY,
            uid: Uid::NOTHING,
            node_affinity: None,
            created: SimTime::ZERO,
            claim_ref: None,
            bound_by_controller: false,
            phase: VolumePhase::Pending,
            deletion: None,
            assumed_for: None,
            ..row.clone()
        };
        let shape = self.shape(Shape { volume, wipe });
        let disk = Disk { volume: name, node_affinity, node, shape, next: NIL, present: true, wiping: None };
        let index = self.index(name);
        if dirty {
            self.open.insert(index.unwrap_or(self.disks.len()) as u32);
        }
        match index {
            Some(known) => {
                let next = self.disks[known].next;
                self.disks[known] = Disk { next, ..disk };
            }
            None => {
                let index = self.disks.len() as u32;
                self.disks.push(disk);
                let disks = &mut self.disks;
                self.by_volume.insert_unique(hash(name), index, |disk| hash(disks[*disk as usize].volume));
                let append = |(_, last): &mut (u32, u32)| {
                    disks[*last as usize].next = index;
                    *last = index;
                };
                self.by_node.entry(node).and_modify(append).or_insert((index, index));
            }
        }
    }
    fn index(&self, volume: Sym) -> Option<usize> {
        let is = |disk: &u32| self.disks[*disk as usize].volume == volume;
        self.by_volume.find(hash(volume), is).map(|disk| *disk as usize)
    }
    fn shape(&mut self, shape: Shape) -> u32 {
        let from = self.shapes.len().saturating_sub(LATEST_SHAPES);
        let same = |s: &Shape| s.wipe == shape.wipe && s.volume == shape.volume;
        let index = match self.shapes[from..].iter().position(same) {
            Some(known) => from + known,
            None => {
                self.shapes.push(shape);
                self.shapes.len() - 1
            }
        };
        index as u32
    }
    fn disk(&self, volume: Sym) -> Option<&Disk> {
        self.index(volume).map(|index| &self.disks[index])
    }
    /// Is the disk of this volume managed?
    pub fn manages(&self, volume: Sym) -> bool {
        self.index(volume).is_some()
    }
    /// Is this volume being wiped?
    pub fn is_wiping(&self, volume: Sym) -> bool {
        self.disk(volume).is_some_and(|disk| disk.wiping.is_some())
    }
    /// The disk has failed, or has been repaired (it is offered again if its volume is gone).
    pub fn set_present(&mut self, cluster: &Cluster, volume: Sym, present: bool, now: SimTime) {
        if let Some(index) = self.index(volume) {
            self.disks[index].present = present;
            self.look(cluster, volume, now);
        }
    }
    /// Takes note of a change; to be called once for each, in order.
    pub fn note(&mut self, cluster: &Cluster, change: &Change, now: SimTime) {
        match *change {
            Change::VolumeAdded(id) | Change::VolumeUpdated(id) if !self.disks.is_empty() => {
                let Some(volume) = cluster.volumes().get(id) else { return };
                let dirty = is_dirty(volume);
                if dirty || !self.open.is_empty() {
                    self.volume_changed(cluster, volume.name, dirty, now);
                }
            }
            Change::VolumeRemoved { name, .. } => self.volume_changed(cluster, name, true, now),
            Change::NodeAdded(id) | Change::NodeUpdated(id, _) | Change::NodeRemoved(id)
                if !self.open.is_empty() =>
            {
                let mut disk = self.by_node.get(&cluster.node(id).name).map_or(NIL, |(first, _)| *first);
                while disk != NIL {
                    let Disk { volume, next, .. } = self.disks[disk as usize];
                    if self.open.contains(&disk) {
                        self.look(cluster, volume, now);
                    }
                    disk = next;
                }
            }
            _ => {}
        }
    }
    /// Nothing is to be done, now or later.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.timers.is_empty()
    }
    /// When it wants to act next.
    pub fn next_at(&self) -> Option<SimTime> {
        self.timers.first().map(|(at, _)| *at)
    }
    /// The next write that is due by `now`.
    pub fn due(&mut self, cluster: &Cluster, now: SimTime) -> Option<LocalWrite> {
        while let Some(&(at, name)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, name));
            let Some(index) = self.index(name) else { continue };
            let disk = &mut self.disks[index];
            disk.wiping = None;
            if !disk.present || !node_ready(cluster, disk.node) {
                continue;
            }
            match cluster.volume_by_name(name) {
                None => {
                    let shape = &self.shapes[disk.shape as usize];
                    let node_affinity = disk.node_affinity;
                    let volume = Volume { name, node_affinity, ..shape.volume.clone() };
                    return Some(LocalWrite::Create(Box::new(volume)));
                }
                Some(id) => {
                    let volume = cluster.volume(id);
                    if is_dirty(volume) {
                        return Some(LocalWrite::Delete { volume: id, uid: volume.uid });
                    }
                }
            }
        }
        None
    }

    /// The volume of a disk is to be wiped or gone (`open`), or it is neither.
    fn volume_changed(&mut self, cluster: &Cluster, name: Sym, open: bool, now: SimTime) {
        let Some(index) = self.index(name) else { return };
        let index = index as u32;
        if open {
            self.open.insert(index);
        } else if !self.open.remove(&index) {
            return;
        }
        self.look(cluster, name, now);
    }

    /// Begins or stops wiping, or plans to offer the disk, as the volume's state asks for.
    fn look(&mut self, cluster: &Cluster, name: Sym, now: SimTime) {
        let Some(index) = self.index(name) else { return };
        let disk = &mut self.disks[index];
        let wipe = self.shapes[disk.shape as usize].wipe;
        let able = disk.present && node_ready(cluster, disk.node);
        match cluster.volume_by_name(name).map(|id| cluster.volume(id)) {
            None if able => {
                disk.wiping = None;
                self.timers.insert((now, name));
            }
            Some(volume) if able && is_dirty(volume) => {
                if disk.wiping.is_none() {
                    let end = now + wipe_time(volume, wipe);
                    disk.wiping = Some(end);
                    self.timers.insert((end, name));
                }
            }
            _ => {
                if let Some(end) = disk.wiping.take() {
                    self.timers.remove(&(end, name));
                }
            }
        }
    }
}

/// Makes a write.
pub fn apply(cluster: &mut Cluster, write: LocalWrite, now: SimTime) {
    match write {
        LocalWrite::Delete { volume, uid } => {
            if cluster.volumes().get(volume).is_some_and(|v| v.uid == uid) {
                crate::control::api::delete_volume(cluster, volume);
            }
        }
        LocalWrite::Create(mut volume) => {
            volume.uid = cluster.new_uid();
            volume.created = now;
            // Somebody else may have taken the name: then the disk stays as it is.
            let _ = cluster.add_volume(*volume);
        }
    }
}

fn node_ready(cluster: &Cluster, node: Sym) -> bool {
    cluster.node_by_name(node).is_some_and(|id| cluster.node(id).ready)
}

fn is_dirty(volume: &Volume) -> bool {
    volume.reclaim == ReclaimPolicy::Delete
        && volume.deletion.is_none()
        && matches!(volume.phase, VolumePhase::Released | VolumePhase::Failed)
}

/// Capacity over rate, rounded up to nanoseconds.
fn wipe_time(volume: &Volume, wipe: Wipe) -> SimDuration {
    let bytes_per_second = match wipe {
        Wipe::Time(time) => return time,
        Wipe::BytesPerSecond(rate) => rate.max(1),
    };
    let bytes = volume.capacity.ceil().max(0) as u128;
    let nanos = bytes.saturating_mul(u128::from(NANOS_PER_SECOND)).div_ceil(u128::from(bytes_per_second));
    SimDuration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
