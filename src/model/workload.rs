//! Objects that want pods, and objects that only select them.

use super::ids::{ClaimSpecId, LabelSetId, SpecId, Uid};
use super::labels::LabelSelector;
use super::names::{Name, Sym};
use crate::engine::time::SimDuration;

/// `podManagementPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PodManagement {
    /// One after the other.
    #[default]
    OrderedReady,
    /// All at once.
    Parallel,
}

/// `persistentVolumeClaimRetentionPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClaimRetention {
    /// whenDeleted: Delete (default Retain).
    pub delete_when_deleted: bool,
    /// whenScaled: Delete (default Retain).
    pub delete_when_scaled: bool,
}

/// A `volumeClaimTemplates` entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimTemplate {
    /// Name of the template: claims are `<prefix>-<pod>`.
    pub prefix: Sym,
    /// What the claims ask for.
    pub spec: ClaimSpecId,
}

/// A StatefulSet.
#[derive(Clone, Debug)]
pub struct StatefulSet {
    /// Identity.
    pub uid: Uid,
    /// Namespace.
    pub namespace: Sym,
    /// Name.
    pub name: Name,
    /// Wanted pods.
    pub replicas: u32,
    /// `ordinals.start`.
    pub first_ordinal: u32,
    /// Spec of the pods; volumes of templates are `PodVolume::ClaimTemplate`.
    pub spec: SpecId,
    /// Claim templates, in order.
    pub claims: Vec<ClaimTemplate>,
    /// One after the other, or all at once.
    pub management: PodManagement,
    /// What becomes of claims.
    pub retention: ClaimRetention,
    /// `spec.selector`.
    pub selector: LabelSelector,
    /// The object is there.
    pub exists: bool,
    /// Being deleted.
    pub deletion: bool,
    /// A database group with quorum.
    pub group: bool,
}

/// Kinds of objects that are modelled as a ReplicaSet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReplicaSetKind {
    /// A ReplicaSet.
    #[default]
    ReplicaSet,
    /// A Deployment, seen as its current ReplicaSet.
    Deployment,
    /// A ReplicationController.
    ReplicationController,
}

impl ReplicaSetKind {
    /// Kubernetes' name of the kind.
    pub fn name(self) -> &'static str {
        match self {
            ReplicaSetKind::ReplicaSet => "ReplicaSet",
            ReplicaSetKind::Deployment => "Deployment",
            ReplicaSetKind::ReplicationController => "ReplicationController",
        }
    }
    /// The kind of a name.
    pub fn named(name: &str) -> Option<ReplicaSetKind> {
        use ReplicaSetKind::{Deployment, ReplicaSet, ReplicationController};
        [ReplicaSet, Deployment, ReplicationController].into_iter().find(|kind| kind.name() == name)
    }
}

/// A ReplicaSet, or a Deployment seen as its one ReplicaSet.
#[derive(Clone, Debug)]
pub struct ReplicaSet {
    /// Identity.
    pub uid: Uid,
    /// Namespace.
    pub namespace: Sym,
    /// Name.
    pub name: Name,
    /// What kind of object it is.
    pub kind: ReplicaSetKind,
    /// Wanted pods.
    pub replicas: u32,
    /// Spec of the pods.
    pub spec: SpecId,
    /// `spec.selector`.
    pub selector: LabelSelector,
    /// The object is there.
    pub exists: bool,
    /// Number of the next pod.
    pub next_pod: u32,
}

/// A Job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Identity.
    pub uid: Uid,
    /// Namespace.
    pub namespace: Sym,
    /// Name.
    pub name: Name,
    /// Pods that must succeed.
    pub completions: u32,
    /// Pods at the same time.
    pub parallelism: u32,
    /// Spec of the pods.
    pub spec: SpecId,
    /// How long a pod runs; `None`: for ever.
    pub duration: Option<SimDuration>,
    /// Pods that succeeded.
    pub succeeded: u32,
    /// Number of the next pod.
    pub next_pod: u32,
    /// The object is there.
    pub exists: bool,
}

/// A Service (or ReplicationController): only its selector matters, for the default spread constraints.
#[derive(Clone, Debug)]
pub struct Service {
    /// Namespace.
    pub namespace: Sym,
    /// Name.
    pub name: Sym,
    /// Labels selected; empty selects nothing.
    pub selector: LabelSelector,
}

/// What a PodDisruptionBudget asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetRule {
    /// `minAvailable` as a number.
    MinAvailable(i64),
    /// `minAvailable` in percent.
    MinAvailablePercent(i64),
    /// `maxUnavailable` as a number.
    MaxUnavailable(i64),
    /// `maxUnavailable` in percent.
    MaxUnavailablePercent(i64),
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug)]
pub struct DisruptionBudget {
    /// Namespace.
    pub namespace: Sym,
    /// Name.
    pub name: Sym,
    /// Pods it protects.
    pub selector: LabelSelector,
    /// What it asks for; `None`: only its status counts.
    pub rule: Option<BudgetRule>,
    /// `unhealthyPodEvictionPolicy: AlwaysAllow`: pods that are not Ready may be evicted whatever the budget says.
    pub unready_may_go: bool,
    /// `status.disruptionsAllowed`.
    pub disruptions_allowed: i32,
    /// `status.disruptedPods`.
    pub disrupted_pods: Vec<Name>,
}

/// A namespace with its labels.
#[derive(Clone, Copy, Debug)]
pub struct Namespace {
    /// Name.
    pub name: Sym,
    /// Labels, with `kubernetes.io/metadata.name`.
    pub labels: LabelSetId,
}

/// A PriorityClass.
#[derive(Clone, Copy, Debug)]
pub struct PriorityClass {
    /// Name.
    pub name: Sym,
    /// Priority of its pods.
    pub value: i32,
    /// For pods that name no class.
    pub global_default: bool,
    /// `preemptionPolicy: Never`.
    pub never_preempts: bool,
}
