//! One row per branch: volumes and claims before, what is synced, volumes and claims after, events.

mod claims;
mod queues;
mod volumes;

use super::*;
use crate::model::fixture::Fixture;
use crate::observe::Subject;

/// One branch.
struct Row {
    branch: &'static str,
    volumes: &'static [&'static str],
    claims: &'static [&'static str],
    /// `claim c1` or `volume pv1`.
    sync: &'static str,
    /// What became of them: the changing parts, in order.
    after: &'static [&'static str],
    events: &'static [&'static str],
}

fn run(row: &Row, prepare: impl FnOnce(&mut Fixture)) -> (Vec<String>, Vec<String>) {
    let mut fixture = Fixture::new();
    let volumes: Vec<VolumeId> = row.volumes.iter().map(|words| fixture.volume(words)).collect();
    let claims: Vec<ClaimId> = row.claims.iter().map(|words| fixture.claim(words)).collect();
    prepare(&mut fixture);
    let key = match row.sync.split_once(' ') {
        Some(("claim", name)) => PvKey::Claim(fixture.claim_id(name)),
        Some(("volume", name)) => PvKey::Volume(fixture.volume_id(name)),
        other => panic!("{other:?}"),
    };
    let mut out = PvOutput::default();
    sync_and_write(&mut fixture.cluster, key, &mut out);
    let mut after: Vec<String> = volumes.iter().map(|id| fixture.show_volume(*id)).collect();
    after.extend(claims.iter().map(|id| fixture.show_claim(*id)));
    after.extend(out.enqueue.iter().map(|key| format!("enqueue {}", show_key(&fixture, *key))));
    let event = |e: &PvEvent| {
        let kind = if e.is_warning() { "Warning" } else { "Normal" };
        let about = match e.about {
            Subject::Volume(id) => fixture.cluster.names.text(fixture.cluster.volume(id).name).to_owned(),
            Subject::Claim(id) => fixture.cluster.names.show(fixture.cluster.claim(id).name).to_string(),
            other => panic!("{other:?}"),
        };
        format!("{about} {kind} {}: {}", e.reason(), e.message(&fixture.cluster))
    };
    (after, out.events.iter().map(event).collect())
}

fn show_key(fixture: &Fixture, key: PvKey) -> String {
    match key {
        PvKey::Claim(id) => fixture.cluster.claim_key(id),
        other => panic!("{other:?}"),
    }
}

fn check(rows: &[Row]) {
    for row in rows {
        let (after, events) = run(row, |_| {});
        assert_eq!(after, row.after, "{}", row.branch);
        assert_eq!(events, row.events, "events of {}", row.branch);
    }
}

#[test]
fn writes_come_one_at_a_time_in_the_recorded_order() {
    let mut fixture = Fixture::new();
    let volume = fixture.volume("pv1 10Gi RWO Available");
    let claim = fixture.claim("c1 8Gi RWO");
    let (mut key, mut seen) = (PvKey::Claim(claim), Vec::new());
    while let Step::Write { write, then } = sync(&fixture.cluster, key, &mut PvOutput::default()) {
        apply(&mut fixture.cluster, &write).expect("nobody else writes");
        seen.push(format!("{}; {}", fixture.show_volume(volume), fixture.show_claim(claim)));
        key = then;
        // A smaller volume that comes in between does not change what was begun.
        if seen.len() == 1 {
            fixture.volume("pv0 9Gi RWO Available");
        }
    }
    assert_eq!(
        seen,
        [
            "pv1 ref=c1! by-controller Available; c1 Pending",
            "pv1 ref=c1! by-controller Bound; c1 Pending",
            "pv1 ref=c1! by-controller Bound; c1 volume=pv1 completed by-controller Pending",
            "pv1 ref=c1! by-controller Bound; c1 volume=pv1 completed by-controller Bound cap=10Gi",
        ]
    );
}

#[test]
fn a_late_write_is_refused() {
    let mut fixture = Fixture::new();
    let volume = fixture.volume("pv1 10Gi RWO Available");
    let claim = fixture.claim("c1 8Gi RWO");
    let step = sync(&fixture.cluster, PvKey::Claim(claim), &mut PvOutput::default());
    let Step::Write { write, .. } = step else { panic!("{step:?}") };
    fixture.cluster.update_volume(volume, |v| v.reclaim = crate::model::volume::ReclaimPolicy::Delete);
    assert_eq!(apply(&mut fixture.cluster, &write), Err(WriteError::Conflict));
    fixture.cluster.remove_volume(volume);
    assert_eq!(apply(&mut fixture.cluster, &write), Err(WriteError::NotFound));
    assert_eq!(fixture.show_claim(claim), "c1 Pending");
}

