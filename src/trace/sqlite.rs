//! Azure's packing trace as it is published: an SQLite database.

use super::error::TraceResult;
use super::input::TraceInput;
use super::table::{Context, RecordFile};

/// Opens a database with the tables `vm` and `vmType`.
///
/// # Errors
/// Not readable, or this build has no SQLite.
#[cfg(not(feature = "sqlite"))]
pub fn open(input: &TraceInput, _cx: &mut Context) -> TraceResult<Box<dyn RecordFile>> {
    use super::error::{SkipReason, TraceError};
    let message = "this build cannot read SQLite (feature sqlite is off)";
    Err(TraceError::of_file(input.name(), SkipReason::Unreadable, message)
        .with_hint("export the tables vm and vmType to CSV, each with its header"))
}

/// Opens a database with the tables `vm` and `vmType`.
///
/// # Errors
/// Not readable, or not these tables.
#[cfg(feature = "sqlite")]
pub fn open(input: &TraceInput, cx: &mut Context) -> TraceResult<Box<dyn RecordFile>> {
    Ok(Box::new(database::Database::open(input, cx)?))
}

#[cfg(feature = "sqlite")]
mod database {
    use super::super::azure_packing::{Vm, VmType, check_fraction, pod};
    use super::super::error::{RowError, SkipReason, TraceError, TraceResult};
    use super::super::figures::Figures;
    use super::super::input::TraceInput;
    use super::super::reader::FileReport;
    use super::super::record::TraceItem;
    use super::super::table::{Context, RecordFile};
    use rusqlite::types::ValueRef;
    use rusqlite::{Connection, OpenFlags};
    use std::collections::BTreeMap;
    use std::io::Read;
    use tempfile::NamedTempFile;

    /// Rows fetched at once.
    const PAGE: i64 = 4096;
    const VM_COLUMNS: [&str; 6] = ["vmId", "tenantId", "vmTypeId", "priority", "starttime", "endtime"];

    /// A row as it is in the database, with its rowid.
    type Raw = (i64, [Cell; 6]);

    /// A value of any declared type; numbers may be stored as text.
    #[derive(Clone, Debug, PartialEq)]
    enum Cell {
        Nothing,
        Number(f64),
        Text(String),
    }

    impl Cell {
        fn of(value: ValueRef<'_>) -> Cell {
            match value {
                ValueRef::Null => Cell::Nothing,
                ValueRef::Integer(n) => Cell::Number(n as f64),
                ValueRef::Real(n) => Cell::Number(n),
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    let text = String::from_utf8_lossy(text).trim().to_owned();
                    match super::super::number::parse_number(text.as_bytes()) {
                        Some(number) => Cell::Number(number),
                        None if super::super::number::is_missing(text.as_bytes()) => Cell::Nothing,
                        None => Cell::Text(text),
                    }
                }
            }
        }

        fn number(&self, field: usize) -> Result<f64, Box<RowError>> {
            match self {
                Cell::Number(number) if number.is_finite() => Ok(*number),
                Cell::Nothing => {
                    Err(RowError::field(field, SkipReason::MissingValue, "expected a number, found NULL"))
                }
                other => {
                    let message = format!("expected a number, found {other:?}");
                    Err(RowError::field(field, SkipReason::NotANumber, message))
                }
            }
        }

