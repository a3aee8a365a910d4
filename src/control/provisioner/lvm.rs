//! Dynamic local volumes: the CSI driver of LVM volume groups and whole devices (TopoLVM, open-local and the like).
//!
//! A claim gets a volume in a group of its node that serves its class; the published CSIStorageCapacity objects follow after a
//! lag, so a burst of pods may send more claims to a node than fit. The provisioner then fails and removes `selected-node`, and the
//! scheduler looks for another node. Claims are expanded while their group has room.

use super::csi;
use crate::control::timing::{CsiTimers, Timing};
use crate::engine::time::SimTime;
use crate::model::cluster::{Change, Cluster};
use crate::model::ids::{ClaimId, NodeId, Uid, VolumeGroupId, VolumeId};
use crate::model::labels::{LabelOperator, LabelRequirement, LabelSelector};
use crate::model::names::{Sym, sym};
use crate::model::node::CsiNodeDriver;
use crate::model::quantity::Quantity;
use crate::model::volume::*;
use crate::model::volume_group::GroupKind;
use crate::observe::Subject;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be done, and to which incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Work {
    Provision(ClaimId, Uid),
    Resize(ClaimId, Uid),
    Delete(VolumeId, Uid),
    Release(Sym),
    Publish,
}

/// A step of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LvmWrite {
    /// Makes a volume.
    Create {
        /// For this claim.
        claim: ClaimId,
        /// On this node.
        node: NodeId,
        /// Out of this group.
        group: VolumeGroupId,
        /// So large.
        bytes: u64,
    },
    /// There is no room: the claim's `selected-node` is removed, or it waits if it had none.
    NoRoom {
        /// The claim.
        claim: ClaimId,
        /// The most that the node could have given.
        largest_free_bytes: u64,
    },
    /// Deletes a volume.
    Delete {
        /// The volume.
        volume: VolumeId,
    },
    /// A deleted volume is gone: its bytes are free.
    Release {
        /// Its former name.
        volume: Sym,
    },
    /// Grows a claim's volume.
    Resize {
        /// The claim.
        claim: ClaimId,
        /// Its volume.
        volume: VolumeId,
        /// Bytes to add, if there is room.
        more_bytes: Option<u64>,
    },
    /// Publishes the capacity of a node for a class.
    Publish {
        /// The node.
        node: Sym,
        /// The class.
        class: Sym,
    },
}

/// A Kubernetes event of the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LvmEvent {
    /// What it is about.
    pub about: Subject,
    /// Its reason.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
}

/// The driver: its controller and the parts on all nodes.
#[derive(Clone, Debug)]
pub struct LvmProvisioner {
    timing: CsiTimers,
    classes: BTreeSet<Sym>,
    work: BTreeMap<(SimTime, u64), Work>,
    queued: FxHashSet<Work>,
    sequence: u64,
    /// Capacities that changed since they were published.
    stale: BTreeSet<(Sym, Sym)>,
    /// Work that found no room, or its node away.
    waiting: BTreeSet<Work>,
    /// Which group a volume is of.
    placed: FxHashMap<Sym, VolumeGroupId>,
    /// Volumes that the driver has deleted and whose objects are not gone yet.
    deleting: FxHashSet<Sym>,
}

impl Default for LvmProvisioner {
    /// Without groups and without latency.
    fn default() -> Self {
        LvmProvisioner {
            timing: Timing::IDEAL.csi,
            classes: BTreeSet::new(),
            work: BTreeMap::new(),
            queued: FxHashSet::default(),
            sequence: 0,
            stale: BTreeSet::new(),
            waiting: BTreeSet::new(),
            placed: FxHashMap::default(),
            deleting: FxHashSet::default(),
        }
    }
}

