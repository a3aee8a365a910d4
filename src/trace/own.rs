//! stowplan's own trace format: CSV with a header, or Parquet with the same columns (docs/TRACES.md).

use super::error::{RowError, SkipReason};
use super::record::{NodeChange, NodeEvent, TraceClaim, TraceId, TraceNode, TracePod};
use super::row::{Row, limits};
use super::table::{Context, Parsed, Recognized, Sample, Table, ends_after};
use crate::engine::time::SimTime;
use crate::model::quantity::Quantity;
use compact_str::CompactString;

/// Columns of pods, in the order in which they are written.
pub const POD_COLUMNS: [&str; 21] = [
    "name",
    "copies",
    "arrival_seconds",
    "end_seconds",
    "scheduled_seconds",
    "cpu_milli",
    "memory_bytes",
    "disk_bytes",
    "disk_limit_bytes",
    "gpu_count",
    "gpu_milli",
    "gpu_models",
    "rdma_percent",
    "group",
    "role",
    "priority",
    "max_per_node",
    "placement",
    "phase",
    "qos",
    "claims",
];

/// Columns of machines.
pub const NODE_COLUMNS: [&str; 11] = [
    "node",
    "at_seconds",
    "change",
    "cpu_milli",
    "memory_bytes",
    "disk_bytes",
    "gpus",
    "gpu_model",
    "zone",
    "rack",
    "cause",
];

/// Other names for columns: Kubernetes quantities instead of plain numbers, nanoseconds instead of seconds.
const ALIASES: [(&str, &str); 7] = [
    ("cpu", "cpu_milli"),
    ("memory", "memory_bytes"),
    ("disk", "disk_bytes"),
    ("arrival_nanos", "arrival_seconds"),
    ("end_nanos", "end_seconds"),
    ("scheduled_nanos", "scheduled_seconds"),
    ("at_nanos", "at_seconds"),
];

/// What the files look like, for messages.
pub const EXPECTED: &str = "a header with name,cpu_milli,memory_bytes (pods) or node,cpu_milli,memory_bytes (machines) and any of the other columns of docs/TRACES.md, or Parquet with the same columns";

/// Recognizes both tables by their headers, Parquet by its magic bytes.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    if sample.bytes.starts_with(b"PAR1") {
        return Some(Recognized::Records { name: "parquet", open: super::own_parquet::open });
    }
    let (table, _) = table(sample.header())?;
    Some(Recognized::Rows { table, header: true })
}

/// The table that has such columns, and whether it is the one of pods.
pub fn table(header: &[String]) -> Option<(Box<dyn Table>, bool)> {
    let has = |name: &str| header.iter().any(|h| h == name);
    if !(has("cpu_milli") || has("cpu")) || !(has("memory_bytes") || has("memory")) {
        return None;
    }
    let columns = header.to_vec();
    if has("name") {
        let at = Columns::new(header, &POD_COLUMNS);
        return Some((Box::new(Pods { at, columns }), true));
    }
    if has("node") {
        let at = Columns::new(header, &NODE_COLUMNS);
        return Some((Box::new(Nodes { at, columns }), false));
    }
    None
}

/// Where each column is, and whether under its other name.
struct Columns {
    at: Vec<(usize, bool)>,
    /// A column that is none of ours, with the nearest name.
    unknown: Option<(usize, String)>,
}

