//! What a sweep consists of, and which part of it a machine does.

use super::job::{Job, JobKey, Point, replication_seed};
use super::shard::Shard;
use super::until_ci::UntilCi;
use crate::results::{SCHEMA_VERSION, TOOL};
use crate::scenario::axes::cell;
use serde::{Deserialize, Serialize};

/// A sweep, resolved: the points are fixed before the first run.
#[derive(Clone, Debug, Default)]
pub struct Study {
    /// The scenario's name.
    pub scenario: String,
    /// `blake3:<hex>` over the scenario with all its files and the overrides of the command line.
    pub scenario_digest: String,
    /// The scenario's seed.
    pub seed: u64,
    /// Runs per point and variant, at least 1; with [`Study::until_ci`] the least number.
    pub replications: u32,
    /// Adds replications until intervals are narrow.
    pub until_ci: Option<UntilCi>,
    /// The variants' names; the first is the baseline.
    pub variants: Vec<String>,
    /// The axes' paths.
    pub axes: Vec<String>,
    /// The points in order; `points[i].index == i`.
    pub points: Vec<Point>,
}

/// `sweep.json`: what the runs in a folder belong to. Two folders with the same digest hold runs of the same sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StudyFile {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name and version of the program.
    pub tool: String,
    /// The scenario's name.
    pub scenario: String,
    /// Of the scenario.
    pub scenario_digest: String,
    /// `blake3:<hex>` over everything below and the scenario's digest.
    pub sweep_digest: String,
    /// The scenario's seed.
    pub seed: u64,
    /// Runs per point and variant.
    pub replications: u32,
    /// The rule by which replications are added.
    pub until_ci: Option<UntilCi>,
    /// The variants' names.
    pub variants: Vec<String>,
    /// The axes' paths.
    pub axes: Vec<String>,
    /// One list of cells per point.
    pub points: Vec<Vec<String>>,
    /// Which part of the sweep the folder holds; absent for all of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<Shard>,
}

impl Study {
    /// The content of `sweep.json`.
    pub fn file(&self, shard: Option<Shard>) -> StudyFile {
        let points = self.points.iter().map(|p| p.settings.iter().map(|s| cell(&s.value)).collect());
        let mut file = StudyFile {
            schema_version: SCHEMA_VERSION,
            tool: TOOL.to_owned(),
            scenario: self.scenario.clone(),
            scenario_digest: self.scenario_digest.clone(),
            sweep_digest: String::new(),
            seed: self.seed,
            replications: self.replications,
            until_ci: self.until_ci.clone(),
            variants: self.variants.clone(),
            axes: self.axes.clone(),
            points: points.collect(),
            shard: None,
        };
        file.sweep_digest = file.compute_digest();
        file.shard = shard;
        file
    }

    /// The job of a key. `None` if the key is not of this sweep.
    pub fn job(&self, key: JobKey) -> Option<Job<'_>> {
        let point = self.points.get(usize::try_from(key.point).ok()?)?;
        let variant = self.variants.get(key.variant as usize)?;
        let seed = replication_seed(self.seed, key.replication);
        Some(Job { key, settings: &point.settings, variant, seed })
    }
}

impl StudyFile {
    /// The digest of everything but itself and the shard.
    pub fn compute_digest(&self) -> String {
        let bare = StudyFile { sweep_digest: String::new(), shard: None, ..self.clone() };
        // Writing plain data to memory cannot fail.
        let text = serde_json::to_vec(&bare).unwrap_or_default();
        format!("blake3:{}", blake3::hash(&text).to_hex())
    }

    /// What makes the runs of `other` no runs of this sweep, for a message; `None` if the digests agree.
    pub fn differs_from(&self, other: &StudyFile) -> Option<String> {
        if self.sweep_digest == other.sweep_digest {
            return None;
        }
        let two = |what: &str, a: &str, b: &str| Some(format!("{what} `{a}`, not `{b}`"));
        if self.tool != other.tool {
            return two("made by", &self.tool, &other.tool);
        }
        if self.scenario != other.scenario {
            return two("of scenario", &self.scenario, &other.scenario);
        }
        if self.scenario_digest != other.scenario_digest {
            return Some("of another content of the scenario or its files".to_owned());
        }
        if self.seed != other.seed {
            return two("with seed", &self.seed.to_string(), &other.seed.to_string());
        }
        if self.variants != other.variants {
            return two("with variants", &self.variants.join(", "), &other.variants.join(", "));
        }
        if self.replications != other.replications || self.until_ci != other.until_ci {
            return Some("with another number of replications".to_owned());
        }
        Some("with other axes or points".to_owned())
    }
}
