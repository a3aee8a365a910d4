//! The rows of docs/PERFORMANCE.md, each from a scenario in `scenarios/scale/`, in a process of its own: `cargo bench --bench scale`.
//!
//! Prints the table, and writes `results/bench/scale.csv`, `scale.md` and plots. `-- row-1 row-4` runs those rows only and leaves the
//! others in the file as they are; `--quick` leaves out what takes long. Of row 3 the first of its thirty days is run, and marked as such,
//! unless `--full` is given. CPU time is that of the one thread that simulates, from the kernel's scheduler statistics; rows of a few
//! seconds are run three times and the best counts.

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use plotters::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use stowplan::engine::agenda::{Agenda, Rank};
use stowplan::engine::rng::{EntityKey, Streams};
use stowplan::engine::time::{SimDuration, SimTime};
use stowplan::scenario::{LoadOptions, ScenarioFile};
use stowplan::simulate::{self, Options};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// What a row is to reach.
#[derive(Clone, Copy)]
enum Aim {
    /// So many pods per CPU second at least.
    Rate(f64),
    /// So many times row 1's cost per pod at most.
    Times(f64),
    /// So many CPU seconds and bytes at most.
    Within(f64, f64),
    /// A number to be explained.
    None,
}

/// One row of the table that is a run of one scenario.
struct Row {
    /// Scenario in `scenarios/scale/`.
    name: &'static str,
    nodes: u32,
    /// Pods to leave it at for the plain scan, as values to set; `None`: it would take days.
    plain: Option<&'static [&'static str]>,
    /// Takes minutes.
    long: bool,
    aim: Aim,
}

const fn row(
    name: &'static str,
    nodes: u32,
    plain: Option<&'static [&'static str]>,
    long: bool,
    aim: Aim,
) -> Row {
    Row { name, nodes, plain, long, aim }
}

const ALL: Option<&[&str]> = Some(&[]);
const MIB: f64 = 1_048_576.0;

const ROWS: &[Row] = &[
    row("row-1", 1_000, ALL, false, Aim::Rate(200_000.0)),
    row("row-1b", 1_000, ALL, false, Aim::Rate(40_000.0)),
    row("row-1c-100", 1_000, ALL, false, Aim::None),
    row("row-1c-300", 1_000, ALL, false, Aim::None),
    row("row-1c-1000", 1_000, ALL, false, Aim::None),
    row("row-1c-2000", 1_000, ALL, false, Aim::None),
    row("lvm", 1_000, ALL, false, Aim::None),
    row("row-2-5000", 5_000, None, false, Aim::Times(1.3)),
    row("row-2-50000", 50_000, None, true, Aim::Times(2.0)),
    row("row-3", 10_000, None, true, Aim::Within(180.0, 1.5e9)),
    row("row-3b", 10_000, None, true, Aim::Within(120.0, f64::INFINITY)),
    row("row-4-empty", 1_000, ALL, false, Aim::None),
    row("row-4", 1_000, None, false, Aim::None),
    row("row-6", 1_523, ALL, false, Aim::Within(0.15, 60e6)),
    // The plain scan gets through some dozens of these pods in a minute.
    row("row-8", 5_000, Some(FEW_OF_ROW_8), false, Aim::Rate(20_000.0)),
];

/// The sets of the first three milliseconds.
const FEW_OF_ROW_8: &[&str] = &["duration=3ms"];

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
        let Measured { cpu, peak_bytes, pods, decisions, counted, events, evaluations } = self;
        format!("{cpu} {peak_bytes} {pods} {decisions} {counted} {events} {evaluations}")
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
    fn nanos_per_pod(&self) -> f64 {
        self.cpu / self.pods.max(1) as f64 * 1e9
    }
}

/// Columns of the table.
const COLUMNS: [&str; 14] = [
    "row",
    "nodes",
    "pods",
    "cpu_seconds",
    "nanoseconds_per_pod",
    "plain_nanoseconds_per_pod",
    "plain_ratio",
    "peak_bytes",
    "decisions",
    "counted",
    "events",
    "figure",
    "aim",
    "met",
];

/// The table: rows by name, in the order of their names in it.
#[derive(Default)]
struct Table {
    rows: BTreeMap<String, Vec<String>>,
    row_1: Option<f64>,
}

