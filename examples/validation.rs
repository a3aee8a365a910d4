//! Writes `docs/VALIDATION.md` and its pictures: recordings of the real control plane beside the same operations simulated.
//!
//! ```text
//! cargo run --release --example validation [-- FOLDER_OF_RECORDINGS [SEEDS]]
//! ```

use rayon::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};
use stowplan::recording::replay::{Player, Replay, recorded_end, recorded_messages};

/// The window of the table's averages.
const WINDOW: (f64, f64) = (120.0, 360.0);

/// Rows of the table: name, and what the same list gave when it was recorded for a second time, WaitForFirstConsumer and Immediate.
const ROWS: [(&str, [f64; 2]); 12] = [
    ("stuck (PodScheduled False, Unschedulable), average", [2.07, 15.85]),
    ("stuck, final", [3.0, 14.0]),
    ("waiting pods with 1 claim", [0.89, 1.34]),
    ("waiting pods with 2 claims", [1.12, 14.5]),
    ("desired minus running", [2.98, 24.93]),
    ("over-size Gi, average", [9477.0, 5894.0]),
    ("over-size Gi, final", [9279.0, 5279.0]),
    ("CPU allocated (of 288)", [253.5, 208.0]),
    ("PVs available", [15.5, 28.2]),
    ("pending p90 of StatefulSet pods that got scheduled, s", [4.95, 2.51]),
    ("pods never scheduled", [5.0, 25.0]),
    // The log of events tells an attempt's message only when it is new.
    ("failed scheduling attempts", [1129.0, 5573.0]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().map_or_else(|| root.join("tests/recordings"), PathBuf::from);
    let seeds: u64 = arguments.next().map_or(Ok(20), |n| n.parse())?;
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?.flatten().map(|e| e.path()).collect();
    files.retain(|p| p.to_string_lossy().ends_with(".json.gz"));
    files.sort();
    let docs = root.join("docs");
    fs::create_dir_all(docs.join("validation"))?;
    let mut text = String::from(HEAD);
    let is_list = |path: &&PathBuf| name(path).starts_with("churn-");
    for path in files.iter().filter(is_list) {
        churn(path, seeds, &docs, &mut text)?;
    }
    text.push_str(WATCHES);
    for path in files.iter().filter(|path| !is_list(path)) {
        watch(path, seeds, &mut text)?;
    }
    fs::write(docs.join("VALIDATION.md"), text)?;
    Ok(())
}

const HEAD: &str = "# Validation: recorded and simulated side by side

Made by `cargo run --release --example validation`, which imports every recording in `tests/recordings/` as
`stowplan import recording` does, runs it for seeds 0 to 19 and compares. Nothing of what the control plane decided is in the
scenarios: only the objects, and what was done to the cluster when. \"Real\" is Kubernetes v1.36.2.

## Churn

360 s of arrivals, departures, scaling, a silent and a cordoned node, about 200 operations on 24 nodes with 96 local volumes.
\"Real again\" is the same list recorded a second time: the noise of the real system. *Inside*: between the least and the greatest of
the seeds; *near*: nearer to them than the two recordings are to each other.

";

const WATCHES: &str = "## Single situations

The same final state: phase, node and condition message of every pod, phase and volume of every claim, as recorded, are among what the
seeds give, and the phases are in all of them. Messages: what the condition PodScheduled said at any time. (Messages that a pod shows for
some milliseconds while its claim is being bound, deleted or made anew are not counted: which of them an attempt meets is a matter
of latencies.)

| recording | pods, claims | final state | seeds with exactly the recorded state | messages recorded / also here / only here |
|---|---|---|---|---|
";

fn name(path: &Path) -> String {
    let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    file.trim_end_matches(".json.gz").to_owned()
}

fn play(path: &Path, seeds: u64) -> Result<(Player, Vec<Replay>), Box<dyn Error>> {
    let player = Player::open(path)?;
    let runs: Result<Vec<Replay>, _> = (0..seeds).into_par_iter().map(|seed| player.run(seed)).collect();
    Ok((player, runs?))
}

// ---- churn ----

fn churn(path: &Path, seeds: u64, docs: &Path, text: &mut String) -> Result<(), Box<dyn Error>> {
    let (player, runs) = play(path, seeds)?;
    let (name, recording) = (name(path), &player.recording);
    let mode = recording["settings"]["volumeBindingMode"].as_str().unwrap_or("?");
    let second = usize::from(mode == "Immediate");
    let picture = format!("validation/{name}.svg");
    fs::write(docs.join(&picture), stuck_picture(recording, &runs, mode))?;
    writeln!(text, "### {mode} (`{name}`)\n\n![stuck pods over time]({picture})\n")?;
    writeln!(
        text,
        "| measure (average over 120..360 s unless said) | real | real again | least | median | greatest | |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    let real = real_figures(recording);
    let ours: Vec<[f64; 12]> = runs.iter().map(figures).collect();
    let has_second = name.ends_with("-s1");
    for (row, (title, again)) in ROWS.iter().enumerate() {
        let mut all: Vec<f64> = ours.iter().map(|figures| figures[row]).collect();
        all.sort_by(f64::total_cmp);
        let (least, median, most) = (all[0], all[all.len() / 2], all[all.len() - 1]);
        let again = has_second.then_some(again[second]);
        let verdict = verdict(real[row], again, least, most);
        let digits = if most >= 100.0 { 0 } else { 2 };
        let again = again.map_or(String::new(), |a| format!("{a:.digits$}"));
        writeln!(
            text,
            "| {title} | {:.digits$} | {again} | {least:.digits$} | {median:.digits$} | {most:.digits$} | {verdict} |",
            real[row]
        )?;
    }
    histogram(recording, &runs, text)?;
    Ok(())
}

/// Does the recorded figure lie among ours, or nearer to them than the two recordings are to each other?
fn verdict(real: f64, again: Option<f64>, least: f64, most: f64) -> &'static str {
    let noise = again.map_or(0.0, |again| (again - real).abs());
    let off = |figure: f64| (least - figure).max(figure - most).max(0.0);
    let worst = again.map_or(off(real), |again| off(real).max(off(again)));
    if worst == 0.0 {
        "inside"
    } else if worst <= noise {
        "near"
    } else {
        "**off**"
    }
}

fn real_figures(recording: &Value) -> [f64; 12] {
    let samples = recording["samples"].as_array().map(Vec::as_slice).unwrap_or_default();
    let number = |sample: &Value, key: &str| sample[key].as_f64().unwrap_or(0.0);
    let inside = |s: &&Value| (WINDOW.0..=WINDOW.1).contains(&number(s, "t"));
    let window: Vec<&Value> = samples.iter().filter(inside).collect();
    let mean =
        |of: &dyn Fn(&Value) -> f64| window.iter().map(|s| of(s)).sum::<f64>() / window.len().max(1) as f64;
    let last = samples.last().cloned().unwrap_or_default();
    let pods = recording["pods"].as_array().map(Vec::as_slice).unwrap_or_default();
    let waiting = |claims: usize| {
        let of = |pod: &&Value| pod["claims"].as_array().map_or(0, Vec::len) == claims;
        let spans: Vec<(f64, f64)> = pods.iter().filter(of).flat_map(waits).collect();
        time_average(&spans)
    };
    let mut pending: Vec<f64> = pods
        .iter()
        .filter(|p| p["owner"].as_str().is_some_and(|o| o.starts_with("StatefulSet/")))
        .filter_map(|p| Some(p["scheduled"].as_f64()? - p["created"].as_f64()?))
        .collect();
    pending.sort_by(f64::total_cmp);
    [
        mean(&|s| number(s, "unschedulable")),
        number(&last, "unschedulable"),
        waiting(1),
        waiting(2),
        mean(&|s| number(s, "desiredSts") + number(s, "desiredDep") - number(s, "running")),
        mean(&|s| number(s, "oversizeGi")),
        number(&last, "oversizeGi"),
        mean(&|s| number(s, "cpuAllocated")),
        mean(&|s| number(s, "pvAvailable")),
        p90(&pending),
        pods.iter().filter(|p| p["scheduled"].is_null()).count() as f64,
        recording["failedScheduling"]["attemptsTotal"].as_f64().unwrap_or(0.0),
    ]
}

/// When a recorded pod's condition was Unschedulable: from its first message until it was scheduled or gone.
fn waits(pod: &Value) -> Option<(f64, f64)> {
    let first = pod["messages"].as_array()?.first()?[0].as_f64()?;
    let end = pod["scheduled"].as_f64().or(pod["deleted"].as_f64()).unwrap_or(f64::INFINITY);
    Some((first, end))
}

/// How many of the spans hold at a time, averaged over the window.
fn time_average(spans: &[(f64, f64)]) -> f64 {
    let inside = |(from, to): &(f64, f64)| (to.min(WINDOW.1) - from.max(WINDOW.0)).max(0.0);
    spans.iter().map(inside).sum::<f64>() / (WINDOW.1 - WINDOW.0)
}

fn p90(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() * 9 / 10).copied().unwrap_or(0.0)
}

