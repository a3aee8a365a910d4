//! From a scenario to the results of one variant: load the manifests, make the plan, run it, measure it.
//!
//! Everything here is a pure function of its arguments, so that variants and points of a sweep can run on any thread.

pub mod populate;
pub mod replay;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources};
use crate::engine::time::{SimDuration, SimTime};
use crate::manifest;
use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::observe::Observer;
use crate::observe::digest::Digest;
use crate::observe::event_log::EventLog;
use crate::observe::filters::ProfileFilters;
use crate::observe::metrics::{Ending, Metrics, Settings};
use crate::results::VariantOutput;
use crate::results::summary::{Assumption, AssumptionSource};
use crate::scenario::{self, BindingMode, Loaded};
use crate::scheduler::profile::Profile;
use crate::world::plan::{Action, Applier, Plan};
use crate::world::{self, SimError};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// How a scenario is to be run, beside what it says itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Strip what the control plane has written into the manifests, see [`replay`].
    pub replay: bool,
    /// Check the invariants after every event.
    pub paranoid: bool,
    /// Look at every node for every decision, instead of what has changed.
    pub plain: bool,
    /// Keep every observation for `events.jsonl`.
    pub events: bool,
}

/// A scenario ready to run, and what was taken for granted on the way.
#[derive(Debug)]
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// Every default, catalogue value and conversion.
    pub assumptions: Vec<Assumption>,
    /// What was odd but allowed.
    pub warnings: Vec<Diagnostic>,
    /// The texts that the warnings point into.
    pub sources: Sources,
    /// `blake3:<hex>` over the scenario and all its manifests.
    pub digest: String,
    /// Period of the samples.
    pub sample: SimDuration,
}

/// Makes the plan of one variant, or of one point of a sweep. `mode` replaces every class's `volumeBindingMode`.
///
/// # Errors
/// Everything that is wrong with the scenario or its files.
pub fn prepare(loaded: &Loaded, mode: Option<BindingMode>, options: Options) -> Result<Prepared, Diagnostics> {
    let missing = scenario::not_implemented(&loaded.scenario);
    if !missing.is_empty() {
        return Err(Diagnostics::new(missing, loaded.sources.clone()));
    }
    let mut objects = manifest::for_scenario(loaded, manifest::LoadOptions::default())?;
    let mut assumptions: Vec<Assumption> = Vec::new();
    assumptions.extend(loaded.assumptions.iter().chain(&objects.assumptions).map(assumption));
    if options.replay {
        let mut stripped = replay::strip(&mut objects.cluster);
        let more = replay::strip(&mut objects.workload);
        stripped.pods += more.pods;
        stripped.claims += more.claims;
        assumptions.push(Assumption {
            path: "--replay".into(),
            value: format!("{} pods and {} claims arrive again", stripped.pods, stripped.claims),
            source: AssumptionSource::Conversion,
            note: "nodeName, volumeName, claimRef and the controllers' annotations and status were taken away; \
                   pods of DaemonSets, static pods and pods that have ended stay"
                .into(),
        });
    }
    let sources = objects.sources.clone();
    let fail = |diagnostic: Diagnostic| Diagnostics::new(vec![diagnostic], sources.clone());
    let mut refused = None;
    let mut fill = |cluster: &mut Cluster, list: &[manifest::Located<manifest::Object>]| {
        populate::populate(cluster, list, SimTime::ZERO).map_err(|d| {
            let text = d.message.clone();
            refused = Some(d);
            world::lower::PlanError::Manifest(text)
        })
    };
    let (in_cluster, in_workload) = (&objects.cluster, &objects.workload);
    let fill = std::cell::RefCell::new(&mut fill);
    let plan = world::lower::plan(
        &loaded.scenario,
        mode,
        0,
        |cluster| fill.borrow_mut()(cluster, in_cluster),
        |cluster| fill.borrow_mut()(cluster, in_workload),
    );
    let mut plan = match (plan, refused) {
        (Ok(plan), _) => plan,
        (Err(_), Some(diagnostic)) => return Err(fail(diagnostic)),
        (Err(error), None) => return Err(fail(Diagnostic::error(Code::Other, error.to_string()))),
    };
    plan.paranoid |= options.paranoid;
    add_applied(&mut plan, loaded, &objects, mode).map_err(fail)?;
    assumptions.sort();
    assumptions.dedup();
    let digest = digest(loaded, &objects, options.replay);
    let mut warnings = loaded.warnings.clone();
    warnings.append(&mut objects.warnings);
    let sample = loaded.scenario.report.sample;
    Ok(Prepared { plan, assumptions, warnings, sources, digest, sample })
}
