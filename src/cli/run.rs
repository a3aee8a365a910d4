//! `stowplan run`: one scenario, all its variants, compared.

use super::runner::{self, Job};
use super::{Answer, Failure};
use super::{output, signals};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean, escape};
use crate::report::html::{self, Origin};
use crate::report::human::one_line;
use crate::report::table::{self, Next};
use crate::report::{perfetto, plot};
use crate::results::disk::RealDisk;
use crate::results::summary::{Assumption, AssumptionSource, Summary};
use crate::results::write::{put_file, safe_name};
use crate::results::{Extras, RunOutput, VariantOutput, write_run};
use crate::scenario::recorded::Recorded;
use crate::scenario::{BindingMode, LoadOptions, Loaded, Override, ScenarioFile, Spanned, Variant};
use crate::simulate::{self, Options, Prepared, ReadManifests};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Arguments of `run` as typed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan run scenarios/mysql-local-pv.yaml\n  \
    stowplan run scenarios/mysql-local-pv.yaml --set 'workload.generate[shop].sets=80' -o results/eighty\n  \
    stowplan run -f cluster.yaml --replay\n  \
    kubectl get nodes,pv,pvc,sc,sts,pods -A -o yaml | stowplan run -f - --mode as-is\n  \
    stowplan run mine.yaml --json | jq '.variants[].pods.stuck'")]
pub struct Args {
    /// Scenario file (YAML or JSON); `-` is standard input.
    #[arg(required_unless_present = "manifests", conflicts_with = "manifests")]
    scenario: Option<PathBuf>,
    /// Kubernetes manifests instead of a scenario: files or folders, as `kubectl get nodes,pv,pvc,sc,sts,pods -A -o yaml`
    /// prints them.
    #[arg(short = 'f', long = "filename", value_name = "MANIFESTS", num_args = 1..)]
    manifests: Vec<String>,
    /// Let the pods and claims of a snapshot arrive again, as if nothing had been bound.
    #[arg(long)]
    replay: bool,
    /// Compare these binding modes instead of the scenario's variants.
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Run only this variant; may be repeated.
    #[arg(long = "variant", value_name = "NAME")]
    variants: Vec<String>,
    /// Seed of every random choice.
    #[arg(long)]
    seed: Option<u64>,
    /// Change a value of the scenario, such as cluster.nodes[db].count=40; may be repeated, the later wins.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Results folder; default: `results/NAME`.
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print summary.json on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
    /// Draw no pictures and write no report.html.
    #[arg(long)]
    no_plots: bool,
    /// Keep no copy of the inputs in the results; `stowplan explain` needs it.
    #[arg(long)]
    no_inputs: bool,
    /// Write everything that happened to events.jsonl.
    #[arg(long)]
    events: bool,
    /// Write pods, nodes and scheduling attempts over time to FILE as a Chrome trace, to be opened in ui.perfetto.dev.
    #[arg(long, value_name = "FILE")]
    perfetto: Option<PathBuf>,
    /// Check the invariants of the model after every event.
    #[arg(long)]
    paranoid: bool,
    /// Refuse pending pods that ask for something that is not modelled (exit code 2), instead of letting them wait.
    #[arg(long)]
    strict: bool,
    /// How decisions are made; both make the same ones.
    #[arg(long, value_enum, default_value_t = Engine::Fast)]
    engine: Engine,
    /// Say on standard error how long it took, and what work: decisions, plugin evaluations, cache hits, peak memory.
    #[arg(long)]
    stats: bool,
}

/// `--mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Immediate and WaitForFirstConsumer.
    #[value(name = "both")]
    Both,
    /// What the classes say.
    #[value(name = "as-is")]
    AsIs,
    /// Immediate alone.
    #[value(name = "Immediate", alias = "immediate")]
    Immediate,
    /// WaitForFirstConsumer alone.
    #[value(name = "WaitForFirstConsumer", alias = "wait-for-first-consumer")]
    WaitForFirstConsumer,
}

/// `--engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// By what has changed.
    Fast,
    /// By looking at every node for every decision.
    Plain,
}

/// Arguments with their defaults filled in and files read.
pub struct Request {
    file: ScenarioFile,
    sets: Vec<Override>,
    /// The scenario without any variant's changes.
    base: Loaded,
    variants: Vec<Variant>,
    options: Options,
}

