use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::diagnostic::Sources;
use crate::scenario::read::{self, Env};
use crate::scenario::reader::Ctx;
use crate::scenario::tree::Limits;
use crate::scenario::yaml;

/// Together with the documented example, every mapping of the format.
const REST: &str = "
version: 1
name: rest
controlPlane: {preset: ideal, kcm: {}, scheduler: {}, api: {}, backoff: {}, node: {}, kubelet: {}, csi: {}}
scheduler: {volumeBindingShape: [{utilization: 0, score: 0}]}
cluster:
  staticProvisioner: {wipe: 5s}
  storageClasses: [{name: a}]
  nodes:
    - {name: n, cpu: 1, memory: 1Gi, taints: [{key: a, effect: NoSchedule}], disks: [{class: a, size: 1Gi, lvm: {extent: 1Mi}}]}
workload:
  generate: [{name: g, tolerations: [{key: a}]}]
  trace: {format: openb, files: x, nodes: {files: y, taints: [{key: a, effect: NoSchedule}], disks: [{class: a, size: 1Gi, lvm: {extent: 1Mi}, staticProvisioner: {wipe: 1MB/s}}]}, mode: {compress: 2}, until: {cpu: 1}, window: {to: 1d}}
timeline:
  - {at: 0, taint: {node: n, taint: {key: a, effect: NoSchedule}}}
  - {at: 0, diskFail: {node: n, disk: 0}}
  - {at: 0, diskRepair: {node: n, disk: 0}}
  - {at: 0, expand: {pvc: p, size: 1Gi}}
  - {at: 0, delete: {kind: Pod, name: p}}
  - {at: 0, deletePod: {name: p, force: true}}
  - {at: 0, deletePv: {name: p, force: true}}
failures: {node: {mtbf: 1d}, zone: {mtbf: 1d}, rack: {mtbf: 1d}, disk: {mtbf: 1d}}
plan: {vary: [{path: seed, logRange: {from: 1, to: 10, count: 3}}], fit: [shop], forecast: [{workload: shop, growth: 10%}]}
sweep:
  design: {random: 3}
  axes: [{path: seed, logRange: {from: 1, to: 10, count: 3}}, {path: duration, range: {from: 1d, to: 2d}}]
";

/// The keys that the readers ask for, by path.
fn asked() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut all: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for text in [include_str!("../load/example.yaml"), REST] {
        let mut sources = Sources::new();
        let source = sources.add("s.yaml", text);
        let tree = yaml::parse_all(&sources, source, &Limits::scenario()).ok().and_then(|mut v| v.pop());
        let mut ctx = Ctx::new(sources);
        // Files that are absent are errors, but the mappings are read all the same.
        let _ = read::scenario(
            &mut ctx,
            &tree.expect("a document"),
            &Env { base: Path::new("."), check_trace_files: false },
        );
        for (path, keys) in ctx.asked {
            all.entry(path).or_default().extend(keys);
        }
    }
    all
}

fn listed(path: &str, keys: &'static [Key], all: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    all.entry(path.to_owned()).or_default().extend(keys.iter().map(|k| k.name));
    for key in keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        inside(&path, &key.holds, all);
    }
}

fn inside(path: &str, holds: &'static Type, all: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    match holds {
        Type::Object(keys) => listed(path, keys, all),
        Type::List(element) => inside(&format!("{path}[]"), element, all),
        Type::OneOf(forms) => forms.iter().for_each(|form| inside(path, form, all)),
        _ => {}
    }
}

#[test]
fn the_table_lists_what_the_readers_ask_for() {
    let asked = asked();
    let mut table = BTreeMap::new();
    listed("", SCENARIO, &mut table);
    let mut differences = Vec::new();
    for (path, keys) in &table {
        match asked.get(path) {
            Some(read) if read == keys => {}
            Some(read) => differences.push(format!("{path}: read {read:?}, listed {keys:?}")),
            None => differences.push(format!("nothing reads `{path}`")),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    for path in asked.keys() {
        // Distributions have one definition for all of them.
        let distribution = ["size", "every", "lifetime", "mtbf", "repair"]
            .iter()
            .any(|key| path.contains(&format!(".{key}.")) || path.ends_with(&format!(".{key}")));
        assert!(table.contains_key(path) || distribution, "`{path}` is not in the table");
    }
}

#[test]
fn the_schema_names_every_key_and_its_definitions_exist() {
    let schema = json_schema();
    let text = schema.to_string();
    for definition in ["quantity", "duration", "rate", "share", "varyingSize", "varyingTime"] {
        assert!(schema["$defs"][definition].is_object(), "{definition}");
        assert!(text.contains(&format!("#/$defs/{definition}")), "{definition}");
    }
    assert_eq!(schema["required"], serde_json::json!(["version", "name"]));
    let disks = &schema["properties"]["cluster"]["properties"]["nodes"]["items"]["properties"]["disks"];
    assert_eq!(disks["items"]["properties"]["split"]["anyOf"][1]["enum"][0], "whole");
}

#[test]
fn the_documentation_has_the_present_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SCENARIO.md");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let marker = "<!-- generated: reference -->\n";
    let head = written.split_once(marker).map_or("", |(head, _)| head);
    let now = format!("{head}{marker}\n{}", reference());
    if std::env::var_os("STOWPLAN_REGENERATE").is_some() {
        std::fs::write(&path, &now).expect("docs/SCENARIO.md");
        return;
    }
    assert!(
        now == written,
        "docs/SCENARIO.md is not up to date: STOWPLAN_REGENERATE=1 cargo test the_documentation"
    );
}

#[test]
fn the_documentation_has_the_present_error_codes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ERRORS.md");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let now = format!(
        "# Error codes\n\nEvery message has a code. Warnings do not stop a run. Generated from `src/diagnostic/code.rs`.\n\n{}",
        crate::diagnostic::Code::markdown_table()
    );
    if std::env::var_os("STOWPLAN_REGENERATE").is_some() {
        std::fs::write(&path, &now).expect("docs/ERRORS.md");
        return;
    }
    assert!(
        now == written,
        "docs/ERRORS.md is not up to date: STOWPLAN_REGENERATE=1 cargo test the_documentation"
    );
}
