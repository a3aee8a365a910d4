//! The planner on the real simulator: answers that are known by construction, or by trying everything.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn stowplan(folder: &Path, command: &str, scenario: &str, more: &[&str]) -> (Option<i32>, String) {
    let file = folder.join("scenario.yaml");
    std::fs::write(&file, scenario).expect("writes");
    let output = Command::new(env!("CARGO_BIN_EXE_stowplan"))
        .args([command, "--quiet", "--no-plots", "-o"])
        .arg(folder.join(command))
        .arg(&file)
        .args(more)
        .output()
        .expect("the binary runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

fn planned(scenario: &str, want: i32) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, said) = stowplan(folder.path(), "plan", scenario, &[]);
    assert_eq!(code, Some(want), "{said}");
    let text = std::fs::read_to_string(folder.path().join("plan/plan.json")).expect("plan.json");
    serde_json::from_str(&text).expect("is JSON")
}

/// The best configuration's settings and number of nodes.
fn best(plan: &Value) -> (String, u64) {
    let best = &plan["configurations"][plan["answer"].as_u64().expect("has an answer") as usize];
    let cell = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let settings: Vec<String> = best["settings"].as_object().expect("settings").values().map(cell).collect();
    (settings.join(" "), best["cluster"]["nodes"].as_u64().expect("nodes"))
}

fn share_of_runs(plan: &Value) -> f64 {
    plan["runs"].as_f64().expect("runs") / plan["exhaustiveRuns"].as_f64().expect("exhaustiveRuns")
}

const CLASSES: &str = "
  storageClasses: [{name: local-ssd, provisioner: kubernetes.io/no-provisioner}]";

