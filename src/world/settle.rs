//! Changes are told to those who watch; controllers act until nothing is left to do.

use super::*;
use crate::control::provisioner::local;
use crate::control::provisioner::lvm::LvmWrite;
use crate::control::pv::{self, PvKey, PvOutput, PvWrite};
use crate::control::timing::{Limiter, RateLimit};
use crate::control::{Retry, Step, job, kubelet, node_lifecycle, protection, replicaset};
use crate::model::cluster::{NodeDelta, PodDelta};
use crate::model::ids::{ClaimId, SpecId, VolumeId};
use crate::model::pod::PodPhase;
use crate::model::spec::PodVolume;
use crate::model::volume::{ClaimOwner, ClaimPhase, VolumePhase};
use crate::observe::AttemptResult;
use crate::scheduler::hints::ClusterEvent;

/// A key that a worker has in hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// A controller's key; StatefulSets with the place of the pass.
    Actor(Actor, u32, statefulset::Pass),
    /// A key of the PV controller; `true`: of its claim worker.
    Pv(PvKey, bool),
}

/// A write of any controller.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyWrite {
    Api(Write),
    /// The PV controller's, and the key to go on with.
    Pv(PvWrite, PvKey),
}

/// The PV controller's client and its two workers.
#[derive(Clone, Debug)]
pub(super) struct PvClients {
    limiter: Limiter,
    claims_busy: bool,
    volumes_busy: bool,
}

impl PvClients {
    pub(super) fn new(limit: RateLimit) -> PvClients {
        PvClients { limiter: Limiter::new(limit), claims_busy: false, volumes_busy: false }
    }
}

/// Phases that were last told to the observer, to tell transitions.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenPhases {
    claims: Vec<Option<ClaimPhase>>,
    volumes: Vec<Option<VolumePhase>>,
}

fn replace<T: Copy>(column: &mut Vec<Option<T>>, index: usize, value: Option<T>) -> Option<T> {
    if column.len() <= index {
        column.resize(index + 1, None);
    }
    std::mem::replace(&mut column[index], value)
}

/// First delay of a key that failed (`DefaultTypedControllerRateLimiter`).
const RETRY_FIRST: SimDuration = SimDuration::from_millis(5);
/// Longest delay of a key that failed.
const RETRY_LONGEST: SimDuration = SimDuration::from_secs(1000);

