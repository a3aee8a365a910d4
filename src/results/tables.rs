//! The rows of the CSV tables, one struct per table; the field names are the column names.
//!
//! Units are in the names: `_seconds` since the start of the run (or a span), `_bytes`, `_milli` (thousandths of a core).
//! Empty cells mean "does not apply". Texts that a spreadsheet would take for a formula are defused by [`text`].
//! `docs/RESULTS.md` explains every column.

use super::number;
use super::summary::{Assumption, VariantSummary};
use crate::limits::ShortLines;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub use super::csv_lines::write_csv;

/// Everything that one variant leaves behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VariantOutput {
    /// Its part of `summary.json`.
    pub summary: VariantSummary,
    /// `pods.csv`: every pod that existed or is wanted, in bytewise order of namespace and name.
    pub pods: Vec<PodRow>,
    /// `claims.csv`: every claim that existed, in bytewise order of namespace and name.
    pub claims: Vec<ClaimRow>,
    /// `nodes.csv`: every node that existed, in bytewise order of name.
    pub nodes: Vec<NodeRow>,
    /// `volumes.csv`: every PersistentVolume or volume group that existed, in bytewise order of name.
    pub volumes: Vec<VolumeRow>,
    /// `timeseries.csv`: one row per `report.sample`, and one at the end.
    pub timeseries: Vec<SampleRow>,
    /// `stranding.csv`: one row per whole percent of PV bytes bound, when it was first reached.
    pub stranding: Vec<StrandingRow>,
    /// `groups.csv`: every database group, in bytewise order of namespace and name; not written if there are none.
    pub groups: Vec<GroupRow>,
    /// `node_states.csv`: what each node had run out of, a row whenever that changed.
    pub node_heat: Vec<NodeHeatRow>,
    /// `incidents.csv`: what failed and recovered, in the order in which it began; not written if there is nothing.
    pub incidents: Vec<IncidentRow>,
    /// `events.jsonl`, ready to be written; `None` unless `--events` asked for it.
    pub events_jsonl: Option<Vec<u8>>,
    /// What was left out of the tables because there was too much of it, for `assumptions`.
    pub left_out: Vec<Assumption>,
    /// For the planner, in no file: the 99th percentile of creation to assignment, the never assigned counting as infinite;
    /// `None`: infinite.
    pub pending_p99_seconds: Option<f64>,
    /// For the terminal, in no file: what was exempt from the invariants; `None`: nothing was checked.
    pub exempt: Option<Vec<String>>,
    /// What the run found out about its input, for `assumptions` of `summary.json`.
    pub notes: Vec<Assumption>,
    /// For the planner, in no file: sets of which a replica was stuck at any time, also those that are gone.
    pub sets_stuck_ever: u64,
    /// For `--stats`, in no file: the work that the run took.
    pub work: Work,
}

/// Work that a run took. It depends on the engine, the results do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Decisions that were counted without being made, because their outcome was known.
    pub counted: u64,
    /// Decisions made by the fast path.
    pub fast: u64,
    /// Those of them that were failures put together from what was known.
    pub remembered: u64,
    /// Decisions made by the plain scan.
    pub plain: u64,
    /// Calls of a Filter or Score plugin for one node, but for the dry runs of preemption.
    pub evaluations: u64,
    /// Nodes judged by arithmetic instead.
    pub computed: u64,
    /// Verdicts of nodes taken from the cache.
    pub cached: u64,
}

/// A text cell: most are short enough to need no memory of their own.
pub type Text = compact_str::CompactString;

