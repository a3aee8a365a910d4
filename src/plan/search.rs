//! The smallest or cheapest cluster that meets the levels.
//!
//! A configuration is one choice of everything but the number of nodes. Along that number it is searched by galloping up
//! (1st, 2nd, 4th, 8th ... value) until a candidate does, then by bisection; candidates on the way are only screened, the
//! last one is tried in full. More nodes can make things worse (a larger cluster spreads differently), so below the answer
//! the next three are tried in full as well, and the smallest that does becomes the answer.
//!
//! Configurations race: the cheapest candidates of all are tried first, and a configuration whose next candidate costs more
//! than a cluster that is known to do is out.

use super::model::{Size, subset_count};
use super::trial::{Bench, SCREEN, Trial, Verdict};
use crate::scenario::axes::cell;
use crate::scenario::types::{Minimize, Override, Requirement};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Candidates of different configurations that are tried at the same time. Fixed: the order of trials must not depend on
/// the number of threads.
const WAVE: usize = 4;
/// How far below an answer it is looked for a smaller one.
const LOOK_BELOW: usize = 3;

/// What is to be found.
pub struct Question<'a> {
    /// Everything but the number of nodes.
    pub configurations: Vec<Choice>,
    /// The values along which each configuration is searched, smallest cluster first: the settings of each. At least one.
    pub counts: Vec<Vec<Override>>,
    /// What is made small.
    pub minimize: Minimize,
    /// Levels, replications, simulator.
    pub bench: Bench<'a>,
    /// Search configurations that are known to be dominated as well.
    pub all: bool,
}

/// One configuration.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its settings, without the number of nodes.
    pub settings: Vec<Override>,
    /// Its variant, by index and name.
    pub variant: (u32, String),
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its smallest cluster that meets the levels is known: index into the counts.
    Met(usize),
    /// No cluster that was looked at meets them, up to the largest.
    Unmet,
    /// Whatever meets them costs more than another configuration's answer.
    Dominated,
    /// It cannot be run: no size, or the first candidate failed.
    Failed,
}

/// A configuration that was searched.
#[derive(Clone, Debug)]
pub struct Searched {
    /// Which.
    pub choice: Choice,
    /// What became of it.
    pub state: State,
    /// Every candidate that was tried, by index into the counts.
    pub trials: BTreeMap<usize, Trial>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Searched {
    /// The answer's trial.
    pub fn answer(&self) -> Option<&Trial> {
        match self.state {
            State::Met(index) => self.trials.get(&index),
            _ => None,
        }
    }

    /// The largest candidate below the answer (or of all) that did not do: it shows what binds.
    pub fn nearest_miss(&self) -> Option<(usize, &Trial)> {
        let end = if let State::Met(index) = self.state { index } else { usize::MAX };
        self.trials
            .range(..end)
            .rev()
            .find(|(_, trial)| matches!(trial.verdict, Verdict::Unmet | Verdict::Failed))
            .map(|(i, trial)| (*i, trial))
    }
}

/// All configurations, best first.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Those that do by what is made small, then those that do not.
    pub ranked: Vec<Searched>,
    /// Runs done.
    pub runs: u64,
    /// Runs that trying every candidate in full would have taken, with every loss of nodes that is asked about.
    pub exhaustive_runs: u64,
}

/// What a cluster costs, by what is made small.
pub fn cost(size: Size, minimize: Minimize) -> f64 {
    match minimize {
        Minimize::Price => size.price_per_hour.unwrap_or(f64::INFINITY),
        Minimize::Nodes => size.nodes as f64,
    }
}

/// Finds the answer of every configuration that is not dominated.
///
/// `progress` is told the number of runs done and of configurations still searched.
pub fn search(question: &Question<'_>, progress: &mut dyn FnMut(u64, usize)) -> Answer {
    let mut lanes: Vec<Lane> =
        question.configurations.iter().map(|c| Lane::new(c.clone(), question)).collect();
    loop {
        let limit = if question.all { f64::INFINITY } else { cheapest(&lanes, question, true) };
        for lane in &mut lanes {
            lane.plan_next(question, limit);
        }
        let wave = next_wave(&lanes, cheapest(&lanes, question, false));
        progress(lanes.iter().map(Lane::runs).sum(), lanes.iter().filter(|l| l.next.is_some()).count());
        if wave.is_empty() {
            break;
        }
        lanes
            .par_iter_mut()
            .enumerate()
            .filter(|(i, _)| wave.contains(i))
            .for_each(|(_, lane)| lane.try_next(question));
    }
    finish(lanes, question)
}

/// The cost of the cheapest candidate that does, for sure (`proven`) or as far as is known.
fn cheapest(lanes: &[Lane], question: &Question<'_>, proven: bool) -> f64 {
    let does = |index: &usize, trial: &Trial, lane: &Lane| {
        trial.verdict == Verdict::Met
            || (!proven && trial.verdict == Verdict::Open && lane.high == Some(*index))
    };
    let costs = lanes.iter().flat_map(|lane| {
        lane.trials.iter().filter(|(i, t)| does(i, t, lane)).map(|(_, t)| cost(t.size, question.minimize))
    });
    costs.fold(f64::INFINITY, f64::min)
}

