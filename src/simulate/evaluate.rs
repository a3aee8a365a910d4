//! The simulator behind sweeps and plans: one job, one run.

use super::{Options, Prepared, ReadManifests, prepare_objects, run};
use crate::diagnostic::{Diagnostics, Severity};
use crate::results::VariantOutput;
use crate::scenario::tree::Value;
use crate::scenario::{Loaded, Override, ScenarioFile, Variant};
use crate::sweep::job::{Evaluate, Job, Metrics};
use std::sync::{Mutex, PoisonError};

/// Runs the jobs of one scenario.
#[derive(Debug)]
pub struct Simulator {
    file: ScenarioFile,
    sets: Vec<Override>,
    variants: Vec<Variant>,
    options: Options,
    /// Jobs run side by side; the first one reads.
    manifests: Mutex<ReadManifests>,
}

impl Simulator {
    /// Of a scenario with the overrides of the command line.
    pub fn new(
        file: ScenarioFile,
        sets: Vec<Override>,
        variants: Vec<Variant>,
        options: Options,
    ) -> Simulator {
        Simulator { file, sets, variants, options, manifests: Mutex::default() }
    }

    /// The scenario of a variant at a point, with a seed: the later wins of file, variant, axes, command line, seed.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn resolve(
        &self,
        variant: &Variant,
        settings: &[Override],
        seed: u64,
    ) -> Result<Loaded, Diagnostics> {
        let span = self.file.tree().span;
        let mut sets = self.sets.clone();
        let seed = Value::plain(span, &seed.to_string());
        sets.push(Override { path: "seed".into(), value: seed, path_span: span });
        self.file.resolve_point(variant, settings, &sets)
    }

    /// Is the scenario valid at a point, for every variant?
    ///
    /// # Errors
    /// Everything that is wrong with the first variant for which it is not.
    pub fn check(&self, settings: &[Override], seed: u64) -> Result<(), Diagnostics> {
        for variant in &self.variants {
            self.prepare(&self.resolve(variant, settings, seed)?, variant)?;
        }
        Ok(())
    }
}

impl Simulator {
    /// The scenario of a job and its plan, errors in one line.
    pub(super) fn ready(
        &self,
        settings: &[Override],
        variant: &str,
        seed: u64,
    ) -> Result<(Loaded, Prepared), String> {
        let found = self.variants.iter().find(|v| v.name.value == variant);
        let variant = found.ok_or_else(|| format!("there is no variant {variant}"))?;
        let loaded = self.resolve(variant, settings, seed).map_err(|d| one_line(&d))?;
        let prepared = self.prepare(&loaded, variant).map_err(|d| one_line(&d))?;
        Ok((loaded, prepared))
    }

    /// The plan of a job; manifests are read once for all jobs that name the same.
    fn prepare(&self, loaded: &Loaded, variant: &Variant) -> Result<Prepared, Diagnostics> {
        let objects = {
            // What a panicking job has left is whole: entries are added complete.
            let mut read = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
            read.get(loaded, self.options.replay)?
        };
        prepare_objects(loaded, variant.binding_mode, self.options, &objects)
    }

    /// Runs a plan of [`Simulator::ready`].
    pub(super) fn measure(&self, prepared: &Prepared, variant: &str) -> Result<VariantOutput, String> {
        run(&prepared.plan, variant, prepared.sample, self.options).map_err(|e| e.to_string())
    }

    /// The scenario as written, with the command line's changes.
    pub(super) fn base(&self) -> Result<Loaded, Diagnostics> {
        self.file.resolve(&self.sets)
    }
}

impl Evaluate for Simulator {
    fn run(&self, job: &Job<'_>) -> Result<Metrics, String> {
        let (_, prepared) = self.ready(job.settings, job.variant, job.seed)?;
        let output = self.measure(&prepared, job.variant)?;
        let mut metrics = Metrics::of(&output.summary);
        metrics.pending_p99_seconds = output.pending_p99_seconds;
        metrics.sets_stuck_ever = output.sets_stuck_ever;
        Ok(metrics)
    }
}

/// The first error in one line.
fn one_line(diagnostics: &Diagnostics) -> String {
    let error = diagnostics.list.iter().find(|d| d.severity == Severity::Error);
    match error {
        Some(error) => format!("{}: {}", error.code.info().number, error.message),
        None => "the scenario is not valid".to_owned(),
    }
}
