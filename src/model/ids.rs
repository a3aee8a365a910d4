//! Typed ids and the columns they index.

use std::fmt;
use std::marker::PhantomData;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::{Index, IndexMut};

/// A typed row number.
pub trait Id: Copy + Eq + Ord + std::hash::Hash {
    /// From a row number.
    fn new(index: usize) -> Self;
    /// The row number.
    fn index(self) -> usize;
}

macro_rules! id {
    ($name:ident) => {
        impl Id for $name {
            fn new(index: usize) -> Self {
                debug_assert!(index < u32::MAX as usize);
                $name::at(index as u32)
            }
            fn index(self) -> usize {
                self.row() as usize
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.row())
            }
        }
    };
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// Of a row number below 2^32-1.
            pub const fn at(row: u32) -> Self {
                // One more is kept, so that `None` costs no further word.
                $name(NonZeroU32::MIN.saturating_add(row))
            }
            /// The row number.
            pub const fn row(self) -> u32 {
                self.0.get() - 1
            }
        }
        id!($name);
    )+};
}

// The plain number: the scheduler's loops index by it.
/// A node. Rows are never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct NodeId(u32);

impl NodeId {
    /// Of a row number below 2^32-1.
    pub const fn at(row: u32) -> Self {
        NodeId(row)
    }
    /// The row number.
    pub const fn row(self) -> u32 {
        self.0
    }
}
id!(NodeId);

ids! {
    /// A pod. Rows are reused after the pod is gone; `Pod::uid` tells incarnations apart.
    PodId,
    /// A PersistentVolumeClaim. Rows are reused; `Claim::uid` tells incarnations apart.
    ClaimId,
    /// A PersistentVolume. Rows are reused; `Volume::uid` tells incarnations apart.
    VolumeId,
    /// An interned pod spec: all replicas of a workload share one.
    SpecId,
    /// An interned claim spec.
    ClaimSpecId,
    /// An interned set of labels.
    LabelSetId,
    /// An interned quantity.
    QuantityId,
    /// An interned node selector (PersistentVolume node affinity).
    NodeSelectorId,
    /// A StatefulSet.
    StatefulSetId,
    /// A ReplicaSet, or a Deployment's current ReplicaSet.
    ReplicaSetId,
    /// A Job.
    JobId,
    /// A volume group or device of a node.
    VolumeGroupId,
}

/// A growing column of rows that are never removed.
#[derive(Clone, Debug)]
pub struct Col<I, T> {
    rows: Vec<T>,
    id: PhantomData<I>,
}

impl<I: Id, T> Col<I, T> {
    /// Appends a row.
    pub fn push(&mut self, row: T) -> I {
        self.rows.push(row);
        I::new(self.rows.len() - 1)
    }
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// No rows yet.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// All rows with their ids, in order of creation.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (I, &T)> + DoubleEndedIterator {
        self.rows.iter().enumerate().map(|(i, row)| (I::new(i), row))
    }
    /// All ids, in order of creation.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = I> + DoubleEndedIterator + use<I, T> {
        (0..self.rows.len()).map(I::new)
    }
    /// The rows as a slice.
    pub fn as_slice(&self) -> &[T] {
        &self.rows
    }
}

impl<I, T> Default for Col<I, T> {
    fn default() -> Self {
        Col { rows: Vec::new(), id: PhantomData }
    }
}
impl<I: Id, T> Index<I> for Col<I, T> {
    type Output = T;
    fn index(&self, id: I) -> &T {
        &self.rows[id.index()]
    }
}
impl<I: Id, T> IndexMut<I> for Col<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.rows[id.index()]
    }
}

/// A column whose rows come and go. A freed row is the next to be reused (last in, first out: its memory is warm).
#[derive(Clone, Debug)]
pub struct Slab<I, T> {
    rows: Vec<Option<T>>,
    free: Vec<u32>,
    id: PhantomData<I>,
}

impl<I: Id, T> Slab<I, T> {
    /// Adds a row.
    pub fn insert(&mut self, row: T) -> I {
        if let Some(index) = self.free.pop() {
            self.rows[index as usize] = Some(row);
            return I::new(index as usize);
        }
        self.rows.push(Some(row));
        I::new(self.rows.len() - 1)
    }
    /// Takes a row out. `None` if it was gone.
    pub fn remove(&mut self, id: I) -> Option<T> {
        let row = self.rows.get_mut(id.index())?.take();
        if row.is_some() {
            self.free.push(id.index() as u32);
        }
        row
    }
    /// The row, if it is still there.
    pub fn get(&self, id: I) -> Option<&T> {
        self.rows.get(id.index())?.as_ref()
    }
    /// The row, if it is still there.
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.rows.get_mut(id.index())?.as_mut()
    }
    /// Number of live rows.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }
    /// No live rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Live rows in row order (deterministic, but not the order of creation once rows are reused).
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.rows.iter().enumerate().filter_map(|(i, row)| row.as_ref().map(|row| (I::new(i), row)))
    }
    /// Ids of live rows in row order.
    pub fn ids(&self) -> impl Iterator<Item = I> + '_ {
        self.iter().map(|(id, _)| id)
    }
}

impl<I, T> Default for Slab<I, T> {
    fn default() -> Self {
        Slab { rows: Vec::new(), free: Vec::new(), id: PhantomData }
    }
}
impl<I: Id, T> Index<I> for Slab<I, T> {
    type Output = T;
    /// # Panics
    /// If the row is gone: a programming error, never an effect of input.
    fn index(&self, id: I) -> &T {
        match self.get(id) {
            Some(row) => row,
            None => panic!("row {} is gone", id.index()),
        }
    }
}
impl<I: Id, T> IndexMut<I> for Slab<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        match self.get_mut(id) {
            Some(row) => row,
            None => panic!("row {} is gone", id.index()),
        }
    }
}

/// A deletionTimestamp: nobody asks for more than whether there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Terminating;

/// Identity of one incarnation of an object. Generated ones count up; uids given as text are interned.
///
/// One more than the number is kept, so that `None` costs no further word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(NonZeroU64);

impl Uid {
    /// The uid of nothing.
    pub const NOTHING: Uid = Uid::new(0);

    /// Of a number below 2^64-1.
    pub const fn new(number: u64) -> Uid {
        Uid(NonZeroU64::MIN.saturating_add(number))
    }
    /// The number.
    pub const fn number(self) -> u64 {
        self.0.get() - 1
    }
    /// A part of it that events and queues carry to tell incarnations apart.
    pub const fn epoch(self) -> u32 {
        let number = self.number();
        (number ^ (number >> 32)) as u32
    }
    /// The uid of an object that came with one as text, interned as `sym`.
    pub const fn from_text(sym: super::names::Sym) -> Uid {
        Uid::new(1 << 63 | sym.number() as u64)
    }
    /// The text, if the uid came as one.
    pub fn text_symbol(self) -> Option<super::names::Sym> {
        let number = self.number();
        (number >> 63 == 1).then_some(super::names::Sym::new(number as u32))
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({})", self.number())
    }
}
