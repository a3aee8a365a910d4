//! The arithmetic of the usual pod on the usual node, without a call of a plugin: node selector, requests, at most one claim;
//! NodeResourcesFit's and NodeResourcesBalancedAllocation's scores by default arguments.
//!
//! What it says is what the plugins would say; where it cannot tell it says nothing, and the plugins are asked.

use super::nodes::{EASY, Facts, NOWHERE, NodeTable};
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimSpecId, Id, NodeId, PodId};
use crate::model::names::{Sym, sym};
use crate::model::spec::{PodSpec, PodVolume};
use crate::scheduler::framework::*;
use crate::scheduler::plugins::{node_affinity, node_resources_fit as fit, volume_binding};

/// Extended resources that have a bit in a pattern.
const MAX_SCALARS: usize = 4;

/// Why a node was rejected: a set of bits.
pub(super) type Pattern = u16;
const NOT_SELECTED: Pattern = 1;
const TOO_MANY_PODS: Pattern = 1 << 1;
/// cpu; memory, ephemeral storage and the scalars follow.
const INSUFFICIENT: u32 = 2;
const UNRESOLVABLE: Pattern = 1 << 9;
pub(super) const NO_VOLUME: Pattern = 1 << 10;
/// A volume could be made there, but not of that size.
pub(super) const NO_SPACE: Pattern = 1 << 11;

/// One waiting claim without a selector.
#[derive(Clone, Debug)]
pub(super) struct NativeClaim {
    spec: ClaimSpecId,
    /// What is asked for, or the least capacity of any volume that is enough, in 10^-9 bytes.
    enough: i128,
    pools: Vec<u8>,
    known_pools: usize,
    /// Where its volume can be made, if somebody makes it, and how many bytes are asked for.
    made: Option<(usize, i64)>,
}

/// What a node says to a pod of a shape, as far as arithmetic can tell: the total score, or (negative) why not.
type Said = i32;

/// The plugins have to be asked.
const ASK: Said = i32::MIN;

/// The arithmetic for the pods of one shape, whatever their claims, and what it said of each node the last time.
#[derive(Clone, Debug)]
pub(super) struct Base {
    requests: [i64; 3],
    scalars: Vec<(Sym, i64)>,
    scoring: [i64; 2],
    /// Per node: node selector and required node affinity allow it. `None`: the pod has neither.
    selected: Option<Vec<bool>>,
    weights: Weights,
    /// Nothing but CPU, memory and ephemeral storage is asked for, in amounts that no operation can make overflow.
    easy: bool,
    /// By node: its version then, and what it said, for kinds of pods whose verdicts are not kept. Made when first wanted.
    said: Vec<(u32, Said)>,
    remembered: usize,
}

/// Weights of the two plugins whose scores are computed, 0 if they skip the pod, and what the others add to every node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub fit: i64,
    pub balanced: i64,
    pub constant: i64,
}

impl NativeClaim {
    /// The claim of a pod, if it has one; `None` if arithmetic does not say all there is to say about the pod's claims. Any volume of at
    /// least `enough` does.
    pub fn of(
        cluster: &Cluster,
        table: &NodeTable,
        pod: PodId,
        enough: Option<i128>,
    ) -> Option<Option<NativeClaim>> {
        let spec = cluster.spec_of(pod);
        let claims: Vec<_> = cluster.claim_names_of(pod).flatten().collect();
        match claims[..] {
            [] => Some(None),
            [name] => native_claim(cluster, table, spec, name, enough).map(Some),
            _ => None,
        }
    }
    /// Pools of volumes that came since the class was made may serve its claim too.
    pub fn refresh(&mut self, cluster: &Cluster, table: &NodeTable) {
        if self.known_pools != table.pool_count() {
            (self.pools, self.known_pools) = table.pools_for(cluster.claim_spec(self.spec));
        }
    }
    /// The pools whose volumes may serve it.
    pub fn pools(&self) -> &[u8] {
        &self.pools
    }
    /// Where its volume can be made, if somebody makes it.
    pub fn room(&self) -> Option<usize> {
        self.made.map(|(room, _)| room)
    }
    /// The least capacity that is enough.
    pub fn enough(&self) -> i128 {
        self.enough
    }
    /// What the node lacks for it, 0 if it has or can make a volume. `None` if not all of its volumes are known.
    #[inline]
    fn lacks(&self, table: &NodeTable, id: NodeId) -> Option<Pattern> {
        if self.pools.iter().any(|pool| table.largest_free(*pool, id) >= self.enough) {
            return Some(0);
        }
        if table.facts(id).overflow {
            return None;
        }
        let Some((room, bytes)) = self.made else { return Some(NO_VOLUME) };
        Some(match table.largest_made(room, id) {
            NOWHERE => NO_VOLUME,
            largest if largest >= bytes => 0,
            _ => NO_SPACE,
        })
    }
}

