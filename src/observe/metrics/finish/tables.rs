//! The rows of `pods.csv`, `claims.csv`, `nodes.csv` and `volumes.csv`.

use super::{Ending, Verdicts};
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, ClaimSpecId, Id, NodeId, PodId, SpecId};
use crate::model::names::{Name, Sym, sym};
use crate::model::spec::{OwnerKind, PodVolume};
use crate::model::volume::{BindingMode, ClaimPhase, VolumePhase};
use crate::model::workload::ReplicaSetKind;
use crate::observe::metrics::Metrics;
use crate::observe::metrics::rows::{GoneClaim, GonePod};
use crate::observe::replicas::{Absent, OwnerKey, Status, Track};
use crate::observe::storage::{self, Kind};
use crate::results::summary::StuckCause;
use crate::results::tables::{ClaimRow, NodeRow, PodRow, VolumeRow};

/// `pods.csv`.
pub fn pods(m: &Metrics, cluster: &Cluster, verdicts: &Verdicts, ending: &Ending<'_>) -> Vec<PodRow> {
    let mut rows: Vec<PodRow> =
        m.replicas.tracks().map(|(id, track)| living_pod(cluster, id, track, verdicts, ending)).collect();
    rows.extend(m.gone.pods.iter().map(|gone| gone_pod(cluster, gone)));
    let sets = cluster.stateful_sets().ids().map(OwnerKey::StatefulSet);
    let replica_sets = cluster.replica_sets().ids().map(OwnerKey::ReplicaSet);
    let jobs = cluster.jobs().ids().map(OwnerKey::Job);
    for key in sets.chain(replica_sets).chain(jobs) {
        for absent in m.replicas.owner(key).into_iter().flat_map(|o| &o.absent) {
            let room = m.settings.gone_rows.saturating_sub(rows.len());
            rows.extend(absent_pods(cluster, key, absent).take(room));
        }
    }
    rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    rows
}

fn living_pod(
    cluster: &Cluster,
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
        phase: format!("{:?}", pod.phase),
        status: match track.status {
            Status::Terminating => "Terminating".into(),
            _ => format!("{:?}", pod.phase),
        },
        stuck,
        stuck_cause: track.cause.filter(|_| stuck).map(|c| c.name().to_owned()).unwrap_or_default(),
        stuck_by_binding: verdicts.by_binding.contains(&id),
        created_seconds: Some(pod.created.as_secs_f64()),
        scheduled_seconds: seconds(track.scheduled),
        running_seconds: seconds(track.first_run),
        pending_seconds: (!track.assigned_before).then(|| until.since(pod.created).as_secs_f64()),
        attempts: track.attempts,
        last_message: (ending.message)(cluster, id).unwrap_or_default(),
        ..pod_row(cluster, track.name, track.spec, track.owner)
    }
}

fn gone_pod(cluster: &Cluster, gone: &GonePod) -> PodRow {
    let until = gone.scheduled.unwrap_or(gone.gone);
    PodRow {
        node: gone.node.map(|n| node_name(cluster, n)).unwrap_or_default(),
        status: "Deleted".into(),
        created_seconds: Some(gone.created.as_secs_f64()),
        scheduled_seconds: seconds(gone.scheduled),
        running_seconds: seconds(gone.first_run),
        deleted_seconds: Some(gone.gone.as_secs_f64()),
        pending_seconds: (!gone.assigned_before).then(|| until.since(gone.created).as_secs_f64()),
        attempts: gone.attempts,
        ..pod_row(cluster, gone.name, gone.spec, gone.owner)
    }
}

