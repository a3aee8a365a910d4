//! Replays a case: loads its objects and makes the recorded attempts as the recording harness did.

use super::case::*;
use crate::control::provisioner::csi::RecordingProvisioner;
use crate::control::pv;
use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use crate::manifest::lower::{self, LowerError};
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, NodeId, PodId, VolumeId};
use crate::model::pod::{PodPhase, StartOrder};
use crate::model::volume::ClaimPhase;
use crate::scheduler::cycle::{Attempt, Detail, Engine, Outcome, Request, Scheduler, pre_bind_error};
use crate::scheduler::framework::{Binding, Code, Rejection};
use crate::scheduler::plugins::score;
use crate::scheduler::plugins::volume_binding::{self, assume::BindError};
use crate::scheduler::profile::{Profile, ProfileConfig};
use k8s_openapi::api::{apps, core, policy, scheduling, storage};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the replay of a case did.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// State of the claims that the recording lists, after loading.
    pub immediate_bindings: Vec<ImmediateBinding>,
    /// The attempts.
    pub steps: Vec<Expect>,
}

/// Why a case cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An object cannot be read.
    #[error("objects[{index}]: {source}")]
    Json {
        /// Which object.
        index: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An object cannot become part of the model.
    #[error("objects[{index}]: {source}")]
    Object {
        /// Which object.
        index: usize,
        /// What is wrong with it.
        source: LowerError,
    },
    /// An object without a kind.
    #[error("objects[{index}]: no kind")]
    Kind {
        /// Which object.
        index: usize,
    },
    /// A step names a pod that is not there.
    #[error("steps[{step}]: there is no pod {pod:?}, or it is bound")]
    Pod {
        /// Which step.
        step: usize,
        /// The pod.
        pod: String,
    },
    /// The scheduler configuration cannot be built.
    #[error(transparent)]
    Config(#[from] crate::scheduler::profile::ConfigError),
}

/// Replays a case. The fast engine keeps no record of nodes and scores, so only its decisions are told.
///
/// # Errors
/// [`ReplayError`] for a case that is not one.
pub fn replay(case: &Case, engine: Engine) -> Result<Replayed, ReplayError> {
    let mut world = World::load(case, engine)?;
    world.settle();
    let immediate_bindings = case.immediate_bindings.iter().map(|b| world.claim_state(&b.pvc)).collect();
    let mut steps = Vec::with_capacity(case.steps.len());
    for (index, step) in case.steps.iter().enumerate() {
        let pod = world.pod(&step.pod).filter(|pod| world.cluster.pod(*pod).placed().is_none());
        let pod = pod.ok_or_else(|| ReplayError::Pod { step: index, pod: step.pod.clone() })?;
        steps.push(world.step(index, pod, case.config.compact));
    }
    Ok(Replayed { immediate_bindings, steps })
}

/// Start of the recordings' clock, 2026-01-01T00:00:00Z, in seconds since 1970.
const START: i64 = 1_767_225_600;

/// The replayed world: cluster, scheduler, and the harness' provisioner.
struct World {
    cluster: Cluster,
    scheduler: Scheduler,
    provisioner: RecordingProvisioner,
    detail: Detail,
}

fn parse<T: DeserializeOwned>(object: &Value, index: usize) -> Result<T, ReplayError> {
    T::deserialize(object).map_err(|source| ReplayError::Json { index, source })
}

/// Adds one object of a recording.
pub(crate) fn load_object(cluster: &mut Cluster, object: &Value, index: usize) -> Result<(), ReplayError> {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let source = match kind {
        "Node" => lower::add_node(cluster, &parse(object, index)?).map(drop),
        "StorageClass" => lower::add_class(cluster, &parse(object, index)?),
        "Namespace" => lower::add_namespace(cluster, &parse::<core::v1::Namespace>(object, index)?),
        "Service" => lower::add_service(cluster, &parse::<core::v1::Service>(object, index)?),
        "ReplicaSet" => {
            lower::add_replica_set(cluster, &parse::<apps::v1::ReplicaSet>(object, index)?).map(drop)
        }
        "ReplicationController" => {
            lower::add_replication_controller(cluster, &parse(object, index)?).map(drop)
        }
        "StatefulSet" => {
            lower::add_stateful_set(cluster, &parse::<apps::v1::StatefulSet>(object, index)?).map(drop)
        }
        "Deployment" => {
            lower::add_deployment(cluster, &parse::<apps::v1::Deployment>(object, index)?).map(drop)
        }
        "CSIDriver" => lower::add_csi_driver(cluster, &parse::<storage::v1::CSIDriver>(object, index)?),
        "CSINode" => lower::add_csi_node(cluster, &parse::<storage::v1::CSINode>(object, index)?),
        "CSIStorageCapacity" => {
            lower::add_capacity(cluster, &parse::<storage::v1::CSIStorageCapacity>(object, index)?)
        }
        "PodDisruptionBudget" => {
            lower::add_budget(cluster, &parse::<policy::v1::PodDisruptionBudget>(object, index)?)
        }
        "PriorityClass" => {
            lower::add_priority_class(cluster, &parse::<scheduling::v1::PriorityClass>(object, index)?)
        }
        "PersistentVolume" => lower::add_volume(cluster, &parse(object, index)?).map(drop),
        "PersistentVolumeClaim" => lower::add_claim(cluster, &parse(object, index)?).map(drop),
        "Pod" => lower::add_pod(cluster, &parse(object, index)?).map(drop),
        "" => return Err(ReplayError::Kind { index }),
        // Kinds that decide nothing here, such as VolumeAttributesClass or LimitRange.
        _ => Ok(()),
    };
    source.map_err(|source| ReplayError::Object { index, source })
}

impl World {
    fn load(case: &Case, engine: Engine) -> Result<World, ReplayError> {
        let mut cluster = Cluster::default();
        for (index, object) in case.objects.iter().enumerate() {
            load_object(&mut cluster, object, index)?;
        }
        let mut config = ProfileConfig::default();
        config.volume_binding.storage_capacity_scoring = case.config.storage_capacity_scoring;
        let point = |p: &ShapePoint| score::ShapePoint { utilization: p.utilization, score: p.score };
        config.volume_binding.shape = case.config.shape.iter().map(point).collect();
        let scheduler = Scheduler::new(vec![Profile::new(&config)?], TieBreak::First).with_engine(engine);
        let detail = if engine == Engine::Plain { Detail::Full } else { Detail::Brief };
        let provisioner = RecordingProvisioner { capacity_tracking: case.config.capacity_tracking };
        Ok(World { cluster, scheduler, provisioner, detail })
    }

    /// The PV controller runs until nothing changes.
    fn settle(&mut self) {
        pv::run_to_fixpoint(&mut self.cluster, &mut Vec::new());
    }

    fn pod(&self, key: &str) -> Option<PodId> {
        let (namespace, name) = key.split_once('/')?;
        let names = &self.cluster.names;
        self.cluster.pod_by_name(names.get(namespace)?, names.get_name(name)?)
    }
    fn claim(&self, key: &str) -> Option<ClaimId> {
        let (namespace, name) = key.split_once('/')?;
        let names = &self.cluster.names;
        self.cluster.claim_by_name(names.get(namespace)?, names.get_name(name)?)
    }
    fn claim_state(&self, key: &str) -> ImmediateBinding {
        let claim = self.claim(key).map(|id| self.cluster.claim(id));
        let phase = match claim.map(|c| c.phase) {
            None => "absent",
            Some(ClaimPhase::Pending) => "Pending",
            Some(ClaimPhase::Bound) => "Bound",
            Some(ClaimPhase::Lost) => "Lost",
        };
        let bound = claim.filter(|c| c.phase == ClaimPhase::Bound);
        let pv = bound.and_then(|c| c.volume_name).map(|v| self.cluster.names.text(v).to_owned());
        ImmediateBinding { pvc: key.to_owned(), phase: phase.to_owned(), pv }
    }

    fn step(&mut self, index: usize, pod: PodId, compact: bool) -> Expect {
        let nominated_before = self.cluster.nomination(pod);
        let bound_before = self.bound_claims();
        let request = Request { pod, now: SimTime::ZERO, attempt: index as u64, detail: self.detail };
        let Some(attempt) = self.scheduler.attempt(&mut self.cluster, request) else {
            return Expect { result: "error".into(), ..Expect::default() };
        };
        let mut expect = self.describe(&attempt, compact);
        expect.nominated_node_before = nominated_before.map(|node| self.node_name(node));
        let mut made = Vec::new();
        match &attempt.outcome {
            Outcome::Reserved(binding) => made = self.bind(index, binding, &mut expect),
            Outcome::Unschedulable(failed) => {
                if let Some(nomination) = &failed.nomination {
                    self.evict(&nomination.victims);
                }
            }
            Outcome::Error(_) => {}
        }
        self.settle();
        let provisioned = |claim: ClaimId| made.iter().any(|(c, ..)| *c == claim);
        let new = self.bound_claims().into_iter().filter(|entry| !bound_before.contains(entry));
        let new = new.filter(|(claim, _)| !provisioned(*claim));
        expect.bindings = new
            .map(|(claim, volume)| Bound {
                pvc: self.cluster.claim_key(claim),
                pv: self.cluster.names.text(self.cluster.volume(volume).name).to_owned(),
            })
            .collect();
        expect
    }

    fn node_name(&self, node: NodeId) -> String {
        self.cluster.names.text(self.cluster.node(node).name).to_owned()
    }
    fn node_names(&self, nodes: impl IntoIterator<Item = NodeId>) -> Vec<String> {
        let mut names: Vec<String> = nodes.into_iter().map(|n| self.node_name(n)).collect();
        names.sort();
        names
    }

    fn bound_claims(&self) -> Vec<(ClaimId, VolumeId)> {
        let bound = self.cluster.claims().iter().filter(|(_, c)| c.phase == ClaimPhase::Bound);
        bound.filter_map(|(id, c)| Some((id, self.cluster.volume_by_name(c.volume_name?)?))).collect()
    }

    /// Victims disappear at once; those that are terminating stay.
    fn evict(&mut self, victims: &[PodId]) {
        for &victim in victims {
            if self.cluster.pod(victim).deletion.is_none() {
                self.cluster.remove_pod(victim);
            }
        }
    }

    /// The binding cycle: API writes, PV controller, provisioner, PV controller, one look.
    fn bind(
        &mut self,
        index: usize,
        binding: &Binding,
        expect: &mut Expect,
    ) -> Vec<(ClaimId, NodeId, VolumeId)> {
        let (result, made) = self.pre_bind(binding);
        let node = self.node_name(binding.node);
        expect.provisions = made
            .iter()
            .map(|(claim, node, volume)| Provisioned {
                pvc: self.cluster.claim_key(*claim),
                node: self.node_name(*node),
                pv: self.cluster.names.text(self.cluster.volume(*volume).name).to_owned(),
            })
            .collect();
        match result {
            Ok(()) => {
                self.scheduler.bind(&mut self.cluster, binding);
                self.cluster.set_pod_status(binding.pod, PodPhase::Running, true);
                self.cluster.set_pod_start_order(binding.pod, StartOrder::imported(START + index as i64 + 1));
                expect.result = "bound".into();
                expect.node = Some(node);
            }
            Err(error) => {
                self.scheduler.unreserve(&mut self.cluster, binding);
                expect.result = "bindError".into();
                expect.attempted_node = Some(node);
                expect.reason = Some("SchedulerError".into());
                expect.message =
                    Some(pre_bind_error(volume_binding::NAME, &error.message(&self.cluster.names)));
            }
        }
        made
    }

    fn pre_bind(&mut self, binding: &Binding) -> (Result<(), BindError>, Vec<(ClaimId, NodeId, VolumeId)>) {
        let Some(task) = &binding.volumes else { return (Ok(()), Vec::new()) };
        let mut task = task.clone();
        while task.writes_left() > 0 {
            if let Err(error) = task.write_next(&mut self.cluster) {
                return (Err(error), Vec::new());
            }
        }
        self.settle();
        let made = self.provisioner.run(&mut self.cluster, SimTime::ZERO);
        self.settle();
        let result = match task.check(&self.cluster) {
            Ok(true) => Ok(()),
            Ok(false) => Err(BindError::DeadlineExceeded),
            Err(error) => Err(error),
        };
        (result, made)
    }
}

// ---- what the attempt found, in the words of a recording ----
impl World {
    fn describe(&self, attempt: &Attempt, compact: bool) -> Expect {
        let mut expect = Expect::default();
        let (result, reason) = match &attempt.outcome {
            Outcome::Reserved(_) => ("bound", None),
            Outcome::Unschedulable(_) => ("unschedulable", Some("Unschedulable")),
            Outcome::Error(_) => ("error", Some("SchedulerError")),
        };
        expect.result = result.into();
        expect.reason = reason.map(str::to_owned);
        expect.message = attempt.message(&self.cluster.names);
        if let Outcome::Unschedulable(failed) = &attempt.outcome {
            expect.preemption = failed.nomination.as_ref().map(|nomination| {
                let keys = |pods: &[PodId]| pods.iter().map(|p| self.cluster.pod_key(*p)).collect::<Vec<_>>();
                let goes = |pod: &PodId| self.cluster.pod(*pod).deletion.is_none();
                let gone: Vec<PodId> = nomination.victims.iter().copied().filter(goes).collect();
                let mut victims = keys(&gone);
                victims.sort();
                let candidates = nomination.candidates.iter();
                Preemption {
                    nominated_node: self.node_name(nomination.node),
                    victims,
                    candidates: candidates.map(|(n, pods, _)| (self.node_name(*n), keys(pods))).collect(),
                }
            });
        }
        let Some(d) = attempt.diagnosis.as_deref() else { return expect };
        let reserved = matches!(attempt.outcome, Outcome::Reserved(_));
        expect.top = if reserved && d.top.is_empty() { d.feasible.clone() } else { d.top.clone() }
            .into_iter()
            .map(|n| self.node_name(n))
            .collect();
        if compact {
            expect.num_feasible = (!d.feasible.is_empty()).then_some(d.feasible.len());
            expect.top_score = d.totals.iter().copied().max();
            return expect;
        }
        expect.feasible = self.node_names(d.feasible.iter().copied());
        expect.not_evaluated = self.node_names(d.not_evaluated.iter().copied());
        expect.pre_filter = d.pre_filter.as_ref().map(|rejection| self.status(rejection));
        if d.pre_filter.is_none() {
            expect.rejected = self.rejected(d);
        }
        expect.volumes = self.volumes(d);
        if !d.scores.is_empty() {
            expect.scores = Some(self.scores(d));
        }
        expect
    }

    fn status(&self, rejection: &Rejection) -> Status {
        let code = match rejection.code {
            Code::Unschedulable => "Unschedulable",
            Code::UnschedulableAndUnresolvable => "UnschedulableAndUnresolvable",
            Code::Pending => "Pending",
            Code::Error => "Error",
        };
        let words = rejection.reasons.as_slice().iter().map(|r| r.text(&self.cluster.names));
        let mut reasons: Vec<String> = words.collect();
        reasons.sort();
        Status { plugin: rejection.plugin.into(), code: code.into(), reasons }
    }

    fn rejected(&self, d: &crate::scheduler::cycle::Diagnosis) -> Vec<Rejected> {
        let mut groups: BTreeMap<Status, Vec<String>> = BTreeMap::new();
        for (node, rejection) in &d.rejected {
            groups.entry(self.status(rejection)).or_default().push(self.node_name(*node));
        }
        if let Some((nodes, rejection)) = &d.outside {
            groups.entry(self.status(rejection)).or_default().extend(self.node_names(nodes.iter().copied()));
        }
        let group = |(status, mut nodes): (Status, Vec<String>)| {
            nodes.sort();
            Rejected { nodes, plugin: status.plugin, code: status.code, reasons: status.reasons }
        };
        groups.into_iter().map(group).collect()
    }

    fn volumes(&self, d: &crate::scheduler::cycle::Diagnosis) -> BTreeMap<String, Volumes> {
        let volume_name = |id: VolumeId| self.cluster.names.text(self.cluster.volume(id).name).to_owned();
        let claim = |id: ClaimId| self.cluster.claim_key(id);
        d.volumes
            .iter()
            .map(|(node, found)| {
                let bind = found.bind.iter().map(|(c, v)| (claim(*c), volume_name(*v))).collect();
                let mut provision: Vec<String> = found.provision.iter().map(|c| claim(*c)).collect();
                provision.sort();
                (self.node_name(*node), Volumes { bind, provision })
            })
            .collect()
    }

    fn scores(&self, d: &crate::scheduler::cycle::Diagnosis) -> Scores {
        let rows = d.feasible.iter().enumerate();
        Scores {
            plugins: d.scores.iter().map(|(name, _)| (*name).to_owned()).collect(),
            nodes: rows
                .clone()
                .map(|(row, node)| {
                    (self.node_name(*node), d.scores.iter().map(|(_, column)| column[row]).collect())
                })
                .collect(),
            total: rows.map(|(row, node)| (self.node_name(*node), d.totals[row])).collect(),
        }
    }
}
