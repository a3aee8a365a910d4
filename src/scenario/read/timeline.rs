//! `timeline`, `failures`, `recovery`.

use super::Env;
use super::cluster::taint;
use super::workload::{size, varying_time};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::engine::time::{SimDuration, SimTime};
use crate::limits::Limit;
use crate::scenario::files;
use crate::scenario::reader::*;
use crate::scenario::tree::{Value, clip};
use crate::scenario::types::*;

/// The verbs of a timeline entry.
pub const VERBS: &[&str] = &[
    "nodeDown",
    "nodeUp",
    "nodeDelete",
    "zoneDown",
    "zoneUp",
    "rackDown",
    "rackUp",
    "cordon",
    "uncordon",
    "drain",
    "taint",
    "diskFail",
    "diskRepair",
    "expand",
    "deletePod",
    "deletePvc",
    "deletePv",
    "clearClaimRef",
    "delete",
    "scale",
    "apply",
    "setAllocatable",
    "controllerManagerDown",
];

/// `timeline`, ordered by time; equal times as written.
pub fn timeline(ctx: &mut Ctx, map: &mut Map<'_>, env: &Env<'_>) -> Vec<TimelineEntry> {
    let items = map.list(ctx, "timeline");
    if items.len() > Limit::TimelineEntries.size() {
        let message = format!("the timeline has more than {} entries", Limit::TimelineEntries.get());
        let error = Diagnostic::error(Code::TooLarge, message).at(map.span);
        ctx.error(error.help(Limit::TimelineEntries.hint()));
        return Vec::new();
    }
    let mut all: Vec<TimelineEntry> = Vec::new();
    for (path, item) in items {
        all.extend(entry(ctx, item, &path, env));
    }
    all.sort_by_key(|e| e.at);
    all
}

