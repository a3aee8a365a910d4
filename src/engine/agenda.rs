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
    fn key(&self) -> u128 {
        u128::from(self.at) << 64 | u128::from(self.order)
    }
}

/// Children per heap node. Four halve the depth of a binary heap, and the children lie in one or two cache lines.
const ARITY: usize = 4;

/// Each level of the wheel splits what the level above leaves open into this many slots, one per value of a byte of the time.
const SLOTS: usize = 256;

/// Bytes of a time.
const LEVELS: usize = 8;

/// A slot with at most so many events is sorted at once instead of being split further.
const SMALL: usize = 32;

/// Future events: a small heap of those that come next, and a hierarchical wheel (Varghese and Lauck, 1987) of the others.
///
/// A heap of a million events costs a cache miss per level and pop; here an event is filed by the highest byte in which its
/// time differs from the wheel's, moves down a few times, and meets the heap only with the few that are due about then.
///
/// Invariants: every event in the heap is before `horizon`, every event in the wheel at or after it; a filed event shares all
/// bytes above its level with `cursor` and exceeds it in its own; the heap is empty only if everything is.
#[derive(Clone, Debug)]
pub struct Agenda<E> {
    heap: Vec<Entry<E>>,
    /// Length at which the heap gives its later half back to the wheel.
    heap_limit: usize,
    slots: Vec<Vec<Entry<E>>>,
    /// One bit per slot with events.
    used: [[u64; SLOTS / 64]; LEVELS],
    /// One bit per level with events.
    levels: u8,
    cursor: u64,
    horizon: u64,
    len: usize,
    now: SimTime,
    next_seq: u64,
}

impl<E: Copy> Default for Agenda<E> {
    fn default() -> Self {
        Agenda {
            heap: Vec::new(),
            heap_limit: 2 * SMALL,
            slots: (0..LEVELS * SLOTS).map(|_| Vec::new()).collect(),
            used: [[0; SLOTS / 64]; LEVELS],
            levels: 0,
            cursor: 0,
            horizon: 0,
            len: 0,
            now: SimTime::ZERO,
            next_seq: 0,
        }
    }
}

impl<E: Copy> Agenda<E> {
    /// The current instant: that of the last event, or where the clock was moved to.
    pub fn now(&self) -> SimTime {
        self.now
    }
    /// Number of pending events.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Schedules an event. One in the past happens now: the clock never runs backwards.
    pub fn schedule(&mut self, at: SimTime, rank: Rank, event: E) {
        debug_assert!(at >= self.now, "event in the past");
        let at = at.max(self.now).as_nanos();
        let order = u64::from(rank.0) << SEQ_BITS | self.next_seq;
        self.next_seq += 1;
        self.len += 1;
        let entry = Entry { at, order, event };
        if at < self.horizon {
            self.heap.push(entry);
            sift_up(&mut self.heap);
            if self.heap.len() > self.heap_limit {
                self.spill();
            }
        } else if self.heap.is_empty() {
            self.cursor = self.now.as_nanos();
            self.horizon = at.saturating_add(1);
            self.heap.push(entry);
        } else {
            self.file(entry);
        }
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
                sift_down(&mut self.heap, 0);
                first
            }
        };
        self.len -= 1;
        self.now = SimTime::from_nanos(first.at);
        if self.heap.is_empty() {
            self.refill();
        }
        Some((key_of(first.at, first.order), first.event))
    }
    /// Moves the clock to `at` without an event. It never runs backwards.
    pub fn advance(&mut self, at: SimTime) {
        debug_assert!(self.peek().is_none_or(|key| key.at >= at), "the clock may not jump over an event");
        self.now = self.now.max(at);
    }

    /// Puts an event into the wheel.
    fn file(&mut self, entry: Entry<E>) {
        let differs = (entry.at ^ self.cursor) | 1;
        let level = (63 - differs.leading_zeros() as usize) / 8;
        let slot = (entry.at >> (8 * level)) as usize % SLOTS;
        self.slots[level * SLOTS + slot].push(entry);
        self.used[level][slot / 64] |= 1 << (slot % 64);
        self.levels |= 1 << level;
    }

    /// The heap has grown: its later half goes back to the wheel, unless all of it is due at one instant.
    fn spill(&mut self) {
        let middle = self.heap.len() / 2;
        self.heap.select_nth_unstable_by_key(middle, Entry::key);
        let pivot = self.heap[middle].at;
        if self.heap[..middle].iter().all(|e| e.at >= pivot) {
            self.heap_limit *= 2;
        } else {
            let mut kept = std::mem::take(&mut self.heap);
            kept.retain(|entry| {
                let keep = entry.at < pivot;
                if !keep {
                    self.file(*entry);
                }
                keep
            });
            self.heap = kept;
            self.horizon = pivot;
        }
        heapify(&mut self.heap);
    }

    /// The heap is empty: takes the earliest slot that is small enough, splitting larger ones on the way.
    fn refill(&mut self) {
        self.heap_limit = 2 * SMALL;
        while self.levels != 0 {
            let level = self.levels.trailing_zeros() as usize;
            let Some(word) = self.used[level].iter().position(|w| *w != 0) else { return };
            let slot = word * 64 + self.used[level][word].trailing_zeros() as usize;
            self.used[level][word] &= self.used[level][word] - 1;
            if self.used[level] == [0; SLOTS / 64] {
                self.levels &= !(1 << level);
            }
            let shift = 8 * level as u32;
            let above = self.cursor.checked_shr(shift + 8).unwrap_or(0).checked_shl(shift + 8).unwrap_or(0);
            self.cursor = above | (slot as u64) << shift;
            let mut taken = std::mem::take(&mut self.slots[level * SLOTS + slot]);
            let small = taken.len() <= SMALL || level == 0;
            if small {
                self.horizon = self.cursor.saturating_add(1 << shift);
                self.heap_limit = self.heap_limit.max(taken.len() * 2);
                self.heap.append(&mut taken);
                heapify(&mut self.heap);
            } else {
                self.horizon = self.cursor;
                for entry in taken.drain(..) {
                    self.file(entry);
                }
            }
            self.slots[level * SLOTS + slot] = taken; // keeps its memory
            if small {
                return;
            }
        }
    }
}

