//! From a scenario to a plan: classes, generated nodes with their disks, generators, timeline, timers.

use super::plan::{Action, ClaimPlan, DiskRef, GeneratorPlan, Kind, Plan, WipedVolumes};
use super::{arrivals, failures, lower_trace};
use crate::control::provisioner::local::Wipe;
use crate::engine::rng::Streams;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, NodeSelectorId};
use crate::model::labels::{LabelSet, NodeSelector};
use crate::model::names::{Name, Sym, sym};
use crate::model::node::{Node, NodeInfo, NodeShape};
use crate::model::quantity::Quantity;
use crate::model::resources::Resources;
use crate::model::spec::{PodSpec, Taint, TaintEffect, Toleration};
use crate::model::volume::{
    AccessModes, BindingMode, ReclaimPolicy, StorageClass, Volume, VolumeMode, VolumePhase, VolumeShape,
    VolumeSource,
};
use crate::model::volume_group::{GroupKind, VolumeGroup};
use crate::model::workload::{ClaimRetention, PodManagement, ReplicaSetKind};
use crate::scenario as written;
use crate::trace::TraceError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// CPU that a container without a request counts for in scores.
const DEFAULT_CPU_MILLI: i64 = 100;
/// Memory that a container without a request counts for in scores.
const DEFAULT_MEMORY_BYTES: i64 = 200 << 20;
/// `terminationGracePeriodSeconds` unless given.
const GRACE: SimDuration = SimDuration::from_secs(30);

/// Why a scenario cannot become a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A Kubernetes object that the API server would refuse.
    #[error("{0}")]
    Manifest(String),
    /// A trace that cannot be read.
    #[error("{0}")]
    Trace(#[from] Box<TraceError>),
}

/// The plan of one variant (or point) of a scenario. `scenario` is already resolved for it; `mode` replaces every class's mode.
/// Manifests are lowered by the two functions: those of `cluster` come first, then the generated objects, then `workload`'s.
///
/// # Errors
/// What the functions say, or a trace that cannot be read.
pub fn plan(
    scenario: &written::Scenario,
    mode: Option<written::BindingMode>,
    replication: u32,
    cluster_manifests: impl FnOnce(&mut Cluster) -> Result<(), PlanError>,
    workload_manifests: impl FnOnce(&mut Cluster) -> Result<(), PlanError>,
) -> Result<Plan, PlanError> {
    let mut cluster = Cluster::default();
    cluster_manifests(&mut cluster)?;
    let mut wiped = Vec::new();
    if let Some(provisioner) = scenario.cluster.static_provisioner {
        wiped.extend(wiped_on_all_nodes(&cluster, provisioner));
    }
    for class in &scenario.cluster.storage_classes {
        add_class(&mut cluster, class);
    }
    let mut uncarved = BTreeMap::new();
    for group in &scenario.cluster.nodes {
        add_nodes(&mut cluster, group, &mut wiped, &mut uncarved);
    }
    let trace = scenario.workload.trace.as_ref();
    let machines = trace.map(|t| lower_trace::add_nodes(&mut cluster, t, &mut wiped, &mut uncarved));
    let machines = machines.transpose()?;
    for class in &scenario.cluster.storage_classes {
        // Volume groups made the classes that they serve expandable; what is written is stronger.
        let Some(allow_expansion) = class.allow_volume_expansion else { continue };
        let name = cluster.names.intern(&class.name);
        if let Some(row) = cluster.class(name).cloned() {
            cluster.set_class(StorageClass { allow_expansion, ..row });
        }
    }
    let timing = scenario.control_plane;
    workload_manifests(&mut cluster)?;
    if let Some(mode) = mode {
        override_binding_mode(&mut cluster, mode);
    }
    let tolerated = timing.node.toleration;
    let streams = Streams::new(scenario.seed, replication);
    let trace = trace
        .zip(machines)
        .map(|(trace, machines)| lower_trace::arrivals(&mut cluster, trace, machines, tolerated, &streams));
    let trace = trace.transpose()?;
    let generators = scenario.workload.generate.iter();
    let generators = generators.map(|g| generator(&mut cluster, g, tolerated)).collect();
    let timeline = scenario.timeline.iter();
    let timeline =
        timeline.filter_map(|entry| Some((entry.at, action(&mut cluster, &entry.action)?))).collect();
    let profiles = super::lower_scheduler::profiles(&mut cluster, &scenario.scheduler, timing.bind_timeout)?;
    Ok(Plan {
        generators,
        trace,
        timeline,
        failures: scenario.failures.clone(),
        recovery: scenario.recovery.clone(),
        quorum: scenario.recovery.as_ref().and_then(|r| match r.quorum {
            written::Quorum::Majority => None,
            written::Quorum::AtLeast(members) => Some(members),
        }),
        timing,
        profiles,
        plugins: Vec::new(),
        first_of_ties: scenario.scheduler.tie_break == written::TieBreak::First,
        seed: scenario.seed,
        replication,
        duration: scenario.duration,
        stuck_after: scenario.report.stuck_after,
        wiped,
        uncarved_bytes: uncarved,
        ..Plan::new(cluster)
    })
}

