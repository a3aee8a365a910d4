//! One binary for all targets, so that it links once. `STOWPLAN_FUZZ_TARGET` is the name of one.

#![no_main]

#[path = "targets.rs"]
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static TARGET: OnceLock<targets::Target> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let target = TARGET.get_or_init(|| {
        targets::small_limits();
        let name = std::env::var("STOWPLAN_FUZZ_TARGET").unwrap_or_default();
        targets::all().into_iter().find(|t| t.name == name).unwrap_or_else(|| {
            let names: Vec<String> = targets::all().into_iter().map(|t| t.name).collect();
            panic!("STOWPLAN_FUZZ_TARGET is one of {}", names.join(" "))
        })
    });
    (target.run)(data);
});