impl LvmProvisioner {
    /// Starts the driver on all nodes that have volume groups: registers it there and publishes the capacities.
    pub fn start(cluster: &mut Cluster, timing: CsiTimers) -> LvmProvisioner {
        let mut driver = LvmProvisioner { timing, ..LvmProvisioner::default() };
        let mut pairs = BTreeSet::new();
        for (id, group) in cluster.volume_groups().iter() {
            pairs.extend(group.classes.iter().map(|class| (group.node, *class)));
            driver.placed.extend(group.allocations().map(|(volume, _)| (volume, id)));
        }
        for (node, class) in pairs {
            driver.classes.insert(class);
            register(cluster, node, class);
            publish(cluster, node, class);
        }
        let claims: Vec<ClaimId> = cluster.claims().ids().collect();
        for claim in claims {
            driver.look_at_claim(cluster, claim, SimTime::ZERO);
        }
        driver
    }
    /// A node came during the run: the driver starts on it if it has volume groups.
    pub fn node_added(&mut self, cluster: &mut Cluster, node: Sym, now: SimTime) {
        let groups = cluster.volume_groups_on(node).to_vec();
        let classes: BTreeSet<Sym> =
            groups.iter().flat_map(|id| cluster.volume_groups()[*id].classes.clone()).collect();
        for class in classes {
            let first = self.classes.insert(class);
            register(cluster, node, class);
            publish(cluster, node, class);
            let claims: Vec<ClaimId> = if first { cluster.claims().ids().collect() } else { Vec::new() };
            for claim in claims {
                self.look_at_claim(cluster, claim, now);
            }
        }
        if !groups.is_empty() {
            self.wake(now);
        }
    }
    /// No volume groups: nothing will ever happen.
    pub fn is_idle(&self) -> bool {
        self.classes.is_empty()
    }
    /// The group that a volume was made of.
    pub fn group_of(&self, volume: Sym) -> Option<VolumeGroupId> {
        self.placed.get(&volume).copied()
    }
    /// A disk failed or was repaired.
    pub fn group_changed(&mut self, cluster: &Cluster, group: VolumeGroupId, now: SimTime) {
        self.mark_stale(cluster, group, now);
        self.wake(now);
    }
    /// Takes note of a change; to be called once for each, in order.
    pub fn note(&mut self, cluster: &Cluster, change: &Change, now: SimTime) {
        if self.is_idle() {
            return;
        }
        match *change {
            Change::ClaimAdded(id) | Change::ClaimUpdated(id) => self.look_at_claim(cluster, id, now),
            Change::VolumeAdded(id) | Change::VolumeUpdated(id) => {
                let Some(volume) = cluster.volumes().get(id) else { return };
                let ours = self.placed.contains_key(&volume.name);
                if ours && is_to_be_deleted(volume) {
                    self.queue(Work::Delete(id, volume.uid), now + self.timing.delete);
                }
            }
            // One that somebody else removed leaves its bytes behind.
            Change::VolumeRemoved { name, .. } if self.deleting.remove(&name) => {
                self.queue(Work::Release(name), now);
            }
            Change::NodeAdded(_) | Change::NodeUpdated(..) => self.wake(now),
            _ => {}
        }
    }
    /// Nothing is to be done, now or later.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.work.is_empty() && self.stale.is_empty()
    }
    /// When the driver wants to act next.
    pub fn next_at(&self) -> Option<SimTime> {
        self.work.keys().next().map(|(at, _)| *at)
    }
    /// The next step that is due by `now`.
    pub fn due(&mut self, cluster: &Cluster, now: SimTime) -> Option<LvmWrite> {
        loop {
            if let (Some(&(node, class)), true) = (self.stale.first(), self.publishing(now)) {
                self.stale.remove(&(node, class));
                return Some(LvmWrite::Publish { node, class });
            }
            let (&key, &work) = self.work.iter().next().filter(|((at, _), _)| *at <= now)?;
            self.work.remove(&key);
            self.queued.remove(&work);
            let write = match work {
                Work::Publish => None,
                Work::Provision(claim, uid) => self.provision(cluster, claim, uid),
                Work::Resize(claim, uid) => self.resize(cluster, claim, uid),
                Work::Delete(volume, uid) => self.delete(cluster, volume, uid),
                Work::Release(volume) => Some(LvmWrite::Release { volume }),
            };
            if write.is_some() {
                return write;
            }
        }
    }
    /// Is the pending publication due?
    fn publishing(&self, now: SimTime) -> bool {
        let pending = self.work.iter().find(|(_, work)| **work == Work::Publish);
        pending.is_none_or(|((at, _), _)| *at <= now)
    }

    /// Makes a step.
    pub fn apply(&mut self, cluster: &mut Cluster, write: LvmWrite, now: SimTime) -> Option<LvmEvent> {
        match write {
            LvmWrite::Create { claim, node, group, bytes } => {
                self.create(cluster, claim, node, group, bytes, now)
            }
            LvmWrite::NoRoom { claim, largest_free_bytes } => {
                self.no_room(cluster, claim, largest_free_bytes)
            }
            LvmWrite::Delete { volume } => {
                self.deleting.insert(cluster.volumes().get(volume)?.name);
                crate::control::api::delete_volume(cluster, volume);
                None
            }
            LvmWrite::Release { volume } => {
                let group = self.placed.remove(&volume)?;
                cluster.release(group, volume);
                self.mark_stale(cluster, group, now);
                self.wake(now);
                None
            }
            LvmWrite::Resize { claim, volume, more_bytes } => {
                self.grow(cluster, claim, volume, more_bytes, now)
            }
            LvmWrite::Publish { node, class } => {
                publish(cluster, node, class);
                None
            }
        }
    }

    fn queue(&mut self, work: Work, at: SimTime) {
        self.waiting.remove(&work);
        if self.queued.insert(work) {
            self.sequence += 1;
            self.work.insert((at, self.sequence), work);
        }
    }
    /// Tries again what waits.
    fn wake(&mut self, now: SimTime) {
        for work in std::mem::take(&mut self.waiting) {
            self.queue(work, now);
        }
    }
    fn mark_stale(&mut self, cluster: &Cluster, group: VolumeGroupId, now: SimTime) {
        let group = &cluster.volume_groups()[group];
        self.stale.extend(group.classes.iter().map(|class| (group.node, *class)));
        self.queue(Work::Publish, now + self.timing.publish);
    }

    fn look_at_claim(&mut self, cluster: &Cluster, id: ClaimId, now: SimTime) {
        let Some(claim) = cluster.claims().get(id) else { return };
        let class = cluster.claim_spec(claim.spec).class_or_empty();
        if !self.classes.contains(&class) {
            return;
        }
        let Some(class) = cluster.class(class) else { return };
        let asked = claim.storage_provisioner == Some(class.provisioner);
        let node_known = class.binding_mode == BindingMode::Immediate || claim.selected_node.is_some();
        if claim.volume_name.is_none() && !claim.bind_completed && asked && node_known {
            let work = Work::Provision(id, claim.uid);
            if !self.waiting.contains(&work) {
                self.queue(work, now + self.timing.provision);
            }
        } else if class.allow_expansion && wants_more(cluster, claim) {
            let work = Work::Resize(id, claim.uid);
            if !self.waiting.contains(&work) {
                self.queue(work, now + self.timing.provision);
            }
        }
    }

    fn provision(&mut self, cluster: &Cluster, id: ClaimId, uid: Uid) -> Option<LvmWrite> {
        let claim = cluster.claims().get(id).filter(|c| c.uid == uid && c.deletion.is_none())?;
        if claim.volume_name.is_some() {
            return None;
        }
        let spec = cluster.claim_spec(claim.spec);
        let (class, bytes) = (spec.class_or_empty(), bytes_of(spec.request));
        let waits = cluster.class(class)?.binding_mode == BindingMode::WaitForFirstConsumer;
        let node = match claim.selected_node {
            Some(name) => cluster.node_by_name(name),
            None if waits => return None,
            None => self.emptiest_node(cluster, class, bytes),
        };
        let Some(node) = node else {
            self.waiting.insert(Work::Provision(id, uid));
            return (!waits).then_some(LvmWrite::NoRoom { claim: id, largest_free_bytes: 0 });
        };
        if !cluster.node(node).ready {
            self.waiting.insert(Work::Provision(id, uid));
            return None;
        }
        match self.choose(cluster, node, class, bytes) {
            Some((group, bytes)) => Some(LvmWrite::Create { claim: id, node, group, bytes }),
            None => {
                let largest_free_bytes = free(cluster, cluster.node(node).name, class).1;
                Some(LvmWrite::NoRoom { claim: id, largest_free_bytes })
            }
        }
    }
    /// For a claim without selected node: the Ready node with most free bytes that has room, the first by name among equals.
    fn emptiest_node(&self, cluster: &Cluster, class: Sym, bytes: u64) -> Option<NodeId> {
        let nodes = cluster.nodes().iter().filter(|(_, node)| node.exists && node.ready);
        let able = nodes.filter(|(id, _)| self.choose(cluster, *id, class, bytes).is_some());
        let best = able.min_by(|(_, a), (_, b)| {
            let most_free = free(cluster, b.name, class).0.cmp(&free(cluster, a.name, class).0);
            most_free.then_with(|| cluster.names.compare(a.name, b.name))
        });
        best.map(|(id, _)| id)
    }
    /// A group of the node with room, and the bytes that the volume would take: of devices the smallest.
    fn choose(
        &self,
        cluster: &Cluster,
        node: NodeId,
        class: Sym,
        bytes: u64,
    ) -> Option<(VolumeGroupId, u64)> {
        let groups = cluster.volume_groups_on(cluster.node(node).name).iter().copied();
        let able = groups.filter_map(|id| {
            let group = &cluster.volume_groups()[id];
            group.classes.contains(&class).then(|| group.fit(bytes))?.map(|taken| (id, taken))
        });
        able.min_by_key(|(id, taken)| {
            let group = &cluster.volume_groups()[*id];
            let free = group.free_bytes();
            match (group.kind, self.timing.spread) {
                (GroupKind::Lvm { .. }, true) => (*taken, u64::MAX - free),
                _ => (*taken, free),
            }
        })
    }
    fn create(
        &mut self,
        cluster: &mut Cluster,
        claim: ClaimId,
        node: NodeId,
        group: VolumeGroupId,
        bytes: u64,
        now: SimTime,
    ) -> Option<LvmEvent> {
        let uid = cluster.claims().get(claim)?.uid;
        let name = csi::volume_name(&mut cluster.names, uid);
        if !cluster.allocate(group, name, bytes) {
            return None;
        }
        let capacity = Quantity::from_bytes(u128::from(bytes));
        if csi::create_volume(cluster, claim, node, capacity, now).is_none() {
            cluster.release(group, name);
            return None;
        }
        self.placed.insert(name, group);
        self.mark_stale(cluster, group, now);
        let message = format!("Successfully provisioned volume {}", cluster.names.text(name));
        Some(LvmEvent { about: Subject::Claim(claim), reason: "ProvisioningSucceeded", message })
    }
    fn no_room(&mut self, cluster: &mut Cluster, id: ClaimId, largest: u64) -> Option<LvmEvent> {
        let claim = cluster.claims().get(id)?;
        let spec = cluster.claim_spec(claim.spec);
        let class = cluster.names.text(spec.class_or_empty());
        let message = format!(
            "failed to provision volume with StorageClass \"{class}\": rpc error: code = ResourceExhausted desc = no enough space \
             left on VG: free={largest}, requested={}",
            spec.request.ceil()
        );
        if claim.selected_node.is_some() {
            // Back to the scheduler, which then may choose another node.
            cluster.update_claim(id, |c| c.selected_node = None);
        } else {
            self.waiting.insert(Work::Provision(id, claim.uid));
        }
        Some(LvmEvent { about: Subject::Claim(id), reason: "ProvisioningFailed", message })
    }

    fn delete(&mut self, cluster: &Cluster, id: VolumeId, uid: Uid) -> Option<LvmWrite> {
        let volume = cluster.volumes().get(id).filter(|v| v.uid == uid && is_to_be_deleted(v))?;
        let group = self.placed.get(&volume.name)?;
        let node = cluster.node_by_name(cluster.volume_groups()[*group].node);
        if node.is_none_or(|node| !cluster.node(node).ready) {
            self.waiting.insert(Work::Delete(id, uid));
            return None;
        }
        Some(LvmWrite::Delete { volume: id })
    }

    fn resize(&mut self, cluster: &Cluster, id: ClaimId, uid: Uid) -> Option<LvmWrite> {
        let claim = cluster.claims().get(id).filter(|c| c.uid == uid && wants_more(cluster, c))?;
        let volume = claim.volume_name.and_then(|name| cluster.volume_by_name(name))?;
        let group = &cluster.volume_groups()[*self.placed.get(&cluster.volume(volume).name)?];
        let has = bytes_of(cluster.volume(volume).capacity);
        let wants = bytes_of(cluster.claim_spec(claim.spec).request);
        let more_bytes = match group.kind {
            GroupKind::Lvm { .. } => group.fit(wants.saturating_sub(has)),
            GroupKind::Device => None,
        };
        Some(LvmWrite::Resize { claim: id, volume, more_bytes })
    }
    fn grow(
        &mut self,
        cluster: &mut Cluster,
        claim: ClaimId,
        volume: VolumeId,
        more_bytes: Option<u64>,
        now: SimTime,
    ) -> Option<LvmEvent> {
        let (uid, row) = (cluster.claims().get(claim)?.uid, cluster.volumes().get(volume)?);
        let (name, has) = (row.name, row.capacity);
        let group = self.group_of(name)?;
        let about = Subject::Claim(claim);
        let grown = more_bytes.filter(|more| cluster.allocate(group, name, *more));
        let Some(more) = grown else {
            self.waiting.insert(Work::Resize(claim, uid));
            let text = cluster.names.text(name);
            let message = format!(
                "resize volume \"{text}\" by resizer \"{}\" failed: rpc error: code = ResourceExhausted desc = no enough space left on VG",
                cluster.volume(volume).provisioned_by.map_or("", |by| cluster.names.text(by))
            );
            return Some(LvmEvent { about, reason: "VolumeResizeFailed", message });
        };
        let capacity = has.saturating_add(Quantity::from_bytes(u128::from(more)));
        cluster.update_volume(volume, |v| v.capacity = capacity);
        let capacity = cluster.intern_quantity(capacity);
        cluster.update_claim(claim, |c| c.capacity = Some(capacity));
        self.mark_stale(cluster, group, now);
        Some(LvmEvent {
            about,
            reason: "VolumeResizeSuccessful",
            message: "Resize volume succeeded".to_owned(),
        })
    }
}

