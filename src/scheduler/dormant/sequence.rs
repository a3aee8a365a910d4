//! Pods in the order in which they were tried last, as a balanced tree: ranges of them are requeued, counted as tried and moved
//! behind the others without a look at each.
//!
//! A treap: a binary tree in order of position and a heap of random weights, so its depth stays logarithmic. What is done to a
//! range is noted at the root of its subtree and handed down when somebody passes.

use crate::engine::time::SimTime;
use crate::model::ids::PodId;

/// Where a pod waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// For an event.
    Pool = 0,
    /// To be tried.
    Active = 1,
    /// For the end of its backoff.
    Backoff = 2,
}

impl Place {
    const ALL: [Place; 3] = [Place::Pool, Place::Active, Place::Backoff];
}

/// No node of the tree.
pub const NIL: u32 = u32::MAX;

/// A set of numbers below 32: there is one for each place in each node of a tree.
pub type Bits = u32;

/// What is in a subtree, by place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Bits of kinds modulo 32: one that is not there may seem to be.
    pub kinds: [Bits; 3],
    /// Numbers of sets of rejecting plugins, exactly.
    pub rejectors: [Bits; 3],
    /// A pod that has to be asked again, whatever is known of its kind.
    pub doubtful: [bool; 3],
}

/// The bit of a kind in [`Sum::kinds`].
pub fn kind_bit(kind: usize) -> Bits {
    1 << (kind as u32 % Bits::BITS)
}

impl Sum {
    /// Is any pod there?
    pub fn any(&self, place: Place) -> bool {
        self.rejectors[place as usize] != 0
    }
    /// Is no pod anywhere else?
    pub fn only(&self, place: Place) -> bool {
        Place::ALL.iter().all(|other| *other == place || !self.any(*other))
    }
    fn merge(&mut self, other: &Sum) {
        for i in 0..3 {
            self.kinds[i] |= other.kinds[i];
            self.rejectors[i] |= other.rejectors[i];
            self.doubtful[i] |= other.doubtful[i];
        }
    }
    fn moved(&self, to: [Place; 3]) -> Sum {
        let mut sum = Sum::default();
        for (from, to) in to.into_iter().enumerate() {
            let to = to as usize;
            sum.kinds[to] |= self.kinds[from];
            sum.rejectors[to] |= self.rejectors[from];
            sum.doubtful[to] |= self.doubtful[from];
        }
        sum
    }
}

/// What is to be done to a whole subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    /// New place by old place.
    to: [Place; 3],
    /// Tried again without success: when, and the sequence number of that round.
    tried: Option<(SimTime, u64)>,
    rounds: u32,
}

impl Order {
    const NOTHING: Order = Order { to: Place::ALL, tried: None, rounds: 0 };

    fn then(self, next: Order) -> Order {
        Order {
            to: self.to.map(|place| next.to[place as usize]),
            tried: next.tried.or(self.tried),
            rounds: self.rounds.saturating_add(next.rounds),
        }
    }
}

/// One pod.
#[derive(Clone, Debug)]
pub struct Item {
    /// Which pod.
    pub pod: PodId,
    /// Number of its kind.
    pub kind: u32,
    /// Number of its set of rejecting plugins, below [`Bits::BITS`].
    pub rejectors: u8,
    /// Where it waits.
    pub place: Place,
    /// It has to be asked again.
    pub doubtful: bool,
    /// When it was tried last.
    pub stamp: SimTime,
    /// Sequence number of that round; equal for all pods of one round, whose order is that of the sequence.
    pub seq: u64,
    /// Of the pod's uid.
    pub epoch: u32,
    /// How often it had failed when it fell asleep.
    pub failures: u32,
    /// How often it was counted as tried, as long as a pod's attempts can be counted.
    pub rounds: u32,
}

/// A hundred thousand stuck pods are as many nodes: they are kept small.
#[derive(Clone, Debug)]
struct Node {
    item: Item,
    left: u32,
    right: u32,
    parent: u32,
    size: u32,
    sum: Sum,
    /// What is still to be handed down, in [`Forest::orders`], or `NIL`.
    order: u32,
}

const _: () = assert!(size_of::<Node>() <= 88);

