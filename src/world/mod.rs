//! The world: cluster, controllers, scheduler, arrivals and departures, put together as one discrete-event simulation.
//!
//! Order within an instant: 0 timeline and failures, 1 departures, 2 controllers until nothing is left to do, 3 arrivals (each
//! followed by 2), 4 the scheduler (one pod at a time, 2 between pods), 5 samples. Where a latency is zero nothing of this goes
//! through the agenda; where it is not, the same steps happen as events.

mod arrivals;
mod binding;
mod check;
mod children;
mod drains;
mod draw;
mod events;
mod failures;
mod kubelets;
pub mod lower;
mod lower_scheduler;
mod lower_trace;
mod node_life;
pub mod plan;
mod recovery;
mod settle;
pub mod timeline;
pub mod trace;
pub mod trace_machines;
mod watch;

#[cfg(test)]
mod tests;

use crate::control::api::{self, Write};
use crate::control::disruption::Disruptions;
use crate::control::node_lifecycle::NodeLifecycle;
use crate::control::operator::Operator;
use crate::control::provisioner::local::LocalProvisioner;
use crate::control::provisioner::lvm::LvmProvisioner;
use crate::control::pv::{PvController, PvEvent};
use crate::control::queue::WorkQueue;
use crate::control::statefulset;
use crate::control::timing::Limiter;
use crate::engine::agenda::{Agenda, Rank};
use crate::engine::rng::{Streams, TieBreak};
use crate::engine::simulation;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::{Change, Changes, Cluster, Exemptions};
use crate::model::ids::{Id, JobId, NodeId, PodId, ReplicaSetId, SpecId, StatefulSetId, Uid};
use crate::model::names::{Name, Names};
use crate::model::pod::PodOwner;
use crate::observe::{Observation, Observer};
use crate::scheduler::cycle::Scheduler;
use crate::scheduler::profile::ConfigError;
use crate::scheduler::queue::{QueueTimers, SchedulingQueue};
use crate::trace::TraceError;
use arrivals::Sources;
use binding::{Bindings, CycleId, Verdict};
use children::Children;
use plan::Plan;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// What stops a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// The scheduler's configuration cannot be used.
    #[error("scheduler configuration: {0}")]
    Config(String),
    /// An invariant is broken: a bug.
    #[error("at {at}: {what}; this is a bug in stowplan")]
    Invariant {
        /// When.
        at: SimDuration,
        /// What.
        what: String,
    },
    /// Arrivals without end, or failures, need a duration.
    #[error("the run never ends: give it a duration")]
    Endless,
    /// A trace cannot be read.
    #[error("{0}")]
    Trace(Box<TraceError>),
}

impl From<ConfigError> for SimError {
    fn from(error: ConfigError) -> SimError {
        SimError::Config(error.to_string())
    }
}

/// Workers of each controller (`--concurrent-...-syncs`).
const WORKERS: u32 = 5;
/// Timeline and failures.
const RANK_TIMELINE: Rank = Rank(0);
/// Departures.
const RANK_DEPARTURES: Rank = Rank(1);
/// Controllers.
const RANK_CONTROLLERS: Rank = Rank(2);
/// Arrivals.
const RANK_ARRIVALS: Rank = Rank(3);
/// The scheduler.
const RANK_SCHEDULER: Rank = Rank(4);

