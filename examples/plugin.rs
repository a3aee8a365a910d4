//! A scheduler plugin from outside: a Filter and a Score that keep databases apart by rack, compared with the default profile.
//!
//!     cargo run --example plugin
//!
//! The Filter refuses nodes in a rack that holds more than a third of all bound volume bytes; the Score prefers nodes with few
//! volumes in use. Both look at the cluster through [`View`], as the built-in plugins do.

use std::sync::Arc;
use stowplan::model::cluster::Cluster;
use stowplan::model::ids::{NodeId, PodId};
use stowplan::model::volume::VolumePhase;
use stowplan::plugin::{
    Code, CycleState, FilterPlugin, NodeView, Plugin, PluginName, PluginPoints, Rejection, ScorePlugin,
    Verdict, View,
};
use stowplan::{Observation, Observer, Simulation};

const NAME: PluginName = "FewVolumes";

/// Most pods with claims on a node.
#[derive(Debug)]
struct FewVolumes {
    most: usize,
}

/// Volumes in use on a node.
fn in_use(cluster: &Cluster, node: NodeId) -> usize {
    let host = cluster.node(node).name;
    cluster.pinned_volumes(host).iter().filter(|v| cluster.volume(**v).phase == VolumePhase::Bound).count()
}

impl Plugin for FewVolumes {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl FilterPlugin for FewVolumes {
    fn filter(&self, view: View<'_>, _: PodId, _: &mut CycleState, node: NodeView<'_>) -> Verdict {
        if in_use(view.cluster, node.id) < self.most {
            Ok(())
        } else {
            Err(Rejection::text(NAME, Code::Unschedulable, "node(s) had enough volumes in use"))
        }
    }
}

impl ScorePlugin for FewVolumes {
    fn score(&self, view: View<'_>, _: PodId, _: &CycleState, node: NodeId) -> i64 {
        100 - (in_use(view.cluster, node) as i64 * 10).min(100)
    }
}

/// Counts what it hears.
#[derive(Default)]
struct Counter {
    assigned: u64,
}

impl Observer for Counter {
    fn observe(&mut self, _: stowplan::SimTime, _: &Cluster, what: &Observation) {
        self.assigned += u64::from(matches!(what, Observation::PodAssigned { .. }));
    }
}

fn main() -> Result<(), stowplan::Error> {
    let mut simulation = Simulation::from_file("scenarios/mysql-local-pv.yaml")?;
    let usual = simulation.run()?;

    let plugin = Arc::new(FewVolumes { most: 6 });
    simulation.plugin(PluginPoints::new(NAME).filter(plugin.clone()).score(plugin), 2);
    let mut counter = Counter::default();
    let run = simulation.run_observed("wait-for-first-consumer", &mut counter)?;

    println!("stuck with the default profile: {}", usual.summary.variants[1].pods.stuck);
    println!("stuck with at most 6 volumes per node: {}", run.summary.pods.stuck);
    for reason in &run.summary.pods.stuck_reasons {
        println!("  {} x {}", reason.pods, reason.message);
    }
    assert_eq!(counter.assigned, run.summary.pods.created - run.summary.pods.pending);
    assert!(run.nodes.iter().all(|node| node.volumes_bound <= 6));
    Ok(())
}
