//! Draws from the scenario's distributions.

use crate::engine::samplers;
use crate::engine::time::SimDuration;
use crate::scenario::Distribution;
use rand_chacha::ChaCha8Rng;

/// Sizes are rounded up to this.
pub const MIB: u64 = 1 << 20;

/// A type that distributions are made of.
pub trait Value: Copy {
    /// As a real number, for the samplers.
    fn to_real(self) -> f64;
    /// Back again.
    fn from_real(real: f64) -> Self;
}

impl Value for u64 {
    fn to_real(self) -> f64 {
        self as f64
    }
    fn from_real(real: f64) -> u64 {
        libm::ceil(real) as u64 // saturates; NaN is 0
    }
}

impl Value for SimDuration {
    fn to_real(self) -> f64 {
        self.as_nanos() as f64
    }
    fn from_real(real: f64) -> SimDuration {
        SimDuration::from_nanos(libm::round(real) as u64)
    }
}

/// The value of a distribution that needs no draw.
pub fn constant<T: Value>(distribution: &Distribution<T>) -> Option<T> {
    match distribution {
        Distribution::Constant(value) => Some(*value),
        _ => None,
    }
}

/// One draw.
pub fn draw<T: Value>(distribution: &Distribution<T>, rng: &mut ChaCha8Rng) -> T {
    match distribution {
        Distribution::Constant(value) => *value,
        Distribution::Exponential { mean } => T::from_real(samplers::exponential(rng, mean.to_real())),
        Distribution::Lognormal { median, p95 } => {
            T::from_real(samplers::lognormal(rng, median.to_real(), p95.to_real()))
        }
        Distribution::Uniform { low, high } => {
            T::from_real(samplers::uniform(rng, low.to_real(), high.to_real()))
        }
        Distribution::Weibull { shape, scale } => {
            T::from_real(samplers::weibull(rng, *shape, scale.to_real()))
        }
        Distribution::Choice(choices) => {
            let index = samplers::weighted(rng, choices.iter().map(|(_, weight)| *weight));
            choices.get(index).map_or(T::from_real(0.0), |(value, _)| *value)
        }
        Distribution::Empirical(values) => {
            let index = samplers::index(rng, values.len());
            values.get(index).copied().unwrap_or(T::from_real(0.0))
        }
    }
}

/// A drawn size in bytes, rounded up to 1 MiB unless it is a constant of the scenario.
pub fn draw_bytes(distribution: &Distribution<u64>, rng: &mut ChaCha8Rng) -> u64 {
    match distribution {
        Distribution::Constant(bytes) => *bytes,
        other => draw(other, rng).div_ceil(MIB).saturating_mul(MIB),
    }
}
