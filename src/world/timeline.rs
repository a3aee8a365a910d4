//! Changes by hand: the scenario's timeline.

use super::plan::{Action, Kind};
use super::*;
use crate::control::api::Grace;
use crate::model::names::Sym;

impl<O: Observer> World<'_, O> {
    /// Does the next entry of the timeline.
    pub(super) fn timeline_step(&mut self) -> Result<(), SimError> {
        let plan = self.plan;
        let Some((_, action)) = plan.timeline.get(self.next_timeline) else { return Ok(()) };
        self.next_timeline += 1;
        self.events += 1;
        match action {
            Action::Apply(apply) => {
                (apply.0)(&mut self.cluster, self.now);
                self.publish();
            }
            Action::Delete(kind, namespace, name) => self.delete(*kind, *namespace, *name, false),
            Action::DeletePod { namespace, name, force } => self.delete(Kind::Pod, *namespace, *name, *force),
            Action::Scale { kind, namespace, name, replicas } => {
                self.scale(*kind, *namespace, *name, *replicas);
            }
        }
        Ok(())
    }

    /// Deletes the object of this name, if there is one.
    fn delete(&mut self, kind: Kind, namespace: Sym, name: Name, force: bool) {
        match kind {
            Kind::Pod => {
                if let Some(pod) = self.cluster.pod_by_name(namespace, name) {
                    self.delete_pod(pod, if force { Grace::Force } else { Grace::Default });
                }
            }
            Kind::Claim => {
                if let Some(claim) = self.cluster.claim_by_name(namespace, name) {
                    let uid = self.cluster.claim(claim).uid;
                    let _ = self.write(Write::DeleteClaim { claim, uid });
                }
            }
            Kind::Volume => {
                let name = self.cluster.names.show(name).to_string();
                let volume = self.cluster.names.get(&name).and_then(|n| self.cluster.volume_by_name(n));
                if let Some(volume) = volume {
                    let uid = self.cluster.volume(volume).uid;
                    let _ = self.write(Write::DeleteVolume { volume, uid });
                }
            }
            Kind::Node => {
                let name = self.cluster.names.show(name).to_string();
                let node = self.cluster.names.get(&name).and_then(|n| self.cluster.node_by_name(n));
                if let Some(node) = node {
                    self.cluster.remove_node(node);
                    self.publish();
                }
            }
            Kind::StatefulSet => {
                let found = self
                    .cluster
                    .stateful_sets()
                    .iter()
                    .find(|(_, s)| s.exists && s.namespace == namespace && s.name == name);
                if let Some((id, _)) = found {
                    self.delete_stateful_set(id);
                }
            }
            Kind::ReplicaSet => {
                let found = self
                    .cluster
                    .replica_sets()
                    .iter()
                    .find(|(_, s)| s.exists && s.namespace == namespace && s.name == name);
                if let Some((id, _)) = found {
                    self.delete_replica_set(id);
                }
            }
            Kind::Job => {
                let found = self
                    .cluster
                    .jobs()
                    .iter()
                    .find(|(_, j)| j.exists && j.namespace == namespace && j.name == name);
                if let Some((id, _)) = found {
                    self.delete_job(id);
                }
            }
        }
    }
    pub(super) fn delete_pod(&mut self, pod: PodId, grace: Grace) {
        let uid = self.cluster.pod(pod).uid;
        let _ = self.write(Write::DeletePod { pod, uid, grace });
    }

    fn scale(&mut self, kind: Kind, namespace: Sym, name: Name, replicas: u32) {
        if kind == Kind::StatefulSet {
            let found = self
                .cluster
                .stateful_sets()
                .iter()
                .find(|(_, s)| s.exists && s.namespace == namespace && s.name == name);
            if let Some((id, _)) = found {
                self.cluster.update_stateful_set(id, |s| s.replicas = replicas);
            }
        } else {
            let found = self
                .cluster
                .replica_sets()
                .iter()
                .find(|(_, s)| s.exists && s.namespace == namespace && s.name == name);
            if let Some((id, _)) = found {
                self.cluster.update_replica_set(id, |s| s.replicas = replicas);
            }
        }
        self.publish();
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
