//! Standard output and standard error.

use std::io::{self, IsTerminal, Write};

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

/// Columns of the terminal, if standard output is one that says so.
pub fn width() -> Option<usize> {
    let columns: usize = std::env::var("COLUMNS").ok()?.parse().ok()?;
    (columns >= 40).then_some(columns)
}
