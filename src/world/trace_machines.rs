//! The machines of a trace as nodes: those of the start, and how they come, go and change during the run.

use super::lower::add_disks;
use super::plan::WipedVolumes;
use super::*;
use crate::model::ids::LabelSetId;
use crate::model::labels::LabelSet;
use crate::model::names::{Sym, sym};
use crate::model::node::{Node, NodeInfo, NodeShape};
use crate::model::resources::Resources;
use crate::model::spec::Taint;
use crate::scenario as written;
use crate::trace::mapping::dns_label;
use crate::trace::{NodeChange, NodeEvent, TraceId, TraceNode};

/// How a machine becomes a node.
#[derive(Clone, Debug)]
pub struct MachineRules {
    /// Disks of every node; none: the trace's own disk as a volume group, where it says how large that is.
    pub disks: Vec<written::DiskSpec>,
    /// Class of a disk that the trace gives.
    pub class: Option<written::Spanned<String>>,
    /// Taints of every node.
    pub taints: Vec<Taint>,
    /// Pods per node.
    pub pods: u32,
    /// GPUs become the extended resource of this name.
    pub gpu: Option<Sym>,
    /// Label of the GPUs' model.
    pub gpu_label: Sym,
    /// Memory per core of machines without memory.
    pub memory_per_core: u64,
    /// Extended resources by which pods of a group are counted.
    pub caps: Vec<(Sym, i64)>,
}

impl MachineRules {
    /// Adds a machine as a node with its disks: the node, and the bytes of its disks in no volume. `None`: a node of this name
    /// is there already.
    pub fn add(
        &self,
        cluster: &mut Cluster,
        machine: &TraceNode,
        wiped: &mut Vec<WipedVolumes>,
    ) -> Option<(NodeId, u128)> {
        let name = dns_label(&machine.name.to_string());
        let labels = self.labels(cluster, machine, &name);
        let node = Node {
            name: cluster.names.intern(&name),
            uid: cluster.new_uid(),
            exists: true,
            labels,
            unschedulable: machine.cordoned,
            ready: true,
            shape: Arc::new(NodeShape {
                taints: self.taints.clone(),
                allocatable: self.allocatable(machine),
                allocatable_has_cpu: true,
                allocatable_has_memory: true,
                allocatable_pods: i64::from(self.pods),
                images: Vec::new(),
            }),
            info: NodeInfo::default(),
            generation: 0,
        };
        let symbol = node.name;
        let id = cluster.add_node(node).ok()?;
        // A machine that comes back has its disks still.
        if !cluster.volume_groups_on(symbol).is_empty() {
            return Some((id, 0));
        }
        let rest = match (self.disks.as_slice(), machine.disk_bytes, &self.class) {
            ([], Some(size_bytes), Some(class)) if size_bytes > 0 => {
                let carve = written::Carve::Lvm { extent_bytes: 4 << 20, overcommit: 1.0 };
                let disk = written::DiskSpec {
                    class: class.clone(),
                    count: 1,
                    size_bytes,
                    carve,
                    reclaim: written::ReclaimPolicy::Delete,
                    volume_mode: written::VolumeMode::Filesystem,
                    static_provisioner: None,
                };
                add_disks(cluster, id, &name, &[disk], wiped)
            }
            (disks, _, _) => add_disks(cluster, id, &name, disks, wiped),
        };
        Some((id, rest))
    }

    fn labels(&self, cluster: &mut Cluster, machine: &TraceNode, name: &str) -> LabelSetId {
        let mut labels = vec![(sym::HOSTNAME, cluster.names.intern(name))];
        let model = self.gpu.and(machine.gpu_model.as_ref()).filter(|_| machine.gpus > 0);
        let said =
            [(sym::ZONE, machine.zone.as_ref()), (sym::RACK, machine.rack.as_ref()), (self.gpu_label, model)];
        for (key, value) in said {
            if let Some(value) = value {
                labels.push((key, cluster.names.intern(value)));
            }
        }
        cluster.intern_labels(LabelSet::new(labels))
    }

