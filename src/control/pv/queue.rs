//! Which keys are to be synced, and when.
//!
//! As in Kubernetes an object's own changes queue it, a claim that goes queues its volume and the other way round, and everything else
//! waits for the resync every 15 s: a new volume does not wake the claims that wait for one. In an *ideal* control plane the
//! resync is always at the same instant.

use super::waiting::Waiting;
use super::{PvEvent, PvKey, PvOutput, find, sync_and_write};
use crate::engine::rng::EntityKey;
use crate::model::cluster::{Change, Cluster};
use crate::model::ids::{ClaimId, Id, VolumeId};
use crate::model::names::Sym;
use crate::model::volume::{BindingMode, Claim, VolumePhase};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// A queue that holds each row once.
#[derive(Clone, Debug)]
struct Queue<K> {
    order: VecDeque<K>,
    /// One bit per row: it is queued.
    queued: Vec<u64>,
}

/// A queue that was this long gives its memory back when it is empty: the first objects of a run come all at once.
const LONG_QUEUE: usize = 1024;

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Queue { order: VecDeque::new(), queued: Vec::new() }
    }
}

impl<K: Id> Queue<K> {
    fn push(&mut self, key: K) {
        let (word, bit) = (key.index() / 64, 1 << (key.index() % 64));
        if self.queued.len() <= word {
            self.queued.resize(word + 1, 0);
        }
        if self.queued[word] & bit == 0 {
            self.queued[word] |= bit;
            self.order.push_back(key);
        }
    }
    fn pop(&mut self) -> Option<K> {
        let Some(key) = self.order.pop_front() else {
            if self.order.capacity() > LONG_QUEUE {
                self.order = VecDeque::new();
            }
            return None;
        };
        self.queued[key.index() / 64] &= !(1 << (key.index() % 64));
        Some(key)
    }
}

/// The controller's queues: one for volumes and one for claims, each with its own worker in Kubernetes.
#[derive(Clone, Debug, Default)]
pub struct PvController {
    ideal: bool,
    volumes: Queue<VolumeId>,
    claims: Queue<ClaimId>,
    /// Claims whose binding is not complete.
    pending: Waiting,
    /// Waiting claims that name a volume, by that volume.
    named: FxHashMap<Sym, Vec<ClaimId>>,
    /// Free volumes that no waiting claim has been shown yet.
    offers: Queue<VolumeId>,
    /// The next resync has something to look at.
    resync_wanted: bool,
    /// Volumes that only a resync will look at again.
    stale_volumes: Queue<VolumeId>,
    /// Claims that a volume names, or that name one, which has changed: the next resync looks at them although they wait for their first
    /// consumer.
    reserved: Queue<ClaimId>,
    resyncs: u64,
    /// What the syncs of one run say; memory used again.
    said: PvOutput,
}

impl PvController {
    /// A controller; `ideal`: what the resync would find is looked at in the same instant.
    pub fn new(ideal: bool) -> PvController {
        PvController { ideal, ..PvController::default() }
    }

    /// Takes note of a change; to be called once for each, in order, also for those that the controller made.
    pub fn note(&mut self, cluster: &Cluster, change: &Change) {
        match *change {
            Change::VolumeAdded(id) | Change::VolumeUpdated(id) => self.volume_changed(cluster, id),
            Change::VolumeRemoved { claim: Some((namespace, name)), .. } => {
                if let Some(claim) = cluster.claim_by_name(namespace, name) {
                    self.claims.push(claim);
                }
            }
            Change::ClaimAdded(id) | Change::ClaimUpdated(id) => {
                if let Some(claim) = cluster.claims().get(id) {
                    self.track(cluster, id, claim);
                    self.claims.push(id);
                }
            }
            Change::ClaimRemoved { claim, namespace, name, volume, .. } => {
                self.untrack(claim);
                if let Some(volume) = volume.and_then(|name| cluster.volume_by_name(name)) {
                    self.volumes.push(volume);
                }
                // A volume that was half bound to it: nothing tells the controller before the resync.
                for &volume in cluster.volumes_claimed_by(namespace, name) {
                    self.stale_volumes.push(volume);
                    self.resync_wanted = true;
                }
            }
            Change::ClassChanged(_) => self.class_changed(),
            _ => {}
        }
    }

    fn volume_changed(&mut self, cluster: &Cluster, id: VolumeId) {
        let Some(volume) = cluster.volumes().get(id) else { return };
        self.volumes.push(id);
        let free = volume.phase == VolumePhase::Available && volume.claim_ref.is_none();
        if free && self.pending.any_of(volume.class) && !waits(cluster, volume.class) {
            self.offers.push(id);
            self.resync_wanted = true;
        }
        // Only its own sync lets a claim take the volume that names it, or that it names.
        let reserved_for = volume.claim_ref.filter(|r| r.uid.is_none());
        let reserved_for = reserved_for.and_then(|r| cluster.claim_by_name(r.namespace, r.name));
        let named_by = self.named.get(&volume.name).into_iter().flatten().copied();
        for claim in reserved_for.into_iter().chain(named_by) {
            if cluster.claims().get(claim).is_some_and(|row| !row.bind_completed) {
                self.resync_wanted = true;
                if self.ideal {
                    self.claims.push(claim);
                } else {
                    self.reserved.push(claim);
                }
            }
        }
    }
    fn class_changed(&mut self) {
        self.resync_wanted |= !self.pending.is_empty();
        if self.ideal {
            for claim in self.pending.classes().flat_map(|(_, claims)| claims.iter()) {
                self.claims.push(claim);
            }
        }
    }

