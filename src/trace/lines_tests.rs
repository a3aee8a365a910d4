//! Lines: quoting, terminators, limits.

use super::*;

fn lines(text: &[u8]) -> Vec<(String, u64, bool)> {
    let mut lines = Lines::new(Box::new(io::Cursor::new(text.to_vec())));
    let mut found = Vec::new();
    while let Some(span) = lines.advance().expect("memory") {
        let text = String::from_utf8_lossy(lines.bytes(span)).into_owned();
        found.push((text, span.line, span.terminated));
    }
    found
}

fn row(text: &str, check: impl FnOnce(Row<'_>)) {
    let span = LineSpan { start: 0, end: 0, line: 1, terminated: true };
    check(Fields::default().split(text.as_bytes(), span));
}

#[test]
fn lines_lose_bom_and_carriage_returns() {
    let found = lines(b"\xef\xbb\xbfa,b\r\n\nlast");
    let want = [("a,b", 1, true), ("", 2, true), ("last", 3, false)];
    assert_eq!(found, want.map(|(t, l, e)| (t.to_owned(), l, e)));
    assert_eq!(lines(b""), []);
    assert_eq!(lines(b"\n").len(), 1);
}

#[test]
fn a_line_beyond_the_buffer_is_whole_and_one_beyond_the_limit_is_refused() {
    let long = "x".repeat(BUFFER_BYTES * 3);
    let found = lines(format!("a\n{long}\nb\n").as_bytes());
    assert_eq!(found.iter().map(|l| l.0.len()).collect::<Vec<_>>(), [1, long.len(), 1]);

    let endless = [vec![b'x'; MAX_LINE_BYTES * 2], b"\nb\n".to_vec()].concat();
    let mut lines = Lines::new(Box::new(io::Cursor::new(endless)));
    assert!(matches!(lines.advance(), Err(LineError::TooLong(1))));
    let span = lines.advance().expect("memory").expect("one more line");
    assert_eq!((lines.bytes(span), span.line), (&b"b"[..], 2));
    assert!(lines.buffer.len() <= 4 * MAX_LINE_BYTES, "memory is bounded");
}

#[test]
fn fields_and_columns() {
    row("a,,c", |r| {
        assert_eq!((r.get(0), r.get(1), r.get(2), r.get(3)), (&b"a"[..], &b""[..], &b"c"[..], &b""[..]));
        assert_eq!((r.column(0), r.column(1), r.column(2)), (1, 3, 4));
    });
    row("\"a,\"\"b\",7", |r| {
        assert_eq!((r.columns(), r.text(0).expect("text"), r.get(1)), (2, "a,\"b", &b"7"[..]));
        assert_eq!(r.column(1), 9);
    });
}

#[test]
fn numbers_as_traces_write_them() {
    for (text, want) in [
        ("12846.0", Some(12846)),
        ("7", Some(7)),
        ("1e3", Some(1000)),
        ("1.5", None),
        ("-1", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("0x10", None),
        (".", None),
        ("1 ", None),
        ("99999999999999999999", None),
    ] {
        row(text, |r| assert_eq!(r.integer(0, u64::MAX >> 1).ok(), want, "{text}"));
    }
    for (text, scale, want) in [
        ("937.5", 1 << 30, 1_006_632_960_000u64),
        ("1171.8798828125", 1 << 30, 1_258_296_442_880),
        ("1.907e-06", 1_000_000_000, 1907),
        ("475.00000000000006", 1, 475),
        ("0.0625", 64_000, 4000),
    ] {
        row(text, |r| assert_eq!(r.scaled(0, scale, limits::BYTES).expect(text), want, "{text}"));
    }
}

#[test]
fn faults_are_told_apart() {
    let reason = |text: &str| {
        let mut found = None;
        row(text, |r| found = r.scaled(0, 1, 1000).err().map(|e| e.reason));
        found.expect("a fault")
    };
    assert_eq!(reason("-5"), SkipReason::Negative);
    assert_eq!(reason("1e300"), SkipReason::Absurd);
    assert_eq!(reason("five"), SkipReason::NotANumber);
    assert_eq!(reason(""), SkipReason::MissingValue);
}

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
fn commas_are_found_wherever_they_are() {
    for line in [
        "",
        ",",
        "a",
        ",,,,,,,,,,,,,,,,,",
        "12345678",
        "1234567,",
        ",12345678",
        "ü,\u{2c}\u{ac},\u{ac}x,,\u{80}",
        "a,bb,ccc,dddd,eeeee,ffffff,",
    ] {
        row(line, |r| {
            let found: Vec<&[u8]> = (0..r.columns()).map(|i| r.get(i)).collect();
            let want: Vec<&[u8]> = line.as_bytes().split(|&b| b == b',').collect();
            assert_eq!(found, want, "{line}");
        });
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