/// A pod's life, as the log of events tells it.
#[derive(Default)]
struct Life {
    created: f64,
    assigned: Option<f64>,
    waits_since: Option<f64>,
    gone: Option<f64>,
}

fn lives(run: &Replay) -> Vec<(String, Life)> {
    let mut done: Vec<(String, Life)> = Vec::new();
    let mut now: BTreeMap<String, Life> = BTreeMap::new();
    for event in &run.events {
        let (Some(at), Some(pod)) = (event["seconds"].as_f64(), event["pod"].as_str()) else { continue };
        match event["what"].as_str().unwrap_or_default() {
            "PodCreated" => {
                now.insert(pod.to_owned(), Life { created: at, ..Life::default() });
            }
            "Attempt" if event["result"] == "Unschedulable" => {
                if let Some(life) = now.get_mut(pod) {
                    life.waits_since.get_or_insert(at);
                }
            }
            "PodAssigned" => {
                if let Some(life) = now.get_mut(pod) {
                    life.assigned = Some(at);
                }
            }
            "PodGone" => {
                if let Some(mut life) = now.remove(pod) {
                    life.gone = Some(at);
                    done.push((pod.to_owned(), life));
                }
            }
            _ => {}
        }
    }
    done.extend(now);
    done
}

fn figures(run: &Replay) -> [f64; 12] {
    let rows = &run.output.timeseries;
    let window: Vec<_> = rows.iter().filter(|r| (WINDOW.0..=WINDOW.1).contains(&r.seconds)).collect();
    let mean = |of: &dyn Fn(&stowplan::results::tables::SampleRow) -> f64| {
        window.iter().map(|r| of(r)).sum::<f64>() / window.len().max(1) as f64
    };
    let gib = f64::from(1 << 30);
    let last = rows.last();
    let owners: BTreeMap<String, (bool, usize)> = run
        .output
        .pods
        .iter()
        .map(|p| {
            let claims = p.claims.split_whitespace().count();
            (format!("{}/{}", p.namespace, p.name), (p.owner == "StatefulSet", claims))
        })
        .collect();
    let lives = lives(run);
    let of = |pod: &str| owners.get(pod).copied().unwrap_or((false, 0));
    let waiting = |claims: usize| {
        let spans: Vec<(f64, f64)> = lives
            .iter()
            .filter(|(pod, _)| of(pod).1 == claims)
            .filter_map(|(_, life)| {
                let end = life.assigned.or(life.gone).unwrap_or(f64::INFINITY);
                Some((life.waits_since?, end))
            })
            .collect();
        time_average(&spans)
    };
    let mut pending: Vec<f64> = lives
        .iter()
        .filter(|(pod, _)| of(pod).0)
        .filter_map(|(_, life)| Some(life.assigned? - life.created))
        .collect();
    pending.sort_by(f64::total_cmp);
    [
        mean(&|r| r.unschedulable as f64),
        last.map_or(0.0, |r| r.unschedulable as f64),
        waiting(1),
        waiting(2),
        mean(&|r| r.wanted as f64 - r.running as f64),
        mean(&|r| r.over_size_bytes as f64 / gib),
        last.map_or(0.0, |r| r.over_size_bytes as f64 / gib),
        mean(&|r| r.cpu_requested_milli as f64 / 1e3),
        available_volumes(run),
        p90(&pending),
        lives.iter().filter(|(_, life)| life.assigned.is_none()).count() as f64,
        run.failures().values().sum::<u64>() as f64,
    ]
}

