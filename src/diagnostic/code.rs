//! The table of codes. `docs/ERRORS.md` is generated from it.

/// What kind of finding a diagnostic is. The number is stable; `docs/ERRORS.md` explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // Each is described in CODES.
pub enum Code {
    FileMissing,
    FileUnreadable,
    NotUtf8,
    TooLarge,
    Syntax,
    DuplicateKey,
    NotAFile,
    CyclicFile,
    WrongType,
    UnknownKey,
    MissingKey,
    BadQuantity,
    BadDuration,
    BadRate,
    BadShare,
    BadNumber,
    OutOfRange,
    UnknownChoice,
    BadName,
    Conflict,
    BadDistribution,
    BadVersion,
    DuplicateName,
    UnknownClass,
    UnknownShape,
    UnknownPreset,
    UnknownPath,
    ForbiddenPath,
    BadPath,
    EmptyCluster,
    DiskTooSmall,
    NoMatch,
    UnknownReference,
    NeedsDuration,
    NotImplemented,
    UnsetVariable,
    UnknownVariant,
    NotAnObject,
    ObjectType,
    UnknownField,
    MissingField,
    InvalidValue,
    DuplicateObject,
    OldForm,
    SkippedKind,
    Unusual,
    NotModelled,
    TraceRow,
    TraceCell,
    TraceFormat,
    RecordedCase,
    CommandLine,
    OutputFolder,
    OutputWrite,
    SweepMismatch,
    ResultsMalformed,
    Resources,
    SchedulerConfig,
    Other,
}

/// A code's number and meaning.
#[derive(Clone, Copy, Debug)]
pub struct CodeInfo {
    /// The code.
    pub code: Code,
    /// `E0101`.
    pub number: &'static str,
    /// One line: what it means.
    pub meaning: &'static str,
    /// The process' exit code when it is an error: 2 bad input, 3 could not read or write.
    pub exit_code: u8,
}

const fn bad(code: Code, number: &'static str, meaning: &'static str) -> CodeInfo {
    CodeInfo { code, number, meaning, exit_code: 2 }
}
const fn io(code: Code, number: &'static str, meaning: &'static str) -> CodeInfo {
    CodeInfo { code, number, meaning, exit_code: 3 }
}

