//! Indexes over volumes, kept in step by the cluster's mutators: which are free, which the scheduler has reserved for a claim, and in which order equal ones are taken.

use super::few::Few;
use super::ids::{Id, Slab, Uid, VolumeId};
use super::names::{Names, Sym, sym};
use super::quantity::Quantity;
use super::volume::{AccessModes, Volume, VolumeMode};
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

/// What the indexes know a volume by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Pool and capacity of a free one.
    free: Option<(Pool, Quantity)>,
    assumed: Option<Uid>,
}

impl Entry {
    /// Of the volume as it is now.
    pub(super) fn of(volume: &Volume) -> Entry {
        Entry {
            free: volume.is_free().then(|| (Pool::of(volume), volume.capacity)),
            assumed: volume.assumed_for,
        }
    }
}

/// Indexes over the volumes of one cluster.
#[derive(Clone, Debug)]
pub struct VolumeIndex {
    tie: TieBreak,
    ranks: Vec<u32>,
    free: BTreeMap<Pool, BTreeSet<Free>>,
    /// Whether the free volumes of a class are in no index, because nobody asks for them as long as the scheduler chooses.
    /// Decided when a class or its first volume is seen, see [`VolumeIndex::class_changed`].
    left_out: FxHashMap<Sym, bool>,
    /// How many volumes of all classes and phases have each set of access modes.
    mode_sets: BTreeMap<AccessModes, u32>,
    by_assumed: FxHashMap<Uid, Few<VolumeId>>,
}

impl Default for VolumeIndex {
    fn default() -> Self {
        VolumeIndex {
            tie: TieBreak::First,
            ranks: Vec::new(),
            free: BTreeMap::new(),
            left_out: FxHashMap::default(),
            mode_sets: BTreeMap::new(),
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
    /// The volumes that the scheduler has reserved for the claim with this uid and not written yet.
    pub fn assumed_for(&self, claim: Uid) -> &[VolumeId] {
        self.by_assumed.get(&claim).map_or(&[], Few::as_slice)
    }
    /// All sets of access modes that any volume has, ordered by number of modes, then by canonical string.
    pub fn mode_sets(&self) -> Vec<AccessModes> {
        let mut sets: Vec<AccessModes> = self.mode_sets.keys().copied().collect();
        if sets.len() > 1 {
            sets.sort_by_cached_key(|set| (set.count(), set.canonical()));
        }
        sets
    }
    /// The free volumes (Available, no claimRef, not being deleted) of a class with exactly these modes and room for `request`, in the
    /// order in which they are to be taken. `volumes` are all there are.
    pub fn free_volumes<'c>(
        &'c self,
        names: &Names,
        volumes: &Slab<VolumeId, Volume>,
        (class, mode, attributes_class): (Sym, VolumeMode, Option<Sym>),
        modes: AccessModes,
        request: Quantity,
    ) -> Box<dyn Iterator<Item = VolumeId> + 'c> {
        let attributes_class = attributes_class.unwrap_or(sym::EMPTY);
        let pool = Pool { class, block: mode == VolumeMode::Block, attributes_class, modes };
        if self.left_out.get(&class) == Some(&true) {
            let fits = |v: &Volume| v.is_free() && Pool::of(v) == pool && v.capacity >= request;
            let found = volumes.iter().filter(|(_, v)| fits(v));
            let mut found: Vec<Free> =
                found.map(|(id, v)| self.free_key(names, id, v.name, v.capacity)).collect();
            found.sort_unstable();
            return Box::new(found.into_iter().map(|free| free.id));
        }
        let from = Free { capacity: request, rank: 0, name: Box::default(), id: VolumeId::at(0) };
        let set = self.free.get(&pool).into_iter();
        Box::new(set.flat_map(move |set| set.range(from.clone()..)).map(|free| free.id))
    }
    /// In which order two volumes of equal capacity are taken: at random but for ever (`seeded`), or by name (`first`).
    ///
    /// Kubernetes walks a map there. Ranks drawn once per volume give the same distribution as a draw at each choice, because
    /// what is left of a random permutation is one.
    pub fn compare_equal(&self, names: &Names, a: (VolumeId, Sym), b: (VolumeId, Sym)) -> Ordering {
        self.rank(a.0).cmp(&self.rank(b.0)).then_with(|| names.compare(a.1, b.1))
    }
    fn rank(&self, id: VolumeId) -> u32 {
        self.ranks.get(id.index()).copied().unwrap_or_default()
    }

