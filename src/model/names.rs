//! Interned strings and object names.
//!
//! Label keys and values, node names and the like are interned once and compared as numbers. Names of pods and claims are
//! *derived*: `shop-17-2` is the interned base `shop` and two numbers, so ten million of them cost no memory.

use crate::engine::rng::EntityKey;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::cmp::Ordering;
use std::fmt;
use std::hash::BuildHasher;
use std::num::NonZeroU32;

/// An interned string. One more than its number is kept, so that `None` costs no further word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Sym(NonZeroU32);

impl Sym {
    /// Of a place in the string table, below 2^32-1.
    pub const fn new(number: u32) -> Sym {
        Sym(NonZeroU32::MIN.saturating_add(number))
    }
    /// The place in the string table.
    pub const fn number(self) -> u32 {
        self.0.get() - 1
    }
}

impl fmt::Debug for Sym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sym({})", self.number())
    }
}

macro_rules! well_known {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Strings that every cluster knows, interned first and in this order.
        const WELL_KNOWN: &[&str] = &[$($text),+];
        well_known!(@consts 0u32; $($(#[$doc])* $name),+);
    };
    (@consts $n:expr; $(#[$doc:meta])* $name:ident $(, $($rest:tt)*)?) => {
        $(#[$doc])*
        pub const $name: Sym = Sym::new($n);
        $(well_known!(@consts $n + 1; $($rest)*);)?
    };
}

/// Well-known strings as constants.
pub mod sym {
    use super::Sym;
    well_known! {
        /// The empty string.
        EMPTY = "",
        /// Node label with the host's name.
        HOSTNAME = "kubernetes.io/hostname",
        /// Node label with the zone.
        ZONE = "topology.kubernetes.io/zone",
        /// Node label with the region.
        REGION = "topology.kubernetes.io/region",
        /// The old zone label.
        ZONE_BETA = "failure-domain.beta.kubernetes.io/zone",
        /// The old region label.
        REGION_BETA = "failure-domain.beta.kubernetes.io/region",
        /// The default namespace.
        DEFAULT = "default",
        /// The default scheduler's name.
        DEFAULT_SCHEDULER = "default-scheduler",
        /// The provisioner of static local volumes.
        NO_PROVISIONER = "kubernetes.io/no-provisioner",
        /// CPU.
        CPU = "cpu",
        /// Memory.
        MEMORY = "memory",
        /// Ephemeral storage.
        EPHEMERAL_STORAGE = "ephemeral-storage",
        /// Number of pods.
        PODS = "pods",
        /// Taint and toleration key of cordoned nodes.
        TAINT_UNSCHEDULABLE = "node.kubernetes.io/unschedulable",
        /// Taint of nodes whose Ready condition is False.
        TAINT_NOT_READY = "node.kubernetes.io/not-ready",
        /// Taint of nodes whose Ready condition is Unknown.
        TAINT_UNREACHABLE = "node.kubernetes.io/unreachable",
        /// Taint by which an administrator says that a node is shut down for good.
        TAINT_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service",
        /// The field selector key of nodes.
        METADATA_NAME = "metadata.name",
        /// Label every namespace carries.
        NAMESPACE_NAME = "kubernetes.io/metadata.name",
        /// Label of a StatefulSet's pods.
        STATEFULSET_POD_NAME = "statefulset.kubernetes.io/pod-name",
        /// Label of a StatefulSet's pods.
        POD_INDEX = "apps.kubernetes.io/pod-index",
        /// Label of a Deployment's pods.
        POD_TEMPLATE_HASH = "pod-template-hash",
        /// Node label: rack.
        RACK = "rack",
        /// The wildcard of host ports.
        ANY_IP = "0.0.0.0",
    }
    pub(super) const ALL: &[&str] = WELL_KNOWN;
}

/// The string table of one cluster: all texts one after another, each stored once. Names of volumes are the bulk of it.
#[derive(Clone, Debug)]
pub struct Names {
    texts: Texts,
    /// Symbols by the hash of their text.
    index: HashTable<Sym>,
    prefixed: FxHashMap<(Sym, Sym), Sym>,
    /// Of which prefix and base a symbol was made, the first time.
    made_of: FxHashMap<Sym, (Sym, Sym)>,
}

fn hash(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
}

/// Texts one after another.
#[derive(Clone, Debug, Default)]
struct Texts {
    all: String,
    /// Where each text ends, modulo 2^32.
    ends: Vec<u32>,
    /// The first texts that end beyond each multiple of 2^32.
    carries: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) -> Sym {
        let number = self.ends.len() as u32;
        self.all.push_str(text);
        let end = self.all.len();
        if end >> 32 > self.carries.len() {
            self.carries.push(number);
        }
        self.ends.push(end as u32);
        Sym::new(number)
    }
    #[inline]
    fn end(&self, at: u32) -> usize {
        let carries = if self.carries.is_empty() { 0 } else { self.carries.partition_point(|c| *c <= at) };
        carries << 32 | self.ends[at as usize] as usize
    }
    #[inline]
    fn get(&self, sym: Sym) -> &str {
        let at = sym.number();
        let start = if at == 0 { 0 } else { self.end(at - 1) };
        &self.all[start..self.end(at)]
    }
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Names {
            texts: Texts::default(),
            index: HashTable::new(),
            prefixed: FxHashMap::default(),
            made_of: FxHashMap::default(),
        };
        for text in sym::ALL {
            names.intern(text);
        }
        names
    }
}

impl Names {
    /// The symbol of `text`, made if it is new.
    pub fn intern(&mut self, text: &str) -> Sym {
        if let Some(sym) = self.get(text) {
            return sym;
        }
        let sym = self.texts.push(text);
        let texts = &self.texts;
        self.index.insert_unique(hash(text), sym, |sym| hash(texts.get(*sym)));
        sym
    }
    /// The symbol of `text` if it was interned before.
    pub fn get(&self, text: &str) -> Option<Sym> {
        self.index.find(hash(text), |sym| self.text(*sym) == text).copied()
    }
    /// The text of a symbol.
    #[inline]
    pub fn text(&self, sym: Sym) -> &str {
        self.texts.get(sym)
    }
    /// Bytewise order of two symbols' texts, the order of Kubernetes' names.
    pub fn compare(&self, a: Sym, b: Sym) -> Ordering {
        if a == b { Ordering::Equal } else { self.text(a).cmp(self.text(b)) }
    }
    /// The symbol of `<prefix>-<base>`, remembered.
    pub fn prefixed(&mut self, prefix: Sym, base: Sym) -> Sym {
        if let Some(&sym) = self.prefixed.get(&(prefix, base)) {
            return sym;
        }
        let text = format!("{}-{}", self.text(prefix), self.text(base));
        let sym = self.intern(&text);
        self.prefixed.insert((prefix, base), sym);
        self.made_of.entry(sym).or_insert((prefix, base));
        sym
    }
    /// The symbol of `<prefix>-<base>` if it was made before.
    #[inline]
    pub fn get_prefixed(&self, prefix: Sym, base: Sym) -> Option<Sym> {
        self.prefixed.get(&(prefix, base)).copied()
    }
    /// A name from text: up to two trailing `-<number>` parts become numbers.
    pub fn name(&mut self, text: &str) -> Name {
        let (base, numbers) = split_numbers(text);
        Name { base: self.intern(base), numbers }
    }
    /// The name from text if its base is known.
    pub fn get_name(&self, text: &str) -> Option<Name> {
        let (base, numbers) = split_numbers(text);
        Some(Name { base: self.get(base)?, numbers })
    }
    /// `<parent>-<number>`: a set of a generator, a pod of a set.
    pub fn child(&mut self, parent: Name, number: u32) -> Name {
        match parent.numbers {
            [NONE, _] => Name { base: parent.base, numbers: [number, NONE] },
            [a, NONE] => Name { base: parent.base, numbers: [a, number] },
            [a, b] => {
                let base = format!("{}-{a}", self.text(parent.base));
                Name { base: self.intern(&base), numbers: [b, number] }
            }
        }
    }
    /// `<prefix>-<name>`: the claim of a pod.
    pub fn prefixed_name(&mut self, prefix: Sym, name: Name) -> Name {
        if self.text(name.base).bytes().all(|b| b.is_ascii_digit()) {
            // `data` and `5` make `data-5`, whose number belongs to the numbers.
            let text = format!("{}-{}", self.text(prefix), self.show(name));
            return self.name(&text);
        }
        Name { base: self.prefixed(prefix, name.base), numbers: name.numbers }
    }
    /// `<prefix>-<name>` if such a name was ever made.
    pub fn get_prefixed_name(&self, prefix: Sym, name: Name) -> Option<Name> {
        if self.text(name.base).bytes().all(|b| b.is_ascii_digit()) {
            return self.get_name(&format!("{}-{}", self.text(prefix), self.show(name)));
        }
        Some(Name { base: self.get_prefixed(prefix, name.base)?, numbers: name.numbers })
    }
    /// The prefix and the name that [`Names::prefixed_name`] first made this name of, unless it was made of numbers.
    pub fn unprefixed_name(&self, name: Name) -> Option<(Sym, Name)> {
        let (prefix, base) = *self.made_of.get(&name.base)?;
        Some((prefix, Name { base, numbers: name.numbers }))
    }
    /// For printing.
    pub fn show(&self, name: Name) -> ShownName<'_> {
        ShownName { names: self, name }
    }
    /// The key of random draws about the object of this name: depends on the text only, never on row numbers.
    pub fn entity(&self, name: Name) -> EntityKey {
        let key = EntityKey::new(self.text(name.base));
        name.numbers.iter().filter(|n| **n != NONE).fold(key, |key, n| key.with(u64::from(*n)))
    }
    /// Bytewise order of two names as text.
    pub fn compare_names(&self, a: Name, b: Name) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        let (x, y) = (self.text(a.base).as_bytes(), self.text(b.base).as_bytes());
        let common = x.len().min(y.len());
        x[..common].cmp(&y[..common]).then_with(|| {
            let (mut p, mut q) = (Numbers::default(), Numbers::default());
            let (p, q) = (p.fill(a), q.fill(b));
            x[common..].iter().chain(p).cmp(y[common..].iter().chain(q))
        })
    }
    /// Appends a name as text.
    pub fn push_name(&self, name: Name, text: &mut String) {
        text.push_str(self.text(name.base));
        let mut numbers = Numbers::default();
        text.extend(numbers.fill(name).iter().map(|b| char::from(*b)));
    }
}

