//! The disruption controller (`status.disruptionsAllowed` of PodDisruptionBudgets) and the eviction API that respects it.

use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::model::pod::{PodOwner, PodPhase};
use crate::model::workload::BudgetRule;
use std::collections::{BTreeMap, BTreeSet};

/// Which pods each budget protects, and which budgets have to be counted again.
#[derive(Clone, Debug, Default)]
pub struct Disruptions {
    members: Vec<BTreeSet<PodId>>,
    dirty: BTreeSet<usize>,
}

/// What the eviction API says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The pod may go.
    Allowed,
    /// 429: a budget forbids it for now.
    Forbidden,
}

impl Disruptions {
    /// A pod came, changed or is about to be looked at.
    pub fn pod_changed(&mut self, cluster: &Cluster, pod: PodId) {
        self.adopt_new_budgets(cluster);
        for index in 0..self.members.len() {
            if protects(cluster, index, pod) {
                self.members[index].insert(pod);
                self.dirty.insert(index);
            }
        }
    }
    /// A pod is gone; its row may be another's soon.
    pub fn pod_gone(&mut self, pod: PodId) {
        for (index, members) in self.members.iter_mut().enumerate() {
            if members.remove(&pod) {
                self.dirty.insert(index);
            }
        }
    }
    /// Replicas of a workload changed: percentages are of other numbers.
    pub fn workload_changed(&mut self) {
        self.dirty.extend(0..self.members.len());
    }
    fn adopt_new_budgets(&mut self, cluster: &Cluster) {
        for index in self.members.len()..cluster.budgets().len() {
            let pods = cluster.pods().ids().filter(|pod| protects(cluster, index, *pod));
            self.members.push(pods.collect());
            self.dirty.insert(index);
        }
    }
    /// Counts again where something changed. True if some budget allows more than before.
    pub fn sync(&mut self, cluster: &mut Cluster) -> bool {
        self.adopt_new_budgets(cluster);
        let mut more = false;
        for index in std::mem::take(&mut self.dirty) {
            if let Some(allowed) = allowed(cluster, index, &self.members[index]) {
                more |= allowed > cluster.budgets()[index].disruptions_allowed;
                cluster.set_disruptions_allowed(index, allowed);
            }
        }
        more
    }
    /// Asks to evict a pod; counts it against its budget if it may go.
    pub fn evict(&mut self, cluster: &mut Cluster, pod: PodId) -> Eviction {
        self.sync(cluster);
        let row = cluster.pod(pod);
        if row.is_finished() || row.phase == PodPhase::Pending || row.deletion.is_some() {
            return Eviction::Allowed;
        }
        let ready = row.ready;
        let budgets: Vec<usize> =
            (0..self.members.len()).filter(|index| self.members[*index].contains(&pod)).collect();
        match *budgets {
            [] => Eviction::Allowed,
            [index] => {
                let allowed = cluster.budgets()[index].disruptions_allowed;
                // Pods that are not Ready do not count; they may go while the budget is met (`IfHealthyBudget`), or always.
                let always = cluster.budgets()[index].unready_may_go;
                if !ready && (always || is_met(cluster, index, &self.members[index])) {
                    return Eviction::Allowed;
                }
                if allowed <= 0 {
                    return Eviction::Forbidden;
                }
                cluster.set_disruptions_allowed(index, allowed - 1);
                Eviction::Allowed
            }
            // "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            _ => Eviction::Forbidden,
        }
    }
}

fn protects(cluster: &Cluster, index: usize, pod: PodId) -> bool {
    let budget = &cluster.budgets()[index];
    let spec = cluster.spec_of(pod);
    budget.namespace == spec.namespace && budget.selector.matches(cluster.label_set(spec.labels))
}

/// Healthy pods, how many there have to be, and how many are expected. `None`: the budget has no rule. Nothing is expected, and nothing
/// allowed, while the controller of a pod does not say how many there are to be.
fn counts(cluster: &Cluster, index: usize, members: &BTreeSet<PodId>) -> Option<(i64, i64, i64)> {
    let rule = cluster.budgets()[index].rule?;
    let healthy = members.iter().filter(|pod| {
        let row = cluster.pod(**pod);
        row.ready && row.deletion.is_none()
    });
    let healthy = healthy.count() as i64;
    let expected = match rule {
        BudgetRule::MinAvailable(_) => Some(members.len() as i64),
        _ => scale(cluster, members),
    };
    let Some(expected) = expected else { return Some((healthy, 0, 0)) };
    let desired = match rule {
        BudgetRule::MinAvailable(count) => count,
        BudgetRule::MinAvailablePercent(percent) => share(percent, expected),
        BudgetRule::MaxUnavailable(count) => expected - count,
        BudgetRule::MaxUnavailablePercent(percent) => expected - share(percent, expected),
    };
    Some((healthy, desired.max(0), expected))
}

fn is_met(cluster: &Cluster, index: usize, members: &BTreeSet<PodId>) -> bool {
    counts(cluster, index, members).is_some_and(|(healthy, desired, _)| healthy >= desired && desired > 0)
}

fn allowed(cluster: &Cluster, index: usize, members: &BTreeSet<PodId>) -> Option<i32> {
    let (healthy, desired, expected) = counts(cluster, index, members)?;
    let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
    Some(i32::try_from(allowed).unwrap_or(i32::MAX))
}

/// Percentages are rounded up.
fn share(percent: i64, of: i64) -> i64 {
    (percent * of + 99).div_euclid(100)
}

/// Replicas that the pods' controllers want (`getExpectedScale`). Pods without a controller do not count, and of Jobs, which have no
/// scale, the disruption controller says that it "found no controllers".
fn scale(cluster: &Cluster, pods: &BTreeSet<PodId>) -> Option<i64> {
    let mut owners: BTreeMap<(u8, u32), i64> = BTreeMap::new();
    for pod in pods {
        match cluster.pod(*pod).owner {
            PodOwner::None => {}
            PodOwner::StatefulSet(id) => {
                owners.insert((0, id.row()), cluster.stateful_sets()[id].replicas.into());
            }
            PodOwner::ReplicaSet(id) => {
                owners.insert((1, id.row()), cluster.replica_sets()[id].replicas.into());
            }
            PodOwner::Job(_) => return None,
        }
    }
    Some(owners.values().sum())
}

#[cfg(test)]
#[path = "disruption_tests.rs"]
mod tests;
