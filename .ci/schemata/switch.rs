//! The switches of all mutants of one build. Written into a scratch copy by `.ci/mutants`, no part of the package.
//! STOWPLAN_MUTANT=7 makes mutant 7 the running one; STOWPLAN_MUTANT_REACH=file appends the number of each mutant that is come to.

use std::io::Write;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// One more than the running mutant's number, MAX for none, nought before the environment was read.
static RUNNING: AtomicU32 = AtomicU32::new(0);
static REACHED: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];
static RECORDING: AtomicU32 = AtomicU32::new(0);

/// Whether this mutant is the running one.
#[inline]
pub fn active(mutant: u32) -> bool {
    let mut running = RUNNING.load(Relaxed);
    if running == 0 {
        running = start();
    }
    if RECORDING.load(Relaxed) != 0 {
        reach(mutant);
    }
    running == mutant + 1
}

#[cold]
#[allow(clippy::disallowed_methods)]
fn start() -> u32 {
    let number = std::env::var("STOWPLAN_MUTANT").ok().and_then(|n| n.parse().ok());
    let running = number.map_or(u32::MAX, |n: u32| n + 1);
    RECORDING.store(u32::from(std::env::var_os("STOWPLAN_MUTANT_REACH").is_some()), Relaxed);
    RUNNING.store(running, Relaxed);
    running
}

#[cold]
#[allow(clippy::disallowed_methods)]
fn reach(mutant: u32) {
    let Some(word) = REACHED.get(mutant as usize / 64) else { return };
    let bit = 1 << (mutant % 64);
    if word.load(Relaxed) & bit != 0 || word.fetch_or(bit, Relaxed) & bit != 0 {
        return;
    }
    if let Some(path) = std::env::var_os("STOWPLAN_MUTANT_REACH")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = file.write_all(format!("{mutant}\n").as_bytes());
    }
}
