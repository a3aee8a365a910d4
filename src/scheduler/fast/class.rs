//! What is known about one kind of pod on every node.
//!
//! Pods of one spec whose claims ask for the same meet the same verdict and score on a node that has not changed. A class keeps
//! both per node, and looks again only at nodes that were touched since.

use super::nodes::{NodeRow, NodeTable};
use super::ranking::Ranking;
use crate::model::ids::{Id, NodeId, PodId};
use crate::model::names::sym;
use crate::model::spec::PodSpec;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;
use crate::scheduler::plugins::{
    image_locality, node_resources_balanced_allocation as balanced, node_resources_fit as fit,
    node_volume_limits, taint_toleration, volume_binding, volume_restrictions, volume_zone,
};
use crate::scheduler::profile::Profile;
use rustc_hash::FxHashMap;

/// The plugins that look at volumes. The filters behind them have nothing to say about a pod of the fast path.
const VOLUME_PLUGINS: &[PluginName] =
    &[volume_restrictions::NAME, node_volume_limits::NAME, volume_binding::NAME, volume_zone::NAME];

/// Verdicts: feasible, not there, or one more than an index of `Class::kinds`.
const FEASIBLE: u16 = 0;
const ABSENT: u16 = u16::MAX;

/// What a node says to the class.
enum Eval {
    Total(i32),
    Kind(u16),
}

/// The arithmetic of the usual pod (cpu, memory, at most one claim; default scoring) without a call of a plugin.
#[derive(Clone, Debug)]
struct Native {
    requests: [i64; 3],
    scoring: [i64; 2],
    claim: Option<NativeClaim>,
    fit_weight: i64,
    /// 0 if the plugin skips the pod.
    balanced_weight: i64,
}

/// One waiting claim without a selector.
#[derive(Clone, Copy, Debug)]
struct NativeClaim {
    request: i128,
    pools: u64,
    known_pools: usize,
}

/// One kind of pod on all nodes.
#[derive(Debug)]
pub(super) struct Class {
    synced: u64,
    fresh: bool,
    verdicts: Vec<u16>,
    ranking: Ranking,
    kinds: Vec<Rejection>,
    kind_index: FxHashMap<Rejection, u16>,
    /// Kinds of the native arithmetic's rejections, by pattern of bits.
    native_kinds: [u16; 64],
    counts: Vec<u32>,
    native: Option<Native>,
    /// Volumes are left out: for pods whose volumes are bound, which are asked about their own node only.
    without_volumes: bool,
    /// Active Score plugins (index in the profile).
    scorers: Vec<usize>,
    /// What plugins add to every node alike.
    constant: i64,
    /// The outcome when no node was feasible, and at which position of the log.
    pub failed: Option<(u64, Failure)>,
}

/// A remembered failure: what PostFilter said, and who rejected.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub result: crate::scheduler::cycle::Unschedulable,
    pub rejectors: Vec<PluginName>,
}

/// What looking at some of the nodes found.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// How many nodes were looked at.
    pub looked_at: usize,
    /// How many were feasible.
    pub feasible: usize,
    /// The feasible nodes of the highest total, in the order in which they were met.
    pub top: Vec<NodeId>,
    best: i32,
    /// The others with their kind of rejection.
    pub rejected: Vec<(NodeId, u16)>,
}

impl Sample {
    fn note(&mut self, node: NodeId, total: i32) {
        if self.feasible == 0 || total > self.best {
            self.best = total;
            self.top.clear();
        }
        if total == self.best {
            self.top.push(node);
        }
        self.feasible += 1;
    }
}

/// Everything an evaluation reads.
pub(super) struct Eyes<'a> {
    pub profile: &'a Profile,
    pub view: View<'a>,
    pub pod: PodId,
    pub table: &'a NodeTable,
}

/// Counters of work done, for `--stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastStats {
    /// Attempts that the fast path decided.
    pub decided: u64,
    /// Of these, failures repeated from memory.
    pub remembered: u64,
    /// Attempts left to the plain scan.
    pub plain: u64,
    /// Nodes looked at by arithmetic.
    pub native: u64,
    /// Nodes looked at through the plugins.
    pub generic: u64,
    /// Verdicts taken from the cache.
    pub cached: u64,
}

const TOO_MANY_PODS: u8 = 1;
const NO_VOLUME: u8 = 16;
const UNRESOLVABLE: u8 = 32;

