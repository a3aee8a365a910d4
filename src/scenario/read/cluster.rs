//! `cluster`: manifests, classes, generated nodes and their disks.

use std::path::Path;

use super::Env;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::engine::time::SimDuration;
use crate::limits::Limit;
use crate::model::quantity::Quantity;
use crate::scenario::catalog;
use crate::scenario::files;
use crate::scenario::reader::*;
use crate::scenario::tree::{Value, clip};
use crate::scenario::types::*;

/// Disks of one node.
const MAX_DISKS: u32 = 1_000;
/// Volumes of one disk.
const MAX_PARTS: u32 = 10_000;
/// `split` rounds down to this.
const MIB: u64 = 1 << 20;

const BINDING_MODES: &[(&str, BindingMode)] =
    &[("Immediate", BindingMode::Immediate), ("WaitForFirstConsumer", BindingMode::WaitForFirstConsumer)];
const RECLAIM: &[(&str, ReclaimPolicy)] =
    &[("Delete", ReclaimPolicy::Delete), ("Retain", ReclaimPolicy::Retain)];
/// `volumeMode` by its words.
pub const VOLUME_MODES: &[(&str, VolumeMode)] =
    &[("Filesystem", VolumeMode::Filesystem), ("Block", VolumeMode::Block)];
const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// `bindingMode` and `volumeBindingMode`.
pub fn binding_mode(ctx: &mut Ctx, value: &Value, path: &str) -> Option<BindingMode> {
    choice(BINDING_MODES)(ctx, value, path)
}

/// `cluster`.
pub fn cluster(ctx: &mut Ctx, value: Option<&Value>, span: Span, env: &Env<'_>) -> ClusterSpec {
    let mut spec = ClusterSpec {
        manifests: Vec::new(),
        static_provisioner: None,
        storage_classes: Vec::new(),
        nodes: Vec::new(),
    };
    let opened = value.and_then(|v| Map::open(ctx, v, "cluster"));
    let mut map = opened.unwrap_or_else(|| Map::empty(span, "cluster"));
    spec.manifests = manifests(ctx, &mut map, env.base);
    if map.get("staticProvisioner").is_some() {
        spec.static_provisioner = static_provisioner(ctx, &mut map);
    }
    for (path, item) in map.list(ctx, "storageClasses") {
        spec.storage_classes.extend(storage_class(ctx, item, &path));
    }
    check_unique(ctx, "storage classes", spec.storage_classes.iter().map(|c| &c.name));
    for (path, item) in map.list(ctx, "nodes") {
        spec.nodes.extend(node_group(ctx, item, &path));
    }
    check_unique(ctx, "node groups", spec.nodes.iter().map(|n| &n.name));
    check_volume_count(ctx, &spec.nodes);
    map.finish(ctx);
    spec
}

/// `manifests`: every file that the entries name.
pub fn manifests(ctx: &mut Ctx, map: &mut Map<'_>, base: &Path) -> Vec<ManifestFile> {
    let mut all = Vec::new();
    for (path, item) in map.list(ctx, "manifests") {
        let Some(written) = text(ctx, item, &path) else { continue };
        for path in files::manifest_files(ctx, base, written, item.span).unwrap_or_default() {
            all.push(ManifestFile { path, span: item.span });
        }
    }
    all
}

fn storage_class(ctx: &mut Ctx, value: &Value, path: &str) -> Option<StorageClassSpec> {
    let mut map = Map::open(ctx, value, path)?;
    let name = map.require(ctx, "name", spanned);
    let provisioner = map.or_default(ctx, "provisioner", "kubernetes.io/no-provisioner".to_owned(), string);
    let volume_binding_mode = match map.read(ctx, "volumeBindingMode", binding_mode) {
        Some(mode) => mode,
        None => {
            if map.key_span("volumeBindingMode").is_none() {
                ctx.default(&map, "volumeBindingMode", "Immediate", "Kubernetes' default");
            }
            BindingMode::Immediate
        }
    };
    let reclaim_policy = map.read(ctx, "reclaimPolicy", choice(RECLAIM)).unwrap_or(ReclaimPolicy::Delete);
    let allow_volume_expansion = map.read(ctx, "allowVolumeExpansion", boolean);
    let is_default = map.read(ctx, "default", boolean).unwrap_or(false);
    map.finish(ctx);
    let name = name?;
    check_name(ctx, &name, &join(path, "name"), 253, true);
    Some(StorageClassSpec {
        name,
        provisioner,
        volume_binding_mode,
        reclaim_policy,
        allow_volume_expansion,
        is_default,
    })
}

/// The shape's part of a node group.
struct Shape {
    name: String,
    cpu: Quantity,
    memory: Quantity,
    disks: Vec<u64>,
}

