//! The agenda: future events in a total order.
//!
//! Events of one instant are ordered by rank, events of one rank by the order in which they were scheduled. Events are small
//! `Copy` values; an event that became void is recognised by its handler (it carries a uid or an epoch), so nothing is ever
//! removed from the middle.

use super::time::SimTime;

/// Order of events within one instant: lower ranks first. Their meaning is the world's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(pub u8);

/// Place of an event in the total order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// When.
    pub at: SimTime,
    /// Order within the instant.
    pub rank: Rank,
    /// Order within the rank.
    pub seq: u64,
}

/// Bits of the sequence number below the rank.
const SEQ_BITS: u32 = 56;

#[derive(Clone, Copy, Debug)]
struct Entry<E> {
    at: u64,
    /// Rank in the highest byte, sequence number below: one comparison.
    order: u64,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (u64, u64) {
        (self.at, self.order)
    }
}

/// Children per heap node. Four halve the depth of a binary heap, and the children lie in one or two cache lines.
const ARITY: usize = 4;

/// Future events.
#[derive(Clone, Debug)]
pub struct Agenda<E> {
    heap: Vec<Entry<E>>,
    now: SimTime,
    next_seq: u64,
}

impl<E: Copy> Default for Agenda<E> {
    fn default() -> Self {
        Agenda { heap: Vec::new(), now: SimTime::ZERO, next_seq: 0 }
    }
}

impl<E: Copy> Agenda<E> {
    /// The current instant: that of the last event, or where the clock was moved to.
    pub fn now(&self) -> SimTime {
        self.now
    }
    /// Number of pending events.
    pub fn len(&self) -> usize {
        self.heap.len()
    }
    /// Nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
    /// Schedules an event. One in the past happens now: the clock never runs backwards.
    pub fn schedule(&mut self, at: SimTime, rank: Rank, event: E) {
        debug_assert!(at >= self.now, "event in the past");
        let at = at.max(self.now).as_nanos();
        let order = u64::from(rank.0) << SEQ_BITS | self.next_seq;
        self.next_seq += 1;
        self.heap.push(Entry { at, order, event });
        self.sift_up(self.heap.len() - 1);
    }
    /// Place of the next event.
    pub fn peek(&self) -> Option<Key> {
        self.heap.first().map(|e| key_of(e.at, e.order))
    }
    /// Takes the next event and moves the clock there.
    pub fn pop(&mut self) -> Option<(Key, E)> {
        let last = self.heap.pop()?;
        let first = match self.heap.first_mut() {
            None => last,
            Some(root) => {
                let first = std::mem::replace(root, last);
                self.sift_down();
                first
            }
        };
        self.now = SimTime::from_nanos(first.at);
        Some((key_of(first.at, first.order), first.event))
    }
    /// Moves the clock to `at` without an event. It never runs backwards.
    pub fn advance(&mut self, at: SimTime) {
        debug_assert!(self.peek().is_none_or(|key| key.at >= at), "the clock may not jump over an event");
        self.now = self.now.max(at);
    }

    fn sift_up(&mut self, mut child: usize) {
        let entry = self.heap[child];
        while child > 0 {
            let parent = (child - 1) / ARITY;
            if self.heap[parent].key() <= entry.key() {
                break;
            }
            self.heap[child] = self.heap[parent];
            child = parent;
        }
        self.heap[child] = entry;
    }
    fn sift_down(&mut self) {
        let entry = self.heap[0];
        let mut parent = 0;
        loop {
            let first = parent * ARITY + 1;
            let children = &self.heap[first.min(self.heap.len())..(first + ARITY).min(self.heap.len())];
            let Some((offset, least)) = children.iter().enumerate().min_by_key(|(_, e)| e.key()) else {
                break;
            };
            if entry.key() <= least.key() {
                break;
            }
            self.heap[parent] = *least;
            parent = first + offset;
        }
        self.heap[parent] = entry;
    }
}

fn key_of(at: u64, order: u64) -> Key {
    Key {
        at: SimTime::from_nanos(at),
        rank: Rank((order >> SEQ_BITS) as u8),
        seq: order & ((1 << SEQ_BITS) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::rng::{EntityKey, Streams};

    #[test]
    fn time_then_rank_then_order_of_scheduling() {
        let mut agenda = Agenda::default();
        for (at, rank, name) in
            [(5, 1, "e"), (5, 0, "d"), (3, 9, "c"), (3, 1, "a"), (3, 1, "b"), (7, 0, "f"), (5, 1, "g")]
        {
            agenda.schedule(SimTime::from_secs(at), Rank(rank), name);
        }
        let order: String = std::iter::from_fn(|| agenda.pop()).map(|(_, name)| name).collect();
        assert_eq!(order, "abcdegf");
        assert_eq!(agenda.now(), SimTime::from_secs(7));
    }

    /// Against the standard library's heap, popping and pushing at random.
    #[test]
    fn agrees_with_a_binary_heap() {
        let streams = Streams::new(4, 0);
        let (mut agenda, mut model) = (Agenda::default(), std::collections::BinaryHeap::new());
        let mut seq = 0u64;
        for i in 0..20_000u64 {
            let draw = |name, n| streams.index(name, EntityKey(i), n) as u64;
            if draw("pop", 5) < 3 {
                let at = agenda.now().as_nanos() + draw("at", 50);
                let rank = draw("rank", 4) as u8;
                agenda.schedule(SimTime::from_nanos(at), Rank(rank), i);
                model.push(std::cmp::Reverse((at, rank, seq, i)));
                seq += 1;
            } else {
                let want = model.pop().map(|r| r.0);
                let got = agenda.pop().map(|(k, e)| (k.at.as_nanos(), k.rank.0, k.seq, e));
                assert_eq!(got, want);
            }
        }
    }
}
