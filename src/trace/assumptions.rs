//! The rules of a trace workload in words, for `assumptions` in every report: what a pod is, which resource is a claim, what 1.0
//! stands for, what was left out, and what was made up.

use super::format::Format;
use super::mapping::{ArrivalRules, ClaimRule, DemandOf, TraceMode};
use super::table::{Normalized, TraceOptions};

/// A rule in force, for reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceAssumption {
    /// Where in the scenario.
    pub path: String,
    /// Its value.
    pub value: String,
    /// What it means.
    pub note: String,
}

impl TraceAssumption {
    /// A rule at a key below `workload.trace`.
    pub fn new(key: &str, value: impl Into<String>, note: impl Into<String>) -> TraceAssumption {
        TraceAssumption { path: format!("workload.trace.{key}"), value: value.into(), note: note.into() }
    }
}

impl Format {
    /// What a pod is, and where its claims come from.
    pub const fn mapping(self) -> &'static str {
        match self {
            Format::Openb => "each row of a pod list is a pod; the trace has no disk",
            Format::AlibabaGpuV2025 => {
                "each instance is a pod with one claim of its disk_request, deleted with it; the trace has no nodes"
            }
            Format::AlibabaSpotGpuV2026 => {
                "each worker of a job is a pod; the trace has neither memory nor disk"
            }
            Format::HuaweiEast1 => {
                "each VM is a pod from type 0 to type 1; the trace has neither disk nor nodes"
            }
            Format::Google2011 => {
                "each task is a pod from SUBMIT to its end, its disk space request is its claim; machines have no disk"
            }
            Format::Google2019 => "each instance is a pod from SUBMIT to its end; the trace has no disk",
            Format::AzurePacking2020 => {
                "each VM is a pod, its SSD is the claim data, its HDD the claim hdd; a node is 1.0 of everything"
            }
            Format::Simkube => {
                "the replicas of applied objects, or the recorded pods, are pods; the trace has no nodes"
            }
            Format::AlibabaV2017 => {
                "each container (with plan_disk as its claim) and each instance of a batch task (without one) is a pod"
            }
            Format::AlibabaV2018 => {
                "each container and each instance of a batch task is a pod; the trace has no disk"
            }
            Format::AlibabaGpuV2020 => "each instance of a task is a pod; the trace has no disk",
            Format::AzureV1 | Format::AzureV2 => "each VM is a pod; the trace has neither disk nor nodes",
            Format::Stowplan => "each row is a pod, or as many as its copies",
        }
    }

    /// The trace says what disk its pods ask for.
    pub const fn has_disk(self) -> bool {
        matches!(
            self,
            Format::AlibabaGpuV2025
                | Format::Google2011
                | Format::AzurePacking2020
                | Format::AlibabaV2017
                | Format::Simkube
                | Format::Stowplan
        )
    }

    /// The trace says on which machine it put its pods, or some of them.
    pub const fn has_placement(self) -> bool {
        matches!(
            self,
            Format::AlibabaV2017
                | Format::AlibabaV2018
                | Format::AlibabaGpuV2020
                | Format::Google2011
                | Format::Google2019
                | Format::Stowplan
        )
    }

    /// Pods of the trace may have a limit of how many of their group one node takes that is above 1.
    pub const fn has_caps(self) -> bool {
        matches!(self, Format::AlibabaGpuV2025 | Format::Google2019 | Format::Stowplan)
    }
}

/// The rules in words, the synthetic ones marked.
pub fn of_rules(format: Format, options: &TraceOptions, rules: &ArrivalRules) -> Vec<TraceAssumption> {
    let mut list = vec![TraceAssumption::new("format", format.name(), format.mapping())];
    let mut add = |key: &str, value: String, note: &str| list.push(TraceAssumption::new(key, value, note));
    let (value, note) = mode(rules.mode);
    add("mode", value, note);
    let Normalized { cpu, memory, disk } = format.normalized();
    let unit = |value: Option<u64>, unit: &str| value.map_or(String::new(), |v| format!("{v}{unit}"));
    for (needed, key, value) in [
        (cpu, "maxCpu", unit(options.max_cpu_milli, "m")),
        (memory, "maxMemory", unit(options.max_memory_bytes, "")),
        (disk, "maxDisk", unit(options.max_disk_bytes, "")),
    ] {
        if needed {
            add(key, value, "what 1.0 of the normalized trace stands for; the trace itself does not say");
        }
    }
    if let Some(until) = rules.until {
        let unit = match until.of {
            DemandOf::Cpu => "millicores",
            DemandOf::Memory => "bytes of memory",
            DemandOf::Disk => "bytes of claims",
            DemandOf::Gpu => "thousandths of GPUs",
        };
        let note = "arrivals stop there; pods are drawn again with the seed when the list is exhausted";
        add("until", format!("{} {unit}", until.demand), note);
    }
    if let Some((from, to)) = rules.window {
        let value = format!("{} s to {} s", from.as_secs_f64(), to.as_secs_f64());
        add("window", value, "only pods alive then; its start becomes time 0");
    }
    if rules.every_nth_job > 1 {
        let note = "every n-th job (or pod without one) by first appearance; the others are left out";
        add("thin", rules.every_nth_job.to_string(), note);
    }
    if rules.sets {
        let note = "pods of equal group, role and shape are replicas of one StatefulSet (Parallel), which grows and shrinks as \
                    they come and go: the highest ordinal leaves, its claims are deleted with it; pods without a group stay pods";
        add("group", "sets".into(), note);
    }
    list.extend(claims(format, rules));
    if let Some(max) = options.skip_bad_rows {
        list.push(TraceAssumption::new("skipBadRows", max.to_string(), "bad rows are skipped and counted"));
    }
    list
}

