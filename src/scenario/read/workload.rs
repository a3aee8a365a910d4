//! `workload`: manifests, generators; the trace has its own file.

use super::Env;
use super::cluster::{VOLUME_MODES, manifests};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::engine::time::SimDuration;
use crate::limits::Limit;
use crate::model::quantity::Quantity;
use crate::scenario::catalog::{self, Preset};
use crate::scenario::reader::*;
use crate::scenario::tree::{Value, clip};
use crate::scenario::types::*;

/// Claim templates of one pod.
const MAX_CLAIMS: usize = 100;

const KINDS: &[(&str, WorkloadKind)] = &[
    ("StatefulSet", WorkloadKind::StatefulSet),
    ("Deployment", WorkloadKind::Deployment),
    ("Job", WorkloadKind::Job),
    ("Pod", WorkloadKind::Pod),
];
const ANTI_AFFINITY: &[(&str, AntiAffinity)] = &[
    ("required", AntiAffinity::Required),
    ("preferred", AntiAffinity::Preferred),
    ("none", AntiAffinity::None),
];
const MANAGEMENT: &[(&str, PodManagement)] =
    &[("OrderedReady", PodManagement::OrderedReady), ("Parallel", PodManagement::Parallel)];
const RETENTION: &[(&str, Retention)] = &[("Retain", Retention::Retain), ("Delete", Retention::Delete)];
const ACCESS_MODES: &[(&str, &str)] = &[
    ("ReadWriteOnce", "ReadWriteOnce"),
    ("ReadOnlyMany", "ReadOnlyMany"),
    ("ReadWriteMany", "ReadWriteMany"),
    ("ReadWriteOncePod", "ReadWriteOncePod"),
];

/// `workload`.
pub fn workload(
    ctx: &mut Ctx,
    value: Option<&Value>,
    span: Span,
    cluster: &ClusterSpec,
    env: &Env<'_>,
) -> WorkloadSpec {
    let opened = value.and_then(|v| Map::open(ctx, v, "workload"));
    let mut map = opened.unwrap_or_else(|| Map::empty(span, "workload"));
    let manifests = manifests(ctx, &mut map, env.base);
    let mut generate = Vec::new();
    for (path, item) in map.list(ctx, "generate") {
        generate.extend(generator(ctx, item, &path, cluster, env));
    }
    check_unique(ctx, "generators", generate.iter().map(|g| &g.name));
    let mut total = 0u64;
    for g in generate.iter().filter(|g| !g.endless()) {
        total = total.saturating_add(u64::from(g.sets).saturating_mul(u64::from(g.replicas)));
        if total > Limit::Pods.get() {
            let message = format!("the generators make more than {} pods", Limit::Pods.get());
            let error = Diagnostic::error(Code::TooLarge, message).at(g.name.span);
            ctx.error(error.help(Limit::Pods.hint()));
            break;
        }
    }
    let trace = map.read(ctx, "trace", |c, v, p| super::trace::trace(c, v, p, cluster, env));
    map.finish(ctx);
    WorkloadSpec { manifests, generate, trace }
}

