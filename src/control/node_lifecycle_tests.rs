//! Which nodes are found out when, how fast their pods are evicted, and what they tolerate.

use super::*;
use crate::control::timing::Timing;
use crate::model::fixture::Fixture;
use crate::model::spec::Toleration;

fn at(seconds: f64) -> SimTime {
    SimTime::ZERO + SimDuration::from_secs_f64(seconds)
}

#[test]
fn silence_is_found_out_between_45_and_55_seconds_later() {
    // Leases at 0, 10, 20 ...; the monitor looks at 0, 5, 10 ...
    for (phase, silent, found) in [
        (0.0, 14.79, 60.0), // renewed at 10, seen at 10
        (4.0, 14.79, 65.0), // renewed at 14, seen at 15
        (4.0, 13.9, 55.0),  // renewed at 4, seen at 5
        (9.9, 20.0, 70.0),  // renewed at 19.9, seen at 20
    ] {
        let mut life = NodeLifecycle::new(Timing::KUBERNETES.node, SimDuration::ZERO);
        let phase = SimDuration::from_secs_f64(phase);
        assert_eq!(life.goes_silent(NodeId::at(0), phase, at(silent)), Some(at(found)));
        assert_eq!(
            life.goes_silent(NodeId::at(0), phase, at(silent + 1.0)),
            None,
            "a second reason changes nothing"
        );
        assert!(!life.reports(NodeId::at(0)));
        assert!(life.reports(NodeId::at(0)));
    }
}

#[test]
fn zones() {
    for (ready, not_ready, state) in [
        (4, 6, ZoneState::Partial),
        (5, 5, ZoneState::Normal),
        (1, 2, ZoneState::Normal), // more than two must be gone
        (0, 2, ZoneState::Full),
        (0, 1, ZoneState::Full),
        (0, 0, ZoneState::Normal),
        (9, 0, ZoneState::Normal),
        (9, 11, ZoneState::Partial), // 55 % it is
        (10, 12, ZoneState::Normal), // 54.5 %
        (2, 3, ZoneState::Partial),
        (1, 3, ZoneState::Partial),
    ] {
        assert_eq!(zone_state(ready, not_ready), state, "{ready} {not_ready}");
    }
}

fn life() -> NodeLifecycle {
    NodeLifecycle::new(Timing::KUBERNETES.node, SimDuration::ZERO)
}

/// A cluster of zones with so many nodes that are ready, and that are not, in this order.
fn zones_of(zones: &[(&str, usize, usize)]) -> (Cluster, Vec<NodeId>) {
    let mut fixture = Fixture::new();
    let mut nodes = Vec::new();
    for (zone, ready, not_ready) in zones {
        for index in 0..ready + not_ready {
            let node = fixture.node(&format!("{zone}-{index}"), &[("topology.kubernetes.io/zone", zone)]);
            fixture.cluster.set_node_ready(node, index < *ready);
            nodes.push(node);
        }
    }
    (fixture.cluster, nodes)
}

#[test]
fn outages_are_counted_by_their_reasons() {
    let (mut life, node, other) = (life(), NodeId::at(3), NodeId::at(1));
    assert!(life.works(node) && !life.is_unknown(node) && life.epoch(node) == 0);
    life.goes_silent(node, SimDuration::ZERO, at(10.0));
    assert!(!life.works(node) && life.works(other) && life.works(NodeId::at(9)));
    assert_eq!((life.epoch(node), life.epoch(other)), (1, 0));
    life.goes_silent(node, SimDuration::ZERO, at(11.0));
    assert_eq!(life.epoch(node), 1, "the same outage");
    assert!(!life.reports(node));
    assert_eq!(life.epoch(node), 1);
    assert!(life.reports(node) && life.works(node));
    assert_eq!(life.epoch(node), 2, "the outage is over");
    assert!(life.reports(node), "it works already");
    life.goes_silent(node, SimDuration::ZERO, at(20.0));
    assert!(!life.works(node));
    life.set_unknown(node);
    assert!(life.is_unknown(node) && !life.is_unknown(other));
    life.set_known(node);
    assert!(!life.is_unknown(node));
}

