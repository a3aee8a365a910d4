//! Pairs the events of pods (submitted, placed, evicted, ended) to lives.
//!
//! Memory is in proportion to the pods that are alive. A pod that is evicted stays wanted; one that ended and is submitted
//! again is a new pod with the suffix `-r1`, `-r2` ...

use super::error::{SkipReason, TraceError, TraceResult};
use super::reader::Blame;
use super::record::{PodEvent, PodRequest, PodVerb, TraceId, TracePod};
use crate::engine::time::SimTime;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;
use std::num::NonZeroU32;

/// Pods in the making.
#[derive(Default)]
pub struct Lives {
    /// Slots of the pods that are alive, found by the hash of their names. The table holds nothing else, so that it stays in the
    /// caches; the names are in the slots.
    open: HashTable<u32>,
    slots: Vec<Option<OpenLife>>,
    free: Vec<u32>,
    /// How often an id ended, when names have to be told apart.
    ended: Option<FxHashMap<u128, u32>>,
    next_order: u64,
    last: SimTime,
}

#[derive(Debug)]
struct OpenLife {
    order: u64,
    evicted: bool,
    scheduled: Option<SimTime>,
    /// What its first event said, with the machine of its last placement.
    first: PodEvent,
}

/// A life that is known.
#[derive(Debug)]
pub struct Life {
    life: OpenLife,
    end: Option<SimTime>,
    /// How many pods of this id ended before it.
    again: u32,
}

impl Life {
    /// Position among all submissions.
    pub fn order(&self) -> u64 {
        self.life.order
    }
    /// What it asked for.
    pub fn request(&self) -> PodRequest {
        self.life.first.request
    }
    /// When it was created; `None`: before the trace began.
    pub fn arrival(&self) -> Option<SimTime> {
        self.life.first.at()
    }
    /// When it ended; `None`: not during the trace.
    pub fn end(&self) -> Option<SimTime> {
        self.end
    }

    /// The pod that lived it.
    pub fn into_pod(self) -> TracePod {
        let OpenLife { scheduled, first, .. } = self.life;
        let arrival = first.at();
        let (group, role) = first.details.map_or((None, None), |d| (d.group, d.role));
        let job = if let TraceId::Task(job, _) = first.name { Some(TraceId::Number(job)) } else { None };
        let name = match self.again {
            0 => first.name,
            again => TraceId::Text(format!("{}-r{again}", first.name).into()),
        };
        TracePod {
            name,
            arrival,
            end: self.end,
            scheduled,
            cpu_milli: first.request.cpu_milli,
            memory_bytes: first.request.memory_bytes,
            disk_bytes: first.request.disk_bytes,
            group: group.or(job),
            role,
            priority: first.priority.map(i64::from),
            max_per_node: first.max_per_node.map(NonZeroU32::get),
            placement: first.placement,
            ..TracePod::default()
        }
    }
}

/// What an event did.
pub enum Outcome {
    /// A pod began to be wanted.
    Began(PodRequest),
    /// It became known what a pod asks for; before, only little (or nothing) was.
    Known {
        /// What was known.
        was: PodRequest,
        /// What is.
        now: PodRequest,
    },
    /// A pod ended.
    Ended(Life),
    /// Neither.
    Nothing,
    /// The event is earlier than one before: the events must be sorted first.
    OutOfOrder,
}

impl Lives {
    /// Lives whose pods need names of their own when an id comes back.
    pub fn with_names() -> Lives {
        Lives { ended: Some(FxHashMap::default()), ..Lives::default() }
    }

