//! `trace convert`: any trace in stowplan's own format.

use super::error::{SkipReason, TraceError, TraceResult};
use super::own::{NODE_COLUMNS, POD_COLUMNS, claims_text};
use super::record::{NodeChange, NodeEvent, TracePod};
use super::source::{TraceRequest, TraceSource};
use crate::engine::time::SimTime;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// How the tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Plain CSV.
    Csv,
    /// CSV in gzip.
    CsvGz,
    /// CSV in zstd.
    CsvZst,
    /// Parquet (feature `parquet`).
    Parquet,
}

impl Encoding {
    /// The ending of file names.
    pub const fn extension(self) -> &'static str {
        match self {
            Encoding::Csv => "csv",
            Encoding::CsvGz => "csv.gz",
            Encoding::CsvZst => "csv.zst",
            Encoding::Parquet => "parquet",
        }
    }
}

/// One value of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Nanoseconds: seconds in CSV.
    Time(SimTime),
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// Whole numbers.
    Int,
    /// Times.
    Time,
}

/// The kind of a column of either table, by its name.
pub fn column_kind(name: &str) -> ColumnKind {
    match name {
        _ if name.ends_with("_seconds") => ColumnKind::Time,
        "copies" | "gpu_count" | "gpus" | "priority" | "max_per_node" => ColumnKind::Int,
        _ if name.ends_with("_milli") || name.ends_with("_bytes") || name.ends_with("_percent") => {
            ColumnKind::Int
        }
        _ => ColumnKind::Text,
    }
}

/// Where rows go.
pub trait TableWriter {
    /// Writes a row, one cell per column.
    ///
    /// # Errors
    /// The file cannot be written.
    fn row(&mut self, cells: Vec<Cell>) -> io::Result<()>;
    /// Completes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// CSV to any sink.
pub struct CsvTable<W: Write> {
    writer: csv::Writer<W>,
    close: fn(W) -> io::Result<()>,
}

impl<W: Write> CsvTable<W> {
    /// Writes the header. `close` completes the sink, such as a compressor.
    ///
    /// # Errors
    /// The sink cannot be written.
    pub fn new(sink: W, columns: &[&str], close: fn(W) -> io::Result<()>) -> io::Result<CsvTable<W>> {
        let mut writer = csv::Writer::from_writer(sink);
        writer.write_record(columns)?;
        Ok(CsvTable { writer, close })
    }
}

impl<W: Write> TableWriter for CsvTable<W> {
    fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        for cell in cells {
            match cell {
                Cell::Empty => self.writer.write_field("")?,
                Cell::Text(text) => self.writer.write_field(text)?,
                Cell::Int(n) => self.writer.write_field(n.to_string())?,
                Cell::Time(at) => self.writer.write_field(seconds_text(at))?,
            }
        }
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        let sink = self.writer.into_inner().map_err(|e| io::Error::other(e.to_string()))?;
        (self.close)(sink)
    }
}

/// Seconds without loss: `12`, `0.5`, `820.000001`.
fn seconds_text(at: SimTime) -> String {
    let (whole, part) = (at.as_nanos() / 1_000_000_000, at.as_nanos() % 1_000_000_000);
    if part == 0 { whole.to_string() } else { format!("{whole}.{part:09}").trim_end_matches('0').to_owned() }
}

fn text(value: Option<impl ToString>) -> Cell {
    value.map_or(Cell::Empty, |v| Cell::Text(v.to_string()))
}

fn int(value: Option<u64>) -> Cell {
    value.map_or(Cell::Empty, |v| Cell::Int(i64::try_from(v).unwrap_or(i64::MAX)))
}

fn time(value: Option<SimTime>) -> Cell {
    value.map_or(Cell::Empty, Cell::Time)
}

/// A pod in the order of `POD_COLUMNS`.
pub fn pod_cells(pod: &TracePod) -> Vec<Cell> {
    let some = |n: u64| if n == 0 { None } else { Some(n) };
    vec![
        Cell::Text(pod.name.to_string()),
        Cell::Int(i64::from(pod.copies)),
        time(pod.arrival),
        time(pod.end),
        time(pod.scheduled),
        int(Some(pod.cpu_milli)),
        int(Some(pod.memory_bytes)),
        int(pod.disk_bytes),
        int(pod.disk_limit_bytes),
        int(Some(u64::from(pod.gpu_count))),
        int(Some(u64::from(pod.gpu_milli))),
        text(Some(pod.gpu_models.join("|")).filter(|m| !m.is_empty())),
        int(some(u64::from(pod.rdma_percent))),
        text(pod.group.as_ref()),
        text(pod.role.as_ref()),
        pod.priority.map_or(Cell::Empty, Cell::Int),
        int(pod.max_per_node.map(u64::from)),
        text(pod.placement.as_ref()),
        text(pod.phase.as_ref()),
        text(pod.qos.as_ref()),
        text(Some(claims_text(&pod.claims)).filter(|c| !c.is_empty())),
    ]
}

