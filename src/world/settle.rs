//! Controllers act until nothing is left to do.

use super::*;
use crate::control::provisioner::local;
use crate::control::provisioner::lvm::LvmWrite;
use crate::control::pv::{self, PvKey, PvOutput, PvWrite};
use crate::control::timing::{Limiter, RateLimit};
use crate::control::{Retry, Step, ephemeral, job, node_lifecycle, protection, replicaset};
use crate::engine::rng::EntityKey;
use crate::model::cluster::NodeDelta;
use crate::model::ids::{ClaimId, VolumeId};

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

/// First delay of a key that failed (`DefaultTypedControllerRateLimiter`).
const RETRY_FIRST: SimDuration = SimDuration::from_millis(5);
/// Longest delay of a key that failed.
const RETRY_LONGEST: SimDuration = SimDuration::from_secs(1000);

impl<O: Observer> World<'_, O> {
    /// Controllers act until nothing is left to do now.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some((_, change)) = self.watch.front().filter(|(at, _)| *at <= self.now).copied() {
                self.watch.pop_front();
                self.deliver(&change);
            }
            // The PV controller is told that a volume is gone before its disk is offered again.
            if !self.pv_work() && !self.actor_work() && !self.disk_work() {
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
            || (self.queued_actors != 0 && self.queued().any(|actor| self.can_act(actor)))
            || self.pv_has_work()
            || self.disks_next_at().is_some_and(|at| at <= self.now)
    }
    /// When a provisioner of disks wants to act next.
    #[inline]
    pub(super) fn disks_next_at(&self) -> Option<SimTime> {
        if self.disks.is_quiet() && self.lvm.is_quiet() {
            return None;
        }
        [self.disks.next_at(), self.lvm.next_at()].into_iter().flatten().min()
    }
    /// Actors with keys in their queues, in the order in which they act.
    fn queued(&self) -> impl Iterator<Item = Actor> + use<O> {
        let queued = self.queued_actors;
        Actor::ALL.into_iter().filter(move |actor| queued >> *actor as u16 & 1 == 1)
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
        // They are sent in the background, but with the controller's own client: they use up its tokens.
        for _ in events.iter() {
            self.pv_clients.limiter.take(self.now);
        }
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
    fn disk_work(&mut self) -> bool {
        if self.disks.is_quiet() && self.lvm.is_quiet() {
            return false;
        }
        let mut worked = false;
        while let Some(write) = self.disks.due(&self.cluster, self.now) {
            worked = true;
            local::apply(&mut self.cluster, write, self.now);
            self.publish();
        }
        while let Some(write) = self.lvm.due(&self.cluster, self.now) {
            worked = true;
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
        worked
    }

    // ---- the other controllers ----

    fn actor_work(&mut self) -> bool {
        if self.queued_actors == 0 {
            return false;
        }
        for actor in self.queued() {
            if !self.can_act(actor) {
                continue;
            }
            let state = &mut self.actors[actor as usize];
            if let Some(key) = state.queue.take() {
                state.idle_workers -= 1;
                self.note_queue(actor);
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
                            if !self.retries.is_empty() {
                                self.retries.remove(&(actor, key));
                            }
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
                let by_chance = self.fails_by_chance();
                let refused = by_chance || self.write(write).is_err();
                if by_chance {
                    self.retry_later(actor, key);
                } else if refused {
                    self.retry(actor, key, None);
                } else {
                    if matches!(write, Write::CreateSetClaim { .. } | Write::CreateSetPod { .. }) {
                        // Its event is sent in the background with the same client.
                        self.actors[actor as usize].limiter.take(self.now);
                    }
                    self.tell_set_write(&write);
                }
                if refused {
                    self.done(actor, key);
                }
                !refused
            }
            (AnyWrite::Pv(write, then), Work::Pv(key, of_claims)) => {
                let refused = self.fails_by_chance() || pv::apply(&mut self.cluster, &write).is_err();
                self.publish();
                if refused {
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
    /// Does the API refuse a request for no reason of its own (`api.conflict`, `api.fail`)?
    pub(super) fn fails_by_chance(&mut self) -> bool {
        const STEPS: usize = 1 << 30;
        let timing = &self.plan.timing;
        let share = timing.conflict + timing.fail;
        if share <= 0.0 {
            return false;
        }
        self.requests += 1;
        let step = self.streams.index("api", EntityKey(self.requests), STEPS);
        (step as f64) < share * STEPS as f64
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
        self.note_queue(actor);
    }
    fn retry(&mut self, actor: Actor, key: u32, why: Option<Retry>) {
        if let (Actor::StatefulSets, Some(why)) = (actor, why) {
            self.tell_set_failure(StatefulSetId::at(key), why);
        }
        if self.plan.timing.ideal {
            // No timer: the key is woken by the event that it waits for.
            if let (Some(Retry::ClaimBeingDeleted(claim)), Actor::StatefulSets) = (why, actor) {
                self.waiting_for_claims.push((claim, StatefulSetId::at(key)));
            }
            return;
        }
        self.retry_later(actor, key);
    }
    /// The key comes back after a delay that grows with its failures.
    fn retry_later(&mut self, actor: Actor, key: u32) {
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
                let id = StatefulSetId::at(key);
                let pods = self.children.of(PodOwner::StatefulSet(id));
                statefulset::step(cluster, pods, id, pass, &self.tie)
            }
            Actor::ReplicaSets => {
                let id = ReplicaSetId::at(key);
                replicaset::step(cluster, self.children.of(PodOwner::ReplicaSet(id)), id)
            }
            Actor::Jobs => {
                job::step(cluster, self.children.of(PodOwner::Job(JobId::at(key))), JobId::at(key))
            }
            Actor::Kubelets => self.kubelet_step(PodId::at(key)),
            Actor::ProtectClaims => protection::claim_step(cluster, ClaimId::at(key)),
            Actor::ProtectVolumes => protection::volume_step(cluster, VolumeId::at(key)),
            Actor::OrphanClaims => {
                let orphaned = &self.orphaned_claims;
                protection::orphan_step(cluster, ClaimId::at(key), |uid| orphaned.contains(&uid))
            }
            Actor::OrphanSetPods => self.orphaned(PodOwner::StatefulSet(StatefulSetId::at(key))),
            Actor::OrphanReplicas => self.orphaned(PodOwner::ReplicaSet(ReplicaSetId::at(key))),
            Actor::OrphanJobPods => self.orphaned(PodOwner::Job(JobId::at(key))),
            Actor::NodeTaints => self.node_taints_step(NodeId::at(key)),
            Actor::EphemeralVolumes => ephemeral::step(cluster, PodId::at(key)),
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
}
