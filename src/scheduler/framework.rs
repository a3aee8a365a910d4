//! The scheduling framework: one contract per extension point, as in kube-scheduler (KEP-624).
//!
//! Plugins read the cluster through a [`View`] and keep what they computed for the pod at hand in their own typed field of
//! [`CycleState`]. They never write to the cluster except in Reserve and PreBind.

use super::cycle_state::CycleState;
use super::plugins::volume_binding::assume::BindTask;
use super::profile::Profile;
use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId, Uid};
use crate::model::names::{Name, Names, Sym};
use crate::model::node::{Node, NodeInfo};
use std::fmt::Write as _;

/// A plugin's Kubernetes name, such as `NodeResourcesFit`.
pub type PluginName = &'static str;

/// Up to three plugin names, enough for messages about plugins that narrow the set of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PluginNames([Option<PluginName>; 3]);

impl PluginNames {
    /// The first three.
    pub fn new(names: &[PluginName]) -> PluginNames {
        PluginNames([0, 1, 2].map(|i| names.get(i).copied()))
    }
}

impl std::fmt::Display for PluginNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, name) in self.0.iter().flatten().enumerate() {
            let space = if i > 0 { " " } else { "" };
            write!(f, "{space}{name}")?;
        }
        Ok(())
    }
}

/// What plugins see.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The cluster as the scheduler knows it: objects of the API plus what was assumed.
    pub cluster: &'a Cluster,
    /// Now.
    pub now: SimTime,
    /// How random choices are made.
    pub ties: &'a TieBreak,
    /// Number of the attempt at this pod, so that draws differ from attempt to attempt.
    pub attempt: u64,
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
    /// A view in which every tie goes to the first.
    pub fn first(cluster: &'a Cluster) -> View<'a> {
        View { cluster, now: SimTime::ZERO, ties: &TieBreak::First, attempt: 0 }
    }
    /// One of `0..n`, for a choice that is random in Kubernetes. `salt` tells several choices of one purpose apart.
    pub fn choose(&self, purpose: &'static str, pod: PodId, salt: u64, n: usize) -> usize {
        if n < 2 || matches!(self.ties, TieBreak::First) {
            return 0;
        }
        let row = self.cluster.pod(pod);
        let entity = self.cluster.names.entity(row.name).with(self.attempt).with(salt);
        self.ties.choose(purpose, entity, n)
    }
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
    /// `node(s) didn't satisfy plugin(s) [A B]`: outside the set of nodes that their PreFilter returned.
    OutsideNodeSet(PluginNames),
    /// `node(s) didn't satisfy plugin(s) [A B] simultaneously`: the sets of nodes have nothing in common.
    NoCommonNode(PluginNames),
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
            Reason::OutsideNodeSet(plugins) => write!(out, "node(s) didn't satisfy plugin(s) [{plugins}]"),
            Reason::NoCommonNode(plugins) if plugins.0[1].is_none() => {
                write!(out, "node(s) didn't satisfy plugin {plugins}")
            }
            Reason::NoCommonNode(plugins) => {
                write!(out, "node(s) didn't satisfy plugin(s) [{plugins}] simultaneously")
            }
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

/// A pod between Reserve and Bind. It outlives the scheduling cycle: whoever runs binding cycles keeps one per pod in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The pod; it is assumed on `node`.
    pub pod: PodId,
    /// Identity of the pod: its row may be reused if it is deleted meanwhile.
    pub uid: Uid,
    /// Where it goes.
    pub node: NodeId,
    /// Volumes that VolumeBinding reserved and that have to be bound first (PreBind): writes, then polls. `None`: nothing to do.
    pub volumes: Option<BindTask>,
}

/// Takes hold of what the pod needs on the chosen node, in memory only.
pub trait ReservePlugin: Plugin {
    /// Reserves and notes in `binding` what PreBind and Unreserve will need.
    fn reserve(&self, cluster: &mut Cluster, state: &CycleState, binding: &mut Binding) -> Verdict;
    /// Gives everything back. Called also for a plugin whose `reserve` was not reached or failed; must not fail.
    fn unreserve(&self, cluster: &mut Cluster, binding: &Binding);
}

/// Statuses of the nodes that were rejected, as PostFilter sees them.
#[derive(Clone, Copy, Debug)]
pub struct Rejections<'a> {
    /// Nodes that a filter rejected, in the order in which they were looked at.
    pub nodes: &'a [(NodeId, Code)],
    /// Status of all other nodes.
    pub others: Code,
}

impl Rejections<'_> {
    /// Status code of a node.
    pub fn code(&self, node: NodeId) -> Code {
        self.nodes.iter().find(|(n, _)| *n == node).map_or(self.others, |(_, code)| *code)
    }
}

/// What preemption decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nomination {
    /// Where the pod may run once the victims are gone.
    pub node: NodeId,
    /// Pods to be deleted, the most important first. Some may be terminating already.
    pub victims: Vec<PodId>,
    /// All candidates, the best first: node, victims, how many of them violate a PodDisruptionBudget.
    pub candidates: Vec<(NodeId, Vec<PodId>, u32)>,
}

/// What PostFilter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostFilter {
    /// The pod can run there once the victims are gone.
    Nominate(Nomination),
    /// No help. The message is added to the pod's; the nomination is cleared if so asked.
    Unschedulable {
        /// Words, already in Kubernetes' form.
        message: PostFilterMessage,
        /// The plugin found that no nomination can help: a former one is withdrawn.
        clear_nomination: bool,
    },
    /// The plugin failed; the plugins after it are not asked.
    Error(PostFilterMessage),
}

/// Message of a PostFilter plugin, rendered only when somebody wants to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostFilterMessage {
    /// A constant text.
    Text(&'static str),
    /// A text made for this occasion.
    Owned(String),
    /// `preemption: 0/N nodes are available: ...` with counted reasons.
    Preemption(FitError),
}

/// Counted reasons why no node can take the pod: `framework.FitError`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FitError {
    /// All nodes.
    pub nodes: u32,
    /// The reasons of the PreFilter rejection, if that was it.
    pub pre_filter: Option<Reasons>,
    /// Otherwise reasons with the number of nodes, in order of first appearance.
    pub counts: Vec<(Reason, u32)>,
}

impl FitError {
    /// Counts the reasons of one more node.
    pub fn count(&mut self, reasons: &Reasons) {
        for &reason in reasons.as_slice() {
            self.count_nodes(reason, 1);
        }
    }
    /// Counts a reason for some nodes.
    pub fn count_nodes(&mut self, reason: Reason, nodes: u32) {
        match self.counts.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, n)) => *n += nodes,
            None => self.counts.push((reason, nodes)),
        }
    }
}

/// Acts when no node is feasible.
pub trait PostFilterPlugin: Plugin {
    /// Looks for a way to make room. `state` is what PreFilter left.
    fn post_filter(
        &self,
        profile: &Profile,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        rejections: Rejections<'_>,
    ) -> PostFilter;
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
