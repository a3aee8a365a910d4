//! What was done to pods: which of their deletions no controller and no kubelet explains.

use super::{Entry, Watch};
use crate::recording::What;
use crate::recording::input::number;
use crate::scenario::tree::Value;

/// `DisruptionTarget` reasons of controllers that delete pods.
const BY_CONTROLLERS: &[&str] = &["DeletionByTaintManager", "PreemptionByScheduler", "DeletionByPodGC"];

impl<'v> Watch<'_, 'v> {
    pub(super) fn pod_modified(&mut self, entry: &Entry<'v>) {
        // The condition may come with the deletion.
        self.note(entry);
        let grace = entry.field("graceSeconds").and_then(number);
        let marked = entry.field("deletionTimestamp").is_some_and(|v| !v.is_null());
        if marked || grace.is_some() {
            self.pod_deletion(entry, grace);
        }
    }
    pub(super) fn pod_deleted(&mut self, entry: &Entry<'v>) {
        self.pod_deletion(entry, Some(0.0));
    }

    fn pod_deletion(&mut self, entry: &Entry<'v>, grace: Option<f64>) {
        let key = (entry.kind, entry.name());
        let seen = self.seen.entry(key).or_default().clone();
        let at_once = grace == Some(0.0);
        let first = !seen.deleting;
        if (!first && !at_once) || seen.finishing {
            return;
        }
        if let Some(seen) = self.seen.get_mut(&key) {
            seen.deleting = true;
            seen.finishing = at_once;
        }
        let collected = seen.phase == "Failed" || seen.phase == "Succeeded";
        let force = at_once && seen.node.is_some();
        let explained = if first {
            collected
                || BY_CONTROLLERS.contains(&seen.disruption.as_str())
                || self.clues.controller_deleted(entry.name(), entry.at)
        } else {
            let node = seen.node.as_deref().unwrap_or_default();
            collected || self.clues.kubelet_finished(entry.name(), node, entry.at)
        };
        if explained {
            return;
        }
        if self.clues.is_of_replica_set(entry.name()) {
            let span = entry.value.get("name").map_or(entry.value.span, |v: &Value| v.span);
            return self.warn(span, "a Deployment's pod was deleted by name".to_owned());
        }
        let pod = self.full_name("Pod", entry.name());
        self.push(entry.at, What::DeletePod { pod, force });
    }
}
