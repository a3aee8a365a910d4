//! A run as a Chrome trace (`--perfetto FILE`): pods, nodes and the scheduler over time, to be looked at in a trace viewer such as
//! <https://ui.perfetto.dev>.
//!
//! Every variant has three processes: its pods (a track each, with the spans *pending*, *binding*, *starting*, *running*,
//! *not ready* and *terminating*), its nodes (*Ready*, *cordoned*, *NotReady*) and its scheduler (every attempt, with its result).
//! The trace is made of the lines of `events.jsonl`.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tracks of a process, numbered in the order in which they come up.
#[derive(Default)]
struct Tracks {
    numbers: BTreeMap<String, usize>,
}

impl Tracks {
    fn of(&mut self, name: &str) -> usize {
        let next = self.numbers.len() + 1;
        *self.numbers.entry(name.to_owned()).or_insert(next)
    }
}

/// A span that has begun.
#[derive(Clone)]
struct Open {
    since: f64,
    name: &'static str,
    about: Value,
}

/// What is known of a pod or node while the events are read.
struct Lane {
    process: usize,
    tracks: Tracks,
    open: BTreeMap<String, Open>,
}

impl Lane {
    fn new(process: usize) -> Lane {
        Lane { process, tracks: Tracks::default(), open: BTreeMap::new() }
    }
    /// Ends the object's span, and begins another.
    fn turn(&mut self, at: f64, object: &str, next: Option<(&'static str, Value)>, out: &mut Vec<Value>) {
        if let Some(open) = self.open.remove(object) {
            out.push(json!({
                "ph": "X", "cat": open.name, "name": open.name, "pid": self.process, "tid": self.tracks.of(object),
                "ts": micros(open.since), "dur": micros(at - open.since), "args": open.about,
            }));
        }
        if let Some((name, about)) = next {
            self.tracks.of(object);
            self.open.insert(object.to_owned(), Open { since: at, name, about });
        }
    }
    /// Ends what is open, and names the tracks.
    fn finish(mut self, at: f64, title: &str, out: &mut Vec<Value>) {
        let left: Vec<String> = self.open.keys().cloned().collect();
        for object in left {
            self.turn(at, &object, None, out);
        }
        out.push(named("process_name", self.process, 0, title));
        for (name, tid) in &self.tracks.numbers {
            out.push(named("thread_name", self.process, *tid, name));
        }
    }
}

fn named(what: &str, process: usize, track: usize, name: &str) -> Value {
    json!({"ph": "M", "name": what, "pid": process, "tid": track, "args": {"name": name}})
}

fn micros(seconds: f64) -> f64 {
    (seconds * 1e6).round()
}

fn text<'v>(event: &'v Value, key: &str) -> &'v str {
    event[key].as_str().unwrap_or_default()
}

/// The trace of a run: per variant its name, the end in simulated seconds and the lines of its `events.jsonl`.
pub fn trace(variants: &[(&str, f64, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, (name, end, lines)) in variants.iter().enumerate() {
        variant(index, name, *end, lines, &mut out);
    }
    let whole = json!({"displayTimeUnit": "ms", "traceEvents": out});
    serde_json::to_vec(&whole).unwrap_or_default()
}

fn variant(index: usize, name: &str, end: f64, lines: &[u8], out: &mut Vec<Value>) {
    let process = 3 * index + 1;
    let (mut pods, mut nodes) = (Lane::new(process), Lane::new(process + 1));
    for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let Ok(event) = serde_json::from_slice::<Value>(line) else { continue };
        let at = event["seconds"].as_f64().unwrap_or(0.0);
        match text(&event, "what") {
            what if what.starts_with("Pod") => pod(&mut pods, at, what, &event, out),
            what if what.starts_with("Node") => node(&mut nodes, at, what, &event, out),
            "Attempt" => attempt(&mut pods, process + 2, at, &event, out),
            "Event" if text(&event, "reason") == "FailedScheduling" => {
                // Why the pod waits stands in the arguments of its span.
                if let Some(open) = pods.open.get_mut(text(&event, "pod")) {
                    open.about["message"] = event["message"].clone();
                }
            }
            _ => {}
        }
    }
    pods.finish(end, &format!("{name}: pods"), out);
    nodes.finish(end, &format!("{name}: nodes"), out);
    out.push(named("process_name", process + 2, 0, &format!("{name}: scheduler")));
    out.push(named("thread_name", process + 2, 1, "attempts"));
}

