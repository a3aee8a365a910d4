//! `stowplan catalog`: the built-in machine shapes and workload presets.

use super::{Answer, output};
use crate::scenario::catalog::{Machine, Preset, machines, presets};
use serde_json::json;
use std::fmt::Write as _;

/// Arguments of `catalog`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stowplan catalog machines i4i\n  stowplan catalog workloads mysql\n  stowplan catalog --json | jq '.machines[].name'"
)]
pub struct Args {
    /// What to list; both without it.
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
}

/// Lists the catalogues.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> Answer {
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

fn machine_json(m: &Machine) -> serde_json::Value {
    json!({"name": m.name, "provider": m.provider, "family": m.family, "vcpu": m.vcpu, "memory": m.memory.to_string(),
           "diskCount": m.disk_count, "diskBytes": m.disk_bytes, "diskKind": m.disk_kind, "confidence": m.confidence})
}

fn preset_json(p: &Preset) -> serde_json::Value {
    json!({"name": p.name, "kind": p.kind, "replicas": p.replicas, "cpuMilli": p.cpu_milli, "memoryMib": p.memory_mib,
           "volumeGib": p.volume_gib, "antiAffinity": p.anti_affinity, "confidence": p.confidence})
}

fn machine_table(out: &mut String, machines: &[&Machine]) {
    let widest = machines.iter().map(|m| m.name.len()).max().unwrap_or(0).max(7);
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{:<9} {:<widest$} {:>5} {:>8} {:>6} {:>9} {:<5} confidence",
        "provider", "machine", "CPU", "memory", "disks", "GiB each", "kind"
    );
    for m in machines {
        let _ = writeln!(
            out,
            "{:<9} {:<widest$} {:>5} {:>8} {:>6} {:>9} {:<5} {}",
            m.provider,
            m.name,
            m.vcpu,
            m.memory.to_string(),
            m.disk_count,
            m.disk_bytes >> 30,
            m.disk_kind,
            m.confidence
        );
    }
}

fn preset_table(out: &mut String, presets: &[&Preset]) {
    let widest = presets.iter().map(|p| p.name.len()).max().unwrap_or(0).max(8);
    let _ = writeln!(
        out,
        "{:<widest$} {:<12} {:>8} {:>6} {:>8} {:<14} {:<13} confidence",
        "workload", "kind", "replicas", "CPU", "memory", "volumes GiB", "anti-affinity"
    );
    for p in presets {
        let volumes: Vec<String> = p.volume_gib.iter().map(u64::to_string).collect();
        let _ = writeln!(
            out,
            "{:<widest$} {:<12} {:>8} {:>6} {:>8} {:<14} {:<13} {}",
            p.name,
            p.kind,
            p.replicas,
            format!("{}m", p.cpu_milli),
            format!("{}Mi", p.memory_mib),
            volumes.join("+"),
            p.anti_affinity,
            p.confidence
        );
    }
}
