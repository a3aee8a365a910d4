//! Kubernetes events, in Kubernetes' words, for observers that want them. Their texts cost time, so they are only made then.

use super::*;
use crate::control::Retry;
use crate::observe::Subject;

impl<O: Observer> World<'_, O> {
    /// Emits an event if somebody wants it.
    pub(super) fn event(
        &mut self,
        about: Subject,
        reason: &'static str,
        text: impl FnOnce(&Cluster) -> String,
    ) {
        if self.observer.wants_events() {
            let text = text(&self.cluster);
            let message = self.cluster.names.intern(&text);
            self.observe(&Observation::Event { about, reason, message });
        }
    }
    pub(super) fn tell_scheduled(&mut self, pod: PodId, node: NodeId) {
        self.event(Subject::Pod(pod), "Scheduled", |c| {
            format!("Successfully assigned {} to {}", c.pod_key(pod), c.names.text(c.node(node).name))
        });
    }
    pub(super) fn tell_preempted(&mut self, victim: PodId, node: Option<NodeId>, by: Uid) {
        self.event(Subject::Pod(victim), "Preempted", |c| {
            let node = node.map_or("", |node| c.names.text(c.node(node).name));
            format!("Preempted by pod {} on node {node}", by.number())
        });
    }
    pub(super) fn tell_not_ready(&mut self, node: NodeId) {
        self.event(Subject::Node(node), "NodeNotReady", |c| {
            format!("Node {} status is now: NodeNotReady", c.names.text(c.node(node).name))
        });
    }
    pub(super) fn tell_eviction(&mut self, pod: PodId, cancelled: bool) {
        self.event(Subject::Pod(pod), "TaintManagerEviction", |c| {
            let what = if cancelled { "Cancelling deletion of" } else { "Marking for deletion" };
            format!("{what} Pod {}", c.pod_key(pod))
        });
    }
    /// What a StatefulSet's controller has written.
    pub(super) fn tell_set_write(&mut self, write: &Write) {
        match *write {
            Write::CreateSetClaim { set, ordinal, template } => {
                self.set_event(set, ordinal, "SuccessfulCreate", move |c, set, pod| {
                    let row = &c.stateful_sets()[set];
                    let prefix = row.claims.get(template as usize).map_or("", |t| c.names.text(t.prefix));
                    let name = c.names.show(row.name);
                    format!("create Claim {prefix}-{pod} Pod {pod} in StatefulSet {name} success")
                });
            }
            Write::CreateSetPod { set, ordinal } => {
                self.set_event(set, ordinal, "SuccessfulCreate", |c, set, pod| {
                    let name = c.names.show(c.stateful_sets()[set].name);
                    format!("create Pod {pod} in StatefulSet {name} successful")
                });
            }
            _ => {}
        }
    }
    pub(super) fn tell_set_failure(&mut self, set: StatefulSetId, why: Retry) {
        let Retry::ClaimBeingDeleted(claim) = why else { return };
        self.event(Subject::StatefulSet(set), "FailedCreate", |c| {
            let row = &c.stateful_sets()[set];
            let claim = c.names.show(claim).to_string();
            let name = c.names.show(row.name).to_string();
            let pod = row.claims.iter().find_map(|t| {
                claim.strip_prefix(c.names.text(t.prefix)).and_then(|rest| rest.strip_prefix('-'))
            });
            let pod = pod.unwrap_or("");
            format!("create Pod {pod} in StatefulSet {name} failed error: pvc {claim} is being deleted")
        });
    }
    fn set_event(
        &mut self,
        set: StatefulSetId,
        ordinal: u32,
        reason: &'static str,
        text: impl FnOnce(&Cluster, StatefulSetId, &str) -> String,
    ) {
        self.event(Subject::StatefulSet(set), reason, |c| {
            let pod = format!("{}-{ordinal}", c.names.show(c.stateful_sets()[set].name));
            text(c, set, &pod)
        });
    }
}
