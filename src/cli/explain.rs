//! `stowplan explain`: why a pod ended as it did, what it would take to make it run, and what fills a node.

use super::run::{self, Request};
use super::{Answer, Cli, Command, Failure, output};
use crate::diagnostic::{Code, Diagnostic, did_you_mean, escape};
use crate::explain::whatif::WhatIf;
use crate::explain::{self, ExplainError, render};
use crate::limits::{self, Limit};
use crate::model::quantity::Quantity;
use crate::model::volume::BindingMode;
use crate::report::table::Look;
use crate::results::sweep::SWEEP_FILE;
use crate::results::tables::PodRow;
use crate::results::write::{PROVENANCE_FILE, Provenance, ResultsError, SUMMARY_FILE};
use crate::results::{RunOutput, VariantOutput, load};
use crate::simulate::{Prepared, inputs};
use clap::Parser;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    stowplan explain results/mysql-local-pv shop-45-0\n  \
    stowplan explain results/mysql-local-pv shop-45-0 --what-if cpu:fast-1:2 --what-if pv:dense-2:500Gi\n  \
    stowplan explain results/mysql-local-pv --node fast-6\n\n\
    The run is made again from the inputs that the folder holds, which takes as long as the run took.")]
pub struct Args {
    /// Folder that `run` wrote.
    #[arg(value_name = "RESULTS")]
    results: PathBuf,
    /// The pod: NAME or NAMESPACE/NAME.
    #[arg(value_name = "POD", required_unless_present = "node", conflicts_with = "node")]
    pod: Option<String>,
    /// Tell about this node instead.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// In this variant; default: the first in which the pod is stuck, else the first that has it.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Ask one more question; may be repeated: unbound, pv:NODE:SIZE, cpu:NODE:CORES, memory:NODE:SIZE (more of it),
    /// class:NAME:MODE.
    #[arg(long = "what-if", value_name = "CHANGE", requires = "pod", value_parser = what_if)]
    what_if: Vec<WhatIf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Is this a folder that `run` wrote?
///
/// # Errors
/// It is not, with what to do.
pub fn is_run(folder: &Path) -> Result<(), Failure> {
    if folder.join(SUMMARY_FILE).exists() {
        return Ok(());
    }
    let what = if folder.exists() { "holds no results of a run" } else { "does not exist" };
    let message = format!("{} {what}", shown(folder));
    let help = "stowplan run SCENARIO writes results and says where";
    Err(Diagnostic::error(Code::FileMissing, message).help(help).into())
}

/// Explains a pod or a node.
///
/// # Errors
/// Results that cannot be read or made again, names that there are not.
pub fn run(args: &Args) -> Answer {
    if args.results.join(SWEEP_FILE).exists() {
        let message = format!("{} holds a sweep, and a sweep keeps no single run", shown(&args.results));
        let help =
            "run the point that you are interested in: stowplan run SCENARIO --set PATH=VALUE --seed N";
        return Err(Diagnostic::error(Code::CommandLine, message).help(help).into());
    }
    is_run(&args.results)?;
    let results = load(&args.results)?;
    let again = Again::new(&args.results)?;
    if let Some(node) = &args.node {
        return node_story(args, &results, &again, node);
    }
    pod_story(args, &results, &again, args.pod.as_deref().unwrap_or_default())
}

/// A recorded run, ready to be made again.
struct Again(Request);

impl Again {
    fn new(folder: &Path) -> Result<Again, Failure> {
        let (recorded, traces) = inputs::load(folder)?;
        let path = folder.join(PROVENANCE_FILE);
        let text = limits::read_text(&path, Limit::ResultsBytes).map_err(ResultsError::io(&path, "read"))?;
        let malformed = |why: String| ResultsError::Malformed { path: path.clone(), why };
        let provenance: Provenance = serde_json::from_str(&text).map_err(|e| malformed(e.to_string()))?;
        let args: run::Args = match Cli::try_parse_from(&provenance.command).map(|cli| cli.command) {
            Ok(Command::Run(args)) => args,
            _ => return Err(malformed("its command is not one of `stowplan run`".to_owned()).into()),
        };
        if let Some(gone) = traces.iter().find(|t| !Path::new(&t.file).exists()) {
            let message = format!("the trace {} is not there any more", escape(&gone.file));
            let help = "go to the folder in which the run was made: traces are not copied into results";
            return Err(Diagnostic::error(Code::FileMissing, message).help(help).into());
        }
        Ok(Again(Request::recorded(&args, recorded)?))
    }

