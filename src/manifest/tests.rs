use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::*;
use crate::diagnostic::{Diagnostics, Sources};

fn load(text: &str) -> Result<Manifests, Diagnostics> {
    load_named("m.yaml", text)
}

fn load_named(name: &str, text: &str) -> Result<Manifests, Diagnostics> {
    let mut loader = Loader::new(LoadOptions::default(), Sources::new());
    loader.text(name, text.to_owned());
    loader.finish()
}

fn ok(text: &str) -> Manifests {
    load(text).unwrap_or_else(|e| panic!("{e}"))
}

fn pod(manifests: &Manifests) -> &Pod {
    let found = manifests.objects.iter().find_map(|o| match &o.value {
        Object::Pod(pod) => Some(pod),
        _ => None,
    });
    found.expect("a pod")
}

fn pod_spec(text: &str) -> PodSpec {
    pod(&ok(text)).spec.clone().expect("a spec")
}

fn warnings(manifests: &Manifests) -> String {
    manifests.warnings.iter().map(|w| w.render(&manifests.sources, false) + "\n").collect()
}

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: c, image: i}\n";
const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec:\n  accessModes: [ReadWriteOnce]\n  storageClassName: local\n  resources: {requests: {storage: 10Gi}}\n";
const VOLUME: &str = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: pv}\nspec:\n  accessModes: [ReadWriteOnce]\n  capacity: {storage: 10Gi}\n  local: {path: /mnt}\n  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [n1]}]}]}}\n";
const SET: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec:\n  replicas: 3\n  serviceName: s\n  selector: {matchLabels: {app: s}}\n  template:\n    metadata: {labels: {app: s}}\n    spec:\n      containers: [{name: c, image: i}]\n  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {kubernetes.io/hostname: n1}}\nstatus: {capacity: {cpu: 4, memory: 8Gi, pods: 110}}\n";

#[test]
fn lists_documents_json_and_unknown_kinds() {
    let yaml = format!(
        "{NODE}---\n{POD}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\n---\napiVersion: example.com/v1\nkind: Node\nmetadata: {{name: y}}\n"
    );
    let manifests = ok(&yaml);
    let kinds: Vec<&str> = manifests.objects.iter().map(|o| o.value.kind()).collect();
    assert_eq!(kinds, ["Node", "Pod"]);
    let skipped: Vec<(&str, u64)> = manifests.skipped.iter().map(|s| (&*s.kind, s.count)).collect();
    assert_eq!(skipped, [("ConfigMap", 1), ("example.com/v1 Node", 1)]);

    let item = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"NAME"},"spec":{"containers":[{"name":"c","image":"i"}]}}"#;
    let bare = r#"{"metadata":{"name":"NAME"},"spec":{"containers":[{"name":"c","image":"i"}]}}"#;
    for (list, want) in [
        (
            format!(
                r#"{{"apiVersion":"v1","items":[{},{}],"kind":"List"}}"#,
                item.replace("NAME", "a"),
                item.replace("NAME", "b")
            ),
            2,
        ),
        (format!(r#"{{"items":[{}],"kind":"PodList","apiVersion":"v1"}}"#, bare.replace("NAME", "a")), 1),
        (format!("{}\n{}", item.replace("NAME", "a"), item.replace("NAME", "b")), 2),
        ("{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[]}".to_owned(), 0),
        (format!("{{apiVersion: v1, kind: List, items: [{}]}}", item.replace("NAME", "a")), 1),
    ] {
        let manifests = load_named("<stdin>", &list).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(manifests.objects.len(), want, "{list}");
        assert!(manifests.objects.iter().all(|o| o.value.namespace() == "default"));
    }
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}\n", NODE.trim_end().replace('\n', "\n  "));
    assert_eq!(ok(&list).objects.len(), 1);
}

