//! `summary.json`: every metric of a run by the definitions of the scenario contract, in the contract's own names.
//!
//! Counts are integers, bytes are 128-bit integers (a cluster may hold more than 16 EiB of made-up volumes), seconds and
//! shares are finite numbers of 12 significant digits, and `null` stands where there was nothing to measure.

use super::leaves::{Leaf, leaves};
use super::{SCHEMA_VERSION, TOOL, number};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The whole of `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name and version of the program: [`TOOL`].
    pub tool: String,
    /// The scenario's `name`.
    pub scenario: String,
    /// `blake3:<hex>` over the scenario as it was run, all files and overrides included.
    pub scenario_digest: String,
    /// The scenario's seed.
    pub seed: u64,
    /// Everything the user did not say and the run needed: defaults, catalogue entries, trace rules, conversions.
    pub assumptions: Vec<Assumption>,
    /// One entry per variant, in the order of the scenario. The first is the baseline of `comparison`.
    pub variants: Vec<VariantSummary>,
    /// Variant minus baseline for every numeric leaf; see [`compare`].
    pub comparison: Vec<Comparison>,
}

impl Default for Summary {
    fn default() -> Summary {
        Summary {
            schema_version: SCHEMA_VERSION,
            tool: TOOL.to_owned(),
            scenario: String::new(),
            scenario_digest: String::new(),
            seed: 0,
            assumptions: Vec::new(),
            variants: Vec::new(),
            comparison: Vec::new(),
        }
    }
}

/// Something the run took for granted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assumption {
    /// Where in the scenario, e.g. `report.stuckAfter`, or which object, e.g. `PersistentVolume/data-0`.
    pub path: String,
    /// What was taken, e.g. `5m`.
    pub value: String,
    /// Where it comes from.
    pub source: AssumptionSource,
    /// Why, in one sentence; may be empty.
    pub note: String,
}

/// Where an [`Assumption`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssumptionSource {
    /// A default of the scenario file or of Kubernetes.
    Default,
    /// The machine or workload catalogue.
    Catalogue,
    /// A rule by which a trace's rows became Kubernetes objects; what it made is synthetic.
    TraceRule,
    /// An old form of a Kubernetes object was rewritten to today's.
    Conversion,
}

/// Everything measured about one variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantSummary {
    /// The variant's name.
    pub name: String,
    /// `blake3:<hex>` over every observation of the run: equal digests mean equal runs.
    pub digest: String,
    /// Pods at the end of the run, and how they fared.
    pub pods: PodCounts,
    /// Workload objects with replicas (StatefulSets, Deployments, ReplicaSets).
    pub sets: SetCounts,
    /// Claims at the end of the run.
    pub claims: ClaimCounts,
    /// Creation to assignment, of the pods that the scheduler assigned during the run.
    pub pending_seconds: Percentiles,
    /// The same, with end minus creation for the pods that it never assigned.
    pub pending_seconds_with_unscheduled: Percentiles,
    /// Where the bytes of PersistentVolumes are.
    pub storage: StorageSummary,
    /// CPU, memory and disk that the workload's templates cannot use.
    pub stranded: StrandedSummary,
    /// Requested over allocatable.
    pub utilization: UtilizationSummary,
    /// Database groups, for workloads with `group: true`.
    pub recovery: RecoverySummary,
    /// Agenda events delivered.
    pub events: u64,
    /// Scheduling attempts that Kubernetes would make: pods popped from the scheduling queue.
    pub decisions: u64,
    /// Simulated time from the start to the end of the run.
    #[serde(with = "number")]
    pub simulated_seconds: f64,
}

/// Why a wanted pod is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StuckCause {
    /// No node passes the filters.
    Unschedulable,
    /// A claim is missing, lost, or waits for the PV controller (Immediate without a volume).
    UnboundClaim,
    /// Assigned, but binding its claims failed or timed out.
    BindError,
    /// `spec.nodeName` was set by hand, and the pod cannot start there.
    NodeName,
    /// It is Terminating on, or assigned to, a node that is unreachable or gone.
    NodeGone,
    /// An OrderedReady predecessor is stuck, so the pod was never created.
    NotCreated,
    /// The database operator is still rebuilding the member.
    Recovering,
    /// Held by something that the simulator does not model (scheduling gates, a foreign scheduler ...).
    NotModelled,
}

impl StuckCause {
    /// All causes in the order in which they are written.
    pub const ALL: [StuckCause; 8] = [
        StuckCause::Unschedulable,
        StuckCause::UnboundClaim,
        StuckCause::BindError,
        StuckCause::NodeName,
        StuckCause::NodeGone,
        StuckCause::NotCreated,
        StuckCause::Recovering,
        StuckCause::NotModelled,
    ];

    /// The name in `summary.json` and `pods.csv`.
    pub const fn name(self) -> &'static str {
        match self {
            StuckCause::Unschedulable => "unschedulable",
            StuckCause::UnboundClaim => "unboundClaim",
            StuckCause::BindError => "bindError",
            StuckCause::NodeName => "nodeName",
            StuckCause::NodeGone => "nodeGone",
            StuckCause::NotCreated => "notCreated",
            StuckCause::Recovering => "recovering",
            StuckCause::NotModelled => "notModelled",
        }
    }
}

/// Pods at the end of a run. `created` = running + pending + terminating + completed + failed + deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodCounts {
    /// Replicas that a workload object wants now, and bare pods that were not deleted.
    pub wanted: u64,
    /// Pod objects that ever existed.
    pub created: u64,
    /// Phase Running.
    pub running: u64,
    /// Phase Pending.
    pub pending: u64,
    /// With a deletionTimestamp.
    pub terminating: u64,
    /// Phase Succeeded.
    pub completed: u64,
    /// Phase Failed.
    pub failed: u64,
    /// Objects that are gone.
    pub deleted: u64,
    /// Wanted replicas without a pod object.
    pub not_created: u64,
    /// Wanted, but not Running for longer than `stuckAfter` without interruption.
    pub stuck: u64,
    /// `stuck` by cause; causes without a pod are left out.
    pub stuck_by: BTreeMap<StuckCause, u64>,
    /// Stuck, unscheduled, and some node would pass all filters if the pod's own bound claims were unbound.
    pub stuck_by_binding: u64,
    /// Pods that were stuck at any time.
    pub stuck_ever: u64,
    /// Pod-seconds spent stuck.
    #[serde(with = "number")]
    pub stuck_seconds: f64,
    /// Time-weighted mean number of pods whose PodScheduled condition is False with reason Unschedulable.
    #[serde(with = "number")]
    pub unschedulable_average: f64,
    /// Pods that were never assigned to a node.
    pub never_scheduled: u64,
    /// The last message of the stuck pods, by pods descending, then by text; at most 20, the rest as `other`.
    pub stuck_reasons: Vec<StuckReason>,
}

/// One line of [`PodCounts::stuck_reasons`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StuckReason {
    /// Kubernetes' own words, or `other`.
    pub message: String,
    /// How many stuck pods say this.
    pub pods: u64,
}

/// Reasons that are listed one by one; the rest are added up under [`OTHER_REASONS`].
pub const MAX_STUCK_REASONS: usize = 20;
/// The message that stands for all reasons behind the twentieth.
pub const OTHER_REASONS: &str = "other";

/// Groups the last messages of stuck pods: by pods descending, then by text, at most [`MAX_STUCK_REASONS`] and `other`.
pub fn stuck_reasons<I: IntoIterator<Item = S>, S: Into<String>>(messages: I) -> Vec<StuckReason> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for message in messages {
        *counts.entry(message.into()).or_insert(0) += 1;
    }
    let mut reasons: Vec<StuckReason> =
        counts.into_iter().map(|(message, pods)| StuckReason { message, pods }).collect();
    // The sort is stable and the map was in order of text.
    reasons.sort_by_key(|r| std::cmp::Reverse(r.pods));
    if reasons.len() > MAX_STUCK_REASONS {
        let rest = reasons.split_off(MAX_STUCK_REASONS).iter().map(|r| r.pods).sum();
        reasons.push(StuckReason { message: OTHER_REASONS.to_owned(), pods: rest });
    }
    reasons
}

/// Workload objects with replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetCounts {
    /// Sets that exist.
    pub wanted: u64,
    /// Sets with every wanted replica Running.
    pub whole: u64,
    /// Sets with at least one stuck replica.
    pub stuck: u64,
    /// Sets with at least one replica stuck by binding.
    pub stuck_by_binding: u64,
}

/// PersistentVolumeClaims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimCounts {
    /// Claim objects that ever existed.
    pub created: u64,
    /// Phase Bound at the end.
    pub bound: u64,
    /// Phase Pending at the end.
    pub pending: u64,
    /// Phase Lost at the end.
    pub lost: u64,
}

/// Nearest-rank percentiles in seconds; `null` when there was no pod to measure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// The median.
    #[serde(with = "number::option")]
    pub p50: Option<f64>,
    /// Nine in ten were at most this.
    #[serde(with = "number::option")]
    pub p90: Option<f64>,
    /// Ninety-nine in a hundred were at most this.
    #[serde(with = "number::option")]
    pub p99: Option<f64>,
    /// The largest.
    #[serde(with = "number::option")]
    pub max: Option<f64>,
}

/// Bytes of PersistentVolumes (LVM: volume groups) by what became of them.
///
/// `capacity = requested + over_size + released + free + unreachable`. The next three are parts of those: held by stuck
/// and orphaned of the bound ones, unusable of the free ones. `uncarved` lies in no volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageBytes {
    /// Over all existing volumes.
    pub capacity_bytes: u128,
    /// Requests of bound claims.
    pub requested_bytes: u128,
    /// Volume capacity minus request, over bound claims.
    pub over_size_bytes: u128,
    /// Volumes Released, Failed or being wiped.
    pub released_bytes: u128,
    /// Available volumes on Ready nodes.
    pub free_bytes: u128,
    /// Available volumes elsewhere.
    pub unreachable_bytes: u128,
    /// Bound volumes whose claim a stuck pod uses.
    pub held_by_stuck_bytes: u128,
    /// Bound volumes whose claim no pod and no living set replica uses.
    pub orphaned_bytes: u128,
    /// Free volumes that no claim of the workload's templates fits.
    pub unusable_free_bytes: u128,
    /// Disk bytes in no volume.
    pub uncarved_bytes: u128,
}

/// [`StorageBytes`] at the end of a run and its time-weighted mean (whole bytes, rounded to nearest).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageSummary {
    /// Over all existing volumes.
    pub capacity_bytes: u128,
    /// Requests of bound claims.
    pub requested_bytes: u128,
    /// Volume capacity minus request, over bound claims.
    pub over_size_bytes: u128,
    /// Volumes Released, Failed or being wiped.
    pub released_bytes: u128,
    /// Available volumes on Ready nodes.
    pub free_bytes: u128,
    /// Available volumes elsewhere.
    pub unreachable_bytes: u128,
    /// Bound volumes whose claim a stuck pod uses.
    pub held_by_stuck_bytes: u128,
    /// Bound volumes whose claim no pod and no living set replica uses.
    pub orphaned_bytes: u128,
    /// Free volumes that no claim of the workload's templates fits.
    pub unusable_free_bytes: u128,
    /// Disk bytes in no volume.
    pub uncarved_bytes: u128,
    /// The means over simulated time.
    pub time_weighted: StorageBytes,
}

impl StorageSummary {
    /// From the state at the end and the means over time.
    pub fn new(end: StorageBytes, time_weighted: StorageBytes) -> StorageSummary {
        StorageSummary {
            capacity_bytes: end.capacity_bytes,
            requested_bytes: end.requested_bytes,
            over_size_bytes: end.over_size_bytes,
            released_bytes: end.released_bytes,
            free_bytes: end.free_bytes,
            unreachable_bytes: end.unreachable_bytes,
            held_by_stuck_bytes: end.held_by_stuck_bytes,
            orphaned_bytes: end.orphaned_bytes,
            unusable_free_bytes: end.unusable_free_bytes,
            uncarved_bytes: end.uncarved_bytes,
            time_weighted,
        }
    }

    /// Bytes of volumes that are bound to a claim.
    pub fn bound_bytes(&self) -> u128 {
        self.requested_bytes + self.over_size_bytes
    }
}

/// Resources that storage (or, for disk, CPU and memory) puts out of the reach of the workload's templates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stranded {
    /// Free CPU of nodes whose storage is the only obstacle, weighted over the templates, in thousandths of a core.
    #[serde(with = "number")]
    pub cpu_milli: f64,
    /// Free memory of those nodes, weighted likewise, rounded to whole bytes.
    pub memory_bytes: u128,
    /// Free bytes of volumes on nodes where CPU, memory or the pod limit is the only obstacle, weighted likewise.
    pub disk_bytes: u128,
    /// Nodes that every template could use but for storage (a mean over time may be fractional).
    #[serde(with = "number")]
    pub nodes: f64,
}

/// [`Stranded`] at the end, at its peak and on average.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StrandedSummary {
    /// At the end of the run.
    pub end: Stranded,
    /// The largest value of each over the samples and the end (each at its own time).
    pub peak: Stranded,
    /// The time-weighted mean over samples.
    pub time_weighted: Stranded,
    /// The share of PV bytes bound at which stranded CPU first exceeds 5 % of allocatable; `null`: never.
    #[serde(with = "number::option")]
    pub onset: Option<f64>,
}

/// Shares between 0 and 1; `null` where there is nothing to use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Utilization {
    /// CPU requested over allocatable of existing nodes.
    #[serde(with = "number::option")]
    pub cpu: Option<f64>,
    /// Memory requested over allocatable of existing nodes.
    #[serde(with = "number::option")]
    pub memory: Option<f64>,
    /// Bound over capacity of PersistentVolumes.
    #[serde(with = "number::option")]
    pub storage: Option<f64>,
}

/// [`Utilization`], time-weighted and at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UtilizationSummary {
    /// CPU requested over allocatable, time-weighted.
    #[serde(with = "number::option")]
    pub cpu: Option<f64>,
    /// Memory requested over allocatable, time-weighted.
    #[serde(with = "number::option")]
    pub memory: Option<f64>,
    /// Bound over capacity of PersistentVolumes, time-weighted.
    #[serde(with = "number::option")]
    pub storage: Option<f64>,
    /// The same at the end of the run.
    pub at_end: Utilization,
}

/// Database groups, in group-seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoverySummary {
    /// Groups that the workload has.
    pub groups: u64,
    /// With fewer members Running and caught up than replicas.
    #[serde(with = "number")]
    pub degraded_seconds: f64,
    /// With fewer members than floor(n/2)+1.
    #[serde(with = "number")]
    pub quorum_lost_seconds: f64,
    /// Copied from backups or members to rebuild members.
    pub rebuilt_bytes: u128,
    /// Groups that were degraded at the end.
    pub never_recovered: u64,
    /// The same by what their first missing member lacks: `noSpareVolume`, `noCpu` ...
    #[serde(default)]
    pub never_recovered_by: BTreeMap<String, u64>,
    /// Members rebuilt on an empty disk.
    #[serde(default)]
    pub rebuilds: u64,
    /// Sent to members that caught up.
    #[serde(default)]
    pub catch_up_bytes: u128,
    /// With at most one member that holds all that was written: one more loss loses data.
    #[serde(with = "number", default)]
    pub data_at_risk_seconds: f64,
    /// Time of writing that was lost with its last holder.
    #[serde(with = "number", default)]
    pub lost_write_seconds: f64,
}

/// A difference of two numbers, exact where both were integers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Difference {
    /// Of counts or bytes.
    Integer(i128),
    /// Of seconds or shares.
    Float(f64),
}

impl Difference {
    /// As a float, for colouring and sorting.
    pub fn as_f64(self) -> f64 {
        match self {
            Difference::Integer(n) => n as f64,
            Difference::Float(x) => x,
        }
    }
}

/// A variant against the baseline: dotted path of a number in [`VariantSummary`] to variant minus baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The first variant's name.
    pub baseline: String,
    /// The other variant's name.
    pub variant: String,
    /// In bytewise order of the paths.
    pub differences: BTreeMap<String, Difference>,
}

/// Compares every variant after the first with the first.
///
/// Every number that both have is compared; of `pods.stuckBy`, a cause that one of them lacks counts as 0 there. What is
/// `null` in one of them is left out, and so are lists (`pods.stuckReasons`), whose entries do not correspond.
pub fn compare(variants: &[VariantSummary]) -> Vec<Comparison> {
    let Some((baseline, others)) = variants.split_first() else { return Vec::new() };
    let base = leaves(baseline);
    let of = |variant: &VariantSummary| {
        let mine = leaves(variant);
        let mut paths: Vec<&String> = base.keys().chain(mine.keys()).collect();
        paths.sort();
        paths.dedup();
        let zero = Leaf::Integer(0);
        let mut differences = BTreeMap::new();
        for path in paths {
            let pair = (mine.get(path).unwrap_or(&zero), base.get(path).unwrap_or(&zero));
            let difference = match pair {
                (Leaf::Integer(a), Leaf::Integer(b)) => Difference::Integer(a.saturating_sub(*b)),
                (a, b) => match (a.as_f64(), b.as_f64()) {
                    (Some(a), Some(b)) => Difference::Float(a - b),
                    _ => continue,
                },
            };
            differences.insert(path.clone(), difference);
        }
        Comparison { baseline: baseline.name.clone(), variant: variant.name.clone(), differences }
    };
    others.iter().map(of).collect()
}

impl Serialize for Comparison {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.differences.len() + 2))?;
        map.serialize_entry("baseline", &self.baseline)?;
        map.serialize_entry("variant", &self.variant)?;
        for (path, difference) in &self.differences {
            match difference {
                Difference::Integer(n) => map.serialize_entry(path, n)?,
                Difference::Float(x) => map.serialize_entry(path, &number::rounded(*x))?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Comparison {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Comparison, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Comparison;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a comparison of two variants")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Comparison, A::Error> {
                let mut found = Comparison {
                    baseline: String::new(),
                    variant: String::new(),
                    differences: BTreeMap::new(),
                };
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "baseline" => found.baseline = map.next_value()?,
                        "variant" => found.variant = map.next_value()?,
                        _ => {
                            if let Some(difference) = map.next_value::<Option<Difference>>()? {
                                found.differences.insert(key, difference);
                            }
                        }
                    }
                }
                Ok(found)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for Difference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Difference, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Difference;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_i64<E>(self, n: i64) -> Result<Difference, E> {
                Ok(Difference::Integer(n.into()))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Difference, E> {
                Ok(Difference::Integer(n.into()))
            }
            fn visit_f64<E>(self, x: f64) -> Result<Difference, E> {
                Ok(Difference::Float(x))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests;
