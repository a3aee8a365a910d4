//! Azure Trace for Packing 2020: VMs whose types take fractions of a machine, SSD and HDD among them.

use super::error::{RowError, SkipReason};
use super::record::{TraceClaim, TraceId, TracePod};
use super::row::{Row, limits};
use super::table::{Context, Parsed, Recognized, Sample, Table, ends_after};
use crate::engine::time::SimTime;
use std::collections::BTreeMap;

/// What the files look like, for messages.
pub const EXPECTED: &str = "an SQLite database with tables vm and vmType, or their CSV exports with the headers vmId,tenantId,vmTypeId,priority,starttime,endtime and id,vmTypeId,machineId,core,memory,hdd,ssd,nic";

/// Recognizes the database by its magic bytes and the exports by their headers.
pub fn recognize(sample: &Sample<'_>) -> Option<Recognized> {
    if sample.bytes.starts_with(b"SQLite format 3\0") {
        return Some(Recognized::Records { name: "sqlite", open: super::sqlite::open });
    }
    let columns = sample.header().to_vec();
    if let Some(at) = sample.locate(["vmTypeId", "machineId", "core", "memory", "hdd", "ssd"]) {
        return Recognized::with_header(Types { at, columns });
    }
    let at = sample.locate(["vmId", "tenantId", "vmTypeId", "priority", "starttime", "endtime"])?;
    Recognized::with_header(Vms { at, columns })
}

/// What one VM of a type takes of one machine generation, as fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VmType {
    /// Of its cores.
    pub core: f64,
    /// Of its memory.
    pub memory: f64,
    /// Of its hard disks; 0 where nothing is used.
    pub hdd: f64,
    /// Of its SSDs.
    pub ssd: f64,
}

/// All types by machine generation.
#[derive(Clone, Debug, Default)]
pub struct VmTypes {
    by_machine: BTreeMap<u64, BTreeMap<u64, VmType>>,
}

impl VmTypes {
    /// Adds what a type takes of a machine.
    pub fn insert(&mut self, machine: u64, vm_type: u64, takes: VmType) {
        self.by_machine.entry(machine).or_default().insert(vm_type, takes);
    }
    /// The machine that most types can run on, the lowest id among equals.
    pub fn default_machine(&self) -> Option<u64> {
        let most = self.by_machine.values().map(BTreeMap::len).max()?;
        self.by_machine.iter().find(|(_, types)| types.len() == most).map(|(&machine, _)| machine)
    }
    /// What a type takes of a machine; `None`: it cannot run there.
    pub fn get(&self, machine: u64, vm_type: u64) -> Option<VmType> {
        self.by_machine.get(&machine)?.get(&vm_type).copied()
    }
    /// No types are known.
    pub fn is_empty(&self) -> bool {
        self.by_machine.is_empty()
    }
}

/// One row of the table `vm`.
#[derive(Clone, Copy, Debug)]
pub struct Vm {
    /// Id.
    pub vm: u64,
    /// Who asked for it.
    pub tenant: u64,
    /// Its type.
    pub vm_type: u64,
    /// 0 high, 1 low (may be evicted).
    pub priority: u64,
    /// Start in days; below 0: before the trace.
    pub start: f64,
    /// End in days; `None`: alive at the end.
    pub end: Option<f64>,
}

/// Fields of [`Vm`] in the order of [`EXPECTED`], for messages.
pub const VM_START: usize = 4;
const VM_END: usize = 5;

