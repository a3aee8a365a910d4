//! Drops what nothing here looks at from objects that were read: a snapshot of a real cluster is mostly that.

use super::Object;
use k8s_openapi::api::core::v1::{Container, NodeStatus, PodSpec, PodStatus, Volume};

/// Frees what no rule depends on.
pub fn slim(object: &mut Object) {
    match object {
        Object::Pod(pod) => {
            pod.spec.iter_mut().for_each(pod_spec);
            pod.status.iter_mut().for_each(pod_status);
        }
        Object::Node(node) => node.status.iter_mut().for_each(node_status),
        Object::StatefulSet(o) => {
            o.spec.iter_mut().filter_map(|s| s.template.spec.as_mut()).for_each(pod_spec)
        }
        Object::Deployment(o) => {
            o.spec.iter_mut().filter_map(|s| s.template.spec.as_mut()).for_each(pod_spec)
        }
        Object::Job(o) => o.spec.iter_mut().filter_map(|s| s.template.spec.as_mut()).for_each(pod_spec),
        Object::ReplicaSet(o) => {
            let templates = o.spec.iter_mut().filter_map(|s| s.template.as_mut());
            templates.filter_map(|t| t.spec.as_mut()).for_each(pod_spec);
        }
        _ => {}
    }
}

fn pod_spec(spec: &mut PodSpec) {
    let all = spec.init_containers.iter_mut().flatten().chain(&mut spec.containers);
    all.for_each(container);
    if let Some(volumes) = &mut spec.volumes {
        volumes.retain(counts);
        volumes.shrink_to_fit();
    }
    spec.security_context = None;
    spec.dns_config = None;
    spec.host_aliases = None;
    spec.image_pull_secrets = None;
    spec.ephemeral_containers = None;
}

fn container(container: &mut Container) {
    container.env = None;
    container.env_from = None;
    container.volume_mounts = None;
    container.command = None;
    container.args = None;
    container.liveness_probe = None;
    container.readiness_probe = None;
    container.startup_probe = None;
    container.lifecycle = None;
    container.security_context = None;
    container.termination_message_path = None;
    container.termination_message_policy = None;
    container.image_pull_policy = None;
    container.working_dir = None;
}

/// Volumes that a decision may depend on.
fn counts(volume: &Volume) -> bool {
    let nothing = volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.projected.is_some()
        || volume.downward_api.is_some()
        || volume.empty_dir.is_some()
        || volume.host_path.is_some();
    !nothing
}

fn pod_status(status: &mut PodStatus) {
    let lists = [
        &mut status.container_statuses,
        &mut status.init_container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for one in lists.into_iter().flatten().flatten() {
        one.state = None;
        one.last_state = None;
        one.image = String::new();
        one.image_id = String::new();
        one.container_id = None;
        one.volume_mounts = None;
        one.user = None;
    }
    status.pod_ips = None;
    status.host_ips = None;
    status.pod_ip = None;
    status.host_ip = None;
    for condition in status.conditions.iter_mut().flatten() {
        condition.message = None;
    }
}

fn node_status(status: &mut NodeStatus) {
    status.addresses = None;
    status.node_info = None;
    status.volumes_attached = None;
    status.volumes_in_use = None;
    status.daemon_endpoints = None;
    status.config = None;
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ == "Ready");
    }
}
