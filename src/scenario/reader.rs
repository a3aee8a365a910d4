//! Reading mappings and scalars by hand: unknown keys are refused, every error is collected, every default is recorded.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::recorded::{Read, Recorded};
use super::tree::{Entry, Kind, Value, clip};
use super::types::Spanned;
use crate::diagnostic::{Code, Diagnostic, Sources, Span, did_you_mean};
use crate::engine::time::SimDuration;
use crate::limits::Limit;
use crate::model::quantity::Quantity;

/// A choice that was made for the user, listed in every report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assumption {
    /// `report.stuckAfter`.
    pub path: String,
    /// The value used, as text.
    pub value: String,
    /// `default`, `catalogue`, `trace-rule` or `conversion`.
    pub source: &'static str,
    /// Why, or what it means; may be empty.
    pub note: String,
}

/// Names of texts that come from the command line, not from a file.
pub const COMMAND_LINE_SOURCES: [&str; 2] = ["--set", "<command line>"];

/// What reading collects.
pub struct Ctx {
    /// Errors and warnings.
    pub diags: Vec<Diagnostic>,
    /// Defaults and catalogue values that were used.
    pub assumptions: Vec<Assumption>,
    /// Texts, for places inside notes.
    pub sources: Sources,
    /// Paths that were resolved, in order.
    pub reads: Vec<Read>,
    /// What a former run has read; then nothing else is.
    pub recorded: Option<Arc<Recorded>>,
    /// Which keys each mapping was asked for, by path: the table of the format is compared with it.
    #[cfg(test)]
    pub asked: std::collections::BTreeMap<String, std::collections::BTreeSet<&'static str>>,
}

impl Ctx {
    /// Nothing collected yet.
    pub fn new(sources: Sources) -> Ctx {
        Ctx {
            diags: Vec::new(),
            assumptions: Vec::new(),
            sources,
            reads: Vec::new(),
            recorded: None,
            #[cfg(test)]
            asked: Default::default(),
        }
    }
    /// Records an error.
    pub fn error(&mut self, diagnostic: Diagnostic) {
        self.diags.push(diagnostic);
    }
    /// Records a default and returns it.
    pub fn default<T: std::fmt::Display>(&mut self, map: &Map<'_>, key: &str, value: T, note: &str) -> T {
        self.assume(join(&map.path, key), value.to_string(), "default", note);
        value
    }
    /// Records an assumption.
    pub fn assume(&mut self, path: String, value: String, source: &'static str, note: &str) {
        self.assumptions.push(Assumption { path, value, source, note: note.to_owned() });
    }
    /// Records that a value has the wrong type.
    pub fn wrong(&mut self, value: &Value, path: &str, expected: &str) {
        self.error(
            Diagnostic::error(
                Code::WrongType,
                format!("`{path}`: expected {expected}, found {}", value.describe()),
            )
            .at(value.span)
            .label(format!("expected {expected}")),
        );
    }
}

/// `path.key`, or `key` at the top.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The path of a list's element: by its name if it has one.
pub fn element(path: &str, index: usize, item: &Value) -> String {
    match item.get("name").and_then(Value::as_text) {
        Some(name) if !name.is_empty() => format!("{path}[{}]", clip(name)),
        _ => format!("{path}[{index}]"),
    }
}

/// A mapping being read: which keys were asked for is remembered, the others are errors.
pub struct Map<'v> {
    entries: &'v [Entry],
    /// The whole mapping, for errors about what is absent.
    pub span: Span,
    /// Its path in the scenario.
    pub path: String,
    known: Vec<&'static str>,
}

