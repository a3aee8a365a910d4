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

/// Does the pod count as a user: on a node that exists, or about to be, and not finished?
fn counts(cluster: &Cluster, pod: PodId) -> bool {
    let pod = cluster.pod(pod);
    pod.placed().is_some_and(|node| cluster.node(node).exists) && !pod.is_finished()
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
        let PodVolume::Exclusive { disk, monitors, read_only } = volume else { return false };
        b.volumes.iter().any(|other| {
            let PodVolume::Exclusive { disk: d, monitors: m, read_only: r } = other else { return false };
            // Every RBD disk has a monitor.
            let same = monitors.is_empty() || monitors.iter().any(|monitor| m.contains(monitor));
            d == disk && same && !(*r && *read_only)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SimTime;
    use crate::model::fixture::Fixture;
    use crate::model::pod::PodPhase;

    fn view(fixture: &Fixture) -> View<'_> {
        let ties = fixture.cluster.volume_index().tie_break();
        View { cluster: &fixture.cluster, now: SimTime::ZERO, ties, attempt: 0 }
    }

    /// The verdict for the pod on the first node: `ok`, `skip` or the text.
    fn verdict(fixture: &Fixture, pod: PodId) -> String {
        let mut state = CycleState::default();
        let view = view(fixture);
        match VolumeRestrictions.pre_filter(view, pod, &mut state) {
            PreFilter::Skip => return "skip".to_owned(),
            PreFilter::Reject(r) => return r.reasons.as_slice()[0].text(&fixture.cluster.names),
            _ => {}
        }
        let node = fixture.cluster.nodes().ids().next().expect("a node");
        match VolumeRestrictions.filter(view, pod, &mut state, view.node(node)) {
            Ok(()) => "ok".to_owned(),
            Err(r) => {
                assert_eq!(r.code, Code::Unschedulable, "preemption may help");
                r.reasons.as_slice()[0].text(&fixture.cluster.names)
            }
        }
    }

    #[test]
    fn a_claim_for_one_pod_has_one_pod() {
        let mut fixture = Fixture::new();
        fixture.node("n1", &[]);
        let other = fixture.node("n2", &[]);
        fixture.claim("c1 1Gi RWOP");
        fixture.claim("c2 1Gi RWO");
        let holder = fixture.pod("holder", &["c1", "c2"]);
        let wanting = fixture.pod("wanting", &["c1"]);
        let shared = fixture.pod("shared", &["c2"]);
        assert_eq!(verdict(&fixture, wanting), "skip", "an unscheduled pod holds nothing");
        fixture.cluster.bind_pod(holder, other);
        assert_eq!(verdict(&fixture, wanting), CLAIM_CONFLICT, "on every node");
        assert_eq!(verdict(&fixture, shared), "skip", "ReadWriteOnce is not the scheduler's business");
        fixture.cluster.mark_pod_deleted(holder);
        assert_eq!(verdict(&fixture, wanting), CLAIM_CONFLICT, "a terminating pod still holds it");
        fixture.cluster.set_pod_status(holder, PodPhase::Succeeded, false);
        assert_eq!(verdict(&fixture, wanting), "skip", "a finished one does not");
    }

    #[test]
    fn hypothetical_pods_count() {
        let mut fixture = Fixture::new();
        let node = fixture.node("n1", &[]);
        fixture.claim("c1 1Gi RWOP");
        let holder = fixture.pod("holder", &["c1"]);
        let wanting = fixture.pod("wanting", &["c1"]);
        fixture.cluster.bind_pod(holder, node);
        let (mut state, view) = (CycleState::default(), view(&fixture));
        assert_eq!(VolumeRestrictions.pre_filter(view, wanting, &mut state), PreFilter::Continue);
        let node = view.node(node);
        VolumeRestrictions.remove_pod(view, wanting, holder, node, &mut state);
        assert_eq!(VolumeRestrictions.filter(view, wanting, &mut state, node), Ok(()));
        VolumeRestrictions.add_pod(view, wanting, holder, node, &mut state);
        assert!(VolumeRestrictions.filter(view, wanting, &mut state, node).is_err());
    }

    #[test]
    fn inline_disks_are_mounted_once_or_read_only() {
        for (mine, theirs, want) in
            [(false, false, DISK_CONFLICT), (true, false, DISK_CONFLICT), (true, true, "ok")]
        {
            let mut fixture = Fixture::new();
            let node = fixture.node("n1", &[]);
            let disk = fixture.sym("gcePersistentDisk/d1");
            let volume = |read_only| vec![PodVolume::Exclusive { disk, monitors: Box::default(), read_only }];
            let holder = fixture.pod_with("holder", "default", volume(theirs));
            fixture.cluster.bind_pod(holder, node);
            let wanting = fixture.pod_with("wanting", "default", volume(mine));
            assert_eq!(verdict(&fixture, wanting), want);
        }
    }

    #[test]
    fn rbd_images_are_the_same_if_they_share_a_monitor() {
        for (mine, theirs, want) in [
            (&["m1", "m2"][..], &["m2", "m3"][..], DISK_CONFLICT),
            (&["m1"], &["m2"], "ok"),
            (&["m1"], &["m1"], DISK_CONFLICT),
        ] {
            let mut fixture = Fixture::new();
            let node = fixture.node("n1", &[]);
            let disk = fixture.sym("rbd/pool/image");
            let mut volume = |names: &[&str]| {
                let monitors = names.iter().map(|m| fixture.sym(m)).collect();
                vec![PodVolume::Exclusive { disk, monitors, read_only: false }]
            };
            let (mine, theirs) = (volume(mine), volume(theirs));
            let holder = fixture.pod_with("holder", "default", theirs);
            fixture.cluster.bind_pod(holder, node);
            let wanting = fixture.pod_with("wanting", "default", mine);
            assert_eq!(verdict(&fixture, wanting), want);
        }
    }

    #[test]
    fn a_missing_claim_is_reported_here() {
        let mut fixture = Fixture::new();
        fixture.node("n1", &[]);
        let pod = fixture.pod("p", &["missing"]);
        assert_eq!(verdict(&fixture, pod), "persistentvolumeclaim \"missing\" not found");
        let ephemeral = fixture.pod("q", &["~scratch"]);
        assert_eq!(
            verdict(&fixture, ephemeral),
            "skip",
            "those of ephemeral volumes are VolumeBinding's business"
        );
    }
}
