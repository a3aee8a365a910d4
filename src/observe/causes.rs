//! Why a wanted pod does not run.

use super::replicas::LastAttempt;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, NodeId, PodId, SpecId};
use crate::model::names::{Name, sym};
use crate::model::pod::{PodOwner, PodPhase};
use crate::model::spec::PodVolume;
use crate::model::volume::{BindingMode, Claim, ClaimPhase};
use crate::results::summary::StuckCause;

/// The node exists and is Ready.
pub fn node_is_up(cluster: &Cluster, node: NodeId) -> bool {
    let row = cluster.node(node);
    row.exists && row.ready
}

/// The claims of a pod in the order of its volumes; `None` where there is no such claim.
pub fn claims_of(cluster: &Cluster, pod: PodId) -> impl Iterator<Item = Option<ClaimId>> + '_ {
    let row = cluster.pod(pod);
    claims_by_name(cluster, row.spec, row.name)
}

/// The same for a pod that may be gone already.
pub fn claims_by_name(
    cluster: &Cluster,
    spec: SpecId,
    pod: Name,
) -> impl Iterator<Item = Option<ClaimId>> + '_ {
    let spec = cluster.spec(spec);
    spec.volumes.iter().filter_map(move |volume| {
        let names = &cluster.names;
        let name = match volume {
            PodVolume::Claim { name, .. } => Some(*name),
            PodVolume::ClaimTemplate { prefix } => names.get_prefixed_name(*prefix, pod),
            PodVolume::Ephemeral { suffix, .. } => {
                names.get_name(&format!("{}-{}", names.show(pod), names.text(*suffix)))
            }
            PodVolume::Exclusive { .. } => return None,
        };
        Some(name.and_then(|n| cluster.claim_by_name(spec.namespace, n)))
    })
}

/// The scheduler binds it (or has it provisioned) when a pod comes: its class exists and says so.
pub fn is_delayed(cluster: &Cluster, claim: &Claim) -> bool {
    let class = cluster.claim_spec(claim.spec).class_or_empty();
    class != sym::EMPTY
        && cluster.class(class).is_some_and(|c| c.binding_mode == BindingMode::WaitForFirstConsumer)
}

/// The claim is fully bound, as the scheduler sees it.
pub fn is_bound(claim: &Claim) -> bool {
    claim.volume_name.is_some() && claim.bind_completed
}

/// A claim of the pod is missing, lost, being deleted, or waits for the PV controller.
pub fn lacks_claim(cluster: &Cluster, pod: PodId) -> bool {
    claims_of(cluster, pod).any(|claim| match claim.map(|id| cluster.claim(id)) {
        None => true,
        Some(claim) => {
            claim.phase == ClaimPhase::Lost
                || claim.deletion.is_some()
                || (!is_bound(claim) && !is_delayed(cluster, claim))
        }
    })
}

/// What is said about a stuck pod of cause `notModelled`: the field that asks for what is not modelled.
pub fn not_modelled(cluster: &Cluster, pod: PodId) -> String {
    let spec = cluster.spec_of(pod);
    let field = match spec.not_modelled {
        Some(field) => cluster.names.text(field),
        None if cluster.pod(pod).node.is_some() => "the kubelet does not start the pod",
        None if !spec.scheduling_gates.is_empty() => "spec.schedulingGates",
        None => "spec.schedulerName",
    };
    format!("{}: {field}", StuckCause::NotModelled.name())
}

/// Why this stuck pod does not run.
pub fn cause(cluster: &Cluster, pod: PodId, last: LastAttempt) -> StuckCause {
    let row = cluster.pod(pod);
    let spec = cluster.spec(row.spec);
    if row.deletion.is_some() {
        return StuckCause::NodeGone;
    }
    if let Some(node) = row.node {
        if row.preset_node && row.phase == PodPhase::Pending {
            return StuckCause::NodeName;
        }
        if !node_is_up(cluster, node) {
            return StuckCause::NodeGone;
        }
        return match row.owner {
            _ if lacks_claim(cluster, pod) => StuckCause::UnboundClaim,
            PodOwner::StatefulSet(set) if cluster.stateful_sets()[set].group => StuckCause::Recovering,
            _ => StuckCause::NotModelled,
        };
    }
    let foreign = last == LastAttempt::None && spec.scheduler_name != sym::DEFAULT_SCHEDULER;
    if spec.not_modelled.is_some() || last == LastAttempt::Gated || foreign {
        return StuckCause::NotModelled;
    }
    if last == LastAttempt::Error {
        return StuckCause::BindError;
    }
    if lacks_claim(cluster, pod) {
        return StuckCause::UnboundClaim;
    }
    StuckCause::Unschedulable
}
