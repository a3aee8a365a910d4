//! Wanted replicas, and how long each has been waiting to run.
//!
//! A replica is either a pod, or *absent*: wanted without a pod object. StatefulSets want ordinals, so a replica keeps its
//! clock from one pod of that ordinal to the next; ReplicaSets and Jobs want a number of pods, so a new pod takes over the clock
//! of the replica that has been missing for longest. Absent replicas are kept as ranges: a set may want a billion of them.

mod clock;
mod owner;

pub use clock::Clock;
pub use owner::{Absent, Owner, OwnerKey};

use super::causes;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId, PodId, SpecId, StatefulSetId, Uid};
use crate::model::names::Name;
use crate::model::pod::{Pod, PodOwner, PodPhase};
use crate::results::summary::StuckCause;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How the last scheduling attempt of a pod ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastAttempt {
    /// Never tried.
    #[default]
    None,
    /// A node was found.
    Scheduled(NodeId),
    /// No node fits.
    Unschedulable,
    /// The cycle or the binding failed.
    Error,
    /// Scheduling gates hold it.
    Gated,
}

/// What a pod counts as; every pod object counts as exactly one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Phase Pending (or Unknown: nobody says that it runs).
    #[default]
    Pending,
    /// Phase Running.
    Running,
    /// With a deletionTimestamp, whatever the phase.
    Terminating,
    /// Phase Succeeded.
    Completed,
    /// Phase Failed.
    Failed,
}

impl Status {
    fn of(pod: &Pod) -> Status {
        match pod.phase {
            _ if pod.deletion.is_some() => Status::Terminating,
            PodPhase::Pending | PodPhase::Unknown => Status::Pending,
            PodPhase::Running => Status::Running,
            PodPhase::Succeeded => Status::Completed,
            PodPhase::Failed => Status::Failed,
        }
    }
}

/// What is remembered about a pod as long as its object exists.
#[derive(Clone, Debug)]
pub struct Track {
    /// Which incarnation.
    pub uid: Uid,
    /// Name; the namespace is the spec's.
    pub name: Name,
    /// What it asks for.
    pub spec: SpecId,
    /// When it was created.
    pub created: SimTime,
    /// Who wants it; `None`: nobody but its creator.
    pub owner: Option<OwnerKey>,
    /// Ordinal within a StatefulSet.
    pub ordinal: u32,
    /// Somebody wants it now.
    pub wanted: bool,
    /// What it counts as.
    pub status: Status,
    /// Phase Running, not Terminating, on a Ready node.
    pub runs: bool,
    /// How long it has not been running.
    pub clock: Clock,
    /// Why it is stuck, if it is.
    pub cause: Option<StuckCause>,
    /// How its last attempt ended.
    pub last: LastAttempt,
    /// Its PodScheduled condition is False with reason Unschedulable.
    pub unschedulable: bool,
    /// Scheduling attempts that Kubernetes would make.
    pub attempts: u64,
    /// It came before the run, assigned already.
    pub assigned_before: bool,
    /// Assigned during the run.
    pub scheduled: Option<SimTime>,
    /// Running for the first time.
    pub first_run: Option<SimTime>,
}

/// Counts over pods and replicas, right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pod objects by [`Status`].
    pub by_status: [u64; 5],
    /// Pod objects ever.
    pub created: u64,
    /// Pod objects that are gone.
    pub deleted: u64,
    /// Wanted replicas.
    pub wanted: u64,
    /// Those without a pod object.
    pub absent: u64,
    /// Stuck replicas by cause, in the order of [`StuckCause::ALL`].
    pub stuck_by: [u64; 8],
    /// Replicas that were stuck at any time.
    pub stuck_ever: u64,
    /// StatefulSets and ReplicaSets of which a replica was stuck at any time.
    pub sets_stuck_ever: u64,
    /// Pods whose PodScheduled condition is False with reason Unschedulable.
    pub unschedulable: u64,
    /// Pods never assigned that are gone.
    pub gone_unscheduled: u64,
}

