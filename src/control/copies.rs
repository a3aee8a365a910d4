//! Copies of data over a network: some at a time, sharing the bandwidth of their source and of their target.

use crate::engine::time::{NANOS_PER_SECOND, SimDuration, SimTime};
use crate::model::ids::{NodeId, PodId, StatefulSetId, Uid};
use std::collections::{BTreeMap, VecDeque};

/// Where data comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The store of backups: there is one.
    Backups,
    /// A running member.
    Member(PodId),
}

/// A copy that a pod waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The pod that waits for it.
    pub pod: PodId,
    /// Its uid.
    pub uid: Uid,
    /// Its group.
    pub set: StatefulSetId,
    /// Where it comes from.
    pub source: Source,
    /// The node that it goes to.
    pub target: NodeId,
    /// How much.
    pub bytes: u64,
    /// How much written time it holds.
    pub position: SimDuration,
}

/// A copy under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    copy: Copy,
    /// What is left, in bytes times nanoseconds per second: exact at every rate.
    left: u128,
    /// Bytes per second at present.
    rate: u64,
}

/// All copies.
#[derive(Clone, Debug)]
pub struct Copies {
    /// Bytes per second of each source and of each target.
    bandwidth: u64,
    parallel: u32,
    running: Vec<Running>,
    waiting: VecDeque<Copy>,
    begun: Vec<Copy>,
    /// Up to here the running ones are accounted for.
    now: SimTime,
    generation: u32,
}

impl Copies {
    /// None yet. `bandwidth` in bytes per second, of each source and each target; at most `parallel` at a time.
    pub fn new(bandwidth: f64, parallel: u32) -> Copies {
        Copies {
            bandwidth: (bandwidth as u64).max(1),
            parallel: parallel.max(1),
            running: Vec::new(),
            waiting: VecDeque::new(),
            begun: Vec::new(),
            now: SimTime::ZERO,
            generation: 0,
        }
    }
    /// Asks for a copy.
    pub fn request(&mut self, copy: Copy, now: SimTime) {
        self.advance(now);
        self.waiting.push_back(copy);
        self.fill();
    }
    /// Calls off those of which `which` is true. Returns the pods that waited for them.
    pub fn call_off(&mut self, which: impl Fn(&Copy) -> bool, now: SimTime) -> Vec<PodId> {
        let of = |copies: &mut dyn Iterator<Item = &Copy>| -> Vec<PodId> {
            copies.filter(|c| which(c)).map(|c| c.pod).collect()
        };
        let mut pods = of(&mut self.running.iter().map(|r| &r.copy));
        pods.extend(of(&mut self.waiting.iter()));
        if !pods.is_empty() {
            self.advance(now);
            self.running.retain(|r| !which(&r.copy));
            self.waiting.retain(|copy| !which(copy));
            self.begun.retain(|copy| !which(copy));
            self.fill();
        }
        pods
    }
    /// Copies that have ended by `now`, in the order in which they began.
    pub fn finished(&mut self, now: SimTime) -> Vec<Copy> {
        self.advance(now);
        let done: Vec<Copy> = self.running.iter().filter(|r| r.left == 0).map(|r| r.copy).collect();
        if !done.is_empty() {
            self.running.retain(|r| r.left > 0);
            self.fill();
        }
        done
    }
    /// Copies that have begun since this was asked.
    pub fn take_begun(&mut self) -> Vec<Copy> {
        std::mem::take(&mut self.begun)
    }
    /// When the next one ends if nothing changes, and a number that tells whether something did.
    pub fn next_end(&self) -> Option<(SimTime, u32)> {
        let ends = self.running.iter().map(|r| {
            let nanos = r.left.div_ceil(u128::from(r.rate.max(1)));
            self.now + SimDuration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        });
        ends.min().map(|at| (at, self.generation))
    }
    /// Copies out of a member at present.
    pub fn out_of(&self, pod: PodId) -> usize {
        self.running.iter().filter(|r| r.copy.source == Source::Member(pod)).count()
    }