fn shape(ctx: &mut Ctx, map: &mut Map<'_>) -> Option<Shape> {
    let name = map.read(ctx, "shape", spanned)?;
    match catalog::find_machine(&name) {
        Ok(machine) => {
            let value = format!(
                "{} CPU, {}, {} x {} bytes",
                machine.vcpu, machine.memory, machine.disk_count, machine.disk_bytes
            );
            let note = format!("shape {}, confidence {}", machine.name, machine.confidence);
            ctx.assume(map.at("shape"), value, "catalogue", &note);
            Some(Shape {
                name: machine.name.clone(),
                cpu: Quantity::from_int(i64::from(machine.vcpu)),
                memory: machine.memory,
                disks: vec![machine.disk_bytes; machine.disk_count as usize],
            })
        }
        Err(hint) => {
            let message = format!("the machine shape `{}` is not in the catalogue", clip(&name));
            ctx.error(Diagnostic::error(Code::UnknownShape, message).at(name.span).help(hint));
            None
        }
    }
}

/// `1.37`, or by shape `{i4i.4xlarge: 1.37, i3en.6xlarge: 2.71}`: a plan varies the shape, and the price goes with it. A shape
/// that is not named has no price.
fn price(ctx: &mut Ctx, value: &Value, path: &str, shape: Option<&str>) -> Option<Option<f64>> {
    if value.as_map().is_none() {
        return number(0.0..=1e9)(ctx, value, path).map(Some);
    }
    let mut prices = string_map(ctx, value, path, number(0.0..=1e9))?;
    if shape.is_none() {
        let message = format!("`{path}`: prices by shape need a `shape`");
        ctx.error(Diagnostic::error(Code::Conflict, message).at(value.span));
    }
    Some(shape.and_then(|shape| prices.remove(shape)))
}

fn node_group(ctx: &mut Ctx, value: &Value, path: &str) -> Option<NodeGroup> {
    let mut map = Map::open(ctx, value, path)?;
    let name = map.require(ctx, "name", spanned);
    let has_shape = map.key_span("shape").is_some();
    let shape = shape(ctx, &mut map);
    let count = map.or_default(ctx, "count", 1, count_within(0, Limit::Nodes));
    let (cpu, memory) = if has_shape {
        let cpu = map.read(ctx, "cpu", quantity);
        let memory = map.read(ctx, "memory", quantity);
        (cpu.or(shape.as_ref().map(|s| s.cpu)), memory.or(shape.as_ref().map(|s| s.memory)))
    } else {
        (map.require(ctx, "cpu", quantity), map.require(ctx, "memory", quantity))
    };
    let pods = map.or_default(ctx, "pods", 110, super::count_reader(0..=1_000_000));
    let resources = map.read(ctx, "resources", |c, v, p| string_map(c, v, p, quantity)).unwrap_or_default();
    let zones = string_list(ctx, &mut map, "zones");
    let racks = map.read(ctx, "racks", super::count_reader(1..=100_000));
    let labels = map.read(ctx, "labels", |c, v, p| string_map(c, v, p, label_text)).unwrap_or_default();
    let taints = taints(ctx, &mut map);
    let (reserved_cpu, reserved_memory) = reserved(ctx, &mut map);
    let of_shape = shape.as_ref().map(|s| s.name.clone());
    let price = map.read(ctx, "price", |c, v, p| price(c, v, p, of_shape.as_deref())).flatten();
    let mut free = shape.as_ref().map(|s| s.disks.clone()).unwrap_or_default();
    let mut disks = Vec::new();
    for (path, item) in map.list(ctx, "disks") {
        disks.extend(disk(ctx, item, &path, Some(&mut free), has_shape && shape.is_none()));
    }
    map.finish(ctx);
    let name = name?;
    check_name(ctx, &name, &join(path, "name"), 50, false);
    let (cpu, memory) = (cpu?, memory?);
    for (what, kept, have) in [("cpu", reserved_cpu, cpu), ("memory", reserved_memory, memory)] {
        if kept > have {
            let message = format!("`{path}.reserved.{what}` ({kept}) is more than the node has ({have})");
            ctx.error(Diagnostic::error(Code::OutOfRange, message).at(value.span));
        }
    }
    Some(NodeGroup {
        name,
        shape: shape.map(|s| s.name),
        count,
        cpu,
        memory,
        pods,
        resources,
        zones,
        racks,
        labels,
        taints,
        reserved_cpu,
        reserved_memory,
        price,
        disks,
        unused_disks: free,
    })
}