impl Class {
    /// Learns how the pods of the class are judged. `state` is what PreFilter left for one of them. `None` if some plugin looks at
    /// more than the node itself.
    pub fn new(eyes: &Eyes<'_>, state: &mut CycleState, without_volumes: bool) -> Option<Class> {
        let cluster = eyes.view.cluster;
        let (mut scorers, mut constant) = (Vec::new(), 0);
        for (i, entry) in eyes.profile.score.iter().enumerate() {
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
            synced: 0,
            fresh: true,
            verdicts: Vec::new(),
            ranking: Ranking::default(),
            kinds: Vec::new(),
            kind_index: FxHashMap::default(),
            native_kinds: [ABSENT; 64],
            counts: Vec::new(),
            native: None,
            without_volumes,
            scorers,
            constant,
            failed: None,
        };
        class.native = class.native(eyes);
        Some(class)
    }

    /// The native arithmetic, if it says all there is to say about the pod on a plain node.
    fn native(&self, eyes: &Eyes<'_>) -> Option<Native> {
        let cluster = eyes.view.cluster;
        let spec = cluster.spec_of(eyes.pod);
        if !is_usual(spec) || !eyes.profile.has_default_arithmetic() {
            return None;
        }
        let claims: Vec<_> = cluster.claim_names_of(eyes.pod).flatten().collect();
        let claim = match claims[..] {
            _ if self.without_volumes => None,
            [] => None,
            [name] => {
                let claim = cluster.claim_by_name(spec.namespace, name)?;
                let claim = cluster.claim_spec_of(claim);
                if claim.selector.as_ref().is_some_and(|s| !s.is_everything()) {
                    return None;
                }
                let (pools, known_pools) = eyes.table.pools_for(claim);
                Some(NativeClaim { request: claim.request.nanos(), pools, known_pools })
            }
            _ => return None,
        };
        let weight = |name| {
            let entry = self.scorers.iter().map(|i| &eyes.profile.score[*i]);
            entry.filter(|e| e.plugin.name() == name).map(|e| e.weight).sum()
        };
        let known = self.scorers.iter().map(|i| eyes.profile.score[*i].plugin.name());
        if known.into_iter().any(|name| name == image_locality::NAME) {
            return None;
        }
        let requests = &spec.requests;
        Some(Native {
            requests: [requests.cpu_milli, requests.memory_bytes, requests.ephemeral_bytes],
            scoring: [spec.scoring_requests.cpu_milli, spec.scoring_requests.memory_bytes],
            claim,
            fit_weight: weight(fit::NAME),
            balanced_weight: weight(balanced::NAME),
        })
    }

    /// Looks at nodes in the given order until one more than `enough` is feasible, which does not count, as in Kubernetes. Remembers no
    /// verdicts: where few of many nodes are looked at, most would be stale. `None` if the plain scan has to answer.
    pub fn sample(
        &mut self,
        eyes: &Eyes<'_>,
        state: &mut CycleState,
        order: impl Iterator<Item = NodeId>,
        enough: usize,
        stats: &mut FastStats,
    ) -> Option<Sample> {
        self.refresh_native(eyes);
        self.native.as_ref()?;
        let mut sample = Sample::default();
        for id in order {
            let row = eyes.table.row(id);
            let eval = match self.native_eval(row) {
                Some(Ok(total)) => Eval::Total(total),
                Some(Err(bits)) => Eval::Kind(self.native_kind(bits)),
                None => {
                    stats.generic += 1;
                    self.generic_eval(eyes, state, id)?
                }
            };
            match eval {
                Eval::Total(_) if sample.feasible >= enough => break,
                Eval::Total(total) => sample.note(id, total),
                Eval::Kind(kind) => sample.rejected.push((id, kind)),
            }
            sample.looked_at += 1;
        }
        stats.native += sample.looked_at as u64;
        self.synced = eyes.table.end();
        Some(sample)
    }

    /// Pools of volumes that came since the class was made may serve its claim too.
    fn refresh_native(&mut self, eyes: &Eyes<'_>) {
        if let Some(claim) = self.native.as_ref().and_then(|n| n.claim)
            && claim.known_pools != eyes.table.pool_count()
        {
            self.native = self.native(eyes);
        }
    }