#[test]
fn a_controller_that_was_away_counts_anew() {
    let mut life = life();
    // Renewed at 10 s; 50 s of grace end at 60 s.
    life.goes_silent(NodeId::at(0), SimDuration::ZERO, at(12.0));
    assert_eq!(life.found_out_at(NodeId::at(0)), at(60.0));
    life.restart(at(5.0));
    assert_eq!(life.found_out_at(NodeId::at(0)), at(60.0), "it had seen the renewal after it came back");
    life.restart(at(33.0));
    assert_eq!(life.found_out_at(NodeId::at(0)), at(85.0), "33 s and 50 s, at the next look");
}

#[test]
fn the_last_renewal() {
    let tick = |now: f64, phase: f64, period: f64| {
        last_tick(at(now), SimDuration::from_secs_f64(phase), SimDuration::from_secs_f64(period))
    };
    assert_eq!(tick(25.0, 3.0, 10.0), at(23.0));
    assert_eq!(tick(23.0, 3.0, 10.0), at(23.0));
    assert_eq!(tick(22.9, 3.0, 10.0), at(13.0));
    assert_eq!(tick(3.0, 3.0, 10.0), at(3.0));
    assert_eq!(tick(2.9, 3.0, 10.0), SimTime::ZERO, "none yet");
    assert_eq!(tick(17.5, 3.0, 0.0), at(17.5), "always");
    assert_eq!(tick(2.0, 3.0, 0.0), at(2.0));
}

#[test]
fn a_zone_evicts_a_node_every_ten_seconds() {
    let (cluster, nodes) = zones_of(&[("a", 5, 2), ("b", 5, 1)]);
    let mut life = life();
    assert!(!life.look_at_zones(&cluster, at(0.0)));
    assert_eq!((life.next_eviction_at(), life.next_eviction(at(0.0))), (None, None));
    let (first, second, other) = (nodes[5], nodes[6], nodes[12]);
    for node in [first, second, first, other] {
        life.queue_eviction(&cluster, node);
    }
    assert_eq!(life.next_eviction_at(), Some(at(0.0)));
    assert_eq!(life.next_eviction(at(4.0)), Some(first));
    assert_eq!(life.next_eviction(at(4.0)), Some(other), "zones do not wait for each other");
    assert_eq!((life.next_eviction(at(4.0)), life.next_eviction_at()), (None, Some(at(14.0))));
    assert_eq!(life.next_eviction(at(13.9)), None);
    assert_eq!(life.next_eviction(at(14.0)), Some(second));
    assert_eq!(life.next_eviction_at(), None, "nobody was queued twice");
    life.queue_eviction(&cluster, first);
    life.queue_eviction(&cluster, second);
    life.unqueue_eviction(&cluster, first);
    assert_eq!(life.next_eviction(at(100.0)), Some(second));
    assert_eq!(life.next_eviction(at(200.0)), None);
}

