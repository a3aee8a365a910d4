//! KubeSchedulerConfiguration files. kube-scheduler reads them strictly, so unknown fields are errors here too.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{NodeAffinity, TopologySpreadConstraint};

use super::control::{section, shape};
use crate::diagnostic::{Code, Diagnostic, Span, did_you_mean};
use crate::engine::time::SimDuration;
use crate::scenario::de::from_value;
use crate::scenario::reader::*;
use crate::scenario::recorded;
use crate::scenario::tree::{Limits, Value, clip};
use crate::scenario::types::*;
use crate::scenario::yaml;

const VERSION: &str = "kubescheduler.config.k8s.io/v1";

/// The plugins of kube-scheduler itself, in the order of the default profile, with the extension points that each has.
const PLUGINS: &[(&str, &[&str])] = &[
    ("SchedulingGates", &["preEnqueue"]),
    ("PrioritySort", &["queueSort"]),
    ("NodeUnschedulable", &["filter"]),
    ("NodeName", &["filter"]),
    ("TaintToleration", &["filter", "preScore", "score"]),
    ("NodeAffinity", &["preFilter", "filter", "preScore", "score"]),
    ("NodePorts", &["preFilter", "filter"]),
    ("NodeResourcesFit", &["preFilter", "filter", "preScore", "score"]),
    ("VolumeRestrictions", &["preFilter", "filter"]),
    ("NodeVolumeLimits", &["preFilter", "filter"]),
    ("VolumeBinding", &["preFilter", "filter", "preScore", "score", "reserve", "preBind"]),
    ("VolumeZone", &["preFilter", "filter"]),
    ("PodTopologySpread", &["preFilter", "filter", "preScore", "score"]),
    ("InterPodAffinity", &["preFilter", "filter", "preScore", "score"]),
    ("DynamicResources", &["preEnqueue", "preFilter", "filter", "postFilter", "score", "reserve", "preBind"]),
    ("DefaultPreemption", &["preEnqueue", "postFilter"]),
    ("NodeResourcesBalancedAllocation", &["preScore", "score"]),
    ("ImageLocality", &["score"]),
    ("DefaultBinder", &["bind"]),
    ("NodeDeclaredFeatures", &["preFilter", "filter"]),
];

/// Plugins of other projects, for volume groups, and where they act. Off unless a file enables them.
const OF_OTHERS: &[(&str, &[&str])] = &[
    ("TopoLVM", &["preScore", "score"]),
    ("OpenLocalBinpack", &["preScore", "score"]),
    ("OpenLocalSpread", &["preScore", "score"]),
];

fn all_plugins() -> impl Iterator<Item = &'static (&'static str, &'static [&'static str])> {
    PLUGINS.iter().chain(OF_OTHERS)
}

/// Plugins of former versions: kube-scheduler refuses their names.
const REMOVED: &[&str] = &["AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits"];

fn points(plugin: &str) -> &'static [&'static str] {
    all_plugins().find(|(name, _)| *name == plugin).map_or(&[], |(_, points)| points)
}

/// Reads a file.
pub fn read_file(ctx: &mut Ctx, path: &Path, gates: &BTreeMap<String, bool>) -> Option<SchedulerConfig> {
    let text = match recorded::read_text(ctx.recorded.as_deref(), path, &Limits::scenario()) {
        Ok(text) => text,
        Err(errors) => {
            ctx.diags.extend(errors.list);
            return None;
        }
    };
    let source = ctx.sources.add(path.to_string_lossy(), text);
    let mut values = match yaml::parse_all(&ctx.sources, source, &Limits::scenario()) {
        Ok(values) => values,
        Err(error) => {
            ctx.error(error);
            return None;
        }
    };
    if values.len() != 1 {
        let message = format!("expected one KubeSchedulerConfiguration, found {} documents", values.len());
        let diagnostic = Diagnostic::error(Code::SchedulerConfig, message);
        ctx.error(match values.get(1) {
            Some(second) => diagnostic.at(second.span),
            None => diagnostic.at(crate::diagnostic::Span { source, start: 0, end: 0 }),
        });
        return None;
    }
    config(ctx, &values.remove(0), "", gates)
}

