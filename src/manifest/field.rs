//! Field paths for messages, and the list of findings about one object.

use std::fmt;

use crate::diagnostic::{Code, Diagnostic, Span, did_you_mean};
use crate::scenario::tree::{Value, clip};

/// A field of an object: `spec.containers[0].resources`. Built on the stack while validating; costs nothing until it is shown.
#[derive(Clone, Copy)]
pub struct Field<'p> {
    parent: Option<&'p Field<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

impl<'p> Field<'p> {
    /// A field at the top of an object.
    pub fn top(key: &'p str) -> Field<'p> {
        Field { parent: None, step: Step::Key(key) }
    }
    /// A field of this one.
    pub fn key<'c>(&'c self, key: &'c str) -> Field<'c> {
        Field { parent: Some(self), step: Step::Key(key) }
    }
    /// An element of this one.
    pub fn index<'c>(&'c self, index: usize) -> Field<'c> {
        Field { parent: Some(self), step: Step::Index(index) }
    }
    /// The deepest node of the object's tree on the way to this field, and whether it is the field itself.
    fn find<'v>(&self, tree: &'v Value) -> (&'v Value, bool) {
        let (parent, found) = match self.parent {
            Some(parent) => parent.find(tree),
            None => (tree, true),
        };
        if !found {
            return (parent, false);
        }
        let child = match self.step {
            Step::Key(key) => parent.get(key),
            Step::Index(index) => parent.as_seq().and_then(|s| s.get(index)),
        };
        child.map_or((parent, false), |c| (c, true))
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Key(key) if self.parent.is_none() => f.write_str(&clip(key)),
            Step::Key(key) if key.contains(['.', '/']) => write!(f, "[{}]", clip(key)),
            Step::Key(key) => write!(f, ".{}", clip(key)),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Findings about one object.
pub struct Check<'a> {
    /// The object as written.
    pub tree: &'a Value,
    /// `PersistentVolume "pv-1"`
    pub what: String,
    /// Errors and warnings.
    pub found: Vec<Diagnostic>,
}

impl Check<'_> {
    /// Findings kept per object.
    const MOST: usize = 50;

    /// Where a field was written; where it is absent, its parent.
    pub fn span(&self, field: &Field<'_>) -> Span {
        field.find(self.tree).0.span
    }
    fn push(&mut self, diagnostic: Diagnostic) {
        if self.found.len() < Self::MOST {
            self.found.push(diagnostic);
        }
    }
    /// A required field is absent.
    pub fn missing(&mut self, field: &Field<'_>, why: &str) {
        let message =
            format!("{}: {field} is required{}{why}", self.what, if why.is_empty() { "" } else { ": " });
        let place = self.span(field);
        self.push(
            Diagnostic::error(Code::MissingField, message).at(place).label("required by the Kubernetes API"),
        );
    }
    /// A value that the API refuses.
    pub fn invalid(&mut self, field: &Field<'_>, value: &str, why: &str) {
        let message = format!("{}: {field}: `{}` is refused by the Kubernetes API", self.what, clip(value));
        let place = self.span(field);
        self.push(Diagnostic::error(Code::InvalidValue, message).at(place).label(why));
    }
    /// A word that is not one of the allowed ones.
    pub fn one_of(&mut self, field: &Field<'_>, value: &str, words: &[&str]) {
        if words.contains(&value) {
            return;
        }
        let message = format!("{}: {field}: `{}` is refused by the Kubernetes API", self.what, clip(value));
        let place = self.span(field);
        self.push(
            Diagnostic::error(Code::InvalidValue, message)
                .at(place)
                .label(format!(
                    "expected {}",
                    words.iter().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>().join(", ")
                ))
                .maybe_help(did_you_mean(value, words.iter().copied())),
        );
    }
    /// Something odd that the API accepts.
    pub fn warn(&mut self, field: &Field<'_>, message: &str) {
        let message = format!("{}: {message}", self.what);
        let place = self.span(field);
        self.push(Diagnostic::warning(Code::Unusual, message).at(place));
    }
}
