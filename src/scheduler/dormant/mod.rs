//! Pods whose next attempts are known to fail: Kubernetes retries them at every event that concerns one of their rejectors, and
//! here those attempts are counted, with their effects on the queue, without being made.
//!
//! A pod falls asleep when it failed for a reason that can be watched (a [`Condition`]): no node takes its kind, its own node
//! lacks room, its claims are not bound. Events requeue sleeping pods as they do others. When such pods come up, their kinds are
//! judged: those that fail as before are moved behind the others as a whole; the first that might not fail is tried in earnest.
//!
//! What this rests on: all sleeping pods of one priority stand in one sequence in order of their last attempts, and pods that are
//! requeued and fail together keep their order. So a round over a hundred thousand of them is a few moves of subtrees.

pub mod sequence;

use self::sequence::{Bits, Forest, Item, NIL, Place, Sum, kind_bit};
use super::cycle::Unschedulable;
use super::framework::PluginName;
use super::queue::PluginSet;
use crate::engine::time::SimTime;
use crate::model::cluster::Cluster;
use crate::model::ids::{Id, NodeId, PodId, SpecId};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// How a pod fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What its condition says.
    pub result: Unschedulable,
    /// Who rejected it.
    pub rejectors: Vec<PluginName>,
}

/// Why a pod fails, such that it fails again as long as that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// No node takes pods of this class of the fast path; or, if their volumes are bound, not their own nodes.
    Class {
        /// Index of the profile.
        profile: usize,
        /// Number of the class.
        class: u64,
        /// The pods have claims that wait for a volume.
        with_claims: bool,
    },
    /// The PV controller has not bound a claim of the pod.
    Claims {
        /// The cluster's configuration at that time.
        config: u64,
        /// Index of the profile.
        profile: usize,
        /// What the pods ask for.
        spec: SpecId,
    },
}

/// A failure that may be slept over.
#[derive(Clone, Debug)]
pub struct Doze {
    /// Why the pod failed.
    pub condition: Condition,
    /// The nodes that its bound volumes allow.
    pub homes: Vec<NodeId>,
    /// How it failed.
    pub known: Arc<Known>,
}

/// Knows whether pods still fail.
pub trait Oracle {
    /// How pods fail now that failed under this condition, as `former` the last time. `None`: they may not fail any more.
    fn still_fails(
        &mut self,
        cluster: &Cluster,
        condition: &Condition,
        former: &Arc<Known>,
    ) -> Option<Arc<Known>>;
    /// Might a pod now run on this node of its own? Asked after [`Oracle::still_fails`].
    fn may_take(&self, condition: &Condition, home: NodeId) -> bool;
}

/// A pod that was taken out.
#[derive(Clone, Debug)]
pub struct Woken {
    /// Which pod.
    pub pod: PodId,
    /// Attempts that were counted while it slept.
    pub rounds: u64,
    /// How the last of them failed.
    pub known: Arc<Known>,
    /// Of the pod's uid.
    pub epoch: u32,
    /// How often it had failed when it fell asleep.
    pub failures: u32,
    /// Its priority.
    pub priority: i32,
    /// Who rejected it.
    pub rejectors: PluginSet,
}

/// All pods that fail under one condition and wait for the same events.
#[derive(Clone, Debug)]
struct Kind {
    condition: Condition,
    set: u8,
    pods: usize,
    /// How pods of rounds from this sequence number on failed, oldest first.
    history: Vec<(u64, Arc<Known>)>,
    /// What the last judgement said.
    fails: Option<Arc<Known>>,
}

impl Kind {
    fn known_at(&self, seq: u64) -> Arc<Known> {
        let at = self.history.partition_point(|(from, _)| *from <= seq).saturating_sub(1);
        Arc::clone(&self.history[at].1)
    }
    /// Did all pods of this kind fail like this, which was in round `oldest` or later?
    fn says(&self, oldest: u64, known: &Arc<Known>) -> bool {
        let first = self.history.partition_point(|(from, _)| *from <= oldest).saturating_sub(1);
        self.history[first..].iter().all(|(_, said)| Arc::ptr_eq(said, known) || **said == **known)
    }
    /// Pods of this kind fail like this from round `seq` on. True if that is news to those that failed in round `oldest` last.
    fn note(&mut self, seq: u64, oldest: u64, known: &Arc<Known>) -> bool {
        let news = !self.says(oldest, known);
        if !self.history.last().is_some_and(|(_, last)| Arc::ptr_eq(last, known) || **last == **known) {
            self.history.push((seq, Arc::clone(known)));
        }
        news
    }
}