/// Events of the agenda. What they are about may be gone or another incarnation when they come: they carry a part of its uid.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    /// A controller's write reaches the API server.
    Commit(u32),
    /// A step of a binding cycle.
    Bind(CycleId),
    /// A binding cycle looks whether its volumes are bound.
    BindPoll(CycleId),
    /// A scheduling attempt ends.
    AttemptDone(PodId, u32),
    /// The condition of a pod that was not scheduled is written, and its scheduling cycle is over.
    FailureNoted(PodId, u32),
    /// The condition of a pod that could not be bound is written.
    ErrorNoted(PodId, u32),
    /// A pod's containers run.
    Started(PodId, u32),
    /// A pod's containers have stopped.
    Stopped(PodId, u32),
    /// A pod has done its work.
    Completed(PodId, u32),
    /// A bare pod's life is over.
    PodLeaves(PodId, u32),
    /// A StatefulSet's life is over.
    StatefulSetLeaves(StatefulSetId),
    /// A ReplicaSet's life is over.
    ReplicaSetLeaves(ReplicaSetId),
    /// A pod of a trace comes again, for it lost its node before its time.
    Resubmitted(u32),
    /// The time of one replica of a trace's set is over.
    ReplicaLeaves(StatefulSetId),
    /// Backoffs end, or old pods leave the unschedulable pool.
    QueueTick,
    /// The PV controller's resync.
    PvResync,
    /// A controller tries a key again.
    RetryKey(Actor, u32),
    /// A silent node's grace period is over.
    NodeFoundOut(NodeId, u32),
    /// The monitor sees that a node is Ready again.
    NodeReachable(NodeId, u32),
    /// The kubelet of a node that was silent posts its status.
    NodeReports(NodeId, u32),
    /// A node gets its NoExecute taint.
    TaintEviction,
    /// A pod's toleration has run out.
    Evict(PodId, u32),
    /// Pod garbage collection.
    PodGc,
    /// The controller manager is back.
    ControllerManagerUp,
    /// Something fails.
    Fails(u32),
    /// Its repair is over.
    Repaired(u32),
    /// The operator gives up a member whose data is out of reach.
    GiveUp(StatefulSetId, u32),
    /// Data has been copied for a member.
    CopyEnds(u32),
    /// A member follows its group again.
    CaughtUp(PodId, u32),
    /// Drains ask again.
    DrainRetry,
}

const _: () = assert!(size_of::<Event>() <= 16);

/// Controllers with a work queue of row numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Actor {
    StatefulSets,
    ReplicaSets,
    Jobs,
    Kubelets,
    ProtectClaims,
    ProtectVolumes,
    /// Garbage collector: claims whose owner is gone.
    OrphanClaims,
    /// Garbage collector: pods of StatefulSets that are gone.
    OrphanSetPods,
    /// Garbage collector: pods of ReplicaSets that are gone.
    OrphanReplicas,
    /// Garbage collector: pods of Jobs that are gone.
    OrphanJobPods,
    /// NoSchedule taints by condition.
    NodeTaints,
    /// Claims of generic ephemeral volumes.
    EphemeralVolumes,
}

impl Actor {
    /// In the order in which they act.
    const ALL: [Actor; 12] = [
        Actor::StatefulSets,
        Actor::ReplicaSets,
        Actor::Jobs,
        Actor::Kubelets,
        Actor::ProtectClaims,
        Actor::ProtectVolumes,
        Actor::OrphanClaims,
        Actor::OrphanSetPods,
        Actor::OrphanReplicas,
        Actor::OrphanJobPods,
        Actor::NodeTaints,
        Actor::EphemeralVolumes,
    ];
}

/// A controller's queue, client and workers.
#[derive(Clone, Debug)]
struct ActorState {
    queue: WorkQueue,
    limiter: Limiter,
    /// Workers that are not waiting for the API.
    idle_workers: u32,
}

/// What the world remembers about a pod beside its row.
#[derive(Clone, Debug, Default)]
struct PodState {
    attempts: u32,
    /// The kubelet is starting it.
    starting: bool,
    /// The kubelet is stopping it.
    stopping: bool,
    /// Data is being copied for it.
    restoring: bool,
    /// It catches up with its group.
    catching_up: bool,
    /// Why it was not scheduled in the last attempt.
    verdict: Option<Arc<Verdict>>,
}

/// Times of a pod that most pods do not have.
#[derive(Clone, Copy, Debug, Default)]
struct PodTimes {
    /// How far the data goes that is being copied for it.
    restored_to: SimDuration,
    /// It catches up with its group with this much.
    behind: SimDuration,
    /// How long it runs; `None`: for ever, or as its Job says.
    duration: Option<SimDuration>,
    /// When its node's NoExecute taints evict it.
    evicted_at: Option<SimTime>,
}

const _: () = assert!(size_of::<PodState>() <= 16);

