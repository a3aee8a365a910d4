//! Numbers as traces write them, read from bytes.

/// The nearest whole number, halves up, of a number of 0 or more.
#[inline]
pub fn nearest(value: f64) -> u64 {
    let whole = value as u64;
    whole + u64::from(value - whole as f64 >= 0.5)
}

/// See [`super::row::Row::is_missing`].
#[inline]
pub fn is_missing(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first() else { return true };
    // Nearly all fields are numbers.
    if first.is_ascii_digit() {
        return false;
    }
    match bytes.len() {
        1 => *first == b'-',
        3 | 4 if matches!(first, b'n' | b'N') => {
            ["nan", "null", "none", "n/a"].iter().any(|w| bytes.eq_ignore_ascii_case(w.as_bytes()))
        }
        _ => false,
    }
}

/// Only digits, at most 19 of them.
#[inline]
pub fn parse_digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 19 {
        return None;
    }
    let (mut value, mut rest) = (0u64, bytes);
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        value = value * 100_000_000 + eight_digits(u64::from_le_bytes(*eight))?;
        rest = behind;
    }
    for &byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// Eight digits, the first in the lowest byte. Neighbours are joined to pairs, pairs to fours, fours to eight, all at once.
#[inline]
fn eight_digits(text: u64) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    // A high bit remains where a byte is below '0' or, with what '9' lacks to it added, above '9'.
    if (text.wrapping_add(0x4646_4646_4646_4646) | text.wrapping_sub(ZEROS)) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let digits = text - ZEROS;
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// A finite decimal number, correctly rounded.
#[inline]
pub fn parse_number(bytes: &[u8]) -> Option<f64> {
    if let Some(quick) = parse_short_decimal(bytes) {
        return Some(quick);
    }
    if let Some(quick) = parse_short_exponent(bytes) {
        return Some(quick);
    }
    // Rust also reads "inf", "nan" and "+1"; only the last is a number here.
    let first = *bytes.first()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    let value: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// `ddd.ddd` with at most 15 digits: both parts are exact in an `f64`, so one division rounds correctly.
#[inline]
fn parse_short_decimal(bytes: &[u8]) -> Option<f64> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let (mut mantissa, mut point) = (0u64, None);
    for (at, &byte) in bytes.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + u64::from(digit);
        } else if byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    match point {
        None if bytes.len() <= 15 => Some(mantissa as f64),
        Some(at) if bytes.len() > 1 => Some(mantissa as f64 / POWERS[bytes.len() - 1 - at]),
        _ => None,
    }
}

/// `d.dddde-dd`: mantissa and power of ten are exact, so one division or multiplication rounds correctly.
fn parse_short_exponent(bytes: &[u8]) -> Option<f64> {
    let split = bytes.iter().position(|b| matches!(b, b'e' | b'E'))?;
    let (mantissa, exponent) = (&bytes[..split], &bytes[split + 1..]);
    let (negative, digits) = match exponent {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let exponent = parse_digits(digits).filter(|&e| e <= 15)? as i32;
    let point = mantissa.iter().position(|&b| b == b'.');
    let decimals = point.map_or(0, |at| mantissa.len() - 1 - at) as i32;
    let mut whole = 0u64;
    if mantissa.len() > 16 || mantissa.len() <= usize::from(point.is_some()) {
        return None;
    }
    for (at, &byte) in mantissa.iter().enumerate() {
        match byte {
            b'0'..=b'9' => whole = whole * 10 + u64::from(byte - b'0'),
            b'.' if Some(at) == point => {}
            _ => return None,
        }
    }
    if whole >= 1 << 53 {
        return None;
    }
    let power = if negative { -exponent } else { exponent } - decimals;
    match power {
        0..=15 => Some(whole as f64 * POWERS[power as usize]),
        -22..=-1 => Some(whole as f64 / POWERS[power.unsigned_abs() as usize]),
        _ => None,
    }
}

/// Powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

#[cfg(test)]
#[path = "number_tests.rs"]
mod tests;
