//! `stowplan sweep` and `stowplan merge`: a scenario at every point of a grid, on all cores or many machines.

use super::output;
use super::signals;
use super::{Answer, Failure};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::limits;
use crate::results::VariantSummary;
use crate::results::disk::RealDisk;
use crate::results::sweep::SweepTable;
use crate::results::write::{ResultsError, safe_name};
use crate::scenario::{LoadOptions, Loaded, ScenarioFile};
use crate::simulate::evaluate::Simulator;
use crate::simulate::{self, Options};
use crate::sweep::design;
use crate::sweep::execute::{ExecuteError, Outcome, Progress};
use crate::sweep::folder::{self, SWEEP_TABLE, SweepError};
use crate::sweep::journal::JournalError;
use crate::sweep::until_ci;
use crate::sweep::{JobKey, Metrics, Point, Shard, Study, UntilCi};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Metrics that the pictures of a sweep show.
const SHOWN: [&str; 4] =
    ["pods.stuck", "pods.stuckByBinding", "storage.overSizeBytes", "stranded.timeWeighted.cpuMilli"];

/// A table above this size is not drawn.
const MOST_DRAWN_BYTES: u64 = 500 << 20;

/// Arguments of `sweep`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan sweep mine.yaml -j 4\n  \
    stowplan sweep mine.yaml --shard 1/8 -o part-1\n  \
    stowplan sweep mine.yaml --resume\n  \
    stowplan sweep mine.yaml --until-ci 5% --ci-metric storage.overSizeBytes")]
pub struct Args {
    /// Scenario file with a `sweep`; `-` is standard input.
    scenario: PathBuf,
    /// Threads; default: one per core.
    #[arg(short = 'j', long = "jobs", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    jobs: Option<u32>,
    /// Do only part I of N; `stowplan merge` puts the parts together. Default: what JOB_COMPLETION_INDEX and JOB_COMPLETIONS
    /// (Kubernetes) or SLURM_ARRAY_TASK_ID and its like (Slurm) say, else everything; 1/1 is everything in any case.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Continue an unfinished sweep.
    #[arg(long)]
    resume: bool,
    /// Add replications at each point until half the width of the 95 % interval is at most this share of the mean.
    #[arg(long, value_name = "SHARE", value_parser = until_ci::parse_relative)]
    until_ci: Option<f64>,
    /// The metric whose interval counts, such as storage.overSizeBytes; may be repeated. Default: pods.stuck.
    #[arg(long = "ci-metric", value_name = "METRIC", requires = "until_ci")]
    ci_metrics: Vec<String>,
    /// Most replications that are made of a point.
    #[arg(long, value_name = "N", requires = "until_ci", default_value_t = UntilCi::DEFAULT_MAX_REPLICATIONS,
          value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    max_replications: u32,
    /// Run only this variant; may be repeated.
    #[arg(long = "variant", value_name = "NAME")]
    variants: Vec<String>,
    /// Seed from which those of all replications are derived.
    #[arg(long)]
    seed: Option<u64>,
    /// Change a value of the scenario at every point; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Results folder; default: `results/NAME-sweep`.
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    output: Option<PathBuf>,
    /// Do not draw pictures.
    #[arg(long)]
    no_plots: bool,
    /// Print what was done as JSON on standard output, and nothing else.
    #[arg(long)]
    json: bool,
}

/// Arguments of `merge`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan merge part-1 part-2 part-3 -o whole")]
pub struct MergeArgs {
    /// The folders of all parts.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Folder of the whole sweep.
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    output: PathBuf,
    /// Do not draw pictures.
    #[arg(long)]
    no_plots: bool,
    /// Print what was done as JSON on standard output, and nothing else.
    #[arg(long)]
    json: bool,
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Failure {
        let code = match error {
            SweepError::Results(error) => return error.into(),
            SweepError::Execute(ExecuteError::Stopped) => {
                return Failure::Other(signals::exit_code(), error.to_string());
            }
            SweepError::Execute(ExecuteError::Journal(_)) | SweepError::Journal(JournalError::Io { .. }) => {
                Code::OutputWrite
            }
            SweepError::Journal(JournalError::Busy { .. }) => Code::OutputFolder,
            SweepError::Journal(_) | SweepError::Refused { .. } | SweepError::Merge(_) => Code::SweepMismatch,
        };
        Failure::coded(code, error.to_string())
    }
}

