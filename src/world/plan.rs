//! A plan: one run with everything resolved. Running it is a pure function of it.

use super::trace::TracePlan;
use crate::control::provisioner::local::Wipe;
use crate::control::timing::Timing;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::ids::{LabelSetId, NodeId, SpecId, VolumeGroupId, VolumeId};
use crate::model::names::{Name, Names, Sym, sym};
use crate::model::spec::{PodSpec, Taint};
use crate::model::volume::{AccessModes, VolumeMode};
use crate::model::workload::{ClaimRetention, PodManagement, ReplicaSetKind};
use crate::scenario::{AntiAffinity, Distribution, Failures, Recovery, WorkloadKind};
use crate::scheduler::cycle::{DEFAULT_CACHE_BYTES, Engine};
use crate::scheduler::profile::{ConfigError, PluginPoints, Profile, ProfileConfig};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The objects that exist at the start, in the order of their creation; their recorded changes are the first things that
    /// the control plane hears of.
    pub cluster: Cluster,
    /// What arrives later.
    pub generators: Vec<GeneratorPlan>,
    /// The pods of a trace.
    pub trace: Option<TracePlan>,
    /// Changes by hand, in order of time.
    pub timeline: Vec<(SimTime, Action)>,
    /// What fails at random.
    pub failures: Failures,
    /// The database operator, if there is one.
    pub recovery: Option<Recovery>,
    /// Members that make a group's quorum; `None`: more than half.
    pub quorum: Option<u32>,
    /// How long things take.
    pub timing: Timing,
    /// The scheduler's profiles.
    pub profiles: Vec<ProfileConfig>,
    /// Plugins from outside, in every profile, with the weights of their scores.
    pub plugins: Vec<(PluginPoints, i64)>,
    /// Ties are broken by defined order instead of by the seed.
    pub first_of_ties: bool,
    /// The seed.
    pub seed: u64,
    /// Number of the replication, from 0.
    pub replication: u32,
    /// Length; `None`: until nothing can change any more.
    pub duration: Option<SimDuration>,
    /// A wanted replica not running for longer is stuck; also how long a quiet run goes on.
    pub stuck_after: SimDuration,
    /// Volumes that a static provisioner wipes and makes anew.
    pub wiped: Vec<WipedVolumes>,
    /// Bytes of disks in no volume, by node name.
    pub uncarved_bytes: BTreeMap<Sym, u128>,
    /// How scheduling attempts are executed.
    pub engine: Engine,
    /// Bytes for what the fast engine remembers of nodes; no decision depends on it.
    pub cache_bytes: usize,
    /// Check the invariants after every event.
    pub paranoid: bool,
}

impl Plan {
    /// A plan for a cluster as it is, with the defaults of everything else.
    pub fn new(cluster: Cluster) -> Plan {
        Plan {
            cluster,
            generators: Vec::new(),
            trace: None,
            timeline: Vec::new(),
            failures: Failures::default(),
            recovery: None,
            quorum: None,
            timing: Timing::IDEAL,
            profiles: vec![ProfileConfig::default()],
            plugins: Vec::new(),
            first_of_ties: false,
            seed: 0,
            replication: 0,
            duration: None,
            stuck_after: SimDuration::from_secs(300),
            wiped: Vec::new(),
            uncarved_bytes: BTreeMap::new(),
            engine: Engine::default(),
            cache_bytes: DEFAULT_CACHE_BYTES,
            paranoid: cfg!(debug_assertions),
        }
    }
}

impl Plan {
    /// The scheduler's profiles, with the plugins from outside.
    ///
    /// # Errors
    /// [`ConfigError`] for unknown plugins and arguments out of range.
    pub fn make_profiles(&self) -> Result<Vec<Profile>, ConfigError> {
        self.profiles.iter().map(|config| Profile::with_plugins(config, &self.plugins)).collect()
    }
}

/// Volumes of a node that a static provisioner manages.
#[derive(Clone, Copy, Debug)]
pub struct WipedVolumes {
    /// The first volume.
    pub first: VolumeId,
    /// How many volumes come one after the other.
    pub count: u32,
    /// Its node.
    pub node: NodeId,
    /// How long the wipe takes.
    pub wipe: Wipe,
}

