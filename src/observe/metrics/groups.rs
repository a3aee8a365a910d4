//! Database groups: StatefulSets with a quorum, in group-seconds.
//!
//! A member counts if it is wanted, Running on a Ready node, and Ready: with a database operator that means caught up.

use super::incidents::{Handle, Incidents, group_name};
use crate::engine::time::{SimDuration, SimTime};
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, PodId, StatefulSetId};
use crate::model::pod::PodOwner;
use crate::observe::integral::Integral;
use crate::observe::replicas::{OwnerKey, Replicas};
use crate::results::tables::IncidentKind;

/// How a group is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    exists: bool,
    degraded: bool,
    quorum_lost: bool,
    /// At most one member holds all that was written.
    at_risk: bool,
}

/// Time during which something was so.
#[derive(Clone, Copy, Debug, Default)]
struct Stopwatch {
    since: Option<SimTime>,
    sum: Integral,
}

impl Stopwatch {
    fn set(&mut self, on: bool, now: SimTime) {
        if let Some(since) = self.since.take() {
            self.sum.add(1, now.since(since));
        }
        self.since = on.then_some(now);
    }
}

/// One group and what it has been through.
#[derive(Clone, Debug, Default)]
pub struct Group {
    state: State,
    /// Members that hold everything; `None`: nobody says.
    complete: Option<u32>,
    degraded: Stopwatch,
    quorum_lost: Stopwatch,
    at_risk: Stopwatch,
    /// The most members that it had while it was whole: a group that is still being formed has lost nothing.
    was_whole_with: u64,
    /// Incidents that are not over: degraded, without a quorum.
    open: [Option<Handle>; 2],
    /// Time of writing that is lost.
    pub lost_writes: SimDuration,
    /// Members rebuilt.
    pub rebuilds: u64,
    /// Bytes copied for that.
    pub rebuilt_bytes: u128,
    /// Bytes sent to members that caught up.
    pub caught_up_bytes: u128,
}

impl Group {
    /// The set is there.
    pub fn exists(&self) -> bool {
        self.state.exists
    }
    /// Fewer members than replicas.
    pub fn is_degraded(&self) -> bool {
        self.state.degraded
    }
    /// Seconds degraded, without quorum, at risk.
    pub fn seconds(&self) -> (f64, f64, f64) {
        (self.degraded.sum.seconds(), self.quorum_lost.sum.seconds(), self.at_risk.sum.seconds())
    }
}

/// All groups.
#[derive(Debug, Default)]
pub struct Groups {
    groups: Vec<Option<Group>>,
    dirty: Vec<StatefulSetId>,
    /// Members that make a quorum; `None`: more than half.
    quorum: Option<u32>,
    /// Up to here everything is integrated.
    now: SimTime,
    /// Groups that ever were.
    pub ever: u64,
    /// Groups with fewer running members than replicas.
    pub degraded: u64,
    /// Groups with fewer running members than a quorum.
    pub quorum_lost: u64,
    at_risk: u64,
    degraded_time: Integral,
    quorum_lost_time: Integral,
    at_risk_time: Integral,
}

