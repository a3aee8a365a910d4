use super::*;
use crate::control::pv::run_to_fixpoint;
use crate::engine::time::SimDuration;
use crate::model::fixture::Fixture;
use crate::model::volume_group::VolumeGroup;

const NO_LATENCY: CsiTimers = Timing::IDEAL.csi;
const MI: u64 = 1 << 20;
const GI: u64 = 1 << 30;

/// Two nodes with one group of 100Gi each for class `dynw`, extents of 4Mi; latencies as given.
fn setup(timing: CsiTimers) -> (Fixture, LvmProvisioner) {
    let mut fixture = Fixture::new();
    for name in ["n1", "n2"] {
        fixture.node(name, &[]);
        group(
            &mut fixture,
            name,
            "vg0",
            GroupKind::Lvm { extent_bytes: 4 * MI, overcommit_permille: 1000 },
            100 * GI,
        );
    }
    let provisioner = LvmProvisioner::start(&mut fixture.cluster, timing);
    (fixture, provisioner)
}

fn group(fixture: &mut Fixture, node: &str, name: &str, kind: GroupKind, size: u64) -> VolumeGroupId {
    let (name, node) = (fixture.sym(&format!("{node}-{name}")), fixture.sym(node));
    let classes = vec![fixture.sym("dynw"), fixture.sym("dyn")];
    fixture.cluster.add_volume_group(VolumeGroup::new(name, node, classes, kind, size))
}

/// Everybody acts until nothing is left to do at `now`; returns the driver's events.
fn advance(fixture: &mut Fixture, driver: &mut LvmProvisioner, now: SimTime) -> Vec<String> {
    let (mut changes, mut events) = (Vec::new(), Vec::new());
    loop {
        run_to_fixpoint(&mut fixture.cluster, &mut Vec::new());
        fixture.cluster.take_changes(&mut changes);
        for change in &changes {
            driver.note(&fixture.cluster, change, now);
        }
        match driver.due(&fixture.cluster, now) {
            Some(write) => {
                let event = driver.apply(&mut fixture.cluster, write, now);
                events.extend(event.map(|e| format!("{}: {}", e.reason, e.message)));
                let gone = fixture.cluster.volumes().iter().filter(|(_, v)| v.deletion.is_some());
                for id in gone.map(|(id, _)| id).collect::<Vec<_>>() {
                    fixture.cluster.remove_volume(id);
                }
            }
            None if changes.is_empty() => return events,
            None => {}
        }
    }
}

/// What is published for `dynw`: node, capacity and largest volume in Gi.
fn published(fixture: &Fixture, node: &str) -> (i64, i64) {
    let name = format!("csisc-dynw-{node}");
    let named = |c: &&StorageCapacity| fixture.cluster.names.text(c.name) == name;
    let object = fixture.cluster.capacities().all().iter().find(named).expect("published");
    let gi = |q: Option<Quantity>| q.expect("given").value() >> 30;
    (gi(object.capacity), gi(object.maximum_volume_size))
}

const T0: SimTime = SimTime::ZERO;

#[test]
fn a_volume_takes_whole_extents_on_the_selected_node() {
    let (mut fixture, mut driver) = setup(NO_LATENCY);
    assert_eq!(published(&fixture, "n2"), (100, 100));
    let claim = fixture.claim("c1 10000001Ki RWO class=dynw node=n2");
    let events = advance(&mut fixture, &mut driver, T0);
    assert_eq!(events.len(), 1);
    assert!(
        events[0].starts_with("ProvisioningSucceeded: Successfully provisioned volume pvc-"),
        "{events:?}"
    );
    // 10000001Ki are 2441.41 extents of 4Mi.
    let row = fixture.cluster.claim(claim);
    let capacity = row.capacity.map(|id| fixture.cluster.quantity(id));
    assert_eq!(capacity, Some(Quantity::from_bytes(u128::from(2442 * 4 * MI))));
    let volume = fixture.cluster.volume_by_name(row.volume_name.expect("bound")).expect("a volume");
    let volume = fixture.cluster.volume(volume);
    let fits = |n: usize| {
        let node = fixture.cluster.nodes().ids().nth(n).expect("a node");
        fixture.cluster.volume_allows_node(volume, node)
    };
    assert!(!fits(0) && fits(1), "it can be reached on its node only");
    assert_eq!((published(&fixture, "n1"), published(&fixture, "n2")), ((100, 100), (90, 90)));
}

