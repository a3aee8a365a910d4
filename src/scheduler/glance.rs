//! What the filters of the default profile say about a fresh pod on a node, by arithmetic: for measurements that ask about many
//! templates and nodes. Whoever asks must have the plugins answer where the arithmetic does not ([`Glance::fits`] says `false`).
//!
//! A fresh pod belongs to nobody and its claims are unbound and wait for it. The arithmetic covers templates whose fate on a node
//! depends on that node alone and whose claims want static local volumes.

use super::plugins::taint_toleration::has_untolerated_taint;
use super::profile::Profile;
use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimSpecId, Id, NodeId, SpecId};
use crate::model::names::{Sym, sym};
use crate::model::node::Node;
use crate::model::resources::Resources;
use crate::model::spec::{PodSpec, PodVolume, Taint, TaintEffect};
use crate::model::volume::{AccessModes, ClaimSpec, Volume, VolumeMode};

/// What the filters say about one node, by groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// VolumeBinding, VolumeRestrictions, VolumeZone and NodeVolumeLimits let the node pass.
    pub volumes: bool,
    /// NodeResourcesFit lets it pass.
    pub resources: bool,
    /// Every other filter lets it pass.
    pub others: bool,
}

impl Fit {
    /// Every filter lets the node pass.
    pub fn all(self) -> bool {
        self.volumes && self.resources && self.others
    }
    /// Only storage is in the way.
    pub fn lacks_only_storage(self) -> bool {
        !self.volumes && self.resources && self.others
    }
}

/// What volumes must share to be alternatives for a claim without selector.
type Pool = (Sym, VolumeMode, AccessModes, Sym);

/// Pools that fit into a claim's mask.
const MAX_POOLS: usize = 64;

/// The free volumes of one node.
#[derive(Clone, Debug, Default)]
struct Free {
    /// Of which generation of the node; 0: never looked at.
    generation: u64,
    /// Capacity in bytes and pool, smallest first.
    volumes: Vec<(u64, u8)>,
    /// Volumes that the arithmetic has no words for.
    odd: bool,
}

/// Looks at nodes, each once per change.
#[derive(Debug, Default)]
pub struct Glance {
    nodes: Vec<Free>,
    pools: Vec<Pool>,
    /// Nodes whose volumes were read so far.
    reads: u64,
}

/// What a template's fresh pods ask of a node's volumes.
struct Wish {
    /// Pools that may serve its claims, as a mask.
    pools: u64,
    /// What the claims ask for in bytes, smallest first.
    requests: Vec<u64>,
}

impl Glance {
    /// Appends to `fits` what the filters say about a fresh pod on each of `nodes`, all of which exist. False, with `fits` as it was,
    /// if only the plugins can tell.
    pub fn fits(
        &mut self,
        cluster: &Cluster,
        profile: &Profile,
        template: (SpecId, &[ClaimSpecId]),
        nodes: &[NodeId],
        fits: &mut Vec<Fit>,
    ) -> bool {
        let spec = cluster.spec(template.0);
        if !profile.has_default_arithmetic()
            || cluster.has_required_anti_affinity()
            || cluster.csi_nodes() > 0
            || !cluster.wide_volumes().is_empty()
            || !is_plain(spec, template.1.len())
            || !nodes.iter().all(|node| self.look(cluster, *node))
        {
            return false;
        }
        let Some(wish) = self.wish(cluster, template.1) else { return false };
        fits.extend(nodes.iter().map(|id| {
            let node = cluster.node(*id);
            let others = takes(cluster, spec, node);
            let resources = has_room(spec, node);
            // Where resources suffice and something else is in the way, nobody asks about volumes.
            let volumes = (others || !resources) && wish.is_met(&self.nodes[id.index()].volumes);
            Fit { volumes, resources, others }
        }));
        true
    }

