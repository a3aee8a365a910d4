use super::*;
use crate::report::synthetic;
use crate::results::tables::PodRow;

fn origin() -> Origin {
    Origin {
        command: vec![
            "stowplan".into(),
            "run".into(),
            "my scenario.yaml".into(),
            "--set".into(),
            "a='b'".into(),
        ],
        warnings: vec!["<img src=x onerror=alert(1)>".into()],
    }
}

/// The text of `<td>`s in the row of a path.
fn cells(html: &str, path: &str) -> Vec<String> {
    let row =
        html.split(&format!("<tr data-path=\"{path}\">")).nth(1).unwrap_or_else(|| panic!("no row {path}"));
    let row = row.split("</tr>").next().unwrap_or_default();
    row.split("<td class=\"n\">")
        .skip(1)
        .map(|c| c.split('<').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_page_fetches_nothing_and_is_small_enough() {
    for (nodes, variants) in [(1, 1), (20, 2), (5000, 1), (5000, 12)] {
        let html = page(&synthetic::run(nodes, variants), &origin()).expect("draws");
        assert!(html.len() < 2_000_000, "{nodes} nodes, {variants} variants: {} bytes", html.len());
        for loads in [
            "src=\"",
            "url(",
            "@import",
            "<link rel=\"stylesheet",
            "<iframe",
            "<object",
            "<base",
            "fetch(",
            "XMLHttp",
        ] {
            assert!(!html.contains(loads), "{loads}");
        }
        let addresses = html.matches("http").count();
        let known = html.matches("http-equiv").count() + html.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(addresses, known);
    }
}

#[test]
fn numbers_are_those_of_the_summary() {
    let run = synthetic::run(20, 3);
    let html = page(&run, &origin()).expect("draws");
    let json: serde_json::Value = serde_json::to_value(&run.summary).expect("serializes");
    let mut seen = 0;
    for (path, pointer) in [
        ("pods.stuck", "/pods/stuck"),
        ("pods.stuckByBinding", "/pods/stuckByBinding"),
        ("storage.overSizeBytes", "/storage/overSizeBytes"),
        ("storage.timeWeighted.freeBytes", "/storage/timeWeighted/freeBytes"),
        ("stranded.peak.cpuMilli", "/stranded/peak/cpuMilli"),
        ("stranded.onset", "/stranded/onset"),
        ("utilization.atEnd.cpu", "/utilization/atEnd/cpu"),
        ("pendingSeconds.p99", "/pendingSeconds/p99"),
        ("recovery.groups", "/recovery/groups"),
    ] {
        for (i, cell) in cells(&html, path).iter().enumerate() {
            let want = json.pointer(&format!("/variants/{i}{pointer}")).expect("is in the summary");
            assert_eq!(*cell, want.to_string(), "{path} of variant {i}");
            seen += 1;
        }
    }
    assert_eq!(seen, 9 * 3);
    assert!(html.contains("5 of 80 pods are stuck, 3 of them by binding"));
}

#[test]
fn text_from_outside_stays_text() {
    let mut run = synthetic::run(3, 9);
    run.summary.scenario = "</title><script>alert(1)</script>".into();
    run.variants[0].pods.push(PodRow {
        name: "</script><script>alert(2)</script>".into(),
        stuck: true,
        last_message: "<!--<script> \u{2028} & \"quoted\"".into(),
        ..PodRow::default()
    });
    run.summary.variants[0].pods.stuck_reasons =
        crate::results::summary::stuck_reasons(["<!--<script> \u{2028} & \"quoted\""]);
    run.variants[0].nodes[0].name = "<img src=x onerror=alert(3)>".into();
    let html = page(&run, &origin()).expect("draws");
    assert_eq!(html.matches("<script").count(), 2, "the data and the script");
    assert_eq!(html.matches("</script>").count(), 2);
    assert!(!html.contains("<img") && !html.contains("<!--"));
    // What the script reads is still the text itself.
    let data = html.split("id=\"data\">").nth(1).and_then(|d| d.split("</script>").next()).expect("has data");
    let data: serde_json::Value = serde_json::from_str(data).expect("is JSON");
    let names: Vec<&str> =
        data["pods"].as_array().expect("a list").iter().filter_map(|p| p[1].as_str()).collect();
    assert!(names.contains(&"/</script><script>alert(2)</script>"), "{names:?}");
}

#[test]
fn every_section_is_reachable_and_every_picture_described() {
    let html = page(&synthetic::run(20, 2), &origin()).expect("draws");
    for part in html.split("<a href=\"#").skip(1) {
        let id = part.split('"').next().unwrap_or_default();
        assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("role=\"img\" aria-label=\"").count());
    assert!(
        html.contains("To make it again") && html.contains("stowplan run &#39;my scenario.yaml&#39; --set"),
        "quoted"
    );
    // Pictures follow the theme: no colour of theirs is left as it was drawn.
    for (light, _) in palette::themed_colours() {
        assert!(!html.contains(&format!("\"{}\"", light.to_uppercase())), "{light}");
    }
}

#[test]
fn empty_runs_have_a_page() {
    assert!(page(&RunOutput::default(), &Origin::default()).expect("draws").contains("<main"));
}

#[test]
fn commands_are_quoted_for_the_shell() {
    let words = ["stowplan", "run", "a b", "it's", "", "x=1"].map(str::to_owned);
    assert_eq!(shell(&words), "stowplan run 'a b' 'it'\\''s' '' x=1");
}

/// Writes pages to look at: `STOWPLAN_LOOK=/tmp/look cargo test --lib look_at_pages`.
#[test]
fn look_at_pages() {
    let Some(folder) = std::env::var_os("STOWPLAN_LOOK").map(std::path::PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("makes the folder");
    for (nodes, variants) in [(20, 2), (500, 12), (5000, 3)] {
        let html = page(&synthetic::run(nodes, variants), &origin()).expect("draws");
        std::fs::write(folder.join(format!("report-{nodes}-{variants}.html")), html).expect("writes");
    }
}

#[test]
fn equal_assumptions_about_many_elements_are_one_row() {
    let one = |path: &str, value: &str| Assumption {
        path: path.into(),
        value: value.into(),
        source: AssumptionSource::Default,
        note: String::new(),
    };
    let all = [
        one("cluster.nodes[a].disks[0].reclaim", "Delete"),
        one("cluster.nodes[a].disks[1].reclaim", "Delete"),
        one("cluster.nodes[b].disks[0].reclaim", "Delete"),
        one("cluster.nodes[c].disks[0].reclaim", "Retain"),
        one("seed", "1"),
    ];
    let paths: Vec<Vec<&str>> =
        alike(&all).iter().map(|group| group.iter().map(|a| a.path.as_str()).collect()).collect();
    assert_eq!(
        paths,
        [
            vec!["cluster.nodes[a].disks[0].reclaim", "cluster.nodes[b].disks[0].reclaim"],
            vec!["cluster.nodes[a].disks[1].reclaim"],
            vec!["cluster.nodes[c].disks[0].reclaim"],
            vec!["seed"],
        ]
    );
}
