use super::*;
use crate::diagnostic::Sources;
use crate::scenario::tree::Limits;
use crate::scenario::yaml;

fn values(text: &str) -> Option<Vec<String>> {
    let mut sources = Sources::new();
    let source = sources.add("a.yaml", format!("path: seed\n{text}\n"));
    let tree = yaml::parse_all(&sources, source, &Limits::scenario()).ok()?.pop()?;
    let mut ctx = Ctx::new(sources.clone());
    let axis = axis(&mut ctx, &tree, "axes[0]")?;
    ctx.diags.is_empty().then(|| axis.values.iter().map(cell).collect())
}

#[test]
fn lists_ranges_and_logarithmic_ranges() {
    for (text, want) in [
        ("values: [1, 2Gi, {a: b}]", vec!["1", "2Gi", r#"{"a":"b"}"#]),
        ("range: {from: 20, to: 50, step: 10}", vec!["20", "30", "40", "50"]),
        ("range: {from: 3, to: 6}", vec!["3", "4", "5", "6"]),
        ("range: {from: 0.1, to: 0.5, step: 0.2}", vec!["0.1", "0.3", "0.5"]),
        ("range: {from: 100Gi, to: 300Gi, step: 100Gi}", vec!["100Gi", "200Gi", "300Gi"]),
        ("range: {from: 0, to: 1, count: 3}", vec!["0", "0.5", "1"]),
        ("range: {from: 5, to: 5}", vec!["5"]),
        ("logRange: {from: 1, to: 1000, count: 4}", vec!["1", "10", "100", "1000"]),
        ("logRange: {from: 1, to: 3, count: 5}", vec!["1", "2", "3"]),
        ("logRange: {from: 0.1, to: 10, count: 3}", vec!["0.1", "1", "10"]),
    ] {
        assert_eq!(values(text), Some(want.iter().map(|s| (*s).to_owned()).collect()), "{text}");
    }
    for text in [
        "values: []",
        "range: {from: 5, to: 1}",
        "logRange: {from: 0, to: 1, count: 3}",
        "range: {from: x, to: 1}",
    ] {
        assert_eq!(values(text), None, "{text}");
    }
}

#[test]
fn grid_points_count_like_digits() {
    let mut sources = Sources::new();
    let source = sources.add("a.yaml", "");
    let span = crate::diagnostic::Span { source, start: 0, end: 0 };
    let axis = |path: &str, n: usize| Axis {
        path: crate::scenario::types::Spanned { value: path.to_owned(), span },
        values: (0..n).map(|i| Value::plain(span, &i.to_string())).collect(),
    };
    let axes = [axis("a", 2), axis("b", 3)];
    assert_eq!(grid_size(&axes).ok(), Some(6));
    let digits = |i| {
        grid_point(&axes, i)
            .map(|p| p.set.iter().map(|o| format!("{}={}", o.path, cell(&o.value))).collect::<Vec<_>>())
    };
    assert_eq!(digits(0), Some(vec!["a=0".into(), "b=0".into()]));
    assert_eq!(digits(4), Some(vec!["a=1".into(), "b=1".into()]));
    assert_eq!(digits(6), None);
    assert_eq!(grid_point(&[], 0).map(|p| p.set.len()), Some(0));
    assert_eq!(grid_point(&[], 1).map(|p| p.set.len()), None);
    let huge: Vec<Axis> = (0..10).map(|i| axis(&format!("x{i}"), 1000)).collect();
    assert!(grid_size(&huge).is_err());
}
