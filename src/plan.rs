//! The planner: the smallest or cheapest cluster that meets service levels, how much more fits, when the disks are full.
//!
//! Every question is answered by running the simulator, as few times as it takes:
//!
//! ```text
//! configurations (shapes x layouts x variants)  --race-->  per configuration: gallop up, bisect, look at n-1..n-3
//!        each candidate is a Trial: paired replications, given up as soon as its levels cannot be met any more
//! ```
//! Written against [`Model`], as sweeps are against [`crate::sweep::Evaluate`].

pub mod fit;
pub mod forecast;
pub mod level;
pub mod model;
pub mod output;
pub mod page;
pub mod picture;
pub mod search;
pub mod solve;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod trial;

pub use level::Level;
pub use model::{Loss, Model, Size};
pub use search::{Answer, Question, search};
pub use solve::{Plan, Planning, solve};
pub use trial::{Trial, Verdict};
