//! `stowplan plot RESULTS`: pictures of a results folder, single ones or all, as SVG or PNG.

use super::output;
use super::{Answer, Failure};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::limits::{self, Limit};
use crate::plan::output::PLAN_FILE;
use crate::plan::picture::PICTURE;
use crate::report::html::{self, Origin};
use crate::report::plot::{self, PlotKind};
use crate::report::plots::canvas::PlotError;
use crate::report::plots::sweep::DEFAULT_METRICS;
use crate::report::png::png;
use crate::results::disk::RealDisk;
use crate::results::sweep::{SWEEP_FILE, SweepTable};
use crate::results::write::{PLOTS_FOLDER, PROVENANCE_FILE, Provenance, ResultsError, put_file};
use crate::results::{RunOutput, load};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The kind that is the page.
const REPORT: &str = "report";
/// The page's file name.
const REPORT_FILE: &str = "report.html";

/// Arguments of `plot`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan plot results/mysql-local-pv\n  \
    stowplan plot results/mysql-local-pv --kind stranding --png -o stranding.png\n  \
    stowplan plot results/mysql-local-pv --list")]
pub struct Args {
    /// Folder that `run`, `sweep` or `plan` wrote.
    #[arg(value_name = "RESULTS")]
    results: PathBuf,
    /// Draw only this; may be repeated. `--list` names them; `report` is the page.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Say which kinds there are, and draw nothing.
    #[arg(long)]
    list: bool,
    /// With --list: as JSON.
    #[arg(long, requires = "list")]
    json: bool,
    /// PNG instead of SVG; a FILE that ends in .png means it too.
    #[arg(long)]
    png: bool,
    /// Pixels of a PNG per pixel of the SVG.
    #[arg(long, default_value_t = 2.0, value_name = "N")]
    scale: f32,
    /// Metrics of a sweep's pictures, such as pods.stuck; may be repeated.
    #[arg(long = "metric", value_name = "PATH")]
    metrics: Vec<String>,
    /// File for a single picture, or `-` for standard output; default: into the results folder.
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    fn wants_png(&self) -> bool {
        let ends_in_png = |file: &PathBuf| file.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        self.png || self.output.as_ref().is_some_and(ends_in_png)
    }
}

/// A picture or page: its kind, its place in the folder, its content.
struct Drawn {
    kind: String,
    file: String,
    content: Vec<u8>,
}

/// Draws what is asked for.
///
/// # Errors
/// A folder that holds no results, a kind that there is not, or a file that cannot be written.
pub fn run(args: &Args) -> Answer {
    if !(0.1..=16.0).contains(&args.scale) {
        return Err(bad("--scale is between 0.1 and 16".to_owned(), None));
    }
    let has = |file: &str| args.results.join(file).exists();
    let source = if has(SWEEP_FILE) {
        Source::Sweep(read_sweep(&args.results)?)
    } else if has(PLAN_FILE) {
        Source::Plan
    } else {
        super::explain::is_run(&args.results)?;
        Source::Run(load(&args.results)?)
    };
    let kinds = source.kinds();
    if args.list && args.json {
        let list = kinds.iter().map(|(name, about)| json!({"kind": name, "about": about}));
        output::say_json(&list.collect())?;
        return Ok(0);
    }
    if args.list {
        let lines: String = kinds.iter().map(|(name, about)| format!("{name:<14} {about}\n")).collect();
        output::say(&lines)?;
        return Ok(0);
    }
    for kind in &args.kinds {
        if !kinds.iter().any(|k| k.0 == *kind) {
            let hint = did_you_mean(kind, kinds.iter().map(|k| k.0.as_str()));
            return Err(bad(format!("there is no kind `{}`", crate::diagnostic::escape(kind)), hint));
        }
    }
    let wanted = |kind: &str| args.kinds.is_empty() || args.kinds.iter().any(|k| k == kind);
    let mut drawn = source.draw(args, &wanted)?;
    if args.wants_png() {
        drawn.retain(|d| d.file != REPORT_FILE);
        for picture in &mut drawn {
            rasterize(picture, args.scale)?;
        }
    }
    place(args, &drawn)?;
    Ok(0)
}

enum Source {
    Run(RunOutput),
    Sweep(SweepTable),
    /// Its picture and page are as `plan` drew them.
    Plan,
}

impl Source {
    /// Name and description of what can be drawn.
    fn kinds(&self) -> Vec<(String, &'static str)> {
        let mut kinds: Vec<(String, &'static str)> = match self {
            Source::Run(run) => PlotKind::ALL
                .into_iter()
                .filter(|k| k.applies(run))
                .map(|k| (k.name().to_owned(), k.about()))
                .collect(),
            Source::Plan => vec![("pareto".to_owned(), "cost against pods stuck and bytes wasted")],
            Source::Sweep(_) => vec![("sweep".to_owned(), "metrics against each parameter, and over two")],
        };
        kinds.push((REPORT.to_owned(), "the page with everything, report.html"));
        kinds
    }

