//! Pods and pod templates.

use super::workload::run_time;
use super::{
    Exported, JOB_NAME, Priorities, RUN_TIME, effect, labels, milli, node_selector, node_selector_term,
    object, resource_list, selector, shown, texts,
};
use crate::model::cluster::Cluster;
use crate::model::labels::LabelSelector;
use crate::model::names::{Name, Sym, sym};
use crate::model::pod::{Pod, PodOwner, PodPhase};
use crate::model::spec::*;
use serde_json::{Map, Value, json};

/// What a container runs if nothing says so: on KWOK nothing is run at all.
const IMAGE: &str = "registry.k8s.io/pause:3.10";

/// Pods that are there to stay, and those that have ended if they are asked for.
pub fn pods(cluster: &Cluster, priorities: &Priorities, ended: bool, out: &mut Exported) {
    let mut rows: Vec<(String, Sym, &Pod)> = Vec::new();
    for (_, pod) in cluster.pods().iter() {
        let spec = cluster.spec(pod.spec);
        if pod.deletion.is_some() {
            out.note("pods that are being deleted are left out");
        } else if pod.is_finished() && !ended {
            out.note("pods that have ended are left out (--ended writes them)");
        } else {
            if pod.is_finished() {
                out.note(
                    "pods have ended: an API server takes that over only with kubectl apply --server-side --subresource=status",
                );
            } else if spec.owner == OwnerKind::Job {
                out.note("pods of Jobs run for their whole time again");
            }
            if matches!(spec.owner, OwnerKind::DaemonSet | OwnerKind::Mirror | OwnerKind::Other) {
                out.note("pods of DaemonSets, kubelets and other owners are written as bare pods");
            }
            if spec.not_modelled.is_some() {
                out.note(
                    "pods are written without what is not modelled (resource claims, scheduling groups)",
                );
            }
            rows.push((shown(cluster, pod.name), spec.namespace, pod));
        }
    }
    rows.sort_by(|a, b| cluster.names.compare(a.1, b.1).then_with(|| a.0.cmp(&b.0)));
    for (name, namespace, pod) in rows {
        out.objects.push(pod_object(cluster, priorities, &name, namespace, pod));
    }
}

fn pod_object(cluster: &Cluster, priorities: &Priorities, name: &str, namespace: Sym, pod: &Pod) -> Value {
    let row = cluster.spec(pod.spec);
    let mut spec = pod_spec(cluster, priorities, row, Some(pod.name), &[]);
    if let (Some(node), Value::Object(map)) = (pod.node, &mut spec) {
        map.insert("nodeName".to_owned(), cluster.names.text(cluster.node(node).name).into());
    }
    let job = if let PodOwner::Job(job) = pod.owner { Some(&cluster.jobs()[job]) } else { None };
    if let Value::Object(map) = &mut spec
        && (row.owner == OwnerKind::Job || pod.is_finished())
    {
        map.insert("restartPolicy".to_owned(), "Never".into());
    }
    let phase = match pod.phase {
        PodPhase::Running => "Running",
        PodPhase::Unknown => "Unknown",
        PodPhase::Succeeded => "Succeeded",
        PodPhase::Failed => "Failed",
        PodPhase::Pending => "Pending",
    };
    let scheduled = json!({ "type": "PodScheduled", "status": "True" });
    let ready = json!({ "type": "Ready", "status": if pod.ready { "True" } else { "False" } });
    let conditions = if pod.node.is_some() { vec![scheduled, ready] } else { Vec::new() };
    let mut labels = labels(cluster, row.labels);
    let mut annotations = Map::new();
    if let Some(job) = job {
        labels[JOB_NAME] = shown(cluster, job.name).into();
        annotations.extend(job.duration.map(|time| (RUN_TIME.to_owned(), run_time(time).into())));
    }
    let metadata = object([
        ("annotations", Value::Object(annotations)),
        ("labels", labels),
        ("name", name.into()),
        ("namespace", cluster.names.text(namespace).into()),
    ]);
    object([
        ("apiVersion", "v1".into()),
        ("kind", "Pod".into()),
        ("metadata", metadata),
        ("spec", spec),
        ("status", object([("conditions", Value::Array(conditions)), ("phase", phase.into())])),
    ])
}

