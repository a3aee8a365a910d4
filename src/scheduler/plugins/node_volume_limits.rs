//! NodeVolumeLimits: how many volumes of a CSI driver a node can have attached.
//!
//! Volumes are told apart by driver and handle. A claim that has no volume yet counts as one volume of its class's provisioner.
//! Attachments without a pod (VolumeAttachment objects) and in-tree volumes are not modelled.

use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, PodId};
use crate::model::names::Sym;
use crate::model::node::CsiNode;
use crate::model::spec::PodVolume;
use crate::model::volume::VolumeSource;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{
    Code, FilterPlugin, NodeView, Plugin, PluginName, PreFilter, PreFilterPlugin, Rejection, Verdict, View,
};

/// The plugin's name.
pub const NAME: PluginName = "NodeVolumeLimits";
/// One more volume than the node can attach.
pub const TOO_MANY: &str = "node(s) exceed max volume count";

/// In-tree provisioners with the drivers that took their place; those without one do not count.
const MIGRATED: [(&str, Option<&str>); 7] = [
    ("kubernetes.io/aws-ebs", Some("ebs.csi.aws.com")),
    ("kubernetes.io/gce-pd", Some("pd.csi.storage.gke.io")),
    ("kubernetes.io/azure-disk", Some("disk.csi.azure.com")),
    ("kubernetes.io/azure-file", None),
    ("kubernetes.io/cinder", Some("cinder.csi.openstack.org")),
    ("kubernetes.io/vsphere-volume", None),
    ("kubernetes.io/portworx-volume", Some("pxd.portworx.com")),
];

/// The NodeVolumeLimits plugin.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeVolumeLimits;

/// Identity of a volume to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handle {
    /// `volumeHandle`.
    Known(Sym),
    /// The volume that the claim will have.
    OfClaim(ClaimId),
}

/// Its part of the cycle state: the pod's volumes as (driver, handle), each once.
#[derive(Clone, Debug, Default)]
pub struct NodeVolumeLimitsState {
    volumes: Vec<(Sym, Handle)>,
}

