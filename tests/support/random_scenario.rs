//! Random scenarios of a few hours on a few nodes with churn, failures, operators' hands and recovery in them: for property tests and
//! for fuzzing.

use std::fmt::Write as _;

/// Choices: those of some bytes while they last, then of a sequence that starts from them (SplitMix64).
pub struct Dice {
    bytes: Vec<u8>,
    next: usize,
    state: u64,
}

impl Dice {
    /// Choices that depend on a number alone.
    #[allow(dead_code, reason = "a fuzzer gives bytes")]
    pub fn of_seed(seed: u64) -> Dice {
        Dice { bytes: Vec::new(), next: 0, state: seed }
    }
    /// Choices that follow the bytes: a small change of them is a small change of the scenario.
    #[allow(dead_code, reason = "a property test gives numbers")]
    pub fn of_bytes(bytes: &[u8]) -> Dice {
        let state = bytes.iter().fold(0, |sum: u64, byte| sum.rotate_left(7) ^ u64::from(*byte));
        Dice { bytes: bytes.to_vec(), next: 0, state }
    }
    /// A number below `n`, which is 1..=256.
    pub fn below(&mut self, n: u64) -> u64 {
        if let Some(byte) = self.bytes.get(self.next) {
            self.next += 1;
            return u64::from(*byte) % n;
        }
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
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
pub fn scenario(dice: &mut Dice) -> String {
    let seed = dice.below(256);
    let nodes = 3 + dice.below(5);
    let disk = match dice.below(4) {
        0 => "lvm: {extent: 4Mi}".to_owned(),
        1 => "split: 2, reclaim: Retain".to_owned(),
        2 => "sizes: [8Gi, 4Gi, 4Gi], reclaim: Delete, staticProvisioner: false".to_owned(),
        _ => "split: 3, reclaim: Delete, staticProvisioner: {wipe: 100MB/s}".to_owned(),
    };
    let provisioner =
        if disk.starts_with("lvm") { "local.csi.openebs.io" } else { "kubernetes.io/no-provisioner" };
    let mut text = format!(
        "version: 1\nname: churn\nseed: {seed}\nduration: 3h\ncontrolPlane: {}\nscheduler: {{tieBreak: {}, \
         percentageOfNodesToScore: {}}}\ncluster:\n  storageClasses:\n    - {{name: local, \
         provisioner: {provisioner}, volumeBindingMode: WaitForFirstConsumer}}\n  nodes:\n    - {{name: n, count: {nodes}, \
         cpu: 8, memory: 32Gi, zones: [a, b], racks: 2, disks: [{{class: local, count: 2, size: 20Gi, {disk}}}]}}\n",
        control_plane(dice),
        dice.pick(&["seeded", "first"]),
        dice.pick(&["0", "100", "40"]),
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
    let _ = write!(text, "timeline:\n{}", timeline(dice, nodes));
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
