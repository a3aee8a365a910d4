//! Scores of all nodes for one kind of pod, ordered just enough to answer "uniformly among the best" at once.
//!
//! Nodes stand in blocks of 64. Each block knows its best score and how many nodes have it, so changing one node costs at most one
//! block, and the best node of fifty thousand is found by looking at under eight hundred numbers.

use crate::model::ids::{Id, NodeId};

/// Nodes per block.
const BLOCK: usize = 64;

/// The score of a node that cannot take the pod.
const INFEASIBLE: i32 = i32::MIN;

/// What a block knows about its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Best {
    score: i32,
    count: u32,
}

/// Scores of all nodes; see the module's text.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    scores: Vec<i32>,
    blocks: Vec<Best>,
}

impl Ranking {
    /// Sets the score of a node, `None` if it cannot take the pod.
    pub fn set(&mut self, node: NodeId, score: Option<i32>) {
        let index = node.index();
        if index >= self.scores.len() {
            self.scores.resize(index + 1, INFEASIBLE);
            self.blocks.resize(self.scores.len().div_ceil(BLOCK), Best { score: INFEASIBLE, count: 0 });
        }
        let new = score.unwrap_or(INFEASIBLE);
        let old = std::mem::replace(&mut self.scores[index], new);
        if old == new {
            return;
        }
        let block = &mut self.blocks[index / BLOCK];
        if old != INFEASIBLE && old == block.score {
            block.count -= 1;
        }
        if new > block.score {
            *block = Best { score: new, count: 1 };
        } else if new == block.score && new != INFEASIBLE {
            block.count += 1;
        }
        if block.count == 0 {
            self.blocks[index / BLOCK] = self.rescan(index / BLOCK);
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
        for (index, block) in self.blocks.iter().enumerate().filter(|(_, b)| b.score == score) {
            if nth >= block.count as usize {
                nth -= block.count as usize;
                continue;
            }
            let start = index * BLOCK;
            let nodes = &self.scores[start..self.scores.len().min(start + BLOCK)];
            return nodes
                .iter()
                .enumerate()
                .filter(|(_, s)| **s == score)
                .nth(nth)
                .map(|(offset, _)| NodeId::new(start + offset));
        }
        None
    }

    fn rescan(&self, block: usize) -> Best {
        let start = block * BLOCK;
        let nodes = &self.scores[start..self.scores.len().min(start + BLOCK)];
        let score = nodes.iter().copied().max().unwrap_or(INFEASIBLE);
        if score == INFEASIBLE {
            return Best { score, count: 0 };
        }
        Best { score, count: nodes.iter().filter(|s| **s == score).count() as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is set in whatever order, the answers are those of a plain scan.
        #[test]
        fn agrees_with_a_scan(changes in prop::collection::vec((0u32..200, prop::option::of(-3i32..4)), 0..400)) {
            let mut ranking = Ranking::default();
            let mut plain = vec![None; 200];
            for (node, score) in changes {
                ranking.set(NodeId(node), score);
                plain[node as usize] = score;
                let best = plain.iter().flatten().copied().max();
                let top: Vec<u32> = (0..200).filter(|i| best.is_some() && plain[*i as usize] == best).collect();
                prop_assert_eq!(ranking.best(), best.map(|b| (b, top.len())));
                for (nth, node) in top.iter().enumerate() {
                    prop_assert_eq!(ranking.nth_best(best.unwrap_or(0), nth), Some(NodeId(*node)));
                }
                prop_assert_eq!(ranking.nth_best(best.unwrap_or(0), top.len()), None);
            }
        }
    }
}
