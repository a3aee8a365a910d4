//! What the running pods are to one kind of pod: numbers per domain, kept up to date as pods come and go.

use super::topology::{NODE, NOWHERE, Topology};
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId, SpecId};
use crate::model::labels::LabelSelector;
use crate::model::names::{Sym, sym};
use crate::model::spec::{PodAffinityTerm, PodSpec, SpreadConstraint, WhenUnsatisfiable};
use crate::scheduler::plugins::inter_pod_affinity::{
    Incoming, InterPodAffinityArgs, matches_all, term_matches,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Numbers per domain; those that are 0 are not there.
#[derive(Debug)]
pub enum Counts {
    /// By domain, and how many are not 0.
    Dense(Box<[i64]>, usize),
    Sparse(BTreeMap<u32, i64>),
}

/// Domains up to which all of them get a number.
const DENSE: usize = 32;

impl Counts {
    fn new(domains: usize) -> Counts {
        if domains <= DENSE {
            Counts::Dense(vec![0; domains].into(), 0)
        } else {
            Counts::Sparse(BTreeMap::new())
        }
    }
    fn add(&mut self, domain: u32, amount: i64) {
        match self {
            Counts::Dense(all, used) => {
                let count = &mut all[domain as usize];
                *used -= usize::from(*count != 0);
                *count += amount;
                *used += usize::from(*count != 0);
            }
            Counts::Sparse(some) => {
                let count = some.entry(domain).or_insert(0);
                *count += amount;
                if *count == 0 {
                    some.remove(&domain);
                }
            }
        }
    }
    /// The number of a domain.
    pub fn get(&self, domain: u32) -> i64 {
        match self {
            Counts::Dense(all, _) => all.get(domain as usize).copied().unwrap_or(0),
            Counts::Sparse(some) => some.get(&domain).copied().unwrap_or(0),
        }
    }
    /// No domain has a number.
    pub fn is_empty(&self) -> bool {
        self.used() == 0
    }
    /// Domains that have a number.
    pub fn used(&self) -> usize {
        match self {
            Counts::Dense(_, used) => *used,
            Counts::Sparse(some) => some.len(),
        }
    }
    /// The least of the numbers of so many domains.
    pub fn least(&self, domains: usize) -> i64 {
        match self {
            _ if self.used() < domains => 0,
            Counts::Dense(all, _) => all.iter().copied().filter(|c| *c != 0).min().unwrap_or(0),
            Counts::Sparse(some) => some.values().copied().min().unwrap_or(0),
        }
    }
    /// Calls `visit` with every domain that has a number.
    pub fn each(&self, mut visit: impl FnMut(u32)) {
        match self {
            Counts::Dense(all, _) => {
                all.iter().enumerate().filter(|(_, c)| **c != 0).for_each(|(i, _)| visit(i as u32));
            }
            Counts::Sparse(some) => some.keys().for_each(|domain| visit(*domain)),
        }
    }
}

/// What a number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A required spread constraint, by its place among those.
    Hard(u16),
    /// A spread constraint that is only scored.
    Soft(u16),
    /// Pods that match all required affinity terms.
    Affinity,
    /// Pods that match a required anti-affinity term.
    Anti,
    /// Pods whose required anti-affinity matches.
    Existing,
    /// Preferences, both ways.
    Prefer,
}

/// One kind of number.
#[derive(Debug)]
pub struct Slot {
    pub purpose: Purpose,
    /// Whose domains.
    pub key: u16,
    /// Pods that are being deleted do not count.
    living: bool,
    /// Nodes without the label count as if its value were empty.
    lenient: bool,
    /// Nodes whose pods count; `None`: all.
    eligible: Option<Arc<[bool]>>,
    pub counts: Counts,
}

/// A spread constraint.
#[derive(Debug)]
pub struct Spread {
    pub slot: usize,
    /// Number of the constraint's label.
    pub key: u16,
    pub max_skew: i64,
    /// The pod counts itself.
    pub self_match: i64,
    pub min_domains: usize,
    /// Domains that some eligible node is in.
    pub domains: usize,
    selector: LabelSelector,
}

/// One pod of some spec adds so much to a slot.
pub type Share = (u16, i64);

/// What relates pods of one spec (and one default selector) to others.
#[derive(Debug)]
pub struct Group {
    pub spec: SpecId,
    pub slots: Vec<Slot>,
    /// Required spread constraints, in order.
    pub hard: Vec<Spread>,
    /// Scored ones.
    pub soft: Vec<Spread>,
    /// Nodes that lack the label of a scored constraint are left out.
    pub require_all: bool,
    /// Labels of the required affinity terms, in order.
    pub affinity_keys: Vec<u16>,
    /// The pod matches its own required affinity terms.
    pub own_first: bool,
    /// A constraint looks at taints.
    pub honors_taints: bool,
}

