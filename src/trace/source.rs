//! Pods in the order of their arrival, however the files have them.

use super::error::{SkipReason, Tally, TraceError, TraceResult};
use super::format::Format;
use super::input::TraceInput;
use super::lives::{Life, Lives, Outcome};
use super::reader::TraceReader;
use super::record::{NodeChange, NodeEvent, PodEvent, TraceId, TraceItem, TraceNode, TracePod};
use super::sort::{DEFAULT_SORT_MEMORY, SortKey, Sortable, Sorted, Sorter};
use super::table::TraceOptions;
use crate::engine::time::SimTime;
use rustc_hash::FxHashMap;
use std::io;

impl Sortable for TracePod {
    fn weight(&self) -> usize {
        size_of::<Self>() + heap_bytes(&self.name) + 40 * (self.gpu_models.len() + self.claims.len()) + 24
    }
}
impl Sortable for PodEvent {
    fn weight(&self) -> usize {
        size_of::<Self>() + heap_bytes(&self.name) + if self.details.is_some() { 96 } else { 0 }
    }
}

fn heap_bytes(id: &TraceId) -> usize {
    if let TraceId::Text(text) = id
        && text.is_heap_allocated()
    {
        text.len() + 16
    } else {
        0
    }
}

/// What a trace is and how it is read.
#[derive(Clone, Debug)]
pub struct TraceRequest {
    /// The format; `None` recognizes it.
    pub format: Option<Format>,
    /// Files of pods and, where the format has them, of machines.
    pub inputs: Vec<TraceInput>,
    /// Reading options.
    pub options: TraceOptions,
    /// Memory of the sort in bytes.
    pub sort_memory: usize,
}

impl TraceRequest {
    /// A trace with the default options.
    pub fn new(format: Option<Format>, inputs: Vec<TraceInput>) -> TraceRequest {
        TraceRequest { format, inputs, options: TraceOptions::default(), sort_memory: DEFAULT_SORT_MEMORY }
    }

    /// A reader of the files.
    ///
    /// # Errors
    /// As [`TraceReader::open`].
    pub fn reader(&self) -> TraceResult<TraceReader> {
        TraceReader::open(self.format, &self.inputs, self.options.clone())
    }

    fn is_rereadable(&self) -> bool {
        self.inputs.iter().all(TraceInput::is_rereadable)
    }
}

/// The pods of a trace by arrival, ties in the files' order, and the machines' events by time.
///
/// What fits in the sort memory is sorted there; a longer input that is already sorted streams in constant memory; any other
/// goes through temporary files.
pub struct TraceSource {
    format: Format,
    pods: Pods,
    nodes: Vec<NodeEvent>,
    tally: Tally,
    /// The rest of the copies of a record.
    copies: Option<(TracePod, u32)>,
}

enum Pods {
    Sorted(Sorted<TracePod>),
    /// The pods that were read before the memory was full, then the rest of the files.
    Stream(Sorted<TracePod>, Box<TraceReader>),
}

impl TraceSource {
    /// Opens a trace and reads as much as is needed to yield the first pod.
    ///
    /// # Errors
    /// As [`TraceReader::next_item`]; [`SkipReason::Unreadable`] if temporary files cannot be written.
    pub fn open(request: &TraceRequest) -> TraceResult<TraceSource> {
        if !request.is_rereadable() {
            return Self::gather(request, true)?
                .ok_or_else(|| TraceError::option("the events of a pod contradict each other"));
        }
        match Self::gather(request, false)? {
            Some(source) => Ok(source),
            None => Self::gather(request, true)?
                .ok_or_else(|| TraceError::option("the events of a pod contradict each other")),
        }
    }

    /// `None`: the events are not in order and have to be sorted first.
    fn gather(request: &TraceRequest, sort_events: bool) -> TraceResult<Option<TraceSource>> {
        let mut reader = request.reader()?;
        let mut gathering = Gathering::new(request.sort_memory, sort_events);
        while let Some(item) = reader.next_item()? {
            match item {
                TraceItem::Node(event) => gathering.nodes.push(*event),
                TraceItem::Pod(pod) => {
                    let key = (pod.arrival_or_start().as_nanos(), gathering.order);
                    gathering.order += 1;
                    gathering.pods.push(key, *pod).map_err(disk)?;
                    if gathering.may_stream() && !sort_events {
                        gathering.checked = true;
                        if rest_is_sorted(request)? {
                            return gathering.stream(reader).map(Some);
                        }
                    }
                }
                TraceItem::PodEvent(event) if sort_events => {
                    let key = (event.at_nanos, gathering.order);
                    gathering.order += 1;
                    gathering.events.push(key, event).map_err(disk)?;
                }
                TraceItem::PodEvent(event) => {
                    if !gathering.apply(event, &mut reader)? {
                        return Ok(None);
                    }
                }
            }
        }
        gathering.finish(reader)
    }

    /// The format, recognized or given.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The machines' events by time, ties in the files' order; empty if the trace has no machines. Taken once.
    pub fn take_nodes(&mut self) -> Vec<NodeEvent> {
        std::mem::take(&mut self.nodes)
    }

