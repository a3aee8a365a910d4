//! Finding who a selector may match, and whose selectors may match somebody, without asking everybody.

use crate::model::labels::{LabelOperator, LabelSelector, LabelSet};
use crate::model::names::Sym;
use rustc_hash::FxHashMap;

/// Rows by a label that they have, or by labels one of which their selector demands.
#[derive(Debug, Default)]
pub struct Anchors {
    by_label: FxHashMap<(Sym, Sym), Vec<u32>>,
    /// Rows whose selector demands no certain label.
    any: Vec<u32>,
}

impl Anchors {
    fn rows(&self, label: (Sym, Sym)) -> &[u32] {
        self.by_label.get(&label).map_or(&[], Vec::as_slice)
    }
    /// The labels one of which an object must have to match; `None`: no certain one.
    fn demanded(&self, selector: &LabelSelector) -> Option<Vec<(Sym, Sym)>> {
        let LabelSelector::Requirements(all) = selector else { return Some(Vec::new()) };
        let labels = |values: &[Sym], key: Sym| values.iter().map(|v| (key, *v)).collect::<Vec<_>>();
        let demands =
            all.iter().filter(|r| r.operator == LabelOperator::In).map(|r| labels(&r.values, r.key));
        // The rarest one.
        demands.min_by_key(|labels| labels.iter().map(|label| self.rows(*label).len()).sum::<usize>())
    }
    /// Enters a row under each of its labels.
    pub fn add_labels(&mut self, labels: &LabelSet, row: u32) {
        for label in labels.iter() {
            self.by_label.entry(label).or_default().push(row);
        }
    }
    /// Enters a row under what its selector demands.
    pub fn add_selector(&mut self, selector: &LabelSelector, row: u32) {
        match self.demanded(selector) {
            None => self.any.push(row),
            Some(labels) => {
                for label in labels {
                    self.by_label.entry(label).or_default().push(row);
                }
            }
        }
    }
    /// Of rows entered by selector: those whose selector may match these labels.
    pub fn selecting(&self, labels: &LabelSet, found: &mut Vec<u32>) {
        found.extend_from_slice(&self.any);
        for label in labels.iter() {
            found.extend_from_slice(self.rows(label));
        }
    }
    /// Of `count` rows entered by labels: those that the selector may match.
    pub fn selected(&self, selector: &LabelSelector, count: usize, found: &mut Vec<u32>) {
        match self.demanded(selector) {
            None => found.extend(0..count as u32),
            Some(labels) => labels.iter().for_each(|label| found.extend_from_slice(self.rows(*label))),
        }
    }
}
