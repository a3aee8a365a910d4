//! The fast path: the decisions of the plain scan at a cost that does not grow with the cluster.
//!
//! What a node says to a pod by itself is kept per kind of pod ([`class`]) and looked at again only when the node changes. What other
//! pods say, by spread constraints and pod affinity, is kept as numbers per domain ([`relations`]). A pod is taken here if nobody is
//! nominated and its claims all wait for a static local volume or are bound to some (or there are none). Everything else is left to
//! the plain scan in [`cycle`](super::cycle), which is the specification: both must agree on every decision.

mod choice;
mod claims;
mod class;
mod native;
mod nodes;
mod parts;
mod ranking;
mod relations;
mod scores;
mod shapes;
#[cfg(test)]
mod tests;

pub use class::FastStats;

use self::choice::{Buffers, Choice, prepare};
use self::claims::{Claims, bound_local_volume, is_unlimited, note_home, waits_for_local_volume};
use self::class::{Bases, Class, Eyes, Identity};
use self::nodes::NodeTable;
use self::ranking::Parts;
use self::relations::Relations;
use self::shapes::Shapes;
use super::cycle::nodes_to_find;
use super::cycle_state::CycleState;
use super::dormant::{Condition, Doze, Known};
use super::framework::*;
use super::node_order::NodeOrder;
use super::profile::{NodesToScore, PreFiltered, Profile};
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, Id, NodeId, PodId};
use crate::model::names::Sym;
use crate::model::pod::PodOwner;
use crate::model::spec::PodVolume;
use crate::model::volume::{AccessModes, ClaimPhase, ClaimSpec, VolumeMode};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What the fast path says about a pod.
pub(super) enum Decision {
    /// Not a pod for the fast path.
    Ask,
    /// This node. VolumeBinding's state holds the node's volumes.
    Node(NodeId),
    /// No node is feasible; nodes and codes are in the given buffer.
    None(FitError, Vec<PluginName>),
    /// No node is feasible, and what is said then is known.
    Known(Arc<Known>),
}

/// What the pod at hand is to the fast path.
#[derive(Clone, Copy)]
struct Kind {
    /// Number of its profile.
    number: usize,
    /// Place of its class.
    index: usize,
    claims: Claims,
    /// Its group, if that has anything to say.
    group: Option<u32>,
}

/// What a claim without selector asks for: class, mode, access modes, attributes class, and the least capacity that is enough.
type Ask = (Sym, VolumeMode, AccessModes, Option<Sym>, i128);

/// Classes and nodes as the fast path knows them.
#[derive(Debug)]
pub(super) struct FastPath {
    table: NodeTable,
    relations: Relations,
    shapes: Shapes,
    buffers: Buffers,
    /// Parts of the nodes between which relations make a difference, and what they were made of.
    parts: (Option<(Option<u64>, usize)>, Arc<Parts>),
    /// For this configuration: nodes are looked at in the order of their ranks.
    ranked: (Option<u64>, bool),
    /// What verdicts may take, and take.
    budget_bytes: usize,
    kept_bytes: usize,
    index: FxHashMap<Box<[u32]>, Option<u32>>,
    classes: Vec<Class>,
    bases: Bases,
    /// What single claims ask for, numbered.
    asks: FxHashMap<Ask, u32>,
    /// The one claim of the pod at hand: its request, and the least capacity that is enough for it.
    ask: Option<(i128, i128)>,
    /// Number of `classes[0]`: numbers are never used again.
    first: u64,
    key: Vec<u32>,
    /// Nodes that the bound volumes of the pod at hand allow.
    homes: Vec<NodeId>,
    /// The claims of the pod at hand, in order.
    claims: Vec<ClaimId>,
    /// No other pod uses them.
    alone: bool,
    /// Nothing relates the pod at hand to others.
    unrelated: bool,
    wide: Option<(u64, bool)>,
    /// Drivers whose volumes no node counts, for this configuration.
    unlimited: FxHashMap<Sym, bool>,
    /// The pod decided last failed, and will fail again as long as this holds.
    doze: Option<Doze>,
    pub stats: FastStats,
}

/// What the verdicts of all kinds of pods on all nodes may take: 256 MiB.
pub const DEFAULT_CACHE_BYTES: usize = 256 << 20;

/// What one verdict takes at most: the score, its share of the ranking's blocks and of the node selector.
const BYTES_PER_VERDICT: usize = 8;

