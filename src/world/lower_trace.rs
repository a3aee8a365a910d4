//! From a scenario's trace to nodes, their changes, and the rules of its arrivals.

use super::draw::draw_bytes;
use super::lower::{add_default_tolerations, taint};
use super::plan::WipedVolumes;
use super::trace::{Caps, TracePlan};
use super::trace_machines::{MachineEvents, MachineRules};
use crate::engine::rng::Streams;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::names::Sym;
use crate::model::resources::Resources;
use crate::model::volume::{BindingMode, StorageClass};
use crate::scenario as written;
use crate::trace::assumptions::{TraceAssumption, of_rules};
use crate::trace::mapping::{ArrivalRules, Arrivals, ClaimRule, DemandOf, TraceMode, Until};
use crate::trace::{
    Format, NodeChange, SkipReason, TraceError, TraceInput, TraceRequest, TraceSource, read_nodes,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The extended resource that GPUs become.
const GPU: &str = "nvidia.com/gpu";
/// Node label of the GPUs' model, as Alibaba's clusters have it.
pub const GPU_MODEL_LABEL: &str = "alibabacloud.com/gpu-card-model";
/// Node label that the trace's roles are matched with.
const ROLE_LABEL: &str = "role";
/// Memory per core where a trace has none (spot-gpu-v2026): what machines of its kind usually have.
const MEMORY_PER_CORE: u64 = 8 << 30;

fn format_of(trace: &written::TraceSpec) -> Result<Option<Format>, Box<TraceError>> {
    match trace.format.as_str() {
        "auto" => Ok(None),
        name => name.parse().map(Some).map_err(|why: String| TraceError::option(why)),
    }
}

fn request(
    trace: &written::TraceSpec,
    files: &[written::Spanned<std::path::PathBuf>],
) -> Result<TraceRequest, Box<TraceError>> {
    let inputs = files.iter().map(|file| TraceInput::from_argument(&file.to_string_lossy())).collect();
    let mut request = TraceRequest::new(format_of(trace)?, inputs);
    let units = |q: Option<crate::model::quantity::Quantity>| q.and_then(|q| u64::try_from(q.ceil()).ok());
    let options = &mut request.options;
    options.skip_bad_rows = (trace.skip_bad_rows > 0).then_some(trace.skip_bad_rows);
    options.max_cpu_milli = trace.max_cpu.and_then(|q| u64::try_from(q.milli_value()).ok());
    options.max_memory_bytes = units(trace.max_memory);
    options.max_disk_bytes = units(trace.max_disk);
    options.azure_machine = trace.azure_machine;
    options.inner_tasks = trace.inner_tasks;
    if let Some(bytes) = units(trace.sort_memory) {
        request.sort_memory = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    Ok(request)
}

/// The machines' part of a trace: what is there at the start, and what happens later.
#[derive(Debug)]
pub struct Machines {
    rules: MachineRules,
    events: MachineEvents,
    count: usize,
}

/// Adds the machines that are there when the run begins, with the disks that the scenario (or the trace) gives them.
///
/// # Errors
/// A machine list that cannot be read.
pub fn add_nodes(
    cluster: &mut Cluster,
    trace: &written::TraceSpec,
    wiped: &mut Vec<WipedVolumes>,
    uncarved: &mut BTreeMap<Sym, u128>,
) -> Result<Machines, Box<TraceError>> {
    let found = machine_events(trace)?;
    let events = MachineEvents::new(found, trace.mode, trace.window);
    let rules = machine_rules(cluster, trace);
    for (machine, cordoned) in &events.at_start {
        let Some((node, rest)) = rules.add(cluster, machine, wiped) else { continue };
        if rest > 0 {
            let node = cluster.node(node).name;
            uncarved.insert(node, rest);
        }
        if *cordoned {
            cluster.set_node_unschedulable(node, true);
        }
    }
    let count = events.at_start.len();
    Ok(Machines { rules, events, count })
}

/// The machines' events by time: from the files under `nodes`, else from those tables of the trace that hold machines.
fn machine_events(trace: &written::TraceSpec) -> Result<Vec<crate::trace::NodeEvent>, Box<TraceError>> {
    let own = trace.nodes.as_ref().map_or(&[][..], |nodes| &nodes.files);
    if own.is_empty() {
        let mut request = request(trace, &trace.files)?;
        request.options.machines_only = true;
        return read_nodes(&request).map(|(events, _)| events);
    }
    let request = request(trace, own)?;
    match read_nodes(&request) {
        // Machines of another trace, or of stowplan's own format, for a trace that has none.
        Err(error) if error.reason == SkipReason::WrongFormat && request.format.is_some() => {
            let any = TraceRequest { format: None, ..request };
            read_nodes(&any).map(|(events, _)| events).map_err(|_| error)
        }
        found => found.map(|(events, _)| events),
    }
}

fn machine_rules(cluster: &mut Cluster, trace: &written::TraceSpec) -> MachineRules {
    let nodes = trace.nodes.as_ref();
    let taints = nodes.into_iter().flat_map(|n| &n.taints).map(|t| taint(cluster, t)).collect();
    MachineRules {
        disks: nodes.map(|n| n.disks.clone()).unwrap_or_default(),
        class: class_name(cluster, trace).map(|value| written::Spanned { value, span: trace.format.span }),
        taints,
        pods: nodes.map_or(110, |n| n.pods),
        gpu: (trace.gpu == written::GpuRule::Count).then(|| cluster.names.intern(GPU)),
        gpu_label: cluster.names.intern(GPU_MODEL_LABEL),
        memory_per_core: MEMORY_PER_CORE,
        caps: Vec::new(),
    }
}

/// Class of the claims: that of the scenario's rule, else of the disks, else the only (or first) class there is.
fn class_name(cluster: &Cluster, trace: &written::TraceSpec) -> Option<String> {
    if let Some(claims) = &trace.claims {
        return Some(claims.class.value.clone());
    }
    let disks = trace.nodes.iter().flat_map(|nodes| &nodes.disks).next();
    let class = disks.map(|disk| disk.class.value.clone());
    class.or_else(|| cluster.classes().next().map(|class| cluster.names.text(class.name).to_owned()))
}

fn arrival_rules(cluster: &mut Cluster, trace: &written::TraceSpec) -> ArrivalRules {
    let claims = match &trace.claims {
        Some(written::TraceClaims { share, size: Some(size), .. }) => {
            let size = size.clone();
            ClaimRule::Synthetic { share: *share, size: Arc::new(move |rng| draw_bytes(&size, rng)) }
        }
        Some(written::TraceClaims { share, size: None, .. }) if *share < 1.0 => ClaimRule::TraceShare(*share),
        _ => ClaimRule::Trace,
    };
    let at = |span: SimDuration| SimTime::ZERO + span;
    ArrivalRules {
        mode: match trace.mode {
            written::TraceMode::Fill => TraceMode::Fill { interval: trace.interval },
            written::TraceMode::Clock => TraceMode::Clock,
            written::TraceMode::Compress(factor) => {
                TraceMode::Compress { factor_milli: libm::round(factor * 1000.0).max(1.0) as u64 }
            }
        },
        until: trace.until.map(|until| demand(cluster, until)),
        window: trace.window.map(|(from, to)| (at(from), at(to))),
        every_nth_job: u64::from(trace.thin),
        claims,
        sets: trace.group.value == written::TraceGroup::Sets,
    }
}

/// The rules of a trace's arrivals. `cluster` has all nodes: `until` is a share of what they offer.
///
/// # Errors
/// An unknown format, files of another one, rules that the trace cannot follow.
pub fn arrivals(
    cluster: &mut Cluster,
    trace: &written::TraceSpec,
    machines: Machines,
    toleration: SimDuration,
    streams: &Streams,
) -> Result<TracePlan, Box<TraceError>> {
    let request = request(trace, &trace.files)?;
    let format = request.reader()?.format();
    let pinned = trace.placement.value == written::TracePlacement::Trace;
    refuse_impossible(cluster, trace, &machines, format, pinned)?;
    let rules = arrival_rules(cluster, trace);
    let Machines { rules: mut machine_rules, events, count } = machines;
    let caps = if format.has_caps() { caps(cluster, &request, &rules, streams)? } else { Caps::default() };
    machine_rules.caps = caps.capacities();
    machine_rules.cap_all(cluster);
    let class = class_name(cluster, trace).unwrap_or_default();
    let class = cluster.names.intern(&class);
    let label = |cluster: &mut Cluster, name: &str| {
        let label = cluster.names.intern(name);
        let mut nodes = cluster.nodes().ids();
        let found = nodes.any(|node| cluster.node_labels(node).get(label).is_some());
        found.then_some(label)
    };
    let role_label = label(cluster, ROLE_LABEL);
    let gpu = machine_rules.gpu;
    let gpu_label = if gpu.is_some() { label(cluster, GPU_MODEL_LABEL) } else { None };
    let memory_per_core = (format == Format::AlibabaSpotGpuV2026).then_some(MEMORY_PER_CORE);
    let mut assumptions = of_rules(format, &request.options, &rules);
    let text = |sym: Sym| cluster.names.text(sym).to_owned();
    if rules_make_claims(&rules, format) {
        assumptions.push(TraceAssumption::new(
            "claims.class",
            text(class),
            "StorageClass of the trace's claims",
        ));
    }
    assumptions.extend(gpu_words(gpu.is_some(), gpu_label.is_some()));
    assumptions.extend(machine_words(&machine_rules, &events, count, memory_per_core.is_some()));
    assumptions.extend(placement_words(pinned));
    if pinned {
        assumptions.extend(bind_where_placed(cluster, class, format));
    }
    if !caps.is_empty() {
        let note = "at most so many pods of a group on one node: 1 is required anti-affinity by hostname, more are counted with an \
                    extended resource stowplan.io/max-... that every node offers";
        assumptions.push(TraceAssumption::new("maxPerNode", format!("{} groups", caps.len()), note));
    }
    let mut tolerations = Vec::new();
    add_default_tolerations(&mut tolerations, toleration);
    Ok(TracePlan {
        request,
        rules,
        class,
        gpu,
        gpu_label,
        role_label,
        tolerations,
        pinned,
        caps,
        memory_per_core,
        machines: machine_rules,
        machine_events: events.later,
        assumptions,
    })
}

fn refuse_impossible(
    cluster: &Cluster,
    trace: &written::TraceSpec,
    machines: &Machines,
    format: Format,
    pinned: bool,
) -> Result<(), Box<TraceError>> {
    if pinned && !format.has_placement() {
        let message = format!("placement: trace: {format} does not say where its pods were");
        return Err(
            TraceError::option(message).with_hint("leave placement out: the simulated scheduler decides")
        );
    }
    if pinned && trace.group.value == written::TraceGroup::Sets {
        let message = "placement: trace places single pods, group: sets makes them replicas of one template";
        return Err(TraceError::option(message).with_hint("use one of the two"));
    }
    let appears = |change: &NodeChange| matches!(change, NodeChange::Appears(_));
    let later = machines.events.later.iter().any(|(_, event)| appears(&event.change));
    if cluster.nodes().iter().all(|(_, node)| !node.exists) && !later {
        let message = format!("the cluster has no node: there are no machines among the files of {format}");
        return Err(TraceError::option(message).with_hint(
            "add cluster.nodes to the scenario, or files with machines under workload.trace.nodes",
        ));
    }
    Ok(())
}

fn rules_make_claims(rules: &ArrivalRules, format: Format) -> bool {
    match rules.claims {
        ClaimRule::None => false,
        ClaimRule::Synthetic { .. } => true,
        ClaimRule::Trace | ClaimRule::TraceShare(_) | ClaimRule::TraceLimit => format.has_disk(),
    }
}

fn gpu_words(counted: bool, models: bool) -> Option<TraceAssumption> {
    let (value, note) = match (counted, models) {
        (false, _) => ("ignore", "GPUs, their shares and models are left out"),
        (true, true) => (
            "count",
            "GPUs are the extended resource nvidia.com/gpu, shares rounded up; allowed models are required node affinity on \
             alibabacloud.com/gpu-card-model",
        ),
        (true, false) => (
            "count",
            "GPUs are the extended resource nvidia.com/gpu, shares rounded up; no node says its model, so models are left out",
        ),
    };
    Some(TraceAssumption::new("gpu", value, note))
}

fn machine_words(
    rules: &MachineRules,
    events: &MachineEvents,
    count: usize,
    memory_assumed: bool,
) -> Vec<TraceAssumption> {
    let mut list = Vec::new();
    if count > 0 || !events.later.is_empty() {
        let later = events.later.len();
        let value = format!("{count} at the start, {later} events later");
        let note = "machines of the trace are nodes; they come, go, change capacity and are cordoned when the trace says so; a pod \
                    on a node that goes is lost with its data and submitted again, and a disk comes back with its node";
        list.push(TraceAssumption::new("nodes", value, note));
        let own_disk = events.at_start.iter().any(|(machine, _)| machine.disk_bytes.is_some());
        if own_disk && rules.disks.is_empty() && rules.class.is_some() {
            let note = "the disk that the trace gives each machine is one LVM volume group (extent 4Mi)";
            list.push(TraceAssumption::new("nodes.disks", "the trace's", note));
        }
    }
    if memory_assumed {
        let note =
            "synthetic: the trace has no memory, neither of machines nor of pods; both get 8 GiB per core";
        list.push(TraceAssumption::new("memory", "8Gi per core", note));
    }
    list
}

fn placement_words(pinned: bool) -> Option<TraceAssumption> {
    let note = "each pod may only go to the machine on which the trace had it (required node affinity on metadata.name); where it \
                does not fit by its requests it waits, for some traces overcommit; pods without a recorded machine are scheduled \
                freely";
    pinned.then(|| TraceAssumption::new("placement", "trace", note))
}

/// A replay puts the data where the pods were: the classes of the trace's claims wait for their pods, also where they would bind
/// at once, for then a claim is bound on whichever machine and its pod can never go where the trace had it.
fn bind_where_placed(cluster: &mut Cluster, class: Sym, format: Format) -> Vec<TraceAssumption> {
    // These two may name a class for each claim.
    let any = matches!(format, Format::Stowplan | Format::Simkube);
    let early: Vec<StorageClass> = cluster
        .classes()
        .filter(|c| (any || c.name == class) && c.binding_mode == BindingMode::Immediate)
        .cloned()
        .collect();
    let note = "StorageClass that says Immediate and is used as WaitForFirstConsumer: placement: trace puts the data where the \
                trace had the pod";
    let words = |class: StorageClass| {
        let name = cluster.names.text(class.name).to_owned();
        cluster.set_class(StorageClass { binding_mode: BindingMode::WaitForFirstConsumer, ..class });
        TraceAssumption::new("placement", name, note)
    };
    early.into_iter().map(words).collect()
}

/// Reads the trace once for the groups of which a node takes at most so many pods.
fn caps(
    cluster: &mut Cluster,
    request: &TraceRequest,
    rules: &ArrivalRules,
    streams: &Streams,
) -> Result<Caps, Box<TraceError>> {
    let rules = ArrivalRules { until: None, claims: ClaimRule::None, ..rules.clone() };
    let mut arrivals = Arrivals::new(TraceSource::open(request)?, rules, streams.clone())?;
    let mut caps = Caps::default();
    while let Some(arrival) = arrivals.next_arrival()? {
        caps.note(&arrival.pod);
    }
    caps.intern(cluster);
    Ok(caps)
}

fn demand(cluster: &mut Cluster, until: written::FillUntil) -> Until {
    let gpu = cluster.names.intern(GPU);
    let nodes = || cluster.nodes().iter().filter(|(_, node)| node.exists).map(|(_, node)| &node.allocatable);
    let sum = |amount: fn(&Resources) -> i64| nodes().map(|r| amount(r).max(0) as f64).sum::<f64>();
    let (of, offered) = match until.resource {
        written::FillResource::Cpu => (DemandOf::Cpu, sum(|r| r.cpu_milli)),
        written::FillResource::Memory => (DemandOf::Memory, sum(|r| r.memory_bytes)),
        written::FillResource::Disk => {
            let volumes: f64 = cluster.volumes().iter().map(|(_, v)| v.capacity.ceil() as f64).sum();
            let groups: f64 = cluster.volume_groups().iter().map(|(_, g)| g.capacity_bytes() as f64).sum();
            (DemandOf::Disk, volumes + groups)
        }
        written::FillResource::Gpu => {
            (DemandOf::Gpu, nodes().map(|r| r.scalar(gpu) as f64 * 1000.0).sum::<f64>())
        }
    };
    Until { of, demand: libm::ceil(offered * until.share).max(0.0) as u128 }
}
