//! Pairs the events of pods (submitted, placed, evicted, ended) to lives.
//!
//! Memory is in proportion to the pods that are alive. A pod that is evicted stays wanted; one that ended and is submitted
//! again is a new pod with the suffix `-r1`, `-r2` ...

use super::error::{SkipReason, Tally, TraceError, TraceResult};
use super::record::{PodEvent, PodVerb, TraceId, TracePod};
use crate::engine::time::SimTime;
use rustc_hash::FxHashMap;

/// Pods in the making.
#[derive(Default)]
pub struct Lives {
    open: FxHashMap<TraceId, OpenLife>,
    /// How often an id ended, when names have to be told apart.
    ended: Option<FxHashMap<u128, u32>>,
    next_order: u64,
    last: SimTime,
}

struct OpenLife {
    order: u64,
    evicted: bool,
    pod: TracePod,
}

/// A pod whose life is known, with its place in the order of submission.
#[derive(Debug, PartialEq)]
pub struct Life {
    /// Position among all submissions.
    pub order: u64,
    /// The pod.
    pub pod: TracePod,
}

/// What an event did.
pub enum Outcome<'a> {
    /// A pod began to be wanted.
    Began(&'a TracePod),
    /// A pod ended.
    Ended(Box<Life>),
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
    /// In strict reading: an id submitted twice, an end without a start. `file` is the name for the message.
    pub fn apply<'a>(
        &'a mut self,
        event: PodEvent,
        tally: &mut Tally,
        skip: Option<u64>,
        file: &str,
    ) -> TraceResult<Outcome<'a>> {
        let at = event.at.unwrap_or(SimTime::ZERO);
        if at < self.last {
            return Ok(Outcome::OutOfOrder);
        }
        self.last = at;
        let known = self.open.get_mut(&event.pod.name);
        match (event.verb, known) {
            (PodVerb::Submit | PodVerb::Seen | PodVerb::Schedule, None) => {
                return Ok(Outcome::Began(self.begin(event)));
            }
            (PodVerb::Submit, Some(life)) if life.evicted => life.evicted = false,
            (PodVerb::Submit, Some(_)) => {
                if !event.strict {
                    tally.leave_out("submitted while alive", 1);
                    return Ok(Outcome::Nothing);
                }
                let message = format!("pod \"{}\" was created before and did not end", event.pod.name);
                tally.skip(located(&event, file, SkipReason::DuplicateId, message), skip)?;
            }
            (PodVerb::Schedule, Some(life)) => {
                life.evicted = false;
                life.pod.scheduled = life.pod.scheduled.or(Some(at));
                if event.pod.placement.is_some() {
                    life.pod.placement = event.pod.placement;
                }
            }
            (PodVerb::Evict, Some(life)) => life.evicted = true,
            (PodVerb::Update | PodVerb::Seen, Some(life)) => {
                if life.pod.cpu_milli == 0 && life.pod.memory_bytes == 0 {
                    // Its requests were unknown at first.
                    life.pod.cpu_milli = event.pod.cpu_milli;
                    life.pod.memory_bytes = event.pod.memory_bytes;
                    life.pod.disk_bytes = event.pod.disk_bytes;
                } else if (life.pod.cpu_milli, life.pod.memory_bytes, life.pod.disk_bytes)
                    != (event.pod.cpu_milli, event.pod.memory_bytes, event.pod.disk_bytes)
                {
                    tally.leave_out("request changed during life", 1);
                }
            }
            (PodVerb::End, Some(_)) => {
                if let Some(life) = self.open.remove(&event.pod.name) {
                    return Ok(Outcome::Ended(Box::new(self.finish(life, Some(at)))));
                }
            }
            (PodVerb::End, None) if event.strict => {
                let message = format!("pod \"{}\" ends and never began", event.pod.name);
                tally.skip(located(&event, file, SkipReason::EndWithoutStart, message), skip)?;
            }
            (PodVerb::End, None) => tally.leave_out("end of an unknown pod", 1),
            (PodVerb::Evict | PodVerb::Update, None) => tally.leave_out("event of an unknown pod", 1),
        }
        Ok(Outcome::Nothing)
    }

    fn begin(&mut self, event: PodEvent) -> &TracePod {
        let order = self.next_order;
        self.next_order += 1;
        let mut pod = event.pod;
        pod.arrival = event.at;
        if event.verb == PodVerb::Schedule {
            pod.scheduled = event.at;
        }
        let key = pod.name.clone();
        let life = OpenLife { order, evicted: false, pod };
        &self.open.entry(key).insert_entry(life).into_mut().pod
    }

    fn finish(&mut self, life: OpenLife, end: Option<SimTime>) -> Life {
        let OpenLife { order, mut pod, .. } = life;
        pod.end = end;
        if let Some(ended) = &mut self.ended {
            let before = ended.entry(pod.name.fingerprint()).or_default();
            if *before > 0 {
                pod.name = TraceId::Text(format!("{}-r{before}", pod.name).into());
            }
            *before += 1;
        }
        Life { order, pod }
    }

    /// The pods that are alive when the trace ends, in order of submission.
    pub fn remaining(&mut self) -> Vec<Life> {
        let mut open: Vec<OpenLife> = std::mem::take(&mut self.open).into_values().collect();
        open.sort_by_key(|life| life.order);
        open.into_iter().map(|life| self.finish(life, None)).collect()
    }
}

fn located(event: &PodEvent, file: &str, reason: SkipReason, message: String) -> Box<TraceError> {
    let mut error = TraceError::of_file(file, reason, message);
    error.line = event.origin.1;
    error.column = 1;
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use PodVerb::{End, Evict, Schedule, Seen, Submit};

    fn event(at: u64, verb: PodVerb, task: u64) -> PodEvent {
        let pod = TracePod { name: TraceId::Task(1, task), cpu_milli: 100, ..TracePod::default() };
        PodEvent { at: Some(SimTime::from_secs(at)), verb, pod, strict: true, origin: (0, at) }
    }

    /// (name, arrival, scheduled, end) of all pods in order of submission.
    type Shown = (String, Option<u64>, Option<u64>, Option<u64>);

    fn run(events: &[(u64, PodVerb, u64)]) -> TraceResult<Vec<Shown>> {
        let (mut lives, mut tally, mut done) = (Lives::with_names(), Tally::default(), Vec::new());
        for &(at, verb, task) in events {
            if let Outcome::Ended(life) = lives.apply(event(at, verb, task), &mut tally, None, "f")? {
                done.push(*life);
            }
        }
        done.extend(lives.remaining());
        done.sort_by_key(|life| life.order);
        let secs = |t: Option<SimTime>| t.map(|t| t.as_nanos() / 1_000_000_000);
        Ok(done
            .iter()
            .map(|l| (l.pod.name.to_string(), secs(l.pod.arrival), secs(l.pod.scheduled), secs(l.pod.end)))
            .collect())
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
        assert!(lives.apply(event(5, Submit, 0), &mut tally, None, "f").is_ok());
        let outcome = lives.apply(event(4, Submit, 1), &mut tally, None, "f");
        assert!(matches!(outcome, Ok(Outcome::OutOfOrder)));
    }
}
