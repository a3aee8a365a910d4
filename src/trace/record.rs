//! What a trace says, as plain records that know nothing of the simulator.

use crate::engine::time::SimTime;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;

/// The name of a pod, a group or a machine as the trace writes it. Numbers stay numbers, so that hundreds of millions of
/// rows cost no allocation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TraceId {
    /// A number.
    Number(u64),
    /// Two numbers, written `<job>-<index>`.
    Task(u64, u64),
    /// Any text; up to 24 bytes need no allocation either.
    Text(CompactString),
}

impl Default for TraceId {
    fn default() -> TraceId {
        TraceId::Number(0)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceId::Number(n) => write!(f, "{n}"),
            TraceId::Task(job, index) => write!(f, "{job}-{index}"),
            TraceId::Text(text) => f.write_str(text),
        }
    }
}

impl TraceId {
    /// 128 bits that tell ids apart: exact for numbers and for texts of up to 15 bytes, a BLAKE3 hash beyond.
    pub fn fingerprint(&self) -> u128 {
        match self {
            TraceId::Number(n) => (1 << 126) | u128::from(*n),
            // Job ids have 64 bits; an index of 2^58 or more is refused by the readers (limit 2^32).
            TraceId::Task(job, index) => (2 << 126) | (u128::from(*job) << 58) | u128::from(*index),
            TraceId::Text(text) if text.len() <= 15 => {
                let (mut bytes, length) = ([0; 16], text.len());
                bytes[16 - length..].copy_from_slice(text.as_bytes());
                u128::from_be_bytes(bytes) | (length as u128) << (8 * length)
            }
            TraceId::Text(text) => {
                let hash = blake3::hash(text.as_bytes());
                let mut half = [0; 16];
                half.copy_from_slice(&hash.as_bytes()[..16]);
                u128::from_le_bytes(half) | (3 << 126)
            }
        }
    }
}

impl From<&str> for TraceId {
    fn from(text: &str) -> TraceId {
        TraceId::Text(text.into())
    }
}

/// A claim that the trace itself names (SimKube's manifests, the HDD of an Azure VM).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceClaim {
    /// Claim template name.
    pub name: Box<str>,
    /// Requested size.
    pub bytes: u64,
    /// StorageClass, if the trace names one.
    pub class: Option<Box<str>>,
}

/// One pod, or `copies` equal ones, with its whole life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracePod {
    /// Name in the trace, unique unless `copies` is above 1: then the pods are `<name>-0`, `<name>-1` ...
    pub name: TraceId,
    /// How many equal pods this record stands for, at least 1.
    pub copies: u32,
    /// When it was created; `None`: it was there when the trace began.
    #[serde(with = "time_serde")]
    pub arrival: Option<SimTime>,
    /// When it ended; `None`: it was alive when the trace ended.
    #[serde(with = "time_serde")]
    pub end: Option<SimTime>,
    /// When the trace's own scheduler placed it.
    #[serde(with = "time_serde")]
    pub scheduled: Option<SimTime>,
    /// CPU request in millicores.
    pub cpu_milli: u64,
    /// Memory request in bytes.
    pub memory_bytes: u64,
    /// Disk request in bytes; `None`: the trace names no disk.
    pub disk_bytes: Option<u64>,
    /// Disk limit in bytes, where the trace has one besides the request.
    pub disk_limit_bytes: Option<u64>,
    /// Number of GPUs.
    pub gpu_count: u32,
    /// Share of each GPU in thousandths, 0 to 1000.
    pub gpu_milli: u32,
    /// Allowed GPU models; empty: any.
    pub gpu_models: Vec<CompactString>,
    /// Share of a network card (RDMA) in per cent.
    pub rdma_percent: u32,
    /// Application, job or deployment unit: pods of one group are replicas of one thing.
    pub group: Option<TraceId>,
    /// Pool or role within the group, such as `CN`.
    pub role: Option<CompactString>,
    /// Priority; higher is more important.
    pub priority: Option<i64>,
    /// At most so many pods of the group and role on one node.
    pub max_per_node: Option<u32>,
    /// The machine on which the trace's own scheduler put it.
    pub placement: Option<TraceId>,
    /// State or quality of service at collection, as the trace words it.
    pub phase: Option<CompactString>,
    /// Quality-of-service class, as the trace words it.
    pub qos: Option<CompactString>,
    /// Claims beyond `disk_bytes`.
    pub claims: Vec<TraceClaim>,
}

