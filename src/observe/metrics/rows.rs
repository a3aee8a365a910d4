//! What is remembered about claims, and about pods and claims that are gone: small records, turned into rows at the end.

use super::{ClaimTotals, Track};
use crate::engine::time::SimTime;
use crate::model::ids::{ClaimSpecId, NodeId, SpecId, Uid};
use crate::model::names::{Name, Sym};
use crate::model::volume::{Claim, ClaimPhase};
use crate::observe::replicas::OwnerKey;

/// What is remembered about a claim as long as its object exists.
#[derive(Clone, Debug)]
pub struct ClaimTrack {
    /// Which incarnation.
    pub uid: Uid,
    /// What it asks for.
    pub spec: ClaimSpecId,
    /// Phase as counted.
    pub phase: ClaimPhase,
    /// Created.
    pub created: SimTime,
    /// Bound for the last time.
    pub bound: Option<SimTime>,
}

impl ClaimTrack {
    /// Of a new claim.
    pub fn new(claim: &Claim) -> ClaimTrack {
        let bound = (claim.phase == ClaimPhase::Bound).then_some(claim.created);
        ClaimTrack { uid: claim.uid, spec: claim.spec, phase: claim.phase, created: claim.created, bound }
    }
    /// It changed.
    pub fn follow(&mut self, at: SimTime, claim: &Claim) {
        if claim.phase == ClaimPhase::Bound && self.phase != ClaimPhase::Bound {
            self.bound = Some(at);
        }
        (self.phase, self.spec) = (claim.phase, claim.spec);
    }
}

impl ClaimTotals {
    /// The counter of a phase.
    pub(super) fn of(&mut self, phase: ClaimPhase) -> &mut u64 {
        match phase {
            ClaimPhase::Pending => &mut self.pending,
            ClaimPhase::Bound => &mut self.bound,
            ClaimPhase::Lost => &mut self.lost,
        }
    }
}

/// A pod that is gone.
#[derive(Clone, Copy, Debug)]
pub struct GonePod {
    /// Name.
    pub name: Name,
    /// What it asked for, and its namespace.
    pub spec: SpecId,
    /// Who wanted it.
    pub owner: Option<OwnerKey>,
    /// Where it was.
    pub node: Option<NodeId>,
    /// Created, assigned, Running first, gone.
    pub created: SimTime,
    /// See `created`.
    pub scheduled: Option<SimTime>,
    /// See `created`.
    pub first_run: Option<SimTime>,
    /// See `created`.
    pub gone: SimTime,
    /// It was assigned before the run.
    pub assigned_before: bool,
    /// Scheduling attempts.
    pub attempts: u64,
}

/// A claim that is gone.
#[derive(Clone, Debug)]
pub struct GoneClaim {
    /// Namespace.
    pub namespace: Sym,
    /// Name.
    pub name: Name,
    /// Volume that it named.
    pub volume: Option<Sym>,
    /// What else was known.
    pub track: ClaimTrack,
    /// Gone.
    pub gone: SimTime,
}

/// Objects that are gone, up to a limit.
#[derive(Debug, Default)]
pub struct Gone {
    limit: usize,
    /// Pods in the order in which they went.
    pub pods: Vec<GonePod>,
    /// Claims in the order in which they went.
    pub claims: Vec<GoneClaim>,
    /// Objects that went when the limit was reached: counted, but without a row.
    pub without_row: u64,
}

impl Gone {
    /// With `limit` rows of each kind.
    pub fn new(limit: usize) -> Gone {
        Gone { limit, ..Gone::default() }
    }
    /// A pod is gone.
    pub fn pod(&mut self, at: SimTime, track: &Track, node: Option<NodeId>) {
        if self.pods.len() >= self.limit {
            self.without_row += 1;
            return;
        }
        self.pods.push(GonePod {
            name: track.name,
            spec: track.spec,
            owner: track.owner,
            node,
            created: track.created,
            scheduled: track.scheduled,
            first_run: track.first_run,
            gone: at,
            assigned_before: track.assigned_before,
            attempts: track.attempts,
        });
    }
    /// A claim is gone.
    pub fn claim(&mut self, at: SimTime, track: ClaimTrack, namespace: Sym, name: Name, volume: Option<Sym>) {
        if self.claims.len() >= self.limit {
            self.without_row += 1;
            return;
        }
        self.claims.push(GoneClaim { namespace, name, volume, track, gone: at });
    }
}
