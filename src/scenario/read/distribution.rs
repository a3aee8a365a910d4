//! Values that may vary.

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::scenario::reader::*;
use crate::scenario::tree::{Kind, Value};
use crate::scenario::types::Distribution;

/// Reads one parameter of a distribution.
pub type ReadUnit<'r, T> = &'r dyn Fn(&mut Ctx, &Value, &str) -> Option<T>;

/// A value that may vary: a constant or one of the distributions, its parameters read by `unit`.
pub fn distribution<T: Copy + PartialOrd + 'static>(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    unit: ReadUnit<'_, T>,
    empirical: ReadUnit<'_, Arc<[T]>>,
) -> Option<Distribution<T>> {
    const KINDS: &[&str] = &["exponential", "lognormal", "uniform", "weibull", "choice", "empirical"];
    let Kind::Map(entries) = &value.kind else {
        return unit(ctx, value, path).map(Distribution::Constant);
    };
    let mut map = Map::open(ctx, value, path)?;
    let Some(kind) = map.one_of(ctx, KINDS) else {
        let near = entries.first().and_then(|e| did_you_mean(&e.key, KINDS.iter().copied()));
        ctx.error(
            Diagnostic::error(Code::BadDistribution, format!("`{path}`: expected a value or a distribution"))
                .at(entries.first().map_or(value.span, |e| e.key_span))
                .label(format!("expected one of {}", KINDS.join(", ")))
                .maybe_help(near),
        );
        return None;
    };
    let inner_path = map.at(kind);
    let inner = map.get(kind)?;
    map.finish(ctx);
    match kind {
        "uniform" => {
            let items = inner.as_seq().filter(|s| s.len() == 2);
            let Some([low, high]) = items else {
                ctx.wrong(inner, &inner_path, "a list of two values, the lower and the upper");
                return None;
            };
            let low = unit(ctx, low, &inner_path);
            let high = unit(ctx, high, &inner_path);
            let (low, high) = (low?, high?);
            ordered(ctx, inner, &inner_path, low < high, "the first must be below the second")?;
            Some(Distribution::Uniform { low, high })
        }
        "choice" => choices(ctx, inner, &inner_path, unit).map(Distribution::Choice),
        "empirical" => empirical(ctx, inner, &inner_path).map(Distribution::Empirical),
        _ => {
            let mut parameters = Map::open(ctx, inner, &inner_path)?;
            let parsed = match kind {
                "exponential" => {
                    let mean = parameters.require(ctx, "mean", unit);
                    mean.map(|mean| Distribution::Exponential { mean })
                }
                "lognormal" => {
                    let median = parameters.require(ctx, "median", unit);
                    let p95 = parameters.require(ctx, "p95", unit);
                    median.zip(p95).and_then(|(median, p95)| {
                        ordered(ctx, inner, &inner_path, median <= p95, "p95 may not be below the median")?;
                        Some(Distribution::Lognormal { median, p95 })
                    })
                }
                _ => {
                    let shape = parameters.require(ctx, "shape", number(0.01..=100.0));
                    let scale = parameters.require(ctx, "scale", unit);
                    shape.zip(scale).map(|(shape, scale)| Distribution::Weibull { shape, scale })
                }
            };
            parameters.finish(ctx);
            parsed
        }
    }
}

fn ordered(ctx: &mut Ctx, value: &Value, path: &str, holds: bool, rule: &str) -> Option<()> {
    if !holds {
        ctx.error(Diagnostic::error(Code::BadDistribution, format!("`{path}`: {rule}")).at(value.span));
    }
    holds.then_some(())
}

fn choices<T: Copy>(
    ctx: &mut Ctx,
    value: &Value,
    path: &str,
    unit: ReadUnit<'_, T>,
) -> Option<Vec<(T, f64)>> {
    let items = value.as_seq().filter(|s| !s.is_empty());
    let Some(items) = items else {
        ctx.wrong(value, path, "a list of {value, weight}");
        return None;
    };
    let mut choices = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let path = format!("{path}[{i}]");
        let mut map = Map::open(ctx, item, &path)?;
        let chosen = map.require(ctx, "value", unit);
        let weight = map.read(ctx, "weight", number(1e-9..=1e12));
        let weight = if map.key_span("weight").is_some() { weight } else { Some(1.0) };
        map.finish(ctx);
        choices.push((chosen?, weight?));
    }
    Some(choices)
}
