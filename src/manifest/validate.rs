//! What the Kubernetes API refuses, as far as it bears on the simulation. Objects are checked after defaulting, as the API does.

mod pod;
mod selector;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    Node, PersistentVolume, PersistentVolumeClaimSpec, PersistentVolumeSpec, PodTemplateSpec,
    ReplicationController,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::field::{Check, Field};
use super::objects::Object;
use crate::model::quantity::Quantity;

const ACCESS_MODES: &[&str] = &["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];
const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];
const BINDING_MODES: &[&str] = &["Immediate", "WaitForFirstConsumer"];
const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
/// PriorityClasses of users end here; those of the system are above.
const HIGHEST_USER_PRIORITY: i32 = 1_000_000_000;

/// Checks one object.
pub fn object(check: &mut Check<'_>, object: &Object) {
    metadata(check, object);
    let spec = Field::top("spec");
    match object {
        Object::Node(o) => node(check, o),
        Object::PersistentVolume(o) => volume(check, o),
        Object::PersistentVolumeClaim(o) => match &o.spec {
            Some(s) => claim_spec(check, s, &spec),
            None => check.missing(&spec, ""),
        },
        Object::StorageClass(o) => class(check, o),
        Object::Pod(o) => match &o.spec {
            Some(s) => pod::spec(check, s, &spec),
            None => check.missing(&spec, ""),
        },
        Object::StatefulSet(o) => stateful_set(check, o),
        Object::Deployment(o) => deployment(check, o),
        Object::ReplicaSet(o) => replica_set(check, o),
        Object::ReplicationController(o) => replication_controller(check, o),
        Object::Job(o) => job(check, o),
        Object::PodDisruptionBudget(o) => budget(check, o),
        Object::PriorityClass(o) => {
            let system = o.metadata.name.as_deref().is_some_and(|n| n.starts_with("system-"));
            if o.value.unwrap_or(0) > HIGHEST_USER_PRIORITY && !system {
                let value = o.value.unwrap_or(0).to_string();
                check.invalid(&Field::top("value"), &value, "at most 1000000000");
            }
            let policy = o.preemption_policy.as_deref().unwrap_or("");
            check.one_of(&Field::top("preemptionPolicy"), policy, &["PreemptLowerPriority", "Never"]);
        }
        Object::CSIStorageCapacity(o) => {
            if o.storage_class_name.is_empty() {
                check.missing(&Field::top("storageClassName"), "");
            }
            for (key, value) in [("capacity", &o.capacity), ("maximumVolumeSize", &o.maximum_volume_size)] {
                if let Some(value) = value {
                    not_negative(check, &Field::top(key), value);
                }
            }
            if let Some(topology) = &o.node_topology {
                selector::label_selector(check, topology, &Field::top("nodeTopology"));
            }
        }
        Object::CSINode(o) => {
            let drivers = spec.key("drivers");
            for (i, driver) in o.spec.drivers.iter().enumerate() {
                let field = drivers.index(i);
                if o.spec.drivers[..i].iter().any(|d| d.name == driver.name) {
                    check.invalid(&field.key("name"), &driver.name, "each driver once");
                }
                if driver.allocatable.as_ref().and_then(|a| a.count).is_some_and(|c| c < 0) {
                    check.invalid(&field.key("allocatable"), "a negative count", "not negative");
                }
            }
        }
        Object::Service(_) | Object::Namespace(_) | Object::CSIDriver(_) => {}
    }
}

fn metadata(check: &mut Check<'_>, object: &Object) {
    let meta = object.metadata();
    let top = Field::top("metadata");
    let field = top.key("name");
    let name = meta.name.as_deref().unwrap_or("");
    if name.is_empty() {
        let why = if meta.generate_name.is_some() { "generateName makes no stable name" } else { "" };
        check.missing(&field, why);
    } else {
        let dots = !matches!(object, Object::Namespace(_));
        if let Err(why) = selector::dns_name(name, if dots { 253 } else { 63 }, dots) {
            check.invalid(&field, name, why);
        } else if matches!(object, Object::StatefulSet(_)) && (name.contains('.') || name.len() > 63) {
            check.warn(
                &field,
                "today's API refuses a StatefulSet whose name is not a DNS label; it is taken as it is",
            );
        }
    }
    if let Some(namespace) = meta.namespace.as_deref().filter(|n| !n.is_empty())
        && let Err(why) = selector::dns_name(namespace, 63, false)
    {
        check.invalid(&top.key("namespace"), namespace, why);
    }
    selector::labels(check, meta.labels.as_ref(), &top.key("labels"));
    let annotations = top.key("annotations");
    for key in meta.annotations.iter().flatten().map(|(key, _)| key) {
        if let Err(why) = selector::qualified_name(&key.to_lowercase()) {
            check.invalid(&annotations, key, why);
        }
    }
}

