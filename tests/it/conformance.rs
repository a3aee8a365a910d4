//! Every recorded decision of the real scheduler and PV controller, replayed.

use std::path::{Path, PathBuf};
use stowplan::conformance::run_files;
use stowplan::scheduler::cycle::Engine;

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let levels = ["L1", "L1R", "L2", "L3", "L4", "L5", "S", "large"];
    levels.iter().map(|level| folder.join(format!("{level}.jsonl.gz"))).collect()
}

#[test]
fn all_recorded_decisions_agree() {
    let report = run_files(&recordings(), Engine::Plain).expect("the recordings are readable");
    assert!(report.agrees(), "{}", report.table());
    // That much was recorded; fewer checks mean that something is no longer compared.
    assert_eq!(report.cases, 1903);
    let attempts = report.checks.get("result").map(|a| a.total);
    assert_eq!(attempts, Some(11_937));
}

#[test]
fn the_fast_engine_decides_the_same() {
    let report = run_files(&recordings(), Engine::Fast).expect("the recordings are readable");
    assert!(report.agrees(), "{}", report.table());
}
