use super::assume::{BindError, BindTask, reserve};
use super::*;
use crate::control::provisioner::csi::RecordingProvisioner;
use crate::control::pv::run_to_fixpoint;
use crate::engine::time::SimTime;
use crate::model::fixture::Fixture;
use crate::model::labels::*;
use crate::model::node::{CsiNode, CsiNodeDriver};
use crate::model::quantity::Quantity;
use crate::model::volume::*;

fn view_of(cluster: &Cluster) -> View<'_> {
    View { cluster, now: SimTime::ZERO, ties: cluster.volume_index().tie_break(), attempt: 0 }
}

/// PreFilter, then Filter on all nodes: per node what was found, in words.
fn judge(fixture: &Fixture, pod: PodId) -> (CycleState, Vec<String>) {
    let plugin = VolumeBinding::default();
    let view = view_of(&fixture.cluster);
    let names = &fixture.cluster.names;
    let mut state = CycleState::default();
    let words = match plugin.pre_filter(view, pod, &mut state) {
        PreFilter::Continue => {
            let mut words = Vec::new();
            for id in fixture.cluster.nodes().ids() {
                let verdict = plugin.filter(view, pod, &mut state, view.node(id));
                let node = names.text(fixture.cluster.node(id).name);
                words.push(match verdict {
                    Ok(()) => format!("{node}: {}", show(fixture, state.volume_binding.volumes_on(id))),
                    Err(rejection) => format!("{node}: {}", texts(fixture, &rejection)),
                });
            }
            words
        }
        PreFilter::Skip => vec!["skip".to_owned()],
        PreFilter::Reject(rejection) => vec![texts(fixture, &rejection)],
        PreFilter::Nodes(_) => panic!("never narrows the nodes"),
    };
    (state, words)
}

fn texts(fixture: &Fixture, rejection: &Rejection) -> String {
    assert_eq!(rejection.code, Code::UnschedulableAndUnresolvable);
    let texts: Vec<String> =
        rejection.reasons.as_slice().iter().map(|r| r.text(&fixture.cluster.names)).collect();
    texts.join("; ")
}

fn show(fixture: &Fixture, volumes: Option<NodeVolumes<'_>>) -> String {
    let volumes = volumes.expect("a node that passed");
    let names = &fixture.cluster.names;
    let claim = |id: ClaimId| names.show(fixture.cluster.claim(id).name).to_string();
    let volume = |id: VolumeId| names.text(fixture.cluster.volume(id).name).to_owned();
    let bound = volumes.bindings.iter().map(|(c, v)| format!("{}={}", claim(*c), volume(*v)));
    let made = volumes.provisions.iter().map(|p| format!("{}=new", claim(p.claim)));
    bound.chain(made).collect::<Vec<_>>().join(" ")
}

/// Two nodes, the volumes and claims in words, one pod with these claims.
fn verdicts(volumes: &[&str], claims: &[&str], pod: &[&str]) -> Vec<String> {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    fixture.node("n2", &[]);
    for words in volumes {
        fixture.volume(words);
    }
    for words in claims {
        fixture.claim(words);
    }
    let pod = fixture.pod("p", pod);
    judge(&fixture, pod).1
}

#[test]
fn prefilter_rejects_the_pod_for_its_claims() {
    for (claims, reason) in [
        (&["c0 1Gi RWO"][..], "persistentvolumeclaim \"c1\" not found"),
        (
            &["c1 1Gi RWO volume=pv1 completed Lost"],
            "persistentvolumeclaim \"c1\" bound to non-existent persistentvolume \"pv1\"",
        ),
        (&["c1 1Gi RWO class=wffc deleting"], "persistentvolumeclaim \"c1\" is being deleted"),
        (&["c1 1Gi RWO"], UNBOUND_IMMEDIATE),
        (&["c1 1Gi RWO class=nosuch"], UNBOUND_IMMEDIATE),
        (&["c1 1Gi RWO class=nil"], UNBOUND_IMMEDIATE),
        (&["c1 1Gi RWO class=-"], UNBOUND_IMMEDIATE),
        (&["c1 1Gi RWO class=wffc volume=pv1"], UNBOUND_IMMEDIATE),
        (&["c1 1Gi RWO class=wffc completed Bound"], ""),
    ] {
        let found = verdicts(&["pv1 1Gi RWO class=wffc host=n1 Available"], claims, &["c1"]);
        if reason.is_empty() {
            // `bind-completed` without volume counts as waiting, until the PV controller sets it Lost.
            assert_eq!(found[0], "n1: c1=pv1");
        } else {
            assert_eq!(found, [reason], "{claims:?}");
        }
    }
    assert_eq!(verdicts(&[], &[], &[]), ["skip"]);
}

#[test]
fn ephemeral_claims_must_be_the_pods() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    let pod = fixture.pod("p", &["~scratch"]);
    let missing = "waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-scratch\"";
    assert_eq!(judge(&fixture, pod).1, [missing]);
    let claim = fixture.claim("p-scratch 1Gi RWO class=dynw");
    let foreign = "PVC default/p-scratch was not created for pod default/p (pod is not owner)";
    assert_eq!(judge(&fixture, pod).1, [foreign]);
    let uid = fixture.cluster.pod(pod).uid;
    fixture.cluster.update_claim(claim, |c| c.owner = ClaimOwner::Object(uid));
    assert_eq!(judge(&fixture, pod).1, ["n1: p-scratch=new"]);
}

