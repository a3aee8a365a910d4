//! `incidents.csv`: what failed and what recovered, with when it began and when it was over.
//!
//! A group's first formation is no incident, and neither is a member that is still being added: only what a group of this size has
//! had already can be lost.

use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId, StatefulSetId, VolumeId};
use crate::model::names::Sym;
use crate::model::volume::VolumePhase;
use crate::results::tables::{IncidentKind, IncidentRow};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that are kept; later incidents have none.
pub const MOST_INCIDENTS: usize = 100_000;

/// Place of an incident that is not over.
pub type Handle = usize;

/// All incidents of a run, in the order in which they began.
#[derive(Debug, Default)]
pub struct Incidents {
    rows: Vec<IncidentRow>,
    nodes: BTreeMap<NodeId, Handle>,
    rebuilds: BTreeMap<PodId, Handle>,
    /// Volumes that were given up in this instant: that they go then is no loss.
    released: BTreeSet<VolumeId>,
}

impl Incidents {
    /// Something begins; `None` if there are too many.
    pub fn begin(&mut self, at: SimTime, what: IncidentKind, object: String, pods: u64) -> Option<Handle> {
        if self.rows.len() >= MOST_INCIDENTS {
            return None;
        }
        self.rows.push(IncidentRow {
            seconds: at.as_secs_f64(),
            what,
            object,
            pods,
            ..IncidentRow::default()
        });
        Some(self.rows.len() - 1)
    }

    /// It is over.
    pub fn end(&mut self, at: SimTime, handle: Handle) {
        if let Some(row) = self.rows.get_mut(handle) {
            row.until_seconds = Some(at.as_secs_f64());
        }
    }

    /// Something that takes no time.
    pub fn once(&mut self, at: SimTime, what: IncidentKind, object: String) -> Option<&mut IncidentRow> {
        let handle = self.begin(at, what, object, 0)?;
        self.end(at, handle);
        self.rows.get_mut(handle)
    }

    /// So many pods are concerned now; the most of them is told.
    pub fn worst(&mut self, handle: Handle, pods: u64) {
        if let Some(row) = self.rows.get_mut(handle) {
            row.pods = row.pods.max(pods);
        }
    }

    /// The Ready condition of a node may have changed, or the node is gone.
    pub fn node(&mut self, at: SimTime, cluster: &Cluster, node: NodeId) {
        let row = cluster.node(node);
        let name = || cluster.names.text(row.name).to_owned();
        let down = row.exists && !row.ready;
        if down && !self.nodes.contains_key(&node) {
            let pods = row.info.pods.len() as u64;
            let handle = self.begin(at, IncidentKind::NodeNotReady, name(), pods);
            self.nodes.extend(handle.map(|h| (node, h)));
        }
        if !down && let Some(handle) = self.nodes.remove(&node) {
            self.end(at, handle);
        }
        if !row.exists {
            self.once(at, IncidentKind::NodeDeleted, name());
        }
    }

    /// A volume's phase changed.
    pub fn volume_phase(&mut self, volume: VolumeId, phase: VolumePhase) {
        if matches!(phase, VolumePhase::Released | VolumePhase::Failed) {
            self.released.insert(volume);
        }
    }

    /// A volume of so many bytes that was bound is gone: with its disk, unless its claim let go of it first.
    pub fn volume_gone(
        &mut self,
        at: SimTime,
        cluster: &Cluster,
        (volume, name): (VolumeId, Sym),
        bytes: u128,
    ) {
        if self.released.remove(&volume) {
            return;
        }
        if let Some(row) = self.once(at, IncidentKind::VolumeLost, cluster.names.text(name).to_owned()) {
            row.bytes = Some(bytes);
        }
    }

    /// The instant is over.
    pub fn settle(&mut self) {
        self.released.clear();
    }

    /// A member's data is copied from a backup.
    pub fn rebuild_started(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, bytes: u64) {
        if let Some(handle) = self.begin(at, IncidentKind::Rebuild, cluster.pod_key(pod), 1) {
            self.rows[handle].bytes = Some(bytes.into());
            self.rebuilds.insert(pod, handle);
        }
    }

    /// The copy is there, or its pod is gone.
    pub fn rebuild_over(&mut self, at: SimTime, pod: PodId) {
        if let Some(handle) = self.rebuilds.remove(&pod) {
            self.end(at, handle);
        }
    }

    /// What a group wrote in so many seconds is on no disk any more.
    pub fn writes_lost(&mut self, at: SimTime, cluster: &Cluster, set: StatefulSetId, seconds: f64) {
        if let Some(row) = self.once(at, IncidentKind::WritesLost, group_name(cluster, set)) {
            row.lost_write_seconds = Some(seconds);
        }
    }

    /// The rows, in the order in which they began.
    pub fn take(&mut self) -> Vec<IncidentRow> {
        std::mem::take(&mut self.rows)
    }

    /// Some had no row.
    pub fn is_cut(&self) -> bool {
        self.rows.len() >= MOST_INCIDENTS
    }
}

/// `namespace/name` of a set.
pub fn group_name(cluster: &Cluster, set: StatefulSetId) -> String {
    let row = &cluster.stateful_sets()[set];
    format!("{}/{}", cluster.names.text(row.namespace), cluster.names.show(row.name))
}
