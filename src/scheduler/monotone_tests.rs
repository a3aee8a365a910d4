//! One decision in which every node is looked at: another node in the cluster takes none away from those that pass the filters, as
//! long as nothing is spread over topologies.

use super::testing::{decide_one, node, pod, requests, with};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A node: CPU, memory in GiB, does it carry the label that pods select, is it tainted, sizes of its volumes in GiB.
type RandomNode = (u32, u32, bool, bool, Vec<u32>);

fn random_node() -> impl Strategy<Value = RandomNode> {
    (1u32..9, 1u32..17, any::<bool>(), prop::bool::weighted(0.2), prop::collection::vec(1u32..20, 0..3))
}

fn objects(at: usize, (cpu, memory, labelled, tainted, volumes): &RandomNode) -> Vec<Value> {
    let name = format!("n{at}");
    let mut labels = json!({});
    if *labelled {
        labels["disk"] = json!("ssd");
    }
    let taints =
        if *tainted { json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]) } else { json!([]) };
    let more = json!({
        "metadata": {"labels": labels},
        "spec": {"taints": taints},
        "status": {"allocatable": {"cpu": cpu.to_string(), "memory": format!("{memory}Gi"), "pods": "10"}},
    });
    let mut all = vec![node(&name, more)];
    for (v, size) in volumes.iter().enumerate() {
        let here = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [name]});
        all.push(json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("{name}-v{v}")},
            "spec": {
                "capacity": {"storage": format!("{size}Gi")}, "accessModes": ["ReadWriteOnce"],
                "storageClassName": "local", "persistentVolumeReclaimPolicy": "Retain", "local": {"path": "/d"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            },
            "status": {"phase": "Available"},
        }));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_node_takes_no_node_away(
        nodes in prop::collection::vec(random_node(), 2..8),
        (cpu, memory, claim) in (1u32..6, 1u32..10, prop::option::of(1u32..15)),
        (selects, tolerates) in (any::<bool>(), any::<bool>()),
    ) {
        let mut wanted = requests(json!({"cpu": cpu.to_string(), "memory": format!("{memory}Gi")}));
        let spec = &mut wanted["spec"];
        if selects {
            spec["nodeSelector"] = json!({"disk": "ssd"});
        }
        if tolerates {
            spec["tolerations"] = json!([{"operator": "Exists"}]);
        }
        let mut base = vec![json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
            "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer",
        })];
        if let Some(size) = claim {
            spec["volumes"] = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]);
            base.push(json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": "c", "namespace": "default", "uid": "u-c"},
                "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "local", "volumeMode": "Filesystem",
                         "resources": {"requests": {"storage": format!("{size}Gi")}}},
                "status": {"phase": "Pending"},
            }));
        }
        base.push(with(pod("p", json!({})), wanted));
        let decide = |count: usize| {
            let mut all = base.clone();
            all.extend(nodes[..count].iter().enumerate().flat_map(|(at, node)| objects(at, node)));
            decide_one(all)
        };
        let (fewer, more) = (decide(nodes.len() - 1), decide(nodes.len()));
        prop_assert!(fewer.not_evaluated.is_empty() && more.not_evaluated.is_empty());
        for name in &fewer.feasible {
            prop_assert!(more.feasible.contains(name), "{name} of {:?} is not among {:?}", fewer.feasible, more.feasible);
        }
        // And nothing becomes feasible by it but the new node itself.
        let new = format!("n{}", nodes.len() - 1);
        for name in more.feasible.iter().filter(|name| **name != new) {
            prop_assert!(fewer.feasible.contains(name), "{name} became feasible");
        }
    }
}
