//! Standard output and standard error.

use crate::report::table::Look;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU8, Ordering};

/// Writes to standard output. That nobody reads it any more is no error.
///
/// # Errors
/// Those of the operating system, such as a full disk.
pub fn say(text: &str) -> io::Result<()> {
    say_bytes(text.as_bytes())
}

/// Writes bytes to standard output, as [`say`].
///
/// # Errors
/// As [`say`].
pub fn say_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes JSON to standard output, as [`say`].
///
/// # Errors
/// As [`say`].
pub fn say_json(value: &serde_json::Value) -> io::Result<()> {
    say(&format!("{value:#}\n"))
}

/// Writes to standard error. Who cannot even complain goes on.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// May standard output be coloured?
pub fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && wanted()
}

/// May standard error be coloured?
pub fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && wanted()
}

/// <https://no-color.org>: any text in NO_COLOR switches colours off.
fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// How much is said on standard error: 0 errors only, 1 notes and warnings, 2 everything.
static LEVEL: AtomicU8 = AtomicU8::new(1);

/// `--quiet` and `--verbose`.
pub fn set_level(quiet: bool, verbose: bool) {
    let level = match (quiet, verbose) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    };
    LEVEL.store(level, Ordering::Relaxed);
}

/// `--quiet` was given.
pub fn is_quiet() -> bool {
    LEVEL.load(Ordering::Relaxed) == 0
}

/// `--verbose` was given.
pub fn is_verbose() -> bool {
    LEVEL.load(Ordering::Relaxed) == 2
}

/// Notes and warnings, unless `--quiet` was given.
pub fn note(text: &str) {
    if !is_quiet() {
        complain(text);
    }
}

/// Columns of the terminal: COLUMNS, or what the terminal on standard output says.
pub fn width() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let terminal = || terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0));
    said.or_else(terminal).filter(|columns| *columns > 0)
}

/// How text on standard output should look.
pub fn look() -> Look {
    let mut look = Look { colour: colour_on_stdout(), ..Look::default() };
    look.width = width().unwrap_or(look.width);
    look
}
