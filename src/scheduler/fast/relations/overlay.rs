//! What a group says about nodes: rejections, and scores over the feasible ones.
//!
//! The arithmetic is that of PodTopologySpread and InterPodAffinity, operation by operation.

use super::group::{Group, Purpose, Slot};
use super::topology::{NODE, NOWHERE, Topology};
use crate::model::cluster::Cluster;
use crate::model::ids::NodeId;
use crate::model::names::sym;
use crate::scheduler::framework::{Code, MAX_NODE_SCORE, Rejection};
use crate::scheduler::plugins::{inter_pod_affinity, pod_topology_spread};

/// A node, or what it has in common with the nodes of its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The node.
    pub node: NodeId,
    /// It stands for the nodes of its part on which no pod of interest runs.
    pub rest: bool,
}

/// A feasible node with its total score so far, or several that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub at: At,
    /// How many nodes.
    pub nodes: u32,
    /// Sum of weighted scores.
    pub total: i64,
}

impl Candidate {
    /// One node.
    pub fn node(node: NodeId, total: i64) -> Candidate {
        Candidate { at: At { node, rest: false }, nodes: 1, total }
    }
}

/// Weights of the two plugins, 0 where they do not score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelationWeights {
    /// PodTopologySpread.
    pub spread: i64,
    /// InterPodAffinity.
    pub affinity: i64,
}

/// Memory used again for every decision.
#[derive(Debug, Default)]
pub struct Scratch {
    raw: Vec<i64>,
    seen: Vec<bool>,
}

/// The raw score of a node that is left out.
const IGNORED: i64 = i64::MIN;