    fn advance(&mut self, now: SimTime) {
        let nanos = u128::from(now.since(self.now).as_nanos());
        self.now = now;
        for running in &mut self.running {
            running.left = running.left.saturating_sub(nanos * u128::from(running.rate));
        }
    }
    /// Begins what may begin, and shares the bandwidth anew.
    fn fill(&mut self) {
        while self.running.len() < self.parallel as usize
            && let Some(copy) = self.waiting.pop_front()
        {
            let left = u128::from(copy.bytes) * u128::from(NANOS_PER_SECOND);
            self.running.push(Running { copy, left, rate: 0 });
            self.begun.push(copy);
        }
        let (mut sources, mut targets) = (BTreeMap::new(), BTreeMap::new());
        for running in &self.running {
            *sources.entry(running.copy.source).or_insert(0u64) += 1;
            *targets.entry(running.copy.target).or_insert(0u64) += 1;
        }
        for running in &mut self.running {
            let sharing = sources[&running.copy.source].max(targets[&running.copy.target]);
            running.rate = (self.bandwidth / sharing).max(1);
        }
        self.generation = self.generation.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(pod: u32, source: Source, target: u32, gigabytes: u64) -> Copy {
        Copy {
            pod: PodId::at(pod),
            uid: Uid::new(pod.into()),
            set: StatefulSetId::at(0),
            source,
            target: NodeId::at(target),
            bytes: gigabytes * 1_000_000_000,
            position: SimDuration::ZERO,
        }
    }
    fn end(copies: &Copies) -> Option<SimTime> {
        copies.next_end().map(|(at, _)| at)
    }
    fn at(seconds: u64) -> SimTime {
        SimTime::from_secs(seconds)
    }

    #[test]
    fn one_copy_takes_size_over_bandwidth() {
        let mut copies = Copies::new(200e6, 4);
        copies.request(copy(1, Source::Backups, 0, 300), at(100));
        assert_eq!(end(&copies), Some(at(1600)));
        assert_eq!(copies.finished(at(1600)).len(), 1);
        assert_eq!(end(&copies), None);
    }

    #[test]
    fn copies_out_of_one_store_share_its_bandwidth() {
        let mut copies = Copies::new(100e6, 4);
        copies.request(copy(1, Source::Backups, 0, 100), at(0));
        copies.request(copy(2, Source::Backups, 1, 100), at(500));
        // The first has 50 GB left, at half the rate; then the second has 50 GB left at the full one.
        assert_eq!(end(&copies), Some(at(1500)));
        assert_eq!(copies.finished(at(1500)).len(), 1);
        assert_eq!(end(&copies), Some(at(2000)));
    }

    #[test]
    fn a_target_shares_too_and_others_do_not() {
        let mut copies = Copies::new(100e6, 4);
        copies.request(copy(1, Source::Member(PodId::at(7)), 0, 100), at(0));
        copies.request(copy(2, Source::Member(PodId::at(8)), 1, 100), at(0));
        assert_eq!(end(&copies), Some(at(1000)), "other sources, other targets");
        copies.request(copy(3, Source::Member(PodId::at(9)), 1, 100), at(0));
        assert_eq!(copies.finished(at(1000)).iter().map(|c| c.pod).collect::<Vec<_>>(), [PodId::at(1)]);
        assert_eq!(end(&copies), Some(at(2000)), "two to node 1");
    }

    #[test]
    fn some_wait_for_their_turn_and_some_are_called_off() {
        let mut copies = Copies::new(100e6, 1);
        for pod in 1..4 {
            copies.request(copy(pod, Source::Backups, pod, 10), at(0));
        }
        assert_eq!(copies.take_begun().len(), 1);
        assert_eq!(copies.call_off(|c| c.pod == PodId::at(2), at(50)), [PodId::at(2)]);
        assert_eq!(copies.finished(at(100)).iter().map(|c| c.pod).collect::<Vec<_>>(), [PodId::at(1)]);
        assert_eq!(copies.take_begun().iter().map(|c| c.pod).collect::<Vec<_>>(), [PodId::at(3)]);
        assert_eq!(end(&copies), Some(at(200)));
    }
}