/// The spec of a pod of this name, or of a template (no name), whose claims by template are `templates`.
pub fn pod_spec(
    cluster: &Cluster,
    priorities: &Priorities,
    spec: &PodSpec,
    pod: Option<Name>,
    templates: &[Sym],
) -> Value {
    let (volumes, mounts) = volumes(cluster, spec, pod, templates);
    let mut node_labels = Map::new();
    for (key, value) in &spec.node_selector {
        node_labels.insert(cluster.names.text(*key).to_owned(), cluster.names.text(*value).into());
    }
    let scheduler =
        (spec.scheduler_name != sym::DEFAULT_SCHEDULER).then(|| cluster.names.text(spec.scheduler_name));
    let gates = spec.scheduling_gates.iter().map(|gate| json!({ "name": cluster.names.text(*gate) }));
    let grace = spec.termination_grace.as_nanos() / 1_000_000_000;
    object([
        ("affinity", spec.affinity.as_ref().map_or(Value::Null, |a| affinity(cluster, a))),
        ("containers", containers(cluster, spec, mounts)),
        ("nodeSelector", Value::Object(node_labels)),
        ("preemptionPolicy", if spec.never_preempts { "Never".into() } else { Value::Null }),
        ("priorityClassName", priorities.name(spec)),
        ("schedulerName", scheduler.map_or(Value::Null, Value::from)),
        ("schedulingGates", gates.collect()),
        ("terminationGracePeriodSeconds", if grace == 30 { Value::Null } else { grace.into() }),
        ("tolerations", spec.tolerations.iter().map(|t| toleration(cluster, t)).collect()),
        ("topologySpreadConstraints", spec.spread.iter().map(|s| spread(cluster, s)).collect()),
        ("volumes", volumes),
    ])
}

/// The first container has all requests; a container that asks for nothing says so where that counts for scores.
fn containers(cluster: &Cluster, spec: &PodSpec, mounts: Value) -> Value {
    let requests = &spec.requests;
    let mut list = resource_list(cluster, requests);
    if requests.cpu_milli == 0 && spec.nonzero_requests.0 != 0 {
        list.remove("cpu");
    }
    if requests.memory_bytes == 0 && spec.nonzero_requests.1 != 0 {
        list.remove("memory");
    }
    // Extended resources cannot be overcommitted: their limits are their requests.
    let extended: Map<String, Value> = requests
        .scalars
        .iter()
        .map(|(name, amount)| (cluster.names.text(*name).to_owned(), amount.to_string().into()))
        .collect();
    let ports = spec.host_ports.iter().map(|port| {
        let ip = (port.ip != sym::ANY_IP).then(|| cluster.names.text(port.ip));
        object([
            ("containerPort", port.port.into()),
            ("hostIP", ip.map_or(Value::Null, Value::from)),
            ("hostPort", port.port.into()),
            ("protocol", cluster.names.text(port.protocol).into()),
        ])
    });
    let image = |index: usize| spec.images.get(index).map_or(IMAGE, |image| cluster.names.text(*image));
    let resources = object([("limits", Value::Object(extended)), ("requests", Value::Object(list))]);
    let mut all = vec![object([
        ("image", image(0).into()),
        ("name", "main".into()),
        ("ports", ports.collect()),
        ("resources", resources),
        ("volumeMounts", mounts),
    ])];
    for index in 1..spec.images.len() {
        let nothing = json!({ "requests": { "cpu": milli(0), "memory": "0" } });
        all.push(json!({ "image": image(index), "name": format!("more-{index}"), "resources": nothing }));
    }
    Value::Array(all)
}

/// Volumes and their mounts (block devices cannot be told apart here and are mounted too).
fn volumes(cluster: &Cluster, spec: &PodSpec, pod: Option<Name>, templates: &[Sym]) -> (Value, Value) {
    let (mut volumes, mut mounts) = (Vec::new(), Vec::new());
    let claim = |name: String, read_only: bool| {
        let read_only = if read_only { Value::Bool(true) } else { Value::Null };
        ("persistentVolumeClaim", object([("claimName", name.into()), ("readOnly", read_only)]))
    };
    for (index, volume) in spec.volumes.iter().enumerate() {
        let mut name = format!("volume-{index}");
        let (kind, value) = match volume {
            PodVolume::Claim { name, read_only } => claim(shown(cluster, *name), *read_only),
            PodVolume::ClaimTemplate { prefix } => {
                name = cluster.names.text(*prefix).to_owned();
                match pod {
                    Some(pod) => claim(format!("{name}-{}", cluster.names.show(pod)), false),
                    // A StatefulSet adds the volumes of its claim templates itself.
                    None if templates.contains(prefix) => {
                        mounts.push(mount(&name));
                        continue;
                    }
                    None => continue,
                }
            }
            PodVolume::Ephemeral { suffix, claim: template } => {
                let suffix = cluster.names.text(*suffix);
                match (pod, template) {
                    // The claim is there, and without uids it is known by its name only.
                    (Some(pod), _) => claim(format!("{}-{suffix}", cluster.names.show(pod)), false),
                    (None, Some(template)) => {
                        let spec = super::storage::claim_spec(cluster, cluster.claim_spec(*template), None);
                        name = suffix.to_owned();
                        ("ephemeral", json!({ "volumeClaimTemplate": { "spec": spec } }))
                    }
                    (None, None) => continue,
                }
            }
            PodVolume::Exclusive { disk, monitors, read_only } => {
                let monitors = texts(cluster, monitors);
                exclusive(cluster.names.text(*disk), monitors, *read_only)
            }
        };
        mounts.push(mount(&name));
        volumes.push(object([(kind, value), ("name", name.into())]));
    }
    (Value::Array(volumes), Value::Array(mounts))
}