#[test]
fn a_burst_overbooks_a_node_while_capacity_is_stale() {
    let timing = CsiTimers { publish: SimDuration::from_secs(60), ..NO_LATENCY };
    let (mut fixture, mut driver) = setup(timing);
    let first = fixture.claim("c1 60Gi RWO class=dynw node=n1");
    let second = fixture.claim("c2 60Gi RWO class=dynw node=n1");
    let events = advance(&mut fixture, &mut driver, T0);
    assert_eq!(
        events[1],
        format!(
            "ProvisioningFailed: failed to provision volume with StorageClass \"dynw\": rpc error: code = ResourceExhausted \
             desc = no enough space left on VG: free={}, requested={}",
            40 * GI,
            60 * GI
        )
    );
    assert!(fixture.show_claim(first).ends_with("Bound cap=60Gi"));
    assert_eq!(fixture.show_claim(second), "c2 prov=csi.example Pending", "selected-node is gone");
    assert_eq!(published(&fixture, "n1"), (100, 100), "not published yet");
    assert_eq!(driver.next_at(), Some(SimTime::from_secs(60)));
    advance(&mut fixture, &mut driver, SimTime::from_secs(60));
    assert_eq!(published(&fixture, "n1"), (40, 40));
}

#[test]
fn provisioning_and_deletion_take_their_time() {
    let seconds = SimTime::from_secs;
    let timing =
        CsiTimers { provision: SimDuration::from_secs(2), delete: SimDuration::from_secs(3), ..NO_LATENCY };
    let (mut fixture, mut driver) = setup(timing);
    let claim = fixture.claim("c1 60Gi RWO class=dynw node=n1");
    advance(&mut fixture, &mut driver, seconds(10));
    assert_eq!((driver.next_at(), fixture.cluster.volumes().len()), (Some(seconds(12)), 0));
    advance(&mut fixture, &mut driver, seconds(12));
    assert_eq!(fixture.cluster.volumes().len(), 1);
    fixture.cluster.remove_claim(claim);
    advance(&mut fixture, &mut driver, seconds(20));
    assert_eq!((driver.next_at(), published(&fixture, "n1")), (Some(seconds(23)), (40, 40)));
    advance(&mut fixture, &mut driver, seconds(23));
    assert_eq!((fixture.cluster.volumes().len(), published(&fixture, "n1")), (0, (100, 100)));
    assert_eq!(driver.next_at(), None);
}

#[test]
fn a_claim_without_selected_node_goes_to_the_emptiest_or_waits() {
    let (mut fixture, mut driver) = setup(NO_LATENCY);
    let claims = ["c1 60Gi RWO class=dyn", "c2 60Gi RWO class=dyn", "c3 60Gi RWO class=dyn"];
    let claims = claims.map(|words| fixture.claim(words));
    advance(&mut fixture, &mut driver, T0);
    assert_eq!((published(&fixture, "n1"), published(&fixture, "n2")), ((40, 40), (40, 40)));
    assert_eq!(fixture.show_claim(claims[2]), "c3 prov=csi.example Pending");
    fixture.cluster.remove_claim(claims[0]);
    advance(&mut fixture, &mut driver, T0);
    assert!(fixture.show_claim(claims[2]).ends_with("Bound cap=60Gi"), "there is room now");
}

#[test]
fn nothing_is_made_on_a_node_that_is_away() {
    let (mut fixture, mut driver) = setup(NO_LATENCY);
    let node = fixture.cluster.nodes().ids().next().expect("n1");
    fixture.cluster.set_node_ready(node, false);
    let claim = fixture.claim("c1 60Gi RWO class=dynw node=n1");
    advance(&mut fixture, &mut driver, T0);
    assert_eq!(fixture.show_claim(claim), "c1 node=n1 prov=csi.example Pending");
    fixture.cluster.set_node_ready(node, true);
    advance(&mut fixture, &mut driver, T0);
    assert!(fixture.show_claim(claim).ends_with("Bound cap=60Gi"));
}

