//! Volumes that one host holds, the free ones apart: whoever looks for one there need not read the others' rows.

use super::ids::VolumeId;

/// The volumes pinned to one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinnedVolumes {
    /// The free ones come first; otherwise in no particular order.
    ids: Vec<VolumeId>,
    free: u32,
}

impl PinnedVolumes {
    /// All of them, in no particular order (but always the same).
    pub fn all(&self) -> &[VolumeId] {
        &self.ids
    }
    /// Those that are free in the scheduler's eyes ([`Volume::is_free_to_assume`](super::volume::Volume::is_free_to_assume)), in no
    /// particular order.
    pub fn free(&self) -> &[VolumeId] {
        &self.ids[..self.free as usize]
    }
    pub(super) fn insert(&mut self, id: VolumeId, free: bool) {
        self.ids.push(id);
        if free {
            self.swap_into_free(self.ids.len() - 1);
        }
    }
    pub(super) fn remove(&mut self, id: VolumeId) {
        self.set_free(id, false);
        self.ids.retain(|other| *other != id);
    }
    /// A volume has become free, or is not free any more.
    pub(super) fn set_free(&mut self, id: VolumeId, free: bool) {
        let Some(at) = self.ids.iter().position(|other| *other == id) else { return };
        let is_free = at < self.free as usize;
        if free && !is_free {
            self.swap_into_free(at);
        } else if is_free && !free {
            self.free -= 1;
            self.ids.swap(at, self.free as usize);
        }
    }
    fn swap_into_free(&mut self, at: usize) {
        self.ids.swap(at, self.free as usize);
        self.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Whatever comes, goes and changes, both lists hold what they should.
        #[test]
        fn free_ones_are_told_apart(steps in prop::collection::vec((0u32..12, 0u8..4), 0..80)) {
            let (mut pinned, mut plain) = (PinnedVolumes::default(), BTreeMap::new());
            for (row, what) in steps {
                let (id, free) = (VolumeId::at(row), what % 2 == 1);
                match what {
                    0 | 1 if plain.insert(row, free).is_none() => pinned.insert(id, free),
                    0 | 1 => pinned.set_free(id, free),
                    2 => {
                        plain.remove(&row);
                        pinned.remove(id);
                    }
                    _ => {
                        plain.entry(row).and_modify(|f| *f = true);
                        pinned.set_free(id, true);
                    }
                }
                let sorted = |ids: &[VolumeId]| {
                    let mut rows: Vec<u32> = ids.iter().map(|id| id.row()).collect();
                    rows.sort_unstable();
                    rows
                };
                prop_assert_eq!(sorted(pinned.all()), plain.keys().copied().collect::<Vec<_>>());
                let free: Vec<u32> = plain.iter().filter(|(_, free)| **free).map(|(row, _)| *row).collect();
                prop_assert_eq!(sorted(pinned.free()), free);
            }
        }
    }
}
