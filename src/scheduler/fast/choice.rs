//! The choice of a node, once it is known what every node says by itself.

use super::Decision;
use super::class::{Bases, Class, Eyes, FastStats, Sample, says_the_usual, sum_up};
use super::parts::PartBuffers;
use super::relations::{Candidate, Overlay, RelationWeights, Scratch};
use super::scores::Scores;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, Id, NodeId};
use crate::scheduler::cycle::Unschedulable;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::dormant::Known;
use crate::scheduler::framework::*;
use crate::scheduler::node_order::NodeOrder;
use crate::scheduler::plugins::{inter_pod_affinity, pod_topology_spread, volume_binding};
use crate::scheduler::profile::Profile;
use std::ops::Range;
use std::sync::Arc;

/// What a choice rests on.
pub(super) struct Choice<'a> {
    pub eyes: Eyes<'a>,
    /// What relates the pod to others; `None`: nothing.
    pub overlay: Option<Overlay<'a>>,
    /// The pod's claims, if arithmetic has said all there is to say about it: then no plugin has to be asked about the node chosen, only
    /// for its volumes.
    pub claims: Option<&'a [ClaimId]>,
}

/// Memory used again for every choice.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    sample: Sample,
    pub(super) scores: Scratch,
    /// Places of the best nodes in the order of names.
    top: Vec<NodeId>,
    pub(super) parts: PartBuffers,
}

/// Weights of the plugins that look at other pods.
pub(super) fn weights(profile: &Profile) -> RelationWeights {
    let of = |name| profile.score_plugins().filter(|(n, _)| *n == name).map(|(_, weight)| weight).sum();
    RelationWeights { spread: of(pod_topology_spread::NAME), affinity: of(inter_pod_affinity::NAME) }
}

