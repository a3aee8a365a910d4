//! Scores of all nodes for one kind of pod, ordered just enough to answer "uniformly among the best" at once.
//!
//! Nodes stand in blocks of 64. Each block knows its best score and how many nodes have it, so changing one node costs at most one
//! block. A block knows this for each part of the nodes, where parts are told apart (say zones). Where they are not and there are
//! many, blocks stand in groups of sixteen that know the same, and the best node of fifty thousand is found by looking at fifty numbers.

use super::scores::Scores;
use crate::model::ids::{Id, NodeId};
use std::ops::Range;
use std::sync::Arc;

/// Nodes per block.
pub const BLOCK: usize = 64;

/// Blocks per group, where no parts are told apart and there are many blocks.
const GROUP: usize = if cfg!(test) { 2 } else { 16 };

/// Blocks that need no groups: looking at each is less work than keeping book.
const FEW_BLOCKS: usize = if cfg!(test) { 1 } else { 64 };

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
        Parts { of: Vec::new(), some: vec![NodeId::at(0)], meaningful: false }
    }
    /// By the part of each node, in order of ranks; `some` has a node (by id) of each.
    pub fn new(of: Vec<u8>, some: Vec<NodeId>) -> Parts {
        Parts { of, some, meaningful: true }
    }
    /// The part of a node.
    #[inline]
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
    const NONE: Best = Best { score: -1, count: 0 };

    /// The best score; `None` if no node can take the pod.
    pub fn score(self) -> Option<i32> {
        (self.score >= 0).then_some(self.score)
    }
}

