use super::*;

#[test]
fn paths_split_into_steps() {
    let key = |k: &str| Step::Key(k.to_owned());
    let name = |n: &str| Step::Name(n.to_owned());
    for (path, want) in [
        ("seed", vec![key("seed")]),
        (
            "cluster.nodes[db].disks[0].split",
            vec![key("cluster"), key("nodes"), name("db"), key("disks"), Step::Index(0), key("split")],
        ),
        ("a[x.y][1].b", vec![key("a"), name("x.y"), Step::Index(1), key("b")]),
        ("a[db-1]", vec![key("a"), name("db-1")]),
    ] {
        assert_eq!(parse(path), Ok(want), "{path}");
    }
    for path in ["", ".", "a.", ".a", "a..b", "a[", "a[]", "[x].a", "a[0]b", "a[99999999999999999999].b.."] {
        assert!(parse(path).is_err(), "{path}");
    }
    assert!(parse(&"a.".repeat(1000)).is_err());
}
