//! What wants to run, and what happens to it.

use std::collections::BTreeMap;

use super::{Distribution, ManifestFile, Size, Spanned, TaintSpec, TraceSpec, VaryingTime, VolumeMode};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::quantity::Quantity;

/// `workload`.
#[derive(Clone, Debug)]
pub struct WorkloadSpec {
    /// Files of Kubernetes objects, in order.
    pub manifests: Vec<ManifestFile>,
    /// Generators.
    pub generate: Vec<Generator>,
    /// A trace.
    pub trace: Option<TraceSpec>,
}

/// What a generator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// StatefulSets.
    StatefulSet,
    /// Deployments, without claims.
    Deployment,
    /// Jobs: pods that end after `lifetime`.
    Job,
    /// Bare pods.
    Pod,
}

/// Pod anti-affinity by hostname among the pods of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AntiAffinity {
    /// Never two on a node.
    Required,
    /// Rather not (weight 100).
    Preferred,
    /// No rule.
    None,
}

/// Order in which a StatefulSet makes its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodManagement {
    /// One after the other.
    OrderedReady,
    /// All at once.
    Parallel,
}

/// What happens to a claim whose pod is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// It stays.
    Retain,
    /// It is deleted.
    Delete,
}

/// `workload.generate[]`: sets `<name>-0` ..., each with `replicas` pods.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Name; the sets' prefix.
    pub name: Spanned<String>,
    /// What is made.
    pub kind: WorkloadKind,
    /// The preset it was taken from.
    pub preset: Option<String>,
    /// Number of sets, 0..=1e7; `u32::MAX` = they never stop arriving.
    pub sets: u32,
    /// Pods per set, 0..=1e6.
    pub replicas: u32,
    /// CPU request of a pod; `None` = none.
    pub cpu: Option<Quantity>,
    /// Memory request of a pod; `None` = none.
    pub memory: Option<Quantity>,
    /// Requests of extended resources.
    pub resources: BTreeMap<String, Quantity>,
    /// Claim templates.
    pub claims: Vec<ClaimSpec>,
    /// Anti-affinity by hostname.
    pub anti_affinity: AntiAffinity,
    /// Order of a StatefulSet's pods.
    pub pod_management: PodManagement,
    /// Claims of a deleted set.
    pub retention_deleted: Retention,
    /// Claims of a set that was scaled down.
    pub retention_scaled: Retention,
    /// Each set is a database group with quorum.
    pub group: bool,
    /// When the sets come; `None` = all at the start.
    pub arrivals: Option<Arrivals>,
    /// How long a set lives; `None` = for ever.
    pub lifetime: Option<VaryingTime>,
    /// Labels of the pods.
    pub labels: BTreeMap<String, String>,
    /// Node labels that the pods ask for.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate; an empty key tolerates all.
    pub tolerations: Vec<TolerationSpec>,
    /// Priority of the pods.
    pub priority: i32,
}

impl Generator {
    /// Do its sets arrive without end?
    pub fn endless(&self) -> bool {
        self.sets == u32::MAX
    }
}

/// A toleration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TolerationSpec {
    /// Key; empty = every key.
    pub key: String,
    /// Value; `None` = any (operator Exists).
    pub value: Option<String>,
    /// Effect; empty = every effect.
    pub effect: String,
}

impl TolerationSpec {
    /// Does it tolerate `taint`?
    pub fn tolerates(&self, taint: &TaintSpec) -> bool {
        (self.effect.is_empty() || self.effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && self.value.as_ref().is_none_or(|v| *v == taint.value)
    }
}

/// A claim template.
#[derive(Clone, Debug)]
pub struct ClaimSpec {
    /// Name of the template.
    pub name: String,
    /// Class.
    pub class: Spanned<String>,
    /// Size in bytes; drawn once per set and template.
    pub size: Size,
    /// Mode.
    pub volume_mode: VolumeMode,
    /// Access modes, Kubernetes' words; never empty.
    pub access_modes: Vec<String>,
}

/// `arrivals`: the first at `start`, then one every `every`.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// Time between two.
    pub every: VaryingTime,
    /// Time of the first.
    pub start: SimDuration,
}

/// `timeline[]`.
#[derive(Clone, Debug)]
pub struct TimelineEntry {
    /// When.
    pub at: SimTime,
    /// What.
    pub action: Spanned<Action>,
}

/// An object's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Nodes that fail together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Label `topology.kubernetes.io/zone`.
    Zone,
    /// Label `rack`.
    Rack,
}

