//! Where pods wait and when they come up again, by the rules of `backend/queue`.

use super::*;
use crate::model::ids::NodeId;
use crate::scheduler::testing::{cluster, node, pod, requests, with};
use serde_json::json;

/// The defaults of kube-scheduler, without taking pods out of their backoff.
const TIMERS: QueueTimers = QueueTimers {
    backoff_initial: SimDuration::from_secs(1),
    backoff_max: SimDuration::from_secs(10),
    error_backoff_max: SimDuration::from_secs(10),
    pop_from_backoff: false,
    flush_after: SimDuration::from_secs(300),
    up_for: SimDuration::ZERO,
    tells_news: false,
};

fn at(seconds: f64) -> SimTime {
    SimTime::from_nanos((seconds * 1e9) as u64)
}

/// A queue, and a cluster with node `n` and pods, each of which asks for one CPU.
struct Bench {
    cluster: Cluster,
    queue: SchedulingQueue,
}

fn bench(timers: QueueTimers, pods: &[(&str, i32)]) -> Bench {
    let mut objects = vec![node("n", json!({}))];
    for (name, priority) in pods {
        let more = json!({"spec": {"priority": priority}});
        objects.push(with(with(pod(name, json!({})), requests(json!({"cpu": "1"}))), more));
    }
    Bench { cluster: cluster(&objects), queue: SchedulingQueue::new(timers) }
}

impl Bench {
    fn pod(&self, name: &str) -> PodId {
        let name = self.cluster.names.get_name(name).expect("name");
        self.cluster.pod_by_name(crate::model::names::sym::DEFAULT, name).expect("a pod")
    }
    fn name(&self, pod: PodId) -> String {
        self.cluster.names.show(self.cluster.pod(pod).name).to_string()
    }
    fn add(&mut self, name: &str, seconds: f64) {
        let pod = self.pod(name);
        self.queue.add(&self.cluster, pod, at(seconds));
    }
    fn pop(&mut self) -> Option<String> {
        let pod = self.queue.pop()?;
        assert!(self.queue.is_in_flight(pod));
        Some(self.name(pod))
    }
    fn pop_all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.pop()).collect()
    }
    /// The pod, which is in flight, is rejected.
    fn reject(&mut self, name: &str, by: PluginSet, seconds: f64) {
        let failure = Failure::Rejected { by, pending: PluginSet::NONE };
        self.queue.failed(self.pod(name), failure, at(seconds));
    }
    /// Added and popped at once, then rejected for want of room.
    fn stuck(&mut self, name: &str, seconds: f64) {
        self.add(name, seconds);
        assert_eq!(self.pop().as_deref(), Some(name));
        self.reject(name, PluginSet::NODE_RESOURCES_FIT, seconds);
    }
    /// A pod goes: that makes room.
    fn room(&mut self, seconds: f64) {
        let row = self.cluster.pods().iter().next().expect("a pod").1;
        let event = ClusterEvent::PodRemoved { name: row.name, spec: row.spec };
        self.queue.event(&self.cluster, event, at(seconds));
    }
    fn next_tick(&mut self) -> Option<f64> {
        self.queue.next_tick().map(|time| time.as_nanos() as f64 / 1e9)
    }
}

#[test]
fn priority_then_time_then_arrival() {
    let pods = [("a", 0), ("b", 0), ("c", 5), ("d", -1), ("e", 5)];
    let mut bench = bench(TIMERS, &pods);
    assert!(bench.queue.is_empty() && !bench.queue.has_ready());
    for (name, time) in [("d", 0.0), ("a", 1.0), ("b", 2.0), ("e", 3.0), ("c", 3.0)] {
        bench.add(name, time);
        bench.add(name, 9.0); // it is there already
    }
    assert_eq!(bench.queue.len(), 5);
    assert!(bench.queue.has_ready() && !bench.queue.is_empty());
    assert_eq!(bench.pop_all(), ["e", "c", "a", "b", "d"]);
    assert!(bench.queue.is_empty() && !bench.queue.has_ready());
    let a = bench.pod("a");
    bench.queue.done(a);
    assert!(!bench.queue.is_in_flight(a));
    bench.add("a", 10.0);
    assert_eq!(bench.pop_all(), ["a"]);
}

