//! The rows of `pods.csv`, `claims.csv`, `nodes.csv` and `volumes.csv`.

use super::{Ending, Verdicts};
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, ClaimSpecId, Id, NodeId, PodId, SpecId, Uid};
use crate::model::names::{Name, Sym, sym};
use crate::model::pod::PodPhase;
use crate::model::spec::{OwnerKind, PodVolume};
use crate::model::volume::{BindingMode, ClaimPhase, VolumePhase};
use crate::observe::metrics::Metrics;
use crate::observe::metrics::rows::{GoneClaim, GonePod};
use crate::observe::replicas::{Absent, OwnerKey, Status, Track};
use crate::observe::storage::{self, Kind};
use crate::results::summary::StuckCause;
use crate::results::tables::{ClaimRow, NodeRow, PodRow, Text, VolumeRow};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

/// A row of a table that is still to be made: what rows are sorted by is known before.
#[derive(Clone, Copy)]
enum Source<L, G> {
    Living(L),
    Gone(G),
}

/// `pods.csv`.
pub fn pods(m: &Metrics, cluster: &Cluster, verdicts: &Verdicts, ending: &Ending<'_>) -> Vec<PodRow> {
    let names = &cluster.names;
    let namespace = |spec: SpecId| names.text(cluster.spec(spec).namespace);
    let living = m.replicas.tracks().map(|(id, t)| (t.spec, t.name, Source::Living((id, t))));
    let gone = m.gone.pods.iter().map(|gone| (gone.spec, gone.name, Source::Gone(gone)));
    let mut order: Vec<(SpecId, Name, Source<(PodId, &Track), &GonePod>)> = living.chain(gone).collect();
    order.sort_by(|a, b| namespace(a.0).cmp(namespace(b.0)).then_with(|| names.compare_names(a.1, b.1)));
    let texts = &mut Texts::default();
    let row = |(_, _, source)| match source {
        Source::Living((id, track)) => living_pod(cluster, texts, id, track, verdicts, ending),
        Source::Gone(gone) => gone_pod(cluster, texts, gone),
    };
    let mut rows: Vec<PodRow> = order.into_iter().map(row).collect();
    let existing = rows.len();
    let sets = cluster.stateful_sets().ids().map(OwnerKey::StatefulSet);
    let replica_sets = cluster.replica_sets().ids().map(OwnerKey::ReplicaSet);
    let jobs = cluster.jobs().ids().map(OwnerKey::Job);
    for key in sets.chain(replica_sets).chain(jobs) {
        for absent in m.replicas.owner(key).into_iter().flat_map(|o| &o.absent) {
            let room = m.settings.gone_rows.saturating_sub(rows.len());
            rows.extend(absent_pods(cluster, key, absent).take(room));
        }
    }
    if rows.len() > existing {
        rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    }
    rows
}

/// Texts that many rows share.
#[derive(Default)]
struct Texts {
    /// The last messages met: stuck pods of one template mostly say the same.
    messages: FxHashMap<u64, Vec<Arc<str>>>,
    empty: Option<Arc<str>>,
}

impl Texts {
    fn share(&mut self, text: String) -> Arc<str> {
        if text.is_empty() {
            return Arc::clone(self.empty.get_or_insert_with(|| Arc::from("")));
        }
        let known = self.messages.entry(FxBuildHasher.hash_one(&text)).or_default();
        if let Some(same) = known.iter().find(|k| ***k == *text) {
            return Arc::clone(same);
        }
        known.push(Arc::from(text));
        known.last().map_or_else(|| Arc::from(""), Arc::clone)
    }
}

fn phase_text(phase: PodPhase) -> Text {
    Text::const_new(match phase {
        PodPhase::Pending => "Pending",
        PodPhase::Running => "Running",
        PodPhase::Succeeded => "Succeeded",
        PodPhase::Failed => "Failed",
        PodPhase::Unknown => "Unknown",
    })
}

fn living_pod(
    cluster: &Cluster,
    texts: &mut Texts,
    id: PodId,
    track: &Track,
    verdicts: &Verdicts,
    ending: &Ending<'_>,
) -> PodRow {
    let pod = cluster.pod(id);
    let until = track.scheduled.unwrap_or(ending.end);
    let stuck = track.wanted && track.clock.stuck;
    PodRow {
        node: pod.node.map(|n| node_name(cluster, n)).unwrap_or_default(),
        phase: phase_text(pod.phase),
        status: match track.status {
            Status::Terminating => Text::const_new("Terminating"),
            _ => phase_text(pod.phase),
        },
        stuck,
        stuck_cause: track.cause.filter(|_| stuck).map(|c| Text::from(c.name())).unwrap_or_default(),
        stuck_by_binding: verdicts.by_binding.contains(&id),
        created_seconds: Some(pod.created.as_secs_f64()),
        scheduled_seconds: seconds(track.scheduled),
        running_seconds: seconds(track.first_run),
        pending_seconds: (!track.assigned_before).then(|| until.since(pod.created).as_secs_f64()),
        attempts: track.attempts,
        last_message: texts.share((ending.message)(cluster, id).unwrap_or_default()),
        ..pod_row(cluster, texts, track.name, track.spec, track.owner)
    }
}

