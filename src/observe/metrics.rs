//! All metrics of `summary.json` and the tables, by the definitions of the scenario contract.
//!
//! [`Metrics`] listens to one run. Amounts are integrated over time between events; samples are computed at their ticks from
//! what is constant since the last event; what needs the scheduler's filters is asked only when something changed.

mod finish;
mod groups;
mod incidents;
mod rows;
mod samples;

pub use finish::Ending;

use super::causes;
use super::integral::Integral;
use super::probe::Filters;
use super::replicas::{LastAttempt, OwnerKey, Replicas, Track};
use super::storage::Storage;
use super::stranded::Stranding;
use super::{AttemptResult, Observation, Observer};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::{Cluster, NodeDelta};
use crate::model::ids::{ClaimId, ClaimSpecId, Id, NodeId, PodId, SpecId, StatefulSetId, VolumeId};
use crate::observe::durations::Durations;
use groups::Groups;
use incidents::Incidents;
use rows::{ClaimTrack, Gone};
use samples::Samples;

/// What the metrics need to be told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A wanted replica that has not been running for longer than this is stuck.
    pub stuck_after: SimDuration,
    /// Period of the samples.
    pub sample: SimDuration,
    /// Disk bytes that lie in no volume.
    pub uncarved_bytes: u128,
    /// Members that make a group's quorum; `None`: more than half.
    pub quorum: Option<u32>,
    /// Rows of objects that are gone (pods, and claims likewise) that are kept for the tables; the later ones are only counted.
    pub gone_rows: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            stuck_after: SimDuration::from_secs(300),
            sample: SimDuration::from_secs(60),
            uncarved_bytes: 0,
            quorum: None,
            gone_rows: 250_000,
        }
    }
}

/// CPU and memory of one node as counted into the totals.
#[derive(Clone, Copy, Debug, Default)]
struct NodeShare {
    cpu: i64,
    cpu_requested: i64,
    memory: i64,
    memory_requested: i64,
}

/// Sums over existing nodes.
#[derive(Clone, Copy, Debug, Default)]
struct Compute {
    cpu: i128,
    cpu_requested: i128,
    memory: i128,
    memory_requested: i128,
    nodes: u64,
    ready: u64,
}

/// Integrals over time of what is not storage.
#[derive(Clone, Copy, Debug, Default)]
struct Integrals {
    stuck: Integral,
    unschedulable: Integral,
    cpu: Integral,
    cpu_requested: Integral,
    memory: Integral,
    memory_requested: Integral,
}

/// Claim objects by phase.
#[derive(Clone, Copy, Debug, Default)]
struct ClaimTotals {
    created: u64,
    pending: u64,
    bound: u64,
    lost: u64,
}

/// Listens to a run and computes every metric.
pub struct Metrics {
    settings: Settings,
    replicas: Replicas,
    storage: Storage,
    stranding: Stranding,
    groups: Groups,
    incidents: Incidents,
    samples: Samples,
    compute: Compute,
    node_shares: Vec<Option<(NodeShare, bool)>>,
    integrals: Integrals,
    claim_totals: ClaimTotals,
    claims: Vec<Option<ClaimTrack>>,
    gone: Gone,
    pending: Durations,
    unscheduled: Durations,
    /// How many more attempts Kubernetes would have made.
    decisions: u64,
    /// Up to here everything is integrated.
    now: SimTime,
    dirty_nodes: Vec<NodeId>,
    moved: Vec<PodId>,
    created: Vec<(SpecId, Vec<ClaimSpecId>)>,
}

impl Metrics {
    /// Listens from the start of a run on; `filters` are those of the profile that schedules.
    pub fn new(settings: Settings, filters: Box<dyn Filters>) -> Metrics {
        Metrics {
            settings,
            replicas: Replicas::new(settings.stuck_after),
            storage: Storage::new(settings.uncarved_bytes),
            stranding: Stranding::new(filters),
            groups: Groups::new(settings.quorum),
            incidents: Incidents::default(),
            samples: Samples::new(settings.sample),
            compute: Compute::default(),
            node_shares: Vec::new(),
            integrals: Integrals::default(),
            claim_totals: ClaimTotals::default(),
            claims: Vec::new(),
            gone: Gone::new(settings.gone_rows),
            pending: Durations::default(),
            unscheduled: Durations::default(),
            decisions: 0,
            now: SimTime::ZERO,
            dirty_nodes: Vec::new(),
            moved: Vec::new(),
            created: Vec::new(),
        }
    }

