//! Changes of pods.

use super::*;

impl Cluster {
    /// Adds a pod. One with a node counts there at once.
    ///
    /// # Errors
    /// [`AlreadyExists`].
    pub fn add_pod(&mut self, pod: Pod) -> Result<PodId, AlreadyExists> {
        let key = (self.spec(pod.spec).namespace, pod.name);
        if self.pod_by_name(key.0, key.1).is_some() {
            return Err(AlreadyExists);
        }
        self.name_claims(pod.spec, pod.name);
        let (finished, node) = (pod.is_finished(), pod.placed());
        let id = self.pods.insert(pod);
        self.add_claim_user(id);
        let (pods, specs) = (&self.pods, &self.specs.rows);
        let key_of = |id: &PodId| hash_of(&(specs[pods[*id].spec].namespace, pods[*id].name));
        self.pod_names.insert_unique(hash_of(&key), id, key_of);
        if let Some(node) = node.filter(|_| !finished) {
            self.charge(id, node);
        }
        self.changes.push(Change::PodAdded(id));
        Ok(id)
    }
    /// Notes who mentions the pod's claims, before the pod can be found by its name.
    fn add_claim_user(&mut self, id: PodId) {
        let (spec, pod) = (self.pods[id].spec, self.pods[id].name);
        let namespace = self.specs.rows[spec].namespace;
        for index in 0..self.specs.rows[spec].volumes.len() {
            let volume = &self.specs.rows[spec].volumes[index];
            let Some(Some(claim)) = self.claim_name_of(pod, volume) else { continue };
            let by_name = match volume {
                PodVolume::ClaimTemplate { prefix } => {
                    self.names.unprefixed_name(claim) == Some((*prefix, pod))
                }
                _ => false,
            };
            let key = (namespace, claim);
            if let Some(users) = self.claim_users.get_mut(&key) {
                users.push(id);
            } else if !by_name {
                let mut users = self.template_user(namespace, claim).copied().map(Few::One);
                match &mut users {
                    Some(users) => users.push(id),
                    None => users = Some(Few::One(id)),
                }
                self.claim_users.extend(users.map(|users| (key, users)));
            }
        }
    }
    fn remove_claim_user(&mut self, id: PodId) {
        if self.claim_users.is_empty() {
            return;
        }
        let (spec, pod) = (self.pods[id].spec, self.pods[id].name);
        let namespace = self.specs.rows[spec].namespace;
        for index in 0..self.specs.rows[spec].volumes.len() {
            let claim = self.claim_name_of(pod, &self.specs.rows[spec].volumes[index]);
            let Some(Some(claim)) = claim else { continue };
            if self.claim_users.get_mut(&(namespace, claim)).is_some_and(|users| users.forget(id)) {
                self.claim_users.remove(&(namespace, claim));
            }
        }
    }
    /// Makes sure that the names of the pod's claims are interned, so that they can be looked up without writing.
    fn name_claims(&mut self, spec: SpecId, name: Name) {
        for index in 0..self.specs.rows[spec].volumes.len() {
            match self.specs.rows[spec].volumes[index] {
                PodVolume::ClaimTemplate { prefix } => {
                    self.names.prefixed_name(prefix, name);
                }
                PodVolume::Ephemeral { suffix, .. } => {
                    let text = format!("{}-{}", self.names.show(name), self.names.text(suffix));
                    self.names.name(&text);
                }
                PodVolume::Claim { .. } | PodVolume::Exclusive { .. } => {}
            }
        }
    }
    /// Removes a pod for good.
    pub fn remove_pod(&mut self, id: PodId) {
        self.set_nominated(id, None);
        let (node, spec) = (self.pods[id].placed(), self.pods[id].spec);
        if let Some(node) = node.filter(|_| !self.pods[id].is_finished()) {
            self.discharge(id, node);
        }
        let namespace = self.spec(spec).namespace;
        self.remove_claim_user(id);
        if let Some(pod) = self.pods.remove(id) {
            if let Ok(entry) = self.pod_names.find_entry(hash_of(&(namespace, pod.name)), |p| *p == id) {
                entry.remove();
            }
            self.changes.push(Change::PodRemoved {
                pod: id,
                uid: pod.uid,
                name: pod.name,
                node: pod.node,
                owner: pod.owner,
                spec,
            });
        }
    }
    /// The scheduler reserves a node for the pod (no API write, hence no change recorded).
    pub fn assume_pod(&mut self, id: PodId, node: NodeId) {
        debug_assert!(self.pods[id].placed().is_none());
        self.pods[id].assumed = node.into();
        self.charge(id, node);
    }
    /// The scheduler gives the reservation back.
    pub fn forget_pod(&mut self, id: PodId) {
        if let Some(node) = self.pods[id].assumed.take() {
            self.discharge(id, node);
        }
    }
    /// Binds the pod: `spec.nodeName` is set. An assumed pod must be bound to the node it was assumed on.
    pub fn bind_pod(&mut self, id: PodId, node: NodeId) {
        let assumed = self.pods[id].assumed.take();
        if assumed != Some(node) {
            if let Some(other) = assumed {
                self.discharge(id, other);
            }
            self.charge(id, node);
        }
        self.pods[id].node = Some(node);
        self.changes.push(Change::PodUpdated(id, PodDelta::Assigned));
    }
    /// Sets phase and readiness. A pod that ends stops counting on its node.
    pub fn set_pod_status(&mut self, id: PodId, phase: PodPhase, ready: bool) {
        let pod = &mut self.pods[id];
        if (pod.phase, pod.ready) == (phase, ready) {
            return;
        }
        let was_finished = pod.is_finished();
        (pod.phase, pod.ready) = (phase, ready);
        let (finished, placed) = (pod.is_finished(), pod.placed());
        if let Some(node) = placed.filter(|_| finished && !was_finished) {
            self.discharge(id, node);
        }
        self.changes.push(Change::PodUpdated(id, PodDelta::Status));
    }
    /// The nomination of a pod that has just been read from a manifest with it.
    pub fn imported_nomination(&mut self, id: PodId, node: NodeId) {
        self.note_nominated(id, Some(node));
    }
    /// True if that is something new.
    fn note_nominated(&mut self, id: PodId, node: Option<NodeId>) -> bool {
        let before = match node {
            Some(node) => self.nominations.insert(id, node),
            None if self.nominations.is_empty() => return false,
            None => self.nominations.remove(&id),
        };
        if before == node {
            return false;
        }
        if let Some(list) = before.and_then(|n| self.nominated.get_mut(&n)) {
            list.retain(|p| *p != id);
        }
        self.nominated.retain(|_, list| !list.is_empty());
        if let Some(node) = node {
            self.nominated.entry(node).or_default().push(id);
        }
        true
    }
    /// Sets or clears the nomination.
    pub fn set_nominated(&mut self, id: PodId, node: Option<NodeId>) {
        if !self.note_nominated(id, node) {
            return;
        }
        self.generation += 1;
        self.changes.push(Change::PodUpdated(id, PodDelta::Nominated));
    }
    /// Marks the pod for deletion.
    pub fn mark_pod_deleted(&mut self, id: PodId) {
        if self.pods[id].deletion.replace(Terminating).is_none() {
            self.generation += 1;
            let pod = &self.pods[id];
            if let Some(node) = pod.placed().filter(|_| !pod.is_finished()) {
                self.placements.push(Placement { spec: pod.spec, node, pods: 0, living: -1 });
            }
            self.changes.push(Change::PodUpdated(id, PodDelta::Terminating));
        }
    }
    /// Says when the pod was created: objects read from manifests do not know.
    pub fn set_pod_created(&mut self, id: PodId, at: SimTime) {
        self.pods[id].created = at;
    }
    /// Sets the key by which preemption orders pods of equal priority.
    pub fn set_pod_start_order(&mut self, id: PodId, order: StartOrder) {
        self.pods[id].start_order = order;
    }
    /// Records that the scheduler preempts the pod (its DisruptionTarget condition).
    pub fn set_pod_preempted(&mut self, id: PodId) {
        self.pods[id].preempted = true;
    }
    /// Records that the pod's conditions changed (the scheduler wrote another message).
    pub fn pod_condition_changed(&mut self, id: PodId) {
        self.changes.push(Change::PodUpdated(id, PodDelta::Condition));
    }
    fn charge(&mut self, pod: PodId, node: NodeId) {
        let row = &self.pods[pod];
        let spec = &self.specs.rows[row.spec];
        self.nodes[node].info.add_pod(pod, spec);
        let living = i8::from(row.deletion.is_none());
        self.placements.push(Placement { spec: row.spec, node, pods: 1, living });
        *self.priorities.entry(spec.priority).or_default() += 1;
        if let Some(affinity) = &spec.affinity {
            self.affinity_pods.0 += usize::from(affinity.concerns_pods());
            self.affinity_pods.1 += usize::from(!affinity.anti_required.is_empty());
        }
        self.touch_node(node);
    }
    fn discharge(&mut self, pod: PodId, node: NodeId) {
        let row = &self.pods[pod];
        let spec = &self.specs.rows[row.spec];
        let counted = self.nodes[node].info.remove_pod(pod, spec);
        if counted {
            let living = -i8::from(row.deletion.is_none());
            self.placements.push(Placement { spec: row.spec, node, pods: -1, living });
        }
        if let Some(count) = self.priorities.get_mut(&spec.priority).filter(|_| counted) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&spec.priority);
            }
        }
        if let Some(affinity) = spec.affinity.as_ref().filter(|_| counted) {
            self.affinity_pods.0 -= usize::from(affinity.concerns_pods());
            self.affinity_pods.1 -= usize::from(!affinity.anti_required.is_empty());
        }
        self.touch_node(node);
    }
}
