//! Small random scenarios with churn, failures and operators' hands in them: nothing that must hold is ever broken, a repetition is the
//! same run, and both engines decide the same.

use super::*;
use crate::scenario::{LoadOptions, ScenarioFile};
use std::fmt::Write as _;
use std::path::Path;

/// SplitMix64: enough to choose among words.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn control_plane(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => "ideal".to_owned(),
        1 => "kubernetes".to_owned(),
        2 => "{preset: ideal, kubelet: {start: 2s, stop: 1s}}".to_owned(),
        _ => format!(
            "{{preset: kubernetes, kcm: {{qps: 200, burst: 300}}, api: {{conflict: {}, fail: {}}}, scheduler: {{attempt: {}}}, \
             node: {{tolerationSeconds: {}}}, kubelet: {{start: 300ms, stop: 500ms}}}}",
            dice.pick(&["0", "2%", "10%"]),
            dice.pick(&["0", "1%"]),
            dice.pick(&["zero", "measured", "20ms"]),
            dice.pick(&["20", "300"]),
        ),
    }
}

fn timeline(dice: &mut Dice, nodes: u64) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(14) {
        let at = dice.below(170);
        let node = format!("n-{}", dice.below(nodes));
        let (set, ordinal) = (dice.below(5), dice.below(3));
        let action = match dice.below(18) {
            0 | 1 => format!("nodeDown: {node}"),
            2 | 3 => format!("nodeUp: {node}"),
            4 => format!("nodeDelete: {node}"),
            5 => format!("cordon: {node}"),
            6 => format!("uncordon: {node}"),
            7 => format!("drain: {node}"),
            8 => format!(
                "taint: {{node: {node}, taint: \"k=v:{}\"}}",
                dice.pick(&["NoExecute", "NoSchedule", "PreferNoSchedule"])
            ),
            9 => format!("diskFail: {{node: {node}, disk: 0}}"),
            10 => format!("diskRepair: {{node: {node}, disk: 0}}"),
            11 => format!(
                "deletePod: {{name: default/db-{set}-{ordinal}, force: {}}}",
                dice.pick(&["true", "false"])
            ),
            12 => format!("deletePvc: default/data-db-{set}-{ordinal}"),
            13 => format!("deletePv: {node}-d0-p0"),
            14 => format!("clearClaimRef: {node}-d0-p1"),
            15 => format!("scale: {{statefulset: default/db-{set}, replicas: {}}}", dice.below(5)),
            16 => format!("setAllocatable: {{node: {node}, cpu: {}}}", dice.below(9)),
            _ => dice
                .pick(&[
                    "controllerManagerDown: 7m",
                    "delete: {kind: StatefulSet, name: default/db-1}",
                    "expand: {pvc: default/data-db-0-0, size: 9Gi}",
                ])
                .to_owned(),
        };
        let _ = writeln!(text, "  - {{at: {at}m, {action}}}");
    }
    if text.is_empty() { "  []\n".to_owned() } else { text }
}

