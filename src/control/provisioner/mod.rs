//! What makes and unmakes volumes outside the control plane proper.
//!
//! * [`csi`]: the volume that a well-behaved CSI provisioner makes for a claim; also the provisioner of the conformance recordings.
//! * [`local`]: the static provisioner of local disks, which wipes Released volumes and offers their disks again.

pub mod csi;
pub mod local;

#[cfg(test)]
mod tests;
