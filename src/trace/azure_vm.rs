//! Azure VM traces V1 (2017) and V2 (2019): one row per virtual machine, 30 days.

use super::error::RowError;
use super::figures::{Figure, Figures};
use super::record::{TraceId, TracePod};
use super::row::{Row, limits};
use super::table::{Context, Moment, Parsed, Recognized, Sample, Table, ends_after, moment, owned};
use crate::engine::time::{SimDuration, SimTime};

const GIB: u64 = 1 << 30;
const VM: [&str; 11] = [
    "vmid",
    "subscriptionid",
    "deploymentid",
    "vmcreated",
    "vmdeleted",
    "maxcpu",
    "avgcpu",
    "p95maxcpu",
    "vmcategory",
    "vmcorecount",
    "vmmemory",
];
const DEPLOYMENT: [&str; 2] = ["deploymentid", "deploymentsize"];
/// V2's last buckets and what its authors take for them.
const OPEN_BUCKETS: [(&[u8], u64); 2] = [(b">24", 30), (b">64", 70)];
/// A row that ends here or later was alive when the trace ended.
const LAST_TICK_SECONDS: u64 = 2_591_700;
/// Lifetimes are at least one interval of measurement.
const TICK_SECONDS: u64 = 300;

/// What the files look like, for messages.
pub const EXPECTED: &str = "rows of vmtable (11 columns) or deployments (2 columns), without a header";

/// Which of the two traces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 2017: true core counts and memory.
    V1,
    /// 2019: buckets.
    V2,
}

/// Recognizes the tables by their columns. V1 and V2 differ in their last two columns: `auto` says V2 if all sampled values are
/// among its buckets.
pub fn recognize(sample: &Sample<'_>, version: Version, strict: bool) -> Option<Recognized> {
    let is_row = |r: &[String]| {
        Sample::is_integer(&r[3])
            && Sample::is_integer(&r[4])
            && matches!(r[8].as_str(), "Delay-insensitive" | "Interactive" | "Unknown")
    };
    if let Some(header) = sample.positional(&VM, is_row) {
        let buckets = sample.rows.iter().skip(usize::from(header)).filter(|r| r.len() == VM.len()).all(|r| {
            matches!(r[9].as_str(), "2" | "4" | "8" | "24" | ">24")
                && matches!(r[10].as_str(), "2" | "4" | "8" | "32" | "64" | ">64")
        });
        if strict && buckets != (version == Version::V2) {
            return None;
        }
        return Recognized::positional(Vms { version, hours: 0, core_hours: 0, totals: [0; 2] }, header);
    }
    // Two columns say little: it is the file's name, or the 64 characters of the hash, that tell.
    let named = sample.stem.starts_with("deployments");
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_graphic());
    let header =
        sample.positional(&DEPLOYMENT, |r| (named || is_hash(&r[0])) && Sample::is_integer(&r[1]))?;
    Recognized::positional(Deployments, header)
}

struct Vms {
    version: Version,
    /// Seconds of life, times cores; for the totals that the trace's documentation gives.
    hours: u128,
    core_hours: u128,
    totals: [u64; 2],
}

impl Vms {
    /// Cores or GiB, as a number or V2's open bucket.
    fn amount(&self, row: &Row<'_>, field: usize, scale: u64, limit: u64) -> Result<u64, Box<RowError>> {
        let bytes = row.get(field);
        if bytes.first() == Some(&b'>') {
            let bucket = OPEN_BUCKETS.iter().find(|(text, _)| *text == bytes);
            return match bucket {
                Some((_, value)) if self.version == Version::V2 => Ok(value * scale),
                _ => Err(row.unknown(field, "a number, or the buckets >24 and >64 of V2")),
            };
        }
        row.scaled(field, scale, limit)
    }
}

impl Table for Vms {
    fn name(&self) -> &'static str {
        "vmtable"
    }
    fn columns(&self) -> Vec<String> {
        owned(&VM)
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(VM.len())?;
        let arrival = moment(row, 3)?.arrival();
        let deleted = match moment(row, 4)? {
            Moment::At(time) => time,
            Moment::Before => SimTime::ZERO,
            Moment::Missing => return Err(row.not_a_number(4, "a time")),
        };
        ends_after(4, arrival, Some(deleted))?;
        let cpu_milli = self.amount(row, 9, 1000, limits::CPU_MILLI)?;
        let memory_bytes = self.amount(row, 10, GIB, limits::BYTES)?;
        let start = arrival.unwrap_or(SimTime::ZERO);
        let life = deleted.since(start).max(SimDuration::from_secs(TICK_SECONDS));
        let alive = deleted >= SimTime::from_secs(LAST_TICK_SECONDS);
        if cx.options.figures {
            let seconds = u128::from(life.as_nanos() / 1_000_000_000);
            self.hours += seconds;
            self.core_hours += seconds * u128::from(cpu_milli);
            self.totals[0] += 1;
            self.totals[1] += u64::from(alive);
        }
        Ok(Some(
            TracePod {
                name: TraceId::from(row.required(0)?),
                arrival,
                end: (!alive).then(|| start + life),
                cpu_milli,
                memory_bytes,
                group: row.optional_text(2)?.map(TraceId::Text),
                role: row.optional_text(8)?,
                ..TracePod::default()
            }
            .into(),
        ))
    }

    fn figures(&self) -> Figures {
        let [vms, alive] = self.totals;
        Figures::from([
            ("vms", Figure::Sum(vms)),
            ("vm_hours", Figure::Amount { sum: self.hours, per: 3600 }),
            ("core_hours", Figure::Amount { sum: self.core_hours, per: 3_600_000 }),
            ("alive_at_the_end", Figure::Sum(alive)),
        ])
    }
}

/// Sizes of deployments: the VMs say the same.
struct Deployments;

impl Table for Deployments {
    fn name(&self) -> &'static str {
        "deployments"
    }
    fn columns(&self) -> Vec<String> {
        owned(&DEPLOYMENT)
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(DEPLOYMENT.len())?;
        row.integer(1, limits::COUNT)?;
        cx.left_out("deployment size (the VMs say the same)")
    }
}