impl Request {
    /// The arguments, with their files read.
    ///
    /// # Errors
    /// Bad input.
    pub fn new(args: &Args) -> Result<Request, Failure> {
        Request::read(args, LoadOptions::default())
    }

    /// A former run again, from what it has read.
    ///
    /// # Errors
    /// Bad input.
    pub fn recorded(args: &Args, recorded: Recorded) -> Result<Request, Failure> {
        let load = LoadOptions { recorded: Some(Arc::new(recorded)), ..LoadOptions::default() };
        Request::read(args, load)
    }

    fn read(args: &Args, load: LoadOptions) -> Result<Request, Failure> {
        let mut file = match &args.scenario {
            Some(path) => ScenarioFile::read(path, &load)?,
            None => ScenarioFile::from_manifests(&args.manifests, &load),
        };
        let mut texts = args.sets.clone();
        texts.extend(args.seed.map(|seed| format!("seed={seed}")));
        let sets = file.parse_sets(&texts)?;
        let base = file.resolve(&sets)?;
        let variants = match args.mode {
            Some(mode) => mode.variants(&file),
            None => base.scenario.variants.clone(),
        };
        let variants = chosen(variants, &args.variants)?;
        let options = Options {
            replay: args.replay,
            paranoid: args.paranoid,
            plain: args.engine == Engine::Plain,
            events: args.events || args.perfetto.is_some(),
            strict: args.strict,
        };
        Ok(Request { file, sets, base, variants, options })
    }

    /// Every variant with its plan; all that is wrong is found before anything runs.
    fn prepare(&self) -> Result<Vec<Job>, Diagnostics> {
        let mut read = ReadManifests::default();
        let mut job = |variant| Ok(Job::new(variant_name(variant), self.plan(variant, &mut read)?));
        self.variants.iter().map(&mut job).collect()
    }

    fn plan(&self, variant: &Variant, read: &mut ReadManifests) -> Result<Prepared, Diagnostics> {
        let loaded = self.file.resolve_point(variant, &[], &self.sets)?;
        simulate::prepare_with(&loaded, variant.binding_mode, self.options, read)
    }

    /// The plan of one variant; `None`: there is no such variant.
    ///
    /// # Errors
    /// Bad input.
    pub fn prepare_one(&self, name: &str) -> Result<Option<Prepared>, Diagnostics> {
        let found = self.variants.iter().find(|v| v.name.value == name);
        found.map(|variant| self.plan(variant, &mut ReadManifests::default())).transpose()
    }

    /// The one variant that is asked for, with its plan.
    ///
    /// # Errors
    /// Bad input, or several variants.
    pub fn single(&self) -> Result<(String, Prepared), Failure> {
        let [variant] = self.variants.as_slice() else {
            let names: Vec<&str> = self.variants.iter().map(|v| v.name.as_str()).collect();
            let hint = format!("choose one with --variant: {}", names.join(", "));
            return Err(Diagnostic::error(Code::Conflict, "there are several variants").help(hint).into());
        };
        let prepared = self.plan(variant, &mut ReadManifests::default())?;
        warn([&prepared]);
        Ok((variant_name(variant), prepared))
    }
}

fn variant_name(variant: &Variant) -> String {
    variant.name.value.clone()
}

impl Mode {
    fn variants(self, file: &ScenarioFile) -> Vec<Variant> {
        let span = file.tree().span;
        let variant = |name: &str, binding_mode| Variant {
            name: Spanned { value: name.to_owned(), span },
            binding_mode,
            set: Vec::new(),
        };
        let immediate = variant("immediate", Some(BindingMode::Immediate));
        let wait = variant("wait-for-first-consumer", Some(BindingMode::WaitForFirstConsumer));
        match self {
            Mode::Both => vec![immediate, wait],
            Mode::AsIs => vec![variant("as-is", None)],
            Mode::Immediate => vec![immediate],
            Mode::WaitForFirstConsumer => vec![wait],
        }
    }
}

