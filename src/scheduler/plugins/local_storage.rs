//! Scores of other projects for pods whose volumes are made out of a node's volume groups. Not part of Kubernetes and not enabled
//! by default; a KubeSchedulerConfiguration enables one by its name.
//!
//! * `TopoLVM`: as topolvm-scheduler prioritizes: 10 times the base-2 logarithm of the free GiB, at most 100, of the class
//!   with least; published capacities are not looked at, as its own annotation is fresh.
//! * `OpenLocalBinpack`, `OpenLocalSpread`: the share of the volume groups' bytes that the claims would take, or 100 minus that.

use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId, VolumeGroupId};
use crate::model::names::Sym;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{Plugin, PluginName, PreScore, ScorePlugin, View};

/// Name of the rule of TopoLVM.
pub const TOPO_LVM: PluginName = "TopoLVM";
/// Name of open-local's rule that fills groups.
pub const OPEN_LOCAL_BINPACK: PluginName = "OpenLocalBinpack";
/// Name of open-local's rule that spreads over groups.
pub const OPEN_LOCAL_SPREAD: PluginName = "OpenLocalSpread";

/// How nodes are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// By free bytes.
    TopoLvm,
    /// Fullest first.
    OpenLocalBinpack,
    /// Emptiest first.
    OpenLocalSpread,
}

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct LocalStorage(pub Rule);

impl Plugin for LocalStorage {
    fn name(&self) -> PluginName {
        match self.0 {
            Rule::TopoLvm => TOPO_LVM,
            Rule::OpenLocalBinpack => OPEN_LOCAL_BINPACK,
            Rule::OpenLocalSpread => OPEN_LOCAL_SPREAD,
        }
    }
}

impl ScorePlugin for LocalStorage {
    fn pre_score(&self, view: View<'_>, pod: PodId, _: &mut CycleState, _: &[NodeId]) -> PreScore {
        if wanted(view.cluster, pod).is_empty() { PreScore::Skip } else { PreScore::Continue }
    }
    fn score(&self, view: View<'_>, pod: PodId, _: &CycleState, node: NodeId) -> i64 {
        let wanted = wanted(view.cluster, pod);
        match self.0 {
            Rule::TopoLvm => {
                wanted.iter().map(|(class, _)| free_score(view.cluster, node, *class)).min().unwrap_or(0)
            }
            Rule::OpenLocalBinpack => used_score(view.cluster, node, &wanted),
            Rule::OpenLocalSpread => 100 - used_score(view.cluster, node, &wanted),
        }
    }
}

/// Class and bytes of the pod's claims that have no volume and whose class draws on volume groups, in order of the pod's volumes.
fn wanted(cluster: &Cluster, pod: PodId) -> Vec<(Sym, u64)> {
    let namespace = cluster.spec_of(pod).namespace;
    let claims = cluster.claim_names_of(pod).flatten();
    let claims = claims.filter_map(|name| cluster.claim_by_name(namespace, name));
    let unbound = claims.map(|id| cluster.claim(id)).filter(|claim| claim.volume_name.is_none());
    let asked = unbound.map(|claim| {
        let spec = cluster.claim_spec(claim.spec);
        (spec.class_or_empty(), u64::try_from(spec.request.ceil().max(0)).unwrap_or(u64::MAX))
    });
    let serves = |class: Sym| cluster.volume_groups().iter().any(|(_, group)| group.classes.contains(&class));
    asked.filter(|(class, _)| serves(*class)).collect()
}

fn groups(cluster: &Cluster, node: NodeId, class: Sym) -> impl Iterator<Item = VolumeGroupId> + '_ {
    let all = cluster.volume_groups_on(cluster.node(node).name).iter().copied();
    all.filter(move |id| cluster.volume_groups()[*id].classes.contains(&class))
}

/// Ten times the logarithm of the free GiB, 0..=100.
fn free_score(cluster: &Cluster, node: NodeId, class: Sym) -> i64 {
    let free: u64 = groups(cluster, node, class)
        .map(|id| cluster.volume_groups()[id].free_bytes())
        .fold(0, u64::saturating_add);
    // The integer part of the logarithm, as there; 0 GiB counts as 0.
    i64::from((free >> 30).checked_ilog2().unwrap_or(0)).min(10) * 10
}

