//! The choice of a node, once it is known what every node says by itself.

use super::Decision;
use super::class::{Bases, Class, Eyes, FastStats, Sample, says_the_usual, sum_up};
use super::parts::PartBuffers;
use super::relations::{Candidate, Overlay, RelationWeights, Scratch};
use crate::model::cluster::Cluster;
use crate::model::ids::NodeId;
use crate::scheduler::cycle::Unschedulable;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::dormant::Known;
use crate::scheduler::framework::*;
use crate::scheduler::node_order::NodeOrder;
use crate::scheduler::plugins::{inter_pod_affinity, pod_topology_spread, volume_binding};
use crate::scheduler::profile::Profile;
use std::sync::Arc;

/// What a choice rests on.
pub(super) struct Choice<'a> {
    pub eyes: Eyes<'a>,
    /// What relates the pod to others; `None`: nothing.
    pub overlay: Option<Overlay<'a>>,
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
            match class.rejection(*home) {
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
            let code = own.or_else(|| class.rejection(id)).map(|r| r.code)?;
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
            let codes = cluster.nodes().ids().filter_map(|id| class.rejection(id).map(|r| (id, r.code)));
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
        // VolumeBinding remembers in its state which volumes it found: ask the one node for real.
        match eyes.profile.filter(eyes.view, eyes.pod, state, eyes.view.node(node)) {
            Ok(()) => Decision::Node(node),
            Err(rejection) => {
                debug_assert!(false, "the fast path chose a node that {} rejects", rejection.plugin);
                Decision::Ask
            }
        }
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
