//! `sweep.csv`: one row per point, replication and variant.

use super::leaves::Leaf;
use super::tables::text;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

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

    /// Reads what [`crate::sweep::table::write_sweep_csv`] wrote.
    ///
    /// # Errors
    /// Unreadable input, or columns that are not those of a sweep.
    pub fn read<R: Read>(reader: R) -> Result<SweepTable, csv::Error> {
        let mut csv = csv::Reader::from_reader(crate::limits::ShortLines::new(reader));
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

fn parse_metric(cell: &str) -> Option<Leaf> {
    if cell.is_empty() {
        return Some(Leaf::Null);
    }
    cell.parse().map(Leaf::Integer).or_else(|_| cell.parse().map(Leaf::Float)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sweep_wrote_is_read() {
        let csv = "\
point,replication,variant,seed,sets,\"name of, axis\",digest,error,pendingSeconds.p50,pods.stuck,stranded.onset
0,0,immediate,7,20,'=cmd,blake3:1,,,4,0.83
0,0,wait,7,20,-3,,'-bad,,,
";
        let table = SweepTable::read(csv.as_bytes()).expect("reads");
        assert_eq!(table.axes, ["sets", "name of, axis"]);
        assert_eq!(table.metrics(), ["pendingSeconds.p50", "pods.stuck", "stranded.onset"]);
        let [first, failed] = &table.rows[..] else { panic!("{:?}", table.rows) };
        assert_eq!((first.point, first.replication, first.seed, &*first.variant), (0, 0, 7, "immediate"));
        assert_eq!((first.axis_values.join("|"), &*first.digest), ("20|=cmd".to_owned(), "blake3:1"));
        assert_eq!(first.metrics["pods.stuck"], Leaf::Integer(4));
        assert_eq!(first.metrics["pendingSeconds.p50"], Leaf::Null);
        assert_eq!(first.metrics["stranded.onset"], Leaf::Float(0.83));
        assert_eq!((&*failed.error, &*failed.axis_values[1], failed.metrics.len()), ("-bad", "-3", 0));
        assert!(SweepTable::read("a,b\n1,2\n".as_bytes()).is_err());
    }
}
