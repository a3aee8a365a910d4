//! Scores of the feature gate StorageCapacityScoring: how full the chosen volumes, or the node's storage, would be.

use super::NodeVolumes;
use crate::model::cluster::Cluster;
use crate::model::ids::ClaimId;
use crate::model::names::Sym;

/// A broken linear function from utilization (0..=100) to score (0..=100): `VolumeBindingArgs.shape` with its scores times ten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(Vec<(i64, i64)>);

impl Default for Shape {
    /// `{0: 10, 100: 0}`: the emptiest, that is the largest, volume is preferred.
    fn default() -> Self {
        Shape::new(&[(0, 10), (100, 0)])
    }
}

impl Shape {
    /// From points of `VolumeBindingArgs.shape` in ascending order: utilization in percent, score 0..=10.
    pub fn new(points: &[(i64, i64)]) -> Shape {
        Shape(points.iter().map(|(utilization, score)| (*utilization, score * 10)).collect())
    }

    fn at(&self, utilization: i64) -> i64 {
        let points = &self.0;
        let Some(right) = points.iter().position(|(u, _)| utilization <= *u) else {
            return points.last().map_or(0, |(_, score)| *score);
        };
        let (u1, s1) = points[right];
        match right.checked_sub(1).map(|left| points[left]) {
            None => s1,
            Some((u0, s0)) => s0 + (s1 - s0) * (utilization - u0) / (u1 - u0),
        }
    }
}

/// Requested and available bytes of one class.
struct ClassUse {
    class: Sym,
    requested: i64,
    capacity: i64,
}

/// The node's score: mean over the classes of what is to be bound there; volumes to be made count only if none exists.
pub(super) fn score(cluster: &Cluster, shape: &Shape, volumes: NodeVolumes<'_>) -> i64 {
    let mut classes: Vec<ClassUse> = Vec::new();
    let request = |claim: ClaimId| cluster.claim_spec_of(claim).request.value();
    for &(claim, volume) in volumes.bindings {
        let volume = cluster.volume(volume);
        let entry = entry(&mut classes, volume.class);
        entry.requested = entry.requested.wrapping_add(request(claim));
        entry.capacity = entry.capacity.wrapping_add(volume.capacity.value());
    }
    if volumes.bindings.is_empty() {
        for provision in volumes.provisions {
            let Some(capacity) = provision.capacity else { continue };
            let entry = entry(&mut classes, cluster.claim_spec_of(provision.claim).class_or_empty());
            entry.requested = entry.requested.wrapping_add(request(provision.claim));
            entry.capacity = capacity; // of the node's pool, so it is not added up
        }
    }
    if classes.is_empty() {
        return 0;
    }
    let sum: i64 = classes.iter().map(|c| shape.at(utilization(c))).sum();
    libm::round(sum as f64 / classes.len() as f64) as i64
}

fn utilization(class: &ClassUse) -> i64 {
    if class.capacity == 0 || class.requested > class.capacity {
        return 100;
    }
    class.requested.wrapping_mul(100).wrapping_div(class.capacity)
}

fn entry(classes: &mut Vec<ClassUse>, class: Sym) -> &mut ClassUse {
    let index = classes.iter().position(|c| c.class == class).unwrap_or_else(|| {
        classes.push(ClassUse { class, requested: 0, capacity: 0 });
        classes.len() - 1
    });
    &mut classes[index]
}
