//! The Job controller: `completions` pods must succeed, `parallelism` at the same time.

use super::Step;
use super::api::{Grace, Write};
use crate::model::cluster::Cluster;
use crate::model::ids::{JobId, PodId};

/// The next write for the job. `pods` are all pods that it owns.
pub fn step(cluster: &Cluster, pods: &[PodId], id: JobId) -> Step {
    let job = &cluster.jobs()[id];
    if !job.exists {
        return Step::Done;
    }
    let active = |pod: &&PodId| {
        let row = cluster.pod(**pod);
        !row.is_finished() && row.deletion.is_none()
    };
    let count = pods.iter().filter(active).count() as u32;
    let wanted = job.completions.saturating_sub(job.succeeded).min(job.parallelism);
    if count < wanted {
        return Step::Write(Write::CreateJobPod(id));
    }
    if count > wanted {
        // The youngest and least advanced first, as the real controller does through the same ranking as ReplicaSets.
        let victim = pods.iter().filter(active).min_by_key(|pod| {
            let row = cluster.pod(**pod);
            (row.node.is_some(), row.phase, row.ready, std::cmp::Reverse(row.created))
        });
        if let Some(pod) = victim {
            let uid = cluster.pod(*pod).uid;
            return Step::Write(Write::DeletePod { pod: *pod, uid, grace: Grace::Default });
        }
    }
    Step::Done
}
