//! The workload's pod templates, and which of them are the most frequent: M.
//!
//! Two pods are of one template when they ask for the same: requests, classes, constraints, and claim sizes rounded up to GiB.
//! Labels are no part of it: sixty sets of one shape are one template. Terms by which a set keeps its *own* pods apart (or
//! together) speak of that set alone, so a fresh pod, which belongs to no set yet, leaves them out.

use super::storage::{Want, Wants};
use crate::engine::time::SimDuration;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimSpecId, SpecId};
use crate::model::labels::{LabelSelector, LabelSet};
use crate::model::names::{Sym, sym};
use crate::model::quantity::Quantity;
use crate::model::spec::{Affinity, OwnerKind, PodAffinityTerm, PodSpec, PodVolume, WhenUnsatisfiable};
use crate::model::volume::ClaimSpec;
use rustc_hash::FxHashMap;

/// Templates that M holds at most.
pub const MOST: usize = 32;

/// One template.
#[derive(Clone, Debug)]
pub struct Template {
    /// What a fresh pod of it asks for.
    pub spec: SpecId,
    /// What its claims ask for: of every claim the largest request seen, so that what fits one pod of the template fits all.
    pub claims: Vec<ClaimSpecId>,
    /// Pods created so far.
    pub count: u64,
    /// Whether it fits a node may depend on other nodes (affinity or spread over zones).
    pub looks_around: bool,
}

/// All templates with a claim among the pods created so far.
#[derive(Debug, Default)]
pub struct Templates {
    rows: Vec<Template>,
    /// By what the pod itself said; the quick way.
    by_pod: FxHashMap<(SpecId, Vec<ClaimSpecId>), usize>,
    /// By what templates are compared by.
    by_key: FxHashMap<(SpecId, Vec<ClaimSpecId>), usize>,
    /// The most frequent, at most [`MOST`], in order of first appearance.
    top: Vec<usize>,
    /// Templates whose claims grew since [`Templates::take_grown`].
    grown: Vec<usize>,
    changed: bool,
}

impl Templates {
    /// A template.
    pub fn get(&self, index: usize) -> &Template {
        &self.rows[index]
    }
    /// M, in order of first appearance.
    pub fn top(&self) -> &[usize] {
        &self.top
    }
    /// How many templates there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// No template yet.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Of these templates the claims ask for more than before.
    pub fn take_grown(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.grown)
    }
    /// Which claims M asks for, or its members, changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
    /// The smallest claims of M.
    pub fn wants(&self, cluster: &Cluster) -> Wants {
        let mut wants: Vec<Want> = Vec::new();
        for &claim in self.top.iter().flat_map(|t| &self.rows[*t].claims) {
            let spec = cluster.claim_spec(claim);
            let want = Want {
                class: spec.class_or_empty(),
                mode: spec.mode,
                modes: spec.modes,
                smallest: spec.request,
            };
            match wants.iter_mut().find(|w| (w.class, w.mode, w.modes) == (want.class, want.mode, want.modes))
            {
                Some(w) => w.smallest = w.smallest.min(want.smallest),
                None => wants.push(want),
            }
        }
        Wants(wants)
    }

    /// A pod was created; `claims` are what its claims ask for. Without any, it is no concern of M.
    pub fn add(&mut self, cluster: &mut Cluster, spec: SpecId, claims: Vec<ClaimSpecId>) {
        if claims.is_empty() {
            return;
        }
        let pod = (spec, claims);
        let index = match self.by_pod.get(&pod) {
            Some(&index) => index,
            None => self.register(cluster, pod),
        };
        self.rows[index].count += 1;
        self.promote(index);
    }

    fn register(&mut self, cluster: &mut Cluster, pod: (SpecId, Vec<ClaimSpecId>)) -> usize {
        let (fresh, looks_around) = fresh_spec(cluster, pod.0, pod.1.len());
        let spec = cluster.intern_spec(fresh);
        let rounded = pod.1.iter().map(|c| rounded_claim(cluster, *c)).collect();
        let index = *self.by_key.entry((spec, rounded)).or_insert_with(|| {
            self.rows.push(Template { spec, claims: pod.1.clone(), count: 0, looks_around });
            self.rows.len() - 1
        });
        let row = &mut self.rows[index];
        for (have, new) in row.claims.iter_mut().zip(&pod.1) {
            if cluster.claim_spec(*new).request > cluster.claim_spec(*have).request {
                *have = *new;
                self.grown.push(index);
                self.changed = true;
            }
        }
        self.by_pod.insert(pod, index);
        index
    }

    /// Counts only grow, so the most frequent are found without sorting: the newcomer replaces the least frequent. Among equals
    /// the one that appeared first stays.
    fn promote(&mut self, index: usize) {
        if self.top.contains(&index) {
            return;
        }
        if self.top.len() >= MOST {
            let rank = |t: &usize| (self.rows[*t].count, std::cmp::Reverse(*t));
            let Some(least) = (0..self.top.len()).min_by_key(|i| rank(&self.top[*i])) else { return };
            if rank(&index) < rank(&self.top[least]) {
                return;
            }
            self.top.remove(least);
        }
        let place = self.top.partition_point(|t| *t < index);
        self.top.insert(place, index);
        self.changed = true;
    }
}

