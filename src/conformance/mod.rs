//! Replays decisions recorded from the real scheduler and PV controller and compares everything that was recorded.
//!
//! A recording is a file of lines, one case per line: objects, then scheduling attempts in order, each with what the real thing did.

pub mod case;
pub mod compare;
pub mod explain;
pub mod replay;
pub mod report;

pub use case::{Case, Expect, read_lines};
pub use replay::replay;
pub use report::{Report, run_files};
