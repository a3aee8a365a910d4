//! What arrives: sets of generators, pulled one at a time in order of time and never queued in the agenda.

use super::draw::{constant, draw, draw_bytes};
use super::plan::{GeneratorPlan, Plan};
use super::*;
use crate::engine::rng::EntityKey;
use crate::model::ids::{ClaimSpecId, SpecId};
use crate::model::labels::{LabelOperator, LabelRequirement, LabelSelector};
use crate::model::names::{Sym, sym};
use crate::model::quantity::Quantity;
use crate::model::spec::{Affinity, OwnerKind, PodAffinityTerm, PodVolume};
use crate::model::volume::{ClaimOwner, ClaimSpec};
use crate::model::workload::{ClaimTemplate, Job, ReplicaSet, ReplicaSetKind, StatefulSet};
use crate::scenario::{AntiAffinity, WorkloadKind};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Weight of a preferred anti-affinity.
const PREFERRED_WEIGHT: i32 = 100;

/// All sources of arrivals, the earliest first; at equal times in the order of the scenario.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    heads: BinaryHeap<Reverse<(SimTime, usize)>>,
    /// Sets made so far, per generator.
    made: Vec<u32>,
    endless: bool,
}

impl Sources {
    pub(super) fn new(plan: &Plan, _streams: &Streams) -> Sources {
        let mut sources = Sources { made: vec![0; plan.generators.len()], ..Sources::default() };
        for (index, generator) in plan.generators.iter().enumerate() {
            if generator.sets > 0 {
                sources.heads.push(Reverse((generator.start, index)));
            }
        }
        sources
    }
    pub(super) fn next_at(&self) -> Option<SimTime> {
        self.heads.peek().map(|Reverse((at, _))| *at)
    }
    pub(super) fn is_endless(&self) -> bool {
        self.endless
    }
}

impl<O: Observer> World<'_, O> {
    /// The next set of a generator, or pod of the trace, arrives.
    pub(super) fn arrive(&mut self) -> Result<(), SimError> {
        self.events += 1;
        let (generated, traced) = (self.sources.next_at(), self.trace.next_at());
        if traced.is_some_and(|at| generated.is_none_or(|first| at < first)) {
            self.trace_arrival()?;
        } else {
            self.set_arrival();
        }
        self.publish();
        Ok(())
    }
    fn set_arrival(&mut self) {
        let Some(Reverse((at, index))) = self.sources.heads.pop() else { return };
        let plan = self.plan;
        let generator = &plan.generators[index];
        let number = self.sources.made[index];
        self.sources.made[index] += 1;
        if number + 1 < generator.sets {
            let next = match &generator.every {
                None => at,
                Some(every) => {
                    at + constant(every).unwrap_or_else(|| {
                        let name = self.cluster.names.show(generator.name).to_string();
                        let mut rng = self.streams.stream("arrival", &format!("{name}-{}", number + 1));
                        draw(every, &mut rng)
                    })
                }
            };
            self.sources.heads.push(Reverse((next, index)));
        }
        self.make_set(generator, number);
    }

    fn make_set(&mut self, generator: &GeneratorPlan, number: u32) {
        let name = self.cluster.names.child(generator.name, number);
        let mut text = String::new();
        self.cluster.names.push_name(name, &mut text);
        let claims = self.draw_claims(generator, &text);
        let lifetime = generator.lifetime.as_ref().map(|lifetime| {
            constant(lifetime).unwrap_or_else(|| draw(lifetime, &mut self.streams.stream("lifetime", &text)))
        });
        let (spec, selector) = self.set_spec(generator, &text);
        let uid = self.cluster.new_uid();
        let leaves = lifetime.map(|lifetime| self.now + lifetime);
        match generator.kind {
            WorkloadKind::StatefulSet => {
                let id = self.cluster.add_stateful_set(StatefulSet {
                    uid,
                    namespace: sym::DEFAULT,
                    name,
                    replicas: generator.replicas,
                    first_ordinal: 0,
                    spec,
                    claims,
                    management: generator.management,
                    retention: generator.retention,
                    selector,
                    exists: true,
                    deletion: false,
                    group: generator.group,
                });
                self.leave(leaves, Event::StatefulSetLeaves(id));
            }
            WorkloadKind::Deployment => {
                let id = self.cluster.add_replica_set(ReplicaSet {
                    uid,
                    namespace: sym::DEFAULT,
                    name,
                    kind: ReplicaSetKind::Deployment,
                    replicas: generator.replicas,
                    spec,
                    selector,
                    exists: true,
                    next_pod: 0,
                });
                self.leave(leaves, Event::ReplicaSetLeaves(id));
            }
            WorkloadKind::Job if claims.is_empty() => {
                self.cluster.add_job(Job {
                    uid,
                    namespace: sym::DEFAULT,
                    name,
                    completions: generator.replicas,
                    parallelism: generator.replicas,
                    spec,
                    duration: lifetime,
                    succeeded: 0,
                    next_pod: 0,
                    exists: true,
                });
            }
            // A Job whose pods have claims of their own: bare pods that run for their lifetime.
            WorkloadKind::Job => {
                let pods = self.make_pods(generator, name, spec, &claims);
                self.publish();
                for pod in pods.into_iter().filter(|_| lifetime.is_some()) {
                    self.pod_times_mut(pod).duration = lifetime;
                }
            }
            WorkloadKind::Pod => {
                for pod in self.make_pods(generator, name, spec, &claims) {
                    let epoch = epoch_of(self.cluster.pod(pod).uid);
                    self.leave(leaves, Event::PodLeaves(pod, epoch));
                }
            }
        }
    }
    fn leave(&mut self, at: Option<SimTime>, event: Event) {
        if let Some(at) = at {
            self.plan_event(at, RANK_DEPARTURES, event);
        }
    }

    /// Bare pods with claims of their own: claims first, then the pod.
    fn make_pods(
        &mut self,
        generator: &GeneratorPlan,
        set: Name,
        spec: SpecId,
        claims: &[ClaimTemplate],
    ) -> Vec<PodId> {
        let mut pods = Vec::with_capacity(generator.replicas as usize);
        for ordinal in 0..generator.replicas {
            let name = self.cluster.names.child(set, ordinal);
            let pod = api::new_pod(&mut self.cluster, name, spec, PodOwner::None, self.now);
            let owner = if generator.retention.delete_when_deleted {
                ClaimOwner::Object(pod.uid)
            } else {
                ClaimOwner::None
            };
            let mut order = claims.to_vec();
            if order.len() > 1 {
                let key: EntityKey = self.cluster.names.entity(name);
                self.tie.shuffle("claim-order", key, &mut order);
            }
            for template in order {
                // A claim of that name that is there already is used, as it would be.
                let _ = api::create_claim(&mut self.cluster, sym::DEFAULT, name, template, owner, self.now);
            }
            pods.extend(self.cluster.add_pod(pod));
        }
        pods
    }

    /// Sizes are drawn once per set and template.
    fn draw_claims(&mut self, generator: &GeneratorPlan, set: &str) -> Vec<ClaimTemplate> {
        let mut templates = Vec::with_capacity(generator.claims.len());
        for claim in &generator.claims {
            let bytes = constant(&claim.size).unwrap_or_else(|| {
                let prefix = self.cluster.names.text(claim.prefix);
                draw_bytes(&claim.size, &mut self.streams.stream("size", &format!("{set}/{prefix}")))
            });
            let spec: ClaimSpecId = self.cluster.intern_claim_spec(ClaimSpec {
                class: Some(claim.class),
                modes: claim.modes,
                request: Quantity::from_bytes(u128::from(bytes)),
                selector: None,
                mode: claim.mode,
                attributes_class: None,
            });
            templates.push(ClaimTemplate { prefix: claim.prefix, spec });
        }
        templates
    }

    /// The spec of a set's pods and the selector that finds them.
    fn set_spec(&mut self, generator: &GeneratorPlan, set: &str) -> (SpecId, LabelSelector) {
        if let Some(spec) = generator.shared_spec {
            return (spec, LabelSelector::Nothing);
        }
        let cluster = &mut self.cluster;
        let (key, value) = (cluster.names.intern("app"), cluster.names.intern(set));
        let labels = cluster.label_set(generator.labels).with(key, value);
        let mut spec = generator.spec.clone();
        spec.labels = cluster.intern_labels(labels);
        let selector = selector(key, value);
        spec.affinity = affinity(generator.anti_affinity, &selector, spec.namespace, spec.affinity);
        (cluster.intern_spec(spec), selector)
    }
}

