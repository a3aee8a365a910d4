//! Alibaba cluster-trace-gpu-v2023, "openb": a node list and pod lists with GPU shares.

use super::error::{RowError, SkipReason};
use super::figures::{Figure, Figures};
use super::record::{NodeChange, NodeEvent, TraceId, TraceNode, TracePod};
use super::row::{Row, limits};
use super::table::{Context, Parsed, Recognized, Sample, Table, whole_seconds};
use crate::engine::time::SimTime;
use compact_str::CompactString;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

const MIB: u64 = 1 << 20;

/// Recognizes the node list and the pod lists by their headers.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    if let Some(at) = sample.locate(["sn", "cpu_milli", "memory_mib", "gpu", "model"]) {
        let columns = sample.header().to_vec();
        return Recognized::with_header(Nodes {
            at,
            columns,
            shapes: BTreeSet::new(),
            sums: [0; 3],
            rows: 0,
        });
    }
    let at = sample.locate(["name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"])?;
    let times = ["creation_time", "deletion_time", "scheduled_time"];
    Recognized::with_header(Pods {
        at,
        gpu_spec: sample.locate_optional("gpu_spec"),
        qos: sample.locate_optional("qos"),
        phase: sample.locate_optional("pod_phase"),
        times: times.map(|name| sample.locate_optional(name)),
        columns: sample.header().to_vec(),
        figures: PodFigures::default(),
    })
}

/// What the two kinds of file look like, for messages.
pub const EXPECTED: &str = "a header with name,cpu_milli,memory_mib,num_gpu,gpu_milli (pods) or sn,cpu_milli,memory_mib,gpu,model (nodes)";

struct Nodes {
    at: [usize; 5],
    columns: Vec<String>,
    shapes: BTreeSet<(u64, u64, u32, Box<str>)>,
    /// cpu_milli, memory_mib, gpu.
    sums: [u64; 3],
    rows: u64,
}

impl Table for Nodes {
    fn name(&self) -> &'static str {
        "nodes"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn rank(&self) -> u8 {
        0
    }
    fn lists_machines(&self) -> bool {
        true
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        let [name, cpu, memory, gpu, model] = self.at;
        let name = TraceId::from(row.required(name)?);
        let cpu_milli = row.integer(cpu, limits::CPU_MILLI)?;
        let memory_mib = row.integer(memory, limits::BYTES / MIB)?;
        let gpus = row.integer(gpu, 1024)? as u32;
        let model = row.optional(model)?;
        if cx.options.figures {
            self.rows += 1;
            for (sum, value) in self.sums.iter_mut().zip([cpu_milli, memory_mib, u64::from(gpus)]) {
                *sum += value;
            }
            self.shapes.insert((cpu_milli, memory_mib, gpus, model.clone().unwrap_or_default()));
        }
        let node = TraceNode {
            name: name.clone(),
            cpu_milli,
            memory_bytes: Some(memory_mib * MIB),
            gpus,
            gpu_model: model,
            ..TraceNode::default()
        };
        Ok(Some(NodeEvent { at: None, node: name, change: NodeChange::Appears(node) }.into()))
    }

    fn figures(&self) -> Figures {
        let mut figures = Figures::from([("nodes", Figure::Sum(self.rows)), ("shapes", self.shapes())]);
        for (key, sum) in ["cpu_milli", "memory_mib", "gpu"].into_iter().zip(self.sums) {
            figures.insert(key, Figure::Sum(sum));
        }
        figures
    }
}

impl Nodes {
    fn shapes(&self) -> Figure {
        let texts: Vec<CompactString> = self
            .shapes
            .iter()
            .map(|(cpu, memory, gpus, model)| format!("{cpu} {memory} {gpus} {model}").into())
            .collect();
        Figure::distinct(&texts)
    }
}

struct Pods {
    at: [usize; 5],
    gpu_spec: usize,
    qos: usize,
    phase: usize,
    /// Columns of creation, deletion and scheduling; beyond the last where the file has none (the multigpu lists).
    times: [usize; 3],
    columns: Vec<String>,
    figures: PodFigures,
}

#[derive(Default)]
struct PodFigures {
    rows: u64,
    cpu_milli: u64,
    memory_mib: u64,
    num_gpu: u64,
    gpu_milli_total: u64,
    multi_gpu_partial: u64,
    gpu_spec_filled: u64,
    scheduled_missing: u64,
    creations: Vec<u64>,
    deletion_max: u64,
    unsorted: bool,
    phases: BTreeMap<CompactString, u64>,
    qos: BTreeMap<CompactString, u64>,
}

impl Pods {
    fn has_times(&self) -> bool {
        self.times[0] != usize::MAX
    }

