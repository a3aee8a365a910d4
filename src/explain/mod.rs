//! `stowplan explain`: a run told again, from the inputs that its results folder holds.
//!
//! Simulation is deterministic, so nothing about a pod's life has to be stored: the run is made again, with somebody listening
//! who keeps the story of one pod, and its digest shows that it is the same run. What the pod lacks is asked of the scheduler's
//! own filters, on copies of the cluster at the end of the run.

pub mod node;
pub mod render;
pub mod story;
pub mod whatif;

use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::PodId;
use crate::model::names::Sym;
use crate::model::pod::PodPhase;
use crate::model::volume::{BindingMode, StorageClass};
use crate::observe::causes;
use crate::observe::digest::Digest;
use crate::results::VariantOutput;
use crate::results::tables::PodRow;
use crate::scheduler::profile::Profile;
use crate::world::plan::{Action, Applier, Plan};
use crate::world::{self, RunEnd, SimError};
use node::NodeStory;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use story::{Chapter, Listener, TemplateListener, Turned};
use whatif::{Answer, Asker, WhatIf, not_asked, some_of};

/// Why a run cannot be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The run failed this time.
    #[error("the run cannot be made again: {0}")]
    Run(#[from] SimError),
    /// It came out differently.
    #[error(
        "the run came out differently this time (digest {now}, recorded {recorded}): a trace, or stowplan itself, \
         has changed since; run the scenario again"
    )]
    Digest {
        /// What the results say.
        recorded: String,
        /// What it is now.
        now: String,
    },
    /// The question makes no sense.
    #[error("{0}")]
    Question(String),
}

/// The life of a pod, and what would have to be different.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodStory {
    /// `namespace/name`.
    pub pod: String,
    /// Variant of the run.
    pub variant: String,
    /// How it ended, in one sentence.
    pub verdict: String,
    /// Stuck at the end, for this cause.
    pub stuck_cause: String,
    /// What happened, in order.
    pub chapters: Vec<Chapter>,
    /// Chapters that were left out.
    pub left_out: u64,
    /// What ties it to nodes.
    pub ties: Vec<String>,
    /// Why every node turns it down at the end.
    pub turned_down: Vec<Turned>,
    /// Nodes that would take it at the end, if it is not placed.
    pub feasible: Vec<String>,
    /// Counterfactuals.
    pub what_if: Vec<Answer>,
    /// How it went in the other variants.
    pub elsewhere: Vec<String>,
}

/// Tells the life of the pod of `row` in the run of `plan`; `asked` are questions beside the usual ones.
///
/// # Errors
/// [`ExplainError`].
pub fn pod(
    plan: &Plan,
    variant: &VariantOutput,
    row: &PodRow,
    asked: &[WhatIf],
) -> Result<PodStory, ExplainError> {
    let key = format!("{}/{}", row.namespace, row.name);
    let claims = row.claims.split_whitespace().map(|c| format!("{}/{c}", row.namespace));
    let mut listener = Listener::new(&key, claims);
    let end = again(plan, &mut listener, &variant.summary.digest)?;
    let mut story = PodStory {
        pod: key.clone(),
        variant: variant.summary.name.clone(),
        verdict: verdict(row, variant),
        stuck_cause: row.stuck_cause.to_string(),
        chapters: listener.chapters,
        left_out: listener.left_out,
        ..PodStory::default()
    };
    let Some(pod) = find(&end.cluster, &row.namespace, &row.name) else { return Ok(story) };
    let profiles = profiles(plan)?;
    let name = end.cluster.spec_of(pod).scheduler_name;
    let Some(profile) = profiles.iter().find(|p| p.scheduler_name == name) else { return Ok(story) };
    let mut cluster = end.cluster;
    cluster.take_changes(&mut Vec::new());
    let asker = Asker { profile, at: end.at, pod };
    let placed = cluster.pod(pod).placed().is_some();
    if !placed {
        story.ties = asker.tied_to(&cluster);
        let now = asker.ask(&cluster, &[]);
        story.turned_down = now.turned_down;
        story.feasible =
            now.feasible.iter().map(|n| cluster.names.text(cluster.node(*n).name).to_owned()).collect();
        if row.stuck {
            story.what_if = asker.usual(&cluster);
            if asker.held(&cluster).is_none() {
                story.what_if.extend(waiting_classes(plan, &cluster, pod, row)?);
            }
        }
    }
    if placed && !asked.is_empty() {
        let message = format!("{key} is on a node already: there is nothing that it lacks");
        return Err(ExplainError::Question(message));
    }
    for question in asked {
        story.what_if.push(asker.one(&cluster, question).map_err(ExplainError::Question)?);
    }
    Ok(story)
}

/// Tells about one node at the end of the run of `plan`.
///
/// # Errors
/// [`ExplainError`].
pub fn node(plan: &Plan, variant: &VariantOutput, name: &str) -> Result<NodeStory, ExplainError> {
    let mut listener = TemplateListener::default();
    let end = again(plan, &mut listener, &variant.summary.digest)?;
    let profiles = profiles(plan)?;
    let mut story = NodeStory::default();
    let found = end.cluster.names.get(name).and_then(|n| end.cluster.node_by_name(n));
    if let (Some(id), Some(profile)) = (found, profiles.first()) {
        let mut cluster = end.cluster;
        cluster.take_changes(&mut Vec::new());
        story = node::look(&cluster, profile, end.at, id, &listener.seen);
    }
    story.node = name.to_owned();
    story.variant.clone_from(&variant.summary.name);
    story.row = variant.nodes.iter().find(|n| n.name == name).cloned().unwrap_or_default();
    story.states = variant.node_heat.iter().filter(|s| s.node == name).cloned().collect();
    Ok(story)
}