fn mount(name: &str) -> Value {
    json!({ "mountPath": format!("/mnt/{name}"), "name": name })
}

/// The inline disk that [`PodVolume::Exclusive`] stands for.
fn exclusive(disk: &str, monitors: Value, read_only: bool) -> (&'static str, Value) {
    let (kind, rest) = disk.split_once('/').unwrap_or(("", disk));
    match kind {
        "awsElasticBlockStore" => ("awsElasticBlockStore", json!({ "volumeID": rest })),
        "iscsi" => {
            let value = json!({ "iqn": rest, "lun": 0, "readOnly": read_only, "targetPortal": "127.0.0.1" });
            ("iscsi", value)
        }
        "rbd" => {
            let (pool, image) = rest.split_once('/').unwrap_or(("rbd", rest));
            ("rbd", json!({ "image": image, "monitors": monitors, "pool": pool, "readOnly": read_only }))
        }
        _ => ("gcePersistentDisk", json!({ "pdName": rest, "readOnly": read_only })),
    }
}

fn toleration(cluster: &Cluster, t: &Toleration) -> Value {
    let text = |s: Option<Sym>| s.map_or(Value::Null, |s| Value::from(cluster.names.text(s)));
    let seconds = t.seconds.map(|s| s.as_nanos() / 1_000_000_000);
    object([
        ("effect", t.effect.map_or(Value::Null, |e| effect(e).into())),
        ("key", text(t.key)),
        ("operator", if t.value.is_some() { "Equal" } else { "Exists" }.into()),
        ("tolerationSeconds", seconds.map_or(Value::Null, Value::from)),
        ("value", text(t.value)),
    ])
}

fn spread(cluster: &Cluster, s: &SpreadConstraint) -> Value {
    let when = match s.when_unsatisfiable {
        WhenUnsatisfiable::DoNotSchedule => "DoNotSchedule",
        WhenUnsatisfiable::ScheduleAnyway => "ScheduleAnyway",
    };
    object([
        ("labelSelector", selector(cluster, &s.selector)),
        ("maxSkew", s.max_skew.into()),
        ("minDomains", if s.min_domains > 1 { s.min_domains.into() } else { Value::Null }),
        ("nodeAffinityPolicy", if s.honor_node_affinity { Value::Null } else { "Ignore".into() }),
        ("nodeTaintsPolicy", if s.honor_node_taints { "Honor".into() } else { Value::Null }),
        ("topologyKey", cluster.names.text(s.topology_key).into()),
        ("whenUnsatisfiable", when.into()),
    ])
}

fn affinity(cluster: &Cluster, a: &Affinity) -> Value {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let node_preferred = a
        .node_preferred
        .iter()
        .map(|(weight, term)| json!({ "preference": node_selector_term(cluster, term), "weight": weight }));
    let required = |terms: &[PodAffinityTerm]| terms.iter().map(|t| pod_term(cluster, t)).collect();
    let preferred = |terms: &[(i32, PodAffinityTerm)]| {
        let one = |(weight, term): &(i32, PodAffinityTerm)| json!({ "podAffinityTerm": pod_term(cluster, term), "weight": weight });
        terms.iter().map(one).collect()
    };
    object([
        (
            "nodeAffinity",
            object([
                (PREFERRED, node_preferred.collect()),
                (REQUIRED, a.node_required.as_ref().map_or(Value::Null, |r| node_selector(cluster, r))),
            ]),
        ),
        (
            "podAffinity",
            object([(PREFERRED, preferred(&a.pod_preferred)), (REQUIRED, required(&a.pod_required))]),
        ),
        (
            "podAntiAffinity",
            object([(PREFERRED, preferred(&a.anti_preferred)), (REQUIRED, required(&a.anti_required))]),
        ),
    ])
}

fn pod_term(cluster: &Cluster, term: &PodAffinityTerm) -> Value {
    let mut value = object([
        ("namespaces", texts(cluster, &term.namespaces)),
        ("topologyKey", cluster.names.text(term.topology_key).into()),
    ]);
    if let Value::Object(map) = &mut value {
        for (key, chosen) in
            [("labelSelector", &term.selector), ("namespaceSelector", &term.namespace_selector)]
        {
            if *chosen != LabelSelector::Nothing {
                map.insert(key.to_owned(), selector(cluster, chosen));
            }
        }
    }
    value
}