#[test]
fn bound_claims_are_checked_against_the_node() {
    let bound = "c1 1Gi RWO volume=pv1 completed Bound";
    let elsewhere = format!("n1: {NODE_CONFLICT}");
    assert_eq!(verdicts(&["pv1 1Gi RWO host=n2 ref=c1! Bound"], &[bound], &["c1"]), [&elsewhere, "n2: "]);
    assert_eq!(verdicts(&["pv1 1Gi RWO ref=c1! Bound"], &[bound], &["c1"]), ["n1: ", "n2: "]);
    let gone = format!(": {VOLUME_MISSING}");
    assert_eq!(verdicts(&[], &[bound], &["c1"]), [format!("n1{gone}"), format!("n2{gone}")]);
    // Both reasons may stand for one node.
    let both =
        verdicts(&["pv1 1Gi RWO host=n2 ref=c1! Bound"], &[bound, "c2 1Gi RWO class=wffc"], &["c1", "c2"]);
    assert_eq!(both, [format!("n1: {NODE_CONFLICT}; {BIND_CONFLICT}"), format!("n2: {BIND_CONFLICT}")]);
    // A volume or class that is being deleted or gone does not matter to a bound claim.
    let unknown = "c1 1Gi RWO class=nosuch volume=pv1 completed Bound";
    assert_eq!(verdicts(&["pv1 1Gi RWO deleting ref=c1! Bound"], &[unknown], &["c1"]), ["n1: ", "n2: "]);
}

#[test]
fn a_waiting_claim_gets_the_smallest_volume_of_the_node() {
    let volumes = [
        "pv1 30Gi RWO class=wffc host=n1 Available",
        "pv2 10Gi RWO,ROX class=wffc host=n1 Available",
        "pv3 10Gi RWO,ROX class=wffc host=n1 Available",
        "pv4 5Gi RWO class=wffc host=n1 Available",
        "pv5 20Gi RWO class=wffc Available",
    ];
    // A superset of the modes will do, unlike for Immediate claims; of equal ones the first by name.
    assert_eq!(verdicts(&volumes, &["c1 8Gi RWO class=wffc"], &["c1"]), ["n1: c1=pv2", "n2: c1=pv5"]);
    let none = format!("n2: {BIND_CONFLICT}");
    assert_eq!(verdicts(&volumes, &["c1 21Gi RWO class=wffc"], &["c1"]), ["n1: c1=pv1", &none]);
}

#[test]
fn what_does_not_qualify() {
    for volume in [
        "pv1 10Gi RWO class=imm host=n1 Available",
        "pv1 10Gi RWO class=wffc host=n1 Pending",
        "pv1 10Gi RWO class=wffc host=n1 Released",
        "pv1 7Gi RWO class=wffc host=n1 Available",
        "pv1 8589934591 RWO class=wffc host=n1 Available",
        "pv1 10Gi ROX class=wffc host=n1 Available",
        "pv1 10Gi RWO class=wffc block host=n1 Available",
        "pv1 10Gi RWO class=wffc attr=gold host=n1 Available",
        "pv1 10Gi RWO class=wffc label=disk:hdd host=n1 Available",
        "pv1 10Gi RWO class=wffc deleting label=disk:ssd host=n1 Available",
        "pv1 10Gi RWO class=wffc label=disk:ssd ref=c2 host=n1 Available",
        "pv1 10Gi RWO class=wffc label=disk:ssd host=n3 Available",
    ] {
        let found = verdicts(&[volume], &["c1 8Gi RWO class=wffc sel=disk:ssd"], &["c1"]);
        assert_eq!(found[0], format!("n1: {BIND_CONFLICT}"), "{volume}");
    }
    let fits = "pv1 10Gi RWO class=wffc label=disk:ssd host=n1 Available";
    assert_eq!(verdicts(&[fits], &["c1 8Gi RWO class=wffc sel=disk:ssd"], &["c1"])[0], "n1: c1=pv1");
}

#[test]
fn claims_are_matched_smallest_first_without_going_back() {
    let volumes = [
        "pv1 10Gi RWO class=wffc host=n1 Available",
        "pv2 20Gi RWO class=wffc label=disk:ssd host=n1 Available",
    ];
    let sizes = ["big 15Gi RWO class=wffc", "small 5Gi RWO class=wffc"];
    assert_eq!(verdicts(&volumes, &sizes, &["big", "small"])[0], "n1: small=pv1 big=pv2");
    // Of equal requests the order of the pod's volumes decides, and a wrong start is not repaired.
    let volumes = [
        "pv1 10Gi RWO class=wffc label=disk:ssd host=n1 Available",
        "pv2 20Gi RWO class=wffc host=n1 Available",
    ];
    let equal = ["any 5Gi RWO class=wffc", "ssd 5Gi RWO class=wffc sel=disk:ssd"];
    assert_eq!(verdicts(&volumes, &equal, &["ssd", "any"])[0], "n1: ssd=pv1 any=pv2");
    assert_eq!(verdicts(&volumes, &equal, &["any", "ssd"])[0], format!("n1: {BIND_CONFLICT}"));
}

