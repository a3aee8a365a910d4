//! Small clusters for tests, written as words: `pv1 10Gi RWO Available`, `c1 8Gi RWO class=wffc Pending`.
//!
//! The words of a volume: name, capacity, access modes, then any of `class=` (default `imm`, `-` for none), `block`, `attr=`, `Delete`, `Recycle`,
//! `csi`, `other`, `by=` (provisioned by), `label=k:v`, `host=` (node affinity), `ref=c1` (claimRef without uid), `ref=c1!` (with the uid
//! of claim c1), `ref=c1?` (with another uid), `by-controller`, `deleting`, and the phase. Of a claim: name, request, access modes, then any of
//! `class=` (`nil`, `-`), `block`, `attr=`, `sel=k:v`, `volume=`, `completed`, `by-controller`, `node=` (selected), `prov=`, `cap=`, `deleting`, and the phase.

use super::cluster::Cluster;
use super::ids::{ClaimId, NodeId, PodId, Terminating, Uid, VolumeId};
use super::labels::*;
use super::names::{Sym, sym};
use super::node::{Node, NodeInfo, NodeShape};
use super::pod::PodOwner;
use super::quantity::Quantity;
use super::resources::Resources;
use super::spec::{OwnerKind, PodSpec, PodVolume};
use super::volume::*;
use crate::engine::time::{SimDuration, SimTime};
use std::sync::Arc;

/// A cluster with the classes `imm` and `wffc` (no provisioner), `dyn` and `dynw` (provisioner `csi.example`); `imm` and `dyn` are Immediate.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub cluster: Cluster,
}

const MODES: [(&str, AccessModes); 4] = [
    ("RWO", AccessModes::RWO),
    ("ROX", AccessModes::ROX),
    ("RWX", AccessModes::RWX),
    ("RWOP", AccessModes::RWOP),
];

fn modes(text: &str) -> AccessModes {
    let one = |part: &str| MODES.iter().find(|(name, _)| *name == part).expect("access mode").1;
    text.split(',').map(one).fold(AccessModes::default(), AccessModes::union)
}

/// The uid of the claim of this name: known before the claim is there, so that volumes can name it.
pub(crate) fn claim_uid(name: &str) -> Uid {
    Uid::new(1_000_000 + name.bytes().fold(0, |n: u64, b| n * 257 % 1_000_003 + u64::from(b)))
}

impl Fixture {
    pub fn new() -> Fixture {
        let mut fixture = Fixture { cluster: Cluster::default() };
        for (name, provisioner, mode) in [
            ("imm", "kubernetes.io/no-provisioner", BindingMode::Immediate),
            ("wffc", "kubernetes.io/no-provisioner", BindingMode::WaitForFirstConsumer),
            ("dyn", "csi.example", BindingMode::Immediate),
            ("dynw", "csi.example", BindingMode::WaitForFirstConsumer),
        ] {
            fixture.class(name, provisioner, mode);
        }
        fixture
    }
    pub fn sym(&mut self, text: &str) -> Sym {
        self.cluster.names.intern(text)
    }
    pub fn class(&mut self, name: &str, provisioner: &str, binding_mode: BindingMode) {
        let class = StorageClass {
            name: self.sym(name),
            provisioner: self.sym(provisioner),
            binding_mode,
            reclaim: ReclaimPolicy::Delete,
            allowed_topologies: Vec::new(),
            is_default: false,
            allow_expansion: false,
            created: SimTime::ZERO,
        };
        self.cluster.set_class(class);
    }
    pub fn change_class(&mut self, name: &str, change: impl FnOnce(&mut StorageClass)) {
        let name = self.sym(name);
        let mut class = self.cluster.class(name).expect("class").clone();
        change(&mut class);
        self.cluster.set_class(class);
    }
    fn labels(&mut self, pairs: &[(&str, &str)]) -> LabelSet {
        LabelSet::new(pairs.iter().map(|(k, v)| (self.sym(k), self.sym(v))).collect())
    }
    /// A node with its hostname label and more.
    pub fn node(&mut self, name: &str, labels: &[(&str, &str)]) -> NodeId {
        let mut all = vec![("kubernetes.io/hostname", name)];
        all.extend_from_slice(labels);
        let labels = self.labels(&all);
        let node = Node {
            name: self.sym(name),
            uid: self.cluster.new_uid(),
            exists: true,
            labels: self.cluster.intern_labels(labels),
            unschedulable: false,
            ready: true,
            shape: Arc::new(NodeShape {
                allocatable_has_cpu: true,
                allocatable_has_memory: true,
                allocatable_pods: 110,
                ..NodeShape::default()
            }),
            info: NodeInfo::default(),
            generation: 0,
        };
        self.cluster.add_node(node).expect("a new node")
    }
    /// A pod of namespace `default` with volumes: claim names, `~name` for an ephemeral one.
    pub fn pod(&mut self, name: &str, volumes: &[&str]) -> PodId {
        let mut list = Vec::new();
        for volume in volumes {
            list.push(match volume.strip_prefix('~') {
                Some(suffix) => PodVolume::Ephemeral { suffix: self.sym(suffix), claim: None },
                None => PodVolume::Claim { name: self.cluster.names.name(volume), read_only: false },
            });
        }
        self.pod_with(name, "default", list)
    }
    pub fn pod_with(&mut self, name: &str, namespace: &str, volumes: Vec<PodVolume>) -> PodId {
        let spec = PodSpec {
            namespace: self.sym(namespace),
            labels: self.cluster.intern_labels(LabelSet::default()),
            scheduler_name: sym::DEFAULT_SCHEDULER,
            priority: 0,
            never_preempts: false,
            requests: Resources::default(),
            scoring_requests: Resources::default(),
            nonzero_requests: Default::default(),
            host_ports: Vec::new(),
            images: Vec::new(),
            container_count: 1,
            node_selector: Vec::new(),
            affinity: None,
            tolerations: Vec::new(),
            spread: Vec::new(),
            volumes,
            scheduling_gates: Vec::new(),
            termination_grace: SimDuration::from_secs(30),
            not_modelled: None,
            owner: OwnerKind::None,
        };
        let name = self.cluster.names.name(name);
        let spec = self.cluster.intern_spec(spec);
        let pod = crate::control::api::new_pod(&mut self.cluster, name, spec, PodOwner::None, SimTime::ZERO);
        self.cluster.add_pod(pod).expect("a new pod")
    }