/// What a pod's spec and owner say.
fn pod_row(cluster: &Cluster, name: Name, spec: SpecId, owner: Option<OwnerKey>) -> PodRow {
    let row = cluster.spec(spec);
    let (kind, set) = match owner {
        Some(key) => owner_text(cluster, key),
        None => (kind_text(row.owner).to_owned(), String::new()),
    };
    let names = &cluster.names;
    let claims = row.volumes.iter().filter_map(|volume| match volume {
        PodVolume::Claim { name, .. } => Some(names.show(*name).to_string()),
        PodVolume::ClaimTemplate { prefix } => Some(format!("{}-{}", names.text(*prefix), names.show(name))),
        PodVolume::Ephemeral { suffix, .. } => Some(format!("{}-{}", names.show(name), names.text(*suffix))),
        PodVolume::Exclusive { .. } => None,
    });
    PodRow {
        namespace: names.text(row.namespace).to_owned(),
        name: names.show(name).to_string(),
        owner: kind,
        set,
        template: Some(spec.0),
        cpu_milli: row.requests.cpu_milli,
        memory_bytes: row.requests.memory_bytes,
        claims: claims.collect::<Vec<_>>().join(" "),
        ..PodRow::default()
    }
}

/// Rows of wanted replicas without a pod; those of owners without ordinals have no names yet.
fn absent_pods(cluster: &Cluster, key: OwnerKey, absent: &Absent) -> impl Iterator<Item = PodRow> {
    let (kind, set) = owner_text(cluster, key);
    let (namespace, spec) = match key {
        OwnerKey::StatefulSet(id) => {
            (cluster.stateful_sets()[id].namespace, cluster.stateful_sets()[id].spec)
        }
        OwnerKey::ReplicaSet(id) => (cluster.replica_sets()[id].namespace, cluster.replica_sets()[id].spec),
        OwnerKey::Job(id) => (cluster.jobs()[id].namespace, cluster.jobs()[id].spec),
    };
    let requests = &cluster.spec(spec).requests;
    let row = PodRow {
        namespace: cluster.names.text(namespace).to_owned(),
        owner: kind,
        template: Some(spec.0),
        status: "NotCreated".into(),
        stuck: absent.clock.stuck,
        stuck_cause: if absent.clock.stuck { StuckCause::NotCreated.name().into() } else { String::new() },
        cpu_milli: requests.cpu_milli,
        memory_bytes: requests.memory_bytes,
        ..PodRow::default()
    };
    let first = u64::from(absent.first);
    (first..first + u64::from(absent.count)).map(move |ordinal| {
        let name = if key.has_ordinals() { format!("{set}-{ordinal}") } else { format!("{set}-?") };
        PodRow { name, set: set.clone(), ..row.clone() }
    })
}

fn owner_text(cluster: &Cluster, key: OwnerKey) -> (String, String) {
    let (kind, name) = match key {
        OwnerKey::StatefulSet(id) => ("StatefulSet", cluster.stateful_sets()[id].name),
        OwnerKey::ReplicaSet(id) => {
            let set = &cluster.replica_sets()[id];
            let kind = match set.kind {
                ReplicaSetKind::ReplicaSet => "ReplicaSet",
                ReplicaSetKind::Deployment => "Deployment",
                ReplicaSetKind::ReplicationController => "ReplicationController",
            };
            (kind, set.name)
        }
        OwnerKey::Job(id) => ("Job", cluster.jobs()[id].name),
    };
    (kind.to_owned(), cluster.names.show(name).to_string())
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
    let mut rows: Vec<ClaimRow> = cluster.claims().ids().map(|id| living_claim(m, cluster, id)).collect();
    rows.extend(m.gone.claims.iter().map(|gone| gone_claim(m, cluster, gone)));
    rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    rows
}

fn living_claim(m: &Metrics, cluster: &Cluster, id: ClaimId) -> ClaimRow {
    let claim = cluster.claim(id);
    let volume = claim.volume_name.and_then(|name| cluster.volume_by_name(name));
    let bound = volume.filter(|_| claim.phase == ClaimPhase::Bound);
    let share = bound.and_then(|v| m.storage.share(v)).filter(|s| s.kind == Kind::Bound);
    let track = m.claims.get(id.index()).and_then(Option::as_ref);
    let user = cluster.claim_users(claim.namespace, claim.name).first();
    ClaimRow {
        phase: format!("{:?}", claim.phase),
        volume: claim.volume_name.map(|v| cluster.names.text(v).to_owned()).unwrap_or_default(),
        volume_bytes: share.map(|s| s.capacity),
        over_size_bytes: share.map(|s| s.capacity - s.requested),
        node: share.and_then(|s| s.node).map(|n| node_name(cluster, n)).unwrap_or_default(),
        pod: user.map(|p| cluster.names.show(cluster.pod(*p).name).to_string()).unwrap_or_default(),
        held_by_stuck: share.is_some_and(|s| s.held_by_stuck),
        orphaned: share.is_some_and(|s| s.orphaned),
        created_seconds: Some(claim.created.as_secs_f64()),
        bound_seconds: seconds(track.and_then(|t| t.bound)),
        ..claim_row(cluster, claim.namespace, claim.name, claim.spec)
    }
}