impl Choice<'_> {
    fn cluster(&self) -> &Cluster {
        self.eyes.view.cluster
    }
    /// Some filter looks at other pods: what PostFilter would need of it is not prepared.
    fn is_filtered(&self) -> bool {
        self.overlay.as_ref().is_some_and(|o| !o.filters_nothing())
    }

    /// The choice for a pod whose volumes are bound: the node where they are, or none.
    pub fn stay(
        &self,
        class: &Class,
        state: &mut CycleState,
        homes: &[NodeId],
        rejected: &mut Vec<(NodeId, Code)>,
    ) -> Decision {
        let (eyes, cluster) = (&self.eyes, self.cluster());
        let mut verdicts: Vec<(NodeId, Rejection)> = Vec::new();
        let mut feasible = None;
        for &home in homes {
            match eyes.profile.filter(eyes.view, eyes.pod, state, eyes.view.node(home)) {
                Ok(()) => match self.overlay.as_ref().and_then(|o| o.rejects(home)) {
                    Some(reason) => verdicts.push((home, Overlay::rejection(reason))),
                    None if feasible.is_some() => return Decision::Ask, // two homes: they are to be scored
                    None => feasible = Some(home),
                },
                Err(rejection) => verdicts.push((home, rejection)),
            }
        }
        if let Some(node) = feasible {
            return Decision::Node(node);
        }
        let elsewhere = Rejection::text(
            volume_binding::NAME,
            Code::UnschedulableAndUnresolvable,
            volume_binding::NODE_CONFLICT,
        );
        let mut counts: Vec<(&Rejection, u32)> = class.rejections().collect();
        let met: u32 = counts.iter().map(|(_, count)| count).sum();
        let mut passing = cluster.node_count() as u32 - met;
        for (home, verdict) in &verdicts {
            match class.rejection(eyes.table, *home) {
                Some(general) => {
                    if let Some((_, count)) = counts.iter_mut().find(|(r, _)| *r == general) {
                        *count -= 1;
                    }
                }
                None => passing -= 1,
            }
            counts.push((verdict, 1));
        }
        counts.push((&elsewhere, passing));
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        if self.is_filtered() {
            return self.nobody_to_preempt(counts);
        }
        rejected.clear();
        // PostFilter asks only for nodes where preemption might help: codes of the others are the default.
        let curable = cluster.nodes().ids().filter_map(|id| {
            let own = verdicts.iter().find(|(home, _)| *home == id).map(|(_, r)| r);
            let code = own.or_else(|| class.rejection(eyes.table, id)).map(|r| r.code)?;
            (code != Code::UnschedulableAndUnresolvable).then_some((id, code))
        });
        rejected.extend(curable);
        none_feasible(cluster, counts)
    }

    /// The choice among all nodes, whose verdicts the class knows.
    pub fn choose(
        &self,
        class: &Class,
        state: &mut CycleState,
        buffers: &mut Buffers,
        rejected: &mut Vec<(NodeId, Code)>,
    ) -> Decision {
        let cluster = self.cluster();
        let Some((score, count)) = class.ranking().best() else {
            if self.is_filtered() {
                return self.nobody_to_preempt(class.rejections());
            }
            rejected.clear();
            let rejection = |id| class.rejection(self.eyes.table, id).map(|r| (id, r.code));
            let codes = cluster.nodes().ids().filter_map(rejection);
            rejected.extend(codes);
            return none_feasible(cluster, class.rejections());
        };
        let Some(overlay) = &self.overlay else {
            let nth = self.eyes.view.choose("node", self.eyes.pod, 0, count);
            let Some(rank) = class.ranking().nth_best(score, nth) else { return Decision::Ask };
            return self.take(state, self.eyes.table.at_rank(rank));
        };
        if let Some(decision) = self.by_parts(overlay, class, state, buffers) {
            return decision;
        }
        let sample = &mut buffers.sample;
        sample.clear();
        for (rank, total) in class.ranking().feasible() {
            let node = self.eyes.table.at_rank(rank);
            match overlay.rejects(node) {
                Some(reason) => sample.related[reason] += 1,
                None => sample.feasible.push(Candidate::node(node, i64::from(total))),
            }
        }
        if sample.feasible.is_empty() {
            return self.nobody_near(class.rejections(), sample.related);
        }
        self.pick(state, buffers)
    }

    /// The choice where not all nodes are looked at, or where verdicts are not kept.
    pub fn sample(
        &self,
        class: &mut Class,
        state: &mut CycleState,
        order: &mut NodeOrder,
        enough: usize,
        bases: &mut Bases,
        stats: &mut FastStats,
        buffers: &mut Buffers,
        rejected: &mut Vec<(NodeId, Code)>,
    ) -> Decision {
        let (eyes, cluster) = (&self.eyes, self.cluster());
        let start = order.start;
        let nodes = order.list();
        let start = start % nodes.len().max(1); // nodes may have gone since
        let turn = nodes[start..].iter().chain(&nodes[..start]).copied();
        let found = &mut buffers.sample;
        if !class.sample(eyes, self.overlay.as_ref(), state, bases, turn, enough, stats, found) {
            return Decision::Ask;
        }
        let looked_at = found.looked_at;
        let decision = if found.feasible.is_empty() {
            self.none_sampled(class, found, rejected)
        } else {
            self.pick(state, buffers)
        };
        if !matches!(decision, Decision::Ask) {
            order.advance(looked_at, cluster.node_count());
        }
        decision
    }

    /// The same where verdicts are kept and nothing relates the pod to others; `None` if no node is feasible. `ranked`: the nodes are
    /// looked at in the order of their ranks.
    pub fn choose_among(
        &self,
        class: &Class,
        state: &mut CycleState,
        order: &mut NodeOrder,
        ranked: bool,
        enough: usize,
        buffers: &mut Buffers,
    ) -> Option<Decision> {
        let scores = class.ranking().scores();
        let nodes = order.list();
        let start = order.start % nodes.len().max(1); // nodes may have gone since
        let (rank, looked_at) = if ranked {
            let window = Window::of(scores, start, enough);
            let (best, count) = window.best()?;
            let rank = window.nth(best, self.eyes.view.choose("node", self.eyes.pod, 0, count))?;
            (rank, window.len())
        } else {
            let turn = nodes[start..].iter().chain(&nodes[..start]);
            let scored = turn.map(|node| {
                let rank = self.eyes.table.rank(*node);
                (rank, scores.get(rank.index()))
            });
            let top = &mut buffers.top;
            let looked_at = best_of(scored, enough, top)?;
            let nth = self.eyes.view.choose("node", self.eyes.pod, 0, top.len());
            (*top.select_nth_unstable(nth).1, looked_at)
        };
        let decision = self.take(state, self.eyes.table.at_rank(rank));
        if !matches!(decision, Decision::Ask) {
            order.advance(looked_at, self.cluster().node_count());
        }
        Some(decision)
    }

    fn none_sampled(
        &self,
        class: &mut Class,
        found: &Sample,
        rejected: &mut Vec<(NodeId, Code)>,
    ) -> Decision {
        let (eyes, cluster) = (&self.eyes, self.cluster());
        let kinds = found.rejected.iter().map(|(_, kind)| (class.kind_of(*kind), 1));
        if found.related.iter().any(|count| *count > 0) {
            return self.nobody_near(kinds, found.related);
        }
        if says_the_usual(cluster, eyes.profile, cluster.pod(eyes.pod).spec) {
            let decision = self.nobody_to_preempt(kinds);
            if let Decision::Known(known) = &decision {
                class.remember(eyes.table.end(), Arc::clone(known));
            }
            return decision;
        }
        if self.is_filtered() {
            return Decision::Ask;
        }
        let decision = none_feasible(cluster, kinds);
        rejected.clear();
        rejected.extend(found.rejected.iter().map(|(id, kind)| (*id, class.kind_of(*kind).code)));
        decision
    }

    /// One of the best of the feasible nodes found.
    fn pick(&self, state: &mut CycleState, buffers: &mut Buffers) -> Decision {
        let feasible = &mut buffers.sample.feasible;
        if let Some(overlay) = self.overlay.as_ref().filter(|_| feasible.len() > 1) {
            overlay.score(weights(self.eyes.profile), &mut buffers.scores, feasible);
        }
        let best = feasible.iter().map(|c| c.total).max().unwrap_or(0);
        let top = &mut buffers.top;
        top.clear();
        top.extend(feasible.iter().filter(|c| c.total == best).map(|c| self.eyes.table.rank(c.at.node)));
        let nth = self.eyes.view.choose("node", self.eyes.pod, 0, top.len());
        let (_, rank, _) = top.select_nth_unstable(nth);
        let node = self.eyes.table.at_rank(*rank);
        self.take(state, node)
    }

    pub(super) fn take(&self, state: &mut CycleState, node: NodeId) -> Decision {
        let eyes = &self.eyes;
        if let Some(claims) = self.claims {
            debug_assert!(self.is_taken(state, node), "arithmetic chose a node that plugins reject");
            let found = volume_binding::find_on(eyes.view, claims, state, node);
            debug_assert!(found, "arithmetic chose a node without volumes");
            return if found { Decision::Node(node) } else { Decision::Ask };
        }
        // VolumeBinding remembers in its state which volumes it found: ask the one node for real.
        match eyes.profile.filter(eyes.view, eyes.pod, state, eyes.view.node(node)) {
            Ok(()) => Decision::Node(node),
            Err(rejection) => {
                debug_assert!(false, "the fast path chose a node that {} rejects", rejection.plugin);
                Decision::Ask
            }
        }
    }

    /// Do the plugins say the same?
    fn is_taken(&self, state: &mut CycleState, node: NodeId) -> bool {
        let eyes = &self.eyes;
        prepare(eyes, state);
        eyes.profile.filter(eyes.view, eyes.pod, state, eyes.view.node(node)).is_ok()
    }

    /// Other pods keep the pod from every node that would take it.
    pub(super) fn nobody_near<'k>(
        &self,
        kinds: impl Iterator<Item = (&'k Rejection, u32)>,
        related: [u32; Overlay::REASONS],
    ) -> Decision {
        let own = [0, 1, 2, 3, 4].map(Overlay::rejection);
        let counted = own.iter().zip(related).filter(|(_, count)| *count > 0);
        self.nobody_to_preempt(
            kinds.map(|(kind, count)| -> (&Rejection, u32) { (kind, count) }).chain(counted),
        )
    }

    /// No node is feasible, and nobody runs who could be preempted; left to the plain scan if somebody does.
    fn nobody_to_preempt<'k>(&self, counts: impl Iterator<Item = (&'k Rejection, u32)>) -> Decision {
        let (profile, cluster) = (self.eyes.profile, self.cluster());
        if !says_the_usual(cluster, profile, cluster.pod(self.eyes.pod).spec) {
            return Decision::Ask;
        }
        let nodes = cluster.node_count() as u32;
        let (error, rejectors, curable) = sum_up(nodes, counts);
        let spec = cluster.spec_of(self.eyes.pod);
        let Some(post_filter) = profile.post_filter_says(spec, nodes, curable) else { return Decision::Ask };
        let result = Unschedulable { error, post_filter, nomination: None };
        Decision::Known(Arc::new(Known { result, rejectors }))
    }
}

