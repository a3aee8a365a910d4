//! What happens to the chosen volumes: reserved at once, written later, then waited for, given back on failure.
//!
//! The split lets a simulator run the writes under API latency while other pods are scheduled: [`reserve`] in the scheduling
//! cycle, [`BindTask::write_next`] once per API write, [`BindTask::check`] at each poll (once per second in Kubernetes, the first
//! after one second), [`BindTask::revert`] when the binding ends in an error.

use super::{VolumeBindingState, fully_bound};
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, NodeId, PodId, Uid, VolumeId};
use crate::model::names::{Name, Names, Sym};
use crate::model::volume::ClaimRef;

/// Why volumes could not be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// The volume was changed since it was chosen.
    VolumeConflict(Sym),
    /// The claim was changed since the node was chosen.
    ClaimConflict(Name),
    /// The volume is gone; said by the API at a write.
    VolumeGone(Sym),
    /// The claim is gone; said by the API at a write.
    ClaimGone(Name),
    /// While waiting: the volume is gone.
    VolumeMissing(Sym),
    /// While waiting: the claim of this namespace and name is gone.
    ClaimMissing(Sym, Name),
    /// While waiting for provisioning: the claim of this namespace and name is gone.
    ProvisioningClaimMissing(Sym, Name),
    /// While waiting: the node is gone.
    NodeGone(Sym),
    /// While waiting: the pod is gone.
    PodGone(Name),
    /// While waiting: the volume does not fit the node after all.
    NodeAffinity(Sym, Sym),
    /// While waiting: the PV controller took the volume back.
    ClaimRefReset(Sym),
    /// While waiting: the provisioner failed and removed the claim's `selected-node`.
    ProvisioningFailed(Name),
    /// `bindTimeoutSeconds` are over.
    DeadlineExceeded,
}

impl BindError {
    /// Kubernetes' words, as they follow `running PreBind plugin "VolumeBinding": `.
    pub fn message(self, names: &Names) -> String {
        const CONFLICT: &str =
            "the object has been modified; please apply your changes to the latest version and try again";
        let waiting = |text: String| format!("binding volumes: {text}");
        match self {
            BindError::VolumeConflict(v) => format!(
                "Operation cannot be fulfilled on persistentvolumes \"{}\": {CONFLICT}",
                names.text(v)
            ),
            BindError::ClaimConflict(c) => format!(
                "Operation cannot be fulfilled on persistentvolumeclaims \"{}\": {CONFLICT}",
                names.show(c)
            ),
            BindError::VolumeGone(v) => format!("persistentvolumes \"{}\" not found", names.text(v)),
            BindError::ClaimGone(c) => format!("persistentvolumeclaims \"{}\" not found", names.show(c)),
            BindError::VolumeMissing(v) => {
                waiting(format!("failed to check binding: persistentvolumes \"{}\" not found", names.text(v)))
            }
            BindError::ClaimMissing(ns, c) => waiting(format!(
                "failed to check binding: persistentvolumeclaims \"{}/{}\" not found",
                names.text(ns),
                names.show(c)
            )),
            BindError::ProvisioningClaimMissing(ns, c) => waiting(format!(
                "failed to check provisioning pvc: persistentvolumeclaims \"{}/{}\" not found",
                names.text(ns),
                names.show(c)
            )),
            BindError::NodeGone(n) => {
                waiting(format!("failed to get node \"{0}\": node \"{0}\" not found", names.text(n)))
            }
            BindError::PodGone(p) => {
                waiting(format!("pod does not exist any more: pod \"{}\" not found", names.show(p)))
            }
            BindError::NodeAffinity(v, n) => waiting(format!(
                "pv \"{}\" node affinity doesn't match node \"{}\": no matching NodeSelectorTerms",
                names.text(v),
                names.text(n)
            )),
            BindError::ClaimRefReset(v) => {
                waiting(format!("ClaimRef got reset for pv \"{}\"", names.text(v)))
            }
            BindError::ProvisioningFailed(c) => {
                waiting(format!("provisioning failed for PVC \"{}\"", names.show(c)))
            }
            BindError::DeadlineExceeded => waiting("context deadline exceeded".to_owned()),
        }
    }
}

/// A claim and the volume chosen for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StaticBinding {
    claim: ClaimId,
    claim_ref: ClaimRef,
    claim_uid: Uid,
    volume: VolumeId,
    volume_name: Sym,
    volume_uid: Uid,
    version: u32,
}

/// A claim whose volume is to be made for the chosen node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Provisioning {
    claim: ClaimId,
    uid: Uid,
    namespace: Sym,
    name: Name,
    version: u32,
}