    /// Nodes whose volumes were read so far: the work that grows with what changed.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// Reads the node's free volumes if it changed. False if they are of a kind that needs the plugins.
    fn look(&mut self, cluster: &Cluster, id: NodeId) -> bool {
        if self.nodes.len() <= id.index() {
            self.nodes.resize_with(cluster.nodes().len().max(id.index() + 1), Free::default);
        }
        let generation = cluster.node(id).generation;
        if self.nodes[id.index()].generation != generation || generation == 0 {
            self.reads += 1;
            let mut free = std::mem::take(&mut self.nodes[id.index()]);
            free.generation = generation;
            free.volumes.clear();
            free.odd = false;
            if let Some(host) = cluster.node_labels(id).get(sym::HOSTNAME) {
                let mut last = None;
                for &volume in cluster.free_pinned_volumes(host) {
                    let volume = cluster.volume(volume);
                    if !cluster.pinned_volume_allows(volume, host, id) {
                        continue;
                    }
                    // Volumes of one disk are of one size.
                    let bytes = match last {
                        Some((capacity, bytes)) if capacity == volume.capacity => bytes,
                        _ => whole_bytes(volume),
                    };
                    last = Some((volume.capacity, bytes));
                    match (bytes, self.pool(volume)) {
                        (Some(bytes), Some(pool)) => free.volumes.push((bytes, pool)),
                        _ => free.odd = true,
                    }
                }
                free.volumes.sort_unstable();
            }
            self.nodes[id.index()] = free;
        }
        !self.nodes[id.index()].odd
    }

    fn pool(&mut self, volume: &Volume) -> Option<u8> {
        let attributes = volume.attributes_class.unwrap_or(sym::EMPTY);
        let pool = (volume.class, volume.mode, volume.modes, attributes);
        let known = self.pools.iter().position(|p| *p == pool);
        let index = known.unwrap_or_else(|| {
            self.pools.push(pool);
            self.pools.len() - 1
        });
        (index < MAX_POOLS).then_some(index as u8)
    }

    /// What the claims ask for, if all of them may be served by the same volumes, and only by static ones.
    fn wish(&self, cluster: &Cluster, claims: &[ClaimSpecId]) -> Option<Wish> {
        let mut wish = Wish { pools: 0, requests: Vec::with_capacity(claims.len()) };
        for (i, claim) in claims.iter().enumerate() {
            let spec = cluster.claim_spec(*claim);
            let class = cluster.class(spec.class_or_empty())?;
            let usual = class.provisioner == sym::NO_PROVISIONER
                && !spec.modes.contains(AccessModes::RWOP)
                && spec.selector.as_ref().is_none_or(|s| s.is_everything());
            let pools = self.pools_for(spec);
            if !usual || (i > 0 && pools != wish.pools) {
                return None;
            }
            wish.pools = pools;
            wish.requests.push(u64::try_from(spec.request.ceil()).ok()?);
        }
        wish.requests.sort_unstable();
        Some(wish)
    }

    fn pools_for(&self, spec: &ClaimSpec) -> u64 {
        let attributes = spec.attributes_class.unwrap_or(sym::EMPTY);
        let serves = |(class, mode, modes, attr): &Pool| {
            *class == spec.class_or_empty()
                && *mode == spec.mode
                && modes.contains(spec.modes)
                && *attr == attributes
        };
        let bits = self.pools.iter().take(MAX_POOLS).enumerate();
        bits.filter(|(_, pool)| serves(pool)).fold(0, |mask, (i, _)| mask | 1 << i)
    }
}

impl Wish {
    /// Claims take the smallest volume that fits, the smallest claim first: a volume too small for one is too small for the next.
    fn is_met(&self, volumes: &[(u64, u8)]) -> bool {
        let mut left = volumes.iter().filter(|(_, pool)| self.pools >> pool & 1 == 1);
        self.requests.iter().all(|request| left.any(|(bytes, _)| bytes >= request))
    }
}

/// Nothing in the spec relates its pods to others or needs a filter that the arithmetic leaves out.
fn is_plain(spec: &PodSpec, claims: usize) -> bool {
    spec.host_ports.is_empty()
        && spec.affinity.is_none()
        && spec.spread.is_empty()
        && spec.volumes.len() == claims
        && spec.volumes.iter().all(|v| matches!(v, PodVolume::ClaimTemplate { .. }))
}

