//! A trace as workload: its pods arrive as bare pods with their claims, or as replicas of sets.

use super::arrivals::{same_host, selector};
use super::plan::Plan;
use super::trace_machines::MachineRules;
use super::*;
use crate::control::api;
use crate::model::ids::{LabelSetId, SpecId};
use crate::model::labels::{LabelSet, NodeOperator, NodeRequirement, NodeSelector, NodeSelectorTerm};
use crate::model::names::{Sym, sym};
use crate::model::quantity::Quantity;
use crate::model::resources::Resources;
use crate::model::spec::{Affinity, OwnerKind, PodSpec, PodVolume, Toleration};
use crate::model::volume::{AccessModes, ClaimOwner, ClaimSpec, VolumeMode};
use crate::model::workload::{ClaimRetention, ClaimTemplate, PodManagement, StatefulSet};
use crate::trace::assumptions::TraceAssumption;
use crate::trace::mapping::{Arrival, ArrivalClaim, ArrivalRules, Arrivals, dns_label};
use crate::trace::{NodeEvent, Tally, TraceError, TraceId, TracePod, TraceRequest, TraceSource};
use std::collections::BTreeMap;

/// How the pods of a trace are made.
#[derive(Clone, Debug)]
pub struct TracePlan {
    /// Where the trace is and how it is read.
    pub request: TraceRequest,
    /// Order, times and claims.
    pub rules: ArrivalRules,
    /// Class of the claims, where the trace names none.
    pub class: Sym,
    /// GPUs become the extended resource of this name.
    pub gpu: Option<Sym>,
    /// Node label of the GPUs' model; `None`: no node has it, so models are left out.
    pub gpu_label: Option<Sym>,
    /// Node label for the trace's roles; `None`: no node has it, so roles are left out.
    pub role_label: Option<Sym>,
    /// Tolerations of the pods.
    pub tolerations: Vec<Toleration>,
    /// Pods may only go to the machine on which the trace had them.
    pub pinned: bool,
    /// Groups of which a node takes at most so many pods.
    pub caps: Caps,
    /// Memory per core of pods, for a trace without memory.
    pub memory_per_core: Option<u64>,
    /// How machines become nodes.
    pub machines: MachineRules,
    /// What happens to machines during the run, by time.
    pub machine_events: Vec<(SimTime, NodeEvent)>,
    /// All of this in words.
    pub assumptions: Vec<TraceAssumption>,
}

/// Groups of which one node takes at most k > 1 pods. Kubernetes has no such rule for single pods, so they are counted: every
/// node offers L units of an extended resource, the least common multiple of the group's ks, and a pod asks for L / k.
#[derive(Clone, Debug, Default)]
pub struct Caps {
    units: BTreeMap<String, (u64, Sym)>,
}

impl Caps {
    /// Beyond this the units are no longer exact, but still refuse what is too much.
    const MOST: u64 = 1_000_000;

