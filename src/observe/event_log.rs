//! `events.jsonl`: one JSON object per observation, in the order in which they happened.

use super::digest::subject_text;
use super::{AttemptResult, Observation, Observer};
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, Id, NodeId, PodId, VolumeId};
use crate::model::spec::Taint;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Events about one object: reason and message, how often, first and last time.
type Series = BTreeMap<(&'static str, String), (u64, SimTime, SimTime)>;

/// Writes every observation as a line. Keeps the lines in memory: meant for runs that a person wants to read.
///
/// A Kubernetes event is a line when it is emitted first; the same again is counted, and the count is a line when the object is gone
/// or the run ends.
#[derive(Debug, Default)]
pub struct EventLog {
    lines: Vec<u8>,
    /// Names of pods by row, for those that are gone.
    pods: Vec<String>,
    /// Events by kind and name of their object.
    series: BTreeMap<(&'static str, String), Series>,
}

impl EventLog {
    /// The lines, each ending in a newline.
    pub fn into_bytes(mut self) -> Vec<u8> {
        for ((kind, name), series) in std::mem::take(&mut self.series) {
            self.counts(kind, &name, series);
        }
        self.lines
    }

    fn event(&mut self, at: SimTime, kind: &'static str, name: String, reason: &'static str, message: &str) {
        let series = self.series.entry((kind, name.clone())).or_default();
        match series.get_mut(&(reason, message.to_owned())) {
            Some((count, _, last)) => {
                *count += 1;
                *last = at;
            }
            None => {
                series.insert((reason, message.to_owned()), (1, at, at));
                let fields = [(kind, json!(name)), ("reason", json!(reason)), ("message", json!(message))];
                self.line(at, "Event", &fields);
            }
        }
    }
    /// The object is gone: how often its events were repeated.
    fn object_gone(&mut self, kind: &'static str, name: &str) {
        if let Some(series) = self.series.remove(&(kind, name.to_owned())) {
            self.counts(kind, name, series);
        }
    }
    fn counts(&mut self, kind: &'static str, name: &str, series: Series) {
        for ((reason, message), (count, first, last)) in series.into_iter().filter(|(_, (n, ..))| *n > 1) {
            let fields = [
                (kind, json!(name)),
                ("reason", json!(reason)),
                ("message", json!(message)),
                ("count", json!(count)),
                ("first_seconds", json!(first.as_secs_f64())),
            ];
            self.line(last, "EventRepeated", &fields);
        }
    }

    fn pod(&mut self, cluster: &Cluster, pod: PodId) -> Value {
        if self.pods.len() <= pod.index() {
            self.pods.resize(pod.index() + 1, String::new());
        }
        if cluster.pods().get(pod).is_some() {
            self.pods[pod.index()] = cluster.pod_key(pod);
        }
        Value::String(self.pods[pod.index()].clone())
    }

    fn line(&mut self, at: SimTime, what: &str, fields: &[(&str, Value)]) {
        let mut object = Map::new();
        object.insert("seconds".into(), json!(at.as_secs_f64()));
        object.insert("what".into(), json!(what));
        for (key, value) in fields {
            object.insert((*key).to_owned(), value.clone());
        }
        // Plain values serialize without fail.
        let _ = serde_json::to_writer(&mut self.lines, &object);
        self.lines.push(b'\n');
    }
}

fn node(cluster: &Cluster, node: NodeId) -> Value {
    Value::String(cluster.names.text(cluster.node(node).name).to_owned())
}

fn node_fields(cluster: &Cluster, node: NodeId) -> [(&'static str, Value); 3] {
    let row = cluster.node(node);
    let taint = |t: &Taint| {
        let (key, value) = (cluster.names.text(t.key), cluster.names.text(t.value));
        let equals = if value.is_empty() { "" } else { "=" };
        format!("{key}{equals}{value}:{:?}", t.effect)
    };
    let taints: Vec<String> = row.taints.iter().map(taint).collect();
    [("ready", json!(row.ready)), ("unschedulable", json!(row.unschedulable)), ("taints", json!(taints))]
}

fn claim_fields(cluster: &Cluster, claim: ClaimId) -> [(&'static str, Value); 2] {
    let volume = cluster.claim(claim).volume_name.map(|v| cluster.names.text(v).to_owned());
    [("claim", Value::String(cluster.claim_key(claim))), ("volume", json!(volume))]
}

fn volume_fields(cluster: &Cluster, volume: VolumeId) -> [(&'static str, Value); 2] {
    let row = cluster.volume(volume);
    let claim =
        row.claim_ref.map(|r| format!("{}/{}", cluster.names.text(r.namespace), cluster.names.show(r.name)));
    [("volume", Value::String(cluster.names.text(row.name).to_owned())), ("claim", json!(claim))]
}

impl Observer for EventLog {
    fn observe(&mut self, at: SimTime, cluster: &Cluster, what: &Observation) {
        match *what {
            Observation::PodWanted(_) => {}
            Observation::PodCreated(pod) => {
                let pod = self.pod(cluster, pod);
                self.line(at, "PodCreated", &[("pod", pod)]);
            }
            Observation::Attempt { pod, result } => {
                let pod = self.pod(cluster, pod);
                let (result, on) = match result {
                    AttemptResult::Scheduled(n) => ("Scheduled", node(cluster, n)),
                    AttemptResult::Unschedulable => ("Unschedulable", Value::Null),
                    AttemptResult::Error => ("Error", Value::Null),
                    AttemptResult::Gated => ("Gated", Value::Null),
                };
                self.line(at, "Attempt", &[("pod", pod), ("result", json!(result)), ("node", on)]);
            }
            Observation::Repeated { pod, attempts } => {
                let pod = self.pod(cluster, pod);
                self.line(at, "Repeated", &[("pod", pod), ("attempts", json!(attempts))]);
            }
            Observation::PodAssigned { pod, node: on } => {
                let pod = self.pod(cluster, pod);
                self.line(at, "PodAssigned", &[("pod", pod), ("node", node(cluster, on))]);
            }
            Observation::PodStatus { pod, phase, ready } => {
                let pod = self.pod(cluster, pod);
                let phase = format!("{phase:?}");
                self.line(at, "PodStatus", &[("pod", pod), ("phase", json!(phase)), ("ready", json!(ready))]);
            }
            Observation::RebuildStarted { pod, bytes } => {
                let pod = self.pod(cluster, pod);
                self.line(at, "RebuildStarted", &[("pod", pod), ("bytes", json!(bytes))]);
            }
            Observation::Rebuilt { pod, bytes } => {
                let pod = self.pod(cluster, pod);
                self.line(at, "Rebuilt", &[("pod", pod), ("bytes", json!(bytes))]);
            }
            Observation::CaughtUp { pod, bytes } => {
                let pod = self.pod(cluster, pod);
                self.line(at, "CaughtUp", &[("pod", pod), ("bytes", json!(bytes))]);
            }
            Observation::GroupData { set, complete } => {
                let name = cluster.names.show(cluster.stateful_sets()[set].name).to_string();
                self.line(at, "GroupData", &[("name", json!(name)), ("complete", json!(complete))]);
            }
            Observation::WritesLost { set, span } => {
                let name = cluster.names.show(cluster.stateful_sets()[set].name).to_string();
                let lost = json!(span.as_secs_f64());
                self.line(at, "WritesLost", &[("name", json!(name)), ("lost_seconds", lost)]);
            }
            Observation::PodTerminating(pod) => {
                let pod = self.pod(cluster, pod);
                self.line(at, "PodTerminating", &[("pod", pod)]);
            }
            Observation::PodGone { pod, .. } => {
                let name = self.pods.get(pod.index()).cloned().unwrap_or_default();
                self.object_gone("pod", &name);
                self.line(at, "PodGone", &[("pod", json!(name))]);
            }
            Observation::ClaimCreated(claim) => self.line(at, "ClaimCreated", &claim_fields(cluster, claim)),
            Observation::ClaimPhase { claim, phase } => {
                let [a, b] = claim_fields(cluster, claim);
                self.line(at, "ClaimPhase", &[a, ("phase", json!(format!("{phase:?}"))), b]);
            }
            Observation::ClaimChanged(claim) => self.line(at, "ClaimChanged", &claim_fields(cluster, claim)),
            Observation::ClaimGone { namespace, name, volume, .. } => {
                let claim = format!("{}/{}", cluster.names.text(namespace), cluster.names.show(name));
                let volume = volume.map(|v| cluster.names.text(v));
                self.object_gone("claim", &claim);
                self.line(at, "ClaimGone", &[("claim", json!(claim)), ("volume", json!(volume))]);
            }
            Observation::VolumeCreated(volume) => {
                self.line(at, "VolumeCreated", &volume_fields(cluster, volume));
            }
            Observation::VolumePhase { volume, phase } => {
                let [a, b] = volume_fields(cluster, volume);
                self.line(at, "VolumePhase", &[a, ("phase", json!(format!("{phase:?}"))), b]);
            }
            Observation::VolumeChanged(volume) => {
                self.line(at, "VolumeChanged", &volume_fields(cluster, volume));
            }
            Observation::VolumeGone { name, .. } => {
                self.line(at, "VolumeGone", &[("volume", json!(cluster.names.text(name)))]);
            }
            Observation::NodeCreated(n) => {
                let [ready, unschedulable, taints] = node_fields(cluster, n);
                let fields = [("node", node(cluster, n)), ready, unschedulable, taints];
                self.line(at, "NodeCreated", &fields);
            }
            Observation::NodeChanged(n, delta) => {
                let delta = format!("{delta:?}");
                let [ready, unschedulable, taints] = node_fields(cluster, n);
                let fields =
                    [("node", node(cluster, n)), ("delta", json!(delta)), ready, unschedulable, taints];
                self.line(at, "NodeChanged", &fields);
            }
            Observation::NodeGone(n) => self.line(at, "NodeGone", &[("node", node(cluster, n))]),
            Observation::StatefulSet(set) => {
                let row = &cluster.stateful_sets()[set];
                let name = cluster.names.show(row.name).to_string();
                self.line(at, "StatefulSet", &[("name", json!(name)), ("replicas", json!(row.replicas))]);
            }
            Observation::ReplicaSet(set) => {
                let row = &cluster.replica_sets()[set];
                let name = cluster.names.show(row.name).to_string();
                self.line(at, "ReplicaSet", &[("name", json!(name)), ("replicas", json!(row.replicas))]);
            }
            Observation::Job(job) => {
                let row = &cluster.jobs()[job];
                let name = cluster.names.show(row.name).to_string();
                self.line(at, "Job", &[("name", json!(name)), ("succeeded", json!(row.succeeded))]);
            }
            Observation::Event { about, reason, message } => {
                let (kind, name) = subject_text(cluster, about);
                let message = cluster.names.text(message).to_owned();
                self.event(at, kind, name, reason, &message);
            }
        }
    }

    fn wants_events(&self) -> bool {
        true
    }
}
