//! The page in a real browser: headless Chromium, driven by chromedriver over its plain HTTP (WebDriver).
//!
//! Debian: `apt-get install chromium chromium-driver`. Where there is no chromedriver the test says so and passes.

use super::{Origin, Row, page, page_of, picture_on_page, rows_table, sweep_page};
use crate::report::plots::nodes::History;
use crate::report::synthetic;
use crate::results::RunOutput;
use crate::results::tables::NodeState;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A browser with one window; it ends when dropped.
struct Browser {
    driver: Child,
    /// Kept open: writing to a closed pipe would end it.
    _said: Lines<BufReader<ChildStdout>>,
    port: u16,
    session: String,
}

impl Browser {
    /// `None` if there is no chromedriver.
    fn start() -> Option<Browser> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(driver.stdout.take()?).lines();
        // First it says that it starts on port 0, then on which it did.
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|l| l.split("on port ").nth(1)?.trim_end_matches('.').trim().parse().ok())
            .find(|port| *port != 0)?;
        let mut browser = Browser { driver, _said: lines, port, session: String::new() };
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            "--window-size=1280,1000",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let started = browser.ask("POST", "/session", &wanted);
        browser.session =
            started["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {started}")).to_owned();
        Some(browser)
    }

    /// One request; the answer's `value`.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connects");
        let body = if method == "GET" { String::new() } else { body.to_string() };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .expect("sends");
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("answers");
            if line.trim().is_empty() {
                break;
            }
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse().expect("a length");
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).expect("answers");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        answer["value"].clone()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let value = self.ask("POST", &format!("/session/{}{path}", self.session), body);
        assert!(value.get("error").is_none(), "{path}: {value}");
        value
    }

    fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// As narrow as a phone too, which a window cannot be.
    fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.post("/goog/cdp/execute", &json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": size}));
    }

    fn press(&self, key: &str) {
        let actions = json!({"actions": [{"type": "key", "id": "keys", "actions": [
            {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]});
        self.post("/actions", &actions);
    }

    /// Writes a picture of the window if `STOWPLAN_LOOK` says where to.
    fn look(&self, name: &str) {
        let Some(folder) = std::env::var_os("STOWPLAN_LOOK") else { return };
        let height = self.run("return document.documentElement.scrollHeight");
        let width = self.run("return window.innerWidth");
        self.resize(width.as_u64().unwrap_or(1280) as u32, height.as_u64().unwrap_or(1000).min(9000) as u32);
        let picture = self.ask("GET", &format!("/session/{}/screenshot", self.session), &Value::Null);
        let path = std::path::Path::new(&folder).join(format!("{name}.png.base64"));
        std::fs::write(path, picture.as_str().unwrap_or_default()).expect("writes");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            self.ask("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(browser) = Browser::start() else {
        println!("skipped: no chromedriver");
        return;
    };
    let run = synthetic::run(60, 3);
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("report.html");
    std::fs::write(&path, page(&run, &Origin::default()).expect("draws")).expect("writes");
    browser.post("/url", &json!({"url": format!("file://{}", path.display())}));

    hover_shows_values(&browser);
    tables_filter_and_sort(&browser, &run);
    incidents_are_listed(&browser, &run);
    pictures_are_tables_too(&browser, &run);
    sideways_scrolling_works_by_keyboard(&browser);
    everything_has_a_name(&browser);
    numbers_are_those_of_the_summary(&browser, &run);
    themes_and_widths(&browser);
    nothing_was_requested_or_complained_about(&browser);
}

/// The pages of sweeps and plans use the same script with less behind it.
#[test]
fn other_pages_work_in_a_browser() {
    let Some(browser) = Browser::start() else {
        println!("skipped: no chromedriver");
        return;
    };
    let folder = tempfile::tempdir().expect("temporary folder");
    let table = crate::report::plots::sweep::tests::made_up(&["20", "40", "60"], &["1", "2"], 2);
    let about = crate::results::write::Provenance::new("sweep", "made-up", "blake3:0", 42, Vec::new());
    let svg = &crate::report::plot::picture(crate::report::plot::PlotKind::Storage, &synthetic::run(3, 2))
        .expect("draws")
        .svg;
    let rows = rows_table(&["a"], &[Row { head: "b".into(), cells: vec!["c".into()] }]);
    let pages = [
        sweep_page(&table, &about, &Origin::default()).expect("draws"),
        sweep_page(&crate::results::sweep::SweepTable::default(), &about, &Origin::default()).expect("draws"),
        page_of("plan", "of nothing", &[("answer", "Answer", "The answer", rows + &picture_on_page(svg))]),
        page(&RunOutput::default(), &Origin::default()).expect("draws"),
    ];
    let path = folder.path().join("report.html");
    for html in pages {
        std::fs::write(&path, html).expect("writes");
        browser.post("/url", &json!({"url": format!("file://{}", path.display())}));
        // The last thing that the script does.
        assert_ne!(browser.run("return document.getElementById('theme').textContent"), "");
        themes_and_widths(&browser);
        nothing_was_requested_or_complained_about(&browser);
    }
}

fn hover_shows_values(browser: &Browser) {
    // The pointer in the middle of the first panel of the picture of stuck pods.
    let at = browser.run(
        "const svg = document.querySelector('figure[data-figure=stuck] svg'); svg.scrollIntoView({block: 'center'});
         const b = svg.getBoundingClientRect(); return [Math.round(b.left + b.width * 0.5), Math.round(b.top + b.height * 0.5)];",
    );
    browser.post(
        "/actions",
        &json!({"actions": [{"type": "pointer", "id": "mouse", "actions": [
            {"type": "pointerMove", "duration": 0, "x": at[0], "y": at[1]}]}]}),
    );
    let tip = "const t = document.querySelector('figure[data-figure=stuck] .tip'); return t.style.display === 'block' ? t.innerText : ''";
    let text = browser.run(tip);
    let text = text.as_str().unwrap_or_default();
    assert!(text.contains("Pods stuck at ") && text.contains("wait-for-first-consumer"), "{text:?}");

    // The last values by keyboard: those at the end of the run, as the labels beside the lines say.
    browser.run("document.querySelector('figure[data-figure=stuck] svg').focus()");
    browser.press("\u{e010}");
    let text = browser.run(tip);
    let text = text.as_str().unwrap_or_default();
    assert!(text.contains("Pods stuck at 2 d 2 h"), "{text:?}");
    let spoken =
        browser.run("return document.querySelector('figure[data-figure=stuck] [role=status]').textContent");
    assert!(spoken.as_str().unwrap_or_default().contains("immediate"), "{spoken}");
    browser.press("\u{e00c}");
    assert_eq!(browser.run(tip), "");
}

fn tables_filter_and_sort(browser: &Browser, run: &crate::results::RunOutput) {
    let set = |host: &str, control: &str, value: &str| {
        browser.run(&format!(
            "const c = document.querySelectorAll('#{host} {control}'); const e = c[c.length - 1];
             e.value = {value:?}; e.dispatchEvent(new Event('input', {{bubbles: true}}));"
        ))
    };
    let column = |host: &str, n: usize| {
        let cells = browser.run(&format!(
            "return [...document.querySelectorAll('#{host} tbody tr')].map((r) => r.cells[{n}].innerText)"
        ));
        let cells: Vec<String> = serde_json::from_value(cells).expect("texts");
        cells
    };
    // 60 nodes of the first variant in pages of 25; a name picks one.
    assert_eq!(column("node-table", 0).len(), 25);
    set("node-table", "input", "db-59");
    assert_eq!(column("node-table", 0), ["db-59"]);
    set("node-table", "input", "");
    // Only those that are out of CPU for good.
    let histories = crate::report::plots::nodes::histories(&run.variants[0]);
    let out_of_cpu = |h: &&History| h.exhausted().is_some_and(|e| e.1 == NodeState::Cpu);
    let cpu = histories.iter().filter(out_of_cpu).count();
    assert!(cpu > 0);
    set("node-table", "select", "2");
    assert_eq!(column("node-table", 2), vec!["out of CPU"; cpu]);
    set("node-table", "select", "");
    // Sorted by stranded CPU, falling.
    for _ in 0..2 {
        browser.run("document.querySelectorAll('#node-table th button')[4].click()");
    }
    let sorted =
        browser.run("return document.querySelectorAll('#node-table th')[4].getAttribute('aria-sort')");
    assert_eq!(sorted, "descending");
    let stranded: Vec<f64> = column("node-table", 4).iter().map(|c| c.parse().expect("a number")).collect();
    assert!(stranded[0] > 0.0 && stranded.windows(2).all(|w| w[0] >= w[1]), "{stranded:?}");

    // The button beside a message shows the pods that have it.
    let first = &run.summary.variants[0].pods.stuck_reasons[0];
    browser.run("document.querySelector('button[data-reason]').click()");
    let messages = column("pod-table", 5);
    assert_eq!(messages.len() as u64, first.pods.min(12));
    let clean = crate::report::human::one_line(&first.message);
    assert!(messages.iter().all(|m| crate::report::human::one_line(m) == clean), "{messages:?}");

    // The filter of the numbers.
    browser.run("document.querySelector('#numbers details').open = true");
    browser.run(
        "const i = document.querySelector('[data-filters=number-table]'); i.value = 'stuckByBinding'; i.dispatchEvent(new Event('input'))",
    );
    let left = browser.run(
        "return [...document.querySelectorAll('#number-table tbody tr')].filter((r) => !r.hidden).length",
    );
    assert_eq!(left, 2);
}

fn incidents_are_listed(browser: &Browser, run: &crate::results::RunOutput) {
    let rows = || {
        let rows = browser.run(
            "return [...document.querySelectorAll('#incident-table tbody tr')].map((r) => [...r.cells].map((c) => c.innerText || (c.firstChild && c.firstChild.title) || ''))",
        );
        serde_json::from_value::<Vec<Vec<String>>>(rows).expect("texts")
    };
    let all: usize = run.variants.iter().map(|v| v.incidents.len()).sum();
    assert_eq!(rows().len(), all.min(15));
    // Only nodes of the second variant; the last of them stays away.
    browser.run(
        "const [v, k] = document.querySelectorAll('#incident-table select'); v.value = '1'; k.value = '4'; k.dispatchEvent(new Event('input', {bubbles: true}))",
    );
    let shown = rows();
    assert_eq!(shown.len(), run.variants[1].incidents.len() / 2);
    assert!(shown.iter().all(|r| r[1] == "node not Ready" && r[2] == "wait-for-first-consumer"), "{shown:?}");
    assert!(shown.iter().any(|r| r[0] == "db-51" && r[4].ends_with(", not over")), "{shown:?}");
    assert!(shown.iter().all(|r| r[6].ends_with(" of 2 d 2 h")), "{shown:?}");
}

fn pictures_are_tables_too(browser: &Browser, run: &crate::results::RunOutput) {
    let tables = "return [...document.querySelectorAll('figure[data-figure=stuck] details table')].map((t) => [...t.rows].map((r) => [...r.cells].map((c) => c.textContent)))";
    assert_eq!(browser.run(tables), json!([]), "made when asked for");
    browser.run("document.querySelector('figure[data-figure=stuck] details').open = true");
    // The toggle event comes in a task of its own.
    browser.post("/execute/async", &json!({"script": "setTimeout(arguments[0], 50)", "args": []}));
    let found: Vec<Vec<Vec<String>>> = serde_json::from_value(browser.run(tables)).expect("texts");
    let (head, last) = (&found[0][0], found[0].last().expect("rows"));
    assert_eq!(found[0].len(), 22);
    assert_eq!(head[1], "immediate");
    assert_eq!(last[0], "2 d 2 h");
    assert_eq!(last[1], crate::report::human::count(run.summary.variants[0].pods.stuck));
}

fn sideways_scrolling_works_by_keyboard(browser: &Browser) {
    browser.resize(400, 900);
    browser.post("/execute/async", &json!({"script": "setTimeout(arguments[0], 50)", "args": []}));
    let unreachable = browser.run(
        "return [...document.querySelectorAll('.scroll')].filter((b) => b.scrollWidth > b.clientWidth && !(b.tabIndex === 0 && b.getAttribute('aria-label'))).length",
    );
    assert_eq!(unreachable, 0);
    // Names of pods and nodes are not broken into letters.
    let narrow = browser.run(
        "return [...document.querySelectorAll('td.name, th.name')].filter((c) => c.innerText.length > 12 && c.getBoundingClientRect().width < 60).length",
    );
    assert_eq!(narrow, 0);
    browser.resize(1280, 1000);
}

/// What a screen reader is told, and where the first Tab leads.
fn everything_has_a_name(browser: &Browser) {
    let tree =
        browser.post("/goog/cdp/execute", &json!({"cmd": "Accessibility.getFullAXTree", "params": {}}));
    let text = |node: &Value, key: &str| node[key]["value"].as_str().unwrap_or_default().to_owned();
    let named = ["button", "combobox", "searchbox", "link", "img", "image", "table", "region", "navigation"];
    let mut seen: Vec<String> = Vec::new();
    for node in tree["nodes"].as_array().expect("nodes") {
        let role = text(node, "role");
        if node["ignored"] != true && named.contains(&role.as_str()) {
            // Tables without a name of their own stand under the heading of their section.
            assert!(role == "table" || !text(node, "name").is_empty(), "{node}");
            seen.push(role);
        }
    }
    for role in ["button", "combobox", "searchbox", "link", "table", "region", "navigation"] {
        assert!(seen.iter().any(|s| s == role), "{role}: {seen:?}");
    }
    assert_eq!(browser.run("return document.querySelectorAll('main, nav, header, footer').length"), 4);
    browser.run("document.activeElement.blur(); window.scrollTo(0, 0); document.body.tabIndex = -1; document.body.focus()");
    browser.press("\u{e004}");
    assert_eq!(browser.run("return document.activeElement.className"), "skip");
}

fn numbers_are_those_of_the_summary(browser: &Browser, run: &crate::results::RunOutput) {
    let shown = browser.run(
        "return [...document.querySelectorAll('#number-table tbody tr')].map((r) => [r.dataset.path, [...r.querySelectorAll('td')].map((c) => c.textContent)])",
    );
    let shown: Vec<(String, Vec<String>)> = serde_json::from_value(shown).expect("rows");
    let summary = serde_json::to_value(&run.summary).expect("serializes");
    assert!(shown.len() > 70, "{}", shown.len());
    for (path, cells) in shown {
        for (i, cell) in cells.iter().enumerate() {
            let pointer = format!("/variants/{i}/{}", path.replace('.', "/"));
            // A cause that no pod has is left out of summary.json.
            let want = summary.pointer(&pointer).map_or("0".to_owned(), Value::to_string);
            assert_eq!(*cell, want, "{path}");
        }
    }
}

fn themes_and_widths(browser: &Browser) {
    let ground = "return getComputedStyle(document.documentElement).backgroundColor";
    let light = browser.run(ground);
    browser.run("document.getElementById('theme').click()");
    assert_ne!(browser.run(ground), light);
    browser.look("page-dark");
    browser.run("document.getElementById('theme').click()");
    assert_eq!(browser.run(ground), light);
    for width in [1280, 400] {
        browser.resize(width, 1000);
        let wider = browser.run(
            "const room = document.documentElement.clientWidth;
             const wide = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > room + 1);
             return document.documentElement.scrollWidth > room ? wide.map((e) => e.outerHTML.slice(0, 80)) : []",
        );
        assert_eq!(wider, json!([]), "the page scrolls sideways at {width} px");
        browser.look(&format!("page-{width}"));
    }
}

fn nothing_was_requested_or_complained_about(browser: &Browser) {
    let said = browser.post("/se/log", &json!({"type": "browser"}));
    assert_eq!(said, json!([]), "the console");
    let log = browser.post("/se/log", &json!({"type": "performance"}));
    let mut asked = 0;
    for entry in log.as_array().expect("a list") {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap_or("{}")).expect("JSON");
        if message["message"]["method"] == "Network.requestWillBeSent" {
            let url = message["message"]["params"]["request"]["url"].as_str().unwrap_or_default().to_owned();
            assert!(
                url.starts_with("file:///") && url.ends_with("/report.html") || url.starts_with("data:"),
                "{url}"
            );
            asked += 1;
        }
    }
    assert!(asked >= 1, "the log of requests is empty");
}
