//! Indexes over volumes, kept in step by the cluster's mutators: which are free, which name a claim, which the scheduler has
//! reserved for one, and in which order equal ones are taken.

use super::ids::{Uid, VolumeId};
use super::names::{Name, Names, Sym, sym};
use super::quantity::Quantity;
use super::volume::{AccessModes, Volume, VolumeMode, VolumePhase};
use crate::engine::rng::{EntityKey, TieBreak};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What volumes must share to be alternatives for one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pool {
    class: Sym,
    block: bool,
    /// None is the empty one.
    attributes_class: Sym,
    modes: AccessModes,
}

impl Pool {
    fn of(volume: &Volume) -> Pool {
        Pool {
            class: volume.class,
            block: volume.mode == VolumeMode::Block,
            attributes_class: volume.attributes_class.unwrap_or(sym::EMPTY),
            modes: volume.modes,
        }
    }
}

/// A free volume in the order in which volumes are taken: smallest first, then by rank, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Free {
    capacity: Quantity,
    rank: u32,
    name: Box<str>,
    id: VolumeId,
}

/// Indexes over the volumes of one cluster.
#[derive(Clone, Debug)]
pub struct VolumeIndex {
    tie: TieBreak,
    ranks: Vec<u32>,
    free: BTreeMap<Pool, BTreeSet<Free>>,
    /// How many volumes of all classes and phases have each set of access modes.
    mode_sets: BTreeMap<AccessModes, u32>,
    by_claim: FxHashMap<(Sym, Name), Vec<VolumeId>>,
    by_assumed: FxHashMap<Uid, Vec<VolumeId>>,
}

impl Default for VolumeIndex {
    fn default() -> Self {
        VolumeIndex {
            tie: TieBreak::First,
            ranks: Vec::new(),
            free: BTreeMap::new(),
            mode_sets: BTreeMap::new(),
            by_claim: FxHashMap::default(),
            by_assumed: FxHashMap::default(),
        }
    }
}

impl VolumeIndex {
    /// An index that orders equal volumes by `tie`.
    pub fn new(tie: TieBreak) -> VolumeIndex {
        VolumeIndex { tie, ..VolumeIndex::default() }
    }
    /// How ties are broken.
    pub fn tie_break(&self) -> &TieBreak {
        &self.tie
    }
    /// The volumes whose claimRef names this claim, in no particular order.
    pub fn claimed_by(&self, namespace: Sym, name: Name) -> &[VolumeId] {
        self.by_claim.get(&(namespace, name)).map_or(&[], Vec::as_slice)
    }
    /// The volumes that the scheduler has reserved for the claim with this uid and not written yet.
    pub fn assumed_for(&self, claim: Uid) -> &[VolumeId] {
        self.by_assumed.get(&claim).map_or(&[], Vec::as_slice)
    }
    /// All sets of access modes that any volume has, ordered by number of modes, then by canonical string.
    pub fn mode_sets(&self) -> Vec<AccessModes> {
        let mut sets: Vec<AccessModes> = self.mode_sets.keys().copied().collect();
        sets.sort_by_cached_key(|set| (set.count(), set.canonical()));
        sets
    }
    /// The free volumes (Available, no claimRef, not being deleted) of a class with exactly these modes and room for `request`, in the
    /// order in which they are to be taken.
    pub fn free_volumes(
        &self,
        class: Sym,
        mode: VolumeMode,
        attributes_class: Option<Sym>,
        modes: AccessModes,
        request: Quantity,
    ) -> impl Iterator<Item = VolumeId> + '_ {
        let attributes_class = attributes_class.unwrap_or(sym::EMPTY);
        let pool = Pool { class, block: mode == VolumeMode::Block, attributes_class, modes };
        let from = Free { capacity: request, rank: 0, name: Box::default(), id: VolumeId(0) };
        self.free.get(&pool).into_iter().flat_map(move |set| set.range(from.clone()..)).map(|free| free.id)
    }
    /// In which order two volumes of equal capacity are taken: at random but for ever (`seeded`), or by name (`first`).
    ///
    /// Kubernetes walks a map there. Ranks drawn once per volume give the same distribution as a draw at each choice, because
    /// what is left of a random permutation is one.
    pub fn compare_equal(&self, names: &Names, a: (VolumeId, Sym), b: (VolumeId, Sym)) -> Ordering {
        self.rank(a.0).cmp(&self.rank(b.0)).then_with(|| names.compare(a.1, b.1))
    }
    fn rank(&self, id: VolumeId) -> u32 {
        self.ranks.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// A volume came.
    pub(super) fn insert(&mut self, names: &Names, id: VolumeId, volume: &Volume) {
        let row = id.0 as usize;
        if self.ranks.len() <= row {
            self.ranks.resize(row + 1, 0);
        }
        // A volume that comes back under its name is another one: its time of creation makes another rank.
        let key = EntityKey::new(names.text(volume.name)).with(volume.created.as_nanos());
        self.ranks[row] = self.tie.choose("order of equal volumes", key, u32::MAX as usize) as u32;
        *self.mode_sets.entry(volume.modes).or_default() += 1;
        self.link(names, id, volume);
    }
    /// A volume is gone.
    pub(super) fn remove(&mut self, names: &Names, id: VolumeId, volume: &Volume) {
        self.unlink(names, id, volume);
        if let Some(count) = self.mode_sets.get_mut(&volume.modes) {
            *count -= 1;
            if *count == 0 {
                self.mode_sets.remove(&volume.modes);
            }
        }
    }
    /// Takes the volume out before it is changed.
    pub(super) fn unlink(&mut self, names: &Names, id: VolumeId, volume: &Volume) {
        if is_free(volume) {
            let key = self.free_key(names, id, volume);
            if let Some(set) = self.free.get_mut(&Pool::of(volume)) {
                set.remove(&key);
                if set.is_empty() {
                    self.free.remove(&Pool::of(volume));
                }
            }
        }
        if let Some(claim) = volume.claim_ref {
            forget(&mut self.by_claim, &(claim.namespace, claim.name), id);
        }
        if let Some(uid) = volume.assumed_for {
            forget(&mut self.by_assumed, &uid, id);
        }
    }
    /// Puts the volume in again after it was changed.
    pub(super) fn link(&mut self, names: &Names, id: VolumeId, volume: &Volume) {
        if is_free(volume) {
            let key = self.free_key(names, id, volume);
            self.free.entry(Pool::of(volume)).or_default().insert(key);
        }
        if let Some(claim) = volume.claim_ref {
            self.by_claim.entry((claim.namespace, claim.name)).or_default().push(id);
        }
        if let Some(uid) = volume.assumed_for {
            self.by_assumed.entry(uid).or_default().push(id);
        }
    }
    fn free_key(&self, names: &Names, id: VolumeId, volume: &Volume) -> Free {
        Free { capacity: volume.capacity, rank: self.rank(id), name: names.text(volume.name).into(), id }
    }
}

/// Free in the PV controller's eyes; the scheduler's reservations are not visible to it.
fn is_free(volume: &Volume) -> bool {
    volume.phase == VolumePhase::Available && volume.claim_ref.is_none() && volume.deletion.is_none()
}

fn forget<K: std::hash::Hash + Eq>(index: &mut FxHashMap<K, Vec<VolumeId>>, key: &K, id: VolumeId) {
    if let Some(list) = index.get_mut(key) {
        list.retain(|v| *v != id);
        if list.is_empty() {
            index.remove(key);
        }
    }
}
