//! The indexes over volumes against a look at all of them, whatever happens.

use super::*;
use crate::engine::rng::Streams;
use crate::model::fixture::{Fixture, claim_uid};
use crate::model::ids::Terminating;
use crate::model::volume::{BindingMode, VolumePhase};
use proptest::prelude::*;

/// Something that happens to volumes and classes.
fn disturb(fixture: &mut Fixture, step: usize, what: u8, n: usize) {
    let nth = |f: &Fixture| {
        let all: Vec<VolumeId> = f.cluster.volumes().ids().collect();
        (!all.is_empty()).then(|| all[n % all.len()])
    };
    let some = nth(fixture);
    match (what, some) {
        (0..=3, _) => {
            let size = ["5Gi", "10Gi", "20Gi"][n % 3];
            let modes = ["RWO", "RWO,ROX", "ROX"][n / 3 % 3];
            let class = ["imm", "wffc", "-", "nosuch"][n / 9 % 4];
            let phase = ["Available", "Available", "Pending", "Released"][n / 36 % 4];
            let more = ["", "", " block", " attr=gold", " host=a", " host=b", " ref=c1"][n / 144 % 7];
            fixture.volume(&format!("v{} {size} {modes} class={class}{more} {phase}", (step * 7) % 40));
        }
        (4, Some(id)) => {
            fixture.cluster.remove_volume(id);
        }
        (5, Some(id)) => {
            let phases = [VolumePhase::Available, VolumePhase::Bound, VolumePhase::Available];
            fixture.cluster.update_volume(id, |volume| volume.phase = phases[n % 3]);
        }
        (6, Some(id)) => fixture.cluster.update_volume(id, |volume| volume.claim_ref = None),
        (7, Some(id)) => {
            let uid = [None, Some(claim_uid("c1")), Some(claim_uid("c2"))][n / 7 % 3];
            fixture.cluster.assume_volume(id, uid);
        }
        (8, Some(id)) => fixture.cluster.update_volume(id, |volume| volume.deletion = Some(Terminating)),
        (9, _) => {
            let mode = [BindingMode::Immediate, BindingMode::WaitForFirstConsumer][n % 2];
            let name = ["imm", "wffc"][n / 2 % 2];
            fixture.change_class(name, |class| class.binding_mode = mode);
        }
        (10, Some(id)) => {
            let name = fixture.cluster.names.name("c2");
            let reference = crate::model::volume::ClaimRef { namespace: sym::DEFAULT, name, uid: None };
            fixture.cluster.update_volume(id, |volume| volume.claim_ref = Some(reference));
        }
        _ => {}
    }
}

