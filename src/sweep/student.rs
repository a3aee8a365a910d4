//! Means and their uncertainty: Student's t distribution, two-sided intervals and one-sided bounds.
//!
//! Sums run in the order given, so equal inputs give equal bits. Only `libm` is used, see [`crate::engine::samplers`].

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
    pub fn half_width(&self, confidence: f64) -> Option<f64> {
        (self.n >= 2).then(|| self.spread(0.5 + confidence / 2.0))
    }

    /// The one-sided upper bound of the mean; infinite below two numbers, which bound nothing.
    pub fn upper_bound(&self, confidence: f64) -> f64 {
        if self.n < 2 { f64::INFINITY } else { self.mean + self.spread(confidence) }
    }

    /// t quantile times the standard error.
    fn spread(&self, probability: f64) -> f64 {
        if self.deviation == 0.0 {
            return 0.0;
        }
        t_quantile(probability, self.n - 1) * self.deviation / libm::sqrt(self.n as f64)
    }
}

/// The quantile of Student's t distribution: P(T <= result) = `probability`, for `freedom` >= 1 degrees.
///
/// `probability` outside (0, 1) gives an infinity. Relative error below 1e-12.
pub fn t_quantile(probability: f64, freedom: usize) -> f64 {
    if probability <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if probability >= 1.0 {
        return f64::INFINITY;
    }
    if probability < 0.5 {
        return -t_quantile(1.0 - probability, freedom);
    }
    let tail = 1.0 - probability;
    let freedom = freedom.max(1) as f64;
    let (mut low, mut high) = (0.0, 1.0);
    while upper_tail(high, freedom) > tail && high < 1e300 {
        low = high;
        high *= 2.0;
    }
    // The tail falls steadily; halving 200 times leaves neighbouring floats.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if upper_tail(middle, freedom) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// P(T > t) for t >= 0.
fn upper_tail(t: f64, freedom: f64) -> f64 {
    0.5 * incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))
}

/// The regularized incomplete beta function I_x(a, b), by the continued fraction of DLMF 8.17.22.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast below the mean of the distribution; above it, its mirror image does.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let log_front = a * libm::log(x) + b * libm::log1p(-x) + libm::lgamma(a + b)
        - libm::lgamma(a)
        - libm::lgamma(b)
        - libm::log(a);
    libm::exp(log_front) / beta_fraction(a, b, x)
}

/// 1 + d1/(1 + d2/(1 + ...)) by Lentz' method.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for step in 1..10_000u32 {
        let m = f64::from(step / 2);
        let term = if step % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 + term * d;
        d = 1.0 / if d.abs() < TINY { TINY } else { d };
        c = 1.0 + term / c;
        if c.abs() < TINY {
            c = TINY;
        }
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_printed_tables() {
        // Closed forms: 1 degree is Cauchy, tan(pi (p - 1/2)); 2 degrees, (2p - 1) / sqrt(2 p (1 - p)).
        let cauchy = |p: f64| (std::f64::consts::PI * (p - 0.5)).tan();
        let two = |p: f64| (2.0 * p - 1.0) / (2.0 * p * (1.0 - p)).sqrt();
        for p in [0.5, 0.6, 0.9, 0.95, 0.975, 0.995, 0.1, 0.025] {
            assert!((t_quantile(p, 1) - cauchy(p)).abs() < 1e-9 * (1.0 + cauchy(p).abs()), "{p}");
            assert!((t_quantile(p, 2) - two(p)).abs() < 1e-9 * (1.0 + two(p).abs()), "{p}");
        }
        // Printed tables (three decimals).
        for (p, freedom, want) in [
            (0.95, 9, 1.833),
            (0.975, 9, 2.262),
            (0.95, 10, 1.812),
            (0.975, 19, 2.093),
            (0.95, 30, 1.697),
            (0.995, 5, 4.032),
            (0.975, 120, 1.980),
            (0.975, 1_000_000, 1.960),
        ] {
            assert!((t_quantile(p, freedom) - want).abs() < 6e-4, "t({p}, {freedom})");
        }
        assert_eq!(t_quantile(1.0, 3), f64::INFINITY);
    }

    #[test]
    fn bounds_of_a_mean() {
        // 1..=10: mean 5.5, variance 55/6.
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let m = Moments::of(&values).unwrap();
        assert_eq!((m.n, m.mean), (10, 5.5));
        assert!((m.deviation * m.deviation - 55.0 / 6.0).abs() < 1e-12);
        let error = (55.0f64 / 60.0).sqrt();
        assert!((m.upper_bound(0.95) - (5.5 + 1.833_113 * error)).abs() < 1e-5);
        assert!((m.half_width(0.95).unwrap() - 2.262_157 * error).abs() < 1e-5);
        assert_eq!(Moments::of(&[]), None);
        assert_eq!(Moments::of(&[3.0]).unwrap().half_width(0.95), None);
        assert_eq!(Moments::of(&[3.0]).unwrap().upper_bound(0.95), f64::INFINITY);
        assert_eq!(Moments::of(&[0.1; 7]).unwrap().upper_bound(0.95), 0.1);
        assert_eq!(Moments::of(&[1.0, f64::INFINITY]).unwrap().upper_bound(0.95), f64::INFINITY);
        assert_eq!(Moments::of(&[f64::INFINITY; 3]).unwrap().upper_bound(0.95), f64::INFINITY);
    }
}