impl Counts {
    /// Pods of a status.
    pub fn status(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }
    /// Stuck replicas.
    pub fn stuck(&self) -> u64 {
        self.stuck_by.iter().sum()
    }
}

/// What is due at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Pod(PodId),
    Owner(OwnerKey),
}

/// All wanted replicas and all pods.
#[derive(Debug)]
pub struct Replicas {
    stuck_after: SimDuration,
    tracks: Vec<Option<Track>>,
    owners: owner::Owners,
    counts: Counts,
    /// Whose clock started at this instant: most of them run before it is over.
    fresh: Vec<Due>,
    deadlines: BinaryHeap<Reverse<(SimTime, Due)>>,
    /// Anonymous owners whose number of replicas is to be compared with what they want.
    unbalanced: Vec<OwnerKey>,
    /// Pods whose cause may have changed.
    doubtful: Vec<PodId>,
    /// StatefulSets whose running members or wish changed.
    moved_sets: Vec<StatefulSetId>,
    /// Pods that became stuck or ceased to be since [`Replicas::take_moved`].
    moved: Vec<PodId>,
}

impl Replicas {
    /// None yet.
    pub fn new(stuck_after: SimDuration) -> Replicas {
        Replicas {
            stuck_after,
            tracks: Vec::new(),
            owners: owner::Owners::default(),
            counts: Counts::default(),
            fresh: Vec::new(),
            deadlines: BinaryHeap::new(),
            unbalanced: Vec::new(),
            doubtful: Vec::new(),
            moved_sets: Vec::new(),
            moved: Vec::new(),
        }
    }
    /// The counts. Exact after [`Replicas::settle`].
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
    /// What is known about a pod.
    pub fn track(&self, pod: PodId) -> Option<&Track> {
        self.tracks.get(pod.index())?.as_ref()
    }
    /// What is known about a pod, to be completed.
    pub fn track_mut(&mut self, pod: PodId) -> Option<&mut Track> {
        self.tracks.get_mut(pod.index())?.as_mut()
    }
    /// Every pod, in row order.
    pub fn tracks(&self) -> impl Iterator<Item = (PodId, &Track)> {
        self.tracks.iter().enumerate().filter_map(|(i, t)| Some((PodId::new(i), t.as_ref()?)))
    }
    /// What is known about the owners.
    pub fn owner(&self, key: OwnerKey) -> Option<&Owner> {
        self.owners.get(key)
    }
    /// Pods whose being stuck changed since the last call.
    pub fn take_moved(&mut self, into: &mut Vec<PodId>) {
        into.append(&mut self.moved);
    }
    /// StatefulSets whose running members or wish changed since the last call, possibly several times.
    pub fn take_moved_sets(&mut self) -> Vec<StatefulSetId> {
        std::mem::take(&mut self.moved_sets)
    }
    fn set_moved(&mut self, key: OwnerKey) {
        if let OwnerKey::StatefulSet(set) = key {
            self.moved_sets.push(set);
        }
    }
    /// The pod's cause may have changed.
    pub fn doubt(&mut self, pod: PodId) {
        if self.track(pod).is_some_and(|t| t.clock.stuck) {
            self.doubtful.push(pod);
        }
    }

