//! open-simulator's description of a node's local storage: volume groups and whole devices.
//!
//! It is the node annotation `simon/node-local-storage`, or a JSON file beside the node's YAML file with the same name:
//! `{"vgs": [{"name", "capacity", "requested"}], "devices": [{"name", "capacity", "mediaType", "isAllocated"}]}`, numbers and booleans
//! also as strings. Which classes draw on it follows from their parameters (`volumeType`, `mediaType`), or from the names that
//! open-local and open-simulator use (`open-local-lvm`, `yoda-device-hdd` ...).

use super::objects::{Located, Object};
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::names::{Sym, sym};
use crate::model::quantity::Quantity;
use crate::model::volume::{BindingMode, ReclaimPolicy, StorageClass};
use crate::model::volume_group::{GroupKind, VolumeGroup};
use k8s_openapi::api::core::v1::Node;
use serde_json::Value;
use std::collections::BTreeMap;

/// The annotation.
pub const ANNOTATION: &str = "simon/node-local-storage";
/// LVM's default extent.
const EXTENT_BYTES: u64 = 4 << 20;
/// Provisioner of the classes that open-simulator knows by name only.
const PROVISIONER: &str = "local.csi.aliyun.com";

/// Storage of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStorage {
    /// Name, bytes there are, bytes taken.
    groups: Vec<(String, u64, u64)>,
    /// Name, bytes, `hdd` or `ssd`, taken.
    devices: Vec<(String, u64, String, bool)>,
}

/// What a class asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Lvm,
    /// A whole device of this medium.
    Device(String),
}

impl NodeStorage {
    /// Reads the annotation's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<NodeStorage, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let list = |key: &str| match value.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.clone()),
            Some(_) => Err(format!("`{key}` is not a list")),
        };
        if !value.is_object() {
            return Err("not a mapping with vgs and devices".to_owned());
        }
        let mut storage = NodeStorage::default();
        for group in list("vgs")? {
            storage.groups.push((name(&group)?, bytes(&group, "capacity")?, optional(&group, "requested")?));
        }
        for device in list("devices")? {
            let medium = text_of(device.get("mediaType")).unwrap_or_default().to_lowercase();
            let taken = text_of(device.get("isAllocated")).is_some_and(|t| t == "true");
            storage.devices.push((name(&device)?, bytes(&device, "capacity")?, medium, taken));
        }
        Ok(storage)
    }
}

/// Is a JSON text that of a node's storage, and not a Kubernetes object?
pub fn is_sidecar(text: &str) -> bool {
    let mentions = text.contains("\"vgs\"") || text.contains("\"devices\"");
    let parsed = mentions.then(|| serde_json::from_str::<Value>(text).ok()).flatten();
    parsed.is_some_and(|v| v.get("kind").is_none() && (v.get("vgs").is_some() || v.get("devices").is_some()))
}

fn text_of(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}
fn name(entry: &Value) -> Result<String, String> {
    text_of(entry.get("name")).filter(|n| !n.is_empty()).ok_or_else(|| "an entry has no `name`".to_owned())
}
fn optional(entry: &Value, key: &str) -> Result<u64, String> {
    match text_of(entry.get(key)) {
        None => Ok(0),
        Some(text) if text.is_empty() => Ok(0),
        Some(_) => bytes(entry, key),
    }
}
fn bytes(entry: &Value, key: &str) -> Result<u64, String> {
    let text = text_of(entry.get(key)).ok_or_else(|| format!("an entry has no `{key}`"))?;
    let quantity = Quantity::parse(&text).map_err(|e| format!("`{key}`: {text:?}: {e}"))?;
    u64::try_from(quantity.ceil()).map_err(|_| format!("`{key}`: {text:?} is out of range"))
}

/// What the parameters or the name of a class say.
fn wanted(class: &str, parameters: Option<&BTreeMap<String, String>>) -> Option<Wanted> {
    let parameter = |key: &str| parameters.and_then(|p| p.get(key)).map(|v| v.to_lowercase());
    // The example of open-simulator itself says `sdd`.
    let medium = parameter("mediaType").map(|m| if m == "sdd" { "ssd".to_owned() } else { m });
    match parameter("volumeType").as_deref() {
        Some("lvm") => return Some(Wanted::Lvm),
        Some("device" | "mountpoint") => return medium.map(Wanted::Device),
        _ => {}
    }
    let kind = class.strip_prefix("open-local-").or_else(|| class.strip_prefix("yoda-"))?;
    let whole = kind.strip_prefix("device-").or_else(|| kind.strip_prefix("mountpoint-"));
    match whole {
        Some(medium @ ("hdd" | "ssd")) => Some(Wanted::Device(medium.to_owned())),
        Some(_) => None,
        None => kind.starts_with("lvm").then_some(Wanted::Lvm),
    }
}

