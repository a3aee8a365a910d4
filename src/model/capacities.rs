//! CSIStorageCapacity objects, found by the nodes that they are about.

use super::labels::{LabelOperator, LabelSelector, LabelSet};
use super::names::{Names, Sym};
use super::volume::StorageCapacity;
use rustc_hash::FxHashMap;

/// All CSIStorageCapacity objects of a cluster. Drivers publish one per node and class, whose topology is one label with one value: those
/// are found by that label.
#[derive(Clone, Debug, Default)]
pub struct Capacities {
    objects: Vec<StorageCapacity>,
    by_name: FxHashMap<(Sym, Sym), u32>,
    by_label: FxHashMap<(Sym, Sym), Vec<u32>>,
    /// Keys of these labels.
    keys: Vec<Sym>,
    /// All others.
    general: Vec<u32>,
}

/// The label that the selector asks for, if it asks for one label with one value and nothing else.
pub(super) fn single_label(selector: &LabelSelector) -> Option<(Sym, Sym)> {
    let LabelSelector::Requirements(all) = selector else { return None };
    match &**all {
        [r] if r.operator == LabelOperator::In && r.values.len() == 1 => Some((r.key, r.values[0])),
        _ => None,
    }
}

impl StorageCapacity {
    /// What a volume may have at most in bytes: `maximumVolumeSize` decides if it is given, else `capacity`.
    pub fn limit(&self) -> Option<i64> {
        self.maximum_volume_size.or(self.capacity).map(|limit| limit.value())
    }
}

impl Capacities {
    /// All objects, in the order in which they came.
    pub fn all(&self) -> &[StorageCapacity] {
        &self.objects
    }
    /// The object of this namespace and name.
    pub fn get(&self, namespace: Sym, name: Sym) -> Option<&StorageCapacity> {
        self.by_name.get(&(namespace, name)).map(|place| &self.objects[*place as usize])
    }
    /// Adds or replaces an object; returns the former one.
    pub(super) fn set(&mut self, object: StorageCapacity) -> Option<StorageCapacity> {
        let next = self.objects.len() as u32;
        let place = *self.by_name.entry((object.namespace, object.name)).or_insert(next);
        let topology = object.topology.clone();
        if place == next {
            self.objects.push(object);
            self.list(place, topology.as_ref());
            return None;
        }
        let old = std::mem::replace(&mut self.objects[place as usize], object);
        if old.topology != topology {
            self.unlist(place, old.topology.as_ref());
            self.list(place, topology.as_ref());
        }
        Some(old)
    }
    fn list(&mut self, place: u32, topology: Option<&LabelSelector>) {
        match topology.map(single_label) {
            None => {} // no node at all
            Some(None) => self.general.push(place),
            Some(Some(label)) => {
                self.by_label.entry(label).or_default().push(place);
                if !self.keys.contains(&label.0) {
                    self.keys.push(label.0);
                }
            }
        }
    }
    fn unlist(&mut self, place: u32, topology: Option<&LabelSelector>) {
        match topology.map(single_label) {
            None => {}
            Some(None) => self.general.retain(|other| *other != place),
            Some(Some(label)) => {
                if let Some(list) = self.by_label.get_mut(&label) {
                    list.retain(|other| *other != place);
                }
            }
        }
    }
    /// The objects of a class whose topology a node with these labels has, in no particular order.
    pub fn of_node(&self, class: Sym, labels: &LabelSet) -> impl Iterator<Item = &StorageCapacity> {
        let listed = |key: &Sym| labels.get(*key).and_then(|value| self.by_label.get(&(*key, value)));
        let by_label =
            self.keys.iter().filter_map(listed).flatten().map(|place| &self.objects[*place as usize]);
        let general = self.general.iter().map(|place| &self.objects[*place as usize]);
        let matches = |object: &&StorageCapacity| object.topology.as_ref().is_some_and(|t| t.matches(labels));
        by_label.chain(general.filter(matches)).filter(move |object| object.class == class)
    }
    /// Of those the first one, by namespace and name, in which so many bytes fit.
    pub fn sufficient(
        &self,
        names: &Names,
        class: Sym,
        labels: &LabelSet,
        bytes: i64,
    ) -> Option<&StorageCapacity> {
        let fits = |object: &&StorageCapacity| object.limit().is_some_and(|limit| limit >= bytes);
        let key = |object: &&StorageCapacity| (names.text(object.namespace), names.text(object.name));
        self.of_node(class, labels).filter(fits).min_by(|a, b| key(a).cmp(&key(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::labels::LabelRequirement;
    use crate::model::names::sym;
    use crate::model::quantity::Quantity;

    fn requirement(key: Sym, values: &[Sym]) -> LabelRequirement {
        LabelRequirement { key, operator: LabelOperator::In, values: values.into() }
    }

    #[test]
    fn objects_are_found_by_the_labels_of_nodes() {
        let mut names = Names::default();
        let mut sym = |text: &str| names.intern(text);
        let (class, other, ns) = (sym("lvm"), sym("other"), sym("kube-system"));
        let (a, b, zone) = (sym("a"), sym("b"), sym("z"));
        let [n1, n2, n3, n4] = ["c1", "c2", "c3", "c4"].map(&mut sym);
        let object = |name, class, topology: &[LabelRequirement], capacity: u128, largest: Option<u128>| {
            StorageCapacity {
                namespace: ns,
                name,
                class,
                topology: (!topology.is_empty()).then(|| LabelSelector::Requirements(topology.into())),
                capacity: Some(Quantity::from_bytes(capacity)),
                maximum_volume_size: largest.map(Quantity::from_bytes),
            }
        };
        let host = |values: &[Sym]| requirement(sym::HOSTNAME, values);
        let mut all = Capacities::default();
        assert!(all.set(object(n2, class, &[host(&[a])], 100, Some(40))).is_none());
        assert!(all.set(object(n1, class, &[host(&[a, b])], 60, None)).is_none());
        assert!(all.set(object(n3, class, &[], 500, None)).is_none());
        assert!(all.set(object(n4, other, &[host(&[a])], 700, None)).is_none());
        let on = |host: Sym| LabelSet::new(vec![(sym::HOSTNAME, host), (sym::ZONE, zone)]);
        let found =
            |all: &Capacities, host, bytes| all.sufficient(&names, class, &on(host), bytes).map(|o| o.name);
        assert_eq!(found(&all, a, 30), Some(n1), "the first by name");
        assert_eq!(found(&all, a, 61), None, "the largest volume counts, not the sum; other classes do not");
        assert_eq!((found(&all, b, 60), found(&all, zone, 1)), (Some(n1), None));
        // It moves to the zone.
        let moved = object(n1, class, &[requirement(sym::ZONE, &[zone])], 60, None);
        assert_eq!(all.set(moved).and_then(|old| old.limit()), Some(60));
        assert_eq!(
            (found(&all, b, 60), found(&all, zone, 60), found(&all, a, 41)),
            (Some(n1), Some(n1), Some(n1))
        );
        assert_eq!((all.all().len(), all.get(ns, n2).and_then(StorageCapacity::limit)), (4, Some(40)));
        assert_eq!(all.of_node(class, &on(a)).count(), 2);
    }
}