#[test]
fn who_is_taken_out_does_not_come_up() {
    let mut bench = bench(TIMERS, &[("a", 0), ("b", 0), ("c", 0)]);
    for name in ["a", "b", "c"] {
        bench.add(name, 0.0);
    }
    let (a, b) = (bench.pod("a"), bench.pod("b"));
    bench.queue.remove(a);
    let uid = bench.cluster.pod(b).uid;
    bench.queue.remove_pod(b, Uid::new(uid.number() + 1)); // another pod of that row
    assert_eq!(bench.queue.len(), 2);
    bench.queue.remove_pod(b, uid);
    assert_eq!(bench.queue.len(), 1);
    assert_eq!(bench.pop_all(), ["c"]);
    bench.add("a", 1.0);
    assert_eq!(bench.pop_all(), ["a"], "it may come again");
}

#[test]
fn failures_wait_for_their_events() {
    let mut bench = bench(TIMERS, &[("a", 0), ("b", 0)]);
    bench.stuck("a", 0.0);
    let a = bench.pod("a");
    assert_eq!(bench.queue.unschedulable(), [a]);
    assert!(bench.queue.len() == 1 && !bench.queue.has_ready() && bench.pop().is_none());
    // Nobody who rejected it asked for these.
    for event in
        [ClusterEvent::VolumeAdded, ClusterEvent::ClassChanged, ClusterEvent::NodeRemoved(NodeId::at(0))]
    {
        bench.queue.event(&bench.cluster, event, at(5.0));
        assert_eq!(bench.queue.unschedulable(), [a], "{event:?}");
    }
    // One second of backoff has passed.
    bench.room(5.0);
    assert!(bench.queue.unschedulable().is_empty() && bench.queue.has_ready());
    assert_eq!(bench.pop_all(), ["a"]);
    // The next is two seconds; it has not.
    bench.reject("a", PluginSet::NODE_RESOURCES_FIT, 6.0);
    bench.room(7.0);
    assert!(bench.queue.unschedulable().is_empty() && !bench.queue.has_ready());
    assert_eq!(bench.queue.len(), 1);
    // It ends at 8 s; the tick after that releases it.
    assert_eq!(bench.next_tick(), Some(9.0));
    bench.queue.tick(at(8.0));
    assert!(!bench.queue.has_ready());
    bench.queue.tick(at(9.0));
    assert!(bench.queue.has_ready());
    assert_eq!(bench.queue.len(), 1);
    assert_eq!(bench.pop_all(), ["a"]);
    assert_eq!(bench.next_tick(), None);
}

#[test]
fn backoff_doubles_up_to_its_limit() {
    let mut bench = bench(TIMERS, &[("a", 0)]);
    bench.add("a", 0.0);
    let mut waits = Vec::new();
    for round in 0..6 {
        let now = f64::from(round) * 100.0;
        assert_eq!(bench.pop_all(), ["a"]);
        bench.reject("a", PluginSet::NODE_RESOURCES_FIT, now + 0.5);
        bench.room(now + 0.5);
        let tick = bench.next_tick().expect("it backs off");
        waits.push(tick - now);
        bench.queue.tick(at(tick));
    }
    // 0.5 s and 1, 2, 4, 8, 10, 10 s, at the next whole second.
    assert_eq!(waits, [2.0, 3.0, 5.0, 9.0, 11.0, 11.0]);
}

#[test]
fn errors_back_off_on_their_own_count() {
    let mut bench =
        bench(QueueTimers { error_backoff_max: SimDuration::from_secs(3), ..TIMERS }, &[("a", 0)]);
    bench.add("a", 0.0);
    let mut waits = Vec::new();
    for (round, error) in [false, false, true, true, true, false, true].into_iter().enumerate() {
        let now = round as f64 * 100.0;
        assert_eq!(bench.pop_all(), ["a"]);
        if error {
            let a = bench.pod("a");
            bench.queue.failed(a, Failure::Error, at(now + 0.5));
            assert!(!bench.queue.has_ready() && bench.queue.len() == 1);
            bench.room(now + 50.0); // no event helps it out
        } else {
            bench.reject("a", PluginSet::NODE_RESOURCES_FIT, now + 0.5);
            bench.room(now + 0.5);
        }
        let tick = bench.next_tick().expect("it backs off");
        waits.push(tick - now);
        bench.queue.tick(at(tick));
    }
    // Rejected for the first and second time (1 s, 2 s), three errors (1, 2 and 3 s at most), a third rejection (4 s), an error anew.
    assert_eq!(waits, [2.0, 3.0, 2.0, 3.0, 4.0, 5.0, 2.0]);
}