fn preset(ctx: &mut Ctx, map: &mut Map<'_>) -> Option<&'static Preset> {
    let name = map.read(ctx, "preset", spanned)?;
    match catalog::find_preset(&name) {
        Ok(preset) => {
            let value = format!(
                "{} replicas, {}m CPU, {}Mi, volumes {:?} GiB, anti-affinity {}",
                preset.replicas, preset.cpu_milli, preset.memory_mib, preset.volume_gib, preset.anti_affinity
            );
            let note = format!("preset {}, confidence {}", preset.name, preset.confidence);
            ctx.assume(map.at("preset"), value, "catalogue", &note);
            Some(preset)
        }
        Err(hint) => {
            let message = format!("the workload preset `{}` is not in the catalogue", clip(&name));
            ctx.error(Diagnostic::error(Code::UnknownPreset, message).at(name.span).help(hint));
            None
        }
    }
}

fn generator(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    cluster: &ClusterSpec,
    env: &Env<'_>,
) -> Option<Generator> {
    let mut map = Map::open(ctx, value, path)?;
    let name = map.require(ctx, "name", spanned);
    let kind = read_or(ctx, &mut map, "kind", ("StatefulSet", WorkloadKind::StatefulSet), choice(KINDS));
    let preset = preset(ctx, &mut map);
    let sets = match (map.key_span("sets"), map.key_span("arrivals")) {
        (None, Some(_)) => {
            map.get("sets");
            ctx.default(&map, "sets", "without end", "sets arrive until the end of the run");
            u32::MAX
        }
        _ => map.or_default(ctx, "sets", 1, count_within(0, Limit::Sets)),
    };
    let replicas = match preset {
        Some(p) => map.read(ctx, "replicas", count_within(0, Limit::Replicas)).unwrap_or(p.replicas),
        None => map.or_default(ctx, "replicas", 1, count_within(0, Limit::Replicas)),
    };
    let cpu = map.read(ctx, "cpu", quantity).or(preset.map(|p| Quantity::from_milli(p.cpu_milli)));
    let memory = map
        .read(ctx, "memory", quantity)
        .or(preset.map(|p| Quantity::from_int(p.memory_mib.saturating_mul(1 << 20))));
    for (key, missing) in [("cpu", cpu.is_none()), ("memory", memory.is_none())] {
        if missing && map.key_span(key).is_none() {
            ctx.default(&map, key, "none", "the pods request none");
        }
    }
    let resources = map.read(ctx, "resources", |c, v, p| string_map(c, v, p, quantity)).unwrap_or_default();
    let claims = claims(ctx, &mut map, preset, cluster, env);
    let anti_affinity = match (preset, map.key_span("antiAffinity")) {
        (Some(p), None) => ANTI_AFFINITY
            .iter()
            .find(|(word, _)| *word == p.anti_affinity)
            .map_or(AntiAffinity::None, |(_, a)| *a),
        _ => read_or(ctx, &mut map, "antiAffinity", ("none", AntiAffinity::None), choice(ANTI_AFFINITY)),
    };
    map.get("antiAffinity");
    let pod_management = match kind {
        WorkloadKind::StatefulSet => {
            let default = ("OrderedReady", PodManagement::OrderedReady);
            read_or(ctx, &mut map, "podManagementPolicy", default, choice(MANAGEMENT))
        }
        _ => map.read(ctx, "podManagementPolicy", choice(MANAGEMENT)).unwrap_or(PodManagement::Parallel),
    };
    let (retention_deleted, retention_scaled) = retention(ctx, &mut map, kind);
    let group = map.or_default(ctx, "group", false, boolean);
    let arrivals = map.read(ctx, "arrivals", |c, v, p| arrivals(c, v, p, env));
    let lifetime = map.read(ctx, "lifetime", |c, v, p| varying_time(c, v, p, env));
    let labels = map.read(ctx, "labels", |c, v, p| string_map(c, v, p, label_text)).unwrap_or_default();
    let node_selector =
        map.read(ctx, "nodeSelector", |c, v, p| string_map(c, v, p, label_text)).unwrap_or_default();
    let tolerations = tolerations(ctx, &mut map);
    let priority = priority(ctx, &mut map);
    map.finish(ctx);
    let name = name?;
    check_name(ctx, &name, &join(path, "name"), 40, false);
    check_kind(ctx, value, path, kind, &claims, lifetime.is_some());
    Some(Generator {
        name,
        kind,
        preset: preset.map(|p| p.name.clone()),
        sets,
        replicas,
        cpu,
        memory,
        resources,
        claims,
        anti_affinity,
        pod_management,
        retention_deleted,
        retention_scaled,
        group,
        arrivals,
        lifetime,
        labels,
        node_selector,
        tolerations,
        priority,
    })
}

/// Combinations that Kubernetes does not have.
fn check_kind(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    kind: WorkloadKind,
    claims: &[ClaimSpec],
    ends: bool,
) {
    if kind == WorkloadKind::Deployment && !claims.is_empty() {
        let place = value.get("claims").map_or(value.span, |v| v.span);
        ctx.error(
            Diagnostic::error(
                Code::Conflict,
                format!("`{path}`: the pods of a Deployment have no claims of their own"),
            )
            .at(place)
            .help("use kind: StatefulSet"),
        );
    }
    if kind == WorkloadKind::Job && !ends {
        ctx.error(
            Diagnostic::error(
                Code::MissingKey,
                format!("`{path}`: a Job needs `lifetime`, the time until its pods end"),
            )
            .at(value.span)
            .label("`lifetime` is missing"),
        );
    }
}

/// Reads a word, or records its default.
pub fn read_or<T: Copy>(
    ctx: &mut Ctx,
    map: &mut Map<'_>,
    key: &'static str,
    default: (&str, T),
    read: impl Fn(&mut Ctx, &Value, &str) -> Option<T>,
) -> T {
    match map.read(ctx, key, read) {
        Some(value) => value,
        None => {
            if map.key_span(key).is_none() {
                ctx.default(map, key, default.0, "");
            }
            default.1
        }
    }
}

fn claims(
    ctx: &mut Ctx,
    map: &mut Map<'_>,
    preset: Option<&'static Preset>,
    cluster: &ClusterSpec,
    env: &Env<'_>,
) -> Vec<ClaimSpec> {
    let sizes: &[u64] = preset.map_or(&[], |p| &p.volume_gib);
    let class = map.read(ctx, "class", spanned);
    let mut all = Vec::new();
    if map.get_nullable("claims").is_none() {
        let one = sizes.len() == 1;
        for (i, gib) in sizes.iter().enumerate() {
            let Some(class) = class.clone().or_else(|| only_class(ctx, cluster, map.span, &map.path)) else {
                break;
            };
            all.push(ClaimSpec {
                name: if one { "data".to_owned() } else { format!("data-{i}") },
                class,
                size: Distribution::Constant(gib.saturating_mul(1 << 30)),
                volume_mode: VolumeMode::Filesystem,
                access_modes: vec!["ReadWriteOnce".to_owned()],
            });
        }
        return all;
    }
    let list = map.list(ctx, "claims");
    if list.len() > MAX_CLAIMS {
        let message = format!("`{}`: more than {MAX_CLAIMS} claims per pod", map.path);
        ctx.error(Diagnostic::error(Code::TooLarge, message).at(map.span));
        return all;
    }
    let mut names = Vec::new();
    for (i, (path, item)) in list.into_iter().enumerate() {
        let preset_size = sizes.get(i).map(|gib| gib.saturating_mul(1 << 30));
        if let Some((name, claim)) = claim(ctx, item, &path, (preset_size, class.clone()), cluster, env) {
            names.extend(name);
            all.push(claim);
        }
    }
    check_unique(ctx, "claims", &names);
    all
}

fn claim(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    inherited: (Option<u64>, Option<Spanned<String>>),
    cluster: &ClusterSpec,
    env: &Env<'_>,
) -> Option<(Option<Spanned<String>>, ClaimSpec)> {
    let mut map = Map::open(ctx, value, path)?;
    let name = map.read(ctx, "name", spanned);
    if let Some(name) = &name {
        check_name(ctx, name, &map.at("name"), 63, false);
    } else if map.key_span("name").is_none() {
        ctx.default(&map, "name", "data", "");
    }
    let class = match map.read(ctx, "class", spanned) {
        Some(class) => Some(class),
        None if map.key_span("class").is_some() => None,
        None => inherited.1.or_else(|| only_class(ctx, cluster, map.span, path)),
    };
    let size = match inherited.0 {
        Some(bytes) if map.key_span("size").is_none() => Some(Distribution::Constant(bytes)),
        _ => map.require(ctx, "size", |c, v, p| size(c, v, p, env)),
    };
    map.get("size");
    let volume_mode = map.read(ctx, "volumeMode", choice(VOLUME_MODES)).unwrap_or(VolumeMode::Filesystem);
    let mut access_modes: Vec<String> = Vec::new();
    for (path, item) in map.list(ctx, "accessModes") {
        access_modes.extend(choice(ACCESS_MODES)(ctx, item, &path).map(str::to_owned));
    }
    if access_modes.is_empty() {
        access_modes.push("ReadWriteOnce".to_owned());
    }
    map.finish(ctx);
    let text = name.as_ref().map_or_else(|| "data".to_owned(), |n| n.value.clone());
    Some((name, ClaimSpec { name: text, class: class?, size: size?, volume_mode, access_modes }))
}

/// The class of a claim that names none: the only one that the scenario defines.
pub fn only_class(ctx: &mut Ctx, cluster: &ClusterSpec, span: Span, path: &str) -> Option<Spanned<String>> {
    let default = cluster.storage_classes.iter().find(|c| c.is_default);
    match (default, cluster.storage_classes.as_slice()) {
        (Some(class), _) | (None, [class]) => {
            ctx.assume(join(path, "class"), class.name.value.clone(), "default", "the only or default class");
            Some(Spanned { value: class.name.value.clone(), span })
        }
        _ => {
            ctx.error(
                Diagnostic::error(
                    Code::MissingKey,
                    format!("`{path}` names no `class`, and there is no single class to take"),
                )
                .at(span)
                .label("`class` is missing"),
            );
            None
        }
    }
}

fn retention(ctx: &mut Ctx, map: &mut Map<'_>, kind: WorkloadKind) -> (Retention, Retention) {
    let Some(value) = map.get("claimRetention") else {
        if kind == WorkloadKind::StatefulSet {
            let note = "Kubernetes' default: claims outlive their set";
            ctx.default(map, "claimRetention", "{whenDeleted: Retain, whenScaled: Retain}", note);
        }
        return (Retention::Retain, Retention::Retain);
    };
    let path = map.at("claimRetention");
    let Some(mut inner) = Map::open(ctx, value, &path) else { return (Retention::Retain, Retention::Retain) };
    let deleted = read_or(ctx, &mut inner, "whenDeleted", ("Retain", Retention::Retain), choice(RETENTION));
    let scaled = read_or(ctx, &mut inner, "whenScaled", ("Retain", Retention::Retain), choice(RETENTION));
    inner.finish(ctx);
    (deleted, scaled)
}

fn arrivals(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<Arrivals> {
    let mut map = Map::open(ctx, value, path)?;
    let every = map.require(ctx, "every", |c, v, p| varying_time(c, v, p, env));
    let start = map.read(ctx, "start", duration_or_zero).unwrap_or(SimDuration::ZERO);
    map.finish(ctx);
    Some(Arrivals { every: every?, start })
}

/// A size that may vary.
pub fn size(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<Size> {
    super::distribution::distribution(ctx, value, path, &bytes, &|c, v, p| {
        super::empirical::values(c, v, p, env.base, |t| {
            Quantity::parse(t).ok().filter(|q| !q.is_negative()).and_then(|q| u64::try_from(q.ceil()).ok())
        })
    })
}

/// A duration that may vary.
pub fn varying_time(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<VaryingTime> {
    super::distribution::distribution(ctx, value, path, &duration, &|c, v, p| {
        super::empirical::values(c, v, p, env.base, |t| {
            let seconds = || {
                t.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0).map(SimDuration::from_secs_f64)
            };
            seconds().or_else(|| SimDuration::parse(t).ok())
        })
    })
}

fn tolerations(ctx: &mut Ctx, map: &mut Map<'_>) -> Vec<TolerationSpec> {
    let mut all = Vec::new();
    for (path, item) in map.list(ctx, "tolerations") {
        all.extend(toleration(ctx, item, &path));
    }
    all
}

/// `key=value:Effect`, `key:Effect`, `key`, or a mapping as in a pod.
fn toleration(ctx: &mut Ctx, value: &Value, path: &str) -> Option<TolerationSpec> {
    if value.as_map().is_some() {
        let mut map = Map::open(ctx, value, path)?;
        let key = map.read(ctx, "key", string).unwrap_or_default();
        let exists =
            map.read(ctx, "operator", choice(&[("Exists", true), ("Equal", false)])).unwrap_or(false);
        let text = map.read(ctx, "value", label_text);
        let effect = map.read(ctx, "effect", string).unwrap_or_default();
        map.finish(ctx);
        let value = if exists || key.is_empty() { None } else { Some(text.unwrap_or_default()) };
        return Some(TolerationSpec { key, value, effect });
    }
    let written = text(ctx, value, path)?;
    let (left, effect) = written.rsplit_once(':').unwrap_or((written, ""));
    let (key, value) = match left.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (left, None),
    };
    Some(TolerationSpec { key: key.to_owned(), value, effect: effect.to_owned() })
}

fn priority(ctx: &mut Ctx, map: &mut Map<'_>) -> i32 {
    let limit = 1_000_000_000.0;
    map.read(ctx, "priority", number(-2_147_483_648.0..=limit)).map_or(0, |p| p as i32)
}
