//! What the scheduling queue remembers about the pods in it: nothing about the many that run.

use super::queue::{LONG_QUEUE, PluginSet};
use crate::engine::time::SimTime;
use crate::model::ids::{Id, PodId};

/// Where a pod is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Not in the queue.
    #[default]
    None,
    Active,
    Backoff,
    ErrorBackoff,
    /// In the pool, at this position.
    Pool(u32),
    Gated,
    /// Popped: its attempt or its binding goes on.
    InFlight,
}

/// What the queue remembers about a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Of the pod's uid.
    pub epoch: u32,
    pub place: Place,
    /// Plugins that rejected it in the last attempt, pending ones included.
    pub rejectors: PluginSet,
    /// Those of them that wait for something outside: their events skip the backoff.
    pub pending: PluginSet,
    /// When it came, or failed last.
    pub stamp: SimTime,
    /// Order among equal stamps; also tells stale heap entries.
    pub seq: u64,
    pub priority: i32,
    pub unschedulable_count: u32,
    pub error_count: u32,
}

const _: () = assert!(size_of::<Entry>() <= 48);

impl Entry {
    /// Of a pod that is not in the queue.
    pub const NONE: Entry = Entry {
        epoch: 0,
        place: Place::None,
        rejectors: PluginSet::NONE,
        pending: PluginSet::NONE,
        stamp: SimTime::ZERO,
        seq: 0,
        priority: 0,
        unschedulable_count: 0,
        error_count: 0,
    };
}

/// No entry.
const NONE: u32 = u32::MAX;
/// The pod sleeps: [`super::dormant`] remembers it.
const ASLEEP: u32 = u32::MAX - 1;

/// Entries by pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    /// By row of the pod: the row of its entry.
    slots: Vec<u32>,
    rows: Vec<Entry>,
    free: Vec<u32>,
}

impl Entries {
    fn slot(&self, pod: PodId) -> u32 {
        self.slots.get(pod.index()).copied().unwrap_or(NONE)
    }
    /// The entry of a pod; an empty one if it is not in the queue or sleeps.
    pub fn get(&self, pod: PodId) -> &Entry {
        self.rows.get(self.slot(pod) as usize).unwrap_or(&Entry::NONE)
    }
    /// The same, to be changed.
    pub fn get_mut(&mut self, pod: PodId) -> Option<&mut Entry> {
        let slot = self.slot(pod);
        self.rows.get_mut(slot as usize)
    }
    /// Does the pod sleep?
    pub fn is_asleep(&self, pod: PodId) -> bool {
        self.slot(pod) == ASLEEP
    }
    /// Remembers a pod.
    pub fn set(&mut self, pod: PodId, entry: Entry) {
        if let Some(row) = self.get_mut(pod) {
            *row = entry;
            return;
        }
        let slot = match self.free.pop() {
            Some(slot) => {
                self.rows[slot as usize] = entry;
                slot
            }
            None => {
                self.rows.push(entry);
                (self.rows.len() - 1) as u32
            }
        };
        self.put(pod, slot);
    }
    /// Somebody else remembers the pod.
    pub fn sleep(&mut self, pod: PodId) {
        self.clear(pod);
        self.put(pod, ASLEEP);
    }
    /// Forgets a pod.
    pub fn clear(&mut self, pod: PodId) {
        let slot = self.slot(pod);
        if (slot as usize) < self.rows.len() {
            self.free.push(slot);
            if self.free.len() == self.rows.len() && self.rows.len() > LONG_QUEUE {
                (self.rows, self.free) = (Vec::new(), Vec::new());
            }
        }
        if slot != NONE {
            self.slots[pod.index()] = NONE;
        }
    }
    fn put(&mut self, pod: PodId, slot: u32) {
        if self.slots.len() <= pod.index() {
            self.slots.resize(pod.index() + 1, NONE);
        }
        self.slots[pod.index()] = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_used_again_and_sleepers_have_none() {
        let mut entries = Entries::default();
        let entry = |seq| Entry { seq, place: Place::Active, ..Entry::NONE };
        let (a, b, c) = (PodId::at(5), PodId::at(0), PodId::at(9));
        entries.set(a, entry(1));
        entries.set(b, entry(2));
        entries.sleep(a);
        assert!(entries.is_asleep(a) && entries.get_mut(a).is_none());
        entries.set(c, entry(3));
        assert_eq!((entries.rows.len(), entries.get(b).seq, entries.get(c).seq), (2, 2, 3));
        entries.set(a, entry(4));
        entries.clear(b);
        entries.clear(b);
        assert_eq!((entries.get(a).seq, entries.get(b).place, entries.free.len()), (4, Place::None, 1));
    }
}
