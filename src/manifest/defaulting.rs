//! The API's defaults: what the API server and its default admission plugins fill in.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodAffinityTerm, PodSpec,
    ResourceRequirements, Toleration,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::objects::Object;
use crate::model::quantity::Quantity;

/// Seconds that pods tolerate a node that is not ready or unreachable, unless they say otherwise.
pub const TOLERATION_SECONDS: i64 = 300;
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

type ResourceList = Option<BTreeMap<String, Written>>;

/// Fills in the defaults of one object. What depends on other objects (classes, priorities) is done after loading.
pub fn object(object: &mut Object) {
    match object {
        Object::Node(node) => {
            let status = node.status.get_or_insert_default();
            if status.allocatable.is_none() {
                status.allocatable.clone_from(&status.capacity);
            }
            round_up(&mut status.capacity);
            round_up(&mut status.allocatable);
        }
        Object::PersistentVolume(pv) => {
            let spec = pv.spec.get_or_insert_default();
            round_up(&mut spec.capacity);
            default(&mut spec.persistent_volume_reclaim_policy, "Retain");
            default(&mut spec.volume_mode, "Filesystem");
            default(&mut pv.status.get_or_insert_default().phase, "Pending");
        }
        Object::PersistentVolumeClaim(c) => claim(c),
        Object::StorageClass(class) => {
            default(&mut class.reclaim_policy, "Delete");
            default(&mut class.volume_binding_mode, "Immediate");
        }
        Object::Pod(pod) => {
            let labels = pod.metadata.labels.clone().unwrap_or_default();
            if let Some(spec) = pod.spec.as_mut() {
                pod_spec(spec);
                pod_creation(spec, &labels);
            }
            default(&mut pod.status.get_or_insert_default().phase, "Pending");
        }
        Object::StatefulSet(set) => {
            let Some(spec) = set.spec.as_mut() else { return };
            spec.replicas.get_or_insert(1);
            default(&mut spec.pod_management_policy, "OrderedReady");
            default(&mut spec.update_strategy.get_or_insert_default().type_, "RollingUpdate");
            let policy = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
            default(&mut policy.when_deleted, "Retain");
            default(&mut policy.when_scaled, "Retain");
            spec.volume_claim_templates.iter_mut().flatten().for_each(claim);
            template(&mut spec.template.spec);
        }
        Object::Deployment(deployment) => {
            let Some(spec) = deployment.spec.as_mut() else { return };
            spec.replicas.get_or_insert(1);
            default(&mut spec.strategy.get_or_insert_default().type_, "RollingUpdate");
            template(&mut spec.template.spec);
        }
        Object::ReplicaSet(set) => {
            let Some(spec) = set.spec.as_mut() else { return };
            spec.replicas.get_or_insert(1);
            if let Some(t) = spec.template.as_mut() {
                template(&mut t.spec);
            }
        }
        Object::ReplicationController(controller) => {
            let Some(spec) = controller.spec.as_mut() else { return };
            spec.replicas.get_or_insert(1);
            if spec.selector.as_ref().is_none_or(BTreeMap::is_empty) {
                spec.selector =
                    spec.template.as_ref().and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.clone());
            }
            if let Some(t) = spec.template.as_mut() {
                template(&mut t.spec);
            }
        }
        Object::Job(job) => {
            let Some(spec) = job.spec.as_mut() else { return };
            if spec.completions.is_none() && spec.parallelism.is_none() {
                spec.completions = Some(1);
            }
            spec.parallelism.get_or_insert(1);
            spec.backoff_limit.get_or_insert(6);
            default(&mut spec.completion_mode, "NonIndexed");
            template(&mut spec.template.spec);
        }
        Object::Namespace(namespace) => {
            let name = namespace.metadata.name.clone().unwrap_or_default();
            let labels = namespace.metadata.labels.get_or_insert_default();
            labels.insert("kubernetes.io/metadata.name".to_owned(), name);
        }
        Object::PriorityClass(class) => default(&mut class.preemption_policy, "PreemptLowerPriority"),
        Object::CSIStorageCapacity(c) => {
            for quantity in [&mut c.capacity, &mut c.maximum_volume_size].into_iter().flatten() {
                round_up_one(quantity);
            }
        }
        Object::Service(_) | Object::PodDisruptionBudget(_) | Object::CSINode(_) | Object::CSIDriver(_) => {}
    }
}