/// The numbers of a name as text, `-17-2`.
#[derive(Default)]
struct Numbers([u8; 22]);

impl Numbers {
    fn fill(&mut self, name: Name) -> &[u8] {
        let mut at = self.0.len();
        for &number in name.numbers.iter().rev().filter(|n| **n != NONE) {
            let mut rest = number;
            loop {
                at -= 1;
                self.0[at] = b'0' + (rest % 10) as u8;
                rest /= 10;
                if rest == 0 {
                    break;
                }
            }
            at -= 1;
            self.0[at] = b'-';
        }
        &self.0[at..]
    }
}

/// Absent number of a [`Name`].
const NONE: u32 = u32::MAX;

/// The name of a pod, claim or set: an interned base and up to two numbers, always in the one canonical form
/// ([`Names::name`]), so that equal names are equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// What stands before the numbers.
    pub base: Sym,
    numbers: [u32; 2],
}

impl Name {
    /// The last number: a StatefulSet pod's ordinal.
    pub fn ordinal(self) -> Option<u32> {
        match self.numbers {
            [NONE, _] => None,
            [a, NONE] => Some(a),
            [_, b] => Some(b),
        }
    }
}

/// A name with its string table, for `Display`.
pub struct ShownName<'a> {
    names: &'a Names,
    name: Name,
}

