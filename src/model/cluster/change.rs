//! What a watch would deliver.

use crate::model::ids::*;
use crate::model::names::{Name, Sym};
use crate::model::pod::PodOwner;

/// What changed about a node; the scheduler's queueing hints tell these apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeDelta {
    /// Allocatable resources.
    Allocatable,
    /// Labels.
    Labels,
    /// Taints, or `spec.unschedulable`.
    Taints,
    /// The Ready condition.
    Condition,
    /// Images or the like: nobody waits for it.
    Other,
}

/// What changed about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodDelta {
    /// `spec.nodeName` was set: the pod is bound.
    Assigned,
    /// Phase or Ready.
    Status,
    /// deletionTimestamp was set.
    Terminating,
    /// `status.nominatedNodeName`.
    Nominated,
    /// A condition changed (PodScheduled's message).
    Condition,
    /// Scheduling gates or labels.
    Spec,
}

/// One change of one object, in the order in which the API server would store them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node came.
    NodeAdded(NodeId),
    /// A node changed.
    NodeUpdated(NodeId, NodeDelta),
    /// A node went.
    NodeRemoved(NodeId),
    /// A pod came.
    PodAdded(PodId),
    /// A pod changed.
    PodUpdated(PodId, PodDelta),
    /// A pod is gone; the row may be reused.
    PodRemoved {
        /// Its former row.
        pod: PodId,
        /// Its uid.
        uid: Uid,
        /// Its name.
        name: Name,
        /// Where it was.
        node: Option<NodeId>,
        /// Who wanted it.
        owner: PodOwner,
        /// What it asked for.
        spec: SpecId,
    },
    /// A volume came.
    VolumeAdded(VolumeId),
    /// A volume changed.
    VolumeUpdated(VolumeId),
    /// A volume is gone.
    VolumeRemoved {
        /// Its former row.
        volume: VolumeId,
        /// Its name.
        name: Sym,
        /// The claim that its claimRef named.
        claim: Option<(Sym, Name)>,
    },
    /// A claim came.
    ClaimAdded(ClaimId),
    /// A claim changed.
    ClaimUpdated(ClaimId),
    /// A claim is gone.
    ClaimRemoved {
        /// Its former row.
        claim: ClaimId,
        /// Its uid.
        uid: Uid,
        /// Its namespace.
        namespace: Sym,
        /// Its name.
        name: Name,
        /// Volume it named.
        volume: Option<Sym>,
    },
    /// A class came or changed.
    ClassChanged(Sym),
    /// CSIStorageCapacity objects of a class came or changed.
    CapacityChanged(Sym),
    /// A CSINode came or changed.
    CsiNodeChanged(Sym),
    /// A CSIDriver came or changed.
    CsiDriverChanged(Sym),
    /// A StatefulSet came, changed or was marked for deletion.
    StatefulSetChanged(StatefulSetId),
    /// A ReplicaSet or Deployment came or changed.
    ReplicaSetChanged(ReplicaSetId),
    /// A Job came or changed.
    JobChanged(JobId),
}

/// Changes in order. Volumes of a node come in hundreds of thousands before a run begins: those of consecutive rows take the place of one.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    list: Vec<Change>,
    /// Places in `list` of volumes that came, and how many more came right after each, with the next rows.
    runs: Vec<(u32, u32)>,
}

/// A longer list gives its memory back.
const LONG: usize = 1 << 12;

impl Changes {
    /// Nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
    /// All changes, oldest first, unless volumes in a row are among them: that is so only before the simulation begins.
    #[inline]
    pub fn plain(&self) -> Option<&[Change]> {
        self.runs.is_empty().then_some(&self.list)
    }
    /// All changes, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Change> + '_ {
        let mut runs = self.runs.iter();
        let mut run = runs.next();
        self.list.iter().enumerate().flat_map(move |(place, change)| {
            let mut more = 0..0;
            if let (Some((at, count)), Change::VolumeAdded(first)) = (run, change)
                && *at as usize == place
            {
                more = first.row() + 1..first.row() + 1 + count;
                run = runs.next();
            }
            std::iter::once(*change).chain(more.map(|row| Change::VolumeAdded(VolumeId::at(row))))
        })
    }
    #[inline]
    pub(super) fn push(&mut self, change: Change) {
        if !matches!(change, Change::VolumeAdded(id) if self.continues(id)) {
            self.list.push(change);
        }
    }
    /// Notes a volume that comes next in a run.
    fn continues(&mut self, id: VolumeId) -> bool {
        let Some(Change::VolumeAdded(first)) = self.list.last() else { return false };
        let place = (self.list.len() - 1) as u32;
        match self.runs.last_mut().filter(|(at, _)| *at == place) {
            Some((_, count)) if id.row() == first.row() + 1 + *count => *count += 1,
            None if id.row() == first.row() + 1 => self.runs.push((place, 1)),
            _ => return false,
        }
        true
    }
    pub(super) fn clear(&mut self) {
        if self.list.capacity() > LONG {
            *self = Changes::default();
        }
        self.list.clear();
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_in_a_row_are_told_one_by_one() {
        let volume = |row| Change::VolumeAdded(VolumeId::at(row));
        let all = [
            volume(3),
            volume(4),
            volume(5),
            volume(7),
            Change::VolumeUpdated(VolumeId::at(8)),
            volume(9),
            Change::NodeAdded(NodeId::at(0)),
            volume(1),
            volume(2),
        ];
        let mut changes = Changes::default();
        all.into_iter().for_each(|change| changes.push(change));
        assert_eq!(changes.iter().collect::<Vec<_>>(), all);
        assert_eq!(changes.list.len(), 6, "runs take the place of one");
        changes.clear();
        assert!(changes.is_empty() && changes.iter().next().is_none());
    }
}
