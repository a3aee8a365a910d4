//! From a scenario to the results of one variant: load the manifests, make the plan, run it, measure it.
//!
//! Everything here is a pure function of its arguments, so that variants and points of a sweep can run on any thread.

pub mod digest;
pub mod evaluate;
pub mod inputs;
pub mod not_modelled;
pub mod planning;
pub mod populate;
pub mod replay;
mod trace_notes;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Sources};
use crate::engine::time::{SimDuration, SimTime};
use crate::limits::Limit;
use crate::manifest::export::{self, Exported};
use crate::manifest::{self, Located, Object, ScenarioObjects};
use crate::model::cluster::Cluster;
use crate::observe::Observer;
use crate::observe::digest::Digest;
use crate::observe::event_log::EventLog;
use crate::observe::filters::ProfileFilters;
use crate::observe::metrics::{Ending, Metrics, Settings};
use crate::results::VariantOutput;
use crate::results::summary::{Assumption, AssumptionSource};
use crate::results::tables::Work;
use crate::scenario::recorded::Read;
use crate::scenario::{self, BindingMode, Carve, Loaded, Scenario};
use crate::scheduler::cycle::Engine;
use crate::scheduler::profile::Profile;
use crate::world::lower::{self, LVM_PROVISIONER, PlanError};
use crate::world::plan::{Action, Applier, Plan};
use crate::world::timeline::Missed;
use crate::world::{self, SimError};
use std::cell::RefCell;
use std::collections::BTreeSet;
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
    /// Refuse pending pods that ask for something that is not modelled, instead of letting them wait.
    pub strict: bool,
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
    /// Period of the samples.
    pub sample: SimDuration,
    /// Paths that were resolved, in order.
    pub reads: Vec<Read>,
}

/// Manifests that were read for one variant, or one job of a sweep, and serve the next ones too: a snapshot may be a gigabyte, and
/// standard input can be read only once.
#[derive(Debug, Default)]
pub struct ReadManifests {
    /// The latest last.
    kept: Vec<(ManifestKey, Arc<ScenarioObjects>)>,
}

/// Sets of manifests that are kept: an axis of a sweep may choose between files.
const KEPT_MANIFESTS: usize = 4;

/// The files that were read, and how many texts were there before them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ManifestKey {
    files: Vec<std::path::PathBuf>,
    in_cluster: usize,
    applied: Vec<(usize, Vec<std::path::PathBuf>)>,
    texts: usize,
    replay: bool,
}

impl ReadManifests {
    fn get(&mut self, loaded: &Loaded, replay: bool) -> Result<Arc<ScenarioObjects>, Diagnostics> {
        let scenario = &loaded.scenario;
        let paths =
            |files: &[scenario::ManifestFile]| files.iter().map(|f| f.path.clone()).collect::<Vec<_>>();
        let applied =
            scenario.timeline.iter().enumerate().filter_map(|(index, entry)| match &entry.action.value {
                scenario::Action::Apply(files) => Some((index, paths(files))),
                _ => None,
            });
        let mut files = paths(&scenario.cluster.manifests);
        let in_cluster = files.len();
        files.extend(paths(&scenario.workload.manifests));
        let texts = loaded.sources.texts().len();
        let key = ManifestKey { files, in_cluster, applied: applied.collect(), texts, replay };
        if let Some((_, objects)) = self.kept.iter().find(|(kept, _)| *kept == key) {
            return Ok(Arc::clone(objects));
        }
        let mut objects = manifest::read_objects(loaded, manifest::LoadOptions::default())?;
        if replay {
            strip(&mut objects);
        }
        let objects = Arc::new(objects);
        if self.kept.len() >= KEPT_MANIFESTS {
            self.kept.remove(0);
        }
        self.kept.push((key, Arc::clone(&objects)));
        Ok(objects)
    }
}

/// Takes away what the control plane has written.
fn strip(objects: &mut ScenarioObjects) {
    let mut stripped = replay::strip(&mut objects.cluster);
    let more = replay::strip(&mut objects.workload);
    stripped.pods += more.pods;
    stripped.claims += more.claims;
    objects.assumptions.push(scenario::Assumption {
        path: "--replay".to_owned(),
        value: format!("{} pods and {} claims arrive again", stripped.pods, stripped.claims),
        source: "conversion",
        note: "nodeName, volumeName, claimRef and the controllers' annotations and status were taken away; \
               pods of DaemonSets, static pods and pods that have ended stay"
            .to_owned(),
    });
}

/// Makes the plan of one variant, or of one point of a sweep. `mode` replaces every class's `volumeBindingMode`.
///
/// # Errors
/// Everything that is wrong with the scenario or its files.
pub fn prepare(
    loaded: &Loaded,
    mode: Option<BindingMode>,
    options: Options,
) -> Result<Prepared, Diagnostics> {
    prepare_with(loaded, mode, options, &mut ReadManifests::default())
}

