//! Samplers over `libm`, so that a sample is the same on every platform and whatever features other crates switch on.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// The 95 % quantile of the standard normal distribution.
pub const NORMAL_P95: f64 = 1.644_853_626_951_472_2;

/// Uniform in [0, 1) with 53 bits.
pub fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Uniform in [`low`, `high`).
pub fn uniform(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    let value = low + (high - low) * unit(rng);
    // Rounding may reach the open end.
    if value >= high && high > low { low } else { value }
}

/// Exponential with this mean.
pub fn exponential(rng: &mut ChaCha8Rng, mean: f64) -> f64 {
    -mean * libm::log1p(-unit(rng))
}

/// Standard normal (Box and Muller; two uniforms each, none kept for later, so draws stay independent of their neighbours).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log1p(-unit(rng)));
    radius * libm::cos(std::f64::consts::TAU * unit(rng))
}

/// Lognormal by its median and 95 % quantile: sigma = ln(p95 / median) / 1.6448536269514722.
pub fn lognormal(rng: &mut ChaCha8Rng, median: f64, p95: f64) -> f64 {
    let sigma = libm::log(p95 / median) / NORMAL_P95;
    median * libm::exp(sigma * normal(rng))
}

/// Weibull with this shape and scale.
pub fn weibull(rng: &mut ChaCha8Rng, shape: f64, scale: f64) -> f64 {
    scale * libm::pow(-libm::log1p(-unit(rng)), 1.0 / shape)
}

/// Unbiased index in `0..n`, 0 if `n` is 0.
pub fn index(rng: &mut ChaCha8Rng, n: usize) -> usize {
    if n < 2 {
        return 0;
    }
    let n = n as u64;
    loop {
        let wide = u128::from(rng.next_u64()) * u128::from(n);
        if wide as u64 >= n.wrapping_neg() % n {
            return (wide >> 64) as usize;
        }
    }
}

/// Index drawn by weight. Negative weights count as 0; if all do, the first.
pub fn weighted(rng: &mut ChaCha8Rng, weights: impl Iterator<Item = f64> + Clone) -> usize {
    let total: f64 = weights.clone().map(|w| w.max(0.0)).sum();
    let mut rest = unit(rng) * total;
    let mut last = 0;
    for (i, weight) in weights.enumerate() {
        if weight > 0.0 {
            last = i;
            if rest < weight {
                return i;
            }
            rest -= weight;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::rng::Streams;

    const N: usize = 200_000;

    /// Mean and standard deviation of `N` samples.
    fn moments(name: &str, mut sample: impl FnMut(&mut ChaCha8Rng) -> f64) -> (f64, f64) {
        let mut rng = Streams::new(11, 0).stream("moments", name);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..N {
            let x = sample(&mut rng);
            assert!(x.is_finite() && x >= -10.0, "{name}: {x}");
            sum += x;
            squares += x * x;
        }
        let mean = sum / N as f64;
        (mean, (squares / N as f64 - mean * mean).sqrt())
    }

    #[test]
    fn moments_are_those_of_the_textbook() {
        let sigma: f64 = (900.0f64 / 300.0).ln() / NORMAL_P95;
        let lognormal_mean = 300.0 * (sigma * sigma / 2.0).exp();
        let lognormal_sd = lognormal_mean * ((sigma * sigma).exp() - 1.0).sqrt();
        // name, sampler, mean, standard deviation. Weibull(2, 1): Gamma(1.5) and sqrt(1 - Gamma(1.5)^2).
        type Row = (&'static str, fn(&mut ChaCha8Rng) -> f64, f64, f64);
        let rows: [Row; 5] = [
            ("unit", unit, 0.5, (1.0f64 / 12.0).sqrt()),
            ("uniform", |r| uniform(r, 2.0, 8.0), 5.0, 6.0 / 12.0f64.sqrt()),
            ("exponential", |r| exponential(r, 10.0), 10.0, 10.0),
            ("lognormal", |r| lognormal(r, 300.0, 900.0), lognormal_mean, lognormal_sd),
            ("weibull", |r| weibull(r, 2.0, 1.0), 0.886_226_925, 0.463_251_375),
        ];
        for (name, sampler, mean, sd) in rows {
            let (got_mean, got_sd) = moments(name, sampler);
            assert!(
                (got_mean - mean).abs() < 5.0 * sd / (N as f64).sqrt(),
                "{name}: mean {got_mean}, not {mean}"
            );
            assert!((got_sd / sd - 1.0).abs() < 0.03, "{name}: deviation {got_sd}, not {sd}");
        }
        let (mean, sd) = moments("normal", normal);
        assert!(mean.abs() < 0.012 && (sd - 1.0).abs() < 0.01, "normal: {mean}, {sd}");
    }

    #[test]
    fn lognormal_quantiles_are_as_asked() {
        let mut rng = Streams::new(5, 0).stream("quantiles", "x");
        let samples: Vec<f64> = (0..N).map(|_| lognormal(&mut rng, 300.0, 900.0)).collect();
        let below = |limit: f64| samples.iter().filter(|x| **x <= limit).count() as f64 / N as f64;
        assert!((below(300.0) - 0.5).abs() < 0.005);
        assert!((below(900.0) - 0.95).abs() < 0.003);
    }

    #[test]
    fn weights_are_kept() {
        let mut rng = Streams::new(6, 0).stream("weights", "x");
        let mut counts = [0usize; 4];
        for _ in 0..N {
            counts[weighted(&mut rng, [3.0, 0.0, 1.0, -2.0].into_iter())] += 1;
        }
        assert_eq!((counts[1], counts[3]), (0, 0));
        assert!((counts[0] as f64 / N as f64 - 0.75).abs() < 0.005);
        let mut counts = [0usize; 3];
        for _ in 0..N {
            counts[index(&mut rng, 3)] += 1;
        }
        assert!(counts.iter().all(|c| (*c as f64 / N as f64 - 1.0 / 3.0).abs() < 0.006));
    }
}
