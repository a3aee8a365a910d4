//! A made-up cluster as `kubectl get nodes,pv,pvc,sc,pods,sts,rs,... -A -o json` prints one: server-side fields, DaemonSet and
//! mirror pods, completed pods, pods of other schedulers, volumes of a CSI driver, kinds that nobody simulates.

use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Nodes; each has a DaemonSet pod and every 50th a mirror pod.
    pub nodes: usize,
    /// Pods in all.
    pub pods: usize,
    /// PersistentVolumes, each bound to a claim.
    pub volumes: usize,
    /// Bytes of `managedFields` per object.
    pub managed_bytes: usize,
}

/// What a simulator should find in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Pods that have ended.
    pub completed: usize,
    /// Objects of kinds that are not simulated.
    pub skipped: usize,
    /// Pods of another scheduler that wait.
    pub foreign_pending: usize,
}

/// Writes the snapshot.
pub fn write(size: Size, out: &mut impl Write) -> io::Result<Expected> {
    let mut list = List { out, first: true, managed: managed_fields(size.managed_bytes), serial: 0 };
    let mut expected = Expected::default();
    list.out.write_all(b"{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n")?;
    for (name, provisioner) in [("local", "kubernetes.io/no-provisioner"), ("san", "csi.example.com")] {
        list.add("storage.k8s.io/v1", "StorageClass", "", name, |o| {
            o.insert("provisioner".into(), provisioner.into());
            o.insert("volumeBindingMode".into(), "WaitForFirstConsumer".into());
        })?;
    }
    for i in 0..20 {
        list.add("v1", "ConfigMap", "default", &format!("settings-{i}"), |o| {
            o.insert("data".into(), json!({ "a": "b" }));
        })?;
        list.add("example.com/v1", "Widget", "default", &format!("widget-{i}"), |o| {
            o.insert("spec".into(), json!({ "size": i, "anything": { "goes": [1, 2, 3] } }));
        })?;
        expected.skipped += 2;
    }
    for i in 0..size.nodes {
        node(&mut list, i)?;
    }
    for i in 0..size.volumes {
        volume(&mut list, i, size.nodes)?;
    }
    sets(&mut list, size)?;
    pods(&mut list, size, &mut expected)?;
    list.out.write_all(b"\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n")?;
    Ok(expected)
}

/// Replicas of each StatefulSet.
const REPLICAS: usize = 5;

struct List<'a, W> {
    out: &'a mut W,
    first: bool,
    managed: Value,
    serial: u64,
}

impl<W: Write> List<'_, W> {
    fn add(
        &mut self,
        version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        fill: impl FnOnce(&mut Map<String, Value>),
    ) -> io::Result<()> {
        self.serial += 1;
        let mut metadata = Map::new();
        metadata.insert("name".into(), name.into());
        metadata.insert("uid".into(), uid(kind, name).into());
        metadata.insert("creationTimestamp".into(), "2026-01-02T03:04:05Z".into());
        metadata.insert("resourceVersion".into(), self.serial.to_string().into());
        metadata.insert("managedFields".into(), self.managed.clone());
        metadata.insert(
            "annotations".into(),
            json!({ "kubectl.kubernetes.io/last-applied-configuration": "{}" }),
        );
        if !namespace.is_empty() {
            metadata.insert("namespace".into(), namespace.into());
        }
        let mut object = Map::new();
        object.insert("apiVersion".into(), version.into());
        object.insert("kind".into(), kind.into());
        object.insert("metadata".into(), Value::Object(metadata));
        fill(&mut object);
        if !std::mem::take(&mut self.first) {
            self.out.write_all(b",\n")?;
        }
        // kubectl indents by four blanks.
        let mut indented = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut indented, format);
        serde::Serialize::serialize(&Value::Object(object), &mut serializer)?;
        self.out.write_all(&indented)
    }
}

