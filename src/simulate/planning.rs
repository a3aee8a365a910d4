//! The simulator behind the planner: how large a cluster is, how much there is of a workload, what the loss of nodes costs.

use super::Prepared;
use super::evaluate::Simulator;
use crate::engine::rng::Streams;
use crate::engine::samplers;
use crate::engine::time::{SimDuration, SimTime};
use crate::plan::model::MAX_SUBSETS;
use crate::plan::{Loss, Model, Size};
use crate::results::VariantOutput;
use crate::scenario::Override;
use crate::scenario::types::ClusterSpec;
use crate::sweep::Job;
use crate::world::plan::{Action, Kind};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Losses that are tried at the same time before it is looked whether any was fatal. Fixed: the number of runs must not depend
/// on the number of threads.
const LOSSES_AT_ONCE: usize = 16;

impl Model for Simulator {
    fn size(&self, settings: &[Override], variant: &str) -> Result<Size, String> {
        // Sizes do not depend on the seed.
        let (loaded, prepared) = self.ready(settings, variant, 0)?;
        let nodes = prepared.plan.cluster.nodes().ids().count() as u64;
        Ok(Size { nodes, price_per_hour: price(&loaded.scenario.cluster) })
    }

    fn sets(&self, workload: &str) -> Result<u64, String> {
        let base = self.base().map_err(|d| d.to_string())?;
        let found = base.scenario.workload.generate.iter().find(|g| g.name.value == workload);
        match found.map(|generator| generator.sets) {
            Some(u32::MAX) => {
                Err(format!("sets of `{workload}` arrive without end, so there is no number of them"))
            }
            Some(sets) => Ok(u64::from(sets)),
            None => Err(format!("no entry of workload.generate is named `{workload}`")),
        }
    }

    fn workloads(&self) -> Vec<String> {
        let base = self.base().ok();
        base.iter().flat_map(|b| &b.scenario.workload.generate).map(|g| g.name.value.clone()).collect()
    }

    /// The state cannot be copied at the end of a run, so each loss is a run of its own, with the nodes deleted at the time
    /// at which the first run ends.
    fn lose(&self, job: &Job<'_>, nodes: u32, within: SimDuration) -> Result<Loss, String> {
        let (_, prepared) = self.ready(job.settings, job.variant, job.seed)?;
        let before = self.measure(&prepared, job.variant)?;
        let names: Vec<&str> = before.nodes.iter().filter(|n| n.exists).map(|n| n.name.as_str()).collect();
        let end = SimDuration::from_secs_f64(before.summary.simulated_seconds);
        let mut loss = Loss { runs: 1, ..Loss::default() };
        // A run without a duration ended when nothing could change any more; others go on without the loss as well.
        let without_loss = if prepared.plan.duration.is_none() {
            not_running(&before)
        } else {
            loss.runs += 1;
            not_running(&self.measure(&without(&prepared, &[], end, within), job.variant)?)
        };
        for some in subsets(names.len(), nodes as usize, job.seed).chunks(LOSSES_AT_ONCE) {
            let lost = |subset: &Vec<usize>| -> Result<u64, String> {
                let gone: Vec<&str> = subset.iter().map(|i| names[*i]).collect();
                let after = self.measure(&without(&prepared, &gone, end, within), job.variant)?;
                Ok(not_running(&after).saturating_sub(without_loss))
            };
            let lost: Vec<u64> = some.par_iter().map(lost).collect::<Result<_, _>>()?;
            loss.runs += lost.len() as u64;
            loss.subsets += lost.len() as u64;
            loss.fatal += lost.iter().filter(|n| **n > 0).count() as u64;
            loss.worst_pods = loss.worst_pods.max(lost.into_iter().max().unwrap_or(0));
            if loss.fatal > 0 {
                break;
            }
        }
        Ok(loss)
    }
}

/// Wanted pods that do not run at the end. Not the stuck ones: a pod may have too little time left to become stuck.
fn not_running(output: &VariantOutput) -> u64 {
    let pods = &output.summary.pods;
    pods.wanted.saturating_sub(pods.running)
}