fn default(field: &mut Option<String>, value: &str) {
    if field.as_ref().is_none_or(String::is_empty) {
        *field = Some(value.to_owned());
    }
}

/// A claim or a claim template.
fn claim(claim: &mut PersistentVolumeClaim) {
    claim_spec(claim.spec.get_or_insert_default());
    let status = claim.status.get_or_insert_default();
    default(&mut status.phase, "Pending");
    round_up(&mut status.capacity);
}

fn claim_spec(spec: &mut PersistentVolumeClaimSpec) {
    default(&mut spec.volume_mode, "Filesystem");
    let resources = spec.resources.get_or_insert_default();
    round_up(&mut resources.requests);
    round_up(&mut resources.limits);
}

/// A pod template. The defaults that the API gives to pods only are given here too: every pod of it would get them.
fn template(spec: &mut Option<PodSpec>) {
    if let Some(spec) = spec {
        pod_spec(spec);
        pod_creation(spec, &BTreeMap::new());
    }
}

/// Every quantity rounded up to thousandths.
fn round_up(list: &mut ResourceList) {
    list.iter_mut().flatten().for_each(|(_, quantity)| round_up_one(quantity));
}

fn round_up_one(written: &mut Written) {
    if let Ok(quantity) = Quantity::parse(&written.0) {
        let rounded = quantity.rounded_up_to_milli();
        if rounded != quantity {
            written.0 = rounded.to_string();
        }
    }
}

/// Defaults of pods and of templates.
fn pod_spec(spec: &mut PodSpec) {
    default(&mut spec.restart_policy, "Always");
    default(&mut spec.scheduler_name, "default-scheduler");
    spec.termination_grace_period_seconds.get_or_insert(30);
    round_up(&mut spec.overhead);
    if let Some(resources) = spec.resources.as_mut() {
        round_up(&mut resources.limits);
        round_up(&mut resources.requests);
    }
    for container in containers(spec) {
        for port in container.ports.iter_mut().flatten() {
            default(&mut port.protocol, "TCP");
        }
        if let Some(resources) = container.resources.as_mut() {
            round_up(&mut resources.limits);
            round_up(&mut resources.requests);
        }
    }
    for volume in spec.volumes.iter_mut().flatten() {
        let template = volume.ephemeral.as_mut().and_then(|e| e.volume_claim_template.as_mut());
        if let Some(template) = template {
            claim_spec(&mut template.spec);
        }
    }
}

fn containers(spec: &mut PodSpec) -> impl Iterator<Item = &mut Container> {
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten())
}

/// Defaults of pods only: requests from limits, host ports, tolerations, label keys. Call it with the labels of a pod that is made
/// from a template; calling it twice changes nothing.
pub fn pod_creation(spec: &mut PodSpec, labels: &BTreeMap<String, String>) {
    let host_network = spec.host_network == Some(true);
    for container in containers(spec) {
        if let Some(resources) = container.resources.as_mut() {
            requests_from_limits(resources);
        }
        for port in container.ports.iter_mut().flatten() {
            if host_network && port.host_port.is_none_or(|p| p == 0) {
                port.host_port = Some(port.container_port);
            }
        }
    }
    pod_level_requests(spec);
    tolerations(spec);
    label_keys(spec, labels);
}

fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = &resources.limits else { return };
    let requests = resources.requests.get_or_insert_default();
    for (name, quantity) in limits {
        requests.entry(name.clone()).or_insert_with(|| quantity.clone());
    }
}

/// Resources that a pod may ask for as a whole.
fn pod_level(name: &str) -> bool {
    name == "cpu" || name == "memory" || name.starts_with("hugepages-")
}

/// `spec.resources.requests`: per resource what the containers ask for together, else the pod's limit.
fn pod_level_requests(spec: &mut PodSpec) {
    if spec.resources.as_ref().is_none_or(|r| r.limits.as_ref().is_none_or(|l| l.is_empty())) {
        return;
    }
    let together = container_requests(spec);
    let Some(resources) = spec.resources.as_mut() else { return };
    let mut requests = resources.requests.take().unwrap_or_default();
    for (name, quantity) in together {
        // Huge pages cannot be over-committed, so they come from the limits.
        if pod_level(&name) && !name.starts_with("hugepages-") {
            requests.entry(name).or_insert_with(|| Written(quantity.to_string()));
        }
    }
    for (name, quantity) in resources.limits.iter().flatten() {
        if pod_level(name) {
            requests.entry(name.clone()).or_insert_with(|| quantity.clone());
        }
    }
    if !requests.is_empty() {
        resources.requests = Some(requests);
    }
}

