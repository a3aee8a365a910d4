use super::*;
use crate::engine::time::SimDuration;
use crate::plan::solve::{Silent, solve};
use crate::plan::testing::Bins;
use crate::plan::{picture, table};
use crate::scenario::types::{Axis, Forecast, GrowthRate, PlanSpec, Requirement, Spanned};
use crate::sweep::testing::setting;

fn named(text: &str) -> Spanned<String> {
    Spanned { value: text.to_owned(), span: setting("x", 0).path_span }
}

/// 180 items; nodes with 1, 2, 4 or 200 volumes, the last of which cannot be.
fn planned(minimize: Minimize, most: u64) -> PlanFile {
    let axis = |path: &str, values: Vec<u64>| Axis {
        path: named(path),
        values: values.iter().map(|v| setting("x", v).value).collect(),
    };
    let spec = PlanSpec {
        require: vec![Spanned { value: Requirement::Stuck(0.01), span: named("").span }],
        confidence: 0.95,
        // The made-up cluster knows the axis as `count`; the planner, by its ending.
        vary: vec![axis("cluster.nodes[db].count", (1..=most).collect()), axis("split", vec![1, 2, 4, 200])],
        variants: Vec::new(),
        minimize,
        replications: 10,
        fit: vec![vec![named("w")]],
        forecast: vec![Forecast {
            workload: named("w"),
            growth: GrowthRate::Sets(10.0),
            every: SimDuration::from_secs(30 * 86_400),
            horizon: SimDuration::from_secs(720 * 86_400),
        }],
    };
    let variants = ["immediate".to_owned()];
    let model = Bins::new(180);
    let planning = Planning { spec: &spec, variants: &variants, seed: 1, model: &model, all: true };
    let plan = solve(&planning, &mut Silent).unwrap();
    plan_file(Subject { scenario: "made-up", scenario_digest: "blake3:1" }, &planning, &plan)
}

#[test]
fn the_answer_comes_with_its_evidence() {
    let plan = planned(Minimize::Price, 400);
    let states: Vec<_> =
        plan.configurations.iter().map(|c| (c.settings["split"].as_str(), c.state)).collect();
    assert_eq!(states, [("4", "met"), ("2", "met"), ("1", "met"), ("200", "failed")]);
    let best = &plan.configurations[plan.answer.unwrap()];
    let cluster = best.cluster.as_ref().unwrap();
    // 1 % of 180 may be stuck: 179 items in 45 nodes of 4; 44 hold 176, which is 2.2 % too few.
    assert_eq!((cluster.count.as_deref(), cluster.nodes), (Some("45"), 45));
    assert_eq!((cluster.levels[0].mean, cluster.levels[0].met), (0.0, true));
    let binding = best.binding.as_ref().unwrap();
    assert_eq!((binding.nodes, binding.unmet[0].level), (44, "stuck"));
    assert_eq!(binding.fullest, Some(Fullest { resource: "storage", share: 1.0 }));
    assert_eq!(binding.reason.as_deref(), Some("0/44 nodes are available: no free volume"));
    assert!(plan.configurations[3].error.as_ref().unwrap().contains("too small"));
    assert!(plan.runs * 10 < plan.exhaustive_runs);
    // Cheaper never beats dearer in pods stuck along the front.
    assert!(plan.pareto.windows(2).all(|w| w[0].cost < w[1].cost && w[0].stuck_share > w[1].stuck_share));
    assert_eq!(plan.pareto.last().map(|p| (p.nodes, p.stuck_share)), Some((45, 0.0)));
}

#[test]
fn growth_is_answered_in_sets_and_time() {
    let plan = planned(Minimize::Nodes, 50);
    // The made-up cluster as it is: one node, one volume, 180 items.
    assert_eq!((plan.fit[0].more, plan.forecast[0].holds_until_seconds), (None, None));
    assert!(plan.fit[0].binding.as_ref().unwrap().reason.is_some());
}

#[test]
fn json_table_and_picture() {
    let plan = planned(Minimize::Price, 400);
    let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(json["configurations"][0]["cluster"]["nodes"], 45);
    assert_eq!(json["configurations"][0]["cluster"]["pricePerHour"], 63.0);
    assert_eq!(json["require"][0]["limit"], 0.01);
    let text = table::render(&plan);
    for part in [
        "Cheapest cluster for made-up with stuck <= 1 % (95 % confidence, 10 paired runs)",
        "immediate, split 4",
        "at 44: stuck 2.2 % > 1 %; storage 100 % used; \"0/44 nodes are available: no free volume\"",
        "cannot be run: volumes of a disk split in 200 are too small",
        "Best: cluster.nodes[db].count = 45, immediate, split 4: stuck 0 % (bound 0 %)",
        "immediate: not even the 180 sets of w fit now",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let picture = picture::svg(&plan).unwrap().unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("split 4"));
    let none = PlanFile { configurations: Vec::new(), ..plan };
    assert_eq!(picture::svg(&none).unwrap(), None);
}
