//! The objects that a scenario names, and what only shows when both are known: classes, empty clusters, references.

use std::collections::BTreeSet;

use super::load::{LoadOptions, Loader, Skipped};
use super::objects::{Located, Object};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, Sources, did_you_mean, escape};
use crate::scenario::{Action, Assumption, Domain, Loaded, Scenario, Spanned};

/// Everything that a scenario's manifests hold.
#[derive(Clone, Debug, Default)]
pub struct ScenarioObjects {
    /// `cluster.manifests`, in order.
    pub cluster: Vec<Located<Object>>,
    /// `workload.manifests`, in order.
    pub workload: Vec<Located<Object>>,
    /// The objects of `timeline` entries that apply files: index into the timeline, objects.
    pub applied: Vec<(usize, Vec<Located<Object>>)>,
    /// Kinds that are not simulated.
    pub skipped: Vec<Skipped>,
    /// What was odd, converted or skipped.
    pub warnings: Vec<Diagnostic>,
    /// What was converted or filled in.
    pub assumptions: Vec<Assumption>,
    /// The texts of the scenario and of all manifests.
    pub sources: Sources,
}

/// Loads the manifests of a scenario and checks what needs both.
///
/// # Errors
/// Everything that is wrong with the manifests, else everything in the scenario that names what is not there.
pub fn for_scenario(loaded: &Loaded, options: LoadOptions) -> Result<ScenarioObjects, Diagnostics> {
    let mut all = read_objects(loaded, options)?;
    let found = check_objects(&loaded.scenario, &all)?;
    all.warnings.extend(found);
    Ok(all)
}

/// Loads the manifests of a scenario.
///
/// # Errors
/// Everything that is wrong with them.
pub fn read_objects(loaded: &Loaded, options: LoadOptions) -> Result<ScenarioObjects, Diagnostics> {
    let scenario = &loaded.scenario;
    let mut all = ScenarioObjects::default();
    let loader = |sources| Loader::new(options, sources).with_recorded(loaded.recorded.clone());
    let mut first = loader(loaded.sources.clone());
    for file in &scenario.cluster.manifests {
        first.file(&file.path, Some(file.span));
    }
    let in_cluster = first.count();
    for file in &scenario.workload.manifests {
        first.file(&file.path, Some(file.span));
    }
    let manifests = first.finish()?;
    all.cluster = manifests.objects;
    all.workload = all.cluster.split_off(in_cluster);
    all.skipped = manifests.skipped;
    all.warnings = manifests.warnings;
    all.assumptions = manifests.assumptions;
    all.sources = manifests.sources;
    for (index, entry) in scenario.timeline.iter().enumerate() {
        let Action::Apply(files) = &entry.action.value else { continue };
        let mut applied = loader(all.sources.clone());
        files.iter().for_each(|file| applied.file(&file.path, Some(file.span)));
        let applied = applied.finish()?;
        all.applied.push((index, applied.objects));
        all.warnings.extend(applied.warnings);
        all.assumptions.extend(applied.assumptions);
        all.sources = applied.sources;
    }
    Ok(all)
}

/// Checks what needs both the scenario and its manifests; the warnings.
///
/// # Errors
/// Everything in the scenario that names what is not there.
pub fn check_objects(scenario: &Scenario, all: &ScenarioObjects) -> Result<Vec<Diagnostic>, Diagnostics> {
    let found = check(scenario, all);
    if found.iter().any(|d| d.severity == Severity::Error) {
        return Err(Diagnostics::new(found, all.sources.clone()));
    }
    Ok(found)
}

impl ScenarioObjects {
    /// Every object, in order; those of the timeline last.
    pub fn every(&self) -> impl Iterator<Item = &Located<Object>> {
        self.cluster.iter().chain(&self.workload).chain(self.applied.iter().flat_map(|(_, objects)| objects))
    }
    fn names(&self, kind: &str) -> BTreeSet<&str> {
        self.every().filter(|o| o.value.kind() == kind).map(|o| o.value.name()).collect()
    }
}

fn check(scenario: &Scenario, objects: &ScenarioObjects) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    classes(scenario, objects, &mut found);
    empty_cluster(scenario, objects, &mut found);
    collisions(scenario, objects, &mut found);
    references(scenario, objects, &mut found);
    found
}

