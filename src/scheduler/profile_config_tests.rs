//! Which plugins run where, by the rules of `mergePluginSet` and `expandMultiPointPlugins`.

use super::*;

/// `A`, or `A=3` with a weight.
fn plugins(words: &str) -> Vec<EnabledPlugin> {
    let one = |word: &str| {
        let (name, weight) =
            word.split_once('=').map_or((word, None), |(name, weight)| (name, weight.parse().ok()));
        EnabledPlugin { name: name.into(), weight }
    };
    words.split_whitespace().map(one).collect()
}

fn set(enabled: &str, disabled: &str) -> PluginSet {
    PluginSet { enabled: plugins(enabled), disabled: disabled.split_whitespace().map(Into::into).collect() }
}

#[test]
fn lists_are_merged_with_the_defaults() {
    for (enabled, disabled, want) in [
        ("", "", "A=1 B=2 C"),
        ("", "B", "A=1 C"),
        ("", "*", ""),
        ("", "X", "A=1 B=2 C"),
        ("D=4", "", "A=1 B=2 C D=4"),
        ("B=7", "", "A=1 B=7 C"),
        ("D B=7 A", "", "A B=7 C D"),
        ("B=7", "B", "A=1 C B=7"),
        ("C A=9", "*", "C A=9"),
    ] {
        let got = merge(plugins("A=1 B=2 C"), &set(enabled, disabled));
        assert_eq!(got, Ok(plugins(want)), "{enabled:?} {disabled:?}");
    }
    for (enabled, twice) in [("D D", "D"), ("A B A", "A"), ("X B B", "B")] {
        assert_eq!(merge(plugins("A=1"), &set(enabled, "")), Err(ConfigError::Twice(twice.into())));
    }
}

#[test]
fn a_points_own_list_comes_first() {
    let multi = plugins("A=1 B=2 C N");
    let implements = |name: &str| match name {
        "N" => Ok(false),
        "?" => Err(ConfigError::UnknownPlugin("?".into())),
        _ => Ok(true),
    };
    let expand =
        |enabled: &str, disabled: &str| expand_point(&set(enabled, disabled), "Filter", &multi, &implements);
    for (enabled, disabled, want) in [
        ("", "", "A=1 B=2 C"),
        ("", "A C", "B=2"),
        ("", "*", ""),
        ("D", "", "A=1 B=2 C D"),
        ("C=5", "", "C=5 A=1 B=2"),
        ("D C B=9", "", "C B=9 A=1 D"),
        ("B", "B", "A=1 C B"),
        ("B D", "*", "B D"),
    ] {
        assert_eq!(expand(enabled, disabled), Ok(plugins(want)), "{enabled:?} {disabled:?}");
    }
    assert_eq!(expand("N", ""), Err(ConfigError::WrongPoint("N".into(), "Filter")));
    assert_eq!(expand("?", ""), Err(ConfigError::UnknownPlugin("?".into())));
    assert_eq!(expand("D D", ""), Err(ConfigError::Twice("D".into())));
}

#[test]
fn the_default_profile() {
    let resolve = |config: &ProfileConfig| config.resolve(&[]).expect("a good profile");
    let default = resolve(&ProfileConfig::default());
    let weights: Vec<(&str, i64)> =
        default.score.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
    let want = [
        ("TaintToleration", 3),
        ("NodeAffinity", 2),
        ("NodeResourcesFit", 1),
        ("VolumeBinding", 1),
        ("PodTopologySpread", 2),
        ("InterPodAffinity", 2),
        ("DynamicResources", 2),
        ("NodeResourcesBalancedAllocation", 1),
        ("ImageLocality", 1),
    ];
    assert_eq!(weights, want);
    assert_eq!(default.reserve, ["VolumeBinding"]);
    assert_eq!(default.post_filter, ["DynamicResources", "DefaultPreemption"]);
    assert_eq!((default.filter[0].as_str(), default.filter.len()), ("NodeUnschedulable", 14));
    // What is switched off at one point goes on at the others; a weight of 0 is 1.
    let mut config = ProfileConfig::default();
    config.plugins.filter = set("", "NodeName");
    config.plugins.score = set("NodeAffinity=0 ImageLocality=7", "TaintToleration");
    config.plugins.multi_point = set("", "DynamicResources");
    let odd = resolve(&config);
    assert!(!odd.filter.iter().any(|name| name == "NodeName" || name == "DynamicResources"));
    assert!(odd.filter.iter().any(|name| name == "TaintToleration"));
    let weights: Vec<(&str, i64)> = odd.score.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
    assert_eq!(weights[..3], [("NodeAffinity", 1), ("ImageLocality", 7), ("NodeResourcesFit", 1)]);
    assert_eq!((weights.len(), odd.post_filter), (7, vec!["DefaultPreemption".to_owned()]));
    config.plugins.reserve = set("NodeName", "");
    assert!(
        matches!(config.resolve(&[]), Err(ConfigError::WrongPoint(name, "Reserve")) if name == "NodeName")
    );
}
