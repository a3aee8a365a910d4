//! One finished run as one line of text, with a checksum.
//!
//! A line is 16 hexadecimal digits of BLAKE3 over the rest, a space, the content as JSON, a newline. Every line stands for
//! itself, so damage to one costs one run and nothing else.

use super::job::{JobKey, Metrics};
use crate::results::leaves::Leaf;
use crate::results::number::rounded;
use serde::{Deserialize, Serialize};

/// Length of the checksum in the line.
const CHECKSUM: usize = 16;

/// The content of a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Line {
    /// The first line: what the runs belong to.
    Header(Box<super::study::StudyFile>),
    /// Names of metrics, used by the runs that follow and say so.
    Columns(Columns),
    /// A run.
    Run(Record),
}

/// Names of metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// From 0, by which [`Record::columns`] refers to them.
    pub id: u32,
    /// In bytewise order.
    pub names: Vec<String>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`JobKey::point`].
    pub point: u64,
    /// [`JobKey::replication`].
    pub replication: u32,
    /// [`JobKey::variant`].
    pub variant: u32,
    /// The run's digest; empty if it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The [`Columns`] of the values.
    #[serde(default)]
    pub columns: u32,
    /// The values in the order of the columns, separated by commas, as `sweep.csv` shows them; empty if it failed.
    #[serde(default)]
    pub values: String,
}

impl Record {
    /// Of a finished run whose metrics have these columns.
    pub fn new(key: JobKey, outcome: &Result<Metrics, String>, columns: u32) -> Record {
        let (digest, error, values) = match outcome {
            Ok(metrics) => (metrics.digest.clone(), None, join(metrics.values.values())),
            Err(why) => (String::new(), Some(why.clone()), String::new()),
        };
        let JobKey { point, replication, variant } = key;
        Record { point, replication, variant, digest, error, columns, values }
    }

    /// Which run it is.
    pub fn key(&self) -> JobKey {
        JobKey { point: self.point, replication: self.replication, variant: self.variant }
    }

    /// The values as text, in the order of the columns; none if the run failed.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        self.values.split(',').take(if self.error.is_some() { 0 } else { usize::MAX })
    }
}

/// Values as cells, separated by commas. Floats are rounded as everywhere in results; what is not finite is empty.
fn join<'a>(values: impl Iterator<Item = &'a Leaf>) -> String {
    let mut text = String::new();
    for (i, leaf) in values.enumerate() {
        if i > 0 {
            text.push(',');
        }
        let leaf = match leaf {
            Leaf::Float(x) => rounded(*x).map_or(Leaf::Null, Leaf::Float),
            other => *other,
        };
        text.push_str(&leaf.to_string());
    }
    text
}

impl Line {
    /// The line's bytes, newline included.
    pub fn encode(&self) -> Vec<u8> {
        // Writing plain data to memory cannot fail.
        let content = serde_json::to_string(self).unwrap_or_default();
        let mut line = checksum(content.as_bytes()).into_bytes();
        line.push(b' ');
        line.extend_from_slice(content.as_bytes());
        line.push(b'\n');
        line
    }

    /// Reads a line, with or without its newline; `None` if it is damaged.
    pub fn decode(line: &[u8]) -> Option<Line> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (sum, content) = line.split_at_checked(CHECKSUM)?;
        let content = content.strip_prefix(b" ")?;
        if sum != checksum(content).as_bytes() {
            return None;
        }
        serde_json::from_slice(content).ok()
    }
}

fn checksum(content: &[u8]) -> String {
    blake3::hash(content).to_hex()[..CHECKSUM].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Line {
        let values = [
            ("a", Leaf::Integer(i128::MAX)),
            ("b", Leaf::Float(0.1 + 0.2)),
            ("c", Leaf::Null),
            ("d", Leaf::Float(f64::NAN)),
            ("e", Leaf::Float(1e-9)),
        ];
        let metrics = Metrics {
            digest: "blake3:00".into(),
            values: values.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            ..Metrics::default()
        };
        Line::Run(Record::new(JobKey { point: 3, replication: 1, variant: 2 }, &Ok(metrics), 7))
    }

    #[test]
    fn a_line_comes_back_as_it_was() {
        let Line::Run(record) = sample() else { panic!() };
        let cells: Vec<&str> = record.cells().collect();
        assert_eq!(cells, [i128::MAX.to_string().as_str(), "0.3", "", "", "1e-9"]);
        assert_eq!(Line::decode(&sample().encode()), Some(sample()));
        let key = JobKey { point: 0, replication: 0, variant: 0 };
        let failed = Record::new(key, &Err("line\nbreak, \"quoted\" ä".into()), 0);
        assert_eq!(failed.cells().count(), 0);
        let line = Line::Run(failed);
        let bytes = line.encode();
        assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 1);
        assert_eq!(Line::decode(&bytes), Some(line));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_noticed() {
        let bytes = sample().encode();
        // The newline itself carries no content: without it the line is whole.
        for cut in 0..bytes.len() - 1 {
            assert_eq!(Line::decode(&bytes[..cut]), None, "cut at {cut}");
        }
        for at in 0..bytes.len() - 1 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x04;
            assert_eq!(Line::decode(&damaged), None, "flipped at {at}");
        }
    }
}