/// Adds the storage that nodes of `objects` describe, and lets the classes of `objects` draw on all there is. Text that
/// [`NodeStorage::parse`] refuses is left out: the loader has warned.
pub fn add(cluster: &mut Cluster, objects: &[Located<Object>]) {
    for object in objects {
        if let Object::Node(node) = &object.value {
            add_groups(cluster, node);
        }
    }
    if cluster.volume_groups().is_empty() {
        return;
    }
    for (class, wanted) in classes(objects) {
        let name = cluster.names.intern(&class);
        let serving: Vec<_> = cluster
            .volume_groups()
            .iter()
            .filter(|(_, group)| match (&wanted, group.kind) {
                (Wanted::Lvm, GroupKind::Lvm { .. }) => group.medium == Some(sym::EMPTY),
                (Wanted::Device(medium), GroupKind::Device) => {
                    group.medium.is_some_and(|m| cluster.names.text(m) == medium)
                }
                _ => false,
            })
            .map(|(id, _)| id)
            .collect();
        for id in serving {
            cluster.serve_class(id, name);
        }
        if cluster.class(name).is_none() {
            add_class(cluster, name, wanted == Wanted::Lvm);
        }
    }
}

fn add_groups(cluster: &mut Cluster, node: &Node) {
    let annotations = node.metadata.annotations.as_ref();
    let Some(text) = annotations.and_then(|all| all.get(ANNOTATION)) else { return };
    let Ok(storage) = NodeStorage::parse(text) else { return };
    let node = cluster.names.intern(node.metadata.name.as_deref().unwrap_or(""));
    let there = |cluster: &Cluster, name: Sym| {
        cluster.volume_groups_on(node).iter().any(|id| cluster.volume_groups()[*id].name == name)
    };
    for (name, size, taken) in storage.groups {
        let name = cluster.names.intern(&name);
        if !there(cluster, name) {
            let kind = GroupKind::Lvm { extent_bytes: EXTENT_BYTES, overcommit_permille: 1000 };
            let mut group = VolumeGroup::new(name, node, Vec::new(), kind, size);
            (group.foreign_bytes, group.medium) = (taken, Some(sym::EMPTY));
            cluster.add_volume_group(group);
        }
    }
    for (name, size, medium, taken) in storage.devices {
        let name = cluster.names.intern(&name);
        if !there(cluster, name) {
            let mut group = VolumeGroup::new(name, node, Vec::new(), GroupKind::Device, size);
            group.foreign_bytes = if taken { size } else { 0 };
            group.medium = Some(cluster.names.intern(&medium));
            cluster.add_volume_group(group);
        }
    }
}

/// Classes of local storage that are there or asked for, by name.
fn classes(objects: &[Located<Object>]) -> BTreeMap<String, Wanted> {
    let mut found = BTreeMap::new();
    let mut note = |class: Option<&String>| {
        let known = class.and_then(|class| Some((class, wanted(class, None)?)));
        if let Some((class, wanted)) = known {
            found.entry(class.clone()).or_insert(wanted);
        }
    };
    for object in objects {
        match &object.value {
            Object::PersistentVolumeClaim(claim) => {
                note(claim.spec.as_ref().and_then(|s| s.storage_class_name.as_ref()));
            }
            Object::StatefulSet(set) => {
                let templates = set.spec.iter().flat_map(|s| s.volume_claim_templates.iter().flatten());
                for template in templates {
                    note(template.spec.as_ref().and_then(|s| s.storage_class_name.as_ref()));
                }
            }
            _ => {}
        }
    }
    for object in objects {
        let Object::StorageClass(class) = &object.value else { continue };
        let name = object.value.name();
        if let Some(wanted) = wanted(name, class.parameters.as_ref()) {
            found.insert(name.to_owned(), wanted);
        }
    }
    found
}

/// A class that is only known by its name.
fn add_class(cluster: &mut Cluster, name: Sym, allow_expansion: bool) {
    let class = StorageClass {
        name,
        provisioner: cluster.names.intern(PROVISIONER),
        binding_mode: BindingMode::WaitForFirstConsumer,
        reclaim: ReclaimPolicy::Delete,
        allowed_topologies: Vec::new(),
        is_default: false,
        allow_expansion,
        created: SimTime::ZERO,
    };
    cluster.set_class(class);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::manifest::{LoadOptions, Loader, Manifests, lower};

    fn load(texts: &[(&str, &str)]) -> Manifests {
        let mut loader = Loader::new(LoadOptions::default(), Sources::new());
        for (name, text) in texts {
            loader.text(name, (*text).to_owned());
        }
        loader.finish().unwrap_or_else(|e| panic!("{e:?}"))
    }

    const NODE: &str = "
apiVersion: v1
kind: Node
metadata: {name: worker-1, labels: {kubernetes.io/hostname: worker-1}}
status: {allocatable: {cpu: 8, memory: 16Gi, pods: 110}}
";
    const SIDECAR: &str = r#"{
        "vgs": [{"name": "pool0", "capacity": "100Gi", "requested": "1073741824"}],
        "devices": [
            {"name": "/dev/vdd", "capacity": "107374182400", "mediaType": "hdd", "isAllocated": "false"},
            {"name": "/dev/vde", "capacity": 107374182400, "mediaType": "SSD", "isAllocated": true}]}"#;
    const CLASSES: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: local.csi.aliyun.com