/// Pods with this label.
pub(super) fn selector(key: Sym, value: Sym) -> LabelSelector {
    let requirement = LabelRequirement { key, operator: LabelOperator::In, values: Box::new([value]) };
    LabelSelector::Requirements(Box::new([requirement]))
}

/// On a host with pods of the namespace that the selector names.
pub(super) fn same_host(selector: LabelSelector, namespace: Sym) -> PodAffinityTerm {
    PodAffinityTerm {
        selector,
        namespaces: vec![namespace],
        namespace_selector: LabelSelector::Nothing,
        topology_key: sym::HOSTNAME,
    }
}

fn affinity(
    rule: AntiAffinity,
    selector: &LabelSelector,
    namespace: Sym,
    base: Option<Box<Affinity>>,
) -> Option<Box<Affinity>> {
    let term = same_host(selector.clone(), namespace);
    match rule {
        AntiAffinity::None => base,
        AntiAffinity::Required => {
            let mut affinity = base.unwrap_or_default();
            affinity.anti_required.push(term);
            Some(affinity)
        }
        AntiAffinity::Preferred => {
            let mut affinity = base.unwrap_or_default();
            affinity.anti_preferred.push((PREFERRED_WEIGHT, term));
            Some(affinity)
        }
    }
}

/// Volumes of a generated pod: one per claim template.
pub(super) fn volumes(prefixes: impl Iterator<Item = Sym>) -> Vec<PodVolume> {
    prefixes.map(|prefix| PodVolume::ClaimTemplate { prefix }).collect()
}

/// The kind of owner that a generator's pods have.
pub(super) fn owner_kind(kind: WorkloadKind) -> OwnerKind {
    match kind {
        WorkloadKind::StatefulSet => OwnerKind::StatefulSet,
        WorkloadKind::Deployment => OwnerKind::ReplicaSet,
        WorkloadKind::Job => OwnerKind::Job,
        WorkloadKind::Pod => OwnerKind::None,
    }
}
