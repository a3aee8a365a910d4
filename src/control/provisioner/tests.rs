use super::csi::RecordingProvisioner;
use super::local::{LocalProvisioner, Wipe, apply};
use crate::control::api::delete_volume;
use crate::control::pv::run_to_fixpoint;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::fixture::Fixture;
use crate::model::labels::LabelSelector;
use crate::model::quantity::Quantity;
use crate::model::volume::StorageCapacity;

/// Hands all changes to the provisioner and makes what is due by `now`, with the PV controller and the finalizers at once.
fn advance(fixture: &mut Fixture, provisioner: &mut LocalProvisioner, now: SimTime) {
    let mut changes = Vec::new();
    loop {
        run_to_fixpoint(&mut fixture.cluster, &mut Vec::new());
        fixture.cluster.take_changes(&mut changes);
        for change in &changes {
            provisioner.note(&fixture.cluster, change, now);
        }
        if let Some(write) = provisioner.due(&fixture.cluster, now) {
            apply(&mut fixture.cluster, write, now);
            let deleted: Vec<_> = fixture
                .cluster
                .volumes()
                .iter()
                .filter(|(_, v)| v.deletion.is_some())
                .map(|(id, _)| id)
                .collect();
            for id in deleted {
                fixture.cluster.remove_volume(id);
            }
        } else if changes.is_empty() {
            return;
        }
    }
}

#[test]
fn a_released_disk_is_wiped_and_offered_anew() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n1", &[]);
    let volume = fixture.volume("pv1 2G RWO Delete by=local host=n1 ref=c1! Bound");
    let mut provisioner = LocalProvisioner::default();
    provisioner.manage(&fixture.cluster, volume, node, Wipe::BytesPerSecond(200_000_000));
    let uid = fixture.cluster.volume(volume).uid;
    let at = SimTime::from_secs;
    advance(&mut fixture, &mut provisioner, at(100));
    assert_eq!(fixture.show_volume(volume), "pv1 ref=c1! Released");
    assert_eq!(provisioner.next_at(), Some(at(110)), "2 GB at 200 MB/s");
    advance(&mut fixture, &mut provisioner, at(109));
    assert_eq!(fixture.show_volume(volume), "pv1 ref=c1! Released");
    advance(&mut fixture, &mut provisioner, at(110));
    let volume = fixture.volume_id("pv1");
    assert_eq!(fixture.show_volume(volume), "pv1 Available");
    assert_ne!(fixture.cluster.volume(volume).uid, uid);
    assert_eq!(fixture.cluster.volume(volume).created, at(110));
    assert_eq!(provisioner.next_at(), None);
}

#[test]
fn a_failed_volume_is_wiped_too_and_a_retained_one_is_not() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n1", &[]);
    let failed = fixture.volume("pv1 2G RWO Delete ref=c1! Bound");
    let kept = fixture.volume("pv2 2G RWO ref=c2! Bound");
    let mut provisioner = LocalProvisioner::default();
    for volume in [failed, kept] {
        provisioner.manage(&fixture.cluster, volume, node, Wipe::Time(SimDuration::ZERO));
    }
    advance(&mut fixture, &mut provisioner, SimTime::ZERO);
    let failed = fixture.volume_id("pv1");
    assert_eq!(fixture.show_volume(failed), "pv1 Available");
    assert_eq!(fixture.show_volume(kept), "pv2 ref=c2! Released");
    // Deleted by hand, its disk is found again.
    delete_volume(&mut fixture.cluster, kept);
    fixture.cluster.remove_volume(kept);
    advance(&mut fixture, &mut provisioner, SimTime::ZERO);
    let kept = fixture.volume_id("pv2");
    assert_eq!(fixture.show_volume(kept), "pv2 Available");
}

#[test]
fn nothing_happens_while_the_node_is_away() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n1", &[]);
    let volume = fixture.volume("pv1 2G RWO Delete by=local host=n1 ref=c1! Bound");
    let mut provisioner = LocalProvisioner::default();
    provisioner.manage(&fixture.cluster, volume, node, Wipe::BytesPerSecond(200_000_000));
    let at = SimTime::from_secs;
    advance(&mut fixture, &mut provisioner, at(0));
    fixture.cluster.set_node_ready(node, false);
    advance(&mut fixture, &mut provisioner, at(5));
    assert_eq!(provisioner.next_at(), None);
    fixture.cluster.set_node_ready(node, true);
    advance(&mut fixture, &mut provisioner, at(50));
    assert_eq!(provisioner.next_at(), Some(at(60)), "wiping begins anew");
    let name = fixture.sym("pv1");
    provisioner.set_present(&fixture.cluster, name, false, at(55));
    assert_eq!(provisioner.next_at(), None, "the disk has failed");
}

#[test]
fn the_recorded_provisioner_keeps_account_if_told() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    fixture.claim("c1 30Gi RWO class=dynw node=n1");
    fixture.claim("c2 30Gi RWO class=dynw");
    fixture.claim("c3 30Gi RWO class=wffc node=n1");
    let capacity = |f: &mut Fixture| StorageCapacity {
        namespace: f.sym("default"),
        name: f.sym("a"),
        class: f.sym("dynw"),
        topology: Some(LabelSelector::everything()),
        capacity: Some(Quantity::from_int(50 << 30)),
        maximum_volume_size: Some(Quantity::from_int(40 << 30)),
    };
    let object = capacity(&mut fixture);
    fixture.cluster.set_capacity(object);
    let made = RecordingProvisioner { capacity_tracking: true }.run(&mut fixture.cluster, SimTime::ZERO);
    assert_eq!(made.len(), 1, "only the claim with a selected node and a provisioner");
    let object = &fixture.cluster.capacities().all()[0];
    let bytes = |q: Option<Quantity>| q.map(|q| q.value() >> 30);
    assert_eq!((bytes(object.capacity), bytes(object.maximum_volume_size)), (Some(20), Some(20)));
    run_to_fixpoint(&mut fixture.cluster, &mut Vec::new());
    let claim = fixture.claim_id("c1");
    assert!(fixture.show_claim(claim).contains("Bound cap=30Gi"));
}
