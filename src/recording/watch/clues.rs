//! What a recording tells beside the objects: events of controllers, the simulated kubelets' log, what the test said it did.

use super::Entry;
use crate::recording::input::{Manifest, number};
use crate::recording::{Operation, What};
use crate::scenario::tree::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A trace of a controller belongs to what happened within this many seconds: watches run a little apart.
const NEAR: f64 = 1.0;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Clues<'v> {
    /// Pods that controllers said they delete, and when.
    deletions: Vec<(f64, String)>,
    /// Pods whose kubelet said that it finished their deletion.
    finished: Vec<(f64, &'v str)>,
    has_kubelets: bool,
    /// Workloads and pods by `Kind/name`: since when they are there with how many replicas, or gone.
    lives: BTreeMap<String, Vec<(f64, Option<u64>)>>,
    /// Nodes that went silent or spoke again.
    silence: Vec<(f64, String, bool)>,
    /// Times of kube-controller-manager's stops and starts.
    manager: Vec<(f64, bool)>,
    /// Pods of ReplicaSets.
    replica_set_pods: BTreeSet<String>,
    /// See [`crate::recording::settings::Settings::kcm_up_for`].
    pub kcm_up_for: Option<f64>,
    /// The same of the scheduler.
    pub scheduler_up_for: Option<f64>,
}

