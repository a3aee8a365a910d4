//! Scores of all nodes for one kind of pod: two bytes each as long as all of them fit, so that those of a few thousand nodes for a few
//! dozen kinds stay in a cache of the second level. Weights in the hundreds make scores that need four.

use std::ops::Range;

/// The score of a node that is not there. Any negative number is that of one that cannot take the pod.
pub const ABSENT: i32 = i32::MIN;

/// Nodes whose feasible ones are counted at once.
const STRIDE: usize = 64;

/// Scores by the rank of their node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scores {
    /// While all fit; the least number stands for [`ABSENT`].
    Short(Vec<i16>),
    /// As they are.
    Long(Vec<i32>),
}

impl Default for Scores {
    fn default() -> Self {
        Scores::Short(Vec::new())
    }
}

/// A score in as many bytes as it needs.
trait Score: Copy + Ord {
    const ZERO: Self;
    /// `None` if there is no room.
    fn narrow(score: i32) -> Option<Self>;
    fn widen(self) -> i32;
}

impl Score for i16 {
    const ZERO: i16 = 0;
    #[inline]
    fn narrow(score: i32) -> Option<i16> {
        match score {
            ABSENT => Some(i16::MIN),
            _ => i16::try_from(score).ok().filter(|short| *short != i16::MIN),
        }
    }
    #[inline]
    fn widen(self) -> i32 {
        if self == i16::MIN { ABSENT } else { i32::from(self) }
    }
}

impl Score for i32 {
    const ZERO: i32 = 0;
    #[inline]
    fn narrow(score: i32) -> Option<i32> {
        Some(score)
    }
    #[inline]
    fn widen(self) -> i32 {
        self
    }
}

impl From<Vec<i32>> for Scores {
    fn from(long: Vec<i32>) -> Scores {
        match long.iter().map(|score| i16::narrow(*score)).collect() {
            Some(short) => Scores::Short(short),
            None => Scores::Long(long),
        }
    }
}

impl Scores {
    /// How many nodes have a score.
    pub fn len(&self) -> usize {
        match self {
            Scores::Short(scores) => scores.len(),
            Scores::Long(scores) => scores.len(),
        }
    }
    /// The score at a place, [`ABSENT`] beyond the last one.
    #[inline]
    pub fn get(&self, at: usize) -> i32 {
        match self {
            Scores::Short(scores) => scores.get(at).map_or(ABSENT, |score| score.widen()),
            Scores::Long(scores) => scores.get(at).copied().unwrap_or(ABSENT),
        }
    }
    /// Makes room for so many; new ones are [`ABSENT`].
    pub fn resize(&mut self, len: usize) {
        match self {
            Scores::Short(scores) => scores.resize(len, i16::MIN),
            Scores::Long(scores) => scores.resize(len, ABSENT),
        }
    }
    /// Sets the score at a place below [`Scores::len`] and returns the former one.
    #[inline]
    pub fn replace(&mut self, at: usize, new: i32) -> i32 {
        if let Scores::Short(scores) = self {
            match i16::narrow(new) {
                Some(short) => return std::mem::replace(&mut scores[at], short).widen(),
                None => *self = Scores::Long(scores.iter().map(|score| score.widen()).collect()),
            }
        }
        match self {
            Scores::Long(scores) => std::mem::replace(&mut scores[at], new),
            Scores::Short(_) => ABSENT,
        }
    }
    /// The scores at these places.
    pub fn iter(&self, at: Range<usize>) -> impl Iterator<Item = i32> {
        at.map(|at| self.get(at))
    }
    /// The best score at these places and how often it is there; `None` if no node there can take the pod.
    #[inline]
    pub fn best(&self, at: Range<usize>) -> Option<(i32, u32)> {
        match self {
            Scores::Short(scores) => best(&scores[at]),
            Scores::Long(scores) => best(&scores[at]),
        }
    }
    /// How often a score is at these places.
    pub fn count(&self, at: Range<usize>, score: i32) -> usize {
        match self {
            Scores::Short(scores) => count(&scores[at], score),
            Scores::Long(scores) => count(&scores[at], score),
        }
    }
    /// The `nth` of these places that has this score.
    pub fn nth(&self, at: Range<usize>, score: i32, nth: usize) -> Option<usize> {
        let start = at.start;
        let found = match self {
            Scores::Short(scores) => nth_of(&scores[at], score, nth),
            Scores::Long(scores) => nth_of(&scores[at], score, nth),
        };
        found.map(|place| start + place)
    }
    /// Of these places those before the one of a feasible node that comes after `enough` others, and how many others may follow.
    pub fn first_feasible(&self, at: Range<usize>, enough: usize) -> (Range<usize>, usize) {
        let start = at.start;
        let (len, left) = match self {
            Scores::Short(scores) => first_feasible(&scores[at], enough),
            Scores::Long(scores) => first_feasible(&scores[at], enough),
        };
        (start..start + len, left)
    }
}

