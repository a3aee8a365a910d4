//! Made-up results of any size, for tests of tables, plots and pages: plausible curves, not simulated ones.

use crate::results::summary::{
    Assumption, AssumptionSource, Percentiles, SetCounts, StorageBytes, StorageSummary, Stranded, StuckCause,
    Summary, Utilization, VariantSummary, stuck_reasons,
};
use crate::results::tables::{
    ClaimRow, IncidentKind, IncidentRow, NodeHeatRow, NodeRow, NodeState, PodRow, SampleRow, StrandingRow,
    Text, VolumeRow,
};
use crate::results::{RunOutput, VariantOutput};

/// CPU, memory and disk of a made-up node: 16 cores, 128 GiB, 4 volumes of 1 TiB.
const CORES_MILLI: i64 = 16_000;
const MEMORY: i64 = 128 << 30;
const VOLUMES: u64 = 4;
const VOLUME: u128 = 1 << 40;
const SAMPLES: usize = 600;
/// One sample every five minutes.
const SAMPLE_SECONDS: f64 = 300.0;

/// Names as people choose them, some long, one hostile.
const NAMES: [&str; 12] = [
    "immediate",
    "wait-for-first-consumer",
    "tightest-fit",
    "lvm",
    "split-2",
    "split-4",
    "split-8",
    "immediate-with-anti-affinity-and-a-very-long-name",
    "<script>alert(1)</script>",
    "spread",
    "pack",
    "as-is",
];

/// A run of `nodes` nodes and `variants` (1 to 12) variants.
pub fn run(nodes: usize, variants: usize) -> RunOutput {
    let summary = Summary {
        scenario: "mysql-local-pv".into(),
        scenario_digest: format!("blake3:{}", "5a".repeat(32)),
        seed: 42,
        assumptions: vec![
            Assumption {
                path: "report.stuckAfter".into(),
                value: "5m".into(),
                source: AssumptionSource::Default,
                note: "how long a pod may wait before it counts as stuck".into(),
            },
            Assumption {
                path: "workload.trace.claims".into(),
                value: "60% of pods".into(),
                source: AssumptionSource::TraceRule,
                note: "the trace names no disks; <claims> are synthetic".into(),
            },
        ],
        ..Summary::default()
    };
    let outputs = (0..variants).map(|i| variant(NAMES[i % NAMES.len()], i, nodes)).collect();
    RunOutput::new(summary, outputs)
}

/// A share of disk bound over the run that rises, levels off and wobbles a little.
fn bound(step: usize, quality: f64) -> f64 {
    let x = step as f64 / SAMPLES as f64;
    let wobble = 0.015 * libm::sin(x * 40.0 + quality * 9.0) * x;
    ((0.72 + 0.25 * quality) * (1.0 - libm::exp(-3.2 * x)) / (1.0 - libm::exp(-3.2)) + wobble).clamp(0.0, 1.0)
}

/// 0 for the worst variant, towards 1 for the best.
fn quality(index: usize) -> f64 {
    [0.0, 0.95, 0.7, 0.85, 0.4, 0.6, 0.5, 0.1, 0.3, 0.8, 0.9, 0.2][index % 12]
}

