//! `kubectl drain`: cordon, then evict what a DaemonSet or the kubelet does not own, as far as PodDisruptionBudgets allow; what they
//! forbid is tried again every 5 s. A tick is an event only if a budget allows more than before.

use super::*;
use crate::control::api::Grace;
use crate::control::disruption::Eviction;
use crate::model::spec::OwnerKind;
use std::collections::BTreeMap;

/// Period at which `kubectl drain` asks again.
const RETRY: SimDuration = SimDuration::from_secs(5);

/// Drains that are not done.
#[derive(Clone, Debug, Default)]
pub(super) struct Drains {
    /// When they began, by node.
    active: BTreeMap<NodeId, SimTime>,
    /// The next tick that is planned.
    tick: Option<SimTime>,
}

impl Drains {
    /// Somebody has ended the drain: the node is uncordoned.
    pub(super) fn end(&mut self, node: NodeId) {
        self.active.remove(&node);
    }
}

impl<O: Observer> World<'_, O> {
    /// `kubectl drain --ignore-daemonsets --delete-emptydir-data --force`.
    pub(super) fn drain(&mut self, node: NodeId) {
        self.cordon(node, true);
        self.drains.active.insert(node, self.now);
        self.drain_round(node);
    }
    /// Evicts what may go now.
    fn drain_round(&mut self, node: NodeId) {
        let mut forbidden = false;
        for pod in self.cluster.node(node).info.pods.clone() {
            let kind = self.cluster.spec_of(pod).owner;
            if matches!(kind, OwnerKind::DaemonSet | OwnerKind::Mirror)
                || self.cluster.pod(pod).deletion.is_some()
            {
                continue;
            }
            match self.disruptions.evict(&mut self.cluster, pod) {
                Eviction::Allowed => self.delete_pod(pod, Grace::Default),
                Eviction::Forbidden => forbidden = true,
            }
        }
        if !forbidden {
            self.drains.active.remove(&node);
        }
    }
    /// The drains' tick: each asks again.
    pub(super) fn drain_retry(&mut self) {
        self.drains.tick = None;
        let nodes: Vec<NodeId> = self.drains.active.keys().copied().collect();
        for node in nodes {
            if self.cluster.node(node).exists {
                self.drain_round(node);
            } else {
                self.drains.end(node);
            }
        }
    }
    /// Something about pods changed: budgets may allow more.
    pub(super) fn look_at_budgets(&mut self) {
        if self.cluster.budgets().is_empty() || self.drains.active.is_empty() {
            return;
        }
        let more = self.disruptions.sync(&mut self.cluster);
        if more && self.drains.tick.is_none() {
            let soon = self.now + SimDuration::from_nanos(1);
            let ticks = self.drains.active.values().map(|began| soon.next_tick(*began, RETRY));
            if let Some(at) = ticks.min() {
                self.drains.tick = Some(at);
                self.plan_event(at, RANK_TIMELINE, Event::DrainRetry);
            }
        }
    }
}
