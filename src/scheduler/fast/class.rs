//! What is known about one kind of pod on every node.
//!
//! Pods of one spec whose claims ask for the same meet the same verdict and score on a node that has not changed. A class keeps
//! both per node, and looks again only at nodes that were touched since.

use super::native::{Base, NO_SPACE, NO_VOLUME, NativeClaim, Pattern, Weights};
use super::nodes::NodeTable;
use super::ranking::{Parts, Ranking};
use super::relations::{Candidate, Overlay};
use super::scores::ABSENT;
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId, PodId, SpecId};
use crate::scheduler::cycle::Unschedulable;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::dormant::Known;
use crate::scheduler::framework::*;
use crate::scheduler::plugins::{
    image_locality, inter_pod_affinity, node_resources_balanced_allocation as balanced,
    node_resources_fit as fit, node_volume_limits, pod_topology_spread, taint_toleration, volume_binding,
    volume_restrictions, volume_zone,
};
use crate::scheduler::profile::Profile;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The plugins that look at volumes. The filters behind them have nothing to say about a pod of the fast path.
const VOLUME_PLUGINS: &[PluginName] =
    &[volume_restrictions::NAME, node_volume_limits::NAME, volume_binding::NAME, volume_zone::NAME];

/// The plugins that look at other pods. No filter comes after them that has anything to say about a pod of the fast path.
pub(super) const RELATION_PLUGINS: &[PluginName] = &[pod_topology_spread::NAME, inter_pod_affinity::NAME];

/// What a node says to the class: its total score, or minus one more than an index of `Class::kinds`, or that it is not there.
type Said = i32;

fn rejected(kind: u16) -> Said {
    -1 - i32::from(kind)
}
/// The kind of rejection, if it is one.
fn kind_of(said: Said) -> Option<u16> {
    if said < 0 && said != ABSENT { Some((-1 - said) as u16) } else { None }
}

/// One kind of pod on all nodes.
#[derive(Debug)]
pub(super) struct Class {
    /// What its pods ask for.
    pub spec: SpecId,
    synced: u64,
    fresh: bool,
    /// What the nodes said, by rank.
    ranking: Ranking,
    /// Nodes looked at for samples since verdicts were last brought up to date: when that costs no more, it is done.
    sampled: usize,
    kinds: Vec<Rejection>,
    kind_index: FxHashMap<Rejection, u16>,
    /// Kinds of the native arithmetic's rejections.
    native_kinds: Vec<(Pattern, u16)>,
    counts: Vec<u32>,
    /// Counts up whenever a verdict becomes another.
    version: u64,
    native: Option<Native>,
    /// The smallest request of any pod of the class.
    pub least_request: i128,
    /// The answer of [`Class::is_exact`] for such a request and number of capacities.
    exact: (Option<(i128, usize)>, bool),
    /// Verdicts are kept. Otherwise all nodes are looked at for every pod.
    pub kept: bool,
    /// Volumes are left out: for pods whose volumes are bound, which are asked about their own node only.
    pub without_volumes: bool,
    /// Active Score plugins (index in the profile).
    scorers: Vec<usize>,
    /// What plugins add to every node alike.
    constant: i64,
    /// How a pod fails if no node is feasible, and for which version of the verdicts that was put together.
    known: Option<(u64, Arc<Known>)>,
    /// The outcome when no node was feasible although it cannot be put together from the verdicts, and when.
    failed: Option<(u64, Arc<Known>)>,
}

/// Where the arithmetic is that says all there is to say about the pods of a class on a plain node.
#[derive(Debug)]
struct Native {
    /// Place among the bases.
    base: usize,
    claim: Option<NativeClaim>,
}

/// The arithmetic per shape of pod, shared by classes that differ in their claims.
#[derive(Debug, Default)]
pub(super) struct Bases {
    list: Vec<Base>,
    index: FxHashMap<[u32; 2], Option<usize>>,
}

