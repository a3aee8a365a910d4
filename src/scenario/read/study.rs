//! `variants`, `sweep`, `plan`.

use super::cluster::binding_mode;
use super::workload::read_or;
use crate::diagnostic::{Code, Diagnostic};
use crate::engine::time::SimDuration;
use crate::limits::Limit;
use crate::scenario::axes;
use crate::scenario::paths;
use crate::scenario::reader::*;
use crate::scenario::tree::{Kind, Value, clip};
use crate::scenario::types::*;

/// Points of a sampled design.
const MAX_SAMPLE: u32 = 10_000_000;

/// The path of an axis over variants.
const VARIANTS: &str = "variants";

/// `variants`; both binding modes if there is none.
pub fn variants(ctx: &mut Ctx, map: &mut Map<'_>) -> Vec<Variant> {
    let items = map.list(ctx, "variants");
    if items.len() > Limit::Variants.size() {
        let message = format!("more than {} variants", Limit::Variants.get());
        let error = Diagnostic::error(Code::TooLarge, message).at(map.span);
        ctx.error(error.help(Limit::Variants.hint()));
        return Vec::new();
    }
    let mut all = Vec::new();
    let written = !items.is_empty();
    for (path, item) in items {
        all.extend(variant(ctx, item, &path));
    }
    if !written {
        ctx.default(map, "variants", "immediate, wait-for-first-consumer", "both binding modes are compared");
        let default = |name: &str, mode| Variant {
            name: Spanned { value: name.to_owned(), span: map.span },
            binding_mode: Some(mode),
            set: Vec::new(),
        };
        all.push(default("immediate", BindingMode::Immediate));
        all.push(default("wait-for-first-consumer", BindingMode::WaitForFirstConsumer));
        if let Some(variant) = own_scheduler(map) {
            let note = "the trace's placement is compared with that of the simulated scheduler";
            ctx.default(map, "variants", "own-scheduler", note);
            all.push(variant);
        }
    }
    check_unique(ctx, "variants", all.iter().map(|v| &v.name));
    all
}

/// With `placement: trace` the simulated scheduler's placement joins the variants by default.
fn own_scheduler(map: &mut Map<'_>) -> Option<Variant> {
    let trace = map.get("workload")?.get("trace")?;
    trace.get("placement").filter(|p| p.as_text() == Some("trace"))?;
    let span = trace.span;
    Some(Variant {
        name: Spanned { value: "own-scheduler".to_owned(), span },
        binding_mode: Some(BindingMode::WaitForFirstConsumer),
        set: vec![Override {
            path: "workload.trace.placement".to_owned(),
            value: Value::plain(span, "scheduler"),
            path_span: span,
        }],
    })
}