/// A scenario of three hours.
fn scenario(seed: u64) -> String {
    let mut dice = Dice(seed);
    let nodes = 3 + dice.below(5);
    let disk = match dice.below(4) {
        0 => "lvm: {extent: 4Mi}".to_owned(),
        1 => "split: 2, reclaim: Retain".to_owned(),
        2 => "sizes: [8Gi, 4Gi, 4Gi], reclaim: Delete, staticProvisioner: false".to_owned(),
        _ => "split: 3, reclaim: Delete, staticProvisioner: {wipe: 100MB/s}".to_owned(),
    };
    let mut text = format!(
        "version: 1\nname: churn\nseed: {seed}\nduration: 3h\ncontrolPlane: {}\ncluster:\n  storageClasses:\n    - {{name: local, \
         provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}}\n  nodes:\n    - {{name: n, count: {nodes}, \
         cpu: 8, memory: 32Gi, zones: [a, b], racks: 2, disks: [{{class: local, count: 2, size: 20Gi, {disk}}}]}}\n",
        control_plane(&mut dice)
    );
    let _ = write!(
        text,
        "workload:\n  generate:\n    - {{name: db, kind: StatefulSet, sets: 5, replicas: 3, cpu: {}, memory: 1Gi, antiAffinity: {}, \
         podManagementPolicy: {}, group: {}, claimRetention: {{whenDeleted: {}, whenScaled: {}}}, claims: [{{name: data, class: local, \
         size: {{uniform: [1Gi, 7Gi]}}}}{}], arrivals: {{every: {{exponential: {{mean: 5m}}}}}}{}}}\n",
        dice.pick(&["1", "2", "3"]),
        dice.pick(&["required", "preferred", "none"]),
        dice.pick(&["OrderedReady", "Parallel"]),
        dice.pick(&["true", "false"]),
        dice.pick(&["Retain", "Delete"]),
        dice.pick(&["Retain", "Delete"]),
        if dice.chance(30) { ", {name: log, class: local, size: 1Gi}" } else { "" },
        if dice.chance(40) { ", lifetime: {exponential: {mean: 1h}}" } else { "" },
    );
    if dice.chance(50) {
        text += "    - {name: web, kind: Deployment, sets: 2, replicas: 3, cpu: 1, memory: 1Gi, arrivals: {every: 20m}}\n";
    }
    if dice.chance(50) {
        text += "    - {name: task, kind: Pod, sets: 20, replicas: 1, cpu: 1, claims: [{name: data, class: local, size: 2Gi}], \
                 claimRetention: {whenDeleted: Delete}, arrivals: {every: {exponential: {mean: 6m}}}, lifetime: {exponential: {mean: 20m}}}\n";
    }
    let _ = write!(text, "timeline:\n{}", timeline(&mut dice, nodes));
    if dice.chance(50) {
        text += "failures: {node: {mtbf: 3h, repair: {exponential: {mean: 20m}}, permanent: 20%}, rack: {mtbf: 10h, repair: 10m}, disk: {mtbf: 12h, repair: 30m}}\n";
    }
    if dice.chance(60) {
        let _ = writeln!(
            text,
            "recovery: {{policy: {}, rebuild: {}, backup: {{every: 30m, bandwidth: 20MB/s, parallel: {}}}}}",
            dice.pick(&["wait", "immediate", "{after: 10m}"]),
            dice.pick(&["backup", "peer"]),
            1 + dice.below(3),
        );
    }
    text
}

fn outcome(text: &str, mode: BindingMode, options: Options) -> (String, u64, u64) {
    let file =
        ScenarioFile::from_text("churn.yaml", text.to_owned(), Path::new("."), &LoadOptions::default());
    let loaded = file.and_then(|file| file.resolve(&[])).unwrap_or_else(|e| panic!("{}\n{text}", e));
    let prepared = prepare(&loaded, Some(mode), options).unwrap_or_else(|e| panic!("{}\n{text}", e));
    let run =
        run(&prepared.plan, "churn", prepared.sample, options).unwrap_or_else(|e| panic!("{e}\n{text}"));
    (run.summary.digest, run.summary.decisions, run.summary.events)
}

#[test]
fn churn_breaks_nothing_and_is_the_same_again() {
    let rounds = std::env::var("STOWPLAN_CHURN_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let paranoid = Options { paranoid: true, ..Options::default() };
    let plain = Options { plain: true, ..paranoid };
    for seed in 0..rounds {
        let text = scenario(seed);
        for mode in [BindingMode::Immediate, BindingMode::WaitForFirstConsumer] {
            let first = outcome(&text, mode, paranoid);
            assert_eq!(first, outcome(&text, mode, paranoid), "again, {mode:?}:\n{text}");
            assert_eq!(first, outcome(&text, mode, plain), "the plain engine, {mode:?}:\n{text}");
        }
    }
}
