//! What the controllers of workloads do next, and what their writes do to the objects.

use super::api::{
    Grace, Refused, Write, apply, create_claim, delete_claim, delete_pod, delete_volume, new_pod,
};
use super::kubelet::{Duty, duty, volumes_mount};
use super::statefulset::Pass;
use super::{Retry, Step, job, protection, replicaset, statefulset};
use crate::engine::rng::{Streams, TieBreak};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::fixture::Fixture;
use crate::model::ids::{ClaimId, NodeId, PodId, StatefulSetId, Terminating, Uid};
use crate::model::labels::LabelSelector;
use crate::model::names::sym;
use crate::model::pod::{PodOwner, PodPhase};
use crate::model::spec::PodSpec;
use crate::model::volume::{ClaimOwner, ClaimPhase, VolumePhase};
use crate::model::workload::{
    ClaimRetention, ClaimTemplate, Job, PodManagement, ReplicaSet, ReplicaSetKind, StatefulSet,
};

fn at(seconds: u64) -> SimTime {
    SimTime::from_secs(seconds)
}

/// A pod: node, phase, ready, second of its creation.
type Row = (Option<usize>, PodPhase, bool, u64);

/// Pods of an owner on nodes `n0` to `n2`.
fn pods(fixture: &mut Fixture, owner: PodOwner, rows: &[Row]) -> Vec<PodId> {
    let nodes: Vec<NodeId> = (0..3).map(|index| fixture.node(&format!("n{index}"), &[])).collect();
    let model = fixture.pod("model", &[]);
    let cluster = &mut fixture.cluster;
    let spec = cluster.pod(model).spec;
    let make = |(index, &(node, phase, ready, created)): (usize, &Row)| {
        let name = cluster.names.name(&format!("w-{index}"));
        let row = new_pod(cluster, name, spec, owner, at(created));
        let pod = cluster.add_pod(row).expect("new");
        if let Some(node) = node {
            cluster.bind_pod(pod, nodes[node]);
        }
        cluster.set_pod_status(pod, phase, ready);
        pod
    };
    rows.iter().enumerate().map(make).collect()
}

fn victim(step: Step, pods: &[PodId]) -> Option<usize> {
    match step {
        Step::Write(Write::DeletePod { pod, grace: Grace::Default, .. }) => {
            pods.iter().position(|p| *p == pod)
        }
        _ => None,
    }
}

const PENDING: PodPhase = PodPhase::Pending;
const RUNNING: PodPhase = PodPhase::Running;

#[test]
fn replicas_that_are_missed_least_go_first() {
    let rows: &[(&str, &[Row], u32, Option<usize>)] = &[
        ("unassigned", &[(Some(0), RUNNING, true, 9), (None, PENDING, false, 1)], 1, Some(1)),
        ("pending", &[(Some(0), RUNNING, false, 9), (Some(1), PENDING, false, 1)], 1, Some(1)),
        (
            "unknown before running",
            &[(Some(0), RUNNING, false, 9), (Some(1), PodPhase::Unknown, false, 1)],
            1,
            Some(1),
        ),
        (
            "pending before unknown",
            &[(Some(0), PodPhase::Unknown, false, 9), (Some(1), PENDING, false, 1)],
            1,
            Some(1),
        ),
        ("not ready", &[(Some(0), RUNNING, true, 9), (Some(1), RUNNING, false, 1)], 1, Some(1)),
        (
            "two on a node",
            &[(Some(0), RUNNING, true, 9), (Some(1), RUNNING, true, 1), (Some(1), RUNNING, true, 2)],
            2,
            Some(2),
        ),
        (
            "the youngest",
            &[(Some(0), RUNNING, true, 1), (Some(1), RUNNING, true, 9), (Some(2), RUNNING, true, 5)],
            2,
            Some(1),
        ),
        ("as many as wanted", &[(Some(0), RUNNING, true, 1)], 1, None),
        (
            "who has ended does not count",
            &[(Some(0), PodPhase::Failed, false, 1), (Some(0), RUNNING, true, 1)],
            1,
            None,
        ),
        (
            "who has ended is not crowding",
            &[
                (Some(0), PodPhase::Failed, false, 1),
                (Some(0), RUNNING, true, 1),
                (Some(1), RUNNING, true, 9),
            ],
            1,
            Some(2),
        ),
    ];
    for (what, list, replicas, want) in rows {
        let mut fixture = Fixture::new();
        let set = ReplicaSet {
            uid: Uid::new(77),
            namespace: sym::DEFAULT,
            name: fixture.cluster.names.name("w"),
            kind: ReplicaSetKind::ReplicaSet,
            replicas: *replicas,
            spec: crate::model::ids::SpecId::at(0),
            selector: LabelSelector::everything(),
            exists: true,
            next_pod: 0,
        };
        let id = fixture.cluster.add_replica_set(set);
        let list = pods(&mut fixture, PodOwner::ReplicaSet(id), list);
        let step = replicaset::step(&fixture.cluster, &list, id);
        assert_eq!(victim(step.clone(), &list), *want, "{what}");
        assert_eq!(want.is_none(), step == Step::Done, "{what}");
        fixture.cluster.update_replica_set(id, |set| set.replicas += 5);
        assert_eq!(
            replicaset::step(&fixture.cluster, &list, id),
            Step::Write(Write::CreateReplica(id)),
            "{what}"
        );
        fixture.cluster.update_replica_set(id, |set| set.exists = false);
        assert_eq!(replicaset::step(&fixture.cluster, &list, id), Step::Done, "{what}");
    }
}