/// A row of `pods.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodRow {
    /// Namespace.
    #[serde(with = "text")]
    pub namespace: Text,
    /// Name; of a wanted replica that was never created, the name that it would have.
    #[serde(with = "text")]
    pub name: Text,
    /// Kind of the controlling object (`StatefulSet`, `ReplicaSet`, `Job` ...), empty for bare pods.
    #[serde(with = "text")]
    pub owner: Text,
    /// Name of the set that wants the pod, empty for bare pods.
    #[serde(with = "text")]
    pub set: Text,
    /// The pod template: pods with the same number ask for the same.
    pub template: Option<u32>,
    /// Node that it was assigned to.
    #[serde(with = "text")]
    pub node: Text,
    /// `Pending`, `Running`, `Succeeded`, `Failed`, empty when never created.
    #[serde(with = "text")]
    pub phase: Text,
    /// What `kubectl get pods` shows: the phase, or `Terminating`, `Deleted`, `NotCreated`.
    #[serde(with = "text")]
    pub status: Text,
    /// Wanted, but not Running for longer than `stuckAfter`, at the end.
    pub stuck: bool,
    /// Why; the names of [`super::summary::StuckCause`], empty unless stuck.
    #[serde(with = "text")]
    pub stuck_cause: Text,
    /// Some node would take it if its own claims were unbound.
    pub stuck_by_binding: bool,
    /// Pod object created; empty if it never was.
    #[serde(with = "number::option")]
    pub created_seconds: Option<f64>,
    /// Assigned to a node.
    #[serde(with = "number::option")]
    pub scheduled_seconds: Option<f64>,
    /// Running for the first time.
    #[serde(with = "number::option")]
    pub running_seconds: Option<f64>,
    /// Object gone.
    #[serde(with = "number::option")]
    pub deleted_seconds: Option<f64>,
    /// Creation to assignment, or to the end of the run or of the pod if it never was assigned.
    #[serde(with = "number::option")]
    pub pending_seconds: Option<f64>,
    /// Scheduling attempts.
    pub attempts: u64,
    /// CPU request.
    pub cpu_milli: i64,
    /// Memory request.
    pub memory_bytes: i64,
    /// Names of its claims, separated by blanks.
    #[serde(with = "text")]
    pub claims: Text,
    /// The scheduler's (or controller's) last message about it.
    #[serde(with = "text")]
    pub last_message: Arc<str>,
}

/// A row of `groups.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupRow {
    /// Namespace.
    #[serde(with = "text")]
    pub namespace: Text,
    /// Name of the StatefulSet.
    #[serde(with = "text")]
    pub name: Text,
    /// It exists at the end.
    pub exists: bool,
    /// Members wanted.
    pub replicas: u32,
    /// Members Running and caught up at the end.
    pub ready: u32,
    /// Time with fewer such members than replicas.
    #[serde(with = "number")]
    pub degraded_seconds: f64,
    /// Time with fewer such members than a quorum.
    #[serde(with = "number")]
    pub quorum_lost_seconds: f64,
    /// Time with at most one member that holds all that was written.
    #[serde(with = "number")]
    pub data_at_risk_seconds: f64,
    /// Time of writing that was lost with its last holder.
    #[serde(with = "number")]
    pub lost_write_seconds: f64,
    /// Members rebuilt on an empty disk.
    pub rebuilds: u64,
    /// Bytes copied for that.
    pub rebuilt_bytes: u128,
    /// Bytes sent to members that caught up.
    pub catch_up_bytes: u128,
    /// Degraded at the end.
    pub never_recovered: bool,
    /// What the first missing member lacks then: `noSpareVolume`, `noCpu`, `antiAffinity`, `volumeElsewhere`, `nodeGone` ...
    #[serde(with = "text")]
    pub reason: Text,
    /// The last message about it.
    #[serde(with = "text")]
    pub message: Text,
}

/// A row of `claims.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimRow {
    /// Namespace.
    #[serde(with = "text")]
    pub namespace: Text,
    /// Name.
    #[serde(with = "text")]
    pub name: Text,
    /// StorageClass.
    #[serde(with = "text")]
    pub class: Text,
    /// `Immediate` or `WaitForFirstConsumer`, as the class says in this variant; empty if the class does not exist.
    #[serde(with = "text")]
    pub binding_mode: Text,
    /// `Pending`, `Bound`, `Lost`, or `Deleted`.
    #[serde(with = "text")]
    pub phase: Text,
    /// What it asks for.
    pub request_bytes: u128,
    /// Volume that it is bound to.
    #[serde(with = "text")]
    pub volume: Text,
    /// Capacity of that volume.
    pub volume_bytes: Option<u128>,
    /// Capacity minus request.
    pub over_size_bytes: Option<u128>,
    /// Node that the volume is on.
    #[serde(with = "text")]
    pub node: Text,
    /// A pod that uses it.
    #[serde(with = "text")]
    pub pod: Text,
    /// Bound, and a stuck pod uses it.
    pub held_by_stuck: bool,
    /// Bound, and no pod and no living set replica uses it.
    pub orphaned: bool,
    /// Created.
    #[serde(with = "number::option")]
    pub created_seconds: Option<f64>,
    /// Bound for the last time.
    #[serde(with = "number::option")]
    pub bound_seconds: Option<f64>,
    /// Object gone.
    #[serde(with = "number::option")]
    pub deleted_seconds: Option<f64>,
}