impl<'v> Map<'v> {
    /// Opens a mapping; anything else is an error.
    pub fn open(ctx: &mut Ctx, value: &'v Value, path: &str) -> Option<Map<'v>> {
        match &value.kind {
            Kind::Map(entries) => {
                Some(Map { entries, span: value.span, path: path.to_owned(), known: Vec::new() })
            }
            _ => {
                ctx.wrong(value, if path.is_empty() { "the scenario" } else { path }, "a mapping");
                None
            }
        }
    }
    /// A mapping without entries, for parts that are absent.
    pub fn empty(span: Span, path: &str) -> Map<'static> {
        Map { entries: &[], span, path: path.to_owned(), known: Vec::new() }
    }
    /// The value of a key; null counts as absent.
    pub fn get(&mut self, key: &'static str) -> Option<&'v Value> {
        self.known.push(key);
        self.entries.iter().find(|e| &*e.key == key).map(|e| &e.value).filter(|v| !v.is_null())
    }
    /// As [`Map::get`], but null is handed out too.
    pub fn get_nullable(&mut self, key: &'static str) -> Option<&'v Value> {
        self.known.push(key);
        self.entries.iter().find(|e| &*e.key == key).map(|e| &e.value)
    }
    /// Where the key was written.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.iter().find(|e| &*e.key == key).map(|e| e.key_span)
    }
    /// The path of a key.
    pub fn at(&self, key: &str) -> String {
        join(&self.path, key)
    }
    /// Reads a key with `read` if it is there.
    pub fn read<T>(
        &mut self,
        ctx: &mut Ctx,
        key: &'static str,
        read: impl FnOnce(&mut Ctx, &'v Value, &str) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(key)?;
        let path = self.at(key);
        read(ctx, value, &path)
    }
    /// Reads a key that must be there.
    pub fn require<T>(
        &mut self,
        ctx: &mut Ctx,
        key: &'static str,
        read: impl FnOnce(&mut Ctx, &'v Value, &str) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = self.get(key) else {
            let place = self.key_span(key).unwrap_or(self.span);
            let inside =
                if self.path.is_empty() { "the scenario".to_owned() } else { format!("`{}`", self.path) };
            ctx.error(
                Diagnostic::error(Code::MissingKey, format!("{inside} lacks the key `{key}`"))
                    .at(place)
                    .label(format!("`{key}` is missing")),
            );
            return None;
        };
        let path = self.at(key);
        read(ctx, value, &path)
    }
    /// Reads a key, or records the default.
    pub fn or_default<T: std::fmt::Display>(
        &mut self,
        ctx: &mut Ctx,
        key: &'static str,
        default: T,
        read: impl FnOnce(&mut Ctx, &'v Value, &str) -> Option<T>,
    ) -> T {
        if self.get(key).is_none() {
            return ctx.default(self, key, default, "");
        }
        self.read(ctx, key, read).unwrap_or(default)
    }
    /// The elements of a list with their paths; an absent key is an empty list.
    pub fn list(&mut self, ctx: &mut Ctx, key: &'static str) -> Vec<(String, &'v Value)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let path = self.at(key);
        let Kind::Seq(items) = &value.kind else {
            ctx.wrong(value, &path, "a list");
            return Vec::new();
        };
        items.iter().enumerate().map(|(i, item)| (element(&path, i, item), item)).collect()
    }
    /// Which of several keys are there; more than one is an error.
    pub fn one_of(&mut self, ctx: &mut Ctx, keys: &[&'static str]) -> Option<&'static str> {
        self.known.extend_from_slice(keys);
        let mut found: Option<&'static str> = None;
        for entry in self.entries {
            let Some(key) = keys.iter().copied().find(|k| *k == &*entry.key) else { continue };
            if let Some(first) = found {
                ctx.error(
                    Diagnostic::error(
                        Code::Conflict,
                        format!("`{}`: `{first}` and `{key}` exclude each other", self.path),
                    )
                    .at(entry.key_span)
                    .label(format!("expected exactly one of {}", keys.join(", "))),
                );
                return found;
            }
            found = Some(key);
        }
        found
    }
    /// Reports the keys that nobody asked for.
    pub fn finish(self, ctx: &mut Ctx) {
        #[cfg(test)]
        ctx.asked.entry(super::schema::pattern(&self.path)).or_default().extend(self.known.iter().copied());
        for entry in self.entries {
            if self.known.contains(&&*entry.key) {
                continue;
            }
            let inside = if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) };
            let hint = did_you_mean(&entry.key, self.known.iter().copied()).unwrap_or_else(|| {
                let mut known = self.known.clone();
                known.sort_unstable();
                known.dedup();
                if known.is_empty() {
                    "no key is known here".to_owned()
                } else {
                    format!("known here: {}", known.join(", "))
                }
            });
            ctx.error(
                Diagnostic::error(Code::UnknownKey, format!("unknown key `{}`{inside}", clip(&entry.key)))
                    .at(entry.key_span)
                    .label("not known here")
                    .help(hint),
            );
        }
    }
}

/// The text of a scalar.
pub fn text<'v>(ctx: &mut Ctx, value: &'v Value, path: &str) -> Option<&'v str> {
    match value.as_text() {
        Some(text) => Some(text),
        None => {
            ctx.wrong(value, path, "text");
            None
        }
    }
}