#[inline]
fn best<T: Score>(scores: &[T]) -> Option<(i32, u32)> {
    let best = scores.iter().copied().max().filter(|best| *best >= T::ZERO)?;
    Some((best.widen(), scores.iter().map(|score| u32::from(*score == best)).sum()))
}

fn count<T: Score>(scores: &[T], wanted: i32) -> usize {
    let Some(wanted) = T::narrow(wanted) else { return 0 };
    scores.iter().map(|score| u32::from(*score == wanted)).sum::<u32>() as usize
}

fn nth_of<T: Score>(scores: &[T], wanted: i32, nth: usize) -> Option<usize> {
    let wanted = T::narrow(wanted)?;
    scores.iter().enumerate().filter(|(_, score)| **score == wanted).nth(nth).map(|(place, _)| place)
}

fn first_feasible<T: Score>(scores: &[T], enough: usize) -> (usize, usize) {
    let mut left = enough;
    for (at, some) in scores.chunks(STRIDE).enumerate() {
        let feasible = some.iter().map(|score| u32::from(*score >= T::ZERO)).sum::<u32>() as usize;
        if feasible > left {
            let last = some.iter().enumerate().filter(|(_, score)| **score >= T::ZERO).nth(left);
            return (at * STRIDE + last.map_or(some.len(), |(place, _)| place), 0);
        }
        left -= feasible;
    }
    (scores.len(), left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whether two bytes are enough cannot be told from the answers.
        #[test]
        fn short_ones_say_what_long_ones_say(
            scores in prop::collection::vec(prop_oneof![-3i32..4, Just(ABSENT)], 1..200), wanted in -3i32..4,
            cut in 0usize..200, enough in 0usize..100, big in prop_oneof![Just(32_768i32), Just(-32_768), Just(1_000_000)]
        ) {
            let cut = cut % scores.len();
            let short = Scores::from(scores.clone());
            prop_assert!(matches!(short, Scores::Short(_)));
            let long = Scores::Long(scores.clone());
            for at in [0..scores.len(), cut..scores.len(), 0..cut] {
                prop_assert_eq!(short.best(at.clone()), long.best(at.clone()));
                prop_assert_eq!(short.count(at.clone(), wanted), long.count(at.clone(), wanted));
                prop_assert_eq!(short.nth(at.clone(), wanted, 2), long.nth(at.clone(), wanted, 2));
                prop_assert_eq!(short.first_feasible(at.clone(), enough), long.first_feasible(at.clone(), enough));
                prop_assert_eq!(short.iter(at.clone()).collect::<Vec<_>>(), &scores[at]);
            }
            let mut grown = short;
            prop_assert_eq!(grown.replace(cut, big), scores[cut]);
            prop_assert!(matches!(grown, Scores::Long(_)));
            let mut changed = scores.clone();
            changed[cut] = big;
            prop_assert_eq!(grown.iter(0..scores.len()).collect::<Vec<_>>(), changed);
        }
    }

    #[test]
    fn what_is_not_there_is_absent() {
        let mut scores = Scores::default();
        scores.resize(2);
        assert_eq!(
            (scores.replace(1, 7), scores.get(0), scores.get(1), scores.get(2)),
            (ABSENT, ABSENT, 7, ABSENT)
        );
        assert_eq!((scores.len(), scores.best(0..1), scores.best(0..2)), (2, None, Some((7, 1))));
    }
}
