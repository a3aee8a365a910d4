//! The filters of the scheduler's own profiles, for questions about pods that nobody schedules.

use super::probe::{Filters, Fit};
use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId, PodId};
use crate::model::names::Sym;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{PluginName, View};
use crate::scheduler::plugins::{
    node_resources_fit, node_volume_limits, volume_binding, volume_restrictions, volume_zone,
};
use crate::scheduler::profile::{PreFiltered, Profile};

/// Filters about storage.
const VOLUME_FILTERS: [PluginName; 4] =
    [volume_restrictions::NAME, node_volume_limits::NAME, volume_binding::NAME, volume_zone::NAME];

/// Asks a profile.
#[derive(Debug)]
pub struct ProfileFilters {
    profiles: Vec<Asked>,
    state: CycleState,
    allowed: Vec<bool>,
}

/// A profile, and which of its filters to leave out for each question.
#[derive(Debug)]
struct Asked {
    profile: Profile,
    but_volumes: Vec<PluginName>,
    but_resources: Vec<PluginName>,
    but_others: Vec<PluginName>,
}

impl ProfileFilters {
    /// Of these profiles; a pod that none of them schedules is asked of the first.
    pub fn new(profiles: &[Profile]) -> ProfileFilters {
        let asked = |profile: &Profile| {
            let all: Vec<PluginName> = profile.filter_plugins().collect();
            let but = |keep: &dyn Fn(&PluginName) -> bool| all.iter().copied().filter(|n| !keep(n)).collect();
            let volume = |n: &PluginName| VOLUME_FILTERS.contains(n);
            let resources = |n: &PluginName| *n == node_resources_fit::NAME;
            Asked {
                but_volumes: but(&volume),
                but_resources: but(&resources),
                but_others: but(&|n| !volume(n) && !resources(n)),
                profile: profile.clone(),
            }
        };
        ProfileFilters {
            profiles: profiles.iter().map(asked).collect(),
            state: CycleState::default(),
            allowed: Vec::new(),
        }
    }

    fn profile_of(&self, cluster: &Cluster, pod: PodId) -> usize {
        let name = cluster.spec_of(pod).scheduler_name;
        self.profiles.iter().position(|a| a.profile.scheduler_name == name).unwrap_or(0)
    }

    /// PreFilter of all plugins but `without`. The error is the plugin by which no node can take the pod; else the nodes that are left
    /// are in `allowed`.
    fn prepare(
        &mut self,
        view: View<'_>,
        pod: PodId,
        profile: usize,
        without: &[PluginName],
    ) -> Result<(), PluginName> {
        let asked = &self.profiles[profile];
        self.allowed.clear();
        match asked.profile.pre_filter_except(view, pod, &mut self.state, without) {
            PreFiltered::AllNodes => {
                self.allowed.resize(view.cluster.nodes().len(), true);
                Ok(())
            }
            PreFiltered::Nodes(names, _) => {
                self.allowed.resize(view.cluster.nodes().len(), false);
                for node in names.into_iter().filter_map(|name: Sym| view.cluster.node_by_name(name)) {
                    self.allowed[node.index()] = true;
                }
                Ok(())
            }
            PreFiltered::Rejected(rejection, _) => Err(rejection.plugin),
            PreFiltered::Error(_) => Err(""),
        }
    }
}

fn view(at: SimTime, cluster: &Cluster) -> View<'_> {
    View { cluster, now: at, ties: &TieBreak::First, attempt: 0 }
}

impl Filters for ProfileFilters {
    fn fits(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, nodes: &[NodeId], fits: &mut Vec<Fit>) {
        let view = view(at, cluster);
        if self.profiles.is_empty() {
            return fits.extend(nodes.iter().map(|_| Fit::default()));
        }
        let index = self.profile_of(cluster, pod);
        let mut volumes_prepared = true;
        if let Err(plugin) = self.prepare(view, pod, index, &[]) {
            // Rejected as a whole: the filters behind that plugin have not been prepared and cannot be asked, unless it is one about
            // storage: what the others say does not depend on these.
            volumes_prepared = !VOLUME_FILTERS.contains(&plugin);
            if volumes_prepared || self.prepare(view, pod, index, &VOLUME_FILTERS).is_err() {
                let fit = Fit { volumes: volumes_prepared, resources: true, others: false };
                return fits.extend(nodes.iter().map(|_| fit));
            }
        }
        let asked = &self.profiles[index];
        let state = &mut self.state;
        for &id in nodes {
            let node = view.node(id);
            let mut ask = |without| asked.profile.filter_except(view, pod, state, node, without).is_ok();
            let others = self.allowed[id.index()] && ask(&asked.but_others);
            let resources = ask(&asked.but_resources);
            // Where resources suffice and something else is in the way, nobody asks about volumes.
            let volumes = volumes_prepared && (others || !resources) && ask(&asked.but_volumes);
            fits.push(Fit { volumes, resources, others });
        }
    }

    fn first(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, nodes: &[NodeId]) -> Option<NodeId> {
        let view = view(at, cluster);
        if self.profiles.is_empty() {
            return None;
        }
        let index = self.profile_of(cluster, pod);
        self.prepare(view, pod, index, &[]).ok()?;
        let profile = &self.profiles[index].profile;
        let state = &mut self.state;
        let allowed = &self.allowed;
        nodes
            .iter()
            .copied()
            .find(|id| allowed[id.index()] && profile.filter(view, pod, state, view.node(*id)).is_ok())
    }
}
