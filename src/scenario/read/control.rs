//! `controlPlane`, `scheduler`, `report`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Env;
use crate::diagnostic::{Code, Diagnostic, Span, did_you_mean};
use crate::engine::time::SimDuration;
use crate::scenario::features;
use crate::scenario::files;
use crate::scenario::reader::*;
use crate::scenario::tree::{Value, clip};
use crate::scenario::types::*;

/// Feature gates of the scheduler and the controllers that change what is simulated.
pub const FEATURE_GATES: &[&str] = &["StorageCapacityScoring", "SchedulerPopFromBackoffQ"];

const PRESETS: &[(&str, ControlPlane)] =
    &[("kubernetes", ControlPlane::KUBERNETES), ("ideal", ControlPlane::IDEAL)];

/// `controlPlane`.
pub fn control_plane(ctx: &mut Ctx, map: &mut Map<'_>) -> ControlPlane {
    let Some(value) = map.get("controlPlane") else {
        let (word, plane, note) = features::default_control_plane();
        return {
            ctx.default(map, "controlPlane", word, note);
            plane
        };
    };
    let path = map.at("controlPlane");
    if value.as_map().is_none() {
        return choice(PRESETS)(ctx, value, &path).unwrap_or(ControlPlane::KUBERNETES);
    }
    let Some(mut m) = Map::open(ctx, value, &path) else { return ControlPlane::KUBERNETES };
    let mut plane = match m.read(ctx, "preset", choice(PRESETS)) {
        Some(plane) => plane,
        None => {
            if m.key_span("preset").is_none() {
                ctx.default(&m, "preset", "kubernetes", "");
            }
            ControlPlane::KUBERNETES
        }
    };
    section(ctx, &mut m, "kcm", |ctx, m| {
        rate_limit(ctx, m, &mut plane.kcm);
        set(&mut plane.kcm_up_for, m.read(ctx, "upFor", duration_or_zero));
    });
    section(ctx, &mut m, "scheduler", |ctx, m| {
        rate_limit(ctx, m, &mut plane.scheduler);
        set(&mut plane.scheduler_up_for, m.read(ctx, "upFor", duration_or_zero));
        set(&mut plane.bind_poll, m.read(ctx, "bindPoll", duration_or_zero));
        set(&mut plane.bind_timeout, m.read(ctx, "bindTimeout", duration));
        set(&mut plane.attempt, m.read(ctx, "attempt", attempt));
    });
    section(ctx, &mut m, "api", |ctx, m| {
        set(&mut plane.api_latency, m.read(ctx, "latency", duration_or_zero));
        set(&mut plane.watch_latency, m.read(ctx, "watch", duration_or_zero));
        set(&mut plane.conflict, m.read(ctx, "conflict", share));
        set(&mut plane.fail, m.read(ctx, "fail", share));
    });
    set(&mut plane.pv_resync, m.read(ctx, "pvResync", duration));
    section(ctx, &mut m, "backoff", |ctx, m| {
        set(&mut plane.backoff_initial, m.read(ctx, "initial", duration));
        set(&mut plane.backoff_max, m.read(ctx, "max", duration));
    });
    set(&mut plane.unschedulable_flush, m.read(ctx, "unschedulableFlush", duration));
    set(&mut plane.pop_from_backoff, m.read(ctx, "popFromBackoff", boolean));
    section(ctx, &mut m, "node", |ctx, m| {
        set(&mut plane.node.lease, m.read(ctx, "lease", duration));
        set(&mut plane.node.monitor, m.read(ctx, "monitor", duration));
        set(&mut plane.node.grace, m.read(ctx, "grace", duration));
        set(&mut plane.node.eviction_rate, m.read(ctx, "evictionRate", number(0.0..=1e6)));
        let seconds = m.read(ctx, "tolerationSeconds", |c, v, p| integer(c, v, p, 0..=1_000_000_000));
        set(&mut plane.node.toleration, seconds.map(SimDuration::from_secs));
    });
    set(&mut plane.pod_gc, m.read(ctx, "podGC", duration));
    section(ctx, &mut m, "kubelet", |ctx, m| {
        set(&mut plane.kubelet_start, m.read(ctx, "start", duration_or_zero));
        set(&mut plane.kubelet_stop, m.read(ctx, "stop", duration_or_zero));
    });
    section(ctx, &mut m, "csi", |ctx, m| {
        set(&mut plane.csi.provision, m.read(ctx, "provision", duration_or_zero));
        set(&mut plane.csi.delete, m.read(ctx, "delete", duration_or_zero));
        set(&mut plane.csi.publish, m.read(ctx, "publish", duration_or_zero));
        set(&mut plane.csi.spread, m.read(ctx, "choose", choice(&[("binpack", false), ("spread", true)])));
    });
    m.finish(ctx);
    if plane.backoff_initial > plane.backoff_max {
        let message = format!("`{path}.backoff`: initial is above max");
        ctx.error(Diagnostic::error(Code::OutOfRange, message).at(value.span));
    }
    plane
}

/// Timers and limits of a KubeSchedulerConfiguration, where `controlPlane` does not say otherwise.
pub fn apply_config(plane: &mut ControlPlane, config: &SchedulerConfig, control_plane: Option<&Value>) {
    let says = |key: &str| control_plane.is_some_and(|v| v.get(key).is_some());
    if !says("backoff") {
        set(&mut plane.backoff_initial, config.backoff_initial);
        set(&mut plane.backoff_max, config.backoff_max);
    }
    if !says("scheduler") && !plane.ideal {
        set(&mut plane.scheduler, config.client);
    }
}

