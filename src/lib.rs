//! stowplan simulates Kubernetes clusters whose pods live on local PersistentVolumes.

mod api;
#[cfg(feature = "cli")]
pub mod cli;
pub mod conformance;
pub mod control;
pub mod diagnostic;
pub mod engine;
pub mod explain;
pub mod manifest;
pub mod model;
pub mod observe;
pub mod plan;
pub mod recording;
pub mod report;
pub mod results;
pub mod scenario;
pub mod scheduler;
pub mod simulate;
pub mod sweep;
pub mod trace;
pub mod world;

pub use api::{Error, Simulation};
pub use engine::time::SimTime;
pub use observe::{Observation, Observer};
pub use results::RunOutput;

/// What a scheduler plugin of one's own needs: the traits of the extension points and the types in their signatures.
pub mod plugin {
    pub use crate::scheduler::cycle_state::CycleState;
    pub use crate::scheduler::framework::{
        Code, FilterPlugin, MAX_NODE_SCORE, NodeView, Plugin, PluginName, PostFilter, PostFilterPlugin,
        PreFilter, PreFilterPlugin, PreScore, Reason, Rejection, Rejections, ReservePlugin, ScorePlugin,
        Verdict, View,
    };
    pub use crate::scheduler::profile::PluginPoints;
}