/// The lanes whose candidates are tried next: the cheapest. Those above what probably does wait until it is certain.
fn next_wave(lanes: &[Lane], probable: f64) -> Vec<usize> {
    let mut waiting: Vec<(f64, usize)> =
        lanes.iter().enumerate().filter_map(|(i, lane)| Some((lane.next.as_ref()?.cost, i))).collect();
    waiting.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let cheap = waiting.iter().filter(|(cost, _)| *cost <= probable).count();
    let take = if cheap > 0 { cheap.min(WAVE) } else { WAVE };
    waiting.into_iter().take(take).map(|(_, i)| i).collect()
}

/// Runs per replication of trying every candidate of a lane: one each, and one for every loss of nodes that is asked about.
fn exhaustive_runs(lane: &Lane, question: &Question<'_>) -> u64 {
    let candidates = question.counts.len() as u64;
    let survive = question.bench.levels.iter().find_map(|level| match level.requirement {
        Requirement::Survive { nodes, .. } => Some(u64::from(nodes)),
        _ => None,
    });
    let value =
        |index: usize| -> Option<f64> { cell(&question.counts.get(index)?.first()?.value).parse().ok() };
    let known = lane.sizes.iter().find_map(|(i, size)| Some((*i, size.as_ref().ok()?.nodes)));
    let (Some(lost), Some((at, nodes))) = (survive, known) else { return candidates };
    // Candidates differ in the number of one group's nodes.
    let nodes_of = |index: usize| {
        let more = value(index).zip(value(at)).map_or(0.0, |(a, b)| a - b);
        (nodes as f64 + more).max(0.0) as u64
    };
    candidates + (0..question.counts.len()).map(|i| subset_count(nodes_of(i), lost)).sum::<u64>()
}

fn finish(lanes: Vec<Lane>, question: &Question<'_>) -> Answer {
    let runs = lanes.iter().map(Lane::runs).sum();
    let full = u64::from(question.bench.replications());
    let exhaustive_runs = lanes.iter().map(|lane| exhaustive_runs(lane, question) * full).sum();
    let mut ranked: Vec<Searched> = lanes.into_iter().map(Lane::finish).collect();
    let group = |s: &Searched| match s.state {
        State::Met(_) => 0,
        State::Dominated => 1,
        State::Unmet => 2,
        State::Failed => 3,
    };
    let price = |s: &Searched| s.answer().map_or(f64::INFINITY, |t| cost(t.size, question.minimize));
    let nodes = |s: &Searched| s.answer().map_or(u64::MAX, |t| t.size.nodes);
    // Stable: equal ones stay in the order of the scenario.
    ranked.sort_by(|a, b| {
        group(a).cmp(&group(b)).then(price(a).total_cmp(&price(b))).then(nodes(a).cmp(&nodes(b)))
    });
    Answer { ranked, runs, exhaustive_runs }
}

/// The next candidate of a lane.
#[derive(Clone, Copy, Debug)]
struct Next {
    index: usize,
    cost: f64,
    /// Replications to have.
    depth: u32,
}

/// A configuration under search.
struct Lane {
    choice: Choice,
    trials: BTreeMap<usize, Trial>,
    sizes: BTreeMap<usize, Result<Size, String>>,
    /// The smallest candidate that does, as far as is known.
    high: Option<usize>,
    next: Option<Next>,
    /// Replications after which a candidate on the way is believed. Doubled whenever one was believed wrongly: where the levels
    /// are a matter of luck, the search would creep from one such candidate to the next.
    depth: u32,
    state: Option<State>,
    error: Option<String>,
}

impl Lane {
    fn new(choice: Choice, question: &Question<'_>) -> Lane {
        let mut lane = Lane {
            choice,
            trials: BTreeMap::new(),
            sizes: BTreeMap::new(),
            high: None,
            next: None,
            depth: SCREEN,
            state: None,
            error: None,
        };
        if question.counts.is_empty() {
            lane.fail("there is no number of nodes to try".to_owned());
        }
        lane
    }

    fn runs(&self) -> u64 {
        self.trials.values().map(|trial| trial.runs).sum()
    }

    fn fail(&mut self, why: String) {
        self.state = Some(State::Failed);
        self.error = Some(why);
        self.next = None;
    }

    fn settings(&self, question: &Question<'_>, index: usize) -> Vec<Override> {
        self.choice.settings.iter().chain(&question.counts[index]).cloned().collect()
    }

    fn size(&mut self, question: &Question<'_>, index: usize) -> Result<Size, String> {
        if let Some(known) = self.sizes.get(&index) {
            return known.clone();
        }
        let settings = self.settings(question, index);
        let size = question.bench.model.size(&settings, &self.choice.variant.1);
        self.sizes.insert(index, size.clone());
        size
    }