fn mode(mode: TraceMode) -> (String, &'static str) {
    match mode {
        TraceMode::Fill { interval } => (
            format!("fill, one pod every {interval}"),
            "the trace's order only: times are replaced and nobody leaves; machines are those that the trace ever has",
        ),
        TraceMode::Clock => ("clock".into(), "times as the trace has them"),
        TraceMode::Compress { factor_milli } => (
            format!("compress {}", factor_milli as f64 / 1000.0),
            "starts (and times of machine events) are divided by the factor, lifetimes stay",
        ),
    }
}

fn claims(format: Format, rules: &ArrivalRules) -> Vec<TraceAssumption> {
    let of = if rules.sets { "sets" } else { "pods" };
    match &rules.claims {
        ClaimRule::Trace if format.has_disk() => {
            vec![TraceAssumption::new("claims", "trace", "claims are the trace's own disk requests")]
        }
        ClaimRule::Trace => {
            let note =
                "the trace has no disk, so its pods have no claims; workload.trace.claims makes some by rule";
            vec![TraceAssumption::new("claims", "none", note)]
        }
        ClaimRule::TraceShare(share) => vec![TraceAssumption::new(
            "claims.share",
            format!("{share}"),
            format!("claims are the trace's own disk requests, for this share of the {of}, by name and seed"),
        )],
        ClaimRule::TraceLimit => {
            vec![TraceAssumption::new("claims", "trace limit", "claims are the trace's disk limits")]
        }
        ClaimRule::Synthetic { share, .. } => {
            let instead = if format.has_disk() { " instead of the trace's own" } else { "" };
            let note = format!(
                "synthetic: claims of a drawn size{instead} for this share of the {of}, both by name and seed"
            );
            vec![
                TraceAssumption::new("claims.share", format!("{share}"), note),
                TraceAssumption::new(
                    "claims.size",
                    "by rule",
                    "synthetic: sizes are drawn, the trace says nothing",
                ),
            ]
        }
        ClaimRule::None => vec![TraceAssumption::new("claims", "none", "pods have no claims")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SimTime;
    use std::sync::Arc;

    fn said(format: Format, rules: &ArrivalRules) -> Vec<(String, String)> {
        let options = TraceOptions { max_cpu_milli: Some(64_000), ..TraceOptions::default() };
        of_rules(format, &options, rules).into_iter().map(|a| (a.path, a.note)).collect()
    }

    #[test]
    fn every_format_says_what_a_pod_is() {
        for format in Format::ALL {
            let list = said(format, &ArrivalRules::default());
            assert!(list[0].1.contains("pod"), "{format}: {list:?}");
            let scaled = format.normalized();
            for (needed, key) in
                [(scaled.cpu, "maxCpu"), (scaled.memory, "maxMemory"), (scaled.disk, "maxDisk")]
            {
                let path = format!("workload.trace.{key}");
                assert_eq!(list.iter().any(|(p, _)| *p == path), needed, "{format} {key}");
            }
        }
    }

    #[test]
    fn invented_claims_are_marked_synthetic() {
        let size = Arc::new(|_: &mut _| 1);
        let rules = ArrivalRules {
            claims: ClaimRule::Synthetic { share: 0.6, size },
            every_nth_job: 7,
            window: Some((SimTime::ZERO, SimTime::from_secs(3))),
            sets: true,
            ..ArrivalRules::default()
        };
        let list = said(Format::Openb, &rules);
        let marked = list.iter().filter(|(_, note)| note.starts_with("synthetic"));
        assert_eq!(marked.count(), 2, "{list:?}");
        for key in ["thin", "window", "group", "claims.share"] {
            assert!(list.iter().any(|(path, _)| *path == format!("workload.trace.{key}")), "{key}");
        }
        let own = said(Format::AlibabaGpuV2025, &ArrivalRules::default());
        assert!(own.iter().all(|(_, note)| !note.contains("synthetic")), "{own:?}");
    }
}
