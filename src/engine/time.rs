//! Simulated time as integers: never floats, never the wall clock.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, AddAssign, Sub};

/// Nanoseconds in one second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// An instant of simulated time: nanoseconds since the start of the run. 0 .. 584 years.
///
/// One more than the nanoseconds is kept, so that `None` costs no further word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(NonZeroU64);

/// A span of simulated time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimDuration(u64);

impl Default for SimTime {
    fn default() -> SimTime {
        SimTime::ZERO
    }
}

impl fmt::Debug for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimTime({})", self.as_nanos())
    }
}

impl SimTime {
    /// The start of every run.
    pub const ZERO: SimTime = SimTime(NonZeroU64::MIN);
    /// Later than every event: "never".
    pub const MAX: SimTime = SimTime(NonZeroU64::MAX);

    /// From nanoseconds since the start, saturating.
    pub const fn from_nanos(nanos: u64) -> SimTime {
        SimTime(NonZeroU64::MIN.saturating_add(nanos))
    }
    /// From whole seconds since the start, saturating.
    pub const fn from_secs(seconds: u64) -> SimTime {
        SimTime::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND))
    }
    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }
    /// Seconds since the start, for reports only (never for decisions).
    pub fn as_secs_f64(self) -> f64 {
        SimDuration(self.as_nanos()).as_secs_f64()
    }
    /// The span from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: SimTime) -> SimDuration {
        SimDuration(self.0.get().saturating_sub(earlier.0.get()))
    }
    /// The first multiple of `period` after `offset` that is at or after `self`: periodic loops are computed, not queued.
    pub const fn next_tick(self, offset: SimTime, period: SimDuration) -> SimTime {
        let (at, offset) = (self.as_nanos(), offset.as_nanos());
        if period.0 == 0 || at <= offset {
            return SimTime::from_nanos(if at <= offset { offset } else { at });
        }
        let elapsed = at - offset;
        SimTime::from_nanos(offset.saturating_add(elapsed.div_ceil(period.0).saturating_mul(period.0)))
    }
    /// The first tick at or after `self` of a loop that had been running for `up_for` at the start.
    pub const fn next_tick_of(self, up_for: SimDuration, period: SimDuration) -> SimTime {
        let shifted = SimTime(self.0.saturating_add(up_for.0));
        let tick = shifted.next_tick(SimTime::ZERO, period).as_nanos();
        SimTime::from_nanos(tick.saturating_sub(up_for.0))
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: SimDuration = SimDuration(0);
    /// Longer than every run.
    pub const MAX: SimDuration = SimDuration(u64::MAX);

    /// From nanoseconds.
    pub const fn from_nanos(nanos: u64) -> SimDuration {
        SimDuration(nanos)
    }
    /// From microseconds, saturating.
    pub const fn from_micros(micros: u64) -> SimDuration {
        SimDuration(micros.saturating_mul(1_000))
    }
    /// From milliseconds, saturating.
    pub const fn from_millis(millis: u64) -> SimDuration {
        SimDuration(millis.saturating_mul(1_000_000))
    }
    /// From whole seconds, saturating.
    pub const fn from_secs(seconds: u64) -> SimDuration {
        SimDuration(seconds.saturating_mul(NANOS_PER_SECOND))
    }
    /// From seconds, rounded to the nearest nanosecond; negative and NaN become zero, too large saturates.
    pub fn from_secs_f64(seconds: f64) -> SimDuration {
        let nanos = libm::round(seconds * NANOS_PER_SECOND as f64);
        if nanos.is_nan() || nanos <= 0.0 {
            SimDuration(0)
        } else if nanos >= u64::MAX as f64 {
            SimDuration(u64::MAX)
        } else {
            SimDuration(nanos as u64)
        }
    }
    /// Nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
    /// Seconds, for reports only. Whole part and fraction are converted apart, so whole seconds stay exact.
    pub fn as_secs_f64(self) -> f64 {
        (self.0 / NANOS_PER_SECOND) as f64 + (self.0 % NANOS_PER_SECOND) as f64 / NANOS_PER_SECOND as f64
    }
    /// True for the empty span.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    /// `self` times `factor`, saturating.
    pub const fn saturating_mul(self, factor: u64) -> SimDuration {
        SimDuration(self.0.saturating_mul(factor))
    }

    /// Parses `90s`, `5m`, `4h`, `30d`, `2d6h`, `1.5h`, `250ms`; units `y` (365 d) `w d h m s ms us ns`, largest first,
    /// each at most once. `0` needs no unit.
    ///
    /// # Errors
    /// What was expected, in words, when the text is not a duration or exceeds 584 years.
    pub fn parse(text: &str) -> Result<SimDuration, String> {
        const UNITS: [(&str, u128); 9] = [
            ("y", 31_536_000_000_000_000),
            ("w", 604_800_000_000_000),
            ("d", 86_400_000_000_000),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
            ("ns", 1),
        ];
        let expected = || format!("expected a duration such as 90s, 5m, 4h, 30d or 2d6h, found {text:?}");
        if text == "0" {
            return Ok(SimDuration(0));
        }
        let (mut rest, mut total, mut next_unit) = (text, 0u128, 0usize);
        if rest.is_empty() {
            return Err(expected());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(expected)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let index = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(expected)?;
            if index < next_unit {
                return Err(expected());
            }
            next_unit = index + 1;
            total = total
                .checked_add(scaled(number, UNITS[index].1).ok_or_else(expected)?)
                .ok_or_else(expected)?;
            rest = tail;
        }
        u64::try_from(total).map(SimDuration).map_err(|_| format!("{text:?} is longer than 584 years"))
    }
}