/// Attempts that were counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// How many.
    pub attempts: u64,
    /// Some pod's condition says something new.
    pub news: bool,
}

/// The sleeping pods.
#[derive(Clone, Debug, Default)]
pub struct Dormant {
    forest: Forest,
    /// One sequence per priority, the highest first.
    trees: Vec<(i32, u32)>,
    /// Tree node of each pod.
    nodes: Vec<u32>,
    kinds: Vec<Kind>,
    free_kinds: Vec<u32>,
    kind_index: FxHashMap<(Condition, u8), u32>,
    sets: Vec<PluginSet>,
    /// Plugins whose events came in this instant and are not applied yet.
    noted: PluginSet,
    homes: FxHashMap<NodeId, Vec<PodId>>,
    homes_of: FxHashMap<PodId, Vec<NodeId>>,
    /// How far the cluster's log of touched nodes has been read for `homes`.
    touched: u64,
    /// What is news to a pod has to be told: its condition is written, and controllers that take time see that.
    tells_news: bool,
    /// State of the cluster at the last judgement.
    judged: Option<(u64, u64)>,
    len: usize,
}

/// Sets of rejecting plugins that have a bit.
const MAX_SETS: usize = Bits::BITS as usize;
/// Length of a kind's history at which it is cut.
const LONG_HISTORY: usize = 16;

/// Rejectors under which a pod may sleep: their events and hints depend on nothing but what is watched here.
pub fn may_sleep(by: PluginSet) -> bool {
    type P = PluginSet;
    let watched = P::NODE_UNSCHEDULABLE
        .union(P::NODE_NAME)
        .union(P::TAINT_TOLERATION)
        .union(P::NODE_AFFINITY)
        .union(P::NODE_RESOURCES_FIT)
        .union(P::VOLUME_BINDING);
    !by.is_empty() && by.union(watched) == watched
}

impl Dormant {
    /// Nobody sleeps yet. Pods that are to be told of news are asked when there may be some, if `tells_news`.
    pub fn new(tells_news: bool) -> Dormant {
        Dormant { tells_news, ..Dormant::default() }
    }
    /// Number of sleeping pods.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Nobody sleeps.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Which incarnation of the pod sleeps.
    pub fn epoch(&self, pod: PodId) -> Option<u32> {
        let node = self.nodes.get(pod.index()).copied().filter(|node| *node != NIL)?;
        Some(self.forest.item(node).epoch)
    }
    /// Does the pod sleep?
    pub fn contains(&self, pod: PodId) -> bool {
        self.nodes.get(pod.index()).is_some_and(|node| *node != NIL)
    }
    /// Might a pod be tried now?
    pub fn may_be_ready(&self, from_backoff: bool) -> bool {
        let hit = self.hit(self.noted);
        self.trees.iter().map(|(_, root)| self.forest.sum(*root)).any(|sum| {
            sum.any(Place::Active)
                || (from_backoff && sum.any(Place::Backoff))
                || sum.rejectors[Place::Pool as usize] & hit != 0
        })
    }
    fn hit(&self, plugins: PluginSet) -> Bits {
        if plugins.is_empty() {
            return 0;
        }
        let bits = self.sets.iter().enumerate().filter(|(_, set)| set.intersects(plugins));
        bits.fold(0, |all, (bit, _)| all | 1 << bit)
    }

