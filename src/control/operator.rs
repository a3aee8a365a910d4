//! A database operator, as people recover MySQL and the like from local disks.
//!
//! A member whose node is certainly gone (or whose disk is lost) is given up after the policy's time: its claim and pod are deleted,
//! the StatefulSet makes both anew, the scheduler finds another disk. There the newest backup (or a running member's data) is copied
//! first; then the member catches up with what the others wrote since; then it is Ready again. A member that comes back on its own
//! data only catches up.
//!
//! How far data goes is counted in *written time*: the time in which the group had a quorum, since without one nobody can write. A
//! member that holds all of it is *complete*.

use super::copies::{Copies, Copy, Source};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::ids::{PodId, StatefulSetId, Uid};
use crate::scenario::{Quorum, RebuildSource, Recovery, RecoveryPolicy};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// How far a member's data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// It follows the group.
    Follows,
    /// It has this much written time.
    At(SimDuration),
}

/// What is known about one member's data.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Data {
    /// The claims that hold it.
    claims: Vec<Uid>,
    position: Position,
}

/// A group's log.
#[derive(Clone, Debug, Default)]
struct Group {
    /// Written time up to `looked`.
    written: SimDuration,
    looked: SimTime,
    /// There is a quorum: it is being written.
    writing: bool,
    /// It has been whole once: from then on a new member needs the data of the others.
    seeded: bool,
    /// What the newest backup holds.
    backup: SimDuration,
    members: BTreeMap<u32, Data>,
    /// Members whose data is out of reach, since when.
    away: BTreeMap<u32, SimTime>,
    /// Complete members as last asked.
    complete: Option<u32>,
}

/// What a member needs before it is Ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it starts with no data, as the whole group does, or its data is up to date.
    Nothing,
    /// What the others wrote in this much written time.
    CatchUp(SimDuration),
    /// All data, since its disk is empty.
    Rebuild,
}

/// The operator's memory.
#[derive(Clone, Debug)]
pub struct Operator {
    recovery: Recovery,
    groups: BTreeMap<StatefulSetId, Group>,
    /// Groups of the claims that hold data.
    holders: FxHashMap<Uid, StatefulSetId>,
    /// Copies under way and waiting.
    pub copies: Copies,
}

impl Operator {
    /// With the scenario's settings.
    pub fn new(recovery: Recovery) -> Operator {
        let copies = Copies::new(recovery.backup.bandwidth, recovery.backup.parallel);
        Operator { recovery, groups: BTreeMap::new(), holders: FxHashMap::default(), copies }
    }
    /// How long after its node is found gone a member is given up; `None`: never.
    pub fn gives_up_after(&self) -> Option<SimDuration> {
        match self.recovery.policy {
            RecoveryPolicy::Wait => None,
            RecoveryPolicy::Immediate => Some(SimDuration::ZERO),
            RecoveryPolicy::After(span) => Some(span),
        }
    }
    /// Members of `replicas` that must be there for the group to be written.
    pub fn quorum(&self, replicas: u32) -> u32 {
        quorum(self.recovery.quorum, replicas)
    }
    /// Distribution of the bytes of a copy; `None`: the size of the claims.
    pub fn copy_size(&self) -> Option<&crate::scenario::Distribution<u64>> {
        self.recovery.backup.size.as_ref()
    }
    /// Where a rebuilt member's data comes from.
    pub fn rebuilds_from(&self) -> RebuildSource {
        self.recovery.rebuild
    }

    /// The group up to `now`.
    fn look(&mut self, set: StatefulSetId, now: SimTime) -> &mut Group {
        let every = self.recovery.backup.every;
        let group = self.groups.entry(set).or_default();
        let span = now.since(group.looked);
        if group.seeded && !every.is_zero() {
            let ticks = now.as_nanos() / every.as_nanos();
            let tick = SimTime::from_nanos(ticks * every.as_nanos());
            if tick > group.looked {
                let then = if group.writing { tick.since(group.looked) } else { SimDuration::ZERO };
                group.backup = group.written + then;
            }
        }
        if group.writing {
            group.written = group.written + span;
        }
        group.looked = now;
        group
    }

