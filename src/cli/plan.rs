//! `stowplan plan`: the smallest or cheapest cluster that meets service levels, how much more fits, when growth breaks it.

use super::output;
use super::{Answer, Failure};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::output::{PLAN_FILE, PlanFile, Subject, plan_file};
use crate::plan::solve::{Planning, Progress, solve};
use crate::plan::{page, picture, table};
use crate::results::disk::RealDisk;
use crate::results::write::{PLOTS_FOLDER, Provenance, Staging, safe_name};
use crate::scenario::types::PlanSpec;
use crate::scenario::{LoadOptions, Loaded, ScenarioFile, Spanned};
use crate::simulate::evaluate::Simulator;
use crate::simulate::{self, Options};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `plan`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan plan fleet.yaml\n  \
    stowplan plan fleet.yaml --fit shop --json\n  \
    stowplan plan fleet.yaml --set 'plan.require.stuck=<= 0%'")]
pub struct Args {
    /// Scenario file with a `plan`; `-` is standard input.
    scenario: PathBuf,
    /// Threads; default: one per core.
    #[arg(short = 'j', long = "jobs", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    jobs: Option<u32>,
    /// Plan only for this variant; may be repeated.
    #[arg(long = "variant", value_name = "NAME")]
    variants: Vec<String>,
    /// Ask how many more sets of this generated workload fit, beside what the scenario asks; may be repeated.
    #[arg(long = "fit", value_name = "WORKLOAD")]
    fit: Vec<String>,
    /// Find the answer of every configuration, also of those that cost more than the best.
    #[arg(long)]
    all: bool,
    /// Seed from which those of all replications are derived.
    #[arg(long)]
    seed: Option<u64>,
    /// Change a value of the scenario; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Results folder; default: `results/NAME-plan`.
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print plan.json on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
    /// Do not draw pictures.
    #[arg(long)]
    no_plots: bool,
}

/// Makes the plan. The answer is no if nothing that was looked at meets the levels.
///
/// # Errors
/// Bad input, or results that cannot be written.
pub fn run(args: &Args) -> Answer {
    let mut file = ScenarioFile::read(&args.scenario, &LoadOptions::default())?;
    let mut texts = args.sets.clone();
    texts.extend(args.seed.map(|seed| format!("seed={seed}")));
    let sets = file.parse_sets(&texts)?;
    let base = file.resolve(&sets)?;
    let spec = spec(args, &base)?;
    let all = base.scenario.variants.clone();
    let variants = super::run::chosen_of(all, &spec.variants, &args.variants, &base)?;
    let names: Vec<String> = variants.iter().map(|v| v.name.value.clone()).collect();
    let simulator = Simulator::new(file, sets, variants, Options::default());
    let planning = Planning {
        spec: &spec,
        variants: &names,
        seed: base.scenario.seed,
        model: &simulator,
        all: args.all,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.jobs.unwrap_or(0) as usize).build();
    let pool =
        pool.map_err(|error| Failure::coded(Code::Resources, format!("cannot start threads: {error}")))?;
    let mut bar = Bar::new(output::is_quiet());
    // The bar lives on this thread: what it is told comes from here.
    let plan = pool.install(|| solve(&planning, &mut bar));
    bar.0.finish_and_clear();
    let plan = plan.map_err(|error| Diagnostics::new(vec![error], base.sources.clone()))?;
    let scenario_digest = digest(&base, &names)?;
    let subject = Subject { scenario: &base.scenario.name, scenario_digest: &scenario_digest };
    let plan = plan_file(subject, &planning, &plan);
    let folder = write(args, &base, &plan)?;
    if args.json {
        let text = serde_json::to_string_pretty(&plan)
            .map_err(|error| Failure::coded(Code::OutputWrite, format!("cannot write the plan: {error}")))?;
        output::say(&(text + "\n"))?;
    } else {
        output::say(&format!(
            "{}\n  {}\n",
            table::render(&plan).trim_end(),
            folder.join(PLAN_FILE).display()
        ))?;
    }
    Ok(u8::from(!answered(&plan)))
}