    /// The state holds until `to`.
    fn advance(&mut self, to: SimTime) {
        let span = to.since(self.now);
        if span.is_zero() {
            return;
        }
        self.now = to;
        let counts = self.replicas.counts();
        let i = &mut self.integrals;
        let amount = |n: i128| u128::try_from(n).unwrap_or(0);
        i.stuck.add(counts.stuck().into(), span);
        i.unschedulable.add(counts.unschedulable.into(), span);
        i.cpu.add(amount(self.compute.cpu), span);
        i.cpu_requested.add(amount(self.compute.cpu_requested), span);
        i.memory.add(amount(self.compute.memory), span);
        i.memory_requested.add(amount(self.compute.memory_requested), span);
        self.storage.advance(span);
        self.groups.advance(span);
    }

    fn pod_created(&mut self, at: SimTime, cluster: &Cluster, pod: PodId) {
        self.replicas.pod_created(at, cluster, pod);
        let claims: Vec<ClaimId> = causes::claims_of(cluster, pod).flatten().collect();
        for claim in &claims {
            self.storage.touch_claim(cluster, *claim);
        }
        self.created.push((cluster.pod(pod).spec, claims.iter().map(|c| cluster.claim(*c).spec).collect()));
        self.dirty_nodes.extend(cluster.pod(pod).node);
    }

    fn pod_changed(&mut self, at: SimTime, cluster: &Cluster, pod: PodId) {
        self.replicas.pod_changed(at, cluster, pod);
        self.groups.pod_changed(cluster, pod);
        self.dirty_nodes.extend(cluster.pod(pod).node);
        if cluster.pod(pod).is_finished() {
            self.touch_claims_of_pod(cluster, pod);
        }
    }

    fn touch_claims_of_pod(&mut self, cluster: &Cluster, pod: PodId) {
        for claim in causes::claims_of(cluster, pod).flatten() {
            self.storage.touch_claim(cluster, claim);
        }
    }

    fn pod_assigned(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, node: NodeId) {
        self.replicas.assigned(at, pod);
        self.replicas.pod_changed(at, cluster, pod);
        self.pending.push(at.since(cluster.pod(pod).created));
        self.dirty_nodes.push(node);
    }

    fn pod_gone(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, node: Option<NodeId>) {
        self.dirty_nodes.extend(node);
        self.incidents.rebuild_over(at, pod);
        let Some(track) = self.replicas.pod_gone(at, pod) else { return };
        if let LastAttempt::Scheduled(node) = track.last {
            self.dirty_nodes.push(node);
        }
        for claim in causes::claims_by_name(cluster, track.spec, track.name).flatten() {
            self.storage.touch_claim(cluster, claim);
        }
        if !track.was_assigned() {
            self.unscheduled.push(at.since(track.created));
        }
        self.gone.pod(at, &track, node);
    }

    fn attempted(&mut self, pod: PodId, result: AttemptResult) {
        let last = match result {
            AttemptResult::Scheduled(node) => {
                self.dirty_nodes.push(node);
                LastAttempt::Scheduled(node)
            }
            AttemptResult::Unschedulable => LastAttempt::Unschedulable,
            AttemptResult::Error => LastAttempt::Error,
            AttemptResult::Gated => LastAttempt::Gated,
        };
        // The reservation of the attempt before may have been given back.
        if let Some(LastAttempt::Scheduled(node)) = self.replicas.track(pod).map(|t| t.last) {
            self.dirty_nodes.push(node);
        }
        let counted = u64::from(last != LastAttempt::Gated);
        self.decisions += counted;
        self.replicas.attempted(pod, counted, Some(last));
    }

    fn owner_changed(&mut self, at: SimTime, cluster: &Cluster, key: OwnerKey) {
        self.replicas.owner_changed(at, cluster, key);
    }

    fn set_changed(&mut self, at: SimTime, cluster: &Cluster, set: StatefulSetId) {
        let key = OwnerKey::StatefulSet(set);
        let before = self.replicas.owner(key).map(|o| o.range()).unwrap_or_default();
        self.owner_changed(at, cluster, key);
        let after = self.replicas.owner(key).map(|o| o.range()).unwrap_or_default();
        if before != after {
            self.storage.touch_claims_of_set(cluster, set, &[before, after]);
        }
        self.groups.set_changed(cluster, set);
    }