    fn draw(&self, args: &Args, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Drawn>, Failure> {
        let mut drawn = Vec::new();
        match self {
            Source::Run(run) => {
                let kinds = PlotKind::ALL.into_iter().filter(|k| k.applies(run) && wanted(k.name()));
                for kind in kinds {
                    let content = plot::draw(kind, run).map_err(cannot_draw)?.into_bytes();
                    let file = format!("{PLOTS_FOLDER}/{}.svg", kind.name());
                    drawn.push(Drawn { kind: kind.name().to_owned(), file, content });
                }
                if wanted(REPORT) && !args.wants_png() {
                    let origin = Origin { command: provenance(&args.results).command, warnings: Vec::new() };
                    drawn.push(page(html::page(run, &origin).map_err(cannot_draw)?));
                }
            }
            Source::Plan => {
                let files =
                    [("pareto", format!("{PLOTS_FOLDER}/{PICTURE}")), (REPORT, REPORT_FILE.to_owned())];
                for (kind, file) in files.into_iter().filter(|(kind, _)| wanted(kind)) {
                    if kind == REPORT && args.wants_png() {
                        continue;
                    }
                    let path = args.results.join(&file);
                    let content = std::fs::read(&path).map_err(ResultsError::io(&path, "read"))?;
                    drawn.push(Drawn { kind: kind.to_owned(), file, content });
                }
            }
            Source::Sweep(table) => {
                let chosen: Vec<&str> = args.metrics.iter().map(String::as_str).collect();
                let known = table.metrics();
                if let Some(unknown) = args.metrics.iter().find(|m| !known.contains(m)) {
                    let hint = did_you_mean(unknown, known.iter().map(String::as_str));
                    return Err(bad(
                        format!("there is no metric `{}`", crate::diagnostic::escape(unknown)),
                        hint,
                    ));
                }
                let metrics: &[&str] = if chosen.is_empty() { &DEFAULT_METRICS } else { &chosen };
                drawn = draw_sweep(&args.results, table, metrics)?;
                drawn.retain(|d| wanted(&d.kind) && !(args.wants_png() && d.kind == REPORT));
            }
        }
        Ok(drawn)
    }
}

/// Draws the pictures and the page of a finished sweep into its folder.
///
/// # Errors
/// Files that cannot be written.
pub fn sweep(folder: &Path, table: &SweepTable, metrics: &[&str]) -> Result<(), Failure> {
    for drawn in draw_sweep(folder, table, metrics)? {
        put_file(&folder.join(drawn.file), &drawn.content, &RealDisk)?;
    }
    Ok(())
}

fn draw_sweep(folder: &Path, table: &SweepTable, metrics: &[&str]) -> Result<Vec<Drawn>, Failure> {
    let pictures = plot::draw_sweep(table, metrics).map_err(cannot_draw)?;
    let picture =
        |(name, content)| Drawn { kind: "sweep".into(), file: format!("{PLOTS_FOLDER}/{name}"), content };
    let mut drawn: Vec<Drawn> = pictures.into_iter().map(picture).collect();
    let page_of = html::sweep_page(table, &provenance(folder), &Origin::default());
    drawn.push(page(page_of.map_err(cannot_draw)?));
    Ok(drawn)
}

fn page(html: String) -> Drawn {
    Drawn { kind: REPORT.to_owned(), file: REPORT_FILE.to_owned(), content: html.into_bytes() }
}

fn read_sweep(folder: &Path) -> Result<SweepTable, ResultsError> {
    let path = folder.join(SWEEP_FILE);
    let file = limits::open_within(&path, Limit::ResultsBytes).map_err(ResultsError::io(&path, "read"))?;
    SweepTable::read(std::io::BufReader::new(file))
        .map_err(|error| ResultsError::Malformed { path, why: error.to_string() })
}

/// What the folder says about itself; nothing if it says nothing.
fn provenance(folder: &Path) -> Provenance {
    let text = limits::read_text(&folder.join(PROVENANCE_FILE), Limit::ResultsBytes).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn rasterize(picture: &mut Drawn, scale: f32) -> Result<(), Failure> {
    let svg = String::from_utf8_lossy(&picture.content);
    picture.content = png(&svg, scale).map_err(|e| Failure::coded(Code::OutputWrite, e.to_string()))?;
    picture.file = format!("{}.png", picture.file.trim_end_matches(".svg"));
    Ok(())
}

fn place(args: &Args, drawn: &[Drawn]) -> Result<(), Failure> {
    let Some(target) = &args.output else {
        for picture in drawn {
            let path = args.results.join(&picture.file);
            put_file(&path, &picture.content, &RealDisk)?;
            output::say(&format!("{}\n", path.display()))?;
        }
        return Ok(());
    };
    let [one] = drawn else {
        let message = format!("-o takes one picture, and these are {}", drawn.len());
        return Err(bad(message, Some("choose one with --kind".to_owned())));
    };
    if target.as_os_str() == "-" {
        return Ok(output::say_bytes(&one.content)?);
    }
    Ok(put_file(target, &one.content, &RealDisk)?)
}

fn cannot_draw(error: PlotError) -> Failure {
    Failure::coded(Code::OutputWrite, format!("cannot draw: {error}"))
}

fn bad(message: String, hint: Option<String>) -> Failure {
    Diagnostic::error(Code::CommandLine, message).maybe_help(hint).into()
}