impl Plugin for NodeVolumeLimits {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl PreFilterPlugin for NodeVolumeLimits {
    fn pre_filter(&self, view: View<'_>, pod: PodId, state: &mut CycleState) -> PreFilter {
        let volumes = &mut state.node_volume_limits.volumes;
        volumes.clear();
        add_volumes(view.cluster, pod, |_| true, volumes);
        if volumes.is_empty() { PreFilter::Skip } else { PreFilter::Continue }
    }
}

impl FilterPlugin for NodeVolumeLimits {
    fn filter(&self, view: View<'_>, _pod: PodId, state: &mut CycleState, node: NodeView<'_>) -> Verdict {
        let cluster = view.cluster;
        let Some(csi) = cluster.csi_node(node.node.name) else { return Ok(()) };
        let wanted = &state.node_volume_limits.volumes;
        if !wanted.iter().any(|(driver, _)| limit(csi, *driver).is_some()) {
            return Ok(());
        }
        let mut attached = Vec::new();
        for &other in &node.info.pods {
            add_volumes(cluster, other, |driver| limit(csi, driver).is_some(), &mut attached);
        }
        for (index, &(driver, _)) in wanted.iter().enumerate() {
            let first = wanted.iter().position(|(d, _)| *d == driver) == Some(index);
            let Some(limit) = limit(csi, driver).filter(|_| first) else { continue };
            let new = wanted.iter().filter(|v| v.0 == driver && !attached.contains(v)).count();
            let current = attached.iter().filter(|v| v.0 == driver).count();
            if new > 0 && (current + new) as i64 > i64::from(limit) {
                return Err(Rejection::text(NAME, Code::Unschedulable, TOO_MANY));
            }
        }
        Ok(())
    }
}

fn limit(csi: &CsiNode, driver: Sym) -> Option<i32> {
    // Of several entries of one driver the last one counts.
    csi.drivers.iter().rev().filter(|d| d.name == driver).find_map(|d| d.limit)
}

/// Adds the pod's CSI volumes of the drivers of interest, each once.
fn add_volumes(
    cluster: &Cluster,
    pod: PodId,
    of_interest: impl Fn(Sym) -> bool,
    out: &mut Vec<(Sym, Handle)>,
) {
    let row = cluster.pod(pod);
    let spec = cluster.spec(row.spec);
    let mentions = spec.volumes.iter().any(|v| !matches!(v, PodVolume::Exclusive { .. }));
    if !mentions {
        return;
    }
    for name in cluster.claim_names_of(pod).flatten() {
        let Some(claim) = cluster.claim_by_name(spec.namespace, name) else { continue };
        let Some(volume) = csi_volume(cluster, claim).filter(|(driver, _)| of_interest(*driver)) else {
            continue;
        };
        if !out.contains(&volume) {
            out.push(volume);
        }
    }
}

/// Driver and handle of a claim's volume, or of the one that its class would make.
fn csi_volume(cluster: &Cluster, id: ClaimId) -> Option<(Sym, Handle)> {
    let claim = cluster.claim(id);
    if let Some(volume) = claim.volume_name.and_then(|name| cluster.volume_by_name(name)) {
        let volume = cluster.volume(volume);
        return match volume.source {
            VolumeSource::Csi { driver, handle } => {
                Some((driver, Handle::Known(handle.unwrap_or(volume.name))))
            }
            VolumeSource::Local | VolumeSource::Other => None,
        };
    }
    let class = cluster.class(cluster.claim_spec(claim.spec).class_or_empty())?;
    let text = cluster.names.text(class.provisioner);
    let driver = match MIGRATED.iter().find(|(in_tree, _)| *in_tree == text) {
        // A driver that nobody has mentioned has no limit anywhere.
        Some((_, driver)) => cluster.names.get((*driver)?)?,
        None => class.provisioner,
    };
    Some((driver, Handle::OfClaim(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SimTime;
    use crate::model::fixture::Fixture;
    use crate::model::node::CsiNodeDriver;

    /// A node with an attach limit for `csi.example`, running a pod with `running` claims: does one with `wanted` fit?
    fn fits(
        limit: Option<i32>,
        volumes: &[&str],
        claims: &[&str],
        running: &[&str],
        wanted: &[&str],
    ) -> bool {
        let mut fixture = Fixture::new();
        let node = fixture.node("n1", &[]);
        let driver = CsiNodeDriver { name: fixture.sym("csi.example"), limit, topology_keys: Vec::new() };
        let name = fixture.cluster.node(node).name;
        fixture.cluster.set_csi_node(name, CsiNode { drivers: vec![driver] });
        for words in volumes {
            fixture.volume(words);
        }
        for words in claims {
            fixture.claim(words);
        }
        let holder = fixture.pod("holder", running);
        fixture.cluster.bind_pod(holder, node);
        let pod = fixture.pod("p", wanted);
        let ties = fixture.cluster.volume_index().tie_break();
        let view = View { cluster: &fixture.cluster, now: SimTime::ZERO, ties, attempt: 0 };
        let mut state = CycleState::default();
        if NodeVolumeLimits.pre_filter(view, pod, &mut state) == PreFilter::Skip {
            return true;
        }
        let verdict = NodeVolumeLimits.filter(view, pod, &mut state, view.node(node));
        if let Err(rejection) = &verdict {
            assert_eq!(*rejection, Rejection::text(NAME, Code::Unschedulable, TOO_MANY));
        }
        verdict.is_ok()
    }

    const VOLUMES: [&str; 3] =
        ["pv1 1Gi RWO csi ref=c1! Bound", "pv2 1Gi RWO csi ref=c2! Bound", "pv3 1Gi RWO ref=c3! Bound"];
    const CLAIMS: [&str; 5] = [
        "c1 1Gi RWO volume=pv1 completed Bound",
        "c2 1Gi RWO volume=pv2 completed Bound",
        "c3 1Gi RWO volume=pv3 completed Bound",
        "c4 1Gi RWO class=dynw",
        "c5 1Gi RWO class=wffc",
    ];

    #[test]
    fn distinct_volumes_of_the_driver_count() {
        let fits = |limit, running: &[&str], wanted: &[&str]| fits(limit, &VOLUMES, &CLAIMS, running, wanted);
        assert!(!fits(Some(1), &["c1"], &["c2"]));
        assert!(fits(Some(2), &["c1"], &["c2"]));
        assert!(fits(Some(1), &["c1"], &["c1"]), "attached already");
        assert!(fits(Some(1), &[], &["c1", "c1"]), "once");
        assert!(!fits(Some(1), &[], &["c1", "c2"]));
        assert!(fits(None, &["c1"], &["c2"]), "no limit");
        assert!(!fits(Some(0), &[], &["c1"]));
        assert!(fits(Some(0), &["c1", "c2"], &["c1"]), "nothing new");
    }

    #[test]
    fn volumes_to_be_made_count_and_local_ones_do_not() {
        let fits = |limit, running: &[&str], wanted: &[&str]| fits(limit, &VOLUMES, &CLAIMS, running, wanted);
        assert!(!fits(Some(1), &["c1"], &["c4"]));
        assert!(!fits(Some(1), &["c4"], &["c2"]));
        assert!(fits(Some(0), &[], &["c3"]), "a local volume");
        assert!(fits(Some(0), &[], &["c5"]), "a class of another provisioner");
    }
}
