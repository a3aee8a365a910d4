//! `sweep.csv`: one row per point, replication and variant.

use super::leaves::{Leaf, leaves};
use super::summary::VariantSummary;
use super::tables::text;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

/// The file's name in a results folder.
pub const SWEEP_FILE: &str = "sweep.csv";

/// A whole sweep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SweepTable {
    /// The paths of the axes, in the order of the scenario.
    pub axes: Vec<String>,
    /// One per run, in the order of point, replication, variant as in the scenario.
    pub rows: Vec<SweepRow>,
}

/// One run of a sweep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SweepRow {
    /// Position of the point in the grid, from 0; the last axis varies fastest.
    pub point: u64,
    /// From 0; the same replication of every point and variant uses the same seed.
    pub replication: u64,
    /// The variant's name.
    pub variant: String,
    /// The seed of the replication.
    pub seed: u64,
    /// The value of each axis, as it would be written in a scenario.
    pub axis_values: Vec<String>,
    /// The run's digest; empty if it failed.
    pub digest: String,
    /// Why it failed; empty if it did not.
    pub error: String,
    /// Every number of its summary by dotted path; empty if it failed.
    pub metrics: BTreeMap<String, Leaf>,
}

impl SweepRow {
    /// Fills digest and metrics from a finished run.
    pub fn fill(&mut self, summary: &VariantSummary) {
        self.variant.clone_from(&summary.name);
        self.digest.clone_from(&summary.digest);
        self.metrics = leaves(summary);
    }
}

/// Columns before the axes.
const BEFORE: [&str; 4] = ["point", "replication", "variant", "seed"];
/// Columns between the axes and the metrics.
const BETWEEN: [&str; 2] = ["digest", "error"];

impl SweepTable {
    /// The dotted paths that any row has, in bytewise order. Of `pods.stuckBy`, rows that lack a cause have 0 of it.
    pub fn metrics(&self) -> Vec<String> {
        let all: BTreeSet<&String> = self.rows.iter().flat_map(|r| r.metrics.keys()).collect();
        all.into_iter().cloned().collect()
    }

    /// Writes the table.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write<W: Write>(&self, writer: W) -> Result<(), csv::Error> {
        let metrics = self.metrics();
        let mut csv = csv::Writer::from_writer(writer);
        let axes = self.axes.iter().map(String::as_str);
        let header = BEFORE.into_iter().chain(axes).chain(BETWEEN).chain(metrics.iter().map(String::as_str));
        csv.write_record(header)?;
        for row in &self.rows {
            let mut cells = vec![row.point.to_string(), row.replication.to_string()];
            cells.push(text::defused(&row.variant).into_owned());
            cells.push(row.seed.to_string());
            cells.extend(row.axis_values.iter().map(|v| axis_cell(v)));
            cells.push(row.digest.clone());
            cells.push(text::defused(&row.error).into_owned());
            // What a finished run does not mention (a cause of stuck pods) did not happen; a failed run has nothing.
            let absent = if row.metrics.is_empty() { Leaf::Null } else { Leaf::Integer(0) };
            cells.extend(metrics.iter().map(|m| metric_cell(*row.metrics.get(m).unwrap_or(&absent))));
            csv.write_record(&cells)?;
        }
        csv.flush()?;
        Ok(())
    }

    /// Reads what [`SweepTable::write`] wrote.
    ///
    /// # Errors
    /// Unreadable input, or columns that are not those of a sweep.
    pub fn read<R: Read>(reader: R) -> Result<SweepTable, csv::Error> {
        let mut csv = csv::Reader::from_reader(reader);
        let header: Vec<String> = csv.headers()?.iter().map(str::to_owned).collect();
        let unlike = || {
            csv::Error::from(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "not a sweep.csv of stowplan",
            ))
        };
        // The last `digest`, `error` pair would do as well: metrics are dotted paths, axes may have any name but are few.
        let at =
            header.windows(2).position(|w| w[0] == BETWEEN[0] && w[1] == BETWEEN[1]).ok_or_else(unlike)?;
        if at < BEFORE.len() || header[..BEFORE.len()] != BEFORE {
            return Err(unlike());
        }
        let axes = header[BEFORE.len()..at].to_vec();
        let metrics = &header[at + BETWEEN.len()..];
        let mut rows = Vec::new();
        for record in csv.records() {
            let record = record?;
            let number = |i: usize| record[i].parse::<u64>().map_err(|_| unlike());
            let read_metric = |(i, name): (usize, &String)| {
                let cell = &record[at + BETWEEN.len() + i];
                parse_metric(cell).map(|leaf| (name.clone(), leaf))
            };
            let error = text::restored(&record[at + 1]).to_owned();
            let found = metrics.iter().enumerate().filter_map(read_metric).collect();
            rows.push(SweepRow {
                point: number(0)?,
                replication: number(1)?,
                variant: text::restored(&record[2]).to_owned(),
                seed: number(3)?,
                axis_values: (BEFORE.len()..at).map(|i| text::restored(&record[i]).to_owned()).collect(),
                digest: record[at].to_owned(),
                metrics: if error.is_empty() { found } else { BTreeMap::new() },
                error,
            });
        }
        Ok(SweepTable { axes, rows })
    }
}