/// Runs the controller as the world does: changes are noted until nothing happens.
fn settle(fixture: &mut Fixture, controller: &mut PvController) {
    let mut changes = Vec::new();
    loop {
        fixture.cluster.take_changes(&mut changes);
        if changes.is_empty() {
            return;
        }
        for change in &changes {
            controller.note(&fixture.cluster, change);
        }
        controller.run(&mut fixture.cluster, &mut Vec::new());
    }
}

#[test]
fn a_new_volume_wakes_waiting_claims_only_at_the_resync() {
    let mut fixture = Fixture::new();
    let mut controller = PvController::new(false);
    let first = fixture.claim("c1 8Gi RWO");
    let second = fixture.claim("c2 8Gi RWO");
    settle(&mut fixture, &mut controller);
    assert!(!controller.wants_resync(), "nothing that a resync would find");
    fixture.volume("pv1 10Gi RWO");
    settle(&mut fixture, &mut controller);
    assert_eq!(fixture.show_claim(first), "c1 Pending");
    assert!(controller.wants_resync());
    controller.resync(&fixture.cluster, false);
    controller.run(&mut fixture.cluster, &mut Vec::new());
    settle(&mut fixture, &mut controller);
    assert_eq!(fixture.show_claim(first), "c1 volume=pv1 completed by-controller Bound cap=10Gi");
    assert_eq!(fixture.show_claim(second), "c2 Pending");
    assert!(!controller.wants_resync());
}

#[test]
fn an_ideal_control_plane_resyncs_in_the_same_instant() {
    let mut fixture = Fixture::new();
    let mut controller = PvController::new(true);
    let names = ["c1", "c2", "c3"];
    let claims = [fixture.claim("c1 30Gi RWO"), fixture.claim("c2 8Gi RWO"), fixture.claim("c3 8Gi RWO")];
    settle(&mut fixture, &mut controller);
    fixture.volume("pv1 10Gi RWO");
    fixture.volume("pv2 20Gi RWO");
    settle(&mut fixture, &mut controller);
    let bound = |f: &Fixture| -> Vec<String> {
        let volume =
            |id: &ClaimId| f.cluster.claim(*id).volume_name.map(|v| f.cluster.names.text(v).to_owned());
        claims.iter().zip(names).map(|(id, n)| format!("{n} {}", volume(id).unwrap_or_default())).collect()
    };
    assert_eq!(bound(&fixture), ["c1 ", "c2 pv1", "c3 pv2"], "in order of arrival, those that fit");
    fixture.volume("pv3 40Gi RWO");
    settle(&mut fixture, &mut controller);
    assert_eq!(bound(&fixture), ["c1 pv3", "c2 pv1", "c3 pv2"]);
}

#[test]
fn deletions_wake_the_other_side() {
    let mut fixture = Fixture::new();
    let mut controller = PvController::new(false);
    let volume = fixture.volume("pv1 10Gi RWO");
    let other = fixture.volume("pv2 10Gi RWO");
    let (first, second) = (fixture.claim("c1 8Gi RWO volume=pv1"), fixture.claim("c2 8Gi RWO volume=pv2"));
    settle(&mut fixture, &mut controller);
    fixture.cluster.remove_claim(first);
    fixture.cluster.remove_volume(other);
    settle(&mut fixture, &mut controller);
    assert_eq!(fixture.show_volume(volume), "pv1 ref=c1! by-controller Released");
    assert_eq!(fixture.show_claim(second), "c2 volume=pv2 completed Lost");
}

#[test]
fn seeded_ties_are_fair_and_repeatable() {
    use crate::engine::rng::{Streams, TieBreak};
    let winner = |seed: u64| {
        let mut fixture = Fixture::new();
        fixture.cluster.set_volume_tie_break(TieBreak::Seeded(Streams::new(seed, 0)));
        for name in ["pv1", "pv2", "pv3"] {
            fixture.volume(&format!("{name} 10Gi RWO Available"));
        }
        let claim = fixture.claim("c1 8Gi RWO");
        sync_and_write(&mut fixture.cluster, PvKey::Claim(claim), &mut PvOutput::default());
        fixture.cluster.claim(claim).volume_name.map(|v| fixture.cluster.names.text(v).to_owned())
    };
    let mut wins = std::collections::BTreeMap::<Option<String>, u32>::new();
    for seed in 0..300 {
        assert_eq!(winner(seed), winner(seed));
        *wins.entry(winner(seed)).or_default() += 1;
    }
    // Each of the three should win 100 times; the standard deviation is 8.2.
    assert!(wins.len() == 3 && wins.values().all(|n| (67..=133).contains(n)), "{wins:?}");
}