    /// A pod falls asleep after an attempt in round `seq`, its so manyth failure. False if it cannot.
    pub fn add(
        &mut self,
        cluster: &Cluster,
        pod: PodId,
        by: PluginSet,
        doze: Doze,
        now: SimTime,
        (seq, failures): (u64, u32),
    ) -> bool {
        debug_assert!(self.noted.is_empty(), "events that came before the pod slept do not concern it");
        let Some(set) = self.set_of(by) else { return false };
        let kind = self.kind_of(doze.condition, set, seq, &doze.known);
        let oldest = self.oldest();
        let row = &mut self.kinds[kind as usize];
        row.pods += 1;
        row.note(seq, u64::MAX, &doze.known);
        row.fails = Some(doze.known).filter(|known| !self.tells_news || row.says(oldest, known));
        cut(row, oldest);
        let item = Item {
            pod,
            kind,
            rejectors: set,
            place: Place::Pool,
            doubtful: false,
            stamp: now,
            seq,
            epoch: cluster.pod(pod).uid.epoch(),
            failures,
            rounds: 0,
        };
        let node = self.forest.single(item);
        if self.nodes.len() <= pod.index() {
            self.nodes.resize(pod.index() + 1, NIL);
        }
        self.nodes[pod.index()] = node;
        let priority = cluster.spec_of(pod).priority;
        let at = self.trees.partition_point(|(p, _)| *p > priority);
        if self.trees.get(at).is_none_or(|(p, _)| *p != priority) {
            self.trees.insert(at, (priority, NIL));
        }
        self.trees[at].1 = self.forest.join(self.trees[at].1, node);
        if !doze.homes.is_empty() {
            if self.homes.is_empty() {
                self.touched = cluster.touch_position();
            }
            for home in &doze.homes {
                self.homes.entry(*home).or_default().push(pod);
            }
            self.homes_of.insert(pod, doze.homes);
        }
        self.len += 1;
        true
    }
    fn set_of(&mut self, by: PluginSet) -> Option<u8> {
        if let Some(set) = self.sets.iter().position(|set| *set == by) {
            return Some(set as u8);
        }
        (self.sets.len() < MAX_SETS).then(|| {
            self.sets.push(by);
            (self.sets.len() - 1) as u8
        })
    }
    fn kind_of(&mut self, condition: Condition, set: u8, seq: u64, known: &Arc<Known>) -> u32 {
        if let Some(&kind) = self.kind_index.get(&(condition, set)) {
            return kind;
        }
        let history = vec![(seq, Arc::clone(known))];
        let row = Kind { condition, set, pods: 0, history, fails: None };
        let kind = match self.free_kinds.pop() {
            Some(kind) => {
                self.kinds[kind as usize] = row;
                kind
            }
            None => {
                self.kinds.push(row);
                (self.kinds.len() - 1) as u32
            }
        };
        self.kind_index.insert((condition, set), kind);
        kind
    }
    /// The sequence number of the round that lies furthest back.
    fn oldest(&mut self) -> u64 {
        let mut oldest = u64::MAX;
        for index in 0..self.trees.len() {
            let first = self.forest.first(self.trees[index].1);
            oldest = oldest.min(first.map_or(u64::MAX, |(_, seq)| seq));
        }
        oldest
    }

    /// Takes a pod out.
    pub fn remove(&mut self, pod: PodId) -> Option<Woken> {
        let node = *self.nodes.get(pod.index()).filter(|node| **node != NIL)?;
        let (root, position) = self.forest.position(node);
        let tree = self.trees.iter().position(|(_, r)| *r == root)?;
        self.take(tree, position)
    }
    fn take(&mut self, tree: usize, position: usize) -> Option<Woken> {
        let (rest, item) = self.forest.take(self.trees[tree].1, position);
        self.trees[tree].1 = rest;
        let priority = self.trees[tree].0;
        item.map(|item| self.wake(&item, priority))
    }
    fn wake(&mut self, item: &Item, priority: i32) -> Woken {
        let pod = item.pod;
        self.nodes[pod.index()] = NIL;
        self.len -= 1;
        for home in self.homes_of.remove(&pod).unwrap_or_default() {
            if let Some(pods) = self.homes.get_mut(&home) {
                pods.retain(|p| *p != pod);
                if pods.is_empty() {
                    self.homes.remove(&home);
                }
            }
        }
        let kind = &mut self.kinds[item.kind as usize];
        let known = kind.known_at(item.seq);
        kind.pods -= 1;
        if kind.pods == 0 {
            self.kind_index.remove(&(kind.condition, kind.set));
            self.free_kinds.push(item.kind);
        }
        Woken {
            pod,
            rounds: item.rounds.into(),
            known,
            epoch: item.epoch,
            failures: item.failures,
            priority,
            rejectors: self.sets[usize::from(item.rejectors)],
        }
    }
    /// Takes all pods out, in order of priority, then of their last attempts.
    pub fn drain(&mut self, mut out: impl FnMut(&Item, Woken)) {
        let mut forest = std::mem::take(&mut self.forest);
        for (priority, root) in std::mem::take(&mut self.trees) {
            forest.drain(root, &mut |item| out(item, self.wake(item, priority)));
        }
        self.noted = PluginSet::NONE;
        self.judged = None;
    }