impl Default for TracePod {
    fn default() -> TracePod {
        TracePod {
            name: TraceId::default(),
            copies: 1,
            arrival: None,
            end: None,
            scheduled: None,
            cpu_milli: 0,
            memory_bytes: 0,
            disk_bytes: None,
            disk_limit_bytes: None,
            gpu_count: 0,
            gpu_milli: 0,
            gpu_models: Vec::new(),
            rdma_percent: 0,
            group: None,
            role: None,
            priority: None,
            max_per_node: None,
            placement: None,
            phase: None,
            qos: None,
            claims: Vec::new(),
        }
    }
}

impl TracePod {
    /// Arrival with "already there" as the start of the trace.
    pub fn arrival_or_start(&self) -> SimTime {
        self.arrival.unwrap_or(SimTime::ZERO)
    }
    /// Thousandths of GPUs over all its GPUs.
    pub fn gpu_milli_total(&self) -> u64 {
        u64::from(self.gpu_count) * u64::from(self.gpu_milli)
    }
}

/// A machine of the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceNode {
    /// Name in the trace.
    pub name: TraceId,
    /// CPU in millicores.
    pub cpu_milli: u64,
    /// Memory in bytes; `None`: the trace does not say (spot-gpu-v2026).
    pub memory_bytes: Option<u64>,
    /// Disk in bytes, where the trace says.
    pub disk_bytes: Option<u64>,
    /// Whole GPUs.
    pub gpus: u32,
    /// Model of the GPUs.
    pub gpu_model: Option<Box<str>>,
    /// Failure domain that becomes `topology.kubernetes.io/zone`.
    pub zone: Option<Box<str>>,
    /// Failure domain that becomes label `rack`.
    pub rack: Option<Box<str>>,
    /// It takes no pods (yet).
    pub cordoned: bool,
}

/// What happens to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeChange {
    /// It appears, or comes back.
    Appears(TraceNode),
    /// It disappears.
    Disappears,
    /// Its capacity changes.
    Capacity(TraceNode),
    /// It takes no new pods; the ones it has may go on (the error events of alibaba-v2017).
    Cordoned {
        /// What the trace says about the cause.
        cause: Box<str>,
    },
}

/// One change of a machine at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEvent {
    /// When; `None`: before the trace began.
    #[serde(with = "time_serde")]
    pub at: Option<SimTime>,
    /// Which machine.
    pub node: TraceId,
    /// What.
    pub change: NodeChange,
}

/// What an event says about a pod's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodVerb {
    /// Wanted from now on; after [`PodVerb::Evict`] the same pod again.
    Submit,
    /// Placed on a machine by the trace's own scheduler.
    Schedule,
    /// Back to the queue; the pod stays wanted.
    Evict,
    /// Gone for good.
    End,
    /// Its request changes while it waits or runs.
    Update,
    /// Seen alive: [`PodVerb::Submit`] the first time, [`PodVerb::Update`] later (container_meta of alibaba-v2018).
    Seen,
}

/// What a pod asks for, as far as events say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRequest {
    /// CPU in millicores.
    pub cpu_milli: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Disk in bytes.
    pub disk_bytes: Option<u64>,
}

impl PodRequest {
    /// Asks for nothing: the trace does not know.
    pub fn is_unknown(&self) -> bool {
        self.cpu_milli == 0 && self.memory_bytes == 0
    }
}