/// What was said to the pod, and what the node's volumes say to its claim.
#[inline]
fn with_claim(
    said: Said,
    claim: Option<&NativeClaim>,
    table: &NodeTable,
    id: NodeId,
) -> Option<Result<i32, Pattern>> {
    match said {
        ASK => None,
        0.. => match claim.map_or(Some(0), |claim| claim.lacks(table, id))? {
            0 => Some(Ok(said)),
            lacking => Some(Err(lacking)),
        },
        pattern => Some(Err((-1 - pattern) as Pattern)),
    }
}

impl Base {
    /// For pods like this one; `None` if arithmetic does not say all there is to say about them on a plain node.
    pub fn new(cluster: &Cluster, pod: PodId, weights: Weights, remembered: usize) -> Option<Base> {
        let spec = cluster.spec_of(pod);
        let scalars: Vec<(Sym, i64)> =
            spec.requests.scalars.iter().copied().filter(|(_, amount)| *amount > 0).collect();
        if !is_usual(spec) || scalars.len() > MAX_SCALARS {
            return None;
        }
        let requests = [spec.requests.cpu_milli, spec.requests.memory_bytes, spec.requests.ephemeral_bytes];
        let scoring = [spec.scoring_requests.cpu_milli, spec.scoring_requests.memory_bytes];
        let amounts = [requests[0], requests[1], scoring[0], scoring[1]];
        let easy = scalars.is_empty() && amounts.iter().all(|amount| EASY.contains(amount));
        let selected = selected_nodes(cluster, spec);
        Some(Base { requests, scalars, scoring, selected, weights, easy, said: Vec::new(), remembered })
    }

    /// The total score of the node or why it is rejected; `None` if the node needs the plugins.
    #[inline]
    pub fn eval(
        &self,
        claim: Option<&NativeClaim>,
        table: &NodeTable,
        id: NodeId,
    ) -> Option<Result<i32, Pattern>> {
        let facts = table.facts(id);
        if !self.has_room(facts, id) {
            return with_claim(self.judge(table, id), claim, table, id);
        }
        // Where there is no volume, the score does not matter.
        let lacking = claim.map_or(Some(0), |claim| claim.lacks(table, id))?;
        if lacking != 0 {
            return Some(Err(lacking));
        }
        match self.score(facts) {
            ASK => None,
            total => Some(Ok(total)),
        }
    }
    /// Nothing but the claim can be in the way. (If not, something may be.)
    #[inline]
    fn has_room(&self, facts: &Facts, id: NodeId) -> bool {
        let fits = |i: usize| self.requests[i] <= 0 || self.requests[i] <= facts.free[i];
        self.easy
            && facts.easy
            && facts.plain
            && !facts.full
            && fits(0)
            && fits(1)
            && fits(2)
            && self.selected.as_ref().is_none_or(|selected| selected[id.index()])
    }
    /// Does only the claim matter on a roomy node?
    pub fn is_simple(&self) -> bool {
        self.easy && self.selected.is_none()
    }
    /// What is asked for: CPU, memory, ephemeral storage.
    pub fn requests(&self) -> [i64; 3] {
        self.requests
    }
    /// The same; what was said of a node is remembered until that changes.
    pub fn eval_again(
        &mut self,
        claim: Option<&NativeClaim>,
        table: &NodeTable,
        id: NodeId,
    ) -> Option<Result<i32, Pattern>> {
        if self.said.is_empty() {
            self.said = vec![(0, ASK); self.remembered];
        }
        let version = table.version(id);
        let said = match self.said.get(id.index()) {
            Some((then, said)) if *then == version => *said,
            _ => {
                let said = self.judge(table, id);
                if let Some(slot) = self.said.get_mut(id.index()) {
                    *slot = (version, said);
                }
                said
            }
        };
        with_claim(said, claim, table, id)
    }

