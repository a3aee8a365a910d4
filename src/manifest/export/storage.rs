//! Classes, volumes, claims and what CSI publishes.

use super::{Exported, gone_uid, labels, node_selector, object, selector, shown, sorted, texts};
use crate::model::cluster::Cluster;
use crate::model::names::{Sym, sym};
use crate::model::volume::*;
use serde_json::{Map, Value, json};

fn text_or_null(cluster: &Cluster, symbol: Option<Sym>) -> Value {
    symbol.map_or(Value::Null, |s| cluster.names.text(s).into())
}

fn modes(modes: AccessModes) -> Value {
    let all = [
        (AccessModes::RWO, "ReadWriteOnce"),
        (AccessModes::ROX, "ReadOnlyMany"),
        (AccessModes::RWX, "ReadWriteMany"),
        (AccessModes::RWOP, "ReadWriteOncePod"),
    ];
    all.iter().filter(|(mode, _)| modes.contains(*mode)).map(|(_, name)| Value::from(*name)).collect()
}

fn volume_mode(mode: VolumeMode) -> &'static str {
    match mode {
        VolumeMode::Filesystem => "Filesystem",
        VolumeMode::Block => "Block",
    }
}

/// StorageClasses.
pub fn classes(cluster: &Cluster, out: &mut Exported) {
    for class in sorted(cluster, cluster.classes(), |c| c.name) {
        let mut annotations = Map::new();
        if class.is_default {
            annotations.insert("storageclass.kubernetes.io/is-default-class".to_owned(), "true".into());
        }
        let topologies = class.allowed_topologies.iter().map(|term| {
            let expression = |(key, values): &(Sym, Vec<Sym>)| {
                object([("key", cluster.names.text(*key).into()), ("values", texts(cluster, values))])
            };
            let list: Vec<Value> = term.expressions.iter().map(expression).collect();
            json!({ "matchLabelExpressions": list })
        });
        let mode = match class.binding_mode {
            BindingMode::Immediate => "Immediate",
            BindingMode::WaitForFirstConsumer => "WaitForFirstConsumer",
        };
        let name = cluster.names.text(class.name);
        out.objects.push(object([
            ("allowVolumeExpansion", if class.allow_expansion { true.into() } else { Value::Null }),
            ("allowedTopologies", topologies.collect()),
            ("apiVersion", "storage.k8s.io/v1".into()),
            ("kind", "StorageClass".into()),
            ("metadata", object([("annotations", Value::Object(annotations)), ("name", name.into())])),
            ("provisioner", cluster.names.text(class.provisioner).into()),
            ("reclaimPolicy", class.reclaim.name().into()),
            ("volumeBindingMode", mode.into()),
        ]));
    }
}

/// CSIDrivers.
pub fn drivers(cluster: &Cluster, out: &mut Exported) {
    for driver in sorted(cluster, cluster.csi_drivers(), |d| d.name) {
        out.objects.push(json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "CSIDriver",
            "metadata": { "name": cluster.names.text(driver.name) },
            "spec": { "attachRequired": driver.attach_required, "storageCapacity": driver.storage_capacity },
        }));
    }
}

/// CSINodes of nodes that exist.
pub fn csi_nodes(cluster: &Cluster, out: &mut Exported) {
    for node in sorted(cluster, cluster.nodes().iter().filter(|(_, n)| n.exists).map(|(_, n)| n), |n| n.name)
    {
        let Some(csi) = cluster.csi_node(node.name) else { continue };
        let name = cluster.names.text(node.name);
        let drivers = csi.drivers.iter().map(|driver| {
            let limit = driver.limit.map_or(Value::Null, |count| json!({ "count": count }));
            object([
                ("allocatable", limit),
                ("name", cluster.names.text(driver.name).into()),
                ("nodeID", name.into()),
                ("topologyKeys", texts(cluster, &driver.topology_keys)),
            ])
        });
        let drivers: Vec<Value> = drivers.collect();
        out.objects.push(json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "CSINode",
            "metadata": { "name": name },
            "spec": { "drivers": drivers },
        }));
    }
}