/// The variants of these names; all without any.
///
/// # Errors
/// A name that no variant has.
pub fn chosen(variants: Vec<Variant>, names: &[String]) -> Result<Vec<Variant>, Diagnostic> {
    let known: Vec<String> = variants.iter().map(|v| v.name.value.clone()).collect();
    for name in names {
        if !known.contains(name) {
            let hint = did_you_mean(name, known.iter().map(String::as_str))
                .unwrap_or_else(|| format!("there are: {}", known.join(", ")));
            let message = format!("there is no variant `{}`", crate::diagnostic::escape(name));
            return Err(Diagnostic::error(Code::UnknownVariant, message).help(hint));
        }
    }
    Ok(variants.into_iter().filter(|v| names.is_empty() || names.contains(&v.name.value)).collect())
}

/// The variants that an axis over `variants` names (none: all), of these those that the command line names.
///
/// # Errors
/// If a name is not that of a variant.
pub fn chosen_of(
    variants: Vec<Variant>,
    axis: &[Spanned<String>],
    names: &[String],
    base: &Loaded,
) -> Result<Vec<Variant>, Failure> {
    let known: Vec<String> = variants.iter().map(|v| v.name.value.clone()).collect();
    if let Some(unknown) = axis.iter().find(|name| !known.contains(&name.value)) {
        let message = format!("there is no variant `{}`", crate::diagnostic::escape(&unknown.value));
        let hint = did_you_mean(&unknown.value, known.iter().map(String::as_str))
            .unwrap_or_else(|| format!("there are: {}", known.join(", ")));
        let error = Diagnostic::error(Code::UnknownVariant, message).at(unknown.span).help(hint);
        return Err(Diagnostics::new(vec![error], base.sources.clone()).into());
    }
    let of_axis: Vec<String> = axis.iter().map(|name| name.value.clone()).collect();
    Ok(chosen(chosen(variants, &of_axis)?, names)?)
}

/// Runs everything and writes the results.
///
/// # Errors
/// Bad input, or results that cannot be written.
pub fn run(args: Args) -> Answer {
    let begun = Instant::now();
    let request = Request::new(&args)?;
    let jobs = Arc::new(request.prepare()?);
    warn(jobs.iter().map(|job| &job.prepared));
    let target = args.output.clone().unwrap_or_else(|| default_folder(&request.base));
    if output::is_verbose() {
        output::complain(&format!("read and checked after {:.3} s\n", begun.elapsed().as_secs_f64()));
    }
    signals::stop_gently();
    let finished = runner::run_all(&jobs, request.options)?;
    signals::stop_at_once();
    let simulated = begun.elapsed();
    warn_of_the_timeline(&finished);
    let mut summary = summary(&request, &jobs, &finished)?;
    let stopped = interrupted(&jobs, &finished, &mut summary);
    let mut outputs: Vec<VariantOutput> = finished.into_iter().flatten().collect();
    if let Some(file) = &args.perfetto {
        write_trace(file, &outputs)?;
    }
    if !args.events {
        outputs.iter_mut().for_each(|output| output.events_jsonl = None);
    }
    if stopped.is_some() && outputs.is_empty() {
        let message = "stopped before any variant was finished; nothing was written".to_owned();
        return Err(Failure::Other(signals::exit_code(), message));
    }
    summary.assumptions.extend(outputs.iter().flat_map(|v| v.left_out.clone()));
    let run = RunOutput::new(summary, outputs);
    let plots = if args.no_plots { Vec::new() } else { draw(&run)? };
    let mut files = if args.no_plots { Vec::new() } else { vec![page(&args, &run, &jobs)?] };
    if !args.no_inputs {
        let kept = simulate::inputs::files(&request.base, jobs.iter().map(|job| &job.prepared));
        files.extend(kept.map_err(|error| {
            Failure::coded(Code::FileUnreadable, format!("cannot read the inputs again: {error}"))
        })?);
    }
    let extras = Extras { plots, files, command: command(&args) };
    let folder = write_run(&target, &run, &extras, &RealDisk)?;
    show(&args, &run, &folder, !args.no_plots)?;
    if args.paranoid {
        exempt(&run);
    }
    if args.stats || output::is_verbose() {
        stats(&run, simulated, begun.elapsed());
    }
    match stopped {
        None => Ok(0),
        Some(missing) => {
            output::complain(&format!(
                "stopped: {} holds the variants that were finished; missing: {missing}\n",
                folder.display()
            ));
            Ok(signals::exit_code())
        }
    }
}

