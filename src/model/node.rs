//! Nodes, and what the scheduler sums up about them.

use super::few::MostlyEmpty;
use super::ids::{LabelSetId, PodId, Uid};
use super::names::Sym;
use super::resources::Resources;
use super::spec::{HostPort, PodSpec, Taint};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What many nodes have in common: machines of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeShape {
    /// Taints in order.
    pub taints: Vec<Taint>,
    /// `status.allocatable`.
    pub allocatable: Resources,
    /// Which of cpu and memory `status.allocatable` names at all (a missing one leaves the score's weights).
    pub allocatable_has_cpu: bool,
    /// See `allocatable_has_cpu`.
    pub allocatable_has_memory: bool,
    /// `pods` of allocatable.
    pub allocatable_pods: i64,
    /// `status.images`: every name with its size in bytes, sorted by symbol.
    pub images: Vec<(Sym, i64)>,
}

/// One node. Removed nodes keep their row (`exists` false), so ids stay valid. Fields of its shape are read and written as if they
/// were its own; a shape that is written to is copied first.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name.
    pub name: Sym,
    /// Identity of this incarnation.
    pub uid: Uid,
    /// The object is there.
    pub exists: bool,
    /// Labels.
    pub labels: LabelSetId,
    /// `spec.unschedulable`: cordoned.
    pub unschedulable: bool,
    /// The Ready condition is True.
    pub ready: bool,
    /// Allocatable, taints and images.
    pub shape: Arc<NodeShape>,
    /// What runs there.
    pub info: NodeInfo,
    /// Counts up at every change of the node or of what runs there.
    pub generation: u64,
}

/// `framework.NodeInfo`: sums over the pods assigned to or assumed on a node. Finished pods do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// Pods, in order of arrival here, except that the last one takes the place of one that goes, as in Kubernetes.
    pub pods: Vec<PodId>,
    /// Sum of requests.
    pub requested: Resources,
    /// Sum of scoring requests: cpu in thousandths, memory in bytes.
    pub nonzero_cpu_milli: i64,
    /// See `nonzero_cpu_milli`.
    pub nonzero_memory_bytes: i64,
    /// Host ports in use: a set, as in Kubernetes, so a port that two running pods share is free once one of them goes.
    pub used_ports: MostlyEmpty<HostPort>,
    /// Those of `pods` with any pod affinity or anti-affinity term.
    pub with_affinity: MostlyEmpty<PodId>,
    /// Those of `pods` with a required anti-affinity term.
    pub with_required_anti_affinity: MostlyEmpty<PodId>,
}

/// `CSINode`: what drivers say about a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsiNode {
    /// Drivers.
    pub drivers: Vec<CsiNodeDriver>,
}

/// One driver of a [`CsiNode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiNodeDriver {
    /// Name of the driver.
    pub name: Sym,
    /// `allocatable.count`: attach limit.
    pub limit: Option<i32>,
    /// Topology keys.
    pub topology_keys: Vec<Sym>,
}

impl Deref for Node {
    type Target = NodeShape;
    fn deref(&self) -> &NodeShape {
        &self.shape
    }
}
impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut NodeShape {
        Arc::make_mut(&mut self.shape)
    }
}

impl Node {
    /// A row for a node that does not exist.
    pub fn ghost(name: Sym, labels: LabelSetId) -> Node {
        Node {
            name,
            uid: Uid::NOTHING,
            exists: false,
            labels,
            unschedulable: false,
            ready: false,
            shape: Arc::default(),
            info: NodeInfo::default(),
            generation: 0,
        }
    }
}

impl NodeInfo {
    /// Counts a pod in.
    pub fn add_pod(&mut self, pod: PodId, spec: &PodSpec) {
        self.pods.push(pod);
        self.requested.add(&spec.requests);
        self.nonzero_cpu_milli = self.nonzero_cpu_milli.wrapping_add(spec.nonzero_requests.0);
        self.nonzero_memory_bytes = self.nonzero_memory_bytes.wrapping_add(spec.nonzero_requests.1);
        for port in &spec.host_ports {
            if !self.used_ports.contains(port) {
                self.used_ports.push(*port);
            }
        }
        if let Some(affinity) = &spec.affinity {
            if affinity.concerns_pods() {
                self.with_affinity.push(pod);
            }
            if !affinity.anti_required.is_empty() {
                self.with_required_anti_affinity.push(pod);
            }
        }
    }

    /// Counts a pod out. False if it was not counted.
    pub fn remove_pod(&mut self, pod: PodId, spec: &PodSpec) -> bool {
        let Some(position) = self.pods.iter().position(|p| *p == pod) else { return false };
        self.pods.swap_remove(position);
        self.requested.sub(&spec.requests);
        self.nonzero_cpu_milli = self.nonzero_cpu_milli.wrapping_sub(spec.nonzero_requests.0);
        self.nonzero_memory_bytes = self.nonzero_memory_bytes.wrapping_sub(spec.nonzero_requests.1);
        for port in &spec.host_ports {
            self.used_ports.forget(port);
        }
        if spec.affinity.is_some() {
            self.with_affinity.forget(&pod);
            self.with_required_anti_affinity.forget(&pod);
        }
        true
    }
}
