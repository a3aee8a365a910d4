//! The choice among nodes that are alike but for a few: at a cost of parts and blocks, not of nodes.
//!
//! Other pods speak about domains. Nodes of one part are in the same domains of all labels with few values (zones), and most are
//! nobody's host: what is said about one of them is said about all. The few others are looked at one by one.

use super::Decision;
use super::choice::{Buffers, Choice, weights};
use super::class::Class;
use super::ranking::{BLOCK, Ranking};
use super::relations::{At, Candidate, Overlay};
use crate::model::ids::{Id, NodeId};
use crate::scheduler::cycle_state::CycleState;

/// Nodes below which looking at each is as good.
const FEW_NODES: usize = if cfg!(test) { 4 } else { 2 * BLOCK };

/// One in so many nodes may be unlike the others of its part. Small numbers make small clusters of tests come here.
const SPECIAL_SHARE: usize = if cfg!(test) { 2 } else { 16 };

/// Memory used again for every choice.
#[derive(Debug, Default)]
pub(super) struct PartBuffers {
    /// Nodes that are unlike the others of their part, by rank.
    special: Vec<NodeId>,
    /// The feasible ones: first the parts, as far as they are feasible, then special nodes.
    feasible: Vec<Candidate>,
    /// Ranks of the special ones in `feasible`.
    ranks: Vec<NodeId>,
    /// What relations add to the score of each part; `None`: rejected, or no node is left.
    added: Vec<Option<i64>>,
    /// Best total of each block and how many nodes have it.
    blocks: Vec<(i64, u32)>,
}

impl Choice<'_> {
    /// The choice by parts; `None` if nodes have to be looked at one by one.
    pub(super) fn by_parts(
        &self,
        overlay: &Overlay<'_>,
        class: &Class,
        state: &mut CycleState,
        buffers: &mut Buffers,
    ) -> Option<Decision> {
        let nodes = self.eyes.view.cluster.node_count();
        let ranking = class.ranking();
        if !ranking.parts().meaningful || nodes < FEW_NODES {
            return None;
        }
        let b = &mut buffers.parts;
        overlay.special(nodes / SPECIAL_SHARE, &mut b.special)?;
        for node in &mut b.special {
            *node = self.eyes.table.rank(*node);
        }
        b.special.sort_unstable();
        b.special.dedup();
        let related = self.sort_out(overlay, ranking, b);
        if b.feasible.is_empty() {
            return Some(self.nobody_near(class.rejections(), related));
        }
        if b.feasible.iter().map(|c| c.nodes).sum::<u32>() > 1 {
            overlay.score(weights(self.eyes.profile), &mut buffers.scores, &mut b.feasible);
        }
        let mut parts = b.feasible.iter();
        for added in b.added.iter_mut().filter(|added| added.is_some()) {
            *added = parts.next().map(|c| c.total);
        }
        let special: Vec<(NodeId, i64)> = b.ranks.iter().copied().zip(parts.map(|c| c.total)).collect();
        let (best, count) = best_total(ranking, b, &special)?;
        let nth = self.eyes.view.choose("node", self.eyes.pod, 0, count);
        let rank = nth_of(ranking, b, &special, best, nth)?;
        Some(self.take(state, self.eyes.table.at_rank(rank)))
    }

    /// Who is feasible: parts and special nodes. Returns how many nodes relations reject, by reason.
    fn sort_out(
        &self,
        overlay: &Overlay<'_>,
        ranking: &Ranking,
        b: &mut PartBuffers,
    ) -> [u32; Overlay::REASONS] {
        let mut related = [0; Overlay::REASONS];
        let parts = ranking.parts();
        let mut rest: Vec<u32> = (0..parts.some.len()).map(|part| ranking.feasible_in(part)).collect();
        b.feasible.clear();
        b.ranks.clear();
        b.added.clear();
        let feasible = b.special.iter().filter_map(|rank| Some((*rank, ranking.score(*rank)?)));
        let feasible: Vec<(NodeId, i32)> = feasible.collect();
        for (rank, _) in &feasible {
            rest[parts.of(rank.index())] -= 1;
        }
        for (some, left) in parts.some.iter().zip(&rest) {
            let at = At { node: *some, rest: true };
            let rejected = if *left > 0 { overlay.rejects_at(at) } else { None };
            if let Some(reason) = rejected {
                related[reason] += left;
            }
            let takes = *left > 0 && rejected.is_none();
            b.added.push(takes.then_some(0));
            if takes {
                b.feasible.push(Candidate { at, nodes: *left, total: 0 });
            }
        }
        for (rank, total) in feasible {
            let node = self.eyes.table.at_rank(rank);
            match overlay.rejects(node) {
                Some(reason) => related[reason] += 1,
                None => {
                    b.feasible.push(Candidate::node(node, i64::from(total)));
                    b.ranks.push(rank);
                }
            }
        }
        related
    }
}

/// The best total and how many nodes have it. Fills in the best of each block.
fn best_total(ranking: &Ranking, b: &mut PartBuffers, special: &[(NodeId, i64)]) -> Option<(i64, usize)> {
    b.blocks.clear();
    let mut unlike = b.special.iter().map(|rank| rank.index() / BLOCK).peekable();
    for (index, block) in ranking.blocks().enumerate() {
        let mut best = (i64::MIN, 0);
        let mut note = |total: i64, count: u32| match total.cmp(&best.0) {
            std::cmp::Ordering::Greater => best = (total, count),
            std::cmp::Ordering::Equal => best.1 += count,
            std::cmp::Ordering::Less => {}
        };
        if unlike.peek() == Some(&index) {
            while unlike.next_if_eq(&index).is_some() {}
            totals(ranking, &b.special, &b.added, special, index).for_each(|(_, total)| note(total, 1));
        } else {
            for (known, added) in block.iter().zip(&b.added) {
                if let Some((score, added)) = known.score().zip(*added) {
                    note(i64::from(score) + added, known.count);
                }
            }
        }
        b.blocks.push(best);
    }
    let best = b.blocks.iter().map(|(total, _)| *total).max().filter(|best| *best != i64::MIN)?;
    let count = b.blocks.iter().filter(|(total, _)| *total == best).map(|(_, count)| *count as usize).sum();
    Some((best, count))
}

/// The totals of the feasible nodes of a block, in order of ranks.
fn totals(
    ranking: &Ranking,
    unlike: &[NodeId],
    added: &[Option<i64>],
    special: &[(NodeId, i64)],
    block: usize,
) -> impl Iterator<Item = (NodeId, i64)> {
    ranking.block(block).filter_map(move |(rank, score)| {
        if unlike.binary_search(&rank).is_ok() {
            let found = special.binary_search_by_key(&rank, |(rank, _)| *rank).ok()?;
            return Some((rank, special[found].1));
        }
        Some((rank, i64::from(score) + added[ranking.parts().of(rank.index())]?))
    })
}

/// The `nth` of the nodes with this total, in order of ranks.
fn nth_of(
    ranking: &Ranking,
    b: &PartBuffers,
    special: &[(NodeId, i64)],
    best: i64,
    mut nth: usize,
) -> Option<NodeId> {
    for (index, (_, count)) in b.blocks.iter().enumerate().filter(|(_, (total, _))| *total == best) {
        if nth >= *count as usize {
            nth -= *count as usize;
            continue;
        }
        let of_block = totals(ranking, &b.special, &b.added, special, index);
        return of_block.filter(|(_, total)| *total == best).nth(nth).map(|(rank, _)| rank);
    }
    None
}