    /// A class came or changed. The PV controller looks for free volumes of all classes but those whose claims wait for the scheduler
    /// and for which nobody makes volumes (`static_and_delayed`): such are left out unless their volumes were wanted once.
    pub(super) fn class_changed(
        &mut self,
        names: &Names,
        volumes: &Slab<VolumeId, Volume>,
        class: Sym,
        static_and_delayed: bool,
    ) {
        match self.left_out.insert(class, static_and_delayed) {
            // Being in is for good: classes are switched back and forth by those who ask what if.
            Some(false) => {
                self.left_out.insert(class, false);
            }
            Some(true) if !static_and_delayed => {
                self.free.retain(|pool, _| pool.class != class);
                for (id, volume) in volumes.iter().filter(|(_, v)| v.class == class) {
                    if let Some((pool, capacity)) = Entry::of(volume).free {
                        let key = self.free_key(names, id, volume.name, capacity);
                        self.free.entry(pool).or_default().insert(key);
                    }
                }
            }
            _ => {}
        }
    }
    /// A volume came.
    pub(super) fn insert(&mut self, names: &Names, id: VolumeId, volume: &Volume) {
        let row = id.index();
        if self.ranks.len() <= row {
            self.ranks.resize(row + 1, 0);
        }
        if let TieBreak::Seeded(_) = self.tie {
            // A volume that comes back under its name is another one: its time of creation makes another rank.
            let key = EntityKey::new(names.text(volume.name)).with(volume.created.as_nanos());
            self.ranks[row] = self.tie.choose("order of equal volumes", key, u32::MAX as usize) as u32;
        }
        *self.mode_sets.entry(volume.modes).or_default() += 1;
        self.left_out.entry(volume.class).or_insert(false);
        let nothing = Entry { free: None, assumed: None };
        self.change(names, id, volume.name, nothing, Entry::of(volume));
    }
    /// A volume is gone.
    pub(super) fn remove(&mut self, names: &Names, id: VolumeId, volume: &Volume) {
        let nothing = Entry { free: None, assumed: None };
        self.change(names, id, volume.name, Entry::of(volume), nothing);
        if let Some(count) = self.mode_sets.get_mut(&volume.modes) {
            *count -= 1;
            if *count == 0 {
                self.mode_sets.remove(&volume.modes);
            }
        }
    }
    /// A volume was changed.
    pub(super) fn change(&mut self, names: &Names, id: VolumeId, name: Sym, old: Entry, new: Entry) {
        if old.free != new.free {
            if let Some((pool, capacity)) = old.free.filter(|(pool, _)| self.holds(pool.class)) {
                let key = self.free_key(names, id, name, capacity);
                if let Some(set) = self.free.get_mut(&pool) {
                    set.remove(&key);
                    if set.is_empty() {
                        self.free.remove(&pool);
                    }
                }
            }
            if let Some((pool, capacity)) = new.free.filter(|(pool, _)| self.holds(pool.class)) {
                let key = self.free_key(names, id, name, capacity);
                self.free.entry(pool).or_default().insert(key);
            }
        }
        if old.assumed != new.assumed {
            replace(&mut self.by_assumed, old.assumed, new.assumed, id);
        }
    }
    fn holds(&self, class: Sym) -> bool {
        self.left_out.get(&class) != Some(&true)
    }
    fn free_key(&self, names: &Names, id: VolumeId, name: Sym, capacity: Quantity) -> Free {
        Free { capacity, rank: self.rank(id), name: names.text(name).into(), id }
    }
}

/// Moves a volume from one key to another.
fn replace<K: std::hash::Hash + Eq>(
    index: &mut FxHashMap<K, Few<VolumeId>>,
    old: Option<K>,
    new: Option<K>,
    id: VolumeId,
) {
    if let Some(old) = old
        && index.get_mut(&old).is_some_and(|list| list.forget(id))
    {
        index.remove(&old);
    }
    if let Some(new) = new {
        index.entry(new).and_modify(|list| list.push(id)).or_insert(Few::One(id));
    }
}

#[cfg(test)]
#[path = "volume_index_tests.rs"]
mod tests;
