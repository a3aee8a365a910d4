//! Who wants replicas, and which of them have no pod.

use super::Clock;
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, JobId, PodId, ReplicaSetId, StatefulSetId};
use std::collections::BTreeMap;
use std::ops::Range;

/// A workload object that wants pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerKey {
    /// A StatefulSet.
    StatefulSet(StatefulSetId),
    /// A ReplicaSet or Deployment.
    ReplicaSet(ReplicaSetId),
    /// A Job.
    Job(JobId),
}

impl OwnerKey {
    /// It wants certain pods, not just a number of them.
    pub fn has_ordinals(self) -> bool {
        matches!(self, OwnerKey::StatefulSet(_))
    }
}

/// What an owner wants now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// The object is there and not being deleted.
    pub exists: bool,
    /// First ordinal.
    pub first: u32,
    /// How many.
    pub target: u32,
}

impl Wish {
    /// Ordinals wanted.
    pub fn range(&self) -> Range<u64> {
        u64::from(self.first)..u64::from(self.first) + u64::from(self.target)
    }
}

/// What an owner wants, read from its object.
pub fn wish(cluster: &Cluster, key: OwnerKey) -> Wish {
    let (exists, first, target) = match key {
        OwnerKey::StatefulSet(id) => {
            let set = &cluster.stateful_sets()[id];
            (set.exists && !set.deletion, set.first_ordinal, set.replicas)
        }
        OwnerKey::ReplicaSet(id) => {
            let set = &cluster.replica_sets()[id];
            (set.exists, 0, set.replicas)
        }
        OwnerKey::Job(id) => {
            let job = &cluster.jobs()[id];
            (job.exists, 0, job.parallelism.min(job.completions.saturating_sub(job.succeeded)))
        }
    };
    Wish { exists, first, target: if exists { target } else { 0 } }
}

/// Wanted replicas without a pod: `count` ordinals from `first` on (owners without ordinals: any).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent {
    /// First ordinal.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// Their common clock.
    pub clock: Clock,
}

impl Absent {
    fn range(&self) -> Range<u64> {
        u64::from(self.first)..u64::from(self.first) + u64::from(self.count)
    }
}

/// One owner.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// The object is there and not being deleted.
    pub exists: bool,
    /// First ordinal.
    pub first: u32,
    /// Replicas wanted.
    pub target: u32,
    /// Pods by ordinal, wanted or not (owners with ordinals only).
    pub members: BTreeMap<u32, PodId>,
    /// Wanted replicas without a pod.
    pub absent: Vec<Absent>,
    /// Wanted replicas with a pod.
    pub wanted_pods: u64,
    /// Those that run.
    pub running: u64,
    /// Those that are stuck.
    pub stuck_pods: u64,
    /// Some replica was stuck at some time.
    pub ever_stuck: bool,
}

impl Owner {
    /// Ordinals wanted.
    pub fn range(&self) -> Range<u64> {
        u64::from(self.first)..u64::from(self.first) + u64::from(self.target)
    }
    /// Wanted replicas without a pod.
    pub fn absent_count(&self) -> u64 {
        self.absent.iter().map(|a| u64::from(a.count)).sum()
    }
    /// Any replica is stuck.
    pub fn is_stuck(&self) -> bool {
        self.stuck_pods > 0 || self.absent.iter().any(|a| a.clock.stuck)
    }
    /// Notes that a replica is stuck. True if it is the first of a set (Jobs are no sets).
    pub(super) fn first_stuck(&mut self, key: OwnerKey) -> bool {
        let first = !self.ever_stuck && !matches!(key, OwnerKey::Job(_));
        self.ever_stuck = true;
        first
    }
    /// Every wanted replica runs.
    pub fn is_whole(&self) -> bool {
        self.running >= u64::from(self.target) && self.absent.is_empty()
    }

    pub(super) fn add_absent(&mut self, absent: Absent) {
        if absent.count > 0 {
            self.absent.push(absent);
        }
    }

    /// Keeps only absent replicas within `range`; the others go to `dropped`.
    pub(super) fn clip_absent(&mut self, range: Range<u64>, dropped: &mut Vec<Absent>) {
        let mut kept = Vec::with_capacity(self.absent.len());
        for absent in self.absent.drain(..) {
            let whole = absent.range();
            let start = whole.start.max(range.start).min(whole.end);
            let end = whole.end.min(range.end).max(start);
            let part = |part: Range<u64>| Absent {
                first: part.start as u32,
                count: (part.end - part.start) as u32,
                ..absent
            };
            dropped
                .extend([part(whole.start..start), part(end..whole.end)].into_iter().filter(|a| a.count > 0));
            kept.extend([part(start..end)].into_iter().filter(|a| a.count > 0));
        }
        self.absent = kept;
    }

