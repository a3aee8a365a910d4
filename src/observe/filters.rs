//! The filters of the scheduler's own profiles, for questions about pods that nobody schedules.

use super::probe::{Filters, Fit};
use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimSpecId, Id, NodeId, PodId, SpecId};
use crate::model::names::Sym;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{PluginName, View};
use crate::scheduler::glance::Glance;
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
    glance: Glance,
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
            glance: Glance::default(),
        }
    }

    fn profile_of(&self, cluster: &Cluster, spec: SpecId) -> usize {
        let name = cluster.spec(spec).scheduler_name;
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
    fn fits_fresh(
        &mut self,
        cluster: &Cluster,
        template: (SpecId, &[ClaimSpecId]),
        nodes: &[NodeId],
        fits: &mut Vec<Fit>,
    ) -> bool {
        let index = self.profile_of(cluster, template.0);
        let Some(asked) = self.profiles.get(index) else { return false };
        self.glance.fits(cluster, &asked.profile, template, nodes, fits)
    }

    fn fits(&mut self, at: SimTime, cluster: &Cluster, pod: PodId, nodes: &[NodeId], fits: &mut Vec<Fit>) {
        let view = view(at, cluster);
        if self.profiles.is_empty() {
            return fits.extend(nodes.iter().map(|_| Fit::default()));
        }
        let index = self.profile_of(cluster, cluster.pod(pod).spec);
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
        let index = self.profile_of(cluster, cluster.pod(pod).spec);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::rng::{EntityKey, Streams};
    use crate::model::fixture::Fixture;
    use crate::model::names::sym;
    use crate::model::resources::Resources;
    use crate::model::spec::{PodSpec, PodVolume, Taint, TaintEffect, Toleration};
    use crate::observe::probe::{Probe, with_delayed_binding};
    use crate::scheduler::profile::ProfileConfig;

    /// Numbers that depend on the seed alone.
    struct Dice(Streams, u64);

    impl Dice {
        fn roll(&mut self, n: usize) -> usize {
            self.1 += 1;
            self.0.index("dice", EntityKey(self.1), n)
        }
        fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
            of[self.roll(of.len())]
        }
    }

    fn cluster(dice: &mut Dice) -> (Fixture, Vec<NodeId>) {
        let mut fixture = Fixture::new();
        let mut nodes = Vec::new();
        for n in 0..4 {
            let zone = dice.pick(&["a", "b"]);
            let id = fixture.node(&format!("n{n}"), &[("zone", zone)]);
            let room = Resources { cpu_milli: 1000 * dice.roll(4) as i64, ..Resources::default() };
            fixture.cluster.set_node_allocatable(id, room, dice.roll(3) as i64);
            fixture.cluster.set_node_unschedulable(id, dice.roll(6) == 0);
            if dice.roll(4) == 0 {
                let taint = Taint { key: sym::RACK, value: sym::EMPTY, effect: TaintEffect::NoSchedule };
                fixture.cluster.set_node_taints(id, vec![taint]);
            }
            if dice.roll(3) == 0 {
                let other = fixture.pod(&format!("other-{n}"), &[]);
                fixture.cluster.bind_pod(other, id);
            }
            for v in 0..dice.roll(5) {
                let words = [
                    dice.pick(&["10Gi", "20Gi", "30Gi", "10737418240500m"]),
                    dice.pick(&["RWO", "RWO", "RWO,RWX"]),
                    dice.pick(&["class=wffc", "class=wffc", "class=imm", "class=dynw", "class=wffc block"]),
                    dice.pick(&["Available", "Available", "Available", "Bound", "Available deleting"]),
                ];
                fixture.volume(&format!("n{n}-v{v} {} host=n{n}", words.join(" ")));
            }
            nodes.push(id);
        }
        (fixture, nodes)
    }

    fn template(dice: &mut Dice, fixture: &mut Fixture, number: usize) -> (SpecId, Vec<ClaimSpecId>) {
        let claims: Vec<ClaimSpecId> = (0..1 + dice.roll(3))
            .map(|c| {
                let words = [
                    dice.pick(&["5Gi", "10Gi", "10737418240200m", "15Gi", "25Gi", "40Gi"]),
                    dice.pick(&["RWO", "RWO", "RWX"]),
                    dice.pick(&["class=wffc", "class=wffc", "class=imm", "class=dynw", "class=wffc block"]),
                ];
                let id = fixture.claim(&format!("t{number}-c{c} {}", words.join(" ")));
                fixture.cluster.claim(id).spec
            })
            .collect();
        let model = fixture.pod(&format!("model-{number}"), &[]);
        let (zone, value) = (fixture.sym("zone"), fixture.sym("a"));
        let toleration = Toleration { key: Some(sym::RACK), value: None, effect: None, seconds: None };
        let prefixes: Vec<Sym> = (0..claims.len()).map(|c| fixture.sym(&format!("fresh{c}"))).collect();
        let spec = PodSpec {
            requests: Resources { cpu_milli: 500 * dice.roll(8) as i64, ..Resources::default() },
            node_selector: if dice.roll(3) == 0 { vec![(zone, value)] } else { Vec::new() },
            tolerations: if dice.roll(3) == 0 { vec![toleration] } else { Vec::new() },
            volumes: prefixes.into_iter().map(|prefix| PodVolume::ClaimTemplate { prefix }).collect(),
            ..fixture.cluster.spec_of(model).clone()
        };
        (fixture.cluster.intern_spec(spec), claims)
    }

    #[test]
    fn what_is_computed_is_what_the_plugins_say() {
        let mut dice = Dice(Streams::new(1, 0), 0);
        let (mut computed, mut asked) = (0, 0);
        for _ in 0..60 {
            let (mut fixture, nodes) = cluster(&mut dice);
            let templates: Vec<_> = (0..6).map(|number| template(&mut dice, &mut fixture, number)).collect();
            let profile = Profile::new(&ProfileConfig::default()).expect("the default profile");
            let mut filters = ProfileFilters::new(&[profile]);
            let cluster = &mut fixture.cluster;
            let name = cluster.names.name("probe");
            cluster.take_changes(&mut Vec::new());
            with_delayed_binding(cluster, &mut Vec::new(), |cluster| {
                for (spec, claims) in &templates {
                    let (mut quick, mut slow) = (Vec::new(), Vec::new());
                    if !filters.fits_fresh(cluster, (*spec, claims), &nodes, &mut quick) {
                        assert_eq!(quick, []);
                        asked += 1;
                        continue;
                    }
                    computed += 1;
                    let probe = Probe::insert(cluster, name, *spec, claims).expect("a name of its own");
                    filters.fits(SimTime::ZERO, cluster, probe.pod, &nodes, &mut slow);
                    probe.remove(cluster);
                    assert_eq!(quick, slow, "{:?} {claims:?}", cluster.spec(*spec));
                }
            });
        }
        assert!(computed > 50 && asked > 20, "{computed} computed, {asked} asked");
    }

    #[test]
    fn a_node_is_read_again_only_when_it_has_changed() {
        let mut fixture = Fixture::new();
        let nodes = [fixture.node("n1", &[]), fixture.node("n2", &[])];
        let volume = fixture.volume("v 10Gi RWO class=wffc host=n1 Available");
        let templates: Vec<_> =
            (0..20).map(|n| template(&mut Dice(Streams::new(n, 0), 0), &mut fixture, n as usize)).collect();
        let profile = Profile::new(&ProfileConfig::default()).expect("the default profile");
        let mut filters = ProfileFilters::new(&[profile]);
        let mut ask = |fixture: &Fixture| {
            let mut fits = Vec::new();
            for (spec, claims) in &templates {
                filters.fits_fresh(&fixture.cluster, (*spec, claims), &nodes, &mut fits);
            }
            filters.glance.reads()
        };
        assert_eq!(ask(&fixture), 2);
        assert_eq!(ask(&fixture), 2);
        fixture.cluster.assume_volume(volume, Some(crate::model::ids::Uid::new(7)));
        assert_eq!(ask(&fixture), 3);
    }
}