#[test]
fn a_reserved_volume_binds_the_claim_to_its_node() {
    let free = "pv0 9Gi RWO class=wffc host=n1 Available";
    let claim = "c1 8Gi RWO class=wffc sel=disk:ssd";
    // Neither selector, phase nor access modes are looked at, and it wins over smaller ones.
    let reserved = [free, "pv1 50Gi ROX class=wffc host=n1 ref=c1 Pending"];
    let elsewhere = format!("n2: {BIND_CONFLICT}");
    assert_eq!(verdicts(&reserved, &[claim], &["c1"]), ["n1: c1=pv1", &elsewhere]);
    // On another node the claim gets nothing, though a free volume would do.
    let both =
        ["pv0 9Gi RWO class=wffc host=n2 Available", "pv1 50Gi RWO class=wffc host=n1 ref=c1 Available"];
    assert_eq!(verdicts(&both, &["c1 8Gi RWO class=wffc"], &["c1"]), ["n1: c1=pv1", &elsewhere]);
    // One that is too small, of another class or of another claim does not count.
    for other in ["5Gi RWO class=wffc ref=c1", "50Gi RWO class=imm ref=c1", "50Gi RWO class=wffc ref=c1?"] {
        let volumes = [free.to_owned(), format!("pv1 {} host=n1 Available", other)];
        let volumes: Vec<&str> = volumes.iter().map(String::as_str).collect();
        assert_eq!(verdicts(&volumes, &["c1 8Gi RWO class=wffc"], &["c1"])[0], "n1: c1=pv0", "{other}");
    }
}

/// A volume that names the claim, or was assumed for it, must have its class, size, mode and attributes, and stay.
#[test]
fn what_a_reserved_volume_must_have() {
    let claim = "c1 8Gi RWO class=wffc attr=gold";
    let free = "pv0 9Gi RWO class=wffc attr=gold host=n1 Available";
    let rows = [
        ("8Gi RWO class=wffc attr=gold", true),
        ("8589934591 RWO class=wffc attr=gold", false),
        ("9Gi RWO class=imm attr=gold", false),
        ("9Gi RWO class=wffc block attr=gold", false),
        ("9Gi RWO class=wffc attr=silver", false),
        ("9Gi RWO class=wffc", false),
        ("9Gi RWO class=wffc attr=gold deleting", false),
        ("9Gi ROX class=wffc attr=gold", true),
    ];
    for (words, fits) in rows {
        let want = if fits { "n1: c1=pv1" } else { "n1: c1=pv0" };
        for reference in ["ref=c1", "ref=c1!", ""] {
            let mut fixture = Fixture::new();
            fixture.node("n1", &[]);
            fixture.volume(free);
            let phase = if reference.is_empty() { "Released" } else { "Available" };
            let reserved =
                fixture.volume(&format!("pv1 {words} host=n1 {reference} {phase}").replace("  ", " "));
            let id = fixture.claim(claim);
            if reference.is_empty() {
                let uid = fixture.cluster.claim(id).uid;
                fixture.cluster.assume_volume(reserved, Some(uid));
            }
            let pod = fixture.pod("p", &["c1"]);
            assert_eq!(judge(&fixture, pod).1, [want], "{words} {reference}");
        }
    }
    // The same for a volume to be found: each of these alone is in the way.
    for (words, fits) in rows {
        let found = verdicts(&[&format!("pv1 {words} host=n1 Available")], &[claim], &["c1"]);
        let fits = fits && !words.contains("ROX");
        assert_eq!(found[0] == "n1: c1=pv1", fits, "{words}");
    }
    // What was assumed for another claim is that one's, whatever its claimRef says.
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    let reserved = fixture.volume("pv1 9Gi RWO class=wffc host=n1 ref=c1 Available");
    fixture.claim("c1 8Gi RWO class=wffc");
    fixture.claim("c2 8Gi RWO class=wffc");
    fixture.cluster.assume_volume(reserved, Some(crate::model::fixture::claim_uid("c2")));
    let (first, second) = (fixture.pod("p", &["c1"]), fixture.pod("q", &["c2"]));
    assert_eq!(judge(&fixture, first).1, [format!("n1: {BIND_CONFLICT}")]);
    assert_eq!(judge(&fixture, second).1, ["n1: c2=pv1"]);
}

/// Several claims of one pod that each are reserved a volume, of which the first in order is taken first.
#[test]
fn several_reserved_volumes() {
    let volumes = [
        "pv1 9Gi RWO class=wffc host=n1 ref=c1 Available",
        "pv2 9Gi RWO class=wffc host=n1 ref=c1 Available",
        "pv3 9Gi RWO class=wffc host=n1 ref=c2 Available",
        "pv4 9Gi RWO class=wffc host=n1 Available",
    ];
    let claims = ["c1 1Gi RWO class=wffc", "c2 2Gi RWO class=wffc", "c3 3Gi RWO class=wffc"];
    assert_eq!(verdicts(&volumes, &claims, &["c3", "c2", "c1"])[0], "n1: c1=pv1 c2=pv3 c3=pv4");
    // Mentioned once more, the claim gets its other volume, then a free one, then none.
    assert_eq!(verdicts(&volumes, &claims, &["c1", "c1"])[0], "n1: c1=pv1 c1=pv2");
    assert_eq!(verdicts(&volumes, &claims, &["c1", "c1", "c1"])[0], "n1: c1=pv1 c1=pv2 c1=pv4");
    let none = format!("n1: {BIND_CONFLICT}");
    assert_eq!(verdicts(&volumes, &claims, &["c1", "c1", "c1", "c1"])[0], none);
}

