//! A controller's work queue: keys in order of arrival, each at most once, none worked on twice at the same time
//! (`client-go/util/workqueue`).

use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Queued,
    /// Worked on.
    Busy,
    /// Worked on, and to be worked on again.
    BusyDirty,
}

/// Keys are row numbers.
#[derive(Clone, Debug, Default)]
pub struct WorkQueue {
    keys: VecDeque<u32>,
    states: Vec<State>,
}

impl WorkQueue {
    /// Asks for work on `key`.
    pub fn add(&mut self, key: u32) {
        let index = key as usize;
        if self.states.len() <= index {
            self.states.resize(index + 1, State::Idle);
        }
        match self.states[index] {
            State::Idle => {
                self.states[index] = State::Queued;
                self.keys.push_back(key);
            }
            State::Busy => self.states[index] = State::BusyDirty,
            State::Queued | State::BusyDirty => {}
        }
    }
    /// Takes the next key; it is worked on until [`WorkQueue::done`].
    pub fn take(&mut self) -> Option<u32> {
        let key = self.keys.pop_front()?;
        self.states[key as usize] = State::Busy;
        Some(key)
    }
    /// Work on `key` has ended. If it was asked for meanwhile it is queued again.
    pub fn done(&mut self, key: u32) {
        let state = &mut self.states[key as usize];
        if std::mem::take(state) == State::BusyDirty {
            *state = State::Queued;
            self.keys.push_back(key);
        }
    }
    /// Nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_queued_once_and_again_after_work() {
        let mut queue = WorkQueue::default();
        for key in [3, 1, 3, 1] {
            queue.add(key);
        }
        assert_eq!(queue.take(), Some(3));
        queue.add(3); // while it is worked on
        queue.add(3);
        assert_eq!(queue.take(), Some(1));
        assert!(queue.is_empty(), "3 waits until the work on it has ended");
        queue.done(1);
        queue.done(3);
        assert_eq!((queue.take(), queue.take()), (Some(3), None));
    }
}
