//! Scores of all nodes for one kind of pod, ordered just enough to answer "uniformly among the best" at once.
//!
//! Nodes stand in blocks of 64. Each block knows its best score and how many nodes have it, so changing one node costs at most one
//! block, and the best node of fifty thousand is found by looking at under eight hundred numbers. A block knows this for each part of
//! the nodes, where parts are told apart (say zones).

use crate::model::ids::{Id, NodeId};
use std::sync::Arc;

/// Nodes per block.
pub const BLOCK: usize = 64;

/// The score of a node that cannot take the pod.
const INFEASIBLE: i32 = i32::MIN;

/// Parts of the nodes between which other pods make a difference.
#[derive(Debug)]
pub struct Parts {
    /// Part of each node; empty: all are in part 0.
    of: Vec<u8>,
    /// Some node of each part.
    pub some: Vec<NodeId>,
    /// Nodes of one part are alike.
    pub meaningful: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Parts::none()
    }
}

impl Parts {
    /// All nodes are in one part although they differ.
    pub fn none() -> Parts {
        Parts { of: Vec::new(), some: vec![NodeId(0)], meaningful: false }
    }
    /// By the part of each node, in order of ranks; `some` has a node (by id) of each.
    pub fn new(of: Vec<u8>, some: Vec<NodeId>) -> Parts {
        Parts { of, some, meaningful: true }
    }
    /// The part of a node.
    pub fn of(&self, index: usize) -> usize {
        self.of.get(index).map_or(0, |part| usize::from(*part))
    }
}

/// What a block knows about its nodes of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    score: i32,
    pub count: u32,
}

impl Best {
    const NONE: Best = Best { score: INFEASIBLE, count: 0 };

    /// The best score; `None` if no node can take the pod.
    pub fn score(self) -> Option<i32> {
        (self.score != INFEASIBLE).then_some(self.score)
    }
}

/// Scores of all nodes; see the module's text.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    scores: Vec<i32>,
    /// By block, and in it by part.
    blocks: Vec<Best>,
    /// Nodes that can take the pod, by part.
    feasible: Vec<u32>,
    parts: Arc<Parts>,
}

impl Ranking {
    /// Tells these parts of the nodes apart from now on.
    pub fn divide(&mut self, parts: &Arc<Parts>) {
        if Arc::ptr_eq(&self.parts, parts) {
            return;
        }
        let scores = std::mem::take(&mut self.scores);
        *self = Ranking { parts: Arc::clone(parts), ..Ranking::default() };
        for (index, score) in scores.into_iter().enumerate() {
            self.set(NodeId::new(index), (score != INFEASIBLE).then_some(score));
        }
    }
    /// The parts told apart.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Sets the score of a node, `None` if it cannot take the pod.
    pub fn set(&mut self, node: NodeId, score: Option<i32>) {
        let index = node.index();
        let parts = self.parts.some.len();
        if index >= self.scores.len() {
            self.scores.resize(index + 1, INFEASIBLE);
            self.blocks.resize(self.scores.len().div_ceil(BLOCK) * parts, Best::NONE);
            self.feasible.resize(parts, 0);
        }
        let new = score.unwrap_or(INFEASIBLE);
        let old = std::mem::replace(&mut self.scores[index], new);
        if old == new {
            return;
        }
        let part = self.parts.of(index);
        self.feasible[part] -= u32::from(old != INFEASIBLE);
        self.feasible[part] += u32::from(new != INFEASIBLE);
        let block = &mut self.blocks[index / BLOCK * parts + part];
        if old != INFEASIBLE && old == block.score {
            block.count -= 1;
        }
        if new > block.score {
            *block = Best { score: new, count: 1 };
        } else if new == block.score && new != INFEASIBLE {
            block.count += 1;
        }
        if block.count == 0 {
            self.blocks[index / BLOCK * parts + part] = self.rescan(index / BLOCK, part);
        }
    }

