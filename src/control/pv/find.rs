//! Which volume a claim gets when the PV controller chooses: `findBestMatchForClaim`.

use crate::engine::rng::EntityKey;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, VolumeId};
use crate::model::labels::LabelSelector;
use crate::model::names::sym;
use crate::model::volume::{AccessModes, Claim, ClaimSpec, Volume};

/// The volume for a claim: sets of access modes are tried one after the other, those with fewest modes first; in a set a volume
/// that names the claim, else (unless binding is delayed) the smallest free one of the class that fits. The first set that has one
/// wins, even if a later one has a smaller volume.
pub fn find_best_match(cluster: &Cluster, id: ClaimId, delay_binding: bool) -> Option<VolumeId> {
    let claim = cluster.claim(id);
    let spec = cluster.claim_spec(claim.spec);
    let named = cluster.volumes_claimed_by(claim.namespace, claim.name);
    match named {
        [] if delay_binding => return None,
        // Whatever the order of the sets, there is no other.
        [only] if delay_binding => {
            let modes = cluster.volume(*only).modes;
            return if modes.contains(spec.modes) { prebound(cluster, claim, spec, modes) } else { None };
        }
        _ => {}
    }
    mode_sets(cluster, id, spec.modes).into_iter().find_map(|modes| {
        let prebound = prebound(cluster, claim, spec, modes);
        prebound.or_else(|| if delay_binding { None } else { smallest(cluster, spec, modes) })
    })
}

/// The sets that contain the requested modes, fewest modes first. Among sets of one size Kubernetes' order is random.
fn mode_sets(cluster: &Cluster, id: ClaimId, requested: AccessModes) -> Vec<AccessModes> {
    let mut sets = cluster.volume_index().mode_sets();
    sets.retain(|set| set.contains(requested));
    if sets.len() > 1 {
        let key = EntityKey::new(&cluster.claim_key(id));
        for same_size in sets.chunk_by_mut(|a, b| a.count() == b.count()) {
            cluster.volume_index().tie_break().shuffle("access mode sets", key, same_size);
        }
    }
    sets
}

/// A volume of the set whose claimRef names the claim. Class, selector and phase are not looked at.
fn prebound(cluster: &Cluster, claim: &Claim, spec: &ClaimSpec, modes: AccessModes) -> Option<VolumeId> {
    let index = cluster.volume_index();
    let fits = |id: &VolumeId| {
        let volume = cluster.volume(*id);
        is_bound_to(volume, claim)
            && volume.modes == modes
            && volume.capacity >= spec.request
            && volume.mode == spec.mode
            && same_attributes(volume, spec)
            && volume.deletion.is_none()
    };
    let key = |id: VolumeId| (id, cluster.volume(id).name);
    let named = cluster.volumes_claimed_by(claim.namespace, claim.name).iter().copied().filter(fits);
    named.min_by(|a, b| index.compare_equal(&cluster.names, key(*a), key(*b)))
}

fn smallest(cluster: &Cluster, spec: &ClaimSpec, modes: AccessModes) -> Option<VolumeId> {
    let mut free = cluster.free_volumes(spec, modes);
    match &spec.selector {
        None => free.next(),
        Some(selector) => free.find(|id| selects(cluster, selector, *id)),
    }
}

fn selects(cluster: &Cluster, selector: &LabelSelector, id: VolumeId) -> bool {
    selector.matches(cluster.label_set(cluster.volume(id).labels))
}

/// Would this free volume serve the claim, if the PV controller chooses? Access modes: a superset.
pub fn could_serve(cluster: &Cluster, volume: &Volume, spec: &ClaimSpec) -> bool {
    volume.class == spec.class_or_empty()
        && volume.capacity >= spec.request
        && volume.mode == spec.mode
        && same_attributes(volume, spec)
        && volume.modes.contains(spec.modes)
        && spec.selector.as_ref().is_none_or(|s| s.matches(cluster.label_set(volume.labels)))
}

/// `volumeAttributesClassName` must be equal; none and the empty one are the same.
pub fn same_attributes(volume: &Volume, spec: &ClaimSpec) -> bool {
    volume.attributes_class.unwrap_or(sym::EMPTY) == spec.attributes_class.unwrap_or(sym::EMPTY)
}

/// `IsVolumeBoundToClaim`: the volume's claimRef has the claim's name, and its uid if it has one.
pub fn is_bound_to(volume: &Volume, claim: &Claim) -> bool {
    volume.claim_ref.is_some_and(|r| {
        r.namespace == claim.namespace && r.name == claim.name && r.uid.is_none_or(|uid| uid == claim.uid)
    })
}