/// Reads a configuration that stands at `path`, or is a whole file.
pub fn config(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    gates: &BTreeMap<String, bool>,
) -> Option<SchedulerConfig> {
    let mut map = Map::open(ctx, value, path)?;
    map.require(ctx, "apiVersion", |c, v, p| word(c, v, p, VERSION));
    map.require(ctx, "kind", |c, v, p| word(c, v, p, "KubeSchedulerConfiguration"));
    // These do not change a decision.
    map.read(ctx, "parallelism", count(1..=i32::MAX as u32));
    for key in [
        "leaderElection",
        "healthzBindAddress",
        "metricsBindAddress",
        "enableProfiling",
        "enableContentionProfiling",
        "delayCacheUntilActive",
    ] {
        map.get(key);
    }
    let mut config = SchedulerConfig {
        percentage_of_nodes_to_score: map.read(ctx, "percentageOfNodesToScore", count(0..=100)),
        backoff_initial: map.read(ctx, "podInitialBackoffSeconds", |c, v, p| seconds(c, v, p, 1)),
        backoff_max: map.read(ctx, "podMaxBackoffSeconds", |c, v, p| seconds(c, v, p, 1)),
        ..SchedulerConfig::default()
    };
    section(ctx, &mut map, "clientConnection", |ctx, m| {
        for key in ["kubeconfig", "acceptContentTypes", "contentType"] {
            m.get(key);
        }
        let qps = m.read(ctx, "qps", number(0.0..=1e9)).filter(|q| *q > 0.0).unwrap_or(50.0);
        let burst = m.read(ctx, "burst", count(0..=1_000_000_000)).filter(|b| *b > 0).unwrap_or(100);
        config.client = Some(RateLimit { qps, burst });
    });
    if map.get("extenders").and_then(Value::as_seq).is_some_and(|s| !s.is_empty()) {
        let place = map.key_span("extenders").unwrap_or(value.span);
        ctx.error(
            Diagnostic::error(Code::NotImplemented, "not implemented yet: scheduler.config extenders")
                .at(place),
        );
    }
    for (path, item) in map.list(ctx, "profiles") {
        config.profiles.extend(profile(ctx, item, &path, gates));
    }
    map.finish(ctx);
    check_backoff(ctx, &config, value);
    name_profiles(ctx, &mut config, value);
    Some(config)
}

fn word(ctx: &mut Ctx, value: &Value, path: &str, expected: &str) -> Option<()> {
    if value.as_text() == Some(expected) {
        return Some(());
    }
    ctx.error(
        Diagnostic::error(
            Code::SchedulerConfig,
            format!("`{path}`: expected {expected}, found {}", value.describe()),
        )
        .at(value.span)
        .label(format!("expected {expected}")),
    );
    None
}

fn seconds(ctx: &mut Ctx, value: &Value, path: &str, least: u64) -> Option<SimDuration> {
    integer(ctx, value, path, least..=9_000_000_000).map(SimDuration::from_secs)
}

fn check_backoff(ctx: &mut Ctx, config: &SchedulerConfig, value: &Value) {
    let initial = config.backoff_initial.unwrap_or(SimDuration::from_secs(1));
    let most = config.backoff_max.unwrap_or(SimDuration::from_secs(10));
    if most < initial {
        let place =
            value.get("podMaxBackoffSeconds").or(value.get("podInitialBackoffSeconds")).unwrap_or(value);
        let message = "podMaxBackoffSeconds is below podInitialBackoffSeconds";
        ctx.error(Diagnostic::error(Code::SchedulerConfig, message).at(place.span));
    }
}

/// A single profile may go without a name; several must have different ones.
fn name_profiles(ctx: &mut Ctx, config: &mut SchedulerConfig, value: &Value) {
    if config.profiles.is_empty() {
        config.profiles.push(SchedulerProfile::default());
    }
    if let [only] = config.profiles.as_mut_slice()
        && only.name.is_empty()
    {
        only.name = "default-scheduler".to_owned();
    }
    let written = value.get("profiles").and_then(Value::as_seq).unwrap_or(&[]);
    for (i, profile) in config.profiles.iter().enumerate() {
        let place = written.get(i).unwrap_or(value).span;
        if profile.name.is_empty() {
            let message = format!("`profiles[{i}]` has no schedulerName");
            ctx.error(
                Diagnostic::error(Code::SchedulerConfig, message)
                    .at(place)
                    .label("required with several profiles"),
            );
        } else if config.profiles[..i].iter().any(|p| p.name == profile.name) {
            let message = format!("two profiles are named `{}`", clip(&profile.name));
            ctx.error(Diagnostic::error(Code::DuplicateName, message).at(place));
        }
    }
}