/// The variants that a signal kept from being finished, if there are any; the summary says so.
fn interrupted(jobs: &[Job], finished: &[Option<VariantOutput>], summary: &mut Summary) -> Option<String> {
    let missing = jobs.iter().zip(finished).filter(|(_, done)| done.is_none());
    let missing: Vec<&str> = missing.map(|(job, _)| job.name.as_str()).collect();
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join(", ");
    summary.assumptions.push(Assumption {
        path: "variants".into(),
        value: "incomplete".into(),
        source: AssumptionSource::Conversion,
        note: format!("a signal stopped the run before these variants were finished: {missing}"),
    });
    Some(missing)
}

/// What `--paranoid` has to say: nothing was broken, or the run would have ended.
fn exempt(run: &RunOutput) {
    for variant in &run.variants {
        let exempt = variant.exempt.clone().unwrap_or_default();
        let exempt = if exempt.is_empty() { "nothing".to_owned() } else { exempt.join(", ") };
        output::complain(&format!(
            "{}: invariants held after {} events and in {} decisions; exempt at any one time: {exempt}\n",
            variant.summary.name, variant.summary.events, variant.summary.decisions
        ));
    }
}

/// Warnings of all variants, each once.
fn warn<'p>(plans: impl IntoIterator<Item = &'p Prepared>) {
    let mut seen: Vec<&Diagnostic> = Vec::new();
    for variant in plans {
        let new: Vec<&Diagnostic> = variant.warnings.iter().filter(|w| !seen.contains(w)).collect();
        let list: Vec<Diagnostic> = new.iter().map(|w| (*w).clone()).collect();
        let found = Diagnostics::new(list, variant.sources.clone());
        output::note(&found.render(output::colour_on_stderr()));
        seen.extend(new);
    }
}

/// Says which entries of the timeline did nothing: somebody meant something by them.
fn warn_of_the_timeline(finished: &[Option<VariantOutput>]) {
    for note in finished.iter().flatten().flat_map(|output| &output.notes).filter(|n| n.path == "timeline") {
        output::note(&format!("warning: timeline: {} {}\n", escape(&note.value), escape(&note.note)));
    }
}

fn default_folder(base: &Loaded) -> PathBuf {
    Path::new("results").join(safe_name(&base.scenario.name))
}

/// The summary but for its variants.
fn summary(request: &Request, jobs: &[Job], finished: &[Option<VariantOutput>]) -> Result<Summary, Failure> {
    let names: Vec<&str> = request.variants.iter().map(|v| v.name.as_str()).collect();
    let mut assumptions: Vec<Assumption> =
        jobs.iter().flat_map(|job| job.prepared.assumptions.clone()).collect();
    assumptions.extend(finished.iter().flatten().flat_map(|output| output.notes.clone()));
    assumptions.sort();
    assumptions.dedup();
    let scenario = &request.base.scenario;
    let sources = jobs.first().map(|job| &job.prepared.sources);
    let scenario_digest = simulate::digest::scenario(&request.base, sources, &names, request.options.replay)
        .map_err(|error| {
            Failure::coded(Code::FileUnreadable, format!("cannot read the trace again: {error}"))
        })?;
    Ok(Summary {
        scenario: scenario.name.value.clone(),
        scenario_digest,
        seed: scenario.seed,
        assumptions,
        ..Summary::default()
    })
}

/// Writes the run as a Chrome trace.
fn write_trace(file: &Path, outputs: &[VariantOutput]) -> Result<(), Failure> {
    let variants: Vec<(&str, f64, &[u8])> = outputs
        .iter()
        .map(|o| {
            (&*o.summary.name, o.summary.simulated_seconds, o.events_jsonl.as_deref().unwrap_or_default())
        })
        .collect();
    Ok(put_file(file, &perfetto::trace(&variants), &RealDisk)?)
}

fn draw(run: &RunOutput) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    plot::draw_all(run).map_err(|error| Failure::coded(Code::OutputWrite, format!("cannot draw: {error}")))
}

/// The page that shows everything.
fn page(args: &Args, run: &RunOutput, jobs: &[Job]) -> Result<(String, Vec<u8>), Failure> {
    let mut warnings: Vec<String> = Vec::new();
    for warning in jobs.iter().flat_map(|job| &job.prepared.warnings) {
        if !warnings.contains(&warning.message) {
            warnings.push(warning.message.clone());
        }
    }
    let origin = Origin { command: command(args), warnings };
    let page = html::page(run, &origin)
        .map_err(|error| Failure::coded(Code::OutputWrite, format!("cannot draw: {error}")))?;
    Ok(("report.html".to_owned(), page.into_bytes()))
}

