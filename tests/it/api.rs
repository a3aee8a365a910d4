//! What other crates may rely on, as a committed listing: a change of it is a decision, not an accident.
//!
//! `STOWPLAN_BLESS=1 cargo test --test it api` writes the listing anew. An item that went or changed breaks other people's code: raise
//! the minor version (before 1.0; the major one after) and say so in CHANGELOG.md. One that came does not.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The sources of the surface; of some only the items of one type.
const SURFACE: [(&str, Option<&str>); 12] = [
    ("src/lib.rs", None),
    ("src/api.rs", None),
    ("src/engine/time.rs", None),
    ("src/observe/mod.rs", None),
    ("src/scheduler/framework.rs", None),
    ("src/scheduler/cycle_state.rs", None),
    ("src/scheduler/profile.rs", Some("PluginPoints")),
    ("src/model/ids.rs", None),
    ("src/results/mod.rs", None),
    ("src/results/run.rs", None),
    ("src/results/summary.rs", None),
    ("src/results/tables.rs", None),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Does the declaration that this line continues end here?
fn ends(text: &str) -> bool {
    let depth =
        |open: char, close: char| text.matches(open).count() as i64 - text.matches(close).count() as i64;
    let last: &[char] = if text.starts_with("pub use ") { &[';'] } else { &['{', ';', ',', '}'] };
    depth('(', ')') == 0 && text.ends_with(last)
}

/// The public items of a source as rustfmt lays it out: their declarations without bodies, those of a type after its name.
fn items(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut owner, mut body, mut pending) = (String::new(), "", String::new());
    let mut hidden = false;
    for line in source.lines().take_while(|line| *line != "#[cfg(test)]") {
        let text = line.trim();
        if text.starts_with("//") || text.is_empty() {
            continue;
        }
        if text.starts_with("#[") {
            hidden |= text == "#[doc(hidden)]";
            continue;
        }
        if line == "}" {
            (owner, body, pending) = Default::default();
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        if !pending.is_empty() {
            pending.push_str(if pending.ends_with('(') { "" } else { " " });
            pending.push_str(text);
        } else if std::mem::take(&mut hidden) {
            continue;
        } else if indent == 0 && text.starts_with("impl") && !text.contains(" for ") {
            owner = type_of(text.trim_start_matches("impl"));
            continue;
        } else if indent == 0 && (text.starts_with("impl") || text.starts_with("mod ")) {
            continue;
        } else if text.starts_with("pub ") || body == "enum" || (body == "trait" && indent == 4) {
            pending = text.to_owned();
        }
        if pending.is_empty() || !ends(&pending) {
            continue;
        }
        let item = std::mem::take(&mut pending);
        for (word, kind) in [("pub struct ", "struct"), ("pub enum ", "enum"), ("pub trait ", "trait")] {
            if indent == 0
                && let Some(rest) = item.strip_prefix(word)
            {
                owner = type_of(rest);
                body = if item.ends_with('{') { kind } else { "" };
            }
        }
        let item = item.trim_end_matches(['{', ',', ';', ' ']).to_owned();
        if !item.is_empty() && item != "}" {
            found.push((owner.clone(), item));
        }
    }
    found
}

/// `View` of `<'a> View<'a> {` and of `View<'a> {`.
fn type_of(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix('<').and_then(|t| t.split_once('>')).map_or(text, |t| t.1.trim());
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn listing() -> String {
    let mut text = String::new();
    for (file, only) in SURFACE {
        let _ = writeln!(text, "# {file}");
        let source = fs::read_to_string(root().join(file)).expect(file);
        for (owner, item) in items(&source).into_iter().filter(|(owner, _)| only.is_none_or(|o| o == owner)) {
            // The modules inside are the program's.
            if file == "src/lib.rs" || !item.starts_with("pub mod ") {
                let _ = writeln!(text, "{owner}: {item}");
            }
        }
    }
    text
}

#[test]
fn the_surface_is_as_listed() {
    let path = Path::new(&root()).join("tests/it/api.txt");
    let now = listing();
    if std::env::var_os("STOWPLAN_BLESS").is_some() {
        fs::write(&path, &now).expect("writes");
    }
    let listed = fs::read_to_string(&path).expect("api.txt");
    let missing = |from: &str, of: &str| -> Vec<String> {
        of.lines().filter(|l| !from.lines().any(|n| n == *l)).map(str::to_owned).collect()
    };
    let (gone, new) = (missing(&now, &listed), missing(&listed, &now));
    if !new.is_empty() {
        println!("new on the library's surface, to be listed before a release:\n{}", new.join("\n"));
    }
    assert!(
        gone.is_empty(),
        "gone from the library's surface, or changed, which breaks other crates:\n{}\nIf that is meant: STOWPLAN_BLESS=1 cargo test --test it api, \
         and see tests/it/api.rs. New:\n{}",
        gone.join("\n"),
        new.join("\n")
    );
}

#[test]
fn items_are_found() {
    let source = "/// Doc.\n#[derive(Debug)]\npub struct A<'a> {\n    /// Doc.\n    pub field: Vec<(u8, u8)>,\n    private: u8,\n}\n\n\
                  impl<'a> A<'a> {\n    pub fn long(\n        self,\n        other: u8,\n    ) -> u8 {\n        pub_like()\n    }\n    fn no() {}\n}\n\n\
                  pub enum B {\n    /// Doc.\n    One,\n    Two { a: u8 },\n}\npub trait C: Debug {\n    fn name(&self) -> u8;\n    fn with(&self) -> u8 {\n        \
                  1\n    }\n}\n#[doc(hidden)]\npub mod internal;\n#[cfg(test)]\npub fn test() {}\n";
    let found: Vec<String> = items(source).into_iter().map(|(o, i)| format!("{o}: {i}")).collect();
    assert_eq!(
        found,
        [
            "A: pub struct A<'a>",
            "A: pub field: Vec<(u8, u8)>",
            "A: pub fn long(self, other: u8, ) -> u8",
            "B: pub enum B",
            "B: One",
            "B: Two { a: u8 }",
            "C: pub trait C: Debug",
            "C: fn name(&self) -> u8",
            "C: fn with(&self) -> u8",
        ]
    );
}
