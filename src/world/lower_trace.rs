//! From a scenario's trace to nodes and the rules of its arrivals.

use super::draw::draw_bytes;
use super::lower::{add_default_tolerations, add_disks, taint};
use super::plan::WipedVolume;
use super::trace::TracePlan;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::labels::LabelSet;
use crate::model::names::{Sym, sym};
use crate::model::node::{Node, NodeInfo};
use crate::model::resources::Resources;
use crate::scenario as written;
use crate::trace::mapping::{ArrivalRules, ClaimRule, DemandOf, TraceMode, Until, dns_label};
use crate::trace::{Format, NodeChange, TraceError, TraceInput, TraceNode, TraceRequest, read_nodes};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The extended resource that GPUs become.
const GPU: &str = "nvidia.com/gpu";
/// Node label that the trace's roles are matched with.
const ROLE_LABEL: &str = "role";

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
    request.options.skip_bad_rows = (trace.skip_bad_rows > 0).then_some(trace.skip_bad_rows);
    let units = |q: Option<crate::model::quantity::Quantity>| q.and_then(|q| u64::try_from(q.ceil()).ok());
    request.options.max_cpu_milli = trace.max_cpu.and_then(|q| u64::try_from(q.milli_value()).ok());
    request.options.max_memory_bytes = units(trace.max_memory);
    request.options.max_disk_bytes = units(trace.max_disk);
    Ok(request)
}

/// Adds the machines that are there when the trace begins, with the disks that the scenario gives them.
///
/// # Errors
/// A machine list that cannot be read.
pub fn add_nodes(
    cluster: &mut Cluster,
    trace: &written::TraceSpec,
    wiped: &mut Vec<WipedVolume>,
    uncarved: &mut BTreeMap<Sym, u128>,
) -> Result<(), Box<TraceError>> {
    let Some(nodes) = &trace.nodes else { return Ok(()) };
    let (events, _) = read_nodes(&request(trace, &nodes.files)?)?;
    for event in events {
        let (NodeChange::Appears(machine), true) =
            (event.change, event.at.is_none_or(|at| at == SimTime::ZERO))
        else {
            continue;
        };
        add_machine(cluster, trace, nodes, &machine, wiped, uncarved);
    }
    Ok(())
}

fn add_machine(
    cluster: &mut Cluster,
    trace: &written::TraceSpec,
    nodes: &written::TraceNodes,
    machine: &TraceNode,
    wiped: &mut Vec<WipedVolume>,
    uncarved: &mut BTreeMap<Sym, u128>,
) {
    let name = dns_label(&machine.name.to_string());
    let mut allocatable = Resources {
        cpu_milli: i64::try_from(machine.cpu_milli).unwrap_or(i64::MAX),
        memory_bytes: machine.memory_bytes.map_or(i64::MAX, |b| i64::try_from(b).unwrap_or(i64::MAX)),
        ..Resources::default()
    };
    if trace.gpu == written::GpuRule::Count {
        let gpu = cluster.names.intern(GPU);
        allocatable.set_scalar(gpu, i64::from(machine.gpus));
    }
    let mut labels = vec![(sym::HOSTNAME, cluster.names.intern(&name))];
    for (key, value) in [(sym::ZONE, &machine.zone), (sym::RACK, &machine.rack)] {
        if let Some(value) = value {
            labels.push((key, cluster.names.intern(value)));
        }
    }
    let node = Node {
        name: cluster.names.intern(&name),
        uid: cluster.new_uid(),
        exists: true,
        labels: cluster.intern_labels(LabelSet::new(labels)),
        taints: nodes.taints.iter().map(|t| taint(cluster, t)).collect(),
        unschedulable: false,
        ready: true,
        allocatable,
        allocatable_has_cpu: true,
        allocatable_has_memory: true,
        allocatable_pods: i64::from(nodes.pods),
        images: Vec::new(),
        info: NodeInfo::default(),
        generation: 0,
    };
    if let Ok(id) = cluster.add_node(node) {
        let rest = add_disks(cluster, id, &name, &nodes.disks, wiped);
        if rest > 0 {
            let node = cluster.node(id).name;
            uncarved.insert(node, rest);
        }
    }
}

/// The rules of a trace's arrivals. `cluster` has all nodes: `until` is a share of what they offer.
///
/// # Errors
/// An unknown format.
pub fn arrivals(
    cluster: &mut Cluster,
    trace: &written::TraceSpec,
    toleration: SimDuration,
) -> Result<TracePlan, Box<TraceError>> {
    let claims = match &trace.claims {
        Some(written::TraceClaims { share, size: Some(size), .. }) => {
            let size = size.clone();
            ClaimRule::Synthetic { share: *share, size: Arc::new(move |rng| draw_bytes(&size, rng)) }
        }
        _ => ClaimRule::Trace,
    };
    let at = |span: SimDuration| SimTime::ZERO + span;
    let rules = ArrivalRules {
        mode: match trace.mode {
            written::TraceMode::Fill => TraceMode::Fill { interval: trace.interval },
            written::TraceMode::Clock => TraceMode::Clock,
            written::TraceMode::Compress(factor) => {
                TraceMode::Compress { factor_milli: libm::round(factor * 1000.0) as u64 }
            }
        },
        until: trace.until.map(|until| demand(cluster, until)),
        window: trace.window.map(|(from, to)| (at(from), at(to))),
        every_nth_job: u64::from(trace.thin),
        claims,
    };
    let class = match &trace.claims {
        Some(claims) => cluster.names.intern(&claims.class),
        // The trace has claims of its own and the scenario names no class: that of the disks.
        None => {
            let disks = trace.nodes.iter().flat_map(|nodes| &nodes.disks).next();
            let class = disks.map(|disk| disk.class.value.clone());
            let only = || cluster.classes().next().map(|class| cluster.names.text(class.name).to_owned());
            let class = class.or_else(only).unwrap_or_default();
            cluster.names.intern(&class)
        }
    };
    let role = cluster.names.intern(ROLE_LABEL);
    let has_role = cluster.nodes().ids().any(|node| cluster.node_labels(node).get(role).is_some());
    let mut tolerations = Vec::new();
    add_default_tolerations(&mut tolerations, toleration);
    Ok(TracePlan {
        request: request(trace, &trace.files)?,
        rules,
        class,
        gpu: (trace.gpu == written::GpuRule::Count).then(|| cluster.names.intern(GPU)),
        role_label: has_role.then_some(role),
        tolerations,
    })
}

fn demand(cluster: &mut Cluster, until: written::FillUntil) -> Until {
    let gpu = cluster.names.intern(GPU);
    let nodes = || cluster.nodes().iter().filter(|(_, node)| node.exists).map(|(_, node)| &node.allocatable);
    let sum = |amount: fn(&Resources) -> i64| nodes().map(|r| amount(r).max(0) as f64).sum::<f64>();
    let (of, offered) = match until.resource {
        written::FillResource::Cpu => (DemandOf::Cpu, sum(|r| r.cpu_milli)),
        written::FillResource::Memory => (DemandOf::Memory, sum(|r| r.memory_bytes)),
        written::FillResource::Disk => {
            let bytes = cluster.volumes().iter().map(|(_, v)| v.capacity.ceil() as f64).sum();
            (DemandOf::Disk, bytes)
        }
        written::FillResource::Gpu => {
            (DemandOf::Gpu, nodes().map(|r| r.scalar(gpu) as f64 * 1000.0).sum::<f64>())
        }
    };
    Until { of, demand: libm::ceil(offered * until.share).max(0.0) as u128 }
}
