//! VolumeZone: zone and region labels of a pod's bound volumes against those of the node.
//!
//! Only claims that are bound when the pod comes are looked at. A label's value may be a set: `a__b`.

use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::model::names::{Sym, sym};
use crate::model::spec::PodVolume;
use crate::model::volume::{BindingMode, Claim, Volume};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{
    Code, FilterPlugin, NodeView, Plugin, PluginName, PreFilter, PreFilterPlugin, Reason, Rejection, Verdict,
    View,
};

/// The plugin's name.
pub const NAME: PluginName = "VolumeZone";
/// The volume's zone is another one.
pub const CONFLICT: &str = "node(s) had no available volume zone";

/// Labels looked at, in order.
const LABELS: [Sym; 4] = [sym::ZONE_BETA, sym::REGION_BETA, sym::ZONE, sym::REGION];

/// The VolumeZone plugin.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeZone;

/// Its part of the cycle state: label keys and the values allowed for them.
#[derive(Clone, Debug, Default)]
pub struct VolumeZoneState {
    topologies: Vec<(Sym, Vec<String>)>,
}

impl Plugin for VolumeZone {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for VolumeZone {
    fn pre_filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState) -> PreFilter {
        let topologies = &mut state.volume_zone.topologies;
        topologies.clear();
        let cluster = view.cluster;
        let spec = cluster.spec_of(pod);
        let mentions = spec.volumes.iter().filter(|v| !matches!(v, PodVolume::Exclusive { .. }));
        for (volume, name) in mentions.zip(cluster.claim_names_of(pod)) {
            let Some(name) = name.filter(|_| !matches!(volume, PodVolume::Ephemeral { .. })) else {
                continue;
            };
            let judged = match cluster.claim_by_name(spec.namespace, name) {
                None => Err(Reason::ClaimNotFound(name)),
                Some(claim) => bound_volume(cluster, cluster.claim(claim)),
            };
            match judged {
                Ok(Some(volume)) => add_topologies(cluster, volume, topologies),
                Ok(None) => {}
                Err(reason) => {
                    let code = Code::UnschedulableAndUnresolvable;
                    return PreFilter::Reject(Rejection::new(NAME, code, reason));
                }
            }
        }
        if topologies.is_empty() { PreFilter::Skip } else { PreFilter::Continue }
    }
}

impl FilterPlugin for VolumeZone {
    fn filter(&self, view: View<'_>, _pod: PodId, state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let cluster = view.cluster;
        let labels = cluster.node_labels(node.id);
        if LABELS.iter().all(|key| labels.get(*key).is_none()) {
            return Ok(()); // a node without any such label takes everything
        }
        for (key, values) in &state.volume_zone.topologies {
            let value = labels.get(*key).or_else(|| labels.get(current_label(*key)));
            let text = value.map(|v| cluster.names.text(v));
            if text.is_none_or(|t| !values.iter().any(|v| v == t)) {
                return Err(Rejection::text(NAME, Code::UnschedulableAndUnresolvable, CONFLICT));
            }
        }
        Ok(())
    }
}

/// The volume of a claim that has one; `None` for one that waits for its first consumer.
fn bound_volume<'a>(cluster: &'a Cluster, claim: &Claim) -> Result<Option<&'a Volume>, Reason> {
    if let Some(name) = claim.volume_name {
        let id = cluster.volume_by_name(name).ok_or(Reason::VolumeNotFound(name))?;
        return Ok(Some(cluster.volume(id)));
    }
    let class = cluster.claim_spec(claim.spec).class_or_empty();
    if class == sym::EMPTY {
        return Err(Reason::Text("PersistentVolumeClaim had no pv name and storageClass name"));
    }
    match cluster.class(class).ok_or(Reason::ClassNotFound(class))?.binding_mode {
        BindingMode::WaitForFirstConsumer => Ok(None),
        BindingMode::Immediate => Err(Reason::Text("PersistentVolume had no name")),
    }
}

