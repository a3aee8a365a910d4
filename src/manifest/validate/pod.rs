//! Pods and pod templates.

use k8s_openapi::api::core::v1::{
    Affinity, Container, PodAffinityTerm, PodSpec, ResourceRequirements, Toleration,
    TopologySpreadConstraint, Volume,
};

use super::{claim_spec, not_negative, resource_list, selector};
use crate::manifest::field::{Check, Field};
use crate::model::quantity::Quantity;

/// Checks a pod's spec.
pub fn spec(check: &mut Check<'_>, spec: &PodSpec, field: &Field<'_>) {
    containers(check, spec, field);
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    check.one_of(&field.key("restartPolicy"), policy, &["Always", "OnFailure", "Never"]);
    volumes(check, spec.volumes.as_deref().unwrap_or(&[]), &field.key("volumes"));
    if let Some(resources) = &spec.resources {
        requirements(check, resources, &field.key("resources"));
    }
    let overhead = field.key("overhead");
    for (name, quantity) in spec.overhead.iter().flatten() {
        not_negative(check, &overhead.key(name), quantity);
    }
    selector::labels(check, spec.node_selector.as_ref(), &field.key("nodeSelector"));
    if let Some(affinity) = &spec.affinity {
        self::affinity(check, affinity, &field.key("affinity"));
    }
    let tolerations = field.key("tolerations");
    for (i, t) in spec.tolerations.iter().flatten().enumerate() {
        toleration(check, t, &tolerations.index(i));
    }
    let spread = field.key("topologySpreadConstraints");
    let constraints = spec.topology_spread_constraints.as_deref().unwrap_or(&[]);
    for (i, constraint) in constraints.iter().enumerate() {
        let field = spread.index(i);
        topology_spread(check, constraint, &field);
        let same = |c: &TopologySpreadConstraint| {
            c.topology_key == constraint.topology_key && c.when_unsatisfiable == constraint.when_unsatisfiable
        };
        if constraints[..i].iter().any(same) {
            check.invalid(&field, &constraint.topology_key, "each topologyKey and whenUnsatisfiable once");
        }
    }
    let gated = spec.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty());
    if gated && spec.node_name.as_ref().is_some_and(|n| !n.is_empty()) {
        check.invalid(&field.key("nodeName"), "nodeName", "not together with schedulingGates");
    }
    if let Some(name) = spec.node_name.as_deref().filter(|n| !n.is_empty())
        && let Err(why) = selector::dns_name(name, 253, true)
    {
        check.invalid(&field.key("nodeName"), name, why);
    }
}

fn containers(check: &mut Check<'_>, spec: &PodSpec, field: &Field<'_>) {
    let containers = field.key("containers");
    if spec.containers.is_empty() {
        check.missing(&containers, "at least one");
    }
    let init = field.key("initContainers");
    let all = spec.containers.iter().enumerate().map(|(i, c)| (containers.index(i), c));
    let inits = spec.init_containers.iter().flatten().enumerate().map(|(i, c)| (init.index(i), c));
    let mut names: Vec<&str> = Vec::new();
    for (field, c) in all.chain(inits) {
        container(check, c, &field);
        if names.contains(&&*c.name) {
            check.invalid(&field.key("name"), &c.name, "each container name once");
        }
        names.push(&c.name);
    }
}

fn container(check: &mut Check<'_>, container: &Container, field: &Field<'_>) {
    if container.name.is_empty() {
        check.missing(&field.key("name"), "");
    } else if let Err(why) = selector::dns_name(&container.name, 63, false) {
        check.invalid(&field.key("name"), &container.name, why);
    }
    if let Some(resources) = &container.resources {
        requirements(check, resources, &field.key("resources"));
    }
    let ports = field.key("ports");
    for (i, port) in container.ports.iter().flatten().enumerate() {
        let field = ports.index(i);
        if !(1..=65535).contains(&port.container_port) {
            check.invalid(
                &field.key("containerPort"),
                &port.container_port.to_string(),
                "expected 1 .. 65535",
            );
        }
        if let Some(host) = port.host_port.filter(|p| !(0..=65535).contains(p)) {
            check.invalid(&field.key("hostPort"), &host.to_string(), "expected 1 .. 65535");
        }
        check.one_of(
            &field.key("protocol"),
            port.protocol.as_deref().unwrap_or("TCP"),
            &["TCP", "UDP", "SCTP"],
        );
    }
}