/// On each node the smallest of its own volumes and of those that several nodes reach; what one claim takes, the next cannot.
#[test]
fn own_and_shared_volumes() {
    let shared = |size: u32| format!("s{size} {size}Gi RWO class=wffc Available");
    let own = |size: u32| format!("o{size} {size}Gi RWO class=wffc host=n1 Available");
    for (volumes, claims, want) in [
        (vec![shared(5), own(6)], 1, "c1=s5"),
        (vec![shared(6), own(5)], 1, "c1=o5"),
        (vec![own(5), shared(5)], 1, "c1=o5"),
        (vec![shared(9), own(9), shared(7)], 1, "c1=s7"),
        (vec![shared(5), own(6)], 2, "c1=s5 c2=o6"),
        (vec![shared(5), shared(6), own(7), own(4)], 3, "c1=o4 c2=s5 c3=s6"),
        (vec![own(7), own(6), own(5)], 3, "c1=o5 c2=o6 c3=o7"),
    ] {
        let claims: Vec<String> = (1..=claims).map(|n| format!("c{n} 1Gi RWO class=wffc")).collect();
        let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
        let names: Vec<&str> = ["c1", "c2", "c3"][..claims.len()].to_vec();
        let volumes: Vec<&str> = volumes.iter().map(String::as_str).collect();
        assert_eq!(verdicts(&volumes, &claims, &names)[0], format!("n1: {want}"), "{volumes:?}");
    }
}

/// The first CSIStorageCapacity object that the node has access to decides, in the order of namespaces and names.
#[test]
fn which_capacity_object_counts() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[("zone", "a")]);
    fixture.claim("c1 8Gi RWO class=dynw");
    let name = fixture.sym("csi.example");
    fixture.cluster.set_csi_driver(CsiDriver { name, storage_capacity: true, attach_required: true });
    let pod = fixture.pod("p", &["c1"]);
    let everywhere = |fixture: &mut Fixture, name: &str, gi: i64| {
        let object = StorageCapacity {
            namespace: fixture.sym("kube-system"),
            name: fixture.sym(name),
            class: fixture.sym("dynw"),
            topology: Some(LabelSelector::everything()),
            capacity: Some(Quantity::from_int(gi << 30)),
            maximum_volume_size: None,
        };
        fixture.cluster.set_capacity(object);
    };
    let plugin = VolumeBinding { scoring: Some(Shape::new(&[(0, 0), (100, 10)])) };
    let score = |fixture: &Fixture| {
        let (state, _) = judge(fixture, pod);
        plugin.score(
            view_of(&fixture.cluster),
            pod,
            &state,
            fixture.cluster.nodes().ids().next().expect("n1"),
        )
    };
    capacity(&mut fixture, "m", Some("a"), Some("16Gi"), None);
    assert_eq!(score(&fixture), 50);
    everywhere(&mut fixture, "z", 80);
    assert_eq!(score(&fixture), 50, "m comes before z");
    everywhere(&mut fixture, "b", 80);
    assert_eq!(score(&fixture), 10, "b comes before m");
    capacity(&mut fixture, "a", Some("a"), Some("32Gi"), None);
    assert_eq!(score(&fixture), 25);
    capacity(&mut fixture, "0", Some("other"), Some("64Gi"), None);
    assert_eq!(score(&fixture), 25, "another zone's");
    // Too small ones are passed over.
    capacity(&mut fixture, "0", Some("a"), Some("7Gi"), None);
    assert_eq!(score(&fixture), 25);
}

/// Two volumes of 100Pi in a pool of 150Pi: more than full, also where a hundred times that overflows.
#[test]
fn what_is_more_than_full_is_full() {
    for (claims, pool) in [(["8Gi", "8Gi"], "10Gi"), (["100Pi", "100Pi"], "150Pi")] {
        let mut fixture = Fixture::new();
        fixture.node("n1", &[("zone", "a")]);
        for (name, size) in ["c1", "c2"].iter().zip(claims) {
            fixture.claim(&format!("{name} {size} RWO class=dynw"));
        }
        let name = fixture.sym("csi.example");
        fixture.cluster.set_csi_driver(CsiDriver { name, storage_capacity: true, attach_required: true });
        capacity(&mut fixture, "m", Some("a"), Some(pool), None);
        let pod = fixture.pod("p", &["c1", "c2"]);
        let plugin = VolumeBinding { scoring: Some(Shape::new(&[(0, 0), (100, 10)])) };
        let (state, words) = judge(&fixture, pod);
        assert_eq!(words, ["n1: c1=new c2=new"], "{pool}");
        let n1 = fixture.cluster.nodes().ids().next().expect("n1");
        assert_eq!(plugin.score(view_of(&fixture.cluster), pod, &state, n1), 100, "{pool}");
    }
}

#[test]
fn a_selected_node_is_kept() {
    let found = verdicts(&[], &["c1 8Gi RWO class=dynw node=n2"], &["c1"]);
    assert_eq!(found, [format!("n1: {BIND_CONFLICT}"), "n2: c1=new".to_owned()]);
    // Static volumes are not looked for any more.
    let found =
        verdicts(&["pv1 9Gi RWO class=dynw host=n2 Available"], &["c1 8Gi RWO class=dynw node=n2"], &["c1"]);
    assert_eq!(found[1], "n2: c1=new");
}

