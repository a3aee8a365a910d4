//! What a recording's `settings` say about the control plane: flags that are no defaults, the simulated kubelets, the provisioner.
//!
//! They are written for people: flags as keys or inside sentences. Whatever is not found here is Kubernetes' default.

use super::input::{Input, first_number, number};
use crate::scenario::tree::{Kind, Value};

/// A client's limit: requests per second, burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    pub qps: f64,
    pub burst: f64,
}

/// The control plane of a recording. Times in seconds; `None`: Kubernetes' default.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub kcm: Option<Limit>,
    pub scheduler: Option<Limit>,
    pub bind_timeout: Option<f64>,
    /// What a scheduling attempt took on the recorder's machine.
    pub attempt: f64,
    pub pop_from_backoff: Option<bool>,
    pub monitor: Option<f64>,
    pub grace: Option<f64>,
    pub pv_resync: Option<f64>,
    /// How long kube-controller-manager had been running when the recording began.
    pub kcm_up_for: Option<f64>,
    /// The same of the scheduler.
    pub scheduler_up_for: Option<f64>,
    /// Assignment to Running, of the simulated kubelets.
    pub kubelet_start: f64,
    /// Deletion to gone.
    pub kubelet_stop: f64,
    /// How long a static provisioner leaves a Released volume before it makes it anew; `None`: there is none.
    pub wipe: Option<f64>,
}

/// An attempt on the recorder's machine, where its scheduler's log does not tell: half of all failed ones in the recordings that
/// have a log were shorter.
const ATTEMPT: f64 = 0.0005;

/// The recorder's kubelets run a pod 0.3 s after its assignment and finish its deletion after 0.5 s.
impl Default for Settings {
    fn default() -> Settings {
        Settings {
            kcm: None,
            scheduler: None,
            bind_timeout: None,
            attempt: ATTEMPT,
            pop_from_backoff: None,
            monitor: None,
            grace: None,
            pv_resync: None,
            kcm_up_for: None,
            scheduler_up_for: None,
            kubelet_start: 0.3,
            kubelet_stop: 0.5,
            wipe: None,
        }
    }
}

/// Reads `settings`, and from `description` what the test changed.
pub(super) fn read(input: &mut Input, tree: &Value) -> Settings {
    let mut settings = Settings::default();
    if let Some(value) = tree.get("settings") {
        if value.as_map().is_none() {
            input.wrong(value, "`settings`", "an object");
        }
        each(value, "", &mut |key, value| settings.take(key, value));
    }
    if let Some(attempt) = median_attempt(tree) {
        settings.attempt = attempt;
    }
    if let Some(text) = tree.get("description").and_then(Value::as_text) {
        let described = flag_seconds(text, "bindTimeoutSeconds");
        settings.bind_timeout = settings.bind_timeout.or(described);
    }
    settings
}

/// Half of the failed attempts in the scheduler's log were shorter, from its first line about one to the one about the condition.
fn median_attempt(tree: &Value) -> Option<f64> {
    let mut spans: Vec<f64> = Vec::new();
    let mut begun = None;
    for line in tree.get("schedulerLog")?.as_seq()? {
        let (Some(at), Some(message)) = (line.get("t").and_then(number), line.get("msg")?.as_text()) else {
            continue;
        };
        if message.contains("Attempting to schedule pod") {
            begun = Some(at);
        } else if message.contains("Updating pod condition") {
            spans.extend(begun.take().map(|begun: f64| at - begun).filter(|span| *span >= 0.0));
        }
    }
    spans.sort_by(f64::total_cmp);
    spans.get(spans.len() / 2).copied()
}

/// Every scalar with the path of keys to it.
fn each(value: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    match &value.kind {
        Kind::Map(entries) => {
            for entry in entries {
                each(&entry.value, &format!("{path}/{}", entry.key), visit);
            }
        }
        Kind::Seq(items) => items.iter().for_each(|item| each(item, path, visit)),
        Kind::Scalar(_) => visit(path, value),
    }
}

