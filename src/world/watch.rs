//! Who hears of what: the observer of every transition, the watchers of every change.

use super::*;
use crate::control::{ephemeral, protection};
use crate::model::cluster::{NodeDelta, PodDelta};
use crate::model::ids::{ClaimId, SpecId};
use crate::model::pod::PodPhase;
use crate::model::spec::PodVolume;
use crate::model::volume::{ClaimOwner, ClaimPhase, VolumePhase};
use crate::observe::AttemptResult;
use crate::scheduler::hints::ClusterEvent;

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

impl<O: Observer> World<'_, O> {
    /// Tells what has changed: the observer at once, the watchers after the watch latency.
    pub(super) fn publish(&mut self) {
        while !self.cluster.changes().is_empty() {
            let mut changes = std::mem::take(&mut self.changes);
            self.cluster.swap_changes(&mut changes);
            self.last_change = self.now;
            match changes.plain() {
                Some(list) => list.iter().for_each(|change| self.publish_one(change)),
                None => changes.iter().for_each(|change| self.publish_one(&change)),
            }
            self.changes = changes;
        }
    }
    fn publish_one(&mut self, change: &Change) {
        if let Change::PodRemoved { pod, uid, .. } = *change {
            // A pod that is not there any more is not tried, even before the scheduler hears of it.
            self.queue.remove_pod(pod, uid);
            self.count_woken();
        } else if self.queue.has_dormant() {
            self.disturb_dormant(change);
        }
        self.tell_observer(change);
        self.note_children(change);
        let watch = self.plan.timing.watch_latency;
        if watch.is_zero() {
            self.deliver(change);
        } else {
            self.watch.push_back((self.now + watch, *change));
        }
    }

    /// What is known about sleeping pods may not hold any more once their claims, or volumes that name those, have changed.
    fn disturb_dormant(&mut self, change: &Change) {
        let cluster = &self.cluster;
        let claim_ref =
            |id| cluster.volumes().get(id).and_then(|v| v.claim_ref).map(|r| (r.namespace, r.name));
        let claim = match *change {
            Change::PodAdded(pod) => {
                let Some(row) = cluster.pods().get(pod) else { return };
                let namespace = cluster.spec(row.spec).namespace;
                for claim in cluster.claim_names_of(pod).flatten() {
                    self.queue.doubt_users(cluster, namespace, claim);
                }
                return;
            }
            Change::ClaimAdded(id) | Change::ClaimUpdated(id) => {
                cluster.claims().get(id).map(|claim| (claim.namespace, claim.name))
            }
            Change::ClaimRemoved { namespace, name, .. } => Some((namespace, name)),
            Change::VolumeAdded(id) | Change::VolumeUpdated(id) => claim_ref(id),
            // Claims may name a volume that names none of them, and nobody keeps a list of these.
            Change::VolumeRemoved { claim: None, .. } => return self.queue.wake_all(),
            Change::VolumeRemoved { claim, .. } => claim,
            _ => return,
        };
        if let Some((namespace, name)) = claim {
            self.queue.doubt_users(cluster, namespace, name);
        }
    }

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
        if !self.cluster.budgets().is_empty() {
            self.note_disruption(change);
        }
        match *change {
            Change::PodAdded(id) => {
                let row = self.cluster.pod(id);
                let (owner, ordinal) = (row.owner, row.name.ordinal());
                self.reset_pod_state(id);
                self.children.add(owner, id);
                if let (PodOwner::StatefulSet(set), Some(ordinal)) = (owner, ordinal) {
                    self.note_ordinals(set, ordinal.saturating_add(1));
                }
            }
            Change::PodRemoved { pod, uid, name, owner, spec, node } => {
                self.trace_pod_removed(uid, node);
                // Its row is empty from now on, so the queue must not hold it until the watch tells.
                self.queue.remove_pod(pod, uid);
                self.children.remove(owner, pod);
                if let (PodOwner::StatefulSet(set), Some(ordinal), Some(operator)) =
                    (owner, name.ordinal(), &mut self.operator)
                {
                    operator.stops_following(set, ordinal, self.now);
                    self.call_off_copies(pod);
                    self.look_at_group(set);
                }
                // Changes come in order: who has the row next has not been told of.
                self.reset_pod_state(pod);
                self.mark_orphans(uid, self.claims_by_pod_name(name, spec));
            }
            Change::NodeUpdated(id, NodeDelta::Allocatable) => {
                if let Some(checks) = &mut self.checks {
                    checks.allocatable_changed(id);
                }
            }
            Change::PodUpdated(id, PodDelta::Status) => self.member_status_changed(id),
            Change::PodUpdated(id, PodDelta::Terminating) => self.member_stops(id),
            Change::ClaimRemoved { uid, .. } => {
                self.orphaned_claims.remove(&uid);
                self.data_gone(uid);
            }
            Change::VolumeRemoved { name: volume, claim: Some((namespace, name)), .. } => {
                let claim = self.cluster.claim_by_name(namespace, name).map(|id| self.cluster.claim(id));
                // A Released volume still names the claim that it had; another one may have that name.
                if let Some(uid) = claim.filter(|c| c.volume_name == Some(volume)).map(|c| c.uid) {
                    self.data_gone(uid);
                }
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
    /// Keeps the budgets' numbers.
    fn note_disruption(&mut self, change: &Change) {
        match *change {
            Change::PodAdded(pod) | Change::PodUpdated(pod, _) => {
                if self.cluster.pods().get(pod).is_some() {
                    self.disruptions.pod_changed(&self.cluster, pod);
                }
            }
            Change::PodRemoved { pod, .. } => self.disruptions.pod_gone(pod),
            Change::StatefulSetChanged(_) | Change::ReplicaSetChanged(_) => {
                self.disruptions.workload_changed();
            }
            _ => return,
        }
        self.look_at_budgets();
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
    pub(super) fn deliver(&mut self, change: &Change) {
        self.pv.note(&self.cluster, change);
        self.disks.note(&self.cluster, change, self.now);
        self.lvm.note(&self.cluster, change, self.now);
        match *change {
            Change::PodAdded(id) => self.pod_changed(id, None),
            Change::PodUpdated(id, delta) => self.pod_changed(id, Some(delta)),
            Change::PodRemoved { name, node, owner, spec, .. } => {
                self.enqueue_owner(owner);
                self.pod_gone(name, node, spec);
            }
            Change::ClaimAdded(id) => {
                self.claim_changed(id);
                if self.cluster.claims().get(id).is_some() {
                    self.queue.event(&self.cluster, ClusterEvent::ClaimAdded(id), self.now);
                }
            }
            Change::ClaimUpdated(id) => {
                self.claim_changed(id);
                if self.cluster.claims().get(id).is_some() {
                    self.queue.event(&self.cluster, ClusterEvent::ClaimUpdated(id), self.now);
                }
            }
            Change::ClaimRemoved { name, .. } => {
                let waiting = std::mem::take(&mut self.waiting_for_claims);
                for (claim, set) in waiting {
                    if claim == name {
                        self.enqueue(Actor::StatefulSets, set.row());
                    } else {
                        self.waiting_for_claims.push((claim, set));
                    }
                }
            }
            Change::VolumeAdded(id) => {
                self.enqueue(Actor::ProtectVolumes, id.row());
                self.queue.event(&self.cluster, ClusterEvent::VolumeAdded, self.now);
            }
            Change::VolumeUpdated(id) => {
                if self.cluster.volumes().get(id).is_some_and(|v| v.deletion.is_some()) {
                    self.enqueue(Actor::ProtectVolumes, id.row());
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
                let pods = self.pods_with_data_on(id);
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
                    self.enqueue(Actor::OrphanSetPods, id.row());
                    self.orphan_claims(id);
                }
                self.enqueue(Actor::StatefulSets, id.row());
            }
            Change::ReplicaSetChanged(id) => self.enqueue_owner(PodOwner::ReplicaSet(id)),
            Change::JobChanged(id) => self.enqueue_owner(PodOwner::Job(id)),
        }
    }
    fn orphan_claims(&mut self, set: StatefulSetId) {
        let ordinals = self.ordinals.get(set.index()).copied().unwrap_or(0);
        for claim in protection::claims_of_set(&mut self.cluster, set, ordinals) {
            self.enqueue(Actor::OrphanClaims, claim.row());
        }
    }
    fn enqueue_owner(&mut self, owner: PodOwner) {
        match owner {
            PodOwner::None => {}
            PodOwner::StatefulSet(id) => {
                let gone = !self.cluster.stateful_sets()[id].exists;
                self.enqueue(if gone { Actor::OrphanSetPods } else { Actor::StatefulSets }, id.row());
            }
            PodOwner::ReplicaSet(id) => {
                let gone = !self.cluster.replica_sets()[id].exists;
                self.enqueue(if gone { Actor::OrphanReplicas } else { Actor::ReplicaSets }, id.row());
            }
            PodOwner::Job(id) => {
                let gone = !self.cluster.jobs()[id].exists;
                self.enqueue(if gone { Actor::OrphanJobPods } else { Actor::Jobs }, id.row());
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
        if delta.is_none() && ephemeral::concerns(&self.cluster, id) {
            self.enqueue(Actor::EphemeralVolumes, id.row());
        }
        match (delta, node) {
            (None, None) if !finished => self.pod_wants_node(id),
            (None | Some(PodDelta::Assigned), Some(_)) => {
                self.queue.event(&self.cluster, ClusterEvent::PodAssigned(id), self.now);
                self.enqueue(Actor::Kubelets, id.row());
                if node.is_some_and(|node| self.evicting.contains(&node)) {
                    self.consider_eviction(id);
                }
                // A pod of a snapshot that runs already: for its whole time, since nobody knows how much of it is over.
                if delta.is_none() && phase == PodPhase::Running {
                    self.plan_completion(id, uid, owner);
                }
            }
            (Some(PodDelta::Terminating), Some(node)) => {
                self.enqueue(Actor::Kubelets, id.row());
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
    /// A pod runs from now on; some know for how long.
    fn plan_completion(&mut self, id: PodId, uid: Uid, owner: PodOwner) {
        let of_job = match owner {
            PodOwner::Job(job) => self.cluster.jobs()[job].duration,
            _ => None,
        };
        if let Some(duration) = self.pod_times(id).duration.or(of_job) {
            let at = self.now + duration;
            self.plan_event(at, RANK_DEPARTURES, Event::Completed(id, epoch_of(uid)));
        }
    }
    fn pod_status_changed(&mut self, id: PodId, uid: Uid, owner: PodOwner, phase: PodPhase) {
        match phase {
            PodPhase::Running => self.plan_completion(id, uid, owner),
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
                self.enqueue(Actor::ProtectClaims, claim.row());
            }
            if owned {
                self.enqueue(Actor::OrphanClaims, claim.row());
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
            PodVolume::Ephemeral { suffix, .. } => {
                names.get_name(&format!("{}-{}", names.show(pod), names.text(*suffix)))
            }
            PodVolume::Exclusive { .. } => None,
        });
        claims.filter_map(|name| self.cluster.claim_by_name(namespace, name)).collect()
    }
    fn claim_changed(&mut self, id: ClaimId) {
        let Some(claim) = self.cluster.claims().get(id) else { return };
        let (namespace, name, phase) = (claim.namespace, claim.name, claim.phase);
        if claim.deletion.is_some() {
            self.enqueue(Actor::ProtectClaims, id.row());
        } else if claim.owner != ClaimOwner::None {
            self.enqueue(Actor::OrphanClaims, id.row());
        }
        if phase == ClaimPhase::Bound {
            let (cluster, kubelets) = (&self.cluster, &mut self.actors[Actor::Kubelets as usize].queue);
            for pod in cluster.claim_users(namespace, name) {
                if cluster.pod(*pod).node.is_some() {
                    kubelets.add(pod.row());
                }
            }
            self.note_queue(Actor::Kubelets);
        }
    }
}