impl fmt::Display for ShownName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names.text(self.name.base))?;
        let mut numbers = Numbers::default();
        f.write_str(std::str::from_utf8(numbers.fill(self.name)).unwrap_or_default())
    }
}

/// Splits off up to two trailing `-<number>` parts, from the right; numbers have no leading zero and are below 2^32-1.
fn split_numbers(text: &str) -> (&str, [u32; 2]) {
    fn one(text: &str) -> Option<(&str, u32)> {
        let (head, digits) = text.rsplit_once('-')?;
        let plain = !digits.is_empty() && digits.len() <= 10 && digits.bytes().all(|b| b.is_ascii_digit());
        if !plain || (digits.len() > 1 && digits.starts_with('0')) {
            return None;
        }
        digits.parse::<u32>().ok().filter(|n| *n != NONE).map(|n| (head, n))
    }
    match one(text) {
        None => (text, [NONE, NONE]),
        Some((head, last)) => match one(head) {
            None => (head, [last, NONE]),
            Some((head, first)) => (head, [first, last]),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        let mut names = Names::default();
        for text in
            ["mysql", "web-0", "shop-17-2", "a-1-2-3", "openb-pod-0012", "x-", "-1", "db-4294967295", "n-00"]
        {
            let name = names.name(text);
            assert_eq!(names.show(name).to_string(), text);
        }
        let shop = names.name("shop");
        let set = names.child(shop, 17);
        let pod = names.child(set, 2);
        assert_eq!(pod, names.name("shop-17-2"));
        let deeper = names.child(pod, 5);
        assert_eq!(deeper, names.name("shop-17-2-5"));
        let data = names.intern("data");
        assert_eq!(names.prefixed_name(data, pod), names.name("data-shop-17-2"));
        assert_eq!(pod.ordinal(), Some(2));
    }

    #[test]
    fn names_are_ordered_as_their_texts() {
        let mut names = Names::default();
        let texts =
            ["a", "a-1", "a-10", "a-2", "a-2-3", "a-2-30", "a-b-1", "a1", "a1-0", "ab", "b-4294967294"];
        let list: Vec<Name> = texts.iter().map(|text| names.name(text)).collect();
        for (i, a) in list.iter().enumerate() {
            for (j, b) in list.iter().enumerate() {
                let want = texts[i].as_bytes().cmp(texts[j].as_bytes());
                assert_eq!(names.compare_names(*a, *b), want, "{} {}", texts[i], texts[j]);
            }
            let mut text = String::new();
            names.push_name(*a, &mut text);
            assert_eq!(text, texts[i]);
        }
    }

    #[test]
    fn well_known_symbols_are_where_their_constants_say() {
        let names = Names::default();
        assert_eq!(names.text(sym::HOSTNAME), "kubernetes.io/hostname");
        assert_eq!(names.text(sym::RACK), "rack");
        assert_eq!(names.get("cpu"), Some(sym::CPU));
    }
}