impl<O: Observer> World<'_, O> {
    /// Tells what has changed: the observer at once, the watchers after the watch latency.
    pub(super) fn publish(&mut self) {
        let watch = self.plan.timing.watch_latency;
        while !self.cluster.changes().is_empty() {
            let mut changes = std::mem::take(&mut self.changes);
            self.cluster.take_changes(&mut changes);
            self.last_change = self.now;
            for change in &changes {
                self.tell_observer(change);
                self.note_children(change);
                if watch.is_zero() {
                    self.deliver(change);
                } else {
                    self.watch.push_back((self.now + watch, *change));
                }
            }
            self.changes = changes;
        }
    }

    /// Controllers act until nothing is left to do now.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some((_, change)) = self.watch.front().filter(|(at, _)| *at <= self.now).copied() {
                self.watch.pop_front();
                self.deliver(&change);
            }
            self.disk_work();
            if !self.pv_work() && !self.actor_work() {
                if self.has_controller_work() {
                    continue; // what was written has been delivered meanwhile
                }
                self.poll_ideal_bindings();
                if !self.has_controller_work() {
                    return;
                }
            }
        }
    }
    pub(super) fn has_controller_work(&self) -> bool {
        self.watch.front().is_some_and(|(at, _)| *at <= self.now)
            || Actor::ALL
                .iter()
                .any(|actor| self.can_act(*actor) && !self.actors[*actor as usize].queue.is_empty())
            || self.pv_has_work()
            || self.disks.next_at().is_some_and(|at| at <= self.now)
            || self.lvm.next_at().is_some_and(|at| at <= self.now)
    }
    /// Has the controller a free worker, and does it run at all? Kubelets do not belong to the controller manager.
    fn can_act(&self, actor: Actor) -> bool {
        self.actors[actor as usize].idle_workers > 0
            && (self.kcm_down_until.is_none() || actor == Actor::Kubelets)
    }
    fn pv_has_work(&self) -> bool {
        if self.kcm_down_until.is_some() {
            return false;
        }
        let (claims, volumes) = self.pv.queued();
        (claims && !self.pv_clients.claims_busy) || (volumes && !self.pv_clients.volumes_busy)
    }

    // ---- the PV controller ----

    fn pv_work(&mut self) -> bool {
        if !self.pv_has_work() {
            return false;
        }
        if self.plan.timing.api_latency.is_zero() && self.pv_clients.limiter.is_unlimited() {
            let mut events = std::mem::take(&mut self.pv_events);
            self.pv.run(&mut self.cluster, &mut events);
            self.publish();
            self.tell_pv_events(&mut events);
            self.pv_events = events;
            return true;
        }
        let volume = (!self.pv_clients.volumes_busy).then(|| self.pv.pop_volume()).flatten();
        let claim = (!self.pv_clients.claims_busy)
            .then(|| self.pv.pop_claim().or_else(|| self.pv.next_ideal(&self.cluster)))
            .flatten();
        for (key, of_claims) in [(volume, false), (claim, true)] {
            if let Some(key) = key {
                *self.pv_busy(of_claims) = true;
                self.go_on(Work::Pv(key, of_claims));
            }
        }
        volume.is_some() || claim.is_some()
    }
    fn pv_busy(&mut self, of_claims: bool) -> &mut bool {
        if of_claims { &mut self.pv_clients.claims_busy } else { &mut self.pv_clients.volumes_busy }
    }
    fn pv_step(&mut self, key: PvKey, of_claims: bool) -> Option<AnyWrite> {
        let mut out = PvOutput::default();
        let step = pv::sync(&self.cluster, key, &mut out);
        for key in out.enqueue.drain(..) {
            self.pv.push(key);
        }
        self.tell_pv_events(&mut out.events);
        match step {
            pv::Step::Write { write, then } => Some(AnyWrite::Pv(write, then)),
            pv::Step::Done => {
                *self.pv_busy(of_claims) = false;
                None
            }
        }
    }
    fn tell_pv_events(&mut self, events: &mut Vec<PvEvent>) {
        if self.observer.wants_events() {
            for event in events.iter() {
                let message = event.message(&self.cluster);
                let message = self.cluster.names.intern(&message);
                let about = event.about;
                self.observe(&Observation::Event { about, reason: event.reason(), message });
            }
        }
        events.clear();
    }

    /// Static provisioners delete what they have wiped and offer their disks again; the driver of volume groups makes volumes.
    fn disk_work(&mut self) {
        while let Some(write) = self.disks.due(&self.cluster, self.now) {
            local::apply(&mut self.cluster, write, self.now);
            self.publish();
        }
        while let Some(write) = self.lvm.due(&self.cluster, self.now) {
            let event = self.lvm.apply(&mut self.cluster, write, self.now);
            self.publish();
            if let LvmWrite::Publish { node, .. } = write {
                // What fits on the node may have changed.
                if let Some(node) = self.cluster.node_by_name(node) {
                    self.observe(&Observation::NodeChanged(node, NodeDelta::Other));
                }
            }
            if let Some(event) = event.filter(|_| self.observer.wants_events()) {
                let message = self.cluster.names.intern(&event.message);
                self.observe(&Observation::Event { about: event.about, reason: event.reason, message });
            }
        }
    }

    // ---- the other controllers ----

    fn actor_work(&mut self) -> bool {
        for actor in Actor::ALL {
            if !self.can_act(actor) {
                continue;
            }
            let state = &mut self.actors[actor as usize];
            if let Some(key) = state.queue.take() {
                state.idle_workers -= 1;
                self.go_on(Work::Actor(actor, key, Self::new_pass()));
                return true;
            }
        }
        false
    }

    /// Works on a key until it is done or a write has to wait for the API.
    fn go_on(&mut self, mut work: Work) {
        loop {
            let write = match &mut work {
                Work::Actor(actor, key, pass) => {
                    let (actor, key) = (*actor, *key);
                    match self.actor_step(actor, key, pass) {
                        Step::Write(write) => AnyWrite::Api(write),
                        Step::Done => {
                            self.retries.remove(&(actor, key));
                            return self.done(actor, key);
                        }
                        Step::Retry(why) => {
                            self.retry(actor, key, Some(why));
                            return self.done(actor, key);
                        }
                    }
                }
                Work::Pv(key, of_claims) => match self.pv_step(*key, *of_claims) {
                    Some(write) => write,
                    None => return,
                },
            };
            let at = self.commit_time(&work);
            if at > self.now {
                let slot = self.park(Pending { work, write });
                return self.plan_event(at, RANK_CONTROLLERS, Event::Commit(slot));
            }
            if !self.make(&mut work, write) {
                return;
            }
        }
    }
    /// A write reaches the API server.
    pub(super) fn commit(&mut self, slot: u32) {
        let Some(Pending { mut work, write }) = self.pending[slot as usize].take() else { return };
        self.free_pending.push(slot);
        if self.make(&mut work, write) {
            self.go_on(work);
        }
    }
    /// Makes a write; false if it was refused and the key has been put back.
    fn make(&mut self, work: &mut Work, write: AnyWrite) -> bool {
        match (write, work) {
            (AnyWrite::Api(write), Work::Actor(actor, key, _)) => {
                let (actor, key) = (*actor, *key);
                let refused = self.write(write).is_err();
                if refused {
                    self.retry(actor, key, None);
                    self.done(actor, key);
                }
                !refused
            }
            (AnyWrite::Pv(write, then), Work::Pv(key, of_claims)) => {
                let result = pv::apply(&mut self.cluster, &write);
                self.publish();
                if result.is_err() {
                    let (key, of_claims) = (*key, *of_claims);
                    *self.pv_busy(of_claims) = false;
                    self.pv.push(key);
                    return false;
                }
                *key = then;
                true
            }
            _ => false,
        }
    }
    fn park(&mut self, pending: Pending) -> u32 {
        match self.free_pending.pop() {
            Some(slot) => {
                self.pending[slot as usize] = Some(pending);
                slot
            }
            None => {
                self.pending.push(Some(pending));
                (self.pending.len() - 1) as u32
            }
        }
    }
    /// When a controller's next request has done its work in the API server. Kubelets have clients of their own.
    fn commit_time(&mut self, work: &Work) -> SimTime {
        let limiter = match work {
            Work::Actor(Actor::Kubelets, ..) => return self.now,
            Work::Actor(actor, ..) => &mut self.actors[*actor as usize].limiter,
            Work::Pv(..) => &mut self.pv_clients.limiter,
        };
        limiter.take(self.now) + self.plan.timing.api_latency
    }
    fn done(&mut self, actor: Actor, key: u32) {
        let state = &mut self.actors[actor as usize];
        state.queue.done(key);
        state.idle_workers += 1;
    }
    fn retry(&mut self, actor: Actor, key: u32, why: Option<Retry>) {
        if self.plan.timing.ideal {
            // No timer: the key is woken by the event that it waits for.
            if let (Some(Retry::ClaimBeingDeleted(claim)), Actor::StatefulSets) = (why, actor) {
                self.waiting_for_claims.push((claim, StatefulSetId(key)));
            }
            return;
        }
        let failures = self.retries.entry((actor, key)).or_insert(0);
        let delay = RETRY_FIRST.saturating_mul(1u64.checked_shl(*failures).unwrap_or(u64::MAX));
        *failures += 1;
        let at = self.now + delay.min(RETRY_LONGEST);
        self.plan_event(at, RANK_CONTROLLERS, Event::RetryKey(actor, key));
    }

    fn actor_step(&mut self, actor: Actor, key: u32, pass: &mut statefulset::Pass) -> Step {
        let cluster = &mut self.cluster;
        match actor {
            Actor::StatefulSets => {
                let id = StatefulSetId(key);
                let pods = self.children.of(PodOwner::StatefulSet(id));
                statefulset::step(cluster, pods, id, pass, &self.tie)
            }
            Actor::ReplicaSets => {
                let id = ReplicaSetId(key);
                replicaset::step(cluster, self.children.of(PodOwner::ReplicaSet(id)), id)
            }
            Actor::Jobs => job::step(cluster, self.children.of(PodOwner::Job(JobId(key))), JobId(key)),
            Actor::Kubelets => self.kubelet_step(PodId(key)),
            Actor::ProtectClaims => protection::claim_step(cluster, ClaimId(key)),
            Actor::ProtectVolumes => protection::volume_step(cluster, VolumeId(key)),
            Actor::OrphanClaims => {
                let orphaned = &self.orphaned_claims;
                protection::orphan_step(cluster, ClaimId(key), |uid| orphaned.contains(&uid))
            }
            Actor::OrphanSetPods => self.orphaned(PodOwner::StatefulSet(StatefulSetId(key))),
            Actor::OrphanReplicas => self.orphaned(PodOwner::ReplicaSet(ReplicaSetId(key))),
            Actor::OrphanJobPods => self.orphaned(PodOwner::Job(JobId(key))),
            Actor::NodeTaints => self.node_taints_step(NodeId(key)),
        }
    }
    fn node_taints_step(&self, node: NodeId) -> Step {
        let unknown = self.node_life.is_unknown(node);
        let taints = node_lifecycle::condition_taints(&self.cluster, node, unknown);
        let row = self.cluster.node(node);
        if row.exists && taints != row.taints {
            Step::Write(Write::SetNodeTaints { node, unknown })
        } else {
            Step::Done
        }
    }
    fn orphaned(&self, owner: PodOwner) -> Step {
        let gone = match owner {
            PodOwner::None => false,
            PodOwner::StatefulSet(id) => !self.cluster.stateful_sets()[id].exists,
            PodOwner::ReplicaSet(id) => !self.cluster.replica_sets()[id].exists,
            PodOwner::Job(id) => !self.cluster.jobs()[id].exists,
        };
        if gone { protection::orphaned_pods_step(&self.cluster, self.children.of(owner)) } else { Step::Done }
    }

    // ---- kubelets ----

    fn kubelet_step(&mut self, pod: PodId) -> Step {
        let Some(node) = self.cluster.pods().get(pod).and_then(|p| p.node) else { return Step::Done };
        let (works, timing) = (self.kubelet_works(node), self.plan.timing);
        let row = self.cluster.pod(pod);
        let (uid, epoch) = (row.uid, epoch_of(row.uid));
        let duty = kubelet::duty(&self.cluster, pod, works);
        if duty == kubelet::Duty::Start && !self.member_may_start(pod) {
            return Step::Done;
        }
        let starts = duty == kubelet::Duty::Start && timing.kubelet_start.is_zero();
        if starts || duty == kubelet::Duty::Report {
            let ready = self.ready_at_once(pod);
            let row = self.cluster.pod(pod);
            if (row.phase, row.ready) == (PodPhase::Running, ready) {
                return Step::Done;
            }
            return Step::Write(Write::SetPodStatus { pod, uid, phase: PodPhase::Running, ready });
        }
        match duty {
            kubelet::Duty::None | kubelet::Duty::Report => Step::Done,
            kubelet::Duty::Start => {
                if !std::mem::replace(&mut self.pod_state(pod).starting, true) {
                    let at = self.now + timing.kubelet_start;
                    self.plan_event(at, RANK_CONTROLLERS, Event::Started(pod, epoch));
                }
                Step::Done
            }
            kubelet::Duty::Stop if timing.kubelet_stop.is_zero() => {
                Step::Write(Write::RemovePod { pod, uid })
            }
            kubelet::Duty::Stop => {
                if !std::mem::replace(&mut self.pod_state(pod).stopping, true) {
                    let at = self.now + timing.kubelet_stop;
                    self.plan_event(at, RANK_CONTROLLERS, Event::Stopped(pod, epoch));
                }
                Step::Done
            }
        }
    }
    pub(super) fn started(&mut self, pod: PodId, epoch: u32) {
        if !self.is_same_pod(pod, epoch) {
            return;
        }
        self.pod_state(pod).starting = false;
        let works = self.cluster.pod(pod).node.is_some_and(|node| self.kubelet_works(node));
        if kubelet::duty(&self.cluster, pod, works) == kubelet::Duty::Start {
            let (uid, ready) = (self.cluster.pod(pod).uid, self.ready_at_once(pod));
            let _ = self.write(Write::SetPodStatus { pod, uid, phase: PodPhase::Running, ready });
        }
    }
    pub(super) fn stopped(&mut self, pod: PodId, epoch: u32) {
        if !self.is_same_pod(pod, epoch) {
            return;
        }
        self.pod_state(pod).stopping = false;
        let works = self.cluster.pod(pod).node.is_some_and(|node| self.kubelet_works(node));
        if kubelet::duty(&self.cluster, pod, works) == kubelet::Duty::Stop {
            let uid = self.cluster.pod(pod).uid;
            let _ = self.write(Write::RemovePod { pod, uid });
        }
    }
    pub(super) fn completed(&mut self, pod: PodId, epoch: u32) {
        if self.is_same_pod(pod, epoch) && self.cluster.pod(pod).phase == PodPhase::Running {
            let uid = self.cluster.pod(pod).uid;
            let _ = self.write(Write::SetPodStatus { pod, uid, phase: PodPhase::Succeeded, ready: false });
        }
    }

    // ---- who hears of what ----

    fn tell_observer(&mut self, change: &Change) {
        let what = match *change {
            Change::NodeAdded(id) => Observation::NodeCreated(id),
            Change::NodeUpdated(id, delta) => Observation::NodeChanged(id, delta),
            Change::NodeRemoved(id) => Observation::NodeGone(id),
            Change::PodAdded(id) => {
                if self.cluster.pod(id).owner == PodOwner::None {
                    self.observe(&Observation::PodWanted(id));
                }
                Observation::PodCreated(id)
            }
            Change::PodUpdated(id, delta) => match (self.cluster.pods().get(id), delta) {
                (Some(row), PodDelta::Assigned) => match row.node {
                    Some(node) => Observation::PodAssigned { pod: id, node },
                    None => return,
                },
                (Some(row), PodDelta::Status) => {
                    Observation::PodStatus { pod: id, phase: row.phase, ready: row.ready }
                }
                (Some(_), PodDelta::Terminating) => Observation::PodTerminating(id),
                _ => return,
            },
            Change::PodRemoved { pod, uid, node, spec, .. } => Observation::PodGone { pod, uid, node, spec },
            Change::VolumeAdded(id) => Observation::VolumeCreated(id),
            Change::VolumeUpdated(id) => {
                let phase = self.cluster.volumes().get(id).map(|v| v.phase);
                match phase.filter(|_| replace(&mut self.phases.volumes, id.index(), phase) != phase) {
                    Some(phase) => Observation::VolumePhase { volume: id, phase },
                    None => Observation::VolumeChanged(id),
                }
            }
            Change::VolumeRemoved { volume, name, .. } => {
                replace(&mut self.phases.volumes, volume.index(), None);
                Observation::VolumeGone { volume, name }
            }
            Change::ClaimAdded(id) => Observation::ClaimCreated(id),
            Change::ClaimUpdated(id) => {
                let phase = self.cluster.claims().get(id).map(|c| c.phase);
                match phase.filter(|_| replace(&mut self.phases.claims, id.index(), phase) != phase) {
                    Some(phase) => Observation::ClaimPhase { claim: id, phase },
                    None => Observation::ClaimChanged(id),
                }
            }
            Change::ClaimRemoved { claim, uid, namespace, name, volume } => {
                replace(&mut self.phases.claims, claim.index(), None);
                Observation::ClaimGone { claim, uid, namespace, name, volume }
            }
            Change::StatefulSetChanged(id) => Observation::StatefulSet(id),
            Change::ReplicaSetChanged(id) => Observation::ReplicaSet(id),
            Change::JobChanged(id) => Observation::Job(id),
            Change::ClassChanged(_)
            | Change::CapacityChanged(_)
            | Change::CsiNodeChanged(_)
            | Change::CsiDriverChanged(_) => return,
        };
        self.observe(&what);
    }

    /// Keeps the lists of pods by owner: they are indexes, not knowledge that travels.
    fn note_children(&mut self, change: &Change) {
        match *change {
            Change::PodAdded(id) => {
                let row = self.cluster.pod(id);
                let (uid, owner, ordinal) = (row.uid, row.owner, row.name.ordinal());
                *self.pod_state(id) = PodState { uid: Some(uid), ..PodState::default() };
                self.children.add(owner, id);
                if let (PodOwner::StatefulSet(set), Some(ordinal)) = (owner, ordinal) {
                    self.note_ordinals(set, ordinal.saturating_add(1));
                }
            }
            Change::PodRemoved { pod, uid, name, owner, spec, .. } => {
                self.children.remove(owner, pod);
                if let (PodOwner::StatefulSet(set), Some(ordinal), Some(operator)) =
                    (owner, name.ordinal(), &mut self.operator)
                {
                    operator.stops_following(set, ordinal, self.now);
                }
                if self.pod_state(pod).uid == Some(uid) {
                    *self.pod_state(pod) = PodState::default();
                }
                self.mark_orphans(uid, self.claims_by_pod_name(name, spec));
            }
            Change::PodUpdated(id, PodDelta::Status) => self.member_status_changed(id),
            Change::PodUpdated(id, PodDelta::Terminating) => self.member_stops(id),
            Change::ClaimRemoved { uid, .. } => {
                self.orphaned_claims.remove(&uid);
            }
            Change::StatefulSetChanged(id) => {
                let set = &self.cluster.stateful_sets()[id];
                let (end, uid, exists) =
                    (set.first_ordinal.saturating_add(set.replicas), set.uid, set.exists);
                self.note_ordinals(id, end);
                if !exists {
                    let ordinals = self.ordinals[id.index()];
                    let claims = protection::claims_of_set(&mut self.cluster, id, ordinals);
                    self.mark_orphans(uid, claims);
                }
            }
            _ => {}
        }
    }
    /// An owner is gone: the garbage collector will find its claims.
    fn mark_orphans(&mut self, owner: Uid, claims: Vec<ClaimId>) {
        for claim in claims {
            let row = self.cluster.claim(claim);
            if row.owner == ClaimOwner::Object(owner) {
                self.orphaned_claims.insert(row.uid);
            }
        }
    }
    fn note_ordinals(&mut self, set: StatefulSetId, end: u32) {
        if self.ordinals.len() <= set.index() {
            self.ordinals.resize(set.index() + 1, 0);
        }
        let seen = &mut self.ordinals[set.index()];
        *seen = end.max(*seen);
    }

    /// A change reaches those who watch.
    fn deliver(&mut self, change: &Change) {
        self.pv.note(&self.cluster, change);
        self.disks.note(&self.cluster, change, self.now);
        self.lvm.note(&self.cluster, change, self.now);
        match *change {
            Change::PodAdded(id) => self.pod_changed(id, None),
            Change::PodUpdated(id, delta) => self.pod_changed(id, Some(delta)),
            Change::PodRemoved { pod, uid, name, node, owner, spec } => {
                self.queue.remove_pod(pod, uid);
                self.enqueue_owner(owner);
                self.pod_gone(name, node, spec);
            }
            Change::ClaimAdded(id) => {
                self.claim_changed(id);
                self.queue.event(&self.cluster, ClusterEvent::ClaimAdded(id), self.now);
            }
            Change::ClaimUpdated(id) => {
                self.claim_changed(id);
                self.queue.event(&self.cluster, ClusterEvent::ClaimUpdated(id), self.now);
            }
            Change::ClaimRemoved { name, .. } => {
                let waiting = std::mem::take(&mut self.waiting_for_claims);
                for (claim, set) in waiting {
                    if claim == name {
                        self.enqueue(Actor::StatefulSets, set.0);
                    } else {
                        self.waiting_for_claims.push((claim, set));
                    }
                }
            }
            Change::VolumeAdded(id) => {
                self.enqueue(Actor::ProtectVolumes, id.0);
                self.queue.event(&self.cluster, ClusterEvent::VolumeAdded, self.now);
            }
            Change::VolumeUpdated(id) => {
                if self.cluster.volumes().get(id).is_some_and(|v| v.deletion.is_some()) {
                    self.enqueue(Actor::ProtectVolumes, id.0);
                }
                self.queue.event(&self.cluster, ClusterEvent::VolumeUpdated, self.now);
            }
            Change::VolumeRemoved { .. } | Change::CsiDriverChanged(_) => {}
            Change::NodeAdded(id) => {
                self.queue.event(&self.cluster, ClusterEvent::NodeAdded(id), self.now);
                self.node_changed(id);
            }
            Change::NodeUpdated(id, delta) => {
                self.queue.event(&self.cluster, ClusterEvent::NodeUpdated(id, delta), self.now);
                self.node_changed(id);
            }
            Change::NodeRemoved(id) => {
                self.queue.event(&self.cluster, ClusterEvent::NodeRemoved(id), self.now);
                self.plan_pod_gc(id);
                let pods = self.cluster.node(id).info.pods.clone();
                self.plan_giving_up(&pods);
            }
            Change::ClassChanged(_) => {
                self.queue.event(&self.cluster, ClusterEvent::ClassChanged, self.now);
            }
            Change::CapacityChanged(_) => {
                self.queue.event(&self.cluster, ClusterEvent::CapacityChanged, self.now);
            }
            Change::CsiNodeChanged(_) => {
                self.queue.event(&self.cluster, ClusterEvent::CsiNodeChanged, self.now);
            }
            Change::StatefulSetChanged(id) => {
                let gone = !self.cluster.stateful_sets()[id].exists;
                if gone {
                    self.enqueue(Actor::OrphanSetPods, id.0);
                    self.orphan_claims(id);
                }
                self.enqueue(Actor::StatefulSets, id.0);
            }
            Change::ReplicaSetChanged(id) => {
                let gone = !self.cluster.replica_sets()[id].exists;
                self.enqueue(if gone { Actor::OrphanReplicas } else { Actor::ReplicaSets }, id.0);
            }
            Change::JobChanged(id) => {
                let gone = !self.cluster.jobs()[id].exists;
                self.enqueue(if gone { Actor::OrphanJobPods } else { Actor::Jobs }, id.0);
            }
        }
    }
    fn orphan_claims(&mut self, set: StatefulSetId) {
        let ordinals = self.ordinals.get(set.index()).copied().unwrap_or(0);
        for claim in protection::claims_of_set(&mut self.cluster, set, ordinals) {
            self.enqueue(Actor::OrphanClaims, claim.0);
        }
    }
    fn enqueue_owner(&mut self, owner: PodOwner) {
        match owner {
            PodOwner::None => {}
            PodOwner::StatefulSet(id) => {
                let gone = !self.cluster.stateful_sets()[id].exists;
                self.enqueue(if gone { Actor::OrphanSetPods } else { Actor::StatefulSets }, id.0);
            }
            PodOwner::ReplicaSet(id) => {
                let gone = !self.cluster.replica_sets()[id].exists;
                self.enqueue(if gone { Actor::OrphanReplicas } else { Actor::ReplicaSets }, id.0);
            }
            PodOwner::Job(id) => {
                let gone = !self.cluster.jobs()[id].exists;
                self.enqueue(if gone { Actor::OrphanJobPods } else { Actor::Jobs }, id.0);
            }
        }
    }

    fn pod_changed(&mut self, id: PodId, delta: Option<PodDelta>) {
        let Some(row) = self.cluster.pods().get(id) else { return };
        let (owner, node, uid, phase) = (row.owner, row.node, row.uid, row.phase);
        let finished = row.is_finished();
        if delta != Some(PodDelta::Nominated) {
            self.enqueue_owner(owner);
        }
        match (delta, node) {
            (None, None) if !finished => self.pod_wants_node(id),
            (None | Some(PodDelta::Assigned), Some(_)) => {
                self.queue.event(&self.cluster, ClusterEvent::PodAssigned(id), self.now);
                self.enqueue(Actor::Kubelets, id.0);
                if node.is_some_and(|node| self.evicting.contains(&node)) {
                    self.consider_eviction(id);
                }
            }
            (Some(PodDelta::Terminating), Some(node)) => {
                self.enqueue(Actor::Kubelets, id.0);
                self.plan_pod_gc(node);
            }
            (Some(PodDelta::Status), Some(_)) => self.pod_status_changed(id, uid, owner, phase),
            (Some(PodDelta::Spec), None) => self.queue.gates_changed(&self.cluster, id),
            _ => {}
        }
    }
    fn pod_wants_node(&mut self, pod: PodId) {
        if self.scheduler.profile_of(&self.cluster, pod).is_none() {
            return;
        }
        self.queue.add(&self.cluster, pod, self.now);
        if self.queue.is_gated(pod) {
            self.observe(&Observation::Attempt { pod, result: AttemptResult::Gated });
        }
    }
    fn pod_status_changed(&mut self, id: PodId, uid: Uid, owner: PodOwner, phase: PodPhase) {
        match phase {
            PodPhase::Running => {
                if let PodOwner::Job(job) = owner
                    && let Some(duration) = self.cluster.jobs()[job].duration
                {
                    let at = self.now + duration;
                    self.plan_event(at, RANK_DEPARTURES, Event::Completed(id, epoch_of(uid)));
                }
            }
            PodPhase::Succeeded | PodPhase::Failed => {
                if let (PodOwner::Job(job), PodPhase::Succeeded) = (owner, phase) {
                    self.cluster.update_job(job, |j| j.succeeded = j.succeeded.saturating_add(1));
                }
                // The scheduler does not see finished pods: to it this one is gone.
                let row = self.cluster.pod(id);
                let event = ClusterEvent::PodRemoved { name: row.name, spec: row.spec };
                self.queue.event(&self.cluster, event, self.now);
                self.publish();
            }
            PodPhase::Pending | PodPhase::Unknown => {}
        }
    }
    fn pod_gone(&mut self, name: Name, node: Option<NodeId>, spec: SpecId) {
        if node.is_some() {
            self.queue.event(&self.cluster, ClusterEvent::PodRemoved { name, spec }, self.now);
        }
        for claim in self.claims_by_pod_name(name, spec) {
            let row = self.cluster.claim(claim);
            let (deleted, owned) = (row.deletion.is_some(), row.owner != ClaimOwner::None);
            if deleted {
                self.enqueue(Actor::ProtectClaims, claim.0);
            }
            if owned {
                self.enqueue(Actor::OrphanClaims, claim.0);
            }
        }
    }
    fn claims_by_pod_name(&self, pod: Name, spec: SpecId) -> Vec<ClaimId> {
        let namespace = self.cluster.spec(spec).namespace;
        let names = &self.cluster.names;
        let volumes = self.cluster.spec(spec).volumes.iter();
        let claims = volumes.filter_map(|volume| match volume {
            PodVolume::Claim { name, .. } => Some(*name),
            PodVolume::ClaimTemplate { prefix } => names.get_prefixed_name(*prefix, pod),
            PodVolume::Ephemeral { suffix } => {
                names.get_name(&format!("{}-{}", names.show(pod), names.text(*suffix)))
            }
            PodVolume::Exclusive { .. } => None,
        });
        claims.filter_map(|name| self.cluster.claim_by_name(namespace, name)).collect()
    }
    fn claim_changed(&mut self, id: ClaimId) {
        let Some(claim) = self.cluster.claims().get(id) else { return };
        let (namespace, name) = (claim.namespace, claim.name);
        if claim.deletion.is_some() {
            self.enqueue(Actor::ProtectClaims, id.0);
        } else if claim.owner != ClaimOwner::None {
            self.enqueue(Actor::OrphanClaims, id.0);
        }
        if claim_is_bound(&self.cluster, id) {
            for index in 0..self.cluster.claim_users(namespace, name).len() {
                let pod = self.cluster.claim_users(namespace, name)[index];
                if self.cluster.pod(pod).node.is_some() {
                    self.enqueue(Actor::Kubelets, pod.0);
                }
            }
        }
    }
}

fn claim_is_bound(cluster: &Cluster, claim: ClaimId) -> bool {
    cluster.claims().get(claim).is_some_and(|c| c.phase == ClaimPhase::Bound)
}
