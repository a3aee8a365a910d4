//! The scheduling framework: one contract per extension point, as in kube-scheduler (KEP-624).
//!
//! Plugins read the cluster through a [`View`] and keep what they computed for the pod at hand in their own typed field of
//! [`CycleState`](super::cycle_state::CycleState). They never write to the cluster except in Reserve and PreBind.

use super::cycle_state::CycleState;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId};
use crate::model::names::{Name, Names, Sym};
use crate::model::node::{Node, NodeInfo};
use std::fmt::Write as _;

/// A plugin's Kubernetes name, such as `NodeResourcesFit`.
pub type PluginName = &'static str;

/// What plugins see.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The cluster as the scheduler knows it: objects of the API plus what was assumed.
    pub cluster: &'a Cluster,
    /// Now.
    pub now: SimTime,
}

/// A node as a filter sees it: the sums may be hypothetical (preemption's dry run, nominated pods).
#[derive(Clone, Copy)]
pub struct NodeView<'a> {
    /// Which node.
    pub id: NodeId,
    /// The node.
    pub node: &'a Node,
    /// What runs, or would run, there.
    pub info: &'a NodeInfo,
}

impl<'a> View<'a> {
    /// The node as it is.
    pub fn node(&self, id: NodeId) -> NodeView<'a> {
        let node = self.cluster.node(id);
        NodeView { id, node, info: &node.info }
    }
}

/// `fwk.Code` of a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Preempting other pods might help.
    Unschedulable,
    /// Nothing on this node can be removed to help.
    UnschedulableAndUnresolvable,
    /// Waits for something outside the scheduler (claims not bound yet); treated as unresolvable.
    Pending,
    /// The cycle failed.
    Error,
}

/// Why a node, or a pod as a whole, was rejected. Rendered to Kubernetes' words only at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A constant text.
    Text(&'static str),
    /// A text made for this occasion.
    Custom(Sym),
    /// `Insufficient <resource>`.
    Insufficient(Sym),
    /// `persistentvolumeclaim "<name>" not found`.
    ClaimNotFound(Name),
    /// `persistentvolumeclaim "<name>" is being deleted`.
    ClaimBeingDeleted(Name),
    /// `persistentvolumeclaim "<claim>" bound to non-existent persistentvolume "<volume>"`.
    ClaimLost(Name, Sym),
    /// `waiting for ephemeral volume controller to create the persistentvolumeclaim "<name>"`.
    EphemeralClaimMissing(Name),
    /// `PVC <namespace>/<claim> was not created for pod <namespace>/<pod> (pod is not owner)`.
    EphemeralClaimForeign {
        /// Namespace of both.
        namespace: Sym,
        /// The claim.
        claim: Name,
        /// The pod.
        pod: Name,
    },
    /// `persistentvolume "<name>" not found`.
    VolumeNotFound(Sym),
    /// `storageclass.storage.k8s.io "<name>" not found`.
    ClassNotFound(Sym),
}

impl Reason {
    /// Appends Kubernetes' words.
    pub fn render(self, names: &Names, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Reason::Text(text) => out.write_str(text),
            Reason::Custom(text) => out.write_str(names.text(text)),
            Reason::Insufficient(resource) => write!(out, "Insufficient {}", names.text(resource)),
            Reason::ClaimNotFound(name) => {
                write!(out, "persistentvolumeclaim \"{}\" not found", names.show(name))
            }
            Reason::ClaimBeingDeleted(name) => {
                write!(out, "persistentvolumeclaim \"{}\" is being deleted", names.show(name))
            }
            Reason::ClaimLost(claim, volume) => write!(
                out,
                "persistentvolumeclaim \"{}\" bound to non-existent persistentvolume \"{}\"",
                names.show(claim),
                names.text(volume)
            ),
            Reason::EphemeralClaimMissing(name) => write!(
                out,
                "waiting for ephemeral volume controller to create the persistentvolumeclaim \"{}\"",
                names.show(name)
            ),
            Reason::EphemeralClaimForeign { namespace, claim, pod } => {
                let namespace = names.text(namespace);
                let (claim, pod) = (names.show(claim), names.show(pod));
                write!(
                    out,
                    "PVC {namespace}/{claim} was not created for pod {namespace}/{pod} (pod is not owner)"
                )
            }
            Reason::VolumeNotFound(name) => {
                write!(out, "persistentvolume \"{}\" not found", names.text(name))
            }
            Reason::ClassNotFound(name) => {
                write!(out, "storageclass.storage.k8s.io \"{}\" not found", names.text(name))
            }
        };
    }
    /// Kubernetes' words.
    pub fn text(self, names: &Names) -> String {
        let mut text = String::new();
        self.render(names, &mut text);
        text
    }
}