fn add_topologies(cluster: &Cluster, volume: &Volume, out: &mut Vec<(Sym, Vec<String>)>) {
    let labels = cluster.label_set(volume.labels);
    for key in LABELS {
        let Some(value) = labels.get(key) else { continue };
        let zones: Vec<String> =
            cluster.names.text(value).split("__").map(|zone| zone.trim().to_owned()).collect();
        // A set with an empty member is malformed, and the label is ignored.
        if zones.iter().all(|zone| !zone.is_empty()) {
            out.push((key, zones));
        }
    }
}

/// The label that replaced a beta one.
fn current_label(key: Sym) -> Sym {
    match key {
        sym::ZONE_BETA => sym::ZONE,
        sym::REGION_BETA => sym::REGION,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SimTime;
    use crate::model::fixture::Fixture;

    const ZONE: &str = "topology.kubernetes.io/zone";
    const ZONE_BETA: &str = "failure-domain.beta.kubernetes.io/zone";

    /// Verdict for a pod whose bound volume has this label, on a node with these labels.
    fn verdict(label: &str, node: &[(&str, &str)]) -> bool {
        let mut fixture = Fixture::new();
        let node = fixture.node("n1", node);
        fixture.volume(&format!("pv1 1Gi RWO label={label} ref=c1! Bound"));
        fixture.claim("c1 1Gi RWO volume=pv1 completed Bound");
        let pod = fixture.pod("p", &["c1"]);
        let ties = fixture.cluster.volume_index().tie_break();
        let view = View { cluster: &fixture.cluster, now: SimTime::ZERO, ties, attempt: 0 };
        let mut state = CycleState::default();
        match VolumeZone.pre_filter(view, pod, &mut state) {
            PreFilter::Skip => true,
            PreFilter::Continue => VolumeZone.filter(view, pod, &mut state, view.node(node)).is_ok(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn labels_of_volume_and_node() {
        let label = |key: &str, value: &str| format!("{key}:{value}");
        for (volume, node, want) in [
            (label(ZONE, "a"), &[(ZONE, "a")][..], true),
            (label(ZONE, "a"), &[(ZONE, "b")], false),
            (label(ZONE, "a__b"), &[(ZONE, "b")], true),
            (label(ZONE, "a__b"), &[(ZONE, "a__b")], false),
            (label(ZONE, "a__"), &[(ZONE, "b")], true),
            (label(ZONE_BETA, "a"), &[(ZONE, "a")], true),
            (label(ZONE_BETA, "a"), &[(ZONE_BETA, "b"), (ZONE, "a")], false),
            (label(ZONE, "a"), &[(ZONE_BETA, "a")], false),
            (label(ZONE, "a"), &[], true),
            (label(ZONE, "a"), &[("topology.kubernetes.io/region", "r")], false),
            (label("other", "a"), &[(ZONE, "b")], true),
        ] {
            assert_eq!(verdict(&volume, node), want, "{volume} {node:?}");
        }
    }

    #[test]
    fn claims_that_cannot_be_judged() {
        for (claim, want) in [
            ("c0 1Gi RWO", "persistentvolumeclaim \"c1\" not found"),
            ("c1 1Gi RWO volume=pv1", "persistentvolume \"pv1\" not found"),
            ("c1 1Gi RWO", "PersistentVolume had no name"),
            ("c1 1Gi RWO class=nil", "PersistentVolumeClaim had no pv name and storageClass name"),
            ("c1 1Gi RWO class=nosuch", "storageclass.storage.k8s.io \"nosuch\" not found"),
            ("c1 1Gi RWO class=wffc", "skip"),
        ] {
            let mut fixture = Fixture::new();
            fixture.claim(claim);
            let pod = fixture.pod("p", &["c1"]);
            let ties = fixture.cluster.volume_index().tie_break();
            let view = View { cluster: &fixture.cluster, now: SimTime::ZERO, ties, attempt: 0 };
            let said = match VolumeZone.pre_filter(view, pod, &mut CycleState::default()) {
                PreFilter::Skip => "skip".to_owned(),
                PreFilter::Reject(r) => r.reasons.as_slice()[0].text(&fixture.cluster.names),
                other => panic!("{other:?}"),
            };
            assert_eq!(said, want, "{claim}");
        }
    }
}