#[test]
fn old_forms_are_converted() {
    let affinity = r#"{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"kubernetes.io/hostname","operator":"In","values":["k8s-node1-product"]}]}]}}"#;
    let text = format!(
        "apiVersion: v1\nkind: PersistentVolume\nmetadata:\n  name: pv\n  annotations:\n    volume.alpha.kubernetes.io/node-affinity: '{affinity}'\nspec:\n  capacity: {{storage: 10Gi}}\n  accessModes: [ReadWriteOnce]\n  storageClassName: local-storage\n  local: {{path: /data}}\n---\napiVersion: apps/v1beta1\nkind: StatefulSet\nmetadata: {{name: mysql-5.7}}\nspec:\n  serviceName: mysql\n  replicas: 1\n  template:\n    metadata: {{labels: {{app: mysql}}}}\n    spec:\n      containers:\n      - {{name: mysql, image: mysql:5.7, resources: {{limits: {{cpu: 5300m, memory: 5Gi}}}}}}\n  volumeClaimTemplates:\n  - metadata:\n      name: data\n      annotations: {{volume.beta.kubernetes.io/storage-class: local-storage}}\n    spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 10Gi}}}}}}\n"
    );
    let manifests = ok(&text);
    let Object::PersistentVolume(pv) = &manifests.objects[0].value else { panic!("no volume") };
    let terms = pv.spec.as_ref().and_then(|s| s.node_affinity.as_ref()).and_then(|a| a.required.as_ref());
    assert_eq!(terms.map(|t| t.node_selector_terms.len()), Some(1));
    let Object::StatefulSet(set) = &manifests.objects[1].value else { panic!("no set") };
    let spec = set.spec.as_ref().expect("a spec");
    assert_eq!(
        spec.selector.match_labels.as_ref().and_then(|l| l.get("app")).map(String::as_str),
        Some("mysql")
    );
    assert_eq!(spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref()), Some("OnDelete"));
    let claim = spec.volume_claim_templates.as_ref().and_then(|t| t[0].spec.as_ref()).expect("a claim");
    assert_eq!(claim.storage_class_name.as_deref(), Some("local-storage"));
    let requests =
        spec.template.spec.as_ref().and_then(|s| s.containers[0].resources.as_ref()?.requests.as_ref());
    assert_eq!(requests.and_then(|r| r.get("cpu")).map(|q| &*q.0), Some("5300m"));
    let forms: Vec<&str> = manifests.assumptions.iter().map(|a| &*a.path).collect();
    assert_eq!(
        forms,
        [
            "PersistentVolume annotation volume.alpha.kubernetes.io/node-affinity",
            "PersistentVolumeClaim annotation volume.beta.kubernetes.io/storage-class",
            "apps/v1beta1 StatefulSet",
        ]
    );
    assert_eq!(
        manifests.warnings.len(),
        4,
        "one per form, and the name with a dot: {}",
        warnings(&manifests)
    );
}

#[test]
fn the_field_beats_the_alpha_annotation_but_not_the_beta_one() {
    let text = VOLUME.replace(
        "metadata: {name: pv}",
        "metadata: {name: pv, annotations: {volume.alpha.kubernetes.io/node-affinity: 'not even JSON', volume.beta.kubernetes.io/storage-class: old}}",
    );
    let text = text.replace("  local:", "  storageClassName: new\n  local:");
    let manifests = ok(&text);
    let Object::PersistentVolume(pv) = &manifests.objects[0].value else { panic!("no volume") };
    assert_eq!(pv.spec.as_ref().and_then(|s| s.storage_class_name.as_deref()), Some("old"));
    assert!(warnings(&manifests).contains("spec.nodeAffinity is there and wins"));
}