/// A text, owned.
pub fn string(ctx: &mut Ctx, value: &Value, path: &str) -> Option<String> {
    text(ctx, value, path).map(str::to_owned)
}

/// A text and its place.
pub fn spanned(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Spanned<String>> {
    text(ctx, value, path).map(|t| Spanned { value: t.to_owned(), span: value.span })
}

/// `true` or `false`.
pub fn boolean(ctx: &mut Ctx, value: &Value, path: &str) -> Option<bool> {
    match value.as_text() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => {
            ctx.wrong(value, path, "true or false");
            None
        }
    }
}

/// A whole number in a range.
pub fn integer(ctx: &mut Ctx, value: &Value, path: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let parsed = value.as_text().and_then(|text| {
        text.parse::<u64>().ok().or_else(|| {
            let float: f64 = text.parse().ok()?;
            // Beyond 2^53 a float is no exact whole number any more; the range check below refuses it.
            (float >= 0.0 && libm::trunc(float) == float).then_some(float as u64)
        })
    });
    match parsed {
        Some(n) if range.contains(&n) => Some(n),
        Some(_) => {
            ctx.error(
                Diagnostic::error(
                    Code::OutOfRange,
                    format!(
                        "`{path}`: {} lies outside {} .. {}",
                        clip(value.as_text().unwrap_or("")),
                        range.start(),
                        range.end()
                    ),
                )
                .at(value.span)
                .label(format!("expected {} .. {}", range.start(), range.end())),
            );
            None
        }
        None => {
            ctx.error(
                Diagnostic::error(
                    Code::BadNumber,
                    format!("`{path}`: expected a whole number, found {}", value.describe()),
                )
                .at(value.span)
                .label(format!(
                    "expected a whole number {} .. {}",
                    range.start(),
                    range.end()
                )),
            );
            None
        }
    }
}

/// A whole number that fits 32 bits, in a range.
pub fn count(range: RangeInclusive<u32>) -> impl Fn(&mut Ctx, &Value, &str) -> Option<u32> {
    move |ctx, value, path| {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        integer(ctx, value, path, range).and_then(|n| u32::try_from(n).ok())
    }
}

/// A whole number from `least` to a limit that the command line may raise.
pub fn count_within(least: u32, limit: Limit) -> impl Fn(&mut Ctx, &Value, &str) -> Option<u32> {
    move |ctx, value, path| {
        let found = count(least..=limit.count())(ctx, value, path);
        if found.is_none()
            && let Some(last) = ctx.diags.last_mut().filter(|d| d.code == Code::OutOfRange)
        {
            last.help = Some(limit.hint().into());
        }
        found
    }
}

/// A finite number in a range.
pub fn number(range: RangeInclusive<f64>) -> impl Fn(&mut Ctx, &Value, &str) -> Option<f64> {
    move |ctx, value, path| {
        let parsed: Option<f64> =
            value.as_text().and_then(|t| t.parse().ok()).filter(|f: &f64| f.is_finite());
        match parsed {
            Some(n) if range.contains(&n) => Some(n),
            found => {
                let code = if found.is_some() { Code::OutOfRange } else { Code::BadNumber };
                ctx.error(
                    Diagnostic::error(
                        code,
                        format!(
                            "`{path}`: expected a number {} .. {}, found {}",
                            range.start(),
                            range.end(),
                            value.describe()
                        ),
                    )
                    .at(value.span)
                    .label(format!("expected {} .. {}", range.start(), range.end())),
                );
                None
            }
        }
    }
}