fn gone_claim(m: &Metrics, cluster: &Cluster, gone: &GoneClaim) -> ClaimRow {
    let node = gone.volume.and_then(|v| m.storage.history(v).last).and_then(|l| l.node);
    ClaimRow {
        phase: "Deleted".into(),
        volume: gone.volume.map(|v| cluster.names.text(v).to_owned()).unwrap_or_default(),
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
        namespace: cluster.names.text(namespace).to_owned(),
        name: cluster.names.show(name).to_string(),
        class: cluster.names.text(class).to_owned(),
        binding_mode: mode.unwrap_or_default().to_owned(),
        request_bytes: u128::try_from(spec.request.ceil()).unwrap_or(0),
        ..ClaimRow::default()
    }
}

/// `nodes.csv`.
pub fn nodes(m: &Metrics, cluster: &Cluster) -> Vec<NodeRow> {
    let mut rows: Vec<NodeRow> = cluster
        .nodes()
        .ids()
        // A name that only a pod's nodeName mentions never was a node.
        .filter(|id| m.node_shares.get(id.index()).is_some_and(|s| s.is_some()) || existed(cluster, *id))
        .map(|id| node_row(m, cluster, id))
        .collect();
    for (volume, row) in cluster.volumes().iter() {
        let Some(share) = m.storage.share(volume) else { continue };
        let Some(node) = share.node.map(|n| cluster.names.text(cluster.node(n).name)) else { continue };
        let Some(found) = rows.iter_mut().find(|r| r.name == node) else { continue };
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
    row.exists || row.uid.0 != 0
}

fn node_row(m: &Metrics, cluster: &Cluster, id: NodeId) -> NodeRow {
    let node = cluster.node(id);
    let label =
        |key| cluster.node_labels(id).get(key).map(|v| cluster.names.text(v).to_owned()).unwrap_or_default();
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
        first_exhausted: exhausted.map(|(state, _)| state.name().to_owned()).unwrap_or_default(),
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
                name: cluster.names.text(name).to_owned(),
                phase: "Deleted".into(),
                bindings: history.bindings,
                bound_seconds: seconds(history.bound_at),
                ..VolumeRow::default()
            };
            if let Some(last) = history.last {
                row.node = last.node.map(|n| node_name(cluster, n)).unwrap_or_default();
                row.class = cluster.names.text(last.class).to_owned();
                row.capacity_bytes = last.capacity;
                row.reclaim_policy = last.reclaim.name().to_owned();
            }
            if let Some(id) = cluster.volume_by_name(name) {
                let volume = cluster.volume(id);
                let wiping = volume.deletion.is_some() && volume.phase != VolumePhase::Bound;
                row.phase = if wiping { "Wiping".into() } else { format!("{:?}", volume.phase) };
                if let Some(share) = m.storage.share(id) {
                    row.held_by_stuck = share.held_by_stuck;
                    row.orphaned = share.orphaned;
                    row.unusable = share.unusable;
                    if share.kind == Kind::Bound {
                        row.request_bytes = Some(share.requested);
                        row.over_size_bytes = Some(share.capacity - share.requested);
                    }
                }
                row.claim =
                    storage::claim_of(cluster, volume).map(|c| cluster.claim_key(c)).unwrap_or_default();
            }
            row
        })
        .collect()
}

fn node_name(cluster: &Cluster, node: NodeId) -> String {
    cluster.names.text(cluster.node(node).name).to_owned()
}

fn seconds(at: Option<SimTime>) -> Option<f64> {
    at.map(SimTime::as_secs_f64)
}
