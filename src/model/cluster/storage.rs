//! Changes of claims and volumes.

use super::*;
use crate::model::volume_index::Entry;

impl Cluster {
    /// Adds a claim.
    ///
    /// # Errors
    /// [`AlreadyExists`].
    pub fn add_claim(&mut self, claim: Claim) -> Result<ClaimId, AlreadyExists> {
        let key = (claim.namespace, claim.name);
        if self.claim_by_name(key.0, key.1).is_some() {
            return Err(AlreadyExists);
        }
        let id = self.claims.insert(claim);
        let claims = &self.claims;
        let key_of = |id: &ClaimId| hash_of(&(claims[*id].namespace, claims[*id].name));
        self.claim_names.insert_unique(hash_of(&key), id, key_of);
        self.generation += 1;
        count_write(&mut self.claim_versions, id);
        self.changes.push(Change::ClaimAdded(id));
        Ok(id)
    }
    /// Changes a claim (never its name or namespace).
    pub fn update_claim(&mut self, id: ClaimId, change: impl FnOnce(&mut Claim)) {
        self.claims[id].assumed_node = None; // an assumption holds for one version of the object
        change(&mut self.claims[id]);
        self.generation += 1;
        count_write(&mut self.claim_versions, id);
        self.changes.push(Change::ClaimUpdated(id));
    }
    /// Says when the claim was created: objects read from manifests do not know.
    pub fn set_claim_created(&mut self, id: ClaimId, at: SimTime) {
        self.claims[id].created = at;
    }
    /// The scheduler remembers the node for which it will ask provisioning (no API write).
    pub fn assume_claim_node(&mut self, id: ClaimId, node: Option<Sym>) {
        self.claims[id].assumed_node = node;
        self.generation += 1;
    }
    /// Removes a claim for good.
    pub fn remove_claim(&mut self, id: ClaimId) {
        if let Some(claim) = self.claims.remove(id) {
            let hash = hash_of(&(claim.namespace, claim.name));
            if let Ok(entry) = self.claim_names.find_entry(hash, |c| *c == id) {
                entry.remove();
            }
            self.generation += 1;
            self.changes.push(Change::ClaimRemoved {
                claim: id,
                uid: claim.uid,
                namespace: claim.namespace,
                name: claim.name,
                volume: claim.volume_name,
            });
        }
    }
    /// Adds a volume.
    ///
    /// # Errors
    /// [`AlreadyExists`].
    pub fn add_volume(&mut self, mut volume: Volume) -> Result<VolumeId, AlreadyExists> {
        if self.volume_by_name(volume.name).is_some() {
            return Err(AlreadyExists);
        }
        let (name, host) = (volume.name, self.pinned_host(volume.node_affinity));
        share(&mut self.latest_shapes, &mut volume.shape);
        let id = self.volumes.insert(volume);
        let volumes = &self.volumes;
        self.volume_names.insert_unique(hash_of(&name), id, |id| hash_of(&volumes[*id].name));
        self.reindex_claim(id, None, self.volumes[id].claim());
        self.volume_index.insert(&self.names, id, &self.volumes[id]);
        match host {
            Some(host) => {
                let free = self.volumes[id].is_free_to_assume();
                self.pinned_volumes.entry(host).or_default().insert(id, free);
            }
            None => self.wide_volumes.push(id),
        }
        self.touch_volume(self.volumes[id].node_affinity);
        count_write(&mut self.volume_versions, id);
        self.changes.push(Change::VolumeAdded(id));
        Ok(id)
    }
    fn reindex_claim(&mut self, id: VolumeId, old: Option<(Sym, Name)>, new: Option<(Sym, Name)>) {
        if old == new {
            return;
        }
        if old.is_some() {
            self.claimed_volumes.remove(id, hash_of(&old));
        }
        if new.is_some() {
            let volumes = &self.volumes;
            let claim_of = |id: VolumeId| volumes[id].claim();
            self.claimed_volumes.insert(
                id,
                hash_of(&new),
                |id| claim_of(id) == new,
                |id| hash_of(&claim_of(id)),
            );
        }
    }
    /// Changes a volume (never its name, access modes or node affinity).
    pub fn update_volume(&mut self, id: VolumeId, change: impl FnOnce(&mut Volume)) {
        let volume = &mut self.volumes[id];
        let (old, old_claim, was_free) = (Entry::of(volume), volume.claim(), volume.is_free_to_assume());
        // An assumption holds for the version of the object that it was made on.
        volume.assumed_for = None;
        change(volume);
        let (new, name, affinity) = (Entry::of(volume), volume.name, volume.node_affinity);
        let (claim, is_free) = (volume.claim(), volume.is_free_to_assume());
        self.reindex_claim(id, old_claim, claim);
        if was_free != is_free {
            self.move_pinned(id, affinity, is_free);
        }
        self.volume_index.change(&self.names, id, name, old, new);
        self.touch_volume(affinity);
        count_write(&mut self.volume_versions, id);
        self.changes.push(Change::VolumeUpdated(id));
    }
    /// Says when the volume was created: objects read from manifests do not know.
    pub fn set_volume_created(&mut self, id: VolumeId, at: SimTime) {
        self.volumes[id].created = at;
    }
    /// The scheduler reserves a volume for a claim, or gives it back (no API write).
    pub fn assume_volume(&mut self, id: VolumeId, claim: Option<Uid>) {
        let volume = &mut self.volumes[id];
        let (old, was_free) = (Entry::of(volume), volume.is_free_to_assume());
        volume.assumed_for = claim;
        let (new, name, affinity) = (Entry::of(volume), volume.name, volume.node_affinity);
        let is_free = volume.is_free_to_assume();
        if was_free != is_free {
            self.move_pinned(id, affinity, is_free);
        }
        self.volume_index.change(&self.names, id, name, old, new);
        self.touch_volume(affinity);
    }
    /// A volume has become free, or is not free any more.
    fn move_pinned(&mut self, id: VolumeId, affinity: Option<NodeSelectorId>, free: bool) {
        if let Some(pinned) = self.pinned_host(affinity).and_then(|host| self.pinned_volumes.get_mut(&host)) {
            pinned.set_free(id, free);
        }
    }
    /// Removes a volume for good.
    pub fn remove_volume(&mut self, id: VolumeId) {
        if let Some(volume) = self.volumes.remove(id) {
            if let Ok(entry) = self.volume_names.find_entry(hash_of(&volume.name), |v| *v == id) {
                entry.remove();
            }
            self.reindex_claim(id, volume.claim(), None);
            self.volume_index.remove(&self.names, id, &volume);
            match self.pinned_host(volume.node_affinity) {
                Some(host) => {
                    if let Some(pinned) = self.pinned_volumes.get_mut(&host) {
                        pinned.remove(id);
                    }
                }
                None => self.wide_volumes.retain(|v| *v != id),
            }
            self.touch_volume(volume.node_affinity);
            let claim = volume.claim();
            self.changes.push(Change::VolumeRemoved { volume: id, name: volume.name, claim });
        }
    }
    pub(super) fn index_class(&mut self, class: &StorageClass) {
        let delayed = class.is_static_and_delayed();
        self.volume_index.class_changed(&self.names, &self.volumes, class.name, delayed);
    }
    /// The one host that a node affinity can match: a single term with `kubernetes.io/hostname In [host]`.
    pub fn pinned_host(&self, selector: Option<NodeSelectorId>) -> Option<Sym> {
        match self.hosts_of_selectors[selector?.index()] {
            Hosts::Only(host) | Hosts::Within(host) => Some(host),
            Hosts::Any => None,
        }
    }
}

