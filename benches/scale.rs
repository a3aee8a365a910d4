//! The rows of docs/PERFORMANCE.md, each from a scenario in `scenarios/scale/`, in a process of its own: `cargo bench --bench scale`.
//!
//! Prints the table, and writes `results/bench/scale.csv` and `scale.svg`. `-- row-1 row-4` runs those rows only; `--quick` leaves out
//! what takes minutes. CPU time is that of the one thread that simulates, from the kernel's scheduler statistics.

use plotters::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};
use std::process::Command;
use stowplan::engine::agenda::{Agenda, Rank};
use stowplan::engine::rng::{EntityKey, Streams};
use stowplan::engine::time::{SimDuration, SimTime};
use stowplan::scenario::{LoadOptions, ScenarioFile};
use stowplan::simulate::{self, Options};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// One row of the table.
struct Row {
    /// Scenario in `scenarios/scale/`.
    name: &'static str,
    nodes: u32,
    /// Also by the plain scan.
    plain: bool,
    /// Takes minutes.
    long: bool,
    aim: &'static str,
}

const fn row(name: &'static str, nodes: u32, plain: bool, long: bool, aim: &'static str) -> Row {
    Row { name, nodes, plain, long, aim }
}

const ROWS: &[Row] = &[
    row("row-1", 1_000, true, false, "200000 pods/CPU-s"),
    row("row-1b", 1_000, true, false, "40000 pods/CPU-s"),
    row("row-1c-100", 1_000, false, false, "a curve"),
    row("row-1c-300", 1_000, false, false, "a curve"),
    row("row-1c-1000", 1_000, false, false, "a curve"),
    row("row-1c-2000", 1_000, false, false, "a curve"),
    row("row-2-5000", 5_000, false, false, "1.3 x row 1 per pod"),
    row("row-2-50000", 50_000, false, true, "2 x row 1 per pod"),
    row("row-3", 10_000, false, true, "180 s, 1.5 GB"),
    row("row-3b", 10_000, false, true, "120 s"),
    row("row-4-empty", 1_000, false, false, "the measure of row 4"),
    row("row-4", 1_000, false, false, "2 x row-4-empty per event"),
    row("row-6", 1_523, true, false, "0.15 s, 60 MB"),
    row("row-8", 5_000, false, true, "20000 pods/CPU-s"),
];

/// What a child process measured.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    /// CPU seconds of the run; of everything for row 6.
    cpu: f64,
    /// Peak resident memory of the process.
    peak_bytes: u64,
    pods: u64,
    decisions: u64,
    counted: u64,
    events: u64,
    evaluations: u64,
}

impl Measured {
    fn text(&self) -> String {
        format!(
            "{} {} {} {} {} {} {}",
            self.cpu, self.peak_bytes, self.pods, self.decisions, self.counted, self.events, self.evaluations
        )
    }
    fn parse(text: &str) -> Option<Measured> {
        let mut fields = text.split_whitespace();
        let cpu = fields.next()?.parse().ok()?;
        let mut next = || fields.next()?.parse::<u64>().ok();
        Some(Measured {
            cpu,
            peak_bytes: next()?,
            pods: next()?,
            decisions: next()?,
            counted: next()?,
            events: next()?,
            evaluations: next()?,
        })
    }
}

fn main() -> Fallible<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let Some(("--child", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        println!("{}", child(&rest[0], rest[1] == "plain", &rest[2..])?.text());
        return Ok(());
    }
    let quick = args.iter().any(|a| a == "--quick");
    let wanted = |name: &str| {
        let mut names = args.iter().filter(|a| !a.starts_with("--")).peekable();
        names.peek().is_none() || names.any(|a| a == name)
    };
    println!(
        "{:<12} {:>6} {:>9} {:>10} {:>9} {:>11} {:>11} {:>10} {:>9} {:>10}  aim",
        "row", "nodes", "pods", "CPU s", "ns/pod", "pods/CPU-s", "decisions", "plain s", "ratio", "peak MiB"
    );
    let mut csv = csv_writer()?;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for row in ROWS.iter().filter(|row| wanted(row.name) && !(quick && row.long)) {
        if row.name == "row-6" && std::env::var_os("STOWPLAN_TRACES").is_none() {
            println!("row-6 skipped: STOWPLAN_TRACES is not set");
            continue;
        }
        let fast = measure(row.name, "fast", &[])?;
        let plain = if row.plain { Some(measure(row.name, "plain", &[])?) } else { None };
        print_row(row, &fast, plain.as_ref());
        csv.write_record([
            row.name.to_owned(),
            row.nodes.to_string(),
            fast.pods.to_string(),
            fast.cpu.to_string(),
            (fast.cpu / fast.pods.max(1) as f64 * 1e9).to_string(),
            plain.map_or(String::new(), |p| p.cpu.to_string()),
            fast.peak_bytes.to_string(),
            fast.decisions.to_string(),
            fast.counted.to_string(),
            fast.events.to_string(),
            fast.evaluations.to_string(),
        ])?;
        if row.name == "row-1" || row.name.starts_with("row-2") {
            points.push((f64::from(row.nodes), fast.cpu / fast.pods.max(1) as f64 * 1e9));
        }
    }
    csv.flush()?;
    if wanted("row-4") {
        backlog()?;
    }
    if wanted("row-5") {
        agenda();
    }
    if wanted("row-9") {
        memory()?;
    }
    draw(&points)
}