impl WipedVolumes {
    /// All of them.
    pub fn volumes(&self) -> impl Iterator<Item = VolumeId> + use<> {
        let first = self.first.row();
        (first..first + self.count).map(VolumeId::at)
    }
    /// Adds a volume to a list: to its last entry if it comes next there.
    pub fn add(list: &mut Vec<WipedVolumes>, volume: VolumeId, node: NodeId, wipe: Wipe) {
        match list.last_mut() {
            Some(last)
                if (last.node, last.wipe) == (node, wipe)
                    && last.first.row() + last.count == volume.row() =>
            {
                last.count += 1;
            }
            _ => list.push(WipedVolumes { first: volume, count: 1, node, wipe }),
        }
    }
}

/// A generator of sets.
#[derive(Clone, Debug)]
pub struct GeneratorPlan {
    /// Name; sets are `<name>-<s>`.
    pub name: Name,
    /// What is made.
    pub kind: WorkloadKind,
    /// How many sets.
    pub sets: u32,
    /// Pods per set.
    pub replicas: u32,
    /// Spec of the pods, without what differs between sets.
    pub spec: PodSpec,
    /// The same interned, where nothing differs between sets.
    pub shared_spec: Option<SpecId>,
    /// Claim templates.
    pub claims: Vec<ClaimPlan>,
    /// Anti-affinity by hostname within a set.
    pub anti_affinity: AntiAffinity,
    /// Order of a StatefulSet's pods.
    pub management: PodManagement,
    /// What becomes of claims.
    pub retention: ClaimRetention,
    /// Each set is a database group.
    pub group: bool,
    /// When the first set comes.
    pub start: SimTime,
    /// Time between two sets; `None`: all at `start`.
    pub every: Option<Distribution<SimDuration>>,
    /// How long a set lives (a Job: how long its pods run); `None`: for ever.
    pub lifetime: Option<Distribution<SimDuration>>,
    /// Labels of the pods, without the set's own.
    pub labels: LabelSetId,
}

/// A claim template of a generator.
#[derive(Clone, Debug)]
pub struct ClaimPlan {
    /// Name of the template.
    pub prefix: Sym,
    /// Class.
    pub class: Sym,
    /// Access modes.
    pub modes: AccessModes,
    /// File system or block device.
    pub mode: VolumeMode,
    /// Size in bytes, drawn once per set.
    pub size: Distribution<u64>,
}

/// A change by hand.
#[derive(Clone, Debug)]
pub enum Action {
    /// Objects are applied.
    Apply(Applier),
    /// An object is deleted: kind, namespace, name.
    Delete(Kind, Sym, Name),
    /// A pod is deleted, perhaps by force.
    DeletePod {
        /// Namespace.
        namespace: Sym,
        /// Name.
        name: Name,
        /// Without grace.
        force: bool,
    },
    /// A node's kubelet goes silent.
    NodeDown(Sym),
    /// It reports again.
    NodeUp(Sym),
    /// All nodes with a label go silent, or report again.
    DomainDown {
        /// The label's key.
        label: Sym,
        /// Its value.
        value: Sym,
        /// Silent; else they report again.
        down: bool,
    },
    /// A node is cordoned (`true`) or uncordoned.
    Cordon(Sym, bool),
    /// A node is drained.
    Drain(Sym),
    /// A taint is set or removed.
    Taint {
        /// Node.
        node: Sym,
        /// Taint.
        taint: Taint,
        /// Removed.
        remove: bool,
    },
    /// A volume is removed whatever its finalizers say.
    RemoveVolume(Sym),
    /// A volume's claimRef is cleared.
    ClearClaimRef(Sym),
    /// A node's allocatable changes; only these resources.
    SetAllocatable {
        /// Node.
        node: Sym,
        /// Its new amounts.
        amounts: Vec<(Sym, i64)>,
    },
    /// A disk dies, with its volumes.
    DiskFail(DiskRef),
    /// An empty disk takes its place.
    DiskRepair(DiskRef),
    /// A claim asks for more.
    Expand {
        /// Namespace.
        namespace: Sym,
        /// Name.
        name: Name,
        /// Its new request in bytes.
        bytes: u64,
    },
    /// kube-controller-manager is away for so long.
    ControllerManagerDown(SimDuration),
    /// Replicas of a workload change.
    Scale {
        /// StatefulSet, Deployment, ReplicaSet or ReplicationController.
        kind: Kind,
        /// Namespace.
        namespace: Sym,
        /// Name.
        name: Name,
        /// New number.
        replicas: u32,
    },
}

