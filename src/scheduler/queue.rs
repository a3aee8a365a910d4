//! The scheduling queue: active, backing off, unschedulable, gated (`backend/queue` of kube-scheduler v1.36).
//!
//! A pod that failed waits in the unschedulable pool until an event that concerns a plugin that rejected it (see
//! [`hints`](super::hints)), or until the flush after five minutes. With `pop_from_backoff` the backoff is not felt while the
//! active queue is empty; the backoff after errors always is.

use super::dormant::sequence::Place as Bed;
use super::dormant::{Counted, Dormant, Doze, Oracle, Woken, may_sleep};
use super::entries::{Entries, Entry, Place};
use super::framework::PluginName;
use super::hints::{ClusterEvent, SeenNodes, is_worth_requeuing};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::{Cluster, NodeDelta};
use crate::model::ids::{PodId, Uid};
use crate::model::names::{Name, Sym};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A set of the default profile's plugins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PluginSet(u32);

macro_rules! plugins {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        impl PluginSet {
            plugins!(@consts 0u32; $($name),+);
            /// The set of one plugin by its Kubernetes name; a plugin that is not known reacts to every event.
            pub fn of(name: &str) -> PluginSet {
                match name {
                    $($text => PluginSet::$name,)+
                    _ => PluginSet::UNKNOWN,
                }
            }
        }
        const PLUGIN_COUNT: usize = [$($text),+].len() + 1;
    };
    (@consts $n:expr; $name:ident $(, $rest:ident)*) => {
        /// The plugin of this name.
        pub const $name: PluginSet = PluginSet(1 << $n);
        plugins!(@consts $n + 1; $($rest),*);
    };
    (@consts $n:expr;) => {
        /// A plugin that is not in the default profile.
        pub const UNKNOWN: PluginSet = PluginSet(1 << $n);
    };
}

plugins! {
    SCHEDULING_GATES = "SchedulingGates",
    NODE_UNSCHEDULABLE = "NodeUnschedulable",
    NODE_NAME = "NodeName",
    TAINT_TOLERATION = "TaintToleration",
    NODE_AFFINITY = "NodeAffinity",
    NODE_PORTS = "NodePorts",
    NODE_RESOURCES_FIT = "NodeResourcesFit",
    VOLUME_RESTRICTIONS = "VolumeRestrictions",
    NODE_VOLUME_LIMITS = "NodeVolumeLimits",
    VOLUME_BINDING = "VolumeBinding",
    VOLUME_ZONE = "VolumeZone",
    POD_TOPOLOGY_SPREAD = "PodTopologySpread",
    INTER_POD_AFFINITY = "InterPodAffinity",
    DEFAULT_PREEMPTION = "DefaultPreemption",
    DYNAMIC_RESOURCES = "DynamicResources",
    NODE_DECLARED_FEATURES = "NodeDeclaredFeatures",
}

impl PluginSet {
    /// No plugin.
    pub const NONE: PluginSet = PluginSet(0);
    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: PluginSet) -> PluginSet {
        PluginSet(self.0 | other.0)
    }
    /// Has the sets a plugin in common?
    pub const fn intersects(self, other: PluginSet) -> bool {
        self.0 & other.0 != 0
    }
    /// The set of some plugins by name.
    pub fn of_all(names: &[PluginName]) -> PluginSet {
        names.iter().fold(PluginSet::NONE, |set, name| set.union(PluginSet::of(name)))
    }
    /// No plugin at all.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    fn bits(self) -> impl Iterator<Item = usize> {
        (0..PLUGIN_COUNT).filter(move |bit| self.0 >> bit & 1 == 1)
    }
}

/// Timers of the queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueTimers {
    /// First backoff.
    pub backoff_initial: SimDuration,
    /// Longest backoff; 0: none.
    pub backoff_max: SimDuration,
    /// Longest backoff after errors.
    pub error_backoff_max: SimDuration,
    /// Take backing off pods while the active queue is empty.
    pub pop_from_backoff: bool,
    /// Longest stay in the unschedulable pool.
    pub flush_after: SimDuration,
    /// How long the scheduler had been up at the start: the queue's periods are counted from there.
    pub up_for: SimDuration,
    /// Pods are told at once when they fail for other reasons than before: the condition that says so is seen by controllers that take
    /// time, so that it matters when it is written.
    pub tells_news: bool,
}