fn pod(lane: &mut Lane, at: f64, what: &str, event: &Value, out: &mut Vec<Value>) {
    let pod = text(event, "pod");
    let next = match what {
        "PodCreated" => Some(("pending", json!({}))),
        "PodAssigned" => Some(("starting", json!({"node": text(event, "node")}))),
        "PodStatus" => {
            let about = lane.open.get(pod).map_or(json!({}), |open| open.about.clone());
            match (text(event, "phase"), event["ready"] == true) {
                ("Running", true) => Some(("running", about)),
                ("Running", false) => Some(("not ready", about)),
                ("Succeeded", _) => Some(("succeeded", about)),
                ("Failed", _) => Some(("failed", about)),
                _ => return,
            }
        }
        "PodTerminating" => {
            let about = lane.open.get(pod).map_or(json!({}), |open| open.about.clone());
            Some(("terminating", about))
        }
        "PodGone" => None,
        _ => return,
    };
    // A pod that is already being deleted stays so until it is gone.
    let terminating = lane.open.get(pod).is_some_and(|open| open.name == "terminating");
    if !terminating || next.is_none() {
        lane.turn(at, pod, next, out);
    }
}

fn attempt(pods: &mut Lane, scheduler: usize, at: f64, event: &Value, out: &mut Vec<Value>) {
    let (pod, result) = (text(event, "pod"), text(event, "result"));
    out.push(json!({
        "ph": "i", "s": "t", "cat": "attempt", "name": result, "pid": scheduler, "tid": 1, "ts": micros(at),
        "args": {"pod": pod, "node": event["node"]},
    }));
    let turn = match result {
        "Scheduled" => Some(("binding", json!({"node": event["node"]}))),
        _ if pods.open.get(pod).is_some_and(|open| open.name == "binding") => Some(("pending", json!({}))),
        _ => None,
    };
    if turn.is_some() {
        pods.turn(at, pod, turn, out);
    }
}

fn node(lane: &mut Lane, at: f64, what: &str, event: &Value, out: &mut Vec<Value>) {
    let node = text(event, "node");
    if what == "NodeGone" {
        return lane.turn(at, node, None, out);
    }
    let state = match (event["ready"] == true, event["unschedulable"] == true) {
        (true, false) => "Ready",
        (true, true) => "cordoned",
        (false, _) => "NotReady",
    };
    let about = json!({"taints": event["taints"]});
    match lane.open.get_mut(node) {
        Some(open) if open.name == state => open.about = about,
        _ => lane.turn(at, node, Some((state, about)), out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_nodes_and_attempts_become_spans() {
        let lines = br#"{"seconds":0.0,"what":"NodeCreated","node":"n1","ready":true,"unschedulable":false,"taints":[]}
{"seconds":1.0,"what":"PodCreated","pod":"default/a"}
{"seconds":1.0,"what":"Attempt","pod":"default/a","result":"Unschedulable","node":null}
{"seconds":1.0,"what":"Event","pod":"default/a","reason":"FailedScheduling","message":"0/1 nodes"}
{"seconds":2.0,"what":"Attempt","pod":"default/a","result":"Scheduled","node":"n1"}
{"seconds":3.0,"what":"PodAssigned","pod":"default/a","node":"n1"}
{"seconds":3.5,"what":"PodStatus","pod":"default/a","phase":"Running","ready":true}
{"seconds":9.0,"what":"NodeChanged","node":"n1","ready":false,"unschedulable":false,"taints":["x:NoSchedule"]}
{"seconds":9.0,"what":"PodTerminating","pod":"default/a"}
{"seconds":9.5,"what":"PodGone","pod":"default/a"}
"#;
        let trace: Value = serde_json::from_slice(&trace(&[("v", 10.0, lines)])).expect("JSON");
        let all = trace["traceEvents"].as_array().expect("events");
        let spans: Vec<(&str, f64, f64)> = all
            .iter()
            .filter(|e| e["ph"] == "X")
            .map(|e| (text(e, "name"), e["ts"].as_f64().unwrap_or(-1.0), e["dur"].as_f64().unwrap_or(-1.0)))
            .collect();
        assert_eq!(
            spans,
            [
                ("pending", 1e6, 1e6),
                ("binding", 2e6, 1e6),
                ("starting", 3e6, 5e5),
                ("Ready", 0.0, 9e6),
                ("running", 3.5e6, 5.5e6),
                ("terminating", 9e6, 5e5),
                ("NotReady", 9e6, 1e6),
            ]
        );
        let pending = all.iter().find(|e| e["name"] == "pending").expect("a span");
        assert_eq!(pending["args"]["message"], "0/1 nodes");
        assert_eq!(all.iter().filter(|e| e["ph"] == "i").count(), 2);
        assert!(all.iter().any(|e| e["ph"] == "M" && e["args"]["name"] == "v: pods"));
    }
}
