//! What was done to nodes.

use super::{Entry, Watch};
use crate::recording::What;
use crate::scenario::tree::Value;
use std::collections::BTreeSet;

/// Taints that controllers set by a node's conditions.
const BY_CONDITION: &[&str] = &[
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
];
/// The taint of a cordoned node.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

impl<'v> Watch<'_, 'v> {
    pub(super) fn node_modified(&mut self, entry: &Entry<'v>) {
        let name = entry.name().to_owned();
        let Some(seen) = self.seen.get(&(entry.kind, entry.name())) else { return };
        let (mut cordoned, cpu, before) = (seen.cordoned, seen.cpu.clone(), seen.taints.clone());
        let mut done: Vec<What> = Vec::new();
        if let Some(flag) = entry.field("unschedulable").or_else(|| entry.field("spec.unschedulable")) {
            let now = flag.as_text() == Some("true");
            if now != cordoned {
                done.push(cordon(&name, now));
            }
            cordoned = now;
        }
        let taints = entry.field("taints").map(taints);
        if let Some(now) = &taints {
            for taint in now.symmetric_difference(&before) {
                let (added, key) = (now.contains(taint), key(taint));
                if key == UNSCHEDULABLE {
                    if added != cordoned {
                        done.push(cordon(&name, added));
                    }
                    cordoned = added;
                } else if !BY_CONDITION.contains(&key) {
                    done.push(What::Taint { node: name.clone(), taint: taint.clone(), remove: !added });
                }
            }
        }
        let allocatable = entry.field("cpu").and_then(Value::as_text).filter(|now| *now != cpu);
        if let Some(now) = allocatable {
            done.push(What::SetAllocatable { node: name, cpu: now.to_owned() });
        }
        for what in done {
            self.push(entry.at, what);
        }
        if let Some(seen) = self.seen.get_mut(&(entry.kind, entry.name())) {
            seen.cordoned = cordoned;
            if let Some(taints) = taints {
                seen.taints = taints;
            }
        }
    }
}

fn cordon(node: &str, on: bool) -> What {
    if on { What::Cordon(node.to_owned()) } else { What::Uncordon(node.to_owned()) }
}

/// `key=value:Effect`, without `=` where there is no value.
fn taints(value: &Value) -> BTreeSet<String> {
    let all = value.as_seq().unwrap_or_default().iter().filter_map(Value::as_text);
    all.map(|taint| taint.replace("=:", ":")).collect()
}

fn key(taint: &str) -> &str {
    taint.split(['=', ':']).next().unwrap_or_default()
}