/// A row of `nodes.csv`, the state at the end of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Name.
    #[serde(with = "text")]
    pub name: Text,
    /// Label `topology.kubernetes.io/zone`.
    #[serde(with = "text")]
    pub zone: Text,
    /// Label `rack`.
    #[serde(with = "text")]
    pub rack: Text,
    /// The object exists.
    pub exists: bool,
    /// Condition Ready is True.
    pub ready: bool,
    /// `spec.unschedulable` is not set.
    pub schedulable: bool,
    /// CPU allocatable.
    pub cpu_allocatable_milli: i64,
    /// CPU requested by its pods.
    pub cpu_requested_milli: i64,
    /// Free CPU that storage strands, weighted over the templates.
    #[serde(with = "number")]
    pub cpu_stranded_milli: f64,
    /// Memory allocatable.
    pub memory_allocatable_bytes: i64,
    /// Memory requested by its pods.
    pub memory_requested_bytes: i64,
    /// Free memory that storage strands, weighted over the templates.
    pub memory_stranded_bytes: u128,
    /// Pods assigned to it.
    pub pods: u64,
    /// Pods that it may hold.
    pub pods_allocatable: u64,
    /// PersistentVolumes on it.
    pub volumes: u64,
    /// Those that are bound.
    pub volumes_bound: u64,
    /// Those that are Available.
    pub volumes_free: u64,
    /// Their capacity.
    pub volumes_bytes: u128,
    /// Capacity of the bound ones.
    pub volumes_bound_bytes: u128,
    /// Capacity of the Available ones.
    pub volumes_free_bytes: u128,
    /// Free bytes that CPU, memory or the pod limit strands, weighted over the templates.
    pub disk_stranded_bytes: u128,
    /// What it ran out of first: a name of [`NodeState`], empty if it never did.
    #[serde(with = "text")]
    pub first_exhausted: Text,
    /// When that was.
    #[serde(with = "number::option")]
    pub first_exhausted_seconds: Option<f64>,
}

/// A row of `volumes.csv`, the state at the end of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumeRow {
    /// Name of the PersistentVolume or volume group.
    #[serde(with = "text")]
    pub name: Text,
    /// Node that its affinity names; empty if it names none or several.
    #[serde(with = "text")]
    pub node: Text,
    /// StorageClass.
    #[serde(with = "text")]
    pub class: Text,
    /// Capacity.
    pub capacity_bytes: u128,
    /// `Available`, `Bound`, `Released`, `Failed`, `Wiping`, `Deleted`.
    #[serde(with = "text")]
    pub phase: Text,
    /// `Delete` or `Retain`.
    #[serde(with = "text")]
    pub reclaim_policy: Text,
    /// Claim that it is bound to, as `namespace/name`.
    #[serde(with = "text")]
    pub claim: Text,
    /// What that claim asks for (volume group: all its claims).
    pub request_bytes: Option<u128>,
    /// Capacity minus request of a bound volume.
    pub over_size_bytes: Option<u128>,
    /// Bound, and a stuck pod uses the claim.
    pub held_by_stuck: bool,
    /// Bound, and no pod and no living set replica uses the claim.
    pub orphaned: bool,
    /// Available, and no claim of the workload's templates fits.
    pub unusable: bool,
    /// How often it was bound.
    pub bindings: u64,
    /// Bound for the last time.
    #[serde(with = "number::option")]
    pub bound_seconds: Option<f64>,
}