fn entry(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<TimelineEntry> {
    let mut map = Map::open(ctx, value, path)?;
    let at = map.require(ctx, "at", duration_or_zero);
    let Some(verb) = map.one_of(ctx, VERBS) else {
        let other = value.as_map().and_then(|m| m.iter().find(|e| &*e.key != "at"));
        let help = other.and_then(|e| did_you_mean(&e.key, VERBS.iter().copied()));
        let place = other.map_or(value.span, |e| e.key_span);
        let message = format!("`{path}` does not say what happens");
        let label = format!("expected one of {}", VERBS.join(", "));
        ctx.error(Diagnostic::error(Code::MissingKey, message).at(place).label(label).maybe_help(help));
        return None;
    };
    let inner = map.get(verb)?;
    let verb_path = map.at(verb);
    let action = action(ctx, verb, inner, &verb_path, env);
    map.finish(ctx);
    let at = SimTime::ZERO + at?;
    Some(TimelineEntry { at, action: Spanned { value: action?, span: inner.span } })
}

fn action(ctx: &mut Ctx, verb: &str, value: &Value, path: &str, env: &Env<'_>) -> Option<Action> {
    Some(match verb {
        "nodeDown" => Action::NodeDown(string(ctx, value, path)?),
        "nodeUp" => Action::NodeUp(string(ctx, value, path)?),
        "nodeDelete" => Action::NodeDelete(string(ctx, value, path)?),
        "zoneDown" | "zoneUp" | "rackDown" | "rackUp" => Action::DomainDown {
            domain: if verb.starts_with("zone") { Domain::Zone } else { Domain::Rack },
            name: string(ctx, value, path)?,
            down: verb.ends_with("Down"),
        },
        "cordon" => Action::Cordon(string(ctx, value, path)?),
        "uncordon" => Action::Uncordon(string(ctx, value, path)?),
        "drain" => Action::Drain(string(ctx, value, path)?),
        "clearClaimRef" => Action::ClearClaimRef(string(ctx, value, path)?),
        "deletePvc" => Action::DeletePvc(object_name(ctx, value, path)?),
        "controllerManagerDown" => Action::ControllerManagerDown(duration(ctx, value, path)?),
        "apply" => Action::Apply(apply(ctx, value, path, env)?),
        "taint" => {
            let mut map = Map::open(ctx, value, path)?;
            let node = map.require(ctx, "node", string);
            let written = map.require(ctx, "taint", taint);
            let remove = map.read(ctx, "remove", boolean).unwrap_or(false);
            map.finish(ctx);
            Action::Taint { node: node?, taint: written?, remove }
        }
        "diskFail" | "diskRepair" => {
            let mut map = Map::open(ctx, value, path)?;
            let node = map.require(ctx, "node", string);
            let disk = map.require(ctx, "disk", count(0..=1_000_000));
            map.finish(ctx);
            let (node, disk) = (node?, disk?);
            if verb == "diskFail" {
                Action::DiskFail { node, disk }
            } else {
                Action::DiskRepair { node, disk }
            }
        }
        "expand" => {
            let mut map = Map::open(ctx, value, path)?;
            let claim = map.require(ctx, "pvc", object_name);
            let size = map.require(ctx, "size", quantity);
            map.finish(ctx);
            let bytes = u64::try_from(size?.ceil().max(0)).unwrap_or(u64::MAX);
            Action::Expand { claim: claim?, bytes }
        }
        "deletePod" => {
            if value.as_map().is_none() {
                return Some(Action::DeletePod { pod: object_name(ctx, value, path)?, force: false });
            }
            let mut map = Map::open(ctx, value, path)?;
            let pod = map.require(ctx, "name", object_name);
            let force = map.read(ctx, "force", boolean).unwrap_or(false);
            map.finish(ctx);
            Action::DeletePod { pod: pod?, force }
        }
        "deletePv" => {
            if value.as_map().is_none() {
                return Some(Action::DeletePv { name: string(ctx, value, path)?, force: false });
            }
            let mut map = Map::open(ctx, value, path)?;
            let name = map.require(ctx, "name", string);
            let force = map.read(ctx, "force", boolean).unwrap_or(false);
            map.finish(ctx);
            Action::DeletePv { name: name?, force }
        }
        "delete" => {
            let mut map = Map::open(ctx, value, path)?;
            let kind = map.require(ctx, "kind", choice(DELETABLE)).map(str::to_owned);
            let name = map.require(ctx, "name", object_name);
            map.finish(ctx);
            Action::Delete { kind: kind?, name: name? }
        }
        "scale" => scale(ctx, value, path)?,
        _ => {
            let mut map = Map::open(ctx, value, path)?;
            let node = map.require(ctx, "node", string);
            let mut resources =
                map.read(ctx, "resources", |c, v, p| string_map(c, v, p, quantity)).unwrap_or_default();
            for key in ["cpu", "memory", "pods"] {
                if let Some(q) = map.read(ctx, key, quantity) {
                    resources.insert(key.to_owned(), q);
                }
            }
            map.finish(ctx);
            Action::SetAllocatable { node: node?, resources }
        }
    })
}

/// Kinds of objects that can be deleted.
const DELETABLE: &[(&str, &str)] = &[
    ("Pod", "Pod"),
    ("PersistentVolumeClaim", "PersistentVolumeClaim"),
    ("PersistentVolume", "PersistentVolume"),
    ("Node", "Node"),
    ("StatefulSet", "StatefulSet"),
    ("Deployment", "Deployment"),
    ("ReplicaSet", "ReplicaSet"),
    ("ReplicationController", "ReplicationController"),
    ("Job", "Job"),
];

fn scale(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Action> {
    const KINDS: &[(&str, &str)] = &[
        ("statefulset", "StatefulSet"),
        ("deployment", "Deployment"),
        ("replicaset", "ReplicaSet"),
        ("replicationcontroller", "ReplicationController"),
    ];
    let mut map = Map::open(ctx, value, path)?;
    let keys: Vec<&'static str> = KINDS.iter().map(|(key, _)| *key).collect();
    let key = map.one_of(ctx, &keys);
    let name = key.and_then(|k| map.read(ctx, k, object_name));
    let replicas = map.require(ctx, "replicas", count(0..=1_000_000));
    if key.is_none() {
        let message = format!("`{path}` does not say what is scaled");
        let label = format!("expected one of {}", keys.join(", "));
        ctx.error(Diagnostic::error(Code::MissingKey, message).at(value.span).label(label));
    }
    map.finish(ctx);
    let kind = KINDS.iter().find(|(k, _)| Some(*k) == key).map(|(_, kind)| (*kind).to_owned())?;
    Some(Action::Scale { kind, name: name?, replicas: replicas? })
}

fn apply(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<Vec<ManifestFile>> {
    let one = std::slice::from_ref(value);
    let mut all = Vec::new();
    for item in value.as_seq().unwrap_or(one) {
        let written = text(ctx, item, path)?;
        for path in files::manifest_files(ctx, env.base, written, item.span)? {
            all.push(ManifestFile { path, span: item.span });
        }
    }
    Some(all)
}

/// `namespace/name`, or a name in `default`.
fn object_name(ctx: &mut Ctx, value: &Value, path: &str) -> Option<ObjectName> {
    let written = text(ctx, value, path)?;
    let (namespace, name) = written.split_once('/').unwrap_or(("default", written));
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        ctx.error(
            Diagnostic::error(Code::BadName, format!("`{path}`: `{}` is not namespace/name", clip(written)))
                .at(value.span)
                .label("expected namespace/name"),
        );
        return None;
    }
    Some(ObjectName { namespace: namespace.to_owned(), name: name.to_owned() })
}

/// `failures`.
pub fn failures(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<Failures> {
    let mut map = Map::open(ctx, value, path)?;
    let mut read = |key| map.read(ctx, key, |c, v, p| failure(c, v, p, env));
    let all = Failures { node: read("node"), zone: read("zone"), rack: read("rack"), disk: read("disk") };
    map.finish(ctx);
    Some(all)
}

fn failure(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<FailureProcess> {
    let mut map = Map::open(ctx, value, path)?;
    let mtbf = map.require(ctx, "mtbf", |c, v, p| varying_time(c, v, p, env));
    let repair = match map.get("repair") {
        Some(v) => varying_time(ctx, v, &map.at("repair"), env),
        None => {
            ctx.default(&map, "repair", "4h", "");
            Some(Distribution::Constant(SimDuration::from_secs(4 * 3600)))
        }
    };
    let permanent = map.or_default(ctx, "permanent", 0.0, share);
    map.finish(ctx);
    let mtbf = match mtbf? {
        Distribution::Constant(mean) => Distribution::Exponential { mean },
        other => other,
    };
    Some(FailureProcess { mtbf, repair: repair?, permanent })
}

/// `recovery`.
pub fn recovery(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<Recovery> {
    let mut map = Map::open(ctx, value, path)?;
    let policy = match map.get("policy") {
        Some(v) => policy(ctx, v, &map.at("policy")),
        None => {
            ctx.default(&map, "policy", "wait", "");
            Some(RecoveryPolicy::Wait)
        }
    };
    let sources = [("backup", RebuildSource::Backup), ("peer", RebuildSource::Peer)];
    let default = ("backup", RebuildSource::Backup);
    let rebuild = super::workload::read_or(ctx, &mut map, "rebuild", default, choice(&sources));
    let backup_path = map.at("backup");
    let backup = {
        let opened = map.get("backup").and_then(|v| Map::open(ctx, v, &backup_path));
        let mut m = opened.unwrap_or_else(|| Map::empty(value.span, &backup_path));
        let every = m.or_default(ctx, "every", SimDuration::from_secs(86_400), duration);
        let size = match m.get("size") {
            Some(v) if v.as_text() == Some("claim") => None,
            Some(v) => size(ctx, v, &m.at("size"), env),
            None => None,
        };
        let bandwidth = or_rate(ctx, &mut m, "bandwidth", 200e6, "200MB/s");
        let parallel = m.or_default(ctx, "parallel", 1, count(1..=1_000_000));
        m.finish(ctx);
        BackupSpec { every, size, bandwidth, parallel }
    };
    let catch_path = map.at("catchUp");
    let opened = map.get("catchUp").and_then(|v| Map::open(ctx, v, &catch_path));
    let mut m = opened.unwrap_or_else(|| Map::empty(value.span, &catch_path));
    let write_rate = or_rate(ctx, &mut m, "writeRate", 5e6, "5MB/s");
    let replay_rate = or_rate(ctx, &mut m, "replayRate", 40e6, "40MB/s");
    m.finish(ctx);
    if replay_rate <= write_rate {
        let message =
            format!("`{catch_path}`: a replica that replays slower than the others write never catches up");
        ctx.error(
            Diagnostic::error(Code::OutOfRange, message)
                .at(value.span)
                .label("replayRate must be above writeRate"),
        );
    }
    let quorum = match map.get("quorum") {
        Some(v) if v.as_text() == Some("majority") => Some(Quorum::Majority),
        Some(v) => count(1..=1_000_000)(ctx, v, &map.at("quorum")).map(Quorum::AtLeast),
        None => {
            ctx.default(&map, "quorum", "majority", "");
            Some(Quorum::Majority)
        }
    };
    map.finish(ctx);
    Some(Recovery { policy: policy?, rebuild, backup, write_rate, replay_rate, quorum: quorum? })
}

fn policy(ctx: &mut Ctx, value: &Value, path: &str) -> Option<RecoveryPolicy> {
    if value.as_map().is_some() {
        let mut map = Map::open(ctx, value, path)?;
        let after = map.require(ctx, "after", duration_or_zero);
        map.finish(ctx);
        return after.map(RecoveryPolicy::After);
    }
    choice(&[("wait", RecoveryPolicy::Wait), ("immediate", RecoveryPolicy::Immediate)])(ctx, value, path)
}

fn or_rate(ctx: &mut Ctx, map: &mut Map<'_>, key: &'static str, default: f64, text: &str) -> f64 {
    match map.read(ctx, key, rate) {
        Some(rate) => rate,
        None => {
            if map.key_span(key).is_none() {
                ctx.default(map, key, text, "");
            }
            default
        }
    }
}
