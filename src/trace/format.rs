//! The formats by name, and how each recognizes its tables.

use super::azure_vm::Version;
use super::table::{Normalized, Recognized, Sample};
use super::{
    alibaba_gpu_v2020, alibaba_gpu_v2025, alibaba_spot_gpu_v2026, alibaba_v2017, alibaba_v2018,
    azure_packing, azure_vm, google_2011, google_2019, huawei_east_1, openb, own, simkube,
};
use std::fmt;
use std::str::FromStr;

/// A trace format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say it; docs/TRACES.md describes each")]
pub enum Format {
    Openb,
    AlibabaGpuV2025,
    AlibabaSpotGpuV2026,
    HuaweiEast1,
    Google2019,
    AzurePacking2020,
    Simkube,
    AlibabaV2017,
    AlibabaV2018,
    AlibabaGpuV2020,
    Google2011,
    AzureV1,
    AzureV2,
    Stowplan,
}

impl Format {
    /// All formats, in the order in which `auto` tries them: those with the most telling tables first.
    pub const ALL: [Format; 14] = [
        Format::Openb,
        Format::AlibabaGpuV2025,
        Format::AlibabaSpotGpuV2026,
        Format::HuaweiEast1,
        Format::Google2019,
        Format::AzurePacking2020,
        Format::Simkube,
        Format::AlibabaV2017,
        Format::AlibabaV2018,
        Format::AlibabaGpuV2020,
        Format::Google2011,
        Format::AzureV1,
        Format::AzureV2,
        Format::Stowplan,
    ];

    /// The name in scenarios and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Openb => "openb",
            Format::AlibabaGpuV2025 => "alibaba-gpu-v2025",
            Format::AlibabaSpotGpuV2026 => "alibaba-spot-gpu-v2026",
            Format::HuaweiEast1 => "huawei-east-1",
            Format::Google2019 => "google-2019",
            Format::AzurePacking2020 => "azure-packing-2020",
            Format::Simkube => "simkube",
            Format::AlibabaV2017 => "alibaba-v2017",
            Format::AlibabaV2018 => "alibaba-v2018",
            Format::AlibabaGpuV2020 => "alibaba-gpu-v2020",
            Format::Google2011 => "google-2011",
            Format::AzureV1 => "azure-v1",
            Format::AzureV2 => "azure-v2",
            Format::Stowplan => "stowplan",
        }
    }

    /// The parser for a table of this format, if the sample is one.
    pub fn recognize(self, sample: &Sample<'_>) -> Option<Recognized> {
        match self {
            Format::Openb => openb::recognize(sample),
            Format::AlibabaGpuV2025 => alibaba_gpu_v2025::recognize(sample),
            Format::AlibabaSpotGpuV2026 => alibaba_spot_gpu_v2026::recognize(sample),
            Format::HuaweiEast1 => huawei_east_1::recognize(sample),
            Format::Google2019 => google_2019::recognize(sample),
            Format::AzurePacking2020 => azure_packing::recognize(sample),
            Format::Simkube => simkube::recognize(sample),
            Format::AlibabaV2017 => alibaba_v2017::recognize(sample),
            Format::AlibabaV2018 => alibaba_v2018::recognize(sample),
            Format::AlibabaGpuV2020 => alibaba_gpu_v2020::recognize(sample),
            Format::Google2011 => google_2011::recognize(sample),
            Format::AzureV1 => azure_vm::recognize(sample, Version::V1, false),
            Format::AzureV2 => azure_vm::recognize(sample, Version::V2, false),
            Format::Stowplan => own::recognize(sample),
        }
    }

    /// The same when nobody said which format it is: the two Azure VM traces are told apart by their values.
    pub fn recognize_alone(self, sample: &Sample<'_>) -> Option<Recognized> {
        match self {
            Format::AzureV1 => azure_vm::recognize(sample, Version::V1, true),
            Format::AzureV2 => azure_vm::recognize(sample, Version::V2, true),
            _ => self.recognize(sample),
        }
    }

    /// What a file of this format begins with, for messages.
    pub const fn expected(self) -> &'static str {
        match self {
            Format::Openb => openb::EXPECTED,
            Format::AlibabaGpuV2025 => alibaba_gpu_v2025::EXPECTED,
            Format::AlibabaSpotGpuV2026 => alibaba_spot_gpu_v2026::EXPECTED,
            Format::HuaweiEast1 => huawei_east_1::EXPECTED,
            Format::Google2019 => google_2019::EXPECTED,
            Format::AzurePacking2020 => azure_packing::EXPECTED,
            Format::Simkube => simkube::EXPECTED,
            Format::AlibabaV2017 => alibaba_v2017::EXPECTED,
            Format::AlibabaV2018 => alibaba_v2018::EXPECTED,
            Format::AlibabaGpuV2020 => alibaba_gpu_v2020::EXPECTED,
            Format::Google2011 => google_2011::EXPECTED,
            Format::AzureV1 | Format::AzureV2 => azure_vm::EXPECTED,
            Format::Stowplan => own::EXPECTED,
        }
    }

    /// Every pod comes as events, none as a row with its whole life.
    pub const fn is_all_events(self) -> bool {
        matches!(self, Format::Google2011 | Format::Google2019 | Format::HuaweiEast1)
    }

    /// Resources that are shares of the largest machine.
    pub const fn normalized(self) -> Normalized {
        let (cpu, memory, disk) = match self {
            Format::Google2011 | Format::AzurePacking2020 => (true, true, true),
            Format::Google2019 => (true, true, false),
            Format::AlibabaV2017 => (false, true, true),
            Format::AlibabaV2018 => (false, true, false),
            _ => (false, false, false),
        };
        Normalized { cpu, memory, disk }
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

#[cfg(test)]
#[path = "format_tests.rs"]
mod format_tests;