// ---- timeline ----

/// A timeline entry; `None` for verbs that are not simulated (the reader refuses them).
fn action(cluster: &mut Cluster, from: &written::Action) -> Option<Action> {
    let mut named = |object: &written::ObjectName| {
        (cluster.names.intern(&object.namespace), cluster.names.name(&object.name))
    };
    Some(match from {
        written::Action::DeletePod { pod, force } => {
            let (namespace, name) = named(pod);
            Action::DeletePod { namespace, name, force: *force }
        }
        written::Action::DeletePvc(claim) => {
            let (namespace, name) = named(claim);
            Action::Delete(Kind::Claim, namespace, name)
        }
        written::Action::Delete { kind, name } => {
            let (namespace, name) = named(name);
            Action::Delete(object_kind(kind)?, namespace, name)
        }
        written::Action::Scale { kind, name, replicas } => {
            let (namespace, name) = named(name);
            Action::Scale { kind: object_kind(kind)?, namespace, name, replicas: *replicas }
        }
        written::Action::DeletePv { name, force: true } => Action::RemoveVolume(cluster.names.intern(name)),
        written::Action::DeletePv { name, force: false } => {
            Action::Delete(Kind::Volume, sym::EMPTY, cluster.names.name(name))
        }
        written::Action::NodeDelete(name) => Action::Delete(Kind::Node, sym::EMPTY, cluster.names.name(name)),
        written::Action::ClearClaimRef(name) => Action::ClearClaimRef(cluster.names.intern(name)),
        written::Action::NodeDown(name) => Action::NodeDown(cluster.names.intern(name)),
        written::Action::NodeUp(name) => Action::NodeUp(cluster.names.intern(name)),
        written::Action::DomainDown { domain, name, down } => {
            let label = match domain {
                written::Domain::Zone => sym::ZONE,
                written::Domain::Rack => sym::RACK,
            };
            Action::DomainDown { label, value: cluster.names.intern(name), down: *down }
        }
        written::Action::Cordon(name) => Action::Cordon(cluster.names.intern(name), true),
        written::Action::Uncordon(name) => Action::Cordon(cluster.names.intern(name), false),
        written::Action::Drain(name) => Action::Drain(cluster.names.intern(name)),
        written::Action::Taint { node, taint: spec, remove } => {
            Action::Taint { node: cluster.names.intern(node), taint: taint(cluster, spec), remove: *remove }
        }
        written::Action::DiskFail { node, disk } => Action::DiskFail(disk_of_node(cluster, node, *disk)),
        written::Action::DiskRepair { node, disk } => Action::DiskRepair(disk_of_node(cluster, node, *disk)),
        written::Action::Expand { claim, bytes } => {
            let (namespace, name) = named(claim);
            Action::Expand { namespace, name, bytes: *bytes }
        }
        written::Action::SetAllocatable { node, resources } => {
            let node = cluster.names.intern(node);
            let amount = |(name, amount): (&String, &Quantity)| {
                let name = cluster.names.intern(name);
                (name, if name == sym::CPU { amount.milli_value() } else { amount.value() })
            };
            Action::SetAllocatable { node, amounts: resources.iter().map(amount).collect() }
        }
        written::Action::ControllerManagerDown(span) => Action::ControllerManagerDown(*span),
        written::Action::Apply(_) => return None,
    })
}