/// What a timeline entry does.
#[derive(Clone, Debug)]
pub enum Action {
    /// A node goes silent.
    NodeDown(String),
    /// It reports again.
    NodeUp(String),
    /// All nodes of a zone or rack go silent, or report again.
    DomainDown {
        /// Which label says who belongs to it.
        domain: Domain,
        /// Its name.
        name: String,
        /// Silent; else they report again.
        down: bool,
    },
    /// Its object is deleted.
    NodeDelete(String),
    /// `kubectl cordon`.
    Cordon(String),
    /// `kubectl uncordon`.
    Uncordon(String),
    /// `kubectl drain`.
    Drain(String),
    /// A taint is set or removed.
    Taint {
        /// Node.
        node: String,
        /// Taint.
        taint: TaintSpec,
        /// Removed instead of set.
        remove: bool,
    },
    /// A disk dies: its volumes and their data are gone.
    DiskFail {
        /// Node.
        node: String,
        /// Disk number.
        disk: u32,
    },
    /// An empty disk takes its place.
    DiskRepair {
        /// Node.
        node: String,
        /// Disk number.
        disk: u32,
    },
    /// A claim asks for more.
    Expand {
        /// Claim.
        claim: ObjectName,
        /// Its new request in bytes.
        bytes: u64,
    },
    /// A pod is deleted.
    DeletePod {
        /// Pod.
        pod: ObjectName,
        /// Without grace.
        force: bool,
    },
    /// A claim is deleted.
    DeletePvc(ObjectName),
    /// A volume is deleted.
    DeletePv {
        /// Volume.
        name: String,
        /// Whatever its finalizers say.
        force: bool,
    },
    /// A volume's claimRef is removed.
    ClearClaimRef(String),
    /// Any object is deleted.
    Delete {
        /// Kind.
        kind: String,
        /// Namespace (`default` for those without) and name.
        name: ObjectName,
    },
    /// A workload's replicas change.
    Scale {
        /// `StatefulSet`, `Deployment`, `ReplicaSet` or `ReplicationController`.
        kind: String,
        /// Which.
        name: ObjectName,
        /// New number.
        replicas: u32,
    },
    /// Kubernetes objects are applied.
    Apply(Vec<ManifestFile>),
    /// A node's allocatable changes.
    SetAllocatable {
        /// Node.
        node: String,
        /// Resources that change.
        resources: BTreeMap<String, Quantity>,
    },
    /// kube-controller-manager is away this long.
    ControllerManagerDown(SimDuration),
}

/// `failures`.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    /// Single nodes.
    pub node: Option<FailureProcess>,
    /// Whole zones.
    pub zone: Option<FailureProcess>,
    /// Whole racks.
    pub rack: Option<FailureProcess>,
    /// Single disks.
    pub disk: Option<FailureProcess>,
}

impl Failures {
    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.node.is_none() && self.zone.is_none() && self.rack.is_none() && self.disk.is_none()
    }
}

/// Failures of one kind of thing, per thing.
#[derive(Clone, Debug)]
pub struct FailureProcess {
    /// Working time between failures; a plain duration is the mean of an exponential.
    pub mtbf: VaryingTime,
    /// Time to repair.
    pub repair: VaryingTime,
    /// Share that never comes back (a node: its object is deleted), 0..=1.
    pub permanent: f64,
}

/// `recovery`: what the database operator does about lost replicas.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// When it gives a replica up.
    pub policy: RecoveryPolicy,
    /// Where a rebuilt member's data comes from.
    pub rebuild: RebuildSource,
    /// Backups.
    pub backup: BackupSpec,
    /// Writes that the others took meanwhile, bytes per second.
    pub write_rate: f64,
    /// Speed of catching up, bytes per second.
    pub replay_rate: f64,
    /// Members that must be there.
    pub quorum: Quorum,
}

/// When a lost replica's claim is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryPolicy {
    /// Never: wait for the node.
    Wait,
    /// As soon as the node is gone.
    Immediate,
    /// When the node has been gone this long.
    After(SimDuration),
}

/// Where the data of a rebuilt member comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildSource {
    /// The newest backup.
    Backup,
    /// A running member; the newest backup if none runs.
    Peer,
}

/// `recovery.backup`.
#[derive(Clone, Debug)]
pub struct BackupSpec {
    /// Time between two.
    pub every: SimDuration,
    /// Bytes copied; `None` = the claim's size.
    pub size: Option<Distribution<u64>>,
    /// Bytes per second of each source (the store of backups, a member) and of each target.
    pub bandwidth: f64,
    /// Copies at a time.
    pub parallel: u32,
}

/// Members that a group needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// More than half.
    Majority,
    /// At least this many.
    AtLeast(u32),
}
