//! A recorded case: what it contains and how it is read.

use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// `<level>-<seed>`.
    pub id: String,
    /// What differs from the default configuration.
    #[serde(default)]
    pub config: Config,
    /// Kubernetes objects in the order of loading.
    pub objects: Vec<serde_json::Value>,
    /// What the PV controller had done before the first attempt.
    #[serde(default)]
    pub immediate_bindings: Vec<ImmediateBinding>,
    /// The attempts.
    pub steps: Vec<Step>,
}

/// Configuration of a case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// The feature gate StorageCapacityScoring.
    pub storage_capacity_scoring: bool,
    /// `VolumeBindingArgs.shape`.
    pub shape: Vec<ShapePoint>,
    /// Provisioned bytes are taken off the CSIStorageCapacity objects.
    pub capacity_tracking: bool,
    /// Numbers stand for lists in the expectations.
    pub compact: bool,
}

/// A point of `VolumeBindingArgs.shape`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ShapePoint {
    /// Percent.
    pub utilization: i64,
    /// 0..=10.
    pub score: i64,
}

/// The state of a claim after loading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImmediateBinding {
    /// `namespace/name`.
    pub pvc: String,
    /// Pending, Bound or Lost.
    pub phase: String,
    /// The volume, if it is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pv: Option<String>,
}

/// An attempt.
#[derive(Clone, Debug, Deserialize)]
pub struct Step {
    /// `namespace/name`.
    pub pod: String,
    /// What happened.
    pub expect: Expect,
}

/// Everything that is recorded of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Expect {
    /// `bound`, `unschedulable`, `error` or `bindError`.
    pub result: String,
    /// The chosen node of a bound pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The chosen node of a binding that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempted_node: Option<String>,
    /// Nodes that passed every filter, sorted.
    pub feasible: Vec<String>,
    /// The other nodes, by status.
    pub rejected: Vec<Rejected>,
    /// Nodes that were not looked at.
    pub not_evaluated: Vec<String>,
    /// PreFilter rejected the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_filter: Option<Status>,
    /// Normalized weighted scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
    /// Nodes of the highest total, sorted.
    pub top: Vec<String>,
    /// What VolumeBinding found per feasible node.
    pub volumes: BTreeMap<String, Volumes>,
    /// Claims that became bound to an existing volume.
    pub bindings: Vec<Bound>,
    /// Claims for which a volume was made.
    pub provisions: Vec<Provisioned>,
    /// Reason of the PodScheduled condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What preemption decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preemption: Option<Preemption>,
    /// Nomination of the pod before the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nominated_node_before: Option<String>,
    /// Compact: number of feasible nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_feasible: Option<usize>,
    /// Compact: the highest total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_score: Option<i64>,
}

/// Nodes with one status.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rejected {
    /// Sorted names.
    pub nodes: Vec<String>,
    /// The plugin; empty for nodes outside the set that PreFilter returned.
    pub plugin: String,
    /// `Unschedulable` or `UnschedulableAndUnresolvable`.
    pub code: String,
    /// Sorted.
    pub reasons: Vec<String>,
}

/// A plugin's no.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Status {
    /// The plugin; empty for nodes outside the set that PreFilter returned.
    pub plugin: String,
    /// `Unschedulable` or `UnschedulableAndUnresolvable`.
    pub code: String,
    /// Sorted.
    pub reasons: Vec<String>,
}

/// Scores of all feasible nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scores {
    /// Columns.
    pub plugins: Vec<String>,
    /// Per node one number per column.
    pub nodes: BTreeMap<String, Vec<i64>>,
    /// Sums.
    pub total: BTreeMap<String, i64>,
}

/// Volumes chosen on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volumes {
    /// Claim to volume.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bind: BTreeMap<String, String>,
    /// Claims to be provisioned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provision: Vec<String>,
}

/// A claim and its volume.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bound {
    /// The claim.
    pub pvc: String,
    /// The volume.
    pub pv: String,
}

/// A claim, the node selected for it, and the volume made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Provisioned {
    /// The claim.
    pub pvc: String,
    /// The node.
    pub node: String,
    /// The volume.
    #[serde(default)]
    pub pv: String,
}

/// A nomination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preemption {
    /// Where.
    pub nominated_node: String,
    /// Pods deleted, sorted.
    pub victims: Vec<String>,
    /// Every candidate node with its victims, the most important first.
    pub candidates: BTreeMap<String, Vec<String>>,
}

/// Opens a file of cases, compressed if its name ends in `.gz`.
///
/// # Errors
/// What the file system says.
pub fn read_lines(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = limits::open(path)?;
    if path.extension().is_some_and(|e| e == "gz") {
        return Ok(Box::new(BufReader::with_capacity(1 << 16, flate2::read::MultiGzDecoder::new(file))));
    }
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}