    /// An event came that these plugins asked for.
    pub fn note(&mut self, plugins: PluginSet) {
        if self.len > 0 {
            self.noted = self.noted.union(plugins);
        }
    }
    /// Requeues whom the events of this instant concern. `ended`: of a pod tried then, the backoff is over (it must be so for all
    /// that were tried earlier, too).
    pub fn apply(&mut self, ended: impl Fn(SimTime) -> bool) {
        let noted = std::mem::take(&mut self.noted);
        let hit = self.hit(noted);
        if hit == 0 {
            return;
        }
        for index in 0..self.trees.len() {
            let root = self.trees[index].1;
            let old = self.forest.count_while(root, |stamp, _| ended(stamp));
            let (before, after) = self.forest.split(root, old);
            self.forest.requeue(before, hit, Place::Active);
            self.forest.requeue(after, hit, Place::Backoff);
            self.trees[index].1 = self.forest.join(before, after);
        }
    }
    /// An event came that concerns this pod alone: it is requeued, and has to be asked.
    pub fn requeue(&mut self, pod: PodId, ended: impl Fn(SimTime) -> bool) {
        self.change(pod, |item| {
            item.doubtful = true;
            if item.place == Place::Pool {
                item.place = if ended(item.stamp) { Place::Active } else { Place::Backoff };
            }
        });
    }
    /// Nothing is known about the pod any more.
    pub fn doubt(&mut self, pod: PodId) {
        self.change(pod, |item| item.doubtful = true);
    }
    /// Rejectors of a sleeping pod.
    pub fn rejectors(&self, pod: PodId) -> PluginSet {
        let node = self.nodes.get(pod.index()).copied().filter(|node| *node != NIL);
        node.map_or(PluginSet::NONE, |node| self.sets[usize::from(self.forest.item(node).rejectors)])
    }
    /// The pod is to be tried.
    pub fn activate(&mut self, pod: PodId) {
        self.change(pod, |item| {
            item.doubtful = true;
            item.place = Place::Active;
        });
    }
    fn change(&mut self, pod: PodId, change: impl FnOnce(&mut Item)) {
        let Some(&node) = self.nodes.get(pod.index()).filter(|node| **node != NIL) else { return };
        let (root, position) = self.forest.position(node);
        self.forest.change(root, position, change);
    }

    /// When the pod that has waited longest in a place was tried last, over all priorities; without those that an event of this
    /// instant will requeue.
    pub fn first_stamp(&mut self, place: Place) -> Option<SimTime> {
        let hit = if place == Place::Pool { self.hit(self.noted) } else { 0 };
        let mut first: Option<SimTime> = None;
        for index in 0..self.trees.len() {
            let root = self.trees[index].1;
            if self.forest.sum(root).rejectors[place as usize] & hit == 0 {
                let stamp = self.forest.first_in(root, place).map(|(stamp, _)| stamp);
                first = [first, stamp].into_iter().flatten().min();
                continue;
            }
            let may = |sum: &Sum| sum.rejectors[place as usize] & !hit != 0;
            let is = |item: &Item| item.place == place && hit >> item.rejectors & 1 == 0;
            let found = self.forest.find(root, &may, &is);
            let stamp = found.map(|(_, node)| self.forest.item(node).stamp);
            first = [first, stamp].into_iter().flatten().min();
        }
        first
    }
    /// Makes those of a place active that were tried early enough.
    pub fn release(&mut self, place: Place, early: impl Fn(SimTime) -> bool) {
        for index in 0..self.trees.len() {
            let root = self.trees[index].1;
            let count = self.forest.count_while(root, |stamp, _| early(stamp));
            let (before, after) = self.forest.split(root, count);
            self.forest.shift(before, place, Place::Active);
            self.trees[index].1 = self.forest.join(before, after);
        }
    }

    /// Asks which kinds still fail, unless nothing has changed since the last time.
    pub fn judge(&mut self, cluster: &Cluster, oracle: &mut impl Oracle) {
        let state = (cluster.generation(), cluster.config_generation());
        if self.judged == Some(state) {
            return;
        }
        self.judged = Some(state);
        let oldest = if self.tells_news { self.oldest() } else { u64::MAX };
        let tells_news = self.tells_news;
        for kind in self.kinds.iter_mut().filter(|kind| kind.pods > 0) {
            let Some((_, former)) = kind.history.last() else { continue };
            let known = oracle.still_fails(cluster, &kind.condition, former);
            // Other rejectors wait for other events: that is for a real attempt to find out.
            let set = self.sets[usize::from(kind.set)];
            kind.fails = known
                .filter(|k| Arc::ptr_eq(k, former) || PluginSet::of_all(&k.rejectors) == set)
                .filter(|k| !tells_news || kind.says(oldest, k));
        }
        self.look_home(cluster, oracle);
    }
    /// Pods whose own node might take them have to be asked.
    fn look_home(&mut self, cluster: &Cluster, oracle: &impl Oracle) {
        if self.homes.is_empty() {
            return;
        }
        let mut doubtful: Vec<PodId> = Vec::new();
        let mut look = |home: NodeId| {
            for &pod in self.homes.get(&home).into_iter().flatten() {
                let kind = &self.kinds[self.forest.item(self.nodes[pod.index()]).kind as usize];
                // Of a kind about which nothing is known now, what is touched now is not looked at again.
                if kind.fails.is_none() || oracle.may_take(&kind.condition, home) {
                    doubtful.push(pod);
                }
            }
        };
        match cluster.touched_since(self.touched) {
            Some(touched) => {
                let runs = touched.iter().enumerate().filter(|(i, id)| touched.get(i + 1) != Some(*id));
                runs.for_each(|(_, id)| look(*id));
            }
            None => cluster.nodes().ids().for_each(look),
        }
        self.touched = cluster.touch_position();
        for pod in doubtful {
            self.doubt(pod);
        }
    }

