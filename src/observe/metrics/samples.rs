//! Samples: the rows of `timeseries.csv`, `stranding.csv` and `node_states.csv`, and what is measured only at samples.

use super::Metrics;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::ids::Id;
use crate::observe::integral::Integral;
use crate::observe::replicas::Status;
use crate::results::summary::{Stranded, StuckCause};
use crate::results::tables::{NodeHeatRow, NodeState, SampleRow, StrandingRow};

/// Samples that are kept at most: with more, every other one is dropped and the period doubles. A month of minutes fits.
const MOST_SAMPLES: usize = 50_000;
/// Changes of nodes' states that are kept at most.
pub(super) const MOST_STATES: usize = 500_000;
/// Stranded CPU above this share of allocatable is the onset of stranding.
const ONSET_SHARE: (i128, i128) = (5, 100);

/// What the samples have seen.
#[derive(Debug)]
pub struct Samples {
    pub(super) period: SimDuration,
    next: SimTime,
    /// Something changed since stranding was measured.
    dirty: bool,
    /// What was stranded at the last measurement.
    pub stranded: Stranded,
    /// What was stranded at the last sample, and when that was.
    held: Option<(SimTime, Stranded)>,
    cpu_time: f64,
    memory_time: Integral,
    disk_time: Integral,
    nodes_time: f64,
    /// The largest of each over the samples.
    pub peak: Stranded,
    /// Share of PV bytes bound when stranding began.
    pub onset: Option<f64>,
    /// `timeseries.csv`.
    pub rows: Vec<SampleRow>,
    /// `stranding.csv`.
    pub stranding: Vec<StrandingRow>,
    next_percent: u32,
    /// `node_states.csv`.
    pub states: Vec<NodeHeatRow>,
    last_states: Vec<NodeState>,
    /// What each node ran out of first, and when.
    pub exhausted: Vec<Option<(NodeState, SimTime)>>,
}

impl Samples {
    /// One every `period`, from 0 on.
    pub fn new(period: SimDuration) -> Samples {
        Samples {
            period: if period.is_zero() { SimDuration::from_nanos(1) } else { period },
            next: SimTime::ZERO,
            dirty: true,
            stranded: Stranded::default(),
            held: None,
            cpu_time: 0.0,
            memory_time: Integral::default(),
            disk_time: Integral::default(),
            nodes_time: 0.0,
            peak: Stranded::default(),
            onset: None,
            rows: Vec::new(),
            stranding: Vec::new(),
            next_percent: 0,
            states: Vec::new(),
            last_states: Vec::new(),
            exhausted: Vec::new(),
        }
    }
    /// Something changed.
    pub fn touch(&mut self) {
        self.dirty = true;
    }
    /// When the next sample is due.
    pub fn next_tick(&self, not_before: SimTime) -> Option<SimTime> {
        (self.next < SimTime::MAX).then_some(self.next.max(not_before.min(self.next)))
    }
    /// Time-weighted mean over the samples up to `end`: each holds until the next.
    pub fn mean(&mut self, end: SimTime) -> Stranded {
        self.hold(end);
        let whole = end.since(SimTime::ZERO);
        if whole.is_zero() {
            return self.stranded.clone();
        }
        let seconds = whole.as_secs_f64();
        Stranded {
            cpu_milli: self.cpu_time / seconds,
            memory_bytes: self.memory_time.mean_rounded(whole, 0),
            disk_bytes: self.disk_time.mean_rounded(whole, 0),
            nodes: self.nodes_time / seconds,
        }
    }

    /// The last sample's values held until `at`.
    fn hold(&mut self, at: SimTime) {
        if let Some((since, stranded)) = &mut self.held {
            let span = at.since(*since);
            self.cpu_time += stranded.cpu_milli * span.as_secs_f64();
            self.nodes_time += stranded.nodes * span.as_secs_f64();
            self.memory_time.add(stranded.memory_bytes, span);
            self.disk_time.add(stranded.disk_bytes, span);
            *since = at;
        }
    }

