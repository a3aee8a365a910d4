//! The end of a run: the summary of a variant.

use super::Metrics;
use super::incidents::MOST_INCIDENTS;
use super::samples::{MOST_STATES, ratio};
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::observe::causes;
use crate::observe::counterfactual::stuck_by_binding;
use crate::observe::durations::Durations;
use crate::observe::integral::Integral;
use crate::observe::replicas::{Owner, OwnerKey, Status};
use crate::results::VariantOutput;
use crate::results::summary::*;
use std::collections::BTreeSet;

mod recovery;
mod tables;

/// The last message about a pod, in Kubernetes' words.
pub type Message<'a> = &'a dyn Fn(&Cluster, PodId) -> Option<String>;

/// How a run ended, and what only the world knows.
pub struct Ending<'a> {
    /// Name of the variant.
    pub name: String,
    /// When.
    pub end: SimTime,
    /// Nothing was left that could change anything: who has waited for exactly `stuckAfter` is stuck.
    pub quiet: bool,
    /// Agenda events delivered.
    pub events: u64,
    /// Digest of the observations.
    pub digest: String,
    /// The last message about a pod.
    pub message: Message<'a>,
}

/// Who is stuck at the end, and by binding.
struct Verdicts {
    stuck: Vec<PodId>,
    by_binding: BTreeSet<PodId>,
}

impl Metrics {
    /// Everything that was measured. `cluster` is the state at the end.
    pub fn finish(mut self, cluster: &mut Cluster, ending: &Ending<'_>) -> VariantOutput {
        let end = ending.end;
        self.advance(end);
        self.settle(end, cluster);
        if ending.quiet {
            self.replicas.pass_deadlines(end, cluster);
            self.settle_storage(end, cluster);
        }
        self.samples.touch();
        self.last_sample(end, cluster);
        self.first_reached(end, cluster);
        let stuck: Vec<PodId> =
            self.replicas.tracks().filter(|(_, t)| t.wanted && t.clock.stuck).map(|(id, _)| id).collect();
        let by_binding = stuck_by_binding(cluster, self.stranding.filters(), end, &stuck);
        let verdicts = Verdicts { stuck, by_binding: by_binding.into_iter().collect() };
        let messages = self.messages(cluster, ending.message, &verdicts.stuck);
        let pending_p99_seconds = self.pending_p99();
        self.groups.finish();
        let summary = self.summary(cluster, ending, &verdicts, &messages);
        let left_out = self.left_out(&ending.name);
        VariantOutput {
            left_out,
            pods: tables::pods(&self, cluster, &verdicts, ending),
            claims: tables::claims(&self, cluster),
            nodes: tables::nodes(&self, cluster),
            volumes: tables::volumes(&self, cluster),
            timeseries: std::mem::take(&mut self.samples.rows),
            stranding: std::mem::take(&mut self.samples.stranding),
            groups: recovery::rows(&self, cluster, ending),
            incidents: self.incidents.take(),
            node_heat: std::mem::take(&mut self.samples.states),
            events_jsonl: None,
            exempt: None,
            work: crate::results::tables::Work::default(),
            notes: Vec::new(),
            pending_p99_seconds,
            sets_stuck_ever: self.replicas.counts().sets_stuck_ever,
            summary,
        }
    }

    /// What the tables do not hold because there was too much of it.
    fn left_out(&self, variant: &str) -> Vec<Assumption> {
        let assume = |path: &str, value: String, note: &str| Assumption {
            path: format!("{variant}/{path}"),
            value,
            source: AssumptionSource::Default,
            note: note.to_owned(),
        };
        let mut found = Vec::new();
        if self.gone.without_row > 0 {
            let value = format!("{} rows left out", self.gone.without_row);
            let note =
                "pods and claims that are gone have a row only up to a limit; every number counts them";
            found.push(assume("pods.csv, claims.csv", value, note));
        }
        if self.samples.period > self.settings.sample {
            let value = format!("every {} s", self.samples.period.as_secs_f64());
            let note = "the run is too long for the period asked for: every second sample was dropped, several times";
            found.push(assume("timeseries.csv", value, note));
        }
        if self.samples.states.len() >= MOST_STATES {
            let value = format!("the first {MOST_STATES} changes");
            found.push(assume("node_states.csv", value, "later changes of nodes have no row"));
        }
        if self.incidents.is_cut() {
            let value = format!("the first {MOST_INCIDENTS} incidents");
            found.push(assume("incidents.csv", value, "later failures and recoveries have no row"));
        }
        found
    }