/// Volumes in phase Available, averaged over the window.
fn available_volumes(run: &Replay) -> f64 {
    let mut since: BTreeMap<&str, f64> = BTreeMap::new();
    let mut spans = Vec::new();
    for event in &run.events {
        let (Some(at), Some(volume)) = (event["seconds"].as_f64(), event["volume"].as_str()) else {
            continue;
        };
        match event["what"].as_str().unwrap_or_default() {
            "VolumePhase" if event["phase"] == "Available" => {
                since.insert(volume, at);
            }
            "VolumePhase" | "VolumeGone" => spans.extend(since.remove(volume).map(|from| (from, at))),
            _ => {}
        }
    }
    spans.extend(since.into_values().map(|from| (from, f64::INFINITY)));
    time_average(&spans)
}

/// Failed attempts by the set of reasons in their message.
fn histogram(recording: &Value, runs: &[Replay], text: &mut String) -> Result<(), Box<dyn Error>> {
    let mut real: BTreeMap<String, f64> = BTreeMap::new();
    for (message, count) in recording["failedScheduling"]["attempts"].as_object().into_iter().flatten() {
        *real.entry(reasons(message)).or_default() += count.as_f64().unwrap_or(0.0);
    }
    let ours: Vec<BTreeMap<String, f64>> = runs
        .iter()
        .map(|run| {
            let mut all: BTreeMap<String, f64> = BTreeMap::new();
            for ((_, message), count) in run.failures() {
                *all.entry(reasons(&message)).or_default() += count as f64;
            }
            all
        })
        .collect();
    let mut classes: BTreeSet<&String> = real.keys().collect();
    classes.extend(ours.iter().flat_map(BTreeMap::keys));
    let of = |class: &String| {
        let mut all: Vec<f64> = ours.iter().map(|run| run.get(class).copied().unwrap_or(0.0)).collect();
        all.sort_by(f64::total_cmp);
        (all[0], all[all.len() / 2], all[all.len() - 1])
    };
    let mut rows: Vec<(&String, f64)> =
        classes.into_iter().map(|class| (class, real.get(class).copied().unwrap_or(0.0))).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(of(b.0).1.total_cmp(&of(a.0).1)));
    writeln!(text, "\nFailed attempts by the reasons in their message (0/24 nodes are available: ...):\n")?;
    writeln!(text, "| reasons | real | least | median | greatest |\n|---|---|---|---|---|")?;
    for (class, real) in rows.into_iter().filter(|(class, real)| *real > 0.0 || of(class).2 >= 5.0) {
        let (least, median, most) = of(class);
        writeln!(text, "| {class} | {real:.0} | {least:.0} | {median:.0} | {most:.0} |")?;
    }
    text.push('\n');
    Ok(())
}