/// Period at which finished backoffs are looked for, and to which their ends are aligned.
const BACKOFF_TICK: SimDuration = SimDuration::from_secs(1);
/// Period at which the unschedulable pool is searched for old pods.
const FLUSH_TICK: SimDuration = SimDuration::from_secs(30);

/// A queue that was this long gives its memory back when it is empty.
pub(super) const LONG_QUEUE: usize = 1 << 12;

/// Order of the active queue: priority, then order of arrival or of the last failure, which is that of time.
type ActiveKey = Reverse<(Reverse<i32>, u64, PodId)>;
/// Order of the backoff queues: end of backoff, then as the active queue.
type BackoffKey = Reverse<(SimTime, Reverse<i32>, SimTime, u64, PodId)>;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Plugins said no.
    Rejected {
        /// Who; pending ones included.
        by: PluginSet,
        /// Those of them that returned Pending.
        pending: PluginSet,
    },
    /// Something broke.
    Error,
}

/// What [`SchedulingQueue::next`] found.
#[derive(Clone, Debug, Default)]
pub struct Next {
    /// The pod to be tried.
    pub pod: Option<PodId>,
    /// Attempts at others that came before it and whose outcome was known.
    pub counted: Counted,
}

/// The queue.
#[derive(Clone, Debug)]
pub struct SchedulingQueue {
    timers: QueueTimers,
    entries: Entries,
    active: BinaryHeap<ActiveKey>,
    backoff: BinaryHeap<BackoffKey>,
    error_backoff: BinaryHeap<BackoffKey>,
    pool: Vec<PodId>,
    /// Pods of the pool in order of their stamps; may hold stale entries.
    pool_ages: VecDeque<(SimTime, u64, PodId)>,
    /// Pods in the pool per rejecting plugin.
    rejected_by: [u32; PLUGIN_COUNT],
    /// Live entries of `active`, `backoff` and `error_backoff`.
    live: [usize; 3],
    gated: usize,
    next_seq: u64,
    nodes: SeenNodes,
    dormant: Dormant,
    /// When the events came that sleeping pods have not been told of yet.
    noted_at: SimTime,
    woken: Vec<Woken>,
}

impl SchedulingQueue {
    /// An empty queue.
    pub fn new(timers: QueueTimers) -> SchedulingQueue {
        SchedulingQueue {
            timers,
            entries: Entries::default(),
            active: BinaryHeap::new(),
            backoff: BinaryHeap::new(),
            error_backoff: BinaryHeap::new(),
            pool: Vec::new(),
            pool_ages: VecDeque::new(),
            rejected_by: [0; PLUGIN_COUNT],
            live: [0; 3],
            gated: 0,
            next_seq: 0,
            nodes: SeenNodes::default(),
            dormant: Dormant::new(timers.tells_news),
            noted_at: SimTime::ZERO,
            woken: Vec::new(),
        }
    }
    /// Could [`SchedulingQueue::pop`] return a pod now?
    pub fn has_ready(&self) -> bool {
        self.live[0] > 0
            || (self.timers.pop_from_backoff && self.live[1] > 0)
            || self.dormant.may_be_ready(self.timers.pop_from_backoff)
    }
    /// Pods that are neither in flight nor assigned.
    pub fn len(&self) -> usize {
        self.live.iter().sum::<usize>() + self.pool.len() + self.gated + self.dormant.len()
    }
    /// No pod waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Pods in the unschedulable pool, in no particular order.
    pub fn unschedulable(&self) -> &[PodId] {
        &self.pool
    }
    /// Is the pod being attempted or bound?
    pub fn is_in_flight(&self, pod: PodId) -> bool {
        self.entry(pod).place == Place::InFlight
    }

