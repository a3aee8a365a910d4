//! Golden digests of the shipped scenarios: the whole observation stream of each variant, equal on one thread and on two. They change
//! only with a commit that says why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Scenario, perhaps with arguments -> variant -> digest.
type Golden = BTreeMap<String, BTreeMap<String, String>>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn digests(scenario: &Path, arguments: &str, threads: &str) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_stowplan"))
        .args(["run", "--json", "--no-plots", "-o"])
        .arg(folder.path().join("results"))
        .arg(scenario)
        .args(arguments.split_whitespace())
        .env("RAYON_NUM_THREADS", threads)
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a summary on stdout");
    let variants = summary["variants"].as_array().expect("variants");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    variants.iter().map(|v| (text(&v["name"]), text(&v["digest"]))).collect()
}

#[test]
fn shipped_scenarios_have_their_golden_digests() {
    let text = std::fs::read_to_string(root().join("tests/it/golden.json")).expect("golden.json");
    let golden: Golden = serde_json::from_str(&text).expect("golden.json");
    for (scenario, want) in golden {
        let (file, arguments) = scenario.split_once(' ').unwrap_or((&scenario, ""));
        let path = root().join("scenarios").join(file);
        let needs_traces = std::fs::read_to_string(&path).expect(&scenario).contains("STOWPLAN_TRACES}");
        if needs_traces {
            // Minutes in a debug build: the slow campaign runs them.
            println!("skipped: {scenario} replays a third-party trace");
            continue;
        }
        for threads in ["1", "2"] {
            assert_eq!(digests(&path, arguments, threads), want, "{scenario} on {threads} threads");
        }
    }
}