/// A write on its way, and the work that goes on when it has arrived.
#[derive(Clone, Copy, Debug)]
struct Pending {
    work: settle::Work,
    write: settle::AnyWrite,
}

/// The state of one run.
struct World<'p, O> {
    plan: &'p Plan,
    cluster: Cluster,
    observer: O,
    now: SimTime,
    streams: Streams,
    tie: TieBreak,
    scheduler: Scheduler,
    queue: SchedulingQueue,
    bindings: Bindings,
    pv: PvController,
    pv_clients: settle::PvClients,
    pv_events: Vec<PvEvent>,
    /// The static provisioners of all nodes.
    disks: LocalProvisioner,
    /// The driver of volume groups.
    lvm: LvmProvisioner,
    actors: Vec<ActorState>,
    /// Actors with keys in their queues, one bit each.
    queued_actors: u16,
    children: Children,
    pods: Vec<PodState>,
    pod_times: FxHashMap<PodId, PodTimes>,
    phases: watch::SeenPhases,
    sources: Sources,
    trace: trace::TraceArrivals,
    next_timeline: usize,
    /// StatefulSets that wait for the end of a claim that is being deleted.
    waiting_for_claims: Vec<(Name, StatefulSetId)>,
    /// Claims (by uid) whose owner is gone.
    orphaned_claims: rustc_hash::FxHashSet<Uid>,
    /// Highest ordinal seen per StatefulSet, plus one.
    ordinals: Vec<u32>,
    retries: FxHashMap<(Actor, u32), u32>,
    /// Changes on their way through the watches.
    watch: VecDeque<(SimTime, Change)>,
    changes: Changes,
    pending: Vec<Option<Pending>>,
    free_pending: Vec<u32>,
    /// Events to be scheduled when the current piece of work is done.
    outbox: Vec<(SimTime, Rank, Event)>,
    /// Pending events that can change objects by themselves.
    foreground: u64,
    queue_tick: Option<SimTime>,
    resync_tick: Option<SimTime>,
    taint_tick: Option<SimTime>,
    gc_tick: Option<SimTime>,
    /// Nodes that pod GC has to look at; since when one is known missing.
    gc_nodes: std::collections::BTreeMap<NodeId, Option<SimTime>>,
    /// Nodes with NoExecute taints.
    evicting: std::collections::BTreeSet<NodeId>,
    node_life: NodeLifecycle,
    failing: failures::FailingThings,
    operator: Option<Operator>,
    /// The state of the copies for which an end is planned.
    copies_planned: Option<u32>,
    disruptions: Disruptions,
    drains: drains::Drains,
    /// What must hold, if that is to be checked.
    checks: Option<check::Checks>,
    /// Entries of the timeline that did nothing.
    missed: Vec<timeline::Missed>,
    kcm_down_until: Option<SimTime>,
    scheduler_busy: bool,
    last_change: SimTime,
    ended: Option<SimTime>,
    events: u64,
    decisions: u64,
    /// Requests drawn for `api.conflict` and `api.fail`.
    requests: u64,
    /// Decisions that were counted without being made.
    counted: u64,
    /// The last verdict about a pod of each spec: the next one mostly says the same.
    verdicts: FxHashMap<SpecId, Arc<Verdict>>,
}

/// What is left at the end of a run.
#[derive(Debug)]
pub struct RunEnd {
    /// When the run ended.
    pub at: SimTime,
    /// All objects.
    pub cluster: Cluster,
    /// The scheduler, to ask what would fit.
    pub scheduler: Scheduler,
    /// Attempts that Kubernetes would have made.
    pub decisions: u64,
    /// Those of them that were counted without being made: their outcome was known.
    pub counted: u64,
    /// Events delivered.
    pub events: u64,
    /// What was exempt from the invariants, the most of each kind in any state; `None`: nothing was checked.
    pub exempt: Option<Exemptions>,
    /// Entries of the timeline that did nothing, in order of time.
    pub missed: Vec<timeline::Missed>,
    /// What became of the trace, if there is one.
    pub trace: Option<trace::TraceOutcome>,
    pods: Vec<PodState>,
}

