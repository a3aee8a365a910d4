//! Splitting a sweep over machines.
//!
//! The parts are equal in number to within one and, because units are dealt in a shuffled order, about equal in work even
//! if one axis makes runs dear. The split depends on nothing but the sweep's shape and the number of parts.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Most parts a sweep is split into.
pub const MAX_SHARDS: u32 = 1_000_000;

/// Part `index` (from 1) of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// From 1 to `count`.
    pub index: u32,
    /// Number of parts, at least 1.
    pub count: u32,
}

impl Shard {
    /// The whole sweep.
    pub const WHOLE: Shard = Shard { index: 1, count: 1 };

    /// Part `index` of `count`. An index of 0 is the last part, so that counting from 0 and from 1 both name every part once.
    ///
    /// # Errors
    /// If there is no such part.
    pub fn new(index: u32, count: u32) -> Result<Shard, String> {
        if count == 0 || count > MAX_SHARDS {
            return Err(format!("a sweep is split into 1 to {MAX_SHARDS} shards, not {count}"));
        }
        if index > count {
            return Err(format!("there is no shard {index} of {count}; they count from 1 to {count}"));
        }
        Ok(Shard { index: if index == 0 { count } else { index }, count })
    }

    /// Which of `0..units` this part does, in ascending order.
    pub fn units(self, units: u64) -> Vec<u64> {
        if self.count == 1 {
            return (0..units).collect();
        }
        let mut dealt: Vec<(u64, u64)> = (0..units).map(|u| (spread(u), u)).collect();
        dealt.sort_unstable();
        let mut mine: Vec<u64> = dealt
            .into_iter()
            .skip((self.index - 1) as usize)
            .step_by(self.count as usize)
            .map(|(_, unit)| unit)
            .collect();
        mine.sort_unstable();
        mine
    }

    /// From the environment of a Kubernetes Indexed Job or a Slurm job array, with the variable it came from.
    ///
    /// Kubernetes tells an Indexed Job's pods their index (`JOB_COMPLETION_INDEX`, from 0) but not how many there are: that
    /// must be given as `JOB_COMPLETIONS` (or `COMPLETIONS`). Slurm tells both, and its arrays may start anywhere and have
    /// steps (`SLURM_ARRAY_TASK_ID`, `_MIN`, `_COUNT`, `_STEP`).
    ///
    /// # Errors
    /// If a variable is not a number or the numbers name no part. `Ok(None)` if there is nothing to go by.
    pub fn from_environment(
        get: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<(Shard, &'static str)>, String> {
        let number = |name: &str| match get(name).filter(|v| !v.is_empty()) {
            Some(text) => {
                let value = text.trim().parse::<u32>();
                value.map(Some).map_err(|_| format!("the environment variable {name}={text} is no number"))
            }
            None => Ok(None),
        };
        if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            let count = match number("JOB_COMPLETIONS")? {
                Some(count) => Some(count),
                None => number("COMPLETIONS")?,
            };
            let Some(count) = count else { return Ok(None) };
            if index >= count {
                return Err(format!("JOB_COMPLETION_INDEX={index} is not below the {count} completions"));
            }
            return Ok(Some((Shard::new(index + 1, count)?, "JOB_COMPLETION_INDEX")));
        }
        let (Some(id), Some(count)) = (number("SLURM_ARRAY_TASK_ID")?, number("SLURM_ARRAY_TASK_COUNT")?)
        else {
            return Ok(None);
        };
        let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
        let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
        let index = id.checked_sub(first).map(|d| d / step).filter(|i| *i < count);
        let Some(index) = index else {
            return Err(format!("SLURM_ARRAY_TASK_ID={id} is not one of {count} tasks from {first}"));
        };
        Ok(Some((Shard::new(index + 1, count)?, "SLURM_ARRAY_TASK_ID")))
    }
}

/// A fixed shuffle: SplitMix64's finalizer, a bijection, so no two units tie.
const fn spread(unit: u64) -> u64 {
    let mut z = unit.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;
    fn from_str(text: &str) -> Result<Shard, String> {
        let parts =
            text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        let (index, count) = parts.ok_or_else(|| format!("`{text}` is not of the form I/N, such as 2/8"))?;
        Shard::new(index, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_part_the_units_evenly() {
        for (units, count) in [(0u64, 3u32), (1, 3), (10, 1), (10, 3), (1000, 7), (5, 9)] {
            let mut all = Vec::new();
            for index in 1..=count {
                let mine = Shard::new(index, count).unwrap().units(units);
                let least = units / u64::from(count);
                assert!(mine.len() as u64 == least || mine.len() as u64 == least + 1);
                assert!(mine.is_sorted());
                all.extend(mine);
            }
            all.sort_unstable();
            assert!(all.into_iter().eq(0..units), "{units} over {count}");
        }
    }

    #[test]
    fn a_periodic_axis_does_not_load_one_shard() {
        // Every fourth unit is dear; dealing 1, 2, 3, 4, 1, ... would give all of them to one machine.
        for index in 1..=4 {
            let mine = Shard::new(index, 4).unwrap().units(4000);
            let dear = mine.iter().filter(|u| **u % 4 == 0).count();
            assert!((200..300).contains(&dear), "shard {index} has {dear} of 1000");
        }
    }

    #[test]
    fn counting_from_zero_or_one_names_every_part_once() {
        let parts = |from: u32| {
            let mut found: Vec<Shard> = (from..from + 5).map(|i| Shard::new(i, 5).unwrap()).collect();
            found.sort();
            found
        };
        assert_eq!(parts(0), parts(1));
        assert_eq!("3/5".parse::<Shard>().unwrap().to_string(), "3/5");
        for bad in ["", "3", "a/b", "6/5", "1/0", "-1/4", "1/2/3", "1/9999999"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_environment_of_job_engines() {
        let from = |vars: &[(&str, &str)]| {
            let vars: Vec<(String, String)> =
                vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Shard::from_environment(&|name| vars.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()))
                .map(|found| found.map(|(shard, _)| shard.to_string()))
        };
        assert_eq!(from(&[]), Ok(None));
        assert_eq!(from(&[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "8")]), Ok(Some("1/8".into())));
        assert_eq!(from(&[("JOB_COMPLETION_INDEX", "7"), ("COMPLETIONS", "8")]), Ok(Some("8/8".into())));
        assert_eq!(from(&[("JOB_COMPLETION_INDEX", "7")]), Ok(None));
        assert!(from(&[("JOB_COMPLETION_INDEX", "8"), ("COMPLETIONS", "8")]).is_err());
        assert!(from(&[("JOB_COMPLETION_INDEX", "x"), ("COMPLETIONS", "8")]).is_err());
        let slurm = |id: &str| {
            from(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_COUNT", "4"),
                ("SLURM_ARRAY_TASK_MIN", "10"),
                ("SLURM_ARRAY_TASK_STEP", "5"),
            ])
        };
        assert_eq!(slurm("10"), Ok(Some("1/4".into())));
        assert_eq!(slurm("25"), Ok(Some("4/4".into())));
        assert!(slurm("30").is_err());
        assert!(slurm("9").is_err());
    }
}