#[test]
fn no_backoff_at_all() {
    let mut bench = bench(QueueTimers { backoff_max: SimDuration::ZERO, ..TIMERS }, &[("a", 0)]);
    bench.stuck("a", 0.0);
    bench.room(0.0);
    assert_eq!(bench.pop_all(), ["a"]);
    // Errors still back off.
    let a = bench.pod("a");
    bench.queue.failed(a, Failure::Error, at(0.0));
    assert_eq!(bench.next_tick(), Some(2.0));
}

#[test]
fn an_idle_scheduler_takes_pods_out_of_their_backoff() {
    let timers = QueueTimers { pop_from_backoff: true, ..TIMERS };
    let mut bench = bench(timers, &[("a", 0), ("b", 0), ("c", 7), ("e", 0)]);
    for (name, time) in [("b", 0.2), ("a", 0.4), ("c", 0.6)] {
        bench.stuck(name, time);
    }
    bench.room(0.9);
    assert!(bench.queue.has_ready());
    assert_eq!(bench.next_tick(), None, "nobody has to wait for the end of a backoff");
    bench.add("e", 0.95);
    assert_eq!(bench.pop_all(), ["e", "c", "b", "a"], "who is active comes first");
}

#[test]
fn backoffs_of_one_window_are_in_order_of_priority() {
    let timers = QueueTimers { pop_from_backoff: true, backoff_initial: SimDuration::from_secs(5), ..TIMERS };
    let mut bench = bench(timers, &[("a", 0), ("b", 0), ("c", 7), ("d", 9)]);
    for (name, time) in [("b", 0.2), ("a", 0.4), ("c", 0.6), ("d", 1.1)] {
        bench.stuck(name, time);
    }
    bench.room(1.15);
    assert!(bench.queue.has_ready());
    assert_eq!(bench.pop_all(), ["c", "b", "a", "d"], "windows first, then priorities, then times");
    // Errors are waited for in any case.
    let a = bench.pod("a");
    bench.queue.failed(a, Failure::Error, at(3.3));
    assert!(!bench.queue.has_ready() && bench.pop().is_none());
    // It ends at 8.3 s, in the window of 8 s, and is released when that has passed.
    assert_eq!(bench.next_tick(), Some(9.0));
}

#[test]
fn a_backoff_that_ends_in_this_window_is_not_over() {
    // Stuck at 0.2 s for a second. Who still backs off comes after everybody who is active, whatever the priorities.
    let windows = QueueTimers { pop_from_backoff: true, ..TIMERS };
    for (timers, requeued, order) in [
        (windows, 1.1, vec!["low", "high"]),
        (windows, 1.999, vec!["low", "high"]),
        (windows, 2.0, vec!["high", "low"]),
        (TIMERS, 1.2, vec!["low"]),
        (TIMERS, 1.200_001, vec!["high", "low"]),
    ] {
        let mut bench = bench(timers, &[("high", 9), ("low", 0)]);
        bench.stuck("high", 0.2);
        bench.room(requeued);
        bench.add("low", requeued);
        assert_eq!(bench.pop_all(), order, "{requeued}");
    }
}

#[test]
fn without_windows_the_end_of_the_backoff_decides() {
    let mut bench =
        bench(QueueTimers { backoff_initial: SimDuration::from_secs(5), ..TIMERS }, &[("a", 0), ("b", 9)]);
    bench.stuck("a", 0.2);
    bench.stuck("b", 0.4);
    bench.room(0.5);
    assert_eq!(bench.next_tick(), Some(6.0));
    bench.queue.tick(at(6.0));
    assert_eq!(bench.pop_all(), ["b", "a"], "both are active now");
}