fn gone_pod(cluster: &Cluster, texts: &mut Texts, gone: &GonePod) -> PodRow {
    let until = gone.scheduled.unwrap_or(gone.gone);
    PodRow {
        node: gone.node.map(|n| node_name(cluster, n)).unwrap_or_default(),
        status: Text::const_new("Deleted"),
        created_seconds: Some(gone.created.as_secs_f64()),
        scheduled_seconds: seconds(gone.scheduled),
        running_seconds: seconds(gone.first_run),
        deleted_seconds: Some(gone.gone.as_secs_f64()),
        pending_seconds: (!gone.assigned_before).then(|| until.since(gone.created).as_secs_f64()),
        attempts: gone.attempts,
        ..pod_row(cluster, texts, gone.name, gone.spec, gone.owner)
    }
}

/// What a pod's spec and owner say.
fn pod_row(
    cluster: &Cluster,
    texts: &mut Texts,
    name: Name,
    spec: SpecId,
    owner: Option<OwnerKey>,
) -> PodRow {
    let row = cluster.spec(spec);
    let (owner, set) = match owner {
        Some(key) => owner_text(cluster, key),
        None => (Text::const_new(kind_text(row.owner)), Text::default()),
    };
    PodRow {
        namespace: cluster.names.text(row.namespace).into(),
        name: shown(cluster, name),
        owner,
        set,
        template: Some(spec.row()),
        cpu_milli: row.requests.cpu_milli,
        memory_bytes: row.requests.memory_bytes,
        claims: claims_text(cluster, name, &row.volumes),
        last_message: texts.share(String::new()),
        ..PodRow::default()
    }
}

fn claims_text(cluster: &Cluster, pod: Name, volumes: &[PodVolume]) -> Text {
    let names = &cluster.names;
    let mut text = String::new();
    for volume in volumes {
        if !text.is_empty() && !matches!(volume, PodVolume::Exclusive { .. }) {
            text.push(' ');
        }
        match volume {
            PodVolume::Claim { name, .. } => names.push_name(*name, &mut text),
            PodVolume::ClaimTemplate { prefix } => {
                text.push_str(names.text(*prefix));
                text.push('-');
                names.push_name(pod, &mut text);
            }
            PodVolume::Ephemeral { suffix, .. } => {
                names.push_name(pod, &mut text);
                text.push('-');
                text.push_str(names.text(*suffix));
            }
            PodVolume::Exclusive { .. } => {}
        }
    }
    text.into()
}

fn shown(cluster: &Cluster, name: Name) -> Text {
    let mut text = String::new();
    cluster.names.push_name(name, &mut text);
    text.into()
}

/// Rows of wanted replicas without a pod; those of owners without ordinals have no names yet.
fn absent_pods(cluster: &Cluster, key: OwnerKey, absent: &Absent) -> impl Iterator<Item = PodRow> {
    let (owner, set) = owner_text(cluster, key);
    let (namespace, spec) = match key {
        OwnerKey::StatefulSet(id) => {
            (cluster.stateful_sets()[id].namespace, cluster.stateful_sets()[id].spec)
        }
        OwnerKey::ReplicaSet(id) => (cluster.replica_sets()[id].namespace, cluster.replica_sets()[id].spec),
        OwnerKey::Job(id) => (cluster.jobs()[id].namespace, cluster.jobs()[id].spec),
    };
    let requests = &cluster.spec(spec).requests;
    let row = PodRow {
        namespace: cluster.names.text(namespace).into(),
        owner,
        template: Some(spec.row()),
        status: "NotCreated".into(),
        stuck: absent.clock.stuck,
        stuck_cause: if absent.clock.stuck { StuckCause::NotCreated.name().into() } else { Text::default() },
        cpu_milli: requests.cpu_milli,
        memory_bytes: requests.memory_bytes,
        ..PodRow::default()
    };
    let first = u64::from(absent.first);
    (first..first + u64::from(absent.count)).map(move |ordinal| {
        let name = if key.has_ordinals() { format!("{set}-{ordinal}") } else { format!("{set}-?") };
        PodRow { name: name.into(), set: set.clone(), ..row.clone() }
    })
}

