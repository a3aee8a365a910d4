use super::csi::RecordingProvisioner;
use super::local::{LocalProvisioner, LocalWrite, Wipe, apply};
use crate::control::api::delete_volume;
use crate::control::pv::run_to_fixpoint;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Change;
use crate::model::fixture::Fixture;
use crate::model::ids::{Terminating, Uid, VolumeId};
use crate::model::labels::LabelSelector;
use crate::model::quantity::Quantity;
use crate::model::volume::{StorageCapacity, VolumePhase};

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

/// What is offered again is a new volume with what makes the disk, and nothing of what became of the old one.
#[test]
fn a_disk_is_offered_as_a_fresh_volume() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n1", &[]);
    let words =
        "pv1 2G RWO Delete by=local host=n1 class=wffc label=a:b ref=c1! by-controller deleting Bound";
    let volume = fixture.volume(words);
    fixture.cluster.assume_volume(volume, Some(Uid::new(9)));
    let row = fixture.cluster.volume(volume).clone();
    let mut provisioner = LocalProvisioner::default();
    provisioner.manage(&fixture.cluster, volume, node, Wipe::Time(SimDuration::ZERO));
    let name = row.name;
    fixture.cluster.remove_volume(volume);
    let gone = Change::VolumeRemoved { volume, name, claim: None };
    provisioner.note(&fixture.cluster, &gone, SimTime::from_secs(7));
    assert_eq!(provisioner.next_at(), Some(SimTime::from_secs(7)));
    let Some(LocalWrite::Create(made)) = provisioner.due(&fixture.cluster, SimTime::from_secs(7)) else {
        panic!("a volume");
    };
    assert_eq!((made.name, made.node_affinity, &made.shape), (row.name, row.node_affinity, &row.shape));
    assert_eq!((made.claim_ref, made.bound_by_controller, made.phase), (None, false, VolumePhase::Pending));
    assert_eq!((made.deletion, made.assumed_for, made.protected), (None, None, row.protected));
    assert_ne!(made.uid, row.uid);
    apply(&mut fixture.cluster, LocalWrite::Create(made), SimTime::from_secs(7));
    let volume = fixture.volume_id("pv1");
    assert_eq!(fixture.cluster.volume(volume).created, SimTime::from_secs(7));
    assert_eq!(provisioner.due(&fixture.cluster, SimTime::from_secs(7)).map(|_| ()), None);
}

