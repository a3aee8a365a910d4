//! Pods whose volumes are bound, in every small cluster: what Kubernetes does with them, by both engines.

use super::work::{Bench, bound_claim};
use crate::scheduler::cycle::Outcome;
use crate::scheduler::testing::{node, pod, requests, running, with};
use serde_json::{Value, json};

/// What is the matter with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// Full of a pod that is less important.
    Low,
    /// Full of a pod that is as important.
    Equal,
    /// Too small for the pod whoever goes.
    Small,
    Cordoned,
    Tainted,
}

const STATES: [State; 6] =
    [State::Free, State::Low, State::Equal, State::Small, State::Cordoned, State::Tainted];

fn objects(states: &[State], claims: &[&str]) -> Vec<Value> {
    let mut objects = Vec::new();
    for (n, state) in states.iter().enumerate() {
        let name = format!("n{n}");
        let cpu = if *state == State::Small { "1" } else { "2" };
        let mut spec = json!({"unschedulable": *state == State::Cordoned});
        if *state == State::Tainted {
            spec["taints"] = json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]);
        }
        objects.push(node(&name, json!({"spec": spec, "status": {"allocatable": {"cpu": cpu}}})));
        let priority = match state {
            State::Low => 0,
            State::Equal => 10,
            _ => continue,
        };
        let more = with(requests(json!({"cpu": "1"})), json!({"spec": {"priority": priority}}));
        objects.push(running(&format!("r{n}"), &name, 1, more));
    }
    let volumes: Vec<Value> = claims
        .iter()
        .map(|claim| json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}}))
        .collect();
    for claim in claims {
        objects.extend(bound_claim(claim, "n0"));
    }
    let more = json!({"spec": {"priority": 10, "volumes": volumes}});
    objects.push(pod("p", with(requests(json!({"cpu": "2"})), more)));
    objects
}

/// The words of the condition: what each filter says of how many nodes, in the order of the words.
fn words(states: &[State]) -> String {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for (n, state) in states.iter().enumerate() {
        // The filters run in this order, and the first that rejects a node is the one that is heard.
        let reason = match state {
            State::Cordoned => "node(s) were unschedulable",
            State::Tainted => "node(s) had untolerated taint(s)",
            State::Low | State::Equal | State::Small => "Insufficient cpu",
            State::Free => "node(s) didn't match PersistentVolume's node affinity",
        };
        assert!(n > 0 || *state != State::Free);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    let mut said: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    said.sort();
    // Preemption is of no help where the reason stays whoever goes; elsewhere there may be nobody to go, or the volume is elsewhere.
    let (mut useless, mut nobody, mut elsewhere) = (0, 0, 0);
    for (n, state) in states.iter().enumerate() {
        match state {
            State::Equal => nobody += 1,
            State::Low if n > 0 => elsewhere += 1,
            _ => useless += 1,
        }
    }
    let mut preemption = Vec::new();
    for (count, what) in [
        (nobody, "No preemption victims found for incoming pod."),
        (useless, "Preemption is not helpful for scheduling."),
        (elsewhere, "node(s) didn't match PersistentVolume's node affinity."),
    ] {
        if count > 0 {
            preemption.push(format!("{count} {what}"));
        }
    }
    preemption.sort();
    let (said, nodes) = (said.join(", "), states.len());
    let preemption = preemption.join(", ");
    let preemption = preemption.replace("., ", ", ");
    format!(
        "0/{nodes} nodes are available: {said}. no new claims to deallocate, preemption: 0/{nodes} nodes are available: {preemption}"
    )
}

#[test]
fn bound_pods_stay_at_home() {
    for claims in [&["c"][..], &["c", "d"]] {
        for combination in 0..STATES.len().pow(3) {
            let states = [0u32, 1, 2].map(|n| STATES[combination / STATES.len().pow(n) % STATES.len()]);
            let mut bench = Bench::new(&objects(&states, claims));
            let attempt = bench.attempt("p");
            let home = bench.cluster.nodes().ids().next().expect("n0");
            match (&attempt.outcome, states[0]) {
                (Outcome::Reserved(binding), State::Free) => assert_eq!(binding.node, home, "{states:?}"),
                (Outcome::Unschedulable(result), State::Low) => {
                    let nomination = result.nomination.as_ref().unwrap_or_else(|| panic!("{states:?}"));
                    assert_eq!((nomination.node, nomination.victims.len()), (home, 1), "{states:?}");
                }
                (Outcome::Unschedulable(result), state) if state != State::Free => {
                    assert_eq!(result.nomination, None, "{states:?}");
                    assert_eq!(attempt.message(&bench.cluster.names), Some(words(&states)), "{states:?}");
                }
                (other, _) => panic!("{states:?}: {other:?}"),
            }
        }
    }
}