/// Makes the run again; its digest must be the recorded one.
fn again<O: crate::observe::Observer>(
    plan: &Plan,
    listener: &mut O,
    recorded: &str,
) -> Result<RunEnd, ExplainError> {
    let mut digest = Digest::default();
    let end = world::run(plan, (listener, &mut digest))?;
    let now = digest.finish(end.at);
    if now == recorded { Ok(end) } else { Err(ExplainError::Digest { recorded: recorded.to_owned(), now }) }
}

fn profiles(plan: &Plan) -> Result<Vec<Profile>, SimError> {
    Ok(plan.make_profiles()?)
}

fn find(cluster: &Cluster, namespace: &str, name: &str) -> Option<PodId> {
    cluster.pod_by_name(cluster.names.get(namespace)?, cluster.names.get_name(name)?)
}

/// Had a class of its claims been WaitForFirstConsumer from the start: the whole run, once more.
fn waiting_classes(
    plan: &Plan,
    cluster: &Cluster,
    pod: PodId,
    row: &PodRow,
) -> Result<Vec<Answer>, ExplainError> {
    let classes: BTreeSet<Sym> = causes::claims_of(cluster, pod)
        .flatten()
        .map(|claim| cluster.claim_spec_of(claim).class_or_empty())
        .collect();
    let mut answers = Vec::new();
    for class in classes {
        let name = cluster.names.text(class);
        let question = format!("if class {name} had been WaitForFirstConsumer from the start");
        match cluster.class(class).map(|c| c.binding_mode) {
            None => answers.push(not_asked(question, "there is no such class")),
            Some(BindingMode::WaitForFirstConsumer) => answers.push(not_asked(question, "it is, already")),
            Some(BindingMode::Immediate) => {
                let end = world::run(&with_waiting_class(plan, class), ())?;
                answers.push(other_end(question, &end, row));
            }
        }
    }
    Ok(answers)
}

/// The same plan with one class that waits.
fn with_waiting_class(plan: &Plan, class: Sym) -> Plan {
    let mut plan = plan.clone();
    let wait = move |cluster: &mut Cluster| {
        if let Some(row) = cluster.class(class).cloned() {
            cluster.set_class(StorageClass { binding_mode: BindingMode::WaitForFirstConsumer, ..row });
        }
    };
    wait(&mut plan.cluster);
    for (_, action) in &mut plan.timeline {
        if let Action::Apply(applier) = action {
            let inner = applier.0.clone();
            *applier = Applier(Arc::new(move |cluster: &mut Cluster, at: SimTime| {
                inner(cluster, at);
                wait(cluster);
            }));
        }
    }
    plan
}

/// How the pod ended in another run.
fn other_end(question: String, end: &RunEnd, row: &PodRow) -> Answer {
    let pod = find(&end.cluster, &row.namespace, &row.name);
    let mut answer =
        Answer { question, runs: Some(false), answer: String::new(), nodes: Vec::new(), node_count: 0 };
    let Some(pod) = pod else {
        answer.answer = "simulated again: no, it is not there at the end of that run".to_owned();
        return answer;
    };
    let state = end.cluster.pod(pod);
    match (state.phase, state.node) {
        (PodPhase::Running | PodPhase::Succeeded, Some(node)) => {
            let node = end.cluster.names.text(end.cluster.node(node).name).to_owned();
            answer.runs = Some(true);
            answer.answer = format!("yes, simulated again: it runs on {node}");
            answer.nodes = vec![node];
            answer.node_count = 1;
        }
        _ => {
            let said = end.message(pod).map_or_else(String::new, |(message, _)| format!(": {message}"));
            answer.answer =
                format!("no, simulated again: it does not run at the end of that run either{said}");
        }
    }
    answer
}

/// How it ended, in one sentence.
pub fn verdict(row: &PodRow, variant: &VariantOutput) -> String {
    let on = if row.node.is_empty() { String::new() } else { format!(" on node {}", row.node) };
    if !row.stuck {
        return match row.status.as_str() {
            "NotCreated" => "it was never created".to_owned(),
            "Deleted" => "it is gone".to_owned(),
            status => format!("it is {status}{on}"),
        };
    }
    match row.stuck_cause.as_str() {
        "unschedulable" if row.stuck_by_binding => {
            "it is stuck by binding: some node would take it if its own claims were not bound already"
                .to_owned()
        }
        "unschedulable" => "it is stuck: no node passes the scheduler's filters".to_owned(),
        "unboundClaim" => "it is stuck: a claim of it is missing, lost, or waits for a volume".to_owned(),
        "bindError" => "it is stuck: a node was chosen, but binding its claims failed".to_owned(),
        "nodeName" => format!(
            "it is stuck{on}: spec.nodeName was set by hand, so the scheduler never saw it, and nobody binds claims that wait \
             for their first consumer"
        ),
        "nodeGone" => format!(
            "it is stuck{on}: the node is unreachable or gone, and nobody confirms that the pod has stopped"
        ),
        "notCreated" => {
            let before: Vec<String> = variant
                .pods
                .iter()
                .filter(|p| p.stuck && p.set == row.set && p.namespace == row.namespace)
                .filter(|p| p.stuck_cause != "notCreated")
                .map(|p| format!("{}/{}", p.namespace, p.name))
                .collect();
            let whom = if before.is_empty() { String::new() } else { format!(": {}", some_of(&before)) };
            format!("it was never created, because an OrderedReady predecessor is stuck{whom}")
        }
        "recovering" => format!("it is stuck{on}: its database is still being restored"),
        _ => {
            "it is stuck: it is held by something that is not modelled (a scheduling gate, another scheduler)"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
