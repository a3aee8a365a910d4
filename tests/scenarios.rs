//! Every shipped scenario is valid, in every variant and at the ends of its axes.

use std::path::{Path, PathBuf};

use stowplan::manifest::{LoadOptions as ManifestOptions, Object, for_scenario};
use stowplan::scenario::axes::{grid_point, grid_size};
use stowplan::scenario::{LoadOptions, ScenarioFile};

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder of scenarios").flatten() {
            let path = entry.path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if text.lines().any(|line| line.starts_with("version:")) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn shipped_scenarios_are_valid() {
    let traces = std::env::var_os("STOWPLAN_TRACES").is_some();
    if !traces {
        println!("skipped: whether trace files exist, since STOWPLAN_TRACES is not set");
    }
    let options = LoadOptions { check_trace_files: traces, ..LoadOptions::default() };
    let files = shipped();
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let fail = |e: stowplan::diagnostic::Diagnostics| -> ! { panic!("{}:\n{e}", path.display()) };
        let file = ScenarioFile::read(&path, &options).unwrap_or_else(|e| fail(e));
        let base = file.resolve(&[]).unwrap_or_else(|e| fail(e));
        let axes = &base.scenario.sweep.axes;
        let last = grid_size(axes).unwrap_or(1).saturating_sub(1);
        for variant in &base.scenario.variants {
            for index in [0, last] {
                let point = grid_point(axes, index).map(|p| p.set).unwrap_or_default();
                let loaded = file.resolve_point(variant, &point, &[]).unwrap_or_else(|e| fail(e));
                for_scenario(&loaded, ManifestOptions::default()).unwrap_or_else(|e| fail(e));
            }
        }
    }
}

#[test]
fn the_article_is_written_in_the_forms_of_its_time() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/article.yaml");
    let file = ScenarioFile::read(&path, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let loaded = file.resolve(&[]).unwrap_or_else(|e| panic!("{e}"));
    let objects = for_scenario(&loaded, ManifestOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let kinds: Vec<&str> = objects.every().map(|o| o.value.kind()).collect();
    assert_eq!(
        kinds,
        ["Node", "Node", "StorageClass", "PersistentVolume", "PersistentVolume", "StatefulSet"]
    );
    let forms: Vec<&str> = objects.assumptions.iter().map(|a| a.path.as_str()).collect();
    assert_eq!(forms.len(), 3, "alpha affinity, beta class, apps/v1beta1: {forms:?}");
    let affinity = objects.cluster.iter().find_map(|o| match &o.value {
        Object::PersistentVolume(pv) => pv.spec.as_ref().and_then(|s| s.node_affinity.as_ref()),
        _ => None,
    });
    assert!(affinity.is_some());
}
