use super::*;

fn read(text: &str) -> Result<Vec<Value>, Diagnostic> {
    let mut sources = Sources::new();
    let source = sources.add("t.json", text);
    parse_stream(&sources, source, &Limits::scenario())
}

#[test]
fn agrees_with_another_reader_on_what_is_json() {
    for text in [
        r#"{"a":[1,2.5e-3,-0,"\u00e9\ud83d\ude00\n",null,true,{}]}"#,
        "[]",
        "0",
        "01",
        "1.",
        "-",
        "1e",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\x\"",
        "\"a\nb\"",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "[1 2]",
        "\"\\u12\"",
        "nul",
        "+1",
        "\u{feff}[]x",
    ] {
        let ours = read(text).map(|v| v.len() == 1).unwrap_or(false);
        let theirs = serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert_eq!(ours, theirs, "{text:?}");
    }
}

#[test]
fn strings_are_unescaped() {
    let value = read(r#"["\u00e9\ud83d\ude00\n\/\"","x"]"#).ok().and_then(|mut v| v.pop());
    let texts: Vec<String> = value
        .iter()
        .flat_map(|v| v.as_seq().unwrap_or(&[]))
        .filter_map(|v| v.as_text().map(str::to_owned))
        .collect();
    assert_eq!(texts, ["é😀\n/\"", "x"]);
}

#[test]
fn elements_of_a_list_come_one_by_one() {
    let mut sources = Sources::new();
    let source = sources.add("t.json", r#" {"kind":"List","items":[{"a":1},{"a":2}],"x":3} "#);
    let mut seen = 0;
    let limits = Limits::manifests();
    let mut reader = Reader::new(&sources, source, &limits);
    let rest = reader.object_with_items(&mut |v| seen += usize::from(v.get("a").is_some()));
    assert_eq!(seen, 2);
    let rest = rest.ok();
    assert_eq!(rest.as_ref().and_then(|v| v.get("items")).and_then(Value::as_seq).map(<[_]>::len), Some(0));
    assert_eq!(rest.as_ref().and_then(|v| v.get("x")).and_then(Value::as_text), Some("3"));
}

#[test]
fn many_keys_are_still_unique() {
    let text = |last: &str| {
        let keys: Vec<String> = (0..5000).map(|i| format!("\"k{i}\":{i}")).collect();
        format!("{{{},\"{last}\":1}}", keys.join(","))
    };
    assert!(read(&text("new")).is_ok());
    assert!(read(&text("k17")).is_err());
}

#[test]
fn a_dropped_key_is_read_over_and_checked() {
    let read = |text: &str| {
        let mut sources = Sources::new();
        let source = sources.add("t.json", text);
        Reader::new(&sources, source, &Limits::scenario()).dropping("big").value(0)
    };
    let value =
        read(r#"{"a": {"big": {"x": [1, "two\n", {}], "y": null}, "b": 1}, "big": "s"}"#).expect("JSON");
    let inner = value.get("a").expect("a");
    assert!(inner.get("big").is_some_and(Value::is_null) && value.get("big").is_some_and(Value::is_null));
    assert_eq!(inner.get("b").and_then(Value::as_text), Some("1"));
    for torn in [
        r#"{"big": {"x": [1,]}}"#,
        r#"{"big": {"x" 1}}"#,
        r#"{"big": "a"#,
        r#"{"big": {1: 2}}"#,
        r#"{"big": [1"#,
    ] {
        assert_eq!(read(torn).expect_err(torn).code, Code::Syntax, "{torn}");
    }
    let deep = format!("{{\"big\": {}1{}}}", "[".repeat(200), "]".repeat(200));
    assert!(read(&deep).is_err());
}