/// The best of the first `enough` feasible nodes go to `top`. Returns how many nodes were looked at; `None` if none is feasible.
fn best_of(
    scored: impl Iterator<Item = (NodeId, i32)>,
    enough: usize,
    top: &mut Vec<NodeId>,
) -> Option<usize> {
    top.clear();
    let (mut best, mut feasible, mut looked_at) = (0, 0, 0);
    for (rank, score) in scored {
        if score >= 0 {
            if feasible >= enough {
                break;
            }
            feasible += 1;
            if score > best {
                best = score;
                top.clear();
            }
            if score == best {
                top.push(rank);
            }
        }
        looked_at += 1;
    }
    (feasible > 0).then_some(looked_at)
}

/// The nodes that are looked at from one of them on until one more than enough is feasible, which does not count: their scores by rank.
struct Window<'s> {
    scores: &'s Scores,
    /// The later ranks, which are looked at first.
    late: Range<usize>,
    /// The ranks from 0 on, which come when those are done.
    early: Range<usize>,
}

impl<'s> Window<'s> {
    fn of(scores: &'s Scores, start: usize, enough: usize) -> Window<'s> {
        let start = start.min(scores.len());
        let (late, left) = scores.first_feasible(start..scores.len(), enough);
        let early = if late.end < scores.len() { 0..0 } else { scores.first_feasible(0..start, left).0 };
        Window { scores, late, early }
    }
    fn len(&self) -> usize {
        self.late.len() + self.early.len()
    }
    /// The best score and how many nodes have it; `None` if none is feasible.
    fn best(&self) -> Option<(i32, usize)> {
        let bests = [self.early.clone(), self.late.clone()].map(|part| self.scores.best(part));
        let score = bests.iter().flatten().map(|(score, _)| *score).max()?;
        let count =
            bests.iter().flatten().filter(|(s, _)| *s == score).map(|(_, count)| *count as usize).sum();
        Some((score, count))
    }
    /// The `nth` node by rank of those with this score.
    fn nth(&self, score: i32, nth: usize) -> Option<NodeId> {
        let early = self.scores.count(self.early.clone(), score);
        let rank = match nth.checked_sub(early) {
            None => self.scores.nth(self.early.clone(), score, nth),
            Some(nth) => self.scores.nth(self.late.clone(), score, nth),
        };
        rank.map(NodeId::new)
    }
}

fn none_feasible<'a>(cluster: &Cluster, rejections: impl Iterator<Item = (&'a Rejection, u32)>) -> Decision {
    let (error, rejectors, _) = sum_up(cluster.node_count() as u32, rejections);
    Decision::None(error, rejectors)
}