    pub fn volume(&mut self, words: &str) -> VolumeId {
        let mut parts = words.split(' ');
        let mut next = || parts.next().expect("name, capacity, modes");
        let (name, capacity, access) = (next(), next(), next());
        let mut volume = Volume {
            name: self.sym(name),
            uid: self.cluster.new_uid(),
            shape: Arc::new(VolumeShape {
                capacity: Quantity::parse(capacity).expect("capacity"),
                modes: modes(access),
                class: self.sym("imm"),
                mode: VolumeMode::Filesystem,
                attributes_class: None,
                labels: self.cluster.intern_labels(LabelSet::default()),
                reclaim: ReclaimPolicy::Retain,
                source: VolumeSource::Local,
                provisioned_by: None,
            }),
            node_affinity: None,
            claim_ref: None,
            bound_by_controller: false,
            phase: VolumePhase::Pending,
            deletion: None,
            protected: true,
            created: SimTime::ZERO,
            assumed_for: None,
        };
        for word in parts {
            self.volume_word(&mut volume, word);
        }
        self.cluster.add_volume(volume).expect("a new volume")
    }
    fn volume_word(&mut self, volume: &mut Volume, word: &str) {
        match word.split_once('=').unwrap_or((word, "")) {
            ("class", "-") => volume.class = sym::EMPTY,
            ("class", name) => volume.class = self.sym(name),
            ("block", _) => volume.mode = VolumeMode::Block,
            ("attr", name) => volume.attributes_class = Some(self.sym(name)),
            ("Delete", _) => volume.reclaim = ReclaimPolicy::Delete,
            ("Recycle", _) => volume.reclaim = ReclaimPolicy::Recycle,
            ("csi", _) => volume.source = VolumeSource::Csi { driver: self.sym("csi.example"), handle: None },
            ("other", _) => volume.source = VolumeSource::Other,
            ("by", name) => volume.provisioned_by = Some(self.sym(name)),
            ("label", pair) => {
                let labels = self.labels(&[pair.split_once(':').expect("k:v")]);
                volume.labels = self.cluster.intern_labels(labels);
            }
            ("host", host) => {
                let selector = NodeSelector::of_host(self.sym(host));
                volume.node_affinity = Some(self.cluster.intern_node_selector(selector));
            }
            ("ref", claim) => {
                let name = claim.trim_end_matches(['!', '?']);
                let uid = match claim.as_bytes().last() {
                    Some(b'!') => Some(claim_uid(name)),
                    Some(b'?') => Some(Uid::new(1)),
                    _ => None,
                };
                let name = self.cluster.names.name(name);
                volume.claim_ref = Some(ClaimRef { namespace: sym::DEFAULT, name, uid });
            }
            ("by-controller", _) => volume.bound_by_controller = true,
            ("deleting", _) => volume.deletion = Some(Terminating),
            ("Pending", _) => volume.phase = VolumePhase::Pending,
            ("Available", _) => volume.phase = VolumePhase::Available,
            ("Bound", _) => volume.phase = VolumePhase::Bound,
            ("Released", _) => volume.phase = VolumePhase::Released,
            ("Failed", _) => volume.phase = VolumePhase::Failed,
            other => panic!("unknown word of a volume: {other:?}"),
        }
    }

