//! Matching the waiting claims on a node: `FindPodVolumes`.

use super::{Provision, VolumeBindingState};
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, ClaimSpecId, NodeId, VolumeId};
use crate::model::labels::LabelSet;
use crate::model::names::{Sym, sym};
use crate::model::volume::{ClaimSpec, TopologyTerm, Volume};
use crate::scheduler::framework::View;
use std::cmp::Ordering;
use std::ops::Range;

/// A claim that waits for a node.
#[derive(Clone, Debug)]
pub(super) struct WaitingClaim {
    claim: ClaimId,
    spec: ClaimSpecId,
    /// How its class makes volumes: index into the state's rules.
    rule: usize,
    /// Its part of the state's `prebound`.
    prebound: Range<u32>,
    /// Its part of the state's `wide`.
    wide: Range<u32>,
}

/// How volumes of one class are made, for claims of one size.
#[derive(Clone, Debug)]
pub(super) struct ProvisionRule {
    spec: ClaimSpecId,
    /// The class has a provisioner that makes volumes.
    dynamic: bool,
    allowed: Vec<TopologyTerm>,
    /// Of the class and the bytes for which published capacities have to suffice, if they are looked at.
    checked: Option<(Sym, i64)>,
}

/// What was found on a node.
pub(super) struct Found {
    pub bound_match: bool,
    pub unbound_match: bool,
    pub enough_space: bool,
    pub volumes_exist: bool,
    pub bindings: Range<u32>,
    pub provisions: Range<u32>,
}

impl Found {
    pub(super) fn satisfied(&self) -> bool {
        self.bound_match && self.unbound_match && self.enough_space && self.volumes_exist
    }
}

/// Looks once at everything about the waiting claims (in order of the pod's volumes) that no node changes.
pub(super) fn prepare(view: View<'_>, unbound: &[ClaimId], state: &mut VolumeBindingState) {
    let cluster = view.cluster;
    for &id in unbound {
        let row = cluster.claim(id);
        let rule = provision_rule(cluster, row.spec, &mut state.rules);
        let mut claim = WaitingClaim { claim: id, spec: row.spec, rule, prebound: 0..0, wide: 0..0 };
        if let Some(node) = row.assumed_node.or(row.selected_node) {
            state.selected.push((claim, node));
            continue;
        }
        let start = state.prebound.len();
        collect_prebound(cluster, id, &mut state.prebound);
        claim.prebound = start as u32..state.prebound.len() as u32;
        let start = state.wide.len();
        let fits = |v: &&VolumeId| is_candidate(cluster, cluster.volume(**v), cluster.claim_spec(row.spec));
        state.wide.extend(cluster.wide_volumes().iter().filter(fits));
        state.wide[start..].sort_by(|a, b| compare(cluster, *a, *b));
        claim.wide = start as u32..state.wide.len() as u32;
        state.waiting.push(claim);
    }
    // Stable, as Go's insertion sort is for up to twelve claims.
    state.waiting.sort_by_key(|claim| cluster.claim_spec(claim.spec).request);
}

/// Judges the node and puts the choices into the state's arenas.
pub(super) fn on_node(view: View<'_>, state: &mut VolumeBindingState, node: NodeId) -> Found {
    let cluster = view.cluster;
    let (bindings, provisions) = (state.bindings.len() as u32, state.provisions.len() as u32);
    let mut found = Found {
        bound_match: true,
        unbound_match: true,
        enough_space: true,
        volumes_exist: true,
        bindings: bindings..bindings,
        provisions: provisions..provisions,
    };
    check_bound(cluster, &state.bound, node, &mut found);
    let name = cluster.node(node).name;
    if state.selected.iter().any(|(_, selected)| *selected != name) {
        found.unbound_match = false;
        return found;
    }
    let mut unmatched = Vec::new();
    for (index, claim) in state.waiting.iter().enumerate() {
        match match_claim(cluster, state, claim, node, bindings as usize) {
            Some(volume) => state.bindings.push((claim.claim, volume)),
            None => unmatched.push(index),
        }
    }
    found.bindings.end = state.bindings.len() as u32;
    if !state.selected.is_empty() || !unmatched.is_empty() {
        check_provisions(cluster, state, &unmatched, node, &mut found);
    }
    if !found.satisfied() {
        state.bindings.truncate(bindings as usize);
        state.provisions.truncate(provisions as usize);
    }
    found
}