    fn claim_changed(&mut self, at: SimTime, cluster: &Cluster, claim: ClaimId) {
        let row = cluster.claim(claim);
        if self.claims.len() <= claim.index() {
            self.claims.resize_with(claim.index() + 1, || None);
        }
        let known = self.claims[claim.index()].as_ref().is_some_and(|t| t.uid == row.uid);
        if !known {
            self.claims[claim.index()] = Some(ClaimTrack::new(row));
            self.claim_totals.created += 1;
            *self.claim_totals.of(row.phase) += 1;
        } else if let Some(track) = &mut self.claims[claim.index()] {
            *self.claim_totals.of(track.phase) -= 1;
            *self.claim_totals.of(row.phase) += 1;
            track.follow(at, row);
        }
        self.storage.touch_claim(cluster, claim);
        for pod in cluster.claim_users(row.namespace, row.name) {
            self.replicas.doubt(*pod);
        }
    }

    fn node_changed(&mut self, at: SimTime, cluster: &Cluster, node: NodeId, delta: Option<NodeDelta>) {
        self.dirty_nodes.push(node);
        if matches!(delta, None | Some(NodeDelta::Condition)) {
            self.incidents.node(at, cluster, node);
        }
        if matches!(delta, None | Some(NodeDelta::Condition | NodeDelta::Labels)) {
            self.storage.node_changed(cluster, node);
            for &pod in &cluster.node(node).info.pods {
                self.replicas.pod_changed(at, cluster, pod);
            }
        }
    }

    fn volume_changed(&mut self, cluster: &Cluster, volume: VolumeId) {
        self.storage.touch(volume);
        if self.storage.node_of(cluster, cluster.volume(volume)).is_none() {
            self.stranding.touch_all();
        }
    }

    /// Brings everything up to date at the end of an instant.
    fn settle(&mut self, at: SimTime, cluster: &mut Cluster) {
        for (spec, claims) in std::mem::take(&mut self.created) {
            self.stranding.templates.add(cluster, spec, claims);
        }
        if self.stranding.templates.take_changed() {
            self.storage.set_wants(cluster, self.stranding.templates.wants(cluster));
        }
        self.replicas.settle(at, cluster);
        self.settle_storage(at, cluster);
        self.groups.settle(cluster, &mut self.replicas, &mut self.incidents);
        self.incidents.settle();
        let mut nodes = std::mem::take(&mut self.dirty_nodes);
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes.drain(..) {
            self.count_node(cluster, node);
            self.stranding.touch(node);
            self.samples.touch();
        }
        self.dirty_nodes = nodes;
    }

    /// Volumes whose claims' pods became stuck, or ceased to be, count otherwise.
    fn settle_storage(&mut self, at: SimTime, cluster: &Cluster) {
        let mut moved = std::mem::take(&mut self.moved);
        self.replicas.take_moved(&mut moved);
        for pod in moved.drain(..) {
            if cluster.pods().get(pod).is_some() {
                self.touch_claims_of_pod(cluster, pod);
            }
        }
        self.moved = moved;
        self.storage.settle(at, cluster, &self.replicas, &mut self.dirty_nodes);
    }

    fn count_node(&mut self, cluster: &Cluster, node: NodeId) {
        if self.node_shares.len() <= node.index() {
            self.node_shares.resize(node.index() + 1, None);
        }
        let row = cluster.node(node);
        let share = row.exists.then(|| {
            let (all, used) = (&row.allocatable, &row.info.requested);
            let share = NodeShare {
                cpu: all.cpu_milli,
                cpu_requested: used.cpu_milli,
                memory: all.memory_bytes,
                memory_requested: used.memory_bytes,
            };
            (share, row.ready)
        });
        let old = std::mem::replace(&mut self.node_shares[node.index()], share);
        for (share, sign) in [(old, -1), (share, 1)] {
            if let Some((share, ready)) = share {
                let t = &mut self.compute;
                t.cpu += sign * i128::from(share.cpu);
                t.cpu_requested += sign * i128::from(share.cpu_requested);
                t.memory += sign * i128::from(share.memory);
                t.memory_requested += sign * i128::from(share.memory_requested);
                t.nodes = t.nodes.wrapping_add_signed(sign as i64);
                t.ready = t.ready.wrapping_add_signed(sign as i64 * i64::from(ready));
            }
        }
    }

    /// Everything between two instants: replicas that become stuck, samples that fall due.
    fn pass(&mut self, from: SimTime, to: SimTime, cluster: &mut Cluster) {
        self.first_reached(from, cluster);
        loop {
            // Nobody has waited for longer than `stuckAfter` at the very deadline.
            let deadline = self.replicas.next_deadline().filter(|d| *d + SimDuration::from_nanos(1) < to);
            let tick = self.samples.next_tick(from).filter(|t| *t < to);
            match (deadline, tick) {
                // For the same reason samples of the same instant come first.
                (deadline, Some(tick)) if deadline.is_none_or(|d| tick <= d) => {
                    self.advance(tick);
                    self.take_sample(tick, cluster);
                }
                (Some(deadline), _) => {
                    self.advance(deadline.max(self.now));
                    self.replicas.pass_deadlines(deadline, cluster);
                    self.settle_storage(deadline, cluster);
                    self.groups.settle(cluster, &mut self.replicas, &mut self.incidents);
                }
                // Up to `to` it is integrated when that comes: the end of a run lies before it.
                _ => break,
            }
        }
    }

