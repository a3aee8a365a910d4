//! `report.html`: one file that holds everything a person wants to know about a run, and fetches nothing.
//!
//! All text from outside goes through [`escaped`] or through JSON in which no `<` is left; a content security policy forbids
//! every request. Without scripts the page still shows everything but hover values and the two big tables.

use super::plot::{PlotKind, picture};
use super::plots::canvas::{PlotError, escaped};
use super::{findings, human, palette, table};
use crate::results::leaves::{Leaf, leaves};
use crate::results::number::rounded;
use crate::results::summary::{Assumption, AssumptionSource, VariantSummary};
use crate::results::{RunOutput, TOOL};
use std::collections::BTreeMap;
use std::fmt::Write;

mod availability;
mod data;
mod sizes;
mod sweep;

pub use sweep::sweep_page;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// What the page says about where it comes from, beside what the summary holds.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The command line that made the run, program name first.
    pub command: Vec<String>,
    /// Things that the user should know: what was ignored, cut or guessed.
    pub warnings: Vec<String>,
}

/// The page of a run.
///
/// # Errors
/// [`PlotError`] if a picture cannot be drawn.
pub fn page(run: &RunOutput, origin: &Origin) -> Result<String, PlotError> {
    let mut figures = BTreeMap::new();
    let mut pictures = BTreeMap::new();
    for kind in PlotKind::ALL {
        let drawn = picture(kind, run)?;
        figures.insert(kind.name(), drawn.panels);
        pictures.insert(kind, themed(&drawn.svg));
    }
    let picture_of = |kind: PlotKind| figure(kind.name(), pictures.get(&kind).map_or("", String::as_str));
    let summary = &run.summary;
    let sections = [
        ("verdict", "Verdict", "Verdict", verdicts(&summary.variants)),
        ("comparison", "Comparison", "Comparison", comparison(run)),
        ("stuck", "Stuck", "When and why pods got stuck", stuck(run, &picture_of(PlotKind::Stuck))),
        ("stranding", "Stranding", "What full disks strand", picture_of(PlotKind::Stranding)),
        ("nodes", "Nodes", "Which node ran out of what", nodes(run, &picture_of(PlotKind::Nodes))),
        ("resources", "Over time", "CPU, memory and disk over time", picture_of(PlotKind::Resources)),
        ("storage", "Storage", "Where the disk is", storage(run, &picture_of)),
        ("availability", "Failures", "Failures and recovery", availability::section(run, &picture_of)),
        ("assumptions", "Assumptions", "Assumptions", assumptions(run, origin)),
        ("numbers", "Numbers", "Every number", numbers(&summary.variants)),
        ("provenance", "Origin", "Where this comes from", provenance(run, origin)),
    ];
    let json = data::json(run, &figures);
    Ok(assembled(&summary.scenario, &subtitle(run), &sections, &json))
}

/// A section: its id, its name in the navigation, its heading, its content.
type Section<'a> = (&'a str, &'a str, &'a str, String);

