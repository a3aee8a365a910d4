//! Kubernetes resource quantities, exact.
//!
//! Storage quantities are compared as they are written (`10737418239500m` fits `10Gi`, `800E` is less than `950E`), while the
//! scheduler works on `int64` values. Both views are here; the second keeps the overflow behaviour of
//! `k8s.io/apimachinery/pkg/api/resource`.

use std::fmt;

/// Nano-units in one unit.
const NANO: i128 = 1_000_000_000;
/// Nano-units in one milli-unit.
const NANO_PER_MILLI: i128 = 1_000_000;

/// An exact quantity with a resolution of 10^-9, saturating at about 1.7e29 units.
///
/// The nanos are kept in two words: an `i128` would align every object that holds a quantity to 16 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    high: i64,
    low: u64,
    /// Kubernetes keeps small numbers as a scaled `int64` and the others as big decimals; the first kind turns into 0 where
    /// it overflows `int64`, the second wraps.
    decimal: bool,
}

/// Why a text is not a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number.
    #[error("expected a quantity such as 500m, 2, 1.5Gi or 10G")]
    Number,
    /// A number followed by an unknown unit.
    #[error("unknown unit; expected one of n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent such as e3")]
    Suffix,
}

enum Suffix {
    Decimal(i64),
    Binary(u32),
}

impl Quantity {
    const fn new(nanos: i128, decimal: bool) -> Quantity {
        Quantity { high: (nanos >> 64) as i64, low: nanos as u64, decimal }
    }
    /// Nothing.
    pub const ZERO: Quantity = Quantity::new(0, false);

    /// A whole number of units.
    pub const fn from_int(units: i64) -> Quantity {
        Quantity::new(units as i128 * NANO, false)
    }
    /// A whole number of bytes or other units, saturating.
    pub const fn from_bytes(bytes: u128) -> Quantity {
        let nanos = if bytes > (i128::MAX / NANO) as u128 { i128::MAX } else { bytes as i128 * NANO };
        Quantity::new(nanos, bytes > i64::MAX as u128)
    }
    /// A whole number of thousandths.
    pub const fn from_milli(milli: i64) -> Quantity {
        Quantity::new(milli as i128 * NANO_PER_MILLI, false)
    }

    /// Parses a quantity as `resource.ParseQuantity` does: below 10^-9 rounds up, binary suffixes are capped at 2^63-1.
    ///
    /// # Errors
    /// [`QuantityError`] if the text is not a number with a known suffix.
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            None => return Err(QuantityError::Number),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let number_len =
            unsigned.bytes().position(|b| !b.is_ascii_digit() && b != b'.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(number_len);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(QuantityError::Number);
        }
        let suffix = parse_suffix(suffix)?;
        let whole = whole.trim_start_matches('0');
        let digits = whole.len().max(1) + fraction.len();
        let (nanos, decimal) = match suffix {
            Suffix::Decimal(exponent) => {
                let small = digits <= 18 && exponent - fraction.len() as i64 >= -9;
                (decimal_nanos(whole, fraction, exponent), !small)
            }
            Suffix::Binary(exponent) => {
                let capped = binary_nanos(whole, fraction, exponent).min(i64::MAX as i128 * NANO);
                let precision = 15 - whole.len().max(1) as i64 - i64::from(exponent * 3 / 10) - 1;
                // A number of that precision fits an int64.
                let small = fraction.is_empty() && precision >= 0;
                (capped, !small)
            }
        };
        Ok(Quantity::new(if negative { -nanos } else { nanos }, decimal))
    }

    /// The exact value in units of 10^-9.
    pub const fn nanos(self) -> i128 {
        (self.high as i128) << 64 | self.low as i128
    }
    /// Whole units rounded away from zero, exact beyond `int64`.
    pub const fn ceil(self) -> i128 {
        div_away(self.nanos(), NANO)
    }
    /// Go's `Quantity.Value()`: whole units rounded up, with its overflow behaviour.
    pub const fn value(self) -> i64 {
        self.narrowed(div_away(self.nanos(), NANO))
    }
    /// Go's `Quantity.MilliValue()`: thousandths rounded up, with its overflow behaviour.
    pub const fn milli_value(self) -> i64 {
        self.narrowed(div_away(self.nanos(), NANO_PER_MILLI))
    }
    /// Rounded up to a multiple of 10^-3, as API defaulting does for every container resource and allocatable.
    pub const fn rounded_up_to_milli(self) -> Quantity {
        Quantity::new(div_away(self.nanos(), NANO_PER_MILLI).saturating_mul(NANO_PER_MILLI), self.decimal)
    }
    /// Below zero.
    pub const fn is_negative(self) -> bool {
        self.nanos() < 0
    }
    /// Exactly zero.
    pub const fn is_zero(self) -> bool {
        self.nanos() == 0
    }
    /// `self + other`, saturating.
    pub const fn saturating_add(self, other: Quantity) -> Quantity {
        Quantity::new(self.nanos().saturating_add(other.nanos()), self.decimal || other.decimal)
    }
    /// `self - other`, saturating.
    pub const fn saturating_sub(self, other: Quantity) -> Quantity {
        Quantity::new(self.nanos().saturating_sub(other.nanos()), self.decimal || other.decimal)
    }

    const fn narrowed(self, wide: i128) -> i64 {
        let fits = wide >= i64::MIN as i128 && wide <= i64::MAX as i128;
        // Beyond int64, Go's big.Int.Int64 keeps the low 64 bits; of an int64Amount Go drops the "ok" and takes the zero value.
        if fits || self.decimal { wide as i64 } else { 0 }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos() == other.nanos()
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> std::cmp::Ordering {
        self.nanos().cmp(&other.nanos())
    }
}
impl std::hash::Hash for Quantity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.nanos().hash(state);
    }
}