    /// What a member with these claims needs when it is started now.
    pub fn need(&mut self, set: StatefulSetId, ordinal: u32, claims: &[Uid], now: SimTime) -> Need {
        let group = self.look(set, now);
        match group.members.get(&ordinal) {
            Some(data) if data.claims == claims => match data.position {
                Position::Follows => Need::Nothing,
                Position::At(at) if at >= group.written => Need::Nothing,
                Position::At(at) => Need::CatchUp(less(group.written, at)),
            },
            Some(_) => Need::Rebuild,
            None if group.seeded => Need::Rebuild,
            None => Need::Nothing,
        }
    }
    /// The member holds all of the group's data from now on.
    pub fn follows(&mut self, set: StatefulSetId, ordinal: u32, claims: &[Uid], now: SimTime) {
        self.holds(set, ordinal, Data { claims: claims.to_vec(), position: Position::Follows }, now);
    }
    /// A copy is on the member's disk.
    pub fn rebuilt(
        &mut self,
        set: StatefulSetId,
        ordinal: u32,
        claims: &[Uid],
        at: SimDuration,
        now: SimTime,
    ) {
        self.holds(set, ordinal, Data { claims: claims.to_vec(), position: Position::At(at) }, now);
    }
    fn holds(&mut self, set: StatefulSetId, ordinal: u32, data: Data, now: SimTime) {
        for claim in &data.claims {
            self.holders.insert(*claim, set);
        }
        self.look(set, now).members.insert(ordinal, data);
    }
    /// The member stops following the group.
    pub fn stops_following(&mut self, set: StatefulSetId, ordinal: u32, now: SimTime) {
        let group = self.look(set, now);
        let written = group.written;
        if let Some(data) = group.members.get_mut(&ordinal)
            && data.position == Position::Follows
        {
            data.position = Position::At(written);
        }
    }
    /// A claim is gone, or its volume is: so is the data that it held. Returns its group and the written time that nobody holds any
    /// more.
    pub fn forgets(&mut self, claim: Uid, now: SimTime) -> Option<(StatefulSetId, SimDuration)> {
        let set = self.holders.remove(&claim)?;
        let group = self.look(set, now);
        // The ordinal stays known: its next disk needs the data of the others.
        for data in group.members.values_mut().filter(|data| data.claims.contains(&claim)) {
            *data = Data { claims: Vec::new(), position: Position::At(SimDuration::ZERO) };
        }
        let held = group.members.values().filter(|data| !data.claims.is_empty());
        let best = held.map(|data| match data.position {
            Position::Follows => group.written,
            Position::At(at) => at,
        });
        let best = best.max().unwrap_or(group.backup).min(group.written);
        let lost = less(group.written, best);
        group.written = best;
        group.backup = group.backup.min(best);
        Some((set, lost))
    }
    /// All members of the set are whole.
    pub fn is_whole(&mut self, set: StatefulSetId, now: SimTime) {
        let group = self.look(set, now);
        if !group.seeded {
            group.seeded = true;
            // The first backup is taken when there is something to back up.
            group.backup = group.written;
        }
    }
    /// The group gets or loses its quorum.
    pub fn set_writing(&mut self, set: StatefulSetId, writing: bool, now: SimTime) {
        self.look(set, now).writing = writing;
    }
    /// How many members hold everything, if that is not what was said last.
    pub fn new_complete(&mut self, set: StatefulSetId, now: SimTime) -> Option<u32> {
        let group = self.look(set, now);
        let complete = |data: &&Data| match data.position {
            Position::Follows => true,
            Position::At(at) => !group.writing && !data.claims.is_empty() && at >= group.written,
        };
        let complete = group.members.values().filter(complete).count() as u32;
        (group.complete.replace(complete) != Some(complete)).then_some(complete)
    }
    /// What a copy of the newest backup holds.
    pub fn backup_position(&mut self, set: StatefulSetId, now: SimTime) -> SimDuration {
        self.look(set, now).backup
    }
    /// What a copy of a running member holds.
    pub fn written(&mut self, set: StatefulSetId, now: SimTime) -> SimDuration {
        self.look(set, now).written
    }

    // ---- giving up ----

