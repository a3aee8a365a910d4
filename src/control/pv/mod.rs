//! The PersistentVolume controller: binds claims and volumes, reclaims volumes.
//!
//! Every branch of [`claim`] and [`volume`] is spelled out, so that each can be compared with Kubernetes' own controller and has
//! its row in the table test. A sync looks at the present state and asks for at most one API write; when that is committed,
//! the key it names is synced again. So the same code runs at once ([`PvController::run`], [`run_to_fixpoint`]) or under
//! latency and rate limits, and a binding that was left half-written is completed.

pub mod claim;
pub mod event;
pub mod find;
mod queue;
pub mod volume;
mod waiting;
pub mod write;

#[cfg(test)]
mod tests;

pub use event::{PvEvent, PvEventKind};
pub use queue::PvController;
pub use write::{PvWrite, WriteError, apply};

use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, Uid, VolumeId};

/// What is to be synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PvKey {
    /// A volume: `syncVolume`.
    Volume(VolumeId),
    /// A claim: `syncClaim`.
    Claim(ClaimId),
    /// A binding that has begun: it goes on with this volume whatever else has become free meanwhile.
    Bind {
        /// The claim.
        claim: ClaimId,
        /// Its uid.
        claim_uid: Uid,
        /// The volume.
        volume: VolumeId,
        /// Its uid.
        volume_uid: Uid,
    },
}

/// What a sync wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing more.
    Done,
    /// One API write; when it is committed `then` is synced at once, by the same worker. If it is refused the key is
    /// queued again with the controller's rate limit.
    Write {
        /// The write.
        write: PvWrite,
        /// What to sync next.
        then: PvKey,
    },
}

/// What a sync says besides its step.
#[derive(Clone, Debug, Default)]
pub struct PvOutput {
    /// Kubernetes events. Those of a [`Step::Write`] are emitted only if the write succeeds.
    pub events: Vec<PvEvent>,
    /// Keys to put into the queues.
    pub enqueue: Vec<PvKey>,
}

/// Looks at one key. Nothing is written.
pub fn sync(cluster: &Cluster, key: PvKey, out: &mut PvOutput) -> Step {
    match key {
        PvKey::Volume(id) if cluster.volumes().get(id).is_some() => volume::sync_volume(cluster, id, out),
        PvKey::Claim(id) if cluster.claims().get(id).is_some() => claim::sync_claim(cluster, id, out),
        PvKey::Bind { claim, claim_uid, volume, volume_uid } => {
            let both = cluster.claims().get(claim).is_some_and(|c| c.uid == claim_uid)
                && cluster.volumes().get(volume).is_some_and(|v| v.uid == volume_uid);
            if both { claim::bind(cluster, claim, volume) } else { Step::Done }
        }
        PvKey::Volume(_) | PvKey::Claim(_) => Step::Done,
    }
}

/// Syncs a key and makes its writes at once until it is done; `true` if anything was written. Its events and keys to enqueue are
/// added to `out`.
pub fn sync_and_write(cluster: &mut Cluster, key: PvKey, out: &mut PvOutput) -> bool {
    let mut key = key;
    let mut written = false;
    loop {
        match sync(cluster, key, out) {
            Step::Done => return written,
            Step::Write { write, then } => {
                // Nothing happens between the look and the write, so it is never refused.
                if apply(cluster, &write).is_err() {
                    return written;
                }
                written = true;
                key = then;
            }
        }
    }
}

/// Syncs all volumes in order, then all claims in order, until nothing changes: the rule of the conformance recordings.
/// Events of the last round are repetitions and left out.
pub fn run_to_fixpoint(cluster: &mut Cluster, events: &mut Vec<PvEvent>) {
    loop {
        let mut out = PvOutput::default();
        let mut changed = false;
        let volumes: Vec<VolumeId> = cluster.volumes().ids().collect();
        for id in volumes {
            changed |= sync_and_write(cluster, PvKey::Volume(id), &mut out);
        }
        let claims: Vec<ClaimId> = cluster.claims().ids().collect();
        for id in claims {
            changed |= sync_and_write(cluster, PvKey::Claim(id), &mut out);
        }
        if !changed {
            return;
        }
        events.append(&mut out.events);
    }
}