#[test]
fn jobs_have_as_many_pods_as_are_left_to_do() {
    let running = (Some(0), RUNNING, true, 1);
    let done = (Some(0), PodPhase::Succeeded, false, 1);
    // Completions, parallelism, succeeded, pods; what is done: a pod is made, one goes, nothing.
    let rows: &[(u32, u32, u32, &[Row], Result<bool, usize>)] = &[
        (3, 2, 0, &[], Ok(true)),
        (3, 2, 0, &[running], Ok(true)),
        (3, 2, 0, &[running, running], Ok(false)),
        (3, 2, 0, &[done, running], Ok(true)),
        (3, 2, 2, &[running], Ok(false)),
        (3, 2, 3, &[], Ok(false)),
        (3, 5, 9, &[], Ok(false)),
        (3, 2, 2, &[running, (Some(1), RUNNING, true, 9)], Err(1)),
        (3, 2, 2, &[(None, PENDING, false, 1), running], Err(0)),
        (3, 2, 2, &[running, (Some(1), RUNNING, false, 1)], Err(1)),
        (3, 2, 2, &[running, (Some(1), PENDING, false, 1)], Err(1)),
        (3, 2, 3, &[running], Err(0)),
    ];
    for (index, (completions, parallelism, succeeded, list, want)) in rows.iter().enumerate() {
        let mut fixture = Fixture::new();
        let job = Job {
            uid: Uid::new(77),
            namespace: sym::DEFAULT,
            name: fixture.cluster.names.name("w"),
            completions: *completions,
            parallelism: *parallelism,
            spec: crate::model::ids::SpecId::at(0),
            duration: None,
            succeeded: *succeeded,
            next_pod: 0,
            exists: true,
        };
        let id = fixture.cluster.add_job(job);
        let list = pods(&mut fixture, PodOwner::Job(id), list);
        let step = job::step(&fixture.cluster, &list, id);
        let got = match step {
            Step::Write(Write::CreateJobPod(made)) if made == id => Ok(true),
            Step::Done => Ok(false),
            other => Err(victim(other, &list).expect("a victim")),
        };
        assert_eq!(got, *want, "row {index}");
        // Who is being deleted does not count either.
        if let Some(first) = list.first().filter(|_| *want == Ok(false)) {
            fixture.cluster.mark_pod_deleted(*first);
            assert_eq!(
                job::step(&fixture.cluster, &list, id),
                Step::Write(Write::CreateJobPod(id)),
                "row {index}"
            );
        }
        fixture.cluster.update_job(id, |job| job.exists = false);
        assert_eq!(job::step(&fixture.cluster, &list, id), Step::Done, "row {index}");
    }
}

/// A StatefulSet `db` with one claim template, and the writes of one pass, each done at once, in words.
struct Set {
    fixture: Fixture,
    id: StatefulSetId,
    node: NodeId,
}