/// A Kubernetes quantity that is not negative.
pub fn quantity(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Quantity> {
    let Some(text) = value.as_text() else {
        ctx.wrong(value, path, "a quantity such as 500m or 10Gi");
        return None;
    };
    let error = match Quantity::parse(text) {
        Ok(q) if !q.is_negative() => return Some(q),
        Ok(_) => "a quantity may not be negative".to_owned(),
        Err(e) => e.to_string(),
    };
    ctx.error(
        Diagnostic::error(Code::BadQuantity, format!("`{path}`: `{}` is not a quantity", clip(text)))
            .at(value.span)
            .label(error)
            .maybe_help(quantity_hint(text)),
    );
    None
}

/// What the user may have meant by a quantity with a foreign unit.
pub fn quantity_hint(text: &str) -> Option<String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[number.len()..].to_ascii_lowercase().as_str() {
        "b" | "byte" | "bytes" => "",
        "kb" => "k",
        "mb" => "M",
        "gb" => "G",
        "tb" => "T",
        "pb" => "P",
        "kib" => "Ki",
        "mib" | "mi" => "Mi",
        "gib" | "gi" => "Gi",
        "tib" | "ti" => "Ti",
        "pib" | "pi" => "Pi",
        "core" | "cores" | "cpu" | "cpus" => "",
        "g" => "G",
        "t" => "T",
        "p" => "P",
        _ => return None,
    };
    let number = number.trim_end();
    let candidate = format!("{number}{unit}");
    Quantity::parse(&candidate).is_ok().then(|| format!("did you mean `{candidate}`?"))
}

/// Bytes, at least 1 and at most 2^63-1.
pub fn bytes(ctx: &mut Ctx, value: &Value, path: &str) -> Option<u64> {
    let quantity = quantity(ctx, value, path)?;
    let bytes = quantity.ceil();
    if (1..=i128::from(i64::MAX)).contains(&bytes) {
        return u64::try_from(bytes).ok();
    }
    ctx.error(
        Diagnostic::error(
            Code::OutOfRange,
            format!("`{path}`: a size must be at least 1 byte and at most 2^63-1"),
        )
        .at(value.span),
    );
    None
}

/// A duration above zero.
pub fn duration(ctx: &mut Ctx, value: &Value, path: &str) -> Option<SimDuration> {
    let parsed = duration_or_zero(ctx, value, path)?;
    if parsed.is_zero() {
        ctx.error(
            Diagnostic::error(Code::OutOfRange, format!("`{path}`: expected a duration above zero"))
                .at(value.span)
                .label("must be above zero"),
        );
        return None;
    }
    Some(parsed)
}

/// A duration.
pub fn duration_or_zero(ctx: &mut Ctx, value: &Value, path: &str) -> Option<SimDuration> {
    let Some(text) = value.as_text() else {
        ctx.wrong(value, path, "a duration such as 90s, 5m or 2d6h");
        return None;
    };
    match SimDuration::parse(text) {
        Ok(duration) => Some(duration),
        Err(_) => {
            let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let help = bare.then(|| format!("a number needs a unit: did you mean `{text}s`?"));
            ctx.error(
                Diagnostic::error(Code::BadDuration, format!("`{path}`: `{}` is not a duration", clip(text)))
                    .at(value.span)
                    .label("expected a duration such as 90s, 5m, 4h, 30d or 2d6h")
                    .maybe_help(help),
            );
            None
        }
    }
}

/// A rate such as `200MB/s`, bytes per second, above zero.
pub fn rate(ctx: &mut Ctx, value: &Value, path: &str) -> Option<f64> {
    let parsed = value.as_text().and_then(|text| {
        let amount = text.strip_suffix("/s")?.trim_end();
        let amount = amount.strip_suffix('B').unwrap_or(amount);
        let quantity = Quantity::parse(amount).ok()?;
        let per_second = quantity.nanos() as f64 / 1e9;
        (per_second > 0.0).then_some(per_second)
    });
    if parsed.is_none() {
        ctx.error(
            Diagnostic::error(
                Code::BadRate,
                format!("`{path}`: expected a rate, found {}", value.describe()),
            )
            .at(value.span)
            .label("expected a rate such as 200MB/s or 1Gi/s"),
        );
    }
    parsed
}

/// A share such as `20%` or `0.2`, at most `most`.
pub fn share_up_to(most: f64) -> impl Fn(&mut Ctx, &Value, &str) -> Option<f64> {
    move |ctx, value, path| {
        let parsed: Option<f64> = value.as_text().and_then(parse_share);
        match parsed {
            Some(share) if (0.0..=most).contains(&share) => Some(share),
            found => {
                let help = found
                    .filter(|s| *s > most && *s <= 100.0 && most <= 1.0)
                    .map(|s| format!("did you mean `{s}%`?"));
                ctx.error(
                    Diagnostic::error(
                        Code::BadShare,
                        format!("`{path}`: expected a share, found {}", value.describe()),
                    )
                    .at(value.span)
                    .label(format!("expected 0 .. {}%, as 20% or 0.2", most * 100.0))
                    .maybe_help(help),
                );
                None
            }
        }
    }
}

