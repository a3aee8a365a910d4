//! Database groups: StatefulSets with a quorum, in group-seconds.

use crate::engine::time::SimDuration;
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, StatefulSetId};
use crate::observe::integral::Integral;
use crate::observe::replicas::{OwnerKey, Replicas};

/// How a group is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    exists: bool,
    degraded: bool,
    quorum_lost: bool,
}

/// All groups.
#[derive(Debug, Default)]
pub struct Groups {
    states: Vec<Option<State>>,
    dirty: Vec<StatefulSetId>,
    /// Groups that ever were.
    pub ever: u64,
    /// Groups with fewer running members than replicas.
    pub degraded: u64,
    /// Groups with fewer running members than a quorum.
    pub quorum_lost: u64,
    degraded_time: Integral,
    quorum_lost_time: Integral,
}

impl Groups {
    /// The set came, changed or went.
    pub fn set_changed(&mut self, cluster: &Cluster, set: StatefulSetId) {
        if !cluster.stateful_sets()[set].group {
            return;
        }
        if self.states.len() <= set.index() {
            self.states.resize(set.index() + 1, None);
        }
        if self.states[set.index()].is_none() {
            self.states[set.index()] = Some(State::default());
            self.ever += 1;
        }
        self.dirty.push(set);
    }
    /// The state holds for `span`.
    pub fn advance(&mut self, span: SimDuration) {
        self.degraded_time.add(self.degraded.into(), span);
        self.quorum_lost_time.add(self.quorum_lost.into(), span);
    }
    /// Group-seconds degraded and without quorum.
    pub fn seconds(&self) -> (f64, f64) {
        (self.degraded_time.seconds(), self.quorum_lost_time.seconds())
    }
    /// Looks again at the groups whose members changed.
    pub fn settle(&mut self, replicas: &mut Replicas) {
        let moved = replicas.take_moved_sets();
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.extend(moved);
        dirty.sort_unstable();
        dirty.dedup();
        for set in dirty {
            let Some(Some(state)) = self.states.get_mut(set.index()) else { continue };
            let Some(owner) = replicas.owner(OwnerKey::StatefulSet(set)) else { continue };
            let target = u64::from(owner.target);
            let new = State {
                exists: owner.exists,
                degraded: owner.exists && owner.running < target,
                quorum_lost: owner.exists && target > 0 && owner.running < target / 2 + 1,
            };
            let old = std::mem::replace(state, new);
            self.degraded = self.degraded + u64::from(new.degraded) - u64::from(old.degraded);
            self.quorum_lost = self.quorum_lost + u64::from(new.quorum_lost) - u64::from(old.quorum_lost);
        }
    }
}