    /// Looks again at every node touched since the last time. False if a score is out of range: the plain scan will say how.
    pub fn sync(&mut self, eyes: &Eyes<'_>, state: &mut CycleState, stats: &mut FastStats) -> bool {
        self.refresh_native(eyes);
        if self.fresh {
            self.verdicts.resize(eyes.table.len(), ABSENT);
        }
        let position = if self.fresh { 0 } else { self.synced };
        let mut in_range = true;
        let mut looked_at = 0u64;
        eyes.table.visit_touched(position, |id| {
            looked_at += 1;
            in_range &= self.look(eyes, state, id, stats);
        });
        stats.cached += eyes.table.len() as u64 - looked_at;
        (self.fresh, self.synced) = (!in_range, eyes.table.end());
        in_range
    }

    fn look(&mut self, eyes: &Eyes<'_>, state: &mut CycleState, id: NodeId, stats: &mut FastStats) -> bool {
        let row = eyes.table.row(id);
        let rank = eyes.table.rank(id);
        if !row.exists {
            self.set(id, rank, ABSENT, None);
            return true;
        }
        let eval = match self.native_eval(row) {
            Some(Ok(total)) => {
                stats.native += 1;
                Eval::Total(total)
            }
            Some(Err(bits)) => {
                stats.native += 1;
                Eval::Kind(self.native_kind(bits))
            }
            None => {
                stats.generic += 1;
                match self.generic_eval(eyes, state, id) {
                    Some(eval) => eval,
                    None => return false,
                }
            }
        };
        match eval {
            Eval::Total(total) => self.set(id, rank, FEASIBLE, Some(total)),
            Eval::Kind(kind) => self.set(id, rank, kind, None),
        }
        true
    }

    fn set(&mut self, id: NodeId, rank: NodeId, verdict: u16, total: Option<i32>) {
        let old = std::mem::replace(&mut self.verdicts[id.index()], verdict);
        if old != verdict {
            if old != ABSENT && old != FEASIBLE {
                self.counts[usize::from(old) - 1] -= 1;
            }
            if verdict != ABSENT && verdict != FEASIBLE {
                self.counts[usize::from(verdict) - 1] += 1;
            }
        }
        self.ranking.set(rank, total);
    }

    /// Through the plugins themselves: filter, then the active scores. `None` if a score is out of range.
    fn generic_eval(&mut self, eyes: &Eyes<'_>, state: &mut CycleState, id: NodeId) -> Option<Eval> {
        let without = if self.without_volumes { VOLUME_PLUGINS } else { &[] };
        match eyes.profile.filter_except(eyes.view, eyes.pod, state, eyes.view.node(id), without) {
            Err(rejection) if rejection.code == Code::Error => None,
            Err(rejection) => Some(Eval::Kind(self.kind(rejection))),
            Ok(()) => {
                let mut total = self.constant;
                for &i in &self.scorers {
                    let entry = &eyes.profile.score[i];
                    let score = entry.plugin.score(eyes.view, eyes.pod, state, id);
                    if !(0..=MAX_NODE_SCORE).contains(&score) {
                        return None;
                    }
                    total += score * entry.weight;
                }
                i32::try_from(total).ok().map(Eval::Total)
            }
        }
    }

    /// By arithmetic alone; `None` if the node needs the plugins. An error is a pattern of reasons.
    fn native_eval(&self, row: &NodeRow) -> Option<Result<i32, u8>> {
        let native = self.native.as_ref().filter(|_| row.plain)?;
        let mut bits = if row.free_pods < 1 { TOO_MANY_PODS } else { 0 };
        for (i, &want) in native.requests.iter().enumerate() {
            if want > 0 && want > row.allocatable[i].wrapping_sub(row.requested[i]) {
                bits |= 2 << i;
                if want > row.allocatable[i] {
                    bits |= UNRESOLVABLE;
                }
            }
        }
        if bits != 0 {
            return Some(Err(bits));
        }
        if let Some(claim) = native.claim {
            let fits =
                |v: &super::nodes::FreeVolume| claim.pools >> v.pool & 1 == 1 && v.capacity >= claim.request;
            if !row.free.iter().any(fits) {
                return if row.overflow { None } else { Some(Err(NO_VOLUME)) };
            }
        }
        let [cpu, memory] = [0, 1].map(|i| (row.allocatable[i], row.nonzero[i], native.scoring[i]));
        let score = least_allocated(cpu, memory)?;
        let mut total = self.constant + score * native.fit_weight;
        if native.balanced_weight != 0 {
            let pair = [0, 1].map(|i| (row.allocatable[i], row.requested[i], native.requests[i]));
            total += balanced_allocation(pair)? * native.balanced_weight;
        }
        i32::try_from(total).ok().map(Ok)
    }

