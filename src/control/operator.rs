//! A database operator, as people recover MySQL and the like from local disks.
//!
//! A member whose node is certainly gone (or whose disk is lost) is given up after the policy's time: its claim and pod are deleted,
//! the StatefulSet makes both anew, the scheduler finds another disk. There the newest backup is copied first (some copies at a
//! time), then the member catches up with what the others wrote since; then it is Ready again. A member that comes back on its own
//! data only catches up.

use crate::engine::time::{SimDuration, SimTime};
use crate::model::ids::{PodId, StatefulSetId, Uid};
use crate::scenario::{Recovery, RecoveryPolicy};
use std::collections::{BTreeMap, VecDeque};

/// What is known about one member's data.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Data {
    /// The claims that hold it.
    claims: Vec<Uid>,
    /// Until when it follows the group; `SimTime::MAX` while it does.
    as_of: SimTime,
}

/// What a member needs before it is Ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it starts with no data, as the whole group does, or its data is up to date.
    Nothing,
    /// What the others wrote in this span.
    CatchUp(SimDuration),
    /// A backup, since its disk is empty.
    Backup,
}

/// A copy of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The pod that waits for it.
    pub pod: PodId,
    /// Its uid.
    pub uid: Uid,
    /// How much.
    pub bytes: u64,
}

/// The operator's memory.
#[derive(Clone, Debug)]
pub struct Operator {
    recovery: Recovery,
    members: BTreeMap<(StatefulSetId, u32), Data>,
    /// Sets that have been whole once: from then on an empty member needs a backup.
    seeded: BTreeMap<StatefulSetId, bool>,
    waiting: VecDeque<Copy>,
    copying: u32,
}

impl Operator {
    /// With the scenario's settings.
    pub fn new(recovery: Recovery) -> Operator {
        Operator {
            recovery,
            members: BTreeMap::new(),
            seeded: BTreeMap::new(),
            waiting: VecDeque::new(),
            copying: 0,
        }
    }
    /// How long after its node is found gone a member is given up; `None`: never.
    pub fn gives_up_after(&self) -> Option<SimDuration> {
        match self.recovery.policy {
            RecoveryPolicy::Wait => None,
            RecoveryPolicy::Immediate => Some(SimDuration::ZERO),
            RecoveryPolicy::After(span) => Some(span),
        }
    }
    /// What a member with these claims needs when it is started now.
    pub fn need(&self, set: StatefulSetId, ordinal: u32, claims: &[Uid], now: SimTime) -> Need {
        match self.members.get(&(set, ordinal)) {
            Some(data) if data.claims == claims => Need::CatchUp(if data.as_of == SimTime::MAX {
                SimDuration::ZERO
            } else {
                now.since(data.as_of)
            }),
            _ if self.seeded.get(&set).copied().unwrap_or(false) => Need::Backup,
            _ => Need::Nothing,
        }
    }
    /// The member holds the group's data as of then (`SimTime::MAX`: and follows it).
    pub fn holds(&mut self, set: StatefulSetId, ordinal: u32, claims: &[Uid], as_of: SimTime) {
        self.members.insert((set, ordinal), Data { claims: claims.to_vec(), as_of });
    }
    /// The member stops following the group.
    pub fn stops_following(&mut self, set: StatefulSetId, ordinal: u32, now: SimTime) {
        if let Some(data) = self.members.get_mut(&(set, ordinal)) {
            data.as_of = data.as_of.min(now);
        }
    }
    /// All members of the set are whole.
    pub fn is_whole(&mut self, set: StatefulSetId) {
        self.seeded.insert(set, true);
    }
    /// When the newest backup at `now` was taken: every period since the start.
    pub fn newest_backup(&self, now: SimTime) -> SimTime {
        let every = self.recovery.backup.every.as_nanos();
        if every == 0 {
            return now;
        }
        SimTime::from_nanos(now.as_nanos() / every * every)
    }
    /// How long it takes to catch up with what was written in `span`, while the others go on writing; `None`: for ever.
    pub fn catch_up_time(&self, span: SimDuration) -> Option<SimDuration> {
        let (write, replay) = (self.recovery.write_rate, self.recovery.replay_rate);
        if span.is_zero() || write <= 0.0 {
            return Some(SimDuration::ZERO);
        }
        if replay <= write {
            return None;
        }
        Some(SimDuration::from_secs_f64(span.as_secs_f64() * write / (replay - write)))
    }
    /// How long a copy takes.
    pub fn copy_time(&self, bytes: u64) -> SimDuration {
        SimDuration::from_secs_f64(bytes as f64 / self.recovery.backup.bandwidth)
    }
    /// A copy is wanted. Returned if it may begin now.
    pub fn request(&mut self, copy: Copy) -> Option<Copy> {
        if self.copying < self.recovery.backup.parallel.max(1) {
            self.copying += 1;
            return Some(copy);
        }
        self.waiting.push_back(copy);
        None
    }
    /// A copy has ended, or is not wanted any more. Returns the next that may begin; `is_wanted` tells whether it still is.
    pub fn finished(&mut self, is_wanted: impl Fn(&Copy) -> bool) -> Option<Copy> {
        while let Some(next) = self.waiting.pop_front() {
            if is_wanted(&next) {
                return Some(next);
            }
        }
        self.copying = self.copying.saturating_sub(1);
        None
    }
    /// Distribution of the bytes of a backup; `None`: the size of the claims.
    pub fn backup_size(&self) -> Option<&crate::scenario::Distribution<u64>> {
        self.recovery.backup.size.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BackupSpec, Quorum};

