//! The controllers of the control plane, each a function from the state to at most one write.
//!
//! A controller has a queue of keys. To work on a key is to ask it for a [`Step`] until it has nothing left to write: it looks at
//! the objects as they are, never at what it was told about them, so events may be late, merged or doubled. The world decides
//! when a step's write reaches the API server (client limits, latency) and who hears of it.

pub mod api;
pub mod copies;
pub mod disruption;
pub mod ephemeral;
pub mod job;
pub mod kubelet;
pub mod node_lifecycle;
pub mod operator;
pub mod protection;
pub mod provisioner;
pub mod pv;
pub mod queue;
pub mod replicaset;
pub mod statefulset;
pub mod timing;
#[cfg(test)]
mod workload_tests;

use api::Write;

/// What a controller does next about a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// One write; then ask again.
    Write(Write),
    /// Nothing left to do.
    Done,
    /// It failed for now and is tried again with backoff.
    Retry(Retry),
}

/// Why a controller tries again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A claim that a pod needs is being deleted: `pvc <name> is being deleted`.
    ClaimBeingDeleted(crate::model::names::Name),
    /// Another object has the name.
    NameTaken,
}