#[test]
fn old_pods_leave_the_pool_without_an_event() {
    let mut bench = bench(TIMERS, &[("a", 0), ("b", 0)]);
    bench.stuck("a", 10.0);
    bench.stuck("b", 40.0);
    // Five minutes later, at the next round of 30 s.
    assert_eq!(bench.next_tick(), Some(330.0));
    bench.queue.tick(at(329.9));
    assert_eq!(bench.queue.unschedulable().len(), 2);
    bench.queue.tick(at(330.0));
    assert_eq!(bench.pop_all(), ["a"]);
    assert_eq!(bench.next_tick(), Some(360.0));
    // It was tried again: five minutes from then.
    bench.reject("a", PluginSet::NODE_RESOURCES_FIT, 331.0);
    bench.queue.tick(at(360.0));
    assert_eq!(bench.pop_all(), ["b"]);
    assert_eq!(bench.next_tick(), Some(660.0));
}

#[test]
fn periods_are_counted_from_the_schedulers_start() {
    let timers = QueueTimers { up_for: SimDuration::from_nanos(400_000_000), ..TIMERS };
    let mut bench = bench(timers, &[("a", 0), ("b", 0)]);
    bench.stuck("a", 0.0);
    bench.stuck("b", 0.0);
    assert_eq!(
        bench.next_tick(),
        Some(329.6),
        "the rounds are at 299.6 s, when five minutes are not over, and at 329.6 s"
    );
    bench.room(0.5);
    assert_eq!(bench.next_tick(), Some(1.6));
}

#[test]
fn pending_plugins_skip_the_backoff() {
    let mut bench = bench(TIMERS, &[("a", 0), ("b", 0)]);
    for name in ["a", "b"] {
        bench.add(name, 0.0);
        bench.pop();
        // VolumeBinding waits for something outside; NodeResourcesFit has rejected it.
        let failure =
            Failure::Rejected { by: PluginSet::NODE_RESOURCES_FIT, pending: PluginSet::VOLUME_BINDING };
        let pod = bench.pod(name);
        bench.queue.failed(pod, failure, at(0.0));
    }
    bench.queue.event(&bench.cluster, ClusterEvent::VolumeAdded, at(0.1));
    assert_eq!(bench.pop_all(), ["a", "b"], "what was pending has come");
    for name in ["a", "b"] {
        let failure =
            Failure::Rejected { by: PluginSet::NODE_RESOURCES_FIT, pending: PluginSet::VOLUME_BINDING };
        let pod = bench.pod(name);
        bench.queue.failed(pod, failure, at(0.2));
    }
    bench.room(0.3);
    assert!(
        !bench.queue.has_ready() && bench.queue.unschedulable().is_empty(),
        "the other one's event does not skip it"
    );
}

#[test]
fn events_look_at_everyone_in_the_pool() {
    let names: Vec<String> = (0..6).map(|i| format!("p{i}")).collect();
    let pods: Vec<(&str, i32)> = names.iter().map(|name| (name.as_str(), 0)).collect();
    let mut bench = bench(TIMERS, &pods);
    for (index, name) in names.iter().enumerate() {
        bench.add(name, 0.0);
        bench.pop();
        let by = if index % 2 == 0 { PluginSet::NODE_RESOURCES_FIT } else { PluginSet::VOLUME_BINDING };
        bench.reject(name, by, 0.0);
    }
    bench.room(20.0);
    assert_eq!(bench.pop_all(), ["p0", "p2", "p4"]);
    let mut left: Vec<String> = bench.queue.unschedulable().iter().map(|pod| bench.name(*pod)).collect();
    left.sort();
    assert_eq!(left, ["p1", "p3", "p5"]);
    // Out of the middle, and all others still are where the queue thinks they are.
    let p3 = bench.pod("p3");
    bench.queue.remove(p3);
    bench.queue.event(&bench.cluster, ClusterEvent::VolumeUpdated, at(20.0));
    assert_eq!(bench.pop_all(), ["p1", "p5"]);
    assert!(bench.queue.is_empty());
}