impl Table {
    /// What is in the file already, if only some rows are measured.
    fn read() -> Table {
        let mut table = Table::default();
        let Ok(mut file) = csv::Reader::from_path(folder().join("scale.csv")) else { return table };
        if !file.headers().is_ok_and(|headers| headers.iter().eq(COLUMNS)) {
            return table;
        }
        for record in file.records().flatten() {
            let fields: Vec<String> = record.iter().map(str::to_owned).collect();
            table.rows.insert(fields[0].clone(), fields);
        }
        table.row_1 = table.number("row-1", 4);
        table
    }
    fn number(&self, row: &str, column: usize) -> Option<f64> {
        self.rows.get(row)?.get(column)?.parse().ok()
    }

    fn add_run(&mut self, row: &Row, fast: &Measured, plain: Option<&Measured>) -> Fallible<()> {
        if row.name == "row-1" {
            self.row_1 = Some(fast.nanos_per_pod());
        }
        self.rows.remove(&first_day(row));
        let rate = fast.pods as f64 / fast.cpu;
        let (figure, aim, met) = match row.aim {
            Aim::Rate(aim) => {
                (format!("{rate:.0} pods/CPU-s"), format!(">= {aim:.0} pods/CPU-s"), Some(rate >= aim))
            }
            Aim::Times(aim) => {
                let times = self.row_1.map_or(f64::NAN, |row_1| fast.nanos_per_pod() / row_1);
                (format!("{times:.2} times row 1 per pod"), format!("<= {aim} times"), Some(times <= aim))
            }
            Aim::Within(seconds, bytes) => {
                let met = fast.cpu <= seconds && fast.peak_bytes as f64 <= bytes;
                let memory =
                    if bytes.is_finite() { format!(", {:.0} MB", bytes / 1e6) } else { String::new() };
                let figure = format!("{:.3} s, {:.0} MB", fast.cpu, fast.peak_bytes as f64 / 1e6);
                (figure, format!("<= {seconds} s{memory}"), Some(met))
            }
            Aim::None => (format!("{rate:.0} pods/CPU-s"), String::new(), None),
        };
        let plain = plain.map(Measured::nanos_per_pod);
        self.add(vec![
            row.name.to_owned(),
            row.nodes.to_string(),
            fast.pods.to_string(),
            format!("{:.4}", fast.cpu),
            format!("{:.0}", fast.nanos_per_pod()),
            plain.map_or(String::new(), |p| format!("{p:.0}")),
            plain.map_or(String::new(), |p| format!("{:.1}", p / fast.nanos_per_pod())),
            fast.peak_bytes.to_string(),
            fast.decisions.to_string(),
            fast.counted.to_string(),
            fast.events.to_string(),
            figure,
            aim,
            met.map_or("", |met| if met { "yes" } else { "no" }).to_owned(),
        ])
    }
    /// The first of the thirty days of row 3: a cluster that is full after some hours and stays so.
    fn add_first_day(&mut self, row: &Row, day: &Measured) -> Fallible<()> {
        let Aim::Within(seconds, bytes) = row.aim else { return Ok(()) };
        let month = day.cpu * 30.0;
        self.rows.remove(row.name);
        let figure =
            format!("{:.1} s, {:.0} MB: {month:.0} s for 30 days", day.cpu, day.peak_bytes as f64 / 1e6);
        let met = month <= seconds && day.peak_bytes as f64 <= bytes;
        self.add(vec![
            first_day(row),
            row.nodes.to_string(),
            day.pods.to_string(),
            format!("{:.4}", day.cpu),
            format!("{:.0}", day.nanos_per_pod()),
            String::new(),
            String::new(),
            day.peak_bytes.to_string(),
            day.decisions.to_string(),
            day.counted.to_string(),
            day.events.to_string(),
            figure,
            format!("<= {seconds} s, {:.0} MB for 30 days", bytes / 1e6),
            if met { "yes" } else { "no" }.to_owned(),
        ])
    }
    /// A row that is not a run of one scenario.
    fn add_figure(&mut self, row: &str, figure: String, aim: &str, met: bool) -> Fallible<()> {
        let mut fields = vec![String::new(); COLUMNS.len()];
        fields[0] = row.to_owned();
        let met = if met { "yes" } else { "no" };
        fields.splice(11.., [figure, aim.to_owned(), met.to_owned()]);
        self.add(fields)
    }
    fn add(&mut self, fields: Vec<String>) -> Fallible<()> {
        println!("{}", markdown(&fields));
        self.rows.insert(fields[0].clone(), fields);
        self.write()
    }
    fn write(&self) -> Fallible<()> {
        std::fs::create_dir_all(folder())?;
        let mut csv = csv::Writer::from_path(folder().join("scale.csv"))?;
        csv.write_record(COLUMNS)?;
        let mut text = format!("{HEADER}\n");
        for fields in self.rows.values() {
            csv.write_record(fields)?;
            text += &markdown(fields);
            text.push('\n');
        }
        csv.flush()?;
        Ok(std::fs::write(folder().join("scale.md"), text)?)
    }
}