impl Bases {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }
    /// What those from `first` on ask for.
    pub fn requests_from(&self, first: usize) -> impl Iterator<Item = [i64; 3]> {
        self.list[first..].iter().map(Base::requests)
    }
    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.list.clear();
        self.index.clear();
    }
}

/// What looking at nodes one after the other found.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// How many nodes were looked at.
    pub looked_at: usize,
    /// The feasible nodes with their totals, in the order in which they were met.
    pub feasible: Vec<Candidate>,
    /// Nodes that other pods keep the pod from, by reason.
    pub related: [u32; Overlay::REASONS],
    /// The others with their kind of rejection.
    pub rejected: Vec<(NodeId, u16)>,
}

impl Sample {
    /// Makes room for the next one.
    pub fn clear(&mut self) {
        (self.looked_at, self.related) = (0, Default::default());
        self.feasible.clear();
        self.rejected.clear();
    }
}

/// Everything an evaluation reads.
pub(super) struct Eyes<'a> {
    pub profile: &'a Profile,
    pub view: View<'a>,
    pub pod: PodId,
    pub table: &'a NodeTable,
}

impl Eyes<'_> {
    /// Plugins that classes leave out: [`Relations`](super::relations::Relations) speak for them.
    pub fn skipped(&self) -> &'static [PluginName] {
        if self.profile.has_default_relations() { RELATION_PLUGINS } else { &[] }
    }
}

/// What a class is made for, besides its pods.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// Profile and shape.
    pub base: [u32; 2],
    /// Any volume of at least this capacity does for the one claim; `None`: what the claim says.
    pub enough: Option<i128>,
    /// Nodes of which the arithmetic remembers what it said.
    pub remembered: usize,
    /// Volumes are left out.
    pub without_volumes: bool,
}

/// Counters of work done, for `--stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastStats {
    /// Attempts that the fast path decided.
    pub decided: u64,
    /// Of these, failures repeated from memory.
    pub remembered: u64,
    /// Nodes looked at by arithmetic.
    pub native: u64,
    /// Nodes looked at through the plugins.
    pub generic: u64,
    /// Verdicts taken from the cache.
    pub cached: u64,
}

impl Class {
    /// Learns how the pods of the class are judged. `state` is what PreFilter left for one of them. `None` if some plugin looks at
    /// more than the node itself.
    pub fn new(
        eyes: &Eyes<'_>,
        state: &mut CycleState,
        bases: &mut Bases,
        Identity { base, enough, remembered, without_volumes }: Identity,
    ) -> Option<Class> {
        let cluster = eyes.view.cluster;
        let (mut scorers, mut constant) = (Vec::new(), 0);
        for (i, entry) in eyes.profile.score.iter().enumerate() {
            if eyes.skipped().contains(&entry.plugin.name()) {
                continue;
            }
            match entry.plugin.pre_score(eyes.view, eyes.pod, state, &[]) {
                PreScore::Skip => {}
                PreScore::Error(_) => return None,
                PreScore::Continue => match entry.plugin.name() {
                    // Without soft taints every node has the full score.
                    taint_toleration::NAME => constant += MAX_NODE_SCORE * entry.weight,
                    "DynamicResources" => {}
                    image_locality::NAME if !cluster.has_images() => {}
                    fit::NAME | balanced::NAME | image_locality::NAME => scorers.push(i),
                    _ => return None,
                },
            }
        }
        let mut class = Class {
            spec: cluster.pod(eyes.pod).spec,
            synced: 0,
            fresh: true,
            ranking: Ranking::default(),
            sampled: 0,
            kinds: Vec::new(),
            kind_index: FxHashMap::default(),
            native_kinds: Vec::new(),
            counts: Vec::new(),
            version: 0,
            native: None,
            least_request: i128::MAX,
            exact: (None, false),
            kept: false,
            without_volumes,
            scorers,
            constant,
            known: None,
            failed: None,
        };
        let claim =
            if without_volumes { Some(None) } else { NativeClaim::of(cluster, eyes.table, eyes.pod, enough) };
        if let Some(claim) = claim {
            let made = |bases: &mut Bases| {
                let made = Base::new(cluster, eyes.pod, class.weights(eyes)?, remembered)?;
                bases.list.push(made);
                Some(bases.list.len() - 1)
            };
            let known = bases.index.get(&base).copied();
            let place = known.unwrap_or_else(|| {
                let place = made(bases);
                bases.index.insert(base, place);
                place
            });
            class.native = place.map(|base| Native { base, claim });
        }
        Some(class)
    }