impl Settings {
    fn take(&mut self, key: &str, value: &Value) {
        let Some(text) = value.as_text() else { return };
        let plain = simplified(key);
        let flag = |name: &str| {
            if plain.contains(&simplified(name)) { seconds(text) } else { flag_seconds(text, name) }
        };
        self.bind_timeout = self.bind_timeout.or(flag("bindTimeoutSeconds"));
        self.grace = self.grace.or(flag("node-monitor-grace-period"));
        self.monitor = self.monitor.or(flag("node-monitor-period"));
        self.pv_resync = self.pv_resync.or(flag("pvclaimbinder-sync-period"));
        let of_kcm = plain.contains("controllermanager") || plain.contains("kcm");
        let limit = limit(&plain, text);
        if of_kcm {
            self.kcm = self.kcm.or(limit);
        } else if plain.contains("scheduler") {
            self.scheduler = self.scheduler.or(limit);
        }
        if plain.ends_with("kcmstart") {
            self.kcm_up_for = before_start(value);
        }
        if plain.ends_with("schedulerstart") {
            self.scheduler_up_for = before_start(value);
        }
        if let Some((_, rest)) = text.split_once("SchedulerPopFromBackoffQ=") {
            self.pop_from_backoff = Some(!rest.starts_with("false"));
        }
        if plain.ends_with("kubeletsim") {
            let after = |word: &str| text.split_once(word).and_then(|(_, rest)| seconds(rest));
            self.kubelet_start = after("Running").unwrap_or(self.kubelet_start);
            self.kubelet_stop = after("gone").unwrap_or(self.kubelet_stop);
        }
        if plain.ends_with("staticprovisioner") {
            self.wipe = seconds(text);
        }
    }
}

/// Small letters and digits only, so that `node-monitor-period` and `nodeMonitorPeriod` are the same.
fn simplified(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '/').collect::<String>().to_lowercase()
}

/// `--kube-api-qps=1000 --kube-api-burst=1000`, or a number whose key says what it is.
fn limit(key: &str, text: &str) -> Option<Limit> {
    let after = |name: &str| text.split_once(name).and_then(|(_, rest)| first_number(rest)).map(|(n, _)| n);
    let qps = if key.contains("qps") { first_number(text).map(|(n, _)| n) } else { after("kube-api-qps=") }?;
    Some(Limit { qps, burst: after("kube-api-burst=").unwrap_or(qps) })
}

/// The seconds behind a flag's name inside a sentence, such as `--node-monitor-period=5s`.
fn flag_seconds(text: &str, name: &str) -> Option<f64> {
    let (_, rest) = text.split_once(name)?;
    // Only what follows at once: `=5s`, ` 5s`, `: 5`.
    let rest = rest.trim_start_matches([' ', '=', ':']);
    rest.starts_with(|c: char| c.is_ascii_digit()).then(|| seconds(rest)).flatten()
}

/// The first number with its unit, in seconds; without one it is seconds.
fn seconds(text: &str) -> Option<f64> {
    let (number, rest) = first_number(text)?;
    let rest = rest.trim_start();
    let unit: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    Some(match unit.as_str() {
        "ms" => number / 1e3,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => number,
    })
}

/// A start in seconds relative to the recording's, if it is before that.
fn before_start(value: &Value) -> Option<f64> {
    number(value).map(|start| -start).filter(|age| *age > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_as_keys_and_in_sentences() {
        assert_eq!(seconds("50s (default)"), Some(50.0));
        assert_eq!(flag_seconds("defaults: node-monitor-period 5s, x", "node-monitor-period"), Some(5.0));
        assert_eq!(flag_seconds("--bindTimeoutSeconds=10", "bindTimeoutSeconds"), Some(10.0));
        assert_eq!(flag_seconds("after bindTimeoutSeconds (default 600; 10)", "bindTimeoutSeconds"), None);
        assert_eq!(seconds("1.5 min"), Some(90.0));
        let args = "--kube-api-qps=1000 --kube-api-burst=2000";
        assert_eq!(limit("/kubecontrollermanagerargs", args), Some(Limit { qps: 1000.0, burst: 2000.0 }));
        assert_eq!(limit("/clientlimits", "raised to 1000 (defaults 20/30)"), None);
    }
}