/// CSIStorageCapacities.
pub fn capacities(cluster: &Cluster, out: &mut Exported) {
    for row in sorted(cluster, cluster.capacities().all().iter(), |c| c.name) {
        let quantity = |q: Option<crate::model::quantity::Quantity>| {
            q.map_or(Value::Null, |q| q.ceil().to_string().into())
        };
        let (namespace, name) = (cluster.names.text(row.namespace), cluster.names.text(row.name));
        out.objects.push(object([
            ("apiVersion", "storage.k8s.io/v1".into()),
            ("capacity", quantity(row.capacity)),
            ("kind", "CSIStorageCapacity".into()),
            ("maximumVolumeSize", quantity(row.maximum_volume_size)),
            ("metadata", json!({ "name": name, "namespace": namespace })),
            ("nodeTopology", row.topology.as_ref().map_or(Value::Null, |t| selector(cluster, t))),
            ("storageClassName", cluster.names.text(row.class).into()),
        ]));
    }
}

/// PersistentVolumes.
pub fn volumes(cluster: &Cluster, out: &mut Exported) {
    let rows: Vec<&Volume> = cluster.volumes().iter().map(|(_, v)| v).collect();
    for volume in sorted(cluster, rows.into_iter(), |v| v.name) {
        if volume.deletion.is_some() {
            out.note("volumes that are being deleted are left as if they were not");
        }
        out.objects.push(volume_object(cluster, volume));
    }
}

fn volume_object(cluster: &Cluster, volume: &Volume) -> Value {
    let name = cluster.names.text(volume.name);
    let affinity = volume.node_affinity.map(|id| node_selector(cluster, &cluster.node_selector(id)));
    let path = format!("/mnt/stowplan/{name}");
    let (source, value) = match volume.source {
        // The API refuses a local volume without node affinity.
        VolumeSource::Local if affinity.is_some() => ("local", json!({ "path": path })),
        VolumeSource::Csi { driver, handle } => {
            let (driver, handle) =
                (cluster.names.text(driver), handle.map_or(name, |h| cluster.names.text(h)));
            ("csi", json!({ "driver": driver, "volumeHandle": handle }))
        }
        VolumeSource::Local | VolumeSource::Other => ("hostPath", json!({ "path": path })),
    };
    let mut annotations = Map::new();
    if volume.bound_by_controller {
        annotations.insert("pv.kubernetes.io/bound-by-controller".to_owned(), "yes".into());
    }
    if let Some(by) = volume.provisioned_by {
        annotations.insert("pv.kubernetes.io/provisioned-by".to_owned(), cluster.names.text(by).into());
    }
    let spec = object([
        ("accessModes", modes(volume.modes)),
        ("capacity", json!({ "storage": volume.capacity.ceil().to_string() })),
        ("claimRef", volume.claim_ref.map_or(Value::Null, |r| claim_ref(cluster, volume, r))),
        ("nodeAffinity", affinity.map_or(Value::Null, |required| json!({ "required": required }))),
        ("persistentVolumeReclaimPolicy", volume.reclaim.name().into()),
        (source, value),
        (
            "storageClassName",
            if volume.class == sym::EMPTY { Value::Null } else { cluster.names.text(volume.class).into() },
        ),
        ("volumeAttributesClassName", text_or_null(cluster, volume.attributes_class)),
        ("volumeMode", volume_mode(volume.mode).into()),
    ]);
    let finalizers = if volume.protected { json!(["kubernetes.io/pv-protection"]) } else { Value::Null };
    let metadata = object([
        ("annotations", Value::Object(annotations)),
        ("finalizers", finalizers),
        ("labels", labels(cluster, volume.labels)),
        ("name", name.into()),
    ]);
    object([
        ("apiVersion", "v1".into()),
        ("kind", "PersistentVolume".into()),
        ("metadata", metadata),
        ("spec", spec),
        ("status", json!({ "phase": volume.phase.name() })),
    ])
}

