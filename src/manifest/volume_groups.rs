//! The node annotation by which exported nodes carry their volume groups, which are no Kubernetes objects.

use super::export::VOLUME_GROUPS;
use super::{Located, Object};
use crate::model::cluster::Cluster;
use crate::model::volume_group::{GroupKind, VolumeGroup};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Group {
    name: String,
    #[serde(default)]
    classes: Vec<String>,
    size_bytes: u64,
    #[serde(default)]
    foreign_bytes: u64,
    /// Absent: a whole device.
    lvm: Option<Lvm>,
    #[serde(default)]
    allocations: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Lvm {
    extent_bytes: u64,
    overcommit_permille: u64,
}

/// Adds the volume groups of all nodes that say theirs; a group that is there already stays as it is.
///
/// # Errors
/// The node whose annotation cannot be read, and why.
pub fn add(cluster: &mut Cluster, objects: &[Located<Object>]) -> Result<(), (usize, String)> {
    for (index, object) in objects.iter().enumerate() {
        let Object::Node(node) = &object.value else { continue };
        let annotations = node.metadata.annotations.as_ref();
        let Some(text) = annotations.and_then(|all| all.get(VOLUME_GROUPS)) else { continue };
        let groups: Vec<Group> = serde_json::from_str(text)
            .map_err(|error| (index, format!("annotation {VOLUME_GROUPS}: {error}")))?;
        let node = cluster.names.intern(object.value.name());
        for group in groups {
            add_group(cluster, node, group);
        }
    }
    Ok(())
}

fn add_group(cluster: &mut Cluster, node: crate::model::names::Sym, group: Group) {
    let name = cluster.names.intern(&group.name);
    if cluster.volume_groups_on(node).iter().any(|id| cluster.volume_groups()[*id].name == name) {
        return;
    }
    let kind = match group.lvm {
        Some(lvm) => GroupKind::Lvm {
            extent_bytes: lvm.extent_bytes.max(1),
            overcommit_permille: lvm.overcommit_permille,
        },
        None => GroupKind::Device,
    };
    let classes = group.classes.iter().map(|class| cluster.names.intern(class)).collect();
    let mut row = VolumeGroup::new(name, node, classes, kind, group.size_bytes);
    row.foreign_bytes = group.foreign_bytes;
    let id = cluster.add_volume_group(row);
    for (volume, bytes) in group.allocations {
        let volume = cluster.names.intern(&volume);
        cluster.allocate(id, volume, bytes);
    }
}