/// One or several reasons; one needs no allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reasons {
    /// One reason.
    One(Reason),
    /// Several, in the order in which the plugin found them.
    Many(Vec<Reason>),
}

impl Reasons {
    /// As a slice.
    pub fn as_slice(&self) -> &[Reason] {
        match self {
            Reasons::One(reason) => std::slice::from_ref(reason),
            Reasons::Many(reasons) => reasons,
        }
    }
}

/// `fwk.Status` of a plugin that said no.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rejection {
    /// Who.
    pub plugin: PluginName,
    /// How final.
    pub code: Code,
    /// Why.
    pub reasons: Reasons,
}

impl Rejection {
    /// A rejection with one reason.
    pub fn new(plugin: PluginName, code: Code, reason: Reason) -> Rejection {
        Rejection { plugin, code, reasons: Reasons::One(reason) }
    }
    /// A rejection with one constant reason.
    pub fn text(plugin: PluginName, code: Code, text: &'static str) -> Rejection {
        Rejection::new(plugin, code, Reason::Text(text))
    }
}

/// What a filter says: `Ok` lets the node pass.
pub type Verdict = Result<(), Rejection>;

/// What PreFilter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreFilter {
    /// Look at every node.
    Continue,
    /// The plugin has nothing to filter for this pod: its Filter is not called.
    Skip,
    /// Look at these nodes only (node names; those that do not exist are ignored), in bytewise order.
    Nodes(Vec<Sym>),
    /// No node can take the pod.
    Reject(Rejection),
}

/// What PreScore says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreScore {
    /// Score the nodes.
    Continue,
    /// The plugin has nothing to say about this pod: its Score is not called and counts 0.
    Skip,
    /// The cycle fails with this message.
    Error(String),
}

/// Highest score of a plugin before weighting (`MaxNodeScore`).
pub const MAX_NODE_SCORE: i64 = 100;

/// Every plugin has a name.
pub trait Plugin: std::fmt::Debug + Send + Sync {
    /// The Kubernetes name.
    fn name(&self) -> PluginName;
}

/// Looks at the pod once, before the nodes.
pub trait PreFilterPlugin: Plugin {
    /// Prepares this plugin's state for the pod, narrows the nodes, or rejects the pod.
    fn pre_filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState) -> PreFilter;
    /// Another pod is (hypothetically) added to a node: keeps the state exact in dry runs.
    fn add_pod(
        &self,
        _view: View<'_>,
        _pod: PodId,
        _added: PodId,
        _node: NodeView<'_>,
        _state: &mut CycleState,
    ) {
    }
    /// Another pod is (hypothetically) removed from a node.
    fn remove_pod(
        &self,
        _view: View<'_>,
        _pod: PodId,
        _removed: PodId,
        _node: NodeView<'_>,
        _state: &mut CycleState,
    ) {
    }
}

/// Looks at one node.
pub trait FilterPlugin: Plugin {
    /// May the pod run there? Must not depend on the order of calls.
    fn filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState, node: NodeView<'_>) -> Verdict;
}

/// Ranks feasible nodes.
pub trait ScorePlugin: Plugin {
    /// Looks at the pod and all feasible nodes once.
    fn pre_score(
        &self,
        _view: View<'_>,
        _pod: PodId,
        _state: &mut CycleState,
        _nodes: &[NodeId],
    ) -> PreScore {
        PreScore::Continue
    }
    /// Raw score of one node.
    fn score(&self, view: View<'_>, pod: PodId, state: &CycleState, node: NodeId) -> i64;
    /// Maps raw scores (one per feasible node, in order) to 0..=100. Default: they are already.
    fn normalize(&self, _view: View<'_>, _pod: PodId, _state: &CycleState, _scores: &mut [i64]) {}
}
