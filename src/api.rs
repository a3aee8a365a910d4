//! The library's front door: read a scenario, change it, add plugins, run it, listen to it.
//!
//! ```
//! use stowplan::Simulation;
//!
//! let mut simulation = Simulation::from_text("
//! version: 1
//! name: two-nodes
//! cluster:
//!   storageClasses: [{name: local, provisioner: kubernetes.io/no-provisioner}]
//!   nodes: [{name: db, count: 2, cpu: 8, memory: 32Gi, disks: [{class: local, count: 1, size: 1Ti, split: 2}]}]
//! workload:
//!   generate: [{name: pg, kind: StatefulSet, sets: 3, replicas: 1, cpu: 2, memory: 4Gi,
//!               claims: [{name: data, class: local, size: 400Gi}]}]
//! ")?;
//! simulation.set("workload.generate[pg].sets=4")?;
//! let run = simulation.run()?;
//! assert_eq!(run.summary.variants.len(), 2, "Immediate and WaitForFirstConsumer, as nothing else is said");
//! assert_eq!(run.summary.variants[1].pods.running, 4);
//! # Ok::<(), stowplan::Error>(())
//! ```

use crate::diagnostic::Diagnostics;
use crate::observe::Observer;
use crate::results::{RunOutput, Summary, VariantOutput};
use crate::scenario::{LoadOptions, Override, ScenarioFile, Variant};
use crate::scheduler::cycle::Engine;
use crate::scheduler::profile::PluginPoints;
use crate::simulate::{self, Options, Prepared, digest};
use crate::world::SimError;
use std::path::Path;

/// Why a scenario could not be read or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bad input: every finding with file, line, column and a hint. `Display` renders them with carets.
    #[error("{0}")]
    Input(#[from] Diagnostics),
    /// The simulation stopped: a scenario without an end, a trace that cannot be read, or a bug.
    #[error("{0}")]
    Run(#[from] SimError),
    /// A trace that cannot be read a second time.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// A scenario that can be run. Equal scenarios, overrides and plugins give equal bytes.
#[derive(Clone, Debug)]
pub struct Simulation {
    file: ScenarioFile,
    overrides: Vec<Override>,
    plugins: Vec<(PluginPoints, i64)>,
}

impl Simulation {
    /// Reads a scenario file, YAML or JSON; paths in it are relative to it.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be read or is malformed.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Simulation, Error> {
        Ok(Simulation::of(ScenarioFile::read(path.as_ref(), &LoadOptions::default())?))
    }

    /// Reads a scenario from a text; paths in it are relative to the working directory.
    ///
    /// # Errors
    /// [`Error::Input`] if it is malformed.
    pub fn from_text(text: &str) -> Result<Simulation, Error> {
        let options = LoadOptions::default();
        Ok(Simulation::of(ScenarioFile::from_text("<text>", text.to_owned(), Path::new(""), &options)?))
    }

    /// Takes Kubernetes objects as `kubectl get nodes,pv,pvc,sc,sts,pods -A -o yaml` prints them: files, folders, patterns.
    pub fn from_manifests<S: Into<String>>(files: impl IntoIterator<Item = S>) -> Simulation {
        let files: Vec<String> = files.into_iter().map(Into::into).collect();
        Simulation::of(ScenarioFile::from_manifests(&files, &LoadOptions::default()))
    }

    fn of(file: ScenarioFile) -> Simulation {
        Simulation { file, overrides: Vec::new(), plugins: Vec::new() }
    }

    /// Changes one value, as `--set` does: `cluster.nodes[db].count=40`. Later changes win.
    ///
    /// # Errors
    /// [`Error::Input`] for a malformed or forbidden path; what the value is worth shows when the simulation runs.
    pub fn set(&mut self, change: &str) -> Result<&mut Simulation, Error> {
        self.overrides.extend(self.file.parse_sets(&[change.to_owned()])?);
        Ok(self)
    }

    /// Adds a scheduler plugin to every profile: it runs behind those that are configured, its scores (0 to 100) count `weight`
    /// times. A plugin whose name the scenario's scheduler configuration mentions takes the place given there.
    pub fn plugin(&mut self, plugin: PluginPoints, weight: i64) -> &mut Simulation {
        self.plugins.push((plugin, weight));
        self
    }

    /// The names of the variants, in order.
    ///
    /// # Errors
    /// [`Error::Input`]: everything that is wrong with the scenario.
    pub fn variants(&self) -> Result<Vec<String>, Error> {
        let base = self.file.resolve(&self.overrides)?;
        Ok(base.scenario.variants.iter().map(|v| v.name.value.clone()).collect())
    }

    /// Runs every variant, one after the other, and compares them.
    ///
    /// # Errors
    /// [`Error::Input`] before anything runs, [`Error::Run`] if a variant cannot be run to its end.
    pub fn run(&self) -> Result<RunOutput, Error> {
        let base = self.file.resolve(&self.overrides)?;
        let prepared =
            base.scenario.variants.iter().map(|v| self.prepare(v)).collect::<Result<Vec<_>, Error>>()?;
        let mut outputs = Vec::new();
        for (variant, prepared) in base.scenario.variants.iter().zip(&prepared) {
            outputs.push(simulate::run(&prepared.plan, &variant.name, prepared.sample, Options::default())?);
        }
        let names: Vec<&str> = base.scenario.variants.iter().map(|v| v.name.as_str()).collect();
        let mut assumptions: Vec<_> = prepared.iter().flat_map(|p| p.assumptions.clone()).collect();
        assumptions.sort();
        assumptions.dedup();
        let summary = Summary {
            scenario: base.scenario.name.value.clone(),
            scenario_digest: digest::scenario(&base, prepared.first().map(|p| &p.sources), &names, false)?,
            seed: base.scenario.seed,
            assumptions,
            ..Summary::default()
        };
        Ok(RunOutput::new(summary, outputs))
    }

    /// Runs one variant and tells `observer` everything that happens, beside measuring it.
    ///
    /// # Errors
    /// As [`Simulation::run`]; a variant that there is not is [`Error::Input`].
    pub fn run_observed<O: Observer>(&self, variant: &str, observer: O) -> Result<VariantOutput, Error> {
        let base = self.file.resolve(&self.overrides)?;
        let Some(found) = base.scenario.variants.iter().find(|v| v.name.value == variant) else {
            let message = format!("there is no variant `{}`", crate::diagnostic::escape(variant));
            let code = crate::diagnostic::Code::UnknownVariant;
            return Err(Diagnostics::from(crate::diagnostic::Diagnostic::error(code, message)).into());
        };
        let prepared = self.prepare(found)?;
        let options = Options::default();
        Ok(simulate::run_observed(&prepared.plan, variant, prepared.sample, options, observer)?)
    }

    fn prepare(&self, variant: &Variant) -> Result<Prepared, Error> {
        let loaded = self.file.resolve_point(variant, &[], &self.overrides)?;
        let mut prepared = simulate::prepare(&loaded, variant.binding_mode, Options::default())?;
        prepared.plan.plugins.clone_from(&self.plugins);
        if !self.plugins.is_empty() {
            // The fast engine knows which changes its own plugins depend on, not those of others.
            prepared.plan.engine = Engine::Plain;
        }
        Ok(prepared)
    }
}
