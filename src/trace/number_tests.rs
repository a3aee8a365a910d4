//! Numbers: quick ways agree with the standard library.

use super::*;

#[test]
fn quick_decimals_equal_the_standard_library() {
    for text in [
        "0.1",
        "0.07446",
        "123456789.012345",
        "0.30000000000000",
        "5.",
        ".5",
        "999999999999999",
        "3.815e-05",
        "1.907e-06",
        "1e3",
        "1E+15",
        "9007199254740993e-15",
        "9007199254740991e15",
        "1.5e-15",
        "123e-22",
        "1e300",
        "5e-324",
    ] {
        assert_eq!(parse_number(text.as_bytes()), text.parse().ok(), "{text}");
    }
}

#[test]
fn the_ways_to_write_nothing() {
    for text in ["", "nan", "NaN", "NULL", "None", "N/A", "-"] {
        assert!(is_missing(text.as_bytes()), "{text}");
    }
    for text in ["0", "nano", "-1", "100", "1234", "no"] {
        assert!(!is_missing(text.as_bytes()), "{text}");
    }
}

#[test]
fn digits_equal_the_standard_library() {
    let digits = "9876543210123456789";
    for length in 0..=digits.len() {
        let text = &digits[..length];
        assert_eq!(parse_digits(text.as_bytes()), text.parse().ok(), "{text}");
        // Every byte but a digit, at every place.
        for at in 0..length {
            for byte in (0..=255u8).filter(|b| !b.is_ascii_digit()) {
                let mut wrong = text.as_bytes().to_vec();
                wrong[at] = byte;
                assert_eq!(parse_digits(&wrong), None, "{byte} at {at} of {text}");
            }
        }
    }
    assert_eq!(parse_digits(b"99999999999999999999"), None, "twenty digits");
}
