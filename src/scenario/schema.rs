//! The format as a table: every key with its type, default and meaning. The JSON Schema that editors use and the reference in
//! `docs/SCENARIO.md` are generated from it; a test compares it with the keys that the readers ask for.

mod emit;
mod table;

pub use emit::{json_schema, reference};

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// Text.
    Text,
    /// A path or a pattern of files.
    File,
    /// `true` or `false`.
    Bool,
    /// A whole number, from .. to.
    Int(u64, u64),
    /// A number.
    Number,
    /// A Kubernetes quantity.
    Quantity,
    /// `90s`, `2d6h`.
    Duration,
    /// `200MB/s`.
    Rate,
    /// `20%` or `0.2`.
    Share,
    /// One of several words.
    Choice(&'static [&'static str]),
    /// A quantity, or a distribution of quantities.
    VaryingSize,
    /// A duration, or a distribution of durations.
    VaryingTime,
    /// A list.
    List(&'static Type),
    /// A mapping from names of one's own.
    Map(&'static Type),
    /// A mapping with these keys.
    Object(&'static [Key]),
    /// One of several forms.
    OneOf(&'static [Type]),
    /// Anything: the value of another path.
    Any,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Type,
    /// `required`, or the default in words; empty = absent.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// A key with a default in words; `required` marks those that must be there.
const fn key(name: &'static str, holds: Type, default: &'static str, meaning: &'static str) -> Key {
    Key { name, holds, default, meaning }
}

/// The keys of a scenario.
pub const SCENARIO: &[Key] = table::SCENARIO;

/// A path with every element written as `[]`.
#[cfg(test)]
pub fn pattern(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => {
                inside = false;
                out.push_str("[]");
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests;
