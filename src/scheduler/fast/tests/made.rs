//! Volumes that are made for the pods of random cases.

use super::{Draw, object};
use crate::control::provisioner::csi::RecordingProvisioner;
use crate::engine::time::SimTime;
use crate::manifest::lower;
use crate::model::cluster::Cluster;
use crate::model::ids::NodeId;
use crate::model::names::sym;
use serde_json::{Value, json};

/// Classes of the claims: those of `made` and `zoned` are checked against published capacities, nodes count the volumes of `counted`.
pub const CLASSES: &[&str] =
    &["local", "local", "local", "other", "now", "made", "made", "zoned", "unchecked", "counted"];

/// The classes whose volumes somebody makes, and their drivers.
pub fn add_classes(cluster: &mut Cluster) {
    let zones =
        json!([{"matchLabelExpressions": [{"key": "topology.kubernetes.io/zone", "values": ["x", "y"]}]}]);
    let nowhere_else = |zones: &Value, class: &str| if class == "zoned" { zones.clone() } else { json!([]) };
    for (class, driver) in
        [("made", "lvm.csi"), ("zoned", "lvm.csi"), ("unchecked", "any.csi"), ("counted", "few.csi")]
    {
        let class = json!({"metadata": {"name": class}, "provisioner": driver,
            "volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": nowhere_else(&zones, class)});
        lower::add_class(cluster, &object(class)).expect("class");
    }
    let driver = json!({"metadata": {"name": "lvm.csi"}, "spec": {"storageCapacity": true}});
    lower::add_csi_driver(cluster, &object(driver)).expect("driver");
}

/// What a node can make, and how much of it.
pub fn add_node(cluster: &mut Cluster, draw: &mut Draw, name: &str) {
    let host = json!(["kubernetes.io/hostname"]);
    let mut few = json!({"name": "few.csi", "nodeID": name, "topologyKeys": host});
    if draw.below(2) == 0 {
        few["allocatable"] = json!({"count": 1});
    }
    let drivers = json!([{"name": "lvm.csi", "nodeID": name, "topologyKeys": host}, few]);
    let csi = json!({"metadata": {"name": name}, "spec": {"drivers": drivers}});
    lower::add_csi_node(cluster, &object(csi)).expect("CSINode");
    for class in ["made", "zoned"] {
        publish(cluster, draw, class, name);
    }
}

/// A node's capacity for a class, as one label with one value or otherwise.
fn publish(cluster: &mut Cluster, draw: &mut Draw, class: &str, node: &str) {
    let labels = match draw.below(8) {
        0 => return,
        1 => json!({"topology.kubernetes.io/zone": draw.pick(&["x", "y", "z"])}),
        2 => json!({"kubernetes.io/hostname": node, "disk": "ssd"}),
        _ => json!({"kubernetes.io/hostname": node}),
    };
    let name = format!("{class}-{node}");
    let mut capacity = json!({"metadata": {"name": name, "namespace": "default"}, "storageClassName": class,
        "nodeTopology": {"matchLabels": labels}, "capacity": draw.pick(&["0", "10Gi", "30Gi", "100Gi"])});
    if draw.below(2) == 0 {
        capacity["maximumVolumeSize"] = json!(draw.pick(&["5Gi", "20Gi", "60Gi"]));
    }
    lower::add_capacity(cluster, &object(capacity)).expect("capacity");
}

/// A capacity becomes another, a class allows other nodes, or a node counts volumes from now on.
pub fn disturb(cluster: &mut Cluster, draw: &mut Draw, node: NodeId) {
    let name = cluster.names.text(cluster.node(node).name).to_owned();
    match draw.below(8) {
        0 => {
            let class = cluster.names.intern("zoned");
            if let Some(mut class) = cluster.class(class).cloned() {
                class.allowed_topologies.clear();
                cluster.set_class(class);
            }
        }
        1 => {
            let mut csi = cluster.csi_node(cluster.node(node).name).cloned().unwrap_or_default();
            for driver in &mut csi.drivers {
                assert_eq!(driver.topology_keys, [sym::HOSTNAME]);
                driver.limit = Some(2);
            }
            cluster.set_csi_node(cluster.node(node).name, csi);
        }
        _ => {
            let class = draw.pick(&["made", "zoned"]);
            publish(cluster, draw, class, &name);
        }
    }
}

/// The provisioners do what they were asked for, and publish what is left.
pub fn provision(cluster: &mut Cluster) {
    RecordingProvisioner { capacity_tracking: true }.run(cluster, SimTime::ZERO);
}
