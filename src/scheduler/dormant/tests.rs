//! A queue in which pods sleep against one in which every attempt is made: whatever happens, the same pods are tried equally often, in
//! the same order, and wait for the same ticks.

use super::{Condition, Doze, Known, Oracle, may_sleep};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::{Cluster, NodeDelta};
use crate::model::ids::{Id, NodeId, PodId};
use crate::scheduler::cycle::Unschedulable;
use crate::scheduler::framework::{FitError, PluginName};
use crate::scheduler::hints::ClusterEvent;
use crate::scheduler::queue::{Failure, PluginSet, QueueTimers, SchedulingQueue};
use crate::scheduler::testing::{cluster, node, pod};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

const PODS: usize = 18;
/// Kinds of pods: the last one is of pods whose volumes are bound, each on a node of its own.
const KINDS: usize = 4;
const PINNED: usize = KINDS - 1;
const NODES: usize = 4;

/// Who rejects: sets under which a pod may sleep.
const REJECTORS: [&[PluginName]; 4] = [
    &["NodeResourcesFit"],
    &["VolumeBinding"],
    &["NodeResourcesFit", "VolumeBinding"],
    &["NodeAffinity", "NodeResourcesFit"],
];

/// How pods of each kind fail now, if they do, and which nodes have room for those that are pinned to them.
struct World {
    fails: [Option<Arc<Known>>; KINDS],
    roomy: [bool; NODES],
    words: u32,
}

impl World {
    fn kind(pod: PodId) -> usize {
        pod.index() % KINDS
    }
    fn home(pod: PodId) -> NodeId {
        NodeId::at((pod.index() / KINDS % NODES) as u32)
    }
    /// An answer that nobody has given before.
    fn new_words(&mut self, rejectors: usize) -> Arc<Known> {
        self.words += 1;
        let error = FitError { nodes: self.words, ..FitError::default() };
        let result = Unschedulable { error, ..Unschedulable::default() };
        Arc::new(Known { result, rejectors: REJECTORS[rejectors].to_vec() })
    }
    /// What an attempt at the pod says.
    fn attempt(&self, pod: PodId) -> Option<Arc<Known>> {
        let kind = World::kind(pod);
        let takes = kind == PINNED && self.roomy[World::home(pod).index()];
        self.fails[kind].clone().filter(|_| !takes)
    }
    fn doze(&self, pod: PodId, known: &Arc<Known>) -> Doze {
        let kind = World::kind(pod);
        let condition = Condition::Class { profile: 0, class: kind as u64, with_claims: kind == 1 };
        let homes = if kind == PINNED { vec![World::home(pod)] } else { Vec::new() };
        Doze { condition, homes, known: Arc::clone(known) }
    }
}

impl Oracle for World {
    fn still_fails(&mut self, _: &Cluster, condition: &Condition, _: &Arc<Known>) -> Option<Arc<Known>> {
        let Condition::Class { class, .. } = condition else { return None };
        self.fails[*class as usize].clone()
    }
    fn may_take(&self, _: &Condition, home: NodeId) -> bool {
        self.roomy[home.index()]
    }
}

/// Attempts at each pod, and how the last of them failed.
type Tally = [(u64, Option<Arc<Known>>); PODS];

struct Bench {
    cluster: Cluster,
    pods: Vec<PodId>,
    world: World,
    now: SimTime,
    sleepy: SchedulingQueue,
    awake: SchedulingQueue,
    tallies: [Tally; 2],
    slept: u64,
}

