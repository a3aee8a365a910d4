//! One node at the end of a run: what fills it, what is stranded on it, what it would still take.

use super::story::{SeenTemplate, claims_text, request_text};
use crate::engine::rng::TieBreak;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId};
use crate::model::names::sym;
use crate::model::volume::{BindingMode, StorageClass, VolumePhase};
use crate::observe::causes;
use crate::observe::probe::Probe;
use crate::observe::storage::claim_of;
use crate::observe::templates::Templates;
use crate::report::human;
use crate::results::tables::{NodeHeatRow, NodeRow};
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::{Binding, View};
use crate::scheduler::message;
use crate::scheduler::profile::{PreFiltered, Profile};
use serde::Serialize;

/// Fresh pods that are tried on a node, per template.
const MOST_TRIED: u32 = 200;

/// A pod on the node.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodThere {
    /// `namespace/name`.
    pub pod: String,
    /// CPU request.
    pub cpu_milli: i64,
    /// Memory request.
    pub memory_bytes: i64,
    /// Its volumes, in words.
    pub volumes: Vec<String>,
}

/// A volume on the node.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeThere {
    /// Name.
    pub volume: String,
    /// Class.
    pub class: String,
    /// Capacity.
    pub capacity_bytes: u128,
    /// `Available`, `Bound` ...
    pub phase: String,
    /// The claim that holds it.
    pub claim: String,
    /// What that asks for.
    pub request_bytes: Option<u128>,
    /// A pod of that claim runs on this node.
    pub used_here: bool,
}

/// How many more pods of a template fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Takes {
    /// A pod of this template.
    pub like: String,
    /// What it asks for, in words.
    pub asks: String,
    /// Share of the pods of M.
    pub share: f64,
    /// How many more, one after the other, with fresh claims.
    pub more: u32,
    /// There was room for all that were tried.
    pub at_least: bool,
    /// Why not one more.
    pub then: String,
}

/// What there is to say about a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStory {
    /// Name.
    pub node: String,
    /// Variant.
    pub variant: String,
    /// The row of `nodes.csv`.
    pub row: NodeRow,
    /// What it had run out of, a row whenever that changed.
    pub states: Vec<NodeHeatRow>,
    /// Its pods, the largest CPU request first.
    pub pods: Vec<PodThere>,
    /// Its volumes, by name.
    pub volumes: Vec<VolumeThere>,
    /// Free bytes of its volume groups.
    pub groups_free_bytes: Option<u128>,
    /// What it would still take, by template.
    pub takes: Vec<Takes>,
    /// Taints, `key=value:Effect`.
    pub taints: Vec<String>,
}

/// Looks at a node.
pub fn look(
    cluster: &Cluster,
    profile: &Profile,
    at: SimTime,
    node: NodeId,
    templates: &[SeenTemplate],
) -> NodeStory {
    let row = cluster.node(node);
    let name = cluster.names.text(row.name).to_owned();
    let groups: Vec<_> = cluster.volume_groups_on(row.name).to_vec();
    let free = |id| u128::from(cluster.volume_groups()[id].free_bytes());
    let taints = row.taints.iter().map(|t| {
        let value = cluster.names.text(t.value);
        let value = if value.is_empty() { String::new() } else { format!("={value}") };
        format!("{}{value}:{:?}", cluster.names.text(t.key), t.effect)
    });
    NodeStory {
        taints: taints.collect(),
        node: name,
        pods: pods_there(cluster, node),
        volumes: volumes_there(cluster, node),
        groups_free_bytes: (!groups.is_empty()).then(|| groups.into_iter().map(free).sum()),
        takes: takes(cluster, profile, at, node, templates),
        ..NodeStory::default()
    }
}

fn pods_there(cluster: &Cluster, node: NodeId) -> Vec<PodThere> {
    let mut pods: Vec<PodThere> = cluster
        .node(node)
        .info
        .pods
        .iter()
        .map(|pod| {
            let requests = &cluster.spec_of(*pod).requests;
            let claims = causes::claims_of(cluster, *pod).flatten();
            PodThere {
                pod: cluster.pod_key(*pod),
                cpu_milli: requests.cpu_milli,
                memory_bytes: requests.memory_bytes,
                volumes: claims.map(|claim| super::story::bound_text(cluster, claim)).collect(),
            }
        })
        .collect();
    pods.sort_by(|a, b| (b.cpu_milli, &a.pod).cmp(&(a.cpu_milli, &b.pod)));
    pods
}