fn capacity(
    fixture: &mut Fixture,
    name: &str,
    zone: Option<&str>,
    capacity: Option<&str>,
    max: Option<&str>,
) {
    let requirement = |f: &mut Fixture, zone: &str| LabelRequirement {
        key: f.sym("zone"),
        operator: LabelOperator::In,
        values: Box::new([f.sym(zone)]),
    };
    let quantity = |text: &str| Quantity::parse(text).expect("quantity");
    let topology = zone.map(|z| LabelSelector::Requirements(Box::new([requirement(fixture, z)])));
    let object = StorageCapacity {
        namespace: fixture.sym("kube-system"),
        name: fixture.sym(name),
        class: fixture.sym("dynw"),
        topology,
        capacity: capacity.map(quantity),
        maximum_volume_size: max.map(quantity),
    };
    fixture.cluster.set_capacity(object);
}

#[test]
fn provisioning_needs_topology_and_capacity() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[("zone", "a")]);
    fixture.node("n2", &[("zone", "b")]);
    fixture.claim("c1 8Gi RWO class=dynw sel=disk:ssd");
    let pod = fixture.pod("p", &["c1"]);
    let no_space = |node: &str| format!("{node}: {NOT_ENOUGH_SPACE}");
    assert_eq!(judge(&fixture, pod).1, ["n1: c1=new", "n2: c1=new"], "the selector is not looked at");

    // Without CSIDriver object, or with storageCapacity false, capacity is not looked at.
    let driver = |storage_capacity| CsiDriver {
        name: crate::model::names::Sym::new(0),
        storage_capacity,
        attach_required: true,
    };
    let name = fixture.sym("csi.example");
    fixture.cluster.set_csi_driver(CsiDriver { name, ..driver(false) });
    assert_eq!(judge(&fixture, pod).1, ["n1: c1=new", "n2: c1=new"]);
    fixture.cluster.set_csi_driver(CsiDriver { name, ..driver(true) });
    assert_eq!(judge(&fixture, pod).1, [no_space("n1"), no_space("n2")]);

    capacity(&mut fixture, "a", Some("a"), Some("7Gi"), None);
    capacity(&mut fixture, "b", Some("b"), Some("8Gi"), None);
    assert_eq!(judge(&fixture, pod).1, [no_space("n1"), "n2: c1=new".to_owned()]);
    // maximumVolumeSize wins in both directions.
    capacity(&mut fixture, "a", Some("a"), Some("1Gi"), Some("8Gi"));
    capacity(&mut fixture, "b", Some("b"), Some("80Gi"), Some("7Gi"));
    assert_eq!(judge(&fixture, pod).1, ["n1: c1=new".to_owned(), no_space("n2")]);
    // Neither a nil capacity nor a nil topology is any.
    capacity(&mut fixture, "a", Some("a"), None, None);
    capacity(&mut fixture, "b", None, Some("80Gi"), None);
    assert_eq!(judge(&fixture, pod).1, [no_space("n1"), no_space("n2")]);

    let (key, values) = (fixture.sym("zone"), vec![fixture.sym("b")]);
    fixture.change_class("dynw", |class| {
        class.allowed_topologies = vec![TopologyTerm { expressions: vec![(key, values)] }];
    });
    capacity(&mut fixture, "a", Some("a"), Some("80Gi"), None);
    capacity(&mut fixture, "b", Some("b"), Some("80Gi"), None);
    assert_eq!(judge(&fixture, pod).1, [format!("n1: {BIND_CONFLICT}"), "n2: c1=new".to_owned()]);
}

#[test]
fn claims_are_checked_alone_and_static_volumes_come_first() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[("zone", "a")]);
    fixture.claim("c1 8Gi RWO class=dynw");
    fixture.claim("c2 8Gi RWO class=dynw");
    let name = fixture.sym("csi.example");
    fixture.cluster.set_csi_driver(CsiDriver { name, storage_capacity: true, attach_required: true });
    capacity(&mut fixture, "a", Some("a"), Some("8Gi"), None);
    let pod = fixture.pod("p", &["c1", "c2"]);
    assert_eq!(judge(&fixture, pod).1, ["n1: c1=new c2=new"], "their sum is not checked");
    fixture.volume("pv1 10Gi RWO class=dynw host=n1 Available");
    assert_eq!(judge(&fixture, pod).1, ["n1: c1=pv1 c2=new"]);
}

fn reserved(fixture: &mut Fixture, pod: PodId, node: &str) -> BindTask {
    let (state, _) = judge(fixture, pod);
    let node = fixture.sym(node);
    let node = fixture.cluster.node_by_name(node).expect("node");
    reserve(&mut fixture.cluster, &state.volume_binding, pod, node).expect("something to bind")
}

fn write_all(task: &mut BindTask, fixture: &mut Fixture) -> Result<(), BindError> {
    while task.next_write().is_some() {
        task.write_next(&mut fixture.cluster)?;
    }
    Ok(())
}