/// The first bound claim whose volume is gone or elsewhere decides.
fn check_bound(cluster: &Cluster, bound: &[Option<VolumeId>], node: NodeId, found: &mut Found) {
    for volume in bound {
        match volume {
            None => {
                found.volumes_exist = false;
                return;
            }
            Some(id) if !cluster.volume_allows_node(cluster.volume(*id), node) => {
                found.bound_match = false;
                return;
            }
            Some(_) => {}
        }
    }
}

/// `FindMatchingVolume` on a node: a volume that names the claim, or the smallest free one that fits. A volume that names the
/// claim but lies elsewhere means that the claim gets none here.
fn match_claim(
    cluster: &Cluster,
    state: &VolumeBindingState,
    claim: &WaitingClaim,
    node: NodeId,
    chosen_from: usize,
) -> Option<VolumeId> {
    let taken = |id: VolumeId| state.bindings[chosen_from..].iter().any(|(_, v)| *v == id);
    let range = |r: &Range<u32>| r.start as usize..r.end as usize;
    if let Some(&id) = state.prebound[range(&claim.prebound)].iter().find(|id| !taken(**id)) {
        return cluster.volume_allows_node(cluster.volume(id), node).then_some(id);
    }
    let spec = cluster.claim_spec(claim.spec);
    let mut local: Option<VolumeId> = None;
    if let Some(host) = cluster.node_labels(node).get(sym::HOSTNAME) {
        for &id in cluster.free_pinned_volumes(host) {
            let volume = cluster.volume(id);
            if is_candidate(cluster, volume, spec)
                && local.is_none_or(|other| compare(cluster, other, id) == Ordering::Greater)
                && !taken(id)
                && cluster.pinned_volume_allows(volume, host, node)
            {
                local = Some(id);
            }
        }
    }
    let wide = state.wide[range(&claim.wide)]
        .iter()
        .copied()
        .find(|id| !taken(*id) && cluster.volume_allows_node(cluster.volume(*id), node));
    match (local, wide) {
        (Some(a), Some(b)) => Some(if compare(cluster, a, b) == Ordering::Greater { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// Could the free volume serve such a claim, on a node that its affinity allows?
fn is_candidate(cluster: &Cluster, volume: &Volume, spec: &ClaimSpec) -> bool {
    volume.is_free_to_assume()
        && volume.class == spec.class_or_empty()
        && volume.capacity >= spec.request
        && volume.mode == spec.mode
        && same_attributes(volume, spec)
        && volume.modes.contains(spec.modes)
        && spec.selector.as_ref().is_none_or(|s| s.matches(cluster.label_set(volume.labels)))
}

/// `volumeAttributesClassName` must be equal; none and the empty one are the same.
fn same_attributes(volume: &Volume, spec: &ClaimSpec) -> bool {
    volume.attributes_class.unwrap_or(sym::EMPTY) == spec.attributes_class.unwrap_or(sym::EMPTY)
}

/// Volumes of the claim's class that name the claim and have the size and mode for it, in order of choice. Neither phase nor
/// selector nor access modes are looked at.
fn collect_prebound(cluster: &Cluster, id: ClaimId, out: &mut Vec<VolumeId>) {
    let claim = cluster.claim(id);
    let spec = cluster.claim_spec(claim.spec);
    let index = cluster.volume_index();
    let fits = |volume: &Volume| {
        volume.class == spec.class_or_empty()
            && volume.capacity >= spec.request
            && volume.mode == spec.mode
            && same_attributes(volume, spec)
            && volume.deletion.is_none()
    };
    let start = out.len();
    for &id in cluster.volumes_claimed_by(claim.namespace, claim.name) {
        let volume = cluster.volume(id);
        let for_us = match volume.assumed_for {
            Some(uid) => uid == claim.uid,
            None => volume.claim_ref.is_some_and(|r| r.uid.is_none_or(|uid| uid == claim.uid)),
        };
        if for_us && fits(volume) {
            out.push(id);
        }
    }
    for &id in index.assumed_for(claim.uid) {
        if !out[start..].contains(&id) && fits(cluster.volume(id)) {
            out.push(id);
        }
    }
    out[start..].sort_by(|a, b| compare_order(cluster, *a, *b));
}

/// Order of choice: smallest first, equal ones as ties are broken.
fn compare(cluster: &Cluster, a: VolumeId, b: VolumeId) -> Ordering {
    cluster.volume(a).capacity.cmp(&cluster.volume(b).capacity).then_with(|| compare_order(cluster, a, b))
}

fn compare_order(cluster: &Cluster, a: VolumeId, b: VolumeId) -> Ordering {
    let key = |id: VolumeId| (id, cluster.volume(id).name);
    cluster.volume_index().compare_equal(&cluster.names, key(a), key(b))
}

// ---- volumes to be made ----

fn provision_rule(cluster: &Cluster, spec: ClaimSpecId, rules: &mut Vec<ProvisionRule>) -> usize {
    if let Some(index) = rules.iter().position(|rule| rule.spec == spec) {
        return index;
    }
    let claim = cluster.claim_spec(spec);
    let name = claim.class_or_empty();
    let class = cluster.class(name);
    let provisioner = class.map_or(sym::EMPTY, |c| c.provisioner);
    let dynamic = provisioner != sym::EMPTY && provisioner != sym::NO_PROVISIONER;
    let checked = dynamic && cluster.csi_driver(provisioner).is_some_and(|driver| driver.storage_capacity);
    rules.push(ProvisionRule {
        spec,
        dynamic,
        allowed: class.map(|c| c.allowed_topologies.clone()).unwrap_or_default(),
        checked: checked.then(|| (name, claim.request.value())),
    });
    rules.len() - 1
}

/// `checkVolumeProvisions`: the first claim that cannot be provisioned decides.
fn check_provisions(
    cluster: &Cluster,
    state: &mut VolumeBindingState,
    unmatched: &[usize],
    node: NodeId,
    found: &mut Found,
) {
    let labels = cluster.node_labels(node);
    let selected = state.selected.iter().map(|(claim, _)| claim);
    let unmatched = unmatched.iter().map(|index| &state.waiting[*index]);
    found.unbound_match = true;
    for claim in selected.chain(unmatched) {
        let rule = &state.rules[claim.rule];
        if !rule.dynamic || !topology_allows(&rule.allowed, labels) {
            found.unbound_match = false;
            return;
        }
        let capacity = match rule.checked {
            None => None,
            Some((class, bytes)) => {
                match cluster.capacities().sufficient(&cluster.names, class, labels, bytes) {
                    None => {
                        found.enough_space = false;
                        return;
                    }
                    Some(object) => Some(object.capacity.map_or(0, |capacity| capacity.value())),
                }
            }
        };
        state.provisions.push(Provision { claim: claim.claim, capacity });
    }
    found.provisions.end = state.provisions.len() as u32;
}

/// `allowedTopologies`: terms ORed, a term's expressions ANDed, an empty term matches nothing; no terms: everywhere.
pub(in crate::scheduler) fn topology_allows(terms: &[TopologyTerm], labels: &LabelSet) -> bool {
    let holds = |term: &TopologyTerm| {
        let all = &term.expressions;
        !all.is_empty()
            && all.iter().all(|(key, values)| labels.get(*key).is_some_and(|v| values.contains(&v)))
    };
    terms.is_empty() || terms.iter().any(holds)
}