/// A quantity that may not be below zero. (That it is a quantity was checked on reading.)
pub(super) fn not_negative(check: &mut Check<'_>, field: &Field<'_>, written: &Written) {
    match Quantity::parse(&written.0) {
        Ok(quantity) if quantity.is_negative() => check.invalid(field, &written.0, "not negative"),
        Ok(_) => {}
        Err(error) => check.invalid(field, &written.0, &error.to_string()),
    }
}

/// Resources that come in whole numbers: everything but CPU, memory, storage and huge pages.
fn whole_only(name: &str) -> bool {
    !matches!(name, "cpu" | "memory" | "storage" | "ephemeral-storage") && !name.starts_with("hugepages-")
}

pub(super) fn resource_list(
    check: &mut Check<'_>,
    list: Option<&BTreeMap<String, Written>>,
    field: &Field<'_>,
) {
    for (name, written) in list.into_iter().flatten() {
        let field = field.key(name);
        not_negative(check, &field, written);
        if whole_only(name) && Quantity::parse(&written.0).is_ok_and(|q| q.milli_value() % 1000 != 0) {
            check.invalid(&field, &written.0, "must be a whole number");
        }
    }
}

fn node(check: &mut Check<'_>, node: &Node) {
    let spec = Field::top("spec");
    let taints_field = spec.key("taints");
    let taints = node.spec.as_ref().and_then(|s| s.taints.as_deref()).unwrap_or(&[]);
    for (i, taint) in taints.iter().enumerate() {
        let field = taints_field.index(i);
        if let Err(why) = selector::qualified_name(&taint.key) {
            check.invalid(&field.key("key"), &taint.key, why);
        }
        check.one_of(&field.key("effect"), &taint.effect, EFFECTS);
        if taints[..i].iter().any(|t| t.key == taint.key && t.effect == taint.effect) {
            check.invalid(&field, &taint.key, "each key and effect once");
        }
    }
    let status_field = Field::top("status");
    let Some(status) = &node.status else { return };
    resource_list(check, status.capacity.as_ref(), &status_field.key("capacity"));
    resource_list(check, status.allocatable.as_ref(), &status_field.key("allocatable"));
    let has = |name: &str| status.allocatable.as_ref().is_some_and(|a| a.contains_key(name));
    let field = status_field.key("allocatable");
    for name in ["cpu", "memory", "pods"] {
        if !has(name) {
            check.warn(
                &field,
                &format!("no `{name}` in status.allocatable counts as none: pods that need it do not fit"),
            );
        }
    }
    let hostname = node.metadata.labels.as_ref().is_some_and(|l| l.contains_key("kubernetes.io/hostname"));
    if !hostname {
        check.warn(
            &Field::top("metadata"),
            "no label kubernetes.io/hostname: local volumes and affinity by host miss it",
        );
    }
}

fn access_modes(check: &mut Check<'_>, modes: Option<&Vec<String>>, field: &Field<'_>) {
    let modes = modes.map_or(&[][..], Vec::as_slice);
    if modes.is_empty() {
        check.missing(field, "");
    }
    for mode in modes {
        check.one_of(field, mode, ACCESS_MODES);
    }
    if modes.len() > 1 && modes.iter().any(|m| m == "ReadWriteOncePod") {
        check.invalid(field, "ReadWriteOncePod", "not together with other access modes");
    }
}