/// The scenario's plan and what the command line adds to it.
fn spec(args: &Args, base: &Loaded) -> Result<PlanSpec, Failure> {
    let place = base.scenario.name.span;
    let mut spec = match (&base.scenario.plan, args.fit.is_empty()) {
        (Some(spec), _) => spec.clone(),
        (None, false) => PlanSpec::default(),
        (None, true) => {
            let error = Diagnostic::error(Code::MissingKey, "the scenario has no `plan`").at(place).help(
                "say what is required and what may vary, or ask how much more fits with --fit WORKLOAD",
            );
            return Err(Diagnostics::new(vec![error], base.sources.clone()).into());
        }
    };
    let named = |name: &String| vec![Spanned { value: name.clone(), span: place }];
    spec.fit.extend(args.fit.iter().map(named));
    Ok(spec)
}

fn digest(base: &Loaded, variants: &[String]) -> Result<String, Failure> {
    let names: Vec<&str> = variants.iter().map(String::as_str).collect();
    let objects = crate::manifest::for_scenario(base, crate::manifest::LoadOptions::default())?;
    simulate::digest::scenario(base, Some(&objects.sources), &names, false)
        .map_err(|error| Failure::coded(Code::FileUnreadable, format!("cannot read the trace: {error}")))
}

/// Did everything that was asked find an answer?
fn answered(plan: &PlanFile) -> bool {
    let cluster = plan.answer.is_some() || plan.configurations.is_empty();
    cluster && plan.fit.iter().all(|f| f.more.is_some())
}

fn write(args: &Args, base: &Loaded, plan: &PlanFile) -> Result<PathBuf, Failure> {
    let default = || Path::new("results").join(format!("{}-plan", safe_name(&base.scenario.name)));
    let target = args.output.clone().unwrap_or_else(default);
    let picture = if args.no_plots {
        None
    } else {
        picture::svg(plan)
            .map_err(|error| Failure::coded(Code::OutputWrite, format!("cannot draw: {error}")))?
    };
    let words = command(args);
    let mut staging = Staging::begin(&target, &RealDisk)?;
    staging.json(PLAN_FILE, plan)?;
    if !args.no_plots {
        let html = page::page(plan, &crate::report::html::shell(&words))
            .map_err(|error| Failure::coded(Code::OutputWrite, format!("cannot draw: {error}")))?;
        staging.bytes("report.html", html.as_bytes())?;
    }
    if let Some(svg) = picture {
        staging.bytes(&format!("{PLOTS_FOLDER}/{}", picture::PICTURE), svg.as_bytes())?;
    }
    let provenance = Provenance::new("plan", &plan.scenario, &plan.scenario_digest, plan.seed, words);
    Ok(staging.commit(provenance)?)
}

/// The command line for the provenance: without what cannot change the results.
fn command(args: &Args) -> Vec<String> {
    let mut words = vec!["stowplan".to_owned(), "plan".to_owned(), super::sweep::file_name(&args.scenario)];
    let mut pairs = |option: &str, values: &[String]| {
        words.extend(values.iter().flat_map(|value| [option.to_owned(), value.clone()]));
    };
    pairs("--variant", &args.variants);
    pairs("--fit", &args.fit);
    pairs("--seed", &args.seed.iter().map(u64::to_string).collect::<Vec<_>>());
    pairs("--set", &args.sets);
    words.extend(args.all.then(|| "--all".to_owned()));
    words
}

/// A line on standard error, if that is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(quiet: bool) -> Bar {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar(bar)
    }
}

impl Progress for Bar {
    fn clusters(&mut self, runs: u64, open: usize) {
        self.0.set_message(format!("{runs} runs, {open} configurations still searched"));
    }
    fn begin(&mut self, what: &str) {
        self.0.set_message(what.to_owned());
    }
}
