//! What is fuzzed: everything that reads what somebody else wrote, and whole runs. A target takes any bytes. It may refuse them;
//! it must not panic, hang, or break what it promises.

#[path = "../support/random_scenario.rs"]
mod random_scenario;

use random_scenario::Dice;
use std::path::Path;
use std::sync::Arc;
use stowplan::conformance::{Case, replay};
use stowplan::diagnostic::{Diagnostics, Sources};
use stowplan::engine::rng::Streams;
use stowplan::engine::time::SimTime;
use stowplan::limits::Limit;
use stowplan::manifest::Loader;
use stowplan::model::labels::{LabelSet, NodeOperator, NodeRequirement, NodeSelectorTerm};
use stowplan::model::names::Names;
use stowplan::model::quantity::Quantity;
use stowplan::results::sweep::SweepTable;
use stowplan::results::tables::{read_csv, text as cell};
use stowplan::scenario::recorded::Recorded;
use stowplan::scenario::tree::Limits;
use stowplan::scenario::types::BindingMode;
use stowplan::scenario::{LoadOptions, ScenarioFile, json, yaml};
use stowplan::scheduler::cycle::Engine;
use stowplan::simulate::{self, Options};
use stowplan::trace::mapping::{ArrivalRules, Arrivals, ClaimRule, TraceMode};
use stowplan::trace::{Format, TraceInput, TraceRequest, TraceSource, inspect};

/// A thing to be fuzzed.
pub struct Target {
    /// Its name, and its corpus' folder.
    pub name: String,
    /// Does it with some bytes.
    pub run: Box<dyn Fn(&[u8]) + Send + Sync>,
}

/// All targets: one per reader, and `runs`.
pub fn all() -> Vec<Target> {
    let texts: [(&str, fn(&str)); 9] = [
        ("quantity", quantity),
        ("selector", selector),
        ("yaml", trees),
        ("scenario", scenario),
        ("manifests", manifests),
        ("scheduler-configuration", scheduler_configuration),
        ("recording", recording),
        ("decisions", decisions),
        ("results", results),
    ];
    let mut all: Vec<Target> = Vec::new();
    for (name, run) in texts {
        // Texts that are not UTF-8 are refused before any reader sees them.
        let run = move |data: &[u8]| {
            if let Ok(text) = std::str::from_utf8(data) {
                run(text);
            }
        };
        all.push(Target { name: name.to_owned(), run: Box::new(run) });
    }
    for format in Format::ALL {
        let run = move |data: &[u8]| trace_target(format, data);
        all.push(Target { name: format!("trace-{format}"), run: Box::new(run) });
    }
    all.push(Target { name: "runs".to_owned(), run: Box::new(runs) });
    all
}

/// Counts that an input of a few kilobytes may ask for, so that none takes long: without it a fuzzer finds `count: 1000000`.
#[allow(dead_code, reason = "limits are the process's: tests that share one leave them alone")]
pub fn small_limits() {
    for limit in [Limit::Nodes, Limit::Sets, Limit::Replicas, Limit::Pods, Limit::Volumes] {
        limit.set(300);
    }
    for limit in [Limit::TimelineEntries, Limit::Variants, Limit::AxisValues, Limit::SweepPoints] {
        limit.set(300);
    }
    Limit::AliasBytes.set(1 << 16);
    Limit::ManifestAliasBytes.set(1 << 16);
    Limit::TraceDocumentBytes.set(1 << 20);
}

/// What a quantity is written as is the same quantity, and order does not depend on who asks.
fn quantity(text: &str) {
    let mut parts = text.split('\n');
    let read = |part: Option<&str>| part.and_then(|p| Quantity::parse(p).ok());
    let Some(a) = read(parts.next()) else { return };
    assert_eq!(Quantity::parse(&a.to_string()).ok(), Some(a), "{a}");
    let _ = (a.value(), a.milli_value(), a.rounded_up_to_milli());
    let Some(b) = read(parts.next()) else { return };
    assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    if !a.is_negative() && !b.is_negative() {
        assert!(a.saturating_add(b) >= a);
    }
}

