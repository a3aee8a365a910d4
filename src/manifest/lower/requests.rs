//! What a pod asks for: `PodRequests` of k8s.io/component-helpers (KEP-753 for sidecars, KEP-2837 for pod-level resources, KEP-1287 for
//! resizes in place).

use super::node::from_quantities;
use super::{Lowered, quantity};
use crate::model::cluster::Cluster;
use crate::model::quantity::Quantity;
use crate::model::resources::Resources;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use std::collections::BTreeMap;

type List<'a> = BTreeMap<&'a str, Quantity>;
type ApiList = BTreeMap<String, ApiQuantity>;

/// CPU that a container without a cpu request counts for in scores: 100m.
const DEFAULT_CPU: Quantity = Quantity::from_milli(100);
/// Memory that a container without a memory request counts for in scores: 200 MiB.
const DEFAULT_MEMORY: Quantity = Quantity::from_int(200 * 1024 * 1024);

/// The three sums of a pod's requests that the scheduler uses.
pub(super) struct Requests {
    /// What must fit.
    pub fit: Resources,
    /// What is scored when the pod is scheduled.
    pub scoring: Resources,
    /// What it counts for in its node's non-zero sums: cpu, memory.
    pub nonzero: (i64, i64),
}

/// Sums up a pod. `status` counts only for assigned pods.
pub(super) fn pod_requests(
    cluster: &mut Cluster,
    spec: &core::PodSpec,
    status: Option<&core::PodStatus>,
) -> Lowered<Requests> {
    let status = status.filter(|_| spec.node_name.as_deref().is_some_and(|n| !n.is_empty()));
    let both: List = [("cpu", DEFAULT_CPU), ("memory", DEFAULT_MEMORY)].into();
    let exact = sum(spec, status, &List::new(), true)?;
    let with_defaults = sum(spec, status, &both, true)?;
    // NodeResourcesFit does not look at pod-level requests when it scores the pod at hand (it does when it fits it, and when the pod
    // runs): the switch of its scorer is never set.
    let scoring = sum(spec, status, &both, false)?;
    let nonzero = if spec.resources.as_ref().is_some_and(has_pod_level_requests) {
        // With pod-level requests a default stands in only for what the whole pod does not ask for.
        let missing = both.iter().filter(|(name, _)| !exact.contains_key(*name)).map(|(n, q)| (*n, *q));
        sum(spec, status, &missing.collect(), true)?
    } else {
        with_defaults
    };
    let nonzero = from_quantities(cluster, &nonzero).0;
    Ok(Requests {
        fit: from_quantities(cluster, &exact).0,
        scoring: from_quantities(cluster, &scoring).0,
        nonzero: (nonzero.cpu_milli, nonzero.memory_bytes),
    })
}

fn has_pod_level_requests(resources: &core::ResourceRequirements) -> bool {
    resources.requests.iter().flatten().any(|(name, _)| is_pod_level(name))
}

fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

fn sum<'a>(
    spec: &'a core::PodSpec,
    status: Option<&'a core::PodStatus>,
    defaults: &List<'a>,
    pod_level: bool,
) -> Lowered<List<'a>> {
    let infeasible = status.is_some_and(is_resize_infeasible);
    let mut total = List::new();
    for container in &spec.containers {
        let resized = status.and_then(|s| find_status(s.container_statuses.as_ref(), &container.name));
        add(&mut total, &container_requests(container, resized, infeasible, defaults)?);
    }
    let (mut sidecars, mut peak) = (List::new(), List::new());
    for container in spec.init_containers.iter().flatten() {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        let resized = status
            .filter(|_| sidecar)
            .and_then(|s| find_status(s.init_container_statuses.as_ref(), &container.name));
        let mut requests = container_requests(container, resized, infeasible, defaults)?;
        if sidecar {
            add(&mut total, &requests);
            add(&mut sidecars, &requests);
            requests = sidecars.clone();
        } else {
            add(&mut requests, &sidecars);
        }
        maximum(&mut peak, &requests);
    }
    maximum(&mut total, &peak);
    let whole = spec.resources.as_ref().filter(|_| pod_level).and_then(|r| r.requests.as_ref());
    let resized = whole.zip(status.filter(|s| s.resources.is_some()));
    let resized = resized.map(|(spec, status)| resized_pod(spec, status, infeasible)).transpose()?;
    for (name, text) in whole.into_iter().flatten().filter(|(name, _)| is_pod_level(name)) {
        let amount = match &resized {
            Some(all) => all.get(name.as_str()).copied().unwrap_or_default(),
            None => quantity("spec.resources.requests", text)?.rounded_up_to_milli(),
        };
        total.insert(name, amount);
    }
    add(&mut total, &list("spec.overhead", spec.overhead.as_ref())?);
    Ok(total)
}

