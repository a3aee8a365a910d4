//! `sweep.filters`: conditions on the axes that a point must meet, such as
//! `cluster.nodes[db].count * 4 >= workload.generate[shop].sets and cluster.nodes[db].shape != i3.large`.
//!
//! ```text
//! condition = all { "or" all }      all = not { "and" not }        not = ["not"] comparison
//! comparison = sum [("<=" | "<" | ">=" | ">" | "==" | "!=") sum]   sum = product { ("+" | "-") product }
//! product = atom { ("*" | "/") atom }     atom = "(" condition ")" | axis | number, quantity, duration | word | "text"
//! ```
//! An axis is named by its whole path, or by the end of it behind a dot if that names only one.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::engine::time::SimDuration;
use crate::model::quantity::Quantity;
use crate::scenario::axes::cell;
use crate::scenario::tree::Value;
use crate::scenario::types::{Axis, Spanned};

/// Nesting of parentheses and `not`.
const MAX_DEPTH: usize = 100;

/// A condition on the axes.
#[derive(Clone, Debug)]
pub struct Filter {
    root: Node,
    text: String,
    span: Span,
}

#[derive(Clone, Debug)]
enum Node {
    Axis(usize),
    Literal(String),
    Not(Box<Node>),
    Pair(Operator, Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    LessEqual,
    Less,
    GreaterEqual,
    Greater,
    Equal,
    NotEqual,
    Plus,
    Minus,
    Times,
    Over,
}

/// Operators by binding strength, weakest first; longer ones before their beginnings.
const LEVELS: [&[(&str, Operator)]; 5] = [
    &[("or", Operator::Or), ("||", Operator::Or)],
    &[("and", Operator::And), ("&&", Operator::And)],
    &[
        ("<=", Operator::LessEqual),
        ("<", Operator::Less),
        (">=", Operator::GreaterEqual),
        (">", Operator::Greater),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
    ],
    &[("+", Operator::Plus), ("-", Operator::Minus)],
    &[("*", Operator::Times), ("/", Operator::Over)],
];
const COMPARISONS: usize = 2;

/// What a part of a condition comes to.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Truth(bool),
    Number(f64),
    Text(String),
}

impl Filter {
    /// Reads a condition on these axes.
    ///
    /// # Errors
    /// What is malformed, at the condition.
    pub fn parse(written: &Spanned<String>, axes: &[Axis]) -> Result<Filter, Diagnostic> {
        let mut parser = Parser { rest: &written.value, axes, depth: 0 };
        let parsed = parser.level(0).and_then(|root| match parser.rest.trim_start() {
            "" => Ok(root),
            rest => Err(format!("`{}` is not understood", crate::scenario::tree::clip(rest))),
        });
        match parsed {
            Ok(root) => Ok(Filter { root, text: written.value.clone(), span: written.span }),
            Err(why) => Err(malformed(&written.value, written.span, &why)),
        }
    }

    /// Does a point pass? `value` gives its value of an axis.
    ///
    /// # Errors
    /// If the condition makes no sense for these values, such as a text plus 1.
    pub fn passes<'v>(&self, value: &dyn Fn(usize) -> &'v Value) -> Result<bool, Diagnostic> {
        match evaluate(&self.root, value) {
            Ok(Outcome::Truth(truth)) => Ok(truth),
            Ok(_) => Err(malformed(&self.text, self.span, "it is neither true nor false")),
            Err(why) => Err(malformed(&self.text, self.span, &why)),
        }
    }
}

fn malformed(text: &str, span: Span, why: &str) -> Diagnostic {
    Diagnostic::error(
        Code::InvalidValue,
        format!("the filter `{}` makes no sense: {why}", crate::scenario::tree::clip(text)),
    )
    .at(span)
    .label("expected a condition on the axes")
    .help("for example: cluster.nodes[db].count * 4 >= workload.generate[shop].sets")
}

struct Parser<'a> {
    rest: &'a str,
    axes: &'a [Axis],
    depth: usize,
}