/// A disk, its volume Released at 0 s and wiped until 10 s; then something happens at 5 s, and what is due next.
#[test]
fn wiping_stops_when_there_is_nothing_to_wipe() {
    type Happening = fn(&mut Fixture, &mut LocalProvisioner, VolumeId);
    let at = SimTime::from_secs;
    let rows: &[(&str, Happening, Option<u64>)] = &[
        ("nothing", |_, _, _| {}, Some(10)),
        (
            "it is free again",
            |f, _, v| {
                f.cluster.update_volume(v, |v| {
                    (v.claim_ref, v.phase) = (None, VolumePhase::Available);
                })
            },
            None,
        ),
        (
            "it is being deleted",
            |f, _, v| f.cluster.update_volume(v, |v| v.deletion = Some(Terminating)),
            None,
        ),
        ("somebody else deletes it", |f, _, v| f.cluster.remove_volume(v), Some(5)),
        (
            "another volume changes",
            |f, _, _| {
                f.volume("pv9 1Gi RWO Available");
            },
            Some(10),
        ),
        (
            "the disk fails",
            |f, p, _| {
                let name = f.sym("pv1");
                p.set_present(&f.cluster, name, false, SimTime::from_secs(5));
            },
            None,
        ),
        (
            "the disk fails and is repaired",
            |f, p, _| {
                let name = f.sym("pv1");
                p.set_present(&f.cluster, name, false, SimTime::from_secs(5));
                p.set_present(&f.cluster, name, true, SimTime::from_secs(5));
            },
            Some(15),
        ),
        (
            "the node goes and comes back",
            |f, _, _| {
                let n1 = f.cluster.nodes().ids().next().expect("n1");
                f.cluster.set_node_ready(n1, false);
            },
            None,
        ),
        (
            "another node goes",
            |f, _, _| {
                let n2 = f.cluster.nodes().ids().nth(1).expect("n2");
                f.cluster.set_node_ready(n2, false);
            },
            Some(10),
        ),
        (
            "a volume that is not managed is gone",
            |f, _, _| {
                let other = f.volume_id("pv3");
                f.cluster.remove_volume(other);
            },
            Some(10),
        ),
    ];
    for (what, happening, want) in rows {
        let mut fixture = Fixture::new();
        let (n1, n2) = (fixture.node("n1", &[]), fixture.node("n2", &[]));
        let volume = fixture.volume("pv1 2G RWO Delete by=local host=n1 ref=c1! Released");
        let other = fixture.volume("pv2 2G RWO Delete by=local host=n2 Available");
        fixture.volume("pv3 2G RWO Delete host=n2 Available");
        let mut provisioner = LocalProvisioner::default();
        for (volume, node) in [(volume, n1), (other, n2)] {
            provisioner.manage(&fixture.cluster, volume, node, Wipe::BytesPerSecond(200_000_000));
        }
        let mut changes = Vec::new();
        let mut tell = |f: &mut Fixture, p: &mut LocalProvisioner, now| {
            f.cluster.take_changes(&mut changes);
            changes.iter().for_each(|change| p.note(&f.cluster, change, now));
        };
        tell(&mut fixture, &mut provisioner, at(0));
        let name = fixture.sym("pv1");
        assert!(provisioner.manages(name) && provisioner.is_wiping(name) && !provisioner.is_quiet());
        assert_eq!(provisioner.next_at(), Some(at(10)), "{what}");
        happening(&mut fixture, &mut provisioner, volume);
        tell(&mut fixture, &mut provisioner, at(5));
        assert_eq!(provisioner.next_at(), want.map(at), "{what}");
        assert_eq!(
            (provisioner.is_quiet(), provisioner.is_wiping(name)),
            (want.is_none(), want.is_some_and(|at| at > 5))
        );
        let due = provisioner.due(&fixture.cluster, at(4));
        assert!(due.is_none(), "{what}: too early");
        let created = matches!(provisioner.due(&fixture.cluster, at(5)), Some(LocalWrite::Create(_)));
        assert_eq!(created, *want == Some(5), "{what}");
    }
    let mut fixture = Fixture::new();
    let name = fixture.sym("pv1");
    let provisioner = LocalProvisioner::default();
    assert!(!provisioner.manages(name) && !provisioner.is_wiping(name) && provisioner.is_quiet());
}

/// Whoever has not heard yet that the node is away or the disk broken writes nothing; nor is another volume of the name deleted.
#[test]
fn what_is_due_is_looked_at_again() {
    let at = SimTime::from_secs;
    let begun = || {
        let mut fixture = Fixture::new();
        let n1 = fixture.node("n1", &[]);
        let volume = fixture.volume("pv1 2G RWO Delete by=local host=n1 ref=c1! Released");
        let mut provisioner = LocalProvisioner::default();
        provisioner.manage(&fixture.cluster, volume, n1, Wipe::Time(SimDuration::from_secs(10)));
        provisioner.note(&fixture.cluster, &Change::VolumeAdded(volume), at(0));
        (fixture, provisioner, n1, volume)
    };
    let (mut fixture, mut provisioner, n1, _) = begun();
    fixture.cluster.set_node_ready(n1, false);
    assert!(provisioner.due(&fixture.cluster, at(10)).is_none());
    let (mut fixture, mut provisioner, _, volume) = begun();
    fixture.cluster.update_volume(volume, |volume| volume.phase = VolumePhase::Available);
    assert!(provisioner.due(&fixture.cluster, at(10)).is_none(), "not to be wiped");
    let (mut fixture, mut provisioner, _, volume) = begun();
    let Some(write) = provisioner.due(&fixture.cluster, at(10)) else { panic!("it is wiped") };
    assert!(
        matches!(write, LocalWrite::Delete { volume: v, uid } if v == volume && uid == fixture.cluster.volume(v).uid)
    );
    let stale = LocalWrite::Delete { volume, uid: Uid::new(123_456) };
    apply(&mut fixture.cluster, stale, at(10));
    assert_eq!(fixture.cluster.volume(volume).deletion, None, "another volume");
    apply(&mut fixture.cluster, write, at(10));
    assert_eq!(fixture.cluster.volume(volume).deletion, Some(Terminating));
    // Released while the node was away: wiping begins when it is back. Gone while it was away: it is offered then.
    let (mut fixture, mut provisioner, n1, volume) = begun();
    fixture.cluster.set_node_ready(n1, false);
    let mut changes = Vec::new();
    let mut tell = |f: &mut Fixture, p: &mut LocalProvisioner, now| {
        f.cluster.take_changes(&mut changes);
        changes.iter().for_each(|change| p.note(&f.cluster, change, now));
    };
    tell(&mut fixture, &mut provisioner, at(1));
    fixture.cluster.remove_volume(volume);
    tell(&mut fixture, &mut provisioner, at(2));
    assert_eq!(provisioner.next_at(), None);
    fixture.cluster.set_node_ready(n1, true);
    tell(&mut fixture, &mut provisioner, at(30));
    assert_eq!(provisioner.next_at(), Some(at(30)));
}