    /// An owner came, changed or went.
    pub fn owner_changed(&mut self, at: SimTime, cluster: &Cluster, key: OwnerKey) {
        let wish = owner::wish(cluster, key);
        let owner = self.owners.entry(key);
        // A row of the model may be used again by another object.
        owner.ever_stuck &= owner.exists;
        owner.exists = wish.exists;
        let (old, new) = (owner.range(), wish.range());
        (owner.first, owner.target) = (wish.first, wish.target);
        if !key.has_ordinals() {
            self.unbalanced.push(key);
            return;
        }
        self.set_moved(key);
        if old == new {
            return;
        }
        let mut dropped = Vec::new();
        let owner = self.owners.entry(key);
        owner.clip_absent(new.clone(), &mut dropped);
        self.count_out(&dropped);
        let owner = self.owners.entry(key);
        let members: Vec<(u32, PodId)> = owner.members.iter().map(|(o, p)| (*o, *p)).collect();
        for &(ordinal, pod) in &members {
            match (old.contains(&u64::from(ordinal)), new.contains(&u64::from(ordinal))) {
                (false, true) => self.want(at, pod, Clock::started(at)),
                (true, false) => self.unwant(pod),
                _ => {}
            }
        }
        let taken: Vec<u32> = members.iter().map(|(o, _)| *o).collect();
        for gap in owner::gaps(&old, &new, &taken) {
            self.add_absent(key, gap, Clock::started(at));
        }
    }

    /// A pod object came.
    pub fn pod_created(&mut self, at: SimTime, cluster: &Cluster, pod: PodId) {
        let row = cluster.pod(pod);
        let key = OwnerKey::of(row.owner);
        if self.tracks.len() <= pod.index() {
            self.tracks.resize_with(pod.index() + 1, || None);
        }
        let status = Status::of(row);
        self.counts.created += 1;
        self.counts.by_status[status as usize] += 1;
        let ordinal = row.name.ordinal().unwrap_or_default();
        self.tracks[pod.index()] = Some(Track {
            uid: row.uid,
            name: row.name,
            spec: row.spec,
            created: row.created,
            owner: key,
            ordinal,
            wanted: false,
            status,
            runs: false,
            clock: Clock::default(),
            cause: None,
            last: LastAttempt::None,
            unschedulable: false,
            attempts: 0,
            assigned_before: row.node.is_some(),
            scheduled: None,
            first_run: None,
        });
        match key {
            None => {
                if row.deletion.is_none() {
                    self.want(at, pod, Clock::started(at));
                }
            }
            Some(key) if key.has_ordinals() => {
                let owner = self.owners.entry(key);
                owner.members.insert(ordinal, pod);
                if owner.range().contains(&u64::from(ordinal)) {
                    let clock = self.take_absent(key, Some(ordinal)).unwrap_or(Clock::started(at));
                    self.want(at, pod, clock);
                }
            }
            Some(key) => {
                if row.deletion.is_none() && !row.is_finished() {
                    let clock = self.take_absent(key, None).unwrap_or(Clock::started(at));
                    self.want(at, pod, clock);
                    self.unbalanced.push(key);
                }
            }
        }
        self.pod_changed(at, cluster, pod);
    }

    /// A pod's phase, deletion or node changed.
    pub fn pod_changed(&mut self, at: SimTime, cluster: &Cluster, pod: PodId) {
        let row = cluster.pod(pod);
        let Some(track) = self.tracks.get_mut(pod.index()).and_then(Option::as_mut) else { return };
        let status = Status::of(row);
        self.counts.by_status[track.status as usize] -= 1;
        self.counts.by_status[status as usize] += 1;
        track.status = status;
        let up = row.node.is_none_or(|n| causes::node_is_up(cluster, n));
        let runs = status == Status::Running && up;
        if runs && track.first_run.is_none() {
            track.first_run = Some(at);
        }
        let ran = std::mem::replace(&mut track.runs, runs);
        let (wanted, owner) = (track.wanted, track.owner);
        let ended = row.is_finished();
        if wanted && (ran != runs || (owner.is_none() && ended)) {
            // A bare pod that has ended is still wanted, but it waits for nothing.
            self.set_running(at, pod, runs || (owner.is_none() && ended));
        }
        if ran != runs
            && let Some(key) = owner.filter(|_| wanted)
        {
            let owner = self.owners.entry(key);
            owner.running = if runs { owner.running + 1 } else { owner.running - 1 };
            self.set_moved(key);
        }
        let lost = row.deletion.is_some() || ended;
        match owner {
            None if wanted && row.deletion.is_some() => self.unwant(pod),
            Some(key) if wanted && lost && !key.has_ordinals() => self.lose(at, pod, key),
            _ => self.doubt(pod),
        }
    }

