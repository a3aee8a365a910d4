//! The simulator behind sweeps and plans: one job, one run.

use super::{Options, prepare, run};
use crate::diagnostic::{Diagnostics, Severity};
use crate::scenario::tree::Value;
use crate::scenario::{Loaded, Override, ScenarioFile, Variant};
use crate::sweep::job::{Evaluate, Job, Metrics};

/// Runs the jobs of one scenario.
#[derive(Debug)]
pub struct Simulator {
    file: ScenarioFile,
    sets: Vec<Override>,
    variants: Vec<Variant>,
    options: Options,
}

impl Simulator {
    /// Of a scenario with the overrides of the command line.
    pub fn new(
        file: ScenarioFile,
        sets: Vec<Override>,
        variants: Vec<Variant>,
        options: Options,
    ) -> Simulator {
        Simulator { file, sets, variants, options }
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
            prepare(&self.resolve(variant, settings, seed)?, variant.binding_mode, self.options)?;
        }
        Ok(())
    }
}

impl Evaluate for Simulator {
    fn run(&self, job: &Job<'_>) -> Result<Metrics, String> {
        let variant = self.variants.iter().find(|v| v.name.value == job.variant);
        let variant = variant.ok_or_else(|| format!("there is no variant {}", job.variant))?;
        let loaded = self.resolve(variant, job.settings, job.seed).map_err(|d| one_line(&d))?;
        let prepared = prepare(&loaded, variant.binding_mode, self.options).map_err(|d| one_line(&d))?;
        let output =
            run(&prepared.plan, job.variant, prepared.sample, self.options).map_err(|e| e.to_string())?;
        Ok(Metrics::of(&output.summary))
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
