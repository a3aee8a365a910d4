use super::*;
use crate::report::synthetic;
use crate::results::VariantOutput;
use crate::results::summary::{Summary, stuck_reasons};

fn two() -> RunOutput {
    let mut a = VariantSummary { name: "immediate".into(), ..VariantSummary::default() };
    (a.pods.wanted, a.pods.running, a.pods.stuck, a.pods.stuck_by_binding) = (180, 151, 29, 24);
    a.pods.stuck_by = [(StuckCause::NotCreated, 2), (StuckCause::Unschedulable, 27)].into();
    a.pods.stuck_reasons = stuck_reasons(["0/20 nodes are available: x", "b\x1b[2Jc", "b\x1b[2Jc"]);
    a.storage.capacity_bytes = 40 << 40;
    a.storage.over_size_bytes = 3 << 39;
    a.stranded.end.cpu_milli = 12_500.0;
    a.pending_seconds.p99 = Some(3.4);
    let mut b = VariantSummary { name: "wait-for-first-consumer".into(), ..VariantSummary::default() };
    (b.pods.wanted, b.pods.running) = (180, 180);
    b.storage.capacity_bytes = 40 << 40;
    b.pending_seconds.p99 = Some(1.2);
    let summary = Summary { scenario: "mysql".into(), seed: 42, ..Summary::default() };
    let variants = [a, b].map(|summary| VariantOutput { summary, ..VariantOutput::default() });
    RunOutput::new(summary, variants.into())
}

fn line<'a>(text: &'a str, label: &str) -> Vec<&'a str> {
    let found =
        text.lines().find(|l| l.trim_start().starts_with(label)).unwrap_or_else(|| panic!("{label}\n{text}"));
    found.trim_start()[label.len()..].split("  ").map(str::trim).filter(|c| !c.is_empty()).collect()
}

#[test]
fn two_variants_side_by_side_with_their_difference() {
    let text = render(&two(), &Next::default(), &Look::default());
    for (label, cells) in [
        ("Pods running", vec!["151", "180", "+29"]),
        ("Pods stuck", vec!["29", "0", "-29"]),
        ("stuck by binding", vec!["24", "0", "-24"]),
        ("no node fits", vec!["27", "0", "-27"]),
        ("Disk in volumes", vec!["40 TiB", "40 TiB", "="]),
        ("wasted: over-size", vec!["1.5 TiB", "0 B", "-1.5 TiB"]),
        ("Stranded CPU (cores)", vec!["12.5", "0", "-12.5"]),
        ("Time to schedule, p50", vec!["-", "-", "="]),
        ("Time to schedule, p99", vec!["3.4 s", "1.2 s", "-2.2 s"]),
    ] {
        assert_eq!(line(&text, label), cells, "{text}");
    }
    // Most frequent reason first, no escape sequence of the message survives.
    let why = text.find("2 x b [2Jc").expect("grouped");
    assert!(why < text.find("1 x 0/20 nodes").expect("second") && !text.contains('\x1b'), "{text}");
    // Rows that are zero everywhere are left out below the first level.
    assert!(!text.contains("orphaned") && !text.contains("node gone"), "{text}");
}

#[test]
fn a_value_that_only_one_variant_has_is_no_equality() {
    let mut run = two();
    run.summary.variants[1].pending_seconds.p50 = Some(1.0);
    let text = render(&run, &Next::default(), &Look::default());
    assert_eq!(line(&text, "Time to schedule, p50"), ["-", "1 s"], "{text}");
}

#[test]
fn a_difference_that_leaves_no_gap_is_left_out() {
    let run = two();
    let mut variants = vec![run.variants[0].clone(), run.variants[1].clone(), run.variants[1].clone()];
    for (variant, name) in variants.iter_mut().zip(["wait", "after-30m", "immediate"]) {
        variant.summary.name = name.into();
    }
    let mut run = RunOutput::new(run.summary.clone(), variants);
    for (variant, seconds) in run.summary.variants.iter_mut().zip([24_843_600.0, 2872.0, 663.0]) {
        variant.recovery.groups = 60;
        variant.recovery.quorum_lost_seconds = seconds;
    }
    let text = render(&run, &Next::default(), &Look::default());
    assert_eq!(line(&text, "Groups without quorum"), ["287 d 13 h", "47 min 52 s", "11 min 3 s"], "{text}");
    assert_eq!(line(&text, "Pods stuck"), ["29", "0 (-29)", "0 (-29)"], "{text}");
}

#[test]
fn colours_only_when_told() {
    assert!(render(&two(), &Next::default(), &Look { width: 100, colour: true }).contains("\x1b[31m"));
    assert!(!render(&two(), &Next::default(), &Look { width: 100, colour: false }).contains('\x1b'));
}

#[test]
fn every_variant_is_shown_and_no_line_is_wider_than_the_terminal() {
    for variants in [1, 2, 3, 12] {
        for width in [40, 50, 60, 80, 100, 160] {
            let run = synthetic::run(20, variants);
            let text = render(&run, &Next::default(), &Look { width, colour: false });
            for row in text.lines() {
                assert!(row.chars().count() <= width, "{variants} {width} {row:?}");
            }
            let named = run
                .summary
                .variants
                .iter()
                .filter(|v| {
                    let head: String = v.name.chars().take(7).collect();
                    text.contains(&head)
                })
                .count();
            assert_eq!(named, variants, "{text}");
        }
    }
}

#[test]
fn it_says_where_to_look_next() {
    let run = synthetic::run(20, 2);
    let folder = Path::new("results/mysql");
    let next = Next { folder: Some(folder), plots: true, report: false, explain: true };
    let text = render(&run, &next, &Look::default());
    assert!(text.contains("results/mysql/plots/stranding.svg") && !text.contains("report.html"), "{text}");
    assert!(text.contains("stowplan explain results/mysql default/shop-"), "{text}");
    assert!(text.contains("stowplan explain results/mysql --node db-"), "{text}");
    assert!(text.contains("/nodes.csv  node db-"), "{text}");
    assert!(!render(&run, &Next::default(), &Look::default()).contains("Where to look"));
}

#[test]
fn long_text_is_broken_at_blanks() {
    assert_eq!(wrapped("aa bb cc dd", 5), ["aa bb", "cc dd"]);
    assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
    assert_eq!(wrapped("a bcdefgh", 3), ["a", "bcd", "efg", "h"]);
    assert_eq!(wrapped("", 3), [""]);
}

#[test]
fn nothing_run_is_no_crash() {
    assert!(render(&RunOutput::default(), &Next::default(), &Look::default()).contains("seed 0"));
}

/// Prints tables to look at: `STOWPLAN_LOOK=1 cargo test --lib look_at_tables -- --nocapture`.
#[test]
fn look_at_tables() {
    if std::env::var_os("STOWPLAN_LOOK").is_none() {
        return;
    }
    for (variants, width) in [(1, 80), (2, 80), (2, 120), (3, 100), (12, 120)] {
        println!(
            "{}\n{}",
            "=".repeat(width),
            render(&synthetic::run(20, variants), &Next::default(), &Look { width, colour: false })
        );
    }
}