/// The command line for the provenance: only what can change the results, so that equal runs give equal bytes.
fn command(args: &Args) -> Vec<String> {
    let mut words = vec!["stowplan".to_owned(), "run".to_owned()];
    words.extend(args.scenario.iter().map(|p| p.display().to_string()));
    if !args.manifests.is_empty() {
        words.push("-f".into());
        words.extend(args.manifests.iter().cloned());
    }
    let flag = |on: bool, name: &str| on.then(|| name.to_owned());
    words.extend(flag(args.replay, "--replay"));
    if let Some(mode) = args.mode.and_then(|m| m.to_possible_value()) {
        words.extend(["--mode".into(), mode.get_name().to_owned()]);
    }
    for variant in &args.variants {
        words.extend(["--variant".into(), variant.clone()]);
    }
    words.extend(args.seed.into_iter().flat_map(|seed| ["--seed".into(), seed.to_string()]));
    for set in &args.sets {
        words.extend(["--set".into(), set.clone()]);
    }
    words.extend(flag(args.strict, "--strict"));
    words.extend(flag(args.no_plots, "--no-plots"));
    words.extend(flag(args.no_inputs, "--no-inputs"));
    words.extend(flag(args.events, "--events"));
    words
}

fn show(args: &Args, run: &RunOutput, folder: &Path, plots: bool) -> Result<(), Failure> {
    let settled = |v: &VariantOutput| v.summary.decisions == 0 && v.summary.pods.created > 0;
    if !args.replay && run.variants.iter().all(settled) && !run.variants.is_empty() {
        output::note(
            "note: nothing is pending in this snapshot, so nothing was decided and all modes look alike.\n      \
             Run it with --replay to let its pods and claims arrive again.\n",
        );
    }
    if args.json {
        let mut text = serde_json::to_string_pretty(&run.summary).map_err(|error| {
            Failure::coded(Code::OutputWrite, format!("cannot write the summary: {error}"))
        })?;
        text.push('\n');
        return Ok(output::say(&text)?);
    }
    if output::is_verbose() {
        let line = |a: &Assumption| format!("{} = {} {}", a.path, a.value, a.note);
        let lines: Vec<String> = run.summary.assumptions.iter().map(|a| one_line(&line(a))).collect();
        output::complain(&format!("taken for granted:\n  {}\n", lines.join("\n  ")));
    }
    if output::is_quiet() {
        return Ok(());
    }
    let look = output::look();
    let next = Next { folder: Some(folder), plots, report: plots, explain: !args.no_inputs };
    Ok(output::say(&table::render(run, &next, &look))?)
}

fn stats(run: &RunOutput, simulated: std::time::Duration, all: std::time::Duration) {
    for variant in &run.variants {
        let (s, w) = (&variant.summary, &variant.work);
        output::complain(&format!(
            "{}: {} events, {} decisions: {} by the fast path ({} from memory), {} by the plain scan, {} counted without being made; \
             {} plugin evaluations, {} nodes computed, {} verdicts from the cache\n",
            s.name,
            s.events,
            s.decisions,
            w.fast,
            w.remembered,
            w.plain,
            w.counted,
            w.evaluations,
            w.computed,
            w.cached,
        ));
    }
    let events: u64 = run.summary.variants.iter().map(|v| v.events).sum();
    let decisions: u64 = run.summary.variants.iter().map(|v| v.decisions).sum();
    let seconds = simulated.as_secs_f64();
    output::complain(&format!(
        "{} variants, {events} events, {decisions} decisions in {seconds:.3} s ({:.0} events/s, {:.0} decisions/s); \
         with results {:.3} s; peak memory {}\n",
        run.variants.len(),
        events as f64 / seconds.max(1e-9),
        decisions as f64 / seconds.max(1e-9),
        all.as_secs_f64(),
        peak_memory().map_or("unknown".to_owned(), |bytes| crate::report::human::bytes(bytes.into())),
    ));
}

/// The process' peak resident memory in bytes, where the operating system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
