//! The kinds that are simulated.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ReplicationController, Service,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::diagnostic::{Diagnostic, Span};
use crate::scenario::de::from_value;
use crate::scenario::tree::Value;

/// An object of a kind that is simulated, with the API's defaults.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // Each variant is the kind of its name.
pub enum Object {
    Node(Box<Node>),
    PersistentVolume(Box<PersistentVolume>),
    PersistentVolumeClaim(Box<PersistentVolumeClaim>),
    StorageClass(Box<StorageClass>),
    Pod(Box<Pod>),
    StatefulSet(Box<StatefulSet>),
    Deployment(Box<Deployment>),
    ReplicaSet(Box<ReplicaSet>),
    ReplicationController(Box<ReplicationController>),
    Service(Box<Service>),
    Namespace(Box<Namespace>),
    PriorityClass(Box<PriorityClass>),
    PodDisruptionBudget(Box<PodDisruptionBudget>),
    CSIStorageCapacity(Box<CSIStorageCapacity>),
    CSINode(Box<CSINode>),
    CSIDriver(Box<CSIDriver>),
    Job(Box<Job>),
}

/// A kind that is simulated.
pub struct Kind {
    /// `PersistentVolume`
    pub name: &'static str,
    /// Its present apiVersion.
    pub version: &'static str,
    /// Versions that clusters and files still hold; converted on load.
    pub old_versions: &'static [&'static str],
    /// Does it live in a namespace?
    pub namespaced: bool,
    /// Reads the tree.
    pub read: fn(&Value, &mut Vec<Diagnostic>) -> Result<Object, Diagnostic>,
}

/// Every kind that is simulated.
pub const KINDS: &[Kind] = &[
    cluster("Node", "v1", &[], |v, w| from_value(v, w).map(|o| Object::Node(Box::new(o)))),
    cluster("PersistentVolume", "v1", &[], |v, w| {
        from_value(v, w).map(|o| Object::PersistentVolume(Box::new(o)))
    }),
    namespaced("PersistentVolumeClaim", "v1", &[], |v, w| {
        from_value(v, w).map(|o| Object::PersistentVolumeClaim(Box::new(o)))
    }),
    cluster("StorageClass", "storage.k8s.io/v1", &["storage.k8s.io/v1beta1"], |v, w| {
        from_value(v, w).map(|o| Object::StorageClass(Box::new(o)))
    }),
    namespaced("Pod", "v1", &[], |v, w| from_value(v, w).map(|o| Object::Pod(Box::new(o)))),
    namespaced("StatefulSet", "apps/v1", &["apps/v1beta1", "apps/v1beta2"], |v, w| {
        from_value(v, w).map(|o| Object::StatefulSet(Box::new(o)))
    }),
    namespaced("Deployment", "apps/v1", &["apps/v1beta1", "apps/v1beta2", "extensions/v1beta1"], |v, w| {
        from_value(v, w).map(|o| Object::Deployment(Box::new(o)))
    }),
    namespaced("ReplicaSet", "apps/v1", &["apps/v1beta2", "extensions/v1beta1"], |v, w| {
        from_value(v, w).map(|o| Object::ReplicaSet(Box::new(o)))
    }),
    namespaced("ReplicationController", "v1", &[], |v, w| {
        from_value(v, w).map(|o| Object::ReplicationController(Box::new(o)))
    }),
    namespaced("Service", "v1", &[], |v, w| from_value(v, w).map(|o| Object::Service(Box::new(o)))),
    cluster("Namespace", "v1", &[], |v, w| from_value(v, w).map(|o| Object::Namespace(Box::new(o)))),
    cluster(
        "PriorityClass",
        "scheduling.k8s.io/v1",
        &["scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1alpha1"],
        |v, w| from_value(v, w).map(|o| Object::PriorityClass(Box::new(o))),
    ),
    namespaced("PodDisruptionBudget", "policy/v1", &["policy/v1beta1"], |v, w| {
        from_value(v, w).map(|o| Object::PodDisruptionBudget(Box::new(o)))
    }),
    namespaced(
        "CSIStorageCapacity",
        "storage.k8s.io/v1",
        &["storage.k8s.io/v1beta1", "storage.k8s.io/v1alpha1"],
        |v, w| from_value(v, w).map(|o| Object::CSIStorageCapacity(Box::new(o))),
    ),
    cluster("CSINode", "storage.k8s.io/v1", &["storage.k8s.io/v1beta1"], |v, w| {
        from_value(v, w).map(|o| Object::CSINode(Box::new(o)))
    }),
    cluster("CSIDriver", "storage.k8s.io/v1", &["storage.k8s.io/v1beta1"], |v, w| {
        from_value(v, w).map(|o| Object::CSIDriver(Box::new(o)))
    }),
    namespaced("Job", "batch/v1", &[], |v, w| from_value(v, w).map(|o| Object::Job(Box::new(o)))),
];