impl Set {
    fn new(replicas: u32, management: PodManagement, retention: ClaimRetention) -> Set {
        let mut fixture = Fixture::new();
        let node = fixture.node("n", &[]);
        let claim = fixture.claim("model-claim 1Gi RWO class=wffc");
        let model = fixture.pod("model", &[]);
        let prefix = fixture.sym("data");
        let set = StatefulSet {
            uid: Uid::new(77),
            namespace: sym::DEFAULT,
            name: fixture.cluster.names.name("db"),
            replicas,
            first_ordinal: 0,
            spec: fixture.cluster.pod(model).spec,
            claims: vec![ClaimTemplate { prefix, spec: fixture.cluster.claim(claim).spec }],
            management,
            retention,
            selector: LabelSelector::everything(),
            exists: true,
            deletion: false,
            group: false,
        };
        let id = fixture.cluster.add_stateful_set(set);
        fixture.cluster.remove_pod(model);
        Set { fixture, id, node }
    }
    fn pods(&self) -> Vec<PodId> {
        let ours = |pod: &PodId| self.fixture.cluster.pod(*pod).owner == PodOwner::StatefulSet(self.id);
        self.fixture.cluster.pods().ids().filter(ours).collect()
    }
    fn pod(&mut self, ordinal: u32) -> PodId {
        let name = self.fixture.cluster.names.name(&format!("db-{ordinal}"));
        self.fixture.cluster.pod_by_name(sym::DEFAULT, name).expect("a pod")
    }
    fn claim(&mut self, ordinal: u32) -> ClaimId {
        self.fixture.claim_id(&format!("data-db-{ordinal}"))
    }
    fn runs(&mut self, ordinal: u32) {
        let (pod, node) = (self.pod(ordinal), self.node);
        self.fixture.cluster.bind_pod(pod, node);
        self.fixture.cluster.set_pod_status(pod, RUNNING, true);
    }
    fn pass(&mut self) -> Vec<String> {
        let (mut pass, mut said) = (Pass::default(), Vec::new());
        for _ in 0..40 {
            let pods = self.pods();
            match statefulset::step(&mut self.fixture.cluster, &pods, self.id, &mut pass, &TieBreak::First) {
                Step::Done => return said,
                Step::Retry(Retry::NameTaken) => {
                    said.push("the name is taken".into());
                    return said;
                }
                Step::Retry(Retry::ClaimBeingDeleted(name)) => {
                    said.push(format!("{} is being deleted", self.fixture.cluster.names.show(name)));
                    return said;
                }
                Step::Write(write) => {
                    let cluster = &self.fixture.cluster;
                    said.push(match write {
                        Write::CreateSetClaim { ordinal, .. } => format!("claim {ordinal}"),
                        Write::CreateSetPod { ordinal, .. } => format!("pod {ordinal}"),
                        Write::DeletePod { pod, .. } => {
                            format!("delete {}", cluster.names.show(cluster.pod(pod).name))
                        }
                        Write::SetClaimOwner { claim, owner, .. } => {
                            let whose = match owner {
                                ClaimOwner::None => "nobody's",
                                ClaimOwner::Object(uid) if uid == Uid::new(77) => "the set's",
                                ClaimOwner::Object(_) => "the pod's",
                            };
                            format!("{} is {whose}", cluster.names.show(cluster.claim(claim).name))
                        }
                        other => panic!("{other:?}"),
                    });
                    apply(&mut self.fixture.cluster, write, at(100)).expect("nobody else writes");
                }
            }
        }
        panic!("no end: {said:?}");
    }
}

const RETAIN: ClaimRetention = ClaimRetention { delete_when_deleted: false, delete_when_scaled: false };
const NOTHING: [&str; 0] = [];

#[test]
fn ordered_sets_grow_and_shrink_one_by_one() {
    let mut set = Set::new(3, PodManagement::OrderedReady, RETAIN);
    assert_eq!(set.pass(), ["claim 0", "pod 0"]);
    assert_eq!(set.pass(), NOTHING, "it is not ready");
    set.runs(0);
    assert_eq!(set.pass(), ["claim 1", "pod 1"]);
    set.runs(1);
    assert_eq!(set.pass(), ["claim 2", "pod 2"]);
    set.runs(2);
    assert_eq!(set.pass(), NOTHING);
    // One in the middle is not ready: nothing else happens.
    let second = set.pod(1);
    set.fixture.cluster.set_pod_status(second, RUNNING, false);
    let id = set.id;
    set.fixture.cluster.update_stateful_set(id, |set| set.replicas = 4);
    assert_eq!(set.pass(), NOTHING);
    set.fixture.cluster.set_pod_status(second, RUNNING, true);
    set.fixture.cluster.update_stateful_set(id, |set| set.replicas = 1);
    assert_eq!(set.pass(), ["delete db-2"]);
    assert_eq!(set.pass(), NOTHING, "it is still going");
    let last = set.pod(2);
    set.fixture.cluster.remove_pod(last);
    assert_eq!(set.pass(), ["delete db-1"]);
    // The claims stay, and serve those that come back.
    set.fixture.cluster.remove_pod(second);
    set.fixture.cluster.update_stateful_set(id, |set| set.replicas = 2);
    assert_eq!(set.pass(), ["pod 1"]);
    set.fixture.cluster.update_stateful_set(id, |set| set.deletion = true);
    assert_eq!(set.pass(), NOTHING);
}