/// What a row is called of which only the first day is run.
fn first_day(row: &Row) -> String {
    format!("{}, first day", row.name)
}

const HEADER: &str = "| row | nodes | pods | CPU s | ns per pod | plain scan, ns per pod | ratio | peak | decisions | counted | figure | aim | met |\n\
                      |---|---|---|---|---|---|---|---|---|---|---|---|---|";

fn markdown(fields: &[String]) -> String {
    let peak = fields[7].parse::<f64>().map_or(String::new(), |bytes| format!("{:.0} MiB", bytes / MIB));
    let mut cells: Vec<&str> = fields.iter().map(String::as_str).collect();
    cells[7] = &peak;
    cells.remove(10);
    format!("| {} |", cells.join(" | "))
}

fn main() -> Fallible<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let Some(("--child", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        println!("{}", child(&rest[0], rest[1] == "plain", &rest[2..])?.text());
        return Ok(());
    }
    let given = |flag: &str| args.iter().any(|a| a == flag);
    let (quick, full) = (given("--quick"), given("--full"));
    let names: Vec<&String> = args.iter().filter(|a| !a.starts_with("--")).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| *n == name);
    let mut table = if names.is_empty() && !quick { Table::default() } else { Table::read() };
    println!("{HEADER}");
    for row in ROWS.iter().filter(|row| wanted(row.name) && !(quick && row.long)) {
        if row.name == "row-6" && std::env::var_os("STOWPLAN_TRACES").is_none() {
            println!("row-6 skipped: STOWPLAN_TRACES is not set");
            continue;
        }
        if row.name == "row-3" && !full {
            table.add_first_day(row, &measure(row.name, "fast", &["duration=1d".to_owned()])?)?;
            continue;
        }
        let fast = measure(row.name, "fast", &[])?;
        let plain = row.plain.map(|sets| compare(row, &fast, sets)).transpose()?;
        table.add_run(row, &fast, plain.as_ref())?;
    }
    if wanted("row-4") {
        backlog(&mut table)?;
    }
    if wanted("row-5") {
        agenda(&mut table)?;
    }
    if wanted("row-7") {
        sweep(&mut table)?;
    }
    if wanted("row-9") {
        memory(&mut table)?;
    }
    draw(&table)
}