fn ask_for(fixture: &mut Fixture, claim: ClaimId, bytes: u64) {
    let mut spec = fixture.cluster.claim_spec_of(claim).clone();
    spec.request = Quantity::from_bytes(u128::from(bytes));
    let spec = fixture.cluster.intern_claim_spec(spec);
    fixture.cluster.update_claim(claim, |c| c.spec = spec);
}

#[test]
fn claims_grow_while_there_is_room() {
    let (mut fixture, mut driver) = setup(NO_LATENCY);
    fixture.change_class("dynw", |class| class.allow_expansion = true);
    let first = fixture.claim("c1 60Gi RWO class=dynw node=n1");
    let second = fixture.claim("c2 20Gi RWO class=dynw node=n1");
    advance(&mut fixture, &mut driver, T0);
    ask_for(&mut fixture, second, 40 * GI);
    let events = advance(&mut fixture, &mut driver, T0);
    assert_eq!(events, ["VolumeResizeSuccessful: Resize volume succeeded"]);
    assert!(fixture.show_claim(second).ends_with("Bound cap=40Gi"));
    assert_eq!(published(&fixture, "n1"), (0, 0));
    ask_for(&mut fixture, second, 41 * GI);
    let events = advance(&mut fixture, &mut driver, T0);
    assert!(
        events.len() == 1 && events[0].starts_with("VolumeResizeFailed: resize volume \"pvc-"),
        "{events:?}"
    );
    fixture.cluster.remove_claim(first);
    advance(&mut fixture, &mut driver, T0);
    assert!(fixture.show_claim(second).ends_with("Bound cap=41Gi"), "tried again when there is room");
    // A class that does not allow it never grows.
    fixture.change_class("dynw", |class| class.allow_expansion = false);
    ask_for(&mut fixture, second, 50 * GI);
    assert!(advance(&mut fixture, &mut driver, T0).is_empty());
}

#[test]
fn the_choice_among_groups_and_devices() {
    let lvm = GroupKind::Lvm { extent_bytes: 4 * MI, overcommit_permille: 1000 };
    let used = |spread: bool, kinds: [GroupKind; 2], sizes: [u64; 2], claims: &[&str]| {
        let mut fixture = Fixture::new();
        fixture.node("n1", &[]);
        let groups = [0, 1].map(|i| group(&mut fixture, "n1", &format!("vg{i}"), kinds[i], sizes[i] * GI));
        let mut driver = LvmProvisioner::start(&mut fixture.cluster, CsiTimers { spread, ..NO_LATENCY });
        for claim in claims {
            fixture.claim(claim);
            advance(&mut fixture, &mut driver, T0);
        }
        groups.map(|id| fixture.cluster.volume_groups()[id].allocated_bytes() / GI)
    };
    let three = ["c1 10Gi RWO class=dyn", "c2 10Gi RWO class=dyn", "c3 10Gi RWO class=dyn"];
    assert_eq!(used(false, [lvm; 2], [50, 40], &three), [0, 30]);
    assert_eq!(used(true, [lvm; 2], [50, 40], &three), [20, 10]);
    // Of devices the smallest that fits, whole.
    let devices = [GroupKind::Device; 2];
    assert_eq!(used(false, devices, [50, 40], &three[..1]), [0, 40]);
    assert_eq!(used(false, devices, [50, 40], &three), [50, 40]);
}