fn volume(check: &mut Check<'_>, pv: &PersistentVolume) {
    let field = Field::top("spec");
    let Some(spec) = &pv.spec else { return check.missing(&field, "") };
    access_modes(check, spec.access_modes.as_ref(), &field.key("accessModes"));
    let capacity = field.key("capacity");
    match spec.capacity.as_ref().filter(|c| !c.is_empty()) {
        None => check.missing(&capacity, "how large the volume is"),
        Some(all) => match all.get("storage") {
            None => check.missing(&capacity.key("storage"), ""),
            Some(size) => {
                let zero = Quantity::parse(&size.0).is_ok_and(Quantity::is_zero);
                if zero {
                    check.invalid(&capacity.key("storage"), &size.0, "greater than zero");
                }
                not_negative(check, &capacity.key("storage"), size);
                if let Some(other) = all.keys().find(|k| *k != "storage") {
                    check.invalid(&capacity.key(other), other, "only `storage` is supported");
                }
            }
        },
    }
    check.one_of(&field.key("volumeMode"), spec.volume_mode.as_deref().unwrap_or("Filesystem"), VOLUME_MODES);
    let policy = spec.persistent_volume_reclaim_policy.as_deref().unwrap_or("Retain");
    check.one_of(&field.key("persistentVolumeReclaimPolicy"), policy, &["Retain", "Delete", "Recycle"]);
    if let Some(class) = spec.storage_class_name.as_deref().filter(|c| !c.is_empty())
        && let Err(why) = selector::dns_name(class, 253, true)
    {
        check.invalid(&field.key("storageClassName"), class, why);
    }
    let sources = source_count(spec);
    if sources == 0 {
        check.missing(&field, "a volume source such as `local`");
    } else if sources > 1 {
        check.invalid(&field, "two volume sources", "one volume source");
    }
    let affinity = field.key("nodeAffinity");
    match &spec.node_affinity {
        Some(written) => match &written.required {
            Some(required) => selector::node_selector(check, required, &affinity.key("required")),
            None => check.missing(&affinity.key("required"), ""),
        },
        None if spec.local.is_some() => check.missing(&affinity, "a local volume needs a node affinity"),
        None => {}
    }
    if let Some(local) = &spec.local {
        let local_field = field.key("local");
        if local.path.is_empty() {
            check.missing(&local_field.key("path"), "");
        } else if local.path.split('/').any(|part| part == "..") {
            check.invalid(&local_field.key("path"), &local.path, "no `..`");
        }
    }
    let status = pv.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or("Pending");
    let phases = &["Pending", "Available", "Bound", "Released", "Failed"];
    check.one_of(&Field::top("status").key("phase"), status, phases);
}

fn source_count(spec: &PersistentVolumeSpec) -> usize {
    [
        spec.aws_elastic_block_store.is_some(),
        spec.azure_disk.is_some(),
        spec.azure_file.is_some(),
        spec.cephfs.is_some(),
        spec.cinder.is_some(),
        spec.csi.is_some(),
        spec.fc.is_some(),
        spec.flex_volume.is_some(),
        spec.flocker.is_some(),
        spec.gce_persistent_disk.is_some(),
        spec.glusterfs.is_some(),
        spec.host_path.is_some(),
        spec.iscsi.is_some(),
        spec.local.is_some(),
        spec.nfs.is_some(),
        spec.photon_persistent_disk.is_some(),
        spec.portworx_volume.is_some(),
        spec.quobyte.is_some(),
        spec.rbd.is_some(),
        spec.scale_io.is_some(),
        spec.storageos.is_some(),
        spec.vsphere_volume.is_some(),
    ]
    .into_iter()
    .filter(|there| *there)
    .count()
}

pub(super) fn claim_spec(check: &mut Check<'_>, spec: &PersistentVolumeClaimSpec, field: &Field<'_>) {
    access_modes(check, spec.access_modes.as_ref(), &field.key("accessModes"));
    let resources = field.key("resources");
    let requests = resources.key("requests");
    let storage = requests.key("storage");
    match spec.resources.as_ref().and_then(|r| r.requests.as_ref()).and_then(|r| r.get("storage")) {
        None => check.missing(&storage, "how much the claim asks for"),
        Some(size) => {
            if Quantity::parse(&size.0).is_ok_and(Quantity::is_zero) {
                check.invalid(&storage, &size.0, "greater than zero");
            }
            not_negative(check, &storage, size);
        }
    }
    check.one_of(&field.key("volumeMode"), spec.volume_mode.as_deref().unwrap_or("Filesystem"), VOLUME_MODES);
    if let Some(class) = spec.storage_class_name.as_deref().filter(|c| !c.is_empty())
        && let Err(why) = selector::dns_name(class, 253, true)
    {
        check.invalid(&field.key("storageClassName"), class, why);
    }
    if let Some(written) = &spec.selector {
        selector::label_selector(check, written, &field.key("selector"));
    }
}