/// NodeUnschedulable, TaintToleration and NodeAffinity.
fn takes(cluster: &Cluster, spec: &PodSpec, node: &Node) -> bool {
    const CORDONED: Taint =
        Taint { key: sym::TAINT_UNSCHEDULABLE, value: sym::EMPTY, effect: TaintEffect::NoSchedule };
    let tolerated = || spec.tolerations.iter().any(|t| t.tolerates(&CORDONED));
    (!node.unschedulable || tolerated())
        && (node.taints.is_empty() || !has_untolerated_taint(&node.taints, &spec.tolerations))
        && (spec.node_selector.is_empty()
            || spec.allows_node(node.name, cluster.label_set(node.labels), &cluster.names))
}

/// NodeResourcesFit.
fn has_room(spec: &PodSpec, node: &Node) -> bool {
    let (want, have, used): (&Resources, _, _) = (&spec.requests, &node.allocatable, &node.info.requested);
    let fits = |want: i64, have: i64, used: i64| want <= 0 || want <= have.wrapping_sub(used);
    (node.info.pods.len() as i64) < node.allocatable_pods
        && fits(want.cpu_milli, have.cpu_milli, used.cpu_milli)
        && fits(want.memory_bytes, have.memory_bytes, used.memory_bytes)
        && fits(want.ephemeral_bytes, have.ephemeral_bytes, used.ephemeral_bytes)
        && want.scalars.iter().all(|(name, amount)| fits(*amount, have.scalar(*name), used.scalar(*name)))
}

