//! `stowplan trace inspect` and `stowplan trace convert`.

use super::output;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::quantity::Quantity;
use crate::trace::convert::{Encoding, convert};
use crate::trace::sort::DEFAULT_SORT_MEMORY;
use crate::trace::{Format, Inspection, TraceError, TraceInput, TraceOptions, TraceRequest, inspect};
use serde_json::Value;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan trace inspect --format openb openb_pod_list_default.csv\n  \
    stowplan trace convert openb_pod_list_default.csv -o trace/")]
pub struct TraceArgs {
    #[command(subcommand)]
    command: TraceCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TraceCommand {
    /// Print what is in a trace: rows, pods, machines, sums, extremes, peaks, what is missing and what was skipped.
    Inspect(InspectArgs),
    /// Write a trace in stowplan's own format, its pods in the order of their arrival.
    Convert(ConvertArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stowplan trace inspect --format openb openb_pod_list_default.csv openb_node_list_all_node.csv\n  \
    stowplan trace inspect pods.csv.gz --json"
)]
struct InspectArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Print JSON, and nothing else, on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan trace convert openb_pod_list_default.csv -o trace/\n  \
    stowplan trace convert pods.csv --to parquet -o trace/")]
struct ConvertArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Folder for `pods.csv` and, if the trace has machines, `nodes.csv`; other encodings have other endings.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Encoding of the files: csv, csv.gz, csv.zst or parquet.
    #[arg(long, value_name = "ENCODING", default_value = "csv", value_parser = encoding)]
    to: Encoding,
    /// Replace files that are there already.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct InputArgs {
    /// Files of one trace in any order, plain, gzip or zstd; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The trace's format; auto recognizes it.
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    format: String,
    /// Count bad rows by reason instead of stopping at the first, at most MAX of them.
    #[arg(long, value_name = "MAX", num_args = 0..=1, require_equals = true, default_missing_value = "18446744073709551615")]
    skip_bad_rows: Option<u64>,
    /// CPUs of the largest machine, for traces that give shares of it, such as 64.
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    max_cpu: Option<Quantity>,
    /// Memory of the largest machine, such as 512Gi.
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    max_memory: Option<Quantity>,
    /// Disk of the largest machine, such as 4Ti.
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    max_disk: Option<Quantity>,
    /// Memory for sorting a trace that is not in time order.
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    sort_memory: Option<Quantity>,
    /// azure-packing-2020: the machine generation that nodes are.
    #[arg(long, value_name = "ID")]
    azure_machine: Option<u64>,
    /// google-2019: count the tasks inside alloc sets instead of the sets.
    #[arg(long)]
    inner_tasks: bool,
}

fn quantity(text: &str) -> Result<Quantity, String> {
    match Quantity::parse(text) {
        Ok(value) if value.is_negative() || value.is_zero() => Err("expected more than 0".to_owned()),
        Ok(value) => Ok(value),
        Err(error) => Err(error.to_string()),
    }
}

fn encoding(text: &str) -> Result<Encoding, String> {
    let all = [Encoding::Csv, Encoding::CsvGz, Encoding::CsvZst, Encoding::Parquet];
    let found = all.into_iter().find(|e| e.extension() == text);
    found.ok_or_else(|| "expected csv, csv.gz, csv.zst or parquet".to_owned())
}

impl InputArgs {
    fn request(&self) -> Result<TraceRequest, Box<TraceError>> {
        let format = match self.format.as_str() {
            "auto" => None,
            name => Some(name.parse::<Format>().map_err(TraceError::option)?),
        };
        let bytes = |q: Option<Quantity>| q.map(|q| u64::try_from(q.ceil()).unwrap_or(u64::MAX));
        let options = TraceOptions {
            max_cpu_milli: self.max_cpu.map(|q| u64::try_from(q.milli_value()).unwrap_or(u64::MAX)),
            max_memory_bytes: bytes(self.max_memory),
            max_disk_bytes: bytes(self.max_disk),
            skip_bad_rows: self.skip_bad_rows,
            azure_machine: self.azure_machine,
            inner_tasks: self.inner_tasks,
            read_ahead: true,
            ..TraceOptions::default()
        };
        let sort_memory = bytes(self.sort_memory).and_then(|b| usize::try_from(b).ok());
        Ok(TraceRequest {
            format,
            inputs: self.files.iter().map(|file| TraceInput::from_argument(file)).collect(),
            options,
            sort_memory: sort_memory.unwrap_or(DEFAULT_SORT_MEMORY),
        })
    }
}

