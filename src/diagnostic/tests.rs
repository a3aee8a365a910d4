use super::*;

fn sample(text: &str, start: u32, end: u32) -> (Diagnostic, Sources) {
    let mut sources = Sources::new();
    let source = sources.add("scenario.yaml", text);
    let diagnostic = Diagnostic::error(Code::UnknownKey, "unknown key `replicsa`")
        .at(Span { source, start, end })
        .label("not known here")
        .help("did you mean `replicas`?");
    (diagnostic, sources)
}

#[test]
fn renders_file_line_column_caret_and_hint() {
    let (diagnostic, sources) = sample("a: 1\nb:\n  replicsa: 3\n", 10, 18);
    insta::assert_snapshot!(diagnostic.render(&sources, false), @r"
    error[E0102]: unknown key `replicsa`
     --> scenario.yaml:3:3
      |
    3 |   replicsa: 3
      |   ^^^^^^^^ not known here
      |
      = help: did you mean `replicas`?
    ");
}

#[test]
fn a_place_at_the_end_of_the_text_is_shown() {
    let (diagnostic, sources) = sample("a: 1", 4, 4);
    assert!(diagnostic.render(&sources, false).contains("scenario.yaml:1:5"));
    let (diagnostic, sources) = sample("", 0, 0);
    assert!(diagnostic.render(&sources, false).contains("scenario.yaml:1:1"));
}

#[test]
fn long_lines_are_clipped_and_escapes_made_visible() {
    let line = format!("{}\u{1b}[31mx{}", "y".repeat(100_000), "z".repeat(100_000));
    let (diagnostic, sources) = sample(&line, 100_000, 100_006);
    let shown = diagnostic.render(&sources, false);
    assert!(shown.len() < 1500 && !shown.contains('\u{1b}'), "{shown}");
    assert!(shown.contains("scenario.yaml:1:100001"), "{shown}");
}

#[test]
fn untrusted_names_cannot_reach_the_terminal() {
    let hostile = "a\u{1b}]0;owned\u{7}\u{202e}b\u{9b}31m";
    let shown =
        Diagnostic::error(Code::Other, hostile).label(hostile).help(hostile).render(&Sources::new(), false);
    assert!(!shown.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{shown:?}");
}

#[test]
fn rows_of_streamed_files_have_a_place_too() {
    let diagnostic =
        Diagnostic::error(Code::TraceCell, "`x` is not a number").at_row("pods.csv", 17, 3, "a,x,b");
    insta::assert_snapshot!(diagnostic.render(&Sources::new(), false), @r"
    error[E0403]: `x` is not a number
      --> pods.csv:17:3
       |
    17 | a,x,b
       |   ^
    ");
}

#[test]
fn numbers_are_unique_and_every_code_is_in_the_table() {
    for (i, info) in CODES.iter().enumerate() {
        assert_eq!(info.code.info().number, info.number);
        assert!(CODES[..i].iter().all(|other| other.number < info.number), "{}", info.number);
        assert_eq!(CODES.iter().filter(|other| other.code == info.code).count(), 1);
    }
}

#[test]
fn hints_are_near_or_absent() {
    let words = ["replicas", "volumeBindingMode", "cpu"];
    assert_eq!(nearest("replicsa", words), Some("replicas"));
    assert_eq!(nearest("volumebindingmode", words), Some("volumeBindingMode"));
    assert_eq!(nearest("CPU", words), Some("cpu"));
    assert_eq!(nearest("zebra", words), None);
    assert_eq!(nearest(&"x".repeat(1000), words), None);
}

#[test]
fn exit_code_is_three_only_for_unreadable_files() {
    let list = |code| Diagnostics::from(Diagnostic::error(code, "m"));
    assert_eq!(list(Code::FileMissing).exit_code(), 2);
    assert_eq!(list(Code::FileUnreadable).exit_code(), 3);
    assert!(!Diagnostics::from(Diagnostic::warning(Code::Unusual, "m")).has_errors());
}

#[test]
fn a_result_that_may_be_a_diagnostic_stays_small() {
    assert!(size_of::<Diagnostic>() <= 112, "{}", size_of::<Diagnostic>());
}