impl Bench {
    fn new(timers: QueueTimers) -> Bench {
        let mut objects: Vec<_> = (0..NODES).map(|n| node(&format!("n{n}"), json!({}))).collect();
        for claim in 0..3 {
            objects.push(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": format!("c{claim}"), "namespace": "default", "uid": format!("u{claim}")},
                "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "local", "volumeMode": "Filesystem",
                         "resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Pending"}}));
        }
        for p in 0..PODS {
            let volumes: Vec<_> = (0..3usize)
                .filter(|claim| p % 5 == *claim)
                .map(
                    |claim| json!({"name": "d", "persistentVolumeClaim": {"claimName": format!("c{claim}")}}),
                )
                .collect();
            let priority = [0, 0, 5, 9][p / 3 % 4];
            objects.push(pod(&format!("p{p}"), json!({"spec": {"volumes": volumes, "priority": priority}})));
        }
        let cluster = cluster(&objects);
        let pods: Vec<PodId> = cluster.pods().ids().collect();
        let mut world = World { fails: [const { None }; KINDS], roomy: [false; NODES], words: 0 };
        for kind in 0..KINDS {
            world.fails[kind] = Some(world.new_words(kind));
        }
        Bench {
            cluster,
            pods,
            world,
            now: SimTime::ZERO,
            sleepy: SchedulingQueue::new(timers),
            awake: SchedulingQueue::new(timers),
            tallies: [const { [const { (0, None) }; PODS] }; 2],
            slept: 0,
        }
    }
    fn count(tally: &mut Tally, pod: PodId, attempts: u64, known: Option<Arc<Known>>) {
        let row = &mut tally[pod.index()];
        (row.0, row.1) = (row.0 + attempts, known);
    }
    fn count_woken(&mut self) {
        for woken in self.sleepy.take_woken() {
            self.slept += woken.rounds;
            Bench::count(&mut self.tallies[0], woken.pod, woken.rounds, Some(woken.known));
        }
    }
    /// Both queues work until nobody is left to be tried. Returns the pods that found a node, in order.
    fn work(&mut self) -> [Vec<PodId>; 2] {
        let mut bound = [const { Vec::new() }; 2];
        let mut attempts = [0u64; 2];
        while self.sleepy.has_ready() {
            let next = self.sleepy.next(&self.cluster, self.now, &mut self.world);
            attempts[0] += next.counted.attempts;
            self.count_woken();
            let Some(pod) = next.pod else { break };
            attempts[0] += 1;
            let known = self.world.attempt(pod);
            Bench::count(&mut self.tallies[0], pod, 1, known.clone());
            let Some(known) = known else {
                self.sleepy.done(pod);
                bound[0].push(pod);
                continue;
            };
            let (by, doze) = (PluginSet::of_all(&known.rejectors), self.world.doze(pod, &known));
            assert!(may_sleep(by));
            self.sleepy.failed_knowingly(&self.cluster, pod, by, doze, self.now);
        }
        while let Some(pod) = self.awake.pop() {
            attempts[1] += 1;
            let known = self.world.attempt(pod);
            Bench::count(&mut self.tallies[1], pod, 1, known.clone());
            let Some(known) = known else {
                self.awake.done(pod);
                bound[1].push(pod);
                continue;
            };
            let by = PluginSet::of_all(&known.rejectors);
            self.awake.failed(pod, Failure::Rejected { by, pending: PluginSet::NONE }, self.now);
        }
        assert_eq!(attempts[0], attempts[1], "attempts of this instant");
        bound
    }
    /// Time passes; ticks come when they are due.
    fn wait(&mut self, until: SimTime) -> Result<(), TestCaseError> {
        loop {
            let ticks = [self.sleepy.next_tick(), self.awake.next_tick()];
            prop_assert_eq!(ticks[0], ticks[1]);
            let Some(tick) = ticks[0].filter(|tick| *tick <= until) else { break };
            self.now = tick.max(self.now);
            self.sleepy.tick(self.now);
            self.awake.tick(self.now);
            self.check()?;
        }
        self.now = until;
        Ok(())
    }
    fn event(&mut self, event: ClusterEvent) {
        self.sleepy.event(&self.cluster, event, self.now);
        self.awake.event(&self.cluster, event, self.now);
        self.count_woken();
    }
    /// Works, and compares what came of it.
    fn check(&mut self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.sleepy.len(), self.awake.len());
        let [sleepy, awake] = self.work();
        prop_assert_eq!(sleepy, awake);
        prop_assert!(!self.awake.has_ready());
        prop_assert_eq!(self.sleepy.len(), self.awake.len());
        prop_assert_eq!(self.sleepy.is_empty(), self.awake.is_empty());
        Ok(())
    }
    /// A node changes: what is known of it is looked at again.
    fn touch(&mut self, node: usize) {
        let id = NodeId::at(node as u32);
        let (mut more, pods) =
            (self.cluster.node(id).allocatable.clone(), self.cluster.node(id).allocatable_pods);
        more.cpu_milli += 1;
        self.cluster.set_node_allocatable(id, more, pods);
    }
    fn step(&mut self, what: u8, n: usize) -> Result<(), TestCaseError> {
        let pod = self.pods[n % PODS];
        match what {
            0..=3 => {
                self.sleepy.add(&self.cluster, pod, self.now);
                self.awake.add(&self.cluster, pod, self.now);
            }
            4 => self.event(ClusterEvent::VolumeAdded),
            5 => self.event(ClusterEvent::VolumeUpdated),
            6 | 7 => {
                let row = self.cluster.pod(pod);
                self.event(ClusterEvent::PodRemoved { name: row.name, spec: row.spec });
            }
            8 => {
                let claim = self.cluster.claims().ids().nth(n % 3);
                if let Some(claim) = claim {
                    let (added, updated) =
                        (ClusterEvent::ClaimAdded(claim), ClusterEvent::ClaimUpdated(claim));
                    self.event(if n.is_multiple_of(2) { added } else { updated });
                }
            }
            9 if n.is_multiple_of(4) => {
                let node = NodeId::at((n % NODES) as u32);
                let deltas = [NodeDelta::Labels, NodeDelta::Taints, NodeDelta::Condition, NodeDelta::Other];
                self.event(ClusterEvent::NodeUpdated(node, deltas[n / 4 % 4]));
            }
            10 => {
                self.sleepy.remove(pod);
                self.awake.remove(pod);
                self.count_woken();
            }
            11 => {
                self.sleepy.activate(pod);
                self.awake.activate(pod);
            }
            12 => {
                // It fails no more, or for other reasons, in other words or for the same again.
                let known = match n / KINDS % 4 {
                    0 => None,
                    1 => Some(self.world.new_words(n / 16 % REJECTORS.len())),
                    _ => Some(self.world.new_words(n % KINDS)),
                };
                self.world.fails[n % KINDS] = known;
                self.touch(0);
            }
            13 => {
                self.world.roomy[n % NODES] ^= true;
                self.touch(n % NODES);
            }
            14 => {
                let row = self.cluster.pod(pod);
                let namespace = self.cluster.spec(row.spec).namespace;
                if let Some(claim) = self.cluster.claim_names_of(pod).flatten().next() {
                    self.sleepy.doubt_users(&self.cluster, namespace, claim);
                }
            }
            _ => {
                let nanos =
                    [100_000_000, 1_000_000_000, 7_300_000_000, 61_000_000_000, 310_000_000_000][n % 5];
                return self.wait(self.now + SimDuration::from_nanos(nanos));
            }
        }
        Ok(())
    }
    /// Everybody wakes: all that was ever tried has been counted.
    fn finish(mut self) -> Result<u64, TestCaseError> {
        let mut woken = Vec::new();
        self.sleepy.last_woken(|one| woken.push(one));
        for one in woken {
            self.slept += one.rounds;
            Bench::count(&mut self.tallies[0], one.pod, one.rounds, Some(one.known));
        }
        for (index, (sleepy, awake)) in self.tallies[0].iter().zip(&self.tallies[1]).enumerate() {
            prop_assert_eq!(sleepy, awake, "pod {}", index);
        }
        Ok(self.slept)
    }
}

