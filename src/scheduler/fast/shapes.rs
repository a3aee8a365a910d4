//! Kinds of pods that nodes cannot tell apart: specs that differ only in what relates pods to each other.

use crate::model::cluster::Cluster;
use crate::model::ids::{Id, LabelSetId, SpecId};
use crate::model::names::sym;
use crate::model::spec::{OwnerKind, PodSpec};
use rustc_hash::FxHashMap;

/// Numbers of shapes, by spec. A thousand StatefulSets of one template have a thousand specs (labels differ) and one shape.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    of_spec: Vec<Option<u32>>,
    index: FxHashMap<PodSpec, u32>,
}

impl Shapes {
    /// The number of the spec's shape.
    pub fn of(&mut self, cluster: &Cluster, spec: SpecId) -> u32 {
        if let Some(Some(shape)) = self.of_spec.get(spec.index()) {
            return *shape;
        }
        let next = self.index.len() as u32;
        let shape = *self.index.entry(shape(cluster.spec(spec))).or_insert(next);
        if self.of_spec.len() <= spec.index() {
            self.of_spec.resize(spec.index() + 1, None);
        }
        self.of_spec[spec.index()] = Some(shape);
        shape
    }
}

/// The spec without what no plugin reads that looks at one node and at the pod's claims: the claims themselves are part of a class's
/// key.
fn shape(spec: &PodSpec) -> PodSpec {
    let mut shape = spec.clone();
    shape.namespace = sym::EMPTY;
    shape.labels = LabelSetId::at(0);
    shape.spread.clear();
    shape.volumes.clear();
    shape.owner = OwnerKind::None;
    shape.termination_grace = Default::default();
    if let Some(affinity) = &mut shape.affinity {
        affinity.pod_required.clear();
        affinity.pod_preferred.clear();
        affinity.anti_required.clear();
        affinity.anti_preferred.clear();
        if affinity.node_required.is_none() && affinity.node_preferred.is_empty() {
            shape.affinity = None;
        }
    }
    shape
}