    /// Applies an event.
    ///
    /// # Errors
    /// In strict reading: an id submitted twice, an end without a start.
    pub fn apply(&mut self, event: &mut PodEvent, blame: Blame<'_>) -> TraceResult<Outcome> {
        let at = SimTime::from_nanos(event.at_nanos);
        if at < self.last {
            return Ok(Outcome::OutOfOrder);
        }
        self.last = at;
        let slots = &self.slots;
        let life_of = |slot: &u32| slots.get(*slot as usize).and_then(Option::as_ref);
        let same = |slot: &u32| life_of(slot).is_some_and(|life| life.first.name == event.name);
        let hash_of = |slot: &u32| life_of(slot).map_or(0, |life| hash(&life.first.name));
        match self.open.entry(hash(&event.name), same, hash_of) {
            Entry::Vacant(entry)
                if matches!(event.verb, PodVerb::Submit | PodVerb::Seen | PodVerb::Schedule) =>
            {
                let request = event.request;
                let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
                entry.insert(slot);
                self.begin(slot, event);
                Ok(Outcome::Began(request))
            }
            Entry::Vacant(_) => {
                unknown_pod(event, blame)?;
                Ok(Outcome::Nothing)
            }
            Entry::Occupied(entry) if event.verb == PodVerb::End => {
                let (slot, _) = entry.remove();
                self.free.push(slot);
                Ok(self.finish(slot, Some(at)).map_or(Outcome::Nothing, Outcome::Ended))
            }
            Entry::Occupied(entry) => {
                let slot = *entry.get();
                match self.slots.get_mut(slot as usize) {
                    Some(Some(life)) => life.go_on(event, at, blame),
                    _ => Ok(Outcome::Nothing),
                }
            }
        }
    }

    fn begin(&mut self, slot: u32, event: &mut PodEvent) {
        let scheduled = if event.verb == PodVerb::Schedule { event.at() } else { None };
        // The event goes back to be overwritten, so its parts may be taken.
        let (details, placement) = (event.details.take(), event.placement.take());
        let first = PodEvent { details, placement, ..event.clone() };
        let life = Some(OpenLife { order: self.next_order, evicted: false, scheduled, first });
        self.next_order += 1;
        match self.slots.get_mut(slot as usize) {
            Some(free) => *free = life,
            None => self.slots.push(life),
        }
    }

    fn finish(&mut self, slot: u32, end: Option<SimTime>) -> Option<Life> {
        let life = self.slots.get_mut(slot as usize)?.take()?;
        let again = self.ended.as_mut().map_or(0, |ended| {
            let before = ended.entry(life.first.name.fingerprint()).or_default();
            *before += 1;
            *before - 1
        });
        Some(Life { life, end, again })
    }

    /// The pods that are alive when the trace ends, in order of submission.
    pub fn remaining(&mut self) -> Vec<Life> {
        let slots = self.slots.iter().enumerate();
        let alive = slots.filter_map(|(slot, life)| Some((life.as_ref()?.order, slot as u32)));
        let mut slots: Vec<(u64, u32)> = alive.collect();
        slots.sort_unstable();
        let lives: Vec<Life> = slots.into_iter().filter_map(|(_, slot)| self.finish(slot, None)).collect();
        *self = Lives { ended: self.ended.take(), ..Lives::default() };
        lives
    }
}

impl OpenLife {
    /// An event of a pod that is alive and stays so.
    fn go_on(&mut self, event: &mut PodEvent, at: SimTime, blame: Blame<'_>) -> TraceResult<Outcome> {
        match event.verb {
            PodVerb::Submit if self.evicted => self.evicted = false,
            PodVerb::Submit if event.strict => {
                let message = format!("pod \"{}\" was created before and did not end", event.name);
                blame.fault(event, SkipReason::DuplicateId, message)?;
            }
            PodVerb::Submit => blame.tally.leave_out("submitted while alive", 1),
            PodVerb::Schedule => {
                self.evicted = false;
                self.scheduled = self.scheduled.or(Some(at));
                if event.placement.is_some() {
                    self.first.placement = event.placement.take();
                }
            }
            PodVerb::Evict => self.evicted = true,
            PodVerb::Update | PodVerb::Seen if self.first.request.is_unknown() => {
                let was = std::mem::replace(&mut self.first.request, event.request);
                return Ok(Outcome::Known { was, now: event.request });
            }
            PodVerb::Update | PodVerb::Seen if self.first.request != event.request => {
                blame.tally.leave_out("request changed during life", 1);
            }
            PodVerb::Update | PodVerb::Seen | PodVerb::End => {}
        }
        Ok(Outcome::Nothing)
    }
}

