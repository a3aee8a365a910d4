//! The documentation: every command in it runs, every link leads somewhere.

use crate::cli::text;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// README and everything in `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["docs", "docs/questions"]
        .into_iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).expect("a folder"))
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
        .collect();
    pages.push(root().join("README.md"));
    pages.push(root().join("ARCHITECTURE.md"));
    pages.push(root().join("CONTRIBUTING.md"));
    pages.sort();
    pages
}

/// The blocks marked `sh` of a page. Those marked `sh release` take minutes in a debug build, and .ci/run runs them with a release build;
/// those marked `sh no-run` need what neither has.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line.trim_end()) {
            (None, "```sh") => open = Some(String::new()),
            (Some(block), "```") => {
                blocks.push(std::mem::take(block));
                open = None;
            }
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn every_command_in_the_documentation_runs() {
    let binary = assert_cmd::cargo::cargo_bin!("stowplan");
    let path = format!(
        "{}:{}",
        binary.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut count = 0;
    for page in pages() {
        // One folder per page, so that later blocks find what earlier ones wrote.
        let folder = tempfile::tempdir().expect("a folder");
        for part in ["scenarios", "tests"] {
            let (from, to) = (root().join(part), folder.path().join(part));
            let copied = Command::new("cp").arg("-r").arg(&from).arg(&to).status().expect("cp");
            assert!(copied.success());
        }
        for block in blocks(&fs::read_to_string(&page).expect("a page")) {
            count += 1;
            let out = Command::new("sh")
                .args(["-e", "-c", &block])
                .current_dir(folder.path())
                .env("PATH", &path)
                .env("NO_COLOR", "1")
                .output()
                .expect("sh");
            assert!(
                out.status.success(),
                "{}:\n{block}\n{}\n{}",
                page.display(),
                text(&out.stdout),
                text(&out.stderr)
            );
        }
    }
    assert!(count >= 10, "{count}");
}

#[test]
fn every_command_is_marked() {
    for page in pages() {
        let content = fs::read_to_string(&page).expect("a page");
        let mut fence: Option<&str> = None;
        for line in content.lines() {
            if let Some(mark) = line.strip_prefix("```") {
                fence = if fence.is_none() { Some(mark) } else { None };
                continue;
            }
            let text = line.trim_start();
            let command = text.starts_with("stowplan ") || text.starts_with("$ stowplan ");
            let shown = fence.is_some() || line.starts_with("    ");
            let marked =
                fence.is_some_and(|m| ["sh", "sh no-run", "sh release", "sh release exit-1"].contains(&m));
            assert!(!(command && shown) || marked, "{}: not executed anywhere: {line}", page.display());
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let content = fs::read_to_string(&page).expect("a page");
        let folder = page.parent().expect("a folder");
        for part in content.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            if target.starts_with("http") || target.contains(char::is_whitespace) || target.is_empty() {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.clone() } else { folder.join(file) };
            assert!(path.exists(), "{}: {target}", page.display());
            if !anchor.is_empty() {
                assert!(
                    anchors(&path).contains(anchor),
                    "{}: {target}: {:?}",
                    page.display(),
                    anchors(&path)
                );
            }
        }
    }
}

/// The anchors that a page's headings get.
fn anchors(page: &Path) -> BTreeSet<String> {
    let content = fs::read_to_string(page).unwrap_or_default();
    let headings = content.lines().filter(|l| l.starts_with('#')).map(|l| l.trim_start_matches('#').trim());
    let slug = |heading: &str| -> String {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    headings.map(slug).collect()
}
