//! Axes of a sweep: lists, ranges and logarithmic ranges of values for a path.

use super::paths;
use super::reader::{Ctx, Map, count_within, number, spanned};
use super::tree::{Value, clip};
use super::types::{Axis, Override};
use crate::diagnostic::{Code, Diagnostic};
use crate::limits::Limit;

/// Reads an axis: `{path, values}`, `{path, range: {from, to, step | count}}` or `{path, logRange: {from, to, count}}`.
pub fn axis(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Axis> {
    let mut map = Map::open(ctx, value, path)?;
    let target = map.require(ctx, "path", spanned);
    if let Some(target) = &target {
        let change =
            Override { path: target.value.clone(), value: Value::null(target.span), path_span: target.span };
        if let Err(error) = paths::check(&change) {
            ctx.error(error);
        }
    }
    let Some(kind) = map.one_of(ctx, &["values", "range", "logRange"]) else {
        map.finish(ctx);
        ctx.error(
            Diagnostic::error(Code::MissingKey, format!("`{path}` has no values"))
                .at(value.span)
                .label("expected one of values, range, logRange"),
        );
        return None;
    };
    let inner = map.get(kind)?;
    let inner_path = map.at(kind);
    let values = match kind {
        "values" => match inner.as_seq().filter(|s| !s.is_empty() && s.len() <= Limit::AxisValues.size()) {
            Some(items) => Some(items.to_vec()),
            None => {
                let message =
                    format!("`{inner_path}`: expected a list with 1 to {} values", Limit::AxisValues.get());
                ctx.error(Diagnostic::error(Code::WrongType, message).at(inner.span));
                None
            }
        },
        "range" => range(ctx, inner, &inner_path),
        _ => log_range(ctx, inner, &inner_path),
    };
    map.finish(ctx);
    Some(Axis { path: target?, values: values? })
}

/// A number and the unit behind it: `300Gi`, `10m`, `5`.
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let end = text
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || (*i == 0 && matches!(c, '-' | '+'))))
        .map_or(text.len(), |(i, _)| i);
    let number: f64 = text[..end].parse().ok()?;
    number.is_finite().then_some((number, &text[end..]))
}

/// The bounds of a range: two numbers with the same unit.
fn bounds(ctx: &mut Ctx, map: &mut Map<'_>) -> Option<(f64, f64, String)> {
    let mut bound = |key| {
        map.require(ctx, key, |ctx, value, path| {
            let parsed = value.as_text().and_then(split_unit).map(|(n, unit)| (n, unit.to_owned()));
            if parsed.is_none() {
                let message =
                    format!("`{path}`: expected a number, perhaps with a unit, found {}", value.describe());
                ctx.error(Diagnostic::error(Code::BadNumber, message).at(value.span));
            }
            parsed
        })
    };
    let (from, to) = (bound("from"), bound("to"));
    let ((from, unit), (to, other)) = (from?, to?);
    if unit != other || from > to {
        let message = format!("`{}`: expected `from` not above `to`, with the same unit", map.path);
        ctx.error(Diagnostic::error(Code::OutOfRange, message).at(map.span));
        return None;
    }
    Some((from, to, unit))
}