    /// What the arithmetic needs to know of the profile; `None` if it does not say all there is to say about the pod on a plain node.
    fn weights(&self, eyes: &Eyes<'_>) -> Option<Weights> {
        let name = |i: &usize| eyes.profile.score[*i].plugin.name();
        if !eyes.profile.has_default_arithmetic()
            || self.scorers.iter().any(|i| name(i) == image_locality::NAME)
        {
            return None;
        }
        let weight = |wanted| {
            let of = self.scorers.iter().filter(|i| name(i) == wanted);
            of.map(|i| eyes.profile.score[*i].weight).sum()
        };
        Some(Weights { fit: weight(fit::NAME), balanced: weight(balanced::NAME), constant: self.constant })
    }
    /// Whether arithmetic may answer, with the pools of volumes as they are now.
    fn refresh(&mut self, cluster: &Cluster, table: &NodeTable) -> bool {
        let Some(native) = &mut self.native else { return false };
        if let Some(claim) = &mut native.claim {
            claim.refresh(cluster, table);
        }
        true
    }
    /// Would pods with the smallest request so far still be of this class?
    pub fn is_exact(&mut self, table: &NodeTable) -> bool {
        let asked = (self.least_request, table.capacity_count());
        if self.exact.0 != Some(asked) {
            let claim = self.native.as_ref().and_then(|native| native.claim.as_ref());
            let exact = self.least_request == i128::MAX
                || claim.is_none_or(|claim| table.enough(self.least_request) == claim.enough());
            self.exact = (Some(asked), exact);
        }
        self.exact.1
    }

    /// Looks at nodes in the given order until one more than `enough` is feasible, which does not count, as in Kubernetes. Remembers no
    /// verdicts: where few of many nodes are looked at, most would be stale. False if the plain scan has to answer.
    pub fn sample(
        &mut self,
        eyes: &Eyes<'_>,
        overlay: Option<&Overlay<'_>>,
        state: &mut CycleState,
        bases: &mut Bases,
        order: impl Iterator<Item = NodeId>,
        enough: usize,
        stats: &mut FastStats,
        sample: &mut Sample,
    ) -> bool {
        sample.clear();
        if !self.refresh(eyes.view.cluster, eyes.table) {
            return false;
        }
        for id in order {
            let said = match self.native_eval_again(bases, eyes.table, id) {
                Some(said) => said,
                None => {
                    stats.generic += 1;
                    let Some(said) = self.generic_eval(eyes, state, id) else { return false };
                    said
                }
            };
            match kind_of(said) {
                Some(kind) => sample.rejected.push((id, kind)),
                None => match overlay.and_then(|o| o.rejects(id)) {
                    Some(reason) => sample.related[reason] += 1,
                    None if sample.feasible.len() >= enough => break,
                    None => sample.feasible.push(Candidate::node(id, i64::from(said))),
                },
            }
            sample.looked_at += 1;
        }
        self.sampled += sample.looked_at;
        stats.native += sample.looked_at as u64;
        true
    }

