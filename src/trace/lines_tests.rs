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

    let endless = [vec![b'x'; max_line_bytes() * 2], b"\nb\n".to_vec()].concat();
    let mut lines = Lines::new(Box::new(io::Cursor::new(endless)));
    assert!(matches!(lines.advance(), Err(LineError::TooLong(1))));
    let span = lines.advance().expect("memory").expect("one more line");
    assert_eq!((lines.bytes(span), span.line), (&b"b"[..], 2));
    assert!(lines.buffer.len() <= 4 * max_line_bytes(), "memory is bounded");
}