/// Classes that the scenario's own parts name must exist. (A claim in a manifest may name any: Kubernetes lets it wait.)
fn classes(scenario: &Scenario, objects: &ScenarioObjects, found: &mut Vec<Diagnostic>) {
    let mut known = objects.names("StorageClass");
    known.extend(scenario.cluster.storage_classes.iter().map(|c| c.name.as_str()));
    let groups = scenario.cluster.nodes.iter().flat_map(|n| &n.disks);
    let trace = scenario.workload.trace.as_ref();
    let trace_disks = trace.and_then(|t| t.nodes.as_ref()).into_iter().flat_map(|n| &n.disks);
    let claims = scenario.workload.generate.iter().flat_map(|g| &g.claims).map(|c| &c.class);
    let used = groups
        .chain(trace_disks)
        .map(|d| &d.class)
        .chain(claims)
        .chain(trace.and_then(|t| t.claims.as_ref()).map(|c| &c.class));
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for class in used {
        if known.contains(class.as_str()) || !reported.insert(class) {
            continue;
        }
        let hint = did_you_mean(class, known.iter().copied()).unwrap_or_else(|| {
            "add it to cluster.storageClasses: {name: ..., volumeBindingMode: WaitForFirstConsumer}"
                .to_owned()
        });
        let message = format!("there is no StorageClass `{}`", escape(class));
        found.push(Diagnostic::error(Code::UnknownClass, message).at(class.span).help(hint));
    }
}

fn empty_cluster(scenario: &Scenario, objects: &ScenarioObjects, found: &mut Vec<Diagnostic>) {
    let generated = scenario.cluster.nodes.iter().any(|n| n.count > 0);
    // A trace may bring its machines; whether it does shows when it is opened.
    let traced = scenario.workload.trace.is_some();
    if !generated && !traced && objects.names("Node").is_empty() {
        let diagnostic = Diagnostic::error(Code::EmptyCluster, "the cluster has no node")
            .at(scenario.name.span)
            .help("add cluster.nodes, or manifests with Node objects (kubectl get nodes -o yaml)");
        found.push(diagnostic);
    }
}

/// Is `name` one of the generated `<prefix>-<i>` with i below `count`?
fn is_generated(name: &str, prefix: &str, count: u32) -> bool {
    let number = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|n| n.parse::<u32>().is_ok_and(|i| i < count && i.to_string() == n))
}

/// Generated objects and those of manifests may not share a name.
fn collisions(scenario: &Scenario, objects: &ScenarioObjects, found: &mut Vec<Diagnostic>) {
    let generated_sets = |kind: &str| kind == "StatefulSet" || kind == "Deployment" || kind == "Job";
    for object in objects.cluster.iter().chain(&objects.workload) {
        let (kind, name) = (object.value.kind(), object.value.name());
        let twice = match kind {
            "Node" => scenario.cluster.nodes.iter().any(|g| is_generated(name, &g.name, g.count)),
            "StorageClass" => scenario.cluster.storage_classes.iter().any(|c| c.name.value == name),
            _ if generated_sets(kind) && object.value.namespace() == "default" => scenario
                .workload
                .generate
                .iter()
                .any(|g| kind_name(g.kind) == kind && is_generated(name, &g.name, g.sets)),
            _ => false,
        };
        if twice {
            let message = format!("{kind} `{}` is in a manifest and made by the scenario too", escape(name));
            found.push(Diagnostic::error(Code::DuplicateName, message).at(object.span));
        }
    }
}

fn kind_name(kind: crate::scenario::WorkloadKind) -> &'static str {
    use crate::scenario::WorkloadKind;
    match kind {
        WorkloadKind::StatefulSet => "StatefulSet",
        WorkloadKind::Deployment => "Deployment",
        WorkloadKind::Job => "Job",
        WorkloadKind::Pod => "Pod",
    }
}