/// The constraints of the pods of a group.
pub struct Constraints<'a> {
    pub list: &'a [SpreadConstraint],
    /// Replaces the selectors of the list: they are the defaults.
    pub selector: Option<&'a LabelSelector>,
    pub require_all: bool,
}

impl Group {
    /// For pods of a spec.
    pub fn new(
        cluster: &Cluster,
        topology: &mut Topology,
        spec: SpecId,
        constraints: &Constraints<'_>,
    ) -> Group {
        let mut group = Group {
            spec,
            slots: Vec::new(),
            hard: Vec::new(),
            soft: Vec::new(),
            require_all: constraints.require_all,
            affinity_keys: Vec::new(),
            own_first: false,
            honors_taints: constraints.list.iter().any(|c| c.honor_node_taints),
        };
        group.add_spread(cluster, topology, constraints, WhenUnsatisfiable::DoNotSchedule);
        group.add_spread(cluster, topology, constraints, WhenUnsatisfiable::ScheduleAnyway);
        let spec = cluster.spec(spec);
        if let Some(own) = spec.affinity.as_deref() {
            for term in &own.pod_required {
                let key = topology.key(cluster, term.topology_key);
                group.affinity_keys.push(key);
                group.slot(topology, Purpose::Affinity, key);
            }
            group.own_first = matches_all(&own.pod_required, cluster, spec);
        }
        group
    }

    fn add_spread(
        &mut self,
        cluster: &Cluster,
        topology: &mut Topology,
        constraints: &Constraints<'_>,
        kind: WhenUnsatisfiable,
    ) {
        let of_kind: Vec<_> = constraints.list.iter().filter(|c| c.when_unsatisfiable == kind).collect();
        let keys: Vec<u16> = of_kind.iter().map(|c| topology.key(cluster, c.topology_key)).collect();
        let hard = kind == WhenUnsatisfiable::DoNotSchedule;
        let needed: &[u16] = if hard || self.require_all { &keys } else { &[] };
        let spec = cluster.spec(self.spec);
        let labels = cluster.label_set(spec.labels);
        for (i, c) in of_kind.iter().enumerate() {
            let eligible = topology.eligible(cluster, needed, c.honor_node_affinity.then_some(spec));
            let selector = constraints.selector.unwrap_or(&c.selector);
            // Pods on one host are counted when it is scored, whatever the host.
            let by_host = !hard && c.topology_key == sym::HOSTNAME;
            let (slot_key, eligible) = if by_host { (NODE, None) } else { (keys[i], eligible) };
            let purpose = if hard { Purpose::Hard(i as u16) } else { Purpose::Soft(i as u16) };
            let spread = Spread {
                slot: self.slots.len(),
                key: keys[i],
                max_skew: i64::from(c.max_skew),
                self_match: i64::from(selector.matches(labels)),
                min_domains: usize::try_from(c.min_domains).unwrap_or(0),
                domains: if hard { eligible_domains(topology, keys[i], eligible.as_deref()) } else { 0 },
                selector: selector.clone(),
            };
            let counts = Counts::new(topology.keys[usize::from(slot_key)].domains);
            let lenient = !hard && !self.require_all;
            self.slots.push(Slot { purpose, key: slot_key, living: true, lenient, eligible, counts });
            if hard { &mut self.hard } else { &mut self.soft }.push(spread);
        }
    }

    fn slot(&mut self, topology: &Topology, purpose: Purpose, key: u16) -> u16 {
        let found = self.slots.iter().position(|s| (s.purpose, s.key) == (purpose, key));
        found.unwrap_or_else(|| {
            let counts = Counts::new(topology.keys[usize::from(key)].domains);
            self.slots.push(Slot { purpose, key, living: false, lenient: false, eligible: None, counts });
            self.slots.len() - 1
        }) as u16
    }