/// Scores of all nodes; see the module's text.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    scores: Scores,
    /// By block, and in it by part.
    blocks: Vec<Best>,
    /// By group; empty where there are none.
    groups: Vec<Best>,
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
        for (index, score) in scores.iter(0..scores.len()).enumerate() {
            self.set(NodeId::new(index), score);
        }
    }
    /// The parts told apart.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Sets the score of a node, negative if it cannot take the pod; returns the former one.
    #[inline]
    pub fn set(&mut self, node: NodeId, new: i32) -> i32 {
        let index = node.index();
        let parts = self.parts.some.len();
        if index >= self.scores.len() {
            self.scores.resize(index + 1);
            self.feasible.resize(parts, 0);
            let blocks = self.scores.len().div_ceil(BLOCK) * parts;
            if blocks != self.blocks.len() {
                self.blocks.resize(blocks, Best::NONE);
                self.make_groups();
            }
        }
        let old = self.scores.replace(index, new);
        if old == new || (old < 0 && new < 0) {
            return old;
        }
        let part = self.parts.of(index);
        self.feasible[part] -= u32::from(old >= 0);
        self.feasible[part] += u32::from(new >= 0);
        let place = index / BLOCK * parts + part;
        let before = self.blocks[place];
        let mut block = before;
        if new > block.score {
            block = Best { score: new, count: 1 };
        } else if new == block.score {
            block.count += 1;
        } else if old == block.score {
            block.count -= 1;
            if block.count == 0 {
                block = self.rescan(index / BLOCK, part);
            }
        }
        if block != before {
            self.blocks[place] = block;
            if !self.groups.is_empty() {
                self.regroup(place, before, block);
            }
        }
        old
    }
    fn make_groups(&mut self) {
        self.groups.clear();
        if self.parts.some.len() == 1 && self.blocks.len() > FEW_BLOCKS {
            self.groups.extend(self.blocks.chunks(GROUP).map(best_of));
        }
    }
    /// The best of a block is another now.
    fn regroup(&mut self, block: usize, before: Best, now: Best) {
        let place = block / GROUP;
        let group = &mut self.groups[place];
        if now.score > group.score {
            *group = now;
            return;
        }
        if before.score == group.score {
            group.count -= before.count;
        }
        if now.score == group.score {
            group.count += now.count;
        }
        if group.count == 0 {
            let start = place * GROUP;
            self.groups[place] = best_of(&self.blocks[start..self.blocks.len().min(start + GROUP)]);
        }
    }

    /// Sets the scores of all nodes.
    pub fn fill(&mut self, scores: Vec<i32>) {
        let parts = self.parts.some.len();
        self.feasible.clear();
        self.feasible.resize(parts, 0);
        for (index, _) in scores.iter().enumerate().filter(|(_, score)| **score >= 0) {
            self.feasible[self.parts.of(index)] += 1;
        }
        self.scores = Scores::from(scores);
        let blocks = 0..self.scores.len().div_ceil(BLOCK);
        self.blocks = blocks
            .flat_map(|block| (0..parts).map(move |part| (block, part)))
            .map(|(block, part)| self.rescan(block, part))
            .collect();
        self.make_groups();
    }
    /// Can no node take the pod?
    pub fn is_hopeless(&self) -> bool {
        self.feasible.iter().all(|count| *count == 0)
    }
    /// The scores of all nodes, in order; negative if a node cannot take the pod.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }
    /// The best score and how many nodes have it; `None` if no node can take the pod.
    pub fn best(&self) -> Option<(i32, usize)> {
        let all = best_of(if self.groups.is_empty() { &self.blocks } else { &self.groups });
        Some((all.score()?, all.count as usize))
    }

    /// The `nth` node, in order of ids, of those with the best score.
    pub fn nth_best(&self, score: i32, mut nth: usize) -> Option<NodeId> {
        let mut first = 0;
        for group in &self.groups {
            let count = if group.score == score { group.count as usize } else { 0 };
            if nth < count {
                break;
            }
            nth -= count;
            first += GROUP;
        }
        for (index, parts) in self.blocks.chunks(self.parts.some.len()).enumerate().skip(first) {
            let count: u32 = parts.iter().filter(|b| b.score == score).map(|b| b.count).sum();
            if nth >= count as usize {
                nth -= count as usize;
                continue;
            }
            return self.scores.nth(self.places(index), score, nth).map(NodeId::new);
        }
        None
    }

    /// Nodes that can take the pod with their scores, in order of ids.
    pub fn feasible(&self) -> impl Iterator<Item = (NodeId, i32)> {
        let scored = self.scores.iter(0..self.scores.len()).enumerate().filter(|(_, score)| *score >= 0);
        scored.map(|(index, score)| (NodeId::new(index), score))
    }
    /// How many nodes of a part can take the pod.
    pub fn feasible_in(&self, part: usize) -> u32 {
        self.feasible.get(part).copied().unwrap_or(0)
    }
    /// The score of a node that can take the pod.
    pub fn score(&self, node: NodeId) -> Option<i32> {
        Some(self.scores.get(node.index())).filter(|score| *score >= 0)
    }
    /// What each block knows, by part.
    pub fn blocks(&self) -> impl Iterator<Item = &[Best]> {
        self.blocks.chunks(self.parts.some.len())
    }
    /// The nodes of a block that can take the pod, with their scores.
    pub fn block(&self, block: usize) -> impl Iterator<Item = (NodeId, i32)> {
        let scored = self.places(block).map(|place| (NodeId::new(place), self.scores.get(place)));
        scored.filter(|(_, score)| *score >= 0)
    }

    fn places(&self, block: usize) -> Range<usize> {
        let start = (block * BLOCK).min(self.scores.len());
        start..self.scores.len().min(start + BLOCK)
    }

    fn rescan(&self, block: usize, part: usize) -> Best {
        if self.parts.some.len() == 1 {
            let best = self.scores.best(self.places(block));
            return best.map_or(Best::NONE, |(score, count)| Best { score, count });
        }
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

/// The best of all of them.
fn best_of(all: &[Best]) -> Best {
    let score = all.iter().map(|b| b.score).max().unwrap_or(Best::NONE.score);
    let count = all.iter().map(|b| if b.score == score { b.count } else { 0 }).sum();
    Best { score, count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::fast::scores::ABSENT;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is set in whatever order, the answers are those of a plain scan.
        #[test]
        fn agrees_with_a_scan(
            changes in prop::collection::vec((0u32..200, -3i32..4), 0..400), parts in 1u8..4, divided in 0usize..50
        ) {
            let mut ranking = Ranking::default();
            let mut plain = vec![ABSENT; 200];
            let some = (0..parts).map(|p| NodeId::at(p.into())).collect();
            let division = Arc::new(Parts::new((0..200).map(|i| i as u8 % parts).collect(), some));
            for (at, (node, score)) in changes.into_iter().enumerate() {
                if at == divided {
                    ranking.divide(&division);
                }
                ranking.set(NodeId::at(node), score);
                plain[node as usize] = score;
                let best = plain.iter().copied().max().filter(|best| *best >= 0);
                let top: Vec<u32> = (0..200).filter(|i| best.is_some_and(|best| plain[*i as usize] == best)).collect();
                prop_assert_eq!(ranking.best(), best.map(|b| (b, top.len())));
                for (nth, node) in top.iter().enumerate() {
                    prop_assert_eq!(ranking.nth_best(best.unwrap_or(0), nth), Some(NodeId::at(*node)));
                }
                prop_assert_eq!(ranking.nth_best(best.unwrap_or(0), top.len()), None);
                let feasible: u32 = (0..ranking.parts().some.len()).map(|part| ranking.feasible_in(part)).sum();
                prop_assert_eq!(feasible as usize, plain.iter().filter(|s| **s >= 0).count());
                prop_assert_eq!(ranking.is_hopeless(), best.is_none());
                let all: Vec<i32> = ranking.scores().iter(0..ranking.scores().len()).collect();
                prop_assert_eq!(&plain[..all.len()], &all);
                let mut filled = ranking.clone();
                filled.fill(all);
                prop_assert_eq!((&filled.blocks, &filled.feasible), (&ranking.blocks, &ranking.feasible));
                prop_assert_eq!(&filled.groups, &ranking.groups);
            }
        }
    }
}