/// One change in a pod's life, for the formats that write events instead of lives. Small, for there are many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodEvent {
    /// Nanoseconds from the start of the trace.
    pub at_nanos: u64,
    /// Before the trace began, at a time of 0.
    pub before: bool,
    /// Which pod. Those of [`TraceId::Task`] are in the group of their job unless `details` names another.
    pub name: TraceId,
    /// What.
    pub verb: PodVerb,
    /// What it asks for.
    pub request: PodRequest,
    /// See [`TracePod::priority`].
    pub priority: Option<i16>,
    /// See [`TracePod::max_per_node`].
    pub max_per_node: Option<NonZeroU32>,
    /// See [`TracePod::placement`].
    pub placement: Option<TraceId>,
    /// Group and role, where there are any.
    pub details: Option<Box<PodDetails>>,
    /// Ends of pods that never began are an error, not something that the format's documentation expects.
    pub strict: bool,
    /// File index and line (at most 2^32-1), for messages.
    pub origin: (u32, u32),
}

// Events are copied from stage to stage, and there are hundreds of millions in a trace.
const _: () = assert!(size_of::<PodEvent>() <= 120);

impl PodEvent {
    /// An event that says no more than this, and is not strict.
    pub fn new(
        at: Option<SimTime>,
        name: TraceId,
        verb: PodVerb,
        request: PodRequest,
        origin: (u32, u32),
    ) -> PodEvent {
        PodEvent {
            at_nanos: at.map_or(0, SimTime::as_nanos),
            before: at.is_none(),
            name,
            verb,
            request,
            priority: None,
            max_per_node: None,
            placement: None,
            details: None,
            strict: false,
            origin,
        }
    }
    /// When; `None`: before the trace began.
    pub fn at(&self) -> Option<SimTime> {
        (!self.before).then(|| SimTime::from_nanos(self.at_nanos))
    }
}

/// The rarer things that events say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodDetails {
    /// See [`TracePod::group`].
    pub group: Option<TraceId>,
    /// See [`TracePod::role`].
    pub role: Option<CompactString>,
}

/// One thing that a trace says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceItem {
    /// A pod with its whole life.
    Pod(Box<TracePod>),
    /// One change of a pod.
    PodEvent(PodEvent),
    /// One change of a machine.
    Node(Box<NodeEvent>),
}

impl From<TracePod> for TraceItem {
    fn from(pod: TracePod) -> TraceItem {
        TraceItem::Pod(Box::new(pod))
    }
}
impl From<NodeEvent> for TraceItem {
    fn from(event: NodeEvent) -> TraceItem {
        TraceItem::Node(Box::new(event))
    }
}
impl From<PodEvent> for TraceItem {
    fn from(event: PodEvent) -> TraceItem {
        TraceItem::PodEvent(event)
    }
}

impl TraceItem {
    /// The time by which items are ordered; what was already there comes first.
    pub fn at(&self) -> SimTime {
        match self {
            TraceItem::Pod(pod) => pod.arrival,
            TraceItem::PodEvent(event) => event.at(),
            TraceItem::Node(event) => event.at,
        }
        .unwrap_or(SimTime::ZERO)
    }
}

/// [`SimTime`] as nanoseconds in the sorter's temporary files.
mod time_serde {
    use super::SimTime;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(time: &Option<SimTime>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(SimTime::as_nanos).serialize(serializer)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SimTime>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(SimTime::from_nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_ids_apart() {
        let long = "a".repeat(64);
        let ids = [
            TraceId::Number(1),
            TraceId::Number(0),
            TraceId::Task(1, 0),
            TraceId::Task(0, 1),
            TraceId::Task(u64::MAX, 1),
            TraceId::from("1"),
            TraceId::from(""),
            TraceId::from("\u{1}"),
            TraceId::from("\0\u{1}"),
            TraceId::from("fifteen-bytes-x"),
            TraceId::from("sixteen-bytes-xy"),
            TraceId::from(long.as_str()),
        ];
        for (i, a) in ids.iter().enumerate() {
            for (j, b) in ids.iter().enumerate() {
                assert_eq!(a.fingerprint() == b.fingerprint(), i == j, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn ids_print_as_the_trace_writes_them() {
        assert_eq!(TraceId::Task(6001, 3).to_string(), "6001-3");
        assert_eq!(TraceId::Number(7).to_string(), "7");
        assert_eq!(TraceId::from("openb-pod-0000").to_string(), "openb-pod-0000");
    }
}