fn uid(kind: &str, name: &str) -> String {
    let hash = blake3::hash(format!("{kind}/{name}").as_bytes()).to_hex();
    format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[12..15], &hash[15..18], &hash[18..30])
}

/// What server-side apply writes, about so many bytes of it.
fn managed_fields(bytes: usize) -> Value {
    let mut fields = Map::new();
    let mut written = 0;
    let mut number = 0;
    while written < bytes {
        let key = format!("f:field-{number}");
        let inner = json!({ ".": {}, "f:first": {}, "f:second": { ".": {}, "f:third": {} } });
        written += key.len() + 240;
        fields.insert(key, inner);
        number += 1;
    }
    json!([{ "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields, "manager": "kubelet", "operation": "Update",
             "time": "2026-01-02T03:04:05Z" }])
}

fn labelled(object: &mut Map<String, Value>, labels: Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.insert("labels".into(), labels);
    }
}

fn owned(object: &mut Map<String, Value>, kind: &str, name: &str) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        let version = if kind == "Node" { "v1" } else { "apps/v1" };
        let owner = json!([{ "apiVersion": version, "blockOwnerDeletion": true, "controller": true, "kind": kind, "name": name,
                             "uid": uid(kind, name) }]);
        metadata.insert("ownerReferences".into(), owner);
    }
}

fn node<W: Write>(list: &mut List<'_, W>, i: usize) -> io::Result<()> {
    let name = format!("node-{i}");
    let images: Vec<Value> = (0..30)
        .map(|k| json!({ "names": [format!("registry.example.com/image-{k}@sha256:{:064x}", k), format!("registry.example.com/image-{k}:v1")],
                         "sizeBytes": 1_000_000 * (k + 1) }))
        .collect();
    let condition = |kind: &str, status: &str| {
        json!({ "type": kind, "status": status, "reason": "KubeletReady", "message": "kubelet is posting ready status",
                "lastHeartbeatTime": "2026-01-02T03:04:05Z", "lastTransitionTime": "2026-01-02T03:04:05Z" })
    };
    list.add("v1", "Node", "", &name.clone(), |o| {
        labelled(o, json!({ "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": format!("zone-{}", i % 3) }));
        o.insert("spec".into(), json!({ "podCIDR": "10.0.0.0/24", "providerID": format!("example:///{name}") }));
        let amounts = json!({ "cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "100Gi" });
        o.insert(
            "status".into(),
            json!({
                "addresses": [{ "type": "InternalIP", "address": format!("10.{}.{}.1", i / 256, i % 256) }],
                "allocatable": amounts.clone(), "capacity": amounts,
                "conditions": [condition("MemoryPressure", "False"), condition("Ready", "True")],
                "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
                "images": images,
                "nodeInfo": { "architecture": "amd64", "bootID": "x", "containerRuntimeVersion": "containerd://2", "kernelVersion": "6",
                              "kubeProxyVersion": "v1.36.0", "kubeletVersion": "v1.36.0", "machineID": "m", "operatingSystem": "linux",
                              "osImage": "Linux", "systemUUID": "s" },
            }),
        );
    })
}

/// A volume and its claim: three of four local, the others of a CSI driver that is not modelled.
fn volume<W: Write>(list: &mut List<'_, W>, i: usize, nodes: usize) -> io::Result<()> {
    let (set, ordinal) = (i / REPLICAS, i % REPLICAS);
    let claim = format!("data-db-{set}-{ordinal}");
    let local = !i.is_multiple_of(4);
    let (name, class) = if local { (format!("local-pv-{i}"), "local") } else { (format!("pvc-{i}"), "san") };
    let reference = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim, "namespace": "default",
                            "resourceVersion": "1", "uid": uid("PersistentVolumeClaim", &claim) });
    let host = format!("node-{}", i % nodes);
    list.add("v1", "PersistentVolume", "", &name, |o| {
        let mut spec = json!({
            "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "100Gi" }, "claimRef": reference,
            "persistentVolumeReclaimPolicy": "Delete", "storageClassName": class, "volumeMode": "Filesystem",
        });
        if local {
            spec["local"] = json!({ "path": format!("/mnt/disks/{i}") });
            spec["nodeAffinity"] = json!({ "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": "kubernetes.io/hostname", "operator": "In", "values": [host] }] }] } });
        } else {
            spec["csi"] = json!({ "driver": "csi.example.com", "volumeHandle": format!("handle-{i}"), "fsType": "ext4" });
        }
        o.insert("spec".into(), spec);
        o.insert("status".into(), json!({ "phase": "Bound", "lastPhaseTransitionTime": "2026-01-02T03:04:05Z" }));
    })?;
    list.add("v1", "PersistentVolumeClaim", "default", &claim, |o| {
        if let Some(Value::Object(metadata)) = o.get_mut("metadata") {
            metadata.insert("finalizers".into(), json!(["kubernetes.io/pvc-protection"]));
            metadata.insert(
                "annotations".into(),
                json!({ "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
                        "volume.kubernetes.io/selected-node": host }),
            );
        }
        o.insert(
            "spec".into(),
            json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "80Gi" } },
                    "storageClassName": class, "volumeMode": "Filesystem", "volumeName": name }),
        );
        o.insert("status".into(), json!({ "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "100Gi" }, "phase": "Bound" }));
    })
}