fn timers(which: usize) -> QueueTimers {
    let seconds = SimDuration::from_secs;
    let (initial, max) = [(0, 0), (1, 1), (1, 2), (10, 10), (2, 4)][which % 5];
    QueueTimers {
        backoff_initial: seconds(initial),
        backoff_max: seconds(max),
        error_backoff_max: seconds(10),
        pop_from_backoff: (which / 5).is_multiple_of(2),
        flush_after: seconds([300, 60][which / 10 % 2]),
        up_for: SimDuration::from_nanos([0, 400_000_000][which / 20 % 2]),
        tells_news: which / 40 % 2 == 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn sleeping_changes_nothing(which in 0usize..80, steps in prop::collection::vec((0u8..19, 0usize..256, any::<bool>()), 1..140)) {
        let mut bench = Bench::new(timers(which));
        for (what, n, again) in steps {
            bench.step(what, n)?;
            // Some things happen in the same instant, before anybody is tried.
            if !again {
                bench.check()?;
            }
        }
        bench.check()?;
        bench.finish()?;
    }
}

/// Eighteen pods that fail at once whenever a volume comes: after the first failures nobody is asked any more.
#[test]
fn rounds_are_counted_without_asking() {
    for which in [0, 1, 3, 5, 6] {
        let mut bench = Bench::new(timers(which));
        let pods = bench.pods.clone();
        for pod in &pods {
            bench.step(0, pod.index()).expect("added");
        }
        bench.check().expect("the same");
        for _ in 0..50 {
            bench.wait(bench.now + SimDuration::from_secs(12)).expect("the same ticks");
            for event in [4, 6] {
                bench.step(event, 0).expect("an event");
                bench.check().expect("the same");
            }
        }
        let slept = bench.finish().expect("the same");
        // A kind that both volumes and room bring back comes up a hundred times, the others fifty times.
        assert!(slept > 18 * 40, "{which}: {slept} attempts were slept over");
    }
}
