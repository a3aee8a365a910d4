//! `workload.trace`.

use std::path::PathBuf;

use super::Env;
use super::cluster::{disk, taints};
use super::workload::{only_class, read_or, size};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::engine::time::SimDuration;
use crate::scenario::files;
use crate::scenario::reader::*;
use crate::scenario::tree::{Kind, Value, clip};
use crate::scenario::types::*;

/// Reads `workload.trace`.
pub fn trace(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    cluster: &ClusterSpec,
    env: &Env<'_>,
) -> Option<TraceSpec> {
    let mut map = Map::open(ctx, value, path)?;
    let format = map.require(ctx, "format", format);
    let files = match map.get("files") {
        Some(v) => file_list(ctx, v, &map.at("files"), env),
        None => map.require(ctx, "files", |_, _, _| Some(Vec::new())),
    };
    let nodes = map.read(ctx, "nodes", |c, v, p| nodes(c, v, p, env));
    let gpu_words = [("ignore", GpuRule::Ignore), ("count", GpuRule::Count)];
    let gpu = read_or(ctx, &mut map, "gpu", ("ignore", GpuRule::Ignore), choice(&gpu_words));
    let mode = match map.get("mode") {
        Some(v) => mode(ctx, v, &map.at("mode")),
        None => {
            ctx.default(&map, "mode", "clock", "times as the trace gives them");
            Some(TraceMode::Clock)
        }
    };
    let until = map.read(ctx, "until", until);
    let interval = match map.read(ctx, "interval", duration) {
        Some(interval) => interval,
        None => {
            if mode == Some(TraceMode::Fill) && map.key_span("interval").is_none() {
                ctx.default(&map, "interval", "1s", "");
            }
            SimDuration::from_secs(1)
        }
    };
    let claims = map.read(ctx, "claims", |c, v, p| claims(c, v, p, cluster, env));
    let max_cpu = map.read(ctx, "maxCpu", quantity);
    let max_memory = map.read(ctx, "maxMemory", quantity);
    let max_disk = map.read(ctx, "maxDisk", quantity);
    let window = map.read(ctx, "window", window);
    let thin = map.read(ctx, "thin", count(1..=1_000_000_000)).unwrap_or(1);
    let group_words = [("pods", TraceGroup::Pods), ("sets", TraceGroup::Sets)];
    let value = map.read(ctx, "group", choice(&group_words)).unwrap_or(TraceGroup::Pods);
    let group = Spanned { value, span: map.key_span("group").unwrap_or(map.span) };
    let placements = [("scheduler", TracePlacement::Scheduler), ("trace", TracePlacement::Trace)];
    let value = map.read(ctx, "placement", choice(&placements)).unwrap_or(TracePlacement::Scheduler);
    let placement = Spanned { value, span: map.key_span("placement").unwrap_or(map.span) };
    let skip_bad_rows = map.read(ctx, "skipBadRows", |c, v, p| integer(c, v, p, 0..=u64::MAX)).unwrap_or(0);
    let sort_memory = map.read(ctx, "sortMemory", quantity);
    let azure_machine = map.read(ctx, "azureMachine", |c, v, p| integer(c, v, p, 0..=u64::MAX));
    let inner_tasks = map.read(ctx, "innerTasks", boolean).unwrap_or(false);
    if until.is_some() && mode.is_some_and(|m| m != TraceMode::Fill) {
        let message = format!("`{path}`: `until` belongs to mode fill");
        ctx.error(Diagnostic::error(Code::Conflict, message).at(map.key_span("until").unwrap_or(map.span)));
    }
    map.finish(ctx);
    Some(TraceSpec {
        format: format?,
        files: files?,
        nodes,
        gpu,
        mode: mode?,
        until,
        interval,
        claims,
        max_cpu,
        max_memory,
        max_disk,
        window,
        thin,
        group,
        placement,
        skip_bad_rows,
        sort_memory,
        azure_machine,
        inner_tasks,
    })
}