    fn sampled(&mut self, at: SimTime) {
        self.hold(at);
        let now = self.stranded.clone();
        self.peak.cpu_milli = self.peak.cpu_milli.max(now.cpu_milli);
        self.peak.memory_bytes = self.peak.memory_bytes.max(now.memory_bytes);
        self.peak.disk_bytes = self.peak.disk_bytes.max(now.disk_bytes);
        self.peak.nodes = self.peak.nodes.max(now.nodes);
        self.held = Some((at, now));
    }

    fn push(&mut self, row: SampleRow) {
        if self.rows.last().is_some_and(|last| last.seconds == row.seconds) {
            self.rows.pop();
        }
        self.rows.push(row);
    }

    fn thin(&mut self) {
        if self.rows.len() <= MOST_SAMPLES {
            return;
        }
        let mut index = 0;
        self.rows.retain(|_| {
            index += 1;
            index % 2 == 1
        });
        self.period = self.period.saturating_mul(2);
        self.next = self.next.next_tick(SimTime::ZERO, self.period);
    }
}

impl Metrics {
    /// Measures what is stranded, if anything changed since that was last done.
    fn measure_stranded(&mut self, at: SimTime, cluster: &mut Cluster) {
        if !std::mem::take(&mut self.samples.dirty) {
            return;
        }
        self.samples.stranded = self.stranding.measure(at, cluster, &self.storage);
        let share = self.samples.stranded.cpu_milli * ONSET_SHARE.1 as f64;
        if self.samples.onset.is_none() && share > (self.compute.cpu * ONSET_SHARE.0) as f64 {
            let capacity = self.storage.totals().capacity_bytes;
            self.samples.onset = Some(ratio(self.storage.bound_bytes(), capacity).unwrap_or(0.0));
        }
        self.note_states(at, cluster);
    }

    fn note_states(&mut self, at: SimTime, cluster: &Cluster) {
        let states = self.stranding.states();
        let s = &mut self.samples;
        s.last_states.resize(states.len(), NodeState::Room);
        s.exhausted.resize(states.len(), None);
        for &node in self.stranding.judged() {
            let i = node.index();
            let state = states[i];
            if s.last_states[i] == state || (state == NodeState::Down && !cluster.node(node).exists) {
                continue;
            }
            s.last_states[i] = state;
            if s.exhausted[i].is_none() && !matches!(state, NodeState::Room | NodeState::Down) {
                s.exhausted[i] = Some((state, at));
            }
            if s.states.len() < MOST_STATES {
                let name = cluster.names.text(cluster.node(node).name).into();
                s.states.push(NodeHeatRow { seconds: at.as_secs_f64(), node: name, state });
            }
        }
    }

    /// A sample is due.
    pub(super) fn take_sample(&mut self, at: SimTime, cluster: &mut Cluster) {
        self.measure_stranded(at, cluster);
        self.samples.sampled(at);
        let row = self.sample_row(at);
        self.samples.push(row);
        self.samples.next = at + self.samples.period;
        self.samples.thin();
    }

    /// The end of the run is a sample too, wherever it falls.
    pub(super) fn last_sample(&mut self, at: SimTime, cluster: &mut Cluster) {
        self.measure_stranded(at, cluster);
        self.samples.sampled(at);
        let row = self.sample_row(at);
        self.samples.push(row);
    }

