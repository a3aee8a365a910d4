//! DefaultBinder: binds the pod to the node through the API.

use crate::model::cluster::Cluster;
use crate::scheduler::framework::Binding;

/// Kubernetes' name.
pub const NAME: &str = "DefaultBinder";

/// Writes the binding: `spec.nodeName` is set.
pub fn bind(cluster: &mut Cluster, binding: &Binding) {
    cluster.bind_pod(binding.pod, binding.node);
}
