//! The statistics of sweeps and plans: percentiles, means with t-intervals, paired differences.
//!
//! Sums run in the order of the values, and logarithms come from `libm`, so equal input gives equal bytes everywhere.

use crate::results::summary::Percentiles;
use std::collections::BTreeMap;

/// The nearest-rank percentile: the smallest value such that at least `percent` of 100 are at or below it.
///
/// `sorted` is in ascending order; `percent` is above 0 and at most 100. `None` for no values.
pub fn nearest_rank(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = libm::ceil(percent / 100.0 * sorted.len() as f64) as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// p50, p90, p99 and the maximum of values in any order.
pub fn percentiles(mut values: Vec<f64>) -> Percentiles {
    values.sort_by(f64::total_cmp);
    Percentiles {
        p50: nearest_rank(&values, 50.0),
        p90: nearest_rank(&values, 90.0),
        p99: nearest_rank(&values, 99.0),
        max: values.last().copied(),
    }
}

/// Mean and sample standard deviation of a list of numbers, which may be infinite: a pod that is never scheduled waits for ever.
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
        let first = *values.first()?;
        // Equal numbers have no spread, whatever rounding says about their mean.
        if values.iter().all(|x| *x == first) {
            return Some(Moments { n, mean: first, deviation: 0.0 });
        }
        if values.iter().any(|x| x.is_infinite()) {
            return Some(Moments { n, mean: values.iter().sum(), deviation: f64::INFINITY });
        }
        // Differences to the first value keep the digits of numbers that are large and close together.
        let mean = first + values.iter().map(|x| x - first).sum::<f64>() / n as f64;
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

/// A mean with the interval that holds the true one with the stated confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// How many values.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Half the width of the interval; `None` with fewer than two values.
    pub half_width: Option<f64>,
}

impl Estimate {
    /// The lower end of the interval; the mean itself if there is none.
    pub fn low(&self) -> f64 {
        self.mean - self.half_width.unwrap_or(0.0)
    }
    /// The upper end of the interval; the mean itself if there is none.
    pub fn high(&self) -> f64 {
        self.mean + self.half_width.unwrap_or(0.0)
    }
    /// Both ends, if there is an interval.
    pub fn ends(&self) -> Option<(f64, f64)> {
        self.half_width.map(|_| (self.low(), self.high()))
    }
}

/// The arithmetic mean; `None` for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    Moments::of(values).map(|m| m.mean)
}

/// Mean and two-sided t-interval; `confidence` is between 0 and 1, such as 0.95. `None` for no values.
pub fn estimate(values: &[f64], confidence: f64, quantiles: &mut Quantiles) -> Option<Estimate> {
    let moments = Moments::of(values)?;
    let half_width = moments.half_width(confidence, quantiles);
    Some(Estimate { count: moments.n, mean: moments.mean, half_width })
}

/// The estimate of what replications measured (`None` where a run failed or there was nothing to measure), and of its
/// differences to a baseline: runs with the same seed are compared with each other, which takes what the seed does to both
/// out of the difference. A replication that lacks one side is left out of the differences.
pub fn compare(
    values: &[Option<f64>],
    baseline: Option<&[Option<f64>]>,
    confidence: f64,
    quantiles: &mut Quantiles,
) -> (Option<Estimate>, Option<Estimate>) {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let pairs = |base: &[Option<f64>]| -> Vec<f64> {
        values.iter().zip(base).filter_map(|(v, b)| Some((*v)? - (*b)?)).collect()
    };
    let differences = baseline.map(pairs).unwrap_or_default();
    (estimate(&known, confidence, quantiles), estimate(&differences, confidence, quantiles))
}