/// Numbers stay numbers, also negative ones; other texts are defused.
fn axis_cell(value: &str) -> String {
    if value.parse::<f64>().is_ok() { value.to_owned() } else { text::defused(value).into_owned() }
}

fn metric_cell(leaf: Leaf) -> String {
    match leaf {
        Leaf::Float(x) => super::number::rounded(x).map_or(String::new(), |x| Leaf::Float(x).to_string()),
        other => other.to_string(),
    }
}

fn parse_metric(cell: &str) -> Option<Leaf> {
    if cell.is_empty() {
        return Some(Leaf::Null);
    }
    cell.parse().map(Leaf::Integer).or_else(|_| cell.parse().map(Leaf::Float)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::summary::StuckCause;

    fn row(point: u64, replication: u64, variant: &str, stuck: u64) -> SweepRow {
        let mut summary =
            VariantSummary { name: variant.into(), digest: "blake3:1".into(), ..VariantSummary::default() };
        summary.pods.stuck = stuck;
        if stuck > 0 {
            summary.pods.stuck_by = [(StuckCause::NotCreated, stuck)].into();
        }
        let axis_values = vec![(20 + 10 * point).to_string(), "=cmd".into()];
        let mut row =
            SweepRow { point, replication, seed: 7 + replication, axis_values, ..SweepRow::default() };
        row.fill(&summary);
        row
    }

    fn table() -> SweepTable {
        let mut rows = Vec::new();
        for point in 0..2 {
            for replication in 0..3 {
                // immediate: 2, 4, 6 stuck (+10 per point); wait: one fewer each time.
                let stuck = 2 + 2 * replication + 10 * point;
                rows.push(row(point, replication, "immediate", stuck));
                rows.push(row(point, replication, "wait", stuck - 1));
            }
        }
        SweepTable { axes: vec!["workload.generate[shop].sets".into(), "name of, axis".into()], rows }
    }

    #[test]
    fn a_sweep_is_written_and_read_back() {
        let mut table = table();
        table.rows[3].error = "-bad".into();
        table.rows[3].digest.clear();
        table.rows[3].metrics.clear();
        let mut bytes = Vec::new();
        table.write(&mut bytes).expect("writes");
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        let head = "point,replication,variant,seed,workload.generate[shop].sets,\"name of, axis\",digest,error,claims.bound,";
        assert!(text.starts_with(head), "{text}");
        assert!(text.contains("\n0,0,immediate,7,20,'=cmd,blake3:1,,0,"), "{text}");
        assert!(text.contains("\n0,1,wait,8,20,'=cmd,,'-bad,,"), "{text}");
        let again = SweepTable::read(bytes.as_slice()).expect("reads");
        assert_eq!(again.rows[3], table.rows[3]);
        assert_eq!(again.rows[2].metrics["pods.stuck"], Leaf::Integer(4));
        assert_eq!(again.rows[2].metrics["pendingSeconds.p50"], Leaf::Null);
        let mut twice = Vec::new();
        again.write(&mut twice).expect("writes");
        assert_eq!(twice, bytes);
        assert!(SweepTable::read("a,b\n1,2\n".as_bytes()).is_err());
    }
}