/// Resources of which a limit may be above the request.
fn overcommit(name: &str) -> bool {
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    native && !name.starts_with("hugepages-")
}

fn requirements(check: &mut Check<'_>, resources: &ResourceRequirements, field: &Field<'_>) {
    let (limits_field, requests_field) = (field.key("limits"), field.key("requests"));
    resource_list(check, resources.limits.as_ref(), &limits_field);
    resource_list(check, resources.requests.as_ref(), &requests_field);
    for (name, request) in resources.requests.iter().flatten() {
        let Ok(asked) = Quantity::parse(&request.0) else { continue };
        let limit = resources.limits.as_ref().and_then(|l| l.get(name));
        let parsed = limit.and_then(|l| Quantity::parse(&l.0).ok());
        let field = requests_field.key(name);
        match (limit, parsed) {
            (Some(limit), Some(most)) if asked > most => {
                check.invalid(&field, &request.0, &format!("at most the limit of {}", limit.0));
            }
            (Some(limit), Some(most)) if asked != most && !overcommit(name) => {
                check.invalid(&field, &request.0, &format!("must be equal to the limit of {}", limit.0));
            }
            (None, _) if !overcommit(name) => {
                check.missing(
                    &limits_field.key(name),
                    "a resource that cannot be over-committed needs a limit",
                );
            }
            _ => {}
        }
    }
}

fn volumes(check: &mut Check<'_>, volumes: &[Volume], field: &Field<'_>) {
    for (i, volume) in volumes.iter().enumerate() {
        let field = field.index(i);
        if volume.name.is_empty() {
            check.missing(&field.key("name"), "");
        } else if let Err(why) = selector::dns_name(&volume.name, 63, false) {
            check.invalid(&field.key("name"), &volume.name, why);
        }
        if volumes[..i].iter().any(|v| v.name == volume.name) {
            check.invalid(&field.key("name"), &volume.name, "each volume name once");
        }
        if let Some(claim) = &volume.persistent_volume_claim
            && claim.claim_name.is_empty()
        {
            check.missing(&field.key("persistentVolumeClaim").key("claimName"), "");
        }
        if let Some(ephemeral) = &volume.ephemeral {
            let source = field.key("ephemeral");
            let template_field = source.key("volumeClaimTemplate");
            match &ephemeral.volume_claim_template {
                Some(template) => claim_spec(check, &template.spec, &template_field.key("spec")),
                None => check.missing(&template_field, ""),
            }
        }
    }
}

fn affinity(check: &mut Check<'_>, affinity: &Affinity, field: &Field<'_>) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    if let Some(node) = &affinity.node_affinity {
        let field = field.key("nodeAffinity");
        if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
            selector::node_selector(check, required, &field.key(REQUIRED));
        }
        let preferred = field.key(PREFERRED);
        for (i, term) in
            node.preferred_during_scheduling_ignored_during_execution.iter().flatten().enumerate()
        {
            let field = preferred.index(i);
            weight(check, term.weight, &field);
            let preference = field.key("preference");
            let inner = &term.preference;
            selector::node_term(
                check,
                inner.match_expressions.as_deref(),
                inner.match_fields.as_deref(),
                &preference,
            );
        }
    }
    if let Some(pod) = &affinity.pod_affinity {
        let field = field.key("podAffinity");
        let required = field.key(REQUIRED);
        for (i, term) in pod.required_during_scheduling_ignored_during_execution.iter().flatten().enumerate()
        {
            pod_term(check, term, &required.index(i));
        }
        let preferred = field.key(PREFERRED);
        for (i, term) in pod.preferred_during_scheduling_ignored_during_execution.iter().flatten().enumerate()
        {
            weight(check, term.weight, &preferred.index(i));
            pod_term(check, &term.pod_affinity_term, &preferred.index(i).key("podAffinityTerm"));
        }
    }
    if let Some(pod) = &affinity.pod_anti_affinity {
        let field = field.key("podAntiAffinity");
        let required = field.key(REQUIRED);
        for (i, term) in pod.required_during_scheduling_ignored_during_execution.iter().flatten().enumerate()
        {
            pod_term(check, term, &required.index(i));
        }
        let preferred = field.key(PREFERRED);
        for (i, term) in pod.preferred_during_scheduling_ignored_during_execution.iter().flatten().enumerate()
        {
            weight(check, term.weight, &preferred.index(i));
            pod_term(check, &term.pod_affinity_term, &preferred.index(i).key("podAffinityTerm"));
        }
    }
}