/// Percentage that the claims would take of the groups that they would lie in, mean over those groups. Every claim goes to the group
/// with least room that suffices.
fn used_score(cluster: &Cluster, node: NodeId, wanted: &[(Sym, u64)]) -> i64 {
    let mut taken: Vec<(VolumeGroupId, u64)> = Vec::new();
    for (class, bytes) in wanted {
        let left = |id: VolumeGroupId| {
            let used = taken.iter().find(|(group, _)| *group == id).map_or(0, |(_, bytes)| *bytes);
            cluster.volume_groups()[id].free_bytes().saturating_sub(used)
        };
        let best = groups(cluster, node, *class).filter(|id| left(*id) >= *bytes).min_by_key(|id| left(*id));
        let Some(best) = best else { continue };
        match taken.iter_mut().find(|(group, _)| *group == best) {
            Some((_, sum)) => *sum += bytes,
            None => taken.push((best, *bytes)),
        }
    }
    if taken.is_empty() {
        return 0;
    }
    let share = |(id, bytes): &(VolumeGroupId, u64)| {
        let size = u128::from(cluster.volume_groups()[*id].capacity_bytes().max(1));
        (u128::from(*bytes) * 100 / size).min(100) as i64
    };
    taken.iter().map(share).sum::<i64>() / taken.len() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SimTime;
    use crate::model::fixture::Fixture;
    use crate::model::volume_group::{GroupKind, VolumeGroup};

    /// Scores of nodes with one group of the given GiB each, of which `used` are taken.
    fn scores(rule: Rule, groups: &[(u64, u64)], claims: &[&str]) -> Vec<i64> {
        let mut fixture = Fixture::new();
        let class = fixture.sym("dynw");
        for (i, (size, used)) in groups.iter().enumerate() {
            let name = format!("n{i}");
            fixture.node(&name, &[]);
            let node = fixture.sym(&name);
            let kind = GroupKind::Lvm { extent_bytes: 4 << 20, overcommit_permille: 1000 };
            let group = VolumeGroup::new(node, node, vec![class], kind, size << 30);
            let group = fixture.cluster.add_volume_group(group);
            assert!(fixture.cluster.allocate(group, node, used << 30));
        }
        let names: Vec<String> = (0..claims.len()).map(|i| format!("c{i}x")).collect();
        for (name, claim) in names.iter().zip(claims) {
            fixture.claim(&format!("{name} {claim}"));
        }
        let pod = fixture.pod("p", &names.iter().map(String::as_str).collect::<Vec<_>>());
        let ties = fixture.cluster.volume_index().tie_break();
        let view = View { cluster: &fixture.cluster, now: SimTime::ZERO, ties, attempt: 0 };
        let mut state = CycleState::default();
        let nodes: Vec<NodeId> = fixture.cluster.nodes().ids().collect();
        match LocalStorage(rule).pre_score(view, pod, &mut state, &nodes) {
            PreScore::Skip => Vec::new(),
            _ => nodes.iter().map(|node| LocalStorage(rule).score(view, pod, &state, *node)).collect(),
        }
    }

    #[test]
    fn topolvm_prefers_room() {
        let groups = [(100, 0), (100, 97), (100, 100), (1025, 0), (5000, 0)];
        // log2 of 100 is 6.6, of 3 is 1.6; 1025 and 5000 GiB are at the top.
        assert_eq!(scores(Rule::TopoLvm, &groups, &["1Gi RWO class=dynw"]), [60, 10, 0, 100, 100]);
    }

    #[test]
    fn open_local_fills_or_spreads() {
        let groups = [(100, 0), (200, 0)];
        let claims = ["20Gi RWO class=dynw", "30Gi RWO class=dynw"];
        assert_eq!(scores(Rule::OpenLocalBinpack, &groups, &claims), [50, 25]);
        assert_eq!(scores(Rule::OpenLocalSpread, &groups, &claims), [50, 75]);
    }

    #[test]
    fn other_pods_are_not_scored() {
        assert!(scores(Rule::TopoLvm, &[(100, 0)], &["1Gi RWO class=wffc"]).is_empty());
        assert!(scores(Rule::TopoLvm, &[(100, 0)], &[]).is_empty());
    }
}