/// `operator key values...` lines against `key=value` lines, `---` between. A well-formed requirement is met by a label or by
/// its absence as its operator says.
fn selector(text: &str) {
    let mut names = Names::default();
    let (requirements, labels) = text.split_once("---\n").unwrap_or((text, ""));
    let mut expressions = Vec::new();
    for line in requirements.lines() {
        let mut words = line.split(' ');
        let operator = match words.next() {
            Some("In") => NodeOperator::In,
            Some("NotIn") => NodeOperator::NotIn,
            Some("Exists") => NodeOperator::Exists,
            Some("DoesNotExist") => NodeOperator::DoesNotExist,
            Some("Gt") => NodeOperator::Gt,
            _ => NodeOperator::Lt,
        };
        let key = names.intern(words.next().unwrap_or_default());
        let values = words.map(|word| names.intern(word)).collect();
        expressions.push(NodeRequirement { key, operator, values });
    }
    let pairs = labels.lines().filter_map(|line| line.split_once('='));
    let labels = LabelSet::new(pairs.map(|(k, v)| (names.intern(k), names.intern(v))).collect());
    for requirement in &expressions {
        let value = labels.get(requirement.key);
        let met = requirement.matches(value, &names);
        let opposite = match requirement.operator {
            NodeOperator::In => NodeOperator::NotIn,
            NodeOperator::NotIn => NodeOperator::In,
            NodeOperator::Exists => NodeOperator::DoesNotExist,
            NodeOperator::DoesNotExist => NodeOperator::Exists,
            NodeOperator::Gt | NodeOperator::Lt => continue,
        };
        assert_ne!(met, NodeRequirement { operator: opposite, ..requirement.clone() }.matches(value, &names));
    }
    let term = NodeSelectorTerm { expressions: expressions.into(), fields: Box::default() };
    if term.is_well_formed(&names) && !term.is_empty() {
        let all = term.expressions.iter().all(|r| r.matches(labels.get(r.key), &names));
        assert_eq!(term.matches_labels(&labels, &names), all);
    }
}

/// Every complaint can be shown, says something, and has no control character but line feeds.
fn shown(errors: &Diagnostics) {
    let text = errors.to_string();
    assert!(!text.is_empty());
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!((2..=3).contains(&errors.exit_code()));
}

fn trees(text: &str) {
    let mut sources = Sources::new();
    let source = sources.add("f.yaml", text.to_owned());
    if let Err(error) = yaml::parse_all(&sources, source, &Limits::scenario()) {
        shown(&Diagnostics::new(vec![error], sources.clone()));
    }
    if let Err(error) = json::parse_stream(&sources, source, &Limits::scenario()) {
        shown(&Diagnostics::new(vec![error], sources));
    }
}

/// Reads a scenario with the files that it names, and makes a plan of each variant.
fn prepared(text: &str, files: &[(&str, &str)]) {
    let mut recorded = Recorded::default();
    for (name, text) in files {
        recorded.texts.insert((*name).to_owned(), Arc::from(*text));
        recorded.reads.insert((*name).to_owned(), vec![(*name).into()]);
    }
    // Paths go nowhere: the folder does not exist.
    let base = Path::new("");
    let options = LoadOptions {
        check_trace_files: false,
        recorded: Some(Arc::new(recorded)),
        ..LoadOptions::default()
    };
    let loaded = ScenarioFile::from_text("f.yaml", text.to_owned(), base, &options)
        .and_then(|mut file| file.parse_sets(&["seed=7".to_owned()]).and_then(|sets| file.resolve(&sets)));
    let outcome = loaded.and_then(|loaded| {
        for mode in [BindingMode::Immediate, BindingMode::WaitForFirstConsumer] {
            simulate::prepare(&loaded, Some(mode), Options::default())?;
        }
        Ok(())
    });
    if let Err(errors) = outcome {
        shown(&errors);
    }
}

fn scenario(text: &str) {
    prepared(text, &[]);
}

fn manifests(text: &str) {
    let mut loader = Loader::new(stowplan::manifest::LoadOptions::default(), Sources::new());
    loader.text("m.yaml", text.to_owned());
    if let Err(errors) = loader.finish() {
        shown(&errors);
        return;
    }
    prepared("version: 1\nname: f\ncluster: {manifests: [m.yaml]}\n", &[("m.yaml", text)]);
}

fn scheduler_configuration(text: &str) {
    prepared(
        "version: 1\nname: f\nscheduler: {config: k.yaml}\ncluster: {nodes: [{name: n, cpu: 1, memory: 1Gi}]}\n",
        &[("k.yaml", text)],
    );
}

fn recording(text: &str) {
    if let Err(errors) = stowplan::recording::import("r.json", text.to_owned(), "r") {
        shown(&errors);
    }
}