fn profile(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    gates: &BTreeMap<String, bool>,
) -> Option<SchedulerProfile> {
    let mut map = Map::open(ctx, value, path)?;
    let name = map.read(ctx, "schedulerName", string).unwrap_or_default();
    let percentage_of_nodes_to_score = map.read(ctx, "percentageOfNodesToScore", count(0..=100));
    let plugins = map.read(ctx, "plugins", plugins).unwrap_or_default();
    let mut args = PluginArgs::default();
    let mut seen: Vec<&str> = Vec::new();
    for (path, item) in map.list(ctx, "pluginConfig") {
        let Some(mut inner) = Map::open(ctx, item, &path) else { continue };
        let name = inner.require(ctx, "name", text);
        let written = inner.get("args");
        let args_path = inner.at("args");
        inner.finish(ctx);
        let Some(name) = name else { continue };
        if seen.contains(&name) {
            let message = format!("`{path}`: the plugin `{}` is configured twice", clip(name));
            ctx.error(Diagnostic::error(Code::DuplicateName, message).at(item.span));
        }
        seen.push(name);
        if let Some(written) = written {
            plugin_args(ctx, name, written, &args_path, gates, &mut args);
        }
    }
    map.finish(ctx);
    Some(SchedulerProfile { name, percentage_of_nodes_to_score, plugins, args })
}

fn plugins(ctx: &mut Ctx, value: &Value, path: &str) -> Option<PluginLists> {
    let mut map = Map::open(ctx, value, path)?;
    let mut list =
        |ctx: &mut Ctx, key| map.read(ctx, key, |c, v, p| plugin_list(c, v, p, key)).unwrap_or_default();
    let lists = PluginLists {
        multi_point: list(ctx, "multiPoint"),
        pre_filter: list(ctx, "preFilter"),
        filter: list(ctx, "filter"),
        post_filter: list(ctx, "postFilter"),
        score: list(ctx, "score"),
        reserve: list(ctx, "reserve"),
    };
    for (key, at_least, at_most) in [
        ("preEnqueue", 0, usize::MAX),
        ("queueSort", 1, 1),
        ("preScore", 0, usize::MAX),
        ("permit", 0, usize::MAX),
        ("preBind", 0, usize::MAX),
        ("bind", 1, usize::MAX),
        ("postBind", 0, usize::MAX),
    ] {
        let written = map.read(ctx, key, |c, v, p| plugin_list(c, v, p, key)).unwrap_or_default();
        let place = map.key_span(key).unwrap_or(value.span);
        let running = expanded(&lists.multi_point, &written, key);
        if running < at_least || running > at_most {
            let wanted = if at_most == 1 { "exactly one" } else { "at least one" };
            let message =
                format!("`{path}`: {running} plugins are left at {key}, and kube-scheduler wants {wanted}");
            ctx.error(Diagnostic::error(Code::SchedulerConfig, message).at(place));
        } else if written != PluginList::default() {
            let message = format!("`{path}.{key}` has no effect in the simulation");
            ctx.error(Diagnostic::warning(Code::Unusual, message).at(place));
        }
    }
    map.finish(ctx);
    Some(lists)
}

/// How many plugins run at an extension point: its own and those that multiPoint adds to the defaults.
fn expanded(multi: &PluginList, own: &PluginList, point: &str) -> usize {
    let off = |list: &PluginList, name: &str| list.disabled.iter().any(|d| d == "*" || d == name);
    let defaults = PLUGINS.iter().map(|(name, _)| *name).filter(|name| !off(multi, name));
    let mut names: Vec<&str> = defaults.chain(multi.enabled.iter().map(|(name, _)| name.as_str())).collect();
    names.retain(|name| points(name).contains(&point) && !off(own, name));
    names.extend(own.enabled.iter().map(|(name, _)| name.as_str()));
    names.sort_unstable();
    names.dedup();
    names.len()
}

