//! Axes: from values to places on the sheet, with ticks at round numbers.

use crate::report::human;

/// What an axis measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Whole things.
    Count,
    /// Any number.
    Number,
    /// 0 to 1, shown as percent.
    Share,
    /// Bytes, shown in IEC units.
    Bytes,
    /// The binary logarithm of bytes, shown as bytes.
    LogBytes,
    /// Thousandths of a core, shown as cores.
    Cores,
    /// Seconds, shown as s, min, h or d.
    Seconds,
}

/// A linear axis that begins at `low`.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it measures.
    pub measure: Measure,
    /// Value at its beginning.
    pub low: f64,
    /// Value at its end.
    pub high: f64,
    /// Where its ticks are.
    pub ticks: Vec<f64>,
}

impl Axis {
    /// From 0 to a round number at or above `max`, with about `wanted` steps.
    pub fn upto(measure: Measure, max: f64, wanted: usize) -> Axis {
        let max = if max.is_finite() && max > 0.0 { max } else { smallest(measure) };
        let unit = unit(measure, max);
        let step = unit * step(measure, max / unit / wanted.max(1) as f64);
        let steps = libm::ceil(max / step * (1.0 - 1e-9)).max(1.0);
        let high = step * steps;
        Axis { measure, low: 0.0, high, ticks: (0..=steps as usize).map(|i| i as f64 * step).collect() }
    }

    /// From `low` to `high` exactly, with ticks at round numbers inside, at most `most`.
    pub fn between(measure: Measure, low: f64, high: f64, most: usize) -> Axis {
        let high = if high > low { high } else { low + smallest(measure) };
        let unit = unit(measure, high);
        let step = unit * step(measure, (high - low) / unit / most.max(1) as f64);
        let first = libm::ceil(low / step - 1e-9);
        let last = libm::floor(high / step + 1e-9);
        let ticks = (0..=(last - first).max(0.0) as usize).map(|i| (first + i as f64) * step).collect();
        Axis { measure, low, high, ticks }
    }

    /// Where `value` is between `from` (the beginning) and `to` (the end).
    pub fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        from + (value.clamp(self.low, self.high) - self.low) / (self.high - self.low) * (to - from)
    }

    /// A tick's label. All bytes on an axis are in one unit.
    pub fn label(&self, tick: f64) -> String {
        if self.measure != Measure::Bytes || tick == 0.0 {
            return shown(self.measure, tick);
        }
        let unit = unit(Measure::Bytes, self.high);
        let name = human::bytes(unit as u128);
        format!("{} {}", plain(tick / unit), name.trim_start_matches("1 "))
    }
}

/// The largest power of 1024 that `max` reaches, for bytes.
fn unit(measure: Measure, max: f64) -> f64 {
    let mut unit = 1.0;
    while measure == Measure::Bytes && max >= unit * 1024.0 && unit < 1e18 {
        unit *= 1024.0;
    }
    unit
}

/// A value in its unit.
pub fn shown(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Count => human::mean(libm::round(value * 100.0) / 100.0),
        Measure::Number => plain(value),
        Measure::Share => human::percent(value),
        Measure::Bytes => human::bytes(value.max(0.0) as u128),
        Measure::LogBytes => human::bytes(libm::exp2(value) as u128),
        Measure::Cores => human::cores(value),
        Measure::Seconds => human::span(value),
    }
}

fn plain(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return human::mean(value);
    }
    let size = libm::floor(libm::log10(value.abs())) as i32;
    let digits = (2 - size).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The end of an axis on which everything is 0.
fn smallest(measure: Measure) -> f64 {
    match measure {
        Measure::Count | Measure::Number | Measure::Seconds | Measure::LogBytes => 1.0,
        Measure::Share => 0.1,
        Measure::Bytes => (1u64 << 30) as f64,
        Measure::Cores => 1000.0,
    }
}

/// The smallest round step at or above `least`.
fn step(measure: Measure, least: f64) -> f64 {
    match measure {
        Measure::Seconds => seconds_step(least),
        Measure::Count | Measure::LogBytes => decimal_step(least).max(1.0),
        _ => decimal_step(least),
    }
}

/// 1, 2, 5 times a power of ten.
fn decimal_step(least: f64) -> f64 {
    let exponent = libm::floor(libm::log10(least.max(1e-300))) as i32;
    for power in [exponent, exponent + 1] {
        for digit in [1.0, 2.0, 5.0] {
            let candidate = if power < 0 {
                digit / libm::pow(10.0, f64::from(-power))
            } else {
                digit * libm::pow(10.0, f64::from(power))
            };
            if candidate >= least * (1.0 - 1e-9) {
                return candidate;
            }
        }
    }
    libm::pow(10.0, f64::from(exponent + 1))
}

fn seconds_step(least: f64) -> f64 {
    const STEPS: [f64; 26] = [
        1.0,
        2.0,
        5.0,
        10.0,
        15.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        900.0,
        1800.0,
        3600.0,
        7200.0,
        10_800.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        432_000.0,
        864_000.0,
        1_728_000.0,
        4_320_000.0,
        8_640_000.0,
        17_280_000.0,
        43_200_000.0,
    ];
    if least < 1.0 {
        return decimal_step(least);
    }
    STEPS.into_iter().find(|s| *s >= least).unwrap_or_else(|| decimal_step(least / 86_400.0) * 86_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        for (measure, max, wanted, labels) in [
            (Measure::Count, 29.0, 3, vec!["0", "10", "20", "30"]),
            (Measure::Count, 1.0, 4, vec!["0", "1"]),
            (Measure::Count, 0.0, 4, vec!["0", "1"]),
            (Measure::Share, 0.23, 5, vec!["0 %", "5 %", "10 %", "15 %", "20 %", "25 %"]),
            (Measure::Cores, 68_000.0, 4, vec!["0", "20", "40", "60", "80"]),
            (Measure::Number, 0.003, 3, vec!["0", "0.001", "0.002", "0.003"]),
        ] {
            let axis = Axis::upto(measure, max, wanted);
            let shown: Vec<String> = axis.ticks.iter().map(|t| axis.label(*t)).collect();
            assert_eq!(shown, labels, "{measure:?} {max}");
        }
        let bytes = Axis::upto(Measure::Bytes, 1.7 * (1u64 << 40) as f64, 4);
        let shown: Vec<String> = bytes.ticks.iter().map(|t| bytes.label(*t)).collect();
        assert_eq!(shown, ["0 B", "0.5 TiB", "1 TiB", "1.5 TiB", "2 TiB"]);
        let time = Axis::between(Measure::Seconds, 0.0, 180_000.0, 5);
        let shown: Vec<String> = time.ticks.iter().map(|t| time.label(*t)).collect();
        assert_eq!(shown, ["0 s", "12 h", "1 d", "1 d 12 h", "2 d"]);
    }

    #[test]
    fn values_outside_stay_on_the_sheet() {
        let axis = Axis::upto(Measure::Count, 10.0, 5);
        assert_eq!((axis.place(0.0, 100.0, 200.0), axis.place(5.0, 100.0, 200.0)), (100.0, 150.0));
        assert_eq!((axis.place(-3.0, 100.0, 0.0), axis.place(99.0, 100.0, 0.0)), (100.0, 0.0));
    }
}
