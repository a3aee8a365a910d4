//! From what a trace says to what the simulation is given: order, times, claims, names. Every rule is explicit, and
//! [`super::assumptions`] puts the ones in force into words for the report.

use super::error::{TraceError, TraceResult};
use super::record::{TraceId, TracePod};
use super::source::TraceSource;
use crate::engine::rng::Streams;
use crate::engine::samplers;
use crate::engine::time::{SimDuration, SimTime};
use compact_str::CompactString;
use rand_chacha::ChaCha8Rng;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// How the trace's times are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceMode {
    /// Pod i arrives at i times the interval and never leaves.
    Fill {
        /// Time between arrivals.
        interval: SimDuration,
    },
    /// Times as given.
    Clock,
    /// Starts are divided by a factor in thousandths (100 000 is 100), lifetimes stay as they are.
    Compress {
        /// The factor times 1000, above 0.
        factor_milli: u64,
    },
}

impl TraceMode {
    /// The contract's default interval of `fill`.
    pub const FILL: TraceMode = TraceMode::Fill { interval: SimDuration::from_secs(1) };
}

/// A resource whose arrived demand ends a `fill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemandOf {
    /// CPU in millicores.
    Cpu,
    /// Memory in bytes.
    Memory,
    /// Bytes of claims.
    Disk,
    /// Thousandths of GPUs.
    Gpu,
}

/// `until: {cpu: 130%}`: `fill` goes on, drawing pods again when the list is exhausted, until this demand has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// Which demand.
    pub of: DemandOf,
    /// Arrivals stop once demand is at least this much, in the resource's unit: the share of what is allocatable.
    pub demand: u128,
}

/// Draws the size of a claim in bytes.
pub type SizeRule = Arc<dyn Fn(&mut ChaCha8Rng) -> u64 + Send + Sync>;

/// Where claims come from.
#[derive(Clone)]
pub enum ClaimRule {
    /// One claim of the trace's own disk request; none where the trace has no disk.
    Trace,
    /// The same for this share (0 to 1) of the pods, chosen by name; the others have no claims.
    TraceShare(f64),
    /// One claim of the trace's disk limit, where it has one: nothing is overcommitted.
    TraceLimit,
    /// Invented: this share (0 to 1) of the pods gets one claim of a drawn size. Marked synthetic in every report.
    Synthetic {
        /// Probability that a pod has a claim.
        share: f64,
        /// Its size.
        size: SizeRule,
    },
    /// No claims.
    None,
}

impl std::fmt::Debug for ClaimRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClaimRule::Trace => f.write_str("Trace"),
            ClaimRule::TraceShare(share) => write!(f, "TraceShare({share})"),
            ClaimRule::TraceLimit => f.write_str("TraceLimit"),
            ClaimRule::Synthetic { share, .. } => write!(f, "Synthetic({share})"),
            ClaimRule::None => f.write_str("None"),
        }
    }
}

/// All rules of a trace workload.
#[derive(Clone, Debug)]
pub struct ArrivalRules {
    /// Use of times.
    pub mode: TraceMode,
    /// End of a `fill`; without it every row is used once.
    pub until: Option<Until>,
    /// Only pods alive in `[from, to)`; `from` becomes time 0.
    pub window: Option<(SimTime, SimTime)>,
    /// Only every n-th group (job, application), by first appearance; 1: all.
    pub every_nth_job: u64,
    /// Claims.
    pub claims: ClaimRule,
    /// Pods of one group, role and shape become replicas of one set.
    pub sets: bool,
}

impl Default for ArrivalRules {
    fn default() -> ArrivalRules {
        ArrivalRules {
            mode: TraceMode::FILL,
            until: None,
            window: None,
            every_nth_job: 1,
            claims: ClaimRule::Trace,
            sets: false,
        }
    }
}

/// A claim of an arriving pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivalClaim {
    /// Template name; the claim is `<template>-<pod>`.
    pub template: String,
    /// Requested bytes.
    pub bytes: u64,
    /// The StorageClass that the trace names; otherwise the scenario's.
    pub class: Option<Box<str>>,
    /// Made by a rule, not by the trace.
    pub synthetic: bool,
}

/// A pod as the simulation gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Position, from 0.
    pub index: u64,
    /// When it is created.
    pub at: SimTime,
    /// When it ends; `None`: never.
    pub leaves: Option<SimTime>,
    /// Pod name, a DNS label, unique.
    pub name: String,
    /// The set that it is a replica of. Its claims were drawn by the set's name then: replicas of a set are equal.
    pub set: Option<String>,
    /// Its claims.
    pub claims: Vec<ArrivalClaim>,
    /// What the trace says.
    pub pod: TracePod,
}