fn print_row(row: &Row, fast: &Measured, plain: Option<&Measured>) {
    let per_pod = fast.cpu / fast.pods.max(1) as f64;
    println!(
        "{:<12} {:>6} {:>9} {:>10.3} {:>9.0} {:>11.0} {:>11} {:>10} {:>9} {:>10.0}  {}",
        row.name,
        row.nodes,
        fast.pods,
        fast.cpu,
        per_pod * 1e9,
        1.0 / per_pod,
        fast.decisions,
        plain.map_or("-".to_owned(), |p| format!("{:.2}", p.cpu)),
        plain.map_or("-".to_owned(), |p| format!("{:.1}", p.cpu / fast.cpu)),
        fast.peak_bytes as f64 / f64::from(1 << 20),
        row.aim,
    );
    if let Some(plain) = plain {
        assert_eq!(
            (fast.decisions, fast.events, fast.pods),
            (plain.decisions, plain.events, plain.pods),
            "engines agree"
        );
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn measure(name: &str, engine: &str, sets: &[String]) -> Fallible<Measured> {
    let output =
        Command::new(std::env::current_exe()?).args(["--child", name, engine]).args(sets).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || format!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    Measured::parse(text.trim()).ok_or_else(|| said().into())
}

/// In the child: runs one scenario.
fn child(name: &str, plain: bool, sets: &[String]) -> Fallible<Measured> {
    let path = root().join(format!("scenarios/scale/{name}.yaml"));
    let mut file = ScenarioFile::read(&path, &LoadOptions::default())?;
    let sets = file.parse_sets(sets)?;
    let loaded = file.resolve(&sets)?;
    let variant = loaded.scenario.variants.first().and_then(|v| v.binding_mode);
    let options = Options { plain, ..Options::default() };
    let prepared = simulate::prepare(&loaded, variant, options)?;
    drop((loaded, file));
    if name == "row-6" {
        // The whole process, as the command line does it but for writing files.
        let output = simulate::run(&prepared.plan, "row-6", prepared.sample, options)?;
        let (s, w) = (&output.summary, &output.work);
        return Ok(Measured {
            cpu: cpu_seconds(),
            peak_bytes: peak_bytes(),
            pods: s.pods.created,
            decisions: s.decisions,
            counted: w.counted,
            events: s.events,
            evaluations: w.evaluations,
        });
    }
    let begun = cpu_seconds();
    let mut pods = Created(0);
    let end = stowplan::world::run(&prepared.plan, &mut pods)?;
    Ok(Measured {
        cpu: cpu_seconds() - begun,
        peak_bytes: peak_bytes(),
        pods: pods.0,
        decisions: end.decisions,
        counted: end.counted,
        events: end.events,
        evaluations: end.scheduler.work().evaluations,
    })
}

/// Counts pods.
struct Created(u64);

impl stowplan::Observer for Created {
    fn observe(&mut self, _: SimTime, _: &stowplan::model::cluster::Cluster, what: &stowplan::Observation) {
        self.0 += u64::from(matches!(what, stowplan::Observation::PodCreated(_)));
    }
}

/// CPU time of this thread.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    nanos.map_or(f64::NAN, |nanos| nanos / 1e9)
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn csv_writer() -> Fallible<csv::Writer<std::fs::File>> {
    let folder = root().join("results/bench");
    std::fs::create_dir_all(&folder)?;
    let mut csv = csv::Writer::from_path(folder.join("scale.csv"))?;
    csv.write_record([
        "row",
        "nodes",
        "pods",
        "cpu_seconds",
        "nanoseconds_per_pod",
        "plain_cpu_seconds",
        "peak_bytes",
        "decisions",
        "counted",
        "events",
        "plugin_evaluations",
    ])?;
    Ok(csv)
}

/// Row 4: what an event costs once the disks are full, with a backlog and without.
fn backlog() -> Fallible<()> {
    let mut costs = Vec::new();
    for name in ["row-4-empty", "row-4"] {
        let start = measure(name, "fast", &["duration=10s".to_owned()])?;
        let all = measure(name, "fast", &[])?;
        costs.push((all.cpu - start.cpu) / (all.events - start.events) as f64 * 1e9);
    }
    println!(
        "row 4: {:.0} ns per event without a backlog, {:.0} ns with 100,000 stuck pods: {:.2} times (aim 2)",
        costs[0],
        costs[1],
        costs[1] / costs[0]
    );
    Ok(())
}

/// Row 9: bytes per node with 8 volumes, and per waiting pod with a claim.
fn memory() -> Fallible<()> {
    let weigh = |nodes: u32, pods: u32| -> Fallible<f64> {
        let sets = [format!("cluster.nodes[n].count={nodes}"), format!("workload.generate[t].sets={pods}")];
        Ok(measure("row-9", "fast", &sets)?.peak_bytes as f64)
    };
    let base = weigh(10_000, 1)?;
    println!(
        "row 9: {:.0} bytes per node with 8 volumes (aim 2048), {:.0} bytes per waiting pod with its claim (aim 160)",
        (weigh(40_000, 1)? - base) / 30_000.0,
        (weigh(10_000, 400_001)? - base) / 400_000.0,
    );
    Ok(())
}

/// Row 5: the agenda in the hold model beside a bare heap.
fn agenda() {
    let streams = Streams::new(1, 0);
    let uniform = |name, i| (streams.index(name, EntityKey(i), 1 << 30) as f64 + 1.0) / f64::from(1 << 30);
    let exponential: Vec<u64> = (0..1 << 16).map(|i| (-libm::log(uniform("gap", i)) * 1e9) as u64).collect();
    let mixed: Vec<u64> = (0..1 << 16)
        .map(|i| {
            let long = streams.index("which", EntityKey(i), 10) == 0;
            (uniform("gap", i) * if long { 3.0 * 86400e9 } else { 1e6 }) as u64
        })
        .collect();
    for (what, gaps) in [("exponential", &exponential), ("90 % within 1 ms, 10 % days", &mixed)] {
        for pending in [1_000usize, 100_000, 1_000_000] {
            let (ours, bare) = (hold_agenda(gaps, pending), hold_heap(gaps, pending));
            println!(
                "row 5: {what}, {pending} pending: agenda {:.1} M/s, bare heap {:.1} M/s, {:.2} times",
                ours / 1e6,
                bare / 1e6,
                ours / bare
            );
        }
    }
}

const TURNS: usize = 3_000_000;

fn hold_agenda(gaps: &[u64], pending: usize) -> f64 {
    let mut agenda: Agenda<[u64; 2]> = Agenda::default();
    for i in 0..pending {
        agenda.schedule(SimTime::from_nanos(gaps[i % gaps.len()]), Rank(0), [i as u64; 2]);
    }
    let mut seen = 0;
    let begun = cpu_seconds();
    for turn in 0..TURNS {
        if let Some((key, event)) = agenda.pop() {
            seen ^= event[0];
            agenda.schedule(key.at + SimDuration::from_nanos(gaps[turn % gaps.len()]), Rank(0), event);
        }
    }
    std::hint::black_box(seen);
    TURNS as f64 / (cpu_seconds() - begun)
}

fn hold_heap(gaps: &[u64], pending: usize) -> f64 {
    let mut heap: BinaryHeap<Reverse<(u64, u64, [u64; 2])>> = BinaryHeap::new();
    for i in 0..pending {
        heap.push(Reverse((gaps[i % gaps.len()], i as u64, [i as u64; 2])));
    }
    let mut seen = 0;
    let begun = cpu_seconds();
    for turn in 0..TURNS {
        if let Some(Reverse((at, _, event))) = heap.pop() {
            seen ^= event[0];
            heap.push(Reverse((at + gaps[turn % gaps.len()], (pending + turn) as u64, event)));
        }
    }
    std::hint::black_box(seen);
    TURNS as f64 / (cpu_seconds() - begun)
}

/// Cost per pod over nodes, both logarithmic.
fn draw(points: &[(f64, f64)]) -> Fallible<()> {
    if points.len() < 2 {
        return Ok(());
    }
    let path = root().join("results/bench/scale.svg");
    draw_points(&path, points)
}

fn draw_points(path: &Path, points: &[(f64, f64)]) -> Fallible<()> {
    let area = SVGBackend::new(path, (640, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let most = points.iter().map(|p| p.1).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption("CPU time per pod", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (500f64..100_000f64).log_scale(),
            (1_000f64..most.max(10_000.0) * 2.0).log_scale(),
        )?;
    chart.configure_mesh().x_desc("nodes").y_desc("nanoseconds per pod").draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), &BLUE))?;
    chart.draw_series(points.iter().map(|p| Circle::new(*p, 4, BLUE.filled())))?;
    area.present()?;
    println!("results/bench/scale.csv, results/bench/scale.svg");
    Ok(())
}
