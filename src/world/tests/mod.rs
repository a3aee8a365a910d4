//! Whole runs of small scenarios whose outcome can be told by thinking.

mod clock;
mod engines;
mod lvm;
mod nodes;
mod recovery;
mod volumes;

use super::plan::Plan;
use super::{RunEnd, lower, run};
use crate::engine::time::SimTime;
use crate::model::cluster::{Cluster, NodeDelta};
use crate::model::pod::PodPhase;
use crate::observe::{AttemptResult, Observation, Observer};
use crate::scenario::{BindingMode, LoadOptions, ScenarioFile};
use std::path::Path;

/// The plan of a scenario text without manifests.
fn plan(text: &str, mode: BindingMode, seed: u64) -> Plan {
    let file = ScenarioFile::from_text("test.yaml", text.to_owned(), Path::new("."), &LoadOptions::default());
    let loaded = file.and_then(|file| file.resolve(&[]));
    let loaded = loaded.unwrap_or_else(|e| panic!("{e:?}"));
    let none = |_: &mut Cluster| Ok(());
    let plan = lower::plan(&loaded.scenario, Some(mode), 0, none, none);
    Plan { seed, paranoid: true, ..plan.unwrap_or_else(|e| panic!("{e}")) }
}

fn end(plan: &Plan) -> RunEnd {
    run(plan, ()).unwrap_or_else(|e| panic!("{e}"))
}

fn running(end: &RunEnd) -> usize {
    end.cluster.pods().iter().filter(|(_, pod)| pod.phase == PodPhase::Running).count()
}

/// The two disks of the article: 10Gi where there are 4 CPUs, 20Gi where there are 8; the pod wants 5300m and 10Gi.
const ARTICLE: &str = "
version: 1
name: article
controlPlane: ideal
cluster:
  storageClasses:
    - {name: local-storage, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: small, count: 1, cpu: 4, memory: 16Gi, disks: [{class: local-storage, count: 1, size: 10Gi, split: whole}]}
    - {name: large, count: 1, cpu: 8, memory: 16Gi, disks: [{class: local-storage, count: 1, size: 20Gi, split: whole}]}
workload:
  generate:
    - {name: mysql, kind: StatefulSet, sets: 1, replicas: 1, cpu: 5300m, memory: 5Gi,
       claims: [{name: data, class: local-storage, size: 10Gi}]}
";

#[test]
fn the_article_runs_only_with_late_binding() {
    for seed in 0..20 {
        let late = end(&plan(ARTICLE, BindingMode::WaitForFirstConsumer, seed));
        assert_eq!(running(&late), 1, "seed {seed}");
        let pod = late.cluster.pods().iter().next().and_then(|(_, pod)| pod.node);
        let node = pod.map(|node| late.cluster.names.text(late.cluster.node(node).name).to_owned());
        assert_eq!(node.as_deref(), Some("large-0"));

        let early = end(&plan(ARTICLE, BindingMode::Immediate, seed));
        assert_eq!(running(&early), 0, "seed {seed}");
        let pod = early.cluster.pods().ids().next();
        let message = pod.and_then(|pod| early.message(pod)).map(|(text, _)| text);
        assert_eq!(
            message.as_deref(),
            Some(
                "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match PersistentVolume's node affinity. \
                 no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
            )
        );
    }
}

#[test]
fn a_fleet_is_the_same_for_the_same_seed() {
    let text = "
version: 1
name: fleet
controlPlane: ideal
cluster:
  storageClasses:
    - {name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: n, count: 6, cpu: 8, memory: 32Gi, zones: [a, b], disks: [{class: local, count: 2, size: 400Gi, split: 2}]}
workload:
  generate:
    - {name: db, kind: StatefulSet, sets: 6, replicas: 3, cpu: 2, memory: 4Gi, antiAffinity: required,
       claims: [{name: data, class: local, size: {lognormal: {median: 100Gi, p95: 180Gi}}}],
       arrivals: {every: {exponential: {mean: 10m}}}, lifetime: {exponential: {mean: 2h}},
       claimRetention: {whenDeleted: Delete}}
";
    let shown = |end: &RunEnd| {
        let pods = end.cluster.pods().iter().map(|(id, pod)| (end.cluster.pod_key(id), pod.node, pod.phase));
        (end.at, end.decisions, end.events, pods.collect::<Vec<_>>())
    };
    for mode in [BindingMode::Immediate, BindingMode::WaitForFirstConsumer] {
        let (a, b) = (end(&plan(text, mode, 7)), end(&plan(text, mode, 7)));
        assert_eq!(shown(&a), shown(&b));
        assert_eq!(running(&a), 0, "all sets have gone");
        assert!(a.cluster.claims().is_empty(), "their claims with them");
    }
}

