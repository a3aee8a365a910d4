//! The arrows of ARCHITECTURE.md: which module may use which. Data flows one way; what is not in the table must not be used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Module and what it may use, lower layers first. Test code may use anything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("diagnostic", &[]),
    ("engine", &[]),
    ("model", &["engine"]),
    ("trace", &["limits", "diagnostic", "engine", "model"]),
    ("scenario", &["limits", "diagnostic", "engine", "model"]),
    ("manifest", &["limits", "diagnostic", "engine", "model", "scenario"]),
    ("scheduler", &["engine", "model"]),
    ("observe", &["engine", "model", "results", "scheduler"]),
    ("control", &["engine", "model", "observe", "scenario"]),
    ("world", &["control", "engine", "manifest", "model", "observe", "scenario", "scheduler", "trace"]),
    ("results", &["limits"]),
    ("report", &["engine", "model", "results"]),
    ("sweep", &["limits", "diagnostic", "engine", "model", "report", "results", "scenario"]),
    (
        "simulate",
        &[
            "limits",
            "diagnostic",
            "engine",
            "manifest",
            "model",
            "observe",
            "plan",
            "results",
            "scenario",
            "scheduler",
            "sweep",
            "trace",
            "world",
        ],
    ),
    ("plan", &["diagnostic", "engine", "report", "results", "scenario", "sweep"]),
    ("recording", &["limits", "diagnostic", "results", "scenario", "simulate"]),
    ("conformance", &["limits", "control", "engine", "manifest", "model", "scheduler"]),
    ("explain", &["engine", "model", "observe", "report", "results", "scheduler", "world"]),
    ("api", &["diagnostic", "observe", "results", "scenario", "scheduler", "simulate", "world"]),
    (
        "cli",
        &[
            "limits",
            "conformance",
            "diagnostic",
            "engine",
            "explain",
            "manifest",
            "model",
            "observe",
            "plan",
            "recording",
            "report",
            "results",
            "scenario",
            "scheduler",
            "simulate",
            "sweep",
            "trace",
            "world",
        ],
    ),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a source folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Files of which `#[cfg(test)]` stands where they are declared.
fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).and_then(|n| n.to_str()).unwrap_or_default();
    name == "tests"
        || matches!(folder, "tests" | "rules")
        || name.ends_with("_tests")
        || matches!(name, "testing" | "synthetic" | "fixture")
}

/// Modules that a text uses outside comments, and outside the test module at its end.
fn used(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = BTreeSet::new();
    for line in code.lines().filter(|l| !l.trim_start().starts_with("//")) {
        for part in line.split("crate::").skip(1) {
            found.insert(part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect());
        }
    }
    found.remove("");
    found
}

#[test]
fn modules_use_only_the_layers_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.sort();
    let mut wrong = Vec::new();
    for path in files.iter().filter(|p| !is_test_file(p)) {
        let inside = path.strip_prefix(&src).expect("below src");
        let first = inside.iter().next().and_then(|p| p.to_str()).unwrap_or_default();
        let module = first.trim_end_matches(".rs");
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(may) = allowed.get(module) else {
            wrong.push(format!("{module} is not in the table"));
            continue;
        };
        for target in used(&std::fs::read_to_string(path).expect("a source file")) {
            if target != module && !may.contains(&target.as_str()) {
                wrong.push(format!("{} uses crate::{target}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_layers_have_no_circle() {
    let mut below: BTreeSet<&str> = BTreeSet::new();
    let mut rest: Vec<_> = ALLOWED.to_vec();
    while !rest.is_empty() {
        let before = rest.len();
        rest.retain(|(module, uses)| {
            let ready = uses.iter().all(|u| below.contains(u));
            if ready {
                below.insert(module);
            }
            !ready
        });
        assert!(rest.len() < before, "a circle among {:?}", rest.iter().map(|(m, _)| m).collect::<Vec<_>>());
    }
}