    /// Looks again at every node touched since the last time. False if a score is out of range: the plain scan will say how.
    pub fn sync(
        &mut self,
        eyes: &Eyes<'_>,
        state: &mut CycleState,
        bases: &mut Bases,
        stats: &mut FastStats,
    ) -> bool {
        self.refresh(eyes.view.cluster, eyes.table);
        let position = self.start();
        let mut in_range = true;
        let mut looked_at = 0u64;
        eyes.table.visit_touched(position, |id| {
            looked_at += 1;
            let said = match self.native_eval(bases, eyes.table, id) {
                _ if !eyes.table.facts(id).exists => ABSENT,
                Some(said) => {
                    stats.native += 1;
                    said
                }
                None => {
                    stats.generic += 1;
                    let said = self.generic_eval(eyes, state, id);
                    in_range &= said.is_some();
                    said.unwrap_or(ABSENT)
                }
            };
            self.set(eyes.table.rank(id), said);
        });
        stats.cached += eyes.table.len() as u64 - looked_at;
        (self.fresh, self.synced) = (!in_range, eyes.table.end());
        in_range
    }

    /// The same by arithmetic alone; false if some node needs the plugins.
    pub fn sync_natively(
        &mut self,
        cluster: &Cluster,
        table: &NodeTable,
        bases: &mut Bases,
        stats: &mut FastStats,
    ) -> bool {
        if !self.fresh && self.synced == table.end() {
            return true;
        }
        if !self.refresh(cluster, table) {
            return false;
        }
        if self.is_unmoved(cluster, table, bases) {
            stats.cached += table.len() as u64;
            self.synced = table.end();
            return true;
        }
        // The class is changed while its arithmetic is asked.
        let Some(native) = self.native.take() else { return false };
        let base = &bases.list[native.base];
        let (complete, looked_at) = if self.fresh {
            (self.look_at_all(base, &native, table), table.len() as u64)
        } else {
            self.look_at_touched(base, &native, table)
        };
        self.native = Some(native);
        stats.native += looked_at;
        if complete {
            stats.cached += table.len() as u64 - looked_at;
            (self.fresh, self.synced, self.sampled) = (false, table.end(), 0);
        }
        complete
    }
    /// Every node lacks a volume for the claim, or room for one, and nothing else, and what has changed since that was found makes no difference to it: the
    /// lot of those who wait for disks while others come and go.
    fn is_unmoved(&self, cluster: &Cluster, table: &NodeTable, bases: &Bases) -> bool {
        let Some(Native { base, claim: Some(claim) }) = &self.native else { return false };
        !self.fresh
            && self.ranking.is_hopeless()
            && table.is_quiet(self.synced, claim.pools(), claim.room())
            && bases.list[*base].is_simple()
            && self.without_volume() == cluster.node_count()
    }
    /// How many nodes lack a volume, or room for one.
    fn without_volume(&self) -> usize {
        let kinds = self.native_kinds.iter().filter(|(pattern, _)| matches!(*pattern, NO_VOLUME | NO_SPACE));
        kinds.map(|(_, kind)| self.counts[usize::from(*kind)] as usize).sum()
    }
    fn look_at_touched(&mut self, base: &Base, native: &Native, table: &NodeTable) -> (bool, u64) {
        let (mut complete, mut looked_at) = (true, 0);
        table.visit_touched(self.synced, |id| {
            looked_at += 1;
            match self.hear(base, native, table, id) {
                Some(said) => self.set(table.rank(id), said),
                None => complete = false,
            }
        });
        (complete, looked_at)
    }
    fn look_at_all(&mut self, base: &Base, native: &Native, table: &NodeTable) -> bool {
        let ids = (0..table.len()).map(|rank| table.at_rank(NodeId::new(rank)));
        let said: Option<Vec<Said>> = ids.map(|id| self.hear(base, native, table, id)).collect();
        let Some(said) = said else { return false };
        self.counts.fill(0);
        for kind in said.iter().filter_map(|said| kind_of(*said)) {
            self.counts[usize::from(kind)] += 1;
        }
        self.version += 1;
        self.ranking.fill(said);
        true
    }
    /// What a node, if it is there, says by arithmetic alone; `None` if it needs the plugins.
    #[inline]
    fn hear(&mut self, base: &Base, native: &Native, table: &NodeTable, id: NodeId) -> Option<Said> {
        if !table.facts(id).exists {
            return Some(ABSENT);
        }
        match base.eval(native.claim.as_ref(), table, id)? {
            Ok(total) => Some(total),
            Err(pattern) => Some(rejected(self.native_kind(base, pattern))),
        }
    }
    /// Is it worth while to bring the verdicts up to date for a sample of about so many nodes?
    pub fn is_worth_keeping(&self, table: &NodeTable, sample: usize) -> bool {
        let pending = if self.fresh { table.len() } else { table.touched_since(self.synced) };
        pending <= self.sampled + sample
    }