/// Every code, by number.
pub const CODES: &[CodeInfo] = &[
    bad(Code::FileMissing, "E0001", "a named file or folder does not exist"),
    io(Code::FileUnreadable, "E0002", "a file exists but could not be read"),
    bad(Code::NotUtf8, "E0003", "a text is not UTF-8"),
    bad(Code::TooLarge, "E0004", "an input exceeds a limit: bytes, nesting, aliases, objects"),
    bad(Code::Syntax, "E0005", "a text is not valid YAML or JSON"),
    bad(Code::DuplicateKey, "E0006", "a mapping has the same key twice"),
    bad(Code::NotAFile, "E0007", "a path is neither a regular file nor a folder"),
    bad(Code::CyclicFile, "E0008", "folders or files refer to each other in a circle"),
    bad(Code::WrongType, "E0101", "a value has another type than expected, such as a list for a number"),
    bad(Code::UnknownKey, "E0102", "a mapping has a key that is not known there"),
    bad(Code::MissingKey, "E0103", "a required key is absent"),
    bad(Code::BadQuantity, "E0104", "a value is not a Kubernetes quantity such as 500m or 10Gi"),
    bad(Code::BadDuration, "E0105", "a value is not a duration such as 90s, 5m or 2d6h"),
    bad(Code::BadRate, "E0106", "a value is not a rate such as 200MB/s"),
    bad(Code::BadShare, "E0107", "a value is not a share such as 20% or 0.2"),
    bad(Code::BadNumber, "E0108", "a value is not a number"),
    bad(Code::OutOfRange, "E0109", "a number lies outside its range"),
    bad(Code::UnknownChoice, "E0110", "a word is not one of the allowed ones"),
    bad(Code::BadName, "E0111", "a name is not allowed there"),
    bad(Code::Conflict, "E0112", "keys that exclude each other, or a combination that makes no sense"),
    bad(Code::BadDistribution, "E0113", "a distribution is malformed"),
    bad(Code::BadVersion, "E0114", "the scenario's version is not known to this program"),
    bad(Code::DuplicateName, "E0201", "two entries of a list have the same name"),
    bad(Code::UnknownClass, "E0202", "a StorageClass is not defined by the scenario or its manifests"),
    bad(Code::UnknownShape, "E0203", "a machine shape is not in the catalogue"),
    bad(Code::UnknownPreset, "E0204", "a workload preset is not in the catalogue"),
    bad(Code::UnknownPath, "E0205", "a path leads to nothing in the scenario"),
    bad(Code::ForbiddenPath, "E0206", "a path may not be changed by an override"),
    bad(Code::BadPath, "E0207", "a path is malformed"),
    bad(Code::EmptyCluster, "E0208", "there is no node in the cluster"),
    bad(Code::DiskTooSmall, "E0209", "the volumes of a disk do not fit it"),
    bad(Code::NoMatch, "E0210", "a pattern or folder yields no file"),
    bad(Code::UnknownReference, "E0211", "an entry names an object that does not exist"),
    bad(Code::NeedsDuration, "E0212", "an endless process needs a duration"),
    bad(
        Code::NotImplemented,
        "E0213",
        "a part of the scenario format that this version does not simulate yet",
    ),
    bad(Code::UnsetVariable, "E0214", "a path names an environment variable that is not set"),
    bad(Code::UnknownVariant, "E0215", "no variant has the name"),
    bad(Code::NotAnObject, "E0301", "a document is not a Kubernetes object"),
    bad(Code::ObjectType, "E0302", "a field of a Kubernetes object has the wrong type"),
    bad(Code::UnknownField, "E0303", "a field of a Kubernetes object is not known to its kind (warning)"),
    bad(Code::MissingField, "E0304", "a field that the Kubernetes API requires is absent"),
    bad(Code::InvalidValue, "E0305", "a value that the Kubernetes API refuses"),
    bad(Code::DuplicateObject, "E0306", "two objects have the same kind, namespace and name"),
    bad(Code::OldForm, "E0307", "an old form was converted to its present one (warning)"),
    bad(Code::SkippedKind, "E0308", "objects of a kind that is not simulated were skipped (warning)"),
    bad(Code::Unusual, "E0309", "legal, but probably not meant (warning)"),
    bad(
        Code::NotModelled,
        "E0310",
        "a pending pod asks for something that is not modelled (a warning without `--strict`)",
    ),
    bad(Code::TraceRow, "E0401", "a row of a trace is torn or has another number of columns"),
    bad(Code::TraceCell, "E0403", "a cell of a trace is not what its column holds"),
    bad(Code::TraceFormat, "E0404", "a trace's format is not known or not recognized"),
    bad(Code::RecordedCase, "E0406", "a line is not a recorded decision"),
    bad(Code::SchedulerConfig, "E0501", "a KubeSchedulerConfiguration that kube-scheduler refuses"),
    bad(Code::CommandLine, "E0601", "the command line makes no sense"),
    io(Code::OutputFolder, "E0602", "what stands where results should go is not ours to replace, or in use"),
    io(Code::OutputWrite, "E0603", "results could not be written"),
    bad(
        Code::SweepMismatch,
        "E0604",
        "a folder, journal or shard belongs to another sweep, or a part is missing",
    ),
    bad(Code::ResultsMalformed, "E0605", "a file of a results folder is not what stowplan writes"),
    io(Code::Resources, "E0606", "the machine has too little of something: memory, threads"),
    bad(Code::Other, "E0901", "anything else"),
];

impl Code {
    /// Number and meaning.
    pub fn info(self) -> &'static CodeInfo {
        CODES.iter().find(|info| info.code == self).unwrap_or(&CODES[CODES.len() - 1])
    }
    /// The table of all codes as Markdown, the body of `docs/ERRORS.md`.
    pub fn markdown_table() -> String {
        let mut out = String::from("| code | meaning | exit code |\n|---|---|---|\n");
        for info in CODES {
            let exit =
                if info.meaning.ends_with("(warning)") { "-".to_owned() } else { info.exit_code.to_string() };
            out.push_str(&format!("| {} | {} | {exit} |\n", info.number, info.meaning));
        }
        out
    }
}