fn check(fixture: &mut Fixture, first: bool) -> Result<(), TestCaseError> {
    let classes = ["imm", "wffc", "-", "nosuch"].map(|c| if c == "-" { sym::EMPTY } else { fixture.sym(c) });
    let gold = fixture.sym("gold");
    let (namespace, claim) = (sym::DEFAULT, fixture.cluster.names.name("c2"));
    let hosts = ["a", "b"].map(|host| fixture.sym(host));
    let cluster = &fixture.cluster;
    let index = cluster.volume_index();
    for class in classes {
        for (mode, attributes) in
            [(VolumeMode::Filesystem, None), (VolumeMode::Block, None), (VolumeMode::Filesystem, Some(gold))]
        {
            for modes in [AccessModes::RWO, AccessModes::RWO.union(AccessModes::ROX), AccessModes::RWX] {
                for request in ["1Gi", "10Gi", "10737418241"].map(|q| Quantity::parse(q).expect("quantity")) {
                    let kind = (class, mode, attributes);
                    let found: Vec<VolumeId> =
                        index.free_volumes(&cluster.names, cluster.volumes(), kind, modes, request).collect();
                    let fits = |v: &Volume| {
                        v.phase == VolumePhase::Available
                            && (v.claim_ref, v.deletion) == (None, None)
                            && (v.class, v.mode, v.attributes_class, v.modes)
                                == (class, mode, attributes, modes)
                            && v.capacity >= request
                    };
                    let mut want: Vec<(VolumeId, &Volume)> =
                        cluster.volumes().iter().filter(|(_, v)| fits(v)).collect();
                    prop_assert!(found.is_sorted_by_key(|id| cluster.volume(*id).capacity));
                    if first {
                        want.sort_by_key(|(_, v)| (v.capacity, cluster.names.text(v.name)));
                        prop_assert_eq!(&found, &want.iter().map(|(id, _)| *id).collect::<Vec<_>>());
                    }
                    let sorted = |mut ids: Vec<VolumeId>| {
                        ids.sort_unstable();
                        ids
                    };
                    prop_assert_eq!(sorted(found), sorted(want.iter().map(|(id, _)| *id).collect()));
                }
            }
        }
    }
    let of = |fits: &dyn Fn(&Volume) -> bool| -> Vec<VolumeId> {
        cluster.volumes().iter().filter(|(_, v)| fits(v)).map(|(id, _)| id).collect()
    };
    let sorted = |ids: &[VolumeId]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    for name in ["c1", "c2"] {
        let uid = claim_uid(name);
        prop_assert_eq!(sorted(index.assumed_for(uid)), of(&|v| v.assumed_for == Some(uid)));
    }
    prop_assert_eq!(
        sorted(cluster.volumes_claimed_by(namespace, claim)),
        of(&|v| v.claim() == Some((namespace, claim)))
    );
    for host in hosts {
        prop_assert_eq!(
            sorted(cluster.pinned_volumes(host)),
            of(&|v| cluster.pinned_host(v.node_affinity) == Some(host))
        );
    }
    prop_assert_eq!(sorted(cluster.wide_volumes()), of(&|v| v.node_affinity.is_none()));
    let mut modes: Vec<AccessModes> = cluster.volumes().iter().map(|(_, v)| v.modes).collect();
    modes.sort_by_key(|set| (set.count(), set.canonical()));
    modes.dedup();
    prop_assert_eq!(index.mode_sets(), modes);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn indexes_agree_with_a_look_at_all_volumes(
        seed in prop::option::of(any::<u64>()), steps in prop::collection::vec((0u8..11, 0usize..5000), 1..40)
    ) {
        let mut fixture = Fixture::new();
        if let Some(seed) = seed {
            fixture.cluster.set_volume_tie_break(TieBreak::Seeded(Streams::new(seed, 0)));
        }
        let mut names = std::collections::BTreeSet::new();
        for (step, (what, n)) in steps.into_iter().enumerate() {
            // A name that is taken cannot be given again.
            let name = format!("v{}", (step * 7) % 40);
            names.retain(|name: &String| {
                fixture.cluster.names.get(name).is_some_and(|name| fixture.cluster.volume_by_name(name).is_some())
            });
            if what > 3 || names.insert(name) {
                disturb(&mut fixture, step, what, n);
            }
            if n.is_multiple_of(97) {
                let ties = fixture.cluster.volume_index().tie_break().clone();
                fixture.cluster.set_volume_tie_break(ties);
            }
            check(&mut fixture, seed.is_none())?;
        }
    }
}

/// Equal volumes are taken in an order that is another for each seed and each incarnation, and stays as long as they live.
#[test]
fn equal_volumes_have_an_order() {
    let order = |seed: u64, created: u64| -> Vec<VolumeId> {
        let mut fixture = Fixture::new();
        fixture.cluster.set_volume_tie_break(TieBreak::Seeded(Streams::new(seed, 0)));
        for n in 0..6 {
            let id = fixture.volume(&format!("v{n} 1Gi RWO Available"));
            let row = fixture.cluster.volume(id).clone();
            fixture.cluster.remove_volume(id);
            let created = crate::engine::time::SimTime::from_secs(created);
            fixture.cluster.add_volume(Volume { created, ..row }).expect("new");
        }
        let class = fixture.sym("imm");
        let (cluster, one) = (&fixture.cluster, Quantity::from_int(1));
        let kind = (class, VolumeMode::Filesystem, None);
        cluster
            .volume_index()
            .free_volumes(&cluster.names, cluster.volumes(), kind, AccessModes::RWO, one)
            .collect()
    };
    let orders: std::collections::BTreeSet<Vec<VolumeId>> = (0..20).map(|seed| order(seed, 1)).collect();
    assert!(orders.len() > 15, "of 720 orders 20 are mostly different ones: {}", orders.len());
    assert_eq!(order(3, 1), order(3, 1));
    assert_ne!(order(3, 1), order(3, 2), "another incarnation");
}