    /// What was skipped and left out so far.
    pub fn tally(&self) -> &Tally {
        match &self.pods {
            Pods::Sorted(_) => &self.tally,
            Pods::Stream(_, reader) => reader.tally(),
        }
    }

    /// The next pod; each record of several equal pods is told out one by one.
    ///
    /// # Errors
    /// As [`TraceSource::open`].
    pub fn next_pod(&mut self) -> TraceResult<Option<TracePod>> {
        if let Some((pod, next)) = &mut self.copies {
            let one = copy_of(pod, *next);
            *next += 1;
            if *next >= pod.copies {
                self.copies = None;
            }
            return Ok(Some(one));
        }
        let Some(pod) = self.next_record()? else {
            return Ok(None);
        };
        if pod.copies <= 1 {
            return Ok(Some(pod));
        }
        let one = copy_of(&pod, 0);
        self.copies = Some((pod, 1));
        Ok(Some(one))
    }

    /// The next record, which may stand for several equal pods.
    ///
    /// # Errors
    /// As [`TraceSource::open`].
    pub fn next_record(&mut self) -> TraceResult<Option<TracePod>> {
        let (sorted, reader) = match &mut self.pods {
            Pods::Sorted(sorted) => (sorted, None),
            Pods::Stream(sorted, reader) => (sorted, Some(reader)),
        };
        if let Some(item) = sorted.next() {
            return item.map(|(_, pod)| Some(pod)).map_err(disk);
        }
        let Some(reader) = reader else {
            return Ok(None);
        };
        loop {
            match reader.next_item()? {
                Some(TraceItem::Pod(pod)) => return Ok(Some(*pod)),
                // Machines come first in the files' order and no format with events streams here.
                Some(TraceItem::Node(_) | TraceItem::PodEvent(_)) => {}
                None => return Ok(None),
            }
        }
    }
}

impl Iterator for TraceSource {
    type Item = TraceResult<TracePod>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_pod().transpose()
    }
}

/// Pod `index` of a record of equal pods.
fn copy_of(pod: &TracePod, index: u32) -> TracePod {
    let name = TraceId::Text(format!("{}-{index}", pod.name).into());
    TracePod { name, copies: 1, ..pod.clone() }
}

fn disk(error: io::Error) -> Box<TraceError> {
    let message = format!("cannot sort in temporary files: {error}");
    TraceError::of_file(std::env::temp_dir().display().to_string(), SkipReason::Unreadable, message)
        .with_hint("free space there, set TMPDIR, or raise --sort-memory")
}

struct Gathering {
    nodes: Vec<NodeEvent>,
    pods: Sorter<TracePod>,
    events: Sorter<PodEvent>,
    lives: Lives,
    order: u64,
    /// Whether it was checked that the rest of the input is sorted.
    checked: bool,
}

impl Gathering {
    fn new(sort_memory: usize, sort_events: bool) -> Gathering {
        // Two sorters are at work when events are sorted first.
        let share = if sort_events { sort_memory / 2 } else { sort_memory };
        Gathering {
            nodes: Vec::new(),
            pods: Sorter::new(share),
            events: Sorter::new(share),
            lives: Lives::with_names(),
            order: 0,
            checked: false,
        }
    }

    /// The memory is full for the first time and everything came in order.
    fn may_stream(&self) -> bool {
        !self.checked && self.pods.is_full() && self.pods.is_sorted() && self.pods.is_in_memory()
    }

    fn stream(self, reader: TraceReader) -> TraceResult<TraceSource> {
        let mut reader = reader;
        let nodes = settle_nodes(self.nodes, reader.tally_mut());
        Ok(TraceSource {
            format: reader.format(),
            pods: Pods::Stream(self.pods.finish().map_err(disk)?, Box::new(reader)),
            nodes,
            tally: Tally::default(),
            copies: None,
        })
    }

    /// False: the event is out of order.
    fn apply(&mut self, mut event: PodEvent, reader: &mut TraceReader) -> TraceResult<bool> {
        match self.lives.apply(&mut event, reader.blame())? {
            Outcome::OutOfOrder => return Ok(false),
            Outcome::Ended(life) => self.keep(life)?,
            Outcome::Began(_) | Outcome::Known { .. } | Outcome::Nothing => {}
        }
        Ok(true)
    }

    fn keep(&mut self, life: Life) -> TraceResult<()> {
        let key: SortKey = (life.arrival().unwrap_or(SimTime::ZERO).as_nanos(), life.order());
        self.pods.push(key, life.into_pod()).map_err(disk)
    }

    fn finish(mut self, mut reader: TraceReader) -> TraceResult<Option<TraceSource>> {
        let events = std::mem::replace(&mut self.events, Sorter::new(0));
        for event in events.finish().map_err(disk)? {
            let (_, event) = event.map_err(disk)?;
            if !self.apply(event, &mut reader)? {
                return Ok(None);
            }
        }
        for life in self.lives.remaining() {
            self.keep(life)?;
        }
        let nodes = settle_nodes(self.nodes, reader.tally_mut());
        Ok(Some(TraceSource {
            format: reader.format(),
            pods: Pods::Sorted(self.pods.finish().map_err(disk)?),
            nodes,
            tally: reader.tally().clone(),
            copies: None,
        }))
    }
}

