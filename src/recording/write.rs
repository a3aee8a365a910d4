//! The scenario's text and its manifests.

use super::input::shown;
use super::settings::{Limit, Settings};
use super::{Imported, Operation, Recording, What};
use crate::diagnostic::Diagnostics;
use crate::scenario::tree::{Kind, Resolved, Scalar, Value};
use std::fmt::Write as _;

/// Makes the files of a scenario; manifests are named as they are reached from the scenario: `folder/...`.
pub(super) fn scenario(recording: &Recording, folder: &str, warnings: Diagnostics) -> Imported {
    let mut manifests = Vec::new();
    let mut text = head(recording);
    if !recording.start.is_empty() {
        let path = format!("{folder}start.yaml");
        let _ = writeln!(text, "cluster:\n  manifests: [{}]", word(&path));
        if let Some(wipe) = recording.settings.wipe {
            let _ = writeln!(text, "  staticProvisioner: {{wipe: {}}}", span(wipe));
        }
        let mut all = String::new();
        for object in &recording.start {
            all.push_str("---\n");
            block(object, 0, &mut all);
        }
        manifests.push((path, all));
    }
    if !recording.operations.is_empty() {
        text.push_str("timeline:\n");
    }
    for (index, operation) in recording.operations.iter().enumerate() {
        entry(operation, index, folder, &mut manifests, &mut text);
    }
    Imported {
        name: recording.name.clone(),
        scenario: text,
        manifests,
        operations: recording.operations.len(),
        warnings,
    }
}

fn head(recording: &Recording) -> String {
    let mut text = String::from(
        "# Made by `stowplan import recording`. Nothing that the control plane decided is in here.\n",
    );
    let _ = writeln!(text, "version: 1\nname: {}", word(&recording.name));
    if !recording.description.is_empty() {
        let _ = writeln!(text, "description: {}", quoted(&recording.description));
    }
    let _ = writeln!(text, "duration: {}", span(recording.duration));
    text.push_str("controlPlane:\n  preset: kubernetes\n");
    control_plane(&recording.settings, &mut text);
    // One variant: the classes bind as they did. A pod that waits for a second is a pod that waits.
    text.push_str("variants: [{name: as-recorded}]\nreport: {stuckAfter: 1s, sample: 1s}\n");
    text
}

fn control_plane(settings: &Settings, text: &mut String) {
    let mut kcm = limit(settings.kcm);
    kcm.extend(settings.kcm_up_for.map(|age| format!("upFor: {}", span(age))));
    section("kcm", &kcm, text);
    let mut scheduler = limit(settings.scheduler);
    scheduler.push(format!("attempt: {}", span(settings.attempt)));
    scheduler.extend(settings.bind_timeout.map(|t| format!("bindTimeout: {}", span(t))));
    scheduler.extend(settings.scheduler_up_for.map(|age| format!("upFor: {}", span(age))));
    section("scheduler", &scheduler, text);
    if let Some(pop) = settings.pop_from_backoff {
        let _ = writeln!(text, "  popFromBackoff: {pop}");
    }
    if let Some(resync) = settings.pv_resync {
        let _ = writeln!(text, "  pvResync: {}", span(resync));
    }
    let mut node: Vec<String> = Vec::new();
    node.extend(settings.monitor.map(|t| format!("monitor: {}", span(t))));
    node.extend(settings.grace.map(|t| format!("grace: {}", span(t))));
    section("node", &node, text);
    let (start, stop) = (span(settings.kubelet_start), span(settings.kubelet_stop));
    section("kubelet", &[format!("start: {start}"), format!("stop: {stop}")], text);
}

fn section(name: &str, entries: &[String], text: &mut String) {
    if !entries.is_empty() {
        let _ = writeln!(text, "  {name}: {{{}}}", entries.join(", "));
    }
}

fn limit(limit: Option<Limit>) -> Vec<String> {
    limit.map_or(Vec::new(), |l| {
        vec![format!("qps: {}", l.qps), format!("burst: {}", l.burst.max(0.0) as u64)]
    })
}