/// The reasons of a message without their counts and names.
fn reasons(message: &str) -> String {
    let body = message.split_once("available: ").map_or(message, |(_, rest)| rest);
    let body = body.split(". no new claims").next().unwrap_or(body);
    let body = if body.contains('"') {
        let parts: Vec<&str> = body.split('"').collect();
        parts
            .iter()
            .enumerate()
            .map(|(i, p)| if i % 2 == 1 { "X" } else { *p })
            .collect::<Vec<_>>()
            .join("\"")
    } else {
        body.to_owned()
    };
    let parts = body.trim_end_matches('.').split(", ");
    let bare = |part: &str| part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').to_owned();
    let all: BTreeSet<String> = parts.map(bare).collect();
    all.into_iter().collect::<Vec<_>>().join(" + ")
}

// ---- the picture ----

fn stuck_picture(recording: &Value, runs: &[Replay], mode: &str) -> String {
    const WIDTH: f64 = 860.0;
    const HEIGHT: f64 = 300.0;
    const LEFT: f64 = 50.0;
    const TOP: f64 = 34.0;
    let real: Vec<(f64, f64)> = recording["samples"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| Some((s["t"].as_f64()?, s["unschedulable"].as_f64()?)))
        .collect();
    let ours = |second: f64| -> Vec<f64> {
        let mut all: Vec<f64> = runs
            .iter()
            .filter_map(|run| run.output.timeseries.iter().find(|r| r.seconds >= second))
            .map(|r| r.unschedulable as f64)
            .collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let times: Vec<f64> = (0..=360).step_by(2).map(f64::from).collect();
    let band: Vec<(f64, Vec<f64>)> =
        times.iter().map(|t| (*t, ours(*t))).filter(|(_, all)| !all.is_empty()).collect();
    let top = real
        .iter()
        .map(|(_, n)| *n)
        .chain(band.iter().map(|(_, all)| all[all.len() - 1]))
        .fold(1.0, f64::max);
    let step = if top > 12.0 { 5.0 } else { 1.0 };
    let top = (top / step).ceil() * step;
    let x = |t: f64| LEFT + t / 360.0 * WIDTH;
    let y = |n: f64| TOP + HEIGHT - n / top * HEIGHT;
    let point = |t: f64, n: f64| format!("{:.1},{:.1}", x(t), y(n));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">Stuck pods over time, {mode}: recorded, and {} seeds</text>\n",
        LEFT + WIDTH + 20.0,
        TOP + HEIGHT + 44.0,
        runs.len()
    );
    let mut line = 0.0;
    while line <= top {
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#ddd\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{line}</text>",
            LEFT + WIDTH,
            y(line),
            LEFT - 8.0,
            y(line) + 4.0
        );
        line += step;
    }
    for t in (0..=360).step_by(60) {
        let t = f64::from(t);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{t:.0} s</text>",
            x(t),
            TOP + HEIGHT + 18.0
        );
    }
    let upper = band.iter().map(|(t, all)| point(*t, all[all.len() - 1]));
    let lower = band.iter().rev().map(|(t, all)| point(*t, all[0]));
    let polygon: Vec<String> = upper.chain(lower).collect();
    let _ =
        writeln!(svg, "<polygon points=\"{}\" fill=\"#9ecae1\" fill-opacity=\"0.6\"/>", polygon.join(" "));
    let median: Vec<String> = band.iter().map(|(t, all)| point(*t, all[all.len() / 2])).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#2171b5\" stroke-width=\"1.5\"/>",
        median.join(" ")
    );
    let real: Vec<String> = real.iter().map(|(t, n)| point(*t, *n)).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#d94801\" stroke-width=\"1.8\"/>",
        real.join(" ")
    );
    let legend = TOP + HEIGHT + 36.0;
    for (at, colour, words) in [
        (LEFT, "#d94801", "recorded"),
        (LEFT + 110.0, "#2171b5", "simulated, median"),
        (LEFT + 280.0, "#9ecae1", "simulated, least to greatest"),
    ] {
        let _ = writeln!(
            svg,
            "<rect x=\"{at}\" y=\"{}\" width=\"18\" height=\"6\" fill=\"{colour}\"/><text x=\"{}\" y=\"{legend}\">{words}</text>",
            legend - 8.0,
            at + 24.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

// ---- single situations ----

fn watch(path: &Path, seeds: u64, text: &mut String) -> Result<(), Box<dyn Error>> {
    let (player, runs) = play(path, seeds)?;
    let pods = recorded_end(&player.recording, "Pod");
    let claims = recorded_end(&player.recording, "PersistentVolumeClaim");
    let (mut missing, mut exact) = (0, 0);
    for (name, end) in &pods {
        missing += usize::from(!runs.iter().any(|run| run.pods().get(name) == Some(end)));
    }
    for (name, end) in &claims {
        missing += usize::from(!runs.iter().any(|run| run.claims().get(name) == Some(end)));
    }
    exact += runs.iter().filter(|run| run.pods() == pods && run.claims() == claims).count();
    let passing = |m: &str| {
        m.contains("is being deleted. not found")
            || m.contains("not found. not found")
            || m.contains("unbound immediate")
    };
    let real: BTreeSet<String> =
        recorded_messages(&player.recording).into_iter().map(|(_, m)| m).filter(|m| !passing(m)).collect();
    let ours: BTreeSet<String> =
        runs.iter().flat_map(Replay::failures).map(|((_, m), _)| m).filter(|m| !passing(m)).collect();
    let same = if missing == 0 { "same".to_owned() } else { format!("**{missing} objects differ**") };
    writeln!(
        text,
        "| {} | {}, {} | {same} | {exact} of {seeds} | {} / {} / {} |",
        name(path),
        pods.len(),
        claims.len(),
        real.len(),
        real.intersection(&ours).count(),
        ours.difference(&real).count()
    )?;
    Ok(())
}