    /// The best score and how many nodes have it; `None` if no node can take the pod.
    pub fn best(&self) -> Option<(i32, usize)> {
        let score = self.blocks.iter().map(|b| b.score).max().filter(|s| *s != INFEASIBLE)?;
        let count = self.blocks.iter().map(|b| if b.score == score { b.count as usize } else { 0 }).sum();
        Some((score, count))
    }

    /// The `nth` node, in order of ids, of those with the best score.
    pub fn nth_best(&self, score: i32, mut nth: usize) -> Option<NodeId> {
        for (index, parts) in self.blocks.chunks(self.parts.some.len()).enumerate() {
            let count: u32 = parts.iter().filter(|b| b.score == score).map(|b| b.count).sum();
            if nth >= count as usize {
                nth -= count as usize;
                continue;
            }
            let found = self.block(index).filter(|(_, s)| *s == score).nth(nth);
            return found.map(|(node, _)| node);
        }
        None
    }

    /// Nodes that can take the pod with their scores, in order of ids.
    pub fn feasible(&self) -> impl Iterator<Item = (NodeId, i32)> {
        let scored = self.scores.iter().enumerate().filter(|(_, score)| **score != INFEASIBLE);
        scored.map(|(index, score)| (NodeId::new(index), *score))
    }
    /// How many nodes of a part can take the pod.
    pub fn feasible_in(&self, part: usize) -> u32 {
        self.feasible.get(part).copied().unwrap_or(0)
    }
    /// The score of a node that can take the pod.
    pub fn score(&self, node: NodeId) -> Option<i32> {
        self.scores.get(node.index()).copied().filter(|score| *score != INFEASIBLE)
    }
    /// What each block knows, by part.
    pub fn blocks(&self) -> impl Iterator<Item = &[Best]> {
        self.blocks.chunks(self.parts.some.len())
    }
    /// The nodes of a block that can take the pod, with their scores.
    pub fn block(&self, block: usize) -> impl Iterator<Item = (NodeId, i32)> {
        let start = (block * BLOCK).min(self.scores.len());
        let scores = &self.scores[start..self.scores.len().min(start + BLOCK)];
        let scored = scores.iter().enumerate().filter(|(_, score)| **score != INFEASIBLE);
        scored.map(move |(offset, score)| (NodeId::new(start + offset), *score))
    }

    fn rescan(&self, block: usize, part: usize) -> Best {
        let mut best = Best::NONE;
        for (_, score) in self.block(block).filter(|(node, _)| self.parts.of(node.index()) == part) {
            match score.cmp(&best.score) {
                std::cmp::Ordering::Greater => best = Best { score, count: 1 },
                std::cmp::Ordering::Equal => best.count += 1,
                std::cmp::Ordering::Less => {}
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is set in whatever order, the answers are those of a plain scan.
        #[test]
        fn agrees_with_a_scan(
            changes in prop::collection::vec((0u32..200, prop::option::of(-3i32..4)), 0..400), parts in 1u8..4, divided in 0usize..50
        ) {
            let mut ranking = Ranking::default();
            let mut plain = vec![None; 200];
            let some = (0..parts).map(|p| NodeId(p.into())).collect();
            let division = Arc::new(Parts::new((0..200).map(|i| i as u8 % parts).collect(), some));
            for (at, (node, score)) in changes.into_iter().enumerate() {
                if at == divided {
                    ranking.divide(&division);
                }
                ranking.set(NodeId(node), score);
                plain[node as usize] = score;
                let best = plain.iter().flatten().copied().max();
                let top: Vec<u32> = (0..200).filter(|i| best.is_some() && plain[*i as usize] == best).collect();
                prop_assert_eq!(ranking.best(), best.map(|b| (b, top.len())));
                for (nth, node) in top.iter().enumerate() {
                    prop_assert_eq!(ranking.nth_best(best.unwrap_or(0), nth), Some(NodeId(*node)));
                }
                prop_assert_eq!(ranking.nth_best(best.unwrap_or(0), top.len()), None);
                let feasible: u32 = (0..ranking.parts().some.len()).map(|part| ranking.feasible_in(part)).sum();
                prop_assert_eq!(feasible as usize, plain.iter().flatten().count());
            }
        }
    }
}
