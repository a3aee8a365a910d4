//! Changes of all other objects.

use super::*;

impl Cluster {
    pub(super) fn new_config(&mut self) {
        self.configs += 1;
        self.config_generation = self.configs;
    }
    /// The configuration is again what it was at that value of [`Cluster::config_generation`]: a question has been asked, and
    /// everything put back.
    pub fn config_restored(&mut self, generation: u64) {
        self.config_generation = generation;
    }
    /// Adds or replaces a class.
    pub fn set_class(&mut self, class: StorageClass) {
        self.changes.push(Change::ClassChanged(class.name));
        self.new_config();
        self.generation += 1;
        self.index_class(&class);
        self.classes.insert(class.name, class);
    }
    /// Adds or replaces a namespace.
    pub fn set_namespace(&mut self, namespace: Namespace) {
        self.namespaces.insert(namespace.name, namespace);
        self.new_config();
        self.generation += 1;
    }
    /// Adds or replaces a PriorityClass.
    pub fn set_priority_class(&mut self, class: PriorityClass) {
        self.priority_classes.insert(class.name, class);
    }
    /// Adds a Service.
    pub fn add_service(&mut self, service: Service) {
        self.services.push(service);
        self.new_config();
        self.generation += 1;
    }
    /// Adds a PodDisruptionBudget, or changes the one of its name.
    pub fn add_budget(&mut self, budget: DisruptionBudget) {
        let same = |b: &&mut DisruptionBudget| b.namespace == budget.namespace && b.name == budget.name;
        match self.budgets.iter_mut().find(same) {
            Some(old) => *old = budget,
            None => self.budgets.push(budget),
        }
        self.new_config();
        self.generation += 1;
    }
    /// Writes a PodDisruptionBudget's `status.disruptionsAllowed`. It decides among victims of preemption, not whether there are any.
    pub fn set_disruptions_allowed(&mut self, budget: usize, allowed: i32) {
        if let Some(budget) = self.budgets.get_mut(budget) {
            budget.disruptions_allowed = allowed;
            self.generation += 1;
        }
    }
    /// Adds or replaces (by namespace and name) a CSIStorageCapacity. It changes too often to be configuration: what is derived from
    /// that must not rest on capacities. The nodes that it is about see another world.
    pub fn set_capacity(&mut self, capacity: StorageCapacity) {
        self.changes.push(Change::CapacityChanged(capacity.class));
        self.generation += 1;
        let topology = capacity.topology.clone();
        let old = self.capacities.set(capacity).and_then(|old| old.topology);
        if old != topology {
            self.touch_topology(old.as_ref());
        }
        self.touch_topology(topology.as_ref());
    }
    fn touch_topology(&mut self, topology: Option<&LabelSelector>) {
        let Some(topology) = topology else { return };
        match single_label(topology) {
            Some((sym::HOSTNAME, host)) => self.touch_host(host),
            _ => {
                let matches = |id: &NodeId| topology.matches(self.node_labels(*id));
                for node in self.nodes.ids().filter(matches).collect::<Vec<_>>() {
                    self.touch_node(node);
                }
            }
        }
    }
    /// Adds or replaces a CSINode.
    pub fn set_csi_node(&mut self, node: Sym, csi: CsiNode) {
        self.changes.push(Change::CsiNodeChanged(node));
        self.new_config();
        self.generation += 1;
        self.csi_nodes.insert(node, csi);
    }
    /// Adds or replaces a CSIDriver.
    pub fn set_csi_driver(&mut self, driver: CsiDriver) {
        self.changes.push(Change::CsiDriverChanged(driver.name));
        self.new_config();
        self.generation += 1;
        self.csi_drivers.insert(driver.name, driver);
    }
    /// Adds a StatefulSet.
    pub fn add_stateful_set(&mut self, set: StatefulSet) -> StatefulSetId {
        let key = (set.namespace, set.name);
        let id = self.stateful_sets.push(set);
        self.stateful_set_names.insert(key, id);
        self.changes.push(Change::StatefulSetChanged(id));
        id
    }
    /// Changes a StatefulSet.
    pub fn update_stateful_set(&mut self, id: StatefulSetId, change: impl FnOnce(&mut StatefulSet)) {
        change(&mut self.stateful_sets[id]);
        self.generation += 1;
        self.changes.push(Change::StatefulSetChanged(id));
    }
    /// Adds a ReplicaSet or Deployment.
    pub fn add_replica_set(&mut self, set: ReplicaSet) -> ReplicaSetId {
        let key = (set.namespace, set.name, set.kind);
        let id = self.replica_sets.push(set);
        self.replica_set_names.insert(key, id);
        self.changes.push(Change::ReplicaSetChanged(id));
        id
    }
    /// Changes a ReplicaSet or Deployment.
    pub fn update_replica_set(&mut self, id: ReplicaSetId, change: impl FnOnce(&mut ReplicaSet)) {
        change(&mut self.replica_sets[id]);
        self.generation += 1;
        self.changes.push(Change::ReplicaSetChanged(id));
    }
    /// Adds a Job.
    pub fn add_job(&mut self, job: Job) -> JobId {
        let key = (job.namespace, job.name);
        let id = self.jobs.push(job);
        self.job_names.insert(key, id);
        self.changes.push(Change::JobChanged(id));
        id
    }
    /// Changes a Job.
    pub fn update_job(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        change(&mut self.jobs[id]);
        self.changes.push(Change::JobChanged(id));
    }
}
