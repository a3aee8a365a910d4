use super::*;
use crate::diagnostic::Sources;

fn span() -> Span {
    Span { source: Sources::new().add("test", ""), start: 0, end: 0 }
}

/// Axes with the values of one point.
const POINT: [(&str, &str); 6] = [
    ("cluster.nodes[db].count", "20"),
    ("cluster.nodes[db].disks[0].split", "4"),
    ("cluster.nodes[web].count", "5"),
    ("workload.generate[shop].claims[0].size", "300Gi"),
    ("cluster.nodes[db].shape", "i3.2xlarge"),
    ("recovery.policy", "30m"),
];

fn check(text: &str) -> Result<bool, String> {
    let axis =
        |path: &str| Axis { path: Spanned { value: path.to_owned(), span: span() }, values: Vec::new() };
    let axes: Vec<Axis> = POINT.iter().map(|(path, _)| axis(path)).collect();
    let values: Vec<Value> = POINT.iter().map(|(_, value)| Value::plain(span(), value)).collect();
    let filter = Filter::parse(&Spanned { value: text.to_owned(), span: span() }, &axes);
    filter.and_then(|f| f.passes(&|axis| &values[axis])).map_err(|e| e.message)
}

#[test]
fn conditions() {
    for (text, want) in [
        ("cluster.nodes[db].count == 20", true),
        ("cluster.nodes[db].count*split>=80", true),
        ("cluster.nodes[db].count * split > 80", false),
        ("split + 2 * 3 == 10", true),
        ("(split + 2) * 3 == 18", true),
        ("20 - 5 - 5 == 10", true),
        ("split / 8 == 50%", true),
        ("size <= 0.3Ti", true),
        ("size > 300G", true),
        ("shape == i3.2xlarge", true),
        ("shape != 'i3.2xlarge'", false),
        ("not shape == i3.large and split < 5", true),
        ("!(split < 5) or cluster.nodes[web].count >= 5", true),
        ("split < 1 or split < 2 or split < 5", true),
        ("split < 1 || split == 4 && not split == 4", false),
        ("policy == 30m", true),
    ] {
        assert_eq!(check(text), Ok(want), "{text}");
    }
}

#[test]
fn nonsense_is_named() {
    for (text, want) in [
        ("", "it ends where a value is expected"),
        ("split", "neither true nor false"),
        ("split <", "it ends where"),
        ("split < 3 4", "`4` is not understood"),
        ("count < 3", "more than one axis"),
        ("cluster.nodes[dc].count < 3", "not the path of an axis"),
        ("cluster.node.count < 3", "not the path of an axis"),
        ("shape + 1 == 2", "not both numbers"),
        ("shape < 3", "not both numbers"),
        ("split / 0 == 1", "divides by zero"),
        ("(split == 4", "`(` without `)`"),
        ("shape == 'x", "not closed"),
        ("split and split", "join conditions"),
        ("(split == 4) + 1 == 2", "calculates with a condition"),
        ("1 < 2 < 3", "`< 3` is not understood"),
        ("§", "`§` stands where a value"),
    ] {
        let error = check(text).unwrap_err();
        assert!(error.contains(want), "{text}: {error}");
    }
    assert!(check(&"(".repeat(1000)).unwrap_err().contains("nested deeper"));
    assert!(check(&"not ".repeat(1000)).unwrap_err().contains("nested deeper"));
}
