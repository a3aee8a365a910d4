//! `--paranoid`: what must hold after every event and in every decision. What reality allows is exempt and counted.

use super::*;
use crate::model::cluster::Exemptions;
use crate::model::ids::{Uid, VolumeId};
use crate::model::names::Sym;
use crate::observe::filters::ProfileFilters;
use crate::observe::probe::Filters;
use crate::scheduler::profile::Profile;
use std::collections::{BTreeMap, BTreeSet};

/// What the checks remember.
pub(super) struct Checks {
    filters: ProfileFilters,
    /// Nodes that a decision may choose, as the filters say before it is made.
    feasible: BTreeSet<NodeId>,
    /// Nodes with more than fits when the run began.
    imported: BTreeSet<NodeId>,
    /// Nodes whose allocatable was changed.
    shrunk: BTreeSet<NodeId>,
    /// Volumes that somebody edited, or that came misbound.
    edited: BTreeSet<Sym>,
    /// Volumes that bindings under way hold, and for which claims, before the decision.
    reserved: Vec<(VolumeId, Uid)>,
    exempt: Exemptions,
    /// The first violation found in a decision.
    broken: Option<String>,
}

impl Checks {
    pub(super) fn new(profiles: &[Profile], cluster: &Cluster) -> Checks {
        let over = cluster.nodes().ids().filter(|id| is_overfilled(cluster, *id));
        Checks {
            filters: ProfileFilters::new(profiles),
            feasible: BTreeSet::new(),
            imported: over.collect(),
            shrunk: BTreeSet::new(),
            edited: cluster.misbound_volumes(),
            reserved: Vec::new(),
            exempt: Exemptions::default(),
            broken: None,
        }
    }
    /// The most of each kind in any state so far.
    pub(super) fn exempt(&self) -> Exemptions {
        self.exempt
    }
    /// Somebody changed a node's allocatable.
    pub(super) fn allocatable_changed(&mut self, node: NodeId) {
        self.shrunk.insert(node);
    }
    /// Somebody edited a volume.
    pub(super) fn volume_edited(&mut self, volume: Sym) {
        self.edited.insert(volume);
    }
    /// Somebody wrote objects by hand.
    pub(super) fn objects_applied(&mut self, cluster: &Cluster) {
        self.edited.extend(cluster.misbound_volumes());
    }
    /// Before a decision: which nodes pass all filters.
    pub(super) fn before(&mut self, now: SimTime, cluster: &Cluster, pod: PodId) {
        let nodes: Vec<NodeId> =
            cluster.nodes().iter().filter(|(_, node)| node.exists).map(|(id, _)| id).collect();
        let mut fits = Vec::with_capacity(nodes.len());
        self.filters.fits(now, cluster, pod, &nodes, &mut fits);
        let all = |f: &crate::observe::probe::Fit| f.volumes && f.resources && f.others;
        self.feasible = nodes.into_iter().zip(&fits).filter(|(_, f)| all(f)).map(|(n, _)| n).collect();
        self.reserved = reservations(cluster).collect();
    }
    /// After it: the node chosen is one of them, and nothing is reserved twice.
    pub(super) fn after(&mut self, cluster: &Cluster, pod: PodId, node: NodeId) {
        if !self.feasible.contains(&node) {
            let name = cluster.names.text(cluster.node(node).name);
            self.broken.get_or_insert(format!(
                "{} was sent to {name}, which does not pass the filters",
                cluster.pod_key(pod)
            ));
        }
        if let Some(twice) = reserved_twice(&self.reserved, cluster) {
            self.broken.get_or_insert(format!("{}: {twice}", cluster.pod_key(pod)));
        }
    }
    /// After an event.
    fn state(&mut self, cluster: &Cluster) -> Result<(), String> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        let mut exempt = cluster.check_invariants(&self.edited)?;
        for id in cluster.nodes().ids().filter(|id| is_overfilled(cluster, *id)) {
            let preset = |pod: &PodId| cluster.pod(*pod).preset_node;
            if self.imported.contains(&id) {
                exempt.imported_nodes += 1;
            } else if self.shrunk.contains(&id) {
                exempt.shrunk_nodes += 1;
            } else if cluster.node(id).info.pods.iter().any(preset) {
                exempt.preset_node_names += 1;
            } else {
                return Err(format!("{} has more than fits", cluster.names.text(cluster.node(id).name)));
            }
        }
        self.exempt = self.exempt.most(exempt);
        Ok(())
    }
}