#[test]
fn a_reserved_volume_is_not_taken_twice() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    let volume = fixture.volume("pv1 10Gi RWO class=wffc host=n1 Available");
    fixture.claim("c1 8Gi RWO class=wffc");
    fixture.claim("c2 8Gi RWO class=wffc");
    let (first, second) = (fixture.pod("a", &["c1"]), fixture.pod("b", &["c2"]));
    let mut task = reserved(&mut fixture, first, "n1");
    assert_eq!(fixture.show_volume(volume), "pv1 Available", "nothing is written yet");
    let full = format!("n1: {BIND_CONFLICT}");
    assert_eq!(judge(&fixture, second).1, [full.as_str()]);
    assert_eq!(judge(&fixture, first).1, ["n1: c1=pv1"], "its own claim still gets it");
    task.revert(&mut fixture.cluster);
    assert_eq!(judge(&fixture, second).1, ["n1: c2=pv1"]);

    task = reserved(&mut fixture, first, "n1");
    write_all(&mut task, &mut fixture).expect("no conflict");
    assert_eq!(fixture.show_volume(volume), "pv1 ref=c1! by-controller Available");
    assert_eq!(task.check(&fixture.cluster), Ok(false), "the PV controller has not acted yet");
    task.revert(&mut fixture.cluster);
    assert_eq!(judge(&fixture, second).1, [full.as_str()], "what is written stays");
    run_to_fixpoint(&mut fixture.cluster, &mut Vec::new());
    assert_eq!(task.check(&fixture.cluster), Ok(true));
}

/// What is given back may be another object in the meantime, or somebody else's.
#[test]
fn only_what_was_reserved_is_given_back() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    let volume = fixture.volume("pv1 10Gi RWO class=wffc host=n1 Available");
    let bound = fixture.claim("c1 8Gi RWO class=wffc");
    let made = fixture.claim("c2 8Gi RWO class=dynw");
    let pod = fixture.pod("a", &["c1", "c2"]);
    let task = reserved(&mut fixture, pod, "n1");
    let n1 = fixture.sym("n1");
    let uid = fixture.cluster.claim(bound).uid;
    let state = |f: &Fixture| (f.cluster.volume(volume).assumed_for, f.cluster.claim(made).assumed_node);
    assert_eq!(state(&fixture), (Some(uid), Some(n1)));
    let mut plain = fixture.clone();
    task.revert(&mut plain.cluster);
    assert_eq!(state(&plain), (None, None));
    // The volume is another claim's now, and the claim is gone, and another one in its row.
    let mut other = fixture.clone();
    let theirs = Some(crate::model::fixture::claim_uid("c9"));
    other.cluster.assume_volume(volume, theirs);
    other.cluster.remove_claim(made);
    assert_eq!(other.claim("c3 8Gi RWO class=dynw"), made, "the row is used again");
    other.cluster.assume_claim_node(made, Some(n1));
    task.revert(&mut other.cluster);
    assert_eq!(state(&other), (theirs, Some(n1)));
    // Another volume in the row, for the same claim.
    fixture.cluster.remove_volume(volume);
    assert_eq!(fixture.volume("pv2 10Gi RWO class=wffc host=n1 Available"), volume, "the row is used again");
    fixture.cluster.assume_volume(volume, Some(uid));
    task.revert(&mut fixture.cluster);
    assert_eq!(state(&fixture), (Some(uid), None));
}

#[test]
fn all_claims_bound_leaves_nothing_to_do() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n1", &[]);
    fixture.volume("pv1 10Gi RWO ref=c1! Bound");
    fixture.claim("c1 8Gi RWO volume=pv1 completed Bound");
    let pod = fixture.pod("a", &["c1"]);
    let (state, _) = judge(&fixture, pod);
    assert_eq!(reserve(&mut fixture.cluster, &state.volume_binding, pod, node), None);
}

#[test]
fn a_change_in_between_is_a_conflict() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    let volume = fixture.volume("pv1 10Gi RWO class=wffc host=n1 Available");
    fixture.claim("c1 8Gi RWO class=wffc");
    let pod = fixture.pod("a", &["c1"]);
    let mut task = reserved(&mut fixture, pod, "n1");
    fixture.cluster.update_volume(volume, |v| v.reclaim = ReclaimPolicy::Delete);
    let error = write_all(&mut task, &mut fixture).expect_err("a conflict");
    assert_eq!(
        error.message(&fixture.cluster.names),
        "Operation cannot be fulfilled on persistentvolumes \"pv1\": the object has been modified; please apply your \
         changes to the latest version and try again"
    );
    assert_eq!(judge(&fixture, pod).1, ["n1: c1=pv1"], "free again");
}

#[test]
fn waiting_ends_with_the_reason_why_it_never_will_be_bound() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n1", &[]);
    let volume = fixture.volume("pv1 10Gi RWO class=wffc host=n1 Available");
    fixture.claim("c1 8Gi RWO class=wffc");
    let pod = fixture.pod("a", &["c1"]);
    let mut task = reserved(&mut fixture, pod, "n1");
    write_all(&mut task, &mut fixture).expect("no conflict");
    let error = |f: &Fixture| task.check(&f.cluster).expect_err("an error").message(&f.cluster.names);
    let mut broken = fixture.clone();
    broken.cluster.update_volume(volume, |v| v.claim_ref = None);
    assert_eq!(error(&broken), "binding volumes: ClaimRef got reset for pv \"pv1\"");
    let mut broken = fixture.clone();
    broken.cluster.remove_volume(volume);
    assert_eq!(
        error(&broken),
        "binding volumes: failed to check binding: persistentvolumes \"pv1\" not found"
    );
    let mut broken = fixture.clone();
    let claim = broken.claim_id("c1");
    broken.cluster.remove_claim(claim);
    assert_eq!(
        error(&broken),
        "binding volumes: failed to check binding: persistentvolumeclaims \"default/c1\" not found"
    );
    let mut broken = fixture.clone();
    broken.cluster.remove_pod(pod);
    assert_eq!(error(&broken), "binding volumes: pod does not exist any more: pod \"a\" not found");
    let mut broken = fixture.clone();
    broken.cluster.remove_node(node);
    assert_eq!(error(&broken), "binding volumes: failed to get node \"n1\": node \"n1\" not found");
    assert_eq!(
        BindError::DeadlineExceeded.message(&fixture.cluster.names),
        "binding volumes: context deadline exceeded"
    );
}