impl Default for FastPath {
    fn default() -> FastPath {
        FastPath {
            table: NodeTable::default(),
            relations: Relations::default(),
            shapes: Shapes::default(),
            buffers: Buffers::default(),
            parts: (None, Arc::default()),
            ranked: (None, false),
            budget_bytes: DEFAULT_CACHE_BYTES,
            kept_bytes: 0,
            index: FxHashMap::default(),
            classes: Vec::new(),
            bases: Bases::default(),
            asks: FxHashMap::default(),
            ask: None,
            first: 0,
            key: Vec::new(),
            homes: Vec::new(),
            claims: Vec::new(),
            alone: false,
            unrelated: false,
            wide: None,
            unlimited: FxHashMap::default(),
            doze: None,
            stats: FastStats::default(),
        }
    }
}

impl FastPath {
    /// Decides about a pod, or leaves it to the plain scan. `rejected` receives the status codes if no node is feasible.
    pub fn decide(
        &mut self,
        profile: &Profile,
        number: usize,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        order: &mut NodeOrder,
        rejected: &mut Vec<(NodeId, Code)>,
    ) -> Decision {
        self.doze = None;
        let decision = self.try_decide(profile, number, view, pod, state, order, rejected);
        self.stats.remembered += u64::from(matches!(decision, Decision::Known(_)));
        self.stats.decided += u64::from(!matches!(decision, Decision::Ask));
        decision
    }

    fn try_decide(
        &mut self,
        profile: &Profile,
        number: usize,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        order: &mut NodeOrder,
        rejected: &mut Vec<(NodeId, Code)>,
    ) -> Decision {
        let cluster = view.cluster;
        let related = profile.has_default_relations();
        if cluster.node_count() == 0
            || cluster.has_nominated_pods()
            || !(related || concerns_nodes_alone(cluster, pod))
        {
            return Decision::Ask;
        }
        self.sync_table(cluster);
        let claims = self.classify(cluster, number, pod);
        if claims == Claims::Other {
            return Decision::Ask;
        }
        if self.table.has_soft_taints() {
            return Decision::Ask;
        }
        let Some(index) = self.class_of(profile, view, pod, state, claims == Claims::Bound) else {
            return Decision::Ask;
        };
        let group = if related { self.relations.group_of(cluster, pod) } else { None };
        let group = group.filter(|group| !self.relations.says_nothing(cluster, *group));
        if group.is_some_and(|g| self.relations.honors_taints(g)) && self.table.has_hard_taints() {
            return Decision::Ask;
        }
        let enough = match profile.percentage {
            NodesToScore::Percentage(percentage) => nodes_to_find(percentage, cluster.node_count()),
            NodesToScore::All => usize::MAX,
        };
        self.unrelated = group.is_none();
        let kind = Kind { number, index, claims, group };
        let sampled = claims != Claims::Bound && enough < cluster.node_count();
        if let Some(known) = self.known_failure(cluster, profile, kind, sampled) {
            order.advance(cluster.node_count(), cluster.node_count());
            return Decision::Known(known);
        }
        if profile.score.is_empty() && claims != Claims::Bound {
            return Decision::Ask; // the first feasible node will do, whatever the ranking says
        }
        let decision = self.look(profile, view, pod, kind, sampled.then_some(enough), state, order, rejected);
        let failed = matches!(decision, Decision::Known(_) | Decision::None(..));
        if failed && let Some(known) = self.known_failure(cluster, profile, kind, sampled) {
            return Decision::Known(known);
        }
        decision
    }

