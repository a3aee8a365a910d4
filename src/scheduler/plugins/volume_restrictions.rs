//! VolumeRestrictions: disks that only one pod may mount, and claims that only one pod may use (ReadWriteOncePod).

use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::model::names::Name;
use crate::model::spec::{PodSpec, PodVolume};
use crate::model::volume::AccessModes;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{
    Code, FilterPlugin, NodeView, Plugin, PluginName, PreFilter, PreFilterPlugin, Reason, Rejection, Verdict,
    View,
};

/// The plugin's name.
pub const NAME: PluginName = "VolumeRestrictions";
/// A pod of the node mounts the same inline disk.
pub const DISK_CONFLICT: &str = "node(s) had no available disk";
/// Another pod, wherever it runs, uses a ReadWriteOncePod claim of the pod.
pub const CLAIM_CONFLICT: &str = "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod";

/// The VolumeRestrictions plugin.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeRestrictions;

/// Its part of the cycle state.
#[derive(Clone, Debug, Default)]
pub struct VolumeRestrictionsState {
    /// PreFilter did not skip.
    active: bool,
    /// The pod's ReadWriteOncePod claims.
    exclusive_claims: Vec<Name>,
    /// How many of them are in use, kept up to date by hypothetical pods.
    conflicts: i64,
}

impl Plugin for VolumeRestrictions {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for VolumeRestrictions {
    fn pre_filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState) -> PreFilter {
        let state = &mut state.volume_restrictions;
        state.active = false;
        state.exclusive_claims.clear();
        let cluster = view.cluster;
        let spec = cluster.spec_of(pod);
        for name in claim_names(cluster, pod) {
            let Some(claim) = cluster.claim_by_name(spec.namespace, name) else {
                let reason = Reason::ClaimNotFound(name);
                let code = Code::UnschedulableAndUnresolvable;
                return PreFilter::Reject(Rejection::new(NAME, code, reason));
            };
            let exclusive = cluster.claim_spec_of(claim).modes.contains(AccessModes::RWOP);
            if exclusive && !state.exclusive_claims.contains(&name) {
                state.exclusive_claims.push(name);
            }
        }
        let in_use = |name: &&Name| {
            let users = cluster.claim_users(spec.namespace, **name);
            users
                .iter()
                .any(|user| counts(cluster, *user) && claim_names(cluster, *user).any(|n| n == **name))
        };
        state.conflicts = state.exclusive_claims.iter().filter(in_use).count() as i64;
        state.active = state.conflicts > 0 || has_exclusive_disk(spec);
        if state.active { PreFilter::Continue } else { PreFilter::Skip }
    }
    fn add_pod(&self, view: View<'_>, _: PodId, added: PodId, _: NodeView<'_>, state: &mut CycleState) {
        count(view, added, 1, &mut state.volume_restrictions);
    }
    fn remove_pod(&self, view: View<'_>, _: PodId, removed: PodId, _: NodeView<'_>, state: &mut CycleState) {
        count(view, removed, -1, &mut state.volume_restrictions);
    }
}

impl FilterPlugin for VolumeRestrictions {
    fn filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let cluster = view.cluster;
        let spec = cluster.spec_of(pod);
        let clash = has_exclusive_disk(spec)
            && node.info.pods.iter().any(|other| disks_conflict(spec, cluster.spec_of(*other)));
        if clash {
            return Err(Rejection::text(NAME, Code::Unschedulable, DISK_CONFLICT));
        }
        if state.volume_restrictions.conflicts > 0 {
            return Err(Rejection::text(NAME, Code::Unschedulable, CLAIM_CONFLICT));
        }
        Ok(())
    }
}

/// Does the pod count as a user: on a node, or about to be, and not finished?
fn counts(cluster: &Cluster, pod: PodId) -> bool {
    let pod = cluster.pod(pod);
    pod.placed().is_some() && !pod.is_finished()
}

/// Claims that the pod names itself; those of ephemeral volumes are not looked at.
fn claim_names(cluster: &Cluster, pod: PodId) -> impl Iterator<Item = Name> + '_ {
    let mentions = cluster.spec_of(pod).volumes.iter().filter(|v| !matches!(v, PodVolume::Exclusive { .. }));
    let named = mentions.zip(cluster.claim_names_of(pod));
    named.filter_map(|(volume, name)| name.filter(|_| !matches!(volume, PodVolume::Ephemeral { .. })))
}

/// Kubernetes compares the names alone here, whatever the other pod's namespace, and counts every mention.
fn count(view: View<'_>, other: PodId, sign: i64, state: &mut VolumeRestrictionsState) {
    if state.active && !state.exclusive_claims.is_empty() {
        let mentions =
            claim_names(view.cluster, other).filter(|n| state.exclusive_claims.contains(n)).count();
        state.conflicts += sign * mentions as i64;
    }
}

fn has_exclusive_disk(spec: &PodSpec) -> bool {
    spec.volumes.iter().any(|v| matches!(v, PodVolume::Exclusive { .. }))
}

/// Do both pods mount one inline disk, not both of them read-only?
fn disks_conflict(a: &PodSpec, b: &PodSpec) -> bool {
    a.volumes.iter().any(|volume| {
        let PodVolume::Exclusive { disk, read_only } = volume else { return false };
        b.volumes.iter().any(|other| {
            matches!(other, PodVolume::Exclusive { disk: d, read_only: r } if d == disk && !(*r && *read_only))
        })
    })
}
