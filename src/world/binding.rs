//! Attempts and binding cycles: what the scheduler decides, and how it gets into the API.

use super::*;
use crate::control::api::Grace;
use crate::control::timing::AttemptTime;
use crate::control::timing::RateLimit;
use crate::model::names::{Names, sym};
use crate::model::pod::StartOrder;
use crate::model::volume::{Volume, VolumePhase};
use crate::observe::{AttemptResult, Subject};
use crate::scheduler::cycle::{Detail, Outcome, Request, Unschedulable, pre_bind_error};
use crate::scheduler::dormant::Woken;
use crate::scheduler::framework::{Binding, FitError, PostFilterMessage};
use crate::scheduler::hints::ClusterEvent;
use crate::scheduler::message;
use crate::scheduler::plugins::volume_binding::{
    self,
    assume::{BindError, BindTask, BindWrite},
    waits_for_consumer,
};
use crate::scheduler::queue::{Failure, PluginSet};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Why the last attempt at a pod failed. Kept as data; rendered when somebody wants to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Condition reason Unschedulable.
    Unschedulable(Unschedulable),
    /// Condition reason SchedulerError.
    Error(String),
}

impl Verdict {
    pub(super) fn message(&self, names: &Names) -> String {
        match self {
            Verdict::Unschedulable(u) => message::fit_error(&u.error, &u.post_filter, names),
            Verdict::Error(message) => message.clone(),
        }
    }
    pub(super) fn is_error(&self) -> bool {
        matches!(self, Verdict::Error(_))
    }
}

/// What a binding cycle does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The node's name has been noted in the pod's status; now the volumes are written, one request each.
    Write,
    /// It waits for its volumes since then.
    Wait(SimTime),
    /// The binding itself arrives.
    Bind,
}

/// A pod between Reserve and Bind.
#[derive(Clone, Debug)]
struct Cycle {
    binding: Binding,
    stage: Stage,
    /// The pod's last attempt came to an error, so that this one says little new.
    again: bool,
}

/// Names a binding cycle, also when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CycleId {
    slot: u32,
    /// How many cycles had this slot before.
    turn: u32,
}

/// All binding cycles under way, and the scheduler's client.
#[derive(Clone, Debug)]
pub(super) struct Bindings {
    /// With the number of cycles that each slot had.
    cycles: Vec<(u32, Option<Cycle>)>,
    free: Vec<u32>,
    by_pod: FxHashMap<PodId, CycleId>,
    /// Cycles that wait without a period, the longest first: they are looked at whenever controllers have settled.
    waiting: Vec<CycleId>,
    limiter: Limiter,
}

impl Bindings {
    pub(super) fn new(limit: RateLimit) -> Bindings {
        Bindings {
            cycles: Vec::new(),
            free: Vec::new(),
            by_pod: FxHashMap::default(),
            waiting: Vec::new(),
            limiter: Limiter::new(limit),
        }
    }
    fn insert(&mut self, cycle: Cycle) -> CycleId {
        let pod = cycle.binding.pod;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.cycles.push((0, None));
            (self.cycles.len() - 1) as u32
        });
        let row = &mut self.cycles[slot as usize];
        row.1 = Some(cycle);
        let id = CycleId { slot, turn: row.0 };
        self.by_pod.insert(pod, id);
        id
    }
    fn get(&self, id: CycleId) -> Option<&Cycle> {
        self.cycles.get(id.slot as usize).filter(|(turn, _)| *turn == id.turn)?.1.as_ref()
    }
    fn get_mut(&mut self, id: CycleId) -> Option<&mut Cycle> {
        self.cycles.get_mut(id.slot as usize).filter(|(turn, _)| *turn == id.turn)?.1.as_mut()
    }
    fn remove(&mut self, id: CycleId) -> Option<Cycle> {
        let (turn, cycle) = self.cycles.get_mut(id.slot as usize).filter(|(turn, _)| *turn == id.turn)?;
        let cycle = cycle.take()?;
        *turn = turn.wrapping_add(1);
        self.free.push(id.slot);
        self.by_pod.remove(&cycle.binding.pod);
        self.waiting.retain(|other| *other != id);
        Some(cycle)
    }
    /// When the first of those that wait without a period have waited for so long.
    pub(super) fn first_timeout(&self, timeout: SimDuration) -> Option<SimTime> {
        match self.get(*self.waiting.first()?)?.stage {
            Stage::Wait(since) => Some(since + timeout),
            Stage::Write | Stage::Bind => None,
        }
    }
    /// Does a cycle wait for its volumes that may yet say something new?
    pub(super) fn may_say_news(&self) -> bool {
        let waits = |cycle: &Cycle| !cycle.again && matches!(cycle.stage, Stage::Wait(_));
        self.by_pod.values().any(|id| self.get(*id).is_some_and(waits))
    }
}

