//! `sweep.csv`: one row per run. `summary.csv`: one row per point, variant and metric.

use super::job::{JobKey, replication_seed};
use super::runs::Runs;
use super::study::StudyFile;
use super::until_ci::CONFIDENCE;
use crate::report::statistics::{Estimate, Quantiles, compare};
use crate::results::number::rounded;
use crate::results::tables::text::defused;
use std::borrow::Cow;
use std::io::{self, Write};

/// The columns of `sweep.csv` before the axes.
const BEFORE_AXES: [&str; 4] = ["point", "replication", "variant", "seed"];
/// Between the axes and the metrics.
const AFTER_AXES: [&str; 2] = ["digest", "error"];
/// The columns of `summary.csv` behind the axes.
const STATISTICS: [&str; 8] =
    ["metric", "runs", "mean", "ci_low", "ci_high", "diff_mean", "diff_ci_low", "diff_ci_high"];

/// Writes `sweep.csv`: a row per run in the order of point, replication, variant.
///
/// # Errors
/// Those of reading the runs and of the writer.
pub fn write_sweep_csv(study: &StudyFile, runs: &mut Runs, out: &mut dyn Write) -> io::Result<()> {
    let metrics = runs.metric_names();
    let mut csv = csv::Writer::from_writer(out);
    let head = BEFORE_AXES.iter().copied().chain(study.axes.iter().map(String::as_str)).chain(AFTER_AXES);
    csv.write_record(head.chain(metrics.iter().map(String::as_str)))?;
    let keys: Vec<JobKey> = runs.keys().collect();
    for key in keys {
        let (record, names) = runs.read(key)?;
        let cells: Vec<&str> = record.cells().collect();
        let value = |name: &String| names.binary_search(name).ok().and_then(|at| cells.get(at).copied());
        csv.write_field(key.point.to_string())?;
        csv.write_field(key.replication.to_string())?;
        csv.write_field(
            defused(study.variants.get(key.variant as usize).map_or("", String::as_str)).as_ref(),
        )?;
        csv.write_field(replication_seed(study.seed, key.replication).to_string())?;
        for cell in point_cells(study, key.point) {
            csv.write_field(axis_cell(cell).as_ref())?;
        }
        csv.write_field(&record.digest)?;
        csv.write_field(defused(record.error.as_deref().unwrap_or("")).as_ref())?;
        for name in &metrics {
            csv.write_field(value(name).unwrap_or(""))?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

fn point_cells(study: &StudyFile, point: u64) -> &[String] {
    usize::try_from(point).ok().and_then(|p| study.points.get(p)).map_or(&[], Vec::as_slice)
}

/// Numbers stay numbers, also negative ones; a text that a spreadsheet would take for a formula is defused.
fn axis_cell(cell: &str) -> Cow<'_, str> {
    if cell.parse::<f64>().is_ok() { Cow::Borrowed(cell) } else { defused(cell) }
}

/// Writes `summary.csv`: per point, variant and metric the number of runs that measured it, the mean, its 95 % interval
/// (Student's t), and the mean of the paired differences to the first variant with its interval.
///
/// A difference is taken within a replication, where both variants met the same random draws.
///
/// # Errors
/// Those of reading the runs and of the writer.
pub fn write_summary_csv(study: &StudyFile, runs: &mut Runs, out: &mut dyn Write) -> io::Result<()> {
    let metrics = runs.metric_names();
    let mut csv = csv::Writer::from_writer(out);
    let head = ["point", "variant"].into_iter().chain(study.axes.iter().map(String::as_str));
    csv.write_record(head.chain(STATISTICS))?;
    let keys: Vec<JobKey> = runs.keys().collect();
    let mut quantiles = Quantiles::default();
    for of_point in keys.chunk_by(|a, b| a.point == b.point) {
        let Some(point) = of_point.first().map(|key| key.point) else { continue };
        let values = PointValues::read(study, runs, of_point, &metrics)?;
        for (variant, name) in study.variants.iter().enumerate() {
            for (m, metric) in metrics.iter().enumerate() {
                csv.write_field(point.to_string())?;
                csv.write_field(defused(name).as_ref())?;
                for cell in point_cells(study, point) {
                    csv.write_field(axis_cell(cell).as_ref())?;
                }
                csv.write_field(metric)?;
                values.write_statistics(variant, m, &mut quantiles, &mut csv)?;
                csv.write_record(None::<&[u8]>)?;
            }
        }
    }
    csv.flush()
}

/// All numbers of one point: by variant, then metric, then replication.
struct PointValues(Vec<Vec<Vec<Option<f64>>>>);

impl PointValues {
    fn read(
        study: &StudyFile,
        runs: &mut Runs,
        keys: &[JobKey],
        metrics: &[String],
    ) -> io::Result<PointValues> {
        let replications = keys.iter().map(|key| key.replication as usize + 1).max().unwrap_or(0);
        let mut values = vec![vec![vec![None; replications]; metrics.len()]; study.variants.len()];
        for key in keys {
            let (record, names) = runs.read(*key)?;
            let Some(of) = values.get_mut(key.variant as usize) else { continue };
            for (cell, name) in record.cells().zip(names) {
                if let Ok(m) = metrics.binary_search(name) {
                    of[m][key.replication as usize] = cell.parse().ok();
                }
            }
        }
        Ok(PointValues(values))
    }

    fn write_statistics<W: Write>(
        &self,
        variant: usize,
        metric: usize,
        quantiles: &mut Quantiles,
        csv: &mut csv::Writer<W>,
    ) -> io::Result<()> {
        let base = (variant > 0).then(|| self.0[0][metric].as_slice());
        let (own, difference) = compare(&self.0[variant][metric], base, CONFIDENCE, quantiles);
        csv.write_field(own.map_or(0, |e| e.count).to_string())?;
        interval(own, csv)?;
        interval(difference, csv)
    }
}

/// Mean, lower and upper end; empty where there are too few numbers.
fn interval<W: Write>(estimate: Option<Estimate>, csv: &mut csv::Writer<W>) -> io::Result<()> {
    let ends = estimate.and_then(|e| e.ends());
    for value in [estimate.map(|e| e.mean), ends.map(|e| e.0), ends.map(|e| e.1)] {
        csv.write_field(value.and_then(rounded).map_or(String::new(), |x| format!("{x:?}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