/// What a pod whose own resources are being resized asks for.
fn resized_pod<'a>(spec: &'a ApiList, status: &'a core::PodStatus, infeasible: bool) -> Lowered<List<'a>> {
    let mut all = if infeasible { List::new() } else { list("spec.resources.requests", Some(spec))? };
    let actual = status.resources.as_ref().and_then(|r| r.requests.as_ref());
    maximum(&mut all, &list("status.resources", actual)?);
    maximum(&mut all, &list("status.allocatedResources", status.allocated_resources.as_ref())?);
    Ok(all)
}

fn find_status<'a>(
    statuses: Option<&'a Vec<core::ContainerStatus>>,
    name: &str,
) -> Option<&'a core::ContainerStatus> {
    statuses.into_iter().flatten().find(|s| s.name == name).filter(|s| s.resources.is_some())
}

fn is_resize_infeasible(status: &core::PodStatus) -> bool {
    let pending = status.conditions.iter().flatten().find(|c| c.type_ == "PodResizePending");
    pending.is_some_and(|c| c.reason.as_deref() == Some("Infeasible"))
}

fn container_requests<'a>(
    container: &'a core::Container,
    resized: Option<&'a core::ContainerStatus>,
    infeasible: bool,
    defaults: &List<'a>,
) -> Lowered<List<'a>> {
    let spec = effective(container.resources.as_ref())?;
    let mut requests = match resized {
        None => spec,
        Some(status) => {
            let mut all = if infeasible { List::new() } else { spec };
            maximum(
                &mut all,
                &list("status.resources", status.resources.as_ref().and_then(|r| r.requests.as_ref()))?,
            );
            maximum(&mut all, &list("status.allocatedResources", status.allocated_resources.as_ref())?);
            all
        }
    };
    for (name, amount) in defaults {
        requests.entry(name).or_insert(*amount);
    }
    Ok(requests)
}

/// Requests, with limits standing in where only they are given.
fn effective(resources: Option<&core::ResourceRequirements>) -> Lowered<List<'_>> {
    let Some(resources) = resources else { return Ok(List::new()) };
    let mut requests = list("resources.limits", resources.limits.as_ref())?;
    requests.extend(list("resources.requests", resources.requests.as_ref())?);
    Ok(requests)
}

fn list<'a>(path: &str, list: Option<&'a ApiList>) -> Lowered<List<'a>> {
    let entries = list.into_iter().flatten();
    entries.map(|(name, text)| Ok((name.as_str(), quantity(path, text)?.rounded_up_to_milli()))).collect()
}

