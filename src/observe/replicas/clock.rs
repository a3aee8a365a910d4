//! How long a replica has not been running.

use crate::engine::time::SimTime;

/// The clock of one wanted replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Not running since then; `None`: it runs, or it waits for nothing.
    pub since: Option<SimTime>,
    /// It is stuck.
    pub stuck: bool,
    /// It was stuck at some time.
    pub ever: bool,
}

impl Clock {
    /// The clock of a replica that is wanted from now on.
    pub fn started(at: SimTime) -> Clock {
        Clock { since: Some(at), stuck: false, ever: false }
    }
}