fn variant(name: &str, index: usize, nodes: usize) -> VariantOutput {
    let q = quality(index);
    let mut out = VariantOutput::default();
    let all_cpu = nodes as f64 * CORES_MILLI as f64;
    let all_memory = nodes as f64 * MEMORY as f64;
    let disk = nodes as u128 * u128::from(VOLUMES) * VOLUME;
    let mut reached = 0;
    for step in 0..=SAMPLES {
        let share = bound(step, q);
        let wanted = (share * nodes as f64 * VOLUMES as f64 * (1.1 - 0.1 * q)) as u64;
        let stranded = ((share - 0.45 - 0.35 * q) * 0.75).max(0.0) * (1.0 - 0.7 * q);
        let stuck = ((share - 0.5).max(0.0) * 0.4 * (1.0 - q) * wanted as f64) as u64;
        let running = wanted.saturating_sub(stuck);
        let bound_bytes = (share * disk as f64) as u128;
        let used = (share * 0.62 * all_cpu) as i64;
        let row = SampleRow {
            seconds: step as f64 * SAMPLE_SECONDS,
            wanted,
            running,
            pending: stuck,
            unschedulable: stuck,
            stuck,
            stuck_unschedulable: stuck - stuck / 5,
            stuck_not_created: stuck / 5,
            claims_bound: wanted,
            capacity_bytes: disk,
            requested_bytes: bound_bytes * 7 / 10,
            over_size_bytes: bound_bytes - bound_bytes * 7 / 10,
            free_bytes: disk - bound_bytes,
            held_by_stuck_bytes: bound_bytes / 20,
            orphaned_bytes: bound_bytes / 50,
            cpu_allocatable_milli: all_cpu as i64,
            cpu_requested_milli: used,
            cpu_stranded_milli: stranded * all_cpu,
            memory_allocatable_bytes: all_memory as u128,
            memory_requested_bytes: (share * 0.5 * all_memory) as u128,
            memory_stranded_bytes: (stranded * 1.2 * all_memory) as u128,
            disk_stranded_bytes: ((1.0 - share) * 0.3 * q * disk as f64) as u128,
            nodes: nodes as u64,
            nodes_ready: nodes as u64,
            ..SampleRow::default()
        };
        let percent = (share * 100.0) as u32;
        for bound_percent in reached..=percent {
            out.stranding.push(StrandingRow {
                bound_percent,
                seconds: row.seconds,
                bound_bytes,
                capacity_bytes: disk,
                cpu_stranded_share: stranded,
                memory_stranded_share: stranded * 1.2,
                cpu_stranded_milli: row.cpu_stranded_milli,
                memory_stranded_bytes: row.memory_stranded_bytes,
                wanted,
                running,
                stuck,
            });
        }
        reached = reached.max(percent + 1);
        out.timeseries.push(row);
    }
    tables(&mut out, nodes, q);
    incidents(&mut out, nodes);
    out.summary = summarize(name, index, &out);
    out
}

fn tables(out: &mut VariantOutput, nodes: usize, q: f64) {
    let end = SAMPLES as f64 * SAMPLE_SECONDS;
    let last = out.timeseries.last().cloned().unwrap_or_default();
    for n in 0..nodes {
        let name = format!("db-{n}");
        // A fixed scramble of the node's number spreads the times without a random generator.
        let spread = (n * 7919 % 1009) as f64 / 1009.0;
        let state = match n * 31 % 10 {
            r if (r as f64) < 6.0 - 4.0 * q => NodeState::Disk,
            r if r < 7 => NodeState::Cpu,
            8 => NodeState::Memory,
            _ => NodeState::Room,
        };
        let at = (0.25 + 0.7 * spread) * end;
        if state != NodeState::Room {
            out.node_heat.push(NodeHeatRow { seconds: at, node: name.as_str().into(), state });
            if n % 4 == 0 {
                let back = NodeState::Room;
                out.node_heat.push(NodeHeatRow {
                    seconds: (at + end * 0.1).min(end),
                    node: name.as_str().into(),
                    state: back,
                });
            }
            if n % 17 == 0 {
                let down = NodeState::Down;
                out.node_heat.push(NodeHeatRow {
                    seconds: (at + end * 0.2).min(end),
                    node: name.as_str().into(),
                    state: down,
                });
            }
        }
        out.nodes.push(NodeRow {
            name: name.as_str().into(),
            zone: ["a", "b", "c"][n % 3].into(),
            exists: true,
            ready: n % 17 != 0,
            schedulable: true,
            cpu_allocatable_milli: CORES_MILLI,
            cpu_requested_milli: (CORES_MILLI as f64 * (0.4 + 0.5 * spread)) as i64,
            cpu_stranded_milli: if state == NodeState::Disk {
                CORES_MILLI as f64 * 0.4 * spread
            } else {
                0.0
            },
            memory_allocatable_bytes: MEMORY,
            memory_requested_bytes: (MEMORY as f64 * (0.3 + 0.5 * spread)) as i64,
            pods: VOLUMES - n as u64 % 2,
            pods_allocatable: 110,
            volumes: VOLUMES,
            volumes_bound: VOLUMES - n as u64 % 2,
            volumes_bytes: u128::from(VOLUMES) * VOLUME,
            volumes_bound_bytes: u128::from(VOLUMES - n as u64 % 2) * VOLUME,
            volumes_free: n as u64 % 2,
            volumes_free_bytes: (n as u128 % 2) * VOLUME,
            first_exhausted: if state == NodeState::Room { Text::default() } else { state.name().into() },
            first_exhausted_seconds: (state != NodeState::Room).then_some(at),
            ..NodeRow::default()
        });
        for p in 0..VOLUMES {
            storage_and_pod(out, n, p, &name, last.stuck, nodes);
        }
    }
    out.node_heat.sort_by(|a, b| a.seconds.total_cmp(&b.seconds).then(a.node.cmp(&b.node)));
}