#[test]
fn defaults_are_those_of_the_api() {
    let spec = pod_spec(&POD.replace(
        "{name: c, image: i}",
        "{name: c, image: i, ports: [{containerPort: 80}], resources: {limits: {cpu: 0.0001, memory: 1Gi}, requests: {memory: 512Mi}}}",
    ));
    let requests = spec.containers[0].resources.as_ref().and_then(|r| r.requests.clone()).unwrap_or_default();
    let text = |key: &str| requests.get(key).map(|q| q.0.clone());
    assert_eq!(
        (text("cpu"), text("memory")),
        (Some("1m".into()), Some("512Mi".into())),
        "rounded up to thousandths"
    );
    assert_eq!(spec.containers[0].ports.as_ref().and_then(|p| p[0].protocol.as_deref()), Some("TCP"));
    assert_eq!(spec.restart_policy.as_deref(), Some("Always"));
    assert_eq!(spec.scheduler_name.as_deref(), Some("default-scheduler"));
    assert_eq!((spec.termination_grace_period_seconds, spec.priority), (Some(30), Some(0)));
    let tolerations: Vec<(Option<&str>, Option<i64>)> =
        spec.tolerations.iter().flatten().map(|t| (t.key.as_deref(), t.toleration_seconds)).collect();
    assert_eq!(
        tolerations,
        [
            (Some("node.kubernetes.io/not-ready"), Some(300)),
            (Some("node.kubernetes.io/unreachable"), Some(300)),
        ]
    );

    let own = pod_spec(&format!("{POD}  tolerations: [{{operator: Exists}}]\n"));
    assert_eq!(own.tolerations.map(|t| t.len()), Some(1), "a toleration of everything is enough");

    let manifests = ok(&format!("{NODE}---\n{VOLUME}---\n{CLAIM}---\n{SET}"));
    let Object::Node(node) = &manifests.objects[0].value else { panic!("no node") };
    let status = node.status.as_ref().expect("a status");
    assert_eq!(status.allocatable, status.capacity);
    let Object::PersistentVolume(pv) = &manifests.objects[1].value else { panic!("no volume") };
    let pv = pv.spec.as_ref().expect("a spec");
    assert_eq!(pv.persistent_volume_reclaim_policy.as_deref(), Some("Retain"));
    assert_eq!(pv.volume_mode.as_deref(), Some("Filesystem"));
    let Object::StatefulSet(set) = &manifests.objects[3].value else { panic!("no set") };
    let set = set.spec.as_ref().expect("a spec");
    assert_eq!(set.pod_management_policy.as_deref(), Some("OrderedReady"));
    let retention = set.persistent_volume_claim_retention_policy.as_ref().expect("a policy");
    assert_eq!(retention.when_scaled.as_deref(), Some("Retain"));
}

#[test]
fn pod_level_requests_come_from_the_containers_or_the_limits() {
    let spec = pod_spec(&format!(
        "{POD}  - {{name: d, image: i, resources: {{requests: {{cpu: 1500m}}}}}}\n  initContainers:\n  - {{name: e, image: i, resources: {{requests: {{cpu: 2}}}}}}\n  resources: {{limits: {{cpu: 4, memory: 4Gi}}}}\n"
    ));
    let requests = spec.resources.and_then(|r| r.requests).unwrap_or_default();
    assert_eq!(requests.get("cpu").map(|q| &*q.0), Some("2"), "starting needs more than running");
    assert_eq!(requests.get("memory").map(|q| &*q.0), Some("4Gi"));
}

#[test]
fn label_keys_become_requirements() {
    let text = POD.replace("{name: p}", "{name: p, labels: {app: a, hash: '7'}}")
        + "  topologySpreadConstraints:\n  - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: a}}, matchLabelKeys: [hash, absent]}\n";
    let spec = pod_spec(&text);
    let constraint = &spec.topology_spread_constraints.as_ref().expect("constraints")[0];
    let expressions =
        constraint.label_selector.as_ref().and_then(|s| s.match_expressions.clone()).unwrap_or_default();
    assert_eq!(expressions.len(), 1);
    assert_eq!((expressions[0].key.as_str(), expressions[0].operator.as_str()), ("hash", "In"));
    let mut again = spec.clone();
    let labels = [("app".to_owned(), "a".to_owned()), ("hash".to_owned(), "7".to_owned())].into();
    defaulting::pod_creation(&mut again, &labels);
    assert_eq!(again, spec, "twice changes nothing");
}

#[test]
fn the_default_class_and_priorities_are_filled_in() {
    let class = |name: &str, default: bool, created: &str| {
        format!(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: {name}, creationTimestamp: '{created}', annotations: {{storageclass.kubernetes.io/is-default-class: '{default}'}}}}\nprovisioner: p\n---\n"
        )
    };
    let claim = CLAIM.replace("  storageClassName: local\n", "");
    let priority = |name: &str, value: i32, default: bool| {
        format!(
            "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {{name: {name}}}\nvalue: {value}\nglobalDefault: {default}\n---\n"
        )
    };
    let text = [
        class("old", true, "2020-01-01T00:00:00Z"),
        class("new", true, "2021-01-01T00:00:00Z"),
        class("newest", false, "2022-01-01T00:00:00Z"),
        priority("high", 1000, false),
        priority("usual", 10, true),
        format!("{claim}---\n"),
        format!("{}  priorityClassName: high\n---\n", POD.replace("name: p", "name: a")),
        POD.replace("name: p", "name: b"),
    ]
    .concat();
    let manifests = ok(&text);
    let priorities: Vec<Option<i32>> = manifests
        .objects
        .iter()
        .filter_map(|o| match &o.value {
            Object::Pod(p) => p.spec.as_ref().map(|s| s.priority),
            _ => None,
        })
        .collect();
    assert_eq!(priorities, [Some(1000), Some(10)]);
    let class = manifests.objects.iter().find_map(|o| match &o.value {
        Object::PersistentVolumeClaim(c) => c.spec.as_ref().and_then(|s| s.storage_class_name.clone()),
        _ => None,
    });
    assert_eq!(class.as_deref(), Some("new"));
}

