//! Which pods belong to whom.

use crate::model::ids::{Id, PodId};
use crate::model::pod::PodOwner;

/// Pods by the object that owns them, in order of creation.
#[derive(Clone, Debug, Default)]
pub struct Children {
    stateful_sets: Vec<Vec<PodId>>,
    replica_sets: Vec<Vec<PodId>>,
    jobs: Vec<Vec<PodId>>,
}

impl Children {
    /// The pods of an owner.
    pub fn of(&self, owner: PodOwner) -> &[PodId] {
        let (lists, index) = match owner {
            PodOwner::None => return &[],
            PodOwner::StatefulSet(id) => (&self.stateful_sets, id.index()),
            PodOwner::ReplicaSet(id) => (&self.replica_sets, id.index()),
            PodOwner::Job(id) => (&self.jobs, id.index()),
        };
        lists.get(index).map_or(&[], Vec::as_slice)
    }
    /// A pod came.
    pub fn add(&mut self, owner: PodOwner, pod: PodId) {
        if let Some(list) = self.list(owner) {
            list.push(pod);
        }
    }
    /// A pod is gone.
    pub fn remove(&mut self, owner: PodOwner, pod: PodId) {
        if let Some(list) = self.list(owner) {
            list.retain(|p| *p != pod);
        }
    }
    fn list(&mut self, owner: PodOwner) -> Option<&mut Vec<PodId>> {
        let (lists, index) = match owner {
            PodOwner::None => return None,
            PodOwner::StatefulSet(id) => (&mut self.stateful_sets, id.index()),
            PodOwner::ReplicaSet(id) => (&mut self.replica_sets, id.index()),
            PodOwner::Job(id) => (&mut self.jobs, id.index()),
        };
        if lists.len() <= index {
            lists.resize_with(index + 1, Vec::new);
        }
        lists.get_mut(index)
    }
}