/// Every 17th node goes and comes back; its groups lack a member meanwhile. The last one stays away.
fn incidents(out: &mut VariantOutput, nodes: usize) {
    let end = SAMPLES as f64 * SAMPLE_SECONDS;
    for n in (0..nodes).step_by(17) {
        let at = (n * 7919 % 997) as f64 / 1000.0 * end;
        let until = (n + 17 < nodes).then_some((at + end * 0.05).min(end));
        let row = |what, object: String, pods| IncidentRow {
            seconds: at,
            until_seconds: until,
            what,
            object,
            pods,
            ..IncidentRow::default()
        };
        out.incidents.push(row(IncidentKind::NodeNotReady, format!("db-{n}"), 4));
        out.incidents.push(row(IncidentKind::GroupDegraded, format!("default/shop-{n}"), 1));
    }
    out.incidents.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
}

fn storage_and_pod(out: &mut VariantOutput, n: usize, p: u64, node: &str, stuck: u64, nodes: usize) {
    let index = n as u64 * VOLUMES + p;
    let is_stuck = index >= nodes as u64 * VOLUMES - stuck.min(nodes as u64 * VOLUMES);
    let request = VOLUME * u128::from(1 + index * 37 % 10) / 10;
    let claim = format!("data-shop-{}-{}", index / 3, index % 3);
    out.volumes.push(VolumeRow {
        name: format!("{node}-d{p}-p0").into(),
        node: node.into(),
        class: "local-ssd".into(),
        capacity_bytes: VOLUME,
        phase: "Bound".into(),
        reclaim_policy: "Delete".into(),
        claim: format!("default/{claim}").into(),
        request_bytes: Some(request),
        over_size_bytes: Some(VOLUME - request),
        bindings: 1,
        bound_seconds: Some(index as f64),
        ..VolumeRow::default()
    });
    out.claims.push(ClaimRow {
        namespace: "default".into(),
        name: claim.as_str().into(),
        class: "local-ssd".into(),
        phase: "Bound".into(),
        request_bytes: request,
        volume: format!("{node}-d{p}-p0").into(),
        volume_bytes: Some(VOLUME),
        over_size_bytes: Some(VOLUME - request),
        ..ClaimRow::default()
    });
    out.pods.push(PodRow {
        namespace: "default".into(),
        name: format!("shop-{}-{}", index / 3, index % 3).into(),
        owner: "StatefulSet".into(),
        set: format!("shop-{}", index / 3).into(),
        template: Some(0),
        node: if is_stuck { Text::default() } else { node.into() },
        phase: if is_stuck { "Pending".into() } else { "Running".into() },
        status: if is_stuck { "Pending".into() } else { "Running".into() },
        stuck: is_stuck,
        stuck_cause: if is_stuck { "unschedulable".into() } else { Text::default() },
        stuck_by_binding: is_stuck && !index.is_multiple_of(3),
        created_seconds: Some(index as f64),
        scheduled_seconds: (!is_stuck).then_some(index as f64 + 0.5),
        attempts: 1,
        cpu_milli: 4000,
        memory_bytes: 16 << 30,
        claims: claim.into(),
        last_message: if is_stuck { messages(nodes)[index as usize % 3].as_str().into() } else { "".into() },
        ..PodRow::default()
    });
}