#[test]
fn what_the_api_accepts_is_at_most_a_warning() {
    for (text, want) in [
        (CLAIM.replace("local", "nowhere"), ""),
        (VOLUME.replace("values: [n1]", "values: [gone]"), ""),
        (POD.replace("image: i", "image: i, imgae: j"), "unknown field `spec.containers[0].imgae`"),
        (CLAIM.replace("10Gi", "10737418239500m"), ""),
        (NODE.replace(", pods: 110", ""), "no `pods` in status.allocatable"),
        (
            POD.replace(
                "metadata: {name: p}",
                "metadata: {name: p, managedFields: [{manager: m, fieldsV1: {}}], selfLink: /x}",
            ),
            "",
        ),
    ] {
        let manifests = ok(&text);
        assert_eq!(manifests.objects.len(), 1);
        assert!(warnings(&manifests).contains(want), "{}", warnings(&manifests));
    }
    let many: String = (0..50)
        .map(|i| {
            format!("{}---\n", POD.replace("name: p", &format!("name: p{i}")).replace("image: i", "imgae: i"))
        })
        .collect();
    let manifests = ok(&many);
    assert!(warnings(&manifests).contains("(and 49 more like it)"));
    assert!(manifests.warnings.len() < 5, "{}", warnings(&manifests));
}

/// What, the object, what is replaced in it, by what.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("no capacity", VOLUME, "  capacity: {storage: 10Gi}\n", ""),
    ("capacity of zero", VOLUME, "10Gi", "0"),
    ("negative capacity", VOLUME, "10Gi", "-1"),
    ("capacity with a foreign unit", VOLUME, "10Gi", "10Gb"),
    ("capacity that is no number", VOLUME, "10Gi", "NaN"),
    ("a list for a capacity", VOLUME, "{storage: 10Gi}", "[10Gi]"),
    ("local without affinity", VOLUME, "  nodeAffinity:", "  x:"),
    ("no source", VOLUME, "  local: {path: /mnt}\n", ""),
    ("unknown operator", VOLUME, "operator: In", "operator: in"),
    ("operator without values", VOLUME, ", values: [n1]", ""),
    ("unknown access mode of a volume", VOLUME, "ReadWriteOnce", "ReadWrite"),
    ("unknown reclaim policy", VOLUME, "  local:", "  persistentVolumeReclaimPolicy: Keep\n  local:"),
    ("a name in capitals", VOLUME, "name: pv", "name: PV"),
    ("no name", VOLUME, "{name: pv}", "{}"),
    ("no access mode", CLAIM, "  accessModes: [ReadWriteOnce]\n", ""),
    ("no size", CLAIM, "  resources: {requests: {storage: 10Gi}}\n", ""),
    ("size of zero", CLAIM, "10Gi", "0"),
    ("unknown volume mode", CLAIM, "  accessModes:", "  volumeMode: File\n  accessModes:"),
    ("no spec", CLAIM, "spec:", "x:"),
    ("no container", POD, "\n  - {name: c, image: i}\n", " []\n"),
    (
        "containers of one name",
        POD,
        "  - {name: c, image: i}\n",
        "  - {name: c, image: i}\n  - {name: c, image: i}\n",
    ),
    (
        "request above the limit",
        POD,
        "image: i",
        "image: i, resources: {requests: {cpu: 2}, limits: {cpu: 1}}",
    ),
    ("negative request", POD, "image: i", "image: i, resources: {requests: {cpu: -1}}"),
    ("half a GPU", POD, "image: i", "image: i, resources: {limits: {nvidia.com/gpu: 500m}}"),
    ("a GPU request without limit", POD, "image: i", "image: i, resources: {requests: {nvidia.com/gpu: 1}}"),
    ("a boolean for a name", POD, "name: c", "name: yes"),
    ("a number for a label", POD, "{name: p}", "{name: p, labels: {a: 1}}"),
    ("a label that is none", POD, "{name: p}", "{name: p, labels: {a: 'x y'}}"),
    ("unknown restart policy", POD, "  containers:", "  restartPolicy: Sometimes\n  containers:"),
    (
        "spread without a key",
        POD,
        "  containers:",
        "  topologySpreadConstraints: [{maxSkew: 0, whenUnsatisfiable: Never}]\n  containers:",
    ),
    ("toleration of nothing", POD, "  containers:", "  tolerations: [{effect: NoShedule}]\n  containers:"),
    (
        "weight above 100",
        POD,
        "  containers:",
        "  affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, podAffinityTerm: {topologyKey: ''}}]}}\n  containers:",
    ),
    ("unknown priority class", POD, "  containers:", "  priorityClassName: nowhere\n  containers:"),
    ("selector beside the labels", SET, "{matchLabels: {app: s}}", "{matchLabels: {app: t}}"),
    ("no selector", SET, "  selector: {matchLabels: {app: s}}\n", ""),
    ("negative replicas", SET, "replicas: 3", "replicas: -1"),
    ("replicas beyond 32 bits", SET, "replicas: 3", "replicas: 99999999999"),
    ("unknown pod management", SET, "  replicas:", "  podManagementPolicy: Ordered\n  replicas:"),
    (
        "unknown retention",
        SET,
        "  replicas:",
        "  persistentVolumeClaimRetentionPolicy: {whenDeleted: Remove}\n  replicas:",
    ),
    ("a claim template without size", SET, ", resources: {requests: {storage: 1Gi}}", ""),
    ("a version that never was", SET, "apps/v1", "apps/v3"),
    ("unknown taint effect", NODE, "status:", "spec: {taints: [{key: a, effect: NoShedule}]}\nstatus:"),
    ("negative capacity of a node", NODE, "cpu: 4", "cpu: -4"),
    ("no kind", NODE, "kind: Node\n", ""),
    ("no version", NODE, "apiVersion: v1\n", ""),
    (
        "a list instead of an object",
        NODE,
        "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {kubernetes.io/hostname: n1}}\nstatus:",
        "- a\n- b\n#",
    ),
    (
        "a text instead of an object",
        NODE,
        "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {kubernetes.io/hostname: n1}}\nstatus:",
        "hello\n#",
    ),
];