#[test]
fn parallel_sets_do_everything_at_once() {
    let mut set = Set::new(3, PodManagement::Parallel, RETAIN);
    let writes = ["claim 0", "pod 0", "claim 1", "pod 1", "claim 2", "pod 2"];
    assert_eq!(set.pass(), writes);
    for ordinal in 0..3 {
        set.runs(ordinal);
    }
    let id = set.id;
    set.fixture.cluster.update_stateful_set(id, |set| set.replicas = 1);
    assert_eq!(set.pass(), ["delete db-2", "delete db-1"]);
    assert_eq!(set.pass(), NOTHING);
    set.fixture.cluster.update_stateful_set(id, |set| (set.replicas, set.first_ordinal) = (2, 5));
    let gone = ["claim 5", "pod 5", "claim 6", "pod 6", "delete db-0"];
    assert_eq!(set.pass(), gone, "other ordinals");
}

#[test]
fn unhealthy_surplus_pods_go_the_lowest_first() {
    let shrink = |ready: [bool; 3]| {
        let mut set = Set::new(3, PodManagement::OrderedReady, RETAIN);
        for (ordinal, _) in ready.iter().enumerate() {
            set.pass();
            set.runs(ordinal as u32);
        }
        for (ordinal, ready) in ready.into_iter().enumerate() {
            let pod = set.pod(ordinal as u32);
            set.fixture.cluster.set_pod_status(pod, RUNNING, ready);
        }
        let id = set.id;
        set.fixture.cluster.update_stateful_set(id, |set| set.replicas = 1);
        set.pass()
    };
    assert_eq!(shrink([true, true, true]), ["delete db-2"]);
    assert_eq!(shrink([true, true, false]), ["delete db-2"]);
    assert_eq!(shrink([true, false, true]), ["delete db-2"]);
    assert_eq!(shrink([true, false, false]), NOTHING, "db-1 is the first that is not healthy");
    assert_eq!(shrink([false, true, true]), NOTHING, "a replica that stays is not ready");
}

#[test]
fn what_keeps_a_replica_from_coming() {
    let mut set = Set::new(2, PodManagement::Parallel, RETAIN);
    set.fixture.pod("db-0", &[]);
    assert_eq!(set.pass(), ["the name is taken"]);
    let stranger = set.pod(0);
    set.fixture.cluster.remove_pod(stranger);
    set.fixture.claim("data-db-1 1Gi RWO class=wffc deleting");
    assert_eq!(set.pass(), ["claim 0", "pod 0", "data-db-1 is being deleted"]);
    let mut set = Set::new(1, PodManagement::OrderedReady, RETAIN);
    set.pass();
    set.runs(0);
    let pod = set.pod(0);
    set.fixture.cluster.set_pod_status(pod, PodPhase::Failed, false);
    assert_eq!(set.pass(), ["delete db-0", "pod 0"], "what has ended is made again");
    // A pod that waits gets the claim that somebody deleted.
    let claim = set.claim(0);
    set.fixture.cluster.remove_claim(claim);
    assert_eq!(set.pass(), ["claim 0"]);
    set.runs(0);
    let claim = set.claim(0);
    set.fixture.cluster.remove_claim(claim);
    assert_eq!(set.pass(), NOTHING, "a pod that runs does not");
}

/// Pods of a Parallel set come in batches of 1, 2, 4 ...; after a failure the batch is finished and nothing more is begun
/// (`slowStartBatch`).
#[test]
fn a_failure_ends_a_parallel_set_with_its_batch() {
    for (taken, last) in [(0, 0), (1, 2), (2, 2), (3, 6), (6, 6), (7, 9), (9, 9)] {
        let mut set = Set::new(10, PodManagement::Parallel, RETAIN);
        set.fixture.pod(&format!("db-{taken}"), &[]);
        let made = |ordinal: u32| [format!("claim {ordinal}"), format!("pod {ordinal}")];
        let mut want: Vec<String> = (0..=last).filter(|n| *n != taken).flat_map(made).collect();
        want.push("the name is taken".into());
        assert_eq!(set.pass(), want, "{taken}");
    }
    // One after the other: nothing at all after the failure.
    for taken in [0, 1, 2] {
        let mut set = Set::new(4, PodManagement::OrderedReady, RETAIN);
        for ordinal in 0..taken {
            set.pass();
            set.runs(ordinal);
        }
        set.fixture.pod(&format!("db-{taken}"), &[]);
        assert_eq!(set.pass(), ["the name is taken"], "{taken}");
    }
}