    fn operator() -> Operator {
        Operator::new(Recovery {
            policy: RecoveryPolicy::After(SimDuration::from_secs(1800)),
            backup: BackupSpec {
                every: SimDuration::from_secs(86_400),
                size: None,
                bandwidth: 200e6,
                parallel: 1,
            },
            write_rate: 5e6,
            replay_rate: 40e6,
            quorum: Quorum::Majority,
        })
    }

    #[test]
    fn times_are_those_of_the_back_of_an_envelope() {
        let operator = operator();
        // 300 GB at 200 MB/s; a lag of 7000 s at 5 MB/s is 35 GB, gone in 1000 s at 40 - 5 MB/s.
        assert_eq!(operator.copy_time(300_000_000_000), SimDuration::from_secs(1500));
        assert_eq!(operator.catch_up_time(SimDuration::from_secs(7000)), Some(SimDuration::from_secs(1000)));
        assert_eq!(operator.newest_backup(SimTime::from_secs(100_000)), SimTime::from_secs(86_400));
    }

    #[test]
    fn an_empty_disk_needs_a_backup_only_once_the_group_has_data() {
        let (mut operator, set, now) = (operator(), StatefulSetId(0), SimTime::from_secs(100));
        let (old, new) = ([Uid(1)], [Uid(2)]);
        assert_eq!(operator.need(set, 0, &old, now), Need::Nothing);
        operator.holds(set, 0, &old, SimTime::MAX);
        operator.is_whole(set);
        assert_eq!(operator.need(set, 0, &old, now), Need::CatchUp(SimDuration::ZERO));
        operator.stops_following(set, 0, SimTime::from_secs(40));
        assert_eq!(operator.need(set, 0, &old, now), Need::CatchUp(SimDuration::from_secs(60)));
        assert_eq!(operator.need(set, 0, &new, now), Need::Backup);
        assert_eq!(operator.need(set, 3, &new, now), Need::Backup, "a new member too");
    }

    #[test]
    fn copies_wait_for_their_turn() {
        let mut operator = operator();
        let copy = |n: u32| Copy { pod: PodId(n), uid: Uid(u64::from(n)), bytes: 1 };
        assert_eq!(operator.request(copy(1)), Some(copy(1)));
        assert_eq!(operator.request(copy(2)), None);
        assert_eq!(operator.request(copy(3)), None);
        assert_eq!(operator.finished(|c| c.pod != PodId(2)), Some(copy(3)), "2 is not wanted any more");
        assert_eq!(operator.finished(|_| true), None);
        assert_eq!(operator.request(copy(4)), Some(copy(4)));
    }
}
