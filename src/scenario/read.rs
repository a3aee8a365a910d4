//! From the spanned tree to [`Scenario`]. One file per part of the format.

mod cluster;
mod control;
mod distribution;
mod empirical;
mod scheduler_config;
mod study;
mod timeline;
mod trace;
mod workload;

use std::path::Path;

use super::reader::*;
use super::tree::{Value, clip};
use super::types::*;
use crate::diagnostic::{Code, Diagnostic};

pub use super::reader::count as count_reader;
pub use control::FEATURE_GATES;
pub use timeline::VERBS;

/// What reading needs besides the text.
pub struct Env<'a> {
    /// Folder that relative paths start from.
    pub base: &'a Path,
    /// Trace files must exist.
    pub check_trace_files: bool,
}

/// Longest name of a scenario: it becomes a folder.
const MAX_NAME: usize = 100;

/// Reads a whole scenario. Errors are in `ctx`; with errors the result may be incomplete.
pub fn scenario(ctx: &mut Ctx, value: &Value, env: &Env<'_>) -> Option<Scenario> {
    let mut map = Map::open(ctx, value, "")?;
    version(ctx, &mut map);
    let name = map.require(ctx, "name", scenario_name);
    let description = map.read(ctx, "description", string).unwrap_or_default();
    let seed = map.or_default(ctx, "seed", 0, |c, v, p| integer(c, v, p, 0..=u64::MAX));
    let duration = map.read(ctx, "duration", duration);
    if duration.is_none() && map.key_span("duration").is_none() {
        ctx.default(&map, "duration", "none", "until nothing can change any more");
    }
    let mut control_plane = control::control_plane(ctx, &mut map);
    let scheduler = control::scheduler(ctx, map.get("scheduler"), value.span, env);
    let says = value.get("controlPlane").is_some_and(|v| v.get("popFromBackoff").is_some());
    if let (Some(on), false) = (scheduler.feature_gates.get("SchedulerPopFromBackoffQ"), says) {
        control_plane.pop_from_backoff = *on;
    }
    if let Some(config) = &scheduler.config {
        control::apply_config(&mut control_plane, config, value.get("controlPlane"));
    }
    let cluster = cluster::cluster(ctx, map.get("cluster"), value.span, env);
    let workload = workload::workload(ctx, map.get("workload"), value.span, &cluster, env);
    let timeline = timeline::timeline(ctx, &mut map, env);
    let failures = map.read(ctx, "failures", |c, v, p| timeline::failures(c, v, p, env)).unwrap_or_default();
    let recovery = map.read(ctx, "recovery", |c, v, p| timeline::recovery(c, v, p, env));
    let variants = study::variants(ctx, &mut map);
    let sweep = study::sweep(ctx, map.get("sweep"));
    let plan = map.read(ctx, "plan", study::plan);
    let report = control::report(ctx, map.get("report"), value.span);
    if duration.is_none() && map.key_span("duration").is_none() {
        needs_duration(ctx, &map, &workload, &failures);
    }
    map.finish(ctx);
    Some(Scenario {
        name: name?,
        description,
        seed,
        duration,
        control_plane,
        scheduler,
        cluster,
        workload,
        timeline,
        failures,
        recovery,
        variants,
        sweep,
        plan,
        report,
    })
}

/// What never ends by itself needs an end.
fn needs_duration(ctx: &mut Ctx, map: &Map<'_>, workload: &WorkloadSpec, failures: &Failures) {
    let endless = workload.generate.iter().find(|g| g.endless());
    let (what, place) = match endless {
        Some(generator) => (
            format!("`workload.generate[{}]` has arrivals without `sets`", clip(&generator.name)),
            generator.name.span,
        ),
        None if !failures.is_empty() => {
            ("`failures` never end".to_owned(), map.key_span("failures").unwrap_or(map.span))
        }
        None => return,
    };
    ctx.error(
        Diagnostic::error(Code::NeedsDuration, format!("{what}: the scenario needs a `duration`"))
            .at(place)
            .help("for example duration: 30d"),
    );
}

fn version(ctx: &mut Ctx, map: &mut Map<'_>) {
    map.require(ctx, "version", |ctx, value, _| {
        if value.as_text() == Some("1") {
            return Some(());
        }
        ctx.error(
            Diagnostic::error(Code::BadVersion, format!("expected version 1, found {}", value.describe()))
                .at(value.span)
                .label("expected 1"),
        );
        None
    });
}

/// Letters, digits, `.`, `_`, `-`: the name becomes a folder, so nothing that leads elsewhere.
fn scenario_name(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Spanned<String>> {
    let name = spanned(ctx, value, path)?;
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts_well = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if starts_well && name.chars().all(ok) && name.len() <= MAX_NAME {
        return Some(name);
    }
    ctx.error(
        Diagnostic::error(Code::BadName, format!("`{}` cannot be a scenario's name", clip(&name)))
            .at(value.span)
            .label(format!("expected letters, digits, `.`, `_`, `-`; at most {MAX_NAME}, beginning with a letter or digit"))
            .help("it becomes the folder results/<name>"),
    );
    None
}
