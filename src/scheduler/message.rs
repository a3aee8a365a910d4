//! The words of a failed attempt: `0/N nodes are available: ...`.

use super::framework::{FitError, PostFilterMessage, Reasons};
use crate::model::names::Names;
use std::fmt::Write as _;

/// What a pod is told when there are no nodes at all.
pub const NO_NODES: &str = "no nodes available to schedule pods";

/// The message of a plugin's status: its reasons, joined.
pub fn status_text(reasons: &Reasons, names: &Names) -> String {
    let mut text = String::new();
    for (i, reason) in reasons.as_slice().iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        reason.render(names, &mut text);
    }
    text
}

/// `FitError.Error()` with the messages of the PostFilter plugins.
pub fn fit_error(error: &FitError, post_filter: &[PostFilterMessage], names: &Names) -> String {
    if error.nodes == 0 {
        return NO_NODES.into();
    }
    let mut text = format!("0/{} nodes are available:", error.nodes);
    match &error.pre_filter {
        Some(reasons) => {
            let said = status_text(reasons, names);
            if !said.is_empty() {
                let _ = write!(text, " {said}.");
            }
        }
        None => {
            let lines = histogram(error, names);
            if !lines.is_empty() {
                let _ = write!(text, " {}.", lines.join(", "));
            }
        }
    }
    for (i, message) in post_filter.iter().enumerate() {
        text.push_str(if i == 0 { " " } else { ", " });
        match message {
            PostFilterMessage::Text(said) => text.push_str(said),
            PostFilterMessage::Owned(said) => text.push_str(said),
            PostFilterMessage::Preemption(error) => {
                text.push_str("preemption: ");
                text.push_str(&fit_error(error, &[], names));
            }
        }
    }
    text
}

/// `<count> <reason>`, sorted as strings. Reasons of different plugins with the same words are one.
fn histogram(error: &FitError, names: &Names) -> Vec<String> {
    let mut counts: Vec<(String, u32)> = Vec::new();
    for &(reason, count) in &error.counts {
        let said = reason.text(names);
        match counts.iter_mut().find(|(text, _)| *text == said) {
            Some((_, n)) => *n += count,
            None => counts.push((said, count)),
        }
    }
    let mut lines: Vec<String> = counts.into_iter().map(|(text, n)| format!("{n} {text}")).collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::sym;
    use crate::scheduler::framework::Reason;

    #[test]
    fn counted_reasons_are_sorted_as_strings() {
        let names = Names::default();
        let counts = vec![
            (Reason::Text("node(s) didn't match PersistentVolume's node affinity"), 4),
            (Reason::Insufficient(sym::CPU), 10),
            (Reason::Text("Insufficient cpu"), 2),
        ];
        let error = FitError { nodes: 16, pre_filter: None, counts };
        assert_eq!(
            fit_error(&error, &[], &names),
            "0/16 nodes are available: 12 Insufficient cpu, 4 node(s) didn't match PersistentVolume's node affinity."
        );
        let help = FitError {
            nodes: 16,
            pre_filter: None,
            counts: vec![(Reason::Text("Preemption is not helpful for scheduling"), 16)],
        };
        let post =
            [PostFilterMessage::Text("no new claims to deallocate"), PostFilterMessage::Preemption(help)];
        assert!(fit_error(&error, &post, &names).ends_with(
            "affinity. no new claims to deallocate, preemption: 0/16 nodes are available: 16 Preemption is not helpful for scheduling."
        ));
    }

    #[test]
    fn a_pre_filter_rejection_has_no_count() {
        let names = Names::default();
        let reason = Reason::Text("pod has unbound immediate PersistentVolumeClaims");
        let error = FitError { nodes: 2, pre_filter: Some(Reasons::One(reason)), counts: Vec::new() };
        assert_eq!(
            fit_error(&error, &[PostFilterMessage::Text("not found")], &names),
            "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
        );
    }

    #[test]
    fn no_nodes() {
        assert_eq!(fit_error(&FitError::default(), &[], &Names::default()), NO_NODES);
    }
}