    /// Slots of a purpose.
    pub fn slots_for(&self, purpose: Purpose) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(move |s| s.purpose == purpose)
    }
    /// Selectors of the group's own constraints and terms.
    pub fn selectors<'a>(&'a self, cluster: &'a Cluster) -> impl Iterator<Item = &'a LabelSelector> {
        let spread = self.hard.iter().chain(&self.soft).map(|s| &s.selector);
        spread.chain(term_selectors(cluster.spec(self.spec)))
    }

    /// What one pod of another spec adds, and to which slots.
    pub fn shares(&mut self, cluster: &Cluster, topology: &mut Topology, other: &PodSpec) -> Box<[Share]> {
        let spec = cluster.spec(self.spec);
        let mut shares: Vec<Share> = Vec::new();
        let labels = cluster.label_set(other.labels);
        for spread in self.hard.iter().chain(&self.soft).filter(|_| other.namespace == spec.namespace) {
            // An empty selector counts nobody.
            if !spread.selector.is_everything() && spread.selector.matches(labels) {
                shares.push((spread.slot as u16, 1));
            }
        }
        let mut add = |group: &mut Group, purpose, key: Sym, amount: i64| {
            let key = topology.key(cluster, key);
            shares.push((group.slot(topology, purpose, key), amount));
        };
        let matching = |terms: &mut dyn Iterator<Item = (i64, &PodAffinityTerm)>| -> Vec<(i64, Sym)> {
            terms.filter(|(_, t)| term_matches(t, cluster, other)).map(|(w, t)| (w, t.topology_key)).collect()
        };
        if let Some(own) = spec.affinity.as_deref() {
            if matches_all(&own.pod_required, cluster, other) {
                for term in &own.pod_required {
                    add(self, Purpose::Affinity, term.topology_key, 1);
                }
            }
            for (_, key) in matching(&mut own.anti_required.iter().map(|t| (1, t))) {
                add(self, Purpose::Anti, key, 1);
            }
            let likes = own.pod_preferred.iter().map(|(w, t)| (i64::from(*w), t));
            let dislikes = own.anti_preferred.iter().map(|(w, t)| (-i64::from(*w), t));
            for (weight, key) in matching(&mut likes.chain(dislikes)) {
                add(self, Purpose::Prefer, key, weight);
            }
        }
        let incoming = Incoming::of(cluster, spec);
        if let Some(theirs) = other.affinity.as_deref() {
            for term in theirs.anti_required.iter().filter(|t| incoming.is_matched_by(t)) {
                add(self, Purpose::Existing, term.topology_key, 1);
            }
            let hard = i64::from(InterPodAffinityArgs::default().hard_pod_affinity_weight);
            let wants = theirs.pod_required.iter().map(|t| (hard, t));
            let likes = theirs.pod_preferred.iter().map(|(w, t)| (i64::from(*w), t));
            let dislikes = theirs.anti_preferred.iter().map(|(w, t)| (-i64::from(*w), t));
            for (weight, term) in
                wants.chain(likes).chain(dislikes).filter(|(_, t)| incoming.is_matched_by(t))
            {
                add(self, Purpose::Prefer, term.topology_key, weight);
            }
        }
        shares.into()
    }

    /// Pods come to a node or leave it.
    pub fn count(&mut self, topology: &Topology, shares: &[Share], node: NodeId, pods: i64, living: i64) {
        for &(slot, amount) in shares {
            let slot = &mut self.slots[usize::from(slot)];
            let key = &topology.keys[usize::from(slot.key)];
            let mut domain = key.domain(node);
            let amount = amount * if slot.living { living } else { pods };
            if domain == NOWHERE && slot.lenient && (key.empty as usize) < key.domains && topology.has(node) {
                domain = key.empty;
            }
            if domain != NOWHERE && amount != 0 && slot.eligible.as_ref().is_none_or(|e| e[node.index()]) {
                slot.counts.add(domain, amount);
            }
        }
    }

    /// No filter has anything to say about the group's pods as things are.
    pub fn filters_nothing(&self, cluster: &Cluster) -> bool {
        let own = cluster.spec(self.spec).affinity.as_deref();
        self.hard.is_empty()
            && own.is_none_or(|a| a.pod_required.is_empty() && a.anti_required.is_empty())
            && self.slots_for(Purpose::Existing).all(|s| s.counts.is_empty())
    }
    /// No score either.
    pub fn says_nothing(&self, cluster: &Cluster) -> bool {
        self.soft.is_empty()
            && self.filters_nothing(cluster)
            && self.slots_for(Purpose::Prefer).all(|s| s.counts.is_empty())
    }
}

/// Selectors of all affinity terms of a spec.
pub fn term_selectors(spec: &PodSpec) -> impl Iterator<Item = &LabelSelector> {
    spec.affinity.iter().flat_map(|a| {
        let preferred = a.pod_preferred.iter().chain(&a.anti_preferred).map(|(_, term)| term);
        a.pod_required.iter().chain(&a.anti_required).chain(preferred).map(|term| &term.selector)
    })
}

/// Domains of a label that some eligible node is in.
fn eligible_domains(topology: &Topology, key: u16, eligible: Option<&[bool]>) -> usize {
    let key = &topology.keys[usize::from(key)];
    let Some(eligible) = eligible else { return key.domains };
    let mut seen = vec![false; key.domains];
    for (domain, _) in key.of_node.iter().zip(eligible).filter(|(d, e)| **d != NOWHERE && **e) {
        seen[*domain as usize] = true;
    }
    seen.into_iter().filter(|s| *s).count()
}
