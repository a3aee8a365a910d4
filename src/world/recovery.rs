//! The database operator in the world: members that are given up, rebuilt and caught up.

use super::draw::draw_bytes;
use super::*;
use crate::control::api::Grace;
use crate::control::copies::{Copy, Source};
use crate::control::operator::Need;
use crate::model::ids::{ClaimId, VolumeId};
use crate::model::names::{Sym, sym};
use crate::model::pod::PodPhase;
use crate::model::volume::ClaimPhase;
use crate::scenario::RebuildSource;

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
    /// Is the member Ready, and does its node really work?
    fn is_serving(&self, pod: PodId) -> bool {
        let row = self.cluster.pod(pod);
        row.ready && row.deletion.is_none() && row.node.is_some_and(|node| self.kubelet_works(node))
    }

    // ---- rebuilding ----

    /// A member's volumes are mounted. False if it has to wait (for its data) before its containers run.
    pub(super) fn member_may_start(&mut self, pod: PodId) -> bool {
        let Some((set, ordinal)) = self.member(pod) else { return true };
        let (claims, now) = (self.claim_uids(pod), self.now);
        let Some(operator) = &mut self.operator else { return true };
        if operator.need(set, ordinal, &claims, now) != Need::Rebuild {
            return true;
        }
        if !std::mem::replace(&mut self.pod_state(pod).restoring, true) {
            self.request_copy(pod, set);
        }
        false
    }
    fn request_copy(&mut self, pod: PodId, set: StatefulSetId) {
        let Some(target) = self.cluster.pod(pod).node else { return };
        let copy = Copy {
            pod,
            uid: self.cluster.pod(pod).uid,
            set,
            source: self.copy_source(pod, set),
            target,
            bytes: self.copy_bytes(pod, set),
            position: SimDuration::ZERO,
        };
        let now = self.now;
        if let Some(operator) = &mut self.operator {
            operator.request(copy, now);
        }
        self.go_on_copying();
    }
    /// A serving member out of which the fewest copies run, if the scenario says so and there is one; else the newest backup.
    fn copy_source(&self, pod: PodId, set: StatefulSetId) -> Source {
        let Some(operator) = self.operator.as_ref().filter(|o| o.rebuilds_from() == RebuildSource::Peer)
        else {
            return Source::Backups;
        };
        let members = self.children.of(PodOwner::StatefulSet(set)).iter().copied();
        let serving = members.filter(|other| *other != pod && self.is_serving(*other));
        let ordinal = |pod: PodId| self.cluster.pod(pod).name.ordinal();
        let peer = serving.min_by_key(|other| (operator.copies.out_of(*other), ordinal(*other)));
        peer.map_or(Source::Backups, Source::Member)
    }
    fn copy_bytes(&self, pod: PodId, set: StatefulSetId) -> u64 {
        if let Some(size) = self.operator.as_ref().and_then(|o| o.copy_size()) {
            let name = self.cluster.names.show(self.cluster.stateful_sets()[set].name).to_string();
            return draw_bytes(size, &mut self.streams.stream("backup-size", &name));
        }
        let namespace = self.cluster.spec_of(pod).namespace;
        let claims = self.cluster.claim_names_of(pod).flatten();
        let claims = claims.filter_map(|name| self.cluster.claim_by_name(namespace, name));
        claims.map(|c| u64::try_from(self.cluster.claim_spec_of(c).request.ceil()).unwrap_or(u64::MAX)).sum()
    }
    /// Tells which copies have begun, and plans for the end of the next one.
    fn go_on_copying(&mut self) {
        let now = self.now;
        while let Some(begun) =
            self.operator.as_mut().map(|o| o.copies.take_begun()).filter(|b| !b.is_empty())
        {
            for copy in begun {
                let Some(operator) = &mut self.operator else { return };
                let position = match copy.source {
                    Source::Backups => operator.backup_position(copy.set, now),
                    Source::Member(_) => operator.written(copy.set, now),
                };
                self.pod_times_mut(copy.pod).restored_to = position;
                self.observe(&Observation::RebuildStarted { pod: copy.pod, bytes: copy.bytes });
            }
        }
        let next = self.operator.as_ref().and_then(|o| o.copies.next_end());
        if let Some((at, generation)) = next
            && self.copies_planned != Some(generation)
        {
            self.copies_planned = Some(generation);
            self.plan_event(at, RANK_CONTROLLERS, Event::CopyEnds(generation));
        }
    }
    /// Copies have ended, if nothing has changed since that was foreseen.
    pub(super) fn copy_ends(&mut self, generation: u32) {
        if self.copies_planned != Some(generation) {
            return;
        }
        let now = self.now;
        let done = self.operator.as_mut().map(|o| o.copies.finished(now)).unwrap_or_default();
        for copy in done {
            self.copied(&copy);
        }
        self.go_on_copying();
    }
    fn copied(&mut self, copy: &Copy) {
        let pod = copy.pod;
        if !self.is_same_pod(pod, epoch_of(copy.uid)) || !std::mem::take(&mut self.pod_state(pod).restoring) {
            return;
        }
        self.observe(&Observation::Rebuilt { pod, bytes: copy.bytes });
        let (claims, now, position) = (self.claim_uids(pod), self.now, self.pod_times(pod).restored_to);
        if let (Some((set, ordinal)), Some(operator)) = (self.member(pod), &mut self.operator) {
            operator.rebuilt(set, ordinal, &claims, position, now);
        }
        self.enqueue(Actor::Kubelets, pod.row());
    }
    /// Copies for the pod, or out of it, end here; who else waited for one asks again.
    pub(super) fn call_off_copies(&mut self, pod: PodId) {
        let now = self.now;
        let Some(operator) = &mut self.operator else { return };
        let waiting = operator.call_off(pod, now);
        if waiting.is_empty() {
            return;
        }
        for other in waiting {
            if self.cluster.pods().get(other).is_some() {
                self.pod_state(other).restoring = false;
                self.enqueue(Actor::Kubelets, other.row());
            }
        }
        self.go_on_copying();
    }

    // ---- catching up ----

    /// Is the pod Ready as soon as it runs? A member first catches up; then [`Event::CaughtUp`] makes it Ready.
    pub(super) fn ready_at_once(&mut self, pod: PodId) -> bool {
        let Some((set, ordinal)) = self.member(pod) else { return true };
        let (claims, now) = (self.claim_uids(pod), self.now);
        let epoch = epoch_of(self.cluster.pod(pod).uid);
        let Some(operator) = &mut self.operator else { return true };
        let span = match operator.need(set, ordinal, &claims, now) {
            Need::CatchUp(span) => span,
            Need::Nothing => SimDuration::ZERO,
            Need::Rebuild => {
                // It runs on a disk that was replaced under it.
                if !std::mem::replace(&mut self.pod_state(pod).restoring, true) {
                    self.request_copy(pod, set);
                }
                return false;
            }
        };
        let time = operator.catch_up_time(span);
        if time.is_zero() {
            operator.follows(set, ordinal, &claims, now);
            return true;
        }
        // Somebody who has what it lacks must be there; the next who is Ready wakes it.
        let members = self.children.of(PodOwner::StatefulSet(set));
        let served = members.iter().any(|other| *other != pod && self.is_serving(*other));
        if served && !std::mem::replace(&mut self.pod_state(pod).catching_up, true) {
            self.pod_times_mut(pod).behind = span;
            self.plan_event(now + time, RANK_CONTROLLERS, Event::CaughtUp(pod, epoch));
        }
        false
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
        let (uid, claims, now, behind) =
            (row.uid, self.claim_uids(pod), self.now, self.pod_times(pod).behind);
        if let (Some((set, ordinal)), Some(operator)) = (self.member(pod), &mut self.operator) {
            operator.follows(set, ordinal, &claims, now);
            let bytes = operator.catch_up_bytes(behind);
            self.observe(&Observation::CaughtUp { pod, bytes });
        }
        let _ = self.write(Write::SetPodStatus { pod, uid, phase: PodPhase::Running, ready: true });
    }

    // ---- the groups' data ----

    /// A member's readiness has changed: its data is followed or left behind, and the group may be whole.
    pub(super) fn member_status_changed(&mut self, pod: PodId) {
        let Some((set, ordinal)) = self.member(pod) else { return };
        let (ready, now) = (self.cluster.pod(pod).ready, self.now);
        if !ready {
            if !self.pod_state(pod).catching_up {
                self.member_stops(pod);
            }
            return self.look_at_group(set);
        }
        let claims = self.claim_uids(pod);
        let replicas = self.cluster.stateful_sets()[set].replicas as usize;
        let members = self.children.of(PodOwner::StatefulSet(set)).to_vec();
        let whole = members.iter().filter(|p| self.cluster.pod(**p).ready).count() >= replicas;
        if let Some(operator) = &mut self.operator {
            operator.is_back(set, ordinal);
            if operator.need(set, ordinal, &claims, now) == Need::Nothing {
                operator.follows(set, ordinal, &claims, now);
            }
            if whole {
                operator.is_whole(set, now);
            }
        }
        self.look_at_group(set);
        for other in members {
            if other != pod && !self.cluster.pod(other).ready {
                self.enqueue(Actor::Kubelets, other.row());
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
        self.pod_state(pod).restoring = false;
        self.call_off_copies(pod);
        self.look_at_group(set);
    }
    /// Is there a quorum, and who holds everything?
    pub(super) fn look_at_group(&mut self, set: StatefulSetId) {
        let row = &self.cluster.stateful_sets()[set];
        let (now, replicas, exists) = (self.now, row.replicas, row.exists);
        let members = self.children.of(PodOwner::StatefulSet(set));
        let serving = members.iter().filter(|pod| self.is_serving(**pod)).count();
        let Some(operator) = &mut self.operator else { return };
        let quorum = operator.quorum(replicas) as usize;
        operator.set_writing(set, exists && serving >= quorum.max(1), now);
        if let Some(complete) = operator.new_complete(set, now) {
            self.observe(&Observation::GroupData { set, complete });
        }
    }
    /// A claim is gone, or its volume is: so is the data.
    pub(super) fn data_gone(&mut self, claim: Uid) {
        let now = self.now;
        let Some((set, lost)) = self.operator.as_mut().and_then(|o| o.forgets(claim, now)) else { return };
        if !lost.is_zero() && self.cluster.stateful_sets()[set].exists {
            self.observe(&Observation::WritesLost { set, span: lost });
        }
        self.look_at_group(set);
        // What was too old may be the best there is now.
        for pod in self.children.of(PodOwner::StatefulSet(set)).to_vec() {
            if !self.cluster.pod(pod).ready {
                self.enqueue(Actor::Kubelets, pod.row());
            }
        }
    }

    // ---- giving up ----

    /// Pods on the node, and those whose claims are bound to volumes of the node.
    pub(super) fn pods_with_data_on(&self, node: NodeId) -> Vec<PodId> {
        let mut pods = self.cluster.node(node).info.pods.clone();
        if let Some(host) = self.cluster.node_labels(node).get(sym::HOSTNAME) {
            for volume in self.cluster.pinned_volumes(host) {
                pods.extend(self.users_of_volume(*volume));
            }
        }
        pods.sort_unstable();
        pods.dedup();
        pods
    }
    /// Pods that use the claim which the volume is bound to. A Released volume still names the claim that it had.
    pub(super) fn users_of_volume(&self, volume: VolumeId) -> Vec<PodId> {
        let row = self.cluster.volume(volume);
        let Some(named) = row.claim_ref else { return Vec::new() };
        let claim = self.cluster.claim_by_name(named.namespace, named.name);
        if claim.is_none_or(|id| self.cluster.claim(id).volume_name != Some(row.name)) {
            return Vec::new();
        }
        self.cluster.claim_users(named.namespace, named.name).to_vec()
    }
    /// A node is found gone (or a disk lost): its members are given up when the policy's time is over.
    pub(super) fn plan_giving_up(&mut self, pods: &[PodId]) {
        let Some(after) = self.operator.as_ref().and_then(|o| o.gives_up_after()) else { return };
        let now = self.now;
        for &pod in pods {
            if let (Some((set, ordinal)), Some(operator)) = (self.member(pod), &mut self.operator)
                && operator.is_away(set, ordinal, now)
            {
                self.plan_event(now + after, RANK_TIMELINE, Event::GiveUp(set, ordinal));
            }
        }
    }
    /// The node is back in time.
    pub(super) fn call_off_giving_up(&mut self, node: NodeId) {
        for pod in self.pods_with_data_on(node) {
            if let (Some((set, ordinal)), Some(operator)) = (self.member(pod), &mut self.operator) {
                operator.is_back(set, ordinal);
            }
        }
    }
    /// Deletes claim and pod of a member whose data is out of reach, still.
    pub(super) fn give_up(&mut self, set: StatefulSetId, ordinal: u32) {
        let now = self.now;
        let due = self.operator.as_mut().is_some_and(|o| o.is_to_be_given_up(set, ordinal, now));
        let row = &self.cluster.stateful_sets()[set];
        if !due {
            return;
        }
        let exists = row.exists;
        if let Some(operator) = &mut self.operator {
            operator.is_back(set, ordinal);
        }
        if exists {
            self.replace_member(set, ordinal);
        }
    }
    /// Deletes claim and pod of a member if its data is out of reach.
    fn replace_member(&mut self, set: StatefulSetId, ordinal: u32) {
        let row = &self.cluster.stateful_sets()[set];
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
    /// The disk behind these volumes is new and empty: who has waited for the repair has waited long enough.
    pub(super) fn replace_members_of(&mut self, volumes: &[Sym]) {
        let lost = self.cluster.claims().iter().filter(|(_, claim)| claim.phase == ClaimPhase::Lost);
        let lost = lost.filter(|(_, claim)| claim.volume_name.is_some_and(|name| volumes.contains(&name)));
        let named: Vec<_> = lost.map(|(_, claim)| (claim.namespace, claim.name)).collect();
        for (namespace, name) in named {
            for pod in self.cluster.claim_users(namespace, name).to_vec() {
                self.replace_if_lost(pod);
            }
        }
    }
    /// Replaces a member of which a claim is Lost.
    pub(super) fn replace_if_lost(&mut self, pod: PodId) {
        let Some((set, ordinal)) = self.member(pod) else { return };
        let namespace = self.cluster.spec_of(pod).namespace;
        let lost = {
            let claims = self.cluster.claim_names_of(pod).flatten();
            let mut claims = claims.filter_map(|name| self.cluster.claim_by_name(namespace, name));
            claims.any(|claim| self.cluster.claim(claim).phase == ClaimPhase::Lost)
        };
        if lost {
            self.replace_member(set, ordinal);
        }
    }
    /// Is the claim's volume lost, or on a node that is gone or not Ready?
    fn is_out_of_reach(&self, claim: ClaimId) -> bool {
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
