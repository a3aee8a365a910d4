//! Changes by hand: the scenario's timeline.

use super::plan::{Action, DiskRef, Kind};
use super::*;
use crate::control::api::Grace;
use crate::model::cluster::NodeDelta;
use crate::model::ids::VolumeGroupId;
use crate::model::names::{Sym, sym};
use crate::model::pod::PodPhase;
use crate::model::quantity::Quantity;
use crate::model::spec::Taint;

/// Done, or why there was nothing to do.
type Done = Result<(), &'static str>;

const NO_OBJECT: &str = "there is no such object then";

/// An entry of the timeline that did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// When.
    pub at: SimTime,
    /// What was to be done.
    pub action: String,
    /// Why it was not.
    pub why: &'static str,
}

impl<O: Observer> World<'_, O> {
    /// Does the next entry of the timeline.
    pub(super) fn timeline_step(&mut self) -> Result<(), SimError> {
        let plan = self.plan;
        // What the trace's machines do comes before what is done by hand at the same time.
        let by_hand = plan.timeline.get(self.next_timeline).map(|(at, _)| *at);
        if self.trace.next_machine_at(plan).is_some_and(|at| by_hand.is_none_or(|by_hand| at <= by_hand)) {
            self.machine_step();
            return Ok(());
        }
        let Some((_, action)) = plan.timeline.get(self.next_timeline) else { return Ok(()) };
        self.next_timeline += 1;
        self.events += 1;
        if let Err(why) = self.act(action) {
            self.missed.push(Missed { at: self.now, action: action.in_words(&self.cluster.names), why });
        }
        Ok(())
    }

    fn act(&mut self, action: &Action) -> Done {
        match action {
            Action::Apply(apply) => {
                (apply.0)(&mut self.cluster, self.now);
                if let Some(checks) = &mut self.checks {
                    checks.objects_applied(&self.cluster);
                }
                self.publish();
                Ok(())
            }
            Action::Delete(kind, namespace, name) => self.delete(*kind, *namespace, *name, false),
            Action::DeletePod { namespace, name, force } => self.delete(Kind::Pod, *namespace, *name, *force),
            Action::NodeDown(name) => self.with_node(*name, Self::node_down),
            Action::NodeUp(name) => self.with_node(*name, Self::node_up),
            Action::DomainDown { label, value, down } => self.domain(*label, *value, *down),
            Action::Cordon(name, cordoned) => self.with_node(*name, |w, node| w.cordon(node, *cordoned)),
            Action::Drain(name) => self.with_node(*name, Self::drain),
            Action::Taint { node, taint, remove } => {
                self.with_node(*node, |w, node| w.set_taint(node, *taint, *remove))
            }
            Action::RemoveVolume(name) => {
                let volume = self.cluster.volume_by_name(*name).ok_or(NO_OBJECT)?;
                self.cluster.remove_volume(volume);
                self.publish();
                Ok(())
            }
            Action::ClearClaimRef(name) => self.clear_claim_ref(*name),
            Action::SetAllocatable { node, amounts } => {
                self.with_node(*node, |w, node| w.set_allocatable(node, amounts))
            }
            Action::DiskFail(disk) => {
                self.disk_fails(disk);
                Ok(())
            }
            Action::DiskRepair(disk) => {
                self.disk_repaired(disk);
                Ok(())
            }
            Action::Expand { namespace, name, bytes } => self.expand(*namespace, *name, *bytes),
            Action::ControllerManagerDown(span) => {
                self.controller_manager_down(*span);
                Ok(())
            }
            Action::Scale { kind, namespace, name, replicas } => {
                self.scale(*kind, *namespace, *name, *replicas)
            }
        }
    }

    fn with_node(&mut self, name: Sym, act: impl FnOnce(&mut Self, NodeId)) -> Done {
        let node = self.cluster.node_by_name(name).ok_or(NO_OBJECT)?;
        act(self, node);
        Ok(())
    }
    /// All nodes of a zone or rack fail together, or come back.
    fn domain(&mut self, label: Sym, value: Sym, down: bool) -> Done {
        let nodes = self.cluster.nodes().iter().filter(|(_, node)| node.exists).map(|(id, _)| id);
        let members: Vec<NodeId> =
            nodes.filter(|id| self.cluster.node_labels(*id).get(label) == Some(value)).collect();
        if members.is_empty() {
            return Err("no node has that label then");
        }
        for node in members {
            if down { self.node_down(node) } else { self.node_up(node) }
        }
        Ok(())
    }
    fn set_taint(&mut self, node: NodeId, taint: Taint, remove: bool) {
        let same = |t: &Taint| t.key == taint.key && t.effect == taint.effect;
        let mut taints: Vec<Taint> =
            self.cluster.node(node).taints.iter().filter(|t| !same(t)).copied().collect();
        if !remove {
            taints.push(taint);
        }
        self.cluster.set_node_taints(node, taints);
        self.publish();
    }
    fn clear_claim_ref(&mut self, name: Sym) -> Done {
        let volume = self.cluster.volume_by_name(name).ok_or(NO_OBJECT)?;
        self.cluster.update_volume(volume, |v| v.claim_ref = None);
        if let Some(checks) = &mut self.checks {
            checks.volume_edited(name);
        }
        self.publish();
        Ok(())
    }
    fn set_allocatable(&mut self, node: NodeId, amounts: &[(Sym, i64)]) {
        let row = self.cluster.node(node);
        let (mut resources, mut pods) = (row.allocatable.clone(), row.allocatable_pods);
        for &(name, amount) in amounts {
            match name {
                sym::CPU => resources.cpu_milli = amount,
                sym::MEMORY => resources.memory_bytes = amount,
                sym::EPHEMERAL_STORAGE => resources.ephemeral_bytes = amount,
                sym::PODS => pods = amount,
                other => resources.set_scalar(other, amount),
            }
        }
        self.cluster.set_node_allocatable(node, resources, pods);
        self.publish();
    }
    /// The volumes of a dead disk are gone with their data, whatever their finalizers say; pods that used them are not Ready.
    pub(super) fn disk_fails(&mut self, disk: &DiskRef) {
        let mut volumes = disk.volumes.clone();
        if let Some(group) = disk.group {
            volumes.extend(self.cluster.volume_groups()[group].allocations().map(|(volume, _)| volume));
            self.cluster.set_group_health(group, false);
            for volume in &volumes {
                self.cluster.release(group, *volume);
            }
            self.group_changed(group);
        }
        for name in &volumes {
            self.disks.set_present(&self.cluster, *name, false, self.now);
            let Some(volume) = self.cluster.volume_by_name(*name) else { continue };
            let users = self.users_of_volume(volume);
            self.cluster.remove_volume(volume);
            self.plan_giving_up(&users);
            for pod in users {
                let row = self.cluster.pod(pod);
                if row.phase == PodPhase::Running && row.ready {
                    self.cluster.set_pod_status(pod, PodPhase::Running, false);
                }
            }
            self.publish();
        }
    }

    /// An empty disk takes the place of a dead one.
    pub(super) fn disk_repaired(&mut self, disk: &DiskRef) {
        for volume in &disk.volumes {
            self.disks.set_present(&self.cluster, *volume, true, self.now);
        }
        if let Some(group) = disk.group {
            self.cluster.set_group_health(group, true);
            self.group_changed(group);
            if let Some(node) = self.cluster.node_by_name(self.cluster.volume_groups()[group].node) {
                for pod in self.cluster.node(node).info.pods.clone() {
                    self.replace_if_lost(pod);
                }
            }
        }
        self.replace_members_of(&disk.volumes);
    }
    fn group_changed(&mut self, group: VolumeGroupId) {
        self.lvm.group_changed(&self.cluster, group, self.now);
        if let Some(node) = self.cluster.node_by_name(self.cluster.volume_groups()[group].node) {
            self.observe(&Observation::NodeChanged(node, NodeDelta::Other));
        }
    }
    /// A claim's request grows, if it is bound and its class allows that; the API refuses anything else.
    fn expand(&mut self, namespace: Sym, name: Name, bytes: u64) -> Done {
        let claim = self.cluster.claim_by_name(namespace, name).ok_or(NO_OBJECT)?;
        if !self.cluster.expand_claim(claim, Quantity::from_bytes(u128::from(bytes))) {
            return Err(
                "the API refuses it: the claim is not Bound, has as much, or its class lacks allowVolumeExpansion",
            );
        }
        self.publish();
        Ok(())
    }

    /// Deletes the object of this name.
    fn delete(&mut self, kind: Kind, namespace: Sym, name: Name, force: bool) -> Done {
        // Objects without a namespace are found by interned names.
        let interned =
            |w: &Self| w.cluster.names.get(&w.cluster.names.show(name).to_string()).ok_or(NO_OBJECT);
        match kind {
            Kind::Pod => {
                let pod = self.cluster.pod_by_name(namespace, name).ok_or(NO_OBJECT)?;
                self.delete_pod(pod, if force { Grace::Force } else { Grace::Default });
            }
            Kind::Claim => {
                let claim = self.cluster.claim_by_name(namespace, name).ok_or(NO_OBJECT)?;
                let uid = self.cluster.claim(claim).uid;
                let _ = self.write(Write::DeleteClaim { claim, uid });
            }
            Kind::Volume => {
                let volume = self.cluster.volume_by_name(interned(self)?).ok_or(NO_OBJECT)?;
                let uid = self.cluster.volume(volume).uid;
                let _ = self.write(Write::DeleteVolume { volume, uid });
            }
            Kind::Node => {
                let node = self.cluster.node_by_name(interned(self)?).ok_or(NO_OBJECT)?;
                self.cluster.remove_node(node);
                self.publish();
            }
            Kind::StatefulSet => {
                let id = self.cluster.stateful_set_by_name(namespace, name).ok_or(NO_OBJECT)?;
                self.delete_stateful_set(id);
            }
            Kind::ReplicaSet(kind) => {
                let id = self.cluster.replica_set_by_name(namespace, name, kind).ok_or(NO_OBJECT)?;
                self.delete_replica_set(id);
            }
            Kind::Job => {
                let id = self.cluster.job_by_name(namespace, name).ok_or(NO_OBJECT)?;
                self.delete_job(id);
            }
        }
        Ok(())
    }
    pub(super) fn delete_pod(&mut self, pod: PodId, grace: Grace) {
        let uid = self.cluster.pod(pod).uid;
        let _ = self.write(Write::DeletePod { pod, uid, grace });
    }

    fn scale(&mut self, kind: Kind, namespace: Sym, name: Name, replicas: u32) -> Done {
        match kind {
            Kind::StatefulSet => {
                let id = self.cluster.stateful_set_by_name(namespace, name).ok_or(NO_OBJECT)?;
                self.cluster.update_stateful_set(id, |s| s.replicas = replicas);
            }
            Kind::ReplicaSet(kind) => {
                let id = self.cluster.replica_set_by_name(namespace, name, kind).ok_or(NO_OBJECT)?;
                self.cluster.update_replica_set(id, |s| s.replicas = replicas);
            }
            // Nothing else has replicas.
            _ => return Err(NO_OBJECT),
        }
        self.publish();
        Ok(())
    }

    // ---- ends of lives ----

    pub(super) fn delete_stateful_set(&mut self, id: StatefulSetId) {
        if self.cluster.stateful_sets()[id].exists {
            self.cluster.update_stateful_set(id, |s| {
                s.deletion = true;
                s.exists = false;
            });
            self.publish();
        }
    }
    pub(super) fn delete_replica_set(&mut self, id: ReplicaSetId) {
        if self.cluster.replica_sets()[id].exists {
            self.cluster.update_replica_set(id, |s| s.exists = false);
            self.publish();
        }
    }
    pub(super) fn delete_job(&mut self, id: JobId) {
        if self.cluster.jobs()[id].exists {
            self.cluster.update_job(id, |j| j.exists = false);
            self.publish();
        }
    }
    pub(super) fn pod_leaves(&mut self, pod: PodId, epoch: u32) {
        if self.is_same_pod(pod, epoch) {
            self.delete_pod(pod, Grace::Default);
        }
    }
}
