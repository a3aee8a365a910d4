//! What is queued against looking at everything: whatever happens, the controller leaves nothing to do behind.

use super::*;
use crate::engine::rng::{Streams, TieBreak};
use crate::engine::time::SimTime;
use crate::model::ids::{Id, Terminating};
use crate::model::quantity::Quantity;
use crate::model::volume::{BindingMode, ReclaimPolicy, VolumePhase};
use proptest::prelude::*;

/// All volumes and claims in words.
fn state(fixture: &Fixture) -> Vec<String> {
    let volumes = fixture.cluster.volumes().ids().map(|id| fixture.show_volume(id));
    volumes.chain(fixture.cluster.claims().ids().map(|id| fixture.show_claim(id))).collect()
}

/// The same after every key was looked at until nothing changed.
fn state_at_rest(fixture: &Fixture) -> Vec<String> {
    let mut copy = fixture.clone();
    run_to_fixpoint(&mut copy.cluster, &mut Vec::new());
    state(&copy)
}

/// Something that users and administrators do.
fn disturb(fixture: &mut Fixture, step: usize, what: u8, n: usize) {
    let nth_volume = |f: &Fixture| {
        let all: Vec<VolumeId> = f.cluster.volumes().ids().collect();
        (!all.is_empty()).then(|| all[n % all.len()])
    };
    match what {
        0..=2 => {
            let size = ["5Gi", "10Gi", "20Gi"][n % 3];
            let modes = ["RWO", "RWO", "RWO,ROX"][n / 3 % 3];
            let class = ["imm", "imm", "wffc", "-"][n / 9 % 4];
            let reference = match n / 36 % 4 {
                0 => format!(" ref=c{}", n / 144 % 30),
                _ => String::new(),
            };
            let policy = if n.is_multiple_of(5) { " Delete" } else { "" };
            fixture.volume(&format!("v{step} {size} {modes} class={class}{reference}{policy}"));
        }
        3..=5 => {
            let size = ["4Gi", "8Gi", "15Gi"][n % 3];
            let class = ["imm", "imm", "wffc", "-", "nil"][n / 3 % 5];
            let named = match n / 15 % 4 {
                0 => format!(" volume=v{}", n / 60 % 30),
                _ => String::new(),
            };
            fixture.claim(&format!("c{step} {size} RWO class={class}{named}"));
        }
        6 => {
            let all: Vec<ClaimId> = fixture.cluster.claims().ids().collect();
            if let Some(claim) = all.get(n % all.len().max(1)) {
                fixture.cluster.remove_claim(*claim);
            }
        }
        7 => {
            if let Some(id) = nth_volume(fixture) {
                fixture.cluster.remove_volume(id);
            }
        }
        8 => {
            // An administrator makes a released volume free again.
            if let Some(id) = nth_volume(fixture)
                && matches!(fixture.cluster.volume(id).phase, VolumePhase::Released | VolumePhase::Failed)
            {
                fixture.cluster.update_volume(id, |volume| volume.claim_ref = None);
            }
        }
        9 => {
            let mode = [BindingMode::Immediate, BindingMode::WaitForFirstConsumer][n % 2];
            let name = ["imm", "wffc"][n / 2 % 2];
            fixture.change_class(name, |class| class.binding_mode = mode);
        }
        10 => {
            if let Some(id) = nth_volume(fixture) {
                fixture.cluster.update_volume(id, |volume| volume.capacity = Quantity::from_int(16 << 30));
            }
        }
        _ => {
            if let Some(id) = nth_volume(fixture) {
                fixture.cluster.update_volume(id, |volume| volume.deletion = Some(Terminating));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    /// An ideal controller has done at once all that there is to do; a real one by the next resync, if it wants one.
    #[test]
    fn nothing_is_left_to_do(ideal in any::<bool>(), steps in prop::collection::vec((0u8..12, 0usize..5000), 1..30)) {
        let mut fixture = Fixture::new();
        let mut controller = PvController::new(ideal);
        for (step, (what, n)) in steps.into_iter().enumerate() {
            disturb(&mut fixture, step, what, n);
            settle(&mut fixture, &mut controller);
            prop_assert_eq!(controller.queued(), (false, false));
            prop_assert_eq!((controller.pop_volume(), controller.pop_claim()), (None, None));
            if ideal || !controller.wants_resync() {
                prop_assert_eq!(state(&fixture), state_at_rest(&fixture));
            } else if n.is_multiple_of(3) {
                for _ in 0..40 {
                    if !controller.wants_resync() {
                        break;
                    }
                    controller.resync(&fixture.cluster, n.is_multiple_of(2));
                    controller.run(&mut fixture.cluster, &mut Vec::new());
                    settle(&mut fixture, &mut controller);
                }
                prop_assert!(!controller.wants_resync(), "there is an end to it");
                prop_assert_eq!(state(&fixture), state_at_rest(&fixture));
            }
        }
    }
}

fn note_all(fixture: &mut Fixture, controller: &mut PvController) {
    let mut changes = Vec::new();
    fixture.cluster.take_changes(&mut changes);
    changes.iter().for_each(|change| controller.note(&fixture.cluster, change));
}

fn popped(controller: &mut PvController) -> (Vec<PvKey>, Vec<PvKey>) {
    (
        std::iter::from_fn(|| controller.pop_volume()).collect(),
        std::iter::from_fn(|| controller.pop_claim()).collect(),
    )
}

/// An object's own changes queue it, once; one that goes queues what it was bound to.
#[test]
fn what_is_queued() {
    let mut fixture = Fixture::new();
    let mut controller = PvController::new(false);
    assert_eq!(controller.queued(), (false, false));
    let volumes: Vec<VolumeId> = (0..70).map(|n| fixture.volume(&format!("v{n} 1Gi RWO class=-"))).collect();
    let claims: Vec<ClaimId> = (0..70).map(|n| fixture.claim(&format!("c{n} 1Gi RWO class=wffc"))).collect();
    for id in [volumes[3], volumes[3], volumes[69]] {
        fixture.cluster.update_volume(id, |volume| volume.reclaim = ReclaimPolicy::Delete);
    }
    fixture.cluster.update_claim(claims[64], |claim| claim.created = SimTime::from_secs(1));
    note_all(&mut fixture, &mut controller);
    assert_eq!(controller.queued(), (true, true));
    let keys = (
        volumes.iter().map(|id| PvKey::Volume(*id)).collect::<Vec<_>>(),
        claims.iter().map(|id| PvKey::Claim(*id)).collect::<Vec<_>>(),
    );
    assert_eq!(popped(&mut controller), keys, "each once, in order of arrival");
    assert_eq!(controller.queued(), (false, false));
    // What was popped may come again; what the API refused is put back.
    controller.push(PvKey::Volume(volumes[65]));
    assert_eq!(controller.queued(), (false, true));
    controller.push(PvKey::Volume(volumes[1]));
    controller.push(PvKey::Volume(volumes[65]));
    let (uid, other) = (fixture.cluster.claim(claims[2]).uid, fixture.cluster.volume(volumes[2]).uid);
    controller.push(PvKey::Bind { claim: claims[2], claim_uid: uid, volume: volumes[2], volume_uid: other });
    controller.push(PvKey::Claim(claims[2]));
    assert_eq!(controller.queued(), (true, true));
    let want = (vec![PvKey::Volume(volumes[65]), PvKey::Volume(volumes[1])], vec![PvKey::Claim(claims[2])]);
    assert_eq!(popped(&mut controller), want);
    // Ideal or not, other events queue nothing.
    fixture.node("n", &[]);
    fixture.pod("p", &["c1"]);
    note_all(&mut fixture, &mut controller);
    assert_eq!(controller.queued(), (false, false));
    assert!(claims.iter().all(|id| id.index() < 70));
}

/// What only the resync looks at, and when it has something to look at.
#[test]
fn what_waits_for_the_resync() {
    type Happening = fn(&mut Fixture);
    let rows: &[(&str, &[&str], &[&str], Happening, bool)] = &[
        ("nothing", &[], &["c1 1Gi RWO"], |_| {}, false),
        (
            "a free volume, and a claim of its class waits",
            &[],
            &["c1 1Gi RWO"],
            |f| {
                f.volume("v1 1Gi RWO Available");
            },
            true,
        ),
        (
            "a free volume of another class",
            &[],
            &["c1 1Gi RWO"],
            |f| {
                f.volume("v1 1Gi RWO class=other Available");
            },
            false,
        ),
        (
            "a free volume, and nobody waits",
            &[],
            &[],
            |f| {
                f.volume("v1 1Gi RWO Available");
            },
            false,
        ),
        (
            "a volume that is not free yet",
            &[],
            &["c1 1Gi RWO"],
            |f| {
                f.volume("v1 1Gi RWO Pending");
            },
            false,
        ),
        (
            "a volume of somebody",
            &[],
            &["c1 1Gi RWO"],
            |f| {
                f.volume("v1 1Gi RWO ref=c9 Available");
            },
            false,
        ),
        (
            "a free volume of a class that waits for consumers",
            &[],
            &["c1 1Gi RWO class=wffc"],
            |f| {
                f.volume("v1 1Gi RWO class=wffc Available");
            },
            false,
        ),
        (
            "a volume that names a waiting claim",
            &[],
            &["c1 1Gi RWO class=wffc"],
            |f| {
                f.volume("v1 1Gi RWO class=wffc ref=c1 Available");
            },
            true,
        ),
        (
            "the volume that a waiting claim names",
            &[],
            &["c1 1Gi RWO class=wffc volume=v1"],
            |f| {
                f.volume("v1 1Gi RWO class=wffc Pending");
            },
            true,
        ),
        (
            "a volume that names a bound claim",
            &["v0 1Gi RWO ref=c1! Bound"],
            &["c1 1Gi RWO volume=v0 completed Bound"],
            |f| {
                f.volume("v1 1Gi RWO ref=c1 Available");
            },
            false,
        ),
        (
            "a claim goes of which a volume is half bound",
            &["v0 1Gi RWO ref=c1! Available"],
            &["c1 1Gi RWO class=wffc"],
            |f| {
                let claim = f.claim_id("c1");
                f.cluster.remove_claim(claim);
            },
            true,
        ),
        (
            "a claim goes of which no volume knows",
            &["v0 1Gi RWO Available"],
            &["c1 1Gi RWO class=wffc"],
            |f| {
                let claim = f.claim_id("c1");
                f.cluster.remove_claim(claim);
            },
            false,
        ),
        (
            "a class changes, and a claim waits",
            &[],
            &["c1 1Gi RWO class=wffc"],
            |f| f.change_class("imm", |_| {}),
            true,
        ),
        ("a class changes, and nobody waits", &[], &[], |f| f.change_class("imm", |_| {}), false),
    ];
    for (what, volumes, claims, happening, wanted) in rows {
        let mut fixture = Fixture::new();
        let mut controller = PvController::new(false);
        for words in *volumes {
            fixture.volume(words);
        }
        for words in *claims {
            fixture.claim(words);
        }
        note_all(&mut fixture, &mut controller);
        popped(&mut controller);
        controller.resync(&fixture.cluster, true);
        popped(&mut controller);
        assert!(!controller.wants_resync(), "{what}");
        happening(&mut fixture);
        note_all(&mut fixture, &mut controller);
        assert_eq!(controller.wants_resync(), *wanted, "{what}");
    }
}

/// A volume that an administrator reserves for a claim is bound to it at the next resync, whether or not the class waits for consumers:
/// `findBestMatchForClaim` then looks at reserved volumes alone.
#[test]
fn a_reserved_volume_is_bound_at_the_resync() {
    for (claim, volume) in [
        ("c1 1Gi RWO class=wffc", "v1 1Gi RWO class=wffc ref=c1"),
        ("c1 1Gi RWO class=wffc volume=v1", "v1 1Gi RWO class=wffc"),
        ("c1 1Gi RWO", "v1 1Gi RWO ref=c1"),
        ("c1 1Gi RWO volume=v1", "v1 1Gi RWO"),
    ] {
        let mut fixture = Fixture::new();
        let mut controller = PvController::new(false);
        let id = fixture.claim(claim);
        settle(&mut fixture, &mut controller);
        fixture.volume(volume);
        settle(&mut fixture, &mut controller);
        assert!(fixture.show_claim(id).contains("Pending") && controller.wants_resync(), "{claim}; {volume}");
        controller.resync(&fixture.cluster, false);
        controller.run(&mut fixture.cluster, &mut Vec::new());
        settle(&mut fixture, &mut controller);
        assert!(fixture.show_claim(id).contains("Bound"), "{claim}; {volume}");
    }
}

/// The order of a resync is that of a map in Kubernetes: another each time.
#[test]
fn resyncs_differ_in_order() {
    let mut fixture = Fixture::new();
    fixture.cluster.set_volume_tie_break(TieBreak::Seeded(Streams::new(7, 0)));
    for n in 0..9 {
        fixture.claim(&format!("c{n} 1Gi RWO class=imm"));
    }
    let mut controller = PvController::new(false);
    note_all(&mut fixture, &mut controller);
    popped(&mut controller);
    let mut orders = std::collections::BTreeSet::new();
    for _ in 0..8 {
        controller.resync(&fixture.cluster, false);
        let order: Vec<String> = popped(&mut controller).1.iter().map(|key| format!("{key:?}")).collect();
        assert_eq!(order.len(), 9);
        orders.insert(order);
    }
    assert_eq!(orders.len(), 8, "of 9! orders eight are different ones");
}

/// `allPossibleMatchingAccessModes`: fewer modes come first, and of as many modes any set may.
#[test]
fn sets_of_access_modes_come_by_size() {
    let taken = |seed: u64, volumes: [&str; 3]| -> usize {
        let mut fixture = Fixture::new();
        fixture.cluster.set_volume_tie_break(TieBreak::Seeded(Streams::new(seed, 0)));
        let ids: Vec<VolumeId> = volumes
            .iter()
            .enumerate()
            .map(|(n, modes)| fixture.volume(&format!("v{n} 5Gi {modes} class=imm Available")))
            .collect();
        let claim = fixture.claim("c 1Gi RWO class=imm");
        run_to_fixpoint(&mut fixture.cluster, &mut Vec::new());
        let name = fixture.cluster.claim(claim).volume_name.expect("bound");
        ids.iter().position(|id| fixture.cluster.volume(*id).name == name).expect("one of them")
    };
    for seed in 0..30 {
        assert_eq!(taken(seed, ["RWO,ROX", "RWO", "RWO,ROX,RWX"]), 1, "{seed}");
        assert_eq!(taken(seed, ["RWO,ROX,RWX", "ROX", "RWO,RWX"]), 2, "{seed}");
    }
    let any: std::collections::BTreeSet<usize> =
        (0..30).map(|seed| taken(seed, ["RWO,ROX", "RWO,ROX,RWX", "RWO,RWX"])).collect();
    assert_eq!(any, [0, 2].into());
}

/// A claim that named a volume is gone; the claim in its row has nothing to do with that volume.
#[test]
fn who_is_gone_names_no_volume() {
    let mut fixture = Fixture::new();
    let mut controller = PvController::new(false);
    let gone = fixture.claim("c1 1Gi RWO class=imm volume=v1");
    note_all(&mut fixture, &mut controller);
    fixture.cluster.remove_claim(gone);
    note_all(&mut fixture, &mut controller);
    assert_eq!(fixture.claim("c2 1Gi RWO class=imm"), gone, "the row is used again");
    note_all(&mut fixture, &mut controller);
    popped(&mut controller);
    controller.resync(&fixture.cluster, true);
    popped(&mut controller);
    fixture.volume("v1 1Gi RWO class=other Available");
    note_all(&mut fixture, &mut controller);
    assert!(!controller.wants_resync());
    assert_eq!(popped(&mut controller).1, [], "no claim is concerned");
}