#[test]
fn a_volume_reserved_without_the_access_mode_is_never_bound() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    fixture.volume("pv1 10Gi ROX class=wffc host=n1 ref=c1 Available");
    fixture.claim("c1 8Gi RWO class=wffc");
    let pod = fixture.pod("a", &["c1"]);
    let mut task = reserved(&mut fixture, pod, "n1");
    write_all(&mut task, &mut fixture).expect("no conflict");
    run_to_fixpoint(&mut fixture.cluster, &mut Vec::new());
    assert_eq!(task.check(&fixture.cluster), Ok(false), "until the deadline");
    let volume = fixture.volume_id("pv1");
    assert_eq!(fixture.show_volume(volume), "pv1 ref=c1! Available", "not marked as bound by the controller");
}

#[test]
fn a_claim_mentioned_twice_gets_two_volumes_of_which_one_is_taken_back() {
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    fixture.volume("pv1 10Gi RWO class=wffc host=n1 Available");
    fixture.volume("pv2 20Gi RWO class=wffc host=n1 Available");
    fixture.claim("c1 8Gi RWO class=wffc");
    let pod = fixture.pod("a", &["c1", "c1"]);
    assert_eq!(judge(&fixture, pod).1, ["n1: c1=pv1 c1=pv2"]);
    let mut task = reserved(&mut fixture, pod, "n1");
    write_all(&mut task, &mut fixture).expect("no conflict");
    run_to_fixpoint(&mut fixture.cluster, &mut Vec::new());
    let error = task.check(&fixture.cluster).expect_err("one lost its claimRef");
    assert!(matches!(error, BindError::ClaimRefReset(_)), "{error:?}");

    // To be made: the second update of the claim is a conflict.
    let mut fixture = Fixture::new();
    fixture.node("n1", &[]);
    fixture.claim("c1 8Gi RWO class=dynw");
    let pod = fixture.pod("a", &["c1", "c1"]);
    let mut task = reserved(&mut fixture, pod, "n1");
    let error = write_all(&mut task, &mut fixture).expect_err("a conflict");
    assert_eq!(
        error.message(&fixture.cluster.names),
        "Operation cannot be fulfilled on persistentvolumeclaims \"c1\": the object has been modified; please apply your \
         changes to the latest version and try again"
    );
}

#[test]
fn provisioning_ends_with_a_volume_or_without_selected_node() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n1", &[("topology.csi/node", "n1")]);
    let (driver, key) = (fixture.sym("csi.example"), fixture.sym("topology.csi/node"));
    let csi =
        CsiNode { drivers: vec![CsiNodeDriver { name: driver, limit: None, topology_keys: vec![key] }] };
    let name = fixture.cluster.node(node).name;
    fixture.cluster.set_csi_node(name, csi);
    fixture.node("n2", &[]);
    let claim = fixture.claim("c1 8Gi RWO class=dynw");
    let pod = fixture.pod("a", &["c1"]);
    let mut task = reserved(&mut fixture, pod, "n1");
    let assumed = format!("n2: {BIND_CONFLICT}");
    assert_eq!(
        judge(&fixture, pod).1,
        ["n1: c1=new", &assumed],
        "the node is remembered before it is written"
    );
    write_all(&mut task, &mut fixture).expect("no conflict");
    run_to_fixpoint(&mut fixture.cluster, &mut Vec::new());
    assert_eq!(task.check(&fixture.cluster), Ok(false));

    let mut failed = fixture.clone();
    failed.cluster.update_claim(claim, |c| c.selected_node = None);
    let error = task.check(&failed.cluster).expect_err("an error");
    assert_eq!(error.message(&failed.cluster.names), "binding volumes: provisioning failed for PVC \"c1\"");

    let made = RecordingProvisioner::default().run(&mut fixture.cluster, SimTime::ZERO);
    assert_eq!(made.len(), 1);
    run_to_fixpoint(&mut fixture.cluster, &mut Vec::new());
    assert_eq!(task.check(&fixture.cluster), Ok(true));
    let volume = fixture.cluster.volume(made[0].2);
    assert_eq!((volume.phase, volume.capacity), (VolumePhase::Bound, Quantity::from_int(8 << 30)));
    let n2 = fixture.cluster.nodes().ids().nth(1).expect("two nodes");
    assert!(
        fixture.cluster.volume_allows_node(volume, node) && !fixture.cluster.volume_allows_node(volume, n2)
    );
}