/// A node's disk: a volume group or volumes by their generated names, else the n-th volume group or local volume of the node.
fn disk_of_node(cluster: &mut Cluster, node: &str, disk: u32) -> DiskRef {
    let name = format!("{node}-d{disk}");
    let host = cluster.names.intern(node);
    let group = cluster.names.intern(&format!("{node}-vg{disk}"));
    let groups = cluster.volume_groups_on(host);
    let group = groups.iter().copied().find(|id| cluster.volume_groups()[*id].name == group);
    let group = group.or_else(|| groups.get(disk as usize).copied());
    if group.is_some() {
        return DiskRef { group, ..DiskRef::default() };
    }
    let on_node = cluster.pinned_volumes(host).iter().map(|id| cluster.volume(*id).name);
    let mut volumes: Vec<Sym> = on_node.collect();
    volumes.sort_by(|a, b| cluster.names.compare(*a, *b));
    let generated = |v: &&Sym| failures::disk_of(cluster.names.text(**v)) == name;
    let of_disk: Vec<Sym> = volumes.iter().filter(generated).copied().collect();
    let other = || volumes.get(disk as usize).copied().into_iter().collect();
    DiskRef { volumes: if of_disk.is_empty() { other() } else { of_disk }, group: None }
}

fn object_kind(kind: &str) -> Option<Kind> {
    Some(match kind {
        "Node" => Kind::Node,
        "Pod" => Kind::Pod,
        "PersistentVolumeClaim" => Kind::Claim,
        "PersistentVolume" => Kind::Volume,
        "StatefulSet" => Kind::StatefulSet,
        "Job" => Kind::Job,
        other => Kind::ReplicaSet(ReplicaSetKind::named(other)?),
    })
}

/// Sets the binding mode of every class.
pub fn override_binding_mode(cluster: &mut Cluster, mode: written::BindingMode) {
    let classes: Vec<StorageClass> = cluster.classes().cloned().collect();
    for class in classes {
        cluster.set_class(StorageClass { binding_mode: binding_mode(mode), ..class });
    }
}

fn binding_mode(mode: written::BindingMode) -> BindingMode {
    match mode {
        written::BindingMode::Immediate => BindingMode::Immediate,
        written::BindingMode::WaitForFirstConsumer => BindingMode::WaitForFirstConsumer,
    }
}

fn reclaim(policy: written::ReclaimPolicy) -> ReclaimPolicy {
    match policy {
        written::ReclaimPolicy::Retain => ReclaimPolicy::Retain,
        written::ReclaimPolicy::Delete => ReclaimPolicy::Delete,
    }
}

fn volume_mode(mode: written::VolumeMode) -> VolumeMode {
    match mode {
        written::VolumeMode::Filesystem => VolumeMode::Filesystem,
        written::VolumeMode::Block => VolumeMode::Block,
    }
}

fn add_class(cluster: &mut Cluster, class: &written::StorageClassSpec) {
    let provisioner = cluster.names.intern(&class.provisioner);
    let class = StorageClass {
        name: cluster.names.intern(&class.name),
        provisioner,
        binding_mode: binding_mode(class.volume_binding_mode),
        reclaim: reclaim(class.reclaim_policy),
        allowed_topologies: Vec::new(),
        is_default: class.is_default,
        allow_expansion: provisioner != sym::NO_PROVISIONER,
        created: SimTime::ZERO,
    };
    cluster.set_class(class);
}

// ---- nodes and disks ----

fn add_nodes(
    cluster: &mut Cluster,
    group: &written::NodeGroup,
    wiped: &mut Vec<WipedVolumes>,
    uncarved: &mut BTreeMap<Sym, u128>,
) {
    let allocatable = Resources {
        cpu_milli: group.cpu.saturating_sub(group.reserved_cpu).milli_value(),
        memory_bytes: group.memory.saturating_sub(group.reserved_memory).value(),
        ..resources(cluster, &group.resources)
    };
    let shape = Arc::new(NodeShape {
        taints: group.taints.iter().map(|t| taint(cluster, t)).collect(),
        allocatable,
        allocatable_has_cpu: true,
        allocatable_has_memory: true,
        allocatable_pods: i64::from(group.pods),
        images: Vec::new(),
    });
    for index in 0..group.count {
        let name = format!("{}-{index}", group.name.value);
        let labels = node_labels(cluster, group, &name, index);
        let node = Node {
            name: cluster.names.intern(&name),
            uid: cluster.new_uid(),
            exists: true,
            labels,
            unschedulable: false,
            ready: true,
            shape: Arc::clone(&shape),
            info: NodeInfo::default(),
            generation: 0,
        };
        // A manifest may have brought a node of this name: the reader has refused that.
        let Ok(id) = cluster.add_node(node) else { continue };
        let rest = add_disks(cluster, id, &name, &group.disks, wiped);
        let unused: u128 = group.unused_disks.iter().map(|bytes| u128::from(*bytes)).sum();
        if rest + unused > 0 {
            let node = cluster.node(id).name;
            uncarved.insert(node, rest + unused);
        }
    }
}

