//! Puts many mutants into one build, each behind a switch of the running program ("mutant schemata").
//!
//! `schemata MUTANTS.json SOURCE TARGET EXCLUDED` reads what `cargo mutants --list --json` printed, finds for every mutant the syntax
//! around its span in the files below SOURCE, and writes the files below TARGET with the change beside the original:
//!
//! | mutant | becomes |
//! |---|---|
//! | another operator, no operator, another guard, a field left out | `(if active(7) { changed } else { original })` |
//! | a match arm left out | `pattern if !active(7) => ...` |
//! | another function body | `if active(7) { return changed; }` before the body |
//! | another body where `impl Iterator` is returned | a box with the one or the other |
//!
//! A `const fn` with a mutant is no longer `const`, since no switch can be asked at compile time.
//!
//! A mutant's number is its place in MUTANTS.json. EXCLUDED lists numbers to leave out: those that did not compile. Standard output gets,
//! as JSON, where in the written files each mutant stands (so that a compiler's message can be traced to it), and which mutants cannot be
//! said in this way.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr};

#[derive(Deserialize)]
struct Mutant {
    file: String,
    genre: String,
    replacement: String,
    span: Region,
}

#[derive(Deserialize)]
struct Region {
    start: Place,
    end: Place,
}

/// Both count from one; columns are characters.
#[derive(Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Bytes {
    start: usize,
    end: usize,
}

impl From<proc_macro2::Span> for Bytes {
    fn from(span: proc_macro2::Span) -> Self {
        let range = span.byte_range();
        Self { start: range.start, end: range.end }
    }
}

/// What a mutant's span may stand for, by the byte where the span starts.
#[derive(Default)]
struct Finder {
    /// Operators: the expression to be switched as a whole, if it may be.
    operators: BTreeMap<usize, Option<Bytes>>,
    guards: BTreeMap<usize, Option<Bytes>>,
    fields: BTreeMap<usize, Bytes>,
    /// Match arms: where their pattern ends.
    arms: BTreeMap<usize, usize>,
    /// Bodies: what is between the braces, by the start of their first statement, and whether an unnamed type is returned.
    bodies: BTreeMap<usize, (Bytes, bool)>,
    /// The word `const` of functions, and what is between the braces.
    constants: Vec<(Bytes, Bytes)>,
    /// The expression around nested binary operators, which is changed as text so that precedence is the text's.
    tower: Option<Bytes>,
}

/// A chain with `let` is no expression that could stand in parentheses.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