fn owner_text(cluster: &Cluster, key: OwnerKey) -> (Text, Text) {
    let (kind, name) = match key {
        OwnerKey::StatefulSet(id) => ("StatefulSet", cluster.stateful_sets()[id].name),
        OwnerKey::ReplicaSet(id) => {
            let set = &cluster.replica_sets()[id];
            (set.kind.name(), set.name)
        }
        OwnerKey::Job(id) => ("Job", cluster.jobs()[id].name),
    };
    (Text::const_new(kind), shown(cluster, name))
}

fn kind_text(kind: OwnerKind) -> &'static str {
    match kind {
        OwnerKind::None => "",
        OwnerKind::StatefulSet => "StatefulSet",
        OwnerKind::ReplicaSet => "ReplicaSet",
        OwnerKind::Job => "Job",
        OwnerKind::DaemonSet => "DaemonSet",
        OwnerKind::Mirror => "Node",
        OwnerKind::Other => "Other",
    }
}

/// `claims.csv`.
pub fn claims(m: &Metrics, cluster: &Cluster) -> Vec<ClaimRow> {
    let names = &cluster.names;
    let living = cluster.claims().iter().map(|(id, claim)| (claim.namespace, claim.name, Source::Living(id)));
    let gone = m.gone.claims.iter().map(|gone| (gone.namespace, gone.name, Source::Gone(gone)));
    let mut order: Vec<(Sym, Name, Source<ClaimId, &GoneClaim>)> = living.chain(gone).collect();
    order.sort_by(|a, b| names.compare(a.0, b.0).then_with(|| names.compare_names(a.1, b.1)));
    let row = |(_, _, source)| match source {
        Source::Living(id) => living_claim(m, cluster, id),
        Source::Gone(gone) => gone_claim(m, cluster, gone),
    };
    order.into_iter().map(row).collect()
}

fn living_claim(m: &Metrics, cluster: &Cluster, id: ClaimId) -> ClaimRow {
    let claim = cluster.claim(id);
    let volume = claim.volume_name.and_then(|name| cluster.volume_by_name(name));
    let bound = volume.filter(|_| claim.phase == ClaimPhase::Bound);
    let share = bound.and_then(|v| m.storage.share(v)).filter(|s| s.kind == Kind::Bound);
    let track = m.claims.get(id.index()).and_then(Option::as_ref);
    let user = cluster.claim_users(claim.namespace, claim.name).first();
    ClaimRow {
        phase: Text::const_new(claim.phase.name()),
        volume: claim.volume_name.map(|v| cluster.names.text(v).into()).unwrap_or_default(),
        volume_bytes: share.map(|s| s.capacity),
        over_size_bytes: share.map(|s| s.capacity - s.requested),
        node: share.and_then(|s| s.node).map(|n| node_name(cluster, n)).unwrap_or_default(),
        pod: user.map(|p| shown(cluster, cluster.pod(*p).name)).unwrap_or_default(),
        held_by_stuck: share.is_some_and(|s| s.held_by_stuck),
        orphaned: share.is_some_and(|s| s.orphaned),
        created_seconds: Some(claim.created.as_secs_f64()),
        bound_seconds: seconds(track.and_then(|t| t.bound)),
        ..claim_row(cluster, claim.namespace, claim.name, claim.spec)
    }
}

fn gone_claim(m: &Metrics, cluster: &Cluster, gone: &GoneClaim) -> ClaimRow {
    let node = gone.volume.and_then(|v| m.storage.history(v)?.last.as_ref()).and_then(|l| l.node);
    ClaimRow {
        phase: Text::const_new("Deleted"),
        volume: gone.volume.map(|v| cluster.names.text(v).into()).unwrap_or_default(),
        node: node.map(|n| node_name(cluster, n)).unwrap_or_default(),
        created_seconds: Some(gone.track.created.as_secs_f64()),
        bound_seconds: seconds(gone.track.bound),
        deleted_seconds: Some(gone.gone.as_secs_f64()),
        ..claim_row(cluster, gone.namespace, gone.name, gone.track.spec)
    }
}

fn claim_row(cluster: &Cluster, namespace: Sym, name: Name, spec: ClaimSpecId) -> ClaimRow {
    let spec = cluster.claim_spec(spec);
    let class = spec.class_or_empty();
    let mode = cluster.class(class).map(|c| match c.binding_mode {
        BindingMode::Immediate => "Immediate",
        BindingMode::WaitForFirstConsumer => "WaitForFirstConsumer",
    });
    ClaimRow {
        namespace: cluster.names.text(namespace).into(),
        name: shown(cluster, name),
        class: cluster.names.text(class).into(),
        binding_mode: mode.map(Text::const_new).unwrap_or_default(),
        request_bytes: u128::try_from(spec.request.ceil()).unwrap_or(0),
        ..ClaimRow::default()
    }
}

