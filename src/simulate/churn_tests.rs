//! Small random scenarios with churn, failures and operators' hands in them: nothing that must hold is ever broken, a repetition is the
//! same run, and both engines decide the same.

#[path = "../../tests/support/random_scenario.rs"]
mod random_scenario;

use super::*;
use crate::scenario::{LoadOptions, ScenarioFile};
use random_scenario::Dice;
use std::path::Path;

fn outcome(text: &str, mode: BindingMode, options: Options) -> (String, u64, u64) {
    let file =
        ScenarioFile::from_text("churn.yaml", text.to_owned(), Path::new("."), &LoadOptions::default());
    let loaded = file.and_then(|file| file.resolve(&[])).unwrap_or_else(|e| panic!("{}\n{text}", e));
    let prepared = prepare(&loaded, Some(mode), options).unwrap_or_else(|e| panic!("{}\n{text}", e));
    let run =
        run(&prepared.plan, "churn", prepared.sample, options).unwrap_or_else(|e| panic!("{e}\n{text}"));
    (run.summary.digest, run.summary.decisions, run.summary.events)
}

#[test]
fn churn_breaks_nothing_and_is_the_same_again() {
    let rounds = std::env::var("STOWPLAN_CHURN_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let paranoid = Options { paranoid: true, ..Options::default() };
    let plain = Options { plain: true, ..paranoid };
    for seed in 0..rounds {
        let text = random_scenario::scenario(&mut Dice::of_seed(seed));
        for mode in [BindingMode::Immediate, BindingMode::WaitForFirstConsumer] {
            let first = outcome(&text, mode, paranoid);
            assert_eq!(first, outcome(&text, mode, paranoid), "again, {mode:?}:\n{text}");
            assert_eq!(first, outcome(&text, mode, plain), "the plain engine, {mode:?}:\n{text}");
        }
    }
}