    /// Decides what is tried next, or what became of the lane. Nothing above `limit` is tried.
    fn plan_next(&mut self, question: &Question<'_>, limit: f64) {
        self.next = None;
        if self.state.is_some() {
            return;
        }
        let Some((index, depth)) = self.wish(question) else { return };
        match self.cost(question, index) {
            Err(why) => self.fail(why),
            Ok(cost) if cost <= limit => self.next = Some(Next { index, cost, depth }),
            // Galloping jumped beyond the limit: what lies between is still worth a look.
            Ok(_) => match self.largest_within(question, limit, index) {
                Some(index) => self.next = Some(Next { index, cost: limit, depth: self.depth }),
                None => self.state = Some(self.known_answer().map_or(State::Dominated, State::Met)),
            },
        }
    }

    fn cost(&mut self, question: &Question<'_>, index: usize) -> Result<f64, String> {
        let cost = cost(self.size(question, index)?, question.minimize);
        if cost.is_infinite() {
            return Err("it has nodes without a price; give every node group a `price`".to_owned());
        }
        Ok(cost)
    }

    /// The largest untried candidate below `end` and above all that did not do whose cost is within the limit.
    fn largest_within(&mut self, question: &Question<'_>, limit: f64, end: usize) -> Option<usize> {
        let (mut low, mut high) = (self.low().map_or(0, |low| low + 1), end);
        // Cost rises with the number of nodes.
        while low < high {
            let middle = low + (high - low) / 2;
            match self.size(question, middle) {
                Ok(size) if cost(size, question.minimize) <= limit => low = middle + 1,
                _ => high = middle,
            }
        }
        let last = low.checked_sub(1)?;
        (self.low().is_none_or(|l| last > l) && !self.trials.contains_key(&last)).then_some(last)
    }

    /// The largest candidate below the one that does (if any) that is known not to do.
    fn low(&self) -> Option<usize> {
        let end = self.high.unwrap_or(usize::MAX);
        self.trials
            .range(..end)
            .rev()
            .find(|(_, t)| matches!(t.verdict, Verdict::Unmet | Verdict::Failed))
            .map(|(i, _)| *i)
    }

    /// What the search of this lane alone would try next, or `None` once its state is set.
    fn wish(&mut self, question: &Question<'_>) -> Option<(usize, u32)> {
        let full = question.bench.replications();
        let last = question.counts.len() - 1;
        let low = self.low();
        let Some(high) = self.high else {
            // Gallop: 0, 1, 3, 7, 15 ... and the last one.
            return match low {
                None => Some((0, self.depth)),
                Some(low) if low >= last => {
                    self.state = Some(if self.all_failed() { State::Failed } else { State::Unmet });
                    None
                }
                Some(low) => Some(((2 * low + 1).min(last), self.depth)),
            };
        };
        let below = low.map_or(0, |low| low + 1);
        if below < high {
            return Some((below + (high - below) / 2, self.depth));
        }
        if self.trials.get(&high).is_some_and(|t| t.verdict == Verdict::Open) {
            return Some((high, full));
        }
        // Down to three below the answer, nearest first.
        let unknown = (high.saturating_sub(LOOK_BELOW)..high)
            .rev()
            .find(|i| self.trials.get(i).is_none_or(|t| t.verdict == Verdict::Open));
        match unknown {
            Some(index) => Some((index, full)),
            None => {
                self.state = Some(State::Met(high));
                None
            }
        }
    }

    /// The candidate that does for sure, though smaller ones might as well.
    fn known_answer(&self) -> Option<usize> {
        self.high.filter(|high| self.trials.get(high).is_some_and(|t| t.verdict == Verdict::Met))
    }

    fn all_failed(&self) -> bool {
        self.trials.values().all(|t| t.verdict == Verdict::Failed)
    }

    fn try_next(&mut self, question: &Question<'_>) {
        let Some(Next { index, depth, .. }) = self.next.take() else { return };
        let Some(Ok(size)) = self.sizes.get(&index).cloned() else { return };
        let settings = self.settings(question, index);
        let variant = self.choice.variant.clone();
        let trial = self.trials.entry(index).or_insert_with(|| Trial::new(settings, variant, size));
        trial.advance(&question.bench, depth);
        match trial.verdict {
            Verdict::Met | Verdict::Open => {
                self.high = Some(self.high.map_or(index, |high| high.min(index)));
            }
            Verdict::Unmet | Verdict::Failed if self.high == Some(index) => {
                // It looked as if it did. The next larger one that still looks so takes its place, if there is one.
                self.depth = (self.depth * 2).min(question.bench.replications());
                self.high = self
                    .trials
                    .range(index + 1..)
                    .find(|(_, t)| matches!(t.verdict, Verdict::Met | Verdict::Open))
                    .map(|(i, _)| *i);
            }
            Verdict::Unmet | Verdict::Failed => {}
        }
    }

    fn finish(self) -> Searched {
        let error = self.error.or_else(|| self.trials.values().find_map(|t| t.error.clone()));
        let state = self.state.unwrap_or(State::Unmet);
        Searched { choice: self.choice, state, trials: self.trials, error }
    }
}

#[cfg(test)]
mod tests;