/// Without a uid the PV controller takes the claim of this name for the volume's; a uid of nobody says that the claim is gone.
fn claim_ref(cluster: &Cluster, volume: &Volume, reference: ClaimRef) -> Value {
    let claim = cluster.claim_by_name(reference.namespace, reference.name).map(|id| cluster.claim(id));
    let same = claim.is_some_and(|claim| reference.uid.is_none_or(|uid| uid == claim.uid));
    let gone = reference.uid.filter(|_| !same || volume.phase == VolumePhase::Released);
    object([
        ("apiVersion", "v1".into()),
        ("kind", "PersistentVolumeClaim".into()),
        ("name", shown(cluster, reference.name).into()),
        ("namespace", cluster.names.text(reference.namespace).into()),
        ("uid", gone.map_or(Value::Null, |uid| gone_uid(uid).into())),
    ])
}

/// What a claim, or a volumeClaimTemplate, asks for.
pub fn claim_spec(cluster: &Cluster, spec: &ClaimSpec, volume: Option<Sym>) -> Value {
    // No class and the class "" are not the same.
    let mut value = object([
        ("accessModes", modes(spec.modes)),
        ("resources", json!({ "requests": { "storage": spec.request.ceil().to_string() } })),
        ("selector", spec.selector.as_ref().map_or(Value::Null, |s| selector(cluster, s))),
        ("volumeAttributesClassName", text_or_null(cluster, spec.attributes_class)),
        ("volumeMode", volume_mode(spec.mode).into()),
        ("volumeName", text_or_null(cluster, volume)),
    ]);
    if let (Some(class), Value::Object(map)) = (spec.class, &mut value) {
        map.insert("storageClassName".to_owned(), cluster.names.text(class).into());
    }
    value
}

/// PersistentVolumeClaims.
pub fn claims(cluster: &Cluster, out: &mut Exported) {
    let mut rows: Vec<(String, &Claim)> =
        cluster.claims().iter().map(|(_, claim)| (shown(cluster, claim.name), claim)).collect();
    rows.sort_by(|a, b| cluster.names.compare(a.1.namespace, b.1.namespace).then_with(|| a.0.cmp(&b.0)));
    for (name, claim) in rows {
        if claim.deletion.is_some() {
            out.note("claims that are being deleted are left as if they were not");
        }
        if matches!(claim.owner, ClaimOwner::Object(_)) {
            out.note("claims are no longer deleted with their pod or set: owners are known by uid");
        }
        out.objects.push(claim_object(cluster, claim, &name));
    }
}

fn claim_object(cluster: &Cluster, claim: &Claim, name: &str) -> Value {
    let mut annotations = Map::new();
    // The control plane calls a claim lost that says it was bound while its volume does not know its uid; without the annotation
    // it binds the two by name.
    let volume = claim.volume_name.and_then(|name| cluster.volume_by_name(name));
    let was_bound = claim.bind_completed && volume.is_none();
    let said = [
        ("pv.kubernetes.io/bind-completed", was_bound.then_some("yes")),
        ("pv.kubernetes.io/bound-by-controller", claim.bound_by_controller.then_some("yes")),
        ("volume.kubernetes.io/selected-node", claim.selected_node.map(|s| cluster.names.text(s))),
        (
            "volume.kubernetes.io/storage-provisioner",
            claim.storage_provisioner.map(|s| cluster.names.text(s)),
        ),
    ];
    for (key, value) in said {
        if let Some(value) = value {
            annotations.insert(key.to_owned(), value.into());
        }
    }
    let capacity = claim.capacity.map(|id| cluster.quantity(id));
    let capacity = capacity.map_or(Value::Null, |q| json!({ "storage": q.ceil().to_string() }));
    let finalizers = if claim.protected { json!(["kubernetes.io/pvc-protection"]) } else { Value::Null };
    let metadata = object([
        ("annotations", Value::Object(annotations)),
        ("finalizers", finalizers),
        ("name", name.into()),
        ("namespace", cluster.names.text(claim.namespace).into()),
    ]);
    object([
        ("apiVersion", "v1".into()),
        ("kind", "PersistentVolumeClaim".into()),
        ("metadata", metadata),
        ("spec", claim_spec(cluster, cluster.claim_spec(claim.spec), claim.volume_name)),
        ("status", object([("capacity", capacity), ("phase", claim.phase.name().into())])),
    ])
}