#[test]
fn a_pod_that_changed_itself_is_tried_at_once() {
    let mut bench = bench(TIMERS, &[("a", 0), ("b", 0), ("c", 0), ("d", 0)]);
    bench.stuck("a", 0.0); // will be in the pool
    bench.stuck("b", 0.0);
    bench.queue.remove(bench.cluster.pods().iter().next().map(|(id, _)| id).expect("a"));
    bench.room(0.1); // b backs off
    bench.stuck("a", 0.2);
    bench.add("c", 0.3);
    bench.pop();
    let c = bench.pod("c");
    bench.queue.failed(c, Failure::Error, at(0.3));
    assert!(!bench.queue.has_ready());
    for name in ["a", "b", "c", "d"] {
        let pod = bench.pod(name);
        bench.queue.activate(pod);
    }
    assert_eq!(bench.queue.len(), 3, "d was never here");
    assert_eq!(bench.pop_all(), ["b", "a", "c"]);
    let a = bench.pod("a");
    bench.queue.activate(a);
    assert!(!bench.queue.has_ready() && bench.queue.is_in_flight(a), "it is being tried");
}

#[test]
fn gated_pods_are_not_tried() {
    let gated = pod("g", json!({"spec": {"schedulingGates": [{"name": "later"}]}}));
    let mut bench = Bench { cluster: cluster(&[gated]), queue: SchedulingQueue::new(TIMERS) };
    bench.add("g", 0.0);
    let g = bench.pod("g");
    assert!(bench.queue.is_gated(g) && bench.queue.len() == 1 && !bench.queue.has_ready());
    bench.queue.gates_changed(&bench.cluster, g);
    assert!(bench.queue.is_gated(g), "there still is one");
    bench.queue.activate(g);
    assert!(bench.queue.is_gated(g));
    bench.queue.remove(g);
    assert!(!bench.queue.is_gated(g) && bench.queue.is_empty());
}

#[test]
fn only_pods_in_flight_can_fail() {
    let mut bench = bench(TIMERS, &[("a", 0)]);
    bench.add("a", 0.0);
    let a = bench.pod("a");
    bench.reject("a", PluginSet::NODE_RESOURCES_FIT, 0.0);
    bench.queue.done(a);
    assert!(!bench.queue.is_in_flight(a) && bench.queue.unschedulable().is_empty());
    assert_eq!(bench.pop_all(), ["a"]);
    bench.queue.done(a);
    bench.reject("a", PluginSet::NODE_RESOURCES_FIT, 0.0);
    assert!(bench.queue.is_empty());
}

#[test]
fn many_rounds_leave_no_trace() {
    let mut bench = bench(TIMERS, &[("a", 0), ("b", 0)]);
    bench.stuck("b", 0.0);
    bench.add("a", 0.0);
    for round in 0..1000 {
        let now = f64::from(round) / 100.0;
        assert_eq!(bench.pop_all(), ["a"]);
        bench.reject("a", PluginSet::VOLUME_BINDING, now);
        let a = bench.pod("a");
        bench.queue.activate(a);
    }
    assert!(bench.queue.pool_ages.len() <= 70, "{} entries for one pod", bench.queue.pool_ages.len());
    assert_eq!(bench.next_tick(), Some(300.0), "the other one has not been forgotten");
}

#[test]
fn which_rejections_may_be_slept_over() {
    let fit = PluginSet::NODE_RESOURCES_FIT;
    assert!(may_sleep(fit) && may_sleep(fit.union(PluginSet::VOLUME_BINDING)));
    for watched in ["NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "VolumeBinding"] {
        assert!(may_sleep(PluginSet::of(watched)), "{watched}");
    }
    assert!(!may_sleep(PluginSet::NONE));
    for other in ["NodePorts", "PodTopologySpread", "InterPodAffinity", "VolumeZone", "Unknown"] {
        assert!(!may_sleep(PluginSet::of(other)) && !may_sleep(fit.union(PluginSet::of(other))), "{other}");
    }
}

#[test]
fn another_pod_in_the_row_of_one_that_waits_takes_its_place() {
    let mut bench = bench(TIMERS, &[("a", 0), ("b", 3)]);
    bench.add("a", 0.0);
    let (a, b) = (bench.pod("a"), bench.pod("b"));
    let row = bench.cluster.pod(b).clone();
    bench.cluster.remove_pod(b);
    bench.cluster.remove_pod(a);
    let again = bench.cluster.add_pod(row).expect("new");
    assert_eq!(again, a, "the row is used again");
    bench.queue.add(&bench.cluster, again, at(5.0));
    assert_eq!(bench.queue.len(), 1);
    assert_eq!(bench.pop_all(), ["b"]);
}
