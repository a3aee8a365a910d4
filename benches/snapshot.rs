//! How long a snapshot of a large cluster takes to load, and how much memory: 5,000 nodes, 50,000 pods, 20,000 volumes, about a
//! gigabyte of JSON. The aim is 20 s and 3 GB.
//!
//! `cargo bench --bench snapshot` measures; `STOWPLAN_SNAPSHOT_FILE=big.json` keeps the file for `stowplan run -f big.json --stats`.

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

#[path = "../tests/support/snapshot.rs"]
mod snapshot;

use snapshot::Size;
use std::path::PathBuf;
use std::time::Instant;
use stowplan::scenario::{LoadOptions, ScenarioFile};
use stowplan::simulate::{Options, prepare};

const SIZE: Size = Size { nodes: 5_000, pods: 50_000, volumes: 20_000, managed_bytes: 3_000 };

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kept = std::env::var_os("STOWPLAN_SNAPSHOT_FILE").map(PathBuf::from);
    let folder = tempfile::tempdir()?;
    let path = kept.unwrap_or_else(|| folder.path().join("snapshot.json"));
    if !path.exists() {
        let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(&path)?);
        let expected = snapshot::write(SIZE, &mut file)?;
        println!("made {}: {expected:?}", path.display());
    }
    let bytes = std::fs::metadata(&path)?.len();
    let begun = Instant::now();
    let file = ScenarioFile::from_manifests(&[path.display().to_string()], &LoadOptions::default());
    let loaded = file.resolve(&[]).map_err(|e| e.to_string())?;
    let prepared = prepare(&loaded, None, Options::default()).map_err(|e| e.to_string())?;
    let seconds = begun.elapsed().as_secs_f64();
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("VmHWM: unknown").to_owned();
    let cluster = &prepared.plan.cluster;
    println!(
        "{} nodes, {} pods, {} volumes in {:.2} GB of JSON: loaded in {seconds:.1} s; {peak}",
        cluster.node_count(),
        cluster.pods().iter().count(),
        cluster.volumes().iter().count(),
        bytes as f64 / 1e9,
    );
    Ok(())
}