/// Arrivals in time order; ties in the files' order.
pub struct Arrivals {
    source: TraceSource,
    rules: ArrivalRules,
    streams: Streams,
    names: Names,
    set_names: Names,
    sets: FxHashMap<SetKey, String>,
    groups: FxHashMap<u128, bool>,
    next: u64,
    /// All pods, kept when they may have to be drawn again.
    list: Vec<TracePod>,
    demand: u128,
    exhausted: bool,
}

impl Arrivals {
    /// Arrivals of a trace under the rules, with the draws of one replication.
    ///
    /// # Errors
    /// Impossible rules: `until` without `fill`, a demand that no pod of the trace has.
    pub fn new(source: TraceSource, rules: ArrivalRules, streams: Streams) -> TraceResult<Arrivals> {
        if rules.until.is_some() && !matches!(rules.mode, TraceMode::Fill { .. }) {
            return Err(TraceError::option("until needs mode: fill"));
        }
        if matches!(rules.mode, TraceMode::Compress { factor_milli: 0 }) {
            return Err(TraceError::option("compress needs a factor above 0"));
        }
        if rules.every_nth_job == 0 {
            return Err(TraceError::option("everyNthJob counts from 1"));
        }
        if let Some((from, to)) = rules.window
            && to <= from
        {
            return Err(TraceError::option("the window ends before it begins"));
        }
        Ok(Arrivals {
            source,
            rules,
            streams,
            names: Names::default(),
            set_names: Names::default(),
            sets: FxHashMap::default(),
            groups: FxHashMap::default(),
            next: 0,
            list: Vec::new(),
            demand: 0,
            exhausted: false,
        })
    }

    /// The trace behind, for its tally.
    pub fn source(&self) -> &TraceSource {
        &self.source
    }

    /// The next pod.
    ///
    /// # Errors
    /// As [`TraceSource::next_pod`], or a demand that the trace cannot make.
    pub fn next_arrival(&mut self) -> TraceResult<Option<Arrival>> {
        if self.rules.until.is_some_and(|until| self.demand >= until.demand) {
            return Ok(None);
        }
        let Some(pod) = self.next_pod()? else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        let (at, leaves) = self.times(index, &pod);
        let set = if self.rules.sets { self.set_of(&pod) } else { None };
        let name = self.names.unique(&pod.name);
        let claims = self.claims(set.as_deref().unwrap_or(&name), &pod);
        if let Some(until) = self.rules.until {
            self.demand += demand(until.of, &pod, &claims);
        }
        Ok(Some(Arrival { index, at, leaves, name, set, claims, pod }))
    }

    /// The set of a pod's group, role and shape: `<group>-<role>`, further shapes of the same get `-x2`, `-x3` ... A pod without
    /// a group is in no set.
    fn set_of(&mut self, pod: &TracePod) -> Option<String> {
        let group = pod.group.as_ref()?;
        let key = SetKey {
            group: group.clone(),
            role: pod.role.clone(),
            amounts: (pod.cpu_milli, pod.memory_bytes, pod.disk_bytes),
            gpus: (pod.gpu_count, pod.gpu_milli, pod.gpu_models.clone()),
            rules: (pod.priority, pod.max_per_node),
            claims: pod.claims.iter().map(|claim| (claim.name.clone(), claim.bytes)).collect(),
        };
        if let Some(name) = self.sets.get(&key) {
            return Some(name.clone());
        }
        let wanted = match &pod.role {
            Some(role) => TraceId::Text(format!("{group}-{role}").into()),
            None => group.clone(),
        };
        let name = self.set_names.unique(&wanted);
        self.sets.insert(key, name.clone());
        Some(name)
    }

    fn next_pod(&mut self) -> TraceResult<Option<TracePod>> {
        while !self.exhausted {
            let Some(pod) = self.source.next_pod()? else {
                self.exhausted = true;
                break;
            };
            let Some(pod) = self.selected(pod) else { continue };
            if self.rules.until.is_some() {
                self.list.push(pod.clone());
            }
            return Ok(Some(pod));
        }
        if self.rules.until.is_none() {
            return Ok(None);
        }
        if self.list.is_empty() || self.demand == 0 {
            return Err(TraceError::option("no pod of the trace asks for the resource of until"));
        }
        let mut stream = self.streams.stream("trace-resample", &self.next.to_string());
        let drawn = &self.list[samplers::index(&mut stream, self.list.len())];
        let name = TraceId::Text(format!("{}-r{}", drawn.name, self.next).into());
        Ok(Some(TracePod { name, ..drawn.clone() }))
    }

