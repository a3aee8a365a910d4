//! The built-in catalogues: machine shapes with local disks, workload presets.

use std::sync::OnceLock;

use crate::diagnostic::{did_you_mean, escape};
use crate::model::quantity::Quantity;

const MACHINES: &str = include_str!("catalog/machines.csv");
const WORKLOADS: &str = include_str!("catalog/workloads.csv");

/// A machine shape.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `aws`, `gcp` ...
    pub provider: String,
    /// `i4i` ...
    pub family: String,
    /// Name, unique: `i4i.4xlarge`.
    pub name: String,
    /// Hardware threads (cores on arm64).
    pub vcpu: u32,
    /// Memory.
    pub memory: Quantity,
    /// Number of local disks.
    pub disk_count: u32,
    /// Bytes of each, as advertised.
    pub disk_bytes: u64,
    /// `nvme`, `ssd` or `hdd`.
    pub disk_kind: String,
    /// `high`, `medium`, `low` or `archetype`: how sure the row is.
    pub confidence: String,
}

/// A workload preset.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Name, unique: `mysql-gr-medium`.
    pub name: String,
    /// `oltp`, `stream` ...
    pub kind: String,
    /// Pods of a set.
    pub replicas: u32,
    /// CPU request in thousandths.
    pub cpu_milli: i64,
    /// Memory request in MiB.
    pub memory_mib: i64,
    /// Size in GiB of each volume of a pod.
    pub volume_gib: Vec<u64>,
    /// `required`, `preferred` or `none`.
    pub anti_affinity: String,
    /// `high`, `medium` or `low`: how sure the row is.
    pub confidence: String,
}

/// All machine shapes, in the order of the file.
pub fn machines() -> &'static [Machine] {
    static TABLE: OnceLock<Vec<Machine>> = OnceLock::new();
    TABLE.get_or_init(|| rows(MACHINES).filter_map(|row| machine(&row)).collect())
}

/// All workload presets, in the order of the file.
pub fn presets() -> &'static [Preset] {
    static TABLE: OnceLock<Vec<Preset>> = OnceLock::new();
    TABLE.get_or_init(|| rows(WORKLOADS).filter_map(|row| preset(&row)).collect())
}

/// The shape of a name, ignoring case.
///
/// # Errors
/// A hint.
pub fn find_machine(name: &str) -> Result<&'static Machine, String> {
    let table = machines();
    table.iter().find(|m| m.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        did_you_mean(name, table.iter().map(|m| &*m.name)).unwrap_or_else(|| {
            let same: Vec<&str> =
                table.iter().filter(|m| name.starts_with(&m.family)).map(|m| &*m.name).take(8).collect();
            if same.is_empty() {
                "`stowplan catalog machines` lists them; or give cpu, memory and disks inline".to_owned()
            } else {
                format!("there are {}", escape(&same.join(", ")))
            }
        })
    })
}

/// The preset of a name.
///
/// # Errors
/// A hint.
pub fn find_preset(name: &str) -> Result<&'static Preset, String> {
    let table = presets();
    table.iter().find(|p| p.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        did_you_mean(name, table.iter().map(|p| &*p.name))
            .unwrap_or_else(|| "`stowplan catalog workloads` lists them".to_owned())
    })
}

/// Rows as lookups by column name.
fn rows(text: &'static str) -> impl Iterator<Item = Row> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().cloned().unwrap_or_default();
    reader.into_records().filter_map(Result::ok).map(move |cells| Row { header: header.clone(), cells })
}

struct Row {
    header: csv::StringRecord,
    cells: csv::StringRecord,
}

impl Row {
    fn get(&self, column: &str) -> Option<&str> {
        self.header.iter().position(|c| c == column).and_then(|i| self.cells.get(i))
    }
    fn owned(&self, column: &str) -> Option<String> {
        self.get(column).map(str::to_owned)
    }
}

fn machine(row: &Row) -> Option<Machine> {
    let unit = match row.get("disk_unit")? {
        "GB" => 1_000_000_000,
        "GiB" => 1u64 << 30,
        _ => return None,
    };
    Some(Machine {
        provider: row.owned("provider")?,
        family: row.owned("family")?,
        name: row.owned("machine")?,
        vcpu: row.get("vcpu")?.parse().ok()?,
        memory: Quantity::parse(&format!("{}Gi", row.get("memory_gib")?)).ok()?,
        disk_count: row.get("disk_count")?.parse().ok()?,
        disk_bytes: row.get("disk_size")?.parse::<u64>().ok()?.checked_mul(unit)?,
        disk_kind: row.owned("disk_kind")?,
        confidence: row.owned("confidence")?,
    })
}

fn preset(row: &Row) -> Option<Preset> {
    let volumes: usize = row.get("volumes")?.parse().ok()?;
    let sizes: Vec<u64> =
        row.get("volume_gib_each")?.split('+').map(str::parse).collect::<Result<_, _>>().ok()?;
    let volume_gib = if sizes.len() == volumes { sizes } else { vec![*sizes.first()?; volumes] };
    Some(Preset {
        name: row.owned("name")?,
        kind: row.owned("kind")?,
        replicas: row.get("replicas")?.parse().ok()?,
        cpu_milli: row.get("cpu_milli")?.parse().ok()?,
        memory_mib: row.get("memory_mib")?.parse().ok()?,
        volume_gib,
        anti_affinity: row.owned("antiaffinity")?,
        confidence: row.owned("confidence")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_both_files_is_read() {
        assert_eq!(machines().len(), MACHINES.lines().count() - 1);
        assert_eq!(presets().len(), WORKLOADS.lines().count() - 1);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> =
            machines().iter().map(|m| &*m.name).chain(presets().iter().map(|p| &*p.name)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn disk_sizes_are_as_advertised() {
        let bytes = |name| find_machine(name).map(|m| (m.disk_count, m.disk_bytes)).ok();
        assert_eq!(bytes("i4i.4xlarge"), Some((1, 3_750_000_000_000)));
        assert_eq!(bytes("c3-standard-8-lssd"), Some((2, 375 << 30)));
        assert!(find_machine("i4i.4xlrage").is_err_and(|hint| hint.contains("`i4i.4xlarge`")));
        assert!(find_machine("i4i.nothing-like-it").is_err_and(|hint| hint.contains("i4i.large")));
    }

    #[test]
    fn volumes_of_different_size_are_listed_in_order() {
        let volumes = |name| find_preset(name).map(|p| p.volume_gib.clone()).ok();
        assert_eq!(volumes("cnpg-medium"), Some(vec![200, 20]));
        assert_eq!(volumes("kafka-jbod"), Some(vec![1000; 4]));
        assert_eq!(volumes("mysql-gr-medium"), Some(vec![500]));
        assert!(find_preset("mysql-gr-medum").is_err_and(|hint| hint.contains("`mysql-gr-medium`")));
    }
}
