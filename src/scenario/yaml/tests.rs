use super::*;
use crate::scenario::tree::Resolved;

fn read(text: &str) -> Result<Vec<Value>, (Diagnostic, Sources)> {
    let mut sources = Sources::new();
    let source = sources.add("t.yaml", text);
    parse_all(&sources, source, &Limits::scenario()).map_err(|d| (d, sources))
}

fn one(text: &str) -> Value {
    match read(text) {
        Ok(mut values) if values.len() == 1 => values.remove(0),
        Ok(values) => panic!("{} documents in {text:?}", values.len()),
        Err((d, s)) => panic!("{}", d.render(&s, false)),
    }
}

fn canonical(text: &str) -> String {
    let mut out = String::new();
    one(text).write_canonical(&mut out);
    out
}

fn message(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("accepted {text:?}"),
        Err((d, s)) => d.render(&s, false),
    }
}

#[test]
fn json_and_yaml_mean_the_same() {
    let want = r#"{"a":["1","x",null,true],"b":{"c":"d"}}"#;
    for text in [
        "a: [1, x, null, true]\nb: {c: d}\n",
        "{\"b\": {\"c\": \"d\"},\n\t\"a\": [1, \"x\", null, true]}",
        "---\na:\n- 1\n- x\n- ~\n- true\nb:\n  c: d\n...\n",
        "{a: [1, x, null, true], b: {c: d}}",
        "\u{feff}a: [1, x, null, true]\nb: {c: d}\n",
    ] {
        assert_eq!(canonical(text), want, "{text:?}");
    }
}

#[test]
fn scalars_keep_their_text_and_know_their_type() {
    let value = one(
        "[1.10, 0x10, 010, on, 'on', 1e3, .5, 1_000, 2001-01-01, -3, 1:30, 18446744073709551615, 1.2.3, e3, .inf, +]",
    );
    let items = value.as_seq().unwrap_or(&[]);
    let resolved: Vec<(&str, Resolved<'_>)> = items
        .iter()
        .filter_map(|v| match &v.kind {
            Kind::Scalar(s) => Some((&*s.text, s.resolve())),
            _ => None,
        })
        .collect();
    let want = [
        ("1.10", Resolved::Float(1.1)),
        ("0x10", Resolved::Int(16)),
        ("010", Resolved::Int(8)),
        ("on", Resolved::Bool(true)),
        ("on", Resolved::Str("on")),
        ("1e3", Resolved::Float(1000.0)),
        (".5", Resolved::Float(0.5)),
        ("1_000", Resolved::Int(1000)),
        ("2001-01-01", Resolved::Str("2001-01-01")),
        ("-3", Resolved::Int(-3)),
        ("1:30", Resolved::Str("1:30")),
        ("18446744073709551615", Resolved::Uint(u64::MAX)),
        ("1.2.3", Resolved::Str("1.2.3")),
        ("e3", Resolved::Str("e3")),
        (".inf", Resolved::Float(f64::INFINITY)),
        ("+", Resolved::Str("+")),
    ];
    assert_eq!(resolved, want);
}

#[test]
fn several_documents_and_empty_ones() {
    let count = |text| read(text).map(|v| v.len()).ok();
    assert_eq!(count(""), Some(0));
    assert_eq!(count("# nothing\n"), Some(0));
    assert_eq!(count("---\n---\na: 1\n---\n# c\n---\nb: 2\n"), Some(2));
    assert_eq!(count("{\"a\":1}\n{\"b\":2}"), Some(2), "concatenated JSON");
}

#[test]
fn anchors_aliases_and_merge_keys() {
    assert_eq!(canonical("a: &x {p: 1}\nb: *x\n"), r#"{"a":{"p":"1"},"b":{"p":"1"}}"#);
    assert_eq!(
        canonical("base: &b {p: 1, q: 2}\nuse: {<<: *b, q: 3}\n"),
        r#"{"base":{"p":"1","q":"2"},"use":{"p":"1","q":"3"}}"#
    );
    assert_eq!(canonical("<<: [{p: 1}, {p: 2, q: 3}]"), r#"{"p":"1","q":"3"}"#);
}

#[test]
fn spans_point_at_the_text() {
    let text = "größe: {ä: wert}\nb: \"q\"\nliste:\n  - eins\n  - zwei\n";
    let value = one(text);
    let cut = |v: Option<&Value>| v.map(|v| &text[v.span.start as usize..v.span.end as usize]);
    assert_eq!(cut(value.get("b")), Some("\"q\""));
    assert_eq!(cut(value.get("größe").and_then(|v| v.get("ä"))), Some("wert"));
    assert_eq!(cut(value.get("liste").and_then(Value::as_seq).and_then(|s| s.get(1))), Some("zwei"));
    assert_eq!(cut(value.get("größe")), Some("{ä: wert}"));
    assert_eq!(cut(value.get("liste")), Some("- eins\n  - zwei"));
}

#[test]
fn alias_bombs_and_deep_nesting_are_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..30 {
        let items = vec![format!("*a{}", i - 1); 10].join(",");
        bomb.push_str(&format!("a{i}: &a{i} [{items}]\n"));
    }
    assert!(message(&bomb).contains("aliases expand to more than"));
    let mut chain = format!("a0: &a0 {}{}\n", "[".repeat(100), "]".repeat(100));
    for i in 1..2000 {
        chain.push_str(&format!("a{i}: &a{i} [[*a{}]]\n", i - 1));
    }
    assert!(message(&chain).contains("nested deeper than 128"));
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "{\"a\":".repeat(100_000),
        "? ".repeat(100_000),
        (0..10_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect(),
    ] {
        let shown = message(&text);
        assert!(shown.len() < 2000 && shown.contains("t.yaml:"), "{shown}");
    }
}

#[test]
fn mistakes_have_a_place_and_a_hint() {
    for (text, want) in [
        ("a: 1\nb: 2\na: 3\n", "t.yaml:3:1"),
        ("{\"a\": 1,\n \"a\": 2}", "t.yaml:2:2"),
        ("a:\n\tb: 1\n", "spaces"),
        ("a: [1, 2\nb: 3\n", "t.yaml:"),
        ("a: \"open\n", "t.yaml:"),
        ("{\"a\": 01}", "t.yaml:1:7"),
        ("{\"a\" 1}", "expected `:`"),
        ("{\"a\": tru}", "expected a value"),
        ("a: *nowhere\n", "t.yaml:1:4"),
        ("? [x]\n: 1\n", "key"),
        ("a: !secret x\n", "tag"),
        ("a: b: c\n", "t.yaml:1:"),
    ] {
        let shown = message(text);
        assert!(shown.contains(want), "{text:?}: {shown}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[-a-c:{}\\[\\],&*<!|>?%@#'\"\\\\ \\t\\n0-9.~é\u{feff}\u{85}]{0,60}") {
        let _ = read(&text);
    }
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = read(&String::from_utf8_lossy(&bytes));
    }
}