/// Pods of a batch are made at the same time, so any order may come out; batches do not mix.
#[test]
fn batches_of_a_parallel_set_come_in_any_order() {
    let order = |replicas: u32, tie: &TieBreak| -> Vec<u32> {
        let mut set = Set::new(replicas, PodManagement::Parallel, RETAIN);
        let (mut pass, mut order) = (Pass::default(), Vec::new());
        loop {
            let pods = set.pods();
            match statefulset::step(&mut set.fixture.cluster, &pods, set.id, &mut pass, tie) {
                Step::Write(write) => {
                    if let Write::CreateSetPod { ordinal, .. } = write {
                        order.push(ordinal);
                    }
                    apply(&mut set.fixture.cluster, write, at(1)).expect("nobody else writes");
                }
                other => {
                    assert_eq!(other, Step::Done);
                    return order;
                }
            }
        }
    };
    let mut shuffled = 0;
    for replicas in [1, 2, 3, 4, 6, 7, 8, 20, 140] {
        assert_eq!(order(replicas, &TieBreak::First), (0..replicas).collect::<Vec<_>>());
        for seed in 0..3 {
            let order = order(replicas, &TieBreak::Seeded(Streams::new(seed, 0)));
            assert_eq!(order.len(), replicas as usize);
            let (mut begin, mut size) = (0, 1);
            while begin < order.len() {
                let end = (begin + size).min(order.len());
                let mut batch = order[begin..end].to_vec();
                shuffled += usize::from(!batch.is_sorted());
                batch.sort_unstable();
                assert_eq!(batch, (begin as u32..end as u32).collect::<Vec<_>>(), "{replicas} {seed}");
                (begin, size) = (end, size * 2);
            }
        }
    }
    // All batches of 4 to 64, 9 of 20, and a few of the smaller ones.
    assert!(shuffled > 30, "{shuffled} batches were not in the order of ordinals");
    let seeded = TieBreak::Seeded(Streams::new(1, 0));
    let largest = order(260, &seeded)[127..255].to_vec();
    assert_eq!(largest, (127..255).collect::<Vec<_>>(), "who of so many is first does not matter");
}

/// However many claims a pod has, all are there before it.
#[test]
fn a_pod_comes_after_all_its_claims() {
    for (templates, deleted) in
        [(1, None), (7, None), (8, None), (9, None), (20, None), (9, Some(8)), (3, Some(0))]
    {
        let mut set = Set::new(1, PodManagement::OrderedReady, RETAIN);
        let id = set.id;
        let spec = set.fixture.cluster.stateful_sets()[id].claims[0].spec;
        let claims: Vec<ClaimTemplate> = (0..templates)
            .map(|n| ClaimTemplate { prefix: set.fixture.sym(&format!("data{n}")), spec })
            .collect();
        set.fixture.cluster.update_stateful_set(id, |set| set.claims = claims);
        if let Some(which) = deleted {
            set.fixture.claim(&format!("data{which}-db-0 1Gi RWO class=wffc deleting"));
        }
        let said = set.pass();
        let missing = templates - usize::from(deleted.is_some());
        assert_eq!(said.len(), missing + 1, "{templates} {deleted:?}");
        assert!(said[..missing].iter().all(|words| words == "claim 0"), "{said:?}");
        let last = deleted.map_or("pod 0".into(), |which| format!("data{which}-db-0 is being deleted"));
        assert_eq!(said[missing], last);
        let there = |n: usize| {
            let name = set.fixture.cluster.names.get_name(&format!("data{n}-db-0"));
            name.is_some_and(|name| set.fixture.cluster.claim_by_name(sym::DEFAULT, name).is_some())
        };
        assert!((0..templates).all(there), "{templates} {deleted:?}");
    }
}

/// An ordered set deletes one pod and comes back, also if that one, which no node has, is gone at once.
#[test]
fn an_ordered_set_deletes_one_pod_at_a_time() {
    let mut set = Set::new(3, PodManagement::OrderedReady, RETAIN);
    for ordinal in 0..2 {
        set.pass();
        set.runs(ordinal);
    }
    set.pass();
    let id = set.id;
    set.fixture.cluster.update_stateful_set(id, |set| set.replicas = 0);
    assert_eq!(set.pass(), ["delete db-2"]);
    let name = set.fixture.cluster.names.get_name("db-2").expect("a name");
    assert_eq!(set.fixture.cluster.pod_by_name(sym::DEFAULT, name), None, "nobody ran it");
    assert_eq!(set.pass(), ["delete db-1"]);
    assert_eq!(set.pass(), Vec::<String>::new(), "it terminates");
}

