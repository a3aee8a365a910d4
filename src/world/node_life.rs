//! Nodes that go silent, come back, are deleted or tainted, and what becomes of their pods.

use super::*;
use crate::control::api::Grace;
use crate::control::node_lifecycle::{condition_taints, eviction_taints, tolerated_for};
use crate::engine::rng::EntityKey;
use crate::model::names::sym;
use crate::model::pod::PodPhase;
use crate::model::spec::TaintEffect;

/// A node must be known missing for so long before pod GC acts (`quarantineTime`).
const QUARANTINE: SimDuration = SimDuration::from_secs(40);

impl<O: Observer> World<'_, O> {
    /// A node's kubelet goes silent, for one (more) reason.
    pub(super) fn node_down(&mut self, node: NodeId) {
        for pod in self.cluster.node(node).info.pods.clone() {
            self.member_stops(pod);
        }
        let phase = self.lease_phase(node);
        if let Some(at) = self.node_life.goes_silent(node, phase, self.now) {
            let epoch = self.node_life.epoch(node);
            self.plan_event(at, RANK_TIMELINE, Event::NodeFoundOut(node, epoch));
        }
    }
    /// When within its period a node renews its lease.
    fn lease_phase(&self, node: NodeId) -> SimDuration {
        const STEPS: usize = 1 << 20;
        let period = self.plan.timing.node.lease.as_nanos();
        let key = EntityKey::new(self.cluster.names.text(self.cluster.node(node).name));
        let step = self.tie.choose("lease-phase", key, STEPS) as u64;
        SimDuration::from_nanos((u128::from(period) * u128::from(step) / STEPS as u128) as u64)
    }
    /// The grace period is over: the node is Unknown.
    pub(super) fn node_found_out(&mut self, node: NodeId, epoch: u32) {
        let stale = self.node_life.epoch(node) != epoch || self.node_life.works(node);
        if stale || !self.cluster.node(node).exists {
            return;
        }
        let at = self.node_life.found_out_at(node).max(self.kcm_up_at());
        if at > self.now {
            return self.plan_event(at, RANK_TIMELINE, Event::NodeFoundOut(node, epoch));
        }
        self.node_life.set_unknown(node);
        self.tell_not_ready(node);
        self.cluster.set_node_ready(node, false);
        let concerned = self.pods_with_data_on(node);
        self.plan_giving_up(&concerned);
        for pod in self.cluster.node(node).info.pods.clone() {
            let row = self.cluster.pod(pod);
            if row.ready {
                let phase = row.phase;
                self.cluster.set_pod_status(pod, phase, false);
            }
        }
        self.publish();
        self.node_life.queue_eviction(&self.cluster, node);
        self.taint_evictions();
        self.look_at_zones();
    }
    fn look_at_zones(&mut self) {
        if self.node_life.look_at_zones(&self.cluster, self.now) {
            // Everything is gone: the NoExecute taints are taken off again.
            for node in self.cluster.nodes().ids() {
                self.set_eviction_taint(node, None);
            }
        }
        self.plan_taint_eviction();
    }
    /// Nodes get their NoExecute taints as fast as their zones allow.
    pub(super) fn taint_evictions(&mut self) {
        while let Some(node) = self.node_life.next_eviction(self.now) {
            if self.cluster.node(node).exists && !self.cluster.node(node).ready {
                let unknown = self.node_life.is_unknown(node);
                let key = if unknown { sym::TAINT_UNREACHABLE } else { sym::TAINT_NOT_READY };
                self.set_eviction_taint(node, Some(key));
            }
        }
        self.plan_taint_eviction();
    }
    fn plan_taint_eviction(&mut self) {
        if let Some(at) = self.node_life.next_eviction_at()
            && self.taint_tick.is_none_or(|planned| at < planned)
        {
            self.taint_tick = Some(at);
            self.plan_event(at.max(self.now), RANK_TIMELINE, Event::TaintEviction);
        }
    }
    fn set_eviction_taint(&mut self, node: NodeId, key: Option<crate::model::names::Sym>) {
        let taints = eviction_taints(&self.cluster, node, key);
        self.cluster.set_node_taints(node, taints);
        self.publish();
    }

    /// One reason for silence is over; the kubelet may report again.
    pub(super) fn node_up(&mut self, node: NodeId) {
        if !self.node_life.reports(node) || !self.cluster.node(node).exists {
            return;
        }
        self.call_off_giving_up(node);
        for pod in self.cluster.node(node).info.pods.clone() {
            self.enqueue(Actor::Kubelets, pod.row());
        }
        // It works on its pods at once, and posts its status in its own rhythm.
        let (lease, epoch) = (self.plan.timing.node.lease, self.node_life.epoch(node));
        let at = self.now.next_tick(SimTime::ZERO + self.lease_phase(node), lease);
        if self.plan.timing.ideal || self.cluster.node(node).ready || at <= self.now {
            return self.node_reports(node, epoch);
        }
        self.plan_event(at, RANK_TIMELINE, Event::NodeReports(node, epoch));
    }
    /// The kubelet posts its status: the node is Ready again.
    pub(super) fn node_reports(&mut self, node: NodeId, epoch: u32) {
        if self.node_life.epoch(node) != epoch || !self.cluster.node(node).exists {
            return;
        }
        self.node_life.set_known(node);
        self.cluster.set_node_ready(node, true);
        self.publish();
        self.node_life.unqueue_eviction(&self.cluster, node);
        let monitor = self.plan.timing.node.monitor;
        let at = (self.now + SimDuration::from_nanos(1)).next_tick_of(self.plan.timing.kcm_up_for, monitor);
        let at = if self.plan.timing.ideal { self.now } else { at };
        self.plan_event(at, RANK_TIMELINE, Event::NodeReachable(node, epoch));
    }
    /// The monitor sees that the node is Ready again and takes its NoExecute taint off.
    pub(super) fn node_reachable(&mut self, node: NodeId, epoch: u32) {
        if self.node_life.epoch(node) == epoch && self.cluster.node(node).exists {
            self.set_eviction_taint(node, None);
            self.look_at_zones();
        }
    }

    /// Something about a node reached the controllers: taints by condition, and pods that its taints evict.
    pub(super) fn node_changed(&mut self, node: NodeId) {
        if !self.cluster.node(node).exists {
            return;
        }
        let unknown = self.node_life.is_unknown(node);
        let taints = condition_taints(&self.cluster, node, unknown);
        if taints != self.cluster.node(node).taints {
            self.enqueue(Actor::NodeTaints, node.row());
        }
        if self.has_no_execute(node) || self.evicting.contains(&node) {
            self.evicting.insert(node);
            for pod in self.cluster.node(node).info.pods.clone() {
                self.consider_eviction(pod);
            }
            if !self.has_no_execute(node) {
                self.evicting.remove(&node);
            }
        }
        self.plan_pod_gc(node);
    }
    fn has_no_execute(&self, node: NodeId) -> bool {
        self.cluster.node(node).taints.iter().any(|t| t.effect == TaintEffect::NoExecute)
    }
    /// Plans, or calls off, the eviction of a pod by its node's NoExecute taints.
    pub(super) fn consider_eviction(&mut self, pod: PodId) {
        let Some(row) = self.cluster.pods().get(pod) else { return };
        let (uid, Some(node)) = (row.uid, row.node) else { return };
        if row.deletion.is_some() || row.is_finished() {
            return;
        }
        let tolerated = tolerated_for(self.cluster.spec(row.spec), &self.cluster.node(node).taints);
        let (now, planned) = (self.now, self.pod_times(pod).evicted_at);
        let at = match (tolerated, planned) {
            (None, _) => None,
            (Some(_), Some(planned)) => Some(planned), // the first taint counts
            (Some(tolerated), None) => Some(now + tolerated),
        };
        if at != planned {
            self.pod_times_mut(pod).evicted_at = at;
            match at {
                Some(at) => self.plan_event(at, RANK_TIMELINE, Event::Evict(pod, epoch_of(uid))),
                None => self.tell_eviction(pod, true),
            }
        }
    }
    /// The pod's toleration has run out.
    pub(super) fn evict(&mut self, pod: PodId, epoch: u32) {
        if self.is_same_pod(pod, epoch) && self.pod_times(pod).evicted_at.is_some_and(|at| at <= self.now) {
            self.pod_times_mut(pod).evicted_at = None;
            self.tell_eviction(pod, false);
            self.delete_pod(pod, Grace::Default);
        }
    }

    // ---- pod garbage collection ----

    /// A tick of pod GC is planned if it will find something.
    pub(super) fn plan_pod_gc(&mut self, node: NodeId) {
        let row = self.cluster.node(node);
        let pods = !row.info.pods.is_empty();
        if pods && (!row.exists || is_out_of_service(row)) {
            self.gc_nodes.entry(node).or_insert(None);
            self.plan_gc_tick();
        }
    }
    fn plan_gc_tick(&mut self) {
        if self.gc_tick.is_none() {
            let period = self.plan.timing.pod_gc;
            let at =
                (self.now + SimDuration::from_nanos(1)).next_tick_of(self.plan.timing.kcm_up_for, period);
            self.gc_tick = Some(at);
            self.plan_event(at, RANK_TIMELINE, Event::PodGc);
        }
    }
    /// One round of pod GC: pods of nodes that are gone for long enough, and terminating pods of nodes out of service.
    pub(super) fn pod_gc(&mut self) {
        self.gc_tick = None;
        let now = self.now;
        for (node, missing_since) in std::mem::take(&mut self.gc_nodes) {
            let row = self.cluster.node(node);
            let (exists, out_of_service, ready) = (row.exists, is_out_of_service(row), row.ready);
            let pods = row.info.pods.clone();
            if !exists {
                let since = missing_since.unwrap_or(now);
                if now.since(since) >= QUARANTINE {
                    pods.into_iter().for_each(|pod| self.collect(pod));
                } else {
                    self.gc_nodes.insert(node, Some(since));
                }
            } else if out_of_service && !ready {
                for pod in pods {
                    if self.cluster.pod(pod).deletion.is_some() {
                        self.collect(pod);
                    }
                }
            }
        }
        if !self.gc_nodes.is_empty() {
            self.plan_gc_tick();
        }
    }
    /// Sets the pod Failed and deletes it by force.
    fn collect(&mut self, pod: PodId) {
        let Some(row) = self.cluster.pods().get(pod) else { return };
        let uid = row.uid;
        let _ = self.write(Write::SetPodStatus { pod, uid, phase: PodPhase::Failed, ready: false });
        let _ = self.write(Write::DeletePod { pod, uid, grace: Grace::Force });
    }

    // ---- what people do to nodes ----

    /// `kubectl cordon` and `uncordon`.
    pub(super) fn cordon(&mut self, node: NodeId, cordoned: bool) {
        self.cluster.set_node_unschedulable(node, cordoned);
        self.publish();
        if !cordoned {
            self.drains.end(node);
        }
    }
    /// The controller manager is away for a while.
    pub(super) fn controller_manager_down(&mut self, span: SimDuration) {
        let until = self.now + span;
        if self.kcm_down_until.is_none_or(|old| until > old) {
            self.kcm_down_until = Some(until);
            self.plan_event(until, RANK_TIMELINE, Event::ControllerManagerUp);
        }
    }
    pub(super) fn controller_manager_up(&mut self) {
        if self.kcm_down_until.is_some_and(|until| until <= self.now) {
            self.kcm_down_until = None;
            self.node_life.restart(self.now);
            self.pv.resync(&self.cluster, false);
        }
    }
    fn kcm_up_at(&self) -> SimTime {
        self.kcm_down_until.unwrap_or(SimTime::ZERO)
    }
}

fn is_out_of_service(node: &crate::model::node::Node) -> bool {
    node.taints.iter().any(|t| t.key == sym::TAINT_OUT_OF_SERVICE)
}
