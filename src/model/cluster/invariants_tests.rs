//! States that are broken are found, and those that only look it are counted.

use super::*;
use crate::model::fixture::Fixture;
use crate::model::volume_group::GroupKind;

fn none() -> BTreeSet<Sym> {
    BTreeSet::new()
}

/// What is said about volumes and claims that are written as words.
fn check(volumes: &[&str], claims: &[&str], edited: &[&str]) -> Result<Exemptions, String> {
    let mut fixture = Fixture::new();
    volumes.iter().for_each(|words| {
        fixture.volume(words);
    });
    claims.iter().for_each(|words| {
        fixture.claim(words);
    });
    let edited = edited.iter().map(|name| fixture.sym(name)).collect();
    fixture.cluster.check_invariants(&edited)
}

fn half(half_written_bindings: u64) -> Exemptions {
    Exemptions { half_written_bindings, ..Exemptions::default() }
}

const BOUND: &str = "c1 8Gi RWO volume=pv1 completed Bound";

#[test]
fn whole_and_half_written_bindings() {
    type Row = (&'static str, &'static [&'static str], &'static [&'static str], Exemptions);
    let lost = Exemptions { lost_claims: 1, ..Exemptions::default() };
    let rows: &[Row] = &[
        ("nothing", &[], &[], half(0)),
        ("free and waiting", &["pv1 10Gi RWO Available"], &["c1 8Gi RWO"], half(0)),
        ("bound to each other", &["pv1 10Gi RWO ref=c1! Bound"], &[BOUND], half(0)),
        ("bound without a uid", &["pv1 10Gi RWO ref=c1 Bound"], &[BOUND], half(0)),
        ("the volume is not Bound yet", &["pv1 10Gi RWO ref=c1! Available"], &[BOUND], half(1)),
        ("the claim names it only", &["pv1 10Gi RWO ref=c1! Bound"], &["c1 8Gi RWO volume=pv1"], half(2)),
        ("the volume names it only", &["pv1 10Gi RWO ref=c1! Bound"], &["c1 8Gi RWO"], half(1)),
        ("its volume is gone", &[], &[BOUND], half(1)),
        ("its claim is gone", &["pv1 10Gi RWO ref=c1! Bound"], &[], half(1)),
        ("another claim has the name", &["pv1 10Gi RWO ref=c1? Bound"], &["c1 8Gi RWO"], half(1)),
        ("a volume without a claim", &["pv1 10Gi RWO Bound"], &[], half(1)),
        ("lost", &[], &["c1 8Gi RWO volume=pv1 Lost"], lost),
        ("a claim that asks for a volume", &["pv1 10Gi RWO Available"], &["c1 8Gi RWO volume=pv1"], half(1)),
    ];
    for (what, volumes, claims, want) in rows {
        assert_eq!(check(volumes, claims, &[]), Ok(*want), "{what}");
    }
}

#[test]
fn two_claims_of_one_volume_are_a_bug_unless_somebody_edited_it() {
    let volumes = ["pv1 10Gi RWO ref=c2! Bound"];
    let claims = [BOUND, "c2 8Gi RWO volume=pv1 completed Bound"];
    let edited = Exemptions { edited_objects: 1, ..Exemptions::default() };
    let broken = check(&volumes, &claims, &[]).expect_err("c1 has no claim to it");
    assert!(broken.contains("default/c1") && broken.contains("pv1"), "{broken}");
    assert_eq!(check(&volumes, &claims, &["pv1"]), Ok(edited));
    assert!(check(&volumes, &claims, &["pv2"]).is_err());
    // The same name is not the same claim.
    let stranger = ["pv1 10Gi RWO ref=c1? Bound"];
    assert!(check(&stranger, &[BOUND], &[]).is_err());
    assert_eq!(check(&stranger, &[BOUND], &["pv1"]), Ok(Exemptions { half_written_bindings: 1, ..edited }));
    // A volume that was released, or freed, by hand is not bound to another.
    for volume in ["pv1 10Gi RWO ref=c2! Released", "pv1 10Gi RWO Available"] {
        assert_eq!(check(&[volume], &[BOUND], &[]), Ok(edited), "{volume}");
    }
}

#[test]
fn two_volumes_of_one_claim_are_a_bug_unless_somebody_edited_them() {
    let volumes = ["pv1 10Gi RWO ref=c1! Bound", "pv2 10Gi RWO ref=c1! Bound"];
    let broken = check(&volumes, &[BOUND], &[]).expect_err("pv2 is bound to a claim of pv1");
    assert!(broken.contains("pv2") && broken.contains("default/c1"), "{broken}");
    assert!(check(&volumes, &[BOUND], &["pv1"]).is_err());
    let edited = Exemptions { edited_objects: 1, ..Exemptions::default() };
    assert_eq!(check(&volumes, &[BOUND], &["pv2"]), Ok(edited));
    // The claim has lost the first: the second is no bug.
    let lost = Exemptions { lost_claims: 1, ..edited };
    assert_eq!(check(&["pv2 10Gi RWO ref=c1! Bound"], &["c1 8Gi RWO volume=pv1 Lost"], &[]), Ok(lost));
}

#[test]
fn volumes_that_do_not_point_back() {
    let misbound = |volume: &str, claim: &str| {
        let mut fixture = Fixture::new();
        fixture.volume(volume);
        fixture.claim(claim);
        fixture.claim("c2 8Gi RWO");
        let names = fixture.cluster.misbound_volumes();
        names.into_iter().map(|name| fixture.cluster.names.text(name).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(misbound("pv1 10Gi RWO ref=c1! Bound", BOUND), [""; 0]);
    assert_eq!(misbound("pv1 10Gi RWO ref=c1 Bound", BOUND), [""; 0]);
    assert_eq!(misbound("pv1 10Gi RWO ref=c2! Bound", BOUND), ["pv1"]);
    assert_eq!(misbound("pv1 10Gi RWO ref=c1? Bound", BOUND), ["pv1"]);
    assert_eq!(misbound("pv1 10Gi RWO Available", BOUND), ["pv1"]);
    assert_eq!(misbound("pv2 10Gi RWO Available", BOUND), [""; 0], "it is not there");
    assert_eq!(misbound("pv1 10Gi RWO ref=c2! Bound", "c1 8Gi RWO volume=pv1"), [""; 0], "it is not bound");
}

/// A node with two pods that ask for a CPU, 1000 bytes and a device each.
fn placed() -> (Cluster, NodeId, [PodId; 2]) {
    let mut fixture = Fixture::new();
    let node = fixture.node("n", &[]);
    let gpu = fixture.sym("a.b/gpu");
    let pods = ["a", "b"].map(|name| fixture.pod(name, &[]));
    let mut cluster = fixture.cluster;
    let mut requests =
        Resources { cpu_milli: 1000, memory_bytes: 1000, ephemeral_bytes: 10, ..Resources::default() };
    requests.set_scalar(gpu, 1);
    let spec = PodSpec { requests, ..cluster.spec_of(pods[0]).clone() };
    let spec = cluster.intern_spec(spec);
    for pod in pods {
        cluster.pods[pod].spec = spec;
        cluster.bind_pod(pod, node);
    }
    (cluster, node, pods)
}

#[test]
fn sums_are_those_of_the_pods() {
    let (whole, node, [first, second]) = placed();
    assert_eq!(whole.check_invariants(&none()), Ok(Exemptions::default()));
    type Damage = fn(&mut Resources);
    let damages: [(&str, Damage); 5] = [
        ("CPU", |sum| sum.cpu_milli += 1),
        ("memory", |sum| sum.memory_bytes -= 1),
        ("scratch space", |sum| sum.ephemeral_bytes = 0),
        ("devices", |sum| sum.scalars[0].1 += 1),
        ("everything", |sum| *sum = Resources::default()),
    ];
    for (what, damage) in damages {
        let mut cluster = whole.clone();
        damage(&mut cluster.nodes[node].info.requested);
        let broken = cluster.check_invariants(&none()).expect_err(what);
        assert!(broken.contains("sums of n differ"), "{what}: {broken}");
    }
    let mut forgotten = whole.clone();
    let spec = forgotten.spec_of(second).clone();
    forgotten.nodes[node].info.remove_pod(second, &spec);
    let broken = forgotten.check_invariants(&none()).expect_err("b is not counted");
    assert!(broken.contains("default/b"), "{broken}");
    // Who has ended is not counted, and who is not placed is not either.
    let mut ended = whole.clone();
    ended.set_pod_status(second, PodPhase::Succeeded, false);
    assert_eq!(ended.check_invariants(&none()), Ok(Exemptions::default()));
    let mut elsewhere = whole.clone();
    elsewhere.pods[first].node = None;
    let broken = elsewhere.check_invariants(&none()).expect_err("a is counted where it is not");
    assert!(broken.contains("default/a"), "{broken}");
    let mut gone = whole;
    gone.pods.remove(first);
    assert!(gone.check_invariants(&none()).expect_err("a is gone").contains("gone"));
}

#[test]
fn groups_give_what_they_count() {
    let mut fixture = Fixture::new();
    let (name, node, class) = (fixture.sym("n-vg0"), fixture.sym("n"), fixture.sym("dyn"));
    let (first, second) = (fixture.sym("v1"), fixture.sym("v2"));
    let mut cluster = fixture.cluster;
    let kind = GroupKind::Lvm { extent_bytes: 4, overcommit_permille: 1000 };
    let id = cluster.add_volume_group(VolumeGroup::new(name, node, vec![class], kind, 100));
    assert!(cluster.allocate(id, first, 60) && cluster.allocate(id, second, 40));
    assert_eq!(cluster.check_invariants(&none()), Ok(Exemptions::default()), "full to the last byte");
    cluster.volume_groups[id].size_bytes = 99;
    let broken = cluster.check_invariants(&none()).expect_err("more given than there is");
    assert!(broken.contains("n-vg0") && broken.contains("96") && broken.contains("100"), "{broken}");
}

#[test]
fn exemptions_in_words_and_the_most_of_two() {
    let one =
        Exemptions { half_written_bindings: 3, lost_claims: 0, edited_objects: 1, ..Exemptions::default() };
    let two = Exemptions {
        half_written_bindings: 1,
        lost_claims: 2,
        preset_node_names: 4,
        shrunk_nodes: 5,
        imported_nodes: 6,
        ..Exemptions::default()
    };
    let most = one.most(two);
    assert_eq!(most, two.most(one));
    assert_eq!(one.in_words(), ["3 half-written bindings", "1 edited objects"]);
    let words = ["3 half-written bindings", "2 Lost claims", "1 edited objects"];
    let nodes = [
        "4 nodes overfilled by preset nodeName",
        "5 nodes with shrunk allocatable",
        "6 nodes imported with more than fits",
    ];
    assert_eq!(most.in_words(), [&words[..], &nodes].concat());
    assert_eq!(Exemptions::default().in_words(), [""; 0]);
}
