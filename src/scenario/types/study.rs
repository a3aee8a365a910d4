//! Variants, sweeps and plans: many runs out of one scenario.

use super::{BindingMode, Spanned};
use crate::diagnostic::Span;
use crate::engine::time::SimDuration;
use crate::scenario::tree::Value;

/// A change to the scenario before it is checked.
#[derive(Clone, Debug)]
pub struct Override {
    /// `cluster.nodes[db].count`.
    pub path: String,
    /// The new value.
    pub value: Value,
    /// Where the path was written.
    pub path_span: Span,
}

/// `variants[]`: one of the compared alternatives.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Name.
    pub name: Spanned<String>,
    /// Replaces every class's mode.
    pub binding_mode: Option<BindingMode>,
    /// Changes to the scenario.
    pub set: Vec<Override>,
}

/// `sweep`.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// Runs with derived seeds per point and variant, at least 1 (0 only in `Default`).
    pub replications: u32,
    /// Parameters.
    pub axes: Vec<Axis>,
    /// Which points of the grid are looked at.
    pub design: Design,
    /// Conditions on the axes that a point must meet; they are read by [`crate::sweep`].
    pub filters: Vec<Spanned<String>>,
    /// The variants of an axis whose path is `variants`; empty: all. They are run at every point, so this is no axis of points.
    pub variants: Vec<Spanned<String>>,
}

/// `sweep.design`: all points of the grid, or a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Design {
    /// Every combination of the axes' values.
    #[default]
    Grid,
    /// Combinations drawn at random.
    Random {
        /// How many.
        points: u32,
    },
    /// Combinations in which every axis is covered evenly.
    LatinHypercube {
        /// How many.
        points: u32,
    },
    /// Combinations from Sobol's sequence, even in all axes together.
    Sobol {
        /// How many.
        points: u32,
    },
}

/// A parameter and its values in order.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What is varied.
    pub path: Spanned<String>,
    /// The values.
    pub values: Vec<Value>,
}

/// `plan`.
#[derive(Clone, Debug)]
pub struct PlanSpec {
    /// What must hold.
    pub require: Vec<Spanned<Requirement>>,
    /// Confidence of the answer, above 0.5 and below 1.
    pub confidence: f64,
    /// What may be changed.
    pub vary: Vec<Axis>,
    /// The variants of an entry whose path is `variants`; empty: all.
    pub variants: Vec<Spanned<String>>,
    /// What is made small.
    pub minimize: Minimize,
    /// Paired replications on which a level is judged, at least 10.
    pub replications: u32,
    /// Workloads of which it is asked how many more fit; those of one entry grow together.
    pub fit: Vec<Vec<Spanned<String>>>,
    /// Growth of which it is asked when it breaks.
    pub forecast: Vec<Forecast>,
}

/// Nothing asked, everything else as when it is not said.
impl Default for PlanSpec {
    fn default() -> PlanSpec {
        PlanSpec {
            require: Vec::new(),
            confidence: 0.95,
            vary: Vec::new(),
            variants: Vec::new(),
            minimize: Minimize::Nodes,
            replications: 10,
            fit: Vec::new(),
            forecast: Vec::new(),
        }
    }
}

/// `plan.forecast[]`: a workload grows from what it is in the scenario.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// The generated workload.
    pub workload: Spanned<String>,
    /// How fast.
    pub growth: GrowthRate,
    /// Per this time.
    pub every: SimDuration,
    /// How far ahead it is looked.
    pub horizon: SimDuration,
}

/// How a workload grows per period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GrowthRate {
    /// By a share of what there is: 0.1 for `10%`.
    Share(f64),
    /// By so many sets.
    Sets(f64),
}

/// `plan.minimize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Minimize {
    /// Price per hour.
    Price,
    /// Number of nodes.
    Nodes,
}

/// One service level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Requirement {
    /// Share of wanted pods ever stuck.
    Stuck(f64),
    /// Share of wanted sets ever stuck.
    StuckSets(f64),
    /// 99th percentile of the time to schedule, the never scheduled counting as infinite.
    PendingP99(SimDuration),
    /// Every wanted pod runs again after these many nodes are lost.
    Survive {
        /// Nodes lost at once.
        nodes: u32,
        /// Time allowed.
        within: SimDuration,
    },
    /// Time without quorum per group and 30 days.
    QuorumLoss(SimDuration),
}