    /// From where on the log is to be read.
    fn start(&self) -> u64 {
        if self.fresh { 0 } else { self.synced }
    }

    #[inline]
    fn set(&mut self, rank: NodeId, said: Said) {
        let old = self.ranking.set(rank, said);
        if old != said && (old < 0 || said < 0) {
            self.version += 1;
            if let Some(kind) = kind_of(old) {
                self.counts[usize::from(kind)] -= 1;
            }
            if let Some(kind) = kind_of(said) {
                self.counts[usize::from(kind)] += 1;
            }
        }
    }

    /// Through the plugins themselves: filter, then the active scores. `None` if a score is out of range.
    fn generic_eval(&mut self, eyes: &Eyes<'_>, state: &mut CycleState, id: NodeId) -> Option<Said> {
        let without = if self.without_volumes { VOLUME_PLUGINS } else { &[] };
        match eyes.profile.filter_except(eyes.view, eyes.pod, state, eyes.view.node(id), without) {
            Err(rejection) if rejection.code == Code::Error => None,
            Err(rejection) => Some(rejected(self.kind(rejection))),
            Ok(()) => {
                let mut total = self.constant;
                for &i in &self.scorers {
                    let entry = &eyes.profile.score[i];
                    state.evaluations += 1;
                    let score = entry.plugin.score(eyes.view, eyes.pod, state, id);
                    if !(0..=MAX_NODE_SCORE).contains(&score) {
                        return None;
                    }
                    total += score * entry.weight;
                }
                i32::try_from(total).ok().filter(|total| *total >= 0)
            }
        }
    }

    /// By arithmetic alone; `None` if the node needs the plugins.
    #[inline]
    fn native_eval(&mut self, bases: &Bases, table: &NodeTable, id: NodeId) -> Option<Said> {
        let native = self.native.as_ref()?;
        let base = bases.list.get(native.base)?;
        match base.eval(native.claim.as_ref(), table, id)? {
            Ok(total) => Some(total),
            Err(pattern) => Some(rejected(self.native_kind(base, pattern))),
        }
    }
    /// The same; what was said is remembered, whatever the claim.
    fn native_eval_again(&mut self, bases: &mut Bases, table: &NodeTable, id: NodeId) -> Option<Said> {
        let native = self.native.as_ref()?;
        let base = bases.list.get_mut(native.base)?;
        match base.eval_again(native.claim.as_ref(), table, id)? {
            Ok(total) => Some(total),
            Err(pattern) => Some(rejected(self.native_kind(base, pattern))),
        }
    }

    fn native_kind(&mut self, base: &Base, pattern: Pattern) -> u16 {
        if let Some((_, kind)) = self.native_kinds.iter().find(|(known, _)| *known == pattern) {
            return *kind;
        }
        let rejection = base.rejection(pattern);
        let kind = self.kind(rejection);
        self.native_kinds.push((pattern, kind));
        kind
    }

    fn kind(&mut self, rejection: Rejection) -> u16 {
        if let Some(&kind) = self.kind_index.get(&rejection) {
            return kind;
        }
        let kind = self.kinds.len() as u16;
        self.kinds.push(rejection.clone());
        self.counts.push(0);
        self.kind_index.insert(rejection, kind);
        kind
    }