    /// A pod object is gone. Returns what was known about it.
    pub fn pod_gone(&mut self, at: SimTime, pod: PodId) -> Option<Track> {
        let track = self.track(pod)?;
        let (owner, wanted, ordinal) = (track.owner, track.wanted, track.ordinal);
        if let Some(key) = owner.filter(|k| k.has_ordinals()) {
            let owner = self.owners.entry(key);
            if owner.members.get(&ordinal) == Some(&pod) {
                owner.members.remove(&ordinal);
            }
        }
        match owner {
            Some(key) if wanted => self.lose(at, pod, key),
            _ => self.unwant(pod),
        }
        let track = self.tracks[pod.index()].take()?;
        self.counts.by_status[track.status as usize] -= 1;
        self.counts.deleted += 1;
        self.counts.unschedulable -= u64::from(track.unschedulable);
        let assigned = track.scheduled.is_some() || track.assigned_before;
        self.counts.gone_unscheduled += u64::from(!assigned);
        Some(track)
    }

    /// The scheduler tried a pod.
    pub fn attempted(&mut self, pod: PodId, attempts: u64, result: Option<LastAttempt>) {
        let Some(track) = self.tracks.get_mut(pod.index()).and_then(Option::as_mut) else { return };
        track.attempts += attempts;
        let Some(result) = result else { return };
        let unschedulable = match result {
            LastAttempt::Unschedulable => true,
            // The condition stays until the pod is bound.
            LastAttempt::Scheduled(_) | LastAttempt::None => track.unschedulable,
            LastAttempt::Error | LastAttempt::Gated => false,
        };
        self.counts.unschedulable += u64::from(unschedulable);
        self.counts.unschedulable -= u64::from(track.unschedulable);
        track.unschedulable = unschedulable;
        if std::mem::replace(&mut track.last, result) != result {
            self.doubt(pod);
        }
    }
    /// A pod was assigned during the run.
    pub fn assigned(&mut self, at: SimTime, pod: PodId) {
        let Some(track) = self.tracks.get_mut(pod.index()).and_then(Option::as_mut) else { return };
        track.scheduled = Some(at);
        self.counts.unschedulable -= u64::from(std::mem::take(&mut track.unschedulable));
        self.doubt(pod);
    }

    /// Everything of this instant has happened: balances owners, sets deadlines, finds causes.
    pub fn settle(&mut self, at: SimTime, cluster: &Cluster) {
        let mut unbalanced = std::mem::take(&mut self.unbalanced);
        unbalanced.sort_unstable();
        unbalanced.dedup();
        for &key in &unbalanced {
            self.balance(at, key);
        }
        unbalanced.clear();
        self.unbalanced = unbalanced;
        for due in std::mem::take(&mut self.fresh) {
            match due {
                Due::Pod(pod) => {
                    if let Some(since) = self.track(pod).filter(|t| t.waits()).and_then(|t| t.clock.since) {
                        self.deadlines.push(Reverse((since + self.stuck_after, due)));
                    }
                }
                Due::Owner(key) => {
                    let sinces: Vec<SimTime> = self
                        .owners
                        .get(key)
                        .into_iter()
                        .flat_map(|o| &o.absent)
                        .filter(|a| !a.clock.stuck)
                        .filter_map(|a| a.clock.since)
                        .collect();
                    for since in sinces {
                        self.deadlines.push(Reverse((since + self.stuck_after, due)));
                    }
                }
            }
        }
        self.find_causes(cluster);
    }

