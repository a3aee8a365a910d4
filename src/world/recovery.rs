//! The database operator in the world: members that are given up, restored and caught up.

use super::draw::draw_bytes;
use super::*;
use crate::control::api::Grace;
use crate::control::operator::{Copy, Need};
use crate::model::pod::PodPhase;
use crate::model::volume::ClaimPhase;

impl<O: Observer> World<'_, O> {
    /// The set and ordinal of a pod that is a member of a database group with an operator.
    pub(super) fn member(&self, pod: PodId) -> Option<(StatefulSetId, u32)> {
        self.operator.as_ref()?;
        let row = self.cluster.pods().get(pod)?;
        let PodOwner::StatefulSet(set) = row.owner else { return None };
        self.cluster.stateful_sets()[set].group.then_some((set, row.name.ordinal()?))
    }
    fn claim_uids(&self, pod: PodId) -> Vec<Uid> {
        let namespace = self.cluster.spec_of(pod).namespace;
        let names = self.cluster.claim_names_of(pod).flatten();
        names
            .filter_map(|name| self.cluster.claim_by_name(namespace, name))
            .map(|c| self.cluster.claim(c).uid)
            .collect()
    }

    /// A member's volumes are mounted. False if it has to wait (for a backup) before its containers run.
    pub(super) fn member_may_start(&mut self, pod: PodId) -> bool {
        let Some((set, ordinal)) = self.member(pod) else { return true };
        let (claims, now) = (self.claim_uids(pod), self.now);
        let Some(operator) = &mut self.operator else { return true };
        if operator.need(set, ordinal, &claims, now) != Need::Backup {
            return true;
        }
        if !std::mem::replace(&mut self.pod_state(pod).restoring, true) {
            let copy = Copy { pod, uid: self.cluster.pod(pod).uid, bytes: self.backup_bytes(pod, set) };
            if let Some(copy) = self.operator.as_mut().and_then(|o| o.request(copy)) {
                self.begin_copy(copy);
            }
        }
        false
    }
    fn backup_bytes(&self, pod: PodId, set: StatefulSetId) -> u64 {
        if let Some(size) = self.operator.as_ref().and_then(|o| o.backup_size()) {
            let name = self.cluster.names.show(self.cluster.stateful_sets()[set].name).to_string();
            return draw_bytes(size, &mut self.streams.stream("backup-size", &name));
        }
        let namespace = self.cluster.spec_of(pod).namespace;
        let claims = self.cluster.claim_names_of(pod).flatten();
        let claims = claims.filter_map(|name| self.cluster.claim_by_name(namespace, name));
        claims.map(|c| u64::try_from(self.cluster.claim_spec_of(c).request.ceil()).unwrap_or(u64::MAX)).sum()
    }
    fn begin_copy(&mut self, copy: Copy) {
        self.observe(&Observation::RebuildStarted { pod: copy.pod, bytes: copy.bytes });
        let backup = self.operator.as_ref().map_or(self.now, |o| o.newest_backup(self.now));
        self.pod_state(copy.pod).backup = backup;
        let time = self.operator.as_ref().map_or(SimDuration::ZERO, |o| o.copy_time(copy.bytes));
        let at = self.now + time;
        self.plan_event(at, RANK_CONTROLLERS, Event::Copied(copy.pod, epoch_of(copy.uid)));
    }
    /// A copy has ended; if its pod is still there it has data now.
    pub(super) fn copied(&mut self, pod: PodId, epoch: u32) {
        if self.is_same_pod(pod, epoch) && self.pod_state(pod).restoring {
            let (backup, bytes) =
                (self.pod_state(pod).backup, self.member(pod).map(|(s, _)| self.backup_bytes(pod, s)));
            self.pod_state(pod).restoring = false;
            self.observe(&Observation::Rebuilt { pod, bytes: bytes.unwrap_or(0) });
            let claims = self.claim_uids(pod);
            if let (Some((set, ordinal)), Some(operator)) = (self.member(pod), &mut self.operator) {
                operator.holds(set, ordinal, &claims, backup);
            }
            self.enqueue(Actor::Kubelets, pod.0);
        }
        let cluster = &self.cluster;
        let wanted = |copy: &Copy| cluster.pods().get(copy.pod).is_some_and(|p| p.uid == copy.uid);
        if let Some(next) = self.operator.as_mut().and_then(|o| o.finished(wanted)) {
            self.begin_copy(next);
        }
    }

    /// Is the pod Ready as soon as it runs? A member first catches up; then [`Event::CaughtUp`] makes it Ready.
    pub(super) fn ready_at_once(&mut self, pod: PodId) -> bool {
        let Some((set, ordinal)) = self.member(pod) else { return true };
        let (claims, now) = (self.claim_uids(pod), self.now);
        let epoch = epoch_of(self.cluster.pod(pod).uid);
        let Some(operator) = &mut self.operator else { return true };
        let need = operator.need(set, ordinal, &claims, now);
        let Need::CatchUp(span) = need else {
            operator.holds(set, ordinal, &claims, SimTime::MAX);
            return true;
        };
        match operator.catch_up_time(span) {
            Some(time) if time.is_zero() => {
                operator.holds(set, ordinal, &claims, SimTime::MAX);
                true
            }
            time => {
                if let Some(time) = time.filter(|_| !self.pod_state(pod).catching_up) {
                    self.pod_state(pod).catching_up = true;
                    self.plan_event(now + time, RANK_CONTROLLERS, Event::CaughtUp(pod, epoch));
                }
                false
            }
        }
    }
    /// A member follows its group again.
    pub(super) fn caught_up(&mut self, pod: PodId, epoch: u32) {
        if !self.is_same_pod(pod, epoch) || !std::mem::take(&mut self.pod_state(pod).catching_up) {
            return;
        }
        let row = self.cluster.pod(pod);
        let works = row.node.is_some_and(|node| self.kubelet_works(node));
        if row.phase != PodPhase::Running || row.deletion.is_some() || !works {
            return;
        }
        let (uid, claims) = (row.uid, self.claim_uids(pod));
        if let (Some((set, ordinal)), Some(operator)) = (self.member(pod), &mut self.operator) {
            operator.holds(set, ordinal, &claims, SimTime::MAX);
        }
        let _ = self.write(Write::SetPodStatus { pod, uid, phase: PodPhase::Running, ready: true });
    }

    /// A member's readiness has changed: its data is followed or left behind, and the group may be whole.
    pub(super) fn member_status_changed(&mut self, pod: PodId) {
        let Some((set, ordinal)) = self.member(pod) else { return };
        let (ready, now) = (self.cluster.pod(pod).ready, self.now);
        if !ready {
            if !self.pod_state(pod).catching_up {
                self.member_stops(pod);
            }
            return;
        }
        let replicas = self.cluster.stateful_sets()[set].replicas as usize;
        let members = self.children.of(PodOwner::StatefulSet(set));
        let whole = members.iter().filter(|p| self.cluster.pod(**p).ready).count() >= replicas;
        let claims = self.claim_uids(pod);
        if let Some(operator) = &mut self.operator {
            if operator.need(set, ordinal, &claims, now) == Need::Nothing {
                operator.holds(set, ordinal, &claims, SimTime::MAX);
            }
            if whole {
                operator.is_whole(set);
            }
        }
    }
    /// From now on the member's data falls behind.
    pub(super) fn member_stops(&mut self, pod: PodId) {
        let Some((set, ordinal)) = self.member(pod) else { return };
        let now = self.now;
        self.pod_state(pod).catching_up = false;
        if let Some(operator) = &mut self.operator {
            operator.stops_following(set, ordinal, now);
        }
    }

    /// A node is found gone (or a disk lost): its members are given up when the policy's time is over.
    pub(super) fn plan_giving_up(&mut self, pods: &[PodId]) {
        let Some(after) = self.operator.as_ref().and_then(|o| o.gives_up_after()) else { return };
        for &pod in pods {
            if let Some((set, ordinal)) = self.member(pod) {
                self.plan_event(self.now + after, RANK_TIMELINE, Event::GiveUp(set, ordinal));
            }
        }
    }
    /// Deletes claim and pod of a member whose data is out of reach, still.
    pub(super) fn give_up(&mut self, set: StatefulSetId, ordinal: u32) {
        let row = &self.cluster.stateful_sets()[set];
        if !row.exists {
            return;
        }
        let (namespace, name) = (row.namespace, row.name);
        let name = self.cluster.names.child(name, ordinal);
        let Some(pod) = self.cluster.pod_by_name(namespace, name) else { return };
        let names: Vec<Name> = self.cluster.claim_names_of(pod).flatten().collect();
        let claims: Vec<_> = names.iter().filter_map(|n| self.cluster.claim_by_name(namespace, *n)).collect();
        if !claims.iter().any(|claim| self.is_out_of_reach(*claim)) {
            return;
        }
        for claim in claims {
            let uid = self.cluster.claim(claim).uid;
            let _ = self.write(Write::DeleteClaim { claim, uid });
        }
        self.delete_pod(pod, Grace::Force);
    }
    /// Is the claim's volume lost, or on a node that is gone or not Ready?
    fn is_out_of_reach(&self, claim: crate::model::ids::ClaimId) -> bool {
        let row = self.cluster.claim(claim);
        if row.phase == ClaimPhase::Lost {
            return true;
        }
        let Some(name) = row.volume_name else { return false };
        let Some(volume) = self.cluster.volume_by_name(name) else { return true };
        let volume = self.cluster.volume(volume);
        !self
            .cluster
            .nodes()
            .iter()
            .any(|(id, node)| node.exists && node.ready && self.cluster.volume_allows_node(volume, id))
    }
}
