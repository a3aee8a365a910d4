//! The ReplicaSet controller, also for Deployments, which are seen as their current ReplicaSet.

use super::Step;
use super::api::{Grace, Write};
use crate::model::cluster::Cluster;
use crate::model::ids::{PodId, ReplicaSetId};
use crate::model::pod::PodPhase;
use std::cmp::Reverse;

/// The next write for the set. `pods` are all pods that it owns.
pub fn step(cluster: &Cluster, pods: &[PodId], id: ReplicaSetId) -> Step {
    let set = &cluster.replica_sets()[id];
    if !set.exists {
        return Step::Done;
    }
    let active = |pod: &PodId| {
        let row = cluster.pod(*pod);
        !row.is_finished() && row.deletion.is_none()
    };
    let count = pods.iter().filter(|pod| active(pod)).count();
    match count.cmp(&(set.replicas as usize)) {
        std::cmp::Ordering::Less => Step::Write(Write::CreateReplica(id)),
        std::cmp::Ordering::Equal => Step::Done,
        std::cmp::Ordering::Greater => {
            let doubled = |pod: PodId| {
                let node = cluster.pod(pod).node;
                let same = |p: &&PodId| active(p) && node.is_some() && cluster.pod(**p).node == node;
                pods.iter().filter(same).count()
            };
            // `ActivePodsWithRanks`: what is lost least goes first: unassigned, pending, not ready, crowded on a node, young.
            let victim = pods.iter().filter(|pod| active(pod)).min_by_key(|pod| {
                let row = cluster.pod(**pod);
                let phase = match row.phase {
                    PodPhase::Pending => 0,
                    PodPhase::Unknown => 1,
                    _ => 2,
                };
                let rank = Reverse(doubled(**pod));
                (row.node.is_some(), phase, row.ready, rank, Reverse(row.created), Reverse(row.uid))
            });
            victim.map_or(Step::Done, |pod| {
                let uid = cluster.pod(*pod).uid;
                Step::Write(Write::DeletePod { pod: *pod, uid, grace: Grace::Default })
            })
        }
    }
}