/// A row of `timeseries.csv`: the state at one sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleRow {
    /// When.
    #[serde(with = "number")]
    pub seconds: f64,
    /// Replicas that a workload object wants, and bare pods that were not deleted.
    pub wanted: u64,
    /// Phase Running.
    pub running: u64,
    /// Phase Pending.
    pub pending: u64,
    /// With a deletionTimestamp.
    pub terminating: u64,
    /// PodScheduled is False with reason Unschedulable.
    pub unschedulable: u64,
    /// Wanted and not Running for longer than `stuckAfter`.
    pub stuck: u64,
    /// Stuck, by cause: no node passes the filters.
    pub stuck_unschedulable: u64,
    /// A claim is unbound.
    pub stuck_unbound_claim: u64,
    /// Binding failed.
    pub stuck_bind_error: u64,
    /// `spec.nodeName` set by hand.
    pub stuck_node_name: u64,
    /// Terminating on, or assigned to, a node that is gone.
    pub stuck_node_gone: u64,
    /// An OrderedReady predecessor is stuck.
    pub stuck_not_created: u64,
    /// Being rebuilt.
    pub stuck_recovering: u64,
    /// Held by something that is not modelled.
    pub stuck_not_modelled: u64,
    /// Claims Bound.
    pub claims_bound: u64,
    /// Claims Pending.
    pub claims_pending: u64,
    /// Claims Lost.
    pub claims_lost: u64,
    /// Capacity of all existing volumes.
    pub capacity_bytes: u128,
    /// Requests of bound claims.
    pub requested_bytes: u128,
    /// Capacity minus request over bound claims.
    pub over_size_bytes: u128,
    /// Volumes Released, Failed or being wiped.
    pub released_bytes: u128,
    /// Volumes Available on Ready nodes.
    pub free_bytes: u128,
    /// Volumes Available elsewhere.
    pub unreachable_bytes: u128,
    /// Bound, and a stuck pod uses the claim.
    pub held_by_stuck_bytes: u128,
    /// Bound, and no pod and no living set replica uses the claim.
    pub orphaned_bytes: u128,
    /// Free, and no claim of the workload's templates fits.
    pub unusable_free_bytes: u128,
    /// CPU allocatable of existing nodes.
    pub cpu_allocatable_milli: i64,
    /// CPU requested by pods on them.
    pub cpu_requested_milli: i64,
    /// Free CPU that storage strands.
    #[serde(with = "number")]
    pub cpu_stranded_milli: f64,
    /// Memory allocatable of existing nodes.
    pub memory_allocatable_bytes: u128,
    /// Memory requested by pods on them.
    pub memory_requested_bytes: u128,
    /// Free memory that storage strands.
    pub memory_stranded_bytes: u128,
    /// Free volume bytes that CPU, memory or the pod limit strands.
    pub disk_stranded_bytes: u128,
    /// Nodes that every template could use but for storage.
    pub nodes_stranded: u64,
    /// Nodes that exist.
    pub nodes: u64,
    /// Nodes that are Ready.
    pub nodes_ready: u64,
    /// Database groups with fewer members caught up than replicas.
    pub groups_degraded: u64,
    /// Database groups without a quorum.
    pub groups_quorum_lost: u64,
}

/// A row of `stranding.csv`: the state when a whole percent of PV bytes was bound for the first time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StrandingRow {
    /// Percent of PV bytes bound, 0 to 100. A jump over several percent gives each of them a row of the same instant.
    pub bound_percent: u32,
    /// When it was first reached.
    #[serde(with = "number")]
    pub seconds: f64,
    /// Bytes of volumes bound then.
    pub bound_bytes: u128,
    /// Bytes of all existing volumes then.
    pub capacity_bytes: u128,
    /// Stranded CPU over allocatable.
    #[serde(with = "number")]
    pub cpu_stranded_share: f64,
    /// Stranded memory over allocatable.
    #[serde(with = "number")]
    pub memory_stranded_share: f64,
    /// Stranded CPU.
    #[serde(with = "number")]
    pub cpu_stranded_milli: f64,
    /// Stranded memory.
    pub memory_stranded_bytes: u128,
    /// Replicas wanted.
    pub wanted: u64,
    /// Pods Running.
    pub running: u64,
    /// Replicas stuck.
    pub stuck: u64,
}