/// A share of at most 100 %.
pub fn share(ctx: &mut Ctx, value: &Value, path: &str) -> Option<f64> {
    share_up_to(1.0)(ctx, value, path)
}

/// `20%` or `0.2` as a number.
pub fn parse_share(text: &str) -> Option<f64> {
    let parsed = match text.strip_suffix('%') {
        Some(percent) => percent.trim_end().parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    parsed.is_finite().then_some(parsed)
}

/// One of several words.
pub fn choice<T: Copy>(words: &[(&'static str, T)]) -> impl Fn(&mut Ctx, &Value, &str) -> Option<T> {
    move |ctx, value, path| {
        let found = value.as_text();
        if let Some((_, parsed)) = found.and_then(|t| words.iter().find(|(word, _)| *word == t)) {
            return Some(*parsed);
        }
        let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        ctx.error(
            Diagnostic::error(
                Code::UnknownChoice,
                format!("`{path}`: expected {}, found {}", list.join(" or "), value.describe()),
            )
            .at(value.span)
            .label(format!("expected {}", list.join(", ")))
            .maybe_help(found.and_then(|t| did_you_mean(t, list.iter().copied()))),
        );
        None
    }
}

/// Reads the members of a free mapping such as `labels`.
pub fn string_map<T>(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    mut read: impl FnMut(&mut Ctx, &Value, &str) -> Option<T>,
) -> Option<std::collections::BTreeMap<String, T>> {
    let Kind::Map(entries) = &value.kind else {
        ctx.wrong(value, path, "a mapping");
        return None;
    };
    let mut map = std::collections::BTreeMap::new();
    for entry in entries {
        let item = read(ctx, &entry.value, &join(path, &entry.key))?;
        map.insert(entry.key.to_string(), item);
    }
    Some(map)
}

/// A text for [`string_map`]: labels may be empty.
pub fn label_text(ctx: &mut Ctx, value: &Value, path: &str) -> Option<String> {
    match &value.kind {
        Kind::Scalar(scalar) => Some(scalar.text.to_string()),
        _ => {
            ctx.wrong(value, path, "text");
            None
        }
    }
}

/// A DNS-1123 label of at most `longest` characters; dots are allowed where `dots` says so.
pub fn check_name(ctx: &mut Ctx, name: &Spanned<String>, path: &str, longest: usize, dots: bool) {
    let ok_char = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || (dots && c == b'.');
    let bytes = name.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let problem = if bytes.len() > longest {
        format!("longer than {longest} characters")
    } else if !bytes.iter().all(|b| ok_char(*b))
        || !edge(bytes.first())
        || !edge(bytes.last())
        || name.contains("..")
    {
        "expected lower case letters, digits and `-`, beginning and ending with a letter or digit".to_owned()
    } else {
        return;
    };
    let fixed: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(longest)
        .collect();
    let fixed = fixed.trim_matches('-').to_owned();
    let help = (!fixed.is_empty()).then(|| format!("for example `{fixed}`"));
    ctx.error(
        Diagnostic::error(Code::BadName, format!("`{path}`: `{}` is not a name", clip(name)))
            .at(name.span)
            .label(problem)
            .maybe_help(help),
    );
}

/// Reports names that occur twice.
pub fn check_unique<'n>(ctx: &mut Ctx, what: &str, names: impl IntoIterator<Item = &'n Spanned<String>>) {
    let mut seen: std::collections::BTreeMap<&str, Span> = std::collections::BTreeMap::new();
    for name in names {
        if let Some(first) = seen.get(name.as_str()) {
            let place = ctx.sources.locate(*first);
            ctx.error(
                Diagnostic::error(Code::DuplicateName, format!("two {what} are named `{}`", clip(name)))
                    .at(name.span)
                    .label(format!("first at {place}")),
            );
        } else {
            seen.insert(name.as_str(), name.span);
        }
    }
}