/// Runs a sweep. The answer is no if any run failed.
///
/// # Errors
/// Bad input, results that cannot be written, or a signal.
pub fn run(args: &Args) -> Answer {
    let shard = shard(args)?;
    let (study, simulator) = resolve(args)?;
    let default = format!("{}-sweep", safe_name(&study.scenario));
    let out = args.output.clone().unwrap_or_else(|| Path::new("results").join(default));
    let command = command(args);
    let options = folder::Options { out: &out, shard, resume: args.resume, command: &command };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.jobs.unwrap_or(0) as usize).build();
    let pool =
        pool.map_err(|error| Failure::coded(Code::Resources, format!("cannot start threads: {error}")))?;
    signals::stop_gently();
    let bar = Bar::new(output::is_quiet());
    let outcome =
        pool.install(|| folder::run_sweep(&study, options, &simulator, &RealDisk, &bar, &signals::STOP));
    let (done, all) = (bar.bar.position(), bar.bar.length().unwrap_or(0));
    bar.bar.finish_and_clear();
    let outcome = match outcome {
        Err(SweepError::Execute(ExecuteError::Stopped)) => {
            let journal = folder::journal_path(&out);
            let text = format!(
                "stopped after {done} of {all} runs, which {} keeps; the same command with --resume does the others",
                journal.display()
            );
            return Err(Failure::Other(signals::exit_code(), text));
        }
        other => other?,
    };
    let whole = shard.count == 1;
    if whole && !args.no_plots {
        draw(&out)?;
    }
    if args.json {
        output::say_json(&done_json(&outcome, &out, whole))?;
    } else {
        output::say(&said(&outcome, &out, whole))?;
    }
    Ok(u8::from(outcome.failed > 0))
}

/// Puts the parts of a sweep together.
///
/// # Errors
/// Parts that do not belong together, or results that cannot be written.
pub fn merge(args: &MergeArgs) -> Answer {
    let merged = folder::merge(&args.folders, &args.output, &RealDisk)?;
    if !args.no_plots {
        draw(&args.output)?;
    }
    let outcome = Outcome { runs: merged.runs, failed: merged.failed, wide_points: 0 };
    if args.json {
        output::say_json(&done_json(&outcome, &args.output, true))?;
    } else {
        output::say(&said(&outcome, &args.output, true))?;
    }
    Ok(u8::from(merged.failed > 0))
}

fn said(outcome: &Outcome, out: &Path, whole: bool) -> String {
    let mut text = format!("{} runs", outcome.runs);
    if outcome.failed > 0 {
        text.push_str(&format!(", {} of them failed (column error)", outcome.failed));
    }
    if outcome.wide_points > 0 {
        text.push_str(&format!("; {} points need more replications", outcome.wide_points));
    }
    let file = if whole { out.join(SWEEP_TABLE) } else { out.to_owned() };
    text.push_str(&format!("\n  {}\n", file.display()));
    text
}

/// The same for programs.
fn done_json(outcome: &Outcome, out: &Path, whole: bool) -> serde_json::Value {
    serde_json::json!({
        "runs": outcome.runs,
        "failed": outcome.failed,
        "widePoints": outcome.wide_points,
        "folder": out.to_string_lossy(),
        "table": whole.then(|| out.join(SWEEP_TABLE).to_string_lossy().into_owned()),
    })
}

/// The part to be done: as asked, or as a job engine's environment says.
fn shard(args: &Args) -> Result<Shard, Failure> {
    if let Some(shard) = args.shard {
        return Ok(shard);
    }
    let found = Shard::from_environment(&|name| std::env::var(name).ok()).map_err(|why| {
        Diagnostic::error(Code::CommandLine, why).help("say which part to do with --shard I/N")
    })?;
    let Some((shard, variable)) = found else { return Ok(Shard::WHOLE) };
    output::complain(&format!("note: this is shard {shard}, by the environment variable {variable}\n"));
    Ok(shard)
}

/// The rule by which replications are added.
fn until_ci(args: &Args) -> Result<Option<UntilCi>, Failure> {
    let Some(relative) = args.until_ci else { return Ok(None) };
    let known = Metrics::of(&VariantSummary::default()).values;
    for metric in &args.ci_metrics {
        if !known.contains_key(metric) {
            let message = format!("there is no metric `{}`", crate::diagnostic::escape(metric));
            let hint = did_you_mean(metric, known.keys().map(String::as_str));
            return Err(Diagnostic::error(Code::CommandLine, message).maybe_help(hint).into());
        }
    }
    let default = || UntilCi::DEFAULT_METRICS.map(str::to_owned).to_vec();
    let metrics = if args.ci_metrics.is_empty() { default() } else { args.ci_metrics.clone() };
    Ok(Some(UntilCi { relative, metrics, max_replications: args.max_replications }))
}