type Read = fn(&Value, &mut Vec<Diagnostic>) -> Result<Object, Diagnostic>;

const fn cluster(
    name: &'static str,
    version: &'static str,
    old_versions: &'static [&'static str],
    read: Read,
) -> Kind {
    Kind { name, version, old_versions, namespaced: false, read }
}

const fn namespaced(
    name: &'static str,
    version: &'static str,
    old_versions: &'static [&'static str],
    read: Read,
) -> Kind {
    Kind { name, version, old_versions, namespaced: true, read }
}

impl Object {
    /// `PersistentVolume`
    pub fn kind(&self) -> &'static str {
        match self {
            Object::Node(_) => "Node",
            Object::PersistentVolume(_) => "PersistentVolume",
            Object::PersistentVolumeClaim(_) => "PersistentVolumeClaim",
            Object::StorageClass(_) => "StorageClass",
            Object::Pod(_) => "Pod",
            Object::StatefulSet(_) => "StatefulSet",
            Object::Deployment(_) => "Deployment",
            Object::ReplicaSet(_) => "ReplicaSet",
            Object::ReplicationController(_) => "ReplicationController",
            Object::Service(_) => "Service",
            Object::Namespace(_) => "Namespace",
            Object::PriorityClass(_) => "PriorityClass",
            Object::PodDisruptionBudget(_) => "PodDisruptionBudget",
            Object::CSIStorageCapacity(_) => "CSIStorageCapacity",
            Object::CSINode(_) => "CSINode",
            Object::CSIDriver(_) => "CSIDriver",
            Object::Job(_) => "Job",
        }
    }
    /// Name, labels, annotations ...
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Object::Node(o) => &o.metadata,
            Object::PersistentVolume(o) => &o.metadata,
            Object::PersistentVolumeClaim(o) => &o.metadata,
            Object::StorageClass(o) => &o.metadata,
            Object::Pod(o) => &o.metadata,
            Object::StatefulSet(o) => &o.metadata,
            Object::Deployment(o) => &o.metadata,
            Object::ReplicaSet(o) => &o.metadata,
            Object::ReplicationController(o) => &o.metadata,
            Object::Service(o) => &o.metadata,
            Object::Namespace(o) => &o.metadata,
            Object::PriorityClass(o) => &o.metadata,
            Object::PodDisruptionBudget(o) => &o.metadata,
            Object::CSIStorageCapacity(o) => &o.metadata,
            Object::CSINode(o) => &o.metadata,
            Object::CSIDriver(o) => &o.metadata,
            Object::Job(o) => &o.metadata,
        }
    }
    /// As [`Object::metadata`], to change.
    pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Object::Node(o) => &mut o.metadata,
            Object::PersistentVolume(o) => &mut o.metadata,
            Object::PersistentVolumeClaim(o) => &mut o.metadata,
            Object::StorageClass(o) => &mut o.metadata,
            Object::Pod(o) => &mut o.metadata,
            Object::StatefulSet(o) => &mut o.metadata,
            Object::Deployment(o) => &mut o.metadata,
            Object::ReplicaSet(o) => &mut o.metadata,
            Object::ReplicationController(o) => &mut o.metadata,
            Object::Service(o) => &mut o.metadata,
            Object::Namespace(o) => &mut o.metadata,
            Object::PriorityClass(o) => &mut o.metadata,
            Object::PodDisruptionBudget(o) => &mut o.metadata,
            Object::CSIStorageCapacity(o) => &mut o.metadata,
            Object::CSINode(o) => &mut o.metadata,
            Object::CSIDriver(o) => &mut o.metadata,
            Object::Job(o) => &mut o.metadata,
        }
    }
    /// The name, never empty after loading.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or("")
    }
    /// The namespace; empty for kinds without.
    pub fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or("")
    }
}

/// An object and where it was written.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The object.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}
