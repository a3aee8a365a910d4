//! Pod specs, compiled once and shared by all replicas of a workload.

use super::ids::{ClaimSpecId, LabelSetId};
use super::labels::{LabelSelector, LabelSet, NodeSelector, NodeSelectorTerm};
use super::names::{Name, Names, Sym};
use super::resources::Resources;
use crate::engine::time::SimDuration;

/// Everything about a pod that its replicas share. Interned by [`crate::model::cluster::Cluster::intern_spec`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodSpec {
    /// Namespace.
    pub namespace: Sym,
    /// Labels. Those that differ between a StatefulSet's pods (`statefulset.kubernetes.io/pod-name`, `apps.kubernetes.io/pod-index`)
    /// are left out.
    pub labels: LabelSetId,
    /// `schedulerName`.
    pub scheduler_name: Sym,
    /// Priority; 0 unless a class says more.
    pub priority: i32,
    /// `preemptionPolicy: Never`.
    pub never_preempts: bool,
    /// What must fit: `resource.PodRequests` (containers, sidecars, init containers, overhead, pod level, resize status).
    pub requests: Resources,
    /// What is scored: cpu and memory with the defaults of 100m and 200MiB per container that has no request, other resources as in `requests`.
    pub scoring_requests: Resources,
    /// What it counts for in its node's non-zero sums: cpu in thousandths, memory in bytes. Differs from `scoring_requests` only with pod-level requests.
    pub nonzero_requests: (i64, i64),
    /// Host ports of containers and sidecars.
    pub host_ports: Vec<HostPort>,
    /// Normalized images of init containers, containers and image volumes, one entry each.
    pub images: Vec<Sym>,
    /// Number of init containers and containers.
    pub container_count: u32,
    /// `nodeSelector`, sorted by key symbol.
    pub node_selector: Vec<(Sym, Sym)>,
    /// Affinity; boxed because most pods have none.
    pub affinity: Option<Box<Affinity>>,
    /// Tolerations in order, without the per-pod ones.
    pub tolerations: Vec<Toleration>,
    /// `topologySpreadConstraints`; empty: the system defaults may apply.
    pub spread: Vec<SpreadConstraint>,
    /// Volumes that matter to scheduling, in order of `spec.volumes`.
    pub volumes: Vec<PodVolume>,
    /// Names of the scheduling gates.
    pub scheduling_gates: Vec<Sym>,
    /// `terminationGracePeriodSeconds`, 30 s by default.
    pub termination_grace: SimDuration,
    /// A feature that is not modelled (say `spec.resourceClaims`): the pod stays Pending and is counted.
    pub not_modelled: Option<Sym>,
    /// What kind of object made the pod.
    pub owner: OwnerKind,
}

impl PodSpec {
    /// Do nodeSelector and required node affinity allow a node of this name with these labels?
    pub fn allows_node(&self, name: Sym, labels: &LabelSet, names: &Names) -> bool {
        self.node_selector.iter().all(|(key, value)| labels.get(*key) == Some(*value))
            && self
                .affinity
                .as_ref()
                .and_then(|affinity| affinity.node_required.as_ref())
                .is_none_or(|required| required.matches(name, labels, names))
    }
}

/// The kind of a pod's controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OwnerKind {
    /// None: a bare pod.
    #[default]
    None,
    /// A StatefulSet.
    StatefulSet,
    /// A ReplicaSet (or a Deployment's).
    ReplicaSet,
    /// A Job.
    Job,
    /// A DaemonSet.
    DaemonSet,
    /// A static pod of the kubelet.
    Mirror,
    /// Anything else.
    Other,
}

/// A host port of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// `hostIP`; empty and `0.0.0.0` are the wildcard (stored as `0.0.0.0`).
    pub ip: Sym,
    /// TCP, UDP or SCTP.
    pub protocol: Sym,
    /// 1..65535.
    pub port: i32,
}

