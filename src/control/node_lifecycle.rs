//! The node lifecycle controller's bookkeeping: who is silent, which taints follow, how fast pods may be evicted.
//!
//! A kubelet renews its lease every 10 s; the controller looks every 5 s. A node whose lease it has not seen renewed for the grace
//! period (50 s) is Unknown: it is tainted `unreachable:NoSchedule` at once, and `unreachable:NoExecute` at the eviction rate of its
//! zone (0.1 nodes per second; less or none when most of the zone is gone).

use super::timing::NodeTimers;
use crate::engine::time::{NANOS_PER_SECOND, SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId};
use crate::model::names::{Sym, sym};
use crate::model::spec::{PodSpec, Taint, TaintEffect};
use std::collections::{BTreeMap, VecDeque};

/// Share of nodes not ready from which a zone is disrupted (`--unhealthy-zone-threshold`).
const UNHEALTHY_ZONE: f64 = 0.55;
/// Zones larger than this go on evicting slowly while disrupted (`--large-cluster-size-threshold`).
const LARGE_ZONE: usize = 50;
/// That slow rate in nodes per second (`--secondary-node-eviction-rate`).
const SECONDARY_RATE: f64 = 0.01;

/// How much of a zone is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ZoneState {
    #[default]
    Normal,
    Partial,
    Full,
}

/// Nodes of a zone that wait for their NoExecute taint, and the rate at which they get it (a token bucket of one).
#[derive(Clone, Debug)]
struct Zone {
    queue: VecDeque<NodeId>,
    state: ZoneState,
    /// Nodes per second; 0: none.
    rate: f64,
    /// When there is a token.
    token_at: SimTime,
}

/// What is known about a node beyond its object.
#[derive(Clone, Copy, Debug, Default)]
struct Health {
    /// Reasons for which its kubelet is down (its own failure, its rack's, its zone's); 0: it works.
    down: u32,
    /// Since when the controller could have known: the tick at which it saw the last renewal.
    probed: SimTime,
    /// Ready is Unknown.
    unknown: bool,
    /// Tells events of earlier outages.
    epoch: u32,
}

/// The controller's memory.
#[derive(Clone, Debug)]
pub struct NodeLifecycle {
    timers: NodeTimers,
    /// It looks at multiples of its period since this long before the start.
    up_for: SimDuration,
    nodes: Vec<Health>,
    zones: BTreeMap<Sym, Zone>,
    /// All zones are gone: nothing is evicted, the fault is probably ours.
    all_disrupted: bool,
}

impl NodeLifecycle {
    /// With these timers; the controller has been up for so long when the run begins.
    pub fn new(timers: NodeTimers, up_for: SimDuration) -> NodeLifecycle {
        NodeLifecycle { timers, up_for, nodes: Vec::new(), zones: BTreeMap::new(), all_disrupted: false }
    }
    fn health(&self, node: NodeId) -> Health {
        self.nodes.get(node.index()).copied().unwrap_or_default()
    }
    fn health_mut(&mut self, node: NodeId) -> &mut Health {
        if self.nodes.len() <= node.index() {
            self.nodes.resize(node.index() + 1, Health::default());
        }
        &mut self.nodes[node.index()]
    }
    /// Does the node's kubelet work?
    pub fn works(&self, node: NodeId) -> bool {
        self.health(node).down == 0
    }
    /// Is Ready Unknown?
    pub fn is_unknown(&self, node: NodeId) -> bool {
        self.health(node).unknown
    }
    /// Number of the node's present outage.
    pub fn epoch(&self, node: NodeId) -> u32 {
        self.health(node).epoch
    }