/// `scheduler.weights`: weights of Score plugins by name.
pub fn weights(ctx: &mut Ctx, value: &Value, path: &str) -> Option<BTreeMap<String, u32>> {
    let all = string_map(ctx, value, path, count(0..=1_000_000))?;
    for entry in value.as_map().unwrap_or(&[]) {
        if let Some(name) = plugin_name(ctx, &Value::string(entry.key_span, &entry.key), path) {
            implements(ctx, &name, "score", entry.key_span, path);
        }
    }
    Some(all)
}

/// A plugin can be enabled only where it has something to do.
fn implements(ctx: &mut Ctx, name: &str, point: &str, span: Span, path: &str) {
    if point != "multiPoint" && !points(name).contains(&point) {
        let message = format!("`{path}`: the plugin {name} does not extend {point}");
        ctx.error(
            Diagnostic::error(Code::SchedulerConfig, message)
                .at(span)
                .help(format!("it has {}", points(name).join(", "))),
        );
    }
}

fn plugin_list(ctx: &mut Ctx, value: &Value, path: &str, point: &str) -> Option<PluginList> {
    let mut map = Map::open(ctx, value, path)?;
    let mut all = PluginList::default();
    for (path, item) in map.list(ctx, "enabled") {
        let Some(mut plugin) = Map::open(ctx, item, &path) else { continue };
        let name = plugin.require(ctx, "name", plugin_name);
        let weight = plugin.read(ctx, "weight", count(0..=1_000_000));
        plugin.finish(ctx);
        let Some(name) = name else { continue };
        if all.enabled.iter().any(|(n, _)| *n == name) {
            let message = format!("`{path}`: the plugin `{}` is enabled twice", clip(&name));
            ctx.error(Diagnostic::error(Code::DuplicateName, message).at(item.span));
        }
        implements(ctx, &name, point, item.span, &path);
        all.enabled.push((name, weight.map(i64::from)));
    }
    for (path, item) in map.list(ctx, "disabled") {
        let Some(mut plugin) = Map::open(ctx, item, &path) else { continue };
        all.disabled.extend(plugin.require(ctx, "name", disabled_name));
        plugin.get("weight");
        plugin.finish(ctx);
    }
    map.finish(ctx);
    Some(all)
}

fn known(name: &str) -> bool {
    all_plugins().any(|(plugin, _)| *plugin == name)
}

fn hint(name: &str) -> String {
    did_you_mean(name, all_plugins().map(|(plugin, _)| *plugin)).unwrap_or_else(|| {
        "plugins that are not part of kube-scheduler can be simulated through the library".to_owned()
    })
}

fn plugin_name(ctx: &mut Ctx, value: &Value, path: &str) -> Option<String> {
    let name = text(ctx, value, path)?;
    if known(name) {
        return Some(name.to_owned());
    }
    let message = format!("`{path}`: there is no plugin `{}`", clip(name));
    ctx.error(Diagnostic::error(Code::SchedulerConfig, message).at(value.span).help(hint(name)));
    None
}

/// What is switched off need not exist: kube-scheduler does not look.
fn disabled_name(ctx: &mut Ctx, value: &Value, path: &str) -> Option<String> {
    let name = text(ctx, value, path)?;
    if !known(name) && name != "*" {
        let message = format!("`{path}`: there is no plugin `{}` to disable", clip(name));
        ctx.error(Diagnostic::warning(Code::Unusual, message).at(value.span).help(hint(name)));
    }
    Some(name.to_owned())
}

