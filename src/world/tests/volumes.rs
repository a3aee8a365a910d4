//! Claims, volumes, protection, reclaim and scaling against what the real v1.36.2 control plane did.

use super::{Log, end, plan, running, within};
use crate::model::cluster::Cluster;
use crate::model::labels::LabelSet;
use crate::model::quantity::Quantity;
use crate::model::volume::{ClaimPhase, VolumePhase};
use crate::scenario::BindingMode;
use crate::world::plan::{Action, Applier, Plan};
use std::sync::Arc;

/// Nodes with `disks` disks of 10Gi each, StatefulSets, a timeline. `extra` goes into the disks' entry and the set's.
fn text(nodes: u32, disks: &str, set: &str, timeline: &str) -> String {
    format!(
        "
version: 1
name: volumes
duration: 5m
controlPlane: {{preset: kubernetes, kubelet: {{start: 300ms, stop: 500ms}}}}
cluster:
  storageClasses:
    - {{name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}
  nodes:
    - {{name: n, count: {nodes}, cpu: 8, memory: 16Gi, disks: [{{class: local, size: 10Gi, split: whole, {disks}}}]}}
workload:
  generate:
    - {{name: db, kind: StatefulSet, sets: 1, cpu: 1, claims: [{{name: data, class: local, size: 5Gi}}], {set}}}
timeline:
{timeline}
"
    )
}

fn late(nodes: u32, disks: &str, set: &str, timeline: &str) -> Plan {
    plan(&text(nodes, disks, set, timeline), BindingMode::WaitForFirstConsumer, 3)
}

fn volumes_in(cluster: &Cluster, phase: VolumePhase) -> usize {
    cluster.volumes().iter().filter(|(_, v)| v.phase == phase).count()
}

/// A plan that does something of its own at a time.
fn with(mut plan: Plan, at: f64, act: impl Fn(&mut Cluster) + Send + Sync + 'static) -> Plan {
    let at = crate::engine::time::SimTime::ZERO + crate::engine::time::SimDuration::from_secs_f64(at);
    plan.timeline.push((at, Action::Apply(Applier(Arc::new(move |cluster, _| act(cluster))))));
    plan
}

const RETAIN: &str = "count: 1, reclaim: Retain";
/// Policy Delete without anybody who could delete.
const DELETE: &str = "count: 1, reclaim: Delete, staticProvisioner: false";
/// Policy Delete with the static provisioner: 10Gi at 1Gi a second.
const WIPE: &str = "count: 1, reclaim: Delete, staticProvisioner: {wipe: 1Gi/s}";

#[test]
fn a_used_claim_goes_after_its_pod_and_releases_its_volume() {
    let plan = late(
        1,
        RETAIN,
        "replicas: 1",
        "  - {at: 20s, deletePvc: default/data-db-0-0}\n  - {at: 30s, scale: {statefulset: default/db-0, replicas: 0}}",
    );
    let (log, end) = Log::of(&plan);
    let gone = log.at("gone");
    within("pod", gone, 30.5..=30.53);
    within("claim", log.at("claim gone") - gone, 0.005..=0.03);
    within("released", log.at("volume Released") - log.at("claim gone"), 0.005..=0.03);
    assert_eq!(volumes_in(&end.cluster, VolumePhase::Released), 1);
}

#[test]
fn without_a_provisioner_a_volume_to_be_deleted_fails() {
    let set = "replicas: 1, claimRetention: {whenDeleted: Delete}";
    let (log, end) =
        Log::of(&late(1, DELETE, set, "  - {at: 20s, delete: {kind: StatefulSet, name: default/db-0}}"));
    within("failed", log.at("volume Failed") - log.at("volume Released"), 0.0..=0.03);
    assert_eq!(volumes_in(&end.cluster, VolumePhase::Failed), 1, "and stays so");
    assert!(end.cluster.claims().is_empty() && end.cluster.pods().is_empty());
}

#[test]
fn a_static_provisioner_wipes_and_offers_the_disk_again() {
    let set = "replicas: 1, claimRetention: {whenDeleted: Delete}";
    let (log, end) =
        Log::of(&late(1, WIPE, set, "  - {at: 20s, delete: {kind: StatefulSet, name: default/db-0}}"));
    let released = log.at("volume Released");
    within("deleted after the wipe", log.at("volume gone") - released, 10.0..=10.1);
    within("new", log.after(released, "volume n-0-d0-p0") - log.at("volume gone"), 0.0..=0.05);
    within("available", log.after(released, "volume Available") - log.at("volume gone"), 0.003..=0.06);
    assert_eq!(volumes_in(&end.cluster, VolumePhase::Available), 1);
}

#[test]
fn claims_stay_by_default_and_bring_their_pods_home() {
    let timeline = "  - {at: 30s, scale: {statefulset: default/db-0, replicas: 1}}\n  - {at: 60s, scale: {statefulset: default/db-0, replicas: 4}}";
    let (log, end) = Log::of(&late(4, RETAIN, "replicas: 4", timeline));
    // One by one, highest first, each after the one before is gone.
    let order: Vec<&str> =
        log.lines.iter().filter(|(_, l)| l.starts_with("terminating")).map(|(_, l)| l.as_str()).collect();
    assert_eq!(
        order,
        ["terminating default/db-0-3", "terminating default/db-0-2", "terminating default/db-0-1"]
    );
    let (gone, terminating) = (log.times("gone"), log.times("terminating"));
    within("next delete", terminating[1] - gone[0], 0.003..=0.015);
    // Home again within 15 ms of creation: the claims are bound.
    let created = log.after(60.0, "created default/db-0-1");
    within("assigned", log.after(60.0, "assigned default/db-0-1") - created, 0.004..=0.02);
    assert_eq!(running(&end), 4);
    for ordinal in 0..4 {
        let nodes: Vec<&str> = log
            .lines
            .iter()
            .filter(|(_, l)| l.starts_with(&format!("assigned default/db-0-{ordinal} ")))
            .filter_map(|(_, l)| l.rsplit(' ').next())
            .collect();
        assert!(nodes.windows(2).all(|w| w[0] == w[1]), "{nodes:?}");
    }
}

#[test]
fn parallel_sets_scale_all_at_once_highest_first() {
    let timeline = "  - {at: 30s, scale: {statefulset: default/db-0, replicas: 1}}";
    let (log, _) = Log::of(&late(4, RETAIN, "replicas: 4, podManagementPolicy: Parallel", timeline));
    let order: Vec<&str> =
        log.lines.iter().filter(|(_, l)| l.starts_with("terminating")).map(|(_, l)| l.as_str()).collect();
    assert_eq!(
        order,
        ["terminating default/db-0-3", "terminating default/db-0-2", "terminating default/db-0-1"]
    );
    within("all at once", log.times("terminating")[2], 30.0..=30.05);
    within("created at once", log.times("created")[3], 0.0..=0.1);
}

#[test]
fn scaled_down_claims_belong_to_their_pods_and_go_with_them() {
    let timeline = "  - {at: 30s, scale: {statefulset: default/db-0, replicas: 1}}";
    let set = "replicas: 3, claimRetention: {whenScaled: Delete}";
    let (log, end) = Log::of(&late(3, RETAIN, set, timeline));
    let (gone, claims) = (log.times("gone"), log.times("claim gone"));
    assert_eq!(claims.len(), 2);
    within("claim after pod", claims[0] - gone[0], 0.005..=0.05);
    assert_eq!(volumes_in(&end.cluster, VolumePhase::Released), 2, "Retain: not reused");
}

#[test]
fn a_deleted_set_takes_its_claims_if_told_to() {
    let timeline = "  - {at: 30s, delete: {kind: StatefulSet, name: default/db-0}}";
    let set = "replicas: 2, claimRetention: {whenDeleted: Delete}";
    let (log, end) = Log::of(&late(2, RETAIN, set, timeline));
    within("pods marked", log.times("terminating")[1], 30.0..=30.1);
    within("claims gone", log.times("claim gone")[1], 30.5..=30.65);
    assert!(end.cluster.pods().is_empty() && end.cluster.claims().is_empty());
    let (_, end) = Log::of(&late(2, RETAIN, "replicas: 2", timeline));
    assert_eq!(end.cluster.claims().len(), 2, "by default they stay");
}

#[test]
fn a_bound_volume_outlives_its_deletion_until_its_claim_goes() {
    let timeline =
        "  - {at: 20s, deletePv: n-0-d0-p0}\n  - {at: 30s, delete: {kind: StatefulSet, name: default/db-0}}";
    let set = "replicas: 1, claimRetention: {whenDeleted: Delete}";
    let (log, _) = Log::of(&late(1, RETAIN, set, timeline));
    within("gone after its claim", log.at("volume gone") - log.at("claim gone"), 0.005..=0.06);
}

#[test]
fn a_volume_taken_away_loses_its_claim() {
    let act = |cluster: &mut Cluster| {
        let volume = cluster.volumes().ids().next();
        volume.into_iter().for_each(|v| cluster.remove_volume(v));
    };
    let plan = with(
        late(1, "count: 1, reclaim: Retain, staticProvisioner: false", "replicas: 1", "  []"),
        20.0,
        act,
    );
    let (_, end) = Log::of(&plan);
    let claim = end.cluster.claims().iter().next().map(|(_, c)| c.phase);
    assert_eq!(claim, Some(ClaimPhase::Lost));
}

#[test]
fn clearing_the_claim_ref_of_a_released_volume_offers_it_again() {
    let timeline = "  - {at: 20s, delete: {kind: StatefulSet, name: default/db-0}}\n  - {at: 30s, clearClaimRef: n-0-d0-p0}";
    let set = "replicas: 1, claimRetention: {whenDeleted: Delete}";
    let (log, end) = Log::of(&late(1, RETAIN, set, timeline));
    within("available", log.after(30.0, "volume Available") - 30.0, 0.003..=0.04);
    assert_eq!(volumes_in(&end.cluster, VolumePhase::Available), 1);
}

/// One more volume of 10Gi on a node, as the first one is.
fn another_volume(cluster: &mut Cluster) {
    let Some((_, first)) = cluster.volumes().iter().next() else { return };
    let mut volume = first.clone();
    volume.name = cluster.names.intern("extra");
    volume.uid = cluster.new_uid();
    volume.phase = VolumePhase::Pending;
    volume.claim_ref = None;
    volume.capacity = Quantity::from_int(20 << 30);
    volume.labels = cluster.intern_labels(LabelSet::default());
    let _ = cluster.add_volume(volume);
}

#[test]
fn a_new_volume_wakes_waiting_pods_twice_and_the_second_time_helps() {
    let plan = with(late(1, RETAIN, "replicas: 2", "  []"), 39.19, another_volume);
    let (log, end) = Log::of(&plan);
    // Tried 6..9 ms after the volume came (not Available yet), then when it is; assigned 1.04..1.07 s after its creation.
    let created = log.at("volume extra");
    within("fails", log.after(created, "unschedulable default/db-0-1") - created, 0.002..=0.01);
    within("succeeds", log.after(created, "scheduled default/db-0-1") - created, 0.005..=0.02);
    within("assigned", log.after(created, "assigned default/db-0-1") - created, 1.0..=1.08);
    assert_eq!(running(&end), 2);
}

#[test]
fn a_new_volume_does_not_wake_immediate_claims_before_the_resync() {
    let base = plan(&text(1, RETAIN, "replicas: 2", "  []"), BindingMode::Immediate, 3);
    let (log, _) = Log::of(&with(base, 39.19, another_volume));
    within("bound at the tick", log.at("claim Bound default/data-db-0-1"), 45.0..=45.05);
}

#[test]
fn without_the_controller_manager_a_binding_times_out_and_is_finished_later() {
    let text = text(
        1,
        RETAIN,
        "replicas: 1, arrivals: {every: 1h, start: 20s}",
        "  - {at: 21s, controllerManagerDown: 60s}",
    )
    .replace("kubelet: {", "scheduler: {bindTimeout: 10s}, kubelet: {");
    // The set makes claim and pod before it goes: the pod is scheduled at once, its volume not bound in time.
    let plan = plan(&text, BindingMode::WaitForFirstConsumer, 3);
    let mut plan = plan;
    for (at, _) in &mut plan.timeline {
        *at = crate::engine::time::SimTime::ZERO + crate::engine::time::SimDuration::from_secs_f64(20.025);
    }
    let (log, end) = Log::of(&plan);
    let errors = log.times("error default/db-0-0");
    assert!(errors.len() >= 2, "{:#?}", log.lines);
    within("first", errors[0] - log.at("scheduled default/db-0-0"), 10.0..=10.2);
    let message =
        log.lines.iter().find(|(at, l)| *at >= errors[0] && l.starts_with("event FailedScheduling"));
    assert_eq!(
        message.map(|(_, l)| l.as_str()),
        Some(
            "event FailedScheduling: running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded"
        )
    );
    // The error backoff is honoured: 1 s, on the tick after.
    let again = log.after(errors[0], "scheduled default/db-0-0");
    within("tried again", again - errors[0], 1.0..=2.01);
    assert_eq!(running(&end), 1, "when it is back the controller finishes the binding by itself");
}

#[test]
fn the_smallest_volume_that_fits_is_taken() {
    for mode in [BindingMode::Immediate, BindingMode::WaitForFirstConsumer] {
        let text = "
version: 1
name: sizes
controlPlane: ideal
cluster:
  storageClasses:
    - {name: local, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: n, count: 1, cpu: 8, memory: 16Gi, disks: [{class: local, count: 1, size: 100Gi, sizes: [40Gi, 10Gi, 20Gi]}]}
workload:
  generate:
    - {name: db, kind: StatefulSet, sets: 1, replicas: 1, cpu: 1, claims: [{name: data, class: local, size: 15Gi}]}
";
        let end = end(&plan(text, mode, 1));
        let claim = end.cluster.claims().iter().next().and_then(|(_, c)| c.volume_name);
        assert_eq!(claim.map(|v| end.cluster.names.text(v)), Some("n-0-d0-p2"));
    }
}

/// A class whose provisioner is nowhere: the binding cycle waits for ten minutes, fails, and is tried again and again. A run without a
/// duration is over when that has been said.
#[test]
fn a_provisioner_that_never_answers_does_not_keep_a_run_going() {
    for control in ["ideal", "kubernetes"] {
        let text = format!(
            "version: 1\nname: nowhere\ncontrolPlane: {control}\ncluster:\n  storageClasses: [{{name: far, provisioner: example.com/far}}]\n  \
             nodes: [{{name: n, count: 2, cpu: 8, memory: 32Gi}}]\nworkload:\n  generate: [{{name: db, sets: 1, replicas: 2, \
             podManagementPolicy: Parallel, cpu: 1, memory: 1Gi, claims: [{{name: data, class: far, size: 1Gi}}]}}]\n"
        );
        let (log, end) = Log::of(&plan(&text, BindingMode::WaitForFirstConsumer, 3));
        assert_eq!(running(&end), 0);
        for pod in end.cluster.pods().ids() {
            let message = end.message(pod).map_or_else(String::new, |(message, _)| message);
            assert!(message.contains("context deadline exceeded"), "{control}: {message:?}");
        }
        within("first failure", log.at("error"), 600.0..=if control == "ideal" { 600.0 } else { 602.0 });
        within("end", end.at.as_secs_f64(), 600.0..=1800.0);
    }
}