    /// When the next replica becomes stuck, if nothing changes before; possibly a false alarm.
    pub fn next_deadline(&self) -> Option<SimTime> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    /// Makes stuck whoever has waited for `stuckAfter` at `at`.
    pub fn pass_deadlines(&mut self, at: SimTime, cluster: &Cluster) {
        while let Some(&Reverse((due_at, due))) = self.deadlines.peek() {
            if due_at > at {
                break;
            }
            self.deadlines.pop();
            match due {
                Due::Pod(pod) => self.pod_due(pod, due_at),
                Due::Owner(key) => self.owner_due(key, due_at),
            }
        }
        self.find_causes(cluster);
    }

    fn pod_due(&mut self, pod: PodId, due_at: SimTime) {
        let after = self.stuck_after;
        let Some(track) = self.tracks.get_mut(pod.index()).and_then(Option::as_mut) else { return };
        let due = track.waits() && track.clock.since.is_some_and(|since| since + after == due_at);
        if due && !track.clock.stuck {
            self.counts.stuck_ever += u64::from(!track.clock.ever);
            (track.clock.stuck, track.clock.ever) = (true, true);
            if let Some(key) = track.owner {
                let owner = self.owners.entry(key);
                owner.stuck_pods += 1;
                self.counts.sets_stuck_ever += u64::from(owner.first_stuck(key));
            }
            self.moved.push(pod);
            self.doubtful.push(pod);
        }
    }

    fn owner_due(&mut self, key: OwnerKey, due_at: SimTime) {
        let after = self.stuck_after;
        let owner = self.owners.entry(key);
        let mut stuck = false;
        for absent in &mut owner.absent {
            let due = absent.clock.since.is_some_and(|since| since + after <= due_at);
            if due && !absent.clock.stuck {
                let count = u64::from(absent.count);
                self.counts.stuck_ever += if absent.clock.ever { 0 } else { count };
                (absent.clock.stuck, absent.clock.ever) = (true, true);
                self.counts.stuck_by[StuckCause::NotCreated as usize] += count;
                stuck = true;
            }
        }
        if stuck {
            self.counts.sets_stuck_ever += u64::from(owner.first_stuck(key));
        }
    }

    fn find_causes(&mut self, cluster: &Cluster) {
        for pod in std::mem::take(&mut self.doubtful) {
            let Some(track) = self.tracks.get_mut(pod.index()).and_then(Option::as_mut) else { continue };
            if !track.clock.stuck || !track.wanted {
                continue;
            }
            let cause = causes::cause(cluster, pod, track.last);
            if let Some(old) = track.cause.replace(cause) {
                self.counts.stuck_by[old as usize] -= 1;
            }
            self.counts.stuck_by[cause as usize] += 1;
        }
    }

    fn set_running(&mut self, at: SimTime, pod: PodId, running: bool) {
        let Some(track) = self.tracks.get_mut(pod.index()).and_then(Option::as_mut) else { return };
        if running {
            track.clock.since = None;
            self.unstick(pod);
        } else if track.clock.since.is_none() {
            track.clock.since = Some(at);
            self.fresh.push(Due::Pod(pod));
        }
    }

    fn unstick(&mut self, pod: PodId) {
        let Some(track) = self.tracks.get_mut(pod.index()).and_then(Option::as_mut) else { return };
        if std::mem::take(&mut track.clock.stuck) {
            if let Some(cause) = track.cause.take() {
                self.counts.stuck_by[cause as usize] -= 1;
            }
            if let Some(key) = track.owner {
                self.owners.entry(key).stuck_pods -= 1;
            }
            self.moved.push(pod);
        }
    }