    /// Rows of pods and claims that were left out of the tables because too many came and went.
    pub fn rows_left_out(&self) -> u64 {
        self.gone.without_row
    }

    /// The 99th percentile of creation to assignment, the never assigned counting as infinite.
    fn pending_p99(&mut self) -> Option<f64> {
        let living = self.replicas.tracks().filter(|(_, t)| !t.was_assigned()).count() as u64;
        let never = self.replicas.counts().gone_unscheduled + living;
        if never == 0 && self.pending.is_empty() {
            return Some(0.0);
        }
        self.pending.percentile_among(99, never).map(|d| d.as_secs_f64())
    }

    /// One message per stuck replica.
    fn messages(&self, cluster: &Cluster, message: Message<'_>, stuck: &[PodId]) -> Vec<String> {
        let mut messages: Vec<String> = stuck
            .iter()
            .map(|pod| {
                let said = message(cluster, *pod).filter(|m| !m.is_empty());
                let cause = self.replicas.track(*pod).and_then(|t| t.cause);
                said.unwrap_or_else(|| match cause {
                    Some(StuckCause::NotModelled) => causes::not_modelled(cluster, *pod),
                    other => default_message(other).to_owned(),
                })
            })
            .collect();
        let absent = self.replicas.counts().stuck_by[StuckCause::NotCreated as usize];
        messages.extend((0..absent).map(|_| default_message(Some(StuckCause::NotCreated)).to_owned()));
        messages
    }

    fn summary(
        &mut self,
        cluster: &Cluster,
        ending: &Ending<'_>,
        verdicts: &Verdicts,
        messages: &[String],
    ) -> VariantSummary {
        let whole = ending.end.since(SimTime::ZERO);
        let onset = self.samples.onset;
        let stranded = StrandedSummary {
            end: self.samples.stranded.clone(),
            peak: self.samples.peak.clone(),
            time_weighted: self.samples.mean(ending.end),
            onset,
        };
        let mut with_unscheduled = std::mem::take(&mut self.unscheduled);
        for (_, track) in self.replicas.tracks().filter(|(_, t)| !t.was_assigned()) {
            with_unscheduled.push(ending.end.since(track.created));
        }
        let pending_seconds = percentiles(&mut self.pending);
        self.pending.append(with_unscheduled);
        VariantSummary {
            name: ending.name.clone(),
            digest: ending.digest.clone(),
            pods: self.pods(ending, verdicts, messages),
            sets: self.sets(cluster, verdicts),
            claims: ClaimCounts {
                created: self.claim_totals.created,
                bound: self.claim_totals.bound,
                pending: self.claim_totals.pending,
                lost: self.claim_totals.lost,
            },
            pending_seconds,
            pending_seconds_with_unscheduled: percentiles(&mut self.pending),
            storage: StorageSummary::new(self.storage.totals().clone(), self.storage.means(whole)),
            stranded,
            utilization: self.utilization(ending),
            recovery: recovery::summary(self, cluster, ending),
            events: ending.events,
            decisions: self.decisions,
            simulated_seconds: whole.as_secs_f64(),
        }
    }