    /// Looks at nodes, all of them unless so many are `enough`.
    fn look(
        &mut self,
        profile: &Profile,
        view: View<'_>,
        pod: PodId,
        kind: Kind,
        enough: Option<usize>,
        state: &mut CycleState,
        order: &mut NodeOrder,
        rejected: &mut Vec<(NodeId, Code)>,
    ) -> Decision {
        let cluster = view.cluster;
        let ranked = enough.is_some() && self.is_ranked(cluster, order);
        let kept = match enough {
            None => self.keep(kind.index),
            Some(enough) => kind.group.is_none() && self.keep_for_samples(kind.index, enough),
        };
        if kept && kind.group.is_some() {
            self.divide();
            self.classes[kind.index].divide(&self.parts.1);
        }
        let overlay = kind.group.map(|group| self.relations.overlay(cluster, group));
        let eyes = Eyes { profile, view, pod, table: &self.table };
        let class = &mut self.classes[kind.index];
        let (bases, stats, buffers) = (&mut self.bases, &mut self.stats, &mut self.buffers);
        let by_arithmetic = kept && class.sync_natively(cluster, &self.table, bases, stats);
        let asked = by_arithmetic && kind.claims != Claims::Bound;
        let choice = Choice { eyes, overlay, claims: asked.then_some(&self.claims) };
        if let Some(enough) = enough.filter(|_| by_arithmetic) {
            let decision = choice.choose_among(class, state, order, ranked, enough, buffers);
            if let Some(decision) = decision {
                return decision;
            }
        }
        if !kept || enough.is_some() {
            if kind.claims == Claims::Bound {
                return Decision::Ask;
            }
            let enough = enough.unwrap_or(usize::MAX);
            let choice = Choice { claims: None, ..choice };
            prepare(&choice.eyes, state);
            return choice.sample(class, state, order, enough, bases, stats, buffers, rejected);
        }
        if !asked {
            prepare(&choice.eyes, state);
        }
        if !by_arithmetic && !class.sync(&choice.eyes, state, bases, stats) {
            return Decision::Ask;
        }
        let decision = match kind.claims {
            Claims::Bound => choice.stay(class, state, &self.homes, rejected),
            _ => choice.choose(class, state, buffers, rejected),
        };
        if asked && matches!(decision, Decision::None(..)) {
            prepare(&choice.eyes, state); // preemption goes on from there
        }
        if !matches!(decision, Decision::Ask) {
            order.advance(cluster.node_count(), cluster.node_count());
        }
        decision
    }

    /// Are nodes looked at in the order of their ranks? The order changes only with the configuration.
    fn is_ranked(&mut self, cluster: &Cluster, order: &NodeOrder) -> bool {
        let config = Some(cluster.config_generation());
        if self.ranked.0 != config {
            let ranks = order.list().iter().map(|id| self.table.rank(*id));
            self.ranked = (config, ranks.eq((0..self.table.len()).map(NodeId::new)));
        }
        self.ranked.1
    }

    /// Brings the parts of the nodes up to date.
    fn divide(&mut self) {
        let labels = self.relations.labels();
        if self.parts.0 == Some(labels) {
            return;
        }
        let by_rank = |of: Vec<u8>| {
            let ranks = 0..of.len() as u32;
            ranks.map(|rank| of[self.table.at_rank(NodeId::at(rank)).index()]).collect()
        };
        let parts = self.relations.parts().map(|(of, some)| Parts::new(by_rank(of), some));
        self.parts = (Some(labels), Arc::new(parts.unwrap_or_else(Parts::none)));
    }

    /// May the verdicts of the class be kept? Beyond the budget all nodes are looked at for every pod of the class.
    fn keep(&mut self, index: usize) -> bool {
        let class = &mut self.classes[index];
        let bytes = self.table.len() * BYTES_PER_VERDICT;
        if !class.kept && self.kept_bytes + bytes <= self.budget_bytes {
            class.kept = true;
            self.kept_bytes += bytes;
        }
        class.kept
    }

    /// The same for a kind of pod that looks at a sample of nodes, as soon as that is no more work than looking at the sample itself.
    fn keep_for_samples(&mut self, index: usize, enough: usize) -> bool {
        self.classes[index].is_worth_keeping(&self.table, enough) && self.keep(index)
    }

    fn sync_table(&mut self, cluster: &Cluster) {
        if self.table.sync(cluster) {
            self.forget();
        }
    }
    fn forget(&mut self) {
        self.first += self.classes.len() as u64;
        self.kept_bytes = 0;
        self.unlimited.clear();
        self.index.clear();
        self.classes.clear();
        self.bases.clear();
    }

