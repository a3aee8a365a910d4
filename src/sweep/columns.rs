//! `sweep.parquet`: the rows of `sweep.csv` with types, for pandas, polars and DuckDB.
//!
//! Numbers are 64-bit integers where every value of the column is one, else doubles; empty cells are nulls; texts are as they
//! are, without the mark that keeps spreadsheets from taking them for formulas.

use super::job::{JobKey, replication_seed};
use super::runs::Runs;
use super::study::StudyFile;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a row group.
const GROUP: usize = 1 << 14;

/// How a column's values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Integer,
    Double,
    Text,
}

impl Kind {
    /// What this value needs; the largest over a column is the column's kind.
    fn of(cell: &str) -> Kind {
        if cell.is_empty() || cell.parse::<i64>().is_ok() {
            Kind::Integer
        } else if cell.parse::<f64>().is_ok_and(f64::is_finite) {
            Kind::Double
        } else {
            Kind::Text
        }
    }
}

/// Writes `sweep.parquet`, see [`super::table::write_sweep_csv`].
///
/// # Errors
/// Those of reading the runs and of the writer.
pub fn write_sweep_parquet(study: &StudyFile, runs: &mut Runs, out: &mut dyn Write) -> io::Result<()> {
    let metrics = runs.metric_names();
    let keys: Vec<JobKey> = runs.keys().collect();
    let kinds = kinds(study, runs, &keys, &metrics)?;
    let sink = Sink::default();
    let mut writer = writer(sink.clone(), &names(study, &metrics), &kinds).map_err(broken)?;
    for some in keys.chunks(GROUP) {
        let mut columns: Vec<Vec<String>> = vec![Vec::with_capacity(some.len()); kinds.len()];
        for key in some {
            for (column, cell) in columns.iter_mut().zip(row(study, runs, *key, &metrics)?) {
                column.push(cell);
            }
        }
        write_group(&mut writer, &kinds, &columns).map_err(broken)?;
        out.write_all(&sink.take())?;
    }
    writer.close().map_err(broken)?;
    out.write_all(&sink.take())
}

fn broken(error: ParquetError) -> io::Error {
    io::Error::other(error.to_string())
}

/// The columns' names: those of `sweep.csv`, made different where an axis is called like another column.
fn names(study: &StudyFile, metrics: &[String]) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let before = ["point", "replication", "variant", "seed"].map(str::to_owned);
    let after = ["digest", "error"].map(str::to_owned);
    let others: BTreeSet<&String> = before.iter().chain(&after).chain(metrics).collect();
    let axes = study
        .axes
        .iter()
        .map(|axis| if others.contains(axis) { format!("axis {axis}") } else { axis.clone() });
    let all = before.iter().cloned().chain(axes).chain(after.iter().cloned()).chain(metrics.iter().cloned());
    all.map(|mut name| {
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        name
    })
    .collect()
}

/// The cells of one run in the order of [`names`].
fn row(study: &StudyFile, runs: &mut Runs, key: JobKey, metrics: &[String]) -> io::Result<Vec<String>> {
    let (record, names) = runs.read(key)?;
    let cells: Vec<&str> = record.cells().collect();
    let value = |name: &String| names.binary_search(name).ok().and_then(|at| cells.get(at).copied());
    let mut row = vec![key.point.to_string(), key.replication.to_string()];
    row.push(study.variants.get(key.variant as usize).cloned().unwrap_or_default());
    row.push(replication_seed(study.seed, key.replication).to_string());
    let point = usize::try_from(key.point).ok().and_then(|p| study.points.get(p));
    row.extend(point.into_iter().flatten().cloned());
    row.push(record.digest.clone());
    row.push(record.error.clone().unwrap_or_default());
    row.extend(metrics.iter().map(|name| value(name).unwrap_or("").to_owned()));
    Ok(row)
}

/// The kind of every column, over all rows.
fn kinds(study: &StudyFile, runs: &mut Runs, keys: &[JobKey], metrics: &[String]) -> io::Result<Vec<Kind>> {
    let mut kinds = vec![Kind::Integer; 4 + study.axes.len() + 2 + metrics.len()];
    for key in keys {
        for (kind, cell) in kinds.iter_mut().zip(row(study, runs, *key, metrics)?) {
            *kind = (*kind).max(Kind::of(&cell));
        }
    }
    for text in [2, 4 + study.axes.len(), 5 + study.axes.len()] {
        kinds[text] = Kind::Text;
    }
    Ok(kinds)
}

