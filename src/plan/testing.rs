//! Made-up clusters whose answers are known by construction.

use super::model::{Loss, Model, Size};
use crate::engine::time::SimDuration;
use crate::results::leaves::Leaf;
use crate::results::summary::StuckReason;
use crate::scenario::axes::cell;
use crate::scenario::types::Override;
use crate::sweep::{Evaluate, Job, Metrics};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A cluster of bins: `count` nodes with `split` volumes each, and so many items that each take one volume.
///
/// The exact optimum is ceil(items / split) nodes.
pub(crate) struct Bins {
    pub(crate) items: u64,
    /// Price of a node by its split.
    pub(crate) price: fn(u64) -> Option<f64>,
    /// Runs done.
    pub(crate) runs: AtomicU64,
    /// Share of wanted items that are stuck, from (nodes, split, fitting items, items, seed); the default is the plain count.
    pub(crate) stuck: fn(u64, u64, u64, u64, u64) -> f64,
}

pub(crate) fn number(settings: &[Override], path: &str, default: u64) -> u64 {
    // `count` also by the end of its path, as in scenarios.
    let found = settings.iter().rev().find(|s| s.path == path || s.path.ends_with(&format!(".{path}")));
    found.map_or(default, |s| cell(&s.value).parse().unwrap())
}

impl Bins {
    pub(crate) fn new(items: u64) -> Bins {
        let plain = |_, _, fitting: u64, items: u64, _| (items - fitting) as f64 / items as f64;
        Bins { items, price: |split| Some(1.0 + 0.1 * split as f64), runs: AtomicU64::new(0), stuck: plain }
    }
}

/// A number in [0, 1) that depends on the seed alone.
pub(crate) fn draw(seed: u64) -> f64 {
    let hash = blake3::hash(&seed.to_le_bytes());
    f64::from(hash.as_bytes()[0]) / 256.0
}

impl Evaluate for Bins {
    fn run(&self, job: &Job<'_>) -> Result<Metrics, String> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let nodes = number(job.settings, "count", 1);
        let split = number(job.settings, "split", 1);
        let items = number(job.settings, "workload.generate[w].sets", self.items);
        if split > 100 {
            return Err(format!("volumes of a disk split in {split} are too small"));
        }
        let fitting = items.min(nodes * split);
        let stuck = (self.stuck)(nodes, split, fitting, items, job.seed) * items as f64;
        let mut values = BTreeMap::new();
        let mut set = |path: &str, x: f64| values.insert(path.to_owned(), Leaf::Float(x));
        set("pods.wanted", items as f64);
        set("pods.stuckEver", stuck);
        set("pods.stuck", stuck);
        set("pods.created", items as f64);
        set("utilization.atEnd.storage", fitting as f64 / (nodes * split) as f64);
        set("utilization.atEnd.cpu", 0.3);
        set("utilization.atEnd.memory", 0.2);
        let message = format!("0/{nodes} nodes are available: no free volume");
        let reasons =
            if stuck > 0.0 { vec![StuckReason { message, pods: stuck.ceil() as u64 }] } else { vec![] };
        Ok(Metrics { values, reasons, ..Metrics::default() })
    }
}

impl Model for Bins {
    fn size(&self, settings: &[Override], _: &str) -> Result<Size, String> {
        let nodes = number(settings, "count", 1);
        let price = (self.price)(number(settings, "split", 1));
        Ok(Size { nodes, price_per_hour: price.map(|p| p * nodes as f64) })
    }

    fn sets(&self, workload: &str) -> Result<u64, String> {
        if workload == "w" { Ok(self.items) } else { Err(format!("no workload is named `{workload}`")) }
    }

    fn workloads(&self) -> Vec<String> {
        vec!["w".to_owned()]
    }

    /// Items of a lost node run again if there is room on the others.
    fn lose(&self, job: &Job<'_>, nodes: u32, _: SimDuration) -> Result<Loss, String> {
        let left = number(job.settings, "count", 1).saturating_sub(u64::from(nodes));
        let room = left * number(job.settings, "split", 1);
        let items = number(job.settings, "workload.generate[w].sets", self.items);
        let lost = items.saturating_sub(room);
        Ok(Loss { runs: 6, subsets: 5, fatal: if lost > 0 { 5 } else { 0 }, worst_pods: lost })
    }
}