    /// The class that the key just written stands for, made if it is new.
    fn class_of(
        &mut self,
        profile: &Profile,
        view: View<'_>,
        pod: PodId,
        state: &mut CycleState,
        pinned: bool,
    ) -> Option<usize> {
        let least = self.ask.map_or(i128::MAX, |(request, _)| request);
        if let Some(known) = self.index.get(&*self.key) {
            let index = known.map(|index| index as usize)?;
            let class = &mut self.classes[index];
            class.least_request = class.least_request.min(least);
            if class.is_exact(&self.table) {
                return Some(index);
            }
            // Since it was made a capacity has come that is enough for some of its pods and not for others. It is left to those that
            // sleep, and are asked one by one: what is found out about this pod says nothing about them.
        }
        let remembered = self.kept_bytes + self.table.len() * BYTES_PER_VERDICT <= self.budget_bytes;
        let identity = Identity {
            base: [self.key[0], self.key[1]],
            enough: self.ask.map(|(_, enough)| enough),
            remembered: if remembered { self.table.len() } else { 0 },
            without_volumes: pinned,
        };
        let bases = self.bases.len();
        let eyes = Eyes { profile, view, pod, table: &self.table };
        let made = match profile.pre_filter_except(view, pod, state, eyes.skipped()) {
            PreFiltered::AllNodes => Class::new(&eyes, state, &mut self.bases, identity),
            _ => None,
        };
        self.kept_bytes += (self.bases.len() - bases) * identity.remembered * BYTES_PER_VERDICT;
        for requests in self.bases.requests_from(bases) {
            self.table.note_requests(requests);
        }
        let slot = made.as_ref().map(|_| self.classes.len() as u32);
        self.index.insert(self.key.as_slice().into(), slot);
        let mut made = made?;
        made.least_request = least;
        self.classes.push(made);
        slot.map(|slot| slot as usize)
    }

    /// The failure of a pod of the class, if it can be told without asking a plugin. Notes under which condition it will fail again.
    fn known_failure(
        &mut self,
        cluster: &Cluster,
        profile: &Profile,
        kind: Kind,
        sampled: bool,
    ) -> Option<Arc<Known>> {
        let Kind { number, index, claims, group } = kind;
        // What PostFilter said may depend on other pods.
        let general = claims != Claims::Bound && group.is_none();
        let before = self.classes[index].failed(self.table.end()).filter(|_| general).cloned();
        if (sampled && before.is_none()) || !self.keep(index) {
            return before;
        }
        let class = &mut self.classes[index];
        if !class.sync_natively(cluster, &self.table, &mut self.bases, &mut self.stats) {
            return before;
        }
        let fails = match claims {
            Claims::Bound => self.homes.iter().all(|home| class.rejection(&self.table, *home).is_some()),
            _ => class.ranking().is_hopeless(),
        };
        if !fails {
            return before;
        }
        let Some(known) = class.known(cluster, profile) else { return before };
        if self.alone {
            let homes = if claims == Claims::Bound { self.homes.clone() } else { Vec::new() };
            let with_claims = claims == Claims::Waiting;
            let class = self.first + index as u64;
            let condition = Condition::Class { profile: number, class, with_claims };
            self.doze = Some(Doze { condition, homes, known: Arc::clone(&known) });
        }
        Some(known)
    }

    /// What verdicts may take in memory.
    pub fn set_budget(&mut self, bytes: usize) {
        self.budget_bytes = bytes;
    }
    /// Volumes looked at so far.
    pub fn volumes(&self) -> u64 {
        self.table.volumes
    }
    /// Under which condition the pod decided last fails again, if that is known.
    pub fn take_doze(&mut self) -> Option<Doze> {
        self.doze.take()
    }

    /// How pods fail that once did under this condition; `None` if they may not fail any more.
    pub fn still_fails(
        &mut self,
        cluster: &Cluster,
        profile: &Profile,
        condition: &Condition,
    ) -> Option<Arc<Known>> {
        let &Condition::Class { class, with_claims, .. } = condition else { return None };
        if cluster.node_count() == 0
            || cluster.has_nominated_pods()
            || !(profile.has_default_relations() || no_pod_concerns_others(cluster))
            || (with_claims && self.has_free_wide_volumes(cluster))
        {
            return None;
        }
        self.sync_table(cluster);
        if self.table.has_soft_taints() {
            return None;
        }
        let class = self.classes.get_mut(class.checked_sub(self.first)? as usize)?;
        if !class.kept || !class.is_exact(&self.table) {
            return None;
        }
        if !class.sync_natively(cluster, &self.table, &mut self.bases, &mut self.stats) {
            return None;
        }
        let fails = class.without_volumes || class.ranking().is_hopeless();
        if fails { class.known(cluster, profile) } else { None }
    }
    /// Might a pod with bound volumes now run on this node of its own? To be asked after [`FastPath::still_fails`].
    pub fn may_take(&self, condition: &Condition, home: NodeId) -> bool {
        let &Condition::Class { class, .. } = condition else { return true };
        let class = class.checked_sub(self.first).and_then(|index| self.classes.get(index as usize));
        class.is_none_or(|class| class.rejection(&self.table, home).is_none())
    }