/// What the containers ask for together: the sum of the regular ones and the sidecars, or what starting needs if that is more.
fn container_requests(spec: &PodSpec) -> BTreeMap<String, Quantity> {
    let list = |c: &Container| -> Vec<(String, Quantity)> {
        let requests = c.resources.as_ref().and_then(|r| r.requests.as_ref());
        let parsed = |(name, q): (&String, &Written)| Quantity::parse(&q.0).ok().map(|q| (name.clone(), q));
        requests.into_iter().flatten().filter_map(parsed).collect()
    };
    let mut running: BTreeMap<String, Quantity> = BTreeMap::new();
    for container in &spec.containers {
        for (name, quantity) in list(container) {
            let sum = running.entry(name).or_default();
            *sum = sum.saturating_add(quantity);
        }
    }
    let mut sidecars: BTreeMap<String, Quantity> = BTreeMap::new();
    let mut starting: BTreeMap<String, Quantity> = BTreeMap::new();
    for container in spec.init_containers.iter().flatten() {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        for (name, quantity) in list(container) {
            let before = sidecars.get(&name).copied().unwrap_or_default();
            let now = before.saturating_add(quantity);
            let most = starting.entry(name.clone()).or_default();
            *most = (*most).max(now);
            if sidecar {
                sidecars.insert(name.clone(), now);
                let sum = running.entry(name).or_default();
                *sum = sum.saturating_add(quantity);
            }
        }
    }
    for (name, quantity) in starting {
        let sum = running.entry(name).or_default();
        *sum = (*sum).max(quantity);
    }
    running
}

/// Admission plugin DefaultTolerationSeconds.
fn tolerations(spec: &mut PodSpec) {
    let all = spec.tolerations.get_or_insert_default();
    for taint in [NOT_READY, UNREACHABLE] {
        let covered = all.iter().any(|t| {
            let key = t.key.as_deref().unwrap_or("");
            let effect = t.effect.as_deref().unwrap_or("");
            (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        });
        if !covered {
            all.push(Toleration {
                key: Some(taint.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoExecute".to_owned()),
                toleration_seconds: Some(TOLERATION_SECONDS),
                value: None,
            });
        }
    }
}

/// `matchLabelKeys` and `mismatchLabelKeys` become requirements of the selectors beside them.
fn label_keys(spec: &mut PodSpec, labels: &BTreeMap<String, String>) {
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        if let Some(selector) = constraint.label_selector.as_mut() {
            merge(selector, constraint.match_label_keys.as_deref(), "In", labels);
        }
    }
    let Some(affinity) = spec.affinity.as_mut() else { return };
    let mut terms: Vec<&mut PodAffinityTerm> = Vec::new();
    if let Some(pod) = affinity.pod_affinity.as_mut() {
        terms.extend(pod.required_during_scheduling_ignored_during_execution.iter_mut().flatten());
        let preferred = pod.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
        terms.extend(preferred.map(|w| &mut w.pod_affinity_term));
    }
    if let Some(pod) = affinity.pod_anti_affinity.as_mut() {
        terms.extend(pod.required_during_scheduling_ignored_during_execution.iter_mut().flatten());
        let preferred = pod.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
        terms.extend(preferred.map(|w| &mut w.pod_affinity_term));
    }
    for term in terms {
        if let Some(selector) = term.label_selector.as_mut() {
            merge(selector, term.match_label_keys.as_deref(), "In", labels);
            merge(selector, term.mismatch_label_keys.as_deref(), "NotIn", labels);
        }
    }
}

fn merge(
    selector: &mut LabelSelector,
    keys: Option<&[String]>,
    operator: &str,
    labels: &BTreeMap<String, String>,
) {
    for key in keys.unwrap_or(&[]) {
        let Some(value) = labels.get(key) else { continue };
        let requirement = LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.to_owned(),
            values: Some(vec![value.clone()]),
        };
        let all = selector.match_expressions.get_or_insert_default();
        if !all.contains(&requirement) {
            all.push(requirement);
        }
    }
}
