//! A made-up simulator for the tests of sweeps and plans.

use super::job::{Evaluate, Job, Metrics, Point};
use super::study::Study;
use crate::diagnostic::{Sources, Span};
use crate::results::leaves::Leaf;
use crate::scenario::axes::cell;
use crate::scenario::tree::Value;
use crate::scenario::types::Override;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A setting as if written in a file.
pub(crate) fn setting(path: &str, value: impl ToString) -> Override {
    let span = Span { source: Sources::new().add("test", ""), start: 0, end: 0 };
    Override { path: path.to_owned(), value: Value::plain(span, &value.to_string()), path_span: span }
}

/// A sweep of one axis `x` over `0..points`, variants `a` and `b`.
pub(crate) fn study(points: u64, replications: u32) -> Study {
    let point = |index| Point { index, settings: vec![setting("x", index)] };
    Study {
        scenario: "made-up".into(),
        scenario_digest: "blake3:11".into(),
        seed: 42,
        replications,
        until_ci: None,
        variants: vec!["a".into(), "b".into()],
        axes: vec!["x".into()],
        points: (0..points).map(point).collect(),
    }
}

/// Answers with numbers that depend on everything a job says, and counts its runs.
#[derive(Default)]
pub(crate) struct Hashed {
    pub(crate) runs: AtomicU64,
    /// Points whose runs fail.
    pub(crate) failing: Vec<u64>,
    /// Points whose runs panic.
    pub(crate) panicking: Vec<u64>,
}

impl Evaluate for Hashed {
    fn run(&self, job: &Job<'_>) -> Result<Metrics, String> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let settings: Vec<String> =
            job.settings.iter().map(|s| format!("{}={}", s.path, cell(&s.value))).collect();
        let text = format!("{settings:?} {} {}", job.variant, job.seed);
        let digest = blake3::hash(text.as_bytes());
        if self.failing.contains(&job.key.point) {
            return Err(format!("cannot do {text}"));
        }
        assert!(!self.panicking.contains(&job.key.point), "made to panic");
        let byte = |i: usize| f64::from(digest.as_bytes()[i]);
        let mut values = BTreeMap::new();
        values.insert("pods.stuck".to_owned(), Leaf::Integer(100 + i128::from(digest.as_bytes()[0])));
        values.insert("utilization.cpu".to_owned(), Leaf::Float(byte(1) / 256.0 / 3.0));
        let onset = if digest.as_bytes()[2] < 128 { Leaf::Null } else { Leaf::Float(byte(3)) };
        values.insert("stranded.onset".to_owned(), onset);
        Ok(Metrics { digest: format!("blake3:{}", digest.to_hex()), values, ..Metrics::default() })
    }
}