#[test]
fn disrupted_zones_evict_slowly_or_not_at_all() {
    let interval_of = |zones: &[(&str, usize, usize)]| {
        let (cluster, nodes) = zones_of(zones);
        let mut life = life();
        let all = life.look_at_zones(&cluster, at(0.0));
        // The last node of the first zone, and the one before.
        let count = zones[0].1 + zones[0].2;
        life.queue_eviction(&cluster, nodes[count - 1]);
        life.queue_eviction(&cluster, nodes[count - 2]);
        let seconds = life.next_eviction(at(1000.0)).map(|_| {
            let next = life.next_eviction_at().expect("one more");
            next.since(at(1000.0)).as_nanos() / 1_000_000_000
        });
        (all, seconds)
    };
    let healthy = ("z", 3, 0);
    assert_eq!(interval_of(&[("a", 5, 5), healthy]), (false, Some(10)), "a healthy zone");
    assert_eq!(interval_of(&[("a", 4, 6), healthy]), (false, None), "a small zone that is disrupted");
    assert_eq!(interval_of(&[("a", 20, 30), healthy]), (false, None), "50 nodes are small");
    assert_eq!(
        interval_of(&[("a", 20, 31), healthy]),
        (false, Some(100)),
        "51 are large: a hundredth of a node a second"
    );
    assert_eq!(
        interval_of(&[("a", 0, 10), healthy]),
        (false, Some(10)),
        "a zone that is gone, and another that is not"
    );
    assert_eq!(interval_of(&[("a", 0, 10), ("z", 0, 3)]), (true, None), "all zones are gone");
    assert_eq!(interval_of(&[("a", 0, 10)]), (true, None));
    assert_eq!(interval_of(&[("a", 0, 10), ("z", 1, 3)]), (false, Some(10)));
}

#[test]
fn all_zones_are_gone_once() {
    let (mut cluster, nodes) = zones_of(&[("a", 0, 3), ("b", 1, 2)]);
    let mut life = life();
    assert!(!life.look_at_zones(&cluster, at(0.0)));
    life.queue_eviction(&cluster, nodes[0]);
    life.queue_eviction(&cluster, nodes[1]);
    assert_eq!(life.next_eviction(at(5.0)), Some(nodes[0]));
    cluster.set_node_ready(nodes[3], false);
    assert!(life.look_at_zones(&cluster, at(6.0)), "the last one went");
    assert!(!life.look_at_zones(&cluster, at(7.0)), "that is known");
    assert_eq!((life.next_eviction(at(100.0)), life.next_eviction_at()), (None, None));
    cluster.set_node_ready(nodes[3], true);
    assert!(!life.look_at_zones(&cluster, at(8.0)));
    // A new limiter, which begins as empty as the old one was.
    assert_eq!((life.next_eviction(at(17.9)), life.next_eviction(at(18.0))), (None, Some(nodes[1])));
    // One that was full begins full.
    cluster.set_node_ready(nodes[3], false);
    assert!(life.look_at_zones(&cluster, at(50.0)));
    cluster.set_node_ready(nodes[3], true);
    life.look_at_zones(&cluster, at(51.0));
    life.queue_eviction(&cluster, nodes[2]);
    assert_eq!(life.next_eviction(at(51.0)), Some(nodes[2]));
    // Nodes that were removed count for nothing.
    for node in &nodes[3..] {
        cluster.remove_node(*node);
    }
    assert!(life.look_at_zones(&cluster, at(60.0)), "only zone a is left, and it is gone");
    for node in &nodes[..3] {
        cluster.remove_node(*node);
    }
    assert!(!life.look_at_zones(&cluster, at(61.0)), "no zones at all");
}

fn taint(key: Sym, effect: TaintEffect) -> Taint {
    Taint { key, value: sym::EMPTY, effect }
}

#[test]
fn conditions_ask_for_taints() {
    use TaintEffect::{NoExecute, NoSchedule};
    let (not_ready, unreachable) = (sym::TAINT_NOT_READY, sym::TAINT_UNREACHABLE);
    let foreign = [taint(sym::RACK, NoSchedule), taint(not_ready, NoExecute)];
    let before =
        [&foreign[..], &[taint(not_ready, NoSchedule), taint(sym::TAINT_UNSCHEDULABLE, NoSchedule)]].concat();
    // Ready, unknown, cordoned: which taints besides the foreign ones.
    let rows: [(bool, bool, bool, &[Sym]); 6] = [
        (true, false, false, &[]),
        (false, false, false, &[not_ready]),
        (false, true, false, &[unreachable]),
        (true, false, true, &[sym::TAINT_UNSCHEDULABLE]),
        (false, false, true, &[not_ready, sym::TAINT_UNSCHEDULABLE]),
        (true, true, false, &[]),
    ];
    for (ready, unknown, cordoned, want) in rows {
        let want =
            [&foreign[..], &want.iter().map(|key| taint(*key, NoSchedule)).collect::<Vec<_>>()].concat();
        for start in [&foreign[..], &before[..]] {
            let mut fixture = Fixture::new();
            let node = fixture.node("n", &[]);
            fixture.cluster.set_node_taints(node, start.to_vec());
            fixture.cluster.set_node_ready(node, ready);
            fixture.cluster.set_node_unschedulable(node, cordoned);
            assert_eq!(
                condition_taints(&fixture.cluster, node, unknown),
                want,
                "{ready} {unknown} {cordoned}"
            );
        }
    }
}

