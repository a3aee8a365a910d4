//! stowplan simulates Kubernetes clusters whose pods live on local PersistentVolumes.
//!
//! Read a scenario and run it with [`Simulation`]; what comes out is a [`RunOutput`], and [`results`] writes and reads its files. Listen
//! to a run with an [`Observer`]; add Filter, Score and other plugins with [`plugin`]. What both see of the cluster is in [`model`]: they
//! read it, and nothing of what they do there but through the traits is kept.
//!
//! Units are in the names: `_milli` (thousandths of a core), `_bytes`, `_seconds` of simulated time. Equal scenarios, seeds and plugins
//! give equal bytes, on any number of threads.
//!
//! These items are what other crates may rely on, by semantic versioning (`tests/it/api.txt` lists them). Modules that are not listed
//! here are there for the `stowplan` program and change at any time.

mod api;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod conformance;
#[doc(hidden)]
pub mod control;
pub mod diagnostic;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod explain;
pub mod limits;
#[doc(hidden)]
pub mod manifest;
pub mod model;
#[doc(hidden)]
pub mod observe;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod recording;
#[doc(hidden)]
pub mod report;
pub mod results;
#[doc(hidden)]
pub mod scenario;
#[doc(hidden)]
pub mod scheduler;
#[doc(hidden)]
pub mod simulate;
#[doc(hidden)]
pub mod sweep;
#[doc(hidden)]
pub mod trace;
#[doc(hidden)]
pub mod world;

pub use api::{Error, Simulation};
pub use engine::time::{SimDuration, SimTime};
pub use model::cluster::NodeDelta;
pub use observe::{AttemptResult, Observation, Observer, Subject};
pub use results::{RunOutput, VariantOutput};
pub use world::SimError;

/// What a scheduler plugin of one's own needs: the traits of the extension points and the types in their signatures.
pub mod plugin {
    pub use crate::scheduler::cycle_state::CycleState;
    pub use crate::scheduler::framework::{
        Binding, Code, FilterPlugin, FitError, MAX_NODE_SCORE, NodeView, Nomination, Plugin, PluginName,
        PluginNames, PostFilter, PostFilterMessage, PostFilterPlugin, PreFilter, PreFilterPlugin, PreScore,
        Reason, Reasons, Rejection, Rejections, ReservePlugin, ScorePlugin, Verdict, View,
    };
    pub use crate::scheduler::profile::PluginPoints;
}