fn resolve(args: &Args) -> Result<(Study, Simulator), Failure> {
    let mut file = ScenarioFile::read(&args.scenario, &LoadOptions::default())?;
    let mut texts = args.sets.clone();
    texts.extend(args.seed.map(|seed| format!("seed={seed}")));
    let sets = file.parse_sets(&texts)?;
    let base = file.resolve(&sets)?;
    let (all, axis) = (base.scenario.variants.clone(), &base.scenario.sweep.variants);
    let variants = super::run::chosen_of(all, axis, &args.variants, &base)?;
    let mut study = study(&base, variants.iter().map(|v| v.name.value.clone()).collect())?;
    study.until_ci = until_ci(args)?;
    let simulator = Simulator::new(file, sets, variants, Options::default());
    check_first_point(&study, &simulator)?;
    Ok((study, simulator))
}

fn study(base: &Loaded, variants: Vec<String>) -> Result<Study, Failure> {
    let scenario = &base.scenario;
    let axes = &scenario.sweep.axes;
    let points = design::points(&scenario.sweep, scenario.seed)?;
    let names: Vec<&str> = variants.iter().map(String::as_str).collect();
    let objects = crate::manifest::for_scenario(base, crate::manifest::LoadOptions::default())?;
    let scenario_digest = simulate::digest::scenario(base, Some(&objects.sources), &names, false)
        .map_err(|error| Failure::coded(Code::FileUnreadable, format!("cannot read the trace: {error}")))?;
    Ok(Study {
        scenario: scenario.name.value.clone(),
        scenario_digest,
        seed: scenario.seed,
        replications: scenario.sweep.replications.max(1),
        until_ci: None,
        axes: axes.iter().map(|a| a.path.value.clone()).collect(),
        variants,
        points,
    })
}

/// What is wrong everywhere is bad input; what is wrong at some point only becomes that row's error.
fn check_first_point(study: &Study, simulator: &Simulator) -> Result<(), Failure> {
    if study.points.is_empty() {
        return Err(Diagnostic::error(Code::MissingKey, "the sweep has no point").into());
    }
    let fails = |point: &Point| simulator.check(&point.settings, study.seed).err();
    let first = match fails(&study.points[0]) {
        None => return Ok(()),
        Some(error) => error,
    };
    let all = study.points.iter().skip(1).take(100).all(|point| fails(point).is_some());
    if all { Err(first.into()) } else { Ok(()) }
}

/// The command line for the provenance: without what cannot change the results.
fn command(args: &Args) -> Vec<String> {
    let mut words = vec!["stowplan".to_owned(), "sweep".to_owned(), file_name(&args.scenario)];
    for variant in &args.variants {
        words.extend(["--variant".into(), variant.clone()]);
    }
    words.extend(args.seed.into_iter().flat_map(|seed| ["--seed".into(), seed.to_string()]));
    for set in &args.sets {
        words.extend(["--set".into(), set.clone()]);
    }
    words
}

/// A scenario's name for the provenance: machines keep it in different folders.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Adds the pictures to a finished folder, unless it is so large that it should not be read into memory.
fn draw(out: &Path) -> Result<(), Failure> {
    let path = out.join(SWEEP_TABLE);
    if std::fs::metadata(&path).is_ok_and(|m| m.len() > MOST_DRAWN_BYTES) {
        output::complain("note: no pictures are drawn of a sweep that large\n");
        return Ok(());
    }
    let file = limits::open(&path).map_err(ResultsError::io(&path, "read"))?;
    let table = SweepTable::read(std::io::BufReader::new(file))
        .map_err(|error| ResultsError::Malformed { path, why: error.to_string() })?;
    super::plot::sweep(out, &table, &SHOWN)
}

/// A bar on standard error, if that is a terminal: runs done, time left, points under way.
struct Bar {
    bar: ProgressBar,
    running: Mutex<BTreeMap<u64, u32>>,
}

impl Bar {
    fn new(quiet: bool) -> Bar {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {pos}/{len} runs  {elapsed} (about {eta} left)  {msg}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Bar { bar, running: Mutex::default() }
    }

    /// Counts the runs under way at a point up or down and shows the points.
    fn count(&self, point: u64, begun: bool) {
        // A panic elsewhere must not stop the counting.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = running.entry(point).or_insert(0);
        *runs = if begun { *runs + 1 } else { runs.saturating_sub(1) };
        if *runs == 0 {
            running.remove(&point);
        }
        let shown: Vec<String> = running.keys().take(5).map(u64::to_string).collect();
        let more = if running.len() > 5 { ", ..." } else { "" };
        self.bar.set_message(format!("point {}{more}", shown.join(", ")));
    }
}

impl Progress for Bar {
    fn planned(&self, total: u64, done: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
    fn started(&self, key: JobKey) {
        self.count(key.point, true);
    }
    fn finished(&self, key: JobKey, _: bool) {
        self.bar.inc(1);
        self.count(key.point, false);
    }
}