fn class(check: &mut Check<'_>, class: &StorageClass) {
    if class.provisioner.is_empty() {
        check.missing(&Field::top("provisioner"), "kubernetes.io/no-provisioner for local volumes");
    }
    let mode = class.volume_binding_mode.as_deref().unwrap_or("Immediate");
    check.one_of(&Field::top("volumeBindingMode"), mode, BINDING_MODES);
    let policy = class.reclaim_policy.as_deref().unwrap_or("Delete");
    check.one_of(&Field::top("reclaimPolicy"), policy, &["Delete", "Retain"]);
    let top = Field::top("allowedTopologies");
    for (i, term) in class.allowed_topologies.iter().flatten().enumerate() {
        let term_field = top.index(i);
        let expressions = term_field.key("matchLabelExpressions");
        for (j, expression) in term.match_label_expressions.iter().flatten().enumerate() {
            let field = expressions.index(j);
            if expression.values.is_empty() {
                check.missing(&field.key("values"), "");
            }
            if let Err(why) = selector::qualified_name(&expression.key) {
                check.invalid(&field.key("key"), &expression.key, why);
            }
        }
    }
}

fn replicas(check: &mut Check<'_>, value: Option<i32>, field: &Field<'_>) {
    if let Some(value) = value
        && value < 0
    {
        check.invalid(field, &value.to_string(), "not negative");
    }
}

/// Selector and template of a workload.
fn workload(
    check: &mut Check<'_>,
    written: &LabelSelector,
    template: &PodTemplateSpec,
    field: &Field<'_>,
    restart: &[&str],
) {
    let selector_field = field.key("selector");
    let empty = written.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && written.match_expressions.as_ref().is_none_or(Vec::is_empty);
    if empty {
        check.missing(&selector_field, "which pods belong to it");
    } else {
        selector::label_selector(check, written, &selector_field);
        let none = BTreeMap::new();
        let labels = template.metadata.as_ref().and_then(|m| m.labels.as_ref()).unwrap_or(&none);
        if !selector::matches(written, labels) {
            let template_field = field.key("template");
            let meta = template_field.key("metadata");
            check.invalid(&meta.key("labels"), "the template's labels", "must match the selector");
        }
    }
    pod_template(check, template, field, restart);
}

fn pod_template(check: &mut Check<'_>, template: &PodTemplateSpec, field: &Field<'_>, restart: &[&str]) {
    let template_field = field.key("template");
    let meta_field = template_field.key("metadata");
    let labels = template.metadata.as_ref().and_then(|m| m.labels.as_ref());
    selector::labels(check, labels, &meta_field.key("labels"));
    let spec_field = template_field.key("spec");
    match &template.spec {
        None => check.missing(&spec_field, ""),
        Some(spec) => {
            pod::spec(check, spec, &spec_field);
            let policy = spec.restart_policy.as_deref().unwrap_or("Always");
            check.one_of(&spec_field.key("restartPolicy"), policy, restart);
        }
    }
}