/// A whole page; sections without content are left out.
fn assembled(title: &str, subtitle: &str, sections: &[Section<'_>], json: &str) -> String {
    let sections: Vec<&Section<'_>> = sections.iter().filter(|s| !s.3.is_empty()).collect();
    let mut html = head(title);
    let _ = write!(
        html,
        "<header><div><h1>{}</h1><p class=\"soft\">{}</p></div><button id=\"theme\" type=\"button\">Dark</button></header>\n\
         <nav aria-label=\"Sections\"><ul>",
        escaped(title),
        escaped(subtitle),
    );
    for (id, short, ..) in &sections {
        let _ = write!(html, "<li><a href=\"#{id}\">{short}</a></li>");
    }
    html.push_str("</ul></nav>\n<main id=\"main\">\n");
    for (id, _, name, body) in &sections {
        let _ = write!(
            html,
            "<section id=\"{id}\" aria-labelledby=\"h-{id}\"><h2 id=\"h-{id}\">{name}</h2>\n{body}</section>\n"
        );
    }
    let _ = write!(
        html,
        "</main>\n<footer class=\"soft\">Written by {TOOL}.</footer>\n\
         <script type=\"application/json\" id=\"data\">{json}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    html
}

/// A row of a plain table: its head and its cells.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// First cell, a heading of the row.
    pub head: String,
    /// The others.
    pub cells: Vec<String>,
}

/// A table; `head` names the columns, or there is none.
pub fn rows_table(head: &[&str], rows: &[Row]) -> String {
    let mut html = String::from("<div class=\"scroll\"><table>");
    if !head.is_empty() {
        html.push_str("<thead><tr>");
        for name in head {
            let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(name));
        }
        html.push_str("</tr></thead>");
    }
    html.push_str("<tbody>\n");
    for row in rows {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escaped(&row.head));
        for cell in &row.cells {
            let _ = write!(html, "<td>{}</td>", escaped(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

/// A picture without values behind it.
pub fn picture_on_page(svg: &str) -> String {
    figure("", &themed(svg))
}

/// A page of sections: id, name in the navigation, heading, content; those without content are left out.
pub fn page_of(title: &str, subtitle: &str, sections: &[(&str, &str, &str, String)]) -> String {
    assembled(title, subtitle, sections, "{}")
}

/// A picture with the values behind it, under its name in the page's data.
fn figure(name: &str, svg: &str) -> String {
    format!("<figure data-figure=\"{}\">{svg}<figcaption></figcaption></figure>\n", escaped(name))
}

fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{} - stowplan</title>\n<style>{}{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the results</a>\n",
        escaped(title),
        palette::css(),
    )
}

/// A picture whose colours follow the page's theme, and whose title is for readers only: as an element, browsers would
/// show it under the pointer, where values are to be.
fn themed(svg: &str) -> String {
    let between =
        |from: &str, to: &str| svg.split(from).nth(1).and_then(|s| s.split(to).next()).unwrap_or_default();
    let description = between("<desc>", "</desc>");
    let body = svg.split_once("</desc>").map_or("", |s| s.1);
    let open = svg.split_once(" role=").map_or("<svg", |s| s.0);
    let mut out = format!("{open} role=\"img\" aria-label=\"{description}\">{body}");
    for (light, variable) in palette::themed_colours() {
        // The backend writes colours in capitals, always as a whole attribute.
        out = out.replace(&format!("\"{}\"", light.to_uppercase()), &format!("\"{variable}\""));
    }
    out
}

fn subtitle(run: &RunOutput) -> String {
    let simulated = run.summary.variants.iter().map(|v| v.simulated_seconds).fold(0.0, f64::max);
    let nodes = run.variants.iter().map(|v| v.nodes.len() as u64).max().unwrap_or(0);
    let pods = run.summary.variants.iter().map(|v| v.pods.wanted).max().unwrap_or(0);
    let made_up = if run.summary.assumptions.iter().any(is_synthetic) {
        "; what the trace does not say is synthetic, see Assumptions"
    } else {
        ""
    };
    format!(
        "{} and {} wanted, {} simulated, seed {}{made_up}",
        human::plural(nodes, "node"),
        human::plural(pods, "pod"),
        human::span(simulated),
        run.summary.seed
    )
}

/// Made up by a rule, because a trace does not say it.
fn is_synthetic(assumption: &Assumption) -> bool {
    assumption.source == AssumptionSource::TraceRule && assumption.note.starts_with("synthetic")
}

fn verdicts(variants: &[VariantSummary]) -> String {
    let mut html = String::from("<ul class=\"cards\">\n");
    for (i, v) in variants.iter().enumerate() {
        let facts = [
            ("Pods running", human::count(v.pods.running)),
            ("Pods stuck", human::count(v.pods.stuck)),
            ("stuck by binding", human::count(v.pods.stuck_by_binding)),
            ("CPU stranded at the peak", findings::cores_text(v.stranded.peak.cpu_milli)),
            ("Disk beyond the request", human::bytes(v.storage.over_size_bytes)),
            ("Time to schedule, p99", v.pending_seconds.p99.map_or("-".into(), human::span)),
        ];
        let _ = write!(
            html,
            "<li style=\"--c:{}\"><h3>{}</h3><p>{}</p><dl>",
            palette::variable(palette::variant(i)),
            escaped(&v.name),
            escaped(&findings::capital(&findings::verdict(v)))
        );
        for (name, value) in facts {
            let _ = write!(html, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
        }
        html.push_str("</dl></li>\n");
    }
    html.push_str("</ul>\n");
    html
}

fn comparison(run: &RunOutput) -> String {
    let variants: Vec<&VariantSummary> = run.summary.variants.iter().collect();
    let mut html = String::from("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">At the end</th>");
    for v in &variants {
        let _ = write!(html, "<th scope=\"col\" class=\"n\">{}</th>", escaped(&v.name));
    }
    if variants.len() == 2 {
        html.push_str("<th scope=\"col\" class=\"n\">Difference</th>");
    }
    html.push_str("</tr></thead><tbody>\n");
    for row in table::rows(&variants) {
        let class = if row.indent > 0 { "sub" } else { "top" };
        let _ = write!(html, "<tr class=\"{class}\"><th scope=\"row\">{}</th>", escaped(&row.label));
        for (i, value) in row.values.iter().enumerate() {
            let beside = match &row.differences[i] {
                Some(d) if variants.len() > 2 => {
                    format!(" <span class=\"{}\">({})</span>", d.class(), escaped(&d.text))
                }
                _ => String::new(),
            };
            let _ = write!(html, "<td class=\"n\">{}{beside}</td>", escaped(value));
        }
        if variants.len() == 2 {
            let (class, text) =
                row.differences[1].as_ref().map_or(("", row.unchanged()), |d| (d.class(), d.text.as_str()));
            let _ = write!(html, "<td class=\"n {class}\">{}</td>", escaped(text));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    if variants.len() > 1 {
        let _ = writeln!(
            html,
            "<p class=\"soft\">Differences are to {}. {} runs drew the same random numbers, so they are paired.</p>",
            escaped(&variants[0].name),
            if variants.len() == 2 { "Both" } else { "All" }
        );
    }
    html
}

fn stuck(run: &RunOutput, figure: &str) -> String {
    let reasons = data::reasons(run);
    let mut html = figure.to_owned();
    for (i, v) in run.summary.variants.iter().enumerate().filter(|v| !v.1.pods.stuck_reasons.is_empty()) {
        let _ = writeln!(html, "<h3>With {}</h3><ul class=\"reasons\">", escaped(&v.name));
        for reason in &v.pods.stuck_reasons {
            let message = if reason.message.is_empty() { "(no message)" } else { &reason.message };
            let pick = match reasons.iter().position(|r| *r == reason.message) {
                Some(at) => format!(
                    " <button type=\"button\" data-variant=\"{i}\" data-reason=\"{at}\" aria-label=\"Show the {} with this message, {}\">Show \
                     the pods</button>",
                    human::plural(reason.pods, "pod"),
                    escaped(&v.name)
                ),
                None => String::new(),
            };
            let _ = writeln!(
                html,
                "<li><b>{}</b><span>{}</span>{pick}</li>",
                human::plural(reason.pods, "pod"),
                escaped(message)
            );
        }
        html.push_str("</ul>\n");
    }
    let all: usize = run.variants.iter().map(|v| v.pods.iter().filter(|p| p.stuck).count()).sum();
    if all > 0 {
        let _ = writeln!(
            html,
            "<h3>The stuck pods</h3>{}<p class=\"soft\">By binding: alone, with its own claims unbound and nothing else changed, the pod would be scheduled. Why one of them is stuck: <code>stowplan explain RESULTS POD</code>, RESULTS being the folder of this page.</p><div id=\"pod-table\"></div>",
            cut_note(data::MOST_PODS, all, "pods.csv")
        );
        html.push_str("<noscript><p>The list of pods needs scripts; it is in pods.csv too.</p></noscript>\n");
    }
    html
}

/// Says what a table leaves out.
fn cut_note(most: usize, all: usize, file: &str) -> String {
    if all <= most {
        return String::new();
    }
    format!(
        "<p class=\"soft\">{} of {} are here; all are in {file} of each variant.</p>\n",
        human::count(most as u64),
        human::count(all as u64)
    )
}

fn nodes(run: &RunOutput, figure: &str) -> String {
    let most = run.variants.iter().map(|v| v.nodes.len()).max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let mut html = figure.to_owned();
    let each = data::nodes_per_variant(run);
    html.push_str(&cut_note(each, most, "nodes.csv"));
    html.push_str("<ul class=\"key\">");
    for state in crate::results::tables::NodeState::ALL {
        let _ = write!(
            html,
            "<li style=\"--c:{}\">{}</li>",
            data::state_colour(state),
            super::plots::nodes::meaning_of(state)
        );
    }
    html.push_str("</ul>\n<div id=\"node-table\"></div>\n");
    html.push_str("<noscript><p>The table of nodes needs scripts; it is in nodes.csv too.</p></noscript>\n");
    html
}

fn storage(run: &RunOutput, figure: &dyn Fn(PlotKind) -> String) -> String {
    let mut html = figure(PlotKind::Storage);
    html.push_str("<p class=\"soft\">The same in numbers: <a href=\"#comparison\">Comparison</a>, from <b>Disk in volumes</b> on.</p>\n");
    html.push_str(&figure(PlotKind::Sizes));
    html.push_str(&sizes::table(run));
    html
}

fn assumptions(run: &RunOutput, origin: &Origin) -> String {
    let mut html = String::new();
    if !origin.warnings.is_empty() {
        html.push_str("<h3>Warnings</h3><ul>\n");
        for warning in &origin.warnings {
            let _ = writeln!(html, "<li>{}</li>", escaped(warning));
        }
        html.push_str("</ul>\n");
    }
    let all = &run.summary.assumptions;
    let synthetic = all.iter().filter(|a| is_synthetic(a)).count() as u64;
    let _ = writeln!(
        html,
        "<p>{} that the scenario did not say{}.</p>",
        human::plural(all.len() as u64, "thing"),
        if synthetic > 0 {
            format!("; {} made synthetic objects from a trace", human::plural(synthetic, "rule"))
        } else {
            String::new()
        }
    );
    if all.is_empty() {
        return html;
    }
    html.push_str("<div class=\"bar\"><label>Filter <input type=\"search\" data-filters=\"assumption-table\"></label></div>\n");
    html.push_str("<div class=\"scroll\"><table id=\"assumption-table\"><thead><tr><th scope=\"col\">Where</th><th scope=\"col\">Taken</th><th scope=\"col\">From</th><th scope=\"col\">Why</th></tr></thead><tbody>\n");
    for group in alike(all) {
        let a = group[0];
        let source = match a.source {
            AssumptionSource::Default => "default",
            AssumptionSource::Catalogue => "catalogue",
            AssumptionSource::TraceRule if is_synthetic(a) => "trace rule (synthetic)",
            AssumptionSource::TraceRule => "trace rule",
            AssumptionSource::Conversion => "conversion",
        };
        let paths: Vec<&str> = group.iter().map(|a| a.path.as_str()).collect();
        let more = match group.len() {
            1 => String::new(),
            n => format!(" <span class=\"soft\">and {} more like it</span>", n - 1),
        };
        let _ = writeln!(
            html,
            "<tr><td class=\"path\" title=\"{}\">{}{more}</td><td>{}</td><td>{source}</td><td>{}</td></tr>",
            escaped(&paths.join(", ")),
            escaped(&a.path),
            escaped(&a.value),
            escaped(&a.note)
        );
    }
    html.push_str("</tbody></table></div>\n");
    html
}

/// Assumptions that differ only in the name of a list's element, such as the same default of thirty generators, together where the first
/// of them stands.
fn alike(all: &[Assumption]) -> Vec<Vec<&Assumption>> {
    let mut places: BTreeMap<(String, &str, &str), usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&Assumption>> = Vec::new();
    for assumption in all {
        let mut parts = assumption.path.split(['[', ']']);
        let mut key = parts.next().unwrap_or_default().to_owned();
        // Every second part is what stood in brackets; numbers are positions and stay.
        for (i, part) in parts.enumerate() {
            let is_name = i % 2 == 0 && !part.bytes().all(|b| b.is_ascii_digit());
            key.push_str(if is_name { "*" } else { part });
        }
        let key = (key, assumption.value.as_str(), assumption.note.as_str());
        match places.get(&key) {
            Some(place) => groups[*place].push(assumption),
            None => {
                places.insert(key, groups.len());
                groups.push(vec![assumption]);
            }
        }
    }
    groups
}

/// Every leaf of every summary as `summary.json` writes it, with its path and variant on the cell.
fn numbers(variants: &[VariantSummary]) -> String {
    let all: Vec<BTreeMap<String, Leaf>> = variants.iter().map(leaves).collect();
    let mut paths: Vec<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    paths.sort();
    paths.dedup();
    let mut html = String::from(
        "<p>As in summary.json, under the same names.</p>\n<details><summary>Show the table</summary>\n\
         <div class=\"bar\"><label>Filter <input type=\"search\" data-filters=\"number-table\"></label></div>\n\
         <div class=\"scroll\"><table id=\"number-table\"><thead><tr><th scope=\"col\">Path</th>",
    );
    for v in variants {
        let _ = write!(html, "<th scope=\"col\" class=\"n\">{}</th>", escaped(&v.name));
    }
    html.push_str("</tr></thead><tbody>\n");
    for path in paths {
        let _ =
            write!(html, "<tr data-path=\"{0}\"><th scope=\"row\" class=\"path\">{0}</th>", escaped(path));
        for leaves in &all {
            let shown = match leaves.get(path) {
                None => "0".to_owned(),
                Some(Leaf::Null) => "null".to_owned(),
                Some(Leaf::Float(x)) => rounded(*x).map_or("null".into(), |x| Leaf::Float(x).to_string()),
                Some(leaf) => leaf.to_string(),
            };
            let _ = write!(html, "<td class=\"n\">{shown}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div></details>\n");
    html
}

fn provenance(run: &RunOutput, origin: &Origin) -> String {
    let s = &run.summary;
    let mut html = String::from("<div class=\"scroll\"><table><tbody>\n");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td class=\"path\">{}</td></tr>",
            escaped(name),
            escaped(value)
        );
    };
    row("Version", &s.tool);
    row("Scenario", &s.scenario);
    row("Digest of the scenario", &s.scenario_digest);
    row("Seed", &s.seed.to_string());
    for v in &s.variants {
        row(&format!("Digest of {}", v.name), &v.digest);
    }
    if !origin.command.is_empty() {
        row("To make it again", &shell(&origin.command));
    }
    html.push_str(
        "</tbody></table></div>\n<p class=\"soft\">Equal digests mean equal runs, on any machine.</p>\n",
    );
    html
}

/// A command line that a shell reads back as the same words.
pub fn shell(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    let quoted = |w: &String| {
        if !w.is_empty() && w.chars().all(plain) {
            w.clone()
        } else {
            format!("'{}'", w.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod browser;
#[cfg(test)]
mod tests;