/// Reads an inner mapping if it is there.
pub fn section(
    ctx: &mut Ctx,
    map: &mut Map<'_>,
    key: &'static str,
    read: impl FnOnce(&mut Ctx, &mut Map<'_>),
) {
    let Some(value) = map.get(key) else { return };
    let path = map.at(key);
    if let Some(mut inner) = Map::open(ctx, value, &path) {
        read(ctx, &mut inner);
        inner.finish(ctx);
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

fn rate_limit(ctx: &mut Ctx, map: &mut Map<'_>, limit: &mut RateLimit) {
    set(&mut limit.qps, map.read(ctx, "qps", number(0.0..=1e9)));
    set(&mut limit.burst, map.read(ctx, "burst", count(0..=1_000_000_000)));
}

fn attempt(ctx: &mut Ctx, value: &Value, path: &str) -> Option<AttemptTime> {
    match value.as_text() {
        Some("zero") => Some(AttemptTime::Zero),
        Some("measured") => Some(AttemptTime::Measured),
        Some(text) if text.starts_with(|c: char| c.is_ascii_digit()) => {
            duration_or_zero(ctx, value, path).map(AttemptTime::Constant)
        }
        _ => {
            let words = [("zero", AttemptTime::Zero), ("measured", AttemptTime::Measured)];
            choice(&words)(ctx, value, path)
        }
    }
}

/// `scheduler`.
pub fn scheduler(ctx: &mut Ctx, value: Option<&Value>, span: Span, env: &Env<'_>) -> SchedulerSettings {
    let opened = value.and_then(|v| Map::open(ctx, v, "scheduler"));
    let mut map = opened.unwrap_or_else(|| Map::empty(span, "scheduler"));
    let feature_gates = map.read(ctx, "featureGates", feature_gates).unwrap_or_default();
    let config = map.read(ctx, "config", |ctx, value, path| {
        if value.as_map().is_some() {
            let config = super::scheduler_config::config(ctx, value, path, &feature_gates)?;
            return Some(Spanned { value: Arc::new(config), span: value.span });
        }
        let written = text(ctx, value, path)?;
        let file = files::one_file(ctx, env.base, written, value.span)?;
        let config = super::scheduler_config::read_file(ctx, &file, &feature_gates)?;
        Some(Spanned { value: Arc::new(config), span: value.span })
    });
    let percentage_of_nodes_to_score = map.read(ctx, "percentageOfNodesToScore", count(0..=100));
    if percentage_of_nodes_to_score.is_none() && config.is_none() {
        let (value, note) = features::default_percentage_of_nodes();
        ctx.default(&map, "percentageOfNodesToScore", value, note);
    }
    let ties = [("seeded", TieBreak::Seeded), ("first", TieBreak::First)];
    let default = ("seeded", TieBreak::Seeded);
    let tie_break = super::workload::read_or(ctx, &mut map, "tieBreak", default, choice(&ties));
    let weights = map.read(ctx, "weights", super::scheduler_config::weights).unwrap_or_default();
    let volume_binding_shape = map.read(ctx, "volumeBindingShape", shape);
    map.finish(ctx);
    SchedulerSettings {
        config,
        feature_gates,
        percentage_of_nodes_to_score,
        tie_break,
        weights,
        volume_binding_shape,
    }
}

fn feature_gates(ctx: &mut Ctx, value: &Value, path: &str) -> Option<BTreeMap<String, bool>> {
    let gates = string_map(ctx, value, path, boolean)?;
    for (name, entry) in gates.keys().zip(value.as_map().unwrap_or(&[])) {
        let entry = value.as_map().and_then(|m| m.iter().find(|e| &*e.key == name)).unwrap_or(entry);
        if !FEATURE_GATES.contains(&name.as_str()) {
            ctx.error(
                Diagnostic::error(
                    Code::UnknownKey,
                    format!("`{path}`: the feature gate `{}` is not simulated", clip(name)),
                )
                .at(entry.key_span)
                .label(format!("known: {}", FEATURE_GATES.join(", ")))
                .maybe_help(did_you_mean(name, FEATURE_GATES.iter().copied())),
            );
        }
    }
    Some(gates)
}

/// Points (utilization, score) with rising utilization.
pub fn shape(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Vec<(u32, u32)>> {
    let Some(items) = value.as_seq().filter(|s| !s.is_empty() && s.len() <= 101) else {
        let message = format!("`{path}`: expected a list of {{utilization, score}}");
        ctx.error(Diagnostic::error(Code::WrongType, message).at(value.span));
        return None;
    };
    let mut points: Vec<(u32, u32)> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let mut map = Map::open(ctx, item, &format!("{path}[{i}]"))?;
        let utilization = map.require(ctx, "utilization", count(0..=100));
        let score = map.require(ctx, "score", count(0..=10));
        map.finish(ctx);
        let point = (utilization?, score?);
        if points.last().is_some_and(|last| last.0 >= point.0) {
            let message = format!("`{path}`: utilization must rise from point to point");
            ctx.error(Diagnostic::error(Code::OutOfRange, message).at(item.span));
            return None;
        }
        points.push(point);
    }
    Some(points)
}

/// `report`.
pub fn report(ctx: &mut Ctx, value: Option<&Value>, span: Span) -> ReportSettings {
    let opened = value.and_then(|v| Map::open(ctx, v, "report"));
    let mut map = opened.unwrap_or_else(|| Map::empty(span, "report"));
    let stuck_after = time_or(ctx, &mut map, "stuckAfter", SimDuration::from_secs(300));
    let sample = time_or(ctx, &mut map, "sample", SimDuration::from_secs(60));
    map.finish(ctx);
    ReportSettings { stuck_after, sample }
}

fn time_or(ctx: &mut Ctx, map: &mut Map<'_>, key: &'static str, default: SimDuration) -> SimDuration {
    map.or_default(ctx, key, default, duration)
}