    /// Takes note of a pod's limit.
    pub fn note(&mut self, pod: &TracePod) {
        if let (Some(name), Some(k)) = (Caps::name(pod), pod.max_per_node.filter(|k| *k > 1)) {
            let units = &mut self.units.entry(name).or_insert((1, sym::EMPTY)).0;
            let k = u64::from(k);
            *units = (*units / gcd(*units, k)).saturating_mul(k).min(Caps::MOST);
        }
    }
    /// Makes the symbols of the resources.
    pub fn intern(&mut self, cluster: &mut Cluster) {
        for (name, (_, symbol)) in &mut self.units {
            *symbol = cluster.names.intern(&format!("stowplan.io/{name}"));
        }
    }
    /// What each node offers.
    pub fn capacities(&self) -> Vec<(Sym, i64)> {
        self.units.values().map(|&(units, symbol)| (symbol, units as i64)).collect()
    }
    /// What a pod asks for.
    fn request(&self, pod: &TracePod) -> Option<(Sym, i64)> {
        let (units, symbol) = *self.units.get(&Caps::name(pod)?)?;
        let k = u64::from(pod.max_per_node?);
        Some((symbol, units.div_ceil(k.max(1)) as i64))
    }
    /// No group has a limit above 1.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }
    /// How many groups have one.
    pub fn len(&self) -> usize {
        self.units.len()
    }
    fn name(pod: &TracePod) -> Option<String> {
        let group = pod.group.as_ref()?;
        let role = pod.role.as_deref().unwrap_or("");
        Some(dns_label(&format!("max-{role}-{group}")))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// What became of a trace: rows that were skipped or left out, and what was made of it.
#[derive(Clone, Debug, Default)]
pub struct TraceOutcome {
    /// Rows by reason.
    pub tally: Tally,
    /// Pods that arrived.
    pub pods: u64,
    /// Claims of theirs that a rule made up.
    pub synthetic_claims: u64,
    /// Pods of a run with `placement: trace` for which the trace names no machine.
    pub unplaced: u64,
    /// Sets that were made of groups.
    pub sets: u64,
    /// Pods that lost their node, or were preempted, before their time and were submitted again.
    pub resubmitted: u64,
}

/// A bare pod of the trace that is alive: what it takes to submit it again.
#[derive(Clone, Debug)]
pub(super) struct Living {
    name: String,
    /// How often it was submitted again.
    again: u32,
    spec: SpecId,
    claims: Vec<ClaimTemplate>,
    leaves: Option<SimTime>,
    preempted: bool,
}

/// The arrivals of a trace, with one of them pulled ahead.
#[derive(Default)]
pub(super) struct TraceArrivals {
    arrivals: Option<Arrivals>,
    next: Option<Arrival>,
    /// Position of the next machine event.
    pub(super) next_machine: usize,
    /// Sets by name.
    sets: rustc_hash::FxHashMap<String, StatefulSetId>,
    /// Bare pods that are alive, by uid.
    living: rustc_hash::FxHashMap<Uid, Living>,
    /// Pods to be submitted again.
    again: Vec<Option<Living>>,
    outcome: TraceOutcome,
}

impl TraceArrivals {
    pub(super) fn open(plan: &Plan, streams: &Streams) -> Result<TraceArrivals, SimError> {
        let Some(trace) = &plan.trace else { return Ok(TraceArrivals::default()) };
        let source = TraceSource::open(&trace.request).map_err(SimError::Trace)?;
        let arrivals =
            Arrivals::new(source, trace.rules.clone(), streams.clone()).map_err(SimError::Trace)?;
        let mut ahead = TraceArrivals { arrivals: Some(arrivals), ..TraceArrivals::default() };
        ahead.pull()?;
        Ok(ahead)
    }
    pub(super) fn next_at(&self) -> Option<SimTime> {
        self.next.as_ref().map(|arrival| arrival.at)
    }
    pub(super) fn next_machine_at(&self, plan: &Plan) -> Option<SimTime> {
        plan.trace.as_ref()?.machine_events.get(self.next_machine).map(|(at, _)| *at)
    }
    fn pull(&mut self) -> Result<Option<Arrival>, SimError> {
        let next = match &mut self.arrivals {
            Some(arrivals) => arrivals.next_arrival().map_err(SimError::Trace)?,
            None => None,
        };
        Ok(std::mem::replace(&mut self.next, next))
    }
    /// What became of the trace.
    pub(super) fn outcome(self) -> Option<TraceOutcome> {
        let arrivals = self.arrivals?;
        Some(TraceOutcome { tally: arrivals.source().tally().clone(), ..self.outcome })
    }
}

impl From<Box<TraceError>> for SimError {
    fn from(error: Box<TraceError>) -> SimError {
        SimError::Trace(error)
    }
}

impl<O: Observer> World<'_, O> {
    /// The next pod of the trace arrives: claims first, deleted with their pod.
    pub(super) fn trace_arrival(&mut self) -> Result<(), SimError> {
        let (Some(plan), Some(arrival)) = (&self.plan.trace, self.trace.pull()?) else { return Ok(()) };
        let outcome = &mut self.trace.outcome;
        outcome.pods += 1;
        outcome.synthetic_claims += arrival.claims.iter().filter(|claim| claim.synthetic).count() as u64;
        outcome.unplaced += u64::from(plan.pinned && arrival.pod.placement.is_none());
        if arrival.set.is_some() {
            self.trace_replica(plan, &arrival);
            return Ok(());
        }
        let spec = self.trace_spec(plan, &arrival);
        let claims = arrival.claims.iter().map(|claim| self.claim_template(plan, claim)).collect();
        let Arrival { name, leaves, .. } = arrival;
        self.trace_pod(Living { name, again: 0, spec, claims, leaves, preempted: false });
        Ok(())
    }

    /// Creates a bare pod with its claims.
    fn trace_pod(&mut self, living: Living) {
        let name = match living.again {
            0 => self.cluster.names.name(&living.name),
            again => self.cluster.names.name(&dns_label(&format!("{}-e{again}", living.name))),
        };
        let pod = api::new_pod(&mut self.cluster, name, living.spec, PodOwner::None, self.now);
        for template in &living.claims {
            let owner = ClaimOwner::Object(pod.uid);
            // A claim of that name that is there already is used, as it would be.
            let _ = api::create_claim(&mut self.cluster, sym::DEFAULT, name, *template, owner, self.now);
        }
        let uid = pod.uid;
        let Ok(id) = self.cluster.add_pod(pod) else { return };
        if let Some(leaves) = living.leaves {
            self.plan_event(leaves.max(self.now), RANK_DEPARTURES, Event::PodLeaves(id, epoch_of(uid)));
        }
        self.trace.living.insert(uid, living);
    }

    /// A pod is preempted.
    pub(super) fn trace_pod_preempted(&mut self, uid: Uid) {
        if let Some(living) = self.trace.living.get_mut(&uid) {
            living.preempted = true;
        }
    }

    /// A pod is gone. One of the trace's that lost its node, or was preempted, before its time comes again under another name,
    /// with new claims: the jobs of such clusters submit it again, and the trace still wants it.
    pub(super) fn trace_pod_removed(&mut self, uid: Uid, node: Option<NodeId>) {
        let Some(living) = self.trace.living.remove(&uid) else { return };
        let lost_node = node.is_some_and(|node| !self.cluster.node(node).exists);
        let in_time = living.leaves.is_none_or(|leaves| leaves > self.now);
        if in_time && (lost_node || living.preempted) {
            let slot = self.trace.again.len() as u32;
            self.trace.again.push(Some(living));
            self.plan_event(self.now, RANK_ARRIVALS, Event::Resubmitted(slot));
        }
    }

    /// A pod comes again.
    pub(super) fn trace_pod_again(&mut self, slot: u32) {
        let Some(living) = self.trace.again.get_mut(slot as usize).and_then(Option::take) else { return };
        self.trace.outcome.resubmitted += 1;
        self.trace_pod(Living { again: living.again + 1, preempted: false, ..living });
        self.publish();
        self.settle();
    }

    /// A pod that is a replica of a set: the set is made with it, or grows by it.
    fn trace_replica(&mut self, plan: &TracePlan, arrival: &Arrival) {
        let Some(name) = &arrival.set else { return };
        let id = match self.trace.sets.get(name) {
            Some(&id) => {
                self.cluster.update_stateful_set(id, |set| set.replicas += 1);
                id
            }
            None => {
                let id = self.trace_set(plan, arrival, name);
                self.trace.sets.insert(name.clone(), id);
                self.trace.outcome.sets += 1;
                id
            }
        };
        if let Some(leaves) = arrival.leaves {
            self.plan_event(leaves.max(self.now), RANK_DEPARTURES, Event::ReplicaLeaves(id));
        }
    }

    fn trace_set(&mut self, plan: &TracePlan, arrival: &Arrival, name: &str) -> StatefulSetId {
        let claims = arrival.claims.iter().map(|claim| self.claim_template(plan, claim)).collect();
        let spec = self.trace_spec(plan, arrival);
        let (key, value) = (self.cluster.names.intern(APP_LABEL), self.cluster.names.intern(name));
        let uid = self.cluster.new_uid();
        let name = self.cluster.names.name(name);
        self.cluster.add_stateful_set(StatefulSet {
            uid,
            namespace: sym::DEFAULT,
            name,
            replicas: 1,
            first_ordinal: 0,
            spec,
            claims,
            management: PodManagement::Parallel,
            retention: ClaimRetention { delete_when_deleted: true, delete_when_scaled: true },
            selector: selector(key, value),
            exists: true,
            deletion: false,
            group: false,
        })
    }

    /// A replica's time is over: its set shrinks by one.
    pub(super) fn replica_leaves(&mut self, id: StatefulSetId) {
        if self.cluster.stateful_sets()[id].exists {
            self.cluster.update_stateful_set(id, |set| set.replicas = set.replicas.saturating_sub(1));
            self.publish();
        }
    }

    fn claim_template(&mut self, plan: &TracePlan, claim: &ArrivalClaim) -> ClaimTemplate {
        let class = claim.class.as_ref().map_or(plan.class, |class| self.cluster.names.intern(class));
        let spec = self.cluster.intern_claim_spec(ClaimSpec {
            class: Some(class),
            modes: AccessModes::RWO,
            request: Quantity::from_bytes(u128::from(claim.bytes)),
            selector: None,
            mode: VolumeMode::Filesystem,
            attributes_class: None,
        });
        let prefix = self.cluster.names.intern(&claim.template);
        ClaimTemplate { prefix, spec }
    }

    fn trace_spec(&mut self, plan: &TracePlan, arrival: &Arrival) -> SpecId {
        let pod = &arrival.pod;
        let requests = self.trace_requests(plan, pod);
        let role = plan.role_label.zip(pod.role.as_ref());
        let node_selector = role.map(|(label, role)| (label, self.cluster.names.intern(role)));
        // The label by which pods of one set, or of one group that keeps apart, know each other.
        let alone = pod.max_per_node == Some(1) && pod.group.is_some();
        let group = pod.group.as_ref().filter(|_| alone).map(|group| group_label(group, pod));
        let app = arrival.set.clone().or(group);
        let app = app.map(|app| (self.cluster.names.intern(APP_LABEL), self.cluster.names.intern(&app)));
        let labels: LabelSetId = self.cluster.intern_labels(LabelSet::new(app.into_iter().collect()));
        let prefixes = arrival.claims.iter().map(|claim| self.cluster.names.intern(&claim.template));
        let volumes = prefixes.map(|prefix| PodVolume::ClaimTemplate { prefix }).collect();
        let affinity = self.trace_affinity(plan, pod, app.filter(|_| alone));
        let owner = if arrival.set.is_some() { OwnerKind::StatefulSet } else { OwnerKind::None };
        let spec = PodSpec {
            namespace: sym::DEFAULT,
            labels,
            scheduler_name: sym::DEFAULT_SCHEDULER,
            priority: pod.priority.map_or(0, |p| p.clamp(LOWEST_PRIORITY, HIGHEST_PRIORITY) as i32),
            never_preempts: false,
            nonzero_requests: (requests.cpu_milli, requests.memory_bytes),
            scoring_requests: requests.clone(),
            requests,
            host_ports: Vec::new(),
            images: Vec::new(),
            container_count: 1,
            node_selector: node_selector.into_iter().collect(),
            affinity,
            tolerations: plan.tolerations.clone(),
            spread: Vec::new(),
            volumes,
            scheduling_gates: Vec::new(),
            termination_grace: SimDuration::from_secs(30),
            not_modelled: None,
            owner,
        };
        self.cluster.intern_spec(spec)
    }

    fn trace_requests(&mut self, plan: &TracePlan, pod: &TracePod) -> Resources {
        let assumed = plan.memory_per_core.filter(|_| pod.memory_bytes == 0);
        let assumed = assumed.map(|bytes| u128::from(bytes) * u128::from(pod.cpu_milli) / 1000);
        let memory = assumed.unwrap_or(u128::from(pod.memory_bytes));
        let mut requests = Resources {
            cpu_milli: i64::try_from(pod.cpu_milli).unwrap_or(i64::MAX),
            memory_bytes: i64::try_from(memory).unwrap_or(i64::MAX),
            ..Resources::default()
        };
        if let Some(gpu) = plan.gpu.filter(|_| pod.gpu_count > 0) {
            requests.set_scalar(gpu, i64::from(pod.gpu_count));
        }
        if let Some((name, units)) = plan.caps.request(pod) {
            requests.set_scalar(name, units);
        }
        requests
    }

    /// Allowed GPU models, the recorded machine, and distance from pods of the same group.
    fn trace_affinity(
        &mut self,
        plan: &TracePlan,
        pod: &TracePod,
        apart: Option<(Sym, Sym)>,
    ) -> Option<Box<Affinity>> {
        let mut affinity = Affinity::default();
        let mut term = NodeSelectorTerm::default();
        let models = plan.gpu_label.filter(|_| pod.gpu_count > 0 && !pod.gpu_models.is_empty());
        if let Some(key) = models {
            let mut values: Vec<Sym> = pod.gpu_models.iter().map(|m| self.cluster.names.intern(m)).collect();
            values.dedup();
            let requirement = NodeRequirement { key, operator: NodeOperator::In, values: values.into() };
            term.expressions = Box::new([requirement]);
        }
        if let Some(machine) = pod.placement.as_ref().filter(|_| plan.pinned) {
            let machine = self.cluster.names.intern(&dns_label(&machine.to_string()));
            let key = sym::METADATA_NAME;
            let requirement =
                NodeRequirement { key, operator: NodeOperator::In, values: Box::new([machine]) };
            term.fields = Box::new([requirement]);
        }
        if !term.is_empty() {
            affinity.node_required = Some(NodeSelector { terms: Box::new([term]) });
        }
        if let Some((key, value)) = apart {
            affinity.anti_required.push(same_host(selector(key, value), sym::DEFAULT));
        }
        (affinity.node_required.is_some() || affinity.concerns_pods()).then(|| Box::new(affinity))
    }
}

/// Label of the pods of a set or group.
const APP_LABEL: &str = "app";
/// Priorities of pods that are not the system's.
const HIGHEST_PRIORITY: i64 = 1_000_000_000;
/// The lowest that Kubernetes has.
const LOWEST_PRIORITY: i64 = i32::MIN as i64;

fn group_label(group: &TraceId, pod: &TracePod) -> String {
    match &pod.role {
        Some(role) => dns_label(&format!("{group}-{role}")),
        None => dns_label(&group.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(group: u64, k: u32) -> TracePod {
        TracePod { group: Some(TraceId::Number(group)), max_per_node: Some(k), ..TracePod::default() }
    }

    #[test]
    fn caps_count_pods_of_a_group_in_units() {
        let mut caps = Caps::default();
        for pod in [pod(1, 2), pod(1, 10), pod(1, 4), pod(2, 3), pod(3, 1)] {
            caps.note(&pod);
        }
        caps.intern(&mut Cluster::default());
        let offered: Vec<i64> = caps.capacities().into_iter().map(|(_, units)| units).collect();
        assert_eq!(offered, [20, 3], "least common multiples; a limit of 1 is anti-affinity");
        for (k, units) in [(2, 10), (4, 5), (10, 2), (1, 20)] {
            assert_eq!(caps.request(&pod(1, k)).map(|(_, n)| n), Some(units), "at most {k}");
        }
        assert!(caps.request(&pod(3, 1)).is_none());
        let huge = [pod(9, 999_983), pod(9, 999_979)];
        huge.iter().for_each(|pod| caps.note(pod));
        assert!(caps.request(&huge[0]).is_some_and(|(_, n)| n == 2), "rounded up, never too many");
    }
}