/// An event that is not the first of a pod, and there was none before.
fn unknown_pod(event: &PodEvent, blame: Blame<'_>) -> TraceResult<()> {
    if event.verb != PodVerb::End {
        blame.tally.leave_out("event of an unknown pod", 1);
    } else if event.strict {
        let message = format!("pod \"{}\" ends and never began", event.name);
        blame.fault(event, SkipReason::EndWithoutStart, message)?;
    } else {
        blame.tally.leave_out("end of an unknown pod", 1);
    }
    Ok(())
}

fn hash(name: &TraceId) -> u64 {
    FxBuildHasher.hash_one(name)
}

impl Blame<'_> {
    /// An event that cannot be.
    fn fault(self, event: &PodEvent, reason: SkipReason, message: String) -> TraceResult<()> {
        let mut error = TraceError::of_file(self.file(event.origin.0), reason, message);
        error.line = u64::from(event.origin.1);
        error.column = 1;
        self.tally.skip(error, self.skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Tally;
    use PodVerb::{End, Evict, Schedule, Seen, Submit};

    fn event(at: u64, verb: PodVerb, task: u64) -> PodEvent {
        let request = PodRequest { cpu_milli: 100, ..PodRequest::default() };
        let at_time = Some(SimTime::from_secs(at));
        let event = PodEvent::new(at_time, TraceId::Task(1, task), verb, request, (0, at as u32));
        PodEvent { strict: true, ..event }
    }

    /// (name, arrival, scheduled, end) of all pods in order of submission.
    type Shown = (String, Option<u64>, Option<u64>, Option<u64>);

    fn run(events: &[(u64, PodVerb, u64)]) -> TraceResult<Vec<Shown>> {
        let (mut lives, mut tally, mut done) = (Lives::with_names(), Tally::default(), Vec::new());
        for &(at, verb, task) in events {
            let blame = Blame::of_nobody(&mut tally);
            if let Outcome::Ended(life) = lives.apply(&mut event(at, verb, task), blame)? {
                done.push(life);
            }
        }
        done.extend(lives.remaining());
        done.sort_by_key(Life::order);
        let secs = |t: Option<SimTime>| t.map(|t| t.as_nanos() / 1_000_000_000);
        let pods = done.into_iter().map(Life::into_pod);
        Ok(pods.map(|p| (p.name.to_string(), secs(p.arrival), secs(p.scheduled), secs(p.end))).collect())
    }

    #[test]
    fn an_evicted_pod_stays_and_an_ended_one_comes_back_under_a_new_name() {
        let shown = run(&[
            (1, Submit, 0),
            (2, Schedule, 0),
            (3, Evict, 0),
            (3, Submit, 0),
            (4, Schedule, 0),
            (5, Submit, 1),
            (6, End, 0),
            (7, Submit, 0),
        ]);
        assert_eq!(
            shown.expect("good events"),
            [
                ("1-0".to_owned(), Some(1), Some(2), Some(6)),
                ("1-1".to_owned(), Some(5), None, None),
                ("1-0-r1".to_owned(), Some(7), None, None),
            ]
        );
    }

    #[test]
    fn sightings_are_one_life() {
        let shown = run(&[(1, Seen, 0), (5, Seen, 0)]).expect("good events");
        assert_eq!(shown, [("1-0".to_owned(), Some(1), None, None)]);
    }

    #[test]
    fn impossible_lives_are_faults() {
        let reason = |events: &[(u64, PodVerb, u64)]| run(events).expect_err("a fault").reason;
        assert_eq!(reason(&[(1, End, 0)]), SkipReason::EndWithoutStart);
        assert_eq!(reason(&[(1, Submit, 0), (2, Submit, 0)]), SkipReason::DuplicateId);
    }

    #[test]
    fn going_back_in_time_is_told() {
        let (mut lives, mut tally) = (Lives::default(), Tally::default());
        assert!(lives.apply(&mut event(5, Submit, 0), Blame::of_nobody(&mut tally)).is_ok());
        let outcome = lives.apply(&mut event(4, Submit, 1), Blame::of_nobody(&mut tally));
        assert!(matches!(outcome, Ok(Outcome::OutOfOrder)));
    }
}