impl Columns {
    fn new(header: &[String], names: &[&'static str]) -> Columns {
        let alias_of =
            |name: &str| ALIASES.iter().find(|(_, column)| *column == name).map(|(alias, _)| *alias);
        let position = |name: &str| header.iter().position(|h| h == name);
        let at = names
            .iter()
            .map(|name| match (position(name), alias_of(name).and_then(position)) {
                (Some(at), _) => (at, false),
                (None, Some(at)) => (at, true),
                (None, None) => (usize::MAX, false),
            })
            .collect();
        let known = |h: &String| names.contains(&h.as_str()) || ALIASES.iter().any(|(alias, _)| alias == h);
        let unknown = header.iter().position(|h| !known(h)).map(|at| {
            let near = names.iter().min_by_key(|n| strsim::damerau_levenshtein(n, &header[at]));
            let near = near.copied().unwrap_or("name");
            (at, format!("unknown column {:?}; did you mean {near}?", header[at]))
        });
        Columns { at, unknown }
    }

    fn check(&self, row: &Row<'_>, columns: usize) -> Result<(), Box<RowError>> {
        if let Some((field, message)) = &self.unknown {
            return Err(RowError::field(*field, SkipReason::WrongFormat, message.clone()));
        }
        row.expect_columns(columns)
    }

    fn time(&self, row: &Row<'_>, column: usize) -> Result<Option<SimTime>, Box<RowError>> {
        let (field, nanos) = self.at[column];
        if row.is_missing(field) {
            return Ok(None);
        }
        if nanos {
            return Ok(Some(SimTime::from_nanos(row.integer(field, limits::SECONDS * 1_000_000_000)?)));
        }
        seconds(row, field).map(Some)
    }

    /// An amount in the base unit, or a quantity under the other name.
    fn amount(&self, row: &Row<'_>, column: usize, limit: u64) -> Result<Option<u64>, Box<RowError>> {
        let (field, is_quantity) = self.at[column];
        if row.is_missing(field) {
            return Ok(None);
        }
        if !is_quantity {
            return row.integer(field, limit).map(Some);
        }
        let quantity = Quantity::parse(row.text(field)?)
            .map_err(|error| RowError::field(field, SkipReason::NotANumber, error.to_string()))?;
        if quantity.is_negative() {
            return Err(row.negative(field));
        }
        let milli = limit == limits::CPU_MILLI;
        let value = if milli { quantity.nanos() / 1_000_000 } else { quantity.ceil() };
        u64::try_from(value).ok().filter(|&v| v <= limit).map(Some).ok_or_else(|| row.absurd(field))
    }

    fn count(&self, row: &Row<'_>, column: usize, default: u32, limit: u64) -> Result<u32, Box<RowError>> {
        let (field, _) = self.at[column];
        if row.is_missing(field) { Ok(default) } else { Ok(row.integer(field, limit)? as u32) }
    }

    fn text(&self, row: &Row<'_>, column: usize) -> Result<Option<CompactString>, Box<RowError>> {
        row.optional_text(self.at[column].0)
    }
    fn boxed(&self, row: &Row<'_>, column: usize) -> Result<Option<Box<str>>, Box<RowError>> {
        row.optional(self.at[column].0)
    }
}

/// Seconds with up to nine decimals, exactly.
fn seconds(row: &Row<'_>, field: usize) -> Result<SimTime, Box<RowError>> {
    let text = row.text(field)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        // An exponent or a sign: as exact as a float is.
        let millis = row.scaled(field, 1000, limits::SECONDS * 1000)?;
        return Ok(SimTime::from_nanos(millis * 1_000_000));
    }
    let whole: u64 = whole.parse().ok().filter(|&s| s <= limits::SECONDS).ok_or_else(|| row.absurd(field))?;
    let part: u64 = if fraction.is_empty() { 0 } else { fraction.parse().unwrap_or(0) };
    let scale = 10u64.pow(9 - fraction.len() as u32);
    Ok(SimTime::from_nanos(whole * 1_000_000_000 + part * scale))
}

struct Pods {
    at: Columns,
    columns: Vec<String>,
}