fn node_labels(
    cluster: &mut Cluster,
    group: &written::NodeGroup,
    name: &str,
    index: u32,
) -> crate::model::ids::LabelSetId {
    let mut pairs = Vec::new();
    for (key, value) in &group.labels {
        pairs.push((cluster.names.intern(key), cluster.names.intern(value)));
    }
    pairs.push((sym::HOSTNAME, cluster.names.intern(name)));
    let zones = group.zones.len().max(1);
    let zone = group.zones.get(index as usize % zones);
    if let Some(zone) = zone {
        pairs.push((sym::ZONE, cluster.names.intern(zone)));
    }
    if let Some(racks) = group.racks.filter(|racks| *racks > 0) {
        let rack = format!("r{}", index as usize / zones % racks as usize);
        let rack = zone.map_or(rack.clone(), |zone| format!("{zone}-{rack}"));
        pairs.push((sym::RACK, cluster.names.intern(&rack)));
    }
    let labels = LabelSet::new(pairs);
    cluster.intern_labels(labels)
}

/// The local volumes of every node, for its static provisioner.
fn wiped_on_all_nodes(cluster: &Cluster, provisioner: written::StaticProvisioner) -> Vec<WipedVolumes> {
    let mut all = Vec::new();
    for (node, row) in cluster.nodes().iter() {
        let mut volumes = cluster.pinned_volumes(row.name).to_vec();
        volumes.sort_unstable();
        for volume in volumes {
            WipedVolumes::add(&mut all, volume, node, wipe(provisioner));
        }
    }
    all
}

fn wipe(provisioner: written::StaticProvisioner) -> Wipe {
    match provisioner.wipe {
        written::Wipe::AtOnce => Wipe::Time(SimDuration::ZERO),
        written::Wipe::BytesPerSecond(rate) => Wipe::BytesPerSecond((rate as u64).max(1)),
        written::Wipe::Time(time) => Wipe::Time(time),
    }
}

/// Makes the volumes of a node's disks; returns the bytes of them in no volume.
pub fn add_disks(
    cluster: &mut Cluster,
    node: NodeId,
    node_name: &str,
    disks: &[written::DiskSpec],
    wiped: &mut Vec<WipedVolumes>,
) -> u128 {
    let affinity = pin_to(cluster, node_name);
    let empty = cluster.intern_labels(LabelSet::default());
    let (mut number, mut uncarved) = (0u32, 0u128);
    for disk in disks {
        for _ in 0..disk.count {
            let sizes = match &disk.carve {
                written::Carve::Static(sizes) => sizes,
                written::Carve::Lvm { extent_bytes, overcommit } => {
                    add_group(cluster, node, number, disk, (*extent_bytes, *overcommit));
                    number += 1;
                    continue;
                }
            };
            for (part, bytes) in sizes.iter().enumerate() {
                let volume = Volume {
                    name: cluster.names.intern(&format!("{node_name}-d{number}-p{part}")),
                    uid: cluster.new_uid(),
                    shape: Arc::new(VolumeShape {
                        capacity: Quantity::from_bytes(u128::from(*bytes)),
                        modes: AccessModes::RWO,
                        class: cluster.names.intern(&disk.class),
                        mode: volume_mode(disk.volume_mode),
                        attributes_class: None,
                        labels: empty,
                        reclaim: reclaim(disk.reclaim),
                        source: VolumeSource::Local,
                        provisioned_by: None,
                    }),
                    node_affinity: Some(affinity),
                    claim_ref: None,
                    bound_by_controller: false,
                    // The cluster stands before the run begins: its disks were discovered and their volumes announced long ago.
                    phase: VolumePhase::Available,
                    deletion: None,
                    protected: true,
                    created: SimTime::ZERO,
                    assumed_for: None,
                };
                let Ok(volume) = cluster.add_volume(volume) else { continue };
                if let Some(provisioner) = disk.static_provisioner {
                    WipedVolumes::add(wiped, volume, node, wipe(provisioner));
                }
            }
            let carved: u128 = sizes.iter().map(|bytes| u128::from(*bytes)).sum();
            uncarved += u128::from(disk.size_bytes).saturating_sub(carved);
            number += 1;
        }
    }
    uncarved
}

