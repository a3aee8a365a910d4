//! What must hold in every state.

use super::*;

impl Cluster {
    /// Checks what must hold in every state; the first violation in words.
    ///
    /// # Errors
    /// A description of what is broken: a bug, or an imported state that reality allows too.
    pub fn check_invariants(&self) -> Result<(), String> {
        for (id, node) in self.nodes.iter() {
            let mut requested = Resources::default();
            for &pod in &node.info.pods {
                let row = self.pods.get(pod).ok_or_else(|| format!("{id:?} counts a pod that is gone"))?;
                if row.placed() != Some(id) {
                    return Err(format!("{} is counted on {id:?} but placed elsewhere", self.pod_key(pod)));
                }
                requested.add(&self.spec(row.spec).requests);
            }
            let differs = |name: Sym| requested.get(name) != node.info.requested.get(name);
            let scalars = node.info.requested.scalars.iter().map(|(name, _)| *name);
            if [sym::CPU, sym::MEMORY, sym::EPHEMERAL_STORAGE].into_iter().chain(scalars).any(differs) {
                return Err(format!("sums of {} differ from its pods", self.names.text(node.name)));
            }
        }
        for (id, pod) in self.pods.iter() {
            if let Some(node) = pod.placed().filter(|_| !pod.is_finished())
                && !self.nodes[node].info.pods.contains(&id)
            {
                return Err(format!("{} is placed but not counted on its node", self.pod_key(id)));
            }
        }
        for (id, claim) in self.claims.iter() {
            if claim.phase != ClaimPhase::Bound {
                continue;
            }
            let volume =
                claim.volume_name.and_then(|name| self.volume_by_name(name)).map(|v| &self.volumes[v]);
            if let Some(volume) = volume.filter(|v| v.phase == VolumePhase::Bound) {
                let points_back = volume.claim_ref.is_some_and(|r| r.uid.is_none_or(|uid| uid == claim.uid));
                if !points_back {
                    return Err(format!(
                        "claim {} is bound to {} which is bound to another",
                        self.claim_key(id),
                        self.names.text(volume.name)
                    ));
                }
            }
        }
        Ok(())
    }
}
