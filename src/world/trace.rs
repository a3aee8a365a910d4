//! A trace as workload: its machines become nodes, its pods arrive as bare pods with their claims.

use super::plan::Plan;
use super::*;
use crate::control::api;
use crate::model::ids::SpecId;
use crate::model::labels::LabelSet;
use crate::model::names::{Sym, sym};
use crate::model::quantity::Quantity;
use crate::model::resources::Resources;
use crate::model::spec::{OwnerKind, PodSpec, PodVolume, Toleration};
use crate::model::volume::{AccessModes, ClaimOwner, ClaimSpec, VolumeMode};
use crate::model::workload::ClaimTemplate;
use crate::trace::mapping::{Arrival, ArrivalRules, Arrivals};
use crate::trace::{TraceError, TraceRequest, TraceSource};

/// How the pods of a trace are made.
#[derive(Clone, Debug)]
pub struct TracePlan {
    /// Where the trace is and how it is read.
    pub request: TraceRequest,
    /// Order, times and claims.
    pub rules: ArrivalRules,
    /// Class of the claims, where the trace names none.
    pub class: Sym,
    /// GPUs become the extended resource of this name.
    pub gpu: Option<Sym>,
    /// Node label for the trace's roles; `None`: no node has it, so roles are left out.
    pub role_label: Option<Sym>,
    /// Tolerations of the pods.
    pub tolerations: Vec<Toleration>,
}

/// The arrivals of a trace, with one of them pulled ahead.
#[derive(Default)]
pub(super) struct TraceArrivals {
    arrivals: Option<Arrivals>,
    next: Option<Arrival>,
}

impl TraceArrivals {
    pub(super) fn open(plan: &Plan, streams: &Streams) -> Result<TraceArrivals, SimError> {
        let Some(trace) = &plan.trace else { return Ok(TraceArrivals::default()) };
        let source = TraceSource::open(&trace.request).map_err(trace_error)?;
        let arrivals = Arrivals::new(source, trace.rules.clone(), streams.clone()).map_err(trace_error)?;
        let mut ahead = TraceArrivals { arrivals: Some(arrivals), next: None };
        ahead.pull()?;
        Ok(ahead)
    }
    pub(super) fn next_at(&self) -> Option<SimTime> {
        self.next.as_ref().map(|arrival| arrival.at)
    }
    fn pull(&mut self) -> Result<Option<Arrival>, SimError> {
        let next = match &mut self.arrivals {
            Some(arrivals) => arrivals.next_arrival().map_err(trace_error)?,
            None => None,
        };
        Ok(std::mem::replace(&mut self.next, next))
    }
}

fn trace_error(error: Box<TraceError>) -> SimError {
    SimError::Trace(error.to_string())
}

impl<O: Observer> World<'_, O> {
    /// The next pod of the trace arrives: claims first, deleted with their pod.
    pub(super) fn trace_arrival(&mut self) -> Result<(), SimError> {
        let (Some(plan), Some(arrival)) = (&self.plan.trace, self.trace.pull()?) else { return Ok(()) };
        let name = self.cluster.names.name(&arrival.name);
        let spec = self.trace_spec(plan, &arrival);
        let pod = api::new_pod(&mut self.cluster, name, spec, PodOwner::None, self.now);
        for claim in &arrival.claims {
            let class = claim.class.as_ref().map_or(plan.class, |class| self.cluster.names.intern(class));
            let spec = self.cluster.intern_claim_spec(ClaimSpec {
                class: Some(class),
                modes: AccessModes::RWO,
                request: Quantity::from_bytes(u128::from(claim.bytes)),
                selector: None,
                mode: VolumeMode::Filesystem,
                attributes_class: None,
            });
            let prefix = self.cluster.names.intern(&claim.template);
            let template = ClaimTemplate { prefix, spec };
            let owner = ClaimOwner::Object(pod.uid);
            // A claim of that name that is there already is used, as it would be.
            let _ = api::create_claim(&mut self.cluster, sym::DEFAULT, name, template, owner, self.now);
        }
        let epoch = epoch_of(pod.uid);
        if let (Ok(id), Some(leaves)) = (self.cluster.add_pod(pod), arrival.leaves) {
            self.plan_event(leaves.max(self.now), RANK_DEPARTURES, Event::PodLeaves(id, epoch));
        }
        Ok(())
    }

    fn trace_spec(&mut self, plan: &TracePlan, arrival: &Arrival) -> SpecId {
        let pod = &arrival.pod;
        let mut requests = Resources {
            cpu_milli: i64::try_from(pod.cpu_milli).unwrap_or(i64::MAX),
            memory_bytes: i64::try_from(pod.memory_bytes).unwrap_or(i64::MAX),
            ..Resources::default()
        };
        if let Some(gpu) = plan.gpu.filter(|_| pod.gpu_count > 0) {
            requests.set_scalar(gpu, i64::from(pod.gpu_count));
        }
        let role = plan.role_label.zip(pod.role.as_ref());
        let node_selector = role.map(|(label, role)| (label, self.cluster.names.intern(role)));
        let labels = self.cluster.intern_labels(LabelSet::default());
        let prefixes = arrival.claims.iter().map(|claim| self.cluster.names.intern(&claim.template));
        let volumes = prefixes.map(|prefix| PodVolume::ClaimTemplate { prefix }).collect();
        let spec = PodSpec {
            namespace: sym::DEFAULT,
            labels,
            scheduler_name: sym::DEFAULT_SCHEDULER,
            priority: 0,
            never_preempts: false,
            nonzero_requests: (requests.cpu_milli, requests.memory_bytes),
            scoring_requests: requests.clone(),
            requests,
            host_ports: Vec::new(),
            images: Vec::new(),
            container_count: 1,
            node_selector: node_selector.into_iter().collect(),
            affinity: None,
            tolerations: plan.tolerations.clone(),
            spread: Vec::new(),
            volumes,
            scheduling_gates: Vec::new(),
            termination_grace: SimDuration::from_secs(30),
            not_modelled: None,
            owner: OwnerKind::None,
        };
        self.cluster.intern_spec(spec)
    }
}
