//! Resource amounts as the scheduler sees them: `int64`, wrapping where Go wraps.

use super::names::{Sym, sym};

/// Amounts of every resource: `framework.Resource`. Sums wrap like Go's `int64`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// CPU in thousandths of a core.
    pub cpu_milli: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
    /// Ephemeral storage in bytes.
    pub ephemeral_bytes: i64,
    /// Extended resources, hugepages and the like, sorted by symbol; a zero amount is kept if it was asked for.
    pub scalars: Vec<(Sym, i64)>,
}

impl Resources {
    /// Amount of the extended resource `name`, 0 if absent.
    pub fn scalar(&self, name: Sym) -> i64 {
        self.scalars.binary_search_by_key(&name, |(n, _)| *n).map_or(0, |i| self.scalars[i].1)
    }
    /// Sets an extended resource.
    pub fn set_scalar(&mut self, name: Sym, amount: i64) {
        match self.scalars.binary_search_by_key(&name, |(n, _)| *n) {
            Ok(i) => self.scalars[i].1 = amount,
            Err(i) => self.scalars.insert(i, (name, amount)),
        }
    }
    /// Adds `other`, wrapping.
    pub fn add(&mut self, other: &Resources) {
        self.combine(other, i64::wrapping_add);
    }
    /// Takes `other` away, wrapping.
    pub fn sub(&mut self, other: &Resources) {
        self.combine(other, i64::wrapping_sub);
    }
    /// Any resource by name; `pods` is not a member.
    pub fn get(&self, name: Sym) -> i64 {
        match name {
            sym::CPU => self.cpu_milli,
            sym::MEMORY => self.memory_bytes,
            sym::EPHEMERAL_STORAGE => self.ephemeral_bytes,
            other => self.scalar(other),
        }
    }

    fn combine(&mut self, other: &Resources, op: fn(i64, i64) -> i64) {
        self.cpu_milli = op(self.cpu_milli, other.cpu_milli);
        self.memory_bytes = op(self.memory_bytes, other.memory_bytes);
        self.ephemeral_bytes = op(self.ephemeral_bytes, other.ephemeral_bytes);
        for &(name, amount) in &other.scalars {
            let mine = self.scalar(name);
            self.set_scalar(name, op(mine, amount));
        }
    }
}