/// Runs PreFilter and PreScore of the plugins that classes stand for: the plugins' state is the pod's own from here on.
pub(super) fn prepare(eyes: &Eyes<'_>, state: &mut CycleState) {
    let skipped = eyes.skipped();
    eyes.profile.pre_filter_except(eyes.view, eyes.pod, state, skipped);
    for entry in eyes.profile.score.iter().filter(|entry| !skipped.contains(&entry.plugin.name())) {
        entry.plugin.pre_score(eyes.view, eyes.pod, state, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The nodes in the order of their ranks, from any of them on, as one by one in any order.
        #[test]
        fn a_window_is_what_one_by_one_finds(
            scores in prop::collection::vec(-2i32..3, 1..300), start in 0usize..300, enough in 1usize..200, nth in 0usize..300
        ) {
            let start = start % scores.len();
            let turn = (start..scores.len()).chain(0..start).map(|i| (NodeId::new(i), scores[i]));
            let mut top = Vec::new();
            let looked_at = best_of(turn, enough, &mut top);
            top.sort_unstable();
            let scores = Scores::from(scores);
            let window = Window::of(&scores, start, enough);
            prop_assert_eq!(window.best().map(|_| window.len()), looked_at);
            if let Some((best, count)) = window.best() {
                prop_assert_eq!(count, top.len());
                prop_assert_eq!(window.nth(best, nth), top.get(nth).copied());
            }
        }
    }
}