/// Provisioner of classes that volume groups serve.
pub const LVM_PROVISIONER: &str = "lvm.stowplan.io";

/// Makes a disk a volume group. A class that makes no volumes itself gets the provisioner of volume groups.
fn add_group(
    cluster: &mut Cluster,
    node: NodeId,
    number: u32,
    disk: &written::DiskSpec,
    (extent_bytes, overcommit): (u64, f64),
) {
    let class = cluster.names.intern(&disk.class);
    if let Some(row) = cluster.class(class).filter(|c| c.provisioner == sym::NO_PROVISIONER) {
        let row = row.clone();
        let provisioner = cluster.names.intern(LVM_PROVISIONER);
        cluster.set_class(StorageClass { provisioner, allow_expansion: true, ..row });
    }
    let node = cluster.node(node).name;
    let name = format!("{}-vg{number}", cluster.names.text(node));
    let name = cluster.names.intern(&name);
    // The reader allows 0 < overcommit; a thousandth is fine enough.
    let overcommit_permille = libm::round(overcommit * 1000.0) as u64;
    let kind = GroupKind::Lvm { extent_bytes, overcommit_permille };
    cluster.add_volume_group(VolumeGroup::new(name, node, vec![class], kind, disk.size_bytes));
}

/// Node affinity of a local volume: the host of this name.
fn pin_to(cluster: &mut Cluster, host: &str) -> NodeSelectorId {
    let host = cluster.names.intern(host);
    cluster.intern_node_selector(NodeSelector::of_host(host))
}

fn resources(cluster: &mut Cluster, amounts: &BTreeMap<String, Quantity>) -> Resources {
    let mut resources = Resources::default();
    for (name, amount) in amounts {
        match cluster.names.intern(name) {
            sym::CPU => resources.cpu_milli = amount.milli_value(),
            sym::MEMORY => resources.memory_bytes = amount.value(),
            sym::EPHEMERAL_STORAGE => resources.ephemeral_bytes = amount.value(),
            other => resources.set_scalar(other, amount.value()),
        }
    }
    resources
}

fn effect(text: &str) -> TaintEffect {
    match text {
        "NoExecute" => TaintEffect::NoExecute,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        _ => TaintEffect::NoSchedule,
    }
}

/// A taint as the cluster holds it.
pub fn taint(cluster: &mut Cluster, from: &written::TaintSpec) -> Taint {
    Taint {
        key: cluster.names.intern(&from.key),
        value: cluster.names.intern(&from.value),
        effect: effect(&from.effect),
    }
}

// ---- generators ----

fn generator(cluster: &mut Cluster, from: &written::Generator, toleration: SimDuration) -> GeneratorPlan {
    let name: Name = cluster.names.name(&from.name);
    let claims: Vec<ClaimPlan> = from.claims.iter().map(|claim| claim_plan(cluster, claim)).collect();
    let pairs = from.labels.iter();
    let pairs = pairs.map(|(k, v)| (cluster.names.intern(k), cluster.names.intern(v))).collect();
    let labels = cluster.intern_labels(LabelSet::new(pairs));
    let spec = pod_spec(cluster, from, labels, &claims, toleration);
    // Bare pods without rules among themselves need no label of their own: all share one spec.
    let alike = from.kind == written::WorkloadKind::Pod && from.anti_affinity == written::AntiAffinity::None;
    let shared_spec = alike.then(|| cluster.intern_spec(spec.clone()));
    let start = from.arrivals.as_ref().map_or(SimTime::ZERO, |a| SimTime::ZERO + a.start);
    GeneratorPlan {
        name,
        kind: from.kind,
        sets: from.sets,
        replicas: from.replicas,
        spec,
        shared_spec,
        claims,
        anti_affinity: from.anti_affinity,
        management: match from.pod_management {
            written::PodManagement::OrderedReady => PodManagement::OrderedReady,
            written::PodManagement::Parallel => PodManagement::Parallel,
        },
        retention: ClaimRetention {
            delete_when_deleted: from.retention_deleted == written::Retention::Delete,
            delete_when_scaled: from.retention_scaled == written::Retention::Delete,
        },
        group: from.group,
        start,
        every: from.arrivals.as_ref().map(|a| a.every.clone()),
        lifetime: from.lifetime.clone(),
        labels,
    }
}