fn reserved(ctx: &mut Ctx, map: &mut Map<'_>) -> (Quantity, Quantity) {
    let path = map.at("reserved");
    let Some(value) = map.get("reserved") else {
        ctx.default(map, "reserved", "none", "allocatable = capacity");
        return (Quantity::ZERO, Quantity::ZERO);
    };
    let Some(mut inner) = Map::open(ctx, value, &path) else { return (Quantity::ZERO, Quantity::ZERO) };
    let cpu = inner.read(ctx, "cpu", quantity).unwrap_or(Quantity::ZERO);
    let memory = inner.read(ctx, "memory", quantity).unwrap_or(Quantity::ZERO);
    inner.finish(ctx);
    (cpu, memory)
}

/// A list of texts.
pub fn string_list(ctx: &mut Ctx, map: &mut Map<'_>, key: &'static str) -> Vec<String> {
    let mut all = Vec::new();
    for (path, item) in map.list(ctx, key) {
        all.extend(string(ctx, item, &path));
    }
    all
}

/// `taints`: `key=value:Effect`, `key:Effect` or mappings.
pub fn taints(ctx: &mut Ctx, map: &mut Map<'_>) -> Vec<TaintSpec> {
    let mut all = Vec::new();
    for (path, item) in map.list(ctx, "taints") {
        all.extend(taint(ctx, item, &path));
    }
    all
}

/// One taint.
pub fn taint(ctx: &mut Ctx, value: &Value, path: &str) -> Option<TaintSpec> {
    let parsed = if value.as_map().is_some() {
        let mut map = Map::open(ctx, value, path)?;
        let key = map.require(ctx, "key", string);
        let text = map.read(ctx, "value", label_text).unwrap_or_default();
        let effect = map.require(ctx, "effect", string);
        map.finish(ctx);
        TaintSpec { key: key?, value: text, effect: effect? }
    } else {
        let written = text(ctx, value, path)?;
        let (left, effect) = written.rsplit_once(':').unwrap_or((written, ""));
        let (key, text) = left.split_once('=').unwrap_or((left, ""));
        TaintSpec { key: key.to_owned(), value: text.to_owned(), effect: effect.to_owned() }
    };
    if parsed.key.is_empty() || !EFFECTS.contains(&&*parsed.effect) {
        ctx.error(
            Diagnostic::error(Code::UnknownChoice, format!("`{path}`: not a taint"))
                .at(value.span)
                .label("expected key=value:Effect with NoSchedule, PreferNoSchedule or NoExecute")
                .maybe_help(crate::diagnostic::did_you_mean(&parsed.effect, EFFECTS.iter().copied())),
        );
        return None;
    }
    Some(parsed)
}

/// One entry of `disks`. `free` are the shape's disks that no entry has taken yet; `None` where there is no shape.
pub fn disk(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    free: Option<&mut Vec<u64>>,
    shape_unknown: bool,
) -> Option<DiskSpec> {
    let mut map = Map::open(ctx, value, path)?;
    let class = map.require(ctx, "class", spanned);
    let count = map.read(ctx, "count", super::count_reader(0..=MAX_DISKS));
    let size = map.read(ctx, "size", bytes);
    let sized = map.key_span("size").is_some();
    let (count, size_bytes) = match (sized, free) {
        (true, _) => (count.unwrap_or(1), size),
        (false, Some(free)) if !free.is_empty() => {
            let count = count.unwrap_or(free.len() as u32);
            if count as usize > free.len() {
                let message = format!("`{path}`: {count} disks asked for, the shape has {} left", free.len());
                ctx.error(
                    Diagnostic::error(Code::OutOfRange, message)
                        .at(value.span)
                        .help("give `size` for further disks"),
                );
            }
            let size = free.first().copied();
            free.drain(..(count as usize).min(free.len()));
            (count, size)
        }
        (false, _) if shape_unknown => (0, None),
        (false, _) => {
            let message = format!("`{path}`: there is no disk of a shape left; `size` is missing");
            ctx.error(Diagnostic::error(Code::MissingKey, message).at(value.span).label("`size` is missing"));
            (0, None)
        }
    };
    let carve = carve(ctx, &mut map, size_bytes, value.span);
    let reclaim = match map.read(ctx, "reclaim", choice(RECLAIM)) {
        Some(policy) => policy,
        None => {
            if map.key_span("reclaim").is_none() {
                ctx.default(&map, "reclaim", "Delete", "");
            }
            ReclaimPolicy::Delete
        }
    };
    let volume_mode = map.read(ctx, "volumeMode", choice(VOLUME_MODES)).unwrap_or(VolumeMode::Filesystem);
    let static_provisioner = static_provisioner(ctx, &mut map);
    map.finish(ctx);
    Some(DiskSpec {
        class: class?,
        count,
        size_bytes: size_bytes?,
        carve: carve?,
        reclaim,
        volume_mode,
        static_provisioner,
    })
}

