//! Storage out of which volumes are made on request: LVM volume groups, and whole devices.

use super::names::Sym;
use std::collections::BTreeMap;

/// How a [`VolumeGroup`] gives out its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// LVM: in extents.
    Lvm {
        /// Allocation unit in bytes, at least 1 (LVM's default is 4 MiB).
        extent_bytes: u64,
        /// Promised bytes per thousand bytes there are; 1000: no thin over-commit.
        overcommit_permille: u64,
    },
    /// A device or mount point: whole, to one claim.
    Device,
}

/// A volume group of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeGroup {
    /// Name, for example `<node>-vg0`.
    pub name: Sym,
    /// Name of its node.
    pub node: Sym,
    /// Classes whose claims it serves.
    pub classes: Vec<Sym>,
    /// How it gives out its bytes.
    pub kind: GroupKind,
    /// Bytes there are.
    pub size_bytes: u64,
    /// Bytes taken by what is no volume of the cluster.
    pub foreign_bytes: u64,
    /// `hdd` or `ssd` of a device that was imported, empty for an imported volume group.
    pub medium: Option<Sym>,
    /// The disk works.
    pub healthy: bool,
    allocations: BTreeMap<Sym, u64>,
    allocated_bytes: u64,
}

impl VolumeGroup {
    /// An empty group.
    pub fn new(name: Sym, node: Sym, classes: Vec<Sym>, kind: GroupKind, size_bytes: u64) -> VolumeGroup {
        VolumeGroup {
            name,
            node,
            classes,
            kind,
            size_bytes,
            foreign_bytes: 0,
            medium: None,
            healthy: true,
            allocations: BTreeMap::new(),
            allocated_bytes: 0,
        }
    }
    /// Bytes that may be promised: whole extents, times the over-commit.
    pub fn capacity_bytes(&self) -> u64 {
        match self.kind {
            GroupKind::Lvm { extent_bytes, overcommit_permille } => {
                let extent = u128::from(extent_bytes.max(1));
                let whole = u128::from(self.size_bytes) / extent * extent;
                let promised = whole * u128::from(overcommit_permille) / 1000 / extent * extent;
                u64::try_from(promised).unwrap_or(u64::MAX)
            }
            GroupKind::Device => self.size_bytes,
        }
    }
    /// Bytes promised to volumes.
    pub fn allocated_bytes(&self) -> u64 {
        self.allocated_bytes
    }
    /// Bytes that may still be promised.
    pub fn free_bytes(&self) -> u64 {
        let taken = self.allocated_bytes.saturating_add(self.foreign_bytes);
        match self.kind {
            GroupKind::Device if taken > 0 => 0,
            _ => self.capacity_bytes().saturating_sub(taken),
        }
    }
    /// Volumes and the bytes they have, by symbol.
    pub fn allocations(&self) -> impl Iterator<Item = (Sym, u64)> + '_ {
        self.allocations.iter().map(|(volume, bytes)| (*volume, *bytes))
    }
    /// Bytes that a volume of at least `bytes` would take here: whole extents, or the whole device; `None` if it does not fit.
    pub fn fit(&self, bytes: u64) -> Option<u64> {
        let taken = match self.kind {
            GroupKind::Lvm { extent_bytes, .. } => {
                let extent = extent_bytes.max(1);
                bytes.max(1).div_ceil(extent).checked_mul(extent)?
            }
            GroupKind::Device => self.size_bytes.max(bytes),
        };
        (self.healthy && taken <= self.free_bytes()).then_some(taken)
    }
    /// Gives a volume `bytes` more (as [`VolumeGroup::fit`] said); false if they are not there.
    pub(super) fn allocate(&mut self, volume: Sym, bytes: u64) -> bool {
        if bytes > self.free_bytes() {
            return false;
        }
        *self.allocations.entry(volume).or_default() += bytes;
        self.allocated_bytes += bytes;
        true
    }
    /// Takes back what a volume has.
    pub(super) fn release(&mut self, volume: Sym) {
        if let Some(bytes) = self.allocations.remove(&volume) {
            self.allocated_bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(kind: GroupKind, size_bytes: u64) -> VolumeGroup {
        VolumeGroup::new(Sym::new(1), Sym::new(2), vec![Sym::new(3)], kind, size_bytes)
    }

    #[test]
    fn extents_are_whole() {
        let mut lvm = group(GroupKind::Lvm { extent_bytes: 4, overcommit_permille: 1000 }, 43);
        assert_eq!((lvm.capacity_bytes(), lvm.fit(0), lvm.fit(5), lvm.fit(41)), (40, Some(4), Some(8), None));
        assert!(lvm.allocate(Sym::new(7), 36));
        assert_eq!((lvm.free_bytes(), lvm.fit(5), lvm.fit(4)), (4, None, Some(4)));
        lvm.foreign_bytes = 4;
        assert_eq!(lvm.free_bytes(), 0);
        lvm.release(Sym::new(7));
        assert_eq!((lvm.allocated_bytes(), lvm.free_bytes()), (0, 36));
    }

    #[test]
    fn thin_groups_promise_more_than_they_have() {
        let mut thin = group(GroupKind::Lvm { extent_bytes: 4, overcommit_permille: 1550 }, 43);
        assert_eq!(
            thin.capacity_bytes(),
            60,
            "40 bytes of whole extents times 1.55, rounded down to extents"
        );
        assert!(
            thin.allocate(Sym::new(7), 40)
                && thin.allocate(Sym::new(8), 20)
                && !thin.allocate(Sym::new(9), 4)
        );
    }

    #[test]
    fn a_device_has_one_volume() {
        let mut device = group(GroupKind::Device, 100);
        assert_eq!((device.fit(10), device.fit(101)), (Some(100), None));
        assert!(device.allocate(Sym::new(7), 100));
        assert_eq!(device.fit(1), None);
        device.healthy = false;
        device.release(Sym::new(7));
        assert_eq!(device.fit(1), None);
    }
}