/// 30 pods with one claim of 500 GiB each. A disk of 4 TiB in 2, 4 or 8 holds that many; in 9, none: the optimum is
/// ceil(30 / split), and 4 nodes with volumes of 512 GiB are it.
#[test]
fn an_exact_packing_is_found() {
    let scenario = format!(
        "
version: 1
name: packing
controlPlane: ideal
cluster:{CLASSES}
  nodes: [{{name: db, cpu: 16, memory: 128Gi, price: 1.5, disks: [{{class: local-ssd, count: 1, size: 4Ti, split: 4}}]}}]
workload:
  generate:
    - {{name: shop, kind: StatefulSet, sets: 10, replicas: 3, cpu: 1, memory: 1Gi, antiAffinity: required,
        claims: [{{name: data, class: local-ssd, size: 500Gi}}]}}
variants: [{{name: wait, bindingMode: WaitForFirstConsumer}}]
plan:
  require: {{stuck: 0, pendingP99: 60s}}
  vary:
    - {{path: \"cluster.nodes[db].count\", range: {{from: 1, to: 60}}}}
    - {{path: \"cluster.nodes[db].disks[0].split\", values: [2, 4, 8, 9]}}
  minimize: price
"
    );
    let plan = planned(&scenario, 0);
    assert_eq!(best(&plan), ("8".to_owned(), 4));
    assert_eq!(plan["configurations"][0]["cluster"]["pricePerHour"], 6.0);
    assert_eq!(plan["configurations"][0]["binding"]["fullest"]["resource"], "storage");
    assert!(share_of_runs(&plan) < 0.1, "{} of {}", plan["runs"], plan["exhaustiveRuns"]);
    // Each configuration's own optimum, when none is given up.
    let folder = tempfile::tempdir().expect("a folder");
    let (code, said) = stowplan(folder.path(), "plan", &scenario, &["--all", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let plan: Value = serde_json::from_str(&said).expect("is JSON");
    let mut found: Vec<(String, Option<u64>)> = plan["configurations"]
        .as_array()
        .expect("configurations")
        .iter()
        .map(|c| {
            let split = c["settings"]["cluster.nodes[db].disks[0].split"].as_str().expect("split");
            (split.to_owned(), c["cluster"]["nodes"].as_u64())
        })
        .collect();
    found.sort();
    let want = [("2", Some(15)), ("4", Some(8)), ("8", Some(4)), ("9", None)];
    assert_eq!(found, want.map(|(split, nodes)| (split.to_owned(), nodes)));
    assert!(share_of_runs(&plan) < 0.1, "{} of {}", plan["runs"], plan["exhaustiveRuns"]);
}

/// Claims of random size: which number of nodes does is a matter of chance, and of trying.
const NOISY: &str = "
version: 1
name: noisy
seed: 5
controlPlane: ideal
cluster:
  storageClasses: [{name: local-ssd, provisioner: kubernetes.io/no-provisioner}]
  nodes: [{name: db, cpu: 16, memory: 128Gi, disks: [{class: local-ssd, size: 1300Gi, sizes: [700Gi, 300Gi, 200Gi, 100Gi]}]}]
workload:
  generate:
    - {name: app, kind: StatefulSet, sets: 24, replicas: 1, cpu: 1, memory: 4Gi,
       claims: [{name: data, class: local-ssd, size: {lognormal: {median: 150Gi, p95: 450Gi}}}]}
variants: [{name: wait, bindingMode: WaitForFirstConsumer}]
";

#[test]
fn the_answer_is_that_of_an_exhaustive_sweep() {
    let axis = "{path: \"cluster.nodes[db].count\", range: {from: 1, to: 40}}";
    let scenario = format!("{NOISY}plan: {{require: {{stuck: 5%}}, vary: [{axis}]}}\n");
    let plan = planned(&scenario, 0);
    let (_, nodes) = best(&plan);
    assert!(share_of_runs(&plan) < 0.1, "{} of {}", plan["runs"], plan["exhaustiveRuns"]);

    let folder = tempfile::tempdir().expect("a folder");
    let scenario = format!("{NOISY}sweep: {{replications: 10, axes: [{axis}]}}\n");
    let (code, said) = stowplan(folder.path(), "sweep", &scenario, &[]);
    assert_eq!(code, Some(0), "{said}");
    let mut csv = csv::Reader::from_path(folder.path().join("sweep/sweep.csv")).expect("sweep.csv");
    let header = csv.headers().expect("a header").clone();
    let column = |name: &str| header.iter().position(|h| h == name).expect("a column");
    let (count, stuck, wanted) = (4, column("pods.stuckEver"), column("pods.wanted"));
    let mut shares: std::collections::BTreeMap<u64, Vec<f64>> = std::collections::BTreeMap::new();
    for row in csv.records() {
        let row = row.expect("a row");
        let number = |at: usize| row[at].parse::<f64>().expect("a number");
        shares.entry(number(count) as u64).or_default().push(number(stuck) / number(wanted));
    }
    // One-sided: t(0.95; 9) = 1.833113.
    let bound = |values: &Vec<f64>| {
        assert_eq!(values.len(), 10);
        let mean = values.iter().sum::<f64>() / 10.0;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        mean + 1.833_113 * (squares / 9.0).sqrt() / 10f64.sqrt()
    };
    let first = shares.iter().find(|(_, values)| bound(values) <= 0.05).map(|(count, _)| *count);
    assert_eq!(Some(nodes), first, "{:?}", shares.iter().map(|(n, v)| (n, bound(v))).collect::<Vec<_>>());
    assert!((3..30).contains(&nodes), "{nodes} nodes: the question is too easy");
}

/// Twelve pods of 4 cores, four to a node: three nodes hold them, and each node more is one that may be lost.
#[test]
fn spares_are_counted_exactly() {
    for lost in [0u64, 1, 2] {
        let scenario = format!(
            "
version: 1
name: spares
controlPlane: ideal
cluster: {{nodes: [{{name: web, cpu: 16, memory: 128Gi}}]}}
workload: {{generate: [{{name: web, kind: Deployment, sets: 2, replicas: 6, cpu: 4, memory: 1Gi}}]}}
variants: [{{name: as-is}}]
plan:
  require: {{stuck: 0, survive: {{nodes: {lost}}}}}
  vary: [{{path: \"cluster.nodes[web].count\", range: {{from: 1, to: 30}}}}]
"
        );
        let plan = planned(&scenario, 0);
        assert_eq!(best(&plan), (String::new(), 3 + lost));
        assert!(share_of_runs(&plan) < 0.1, "{} of {}", plan["runs"], plan["exhaustiveRuns"]);
    }
}

/// A volume that is lost with its node is waited for, for ever, unless somebody recovers.
#[test]
fn without_recovery_a_lost_disk_is_never_survived() {
    let scenario = format!(
        "{NOISY}plan: {{require: {{survive: {{nodes: 1}}}}, vary: [{{path: \"cluster.nodes[db].count\", values: [20, 40]}}]}}\n"
    );
    let plan = planned(&scenario, 1);
    assert_eq!(plan["answer"], Value::Null);
    let binding = &plan["configurations"][0]["binding"];
    assert_eq!(binding["unmet"][0]["level"], "survive");
    assert!(binding["podsLost"].as_u64().is_some_and(|pods| pods > 0), "{binding}");
}

/// 2 nodes of 4 volumes: 8 pods in all, 3 of them there; of two workloads that grow together, two more of each.
#[test]
fn how_many_more_fit_and_what_fills_first() {
    let scenario = format!(
        "
version: 1
name: more
controlPlane: ideal
cluster:{CLASSES}
  nodes: [{{name: db, cpu: 64, memory: 128Gi, count: 2, disks: [{{class: local-ssd, count: 1, size: 4Ti, split: 4}}]}}]
workload:
  generate:
    - {{name: a, kind: StatefulSet, sets: 2, replicas: 1, cpu: 1, memory: 1Gi, claims: [{{name: data, class: local-ssd, size: 500Gi}}]}}
    - {{name: b, kind: StatefulSet, sets: 1, replicas: 1, cpu: 1, memory: 1Gi, claims: [{{name: data, class: local-ssd, size: 900Gi}}]}}
variants: [{{name: wait, bindingMode: WaitForFirstConsumer}}]
plan:
  fit: [a, [a, b]]
  forecast: [{{workload: a, growth: 2, every: 30d, horizon: 1y}}]
"
    );
    let plan = planned(&scenario, 0);
    let more: Vec<Option<u64>> =
        plan["fit"].as_array().expect("fit").iter().map(|f| f["more"].as_u64()).collect();
    assert_eq!(more, [Some(5), Some(2)]);
    assert_eq!(plan["fit"][0]["binding"]["fullest"]["resource"], "storage");
    // 2, 4, 6 sets hold for two months; the eighth pod beside b's one does not.
    let day = 86_400.0;
    let forecast = &plan["forecast"][0];
    assert_eq!(
        (&forecast["holdsUntilSeconds"], &forecast["breaksAtSeconds"]),
        (&(60.0 * day).into(), &(90.0 * day).into())
    );
    assert_eq!(forecast["means"]["storage"], 0.875);
}