/// One API write of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindWrite {
    /// `spec.claimRef` of a volume (with the annotation `bound-by-controller`).
    ClaimRef {
        /// The volume.
        volume: VolumeId,
        /// The claim that it is for.
        claim: ClaimId,
    },
    /// The annotation `volume.kubernetes.io/selected-node` of a claim.
    SelectedNode {
        /// The claim.
        claim: ClaimId,
        /// The node.
        node: NodeId,
    },
}

/// Volumes reserved for a pod that are to be bound before the pod can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindTask {
    pod: PodId,
    pod_uid: Uid,
    pod_name: Name,
    node: NodeId,
    bindings: Vec<StaticBinding>,
    provisions: Vec<Provisioning>,
    written: usize,
}

/// Reserve: remembers the choice of Filter for the node, so that the next pod does not take the same volumes. `None` if all claims of
/// the pod are bound already: then there is nothing to do in PreBind.
pub fn reserve(
    cluster: &mut Cluster,
    state: &VolumeBindingState,
    pod: PodId,
    node: NodeId,
) -> Option<BindTask> {
    // A claim that waits is not bound.
    if !state.has_waiting_claims() && claims_bound(cluster, pod) {
        return None;
    }
    let volumes = state.volumes_on(node)?;
    let bindings: Vec<StaticBinding> = volumes.bindings.iter().map(|b| binding(cluster, *b)).collect();
    let provisions: Vec<Provisioning> =
        volumes.provisions.iter().map(|p| provisioning(cluster, p.claim)).collect();
    for b in &bindings {
        if needs_write(cluster, b) {
            cluster.assume_volume(b.volume, Some(b.claim_uid));
        }
    }
    let name = cluster.node(node).name;
    for p in &provisions {
        cluster.assume_claim_node(p.claim, Some(name));
    }
    let row = cluster.pod(pod);
    Some(BindTask { pod, pod_uid: row.uid, pod_name: row.name, node, bindings, provisions, written: 0 })
}

fn claims_bound(cluster: &Cluster, pod: PodId) -> bool {
    let namespace = cluster.spec_of(pod).namespace;
    cluster.claim_names_of(pod).all(|name| {
        name.and_then(|n| cluster.claim_by_name(namespace, n))
            .is_some_and(|id| fully_bound(cluster.claim(id)))
    })
}

fn binding(cluster: &Cluster, (claim_id, volume_id): (ClaimId, VolumeId)) -> StaticBinding {
    let (claim, volume) = (cluster.claim(claim_id), cluster.volume(volume_id));
    StaticBinding {
        claim: claim_id,
        claim_ref: ClaimRef { namespace: claim.namespace, name: claim.name, uid: Some(claim.uid) },
        claim_uid: claim.uid,
        volume: volume_id,
        volume_name: volume.name,
        volume_uid: volume.uid,
        version: cluster.volume_version(volume_id),
    }
}

fn provisioning(cluster: &Cluster, id: ClaimId) -> Provisioning {
    let claim = cluster.claim(id);
    Provisioning {
        claim: id,
        uid: claim.uid,
        namespace: claim.namespace,
        name: claim.name,
        version: cluster.claim_version(id),
    }
}

/// Does the volume not name the claim with its uid yet?
fn needs_write(cluster: &Cluster, binding: &StaticBinding) -> bool {
    cluster.volume(binding.volume).claim_ref != Some(binding.claim_ref)
}