    /// Position of the first pod in a place of a tree that has to be asked.
    fn first_to_ask(&mut self, root: u32, place: Place) -> Option<usize> {
        let open = self.kinds.iter().enumerate().filter(|(_, kind)| kind.pods > 0 && kind.fails.is_none());
        let open = open.fold(0, |bits, (index, _)| bits | kind_bit(index));
        let p = place as usize;
        let may = |sum: &Sum| sum.doubtful[p] || sum.kinds[p] & open != 0;
        let kinds = &self.kinds;
        let is =
            |item: &Item| item.place == place && (item.doubtful || kinds[item.kind as usize].fails.is_none());
        self.forest.find(root, &may, &is).map(|(position, _)| position)
    }

    /// Priorities that have pods in a place, the highest first.
    pub fn priorities(&self, place: Place) -> impl Iterator<Item = (usize, i32)> + '_ {
        let there = move |(_, (_, root)): &(usize, &(i32, u32))| self.forest.sum(*root).any(place);
        self.trees.iter().enumerate().filter(there).map(|(tree, (priority, _))| (tree, *priority))
    }
    /// The first pod of a priority in a place: when it was tried last, and in which round.
    pub fn first(&mut self, tree: usize, place: Place) -> Option<(SimTime, u64)> {
        self.forest.first_in(self.trees[tree].1, place)
    }
    /// Counts the pods of a priority in a place as tried, in order, up to the first that has to be asked, which is taken out, and as
    /// long as they come `before` somebody else. `seq` is the sequence number of this round.
    pub fn advance(
        &mut self,
        tree: usize,
        place: Place,
        before: impl Fn(SimTime, u64) -> bool,
        now: SimTime,
        seq: u64,
    ) -> (Counted, Option<Woken>) {
        let root = self.trees[tree].1;
        let limit = self.forest.count_while(root, before);
        let ask = self.first_to_ask(root, place).filter(|position| *position < limit);
        let (head, tail) = self.forest.split(root, ask.unwrap_or(limit));
        let (tried, rest) = self.forest.part(head, place);
        let counted = self.count(tried, now, seq);
        let left = self.forest.len(rest);
        let front = self.forest.join(rest, tail);
        self.trees[tree].1 = self.forest.join(front, tried);
        let woken = ask.and_then(|_| self.take(tree, left));
        (counted, woken)
    }
    fn count(&mut self, tried: u32, now: SimTime, seq: u64) -> Counted {
        let attempts = self.forest.len(tried) as u64;
        if attempts == 0 {
            return Counted::default();
        }
        let oldest = self.forest.first(tried).map_or(0, |(_, seq)| seq);
        let sum = self.forest.sum(tried);
        let bits = sum.kinds.iter().fold(0, |all, kinds| all | kinds);
        let mut news = false;
        for index in 0..self.kinds.len() {
            let kind = &mut self.kinds[index];
            if kind.pods == 0 || bits & kind_bit(index) == 0 {
                continue;
            }
            let Some(known) = kind.fails.clone() else { continue };
            news |= kind.note(seq, oldest, &known);
            if kind.history.len() > LONG_HISTORY {
                let oldest = self.oldest();
                cut(&mut self.kinds[index], oldest);
            }
        }
        self.forest.tried(tried, now, seq);
        Counted { attempts, news }
    }
}

/// Forgets how pods failed in rounds before the one that lies furthest back.
fn cut(kind: &mut Kind, oldest: u64) {
    if kind.history.len() > LONG_HISTORY {
        let first = kind.history.partition_point(|(from, _)| *from <= oldest).saturating_sub(1);
        kind.history.drain(..first);
    }
}

#[cfg(test)]
mod tests;