fn plugin_args(
    ctx: &mut Ctx,
    name: &str,
    value: &Value,
    path: &str,
    gates: &BTreeMap<String, bool>,
    args: &mut PluginArgs,
) {
    let Some(mut map) = Map::open(ctx, value, path) else { return };
    map.read(ctx, "apiVersion", |c, v, p| word(c, v, p, VERSION));
    map.read(ctx, "kind", |c, v, p| word(c, v, p, &format!("{name}Args")));
    match name {
        "DefaultPreemption" => {
            let percentage = map.read(ctx, "minCandidateNodesPercentage", count(0..=100)).unwrap_or(10);
            let absolute =
                map.read(ctx, "minCandidateNodesAbsolute", count(0..=i32::MAX as u32)).unwrap_or(100);
            if percentage == 0 && absolute == 0 {
                let message = format!("`{path}`: both minimums of candidate nodes are zero");
                ctx.error(Diagnostic::error(Code::SchedulerConfig, message).at(value.span));
            }
            args.default_preemption = Some((percentage, absolute));
        }
        "InterPodAffinity" => {
            let weight = map.read(ctx, "hardPodAffinityWeight", count(0..=100)).unwrap_or(1);
            let ignore = map.read(ctx, "ignorePreferredTermsOfExistingPods", boolean).unwrap_or(false);
            args.inter_pod_affinity = Some((weight, ignore));
        }
        "NodeAffinity" => args.node_affinity = map.read(ctx, "addedAffinity", typed::<NodeAffinity>),
        "NodeResourcesFit" => args.node_resources_fit = fit(ctx, &mut map),
        "NodeResourcesBalancedAllocation" => {
            args.balanced_allocation = map.read(ctx, "resources", |c, v, p| resources(c, v, p, 1, true));
        }
        "PodTopologySpread" => args.pod_topology_spread = topology_spread(ctx, &mut map),
        "VolumeBinding" => {
            args.bind_timeout = map.read(ctx, "bindTimeoutSeconds", |c, v, p| seconds(c, v, p, 0));
            args.volume_binding_shape = map.read(ctx, "shape", shape);
            let on = gates.get("StorageCapacityScoring").copied().unwrap_or(false);
            if args.volume_binding_shape.is_some() && !on {
                let place = map.key_span("shape").unwrap_or(value.span);
                let message = format!("`{path}.shape` needs the feature gate StorageCapacityScoring");
                ctx.error(
                    Diagnostic::error(Code::SchedulerConfig, message)
                        .at(place)
                        .help("scheduler: {featureGates: {StorageCapacityScoring: true}}"),
                );
            }
        }
        "DynamicResources" => {
            map.get("filterTimeout");
            map.get("bindingTimeout");
        }
        removed if REMOVED.contains(&removed) => {
            let message = format!("`{path}`: the plugin {removed} is no longer part of kube-scheduler");
            ctx.error(Diagnostic::error(Code::SchedulerConfig, message).at(value.span));
            return;
        }
        // Arguments of plugins that do not run are not looked at.
        other => {
            let what = if known(other) { "has no arguments" } else { "is not part of kube-scheduler" };
            let message = format!("`{path}`: the plugin {} {what}", clip(other));
            ctx.error(Diagnostic::warning(Code::Unusual, message).at(value.span));
            return;
        }
    }
    map.finish(ctx);
}

/// A Kubernetes type inside the arguments; unknown fields are errors, as in kube-scheduler.
fn typed<T: serde::de::DeserializeOwned>(ctx: &mut Ctx, value: &Value, path: &str) -> Option<T> {
    let mut unknown = Vec::new();
    let read = from_value(value, &mut unknown);
    for mut diagnostic in unknown {
        diagnostic.severity = crate::diagnostic::Severity::Error;
        ctx.error(diagnostic);
    }
    match read {
        Ok(value) => Some(value),
        Err(mut error) => {
            error.message = format!("`{path}`: {}", error.message);
            ctx.error(error);
            None
        }
    }
}

