//! The inverse question: how many more of a workload fit before the levels break, and what fills first.
//!
//! What may grow is a list of steps, each a list of settings (one more set, one more month of growth). The last step that
//! does is found by galloping and bisection; above it, three more are tried in full, because a step that does not do may
//! be followed by one that does.

use super::trial::{Bench, SCREEN, Trial, Verdict};
use crate::scenario::types::Override;
use std::collections::BTreeMap;

/// How far beyond the answer it is looked for a larger one.
const LOOK_BEYOND: u64 = 3;

/// How far something can grow.
#[derive(Clone, Debug)]
pub struct Growth {
    /// The last step that does; `None` if not even step 0 does.
    pub last: Option<u64>,
    /// Did it come to the end of the steps without breaking?
    pub unbroken: bool,
    /// Every step that was tried.
    pub trials: BTreeMap<u64, Trial>,
}

impl Growth {
    /// The trial of the last step that does.
    pub fn last_trial(&self) -> Option<&Trial> {
        self.trials.get(&self.last?)
    }

    /// The first trial beyond it that does not do: it shows what fills first.
    pub fn first_break(&self) -> Option<(u64, &Trial)> {
        let from = self.last.map_or(0, |last| last + 1);
        let broken = |t: &Trial| matches!(t.verdict, Verdict::Unmet | Verdict::Failed);
        self.trials.range(from..).find(|(_, t)| broken(t)).map(|(step, t)| (*step, t))
    }

    /// Runs done.
    pub fn runs(&self) -> u64 {
        self.trials.values().map(|t| t.runs).sum()
    }
}

/// Finds the last of the steps `0..=most` that does; `settings` gives a step's.
pub fn grow(
    bench: &Bench<'_>,
    variant: &(u32, String),
    most: u64,
    settings: &dyn Fn(u64) -> Vec<Override>,
) -> Growth {
    let (trials, depth) = (BTreeMap::new(), SCREEN);
    let mut search = Growing { bench, variant, settings, trials, depth, good: None, bad: None };
    search.narrow(most);
    // Only screened so far: the last good one must hold in full, and the next three must break.
    while let Some(good) = search.good {
        if !search.does(good, bench.replications()) {
            search.step_back(good);
            search.narrow(most);
            continue;
        }
        let beyond =
            (good + 1..=most.min(good + LOOK_BEYOND)).find(|step| search.does(*step, bench.replications()));
        match beyond {
            Some(step) => {
                search.good = Some(step);
                search.bad = search.bad.filter(|bad| *bad > step);
                search.narrow(most);
            }
            None => break,
        }
    }
    Growth { last: search.good, unbroken: search.good == Some(most), trials: search.trials }
}

struct Growing<'a> {
    bench: &'a Bench<'a>,
    variant: &'a (u32, String),
    settings: &'a dyn Fn(u64) -> Vec<Override>,
    trials: BTreeMap<u64, Trial>,
    /// Replications after which a step on the way is believed; more whenever one was believed wrongly.
    depth: u32,
    /// The largest step that does, as far as is known, and the smallest above it that does not.
    good: Option<u64>,
    bad: Option<u64>,
}

impl Growing<'_> {
    /// Gallops up from the good step until one breaks, then bisects.
    fn narrow(&mut self, most: u64) {
        let mut stride = 1;
        loop {
            let next = match (self.good, self.bad) {
                (None, None) => 0,
                (Some(good), None) if good >= most => return,
                (Some(good), None) => good.saturating_add(stride).min(most),
                (None, Some(0)) => return,
                (None, Some(bad)) => bad / 2,
                (Some(good), Some(bad)) if good + 1 >= bad => return,
                (Some(good), Some(bad)) => good + (bad - good) / 2,
            };
            stride *= 2;
            if self.does(next, self.depth) {
                self.good = Some(next);
            } else {
                self.bad = Some(next);
            }
        }
    }

    /// What seemed to do does not.
    fn step_back(&mut self, step: u64) {
        self.bad = Some(step);
        self.depth = (self.depth * 2).min(self.bench.replications());
        let good = |t: &Trial| matches!(t.verdict, Verdict::Met | Verdict::Open);
        self.good = self.trials.range(..step).rev().find(|(_, t)| good(t)).map(|(step, _)| *step);
    }

    fn does(&mut self, step: u64, depth: u32) -> bool {
        let (bench, variant) = (self.bench, self.variant);
        let settings = (self.settings)(step);
        let trial =
            self.trials.entry(step).or_insert_with(|| match bench.model.size(&settings, &variant.1) {
                Ok(size) => Trial::new(settings, variant.clone(), size),
                Err(why) => Trial::impossible(settings, variant.clone(), why),
            });
        trial.advance(bench, depth);
        matches!(trial.verdict, Verdict::Met | Verdict::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::level::Level;
    use crate::plan::testing::{Bins, draw};
    use crate::scenario::types::Requirement;
    use crate::sweep::testing::setting;

    fn grown(model: &Bins, most: u64) -> Growth {
        let levels = [Level { requirement: Requirement::Stuck(0.0) }];
        let bench = Bench::new(model, &levels, 0.95, 10, 42);
        let base = model.items;
        let settings = move |step| {
            vec![setting("count", 10), setting("split", 4), setting("workload.generate[w].sets", base + step)]
        };
        grow(&bench, &(0, "a".into()), most, &settings)
    }

    #[test]
    fn so_many_more_fit() {
        // 10 nodes x 4 volumes hold 40 items.
        for (items, most, want, unbroken) in [
            (7, 1000, Some(33), false),
            (40, 1000, Some(0), false),
            (41, 1000, None, false),
            (7, 20, Some(20), true),
        ] {
            let model = Bins::new(items);
            let growth = grown(&model, most);
            assert_eq!((growth.last, growth.unbroken), (want, unbroken), "{items}");
            assert!(growth.runs() < 60, "{}", growth.runs());
            let next = want.map_or(0, |w| w + 1);
            assert_eq!(growth.first_break().map(|(step, _)| step), (!unbroken).then_some(next));
        }
    }

    #[test]
    fn the_seeds_decide_together_and_a_gap_is_jumped() {
        // A replication in four holds 35 only, and exactly 20 items never fit.
        let mut model = Bins::new(5);
        model.stuck = |_, _, _, items, seed| {
            let room = if draw(seed) > 0.75 { 35 } else { 40 };
            if items > room || items == 20 { 0.1 } else { 0.0 }
        };
        assert_eq!(grown(&model, 500).last, Some(30));
    }
}