    fn pods(&self, ending: &Ending<'_>, verdicts: &Verdicts, messages: &[String]) -> PodCounts {
        let counts = self.replicas.counts();
        let whole = ending.end.since(SimTime::ZERO);
        let stuck_by = StuckCause::ALL
            .into_iter()
            .filter(|c| counts.stuck_by[*c as usize] > 0)
            .map(|c| (c, counts.stuck_by[c as usize]))
            .collect();
        let unassigned = self.replicas.tracks().filter(|(_, t)| !t.was_assigned()).count() as u64;
        PodCounts {
            wanted: counts.wanted,
            created: counts.created,
            running: counts.status(Status::Running),
            pending: counts.status(Status::Pending),
            terminating: counts.status(Status::Terminating),
            completed: counts.status(Status::Completed),
            failed: counts.status(Status::Failed),
            deleted: counts.deleted,
            not_created: counts.absent,
            stuck: counts.stuck(),
            stuck_by,
            stuck_by_binding: verdicts.by_binding.len() as u64,
            stuck_ever: counts.stuck_ever,
            stuck_seconds: self.integrals.stuck.seconds(),
            unschedulable_average: self.integrals.unschedulable.mean(whole, counts.unschedulable.into()),
            never_scheduled: counts.gone_unscheduled + unassigned,
            stuck_reasons: stuck_reasons(messages.iter().cloned()),
        }
    }

    fn sets(&self, cluster: &Cluster, verdicts: &Verdicts) -> SetCounts {
        let sets = cluster.stateful_sets().ids().map(OwnerKey::StatefulSet);
        let replica_sets = cluster.replica_sets().ids().map(OwnerKey::ReplicaSet);
        let living: Vec<&Owner> = sets
            .chain(replica_sets)
            .filter_map(|key| self.replicas.owner(key))
            .filter(|o| o.exists)
            .collect();
        let mut by_binding: Vec<OwnerKey> = verdicts
            .by_binding
            .iter()
            .filter_map(|pod| self.replicas.track(*pod)?.owner)
            .filter(|key| !matches!(key, OwnerKey::Job(_)))
            .collect();
        by_binding.sort_unstable();
        by_binding.dedup();
        SetCounts {
            wanted: living.len() as u64,
            whole: living.iter().filter(|o| o.is_whole()).count() as u64,
            stuck: living.iter().filter(|o| o.is_stuck()).count() as u64,
            stuck_by_binding: by_binding.len() as u64,
        }
    }

    fn utilization(&self, ending: &Ending<'_>) -> UtilizationSummary {
        let compute = &self.compute;
        let of = |used: i128, all: i128| (all > 0).then(|| used as f64 / all as f64);
        let storage = ratio(self.storage.bound_bytes(), self.storage.totals().capacity_bytes);
        let at_end = Utilization {
            cpu: of(compute.cpu_requested, compute.cpu),
            memory: of(compute.memory_requested, compute.memory),
            storage,
        };
        if ending.end == SimTime::ZERO {
            let Utilization { cpu, memory, storage } = at_end;
            return UtilizationSummary { cpu, memory, storage, at_end };
        }
        let share = |used: Integral, all: Integral| used.share_of(all);
        let i = &self.integrals;
        UtilizationSummary {
            cpu: share(i.cpu_requested, i.cpu),
            memory: share(i.memory_requested, i.memory),
            storage: self.storage.utilization(),
            at_end,
        }
    }
}

/// What is said about a stuck replica about which nobody has said anything.
fn default_message(cause: Option<StuckCause>) -> &'static str {
    match cause {
        Some(StuckCause::NotCreated) => {
            "not created: an earlier pod of the StatefulSet is not Running and Ready"
        }
        Some(StuckCause::NodeGone) => "the pod is Terminating, or its node is not Ready or gone",
        Some(StuckCause::NodeName) => "spec.nodeName was set by hand, and the pod cannot start there",
        Some(StuckCause::UnboundClaim) => "the pod has unbound immediate PersistentVolumeClaims",
        Some(StuckCause::NotModelled) => "the pod waits for something that is not modelled",
        Some(StuckCause::BindError) => "binding the pod failed",
        Some(StuckCause::Recovering) => "the member is being rebuilt",
        Some(StuckCause::Unschedulable) | None => "no attempt has been made to schedule the pod",
    }
}

fn percentiles(durations: &mut Durations) -> Percentiles {
    let mut of = |percent| durations.percentile(percent).map(|d| d.as_secs_f64());
    Percentiles { p50: of(50), p90: of(90), p99: of(99), max: of(100) }
}