fn claim_plan(cluster: &mut Cluster, from: &written::ClaimSpec) -> ClaimPlan {
    let modes = from.access_modes.iter().fold(AccessModes::default(), |modes, mode| {
        modes.union(match mode.as_str() {
            "ReadOnlyMany" => AccessModes::ROX,
            "ReadWriteMany" => AccessModes::RWX,
            "ReadWriteOncePod" => AccessModes::RWOP,
            _ => AccessModes::RWO,
        })
    });
    ClaimPlan {
        prefix: cluster.names.intern(&from.name),
        class: cluster.names.intern(&from.class),
        modes,
        mode: volume_mode(from.volume_mode),
        size: from.size.clone(),
    }
}

fn pod_spec(
    cluster: &mut Cluster,
    from: &written::Generator,
    labels: crate::model::ids::LabelSetId,
    claims: &[ClaimPlan],
    toleration: SimDuration,
) -> PodSpec {
    let requests = Resources {
        cpu_milli: from.cpu.map_or(0, Quantity::milli_value),
        memory_bytes: from.memory.map_or(0, Quantity::value),
        ..resources(cluster, &from.resources)
    };
    let scoring_requests = Resources {
        cpu_milli: from.cpu.map_or(DEFAULT_CPU_MILLI, Quantity::milli_value),
        memory_bytes: from.memory.map_or(DEFAULT_MEMORY_BYTES, Quantity::value),
        ..requests.clone()
    };
    let mut node_selector: Vec<(Sym, Sym)> = Vec::new();
    for (key, value) in &from.node_selector {
        node_selector.push((cluster.names.intern(key), cluster.names.intern(value)));
    }
    node_selector.sort_unstable();
    let mut tolerations: Vec<Toleration> =
        from.tolerations.iter().map(|t| lower_toleration(cluster, t)).collect();
    add_default_tolerations(&mut tolerations, toleration);
    PodSpec {
        namespace: sym::DEFAULT,
        labels,
        scheduler_name: sym::DEFAULT_SCHEDULER,
        priority: from.priority,
        never_preempts: false,
        requests,
        nonzero_requests: (scoring_requests.cpu_milli, scoring_requests.memory_bytes),
        scoring_requests,
        host_ports: Vec::new(),
        images: Vec::new(),
        container_count: 1,
        node_selector,
        affinity: None,
        tolerations,
        spread: Vec::new(),
        volumes: arrivals::volumes(claims.iter().map(|claim| claim.prefix)),
        scheduling_gates: Vec::new(),
        termination_grace: GRACE,
        not_modelled: None,
        owner: arrivals::owner_kind(from.kind),
    }
}

fn lower_toleration(cluster: &mut Cluster, from: &written::TolerationSpec) -> Toleration {
    Toleration {
        key: (!from.key.is_empty()).then(|| cluster.names.intern(&from.key)),
        value: from.value.as_ref().map(|value| cluster.names.intern(value)),
        effect: (!from.effect.is_empty()).then(|| effect(&from.effect)),
        seconds: None,
    }
}

/// What the admission plugin DefaultTolerationSeconds adds unless the pod says something about these taints itself.
pub fn add_default_tolerations(tolerations: &mut Vec<Toleration>, seconds: SimDuration) {
    for key in [sym::TAINT_NOT_READY, sym::TAINT_UNREACHABLE] {
        let said = tolerations
            .iter()
            .any(|t| t.key.is_none_or(|k| k == key) && t.effect.is_none_or(|e| e == TaintEffect::NoExecute));
        if !said {
            tolerations.push(Toleration {
                key: Some(key),
                value: None,
                effect: Some(TaintEffect::NoExecute),
                seconds: Some(seconds),
            });
        }
    }
}