    pub(super) fn take_absent(&mut self, ordinal: Option<u32>) -> Option<Clock> {
        let oldest = |(_, a): &(usize, &Absent)| a.clock.since;
        let index = match ordinal {
            Some(o) => self.absent.iter().position(|a| a.range().contains(&u64::from(o)))?,
            None => self.absent.iter().enumerate().min_by_key(oldest)?.0,
        };
        let absent = self.absent.remove(index);
        let ordinal = ordinal.unwrap_or(absent.first);
        let before = Absent { count: ordinal - absent.first, ..absent };
        let after =
            Absent { first: ordinal.saturating_add(1), count: absent.count - before.count - 1, ..absent };
        self.add_absent(before);
        self.add_absent(after);
        Some(absent.clock)
    }

    /// Drops `count` absent replicas, those missing for the shortest time first.
    pub(super) fn drop_newest_absent(&mut self, mut count: u64) -> Vec<Absent> {
        let mut dropped = Vec::new();
        while count > 0 {
            let newest = self.absent.iter().enumerate().max_by_key(|(_, a)| a.clock.since);
            let Some((index, absent)) = newest.map(|(i, a)| (i, *a)) else { break };
            let part = u32::try_from(count).unwrap_or(u32::MAX).min(absent.count);
            count -= u64::from(part);
            dropped.push(Absent { count: part, ..absent });
            match absent.count - part {
                0 => drop(self.absent.remove(index)),
                rest => self.absent[index].count = rest,
            }
        }
        dropped
    }
}

/// The parts of `new` that are neither in `old` nor in `taken` (ascending), as (first, count).
pub fn gaps(old: &Range<u64>, new: &Range<u64>, taken: &[u32]) -> Vec<(u32, u32)> {
    let overlap_start = old.start.clamp(new.start, new.end);
    let overlap_end = old.end.clamp(overlap_start, new.end);
    let parts =
        if old.is_empty() { vec![new.clone()] } else { vec![new.start..overlap_start, overlap_end..new.end] };
    let mut found = Vec::new();
    for part in parts {
        let mut from = part.start;
        for ordinal in taken.iter().map(|o| u64::from(*o)).filter(|o| part.contains(o)) {
            if ordinal > from {
                found.push((from as u32, (ordinal - from) as u32));
            }
            from = ordinal + 1;
        }
        if part.end > from {
            found.push((from as u32, (part.end - from) as u32));
        }
    }
    found
}

/// All owners, by kind.
#[derive(Debug, Default)]
pub struct Owners {
    sets: Vec<Owner>,
    replica_sets: Vec<Owner>,
    jobs: Vec<Owner>,
}

impl Owners {
    /// The owner, made if it was not known.
    pub fn entry(&mut self, key: OwnerKey) -> &mut Owner {
        let (list, index) = match key {
            OwnerKey::StatefulSet(id) => (&mut self.sets, id.index()),
            OwnerKey::ReplicaSet(id) => (&mut self.replica_sets, id.index()),
            OwnerKey::Job(id) => (&mut self.jobs, id.index()),
        };
        if list.len() <= index {
            list.resize_with(index + 1, Owner::default);
        }
        &mut list[index]
    }
    /// The owner, if it is known.
    pub fn get(&self, key: OwnerKey) -> Option<&Owner> {
        match key {
            OwnerKey::StatefulSet(id) => self.sets.get(id.index()),
            OwnerKey::ReplicaSet(id) => self.replica_sets.get(id.index()),
            OwnerKey::Job(id) => self.jobs.get(id.index()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SimTime;

    #[test]
    fn gaps_are_what_is_new_and_has_no_pod() {
        for (old, new, taken, want) in [
            (0..0, 0..3, &[][..], vec![(0, 3)]),
            (0..3, 0..5, &[3][..], vec![(4, 1)]),
            (0..3, 0..2, &[][..], vec![]),
            (5..8, 3..9, &[4, 8][..], vec![(3, 1)]),
            (0..2, 10..12, &[][..], vec![(10, 2)]),
        ] {
            assert_eq!(gaps(&old, &new, taken), want, "{old:?} -> {new:?}");
        }
    }

    #[test]
    fn absent_ranges_split_and_clip() {
        let clock = Clock::started(SimTime::ZERO);
        let mut owner = Owner { absent: vec![Absent { first: 2, count: 5, clock }], ..Owner::default() };
        assert_eq!(owner.take_absent(Some(4)), Some(clock));
        assert_eq!(owner.absent_count(), 4); // 2, 3 and 5, 6
        let mut dropped = Vec::new();
        owner.clip_absent(3..6, &mut dropped);
        assert_eq!(owner.absent_count(), 2); // 3 and 5
        assert_eq!(dropped.iter().map(|a| a.first).collect::<Vec<_>>(), [2, 6]);
        assert_eq!(owner.take_absent(Some(9)), None);
    }
}