fn template(app: &str) -> Value {
    json!({ "metadata": { "labels": { "app": app } }, "spec": pod_spec("", false) })
}

fn pod_spec(node: &str, claim: bool) -> Value {
    let env: Vec<Value> = (0..12)
        .map(|k| json!({ "name": format!("SETTING_{k}"), "value": format!("value of setting number {k}") }))
        .collect();
    let probe = json!({ "failureThreshold": 3, "httpGet": { "path": "/healthz", "port": 8080, "scheme": "HTTP" },
                        "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1 });
    let container = |name: &str, cpu: &str| {
        json!({ "name": name, "image": "registry.example.com/image-3:v1", "imagePullPolicy": "IfNotPresent", "env": env,
                "livenessProbe": probe, "readinessProbe": probe,
                "resources": { "limits": { "memory": "2Gi" }, "requests": { "cpu": cpu, "memory": "1Gi" } },
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "volumeMounts": [{ "mountPath": "/etc/settings", "name": "settings" },
                                 { "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "token", "readOnly": true }] })
    };
    let mut volumes = vec![
        json!({ "name": "settings", "configMap": { "defaultMode": 420, "name": "settings" } }),
        json!({ "name": "token", "projected": { "defaultMode": 420, "sources": [
            { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } }] } }),
    ];
    if claim {
        volumes.push(json!({ "name": "data", "persistentVolumeClaim": { "claimName": node } }));
    }
    json!({
        "containers": [container("main", "500m"), container("sidecar", "100m")],
        "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority", "priority": 0,
        "restartPolicy": "Always", "schedulerName": "default-scheduler", "securityContext": {}, "serviceAccount": "default",
        "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
        "tolerations": [
            { "effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300 },
            { "effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300 }],
        "volumes": volumes,
    })
}

fn sets<W: Write>(list: &mut List<'_, W>, size: Size) -> io::Result<()> {
    for set in 0..size.volumes.div_ceil(REPLICAS) {
        let app = format!("db-{set}");
        let replicas = (size.volumes - set * REPLICAS).min(REPLICAS);
        list.add("apps/v1", "StatefulSet", "default", &app.clone(), |o| {
            let claim = json!([{ "metadata": { "name": "data" }, "spec": { "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "80Gi" } }, "storageClassName": "local" } }]);
            o.insert(
                "spec".into(),
                json!({ "replicas": replicas, "selector": { "matchLabels": { "app": app } }, "serviceName": app,
                        "template": template(&app), "volumeClaimTemplates": claim, "podManagementPolicy": "Parallel" }),
            );
            o.insert("status".into(), json!({ "replicas": replicas, "readyReplicas": replicas, "collisionCount": 0 }));
        })?;
    }
    Ok(())
}

fn pods<W: Write>(list: &mut List<'_, W>, size: Size, expected: &mut Expected) -> io::Result<()> {
    let web = size.pods.saturating_sub(size.volumes + size.nodes + size.nodes.div_ceil(50));
    let completed = web / 10;
    let foreign = (web / 100).min(10);
    let replicas = web - completed - foreign;
    list.add("apps/v1", "ReplicaSet", "default", "web-5d5f", |o| {
        o.insert(
            "spec".into(),
            json!({ "replicas": replicas, "selector": { "matchLabels": { "app": "web" } }, "template": template("web") }),
        );
        o.insert("status".into(), json!({ "replicas": replicas }));
    })?;
    for i in 0..size.volumes {
        let (set, ordinal) = (i / REPLICAS, i % REPLICAS);
        let name = format!("db-{set}-{ordinal}");
        pod(list, size, i, &name, &format!("db-{set}"), |o| {
            owned(o, "StatefulSet", &format!("db-{set}"));
            o["spec"]["volumes"]
                .as_array_mut()
                .into_iter()
                .for_each(|v| v.push(json!({ "name": "data", "persistentVolumeClaim": { "claimName": format!("data-{name}") } })));
        })?;
    }
    for i in 0..size.nodes {
        pod(list, size, i, &format!("agent-{i}"), "agent", |o| owned(o, "DaemonSet", "agent"))?;
        if i.is_multiple_of(50) {
            pod(list, size, i, &format!("static-node-{i}"), "static", |o| {
                owned(o, "Node", &format!("node-{i}"));
                o["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "x" });
            })?;
        }
    }
    for i in 0..web {
        pod(list, size, i, &format!("web-5d5f-{i:05}"), "web", |o| {
            if i < completed {
                o["metadata"]["labels"] = json!({ "app": "batch" });
                o["status"]["phase"] = "Succeeded".into();
            } else if i < completed + foreign {
                o["metadata"]["labels"] = json!({ "app": "foreign" });
                o["spec"]["schedulerName"] = "other-scheduler".into();
                o["status"] = json!({ "phase": "Pending" });
                if let Some(spec) = o["spec"].as_object_mut() {
                    spec.remove("nodeName");
                }
            } else {
                owned(o, "ReplicaSet", "web-5d5f");
            }
        })?;
    }
    expected.completed = completed;
    expected.foreign_pending = foreign;
    Ok(())
}

fn pod<W: Write>(
    list: &mut List<'_, W>,
    size: Size,
    i: usize,
    name: &str,
    app: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) -> io::Result<()> {
    list.add("v1", "Pod", "default", name, |o| {
        labelled(o, json!({ "app": app }));
        let mut spec = pod_spec("", false);
        spec["nodeName"] = format!("node-{}", i % size.nodes).into();
        o.insert("spec".into(), spec);
        let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z" });
        let running = |name: &str| {
            json!({ "name": name, "image": "registry.example.com/image-3:v1", "imageID": format!("sha256:{:064x}", i), "ready": true,
                    "restartCount": 0, "started": true, "containerID": format!("containerd://{:064x}", i),
                    "state": { "running": { "startedAt": "2026-01-02T03:04:05Z" } }, "lastState": {} })
        };
        o.insert(
            "status".into(),
            json!({ "phase": "Running", "hostIP": "10.0.0.1", "podIP": "10.1.0.1", "podIPs": [{ "ip": "10.1.0.1" }],
                    "qosClass": "Burstable", "startTime": "2026-01-02T03:04:05Z",
                    "conditions": [condition("Initialized"), condition("Ready"), condition("ContainersReady"), condition("PodScheduled")],
                    "containerStatuses": [running("main"), running("sidecar")] }),
        );
        change(o);
    })
}
