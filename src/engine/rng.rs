//! Randomness that is the same whatever else exists: every draw is keyed by (seed, replication, purpose, entity).
//!
//! Two variants of a scenario, or two sweep points, meet the same draws for the same entities (common random numbers), so
//! their differences are paired. Nothing here depends on the order in which streams are made.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// All random streams of one replication.
#[derive(Clone, Debug)]
pub struct Streams {
    key: [u8; 32],
    /// Key of the cheap draws.
    word: u64,
}

/// A stable 64-bit key of an entity, made from its name (never from a row number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey(pub u64);

impl EntityKey {
    /// Of a name.
    pub fn new(name: &str) -> EntityKey {
        // FNV-1a, then mixed: names are short, and the key must not change between releases of a hashing crate.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
        EntityKey(mix(hash))
    }
    /// Of a part of this entity: its n-th attempt, its n-th pod.
    pub fn with(self, n: u64) -> EntityKey {
        EntityKey(mix(self.0 ^ mix(n.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }
}

impl Streams {
    /// The streams of one replication (from 0) of a seed.
    pub fn new(seed: u64, replication: u32) -> Streams {
        let mut hasher = blake3::Hasher::new_derive_key("stowplan streams v1");
        hasher.update(&seed.to_le_bytes());
        hasher.update(&replication.to_le_bytes());
        let key = *hasher.finalize().as_bytes();
        let word = u64::from_le_bytes([key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]]);
        Streams { key, word }
    }
    /// A stream for a purpose (`"lifetime"`) and an entity (`"shop-17"`).
    pub fn stream(&self, purpose: &'static str, entity: &str) -> ChaCha8Rng {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(purpose.len() as u64).to_le_bytes());
        hasher.update(purpose.as_bytes());
        hasher.update(entity.as_bytes());
        ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
    }
    /// One unbiased draw from `0..n` (0 if `n` is 0) without making a stream: for ties in the hot path.
    pub fn index(&self, purpose: &'static str, entity: EntityKey, n: usize) -> usize {
        if n < 2 {
            return 0;
        }
        let n = n as u64;
        let mut state = self.word ^ EntityKey::new(purpose).with(entity.0).0;
        // Lemire's multiplication with rejection: no bias for any n.
        loop {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let wide = u128::from(mix(state)) * u128::from(n);
            if wide as u64 >= n.wrapping_neg() % n {
                return (wide >> 64) as usize;
            }
        }
    }
    /// Shuffles in place, uniformly (Fisher and Yates).
    pub fn shuffle<T>(&self, purpose: &'static str, entity: EntityKey, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(purpose, entity.with(last as u64), last + 1));
        }
    }
}

/// The finalizer of SplitMix64: a bijection that spreads every input bit.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How choices are made that are random in Kubernetes (`scheduler.tieBreak`).
#[derive(Clone, Debug)]
pub enum TieBreak {
    /// The first in the defined order: for comparison with recordings.
    First,
    /// Uniform.
    Seeded(Streams),
}

impl TieBreak {
    /// One of `0..n`.
    pub fn choose(&self, purpose: &'static str, entity: EntityKey, n: usize) -> usize {
        match self {
            TieBreak::First => 0,
            TieBreak::Seeded(streams) => streams.index(purpose, entity, n),
        }
    }
    /// Puts the items in random order, or leaves them as they are.
    pub fn shuffle<T>(&self, purpose: &'static str, entity: EntityKey, items: &mut [T]) {
        if let TieBreak::Seeded(streams) = self {
            streams.shuffle(purpose, entity, items);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    #[test]
    fn streams_depend_on_all_parts_of_the_key_and_nothing_else() {
        let first = |seed, replication, purpose, entity: &str| {
            Streams::new(seed, replication).stream(purpose, entity).next_u64()
        };
        let reference = first(1, 0, "size", "shop-1");
        assert_eq!(reference, first(1, 0, "size", "shop-1"));
        for other in [
            first(2, 0, "size", "shop-1"),
            first(1, 1, "size", "shop-1"),
            first(1, 0, "life", "shop-1"),
            first(1, 0, "size", "shop-2"),
            first(1, 0, "sizes", "hop-1"),
        ] {
            assert_ne!(reference, other);
        }
    }

    #[test]
    fn index_is_uniform() {
        let streams = Streams::new(7, 0);
        for n in [2usize, 3, 7] {
            let mut counts = vec![0u32; n];
            for i in 0..70_000u32 {
                counts[streams.index("node", EntityKey::new("pod").with(u64::from(i)), n)] += 1;
            }
            let expected = 70_000.0 / n as f64;
            for count in counts {
                let deviation = (f64::from(count) - expected).abs() / expected.sqrt();
                assert!(deviation < 4.5, "{n}: {count} of {expected}");
            }
        }
        assert_eq!(streams.index("node", EntityKey::new("pod"), 0), 0);
        assert_eq!(streams.index("node", EntityKey::new("pod"), 1), 0);
    }

    #[test]
    fn shuffles_reach_every_order() {
        let streams = Streams::new(3, 0);
        let mut seen = std::collections::BTreeMap::new();
        for i in 0..6000u64 {
            let mut items = [0, 1, 2];
            streams.shuffle("claims", EntityKey::new("web").with(i), &mut items);
            *seen.entry(items).or_insert(0u32) += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|n| (800..1200).contains(n)), "{seen:?}");
        let mut items = [0, 1, 2];
        TieBreak::First.shuffle("claims", EntityKey::new("web"), &mut items);
        assert_eq!(items, [0, 1, 2]);
    }
}