#[test]
fn claims_are_served_only_when_the_driver_is_asked() {
    let (mut fixture, mut driver) = setup(NO_LATENCY);
    let driver_of = |fixture: &Fixture, class: &str| {
        let class = fixture.cluster.names.get(class).expect("a class");
        fixture.cluster.names.text(fixture.cluster.class(class).expect("a class").provisioner).to_owned()
    };
    let csi = driver_of(&fixture, "dyn");
    let rows = [
        (format!("c1 1Gi RWO class=dyn prov={csi}"), true),
        ("c2 1Gi RWO class=dyn".to_owned(), false),
        ("c3 1Gi RWO class=dyn prov=somebody".to_owned(), false),
        (format!("c4 1Gi RWO class=dynw prov={csi}"), false),
        (format!("c5 1Gi RWO class=dynw prov={csi} node=n1"), true),
        (format!("c6 1Gi RWO class=dyn prov={csi} volume=v completed"), false),
        (format!("c7 1Gi RWO class=dyn prov={csi} volume=v"), false),
        (format!("c8 1Gi RWO class=imm prov={csi}"), false),
    ];
    let mut changes = Vec::new();
    while driver.due(&fixture.cluster, SimTime::ZERO).is_some() {}
    for (words, want) in rows {
        let id = fixture.claim(&words);
        fixture.cluster.take_changes(&mut changes);
        for change in &changes {
            driver.note(&fixture.cluster, change, SimTime::ZERO);
        }
        let mut served = false;
        while let Some(write) = driver.due(&fixture.cluster, SimTime::ZERO) {
            served |= matches!(write, LvmWrite::Create { claim, .. } if claim == id);
        }
        assert_eq!(served, want, "{words}");
    }
}

/// The scheduler takes its choice of a node back while the driver is at work: the driver waits for the next one.
#[test]
fn nothing_is_made_while_no_node_is_selected() {
    let timing = CsiTimers { provision: SimDuration::from_secs(2), ..NO_LATENCY };
    let (mut fixture, mut driver) = setup(timing);
    let claim = fixture.claim("c1 1Gi RWO class=dynw node=n1");
    assert_eq!(advance(&mut fixture, &mut driver, T0), Vec::<String>::new());
    fixture.cluster.update_claim(claim, |claim| claim.selected_node = None);
    let at = |seconds| T0 + SimDuration::from_secs(seconds);
    for seconds in [1, 2, 3, 9] {
        assert_eq!(advance(&mut fixture, &mut driver, at(seconds)), Vec::<String>::new(), "{seconds} s");
    }
    let n2 = fixture.sym("n2");
    fixture.cluster.update_claim(claim, |claim| claim.selected_node = Some(n2));
    advance(&mut fixture, &mut driver, at(10));
    assert_eq!(fixture.cluster.volumes().iter().count(), 0, "it takes its time");
    assert_eq!(advance(&mut fixture, &mut driver, at(12)).len(), 1);
    assert_eq!(published(&fixture, "n1").0 + published(&fixture, "n2").0, 199);
}

/// A node that comes later has the driver too, even if no node had it before: what waited is made there.
#[test]
fn a_node_comes_with_volume_groups() {
    for others in [false, true] {
        let (mut fixture, mut driver) = if others {
            setup(NO_LATENCY)
        } else {
            let mut fixture = Fixture::new();
            let driver = LvmProvisioner::start(&mut fixture.cluster, NO_LATENCY);
            (fixture, driver)
        };
        let claim = fixture.claim("c1 200Gi RWO class=dyn");
        advance(&mut fixture, &mut driver, T0);
        assert_eq!(fixture.cluster.claim(claim).volume_name, None);
        fixture.node("n3", &[]);
        let kind = GroupKind::Lvm { extent_bytes: 4 * MI, overcommit_permille: 1000 };
        group(&mut fixture, "n3", "vg0", kind, 300 * GI);
        let n3 = fixture.sym("n3");
        driver.node_added(&mut fixture.cluster, n3, T0);
        assert_eq!(published(&fixture, "n3"), (300, 300));
        advance(&mut fixture, &mut driver, T0);
        assert!(fixture.cluster.claim(claim).volume_name.is_some(), "made on the new node; others: {others}");
        assert_eq!(published(&fixture, "n3"), (100, 100));
        // A node without groups changes nothing.
        fixture.node("n4", &[]);
        let n4 = fixture.sym("n4");
        driver.node_added(&mut fixture.cluster, n4, T0);
        let class = fixture.sym("dyn");
        let nodes = fixture.cluster.capacities().all().iter().filter(|c| c.class == class).count();
        assert_eq!(nodes, if others { 3 } else { 1 });
    }
}