impl Cluster {
    /// Raises the request of a bound claim whose class allows that; anything else is refused and changes nothing.
    pub fn expand_claim(&mut self, id: ClaimId, request: crate::model::quantity::Quantity) -> bool {
        let claim = self.claim(id);
        let spec = self.claim_spec(claim.spec).clone();
        let allowed = self.class(spec.class_or_empty()).is_some_and(|class| class.allow_expansion);
        if !allowed || claim.phase != ClaimPhase::Bound || request <= spec.request {
            return false;
        }
        let spec = self.intern_claim_spec(ClaimSpec { request, ..spec });
        self.update_claim(id, |claim| claim.spec = spec);
        true
    }
}

// ---- volume groups ----
impl Cluster {
    /// Adds a volume group.
    pub fn add_volume_group(&mut self, group: VolumeGroup) -> VolumeGroupId {
        let node = group.node;
        let id = self.volume_groups.push(group);
        self.groups_by_node.entry(node).or_default().push(id);
        id
    }
    /// All volume groups, in order of creation.
    pub fn volume_groups(&self) -> &Col<VolumeGroupId, VolumeGroup> {
        &self.volume_groups
    }
    /// The volume groups of a node.
    pub fn volume_groups_on(&self, node: Sym) -> &[VolumeGroupId] {
        self.groups_by_node.get(&node).map_or(&[], Vec::as_slice)
    }
    /// Lets a class draw on a group.
    pub fn serve_class(&mut self, group: VolumeGroupId, class: Sym) {
        let classes = &mut self.volume_groups[group].classes;
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    /// Gives a volume (by name) bytes of a group; false if they are not there.
    pub fn allocate(&mut self, group: VolumeGroupId, volume: Sym, bytes: u64) -> bool {
        self.volume_groups[group].allocate(volume, bytes)
    }
    /// Takes back what a volume has of a group.
    pub fn release(&mut self, group: VolumeGroupId, volume: Sym) {
        self.volume_groups[group].release(volume);
    }
    /// A disk fails or is repaired.
    pub fn set_group_health(&mut self, group: VolumeGroupId, healthy: bool) {
        self.volume_groups[group].healthy = healthy;
    }
}