    /// A pod without a node came, or became schedulable again.
    pub fn add(&mut self, cluster: &Cluster, pod: PodId, now: SimTime) {
        let epoch = cluster.pod(pod).uid.epoch();
        if self.epoch(pod) == Some(epoch) {
            return;
        }
        self.remove(pod);
        let spec = cluster.spec_of(pod);
        let gated = !spec.scheduling_gates.is_empty() || spec.not_modelled.is_some();
        let seq = self.take_seq();
        let entry = Entry { epoch, stamp: now, seq, priority: spec.priority, ..Entry::NONE };
        self.entries.set(pod, entry);
        if gated {
            self.put(pod, Place::Gated);
            self.gated += 1;
        } else {
            self.push_active(pod);
        }
    }
    /// The pod is gone, assigned by somebody else, or not wanted any more.
    pub fn remove(&mut self, pod: PodId) {
        self.unlink(pod);
        self.entries.clear(pod);
    }
    /// The pod of this uid is gone; another one may live in its row already.
    pub fn remove_pod(&mut self, pod: PodId, uid: Uid) {
        if self.epoch(pod) == Some(uid.epoch()) {
            self.remove(pod);
        }
    }
    /// Is the pod held back by its gates (or by something that is not modelled)?
    pub fn is_gated(&self, pod: PodId) -> bool {
        self.entry(pod).place == Place::Gated
    }
    /// The next pod to be tried, after counting the attempts at sleeping pods that come before it. It is in flight until
    /// [`SchedulingQueue::done`] or [`SchedulingQueue::failed`]. Call [`SchedulingQueue::take_woken`] before trying it.
    pub fn next(&mut self, cluster: &Cluster, now: SimTime, oracle: &mut impl Oracle) -> Next {
        let mut next = Next::default();
        if self.dormant.is_empty() {
            next.pod = self.pop();
            return next;
        }
        self.apply_noted();
        self.dormant.judge(cluster, oracle);
        next.pod = self.next_active(now, &mut next.counted);
        if next.pod.is_none() && self.timers.pop_from_backoff {
            next.pod = self.next_from_backoff(now, &mut next.counted);
        }
        next
    }
    fn next_active(&mut self, now: SimTime, counted: &mut Counted) -> Option<PodId> {
        let trees: Vec<(usize, i32)> = self.dormant.priorities(Bed::Active).collect();
        for (tree, priority) in trees {
            let top = self.first_active();
            if top.is_some_and(|(p, ..)| p > priority) {
                break;
            }
            let rival = top.filter(|(p, ..)| *p == priority).map(|(_, stamp, seq)| (stamp, seq));
            let before = |stamp, seq| rival.is_none_or(|rival| (stamp, seq) < rival);
            if let Some(pod) = self.advance(tree, Bed::Active, before, now, counted) {
                return Some(pod);
            }
            if rival.is_some() {
                break;
            }
        }
        self.pop_active()
    }
    fn next_from_backoff(&mut self, now: SimTime, counted: &mut Counted) -> Option<PodId> {
        loop {
            let trees: Vec<(usize, i32)> = self.dormant.priorities(Bed::Backoff).collect();
            let mut firsts = Vec::with_capacity(trees.len());
            for (tree, priority) in trees {
                if let Some((stamp, seq)) = self.dormant.first(tree, Bed::Backoff) {
                    firsts.push(((self.longest_end(stamp), Reverse(priority), stamp, seq), tree));
                }
            }
            firsts.sort_unstable();
            let rival = self.first_in_backoff();
            let Some(&(key, tree)) = firsts.first() else { break };
            if rival.is_some_and(|rival| rival < key) {
                break;
            }
            let limit = [rival, firsts.get(1).map(|(key, _)| *key)].into_iter().flatten().min();
            let timers = self.timers;
            let before = |stamp, seq| {
                limit.is_none_or(|limit| (longest_end(timers, stamp), key.1, stamp, seq) < limit)
            };
            if let Some(pod) = self.advance(tree, Bed::Backoff, before, now, counted) {
                return Some(pod);
            }
        }
        self.pop_backoff()
    }
    fn advance(
        &mut self,
        tree: usize,
        place: Bed,
        before: impl Fn(SimTime, u64) -> bool,
        now: SimTime,
        counted: &mut Counted,
    ) -> Option<PodId> {
        let seq = self.next_seq + 1;
        let (more, woken) = self.dormant.advance(tree, place, before, now, seq);
        // Each of them has a number of its own, should they ever be told apart again.
        self.next_seq += more.attempts;
        counted.attempts += more.attempts;
        counted.news |= more.news;
        let woken = woken?;
        let pod = woken.pod;
        self.entries.set(pod, Entry { place: Place::InFlight, ..entry_of(&woken) });
        self.woken.push(woken);
        Some(pod)
    }
    /// Pods that do not sleep any more, with the attempts that were counted for them meanwhile.
    pub fn take_woken(&mut self) -> Vec<Woken> {
        std::mem::take(&mut self.woken)
    }
    /// Does any pod sleep?
    pub fn has_dormant(&self) -> bool {
        !self.dormant.is_empty()
    }
    /// Something about a claim has changed: its sleeping users have to be asked when they come up.
    pub fn doubt_users(&mut self, cluster: &Cluster, namespace: Sym, claim: Name) {
        for &pod in cluster.claim_users(namespace, claim) {
            self.dormant.doubt(pod);
        }
    }
    /// All sleeping pods wait as others do again.
    pub fn wake_all(&mut self) {
        self.apply_noted();
        let mut run = (0, 0);
        let mut dormant = std::mem::take(&mut self.dormant);
        dormant.drain(|item, woken| {
            run = if run.0 == item.seq { (run.0, run.1 + 1) } else { (item.seq, 0) };
            let pod = item.pod;
            let seq = item.seq + run.1;
            self.entries.set(pod, Entry { stamp: item.stamp, seq, ..entry_of(&woken) });
            match item.place {
                Bed::Pool => self.push_pool(pod),
                Bed::Active => self.push_active(pod),
                Bed::Backoff => self.push_backoff(pod),
            }
            self.woken.push(woken);
        });
        self.dormant = dormant;
        self.pool_ages.make_contiguous().sort_unstable();
    }
    /// The run is over: attempts that were counted at pods that still sleep. Nothing is asked of the queue after that.
    pub fn last_woken(&mut self, mut woken: impl FnMut(Woken)) {
        self.apply_noted();
        self.dormant.drain(|_, one| woken(one));
    }
    fn apply_noted(&mut self) {
        let (timers, at) = (self.timers, self.noted_at);
        self.dormant.apply(|stamp| is_over(timers, longest_end(timers, stamp), at));
    }
    /// What an event means to sleeping pods. Hints of their rejectors say yes to every event of these kinds.
    fn tell_dormant(&mut self, cluster: &Cluster, event: ClusterEvent, now: SimTime) {
        self.noted_at = now;
        match event {
            ClusterEvent::VolumeAdded | ClusterEvent::VolumeUpdated | ClusterEvent::PodRemoved { .. } => {
                self.dormant.note(event.interested());
            }
            ClusterEvent::ClaimAdded(id) | ClusterEvent::ClaimUpdated(id) => {
                let Some(claim) = cluster.claims().get(id) else { return };
                let timers = self.timers;
                for &pod in cluster.claim_users(claim.namespace, claim.name) {
                    if self.dormant.rejectors(pod).intersects(event.interested()) {
                        self.apply_noted();
                        self.dormant.requeue(pod, |stamp| is_over(timers, longest_end(timers, stamp), now));
                    }
                }
            }
            ClusterEvent::PodAssigned(_)
            | ClusterEvent::NodeUpdated(_, NodeDelta::Condition | NodeDelta::Other) => {}
            // These are rare, and their hints look at each pod.
            _ => self.wake_all(),
        }
    }