    /// What the node says to the pod, but for its claims.
    #[inline]
    fn judge(&self, table: &NodeTable, id: NodeId) -> Said {
        let facts = table.facts(id);
        if !facts.plain {
            return ASK;
        }
        if self.selected.as_ref().is_some_and(|selected| !selected[id.index()]) {
            return -1 - i32::from(NOT_SELECTED);
        }
        if self.has_room(facts, id) { self.score(facts) } else { self.compute(table, id) }
    }
    /// The total score of a node with room.
    #[inline]
    fn score(&self, facts: &Facts) -> Said {
        let mut total = self.weights.constant + self.least_allocated(facts) * self.weights.fit;
        if self.weights.balanced != 0 {
            let pair = [0, 1].map(|i| {
                let have = facts.allocatable[i];
                (have, have - facts.free[i] + self.requests[i])
            });
            let score = balanced_score(balance_of(pair), i64::from(facts.balance));
            if !(0..=MAX_NODE_SCORE).contains(&score) {
                return ASK;
            }
            total += score * self.weights.balanced;
        }
        i32::try_from(total).ok().filter(|total| *total >= 0).unwrap_or(ASK)
    }

    /// [`least_allocated`] of easy amounts.
    #[inline]
    fn least_allocated(&self, facts: &Facts) -> i64 {
        let score = |i: usize| {
            let have = facts.allocatable[i];
            let left = have - facts.nonzero[i] - self.scoring[i];
            if left < 0 { 0 } else { (left as u64 * MAX_NODE_SCORE as u64 / have as u64) as i64 }
        };
        (score(0) + score(1)) / 2
    }

    /// [`Base::judge`] of any amounts.
    #[cold]
    fn compute(&self, table: &NodeTable, id: NodeId) -> Said {
        match self.compute_in_full(table, id) {
            Some(Ok(total)) if total >= 0 => total,
            Some(Err(pattern)) => -1 - i32::from(pattern),
            _ => ASK,
        }
    }
    fn compute_in_full(&self, table: &NodeTable, id: NodeId) -> Option<Result<i32, Pattern>> {
        let (facts, row) = (table.facts(id), table.row(id));
        let mut bits = if facts.full { TOO_MANY_PODS } else { 0 };
        let mut check = |bit: u32, want: i64, have: i64, used: i64| {
            if want > 0 && want > have.wrapping_sub(used) {
                bits |= 1 << (INSUFFICIENT + bit);
                if want > have {
                    bits |= UNRESOLVABLE;
                }
            }
        };
        for (i, &want) in self.requests.iter().enumerate() {
            check(i as u32, want, row.allocatable[i], row.requested[i]);
        }
        for (i, &(name, want)) in self.scalars.iter().enumerate() {
            let (have, used) = row.scalar(name);
            check(3 + i as u32, want, have, used);
        }
        if bits != 0 {
            return Some(Err(bits));
        }
        let [cpu, memory] = [0, 1].map(|i| (row.allocatable[i], facts.nonzero[i], self.scoring[i]));
        let mut total = self.weights.constant + least_allocated(cpu, memory)? * self.weights.fit;
        if self.weights.balanced != 0 {
            let pair = [0, 1].map(|i| (row.allocatable[i], row.requested[i], self.requests[i]));
            total += balanced_allocation(pair, i64::from(facts.balance))? * self.weights.balanced;
        }
        i32::try_from(total).ok().map(Ok)
    }

