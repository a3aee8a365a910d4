//! The Pareto picture: cost against the share of pods stuck, and against waste, one dot per cluster that was tried.

use super::output::{Configuration, PlanFile, TrialResult};
use crate::report::human;
use crate::report::palette::{self, GREY, INK};
use crate::report::plots::WIDTH;
use crate::report::plots::axis::{Axis, Measure};
use crate::report::plots::canvas::{self, Anchor, Canvas, Frame, HEADING, LABEL, MARGIN, PlotError, Type};
use crate::report::plots::lines::{
    Join, Labels, Panel, axes, axis_room, fitting, key, key_height, tick_room, variant_key,
};

/// The picture's file name.
pub const PICTURE: &str = "pareto.svg";
/// There are no more colours; the best are named.
const MOST_NAMES: usize = 6;
const PLOT_HEIGHT: f64 = 560.0;
const GAP: f64 = 80.0;

/// A dot: cost, share, met.
type Dot = (f64, f64, bool);

/// Draws it; `None` if no cluster was tried.
///
/// # Errors
/// [`PlotError`] if the drawing backend fails.
pub fn svg(plan: &PlanFile) -> Result<Option<String>, PlotError> {
    let configurations: Vec<&Configuration> =
        plan.configurations.iter().filter(|c| c.state != "failed").take(MOST_NAMES).collect();
    let dots = |share: fn(&TrialResult) -> Option<f64>| -> Vec<Vec<Dot>> {
        let of = |c: &&Configuration| {
            let dot = |t: &TrialResult| Some((cost(plan, t)?, share(t)?, t.verdict == "met"));
            c.trials.iter().filter_map(dot).collect()
        };
        configurations.iter().map(of).collect()
    };
    let panels =
        [("Pods ever stuck", dots(|t| t.means.stuck_share)), ("Bytes wasted", dots(|t| t.means.waste_share))];
    if panels[0].1.iter().all(Vec::is_empty) {
        return Ok(None);
    }
    let by = if plan.minimize == "price" { "price per hour" } else { "number of nodes" };
    let title = finding(plan);
    let note = "One dot per cluster that was tried; large dots meet every level. Left and low is better.";
    let names: Vec<String> = configurations.iter().map(|c| name(c)).collect();
    let names = variant_key(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let key_top = canvas::title_height(&title, note, WIDTH);
    let top = key_top + key_height(&names, WIDTH - 2.0 * MARGIN) + HEADING * 2.2;
    let height = top + PLOT_HEIGHT + axis_room(by) + MARGIN;
    let half = (WIDTH - 2.0 * MARGIN - GAP) / 2.0;
    let picture = canvas::draw((WIDTH as u32, height as u32), &title, note, |c| {
        c.title(&title, note, WIDTH);
        key(c, &names, (MARGIN, key_top), WIDTH - MARGIN);
        for (i, (heading, dots)) in panels.iter().enumerate() {
            let left = MARGIN + i as f64 * (half + GAP);
            panel(c, heading, by, dots, Frame { left, top, right: left + half, bottom: top + PLOT_HEIGHT });
        }
    })?;
    Ok(Some(picture.svg))
}

/// What the picture shows, as its title.
fn finding(plan: &PlanFile) -> String {
    let best = plan.answer.and_then(|i| plan.configurations.get(i));
    let Some((best, cluster)) = best.and_then(|c| Some((c, c.cluster.as_ref()?))) else {
        return format!("No cluster that was tried meets every level of {}", plan.scenario);
    };
    let nodes = human::plural(cluster.nodes, "node");
    match cluster.price_per_hour.filter(|_| plan.minimize == "price") {
        Some(price) => {
            format!("{price:.2} per hour, {nodes}, is the cheapest that meets every level: {}", name(best))
        }
        None => format!("{nodes} are the fewest that meet every level: {}", name(best)),
    }
}

fn cost(plan: &PlanFile, trial: &TrialResult) -> Option<f64> {
    if plan.minimize == "price" { trial.price_per_hour } else { Some(trial.nodes as f64) }
}

/// A configuration in a few words.
pub fn name(configuration: &Configuration) -> String {
    let settings = configuration.settings.iter().map(|(path, value)| {
        let key = path.rsplit('.').next().unwrap_or(path);
        human::shortened(&format!("{key} {value}"), 40)
    });
    let words: Vec<String> = std::iter::once(configuration.variant.clone()).chain(settings).collect();
    words.join(", ")
}

fn panel(c: &mut Canvas<'_>, heading: &str, x_name: &str, dots: &[Vec<Dot>], frame: Frame) {
    let all = || dots.iter().flatten();
    let y = Axis::upto(Measure::Share, all().map(|d| d.1).filter(|y| y.is_finite()).fold(0.0, f64::max), 5);
    let plot = Frame { left: frame.left + tick_room(&y), ..frame };
    let most = all().map(|d| d.0).fold(0.0, f64::max);
    let x = fitting(Measure::Number, 0.0, most * 1.02, plot.width());
    let panel = Panel {
        heading,
        plot,
        x,
        y,
        x_name,
        join: Join::Straight,
        series: &[],
        label_room: 0.0,
        labels: Labels::Values,
    };
    axes(c, &panel);
    if all().next().is_none() {
        let middle = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0);
        c.text("not measured", middle, Anchor::Middle, Type::plain(LABEL, GREY));
    }
    // The best configuration last, on top.
    for (i, of) in dots.iter().enumerate().rev() {
        for (cost, share, met) in of.iter().filter(|d| d.1.is_finite()) {
            let at =
                (panel.x.place(*cost, plot.left, plot.right), panel.y.place(*share, plot.bottom, plot.top));
            if *met {
                c.dot(at, 11.0, INK);
                c.dot(at, 9.0, palette::variant(i));
            } else {
                c.dot(at, 5.0, palette::variant(i));
            }
        }
    }
}