fn volumes_there(cluster: &Cluster, node: NodeId) -> Vec<VolumeThere> {
    let host = cluster.node_labels(node).get(sym::HOSTNAME).unwrap_or(cluster.node(node).name);
    let mut volumes: Vec<VolumeThere> = cluster
        .pinned_volumes(host)
        .iter()
        .map(|id| {
            let row = cluster.volume(*id);
            let claim = claim_of(cluster, row);
            let request = claim.map(|c| cluster.claim_spec_of(c).request.ceil().max(0) as u128);
            let here = |pod: &PodId| cluster.pod(*pod).placed() == Some(node);
            let used = claim.is_some_and(|c| {
                let c = cluster.claim(c);
                cluster.claim_users(c.namespace, c.name).iter().any(here)
            });
            VolumeThere {
                volume: cluster.names.text(row.name).to_owned(),
                class: cluster.names.text(row.class).to_owned(),
                capacity_bytes: row.capacity.ceil().max(0) as u128,
                phase: format!("{:?}", row.phase),
                claim: match (claim, row.phase) {
                    (Some(claim), VolumePhase::Bound | VolumePhase::Available) => cluster.claim_key(claim),
                    _ => String::new(),
                },
                request_bytes: request,
                used_here: used,
            }
        })
        .collect();
    volumes.sort_by(|a, b| a.volume.cmp(&b.volume));
    volumes
}

/// How many more pods of each template of M would fit, with fresh claims that wait for them.
fn takes(
    cluster: &Cluster,
    profile: &Profile,
    at: SimTime,
    node: NodeId,
    seen: &[SeenTemplate],
) -> Vec<Takes> {
    let mut base = cluster.clone();
    let classes: Vec<StorageClass> = base.classes().cloned().collect();
    for class in classes {
        base.set_class(StorageClass { binding_mode: BindingMode::WaitForFirstConsumer, ..class });
    }
    let mut templates = Templates::default();
    let mut examples: Vec<&SeenTemplate> = Vec::new();
    for template in seen {
        let before = templates.len();
        for _ in 0..template.count {
            templates.add(&mut base, template.spec, template.claims.clone());
        }
        if templates.len() > before {
            examples.push(template);
        }
    }
    let top = templates.top().to_vec();
    let all: u64 = top.iter().map(|t| templates.get(*t).count).sum();
    let mut found: Vec<Takes> = top
        .iter()
        .map(|index| {
            let template = templates.get(*index);
            let example = examples.get(*index);
            let (more, then) = fill(&base, profile, at, node, template.spec, &template.claims);
            Takes {
                like: example.map(|e| e.example.clone()).unwrap_or_default(),
                asks: format!(
                    "{}, {}",
                    request_text(&base, template.spec),
                    claims_text(&base, &template.claims)
                ),
                share: template.count as f64 / all.max(1) as f64,
                more,
                at_least: more >= MOST_TRIED,
                then,
            }
        })
        .collect();
    found.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.like.cmp(&b.like)));
    found
}

/// Puts fresh pods on the node until one is turned down: how many went, and why no more.
fn fill(
    base: &Cluster,
    profile: &Profile,
    at: SimTime,
    node: NodeId,
    spec: crate::model::ids::SpecId,
    claims: &[crate::model::ids::ClaimSpecId],
) -> (u32, String) {
    let mut cluster = base.clone();
    for tried in 0..MOST_TRIED {
        let name = cluster.names.name(&format!("stowplan.fresh.n{tried}"));
        let Some(probe) = Probe::insert_numbered(&mut cluster, name, spec, claims, u64::from(tried)) else {
            return (tried, String::new());
        };
        let mut state = CycleState::default();
        let view = View { cluster: &cluster, now: at, ties: &TieBreak::First, attempt: 0 };
        let said = match profile.pre_filter(view, probe.pod, &mut state) {
            PreFiltered::Error(said) => Some(said),
            PreFiltered::Rejected(r, _) => Some(message::status_text(&r.reasons, &cluster.names)),
            PreFiltered::Nodes(names, _) if !names.contains(&cluster.node(node).name) => {
                Some("node is not among those that the pod allows".to_owned())
            }
            _ => profile
                .filter(view, probe.pod, &mut state, view.node(node))
                .err()
                .map(|r| message::status_text(&r.reasons, &cluster.names)),
        };
        if let Some(said) = said {
            return (tried, said);
        }
        cluster.assume_pod(probe.pod, node);
        let uid = cluster.pod(probe.pod).uid;
        let mut binding = Binding { pod: probe.pod, uid, node, volumes: None };
        if let Err(r) = profile.reserve(&mut cluster, &state, &mut binding) {
            return (tried, message::status_text(&r.reasons, &cluster.names));
        }
    }
    (MOST_TRIED, format!("no more than {} were tried", human::count(u64::from(MOST_TRIED))))
}