fn carve(ctx: &mut Ctx, map: &mut Map<'_>, size: Option<u64>, span: Span) -> Option<Carve> {
    let Some(kind) = map.one_of(ctx, &["split", "sizes", "lvm"]) else {
        ctx.error(
            Diagnostic::error(
                Code::MissingKey,
                format!("`{}` does not say how the disk is carved", map.path),
            )
            .at(span)
            .label("expected exactly one of split: n, split: whole, sizes: [...], lvm: {...}"),
        );
        return None;
    };
    let path = map.at(kind);
    let value = map.get_nullable(kind)?;
    match kind {
        "split" if value.as_text() == Some("whole") => Some(Carve::Static(vec![size?])),
        "split" => {
            let parts = count(1..=MAX_PARTS)(ctx, value, &path)?;
            let part = size? / u64::from(parts) / MIB * MIB;
            if part == 0 {
                let message =
                    format!("`{path}`: a disk of {} bytes does not give {parts} volumes of 1 MiB", size?);
                ctx.error(Diagnostic::error(Code::DiskTooSmall, message).at(value.span));
                return None;
            }
            Some(Carve::Static(vec![part; parts as usize]))
        }
        "sizes" => {
            let mut parts = Vec::new();
            for (path, item) in map.list(ctx, "sizes") {
                parts.extend(bytes(ctx, item, &path));
            }
            let total: u128 = parts.iter().map(|p| u128::from(*p)).sum();
            if parts.len() > MAX_PARTS as usize {
                ctx.error(
                    Diagnostic::error(
                        Code::TooLarge,
                        format!("`{path}`: more than {MAX_PARTS} volumes on a disk"),
                    )
                    .at(value.span),
                );
            }
            if let Some(size) = size
                && total > u128::from(size)
            {
                let message = format!("`{path}`: the volumes take {total} bytes, the disk has {size}");
                ctx.error(
                    Diagnostic::error(Code::DiskTooSmall, message).at(value.span).label(format!(
                        "{} more than the disk",
                        Quantity::from_bytes(total - u128::from(size))
                    )),
                );
            }
            Some(Carve::Static(parts))
        }
        _ => {
            let mut inner =
                if value.is_null() { Map::empty(value.span, &path) } else { Map::open(ctx, value, &path)? };
            let extent_bytes = match inner.read(ctx, "extent", bytes) {
                Some(extent) => extent,
                None => {
                    ctx.default(&inner, "extent", "4Mi", "");
                    4 * MIB
                }
            };
            let overcommit = inner.or_default(ctx, "overcommit", 1.0, number(1.0..=100.0));
            inner.finish(ctx);
            Some(Carve::Lvm { extent_bytes, overcommit })
        }
    }
}

fn static_provisioner(ctx: &mut Ctx, map: &mut Map<'_>) -> Option<StaticProvisioner> {
    let path = map.at("staticProvisioner");
    match map.get("staticProvisioner") {
        None => {
            ctx.default(map, "staticProvisioner", "on", "released volumes are wiped at once and made anew");
            Some(StaticProvisioner { wipe: Wipe::AtOnce })
        }
        Some(value) => match value.as_text() {
            Some("false") => None,
            Some("true") => Some(StaticProvisioner { wipe: Wipe::AtOnce }),
            _ => {
                let mut inner = Map::open(ctx, value, &path)?;
                let wipe = inner.read(ctx, "wipe", wipe).unwrap_or(Wipe::AtOnce);
                inner.finish(ctx);
                Some(StaticProvisioner { wipe })
            }
        },
    }
}

/// A rate such as `200MB/s`, or how long it takes whatever the size.
fn wipe(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Wipe> {
    match value.as_text().map(SimDuration::parse) {
        Some(Ok(time)) => Some(Wipe::Time(time)),
        _ => rate(ctx, value, path).map(Wipe::BytesPerSecond),
    }
}

fn check_volume_count(ctx: &mut Ctx, groups: &[NodeGroup]) {
    let mut total = 0u64;
    for group in groups {
        let per_node: u64 = group
            .disks
            .iter()
            .map(|d| match &d.carve {
                Carve::Static(parts) => u64::from(d.count) * parts.len() as u64,
                Carve::Lvm { .. } => u64::from(d.count),
            })
            .sum();
        total = total.saturating_add(per_node.saturating_mul(u64::from(group.count)));
        if total > Limit::Volumes.get() {
            let message = format!("the generated nodes have more than {} volumes", Limit::Volumes.get());
            let error = Diagnostic::error(Code::TooLarge, message).at(group.name.span);
            ctx.error(error.help(Limit::Volumes.hint()));
            return;
        }
    }
}