    /// Creation, deletion, scheduling in whole seconds.
    fn read_times(&self, row: &Row<'_>) -> Result<[Option<u64>; 3], Box<RowError>> {
        let [creation, deletion, scheduled] = self.times;
        let times =
            [whole_seconds(row, creation)?, whole_seconds(row, deletion)?, whole_seconds(row, scheduled)?];
        for (later, field) in [(times[1], deletion), (times[2], scheduled)] {
            if let (Some(created), Some(later)) = (times[0], later)
                && later < created
            {
                let message = format!("{later} is before the creation at {created}");
                return Err(RowError::field(field, SkipReason::EndsBeforeStart, message));
            }
        }
        Ok(times)
    }
}

impl Table for Pods {
    fn name(&self) -> &'static str {
        "pods"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn ids_per_file(&self) -> bool {
        true
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        let [name, cpu, memory, gpus, share] = self.at;
        let memory_mib = row.integer(memory, limits::BYTES / MIB)?;
        let times = self.read_times(row)?;
        let pod = TracePod {
            name: TraceId::from(row.required(name)?),
            cpu_milli: row.integer(cpu, limits::CPU_MILLI)?,
            memory_bytes: memory_mib * MIB,
            gpu_count: row.integer(gpus, 1024)? as u32,
            gpu_milli: row.integer(share, 1000)? as u32,
            gpu_models: row
                .text(self.gpu_spec)?
                .split('|')
                .filter(|m| !m.is_empty())
                .map(CompactString::from)
                .collect(),
            qos: row.optional_text(self.qos)?,
            phase: row.optional_text(self.phase)?,
            arrival: times[0].map(SimTime::from_secs),
            end: times[1].map(SimTime::from_secs),
            scheduled: times[2].map(SimTime::from_secs),
            ..TracePod::default()
        };
        if cx.options.figures {
            self.figures.count(&pod, memory_mib, times);
        }
        Ok(Some(pod.into()))
    }

    fn figures(&self) -> Figures {
        let f = &self.figures;
        let mut figures = Figures::from([
            ("pods", Figure::Sum(f.rows)),
            ("cpu_milli", Figure::Sum(f.cpu_milli)),
            ("memory_mib", Figure::Sum(f.memory_mib)),
            ("num_gpu", Figure::Sum(f.num_gpu)),
            ("gpu_milli_total", Figure::Sum(f.gpu_milli_total)),
            ("multi_gpu_partial", Figure::Sum(f.multi_gpu_partial)),
            ("columns", Figure::Same(self.columns.len() as u64)),
        ]);
        if !self.has_times() {
            return figures;
        }
        let instants = f.creations.clone();
        let (first, last) = (instants.iter().copied().min(), instants.iter().copied().max());
        let span = f.deletion_max.max(last.unwrap_or(0));
        let ends = instants.first().copied().zip(instants.last().copied());
        figures.extend([
            ("creation_min", Figure::Least(first)),
            ("creation_max", Figure::Most(last)),
            ("deletion_max", Figure::Most(Some(f.deletion_max))),
            ("span_s", Figure::Most(Some(span))),
            ("scheduled_missing", Figure::Sum(f.scheduled_missing)),
            ("gpu_spec_filled", Figure::Sum(f.gpu_spec_filled)),
            ("arrivals_last_30_days", Figure::Recent { instants, end: span, seconds: 30 * 86_400 }),
            ("sorted_by_creation", Figure::Sorted(ends, !f.unsorted)),
            ("phases", Figure::Counts(f.phases.clone())),
            ("qos", Figure::Counts(f.qos.clone())),
        ]);
        figures
    }
}

impl PodFigures {
    fn count(&mut self, pod: &TracePod, memory_mib: u64, [creation, deletion, scheduled]: [Option<u64>; 3]) {
        self.rows += 1;
        self.cpu_milli += pod.cpu_milli;
        self.memory_mib += memory_mib;
        self.num_gpu += u64::from(pod.gpu_count);
        self.gpu_milli_total += pod.gpu_milli_total();
        self.multi_gpu_partial += u64::from(pod.gpu_count > 1 && pod.gpu_milli < 1000);
        self.gpu_spec_filled += u64::from(!pod.gpu_models.is_empty());
        self.scheduled_missing += u64::from(scheduled.is_none());
        self.deletion_max = self.deletion_max.max(deletion.unwrap_or(0));
        if let Some(created) = creation {
            self.unsorted |= self.creations.last().is_some_and(|&last| created < last);
            self.creations.push(created);
        }
        for (counts, word) in [(&mut self.phases, &pod.phase), (&mut self.qos, &pod.qos)] {
            if let Some(word) = word {
                *counts.entry(word.clone()).or_default() += 1;
            }
        }
    }
}