    /// Tells these parts of the nodes apart.
    pub fn divide(&mut self, parts: &Arc<Parts>) {
        self.ranking.divide(parts);
    }
    /// The nodes by score.
    pub fn ranking(&self) -> &Ranking {
        &self.ranking
    }
    /// Kinds of rejections with the number of nodes that gave them.
    pub fn rejections(&self) -> impl Iterator<Item = (&Rejection, u32)> {
        self.kinds.iter().zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }
    /// The rejection of a node, if it gave one.
    pub fn rejection(&self, table: &NodeTable, id: NodeId) -> Option<&Rejection> {
        if id.index() >= table.len() {
            return None; // a row for a node that does not exist
        }
        let said = self.ranking.scores().get(table.rank(id).index());
        kind_of(said).map(|kind| self.kind_of(kind))
    }
    /// A kind of rejection met by [`Class::sample`].
    pub fn kind_of(&self, kind: u16) -> &Rejection {
        &self.kinds[usize::from(kind)]
    }

    /// How a pod of the class fails where no node takes it (pods with bound volumes: where their own nodes reject them), put together
    /// from what is known of the nodes. `None` where PostFilter would do more than say that nobody can make room.
    pub fn known(&mut self, cluster: &Cluster, profile: &Profile) -> Option<Arc<Known>> {
        if !says_the_usual(cluster, profile, self.spec) {
            return None;
        }
        if let Some((at, known)) = &self.known
            && *at == self.version
        {
            return Some(Arc::clone(known));
        }
        let known = Arc::new(self.put_together(cluster, profile)?);
        // One that says the same is shared: whoever kept the former can tell at a glance.
        let known = match &self.known {
            Some((_, before)) if **before == *known => Arc::clone(before),
            _ => known,
        };
        self.known = Some((self.version, Arc::clone(&known)));
        Some(known)
    }
    fn put_together(&self, cluster: &Cluster, profile: &Profile) -> Option<Known> {
        let nodes = cluster.node_count() as u32;
        let met: u32 = self.counts.iter().sum();
        let elsewhere = Rejection::text(
            volume_binding::NAME,
            Code::UnschedulableAndUnresolvable,
            volume_binding::NODE_CONFLICT,
        );
        let others = (&elsewhere, if self.without_volumes { nodes.saturating_sub(met) } else { 0 });
        let all = self.rejections().chain(Some(others).filter(|(_, count)| *count > 0));
        let (error, rejectors, curable) = sum_up(nodes, all);
        let post_filter = profile.post_filter_says(cluster.spec(self.spec), nodes, curable)?;
        Some(Known { result: Unschedulable { error, post_filter, nomination: None }, rejectors })
    }
    /// No node was feasible, and nothing has changed since.
    pub fn failed(&self, position: u64) -> Option<&Arc<Known>> {
        self.failed.as_ref().filter(|(at, _)| *at == position).map(|(_, known)| known)
    }
    /// Remembers a failure at a position of the log.
    pub fn remember(&mut self, position: u64, known: Arc<Known>) {
        self.failed = Some((position, known));
    }
}

/// PostFilter has nothing to look at: nobody who runs is less important than such a pod.
pub(super) fn says_the_usual(cluster: &Cluster, profile: &Profile, spec: SpecId) -> bool {
    let lowest = cluster.lowest_placed_priority();
    profile.has_usual_post_filter() && lowest.is_none_or(|lowest| lowest >= cluster.spec(spec).priority)
}

/// Counts reasons, who gave them, and the nodes where preemption might help.
pub(super) fn sum_up<'a>(
    nodes: u32,
    rejections: impl Iterator<Item = (&'a Rejection, u32)>,
) -> (FitError, Vec<PluginName>, u32) {
    let mut error = FitError { nodes, ..FitError::default() };
    let (mut rejectors, mut curable): (Vec<PluginName>, u32) = (Vec::new(), 0);
    for (rejection, count) in rejections {
        for &reason in rejection.reasons.as_slice() {
            error.count_nodes(reason, count);
        }
        if !rejectors.contains(&rejection.plugin) {
            rejectors.push(rejection.plugin);
        }
        curable += if rejection.code == Code::Unschedulable { count } else { 0 };
    }
    (error, rejectors, curable)
}