    /// The rejection that a pattern stands for.
    pub fn rejection(&self, pattern: Pattern) -> Rejection {
        let code = Code::UnschedulableAndUnresolvable;
        match pattern {
            NO_VOLUME => return Rejection::text(volume_binding::NAME, code, volume_binding::BIND_CONFLICT),
            NO_SPACE => return Rejection::text(volume_binding::NAME, code, volume_binding::NOT_ENOUGH_SPACE),
            NOT_SELECTED => return Rejection::text(node_affinity::NAME, code, node_affinity::NO_MATCH),
            _ => {}
        }
        let usual = [sym::CPU, sym::MEMORY, sym::EPHEMERAL_STORAGE];
        let resources = usual.into_iter().chain(self.scalars.iter().map(|(name, _)| *name));
        let mut reasons: Vec<Reason> = Vec::new();
        if pattern & TOO_MANY_PODS != 0 {
            reasons.push(Reason::Text(fit::TOO_MANY_PODS));
        }
        let lacking = resources.enumerate().filter(|(i, _)| pattern >> (INSUFFICIENT + *i as u32) & 1 == 1);
        reasons.extend(lacking.map(|(_, name)| Reason::Insufficient(name)));
        let code = if pattern & UNRESOLVABLE != 0 { code } else { Code::Unschedulable };
        let reasons = match reasons[..] {
            [one] => Reasons::One(one),
            _ => Reasons::Many(reasons),
        };
        Rejection { plugin: fit::NAME, code, reasons }
    }
}

fn native_claim(
    cluster: &Cluster,
    table: &NodeTable,
    spec: &PodSpec,
    name: crate::model::names::Name,
    enough: Option<i128>,
) -> Option<NativeClaim> {
    let claim = cluster.claim(cluster.claim_by_name(spec.namespace, name)?);
    let asked = cluster.claim_spec(claim.spec);
    if asked.selector.as_ref().is_some_and(|s| !s.is_everything()) {
        return None;
    }
    let (pools, known_pools) = table.pools_for(asked);
    let enough = enough.unwrap_or(asked.request.nanos());
    let made = table.room(asked.class_or_empty()).map(|room| (room, asked.request.value()));
    Some(NativeClaim { spec: claim.spec, enough, pools, known_pools, made })
}

/// Which nodes the pod's node selector and required node affinity allow. Labels of nodes do not change while a class lives.
fn selected_nodes(cluster: &Cluster, spec: &PodSpec) -> Option<Vec<bool>> {
    if spec.node_selector.is_empty() && spec.affinity.as_ref().is_none_or(|a| a.node_required.is_none()) {
        return None;
    }
    let allows = |id| {
        let node = cluster.node(id);
        spec.allows_node(node.name, cluster.label_set(node.labels), &cluster.names)
    };
    Some(cluster.nodes().ids().map(allows).collect())
}

/// Nothing in the spec concerns a plugin that the arithmetic leaves out.
fn is_usual(spec: &PodSpec) -> bool {
    spec.host_ports.is_empty()
        && spec.affinity.as_ref().is_none_or(|a| a.node_preferred.is_empty())
        && !spec.volumes.iter().any(|v| matches!(v, PodVolume::Exclusive { .. }))
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

/// How evenly cpu and memory are used, 0..=100: (allocatable, requested) of each. Same operations in the same order as the plugin.
pub(super) fn balance(resources: [(i64, i64); 2]) -> i64 {
    let mut shares = [0.0f64; 2];
    let mut count = 0;
    for (allocatable, used) in resources {
        if allocatable != 0 {
            shares[count] = (used as f64 / allocatable as f64).min(1.0);
            count += 1;
        }
    }
    let std = if count == 2 { ((shares[0] - shares[1]) / 2.0).abs() } else { 0.0 };
    ((1.0 - std) * MAX_NODE_SCORE as f64) as i64
}
/// The same where both are allocatable.
#[inline]
fn balance_of([cpu, memory]: [(i64, i64); 2]) -> i64 {
    let share = |(have, used): (i64, i64)| (used as f64 / have as f64).min(1.0);
    let std = ((share(cpu) - share(memory)) / 2.0).abs();
    ((1.0 - std) * MAX_NODE_SCORE as f64) as i64
}
#[inline]
fn balanced_score(with: i64, without: i64) -> i64 {
    MAX_NODE_SCORE / 2 + (MAX_NODE_SCORE / 2 + with - without) / 2
}

/// NodeResourcesBalancedAllocation over cpu and memory: (allocatable, requested, the pod's), and the balance without the pod.
fn balanced_allocation(resources: [(i64, i64, i64); 2], without: i64) -> Option<i64> {
    let mut with_pod = [(0, 0); 2];
    for (slot, (allocatable, requested, pod)) in with_pod.iter_mut().zip(resources) {
        *slot = (allocatable, requested.checked_add(pod)?);
    }
    let score = balanced_score(balance(with_pod), without);
    (0..=MAX_NODE_SCORE).contains(&score).then_some(score)
}