/// As [`prepare`], with manifests that may have been read before.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_with(
    loaded: &Loaded,
    mode: Option<BindingMode>,
    options: Options,
    read: &mut ReadManifests,
) -> Result<Prepared, Diagnostics> {
    let objects = read.get(loaded, options.replay)?;
    prepare_objects(loaded, mode, options, &objects)
}

/// As [`prepare`], with what the manifests hold.
fn prepare_objects(
    loaded: &Loaded,
    mode: Option<BindingMode>,
    options: Options,
    objects: &ScenarioObjects,
) -> Result<Prepared, Diagnostics> {
    let mut found = manifest::check_objects(&loaded.scenario, objects)?;
    let mut assumptions: Vec<Assumption> =
        loaded.assumptions.iter().chain(&objects.assumptions).map(assumption).collect();
    let sources = objects.sources.clone();
    let (missing, counted) = not_modelled::find(&loaded.scenario, objects, options.strict);
    if options.strict && !missing.is_empty() {
        return Err(Diagnostics::new(missing, sources));
    }
    assumptions.extend(counted);
    found.extend(missing);
    let fail = |diagnostic: Diagnostic| Diagnostics::new(vec![diagnostic], sources.clone());
    let refused = RefCell::new(None);
    let fill = |cluster: &mut Cluster, list: &[Located<Object>]| {
        populate::populate(cluster, list, SimTime::ZERO).map_err(|diagnostic| {
            let message = diagnostic.message.clone();
            refused.replace(Some(diagnostic));
            PlanError::Manifest(message)
        })
    };
    let plan = lower::plan(
        &loaded.scenario,
        mode,
        0,
        |cluster| fill(cluster, &objects.cluster),
        |cluster| fill(cluster, &objects.workload),
    );
    let mut plan = match (plan, refused.take()) {
        (Ok(plan), _) => plan,
        (Err(_), Some(diagnostic)) => return Err(fail(diagnostic)),
        (Err(PlanError::Trace(error)), None) => return Err(fail(Diagnostic::from(&*error))),
        (Err(error), None) => return Err(fail(Diagnostic::error(Code::Other, error.to_string()))),
    };
    plan.paranoid |= options.paranoid;
    assumptions.extend(lowered_classes(&loaded.scenario, &plan));
    plan.engine = if options.plain { Engine::Plain } else { Engine::Fast };
    plan.cache_bytes = Limit::CacheBytes.size();
    add_applied(&mut plan, loaded, objects, mode).map_err(fail)?;
    assumptions.extend(trace_notes::rules(&plan));
    assumptions.sort();
    assumptions.dedup();
    let mut warnings = loaded.warnings.clone();
    warnings.extend(objects.warnings.iter().cloned());
    warnings.extend(found);
    let sample = loaded.scenario.report.sample;
    Ok(Prepared { plan, assumptions, warnings, sources, sample, reads: loaded.reads.clone() })
}

/// Classes that make no volumes themselves, but draw on volume groups: they got the provisioner of those.
fn lowered_classes(scenario: &Scenario, plan: &Plan) -> Vec<Assumption> {
    let trace = scenario.workload.trace.iter().filter_map(|t| t.nodes.as_ref()).flat_map(|n| &n.disks);
    let disks = scenario.cluster.nodes.iter().flat_map(|group| &group.disks).chain(trace);
    let groups = disks.filter(|disk| matches!(disk.carve, Carve::Lvm { .. }));
    let names: BTreeSet<&str> = groups.map(|disk| disk.class.value.as_str()).collect();
    let provisioner = |name: &str| {
        let class = plan.cluster.class(plan.cluster.names.get(name)?)?;
        Some(plan.cluster.names.text(class.provisioner))
    };
    let written = |name: &str| scenario.cluster.storage_classes.iter().find(|c| c.name.value == name);
    names
        .into_iter()
        .filter(|name| provisioner(name) == Some(LVM_PROVISIONER))
        .filter(|name| written(name).is_none_or(|class| class.provisioner != LVM_PROVISIONER))
        .map(|name| Assumption {
            path: format!("cluster.storageClasses[{name}].provisioner"),
            value: LVM_PROVISIONER.to_owned(),
            source: AssumptionSource::Conversion,
            note: "its disks are volume groups: volumes are made on demand, and claims can be expanded"
                .to_owned(),
        })
        .collect()
}

/// Entries of the timeline that apply files become part of the plan. They are tried first, so that nothing can fail later.
fn add_applied(
    plan: &mut Plan,
    loaded: &Loaded,
    objects: &ScenarioObjects,
    mode: Option<BindingMode>,
) -> Result<(), Diagnostic> {
    for (index, list) in objects.applied.iter().cloned() {
        let Some(entry) = loaded.scenario.timeline.get(index) else { continue };
        populate::populate(&mut Cluster::default(), &list, SimTime::ZERO)?;
        let list: Arc<[Located<Object>]> = list.into();
        let apply = move |cluster: &mut Cluster, at: SimTime| {
            // Tried above on an empty cluster; on this one, objects that exist are changed instead.
            let _ = populate::populate(cluster, &list, at);
            if let Some(mode) = mode {
                lower::override_binding_mode(cluster, mode);
            }
        };
        // Entries of the same time are done as written: those before this one in the file come first.
        let before = loaded.scenario.timeline[..index].iter().filter(|e| e.at == entry.at);
        let before = before.filter(|e| !matches!(e.action.value, scenario::Action::Apply(_))).count();
        let at = plan.timeline.partition_point(|(at, _)| *at < entry.at);
        let applied =
            plan.timeline[at..].iter().filter(|(t, a)| *t == entry.at && matches!(a, Action::Apply(_)));
        let place = (at + before + applied.count()).min(plan.timeline.len());
        plan.timeline.insert(place, (entry.at, Action::Apply(Applier(Arc::new(apply)))));
    }
    Ok(())
}