/// A machine event in the order of `NODE_COLUMNS`.
pub fn node_cells(event: &NodeEvent) -> Vec<Cell> {
    let (change, node, cause) = match &event.change {
        NodeChange::Appears(node) => ("appears", Some(node), None),
        NodeChange::Capacity(node) => ("capacity", Some(node), None),
        NodeChange::Disappears => ("disappears", None, None),
        NodeChange::Cordoned { cause } => ("cordoned", None, Some(cause)),
    };
    vec![
        Cell::Text(event.node.to_string()),
        time(event.at),
        Cell::Text(change.to_owned()),
        int(node.map(|n| n.cpu_milli)),
        int(node.and_then(|n| n.memory_bytes)),
        int(node.and_then(|n| n.disk_bytes)),
        int(node.map(|n| u64::from(n.gpus))),
        text(node.and_then(|n| n.gpu_model.as_ref())),
        text(node.and_then(|n| n.zone.as_ref())),
        text(node.and_then(|n| n.rack.as_ref())),
        text(cause),
    ]
}

/// The row behind that of a machine that takes no pods (yet): it is cordoned.
fn cordoned_too(event: &NodeEvent) -> Option<NodeEvent> {
    let (NodeChange::Appears(machine) | NodeChange::Capacity(machine)) = &event.change else { return None };
    let cause = "not in use".into();
    machine.cordoned.then(|| NodeEvent { change: NodeChange::Cordoned { cause }, ..event.clone() })
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// Files, pods first.
    pub files: Vec<PathBuf>,
    /// Records of pods (each may stand for several copies).
    pub pod_records: u64,
    /// Machine events.
    pub node_events: u64,
    /// The trace's tally.
    pub tally: super::Tally,
}

/// Writes `pods.<ext>`, and `nodes.<ext>` if the trace has machines, into a folder. Each file appears whole or not at all.
///
/// # Errors
/// The trace's faults; the folder cannot be written; a file is there already and `force` is not set.
pub fn convert(
    request: &TraceRequest,
    folder: &Path,
    encoding: Encoding,
    force: bool,
) -> TraceResult<Converted> {
    let path = |name: &str| folder.join(format!("{name}.{}", encoding.extension()));
    for file in [path("pods"), path("nodes")] {
        if file.exists() && !force {
            let message = "the file is there already";
            return Err(TraceError::of_file(file.display().to_string(), SkipReason::Options, message)
                .with_hint("choose another folder, or --force to replace it"));
        }
    }
    let mut source = TraceSource::open(request)?;
    std::fs::create_dir_all(folder).map_err(|e| unwritable(folder, &e))?;
    let mut converted = Converted::default();
    let pods = path("pods");
    let mut part = Part::create(&pods, &POD_COLUMNS, encoding)?;
    while let Some(pod) = source.next_record()? {
        part.row(pod_cells(&pod))?;
        converted.pod_records += 1;
    }
    part.finish()?;
    converted.files.push(pods);
    let nodes = source.take_nodes();
    if !nodes.is_empty() {
        let file = path("nodes");
        let mut part = Part::create(&file, &NODE_COLUMNS, encoding)?;
        for event in &nodes {
            part.row(node_cells(event))?;
            if let Some(cordoned) = cordoned_too(event) {
                part.row(node_cells(&cordoned))?;
            }
        }
        part.finish()?;
        converted.node_events = nodes.len() as u64;
        converted.files.push(file);
    }
    converted.tally = source.tally().clone();
    Ok(converted)
}

fn unwritable(path: &Path, error: &io::Error) -> Box<TraceError> {
    TraceError::of_file(path.display().to_string(), SkipReason::Unreadable, format!("cannot write: {error}"))
}

/// A file in the making: written beside its place, renamed when complete.
struct Part {
    target: PathBuf,
    file: tempfile::TempPath,
    table: Box<dyn TableWriter>,
}