    /// The member's data is out of reach; true if it was not before.
    pub fn is_away(&mut self, set: StatefulSetId, ordinal: u32, now: SimTime) -> bool {
        let away = &mut self.groups.entry(set).or_default().away;
        let new = !away.contains_key(&ordinal);
        away.entry(ordinal).or_insert(now);
        new
    }
    /// It is within reach again, or given up.
    pub fn is_back(&mut self, set: StatefulSetId, ordinal: u32) {
        if let Some(group) = self.groups.get_mut(&set) {
            group.away.remove(&ordinal);
        }
    }
    /// Has it been out of reach for the policy's time?
    pub fn is_to_be_given_up(&self, set: StatefulSetId, ordinal: u32, now: SimTime) -> bool {
        let since = self.groups.get(&set).and_then(|group| group.away.get(&ordinal));
        let after = self.gives_up_after();
        since.zip(after).is_some_and(|(since, after)| *since + after <= now)
    }

    // ---- catching up, copies ----

    /// How long it takes to catch up with this much written time, while the others go on writing.
    pub fn catch_up_time(&self, span: SimDuration) -> SimDuration {
        let (write, replay) = (self.recovery.write_rate, self.recovery.replay_rate);
        if span.is_zero() || write <= 0.0 {
            return SimDuration::ZERO;
        }
        // The reader refuses a replay that is slower than the writes.
        SimDuration::from_secs_f64(span.as_secs_f64() * write / (replay - write))
    }
    /// What is sent to a member that catches up with this much written time.
    pub fn catch_up_bytes(&self, span: SimDuration) -> u64 {
        let time = span + self.catch_up_time(span);
        (time.as_secs_f64() * self.recovery.write_rate) as u64
    }
    /// Asks for a copy; it begins when fewer than `parallel` are under way.
    pub fn request(&mut self, copy: Copy, now: SimTime) {
        self.copies.request(copy, now);
    }
    /// Calls off the copies for a pod, or out of it. Returns the pods that have to ask again.
    pub fn call_off(&mut self, pod: PodId, now: SimTime) -> Vec<PodId> {
        self.copies.call_off(|copy| copy.pod == pod || copy.source == Source::Member(pod), now)
    }
}

/// Members of `replicas` that a rule asks for.
pub fn quorum(rule: Quorum, replicas: u32) -> u32 {
    match rule {
        Quorum::Majority => replicas / 2 + 1,
        Quorum::AtLeast(members) => members,
    }
}

