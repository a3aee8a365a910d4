//! Traces of real clusters, read in their own formats.
//!
//! A trace is pulled, item by item, and never preloaded:
//! ```text
//! files, stdin -> input (gzip, zstd) -> lines (rows) -> one parser per table -> TraceReader: items as the files have them
//!              -> lives (events paired to pods) -> sort (stable, by time, bounded memory) -> TraceSource
//!              -> mapping (modes, claims by rule) -> what the simulation is given
//! ```
//! Nothing here knows the simulator's model. [`mod@inspect`] and [`mod@convert`] are other ends of the same pipe.

pub mod assumptions;
pub mod convert;
pub mod error;
pub mod figures;
pub mod input;
pub mod lines;
pub mod mapping;
pub mod number;
pub mod record;
pub mod row;
pub mod table;

pub mod inspect;
pub mod sort;

mod ahead;
mod alibaba_gpu_v2020;
mod alibaba_gpu_v2025;
mod alibaba_spot_gpu_v2026;
mod alibaba_v2017;
mod alibaba_v2018;
mod azure_packing;
mod azure_vm;
mod beside;
mod format;
mod google_2011;
mod google_2019;
mod huawei_east_1;
mod lives;
mod openb;
mod own;
mod own_parquet;
mod reader;
mod row_file;
mod simkube;
mod source;
mod sqlite;

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