/// Messages in the shape of the scheduler's.
fn messages(nodes: usize) -> [String; 3] {
    [
        format!(
            "0/{nodes} nodes are available: 2 Insufficient cpu, {} node(s) had volume node affinity conflict. \
             preemption: 0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling.",
            nodes.saturating_sub(2)
        ),
        format!(
            "0/{nodes} nodes are available: {nodes} node(s) didn't find available persistent volumes to bind."
        ),
        "running PreBind plugin \"VolumeBinding\": binding volumes: <timed out> & gave up".into(),
    ]
}

fn summarize(name: &str, index: usize, out: &VariantOutput) -> VariantSummary {
    let last = out.timeseries.last().cloned().unwrap_or_default();
    let mut v = VariantSummary {
        name: name.into(),
        digest: format!("blake3:{index:064x}"),
        ..VariantSummary::default()
    };
    let stuck = out.pods.iter().filter(|p| p.stuck).count() as u64;
    let total = out.pods.len() as u64;
    (v.pods.wanted, v.pods.created, v.pods.running, v.pods.pending) = (total, total, total - stuck, stuck);
    (v.pods.stuck, v.pods.stuck_ever, v.pods.never_scheduled) = (stuck, stuck, stuck);
    v.pods.stuck_by_binding = out.pods.iter().filter(|p| p.stuck_by_binding).count() as u64;
    if stuck > 0 {
        v.pods.stuck_by =
            [(StuckCause::Unschedulable, stuck - stuck / 5), (StuckCause::NotCreated, stuck / 5)].into();
        v.pods.stuck_by.retain(|_, n| *n > 0);
    }
    v.pods.stuck_seconds = out.timeseries.iter().map(|r| r.stuck as f64 * SAMPLE_SECONDS).sum();
    v.pods.stuck_reasons = stuck_reasons(out.pods.iter().filter(|p| p.stuck).map(|p| &*p.last_message));
    v.sets = SetCounts {
        wanted: total / 3,
        whole: total / 3 - stuck / 3,
        stuck: stuck / 3,
        stuck_by_binding: stuck / 4,
    };
    (v.claims.created, v.claims.bound) = (total, total);
    v.pending_seconds = Percentiles { p50: Some(0.1), p90: Some(1.2), p99: Some(3.4), max: Some(86_400.0) };
    v.pending_seconds_with_unscheduled = v.pending_seconds.clone();
    let end = StorageBytes {
        capacity_bytes: last.capacity_bytes,
        requested_bytes: last.requested_bytes,
        over_size_bytes: last.over_size_bytes,
        free_bytes: last.free_bytes,
        held_by_stuck_bytes: last.held_by_stuck_bytes,
        orphaned_bytes: last.orphaned_bytes,
        uncarved_bytes: last.capacity_bytes / 100,
        ..StorageBytes::default()
    };
    v.storage = StorageSummary::new(end.clone(), end);
    v.stranded.end = stranded_at(&last);
    let peak = out.timeseries.iter().max_by(|a, b| a.cpu_stranded_milli.total_cmp(&b.cpu_stranded_milli));
    v.stranded.peak = peak.map(stranded_at).unwrap_or_default();
    v.stranded.onset = out
        .stranding
        .iter()
        .find(|r| r.cpu_stranded_share > 0.05)
        .map(|r| f64::from(r.bound_percent) / 100.0);
    let cpu = last.cpu_requested_milli as f64 / (last.cpu_allocatable_milli as f64).max(1.0);
    (v.utilization.cpu, v.utilization.memory, v.utilization.storage) =
        (Some(cpu * 0.7), Some(0.5), Some(0.7));
    v.utilization.at_end = Utilization { cpu: Some(cpu), memory: Some(0.55), storage: Some(0.97) };
    (v.events, v.decisions, v.simulated_seconds) = (total * 20, total * 3, last.seconds);
    v
}

fn stranded_at(r: &SampleRow) -> Stranded {
    Stranded {
        cpu_milli: r.cpu_stranded_milli,
        memory_bytes: r.memory_stranded_bytes,
        disk_bytes: r.disk_stranded_bytes,
        nodes: r.nodes_stranded as f64,
    }
}