    fn allocatable(&self, machine: &TraceNode) -> Resources {
        let assumed = u128::from(machine.cpu_milli) * u128::from(self.memory_per_core) / 1000;
        let memory = machine.memory_bytes.map_or(assumed, u128::from);
        let mut allocatable = Resources {
            cpu_milli: i64::try_from(machine.cpu_milli).unwrap_or(i64::MAX),
            memory_bytes: i64::try_from(memory).unwrap_or(i64::MAX),
            ..Resources::default()
        };
        if let Some(gpu) = self.gpu {
            allocatable.set_scalar(gpu, i64::from(machine.gpus));
        }
        for &(name, amount) in &self.caps {
            allocatable.set_scalar(name, amount);
        }
        allocatable
    }

    /// Gives every node the extended resources by which pods of a group are counted.
    pub fn cap_all(&self, cluster: &mut Cluster) {
        let nodes: Vec<NodeId> = cluster.nodes().iter().filter(|(_, n)| n.exists).map(|(id, _)| id).collect();
        for node in nodes {
            let row = cluster.node(node);
            let (mut allocatable, pods) = (row.allocatable.clone(), row.allocatable_pods);
            for &(name, amount) in &self.caps {
                allocatable.set_scalar(name, amount);
            }
            cluster.set_node_allocatable(node, allocatable, pods);
        }
    }
}

/// What happens to machines, on the run's clock.
#[derive(Clone, Debug, Default)]
pub struct MachineEvents {
    /// The machines of the start, in order of appearance; `true`: cordoned.
    pub at_start: Vec<(TraceNode, bool)>,
    /// What happens later, by time.
    pub later: Vec<(SimTime, NodeEvent)>,
}

impl MachineEvents {
    /// Puts the events of a trace, by time, on the run's clock: up to the window's start they are the start; `compress` divides
    /// times; for `fill`, which has no clock, all machines are there that the trace ever has.
    pub fn new(
        events: Vec<NodeEvent>,
        mode: written::TraceMode,
        window: Option<(SimDuration, SimDuration)>,
    ) -> MachineEvents {
        let (from, to) = window.map_or((SimDuration::ZERO, None), |(from, to)| (from, Some(to)));
        let origin = SimTime::ZERO + from;
        let mut start = StartingMachines::default();
        let mut later = Vec::new();
        for event in events {
            let at = event.at.unwrap_or(SimTime::ZERO);
            if mode == written::TraceMode::Fill {
                if let NodeChange::Appears(machine) = event.change {
                    start.keep_first(machine);
                }
            } else if at <= origin {
                start.apply(event);
            } else if to.is_none_or(|to| at < SimTime::ZERO + to) {
                let since = at.since(origin);
                let since = match mode {
                    written::TraceMode::Compress(factor) => {
                        SimDuration::from_nanos(libm::round(since.as_nanos() as f64 / factor) as u64)
                    }
                    written::TraceMode::Fill | written::TraceMode::Clock => since,
                };
                later.push((SimTime::ZERO + since, event));
            }
        }
        MachineEvents { at_start: start.present(), later }
    }
}

/// Machines by name while the start is put together.
#[derive(Default)]
struct StartingMachines {
    order: Vec<Option<(TraceNode, bool)>>,
    places: rustc_hash::FxHashMap<TraceId, usize>,
}

impl StartingMachines {
    fn place(&mut self, name: &TraceId) -> usize {
        let next = self.order.len();
        let place = *self.places.entry(name.clone()).or_insert(next);
        if place == next {
            self.order.push(None);
        }
        place
    }
    fn keep_first(&mut self, machine: TraceNode) {
        let place = self.place(&machine.name);
        self.order[place].get_or_insert((machine, false));
    }
    fn apply(&mut self, event: NodeEvent) {
        let place = self.place(&event.node);
        match event.change {
            NodeChange::Appears(machine) => self.order[place] = Some((machine, false)),
            NodeChange::Capacity(machine) => {
                self.order[place] = Some((machine, false));
            }
            NodeChange::Disappears => self.order[place] = None,
            NodeChange::Cordoned { .. } => {
                if let Some((_, cordoned)) = &mut self.order[place] {
                    *cordoned = true;
                }
            }
        }
    }
    fn present(self) -> Vec<(TraceNode, bool)> {
        self.order.into_iter().flatten().collect()
    }
}