/// An attempt without volumes to look for: 5,000 nodes without volumes made 200 attempts a second, client limits aside.
const MEASURED_BASE: SimDuration = SimDuration::from_micros(4_500);
/// One free volume against one node: its node affinity is parsed anew each time.
const MEASURED_PAIR_NANOS: u64 = 2_900;

/// Nodes that one attempt examines while enough are feasible: all up to 100, then a share that falls from 50 % to 5 %.
fn examined_nodes(nodes: usize) -> usize {
    let share = 50usize.saturating_sub(nodes / 125).max(5);
    if nodes <= 100 { nodes } else { (nodes * share / 100).max(100) }
}

impl<O: Observer> World<'_, O> {
    /// Takes one pod from the queue and tries it.
    pub(super) fn schedule_one(&mut self) {
        let next = self.queue.next(&self.cluster, self.now, &mut self.scheduler);
        self.decisions += next.counted.attempts;
        if next.counted.news {
            self.last_change = self.now; // conditions say something new
        }
        self.count_woken();
        let Some(pod) = next.pod else { return };
        let Some(row) = self.cluster.pods().get(pod) else { return self.queue.remove(pod) };
        let epoch = epoch_of(row.uid);
        match self.plan.timing.attempt {
            AttemptTime::Zero => self.attempt(pod),
            AttemptTime::Constant(time) if time.is_zero() => self.attempt(pod),
            AttemptTime::Constant(time) => self.attempt_later(pod, epoch, time),
            AttemptTime::Measured => {
                let time = self.measured_time(pod);
                self.attempt_later(pod, epoch, time);
            }
        }
    }
    fn attempt_later(&mut self, pod: PodId, epoch: u32, time: SimDuration) {
        self.scheduler_busy = true;
        self.plan_event(self.now + time, RANK_SCHEDULER, Event::AttemptDone(pod, epoch));
    }
    /// What the attempt at this pod takes by the model fitted to the real scheduler: a constant, and for every unbound claim that
    /// waits for its consumer the walk of all free volumes of its class for every node examined.
    fn measured_time(&self, pod: PodId) -> SimDuration {
        let cluster = &self.cluster;
        let namespace = cluster.spec_of(pod).namespace;
        let mut pairs = 0u64;
        for name in cluster.claim_names_of(pod).flatten() {
            let claim = cluster.claim_by_name(namespace, name).map(|id| cluster.claim(id));
            let Some(claim) = claim.filter(|claim| waits_for_consumer(cluster, claim)) else { continue };
            let class = cluster.claim_spec(claim.spec).class_or_empty();
            let free =
                |v: &Volume| v.class == class && v.phase == VolumePhase::Available && v.assumed_for.is_none();
            let volumes = cluster.volumes().iter().filter(|(_, v)| free(v)).count();
            pairs += (volumes * examined_nodes(cluster.node_count())) as u64;
        }
        MEASURED_BASE + SimDuration::from_nanos(pairs.saturating_mul(MEASURED_PAIR_NANOS))
    }
    pub(super) fn attempt_done(&mut self, pod: PodId, epoch: u32) {
        self.scheduler_busy = false;
        if self.is_same_pod(pod, epoch) {
            self.attempt(pod);
        }
    }

    /// Pods whose attempts were counted without being made are awake again.
    pub(super) fn count_woken(&mut self) {
        for woken in self.queue.take_woken() {
            self.count(&woken);
        }
    }
    /// The same at the end of a run for all that still sleep.
    pub(super) fn count_sleepers(&mut self) {
        // Those whom the last event of all has woken were not asked about any more.
        self.count_woken();
        let mut queue = std::mem::replace(&mut self.queue, SchedulingQueue::new(queue_timers(self.plan)));
        queue.last_woken(|woken| self.count(&woken));
    }
    fn count(&mut self, woken: &Woken) {
        if woken.rounds == 0 {
            return;
        }
        self.counted += woken.rounds;
        let verdict = Verdict::Unschedulable(woken.known.result.clone());
        let verdict = self.shared_verdict(woken.pod, verdict);
        let state = self.pod_state(woken.pod);
        state.attempts = state.attempts.saturating_add(u32::try_from(woken.rounds).unwrap_or(u32::MAX));
        state.verdict = Some(verdict);
        self.observe(&Observation::Repeated { pod: woken.pod, attempts: woken.rounds });
    }
    /// May attempts be counted without being made? Not if each takes time or is told.
    fn may_count(&self) -> bool {
        self.plan.timing.attempt == AttemptTime::Zero && !self.observer.wants_events()
    }

    fn attempt(&mut self, pod: PodId) {
        self.decisions += 1;
        if !self.cluster.budgets().is_empty() {
            self.disruptions.sync(&mut self.cluster);
        }
        let state = self.pod_state(pod);
        state.attempts += 1;
        let attempt = u64::from(state.attempts);
        let wanted = self.observer.wants_attempt(&self.cluster, pod);
        let detail = if wanted { Detail::Full } else { Detail::Brief };
        let request = Request { pod, now: self.now, attempt, detail };
        if let Some(checks) = &mut self.checks {
            checks.before(self.now, &self.cluster, pod);
        }
        let Some(attempt) = self.scheduler.attempt(&mut self.cluster, request) else {
            return self.queue.done(pod);
        };
        if wanted {
            self.observer.attempted(self.now, &self.cluster, pod, &attempt);
        }
        self.publish();
        match attempt.outcome {
            Outcome::Reserved(binding) => {
                let node = binding.node;
                if let Some(checks) = &mut self.checks {
                    checks.after(&self.cluster, pod, node);
                }
                self.observe(&Observation::Attempt { pod, result: AttemptResult::Scheduled(node) });
                // What its condition says stays until it is bound.
                let last = self.pod_state(pod).verdict.as_ref();
                let again = last.is_some_and(|verdict| verdict.is_error());
                self.begin_binding(binding, again);
            }
            Outcome::Unschedulable(verdict) => {
                self.observe(&Observation::Attempt { pod, result: AttemptResult::Unschedulable });
                let by = PluginSet::of_all(&attempt.rejectors);
                let nominated = verdict.nomination.as_ref().map(|n| n.node);
                let victims = verdict.nomination.as_ref().map(|n| n.victims.clone());
                let doze = self.scheduler.take_doze().filter(|_| self.may_count());
                match doze {
                    Some(doze) => self.queue.failed_knowingly(&self.cluster, pod, by, doze, self.now),
                    None => {
                        let failure = Failure::Rejected { by, pending: PluginSet::NONE };
                        self.queue.failed(pod, failure, self.now);
                    }
                }
                self.note_verdict(pod, Verdict::Unschedulable(verdict), true);
                let uid = self.cluster.pod(pod).uid;
                self.preempt(victims.unwrap_or_default(), nominated, uid);
            }
            Outcome::Error(message) => {
                self.observe(&Observation::Attempt { pod, result: AttemptResult::Error });
                self.queue.failed(pod, Failure::Error, self.now);
                self.note_verdict(pod, Verdict::Error(message), true);
            }
        }
    }

    /// Writes the condition PodScheduled if it says something new. The scheduling cycle waits for that request before it takes
    /// the next pod (`handleSchedulingFailure` with `SchedulerAsyncAPICalls` off, the default), unless attempts take no time; binding
    /// cycles run beside it.
    fn note_verdict(&mut self, pod: PodId, verdict: Verdict, in_cycle: bool) {
        let same = self.pod_state(pod).verdict.as_deref().is_some_and(|old| says_the_same(old, &verdict));
        if self.observer.wants_events() {
            let text = verdict.message(&self.cluster.names);
            let message = self.cluster.names.intern(&text);
            self.observe(&Observation::Event {
                about: Subject::Pod(pod),
                reason: "FailedScheduling",
                message,
            });
        }
        if !same {
            let verdict = self.shared_verdict(pod, verdict);
            self.pod_state(pod).verdict = Some(verdict);
            let epoch = epoch_of(self.cluster.pod(pod).uid);
            // Where an attempt takes no time, neither does what ends it.
            let free = self.plan.timing.attempt == AttemptTime::Zero;
            let at = if free { self.now } else { self.request_time() };
            if at <= self.now {
                return self.condition_written(pod, epoch);
            }
            self.scheduler_busy |= in_cycle;
            let event =
                if in_cycle { Event::FailureNoted(pod, epoch) } else { Event::ErrorNoted(pod, epoch) };
            self.plan_event(at, RANK_CONTROLLERS, event);
        }
    }
    /// A hundred thousand stuck pods of thirty templates have thirty verdicts.
    fn shared_verdict(&mut self, pod: PodId, verdict: Verdict) -> Arc<Verdict> {
        let spec = self.cluster.pods().get(pod).map(|row| row.spec);
        let last = spec.and_then(|spec| self.verdicts.get(&spec));
        if let Some(same) = last.filter(|last| ***last == verdict) {
            return Arc::clone(same);
        }
        let verdict = Arc::new(verdict);
        if let Some(spec) = spec {
            self.verdicts.insert(spec, Arc::clone(&verdict));
        }
        verdict
    }
    /// The scheduling cycle of a pod that failed ends: its condition is written.
    pub(super) fn failure_noted(&mut self, pod: PodId, epoch: u32) {
        self.scheduler_busy = false;
        self.condition_written(pod, epoch);
    }
    pub(super) fn condition_written(&mut self, pod: PodId, epoch: u32) {
        if self.is_same_pod(pod, epoch) {
            self.cluster.pod_condition_changed(pod);
            self.publish();
        }
    }

    /// Victims of preemption are deleted gracefully; the preemptor waits for the room that they leave.
    fn preempt(&mut self, victims: Vec<PodId>, node: Option<NodeId>, by: Uid) {
        for pod in victims {
            let Some(row) = self.cluster.pods().get(pod) else { continue };
            let uid = row.uid;
            self.cluster.set_pod_preempted(pod);
            self.tell_preempted(pod, node, by);
            self.trace_pod_preempted(uid);
            let _ = self.write(Write::DeletePod { pod, uid, grace: Grace::Default });
        }
    }

    // ---- the binding cycle ----

    fn begin_binding(&mut self, binding: Binding, again: bool) {
        if binding.volumes.is_none() {
            let id = self.bindings.insert(Cycle { binding, stage: Stage::Bind, again });
            return self.after_request(id);
        }
        // One request for `status.nominatedNodeName`, which has no effect here: the pod is assumed on that node.
        let noted = self.request_time();
        let id = self.bindings.insert(Cycle { binding, stage: Stage::Write, again });
        self.write_after(id, noted);
    }
    /// When the next request of the scheduler has done its work.
    fn request_time(&mut self) -> SimTime {
        self.request_time_after(self.now)
    }
    fn request_time_after(&mut self, at: SimTime) -> SimTime {
        self.bindings.limiter.take(at) + self.plan.timing.api_latency
    }
    /// Goes on when the next request has done its work: at once, or as an event.
    fn after_request(&mut self, id: CycleId) {
        let at = self.request_time();
        self.bind_at(id, at);
    }
    fn write_after(&mut self, id: CycleId, earlier: SimTime) {
        let at = self.request_time_after(earlier);
        self.bind_at(id, at);
    }
    fn bind_at(&mut self, id: CycleId, at: SimTime) {
        if at > self.now {
            self.plan_event(at, RANK_CONTROLLERS, Event::Bind(id));
        } else {
            self.bind_step(id);
        }
    }
    /// One step of a binding cycle.
    pub(super) fn bind_step(&mut self, id: CycleId) {
        let Some(stage) = self.bindings.get(id).map(|cycle| cycle.stage) else { return };
        let by_chance = stage == Stage::Write && self.fails_by_chance();
        let Some(cycle) = self.bindings.get_mut(id) else { return };
        let Some(task) = cycle.binding.volumes.as_mut().filter(|_| stage != Stage::Bind) else {
            return self.bind(id);
        };
        match stage {
            Stage::Write => {
                let result =
                    if by_chance { refused(&self.cluster, task) } else { task.write_next(&mut self.cluster) };
                let left = task.writes_left();
                self.publish();
                match result {
                    Err(error) => self.binding_failed(id, error),
                    Ok(()) if left > 0 => self.after_request(id),
                    Ok(()) => {
                        self.set_stage(id, Stage::Wait(self.now));
                        self.wait(id);
                    }
                }
            }
            Stage::Wait(since) => match task.check(&self.cluster) {
                Ok(true) => {
                    self.set_stage(id, Stage::Bind);
                    self.after_request(id);
                }
                Ok(false) if self.now.since(since) >= self.plan.timing.bind_timeout => {
                    self.binding_failed(id, BindError::DeadlineExceeded);
                }
                Ok(false) => self.wait(id),
                Err(error) => self.binding_failed(id, error),
            },
            Stage::Bind => {}
        }
    }
    fn set_stage(&mut self, id: CycleId, stage: Stage) {
        if let Some(cycle) = self.bindings.get_mut(id) {
            cycle.stage = stage;
        }
    }
    fn wait(&mut self, id: CycleId) {
        let poll = self.plan.timing.bind_poll;
        if poll.is_zero() {
            self.bindings.waiting.push(id);
        } else {
            self.plan_event(self.now + poll, RANK_CONTROLLERS, Event::BindPoll(id));
        }
    }
    /// Without a poll period, cycles that wait are looked at when the controllers have settled.
    pub(super) fn poll_ideal_bindings(&mut self) {
        let mut waiting = std::mem::take(&mut self.bindings.waiting);
        for id in waiting.drain(..) {
            self.bind_step(id);
        }
        if self.bindings.waiting.is_empty() {
            self.bindings.waiting = waiting; // its memory is used again
        }
    }
    fn bind(&mut self, id: CycleId) {
        let Some(Cycle { binding, .. }) = self.bindings.remove(id) else { return };
        let pod = binding.pod;
        self.queue.done(pod);
        self.pod_state(pod).verdict = None;
        self.scheduler.bind(&mut self.cluster, &binding);
        self.cluster.set_pod_start_order(pod, StartOrder::at(self.now));
        self.publish();
        self.tell_scheduled(pod, binding.node);
    }
    fn binding_failed(&mut self, id: CycleId, error: BindError) {
        let Some(Cycle { binding, .. }) = self.bindings.remove(id) else { return };
        let pod = binding.pod;
        let (name, spec) = (self.cluster.pod(pod).name, self.cluster.pod(pod).spec);
        let message = pre_bind_error(volume_binding::NAME, &error.message(&self.cluster.names));
        self.scheduler.unreserve(&mut self.cluster, &binding);
        self.publish();
        self.observe(&Observation::Attempt { pod, result: AttemptResult::Error });
        self.queue.failed(pod, Failure::Error, self.now);
        self.note_verdict(pod, Verdict::Error(message), false);
        // What it held is free for others.
        self.queue.event(&self.cluster, ClusterEvent::PodRemoved { name, spec }, self.now);
    }
    /// The pod is about to go: whatever is reserved for it is given back first.
    pub(super) fn cancel_binding(&mut self, pod: PodId, uid: Uid) {
        let Some(row) = self.cluster.pods().get(pod).filter(|p| p.uid == uid && p.node.is_none()) else {
            return;
        };
        let (name, spec) = (row.name, row.spec);
        let Some(&id) = self.bindings.by_pod.get(&pod) else { return };
        if let Some(cycle) = self.bindings.remove(id) {
            self.scheduler.unreserve(&mut self.cluster, &cycle.binding);
            self.publish();
            self.queue.event(&self.cluster, ClusterEvent::PodRemoved { name, spec }, self.now);
        }
    }
}