impl RunEnd {
    /// Attempts at an existing pod.
    pub fn attempts(&self, pod: PodId) -> u32 {
        self.pods.get(pod.index()).map_or(0, |p| p.attempts)
    }
    /// Takes the last verdicts about pods out, to ask for their messages while the cluster is being changed.
    pub fn take_verdicts(&mut self) -> Verdicts {
        Verdicts(std::mem::take(&mut self.pods))
    }
    /// The message of the last failed attempt at a pod that waits, in Kubernetes' words; `true` with reason SchedulerError.
    pub fn message(&self, pod: PodId) -> Option<(String, bool)> {
        let verdict = self.pods.get(pod.index())?.verdict.as_ref()?;
        Some((verdict.message(&self.cluster.names), verdict.is_error()))
    }
}

/// The last verdicts about pods.
#[derive(Debug)]
pub struct Verdicts(Vec<PodState>);

impl Verdicts {
    /// The message of the last failed attempt at a pod that waits, in Kubernetes' words.
    pub fn message(&self, names: &Names, pod: PodId) -> Option<String> {
        Some(self.0.get(pod.index())?.verdict.as_ref()?.message(names))
    }
}

/// Runs a plan.
///
/// # Errors
/// [`SimError`].
pub fn run<O: Observer>(plan: &Plan, observer: O) -> Result<RunEnd, SimError> {
    run_from(plan, plan.cluster.clone(), observer)
}

/// The same for a plan whose cluster was taken out: two copies of a large one would be the most of a run's memory.
///
/// # Errors
/// [`SimError`].
pub fn run_from<O: Observer>(plan: &Plan, cluster: Cluster, observer: O) -> Result<RunEnd, SimError> {
    let mut world = World::new(plan, cluster, observer)?;
    let mut agenda = Agenda::default();
    world.start()?;
    world.flush(&mut agenda);
    let at = simulation::run(&mut world, &mut agenda)?;
    world.count_sleepers();
    Ok(RunEnd {
        at,
        cluster: world.cluster,
        scheduler: world.scheduler,
        decisions: world.decisions,
        counted: world.counted,
        events: world.events,
        exempt: world.checks.as_ref().map(check::Checks::exempt),
        missed: world.missed,
        trace: world.trace.outcome(),
        pods: world.pods,
    })
}