/// Somebody else's owner reference is left alone, whatever the policy.
#[test]
fn claims_of_others_keep_their_owners() {
    for deleted in [false, true] {
        let retention = ClaimRetention { delete_when_deleted: deleted, delete_when_scaled: false };
        for (owner, want) in [(None, deleted), (Some(77), !deleted), (Some(5), false)] {
            let mut set = Set::new(1, PodManagement::Parallel, RETAIN);
            set.pass();
            set.runs(0);
            let (id, claim) = (set.id, set.claim(0));
            set.fixture.cluster.update_stateful_set(id, |set| set.retention = retention);
            let owner = owner.map_or(ClaimOwner::None, |uid| ClaimOwner::Object(Uid::new(uid)));
            set.fixture.cluster.update_claim(claim, |claim| claim.owner = owner);
            let whose = if deleted { "the set's" } else { "nobody's" };
            let words: Vec<String> = want.then(|| format!("data-db-0 is {whose}")).into_iter().collect();
            assert_eq!(set.pass(), words, "{deleted} {owner:?}");
        }
    }
}

#[test]
fn claims_belong_to_whom_the_policy_says() {
    let when = |deleted, scaled| ClaimRetention { delete_when_deleted: deleted, delete_when_scaled: scaled };
    let grow_and_shrink = |retention| {
        let mut set = Set::new(2, PodManagement::Parallel, retention);
        let mut said = vec![set.pass()];
        set.runs(0);
        set.runs(1);
        said.push(set.pass());
        let id = set.id;
        set.fixture.cluster.update_stateful_set(id, |set| set.replicas = 1);
        said.push(set.pass());
        said
    };
    let made = ["claim 0", "pod 0", "claim 1", "pod 1"];
    assert_eq!(grow_and_shrink(when(false, false)), [&made[..], &NOTHING, &["delete db-1"]]);
    let owned: &[&str] = &["data-db-0 is the set's", "data-db-1 is the set's"];
    let seen = grow_and_shrink(when(true, false));
    assert_eq!((&seen[2], [&seen[0][..], &seen[1]].concat().len()), (&vec!["delete db-1".to_owned()], 6));
    assert!(owned.iter().all(|words| seen[..2].concat().contains(&(*words).to_owned())), "{seen:?}");
    let seen = grow_and_shrink(when(false, true));
    assert_eq!(seen[2], ["data-db-1 is the pod's", "delete db-1"]);
    let seen = grow_and_shrink(when(true, true));
    assert_eq!(seen[2], ["data-db-1 is the pod's", "delete db-1"]);
}

#[test]
fn a_claim_of_the_pod_before_is_waited_for() {
    let scaled = ClaimRetention { delete_when_deleted: false, delete_when_scaled: true };
    for (retention, want) in [(scaled, &NOTHING[..]), (RETAIN, &["pod 0"])] {
        let mut set = Set::new(1, PodManagement::OrderedReady, retention);
        set.fixture.claim("data-db-0 1Gi RWO class=wffc");
        let claim = set.claim(0);
        set.fixture.cluster.update_claim(claim, |claim| claim.owner = ClaimOwner::Object(Uid::new(5)));
        assert_eq!(set.pass(), want);
        set.fixture.cluster.update_claim(claim, |claim| claim.owner = ClaimOwner::Object(Uid::new(77)));
        if retention == scaled {
            assert_eq!(set.pass()[..1], ["pod 0"]);
        }
    }
}