#[test]
fn mistakes_in_manifests() {
    let mut shown = String::new();
    for (name, object, from, to) in MISTAKES {
        assert!(object.contains(from), "{name}: {from}");
        let text = object.replacen(from, to, 1);
        let message = match load(&text) {
            Ok(_) => panic!("{name}: accepted\n{text}"),
            Err(e) => {
                assert_eq!(e.exit_code(), 2);
                e.to_string()
            }
        };
        assert!(message.contains("m.yaml:"), "{name}: no place\n{message}");
        shown.push_str(&format!("## {name}\n{message}\n\n"));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn unknown_binding_modes_and_duplicates() {
    let class = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: c}\nprovisioner: p\n";
    let error =
        load(&format!("{class}volumeBindingMode: WaitForFirstCustomer\n")).err().map(|e| e.to_string());
    assert!(error.unwrap_or_default().contains("did you mean `WaitForFirstConsumer`?"));
    let error = load(&format!("{POD}---\n{POD}")).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("Pod \"p\" is there twice") && error.contains("first at m.yaml:3:18"), "{error}");
    let other = POD.replace("{name: p}", "{name: p, namespace: other}");
    assert_eq!(ok(&format!("{POD}---\n{other}")).objects.len(), 2, "names are per namespace");
}

#[test]
fn torn_json_is_an_error_with_a_place() {
    let error = load_named("m.json", "{\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v1\",\n").err();
    assert!(error.map(|e| e.to_string()).unwrap_or_default().contains("m.json:2:1"));
}

proptest::proptest! {
    #[test]
    fn no_damage_makes_it_panic(
        which in 0usize..5,
        edits in proptest::collection::vec((0usize..1usize << 16, "[\\PC\\n]{0,6}", 0usize..12), 1..4),
    ) {
        let mut text: Vec<char> = [POD, CLAIM, VOLUME, SET, NODE][which].chars().collect();
        for (at, insert, remove) in edits {
            let at = at % text.len();
            let end = (at + remove).min(text.len());
            text.splice(at..end, insert.chars());
            if text.is_empty() {
                break;
            }
        }
        let _ = load(&text.into_iter().collect::<String>());
    }
}
