//! stowplan's own tables as Parquet. Rows are handed to the same parser as those of CSV.

use super::convert::TableWriter;
use super::error::TraceResult;
use super::input::TraceInput;
use super::table::{Context, RecordFile};
use std::fs::File;
use std::io::{self, BufWriter};

/// Opens a Parquet file of pods or machines.
///
/// # Errors
/// Not readable, or this build has no Parquet.
#[cfg(not(feature = "parquet"))]
pub fn open(input: &TraceInput, _cx: &mut Context) -> TraceResult<Box<dyn RecordFile>> {
    use super::error::{SkipReason, TraceError};
    let message = "this build cannot read Parquet (feature parquet is off)";
    Err(TraceError::of_file(input.name(), SkipReason::Unreadable, message)
        .with_hint("build with --features parquet, or use CSV"))
}

/// A writer of a Parquet file.
///
/// # Errors
/// This build has no Parquet.
#[cfg(not(feature = "parquet"))]
pub fn writer(_sink: BufWriter<File>, _columns: &[&'static str]) -> io::Result<Box<dyn TableWriter>> {
    Err(io::Error::other("this build cannot write Parquet (feature parquet is off)"))
}

#[cfg(feature = "parquet")]
pub use with_parquet::{open, writer};

#[cfg(feature = "parquet")]
mod with_parquet {
    use super::super::convert::{Cell, ColumnKind, column_kind};
    use super::super::error::{SkipReason, TraceError};
    use super::super::figures::Figures;
    use super::super::lines::LineSpan;
    use super::super::number::is_missing;
    use super::super::own;
    use super::super::reader::{FileReport, max_document_bytes};
    use super::super::record::TraceItem;
    use super::super::row::Fields;
    use super::super::table::Table;
    use super::*;
    use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::errors::ParquetError;
    use parquet::file::properties::WriterProperties;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::record::Field;
    use parquet::record::reader::RowIter;
    use parquet::schema::types::Type;
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::sync::Arc;

    /// Rows of a row group.
    const GROUP: usize = 1 << 16;

    fn broken(error: ParquetError) -> io::Error {
        io::Error::other(error.to_string())
    }

    pub fn open(input: &TraceInput, _cx: &mut Context) -> TraceResult<Box<dyn RecordFile>> {
        let name = input.name();
        let unreadable =
            |what: String| TraceError::of_file(&name, SkipReason::Unreadable, format!("cannot read: {what}"));
        let reader: Box<dyn FileReader> = match input {
            TraceInput::Path(path) => {
                let file = crate::limits::open(path).map_err(|e| unreadable(e.to_string()))?;
                Box::new(SerializedFileReader::new(file).map_err(|e| unreadable(e.to_string()))?)
            }
            _ => {
                // A pipe cannot be read from its end, where Parquet has its directory.
                let mut file = tempfile::tempfile().map_err(|e| unreadable(e.to_string()))?;
                io::copy(&mut input.open()?.take(max_document_bytes()), &mut file)
                    .map_err(|e| unreadable(e.to_string()))?;
                Box::new(SerializedFileReader::new(file).map_err(|e| unreadable(e.to_string()))?)
            }
        };
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let header: Vec<String> = schema.columns().iter().map(|c| c.name().to_owned()).collect();
        let Some((table, pods)) = own::table(&header) else {
            let message = format!("expected {}", own::EXPECTED);
            return Err(TraceError::of_file(&name, SkipReason::WrongFormat, message));
        };
        let rows = RowIter::from_file_into(reader);
        let missing = vec![0; header.len()];
        let name_of_table = if pods { "pods" } else { "nodes" };
        Ok(Box::new(ParquetFile { name, rows, table, header, missing, count: 0, name_of_table }))
    }

    struct ParquetFile {
        name: String,
        rows: RowIter<'static>,
        table: Box<dyn Table>,
        header: Vec<String>,
        missing: Vec<u64>,
        count: u64,
        name_of_table: &'static str,
    }

    impl RecordFile for ParquetFile {
        fn next_item(&mut self, cx: &mut Context) -> TraceResult<Option<TraceItem>> {
            loop {
                let Some(row) = self.rows.next() else { return Ok(None) };
                self.count += 1;
                let row = match row {
                    Ok(row) => row,
                    Err(error) => {
                        let mut fault =
                            TraceError::of_file(&self.name, SkipReason::TruncatedFile, error.to_string());
                        fault.line = self.count;
                        cx.tally.skip(fault, cx.options.skip_bad_rows)?;
                        return Ok(None);
                    }
                };
                let texts: Vec<String> = row.get_column_iter().map(|(_, field)| plain(field)).collect();
                let mut fields = Fields::default();
                let parsed = {
                    let row = fields.joined(&texts, LineSpan::nowhere());
                    for (field, missing) in self.missing.iter_mut().enumerate() {
                        *missing += u64::from(is_missing(row.get(field)));
                    }
                    self.table.parse(&row, cx)
                };
                match parsed {
                    Ok(Some(item)) => {
                        cx.line = self.count;
                        return Ok(Some(item));
                    }
                    Ok(None) => {}
                    Err(fault) => {
                        let column =
                            fault.field.and_then(|f| self.header.get(f)).cloned().unwrap_or_default();
                        let message = format!("row {}, column {column}: {}", self.count, fault.message);
                        let mut error = TraceError::of_file(&self.name, fault.reason, message);
                        error.line = self.count;
                        error.column = fault.field.map_or(0, |f| f as u64 + 1);
                        cx.tally.skip(error, cx.options.skip_bad_rows)?;
                    }
                }
            }
        }

        fn report(&self) -> FileReport {
            let missing = self.header.iter().cloned().zip(self.missing.iter().copied());
            let missing: BTreeMap<String, u64> = missing.filter(|(_, n)| *n > 0).collect();
            FileReport {
                file: self.name.clone(),
                table: self.name_of_table.to_owned(),
                rows: self.count,
                missing,
                figures: Figures::new(),
            }
        }
    }

    /// A value as CSV would have it.
    fn plain(field: &Field) -> String {
        match field {
            Field::Null => String::new(),
            Field::Str(text) => text.clone(),
            Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned(),
            Field::Double(number) => number.to_string(),
            Field::Float(number) => number.to_string(),
            other => other.to_string(),
        }
    }

    pub fn writer(sink: BufWriter<File>, columns: &[&'static str]) -> io::Result<Box<dyn TableWriter>> {
        let fields = columns
            .iter()
            .map(|&name| {
                let kind = column_kind(name);
                let physical = if kind == ColumnKind::Text { Physical::BYTE_ARRAY } else { Physical::INT64 };
                // Times keep their nanoseconds as integers, under a name that says so.
                let name = match kind {
                    ColumnKind::Time => name.replace("_seconds", "_nanos"),
                    _ => name.to_owned(),
                };
                let logical = (kind == ColumnKind::Text).then_some(LogicalType::String);
                let field = Type::primitive_type_builder(&name, physical)
                    .with_repetition(Repetition::OPTIONAL)
                    .with_logical_type(logical);
                field.build().map(Arc::new)
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(broken)?;
        let schema = Type::group_type_builder("stowplan").with_fields(fields).build().map_err(broken)?;
        let level = ZstdLevel::try_new(3).map_err(broken)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let writer =
            SerializedFileWriter::new(sink, Arc::new(schema), Arc::new(properties)).map_err(broken)?;
        let kinds = columns.iter().map(|name| column_kind(name)).collect();
        Ok(Box::new(ParquetTable { writer, kinds, rows: Vec::new() }))
    }

    struct ParquetTable {
        writer: SerializedFileWriter<BufWriter<File>>,
        kinds: Vec<ColumnKind>,
        rows: Vec<Vec<Cell>>,
    }

    impl ParquetTable {
        fn flush(&mut self) -> Result<(), ParquetError> {
            let rows = std::mem::take(&mut self.rows);
            if rows.is_empty() {
                return Ok(());
            }
            let mut group = self.writer.next_row_group()?;
            for (index, kind) in self.kinds.iter().enumerate() {
                let Some(mut column) = group.next_column()? else { break };
                let cells = || rows.iter().map(|row| row.get(index).unwrap_or(&Cell::Empty));
                let levels: Vec<i16> = cells().map(|c| i16::from(*c != Cell::Empty)).collect();
                if *kind == ColumnKind::Text {
                    let values: Vec<ByteArray> = cells()
                        .filter_map(|c| if let Cell::Text(t) = c { Some(t.as_str().into()) } else { None })
                        .collect();
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
                } else {
                    let values: Vec<i64> = cells()
                        .filter_map(|c| match c {
                            Cell::Int(n) => Some(*n),
                            Cell::Time(at) => Some(at.as_nanos() as i64),
                            Cell::Empty | Cell::Text(_) => None,
                        })
                        .collect();
                    column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
                }
                column.close()?;
            }
            group.close()?;
            Ok(())
        }
    }

    impl TableWriter for ParquetTable {
        fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
            self.rows.push(cells);
            if self.rows.len() >= GROUP { self.flush().map_err(broken) } else { Ok(()) }
        }
        fn finish(mut self: Box<Self>) -> io::Result<()> {
            self.flush().map_err(broken)?;
            self.writer.close().map(|_| ()).map_err(broken)
        }
    }
}
