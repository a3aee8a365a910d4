//! From typed Kubernetes objects to the model: every field that the control plane's decisions depend on, compiled once.
//!
//! Input objects have passed API defaulting and conversion of old forms. What is not modelled is either irrelevant to scheduling
//! and left out, or named in [`crate::model::spec::PodSpec::not_modelled`].

mod labels;
mod node;
mod pod;
mod requests;
mod storage;
mod workload;

pub use labels::{label_selector, label_set, node_selector};
pub use node::{add_csi_node, add_node, resources};
pub use pod::{add_pod, add_pod_from_spec, not_modelled, pod_spec};
pub use storage::{
    add_capacity, add_claim, add_class, add_csi_driver, add_volume, claim_spec, claim_spec_id,
};
pub use workload::{
    add_budget, add_deployment, add_job, add_namespace, add_priority_class, add_replica_set,
    add_replication_controller, add_service, add_stateful_set,
};

use crate::model::cluster::{AlreadyExists, Cluster};
use crate::model::ids::Uid;
use crate::model::quantity::{Quantity, QuantityError};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Why an object cannot become part of the model. The API server would have refused such an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A quantity that is none.
    #[error("{path}: {text:?} is not a quantity: {source}")]
    Quantity {
        /// Field path.
        path: String,
        /// What is written there.
        text: String,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// A field with a value that the API does not know.
    #[error("{path}: unknown value {value:?}; expected one of {expected}")]
    UnknownValue {
        /// Field path.
        path: &'static str,
        /// What is written there.
        value: String,
        /// What may be written there.
        expected: &'static str,
    },
    /// A field that must be there is not.
    #[error("{path} is required")]
    Missing {
        /// Field path.
        path: &'static str,
    },
    /// An object of this kind, namespace and name is there already.
    #[error("{0} already exists")]
    AlreadyExists(String),
}

/// Shorthand for results of lowering.
pub type Lowered<T> = Result<T, LowerError>;

fn quantity(path: &str, text: &ApiQuantity) -> Lowered<Quantity> {
    Quantity::parse(&text.0).map_err(|source| LowerError::Quantity {
        path: path.to_owned(),
        text: text.0.clone(),
        source,
    })
}

fn uid(cluster: &mut Cluster, metadata: &ObjectMeta) -> Uid {
    match metadata.uid.as_deref() {
        Some(text) if !text.is_empty() => Uid::from_text(cluster.names.intern(text)),
        _ => cluster.new_uid(),
    }
}

fn name(metadata: &ObjectMeta) -> Lowered<&str> {
    metadata.name.as_deref().filter(|n| !n.is_empty()).ok_or(LowerError::Missing { path: "metadata.name" })
}

fn namespace(metadata: &ObjectMeta) -> &str {
    metadata.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or("default")
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn has_finalizer(metadata: &ObjectMeta, finalizer: &str) -> bool {
    metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|f| f == finalizer))
}

fn exists(kind: &str, metadata: &ObjectMeta) -> impl FnOnce(AlreadyExists) -> LowerError {
    let text = format!("{kind} {}/{}", namespace(metadata), metadata.name.as_deref().unwrap_or(""));
    move |AlreadyExists| LowerError::AlreadyExists(text)
}
