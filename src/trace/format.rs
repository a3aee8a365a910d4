//! The formats by name, and how each recognizes its tables.

use super::table::{Normalized, Recognized, Sample};
use super::{alibaba_gpu_v2025, openb};
use std::fmt;
use std::str::FromStr;

/// A trace format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say it; docs/TRACES.md describes each")]
pub enum Format {
    Openb,
    AlibabaGpuV2025,
}

impl Format {
    /// All formats, in the order in which `auto` tries them: those with the most telling tables first.
    pub const ALL: [Format; 2] = [Format::Openb, Format::AlibabaGpuV2025];

    /// The name in scenarios and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Openb => "openb",
            Format::AlibabaGpuV2025 => "alibaba-gpu-v2025",
        }
    }

    /// The parser for a table of this format, if the sample is one.
    pub fn recognize(self, sample: &Sample<'_>) -> Option<Recognized> {
        match self {
            Format::Openb => openb::recognize(sample),
            Format::AlibabaGpuV2025 => alibaba_gpu_v2025::recognize(sample),
        }
    }

    /// What a file of this format begins with, for messages.
    pub const fn expected(self) -> &'static str {
        match self {
            Format::Openb => openb::EXPECTED,
            Format::AlibabaGpuV2025 => alibaba_gpu_v2025::EXPECTED,
        }
    }

    /// Every pod comes as events, none as a row with its whole life.
    pub const fn is_all_events(self) -> bool {
        false
    }

    /// Resources that are shares of the largest machine.
    pub const fn normalized(self) -> Normalized {
        match self {
            Format::Openb | Format::AlibabaGpuV2025 => Normalized { cpu: false, memory: false, disk: false },
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    /// The name, exactly.
    fn from_str(text: &str) -> Result<Format, String> {
        if let Some(format) = Format::ALL.into_iter().find(|f| f.name() == text) {
            return Ok(format);
        }
        let names: Vec<&str> = Format::ALL.iter().map(|f| f.name()).collect();
        let near = names
            .iter()
            .map(|name| (strsim::damerau_levenshtein(name, text), name))
            .min()
            .filter(|(distance, _)| *distance <= 4);
        Err(match near {
            Some((_, name)) => format!("unknown trace format {text:?}; did you mean {name}?"),
            None => format!("unknown trace format {text:?}; expected auto or one of {}", names.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_near_misses_are_named() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        let error = "opemb".parse::<Format>().expect_err("no such format");
        assert!(error.contains("did you mean openb?"), "{error}");
        let error = "parquet-of-doom".parse::<Format>().expect_err("no such format");
        assert!(error.contains("alibaba-gpu-v2025"), "{error}");
    }
}