    /// What is known about a pod that exists.
    pub fn track(&self, pod: PodId) -> Option<&Track> {
        self.replicas.track(pod)
    }
}

impl Observer for Metrics {
    fn observe(&mut self, at: SimTime, cluster: &Cluster, what: &Observation) {
        self.advance(at);
        self.samples.touch();
        match *what {
            Observation::PodWanted(_) | Observation::Event { .. } => {}
            Observation::RebuildStarted { pod, bytes } => {
                self.incidents.rebuild_started(at, cluster, pod, bytes);
            }
            Observation::Rebuilt { pod, bytes } => {
                self.incidents.rebuild_over(at, pod);
                if let Some(group) = self.groups.of_pod(cluster, pod) {
                    group.rebuilds += 1;
                    group.rebuilt_bytes += u128::from(bytes);
                }
            }
            Observation::CaughtUp { pod, bytes } => {
                if let Some(group) = self.groups.of_pod(cluster, pod) {
                    group.caught_up_bytes += u128::from(bytes);
                }
            }
            Observation::GroupData { set, complete } => self.groups.data_changed(set, complete),
            Observation::WritesLost { set, span } => {
                self.incidents.writes_lost(at, cluster, set, span.as_secs_f64());
                if let Some(group) = self.groups.group_mut(set) {
                    group.lost_writes = group.lost_writes + span;
                }
            }
            Observation::PodCreated(pod) => self.pod_created(at, cluster, pod),
            Observation::Attempt { pod, result } => self.attempted(pod, result),
            Observation::Repeated { pod, attempts } => {
                self.decisions += attempts;
                self.replicas.attempted(pod, attempts, None);
            }
            Observation::PodAssigned { pod, node } => self.pod_assigned(at, cluster, pod, node),
            Observation::PodStatus { pod, .. } | Observation::PodTerminating(pod) => {
                self.pod_changed(at, cluster, pod);
            }
            Observation::PodGone { pod, node, .. } => self.pod_gone(at, cluster, pod, node),
            Observation::ClaimCreated(claim)
            | Observation::ClaimPhase { claim, .. }
            | Observation::ClaimChanged(claim) => self.claim_changed(at, cluster, claim),
            Observation::ClaimGone { claim, namespace, name, volume, .. } => {
                if let Some(track) = self.claims.get_mut(claim.index()).and_then(Option::take) {
                    *self.claim_totals.of(track.phase) -= 1;
                    self.gone.claim(at, track, namespace, name, volume);
                }
                if let Some(volume) = volume.and_then(|v| cluster.volume_by_name(v)) {
                    self.storage.touch(volume);
                }
                for pod in cluster.claim_users(namespace, name) {
                    self.replicas.doubt(*pod);
                }
            }
            Observation::VolumePhase { volume, phase } => {
                self.incidents.volume_phase(volume, phase);
                self.volume_changed(cluster, volume);
            }
            Observation::VolumeCreated(volume) | Observation::VolumeChanged(volume) => {
                self.volume_changed(cluster, volume);
            }
            Observation::VolumeGone { volume, name } => {
                let share = self.storage.share(volume);
                self.dirty_nodes.extend(share.and_then(|s| s.node));
                if let Some(bytes) = share.and_then(|s| s.bound_bytes()) {
                    self.incidents.volume_gone(at, cluster, (volume, name), bytes);
                }
                self.storage.gone(volume, name);
            }
            Observation::NodeCreated(node) | Observation::NodeGone(node) => {
                self.node_changed(at, cluster, node, None);
            }
            Observation::NodeChanged(node, delta) => self.node_changed(at, cluster, node, Some(delta)),
            Observation::StatefulSet(set) => self.set_changed(at, cluster, set),
            Observation::ReplicaSet(set) => self.owner_changed(at, cluster, OwnerKey::ReplicaSet(set)),
            Observation::Job(job) => self.owner_changed(at, cluster, OwnerKey::Job(job)),
        }
    }

    fn settled(&mut self, from: SimTime, to: SimTime, cluster: &mut Cluster) {
        self.advance(from);
        self.settle(from, cluster);
        self.pass(from, to, cluster);
    }
}