#[test]
fn wiping_takes_capacity_over_rate_rounded_up() {
    for (capacity, wipe, nanos) in [
        ("3G", Wipe::BytesPerSecond(1_000_000_000), 3_000_000_000),
        ("1", Wipe::BytesPerSecond(3), 333_333_334),
        ("2", Wipe::BytesPerSecond(3), 666_666_667),
        ("1500m", Wipe::BytesPerSecond(2), 1_000_000_000),
        ("5", Wipe::BytesPerSecond(0), 5_000_000_000),
        ("9G", Wipe::Time(SimDuration::from_nanos(17)), 17),
    ] {
        let mut fixture = Fixture::new();
        let n1 = fixture.node("n1", &[]);
        let volume = fixture.volume(&format!("pv1 {capacity} RWO Delete host=n1 Failed"));
        let mut provisioner = LocalProvisioner::default();
        provisioner.manage(&fixture.cluster, volume, n1, wipe);
        provisioner.note(&fixture.cluster, &Change::VolumeAdded(volume), SimTime::from_secs(1));
        let end = SimTime::from_secs(1) + SimDuration::from_nanos(nanos);
        assert_eq!(provisioner.next_at(), Some(end), "{capacity} {wipe:?}");
    }
}

/// Disks that are alike but for one thing are still wiped and offered each in its own way.
#[test]
fn disks_that_are_nearly_alike() {
    let second = Wipe::Time(SimDuration::from_secs(1));
    let mut fixture = Fixture::new();
    let n1 = fixture.node("n1", &[]);
    let mut provisioner = LocalProvisioner::default();
    let disks =
        [("2G", second), ("2G", Wipe::Time(SimDuration::from_secs(2))), ("3G", second), ("2G", second)];
    for (index, (size, wipe)) in disks.iter().enumerate() {
        let volume = fixture.volume(&format!("pv{index} {size} RWO Delete host=n1 ref=c{index}! Released"));
        provisioner.manage(&fixture.cluster, volume, n1, *wipe);
    }
    let mut changes = Vec::new();
    fixture.cluster.take_changes(&mut changes);
    for change in &changes {
        provisioner.note(&fixture.cluster, change, SimTime::ZERO);
    }
    let mut ends = Vec::new();
    for seconds in 0..4 {
        let now = SimTime::from_secs(seconds);
        while let Some(write) = provisioner.due(&fixture.cluster, now) {
            let LocalWrite::Delete { volume, .. } = write else { panic!("a disk that is wiped") };
            let row = fixture.cluster.volume(volume);
            ends.push((fixture.cluster.names.text(row.name).to_owned(), seconds, row.capacity));
            let (name, change) = (row.name, Change::VolumeRemoved { volume, name: row.name, claim: None });
            fixture.cluster.remove_volume(volume);
            provisioner.note(&fixture.cluster, &change, now);
            let Some(LocalWrite::Create(made)) = provisioner.due(&fixture.cluster, now) else {
                panic!("it is offered again")
            };
            let (_, _, capacity) = ends.last().expect("just pushed");
            assert_eq!((made.name, made.capacity), (name, *capacity));
            apply(&mut fixture.cluster, LocalWrite::Create(made), now);
            fixture.cluster.take_changes(&mut changes);
        }
    }
    let order: Vec<(&str, u64)> = ends.iter().map(|(name, at, _)| (name.as_str(), *at)).collect();
    assert_eq!(order, [("pv0", 1), ("pv2", 1), ("pv3", 1), ("pv1", 2)]);
}