/// The refusal of the task's next write by chance: as if somebody else had changed the object.
fn refused(cluster: &Cluster, task: &BindTask) -> Result<(), BindError> {
    match task.next_write() {
        Some(BindWrite::ClaimRef { volume, .. }) => {
            Err(BindError::VolumeConflict(cluster.volumes().get(volume).map_or(sym::EMPTY, |v| v.name)))
        }
        Some(BindWrite::SelectedNode { claim, .. }) => match cluster.claims().get(claim) {
            Some(claim) => Err(BindError::ClaimConflict(claim.name)),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// Would the two conditions have the same message? (Other parts of a verdict may differ.) Reasons are counted, not ordered.
fn says_the_same(a: &Verdict, b: &Verdict) -> bool {
    match (a, b) {
        (Verdict::Unschedulable(a), Verdict::Unschedulable(b)) => {
            let same = |(a, b): (&PostFilterMessage, &PostFilterMessage)| match (a, b) {
                (PostFilterMessage::Preemption(a), PostFilterMessage::Preemption(b)) => counts_the_same(a, b),
                (a, b) => a == b,
            };
            counts_the_same(&a.error, &b.error)
                && a.post_filter.len() == b.post_filter.len()
                && a.post_filter.iter().zip(&b.post_filter).all(same)
        }
        (Verdict::Error(a), Verdict::Error(b)) => a == b,
        _ => false,
    }
}

fn counts_the_same(a: &FitError, b: &FitError) -> bool {
    (a.nodes, &a.pre_filter, a.counts.len()) == (b.nodes, &b.pre_filter, b.counts.len())
        && a.counts.iter().all(|count| b.counts.contains(count))
}