impl<'v> Clues<'v> {
    pub(super) fn gather(tree: &'v Value, entries: &[Entry<'v>], manifests: &[Manifest<'v>]) -> Clues<'v> {
        let mut clues = Clues::default();
        let nodes: BTreeSet<&str> = entries.iter().filter(|e| e.kind == "Node").map(Entry::name).collect();
        clues.kubelets(tree, &nodes);
        for entry in entries {
            match entry.kind {
                "Event" => clues.event(entry),
                "ACTION" => clues.action(entry, &nodes),
                _ => clues.life(entry),
            }
        }
        let deployments: Vec<&str> = manifests
            .iter()
            .filter(|m| matches!(m.kind, "Deployment" | "ReplicaSet"))
            .map(|m| m.name)
            .collect();
        for pod in entries.iter().filter(|e| e.kind == "Pod").map(Entry::name) {
            let owned = |d: &str| pod.strip_prefix(d).is_some_and(|rest| rest.starts_with('-'));
            let bare = manifests.iter().any(|m| m.kind == "Pod" && m.name == pod);
            if !bare && deployments.iter().any(|d| owned(d)) {
                clues.replica_set_pods.insert(pod.to_owned());
            }
        }
        clues.kcm_up_for = ticks(entries);
        clues.scheduler_up_for = queue_ticks(tree);
        clues
    }

    fn kubelets(&mut self, tree: &'v Value, nodes: &BTreeSet<&str>) {
        for item in tree.get("kubeletSim").and_then(Value::as_seq).unwrap_or_default() {
            self.has_kubelets = true;
            let text = |key: &str| item.get(key).and_then(Value::as_text).unwrap_or_default();
            let Some(at) = item.get("t").and_then(number) else { continue };
            let (message, object) = (text("msg"), text("obj"));
            if message.contains("finished deletion") {
                self.finished.push((at, object));
            } else if nodes.contains(object) {
                if message.starts_with("silent") {
                    self.silence.push((at, object.to_owned(), true));
                } else if message.starts_with("speaks") {
                    self.silence.push((at, object.to_owned(), false));
                }
            }
        }
    }

    fn event(&mut self, entry: &Entry<'v>) {
        let (reason, message) = (entry.text("reason").unwrap_or(""), entry.text("message").unwrap_or(""));
        let on = entry.text("on").unwrap_or("");
        let pod = match reason {
            "TaintManagerEviction" if message.starts_with("Marking for deletion") => on.strip_prefix("Pod/"),
            "Preempted" => on.strip_prefix("Pod/"),
            // "Delete Pod web-2 in StatefulSet web successful", "Deleted pod: web-6d4b-x2x4"
            "SuccessfulDelete" => message
                .split_whitespace()
                .find(|word| !matches!(word.to_lowercase().as_str(), "delete" | "deleted" | "pod" | "pod:")),
            _ => None,
        };
        if let Some(pod) = pod {
            self.deletions.push((entry.at, pod.to_owned()));
        }
    }

    /// What the test says it did that no watch can see: kubelets, kube-controller-manager.
    fn action(&mut self, entry: &Entry<'v>, nodes: &BTreeSet<&str>) {
        let what = entry.text("what").unwrap_or("");
        let lower = what.to_lowercase();
        let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
        let says = |list: &[&str]| words.iter().any(|word| list.iter().any(|l| word.starts_with(l)));
        let again = says(&["again", "back", "resume", "return", "restart", "unsilence", "cont", "sigcont"]);
        if says(&["kcm", "kube-controller-manager", "controller-manager"])
            || lower.contains("controller manager")
        {
            if again || says(&["start"]) {
                self.manager.push((entry.at, true));
            } else if says(&["stop", "kill", "down", "pause", "suspend", "halt", "terminate", "sigstop"]) {
                self.manager.push((entry.at, false));
            }
            return;
        }
        let logged = self.silence.iter().any(|(at, ..)| (at - entry.at).abs() < 2.0);
        let silent = says(&["silence", "silent", "unsilence"]) || lower.contains("speaks again");
        if silent && !logged {
            let named = |node: &&&str| what.split(|c: char| !is_name(c)).any(|word| word == **node);
            for node in nodes.iter().filter(named) {
                let down = !(lower.contains("speaks again") || again);
                self.silence.push((entry.at, (*node).to_owned(), down));
            }
        }
    }

    fn life(&mut self, entry: &Entry<'v>) {
        let key = format!("{}/{}", entry.kind, entry.name());
        let replicas = || entry.field("spec.replicas").and_then(number).map(|n| n.max(0.0) as u64);
        match entry.text("ev") {
            Some("DELETED") => self.lives.entry(key).or_default().push((entry.at, None)),
            Some("ADDED") => {
                self.lives.entry(key).or_default().push((entry.at, Some(replicas().unwrap_or(u64::MAX))));
            }
            _ => {
                if let Some(replicas) = replicas() {
                    self.lives.entry(key).or_default().push((entry.at, Some(replicas)));
                }
            }
        }
    }

    /// The object's state shortly after `at`: its replicas; `Some(None)`: gone; `None`: never seen.
    fn state(&self, key: &str, at: f64) -> Option<Option<u64>> {
        let life = self.lives.get(key)?;
        life.iter().rev().find(|(since, _)| *since <= at + NEAR / 2.0).map(|(_, state)| *state)
    }
    /// Is this owner (`Kind/name`) gone?
    pub(super) fn is_gone(&self, owner: &str, at: f64) -> bool {
        self.state(owner, at) == Some(None)
    }
    /// Did a controller delete this pod?
    pub(super) fn controller_deleted(&self, pod: &str, at: f64) -> bool {
        if self.deletions.iter().any(|(when, name)| name == pod && (when - at).abs() < 2.0 * NEAR) {
            return true;
        }
        let Some((set, ordinal)) = pod.rsplit_once('-') else { return false };
        let Ok(ordinal) = ordinal.parse::<u64>() else { return false };
        match self.state(&format!("StatefulSet/{set}"), at) {
            None => false,
            Some(None) => true,
            Some(Some(replicas)) => ordinal >= replicas,
        }
    }
    /// Did the kubelet of the pod's node finish its deletion?
    pub(super) fn kubelet_finished(&self, pod: &str, node: &str, at: f64) -> bool {
        if self.has_kubelets {
            let is_it = |object: &str| object.rsplit('/').next() == Some(pod);
            return self.finished.iter().any(|(when, object)| is_it(object) && (when - at).abs() < NEAR);
        }
        let last = self.silence.iter().rev().find(|(when, name, _)| name == node && *when <= at);
        !last.is_some_and(|(_, _, down)| *down)
    }
    /// Does the pod belong to a ReplicaSet? Its name is random.
    pub(super) fn is_of_replica_set(&self, pod: &str) -> bool {
        self.replica_set_pods.contains(pod)
    }

    /// What was done outside the API.
    pub(super) fn outside(&self, duration: f64) -> Vec<Operation> {
        let silence = self.silence.iter().map(|(at, node, down)| Operation {
            at: *at,
            what: if *down { What::NodeDown(node.clone()) } else { What::NodeUp(node.clone()) },
        });
        let mut all: Vec<Operation> = silence.collect();
        let mut down_since = None;
        for (at, up) in &self.manager {
            match (up, down_since) {
                (false, None) => down_since = Some(*at),
                (true, Some(since)) => {
                    all.push(Operation { at: since, what: What::ControllerManagerDown(at - since) });
                    down_since = None;
                }
                _ => {}
            }
        }
        if let Some(since) = down_since.filter(|since| *since < duration) {
            all.push(Operation { at: since, what: What::ControllerManagerDown(duration - since) });
        }
        all
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')
}

/// When kube-controller-manager's loops tick: how long it had been up at the start, modulo their periods. Told from what only
/// happens at ticks: repeated events about claims that nothing happened to (15 s), nodes found silent, registered or gone (5 s),
/// pods that pod GC fails (20 s).
fn ticks(entries: &[Entry<'_>]) -> Option<f64> {
    const RESYNC: f64 = 15.0;
    const MONITOR: f64 = 5.0;
    const POD_GC: f64 = 20.0;
    let mut claims: BTreeMap<&str, f64> = BTreeMap::new();
    let (mut resyncs, mut looks, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        let text = |key: &str| entry.text(key).unwrap_or_default();
        if entry.kind == "PersistentVolumeClaim" {
            claims.insert(entry.name(), entry.at);
        } else if entry.kind == "Event" && text("source") == "persistentvolume-controller" {
            let claim = text("on").strip_prefix("PersistentVolumeClaim/");
            if claim.and_then(|c| claims.get(c)).is_some_and(|changed| entry.at - changed > NEAR) {
                resyncs.push(entry.at);
            }
        } else if entry.kind == "Event" && matches!(text("reason"), "RemovingNode") {
            looks.push(entry.at);
        } else if entry.kind == "Node" {
            let ready = entry.value.get("changed").and_then(|c| c.get("Ready")?.get("status")?.as_text());
            if ready == Some("Unknown") {
                looks.push(entry.at);
            }
        } else if entry.kind == "Pod" {
            let changed = entry.value.get("changed");
            let reason = changed.and_then(|c| c.get("DisruptionTarget")?.get("reason")?.as_text());
            if reason == Some("DeletionByPodGC") {
                rounds.push(entry.at);
            }
        }
    }
    let (resync, look, round) = (phase(&resyncs, RESYNC), phase(&looks, MONITOR), phase(&rounds, POD_GC));
    let up = |phase: f64, period: f64| (period - phase).rem_euclid(period);
    let distance = |a: f64, b: f64, period: f64| {
        let d = (a - b).rem_euclid(period);
        d.min(period - d)
    };
    match (resync, round) {
        (Some(resync), Some(round)) => {
            // All three have begun together: one age fits all periods.
            let ages = (0..4).map(|k| up(resync, RESYNC) + RESYNC * f64::from(k));
            ages.min_by(|a, b| {
                let off = |age: &f64| distance(*age, up(round, POD_GC), POD_GC);
                off(a).total_cmp(&off(b))
            })
        }
        (Some(resync), None) => Some(up(resync, RESYNC)),
        (None, Some(round)) => Some(up(round, POD_GC)),
        (None, None) => look.map(|look| up(look, MONITOR)),
    }
}

/// When the scheduling queue's loops tick, told from its log: pods leave the unschedulable pool by time (30 s) or end their backoff
/// (1 s) at ticks only.
fn queue_ticks(tree: &Value) -> Option<f64> {
    const FLUSH: f64 = 30.0;
    const BACKOFF: f64 = 1.0;
    let lines = tree.get("schedulerLog").and_then(Value::as_seq).unwrap_or_default();
    let times = |event: &str| -> Vec<f64> {
        let is_it = |line: &&Value| {
            line.get("msg").and_then(Value::as_text).is_some_and(|message| message.contains(event))
        };
        lines.iter().filter(is_it).filter_map(|line| line.get("t").and_then(number)).collect()
    };
    let flush = phase(&times("event=\"UnschedulableTimeout\""), FLUSH).map(|p| FLUSH - p);
    flush.or_else(|| phase(&times("event=\"BackoffComplete\""), BACKOFF).map(|p| BACKOFF - p))
}

/// The offset within the period at which most of the times lie, give or take half a second.
fn phase(times: &[f64], period: f64) -> Option<f64> {
    const WITHIN: f64 = 0.5;
    let offsets: Vec<f64> = times.iter().map(|t| t.rem_euclid(period)).collect();
    let behind = |start: f64| offsets.iter().filter(|o| (*o - start).rem_euclid(period) < WITHIN).count();
    // The earliest of the largest group: everything else of it came a little later.
    let mut best: Option<(usize, f64)> = None;
    for offset in &offsets {
        let count = behind(*offset);
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, *offset));
        }
    }
    best.map(|(_, offset)| (offset * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_is_where_most_ticks_lie() {
        assert_eq!(phase(&[], 15.0), None);
        assert_eq!(phase(&[12.463, 12.471, 27.466, 42.502, 43.0], 15.0), Some(12.463));
        // Around the end of a period.
        assert_eq!(phase(&[14.9, 30.1, 45.2, 7.0], 15.0), Some(14.9));
    }
}