fn fit(ctx: &mut Ctx, map: &mut Map<'_>) -> Option<FitArgs> {
    let ignored_resources = super::cluster::string_list(ctx, map, "ignoredResources");
    let mut ignored_resource_groups = Vec::new();
    for (path, item) in map.list(ctx, "ignoredResourceGroups") {
        let Some(group) = text(ctx, item, &path) else { continue };
        if group.contains('/') {
            let message = format!("`{path}`: a resource group has no `/`");
            ctx.error(Diagnostic::error(Code::SchedulerConfig, message).at(item.span));
        }
        ignored_resource_groups.push(group.to_owned());
    }
    let default = || vec![("cpu".to_owned(), 1), ("memory".to_owned(), 1)];
    let mut args = FitArgs {
        ignored_resources,
        ignored_resource_groups,
        strategy: FitStrategy::LeastAllocated,
        resources: default(),
    };
    section(ctx, map, "scoringStrategy", |ctx, m| {
        let kind = m.require(ctx, "type", |c, v, p| {
            let words = [("LeastAllocated", 0), ("MostAllocated", 1), ("RequestedToCapacityRatio", 2)];
            choice(&words)(c, v, p)
        });
        let listed = m.read(ctx, "resources", |c, v, p| resources(c, v, p, 100, false));
        args.resources = listed.filter(|r| !r.is_empty()).unwrap_or_else(default);
        let ratio_span = m.key_span("requestedToCapacityRatio");
        let mut points = None;
        section(ctx, m, "requestedToCapacityRatio", |ctx, inner| points = inner.require(ctx, "shape", shape));
        args.strategy = match (kind.unwrap_or(0), points) {
            (2, Some(points)) => FitStrategy::RequestedToCapacityRatio(points),
            (1, _) => FitStrategy::MostAllocated,
            _ => FitStrategy::LeastAllocated,
        };
        if (kind == Some(2)) != ratio_span.is_some() {
            let message = format!(
                "`{}`: requestedToCapacityRatio goes with the type of that name, and only with it",
                m.path
            );
            ctx.error(Diagnostic::error(Code::SchedulerConfig, message).at(ratio_span.unwrap_or(m.span)));
        }
    });
    Some(args)
}

/// `[{name, weight}]`; a weight of 0 or none is 1. NodeResourcesFit lets a resource be there twice.
fn resources(ctx: &mut Ctx, value: &Value, path: &str, most: u32, once: bool) -> Option<Vec<(String, u32)>> {
    let Some(items) = value.as_seq() else {
        ctx.wrong(value, path, "a list of {name, weight}");
        return None;
    };
    let mut all: Vec<(String, u32)> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let mut map = Map::open(ctx, item, &element(path, i, item))?;
        let name = map.require(ctx, "name", string);
        let weight = map.read(ctx, "weight", count(0..=most)).filter(|w| *w > 0).unwrap_or(1);
        map.finish(ctx);
        let name = name?;
        if once && all.iter().any(|(n, _)| *n == name) {
            let message = format!("`{path}`: the resource `{}` is there twice", clip(&name));
            ctx.error(Diagnostic::error(Code::DuplicateName, message).at(item.span));
        }
        all.push((name, weight));
    }
    Some(all)
}

fn topology_spread(ctx: &mut Ctx, map: &mut Map<'_>) -> Option<Option<Vec<TopologySpreadConstraint>>> {
    let list = map.read(ctx, "defaultingType", choice(&[("System", false), ("List", true)])).unwrap_or(false);
    let mut all: Vec<TopologySpreadConstraint> = Vec::new();
    for (path, item) in map.list(ctx, "defaultConstraints") {
        let Some(constraint) = typed::<TopologySpreadConstraint>(ctx, item, &path) else { continue };
        let problem = if !list {
            Some("constraints need defaultingType: List")
        } else if constraint.max_skew < 1 {
            Some("maxSkew must be at least 1")
        } else if constraint.topology_key.is_empty() {
            Some("topologyKey is missing")
        } else if !matches!(constraint.when_unsatisfiable.as_str(), "DoNotSchedule" | "ScheduleAnyway") {
            Some("whenUnsatisfiable must be DoNotSchedule or ScheduleAnyway")
        } else if constraint.label_selector.is_some() {
            Some("labelSelector must be absent: it is deduced for each pod")
        } else if all.iter().any(|c| {
            c.topology_key == constraint.topology_key && c.when_unsatisfiable == constraint.when_unsatisfiable
        }) {
            Some("each topologyKey and whenUnsatisfiable once")
        } else {
            None
        };
        if let Some(problem) = problem {
            ctx.error(Diagnostic::error(Code::SchedulerConfig, format!("`{path}`: {problem}")).at(item.span));
        }
        all.push(constraint);
    }
    Some(list.then_some(all))
}

#[cfg(test)]
mod tests;
