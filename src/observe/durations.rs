//! An exact multiset of time spans, small enough for ten million pods.
//!
//! Most spans repeat (under ideal timing nearly all are zero), so equal ones are kept once with a count; what came lately waits
//! in a tail that is merged when it has grown as long as the rest. Memory is at most 16 bytes per distinct span and 8 per
//! waiting one, and percentiles are those of the very spans, not of buckets.

use crate::engine::time::SimDuration;

/// Spans that wait at least, before they are merged.
const TAIL: usize = 1 << 14;

/// A multiset of [`SimDuration`]s.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    runs: Vec<(SimDuration, u64)>,
    tail: Vec<SimDuration>,
    zeros: u64,
}

impl Durations {
    /// Adds one span.
    pub fn push(&mut self, span: SimDuration) {
        if span.is_zero() {
            self.zeros += 1;
            return;
        }
        self.tail.push(span);
        if self.tail.len() >= TAIL.max(self.runs.len()) {
            self.merge();
        }
    }
    /// Adds all of `other`.
    pub fn append(&mut self, mut other: Durations) {
        self.zeros += other.zeros;
        other.merge();
        for (span, count) in other.runs {
            // A run of equal spans that is already known grows; the few others take the usual way.
            match self.runs.binary_search_by_key(&span, |(s, _)| *s) {
                Ok(i) => self.runs[i].1 += count,
                Err(_) => (0..count).for_each(|_| self.push(span)),
            }
        }
    }
    /// How many spans.
    pub fn len(&self) -> u64 {
        self.zeros + self.tail.len() as u64 + self.runs.iter().map(|(_, n)| n).sum::<u64>()
    }
    /// No span.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Nearest rank: the smallest span that at least `percent` of 100 of all spans do not exceed. `None` if there is none.
    pub fn percentile(&mut self, percent: u64) -> Option<SimDuration> {
        self.percentile_among(percent, 0)
    }
    /// The same, as if there were so many more spans that are infinite. `None` also if it is one of those.
    pub fn percentile_among(&mut self, percent: u64, infinite: u64) -> Option<SimDuration> {
        self.merge();
        let total = u128::from(self.len()) + u128::from(infinite);
        let rank = (total * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = u128::from(self.zeros);
        if seen > 0 && rank <= seen {
            return Some(SimDuration::ZERO);
        }
        for (span, count) in &self.runs {
            seen += u128::from(*count);
            if rank <= seen {
                return Some(*span);
            }
        }
        None
    }

    fn merge(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        self.tail.sort_unstable();
        let mut merged: Vec<(SimDuration, u64)> = Vec::with_capacity(self.runs.len() + self.tail.len());
        let mut add = |span: SimDuration, count: u64| match merged.last_mut() {
            Some((last, n)) if *last == span => *n += count,
            _ => merged.push((span, count)),
        };
        let mut old = self.runs.iter().copied().peekable();
        for span in self.tail.drain(..) {
            while let Some((s, n)) = old.next_if(|(s, _)| *s <= span) {
                add(s, n);
            }
            add(span, 1);
        }
        old.for_each(|(s, n)| add(s, n));
        self.runs = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spans: &[u64]) -> Durations {
        let mut durations = Durations::default();
        spans.iter().for_each(|s| durations.push(SimDuration::from_nanos(*s)));
        durations
    }

    /// Nearest rank: rank = ceil(percent / 100 * n), counted from 1 in ascending order.
    #[test]
    fn percentiles_are_nearest_rank() {
        let ten = [9, 1, 8, 2, 0, 3, 7, 4, 6, 5]; // 0..=9
        for (spans, percent, want) in [
            (&ten[..], 50, Some(4)), // rank 5
            (&ten[..], 90, Some(8)), // rank 9
            (&ten[..], 99, Some(9)), // rank 10
            (&ten[..], 100, Some(9)),
            (&[7][..], 50, Some(7)),
            (&[0, 0, 5][..], 50, Some(0)), // rank 2
            (&[0, 0, 5][..], 90, Some(5)), // rank 3
            (&[][..], 50, None),
        ] {
            let got = of(spans).percentile(percent).map(SimDuration::as_nanos);
            assert_eq!(got, want, "{percent} of {spans:?}");
        }
    }

    #[test]
    fn many_spans_are_merged_without_loss() {
        let mut durations = Durations::default();
        let count = 100_003u64;
        for i in 0..count {
            durations.push(SimDuration::from_nanos(i * 7919 % count));
        }
        assert_eq!(durations.len(), count);
        // A permutation of 0..count: the value of rank r is r - 1.
        assert_eq!(durations.percentile(50).map(SimDuration::as_nanos), Some(50_001));
        assert_eq!(durations.percentile(100).map(SimDuration::as_nanos), Some(count - 1));
    }
}
