//! A digest of everything that happened: equal digests mean equal runs.
//!
//! Covered is every observation in order, with its time; of scheduling attempts only the successful ones one by one, and the
//! number of all at the end, because an attempt whose outcome is known need not be executed to be counted. Kubernetes events
//! are left out: they are made only for who wants them.

use super::{AttemptResult, Observation, Observer, Subject};
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::Id;
use crate::model::names::{Name, Sym};

/// Bytes gathered before they are hashed.
const BUFFER: usize = 1 << 16;

/// Hashes a run.
#[derive(Debug)]
pub struct Digest {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    attempts: u64,
    /// The name at hand.
    name: String,
}

impl Default for Digest {
    fn default() -> Digest {
        Digest {
            hasher: blake3::Hasher::new_derive_key("stowplan observations v1"),
            buffer: Vec::with_capacity(BUFFER + 256),
            attempts: 0,
            name: String::new(),
        }
    }
}

impl Digest {
    /// `blake3:<hex>`; `end` is when the run ended.
    pub fn finish(mut self, end: SimTime) -> String {
        self.number(self.attempts);
        self.number(end.as_nanos());
        self.hasher.update(&self.buffer);
        format!("blake3:{}", self.hasher.finalize().to_hex())
    }
    fn number(&mut self, n: u64) {
        self.buffer.extend_from_slice(&n.to_le_bytes());
    }
    fn id(&mut self, id: impl Id) {
        self.number(id.index() as u64);
    }
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.buffer.extend_from_slice(text.as_bytes());
    }
    fn name(&mut self, cluster: &Cluster, name: Name) {
        let mut text = std::mem::take(&mut self.name);
        text.clear();
        cluster.names.push_name(name, &mut text);
        self.text(&text);
        self.name = text;
    }
    fn sym(&mut self, cluster: &Cluster, sym: Sym) {
        self.text(cluster.names.text(sym));
    }
    fn begin(&mut self, at: SimTime, tag: u8) {
        if self.buffer.len() >= BUFFER {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
        self.number(at.as_nanos());
        self.buffer.push(tag);
    }
    fn volume_name(&mut self, cluster: &Cluster, volume: Option<Sym>) {
        match volume {
            Some(volume) => self.sym(cluster, volume),
            None => self.number(u64::MAX),
        }
    }
    fn claim(&mut self, cluster: &Cluster, claim: crate::model::ids::ClaimId) {
        let row = cluster.claim(claim);
        self.sym(cluster, row.namespace);
        self.name(cluster, row.name);
    }
}

