//! Which points a sweep looks at: all of the grid, or a sample of it.
//!
//! Every axis is a list of values; a sample picks from the lists. A point that a sample would name twice is taken once,
//! because the seeds are the same at every point and its runs would be the same runs.

use super::filter::Filter;
use super::job::Point;
use super::sobol::{MAX_DIMENSIONS, Sobol};
use crate::diagnostic::{Code, Diagnostic};
use crate::engine::rng::Streams;
use crate::engine::samplers;
use crate::limits::Limit;
use crate::scenario::axes::grid_size;
use crate::scenario::types::{Axis, Design, Override, Sweep};
use rustc_hash::FxHashSet;

/// Draws per wanted point before a random sample gives up looking for points that pass the filters.
const PATIENCE: u64 = 1000;

/// The points of a sweep, in order: deterministic in the axes, the design, the filters and the seed.
///
/// # Errors
/// Too many points, too many axes for a Sobol sequence, a malformed filter, or filters that let nothing pass.
pub fn points(sweep: &Sweep, seed: u64) -> Result<Vec<Point>, Diagnostic> {
    let axes = &sweep.axes;
    // A sample may come from a grid that is too large to walk.
    let size = match sweep.design {
        Design::Grid => grid_size(axes)?,
        _ => grid_size(axes).unwrap_or(u64::MAX),
    };
    let filters: Vec<Filter> =
        sweep.filters.iter().map(|written| Filter::parse(written, axes)).collect::<Result<_, _>>()?;
    let mut chosen = Chosen { axes, filters: &filters, seen: FxHashSet::default(), points: Vec::new() };
    match sweep.design {
        Design::Random { points } if u64::from(points) < size => random(&mut chosen, points, seed)?,
        Design::LatinHypercube { points } if u64::from(points) < size => {
            latin_hypercube(&mut chosen, points, seed)?;
        }
        Design::Sobol { points } if u64::from(points) < size => sobol(&mut chosen, points, seed)?,
        // A sample as large as the grid is the grid.
        _ => grid(&mut chosen, size)?,
    }
    if chosen.points.is_empty() {
        let message = "the filters of the sweep let no point pass";
        return Err(match sweep.filters.first() {
            Some(filter) => Diagnostic::error(Code::NoMatch, message).at(filter.span),
            None => Diagnostic::error(Code::NoMatch, message),
        });
    }
    Ok(chosen.points)
}

struct Chosen<'a> {
    axes: &'a [Axis],
    filters: &'a [Filter],
    seen: FxHashSet<Vec<u32>>,
    points: Vec<Point>,
}

impl Chosen<'_> {
    /// Takes the point of these indices into the axes unless it is there already or a filter stops it.
    fn take(&mut self, indices: &[u32], look_for_twins: bool) -> Result<(), Diagnostic> {
        if look_for_twins && !self.seen.insert(indices.to_vec()) {
            return Ok(());
        }
        for filter in self.filters {
            if !filter.passes(&|axis| &self.axes[axis].values[indices[axis] as usize])? {
                return Ok(());
            }
        }
        let setting = |(axis, index): (&Axis, &u32)| Override {
            path: axis.path.value.clone(),
            value: axis.values[*index as usize].clone(),
            path_span: axis.path.span,
        };
        let settings = self.axes.iter().zip(indices).map(setting).collect();
        self.points.push(Point { index: self.points.len() as u64, settings });
        Ok(())
    }

    /// Indices from fractions in [0, 1).
    fn take_fractions(&mut self, fractions: impl Iterator<Item = f64>) -> Result<(), Diagnostic> {
        let index = |(axis, u): (&Axis, f64)| {
            let last = axis.values.len() as u32 - 1;
            ((u * axis.values.len() as f64) as u32).min(last)
        };
        let indices: Vec<u32> = self.axes.iter().zip(fractions).map(index).collect();
        self.take(&indices, true)
    }
}

/// The last axis runs fastest.
fn grid(chosen: &mut Chosen<'_>, size: u64) -> Result<(), Diagnostic> {
    let lengths: Vec<u64> = chosen.axes.iter().map(|axis| axis.values.len() as u64).collect();
    let mut indices = vec![0u32; lengths.len()];
    for _ in 0..size.min(Limit::SweepPoints.get()) {
        chosen.take(&indices, false)?;
        for (index, length) in indices.iter_mut().zip(&lengths).rev() {
            *index += 1;
            if u64::from(*index) < *length {
                break;
            }
            *index = 0;
        }
    }
    Ok(())
}

fn random(chosen: &mut Chosen<'_>, points: u32, seed: u64) -> Result<(), Diagnostic> {
    let mut rng = Streams::new(seed, 0).stream("sweep design", "random");
    for _ in 0..u64::from(points) * PATIENCE {
        if chosen.points.len() >= points as usize {
            break;
        }
        let fractions: Vec<f64> = chosen.axes.iter().map(|_| samplers::unit(&mut rng)).collect();
        chosen.take_fractions(fractions.into_iter())?;
    }
    Ok(())
}

/// Every axis is cut into as many slices as there are points, and every slice is hit once.
fn latin_hypercube(chosen: &mut Chosen<'_>, points: u32, seed: u64) -> Result<(), Diagnostic> {
    let streams = Streams::new(seed, 0);
    let columns: Vec<Vec<f64>> = chosen
        .axes
        .iter()
        .map(|axis| {
            let mut rng = streams.stream("sweep design", &axis.path.value);
            let mut slices: Vec<u32> = (0..points).collect();
            for last in (1..slices.len()).rev() {
                slices.swap(last, samplers::index(&mut rng, last + 1));
            }
            let inside = |slice: u32| (f64::from(slice) + samplers::unit(&mut rng)) / f64::from(points);
            slices.into_iter().map(inside).collect()
        })
        .collect();
    (0..points as usize).try_for_each(|row| chosen.take_fractions(columns.iter().map(|column| column[row])))
}

/// With a digital shift drawn from the seed, so that the first point is not the corner of the grid.
fn sobol(chosen: &mut Chosen<'_>, points: u32, seed: u64) -> Result<(), Diagnostic> {
    let Some(sequence) = Sobol::new(chosen.axes.len()) else {
        let message = format!("a Sobol design has at most {MAX_DIMENSIONS} axes");
        let place = chosen.axes[MAX_DIMENSIONS].path.span;
        return Err(Diagnostic::error(Code::OutOfRange, message)
            .at(place)
            .help("use latinHypercube for more axes"));
    };
    let mut rng = Streams::new(seed, 0).stream("sweep design", "sobol shift");
    let shifts: Vec<u32> =
        chosen.axes.iter().map(|_| (samplers::unit(&mut rng) * 4_294_967_296.0) as u32).collect();
    for point in sequence.take((u64::from(points) * PATIENCE).min(u64::from(u32::MAX)) as usize) {
        if chosen.points.len() >= points as usize {
            break;
        }
        let shifted = point.iter().zip(&shifts).map(|(x, shift)| f64::from(x ^ shift) / 4_294_967_296.0);
        chosen.take_fractions(shifted)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
