//! Which pictures there are, and drawing them from finished results.

use super::findings::Filled;
use super::plots::canvas::PlotError;
use super::plots::hover::Picture;
use super::plots::{availability, nodes, resources, sizes, storage, stranding, stuck, sweep, sweep_map};
use crate::results::summary::VariantSummary;
use crate::results::sweep::SweepTable;
use crate::results::tables::StrandingRow;
use crate::results::{RunOutput, VariantOutput};

/// A picture of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlotKind {
    /// Stranded CPU and memory, running and stuck pods, against the share of local disk bound.
    Stranding,
    /// Stuck pods over time.
    Stuck,
    /// CPU, memory and disk over time: used, stranded, free.
    Resources,
    /// What each node ran out of, and when.
    Nodes,
    /// Where the disk is at the end.
    Storage,
    /// Sizes of bound volumes against what their claims ask for.
    Sizes,
    /// Nodes that are down and database groups that are degraded, over time.
    Availability,
}

impl PlotKind {
    /// All kinds, the most telling first.
    pub const ALL: [PlotKind; 7] = [
        PlotKind::Stranding,
        PlotKind::Stuck,
        PlotKind::Resources,
        PlotKind::Nodes,
        PlotKind::Storage,
        PlotKind::Sizes,
        PlotKind::Availability,
    ];

    /// Its name, which is also its file name without `.svg`.
    pub const fn name(self) -> &'static str {
        match self {
            PlotKind::Stranding => "stranding",
            PlotKind::Stuck => "stuck",
            PlotKind::Resources => "resources",
            PlotKind::Nodes => "nodes",
            PlotKind::Storage => "storage",
            PlotKind::Sizes => "sizes",
            PlotKind::Availability => "availability",
        }
    }

    /// What it shows, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            PlotKind::Stranding => {
                "stranded CPU and memory, running and stuck pods against the share of local disk bound"
            }
            PlotKind::Stuck => "stuck pods over time",
            PlotKind::Resources => "CPU, memory and disk over time: used, stranded, free",
            PlotKind::Nodes => "what each node ran out of, and when",
            PlotKind::Storage => "where the disk is at the end: asked for, wasted by kind, free",
            PlotKind::Sizes => "sizes of bound volumes against what their claims ask for",
            PlotKind::Availability => "nodes that are down and database groups that are degraded, over time",
        }
    }

    /// There is something to see: of a run without failures and database groups, availability says nothing.
    pub fn applies(self, run: &RunOutput) -> bool {
        let failed = |v: &VariantOutput| v.timeseries.iter().any(|r| r.nodes_ready < r.nodes);
        match self {
            PlotKind::Availability => {
                let any =
                    |v: &VariantOutput| v.summary.recovery.groups > 0 || failed(v) || !v.incidents.is_empty();
                run.variants.iter().any(any)
            }
            _ => true,
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<PlotKind> {
        PlotKind::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// What the pictures of a run are drawn from.
pub struct PlotInput<'a> {
    /// The variants in their order, which decides their colours.
    pub variants: &'a [VariantOutput],
}

impl<'a> PlotInput<'a> {
    /// Of a whole run.
    pub fn new(run: &'a RunOutput) -> PlotInput<'a> {
        PlotInput { variants: &run.variants }
    }

    /// The variants' summaries.
    pub fn summaries(&self) -> Vec<VariantSummary> {
        self.variants.iter().map(|v| v.summary.clone()).collect()
    }

    /// The variants' names.
    pub fn names(&self) -> Vec<&str> {
        self.variants.iter().map(|v| v.summary.name.as_str()).collect()
    }

    /// Where the longest variant ends.
    pub fn end_seconds(&self) -> f64 {
        let last = |v: &VariantOutput| {
            v.timeseries.last().map_or(0.0, |r| r.seconds).max(v.summary.simulated_seconds)
        };
        self.variants.iter().map(last).fold(0.0, f64::max)
    }

    /// How full each variant's disks got, and what that stranded.
    pub fn filled(&self) -> Vec<Filled<'a>> {
        let of = |v: &'a VariantOutput| {
            let share = |r: &StrandingRow| r.cpu_stranded_share;
            let last = v.stranding.last();
            Filled {
                name: &v.summary.name,
                bound: last.map_or(0.0, |r| f64::from(r.bound_percent) / 100.0),
                stranded: last.map_or(0.0, share),
                peak: v.stranding.iter().map(share).fold(0.0, f64::max),
            }
        };
        self.variants.iter().map(of).collect()
    }
}

/// Draws one picture as SVG.
///
/// # Errors
/// [`PlotError`] if the drawing backend fails.
pub fn draw(kind: PlotKind, run: &RunOutput) -> Result<String, PlotError> {
    Ok(picture(kind, run)?.svg)
}

/// Draws one picture, with the values behind it for pages that show them.
///
/// # Errors
/// [`PlotError`] if the drawing backend fails.
pub fn picture(kind: PlotKind, run: &RunOutput) -> Result<Picture, PlotError> {
    let input = PlotInput::new(run);
    match kind {
        PlotKind::Stranding => stranding::svg(&input),
        PlotKind::Stuck => stuck::svg(&input),
        PlotKind::Resources => resources::svg(&input),
        PlotKind::Nodes => nodes::svg(&input),
        PlotKind::Storage => storage::svg(&input),
        PlotKind::Sizes => sizes::svg(&input),
        PlotKind::Availability => availability::svg(&input),
    }
}

/// Draws every picture that applies: file name and SVG, ready for [`crate::results::Extras::plots`].
///
/// # Errors
/// [`PlotError`] if the drawing backend fails.
pub fn draw_all(run: &RunOutput) -> Result<Vec<(String, Vec<u8>)>, PlotError> {
    let one = |kind: PlotKind| Ok((format!("{}.svg", kind.name()), draw(kind, run)?.into_bytes()));
    PlotKind::ALL.into_iter().filter(|k| k.applies(run)).map(one).collect()
}

/// Draws the pictures of a sweep: one per axis, each with `metrics` (dotted paths) that some run has; where two axes vary, a
/// map of the first metric over both. File name and SVG.
///
/// # Errors
/// [`PlotError`] if the drawing backend fails.
pub fn draw_sweep(table: &SweepTable, metrics: &[&str]) -> Result<Vec<(String, Vec<u8>)>, PlotError> {
    let known = table.metrics();
    let metrics: Vec<&str> = metrics.iter().copied().filter(|m| known.iter().any(|k| k == m)).collect();
    let one = |(i, axis): (usize, &String)| {
        let name = format!("sweep-{i}-{}.svg", crate::results::write::safe_name(axis));
        Ok((name, sweep::svg(table, i, &metrics)?.svg.into_bytes()))
    };
    let mut drawn: Vec<(String, Vec<u8>)> =
        table.axes.iter().enumerate().map(one).collect::<Result<_, PlotError>>()?;
    if let ([across, down, ..], Some(metric)) = (&sweep_map::varying(table)[..], metrics.first()) {
        drawn.push(("sweep-map.svg".into(), sweep_map::svg(table, *across, *down, metric)?.svg.into_bytes()));
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests;
