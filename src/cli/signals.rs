//! Ctrl-C and termination: the program leaves with 128 plus the signal's number, and leaves nothing half-written.
//!
//! Results are written beside their place and renamed, so a process may die at any time; a hidden folder that it leaves behind
//! is cleared away here if there is time, else by the next run.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Set at the first signal. Long work that can be continued later (a sweep) looks at it; everything else is ended at once.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// The last signal that came.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// The exit code of work that ended because of [`STOP`].
pub fn exit_code() -> u8 {
    u8::try_from(128 + SIGNAL.load(Ordering::SeqCst)).unwrap_or(130)
}

/// The work at hand looks at [`STOP`] and ends by itself soon.
static GENTLE: AtomicBool = AtomicBool::new(false);

/// From now on the work at hand looks at [`STOP`]; a second signal ends it at once.
pub fn stop_gently() {
    GENTLE.store(true, Ordering::SeqCst);
}

/// From now on a signal ends the program at once again; one that came before is still known.
pub fn stop_at_once() {
    GENTLE.store(false, Ordering::SeqCst);
}

/// Listens from now on.
#[cfg(unix)]
pub fn install() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            SIGNAL.store(signal, Ordering::SeqCst);
            let again = STOP.swap(true, Ordering::SeqCst);
            if again || !GENTLE.load(Ordering::SeqCst) {
                super::output::complain(if again {
                    "error: stopped at once\n"
                } else {
                    "error: stopped; results appear whole or not at all, and these were not there yet\n"
                });
                crate::results::write::clear_unfinished();
                std::process::exit(128 + signal);
            }
        }
    });
}

/// Listens from now on: nothing to be done where there are no such signals.
#[cfg(not(unix))]
pub fn install() {}