/// What happened, in words, with seconds.
#[derive(Debug, Default)]
struct Log {
    lines: Vec<(f64, String)>,
}

impl Observer for Log {
    fn observe(&mut self, at: SimTime, cluster: &Cluster, what: &Observation) {
        let node = |id| cluster.names.text(cluster.node(id).name).to_owned();
        let line = match *what {
            Observation::PodCreated(pod) => format!("created {}", cluster.pod_key(pod)),
            Observation::Attempt { pod, result } => match result {
                AttemptResult::Scheduled(n) => format!("scheduled {} {}", cluster.pod_key(pod), node(n)),
                AttemptResult::Unschedulable => format!("unschedulable {}", cluster.pod_key(pod)),
                AttemptResult::Error => format!("error {}", cluster.pod_key(pod)),
                AttemptResult::Gated => format!("gated {}", cluster.pod_key(pod)),
            },
            Observation::PodAssigned { pod, node: n } => {
                format!("assigned {} {}", cluster.pod_key(pod), node(n))
            }
            Observation::PodStatus { pod, phase, ready } => {
                format!("{phase:?} ready={ready} {}", cluster.pod_key(pod))
            }
            Observation::PodTerminating(pod) => format!("terminating {}", cluster.pod_key(pod)),
            Observation::PodGone { .. } => "gone".to_owned(),
            Observation::RebuildStarted { pod, .. } => format!("copying {}", cluster.pod_key(pod)),
            Observation::WritesLost { span, .. } => format!("lost {} s", span.as_secs_f64().round()),
            Observation::Rebuilt { pod, .. } => format!("rebuilt {}", cluster.pod_key(pod)),
            Observation::ClaimCreated(claim) => format!("claim {}", cluster.claim_key(claim)),
            Observation::ClaimPhase { claim, phase } => {
                format!("claim {phase:?} {}", cluster.claim_key(claim))
            }
            Observation::ClaimGone { namespace, name, .. } => {
                format!("claim gone {}/{}", cluster.names.text(namespace), cluster.names.show(name))
            }
            Observation::VolumeCreated(id) => {
                format!("volume {}", cluster.names.text(cluster.volume(id).name))
            }
            Observation::VolumePhase { volume, phase } => {
                format!("volume {phase:?} {}", cluster.names.text(cluster.volume(volume).name))
            }
            Observation::VolumeChanged(id) => {
                format!("volume changed {}", cluster.names.text(cluster.volume(id).name))
            }
            Observation::VolumeGone { name, .. } => format!("volume gone {}", cluster.names.text(name)),
            Observation::NodeChanged(id, NodeDelta::Taints) => {
                let taints = cluster.node(id).taints.iter();
                let taints: Vec<String> =
                    taints.map(|t| format!("{}:{:?}", cluster.names.text(t.key), t.effect)).collect();
                format!("taints {} [{}]", node(id), taints.join(","))
            }
            Observation::NodeChanged(id, NodeDelta::Condition) => {
                format!("ready={} {}", cluster.node(id).ready, node(id))
            }
            Observation::Event { reason, message, .. } => {
                format!("event {reason}: {}", cluster.names.text(message))
            }
            _ => return,
        };
        self.lines.push((at.as_secs_f64(), line));
    }
    fn wants_events(&self) -> bool {
        true
    }
}

impl Log {
    /// Runs the plan and writes down what happens.
    fn of(plan: &Plan) -> (Log, RunEnd) {
        let mut log = Log::default();
        let end = run(plan, &mut log).unwrap_or_else(|e| panic!("{e}"));
        (log, end)
    }
    /// Times at which a line that begins with `text` was written.
    fn times(&self, text: &str) -> Vec<f64> {
        self.lines.iter().filter(|(_, line)| line.starts_with(text)).map(|(at, _)| *at).collect()
    }
    /// The first of them.
    fn at(&self, text: &str) -> f64 {
        let found = self.times(text).first().copied();
        found.unwrap_or_else(|| panic!("no {text:?} in {:#?}", self.lines))
    }
    /// The first of them after `from`.
    fn after(&self, from: f64, text: &str) -> f64 {
        let found = self.times(text).into_iter().find(|at| *at > from);
        found.unwrap_or_else(|| panic!("no {text:?} after {from} in {:#?}", self.lines))
    }
}

/// Is `value` within `range`, with the text of what it is?
fn within(what: &str, value: f64, range: std::ops::RangeInclusive<f64>) {
    assert!(range.contains(&value), "{what}: {value}, expected {range:?}");
}