/// The capacity, if it is a whole number of bytes: then it suffices for a request if it suffices for that rounded up.
fn whole_bytes(volume: &Volume) -> Option<u64> {
    const NANOS: i128 = 1_000_000_000;
    let nanos = volume.capacity.nanos();
    (nanos % NANOS == 0).then(|| u64::try_from(nanos / NANOS).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::Fixture;
    use crate::model::spec::{Affinity, HostPort};
    use crate::scheduler::profile::ProfileConfig;

    #[test]
    fn what_is_in_the_way() {
        for bits in 0..8 {
            let [volumes, resources, others] = [0, 1, 2].map(|bit| bits >> bit & 1 == 1);
            let fit = Fit { volumes, resources, others };
            assert_eq!(fit.all(), bits == 7, "{fit:?}");
            assert_eq!(fit.lacks_only_storage(), bits == 6, "{fit:?}");
        }
    }

    /// A template with one claim of 1Gi, and a node with a volume of that size.
    fn setup() -> (Fixture, NodeId, PodSpec, Vec<ClaimSpecId>) {
        let mut fixture = Fixture::new();
        let node = fixture.node("n", &[]);
        fixture.cluster.set_node_allocatable(node, Resources { cpu_milli: 1000, ..Resources::default() }, 10);
        fixture.volume("v 1Gi RWO class=wffc host=n Available");
        let claim = fixture.claim("c 1Gi RWO class=wffc");
        let claims = vec![fixture.cluster.claim(claim).spec];
        let model = fixture.pod("model", &[]);
        let prefix = fixture.sym("data");
        let spec = PodSpec {
            requests: Resources { cpu_milli: 1000, ..Resources::default() },
            volumes: vec![PodVolume::ClaimTemplate { prefix }],
            ..fixture.cluster.spec_of(model).clone()
        };
        (fixture, node, spec, claims)
    }

    fn look(fixture: &mut Fixture, node: NodeId, spec: &PodSpec, claims: &[ClaimSpecId]) -> Option<Fit> {
        let spec = fixture.cluster.intern_spec(spec.clone());
        let profile = Profile::new(&ProfileConfig::default()).expect("the default profile");
        let mut fits = Vec::new();
        let known = Glance::default().fits(&fixture.cluster, &profile, (spec, claims), &[node], &mut fits);
        assert_eq!(fits.len(), usize::from(known));
        fits.pop()
    }

    #[test]
    fn room_and_volumes_that_just_suffice() {
        let (mut fixture, node, spec, claims) = setup();
        let all = Fit { volumes: true, resources: true, others: true };
        assert_eq!(look(&mut fixture, node, &spec, &claims), Some(all));
        let more =
            PodSpec { requests: Resources { cpu_milli: 1001, ..Resources::default() }, ..spec.clone() };
        assert_eq!(look(&mut fixture, node, &more, &claims), Some(Fit { resources: false, ..all }));
        for amounts in [
            Resources { memory_bytes: 1, ..Resources::default() },
            Resources { ephemeral_bytes: 1, ..Resources::default() },
            Resources { scalars: vec![(sym::RACK, 1)], ..Resources::default() },
        ] {
            let more = PodSpec { requests: amounts, ..spec.clone() };
            assert_eq!(look(&mut fixture, node, &more, &claims), Some(Fit { resources: false, ..all }));
        }
        fixture.cluster.set_node_unschedulable(node, true);
        let said = look(&mut fixture, node, &spec, &claims);
        assert_eq!(
            said,
            Some(Fit { volumes: false, resources: true, others: false }),
            "volumes are not asked"
        );
        fixture.cluster.set_node_unschedulable(node, false);
        fixture.cluster.set_node_allocatable(node, Resources { cpu_milli: 1000, ..Resources::default() }, 0);
        assert_eq!(
            look(&mut fixture, node, &spec, &claims),
            Some(Fit { resources: false, ..all }),
            "no pod at all"
        );
    }

    #[test]
    fn what_arithmetic_does_not_cover_is_left_to_the_plugins() {
        let (_, _, spec, _) = setup();
        let port = HostPort { ip: sym::ANY_IP, protocol: sym::EMPTY, port: 80 };
        let specs = [
            PodSpec { host_ports: vec![port], ..spec.clone() },
            PodSpec { affinity: Some(Box::new(Affinity::default())), ..spec.clone() },
            PodSpec { volumes: Vec::new(), ..spec.clone() },
            PodSpec {
                volumes: vec![PodVolume::Ephemeral { suffix: sym::RACK, claim: None }],
                ..spec.clone()
            },
        ];
        for (index, odd) in specs.iter().enumerate() {
            let (mut fixture, node, _, claims) = setup();
            assert_eq!(look(&mut fixture, node, odd, &claims), None, "spec {index}");
        }
        type Change = fn(&mut Fixture);
        let changes: [(&str, Change); 4] = [
            ("a volume that is not of one host", |f| {
                f.volume("wide 1Gi RWO class=wffc Available");
            }),
            ("a volume of a size that is no whole number of bytes", |f| {
                f.volume("odd 1500m RWO class=wffc host=n Available");
            }),
            ("a node with CSI drivers", |f| {
                let name = f.sym("n");
                f.cluster.set_csi_node(name, Default::default());
            }),
            ("a pod that keeps others away", |f| {
                let pod = f.pod("apart", &[]);
                let mut row = f.cluster.pod(pod).clone();
                let term = crate::model::spec::PodAffinityTerm {
                    topology_key: sym::ZONE,
                    selector: crate::model::labels::LabelSelector::everything(),
                    namespaces: vec![],
                    namespace_selector: crate::model::labels::LabelSelector::everything(),
                };
                let affinity = Affinity { anti_required: vec![term], ..Affinity::default() };
                let spec = PodSpec { affinity: Some(Box::new(affinity)), ..f.cluster.spec_of(pod).clone() };
                f.cluster.remove_pod(pod);
                row.spec = f.cluster.intern_spec(spec);
                let pod = f.cluster.add_pod(row).expect("new");
                let name = f.sym("n");
                let node = f.cluster.node_by_name(name).expect("n");
                f.cluster.bind_pod(pod, node);
            }),
        ];
        for (what, change) in changes {
            let (mut fixture, node, spec, claims) = setup();
            change(&mut fixture);
            assert_eq!(look(&mut fixture, node, &spec, &claims), None, "{what}");
        }
    }
}
