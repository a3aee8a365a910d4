//! A commented scenario to begin with: `stowplan new`.

use super::catalog::{Machine, Preset};

/// What the scenario is about.
#[derive(Clone, Debug)]
pub struct NewScenario<'a> {
    /// Its name.
    pub name: &'a str,
    /// The machines.
    pub machine: &'a Machine,
    /// How many.
    pub nodes: u32,
    /// Volumes per disk.
    pub split: u32,
    /// What runs on them.
    pub preset: &'a Preset,
    /// How many sets.
    pub sets: u32,
}

impl NewScenario<'_> {
    /// The scenario's text.
    pub fn text(&self) -> String {
        let NewScenario { name, machine, nodes, split, preset, sets } = self;
        let disk_gib = machine.disk_bytes >> 30;
        let claims: Vec<String> = preset.volume_gib.iter().map(|gib| format!("{gib}Gi")).collect();
        let volume_gib = disk_gib / u64::from((*split).max(1));
        format!(
            "# {preset_name} on {machine_name}, with both binding modes compared.
# Run it:   stowplan run {name}.yaml
# Change something for one run:   stowplan run {name}.yaml --set 'cluster.nodes[db].count=40'
version: 1
name: {name}
seed: 42                            # every random choice; the same seed gives the same bytes
# duration: 30d                     # default: until nothing can change any more

cluster:
  storageClasses:
    - {{name: local-ssd, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}
  nodes:
    - name: db                      # nodes db-0 ... db-{last}
      shape: {machine_name}         # {vcpu} CPU, {memory}, {disks} x {disk_gib} GiB {kind}; see `stowplan catalog machines`
      count: {nodes}
      zones: [a, b, c]              # round robin
      reserved: {{cpu: 500m, memory: 2Gi}}   # capacity - reserved = allocatable
      disks:
        - class: local-ssd
          split: {split}            # {volumes} volumes of about {volume_gib} GiB per node; or split: whole, sizes: [...], lvm: {{}}
          reclaim: Delete
          staticProvisioner: {{wipe: 200MB/s}}

workload:
  generate:
    - name: set                     # sets set-0 ... set-{last_set}
      preset: {preset_name}         # {replicas} pods with {cpu}m CPU, {mem} MiB, claims {claims}, anti-affinity {anti}
      sets: {sets}
      # replicas: {replicas}        # whatever stands here beats the preset
      # cpu: 4
      # arrivals: {{every: {{exponential: {{mean: 10m}}}}}}
      # lifetime: {{exponential: {{mean: 90d}}}}        # needs a duration

# variants:                         # default: both binding modes
#   - {{name: immediate, bindingMode: Immediate}}
#   - {{name: wait-for-first-consumer, bindingMode: WaitForFirstConsumer}}

# sweep:                            # stowplan sweep {name}.yaml
#   replications: 10
#   axes:
#     - {{path: \"cluster.nodes[db].disks[0].split\", values: [1, 2, 4, 8]}}

report:
  stuckAfter: 5m                    # a wanted replica that has not been running for longer is stuck
",
            preset_name = preset.name,
            machine_name = machine.name,
            last = nodes.saturating_sub(1),
            vcpu = machine.vcpu,
            memory = machine.memory,
            disks = machine.disk_count,
            kind = machine.disk_kind,
            volumes = u64::from(machine.disk_count) * u64::from(*split),
            last_set = sets.saturating_sub(1),
            replicas = preset.replicas,
            cpu = preset.cpu_milli,
            mem = preset.memory_mib,
            claims = claims.join(" + "),
            anti = preset.anti_affinity,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::catalog::{machines, presets};
    use crate::scenario::{LoadOptions, ScenarioFile};

    #[test]
    fn every_machine_and_preset_gives_a_valid_scenario() {
        let most = machines().len().max(presets().len());
        for i in 0..most {
            let new = NewScenario {
                name: "mine",
                machine: &machines()[i % machines().len()],
                nodes: 20,
                split: 4,
                preset: &presets()[i % presets().len()],
                sets: 10,
            };
            let file =
                ScenarioFile::from_text("new.yaml", new.text(), Path::new(""), &LoadOptions::default());
            let loaded = file.and_then(|f| f.resolve(&[])).unwrap_or_else(|e| panic!("{e}\n{}", new.text()));
            assert!(loaded.warnings.is_empty());
            assert_eq!(loaded.scenario.workload.generate[0].sets, 10);
        }
    }
}
