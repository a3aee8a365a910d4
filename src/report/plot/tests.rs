use super::*;
use crate::report::palette::{self, Colour};
use crate::report::plots::sweep::DEFAULT_METRICS;
use crate::report::plots::sweep::tests::made_up;
use crate::report::png;
use crate::report::synthetic;
use resvg::usvg::{Group, Node};

const NODES: [usize; 4] = [1, 20, 500, 5000];
const VARIANTS: [usize; 3] = [1, 3, 12];

/// A text as it is drawn: its words, and its box in half pixels.
struct Drawn {
    words: String,
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
    colour: Colour,
}

fn texts(group: &Group, found: &mut Vec<Drawn>) {
    for node in group.children() {
        match node {
            Node::Group(inner) => texts(inner, found),
            Node::Text(text) => {
                let b = text.abs_bounding_box();
                let chunks = text.chunks();
                let words = chunks.iter().map(|c| c.text()).collect::<Vec<_>>().join(" ");
                let fill = chunks.first().and_then(|c| c.spans().first()).and_then(|s| s.fill());
                let colour = match fill.map(|f| f.paint()) {
                    Some(resvg::usvg::Paint::Color(c)) => Colour(c.red, c.green, c.blue),
                    _ => Colour(0, 0, 0),
                };
                let (left, top, right, bottom) = (b.left(), b.top(), b.right(), b.bottom());
                found.push(Drawn { words, left, top, right, bottom, colour });
            }
            _ => {}
        }
    }
}

fn check(svg: &str, what: &str) {
    let tree = png::tree(svg).expect("is an SVG");
    let mut found = Vec::new();
    texts(tree.root(), &mut found);
    assert!(found.len() >= 4, "{what}: only {} texts", found.len());
    let (width, height) = (tree.size().width(), tree.size().height());
    for (i, a) in found.iter().enumerate() {
        let inside = a.left >= -0.5 && a.top >= -0.5 && a.right <= width + 0.5 && a.bottom <= height + 0.5;
        assert!(
            inside,
            "{what}: {:?} leaves the sheet: {} {} {} {}",
            a.words, a.left, a.top, a.right, a.bottom
        );
        for b in &found[..i] {
            let apart = a.left >= b.right || b.left >= a.right || a.top >= b.bottom || b.top >= a.bottom;
            assert!(apart, "{what}: {:?} and {:?} overlap", a.words, b.words);
        }
        // Light text only ever stands on a dark bar, which other tests cover.
        if palette::contrast(a.colour, palette::PAPER) > 1.1 {
            assert!(palette::contrast(a.colour, palette::PAPER) >= 4.5, "{what}: {:?} is too pale", a.words);
        }
    }
}

#[test]
fn texts_do_not_overlap_whatever_the_size() {
    for nodes in NODES {
        for variants in VARIANTS {
            let run = synthetic::run(nodes, variants);
            for kind in PlotKind::ALL {
                let what = format!("{} of {nodes} nodes, {variants} variants", kind.name());
                let svg = draw(kind, &run).expect("draws");
                check(&svg, &what);
                assert!(svg.len() < 700_000, "{what}: {} bytes", svg.len());
            }
        }
    }
}

#[test]
fn sweeps_are_drawn_without_overlap() {
    for values in [
        &["20", "40", "60", "80"][..],
        &["i3.2xlarge", "i4i.4xlarge-with-a-long-name", "x"],
        &["1Ti", "500Gi"],
        &["7"],
    ] {
        for variants in [1, 12] {
            for splits in [&["1"][..], &["1", "2", "4", "8"]] {
                let table = made_up(values, splits, variants);
                let pictures = draw_sweep(&table, &DEFAULT_METRICS).expect("draws");
                assert_eq!(pictures.len(), if values.len() > 1 && splits.len() > 1 { 3 } else { 2 });
                for (name, svg) in pictures {
                    check(
                        std::str::from_utf8(&svg).expect("UTF-8"),
                        &format!("{name} {values:?} {splits:?} {variants}"),
                    );
                }
                let one = draw_sweep(&table, &["pods.stuck", "no.such"]).expect("draws");
                check(std::str::from_utf8(&one[0].1).expect("UTF-8"), &format!("one {values:?} {variants}"));
            }
        }
    }
    assert_eq!(draw_sweep(&SweepTable::default(), &DEFAULT_METRICS).expect("draws nothing"), []);
}

#[test]
fn empty_runs_can_be_drawn() {
    let empty = RunOutput::default();
    let mut still = synthetic::run(1, 1);
    for v in &mut still.variants {
        v.timeseries.truncate(1);
        v.stranding.clear();
        v.node_heat.clear();
    }
    for kind in PlotKind::ALL {
        draw(kind, &empty).expect("draws nothing");
        check(&draw(kind, &still).expect("draws"), kind.name());
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    for kind in PlotKind::ALL {
        let once = draw(kind, &synthetic::run(20, 3)).expect("draws");
        assert_eq!(once, draw(kind, &synthetic::run(20, 3)).expect("draws"), "{}", kind.name());
        assert!(once.starts_with("<svg xmlns") && once.contains("<title>") && once.contains("<desc>"));
        assert!(once.contains("font-family=\"DejaVu Sans, "), "{}", kind.name());
    }
}

#[test]
fn hostile_names_stay_text() {
    for kind in PlotKind::ALL {
        let svg = draw(kind, &synthetic::run(5, 12)).expect("draws");
        assert!(!svg.contains("<script"), "{}", kind.name());
    }
}

#[test]
fn kinds_are_found_by_name() {
    for kind in PlotKind::ALL {
        assert_eq!(PlotKind::from_name(kind.name()), Some(kind));
    }
    assert_eq!(PlotKind::from_name("pie"), None);
}

/// Writes pictures to look at: `STOWPLAN_LOOK=/tmp/look cargo test --lib look_at_plots`.
#[test]
fn look_at_plots() {
    let Some(folder) = std::env::var_os("STOWPLAN_LOOK").map(std::path::PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("makes the folder");
    for (i, table) in [
        made_up(&["20", "40", "60", "80", "100"], &["1"], 2),
        made_up(&["i3.2xlarge", "i4i.4xlarge", "x"], &["1", "2"], 2),
    ]
    .iter()
    .enumerate()
    {
        for (name, svg) in draw_sweep(table, &DEFAULT_METRICS).expect("draws") {
            let svg = String::from_utf8(svg).expect("UTF-8");
            std::fs::write(folder.join(format!("{i}-{name}.png")), png::png(&svg, 1.0).expect("rasterizes"))
                .expect("writes");
        }
    }
    for (nodes, variants) in [(1, 1), (20, 2), (20, 3), (500, 12), (5000, 1)] {
        let run = synthetic::run(nodes, variants);
        for kind in PlotKind::ALL {
            let svg = draw(kind, &run).expect("draws");
            let name = format!("{}-{nodes}-{variants}", kind.name());
            std::fs::write(folder.join(format!("{name}.svg")), &svg).expect("writes");
            std::fs::write(folder.join(format!("{name}.png")), png::png(&svg, 1.0).expect("rasterizes"))
                .expect("writes");
        }
    }
}
