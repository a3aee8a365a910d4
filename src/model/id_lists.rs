//! Rows by a key that they hold themselves: the table keeps nothing but their ids.

use super::ids::Id;
use hashbrown::HashTable;

/// Ids by the hash of a key, in order of insertion where several have the same. Mostly one has: then it takes one word.
#[derive(Clone, Debug)]
pub struct IdLists<I> {
    /// Ids, or from `LIST` on places in `lists`.
    table: HashTable<I>,
    lists: Vec<Vec<I>>,
    free: Vec<u32>,
}

/// The first number that is no row but a list.
const LIST: usize = 1 << 31;

impl<I> Default for IdLists<I> {
    fn default() -> Self {
        IdLists { table: HashTable::new(), lists: Vec::new(), free: Vec::new() }
    }
}

fn members<'l, I: Id>(lists: &'l [Vec<I>], entry: &'l I) -> &'l [I] {
    match entry.index().checked_sub(LIST) {
        None => std::slice::from_ref(entry),
        Some(list) => &lists[list],
    }
}

impl<I: Id> IdLists<I> {
    /// All ids of a key. `has_key`: the row has it.
    pub fn get(&self, hash: u64, has_key: impl Fn(I) -> bool) -> &[I] {
        let is = |entry: &I| members(&self.lists, entry).first().is_some_and(|id| has_key(*id));
        self.table.find(hash, is).map_or(&[], |entry| members(&self.lists, entry))
    }
    /// Adds an id whose row has a key of this hash. `hash_of`: the hash of a row's key.
    pub fn insert(&mut self, id: I, hash: u64, has_key: impl Fn(I) -> bool, hash_of: impl Fn(I) -> u64) {
        debug_assert!(id.index() < LIST);
        let lists = &self.lists;
        let is = |entry: &I| members(lists, entry).first().is_some_and(|id| has_key(*id));
        let Ok(entry) = self.table.find_entry(hash, is) else {
            let lists = &self.lists;
            let hash_of = |entry: &I| members(lists, entry).first().map_or(0, |id| hash_of(*id));
            self.table.insert_unique(hash, id, hash_of);
            return;
        };
        let entry = entry.into_mut();
        match entry.index().checked_sub(LIST) {
            Some(list) => self.lists[list].push(id),
            None => {
                let pair = vec![*entry, id];
                let list = match self.free.pop() {
                    Some(list) => {
                        self.lists[list as usize] = pair;
                        list as usize
                    }
                    None => {
                        self.lists.push(pair);
                        self.lists.len() - 1
                    }
                };
                *entry = I::new(LIST + list);
            }
        }
    }
    /// Takes an id out, given the hash of the key that it was added with.
    pub fn remove(&mut self, id: I, hash: u64) {
        let lists = &self.lists;
        let Ok(entry) = self.table.find_entry(hash, |entry| members(lists, entry).contains(&id)) else {
            return;
        };
        match entry.get().index().checked_sub(LIST) {
            None => {
                entry.remove();
            }
            Some(list) => {
                self.lists[list].retain(|other| *other != id);
                if let [last] = self.lists[list][..] {
                    *entry.into_mut() = last;
                    self.lists[list] = Vec::new();
                    self.free.push(list as u32);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::VolumeId;

    #[test]
    fn equal_keys_keep_their_order() {
        // The key of a row is its number modulo 10, the hash is worse still.
        let (key, hash) = (|id: VolumeId| id.row() % 10, |key: u32| u64::from(key % 3) << 57);
        let mut lists = IdLists::default();
        let rows = |lists: &IdLists<VolumeId>, wanted: u32| -> Vec<u32> {
            lists.get(hash(wanted), |id| key(id) == wanted).iter().map(|id| id.row()).collect()
        };
        for row in [7, 27, 4, 17, 1, 11] {
            let id = VolumeId::at(row);
            lists.insert(id, hash(key(id)), |other| key(other) == key(id), |other| hash(key(other)));
        }
        assert_eq!(
            (rows(&lists, 7), rows(&lists, 4), rows(&lists, 1)),
            (vec![7, 27, 17], vec![4], vec![1, 11])
        );
        let remove = |lists: &mut IdLists<VolumeId>, row: u32| {
            let id = VolumeId::at(row);
            lists.remove(id, hash(key(id)));
        };
        for row in [27, 4, 7, 5] {
            remove(&mut lists, row);
        }
        assert_eq!((rows(&lists, 7), rows(&lists, 4)), (vec![17], vec![]));
        let id = VolumeId::at(37);
        lists.insert(id, hash(7), |other| key(other) == 7, |other| hash(key(other)));
        assert_eq!((rows(&lists, 7), lists.lists.len()), (vec![17, 37], 2), "the list of two is used again");
        remove(&mut lists, 17);
        remove(&mut lists, 37);
        assert_eq!((rows(&lists, 7), rows(&lists, 1)), (vec![], vec![1, 11]));
    }
}