fn stateful_set(check: &mut Check<'_>, set: &StatefulSet) {
    let field = Field::top("spec");
    let Some(spec) = &set.spec else { return check.missing(&field, "") };
    let policy = spec.pod_management_policy.as_deref().unwrap_or("OrderedReady");
    check.one_of(&field.key("podManagementPolicy"), policy, &["OrderedReady", "Parallel"]);
    let strategy = spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref()).unwrap_or("RollingUpdate");
    check.one_of(&field.key("updateStrategy").key("type"), strategy, &["RollingUpdate", "OnDelete"]);
    if let Some(retention) = &spec.persistent_volume_claim_retention_policy {
        let retention_field = field.key("persistentVolumeClaimRetentionPolicy");
        for (key, value) in [("whenDeleted", &retention.when_deleted), ("whenScaled", &retention.when_scaled)]
        {
            check.one_of(
                &retention_field.key(key),
                value.as_deref().unwrap_or("Retain"),
                &["Retain", "Delete"],
            );
        }
    }
    replicas(check, spec.replicas, &field.key("replicas"));
    if let Some(start) = spec.ordinals.as_ref().and_then(|o| o.start) {
        replicas(check, Some(start), &field.key("ordinals"));
    }
    let templates = field.key("volumeClaimTemplates");
    for (i, claim) in spec.volume_claim_templates.iter().flatten().enumerate() {
        let claim_field = templates.index(i);
        if claim.metadata.name.as_deref().unwrap_or("").is_empty() {
            check.missing(&claim_field.key("metadata").key("name"), "claims are named after it");
        }
        if let Some(claim) = &claim.spec {
            claim_spec(check, claim, &claim_field.key("spec"));
        }
    }
    workload(check, &spec.selector, &spec.template, &field, &["Always"]);
}

fn deployment(check: &mut Check<'_>, deployment: &Deployment) {
    let field = Field::top("spec");
    let Some(spec) = &deployment.spec else { return check.missing(&field, "") };
    replicas(check, spec.replicas, &field.key("replicas"));
    let strategy = spec.strategy.as_ref().and_then(|s| s.type_.as_deref()).unwrap_or("RollingUpdate");
    check.one_of(&field.key("strategy").key("type"), strategy, &["RollingUpdate", "Recreate"]);
    workload(check, &spec.selector, &spec.template, &field, &["Always"]);
}

fn replica_set(check: &mut Check<'_>, set: &ReplicaSet) {
    let field = Field::top("spec");
    let Some(spec) = &set.spec else { return check.missing(&field, "") };
    replicas(check, spec.replicas, &field.key("replicas"));
    match &spec.template {
        Some(template) => workload(check, &spec.selector, template, &field, &["Always"]),
        None => check.missing(&field.key("template"), ""),
    }
}

fn replication_controller(check: &mut Check<'_>, controller: &ReplicationController) {
    let field = Field::top("spec");
    let Some(spec) = &controller.spec else { return check.missing(&field, "") };
    replicas(check, spec.replicas, &field.key("replicas"));
    let written = LabelSelector { match_labels: spec.selector.clone(), match_expressions: None };
    match &spec.template {
        Some(template) => workload(check, &written, template, &field, &["Always"]),
        None => check.missing(&field.key("template"), ""),
    }
}

fn job(check: &mut Check<'_>, job: &Job) {
    let field = Field::top("spec");
    let Some(spec) = &job.spec else { return check.missing(&field, "") };
    replicas(check, spec.parallelism, &field.key("parallelism"));
    replicas(check, spec.completions, &field.key("completions"));
    let mode = spec.completion_mode.as_deref().unwrap_or("NonIndexed");
    check.one_of(&field.key("completionMode"), mode, &["NonIndexed", "Indexed"]);
    if mode == "Indexed" && spec.completions.is_none() {
        check.missing(&field.key("completions"), "completion mode Indexed needs it");
    }
    pod_template(check, &spec.template, &field, &["Never", "OnFailure"]);
}

fn budget(check: &mut Check<'_>, budget: &PodDisruptionBudget) {
    let field = Field::top("spec");
    let Some(spec) = &budget.spec else { return };
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        check.invalid(&field, "minAvailable and maxUnavailable", "only one of the two");
    }
    for (key, value) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
        let ok = match value {
            None => true,
            Some(IntOrString::Int(n)) => *n >= 0,
            Some(IntOrString::String(s)) => {
                s.strip_suffix('%').is_some_and(|p| !p.is_empty() && p.parse::<u32>().is_ok_and(|p| p <= 100))
            }
        };
        if !ok {
            check.invalid(
                &field.key(key),
                &format!("{value:?}"),
                "a number that is not negative, or a percentage",
            );
        }
    }
    if let Some(written) = &spec.selector {
        selector::label_selector(check, written, &field.key("selector"));
    }
}
