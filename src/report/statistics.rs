//! The statistics of sweeps and plans: percentiles, means with t-intervals, paired differences.
//!
//! Sums run in the order of the values, and logarithms come from `libm`, so equal input gives equal bytes everywhere.

use crate::results::summary::Percentiles;

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
}

/// The arithmetic mean; `None` for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    // Summing differences to the first value keeps the mean of equal values exact.
    let first = *values.first()?;
    Some(first + values.iter().map(|v| v - first).sum::<f64>() / values.len() as f64)
}

/// The standard deviation of the sample (divided by n - 1); `None` with fewer than two values.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    Some(libm::sqrt(squares / (values.len() - 1) as f64))
}

/// Mean and two-sided t-interval; `confidence` is between 0 and 1, such as 0.95. `None` for no values.
pub fn estimate(values: &[f64], confidence: f64) -> Option<Estimate> {
    let count = values.len();
    let half_width = deviation(values).map(|s| {
        let t = t_quantile(0.5 + confidence / 2.0, (count - 1) as f64);
        if s == 0.0 { 0.0 } else { t * s / libm::sqrt(count as f64) }
    });
    mean(values).map(|mean| Estimate { count, mean, half_width })
}

/// The one-sided upper bound of the mean: with the stated confidence the true mean is at most this. `None` with fewer than
/// two values.
pub fn upper_bound(values: &[f64], confidence: f64) -> Option<f64> {
    let deviation = deviation(values)?;
    let t = t_quantile(confidence, (values.len() - 1) as f64);
    let margin = if deviation == 0.0 { 0.0 } else { t * deviation / libm::sqrt(values.len() as f64) };
    mean(values).map(|m| m + margin)
}

/// The estimate of `values[i] - baseline[i]`: runs with the same seed are compared with each other, which takes what the
/// seed does to both out of the difference. `None` if the lengths differ or there are no values.
pub fn paired(values: &[f64], baseline: &[f64], confidence: f64) -> Option<Estimate> {
    if values.len() != baseline.len() {
        return None;
    }
    let differences: Vec<f64> = values.iter().zip(baseline).map(|(v, b)| v - b).collect();
    estimate(&differences, confidence)
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
        let e = estimate(&[2.0, 4.0, 6.0], 0.95).expect("has values");
        assert_eq!((e.count, e.mean), (3, 4.0));
        assert!((e.half_width.expect("three values") - 4.968_275_6).abs() < 1e-6, "{e:?}");
        // One-sided: t(0.95; 2) = 2.919986, 4 + 2.919986 * 2 / sqrt(3) = 7.371709.
        assert!((upper_bound(&[2.0, 4.0, 6.0], 0.95).expect("three values") - 7.371_709).abs() < 1e-5);
        assert_eq!(estimate(&[7.0], 0.95), Some(Estimate { count: 1, mean: 7.0, half_width: None }));
        assert_eq!(estimate(&[0.1; 10], 0.95).map(|e| (e.mean, e.half_width)), Some((0.1, Some(0.0))));
        assert_eq!((estimate(&[], 0.95), upper_bound(&[1.0], 0.95)), (None, None));
        // Differences 1, 1, 1 although the values themselves vary widely.
        let p = paired(&[11.0, 101.0, 1001.0], &[10.0, 100.0, 1000.0], 0.95).expect("pairs");
        assert_eq!((p.mean, p.half_width), (1.0, Some(0.0)));
        assert_eq!(paired(&[1.0], &[], 0.95), None);
    }
}