/// `number` (digits with at most one point) times `unit` nanoseconds, exact, truncated below 1 ns.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 18 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u128>().ok()?.checked_mul(unit)? / 10u128.pow(fraction.len() as u32)
    };
    whole.checked_mul(unit)?.checked_add(part)
}

impl Add<SimDuration> for SimTime {
    type Output = SimTime;
    fn add(self, span: SimDuration) -> SimTime {
        SimTime(self.0.saturating_add(span.0))
    }
}
impl AddAssign<SimDuration> for SimTime {
    fn add_assign(&mut self, span: SimDuration) {
        *self = *self + span;
    }
}
impl Add for SimDuration {
    type Output = SimDuration;
    fn add(self, other: SimDuration) -> SimDuration {
        SimDuration(self.0.saturating_add(other.0))
    }
}
impl Sub for SimDuration {
    type Output = SimDuration;
    fn sub(self, other: SimDuration) -> SimDuration {
        SimDuration(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for SimDuration {
    /// `2d6h`, `1.5s`, `250ms`: the form that [`SimDuration::parse`] reads, without loss.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 7] = [
            ("d", 86_400_000_000_000),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
            ("ns", 1),
        ];
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, nanos) in UNITS {
            if rest >= nanos {
                write!(f, "{}{name}", rest / nanos)?;
                rest %= nanos;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print() {
        let cases: &[(&str, Option<u64>)] = &[
            ("90s", Some(90_000_000_000)),
            ("2d6h", Some(54 * 3_600_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            ("250ms", Some(250_000_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("-5s", None),
            ("6h2d", None),
            ("1h1h", None),
            ("1..5h", None),
            (".h", None),
            ("5 m", None),
            ("999999999999y", None),
            ("NaNs", None),
        ];
        for (text, want) in cases {
            let got = SimDuration::parse(text).ok().map(SimDuration::as_nanos);
            assert_eq!(got, *want, "{text}");
            if let Some(nanos) = want {
                let shown = SimDuration::from_nanos(*nanos).to_string();
                assert_eq!(SimDuration::parse(&shown).map(SimDuration::as_nanos), Ok(*nanos), "{shown}");
            }
        }
    }

    #[test]
    fn ticks_are_at_or_after_now() {
        let period = SimDuration::from_secs(15);
        let offset = SimTime::from_secs(3);
        for (now, tick) in [(0, 3), (3, 3), (4, 18), (18, 18), (19, 33)] {
            assert_eq!(SimTime::from_secs(now).next_tick(offset, period), SimTime::from_secs(tick), "{now}");
        }
        // Up for 8 s at the start: ticks at 7, 22, 37 s.
        let up_for = SimDuration::from_secs(8);
        for (now, tick) in [(0, 7), (7, 7), (8, 22), (22, 22), (30, 37)] {
            let next = SimTime::from_secs(now).next_tick_of(up_for, SimDuration::from_secs(15));
            assert_eq!(next, SimTime::from_secs(tick), "{now}");
        }
    }
}