#[test]
fn scores_of_storage_capacity_scoring() {
    let score = |shape: Shape, volumes: &[&str], claims: &[&str], pod: &[&str]| {
        let mut fixture = Fixture::new();
        let node = fixture.node("n1", &[]);
        fixture.class("wffc2", "kubernetes.io/no-provisioner", BindingMode::WaitForFirstConsumer);
        for words in volumes {
            fixture.volume(words);
        }
        for words in claims {
            fixture.claim(words);
        }
        let pod = fixture.pod("p", pod);
        let (state, _) = judge(&fixture, pod);
        let plugin = VolumeBinding { scoring: Some(shape) };
        plugin.score(view_of(&fixture.cluster), pod, &state, node)
    };
    let tightest = || Shape::new(&[(0, 0), (100, 10)]);
    let half = ["pv1 10Gi RWO class=wffc host=n1 Available"];
    assert_eq!(score(Shape::default(), &half, &["c1 3Gi RWO class=wffc"], &["c1"]), 70);
    assert_eq!(score(tightest(), &half, &["c1 3Gi RWO class=wffc"], &["c1"]), 30);
    // Per class sums, integer division, then the mean rounded: (4+5)*100/(10+10) = 45 and 1*100/3 = 33 make 39.
    let two = [
        "pv1 10Gi RWO class=wffc host=n1 Available",
        "pv2 10Gi RWO class=wffc host=n1 Available",
        "pv3 3Gi RWO class=wffc2 host=n1 Available",
    ];
    let claims = ["c1 4Gi RWO class=wffc", "c2 5Gi RWO class=wffc", "c3 1Gi RWO class=wffc2"];
    assert_eq!(score(tightest(), &two, &claims, &["c1", "c2", "c3"]), 39);
    // Nothing to bind.
    let bound = ["pv1 10Gi RWO ref=c1! Bound"];
    assert_eq!(score(tightest(), &bound, &["c1 8Gi RWO volume=pv1 completed Bound"], &["c1"]), 0);
    // A bent shape: {0:10, 50:4, 100:0} at 30 % is 100 + (40-100)*30/50 = 64.
    let bent = Shape::new(&[(0, 10), (50, 4), (100, 0)]);
    assert_eq!(score(bent, &half, &["c1 3Gi RWO class=wffc"], &["c1"]), 64);
}

#[test]
fn scores_of_volumes_to_be_made() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n1", &[("zone", "a")]);
    fixture.claim("c1 30Gi RWO class=dynw");
    fixture.claim("c2 30Gi RWO class=dynw");
    let name = fixture.sym("csi.example");
    fixture.cluster.set_csi_driver(CsiDriver { name, storage_capacity: true, attach_required: true });
    capacity(&mut fixture, "a", Some("a"), Some("100Gi"), Some("50Gi"));
    let pod = fixture.pod("p", &["c1", "c2"]);
    let plugin = VolumeBinding { scoring: Some(Shape::new(&[(0, 0), (100, 10)])) };
    let score = |f: &Fixture, pod| {
        let (state, _) = judge(f, pod);
        plugin.score(view_of(&f.cluster), pod, &state, node)
    };
    // capacity, not maximumVolumeSize, and counted once: 60 of 100.
    assert_eq!(score(&fixture, pod), 60);
    capacity(&mut fixture, "a", Some("a"), Some("40Gi"), Some("50Gi"));
    assert_eq!(score(&fixture, pod), 100, "more requested than there is");
    // Where one claim has a static volume only the static ones count.
    fixture.volume("pv1 60Gi RWO class=dynw host=n1 Available");
    assert_eq!(score(&fixture, pod), 50);
}

#[test]
fn an_old_scheduler_ignores_sizes() {
    let fixture = Fixture::new();
    let view = view_of(&fixture.cluster);
    let mut state = CycleState::default();
    let skip = VolumeBinding::default().pre_score(view, PodId::at(0), &mut state, &[]);
    assert_eq!(skip, PreScore::Skip);
}

#[test]
fn node_affinity_of_volumes() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n1", &[("gen", "7"), ("empty", "")]);
    let mut allows = |operator: NodeOperator, key: &str, values: &[&str], field: bool| {
        let requirement = NodeRequirement {
            key: fixture.sym(key),
            operator,
            values: values.iter().map(|v| fixture.sym(v)).collect(),
        };
        let mut term = NodeSelectorTerm::default();
        match field {
            true => term.fields = Box::new([requirement]),
            false => term.expressions = Box::new([requirement]),
        }
        let selector = NodeSelector { terms: Box::new([NodeSelectorTerm::default(), term]) };
        let name = format!("pv{}", fixture.cluster.volumes().len());
        let id = fixture.volume(&format!("{name} 1Gi RWO"));
        let mut volume = fixture.cluster.volume(id).clone();
        volume.node_affinity = Some(fixture.cluster.intern_node_selector(selector));
        fixture.cluster.volume_allows_node(&volume, node)
    };
    use NodeOperator::{Gt, In, NotIn};
    assert!(allows(In, "gen", &["6", "7"], false));
    assert!(!allows(In, "absent", &[""], false), "the key must be there");
    assert!(allows(In, "empty", &[""], false));
    assert!(allows(NotIn, "absent", &["x"], false));
    assert!(allows(Gt, "gen", &["6"], false));
    assert!(!allows(Gt, "gen", &["6.5"], false), "not an integer: no match, and no error");
    // Only the node's labels are looked at: a requirement on its name holds everywhere.
    assert!(allows(In, "metadata.name", &["n1"], true));
    assert!(allows(In, "metadata.name", &["n2"], true));
    assert!(!allows(In, "metadata.name", &["n1", "n2"], true), "malformed");
}