/// What the timeline names must exist, as far as that can be known beforehand.
fn references(scenario: &Scenario, objects: &ScenarioObjects, found: &mut Vec<Diagnostic>) {
    let nodes = objects.names("Node");
    let node_exists = |name: &str| {
        nodes.contains(name)
            || scenario.cluster.nodes.iter().any(|g| is_generated(name, &g.name, g.count))
            // Nodes of a trace are not known before it is read.
            || scenario.workload.trace.is_some()
    };
    for entry in &scenario.timeline {
        match &entry.action.value {
            Action::NodeDown(node)
            | Action::NodeUp(node)
            | Action::NodeDelete(node)
            | Action::Cordon(node)
            | Action::Uncordon(node)
            | Action::Drain(node)
            | Action::Taint { node, .. }
            | Action::DiskFail { node, .. }
            | Action::DiskRepair { node, .. }
            | Action::SetAllocatable { node, .. }
                if !node_exists(node) =>
            {
                let groups = scenario.cluster.nodes.iter().map(|g| g.name.as_str());
                let hint = did_you_mean(node, nodes.iter().copied()).unwrap_or_else(|| {
                    let list: Vec<&str> = groups.take(5).collect();
                    format!("generated nodes are named <group>-<i>; groups: {}", escape(&list.join(", ")))
                });
                missing(found, &entry.action, &format!("there is no node `{}`", escape(node)), hint);
            }
            Action::DiskFail { node, disk } | Action::DiskRepair { node, disk } => {
                let group = scenario.cluster.nodes.iter().find(|g| is_generated(node, &g.name, g.count));
                let disks = group.map(|g| g.disks.iter().map(|d| d.count).sum::<u32>());
                if let Some(disks) = disks.filter(|disks| disk >= disks) {
                    let message = format!("the node `{}` has no disk {disk}", escape(node));
                    let hint = format!("{disks} of its disks hold volumes; they count from 0");
                    missing(found, &entry.action, &message, hint);
                }
            }
            Action::DomainDown { domain, name, .. } => {
                let known = domains(scenario, objects, *domain);
                if !known.contains(name) && scenario.workload.trace.is_none() {
                    let kind = if *domain == Domain::Zone { "zone" } else { "rack" };
                    let list: Vec<&str> = known.iter().map(String::as_str).collect();
                    let hint = did_you_mean(name, list.iter().copied()).unwrap_or_else(|| match &*list {
                        [] => format!("give the nodes {kind}s: cluster.nodes[].{kind}s"),
                        some => format!("there are: {}", escape(&some[..some.len().min(10)].join(", "))),
                    });
                    missing(found, &entry.action, &format!("there is no {kind} `{}`", escape(name)), hint);
                }
            }
            Action::Scale { kind, name, .. } => {
                let generated = name.namespace == "default"
                    && scenario
                        .workload
                        .generate
                        .iter()
                        .any(|g| kind_name(g.kind) == kind && is_generated(&name.name, &g.name, g.sets));
                let written = objects.every().any(|o| {
                    o.value.kind() == kind
                        && o.value.name() == name.name
                        && o.value.namespace() == name.namespace
                });
                if !generated && !written && scenario.workload.trace.is_none() {
                    let message =
                        format!("there is no {kind} `{}/{}`", escape(&name.namespace), escape(&name.name));
                    let hint = "generated sets are named default/<generator>-<s>".to_owned();
                    missing(found, &entry.action, &message, hint);
                }
            }
            _ => {}
        }
    }
}

/// Zones or racks of the nodes that are known beforehand.
fn domains(scenario: &Scenario, objects: &ScenarioObjects, domain: Domain) -> BTreeSet<String> {
    let label = match domain {
        Domain::Zone => "topology.kubernetes.io/zone",
        Domain::Rack => "rack",
    };
    let mut known = BTreeSet::new();
    for group in &scenario.cluster.nodes {
        known.extend(group.labels.get(label).cloned());
        let racks = group.racks.unwrap_or(0).min(group.count);
        match (domain, &*group.zones) {
            (Domain::Zone, zones) => known.extend(zones.iter().take(group.count as usize).cloned()),
            (Domain::Rack, []) => known.extend((0..racks).map(|k| format!("r{k}"))),
            (Domain::Rack, zones) => {
                known.extend(zones.iter().flat_map(|zone| (0..racks).map(move |k| format!("{zone}-r{k}"))));
            }
        }
    }
    for object in objects.every() {
        let labels = match &object.value {
            Object::Node(node) => node.metadata.labels.as_ref(),
            _ => None,
        };
        known.extend(labels.and_then(|l| l.get(label)).cloned());
    }
    known
}

fn missing(found: &mut Vec<Diagnostic>, action: &Spanned<Action>, message: &str, hint: String) {
    found.push(Diagnostic::error(Code::UnknownReference, message).at(action.span).help(hint));
}

#[cfg(test)]
mod tests;