    pub fn claim(&mut self, words: &str) -> ClaimId {
        let mut parts = words.split(' ');
        let mut next = || parts.next().expect("name, request, modes");
        let (name, request, access) = (next(), next(), next());
        let mut spec = ClaimSpec {
            class: Some(self.sym("imm")),
            modes: modes(access),
            request: Quantity::parse(request).expect("request"),
            selector: None,
            mode: VolumeMode::Filesystem,
            attributes_class: None,
        };
        let words: Vec<&str> = parts.filter(|word| !self.claim_spec_word(&mut spec, word)).collect();
        let mut claim = Claim {
            uid: claim_uid(name),
            namespace: sym::DEFAULT,
            name: self.cluster.names.name(name),
            spec: self.cluster.intern_claim_spec(spec),
            volume_name: None,
            bind_completed: false,
            bound_by_controller: false,
            selected_node: None,
            storage_provisioner: None,
            assumed_node: None,
            phase: ClaimPhase::Pending,
            capacity: None,
            deletion: None,
            protected: true,
            owner: ClaimOwner::None,
            created: SimTime::ZERO,
        };
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("volume", name) => claim.volume_name = Some(self.sym(name)),
                ("completed", _) => claim.bind_completed = true,
                ("by-controller", _) => claim.bound_by_controller = true,
                ("node", name) => claim.selected_node = Some(self.sym(name)),
                ("prov", name) => claim.storage_provisioner = Some(self.sym(name)),
                ("cap", amount) => {
                    let capacity = Quantity::parse(amount).expect("capacity");
                    claim.capacity = Some(self.cluster.intern_quantity(capacity));
                }
                ("deleting", _) => claim.deletion = Some(Terminating),
                ("Pending", _) => claim.phase = ClaimPhase::Pending,
                ("Bound", _) => claim.phase = ClaimPhase::Bound,
                ("Lost", _) => claim.phase = ClaimPhase::Lost,
                other => panic!("unknown word of a claim: {other:?}"),
            }
        }
        self.cluster.add_claim(claim).expect("a new claim")
    }
    fn claim_spec_word(&mut self, spec: &mut ClaimSpec, word: &str) -> bool {
        match word.split_once('=').unwrap_or((word, "")) {
            ("class", "nil") => spec.class = None,
            ("class", "-") => spec.class = Some(sym::EMPTY),
            ("class", name) => spec.class = Some(self.sym(name)),
            ("block", _) => spec.mode = VolumeMode::Block,
            ("attr", name) => spec.attributes_class = Some(self.sym(name)),
            ("sel", "everything") => spec.selector = Some(LabelSelector::everything()),
            ("sel", pair) => {
                let (key, value) = pair.split_once(':').expect("k:v");
                let requirement = LabelRequirement {
                    key: self.sym(key),
                    operator: LabelOperator::In,
                    values: Box::new([self.sym(value)]),
                };
                spec.selector = Some(LabelSelector::Requirements(Box::new([requirement])));
            }
            _ => return false,
        }
        true
    }

    pub fn claim_id(&mut self, name: &str) -> ClaimId {
        let name = self.cluster.names.name(name);
        self.cluster.claim_by_name(sym::DEFAULT, name).expect("claim")
    }
    pub fn volume_id(&mut self, name: &str) -> VolumeId {
        let name = self.sym(name);
        self.cluster.volume_by_name(name).expect("volume")
    }

    /// The variable part of a volume in words: reference, `by-controller`, phase.
    pub fn show_volume(&self, id: VolumeId) -> String {
        let volume = self.cluster.volume(id);
        let mut words = vec![self.cluster.names.text(volume.name).to_owned()];
        if let Some(claim) = volume.claim_ref {
            let name = self.cluster.names.show(claim.name).to_string();
            let mark = match claim.uid {
                None => "",
                Some(uid) if uid == claim_uid(&name) => "!",
                Some(_) => "?",
            };
            words.push(format!("ref={name}{mark}"));
        }
        words.extend(volume.bound_by_controller.then(|| "by-controller".to_owned()));
        words.push(format!("{:?}", volume.phase));
        words.join(" ")
    }
    /// The variable part of a claim in words.
    pub fn show_claim(&self, id: ClaimId) -> String {
        let claim = self.cluster.claim(id);
        let text = |s: Sym| self.cluster.names.text(s);
        let mut words = vec![self.cluster.names.show(claim.name).to_string()];
        words.extend(claim.volume_name.map(|v| format!("volume={}", text(v))));
        words.extend(claim.bind_completed.then(|| "completed".to_owned()));
        words.extend(claim.bound_by_controller.then(|| "by-controller".to_owned()));
        words.extend(claim.selected_node.map(|n| format!("node={}", text(n))));
        words.extend(claim.storage_provisioner.map(|p| format!("prov={}", text(p))));
        words.push(format!("{:?}", claim.phase));
        words.extend(claim.capacity.map(|c| format!("cap={}", self.cluster.quantity(c))));
        words.join(" ")
    }
}