/// Price per hour of the generated nodes; what exists already (manifests, traces) costs nothing more. `None` if a group that
/// has nodes has no price.
fn price(cluster: &ClusterSpec) -> Option<f64> {
    let groups = cluster.nodes.iter().filter(|group| group.count > 0);
    groups.map(|group| Some(group.price? * f64::from(group.count))).sum()
}

/// The same run, going on after its end without these nodes.
fn without(prepared: &Prepared, gone: &[&str], end: SimDuration, within: SimDuration) -> Prepared {
    let mut plan = prepared.plan.clone();
    plan.duration = Some(end + within);
    let at = SimTime::ZERO + end;
    let place = plan.timeline.partition_point(|(t, _)| *t <= at);
    let deletions: Vec<(SimTime, Action)> = gone
        .iter()
        .map(|node| {
            let namespace = plan.cluster.names.intern("");
            let name = plan.cluster.names.name(node);
            (at, Action::Delete(Kind::Node, namespace, name))
        })
        .collect();
    plan.timeline.splice(place..place, deletions);
    let Prepared { assumptions, warnings, sources, sample, .. } = prepared;
    Prepared {
        plan,
        assumptions: assumptions.clone(),
        warnings: warnings.clone(),
        sources: sources.clone(),
        sample: *sample,
        reads: prepared.reads.clone(),
    }
}

/// All sets of `k` of `n`, or [`MAX_SUBSETS`] different ones drawn by the seed if there are more. Ascending. Of fewer than `k`
/// nodes, all are lost.
fn subsets(n: usize, k: usize, seed: u64) -> Vec<Vec<usize>> {
    let k = k.min(n);
    let count = (0..k).try_fold(1u64, |c, i| Some(c.checked_mul((n - i) as u64)? / (i as u64 + 1)));
    if count.is_some_and(|count| count <= MAX_SUBSETS) {
        return combinations(n, k);
    }
    let mut rng = Streams::new(seed, 0).stream("lost nodes", "");
    let mut drawn: BTreeSet<Vec<usize>> = BTreeSet::new();
    while (drawn.len() as u64) < MAX_SUBSETS {
        // The first k of a shuffle.
        let mut all: Vec<usize> = (0..n).collect();
        for i in 0..k {
            let other = i + samplers::index(&mut rng, n - i);
            all.swap(i, other);
        }
        all.truncate(k);
        all.sort_unstable();
        drawn.insert(all);
    }
    drawn.into_iter().collect()
}

fn combinations(n: usize, k: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut chosen: Vec<usize> = (0..k).collect();
    loop {
        all.push(chosen.clone());
        // The last index that can still move up.
        let Some(i) = (0..k).rev().find(|i| chosen[*i] < n - k + i) else { return all };
        chosen[i] += 1;
        for j in i + 1..k {
            chosen[j] = chosen[j - 1] + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::subset_count;

    #[test]
    fn all_subsets_or_two_hundred_of_them() {
        assert_eq!(subsets(4, 2, 1), [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]);
        assert_eq!(subsets(3, 3, 1), [[0, 1, 2]]);
        assert_eq!(subsets(3, 0, 1), [Vec::<usize>::new()]);
        assert_eq!(subsets(2, 3, 1), [[0, 1]]);
        for (n, k) in [(4, 2), (3, 3), (3, 0), (2, 3), (200, 1), (20, 3)] {
            let count = subset_count(n as u64, k as u64);
            assert_eq!(subsets(n, k, 1).len() as u64, count, "{k} of {n}");
        }
        assert_eq!(subsets(200, 1, 1).len(), 200);
        // 20 over 3 is 1140.
        let drawn = subsets(20, 3, 1);
        assert_eq!(drawn.len(), 200);
        assert!(drawn.iter().all(|s| s.len() == 3 && s.windows(2).all(|w| w[0] < w[1]) && s[2] < 20));
        assert_eq!(drawn, subsets(20, 3, 1));
        assert_ne!(drawn, subsets(20, 3, 2));
        // Every node is lost about 30 times.
        for node in 0..20 {
            let times = drawn.iter().filter(|s| s.contains(&node)).count();
            assert!((12..=50).contains(&times), "node {node}: {times}");
        }
    }
}