    /// Takes the next pod to be tried. It is in flight until [`SchedulingQueue::done`] or [`SchedulingQueue::failed`].
    pub fn pop(&mut self) -> Option<PodId> {
        let from_backoff = self.timers.pop_from_backoff;
        self.pop_active().or_else(|| if from_backoff { self.pop_backoff() } else { None })
    }
    fn pop_active(&mut self) -> Option<PodId> {
        while let Some(Reverse((_, seq, pod))) = self.active.pop() {
            if self.is_live(pod, seq, Place::Active) {
                self.live[0] -= 1;
                self.put(pod, Place::InFlight);
                return Some(pod);
            }
        }
        if self.active.capacity() > LONG_QUEUE {
            self.active = BinaryHeap::new();
        }
        None
    }
    fn pop_backoff(&mut self) -> Option<PodId> {
        while let Some(Reverse((_, _, _, seq, pod))) = self.backoff.pop() {
            if self.is_live(pod, seq, Place::Backoff) {
                self.live[1] -= 1;
                self.put(pod, Place::InFlight);
                return Some(pod);
            }
        }
        None
    }
    fn first_active(&mut self) -> Option<(i32, SimTime, u64)> {
        loop {
            let Reverse((Reverse(priority), seq, pod)) = *self.active.peek()?;
            if self.is_live(pod, seq, Place::Active) {
                return Some((priority, self.entries.get(pod).stamp, seq));
            }
            self.active.pop();
        }
    }
    fn first_in_backoff(&mut self) -> Option<(SimTime, Reverse<i32>, SimTime, u64)> {
        loop {
            let Reverse((end, priority, stamp, seq, pod)) = *self.backoff.peek()?;
            if self.is_live(pod, seq, Place::Backoff) {
                return Some((end, priority, stamp, seq));
            }
            self.backoff.pop();
        }
    }
    /// The pod in flight needs no further attempt.
    pub fn done(&mut self, pod: PodId) {
        if self.is_in_flight(pod) {
            self.entries.clear(pod);
        }
    }
    /// The attempt at the pod in flight failed for a reason that is known to hold until something happens: it may sleep.
    pub fn failed_knowingly(
        &mut self,
        cluster: &Cluster,
        pod: PodId,
        by: PluginSet,
        doze: Doze,
        now: SimTime,
    ) {
        let count = self.entry(pod).unschedulable_count.saturating_add(1);
        if !self.is_in_flight(pod) || !self.is_longest_backoff(count) || !may_sleep(by) {
            return self.failed(pod, Failure::Rejected { by, pending: PluginSet::NONE }, now);
        }
        self.apply_noted();
        let seq = self.take_seq();
        if !self.dormant.add(cluster, pod, by, doze, now, (seq, count)) {
            return self.failed(pod, Failure::Rejected { by, pending: PluginSet::NONE }, now);
        }
        self.entries.sleep(pod);
    }
    /// Does the backoff grow no more after so many failures?
    fn is_longest_backoff(&self, count: u32) -> bool {
        let factor = 1u64.checked_shl(count.saturating_sub(1)).unwrap_or(u64::MAX);
        self.timers.backoff_initial.saturating_mul(factor) >= self.timers.backoff_max
    }
    fn longest_end(&self, stamp: SimTime) -> SimTime {
        longest_end(self.timers, stamp)
    }
    /// The attempt or the binding of the pod in flight failed: it waits.
    pub fn failed(&mut self, pod: PodId, failure: Failure, now: SimTime) {
        if !self.is_in_flight(pod) {
            return;
        }
        let seq = self.take_seq();
        let Some(entry) = self.entries.get_mut(pod) else { return };
        (entry.stamp, entry.seq) = (now, seq);
        match failure {
            Failure::Rejected { by, pending } => {
                entry.unschedulable_count = entry.unschedulable_count.saturating_add(1);
                entry.error_count = 0;
                (entry.rejectors, entry.pending) = (by.union(pending), pending);
                self.push_pool(pod);
            }
            Failure::Error => {
                entry.error_count = entry.error_count.saturating_add(1);
                (entry.rejectors, entry.pending) = (PluginSet::NONE, PluginSet::NONE);
                entry.place = Place::ErrorBackoff;
                let key = self.backoff_key(pod);
                self.error_backoff.push(key);
                self.live[2] += 1;
            }
        }
    }
    /// Something happened in the cluster: pods that it may help leave the pool.
    #[inline]
    pub fn event(&mut self, cluster: &Cluster, event: ClusterEvent, now: SimTime) {
        if !(self.pool.is_empty() && self.dormant.is_empty()) || SeenNodes::concerns(event) {
            self.tell(cluster, event, now);
        }
    }
    fn tell(&mut self, cluster: &Cluster, event: ClusterEvent, now: SimTime) {
        if !self.dormant.is_empty() {
            self.tell_dormant(cluster, event, now);
        }
        let interested = event.interested();
        let concerns = |bit: usize| self.rejected_by[bit] > 0 && interested.0 >> bit & 1 == 1;
        if !self.pool.is_empty() && (0..PLUGIN_COUNT).any(concerns) {
            let mut index = 0;
            while let Some(&pod) = self.pool.get(index) {
                let rejectors = self.entry(pod).rejectors;
                if rejectors.intersects(interested)
                    && is_worth_requeuing(cluster, &self.nodes, pod, rejectors, event)
                {
                    self.requeue(pod, event, now); // the last of the pool takes its place
                } else {
                    index += 1;
                }
            }
        }
        self.nodes.note(cluster, event);
    }
    /// The pod itself changed in a way that may help it (an event about the pod alone).
    pub fn activate(&mut self, pod: PodId) {
        if self.entries.is_asleep(pod) {
            return self.dormant.activate(pod);
        }
        if matches!(self.entry(pod).place, Place::Pool(_) | Place::Backoff | Place::ErrorBackoff) {
            self.unlink(pod);
            self.push_active(pod);
        }
    }
    /// Scheduling gates of the pod changed.
    pub fn gates_changed(&mut self, cluster: &Cluster, pod: PodId) {
        if self.entry(pod).place == Place::Gated && cluster.spec_of(pod).scheduling_gates.is_empty() {
            self.unlink(pod);
            self.push_active(pod);
        }
    }