impl<'p, O: Observer> World<'p, O> {
    fn new(plan: &'p Plan, mut cluster: Cluster, observer: O) -> Result<World<'p, O>, SimError> {
        let streams = Streams::new(plan.seed, plan.replication);
        let tie = if plan.first_of_ties { TieBreak::First } else { TieBreak::Seeded(streams.clone()) };
        cluster.set_volume_tie_break(tie.clone());
        let lvm = LvmProvisioner::start(&mut cluster, plan.timing.csi);
        let scheduler = Scheduler::new(plan.make_profiles()?, tie.clone())
            .with_engine(plan.engine)
            .with_cache_budget(plan.cache_bytes);
        let timing = &plan.timing;
        let actor = |_| ActorState {
            queue: WorkQueue::default(),
            limiter: Limiter::new(timing.kcm),
            idle_workers: WORKERS,
        };
        let mut disks = LocalProvisioner::default();
        disks.reserve(plan.wiped.iter().map(|wiped| wiped.count as usize).sum());
        for wiped in &plan.wiped {
            for volume in wiped.volumes() {
                disks.manage(&cluster, volume, wiped.node, wiped.wipe);
            }
        }
        let checks = plan.paranoid.then(|| check::Checks::new(scheduler.profiles(), &cluster));
        let failing = failures::FailingThings::new(&plan.failures, &cluster);
        Ok(World {
            cluster,
            observer,
            now: SimTime::ZERO,
            sources: Sources::new(plan, &streams),
            trace: trace::TraceArrivals::open(plan, &streams)?,
            streams,
            tie,
            scheduler,
            queue: SchedulingQueue::new(queue_timers(plan)),
            bindings: Bindings::new(timing.scheduler),
            pv: PvController::new(timing.pv_resync.is_zero()),
            pv_clients: settle::PvClients::new(timing.kcm),
            pv_events: Vec::new(),
            disks,
            lvm,
            actors: Actor::ALL.iter().map(actor).collect(),
            queued_actors: 0,
            children: Children::default(),
            pods: Vec::new(),
            pod_times: FxHashMap::default(),
            phases: watch::SeenPhases::default(),
            next_timeline: 0,
            waiting_for_claims: Vec::new(),
            orphaned_claims: rustc_hash::FxHashSet::default(),
            ordinals: Vec::new(),
            retries: FxHashMap::default(),
            watch: VecDeque::new(),
            changes: Changes::default(),
            pending: Vec::new(),
            free_pending: Vec::new(),
            outbox: Vec::new(),
            foreground: 0,
            queue_tick: None,
            resync_tick: None,
            taint_tick: None,
            gc_tick: None,
            gc_nodes: std::collections::BTreeMap::new(),
            evicting: std::collections::BTreeSet::new(),
            node_life: NodeLifecycle::new(timing.node, timing.kcm_up_for),
            failing,
            operator: plan.recovery.clone().map(Operator::new),
            copies_planned: None,
            disruptions: Disruptions::default(),
            drains: drains::Drains::default(),
            checks,
            missed: Vec::new(),
            kcm_down_until: None,
            scheduler_busy: false,
            last_change: SimTime::ZERO,
            ended: None,
            events: 0,
            decisions: 0,
            requests: 0,
            counted: 0,
            verdicts: FxHashMap::default(),
            plan,
        })
    }

    /// The objects of the start are the first arrivals.
    fn start(&mut self) -> Result<(), SimError> {
        let endless = self.sources.is_endless() || !self.plan.failures.is_empty();
        if self.plan.duration.is_none() && endless {
            return Err(SimError::Endless);
        }
        self.plan_failures();
        self.publish();
        self.settle();
        self.check()
    }

    /// Remembers an event for the agenda. Background events are those that need not happen for the run to be complete.
    fn plan_event(&mut self, at: SimTime, rank: Rank, event: Event) {
        if !event.is_background() {
            self.foreground += 1;
        }
        self.outbox.push((at, rank, event));
    }
    fn flush(&mut self, agenda: &mut Agenda<Event>) {
        self.plan_ticks();
        for (at, rank, event) in self.outbox.drain(..) {
            agenda.schedule(at, rank, event);
        }
    }
    /// Periodic loops are computed: an event exists only for the next tick that finds something to do.
    fn plan_ticks(&mut self) {
        let tick = self.queue.next_tick();
        if let Some(at) = tick.filter(|at| self.queue_tick.is_none_or(|planned| *at < planned)) {
            self.queue_tick = Some(at);
            self.plan_event(at.max(self.now), RANK_SCHEDULER, Event::QueueTick);
        }
        let resync = self.plan.timing.pv_resync;
        if !resync.is_zero() && self.resync_tick.is_none() && self.pv.wants_resync() {
            // Strictly later than now: what is seen at a tick was looked at by that tick.
            let at =
                (self.now + SimDuration::from_nanos(1)).next_tick_of(self.plan.timing.kcm_up_for, resync);
            self.resync_tick = Some(at);
            self.plan_event(at, RANK_CONTROLLERS, Event::PvResync);
        }
    }

    fn observe(&mut self, what: &Observation) {
        self.observer.observe(self.now, &self.cluster, what);
    }

    /// Applies a write and tells everybody. A refused write changes nothing.
    fn write(&mut self, write: Write) -> Result<(), api::Refused> {
        match write {
            Write::DeletePod { pod, uid, .. } | Write::RemovePod { pod, uid } => {
                self.cancel_binding(pod, uid)
            }
            _ => {}
        }
        let result = api::apply(&mut self.cluster, write, self.now);
        self.publish();
        result
    }

    fn pod_state(&mut self, pod: PodId) -> &mut PodState {
        if self.pods.len() <= pod.index() {
            self.pods.resize_with(pod.index() + 1, PodState::default);
        }
        &mut self.pods[pod.index()]
    }
    fn pod_times(&self, pod: PodId) -> PodTimes {
        self.pod_times.get(&pod).copied().unwrap_or_default()
    }
    fn pod_times_mut(&mut self, pod: PodId) -> &mut PodTimes {
        self.pod_times.entry(pod).or_default()
    }
    /// Nothing is remembered about the pod in this row yet, or any more.
    fn reset_pod_state(&mut self, pod: PodId) {
        *self.pod_state(pod) = PodState::default();
        if !self.pod_times.is_empty() {
            self.pod_times.remove(&pod);
        }
    }
    /// The pod is still the one that an event was about.
    fn is_same_pod(&self, pod: PodId, epoch: u32) -> bool {
        self.cluster.pods().get(pod).is_some_and(|p| epoch_of(p.uid) == epoch)
    }
    /// Does the node's kubelet work?
    fn kubelet_works(&self, node: NodeId) -> bool {
        self.node_life.works(node) && self.cluster.node(node).exists
    }

    /// When a run without duration ends, if nothing but background events is left.
    fn quiet_end(&self) -> Option<SimTime> {
        let quiet = self.foreground == 0 && self.next_work().is_none() && !self.bindings.may_say_news();
        quiet.then(|| self.last_change + self.plan.stuck_after)
    }
    /// The earliest work that is not in the agenda, and the end of the patience of binding cycles.
    fn due_at(&self) -> Option<(SimTime, Rank)> {
        let timeout = self.bindings.first_timeout(self.plan.timing.bind_timeout);
        [self.next_work(), timeout.map(|at| (at, RANK_CONTROLLERS))].into_iter().flatten().min()
    }
    /// The earliest work that is not in the agenda.
    fn next_work(&self) -> Option<(SimTime, Rank)> {
        let timeline = self.plan.timeline.get(self.next_timeline).map(|(at, _)| *at);
        let mut next: Option<(SimTime, Rank)> = None;
        let mut consider = |at: Option<SimTime>, rank: Rank| {
            if let Some(at) = at
                && next.is_none_or(|next| (at, rank) < next)
            {
                next = Some((at, rank));
            }
        };
        consider(timeline, RANK_TIMELINE);
        consider(self.trace.next_machine_at(self.plan), RANK_TIMELINE);
        consider(self.has_controller_work().then_some(self.now), RANK_CONTROLLERS);
        consider(self.watch.front().map(|(at, _)| *at), RANK_CONTROLLERS);
        consider(self.disks_next_at(), RANK_CONTROLLERS);
        consider(self.sources.next_at(), RANK_ARRIVALS);
        consider(self.trace.next_at(), RANK_ARRIVALS);
        let ready = !self.scheduler_busy && self.queue.has_ready();
        consider(ready.then_some(self.now), RANK_SCHEDULER);
        next
    }
}

impl Event {
    fn is_background(self) -> bool {
        matches!(self, Event::QueueTick | Event::PvResync | Event::BindPoll(_))
    }
}

fn queue_timers(plan: &Plan) -> QueueTimers {
    let timing = &plan.timing;
    QueueTimers {
        backoff_initial: timing.backoff_initial,
        backoff_max: if timing.ideal { SimDuration::ZERO } else { timing.backoff_max },
        error_backoff_max: timing.backoff_max,
        pop_from_backoff: timing.pop_from_backoff,
        flush_after: timing.unschedulable_flush,
        up_for: timing.scheduler_up_for,
        tells_news: !(timing.api_latency.is_zero()
            && timing.watch_latency.is_zero()
            && timing.kcm.qps <= 0.0),
    }
}

/// The part of a uid that events carry.
fn epoch_of(uid: Uid) -> u32 {
    uid.epoch()
}

impl<O: Observer> simulation::World for World<'_, O> {
    type Event = Event;
    type Error = SimError;