fn writer(sink: Sink, names: &[String], kinds: &[Kind]) -> Result<SerializedFileWriter<Sink>, ParquetError> {
    let field = |(name, kind): (&String, &Kind)| {
        let physical = match kind {
            Kind::Integer => Physical::INT64,
            Kind::Double => Physical::DOUBLE,
            Kind::Text => Physical::BYTE_ARRAY,
        };
        let logical = (*kind == Kind::Text).then_some(LogicalType::String);
        let field = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        field.build().map(Arc::new)
    };
    let fields = names.iter().zip(kinds).map(field).collect::<Result<Vec<_>, _>>()?;
    let schema = Type::group_type_builder("sweep").with_fields(fields).build()?;
    let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_created_by(crate::results::TOOL.to_owned())
        .build();
    SerializedFileWriter::new(sink, Arc::new(schema), Arc::new(properties))
}

fn write_group(
    writer: &mut SerializedFileWriter<Sink>,
    kinds: &[Kind],
    columns: &[Vec<String>],
) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for (kind, cells) in kinds.iter().zip(columns) {
        let Some(mut column) = group.next_column()? else { break };
        let levels: Vec<i16> = cells.iter().map(|cell| i16::from(!cell.is_empty())).collect();
        let present = cells.iter().filter(|cell| !cell.is_empty());
        match kind {
            Kind::Integer => {
                let values: Vec<i64> = present.filter_map(|cell| cell.parse().ok()).collect();
                column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
            }
            Kind::Double => {
                let values: Vec<f64> = present.filter_map(|cell| cell.parse().ok()).collect();
                column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
            }
            Kind::Text => {
                let values: Vec<ByteArray> = present.map(|cell| cell.as_str().into()).collect();
                column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
            }
        }
        column.close()?;
    }
    group.close()?;
    Ok(())
}

/// The writer wants to own what it writes to; this is emptied after every row group.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::leaves::Leaf;
    use crate::sweep::job::Metrics;
    use crate::sweep::journal::Journal;
    use crate::sweep::testing::study;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    #[test]
    fn what_is_written_is_read_back_with_types() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j");
        let header = study(1, 2).file(None);
        let mut journal = Journal::open(&path, &header, &mut |_, _| {}).expect("opens");
        let metrics = |a: i128, b: Leaf| {
            Ok(Metrics {
                digest: "blake3:aa".into(),
                values: [("n.a".to_owned(), Leaf::Integer(a)), ("n.b".to_owned(), b)].into(),
                ..Metrics::default()
            })
        };
        let key = |replication, variant| JobKey { point: 0, replication, variant };
        let runs = [
            (key(0, 0), metrics(1 << 60, Leaf::Null)),
            (key(0, 1), metrics(-3, Leaf::Float(1.5))),
            (key(1, 0), Err("=no disk".to_owned())),
        ];
        journal.append(runs.iter().map(|(k, o)| (*k, o))).expect("appends");
        let mut found = Runs::default();
        found.add(&path, journal.contents()).expect("adds");
        let mut bytes = Vec::new();
        write_sweep_parquet(&header, &mut found, &mut bytes).expect("writes");
        let mut again = Vec::new();
        write_sweep_parquet(&header, &mut found, &mut again).expect("writes");
        assert_eq!(bytes, again);

        let file = folder.path().join("sweep.parquet");
        std::fs::write(&file, &bytes).expect("writes");
        let reader =
            SerializedFileReader::new(std::fs::File::open(&file).expect("opens")).expect("is Parquet");
        let rows: Vec<Vec<(String, Field)>> = reader
            .get_row_iter(None)
            .expect("has rows")
            .map(|row| row.expect("reads").into_columns())
            .collect();
        let names: Vec<&str> = rows[0].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["point", "replication", "variant", "seed", "x", "digest", "error", "n.a", "n.b"]);
        let values =
            |row: usize, from: usize| rows[row][from..].iter().map(|(_, f)| f.clone()).collect::<Vec<_>>();
        let text = |t: &str| Field::Str(t.to_owned());
        assert_eq!(
            values(0, 0)[..5],
            [Field::Long(0), Field::Long(0), text("a"), Field::Long(42), Field::Long(0)]
        );
        assert_eq!(values(0, 5), [text("blake3:aa"), Field::Null, Field::Long(1 << 60), Field::Null]);
        assert_eq!(values(1, 7), [Field::Long(-3), Field::Double(1.5)]);
        assert_eq!(values(2, 5), [Field::Null, text("=no disk"), Field::Null, Field::Null]);
    }
}