/// A number as a user would write it.
fn shown(number: f64, unit: &str) -> String {
    // Rounding to 12 digits hides what binary fractions add to 0.1 + 0.2.
    let text = format!("{number:.12}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn range(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Vec<Value>> {
    let mut map = Map::open(ctx, value, path)?;
    let bounds = bounds(ctx, &mut map);
    let step = map.read(ctx, "step", |ctx, value, path| {
        let parsed = value.as_text().and_then(split_unit).filter(|(n, _)| *n > 0.0).map(|(n, _)| n);
        if parsed.is_none() {
            let message = format!("`{path}`: expected a number above zero, found {}", value.describe());
            ctx.error(Diagnostic::error(Code::BadNumber, message).at(value.span));
        }
        parsed
    });
    let count = map.read(ctx, "count", count_within(2, Limit::AxisValues));
    let both = map.key_span("step").is_some() && map.key_span("count").is_some();
    if both {
        let message = format!("`{path}`: `step` and `count` exclude each other");
        ctx.error(Diagnostic::error(Code::Conflict, message).at(value.span));
    }
    map.finish(ctx);
    let (from, to, unit) = bounds?;
    let step = match (step, count) {
        (Some(step), _) => step,
        (None, Some(count)) => (to - from) / f64::from(count - 1),
        (None, None) => 1.0,
    };
    let steps = if step > 0.0 { libm::floor((to - from) / step + 1e-9) } else { 0.0 };
    if steps >= Limit::AxisValues.get() as f64 {
        let message = format!("`{path}` has more than {} values", Limit::AxisValues.get());
        let error = Diagnostic::error(Code::TooLarge, message).at(value.span);
        ctx.error(error.help(Limit::AxisValues.hint()));
        return None;
    }
    Some(
        (0..=steps as u64).map(|i| Value::plain(value.span, &shown(from + i as f64 * step, &unit))).collect(),
    )
}

fn log_range(ctx: &mut Ctx, value: &Value, path: &str) -> Option<Vec<Value>> {
    let mut map = Map::open(ctx, value, path)?;
    let bounds = bounds(ctx, &mut map);
    let count = map.require(ctx, "count", count_within(2, Limit::AxisValues));
    let whole = map.read(ctx, "round", number(1e-9..=1e18));
    map.finish(ctx);
    let ((from, to, unit), count) = (bounds?, count?);
    if from <= 0.0 {
        let message = format!("`{path}`: a logarithmic range begins above zero");
        ctx.error(Diagnostic::error(Code::OutOfRange, message).at(value.span));
        return None;
    }
    let ratio = libm::log(to / from) / f64::from(count - 1);
    let mut values: Vec<String> = Vec::new();
    for i in 0..count {
        let exact = match i {
            0 => from,
            i if i + 1 == count => to,
            i => from * libm::exp(ratio * f64::from(i)),
        };
        // Bounds without a fraction ask for values without one.
        let integral = libm::trunc(from) == from && libm::trunc(to) == to && unit.is_empty();
        let grain = whole.unwrap_or(if integral { 1.0 } else { 0.0 });
        let rounded = if grain > 0.0 { libm::round(exact / grain) * grain } else { exact };
        let text = shown(rounded, &unit);
        if values.last() != Some(&text) {
            values.push(text);
        }
    }
    Some(values.iter().map(|t| Value::plain(value.span, t)).collect())
}

/// One point of a sweep: a value for every axis.
#[derive(Clone, Debug)]
pub struct Point {
    /// Number of the point, from 0; the last axis runs fastest.
    pub index: u64,
    /// The changes, in the order of the axes.
    pub set: Vec<Override>,
}

/// Number of points of the full grid.
///
/// # Errors
/// When it exceeds [`Limit::SweepPoints`].
pub fn grid_size(axes: &[Axis]) -> Result<u64, Diagnostic> {
    axes.iter()
        .try_fold(1u64, |n, axis| {
            n.checked_mul(axis.values.len() as u64).filter(|n| *n <= Limit::SweepPoints.get())
        })
        .ok_or_else(|| {
            let most = Limit::SweepPoints.get();
            Diagnostic::error(Code::TooLarge, format!("the sweep has more than {most} points"))
                .help(Limit::SweepPoints.hint())
        })
}

/// The point of a number below [`grid_size`]; `None` beyond it. A scenario without axes has one point without changes.
pub fn grid_point(axes: &[Axis], index: u64) -> Option<Point> {
    let mut rest = index;
    let mut set = Vec::with_capacity(axes.len());
    for axis in axes.iter().rev() {
        let length = axis.values.len() as u64;
        let value = axis.values.get((rest % length.max(1)) as usize)?.clone();
        rest /= length.max(1);
        set.push(Override { path: axis.path.value.clone(), value, path_span: axis.path.span });
    }
    set.reverse();
    (rest == 0).then_some(Point { index, set })
}

/// A value as a cell of `sweep.csv`: a scalar's text, else canonical JSON.
pub fn cell(value: &Value) -> String {
    match value.as_text() {
        Some(text) => clip_cell(text),
        None => {
            let mut out = String::new();
            value.write_canonical(&mut out);
            out
        }
    }
}

fn clip_cell(text: &str) -> String {
    if text.len() > 10_000 { clip(text) } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