impl Groups {
    /// With this quorum.
    pub fn new(quorum: Option<u32>) -> Groups {
        Groups { quorum, ..Groups::default() }
    }
    /// The set came, changed or went.
    pub fn set_changed(&mut self, cluster: &Cluster, set: StatefulSetId) {
        if !cluster.stateful_sets()[set].group {
            return;
        }
        if self.groups.len() <= set.index() {
            self.groups.resize(set.index() + 1, None);
        }
        if self.groups[set.index()].is_none() {
            self.groups[set.index()] = Some(Group::default());
            self.ever += 1;
        }
        self.dirty.push(set);
    }
    /// A pod's status or readiness changed.
    pub fn pod_changed(&mut self, cluster: &Cluster, pod: PodId) {
        if let Some(set) = group_of(cluster, pod) {
            self.dirty.push(set);
        }
    }
    /// The group, to note what happened to it.
    pub fn group_mut(&mut self, set: StatefulSetId) -> Option<&mut Group> {
        self.groups.get_mut(set.index())?.as_mut()
    }
    /// The group of a pod.
    pub fn of_pod(&mut self, cluster: &Cluster, pod: PodId) -> Option<&mut Group> {
        self.group_mut(group_of(cluster, pod)?)
    }
    /// So many members hold everything.
    pub fn data_changed(&mut self, set: StatefulSetId, complete: u32) {
        if let Some(group) = self.group_mut(set) {
            group.complete = Some(complete);
            self.dirty.push(set);
        }
    }
    /// Every group, in order of its row.
    pub fn iter(&self) -> impl Iterator<Item = (StatefulSetId, &Group)> {
        self.groups.iter().enumerate().filter_map(|(i, g)| Some((StatefulSetId::new(i), g.as_ref()?)))
    }
    /// The state holds for `span`.
    pub fn advance(&mut self, span: SimDuration) {
        self.now += span;
        self.degraded_time.add(self.degraded.into(), span);
        self.quorum_lost_time.add(self.quorum_lost.into(), span);
        self.at_risk_time.add(self.at_risk.into(), span);
    }
    /// Group-seconds degraded, without quorum, at risk.
    pub fn seconds(&self) -> (f64, f64, f64) {
        (self.degraded_time.seconds(), self.quorum_lost_time.seconds(), self.at_risk_time.seconds())
    }
    /// Looks again at the groups whose members changed.
    pub fn settle(&mut self, cluster: &Cluster, replicas: &mut Replicas, incidents: &mut Incidents) {
        let moved = replicas.take_moved_sets();
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.extend(moved);
        dirty.sort_unstable();
        dirty.dedup();
        for set in dirty {
            self.look(cluster, replicas, set, incidents);
        }
    }
    fn look(
        &mut self,
        cluster: &Cluster,
        replicas: &Replicas,
        set: StatefulSetId,
        incidents: &mut Incidents,
    ) {
        let Some(Some(group)) = self.groups.get_mut(set.index()) else { return };
        let Some(owner) = replicas.owner(OwnerKey::StatefulSet(set)) else { return };
        let target = u64::from(owner.target);
        let ready = ready_members(cluster, replicas, set).count() as u64;
        let quorum = self.quorum.map_or(target / 2 + 1, u64::from);
        let wanted = owner.exists && target > 0;
        let new = State {
            exists: owner.exists,
            degraded: wanted && ready < target,
            quorum_lost: wanted && ready < quorum,
            at_risk: wanted && target > 1 && group.complete.is_some_and(|complete| complete <= 1),
        };
        let old = std::mem::replace(&mut group.state, new);
        if wanted && !new.degraded {
            group.was_whole_with = target;
        }
        let lost = target <= group.was_whole_with;
        let kinds = [
            (IncidentKind::GroupDegraded, lost && new.degraded),
            (IncidentKind::QuorumLost, lost && new.quorum_lost),
        ];
        for (open, (what, is)) in group.open.iter_mut().zip(kinds) {
            match *open {
                None if is => {
                    *open = incidents.begin(self.now, what, group_name(cluster, set), target - ready);
                }
                Some(handle) if is => incidents.worst(handle, target - ready),
                Some(handle) => {
                    incidents.end(self.now, handle);
                    *open = None;
                }
                None => {}
            }
        }
        for (time, was, is, count) in [
            (&mut group.degraded, old.degraded, new.degraded, &mut self.degraded),
            (&mut group.quorum_lost, old.quorum_lost, new.quorum_lost, &mut self.quorum_lost),
            (&mut group.at_risk, old.at_risk, new.at_risk, &mut self.at_risk),
        ] {
            *count = *count + u64::from(is) - u64::from(was);
            time.set(is, self.now);
        }
    }
    /// The run ends: what each group has been through goes up to now.
    pub fn finish(&mut self) {
        let now = self.now;
        for group in self.groups.iter_mut().flatten() {
            group.degraded.set(false, now);
            group.quorum_lost.set(false, now);
            group.at_risk.set(false, now);
        }
    }
}

/// The set of a pod that is a member of a database group.
fn group_of(cluster: &Cluster, pod: PodId) -> Option<StatefulSetId> {
    let PodOwner::StatefulSet(set) = cluster.pods().get(pod)?.owner else { return None };
    cluster.stateful_sets()[set].group.then_some(set)
}

/// Ordinals of the wanted members that are Running, on a Ready node, and Ready.
pub fn ready_members<'a>(
    cluster: &'a Cluster,
    replicas: &'a Replicas,
    set: StatefulSetId,
) -> impl Iterator<Item = u32> + 'a {
    let owner = replicas.owner(OwnerKey::StatefulSet(set));
    owner.into_iter().flat_map(move |owner| {
        let range = owner.range();
        let members = owner.members.iter().filter(move |(ordinal, _)| range.contains(&u64::from(**ordinal)));
        let ready = |pod: PodId| {
            replicas.track(pod).is_some_and(|t| t.runs) && cluster.pods().get(pod).is_some_and(|p| p.ready)
        };
        members.filter(move |(_, pod)| ready(**pod)).map(|(ordinal, _)| *ordinal)
    })
}
