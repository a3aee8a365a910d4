//! What the fast path makes of a pod's claims.

use crate::model::cluster::Cluster;
use crate::model::ids::NodeId;
use crate::model::names::{Sym, sym};
use crate::model::volume::{AccessModes, BindingMode, Claim, ClaimPhase, Volume, VolumeSource};

/// A pod's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claims {
    /// None.
    None,
    /// All wait for a local volume.
    Waiting,
    /// All are bound to local volumes.
    Bound,
    /// Anything else.
    Other,
}

/// Does no node limit how many volumes of the driver it attaches? Counting them is NodeVolumeLimits' business. Those within Kubernetes
/// stand for other drivers there, and are left to it.
pub(super) fn is_unlimited(cluster: &Cluster, driver: Sym) -> bool {
    !cluster.names.text(driver).starts_with("kubernetes.io/") && !cluster.limits_attachments(driver)
}

/// The volume of a bound claim, if it is a local one, pinned to a host, that says nothing about zones. `is_unlimited`: what that says of
/// drivers.
pub(super) fn bound_local_volume<'c>(
    cluster: &'c Cluster,
    claim: &Claim,
    is_unlimited: impl FnOnce(Sym) -> bool,
) -> Option<&'c Volume> {
    let usable = claim.phase == ClaimPhase::Bound
        && claim.bind_completed
        && claim.deletion.is_none()
        && !cluster.claim_spec(claim.spec).modes.contains(AccessModes::RWOP);
    let volume = cluster.volume(cluster.volume_by_name(claim.volume_name.filter(|_| usable)?)?);
    let labels = cluster.label_set(volume.labels);
    let zoned = [sym::ZONE, sym::REGION, sym::ZONE_BETA, sym::REGION_BETA];
    let uncounted = match volume.source {
        VolumeSource::Local => true,
        VolumeSource::Csi { driver, .. } => is_unlimited(driver),
        VolumeSource::Other => false,
    };
    let plain = uncounted
        && cluster.pinned_host(volume.node_affinity).is_some()
        && zoned.iter().all(|key| labels.get(*key).is_none());
    plain.then_some(volume)
}

/// Narrows the nodes that all volumes of a pod allow. The volumes of the fast path are pinned to one host.
pub(super) fn note_home(cluster: &Cluster, volume: &Volume, first: bool, homes: &mut Vec<NodeId>) {
    if first {
        let host = cluster.pinned_host(volume.node_affinity);
        homes.extend(host.map_or(&[][..], |host| cluster.nodes_of_host(host)));
    }
    homes.retain(|node| cluster.volume_allows_node(volume, *node));
}

/// A claim that any fitting free local volume can serve, or one that its provisioner makes, and that nothing has been done about yet.
/// `is_unlimited`: what that says of drivers.
pub(super) fn waits_for_local_volume(
    cluster: &Cluster,
    claim: &Claim,
    is_unlimited: impl FnOnce(Sym) -> bool,
) -> bool {
    let spec = cluster.claim_spec(claim.spec);
    let class = cluster.class(spec.class_or_empty());
    let index = cluster.volume_index();
    claim.phase == ClaimPhase::Pending
        && claim.deletion.is_none()
        && claim.volume_name.is_none()
        && !claim.bind_completed
        && claim.selected_node.is_none()
        && claim.assumed_node.is_none()
        && !spec.modes.contains(AccessModes::RWOP)
        && class.is_some_and(|c| {
            c.binding_mode == BindingMode::WaitForFirstConsumer
                && (c.provisioner == sym::NO_PROVISIONER || is_unlimited(c.provisioner))
        })
        && cluster.volumes_claimed_by(claim.namespace, claim.name).is_empty()
        && index.assumed_for(claim.uid).is_empty()
}