    fn prepare(&self, variant: &str) -> Result<Prepared, Failure> {
        let prepared = self.0.prepare_one(variant)?;
        prepared.ok_or_else(|| {
            Failure::coded(
                Code::UnknownVariant,
                format!("the recorded run has no variant `{}`", escape(variant)),
            )
        })
    }
}

fn pod_story(args: &Args, results: &RunOutput, again: &Again, asked: &str) -> Answer {
    let variants = variants(args, results)?;
    let rows: Vec<Option<&PodRow>> = variants.iter().map(|v| find(v, asked)).collect();
    let stuck = rows.iter().position(|row| row.is_some_and(|r| r.stuck));
    let Some(at) = stuck.or_else(|| rows.iter().position(Option::is_some)) else {
        return Err(no_pod(&variants, asked));
    };
    let (Some(row), variant) = (rows[at], variants[at]) else { return Err(no_pod(&variants, asked)) };
    let prepared = again.prepare(&variant.summary.name)?;
    let mut story = explain::pod(&prepared.plan, variant, row, &args.what_if).map_err(failure)?;
    for other in results.variants.iter().filter(|v| v.summary.name != variant.summary.name) {
        let how = find(other, &story.pod)
            .map_or("it does not exist".to_owned(), |row| explain::verdict(row, other));
        story.elsewhere.push(format!("{}: {how}", other.summary.name));
    }
    show(args, &story, |look| render::pod(&story, output::is_verbose(), look))
}

fn node_story(args: &Args, results: &RunOutput, again: &Again, name: &str) -> Answer {
    let variants = variants(args, results)?;
    let Some(variant) = variants.iter().find(|v| v.nodes.iter().any(|n| n.name == name)) else {
        let known = variants.iter().flat_map(|v| &v.nodes).map(|n| n.name.as_str());
        let hint = did_you_mean(name, known);
        let message = format!("no variant has a node `{}`", escape(name));
        return Err(Diagnostic::error(Code::UnknownReference, message).maybe_help(hint).into());
    };
    let prepared = again.prepare(&variant.summary.name)?;
    let story = explain::node(&prepared.plan, variant, name).map_err(failure)?;
    show(args, &story, |look| render::node(&story, look))
}

fn show<T: Serialize>(args: &Args, story: &T, text: impl Fn(&Look) -> String) -> Answer {
    if args.json {
        let json = serde_json::to_string_pretty(story)
            .map_err(|error| Failure::coded(Code::OutputWrite, format!("cannot write the story: {error}")))?;
        output::say(&format!("{json}\n"))?;
        return Ok(0);
    }
    output::say(&text(&output::look()))?;
    Ok(0)
}

fn variants<'r>(args: &Args, results: &'r RunOutput) -> Result<Vec<&'r VariantOutput>, Failure> {
    let Some(name) = &args.variant else { return Ok(results.variants.iter().collect()) };
    let found: Vec<&VariantOutput> = results.variants.iter().filter(|v| v.summary.name == *name).collect();
    if found.is_empty() {
        let known: Vec<&str> = results.variants.iter().map(|v| v.summary.name.as_str()).collect();
        let hint = did_you_mean(name, known.iter().copied())
            .unwrap_or_else(|| format!("there are: {}", known.join(", ")));
        let message = format!("there is no variant `{}`", escape(name));
        return Err(Diagnostic::error(Code::UnknownVariant, message).help(hint).into());
    }
    Ok(found)
}

/// The row of a pod by `name` or `namespace/name`: a stuck one first, then one that is there, then the latest.
fn find<'r>(variant: &'r VariantOutput, asked: &str) -> Option<&'r PodRow> {
    let is = |row: &&PodRow| match asked.split_once('/') {
        Some((namespace, name)) => row.namespace == namespace && row.name == name,
        None => row.name == asked,
    };
    let rank = |row: &&PodRow| (row.stuck, row.status != "Deleted");
    variant.pods.iter().filter(is).max_by_key(rank)
}

fn no_pod(variants: &[&VariantOutput], asked: &str) -> Failure {
    let name = asked.rsplit('/').next().unwrap_or(asked);
    let known = variants.iter().flat_map(|v| &v.pods).map(|p| p.name.as_str());
    let stuck = variants.iter().flat_map(|v| &v.pods).find(|p| p.stuck);
    let hint = did_you_mean(name, known).or_else(|| {
        stuck.map(|p| format!("a stuck one is {}/{}; pods.csv has them all", p.namespace, p.name))
    });
    let message = format!("there is no pod `{}` in these results", escape(asked));
    Diagnostic::error(Code::UnknownReference, message).maybe_help(hint).into()
}

fn failure(error: ExplainError) -> Failure {
    match error {
        ExplainError::Question(_) => Failure::coded(Code::CommandLine, error.to_string()),
        _ => Failure::Other(1, error.to_string()),
    }
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).to_string()
}

/// Reads a `--what-if`.
fn what_if(text: &str) -> Result<WhatIf, String> {
    const FORMS: &str = "one of unbound, pv:NODE:SIZE, cpu:NODE:CORES, memory:NODE:SIZE, class:NAME:MODE";
    if text == "unbound" {
        return Ok(WhatIf::Unbound);
    }
    let mut parts = text.splitn(3, ':');
    let (Some(kind), Some(name), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("expected {FORMS}"));
    };
    let name = name.to_owned();
    let amount = || Quantity::parse(value).map_err(|e| format!("`{value}`: {e}"));
    match kind {
        "pv" => Ok(WhatIf::Volume(name, u128::try_from(amount()?.ceil()).unwrap_or(0))),
        "cpu" => Ok(WhatIf::Cpu(name, amount()?.milli_value())),
        "memory" => Ok(WhatIf::Memory(name, amount()?.value())),
        "class" => match value {
            "Immediate" => Ok(WhatIf::Class(name, BindingMode::Immediate)),
            "WaitForFirstConsumer" => Ok(WhatIf::Class(name, BindingMode::WaitForFirstConsumer)),
            _ => Err("a mode is Immediate or WaitForFirstConsumer".to_owned()),
        },
        _ => Err(format!("expected {FORMS}")),
    }
}