    fn want(&mut self, at: SimTime, pod: PodId, clock: Clock) {
        let Some(track) = self.tracks.get_mut(pod.index()).and_then(Option::as_mut) else { return };
        if std::mem::replace(&mut track.wanted, true) {
            return;
        }
        track.clock = clock;
        self.counts.wanted += 1;
        if let Some(key) = track.owner {
            let owner = self.owners.entry(key);
            owner.wanted_pods += 1;
            owner.running += u64::from(track.runs);
            owner.stuck_pods += u64::from(track.clock.stuck);
            self.set_moved(key);
        }
        let Some(track) = self.track(pod) else { return };
        if track.clock.stuck {
            self.moved.push(pod);
            self.doubtful.push(pod);
        }
        if self.track(pod).is_some_and(|t| t.runs) {
            self.set_running(at, pod, true);
        } else {
            self.fresh.push(Due::Pod(pod));
        }
    }

    fn unwant(&mut self, pod: PodId) {
        self.unstick(pod);
        let Some(track) = self.tracks.get_mut(pod.index()).and_then(Option::as_mut) else { return };
        if !std::mem::take(&mut track.wanted) {
            return;
        }
        self.counts.wanted -= 1;
        if let Some(key) = track.owner {
            let owner = self.owners.entry(key);
            owner.wanted_pods -= 1;
            owner.running -= u64::from(track.runs);
            self.set_moved(key);
        }
    }

    /// A wanted pod is no longer there, or no longer counts; its replica is still wanted.
    fn lose(&mut self, at: SimTime, pod: PodId, key: OwnerKey) {
        let Some(track) = self.track(pod) else { return };
        let mut clock = track.clock;
        clock.since = clock.since.or(Some(at));
        let ordinal = track.ordinal;
        self.unwant(pod);
        self.add_absent(key, (ordinal, 1), clock);
        if !key.has_ordinals() {
            self.unbalanced.push(key);
        }
    }

    fn add_absent(&mut self, key: OwnerKey, (first, count): (u32, u32), clock: Clock) {
        self.owners.entry(key).add_absent(Absent { first, count, clock });
        self.counts.wanted += u64::from(count);
        self.counts.absent += u64::from(count);
        if clock.stuck {
            self.counts.stuck_by[StuckCause::NotCreated as usize] += u64::from(count);
        } else {
            self.fresh.push(Due::Owner(key));
        }
    }

    /// Takes one absent replica (of this ordinal, or the one missing for longest): a pod is there for it now.
    fn take_absent(&mut self, key: OwnerKey, ordinal: Option<u32>) -> Option<Clock> {
        let clock = self.owners.entry(key).take_absent(ordinal)?;
        self.count_out(&[Absent { first: 0, count: 1, clock }]);
        Some(clock)
    }

    fn count_out(&mut self, gone: &[Absent]) {
        for absent in gone {
            let count = u64::from(absent.count);
            self.counts.wanted -= count;
            self.counts.absent -= count;
            if absent.clock.stuck {
                self.counts.stuck_by[StuckCause::NotCreated as usize] -= count;
            }
        }
    }

    fn balance(&mut self, at: SimTime, key: OwnerKey) {
        let owner = self.owners.entry(key);
        let have = owner.wanted_pods + owner.absent_count();
        let target = u64::from(owner.target);
        if have < target {
            let missing = u32::try_from(target - have).unwrap_or(u32::MAX);
            self.add_absent(key, (0, missing), Clock::started(at));
        } else {
            let dropped = owner.drop_newest_absent(have - target);
            self.count_out(&dropped);
        }
    }
}

impl Track {
    /// Wanted, and its clock runs.
    fn waits(&self) -> bool {
        self.wanted && self.clock.since.is_some()
    }
    /// Assigned to a node, before or during the run.
    pub fn was_assigned(&self) -> bool {
        self.assigned_before || self.scheduled.is_some()
    }
}

impl OwnerKey {
    fn of(owner: PodOwner) -> Option<OwnerKey> {
        match owner {
            PodOwner::None => None,
            PodOwner::StatefulSet(id) => Some(OwnerKey::StatefulSet(id)),
            PodOwner::ReplicaSet(id) => Some(OwnerKey::ReplicaSet(id)),
            PodOwner::Job(id) => Some(OwnerKey::Job(id)),
        }
    }
}