/// The plain scan of the same, or of a part of it, which both engines must decide alike.
fn compare(row: &Row, fast: &Measured, sets: &[&str]) -> Fallible<Measured> {
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    let plain = measure(row.name, "plain", &sets)?;
    let fast = if sets.is_empty() { *fast } else { measure(row.name, "fast", &sets)? };
    let of = |m: &Measured| (m.decisions, m.events, m.pods);
    assert_eq!(of(&fast), of(&plain), "engines agree");
    Ok(plain)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
fn folder() -> PathBuf {
    root().join("results/bench")
}

/// One scenario in a process of its own; the best of three if it is short. The plain scan takes so much longer that a few per cent
/// do not matter.
fn measure(name: &str, engine: &str, sets: &[String]) -> Fallible<Measured> {
    let mut best = measure_once(name, engine, sets)?;
    if best.cpu < if engine == "plain" { 0.5 } else { 3.0 } {
        for _ in 0..2 {
            let again = measure_once(name, engine, sets)?;
            best = Measured { cpu: best.cpu.min(again.cpu), ..again };
        }
    }
    Ok(best)
}

fn measure_once(name: &str, engine: &str, sets: &[String]) -> Fallible<Measured> {
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
    let mut prepared = simulate::prepare(&loaded, variant, options)?;
    drop((loaded, file));
    // As the command line does it: what the run changes is not copied.
    let cluster = std::mem::take(&mut prepared.plan.cluster);
    if name == "row-6" {
        // The whole process but for writing files.
        let output = simulate::run_from(&prepared.plan, cluster, "row-6", prepared.sample, options, ())?;
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
    let end = stowplan::world::run_from(&prepared.plan, cluster, &mut pods)?;
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

/// Row 4: what an event costs once the disks are full, with a backlog and without.
fn backlog(table: &mut Table) -> Fallible<()> {
    let mut costs = Vec::new();
    for name in ["row-4-empty", "row-4"] {
        let start = measure(name, "fast", &["duration=10s".to_owned()])?;
        let all = measure(name, "fast", &[])?;
        costs.push((all.cpu - start.cpu) / (all.events - start.events) as f64 * 1e9);
    }
    let times = costs[1] / costs[0];
    let figure = format!(
        "{times:.2} times: {:.0} ns per event without a backlog, {:.0} ns with 100,000 stuck pods",
        costs[0], costs[1]
    );
    table.add_figure("row-4 per event", figure, "<= 2 times", times <= 2.0)
}

/// What row 7 may take before it is measured no more often.
const LONG_SWEEPS: Duration = Duration::from_secs(90);

/// Row 7: a sweep of 64 runs by two threads beside two processes that do half of it each, in turn, three times unless that takes long.
fn sweep(table: &mut Table) -> Fallible<()> {
    let scenario = root().join("scenarios/scale/row-7.yaml");
    let scratch = std::env::temp_dir().join(format!("stowplan-row-7-{}", std::process::id()));
    let start = |name: &str, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stowplan"));
        command.arg("sweep").arg(&scenario).args(["--no-plots", "--quiet", "-o"]).arg(scratch.join(name));
        command.args(args).spawn()
    };
    let (mut threads, mut processes) = (f64::INFINITY, f64::INFINITY);
    let started = Instant::now();
    for round in 0..3 {
        if round > 0 && started.elapsed() > LONG_SWEEPS {
            break;
        }
        let timed = |children: Vec<std::process::Child>, begun: Instant| -> Fallible<f64> {
            for mut child in children {
                let status = child.wait()?;
                if !status.success() {
                    return Err(format!("the sweep ended with {status}").into());
                }
            }
            std::fs::remove_dir_all(&scratch)?;
            Ok(begun.elapsed().as_secs_f64())
        };
        let begun = Instant::now();
        threads = threads.min(timed(vec![start("whole", &["-j", "2"])?], begun)?);
        let begun = Instant::now();
        let halves =
            [start("a", &["-j", "1", "--shard", "1/2"])?, start("b", &["-j", "1", "--shard", "2/2"])?];
        processes = processes.min(timed(halves.into(), begun)?);
    }
    let share = processes / threads;
    let figure = format!(
        "{share:.2}: {threads:.2} s with two threads, {processes:.2} s as two processes (wall clock)"
    );
    table.add_figure("row-7", figure, ">= 0.95 times the processes' speed-up", share >= 0.95)
}

/// Row 9: bytes per node with 8 volumes, and per waiting pod with a claim.
fn memory(table: &mut Table) -> Fallible<()> {
    let weigh = |nodes: u32, pods: u32| -> Fallible<f64> {
        let sets = [format!("cluster.nodes[n].count={nodes}"), format!("workload.generate[t].sets={pods}")];
        Ok(measure_once("row-9", "fast", &sets)?.peak_bytes as f64)
    };
    let base = weigh(10_000, 1)?;
    let node = (weigh(40_000, 1)? - base) / 30_000.0;
    let pod = (weigh(10_000, 400_001)? - base) / 400_000.0;
    table.add_figure(
        "row-9 node",
        format!("{node:.0} B per node with 8 volumes"),
        "<= 2048 B",
        node <= 2048.0,
    )?;
    table.add_figure(
        "row-9 pod",
        format!("{pod:.0} B per waiting pod with its claim"),
        "<= 160 B",
        pod <= 160.0,
    )
}

/// Row 5: the agenda in the hold model beside a bare heap, and its share of row 1.
fn agenda(table: &mut Table) -> Fallible<()> {
    let streams = Streams::new(1, 0);
    let uniform = |name, i| (streams.index(name, EntityKey(i), 1 << 30) as f64 + 1.0) / f64::from(1 << 30);
    let exponential: Vec<u64> = (0..1 << 16).map(|i| (-libm::log(uniform("gap", i)) * 1e9) as u64).collect();
    let mixed: Vec<u64> = (0..1 << 16)
        .map(|i| {
            let long = streams.index("which", EntityKey(i), 10) == 0;
            (uniform("gap", i) * if long { 3.0 * 86400e9 } else { 1e6 }) as u64
        })
        .collect();
    for (what, gaps) in [("exponential", &exponential), ("90 % within 1 ms", &mixed)] {
        for (pending, aim) in [(1_000usize, 1.0), (100_000, 1.5), (1_000_000, 3.0)] {
            let best =
                |hold: fn(&[u64], usize) -> f64| (0..3).map(|_| hold(gaps, pending)).fold(0.0, f64::max);
            let (ours, bare) = (best(hold_agenda), best(hold_heap));
            let times = ours / bare;
            let figure = format!("{times:.2} times: {:.1} M/s, bare heap {:.1} M/s", ours / 1e6, bare / 1e6);
            let name = format!("row-5 {what}, {pending:>7} pending");
            table.add_figure(&name, figure, &format!(">= {aim} times"), times >= aim)?;
        }
    }
    let row_1 = measure("row-1", "fast", &[])?;
    let share = row_1.events as f64 / hold_agenda(&exponential, 10_000) / row_1.cpu;
    let figure = format!("{:.1} % of row 1's time for its {} events", share * 100.0, row_1.events);
    table.add_figure("row-5 share of row 1", figure, "<= 10 %", share <= 0.1)
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

/// Cost per pod over nodes and over templates, all logarithmic.
fn draw(table: &Table) -> Fallible<()> {
    let of = |rows: &[(&str, f64)], column: usize| -> Vec<(f64, f64)> {
        rows.iter().filter_map(|(row, x)| Some((*x, table.number(row, column)?))).collect()
    };
    let nodes = [("row-1", 1e3), ("row-2-5000", 5e3), ("row-2-50000", 5e4)];
    let related = [("row-1b", 1e3), ("row-8", 5e3)];
    let lines = [
        ("bare pods, fast", of(&nodes, 4), BLUE),
        ("bare pods, plain scan", of(&nodes, 5), RED),
        ("spread and affinity, fast", of(&related, 4), GREEN),
        ("spread and affinity, plain scan", of(&related, 5), MAGENTA),
    ];
    plot("scale.svg", "CPU time per pod", "nodes", (500.0, 100_000.0), &lines)?;
    let templates = [
        ("row-1", 30.0),
        ("row-1c-100", 1e2),
        ("row-1c-300", 3e2),
        ("row-1c-1000", 1e3),
        ("row-1c-2000", 2e3),
    ];
    let lines = [("fast", of(&templates, 4), BLUE), ("plain scan", of(&templates, 5), RED)];
    plot("scale-templates.svg", "CPU time per pod on 1,000 nodes", "templates", (20.0, 4_000.0), &lines)
}

type Line = (&'static str, Vec<(f64, f64)>, RGBColor);

fn plot(file: &str, caption: &str, x: &str, range: (f64, f64), lines: &[Line]) -> Fallible<()> {
    let values = lines.iter().flat_map(|(_, points, _)| points.iter().map(|p| p.1));
    let (least, most) = values.fold((1e4, 1e4), |(lo, hi): (f64, f64), v| (lo.min(v), hi.max(v)));
    let path = folder().join(file);
    {
        let area = SVGBackend::new(&path, (680, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(caption, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(80)
            .build_cartesian_2d((range.0..range.1).log_scale(), (least / 2.0..most * 4.0).log_scale())?;
        chart.configure_mesh().x_desc(x).y_desc("nanoseconds per pod").draw()?;
        for (name, points, colour) in lines.iter().filter(|(_, points, _)| !points.is_empty()) {
            let colour = *colour;
            let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), &colour))?;
            drawn.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
            chart.draw_series(points.iter().map(|p| Circle::new(*p, 4, colour.filled())))?;
        }
        chart.configure_series_labels().border_style(BLACK).background_style(WHITE.mix(0.8)).draw()?;
        area.present()?;
    }
    println!("{}", path.display());
    Ok(())
}
