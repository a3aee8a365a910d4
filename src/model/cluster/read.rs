//! Reading: nothing here changes anything.

use super::*;
use std::borrow::Cow;

impl Cluster {
    /// A pod spec.
    #[inline]
    pub fn spec(&self, id: SpecId) -> &PodSpec {
        &self.specs.rows[id]
    }
    /// All pod specs.
    pub fn specs(&self) -> &Col<SpecId, PodSpec> {
        &self.specs.rows
    }
    /// The spec of a pod.
    #[inline]
    pub fn spec_of(&self, pod: PodId) -> &PodSpec {
        self.spec(self.pods[pod].spec)
    }
    /// A claim spec.
    #[inline]
    pub fn claim_spec(&self, id: ClaimSpecId) -> &ClaimSpec {
        &self.claim_specs.rows[id]
    }
    /// What a claim asks for.
    #[inline]
    pub fn claim_spec_of(&self, claim: ClaimId) -> &ClaimSpec {
        self.claim_spec(self.claims[claim].spec)
    }
    /// An interned quantity.
    pub fn quantity(&self, id: QuantityId) -> Quantity {
        self.quantities.rows[id]
    }
    /// A label set.
    #[inline]
    pub fn label_set(&self, id: LabelSetId) -> &LabelSet {
        &self.labels.rows[id]
    }
    /// A node selector.
    pub fn node_selector(&self, id: NodeSelectorId) -> Cow<'_, NodeSelector> {
        match &self.node_selectors.rows[id] {
            KeptSelector::Host(host) => Cow::Owned(NodeSelector::of_host(*host)),
            KeptSelector::Other(selector) => Cow::Borrowed(selector),
        }
    }
    /// All nodes, also removed ones (`exists` false), in order of creation.
    #[inline]
    pub fn nodes(&self) -> &Col<NodeId, Node> {
        &self.nodes
    }
    /// Number of existing nodes.
    pub fn node_count(&self) -> usize {
        self.node_counts.0
    }
    /// Does any node report images?
    pub fn has_images(&self) -> bool {
        self.node_counts.1 > 0
    }
    /// Does any placed pod have pod affinity or anti-affinity of any kind?
    pub fn has_pod_affinity(&self) -> bool {
        self.affinity_pods.0 > 0
    }
    /// The lowest priority of any placed pod.
    pub fn lowest_placed_priority(&self) -> Option<i32> {
        self.priorities.keys().next().copied()
    }
    /// Does any placed pod have required anti-affinity?
    pub fn has_required_anti_affinity(&self) -> bool {
        self.affinity_pods.1 > 0
    }
    /// A node.
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
    /// The existing node of this name.
    #[inline]
    pub fn node_by_name(&self, name: Sym) -> Option<NodeId> {
        self.node_names.get(&name).copied()
    }
    /// Labels of a node.
    #[inline]
    pub fn node_labels(&self, id: NodeId) -> &LabelSet {
        self.label_set(self.nodes[id].labels)
    }
    /// All pods.
    #[inline]
    pub fn pods(&self) -> &Slab<PodId, Pod> {
        &self.pods
    }
    /// A pod.
    #[inline]
    pub fn pod(&self, id: PodId) -> &Pod {
        &self.pods[id]
    }
    /// The pod of this name.
    pub fn pod_by_name(&self, namespace: Sym, name: Name) -> Option<PodId> {
        self.pod_entry(namespace, name).copied()
    }
    fn pod_entry(&self, namespace: Sym, name: Name) -> Option<&PodId> {
        let same = |id: &PodId| {
            let pod = &self.pods[*id];
            pod.name == name && self.spec(pod.spec).namespace == namespace
        };
        self.pod_names.find(hash_of(&(namespace, name)), same)
    }
    /// `namespace/name` of a pod.
    pub fn pod_key(&self, id: PodId) -> String {
        let pod = &self.pods[id];
        format!("{}/{}", self.names.text(self.spec(pod.spec).namespace), self.names.show(pod.name))
    }
    /// All claims.
    #[inline]
    pub fn claims(&self) -> &Slab<ClaimId, Claim> {
        &self.claims
    }
    /// A claim.
    #[inline]
    pub fn claim(&self, id: ClaimId) -> &Claim {
        &self.claims[id]
    }
    /// The claim of this name.
    #[inline]
    pub fn claim_by_name(&self, namespace: Sym, name: Name) -> Option<ClaimId> {
        let same = |id: &ClaimId| (self.claims[*id].namespace, self.claims[*id].name) == (namespace, name);
        self.claim_names.find(hash_of(&(namespace, name)), same).copied()
    }
    /// `namespace/name` of a claim.
    pub fn claim_key(&self, id: ClaimId) -> String {
        let claim = &self.claims[id];
        let mut text = self.names.text(claim.namespace).to_owned();
        text.push('/');
        self.names.push_name(claim.name, &mut text);
        text
    }
    /// All volumes.
    #[inline]
    pub fn volumes(&self) -> &Slab<VolumeId, Volume> {
        &self.volumes
    }
    /// A volume.
    #[inline]
    pub fn volume(&self, id: VolumeId) -> &Volume {
        &self.volumes[id]
    }
    /// The volume of this name.
    #[inline]
    pub fn volume_by_name(&self, name: Sym) -> Option<VolumeId> {
        self.volume_names.find(hash_of(&name), |id| self.volumes[*id].name == name).copied()
    }
    /// Volumes whose node affinity names exactly one host, by the value of the hostname label. The affinity may require more.
    #[inline]
    pub fn pinned_volumes(&self, hostname: Sym) -> &[VolumeId] {
        self.pinned_volumes.get(&hostname).map_or(&[], PinnedVolumes::all)
    }
    /// Those of them that are free in the scheduler's eyes ([`Volume::is_free_to_assume`]).
    #[inline]
    pub fn free_pinned_volumes(&self, hostname: Sym) -> &[VolumeId] {
        self.pinned_volumes.get(&hostname).map_or(&[], PinnedVolumes::free)
    }
    /// All other volumes.
    pub fn wide_volumes(&self) -> &[VolumeId] {
        &self.wide_volumes
    }
    /// Does the volume's node affinity allow the node? As Kubernetes asks it: by the node's labels only.
    pub fn volume_allows_node(&self, volume: &Volume, node: NodeId) -> bool {
        volume.node_affinity.is_none_or(|selector| match self.hosts_of_selectors[selector.index()] {
            Hosts::Only(host) => self.node_labels(node).get(sym::HOSTNAME) == Some(host),
            _ => self.node_selector(selector).matches_labels(self.node_labels(node), &self.names),
        })
    }
    /// The same for a node with this hostname label and one of [`Cluster::pinned_volumes`] of that host.
    pub fn pinned_volume_allows(&self, volume: &Volume, host: Sym, node: NodeId) -> bool {
        volume.node_affinity.is_none_or(|selector| match self.hosts_of_selectors[selector.index()] {
            Hosts::Only(only) => only == host,
            _ => self.volume_allows_node(volume, node),
        })
    }
    /// The volumes whose claimRef names this claim, in no particular order.
    pub fn volumes_claimed_by(&self, namespace: Sym, name: Name) -> &[VolumeId] {
        let claim = Some((namespace, name));
        self.claimed_volumes.get(hash_of(&claim), |id| self.volumes[id].claim() == claim)
    }
    /// Which volumes are free or reserved, and the order among equal ones.
    #[inline]
    pub fn volume_index(&self) -> &VolumeIndex {
        &self.volume_index
    }
    /// Chooses how ties among equal volumes are broken; by name unless set.
    pub fn set_volume_tie_break(&mut self, tie: TieBreak) {
        self.volume_index = VolumeIndex::new(tie);
        for class in self.classes.values() {
            let delayed = class.is_static_and_delayed();
            self.volume_index.class_changed(&self.names, &self.volumes, class.name, delayed);
        }
        for (id, volume) in self.volumes.iter() {
            self.volume_index.insert(&self.names, id, volume);
        }
    }
    /// The free volumes that the PV controller may choose from for such a claim, those with exactly these access modes, in the order in
    /// which they are to be taken.
    pub fn free_volumes(&self, spec: &ClaimSpec, modes: AccessModes) -> impl Iterator<Item = VolumeId> + '_ {
        let kind = (spec.class_or_empty(), spec.mode, spec.attributes_class);
        self.volume_index.free_volumes(&self.names, &self.volumes, kind, modes, spec.request)
    }
    /// `resourceVersion` of a volume: changes at every write, not when the scheduler reserves it.
    #[inline]
    pub fn volume_version(&self, id: VolumeId) -> u32 {
        self.volume_versions.get(id.index()).copied().unwrap_or_default()
    }
    /// `resourceVersion` of a claim.
    #[inline]
    pub fn claim_version(&self, id: ClaimId) -> u32 {
        self.claim_versions.get(id.index()).copied().unwrap_or_default()
    }
    /// Claim names of a pod in the order of its volumes, with `None` where no such claim can exist (its name was never used).
    pub fn claim_names_of(&self, pod: PodId) -> impl Iterator<Item = Option<Name>> + '_ {
        let row = &self.pods[pod];
        let volumes = self.spec(row.spec).volumes.iter();
        volumes.filter_map(move |volume| self.claim_name_of(row.name, volume))
    }
    /// The name of the claim of one of the volumes of a pod of this name; `None` if it wants none, `Some(None)` if no such claim can
    /// exist.
    pub(super) fn claim_name_of(&self, pod: Name, volume: &PodVolume) -> Option<Option<Name>> {
        match volume {
            PodVolume::Claim { name, .. } => Some(Some(*name)),
            PodVolume::ClaimTemplate { prefix } => Some(self.names.get_prefixed_name(*prefix, pod)),
            PodVolume::Ephemeral { suffix, .. } => Some(self.ephemeral_name(pod, *suffix)),
            PodVolume::Exclusive { .. } => None,
        }
    }
    fn ephemeral_name(&self, pod: Name, suffix: Sym) -> Option<Name> {
        self.names.get_name(&format!("{}-{}", self.names.show(pod), self.names.text(suffix)))
    }
    /// Pods that mention the claim, finished ones too.
    ///
    /// Most claims are made for one pod, by a template: their names tell which. Others are found in an index.
    #[inline]
    pub fn claim_users(&self, namespace: Sym, name: Name) -> &[PodId] {
        if !self.claim_users.is_empty()
            && let Some(users) = self.claim_users.get(&(namespace, name))
        {
            return users.as_slice();
        }
        self.template_user(namespace, name).map_or(&[], std::slice::from_ref)
    }
    /// The pod for which a template makes the claim of this name.
    pub(super) fn template_user(&self, namespace: Sym, claim: Name) -> Option<&PodId> {
        let (prefix, name) = self.names.unprefixed_name(claim)?;
        let pod = self.pod_entry(namespace, name)?;
        let is_template = |v: &PodVolume| matches!(v, PodVolume::ClaimTemplate { prefix: p } if *p == prefix);
        self.spec_of(*pod).volumes.iter().any(is_template).then_some(pod)
    }
    /// `status.nominatedNodeName` of a pod.
    pub fn nomination(&self, pod: PodId) -> Option<NodeId> {
        self.nominations.get(&pod).copied()
    }
    /// Pods nominated to run on a node.
    pub fn nominated_pods(&self, node: NodeId) -> &[PodId] {
        self.nominated.get(&node).map_or(&[], Vec::as_slice)
    }
    /// Is any pod nominated anywhere?
    #[inline]
    pub fn has_nominated_pods(&self) -> bool {
        !self.nominated.is_empty()
    }
    /// All StatefulSets, also deleted ones.
    pub fn stateful_sets(&self) -> &Col<StatefulSetId, StatefulSet> {
        &self.stateful_sets
    }
    /// The existing StatefulSet of this name.
    pub fn stateful_set_by_name(&self, namespace: Sym, name: Name) -> Option<StatefulSetId> {
        self.stateful_set_names.get(&(namespace, name)).copied().filter(|id| self.stateful_sets[*id].exists)
    }
    /// The existing set of this kind (`ReplicaSet`, `Deployment`, `ReplicationController`) and name.
    pub fn replica_set_by_name(
        &self,
        namespace: Sym,
        name: Name,
        kind: ReplicaSetKind,
    ) -> Option<ReplicaSetId> {
        self.replica_set_names
            .get(&(namespace, name, kind))
            .copied()
            .filter(|id| self.replica_sets[*id].exists)
    }
    /// The existing Job of this name.
    pub fn job_by_name(&self, namespace: Sym, name: Name) -> Option<JobId> {
        self.job_names.get(&(namespace, name)).copied().filter(|id| self.jobs[*id].exists)
    }
    /// All ReplicaSets, also deleted ones.
    pub fn replica_sets(&self) -> &Col<ReplicaSetId, ReplicaSet> {
        &self.replica_sets
    }
    /// All Jobs, also deleted ones.
    pub fn jobs(&self) -> &Col<JobId, Job> {
        &self.jobs
    }
    /// A StorageClass.
    pub fn class(&self, name: Sym) -> Option<&StorageClass> {
        self.classes.get(&name)
    }
    /// All StorageClasses.
    pub fn classes(&self) -> impl Iterator<Item = &StorageClass> {
        self.classes.values()
    }
    /// All Services.
    pub fn services(&self) -> &[Service] {
        &self.services
    }
    /// All PodDisruptionBudgets.
    pub fn budgets(&self) -> &[DisruptionBudget] {
        &self.budgets
    }
    /// Labels of a namespace; an unknown one has none.
    pub fn namespace_labels(&self, name: Sym) -> Option<&LabelSet> {
        self.namespaces.get(&name).map(|n| self.label_set(n.labels))
    }
    /// A PriorityClass.
    pub fn priority_class(&self, name: Sym) -> Option<&PriorityClass> {
        self.priority_classes.get(&name)
    }
    /// All PriorityClasses.
    pub fn priority_classes(&self) -> impl Iterator<Item = &PriorityClass> {
        self.priority_classes.values()
    }
    /// All CSIStorageCapacity objects.
    pub fn capacities(&self) -> &Capacities {
        &self.capacities
    }
    /// The CSINode of a node.
    pub fn csi_node(&self, node: Sym) -> Option<&CsiNode> {
        self.csi_nodes.get(&node)
    }
    /// Does any node limit how many volumes of a CSI driver are attached to it?
    pub fn limits_attachments(&self, driver: Sym) -> bool {
        self.csi_nodes.values().any(|node| node.drivers.iter().any(|d| d.name == driver && d.limit.is_some()))
    }
    /// How many nodes have a CSINode.
    pub fn csi_nodes(&self) -> usize {
        self.csi_nodes.len()
    }
    /// A CSIDriver.
    pub fn csi_drivers(&self) -> impl Iterator<Item = &CsiDriver> {
        self.csi_drivers.values()
    }
    /// A CSIDriver.
    pub fn csi_driver(&self, name: Sym) -> Option<&CsiDriver> {
        self.csi_drivers.get(&name)
    }
    /// Changes not taken yet, oldest first.
    #[inline]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }
    /// Takes the recorded changes, oldest first, into `buffer` (whose memory is reused).
    pub fn take_changes(&mut self, buffer: &mut Vec<Change>) {
        buffer.clear();
        buffer.extend(self.changes.iter());
        self.changes.clear();
    }
    /// The same without a copy.
    pub fn swap_changes(&mut self, buffer: &mut Changes) {
        buffer.clear();
        std::mem::swap(buffer, &mut self.changes);
    }
    /// Position in the log of touched nodes, for [`Cluster::touched_since`].
    #[inline]
    pub fn touch_position(&self) -> u64 {
        self.touched.end()
    }
    /// Nodes that changed since `position`, or whose pods or pinned volumes did, with repetitions; `None` if the log does not
    /// reach back that far. Changes of volumes that are not pinned to a host show only in [`Cluster::wide_generation`].
    pub fn touched_since(&self, position: u64) -> Option<&[NodeId]> {
        self.touched.since(position)
    }
    /// Position in the log of placements, for [`Cluster::placements_since`].
    pub fn placement_position(&self) -> u64 {
        self.placements.end()
    }
    /// Pods that came to nodes, left them or began to terminate there since `position`; `None` if the log does not reach back that far.
    pub fn placements_since(&self, position: u64) -> Option<&[Placement]> {
        self.placements.since(position)
    }
    /// Counts up at every change of a volume that is not pinned to a host.
    #[inline]
    pub fn wide_generation(&self) -> u64 {
        self.wide_generation
    }
    /// Counts up when nodes come, go or change their labels, and when anything changes that is neither a node, a pod, a claim, a volume nor a capacity (classes,
    /// services, namespaces, budgets, CSI objects): what decisions rest on and what rarely changes.
    #[inline]
    pub fn config_generation(&self) -> u64 {
        self.config_generation
    }
    /// Nodes whose hostname label has this value.
    pub fn nodes_of_host(&self, hostname: Sym) -> &[NodeId] {
        self.host_nodes.get(&hostname).map_or(&[], Few::as_slice)
    }
    /// Counts up at every change that a scheduling decision could depend on.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}