impl Observer for Digest {
    fn observe(&mut self, at: SimTime, cluster: &Cluster, what: &Observation) {
        match *what {
            Observation::Repeated { attempts, .. } => self.attempts += attempts,
            Observation::Attempt { pod, result } => {
                self.attempts += u64::from(result != AttemptResult::Gated);
                if let AttemptResult::Scheduled(node) = result {
                    self.begin(at, 1);
                    self.id(pod);
                    self.id(node);
                }
            }
            Observation::Event { .. } | Observation::PodWanted(_) => {}
            Observation::PodCreated(pod) => {
                self.begin(at, 2);
                self.id(pod);
                let row = cluster.pod(pod);
                self.sym(cluster, cluster.spec(row.spec).namespace);
                self.name(cluster, row.name);
            }
            Observation::PodAssigned { pod, node } => {
                self.begin(at, 3);
                self.id(pod);
                self.sym(cluster, cluster.node(node).name);
            }
            Observation::PodStatus { pod, phase, ready } => {
                self.begin(at, 4);
                self.id(pod);
                self.buffer.extend_from_slice(&[phase as u8, u8::from(ready)]);
            }
            Observation::RebuildStarted { pod, bytes } => {
                self.begin(at, 21);
                self.id(pod);
                self.number(bytes);
            }
            Observation::Rebuilt { pod, bytes } => {
                self.begin(at, 22);
                self.id(pod);
                self.number(bytes);
            }
            Observation::CaughtUp { pod, bytes } => {
                self.begin(at, 23);
                self.id(pod);
                self.number(bytes);
            }
            Observation::GroupData { set, complete } => {
                self.begin(at, 24);
                self.id(set);
                self.number(complete.into());
            }
            Observation::WritesLost { set, span } => {
                self.begin(at, 25);
                self.id(set);
                self.number(span.as_nanos());
            }
            Observation::PodTerminating(pod) => {
                self.begin(at, 5);
                self.id(pod);
            }
            Observation::PodGone { pod, uid, .. } => {
                self.begin(at, 6);
                self.id(pod);
                self.number(uid.number());
            }
            Observation::ClaimCreated(claim) => {
                self.begin(at, 7);
                self.id(claim);
                self.claim(cluster, claim);
            }
            Observation::ClaimPhase { claim, phase } => {
                self.begin(at, 8);
                self.id(claim);
                self.buffer.push(phase as u8);
                self.volume_name(cluster, cluster.claim(claim).volume_name);
            }
            Observation::ClaimChanged(claim) => {
                self.begin(at, 9);
                self.id(claim);
                self.volume_name(cluster, cluster.claim(claim).volume_name);
            }
            Observation::ClaimGone { claim, volume, .. } => {
                self.begin(at, 10);
                self.id(claim);
                self.volume_name(cluster, volume);
            }
            Observation::VolumeCreated(volume) => {
                self.begin(at, 11);
                self.id(volume);
                self.sym(cluster, cluster.volume(volume).name);
            }
            Observation::VolumePhase { volume, phase } => {
                self.begin(at, 12);
                self.id(volume);
                self.buffer.push(phase as u8);
            }
            Observation::VolumeChanged(volume) => {
                self.begin(at, 13);
                self.id(volume);
            }
            Observation::VolumeGone { volume, name } => {
                self.begin(at, 14);
                self.id(volume);
                self.sym(cluster, name);
            }
            Observation::NodeCreated(node) => {
                self.begin(at, 15);
                self.sym(cluster, cluster.node(node).name);
            }
            Observation::NodeChanged(node, delta) => {
                self.begin(at, 16);
                self.id(node);
                self.buffer.push(delta as u8);
            }
            Observation::NodeGone(node) => {
                self.begin(at, 17);
                self.id(node);
            }
            Observation::StatefulSet(set) => {
                self.begin(at, 18);
                self.id(set);
                let row = &cluster.stateful_sets()[set];
                self.name(cluster, row.name);
                self.number(u64::from(row.replicas) << 1 | u64::from(row.exists));
            }
            Observation::ReplicaSet(set) => {
                self.begin(at, 19);
                self.id(set);
                let row = &cluster.replica_sets()[set];
                self.name(cluster, row.name);
                self.number(u64::from(row.replicas) << 1 | u64::from(row.exists));
            }
            Observation::Job(job) => {
                self.begin(at, 20);
                self.id(job);
                let row = &cluster.jobs()[job];
                self.name(cluster, row.name);
                self.number(u64::from(row.succeeded) << 1 | u64::from(row.exists));
            }
        }
    }
}

/// `namespace/name`, or the name alone of what has no namespace.
pub(super) fn subject_text(cluster: &Cluster, about: Subject) -> (&'static str, String) {
    match about {
        Subject::Pod(pod) => ("pod", cluster.pod_key(pod)),
        Subject::Claim(claim) => ("claim", cluster.claim_key(claim)),
        Subject::Volume(volume) => ("volume", cluster.names.text(cluster.volume(volume).name).to_owned()),
        Subject::Node(node) => ("node", cluster.names.text(cluster.node(node).name).to_owned()),
        Subject::StatefulSet(set) => {
            let set = &cluster.stateful_sets()[set];
            let name = format!("{}/{}", cluster.names.text(set.namespace), cluster.names.show(set.name));
            ("statefulSet", name)
        }
    }
}
