//! How fractional numbers are written: always finite, always 12 significant digits or fewer, the same on every platform.
//!
//! Sums of floating-point numbers carry noise in the last digits that would make a difference of 0.06 read
//! 0.05999999999999994; twelve digits keep every figure that means something (a nanosecond in a quarter of an hour, a
//! byte in a terabyte) and drop the noise. Bytes and counts are integers and are never rounded here.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits behind the first one.
const DIGITS: usize = 11;

/// `value` with 12 significant digits; infinite and NaN become `None`, minus zero becomes zero.
///
/// The detour over decimal text rounds correctly on every platform, which `(x * 1e9).round() / 1e9` does not.
pub fn rounded(value: f64) -> Option<f64> {
    if !value.is_finite() {
        return None;
    }
    if is_short(value) {
        return Some(if value == 0.0 { 0.0 } else { value });
    }
    let rounded: f64 = format!("{value:.DIGITS$e}").parse().ok()?;
    Some(if rounded == 0.0 { 0.0 } else { rounded })
}

/// The number is the one nearest to a decimal of at most 12 significant digits, most of them behind the point: rounding leaves it.
/// Division is rounded correctly everywhere, so equality with the quotient of two integers says just that. What is not found to be
/// short goes the long way.
fn is_short(value: f64) -> bool {
    [1.0, 1e3, 1e6, 1e9].into_iter().any(|scale| {
        let scaled = (value * scale).round();
        scaled.abs() < 1e12 && scaled / scale == value
    })
}

/// For `#[serde(with = "number")]` on an `f64`: writes [`rounded`], and `null` (an empty cell) for what is not finite.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    rounded(*value).serialize(serializer)
}

/// Reads what [`serialize`] wrote; a missing number is 0.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(0.0))
}

/// The same for `Option<f64>`: `null` or an empty cell where there is nothing to measure.
pub mod option {
    use super::{Deserialize, Deserializer, Serialize, Serializer, rounded};

    /// Writes [`rounded`] or nothing.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.and_then(rounded).serialize(serializer)
    }

    /// Reads what [`serialize`] wrote.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Option::<f64>::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn twelve_digits_and_nothing_infinite() {
        for (value, want) in [
            (0.61 - 0.55, Some(0.06)),
            (0.1 + 0.2, Some(0.3)),
            (86_400.0, Some(86_400.0)),
            (1.0 / 3.0, Some(0.333_333_333_333)),
            (2.0e15 / 3.0, Some(666_666_666_667_000.0)),
            (-0.0, Some(0.0)),
            (f64::INFINITY, None),
            (f64::NAN, None),
            (5e-324, Some(5e-324)),
            (0.000_000_001, Some(0.000_000_001)),
            (-12.5, Some(-12.5)),
            (999_999_999_999.0, Some(999_999_999_999.0)),
            (9_999_999_999_999.0, Some(10_000_000_000_000.0)),
            (86_400.123_456_789, Some(86_400.123_456_8)),
        ] {
            assert_eq!(rounded(value), want, "{value}");
        }
    }
}