    /// The kubelet goes silent for one more reason. Returns when the node will be found out, if it has just gone silent.
    /// `lease_phase`: its leases are renewed at this offset of every period.
    pub fn goes_silent(&mut self, node: NodeId, lease_phase: SimDuration, now: SimTime) -> Option<SimTime> {
        let (timers, up_for) = (self.timers, self.up_for);
        let health = self.health_mut(node);
        health.down += 1;
        if health.down > 1 {
            return None;
        }
        health.epoch += 1;
        let renewed = last_tick(now, lease_phase, timers.lease);
        health.probed = renewed.next_tick_of(up_for, timers.monitor);
        Some(self.found_out_at(node))
    }
    /// The tick at which the node's silence exceeds the grace period.
    pub fn found_out_at(&self, node: NodeId) -> SimTime {
        (self.health(node).probed + self.timers.grace).next_tick_of(self.up_for, self.timers.monitor)
    }
    /// One of the reasons is over; true if the kubelet works again.
    pub fn reports(&mut self, node: NodeId) -> bool {
        let health = self.health_mut(node);
        health.down = health.down.saturating_sub(1);
        if health.down == 0 {
            health.epoch += 1;
        }
        health.down == 0
    }
    /// The controller was away and starts counting anew at `now`.
    pub fn restart(&mut self, now: SimTime) {
        for health in &mut self.nodes {
            health.probed = health.probed.max(now);
        }
    }
    /// The kubelet says itself again what its node is.
    pub fn set_known(&mut self, node: NodeId) {
        self.health_mut(node).unknown = false;
    }
    /// The controller sets Ready to Unknown.
    pub fn set_unknown(&mut self, node: NodeId) {
        self.health_mut(node).unknown = true;
    }

    // ---- NoExecute taints ----

    fn zone_mut(&mut self, name: Sym) -> &mut Zone {
        let rate = self.timers.eviction_rate;
        self.zones.entry(name).or_insert_with(|| Zone {
            queue: VecDeque::new(),
            state: ZoneState::Normal,
            rate,
            token_at: SimTime::ZERO,
        })
    }
    /// The node is to be tainted NoExecute when its zone's rate allows.
    pub fn queue_eviction(&mut self, cluster: &Cluster, node: NodeId) {
        let queue = &mut self.zone_mut(zone_of(cluster, node)).queue;
        if !queue.contains(&node) {
            queue.push_back(node);
        }
    }
    /// It is no more.
    pub fn unqueue_eviction(&mut self, cluster: &Cluster, node: NodeId) {
        self.zone_mut(zone_of(cluster, node)).queue.retain(|n| *n != node);
    }
    /// The next node to be tainted now.
    pub fn next_eviction(&mut self, now: SimTime) -> Option<NodeId> {
        for zone in self.zones.values_mut() {
            if zone.rate > 0.0
                && zone.token_at <= now
                && let Some(node) = zone.queue.pop_front()
            {
                zone.token_at = now + interval(zone.rate);
                return Some(node);
            }
        }
        None
    }
    /// When [`NodeLifecycle::next_eviction`] will have one.
    pub fn next_eviction_at(&self) -> Option<SimTime> {
        let waiting = self.zones.values().filter(|zone| zone.rate > 0.0 && !zone.queue.is_empty());
        waiting.map(|zone| zone.token_at).min()
    }
    /// Looks at the zones again (`handleDisruption`). True if now all of them are gone: the NoExecute taints are taken off.
    pub fn look_at_zones(&mut self, cluster: &Cluster, now: SimTime) -> bool {
        let mut counts: BTreeMap<Sym, (usize, usize)> = BTreeMap::new();
        for (id, node) in cluster.nodes().iter().filter(|(_, node)| node.exists) {
            let count = counts.entry(zone_of(cluster, id)).or_default();
            if node.ready { count.0 += 1 } else { count.1 += 1 }
        }
        let states: Vec<(Sym, ZoneState, usize)> = counts
            .iter()
            .map(|(zone, (ready, not_ready))| (*zone, zone_state(*ready, *not_ready), ready + not_ready))
            .collect();
        let all = !states.is_empty() && states.iter().all(|(_, state, _)| *state == ZoneState::Full);
        let was = std::mem::replace(&mut self.all_disrupted, all);
        for (name, state, size) in states {
            let full_rate = self.timers.eviction_rate;
            let zone = self.zone_mut(name);
            let rate = match state {
                _ if all => 0.0,
                ZoneState::Normal | ZoneState::Full => full_rate,
                ZoneState::Partial if size > LARGE_ZONE => SECONDARY_RATE.min(full_rate),
                ZoneState::Partial => 0.0,
            };
            zone.state = state;
            if rate != zone.rate {
                // A new limiter: it begins full, unless the old one was empty.
                if zone.token_at > now && rate > 0.0 {
                    zone.token_at = now + interval(rate);
                }
                zone.rate = rate;
            }
        }
        all && !was
    }
}