#[test]
fn kubelets_do_what_they_can() {
    let mut fixture = Fixture::new();
    let (n1, n2) = (fixture.node("n1", &[]), fixture.node("n2", &[]));
    fixture.volume("pv1 1Gi RWO host=n1 ref=c1! Bound");
    let claim = fixture.claim("c1 1Gi RWO volume=pv1 completed Bound");
    let (pod, plain) = (fixture.pod("p", &["c1"]), fixture.pod("q", &[]));
    let mut cluster = fixture.cluster;
    assert_eq!((duty(&cluster, pod, true), volumes_mount(&cluster, pod)), (Duty::None, false), "nowhere yet");
    cluster.bind_pod(pod, n1);
    cluster.bind_pod(plain, n2);
    let of = |cluster: &Cluster, pod| (duty(cluster, pod, true), volumes_mount(cluster, pod));
    assert_eq!((of(&cluster, pod), of(&cluster, plain)), ((Duty::Start, true), (Duty::Start, true)));
    assert_eq!(duty(&cluster, pod, false), Duty::None, "its kubelet is down");
    cluster.update_claim(claim, |claim| claim.phase = ClaimPhase::Lost);
    assert_eq!(of(&cluster, pod), (Duty::None, false));
    cluster.update_claim(claim, |claim| claim.phase = ClaimPhase::Bound);
    cluster.bind_pod(pod, n2);
    assert_eq!(of(&cluster, pod), (Duty::None, false), "its volume is elsewhere");
    cluster.bind_pod(pod, n1);
    cluster.set_pod_status(pod, RUNNING, true);
    assert_eq!(duty(&cluster, pod, true), Duty::None, "it runs");
    cluster.set_pod_status(pod, RUNNING, false);
    assert_eq!(duty(&cluster, pod, true), Duty::Report);
    cluster.set_pod_status(pod, PodPhase::Unknown, false);
    assert_eq!(duty(&cluster, pod, true), Duty::Report);
    cluster.remove_claim(claim);
    assert_eq!(of(&cluster, pod), (Duty::None, false));
    cluster.set_pod_status(plain, PodPhase::Succeeded, false);
    assert_eq!(duty(&cluster, plain, true), Duty::None);
    cluster.mark_pod_deleted(pod);
    assert_eq!((duty(&cluster, pod, true), duty(&cluster, pod, false)), (Duty::Stop, Duty::None));
    cluster.remove_node(n1);
    assert_eq!(duty(&cluster, pod, true), Duty::None);
    cluster.remove_pod(pod);
    assert_eq!(duty(&cluster, pod, true), Duty::None);
}

#[test]
fn what_is_used_is_protected() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n", &[]);
    let (claim, pod) = (fixture.claim("c1 1Gi RWO"), fixture.pod("p", &["c1"]));
    let volume = fixture.volume("pv1 1Gi RWO Bound");
    let mut cluster = fixture.cluster;
    assert_eq!(protection::claim_step(&cluster, claim), Step::Done, "nobody deletes it");
    delete_claim(&mut cluster, claim);
    delete_claim(&mut cluster, claim);
    assert_eq!(cluster.claim(claim).deletion, Some(Terminating));
    let uid = cluster.claim(claim).uid;
    let free = Step::Write(Write::UnprotectClaim { claim, uid });
    assert_eq!(protection::claim_step(&cluster, claim), free, "a pod that runs nowhere does not use it");
    cluster.bind_pod(pod, node);
    assert_eq!(protection::claim_step(&cluster, claim), Step::Done);
    cluster.remove_pod(pod);
    assert_eq!(protection::claim_step(&cluster, claim), free);
    assert_eq!(
        apply(&mut cluster, Write::UnprotectClaim { claim, uid: Uid::new(1) }, at(9)),
        Err(Refused::NotFound)
    );
    assert_eq!(apply(&mut cluster, Write::UnprotectClaim { claim, uid }, at(9)), Ok(()));
    assert!(cluster.claims().get(claim).is_none());
    assert_eq!(protection::claim_step(&cluster, claim), Step::Done);

    assert_eq!(protection::volume_step(&cluster, volume), Step::Done);
    delete_volume(&mut cluster, volume);
    delete_volume(&mut cluster, volume);
    assert_eq!(
        (cluster.volume(volume).deletion, protection::volume_step(&cluster, volume)),
        (Some(Terminating), Step::Done)
    );
    cluster.update_volume(volume, |volume| volume.phase = VolumePhase::Released);
    let uid = cluster.volume(volume).uid;
    assert_eq!(
        protection::volume_step(&cluster, volume),
        Step::Write(Write::UnprotectVolume { volume, uid })
    );
    cluster.update_volume(volume, |volume| volume.protected = false);
    assert_eq!(protection::volume_step(&cluster, volume), Step::Done);
    delete_volume(&mut cluster, volume);
    assert!(cluster.volumes().get(volume).is_none());
}