    fn native_kind(&mut self, bits: u8) -> u16 {
        let known = self.native_kinds[usize::from(bits)];
        if known != ABSENT {
            return known;
        }
        let rejection = if bits == NO_VOLUME {
            let code = Code::UnschedulableAndUnresolvable;
            Rejection::text(volume_binding::NAME, code, volume_binding::BIND_CONFLICT)
        } else {
            let all = [
                (TOO_MANY_PODS, Reason::Text(fit::TOO_MANY_PODS)),
                (2, Reason::Insufficient(sym::CPU)),
                (4, Reason::Insufficient(sym::MEMORY)),
                (8, Reason::Insufficient(sym::EPHEMERAL_STORAGE)),
            ];
            let mut reasons: Vec<Reason> =
                all.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, r)| r).collect();
            let unresolvable = bits & UNRESOLVABLE != 0;
            let code = if unresolvable { Code::UnschedulableAndUnresolvable } else { Code::Unschedulable };
            let reasons = match reasons[..] {
                [one] => Reasons::One(one),
                _ => Reasons::Many(std::mem::take(&mut reasons)),
            };
            Rejection { plugin: fit::NAME, code, reasons }
        };
        let kind = self.kind(rejection);
        self.native_kinds[usize::from(bits)] = kind;
        kind
    }

    fn kind(&mut self, rejection: Rejection) -> u16 {
        if let Some(&kind) = self.kind_index.get(&rejection) {
            return kind;
        }
        self.kinds.push(rejection.clone());
        self.counts.push(0);
        let kind = self.kinds.len() as u16;
        self.kind_index.insert(rejection, kind);
        kind
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
    pub fn rejection(&self, id: NodeId) -> Option<&Rejection> {
        match self.verdicts[id.index()] {
            FEASIBLE | ABSENT => None,
            kind => Some(&self.kinds[usize::from(kind) - 1]),
        }
    }
    /// A kind of rejection met by [`Class::sample`].
    pub fn kind_of(&self, kind: u16) -> &Rejection {
        &self.kinds[usize::from(kind) - 1]
    }
    /// How far the class has read the log.
    pub fn position(&self) -> u64 {
        self.synced
    }
}

/// Nothing in the spec concerns a plugin that the native arithmetic leaves out.
fn is_usual(spec: &PodSpec) -> bool {
    spec.host_ports.is_empty()
        && spec.node_selector.is_empty()
        && spec.affinity.is_none()
        && spec.requests.scalars.iter().all(|(_, amount)| *amount == 0)
        && !spec.volumes.iter().any(|v| matches!(v, crate::model::spec::PodVolume::Exclusive { .. }))
}

/// NodeResourcesFit's LeastAllocated over cpu and memory of equal weight: (allocatable, non-zero requested, the pod's).
/// `None` where Go's arithmetic would leave the range.
fn least_allocated(cpu: (i64, i64, i64), memory: (i64, i64, i64)) -> Option<i64> {
    let mut sum = 0;
    let mut weights = 0;
    for (allocatable, used, request) in [cpu, memory] {
        if allocatable == 0 {
            continue;
        }
        let requested = used.checked_add(request)?;
        if requested <= allocatable {
            sum += allocatable.checked_sub(requested)?.checked_mul(MAX_NODE_SCORE)? / allocatable;
        }
        weights += 1;
    }
    let score = if weights == 0 { 0 } else { sum / weights };
    (0..=MAX_NODE_SCORE).contains(&score).then_some(score)
}

/// NodeResourcesBalancedAllocation over cpu and memory: (allocatable, requested, the pod's). Same operations in the same order.
fn balanced_allocation(resources: [(i64, i64, i64); 2]) -> Option<i64> {
    let balance = |with_pod: bool| -> Option<i64> {
        let mut shares = [0.0f64; 2];
        let mut count = 0;
        for (allocatable, requested, pod) in resources {
            if allocatable != 0 {
                let used = if with_pod { requested.checked_add(pod)? } else { requested };
                shares[count] = (used as f64 / allocatable as f64).min(1.0);
                count += 1;
            }
        }
        let std = if count == 2 { ((shares[0] - shares[1]) / 2.0).abs() } else { 0.0 };
        Some(((1.0 - std) * MAX_NODE_SCORE as f64) as i64)
    };
    let score = MAX_NODE_SCORE / 2 + (MAX_NODE_SCORE / 2 + balance(true)? - balance(false)?) / 2;
    (0..=MAX_NODE_SCORE).contains(&score).then_some(score)
}