parameters: {volumeType: Device, mediaType: sdd}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c1}
spec: {storageClassName: yoda-lvm-default, accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c2}
spec: {storageClassName: open-local-mountpoint-hdd, accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c3}
spec: {storageClassName: unrelated, accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
";

    #[test]
    fn nodes_get_their_groups_and_devices() {
        let loaded =
            load(&[("n/worker-1.json", SIDECAR), ("n/worker-1.yaml", NODE), ("classes.yaml", CLASSES)]);
        assert_eq!(loaded.assumptions.len(), 1, "{:?}", loaded.assumptions);
        let mut cluster = Cluster::default();
        for object in &loaded.objects {
            match &object.value {
                Object::Node(node) => drop(lower::add_node(&mut cluster, node)),
                Object::StorageClass(class) => drop(lower::add_class(&mut cluster, class)),
                _ => {}
            }
        }
        add(&mut cluster, &loaded.objects);
        add(&mut cluster, &loaded.objects); // changes nothing
        let text = |s: &Sym| cluster.names.text(*s).to_owned();
        let shown: Vec<String> = cluster
            .volume_groups()
            .iter()
            .map(|(_, g)| {
                let classes: Vec<String> = g.classes.iter().map(text).collect();
                format!(
                    "{} {} {} [{}]",
                    text(&g.node),
                    text(&g.name),
                    g.free_bytes() >> 30,
                    classes.join(" ")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "worker-1 pool0 99 [yoda-lvm-default]",
                "worker-1 /dev/vdd 100 [open-local-mountpoint-hdd]",
                "worker-1 /dev/vde 0 [fast]",
            ]
        );
        let class = cluster.names.get("yoda-lvm-default").and_then(|name| cluster.class(name));
        let class = class.expect("made, because open-simulator knows it by name");
        assert_eq!((class.binding_mode, class.allow_expansion), (BindingMode::WaitForFirstConsumer, true));
        assert!(cluster.names.get("unrelated").and_then(|name| cluster.class(name)).is_none());
    }

    #[test]
    fn what_cannot_be_read_is_a_warning() {
        for (text, why) in [
            ("{", "EOF"),
            ("[]", "not a mapping"),
            (r#"{"vgs": {}}"#, "`vgs` is not a list"),
            (r#"{"vgs": [{"capacity": "1"}]}"#, "no `name`"),
            (r#"{"vgs": [{"name": "a"}]}"#, "no `capacity`"),
            (r#"{"vgs": [{"name": "a", "capacity": "10Gb"}]}"#, "10Gb"),
            (r#"{"devices": [{"name": "a", "capacity": "-1"}]}"#, "out of range"),
        ] {
            let error = NodeStorage::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
        let node =
            NODE.replace("labels:", "annotations: {simon/node-local-storage: '{\"vgs\": 1}'}, labels:");
        let loaded = load(&[("worker-1.yaml", &node)]);
        assert_eq!(loaded.warnings.len(), 1);
        assert!(loaded.warnings[0].message.contains("`vgs` is not a list"), "{:?}", loaded.warnings);
        let lonely = load(&[("x.json", SIDECAR), ("worker-1.yaml", NODE)]);
        assert!(lonely.warnings[0].message.contains("storage of no node"), "{:?}", lonely.warnings);
    }

    /// The files of open-simulator itself, if they are there.
    #[test]
    fn the_files_of_open_simulator() {
        let Ok(folder) = std::env::var("STOWPLAN_TRACES") else {
            println!("skipped: STOWPLAN_TRACES is not set");
            return;
        };
        let folder = std::path::Path::new(&folder).join("open-simulator");
        let mut loader = Loader::new(LoadOptions::default(), Sources::new());
        for name in
            ["nodes/master-1.json", "nodes/master-1.yaml", "nodes/worker-1.json", "nodes/worker-1.yaml"]
        {
            loader.file(&folder.join(name), None);
        }
        loader.file(&folder.join("app/sts-nginx.yaml"), None);
        let loaded = loader.finish().unwrap_or_else(|e| panic!("{e:?}"));
        let mut cluster = Cluster::default();
        add(&mut cluster, &loaded.objects);
        let gi: Vec<u64> = cluster.volume_groups().iter().map(|(_, g)| g.free_bytes() >> 30).collect();
        assert_eq!(gi[gi.len() - 3..], [100, 100, 100], "worker-1: two volume groups and a disk");
        assert!(cluster.volume_groups().iter().all(|(_, g)| g.classes.len() == 1));
    }
}