/// The `p`-quantile of Student's t distribution with `freedom` degrees of freedom.
///
/// By bisection on the distribution function; accurate to about 10 digits for 0 < p < 1 and freedom of 1 or more.
pub fn t_quantile(p: f64, freedom: f64) -> f64 {
    if p == 0.5 {
        return 0.0;
    }
    if p < 0.5 {
        return -t_quantile(1.0 - p, freedom);
    }
    let (mut low, mut high) = (0.0, 1.0);
    while t_distribution(high, freedom) < p && high < 1e12 {
        high *= 2.0;
    }
    loop {
        let middle = (low + high) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if t_distribution(middle, freedom) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The probability that a t-distributed number is at most `t`, for t of 0 or more.
fn t_distribution(t: f64, freedom: f64) -> f64 {
    1.0 - 0.5 * incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The regularized incomplete beta function, by its continued fraction (DLMF 8.17.22).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast below the mean only.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let ln_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let front = libm::exp(a * libm::log(x) + b * libm::log1p(-x) - ln_beta) / a;
    front / fraction(x, a, b)
}

/// 1 + d1/(1 + d2/(1 + ...)) from the front (modified Lentz), until nothing changes any more.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |v: f64| if v.abs() < TINY { TINY } else { v };
    let (mut value, mut above, mut below) = (1.0, 1.0, 0.0);
    for n in 1..=10_000 {
        let m = f64::from(n / 2);
        let d = if n % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        below = 1.0 / away(1.0 + d * below);
        above = away(1.0 + d / above);
        let factor = above * below;
        value *= factor;
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        // The textbook's list: 15 20 35 40 50; p30 = 20, p40 = 20, p50 = 35, p100 = 50.
        let list = [15.0, 20.0, 35.0, 40.0, 50.0];
        for (percent, want) in [(5.0, 15.0), (30.0, 20.0), (40.0, 20.0), (50.0, 35.0), (100.0, 50.0)] {
            assert_eq!(nearest_rank(&list, percent), Some(want), "{percent}");
        }
        assert_eq!(nearest_rank(&[], 50.0), None);
        let of_hundred = percentiles((1..=100).rev().map(f64::from).collect());
        assert_eq!(
            of_hundred,
            Percentiles { p50: Some(50.0), p90: Some(90.0), p99: Some(99.0), max: Some(100.0) }
        );
        assert_eq!(percentiles(Vec::new()), Percentiles::default());
    }

    #[test]
    fn quantiles_of_t_as_in_the_tables() {
        for (p, freedom, want) in [
            (0.975, 1.0, 12.706_204_736),
            (0.975, 2.0, 4.302_652_730),
            (0.975, 9.0, 2.262_157_163),
            (0.95, 9.0, 1.833_112_933),
            (0.975, 19.0, 2.093_024_054),
            (0.995, 30.0, 2.749_995_654),
            (0.95, 1000.0, 1.646_378_818),
            (0.025, 9.0, -2.262_157_163),
            (0.5, 3.0, 0.0),
        ] {
            let got = t_quantile(p, freedom);
            assert!((got - want).abs() < 1e-8, "{p} {freedom}: {got}");
        }
    }

    #[test]
    fn intervals_by_hand() {
        // 2, 4, 6: mean 4, deviation 2, t(0.975; 2) = 4.3027, so 4 +- 4.3027 * 2 / sqrt(3) = 4 +- 4.9683.
        let q = &mut Quantiles::default();
        let e = estimate(&[2.0, 4.0, 6.0], 0.95, q).expect("has values");
        assert_eq!((e.count, e.mean), (3, 4.0));
        assert!((e.half_width.expect("three values") - 4.968_275_6).abs() < 1e-6, "{e:?}");
        assert_eq!(estimate(&[7.0], 0.95, q), Some(Estimate { count: 1, mean: 7.0, half_width: None }));
        assert_eq!(estimate(&[0.1; 10], 0.95, q).map(|e| (e.mean, e.half_width)), Some((0.1, Some(0.0))));
        assert_eq!(estimate(&[], 0.95, q), None);
    }

    #[test]
    fn differences_are_paired() {
        // Differences 1, 1, 1 although the values themselves vary widely; what lacks a side is left out.
        let q = &mut Quantiles::default();
        let values = [Some(11.0), None, Some(101.0), Some(1001.0), Some(7.0)];
        let base = [Some(10.0), Some(3.0), Some(100.0), Some(1000.0), None];
        let (own, difference) = compare(&values, Some(&base), 0.95, q);
        assert_eq!(own.map(|e| (e.count, e.mean)), Some((4, 280.0)));
        assert_eq!(difference.map(|e| (e.count, e.mean, e.half_width)), Some((3, 1.0, Some(0.0))));
        assert_eq!(compare(&values, None, 0.95, q).1, None);
        assert_eq!(compare(&[None], Some(&base), 0.95, q), (None, None));
    }

    #[test]
    fn bounds_of_a_mean() {
        // 1..=10: mean 5.5, variance 55/6.
        let q = &mut Quantiles::default();
        let t = t_quantile(0.95, 9.0);
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let moments = |values: &[f64]| Moments::of(values).expect("has values");
        let m = moments(&values);
        assert_eq!((m.n, m.mean), (10, 5.5));
        assert!((m.deviation * m.deviation - 55.0 / 6.0).abs() < 1e-12);
        let error = libm::sqrt(55.0 / 60.0);
        assert!((m.upper_bound(t) - (5.5 + 1.833_113 * error)).abs() < 1e-5);
        assert!((m.half_width(0.95, q).expect("ten values") - 2.262_157 * error).abs() < 1e-5);
        assert_eq!(Moments::of(&[]), None);
        assert_eq!(moments(&[3.0]).half_width(0.95, q), None);
        assert_eq!(moments(&[3.0]).upper_bound(t), f64::INFINITY);
        assert_eq!(moments(&[0.1; 7]).upper_bound(t), 0.1);
        assert_eq!(moments(&[1.0, f64::INFINITY]).upper_bound(t), f64::INFINITY);
        assert_eq!(moments(&[f64::INFINITY; 3]).upper_bound(t), f64::INFINITY);
    }
}