fn entry(
    operation: &Operation,
    index: usize,
    folder: &str,
    manifests: &mut Vec<(String, String)>,
    text: &mut String,
) {
    let what = match &operation.what {
        What::Apply(object) => {
            let field = |value: Option<&Value>| value.and_then(Value::as_text).unwrap_or("object").to_owned();
            let kind = field(object.get("kind")).to_lowercase();
            let name = field(object.get("metadata").and_then(|m| m.get("name")));
            let path = format!("{folder}{:04}-{}-{}.yaml", index + 1, file_name(&kind), file_name(&name));
            let mut body = String::new();
            block(object, 0, &mut body);
            let what = format!("apply: {}", word(&path));
            manifests.push((path, body));
            what
        }
        What::DeletePod { pod, force: false } => format!("deletePod: {}", word(pod)),
        What::DeletePod { pod, force: true } => format!("deletePod: {{name: {}, force: true}}", word(pod)),
        What::DeletePvc(name) => format!("deletePvc: {}", word(name)),
        What::DeletePv { name, force: false } => format!("deletePv: {}", word(name)),
        What::DeletePv { name, force: true } => format!("deletePv: {{name: {}, force: true}}", word(name)),
        What::ClearClaimRef(name) => format!("clearClaimRef: {}", word(name)),
        What::Delete { kind, name } => format!("delete: {{kind: {}, name: {}}}", word(kind), word(name)),
        What::Scale { kind, name, replicas } => {
            let kind = file_name(&kind.to_lowercase());
            format!("scale: {{{kind}: {}, replicas: {replicas}}}", word(name))
        }
        What::SetAllocatable { node, cpu } => {
            format!("setAllocatable: {{node: {}, cpu: {}}}", word(node), word(cpu))
        }
        What::Taint { node, taint, remove } => {
            format!("taint: {{node: {}, taint: {}, remove: {remove}}}", word(node), quoted(taint))
        }
        What::NodeDown(node) => format!("nodeDown: {}", word(node)),
        What::NodeUp(node) => format!("nodeUp: {}", word(node)),
        What::NodeDelete(node) => format!("nodeDelete: {}", word(node)),
        What::Cordon(node) => format!("cordon: {}", word(node)),
        What::Uncordon(node) => format!("uncordon: {}", word(node)),
        What::Drain(node) => format!("drain: {}", word(node)),
        What::ControllerManagerDown(time) => format!("controllerManagerDown: {}", span(*time)),
    };
    let _ = writeln!(text, "  - {{at: {}, {what}}}", span(operation.at));
}

/// Seconds as a duration of the scenario, to the microsecond.
fn span(seconds: f64) -> String {
    let micros = (seconds * 1e6).round().max(0.0) as u64;
    let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
    if part == 0 {
        return format!("{whole}s");
    }
    format!("{whole}.{}s", format!("{part:06}").trim_end_matches('0'))
}

/// A part of a file's name.
fn file_name(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
    let name: String = text.chars().take(80).map(safe).collect();
    name.trim_start_matches('.').to_owned()
}

/// A text as it stands in flow style: plain where that is safe.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let scalar = Scalar { text: text.into(), quoted: false };
    let is_text = matches!(scalar.resolve(), Resolved::Str(_));
    if begins && is_text && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

/// A text in double quotes, as JSON and YAML both read it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| format!("{:?}", shown(text)))
}

/// Block style, as `kubectl get -o yaml` prints it.
fn block(value: &Value, indent: usize, out: &mut String) {
    match &value.kind {
        Kind::Scalar(_) => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
        Kind::Map(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    pad(indent, out);
                }
                out.push_str(&word(&entry.key));
                out.push(':');
                inner(&entry.value, indent, out);
            }
        }
        Kind::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    pad(indent, out);
                }
                out.push('-');
                match &item.kind {
                    Kind::Map(entries) if !entries.is_empty() => {
                        out.push(' ');
                        block(item, indent + 2, out);
                    }
                    _ => inner(item, indent, out),
                }
            }
        }
    }
}

/// What follows a key or a dash.
fn inner(value: &Value, indent: usize, out: &mut String) {
    match &value.kind {
        Kind::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            pad(indent + 2, out);
            block(value, indent + 2, out);
        }
        Kind::Seq(items) if !items.is_empty() => {
            out.push('\n');
            pad(indent + 2, out);
            block(value, indent + 2, out);
        }
        Kind::Map(_) => out.push_str(" {}\n"),
        Kind::Seq(_) => out.push_str(" []\n"),
        Kind::Scalar(_) => {
            out.push(' ');
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

fn scalar(value: &Value) -> String {
    match &value.kind {
        Kind::Scalar(s) if s.is_null() => "null".to_owned(),
        Kind::Scalar(s) if s.quoted => word(&s.text),
        Kind::Scalar(s) => s.text.to_string(),
        _ => String::new(),
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_yaml_would_take_for_something_else_are_quoted() {
        for (text, expected) in
            [("web-0", "web-0"), ("4", "\"4\""), ("on", "\"on\""), ("a b", "\"a b\""), ("", "\"\"")]
        {
            assert_eq!(word(text), expected);
        }
    }

    #[test]
    fn seconds_keep_their_milliseconds() {
        assert_eq!(span(40.726), "40.726s");
        assert_eq!(span(60.0), "60s");
        assert_eq!(span(0.05), "0.05s");
    }
}