/// 0, or 2 for bad input, 3 for what cannot be read or written.
pub fn run(args: &TraceArgs) -> ExitCode {
    match answer(args) {
        Ok(text) => super::answer(output::say(&text).map(|()| 0).map_err(Into::into)),
        Err(error) => {
            let color = io::IsTerminal::is_terminal(&io::stderr());
            let findings = Diagnostics::from(Diagnostic::from(&*error));
            output::complain(&findings.render(color));
            ExitCode::from(findings.exit_code())
        }
    }
}

fn answer(args: &TraceArgs) -> Result<String, Box<TraceError>> {
    match &args.command {
        TraceCommand::Inspect(args) => {
            let found = inspect(&args.input.request()?)?;
            Ok(if args.json { format!("{:#}\n", found.to_json()) } else { table(&found) })
        }
        TraceCommand::Convert(args) => {
            let done = convert(&args.input.request()?, &args.output, args.to, args.force)?;
            let mut text = String::new();
            for file in &done.files {
                let _ = writeln!(text, "wrote {}", file.display());
            }
            let _ = writeln!(text, "{} pod records, {} machine events", done.pod_records, done.node_events);
            for (reason, rows) in &done.tally.skipped {
                let _ = writeln!(text, "skipped as {reason}: {rows}");
            }
            for (rule, rows) in &done.tally.left_out {
                let _ = writeln!(text, "left out, {rule}: {rows}");
            }
            Ok(text)
        }
    }
}

/// The figures for people.
fn table(found: &Inspection) -> String {
    let json = found.to_json();
    let mut out = String::new();
    let _ = writeln!(out, "format          {}", found.format);
    for file in &found.files {
        let _ = writeln!(out, "file            {} ({}, {} rows)", file.file, file.table, file.rows);
        for (column, rows) in &file.missing {
            let _ = writeln!(out, "  missing       {column}: {rows}");
        }
    }
    let _ = writeln!(out, "pods            {}", found.pods);
    let _ = writeln!(out, "  already there {}, alive at the end {}", found.already_there, found.alive_at_end);
    resources(&mut out, &json["pod_resources"], &json["peaks"]);
    if found.pods > 0 {
        let _ = writeln!(
            out,
            "peak pods       {} at {} s",
            json["peaks"]["pods"]["value"], json["peaks"]["pods"]["at_s"]
        );
        let span = [&json["first_arrival_s"], &json["last_arrival_s"], &json["last_event_s"]];
        let _ = writeln!(out, "arrivals        {} s to {} s, last event {} s", span[0], span[1], span[2]);
        let order = if found.sorted { "yes" } else { "no" };
        let _ = writeln!(out, "in time order   {order}");
    }
    if found.nodes > 0 {
        let _ = writeln!(out, "machines        {}", found.nodes);
        resources(&mut out, &json["node_resources"], &Value::Null);
        for (kind, count) in &found.node_events {
            let _ = writeln!(out, "  {kind:<13} {count}");
        }
        for (cause, count) in &found.cordon_causes {
            let _ = writeln!(out, "    because of  {cause}: {count}");
        }
        let _ = writeln!(out, "  {:<13} {}", "shapes", found.node_shapes.len());
    }
    for (reason, rows) in &found.skipped {
        let _ = writeln!(out, "skipped         {rows} as {reason}");
    }
    for example in &found.examples {
        let _ = writeln!(out, "  for example   {example}");
    }
    for (rule, rows) in &found.left_out {
        let _ = writeln!(out, "left out        {rows}, {rule}");
    }
    out
}

fn resources(out: &mut String, resources: &Value, peaks: &Value) {
    for (name, summary) in resources.as_object().into_iter().flatten() {
        let _ = write!(
            out,
            "  {name:<13} sum {}, least {}, most {}",
            summary["sum"], summary["min"], summary["max"]
        );
        let _ = match &peaks[name] {
            Value::Null => writeln!(out),
            peak => writeln!(out, ", peak {} at {} s", peak["value"], peak["at_s"]),
        };
    }
}
