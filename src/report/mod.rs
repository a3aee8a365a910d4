//! What people look at: the terminal table, plots, the report page, and the statistics behind them.
//!
//! Everything here only reads [`crate::results::RunOutput`], from a run that just ended or from a results folder.

pub mod estimates;
pub mod findings;
pub mod html;
pub mod human;
pub mod palette;
pub mod perfetto;
pub mod plot;
pub mod plots;
pub mod png;
pub mod statistics;
pub mod table;

#[cfg(test)]
pub(crate) mod synthetic;