        fn id(&self, field: usize) -> Result<u64, Box<RowError>> {
            let number = self.number(field)?;
            if number < 0.0 {
                let message = format!("expected 0 or more, found {number}");
                return Err(RowError::field(field, SkipReason::Negative, message));
            }
            if libm::floor(number) != number || number > 9e15 {
                let message = format!("expected a whole number, found {number}");
                return Err(RowError::field(field, SkipReason::NotANumber, message));
            }
            Ok(number as u64)
        }
    }

    pub struct Database {
        name: String,
        connection: Connection,
        page: std::vec::IntoIter<Raw>,
        last_row: i64,
        rows: u64,
        missing: BTreeMap<String, u64>,
        /// Keeps the copy of a database that came compressed or through a pipe.
        _copy: Option<NamedTempFile>,
    }

    impl Database {
        pub fn open(input: &TraceInput, cx: &mut Context) -> TraceResult<Database> {
            let name = input.name();
            let unreadable = |what: String| TraceError::of_file(&name, SkipReason::Unreadable, what);
            let (path, copy) = match plain_path(input) {
                Some(path) => (path, None),
                None => {
                    let mut file =
                        NamedTempFile::new().map_err(|e| unreadable(format!("no temporary file: {e}")))?;
                    std::io::copy(
                        &mut input.open()?.take(super::super::reader::max_document_bytes()),
                        file.as_file_mut(),
                    )
                    .map_err(|e| unreadable(format!("cannot read: {e}")))?;
                    (file.path().to_owned(), Some(file))
                }
            };
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)
                .map_err(|e| unreadable(format!("cannot open the database: {e}")))?;
            read_types(&connection, &name, cx)?;
            Ok(Database {
                name,
                connection,
                page: Vec::new().into_iter(),
                last_row: i64::MIN,
                rows: 0,
                missing: BTreeMap::new(),
                _copy: copy,
            })
        }

        fn next_page(&mut self) -> TraceResult<()> {
            let columns = VM_COLUMNS.join(", ");
            let query = format!("SELECT rowid, {columns} FROM vm WHERE rowid > ?1 ORDER BY rowid LIMIT ?2");
            let fetch = || -> rusqlite::Result<Vec<Raw>> {
                let mut statement = self.connection.prepare_cached(&query)?;
                let rows = statement.query_map((self.last_row, PAGE), |row| {
                    let mut cells = [const { Cell::Nothing }; 6];
                    for (at, cell) in cells.iter_mut().enumerate() {
                        *cell = Cell::of(row.get_ref(at + 1)?);
                    }
                    Ok((row.get(0)?, cells))
                })?;
                rows.collect()
            };
            let page = fetch().map_err(|e| {
                let message = format!("cannot read table vm: {e}");
                TraceError::of_file(&self.name, SkipReason::TruncatedFile, message)
            })?;
            if let Some((row, _)) = page.last() {
                self.last_row = *row;
            }
            self.page = page.into_iter();
            Ok(())
        }
    }

    /// The path of an uncompressed database file.
    fn plain_path(input: &TraceInput) -> Option<std::path::PathBuf> {
        let TraceInput::Path(path) = input else { return None };
        let mut magic = [0; 16];
        crate::limits::open(path).ok()?.read_exact(&mut magic).ok()?;
        (&magic == b"SQLite format 3\0").then(|| path.clone())
    }

    fn read_types(connection: &Connection, name: &str, cx: &mut Context) -> TraceResult<()> {
        let query = "SELECT rowid, vmTypeId, machineId, core, memory, hdd, ssd FROM vmType ORDER BY rowid";
        let fetch = || -> rusqlite::Result<Vec<Raw>> {
            let mut statement = connection.prepare(query)?;
            let rows = statement.query_map((), |row| {
                let mut cells = [const { Cell::Nothing }; 6];
                for (at, cell) in cells.iter_mut().enumerate() {
                    *cell = Cell::of(row.get_ref(at + 1)?);
                }
                Ok((row.get(0)?, cells))
            })?;
            rows.collect()
        };
        let rows = fetch().map_err(|e| {
            let message = format!("expected the tables vm and vmType: {e}");
            TraceError::of_file(name, SkipReason::WrongFormat, message)
        })?;
        for (row, cells) in rows {
            if let Err(fault) = add_type(&cells, cx) {
                let error = located(name, "vmType", row, *fault);
                cx.tally.skip(error, cx.options.skip_bad_rows)?;
            }
        }
        Ok(())
    }

    fn add_type(cells: &[Cell; 6], cx: &mut Context) -> Result<(), Box<RowError>> {
        let share = |at: usize| match &cells[at] {
            Cell::Nothing => Ok(0.0),
            cell => check_fraction(cell.number(at)?, at),
        };
        let takes = VmType { core: share(2)?, memory: share(3)?, hdd: share(4)?, ssd: share(5)? };
        cx.vm_types.insert(cells[1].id(1)?, cells[0].id(0)?, takes);
        Ok(())
    }

    fn vm(cells: &[Cell; 6]) -> Result<Vm, Box<RowError>> {
        let end = match &cells[5] {
            Cell::Nothing => None,
            cell => Some(cell.number(5)?),
        };
        let (tenant, priority) = (cells[1].id(1)?, cells[3].id(3)?);
        Ok(Vm {
            vm: cells[0].id(0)?,
            tenant,
            vm_type: cells[2].id(2)?,
            priority,
            start: cells[4].number(4)?,
            end,
        })
    }

    fn located(name: &str, table: &str, row: i64, fault: RowError) -> Box<TraceError> {
        let column = fault.field.map_or(0, |field| field as u64 + 1);
        let mut error =
            TraceError::of_file(name, fault.reason, format!("table {table}, row {row}: {}", fault.message));
        error.line = u64::try_from(row).unwrap_or(0);
        error.column = column;
        error
    }

    impl RecordFile for Database {
        fn next_item(&mut self, cx: &mut Context) -> TraceResult<Option<TraceItem>> {
            loop {
                let Some((row, cells)) = self.page.next() else {
                    if let Err(error) = self.next_page() {
                        cx.tally.skip(error, cx.options.skip_bad_rows)?;
                        return Ok(None);
                    }
                    if self.page.len() == 0 {
                        return Ok(None);
                    }
                    continue;
                };
                self.rows += 1;
                for (cell, column) in cells.iter().zip(VM_COLUMNS) {
                    if *cell == Cell::Nothing {
                        *self.missing.entry(column.to_owned()).or_default() += 1;
                    }
                }
                match vm(&cells).and_then(|vm| pod(vm, cx)) {
                    Ok(Some(pod)) => {
                        cx.line = u64::try_from(row).unwrap_or(0);
                        return Ok(Some(pod.into()));
                    }
                    Ok(None) => {}
                    Err(fault) => {
                        cx.tally.skip(located(&self.name, "vm", row, *fault), cx.options.skip_bad_rows)?;
                    }
                }
            }
        }

        fn report(&self) -> FileReport {
            FileReport {
                file: self.name.clone(),
                table: "vm".to_owned(),
                rows: self.rows,
                missing: self.missing.clone(),
                figures: Figures::new(),
            }
        }
    }
}