    fn due(&self, _now: SimTime) -> Option<(SimTime, Rank)> {
        self.due_at()
    }

    fn work(&mut self, rank: Rank, agenda: &mut Agenda<Event>) -> Result<(), SimError> {
        self.now = agenda.now();
        match rank {
            RANK_TIMELINE => self.timeline_step()?,
            RANK_CONTROLLERS => self.settle(),
            RANK_ARRIVALS => {
                self.arrive()?;
                self.settle();
            }
            _ => {
                self.schedule_one();
                self.settle();
            }
        }
        self.check()?;
        self.flush(agenda);
        Ok(())
    }

    fn handle(&mut self, event: Event, agenda: &mut Agenda<Event>) -> Result<(), SimError> {
        self.now = agenda.now();
        self.events += 1;
        if !event.is_background() {
            self.foreground -= 1;
        }
        self.on_event(event);
        self.check()?;
        self.flush(agenda);
        Ok(())
    }

    fn settled(&mut self, from: SimTime, to: Option<SimTime>) -> Result<Option<SimTime>, SimError> {
        let end = match self.plan.duration {
            Some(duration) => Some(SimTime::ZERO + duration),
            None => self.quiet_end(),
        };
        let end = end.filter(|end| to.is_none_or(|to| to > *end));
        let until = end.map(|end| end + SimDuration::from_nanos(1)).or(to).unwrap_or(from);
        self.observer.settled(from, until, &mut self.cluster);
        let end = end.or_else(|| to.is_none().then_some(from));
        if end.is_some() {
            self.ended = end;
        }
        Ok(end)
    }
}