    /// When [`SchedulingQueue::tick`] would find something to do next.
    pub fn next_tick(&mut self) -> Option<SimTime> {
        let error = self.first_backoff_end(true);
        let backoff = if self.timers.pop_from_backoff { None } else { self.first_backoff_end(false) };
        let asleep = if self.timers.pop_from_backoff || self.dormant.is_empty() {
            None
        } else {
            self.apply_noted();
            let first = self.dormant.first_stamp(Bed::Backoff);
            first.map(|stamp| after_backoff(self.timers, self.longest_end(stamp)))
        };
        [error, backoff, asleep, self.next_flush()].into_iter().flatten().min()
    }
    /// The next tick at which an old pod leaves the pool without an event.
    pub fn next_flush(&mut self) -> Option<SimTime> {
        self.drop_stale_ages();
        let awake = self.pool_ages.front().map(|(stamp, ..)| *stamp);
        let asleep = if self.dormant.is_empty() { None } else { self.dormant.first_stamp(Bed::Pool) };
        let stamp = [awake, asleep].into_iter().flatten().min()?;
        Some(flush_of(self.timers, stamp))
    }
    /// Moves pods whose backoff ended and pods that stayed in the pool too long.
    pub fn tick(&mut self, now: SimTime) {
        for error in [true, false] {
            while self.first_backoff_end(error).is_some_and(|end| end <= now) {
                let heap = if error { &mut self.error_backoff } else { &mut self.backoff };
                if let Some(Reverse((_, _, _, _, pod))) = heap.pop() {
                    self.live[if error { 2 } else { 1 }] -= 1;
                    self.push_active(pod);
                }
            }
        }
        if !self.dormant.is_empty() {
            self.apply_noted();
            let timers = self.timers;
            self.dormant
                .release(Bed::Backoff, |stamp| after_backoff(timers, longest_end(timers, stamp)) <= now);
            self.dormant.release(Bed::Pool, |stamp| flush_of(timers, stamp) <= now);
        }
        while self.next_flush().is_some_and(|at| at <= now) {
            if let Some((_, _, pod)) = self.pool_ages.pop_front() {
                self.unlink(pod);
                self.push_active(pod);
            }
        }
    }