    /// Applies window and thinning.
    fn selected(&mut self, mut pod: TracePod) -> Option<TracePod> {
        if let Some((from, to)) = self.rules.window {
            if pod.arrival_or_start() >= to || pod.end.is_some_and(|end| end <= from) {
                return None;
            }
            let shift = |t: SimTime| SimTime::from_nanos(t.since(from).as_nanos());
            pod.arrival = pod.arrival.filter(|&t| t > from).map(shift);
            pod.end = pod.end.map(shift);
            pod.scheduled = pod.scheduled.map(shift);
        }
        let n = self.rules.every_nth_job;
        if n > 1 {
            let job = pod.group.as_ref().unwrap_or(&pod.name).fingerprint();
            let ordinal = self.groups.len() as u64;
            if !*self.groups.entry(job).or_insert(ordinal.is_multiple_of(n)) {
                return None;
            }
        }
        Some(pod)
    }

    fn times(&self, index: u64, pod: &TracePod) -> (SimTime, Option<SimTime>) {
        let start = pod.arrival_or_start();
        match self.rules.mode {
            TraceMode::Fill { interval } => (SimTime::ZERO + interval.saturating_mul(index), None),
            TraceMode::Clock => (start, pod.end),
            TraceMode::Compress { factor_milli } => {
                let nanos = u128::from(start.as_nanos()) * 1000 / u128::from(factor_milli);
                let at = SimTime::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
                (at, pod.end.map(|end| at + end.since(start)))
            }
        }
    }

    fn claims(&self, name: &str, pod: &TracePod) -> Vec<ArrivalClaim> {
        let data =
            |bytes, synthetic| ArrivalClaim { template: "data".to_owned(), bytes, class: None, synthetic };
        let own = match &self.rules.claims {
            ClaimRule::None => return Vec::new(),
            ClaimRule::Trace => pod.disk_bytes,
            ClaimRule::TraceShare(share) => {
                let mut stream = self.streams.stream("trace-claim", name);
                if samplers::unit(&mut stream) >= *share {
                    return Vec::new();
                }
                pod.disk_bytes
            }
            ClaimRule::TraceLimit => pod.disk_limit_bytes.or(pod.disk_bytes),
            ClaimRule::Synthetic { share, size } => {
                let mut stream = self.streams.stream("trace-claim", name);
                if samplers::unit(&mut stream) >= *share {
                    return Vec::new();
                }
                let mut stream = self.streams.stream("trace-claim-size", name);
                return vec![data(size(&mut stream), true)];
            }
        };
        let named = pod.claims.iter().map(|claim| ArrivalClaim {
            template: claim.name.to_string(),
            bytes: claim.bytes,
            class: claim.class.clone(),
            synthetic: false,
        });
        own.filter(|&bytes| bytes > 0).map(|bytes| data(bytes, false)).into_iter().chain(named).collect()
    }
}

fn demand(of: DemandOf, pod: &TracePod, claims: &[ArrivalClaim]) -> u128 {
    u128::from(match of {
        DemandOf::Cpu => pod.cpu_milli,
        DemandOf::Memory => pod.memory_bytes,
        DemandOf::Gpu => pod.gpu_milli_total(),
        DemandOf::Disk => claims.iter().map(|c| c.bytes).sum(),
    })
}

impl Iterator for Arrivals {
    type Item = TraceResult<Arrival>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_arrival().transpose()
    }
}

/// What pods of one set have in common.
#[derive(PartialEq, Eq, Hash)]
struct SetKey {
    group: TraceId,
    role: Option<CompactString>,
    amounts: (u64, u64, Option<u64>),
    gpus: (u32, u32, Vec<CompactString>),
    rules: (Option<i64>, Option<u32>),
    claims: Vec<(Box<str>, u64)>,
}

/// Makes names: DNS labels, each once.
#[derive(Default)]
struct Names {
    used: FxHashSet<u128>,
}

impl Names {
    fn unique(&mut self, id: &TraceId) -> String {
        let label = dns_label(&id.to_string());
        if self.used.insert(TraceId::from(label.as_str()).fingerprint()) {
            return label;
        }
        // Two names of the trace became the same label.
        let mut n = 2u64;
        loop {
            let suffix = format!("-x{n}");
            let head = label[..label.len().min(63 - suffix.len())].trim_end_matches('-');
            let candidate = format!("{head}{suffix}");
            if self.used.insert(TraceId::from(candidate.as_str()).fingerprint()) {
                return candidate;
            }
            n += 1;
        }
    }
}

/// A name as a DNS label: lower case, `-` for everything but letters, digits and `-`, none at the ends, at most 63 bytes (a
/// longer one keeps its head and gets a hash).
pub fn dns_label(name: &str) -> String {
    let mut label: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    if label.len() > 63 {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        label = format!("{}-{}", label[..52].trim_end_matches('-'), &hash[..10]);
    }
    let label = label.trim_matches('-');
    if label.is_empty() { "pod".to_owned() } else { label.to_owned() }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
