use super::*;
use crate::engine::time::SimDuration;
use crate::plan::search::State;
use crate::plan::testing::Bins;
use crate::scenario::types::{GrowthRate, Minimize};
use crate::sweep::testing::setting;

fn named(text: &str) -> Spanned<String> {
    Spanned { value: text.to_owned(), span: setting("x", 0).path_span }
}

fn axis(path: &str, values: &[u64]) -> Axis {
    Axis { path: named(path), values: values.iter().map(|v| setting("x", v).value).collect() }
}

fn spec(vary: Vec<Axis>) -> PlanSpec {
    let span = named("").span;
    PlanSpec {
        require: vec![Spanned { value: Requirement::Stuck(0.0), span }],
        confidence: 0.95,
        vary,
        variants: Vec::new(),
        minimize: Minimize::Nodes,
        replications: 10,
        fit: Vec::new(),
        forecast: Vec::new(),
    }
}

fn solved(spec: &PlanSpec, model: &Bins) -> Result<Plan, String> {
    let variants = ["immediate".to_owned(), "wait".to_owned()];
    let planning = Planning { spec, variants: &variants, seed: 1, model, all: false };
    solve(&planning, &mut Silent).map_err(|e| e.message)
}

#[test]
fn the_longest_count_of_nodes_is_searched_and_the_rest_is_combined() {
    let count = "cluster.nodes[db].count";
    let vary =
        vec![axis("cluster.nodes[web].count", &[1, 2]), axis(count, &[9, 3, 3, 7]), axis("split", &[1, 2])];
    assert_eq!(count_axis(&vary), Some(1));
    let texts = |all: &[Vec<Override>]| -> Vec<String> {
        all.iter().flatten().map(|s| crate::scenario::axes::cell(&s.value)).collect()
    };
    assert_eq!(texts(&counts(&vary, Some(1))), ["3", "7", "9"]);
    let plan = solved(&spec(vary), &Bins::new(1)).unwrap();
    assert_eq!(plan.count_axis.as_deref(), Some(count));
    // 2 variants x 2 counts of web x 2 splits.
    assert_eq!(plan.clusters.unwrap().ranked.len(), 8);
    assert_eq!(count_axis(&[axis("workload.generate[w].count", &[1]), axis("seed", &[1])]), None);
    let huge: Vec<Axis> = (0..5).map(|i| axis(&format!("a{i}"), &[1; 10])).collect();
    assert!(solved(&spec(huge), &Bins::new(1)).unwrap_err().contains("more than 10000 configurations"));
}

#[test]
fn nothing_varied_asks_whether_the_cluster_does() {
    // One node with one volume.
    for (items, want) in [(1, State::Met(0)), (2, State::Unmet)] {
        let plan = solved(&spec(Vec::new()), &Bins::new(items)).unwrap();
        let answer = plan.clusters.unwrap();
        assert_eq!(answer.ranked.iter().map(|s| s.state).collect::<Vec<_>>(), [want, want]);
    }
}

#[test]
fn growth_is_asked_per_variant_and_without_a_level() {
    let mut spec = spec(Vec::new());
    spec.require.clear();
    spec.fit = vec![vec![named("w")]];
    spec.forecast = vec![Forecast {
        workload: named("w"),
        growth: GrowthRate::Share(0.5),
        every: SimDuration::from_secs(86_400),
        horizon: SimDuration::from_secs(10 * 86_400),
    }];
    // The default node of the made-up cluster holds one item; of nothing, nothing grows by shares.
    let plan = solved(&spec, &Bins::new(0)).unwrap();
    assert!(plan.clusters.is_none());
    let fits: Vec<_> = plan.fits.iter().map(|f| (f.variant.as_str(), f.growth.last)).collect();
    assert_eq!(fits, [("immediate", Some(1)), ("wait", Some(1))]);
    assert!(plan.forecasts.iter().all(|f| f.growth.unbroken && f.growth.last == Some(10)));
    // 1, 1.5 -> 2: the second period breaks it. (1.5 rounds up.)
    let plan = solved(&spec, &Bins::new(1)).unwrap();
    assert_eq!(plan.forecasts[0].growth.last, Some(0));
    spec.fit = vec![vec![named("v")]];
    assert!(solved(&spec, &Bins::new(1)).unwrap_err().contains("no workload is named `v`"));
}
