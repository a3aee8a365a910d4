//! Fields: quoting, positions, numbers in rows, faults.

use super::*;

fn row(text: &str, check: impl FnOnce(Row<'_>)) {
    let span = LineSpan::nowhere();
    check(Fields::default().split(text.as_bytes(), span));
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
fn remembered_shares_are_those_that_are_read() {
    let mut memo = ShareMemo::default();
    for _ in 0..2 {
        for text in ["0.5", "5", "0.50", "-1", "11", "", "nan", "x", "0.0625", "0.012345678901234567", "1e-3"]
        {
            for line in [
                text.to_owned(),
                format!("{text},1"),
                format!("a,{text}"),
                format!("a long first field,{text},"),
            ] {
                let field = usize::from(line.starts_with('a'));
                row(&line, |r| {
                    let read = r.optional_share(field, 1000, 1).map_err(|e| e.message);
                    let again = r.optional_share_again(field, 1000, &mut memo).map_err(|e| e.message);
                    assert_eq!(again, read, "{line}");
                });
            }
        }
    }
}

#[test]
fn missing_values_are_counted_by_column() {
    let mut missing = [0; 4];
    for line in ["a,,nan,1", ",x,-,", "1,2", "-1,NULL,0,0"] {
        row(line, |r| r.count_missing(&mut missing));
    }
    assert_eq!(missing, [1, 2, 3, 2]);
}