fn interval(rate: f64) -> SimDuration {
    SimDuration::from_nanos(libm::round(NANOS_PER_SECOND as f64 / rate) as u64)
}

fn zone_state(ready: usize, not_ready: usize) -> ZoneState {
    if ready == 0 && not_ready > 0 {
        ZoneState::Full
    } else if not_ready > 2 && not_ready as f64 / (ready + not_ready) as f64 >= UNHEALTHY_ZONE {
        ZoneState::Partial
    } else {
        ZoneState::Normal
    }
}

fn zone_of(cluster: &Cluster, node: NodeId) -> Sym {
    cluster.node_labels(node).get(sym::ZONE).unwrap_or(sym::EMPTY)
}

/// The last multiple of `period` plus `phase` at or before `now`; `ZERO` if there was none.
fn last_tick(now: SimTime, phase: SimDuration, period: SimDuration) -> SimTime {
    let since = now.since(SimTime::ZERO + phase).as_nanos();
    if period.is_zero() || now < SimTime::ZERO + phase {
        return SimTime::ZERO.max(if period.is_zero() { now } else { SimTime::ZERO });
    }
    SimTime::ZERO + phase + SimDuration::from_nanos(since / period.as_nanos() * period.as_nanos())
}

/// The taints that a node's condition and `spec.unschedulable` ask for, in place of those that they asked for before
/// (TaintNodesByCondition). Others stay; NoExecute taints are another matter.
pub fn condition_taints(cluster: &Cluster, node: NodeId, unknown: bool) -> Vec<Taint> {
    let row = cluster.node(node);
    let ours = [sym::TAINT_NOT_READY, sym::TAINT_UNREACHABLE, sym::TAINT_UNSCHEDULABLE];
    let is_ours = |t: &Taint| t.effect == TaintEffect::NoSchedule && ours.contains(&t.key);
    let mut wanted = Vec::new();
    if !row.ready {
        wanted.push(if unknown { sym::TAINT_UNREACHABLE } else { sym::TAINT_NOT_READY });
    }
    if row.unschedulable {
        wanted.push(sym::TAINT_UNSCHEDULABLE);
    }
    let mut taints: Vec<Taint> =
        row.taints.iter().filter(|t| !is_ours(t) || wanted.contains(&t.key)).copied().collect();
    for key in wanted {
        if !taints.iter().any(|t| t.key == key && t.effect == TaintEffect::NoSchedule) {
            taints.push(Taint { key, value: sym::EMPTY, effect: TaintEffect::NoSchedule });
        }
    }
    taints
}

/// The node's taints with or without the NoExecute taint of its condition.
pub fn eviction_taints(cluster: &Cluster, node: NodeId, evict: Option<Sym>) -> Vec<Taint> {
    let ours = [sym::TAINT_NOT_READY, sym::TAINT_UNREACHABLE];
    let row = cluster.node(node);
    let is_ours = |t: &Taint| t.effect == TaintEffect::NoExecute && ours.contains(&t.key);
    let mut taints: Vec<Taint> = row.taints.iter().filter(|t| !is_ours(t)).copied().collect();
    if let Some(key) = evict {
        taints.push(Taint { key, value: sym::EMPTY, effect: TaintEffect::NoExecute });
    }
    taints
}

/// How long a pod stays on a node with these taints: `None` for ever, zero not at all (`taint-eviction-controller`).
pub fn tolerated_for(spec: &PodSpec, taints: &[Taint]) -> Option<SimDuration> {
    let mut shortest: Option<SimDuration> = None;
    for taint in taints.iter().filter(|t| t.effect == TaintEffect::NoExecute) {
        let mut matching = spec.tolerations.iter().filter(|t| t.tolerates(taint)).peekable();
        if matching.peek().is_none() {
            return Some(SimDuration::ZERO);
        }
        for seconds in matching.filter_map(|t| t.seconds) {
            shortest = Some(shortest.map_or(seconds, |s| s.min(seconds)));
        }
    }
    shortest
}

#[cfg(test)]
#[path = "node_lifecycle_tests.rs"]
mod tests;
