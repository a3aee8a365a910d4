//! The pictures, one file each, and what they share.

pub mod availability;
pub mod axis;
pub mod canvas;
pub mod hover;
pub mod lines;
pub mod measure;
pub mod nodes;
pub mod resources;
pub mod sizes;
pub mod storage;
pub mod stranding;
pub mod stuck;
pub mod sweep;
pub mod sweep_map;

/// Width of a whole picture in units (half pixels).
pub const WIDTH: f64 = 1920.0;