fn assumption(from: &scenario::Assumption) -> Assumption {
    let source = match from.source {
        "catalogue" => AssumptionSource::Catalogue,
        "trace-rule" => AssumptionSource::TraceRule,
        "conversion" => AssumptionSource::Conversion,
        _ => AssumptionSource::Default,
    };
    Assumption { path: from.path.clone(), value: from.value.clone(), source, note: from.note.clone() }
}

/// Runs a plan and measures it as variant `name`.
///
/// # Errors
/// [`SimError`].
pub fn run(
    plan: &Plan,
    name: &str,
    sample: SimDuration,
    options: Options,
) -> Result<VariantOutput, SimError> {
    run_observed(plan, name, sample, options, ())
}

/// The same with one more listener.
///
/// # Errors
/// [`SimError`].
pub fn run_observed<O: Observer>(
    plan: &Plan,
    name: &str,
    sample: SimDuration,
    options: Options,
    listener: O,
) -> Result<VariantOutput, SimError> {
    run_from(plan, plan.cluster.clone(), name, sample, options, listener)
}

/// The same for a plan whose cluster was taken out: two copies of a large one would be the most of a run's memory.
///
/// # Errors
/// [`SimError`].
pub fn run_from<O: Observer>(
    plan: &Plan,
    cluster: Cluster,
    name: &str,
    sample: SimDuration,
    options: Options,
    listener: O,
) -> Result<VariantOutput, SimError> {
    let profiles: Vec<Profile> = plan.make_profiles()?;
    let settings = Settings {
        stuck_after: plan.stuck_after,
        sample,
        uncarved_bytes: plan.uncarved_bytes.values().sum(),
        quorum: plan.quorum,
        ..Settings::default()
    };
    let mut metrics = Metrics::new(settings, Box::new(ProfileFilters::new(&profiles)));
    let mut digest = Digest::default();
    let mut log = options.events.then(EventLog::default);
    let observers = (((&mut metrics, &mut digest), log.as_mut()), listener);
    let mut end = world::run_from(plan, cluster, observers)?;
    let verdicts = end.take_verdicts();
    let ending = Ending {
        name: name.to_owned(),
        end: end.at,
        quiet: plan.duration.is_none(),
        events: end.events,
        digest: digest.finish(end.at),
        message: &|cluster, pod| verdicts.message(&cluster.names, pod),
    };
    // What the scheduler has cached goes before the rows of the tables come.
    let work = end.scheduler.work();
    drop(end.scheduler);
    let mut output = metrics.finish(&mut end.cluster, &ending);
    output.exempt = end.exempt.map(|exempt| exempt.in_words());
    output.work = Work {
        counted: end.counted,
        fast: work.fast.decided,
        remembered: work.fast.remembered,
        plain: work.plain,
        evaluations: work.evaluations,
        computed: work.fast.native,
        cached: work.fast.cached,
    };
    output.events_jsonl = log.map(EventLog::into_bytes);
    output.notes = end.trace.iter().flat_map(trace_notes::outcome).collect();
    output.notes.extend(timeline_notes(name, &end.missed));
    Ok(output)
}

/// Entries of the timeline named one by one; the rest is counted.
const MOST_MISSED: usize = 20;

/// Entries of the timeline that did nothing in a variant.
fn timeline_notes(variant: &str, missed: &[Missed]) -> Vec<Assumption> {
    let note = |value: String, note: String| Assumption {
        path: "timeline".to_owned(),
        value,
        source: AssumptionSource::Default,
        note,
    };
    let one = |m: &Missed| {
        let at = m.at.since(SimTime::ZERO);
        note(format!("{} at {at}", m.action), format!("did nothing in {variant}: {}", m.why))
    };
    let mut notes: Vec<Assumption> = missed.iter().take(MOST_MISSED).map(one).collect();
    if missed.len() > MOST_MISSED {
        let more = missed.len() - MOST_MISSED;
        notes.push(note(format!("{more} more entries"), format!("did nothing in {variant}")));
    }
    notes
}

/// Runs a plan to its end: when that was, and the objects that are there then.
///
/// # Errors
/// As [`run`].
pub fn state(plan: &Plan, ended: bool) -> Result<(SimDuration, Exported), SimError> {
    let end = world::run(plan, ())?;
    Ok((end.at.since(SimTime::ZERO), export::objects(&end.cluster, ended)))
}

#[cfg(test)]
mod churn_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