/// `nodes.csv`.
pub fn nodes(m: &Metrics, cluster: &Cluster) -> Vec<NodeRow> {
    // A name that only a pod's nodeName mentions never was a node.
    let known =
        |id: &NodeId| m.node_shares.get(id.index()).is_some_and(|s| s.is_some()) || existed(cluster, *id);
    let ids: Vec<NodeId> = cluster.nodes().ids().filter(known).collect();
    let mut rows: Vec<NodeRow> = ids.iter().map(|id| node_row(m, cluster, *id)).collect();
    for (volume, row) in cluster.volumes().iter() {
        let Some(share) = m.storage.share(volume) else { continue };
        let place = share.node.and_then(|node| ids.binary_search(&node).ok());
        let Some(found) = place.map(|place| &mut rows[place]) else { continue };
        found.volumes += 1;
        found.volumes_bytes += share.capacity;
        if share.kind == Kind::Bound {
            found.volumes_bound += 1;
            found.volumes_bound_bytes += share.capacity;
        } else if row.phase == VolumePhase::Available {
            found.volumes_free += 1;
            found.volumes_free_bytes += share.capacity;
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

fn existed(cluster: &Cluster, node: NodeId) -> bool {
    let row = cluster.node(node);
    row.exists || row.uid != Uid::NOTHING
}

fn node_row(m: &Metrics, cluster: &Cluster, id: NodeId) -> NodeRow {
    let node = cluster.node(id);
    let label =
        |key| cluster.node_labels(id).get(key).map(|v| cluster.names.text(v).into()).unwrap_or_default();
    let stranded = m.stranding.on_node(id);
    let exhausted = m.samples.exhausted.get(id.index()).copied().flatten();
    NodeRow {
        name: node_name(cluster, id),
        zone: label(sym::ZONE),
        rack: label(sym::RACK),
        exists: node.exists,
        ready: node.ready,
        schedulable: !node.unschedulable,
        cpu_allocatable_milli: node.allocatable.cpu_milli,
        cpu_requested_milli: node.info.requested.cpu_milli,
        cpu_stranded_milli: stranded.cpu_milli,
        memory_allocatable_bytes: node.allocatable.memory_bytes,
        memory_requested_bytes: node.info.requested.memory_bytes,
        memory_stranded_bytes: stranded.memory_bytes,
        pods: node.info.pods.len() as u64,
        pods_allocatable: u64::try_from(node.allocatable_pods).unwrap_or(0),
        disk_stranded_bytes: stranded.disk_bytes,
        first_exhausted: exhausted.map(|(state, _)| Text::from(state.name())).unwrap_or_default(),
        first_exhausted_seconds: exhausted.map(|(_, at)| at.as_secs_f64()),
        ..NodeRow::default()
    }
}

/// `volumes.csv`.
pub fn volumes(m: &Metrics, cluster: &Cluster) -> Vec<VolumeRow> {
    m.storage
        .histories(cluster)
        .into_iter()
        .map(|(name, history)| {
            let mut row = VolumeRow {
                name: cluster.names.text(name).into(),
                phase: "Deleted".into(),
                bindings: history.bindings,
                bound_seconds: seconds(history.bound_at),
                ..VolumeRow::default()
            };
            if let Some(last) = &history.last {
                row.node = last.node.map(|n| node_name(cluster, n)).unwrap_or_default();
                row.class = cluster.names.text(last.shape.class).into();
                row.capacity_bytes = last.capacity();
                row.reclaim_policy = Text::const_new(last.shape.reclaim.name());
            }
            if let Some(id) = cluster.volume_by_name(name) {
                let volume = cluster.volume(id);
                let wiping = volume.deletion.is_some() && volume.phase != VolumePhase::Bound;
                row.phase = Text::const_new(if wiping { "Wiping" } else { volume.phase.name() });
                if let Some(share) = m.storage.share(id) {
                    row.held_by_stuck = share.held_by_stuck;
                    row.orphaned = share.orphaned;
                    row.unusable = share.unusable;
                    if share.kind == Kind::Bound {
                        row.request_bytes = Some(share.requested);
                        row.over_size_bytes = Some(share.capacity - share.requested);
                    }
                }
                let claim = storage::claim_of(cluster, volume);
                row.claim = claim.map(|c| cluster.claim_key(c).into()).unwrap_or_default();
            }
            row
        })
        .collect()
}

fn node_name(cluster: &Cluster, node: NodeId) -> Text {
    cluster.names.text(cluster.node(node).name).into()
}

fn seconds(at: Option<SimTime>) -> Option<f64> {
    at.map(SimTime::as_secs_f64)
}
