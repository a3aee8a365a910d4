//! The scenario as typed values: everything checked, every default filled in, shapes and presets resolved.
//!
//! The format is described in `docs/SCENARIO.md`; the types here follow it key by key. Sizes are bytes, rates bytes per second,
//! times [`SimDuration`].

mod control_plane;
mod scheduler;
mod study;
mod trace;
mod workload;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

pub use control_plane::*;
pub use scheduler::*;
pub use study::*;
pub use trace::*;
pub use workload::*;

use crate::diagnostic::Span;
use crate::engine::time::SimDuration;
use crate::model::quantity::Quantity;

/// A value and where it was written (or where the default's owner was).
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A whole scenario, resolved for one variant and one point of a sweep.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name; also the default folder under `results/`. Letters, digits, `.`, `_` and `-`.
    pub name: Spanned<String>,
    /// Free text.
    pub description: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Length of the run; `None` = until nothing can change any more.
    pub duration: Option<SimDuration>,
    /// Latencies and timers of the control plane.
    pub control_plane: ControlPlane,
    /// Scheduler configuration.
    pub scheduler: SchedulerSettings,
    /// Nodes, volumes, classes.
    pub cluster: ClusterSpec,
    /// What wants to run.
    pub workload: WorkloadSpec,
    /// Changes by hand, in the order of their times (equal times: as written).
    pub timeline: Vec<TimelineEntry>,
    /// Random failures.
    pub failures: Failures,
    /// The database operator, if there is one.
    pub recovery: Option<Recovery>,
    /// What is compared; never empty.
    pub variants: Vec<Variant>,
    /// Parameter study.
    pub sweep: Sweep,
    /// Capacity planning.
    pub plan: Option<PlanSpec>,
    /// What is measured.
    pub report: ReportSettings,
}

/// `report`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportSettings {
    /// A wanted replica that has not been running for longer than this is stuck. Default 5 min.
    pub stuck_after: SimDuration,
    /// Period of the time series. Default 1 min.
    pub sample: SimDuration,
}

/// `scheduler`. What is `None` comes from the configuration file, else from Kubernetes' defaults.
#[derive(Clone, Debug)]
pub struct SchedulerSettings {
    /// A KubeSchedulerConfiguration file, read.
    pub config: Option<Spanned<Arc<SchedulerConfig>>>,
    /// Feature gates that were set.
    pub feature_gates: BTreeMap<String, bool>,
    /// 0 = adaptive, 1..=100 percent.
    pub percentage_of_nodes_to_score: Option<u32>,
    /// How equal choices are decided.
    pub tie_break: TieBreak,
    /// Weights of Score plugins in every profile; 0: does not score.
    pub weights: BTreeMap<String, u32>,
    /// Shape of VolumeBinding's score: (utilization 0..=100, score 0..=10), utilization rising.
    pub volume_binding_shape: Option<Vec<(u32, u32)>>,
}

/// How equal choices are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieBreak {
    /// Uniformly at random, by the seed.
    Seeded,
    /// The first by name.
    First,
}

/// `cluster`.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// Files of Kubernetes objects, in order; `-` is standard input.
    pub manifests: Vec<ManifestFile>,
    /// Wipes and re-creates released volumes of the manifests; `None` = nobody does.
    pub static_provisioner: Option<StaticProvisioner>,
    /// Classes made by the scenario.
    pub storage_classes: Vec<StorageClassSpec>,
    /// Generated nodes.
    pub nodes: Vec<NodeGroup>,
}

/// A manifest file and the entry that named it.
#[derive(Clone, Debug)]
pub struct ManifestFile {
    /// The file; `-` is standard input.
    pub path: PathBuf,
    /// The entry in the scenario.
    pub span: Span,
}

/// When a class binds its claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BindingMode {
    /// When the claim is made.
    Immediate,
    /// When a pod that uses it is scheduled.
    WaitForFirstConsumer,
}

impl BindingMode {
    /// Kubernetes' word.
    pub fn as_str(self) -> &'static str {
        match self {
            BindingMode::Immediate => "Immediate",
            BindingMode::WaitForFirstConsumer => "WaitForFirstConsumer",
        }
    }
}

/// What happens to a PV whose claim is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReclaimPolicy {
    /// It stays, Released.
    Retain,
    /// It is deleted (and made anew by a static provisioner).
    Delete,
}

/// `volumeMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeMode {
    /// Mounted.
    Filesystem,
    /// A raw device.
    Block,
}