    fn requeue(&mut self, pod: PodId, event: ClusterEvent, now: SimTime) {
        self.unlink(pod);
        let entry = self.entry(pod);
        let immediately = entry.pending.intersects(event.interested());
        if immediately || is_over(self.timers, self.backoff_end(&entry), now) {
            self.push_active(pod);
        } else {
            self.push_backoff(pod);
        }
    }
    fn push_backoff(&mut self, pod: PodId) {
        self.put(pod, Place::Backoff);
        let key = self.backoff_key(pod);
        self.backoff.push(key);
        self.live[1] += 1;
    }
    fn push_active(&mut self, pod: PodId) {
        let Some(entry) = self.entries.get_mut(pod) else { return };
        entry.place = Place::Active;
        self.active.push(Reverse((Reverse(entry.priority), entry.seq, pod)));
        self.live[0] += 1;
    }
    fn push_pool(&mut self, pod: PodId) {
        let Some(entry) = self.entries.get_mut(pod) else { return };
        entry.place = Place::Pool(self.pool.len() as u32);
        for bit in entry.rejectors.bits() {
            self.rejected_by[bit] += 1;
        }
        self.pool_ages.push_back((entry.stamp, entry.seq, pod));
        self.pool.push(pod);
        if self.pool_ages.len() > 64 + 2 * self.pool.len() {
            let entries = &self.entries;
            self.pool_ages.retain(|(_, seq, pod)| {
                let entry = entries.get(*pod);
                entry.seq == *seq && matches!(entry.place, Place::Pool(_))
            });
        }
    }
    /// Takes the pod out of whatever part of the queue it is in. Heap entries stay and are skipped when they come up.
    fn unlink(&mut self, pod: PodId) {
        if self.entries.is_asleep(pod) {
            self.woken.extend(self.dormant.remove(pod));
            return self.entries.clear(pod);
        }
        let entry = self.entry(pod);
        match entry.place {
            Place::None | Place::InFlight => {}
            Place::Active => self.live[0] -= 1,
            Place::Backoff => self.live[1] -= 1,
            Place::ErrorBackoff => self.live[2] -= 1,
            Place::Gated => self.gated -= 1,
            Place::Pool(position) => {
                for bit in entry.rejectors.bits() {
                    self.rejected_by[bit] -= 1;
                }
                self.pool.swap_remove(position as usize);
                if let Some(moved) = self.pool.get(position as usize) {
                    let moved = *moved;
                    self.put(moved, Place::Pool(position));
                }
            }
        }
        self.put(pod, Place::None);
    }
    fn entry(&self, pod: PodId) -> Entry {
        *self.entries.get(pod)
    }
    fn put(&mut self, pod: PodId, place: Place) {
        if let Some(entry) = self.entries.get_mut(pod) {
            entry.place = place;
        }
    }
    /// Which incarnation of the pod is in the queue.
    fn epoch(&self, pod: PodId) -> Option<u32> {
        if self.entries.is_asleep(pod) {
            return self.dormant.epoch(pod);
        }
        let entry = self.entries.get(pod);
        (entry.place != Place::None).then_some(entry.epoch)
    }
    fn is_live(&self, pod: PodId, seq: u64, place: Place) -> bool {
        let entry = self.entries.get(pod);
        entry.seq == seq && entry.place == place
    }
    fn take_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }
    /// When the pod's backoff ends; with pop-from-backoff rounded down to whole windows.
    fn backoff_end(&self, entry: &Entry) -> SimTime {
        let (count, longest) = if entry.error_count > 0 {
            (entry.error_count, self.timers.error_backoff_max)
        } else {
            (entry.unschedulable_count, self.timers.backoff_max)
        };
        if count == 0 || longest.is_zero() {
            return SimTime::ZERO;
        }
        let factor = 1u64.checked_shl(count - 1).unwrap_or(u64::MAX);
        let end = entry.stamp + self.timers.backoff_initial.saturating_mul(factor).min(longest);
        if !self.timers.pop_from_backoff {
            return end;
        }
        window_of(end)
    }
    fn backoff_key(&self, pod: PodId) -> BackoffKey {
        let entry = self.entries.get(pod);
        Reverse((self.backoff_end(entry), Reverse(entry.priority), entry.stamp, entry.seq, pod))
    }
    /// The tick that releases the first of a backoff queue: the first one strictly after its end.
    fn first_backoff_end(&mut self, error: bool) -> Option<SimTime> {
        let place = if error { Place::ErrorBackoff } else { Place::Backoff };
        loop {
            let heap = if error { &mut self.error_backoff } else { &mut self.backoff };
            let Reverse((end, _, _, seq, pod)) = *heap.peek()?;
            if self.is_live(pod, seq, place) {
                return Some(after_backoff(self.timers, end));
            }
            let heap = if error { &mut self.error_backoff } else { &mut self.backoff };
            heap.pop();
        }
    }
    fn drop_stale_ages(&mut self) {
        while let Some((_, seq, pod)) = self.pool_ages.front() {
            let entry = self.entries.get(*pod);
            if entry.seq == *seq && matches!(entry.place, Place::Pool(_)) {
                break;
            }
            self.pool_ages.pop_front();
        }
    }
}