impl BindTask {
    /// The pod.
    pub fn pod(&self) -> PodId {
        self.pod
    }
    /// The chosen node.
    pub fn node(&self) -> NodeId {
        self.node
    }
    /// The next API write; `None` when all are made.
    pub fn next_write(&self) -> Option<BindWrite> {
        if let Some(b) = self.bindings.get(self.written) {
            return Some(BindWrite::ClaimRef { volume: b.volume, claim: b.claim });
        }
        let p = self.provisions.get(self.written - self.bindings.len())?;
        Some(BindWrite::SelectedNode { claim: p.claim, node: self.node })
    }
    /// How many API writes are still to be made.
    pub fn writes_left(&self) -> usize {
        self.bindings.len() + self.provisions.len() - self.written
    }
    /// Makes the next API write.
    ///
    /// # Errors
    /// The API's refusal. What was reserved and not written is given back then.
    pub fn write_next(&mut self, cluster: &mut Cluster) -> Result<(), BindError> {
        let result = match self.bindings.get(self.written) {
            Some(b) => write_claim_ref(cluster, b),
            None => match self.provisions.get(self.written - self.bindings.len()) {
                Some(p) => write_selected_node(cluster, p, self.node),
                None => return Ok(()),
            },
        };
        match result {
            Ok(()) => self.written += 1,
            Err(_) => self.revert(cluster),
        }
        result
    }
    /// Gives back what was reserved and not written. What was written stays written, as in Kubernetes.
    pub fn revert(&self, cluster: &mut Cluster) {
        for b in self.bindings.iter().skip(self.written) {
            let ours = |v: &crate::model::volume::Volume| {
                v.uid == b.volume_uid && v.assumed_for == Some(b.claim_uid)
            };
            if cluster.volumes().get(b.volume).is_some_and(ours) {
                cluster.assume_volume(b.volume, None);
            }
        }
        let provisions_written = self.written.saturating_sub(self.bindings.len());
        for p in self.provisions.iter().skip(provisions_written) {
            let ours = |c: &crate::model::volume::Claim| c.uid == p.uid && c.assumed_node.is_some();
            if cluster.claims().get(p.claim).is_some_and(ours) {
                cluster.assume_claim_node(p.claim, None);
            }
        }
    }
    /// `checkBindings`, at each poll: are all claims bound?
    ///
    /// # Errors
    /// Why they never will be. The pod then goes back to the queue after its error backoff.
    pub fn check(&self, cluster: &Cluster) -> Result<bool, BindError> {
        let node = cluster.node(self.node);
        if !node.exists {
            return Err(BindError::NodeGone(node.name));
        }
        if cluster.pods().get(self.pod).is_none_or(|pod| pod.uid != self.pod_uid) {
            return Err(BindError::PodGone(self.pod_name));
        }
        for b in &self.bindings {
            if !self.check_binding(cluster, b)? {
                return Ok(false);
            }
        }
        for p in &self.provisions {
            if !self.check_provisioning(cluster, p)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn check_binding(&self, cluster: &Cluster, b: &StaticBinding) -> Result<bool, BindError> {
        let volume = cluster.volume_by_name(b.volume_name).ok_or(BindError::VolumeMissing(b.volume_name))?;
        let claim = cluster
            .claim_by_name(b.claim_ref.namespace, b.claim_ref.name)
            .ok_or(BindError::ClaimMissing(b.claim_ref.namespace, b.claim_ref.name))?;
        let volume = cluster.volume(volume);
        self.check_affinity(cluster, volume)?;
        if volume.claim_ref.is_none_or(|r| r.uid.is_none()) {
            return Err(BindError::ClaimRefReset(b.volume_name));
        }
        Ok(fully_bound(cluster.claim(claim)))
    }

    fn check_provisioning(&self, cluster: &Cluster, p: &Provisioning) -> Result<bool, BindError> {
        let id = cluster
            .claim_by_name(p.namespace, p.name)
            .ok_or(BindError::ProvisioningClaimMissing(p.namespace, p.name))?;
        let claim = cluster.claim(id);
        if claim.selected_node != Some(cluster.node(self.node).name) {
            return Err(BindError::ProvisioningFailed(p.name));
        }
        if let Some(name) = claim.volume_name {
            let Some(volume) = cluster.volume_by_name(name) else { return Ok(false) };
            self.check_affinity(cluster, cluster.volume(volume))?;
        }
        Ok(fully_bound(claim))
    }

    fn check_affinity(
        &self,
        cluster: &Cluster,
        volume: &crate::model::volume::Volume,
    ) -> Result<(), BindError> {
        if cluster.volume_allows_node(volume, self.node) {
            return Ok(());
        }
        Err(BindError::NodeAffinity(volume.name, cluster.node(self.node).name))
    }
}

fn write_claim_ref(cluster: &mut Cluster, b: &StaticBinding) -> Result<(), BindError> {
    match cluster.volumes().get(b.volume) {
        Some(v) if v.name == b.volume_name && v.uid == b.volume_uid => {}
        _ => return Err(BindError::VolumeGone(b.volume_name)),
    }
    if cluster.volume_version(b.volume) != b.version {
        return Err(BindError::VolumeConflict(b.volume_name));
    }
    if needs_write(cluster, b) {
        cluster.update_volume(b.volume, |volume| {
            // A volume that a person has pre-bound to the claim stays bound by that person.
            let prebound = volume.claim_ref.is_some_and(|r| {
                r.namespace == b.claim_ref.namespace && r.name == b.claim_ref.name && r.uid.is_none()
            });
            volume.claim_ref = Some(b.claim_ref);
            volume.bound_by_controller |= !prebound;
        });
    }
    Ok(())
}

fn write_selected_node(cluster: &mut Cluster, p: &Provisioning, node: NodeId) -> Result<(), BindError> {
    if cluster.claims().get(p.claim).is_none_or(|c| c.uid != p.uid) {
        return Err(BindError::ClaimGone(p.name));
    }
    if cluster.claim_version(p.claim) != p.version {
        return Err(BindError::ClaimConflict(p.name));
    }
    let name = cluster.node(node).name;
    if cluster.claim(p.claim).selected_node == Some(name) {
        cluster.assume_claim_node(p.claim, None); // an update without a change makes no new version
    } else {
        cluster.update_claim(p.claim, |claim| claim.selected_node = Some(name));
    }
    Ok(())
}