fn is_assignment(op: &BinOp) -> bool {
    use BinOp::{
        AddAssign, BitAndAssign, BitOrAssign, BitXorAssign, DivAssign, MulAssign, RemAssign, ShlAssign,
        ShrAssign, SubAssign,
    };
    matches!(
        op,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}

impl Finder {
    fn body(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let braces = block.brace_token.span;
        let inside = Bytes { start: Bytes::from(braces.open()).end, end: Bytes::from(braces.close()).start };
        let unnamed = matches!(&signature.output, syn::ReturnType::Type(_, kind) if matches!(**kind, syn::Type::ImplTrait(_)));
        if let Some(first) = block.stmts.first() {
            self.bodies.insert(Bytes::from(first.span()).start, (inside, unnamed));
        }
        if let Some(word) = &signature.constness {
            self.constants.push((word.span().into(), inside));
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        let outer = self.tower.take();
        let Expr::Binary(binary) = expr else {
            visit::visit_expr(self, expr);
            return;
        };
        if has_let(expr) {
            self.operators.insert(Bytes::from(binary.op.span()).start, None);
        } else {
            let whole = outer.unwrap_or_else(|| expr.span().into());
            self.operators.insert(Bytes::from(binary.op.span()).start, Some(whole));
            self.tower = (!is_assignment(&binary.op)).then_some(whole);
        }
        let tower = self.tower;
        self.visit_expr(&binary.left);
        self.tower = tower;
        self.visit_expr(&binary.right);
        self.tower = None;
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        self.operators.insert(Bytes::from(unary.op.span()).start, Some(unary.span().into()));
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        match &arm.guard {
            None => {
                self.arms.insert(Bytes::from(arm.span()).start, Bytes::from(arm.pat.span()).end);
            }
            Some((_, guard)) => {
                let span = Bytes::from(guard.span());
                self.guards.insert(span.start, (!has_let(guard)).then_some(span));
            }
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, literal: &'ast syn::ExprStruct) {
        for field in &literal.fields {
            self.fields.insert(Bytes::from(field.span()).start, literal.span().into());
        }
        visit::visit_expr_struct(self, literal);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.body(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.body(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.body(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// Where a mutant, or the whole that is switched for it, stands in a written file.
#[derive(Serialize)]
struct Written {
    file: String,
    start: usize,
    end: usize,
    mutants: Vec<usize>,
}

/// What is done at one place of a file. Inserted text has an empty range.
enum Edit {
    Switch { changed: Vec<(usize, String)>, boxed: bool },
    Insert(usize, String),
    Delete,
}

struct Writer<'a> {
    file: &'a str,
    source: &'a str,
    out: String,
    written: Vec<Written>,
}

impl Writer<'_> {
    fn note(&mut self, start: usize, mutants: Vec<usize>) {
        self.written.push(Written { file: self.file.to_owned(), start, end: self.out.len(), mutants });
    }

    /// Writes a part of the source with the edits that lie in it: they are sorted, and nest or lie apart.
    fn part(&mut self, range: Bytes, mut edits: &[(Bytes, Edit)]) {
        let mut at = range.start;
        while let Some(((span, edit), mut rest)) = edits.split_first() {
            self.out.push_str(&self.source[at..span.start]);
            at = span.end;
            let start = self.out.len();
            match edit {
                Edit::Insert(mutant, text) => {
                    self.out.push_str(text);
                    self.note(start, vec![*mutant]);
                }
                Edit::Delete => {}
                Edit::Switch { changed, boxed } => {
                    let inner = rest.partition_point(|(other, _)| other.start < span.end);
                    let (before, open, close, after) = match boxed {
                        false => ("(", "{ ", " }", ")"),
                        true => (
                            " let all: Box<dyn Iterator<Item = _> + '_> = ",
                            "{ Box::new({ ",
                            " }) }",
                            "; all ",
                        ),
                    };
                    self.out.push_str(before);
                    for (mutant, text) in changed {
                        let start = self.out.len();
                        self.out
                            .push_str(&format!("if crate::mutant::active({mutant}) {open}{text}{close} "));
                        self.note(start, vec![*mutant]);
                        self.out.push_str("else ");
                    }
                    self.out.push_str(open);
                    self.part(*span, &rest[..inner]);
                    self.out.push_str(close);
                    self.out.push_str(after);
                    rest = &rest[inner..];
                    self.note(start, changed.iter().map(|(mutant, _)| *mutant).collect());
                }
            }
            edits = rest;
        }
        self.out.push_str(&self.source[at..range.end]);
    }
}

/// The byte of a place.
fn byte(source: &str, place: &Place) -> Option<usize> {
    let line: usize = source.split_inclusive('\n').take(place.line - 1).map(str::len).sum();
    let column: usize = source.get(line..)?.chars().take(place.column - 1).map(char::len_utf8).sum();
    Some(line + column)
}

/// The edit for a mutant, or none if it cannot be said as a switch.
fn edit(finder: &Finder, source: &str, number: usize, mutant: &Mutant) -> Option<(Bytes, Edit)> {
    let span = Bytes { start: byte(source, &mutant.span.start)?, end: byte(source, &mutant.span.end)? };
    let whole = match mutant.genre.as_str() {
        "FnValue" => {
            let &(inside, unnamed) = finder.bodies.get(&span.start)?;
            if unnamed {
                return Some((
                    inside,
                    Edit::Switch { changed: vec![(number, mutant.replacement.clone())], boxed: true },
                ));
            }
            let at = inside.start;
            let text = format!(" if crate::mutant::active({number}) {{ return {}; }} ", mutant.replacement);
            return Some((Bytes { start: at, end: at }, Edit::Insert(number, text)));
        }
        "MatchArm" => {
            let at = *finder.arms.get(&span.start)?;
            let text = format!(" if !crate::mutant::active({number})");
            return Some((Bytes { start: at, end: at }, Edit::Insert(number, text)));
        }
        "BinaryOperator" | "UnaryOperator" => (*finder.operators.get(&span.start)?)?,
        "MatchArmGuard" => (*finder.guards.get(&span.start)?)?,
        "StructField" => *finder.fields.get(&span.start)?,
        _ => return None,
    };
    let (before, after) = (source.get(whole.start..span.start)?, source.get(span.end..whole.end)?);
    let text = format!("{before}{}{after}", mutant.replacement);
    // `a as f64 < b` is no comparison.
    syn::parse_str::<Expr>(&text).ok()?;
    Some((whole, Edit::Switch { changed: vec![(number, text)], boxed: false }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, from, to, excluded] = arguments.as_slice() else {
        return Err("usage: schemata MUTANTS.json SOURCE TARGET EXCLUDED".into());
    };
    let mutants: Vec<Mutant> = serde_json::from_str(&std::fs::read_to_string(list)?)?;
    let excluded: BTreeSet<usize> =
        std::fs::read_to_string(excluded)?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, mutant) in mutants.iter().enumerate() {
        files.entry(&mutant.file).or_default().push(number);
    }
    let (mut written, mut inexpressible) = (Vec::new(), Vec::new());
    for (file, numbers) in files {
        let source = std::fs::read_to_string(Path::new(from).join(file))?;
        let mut finder = Finder::default();
        finder.visit_file(&syn::parse_file(&source)?);
        let (mut switches, mut edits) = (BTreeMap::<(Bytes, bool), Vec<(usize, String)>>::new(), Vec::new());
        for number in numbers {
            match edit(&finder, &source, number, &mutants[number]) {
                None => inexpressible.push(number),
                Some(_) if excluded.contains(&number) => {}
                Some((span, Edit::Switch { changed, boxed })) => {
                    switches.entry((span, boxed)).or_default().extend(changed)
                }
                Some(insert) => edits.push(insert),
            }
        }
        edits.extend(
            switches.into_iter().map(|((span, boxed), changed)| (span, Edit::Switch { changed, boxed })),
        );
        let has_edit = |inside: &Bytes| {
            edits.iter().any(|(span, _)| inside.start <= span.start && span.end <= inside.end)
        };
        let freed: Vec<Bytes> =
            finder.constants.iter().filter(|(_, inside)| has_edit(inside)).map(|(word, _)| *word).collect();
        edits.extend(freed.into_iter().map(|word| (word, Edit::Delete)));
        // Insertions come before what starts at the same byte, wholes before their parts.
        edits.sort_by_key(|(span, _)| (span.start, span.end != span.start, std::cmp::Reverse(span.end)));
        let mut writer = Writer { file, source: &source, out: String::new(), written: Vec::new() };
        writer.part(Bytes { start: 0, end: source.len() }, &edits);
        let path = Path::new(to).join(file);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&writer.out) {
            std::fs::write(path, &writer.out)?;
        }
        written.append(&mut writer.written);
    }
    println!("{}", serde_json::json!({ "written": written, "inexpressible": inexpressible }));
    Ok(())
}