    fn track(&mut self, cluster: &Cluster, id: ClaimId, claim: &Claim) {
        let class = cluster.claim_spec(claim.spec).class_or_empty();
        if claim.bind_completed {
            self.untrack(id);
        } else if self.pending.class_of(id) != Some(class) {
            self.untrack(id);
            self.pending.insert(id, class);
        }
        if let (Some(volume), false) = (claim.volume_name, claim.bind_completed) {
            let claims = self.named.entry(volume).or_default();
            if !claims.contains(&id) {
                claims.push(id);
            }
        }
    }
    fn untrack(&mut self, id: ClaimId) {
        if !self.named.is_empty() {
            self.named.retain(|_, claims| {
                claims.retain(|claim| *claim != id);
                !claims.is_empty()
            });
        }
        self.pending.remove(id);
    }

    /// Puts a key back, after the API refused its write.
    pub fn push(&mut self, key: PvKey) {
        match key {
            PvKey::Volume(id) => self.volumes.push(id),
            PvKey::Claim(claim) | PvKey::Bind { claim, .. } => self.claims.push(claim),
        }
    }
    /// The next volume to sync.
    pub fn pop_volume(&mut self) -> Option<PvKey> {
        self.volumes.pop().map(PvKey::Volume)
    }
    /// The next claim to sync.
    pub fn pop_claim(&mut self) -> Option<PvKey> {
        self.claims.pop().map(PvKey::Claim)
    }
    /// Is there anything to do now: for the claim worker, for the volume worker?
    pub fn queued(&self) -> (bool, bool) {
        let offered = self.ideal && !(self.offers.order.is_empty() && self.stale_volumes.order.is_empty());
        (offered || !self.claims.order.is_empty(), !self.volumes.order.is_empty())
    }
    /// Would the next resync (every 15 s on a fixed tick) find anything to look at? If not, no event is needed for the tick.
    pub fn wants_resync(&self) -> bool {
        self.resync_wanted
    }
    /// The resync: all claims that wait, in random order, then the volumes that only it looks at. Objects in their final state
    /// are left out: their sync does nothing. So are, unless `delayed`, claims that wait for their first consumer, but for those that
    /// a volume has been reserved for since: the sync of the others only repeats an event.
    pub fn resync(&mut self, cluster: &Cluster, delayed: bool) {
        self.resync_wanted = false;
        self.resyncs += 1;
        let classes = self.pending.classes().filter(|(class, _)| delayed || !waits(cluster, *class));
        let mut waiting: Vec<ClaimId> = classes.flat_map(|(_, claims)| claims.iter()).collect();
        while let Some(claim) = self.reserved.pop() {
            if self.pending.class_of(claim).is_some_and(|class| !delayed && waits(cluster, class)) {
                waiting.push(claim);
            }
        }
        let key = EntityKey::new("resync").with(self.resyncs);
        cluster.volume_index().tie_break().shuffle("PV controller resync", key, &mut waiting);
        for claim in waiting {
            self.claims.push(claim);
        }
        while let Some(volume) = self.stale_volumes.pop() {
            self.volumes.push(volume);
        }
        while self.offers.pop().is_some() {}
    }

    /// Runs all that is queued without latency, except what the changes made here will queue: hand those to
    /// [`PvController::note`] and call again until there are none. `true` if anything was written.
    pub fn run(&mut self, cluster: &mut Cluster, events: &mut Vec<PvEvent>) -> bool {
        let mut written = false;
        let mut out = std::mem::take(&mut self.said);
        loop {
            let key = match self.pop_volume().or_else(|| self.pop_claim()) {
                Some(key) => key,
                None => match self.next_ideal(cluster) {
                    Some(key) => key,
                    None => break,
                },
            };
            written |= sync_and_write(cluster, key, &mut out);
            for key in out.enqueue.drain(..) {
                self.push(key);
            }
        }
        events.append(&mut out.events);
        self.said = out;
        written
    }

    /// What the resync of an ideal control plane looks at next: a volume that nobody needs any more, or the first waiting claim
    /// that a free volume could serve. All other claims would find what they found before: nothing.
    pub fn next_ideal(&mut self, cluster: &Cluster) -> Option<PvKey> {
        if !self.ideal {
            return None;
        }
        if let Some(volume) = self.stale_volumes.pop() {
            return Some(PvKey::Volume(volume));
        }
        while let Some(id) = self.offers.pop() {
            let Some(volume) = cluster.volumes().get(id) else { continue };
            let free = volume.phase == VolumePhase::Available
                && volume.claim_ref.is_none()
                && volume.deletion.is_none()
                && !waits(cluster, volume.class);
            let waiting = self.pending.of(volume.class).filter(|_| free);
            let taker = waiting.into_iter().flat_map(|claims| claims.iter()).find(|claim| {
                let Some(row) = cluster.claims().get(*claim) else { return false };
                // Claims that were bound in this very run are still on the list.
                row.volume_name.is_none() && find::could_serve(cluster, volume, cluster.claim_spec(row.spec))
            });
            if let Some(claim) = taker {
                // It may prefer another volume; then this one is offered to the next.
                self.offers.push(id);
                return Some(PvKey::Claim(claim));
            }
        }
        None
    }
}

/// Does the class wait for the first consumer?
fn waits(cluster: &Cluster, class: Sym) -> bool {
    cluster.class(class).is_some_and(|c| c.binding_mode == BindingMode::WaitForFirstConsumer)
}
