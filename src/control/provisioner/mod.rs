//! What makes and unmakes volumes outside the control plane proper.
//!
//! * [`csi`]: the volume that a well-behaved CSI provisioner makes for a claim; also the provisioner of the conformance recordings.
//! * [`lvm`]: volumes out of LVM volume groups and whole devices, with published capacity and failures.
//! * [`local`]: the static provisioner of local disks, which wipes Released volumes and offers their disks again.

pub mod csi;
pub mod local;
pub mod lvm;

#[cfg(test)]
mod tests;
