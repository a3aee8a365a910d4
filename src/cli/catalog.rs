//! `stowplan catalog`: the built-in machine shapes and workload presets.

use super::{Answer, output};
use crate::limits;
use crate::report::human;
use crate::scenario::catalog::{Machine, Preset, machines, presets};
use serde_json::json;
use std::fmt::Write as _;

/// Arguments of `catalog`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stowplan catalog machines i4i\n  stowplan catalog workloads mysql\n  stowplan catalog --json | jq '.machines[].name'"
)]
pub struct Args {
    /// What to list; machines and workloads without it.
    #[arg(value_enum)]
    what: Option<What>,
    /// Only names, families, providers and kinds that contain this.
    filter: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Machine shapes with local disks.
    Machines,
    /// Workload presets.
    Workloads,
    /// Limits of what is accepted of input, which `--limit NAME=VALUE` changes.
    Limits,
}

/// Lists the catalogues.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> Answer {
    if args.what == Some(What::Limits) {
        return limit_list(args);
    }
    let wanted = |texts: &[&str]| {
        let filter = args.filter.as_deref().unwrap_or("").to_lowercase();
        texts.iter().any(|t| t.to_lowercase().contains(&filter))
    };
    let machines: Vec<&Machine> =
        machines().iter().filter(|m| wanted(&[&m.name, &m.family, &m.provider, &m.disk_kind])).collect();
    let presets: Vec<&Preset> = presets().iter().filter(|p| wanted(&[&p.name, &p.kind])).collect();
    let (show_machines, show_presets) =
        (args.what != Some(What::Workloads), args.what != Some(What::Machines));
    if args.json {
        let mut all = serde_json::Map::new();
        if show_machines {
            all.insert("machines".to_owned(), machines.iter().map(|m| machine_json(m)).collect());
        }
        if show_presets {
            all.insert("workloads".to_owned(), presets.iter().map(|p| preset_json(p)).collect());
        }
        output::say(&format!("{}\n", serde_json::Value::Object(all)))?;
        return Ok(0);
    }
    let mut out = String::new();
    if show_machines {
        machine_table(&mut out, &machines);
    }
    if show_machines && show_presets {
        out.push('\n');
    }
    if show_presets {
        preset_table(&mut out, &presets);
    }
    output::say(&out)?;
    let found = (show_machines && !machines.is_empty()) || (show_presets && !presets.is_empty());
    Ok(u8::from(!found))
}

/// The limits that hold, also after `--limit`.
fn limit_list(args: &Args) -> Answer {
    let all = || limits::LIMITS.iter().filter(|i| i.name.contains(args.filter.as_deref().unwrap_or("")));
    if args.json {
        let rows = all().map(|i| {
            json!({"name": i.name, "value": i.limit.get(), "default": i.default, "most": i.most, "unit": i.unit,
                   "meaning": i.meaning})
        });
        let rows: Vec<serde_json::Value> = rows.collect();
        output::say(&format!("{}\n", json!({"limits": rows})))?;
        return Ok(0);
    }
    let head = ["limit", "value", "unit", "what"];
    let rows = all()
        .map(|i| [i.name.to_owned(), i.limit.get().to_string(), i.unit.to_owned(), i.meaning.to_owned()]);
    let mut out = String::new();
    table(&mut out, head, rows.collect());
    output::say(&out)?;
    Ok(u8::from(all().next().is_none()))
}

fn machine_json(m: &Machine) -> serde_json::Value {
    json!({"name": m.name, "provider": m.provider, "family": m.family, "vcpu": m.vcpu, "memory": m.memory.to_string(),
           "diskCount": m.disk_count, "diskBytes": m.disk_bytes, "diskKind": m.disk_kind, "confidence": m.confidence})
}

fn preset_json(p: &Preset) -> serde_json::Value {
    json!({"name": p.name, "kind": p.kind, "replicas": p.replicas, "cpuMilli": p.cpu_milli, "memoryMib": p.memory_mib,
           "volumeGib": p.volume_gib, "antiAffinity": p.anti_affinity, "confidence": p.confidence})
}

fn machine_table(out: &mut String, machines: &[&Machine]) {
    let head = ["machine", "CPU", "memory", "disks", "each", "kind", "provider", "confidence"];
    let rows = machines.iter().map(|m| {
        [
            m.name.clone(),
            m.vcpu.to_string(),
            human::bytes(m.memory.ceil().max(0) as u128),
            m.disk_count.to_string(),
            human::bytes(u128::from(m.disk_bytes)),
            m.disk_kind.clone(),
            m.provider.clone(),
            m.confidence.clone(),
        ]
    });
    table(out, head, rows.collect());
}

fn preset_table(out: &mut String, presets: &[&Preset]) {
    let head =
        ["workload", "replicas", "CPU", "memory", "volumes GiB", "kind", "anti-affinity", "confidence"];
    let rows = presets.iter().map(|p| {
        let volumes: Vec<String> = p.volume_gib.iter().map(u64::to_string).collect();
        [
            p.name.clone(),
            p.replicas.to_string(),
            human::cores(p.cpu_milli as f64),
            human::bytes((p.memory_mib.max(0) as u128) << 20),
            volumes.join("+"),
            p.kind.clone(),
            p.anti_affinity.clone(),
            p.confidence.clone(),
        ]
    });
    table(out, head, rows.collect());
}

/// Columns as wide as their widest cell. Those that do not fit the terminal are left out from the right; `--json` has them all.
fn table<const N: usize>(out: &mut String, head: [&str; N], rows: Vec<[String; N]>) {
    let room = output::look().width;
    let widths: Vec<usize> = (0..head.len())
        .map(|i| rows.iter().map(|r| r[i].chars().count()).chain([head[i].len()]).max().unwrap_or(0))
        .collect();
    let mut shown = 0;
    let mut used = 0;
    for width in &widths {
        used += width + if shown > 0 { 2 } else { 0 };
        if used > room && shown > 1 {
            break;
        }
        shown += 1;
    }
    let head = head.map(str::to_owned);
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate().take(shown) {
            let gap = if i > 0 { "  " } else { "" };
            // Numbers to the right, words to the left.
            let right = rows.iter().all(|r| r[i].starts_with(|c: char| c.is_ascii_digit()));
            let width = widths[i];
            line.push_str(&if right {
                format!("{gap}{cell:>width$}")
            } else {
                format!("{gap}{cell:<width$}")
            });
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
    }
}