impl Part {
    fn create(target: &Path, columns: &[&'static str], encoding: Encoding) -> TraceResult<Part> {
        let folder = target.parent().unwrap_or(Path::new("."));
        let failed = |error: io::Error| unwritable(target, &error);
        let (file, path) = tempfile::Builder::new()
            .prefix(".stowplan-")
            .permissions_like_created()
            .tempfile_in(folder)
            .map_err(failed)?
            .into_parts();
        let table = table_writer(file, columns, encoding).map_err(failed)?;
        Ok(Part { target: target.to_owned(), file: path, table })
    }

    fn row(&mut self, cells: Vec<Cell>) -> TraceResult<()> {
        self.table.row(cells).map_err(|e| unwritable(&self.target, &e))
    }

    fn finish(self) -> TraceResult<()> {
        self.table.finish().map_err(|e| unwritable(&self.target, &e))?;
        self.file.persist(&self.target).map_err(|e| unwritable(&self.target, &e.error))
    }
}

/// Temporary files are private; a trace that somebody asked for should be readable like any other file.
trait LikeCreated {
    fn permissions_like_created(&mut self) -> &mut Self;
}

impl LikeCreated for tempfile::Builder<'_, '_> {
    fn permissions_like_created(&mut self) -> &mut Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            self.permissions(std::fs::Permissions::from_mode(0o666));
        }
        self
    }
}