/// The nodes of all trees; a tree is the index of its root.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    nodes: Vec<Node>,
    free: Vec<u32>,
    orders: Vec<Order>,
    free_orders: Vec<u32>,
}

/// The weight of a node: any sequence without pattern will do (the finalizer of MurmurHash3).
fn weight(node: u32) -> u32 {
    let mut mixed = node.wrapping_add(0x9e37_79b9);
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

impl Forest {
    /// A tree of one pod.
    pub fn single(&mut self, item: Item) -> u32 {
        let sum = own_sum(&item);
        let node = Node { item, left: NIL, right: NIL, parent: NIL, size: 1, sum, order: NIL };
        match self.free.pop() {
            Some(slot) => {
                self.nodes[slot as usize] = node;
                slot
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        }
    }
    /// Number of pods of a tree.
    pub fn len(&self, root: u32) -> usize {
        if root == NIL { 0 } else { self.nodes[root as usize].size as usize }
    }
    /// A pod that [`Forest::find`] found, or one whose place and rounds do not matter: those may be out of date.
    pub fn item(&self, node: u32) -> &Item {
        &self.nodes[node as usize].item
    }
    /// What is in a tree.
    pub fn sum(&self, root: u32) -> Sum {
        if root == NIL { Sum::default() } else { self.nodes[root as usize].sum }
    }

    fn pull(&mut self, at: u32) {
        let (left, right) = (self.nodes[at as usize].left, self.nodes[at as usize].right);
        let mut sum = own_sum(&self.nodes[at as usize].item);
        let mut size = 1;
        for child in [left, right] {
            if child != NIL {
                let child = &mut self.nodes[child as usize];
                child.parent = at;
                sum.merge(&child.sum);
                size += child.size;
            }
        }
        let node = &mut self.nodes[at as usize];
        (node.sum, node.size) = (sum, size);
    }
    fn give(&mut self, at: u32, order: Order) {
        if at == NIL {
            return;
        }
        let node = &mut self.nodes[at as usize];
        node.item.place = order.to[node.item.place as usize];
        if let Some((stamp, seq)) = order.tried {
            (node.item.stamp, node.item.seq) = (stamp, seq);
        }
        node.item.rounds = node.item.rounds.saturating_add(order.rounds);
        node.sum = node.sum.moved(order.to);
        if node.left == NIL && node.right == NIL {
            return; // nobody to hand it down to
        }
        match self.orders.get_mut(node.order as usize) {
            Some(waiting) => *waiting = waiting.then(order),
            None => match self.free_orders.pop() {
                Some(slot) => {
                    self.orders[slot as usize] = order;
                    node.order = slot;
                }
                None => {
                    node.order = self.orders.len() as u32;
                    self.orders.push(order);
                }
            },
        }
    }
    fn push(&mut self, at: u32) {
        let node = &mut self.nodes[at as usize];
        if node.order == NIL {
            return;
        }
        let (left, right, slot) = (node.left, node.right, node.order);
        node.order = NIL;
        self.free_orders.push(slot);
        let order = self.orders[slot as usize];
        self.give(left, order);
        self.give(right, order);
    }

    /// When all pods below a node were tried, if that has still to be handed down to them.
    fn tried_together(&self, at: u32) -> Option<(SimTime, u64)> {
        self.orders.get(self.nodes[at as usize].order as usize)?.tried
    }

    /// One tree after the other.
    pub fn join(&mut self, a: u32, b: u32) -> u32 {
        if a == NIL || b == NIL {
            let root = if a == NIL { b } else { a };
            if root != NIL {
                self.nodes[root as usize].parent = NIL;
            }
            return root;
        }
        let root = if weight(a) >= weight(b) {
            self.push(a);
            let right = self.nodes[a as usize].right;
            self.nodes[a as usize].right = self.join(right, b);
            a
        } else {
            self.push(b);
            let left = self.nodes[b as usize].left;
            self.nodes[b as usize].left = self.join(a, left);
            b
        };
        self.pull(root);
        self.nodes[root as usize].parent = NIL;
        root
    }
    /// The first `count` pods, and the others.
    pub fn split(&mut self, root: u32, count: usize) -> (u32, u32) {
        if count == 0 || root == NIL {
            return (NIL, root);
        }
        if count >= self.len(root) {
            return (root, NIL);
        }
        self.push(root);
        let (left, right) = (self.nodes[root as usize].left, self.nodes[root as usize].right);
        let before = self.len(left);
        let (a, b) = if count <= before {
            let (a, b) = self.split(left, count);
            self.nodes[root as usize].left = b;
            self.pull(root);
            (a, root)
        } else {
            let (a, b) = self.split(right, count - before - 1);
            self.nodes[root as usize].right = a;
            self.pull(root);
            (root, b)
        };
        for part in [a, b] {
            if part != NIL {
                self.nodes[part as usize].parent = NIL;
            }
        }
        (a, b)
    }
    /// How many pods come before the first one of which `before` does not hold, by when it was tried and in which round; it must hold of a
    /// beginning of the sequence.
    pub fn count_while(&mut self, root: u32, before: impl Fn(SimTime, u64) -> bool) -> usize {
        let (mut at, mut count) = (root, 0);
        while at != NIL {
            let node = &self.nodes[at as usize];
            let holds = before(node.item.stamp, node.item.seq);
            count += if holds { self.len(node.left) + 1 } else { 0 };
            let next = if holds { node.right } else { node.left };
            if let Some((stamp, seq)) = self.tried_together(at) {
                // All of them were tried together.
                return count + if before(stamp, seq) { self.len(next) } else { 0 };
            }
            self.push(at);
            at = next;
        }
        count
    }
    /// When the first pod was tried, and in which round.
    pub fn first(&mut self, root: u32) -> Option<(SimTime, u64)> {
        let mut at = root;
        loop {
            let node = self.nodes.get(at as usize)?;
            if node.left == NIL {
                return Some((node.item.stamp, node.item.seq));
            }
            let (left, tried) = (node.left, self.tried_together(at));
            if tried.is_some() {
                return tried;
            }
            self.push(at);
            at = left;
        }
    }
    /// The same of the first pod in a place.
    pub fn first_in(&mut self, root: u32, place: Place) -> Option<(SimTime, u64)> {
        let mut at = root;
        loop {
            let sum = self.sum(at);
            if !sum.any(place) {
                return None;
            }
            if sum.only(place) {
                return self.first(at);
            }
            self.push(at);
            let node = &self.nodes[at as usize];
            at = if self.sum(node.left).any(place) {
                node.left
            } else if node.item.place == place {
                return Some((node.item.stamp, node.item.seq));
            } else {
                node.right
            };
        }
    }
    /// Position and node of the first pod that `is` accepts, asking only subtrees that `may` contain one.
    pub fn find(
        &mut self,
        root: u32,
        may: &dyn Fn(&Sum) -> bool,
        is: &dyn Fn(&Item) -> bool,
    ) -> Option<(usize, u32)> {
        if root == NIL || !may(&self.nodes[root as usize].sum) {
            return None;
        }
        self.push(root);
        let (left, right) = (self.nodes[root as usize].left, self.nodes[root as usize].right);
        if let Some(found) = self.find(left, may, is) {
            return Some(found);
        }
        let before = self.len(left);
        if is(&self.nodes[root as usize].item) {
            return Some((before, root));
        }
        self.find(right, may, is).map(|(position, at)| (position + before + 1, at))
    }
    /// Separates the pods of one place from the others; both keep their order.
    pub fn part(&mut self, root: u32, place: Place) -> (u32, u32) {
        if root == NIL {
            return (NIL, NIL);
        }
        let sum = self.nodes[root as usize].sum;
        if !sum.any(place) {
            return (NIL, root);
        }
        if sum.only(place) {
            return (root, NIL);
        }
        self.push(root);
        let (left, right) = (self.nodes[root as usize].left, self.nodes[root as usize].right);
        let own = self.nodes[root as usize].item.place == place;
        let (taken_left, kept_left) = self.part(left, place);
        let (taken_right, kept_right) = self.part(right, place);
        let node = &mut self.nodes[root as usize];
        (node.left, node.right) = (NIL, NIL);
        self.pull(root);
        let (taken_self, kept_self) = if own { (root, NIL) } else { (NIL, root) };
        let taken = self.join(taken_left, taken_self);
        let kept = self.join(kept_left, kept_self);
        (self.join(taken, taken_right), self.join(kept, kept_right))
    }
    /// Moves all pods of one place to another.
    pub fn shift(&mut self, root: u32, from: Place, to: Place) {
        let mut all = Place::ALL;
        all[from as usize] = to;
        self.give(root, Order { to: all, ..Order::NOTHING });
    }
    /// Moves the pods of the pool whose set of rejecting plugins is among `hit` to another place.
    pub fn requeue(&mut self, root: u32, hit: Bits, to: Place) {
        if root == NIL {
            return;
        }
        let waiting = self.nodes[root as usize].sum.rejectors[Place::Pool as usize];
        if waiting & hit == 0 {
            return;
        }
        if waiting & !hit == 0 {
            return self.shift(root, Place::Pool, to);
        }
        self.push(root);
        let (left, right) = (self.nodes[root as usize].left, self.nodes[root as usize].right);
        self.requeue(left, hit, to);
        self.requeue(right, hit, to);
        let item = &mut self.nodes[root as usize].item;
        if item.place == Place::Pool && hit >> item.rejectors & 1 == 1 {
            item.place = to;
        }
        self.pull(root);
    }
    /// All pods of the tree were tried in vain.
    pub fn tried(&mut self, root: u32, now: SimTime, seq: u64) {
        self.give(root, Order { to: [Place::Pool; 3], tried: Some((now, seq)), rounds: 1 });
    }
    /// The tree that a node is in, and how many pods come before it.
    pub fn position(&self, node: u32) -> (u32, usize) {
        let mut at = node;
        let mut before = self.len(self.nodes[at as usize].left);
        while self.nodes[at as usize].parent != NIL {
            let parent = self.nodes[at as usize].parent;
            let above = &self.nodes[parent as usize];
            if above.right == at {
                before += self.len(above.left) + 1;
            }
            at = parent;
        }
        (at, before)
    }
    /// Changes a pod in place; `root` is its tree.
    pub fn change(&mut self, root: u32, position: usize, change: impl FnOnce(&mut Item)) {
        let mut path = Vec::new();
        let (mut at, mut rest) = (root, position);
        while at != NIL {
            self.push(at);
            path.push(at);
            let before = self.len(self.nodes[at as usize].left);
            match rest.cmp(&before) {
                std::cmp::Ordering::Less => at = self.nodes[at as usize].left,
                std::cmp::Ordering::Equal => break,
                std::cmp::Ordering::Greater => {
                    rest -= before + 1;
                    at = self.nodes[at as usize].right;
                }
            }
        }
        if at != NIL {
            change(&mut self.nodes[at as usize].item);
        }
        for at in path.into_iter().rev() {
            self.pull(at);
        }
    }
    /// Takes a pod out. Returns what is left of its tree, and the pod.
    pub fn take(&mut self, root: u32, position: usize) -> (u32, Option<Item>) {
        let (before, rest) = self.split(root, position);
        let (one, after) = self.split(rest, 1);
        let left = self.join(before, after);
        if one == NIL {
            return (left, None);
        }
        self.free.push(one);
        (left, Some(self.nodes[one as usize].item.clone()))
    }
    /// Hands out all pods of a tree, in order. The forest is of no use after that.
    pub fn drain(&mut self, root: u32, out: &mut impl FnMut(&Item)) {
        if root == NIL {
            return;
        }
        self.push(root);
        let (left, right) = (self.nodes[root as usize].left, self.nodes[root as usize].right);
        self.drain(left, out);
        out(&self.nodes[root as usize].item);
        self.drain(right, out);
    }
}

fn own_sum(item: &Item) -> Sum {
    let (mut sum, place) = (Sum::default(), item.place as usize);
    sum.kinds[place] = kind_bit(item.kind as usize);
    sum.rejectors[place] = 1 << item.rejectors;
    sum.doubtful[place] = item.doubtful;
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(pod: u32) -> Item {
        let (kind, rejectors) = (pod % 5, (pod % 3) as u8);
        let stamp = SimTime::ZERO;
        Item {
            pod: PodId::at(pod),
            kind,
            rejectors,
            place: Place::Pool,
            doubtful: false,
            stamp,
            seq: 0,
            epoch: 0,
            failures: 0,
            rounds: 0,
        }
    }

    #[test]
    fn events_requeue_those_whom_they_concern_and_nobody_else() {
        // All pods have rejectors 1; the event concerns exactly those, more than those, others.
        for (hit, moved) in [(0b010, 8), (0b011, 8), (0b111, 8), (0b101, 0), (0, 0)] {
            let (mut forest, mut root) = (Forest::default(), NIL);
            for pod in 0..8 {
                let one = forest.single(Item { rejectors: 1, ..item(pod) });
                root = forest.join(root, one);
            }
            forest.requeue(root, hit, Place::Backoff);
            let (gone, rest) = forest.part(root, Place::Backoff);
            assert_eq!((forest.len(gone), forest.len(rest)), (moved, 8 - moved), "{hit:b}");
        }
    }

    proptest! {
        /// Whatever is done in whatever order, the tree is the list.
        #[test]
        fn agrees_with_a_list(steps in prop::collection::vec((0u8..7, any::<u16>()), 0..120)) {
            let (mut forest, mut root) = (Forest::default(), NIL);
            let mut list: Vec<Item> = Vec::new();
            for (step, (what, n)) in steps.into_iter().enumerate() {
                let (n, now) = (usize::from(n), SimTime::from_secs(step as u64));
                match what {
                    0 | 1 => {
                        let new = item(step as u32);
                        let one = forest.single(new.clone());
                        root = forest.join(root, one);
                        list.push(new);
                    }
                    2 => {
                        let hit = n as Bits % 8;
                        forest.requeue(root, hit, Place::Active);
                        let pool = list.iter_mut().filter(|i| i.place == Place::Pool);
                        pool.filter(|i| hit >> i.rejectors & 1 == 1).for_each(|i| i.place = Place::Active);
                    }
                    3 => {
                        let (active, others) = forest.part(root, Place::Active);
                        forest.tried(active, now, step as u64);
                        root = forest.join(others, active);
                        let (mut active, others): (Vec<Item>, Vec<Item>) =
                            list.into_iter().partition(|i| i.place == Place::Active);
                        for i in &mut active {
                            (i.place, i.stamp, i.seq, i.rounds) = (Place::Pool, now, step as u64, i.rounds + 1);
                        }
                        list = others.into_iter().chain(active).collect();
                    }
                    4 if !list.is_empty() => {
                        let at = n % list.len();
                        let (rest, taken) = forest.take(root, at);
                        root = rest;
                        prop_assert_eq!(taken.map(|i| i.pod), Some(list.remove(at).pod));
                    }
                    5 if !list.is_empty() => {
                        let at = n % list.len();
                        forest.change(root, at, |i| i.doubtful = true);
                        list[at].doubtful = true;
                    }
                    _ => {
                        let wanted = |i: &Item| i.place == Place::Active && i.kind == n as u32 % 5;
                        let may = |s: &Sum| s.kinds[Place::Active as usize] >> (n % 5) & 1 == 1;
                        let found = forest.find(root, &may, &wanted);
                        prop_assert_eq!(found.map(|f| f.0), list.iter().position(wanted));
                        if let Some((position, node)) = found {
                            prop_assert_eq!(forest.position(node), (root, position));
                        }
                    }
                }
                prop_assert_eq!(forest.len(root), list.len());
                let mut sum = Sum::default();
                list.iter().for_each(|i| sum.merge(&own_sum(i)));
                prop_assert_eq!(forest.sum(root), sum);
                let tried = |item: &Item| (item.stamp, item.seq);
                prop_assert_eq!(forest.first(root), list.first().map(tried));
                for place in Place::ALL {
                    let first = list.iter().find(|i| i.place == place);
                    prop_assert_eq!(forest.first_in(root, place), first.map(tried));
                }
                if list.is_sorted_by_key(tried) {
                    let middle = list.get(list.len() / 2).map(tried);
                    let before = |stamp, seq| Some((stamp, seq)) < middle;
                    let count = list.iter().take_while(|i| before(i.stamp, i.seq)).count();
                    prop_assert_eq!(forest.count_while(root, before), count);
                }
            }
            let mut drained = Vec::new();
            forest.drain(root, &mut |item| drained.push(item.clone()));
            let key = |i: &Item| (i.pod, i.place, i.doubtful, i.stamp, i.seq, i.rounds);
            prop_assert_eq!(drained.iter().map(key).collect::<Vec<_>>(), list.iter().map(key).collect::<Vec<_>>());
        }
    }
}