#[test]
fn evicting_taints_replace_each_other() {
    use TaintEffect::{NoExecute, NoSchedule};
    let (not_ready, unreachable) = (sym::TAINT_NOT_READY, sym::TAINT_UNREACHABLE);
    let mut fixture = Fixture::new();
    let node = fixture.node("n", &[]);
    let foreign = [taint(sym::RACK, NoExecute), taint(not_ready, NoSchedule)];
    fixture.cluster.set_node_taints(node, [&foreign[..], &[taint(not_ready, NoExecute)]].concat());
    assert_eq!(eviction_taints(&fixture.cluster, node, None), foreign);
    let want = [&foreign[..], &[taint(unreachable, NoExecute)]].concat();
    assert_eq!(eviction_taints(&fixture.cluster, node, Some(unreachable)), want);
}

#[test]
fn pods_stay_as_long_as_they_tolerate() {
    use TaintEffect::{NoExecute, NoSchedule};
    let mut fixture = Fixture::new();
    let pod = fixture.pod("p", &[]);
    let plain = fixture.cluster.spec_of(pod).clone();
    let seconds = |n: u64| Some(SimDuration::from_secs(n));
    let (a, b) = (sym::TAINT_NOT_READY, sym::TAINT_UNREACHABLE);
    let tolerates = |key: Sym, time: Option<SimDuration>| Toleration {
        key: Some(key),
        value: None,
        effect: Some(NoExecute),
        seconds: time,
    };
    let stay = |tolerations: &[Toleration], taints: &[Taint]| {
        tolerated_for(&PodSpec { tolerations: tolerations.to_vec(), ..plain.clone() }, taints)
    };
    let (ta, tb) = (taint(a, NoExecute), taint(b, NoExecute));
    assert_eq!(stay(&[], &[]), None);
    assert_eq!(stay(&[], &[taint(a, NoSchedule)]), None, "that one does not evict");
    assert_eq!(stay(&[], &[ta]), Some(SimDuration::ZERO));
    assert_eq!(stay(&[tolerates(b, None)], &[ta]), Some(SimDuration::ZERO), "another one");
    assert_eq!(stay(&[tolerates(a, None)], &[ta]), None);
    assert_eq!(stay(&[tolerates(a, seconds(300))], &[ta]), seconds(300));
    assert_eq!(
        stay(&[tolerates(a, seconds(300)), tolerates(a, seconds(20))], &[ta]),
        seconds(20),
        "the shortest"
    );
    assert_eq!(stay(&[tolerates(a, seconds(20)), tolerates(a, seconds(300))], &[ta]), seconds(20));
    assert_eq!(stay(&[tolerates(a, None), tolerates(a, seconds(300))], &[ta]), seconds(300));
    assert_eq!(stay(&[tolerates(a, seconds(300)), tolerates(b, seconds(60))], &[ta, tb]), seconds(60));
    assert_eq!(
        stay(&[tolerates(a, seconds(300))], &[ta, tb]),
        Some(SimDuration::ZERO),
        "one of two is too much"
    );
    assert_eq!(stay(&[tolerates(a, seconds(300)), tolerates(b, seconds(60))], &[ta]), seconds(300));
}