/// A group as it is now.
#[derive(Debug)]
pub struct Overlay<'a> {
    group: &'a Group,
    topology: &'a Topology,
    /// Per required spread constraint: the fewest pods of any domain.
    fewest: Vec<i64>,
    /// No running pod matches all required affinity terms.
    nobody_near: bool,
    /// Slots that reject nodes, by purpose.
    anti: Vec<&'a Slot>,
    existing: Vec<&'a Slot>,
    affinity: Vec<&'a Slot>,
    prefer: Vec<&'a Slot>,
    filters_nothing: bool,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(cluster: &Cluster, group: &'a Group, topology: &'a Topology) -> Overlay<'a> {
        let fewest = group.hard.iter().map(|spread| {
            let few = spread.domains < spread.min_domains;
            match (few, spread.domains) {
                (true, _) => 0,
                // Where no node counts Kubernetes' minimum keeps its first value.
                (false, 0) => i64::from(i32::MAX),
                (false, domains) => group.slots[spread.slot].counts.least(domains),
            }
        });
        let used = |purpose| group.slots_for(purpose).filter(|s| !s.counts.is_empty()).collect::<Vec<_>>();
        let affinity: Vec<&Slot> = group
            .affinity_keys
            .iter()
            .filter_map(|key| group.slots_for(Purpose::Affinity).find(|s| s.key == *key))
            .collect();
        Overlay {
            fewest: fewest.collect(),
            nobody_near: affinity.iter().all(|s| s.counts.is_empty()),
            anti: used(Purpose::Anti),
            existing: used(Purpose::Existing),
            prefer: used(Purpose::Prefer),
            affinity,
            filters_nothing: group.filters_nothing(cluster),
            group,
            topology,
        }
    }

    /// Neither filter has anything to say to the pod: their PreFilter says Skip.
    pub fn filters_nothing(&self) -> bool {
        self.filters_nothing
    }
    fn domain(&self, key: u16, node: NodeId) -> u32 {
        self.topology.keys[usize::from(key)].domain(node)
    }
    fn number(&self, slot: &Slot, At { node, rest }: At) -> i64 {
        match self.domain(slot.key, node) {
            NOWHERE => 0,
            _ if rest && !self.topology.keys[usize::from(slot.key)].is_coarse() => 0,
            domain => slot.counts.get(domain),
        }
    }

    /// Why the node is rejected, as a number for [`Overlay::rejection`]; `None` if it is not.
    pub fn rejects(&self, node: NodeId) -> Option<usize> {
        self.rejects_at(At { node, rest: false })
    }
    /// The same for nodes that are alike.
    pub fn rejects_at(&self, at: At) -> Option<usize> {
        let node = at.node;
        if self.filters_nothing {
            return None;
        }
        for (spread, fewest) in self.group.hard.iter().zip(&self.fewest) {
            if self.domain(spread.key, node) == NOWHERE {
                return Some(0);
            }
            let count = self.number(&self.group.slots[spread.slot], at);
            if count + spread.self_match - fewest > spread.max_skew {
                return Some(1);
            }
        }
        let mut all_near = true;
        for slot in &self.affinity {
            if self.domain(slot.key, node) == NOWHERE {
                return Some(2);
            }
            all_near &= self.number(slot, at) > 0;
        }
        // The first pod of a series with affinity to itself may go anywhere.
        let first = self.nobody_near && self.group.own_first;
        if !(all_near || first) {
            return Some(2);
        }
        if self.anti.iter().any(|slot| self.number(slot, at) > 0) {
            return Some(3);
        }
        self.existing.iter().any(|slot| self.number(slot, at) > 0).then_some(4)
    }

    /// Number of reasons that [`Overlay::rejects`] knows.
    pub const REASONS: usize = 5;

    /// The rejection that a number stands for.
    pub fn rejection(reason: usize) -> Rejection {
        use inter_pod_affinity as affinity;
        use pod_topology_spread as spread;
        let (plugin, code, text) = match reason {
            0 => (spread::NAME, Code::UnschedulableAndUnresolvable, spread::MISSING_LABEL),
            1 => (spread::NAME, Code::Unschedulable, spread::SKEWED),
            2 => (affinity::NAME, Code::UnschedulableAndUnresolvable, affinity::AFFINITY),
            3 => (affinity::NAME, Code::Unschedulable, affinity::ANTI_AFFINITY),
            _ => (affinity::NAME, Code::Unschedulable, affinity::EXISTING),
        };
        Rejection::text(plugin, code, text)
    }

    /// Adds both plugins' scores to the totals of the feasible ones. Where one node alone is feasible it is not scored.
    pub fn score(&self, weights: RelationWeights, scratch: &mut Scratch, feasible: &mut [Candidate]) {
        if weights.spread != 0 && !self.group.soft.is_empty() {
            self.score_spread(weights.spread, scratch, feasible);
        }
        if weights.affinity != 0 && !self.prefer.is_empty() {
            self.score_affinity(weights.affinity, scratch, feasible);
        }
    }

    fn is_ignored(&self, node: NodeId) -> bool {
        self.group.require_all && self.group.soft.iter().any(|s| self.domain(s.key, node) == NOWHERE)
    }

    fn score_spread(&self, weight: i64, scratch: &mut Scratch, feasible: &mut [Candidate]) {
        let soft = &self.group.soft;
        let ignored = |c: &&Candidate| !self.is_ignored(c.at.node);
        let scored: usize = feasible.iter().filter(ignored).map(|c| c.nodes as usize).sum();
        let weights: Vec<f64> = soft
            .iter()
            .map(|spread| {
                let key = &self.topology.keys[usize::from(spread.key)];
                if key.label == sym::HOSTNAME {
                    return log_of(scored);
                }
                scratch.seen.clear();
                scratch.seen.resize(key.domains + 1, false);
                for c in feasible.iter().filter(ignored) {
                    let domain = key.domain(c.at.node);
                    scratch.seen[if domain == NOWHERE { key.empty } else { domain } as usize] = true;
                }
                log_of(scratch.seen.iter().filter(|s| **s).count())
            })
            .collect();
        let (mut min, mut max) = (i64::MAX, 0);
        scratch.raw.clear();
        for candidate in feasible.iter() {
            let raw = self.raw_spread(candidate.at, &weights);
            scratch.raw.push(raw);
            if raw != IGNORED {
                (min, max) = (min.min(raw), max.max(raw));
            }
        }
        for (candidate, raw) in feasible.iter_mut().zip(&scratch.raw) {
            candidate.total += weight * normal_spread(*raw, min, max);
        }
    }

    fn raw_spread(&self, at: At, weights: &[f64]) -> i64 {
        if self.is_ignored(at.node) {
            return IGNORED;
        }
        let mut score = 0.0;
        for (spread, weight) in self.group.soft.iter().zip(weights) {
            if self.domain(spread.key, at.node) == NOWHERE {
                continue;
            }
            let count = self.number(&self.group.slots[spread.slot], at);
            score += count as f64 * weight + (spread.max_skew - 1) as f64;
        }
        score.round() as i64
    }

    fn score_affinity(&self, weight: i64, scratch: &mut Scratch, feasible: &mut [Candidate]) {
        let raw = |c: &Candidate| self.prefer.iter().map(|slot| self.number(slot, c.at)).sum::<i64>();
        scratch.raw.clear();
        scratch.raw.extend(feasible.iter().map(raw));
        let (min, max) =
            scratch.raw.iter().fold((i64::MAX, i64::MIN), |(lo, hi), s| (lo.min(*s), hi.max(*s)));
        for (candidate, raw) in feasible.iter_mut().zip(&scratch.raw) {
            candidate.total += weight * normal_affinity(*raw, min, max);
        }
    }

    /// Nodes that are unlike the others of their part: in a domain of a label with many values that has a number. `None` if nodes of
    /// one part differ in more than that, or if these are more than `most`.
    pub fn special(&self, most: usize, found: &mut Vec<NodeId>) -> Option<()> {
        let nodes = self.topology.keys[usize::from(NODE)].labelled();
        let fine = |key: u16| !self.topology.keys[usize::from(key)].is_coarse();
        let by_host = |key: u16| self.topology.keys[usize::from(key)].label == sym::HOSTNAME;
        for spread in self.group.hard.iter().chain(&self.group.soft) {
            let incomplete = self.topology.keys[usize::from(spread.key)].labelled() < nodes;
            if fine(spread.key) && incomplete {
                return None;
            }
        }
        // How many domains have a feasible node is not known of a label with many values.
        if self.group.soft.iter().any(|s| fine(s.key) && !by_host(s.key)) {
            return None;
        }
        let affinity = self
            .affinity
            .iter()
            .any(|s| fine(s.key) && self.topology.keys[usize::from(s.key)].labelled() < nodes);
        if affinity {
            return None;
        }
        found.clear();
        for slot in self.group.slots.iter().filter(|slot| fine(slot.key)) {
            let key = &self.topology.keys[usize::from(slot.key)];
            if slot.counts.used() > most {
                return None;
            }
            slot.counts.each(|domain| found.extend_from_slice(key.members(domain)));
            if found.len() > most {
                return None;
            }
        }
        Some(())
    }
}

/// A constraint's weight: the fewer domains the less one pod more in one of them says.
fn log_of(size: usize) -> f64 {
    libm::log((size + 2) as f64)
}

fn normal_spread(raw: i64, min: i64, max: i64) -> i64 {
    match (raw, max) {
        (IGNORED, _) => 0,
        (_, 0) => MAX_NODE_SCORE,
        (raw, max) => MAX_NODE_SCORE * (max + min - raw) / max,
    }
}

fn normal_affinity(raw: i64, min: i64, max: i64) -> i64 {
    let range = max - min;
    let share = if range > 0 { (raw - min) as f64 / range as f64 } else { 0.0 };
    (MAX_NODE_SCORE as f64 * share) as i64
}