impl<O: Observer> World<'_, O> {
    /// One exhaustive match over all events.
    fn on_event(&mut self, event: Event) {
        match event {
            Event::Commit(slot) => self.commit(slot),
            Event::Bind(id) | Event::BindPoll(id) => self.bind_step(id),
            Event::AttemptDone(pod, epoch) => self.attempt_done(pod, epoch),
            Event::FailureNoted(pod, epoch) => self.failure_noted(pod, epoch),
            Event::ErrorNoted(pod, epoch) => self.condition_written(pod, epoch),
            Event::Started(pod, epoch) => self.started(pod, epoch),
            Event::Stopped(pod, epoch) => self.stopped(pod, epoch),
            Event::Completed(pod, epoch) => self.completed(pod, epoch),
            Event::PodLeaves(pod, epoch) => self.pod_leaves(pod, epoch),
            Event::StatefulSetLeaves(set) => self.delete_stateful_set(set),
            Event::ReplicaSetLeaves(set) => self.delete_replica_set(set),
            Event::Resubmitted(slot) => self.trace_pod_again(slot),
            Event::ReplicaLeaves(set) => self.replica_leaves(set),
            Event::QueueTick => {
                self.queue_tick = None;
                self.queue.tick(self.now);
            }
            Event::PvResync => {
                self.resync_tick = None;
                self.pv.resync(&self.cluster, false);
            }
            Event::RetryKey(actor, key) => self.enqueue(actor, key),
            Event::NodeFoundOut(node, epoch) => self.node_found_out(node, epoch),
            Event::NodeReachable(node, epoch) => self.node_reachable(node, epoch),
            Event::NodeReports(node, epoch) => self.node_reports(node, epoch),
            Event::TaintEviction => {
                self.taint_tick = None;
                self.taint_evictions();
            }
            Event::Evict(pod, epoch) => self.evict(pod, epoch),
            Event::PodGc => self.pod_gc(),
            Event::ControllerManagerUp => self.controller_manager_up(),
            Event::Fails(index) => self.fails(index),
            Event::Repaired(index) => self.repaired(index),
            Event::GiveUp(set, ordinal) => self.give_up(set, ordinal),
            Event::CopyEnds(generation) => self.copy_ends(generation),
            Event::CaughtUp(pod, epoch) => self.caught_up(pod, epoch),
            Event::DrainRetry => self.drain_retry(),
        }
    }
    fn enqueue(&mut self, actor: Actor, key: u32) {
        self.actors[actor as usize].queue.add(key);
        self.note_queue(actor);
    }
    /// The actor's queue may have become empty, or not be any more.
    fn note_queue(&mut self, actor: Actor) {
        let empty = self.actors[actor as usize].queue.is_empty();
        self.queued_actors = self.queued_actors & !(1 << actor as u16) | u16::from(!empty) << actor as u16;
    }
    /// The place of a pass over a StatefulSet.
    fn new_pass() -> statefulset::Pass {
        statefulset::Pass::default()
    }
}