fn less(a: SimDuration, b: SimDuration) -> SimDuration {
    SimDuration::from_nanos(a.as_nanos().saturating_sub(b.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::BackupSpec;

    fn operator() -> Operator {
        Operator::new(Recovery {
            policy: RecoveryPolicy::After(SimDuration::from_secs(1800)),
            rebuild: RebuildSource::Backup,
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
    fn at(seconds: u64) -> SimTime {
        SimTime::from_secs(seconds)
    }
    const SET: StatefulSetId = StatefulSetId::at(0);

    /// Three members that are whole and write from second 100 on.
    fn whole() -> Operator {
        let mut operator = operator();
        for ordinal in 0..3 {
            assert_eq!(operator.need(SET, ordinal, &[Uid::new(ordinal.into())], at(100)), Need::Nothing);
            operator.follows(SET, ordinal, &[Uid::new(ordinal.into())], at(100));
        }
        operator.set_writing(SET, true, at(100));
        operator.is_whole(SET, at(100));
        operator
    }

    #[test]
    fn catching_up_is_the_back_of_an_envelope() {
        let operator = operator();
        // A lag of 7000 s at 5 MB/s is 35 GB, gone in 1000 s at 40 - 5 MB/s; 5 GB more were written meanwhile.
        assert_eq!(operator.catch_up_time(SimDuration::from_secs(7000)), SimDuration::from_secs(1000));
        assert_eq!(operator.catch_up_bytes(SimDuration::from_secs(7000)), 40_000_000_000);
    }

    #[test]
    fn lag_is_what_was_written_meanwhile() {
        let mut operator = whole();
        operator.stops_following(SET, 2, at(200));
        assert_eq!(operator.need(SET, 2, &[Uid::new(2)], at(260)), Need::CatchUp(SimDuration::from_secs(60)));
        // Without a quorum nobody writes.
        operator.set_writing(SET, false, at(300));
        assert_eq!(
            operator.need(SET, 2, &[Uid::new(2)], at(9000)),
            Need::CatchUp(SimDuration::from_secs(100))
        );
        assert_eq!(operator.need(SET, 2, &[Uid::new(7)], at(9000)), Need::Rebuild, "another disk");
        assert_eq!(operator.need(SET, 3, &[Uid::new(8)], at(9000)), Need::Rebuild, "a new member");
    }

    #[test]
    fn a_backup_holds_what_was_written_at_its_tick() {
        let mut operator = whole();
        assert_eq!(operator.backup_position(SET, at(50_000)), SimDuration::ZERO);
        assert_eq!(operator.backup_position(SET, at(100_000)), SimDuration::from_secs(86_300));
        operator.set_writing(SET, false, at(100_100));
        assert_eq!(operator.backup_position(SET, at(200_000)), SimDuration::from_secs(100_000));
    }

    #[test]
    fn writes_are_lost_with_their_last_holder() {
        let mut operator = whole();
        assert_eq!(operator.new_complete(SET, at(200)), Some(3));
        operator.stops_following(SET, 0, at(200));
        operator.stops_following(SET, 1, at(300));
        operator.set_writing(SET, false, at(300));
        assert_eq!(
            operator.new_complete(SET, at(300)),
            Some(2),
            "the one that follows, and the one that has just stopped"
        );
        operator.stops_following(SET, 2, at(300));
        assert_eq!(
            operator.forgets(Uid::new(2), at(400)),
            Some((SET, SimDuration::ZERO)),
            "another has it all"
        );
        assert_eq!(operator.forgets(Uid::new(1), at(400)), Some((SET, SimDuration::from_secs(100))));
        assert_eq!(operator.need(SET, 0, &[Uid::NOTHING], at(500)), Need::Nothing, "it is the best there is");
        assert_eq!(
            operator.forgets(Uid::NOTHING, at(500)),
            Some((SET, SimDuration::from_secs(100))),
            "back to the first backup"
        );
    }
    #[test]
    fn how_many_members_are_a_quorum() {
        let want = [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)];
        for (replicas, members) in want {
            assert_eq!(quorum(Quorum::Majority, replicas), members, "of {replicas}");
            assert_eq!(operator().quorum(replicas), members);
        }
        assert_eq!(quorum(Quorum::AtLeast(1), 5), 1);
    }

    #[test]
    fn members_are_given_up_after_the_policys_time() {
        let mut operator = operator();
        assert_eq!(operator.gives_up_after(), Some(SimDuration::from_secs(1800)));
        assert!(!operator.is_to_be_given_up(SET, 1, at(9000)), "it is not away");
        assert!(operator.is_away(SET, 1, at(100)));
        assert!(!operator.is_away(SET, 1, at(200)), "it is known since 100 s");
        assert!(!operator.is_to_be_given_up(SET, 1, at(1899)));
        assert!(operator.is_to_be_given_up(SET, 1, at(1900)));
        assert!(
            !operator.is_to_be_given_up(SET, 2, at(9000))
                && !operator.is_to_be_given_up(StatefulSetId::at(1), 1, at(9000))
        );
        operator.is_back(SET, 1);
        assert!(!operator.is_to_be_given_up(SET, 1, at(9000)));
        assert!(operator.is_away(SET, 1, at(9000)), "anew");
        let with = |policy| Operator::new(Recovery { policy, ..operator.recovery.clone() });
        let (mut wait, mut now) = (with(RecoveryPolicy::Wait), with(RecoveryPolicy::Immediate));
        wait.is_away(SET, 1, at(0));
        now.is_away(SET, 1, at(5));
        assert_eq!((wait.gives_up_after(), now.gives_up_after()), (None, Some(SimDuration::ZERO)));
        assert!(!wait.is_to_be_given_up(SET, 1, at(1_000_000)) && now.is_to_be_given_up(SET, 1, at(5)));
    }

    #[test]
    fn a_copy_needs_what_was_written_after_it() {
        let mut operator = whole();
        assert_eq!(operator.written(SET, at(160)), SimDuration::from_secs(60));
        operator.forgets(Uid::new(2), at(160));
        assert_eq!(operator.need(SET, 2, &[Uid::new(9)], at(160)), Need::Rebuild);
        operator.rebuilt(SET, 2, &[Uid::new(9)], SimDuration::from_secs(60), at(200));
        assert_eq!(operator.need(SET, 2, &[Uid::new(9)], at(200)), Need::CatchUp(SimDuration::from_secs(40)));
        assert_eq!(operator.new_complete(SET, at(200)), Some(2));
        assert_eq!(operator.new_complete(SET, at(200)), None, "as before");
        operator.follows(SET, 2, &[Uid::new(9)], at(210));
        assert_eq!(operator.new_complete(SET, at(210)), Some(3));
        operator.stops_following(SET, 2, at(220));
        operator.stops_following(SET, 2, at(230));
        assert_eq!(
            operator.need(SET, 2, &[Uid::new(9)], at(230)),
            Need::CatchUp(SimDuration::from_secs(10)),
            "since it stopped first"
        );
        operator.set_writing(SET, false, at(230));
        assert_eq!(operator.new_complete(SET, at(230)), Some(2), "it lacks what was written since");
    }

    #[test]
    fn nothing_written_is_nothing_to_catch_up_with() {
        let mut idle = operator();
        assert_eq!(idle.catch_up_time(SimDuration::ZERO), SimDuration::ZERO);
        assert_eq!(idle.catch_up_bytes(SimDuration::ZERO), 0);
        idle.recovery.write_rate = 0.0;
        assert_eq!(idle.catch_up_time(SimDuration::from_secs(7000)), SimDuration::ZERO);
        assert_eq!(idle.catch_up_bytes(SimDuration::from_secs(7000)), 0);
    }

    #[test]
    fn backups_are_taken_only_of_what_has_been_whole() {
        let mut operator = operator();
        operator.follows(SET, 0, &[Uid::new(0)], at(0));
        operator.set_writing(SET, true, at(0));
        assert_eq!(operator.backup_position(SET, at(90_000)), SimDuration::ZERO, "it never was whole");
        operator.is_whole(SET, at(90_000));
        assert_eq!(
            operator.backup_position(SET, at(90_000)),
            SimDuration::from_secs(90_000),
            "the first backup"
        );
        operator.is_whole(SET, at(100_000));
        assert_eq!(
            operator.backup_position(SET, at(100_000)),
            SimDuration::from_secs(90_000),
            "that happens once"
        );
        assert_eq!(
            operator.backup_position(SET, at(172_800)),
            SimDuration::from_secs(172_800),
            "at the tick"
        );
        let mut never = Operator::new(Recovery {
            backup: BackupSpec { every: SimDuration::ZERO, ..operator.recovery.backup.clone() },
            ..operator.recovery.clone()
        });
        never.set_writing(SET, true, at(0));
        never.is_whole(SET, at(10));
        assert_eq!(never.backup_position(SET, at(1_000_000)), SimDuration::from_secs(10));
    }
    #[test]
    fn copies_end_with_whoever_they_come_from_or_go_to() {
        let mut operator = operator();
        let copy = |pod: u32, source: Source| Copy {
            pod: PodId::at(pod),
            uid: Uid::new(pod.into()),
            set: SET,
            source,
            target: crate::model::ids::NodeId::at(pod),
            bytes: 1_000_000_000,
            position: SimDuration::ZERO,
        };
        operator.request(copy(1, Source::Member(PodId::at(7))), at(0));
        operator.request(copy(2, Source::Backups), at(0));
        operator.request(copy(3, Source::Member(PodId::at(8))), at(0));
        assert_eq!(operator.call_off(PodId::at(9), at(1)), []);
        assert_eq!(operator.call_off(PodId::at(7), at(1)), [PodId::at(1)], "it came from there");
        assert_eq!(operator.call_off(PodId::at(7), at(1)), []);
        assert_eq!(operator.call_off(PodId::at(2), at(1)), [PodId::at(2)]);
        assert_eq!(operator.call_off(PodId::at(8), at(1)), [PodId::at(3)], "it waited");
    }
}