/// A VM as a pod. `Err`: the field at fault (in the table's own order) and why. `Ok(None)`: left out and counted.
///
/// # Errors
/// Times that are absurd or end before they start; no vmType rows at all.
pub fn pod(vm: Vm, cx: &mut Context) -> Result<Option<TracePod>, Box<RowError>> {
    if cx.vm_types.is_empty() {
        let message = "table vm needs vmType: give both files";
        return Err(RowError::row(SkipReason::Options, message));
    }
    let (arrival, end) = (days(vm.start, VM_START)?, vm.end.map(|d| days(d, VM_END)).transpose()?);
    if vm.end.is_some_and(|end| end < vm.start) {
        ends_after(VM_END, Some(SimTime::from_secs(1)), Some(SimTime::ZERO))?;
    }
    let machine = cx.options.azure_machine.or_else(|| cx.vm_types.default_machine()).unwrap_or(0);
    let Some(takes) = cx.vm_types.get(machine, vm.vm_type) else {
        cx.tally.leave_out("VM type that cannot run on the chosen machine", 1);
        return Ok(None);
    };
    let Some(end) = end.map_or(Some(None), |end| end.map(Some)) else {
        cx.tally.leave_out("ended before the trace began", 1);
        return Ok(None);
    };
    let of = |share: f64, scale: u64| libm::round(share * scale as f64) as u64;
    let hdd = of(takes.hdd, cx.disk_scale());
    let claims =
        if hdd > 0 { vec![TraceClaim { name: "hdd".into(), bytes: hdd, class: None }] } else { Vec::new() };
    Ok(Some(TracePod {
        name: TraceId::Number(vm.vm),
        arrival,
        end,
        cpu_milli: of(takes.core, cx.cpu_scale()),
        memory_bytes: of(takes.memory, cx.memory_scale()),
        disk_bytes: Some(of(takes.ssd, cx.disk_scale())),
        claims,
        group: Some(TraceId::Number(vm.tenant)),
        priority: Some(if vm.priority == 0 { 1 } else { 0 }),
        role: Some(if vm.priority == 0 { "high" } else { "low" }.into()),
        ..TracePod::default()
    }))
}

/// Fractional days, to the millisecond; `None` before the start.
fn days(days: f64, field: usize) -> Result<Option<SimTime>, Box<RowError>> {
    let millis = libm::round(days * 86_400_000.0);
    if libm::fabs(millis) > (limits::SECONDS * 1000) as f64 {
        return Err(RowError::field(field, SkipReason::Absurd, format!("{days} days is beyond any trace")));
    }
    Ok((millis >= 0.0).then(|| SimTime::from_nanos(millis as u64 * 1_000_000)))
}

/// A fraction of a machine; nothing is 0.
fn fraction(row: &Row<'_>, field: usize) -> Result<f64, Box<RowError>> {
    if row.is_missing(field) {
        return Ok(0.0);
    }
    let share = row.number(field)?;
    check_fraction(share, field)
}

/// Refuses what is no fraction of a machine.
///
/// # Errors
/// [`SkipReason::Negative`], [`SkipReason::Absurd`].
pub fn check_fraction(share: f64, field: usize) -> Result<f64, Box<RowError>> {
    if share < 0.0 {
        return Err(RowError::field(field, SkipReason::Negative, format!("expected 0 to 1, found {share}")));
    }
    if share.is_nan() || share > 1.0 {
        return Err(RowError::field(field, SkipReason::Absurd, format!("expected 0 to 1, found {share}")));
    }
    Ok(share)
}

struct Types {
    at: [usize; 6],
    columns: Vec<String>,
}

impl Table for Types {
    fn name(&self) -> &'static str {
        "vmType"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn rank(&self) -> u8 {
        0
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        let [vm_type, machine, core, memory, hdd, ssd] = self.at;
        let takes = VmType {
            core: fraction(row, core)?,
            memory: fraction(row, memory)?,
            hdd: fraction(row, hdd)?,
            ssd: fraction(row, ssd)?,
        };
        let (machine, vm_type) = (row.integer(machine, limits::COUNT)?, row.integer(vm_type, limits::COUNT)?);
        cx.vm_types.insert(machine, vm_type, takes);
        Ok(None)
    }
}

struct Vms {
    at: [usize; 6],
    columns: Vec<String>,
}

impl Table for Vms {
    fn name(&self) -> &'static str {
        "vm"
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn has_machines(&self) -> bool {
        false
    }

    fn parse(&mut self, row: &Row<'_>, cx: &mut Context) -> Parsed {
        row.expect_columns(self.columns.len())?;
        let [vm, tenant, vm_type, priority, start, end] = self.at;
        let vm = Vm {
            vm: row.integer(vm, limits::COUNT)?,
            tenant: row.integer(tenant, limits::COUNT)?,
            vm_type: row.integer(vm_type, limits::COUNT)?,
            priority: row.integer(priority, 1)?,
            start: row.number(start)?,
            end: if row.is_missing(end) { None } else { Some(row.number(end)?) },
        };
        let pod = pod(vm, cx).map_err(|mut fault| {
            fault.field = fault.field.map(|field| self.at[field]);
            fault
        })?;
        Ok(pod.map(TracePod::into))
    }
}
