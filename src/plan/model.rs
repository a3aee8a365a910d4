//! What the planner asks of the simulator.

use crate::engine::time::SimDuration;
use crate::scenario::types::Override;
use crate::sweep::{Evaluate, Job};

/// How large a cluster is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Nodes in all groups and manifests.
    pub nodes: u64,
    /// Price per hour of all nodes; `None` if any node has none.
    pub price_per_hour: Option<f64>,
}

/// What the loss of nodes costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Runs that it took.
    pub runs: u64,
    /// Sets of nodes whose loss was tried.
    pub subsets: u64,
    /// How many of them some wanted pod did not survive.
    pub fatal: u64,
    /// Wanted pods that do not run again in the worst case.
    pub worst_pods: u64,
}

/// Most sets of nodes whose loss is tried; of more, so many are drawn by the seed.
pub const MAX_SUBSETS: u64 = 200;

/// How many sets of `lost` of `nodes` nodes are tried. Who asks for more nodes than there are loses all of them.
pub fn subset_count(nodes: u64, lost: u64) -> u64 {
    let lost = lost.min(nodes);
    let all = (0..lost).try_fold(1u64, |c, i| Some(c.checked_mul(nodes - i)? / (i + 1)));
    all.map_or(MAX_SUBSETS, |all| all.min(MAX_SUBSETS))
}

/// The simulator as the planner needs it.
pub trait Model: Evaluate {
    /// The cluster at a point, without running anything.
    ///
    /// # Errors
    /// Why there is no such cluster, in one line: volumes that do not fit a disk, an unknown shape.
    fn size(&self, settings: &[Override], variant: &str) -> Result<Size, String>;

    /// How many sets (or pods, without replicas) a workload of the scenario has.
    ///
    /// # Errors
    /// If no workload has the name, or it cannot grow.
    fn sets(&self, workload: &str) -> Result<u64, String>;

    /// The names of the workloads that [`Model::sets`] knows.
    fn workloads(&self) -> Vec<String>;

    /// Runs a job to its end; then, for each set of `nodes` nodes (or [`MAX_SUBSETS`] of them, drawn by the job's seed),
    /// loses them for ever and looks whether every wanted pod runs `within` that time, with the scenario's recovery. What
    /// would not run then without the loss either does not count. May stop after the first set whose loss is fatal.
    ///
    /// The subsets are tried on the state at the end of the same run, each alone. An engine that can copy its state runs
    /// the job once and continues from copies; one that cannot runs it anew with the losses in its timeline.
    ///
    /// # Errors
    /// Why it could not be done, in one line.
    fn lose(&self, job: &Job<'_>, nodes: u32, within: SimDuration) -> Result<Loss, String>;
}