fn format(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Spanned<String>> {
    let name = spanned(ctx, value, path)?;
    if TRACE_FORMATS.contains(&name.as_str()) {
        return Some(name);
    }
    ctx.error(
        Diagnostic::error(
            Code::TraceFormat,
            format!("`{path}`: the trace format `{}` is not known", clip(&name)),
        )
        .at(value.span)
        .label(format!("expected one of {}", TRACE_FORMATS.join(", ")))
        .maybe_help(did_you_mean(&name, TRACE_FORMATS.iter().copied())),
    );
    None
}

/// One path or a list of them; each must exist.
fn file_list(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<Vec<Spanned<PathBuf>>> {
    let one = std::slice::from_ref(value);
    let items = match &value.kind {
        Kind::Seq(items) => items.as_slice(),
        _ => one,
    };
    let mut all = Vec::new();
    for item in items {
        let Some(written) = text(ctx, item, path) else { continue };
        if env.check_trace_files {
            if let Some(file) = files::one_file(ctx, env.base, written, item.span) {
                // Read row by row, and far too large to be kept.
                ctx.reads
                    .iter_mut()
                    .filter(|r| r.files.first() == Some(&file))
                    .for_each(|r| r.streamed = true);
                all.push(Spanned { value: file, span: item.span });
            }
        } else {
            let file = files::expand_variables(written).unwrap_or_else(|_| written.to_owned());
            all.push(Spanned { value: env.base.join(file), span: item.span });
        }
    }
    if items.is_empty() {
        ctx.error(Diagnostic::error(Code::NoMatch, format!("`{path}` names no file")).at(value.span));
        return None;
    }
    Some(all)
}

fn nodes(ctx: &mut Ctx, value: &Value, path: &str, env: &Env<'_>) -> Option<TraceNodes> {
    if value.as_map().is_none() {
        let files = file_list(ctx, value, path, env)?;
        ctx.assume(join(path, "pods"), "110".to_owned(), "default", "");
        return Some(TraceNodes { files, disks: Vec::new(), pods: 110, taints: Vec::new() });
    }
    let mut map = Map::open(ctx, value, path)?;
    let files = match map.get("files") {
        Some(v) => file_list(ctx, v, &map.at("files"), env),
        None => Some(Vec::new()),
    };
    let mut disks = Vec::new();
    for (path, item) in map.list(ctx, "disks") {
        disks.extend(disk(ctx, item, &path, None, false));
    }
    let pods = map.or_default(ctx, "pods", 110, super::count_reader(0..=1_000_000));
    let taints = taints(ctx, &mut map);
    map.finish(ctx);
    Some(TraceNodes { files: files?, disks, pods, taints })
}

fn mode(ctx: &mut Ctx, value: &Value, path: &str) -> Option<TraceMode> {
    if value.as_map().is_some() {
        let mut map = Map::open(ctx, value, path)?;
        let factor = map.require(ctx, "compress", number(1e-6..=1e12));
        map.finish(ctx);
        return factor.map(TraceMode::Compress);
    }
    choice(&[("fill", TraceMode::Fill), ("clock", TraceMode::Clock)])(ctx, value, path)
}

fn until(ctx: &mut Ctx, value: &Value, path: &str) -> Option<FillUntil> {
    let mut map = Map::open(ctx, value, path)?;
    let words: [(&'static str, FillResource); 4] = [
        ("cpu", FillResource::Cpu),
        ("memory", FillResource::Memory),
        ("disk", FillResource::Disk),
        ("gpu", FillResource::Gpu),
    ];
    let Some(key) = map.one_of(ctx, &["cpu", "memory", "disk", "gpu"]) else {
        map.finish(ctx);
        let message = format!("`{path}`: expected one of cpu, memory, disk, gpu with a share such as 130%");
        ctx.error(Diagnostic::error(Code::MissingKey, message).at(value.span));
        return None;
    };
    let share = map.read(ctx, key, share_up_to(1000.0));
    map.finish(ctx);
    let resource = words.iter().find(|(word, _)| *word == key).map(|(_, r)| *r)?;
    Some(FillUntil { resource, share: share? })
}

fn claims(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    cluster: &ClusterSpec,
    env: &Env<'_>,
) -> Option<TraceClaims> {
    let mut map = Map::open(ctx, value, path)?;
    let share = match map.read(ctx, "share", share) {
        Some(share) => share,
        None => {
            if map.key_span("share").is_none() {
                ctx.default(&map, "share", "100%", "");
            }
            1.0
        }
    };
    let class = match map.read(ctx, "class", spanned) {
        Some(class) => Some(class),
        None if map.key_span("class").is_some() => None,
        None => only_class(ctx, cluster, map.span, path),
    };
    let has_size = map.key_span("size").is_some();
    let size = map.read(ctx, "size", |c, v, p| size(c, v, p, env));
    map.finish(ctx);
    if has_size && size.is_none() {
        return None;
    }
    Some(TraceClaims { share, class: class?, size })
}

fn window(ctx: &mut Ctx, value: &Value, path: &str) -> Option<(SimDuration, SimDuration)> {
    let (from, to) = match &value.kind {
        Kind::Seq(items) => match items.as_slice() {
            [from, to] => (duration_or_zero(ctx, from, path), duration(ctx, to, path)),
            _ => (None, None),
        },
        _ => {
            let mut map = Map::open(ctx, value, path)?;
            let from = match map.key_span("from") {
                Some(_) => map.read(ctx, "from", duration_or_zero),
                None => Some(SimDuration::ZERO),
            };
            map.get("from");
            let to = map.require(ctx, "to", duration);
            map.finish(ctx);
            (from, to)
        }
    };
    match (from, to) {
        (Some(from), Some(to)) if from < to => Some((from, to)),
        _ => {
            let message = format!("`{path}`: expected [from, to] with from before to");
            ctx.error(Diagnostic::error(Code::OutOfRange, message).at(value.span));
            None
        }
    }
}