impl<O: Observer> World<'_, O> {
    /// The next machine event of the trace.
    pub(super) fn machine_step(&mut self) {
        let Some(trace) = &self.plan.trace else { return };
        let Some((_, event)) = trace.machine_events.get(self.trace.next_machine) else { return };
        self.trace.next_machine += 1;
        self.events += 1;
        let name = self.cluster.names.intern(&dns_label(&event.node.to_string()));
        let there = self.cluster.node_by_name(name);
        match (&event.change, there) {
            (NodeChange::Appears(machine), None) => self.machine_appears(&trace.machines, machine, name),
            (NodeChange::Appears(machine) | NodeChange::Capacity(machine), Some(node)) => {
                let labels =
                    trace.machines.labels(&mut self.cluster, machine, &dns_label(&event.node.to_string()));
                let pods = self.cluster.node(node).allocatable_pods;
                self.cluster.set_node_labels(node, labels);
                self.cluster.set_node_unschedulable(node, machine.cordoned);
                self.cluster.set_node_allocatable(node, trace.machines.allocatable(machine), pods);
            }
            (NodeChange::Disappears, Some(node)) => self.cluster.remove_node(node),
            (NodeChange::Cordoned { .. }, Some(node)) => self.cluster.set_node_unschedulable(node, true),
            (_, None) => {}
        }
        self.publish();
    }

    fn machine_appears(&mut self, rules: &MachineRules, machine: &TraceNode, name: Sym) {
        let mut wiped = Vec::new();
        let Some((node, _)) = rules.add(&mut self.cluster, machine, &mut wiped) else { return };
        for wiped in wiped {
            for volume in wiped.volumes() {
                self.disks.manage(&self.cluster, volume, node, wiped.wipe);
            }
        }
        self.lvm.node_added(&mut self.cluster, name, self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(name: u64, cpu_milli: u64) -> TraceNode {
        TraceNode { name: TraceId::Number(name), cpu_milli, ..TraceNode::default() }
    }
    fn event(at: u64, name: u64, change: NodeChange) -> NodeEvent {
        let at = (at > 0).then(|| SimTime::from_secs(at));
        NodeEvent { at, node: TraceId::Number(name), change }
    }
    fn appears(at: u64, name: u64, cpu_milli: u64) -> NodeEvent {
        event(at, name, NodeChange::Appears(machine(name, cpu_milli)))
    }
    fn events() -> Vec<NodeEvent> {
        vec![
            appears(0, 1, 1000),
            appears(0, 2, 2000),
            event(10, 2, NodeChange::Cordoned { cause: "softerror".into() }),
            event(20, 1, NodeChange::Disappears),
            event(30, 2, NodeChange::Capacity(machine(2, 500))),
            appears(40, 1, 1000),
            appears(50, 3, 3000),
        ]
    }
    fn shown(found: &MachineEvents) -> (Vec<(u64, u64, bool)>, Vec<u64>) {
        let number = |id: &TraceId| if let TraceId::Number(n) = id { *n } else { 0 };
        let start = found.at_start.iter().map(|(m, cordoned)| (number(&m.name), m.cpu_milli, *cordoned));
        let later = found.later.iter().map(|(at, _)| at.as_nanos() / 1_000_000);
        (start.collect(), later.collect())
    }

    #[test]
    fn the_start_is_what_the_window_begins_with() {
        let clock = |window: Option<(u64, u64)>| {
            let window = window.map(|(a, b)| (SimDuration::from_secs(a), SimDuration::from_secs(b)));
            MachineEvents::new(events(), written::TraceMode::Clock, window)
        };
        assert_eq!(
            shown(&clock(None)),
            (vec![(1, 1000, false), (2, 2000, false)], vec![10_000, 20_000, 30_000, 40_000, 50_000])
        );
        // At 20 s machine 1 is gone and machine 2 is cordoned; the last event is behind the window.
        assert_eq!(shown(&clock(Some((20, 50)))), (vec![(2, 2000, true)], vec![10_000, 20_000]));
    }

    #[test]
    fn compressing_divides_times_and_filling_has_none() {
        let found = MachineEvents::new(events(), written::TraceMode::Compress(4.0), None);
        assert_eq!(shown(&found).1, [2500, 5000, 7500, 10_000, 12_500]);
        let found = MachineEvents::new(events(), written::TraceMode::Fill, None);
        assert_eq!(shown(&found), (vec![(1, 1000, false), (2, 2000, false), (3, 3000, false)], vec![]));
    }
}
