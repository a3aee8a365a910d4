//! The static provisioner of local disks: every disk (or part of one) that it manages is offered as a volume; a Released or Failed
//! volume of policy Delete is wiped, deleted and offered again under its name as a new volume.
//!
//! It runs on the volume's node: nothing is wiped or offered while that node is not Ready. How long wiping takes is capacity
//! over rate; what wiping has begun is begun anew after the node was away.

use crate::engine::time::{NANOS_PER_SECOND, SimDuration, SimTime};
use crate::model::cluster::{Change, Cluster};
use crate::model::ids::{NodeId, Uid, VolumeId};
use crate::model::names::Sym;
use crate::model::volume::{ReclaimPolicy, Volume, VolumePhase};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

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

/// A managed disk.
#[derive(Clone, Debug)]
struct Disk {
    /// The volume as it is created, without uid and time.
    template: Volume,
    node: Sym,
    wipe: Wipe,
    present: bool,
    /// Ends of wiping.
    wiping: Option<SimTime>,
}

/// The static provisioners of all nodes.
#[derive(Clone, Debug, Default)]
pub struct LocalProvisioner {
    disks: FxHashMap<Sym, Disk>,
    by_node: FxHashMap<Sym, Vec<Sym>>,
    /// When something is due, and about which disk.
    timers: BTreeSet<(SimTime, Sym)>,
}

impl LocalProvisioner {
    /// Manages the disk behind a volume.
    pub fn manage(&mut self, cluster: &Cluster, volume: VolumeId, node: NodeId, wipe: Wipe) {
        let (row, node) = (cluster.volume(volume), cluster.node(node).name);
        let template = Volume {
            claim_ref: None,
            bound_by_controller: false,
            phase: VolumePhase::Pending,
            deletion: None,
            assumed_for: None,
            ..row.clone()
        };
        let disk = Disk { template, node, wipe, present: true, wiping: None };
        if self.disks.insert(row.name, disk).is_none() {
            self.by_node.entry(node).or_default().push(row.name);
        }
    }
    /// Is the disk of this volume managed?
    pub fn manages(&self, volume: Sym) -> bool {
        self.disks.contains_key(&volume)
    }
    /// Is this volume being wiped?
    pub fn is_wiping(&self, volume: Sym) -> bool {
        self.disks.get(&volume).is_some_and(|disk| disk.wiping.is_some())
    }
    /// The disk has failed, or has been repaired (it is offered again if its volume is gone).
    pub fn set_present(&mut self, cluster: &Cluster, volume: Sym, present: bool, now: SimTime) {
        if let Some(disk) = self.disks.get_mut(&volume) {
            disk.present = present;
            self.look(cluster, volume, now);
        }
    }
    /// Takes note of a change; to be called once for each, in order.
    pub fn note(&mut self, cluster: &Cluster, change: &Change, now: SimTime) {
        match *change {
            Change::VolumeAdded(id) | Change::VolumeUpdated(id) => {
                if let Some(volume) = cluster.volumes().get(id) {
                    self.look(cluster, volume.name, now);
                }
            }
            Change::VolumeRemoved { name, .. } => self.look(cluster, name, now),
            Change::NodeAdded(id) | Change::NodeUpdated(id, _) | Change::NodeRemoved(id) => {
                let volumes = self.by_node.get(&cluster.node(id).name).cloned().unwrap_or_default();
                for volume in volumes {
                    self.look(cluster, volume, now);
                }
            }
            _ => {}
        }
    }
    /// When it wants to act next.
    pub fn next_at(&self) -> Option<SimTime> {
        self.timers.first().map(|(at, _)| *at)
    }
    /// The next write that is due by `now`.
    pub fn due(&mut self, cluster: &Cluster, now: SimTime) -> Option<LocalWrite> {
        while let Some(&(at, name)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, name));
            let Some(disk) = self.disks.get_mut(&name) else { continue };
            disk.wiping = None;
            if !disk.present || !node_ready(cluster, disk.node) {
                continue;
            }
            match cluster.volume_by_name(name) {
                None => return Some(LocalWrite::Create(Box::new(disk.template.clone()))),
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

    /// Begins or stops wiping, or plans to offer the disk, as the volume's state asks for.
    fn look(&mut self, cluster: &Cluster, name: Sym, now: SimTime) {
        let Some(disk) = self.disks.get_mut(&name) else { return };
        let able = disk.present && node_ready(cluster, disk.node);
        match cluster.volume_by_name(name).map(|id| cluster.volume(id)) {
            None if able => {
                disk.wiping = None;
                self.timers.insert((now, name));
            }
            Some(volume) if able && is_dirty(volume) => {
                if disk.wiping.is_none() {
                    let end = now + wipe_time(volume, disk.wipe);
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
                crate::control::api::delete_volume(cluster, volume, now);
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