/// Volumes that the scheduler holds for claims until the API has heard of it.
fn reservations(cluster: &Cluster) -> impl Iterator<Item = (VolumeId, Uid)> {
    cluster.volumes().iter().filter_map(|(id, volume)| Some((id, volume.assumed_for?)))
}

/// A volume that was reserved or claimed before a decision and is reserved for another after it, or a claim with two volumes.
fn reserved_twice(before: &[(VolumeId, Uid)], cluster: &Cluster) -> Option<String> {
    let name = |id: VolumeId| cluster.names.text(cluster.volume(id).name);
    let after: Vec<(VolumeId, Uid)> = reservations(cluster).collect();
    let taken = after.iter().find(|(id, uid)| {
        let other = before.iter().any(|(was, claim)| was == id && claim != uid);
        other || cluster.volume(*id).claim_ref.and_then(|r| r.uid).is_some_and(|claimed| claimed != *uid)
    });
    if let Some((id, _)) = taken {
        return Some(format!("{} is reserved twice", name(*id)));
    }
    let mut claims = BTreeMap::new();
    let second = after.iter().find_map(|(id, uid)| Some((claims.insert(*uid, *id)?, *id)));
    second.map(|(one, other)| format!("{} and {} are reserved for one claim", name(one), name(other)))
}

/// Do the node's pods ask for more than it has?
fn is_overfilled(cluster: &Cluster, id: NodeId) -> bool {
    let node = cluster.node(id);
    let (has, used) = (&node.allocatable, &node.info.requested);
    node.exists
        && (used.cpu_milli > has.cpu_milli
            || used.memory_bytes > has.memory_bytes
            || node.info.pods.len() as i64 > node.allocatable_pods)
}

impl<O: Observer> World<'_, O> {
    pub(super) fn check(&mut self) -> Result<(), SimError> {
        let Some(checks) = &mut self.checks else { return Ok(()) };
        let at = self.now.since(SimTime::ZERO);
        checks.state(&self.cluster).map_err(|what| SimError::Invariant { at, what })?;
        match self.outbox.iter().find(|(at, ..)| *at < self.now) {
            Some((_, _, event)) => {
                Err(SimError::Invariant { at, what: format!("{event:?} is planned for the past") })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{Fixture, claim_uid};

    #[test]
    fn what_is_reserved_twice_is_found() {
        let mut f = Fixture::new();
        let free = f.volume("free 1Gi RWO Available");
        let other = f.volume("other 1Gi RWO Available");
        let taken = f.volume("taken 1Gi RWO ref=c1! Bound");
        let (one, two) = (claim_uid("c1"), claim_uid("c2"));
        let none = (free, None);
        let cases = [
            ("a reservation goes on", vec![(free, one)], [(free, Some(one)), none], None),
            ("a second one", vec![(free, one)], [(free, Some(one)), (other, Some(two))], None),
            ("another claim's", vec![(free, one)], [(free, Some(two)), none], Some("free is reserved twice")),
            ("a claimed one", vec![], [(taken, Some(two)), none], Some("taken is reserved twice")),
            (
                "two for one claim",
                vec![],
                [(free, Some(one)), (other, Some(one))],
                Some("free and other are reserved for one claim"),
            ),
        ];
        for (what, before, after, want) in cases {
            let mut cluster = f.cluster.clone();
            for (volume, claim) in after.into_iter().filter(|(_, claim)| claim.is_some()) {
                cluster.assume_volume(volume, claim);
            }
            assert_eq!(reserved_twice(&before, &cluster).as_deref(), want, "{what}");
        }
    }
}
