//! What became of the database groups: `summary.recovery` and `groups.csv`.

use super::Ending;
use crate::model::cluster::Cluster;
use crate::model::ids::{PodId, StatefulSetId};
use crate::model::pod::PodPhase;
use crate::observe::causes;
use crate::observe::metrics::Metrics;
use crate::observe::metrics::groups::{Group, ready_members};
use crate::observe::replicas::OwnerKey;
use crate::results::summary::RecoverySummary;
use crate::results::tables::GroupRow;
use std::collections::BTreeMap;

/// Totals over all groups.
pub fn summary(m: &Metrics, cluster: &Cluster, ending: &Ending<'_>) -> RecoverySummary {
    let (degraded_seconds, quorum_lost_seconds, data_at_risk_seconds) = m.groups.seconds();
    let sum = |of: fn(&Group) -> u128| m.groups.iter().map(|(_, group)| of(group)).sum::<u128>();
    let mut never_recovered_by: BTreeMap<String, u64> = BTreeMap::new();
    for (set, _) in m.groups.iter().filter(|(_, group)| group.is_degraded()) {
        let (reason, _) = lacks(m, cluster, ending, set);
        *never_recovered_by.entry(reason.to_owned()).or_insert(0) += 1;
    }
    RecoverySummary {
        groups: m.groups.ever,
        degraded_seconds,
        quorum_lost_seconds,
        data_at_risk_seconds,
        lost_write_seconds: m.groups.iter().map(|(_, g)| g.lost_writes.as_secs_f64()).sum(),
        rebuilds: sum(|g| g.rebuilds.into()) as u64,
        rebuilt_bytes: sum(|g| g.rebuilt_bytes),
        catch_up_bytes: sum(|g| g.caught_up_bytes),
        never_recovered: m.groups.degraded,
        never_recovered_by,
    }
}

/// `groups.csv`.
pub fn rows(m: &Metrics, cluster: &Cluster, ending: &Ending<'_>) -> Vec<GroupRow> {
    let mut rows: Vec<GroupRow> =
        m.groups.iter().map(|(set, group)| row(m, cluster, ending, set, group)).collect();
    rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    rows
}

fn row(m: &Metrics, cluster: &Cluster, ending: &Ending<'_>, set: StatefulSetId, group: &Group) -> GroupRow {
    let object = &cluster.stateful_sets()[set];
    let (degraded_seconds, quorum_lost_seconds, data_at_risk_seconds) = group.seconds();
    let (reason, message) = if group.is_degraded() {
        let (reason, message) = lacks(m, cluster, ending, set);
        (reason.to_owned(), message)
    } else {
        Default::default()
    };
    GroupRow {
        namespace: cluster.names.text(object.namespace).into(),
        name: cluster.names.show(object.name).to_string().into(),
        exists: group.exists(),
        replicas: object.replicas,
        ready: ready_members(cluster, &m.replicas, set).count() as u32,
        degraded_seconds,
        quorum_lost_seconds,
        data_at_risk_seconds,
        lost_write_seconds: group.lost_writes.as_secs_f64(),
        rebuilds: group.rebuilds,
        rebuilt_bytes: group.rebuilt_bytes,
        catch_up_bytes: group.caught_up_bytes,
        never_recovered: group.is_degraded(),
        reason: reason.into(),
        message: message.into(),
    }
}

/// What the first member that is missing lacks, and what was said about it last.
fn lacks(m: &Metrics, cluster: &Cluster, ending: &Ending<'_>, set: StatefulSetId) -> (&'static str, String) {
    let Some(owner) = m.replicas.owner(OwnerKey::StatefulSet(set)) else {
        return ("notCreated", String::new());
    };
    let ready: Vec<u32> = ready_members(cluster, &m.replicas, set).collect();
    let missing = owner.range().find(|ordinal| !ready.iter().any(|r| u64::from(*r) == *ordinal));
    let pod = missing.and_then(|ordinal| owner.members.get(&u32::try_from(ordinal).ok()?));
    match pod.filter(|pod| cluster.pods().get(**pod).is_some()) {
        None => ("notCreated", String::new()),
        Some(&pod) => {
            let message = (ending.message)(cluster, pod).unwrap_or_default();
            (reason(cluster, pod, &message), message)
        }
    }
}

fn reason(cluster: &Cluster, pod: PodId, message: &str) -> &'static str {
    let row = cluster.pod(pod);
    match row.node {
        Some(node) if !causes::node_is_up(cluster, node) => "nodeGone",
        Some(_) if row.deletion.is_some() => "terminating",
        Some(_) if causes::lacks_claim(cluster, pod) => "lostVolume",
        Some(_) if row.phase == PodPhase::Pending => "rebuilding",
        Some(_) => "catchingUp",
        None => of_message(message),
    }
}

/// Reasons of filters, in the order in which a node meets them: of two with equal counts the later one got further.
const REASONS: &[(&str, &str)] = &[
    ("Insufficient cpu", "noCpu"),
    ("Insufficient memory", "noMemory"),
    ("Insufficient ", "noResources"),
    ("Too many pods", "noResources"),
    ("didn't match PersistentVolume's node affinity", "volumeElsewhere"),
    ("didn't find available persistent volumes to bind", "noSpareVolume"),
    ("did not have enough free storage", "noSpareVolume"),
    ("didn't match pod topology spread constraints", "topologySpread"),
    ("didn't match pod anti-affinity rules", "antiAffinity"),
    ("didn't match pod affinity rules", "affinity"),
];

/// What most nodes lack that are not kept out by a taint or cordon. A node counts under its first failing filter, so those with a
/// later reason have what earlier ones lack.
fn of_message(message: &str) -> &'static str {
    if message.contains("unbound immediate PersistentVolumeClaims") {
        return "unboundClaim";
    }
    if message.is_empty() {
        return "notTried";
    }
    let nodes = message.split(" preemption: ").next().unwrap_or(message);
    let nodes = nodes.split_once("are available: ").map_or(nodes, |(_, rest)| rest);
    let mut best: Option<(u64, usize)> = None;
    for part in nodes.split(", ") {
        let (count, text) = part.trim().split_once(' ').unwrap_or((part, ""));
        let place = REASONS.iter().position(|(words, _)| text.contains(words));
        if let (Ok(count), Some(place)) = (count.parse::<u64>(), place) {
            best = best.max(Some((count, place)));
        }
    }
    match best {
        Some((_, place)) => REASONS[place].1,
        None if message.contains("persistentvolumeclaim") => "unboundClaim",
        None => "noNode",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_is_missing() {
        let tail = " no new claims to deallocate, preemption: 0/30 nodes are available: 30 Preemption is not helpful for scheduling.";
        for (nodes, want) in [
            (
                "29 node(s) didn't match PersistentVolume's node affinity, 1 node(s) had untolerated taint(s).",
                "volumeElsewhere",
            ),
            (
                "2 node(s) didn't match pod anti-affinity rules, 1 node(s) had untolerated taint(s), 27 node(s) didn't find available persistent volumes to bind.",
                "noSpareVolume",
            ),
            ("20 Insufficient cpu, 10 node(s) didn't find available persistent volumes to bind.", "noCpu"),
            (
                "1 node(s) had untolerated taint(s), 2 node(s) didn't match pod anti-affinity rules.",
                "antiAffinity",
            ),
            ("3 node(s) were unschedulable.", "noNode"),
        ] {
            let message = format!("0/30 nodes are available: {nodes}{tail}");
            assert_eq!(of_message(&message), want, "{nodes}");
        }
        assert_eq!(
            of_message(
                "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
            ),
            "unboundClaim"
        );
    }
}