/// Sorts machine events by time (ties in the files' order) and drops what changes nothing: a machine that is seen again as it
/// was. Seen again with another capacity or domain is a change of capacity, and so is one that took no pods and takes them again.
pub fn settle_nodes(events: Vec<NodeEvent>, tally: &mut Tally) -> Vec<NodeEvent> {
    let mut events = events;
    events.sort_by_key(|event| event.at);
    let mut up: FxHashMap<TraceId, Option<TraceNode>> = FxHashMap::default();
    let mut settled = Vec::with_capacity(events.len());
    for event in events {
        let state = up.entry(event.node.clone()).or_default();
        let change = match (event.change, state.as_ref()) {
            (NodeChange::Appears(node) | NodeChange::Capacity(node), Some(before)) => {
                if *before == node {
                    tally.leave_out("machine seen again, unchanged", 1);
                    continue;
                }
                *state = Some(node.clone());
                NodeChange::Capacity(node)
            }
            (NodeChange::Appears(node) | NodeChange::Capacity(node), None) => {
                *state = Some(node.clone());
                NodeChange::Appears(node)
            }
            (NodeChange::Disappears, None) => {
                tally.leave_out("removal of a machine that is not there", 1);
                continue;
            }
            (NodeChange::Disappears, Some(_)) => {
                *state = None;
                NodeChange::Disappears
            }
            (change @ NodeChange::Cordoned { .. }, _) => {
                if let Some(node) = state {
                    node.cordoned = true;
                }
                change
            }
        };
        settled.push(NodeEvent { change, ..event });
    }
    settled
}

/// Reads everything once to see whether the pods come in order. Only asked when they exceed the sort memory.
fn rest_is_sorted(request: &TraceRequest) -> TraceResult<bool> {
    if !request.is_rereadable() {
        return Ok(false);
    }
    let mut reader = request.reader()?;
    let mut last = 0;
    while let Some(item) = reader.next_item()? {
        match item {
            TraceItem::Pod(pod) => {
                let at = pod.arrival_or_start().as_nanos();
                if at < last {
                    return Ok(false);
                }
                last = at;
            }
            TraceItem::PodEvent(_) => return Ok(false),
            TraceItem::Node(_) => {}
        }
    }
    Ok(true)
}

/// Reads the machines of a trace: all events by time. Pods in the same files are ignored.
///
/// # Errors
/// As [`TraceReader::next_item`].
pub fn read_nodes(request: &TraceRequest) -> TraceResult<(Vec<NodeEvent>, Tally)> {
    let mut reader = request.reader()?;
    let mut nodes = Vec::new();
    while let Some(item) = reader.next_item()? {
        if let TraceItem::Node(event) = item {
            nodes.push(*event);
        }
    }
    let nodes = settle_nodes(nodes, reader.tally_mut());
    Ok((nodes, reader.tally().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openb(rows: &[(&str, u32, u32)]) -> TraceInput {
        let mut text = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n".to_owned();
        for (name, creation, deletion) in rows {
            text += &format!("{name},1000,2,0,0,,LS,Running,{creation},{deletion},{creation}\n");
        }
        TraceInput::Bytes("pods.csv".into(), text.into_bytes().into())
    }

    fn names(request: &TraceRequest) -> Vec<String> {
        let source = TraceSource::open(request).expect("a good trace");
        source.map(|pod| pod.expect("a good row").name.to_string()).collect()
    }

    #[test]
    fn pods_come_by_arrival_with_ties_in_file_order_in_any_memory() {
        let rows = [("c", 30, 40), ("a", 10, 90), ("b", 20, 21), ("b2", 20, 25), ("a2", 10, 10)];
        for memory in [0, 1, 1000, usize::MAX] {
            let request = TraceRequest {
                sort_memory: memory,
                ..TraceRequest::new(Some(Format::Openb), vec![openb(&rows)])
            };
            assert_eq!(names(&request), ["a", "a2", "b", "b2", "c"], "memory {memory}");
        }
    }

    #[test]
    fn a_sorted_trace_beyond_the_memory_streams() {
        let rows = [("a", 1, 2), ("b", 2, 3), ("c", 2, 9), ("d", 4, 5)];
        let request = TraceRequest { sort_memory: 1, ..TraceRequest::new(None, vec![openb(&rows)]) };
        let source = TraceSource::open(&request).expect("a good trace");
        assert!(matches!(source.pods, Pods::Stream(..)));
        assert_eq!(names(&request), ["a", "b", "c", "d"]);
    }

    #[test]
    fn an_id_twice_is_a_fault_with_its_line() {
        let request = TraceRequest::new(None, vec![openb(&[("a", 1, 2), ("a", 2, 3)])]);
        let error = TraceSource::open(&request).err().expect("a duplicate");
        assert_eq!((error.reason, error.line), (SkipReason::DuplicateId, 3));
    }
}