/// Whole bytes, rounded up; what is beyond `u64` fits nowhere.
fn bytes_of(quantity: Quantity) -> u64 {
    u64::try_from(quantity.ceil().max(0)).unwrap_or(u64::MAX)
}

fn is_to_be_deleted(volume: &Volume) -> bool {
    volume.phase == VolumePhase::Released
        && volume.reclaim == ReclaimPolicy::Delete
        && volume.deletion.is_none()
}

/// The bound claim asks for more than its volume has.
fn wants_more(cluster: &Cluster, claim: &Claim) -> bool {
    claim.phase == ClaimPhase::Bound
        && claim.capacity.is_some_and(|c| cluster.claim_spec(claim.spec).request > cluster.quantity(c))
}

/// Free bytes of a node for a class: in all groups, and in the one that could take the largest volume.
fn free(cluster: &Cluster, node: Sym, class: Sym) -> (u64, u64) {
    let groups = cluster.volume_groups_on(node).iter().map(|id| &cluster.volume_groups()[*id]);
    let free = groups.filter(|g| g.healthy && g.classes.contains(&class)).map(|g| g.free_bytes());
    free.fold((0, 0), |(sum, largest), bytes| (bytes.saturating_add(sum), bytes.max(largest)))
}

/// CSIDriver and the driver's entry in the CSINode.
fn register(cluster: &mut Cluster, node: Sym, class: Sym) {
    let Some(name) = cluster.class(class).map(|c| c.provisioner) else { return };
    if cluster.csi_driver(name).is_none_or(|driver| !driver.storage_capacity) {
        cluster.set_csi_driver(CsiDriver { name, storage_capacity: true, attach_required: false });
    }
    let mut csi = cluster.csi_node(node).cloned().unwrap_or_default();
    if csi.drivers.iter().all(|d| d.name != name) {
        csi.drivers.push(CsiNodeDriver { name, limit: None, topology_keys: vec![sym::HOSTNAME] });
        cluster.set_csi_node(node, csi);
    }
}

/// Writes the CSIStorageCapacity of a node and class, if it differs.
fn publish(cluster: &mut Cluster, node: Sym, class: Sym) {
    let name = format!("csisc-{}-{}", cluster.names.text(class), cluster.names.text(node));
    let host = cluster.node_by_name(node).and_then(|id| cluster.node_labels(id).get(sym::HOSTNAME));
    let (total, largest) = free(cluster, node, class);
    let topology = LabelSelector::Requirements(Box::new([LabelRequirement {
        key: sym::HOSTNAME,
        operator: LabelOperator::In,
        values: Box::new([host.unwrap_or(node)]),
    }]));
    let object = StorageCapacity {
        namespace: cluster.names.intern("kube-system"),
        name: cluster.names.intern(&name),
        class,
        topology: Some(topology),
        capacity: Some(Quantity::from_bytes(u128::from(total))),
        maximum_volume_size: Some(Quantity::from_bytes(u128::from(largest))),
    };
    if cluster.capacities().get(object.namespace, object.name) != Some(&object) {
        cluster.set_capacity(object);
    }
}

#[cfg(test)]
#[path = "lvm_tests.rs"]
mod tests;