fn weight(check: &mut Check<'_>, weight: i32, field: &Field<'_>) {
    if !(1..=100).contains(&weight) {
        check.invalid(&field.key("weight"), &weight.to_string(), "expected 1 .. 100");
    }
}

fn pod_term(check: &mut Check<'_>, term: &PodAffinityTerm, field: &Field<'_>) {
    topology_key(check, &term.topology_key, field);
    for (key, written) in
        [("labelSelector", &term.label_selector), ("namespaceSelector", &term.namespace_selector)]
    {
        if let Some(written) = written {
            selector::label_selector(check, written, &field.key(key));
        }
    }
}

fn topology_key(check: &mut Check<'_>, key: &str, field: &Field<'_>) {
    if key.is_empty() {
        check.missing(&field.key("topologyKey"), "for example kubernetes.io/hostname");
    } else if let Err(why) = selector::qualified_name(key) {
        check.invalid(&field.key("topologyKey"), key, why);
    }
}

fn topology_spread(check: &mut Check<'_>, constraint: &TopologySpreadConstraint, field: &Field<'_>) {
    if constraint.max_skew < 1 {
        check.invalid(&field.key("maxSkew"), &constraint.max_skew.to_string(), "at least 1");
    }
    topology_key(check, &constraint.topology_key, field);
    let action = &constraint.when_unsatisfiable;
    check.one_of(&field.key("whenUnsatisfiable"), action, &["DoNotSchedule", "ScheduleAnyway"]);
    if let Some(domains) = constraint.min_domains
        && (domains < 1 || action != "DoNotSchedule")
    {
        check.invalid(
            &field.key("minDomains"),
            &domains.to_string(),
            "at least 1, and only with DoNotSchedule",
        );
    }
    for (key, policy) in [
        ("nodeAffinityPolicy", &constraint.node_affinity_policy),
        ("nodeTaintsPolicy", &constraint.node_taints_policy),
    ] {
        check.one_of(&field.key(key), policy.as_deref().unwrap_or("Honor"), &["Honor", "Ignore"]);
    }
    if let Some(written) = &constraint.label_selector {
        selector::label_selector(check, written, &field.key("labelSelector"));
    }
}

fn toleration(check: &mut Check<'_>, toleration: &Toleration, field: &Field<'_>) {
    let key = toleration.key.as_deref().unwrap_or("");
    let operator = toleration.operator.as_deref().unwrap_or("");
    let value = toleration.value.as_deref().unwrap_or("");
    let effect = toleration.effect.as_deref().unwrap_or("");
    if !key.is_empty()
        && let Err(why) = selector::qualified_name(key)
    {
        check.invalid(&field.key("key"), key, why);
    }
    if key.is_empty() && operator != "Exists" {
        check.invalid(&field.key("operator"), operator, "must be Exists when the key is empty");
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        check.invalid(&field.key("effect"), effect, "must be NoExecute when tolerationSeconds is set");
    }
    check.one_of(&field.key("operator"), operator, &["", "Equal", "Exists", "Lt", "Gt"]);
    if operator == "Exists" && !value.is_empty() {
        check.invalid(&field.key("value"), value, "must be empty with operator Exists");
    }
    check.one_of(&field.key("effect"), effect, &["", "NoSchedule", "PreferNoSchedule", "NoExecute"]);
}