impl Parser<'_> {
    fn level(&mut self, level: usize) -> Result<Node, String> {
        let Some(operators) = LEVELS.get(level) else { return self.atom() };
        if level == COMPARISONS && (self.word("not") || self.symbol("!")) {
            return self.deeper(|parser| Ok(Node::Not(Box::new(parser.level(COMPARISONS)?))));
        }
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            let right = self.level(level + 1)?;
            left = Node::Pair(operator, Box::new(left), Box::new(right));
            if level == COMPARISONS {
                break;
            }
        }
        Ok(left)
    }

    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Result<Node, String>) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
        }
        let node = inner(self);
        self.depth -= 1;
        node
    }

    fn operator(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        operators
            .iter()
            .find(
                |(text, _)| {
                    if text.starts_with(char::is_alphabetic) { self.word(text) } else { self.symbol(text) }
                },
            )
            .map(|(_, operator)| *operator)
    }

    /// Takes a symbol if it comes next.
    fn symbol(&mut self, symbol: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(symbol);
        // `!` begins `!=` as well.
        let taken = rest.filter(|rest| symbol != "!" || !rest.starts_with('='));
        taken.map(|rest| self.rest = rest).is_some()
    }

    /// Takes a word if it comes next and ends there.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(word).filter(|rest| !rest.starts_with(in_word));
        rest.map(|rest| self.rest = rest).is_some()
    }

    fn atom(&mut self) -> Result<Node, String> {
        if self.symbol("(") {
            let node = self.deeper(|parser| parser.level(0))?;
            return if self.symbol(")") { Ok(node) } else { Err("`(` without `)`".to_owned()) };
        }
        self.rest = self.rest.trim_start();
        if let Some(inside) = self.rest.strip_prefix(['"', '\'']) {
            let quote = &self.rest[..1];
            let Some((text, rest)) = inside.split_once(quote) else {
                return Err("a quote is not closed".to_owned());
            };
            self.rest = rest;
            return Ok(Node::Literal(text.to_owned()));
        }
        // Longest first: one axis may be the beginning of another.
        let mut named: Vec<(usize, &str)> =
            self.axes.iter().enumerate().map(|(i, axis)| (i, axis.path.value.as_str())).collect();
        named.sort_by_key(|(_, path)| std::cmp::Reverse(path.len()));
        for (i, path) in named {
            if self.word(path) {
                return Ok(Node::Axis(i));
            }
        }
        let end = self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        if word.is_empty() {
            return Err(match self.rest.chars().next() {
                None => "it ends where a value is expected".to_owned(),
                Some(c) => format!("`{c}` stands where a value is expected"),
            });
        }
        self.rest = &self.rest[end..];
        self.named(word)
    }

    /// A word: the end of an axis' path, or itself.
    fn named(&self, word: &str) -> Result<Node, String> {
        let ends =
            |axis: &Axis| axis.path.value.strip_suffix(word).is_some_and(|before| before.ends_with('.'));
        let mut matching = self.axes.iter().enumerate().filter(|(_, axis)| ends(axis));
        match (matching.next(), matching.next()) {
            (Some(_), Some(_)) => Err(format!("`{word}` names more than one axis; write the whole path")),
            (Some((i, _)), None) => Ok(Node::Axis(i)),
            // `i3.2xlarge` is a word; what looks like a path is a slip.
            (None, _) if word.contains('[') || (word.matches('.').count() > 1 && number(word).is_none()) => {
                Err(format!("`{word}` is not the path of an axis"))
            }
            (None, _) => Ok(Node::Literal(word.to_owned())),
        }
    }
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '[' | ']' | '%')
}

fn evaluate<'v>(node: &Node, value: &dyn Fn(usize) -> &'v Value) -> Result<Outcome, String> {
    match node {
        Node::Axis(axis) => Ok(Outcome::Text(cell(value(*axis)))),
        Node::Literal(text) => Ok(Outcome::Text(text.clone())),
        Node::Not(inner) => match evaluate(inner, value)? {
            Outcome::Truth(truth) => Ok(Outcome::Truth(!truth)),
            _ => Err("`not` stands before what is neither true nor false".to_owned()),
        },
        Node::Pair(operator @ (Operator::And | Operator::Or), left, right) => {
            let (left, right) = (evaluate(left, value)?, evaluate(right, value)?);
            let (Outcome::Truth(left), Outcome::Truth(right)) = (left, right) else {
                return Err("`and` and `or` join conditions".to_owned());
            };
            Ok(Outcome::Truth(if *operator == Operator::And { left && right } else { left || right }))
        }
        Node::Pair(operator, left, right) => pair(*operator, evaluate(left, value)?, evaluate(right, value)?),
    }
}

fn pair(operator: Operator, left: Outcome, right: Outcome) -> Result<Outcome, String> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    if let (Some(a), Some(b)) = (as_number(&left)?, as_number(&right)?) {
        let ordering = a.total_cmp(&b);
        return Ok(match operator {
            Operator::LessEqual => Outcome::Truth(ordering != Greater),
            Operator::Less => Outcome::Truth(ordering == Less),
            Operator::GreaterEqual => Outcome::Truth(ordering != Less),
            Operator::Greater => Outcome::Truth(ordering == Greater),
            Operator::Equal => Outcome::Truth(ordering == Equal),
            Operator::NotEqual => Outcome::Truth(ordering != Equal),
            Operator::Plus => Outcome::Number(a + b),
            Operator::Minus => Outcome::Number(a - b),
            Operator::Times => Outcome::Number(a * b),
            Operator::Over if b == 0.0 => return Err("it divides by zero".to_owned()),
            Operator::Over => Outcome::Number(a / b),
            Operator::And | Operator::Or => return Err("numbers are neither true nor false".to_owned()),
        });
    }
    let shown = |outcome: &Outcome| match outcome {
        Outcome::Text(text) => text.clone(),
        Outcome::Number(x) => x.to_string(),
        Outcome::Truth(truth) => truth.to_string(),
    };
    match operator {
        Operator::Equal => Ok(Outcome::Truth(shown(&left) == shown(&right))),
        Operator::NotEqual => Ok(Outcome::Truth(shown(&left) != shown(&right))),
        _ => Err(format!("`{}` and `{}` are not both numbers", shown(&left), shown(&right))),
    }
}

fn as_number(outcome: &Outcome) -> Result<Option<f64>, String> {
    match outcome {
        Outcome::Number(x) => Ok(Some(*x)),
        Outcome::Text(text) => Ok(number(text)),
        Outcome::Truth(_) => Err("it calculates with a condition".to_owned()),
    }
}

/// A number, a share, a quantity or a duration (in seconds). `5m` is a quantity: compare minutes with `300s`.
fn number(text: &str) -> Option<f64> {
    let plain = text.parse::<f64>().ok().filter(|x| x.is_finite());
    let percent = || text.strip_suffix('%')?.parse::<f64>().ok().filter(|x| x.is_finite()).map(|x| x / 100.0);
    let quantity = || Quantity::parse(text).ok().map(|q| q.nanos() as f64 / 1e9);
    let duration = || SimDuration::parse(text).ok().map(SimDuration::as_secs_f64);
    plain.or_else(percent).or_else(quantity).or_else(duration)
}

#[cfg(test)]
mod tests;
