//! Disks as volume groups.

use super::{RunEnd, end, plan, running};
use crate::scenario::BindingMode;

/// Two nodes with a volume group of 100Gi each; pods that want 60Gi.
fn volume_groups(control_plane: &str, sets: u32, first_cpu: u32) -> String {
    format!(
        "
version: 1
name: lvm
controlPlane: {control_plane}
cluster:
  storageClasses:
    - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}
  nodes:
    - {{name: a, count: 1, cpu: {first_cpu}, memory: 32Gi, disks: [{{class: local, count: 1, size: 100Gi, lvm: {{extent: 4Mi}}}}]}}
    - {{name: b, count: 1, cpu: 8, memory: 32Gi, disks: [{{class: local, count: 1, size: 100Gi, lvm: {{extent: 4Mi}}}}]}}
workload:
  generate:
    - {{name: db, kind: StatefulSet, sets: {sets}, replicas: 1, cpu: 1, memory: 1Gi,
       claims: [{{name: data, class: local, size: 60Gi}}]}}
"
    )
}

fn messages(end: &RunEnd) -> Vec<String> {
    let waiting = end.cluster.pods().iter().filter(|(_, pod)| pod.node.is_none());
    let mut messages: Vec<String> =
        waiting.filter_map(|(id, _)| end.message(id)).map(|(text, _)| text).collect();
    messages.dedup();
    messages
}

const NO_STORAGE: &str = "0/2 nodes are available: 2 node(s) did not have enough free storage. no new claims to deallocate, \
     preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";

#[test]
fn volume_groups_serve_what_fits() {
    let late = end(&plan(&volume_groups("ideal", 3, 8), BindingMode::WaitForFirstConsumer, 1));
    assert_eq!((running(&late), messages(&late)), (2, vec![NO_STORAGE.to_owned()]));
    let allocated: Vec<u64> = late.cluster.volume_groups().iter().map(|(_, g)| g.allocated_bytes()).collect();
    assert_eq!(allocated, [60 << 30, 60 << 30]);
    // Without asking the scheduler, the first claim goes where no CPU is.
    let early = end(&plan(&volume_groups("ideal", 1, 0), BindingMode::Immediate, 1));
    assert_eq!(running(&early), 0);
    assert_eq!(running(&end(&plan(&volume_groups("ideal", 1, 0), BindingMode::WaitForFirstConsumer, 1))), 1);
}

#[test]
fn a_burst_overbooks_and_is_scheduled_again() {
    let end = end(&plan(&volume_groups("kubernetes", 6, 8), BindingMode::WaitForFirstConsumer, 1));
    assert_eq!((running(&end), messages(&end)), (2, vec![NO_STORAGE.to_owned()]));
    let waiting = end.cluster.pods().iter().filter(|(_, pod)| pod.node.is_none());
    assert!(waiting.map(|(id, _)| end.attempts(id)).max() > Some(1), "all were sent to a node at first");
    let claims = end.cluster.claims().iter().filter(|(_, claim)| claim.volume_name.is_none());
    assert!(claims.into_iter().all(|(_, claim)| claim.selected_node.is_none()));
}