/// What templates compare a claim by: its size rounded up to GiB.
fn rounded_claim(cluster: &mut Cluster, claim: ClaimSpecId) -> ClaimSpecId {
    const GIB: i128 = 1 << 30;
    let spec = cluster.claim_spec(claim);
    let gib =
        spec.request.ceil().max(0).div_euclid(GIB) + i128::from(spec.request.ceil().rem_euclid(GIB) > 0);
    let request = Quantity::from_bytes((gib.max(0) as u128).saturating_mul(GIB as u128));
    let rounded = ClaimSpec { request, ..spec.clone() };
    cluster.intern_claim_spec(rounded)
}

/// The spec of a fresh pod with `claims` claims, and whether its filters look at other nodes.
fn fresh_spec(cluster: &mut Cluster, id: SpecId, claims: usize) -> (PodSpec, bool) {
    let prefixes: Vec<Sym> = (0..claims).map(|i| cluster.names.intern(&format!("fresh{i}"))).collect();
    let labels = cluster.intern_labels(LabelSet::default());
    let spec = cluster.spec(id);
    let own = cluster.label_set(spec.labels);
    let mut fresh = spec.clone();
    let of_own_set = |selector: &LabelSelector| selector.matches(own);
    fresh
        .spread
        .retain(|c| c.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule && !of_own_set(&c.selector));
    fresh.affinity = fresh.affinity.map(|a| {
        let foreign = |terms: &[PodAffinityTerm]| -> Vec<PodAffinityTerm> {
            terms.iter().filter(|t| !of_own_set(&t.selector)).cloned().collect()
        };
        Box::new(Affinity {
            node_required: a.node_required.clone(),
            pod_required: foreign(&a.pod_required),
            anti_required: foreign(&a.anti_required),
            ..Affinity::default()
        })
    });
    fresh.affinity = fresh.affinity.filter(|a| **a != Affinity::default());
    let topologies = fresh.affinity.iter().flat_map(|a| a.pod_required.iter().chain(&a.anti_required));
    let looks_around =
        !fresh.spread.is_empty() || topologies.map(|t| t.topology_key).any(|k| k != sym::HOSTNAME);
    let namespace = if fresh.affinity.as_ref().is_some_and(|a| a.concerns_pods()) || looks_around {
        spec.namespace
    } else {
        sym::DEFAULT
    };
    let exclusive = spec.volumes.iter().filter(|v| matches!(v, PodVolume::Exclusive { .. })).cloned();
    let templates = prefixes.into_iter().map(|prefix| PodVolume::ClaimTemplate { prefix });
    fresh.volumes = templates.chain(exclusive).collect();
    // What no filter reads must not tell templates apart.
    let fresh = PodSpec {
        namespace,
        labels,
        scheduler_name: sym::DEFAULT_SCHEDULER,
        priority: 0,
        never_preempts: false,
        scoring_requests: fresh.requests.clone(),
        nonzero_requests: (0, 0),
        images: Vec::new(),
        container_count: 1,
        scheduling_gates: Vec::new(),
        termination_grace: SimDuration::ZERO,
        not_modelled: None,
        owner: OwnerKind::None,
        ..fresh
    };
    (fresh, looks_around)
}
