//! What must hold in every state.

use super::*;
use std::collections::BTreeSet;

/// What reality allows although it breaks a rule, as counted in one state (or the most of several).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exemptions {
    /// Bindings of which one side is written and the other not yet, or never (the controller was away).
    pub half_written_bindings: u64,
    /// Claims in phase Lost.
    pub lost_claims: u64,
    /// Bound claims whose volume is another claim's: somebody edited an object.
    pub edited_objects: u64,
    /// Nodes with more than fits, since a pod came with `nodeName` set.
    pub preset_node_names: u64,
    /// Nodes with more than fits, since their allocatable shrank.
    pub shrunk_nodes: u64,
    /// Nodes that had more than fits when the run began.
    pub imported_nodes: u64,
}

impl Exemptions {
    /// The larger of each.
    pub fn most(self, other: Exemptions) -> Exemptions {
        Exemptions {
            half_written_bindings: self.half_written_bindings.max(other.half_written_bindings),
            lost_claims: self.lost_claims.max(other.lost_claims),
            edited_objects: self.edited_objects.max(other.edited_objects),
            preset_node_names: self.preset_node_names.max(other.preset_node_names),
            shrunk_nodes: self.shrunk_nodes.max(other.shrunk_nodes),
            imported_nodes: self.imported_nodes.max(other.imported_nodes),
        }
    }
    /// Those that are not zero, in words.
    pub fn in_words(self) -> Vec<String> {
        let all = [
            (self.half_written_bindings, "half-written bindings"),
            (self.lost_claims, "Lost claims"),
            (self.edited_objects, "edited objects"),
            (self.preset_node_names, "nodes overfilled by preset nodeName"),
            (self.shrunk_nodes, "nodes with shrunk allocatable"),
            (self.imported_nodes, "nodes imported with more than fits"),
        ];
        all.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect()
    }
}

impl Cluster {
    /// Checks what must hold in every state; the first violation in words. `edited`: volumes that somebody changed by hand, or that were
    /// imported as they were.
    ///
    /// # Errors
    /// A description of what is broken: a bug.
    pub fn check_invariants(&self, edited: &BTreeSet<Sym>) -> Result<Exemptions, String> {
        let mut exempt = Exemptions::default();
        self.check_sums()?;
        self.check_claims(edited, &mut exempt)?;
        self.check_volumes(edited, &mut exempt)?;
        self.check_groups()?;
        Ok(exempt)
    }

    /// Used = sum over assigned pods.
    fn check_sums(&self) -> Result<(), String> {
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
        Ok(())
    }

    /// A claim in phase Bound points at a volume that points back.
    fn check_claims(&self, edited: &BTreeSet<Sym>, exempt: &mut Exemptions) -> Result<(), String> {
        for (id, claim) in self.claims.iter() {
            match claim.phase {
                ClaimPhase::Lost => exempt.lost_claims += 1,
                ClaimPhase::Pending => exempt.half_written_bindings += u64::from(claim.volume_name.is_some()),
                ClaimPhase::Bound => {
                    let volume = claim.volume_name.and_then(|name| self.volume_by_name(name));
                    let Some(volume) = volume.map(|v| &self.volumes[v]) else {
                        // Its volume was taken away; the controller will say Lost.
                        exempt.half_written_bindings += 1;
                        continue;
                    };
                    let points_back = volume.claim_ref.is_some_and(|r| {
                        (r.namespace, r.name) == (claim.namespace, claim.name)
                            && r.uid.is_none_or(|uid| uid == claim.uid)
                    });
                    if points_back {
                        exempt.half_written_bindings += u64::from(volume.phase != VolumePhase::Bound);
                    } else if volume.phase == VolumePhase::Bound && !edited.contains(&volume.name) {
                        return Err(format!(
                            "claim {} is bound to {} which is bound to another",
                            self.claim_key(id),
                            self.names.text(volume.name)
                        ));
                    } else {
                        exempt.edited_objects += 1;
                    }
                }
            }
        }
        Ok(())
    }
    /// Volumes that a Bound claim names and that do not point back.
    pub fn misbound_volumes(&self) -> BTreeSet<Sym> {
        let bound = self.claims.iter().filter(|(_, claim)| claim.phase == ClaimPhase::Bound);
        let misbound = bound.filter(|(_, claim)| {
            let volume = claim.volume_name.and_then(|name| self.volume_by_name(name));
            volume.is_some_and(|v| {
                self.volumes[v].claim_ref.is_none_or(|r| {
                    (r.namespace, r.name) != (claim.namespace, claim.name)
                        || r.uid.is_some_and(|uid| uid != claim.uid)
                })
            })
        });
        misbound.filter_map(|(_, claim)| claim.volume_name).collect()
    }

    /// A volume in phase Bound points at a claim that points back.
    fn check_volumes(&self, edited: &BTreeSet<Sym>, exempt: &mut Exemptions) -> Result<(), String> {
        for (id, volume) in self.volumes.iter() {
            let free = self.pinned_host(volume.node_affinity).map(|host| self.free_pinned_volumes(host));
            if free.is_some_and(|free| free.contains(&id) != volume.is_free_to_assume()) {
                return Err(format!("whether volume {} is free is mistaken", self.names.text(volume.name)));
            }
            if volume.phase != VolumePhase::Bound {
                continue;
            }
            let claim = volume.claim_ref.and_then(|r| self.claim_by_name(r.namespace, r.name));
            let claim = claim.map(|id| (id, &self.claims[id]));
            let same =
                claim.filter(|(_, c)| volume.claim_ref.is_some_and(|r| r.uid.is_none_or(|u| u == c.uid)));
            match same {
                // Its claim has just gone, or it is being written.
                None => exempt.half_written_bindings += 1,
                Some((_, c)) if c.volume_name.is_none() || c.phase == ClaimPhase::Pending => {
                    exempt.half_written_bindings += 1;
                }
                Some((id, c)) if c.volume_name != Some(volume.name) => {
                    if !edited.contains(&volume.name) && c.phase == ClaimPhase::Bound {
                        return Err(format!(
                            "volume {} is bound to {} which is bound to another",
                            self.names.text(volume.name),
                            self.claim_key(id)
                        ));
                    }
                    exempt.edited_objects += 1;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Bytes of volume groups are conserved.
    fn check_groups(&self) -> Result<(), String> {
        for (_, group) in self.volume_groups.iter() {
            let sum: u64 = group.allocations().map(|(_, bytes)| bytes).sum();
            if sum != group.allocated_bytes() || sum > group.capacity_bytes() {
                let name = self.names.text(group.name);
                return Err(format!(
                    "volume group {name} of {} bytes has given {} and counts {}",
                    group.capacity_bytes(),
                    sum,
                    group.allocated_bytes()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "invariants_tests.rs"]
mod tests;