/// What stands in the way of one more pod of the workload on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Nothing: one more pod of some template fits.
    #[default]
    Room,
    /// Local storage: the volume filters fail for every template that passes all else.
    Disk,
    /// CPU.
    Cpu,
    /// Memory.
    Memory,
    /// The node's pod limit.
    Pods,
    /// An extended resource, or several resources at once.
    Other,
    /// Not Ready, cordoned, or gone.
    Down,
}

impl NodeState {
    /// All states in the order of the legend.
    pub const ALL: [NodeState; 7] = [
        NodeState::Room,
        NodeState::Disk,
        NodeState::Cpu,
        NodeState::Memory,
        NodeState::Pods,
        NodeState::Other,
        NodeState::Down,
    ];

    /// The name in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            NodeState::Room => "room",
            NodeState::Disk => "disk",
            NodeState::Cpu => "cpu",
            NodeState::Memory => "memory",
            NodeState::Pods => "pods",
            NodeState::Other => "other",
            NodeState::Down => "down",
        }
    }

    /// What it means, for people.
    pub const fn words(self) -> &'static str {
        match self {
            NodeState::Room => "nothing: one more pod fits",
            NodeState::Disk => "local storage, and nothing else",
            NodeState::Cpu => "CPU",
            NodeState::Memory => "memory",
            NodeState::Pods => "the pod limit",
            NodeState::Other => "several things, or something other than CPU, memory, pods or storage",
            NodeState::Down => "the node is down, gone or cordoned",
        }
    }
}

/// A row of `node_states.csv`: from `seconds` on, `node` is in `state`. Nodes start with [`NodeState::Room`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeHeatRow {
    /// When.
    #[serde(with = "number")]
    pub seconds: f64,
    /// Which node.
    #[serde(with = "text")]
    pub node: Text,
    /// What it has run out of.
    pub state: NodeState,
}

/// What failed or recovered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A database group has fewer members Running and caught up than a quorum.
    QuorumLost,
    /// What a group wrote last is on no disk any more.
    WritesLost,
    /// A bound PersistentVolume is gone with its disk.
    VolumeLost,
    /// The object of a node was deleted.
    NodeDeleted,
    /// The Ready condition of a node is not True.
    #[default]
    NodeNotReady,
    /// A database group lacks a member that it had.
    GroupDegraded,
    /// A member's data is copied from a backup.
    Rebuild,
}

impl IncidentKind {
    /// All, the worst first.
    pub const ALL: [IncidentKind; 7] = [
        IncidentKind::QuorumLost,
        IncidentKind::WritesLost,
        IncidentKind::VolumeLost,
        IncidentKind::NodeDeleted,
        IncidentKind::NodeNotReady,
        IncidentKind::GroupDegraded,
        IncidentKind::Rebuild,
    ];

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            IncidentKind::QuorumLost => "group without a quorum",
            IncidentKind::WritesLost => "writes lost",
            IncidentKind::VolumeLost => "bound volume lost",
            IncidentKind::NodeDeleted => "node deleted",
            IncidentKind::NodeNotReady => "node not Ready",
            IncidentKind::GroupDegraded => "group lacks a member",
            IncidentKind::Rebuild => "member rebuilt from a backup",
        }
    }
}

/// A row of `incidents.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IncidentRow {
    /// When it began.
    #[serde(with = "number")]
    pub seconds: f64,
    /// When it was over; empty if it is not over at the end of the run.
    #[serde(with = "number::option")]
    pub until_seconds: Option<f64>,
    /// What.
    pub what: IncidentKind,
    /// Name of the node, volume, or `namespace/name` of the StatefulSet or pod.
    #[serde(with = "text")]
    pub object: String,
    /// Pods on the node when it went; members that the group lacked at the worst.
    pub pods: u64,
    /// Bytes of the volume, or to copy.
    pub bytes: Option<u128>,
    /// Time of writing that is lost.
    #[serde(with = "number::option")]
    pub lost_write_seconds: Option<f64>,
}

/// Text cells that no spreadsheet takes for a formula.
///
/// A text that begins with `=`, `+`, `-`, `@`, a tab, a carriage return or `'` gets a `'` in front when it is written and
/// loses it when it is read back.
pub mod text {
    use super::Text;
    use serde::{Deserialize, Deserializer, Serializer};

    const SIGNS: [u8; 7] = [b'=', b'+', b'-', b'@', b'\t', b'\r', b'\''];