    /// Rows of `stranding.csv` for every percent of PV bytes bound that is reached for the first time.
    pub(super) fn first_reached(&mut self, at: SimTime, cluster: &mut Cluster) {
        let capacity = self.storage.totals().capacity_bytes;
        let bound = self.storage.bound_bytes();
        if bound.saturating_mul(100) < capacity.saturating_mul(self.samples.next_percent.into()) {
            return; // asked at every instant: without a division
        }
        let Some(percent) = bound.saturating_mul(100).checked_div(capacity) else { return };
        let percent = u32::try_from(percent).unwrap_or(100).min(100);
        if percent < self.samples.next_percent {
            return;
        }
        self.measure_stranded(at, cluster);
        let counts = self.replicas.counts();
        let stranded = &self.samples.stranded;
        let row = StrandingRow {
            bound_percent: 0,
            seconds: at.as_secs_f64(),
            bound_bytes: bound,
            capacity_bytes: capacity,
            cpu_stranded_share: share(stranded.cpu_milli, self.compute.cpu),
            memory_stranded_share: share(stranded.memory_bytes as f64, self.compute.memory),
            cpu_stranded_milli: stranded.cpu_milli,
            memory_stranded_bytes: stranded.memory_bytes,
            wanted: counts.wanted,
            running: counts.status(Status::Running),
            stuck: counts.stuck(),
        };
        for bound_percent in self.samples.next_percent..=percent {
            self.samples.stranding.push(StrandingRow { bound_percent, ..row.clone() });
        }
        self.samples.next_percent = percent + 1;
    }

    fn sample_row(&self, at: SimTime) -> SampleRow {
        let counts = self.replicas.counts();
        let stuck = |cause: StuckCause| counts.stuck_by[cause as usize];
        let bytes = self.storage.totals();
        let stranded = &self.samples.stranded;
        let narrow = |n: i128| i64::try_from(n).unwrap_or(i64::MAX);
        let wide = |n: i128| u128::try_from(n).unwrap_or(0);
        SampleRow {
            seconds: at.as_secs_f64(),
            wanted: counts.wanted,
            running: counts.status(Status::Running),
            pending: counts.status(Status::Pending),
            terminating: counts.status(Status::Terminating),
            unschedulable: counts.unschedulable,
            stuck: counts.stuck(),
            stuck_unschedulable: stuck(StuckCause::Unschedulable),
            stuck_unbound_claim: stuck(StuckCause::UnboundClaim),
            stuck_bind_error: stuck(StuckCause::BindError),
            stuck_node_name: stuck(StuckCause::NodeName),
            stuck_node_gone: stuck(StuckCause::NodeGone),
            stuck_not_created: stuck(StuckCause::NotCreated),
            stuck_recovering: stuck(StuckCause::Recovering),
            stuck_not_modelled: stuck(StuckCause::NotModelled),
            claims_bound: self.claim_totals.bound,
            claims_pending: self.claim_totals.pending,
            claims_lost: self.claim_totals.lost,
            capacity_bytes: bytes.capacity_bytes,
            requested_bytes: bytes.requested_bytes,
            over_size_bytes: bytes.over_size_bytes,
            released_bytes: bytes.released_bytes,
            free_bytes: bytes.free_bytes,
            unreachable_bytes: bytes.unreachable_bytes,
            held_by_stuck_bytes: bytes.held_by_stuck_bytes,
            orphaned_bytes: bytes.orphaned_bytes,
            unusable_free_bytes: bytes.unusable_free_bytes,
            cpu_allocatable_milli: narrow(self.compute.cpu),
            cpu_requested_milli: narrow(self.compute.cpu_requested),
            cpu_stranded_milli: stranded.cpu_milli,
            memory_allocatable_bytes: wide(self.compute.memory),
            memory_requested_bytes: wide(self.compute.memory_requested),
            memory_stranded_bytes: stranded.memory_bytes,
            disk_stranded_bytes: stranded.disk_bytes,
            nodes_stranded: stranded.nodes as u64,
            nodes: self.compute.nodes,
            nodes_ready: self.compute.ready,
            groups_degraded: self.groups.degraded,
            groups_quorum_lost: self.groups.quorum_lost,
        }
    }
}

/// `part` of `all`; `None` if that is nothing.
pub(super) fn ratio(part: u128, all: u128) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

fn share(part: f64, all: i128) -> f64 {
    if all > 0 { part / all as f64 } else { 0.0 }
}
