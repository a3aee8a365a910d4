//! `workload.trace`.

use std::path::PathBuf;

use super::{DiskSpec, Size, Spanned, TaintSpec};
use crate::engine::time::SimDuration;
use crate::model::quantity::Quantity;

/// The names of the trace formats, as in a scenario.
pub const TRACE_FORMATS: &[&str] = &[
    "openb",
    "alibaba-gpu-v2025",
    "alibaba-v2017",
    "alibaba-v2018",
    "alibaba-gpu-v2020",
    "alibaba-spot-gpu-v2026",
    "google-2011",
    "google-2019",
    "azure-packing-2020",
    "azure-v1",
    "azure-v2",
    "huawei-east-1",
    "simkube",
    "stowplan",
    "auto",
];

/// `workload.trace`: pods (and perhaps nodes) from a recorded cluster.
#[derive(Clone, Debug)]
pub struct TraceSpec {
    /// One of [`TRACE_FORMATS`].
    pub format: Spanned<String>,
    /// Files with pods (or everything), in order.
    pub files: Vec<Spanned<PathBuf>>,
    /// Files with nodes and what the trace does not say about them.
    pub nodes: Option<TraceNodes>,
    /// What becomes of GPUs.
    pub gpu: GpuRule,
    /// How times are used.
    pub mode: TraceMode,
    /// Where `fill` stops: arrived demand of a resource over allocatable.
    pub until: Option<FillUntil>,
    /// Time between two arrivals of `fill`. Default 1 s.
    pub interval: SimDuration,
    /// Which pods get a claim, and how large, where the trace does not say.
    pub claims: Option<TraceClaims>,
    /// CPU that 1.0 (or 100) means in a normalized trace.
    pub max_cpu: Option<Quantity>,
    /// Memory that 1.0 means, bytes.
    pub max_memory: Option<Quantity>,
    /// Disk that 1.0 means, bytes.
    pub max_disk: Option<Quantity>,
    /// Only arrivals in [from, to) of the trace's clock; times count from `from` afterwards.
    pub window: Option<(SimDuration, SimDuration)>,
    /// Keep every n-th job (or pod); 1 = all.
    pub thin: u32,
    /// Make sets of the trace's groups instead of bare pods.
    pub group: Spanned<TraceGroup>,
    /// Who decides where pods go.
    pub placement: Spanned<TracePlacement>,
    /// Rows that may be bad: skipped and counted.
    pub skip_bad_rows: u64,
    /// Memory for sorting a trace that is not in time order, bytes.
    pub sort_memory: Option<Quantity>,
    /// azure-packing-2020: the machine generation that nodes are.
    pub azure_machine: Option<u64>,
    /// google-2019: the tasks inside alloc sets are pods, not the sets.
    pub inner_tasks: bool,
}

/// `workload.trace.nodes`.
#[derive(Clone, Debug)]
pub struct TraceNodes {
    /// Files.
    pub files: Vec<Spanned<PathBuf>>,
    /// Disks of every node, since traces rarely name any.
    pub disks: Vec<DiskSpec>,
    /// Pods per node.
    pub pods: u32,
    /// Taints of every node.
    pub taints: Vec<TaintSpec>,
}

/// `workload.trace.gpu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuRule {
    /// GPUs are left out.
    Ignore,
    /// Extended resource `nvidia.com/gpu`, shares rounded up.
    Count,
}

/// `workload.trace.mode`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TraceMode {
    /// Pod i arrives at i x interval, nobody leaves.
    Fill,
    /// Times as given.
    Clock,
    /// Arrival times divided by this, durations as given.
    Compress(f64),
}

/// `workload.trace.until`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FillUntil {
    /// Which resource.
    pub resource: FillResource,
    /// Arrived demand over allocatable, 1.3 = 130 %.
    pub share: f64,
}

/// A resource that `until` watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillResource {
    /// CPU.
    Cpu,
    /// Memory.
    Memory,
    /// Bytes of volumes.
    Disk,
    /// GPUs.
    Gpu,
}

/// `workload.trace.claims`.
#[derive(Clone, Debug)]
pub struct TraceClaims {
    /// Share of the pods that get one, 0..=1, decided by each pod's name.
    pub share: f64,
    /// Class.
    pub class: Spanned<String>,
    /// Size in bytes, drawn per pod; `None` = the trace's own.
    pub size: Option<Size>,
}

/// `workload.trace.group`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceGroup {
    /// Every pod by itself.
    Pods,
    /// The trace's jobs or applications become sets.
    Sets,
}

/// `workload.trace.placement`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TracePlacement {
    /// The simulated scheduler.
    Scheduler,
    /// The trace's own.
    Trace,
}