/// `cluster.storageClasses[]`.
#[derive(Clone, Debug)]
pub struct StorageClassSpec {
    /// Name.
    pub name: Spanned<String>,
    /// Provisioner; `kubernetes.io/no-provisioner` for static local volumes.
    pub provisioner: String,
    /// Binding mode.
    pub volume_binding_mode: BindingMode,
    /// Reclaim policy of volumes provisioned for the class.
    pub reclaim_policy: ReclaimPolicy,
    /// Claims may ask for more later; `None`: only where volume groups serve the class.
    pub allow_volume_expansion: Option<bool>,
    /// The class of claims that name none.
    pub is_default: bool,
}

/// `cluster.nodes[]`: `count` equal nodes `<name>-0` ...
#[derive(Clone, Debug)]
pub struct NodeGroup {
    /// Name; the nodes' prefix.
    pub name: Spanned<String>,
    /// Machine shape it was taken from.
    pub shape: Option<String>,
    /// Number of nodes, 0..=1e6.
    pub count: u32,
    /// CPU capacity.
    pub cpu: Quantity,
    /// Memory capacity.
    pub memory: Quantity,
    /// Pods that fit.
    pub pods: u32,
    /// Extended resources, such as `nvidia.com/gpu`.
    pub resources: BTreeMap<String, Quantity>,
    /// Zones, round robin; empty = no zone label.
    pub zones: Vec<String>,
    /// Racks per zone, round robin; `None` = no rack label.
    pub racks: Option<u32>,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<TaintSpec>,
    /// CPU kept back: allocatable = capacity - reserved.
    pub reserved_cpu: Quantity,
    /// Memory kept back.
    pub reserved_memory: Quantity,
    /// Price of one node per hour.
    pub price: Option<f64>,
    /// Disks that become volumes, in order; disk numbers run over all entries.
    pub disks: Vec<DiskSpec>,
    /// Sizes in bytes of the shape's disks that no entry takes.
    pub unused_disks: Vec<u64>,
}

/// A taint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaintSpec {
    /// Key.
    pub key: String,
    /// Value, may be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// `disks[]`: `count` equal disks and what is made of each.
#[derive(Clone, Debug)]
pub struct DiskSpec {
    /// Class of the volumes.
    pub class: Spanned<String>,
    /// Number of disks.
    pub count: u32,
    /// Bytes of one disk.
    pub size_bytes: u64,
    /// How it is carved.
    pub carve: Carve,
    /// Reclaim policy of the volumes.
    pub reclaim: ReclaimPolicy,
    /// Mode of the volumes.
    pub volume_mode: VolumeMode,
    /// Wipes and re-creates released volumes; `None` = there is none.
    pub static_provisioner: Option<StaticProvisioner>,
}

/// How a disk becomes volumes.
#[derive(Clone, Debug, PartialEq)]
pub enum Carve {
    /// Static volumes of these sizes in bytes, in order.
    Static(Vec<u64>),
    /// A volume group.
    Lvm {
        /// Allocation unit in bytes.
        extent_bytes: u64,
        /// Bytes promised per byte there is; 1 = none.
        overcommit: f64,
    },
}

/// `staticProvisioner`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StaticProvisioner {
    /// How long wiping takes.
    pub wipe: Wipe,
}

/// `staticProvisioner.wipe`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wipe {
    /// No time.
    AtOnce,
    /// Capacity over this many bytes per second, above 0.
    BytesPerSecond(f64),
    /// Always as long.
    Time(SimDuration),
}

/// A value that may vary. Constants are the common case.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution<T> {
    /// Always the same.
    Constant(T),
    /// Exponential.
    Exponential {
        /// Mean.
        mean: T,
    },
    /// Lognormal.
    Lognormal {
        /// Half of the values are below.
        median: T,
        /// 95 % of the values are below.
        p95: T,
    },
    /// Uniform in [low, high).
    Uniform {
        /// Smallest value.
        low: T,
        /// Above the largest value.
        high: T,
    },
    /// Weibull.
    Weibull {
        /// Shape, > 0; below 1 = early failures.
        shape: f64,
        /// Scale.
        scale: T,
    },
    /// One of several, by weight (> 0).
    Choice(Vec<(T, f64)>),
    /// One of the values of a file, with replacement.
    Empirical(Arc<[T]>),
}

/// Bytes, as a value that may vary.
pub type Size = Distribution<u64>;
/// A span of time that may vary.
pub type VaryingTime = Distribution<SimDuration>;

impl<T> Distribution<T> {
    /// The constant, if it is one.
    pub fn constant(&self) -> Option<&T> {
        match self {
            Distribution::Constant(value) => Some(value),
            _ => None,
        }
    }
}