/// A volume of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PodVolume {
    /// A claim by name.
    Claim {
        /// Name of the claim in the pod's namespace.
        name: Name,
        /// `readOnly` of the volume source.
        read_only: bool,
    },
    /// The claim of a volumeClaimTemplate: `<prefix>-<pod>`.
    ClaimTemplate {
        /// Name of the template.
        prefix: Sym,
    },
    /// A generic ephemeral volume: claim `<pod>-<suffix>`, owned by the pod.
    Ephemeral {
        /// Name of the volume.
        suffix: Sym,
        /// `volumeClaimTemplate`: what the claim asks for; `None`: nobody makes it.
        claim: Option<ClaimSpecId>,
    },
    /// An inline volume that only one pod may mount read-write (GCE PD, AWS EBS, iSCSI, RBD): kind and identity.
    Exclusive {
        /// Kind and identity as one string, for example `gcePersistentDisk/disk-1`.
        disk: Sym,
        /// RBD: the monitors; two disks are the same only if they share one. Empty for other kinds.
        monitors: Box<[Sym]>,
        /// All mounts are read-only.
        read_only: bool,
    },
}

/// `spec.affinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Affinity {
    /// Required node affinity.
    pub node_required: Option<NodeSelector>,
    /// Preferred node affinity terms with their weights.
    pub node_preferred: Vec<(i32, NodeSelectorTerm)>,
    /// Required pod affinity.
    pub pod_required: Vec<PodAffinityTerm>,
    /// Preferred pod affinity.
    pub pod_preferred: Vec<(i32, PodAffinityTerm)>,
    /// Required pod anti-affinity.
    pub anti_required: Vec<PodAffinityTerm>,
    /// Preferred pod anti-affinity.
    pub anti_preferred: Vec<(i32, PodAffinityTerm)>,
}

impl Affinity {
    /// Has any pod affinity or anti-affinity term.
    pub fn concerns_pods(&self) -> bool {
        !(self.pod_required.is_empty()
            && self.pod_preferred.is_empty()
            && self.anti_required.is_empty()
            && self.anti_preferred.is_empty())
    }
}

/// A pod (anti-)affinity term.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodAffinityTerm {
    /// `labelSelector` with `matchLabelKeys` and `mismatchLabelKeys` merged in.
    pub selector: LabelSelector,
    /// Namespaces; the pod's own if neither these nor a selector are given.
    pub namespaces: Vec<Sym>,
    /// Selects further namespaces by their labels; `Nothing` if nil.
    pub namespace_selector: LabelSelector,
    /// Node label that makes the domain.
    pub topology_key: Sym,
}

/// A taint's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if there is another place.
    PreferNoSchedule,
    /// Running pods are evicted too.
    NoExecute,
}

/// A node's taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// Key.
    pub key: Sym,
    /// Value, often empty.
    pub value: Sym,
    /// Effect.
    pub effect: TaintEffect,
}

/// A toleration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// `None` with operator Exists tolerates every key.
    pub key: Option<Sym>,
    /// `None`: operator Exists; else operator Equal with this value.
    pub value: Option<Sym>,
    /// `None`: every effect.
    pub effect: Option<TaintEffect>,
    /// How long a NoExecute taint is tolerated; `None`: for ever.
    pub seconds: Option<SimDuration>,
}

impl Toleration {
    /// `Toleration.ToleratesTaint`.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|e| e == taint.effect)
            && self.key.is_none_or(|k| k == taint.key)
            && self.value.is_none_or(|v| v == taint.value)
    }
}

/// `whenUnsatisfiable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenUnsatisfiable {
    /// A filter.
    DoNotSchedule,
    /// A score.
    ScheduleAnyway,
}

/// A topology spread constraint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpreadConstraint {
    /// Largest allowed difference.
    pub max_skew: i32,
    /// Node label that makes the domains.
    pub topology_key: Sym,
    /// Filter or score.
    pub when_unsatisfiable: WhenUnsatisfiable,
    /// Pods counted.
    pub selector: LabelSelector,
    /// At least so many domains must exist, else the minimum counts as 0. Default 1.
    pub min_domains: i32,
    /// `nodeAffinityPolicy: Honor` (default true).
    pub honor_node_affinity: bool,
    /// `nodeTaintsPolicy: Honor` (default false).
    pub honor_node_taints: bool,
}