    /// Remembers that no node was feasible for the pod decided last, to which no other pod mattered.
    pub fn remember_failure(&mut self, known: Known) {
        if self.unrelated
            && let Some(Some(class)) = self.index.get(&*self.key)
        {
            let position = self.table.end();
            self.classes[*class as usize].remember(position, Arc::new(known));
        }
    }

    /// Writes the key of the pod's class, and where its volumes are if they are bound.
    fn classify(&mut self, cluster: &Cluster, profile: usize, pod: PodId) -> Claims {
        let row = cluster.pod(pod);
        self.key.clear();
        let shape = self.shapes.of(cluster, row.spec);
        self.key.extend([profile as u32, shape]);
        let spec = cluster.spec(row.spec);
        for volume in &spec.volumes {
            if !matches!(volume, PodVolume::Claim { .. } | PodVolume::ClaimTemplate { .. }) {
                return Claims::Other;
            }
        }
        let (mut waiting, mut bound) = (0, 0);
        self.homes.clear();
        self.claims.clear();
        (self.alone, self.ask) = (true, None);
        let mut asked: Option<&ClaimSpec> = None;
        for name in cluster.claim_names_of(pod) {
            let claim = name.and_then(|name| cluster.claim_by_name(spec.namespace, name));
            let Some(id) = claim else { return Claims::Other };
            self.claims.push(id);
            let claim = cluster.claim(id);
            self.alone &= cluster.claim_users(claim.namespace, claim.name).len() < 2;
            let unlimited =
                |driver| *self.unlimited.entry(driver).or_insert_with(|| is_unlimited(cluster, driver));
            if claim.phase == ClaimPhase::Pending {
                if !waits_for_local_volume(cluster, claim, unlimited) {
                    return Claims::Other;
                }
                waiting += 1;
                self.key.push(claim.spec.row());
                let spec = cluster.claim_spec(claim.spec);
                // What is left for volumes to be made differs from node to node: every size is a kind of its own.
                let made = self.table.know_room(cluster, spec.class_or_empty());
                asked = Some(spec).filter(|spec| spec.selector.is_none() && !made);
            } else if let Some(volume) = bound_local_volume(cluster, claim, unlimited) {
                note_home(cluster, volume, bound == 0, &mut self.homes);
                bound += 1;
            } else {
                return Claims::Other;
            }
        }
        match (waiting, bound) {
            (0, 0) => Claims::None,
            (_, 0) if !self.has_free_wide_volumes(cluster) => {
                if let Some(spec) = asked.filter(|_| waiting == 1) {
                    self.ask_for(spec);
                }
                Claims::Waiting
            }
            (0, _) => {
                self.key.push(u32::MAX);
                Claims::Bound
            }
            _ => Claims::Other,
        }
    }

    /// One claim without selector: claims for which the same volumes are large enough are one kind.
    fn ask_for(&mut self, spec: &ClaimSpec) {
        let request = spec.request.nanos();
        let enough = self.table.enough(request);
        let ask: Ask = (spec.class_or_empty(), spec.mode, spec.modes, spec.attributes_class, enough);
        let next = self.asks.len() as u32;
        let number = *self.asks.entry(ask).or_insert(next);
        self.key.pop();
        self.key.push(1 << 31 | number);
        self.ask = Some((request, enough));
    }

    /// Volumes that several nodes can reach make the choice on one node depend on the others.
    fn has_free_wide_volumes(&mut self, cluster: &Cluster) -> bool {
        let generation = cluster.wide_generation();
        match self.wide {
            Some((at, answer)) if at == generation => answer,
            _ => {
                let free = |id| {
                    let volume = cluster.volume(id);
                    volume.claim_ref.is_none() && volume.assumed_for.is_none()
                };
                let answer = cluster.wide_volumes().iter().any(|id| free(*id));
                self.wide = Some((generation, answer));
                answer
            }
        }
    }
}

/// Nothing that the pod or others ask for relates it to other pods.
fn concerns_nodes_alone(cluster: &Cluster, pod: PodId) -> bool {
    let row = cluster.pod(pod);
    let spec = cluster.spec(row.spec);
    no_pod_concerns_others(cluster)
        && matches!(row.owner, PodOwner::None | PodOwner::Job(_))
        && spec.spread.is_empty()
        && spec.affinity.as_ref().is_none_or(|a| !a.concerns_pods())
        && cluster.services().is_empty()
}

/// Nothing that running pods ask for relates them to others.
fn no_pod_concerns_others(cluster: &Cluster) -> bool {
    !cluster.has_pod_affinity() && !cluster.has_required_anti_affinity()
}
