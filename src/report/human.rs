//! Numbers for people: IEC bytes, cores, spans of time, shares. Machines read `summary.json` instead.

/// `1,234,567`.
pub fn count(n: u64) -> String {
    grouped(&n.to_string())
}

/// A count or a mean of counts: `7`, `7.5`.
pub fn mean(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 { signless(x, 0) } else { three_digits(x) }
}

/// IEC bytes with three digits: `0 B`, `1.50 GiB`, `300 GiB`, `1,250 EiB`.
pub fn bytes(n: u128) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    // 1023.5 KiB rounds to 1,024 KiB, which is 1.00 MiB: go up before that happens.
    let mut value = n as f64;
    for unit in UNITS {
        value /= 1024.0;
        if value < 1023.5 || unit == "EiB" {
            return format!("{} {unit}", three_digits(value));
        }
    }
    format!("{n} B")
}

/// Cores: `0`, `0.25`, `12.5`, `1,024`.
pub fn cores(milli: f64) -> String {
    mean(libm::round(milli) / 1000.0)
}

/// A span of time: `0 s`, `120 ms`, `3.40 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`.
pub fn span(seconds: f64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 3600;
    const DAY: u64 = 86_400;
    if seconds <= 0.0 || !seconds.is_finite() {
        return "0 s".into();
    }
    if seconds < 1e-3 {
        return "< 1 ms".into();
    }
    if seconds < 0.9995 {
        return format!("{} ms", signless(seconds * 1000.0, 0));
    }
    if seconds < 59.95 {
        return format!("{} s", mean(libm::round(seconds * 100.0) / 100.0));
    }
    let whole = libm::round(seconds) as u64;
    let two = |big: u64, big_name: &str, small: u64, small_name: &str| {
        let rest = (whole % big) / small;
        match rest {
            0 => format!("{} {big_name}", count(whole / big)),
            _ => format!("{} {big_name} {rest} {small_name}", count(whole / big)),
        }
    };
    if whole < HOUR {
        two(MINUTE, "min", 1, "s")
    } else if whole < DAY {
        two(HOUR, "h", MINUTE, "min")
    } else {
        two(DAY, "d", HOUR, "h")
    }
}

/// A share as percent with at most three digits: `0 %`, `0.4 %`, `61 %`, `100 %`; never 0 or 100 unless it is.
pub fn percent(share: f64) -> String {
    let p = share * 100.0;
    if p == 0.0 {
        "0 %".into()
    } else if p.abs() < 0.05 {
        "< 0.1 %".into()
    } else if (99.5..100.0).contains(&p) {
        format!("{} %", signless(p.min(99.9), 1))
    } else if p.abs() < 9.95 {
        format!("{} %", trimmed(&signless(p, 1)))
    } else {
        format!("{} %", signless(p, 0))
    }
}

/// `pod`, `pods`: the noun for `n` things.
pub fn plural(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {one}s", count(n)) }
}

/// Text safe for a terminal and for one line: control characters become blanks, runs of blanks one.
pub fn one_line(text: &str) -> String {
    let visible: String = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Controls, and the marks that reorder text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// At most `most` characters, the last of them an ellipsis if some had to go.
pub fn shortened(text: &str, most: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= most {
        return text;
    }
    let head: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

fn three_digits(x: f64) -> String {
    let size = x.abs();
    let digits = if size < 9.995 {
        2
    } else if size < 99.95 {
        1
    } else {
        0
    };
    trimmed(&signless(x, digits))
}

/// Without zeros behind the last digit that counts.
fn trimmed(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

/// With `digits` behind the point, grouped, and no `-0`.
fn signless(x: f64, digits: usize) -> String {
    let text = format!("{x:.digits$}");
    let text = if text.trim_start_matches('-').bytes().all(|b| b == b'0' || b == b'.') {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    };
    match text.split_once('.') {
        Some((whole, part)) => format!("{}.{part}", grouped(whole)),
        None => grouped(&text),
    }
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    let mut out = String::from(sign);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_iec_units() {
        for (n, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (300 << 30, "300 GiB"),
            ((1 << 40) - 1, "1 TiB"),
            (1_920_383_410_176, "1.75 TiB"),
            (u128::from(u64::MAX) * 100, "1,600 EiB"),
        ] {
            assert_eq!(bytes(n), shown);
        }
    }

    #[test]
    fn spans_and_shares() {
        for (seconds, shown) in [
            (0.0, "0 s"),
            (0.0004, "< 1 ms"),
            (0.12, "120 ms"),
            (0.9996, "1 s"),
            (3.4, "3.4 s"),
            (59.96, "1 min"),
            (250.0, "4 min 10 s"),
            (7500.0, "2 h 5 min"),
            (86_400.0, "1 d"),
            (273_600.0, "3 d 4 h"),
        ] {
            assert_eq!(span(seconds), shown, "{seconds}");
        }
        for (share, shown) in [
            (0.0, "0 %"),
            (0.0001, "< 0.1 %"),
            (0.004, "0.4 %"),
            (0.05, "5 %"),
            (0.613, "61 %"),
            (0.9999, "99.9 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(share), shown, "{share}");
        }
        assert_eq!(
            (cores(12_500.0), cores(0.0), cores(1_024_000.0)),
            ("12.5".into(), "0".into(), "1,024".into())
        );
    }

    #[test]
    fn text_stays_on_one_line() {
        assert_eq!(one_line("a\x1b[31m\nb\u{202e}  c\t"), "a [31m b c");
        assert_eq!(shortened("wait-for-first-consumer", 10), "wait-for-…");
        assert_eq!(shortened("short", 10), "short");
    }
}
