//! The figures that only one format has, under the names of its documentation. They are kept so that the shards of one table add
//! up to what the whole table has.

use super::record::TraceId;
use compact_str::CompactString;
use rustc_hash::FxHashSet;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Figures by name.
pub type Figures = BTreeMap<&'static str, Figure>;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// A count or a sum.
    Sum(u64),
    /// A sum in a larger unit, written as a fraction: `sum / per`.
    Amount {
        /// The sum in the base unit.
        sum: u128,
        /// Base units in the unit of the figure.
        per: u64,
    },
    /// The least of something; `None`: there is none.
    Least(Option<u64>),
    /// The greatest of something.
    Most(Option<u64>),
    /// How many different ones there are, by fingerprint.
    Distinct(FxHashSet<u128>),
    /// How often each word occurs.
    Counts(BTreeMap<CompactString, u64>),
    /// Whether instants never go back: the first, the last, and whether it holds between them.
    Sorted(Option<(u64, u64)>, bool),
    /// How many instants are at most so many seconds before the last of all.
    Recent {
        /// The instants.
        instants: Vec<u64>,
        /// The last instant of all.
        end: u64,
        /// How far back.
        seconds: u64,
    },
    /// The same in every shard, such as the number of columns; the greatest if it is not.
    Same(u64),
}

impl Figure {
    /// A count.
    pub fn count(count: usize) -> Figure {
        Figure::Sum(count as u64)
    }
    /// Bytes as GiB.
    pub fn gib(bytes: u128) -> Figure {
        Figure::Amount { sum: bytes, per: 1 << 30 }
    }
    /// Different texts.
    pub fn distinct<'a>(texts: impl IntoIterator<Item = &'a CompactString>) -> Figure {
        Figure::Distinct(texts.into_iter().map(|text| TraceId::Text(text.clone()).fingerprint()).collect())
    }

    /// Adds the figure of the next shard.
    pub fn merge(&mut self, next: &Figure) {
        match (self, next) {
            (Figure::Sum(a), Figure::Sum(b)) => *a = a.saturating_add(*b),
            (Figure::Amount { sum: a, .. }, Figure::Amount { sum: b, .. }) => *a = a.saturating_add(*b),
            (Figure::Least(a), Figure::Least(b)) => *a = a.iter().chain(b).copied().min(),
            (Figure::Most(a), Figure::Most(b)) => *a = (*a).max(*b),
            (Figure::Distinct(a), Figure::Distinct(b)) => a.extend(b),
            (Figure::Counts(a), Figure::Counts(b)) => {
                for (word, count) in b {
                    *a.entry(word.clone()).or_default() += count;
                }
            }
            (Figure::Sorted(a, holds), Figure::Sorted(b, next)) => {
                *holds &= *next;
                match (a.as_mut(), b) {
                    (Some((_, last)), Some((first, end))) => {
                        *holds &= *first >= *last;
                        *last = *end;
                    }
                    (None, _) => *a = *b,
                    (Some(_), None) => {}
                }
            }
            (Figure::Recent { instants, end, .. }, Figure::Recent { instants: more, end: later, .. }) => {
                instants.extend(more);
                *end = (*end).max(*later);
            }
            (Figure::Same(a), Figure::Same(b)) => *a = (*a).max(*b),
            // One name has one kind of figure.
            _ => {}
        }
    }

    /// The figure as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Figure::Sum(value) | Figure::Same(value) => json!(value),
            Figure::Amount { sum, per } => json!(fraction(*sum, *per)),
            Figure::Least(value) | Figure::Most(value) => json!(value),
            Figure::Distinct(set) => json!(set.len()),
            Figure::Counts(counts) => json!(counts),
            Figure::Sorted(_, holds) => json!(holds),
            Figure::Recent { instants, end, seconds } => {
                json!(instants.iter().filter(|&&at| at.saturating_add(*seconds) >= *end).count())
            }
        }
    }
}

/// Adds the figures of the next shard of a table.
pub fn merge(all: &mut Figures, next: &Figures) {
    for (name, figure) in next {
        match all.get_mut(name) {
            Some(sum) => sum.merge(figure),
            None => {
                all.insert(name, figure.clone());
            }
        }
    }
}

/// A quotient whose whole part and fraction are converted apart, so that whole results stay exact.
pub fn fraction(sum: u128, per: u64) -> f64 {
    let per = u128::from(per.max(1));
    (sum / per) as f64 + (sum % per) as f64 / per as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(figures: &[Figure]) -> Value {
        let mut all = Figures::new();
        for figure in figures {
            merge(&mut all, &Figures::from([("f", figure.clone())]));
        }
        all["f"].to_json()
    }

    #[test]
    fn shards_add_up_to_the_whole() {
        let words = |text: &str| {
            let mut counts = BTreeMap::new();
            text.chars().for_each(|c| *counts.entry(CompactString::from(c.to_string())).or_default() += 1);
            Figure::Counts(counts)
        };
        let texts = |list: &[&str]| {
            let texts: Vec<CompactString> = list.iter().map(|&t| t.into()).collect();
            Figure::distinct(&texts)
        };
        let recent = |instants: &[u64], end| Figure::Recent { instants: instants.to_vec(), end, seconds: 10 };
        for (name, shards, want) in [
            ("sum", vec![Figure::Sum(1), Figure::Sum(2)], json!(3)),
            ("gib", vec![Figure::gib(1 << 29), Figure::gib(1 << 30)], json!(1.5)),
            ("least", vec![Figure::Least(None), Figure::Least(Some(7)), Figure::Least(Some(4))], json!(4)),
            ("none", vec![Figure::Most(None), Figure::Most(None)], Value::Null),
            ("most", vec![Figure::Most(Some(7)), Figure::Most(None)], json!(7)),
            ("distinct", vec![texts(&["a", "b"]), texts(&["b", "c"])], json!(3)),
            ("counts", vec![words("aab"), words("bc")], json!({"a": 2, "b": 2, "c": 1})),
            ("recent", vec![recent(&[1, 9], 12), recent(&[15], 20)], json!(1)),
            ("same", vec![Figure::Same(11), Figure::Same(11)], json!(11)),
        ] {
            assert_eq!(merged(&shards), want, "{name}");
        }
    }

    #[test]
    fn shards_are_in_order_if_they_follow_each_other() {
        let shard = |first, last| Figure::Sorted(Some((first, last)), true);
        let empty = Figure::Sorted(None, true);
        assert_eq!(merged(&[shard(1, 5), empty.clone(), shard(5, 9)]), json!(true));
        assert_eq!(merged(&[empty, shard(5, 9), shard(1, 2)]), json!(false));
        assert_eq!(merged(&[shard(1, 5), Figure::Sorted(Some((6, 7)), false)]), json!(false));
    }
}