fn add<'a>(total: &mut List<'a>, other: &List<'a>) {
    for (name, amount) in other {
        let sum = total.entry(name).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

fn maximum<'a>(total: &mut List<'a>, other: &List<'a>) {
    for (name, amount) in other {
        let most = total.entry(name).or_insert(*amount);
        *most = (*most).max(*amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Requests of a pod given as JSON `spec` and `status`: fit cpu, fit memory, scored cpu, scored memory.
    fn requests(spec: serde_json::Value, status: serde_json::Value) -> [i64; 4] {
        let spec: core::PodSpec = serde_json::from_value(spec).expect("spec");
        let status: core::PodStatus = serde_json::from_value(status).expect("status");
        let r = pod_requests(&mut Cluster::default(), &spec, Some(&status)).expect("requests");
        [r.fit.cpu_milli, r.fit.memory_bytes, r.scoring.cpu_milli, r.scoring.memory_bytes]
    }

    fn container(requests: serde_json::Value) -> serde_json::Value {
        json!({"name": "c", "resources": {"requests": requests}})
    }

    const MEM: i64 = 200 * 1024 * 1024;

    #[test]
    fn sums_of_containers() {
        let two = |r: serde_json::Value| json!({"containers": [container(r.clone()), container(r)]});
        // Rounded up to a thousandth per container, so two containers of 1u need 2m; memory then rounds up to whole bytes.
        assert_eq!(requests(two(json!({"cpu": "1u"})), json!({})), [2, 0, 2, 2 * MEM]);
        assert_eq!(requests(two(json!({"memory": "500m"})), json!({})), [0, 1, 200, 1]);
        // An explicit zero is a request: no default for scoring.
        assert_eq!(requests(two(json!({"cpu": "0", "memory": "0"})), json!({})), [0, 0, 0, 0]);
        let limits = json!({"containers": [{"name": "c", "resources": {"limits": {"cpu": "5300m", "memory": "5Gi"}}}]});
        assert_eq!(requests(limits, json!({})), [5300, 5 << 30, 5300, 5 << 30]);
    }

    #[test]
    fn sidecars_count_with_later_init_containers_and_with_containers() {
        let sidecar =
            |cpu| json!({"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}});
        let init = |cpu| json!({"name": "i", "resources": {"requests": {"cpu": cpu}}});
        let spec = |inits: Vec<serde_json::Value>| json!({"initContainers": inits, "containers": [container(json!({"cpu": "1", "memory": "1"}))], "overhead": {"cpu": "10m"}});
        // 1 (container) + 1 (sidecar) = 2 against 3 (init before the sidecar): 3.
        assert_eq!(requests(spec(vec![init("3"), sidecar("1")]), json!({}))[0], 3010);
        // The same init container after the sidecar runs beside it: 3 + 1.
        assert_eq!(requests(spec(vec![sidecar("1"), init("3")]), json!({}))[0], 4010);
    }

    #[test]
    fn pod_level_requests_replace_the_sum() {
        let spec =
            json!({"containers": [container(json!({"cpu": "1"}))], "resources": {"requests": {"cpu": "4"}}});
        // Scores of the pod at hand see its containers alone.
        assert_eq!(requests(spec, json!({})), [4000, 0, 1000, MEM]);
    }

    #[test]
    fn a_resize_of_the_whole_pod_counts_the_most_of_spec_allocated_and_actual() {
        let spec = json!({"nodeName": "n", "containers": [container(json!({"cpu": "1"}))],
            "resources": {"requests": {"cpu": "4", "memory": "8"}}});
        let status = json!({"resources": {"requests": {"cpu": "5", "memory": "7"}}, "allocatedResources": {"cpu": "6"}});
        assert_eq!(requests(spec.clone(), status.clone())[..2], [6000, 8]);
        let mut infeasible = status;
        infeasible["conditions"] =
            json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
        assert_eq!(requests(spec.clone(), infeasible)[..2], [6000, 7], "the wish does not count");
        assert_eq!(requests(spec, json!({}))[..2], [4000, 8], "no resize under way");
    }

    #[test]
    fn a_resize_counts_the_most_of_spec_allocated_and_actual_unless_infeasible() {
        let spec = json!({"nodeName": "n", "containers": [container(json!({"cpu": "4", "memory": "1"}))]});
        let status = |conditions: serde_json::Value| {
            json!({"conditions": conditions, "containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": true,
                "restartCount": 0, "resources": {"requests": {"cpu": "2"}}, "allocatedResources": {"cpu": "3"}}]})
        };
        assert_eq!(requests(spec.clone(), status(json!([])))[0], 4000);
        let infeasible = json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
        assert_eq!(requests(spec.clone(), status(infeasible))[0], 3000);
        let mut unassigned = spec;
        unassigned["nodeName"] = json!("");
        assert_eq!(
            requests(unassigned, status(json!([])))[0],
            4000,
            "status of an unassigned pod does not count"
        );
    }
}
