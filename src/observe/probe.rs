//! Would a fresh pod fit? Hypothetical pods and claims, put into the cluster for a question and taken out again.

use crate::engine::time::SimTime;
use crate::model::cluster::{Change, Cluster};
use crate::model::ids::{ClaimId, ClaimSpecId, NodeId, PodId, SpecId, Uid};
use crate::model::names::{Name, Sym};
use crate::model::pod::{AssumedNode, Pod, PodOwner, PodPhase, StartOrder};
use crate::model::spec::PodVolume;
use crate::model::volume::{BindingMode, Claim, ClaimOwner, ClaimPhase};

pub use crate::scheduler::glance::Fit;

/// The scheduler's filters.
pub trait Filters: Send {
    /// As [`Filters::fits`] about a fresh pod that is not in the cluster, of a template with claims that wait for it. False, with
    /// `fits` as it was, if that cannot be told without putting one there.
    fn fits_fresh(
        &mut self,
        cluster: &Cluster,
        template: (SpecId, &[ClaimSpecId]),
        nodes: &[NodeId],
        fits: &mut Vec<Fit>,
    ) -> bool {
        let _ = (cluster, template, nodes, fits);
        false
    }
    /// Appends to `fits` what the filters say about `pod` on each of `nodes`.
    fn fits(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, nodes: &[NodeId], fits: &mut Vec<Fit>);
    /// The first of `nodes` that passes every filter.
    fn first(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, nodes: &[NodeId]) -> Option<NodeId> {
        let mut fits = Vec::with_capacity(nodes.len());
        self.fits(at, cluster, pod, nodes, &mut fits);
        nodes.iter().zip(&fits).find(|(_, fit)| fit.all()).map(|(node, _)| *node)
    }
}

/// Uids of hypothetical objects: no run counts up to here, and imported ones have the top bit set.
const PROBE_UID: u64 = u64::MAX >> 1;
/// Between the uids of two probes there is room for those of other hypothetical objects.
const UIDS_BEFORE_OTHERS: u64 = 10_000;

/// A hypothetical pod with its claims, in the cluster until [`Probe::remove`].
#[derive(Debug)]
pub struct Probe {
    /// The pod.
    pub pod: PodId,
    claims: Vec<ClaimId>,
}

impl Probe {
    /// Puts in a pod of `spec`, whose volumes are claim templates, with one unbound claim for each of them.
    pub fn insert(
        cluster: &mut Cluster,
        name: Name,
        spec: SpecId,
        claim_specs: &[ClaimSpecId],
    ) -> Option<Probe> {
        Probe::insert_numbered(cluster, name, spec, claim_specs, 0)
    }
    /// The same beside others: each has a number of its own.
    pub fn insert_numbered(
        cluster: &mut Cluster,
        name: Name,
        spec: SpecId,
        claim_specs: &[ClaimSpecId],
        number: u64,
    ) -> Option<Probe> {
        let first_uid = PROBE_UID - number * (UIDS_BEFORE_OTHERS + claim_specs.len() as u64 + 1);
        let namespace = cluster.spec(spec).namespace;
        let prefixes: Vec<Sym> = cluster.spec(spec).volumes.iter().filter_map(template_prefix).collect();
        let mut claims = Vec::with_capacity(claim_specs.len());
        for (i, (prefix, claim_spec)) in prefixes.into_iter().zip(claim_specs).enumerate() {
            let claim = Claim {
                uid: Uid::new(first_uid - 1 - i as u64),
                namespace,
                name: cluster.names.prefixed_name(prefix, name),
                spec: *claim_spec,
                volume_name: None,
                bind_completed: false,
                bound_by_controller: false,
                storage_provisioner: None,
                selected_node: None,
                assumed_node: None,
                phase: ClaimPhase::Pending,
                capacity: None,
                deletion: None,
                protected: false,
                owner: ClaimOwner::None,
                created: SimTime::ZERO,
            };
            claims.extend(cluster.add_claim(claim));
        }
        let pod = Pod {
            uid: Uid::new(first_uid),
            name,
            spec,
            node: None,
            assumed: AssumedNode::NONE,
            phase: PodPhase::Pending,
            ready: false,
            deletion: None,
            created: SimTime::ZERO,
            start_order: StartOrder::imported(0),
            owner: PodOwner::None,
            preset_node: false,
            preempted: false,
        };
        match cluster.add_pod(pod) {
            Ok(pod) => Some(Probe { pod, claims }),
            Err(_) => {
                claims.into_iter().for_each(|claim| cluster.remove_claim(claim));
                None
            }
        }
    }
    /// Takes everything out again.
    pub fn remove(self, cluster: &mut Cluster) {
        cluster.remove_pod(self.pod);
        self.claims.into_iter().rev().for_each(|claim| cluster.remove_claim(claim));
    }
}

fn template_prefix(volume: &PodVolume) -> Option<Sym> {
    match volume {
        PodVolume::ClaimTemplate { prefix } => Some(*prefix),
        _ => None,
    }
}

/// Asks with every class as `WaitForFirstConsumer`, and leaves the cluster and its recorded changes as they were.
///
/// `changes` is a buffer whose memory is reused.
pub fn with_delayed_binding<R>(
    cluster: &mut Cluster,
    changes: &mut Vec<Change>,
    ask: impl FnOnce(&mut Cluster) -> R,
) -> R {
    let immediate: Vec<_> =
        cluster.classes().filter(|c| c.binding_mode == BindingMode::Immediate).cloned().collect();
    debug_assert!(cluster.changes().is_empty(), "a settled cluster has no change that nobody has seen");
    let config = cluster.config_generation();
    for class in &immediate {
        cluster.set_class(crate::model::volume::StorageClass {
            binding_mode: BindingMode::WaitForFirstConsumer,
            ..class.clone()
        });
    }
    let answer = ask(cluster);
    for class in immediate {
        cluster.set_class(class);
    }
    // Who keeps what rests on the configuration may go on keeping it.
    cluster.config_restored(config);
    cluster.take_changes(changes);
    answer
}
