//! Means and their uncertainty: Student's t distribution, two-sided intervals and one-sided bounds.
//!
//! As [`crate::report::statistics`], on which it stands, for numbers that may be infinite (a pod that is never scheduled
//! waits for ever) and for many intervals of few sizes.

use crate::report::statistics::t_quantile;
use std::collections::BTreeMap;

/// Mean and sample standard deviation of a list of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// How many numbers.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation with divisor n - 1; 0 for fewer than two numbers.
    pub deviation: f64,
}

impl Moments {
    /// Of finite or infinite numbers; `None` for an empty list. If any is infinite, so is the mean.
    pub fn of(values: &[f64]) -> Option<Moments> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        // Equal numbers have no spread, whatever rounding says about their mean.
        if values.iter().all(|x| *x == values[0]) {
            return Some(Moments { n, mean: values[0], deviation: 0.0 });
        }
        if !mean.is_finite() {
            return Some(Moments { n, mean, deviation: f64::INFINITY });
        }
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        Some(Moments { n, mean, deviation: libm::sqrt(squares / (n - 1) as f64) })
    }

    /// Half the width of the two-sided interval of the mean; `None` below two numbers. `confidence` is in (0, 1).
    pub fn half_width(&self, confidence: f64, quantiles: &mut Quantiles) -> Option<f64> {
        (self.n >= 2).then(|| self.spread(quantiles.get(0.5 + confidence / 2.0, self.n - 1)))
    }

    /// The one-sided upper bound of the mean, given Student's quantile `t` of its confidence and n - 1 degrees of freedom;
    /// infinite below two numbers, which bound nothing.
    pub fn upper_bound(&self, t: f64) -> f64 {
        if self.n < 2 { f64::INFINITY } else { self.mean + self.spread(t) }
    }

    /// t times the standard error; 0 without spread, whatever t.
    fn spread(&self, t: f64) -> f64 {
        if self.deviation == 0.0 { 0.0 } else { t * self.deviation / libm::sqrt(self.n as f64) }
    }
}

/// Quantiles that were asked for before: a table of a sweep asks for the same few thousands of times.
#[derive(Clone, Debug, Default)]
pub struct Quantiles(BTreeMap<(u64, usize), f64>);

impl Quantiles {
    fn get(&mut self, probability: f64, freedom: usize) -> f64 {
        let key = (probability.to_bits(), freedom);
        *self.0.entry(key).or_insert_with(|| t_quantile(probability, freedom as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_mean() {
        // 1..=10: mean 5.5, variance 55/6.
        let q = &mut Quantiles::default();
        let t = t_quantile(0.95, 9.0);
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let m = Moments::of(&values).unwrap();
        assert_eq!((m.n, m.mean), (10, 5.5));
        assert!((m.deviation * m.deviation - 55.0 / 6.0).abs() < 1e-12);
        let error = (55.0f64 / 60.0).sqrt();
        assert!((m.upper_bound(t) - (5.5 + 1.833_113 * error)).abs() < 1e-5);
        assert!((m.half_width(0.95, q).unwrap() - 2.262_157 * error).abs() < 1e-5);
        assert_eq!(Moments::of(&[]), None);
        assert_eq!(Moments::of(&[3.0]).unwrap().half_width(0.95, q), None);
        assert_eq!(Moments::of(&[3.0]).unwrap().upper_bound(t), f64::INFINITY);
        assert_eq!(Moments::of(&[0.1; 7]).unwrap().upper_bound(t), 0.1);
        assert_eq!(Moments::of(&[1.0, f64::INFINITY]).unwrap().upper_bound(t), f64::INFINITY);
        assert_eq!(Moments::of(&[f64::INFINITY; 3]).unwrap().upper_bound(t), f64::INFINITY);
    }
}