fn sift_up<E: Copy>(heap: &mut [Entry<E>]) {
    let mut child = heap.len() - 1;
    let entry = heap[child];
    while child > 0 {
        let parent = (child - 1) / ARITY;
        if heap[parent].key() <= entry.key() {
            break;
        }
        heap[child] = heap[parent];
        child = parent;
    }
    heap[child] = entry;
}

fn sift_down<E: Copy>(heap: &mut [Entry<E>], mut parent: usize) {
    let entry = heap[parent];
    loop {
        let first = parent * ARITY + 1;
        if first >= heap.len() {
            break;
        }
        let mut least = first;
        for child in first + 1..(first + ARITY).min(heap.len()) {
            if heap[child].key() < heap[least].key() {
                least = child;
            }
        }
        if entry.key() <= heap[least].key() {
            break;
        }
        heap[parent] = heap[least];
        parent = least;
    }
    heap[parent] = entry;
}

fn heapify<E: Copy>(heap: &mut [Entry<E>]) {
    for parent in (0..heap.len().div_ceil(ARITY)).rev() {
        sift_down(heap, parent);
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

    /// Against the standard library's heap, popping and pushing at random, with gaps from nothing to years.
    #[test]
    fn agrees_with_a_binary_heap() {
        let streams = Streams::new(4, 0);
        for (pushes, span) in [(3, 50), (4, 1), (3, 5_000_000_000), (2, u64::MAX >> 9)] {
            let (mut agenda, mut model) = (Agenda::default(), std::collections::BinaryHeap::new());
            let mut seq = 0u64;
            for i in 0..20_000u64 {
                let draw = |name, n| streams.index(name, EntityKey(i), n) as u64;
                if draw("pop", 5) < pushes {
                    let scale = [1, 1000, 1 << 30, u64::MAX][draw("scale", 4) as usize].min(span);
                    let at = agenda.now().as_nanos().saturating_add(draw("at", 1 << 30) % scale);
                    let rank = draw("rank", 4) as u8;
                    agenda.schedule(SimTime::from_nanos(at), Rank(rank), i);
                    model.push(std::cmp::Reverse((at, rank, seq, i)));
                    seq += 1;
                } else {
                    let want = model.pop().map(|r| r.0);
                    let got = agenda.pop().map(|(k, e)| (k.at.as_nanos(), k.rank.0, k.seq, e));
                    assert_eq!(got, want);
                }
                assert_eq!((agenda.len(), agenda.is_empty()), (model.len(), model.is_empty()));
            }
        }
    }
}
