//! Failures and recoveries: the picture, what the database groups went through, and every incident on the time line.

use super::{cut_note, data};
use crate::report::human;
use crate::report::plot::PlotKind;
use crate::report::plots::canvas::escaped;
use crate::results::RunOutput;
use crate::results::tables::IncidentKind;
use std::fmt::Write;

/// Only of runs in which a node failed or a database group was watched.
pub fn section(run: &RunOutput, figure: &dyn Fn(PlotKind) -> String) -> String {
    if !PlotKind::Availability.applies(run) {
        return String::new();
    }
    let groups = run.summary.variants.iter().any(|v| v.recovery.groups > 0);
    let mut html = figure(PlotKind::Availability);
    if groups {
        html.push_str("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Database groups</th><th scope=\"col\" class=\"n\">watched</th><th scope=\"col\" class=\"n\">degraded</th><th scope=\"col\" class=\"n\">without quorum</th><th scope=\"col\" class=\"n\">copied to rebuild</th><th scope=\"col\" class=\"n\">never recovered</th></tr></thead><tbody>\n");
        for v in &run.summary.variants {
            let r = &v.recovery;
            let _ = writeln!(
                html,
                "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                escaped(&v.name),
                human::count(r.groups),
                human::span(r.degraded_seconds),
                human::span(r.quorum_lost_seconds),
                human::bytes(r.rebuilt_bytes),
                human::count(r.never_recovered)
            );
        }
        html.push_str("</tbody></table></div>\n<p class=\"soft\">Times are summed over groups.</p>\n");
    }
    html.push_str(&incidents(run));
    html
}

/// The list itself is the script's; without scripts there is a count of each kind.
fn incidents(run: &RunOutput) -> String {
    let all: usize = run.variants.iter().map(|v| v.incidents.len()).sum();
    if all == 0 {
        return String::new();
    }
    let mut html = String::from(
        "<h3>What failed, and when it was over</h3>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">How often</th>",
    );
    for v in &run.summary.variants {
        let _ = write!(html, "<th scope=\"col\" class=\"n\">{}</th>", escaped(&v.name));
    }
    html.push_str("</tr></thead><tbody>\n");
    for kind in IncidentKind::ALL {
        let counts: Vec<usize> =
            run.variants.iter().map(|v| v.incidents.iter().filter(|i| i.what == kind).count()).collect();
        if counts.iter().all(|n| *n == 0) {
            continue;
        }
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", kind.words());
        for n in counts {
            let _ = write!(html, "<td class=\"n\">{}</td>", human::count(n as u64));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html.push_str(&cut_note(data::MOST_INCIDENTS, all, "incidents.csv"));
    html.push_str("<div id=\"incident-table\"></div>\n");
    html.push_str(
        "<noscript><p>The list needs scripts; it is in incidents.csv of each variant too.</p></noscript>\n",
    );
    html
}