impl Table for Pods {
    fn name(&self) -> &'static str {
        "pods"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, _cx: &mut Context) -> Parsed {
        let c = &self.at;
        c.check(row, self.columns.len())?;
        let (arrival, end) = (c.time(row, 2)?, c.time(row, 3)?);
        ends_after(c.at[3].0, arrival, end)?;
        let cpu = c.amount(row, 5, limits::CPU_MILLI)?;
        let memory = c.amount(row, 6, limits::BYTES)?;
        let models = row.text(c.at[11].0)?;
        let priority = row.text(c.at[15].0)?;
        let priority = if priority.is_empty() {
            None
        } else {
            let bad = || row.not_a_number(c.at[15].0, "a whole number");
            Some(priority.parse::<i64>().map_err(|_| bad())?)
        };
        let gpu_count = c.count(row, 9, 0, 1024)?;
        Ok(Some(
            TracePod {
                name: TraceId::from(row.required(c.at[0].0)?),
                copies: c.count(row, 1, 1, 10_000_000)?.max(1),
                arrival,
                end,
                scheduled: c.time(row, 4)?,
                cpu_milli: cpu.unwrap_or(0),
                memory_bytes: memory.unwrap_or(0),
                disk_bytes: c.amount(row, 7, limits::BYTES)?,
                disk_limit_bytes: c.amount(row, 8, limits::BYTES)?,
                gpu_count,
                gpu_milli: c.count(row, 10, if gpu_count > 0 { 1000 } else { 0 }, 1000)?,
                gpu_models: models.split('|').filter(|m| !m.is_empty()).map(CompactString::from).collect(),
                rdma_percent: c.count(row, 12, 0, 100_000)?,
                group: c.text(row, 13)?.map(TraceId::Text),
                role: c.text(row, 14)?,
                priority,
                max_per_node: Some(c.count(row, 16, 0, limits::COUNT - 1)?).filter(|&k| k > 0),
                placement: c.text(row, 17)?.map(TraceId::Text),
                phase: c.text(row, 18)?,
                qos: c.text(row, 19)?,
                claims: claims(row, c.at[20].0)?,
            }
            .into(),
        ))
    }
}

/// `name=bytes` or `name=bytes:class`, separated by semicolons.
fn claims(row: &Row<'_>, field: usize) -> Result<Vec<TraceClaim>, Box<RowError>> {
    let text = row.text(field)?;
    let mut claims = Vec::new();
    for part in text.split(';').filter(|p| !p.is_empty()) {
        let bad = || {
            let message = format!("expected claims as name=bytes or name=bytes:class, found {part:?}");
            RowError::field(field, SkipReason::Malformed, message)
        };
        let (name, rest) = part.split_once('=').ok_or_else(bad)?;
        let (bytes, class) = rest.split_once(':').map_or((rest, None), |(b, c)| (b, Some(c)));
        let quantity = Quantity::parse(bytes).map_err(|_| bad())?;
        let bytes = u64::try_from(quantity.ceil()).ok().filter(|&b| b <= limits::BYTES).ok_or_else(bad)?;
        claims.push(TraceClaim { name: name.into(), bytes, class: class.map(Box::from) });
    }
    Ok(claims)
}

/// Claims as [`claims`] reads them.
pub fn claims_text(claims: &[TraceClaim]) -> String {
    let one = |c: &TraceClaim| match &c.class {
        Some(class) => format!("{}={}:{class}", c.name, c.bytes),
        None => format!("{}={}", c.name, c.bytes),
    };
    claims.iter().map(one).collect::<Vec<_>>().join(";")
}

struct Nodes {
    at: Columns,
    columns: Vec<String>,
}

impl Table for Nodes {
    fn name(&self) -> &'static str {
        "nodes"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn rank(&self) -> u8 {
        0
    }

    fn parse(&mut self, row: &Row<'_>, _cx: &mut Context) -> Parsed {
        let c = &self.at;
        c.check(row, self.columns.len())?;
        let node = TraceId::from(row.required(c.at[0].0)?);
        let machine = TraceNode {
            cordoned: false,
            name: node.clone(),
            cpu_milli: c.amount(row, 3, limits::CPU_MILLI)?.unwrap_or(0),
            memory_bytes: c.amount(row, 4, limits::BYTES)?,
            disk_bytes: c.amount(row, 5, limits::BYTES)?,
            gpus: c.count(row, 6, 0, 1024)?,
            gpu_model: c.boxed(row, 7)?,
            zone: c.boxed(row, 8)?,
            rack: c.boxed(row, 9)?,
        };
        let change = match row.get(c.at[2].0) {
            b"" | b"appears" => NodeChange::Appears(machine),
            b"capacity" => NodeChange::Capacity(machine),
            b"disappears" => NodeChange::Disappears,
            b"cordoned" => NodeChange::Cordoned { cause: c.boxed(row, 10)?.unwrap_or_default() },
            _ => return Err(row.unknown(c.at[2].0, "appears, capacity, cordoned or disappears")),
        };
        Ok(Some(NodeEvent { at: c.time(row, 1)?, node, change }.into()))
    }
}