fn variant(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Variant> {
    let mut map = Map::open(ctx, value, path)?;
    let name = map.require(ctx, "name", spanned);
    let binding_mode = map.read(ctx, "bindingMode", binding_mode);
    let mut set = Vec::new();
    if let Some(written) = map.get("set") {
        let set_path = map.at("set");
        match &written.kind {
            Kind::Map(entries) => {
                for entry in entries {
                    let change = Override {
                        path: entry.key.to_string(),
                        value: entry.value.clone(),
                        path_span: entry.key_span,
                    };
                    match paths::check(&change) {
                        Ok(()) => set.push(change),
                        Err(error) => ctx.error(error),
                    }
                }
            }
            _ => {
                let message = format!("`{set_path}`: expected a mapping from paths to values");
                ctx.error(Diagnostic::error(Code::WrongType, message).at(written.span));
            }
        }
    }
    map.finish(ctx);
    let name = name?;
    check_name(ctx, &name, &join(path, "name"), 63, false);
    Some(Variant { name, binding_mode, set })
}

/// `sweep`.
pub fn sweep(ctx: &mut Ctx, value: Option<&Value>) -> Sweep {
    let none = Sweep { replications: 1, ..Sweep::default() };
    let Some(mut map) = value.and_then(|v| Map::open(ctx, v, "sweep")) else { return none };
    let replications = map.or_default(ctx, "replications", 1, count_within(1, Limit::Replications));
    let (axes, variants) = axis_list(ctx, &mut map, "axes");
    let design = map.read(ctx, "design", design).unwrap_or_default();
    let filters =
        map.list(ctx, "filters").into_iter().filter_map(|(path, item)| spanned(ctx, item, &path)).collect();
    map.finish(ctx);
    Sweep { replications, axes, design, filters, variants }
}

/// `grid`, or one of `{random: n}`, `{latinHypercube: n}`, `{sobol: n}`.
fn design(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Design> {
    if value.as_text() == Some("grid") {
        return Some(Design::Grid);
    }
    let kinds: [(&'static str, fn(u32) -> Design); 3] = [
        ("random", |points| Design::Random { points }),
        ("latinHypercube", |points| Design::LatinHypercube { points }),
        ("sobol", |points| Design::Sobol { points }),
    ];
    let names = kinds.map(|(name, _)| name);
    if value.as_map().is_none() {
        ctx.wrong(value, path, "`grid`, {random: n}, {latinHypercube: n} or {sobol: n}");
        return None;
    }
    let mut map = Map::open(ctx, value, path)?;
    let kind = map.one_of(ctx, &names);
    let points = kind.and_then(|kind| map.require(ctx, kind, count(1..=MAX_SAMPLE)));
    if kind.is_none() {
        let message = format!("`{path}` names no design");
        let hint = format!("expected one of {}", names.join(", "));
        ctx.error(Diagnostic::error(Code::MissingKey, message).at(value.span).label(hint));
    }
    map.finish(ctx);
    let make = kinds.iter().find(|(name, _)| Some(*name) == kind).map(|(_, make)| make)?;
    points.map(make)
}

/// The axes, and the variants that an axis over them names.
fn axis_list(ctx: &mut Ctx, map: &mut Map<'_>, key: &'static str) -> (Vec<Axis>, Vec<Spanned<String>>) {
    let mut all: Vec<Axis> = Vec::new();
    let mut variants: Vec<Spanned<String>> = Vec::new();
    for (path, item) in map.list(ctx, key) {
        if item.get("path").and_then(Value::as_text) == Some(VARIANTS) {
            variants.extend(variant_axis(ctx, item, &path));
        } else {
            all.extend(axes::axis(ctx, item, &path));
        }
    }
    for (i, axis) in all.iter().enumerate() {
        if all[..i].iter().any(|a| a.path.value == axis.path.value) {
            let message = format!("two axes vary `{}`", clip(&axis.path));
            ctx.error(Diagnostic::error(Code::DuplicateName, message).at(axis.path.span));
        }
    }
    (all, variants)
}

/// `{path: variants, values: [immediate, lvm]}`. Every variant is run at every point anyway; this says which.
fn variant_axis(ctx: &mut Ctx, value: &Value, path: &str) -> Vec<Spanned<String>> {
    let Some(mut map) = Map::open(ctx, value, path) else { return Vec::new() };
    map.require(ctx, "path", spanned);
    let names: Vec<Spanned<String>> =
        map.list(ctx, "values").into_iter().filter_map(|(path, item)| spanned(ctx, item, &path)).collect();
    if names.is_empty() {
        let message = format!("`{path}` names no variant");
        ctx.error(Diagnostic::error(Code::MissingKey, message).at(value.span));
    }
    check_unique(ctx, &join(path, "values"), names.iter());
    map.finish(ctx);
    names
}

/// `plan`.
pub fn plan(ctx: &mut Ctx, value: &Value, path: &str) -> Option<PlanSpec> {
    let mut map = Map::open(ctx, value, path)?;
    let fit = fit(ctx, &mut map);
    let forecast: Vec<Forecast> =
        map.list(ctx, "forecast").into_iter().filter_map(|(path, item)| forecast(ctx, item, &path)).collect();
    // How much more fits can be asked without a level: the first stuck pod is the limit then.
    let require = if fit.is_empty() && forecast.is_empty() {
        map.require(ctx, "require", requirements)
    } else {
        map.read(ctx, "require", requirements).or(Some(Vec::new()))
    };
    let replications = map.or_default(ctx, "replications", 10, count(10..=10_000));
    let confidence = map.or_default(ctx, "confidence", 0.95, share);
    if !(0.5..1.0).contains(&confidence) {
        let message = format!("`{path}.confidence` must be at least 50% and below 100%");
        ctx.error(
            Diagnostic::error(Code::OutOfRange, message).at(map.key_span("confidence").unwrap_or(map.span)),
        );
    }
    let (vary, variants) = axis_list(ctx, &mut map, "vary");
    let words = [("price", Minimize::Price), ("nodes", Minimize::Nodes)];
    let minimize = read_or(ctx, &mut map, "minimize", ("nodes", Minimize::Nodes), choice(&words));
    map.finish(ctx);
    Some(PlanSpec { require: require?, confidence, vary, variants, minimize, replications, fit, forecast })
}

/// `fit: [shop, [shop, web]]`.
fn fit(ctx: &mut Ctx, map: &mut Map<'_>) -> Vec<Vec<Spanned<String>>> {
    let mut all = Vec::new();
    for (path, item) in map.list(ctx, "fit") {
        let names: Vec<Spanned<String>> = match &item.kind {
            Kind::Seq(items) => items.iter().filter_map(|name| spanned(ctx, name, &path)).collect(),
            _ => spanned(ctx, item, &path).into_iter().collect(),
        };
        all.push(names);
    }
    all.retain(|names| !names.is_empty());
    all
}

/// `{workload: shop, growth: 10%, every: 30d, horizon: 3y}`.
fn forecast(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Forecast> {
    let mut map = Map::open(ctx, value, path)?;
    let workload = map.require(ctx, "workload", spanned);
    let growth = map.require(ctx, "growth", |ctx, value, path| {
        if value.as_text().is_some_and(|t| t.trim_end().ends_with('%')) {
            share_up_to(100.0)(ctx, value, path).map(GrowthRate::Share)
        } else {
            number(0.0..=1e6)(ctx, value, path).map(GrowthRate::Sets)
        }
    });
    let days = |n: u64| SimDuration::from_secs(n * 86_400);
    let every = map.or_default(ctx, "every", days(30), duration);
    let horizon = map.or_default(ctx, "horizon", days(3 * 365), duration);
    if horizon < every {
        let message = format!("`{path}`: the horizon is shorter than a period");
        ctx.error(Diagnostic::error(Code::OutOfRange, message).at(value.span));
    }
    map.finish(ctx);
    Some(Forecast { workload: workload?, growth: growth?, every, horizon })
}

fn requirements(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Vec<Spanned<Requirement>>> {
    let mut map = Map::open(ctx, value, path)?;
    let mut all = Vec::new();
    let mut push = |span, requirement: Option<Requirement>| {
        if let Some(value) = requirement {
            all.push(Spanned { value, span });
        }
    };
    for (key, make) in [
        ("stuck", Requirement::Stuck as fn(f64) -> Requirement),
        ("stuckSets", Requirement::StuckSets as fn(f64) -> Requirement),
    ] {
        if let Some(v) = map.get(key) {
            let path = map.at(key);
            push(v.span, at_most(ctx, v, &path, share).map(make));
        }
    }
    for (key, make) in [
        ("pendingP99", Requirement::PendingP99 as fn(SimDuration) -> Requirement),
        ("quorumLoss", Requirement::QuorumLoss as fn(SimDuration) -> Requirement),
    ] {
        if let Some(v) = map.get(key) {
            let path = map.at(key);
            push(v.span, at_most(ctx, v, &path, duration_or_zero).map(make));
        }
    }
    if let Some(v) = map.get("survive") {
        let path = map.at("survive");
        if let Some(mut inner) = Map::open(ctx, v, &path) {
            let nodes = inner.require(ctx, "nodes", count(0..=1000));
            let within = inner.or_default(ctx, "within", SimDuration::from_secs(86_400), duration);
            inner.finish(ctx);
            push(v.span, nodes.map(|nodes| Requirement::Survive { nodes, within }));
        }
    }
    let empty = all.is_empty();
    map.finish(ctx);
    if empty {
        let message = format!("`{path}` requires nothing");
        ctx.error(Diagnostic::error(Code::MissingKey, message).at(value.span));
    }
    Some(all)
}

/// `<= 1%`, or the bare value.
fn at_most<T>(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    read: impl Fn(&mut Ctx, &Value, &str) -> Option<T>,
) -> Option<T> {
    let written = text(ctx, value, path)?;
    let bare = written.trim().strip_prefix("<=").unwrap_or(written.trim()).trim();
    if bare.starts_with(['<', '>', '=']) {
        let message = format!("`{path}`: expected `<= value`, found `{}`", clip(written));
        ctx.error(
            Diagnostic::error(Code::BadNumber, message).at(value.span).label("only `<=` makes sense here"),
        );
        return None;
    }
    read(ctx, &Value::string(value.span, bare), path)
}
