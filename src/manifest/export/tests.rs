//! What is exported is what was read.

use super::*;
use crate::diagnostic::Sources;
use crate::manifest::{LoadOptions, Loader, Object, lower};

const STATE: &str = r#"
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: db}
value: 1000
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: Node
metadata: {name: n-0, labels: {kubernetes.io/hostname: n-0, zone: "1"}}
spec: {taints: [{key: dedicated, value: db, effect: NoSchedule}], unschedulable: true}
status: {allocatable: {cpu: 3500m, memory: 16Gi, pods: 110, nvidia.com/gpu: 2}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv-0}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 100Gi}
  local: {path: /mnt/0}
  claimRef: {namespace: prod, name: data-db-0}
  storageClassName: local
  persistentVolumeReclaimPolicy: Delete
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [n-0]}]}]}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-db-0, namespace: prod}
spec: {accessModes: [ReadWriteOnce], storageClassName: local, volumeName: pv-0, resources: {requests: {storage: 50Gi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: prod}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      priorityClassName: db
      tolerations: [{key: dedicated, operator: Exists}]
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}
      containers: [{name: c, image: mysql:8, resources: {requests: {cpu: "1.5", memory: 4Gi}}}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: local, resources: {requests: {storage: 50Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: lone, namespace: prod, labels: {app: x}}
spec:
  nodeName: n-0
  containers: [{name: c, resources: {requests: {nvidia.com/gpu: 1}, limits: {nvidia.com/gpu: 1}}, ports: [{containerPort: 80, hostPort: 8080}]}]
  volumes: [{name: d, persistentVolumeClaim: {claimName: data-db-0}}]
status: {phase: Running}
"#;

fn cluster(text: &str) -> Cluster {
    let mut loader = Loader::new(LoadOptions::default(), Sources::new());
    loader.text("state.yaml", text.to_owned());
    let loaded = loader.finish().unwrap_or_else(|e| panic!("{e}\n{text}"));
    let mut cluster = Cluster::default();
    for object in &loaded.objects {
        match &object.value {
            Object::PriorityClass(o) => lower::add_priority_class(&mut cluster, o).expect("good"),
            Object::StorageClass(o) => lower::add_class(&mut cluster, o).expect("good"),
            Object::Namespace(o) => lower::add_namespace(&mut cluster, o).expect("good"),
            Object::Node(o) => drop(lower::add_node(&mut cluster, o).expect("good")),
            Object::PersistentVolume(o) => drop(lower::add_volume(&mut cluster, o).expect("good")),
            Object::PersistentVolumeClaim(o) => drop(lower::add_claim(&mut cluster, o).expect("good")),
            Object::StatefulSet(o) => drop(lower::add_stateful_set(&mut cluster, o).expect("good")),
            Object::Pod(o) => drop(lower::add_pod(&mut cluster, o).expect("good")),
            other => panic!("{}", other.kind()),
        }
    }
    cluster
}

#[test]
fn exporting_what_was_exported_gives_the_same() {
    let first = objects(&cluster(STATE), false).yaml("first");
    let second = objects(&cluster(&first), false).yaml("first");
    assert_eq!(first, second);
    for wanted in [
        "kwok.x-k8s.io/node: fake",
        "priorityClassName: db",
        "nodeName: n-0",
        "volumeName: pv-0",
        "nvidia.com/gpu: \"1\"",
        "hostPort: 8080",
        "cpu: 1500m",
        "kind: Namespace",
        "serviceName: db",
        "effect: NoSchedule",
    ] {
        let wanted = wanted.replace("cpu: 1500m", "cpu: \"1500m\"");
        assert!(first.contains(&wanted), "{wanted} is missing in\n{first}");
    }
}

#[test]
fn a_claim_that_is_gone_keeps_its_volume_released() {
    let text = STATE
        .replace("name: data-db-0}\n  storageClassName", "name: data-db-9, uid: gone}\n  storageClassName");
    let text =
        text.replace("  nodeAffinity: {required", "  volumeMode: Filesystem\n  nodeAffinity: {required");
    let yaml = objects(&cluster(&text), false).yaml("t");
    assert!(yaml.contains("uid: \"00000000-0000-4000-8000-"), "{yaml}");
    assert!(
        !objects(&cluster(STATE), false).yaml("t").contains("uid:"),
        "a living claim is found by its name"
    );
}