impl Action {
    /// The entry as a scenario writes it, for notes.
    pub fn in_words(&self, names: &Names) -> String {
        let object = |namespace: Sym, name: Name| {
            let name = names.show(name).to_string();
            if namespace == sym::EMPTY { name } else { format!("{}/{name}", names.text(namespace)) }
        };
        let text = |name: &Sym| names.text(*name).to_owned();
        match self {
            Action::Apply(_) => "apply".to_owned(),
            Action::Delete(kind, namespace, name) => {
                format!("delete {} {}", kind.name(), object(*namespace, *name))
            }
            Action::DeletePod { namespace, name, .. } => format!("deletePod {}", object(*namespace, *name)),
            Action::NodeDown(name) => format!("nodeDown {}", text(name)),
            Action::NodeUp(name) => format!("nodeUp {}", text(name)),
            Action::DomainDown { label, value, down } => {
                let kind = if *label == sym::ZONE { "zone" } else { "rack" };
                format!("{kind}{} {}", if *down { "Down" } else { "Up" }, text(value))
            }
            Action::Cordon(name, true) => format!("cordon {}", text(name)),
            Action::Cordon(name, false) => format!("uncordon {}", text(name)),
            Action::Drain(name) => format!("drain {}", text(name)),
            Action::Taint { node, .. } => format!("taint {}", text(node)),
            Action::RemoveVolume(name) => format!("deletePv {}", text(name)),
            Action::ClearClaimRef(name) => format!("clearClaimRef {}", text(name)),
            Action::SetAllocatable { node, .. } => format!("setAllocatable {}", text(node)),
            Action::DiskFail(_) => "diskFail".to_owned(),
            Action::DiskRepair(_) => "diskRepair".to_owned(),
            Action::Expand { namespace, name, .. } => format!("expand {}", object(*namespace, *name)),
            Action::ControllerManagerDown(_) => "controllerManagerDown".to_owned(),
            Action::Scale { kind, namespace, name, .. } => {
                format!("scale {} {}", kind.name(), object(*namespace, *name))
            }
        }
    }
}

/// A disk of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskRef {
    /// Names of the static volumes on it.
    pub volumes: Vec<Sym>,
    /// The volume group that it is.
    pub group: Option<VolumeGroupId>,
}

/// Kinds that can be deleted or scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A node.
    Node,
    /// A pod.
    Pod,
    /// A PersistentVolumeClaim.
    Claim,
    /// A PersistentVolume.
    Volume,
    /// A StatefulSet.
    StatefulSet,
    /// A ReplicaSet, Deployment or ReplicationController.
    ReplicaSet(ReplicaSetKind),
    /// A Job.
    Job,
}

impl Kind {
    /// Kubernetes' name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Node => "Node",
            Kind::Pod => "Pod",
            Kind::Claim => "PersistentVolumeClaim",
            Kind::Volume => "PersistentVolume",
            Kind::StatefulSet => "StatefulSet",
            Kind::ReplicaSet(kind) => kind.name(),
            Kind::Job => "Job",
        }
    }
}

/// What `apply` does to the cluster: creates objects, changes those that exist. Lowering is the business of whoever made the plan.
#[derive(Clone)]
pub struct Applier(pub Arc<Apply>);

/// Changes a cluster at a time.
pub type Apply = dyn Fn(&mut Cluster, SimTime) + Send + Sync;

impl fmt::Debug for Applier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Applier")
    }
}