/// The end of the longest backoff of a pod that was tried then; with pop-from-backoff rounded down to whole windows.
fn longest_end(timers: QueueTimers, stamp: SimTime) -> SimTime {
    if timers.backoff_max.is_zero() {
        return SimTime::ZERO;
    }
    let end = stamp + timers.backoff_max;
    if !timers.pop_from_backoff {
        return end;
    }
    window_of(end)
}

/// The beginning of the window that a time is in (`alignToWindow`).
fn window_of(at: SimTime) -> SimTime {
    SimTime::from_nanos(at.as_nanos() / BACKOFF_TICK.as_nanos() * BACKOFF_TICK.as_nanos())
}

/// Has a backoff ended? One that ends in the present window, or right now, has not (`isPodBackingoff`); 0 is the end of none.
fn is_over(timers: QueueTimers, end: SimTime, now: SimTime) -> bool {
    end == SimTime::ZERO || end < if timers.pop_from_backoff { window_of(now) } else { now }
}

/// The tick that finds a backoff over.
fn after_backoff(timers: QueueTimers, end: SimTime) -> SimTime {
    (end + SimDuration::from_nanos(1)).next_tick_of(timers.up_for, BACKOFF_TICK)
}

/// The tick that takes a pod out of the pool that was tried then: strictly older than the limit.
fn flush_of(timers: QueueTimers, stamp: SimTime) -> SimTime {
    // Each round of the loop begins some milliseconds later than a period after the last, so a pod that was tried right after a
    // round is old enough ten rounds later (recorded: 300.03 s).
    const LATE_ROUNDS: u64 = 30_000_000;
    let limit = timers.flush_after.as_nanos().saturating_sub(LATE_ROUNDS).max(1);
    (stamp + SimDuration::from_nanos(limit)).next_tick_of(timers.up_for, FLUSH_TICK)
}

/// What is remembered about a pod that does not sleep any more.
fn entry_of(woken: &Woken) -> Entry {
    Entry {
        epoch: woken.epoch,
        rejectors: woken.rejectors,
        priority: woken.priority,
        unschedulable_count: plus(woken.failures, woken.rounds),
        ..Entry::NONE
    }
}

fn plus(count: u32, more: u64) -> u32 {
    count.saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
