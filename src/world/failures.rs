//! Random failures of nodes, racks, zones and disks.
//!
//! Every thing that can fail works for a drawn time, is down for a drawn time, works again. Draws are keyed by the thing's name and the
//! number of its failure, so variants of a scenario meet the same failures.

use super::draw::draw;
use super::plan::DiskRef;
use super::*;
use crate::engine::samplers;
use crate::model::names::sym;
use crate::scenario::{FailureProcess, Failures};
use std::collections::BTreeMap;

/// Something that fails as a whole.
#[derive(Clone, Debug)]
struct Thing {
    /// Kind and name, the key of its draws.
    name: String,
    what: What,
    process: FailureProcess,
    failures: u32,
    /// It will not come back.
    permanent: bool,
}

#[derive(Clone, Debug)]
enum What {
    Nodes(Vec<NodeId>),
    Disk(DiskRef),
}

/// Everything that can fail.
#[derive(Clone, Debug, Default)]
pub(super) struct FailingThings {
    things: Vec<Thing>,
}

impl FailingThings {
    /// What the cluster has at the start of the kinds that fail.
    pub(super) fn new(failures: &Failures, cluster: &Cluster) -> FailingThings {
        let mut things = Vec::new();
        let mut add = |kind: &str, name: &str, what: What, process: &FailureProcess| {
            let name = format!("{kind}/{name}");
            things.push(Thing { name, what, process: process.clone(), failures: 0, permanent: false });
        };
        let nodes = || cluster.nodes().iter().filter(|(_, node)| node.exists);
        if let Some(process) = &failures.node {
            for (id, node) in nodes() {
                add("node", cluster.names.text(node.name), What::Nodes(vec![id]), process);
            }
        }
        for (kind, label, process) in
            [("zone", sym::ZONE, &failures.zone), ("rack", sym::RACK, &failures.rack)]
        {
            let Some(process) = process else { continue };
            let mut groups: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
            for (id, _) in nodes() {
                if let Some(value) = cluster.node_labels(id).get(label) {
                    groups.entry(cluster.names.text(value)).or_default().push(id);
                }
            }
            for (name, members) in groups {
                add(kind, name, What::Nodes(members), process);
            }
        }
        if let Some(process) = &failures.disk {
            for (name, disk) in disks(cluster) {
                add("disk", &name, What::Disk(disk), process);
            }
        }
        FailingThings { things }
    }
}

/// Disks by name: generated volumes are named `<node>-d<disk>-p<part>`, any other local volume is a disk of its own, and so is a volume
/// group.
fn disks(cluster: &Cluster) -> BTreeMap<String, DiskRef> {
    let mut disks: BTreeMap<String, DiskRef> = BTreeMap::new();
    for (_, volume) in cluster.volumes().iter() {
        if volume.node_affinity.is_some() && volume.provisioned_by.is_none() {
            let name = cluster.names.text(volume.name);
            disks.entry(disk_of(name).to_owned()).or_default().volumes.push(volume.name);
        }
    }
    for (id, group) in cluster.volume_groups().iter() {
        let name = cluster.names.text(group.name).to_owned();
        disks.insert(name, DiskRef { group: Some(id), ..DiskRef::default() });
    }
    disks
}

/// The disk of a volume by its name.
pub(super) fn disk_of(volume: &str) -> &str {
    match volume.rsplit_once("-p") {
        Some((disk, part)) if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) => disk,
        _ => volume,
    }
}

impl<O: Observer> World<'_, O> {
    /// Plans the first failure of everything.
    pub(super) fn plan_failures(&mut self) {
        for index in 0..self.failing.things.len() {
            self.plan_failure(index);
        }
    }
    fn plan_failure(&mut self, index: usize) {
        let thing = &self.failing.things[index];
        let mut rng = self.streams.stream("failure", &format!("{}#{}", thing.name, thing.failures));
        let at = self.now + draw(&thing.process.mtbf, &mut rng);
        self.plan_event(at, RANK_TIMELINE, Event::Fails(index as u32));
    }
    pub(super) fn fails(&mut self, index: u32) {
        let thing = &mut self.failing.things[index as usize];
        let mut rng = self.streams.stream("repair", &format!("{}#{}", thing.name, thing.failures));
        thing.failures += 1;
        thing.permanent = samplers::unit(&mut rng) < thing.process.permanent;
        let repair = draw(&thing.process.repair, &mut rng);
        match thing.what.clone() {
            What::Nodes(nodes) => nodes.into_iter().for_each(|node| self.node_down(node)),
            What::Disk(disk) => self.disk_fails(&disk),
        }
        self.plan_event(self.now + repair, RANK_TIMELINE, Event::Repaired(index));
    }
    /// Repaired, or given up: then the nodes' objects are deleted, and a disk stays away.
    pub(super) fn repaired(&mut self, index: u32) {
        let thing = &self.failing.things[index as usize];
        let (what, permanent) = (thing.what.clone(), thing.permanent);
        match what {
            What::Nodes(nodes) if permanent => {
                for node in nodes {
                    self.cluster.remove_node(node);
                    self.publish();
                }
            }
            What::Nodes(nodes) => nodes.into_iter().for_each(|node| self.node_up(node)),
            What::Disk(_) if permanent => {}
            What::Disk(disk) => self.disk_repaired(&disk),
        }
        if !permanent {
            self.plan_failure(index as usize);
        }
    }
}