    fn has_sign(text: &str) -> bool {
        text.as_bytes().first().is_some_and(|first| SIGNS.contains(first))
    }

    /// The text as it stands in the file.
    pub fn defused(text: &str) -> std::borrow::Cow<'_, str> {
        if has_sign(text) { format!("'{text}").into() } else { text.into() }
    }

    /// The text that [`defused`] came from.
    pub fn restored(cell: &str) -> &str {
        cell.strip_prefix('\'').filter(|rest| has_sign(rest)).unwrap_or(cell)
    }

    /// For `#[serde(with = "text")]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&defused(text))
    }

    /// For `#[serde(with = "text")]`.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>, T: for<'t> From<&'t str>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Ok(restored(&Text::deserialize(deserializer)?).into())
    }
}

/// Reads what [`write_csv`] wrote. Columns that this version does not know are passed over.
///
/// # Errors
/// Unreadable input, or a row that does not fit the columns, with its line.
pub fn read_csv<T: for<'de> Deserialize<'de>, R: std::io::Read>(reader: R) -> Result<Vec<T>, csv::Error> {
    csv::Reader::from_reader(ShortLines::new(reader)).deserialize().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas_and_come_back() {
        for (text, cell) in [
            ("mysql-0", "mysql-0"),
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("'=x", "''=x"),
            ("", ""),
        ] {
            assert_eq!(text::defused(text), cell);
            assert_eq!(text::restored(cell), text);
        }
    }

    #[test]
    fn tables_round_trip() {
        let rows = vec![
            VolumeRow {
                name: "=1+1".into(),
                node: "n, \"quoted\"\nsecond line".into(),
                capacity_bytes: u128::from(u64::MAX) * 1000,
                request_bytes: None,
                bound_seconds: Some(0.1 + 0.2),
                unusable: true,
                ..VolumeRow::default()
            },
            VolumeRow { over_size_bytes: Some(7), ..VolumeRow::default() },
        ];
        let bytes = write_csv(&rows, Vec::new()).expect("writes to memory");
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        assert!(text.starts_with("name,node,class,capacity_bytes,phase,"), "{text}");
        assert!(text.contains("18446744073709551615000"), "{text}");
        let mut want = rows;
        want[0].bound_seconds = Some(0.3);
        assert_eq!(read_csv::<VolumeRow, _>(bytes.as_slice()).expect("reads"), want);
    }

    #[test]
    fn an_empty_table_has_its_header() {
        let bytes = write_csv::<StrandingRow, _>(&[], Vec::new()).expect("writes to memory");
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        assert!(text.starts_with("bound_percent,seconds,") && text.ends_with(",stuck\n"), "{text:?}");
        assert_eq!(read_csv::<StrandingRow, _>(bytes.as_slice()).expect("reads"), []);
    }

    fn columns<T: Serialize + Default>() -> Vec<String> {
        let bytes = write_csv::<T, _>(&[], Vec::new()).expect("writes to memory");
        String::from_utf8(bytes).expect("UTF-8").trim().split(',').map(str::to_owned).collect()
    }

    #[test]
    fn every_column_is_documented() {
        let document = include_str!("../../docs/RESULTS.md");
        for (file, columns) in [
            ("pods.csv", columns::<PodRow>()),
            ("claims.csv", columns::<ClaimRow>()),
            ("nodes.csv", columns::<NodeRow>()),
            ("volumes.csv", columns::<VolumeRow>()),
            ("timeseries.csv", columns::<SampleRow>()),
            ("stranding.csv", columns::<StrandingRow>()),
            ("node_states.csv", columns::<NodeHeatRow>()),
            ("incidents.csv", columns::<IncidentRow>()),
        ] {
            let section = document
                .split(&format!("\n## {file}\n"))
                .nth(1)
                .unwrap_or_else(|| panic!("no section {file}"));
            let section = section.split("\n## ").next().unwrap_or_default();
            let documented: Vec<&str> =
                section.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next()).collect();
            assert_eq!(documented, columns, "{file}");
        }
    }

    #[test]
    fn states_keep_their_names() {
        for state in NodeState::ALL {
            assert_eq!(serde_json::to_value(state).expect("a name"), state.name());
        }
    }
}
