//! Traces of real clusters, read in their own formats.
//!
//! A trace is pulled, item by item, and never preloaded:
//! ```text
//! files, stdin -> input (gzip, zstd) -> lines (rows) -> one parser per table -> TraceReader: items as the files have them
//!              -> lives (events paired to pods) -> sort (stable, by time, bounded memory) -> TraceSource
//!              -> mapping (modes, claims by rule) -> what the simulation is given
//! ```
//! Nothing here knows the simulator's model. [`inspect`] is another end of the same pipe.

pub mod error;
pub mod input;
pub mod lines;
pub mod mapping;
pub mod record;
pub mod table;

pub mod inspect;
pub mod sort;

mod alibaba_gpu_v2025;
mod format;
mod lives;
mod openb;
mod reader;
mod source;

pub use error::{SkipReason, Tally, TraceError, TraceResult};
pub use format::Format;
pub use input::TraceInput;
pub use inspect::{Inspection, inspect};
pub use reader::{FileReport, TraceReader};
pub use record::{
    NodeChange, NodeEvent, PodEvent, PodVerb, TraceClaim, TraceId, TraceItem, TraceNode, TracePod,
};
pub use source::{TraceRequest, TraceSource, read_nodes};
pub use table::TraceOptions;