impl fmt::Display for Quantity {
    /// The largest binary suffix that loses nothing and leaves a number of 1 or more, else plain units, else `m`, `u`, `n`. A number
    /// beyond `int64` has no binary suffix: it would be read as the largest `int64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BINARY: [(&str, u32); 6] =
            [("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
        let n = self.nanos();
        for (scale, suffix) in [(1, "n"), (1_000, "u"), (NANO_PER_MILLI, "m")] {
            if n % (scale * 1000) != 0 {
                return write!(f, "{}{suffix}", n / scale);
            }
        }
        let units = n / NANO;
        let narrow = units != 0 && units.unsigned_abs() <= i64::MAX as u128;
        for (suffix, shift) in BINARY {
            if narrow && units % (1i128 << shift) == 0 {
                return write!(f, "{}{suffix}", units >> shift);
            }
        }
        write!(f, "{units}")
    }
}

const fn div_away(value: i128, by: i128) -> i128 {
    let (quotient, rest) = (value / by, value % by);
    match rest {
        0 => quotient,
        r if r > 0 => quotient + 1,
        _ => quotient - 1,
    }
}

fn parse_suffix(text: &str) -> Result<Suffix, QuantityError> {
    Ok(match text {
        "n" => Suffix::Decimal(-9),
        "u" => Suffix::Decimal(-6),
        "m" => Suffix::Decimal(-3),
        "" => Suffix::Decimal(0),
        "k" => Suffix::Decimal(3),
        "M" => Suffix::Decimal(6),
        "G" => Suffix::Decimal(9),
        "T" => Suffix::Decimal(12),
        "P" => Suffix::Decimal(15),
        "E" => Suffix::Decimal(18),
        "Ki" => Suffix::Binary(10),
        "Mi" => Suffix::Binary(20),
        "Gi" => Suffix::Binary(30),
        "Ti" => Suffix::Binary(40),
        "Pi" => Suffix::Binary(50),
        "Ei" => Suffix::Binary(60),
        _ => {
            let exponent = text.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
            let exponent: i64 = exponent.parse().map_err(|_| QuantityError::Suffix)?;
            Suffix::Decimal(exponent.clamp(-1_000_000, 1_000_000))
        }
    })
}

/// `whole.fraction` times 10^exponent in nano-units, rounded away from zero, saturating.
fn decimal_nanos(whole: &str, fraction: &str, exponent: i64) -> i128 {
    // Digits left of position `cut` are whole nano-units, the rest only decides about rounding up.
    let digits = || whole.bytes().chain(fraction.bytes());
    let cut = whole.len() as i64 + exponent + 9;
    let mut nanos: i128 = 0;
    for digit in digits().take(cut.max(0) as usize) {
        nanos = nanos.saturating_mul(10).saturating_add(i128::from(digit - b'0'));
    }
    if nanos != 0 {
        for _ in (digits().count() as i64..cut).take(64) {
            nanos = nanos.saturating_mul(10);
        }
    }
    let rounds_up = digits().skip(cut.max(0) as usize).any(|d| d != b'0');
    nanos.saturating_add(i128::from(rounds_up))
}

/// `whole.fraction` times 2^exponent in nano-units, rounded away from zero, saturating.
fn binary_nanos(whole: &str, fraction: &str, exponent: u32) -> i128 {
    let factor = 1i128 << exponent;
    let units = whole.bytes().fold(0i128, |n, d| n.saturating_mul(10).saturating_add(i128::from(d - b'0')));
    // 18 digits behind the point are exact; any further digit can only round up by one nano-unit.
    let head = &fraction[..fraction.len().min(18)];
    let part = head.bytes().fold(0i128, |n, d| n * 10 + i128::from(d - b'0'));
    let scale = 10i128.pow(head.len() as u32);
    let tail = i128::from(fraction[head.len()..].bytes().any(|d| d != b'0'));
    // part * factor * NANO can exceed i128 for Ei: divide first what divides evenly.
    let (q, r) = (part.saturating_mul(factor) / scale, part.saturating_mul(factor) % scale);
    let fraction_nanos = q.saturating_mul(NANO).saturating_add((r.saturating_mul(NANO) + scale - 1) / scale);
    units.saturating_mul(factor).saturating_mul(NANO).saturating_add(fraction_nanos).saturating_add(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn values_and_rounding() {
        // text, Value(), MilliValue()
        for (text, value, milli) in [
            ("0", 0, 0),
            ("100m", 1, 100),
            ("1.5Gi", 1_610_612_736, 1_610_612_736_000),
            ("1e3", 1000, 1_000_000),
            ("1E3", 1000, 1_000_000),
            ("0.5Ki", 512, 512_000),
            ("0.1m", 1, 1),
            ("1u", 1, 1),
            ("-1500m", -2, -1500),
            ("+2", 2, 2000),
            (".5", 1, 500),
            ("5.", 5, 5000),
            ("0010", 10, 10_000),
            ("12.9999999999", 13, 13_000),
            ("1E", 1_000_000_000_000_000_000, 0),
            ("9Ei", i64::MAX, -1000),
            // 16 digits are an int64Amount, whose overflow is 0; 19 digits and nine Pi are not: the low 64 bits stay.
            ("9999999999999999", 9_999_999_999_999_999, 0),
            ("1.234567890123456789e18", 1_234_567_890_123_456_789, -1_363_962_815_083_169_272),
            ("9Pi", 10_133_099_161_583_616, -8_313_644_912_125_935_616),
        ] {
            assert_eq!((parse(text).value(), parse(text).milli_value()), (value, milli), "{text}");
        }
    }

    /// `Add` and `Sub` of an int64Amount and something else give something else: its overflow is the low 64 bits, not 0.
    #[test]
    fn differences_overflow_like_their_parts() {
        let (amount, other) = (parse("20E"), parse("1.0000000000000000000"));
        assert_eq!((amount.value(), other.value()), (0, 1));
        assert_eq!(amount.saturating_sub(other).value(), (20_000_000_000_000_000_000_i128 - 1) as i64);
        assert_eq!(amount.saturating_add(other).value(), (20_000_000_000_000_000_000_i128 + 1) as i64);
    }

    #[test]
    fn storage_compares_exactly_beyond_int64() {
        assert!(parse("10737418239500m") < parse("10Gi"));
        assert!(parse("800E") < parse("950E"));
        assert!(parse("9223372036854775807") < parse("800E"));
        assert_eq!(parse("8Ei"), parse("9223372036854775807"), "binary suffixes are capped at 2^63-1");
        assert_eq!(parse("1Ki"), parse("1024"));
    }

    #[test]
    fn refuses_what_kubernetes_refuses() {
        for text in
            ["", "10Gb", "NaN", "abc", "1..2", "1.2.3", "-", "Gi", "1 Gi", "1ki", "1e", "1ee3", "0x10", "∞"]
        {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prints_what_it_reads() {
        for (text, shown) in [
            ("1024", "1Ki"),
            ("1.5Gi", "1536Mi"),
            ("1500", "1500"),
            ("100m", "100m"),
            ("1u", "1u"),
            ("0", "0"),
            ("7Ei", "7Ei"),
            ("9223372036854775808", "9223372036854775808"),
            ("-9223372036854775808", "-9223372036854775808"),
        ] {
            assert_eq!(parse(text).to_string(), shown);
            assert_eq!(parse(&parse(text).to_string()), parse(text));
        }
    }
    /// Texts and what apimachinery's own `resource.Quantity` says about them; `tests/data/quantities` prints the table.
    #[test]
    fn many_texts_mean_what_kubernetes_says() {
        let more = Quantity::parse("1000000007.0005").expect("a quantity");
        let table = include_str!("../../tests/data/quantities.tsv");
        assert_eq!(table.lines().count(), 414);
        for line in table.lines() {
            let mut cells = line.split('\t');
            let text = cells.next().expect("a text");
            let want: Vec<&str> = cells.collect();
            let got = match Quantity::parse(text) {
                Err(_) => vec!["error".to_owned()],
                Ok(quantity) => {
                    let sign = i64::from(!quantity.is_zero()) * if quantity.is_negative() { -1 } else { 1 };
                    let sum = quantity.saturating_add(more);
                    let all =
                        [quantity.value(), quantity.milli_value(), sign, sum.value(), sum.milli_value()];
                    all.iter().map(i64::to_string).collect()
                }
            };
            assert_eq!(got, want, "{text:?}");
        }
    }
}
