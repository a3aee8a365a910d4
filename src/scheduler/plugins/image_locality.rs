//! ImageLocality: nodes that have the pod's images already get more, by size and by how widely the image is spread.

use crate::model::cluster::Cluster;
use crate::model::ids::{NodeId, PodId};
use crate::model::names::Sym;
use crate::scheduler::cycle_state::CycleState;
use crate::scheduler::framework::*;

/// Kubernetes' name.
pub const NAME: PluginName = "ImageLocality";

const MIB: i64 = 1024 * 1024;
const MIN_THRESHOLD: i64 = 23 * MIB;
const MAX_CONTAINER_THRESHOLD: i64 = 1000 * MIB;

/// The plugin.
#[derive(Debug, Default)]
pub struct ImageLocality;

/// What is known for the pod at hand.
#[derive(Clone, Debug, Default)]
pub struct ImageLocalityState {
    /// Nodes in the cluster.
    nodes: usize,
    /// The pod's images that some node has: name, size, number of nodes.
    images: Vec<(Sym, i64, usize)>,
}

/// Size and spread of an image. Its size is what the first node that had it reported (the scheduler's cache keeps one
/// entry per name).
fn image_summary(cluster: &Cluster, image: Sym) -> Option<(i64, usize)> {
    let mut size = None;
    let mut nodes = 0;
    for (_, node) in cluster.nodes().iter().filter(|(_, node)| node.exists && !node.images.is_empty()) {
        if let Ok(i) = node.images.binary_search_by_key(&image, |(name, _)| *name) {
            size = size.or(Some(node.images[i].1));
            nodes += 1;
        }
    }
    size.map(|size| (size, nodes))
}

fn priority(sum: i64, containers: u32) -> i64 {
    let max = MAX_CONTAINER_THRESHOLD * i64::from(containers.max(1));
    MAX_NODE_SCORE * (sum.clamp(MIN_THRESHOLD, max) - MIN_THRESHOLD) / (max - MIN_THRESHOLD)
}

impl Plugin for ImageLocality {
    fn name(&self) -> PluginName {
        NAME
    }
}

impl ScorePlugin for ImageLocality {
    fn pre_score(&self, view: View<'_>, pod: PodId, state: &mut CycleState, _nodes: &[NodeId]) -> PreScore {
        let state = &mut state.image_locality;
        state.images.clear();
        if !view.cluster.has_images() {
            return PreScore::Continue;
        }
        state.nodes = view.cluster.node_count();
        for &image in &view.cluster.spec_of(pod).images {
            if let Some((size, nodes)) = image_summary(view.cluster, image) {
                state.images.push((image, size, nodes));
            }
        }
        PreScore::Continue
    }
    fn score(&self, view: View<'_>, pod: PodId, state: &CycleState, node: NodeId) -> i64 {
        let state = &state.image_locality;
        if state.images.is_empty() {
            return 0;
        }
        let here = &view.cluster.node(node).images;
        let mut sum = 0i64;
        for &(image, size, nodes) in &state.images {
            if here.binary_search_by_key(&image, |(name, _)| *name).is_ok() {
                let spread = nodes as f64 / state.nodes as f64;
                sum = sum.wrapping_add((size as f64 * spread) as i64);
            }
        }
        priority(sum, view.cluster.spec_of(pod).container_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        for (sum, containers, want) in [
            (0, 1, 0),
            (23 * MIB, 1, 0),
            (500 * MIB, 1, 48), // 100 * 477 / 977
            (1000 * MIB, 1, 100),
            (4000 * MIB, 1, 100),
            (1000 * MIB, 2, 49), // 100 * 977 / 1977
        ] {
            assert_eq!(priority(sum, containers), want, "{sum} {containers}");
        }
    }
}