fn table_writer(
    file: File,
    columns: &[&'static str],
    encoding: Encoding,
) -> io::Result<Box<dyn TableWriter>> {
    let sink = BufWriter::with_capacity(256 << 10, file);
    Ok(match encoding {
        Encoding::Csv => Box::new(CsvTable::new(sink, columns, |mut sink| sink.flush())?),
        Encoding::CsvGz => {
            let gzip = flate2::write::GzEncoder::new(sink, flate2::Compression::default());
            Box::new(CsvTable::new(gzip, columns, |gzip| gzip.finish()?.flush())?)
        }
        Encoding::CsvZst => {
            let zstd = zstd::Encoder::new(sink, 0)?;
            Box::new(CsvTable::new(zstd, columns, |zstd| zstd.finish()?.flush())?)
        }
        Encoding::Parquet => super::own_parquet::writer(sink, columns)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{TraceClaim, TraceId, TraceInput, TraceNode};

    fn every_field() -> TracePod {
        TracePod {
            name: "a \"quoted\", name".into(),
            copies: 3,
            arrival: Some(SimTime::from_nanos(820_000_001_000)),
            end: Some(SimTime::from_secs(12_901_761)),
            scheduled: Some(SimTime::from_nanos(820_500_000_000)),
            cpu_milli: 5300,
            memory_bytes: 5 << 30,
            disk_bytes: Some(1 << 40),
            disk_limit_bytes: Some(2 << 40),
            gpu_count: 2,
            gpu_milli: 500,
            gpu_models: vec!["T4".into(), "A10".into()],
            rdma_percent: 25,
            group: Some(TraceId::from("app_1")),
            role: Some("CN".into()),
            priority: Some(-5),
            max_per_node: Some(4),
            placement: Some(TraceId::from("m_7")),
            phase: Some("Running".into()),
            qos: Some("LS".into()),
            claims: vec![
                TraceClaim { name: "hdd".into(), bytes: 7, class: None },
                TraceClaim { name: "wal".into(), bytes: 9, class: Some("fast".into()) },
            ],
        }
    }

    /// Writes pods and machines, reads them back.
    fn round_trip(encoding: Encoding) {
        let folder = tempfile::tempdir().expect("a folder");
        let bare = TracePod { name: "bare".into(), ..TracePod::default() };
        let pods = [bare, every_field()];
        let file = folder.path().join("in.csv");
        let mut table = CsvTable::new(Vec::new(), &POD_COLUMNS, |_| Ok(())).expect("memory");
        for pod in &pods {
            table.row(pod_cells(pod)).expect("memory");
        }
        std::fs::write(&file, table.writer.into_inner().expect("memory")).expect("disk");
        let node = TraceNode {
            cordoned: false,
            name: "m".into(),
            cpu_milli: 96_000,
            memory_bytes: Some(1 << 39),
            disk_bytes: None,
            gpus: 8,
            gpu_model: Some("T4".into()),
            zone: Some("a".into()),
            rack: None,
        };
        let change =
            |at: u64, change| NodeEvent { at: Some(SimTime::from_secs(at)), node: "m".into(), change };
        let events = [
            change(1, NodeChange::Appears(node.clone())),
            change(2, NodeChange::Capacity(TraceNode { cpu_milli: 1, ..node })),
            change(3, NodeChange::Cordoned { cause: "disk_broken".into() }),
            change(4, NodeChange::Disappears),
        ];
        let mut table = CsvTable::new(Vec::new(), &NODE_COLUMNS, |_| Ok(())).expect("memory");
        for event in &events {
            table.row(node_cells(event)).expect("memory");
        }
        let nodes = folder.path().join("in-nodes.csv");
        std::fs::write(&nodes, table.writer.into_inner().expect("memory")).expect("disk");

        let inputs = vec![TraceInput::Path(file), TraceInput::Path(nodes)];
        let out = folder.path().join("out");
        let converted = convert(&TraceRequest::new(None, inputs), &out, encoding, false)
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((converted.pod_records, converted.node_events), (2, 4));
        let inputs = converted.files.iter().map(|f| TraceInput::Path(f.clone())).collect();
        let request = TraceRequest::new(None, inputs);
        let mut source = TraceSource::open(&request).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(source.take_nodes(), events);
        let mut back = Vec::new();
        while let Some(pod) = source.next_record().unwrap_or_else(|e| panic!("{e}")) {
            back.push(pod);
        }
        assert_eq!(back, pods);
        let again = convert(&request, &out, encoding, false).expect_err("files are there");
        assert!(again.hint.as_deref().is_some_and(|h| h.contains("--force")));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for encoding in [Encoding::Csv, Encoding::CsvGz, Encoding::CsvZst] {
            round_trip(encoding);
        }
        if cfg!(feature = "parquet") {
            round_trip(Encoding::Parquet);
        }
    }

    #[test]
    fn a_machine_that_takes_pods_again_does_so_after_conversion() {
        let rows =
            "m_5,0,13,13,96,100,USING\nm_5,100,13,13,96,100,IMPORT_INSTALLING\nm_5,200,13,13,96,100,USING\n";
        let folder = tempfile::tempdir().expect("a folder");
        let input = TraceInput::Bytes("machine_meta.csv".into(), rows.as_bytes().into());
        let mut request = TraceRequest::new(None, vec![input]);
        request.options.max_memory_bytes = Some(1 << 39);
        let done =
            convert(&request, folder.path(), Encoding::Csv, false).unwrap_or_else(|error| panic!("{error}"));
        let inputs = done.files.iter().map(|f| TraceInput::Path(f.clone())).collect();
        let mut source =
            TraceSource::open(&TraceRequest::new(None, inputs)).unwrap_or_else(|error| panic!("{error}"));
        // Whether it takes pods after each event.
        let open: Vec<(u64, bool)> = source
            .take_nodes()
            .iter()
            .map(|event| {
                let seconds = event.at.map_or(0, |at| at.as_nanos() / 1_000_000_000);
                (seconds, !matches!(event.change, NodeChange::Cordoned { .. }))
            })
            .collect();
        assert_eq!(open.first(), Some(&(0, true)));
        assert_eq!(open.iter().rfind(|(at, _)| *at == 100), Some(&(100, false)));
        assert_eq!(open.last(), Some(&(200, true)));
    }

    #[test]
    fn people_may_write_quantities_and_few_columns() {
        let text = "name,cpu,memory,disk\na,500m,16Gi,1.5Ti\nb,2,1G,\n";
        let input = TraceInput::Bytes("mine.csv".into(), text.as_bytes().into());
        let source =
            TraceSource::open(&TraceRequest::new(None, vec![input])).unwrap_or_else(|e| panic!("{e}"));
        let pods: Vec<_> = source.map(|p| p.expect("good")).collect();
        let shown: Vec<_> = pods.iter().map(|p| (p.cpu_milli, p.memory_bytes, p.disk_bytes)).collect();
        assert_eq!(shown, [(500, 16 << 30, Some(3 << 39)), (2000, 1_000_000_000, None)]);
    }

    #[test]
    fn faults_of_ones_own_files_are_placed() {
        let fault = |text: &str| {
            let input = TraceInput::Bytes("mine.csv".into(), text.as_bytes().into());
            let error = TraceSource::open(&TraceRequest::new(None, vec![input])).err().expect("a fault");
            (error.line, error.column, error.message)
        };
        let (line, column, message) = fault("name,cpu_milli,memory_bytes,arival_seconds\na,1,1,5\n");
        assert_eq!((line, column), (2, 7));
        assert!(message.contains("did you mean arrival_seconds?"), "{message}");
        assert_eq!(fault("name,cpu,memory\na,10Gb,1\n").1, 3);
        assert_eq!(fault("name,cpu_milli,memory_bytes,arrival_seconds,end_seconds\na,1,1,5,4\n").1, 9);
        assert_eq!(fault("name,cpu_milli,memory_bytes,claims\na,1,1,x\n").1, 7);
    }

    #[test]
    fn seconds_are_written_without_loss() {
        for (nanos, shown) in
            [(0, "0"), (820_000_001_000, "820.000001"), (500_000_000, "0.5"), (1, "0.000000001")]
        {
            assert_eq!(seconds_text(SimTime::from_nanos(nanos)), shown);
        }
    }
}