/// Both engines decide a case alike, as far as the fast one tells.
fn decisions(text: &str) {
    let Ok(case) = serde_json::from_str::<Case>(text) else { return };
    if case.steps.len() > 50 || case.objects.len() > 200 {
        return;
    }
    let outcome = |engine| {
        replay(&case, engine).ok().map(|replayed| {
            let told = replayed
                .steps
                .iter()
                .map(|step| (step.result.clone(), step.node.clone(), step.message.clone()));
            told.collect::<Vec<_>>()
        })
    };
    assert_eq!(outcome(Engine::Plain), outcome(Engine::Fast));
}

fn results(text: &str) {
    let _ = SweepTable::read(text.as_bytes());
    let _ = read_csv::<stowplan::results::tables::PodRow, _>(text.as_bytes());
    let _ = read_csv::<stowplan::results::tables::NodeRow, _>(text.as_bytes());
    let _ = serde_json::from_str::<stowplan::results::Summary>(text);
    assert_eq!(cell::restored(&cell::defused(text)), text);
}

/// The first byte chooses between strict reading and skipping, and the name by which a table may be known.
fn trace_target(format: Format, data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    const NAMES: [&str; 30] = [
        "x",
        "task_events.csv",
        "machine_events.csv",
        "task_constraints.csv",
        "machine_attributes.csv",
        "job_events.csv",
        "instance_events.json",
        "collection_events.json",
        "machine_events.json",
        "instance_events.csv",
        "server_event.csv",
        "container_event.csv",
        "batch_task.csv",
        "batch_instance.csv",
        "machine_meta.csv",
        "container_meta.csv",
        "pai_job_table.csv",
        "pai_task_table.csv",
        "pai_instance_table.csv",
        "pai_machine_spec.csv",
        "vmtable.csv",
        "deployments.csv",
        "vm.csv",
        "vmType.csv",
        "x.sqlite",
        "x.parquet",
        "x.sktrace",
        "x.json",
        "x.gz",
        "node_info_df.csv",
    ];
    let skip = (first & 1 == 1).then_some(1000);
    trace(Some(format), NAMES[usize::from(first >> 1) % NAMES.len()], rest, skip);
}

/// Reads the bytes of a trace in every way.
pub fn trace(format: Option<Format>, name: &str, bytes: &[u8], skip: Option<u64>) {
    let mut request =
        TraceRequest::new(format, vec![TraceInput::Bytes(name.to_owned(), bytes.to_vec().into())]);
    request.options.skip_bad_rows = skip;
    request.sort_memory = 4096;
    if let Ok(found) = inspect(&request) {
        let json = found.to_json();
        assert_eq!(json["rows"].as_u64(), Some(found.rows()));
        let skipped: u64 = found.skipped.values().sum();
        assert!(skip.is_some() || skipped == 0, "nothing is skipped in strict reading");
    }
    request.options.max_cpu_milli = Some(64_000);
    request.options.max_memory_bytes = Some(1 << 38);
    request.options.max_disk_bytes = Some(1 << 42);
    let Ok(source) = TraceSource::open(&request) else { return };
    let rules = ArrivalRules { mode: TraceMode::Clock, claims: ClaimRule::Trace, ..ArrivalRules::default() };
    let Ok(arrivals) = Arrivals::new(source, rules, Streams::new(1, 0)) else { return };
    let mut last = SimTime::ZERO;
    for arrival in arrivals.take(2000) {
        let Ok(arrival) = arrival else { return };
        assert!(arrival.at >= last, "arrivals are in order");
        assert!(arrival.leaves.is_none_or(|leaves| leaves >= arrival.at));
        assert!(arrival.name.len() <= 63);
        last = arrival.at;
    }
}

/// A random scenario, run to its end with the invariants checked after every event: both engines make the same run.
fn runs(data: &[u8]) {
    let mut dice = Dice::of_bytes(data);
    let mode = [BindingMode::Immediate, BindingMode::WaitForFirstConsumer][dice.below(2) as usize];
    let text = random_scenario::scenario(&mut dice);
    let paranoid = Options { paranoid: true, ..Options::default() };
    let outcome = |options: Options| {
        let file = ScenarioFile::from_text("f.yaml", text.clone(), Path::new("."), &LoadOptions::default());
        let loaded = file.and_then(|file| file.resolve(&[])).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let prepared =
            simulate::prepare(&loaded, Some(mode), options).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let run = simulate::run(&prepared.plan, "runs", prepared.sample, options);
        let summary = run.unwrap_or_else(|e| panic!("{e}\n{text}")).summary;
        (summary.digest, summary.decisions, summary.events)
    };
    let fast = outcome(paranoid);
    assert_eq!(fast, outcome(Options { plain: true, ..paranoid }), "the engines differ, {mode:?}:\n{text}");
}