#[test]
fn orphans_are_collected() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n", &[]);
    let claim = fixture.claim("c1 1Gi RWO");
    let (first, second) = (fixture.pod("p", &[]), fixture.pod("q", &[]));
    let mut cluster = fixture.cluster;
    let uid = cluster.claim(claim).uid;
    assert_eq!(protection::orphan_step(&cluster, claim, |_| true), Step::Done, "nobody owned it");
    cluster.update_claim(claim, |claim| claim.owner = ClaimOwner::Object(Uid::new(5)));
    assert_eq!(protection::orphan_step(&cluster, claim, |_| false), Step::Done, "its owner is there");
    assert_eq!(
        protection::orphan_step(&cluster, claim, |of| of == uid),
        Step::Write(Write::DeleteClaim { claim, uid })
    );
    delete_claim(&mut cluster, claim);
    assert_eq!(protection::orphan_step(&cluster, claim, |_| true), Step::Done);
    cluster.bind_pod(first, node);
    let delete = |cluster: &Cluster, pod| {
        Step::Write(Write::DeletePod { pod, uid: cluster.pod(pod).uid, grace: Grace::Default })
    };
    let pods = [first, second];
    assert_eq!(protection::orphaned_pods_step(&cluster, &pods), delete(&cluster, first));
    cluster.mark_pod_deleted(first);
    assert_eq!(protection::orphaned_pods_step(&cluster, &pods), delete(&cluster, second));
    cluster.mark_pod_deleted(second);
    assert_eq!(protection::orphaned_pods_step(&cluster, &pods), Step::Done);
}

#[test]
fn pods_that_nobody_has_to_stop_are_gone_at_once() {
    let gone = |bound: bool, phase: PodPhase, grace: Grace| {
        let mut fixture = Fixture::new();
        let (node, pod) = (fixture.node("n", &[]), fixture.pod("p", &[]));
        let mut cluster = fixture.cluster;
        if bound {
            cluster.bind_pod(pod, node);
        }
        cluster.set_pod_status(pod, phase, false);
        delete_pod(&mut cluster, pod, grace);
        cluster.pods().get(pod).is_none()
    };
    assert!(gone(false, PENDING, Grace::Default) && gone(true, PodPhase::Succeeded, Grace::Default));
    assert!(gone(true, PodPhase::Failed, Grace::Default) && gone(true, RUNNING, Grace::Force));
    assert!(!gone(true, RUNNING, Grace::Default) && !gone(true, PENDING, Grace::Default));
    // With a grace period of 0 there is nothing to wait for.
    let mut fixture = Fixture::new();
    let (node, pod) = (fixture.node("n", &[]), fixture.pod("p", &[]));
    let mut cluster = fixture.cluster;
    let mut row = cluster.pod(pod).clone();
    let none = PodSpec { termination_grace: SimDuration::ZERO, ..cluster.spec_of(pod).clone() };
    row.spec = cluster.intern_spec(none);
    cluster.remove_pod(pod);
    let pod = cluster.add_pod(row).expect("new");
    cluster.bind_pod(pod, node);
    delete_pod(&mut cluster, pod, Grace::Default);
    assert!(cluster.pods().get(pod).is_none());
}

#[test]
fn writes_that_come_too_late_do_nothing() {
    let mut fixture = Fixture::new();
    let node = fixture.node("n", &[]);
    let (claim, pod) = (fixture.claim("c1 1Gi RWO"), fixture.pod("p", &[]));
    let volume = fixture.volume("pv1 1Gi RWO Available");
    let mut cluster = fixture.cluster;
    let uid = Uid::new(1_234_567_890);
    let writes = [
        Write::SetClaimOwner { claim, uid, owner: ClaimOwner::Object(uid) },
        Write::DeletePod { pod, uid, grace: Grace::Force },
        Write::RemovePod { pod, uid },
        Write::SetPodStatus { pod, uid, phase: RUNNING, ready: true },
        Write::BindPod { pod, uid, node },
        Write::DeleteClaim { claim, uid },
        Write::UnprotectClaim { claim, uid },
        Write::DeleteVolume { volume, uid },
        Write::UnprotectVolume { volume, uid },
        Write::CreateEphemeralClaim { pod, uid, volume: 0 },
    ];
    cluster.take_changes(&mut Vec::new());
    for write in writes {
        assert_eq!(apply(&mut cluster, write, at(1)), Err(Refused::NotFound), "{write:?}");
    }
    assert!(cluster.changes().is_empty());
    let template = ClaimTemplate { prefix: cluster.names.intern("data"), spec: cluster.claim(claim).spec };
    let name = cluster.names.name("db-0");
    let mut create = || create_claim(&mut cluster, sym::DEFAULT, name, template, ClaimOwner::None, at(3));
    let made = create().expect("new");
    assert_eq!(create(), Err(Refused::AlreadyExists));
    let row = cluster.claim(made);
    assert_eq!(
        (row.created, row.phase, row.protected, row.deletion),
        (at(3), ClaimPhase::Pending, true, None)
    );
    assert_eq!(cluster.claim_key(made), "default/data-db-0");
}
