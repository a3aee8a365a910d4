//! Every recorded decision of the real scheduler and PV controller, replayed.

use std::path::{Path, PathBuf};
use stowplan::conformance::{Report, run_files};
use stowplan::scheduler::cycle::Engine;

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let levels = ["L1", "L1R", "L2", "L3", "L4", "L5", "S", "large"];
    levels.iter().map(|level| folder.join(format!("{level}.jsonl.gz"))).collect()
}

#[test]
fn all_recorded_decisions_agree() {
    let mut levels = Vec::new();
    let mut all = Report::default();
    for file in recordings() {
        let level =
            file.file_name().and_then(|n| n.to_str()).and_then(|n| n.split('.').next()).unwrap_or("?");
        let report =
            run_files(std::slice::from_ref(&file), Engine::Plain).expect("the recordings are readable");
        all.merge(&report);
        levels.push((level.to_owned(), report));
    }
    assert!(all.agrees(), "{}", all.table());
    // That much was recorded; fewer checks mean that something is no longer compared.
    assert_eq!(all.cases, 1903);
    let attempts = all.checks.get("result").map(|a| a.total);
    assert_eq!(attempts, Some(11_937));
    documentation_is_current(&Report::markdown(&levels));
}

/// The table on top of docs/FIDELITY.md is what was just found.
fn documentation_is_current(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FIDELITY.md");
    let written = std::fs::read_to_string(&path).expect("docs/FIDELITY.md");
    let (begin, end) = ("<!-- generated: conformance -->\n", "<!-- end of generated -->\n");
    let (head, rest) = written.split_once(begin).expect("the marker");
    let (_, tail) = rest.split_once(end).expect("the second marker");
    let now = format!("{head}{begin}\n{table}\n{end}{tail}");
    if std::env::var_os("STOWPLAN_REGENERATE").is_some() {
        std::fs::write(&path, &now).expect("docs/FIDELITY.md");
        return;
    }
    assert!(
        now == written,
        "docs/FIDELITY.md is not up to date: STOWPLAN_REGENERATE=1 cargo test --test it all_recorded_decisions_agree"
    );
}

#[test]
fn the_fast_engine_decides_the_same() {
    let report = run_files(&recordings(), Engine::Fast).expect("the recordings are readable");
    assert!(report.agrees(), "{}", report.table());
}
